// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID: what is offered to VMMs, what a VMM made of it, what a guest reads.
 *
 * A feature is offered when the CPU has it, the host's kernel has not turned it
 * off, and vigil makes it work. What a VMM sets is taken as it is, as KVM does;
 * but control-register bits and MSRs follow from what it set *and* what is
 * offered.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/types.h>
#include <asm/processor.h>

#include "cpuid.h"
#include "shadow/shadow.h"
#include "vmm/host.h"
#include "vmm/ops.h"

#define NO_ENTRY 0xff
#define F(name) ((u32)BIT(X86_FEATURE_##name & 31))

#define XSAVE_LEGACY_BYTES 576 /* legacy region and header */
#define XCR0_OFFERED \
	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512)
#define LAST_XFEATURE 62

/* Names the registers of struct kvm_cpuid_entry2 in the table below. */
enum { EAX, EBX, ECX, EDX };

#define BASE_1_EDX                                                        \
	(F(FPU) | F(VME) | F(DE) | F(PSE) | F(TSC) | F(MSR) | F(PAE) |    \
	 F(MCE) | F(CX8) | F(MTRR) | F(PGE) | F(MCA) | F(CMOV) | F(PAT) | \
	 F(PSE36) | F(MMX) | F(FXSR))

enum word {
	W_1_ECX,
	W_1_EDX,
	W_7_EBX,
	W_7_ECX,
	W_7_EDX,
	W_7_1_EAX,
	W_D_1_EAX,
	W_81_ECX,
	W_81_EDX,
	NR_WORDS
};

/*
 * Registers full of feature bits: where they are, which word of
 * boot_cpu_data.x86_capability has them too, and what vigil makes work.
 */
static const struct feature_word {
	u32 leaf, subleaf;
	u8 reg, kernel_word;
	u32 mask;
} feature_words[NR_WORDS] = {
	[W_1_ECX] = { 1, 0, ECX, CPUID_1_ECX,
		      F(XMM3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) |
			      F(XMM4_1) | F(XMM4_2) | F(MOVBE) | F(POPCNT) |
			      F(AES) | F(XSAVE) | F(AVX) | F(F16C) |
			      F(RDRAND) },
	[W_1_EDX] = { 1, 0, EDX, CPUID_1_EDX,
		      BASE_1_EDX | F(SEP) | F(CLFLUSH) | F(XMM) | F(XMM2) },
	[W_7_EBX] = { 7, 0, EBX, CPUID_7_0_EBX,
		      F(FSGSBASE) | F(BMI1) | F(AVX2) | F(FDP_EXCPTN_ONLY) |
			      F(SMEP) | F(BMI2) | F(ERMS) | F(ZERO_FCS_FDS) |
			      F(RDSEED) | F(ADX) | F(SMAP) | F(CLFLUSHOPT) |
			      F(CLWB) | F(SHA_NI) | F(AVX512F) | F(AVX512DQ) |
			      F(AVX512IFMA) | F(AVX512CD) | F(AVX512BW) |
			      F(AVX512VL) },
	[W_7_ECX] = { 7, 0, ECX, CPUID_7_ECX,
		      F(AVX512VBMI) | F(UMIP) | F(AVX512_VBMI2) | F(GFNI) |
			      F(VAES) | F(VPCLMULQDQ) | F(AVX512_VNNI) |
			      F(AVX512_BITALG) | F(AVX512_VPOPCNTDQ) | F(LA57) |
			      F(RDPID) },
	[W_7_EDX] = { 7, 0, EDX, CPUID_7_EDX, F(FSRM) | F(MD_CLEAR) },
	[W_7_1_EAX] = { 7, 1, EAX, CPUID_7_1_EAX,
			F(AVX_VNNI) | F(AVX512_BF16) },
	[W_D_1_EAX] = { 0xd, 1, EAX, CPUID_D_1_EAX,
			F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1) },
	[W_81_ECX] = { 0x80000001, 0, ECX, CPUID_8000_0001_ECX,
		       F(LAHF_LM) | F(CR8_LEGACY) | F(ABM) | F(SSE4A) |
			       F(MISALIGNSSE) | F(3DNOWPREFETCH) | F(XOP) |
			       F(FMA4) | F(TBM) },
	[W_81_EDX] = { 0x80000001, 0, EDX, CPUID_8000_0001_EDX,
		       BASE_1_EDX | F(SYSCALL) | F(NX) | F(MMXEXT) |
			       F(FXSR_OPT) | F(RDTSCP) | F(LM) | F(3DNOWEXT) |
			       F(3DNOW) },
};

