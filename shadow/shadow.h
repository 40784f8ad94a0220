/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shadow paging: what the core and the vendors call.
 *
 * Everything runs in the vCPU's thread with vcpu->mutex and vm->srcu held
 * unless it says otherwise. The shadow lock is taken inside, never by callers.
 */
#ifndef VIGIL_SHADOW_H
#define VIGIL_SHADOW_H

#include "vmm/types.h"

struct vigil_vm;
struct vigil_vcpu;
struct vigil_slot;

/*
 * Unpaged guests run on a root in EPT format, with linear addresses that are
 * physical ones: said by the vendor's hw_setup(), never changed after. Else they
 * run on a page table that maps the lower 4 GiB one to one.
 */
extern bool shadow_direct_ept; /* __ro_after_init */

/**
 * typedef shadow_ask_t - may a page walk set A or D in a watched table?
 *
 * In the vCPU's thread, vm->store_lock held: the vCPU, the entry's address, what is
 * there, what would be, and its size of 4 or 8 bytes. False: the bits stay clear.
 */
typedef bool shadow_ask_t(struct vigil_vcpu *vcpu, gpa_t gpa, const u64 *old,
			  const u64 *new_, unsigned int bytes);

/* ---- life ---- */
/* Makes kmem caches and the shrinker. @ask is what watches are asked with. */
int shadow_module_init(shadow_ask_t *ask);
void shadow_module_exit(void);
int shadow_vm_init(struct vigil_vm *vm);
/* Frees every page. No vCPU is left, and the notifier is unregistered. */
void shadow_vm_destroy(struct vigil_vm *vm);
int shadow_vcpu_init(struct vigil_vcpu *vcpu);
void shadow_vcpu_destroy(struct vigil_vcpu *vcpu);
/*
 * Sets the bound on shadow pages (KVM_SET_NR_MMU_PAGES); 0: the default again.
 * vm->lock is held.
 */
int shadow_set_limit(struct vigil_vm *vm, unsigned long pages);
unsigned long shadow_get_limit(struct vigil_vm *vm);

/* ---- slots (vm->lock held) ---- */
/*
 * Allocates the slot's reverse map before the slot is published. 0; -ENOMEM
 * when the host cannot afford it; -EINTR when the caller is killed, since a
 * large slot takes a while.
 */
int shadow_slot_init(struct vigil_vm *vm, struct vigil_slot *slot);
void shadow_slot_free(struct vigil_vm *vm, struct vigil_slot *slot);
/*
 * Zaps all shadow pages, because a slot is removed or moves. No TLB knows their
 * SPTEs on return. As with KVM this includes tables in other slots: a VMM that
 * makes its slots anew may have written to tables everywhere. Called twice:
 * while the slot is still published and the notifier protocol keeps new leaf
 * SPTEs of its range out; then again when it is unpublished and SRCU
 * synchronised, for tables shadowed in between. Looking up a shadow page's own
 * gfn may find no slot any more.
 */
void shadow_zap_all(struct vigil_vm *vm);
/*
 * Watches were removed. If one of them has refused A or D bits, all shadow pages go,
 * so that the guest's next accesses set the bits. Sleeps.
 */
void shadow_watches_gone(struct vigil_vm *vm);
/*
 * Dirty logging starts: on return no SPTE of the slot is writable, and no TLB
 * knows one that was.
 */
void shadow_slot_protect(struct vigil_vm *vm, struct vigil_slot *slot);
/*
 * Waits for each vCPU that lets its guest write to a page which only the dirty log
 * kept read-only: when it returns, the pages that the guest could write to by then
 * are in the log. Such a vCPU is not preempted meanwhile, so the wait is short.
 * Under vm->lock.
 */
void shadow_wait_dirty_faults(struct vigil_vm *vm);

/*
 * Write-protects the pages whose bit is set in @mask; bit 0 stands for gfn
 * @base. Returns whether an SPTE has lost W: then the caller flushes once at
 * the end with shadow_flush_vm(). Takes the shadow lock for the word.
 */
