/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of vmm/pv/ share. */
#ifndef VIGIL_PV_INTERNAL_H
#define VIGIL_PV_INTERNAL_H

#include "pv.h"
#include "vmm/monitor/watch.h"

/* What a call's function answers, besides a result of 0 or a negative errno. */
enum { CALL_TO_USER = 1, CALL_AGAIN, CALL_LEAVE, CALL_HELD, CALL_IRET };

/* What a change is, for a monitor: as in struct vigil_event and struct watch_control. */
struct pv_told {
	u32 first, count, len;
	u8 old[VIGIL_EVENT_DATA];
	u8 new_[VIGIL_EVENT_DATA];
	const void *all;
	u32 all_len;
};

/**
 * struct pv_change - a kind of change that a guest's kernel makes about its traps
 * @control:	VIGIL_CONTROL_*
 * @commit:	makes the change. All was checked and copied: it looks at no memory or
 *		register of the guest. 0, or a negative errno, with nothing changed, where
 *		it stores to memory that has gone meanwhile
 * @tell:	says what the change is, before it is made. 0, -ENOMEM
 */
struct pv_change {
	u32 control;
	int (*commit)(struct vigil_vcpu *vcpu);
	int (*tell)(struct vigil_vcpu *vcpu, struct pv_told *told);
};

/* ---- call.c ---- */
/* Called before guest memory is looked at. */
void pv_mem_begin(struct vigil_vcpu *vcpu);
/*
 * Copies from the caller's memory, with its rights. 0; -EFAULT; CALL_AGAIN: the guest
 * executes the instruction again.
 */
int pv_copy_in(struct vigil_vcpu *vcpu, u64 la, void *buf, unsigned int len);

/* pv_tables.gdt_frame: there is one. */
#define PV_FRAME BIT_ULL(0)

/* The selector of flat code of ring 1, among those that are the VMM's. */
static inline u16 pv_flat_code(bool wide)
{
	return wide ? VIGIL_RING1_CS64 : 0xe019;
}

/* ---- page.c ---- */
/*
 * A hypercall stores by guest-physical address, within a page. A monitor is told of
 * each piece of up to 64 bytes, may deny it, but cannot hold it. 0; -EINVAL no memory, or
 * read-only; -EPERM a piece was denied; -EINTR the process is being killed.
 */
int pv_store(struct vigil_vcpu *vcpu, gpa_t gpa, const void *data,
	     unsigned int len);

/* ---- control.c ---- */
/* The change of one value: @len bytes, at most VIGIL_EVENT_DATA. */
void pv_tell(struct pv_told *told, const void *old, const void *new_,
	     unsigned int len);
/*
 * Those of @vectors that differ from what is in force, once @traps and @fast are. NULL: no
 * handlers.
 */
int pv_tell_traps(struct vigil_vcpu *vcpu, struct pv_told *told,
		  const unsigned long *vectors, const struct pv_traps *traps,
		  const unsigned long *fast);
/* Does not count it where nothing changes. */
void pv_tell_trap(struct pv_told *told, const struct vigil_pv_trap *old,
		  const struct vigil_pv_trap *new_);
/* @gdt has PV_GDT_ENTRIES, of which the guest has named @entries. */
void pv_tell_gdt(struct vigil_vcpu *vcpu, const u64 *gdt, unsigned int entries,
		 struct pv_told *told);
/* Forgets the copies of a change that was made, or will not be. */
void pv_drop_change(struct vigil_vcpu *vcpu);
/* Makes vcpu->pv.change, or not. The result of its call. */
int pv_settle_change(struct vigil_vcpu *vcpu, enum watch_answer answer);
/* pv_change() where monitors watch. */
int pv_ask(struct vigil_vcpu *vcpu, const struct pv_call *call,
	   const struct pv_change *change);

/*
 * The end of each call that changes something about the guest's traps: makes the change,
 * unless a monitor has it. 0; a negative errno; CALL_HELD: a monitor is asked.
 */
