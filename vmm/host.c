// SPDX-License-Identifier: GPL-2.0
/*
 * The host's CPUs. The virtualization extension is on from the first VM to the
 * last, on every online CPU or on none, and never when somebody else has it on.
 *
 * hw_users changes under cpus_read_lock() and hw_lock; so the hotplug callbacks,
 * which run with hotplug held for writing, read it without a lock.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/irq_work.h>
#include <linux/kobject.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/pm.h>
#include <linux/pm_domain.h>
#include <linux/ptrace.h>
#include <linux/ratelimit.h>
#include <linux/reboot.h>
#include <linux/wait.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/mce.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/special_insns.h>

#include "host.h"
#include "ops.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/fpu.h"
#include "vmm/cpu/msr.h"
#include "vmm/cpu/tsc.h"

static const struct vmm_ops *const vendors[] = { &svm_ops, &vmx_ops };

const struct vmm_ops *vmm_ops __ro_after_init;

#define VMM_DEFINE(op) \
	DEFINE_STATIC_CALL_NULL(vmm_##op, *((struct vmm_ops *)NULL)->op)
VMM_CALLS(VMM_DEFINE);
#undef VMM_DEFINE
struct host_info host_info __ro_after_init;

DEFINE_PER_CPU(bool, host_cpu_on);
DEFINE_PER_CPU(bool, host_cpu_loaded);
DEFINE_PER_CPU(bool, host_cpu_leaving); /* this CPU goes offline */
bool host_down; /* the machine is going down */

static DEFINE_MUTEX(hw_lock);
static unsigned int hw_users;
static bool hw_broken; /* a resume could not enable: no VM may run */
static DECLARE_WAIT_QUEUE_HEAD(down_wq);
/*
 * Wakes down_wq. A direct call could deadlock: the caller may hold the
 * scheduler's locks.
 */
static struct irq_work down_work;
/* [hw_lock] what KVM's module of this vendor told of itself, since we are loaded */
static enum { KVM_TOLD_NOTHING, KVM_CAME, KVM_WENT } kvm_told;
static bool emergency_set; /* [hw_lock] our emergency callback is registered */
static enum cpuhp_state cpuhp_online;

static void read_cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
	cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]);
}

static int read_msr(u32 msr, u64 *value)
{
	return rdmsrl_safe(msr, value) ? -EIO : 0;
}

const struct host_reader host_reader_native = {
	.cpuid = read_cpuid,
	.rdmsr = read_msr,
};

/* --- an outer KVM --- */

static DEFINE_PER_CPU(bool, async_pf_stopped);

/*
 * An outer KVM tells this kernel of a page that it has to fetch first by a page
 * fault whose address is a token. In one of our guests that would be an exit, and
 * the token belongs to the kernel, whose functions for it are closed to modules:
 * have the outer KVM send none while the extension is on. IRQs off.
 */
static void async_pf_stop(void)
{
	u64 v;

	if (!kvm_para_available() || rdmsrl_safe(MSR_KVM_ASYNC_PF_EN, &v) ||
	    !(v & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT))
		return;
	wrmsrl(MSR_KVM_ASYNC_PF_EN,
	       v & ~(u64)KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT);
	__this_cpu_write(async_pf_stopped, true);
}

static void async_pf_start(void)
{
	u64 v;

	if (likely(!__this_cpu_read(async_pf_stopped)))
		return;
	__this_cpu_write(async_pf_stopped, false);
	/* The kernel has switched all of it off: a CPU goes offline. */
	if (rdmsrl_safe(MSR_KVM_ASYNC_PF_EN, &v) || !(v & KVM_ASYNC_PF_ENABLED))
		return;
	wrmsrl(MSR_KVM_ASYNC_PF_EN, v | KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT);
}

/* --- one CPU, IRQs off --- */

static int enable_here(void)
{
	int ret;

	if (__this_cpu_read(host_cpu_on))
		return 0;
	ret = vmm_ops->hw_enable();
	if (ret)
		return ret;
	async_pf_stop();
	__this_cpu_write(host_cpu_on, true);
	return 0;
}

static void disable_here(void *unused)
{
	if (!__this_cpu_read(host_cpu_on))
		return;
	__this_cpu_write(host_cpu_on, false);
	vmm_ops->hw_disable();
	async_pf_start();
}

