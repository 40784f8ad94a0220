/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's time-stamp counter. */
#ifndef VIGIL_TSC_H
#define VIGIL_TSC_H

#include <linux/types.h>

struct vigil_vcpu;

/* What RDTSC would give the guest now. */
u64 tsc_guest(const struct vigil_vcpu *vcpu);
/**
 * tsc_set() - the guest's TSC counts on from a value
 * @vcpu:	the vCPU, loaded, its mutex held
 * @v:		the value
 * @host:	userspace sets it, not the guest
 */
void tsc_set(struct vigil_vcpu *vcpu, u64 v, bool host);
/* At RESET: begins at 0, or follows the VM's first vCPU. */
void tsc_reset(struct vigil_vcpu *vcpu);
/*
 * The host goes to sleep, or wakes up. All tasks are frozen, and no vCPU is loaded.
 * The TSC of a CPU may begin anew meanwhile; the guests' go on from where they were.
 */
void tsc_suspend(void);
void tsc_resume(void);

#endif