static inline int pv_change(struct vigil_vcpu *vcpu, const struct pv_call *call,
			    const struct pv_change *change)
{
	if (watch_controls(vcpu->vm, change->control))
		return pv_ask(vcpu, call, change);
	return change->commit(vcpu);
}

/* ---- tables.c ---- */
/*
 * update_descriptor: vcpu->pv.arg.desc takes the place of what is at its guest-physical
 * address, in guest memory and in the copy. 0, or a negative errno of Xen's, with nothing
 * changed.
 */
int pv_check_descriptor(struct vigil_vcpu *vcpu);
int pv_commit_descriptor(struct vigil_vcpu *vcpu);
int pv_tell_descriptor(struct vigil_vcpu *vcpu, struct pv_told *told);
/* set_gdt: vcpu->pv.gdt takes effect. */
int pv_commit_gdt(struct vigil_vcpu *vcpu);
/* Marks each segment as accessed. 0; -EINVAL: the guest may not have one of them. */
int pv_check_gdt(u64 *gdt, unsigned int entries, bool wide);
/* @gdt has PV_GDT_ENTRIES, which were checked. */
void pv_load_gdt(struct vigil_vcpu *vcpu, const u64 *gdt);
void pv_get_stack(const struct vigil_vcpu *vcpu, u16 *ss, u64 *sp);

/* ---- policy.c ---- */
/* May the guest ask for this? 0, or a negative errno of Xen's. */
int pv_iopl_check(const struct vigil_vcpu *vcpu, const struct vigil_iopl *arg);
/* The values that the vCPU has set for itself alone; false: it has none. */
bool pv_iopl_own(struct vigil_vcpu *vcpu, struct pv_policy *p);
/* The vCPU has nothing of its own any more. */
void pv_iopl_drop(struct vigil_vcpu *vcpu);

/* ---- callback.c ---- */
/* Is the vector one of the VMM's, which no trap table names? */
bool pv_vector_is_ours(unsigned int vector);
/* What the gate of @vector leads to: a callback, or the handler of a trap; or NULL. */
const struct pv_trap *pv_handler(const struct pv_tables *t,
				 unsigned int vector);
/*
 * Checks a callback of @type, and makes it @to. Without an address it becomes none. 0, or
 * a negative errno of Xen's.
 */
int pv_check_callback(struct pv_trap *to, unsigned int type, unsigned int flags,
		      u16 cs, u64 ip, bool wide);
/* @callback has PV_CALLBACKS, which were checked. */
void pv_set_callbacks(struct vigil_vcpu *vcpu, const struct pv_trap *callback);
/* The calls that register callbacks. Return as pv_trap_call(). */
int pv_set_callbacks_call(struct vigil_vcpu *vcpu, const struct pv_call *call);
int pv_callback_op(struct vigil_vcpu *vcpu, const struct pv_call *call);

/* ---- ring1.c ---- */
/* The hypercall iret. Returns as exit_hypercall(). */
int pv_iret(struct vigil_vcpu *vcpu, const struct pv_call *call);

/* ---- trap.c ---- */
/*
 * May the kernel have code at this address? 0, or a negative errno of Xen's.
 */
int pv_check_code(u16 cs, u64 ip, bool wide);
/* Checks a handler, and adds it to @to. 0, or a negative errno of Xen's. */
int pv_add_trap(struct pv_traps *to, const struct vigil_pv_trap *info,
		bool wide);
bool pv_may_be_fast(const struct pv_traps *traps, u64 vector);
/* May a guest name this stack for ring 1? 0, or a negative errno of Xen's. */
int pv_check_stack(u64 ss, u64 sp, bool wide);
/* The handlers of @presented take effect beside those that are there. */
void pv_commit_traps(struct vigil_vcpu *vcpu);
void pv_clear_traps(struct vigil_vcpu *vcpu);
/* The calls of VIGIL_HC_TRAPS. 0 and below: the result. Else CALL_*. */
int pv_trap_call(struct vigil_vcpu *vcpu, const struct pv_call *call);

#endif
