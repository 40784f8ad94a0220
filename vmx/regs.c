// SPDX-License-Identifier: GPL-2.0
/* Segments, descriptor tables, and the modes that the hardware runs a guest in. */
#include <asm/cpufeature.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "vmx.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/segment.h"
#include "vmm/monitor/watch.h"

/*
 * The VMCS numbers the fields of the segments in the order of enum vigil_seg,
 * two apart. The caller must know the width of a field with a variable number.
 */
static unsigned long seg_read(enum vmcs_field es, enum vigil_seg seg)
{
	return __vmcs_read(es + 2 * seg);
}

static void seg_put(enum vmcs_field es, enum vigil_seg seg, unsigned long v)
{
	__vmcs_write(es + 2 * seg, v);
}

u32 vmx_seg_ar(struct vmx_vcpu *vmx, enum vigil_seg seg)
{
	if (!(vmx->cached & CACHED_AR(seg))) {
		vmx->seg[seg].ar = seg_read(GUEST_ES_ACCESS_RIGHTS, seg);
		vmx->cached |= CACHED_AR(seg);
	}
	return vmx->seg[seg].ar;
}

const struct vmx_seg *vmx_seg(struct vmx_vcpu *vmx, enum vigil_seg seg)
{
	struct vmx_seg *s = &vmx->seg[seg];

	if (!(vmx->cached & CACHED_SEG(seg))) {
		s->selector = seg_read(GUEST_ES_SELECTOR, seg);
		s->limit = seg_read(GUEST_ES_LIMIT, seg);
		s->base = seg_read(GUEST_ES_BASE, seg);
		vmx_seg_ar(vmx, seg);
		vmx->cached |= CACHED_SEG(seg);
	}
	return s;
}

void vmx_seg_write(struct vmx_vcpu *vmx, enum vigil_seg seg,
		   const struct vmx_seg *s)
{
	seg_put(GUEST_ES_SELECTOR, seg, s->selector);
	seg_put(GUEST_ES_LIMIT, seg, s->limit);
	seg_put(GUEST_ES_BASE, seg, s->base);
	seg_put(GUEST_ES_ACCESS_RIGHTS, seg, s->ar);
	vmx->seg[seg] = *s;
	vmx->cached |= CACHED_SEG(seg) | CACHED_AR(seg);
}

/* The CPL is SS.DPL, even where SS is unusable. */
void vmx_get_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     struct kvm_segment *s)
{
	const struct vmx_seg *v = vmx_seg(to_vmx(vcpu), seg);

	*s = (struct kvm_segment){
		.base = v->base,
		.limit = v->limit,
		.selector = v->selector,
		.unusable = !!(v->ar & SEG_AR_UNUSABLE),
	};
	segment_unpack(s, v->ar, SEG_AVL_BIT12);
	if (s->unusable)
		s->present = 0;
}

/*
 * An entry requires a usable segment to look as loading leaves it: it is
 * accessed, and a TSS is busy.
 */
void vmx_set_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     const struct kvm_segment *s)
{
	struct vmx_seg v = {
		.selector = s->selector,
		.limit = s->limit,
		.base = s->base,
		.ar = segment_pack(s, SEG_AVL_BIT12),
	};

	if (!s->present || s->unusable)
		v.ar = (v.ar & ~(u32)SEG_AR_P) | SEG_AR_UNUSABLE;
	if (seg == SEG_TR)
		v.ar |= 2;
	else if (seg != SEG_LDTR && !(v.ar & SEG_AR_UNUSABLE))
		v.ar |= SEG_AR_ACCESSED;
	vmx_seg_write(to_vmx(vcpu), seg, &v);
}

bool vmx_flat_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg)
{
	const struct vmx_seg *v = vmx_seg(to_vmx(vcpu), seg);

	return !v->base && v->limit == ~0u && segment_stores(v->ar) &&
	       !(v->ar & SEG_AR_UNUSABLE);
}

u64 vmx_get_seg_base(struct vigil_vcpu *vcpu, enum vigil_seg seg)
{
	const struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx->cached & CACHED_SEG(seg))
		return vmx->seg[seg].base;
	return seg_read(GUEST_ES_BASE, seg);
}

int vmx_get_cpl(struct vigil_vcpu *vcpu)
{
	if (!is_protmode(vcpu))
		return 0;
	if (vcpu->rflags & X86_EFLAGS_VM)
		return 3;
	return (vmx_seg_ar(to_vmx(vcpu), SEG_SS) >> SEG_AR_DPL_SHIFT) & 3;
}

int vmx_code_bits(struct vigil_vcpu *vcpu)
{
	u32 ar = vmx_seg_ar(to_vmx(vcpu), SEG_CS);

	if (is_long_mode(vcpu) && (ar & SEG_AR_L))
		return 64;
	return ar & SEG_AR_DB ? 32 : 16;
}

void vmx_get_idt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt)
{
	dt->base = vmcs_readl(GUEST_IDTR_BASE);
	dt->limit = vmcs_read32(GUEST_IDTR_LIMIT);
}

