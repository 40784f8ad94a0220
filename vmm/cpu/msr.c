// SPDX-License-Identifier: GPL-2.0
/*
 * MSRs of a guest that no vendor keeps in its control block, and the ioctls.
 *
 * What Linux, SeaBIOS and QEMU use works; what they only touch on the way reads
 * as a sane constant; everything else is #GP.
 */
#include <linux/kvm_para.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr-index.h>

#include "cpuid.h"
#include "inject.h"
#include "msr.h"
#include "msr_feature.h"
#include "tsc.h"
#include "shadow/shadow.h"
#include "vmm/host.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"

#define MTRR_CAP_VALUE (VIGIL_MTRR_VAR | BIT(8) | BIT(10)) /* FIX, WC */
#define MTRR_DEF_VALID 0xcffull /* E, FE, type */
#define APIC_BASE_RESET (0xfee00000ull | APIC_ENABLE)
#define APIC_ENABLE BIT_ULL(11)
#define APIC_BSP BIT_ULL(8)
#define APIC_BASE_RESERVED (0x2ffull | BIT_ULL(10)) /* no x2APIC */
/* Says that PEBS and BTS do not exist; these bits are read-only. */
#define MISC_ENABLE_FIXED \
	(MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
#define PAT_RESET 0x0007040600070406ull
#define HWCR_IGNORED (BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8))
#define HWCR_MCSTATUS_WR BIT_ULL(18)
#define HWCR_TSC_FREQ BIT_ULL(24) /* TSC counts at P0's rate */
#define DE_CFG_LFENCE BIT_ULL(1)
#define MCG_CTL_PRESENT BIT_ULL(8)
#define UCODE_REV_AMD 0x01000065ull
#define UCODE_REV_INTEL 0x100000000ull

/* Checks a register with one memory type in each byte. */
static bool types_valid(u64 v, u32 valid)
{
	int i;

	for (i = 0; i < 8; i++, v >>= 8)
		if ((v & 0xff) > 7 || !(valid & BIT(v & 0xff)))
			return false;
	return true;
}

#define MTRR_TYPES (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6))
#define PAT_TYPES (MTRR_TYPES | BIT(7))

static u64 above_maxphyaddr(const struct vigil_vcpu *vcpu)
{
	return ~0ull << vcpu->maxphyaddr;
}

bool msr_apic_base_valid(const struct vigil_vcpu *vcpu, u64 v)
{
	return !(v & (APIC_BASE_RESERVED | above_maxphyaddr(vcpu)));
}

/* --- MTRRs: kept and checked; guest memory is write-back whatever they say --- */

/* Returns the index in msrs.mtrr_fixed, or -1. */
static int mtrr_fixed_index(u32 msr)
{
	switch (msr) {
	case MSR_MTRRfix64K_00000:
		return 0;
	case MSR_MTRRfix16K_80000:
	case MSR_MTRRfix16K_A0000:
		return msr - MSR_MTRRfix16K_80000 + 1;
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return msr - MSR_MTRRfix4K_C0000 + 3;
	default:
		return -1;
	}
}

static u64 *mtrr_of(struct vigil_vcpu *vcpu, u32 msr)
{
	struct vigil_msrs *m = &vcpu->msrs;
	int fixed = mtrr_fixed_index(msr);

	if (fixed >= 0)
		return &m->mtrr_fixed[array_index_nospec(
			fixed, ARRAY_SIZE(m->mtrr_fixed))];
	if (msr == MSR_MTRRdefType)
		return &m->mtrr_deftype;
	if (msr >= 0x200 && msr < 0x200 + 2 * VIGIL_MTRR_VAR)
		return &m->mtrr_var[array_index_nospec(
			msr - 0x200, ARRAY_SIZE(m->mtrr_var))];
	return NULL;
}

static int mtrr_set(struct vigil_vcpu *vcpu, u32 msr, u64 v)
{
	u64 *reg = mtrr_of(vcpu, msr);
	u32 type = v & 0xff;

	if (!reg)
		return -ENOENT;
	if (mtrr_fixed_index(msr) >= 0) {
		if (!types_valid(v, MTRR_TYPES))
			return -EINVAL;
	} else if (msr == MSR_MTRRdefType) {
		if ((v & ~MTRR_DEF_VALID) || type > 6 ||
		    !(MTRR_TYPES & BIT(type)))
			return -EINVAL;
	} else if (msr & 1) {
		if (v & (above_maxphyaddr(vcpu) | 0x7ff))
			return -EINVAL;
	} else if ((v & (above_maxphyaddr(vcpu) | 0xf00)) || type > 6 ||
		   !(MTRR_TYPES & BIT(type))) {
		return -EINVAL;
	}
	*reg = v;
	return 0;
}

/* --- machine check --- */

static unsigned int mce_banks(const struct vigil_vcpu *vcpu)
{
	return min_t(unsigned int, vcpu->msrs.mcg_cap & 0xff, VIGIL_MCE_BANKS);
}

static u64 *mce_of(struct vigil_vcpu *vcpu, u32 msr)
{
	if (msr < MSR_IA32_MC0_CTL ||
	    msr >= MSR_IA32_MC0_CTL + 4 * mce_banks(vcpu))
		return NULL;
	return &vcpu->msrs.mce[array_index_nospec(msr - MSR_IA32_MC0_CTL,
						  VIGIL_MCE_BANKS * 4)];
}

/* What a VMM may ask for besides the number of banks: KVM_X86_SETUP_MCE. */
u64 msr_mce_supported(void)
{
	return MCG_CTL_PRESENT | VIGIL_MCE_BANKS;
}

int msr_setup_mce(struct vigil_vcpu *vcpu, u64 cap)
{
	struct vigil_msrs *m = &vcpu->msrs;
	unsigned int banks = cap & 0xff, i;

	if (!banks || banks > VIGIL_MCE_BANKS ||
	    cap & ~(0xffull | MCG_CTL_PRESENT))
		return -EINVAL;
	m->mcg_cap = cap;
	m->mcg_status = 0;
	m->mcg_ctl = cap & MCG_CTL_PRESENT ? ~0ull : 0;
	memset(m->mce, 0, sizeof(m->mce));
	for (i = 0; i < banks; i++)
		m->mce[i * 4] = ~0ull;
	return 0;
}

/*
 * KVM_X86_SET_MCE: the VMM supplies an error, which is logged and raised as the
 * CPU would do it.
 */
int msr_set_mce(struct vigil_vcpu *vcpu, const struct kvm_x86_mce *e)
{
	struct vigil_msrs *m = &vcpu->msrs;
	u64 *bank, status = e->status;
	bool uncorrected = status & MCI_STATUS_UC;

	if (e->bank >= mce_banks(vcpu) || !(status & MCI_STATUS_VAL))
		return -EINVAL;
	/* CTL, STATUS, ADDR, MISC */
	bank = &m->mce[4 * array_index_nospec(e->bank, VIGIL_MCE_BANKS)];
	/* An error whose reporting the guest has switched off is not raised. */
	if (uncorrected && (bank[0] != ~0ull || (m->mcg_cap & MCG_CTL_PRESENT &&
						 m->mcg_ctl != ~0ull)))
		return 0;
	if (uncorrected &&
	    (m->mcg_status & MCG_STATUS_MCIP || !(vcpu->cr4 & X86_CR4_MCE))) {
		vcpu->events.triple_fault = true;
		vigil_request(vcpu, REQ_EVENT);
		return 0;
	}
	if (bank[1] & MCI_STATUS_VAL) {
		/* A corrected error does not overwrite an uncorrected one. */
		if (!uncorrected && bank[1] & MCI_STATUS_UC) {
			bank[1] |= MCI_STATUS_OVER;
			return 0;
		}
		status |= MCI_STATUS_OVER;
	}
	bank[1] = status;
	bank[2] = e->addr;
	bank[3] = e->misc;
	if (uncorrected) {
		m->mcg_status = e->mcg_status;
		event_exception(vcpu, X86_TRAP_MC);
	}
	return 0;
}

static int mce_set(struct vigil_vcpu *vcpu, u32 msr, u64 v, bool host)
{
	u64 *reg = mce_of(vcpu, msr);

	if (!reg)
		return -ENOENT;
	switch ((msr - MSR_IA32_MC0_CTL) & 3) {
	case 0:
		/*
		 * Only all bits or none can be set; Linux leaves out bit 10 or
		 * bit 0 on some CPUs.
		 */
		if (v && (v | BIT(10) | BIT(0)) != ~0ull)
			return -EINVAL;
		break;
	case 1:
		if (v && !host && !(vcpu->msrs.hwcr & HWCR_MCSTATUS_WR))
			return -EINVAL;
		break;
	}
	*reg = v;
	return 0;
}

/* --- EFER --- */

/*
 * Sets EFER for WRMSR, or for userspace if @host. A guest's write leaves LMA as
 * it is, since CR0.PG decides about it; userspace may set it. Tells the vendor
 * and shadow/. 0; -EINVAL: #GP, nothing has changed.
 */
static int check_efer(const struct vigil_vcpu *vcpu, u64 *efer, bool host)
{
	if (*efer & (host ? cpuid_efer_never() : vcpu->efer_reserved))
		return -EINVAL;
	if (is_paging(vcpu) && ((*efer ^ vcpu->efer) & EFER_LME))
		return -EINVAL;
	/* The CPU derives LMA from LME and CR0.PG. */
	*efer = (*efer & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA);
	return 0;
}

static int msr_set_efer(struct vigil_vcpu *vcpu, u64 efer, bool host)
{
	u64 old = vcpu->efer;

	if (check_efer(vcpu, &efer, host))
		return -EINVAL;
	if (efer == old)
		return 0;
	vcpu->efer = efer;
	vmm_ops->update_efer(vcpu);
	if ((efer ^ old) & (EFER_NX | EFER_LME))
		shadow_mode_changed(vcpu);
	return 0;
}

/* --- MSRs whose value does not matter --- */

/*
 * These MSRs read as @value. A write of a bit outside @writable raises #GP,
 * other writes are ignored; so a value that was read can be written back.
 */
static const struct constant_msr {
	u32 msr;
	u64 value, writable;
} constants[] = {
	{ MSR_IA32_PLATFORM_ID, 0, 0 },
	{ MSR_IA32_P5_MC_ADDR, 0, 0 },
	{ MSR_IA32_P5_MC_TYPE, 0, 0 },
	{ MSR_IA32_EBL_CR_POWERON, 0, 0 },
	{ MSR_EBC_FREQUENCY_ID, 1 << 24, 0 },
	{ MSR_IA32_UCODE_WRITE, 0, ~0ull },
	{ MSR_IA32_BBL_CR_CTL3, 0xbe702111, 0 },
	{ MSR_IA32_PERF_STATUS, 4ull << 40 | 1000, 0 },
	{ MSR_IA32_PERF_CTL, 0, 0 },
	{ MSR_IA32_DEBUGCTLMSR, 0, 0 },
	{ MSR_IA32_LASTBRANCHFROMIP, 0, 0 },
	{ MSR_IA32_LASTBRANCHTOIP, 0, 0 },
	{ MSR_IA32_LASTINTFROMIP, 0, 0 },
	{ MSR_IA32_LASTINTTOIP, 0, 0 },
	/* The performance counters do not exist: they read as 0. */
	{ MSR_P6_PERFCTR0, 0, ~0ull },
	{ MSR_P6_PERFCTR1, 0, ~0ull },
	{ MSR_P6_EVNTSEL0, 0, ~0ull },
	{ MSR_P6_EVNTSEL1, 0, ~0ull },
	{ MSR_K7_EVNTSEL0, 0, ~0ull },
	{ MSR_K7_EVNTSEL1, 0, ~0ull },
	{ MSR_K7_EVNTSEL2, 0, ~0ull },
	{ MSR_K7_EVNTSEL3, 0, ~0ull },
	{ MSR_K7_PERFCTR0, 0, ~0ull },
	{ MSR_K7_PERFCTR1, 0, ~0ull },
	{ MSR_K7_PERFCTR2, 0, ~0ull },
	{ MSR_K7_PERFCTR3, 0, ~0ull },
	/* Windows reads how much energy was used: none, as far as it is told. */
	{ MSR_RAPL_POWER_UNIT, 0, 0 },
	{ MSR_PKG_ENERGY_STATUS, 0, 0 },
	{ MSR_DRAM_ENERGY_STATUS, 0, 0 },
	{ MSR_PP0_ENERGY_STATUS, 0, 0 },
	{ MSR_PP1_ENERGY_STATUS, 0, 0 },
	{ MSR_K7_CLK_CTL, 0x20000000, 0 },
	{ MSR_AMD64_NB_CFG, 0, 0 },
	{ MSR_AMD64_PATCH_LOADER, 0, ~0ull },
	{ MSR_K8_INT_PENDING_MSG, 0, 0 },
	{ MSR_FAM10H_MMIO_CONF_BASE, 0, 0 },
	{ MSR_K8_TSEG_ADDR, 0, 0 },
	{ MSR_K8_TSEG_MASK, 0, 0 },
	{ MSR_AMD64_DC_CFG, 0, 0 },
	{ MSR_AMD64_BU_CFG2, 0, 0 },
	{ MSR_F15H_EX_CFG, 0, 0 },
};

static const struct constant_msr *constant_of(u32 msr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].msr == msr)
			return &constants[i];
	return NULL;
}

