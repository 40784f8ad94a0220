/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs of a guest that no vendor keeps in its control block. */
#ifndef VIGIL_MSR_H
#define VIGIL_MSR_H

#include "vmm/vcpu.h"

/* KVM_GET_MSRS and KVM_SET_MSRS take fewer entries than this, as in KVM. */
#define VIGIL_MAX_MSR_ENTRIES 256

/* Called by host_init(), at load. */
void msr_init(void);
/* Sets the values at RESET. Called by vcpu_reset(). */
void msr_vcpu_reset(struct vigil_vcpu *vcpu);

/**
 * msr_get() - read an MSR of the guest
 * @vcpu:	the vCPU
 * @msr:	its number
 * @value:	out, where 0 is returned
 * @host:	asked by userspace (KVM_GET_MSRS), not by the guest's RDMSR
 *
 * Return: 0; -ENOENT no such MSR; -EINVAL there, but not for this guest. A guest
 * gets #GP for either.
 */
int msr_get(struct vigil_vcpu *vcpu, u32 msr, u64 *value, bool host);
/**
 * msr_set() - write an MSR of the guest, with the architecture's checks
 * @vcpu:	the vCPU
 * @msr:	its number
 * @value:	for it
 * @host:	asked by userspace (KVM_SET_MSRS), not by the guest's WRMSR
 *
 * Return: 0; -ENOENT; -EINVAL (reserved bits, read-only). As msr_get().
 */
int msr_set(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host);

/*
 * Can writes of this MSR be watched? It is one by which the guest's kernel is entered, or
 * EFER: nothing but WRMSR writes it.
 */
bool msr_watchable(u32 msr);
/*
 * Would the guest's WRMSR of such an MSR fault? 0; -EINVAL. *@value becomes what it would
 * have.
 */
int msr_check(struct vigil_vcpu *vcpu, u32 msr, u64 *value);

/*
 * May an MSR that holds a linear address be set to @addr in the guest's mode?
 */
static inline bool msr_canonical(const struct vigil_vcpu *vcpu, u64 addr)
{
	return gva_canonical(addr, vcpu->cr4 & X86_CR4_LA57 ? 57 : 48);
}

/**
 * msr_mce_supported() - KVM_X86_GET_MCE_CAP_SUPPORTED's answer
 *
 * Return: MCG_CAP with all that a VMM may ask for.
 */
u64 msr_mce_supported(void);
/**
 * msr_setup_mce() - MCG_CAP as the VMM wants it, and its banks as after reset
 * @vcpu:	the vCPU, its mutex held
 * @cap:	the number of banks in bits 7 to 0; bit 8: there is a MCG_CTL
 *
 * Return: 0, -EINVAL no banks, too many, or another bit.
 */
int msr_setup_mce(struct vigil_vcpu *vcpu, u64 cap);
/**
 * msr_set_mce() - log a machine-check error, and raise #MC for an uncorrected one
 * @vcpu:	the vCPU, its mutex held
 * @e:		bank, status, address, misc and MCG_STATUS
 *
 * Return: 0, -EINVAL no such bank, or a status that is not valid.
 */
int msr_set_mce(struct vigil_vcpu *vcpu, const struct kvm_x86_mce *e);
/* Has the value no reserved bit set? */
bool msr_apic_base_valid(const struct vigil_vcpu *vcpu, u64 v);

/*
 * Gives userspace the @n numbers of @msrs. -E2BIG: nmsrs is set to the number;
 * -EFAULT.
 */
int msr_list_out(struct kvm_msr_list __user *arg, const u32 *msrs,
		 unsigned int n);
/* KVM_GET_MSR_INDEX_LIST. -E2BIG: nmsrs is set to the number; -EFAULT. */
int msr_index_list(struct kvm_msr_list __user *arg);

/**
 * msr_io() - KVM_GET_MSRS and KVM_SET_MSRS. vcpu->mutex held, vCPU loaded
 * @vcpu:	the vCPU
 * @arg:	in userspace, hostile
 * @write:	SET
 *
 * Return: entries done before the first that failed; -E2BIG 256 or more;
 * -EFAULT; -ENOMEM.
 */
int msr_io(struct vigil_vcpu *vcpu, struct kvm_msrs __user *arg, bool write);

#endif
