/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both vendors switch between a guest and the host without help of the hardware:
 * the branch predictor's history, MSR TSC_AUX, breakpoints.
 */
#ifndef VIGIL_SWITCH_H
#define VIGIL_SWITCH_H

#include <linux/context_tracking.h>
#include <linux/instrumentation.h>
#include <linux/sched.h>
#include <asm/debugreg.h>

#include "cr.h"
#include "vmm/vcpu.h"

/**
 * struct cpu_switch - per host CPU, in the vendor's own structure
 * @guest:	id of the VM and index of the vCPU that ran here last, 0: none
 * @host_tsc_aux: the host's value of MSR TSC_AUX
 * @tsc_aux:	what the MSR holds now
 */
struct cpu_switch {
	u64 guest;
	u64 host_tsc_aux;
	u64 tsc_aux;
};

/* Called when this CPU's extension was switched on. */
void switch_init(struct cpu_switch *sw);
/* The extension goes off: the host has its TSC_AUX again. */
void switch_exit(struct cpu_switch *sw);

void switch_predictor(struct vigil_vcpu *vcpu);
void switch_tsc_aux(struct vigil_vcpu *vcpu, struct cpu_switch *sw, u64 value);

/* Part of the vendor's vcpu_load(). */
static inline void switch_load(struct vigil_vcpu *vcpu, struct cpu_switch *sw)
{
	u64 guest = (u64)vcpu->vm->id << 32 | vcpu->index;

	if (likely(sw->guest == guest))
		return;
	sw->guest = guest;
	switch_predictor(vcpu);
}

/* Part of the vendor's vcpu_put(). */
static inline void switch_put_tsc_aux(struct vigil_vcpu *vcpu,
				      struct cpu_switch *sw)
{
	if (unlikely(sw->tsc_aux != sw->host_tsc_aux))
		switch_tsc_aux(vcpu, sw, sw->host_tsc_aux);
}

/* Called right before an entry, where the guest has TSC_AUX; IRQs off. */
static inline void switch_enter_tsc_aux(struct vigil_vcpu *vcpu,
					struct cpu_switch *sw)
{
	if (unlikely(vcpu->tsc_aux != sw->tsc_aux))
		switch_tsc_aux(vcpu, sw, vcpu->tsc_aux);
}

/*
 * With NO_HZ_FULL, RCU does not watch this CPU between the two: nothing that can be
 * traced or probed may run there. So only the entry itself stands between them, in a
 * function that is noinstr. IRQs off.
 */
static __always_inline void switch_to_guest(void)
{
	instrumentation_end();
	context_tracking_guest_enter();
}

static __always_inline void switch_to_host(void)
{
	context_tracking_guest_exit();
	instrumentation_begin();
}

/* Called right before an entry; IRQs off. */
static inline void switch_enter_dr(struct vigil_vcpu *vcpu)
{
	if (unlikely((vcpu->dr7 & DR7_ENABLES) || hw_breakpoint_active()))
		dr_load(vcpu);
}

/*
 * An exit has cleared the enable bits of DR7: enables the host's breakpoints
 * again.
 */
static inline void switch_leave_dr(struct vigil_vcpu *vcpu)
{
	if (unlikely(hw_breakpoint_active())) {
		hw_breakpoint_restore();
		vcpu->dr_loaded = false;
	}
}

/* Part of the vendor's vcpu_put(): loads the thread's own DR0 to DR3. */
static inline void switch_put_dr(struct vigil_vcpu *vcpu)
{
	if (unlikely(vcpu->dr_loaded)) {
		hw_breakpoint_restore();
		vcpu->dr_loaded = false;
	}
}

#endif