/* --- one MSR --- */

static u64 de_cfg(void)
{
	return boot_cpu_has(X86_FEATURE_LFENCE_RDTSC) ? DE_CFG_LFENCE : 0;
}

static int core_get(struct vigil_vcpu *vcpu, u32 msr, u64 *v, bool host)
{
	const struct constant_msr *c;
	const u64 *reg;

	switch (msr) {
	case MSR_EFER:
		*v = vcpu->efer;
		return 0;
	case MSR_IA32_TSC:
		*v = tsc_guest(vcpu);
		return 0;
	case MSR_TSC_AUX:
		if (!host && !guest_has(vcpu, GUEST_HAS_RDTSCP))
			return -EINVAL;
		*v = vcpu->tsc_aux;
		return 0;
	case MSR_IA32_APICBASE:
		*v = vcpu->apic_base;
		return 0;
	case MSR_IA32_CR_PAT:
		*v = vcpu->pat;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		*v = vcpu->misc_enable;
		return 0;
	case MSR_IA32_UCODE_REV:
		*v = vcpu->msrs.ucode_rev;
		return 0;
	case MSR_IA32_FEAT_CTL:
		if (guest_has(vcpu, GUEST_IS_AMD))
			return -ENOENT;
		*v = FEAT_CTL_LOCKED;
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (host_info.amd)
			return -ENOENT;
		*v = vcpu->msrs.arch_capabilities;
		return host || guest_has(vcpu, GUEST_HAS_ARCH_CAPS) ? 0 :
								      -EINVAL;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
		/*
		 * These are off, as in KVM. VMMs save them without asking
		 * whether they exist.
		 */
	case MSR_IA32_XSS:
		/* XSAVES is not offered */
		*v = 0;
		return host ? 0 : -EINVAL;
	case MSR_MTRRcap:
		*v = MTRR_CAP_VALUE;
		return 0;
	case MSR_IA32_MCG_CAP:
		*v = vcpu->msrs.mcg_cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*v = vcpu->msrs.mcg_status;
		return 0;
	case MSR_IA32_MCG_CTL:
		*v = vcpu->msrs.mcg_ctl;
		return vcpu->msrs.mcg_cap & MCG_CTL_PRESENT ? 0 : -EINVAL;
	case MSR_IA32_POWER_CTL:
		*v = vcpu->msrs.power_ctl;
		return 0;
	case MSR_PLATFORM_INFO:
		*v = vcpu->msrs.platform_info;
		return 0;
	case MSR_MISC_FEATURES_ENABLES:
		*v = vcpu->msrs.misc_features;
		return 0;
	case MSR_AMD64_SYSCFG:
		*v = vcpu->msrs.syscfg;
		return 0;
	case MSR_K7_HWCR:
		*v = vcpu->msrs.hwcr | HWCR_TSC_FREQ;
		return 0;
	case MSR_AMD64_DE_CFG:
		*v = de_cfg();
		return 0;
	}

	reg = mtrr_of(vcpu, msr);
	if (!reg)
		reg = mce_of(vcpu, msr);
	if (reg) {
		*v = *reg;
		return 0;
	}
	c = constant_of(msr);
	if (!c)
		return -ENOENT;
	*v = c->value;
	return 0;
}

