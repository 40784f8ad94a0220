// SPDX-License-Identifier: GPL-2.0
/* Segments, descriptor tables, and the modes that the hardware runs a guest in. */
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "svm.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/segment.h"
#include "vmm/pv/pv.h"

static struct vmcb_seg *svm_seg(struct vmcb *vmcb, enum vigil_seg seg)
{
	static const u16 at[NR_SEGS] = {
		[SEG_ES] = offsetof(struct vmcb_save, es),
		[SEG_CS] = offsetof(struct vmcb_save, cs),
		[SEG_SS] = offsetof(struct vmcb_save, ss),
		[SEG_DS] = offsetof(struct vmcb_save, ds),
		[SEG_FS] = offsetof(struct vmcb_save, fs),
		[SEG_GS] = offsetof(struct vmcb_save, gs),
		[SEG_LDTR] = offsetof(struct vmcb_save, ldtr),
		[SEG_TR] = offsetof(struct vmcb_save, tr),
	};

	return (void *)&vmcb->save + at[seg];
}

/*
 * The VMCB has no bit for "unusable": a segment that is not present counts as
 * unusable. What the hardware does not keep is filled in as the architecture
 * defines it: a loaded segment is accessed, a loaded TSS is busy, SS.DPL is the
 * CPL.
 */
void svm_get_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     struct kvm_segment *s)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	const struct vmcb_seg *v = svm_seg(vmcb, seg);

	*s = (struct kvm_segment){
		.base = v->base,
		.limit = v->limit,
		.selector = v->selector,
	};
	segment_unpack(s, v->attr, SEG_AVL_BIT8);
	s->unusable = !s->present;
	/*
	 * Some CPUs drop G, at least that of CS: a limit above 1 MiB shows that
	 * it was set.
	 */
	if (v->limit > 0xfffff)
		s->g = 1;

	switch (seg) {
	case SEG_TR:
		s->type |= 2;
		break;
	case SEG_SS:
		s->dpl = vmcb->save.cpl;
		/* A null SS may still have D set. */
		if (s->unusable)
			s->db = 0;
		fallthrough;
	case SEG_DS:
	case SEG_ES:
	case SEG_FS:
	case SEG_GS:
		if (!s->unusable)
			s->type |= 1;
		break;
	default:
		break;
	}
}

void svm_set_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     const struct kvm_segment *s)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	struct vmcb_seg *v = svm_seg(vmcb, seg);

	v->base = s->base;
	v->limit = s->limit;
	v->selector = s->selector;
	v->attr = segment_pack(s, SEG_AVL_BIT8);
	if (s->unusable)
		v->attr &= ~SEG_ATTR_P;
	if (seg == SEG_SS)
		vmcb->save.cpl = s->dpl & 3;
	vmcb_dirty(vmcb, CLEAN_SEG);
}

bool svm_flat_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg)
{
	const struct vmcb_seg *v = svm_seg(to_svm(vcpu)->vmcb, seg);

	return !v->base && v->limit == ~0u && segment_stores(v->attr);
}

u64 svm_get_seg_base(struct vigil_vcpu *vcpu, enum vigil_seg seg)
{
	return svm_seg(to_svm(vcpu)->vmcb, seg)->base;
}

int svm_get_cpl(struct vigil_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

int svm_code_bits(struct vigil_vcpu *vcpu)
{
	u16 attr = to_svm(vcpu)->vmcb->save.cs.attr;

	if (is_long_mode(vcpu) && (attr & SEG_ATTR_L))
		return 64;
	return attr & SEG_ATTR_DB ? 32 : 16;
}

static void get_table(const struct vmcb_seg *v, struct kvm_dtable *dt)
{
	dt->base = v->base;
	dt->limit = v->limit;
}

static void set_table(struct vmcb *vmcb, struct vmcb_seg *v,
		      const struct kvm_dtable *dt)
{
	v->base = dt->base;
	v->limit = dt->limit;
	vmcb_dirty(vmcb, CLEAN_DT);
}

void svm_get_idt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt)
{
	get_table(&to_svm(vcpu)->vmcb->save.idtr, dt);
}

void svm_set_idt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	set_table(vmcb, &vmcb->save.idtr, dt);
}

void svm_get_gdt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt)
{
	get_table(&to_svm(vcpu)->vmcb->save.gdtr, dt);
}

void svm_set_gdt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	set_table(vmcb, &vmcb->save.gdtr, dt);
}

/*
 * CR0, CR4 and EFER that the hardware runs with. The guest always runs on
 * shadow page tables, so paging and WP are on, also where the guest has neither
 * (SVM allows PG without PE). Their format is the 4- or 5-level one in long
 * mode and PAE's otherwise, with NX in use always. LME would turn PG into long
 * mode before the guest is paged: it waits for LMA.
 */
void svm_update_modes(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	struct vmcb_save *save = &vmcb->save;
	u64 cr0, cr4, efer;

	cr0 = (vcpu->cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_PG |
	      X86_CR0_WP | X86_CR0_ET;

	/*
	 * CR4.MCE stays as the host has it: with MCE clear, an #MC shuts the
	 * CPU down.
	 */
	cr4 = (vcpu->cr4 & ~(u64)X86_CR4_PCIDE) | X86_CR4_PAE | svm_host_mce;
	/* The shadow tables of an unpaged guest map user pages. */
	if (!is_paging(vcpu))
		cr4 &= ~(u64)(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);

	efer = vcpu->efer | EFER_SVME | EFER_NX;
	/* SYSCALL enters ring 0, where no kernel of a guest with such tables is. */
	if (pv_in_force(vcpu))
		efer &= ~(u64)EFER_SCE;
	if (!(efer & EFER_LMA))
		efer &= ~(u64)EFER_LME;

	if (save->cr0 != cr0 || save->cr4 != cr4 || save->efer != efer) {
		save->cr0 = cr0;
		save->cr4 = cr4;
		save->efer = efer;
		vmcb_dirty(vmcb, CLEAN_CR);
	}
	/*
	 * The guest may read CR0 and CR4 without an exit while the hardware
	 * runs with the values that the guest has set.
	 */
	svm_intercept(vmcb, ICPT_CR, ICPT_CR_READ(0), cr0 != vcpu->cr0);
	svm_intercept(vmcb, ICPT_CR, ICPT_CR_READ(4), cr4 != vcpu->cr4);
}

void svm_update_dr7(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->save.dr7 = vcpu->dr7;
	vmcb_dirty(vmcb, CLEAN_DR);
}

void svm_update_cpuid(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->has_tsc_aux = guest_has(vcpu, GUEST_HAS_RDTSCP) &&
			   (boot_cpu_has(X86_FEATURE_RDTSCP) ||
			    boot_cpu_has(X86_FEATURE_RDPID));
	/* Where CPUID hides RDTSCP, the instruction raises #UD. */
	svm_intercept(svm->vmcb, ICPT_MISC2, ICPT_RDTSCP, !svm->has_tsc_aux);
	svm_update_modes(vcpu);
}