/* Features that need a component of XCR0, which the host may have left off */
static const struct {
	u8 word;
	u32 mask;
	u64 xfeatures;
} needs_xcr0[] = {
	{ W_1_ECX, F(AVX) | F(FMA) | F(F16C), XFEATURE_MASK_YMM },
	{ W_7_EBX, F(AVX2), XFEATURE_MASK_YMM },
	{ W_7_ECX, F(VAES) | F(VPCLMULQDQ), XFEATURE_MASK_YMM },
	{ W_7_1_EAX, F(AVX_VNNI), XFEATURE_MASK_YMM },
	{ W_81_ECX, F(XOP) | F(FMA4), XFEATURE_MASK_YMM },
	{ W_7_EBX,
	  F(AVX512F) | F(AVX512DQ) | F(AVX512IFMA) | F(AVX512CD) | F(AVX512BW) |
		  F(AVX512VL),
	  XFEATURE_MASK_AVX512 },
	{ W_7_ECX,
	  F(AVX512VBMI) | F(AVX512_VBMI2) | F(AVX512_VNNI) | F(AVX512_BITALG) |
		  F(AVX512_VPOPCNTDQ),
	  XFEATURE_MASK_AVX512 },
	{ W_7_1_EAX, F(AVX512_BF16), XFEATURE_MASK_AVX512 },
};

static u32 offered[NR_WORDS] __ro_after_init;
static u64 offered_xcr0 __ro_after_init;
/* Leaf 0xD of the CPU, for each component. */
static struct {
	u32 size, offset;
	bool aligned;
} xcomp[LAST_XFEATURE + 1] __ro_after_init;

static void raw(u32 leaf, u32 subleaf, u32 r[4])
{
	cpuid_count(leaf, subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]);
}

static bool leaf_exists(u32 leaf)
{
	return leaf <= cpuid_eax(leaf & 0x80000000);
}

static void __init init_xsave(void)
{
	u32 r[4];
	int i;

	offered_xcr0 = host_info.xcr0 & XCR0_OFFERED;
	/* AVX-512 is offered only with all its components. */
	if ((offered_xcr0 & XFEATURE_MASK_AVX512) != XFEATURE_MASK_AVX512)
		offered_xcr0 &= ~(u64)XFEATURE_MASK_AVX512;
	for (i = 2; i <= LAST_XFEATURE; i++) {
		if (!(offered_xcr0 & BIT_ULL(i)))
			continue;
		raw(0xd, i, r);
		xcomp[i].size = r[EAX];
		xcomp[i].offset = r[EBX];
		xcomp[i].aligned = r[ECX] & BIT(1);
	}
}

void __init cpuid_init(void)
{
	const struct feature_word *w;
	u32 r[4];
	int i;

	init_xsave();
	for (i = 0; i < NR_WORDS; i++) {
		w = &feature_words[i];
		if (!leaf_exists(w->leaf))
			continue;
		if (w->subleaf && w->leaf == 7) {
			raw(7, 0, r);
			if (r[EAX] < w->subleaf)
				continue;
		}
		raw(w->leaf, w->subleaf, r);
		offered[i] = r[w->reg] & w->mask &
			     boot_cpu_data.x86_capability[w->kernel_word];
	}
	for (i = 0; i < ARRAY_SIZE(needs_xcr0); i++)
		if ((offered_xcr0 & needs_xcr0[i].xfeatures) !=
		    needs_xcr0[i].xfeatures)
			offered[needs_xcr0[i].word] &= ~needs_xcr0[i].mask;
	if (!offered_xcr0) {
		offered[W_1_ECX] &= ~F(XSAVE);
		offered[W_D_1_EAX] = 0;
	}
	if (!host_info.la57)
		offered[W_7_ECX] &= ~F(LA57);
	/*
	 * Software walks the guest's page tables, so 1 GiB pages need no
	 * support by the CPU.
	 */
	offered[W_81_EDX] |= F(GBPAGES);
	/*
	 * The local APIC is the VMM's, whatever the host has. One that has none
	 * takes the bit out of what it tells its guest.
	 */
	offered[W_1_EDX] |= F(APIC);
	/*
	 * IA32_ARCH_CAPABILITIES tells a guest on Intel's CPUs which faults it
	 * need not guard against, so that it leaves out page-table isolation.
	 * vigil makes the MSR up where the CPU has none.
	 */
	if (!host_info.amd && leaf_exists(7))
		offered[W_7_EDX] |= F(ARCH_CAPABILITIES);
}

