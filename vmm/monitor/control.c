// SPDX-License-Identifier: GPL-2.0
/*
 * Which controls can be watched, and the vCPUs' exits for them. vmm/pv/control.c and
 * vmm/exit/control.c find the changes.
 */
#include "control.h"
#include "vmm/cpu/msr.h"
#include "vmm/pv/pv.h"

int control_check(const struct vigil_watch *w)
{
	unsigned int nr = control_nr(w->start);
	u64 which = w->start >> 8;

	if (nr > VIGIL_CONTROL_HYPERCALL || w->len != 1 || w->cr3 ||
	    which >> 32)
		return -EINVAL;
	if (nr == VIGIL_CONTROL_MSR)
		return msr_watchable(which) ? 0 : -EOPNOTSUPP;
	if (nr == VIGIL_CONTROL_HYPERCALL)
		return 0;
	if (which)
		return -EINVAL;
	/* A load that fails anyway can only be told. */
	if (nr == VIGIL_CONTROL_TABLE_LOAD && w->action != VIGIL_ACTION_LOG)
		return -EINVAL;
	return (BIT(nr) & WATCH_TABLES) && pv_no_tables ? -EOPNOTSUPP : 0;
}

void control_set(struct vigil_vm *vm, u32 controls)
{
	u32 changed = vm->controls ^ controls;

	WRITE_ONCE(vm->controls, controls);
	if (!(changed & (WATCH_TABLES | WATCH_MSRS)))
		return;
	/*
	 * A vCPU that is not in vm->vcpus yet asks itself when it is there: one of both
	 * sees what the other has written. Pairs with vcpu_publish().
	 */
	smp_mb();
	vigil_request_all(vm, REQ_CONTROLS, true);
}
