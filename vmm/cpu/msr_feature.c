// SPDX-License-Identifier: GPL-2.0
/*
 * Feature MSRs: what a VMM may offer to its guests by an MSR instead of CPUID. A VMM
 * asks /dev/vigil for them before it makes a vCPU, as it asks for CPUID.
 */
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/processor.h>

#include "msr.h"
#include "msr_feature.h"
#include "vmm/host.h"

/* Bits that older kernels' headers do not name. */
#define CAP_RRSBA BIT_ULL(19)
#define CAP_BHI_NO BIT_ULL(20)
#define CAP_PBRSB_NO BIT_ULL(24)
#define CAP_GDS_NO BIT_ULL(26)
#define CAP_RFDS_NO BIT_ULL(27)
#define CAP_RFDS_CLEAR BIT_ULL(28)
#define CAP_ITS_NO BIT_ULL(62)

/*
 * Bits that say as much of a guest as of the host. No bit of these stands for another
 * MSR: guests have neither SPEC_CTRL nor TSX_CTRL.
 */
#define CAPS_OF_THE_CPU                                                     \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_RSBA | ARCH_CAP_SSB_NO |               \
	 ARCH_CAP_MDS_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO |        \
	 ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR |         \
	 CAP_RRSBA | CAP_BHI_NO | CAP_PBRSB_NO | CAP_GDS_NO | CAP_RFDS_NO | \
	 CAP_RFDS_CLEAR | CAP_ITS_NO)

static u64 arch_capabilities __ro_after_init;

void __init msr_feature_init(void)
{
	u64 caps = 0;

	if (host_info.amd)
		return;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, caps);
	caps &= CAPS_OF_THE_CPU;
	/* The kernel also knows CPUs that are older than the MSR. */
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		caps |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		caps |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		caps |= ARCH_CAP_MDS_NO;
	/*
	 * Shadow pages map 4 KiB each, whatever the guest's tables say: no
	 * translation of a guest is of a large page.
	 */
	caps |= ARCH_CAP_PSCHANGE_MC_NO;
	arch_capabilities = caps;
}

u64 msr_arch_capabilities(void)
{
	return arch_capabilities;
}

bool msr_has_features(void)
{
	return !host_info.amd;
}

int msr_feature_list(struct kvm_msr_list __user *arg)
{
	static const u32 features[] = { MSR_IA32_ARCH_CAPABILITIES };

	return msr_list_out(arg, features,
			    msr_has_features() ? ARRAY_SIZE(features) : 0);
}

int msr_feature_io(struct kvm_msrs __user *arg)
{
	struct kvm_msr_entry __user *entry = arg->entries;
	struct kvm_msrs head;
	u32 index;
	int i;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= VIGIL_MAX_MSR_ENTRIES)
		return -E2BIG;
	for (i = 0; i < head.nmsrs; i++) {
		if (get_user(index, &entry[i].index))
			return -EFAULT;
		if (!msr_has_features() || index != MSR_IA32_ARCH_CAPABILITIES)
			break;
		if (put_user(arch_capabilities, &entry[i].data))
			return -EFAULT;
	}
	return i;
}