bool shadow_protect_mask(struct vigil_vm *vm, struct vigil_slot *slot,
			 gfn_t base, unsigned long mask);
/*
 * Each vCPU's TLB is flushed before it next enters. Waits for the vCPUs in the
 * guest.
 */
void shadow_flush_vm(struct vigil_vm *vm);

/* ---- a page is watched or no longer watched: watch.c, process context ---- */
/*
 * Called after watch_gfn() has become true, under vm->srcu: on return no SPTE of the
 * gfns from @gfn to @last is writable.
 */
void shadow_protect_gfns(struct vigil_vm *vm, gfn_t gfn, gfn_t last);
/*
 * Called after watch_linear() has become true of a byte from @start to @last, under
 * vm->monitor_lock: on return no vCPU writes to a page of them without a fault,
 * whatever the guest maps there.
 */
void shadow_protect_linear(struct vigil_vm *vm, gva_t start, gva_t last);

/* ---- mmu notifier (notifier.c): shadow lock held by the caller ---- */
/* Drops the SPTEs of gfns [start, end) of the slot. True: a flush is needed. */
bool shadow_unmap_gfns(struct vigil_vm *vm, struct vigil_slot *slot,
		       gfn_t start, gfn_t end);
/* Clears accessed marks, if @clear; returns whether any was set. */
bool shadow_age_gfns(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t start,
		     gfn_t end, bool clear);
/* The VMM's address space is going away: drops all SPTEs. */
void shadow_release(struct vigil_vm *vm);

/* ---- vCPU ---- */
/**
 * shadow_reread_tables() - the VMM may have written to the guest's tables
 * @vm:		the VM
 *
 * Reads every guest table that is shadowed again, and drops or changes the SPTEs
 * whose guest entry differs from what they were made from. No TLB knows those on
 * return. Sleeps; under vm->srcu. Takes as long as it takes to read the tables.
 */
void shadow_reread_tables(struct vigil_vm *vm);
/*
 * Called after a change of CR0, CR4, EFER, maxphyaddr or CPUID bits of paging.
 */
void shadow_mode_changed(struct vigil_vcpu *vcpu);
/*
 * MOV CR3: vcpu->cr3 has the new value. Switches to its root, or builds it, and
 * reads tables again that the guest has written (unsync), as on the
 * architectural flush of non-global entries.
 */
void shadow_new_cr3(struct vigil_vcpu *vcpu);
/* The guest has flushed its whole TLB (by a change of CR4.PGE, for example). */
void shadow_flush_guest(struct vigil_vcpu *vcpu);
void shadow_invlpg(struct vigil_vcpu *vcpu, gva_t gva);
/*
 * PAE paging: latches the PDPTEs from guest memory at vcpu->cr3. 0; -EINVAL:
 * reserved bits are set (#GP); -EFAULT: no memory is there.
 */
int shadow_load_pdptes(struct vigil_vcpu *vcpu);
/* What would it say with this CR3? Nothing is latched. */
int shadow_check_pdptes(struct vigil_vcpu *vcpu, unsigned long cr3);
/*
 * Loads a root for the current mode and gives it to the vendor; one test if
 * that is done already. May sleep. -EINTR, -ENOMEM; -EFAULT: no memory is at
 * CR3 (the core ends the run with a triple fault or a reason).
 */
int shadow_load(struct vigil_vcpu *vcpu);

enum shadow_fault {
	SHADOW_FIXED, /* enter again */
	SHADOW_GUEST, /* the guest's own fault: *error_code is what it sees */
	SHADOW_EMULATE, /* write to a shadowed table: emulate */
	SHADOW_MMIO, /* no memory there: emulate, gpa in *gpa */
	SHADOW_WATCHED, /* write to a watched page, and maybe a table: emulate */
	/* negative errno: -EFAULT (no host memory), -EINTR, -ENOMEM */
};
/*
 * Handles a #PF that came while the guest ran: dirty log, A and D bits,
 * CR0.WP=0, unsync, prefetch. With SHADOW_EMULATE and SHADOW_WATCHED, *gpa is that of
 * the page, which may be watched in both cases.
 */
