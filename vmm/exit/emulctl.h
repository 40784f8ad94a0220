/* SPDX-License-Identifier: GPL-2.0 */
/* One instruction in the emulator. */
#ifndef VIGIL_EMULCTL_H
#define VIGIL_EMULCTL_H

#include "vmm/types.h"

struct vigil_vcpu;

void emulctl_init(void);
/* emulate the instruction at RIP; 1 go on, 0 to userspace, -errno */
int emulctl_run(struct vigil_vcpu *vcpu);
/* the same after a #PF at @gva that was walked to @gpa for the access in @ec */
int emulctl_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec);
/*
 * vcpu->stat.emul_failed has counted an instruction that cannot be emulated, and
 * @ret is 0, with KVM_EXIT_INTERNAL_ERROR. An unprivileged process of the guest must
 * not end the VM: at CPL 3 the instruction raises #UD instead. Returns as
 * emulctl_run().
 */
int emulctl_failed(struct vigil_vcpu *vcpu, int ret);
/* registers were replaced from outside: an emulation under way is forgotten */
void emulctl_forget(struct vigil_vcpu *vcpu);
/* fill c's registers and modes from the vCPU */
void emulctl_begin(struct vigil_vcpu *vcpu);
/*
 * An op answered EMUL_PENDING with vcpu->held set, for a store of @data: wait
 * and make the store if it is allowed. 1: on with the instruction; else leave,
 * and @again is called to come back here. A store is asked about once: when it
 * comes back with vcpu->held, emulctl_ops.write() answers EMUL_PENDING again.
 */
int emulctl_held(struct vigil_vcpu *vcpu, const void *data, unsigned int len,
		 int (*again)(struct vigil_vcpu *vcpu));

#endif
