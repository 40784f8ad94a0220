// SPDX-License-Identifier: GPL-2.0
/* Segments and descriptor tables as userspace sees them. */
#include "segment.h"
#include "vmm/ops.h"

void segments_get(struct vigil_vcpu *vcpu, struct kvm_sregs *s)
{
	vmm_ops->get_segment(vcpu, SEG_CS, &s->cs);
	vmm_ops->get_segment(vcpu, SEG_DS, &s->ds);
	vmm_ops->get_segment(vcpu, SEG_ES, &s->es);
	vmm_ops->get_segment(vcpu, SEG_FS, &s->fs);
	vmm_ops->get_segment(vcpu, SEG_GS, &s->gs);
	vmm_ops->get_segment(vcpu, SEG_SS, &s->ss);
	vmm_ops->get_segment(vcpu, SEG_TR, &s->tr);
	vmm_ops->get_segment(vcpu, SEG_LDTR, &s->ldt);
	vmm_ops->get_idt(vcpu, &s->idt);
	vmm_ops->get_gdt(vcpu, &s->gdt);
}

void segments_set(struct vigil_vcpu *vcpu, const struct kvm_sregs *s)
{
	vmm_ops->set_idt(vcpu, &s->idt);
	vmm_ops->set_gdt(vcpu, &s->gdt);
	vmm_ops->set_segment(vcpu, SEG_CS, &s->cs);
	vmm_ops->set_segment(vcpu, SEG_DS, &s->ds);
	vmm_ops->set_segment(vcpu, SEG_ES, &s->es);
	vmm_ops->set_segment(vcpu, SEG_FS, &s->fs);
	vmm_ops->set_segment(vcpu, SEG_GS, &s->gs);
	vmm_ops->set_segment(vcpu, SEG_SS, &s->ss);
	vmm_ops->set_segment(vcpu, SEG_TR, &s->tr);
	vmm_ops->set_segment(vcpu, SEG_LDTR, &s->ldt);
}
