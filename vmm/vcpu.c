// SPDX-License-Identifier: GPL-2.0
/* vCPU life, the ioctls of a vCPU fd, kicks and requests. */
#include <linux/anon_inodes.h>
#include <linux/cpumask.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <trace/events/ipi.h> /* smp_send_reschedule() */

#include "ops.h"
#include "run.h"
#include "vcpu.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/fpu.h"
#include "vmm/cpu/inject.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/regs.h"
#include "vmm/exit/emulctl.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/io.h"
#include "vmm/monitor/queue.h"
#include "vmm/monitor/view.h"
#include "vmm/pv/pv.h"

/* ---- kicks and requests ---- */

/*
 * CPUs that one call interrupts. The caller uses the mask of its own CPU, with
 * preemption off; no interrupt handler uses it.
 */
static DEFINE_PER_CPU(cpumask_var_t, kick_mask);

void vcpu_module_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_cpumask_var(per_cpu(kick_mask, cpu));
}

int __init vcpu_module_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		if (zalloc_cpumask_var_node(&per_cpu(kick_mask, cpu),
					    GFP_KERNEL, cpu_to_node(cpu)))
			continue;
		vcpu_module_exit();
		return -ENOMEM;
	}
	return 0;
}

static void kick_ack(void *unused)
{
	/* The interrupt itself has made the vCPU leave the guest. */
}

/* selftests/models/entry.pml explores this */
void vigil_kick(struct vigil_vcpu *vcpu)
{
	int cpu, me;

	wake_up(&vcpu->wq);
	me = get_cpu();
	cpu = READ_ONCE(vcpu->cpu);
	if (cpu != me && cpu >= 0 && cpu_online(cpu) &&
	    cmpxchg(&vcpu->mode, VCPU_IN_GUEST, VCPU_EXITING) == VCPU_IN_GUEST)
		smp_send_reschedule(cpu);
	put_cpu();
}

/* selftests/models/entry.pml explores this */
void vigil_request_all(struct vigil_vm *vm, enum vigil_request r, bool wait)
{
	struct vigil_vcpu *vcpu;
	struct cpumask *mask;
	unsigned int i;
	int cpu, me;

	if (!wait) {
		vigil_for_each_vcpu(i, vcpu, vm) {
			vigil_request(vcpu, r);
			vigil_kick(vcpu);
		}
		return;
	}
	vigil_for_each_vcpu(i, vcpu, vm)
		vigil_request(vcpu, r);
	/*
	 * Pairs with smp_mb() in enter_guest(), between the store to mode and
	 * the test of requests.
	 */
	smp_mb();
	me = get_cpu();
	mask = this_cpu_cpumask_var_ptr(kick_mask);
	cpumask_clear(mask);
	vigil_for_each_vcpu(i, vcpu, vm) {
		cpu = READ_ONCE(vcpu->cpu);
		if (cpu < 0 || cpu == me ||
		    READ_ONCE(vcpu->mode) == VCPU_OUTSIDE)
			continue;
		cpumask_set_cpu(cpu, mask);
		vcpu->stat.tlb_flushes_remote += r == REQ_FLUSH_TLB;
	}
	/*
	 * A synchronous call returns when the CPUs have taken the interrupt, so
	 * after the guests were left.
	 */
	smp_call_function_many(mask, kick_ack, NULL, true);
	put_cpu();
}

/* ---- requests, in the vCPU's own thread ---- */

int vcpu_dead(struct vigil_vcpu *vcpu)
{
	if (unlikely(vcpu->pv.end.why)) {
		exit_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, NULL,
				    0);
		vcpu->run->internal.ndata = sizeof(vcpu->pv.end) / sizeof(u64);
		memcpy(vcpu->run->internal.data, &vcpu->pv.end,
		       sizeof(vcpu->pv.end));
		return -EIO;
	}
	exit_internal_error(vcpu,
			    READ_ONCE(vcpu->vm->dead) == vigil_vm_killed ?
				    VIGIL_INTERNAL_ERROR_KILLED :
				    KVM_INTERNAL_ERROR_EMULATION,
			    NULL, 0);
	return -EIO;
}