static u32 xsave_bytes(u64 mask, bool compact)
{
	u32 bytes = XSAVE_LEGACY_BYTES, start;
	int i;

	for (i = 2; i <= LAST_XFEATURE; i++) {
		if (!(mask & BIT_ULL(i)))
			continue;
		start = !compact	 ? xcomp[i].offset :
			xcomp[i].aligned ? ALIGN(bytes, 64) :
					   bytes;
		bytes = max(bytes, start + xcomp[i].size);
	}
	return bytes;
}

/* --- what is offered --- */

struct list {
	struct kvm_cpuid_entry2 *e;
	int n, room;
};

/*
 * Adds the CPU's own entry, which the caller filters. NULL: there is no room.
 */
static struct kvm_cpuid_entry2 *add(struct list *l, u32 leaf, u32 subleaf,
				    bool indexed)
{
	struct kvm_cpuid_entry2 *e;
	u32 r[4];

	if (l->n == l->room)
		return NULL;
	e = &l->e[l->n++];
	raw(leaf, subleaf, r);
	*e = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = subleaf,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = r[EAX],
		.ebx = r[EBX],
		.ecx = r[ECX],
		.edx = r[EDX],
	};
	return e;
}

static int add_basic(struct list *l)
{
	struct kvm_cpuid_entry2 *e;
	int i;

	e = add(l, 0, 0, false);
	if (!e)
		return -E2BIG;
	e->eax = min(e->eax, offered_xcr0 ? 0xdu : 7u);
	e = add(l, 1, 0, false);
	if (!e)
		return -E2BIG;
	e->ebx &= 0xff00; /* CLFLUSH line size; the rest is topology */
	e->ecx = offered[W_1_ECX] | F(HYPERVISOR);
	e->edx = offered[W_1_EDX];
	if (!host_info.amd) {
		/*
		 * Leaf 2 has descriptors of TLBs and caches. The topology is
		 * left out.
		 */
		if (!add(l, 2, 0, false))
			return -E2BIG;
		for (i = 0; i < 8; i++) {
			e = add(l, 4, i, true);
			if (!e)
				return -E2BIG;
			if (!(e->eax & 0x1f))
				break;
			e->eax &= 0x3fff;
		}
	}
	if (!leaf_exists(7))
		return 0;
	e = add(l, 7, 0, true);
	if (!e)
		return -E2BIG;
	e->eax = offered[W_7_1_EAX] ? 1 : 0;
	e->ebx = offered[W_7_EBX];
	e->ecx = offered[W_7_ECX];
	e->edx = offered[W_7_EDX];
	if (offered[W_7_1_EAX]) {
		e = add(l, 7, 1, true);
		if (!e)
			return -E2BIG;
		e->eax = offered[W_7_1_EAX];
		e->ebx = e->ecx = e->edx = 0;
	}
	return 0;
}

static int add_xsave(struct list *l)
{
	struct kvm_cpuid_entry2 *e;
	int i;

	if (!offered_xcr0)
		return 0;
	e = add(l, 0xd, 0, true);
	if (!e)
		return -E2BIG;
	e->eax = lower_32_bits(offered_xcr0);
	e->edx = upper_32_bits(offered_xcr0);
	e->ebx = e->ecx = xsave_bytes(offered_xcr0, false);
	e = add(l, 0xd, 1, true);
	if (!e)
		return -E2BIG;
	e->eax = offered[W_D_1_EAX];
	e->ebx = e->eax & F(XSAVEC) ? xsave_bytes(offered_xcr0, true) : 0;
	e->ecx = e->edx = 0; /* no supervisor state */
	for (i = 2; i <= LAST_XFEATURE; i++) {
		if (!(offered_xcr0 & BIT_ULL(i)))
			continue;
		e = add(l, 0xd, i, true);
		if (!e)
			return -E2BIG;
		e->ecx &= BIT(1);
		e->edx = 0;
	}
	return 0;
}

