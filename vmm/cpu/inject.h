/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exceptions, NMIs and interrupts on their way into a guest.
 *
 * vcpu->events holds what is pending (to be given to the CPU) and what is
 * injected (given to the CPU in the coming or running entry). Whoever makes
 * something pending sets REQ_EVENT; nothing pending costs one test of
 * vcpu->requests. All [v].
 */
#ifndef VIGIL_EVENT_H
#define VIGIL_EVENT_H

#include <uapi/asm/debugreg.h>

#include <asm/processor-flags.h>

#include "cut.h"
#include "vmm/vcpu.h"

/* RESET: no event is pending or injected, and NMIs are unmasked. */
void event_reset(struct vigil_vcpu *vcpu);

/*
 * Shutdown: drops the events on their way into the guest. NMIs stay masked if
 * they were.
 */
void event_drop_injected(struct vigil_vcpu *vcpu);
/* Drops the exception that is on its way, or the shutdown that it has become. */
void event_drop_exception(struct vigil_vcpu *vcpu);

void event_exception(struct vigil_vcpu *vcpu, u8 vector);
void event_exception_ec(struct vigil_vcpu *vcpu, u8 vector, u32 error_code);
void event_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 error_code);
static inline void event_gp(struct vigil_vcpu *vcpu)
{
	event_exception_ec(vcpu, X86_TRAP_GP, 0);
}

static inline void event_ud(struct vigil_vcpu *vcpu)
{
	event_exception(vcpu, X86_TRAP_UD);
}

/*
 * Queues INT n, whatever its gate's DPL: the delivery moves RIP to @next_rip first.
 * RFLAGS.IF is set.
 */
void event_soft(struct vigil_vcpu *vcpu, u8 vector, unsigned long next_rip);

/* Queues #DB. @dr6: the bits that its delivery sets in DR6 (BS, BD, B0-B3). */
void event_db(struct vigil_vcpu *vcpu, unsigned long dr6);
/* The same, and with it what a MOV SS before this instruction has held back. */
void event_db_held(struct vigil_vcpu *vcpu, unsigned long dr6);
/* Forgets an interrupt shadow, and the #DB that one of MOV SS holds back. */
void event_drop_shadow(struct vigil_vcpu *vcpu);
/*
 * The handler of a #DB is entered, which clears DR7.GD. The CPU does that only for one
 * that it raises itself.
 */
void event_db_entered(struct vigil_vcpu *vcpu);
/*
 * Queues the #DB behind an instruction, if there is one: of TF in @rflags, as they
 * were before it, and of the data breakpoints @dr6 that it has hit.
 */
static inline void event_trap(struct vigil_vcpu *vcpu, unsigned long rflags,
			      unsigned long dr6)
{
	if (unlikely(rflags & X86_EFLAGS_TF))
		dr6 |= DR_STEP;
	if (unlikely(dr6))
		event_db_held(vcpu, dr6);
}

/**
 * event_inject() - give the CPU what it should deliver with the next entry
 * @vcpu:	the vCPU
 *
 * Before each entry for which REQ_EVENT is set (clears it itself), after
 * shadow_load() and everything else that may queue an exception. Does not
 * sleep; IRQs on or off. At most one event is injected; for what has to wait a
 * window is asked for.
 *
 * Return: 1 enter; 0 the guest is in shutdown, -EIO no handler can take the event and
 * the VM has ended: vcpu->run is filled in.
 */
int event_inject(struct vigil_vcpu *vcpu);

/*
 * The entry was called off after event_inject(): the injected event is injected
 * again the next time.
 */
void event_cancel(struct vigil_vcpu *vcpu);

/* KVM_INTERRUPT. -EINVAL: the vector is above 255; -EEXIST: one is pending. */
int event_user_irq(struct vigil_vcpu *vcpu, u32 vector);
/* KVM_NMI */
void event_user_nmi(struct vigil_vcpu *vcpu);

/*
 * Forgets the injected event, and queues @kind again. (With CUT_SOFT the
 * instruction is executed again.)
 */
void event_complete(struct vigil_vcpu *vcpu, enum cut_short kind, u8 vector,
		    bool has_ec, u32 ec);

/* The injected event, for the emulator to deliver. */
struct emul_event event_injected_now(const struct vigil_vcpu *vcpu);
/* The emulator has delivered it, if there was one. */
void event_delivered(struct vigil_vcpu *vcpu);

/* The guest has executed IRET, or its NMI window is open: NMIs are unmasked. */
void event_nmi_unmask(struct vigil_vcpu *vcpu);

/* Could the CPU take an external interrupt at this instruction boundary? */
bool event_irq_allowed(struct vigil_vcpu *vcpu);

/* Is there an event that would wake a halted vCPU? */
static inline bool event_wakes(struct vigil_vcpu *vcpu)
{
	const struct vigil_events *ev = &vcpu->events;

	return ev->exception.pending || ev->nmi_pending || ev->nmi_injected ||
	       ev->irq_injected || (ev->irq_pending && event_irq_allowed(vcpu));
}

/*
 * Is an event on its way that the guest has not seen? Then RIP must not change.
 */
static inline bool event_injected(const struct vigil_vcpu *vcpu)
{
	const struct vigil_events *ev = &vcpu->events;

	return ev->exception.injected || ev->nmi_injected || ev->irq_injected;
}

/* --- struct kvm_run, for a VMM that has the interrupt controller --- */

/* KVM_RUN begins: reads run->request_interrupt_window. */
void event_run_begin(struct vigil_vcpu *vcpu);
/*
 * After each exit that does not end KVM_RUN: has the VMM asked for
 * KVM_EXIT_IRQ_WINDOW_OPEN, and is the window open? Then KVM_RUN ends;
 * exit_reason is filled in.
 */
bool event_window_wanted(struct vigil_vcpu *vcpu);
static inline bool event_window_exit(struct vigil_vcpu *vcpu)
{
	return unlikely(READ_ONCE(vcpu->run->request_interrupt_window)) &&
	       event_window_wanted(vcpu);
}

/* The exit came because an interrupt window is open: exit_irq_window(). */
void event_window_opened(struct vigil_vcpu *vcpu);
/*
 * KVM_RUN ends: fills in if_flag, ready_for_interrupt_injection, cr8,
 * apic_base.
 */
void event_run_end(struct vigil_vcpu *vcpu);

#endif