/* selftests/models/entry.pml, synchronize.pml and watch.pml explore this */
int vcpu_requests(struct vigil_vcpu *vcpu)
{
	if (test_bit(REQ_DEAD, &vcpu->requests))
		return vcpu_dead(vcpu);
	if (vigil_test_request(vcpu, REQ_SRCU)) {
		vcpu_leave(vcpu);
		if (vcpu_enter(vcpu, TASK_INTERRUPTIBLE)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
	}
	/* vm->srcu may just have been left: whoever pauses waits no longer then. */
	if (test_bit(REQ_PAUSE, &vcpu->requests))
		return -ERESTART;
	/* A store that is held is decided anew: nothing else is under way here. */
	if (vigil_test_request(vcpu, REQ_SETTLE))
		wake_up_all(&vcpu->vm->srcu_wq);
	if (vigil_test_request(vcpu, REQ_SNAPSHOT))
		monitor_snapshot(vcpu, false);
	if (vigil_test_request(vcpu, REQ_TABLES))
		shadow_flush_guest(vcpu);
	if (vigil_test_request(vcpu, REQ_FLUSH_TLB)) {
		vmm_ops->flush_tlb(vcpu);
		fetch_flush(vcpu);
	}
	if (vigil_test_request(vcpu, REQ_TSC))
		vmm_ops->set_tsc_offset(vcpu);
	if (vigil_test_request(vcpu, REQ_CONTROLS))
		vmm_ops->update_controls(vcpu);
	if (vigil_test_request(vcpu, REQ_MSR_MAP))
		vmm_ops->update_msr_map(vcpu);
	return 1;
}

/* ---- load and put ---- */

static void load_here(struct vigil_vcpu *vcpu, int cpu)
{
	vcpu->on_hw = host_vcpu_load();
	if (likely(vcpu->on_hw))
		vmm_ops->vcpu_load(vcpu, cpu);
	WRITE_ONCE(vcpu->cpu, cpu);
}

static void put_here(struct vigil_vcpu *vcpu)
{
	if (unlikely(!vcpu->on_hw))
		return;
	vmm_ops->vcpu_put(vcpu);
	vcpu->on_hw = false;
	host_vcpu_put();
}

static void sched_in(struct preempt_notifier *pn, int cpu)
{
	load_here(container_of(pn, struct vigil_vcpu, preempt), cpu);
}

static void sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	put_here(container_of(pn, struct vigil_vcpu, preempt));
}

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

void vcpu_load(struct vigil_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->preempt);
	load_here(vcpu, cpu);
	put_cpu();
}

void vcpu_put(struct vigil_vcpu *vcpu)
{
	preempt_disable();
	put_here(vcpu);
	preempt_notifier_unregister(&vcpu->preempt);
	preempt_enable();
}

/* ---- life ---- */

static void vcpu_free(struct vigil_vcpu *vcpu)
{
	monitor_vcpu_destroy(vcpu);
	shadow_vcpu_destroy(vcpu);
	pv_vcpu_destroy(vcpu);
	vmm_ops->vcpu_destroy(vcpu);
	fpu_vcpu_destroy(vcpu);
	cpuid_vcpu_destroy(vcpu);
	__free_pages(vcpu->run_pages,
		     get_order(VIGIL_VCPU_MMAP_PAGES * PAGE_SIZE));
	put_pid(vcpu->pid);
	preempt_notifier_dec();
	kvfree(vcpu);
}

void vigil_destroy_vcpus(struct vigil_vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_free(vm->vcpus[i]);
	vm->nr_vcpus = 0;
}

static struct vigil_vcpu *vcpu_alloc(struct vigil_vm *vm, u32 id)
{
	struct vigil_vcpu *vcpu;
	int ret = -ENOMEM;

	vcpu = kvzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	mutex_init(&vcpu->mutex);
	mutex_init(&vcpu->snapshot_lock);
	init_waitqueue_head(&vcpu->wq);
	preempt_notifier_init(&vcpu->preempt, &vcpu_preempt_ops);
	fetch_flush(vcpu);

	vcpu->run_pages =
		alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_COMP,
			    get_order(VIGIL_VCPU_MMAP_PAGES * PAGE_SIZE));
	if (!vcpu->run_pages)
		goto free;
	vcpu->run = page_address(vcpu->run_pages);
	ret = monitor_vcpu_init(vcpu);
	if (ret)
		goto run;
	ret = fpu_vcpu_init(vcpu);
	if (ret)
		goto monitor;
	ret = vmm_ops->vcpu_create(vcpu);
	if (ret)
		goto fpu;
	ret = shadow_vcpu_init(vcpu);
	if (ret)
		goto vendor;
	preempt_notifier_inc();
	vcpu_load(vcpu);
	cpuid_update(vcpu);
	vcpu_reset(vcpu);
	vcpu_put(vcpu);
	return vcpu;

vendor:
	vmm_ops->vcpu_destroy(vcpu);
fpu:
	fpu_vcpu_destroy(vcpu);
monitor:
	monitor_vcpu_destroy(vcpu);
run:
	__free_pages(vcpu->run_pages,
		     get_order(VIGIL_VCPU_MMAP_PAGES * PAGE_SIZE));
free:
	kvfree(vcpu);
	return ERR_PTR(ret);
}

