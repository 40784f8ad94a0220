/* SPDX-License-Identifier: GPL-2.0 */
/* Watches of controls, and what exits because of them: control.c. */
#ifndef VIGIL_MONITOR_CONTROL_H
#define VIGIL_MONITOR_CONTROL_H

#include "watch.h"

/*
 * Controls are ranges of one byte behind all guest-physical addresses, so that one tree
 * and one rule for what is stronger serve both.
 */
#define CONTROL_BASE (1ull << 63)

/*
 * @start of a watch has the control in its lowest byte, and behind it the number of the MSR
 * or of the hypercall.
 */
static inline unsigned int control_nr(u64 start)
{
	return start & 0xff;
}

/* The only @start of a watch that this change belongs to */
static inline u64 control_start(const struct watch_control *c)
{
	switch (c->nr) {
	case VIGIL_CONTROL_MSR:
		return VIGIL_CONTROL_OF_MSR(c->first);
	case VIGIL_CONTROL_HYPERCALL:
		return VIGIL_CONTROL_OF_CALL(c->call);
	}
	return c->nr;
}

/* Is the watch a valid one of a control? 0; -EINVAL; -EOPNOTSUPP not on this CPU. */
int control_check(const struct vigil_watch *w);
/*
 * [w] These are watched now. No vCPU enters the guest again without the exits for them.
 */
void control_set(struct vigil_vm *vm, u32 controls);

#endif
