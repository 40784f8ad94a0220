// SPDX-License-Identifier: GPL-2.0
/* What both vendors switch by hand: the parts that are seldom needed. */
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>

#include "switch.h"
#include "vmm/vcpu.h"

void switch_init(struct cpu_switch *sw)
{
	if (boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID))
		rdmsrl(MSR_TSC_AUX, sw->host_tsc_aux);
	sw->tsc_aux = sw->host_tsc_aux;
	sw->guest = 0;
}

void switch_exit(struct cpu_switch *sw)
{
	if (sw->tsc_aux != sw->host_tsc_aux)
		wrmsrl(MSR_TSC_AUX, sw->host_tsc_aux);
	sw->tsc_aux = sw->host_tsc_aux;
}

/*
 * Another guest ran on this CPU last: its branch history must not steer the
 * predictions of this one.
 */
void switch_predictor(struct vigil_vcpu *vcpu)
{
	if (cpu_feature_enabled(X86_FEATURE_IBPB_ON_VMEXIT))
		return;
	indirect_branch_prediction_barrier();
	vcpu->stat.msr_writes++;
}

void switch_tsc_aux(struct vigil_vcpu *vcpu, struct cpu_switch *sw, u64 value)
{
	wrmsrl(MSR_TSC_AUX, value);
	sw->tsc_aux = value;
	vcpu->stat.msr_writes++;
}