/* ---- the fd ---- */

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct vigil_vcpu *vcpu = vmf->vma->vm_file->private_data;

	if (vmf->pgoff >= VIGIL_VCPU_MMAP_PAGES)
		return VM_FAULT_SIGBUS;
	vmf->page = vcpu->run_pages + vmf->pgoff;
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff + vma_pages(vma) > VIGIL_VCPU_MMAP_PAGES)
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct vigil_vcpu *vcpu = file->private_data;

	vigil_vm_close(vcpu->vm);
	return 0;
}

static int set_signal_mask(struct vigil_vcpu *vcpu,
			   struct kvm_signal_mask __user *user)
{
	struct kvm_signal_mask head;
	sigset_t set;

	if (!user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

static int get_mp_state(struct vigil_vcpu *vcpu, void __user *user)
{
	struct kvm_mp_state mp = { .mp_state = vcpu->mp_state };

	return copy_to_user(user, &mp, sizeof(mp)) ? -EFAULT : 0;
}

static int set_mp_state(struct vigil_vcpu *vcpu, void __user *user)
{
	struct kvm_mp_state mp;

	if (copy_from_user(&mp, user, sizeof(mp)))
		return -EFAULT;
	/*
	 * Without interrupt controllers in the kernel, no other state exists.
	 */
	if (mp.mp_state != KVM_MP_STATE_RUNNABLE)
		return -EINVAL;
	vcpu->mp_state = mp.mp_state;
	return 0;
}

/*
 * GET_* and SET_* of one struct, copied whole. The work is done under vm->srcu,
 * because it may look at memory slots and guest tables. The copies are not: the
 * caller's memory may be withheld by a FUSE server or by userfaultfd, and other
 * processes wait for readers of vm->srcu.
 */
#define VCPU_DO(fn, arg)                                   \
	({                                                 \
		long _d = vcpu_enter(vcpu, TASK_KILLABLE); \
		if (!_d)                                   \
			_d = fn(vcpu, arg);                \
		vcpu_leave(vcpu);                          \
		_d;                                        \
	})
#define VCPU_GET(type, fn)                                              \
	({                                                              \
		type *_s = kzalloc(sizeof(*_s), GFP_KERNEL_ACCOUNT);    \
		long _r = -ENOMEM;                                      \
		if (_s) {                                               \
			_r = VCPU_DO(fn, _s);                           \
			if (!_r && copy_to_user(user, _s, sizeof(*_s))) \
				_r = -EFAULT;                           \
		}                                                       \
		kfree(_s);                                              \
		_r;                                                     \
	})
#define VCPU_SET(type, fn)                                 \
	({                                                 \
		type *_s = memdup_user(user, sizeof(*_s)); \
		long _r = PTR_ERR_OR_ZERO(_s);             \
		if (!_r) {                                 \
			_r = VCPU_DO(fn, _s);              \
			kfree(_s);                         \
		}                                          \
		_r;                                        \
	})

/*
 * Registers are replaced: an emulation under way is forgotten, and a port access or
 * hypercall that waits at the old RIP for its end is given up.
 */
static int set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs)
{
	bool moved = regs->rip != vcpu->rip;

	vcpu_set_regs(vcpu, regs);
	emulctl_forget(vcpu);
	if (moved)
		io_forget(vcpu);
	return 0;
}

static int set_sregs(struct vigil_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	bool moved = sregs->cs.base != vmm_call(get_seg_base)(vcpu, SEG_CS);
	int ret = vcpu_set_sregs(vcpu, sregs);

	if (ret)
		return ret;
	emulctl_forget(vcpu);
	if (moved)
		io_forget(vcpu);
	return 0;
}

int vcpu_set_state(struct vigil_vcpu *vcpu,
		   const struct vigil_vcpu_state *state)
{
	int ret = 0;

	/* Only this one can fail. */
	if (state->flags & VIGIL_VCPU_SREGS)
		ret = set_sregs(vcpu, &state->sregs);
	if (!ret && state->flags & VIGIL_VCPU_REGS)
		ret = set_regs(vcpu, &state->regs);
	return ret;
}

static long translate(struct vigil_vcpu *vcpu, void __user *user)
{
	struct kvm_translation tr;
	int ret;

	if (copy_from_user(&tr, user, sizeof(tr)))
		return -EFAULT;
	ret = vcpu_enter(vcpu, TASK_KILLABLE);
	if (!ret)
		vcpu_translate(vcpu, &tr);
	vcpu_leave(vcpu);
	if (ret)
		return ret;
	return copy_to_user(user, &tr, sizeof(tr)) ? -EFAULT : 0;
}

static long interrupt(struct vigil_vcpu *vcpu, void __user *user)
{
	struct kvm_interrupt irq;

	if (copy_from_user(&irq, user, sizeof(irq)))
		return -EFAULT;
	return event_user_irq(vcpu, irq.irq);
}

static long vcpu_ioctl_locked(struct vigil_vcpu *vcpu, unsigned int cmd,
			      unsigned long arg)
{
	void __user *user = (void __user *)arg;
	u64 cap;

	switch (cmd) {
	case KVM_GET_REGS:
		return VCPU_GET(struct kvm_regs, vcpu_get_regs);
	case KVM_SET_REGS:
		return VCPU_SET(struct kvm_regs, set_regs);
	case KVM_GET_SREGS:
		return VCPU_GET(struct kvm_sregs, vcpu_get_sregs);
	case KVM_SET_SREGS:
		return VCPU_SET(struct kvm_sregs, set_sregs);
	case KVM_GET_FPU:
		return VCPU_GET(struct kvm_fpu, fpu_get_fpu);
	case KVM_SET_FPU:
		return VCPU_SET(struct kvm_fpu, fpu_set_fpu);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return msr_io(vcpu, user, cmd == KVM_SET_MSRS);
	case KVM_GET_CPUID2:
		return cpuid_get(vcpu, user);
	case KVM_SET_CPUID2:
		return cpuid_set(vcpu, user);
	case KVM_GET_MP_STATE:
		return get_mp_state(vcpu, user);
	case KVM_SET_MP_STATE:
		return set_mp_state(vcpu, user);
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(vcpu, user);
	case KVM_GET_TSC_KHZ:
		return vcpu->vm->tsc_khz;
	case KVM_TRANSLATE:
		return translate(vcpu, user);
	case KVM_INTERRUPT:
		return interrupt(vcpu, user);
	case KVM_X86_SETUP_MCE:
		if (get_user(cap, (u64 __user *)user))
			return -EFAULT;
		return msr_setup_mce(vcpu, cap);
	case KVM_X86_SET_MCE:
		return VCPU_SET(struct kvm_x86_mce, msr_set_mce);
	case KVM_NMI:
		event_user_nmi(vcpu);
		return 0;
	case VIGIL_GET_PV:
	case VIGIL_SET_PV:
		return pv_state_ioctl(vcpu, cmd, user);
	default:
		return -ENOTTY;
	}
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vigil_vcpu *vcpu = file->private_data;
	struct vigil_vm *vm = vcpu->vm;
	long ret;

	if (current->mm != vm->mm)
		return -EIO;
	if (_IOC_TYPE(cmd) != KVMIO && _IOC_TYPE(cmd) != VIGIL_IOC)
		return -ENOTTY;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (cmd == KVM_RUN) {
		ret = arg ? -EINVAL : vcpu_run(vcpu);
	} else if (READ_ONCE(vm->dead)) {
		ret = -EIO;
	} else {
		vcpu_load(vcpu);
		ret = vcpu_ioctl_locked(vcpu, cmd, arg);
		vcpu_put(vcpu);
	}
	mutex_unlock(&vcpu->mutex);
	return ret;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.mmap = vcpu_mmap,
	.unlocked_ioctl = vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static bool id_taken(struct vigil_vm *vm, u32 id)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == id)
			return true;
	return false;
}

