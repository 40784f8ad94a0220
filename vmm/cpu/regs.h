/* SPDX-License-Identifier: GPL-2.0 */
/* Registers as userspace sees them, and RESET. vcpu->mutex held, the vCPU loaded. */
#ifndef VIGIL_REGS_H
#define VIGIL_REGS_H

#include <linux/kvm.h>

struct vigil_vcpu;

int vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs);
int vcpu_set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs);
int vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs);
int vcpu_set_sregs(struct vigil_vcpu *vcpu, const struct kvm_sregs *sregs);
int vcpu_translate(struct vigil_vcpu *vcpu, struct kvm_translation *tr);
void vcpu_reset(struct vigil_vcpu *vcpu);

#endif
