/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM, and its fd.
 *
 * A letter behind a field says what protects it:
 *   [I] immutable after creation
 *   [m] vm->lock (mutex): slots, vCPU creation
 *   [v] vcpu->mutex: only the thread that holds the vCPU touches it
 *   [s] shadow lock (vm->shadow.lock)
 *   [a] atomic or READ_ONCE/WRITE_ONCE
 *   [r] read under SRCU (vm->srcu), replaced under [m]
 * Documentation/locking.rst has the order of the locks.
 */
#ifndef VIGIL_VM_H
#define VIGIL_VM_H

#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>

#include "compat.h"
#include "shadow/types.h"
#include "types.h"
#include "uapi/vigil.h"
#include "vmm/mem/slot.h"

#define VIGIL_MAX_VCPUS 64

struct vigil_vcpu;
struct vigil_watches;

struct vigil_vm {
	refcount_t users; /* VM fd, vCPU fds, monitor fds */
	atomic_t handles; /* VM fd, vCPU fds */
	u32 id; /* [I] */
	kuid_t owner; /* [I] euid of the creator */
	struct user_namespace *user_ns; /* [I] */
	struct pid *pid; /* [I] creator's thread group */
	struct mm_struct *mm; /* [I] guest memory lives here */
	u64 start_ns; /* [I] */
	struct list_head link; /* vigil_vms_lock */
	char name[VIGIL_NAME_LEN]; /* [m] */
	struct mutex lock; /* [m] */
	struct srcu_struct srcu;
	struct vigil_slots __rcu *slots; /* [r] */
	unsigned int nr_vcpus; /* [m] writes, [a] reads */
	struct vigil_vcpu *vcpus[VIGIL_MAX_VCPUS]; /* [a] published by nr_vcpus */
	const char *dead; /* [a] why this VM cannot run any more */
	struct mmu_notifier notifier;
	/*
	 * mmu-notifier protocol: a fault handler samples notify_seq, looks up
	 * the page, takes the shadow lock, and retries when the sequence moved
	 * or an invalidation of its range is under way (vm_notify_retry()).
	 */
	unsigned long notify_seq; /* [s] */
	unsigned long notify_count; /* [s] invalidations under way */
	hva_t notify_start, notify_end; /* [s] union of them */
	struct shadow_vm shadow;
	struct vigil_watches __rcu *watches; /* [r] watch.c */
	struct mutex store_lock; /* [n] one store to a watched page at a time */
	struct list_head monitors; /* [m] monitor.c */
	unsigned int nr_monitors; /* [m] without those that only read */
	unsigned int nr_readers; /* [m] read-only monitors */
	wait_queue_head_t monitor_wq; /* monitors wait: events, vm->dead */
	atomic_t srcu_syncs; /* vm_synchronize() under way */
	wait_queue_head_t srcu_wq; /* vCPUs wait: that it ends */
	struct dentry *debugfs; /* [I] stat.c */
	void *vendor; /* [I] the vendor's part */
	u64 tsc_khz; /* [I] */
	u32 hypercall_exits; /* [a] numbers that go to the VMM */
};

extern struct list_head vigil_vms; /* vigil_vms_lock */
extern struct mutex vigil_vms_lock;

/* KVM_CREATE_VM: the new VM's fd, or -errno */
int vigil_create_vm(unsigned long type);
void vigil_vm_get(struct vigil_vm *vm);
void vigil_vm_put(struct vigil_vm *vm);
/* a VM or vCPU fd is closed: put, and the VM ends with the last of them */
void vigil_vm_close(struct vigil_vm *vm);
/**
 * vigil_vm_kill() - end a VM for a reason that its owner is told
 * @vm:		the VM
 * @reason: static string
 *
 * Any context. Every vCPU leaves the guest; KVM_RUN then gives
 * KVM_EXIT_INTERNAL_ERROR and -EIO from there on. The first reason stays.
 */
void vigil_vm_kill(struct vigil_vm *vm, const char *reason);
/**
 * vm_synchronize() - nobody looks at what was replaced before the call
 * @vm:		the VM
 *
 * synchronize_srcu() of vm->srcu, which vCPUs hold while their guests run: they
 * let go, and wait outside until it is over. One that took the lock again at
 * once would hold up the grace period just the same, as it may be counted where
 * it was before.
 */
void vm_synchronize(struct vigil_vm *vm);

/* under vm->srcu or vm->lock */
static inline struct vigil_slots *vigil_slots(struct vigil_vm *vm)
{
	return srcu_dereference_check(vm->slots, &vm->srcu,
				      lockdep_is_held(&vm->lock));
}

static inline struct vigil_slot *vigil_gfn_slot(struct vigil_vm *vm, gfn_t gfn)
{
	return vigil_slot_of(vigil_slots(vm), gfn);
}

#endif