/* Adds the vCPU to its VM, then installs its fd. Negative: nothing was done. */
static int vcpu_publish(struct vigil_vm *vm, struct vigil_vcpu *vcpu)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = anon_inode_getfile("vigil-vcpu", &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	/* The release of the file undoes these. */
	vigil_vm_get(vm);
	atomic_inc(&vm->handles);
	vcpu->index = vm->nr_vcpus;
	vm->vcpus[vcpu->index] = vcpu;
	/* pairs with vigil_for_each_vcpu() */
	smp_store_release(&vm->nr_vcpus, vcpu->index + 1);
	/*
	 * Controls may be watched since vcpu_reset(), and all vCPUs be paused. Pairs with
	 * control_set() and vmm/monitor/pause.c.
	 */
	smp_mb();
	vigil_request(vcpu, REQ_CONTROLS);
	vigil_request(vcpu, REQ_PAUSE);
	/*
	 * The fd is installed last: a process that guesses its number could
	 * otherwise run a vCPU that is not in vm->vcpus, and so gets no request
	 * to flush.
	 */
	fd_install(fd, file);
	return fd;
}

int vigil_create_vcpu(struct vigil_vm *vm, unsigned long id)
{
	struct vigil_vcpu *vcpu;
	int fd;

	if (id >= VIGIL_MAX_VCPUS)
		return -EINVAL;
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	if (id_taken(vm, id)) {
		fd = -EEXIST;
		goto unlock;
	}
	vcpu = vcpu_alloc(vm, id);
	if (IS_ERR(vcpu)) {
		fd = PTR_ERR(vcpu);
		goto unlock;
	}
	fd = vcpu_publish(vm, vcpu);
	if (fd < 0)
		vcpu_free(vcpu);
unlock:
	mutex_unlock(&vm->lock);
	return fd;
}
