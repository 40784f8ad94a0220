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

/* ---- life ---- */
int shadow_module_init(void); /* kmem caches, shrinker */
void shadow_module_exit(void);
int shadow_vm_init(struct vigil_vm *vm);
/* all vCPUs gone, notifier unregistered; frees every page */
void shadow_vm_destroy(struct vigil_vm *vm);
int shadow_vcpu_init(struct vigil_vcpu *vcpu);
void shadow_vcpu_destroy(struct vigil_vcpu *vcpu);
/* bound on shadow pages (KVM_SET_NR_MMU_PAGES); 0 back to the default. vm->lock */
int shadow_set_limit(struct vigil_vm *vm, unsigned long pages);
unsigned long shadow_get_limit(struct vigil_vm *vm);

/* ---- slots (vm->lock held) ---- */
/*
 * Allocate the slot's rmap, before the slot is published. 0, -ENOMEM when the
 * host cannot afford it, -EINTR when the caller is killed: a large slot's takes
 * a while.
 */
int shadow_slot_init(struct vigil_vm *vm, struct vigil_slot *slot);
void shadow_slot_free(struct vigil_vm *vm, struct vigil_slot *slot);
/*
 * A slot is on its way out or moves: every shadow page that there is goes, and
 * no TLB knows its SPTEs on return. As with KVM this includes tables in other
 * slots: a VMM that makes its slots anew may have written to tables everywhere.
 * Called twice: while the slot is still published and the notifier protocol
 * keeps new leaf SPTEs of its range out, then again when it is unpublished and
 * SRCU synchronised, for tables shadowed in between. Looking up a shadow page's
 * own gfn may find no slot any more.
 */
void shadow_zap_all(struct vigil_vm *vm);
/* dirty logging starts: no writable SPTE of the slot is left, flushed, on return */
void shadow_slot_protect(struct vigil_vm *vm, struct vigil_slot *slot);
/*
 * Write-protect the pages whose bit is set in @mask, bit 0 being gfn @base.
 * Returns whether an SPTE lost W: the caller flushes once at the end with
 * shadow_flush_vm(). Takes the shadow lock for the word.
 */
bool shadow_protect_mask(struct vigil_vm *vm, struct vigil_slot *slot,
			 gfn_t base, unsigned long mask);
/* every vCPU's guest TLB is clean when it next enters; waits for those inside */
void shadow_flush_vm(struct vigil_vm *vm);

/* ---- a page is watched or no longer watched: watch.c, process context ---- */
/* after watch_gfn() became true: no writable SPTE of @gfn is left on return */
void shadow_protect_gfn(struct vigil_vm *vm, gfn_t gfn);

/* ---- mmu notifier (notifier.c): shadow lock held by the caller ---- */
/* drop SPTEs of gfns [start, end) of the slot; true when a flush is needed */
bool shadow_unmap_gfns(struct vigil_vm *vm, struct vigil_slot *slot,
		       gfn_t start, gfn_t end);
/* clear accessed marks; returns whether any was young */
bool shadow_age_gfns(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t start,
		     gfn_t end, bool clear);
/* mm is going away: drop everything */
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
/* CR0, CR4, EFER, maxphyaddr or the CPUID that shapes paging changed */
void shadow_mode_changed(struct vigil_vcpu *vcpu);
/*
 * MOV CR3: guest's new CR3 is in vcpu->cr3; switches or builds the root, syncs
 * unsync pages as an architectural TLB flush of non-global entries needs
 */
void shadow_new_cr3(struct vigil_vcpu *vcpu);
/* the guest flushed everything (CR4.PGE toggled and the like) */
void shadow_flush_guest(struct vigil_vcpu *vcpu);
void shadow_invlpg(struct vigil_vcpu *vcpu, gva_t gva);
/*
 * PAE paging: latch the PDPTEs from guest memory at vcpu->cr3;
 * 0, -EINVAL reserved bits (#GP), -EFAULT no memory there
 */
int shadow_load_pdptes(struct vigil_vcpu *vcpu);
/*
 * A root for the current mode is loaded and given to the vendor. Cheap when it
 * already is (one test). May sleep. -EINTR, -ENOMEM; -EFAULT: CR3 points at no
 * memory (the core ends the run with a triple fault or a reason).
 */
int shadow_load(struct vigil_vcpu *vcpu);

enum shadow_fault {
	SHADOW_FIXED, /* enter again */
	SHADOW_GUEST, /* the guest's own fault: *error_code is what it sees */
	SHADOW_EMULATE, /* write to a shadowed table or watched page: emulate */
	SHADOW_MMIO, /* no memory there: emulate, gpa in *gpa */
	/* negative errno: -EFAULT (no host memory), -EINTR, -ENOMEM */
};
/*
 * A #PF that the hardware took while the guest ran. Handles dirty logging, A/D,
 * CR0.WP=0, unsync, prefetch. On SHADOW_EMULATE *gpa is the page's.
 */
int shadow_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 *error_code,
		      gpa_t *gpa);

/*
 * The guest's own translation, for the emulator and KVM_TRANSLATE. @access:
 * PFERR_W | PFERR_U | PFERR_I. Sets A (and D for writes) in guest PTEs when
 * @set_ad. 0; -EFAULT with *error_code as the guest's #PF would have it;
 * -EAGAIN when the walk could not read guest memory without sleeping (@atomic).
 */
int shadow_gva_to_gpa(struct vigil_vcpu *vcpu, gva_t gva, u32 access,
		      bool set_ad, gpa_t *gpa, u32 *error_code);

/*
 * What a CPU that has just fetched an instruction at @gva found there: the
 * shadow tables know it, as that is where it looked. @user: CPL 3. False:
 * nothing is mapped for that (any more), ask shadow_gva_to_gpa().
 */
bool shadow_fetched_gfn(struct vigil_vcpu *vcpu, gva_t gva, bool user,
			gfn_t *gfn);

/*
 * Guest memory [gpa, gpa+len) was written by the emulator or by the kernel for
 * the guest: shadowed tables there are brought in step (new PTE value is read
 * back from memory). Called after the write; cheap when the page is no table.
 */
void shadow_written(struct vigil_vm *vm, gpa_t gpa, unsigned int len);
/*
 * Write fault on a table that is then not emulated (or is hit too often): drop
 * the shadow pages of this gfn so that the write can go through. true when
 * there were some.
 */
bool shadow_unprotect(struct vigil_vm *vm, gfn_t gfn);
/*
 * The CPU pushes the frame of an event onto a table, in the middle of a delivery
 * that cannot be emulated: the guest may write to the table, of whatever level it
 * is, until its next flush. true when @gfn was a table that it could not write.
 */
bool shadow_open_table(struct vigil_vm *vm, gfn_t gfn);

/* ---- audit.c ---- */
/* 0 or -EUCLEAN, with what is wrong in the log. vm->lock held, no vCPU running */
int shadow_audit(struct vigil_vm *vm);
/*
 * debug: called by the core right before entry; a downgrade that was not
 * flushed on this vCPU is a bug in vigil: kills the VM with a reason
 */
void shadow_audit_entry(struct vigil_vcpu *vcpu);
/* debug: the vendor did flush this vCPU */
void shadow_audit_flushed(struct vigil_vcpu *vcpu);

#endif
