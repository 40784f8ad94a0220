// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions, NMIs and interrupts on their way into a guest.
 *
 * One exception, one interrupt and two NMIs can be under way. "pending" waits
 * for the CPU, "injected" was given to it: the exit that follows says through
 * event_complete() whether the delivery was finished or must be done again.
 */
#include "cr.h"
#include "inject.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"

#define DR6_TRAPS 0xful
#define DR6_ONES 0xffff0ff0ul

/*
 * A fault of this class raises #DF when it occurs during the delivery of
 * another.
 */
#define CONTRIBUTORY                                              \
	(BIT(X86_TRAP_DE) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | \
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP))
/* Traps and aborts leave RFLAGS.RF as it is in the saved flags. */
#define NOT_FAULTS                                                \
	(BIT(X86_TRAP_DB) | BIT(X86_TRAP_BP) | BIT(X86_TRAP_OF) | \
	 BIT(X86_TRAP_DF) | BIT(X86_TRAP_MC))

static bool is_contributory(u8 vector)
{
	return vector < 32 && (CONTRIBUTORY & BIT(vector));
}

/* Is RF set in the flags that this exception saves? */
static bool is_fault(u8 vector)
{
	return vector >= 32 || !(NOT_FAULTS & BIT(vector));
}

void event_reset(struct vigil_vcpu *vcpu)
{
	memset(&vcpu->events, 0, sizeof(vcpu->events));
}

void event_drop_exception(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;

	memset(&ev->exception, 0, sizeof(ev->exception));
	ev->triple_fault = false;
}

void event_drop_injected(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;

	event_drop_exception(vcpu);
	ev->nmi_injected = false;
	ev->irq_injected = false;
}

static void deliver_payload(struct vigil_vcpu *vcpu, struct vigil_exception *e)
{
	if (!e->has_payload)
		return;
	e->has_payload = false;
	if (unlikely(e->soft)) {
		/* The frame is that of a plain INT n. RIP may have to go back. */
		swap(vcpu->rip, e->next_rip);
		vcpu->rflags &= ~X86_EFLAGS_RF;
		return;
	}
	switch (e->vector) {
	case X86_TRAP_PF:
		vcpu->cr2 = e->payload;
		break;
	case X86_TRAP_DB:
		vcpu->dr6 = (vcpu->dr6 & ~DR6_TRAPS) | e->payload | DR6_ONES;
		break;
	}
}

static void raise_exception(struct vigil_vcpu *vcpu,
			    const struct vigil_exception *new)
{
	struct vigil_events *ev = &vcpu->events;
	struct vigil_exception *e = &ev->exception;
	u8 first = e->vector, second = new->vector;

	if (pv_in_force(vcpu) && pv_fault_in_delivery(vcpu, new))
		return;
	vigil_request(vcpu, REQ_EVENT);
	/*
	 * The guest faulted while an interrupt or NMI was being delivered to
	 * it: the CPU handles the fault and has forgotten the interrupt.
	 */
	ev->irq_injected = false;
	ev->nmi_injected = false;

	if (e->pending || e->injected) {
		if (first == X86_TRAP_DF) {
			ev->triple_fault = true;
			memset(e, 0, sizeof(*e));
			return;
		}
		if ((is_contributory(first) || first == X86_TRAP_PF) &&
		    (is_contributory(second) ||
		     (first == X86_TRAP_PF && second == X86_TRAP_PF))) {
			/*
			 * The CPU has written CR2 for each of the page faults.
			 */
			deliver_payload(vcpu, e);
			*e = *new;
			deliver_payload(vcpu, e);
			*e = (struct vigil_exception){
				.pending = true,
				.vector = X86_TRAP_DF,
				.has_error_code = true,
			};
			return;
		}
		/*
		 * The first exception is raised again when its instruction is
		 * run again.
		 */
	}
	*e = *new;
	e->pending = true;
	e->injected = false;
}

void event_exception(struct vigil_vcpu *vcpu, u8 vector)
{
	struct vigil_exception e = { .vector = vector };

	raise_exception(vcpu, &e);
}

void event_exception_ec(struct vigil_vcpu *vcpu, u8 vector, u32 error_code)
{
	struct vigil_exception e = {
		.vector = vector,
		.has_error_code = true,
		.error_code = error_code,
	};

	raise_exception(vcpu, &e);
}

void event_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 error_code)
{
	struct vigil_exception e = {
		.vector = X86_TRAP_PF,
		.has_error_code = true,
		.error_code = error_code,
		.has_payload = true,
		.payload = gva,
	};

	raise_exception(vcpu, &e);
}

void event_db(struct vigil_vcpu *vcpu, unsigned long dr6)
{
	struct vigil_exception e = {
		.vector = X86_TRAP_DB,
		.has_payload = true,
		.payload = dr6,
	};

	raise_exception(vcpu, &e);
}

void event_db_entered(struct vigil_vcpu *vcpu)
{
	if (likely(!(vcpu->dr7 & DR7_GD)))
		return;
	vcpu->dr7 &= ~DR7_GD;
	vmm_ops->update_dr7(vcpu);
}

