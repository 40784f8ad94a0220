/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs that the VMM answers: KVM_CAP_X86_USER_SPACE_MSR, KVM_X86_SET_MSR_FILTER. */
#ifndef VIGIL_MSR_FILTER_H
#define VIGIL_MSR_FILTER_H

#include "vmm/vm.h"

/* struct kvm_msr_filter as a 32-bit VMM has it. */
struct compat_msr_filter {
	__u32 flags;
	struct {
		__u32 flags;
		__u32 nmsrs;
		__u32 base;
		__u32 bitmap;
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
};

#define COMPAT_SET_MSR_FILTER _IOW(KVMIO, 0xc6, struct compat_msr_filter)

/**
 * msr_filter_set() - KVM_X86_SET_MSR_FILTER
 * @vm:		the VM
 * @user:	struct kvm_msr_filter, or struct compat_msr_filter
 * @compat:	which of them
 *
 * Sleeps. When it returns, each access that begins uses the new filter.
 * Return: 0; -EINVAL flags, or a default of deny without a range; -ENOMEM; -EFAULT;
 * -EINTR.
 */
long msr_filter_set(struct vigil_vm *vm, void __user *user, bool compat);
/* At the end of a VM. */
void msr_filter_free(struct vigil_vm *vm);
bool msr_filter_denies(struct vigil_vm *vm, u32 msr, bool write);

/* May the guest access the MSR? Under vm->srcu. */
static inline bool msr_filter_allows(struct vigil_vm *vm, u32 msr, bool write)
{
	return likely(!rcu_access_pointer(vm->msr_filter)) ||
	       !msr_filter_denies(vm, msr, write);
}

#endif
