// SPDX-License-Identifier: GPL-2.0
/* Segments and descriptor tables as userspace sees them. */
#include "segment.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"

void segments_get(struct vigil_vcpu *vcpu, struct kvm_sregs *s)
{
	vmm_ops->get_segment(vcpu, SEG_CS, &s->cs);
	vmm_ops->get_segment(vcpu, SEG_DS, &s->ds);
	vmm_ops->get_segment(vcpu, SEG_ES, &s->es);
	vmm_ops->get_segment(vcpu, SEG_FS, &s->fs);
	vmm_ops->get_segment(vcpu, SEG_GS, &s->gs);
	vmm_ops->get_segment(vcpu, SEG_SS, &s->ss);
	if (pv_in_force(vcpu)) {
		s->tr = vcpu->pv.tables->own.tr;
		s->ldt = vcpu->pv.tables->own.ldt;
		s->idt = vcpu->pv.tables->own.idt;
		s->gdt = vcpu->pv.tables->own.gdt;
		return;
	}
	vmm_ops->get_segment(vcpu, SEG_TR, &s->tr);
	vmm_ops->get_segment(vcpu, SEG_LDTR, &s->ldt);
	vmm_ops->get_idt(vcpu, &s->idt);
	vmm_ops->get_gdt(vcpu, &s->gdt);
}

void segments_set(struct vigil_vcpu *vcpu, const struct kvm_sregs *s)
{
	vmm_ops->set_segment(vcpu, SEG_CS, &s->cs);
	vmm_ops->set_segment(vcpu, SEG_DS, &s->ds);
	vmm_ops->set_segment(vcpu, SEG_ES, &s->es);
	vmm_ops->set_segment(vcpu, SEG_FS, &s->fs);
	vmm_ops->set_segment(vcpu, SEG_GS, &s->gs);
	vmm_ops->set_segment(vcpu, SEG_SS, &s->ss);
	if (pv_in_force(vcpu)) {
		vcpu->pv.tables->own.tr = s->tr;
		vcpu->pv.tables->own.ldt = s->ldt;
		vcpu->pv.tables->own.idt = s->idt;
		vcpu->pv.tables->own.gdt = s->gdt;
		return;
	}
	vmm_ops->set_segment(vcpu, SEG_TR, &s->tr);
	vmm_ops->set_segment(vcpu, SEG_LDTR, &s->ldt);
	vmm_ops->set_idt(vcpu, &s->idt);
	vmm_ops->set_gdt(vcpu, &s->gdt);
}
