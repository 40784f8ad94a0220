// SPDX-License-Identifier: GPL-2.0
/* Registers as userspace sees them, and their values at RESET. */
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "cpuid.h"
#include "cr.h"
#include "inject.h"
#include "msr.h"
#include "regs.h"
#include "segment.h"
#include "shadow/shadow.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"

int vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs)
{
	regs->rax = vcpu->regs[REG_RAX];
	regs->rbx = vcpu->regs[REG_RBX];
	regs->rcx = vcpu->regs[REG_RCX];
	regs->rdx = vcpu->regs[REG_RDX];
	regs->rsi = vcpu->regs[REG_RSI];
	regs->rdi = vcpu->regs[REG_RDI];
	regs->rsp = vcpu->regs[REG_RSP];
	regs->rbp = vcpu->regs[REG_RBP];
	regs->r8 = vcpu->regs[REG_R8];
	regs->r9 = vcpu->regs[REG_R9];
	regs->r10 = vcpu->regs[REG_R10];
	regs->r11 = vcpu->regs[REG_R11];
	regs->r12 = vcpu->regs[REG_R12];
	regs->r13 = vcpu->regs[REG_R13];
	regs->r14 = vcpu->regs[REG_R14];
	regs->r15 = vcpu->regs[REG_R15];
	regs->rip = vcpu->rip;
	regs->rflags = vcpu->rflags;
	return 0;
}

/*
 * An interrupt shadow, and the #DB that one of MOV SS holds back, belong to the place
 * where the guest stands. VMX refuses an entry with a step that is held back without TF,
 * and with a shadow of STI without IF. A VMM that sets what it has read changes nothing:
 * no interrupt may come between STI and HLT.
 */
static bool is_elsewhere(const struct vigil_vcpu *vcpu,
			 const struct kvm_regs *regs)
{
	return regs->rip != vcpu->rip ||
	       (regs->rflags ^ vcpu->rflags) & (X86_EFLAGS_TF | X86_EFLAGS_IF);
}

int vcpu_set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs)
{
	if (is_elsewhere(vcpu, regs))
		event_drop_shadow(vcpu);
	/*
	 * So does an exception whose delivery an exit has cut short. Executing the
	 * instruction again would raise a fault again, but no trap, so a debugger that
	 * changes other registers loses none.
	 */
	if (regs->rip != vcpu->rip)
		event_drop_exception(vcpu);
	vcpu->regs[REG_RAX] = regs->rax;
	vcpu->regs[REG_RBX] = regs->rbx;
	vcpu->regs[REG_RCX] = regs->rcx;
	vcpu->regs[REG_RDX] = regs->rdx;
	vcpu->regs[REG_RSI] = regs->rsi;
	vcpu->regs[REG_RDI] = regs->rdi;
	vcpu->regs[REG_RSP] = regs->rsp;
	vcpu->regs[REG_RBP] = regs->rbp;
	vcpu->regs[REG_R8] = regs->r8;
	vcpu->regs[REG_R9] = regs->r9;
	vcpu->regs[REG_R10] = regs->r10;
	vcpu->regs[REG_R11] = regs->r11;
	vcpu->regs[REG_R12] = regs->r12;
	vcpu->regs[REG_R13] = regs->r13;
	vcpu->regs[REG_R14] = regs->r14;
	vcpu->regs[REG_R15] = regs->r15;
	vcpu->rip = regs->rip;
	vcpu->rflags = regs->rflags | X86_EFLAGS_FIXED;
	/*
	 * A pending exception belonged to the registers that are replaced:
	 * forget it.
	 */
	vcpu->events.exception.pending = false;
	vigil_request(vcpu, REQ_EVENT);
	return 0;
}

int vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *s)
{
	segments_get(vcpu, s);
	s->cr0 = vcpu->cr0;
	s->cr2 = vcpu->cr2;
	s->cr3 = vcpu->cr3;
	s->cr4 = vcpu->cr4;
	s->cr8 = vcpu->cr8;
	s->efer = vcpu->efer;
	s->apic_base = vcpu->apic_base;
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
	if (vcpu->events.irq_injected || vcpu->events.irq_pending)
		set_bit(vcpu->events.irq_vector,
			(unsigned long *)s->interrupt_bitmap);
	return 0;
}

static bool sregs_valid(struct vigil_vcpu *vcpu, const struct kvm_sregs *s)
{
	if (!cr_consistent(vcpu, s->cr0, s->cr4, s->efer) || s->cr8 & ~0xfull ||
	    !msr_apic_base_valid(vcpu, s->apic_base))
		return false;
	if (!(s->efer & EFER_LMA))
		return !s->cs.l;
	return !(s->cr3 & vcpu->cr3_reserved) && !(s->cs.l && s->cs.db);
}