static int add_extended(struct list *l)
{
	struct kvm_cpuid_entry2 *e;
	u32 leaf;

	for (leaf = 0x80000000; leaf <= 0x80000008; leaf++) {
		e = add(l, leaf, 0, false);
		if (!e)
			return -E2BIG;
		switch (leaf) {
		case 0x80000000:
			e->eax = 0x80000008;
			break;
		case 0x80000001:
			e->ecx = offered[W_81_ECX];
			e->edx = offered[W_81_EDX];
			break;
		case 0x80000007:
			e->eax = e->ebx = e->ecx = 0;
			e->edx &= BIT(8); /* invariant TSC */
			break;
		case 0x80000008:
			e->eax = host_info.maxphyaddr |
				 (host_info.la57 ? 57u : 48u) << 8;
			e->ebx = e->ecx = e->edx = 0;
			break;
		default:
			/* brand string, caches */
			if (!leaf_exists(leaf))
				e->eax = e->ebx = e->ecx = e->edx = 0;
		}
	}
	return 0;
}

int cpuid_supported(struct kvm_cpuid_entry2 *entries, int *n)
{
	struct list l = { .e = entries, .room = *n };
	struct kvm_cpuid_entry2 *e;

	if (add_basic(&l) || add_xsave(&l))
		return -E2BIG;
	e = add(&l, 0x40000000, 0, false);
	if (!e)
		return -E2BIG;
	e->eax = 0x40000001;
	memcpy(&e->ebx, "Vigi", 4);
	memcpy(&e->ecx, "lVig", 4);
	memcpy(&e->edx, "ilVg", 4);
	e = add(&l, 0x40000001, 0, false);
	if (!e)
		return -E2BIG;
	/* There is no feature that a guest could use. */
	e->eax = e->ebx = e->ecx = e->edx = 0;
	if (add_extended(&l))
		return -E2BIG;
	*n = l.n;
	return 0;
}

/* --- what the VMM set --- */

/* Returns the class of a leaf: basic, hypervisor, extended, Centaur. */
static unsigned int chain_of(u32 leaf)
{
	return (leaf & 31) | leaf >> 30 << 5;
}

static const struct kvm_cpuid_entry2 *find(const struct vigil_vcpu *vcpu,
					   u32 leaf, u32 subleaf)
{
	const struct vigil_cpuid_index *ix = &vcpu->cpuid_index;
	const struct kvm_cpuid_entry2 *e;
	u8 i;

	for (i = ix->head[chain_of(leaf)]; i != NO_ENTRY; i = ix->next[i]) {
		e = &vcpu->cpuid[i];
		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     e->index == subleaf))
			return e;
	}
	return NULL;
}

static void build_index(struct vigil_vcpu *vcpu)
{
	struct vigil_cpuid_index *ix = &vcpu->cpuid_index;
	unsigned int chain;
	int i;

	BUILD_BUG_ON(VIGIL_MAX_CPUID >= NO_ENTRY);
	memset(ix->head, NO_ENTRY, sizeof(ix->head));
	/*
	 * From the last to the first, so that of two entries for one leaf the
	 * first is found.
	 */
	for (i = vcpu->nr_cpuid - 1; i >= 0; i--) {
		chain = chain_of(vcpu->cpuid[i].function);
		ix->next[i] = ix->head[chain];
		ix->head[chain] = i;
	}
}

static u32 guest_word(const struct vigil_vcpu *vcpu, enum word w)
{
	const struct feature_word *fw = &feature_words[w];
	const struct kvm_cpuid_entry2 *e = find(vcpu, fw->leaf, fw->subleaf);

	if (!e)
		return 0;
	switch (fw->reg) {
	case EAX:
		return e->eax;
	case EBX:
		return e->ebx;
	case ECX:
		return e->ecx;
	default:
		return e->edx;
	}
}