/* --- machine checks --- */

void host_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = {
		.cs = 3, /* it hit a guest, not the kernel */
		.flags = X86_EFLAGS_IF,
	};

	do_machine_check(&regs);
#endif
}

/* --- emergency: panic, kdump, emergency restart --- */

/* Runs in NMI context. The kernel turns off the rest of the machine. */
static void emergency_here(void)
{
	if (!__this_cpu_read(host_cpu_on))
		return;
	__this_cpu_write(host_cpu_on, false);
	vmm_ops->hw_emergency();
}

static bool kvm_present(void)
{
	struct kobject *kobj;

	if (IS_BUILTIN(CONFIG_KVM_AMD) || IS_BUILTIN(CONFIG_KVM_INTEL))
		return true;
	if (!vmm_ops->kvm_module)
		return false;
	if (kvm_told != KVM_TOLD_NOTHING)
		return kvm_told == KVM_CAME;
	/* Our module's kset is that of /sys/module. */
	kobj = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, vmm_ops->kvm_module);
	kobject_put(kobj);
	return kobj;
}

/*
 * The kernel has one slot for an emergency callback and warns about a second
 * owner. KVM's vendor modules take it without asking, when they are loaded or
 * with their first VM: leave it alone while one of them is there, give it up
 * before one initializes, and take it again when that failed or it was unloaded.
 * So nobody has it from 6.12 on while KVM is loaded with enable_virt_at_load=0,
 * has no VM, and we have one: to be there for KVM's first would make it warn.
 */
static void emergency_register(void)
{
	lockdep_assert_held(&hw_lock);
	if (!vmm_ops->hw_emergency || emergency_set || kvm_present())
		return;
	emergency_set = compat_emergency_register(emergency_here);
}

static void emergency_unregister(void)
{
	lockdep_assert_held(&hw_lock);
	if (!emergency_set)
		return;
	compat_emergency_unregister(emergency_here);
	emergency_set = false;
}

static int module_event(struct notifier_block *nb, unsigned long state,
			void *data)
{
	const struct module *mod = data;

	if (!vmm_ops->kvm_module || strcmp(mod->name, vmm_ops->kvm_module))
		return NOTIFY_DONE;
	mutex_lock(&hw_lock);
	if (state == MODULE_STATE_COMING) {
		kvm_told = KVM_CAME;
		emergency_unregister();
	} else if (state == MODULE_STATE_GOING) {
		kvm_told = KVM_WENT;
		if (hw_users)
			emergency_register();
	}
	mutex_unlock(&hw_lock);
	return NOTIFY_DONE;
}

static struct notifier_block module_nb = { .notifier_call = module_event };

/* --- all CPUs --- */

struct enable_result {
	atomic_t err;
	int cpu;
};

static void enable_ipi(void *data)
{
	struct enable_result *res = data;
	int ret = enable_here();

	if (ret && !atomic_cmpxchg(&res->err, 0, ret))
		res->cpu = smp_processor_id();
}

static void tell_busy(int cpu)
{
	static DEFINE_RATELIMIT_STATE(rs, 10 * HZ, 1);
	const char *what = vmm_ops->owned_what, *kvm = vmm_ops->kvm_module;

	if (!__ratelimit(&rs))
		return;
	if (kvm_present())
		pr_err("%s on CPU %d; unload %s (rmmod %s) or " COMPAT_KVM_LETS_GO
		       "\n",
		       what, cpu, kvm, kvm);
	else
		pr_err("%s on CPU %d; stop the other hypervisor that is active\n",
		       what, cpu);
}

static const char cpu_differs[] =
	"it has other virtualization features than the CPU on which vigil was loaded";

static int enable_all(void)
{
	struct enable_result res = { .err = ATOMIC_INIT(0) };
	int err;

	if (host_down)
		return -ESHUTDOWN;
	on_each_cpu(enable_ipi, &res, 1);
	err = atomic_read(&res.err);
	if (err) {
		on_each_cpu(disable_here, NULL, 1);
		if (err == -EBUSY)
			tell_busy(res.cpu);
		else if (err == -EOPNOTSUPP)
			pr_err_ratelimited("CPU %d: %s; take it offline\n",
					   res.cpu, cpu_differs);
		return err;
	}
	hw_broken = false;
	emergency_register();
	return 0;
}

