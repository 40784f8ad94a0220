// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs that stand still because a monitor wants it. vm->paused says which.
 *
 * A vCPU that is paused is outside vm->srcu (vcpu->inside is false): in no KVM_RUN, in
 * pause_wait(), or waiting for a verdict. Wherever a thread enters vm->srcu to run the guest,
 * it looks at REQ_PAUSE before it acts, and vcpu_enter() has a full barrier in between. Who
 * pauses sets the request before it looks at vcpu->inside. So either the vCPU sees that it is
 * paused, or it is seen inside and waited for.
 */
#include <linux/bitops.h>
#include <linux/sched/signal.h>

#include "monitor.h"
#include "pause.h"
#include "view.h"
#include "vmm/turn.h"

static_assert(VIGIL_MAX_VCPUS <= 64); /* bits of vm->paused */
static_assert(MONITOR_MAX_ALIVE + VIGIL_MAX_READERS < U8_MAX); /* vm->pausers */

static bool is_paused(const struct vigil_vcpu *vcpu)
{
	return READ_ONCE(vcpu->vm->paused) & BIT_ULL(vcpu->index);
}

static bool pause_over(const struct vigil_vcpu *vcpu)
{
	return !is_paused(vcpu) || READ_ONCE(vcpu->vm->dead) ||
	       test_bit(REQ_SNAPSHOT, &vcpu->requests);
}

