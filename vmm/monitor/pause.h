/* SPDX-License-Identifier: GPL-2.0 */
/* vCPUs that stand still because a monitor wants it: pause.c. */
#ifndef VIGIL_PAUSE_H
#define VIGIL_PAUSE_H

#include <linux/types.h>

struct monitor;
struct vigil_vcpu;
struct vigil_vcpu_state;
struct vigil_vm;

/* Each vCPU of the VM, and those that are still to be created. */
#define PAUSE_ALL (~0ull)

/**
 * pause_wait() - wait until no monitor pauses the vCPU
 * @vcpu:	the vCPU, under vm->srcu; REQ_PAUSE is set, no instruction is under way
 *
 * Leaves vm->srcu meanwhile, and serves those who want the vCPU's registers.
 * Return: 0 go on; -EINTR and -EIO: KVM_RUN ends, vcpu->run is filled in.
 */
int pause_wait(struct vigil_vcpu *vcpu);
/*
 * An event pauses the VM, without waiting until it stands. What @mon has paused already stays
 * kept, if it was. Any context; nothing is done when the monitor has ended.
 */
void pause_by_event(struct monitor *mon);
/* The same, and waits until no vCPU is in the guest nor emulates. As pause_vcpus(). */
int pause_by_verdict(struct monitor *mon);
/**
 * pause_vcpus() - have vCPUs stand still
 * @mon:	who pauses
 * @vcpus:	bit n: vCPU n
 * @keep:	they stay paused when the monitor ends
 *
 * Waits until none of them is in the guest nor emulates. Return: 0. -EINTR: a signal came
 * first, and @mon pauses what it has paused before.
 */
int pause_vcpus(struct monitor *mon, u64 vcpus, bool keep);
/* @mon pauses them no longer. */
void pause_take_back(struct monitor *mon, u64 vcpus);
/* The monitor leaves its VM. */
void pause_end(struct monitor *mon);
/* What monitors that have ended have paused goes on: VIGIL_RESUME. */
void pause_resume(struct vigil_vm *vm);
/* VIGIL_SET_VCPU */
int pause_set_state(struct monitor *mon, const struct vigil_vcpu_state *state);

#endif