int host_hw_get(void)
{
	int ret = 0;

	cpus_read_lock();
	mutex_lock(&hw_lock);
	if (!hw_users)
		ret = enable_all();
	if (!ret)
		hw_users++;
	mutex_unlock(&hw_lock);
	cpus_read_unlock();
	return ret;
}

void host_hw_put(void)
{
	cpus_read_lock();
	mutex_lock(&hw_lock);
	if (!--hw_users) {
		emergency_unregister();
		on_each_cpu(disable_here, NULL, 1);
	}
	mutex_unlock(&hw_lock);
	cpus_read_unlock();
}

const char *host_cpu_lost(void)
{
	if (READ_ONCE(host_down))
		return "the host is going down";
	if (READ_ONCE(hw_broken))
		return "the host could not enable virtualization again after a resume";
	/*
	 * This CPU goes offline: let the scheduler move the task to another
	 * one.
	 */
	schedule();
	return NULL;
}

/* --- hotplug, suspend, reboot --- */

/* selftests/models/vmcs.pml explores this */
static int cpu_online_cb(unsigned int cpu)
{
	unsigned long flags;
	int ret;

	__this_cpu_write(host_cpu_leaving, false);
	if (!hw_users)
		return 0;
	local_irq_save(flags);
	ret = enable_here();
	local_irq_restore(flags);
	if (ret)
		pr_warn("CPU %u stays offline: %s (error %d)\n", cpu,
			ret == -EBUSY ?
				vmm_ops->owned_what :
			ret == -EOPNOTSUPP ?
				cpu_differs :
				"the extension cannot be enabled while a VM exists",
			ret);
	return ret;
}

/* selftests/models/vmcs.pml explores this */
static int cpu_offline_cb(unsigned int cpu)
{
	unsigned long flags;

	/*
	 * No vCPU is loaded on this CPU, because the hotplug thread is running
	 * on it.
	 */
	local_irq_save(flags);
	__this_cpu_write(host_cpu_leaving, true);
	disable_here(NULL);
	local_irq_restore(flags);
	return 0;
}

/*
 * Slow path of host_vcpu_load(). The scheduler moves tasks from a CPU that goes
 * offline only when it next runs there: until then a task that loads a vCPU
 * needs the extension. selftests/models/vmcs.pml explores this.
 */
bool host_load_off(void)
{
	unsigned long flags;
	int ret = -ENODEV;

	local_irq_save(flags);
	if (__this_cpu_read(host_cpu_leaving) && !READ_ONCE(host_down))
		ret = enable_here();
	if (ret)
		__this_cpu_write(host_cpu_loaded, false);
	local_irq_restore(flags);
	return !ret;
}

/*
 * Called when tasks are frozen and all CPUs online. Most CPUs go offline next;
 * the last one sleeps as it is, and loses its settings.
 */
static int host_suspend(struct device *unused)
{
	cpus_read_lock();
	on_each_cpu(disable_here, NULL, 1);
	cpus_read_unlock();
	tsc_suspend();
	return 0;
}

static int host_resume(struct device *unused)
{
	struct enable_result res = { .err = ATOMIC_INIT(0) };
	int err = 0;

	cpus_read_lock();
	mutex_lock(&hw_lock);
	if (hw_users) {
		on_each_cpu(enable_ipi, &res, 1);
		err = atomic_read(&res.err);
	}
	mutex_unlock(&hw_lock);
	cpus_read_unlock();
	tsc_resume();
	if (err) {
		WRITE_ONCE(hw_broken, true);
		pr_err("%s could not be enabled after resume (error %d); its VMs cannot go on\n",
		       vmm_ops->name, err);
	}
	return 0;
}

static struct dev_pm_domain host_pm = {
	.ops = { NOIRQ_SYSTEM_SLEEP_PM_OPS(host_suspend, host_resume) },
};

void host_watch_sleep(struct device *dev)
{
	dev_pm_domain_set(dev, &host_pm);
}

/*
 * Runs on each CPU: turns the extension off now, or later when the vCPU that is
 * loaded there is put.
 */
