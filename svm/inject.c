// SPDX-License-Identifier: GPL-2.0
/* Injection, interrupt and NMI windows, and events whose delivery was cut short. */
#include <asm/processor-flags.h>

#include "cut.h"
#include "svm.h"
#include "vmm/cpu/inject.h"

void svm_inject_exception(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e)
{
	struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;
	/* An exception in real mode has no error code. */
	bool has_ec = e->has_error_code && is_protmode(vcpu);

	if (unlikely(e->soft)) {
		svm_inject_irq(vcpu, e->vector);
		return;
	}
	c->event_inj = e->vector | EVT_TYPE_EXCEPTION | EVT_VALID |
		       (has_ec ? EVT_HAS_ERROR : 0);
	c->event_inj_error = has_ec ? e->error_code : 0;
}

/* Sets up or takes back a virtual interrupt (V_IRQ) of the highest priority. */
static void set_virq(struct vmcb *vmcb, bool on)
{
	const u32 virq = V_IRQ | V_INTR_PRIO | V_IGN_TPR;
	u32 ctl = vmcb->control.int_control;

	vmcb->control.int_control = on ? ctl | virq : ctl & ~virq;
	vmcb_dirty(vmcb, CLEAN_TPR);
}

void svm_inject_irq(struct vigil_vcpu *vcpu, u8 vector)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (likely(!svm_caps.inject_by_virq)) {
		svm->vmcb->control.event_inj = vector | EVT_TYPE_INTR |
					       EVT_VALID;
		return;
	}
	svm->vmcb->control.int_vector = vector;
	svm->virq = true;
	set_virq(svm->vmcb, true);
	svm_intercept(svm->vmcb, ICPT_MISC1, ICPT_VINTR, false);
}

void svm_inject_nmi(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.event_inj = 2 | EVT_TYPE_NMI | EVT_VALID;
	svm_mask_nmi(vcpu, true);
}

void svm_cancel_injection(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.event_inj = 0;
	if (svm->virq)
		set_virq(svm->vmcb, false);
	svm->virq = false;
}

bool svm_irq_shadow(struct vigil_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.int_state & INT_SHADOW;
}

void svm_set_irq_shadow(struct vigil_vcpu *vcpu, bool on)
{
	struct vmcb_control *c = &to_svm(vcpu)->vmcb->control;

	c->int_state = (c->int_state & ~(u64)INT_SHADOW) |
		       (on ? INT_SHADOW : 0);
}

/*
 * Makes the CPU exit when it could take an interrupt: a virtual interrupt is
 * pending, whose intercept comes before its delivery.
 */
void svm_irq_window(struct vigil_vcpu *vcpu, bool on)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	/*
	 * V_IRQ carries an interrupt to the guest: svm_event_exit() has the
	 * window asked for again once it is delivered.
	 */
	if (unlikely(to_svm(vcpu)->virq))
		return;
	if (on == !!(vmcb->control.int_control & V_IRQ))
		return;
	set_virq(vmcb, on);
	svm_intercept(vmcb, ICPT_MISC1, ICPT_VINTR, on);
}

/*
 * SVM has no NMI window. While an NMI handler runs, the IRET intercept shows
 * its end. Whatever else blocks an NMI (the IRET itself, an interrupt shadow,
 * an exception that goes first) lasts one instruction, so the guest is
 * single-stepped over it.
 */
void svm_nmi_window(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (vcpu->events.nmi_masked && !svm->await_iret) {
		svm_intercept(svm->vmcb, ICPT_MISC1, ICPT_IRET, true);
		return;
	}
	svm->stepping = true;
}

/*
 * Only an IRET of a new handler unmasks NMIs then. One of the emulator's has not been
 * seen to end: nothing waits for another one, which would be taken for the handler's.
 */
void svm_mask_nmi(struct vigil_vcpu *vcpu, bool masked)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->await_iret = false;
	svm_intercept(svm->vmcb, ICPT_MISC1, ICPT_IRET, masked);
}

void svm_exit_iret(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_intercept(svm->vmcb, ICPT_MISC1, ICPT_IRET, false);
	svm->await_iret = true;
	svm->iret_rip = vcpu->rip;
	/* A pending NMI must be delivered right behind the IRET. */
	if (vcpu->events.nmi_pending)
		vigil_request(vcpu, REQ_EVENT);
}

/*
 * Called after an entry with stepping or await_iret. Clears the TF that was set
 * for the step, unless the guest's IRET has just loaded its own.
 */
void svm_nmi_progress(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	bool iret_done = svm->await_iret && vcpu->rip != svm->iret_rip;

	if (svm->stepping) {
		if (!svm->step_tf && !iret_done)
			vcpu->rflags &= ~(unsigned long)X86_EFLAGS_TF;
		svm->stepped = !svm->step_tf &&
			       svm->vmcb->control.exit_code == EXIT_EXCP_DB;
		svm->stepping = false;
		/*
		 * event_inject() asks for the window again if it is still
		 * wanted.
		 */
		vigil_request(vcpu, REQ_EVENT);
	}
	if (iret_done)
		event_nmi_unmask(vcpu);
}

/* The injected event has been delivered, unless the exit came in the middle of it. */
void svm_event_exit(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;
	u32 info = c->exit_int_info;
	enum cut_short kind;
	u8 vector;

	kind = svm_cut(c, svm->injected, svm->virq, &vector);
	if (unlikely(svm->virq)) {
		svm->virq = false;
		set_virq(svm->vmcb, false);
		vigil_request(vcpu, REQ_EVENT);
	}
	svm->own_event = kind == CUT_EXCEPTION && !(svm->injected & EVT_VALID);
	svm->injected = 0;
	event_complete(vcpu, kind, vector, info & EVT_HAS_ERROR,
		       c->exit_int_error);
}
