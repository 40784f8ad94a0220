/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Debug builds: no loop of KVM_RUN may go on without a look at the thread's flags.
 * Whatever repeats in the kernel counts its turns, and each look takes the count
 * back. Too many turns end the VM with a reason. run_injected() is the fault that
 * this must find: KVM_RUN does not look.
 */
#ifndef VIGIL_TURN_H
#define VIGIL_TURN_H

#include <linux/types.h>

struct vigil_vcpu;

#ifdef VIGIL_DEBUG
void run_audit_turn(struct vigil_vcpu *vcpu);
void run_audit_looked(struct vigil_vcpu *vcpu);
bool run_injected(void);
#else
static inline void run_audit_turn(struct vigil_vcpu *vcpu)
{
}

static inline void run_audit_looked(struct vigil_vcpu *vcpu)
{
}

static inline bool run_injected(void)
{
	return false;
}
#endif

#endif