void vmx_set_idt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt)
{
	vmcs_writel(GUEST_IDTR_BASE, dt->base);
	vmcs_write32(GUEST_IDTR_LIMIT, dt->limit);
}

void vmx_get_gdt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt)
{
	dt->base = vmcs_readl(GUEST_GDTR_BASE);
	dt->limit = vmcs_read32(GUEST_GDTR_LIMIT);
}

void vmx_set_gdt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt)
{
	vmcs_writel(GUEST_GDTR_BASE, dt->base);
	vmcs_write32(GUEST_GDTR_LIMIT, dt->limit);
}

/* Writes the secondary processor-based controls. */
static void set_secondary(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const u32 ept = CPU2_EPT | CPU2_UNRESTRICTED;
	u32 ctl = vmx->cpu2_ctl & ~(ept | CPU2_RDTSCP | CPU2_TABLES);

	if (vmx->on_ept)
		ctl |= ept;
	if (vmx->has_tsc_aux)
		ctl |= CPU2_RDTSCP;
	if (vmx->tables || READ_ONCE(vcpu->vm->controls) & WATCH_TABLES)
		ctl |= CPU2_TABLES;
	if (ctl == vmx->cpu2_ctl)
		return;
	vmx->cpu2_ctl = ctl;
	vmcs_write32(SECONDARY_CONTROLS, ctl);
}

/*
 * TR may hold a 16-bit TSS when the guest enters long mode. An entry refuses
 * that.
 */
static void long_mode_tr(struct vmx_vcpu *vmx)
{
	struct vmx_seg tr = *vmx_seg(vmx, SEG_TR);

	if ((tr.ar & SEG_AR_TYPE) != 3)
		return;
	tr.ar |= 8;
	vmx_seg_write(vmx, SEG_TR, &tr);
}

/*
 * A paged guest runs on shadow page tables, with WP and NX on; their format is
 * the 4- or 5-level one in long mode and PAE's otherwise. An unpaged one runs on
 * EPT with the CR0 it has; without unrestricted guest on an identity map in
 * PAE format, with paging on. LME would turn PG into long mode before the guest
 * is paged: it waits for LMA.
 */
void vmx_update_modes(struct vigil_vcpu *vcpu)
{
	const u64 cr0_unpaged = X86_CR0_PE | X86_CR0_PG;
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool long_mode = is_long_mode(vcpu);
	u64 cr0, cr4, efer;
	u32 entry;

	vmx->on_ept = shadow_direct_ept && !is_paging(vcpu);
	set_secondary(vcpu);

	cr0 = (vcpu->cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_ET;
	if (vmx->on_ept)
		cr0 |= vmx_caps.cr0_fixed0 & ~cr0_unpaged;
	else
		cr0 |= vmx_caps.cr0_fixed0 | cr0_unpaged | X86_CR0_WP;
	vmcs_writel(GUEST_CR0, cr0 & vmx_caps.cr0_fixed1);
	vmcs_writel(CR0_READ_SHADOW, vcpu->cr0);

	/*
	 * CR4.MCE stays as the host has it: with MCE clear, an #MC shuts the
	 * CPU down.
	 */
	cr4 = (vcpu->cr4 & ~(u64)X86_CR4_PCIDE) | vmx_caps.cr4_fixed0 |
	      (__read_cr4() & X86_CR4_MCE);
	if (!vmx->on_ept)
		cr4 |= X86_CR4_PAE;
	/* The shadow tables of an unpaged guest map user pages. */
	if (!is_paging(vcpu))
		cr4 &= ~(u64)(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);
	vmcs_writel(GUEST_CR4, cr4 & vmx_caps.cr4_fixed1);
	vmcs_writel(CR4_READ_SHADOW, vcpu->cr4);

	efer = vcpu->efer | EFER_NX;
	/* SYSCALL enters ring 0, where no kernel of a guest with such tables is. */
	if (vmx->tables)
		efer &= ~(u64)EFER_SCE;
	if (!long_mode)
		efer &= ~(u64)EFER_LME;
	vmcs_write64(GUEST_IA32_EFER, efer);

	/* The mode decides which of the switched MSRs the guest uses. */
	vmx->msrs_loaded = false;
	entry = long_mode ? vmx->entry_ctl | ENTRY_IA32E :
			    vmx->entry_ctl & ~ENTRY_IA32E;
	if (entry != vmx->entry_ctl) {
		vmx->entry_ctl = entry;
		vmcs_write32(ENTRY_CONTROLS, entry);
		if (long_mode)
			long_mode_tr(vmx);
	}
}

void vmx_update_controls(struct vigil_vcpu *vcpu)
{
	set_secondary(vcpu);
	vmx_update_msr_map(vcpu);
}

void vmx_update_dr7(struct vigil_vcpu *vcpu)
{
	vmcs_writel(GUEST_DR7, vcpu->dr7);
}

void vmx_update_cpuid(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	/* Where CPUID hides RDTSCP, the instruction raises #UD. */
	vmx->has_tsc_aux = vmx_caps.rdtscp && guest_has(vcpu, GUEST_HAS_RDTSCP);
	vmx_update_modes(vcpu);
}
