/* SPDX-License-Identifier: GPL-2.0 */
/* What is watched: watch.c. */
#ifndef VIGIL_WATCH_H
#define VIGIL_WATCH_H

#include "vmm/vcpu.h"

struct monitor;

int watch_vm_init(struct vigil_vm *vm);
void watch_vm_destroy(struct vigil_vm *vm);

/**
 * struct watch_control - a change of a control, beside what struct watch_store tells
 * @nr:		VIGIL_CONTROL_*
 * @call:	number of the hypercall
 * @first:	as in struct vigil_event
 * @count:	as in struct vigil_event
 * @refused:	it fails whatever a monitor says
 * @forced:	it happens whatever a monitor says, and is not held
 * @insn:	the instruction, where it is not a hypercall; or NULL
 * @all:	what takes effect; it stays until the verdict. NULL: @new_ of the event
 *		is all
 * @all_len:	bytes of @all
 */
struct watch_control {
	u32 nr;
	u32 call;
	u32 first;
	u32 count;
	bool refused;
	bool forced;
	const struct insn *insn;
	const void *all;
	u32 all_len;
};

/**
 * struct watch_store - a store that is about to be made for a guest, or another change
 * @gva:	linear address, where there is one
 * @gpa:	of the first byte; the store does not cross the page
 * @len:	1 to 64 bytes (VIGIL_EVENT_DATA); of another change 0 to 64
 * @gva_valid:	@gva is known
 * @by_walk:	a page walk sets A or D: by no instruction, and in the middle of
 *		a translation, which cannot be held
 * @exchange:	it is made only if memory has @old then
 * @replaced:	@new_ is what a monitor wants instead
 * @old:	what is in memory now
 * @new_:	what would be stored
 * @only:	the one range that has a byte of it: watched_count(), called since the vCPU
 *		has entered or left the guest; NULL: not known
 * @control:	NULL: it is a store
 */
struct watch_store {
	gva_t gva;
	gpa_t gpa;
	unsigned int len;
	bool gva_valid;
	bool by_walk;
	bool exchange;
	bool replaced;
	const void *old;
	const void *new_;
	const struct watched_range *only;
	const struct watch_control *control;
};

/* Can the vCPU wait with it? What cannot be put off is decided and told at once. */
static inline bool watch_can_hold(const struct watch_store *st)
{
	return !st->by_walk &&
	       !(st->control && (st->control->forced || st->control->refused));
}

enum watch_answer {
	WATCH_GO, /* not watched, or logged: make the store */
	WATCH_SKIP, /* denied: go on as if it had been made */
	WATCH_HELD, /* an event is out: monitor_wait() before anything else */
	/* Only behind WATCH_HELD: denied, and the instruction faults. */
	WATCH_GP,
	WATCH_PF,
};

/*
 * Called by the emulator's glue and by the page walk for each store to a page for
 * which watch_gfn() is true, before it is made, in the vCPU's thread. WATCH_HELD
 * leaves events in vcpu->held; a store of the page walk is never held. The
 * event's registers are vcpu's: the instruction has not been committed yet.
 */
enum watch_answer watch_store(struct vigil_vcpu *vcpu,
			      const struct watch_store *st);

/* Bits of vm->controls. Those of the tables are in the order of SVM's intercepts. */
#define WATCH_TABLES GENMASK(VIGIL_CONTROL_TR, VIGIL_CONTROL_IDTR)
#define WATCH_MSRS BIT(VIGIL_CONTROL_MSR)

/* Does a monitor watch this control? Under vm->srcu. */
static inline bool watch_controls(const struct vigil_vm *vm, unsigned int nr)
{
	return unlikely(READ_ONCE(vm->controls) & BIT(nr));
}

/* Has a monitor a watch of this very control, MSR by MSR? Under vm->srcu. */
bool watch_has(struct vigil_vm *vm, const struct watch_control *control);

/*
 * The guest is about to change a control: st->control, st->len, st->old and
 * st->new_ are filled in. Called before anything is changed, in the vCPU's thread.
 * Returns what watch_store() does.
 */
enum watch_answer watch_change(struct vigil_vcpu *vcpu,
			       const struct watch_store *st);

/*
 * A page walk sets A or D in a watched table: shadow_ask_bits(). False: a watch
 * refuses it.
 */
bool watch_bits(struct vigil_vcpu *vcpu, gpa_t gpa, const u64 *old,
		const u64 *new_, unsigned int bytes);

int watch_add(struct monitor *mon, struct vigil_watch *w);
int watch_del(struct monitor *mon, u32 id);
/**
 * watch_slots() - the slots are about to change
 * @vm:		the VM; vm->lock and vm->monitor_lock are held
 * @slots:	as they will be
 * @gone:	gets what vCPUs may still look at: for watch_slots_done()
 *
 * A watch holds for its memory at each address that the guest has it at, so its ranges
 * depend on the slots. The caller publishes @slots under the same monitor_lock, and
 * drops the SPTEs of memory that is watched from then on.
 * Return: 0; -ENOMEM; -ENOSPC: more ranges than a VM may have. Then nothing has changed.
 */
int watch_slots(struct vigil_vm *vm, const struct vigil_slots *slots,
		struct list_head *gone);
/* Frees what watch_slots() has given out: every vCPU has left vm->srcu since. */
void watch_slots_done(struct list_head *gone);
/*
 * The monitor has left the VM: its watches leave the tree. vm->monitor_lock is
 * held. Needs no memory, and waits for nobody.
 */
void watch_hide(struct monitor *mon);
/* Frees the watches of a monitor that has left, when its file is closed. */
void watch_drop(struct monitor *mon);
/*
 * Frees what vCPUs have seen of watches that have gone. Where that would have to wait,
 * the next change of watches frees it, or the end of the VM.
 */
void watch_reap(struct vigil_vm *vm);

#endif
