// SPDX-License-Identifier: GPL-2.0
/* What a guest may not do by itself while its CPU uses tables of the VMM. */
#include "svm.h"
#include "vmm/exit/exit.h"
#include "vmm/pv/pv.h"

void svm_update_pv(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.intercept[ICPT_EXCEPTION] = EXIT_EXCEPTIONS |
						  pv_exceptions(vcpu);
	vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
	svm_intercept(vmcb, ICPT_MISC1, ICPT_TABLE_READS | ICPT_TABLE_WRITES,
		      pv_in_force(vcpu));
	svm_update_msr_map(vcpu);
	svm_update_modes(vcpu);
}
