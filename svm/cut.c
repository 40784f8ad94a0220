// SPDX-License-Identifier: GPL-2.0
/* EXITINTINFO: APM volume 2, "Event Injection" and "Virtual Interrupts". */
#include "cut.h"
#include "vmm/arch.h"

/*
 * INT3 and INTO have the type of exceptions. RIP points to the one of the guest, but
 * one that was injected belongs to no instruction at RIP.
 */
static enum cut_short kind_of(u32 info, u32 injected)
{
	u8 vector = info & EVT_VECTOR;

	switch (info & EVT_TYPE) {
	case EVT_TYPE_INTR:
		return CUT_IRQ;
	case EVT_TYPE_NMI:
		return CUT_NMI;
	case EVT_TYPE_EXCEPTION:
		if ((vector == X86_TRAP_BP || vector == X86_TRAP_OF) &&
		    ((injected ^ info) & (EVT_VALID | EVT_TYPE | EVT_VECTOR)))
			return CUT_SOFT;
		return CUT_EXCEPTION;
	}
	return CUT_SOFT;
}

/*
 * Does the CPU deliver such an event in a guest without an injection? It delivers no
 * interrupts but a virtual one, and no exceptions that are intercepted. (When the
 * delivery of an INT n is cut short, Bochs 2.7 reports the last event that it remembers.)
 */
static bool delivers_itself(const struct vmcb_control *c, enum cut_short kind,
			    bool virq, u8 vector)
{
	switch (kind) {
	case CUT_SOFT:
		return true;
	case CUT_EXCEPTION:
		return vector < 32 &&
		       !(c->intercept[ICPT_EXCEPTION] & BIT(vector));
	case CUT_IRQ:
		return virq && vector == (u8)c->int_vector;
	default:
		return false;
	}
}

enum cut_short svm_cut(const struct vmcb_control *c, u32 injected, bool virq,
		       u8 *vector)
{
	u32 info = c->exit_int_info;
	enum cut_short kind;

	/* The CPU has not taken the interrupt. */
	if (virq && c->int_control & V_IRQ) {
		*vector = c->int_vector;
		return CUT_IRQ;
	}
	*vector = info & EVT_VECTOR;
	if (!(info & EVT_VALID))
		return CUT_NONE;
	kind = kind_of(info, injected);
	return injected & EVT_VALID ||
			       delivers_itself(c, kind, virq, *vector) ?
		       kind :
		       CUT_SOFT;
}
