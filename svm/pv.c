// SPDX-License-Identifier: GPL-2.0
/* What a guest may not do by itself while its CPU uses tables of the VMM, or is watched. */
#include "svm.h"
#include "vmm/exit/exit.h"
#include "vmm/monitor/watch.h"
#include "vmm/pv/pv.h"

void svm_update_pv(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.intercept[ICPT_EXCEPTION] = EXIT_EXCEPTIONS |
						  pv_exceptions(vcpu);
	vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
	svm_intercept(vmcb, ICPT_MISC1, ICPT_TABLE_READS, pv_in_force(vcpu));
	svm_update_controls(vcpu);
	svm_update_modes(vcpu);
}

void svm_update_controls(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	u32 watched = READ_ONCE(vcpu->vm->controls) & WATCH_TABLES;

	/* LIDT, LGDT, LLDT, LTR: both have them in this order. */
	watched = watched >> VIGIL_CONTROL_IDTR << ICPT_TABLE_WRITES_SHIFT;
	if (pv_in_force(vcpu))
		watched = ICPT_TABLE_WRITES;
	svm_intercept(vmcb, ICPT_MISC1, ICPT_TABLE_WRITES, false);
	svm_intercept(vmcb, ICPT_MISC1, watched, true);
	svm_update_msr_map(vcpu);
}