static void down_ipi(void *unused)
{
	if (!__this_cpu_read(host_cpu_loaded))
		disable_here(NULL);
}

void host_put_off(void)
{
	unsigned long flags;

	local_irq_save(flags);
	disable_here(NULL);
	local_irq_restore(flags);
	if (READ_ONCE(host_down))
		irq_work_queue(&down_work);
}

static void down_wake(struct irq_work *unused)
{
	wake_up_all(&down_wq);
}

static bool all_off(void)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (READ_ONCE(per_cpu(host_cpu_on, cpu)))
			return false;
	return true;
}

static int host_reboot(struct notifier_block *nb, unsigned long action,
		       void *data)
{
	struct vigil_vm *vm;

	WRITE_ONCE(host_down, true);
	mutex_lock(&vigil_vms_lock);
	list_for_each_entry(vm, &vigil_vms, link)
		vigil_vm_kill(vm, "the host is going down");
	mutex_unlock(&vigil_vms_lock);

	cpus_read_lock();
	on_each_cpu(down_ipi, NULL, 1);
	cpus_read_unlock();
	/*
	 * The kernel's emergency path takes care of a CPU that does not leave
	 * its vCPU.
	 */
	wait_event_timeout(down_wq, all_off(), HZ);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = { .notifier_call = host_reboot };

/* --- load and unload --- */

static void __init set_vendor(const struct vmm_ops *ops)
{
	vmm_ops = ops;
#define VMM_SET(op) static_call_update(vmm_##op, ops->op)
	VMM_CALLS(VMM_SET);
#undef VMM_SET
}

static int __init choose_vendor(void)
{
	int i, ret, worst = -ENODEV;
	const char *why, *name = "no vendor", *worst_why = "unknown CPU";

	for (i = 0; i < ARRAY_SIZE(vendors); i++) {
		why = "not supported";
		ret = vendors[i]->check(&host_reader_native, &why);
		if (!ret) {
			set_vendor(vendors[i]);
			return 0;
		}
		/*
		 * "Firmware disabled it" tells the user more than "not this
		 * vendor's CPU".
		 */
		if (worst == -ENODEV || ret == -EPERM) {
			worst = ret;
			worst_why = why;
			name = vendors[i]->name;
		}
	}
	pr_err("cannot run on this machine: %s: %s\n", name, worst_why);
	return worst;
}

static void __init read_host_info(void)
{
	rdmsrl(MSR_EFER, host_info.efer);
	host_info.efer &= ~(u64)EFER_SVME;
	if (__read_cr4() & X86_CR4_OSXSAVE)
		host_info.xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	/*
	 * On VMX no control enables XSAVES, so XSS means nothing to a guest. SVM
	 * cannot take XSAVES from a guest.
	 */
	if (vmm_ops == &svm_ops && host_info.xcr0 &&
	    boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, host_info.xss);
	fpu_init();
	host_info.maxphyaddr = boot_cpu_data.x86_phys_bits;
	host_info.la57 = __read_cr4() & X86_CR4_LA57;
	host_info.gbpages = boot_cpu_has(X86_FEATURE_GBPAGES);
	host_info.amd = boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
			boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
}

int __init host_init(void)
{
	int ret;

	ret = choose_vendor();
	if (ret)
		return ret;
	read_host_info();
	ret = vmm_ops->hw_setup();
	if (ret)
		return ret;
	cpuid_init();
	msr_init();

	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86/vigil:online",
				cpu_online_cb, cpu_offline_cb);
	if (ret < 0)
		goto unsetup;
	cpuhp_online = ret;
	init_irq_work(&down_work, down_wake);
	ret = register_module_notifier(&module_nb);
	if (ret)
		goto cpuhp;
	ret = register_reboot_notifier(&reboot_nb);
	if (ret)
		goto notifier;
	return 0;

notifier:
	unregister_module_notifier(&module_nb);
cpuhp:
	cpuhp_remove_state(cpuhp_online);
unsetup:
	vmm_ops->hw_unsetup();
	return ret;
}

void host_exit(void)
{
	unregister_reboot_notifier(&reboot_nb);
	unregister_module_notifier(&module_nb);
	cpuhp_remove_state(cpuhp_online);
	irq_work_sync(&down_work);
	vmm_ops->hw_unsetup();
}