static u32 guest_features(const struct vigil_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = find(vcpu, 0, 0);
	u32 ext = guest_word(vcpu, W_81_EDX), ecx = guest_word(vcpu, W_1_ECX);
	u32 edx = guest_word(vcpu, W_1_EDX), f = 0;

	if (ext & offered[W_81_EDX] & F(NX))
		f |= GUEST_HAS_NX;
	if (ext & offered[W_81_EDX] & F(LM))
		f |= GUEST_HAS_LM;
	if (ext & offered[W_81_EDX] & F(RDTSCP))
		f |= GUEST_HAS_RDTSCP;
	if (guest_word(vcpu, W_7_ECX) & offered[W_7_ECX] & F(RDPID))
		f |= GUEST_HAS_RDTSCP;
	if (ext & F(GBPAGES))
		f |= GUEST_HAS_GBPAGES;
	if (ext & offered[W_81_EDX] & F(FXSR_OPT))
		f |= GUEST_HAS_FXSR_OPT;
	if (ecx & offered[W_1_ECX] & F(XSAVE))
		f |= GUEST_HAS_XSAVE;
	if (ecx & offered[W_1_ECX] & F(AVX))
		f |= GUEST_HAS_AVX;
	if (ecx & F(HYPERVISOR))
		f |= GUEST_HAS_HYPERVISOR;
	if (edx & F(MCE))
		f |= GUEST_HAS_MCE;
	if (edx & F(MTRR))
		f |= GUEST_HAS_MTRR;
	if (edx & F(PAT))
		f |= GUEST_HAS_PAT;
	if (guest_word(vcpu, W_7_EDX) & F(ARCH_CAPABILITIES))
		f |= GUEST_HAS_ARCH_CAPS;
	if (e && (!memcmp(&e->ebx, "Auth", 4) || !memcmp(&e->ebx, "Hygo", 4)))
		f |= GUEST_IS_AMD;
	return f;
}

#define CR4_ALWAYS                                                            \
	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
	 X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE |              \
	 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)

/* CR4 bits that these feature words allow */
static u64 cr4_allowed(u32 ecx1, u32 ebx7, u32 ecx7)
{
	u64 cr4 = CR4_ALWAYS;

	if (ecx1 & F(XSAVE))
		cr4 |= X86_CR4_OSXSAVE;
	if (ebx7 & F(SMEP))
		cr4 |= X86_CR4_SMEP;
	if (ebx7 & F(SMAP))
		cr4 |= X86_CR4_SMAP;
	if (ebx7 & F(FSGSBASE))
		cr4 |= X86_CR4_FSGSBASE;
	if (ecx7 & F(UMIP))
		cr4 |= X86_CR4_UMIP;
	if (ecx7 & F(LA57))
		cr4 |= X86_CR4_LA57;
	return cr4;
}

static u64 cpuid_cr4_never(void)
{
	return ~cr4_allowed(offered[W_1_ECX], offered[W_7_EBX],
			    offered[W_7_ECX]);
}

static u64 efer_allowed(bool lm, bool nx, bool ffxsr)
{
	return EFER_SCE | (lm ? EFER_LME | EFER_LMA : 0) | (nx ? EFER_NX : 0) |
	       (ffxsr ? EFER_FFXSR : 0);
}

u64 cpuid_efer_never(void)
{
	u32 w = offered[W_81_EDX];

	return ~efer_allowed(w & F(LM), w & F(NX), w & F(FXSR_OPT));
}

static u8 guest_maxphyaddr(const struct vigil_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = find(vcpu, 0x80000000, 0);

	if (!e || e->eax < 0x80000008)
		return 36;
	e = find(vcpu, 0x80000008, 0);
	/*
	 * A width that no CPU has is brought into the range that page tables
	 * can hold.
	 */
	return e ? clamp_t(u32, e->eax & 0xff, 32, 52) : 36;
}

void cpuid_xcr0_changed(struct vigil_vcpu *vcpu)
{
	vcpu->cpuid_index.xsave_size = xsave_bytes(vcpu->xcr0, false);
	vcpu->cpuid_index.xsave_compact = xsave_bytes(vcpu->xcr0, true);
}

