// SPDX-License-Identifier: GPL-2.0
/* VM life and the ioctls of a VM fd. */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <asm/tsc.h>

#include "host.h"
#include "main.h"
#include "ops.h"
#include "trace.h"
#include "vm.h"
#include "shadow/shadow.h"
#include "vmm/cpu/msr_filter.h"
#include "vmm/mem/dirty.h"
#include "vmm/mem/notifier.h"
#include "vmm/monitor/monitor.h"
#include "vmm/pv/pv.h"

/*
 * Fewer pages cannot hold the tables for one instruction; KVM has the same
 * bound.
 */
#define VM_MIN_MMU_PAGES 64

DEFINE_MUTEX(vigil_vms_lock);
LIST_HEAD(vigil_vms);
static u32 next_vm_id; /* vigil_vms_lock */

const char *const vigil_vm_killed = "killed by its monitor";

void vigil_vm_kill(struct vigil_vm *vm, const char *reason)
{
	if (cmpxchg(&vm->dead, NULL, reason))
		return;
	vigil_request_all(vm, REQ_DEAD, false);
	wake_up_all(&vm->monitor_wq);
}

/* selftests/models/synchronize.pml explores this */
int vm_synchronize(struct vigil_vm *vm)
{
	int ret;

	atomic_inc(&vm->srcu_syncs);
	/*
	 * srcu_syncs is raised before REQ_SRCU is set, so a vCPU that sees the
	 * request also sees the count.
	 */
	vigil_request_all(vm, REQ_SRCU, false);
	ret = wait_event_killable(vm->srcu_wq, !atomic_read(&vm->srcu_users));
	/* All other readers are short, and wait for nothing. */
	if (!ret)
		synchronize_srcu_expedited(&vm->srcu);
	if (atomic_dec_and_test(&vm->srcu_syncs))
		wake_up_all(&vm->srcu_wq);
	return ret;
}

/*
 * May the vCPU be about to act on what it has found before? Each of the fields is
 * written before a full barrier and what the vCPU looks for behind that:
 * vcpu_enter(), enter_guest().
 */
static bool acts(const struct vigil_vcpu *vcpu)
{
	return READ_ONCE(vcpu->inside) && READ_ONCE(vcpu->mode) == VCPU_OUTSIDE;
}

/* selftests/models/watch.pml explores this */
int vm_settle(struct vigil_vm *vm, bool wait)
{
	struct vigil_vcpu *vcpu;
	unsigned int i;
	int ret;

	/* What the caller has changed is visible before it looks at the vCPUs. */
	smp_mb();
	vigil_for_each_vcpu(i, vcpu, vm) {
		if (!acts(vcpu))
			continue;
		if (!wait)
			return -EBUSY;
		vigil_request(vcpu, REQ_SETTLE);
		/*
		 * Pairs with smp_mb() in enter_guest() and with the count in
		 * vcpu_leave(): the vCPU sees the request, or is seen to act no
		 * more.
		 */
		smp_mb__after_atomic();
		ret = wait_event_killable(
			vm->srcu_wq,
			!test_bit(REQ_SETTLE, &vcpu->requests) || !acts(vcpu));
		if (ret)
			return ret;
	}
	return 0;
}

/* Somebody synchronizes: waits until that is over, or until a signal comes. */
static noinline int wait_outside(struct vigil_vm *vm, unsigned int state)
{
	if (atomic_dec_and_test(&vm->srcu_users))
		wake_up_all(&vm->srcu_wq);
	if (state == TASK_KILLABLE)
		return wait_event_killable(vm->srcu_wq,
					   !atomic_read(&vm->srcu_syncs));
	return wait_event_interruptible(vm->srcu_wq,
					!atomic_read(&vm->srcu_syncs));
}

/* selftests/models/synchronize.pml and watch.pml explore this */
int vcpu_enter(struct vigil_vcpu *vcpu, unsigned int state)
	__acquires(&vcpu->vm->srcu)
{
	struct vigil_vm *vm = vcpu->vm;
	int ret = 0;

	WRITE_ONCE(vcpu->inside, true);
	for (;;) {
		atomic_inc(&vm->srcu_users);
		/*
		 * Pairs with atomic_inc(&vm->srcu_syncs) in vm_synchronize(), and
		 * with smp_mb() in vm_settle().
		 */
		smp_mb__after_atomic();
		if (likely(!atomic_read(&vm->srcu_syncs)) || ret)
			break;
		ret = wait_outside(vm, state);
	}
	vcpu->srcu_idx = srcu_read_lock(&vm->srcu);
	return ret ? -EINTR : 0;
}

