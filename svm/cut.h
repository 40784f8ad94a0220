/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which event was being delivered: APM volume 2, "Event Injection" and "Virtual
 * Interrupts". Pure: also compiled in userspace, for its test.
 */
#ifndef VIGIL_SVM_CUT_H
#define VIGIL_SVM_CUT_H

#include "vmm/arch.h"
#include "vmm/cpu/cut.h"
#include "vmcb.h"

/*
 * Does the CPU deliver such an event in a guest without an injection? It delivers no
 * interrupts but a virtual one, and no exceptions that are intercepted. (When the
 * delivery of an INT n is cut short, Bochs 2.7 reports the last event that it remembers.)
 */
static inline bool svm_delivers(const struct vmcb_control *c,
				enum cut_short kind, bool virq, u8 vector)
{
	if (kind == CUT_EXCEPTION)
		return vector < 32 &&
		       !(c->intercept[ICPT_EXCEPTION] & BIT(vector));
	return kind == CUT_IRQ && virq && vector == (u8)c->int_vector;
}

/*
 * INT3 and INTO have the type of exceptions. RIP points to the one of the guest, but
 * one that was injected belongs to no instruction at RIP.
 */
static inline bool svm_is_soft(u32 info, u32 injected)
{
	u8 vector = info & EVT_VECTOR;

	return (vector == X86_TRAP_BP || vector == X86_TRAP_OF) &&
	       (injected ^ info) & (EVT_VALID | EVT_TYPE | EVT_VECTOR);
}

/**
 * svm_cut() - the event whose delivery the exit cut short
 * @c:		the VMCB after the exit
 * @injected:	EVENTINJ of the entry, 0: none
 * @virq:	V_IRQ carried an interrupt
 * @vector:	result: the event's vector
 */
static __always_inline enum cut_short
svm_cut(const struct vmcb_control *c, u32 injected, bool virq, u8 *vector)
{
	u32 info = c->exit_int_info, type = info & EVT_TYPE;
	enum cut_short kind;

	/* The CPU has not taken the interrupt. */
	if (virq && c->int_control & V_IRQ) {
		*vector = c->int_vector;
		return CUT_IRQ;
	}
	*vector = info & EVT_VECTOR;
	if (!(info & EVT_VALID))
		return CUT_NONE;
	if (type == EVT_TYPE_INTR)
		kind = CUT_IRQ;
	else if (type == EVT_TYPE_NMI)
		kind = CUT_NMI;
	else if (type == EVT_TYPE_EXCEPTION && !svm_is_soft(info, injected))
		kind = CUT_EXCEPTION;
	else
		return CUT_SOFT;
	return injected & EVT_VALID || svm_delivers(c, kind, virq, *vector) ?
		       kind :
		       CUT_SOFT;
}

#endif