void event_soft(struct vigil_vcpu *vcpu, u8 vector, unsigned long next_rip)
{
	struct vigil_exception e = {
		.vector = vector,
		.soft = true,
		.has_payload = true,
		.next_rip = next_rip,
	};

	raise_exception(vcpu, &e);
}

static unsigned long take_held(struct vigil_vcpu *vcpu)
{
	return vmm_ops->take_held_db ? vmm_ops->take_held_db(vcpu) : 0;
}

/*
 * An entry that injects an exception drops what the CPU has held back, so its
 * breakpoints come with this #DB. Where none is injected, the CPU delivers them.
 * A string instruction comes here twice when it ends.
 */
void event_db_held(struct vigil_vcpu *vcpu, unsigned long dr6)
{
	const struct vigil_exception *e = &vcpu->events.exception;

	if (e->pending && e->vector == X86_TRAP_DB && e->has_payload)
		dr6 |= e->payload;
	event_db(vcpu, dr6 | take_held(vcpu));
}

void event_drop_shadow(struct vigil_vcpu *vcpu)
{
	take_held(vcpu);
	vmm_call(set_irq_shadow)(vcpu, false);
}

/* --- what the next entry delivers --- */

static bool in_delivery(const struct vigil_events *ev)
{
	return ev->exception.pending || ev->exception.injected ||
	       ev->nmi_injected || ev->irq_injected;
}

bool event_irq_allowed(struct vigil_vcpu *vcpu)
{
	return (vcpu->rflags & X86_EFLAGS_IF) && !in_delivery(&vcpu->events) &&
	       !vmm_call(irq_shadow)(vcpu);
}

static bool event_nmi_allowed(struct vigil_vcpu *vcpu)
{
	return !vcpu->events.nmi_masked && !in_delivery(&vcpu->events) &&
	       !vmm_call(irq_shadow)(vcpu);
}

/*
 * An event whose delivery an exit cut short is delivered first, and no other
 * one with it.
 */
static bool inject_again(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;

	if (ev->exception.injected)
		vmm_ops->inject_exception(vcpu, &ev->exception);
	else if (ev->nmi_injected)
		vmm_ops->inject_nmi(vcpu);
	else if (ev->irq_injected)
		vmm_ops->inject_irq(vcpu, ev->irq_vector);
	else
		return false;
	return true;
}

static void inject_new(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;
	struct vigil_exception *e = &ev->exception;

	if (e->pending) {
		deliver_payload(vcpu, e);
		if (e->vector == X86_TRAP_DB && !e->soft)
			event_db_entered(vcpu);
		if (!e->soft && is_fault(e->vector))
			vcpu->rflags |= X86_EFLAGS_RF;
		e->pending = false;
		e->injected = true;
		vmm_ops->inject_exception(vcpu, e);
		vcpu->stat.exceptions_injected++;
	} else if (ev->nmi_pending && event_nmi_allowed(vcpu)) {
		ev->nmi_pending--;
		ev->nmi_injected = true;
		ev->nmi_masked = true;
		vmm_ops->inject_nmi(vcpu);
		vcpu->stat.nmis_injected++;
	} else if (ev->irq_pending && event_irq_allowed(vcpu)) {
		ev->irq_pending = false;
		ev->irq_injected = true;
		vmm_ops->inject_irq(vcpu, ev->irq_vector);
		vcpu->stat.irqs_injected++;
	}
}

/* For INT n, the handler was looked for when it was queued. */
static bool needs_handler(const struct vigil_events *ev)
{
	return ev->exception.injected ? !ev->exception.soft :
					ev->nmi_injected || ev->irq_injected;
}

static u8 injected_vector(const struct vigil_events *ev)
{
	return ev->exception.injected ? ev->exception.vector :
	       ev->nmi_injected	      ? X86_TRAP_NMI :
					ev->irq_vector;
}

int event_inject(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;
	bool again;

	clear_bit(REQ_EVENT, &vcpu->requests);
	/*
	 * REQ_EVENT was set by this thread, or its event is seen below: the
	 * barrier orders the two.
	 */
	smp_mb__after_atomic();

	if (unlikely(ev->triple_fault)) {
		event_drop_injected(vcpu);
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		return 0;
	}
	again = inject_again(vcpu);
	if (!again)
		inject_new(vcpu);
	if (pv_in_force(vcpu) && needs_handler(ev) &&
	    pv_deliver(vcpu, injected_vector(ev)) < 0) {
		event_cancel(vcpu);
		return -EIO;
	}
	trace_vigil_inject(vcpu, again);
	if (ev->nmi_pending)
		vmm_ops->nmi_window(vcpu);
	vmm_ops->irq_window(
		vcpu, ev->irq_pending ||
			      READ_ONCE(vcpu->run->request_interrupt_window));
	return 1;
}

void event_cancel(struct vigil_vcpu *vcpu)
{
	if (!event_injected(vcpu))
		return;
	vmm_ops->cancel_injection(vcpu);
	vigil_request(vcpu, REQ_EVENT);
}