int pause_wait(struct vigil_vcpu *vcpu) __must_hold(&vcpu->vm->srcu)
{
	struct vigil_vm *vm = vcpu->vm;
	int ret = 0;

	while (!ret && vigil_test_request(vcpu, REQ_PAUSE) && is_paused(vcpu)) {
		vigil_request(vcpu, REQ_PAUSE);
		vcpu_leave(vcpu);
		/* With immediate_exit the VMM's thread must return. */
		if (READ_ONCE(vcpu->run->immediate_exit__unsafe))
			ret = -EINTR;
		else
			ret = wait_event_interruptible(vcpu->wq,
						       pause_over(vcpu));
		if (vcpu_enter(vcpu, TASK_INTERRUPTIBLE))
			ret = -EINTR;
		if (unlikely(READ_ONCE(vm->dead)))
			return vcpu_dead(vcpu);
		if (!ret && vigil_test_request(vcpu, REQ_SNAPSHOT))
			monitor_snapshot(vcpu, true);
	}
	/*
	 * A monitor that pauses again and again must not keep the thread from what it owes
	 * the kernel.
	 */
	cond_resched();
	run_audit_looked(vcpu);
	if (!ret && !signal_pending(current))
		return 0;
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/*
 * Returns those that @mon has not paused before. @by_event: what it pauses already stays
 * kept, or not.
 */
static u64 set(struct monitor *mon, u64 vcpus, bool keep, bool by_event)
{
	struct vigil_vm *vm = mon->vm;
	struct vigil_vcpu *vcpu;
	u64 fresh = 0;
	unsigned int i;

	spin_lock(&vm->pause_lock);
	if (!mon->paused_end) {
		fresh = vcpus & ~mon->paused;
		mon->paused |= vcpus;
		if (!by_event)
			mon->paused_keep &= ~vcpus;
		mon->paused_keep |= keep ? vcpus : 0;
		for (i = 0; i < VIGIL_MAX_VCPUS; i++)
			vm->pausers[i] += !!(fresh & BIT_ULL(i));
		WRITE_ONCE(vm->paused, vm->paused | fresh);
	}
	spin_unlock(&vm->pause_lock);
	/* Pairs with vcpu_publish(): a vCPU that is not seen here looks by itself. */
	smp_mb();
	vigil_for_each_vcpu(i, vcpu, vm) {
		if (!(fresh & BIT_ULL(i)))
			continue;
		vigil_request(vcpu, REQ_PAUSE);
		vigil_kick(vcpu);
	}
	return fresh;
}

/* [p] One pauser of @vcpus is gone. */
static void drop(struct vigil_vm *vm, u64 vcpus)
{
	u64 still = 0;
	unsigned int i;

	for (i = 0; i < VIGIL_MAX_VCPUS; i++) {
		vm->pausers[i] -= !!(vcpus & BIT_ULL(i));
		still |= vm->pausers[i] ? BIT_ULL(i) : 0;
	}
	WRITE_ONCE(vm->paused, still);
}

/* Wakes the vCPUs, and those who wait until they stand. */
static void wake(struct vigil_vm *vm)
{
	struct vigil_vcpu *vcpu;
	unsigned int i;

	vigil_for_each_vcpu(i, vcpu, vm)
		wake_up_all(&vcpu->wq);
	wake_up_all(&vm->srcu_wq);
}

void pause_take_back(struct monitor *mon, u64 vcpus)
{
	struct vigil_vm *vm = mon->vm;

	spin_lock(&vm->pause_lock);
	vcpus &= mon->paused;
	mon->paused &= ~vcpus;
	mon->paused_keep &= ~vcpus;
	drop(vm, vcpus);
	spin_unlock(&vm->pause_lock);
	wake(vm);
}

void pause_end(struct monitor *mon)
{
	struct vigil_vm *vm = mon->vm;
	u64 keep;

	spin_lock(&vm->pause_lock);
	/* All that is kept has one pauser, however many monitors have left it. */
	keep = mon->paused_keep & ~vm->paused_kept;
	vm->paused_kept |= keep;
	drop(vm, mon->paused & ~keep);
	mon->paused = 0;
	mon->paused_keep = 0;
	mon->paused_end = true;
	spin_unlock(&vm->pause_lock);
	wake(vm);
}

void pause_resume(struct vigil_vm *vm)
{
	spin_lock(&vm->pause_lock);
	drop(vm, vm->paused_kept);
	vm->paused_kept = 0;
	spin_unlock(&vm->pause_lock);
	wake(vm);
}

/* The monitor does not pause it any more, or it stands still. */
static bool stands(const struct monitor *mon, const struct vigil_vcpu *vcpu)
{
	return !READ_ONCE(vcpu->inside) ||
	       !(READ_ONCE(mon->paused) & BIT_ULL(vcpu->index));
}

void pause_by_event(struct monitor *mon)
{
	set(mon, PAUSE_ALL, false, true);
}

/* Waits until @vcpus stand still; -EINTR: @fresh of them go on. */
static int stand(struct monitor *mon, u64 vcpus, u64 fresh)
{
	struct vigil_vm *vm = mon->vm;
	struct vigil_vcpu *vcpu;
	unsigned int i;
	int ret;

	/* Pairs with the barrier in vcpu_enter(). */
	smp_mb();
	vigil_for_each_vcpu(i, vcpu, vm) {
		if (!(vcpus & BIT_ULL(i)))
			continue;
		ret = wait_event_interruptible(vm->srcu_wq, stands(mon, vcpu));
		if (!ret)
			continue;
		pause_take_back(mon, fresh);
		return -EINTR;
	}
	return 0;
}

int pause_vcpus(struct monitor *mon, u64 vcpus, bool keep)
{
	return stand(mon, vcpus, set(mon, vcpus, keep, false));
}

int pause_by_verdict(struct monitor *mon)
{
	return stand(mon, PAUSE_ALL, set(mon, PAUSE_ALL, false, true));
}

int pause_set_state(struct monitor *mon, const struct vigil_vcpu_state *state)
{
	struct vigil_vm *vm = mon->vm;

	if (state->vcpu >= READ_ONCE(vm->nr_vcpus))
		return -ENOENT;
	if (!(READ_ONCE(mon->paused) & BIT_ULL(state->vcpu)))
		return -EBUSY;
	return mview_set_state(vm, state);
}