int vcpu_set_sregs(struct vigil_vcpu *vcpu, const struct kvm_sregs *s)
{
	int irq;

	if (!sregs_valid(vcpu, s))
		return -EINVAL;
	/* A reset, or another mode: the tables of the VMM are made for one mode. */
	if (pv_in_force(vcpu) &&
	    walk_paging_of(s->cr0, s->cr4, s->efer) != vcpu->shadow.mode.paging)
		pv_tables_leave(vcpu);
	vcpu->cr0 = s->cr0 | X86_CR0_ET;
	vcpu->cr3 = s->cr3;
	vcpu->cr4 = s->cr4;
	vcpu->efer = s->efer;
	/*
	 * PAE paging latches the PDPTEs as by a MOV CR3. The guest may have
	 * used the memory of its table for something else since then: if it is
	 * bad now, the latched PDPTEs stay.
	 */
	if ((s->cr0 & X86_CR0_PG) && (s->cr4 & X86_CR4_PAE) &&
	    !(s->efer & EFER_LMA))
		shadow_load_pdptes(vcpu);
	vcpu->cr2 = s->cr2;
	vcpu->cr8 = s->cr8;
	vcpu->run->cr8 = s->cr8;
	vcpu->apic_base = s->apic_base;
	segments_set(vcpu, s);
	vmm_ops->update_cr0(vcpu);
	vmm_ops->update_cr4(vcpu);
	vmm_ops->update_efer(vcpu);
	/*
	 * A VMM that restores a snapshot has written to the guest's tables, and
	 * this call is the only sign of it.
	 */
	shadow_reread_tables(vcpu->vm);
	shadow_mode_changed(vcpu);
	shadow_flush_guest(vcpu);
	fetch_flush(vcpu);
	cpuid_xcr0_changed(vcpu);

	irq = find_first_bit((const unsigned long *)s->interrupt_bitmap, 256);
	vcpu->events.irq_injected = false;
	vcpu->events.irq_pending = irq < 256;
	if (irq < 256)
		vcpu->events.irq_vector = irq;
	vigil_request(vcpu, REQ_EVENT);
	return 0;
}

/* The walk looks at no more bits than it needs: an address beyond them is none. */
static bool is_gva(const struct vigil_vcpu *vcpu, u64 gva)
{
	if (!is_long_mode(vcpu))
		return gva <= U32_MAX;
	return gva_canonical(gva, vcpu->cr4 & X86_CR4_LA57 ? 57 : 48);
}

int vcpu_translate(struct vigil_vcpu *vcpu, struct kvm_translation *tr)
{
	bool user = vmm_call(get_cpl)(vcpu) == 3;
	gva_t gva = tr->linear_address;
	u32 error_code;
	gpa_t gpa;

	if (!is_gva(vcpu, gva)) {
		tr->physical_address = INVALID_GPA;
		tr->valid = 0;
		tr->writeable = 0;
		tr->usermode = 0;
		return 0;
	}
	/* Under SMAP the kernel may not read what user code may. */
	tr->usermode = !shadow_gva_to_gpa(vcpu, gva, PFERR_U, false, &gpa,
					  &error_code);
	tr->valid = tr->usermode ||
		    !shadow_gva_to_gpa(vcpu, gva, 0, false, &gpa, &error_code);
	tr->physical_address = tr->valid ? gpa : INVALID_GPA;
	tr->writeable = !shadow_gva_to_gpa(vcpu, gva,
					   PFERR_W | (user ? PFERR_U : 0),
					   false, &gpa, &error_code);
	return 0;
}

/* SDM vol. 3, "Processor State After Reset" */
void vcpu_reset(struct vigil_vcpu *vcpu)
{
	memset(vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs[REG_RDX] = 0x600;
	vcpu->rip = 0xfff0;
	vcpu->rflags = X86_EFLAGS_FIXED;
	vcpu->cr0 = X86_CR0_ET | X86_CR0_NW | X86_CR0_CD;
	vcpu->cr2 = 0;
	vcpu->cr3 = 0;
	vcpu->cr4 = 0;
	vcpu->cr8 = 0;
	vcpu->efer = 0;
	vcpu->xcr0 = 1;
	vcpu->dr6 = 0xffff0ff0;
	vcpu->dr7 = 0x400;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	msr_vcpu_reset(vcpu);
	event_reset(vcpu);
	vmm_ops->vcpu_reset(vcpu);
	vmm_ops->update_cr0(vcpu);
	vmm_ops->update_cr4(vcpu);
	vmm_ops->update_efer(vcpu);
	vmm_ops->update_dr7(vcpu);
	vmm_ops->set_tsc_offset(vcpu);
	vmm_ops->update_cpuid(vcpu);
	shadow_mode_changed(vcpu);
}