/* What a VMM takes away from a guest that has switched it on cannot be. */
static int set_platform_info(struct vigil_vcpu *vcpu, u64 v, bool host)
{
	if (!host || v & ~(u64)MSR_PLATFORM_INFO_CPUID_FAULT ||
	    (!v && vcpu->msrs.misc_features))
		return -EINVAL;
	vcpu->msrs.platform_info = v;
	return 0;
}

static int set_misc_features(struct vigil_vcpu *vcpu, u64 v)
{
	if (v & ~(u64)MSR_MISC_FEATURES_ENABLES_CPUID_FAULT ||
	    (v && !vcpu->msrs.platform_info))
		return -EINVAL;
	vcpu->msrs.misc_features = v;
	return 0;
}

static int core_set(struct vigil_vcpu *vcpu, u32 msr, u64 v, bool host)
{
	const struct constant_msr *c;
	int ret;

	switch (msr) {
	case MSR_EFER:
		return msr_set_efer(vcpu, v, host);
	case MSR_IA32_TSC:
		tsc_set(vcpu, v, host);
		return 0;
	case MSR_TSC_AUX:
		if (upper_32_bits(v) ||
		    (!host && !guest_has(vcpu, GUEST_HAS_RDTSCP)))
			return -EINVAL;
		vcpu->tsc_aux = v;
		return 0;
	case MSR_IA32_APICBASE:
		if (!msr_apic_base_valid(vcpu, v))
			return -EINVAL;
		vcpu->apic_base = v;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		vcpu->misc_enable = v | MISC_ENABLE_FIXED;
		return 0;
	case MSR_IA32_UCODE_REV:
		/*
		 * A guest's write asks the CPU for its microcode signature:
		 * nothing has to be done.
		 */
		if (host)
			vcpu->msrs.ucode_rev = v;
		return 0;
	case MSR_IA32_FEAT_CTL:
		/* The register is locked. */
		return host && v == FEAT_CTL_LOCKED ? 0 : -EINVAL;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (host_info.amd)
			return -ENOENT;
		if (!host)
			return -EINVAL;
		vcpu->msrs.arch_capabilities = v;
		return 0;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:
	case MSR_IA32_XSS:
		return host && !v ? 0 : -EINVAL;
	case MSR_MTRRcap:
		return host && v == MTRR_CAP_VALUE ? 0 : -EINVAL;
	case MSR_IA32_MCG_CAP:
		return host && v == vcpu->msrs.mcg_cap ? 0 : -EINVAL;
	case MSR_IA32_MCG_STATUS:
		vcpu->msrs.mcg_status = v;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->msrs.mcg_cap & MCG_CTL_PRESENT) || (v && ~v))
			return -EINVAL;
		vcpu->msrs.mcg_ctl = v;
		return 0;
	case MSR_IA32_POWER_CTL:
		/* It is kept; the power of the host is not the guest's. */
		vcpu->msrs.power_ctl = v;
		return 0;
	case MSR_PLATFORM_INFO:
		return set_platform_info(vcpu, v, host);
	case MSR_MISC_FEATURES_ENABLES:
		return set_misc_features(vcpu, v);
	case MSR_AMD64_SYSCFG:
		/*
		 * TOM2 and memory encryption do not exist; the MTRR bits have
		 * no effect.
		 */
		if (v & ~0x1c0000ull)
			return -EINVAL;
		vcpu->msrs.syscfg = v;
		return 0;
	case MSR_K7_HWCR:
		if (v & ~(HWCR_IGNORED | HWCR_MCSTATUS_WR | HWCR_TSC_FREQ))
			return -EINVAL;
		vcpu->msrs.hwcr = v & HWCR_MCSTATUS_WR;
		return 0;
	case MSR_AMD64_DE_CFG:
		/*
		 * A guest may set the bit that makes LFENCE serializing, and no
		 * other.
		 */
		return v & ~DE_CFG_LFENCE ? -EINVAL : 0;
	}

	ret = mtrr_set(vcpu, msr, v);
	if (ret == -ENOENT)
		ret = mce_set(vcpu, msr, v, host);
	if (ret != -ENOENT)
		return ret;
	c = constant_of(msr);
	if (!c)
		return -ENOENT;
	return (v ^ c->value) & ~c->writable ? -EINVAL : 0;
}

