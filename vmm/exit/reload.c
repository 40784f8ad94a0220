// SPDX-License-Identifier: GPL-2.0
/*
 * A deliberate mistake, which a hypervisor without hidden segment state would
 * make: after each exit the segments are loaded again from what their selectors
 * say now. Module parameter reload_segments turns it on; the segments selftests
 * must fail then.
 */
#include <linux/module.h>
#include <asm/processor-flags.h>

#include "reload.h"
#include "shadow/shadow.h"
#include "vmm/cpu/segment.h"
#include "vmm/mem/gmem.h"
#include "vmm/ops.h"

bool reload_segments __ro_after_init;
module_param(reload_segments, bool, 0444);
MODULE_PARM_DESC(
	reload_segments,
	"test: after every exit reload hidden segment parts from the tables, WRONGLY; the segments tests must fail");

static void reload_real(struct vigil_vcpu *vcpu, enum vigil_seg seg,
			struct kvm_segment *s)
{
	s->base = (u32)s->selector << 4;
	s->limit = 0xffff;
	s->g = 0;
	s->type = 3;
	s->s = 1;
	s->dpl = 0;
	s->present = 1;
	s->unusable = 0;
	vmm_ops->set_segment(vcpu, seg, s);
}

/* A descriptor that cannot be read leaves the segment as it is. */
static void reload_protected(struct vigil_vcpu *vcpu, enum vigil_seg seg,
			     struct kvm_segment *s)
{
	u32 offset = s->selector & 0xfff8, error_code, high;
	struct kvm_segment ldtr;
	struct kvm_dtable gdt;
	u64 d, base, limit;
	gpa_t gpa;

	vmm_ops->get_gdt(vcpu, &gdt);
	vmm_ops->get_segment(vcpu, SEG_LDTR, &ldtr);
	base = s->selector & 4 ? ldtr.base : gdt.base;
	limit = s->selector & 4 ? ldtr.limit : gdt.limit;
	if (!(s->selector & 0xfffc) || offset + 7 > limit)
		return;
	if (shadow_gva_to_gpa(vcpu, base + offset, 0, false, &gpa,
			      &error_code) ||
	    gmem_read(vcpu->vm, gpa, &d, sizeof(d)))
		return;
	segment_unpack(s, d >> 40, SEG_AVL_BIT12);
	s->unusable = !s->present;
	s->limit = (d & 0xffff) | ((d >> 32) & 0xf0000);
	if (s->g)
		s->limit = s->limit << 12 | 0xfff;
	s->base = ((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000);
	/* Descriptors of LDT and TSS have twice the size in long mode. */
	if (!s->s && is_long_mode(vcpu) &&
	    !gmem_read(vcpu->vm, gpa + 8, &high, sizeof(high)))
		s->base |= (u64)high << 32;
	vmm_ops->set_segment(vcpu, seg, s);
}

void reload_hidden(struct vigil_vcpu *vcpu)
{
	bool real = !is_protmode(vcpu) || (vcpu->rflags & X86_EFLAGS_VM);
	struct kvm_segment s;
	int i;

	for (i = 0; i < NR_SEGS; i++) {
		vmm_ops->get_segment(vcpu, i, &s);
		if (!real)
			reload_protected(vcpu, i, &s);
		else if (i != SEG_CS && i != SEG_LDTR && i != SEG_TR)
			reload_real(vcpu, i, &s);
	}
}