void cpuid_update(struct vigil_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e;
	u32 f;

	build_index(vcpu);
	f = guest_features(vcpu);
	vcpu->cpuid_index.features = f;

	vcpu->maxphyaddr = guest_maxphyaddr(vcpu);
	/* With PCID, bit 63 would have a meaning; vigil does not offer PCID. */
	vcpu->cr3_reserved = ~0ull << vcpu->maxphyaddr;
	/* A VMM that has set no CPUID leaves the choice to the guest. */
	vcpu->cr4_reserved = cpuid_cr4_never();
	if (vcpu->nr_cpuid)
		vcpu->cr4_reserved |= ~cr4_allowed(guest_word(vcpu, W_1_ECX),
						   guest_word(vcpu, W_7_EBX),
						   guest_word(vcpu, W_7_ECX));
	vcpu->efer_reserved = ~efer_allowed(f & GUEST_HAS_LM, f & GUEST_HAS_NX,
					    f & GUEST_HAS_FXSR_OPT);
	vcpu->guest_xcr0_mask = 0;
	if (f & GUEST_HAS_XSAVE) {
		e = find(vcpu, 0xd, 0);
		vcpu->guest_xcr0_mask = XFEATURE_MASK_FP;
		if (e)
			vcpu->guest_xcr0_mask |= (e->eax | (u64)e->edx << 32) &
						 offered_xcr0;
	}
	cpuid_xcr0_changed(vcpu);
}

/* Makes the bits of an answer right that follow the guest's state. */
static __always_inline void follow_state(const struct vigil_vcpu *vcpu,
					 u32 leaf, u32 subleaf, u32 eax,
					 u32 *ebx, u32 *ecx, u32 *edx)
{
	if (leaf == 1) {
		*ecx &= ~F(OSXSAVE);
		if (vcpu->cr4 & X86_CR4_OSXSAVE)
			*ecx |= F(OSXSAVE);
		if (!(vcpu->apic_base & BIT(11)))
			*edx &= ~F(APIC);
	} else if (leaf == 0xd) {
		if (subleaf == 0)
			*ebx = vcpu->cpuid_index.xsave_size;
		else if (subleaf == 1 && eax & F(XSAVEC))
			*ebx = vcpu->cpuid_index.xsave_compact;
	} else if (leaf == 7 && subleaf == 0) {
		/* No guest of vigil's can set CR4.PKE. */
		*ecx &= ~F(OSPKE);
	}
}

/* @e as the guest reads it now */
static struct kvm_cpuid_entry2 entry_now(const struct vigil_vcpu *vcpu,
					 const struct kvm_cpuid_entry2 *e)
{
	struct kvm_cpuid_entry2 now = *e;

	follow_state(vcpu, now.function, now.index, now.eax, &now.ebx, &now.ecx,
		     &now.edx);
	return now;
}

/*
 * Is this the CPUID that the vCPU has? What follows the guest's state does not
 * count: a VMM may set what it got at another time.
 */
static bool same_entries(const struct vigil_vcpu *vcpu,
			 const struct kvm_cpuid_entry2 *e, u32 n)
{
	struct kvm_cpuid_entry2 a, b;
	u32 i;

	if (n != vcpu->nr_cpuid)
		return false;
	for (i = 0; i < n; i++) {
		a = entry_now(vcpu, &e[i]);
		b = entry_now(vcpu, &vcpu->cpuid[i]);
		if (memcmp(&a, &b, sizeof(a)))
			return false;
	}
	return true;
}

static int check_entries(const struct kvm_cpuid_entry2 *e, int n)
{
	int i;
	u8 va;

	for (i = 0; i < n; i++) {
		va = e[i].eax >> 8;
		if (e[i].function == 0x80000008 && va != 0 && va != 48 &&
		    va != 57)
			return -EINVAL;
	}
	return 0;
}

