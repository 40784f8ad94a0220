/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watched changes of the CPU's registers by the guest's kernel. Each function is called
 * when the change cannot fault any more, and before it is made. WATCH_HELD: a monitor is
 * asked, and the caller comes back once vcpu->change has the verdict.
 */
#ifndef VIGIL_EXIT_CONTROL_H
#define VIGIL_EXIT_CONTROL_H

#include "vmm/monitor/watch.h"

/*
 * In the emulator: is a change of this control to be asked about? With a verdict on it
 * there may be no watch any more.
 */
static inline bool control_asks(const struct vigil_vcpu *vcpu, unsigned int nr)
{
	return watch_controls(vcpu->vm, nr) ||
	       unlikely(vcpu->change != CHANGE_NONE);
}

/* Is a write of this control register to be asked about? */
static inline bool control_has_cr(const struct vigil_vcpu *vcpu,
				  unsigned int nr)
{
	switch (nr) {
	case 0:
		return watch_controls(vcpu->vm, VIGIL_CONTROL_CR0);
	case 3:
		return watch_controls(vcpu->vm, VIGIL_CONTROL_CR3);
	case 4:
		return watch_controls(vcpu->vm, VIGIL_CONTROL_CR4);
	}
	return false;
}

enum watch_answer control_cr(struct vigil_vcpu *vcpu, unsigned int nr,
			     unsigned long val);
enum watch_answer control_dtable(struct vigil_vcpu *vcpu, bool idt,
				 const struct kvm_dtable *dt);
enum watch_answer control_sys_seg(struct vigil_vcpu *vcpu, bool tr,
				  const struct kvm_segment *s);
/* It is not emulated: the caller waits by itself. */
enum watch_answer control_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value);
/*
 * A hypercall that its caller may make. Nothing has been done yet; the caller waits by
 * itself. @arg: its arguments.
 */
enum watch_answer control_call(struct vigil_vcpu *vcpu, u64 nr,
			       const u64 arg[6]);
/*
 * Waits for the verdict on a change that the emulator has begun. 1: vcpu->change has it.
 * Otherwise leave to userspace; @again is called to come back here.
 */
int control_settle(struct vigil_vcpu *vcpu,
		   int (*again)(struct vigil_vcpu *vcpu));

#endif