void event_complete(struct vigil_vcpu *vcpu, enum cut_short kind, u8 vector,
		    bool has_ec, u32 ec)
{
	struct vigil_events *ev = &vcpu->events;
	bool soft = ev->exception.injected && ev->exception.soft;

	ev->exception.injected = false;
	ev->nmi_injected = false;
	ev->irq_injected = false;

	switch (kind) {
	case CUT_NONE:
		return;
	case CUT_SOFT:
		/*
		 * The instruction is executed again. It had begun, so no
		 * interrupt may come before it any more. With TF a shadow would
		 * also move the trap of the single step.
		 */
		if (!(vcpu->rflags & X86_EFLAGS_TF))
			vmm_call(set_irq_shadow)(vcpu, true);
		vcpu->pv.cut_vector = vector;
		vcpu->pv.cut_exit = vcpu->stat.exits + 1;
		return;
	case CUT_IRQ:
		if (unlikely(soft)) {
			ev->exception.injected = true;
			break;
		}
		ev->irq_injected = true;
		ev->irq_vector = vector;
		break;
	case CUT_NMI:
		ev->nmi_injected = true;
		ev->nmi_masked = true;
		break;
	case CUT_EXCEPTION:
		/* The first delivery has written CR2 and DR6. */
		ev->exception = (struct vigil_exception){
			.injected = true,
			.vector = vector,
			.has_error_code = has_ec,
			.error_code = has_ec ? ec : 0,
		};
		break;
	}
	vcpu->stat.reinjected++;
	vigil_request(vcpu, REQ_EVENT);
}

/* INT3 and INTO are instructions, whatever the CPU calls the event. */
static bool is_instruction(const struct vigil_exception *e)
{
	return e->soft || e->vector == X86_TRAP_BP || e->vector == X86_TRAP_OF;
}

struct emul_event event_injected_now(const struct vigil_vcpu *vcpu)
{
	const struct vigil_exception *e = &vcpu->events.exception;

	if (!e->injected)
		return (struct emul_event){
			.vector = injected_vector(&vcpu->events),
			.external = true,
		};
	return (struct emul_event){
		.vector = e->vector,
		.external = !is_instruction(e),
		.rf = !e->soft && is_fault(e->vector),
		.has_ec = e->has_error_code,
		.error_code = e->error_code,
	};
}

void event_delivered(struct vigil_vcpu *vcpu)
{
	if (vcpu->events.nmi_injected)
		vmm_ops->mask_nmi(vcpu, true);
	event_complete(vcpu, CUT_NONE, 0, false, 0);
}

void event_nmi_unmask(struct vigil_vcpu *vcpu)
{
	vcpu->events.nmi_masked = false;
	vmm_ops->mask_nmi(vcpu, false);
	if (vcpu->events.nmi_pending)
		vigil_request(vcpu, REQ_EVENT);
}

/* --- userspace --- */

int event_user_irq(struct vigil_vcpu *vcpu, u32 vector)
{
	struct vigil_events *ev = &vcpu->events;

	if (vector > 255)
		return -EINVAL;
	if (ev->irq_pending || ev->irq_injected)
		return -EEXIST;
	ev->irq_pending = true;
	ev->irq_vector = vector;
	vigil_request(vcpu, REQ_EVENT);
	return 0;
}

void event_user_nmi(struct vigil_vcpu *vcpu)
{
	struct vigil_events *ev = &vcpu->events;
	/*
	 * A CPU holds one NMI in service and one latched: further ones collapse
	 * into the latched one.
	 */
	unsigned int limit = ev->nmi_masked || ev->nmi_injected ? 1 : 2;

	ev->nmi_pending = min(ev->nmi_pending + 1, limit);
	vigil_request(vcpu, REQ_EVENT);
}

static bool ready_for_user_irq(struct vigil_vcpu *vcpu)
{
	return !vcpu->events.irq_pending && event_irq_allowed(vcpu);
}

void event_run_begin(struct vigil_vcpu *vcpu)
{
	if (READ_ONCE(vcpu->run->request_interrupt_window))
		vigil_request(vcpu, REQ_EVENT);
}

bool event_window_wanted(struct vigil_vcpu *vcpu)
{
	if (!ready_for_user_irq(vcpu))
		return false;
	vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	return true;
}

void event_window_opened(struct vigil_vcpu *vcpu)
{
	vmm_ops->irq_window(vcpu, false);
	vigil_request(vcpu, REQ_EVENT);
}

/*
 * INT n that has not reached its handler: the guest executes it again, so that what the
 * VMM does with the registers meanwhile cannot lose it or do it twice.
 */
static void soft_again(struct vigil_vcpu *vcpu)
{
	struct vigil_exception *e = &vcpu->events.exception;

	if (likely(!e->soft))
		return;
	if (e->injected)
		vcpu->rip = e->next_rip;
	memset(e, 0, sizeof(*e));
}

void event_run_end(struct vigil_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	soft_again(vcpu);
	run->if_flag = !!(vcpu->rflags & X86_EFLAGS_IF);
	run->ready_for_interrupt_injection = ready_for_user_irq(vcpu);
	run->cr8 = vcpu->cr8;
	run->apic_base = vcpu->apic_base;
	run->flags = 0;
}
