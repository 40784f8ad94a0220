/* SPDX-License-Identifier: GPL-2.0 */
/* CPUID: what is offered, what userspace set, what the guest reads. */
#ifndef VIGIL_CPUID_H
#define VIGIL_CPUID_H

#include "vmm/vcpu.h"

/* Bits of vcpu->cpuid_index.features, for other parts of vigil. */
#define GUEST_HAS_NX BIT(0)
#define GUEST_HAS_LM BIT(1)
#define GUEST_HAS_RDTSCP BIT(2) /* or RDPID: TSC_AUX exists */
#define GUEST_HAS_XSAVE BIT(3)
#define GUEST_HAS_GBPAGES BIT(4)
#define GUEST_HAS_FXSR_OPT BIT(5)
#define GUEST_HAS_AVX BIT(6)
#define GUEST_HAS_MCE BIT(7)
#define GUEST_HAS_MTRR BIT(8)
#define GUEST_HAS_PAT BIT(9)
#define GUEST_IS_AMD BIT(10) /* vendor string: AMD or Hygon */
#define GUEST_HAS_HYPERVISOR BIT(11)
#define GUEST_HAS_ARCH_CAPS BIT(12)

static inline bool guest_has(const struct vigil_vcpu *vcpu, u32 bits)
{
	return vcpu->cpuid_index.features & bits;
}

/* Computes what is offered. host_init() calls it at load. */
void cpuid_init(void);

/**
 * cpuid_supported() - everything vigil can offer, for KVM_GET_SUPPORTED_CPUID
 * @entries:	array
 * @n:		in: room in @entries; out: entries there are
 *
 * Return: 0; -E2BIG: no room, @entries is undefined.
 */
int cpuid_supported(struct kvm_cpuid_entry2 *entries, int *n);

/**
 * cpuid_set() - KVM_SET_CPUID2. vcpu->mutex held
 * @vcpu:	the vCPU
 * @arg:	in userspace, hostile
 *
 * Return: 0; -E2BIG more than VIGIL_MAX_CPUID entries; -EINVAL an address width
 * that cannot be; -EFAULT; -ENOMEM. A failed call changes nothing.
 */
int cpuid_set(struct vigil_vcpu *vcpu, struct kvm_cpuid2 __user *arg);
/*
 * KVM_GET_CPUID2: what the guest reads now. 0; -E2BIG with the number needed in
 * nent; -EFAULT
 */
int cpuid_get(struct vigil_vcpu *vcpu, struct kvm_cpuid2 __user *arg);
void cpuid_vcpu_destroy(struct vigil_vcpu *vcpu);

/**
 * cpuid_query() - what the CPUID instruction returns to this guest
 * @vcpu:	the vCPU
 * @eax:	in: leaf; out
 * @ebx:	out
 * @ecx:	in: subleaf; out
 * @edx:	out
 */
void cpuid_query(struct vigil_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx,
		 u32 *edx);

/**
 * cpuid_update() - derive vcpu->maxphyaddr, cr4_reserved, efer_reserved,
 * guest_xcr0_mask, cr3_reserved and cpuid_index from vcpu->cpuid
 * @vcpu:	the vCPU
 *
 * Called by cpuid_set(); once by the vCPU's creation, with no CPUID at all.
 * Does not tell the vendor or shadow/: cpuid_set() does.
 */
void cpuid_update(struct vigil_vcpu *vcpu);
/* Updates the sizes in leaf 0xD. Called when vcpu->xcr0 has changed. */
void cpuid_xcr0_changed(struct vigil_vcpu *vcpu);

/*
 * Return the EFER and CR4 bits that no guest may set, whatever its CPUID says.
 * KVM_SET_SREGS checks these only, as KVM does not check it against the guest's
 * CPUID.
 */
u64 cpuid_efer_never(void);

#endif
