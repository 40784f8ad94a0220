// SPDX-License-Identifier: GPL-2.0
/* KVM_RUN: the loop between guest, kernel and userspace. */
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "ops.h"
#include "run.h"
#include "trace.h"
#include "turn.h"
#include "work.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/fpu.h"
#include "vmm/cpu/inject.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/reload.h"
#include "vmm/monitor/pause.h"

/*
 * Enters the guest once. 1: it has exited, and the exit is to be handled. 0: the
 * entry was called off, because a request or the task's own work comes first.
 * selftests/models/entry.pml, root.pml and watch.pml explore this.
 */
static int enter_guest(struct vigil_vcpu *vcpu)
{
	preempt_disable();
	local_irq_disable();
	WRITE_ONCE(vcpu->mode, VCPU_IN_GUEST);
	/*
	 * A requester sets the request, then looks at mode. So either the
	 * request is seen here, or the kick's interrupt ends the guest run.
	 */
	smp_mb();
	if (unlikely(READ_ONCE(vcpu->requests) || thread_work_pending() ||
		     !vcpu->on_hw)) {
		/* The barrier is as that behind the guest run. */
		smp_store_mb(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		preempt_enable();
		event_cancel(vcpu);
		return 0;
	}
	trace_vigil_entry(vcpu);
	shadow_audit_entry(vcpu);
	fpu_enter(vcpu);
	vmm_call(run)(vcpu);
	compat_guest_ran();
	fpu_leave(vcpu);
	/*
	 * The barrier pairs with that of vm_settle(): either the watches are seen
	 * as they are since, or this vCPU is seen to be outside.
	 */
	smp_store_mb(vcpu->mode, VCPU_OUTSIDE);
	vmm_call(handle_exit_irqoff)(vcpu);
	vcpu->stat.exits++;
	local_irq_enable();
	preempt_enable();
	return 1;
}

/*
 * The extension is off on this CPU, because the CPU goes offline, a resume
 * failed, or the machine goes down. Tries again on another CPU, or ends the VM.
 */
static void run_elsewhere(struct vigil_vcpu *vcpu) __must_hold(&vcpu->vm->srcu)
{
	const char *why;

	vcpu_put(vcpu);
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->srcu_idx);
	why = host_cpu_lost();
	if (why)
		vigil_vm_kill(vcpu->vm, why);
	vcpu->srcu_idx = srcu_read_lock(&vcpu->vm->srcu);
	vcpu_load(vcpu);
}

/*
 * Serves requests and events, and runs the guest once. Positive: go on; else
 * KVM_RUN returns that to the VMM.
 */
static __always_inline int run_once(struct vigil_vcpu *vcpu)
{
	int r;

	r = shadow_load(vcpu);
	if (unlikely(r < 0))
		return r == -EFAULT ? exit_triple_fault(vcpu) : r;
	if (vcpu->requests) {
		r = vcpu_requests(vcpu);
		if (r <= 0)
			return r;
		/*
		 * A request for a flush or a new root may have come meanwhile.
		 */
		if (test_bit(REQ_LOAD_ROOT, &vcpu->requests))
			return 1;
		if (test_bit(REQ_EVENT, &vcpu->requests)) {
			r = event_inject(vcpu);
			if (r <= 0)
				return r;
		}
	}
	if (!enter_guest(vcpu))
		return 1;
	if (unlikely(reload_segments))
		reload_hidden(vcpu);
	r = vmm_call(handle_exit)(vcpu);
	if (r > 0 && unlikely(READ_ONCE(vcpu->run->request_interrupt_window)) &&
	    event_window_exit(vcpu))
		return 0;
	return r;
}

/*
 * Has the kernel do for this thread what it would do before a return to
 * userspace: limits of CPU time, a machine check that can be recovered from,
 * memory.high, the scheduler. That may sleep for long, so the vCPU leaves SRCU,
 * and nobody who synchronizes waits for it.
 */
static noinline int do_thread_work(struct vigil_vcpu *vcpu)
	__must_hold(&vcpu->vm->srcu)
{
	int ret;

	vcpu_leave(vcpu);
	ret = thread_work();
	return vcpu_enter(vcpu, TASK_INTERRUPTIBLE) ? -EINTR : ret;
}

static __always_inline bool work_wanted(struct vigil_vcpu *vcpu)
{
	if (run_injected())
		return false;
	run_audit_looked(vcpu);
	return thread_work_pending();
}

/*
 * Runs the guest until the VMM has to do something. Each round ends with a look
 * at signals, whatever it did. selftests/models/root.pml explores this.
 */
static int run_loop(struct vigil_vcpu *vcpu)
{
	int r;

	for (;;) {
		run_audit_turn(vcpu);
		r = run_once(vcpu);
		if (r <= 0)
			return r;
		if (work_wanted(vcpu) && do_thread_work(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
		if (unlikely(!vcpu->on_hw))
			run_elsewhere(vcpu);
	}
}

/* Completes the last exit to userspace, then runs the loop. */
static int run_complete_and_loop(struct vigil_vcpu *vcpu)
{
	typeof(vcpu->complete) complete = vcpu->complete;
	int r;

	if (complete) {
		vcpu->complete = NULL;
		r = complete(vcpu);
		if (r <= 0)
			return r;
	}
	/*
	 * exit_reason stays that of the exit which was just completed, as KVM
	 * clients expect.
	 */
	if (READ_ONCE(vcpu->run->immediate_exit__unsafe))
		return -EINTR;
	event_run_begin(vcpu);
	return run_loop(vcpu);
}

/*
 * A vCPU that is paused comes back to here from wherever it is, and begins anew with what
 * the last exit to userspace has left, or the store that is held.
 */
static int run_unless_paused(struct vigil_vcpu *vcpu)
{
	int r;

	do {
		r = 0;
		if (unlikely(test_bit(REQ_PAUSE, &vcpu->requests)))
			r = pause_wait(vcpu);
		if (likely(!r))
			r = run_complete_and_loop(vcpu);
	} while (unlikely(r == -ERESTART));
	return r;
}

int vcpu_run(struct vigil_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	sigset_t saved;
	int r;

	if (READ_ONCE(vcpu->vm->dead))
		return vcpu_dead(vcpu);
	if (run->kvm_valid_regs || run->kvm_dirty_regs)
		return -EINVAL;
	if (cr8_set(vcpu, READ_ONCE(run->cr8)))
		return -EINVAL;
	/*
	 * immediate_exit is how a VMM avoids a race with a signal: nothing is
	 * loaded for it.
	 */
	if (READ_ONCE(run->immediate_exit__unsafe) && !vcpu->complete) {
		event_run_end(vcpu);
		return -EINTR;
	}
	run_audit_looked(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &saved);
	if (unlikely(vcpu->pid != task_pid(current))) {
		put_pid(vcpu->pid);
		WRITE_ONCE(vcpu->pid, get_pid(task_pid(current)));
	}

	r = vcpu_enter(vcpu, TASK_INTERRUPTIBLE);
	vcpu_load(vcpu);
	fpu_load(vcpu);
	if (likely(!r))
		r = run_unless_paused(vcpu);
	fpu_put(vcpu);
	event_run_end(vcpu);
	vcpu_put(vcpu);
	vcpu_leave(vcpu);
	vcpu->stat.exits_user++;

	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &saved, NULL);
	return r;
}