int cpuid_set(struct vigil_vcpu *vcpu, struct kvm_cpuid2 __user *arg)
{
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid2 head;
	int ret;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	if (head.nent > VIGIL_MAX_CPUID)
		return -E2BIG;
	if (head.nent) {
		entries = kmalloc_array(head.nent, sizeof(*entries),
					GFP_KERNEL_ACCOUNT);
		if (!entries)
			return -ENOMEM;
		ret = -EFAULT;
		if (copy_from_user(entries, arg->entries,
				   head.nent * sizeof(*entries)))
			goto out;
		ret = check_entries(entries, head.nent);
		if (ret)
			goto out;
	}
	/*
	 * A guest that has run knows its CPU: the VMM may set the same CPUID
	 * again, but no other.
	 */
	ret = 0;
	if (vcpu->stat.exits) {
		if (!same_entries(vcpu, entries, head.nent))
			ret = -EINVAL;
		goto out;
	}
	/* The walk of guest tables reads them through the memory slots. */
	ret = vcpu_enter(vcpu, TASK_KILLABLE);
	if (!ret) {
		swap(vcpu->cpuid, entries);
		vcpu->nr_cpuid = head.nent;
		cpuid_update(vcpu);
		vmm_ops->update_cpuid(vcpu);
		shadow_mode_changed(vcpu);
	}
	vcpu_leave(vcpu);

out:
	kfree(entries);
	return ret;
}

int cpuid_get(struct vigil_vcpu *vcpu, struct kvm_cpuid2 __user *arg)
{
	struct kvm_cpuid_entry2 e;
	struct kvm_cpuid2 head;
	u32 room, i;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	room = head.nent;
	head.nent = vcpu->nr_cpuid;
	if (copy_to_user(arg, &head, sizeof(head)))
		return -EFAULT;
	if (room < vcpu->nr_cpuid)
		return -E2BIG;
	for (i = 0; i < vcpu->nr_cpuid; i++) {
		e = entry_now(vcpu, &vcpu->cpuid[i]);
		if (copy_to_user(&arg->entries[i], &e, sizeof(e)))
			return -EFAULT;
	}
	return 0;
}

void cpuid_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	kfree(vcpu->cpuid);
	vcpu->cpuid = NULL;
	vcpu->nr_cpuid = 0;
}

/* --- what the guest reads --- */

/*
 * Finds the answer for a leaf that does not exist. Intel's CPUs answer one
 * above the maximum as if the highest basic leaf had been asked for; AMD's
 * answer zeros.
 */
static const struct kvm_cpuid_entry2 *find_beyond(const struct vigil_vcpu *vcpu,
						  u32 *leaf, u32 subleaf)
{
	const struct kvm_cpuid_entry2 *basic = find(vcpu, 0, 0), *class;

	if (!basic || guest_has(vcpu, GUEST_IS_AMD))
		return NULL;
	if (*leaf >> 28 == 4)
		class = find(vcpu, *leaf & 0xffffff00, 0);
	else if (*leaf >= 0xc0000000)
		class = find(vcpu, 0xc0000000, 0);
	else
		class = find(vcpu, *leaf & 0x80000000, 0);
	if (class && *leaf <= class->eax)
		return NULL;
	*leaf = basic->eax;
	return find(vcpu, *leaf, subleaf);
}

static void query_missing(const struct vigil_vcpu *vcpu, u32 leaf, u32 subleaf,
			  u32 *ecx, u32 *edx)
{
	const struct kvm_cpuid_entry2 *e;

	/*
	 * Topology leaves: beyond the last level ECX and EDX are still valid.
	 */
	if (leaf != 0xb && leaf != 0x1f)
		return;
	e = find(vcpu, leaf, 1);
	if (e) {
		*ecx = subleaf & 0xff;
		*edx = e->edx;
	}
}

void cpuid_query(struct vigil_vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx,
		 u32 *edx)
{
	const struct kvm_cpuid_entry2 *e;
	u32 leaf = *eax, subleaf = *ecx;

	e = find(vcpu, leaf, subleaf);
	if (unlikely(!e))
		e = find_beyond(vcpu, &leaf, subleaf);
	if (unlikely(!e)) {
		*eax = *ebx = *ecx = *edx = 0;
		query_missing(vcpu, leaf, subleaf, ecx, edx);
		return;
	}
	*eax = e->eax;
	*ebx = e->ebx;
	*ecx = e->ecx;
	*edx = e->edx;

	follow_state(vcpu, leaf, subleaf, *eax, ebx, ecx, edx);
}
