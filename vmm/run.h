/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_RUN. */
#ifndef VIGIL_RUN_H
#define VIGIL_RUN_H

struct vigil_vcpu;

/* KVM_RUN. 0: vcpu->run has an exit; else -errno. */
int vcpu_run(struct vigil_vcpu *vcpu);

#endif