int shadow_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 *error_code,
		      gpa_t *gpa);

/*
 * Translates as the guest's CPU would, for the emulator and KVM_TRANSLATE.
 * @access: PFERR_W | PFERR_U | PFERR_I. Sets A (and D for writes) in guest PTEs
 * if @set_ad. 0; -EFAULT with *error_code as the guest's #PF would have it;
 * -EAGAIN when the walk could not read guest memory without sleeping (@atomic).
 */
int shadow_gva_to_gpa(struct vigil_vcpu *vcpu, gva_t gva, u32 access,
		      bool set_ad, gpa_t *gpa, u32 *error_code);

/*
 * Finds the page from which the CPU has just fetched an instruction at @gva, in
 * the shadow tables, where the CPU has found it too. @user: CPL 3. False: they
 * do not map it (any more); ask shadow_gva_to_gpa().
 */
bool shadow_fetched_gfn(struct vigil_vcpu *vcpu, gva_t gva, bool user,
			gfn_t *gfn);

/*
 * The emulator or the kernel has written [gpa, gpa+len), in @slot, for the guest. If a
 * shadowed table is there, its SPTEs follow the new entries, which are read
 * from memory. Called after the write; cheap where no table is.
 */
void shadow_written(struct vigil_vm *vm, const struct vigil_slot *slot,
		    gpa_t gpa, unsigned int len);
/*
 * The guest writes to a table, and the write cannot be emulated or such writes
 * come too often: drops the shadow pages of this gfn, so that the write can go
 * through. True: there were some.
 */
bool shadow_unprotect(struct vigil_vm *vm, gfn_t gfn);
/*
 * The CPU pushes the frame of an event onto a table, in the middle of a delivery
 * that cannot be emulated: the guest may write to the table, of whatever level it
 * is, until its next flush. true when @gfn was a table that it could not write.
 */
bool shadow_open_table(struct vigil_vm *vm, gfn_t gfn);

/* ---- window.c ---- */
/* 4 KiB pages of a vCPU's part of the window */
#define SHADOW_WINDOW_PAGES 32

/**
 * shadow_window_open() - map pages of the VMM where a vCPU's CPU finds them
 * @vcpu:	the vCPU, whose guest is paged, by no more than four levels
 * @pages:	addresses of pages, in the order of the linear addresses; they stay
 *		allocated until the VM has ended
 * @n:		how many, at most SHADOW_WINDOW_PAGES
 *
 * The guest can read them at CPL 0 to 2, and neither write nor execute them: its own
 * table entries for these linear addresses do not count. The CPU's own reads of
 * descriptors, gates and the TSS reach them at any CPL. Nothing is flushed: to be
 * called once a vCPU.
 *
 * Return: 0; -ENOMEM.
 */
int shadow_window_open(struct vigil_vcpu *vcpu, void *const pages[],
		       unsigned int n);
/* Has the vCPU run with the window, or without it again. */
void shadow_window_use(struct vigil_vcpu *vcpu, bool on);
/* The linear address of the vCPU's part of the window in its guest's mode. */
gva_t shadow_window_base(const struct vigil_vcpu *vcpu);
/* Is the address in the window, with which the vCPU runs? */
bool shadow_in_window(const struct vigil_vcpu *vcpu, gva_t gva);

/* ---- audit.c ---- */
/*
 * Returns 0, or -EUCLEAN with the faults in the kernel log. vm->lock is held,
 * and no vCPU runs.
 */
int shadow_audit(struct vigil_vm *vm);
/*
 * Debug builds: called right before an entry. Kills the VM with a reason if an
 * SPTE has lost a right and this vCPU has not flushed.
 */
void shadow_audit_entry(struct vigil_vcpu *vcpu);
/* Debug builds: the vendor has flushed this vCPU. */
void shadow_audit_flushed(struct vigil_vcpu *vcpu);

#endif
