/* SPDX-License-Identifier: GPL-2.0 */
/* One instruction in the emulator. */
#ifndef VIGIL_EMULCTL_H
#define VIGIL_EMULCTL_H

#include "vmm/monitor/watch.h"
#include "vmm/types.h"

struct vigil_vcpu;

void emulctl_init(void);
/* Emulates the instruction at RIP. 1: go on; 0: to userspace; -errno. */
int emulctl_run(struct vigil_vcpu *vcpu);
/*
 * Does the same behind an exit for one of @ops, up to INSN_OP_NONE. Another vCPU may have
 * replaced the instruction since: then the guest executes what is there now.
 */
int emulctl_run_one_of(struct vigil_vcpu *vcpu, const u16 *ops);
/*
 * Returns as the hypercall iret: vigil_emul_pv_iret() has the arguments. Returns as
 * emulctl_run().
 */
int emulctl_pv_iret(struct vigil_vcpu *vcpu, unsigned int bytes, u16 cs, u64 ip,
		    bool masks);
/*
 * Delivers the injected event to the task whose TSS is @sel. @rf: with RF in the old
 * task's flags. Returns as emulctl_run().
 */
int emulctl_event(struct vigil_vcpu *vcpu, u16 sel, bool rf);
/*
 * Delivers the injected event, whose frame the CPU must not store. Returns as
 * emulctl_run().
 */
int emulctl_deliver(struct vigil_vcpu *vcpu);
/* Is the instruction at RIP an INT n that leads to the task of this TSS? */
bool emulctl_int_enters(struct vigil_vcpu *vcpu, u16 sel);
/*
 * Emulates after a #PF at @gva, which was translated to @gpa for the access in
 * @ec. @watched: that page was seen to be watched.
 */
int emulctl_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec,
		  bool watched);
/*
 * vcpu->stat.emul_failed has counted an instruction that cannot be emulated, and
 * @ret is 0, with KVM_EXIT_INTERNAL_ERROR. An unprivileged process of the guest must
 * not end the VM: at CPL 3 the instruction raises #UD instead. Returns as
 * emulctl_run().
 */
int emulctl_failed(struct vigil_vcpu *vcpu, int ret);
/* Userspace has replaced registers: an emulation under way is forgotten. */
void emulctl_forget(struct vigil_vcpu *vcpu);
/* Fills in the emulator's registers and modes from the vCPU. */
void emulctl_begin(struct vigil_vcpu *vcpu);
/*
 * Waits for the verdict on vcpu->held. 1: @answer is that of monitor_wait(), and so is
 * @data. 0 and below: KVM_RUN returns that to userspace, and @again is called in the next
 * KVM_RUN.
 */
int emulctl_verdict(struct vigil_vcpu *vcpu,
		    int (*again)(struct vigil_vcpu *vcpu), void *data,
		    enum watch_answer *answer);
/*
 * An op has returned EMUL_PENDING with vcpu->held set, for a store of @data:
 * waits, and makes the store if it is allowed, of what @data is then. 1: go on with the
 * instruction, which faults if vcpu->refused is set.
 * Otherwise leave to userspace; @again is called to come back here. A store is
 * asked about once: when it comes again with vcpu->held set,
 * emulctl_ops.write() returns EMUL_PENDING again.
 */
int emulctl_held(struct vigil_vcpu *vcpu, void *data, unsigned int len,
		 int (*again)(struct vigil_vcpu *vcpu));

#endif