/* selftests/models/synchronize.pml and watch.pml explore this */
void vcpu_leave(struct vigil_vcpu *vcpu) __releases(&vcpu->vm->srcu)
{
	struct vigil_vm *vm = vcpu->vm;

	srcu_read_unlock(&vm->srcu, vcpu->srcu_idx);
	WRITE_ONCE(vcpu->inside, false);
	if (atomic_dec_and_test(&vm->srcu_users) &&
	    unlikely(atomic_read(&vm->srcu_syncs)))
		wake_up_all(&vm->srcu_wq);
	if (unlikely(READ_ONCE(vcpu->requests) &
		     (BIT(REQ_SETTLE) | BIT(REQ_PAUSE)))) {
		clear_bit(REQ_SETTLE, &vcpu->requests);
		wake_up_all(&vm->srcu_wq);
	}
}

static void vm_destroy(struct vigil_vm *vm)
{
	mutex_lock(&vigil_vms_lock);
	list_del(&vm->link);
	mutex_unlock(&vigil_vms_lock);

	trace_vigil_vm_destroy(vm);
	stat_vm_del(vm);
	mmu_notifier_unregister(&vm->notifier, vm->mm);
	vigil_destroy_vcpus(vm);
	watch_vm_destroy(vm);
	msr_filter_free(vm);
	shadow_vm_destroy(vm);
	vigil_free_slots(vm);
	vmm_ops->vm_destroy(vm);
	/* Filters of MSRs may still be on their way through vm->srcu. */
	srcu_barrier(&vm->srcu);
	cleanup_srcu_struct(&vm->srcu);
	host_hw_put();
	mmdrop(vm->mm);
	put_pid(vm->pid);
	put_user_ns(vm->user_ns);
	kvfree(vm);
}

void vigil_vm_get(struct vigil_vm *vm)
{
	refcount_inc(&vm->users);
}

void vigil_vm_put(struct vigil_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		vm_destroy(vm);
}

void vigil_vm_close(struct vigil_vm *vm)
{
	/* A VM whose last references are held by monitors never runs again. */
	if (atomic_dec_and_test(&vm->handles)) {
		vigil_vm_kill(vm, "closed by its VMM");
		vigil_slots_closed(vm);
	}
	vigil_vm_put(vm);
}

static struct vigil_vm *vm_create(void)
{
	struct vigil_vm *vm;
	int ret;

	vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->users, 1);
	atomic_set(&vm->handles, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->store_lock);
	mutex_init(&vm->monitor_lock);
	spin_lock_init(&vm->pause_lock);
	init_waitqueue_head(&vm->srcu_wq);
	INIT_LIST_HEAD(&vm->link);
	INIT_LIST_HEAD(&vm->monitors);
	vm->owner = current_euid();
	vm->user_ns = get_user_ns(current_user_ns());
	vm->pid = get_pid(task_tgid(current));
	vm->mm = current->mm;
	mmgrab(vm->mm);
	vm->start_ns = ktime_get_boottime_ns();
	vm->tsc_khz = tsc_khz;

	ret = init_srcu_struct(&vm->srcu);
	if (ret)
		goto free;
	ret = -ENOMEM;
	rcu_assign_pointer(vm->slots, vigil_empty_slots());
	if (!rcu_access_pointer(vm->slots))
		goto srcu;
	ret = host_hw_get();
	if (ret)
		goto free_slots;
	ret = vmm_ops->vm_init(vm);
	if (ret)
		goto hw;
	ret = shadow_vm_init(vm);
	if (ret)
		goto vendor;
	pv_vm_init(vm);
	ret = watch_vm_init(vm);
	if (ret)
		goto shadow;
	vm->notifier.ops = &gmem_notifier_ops;
	ret = mmu_notifier_register(&vm->notifier, vm->mm);
	if (ret)
		goto watch;

	mutex_lock(&vigil_vms_lock);
	vm->id = ++next_vm_id;
	list_add_tail(&vm->link, &vigil_vms);
	mutex_unlock(&vigil_vms_lock);
	stat_vm_add(vm);
	trace_vigil_vm_create(vm);
	return vm;

watch:
	watch_vm_destroy(vm);
shadow:
	shadow_vm_destroy(vm);
vendor:
	vmm_ops->vm_destroy(vm);
hw:
	host_hw_put();
free_slots:
	vigil_free_slots(vm);
srcu:
	cleanup_srcu_struct(&vm->srcu);
free:
	mmdrop(vm->mm);
	put_pid(vm->pid);
	put_user_ns(vm->user_ns);
	kvfree(vm);
	return ERR_PTR(ret);
}

/*
 * struct kvm_userspace_memory_region2 begins like the older one; the rest must
 * be 0.
 */
static long set_memory_region(struct vigil_vm *vm, void __user *user,
			      size_t size)
{
	struct kvm_userspace_memory_region2 r = {};

	if (copy_from_user(&r, user, size))
		return -EFAULT;
	if (r.guest_memfd_offset || r.guest_memfd || r.pad1 ||
	    memchr_inv(r.pad2, 0, sizeof(r.pad2)))
		return -EINVAL;
	return vigil_set_slot(vm, &r);
}

