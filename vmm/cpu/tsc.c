// SPDX-License-Identifier: GPL-2.0
/* The guest's time-stamp counter: the host's, and an offset for each vCPU. */
#include <linux/timex.h>
#include <asm/tsc.h>

#include "tsc.h"
#include "vmm/ops.h"

u64 tsc_guest(const struct vigil_vcpu *vcpu)
{
	return rdtsc() + vcpu->tsc_offset;
}

/*
 * Returns the vCPU whose TSC the others follow, NULL for that vCPU itself. Any
 * vCPU's thread.
 */
static const struct vigil_vcpu *tsc_leader(const struct vigil_vcpu *vcpu)
{
	struct vigil_vm *vm = vcpu->vm;
	const struct vigil_vcpu *first;

	/* Pairs with vcpu_publish(). */
	if (!smp_load_acquire(&vm->nr_vcpus))
		return NULL;
	first = vm->vcpus[0];
	return first == vcpu ? NULL : first;
}

void tsc_set(struct vigil_vcpu *vcpu, u64 v, bool host)
{
	const struct vigil_vcpu *leader = host ? tsc_leader(vcpu) : NULL;
	u64 offset = v - rdtsc(), first;
	s64 apart;

	/*
	 * A VMM sets the vCPUs' TSCs one after the other and means them to be
	 * equal: a value less than a second from the first vCPU's counts as the
	 * same.
	 */
	if (leader) {
		first = READ_ONCE(leader->tsc_offset);
		apart = offset - first;
		if (abs(apart) < (s64)tsc_khz * 1000)
			offset = first;
	}
	WRITE_ONCE(vcpu->tsc_offset, offset);
	vmm_ops->set_tsc_offset(vcpu);
}

void tsc_reset(struct vigil_vcpu *vcpu)
{
	const struct vigil_vcpu *leader = tsc_leader(vcpu);

	WRITE_ONCE(vcpu->tsc_offset,
		   leader ? READ_ONCE(leader->tsc_offset) : -rdtsc());
}

/* ---- the host sleeps ---- */

/* A test changes it while the host sleeps: "suspend and resume" in lifecycle. */
static u64 tsc_at_suspend;

void tsc_suspend(void)
{
	tsc_at_suspend = rdtsc();
}

void tsc_resume(void)
{
	s64 back = tsc_at_suspend - rdtsc();
	struct vigil_vcpu *vcpu;
	struct vigil_vm *vm;
	unsigned int i;

	/* The TSC of most CPUs counts on in their sleep. */
	if (back <= 0)
		return;
	mutex_lock(&vigil_vms_lock);
	list_for_each_entry(vm, &vigil_vms, link) {
		vigil_for_each_vcpu(i, vcpu, vm) {
			WRITE_ONCE(vcpu->tsc_offset, vcpu->tsc_offset + back);
			vigil_request(vcpu, REQ_TSC);
		}
	}
	mutex_unlock(&vigil_vms_lock);
}
