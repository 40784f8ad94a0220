// SPDX-License-Identifier: GPL-2.0
/*
 * Task switches. JMP, CALL, IRET and INT n are instructions like others: the emulator
 * runs the one at RIP, finds its target anew, and checks all that the CPU may or may
 * not have checked before the exit. What is left are the events that a task gate of
 * the IDT leads to a task.
 */
#include <asm/processor-flags.h>

#include "emulctl.h"
#include "exit.h"
#include "task.h"
#include "vmm/cpu/inject.h"
#include "vmm/ops.h"

/* What switches tasks, by itself or through a gate. */
static const u16 ops[] = { INSN_OP_CALL_FAR, INSN_OP_JMP_FAR, INSN_OP_IRET,
			   INSN_OP_INT,	     INSN_OP_INT3,    INSN_OP_INTO,
			   INSN_OP_INT1,     INSN_OP_NONE };

static void forget_event(struct vigil_vcpu *vcpu)
{
	event_complete(vcpu, CUT_NONE, 0, false, 0);
}

int exit_task_switch(struct vigil_vcpu *vcpu, const struct exit_task *t)
{
	/* An INT n that was cut short has begun a shadow: inject.c. */
	vmm_call(set_irq_shadow)(vcpu, false);
	/* The CPU itself refuses a task switch in long mode. */
	if (is_long_mode(vcpu)) {
		event_exception_ec(vcpu, X86_TRAP_GP, t->sel & ~3u);
		return 1;
	}
	if (!t->gate || !event_injected(vcpu))
		return exit_emulate_one_of(vcpu, ops);
	if (t->doubtful && emulctl_int_enters(vcpu, t->sel)) {
		forget_event(vcpu);
		return exit_emulate_one_of(vcpu, ops);
	}
	return emulctl_event(vcpu, t->sel, t->rf);
}
