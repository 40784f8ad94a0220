// SPDX-License-Identifier: GPL-2.0
/* MSRs that live in the VMCB, and the map of those that a guest reaches directly. */
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "svm.h"
#include "vmm/cpu/msr.h"
#include "vmm/pv/pv.h"

#define MAP_WRITE 2 /* of an MSR's two bits in the map */
#define DEBUGCTL_KNOWN 0x3full
#define VM_CR_LOCK BIT_ULL(3)
#define VM_CR_SVMDIS BIT_ULL(4)
#define DE_CFG_LFENCE BIT_ULL(1)

/*
 * VMLOAD and VMSAVE switch these at every entry, so guests access them without
 * an exit.
 */
static const u32 direct[] = {
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_SYSCALL_MASK,
	MSR_FS_BASE,
	MSR_GS_BASE,
	MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP,
};

/*
 * Returns the position of the two bits of an MSR (read, write) in the map, or
 * -1 when the map does not have it.
 */
static int map_bit(u32 msr)
{
	static const u32 base[] = { 0, 0xc0000000, 0xc0010000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(base); i++)
		if (msr >= base[i] && msr - base[i] < 0x2000)
			return (i * 0x2000 + (msr - base[i])) * 2;
	return -1;
}

void svm_msr_map_init(u8 *map, bool watched)
{
	int i, bit;

	for (i = 0; i < ARRAY_SIZE(direct); i++) {
		bit = map_bit(direct[i]);
		if (WARN_ON(bit < 0))
			continue;
		map[bit / 8] &= ~(3 << bit % 8);
		if (watched && msr_watchable(direct[i]))
			map[bit / 8] |= MAP_WRITE << bit % 8;
	}
}

/* Returns the field that holds the MSR, in the VMCB as a rule, or NULL. */
static u64 *msr_field(struct vigil_vcpu *vcpu, u32 msr)
{
	struct vmcb_save *save = &to_svm(vcpu)->vmcb->save;

	/* SYSENTER enters ring 0: the CPU has 0 there, and refuses it. */
	if (pv_in_force(vcpu) && msr == MSR_IA32_SYSENTER_CS)
		return &vcpu->pv.tables->own.sysenter_cs;
	switch (msr) {
	case MSR_STAR:
		return &save->star;
	case MSR_LSTAR:
		return &save->lstar;
	case MSR_CSTAR:
		return &save->cstar;
	case MSR_SYSCALL_MASK:
		return &save->sfmask;
	case MSR_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSR_FS_BASE:
		return &save->fs.base;
	case MSR_GS_BASE:
		return &save->gs.base;
	case MSR_IA32_SYSENTER_CS:
		return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP:
		return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:
		return &save->sysenter_eip;
	default:
		return NULL;
	}
}

/*
 * Does the MSR hold a linear address, which WRMSR refuses when it is not canonical? AMD's
 * CPUs have no SYSENTER in long mode, and take any value for its addresses.
 */
static bool is_address(u32 msr)
{
	switch (msr) {
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
		return true;
	default:
		return false;
	}
}

int svm_get_msr(struct vigil_vcpu *vcpu, u32 msr, u64 *value)
{
	u64 *field = msr_field(vcpu, msr);

	if (field) {
		*value = *field;
		return 0;
	}
	switch (msr) {
	case MSR_VM_CR:
		/* The guest has no SVM and cannot switch it on. */
		*value = VM_CR_LOCK | VM_CR_SVMDIS;
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
	case MSR_IA32_LASTBRANCHFROMIP:
	case MSR_IA32_LASTBRANCHTOIP:
	case MSR_IA32_LASTINTFROMIP:
	case MSR_IA32_LASTINTTOIP:
		*value = 0;
		return 0;
	case MSR_AMD64_DE_CFG:
		*value = boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ?
				 DE_CFG_LFENCE :
				 0;
		return 0;
	default:
		return -ENOENT;
	}
}

int svm_set_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	u64 *field = msr_field(vcpu, msr);
	u64 now;

	if (field) {
		if (is_address(msr) && !msr_canonical(vcpu, value))
			return -EINVAL;
		/* VMLOAD loads these, and no clean bit covers them. */
		*field = value;
		return 0;
	}
	switch (msr) {
	case MSR_IA32_DEBUGCTLMSR:
		/*
		 * Last branches are not recorded: the guest sees a record that
		 * stays empty.
		 */
		return value & ~DEBUGCTL_KNOWN ? -EINVAL : 0;
	case MSR_VM_CR:
	case MSR_AMD64_DE_CFG:
		/*
		 * These MSRs cannot be changed: a guest may only write the
		 * value that it reads.
		 */
		svm_get_msr(vcpu, msr, &now);
		return value == now ? 0 : -EINVAL;
	case MSR_IA32_LASTBRANCHFROMIP:
	case MSR_IA32_LASTBRANCHTOIP:
	case MSR_IA32_LASTINTFROMIP:
	case MSR_IA32_LASTINTTOIP:
		return host && !value ? 0 : -EINVAL;
	default:
		return -ENOENT;
	}
}
