/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM, and its fd.
 *
 * A letter behind a field says what protects it:
 *   [I] immutable after creation
 *   [m] vm->lock (mutex): slots, vCPU creation; only the VMM's own ioctls take it
 *   [w] vm->monitor_lock (mutex): monitors, watches, name. Other processes take it,
 *       so its holder waits for nothing that a VMM, a guest or a monitor decides
 *   [v] vcpu->mutex: only the thread that holds the vCPU touches it
 *   [s] shadow lock (vm->shadow.lock)
 *   [p] vm->pause_lock (spinlock), innermost: which vCPUs monitors have paused
 *   [a] atomic or READ_ONCE/WRITE_ONCE
 *   [r] read under SRCU (vm->srcu), replaced under [m] and [w]
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
#include "vmm/mem/watched.h"
#include "vmm/pv/types.h"

/* KVM's own number, which VMMs size a table by before they know if there are any */
#define VIGIL_MAX_ROUTES 4096
#define VIGIL_MAX_VCPUS 64

struct vigil_vcpu;
struct msr_filter;

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
	char name[VIGIL_NAME_LEN]; /* [w] */
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
	struct mutex monitor_lock; /* [w] */
	/* watch.c: changed under [w], searched by vCPUs between enter and leave */
	struct watched_tree watched; /* by guest-physical address, and controls */
	struct watched_tree watched_gva; /* by linear address */
	unsigned int nr_ranges; /* [w] in the tree */
	/* [w] sets of ranges that have left the tree: free after vm_settle() */
	struct list_head watches_gone;
	u32 controls; /* [w] writes, [a] reads: bit n: VIGIL_CONTROL_n is watched */
	atomic_t monitors_alive; /* also those that only an event or a set of ranges has */
	unsigned int control_watches[VIGIL_CONTROL_HYPERCALL + 1]; /* [w] */
	/* Watches in the tree whose pages may still be writable: watch_add() */
	atomic_t watches_arming;
	struct list_head monitors; /* [w] monitor.c */
	unsigned int nr_monitors; /* [w] without those that only read */
	unsigned int evictions; /* [w] how often all of them were evicted */
	u64 next_monitor; /* [w] */
	unsigned int nr_readers; /* [w] read-only monitors */
	u32 attach_by; /* [a] VIGIL_ATTACH_BY_* */
	struct mutex store_lock; /* one store to a watched page at a time */
	atomic_t resumes; /* calls of VIGIL_RESUME */
	spinlock_t pause_lock; /* [p] */
	u64 paused; /* [p] writes, [a] reads: bit n: vCPU n stands still (pause.c) */
	u64 paused_kept; /* [p] of these, those whose monitor has ended */
	u8 pausers[VIGIL_MAX_VCPUS]; /* [p] monitors that pause it; paused_kept is one */
	wait_queue_head_t monitor_wq; /* monitors wait: events, vm->dead */
	atomic_t srcu_syncs; /* vm_synchronize() under way */
	atomic_t srcu_users; /* vCPUs between vcpu_enter() and vcpu_leave() */
	/* waits for either of them to be 0, and for vCPUs in vm_settle() */
	wait_queue_head_t srcu_wq;
	struct dentry *debugfs; /* [I] stat.c */
	void *vendor; /* [I] the vendor's part */
	u64 tsc_khz; /* [I] */
	u32 hypercall_exits; /* [a] numbers that go to the VMM */
	u32 user_msrs; /* [a] KVM_MSR_EXIT_REASON_*: accesses that the VMM answers */
	/* [r] read, [m] replaced */
	struct msr_filter __rcu *msr_filter;
	struct pv_vm pv; /* vmm/pv/types.h says who may change what */
};

extern struct list_head vigil_vms; /* vigil_vms_lock */
extern struct mutex vigil_vms_lock;

/* KVM_CREATE_VM: the new VM's fd, or -errno */
int vigil_create_vm(unsigned long type);
void vigil_vm_get(struct vigil_vm *vm);
void vigil_vm_put(struct vigil_vm *vm);
/* A VM's or a vCPU's fd is closed. The VM ends with the last of them. */
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
/* The reason for which a monitor ends a VM; KVM_RUN tells it from others. */
extern const char *const vigil_vm_killed;
/**
 * vm_synchronize() - nobody looks at what was replaced before the call
 * @vm:		the VM
 *
 * Process context, sleeps. The vCPUs let go of vm->srcu and stay outside until
 * this is over: one that took it again at once would hold up the grace period
 * just the same, as it may be counted where it was before. A vCPU whose memory
 * is withheld, by a FUSE server or by userfaultfd, cannot let go; the caller
 * waits for it in a state in which it can be killed.
 *
 * Return: 0; -EINTR a fatal signal came first, and readers may still look.
 */
int vm_synchronize(struct vigil_vm *vm);
/**
 * vm_settle() - no vCPU acts on what its thread has seen before the call
 * @vm:		the VM
 * @wait:	else the call fails where it would have to wait
 *
 * Process context, sleeps. What a vCPU has found in vm->watched it acts on before it
 * enters the guest again or leaves vm->srcu. So this waits for those vCPUs only that
 * are outside of the guest and inside KVM_RUN, or inside another ioctl of theirs, until
 * each has done one of both. It stops no guest. vCPUs do not leave vm->srcu for it.
 * selftests/models/watch.pml explores this.
 *
 * Return: 0; -EINTR a fatal signal came first; -EBUSY it would have to wait.
 */
int vm_settle(struct vigil_vm *vm, bool wait);
/**
 * vcpu_enter() - a vCPU's thread begins to look at what vm->srcu protects
 * @vcpu:	the vCPU, its mutex held
 * @state:	TASK_KILLABLE or TASK_INTERRUPTIBLE
 *
 * Waits while somebody synchronizes. Whatever it returns, the caller is under
 * vm->srcu and ends that with vcpu_leave().
 * Return: 0; -EINTR a signal, fatal with TASK_KILLABLE: give up.
 */
int vcpu_enter(struct vigil_vcpu *vcpu, unsigned int state)
	__acquires(&vcpu->vm->srcu);
/* Lets go of vm->srcu, and of who waits for that. */
void vcpu_leave(struct vigil_vcpu *vcpu) __releases(&vcpu->vm->srcu);

/*
 * The caller is under vm->srcu, or holds vm->lock or vm->monitor_lock: who replaces
 * the slots holds both.
 */
static inline struct vigil_slots *vigil_slots(struct vigil_vm *vm)
{
	return srcu_dereference_check(
		vm->slots, &vm->srcu,
		lockdep_is_held(&vm->lock) ||
			lockdep_is_held(&vm->monitor_lock));
}

static inline struct vigil_slot *vigil_gfn_slot(struct vigil_vm *vm, gfn_t gfn)
{
	return vigil_slot_of(vigil_slots(vm), gfn);
}

#endif
