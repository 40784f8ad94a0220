// SPDX-License-Identifier: GPL-2.0
/*
 * The mistake that a hypervisor without hidden segment state would make, on
 * purpose: after every exit the segments are loaded again from what their
 * selectors say now. Module parameter reload_segments; the segments selftests
 * must fail with it.
 */
#include <asm/processor-flags.h>

#include "svm.h"

static void reload_real(struct vmcb_seg *s)
{
	s->base = (u32)s->selector << 4;
	s->limit = 0xffff;
	s->attr = 0x93;
}

/* a descriptor that cannot be read leaves the segment alone */
static void reload_protected(struct vigil_vcpu *vcpu, struct vmcb_seg *s)
{
	const struct vmcb_save *save = &to_svm(vcpu)->vmcb->save;
	const struct vmcb_seg *table = s->selector & 4 ? &save->ldtr :
							 &save->gdtr;
	u32 offset = s->selector & 0xfff8, error_code, limit, high;
	gpa_t gpa;
	u64 d;

	if (!(s->selector & 0xfffc) || offset + 7 > table->limit)
		return;
	if (shadow_gva_to_gpa(vcpu, table->base + offset, 0, false, &gpa,
			      &error_code) ||
	    gmem_read(vcpu->vm, gpa, &d, sizeof(d)))
		return;
	limit = (d & 0xffff) | ((d >> 32) & 0xf0000);
	s->attr = ((d >> 40) & 0xff) | ((d >> 44) & 0xf00);
	s->limit = s->attr & SEG_ATTR_G ? limit << 12 | 0xfff : limit;
	s->base = ((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000);
	/* descriptors of LDT and TSS have twice the size in long mode */
	if (!(s->attr & SEG_ATTR_S) && is_long_mode(vcpu) &&
	    !gmem_read(vcpu->vm, gpa + 8, &high, sizeof(high)))
		s->base |= (u64)high << 32;
}

void svm_reload_hidden(struct vigil_vcpu *vcpu)
{
	bool real = !is_protmode(vcpu) || (vcpu->rflags & X86_EFLAGS_VM);
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	int i;

	for (i = 0; i < NR_SEGS; i++) {
		struct vmcb_seg *s = svm_seg(vmcb, i);

		if (!real)
			reload_protected(vcpu, s);
		else if (i != SEG_CS && i != SEG_LDTR && i != SEG_TR)
			reload_real(s);
	}
	vmcb_dirty(vmcb, CLEAN_SEG);
}