int msr_get(struct vigil_vcpu *vcpu, u32 msr, u64 *value, bool host)
{
	int ret = vmm_ops->get_msr(vcpu, msr, value);

	if (ret == -ENOENT)
		ret = core_get(vcpu, msr, value, host);
	/* That of the hypercall page can only be written: it reads as 0. */
	if (ret == -ENOENT && !host && msr && msr == vcpu->vm->pv.msr) {
		*value = 0;
		ret = 0;
	}
	return ret;
}

int msr_set(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	int ret;

	if (msr == MSR_IA32_CR_PAT) {
		if (!types_valid(value, PAT_TYPES))
			return -EINVAL;
		vcpu->pat = value;
		ret = vmm_ops->set_msr(vcpu, msr, value, host);
		return ret == -ENOENT ? 0 : ret;
	}
	ret = vmm_ops->set_msr(vcpu, msr, value, host);
	if (ret == -ENOENT)
		ret = core_set(vcpu, msr, value, host);
	if (ret == -ENOENT && !host && msr && msr == vcpu->vm->pv.msr)
		ret = pv_write_page(vcpu, value);
	return ret;
}

bool msr_watchable(u32 msr)
{
	switch (msr) {
	case MSR_EFER:
	case MSR_STAR:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_SYSCALL_MASK:
	case MSR_IA32_SYSENTER_CS:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		return true;
	}
	return false;
}

