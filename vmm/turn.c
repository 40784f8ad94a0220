// SPDX-License-Identifier: GPL-2.0
/* Debug builds: how often KVM_RUN has gone round since it looked at signals. */
#include <linux/moduleparam.h>

#include "turn.h"
#include "vcpu.h"
#include "vm.h"

#ifdef VIGIL_DEBUG

static bool run_inject;
module_param(run_inject, bool, 0600);
MODULE_PARM_DESC(
	run_inject,
	"test: KVM_RUN does not look at signals, which the auditor must find");

/* More than the held stores that one instruction may have. */
#define AUDIT_TURNS 1024u

void run_audit_turn(struct vigil_vcpu *vcpu)
{
	if (++vcpu->turns > AUDIT_TURNS)
		vigil_vm_kill(
			vcpu->vm,
			"loop auditor: KVM_RUN has not looked at signals");
}

void run_audit_looked(struct vigil_vcpu *vcpu)
{
	vcpu->turns = 0;
}

bool run_injected(void)
{
	return READ_ONCE(run_inject);
}

#endif
