/* SPDX-License-Identifier: GPL-2.0 */
/* The driving half of the interface, between its files: main.c vm.c vcpu.c ... */
#ifndef VIGIL_IOCTL_H
#define VIGIL_IOCTL_H

#include "vmm.h"

/* main.c */
long vigil_check_extension(unsigned long cap);

/* vm.c */
int vigil_create_vm(unsigned long type);

/* vcpu.c */
int vigil_create_vcpu(struct vigil_vm *vm, unsigned long id);
void vigil_destroy_vcpus(struct vigil_vm *vm);
/* the vCPU is on this CPU and stays there with its state: nest inside mutex */
void vcpu_load(struct vigil_vcpu *vcpu);
void vcpu_put(struct vigil_vcpu *vcpu);

/* run.c */
int vcpu_run(struct vigil_vcpu *vcpu);
/* what others want of this vCPU, REQ_EVENT and REQ_LOAD_ROOT aside; 1 go on */
int run_requests(struct vigil_vcpu *vcpu);

/* slot.c */
int vigil_set_slot(struct vigil_vm *vm,
		   const struct kvm_userspace_memory_region2 *r);
struct vigil_slot *vigil_slot_by_id(struct vigil_slots *slots, u16 id);
void vigil_free_slots(struct vigil_vm *vm);
struct vigil_slots *vigil_empty_slots(void);

/* dirty.c */
int vigil_get_dirty_log(struct vigil_vm *vm, const struct kvm_dirty_log *log);
int dirty_bitmap_alloc(struct vigil_slot *slot);

/* notifier.c */
extern const struct mmu_notifier_ops gmem_notifier_ops;
void gmem_block_range(struct vigil_vm *vm, hva_t start, hva_t end);
void gmem_unblock_range(struct vigil_vm *vm);

/* regs.c; vcpu->mutex held, loaded */
int vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs);
int vcpu_set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs);
int vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs);
int vcpu_set_sregs(struct vigil_vcpu *vcpu, const struct kvm_sregs *sregs);
int vcpu_translate(struct vigil_vcpu *vcpu, struct kvm_translation *tr);
void vcpu_reset(struct vigil_vcpu *vcpu);

/*
 * cr.c: what a guest's write does. 0, or -EINVAL: #GP, nothing changed.
 */
int cr8_set(struct vigil_vcpu *vcpu, unsigned long val);
/* any of them by number; -EINVAL: #GP; -ENODEV: #UD */
int cr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int cr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* -EINVAL: #GP; -ENODEV: #UD */
int dr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int dr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* CR0, CR4, EFER as a set, as SET_SREGS presents them */
bool cr_consistent(struct vigil_vcpu *vcpu, unsigned long cr0,
		   unsigned long cr4, u64 efer);

/* emulctl.c */
/* emulate the instruction at RIP; 1 go on, 0 to userspace, -errno */
int emulctl_run(struct vigil_vcpu *vcpu);
/* the same after a #PF at @gva that was walked to @gpa for the access in @ec */
int emulctl_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec);
/* registers were replaced from outside: an emulation under way is forgotten */
void emulctl_forget(struct vigil_vcpu *vcpu);
/*
 * io.c: RIP or CS was replaced from outside: a port access or hypercall that waits
 * there for its end is given up
 */
void io_forget(struct vigil_vcpu *vcpu);
/* fill c's registers and modes from the vCPU */
void emulctl_begin(struct vigil_vcpu *vcpu);
extern const struct emul_ops emulctl_ops;
/*
 * An op answered EMUL_PENDING with vcpu->held set, for a store of @data: wait
 * and make the store if it is allowed. 1: on with the instruction; else leave,
 * and @again is called to come back here. A store is asked about once: when it
 * comes back with vcpu->held, emulctl_ops.write() answers EMUL_PENDING again.
 */
int emulctl_held(struct vigil_vcpu *vcpu, const void *data, unsigned int len,
		 int (*again)(struct vigil_vcpu *vcpu));
/* is there no memory behind a linear address that probe() found good? */
bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la);

/* fetch.c */
/* an instruction runs over the page end and only that was fetched; 1: #PF queued */
int fetch_fault_next(struct vigil_vcpu *vcpu);
static inline void fetch_flush(struct vigil_vcpu *vcpu)
{
	vcpu->fetch.page = ~0ul;
}

/* reload.c: the test-only fault */
extern bool reload_segments; /* __ro_after_init */
void reload_hidden(struct vigil_vcpu *vcpu);

/* exit.c */
int exit_internal_error(struct vigil_vcpu *vcpu, u32 suberror, const u8 *insn,
			unsigned int len);

#endif