#define USER_MSR_REASONS                                           \
	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
	 KVM_MSR_EXIT_REASON_FILTER)

static long vm_enable_cap(struct vigil_vm *vm, void __user *user)
{
	struct kvm_enable_cap cap;

	if (copy_from_user(&cap, user, sizeof(cap)))
		return -EFAULT;
	if (cap.flags)
		return -EINVAL;
	switch (cap.cap) {
	case KVM_CAP_EXIT_HYPERCALL:
		if (cap.args[0] > INT_MAX)
			return -EINVAL;
		WRITE_ONCE(vm->hypercall_exits, cap.args[0]);
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		if (cap.args[0] & ~(u64)USER_MSR_REASONS)
			return -EINVAL;
		WRITE_ONCE(vm->user_msrs, cap.args[0]);
		return 0;
	default:
		return -EINVAL;
	}
}

static long vm_audit(struct vigil_vm *vm)
{
	unsigned int i, n;
	long ret;

	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	/*
	 * A running vCPU is not waited for: the caller has stopped all of them.
	 */
	for (n = 0; n < vm->nr_vcpus; n++) {
		ret = -EBUSY;
		if (!mutex_trylock(&vm->vcpus[n]->mutex))
			goto out;
	}
	/* The auditor searches the watches, and is no vCPU. */
	mutex_lock(&vm->monitor_lock);
	ret = shadow_audit(vm);
	mutex_unlock(&vm->monitor_lock);
out:
	for (i = 0; i < n; i++)
		mutex_unlock(&vm->vcpus[i]->mutex);
	mutex_unlock(&vm->lock);
	return ret;
}

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vigil_vm *vm = file->private_data;
	void __user *user = (void __user *)arg;
	struct kvm_dirty_log log;
	long ret;

	if (_IOC_TYPE(cmd) == VIGIL_IOC && cmd != VIGIL_AUDIT)
		return monitor_vm_ioctl(vm, cmd, arg);
	if (cmd == KVM_CHECK_EXTENSION)
		return vigil_check_extension(arg);
	if (current->mm != vm->mm || READ_ONCE(vm->dead))
		return -EIO;

	switch (cmd) {
	case KVM_CREATE_VCPU:
		return vigil_create_vcpu(vm, arg);
	case KVM_SET_USER_MEMORY_REGION:
		return set_memory_region(
			vm, user, sizeof(struct kvm_userspace_memory_region));
	case KVM_SET_USER_MEMORY_REGION2:
		return set_memory_region(
			vm, user, sizeof(struct kvm_userspace_memory_region2));
	case KVM_GET_DIRTY_LOG:
		if (copy_from_user(&log, user, sizeof(log)))
			return -EFAULT;
		/*
		 * In a union with a pointer, a 32-bit VMM leaves anything in
		 * the upper half.
		 */
		if (in_compat_syscall())
			log.dirty_bitmap =
				compat_ptr(ptr_to_compat(log.dirty_bitmap));
		return vigil_get_dirty_log(vm, &log);
	case KVM_SET_NR_MMU_PAGES:
		if (arg < VM_MIN_MMU_PAGES)
			return -EINVAL;
		if (mutex_lock_killable(&vm->lock))
			return -EINTR;
		ret = shadow_set_limit(vm, arg);
		mutex_unlock(&vm->lock);
		return ret;
	case KVM_GET_NR_MMU_PAGES:
		return min_t(unsigned long, shadow_get_limit(vm), INT_MAX);
	case KVM_SET_TSS_ADDR:
		/*
		 * Three pages below 4 GiB that the kernel may use for itself.
		 * vigil needs none, since real mode runs on the hardware.
		 */
		return arg > U32_MAX - 3 * PAGE_SIZE + 1 ? -EINVAL : 0;
	case KVM_SET_GSI_ROUTING:
		/*
		 * The kernel has no interrupt controller for this VM, so there
		 * are no pins to route to.
		 */
		return -EINVAL;
	case KVM_ENABLE_CAP:
		return vm_enable_cap(vm, user);
	case KVM_X86_SET_MSR_FILTER:
	case COMPAT_SET_MSR_FILTER:
		return msr_filter_set(vm, user, cmd == COMPAT_SET_MSR_FILTER);
	case VIGIL_AUDIT:
		return vm_audit(vm);
	default:
		return -ENOTTY;
	}
}

static int vm_release(struct inode *inode, struct file *file)
{
	vigil_vm_close(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

int vigil_create_vm(unsigned long type)
{
	struct vigil_vm *vm;
	int fd;

	if (type)
		return -EINVAL;
	vm = vm_create();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("vigil-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vigil_vm_close(vm);
	return fd;
}
