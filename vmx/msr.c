// SPDX-License-Identifier: GPL-2.0
/* MSRs that live in the VMCS or are switched, and the map of those that a guest reaches directly. */
#include <asm/msr.h>
#include <asm/processor-flags.h>

#include "vmx.h"
#include "vmm/cpu/msr.h"
#include "vmm/pv/pv.h"

/*
 * The VMCS has these, or they are read back when the vCPU is put: guests access
 * them without an exit.
 */
static const u32 direct[] = {
	MSR_FS_BASE,	      MSR_GS_BASE,	     MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

#define MAP_READ 0
#define MAP_WRITE 2048
#define MAP_HIGH 1024 /* of c0000000 and up */

/*
 * SDM volume 3, "MSR-Bitmap Address": each MSR has a bit for reads, and in
 * another part of the map one for writes.
 */
void vmx_msr_map_init(u8 *map, bool watched)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(direct); i++) {
		u8 *at = map + (direct[i] >> 31 ? MAP_HIGH : 0) +
			 (direct[i] & 0x1fff) / 8;
		u8 bit = 1 << direct[i] % 8;

		at[MAP_READ] &= ~bit;
		if (!watched || !msr_watchable(direct[i]))
			at[MAP_WRITE] &= ~bit;
	}
}

/* Returns the index of the MSR in vmx_vcpu.msr, or -1. */
static int switched(u32 msr)
{
	int i;

	for (i = 0; i < NR_VMX_MSRS; i++)
		if (vmx_msr_number[i] == msr)
			return i;
	return -1;
}

/*
 * Does the MSR hold a linear address? WRMSR or VM entry refuses one that is not
 * canonical.
 */
static bool is_address(u32 msr)
{
	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
	case MSR_LSTAR:
	case MSR_CSTAR:
		return true;
	default:
		return false;
	}
}

/*
 * After the first entry, and until the vCPU is put, the MSR itself holds the
 * guest's value.
 */
static u64 get_kernel_gs_base(struct vmx_vcpu *vmx)
{
	u64 v;

	preempt_disable();
	if (vmx->host_loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	v = vmx->kernel_gs_base;
	preempt_enable();
	return v;
}

static void set_kernel_gs_base(struct vmx_vcpu *vmx, u64 v)
{
	preempt_disable();
	vmx->kernel_gs_base = v;
	if (vmx->host_loaded)
		wrmsrl(MSR_KERNEL_GS_BASE, v);
	preempt_enable();
}

static void set_base(struct vmx_vcpu *vmx, enum vigil_seg seg, u64 base)
{
	struct vmx_seg s = *vmx_seg(vmx, seg);

	s.base = base;
	vmx_seg_write(vmx, seg, &s);
}

int vmx_get_msr(struct vigil_vcpu *vcpu, u32 msr, u64 *value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	switch (msr) {
	case MSR_FS_BASE:
		*value = vmx_get_seg_base(vcpu, SEG_FS);
		return 0;
	case MSR_GS_BASE:
		*value = vmx_get_seg_base(vcpu, SEG_GS);
		return 0;
	case MSR_KERNEL_GS_BASE:
		*value = get_kernel_gs_base(vmx);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		*value = pv_in_force(vcpu) ? vcpu->pv.tables->own.sysenter_cs :
					     vmcs_read32(GUEST_SYSENTER_CS);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		*value = vmcs_readl(GUEST_SYSENTER_ESP);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		*value = vmcs_readl(GUEST_SYSENTER_EIP);
		return 0;
	}
	i = switched(msr);
	if (i < 0)
		return -ENOENT;
	*value = vmx->msr[i];
	return 0;
}

int vmx_set_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i = switched(msr);

	if (is_address(msr) && !msr_canonical(vcpu, value))
		return -EINVAL;
	switch (msr) {
	case MSR_FS_BASE:
		set_base(vmx, SEG_FS, value);
		return 0;
	case MSR_GS_BASE:
		set_base(vmx, SEG_GS, value);
		return 0;
	case MSR_KERNEL_GS_BASE:
		set_kernel_gs_base(vmx, value);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		/* SYSENTER enters ring 0: the CPU has 0 there, and refuses it. */
		if (pv_in_force(vcpu))
			vcpu->pv.tables->own.sysenter_cs = (u32)value;
		else
			vmcs_write32(GUEST_SYSENTER_CS, value);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		vmcs_writel(GUEST_SYSENTER_ESP, value);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		vmcs_writel(GUEST_SYSENTER_EIP, value);
		return 0;
	}
	if (i < 0)
		return -ENOENT;
	/* SFMASK has 32 bits; entry brings the CPU's own MSR in step */
	if (msr == MSR_SYSCALL_MASK && value >> 32)
		return -EINVAL;
	vmx->msr[i] = value;
	vmx->msrs_loaded = false;
	return 0;
}
