/* SPDX-License-Identifier: GPL-2.0 */
/* Feature MSRs: what a VMM may offer to its guests by an MSR instead of CPUID. */
#ifndef VIGIL_MSR_FEATURE_H
#define VIGIL_MSR_FEATURE_H

#include <linux/kvm.h>
#include <linux/types.h>

/* Called by host_init(), at load. */
void msr_feature_init(void);
/**
 * msr_arch_capabilities() - IA32_ARCH_CAPABILITIES for guests on this host
 *
 * Return: what the CPU says of faults that it does not have, or that VERW mitigates;
 * 0 on a CPU of AMD's, whose guests have no such MSR.
 */
u64 msr_arch_capabilities(void);

/* KVM_CAP_GET_MSR_FEATURES: is there any on this host? */
bool msr_has_features(void);
/*
 * KVM_GET_MSR_FEATURE_INDEX_LIST. -E2BIG: nmsrs is set to the number; -EFAULT.
 */
int msr_feature_list(struct kvm_msr_list __user *arg);
/**
 * msr_feature_io() - KVM_GET_MSRS on /dev/vigil
 * @arg:	in userspace, hostile
 *
 * Return: entries filled in before the first that is no feature MSR of this host;
 * -E2BIG 256 or more; -EFAULT.
 */
int msr_feature_io(struct kvm_msrs __user *arg);

#endif