int msr_check(struct vigil_vcpu *vcpu, u32 msr, u64 *value)
{
	bool ok = true;

	switch (msr) {
	case MSR_EFER:
		return check_efer(vcpu, value, false);
	case MSR_LSTAR:
	case MSR_CSTAR:
		ok = msr_canonical(vcpu, *value);
		break;
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		/* AMD takes any value and keeps 32 bits: long mode has no SYSENTER there. */
		ok = host_info.amd || msr_canonical(vcpu, *value);
		break;
	case MSR_SYSCALL_MASK:
		/* It has 32 bits; AMD ignores the others. */
		ok = host_info.amd || !upper_32_bits(*value);
		break;
	}
	return ok ? 0 : -EINVAL;
}

void msr_vcpu_reset(struct vigil_vcpu *vcpu)
{
	struct vigil_msrs *m = &vcpu->msrs;

	memset(m, 0, sizeof(*m));
	m->mcg_cap = VIGIL_MCE_BANKS;
	m->platform_info = MSR_PLATFORM_INFO_CPUID_FAULT;
	m->arch_capabilities = msr_arch_capabilities();
	m->ucode_rev = host_info.amd ? UCODE_REV_AMD : UCODE_REV_INTEL;
	vcpu->pat = PAT_RESET;
	vcpu->apic_base = APIC_BASE_RESET | (vcpu->id ? 0 : APIC_BSP);
	vcpu->misc_enable = MISC_ENABLE_FIXED;
	vcpu->tsc_aux = 0;
	vcpu->xss = 0;
	tsc_reset(vcpu);
}

