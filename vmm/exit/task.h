/* SPDX-License-Identifier: GPL-2.0 */
/* Task switches, which no CPU makes in a guest by itself. */
#ifndef VIGIL_TASK_H
#define VIGIL_TASK_H

#include "vmm/types.h"

struct vigil_vcpu;

/**
 * struct exit_task - a task switch that the guest's CPU wanted to make
 * @sel:	the selector of the new TSS
 * @gate:	by an interrupt, exception or INT n through a task gate of the IDT, and
 *		not by JMP, CALL or IRET
 * @doubtful:	the event that the CPU names may be an older one, with an INT n at RIP
 *		in its place
 * @rf:		the old TSS gets RF, though RFLAGS does not have it
 */
struct exit_task {
	u16 sel;
	bool gate;
	bool doubtful;
	bool rf;
};

/*
 * RIP is at the instruction, or is what the event would have saved. The event, which
 * event_complete() has been told of, counts as delivered once the guest is in its new
 * task. 1: go on; 0: to userspace; -errno.
 */
int exit_task_switch(struct vigil_vcpu *vcpu, const struct exit_task *t);

#endif