/* --- ioctls --- */

/*
 * MSRs that a VMM saves and restores with a vCPU: each can be set to the value
 * that was read.
 */
static u32 saved_msrs[] __ro_after_init = {
	MSR_IA32_SYSENTER_CS,
	MSR_IA32_SYSENTER_ESP,
	MSR_IA32_SYSENTER_EIP,
	MSR_STAR,
	MSR_LSTAR,
	MSR_CSTAR,
	MSR_SYSCALL_MASK,
	MSR_KERNEL_GS_BASE,
	MSR_IA32_TSC,
	MSR_IA32_CR_PAT,
	MSR_IA32_APICBASE,
	MSR_EFER,
	MSR_IA32_MISC_ENABLE,
	MSR_IA32_POWER_CTL,
	MSR_PLATFORM_INFO,
	MSR_MISC_FEATURES_ENABLES, /* after the one that allows it */
	MSR_IA32_UCODE_REV,
	MSR_IA32_MCG_STATUS,
	MSR_K7_HWCR,
	MSR_AMD64_SYSCFG,
	MSR_MTRRdefType,
	MSR_MTRRfix64K_00000,
	MSR_MTRRfix16K_80000,
	MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000,
	MSR_MTRRfix4K_C8000,
	MSR_MTRRfix4K_D0000,
	MSR_MTRRfix4K_D8000,
	MSR_MTRRfix4K_E0000,
	MSR_MTRRfix4K_E8000,
	MSR_MTRRfix4K_F0000,
	MSR_MTRRfix4K_F8000,
	0x200,
	0x201,
	0x202,
	0x203,
	0x204,
	0x205,
	0x206,
	0x207,
	0x208,
	0x209,
	0x20a,
	0x20b,
	0x20c,
	0x20d,
	0x20e,
	0x20f,
	MSR_TSC_AUX, /* not on every CPU: msr_init() */
	MSR_IA32_ARCH_CAPABILITIES,
};

static unsigned int nr_saved_msrs __ro_after_init;

/* Have guests on this CPU such an MSR? */
static bool __init msr_exists(u32 msr)
{
	switch (msr) {
	case MSR_TSC_AUX:
		return boot_cpu_has(X86_FEATURE_RDTSCP) ||
		       boot_cpu_has(X86_FEATURE_RDPID);
	case MSR_IA32_ARCH_CAPABILITIES:
		return !host_info.amd;
	default:
		return true;
	}
}

void __init msr_init(void)
{
	unsigned int i;

	BUILD_BUG_ON(VIGIL_MTRR_VAR != 8);
	msr_feature_init();
	for (i = 0; i < ARRAY_SIZE(saved_msrs); i++)
		if (msr_exists(saved_msrs[i]))
			saved_msrs[nr_saved_msrs++] = saved_msrs[i];
}

int msr_list_out(struct kvm_msr_list __user *arg, const u32 *msrs,
		 unsigned int n)
{
	struct kvm_msr_list list;
	u32 room;

	if (copy_from_user(&list, arg, sizeof(list)))
		return -EFAULT;
	room = list.nmsrs;
	list.nmsrs = n;
	if (copy_to_user(arg, &list, sizeof(list)))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return copy_to_user(arg->indices, msrs, n * sizeof(u32)) ? -EFAULT : 0;
}

int msr_index_list(struct kvm_msr_list __user *arg)
{
	return msr_list_out(arg, saved_msrs, nr_saved_msrs);
}

int msr_io(struct vigil_vcpu *vcpu, struct kvm_msrs __user *arg, bool write)
{
	struct kvm_msr_entry *entries, *e;
	struct kvm_msrs head;
	u64 value;
	size_t bytes;
	int i, ret;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= VIGIL_MAX_MSR_ENTRIES)
		return -E2BIG;
	bytes = head.nmsrs * sizeof(*entries);
	entries = memdup_user(arg->entries, bytes);
	if (IS_ERR(entries))
		return PTR_ERR(entries);

	/*
	 * vm->srcu is not held while the caller's memory is copied, which may
	 * be withheld.
	 */
	ret = vcpu_enter(vcpu, TASK_KILLABLE);
	for (i = 0; !ret && i < head.nmsrs; i++) {
		e = &entries[i];
		if (write) {
			ret = msr_set(vcpu, e->index, e->data, true);
		} else {
			ret = msr_get(vcpu, e->index, &value, true);
			if (!ret)
				e->data = value;
		}
		if (ret) {
			ret = 0;
			break;
		}
	}
	vcpu_leave(vcpu);
	if (!ret)
		ret = i;
	if (ret >= 0 && !write && copy_to_user(arg->entries, entries, bytes))
		ret = -EFAULT;
	kfree(entries);
	return ret;
}
