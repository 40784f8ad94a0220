// SPDX-License-Identifier: GPL-2.0
/*
 * Test-only: shows the state of every CPU that a hypervisor could leave changed,
 * and plays the other hypervisor.
 *
 * /proc/hoststate, read: lines "cpuN NAME VALUE", from a kernel thread on each
 * CPU, where what belongs to a process is 0. Write "extension N 0|1": the bit of
 * CPU N that says that its extension is in use (EFER.SVME, CR4.VMXE); "online
 * 0|1": set it on each CPU that comes online, before any module that was loaded
 * later sees the CPU; "kvm": put right on all CPUs what stock KVM leaves behind;
 * "emergency ADDRESS": what a panic does to virtualization, on all CPUs, with the
 * address of cpu_emergency_disable_virtualization(), which nobody may call else;
 * "tsc ADDRESS": when a CPU next goes offline, as in a suspend, adds TSC_LOST to the
 * 64 bits at ADDRESS, where vigil keeps the TSC that it has seen last.
 *
 * On a reboot it tells that bit of every CPU in the log, after everybody else was
 * told of it.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#define MAX_VALUES 64
#define TSC_LOST (1ull << 44) /* hours */

struct state {
	int n;
	const char *name[MAX_VALUES];
	u64 value[MAX_VALUES];
};

static DEFINE_PER_CPU(struct state, states);
static DEFINE_MUTEX(lock);
static bool on_at_online;
static enum cpuhp_state cpuhp;

static const struct {
	const char *name;
	u32 msr;
} msrs[] = {
	{ "EFER", MSR_EFER },
	{ "FEAT_CTL", MSR_IA32_FEAT_CTL },
	{ "VM_HSAVE_PA", MSR_VM_HSAVE_PA },
	{ "VM_CR", MSR_VM_CR },
	{ "TSC_RATIO", 0xc0000104 },
	{ "STAR", MSR_STAR },
	{ "LSTAR", MSR_LSTAR },
	{ "CSTAR", MSR_CSTAR },
	{ "SFMASK", MSR_SYSCALL_MASK },
	{ "SYSENTER_CS", MSR_IA32_SYSENTER_CS },
	{ "SYSENTER_ESP", MSR_IA32_SYSENTER_ESP },
	{ "SYSENTER_EIP", MSR_IA32_SYSENTER_EIP },
	{ "FS_BASE", MSR_FS_BASE },
	{ "GS_BASE", MSR_GS_BASE },
	{ "KERNEL_GS_BASE", MSR_KERNEL_GS_BASE },
	{ "TSC_AUX", MSR_TSC_AUX },
	{ "PAT", MSR_IA32_CR_PAT },
	{ "DEBUGCTL", MSR_IA32_DEBUGCTLMSR },
	{ "XSS", MSR_IA32_XSS },
	{ "SPEC_CTRL", MSR_IA32_SPEC_CTRL },
	{ "APICBASE", MSR_IA32_APICBASE },
	{ "MTRRdefType", MSR_MTRRdefType },
	{ "MISC_ENABLE", MSR_IA32_MISC_ENABLE },
};

static void put(struct state *s, const char *name, u64 value)
{
	s->name[s->n] = name;
	s->value[s->n++] = value;
}

static void put_segments(struct state *s)
{
	struct desc_ptr dt;
	u16 sel;

	native_store_gdt(&dt);
	put(s, "GDT.base", dt.address);
	put(s, "GDT.limit", dt.size);
	store_idt(&dt);
	put(s, "IDT.base", dt.address);
	put(s, "IDT.limit", dt.size);
	store_ldt(sel);
	put(s, "LDTR", sel);
	put(s, "TR", native_store_tr());
#define SEG(reg)                                       \
	do {                                           \
		asm("mov %%" #reg ", %0" : "=r"(sel)); \
		put(s, #reg, sel);                     \
	} while (0)
	SEG(cs);
	SEG(ss);
	SEG(ds);
	SEG(es);
	SEG(fs);
	SEG(gs);
#undef SEG
}

static void put_debug(struct state *s)
{
	unsigned long v;

	get_debugreg(v, 0);
	put(s, "DR0", v);
	get_debugreg(v, 1);
	put(s, "DR1", v);
	get_debugreg(v, 2);
	put(s, "DR2", v);
	get_debugreg(v, 3);
	put(s, "DR3", v);
	get_debugreg(v, 6);
	put(s, "DR6", v);
	get_debugreg(v, 7);
	put(s, "DR7", v);
}

static long take(void *unused)
{
	struct state *s;
	unsigned long flags;
	u64 value;
	int i;

	local_irq_save(flags);
	s = this_cpu_ptr(&states);
	s->n = 0;
	put(s, "CR0", read_cr0());
	put(s, "CR4", __read_cr4());
	if (__read_cr4() & X86_CR4_OSXSAVE)
		put(s, "XCR0", xgetbv(XCR_XFEATURE_ENABLED_MASK));
	put_segments(s);
	put_debug(s);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		if (!rdmsrl_safe(msrs[i].msr, &value))
			put(s, msrs[i].name, value);
	local_irq_restore(flags);
	return 0;
}

static int show(struct seq_file *m, void *unused)
{
	const struct state *s;
	int cpu, i;

	cpus_read_lock();
	mutex_lock(&lock);
	for_each_online_cpu(cpu) {
		work_on_cpu(cpu, take, NULL);
		s = per_cpu_ptr(&states, cpu);
		for (i = 0; i < s->n; i++)
			seq_printf(m, "cpu%d %s %#llx\n", cpu, s->name[i],
				   s->value[i]);
	}
	mutex_unlock(&lock);
	cpus_read_unlock();
	return 0;
}

static bool extension_on(void)
{
	u64 efer;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return __read_cr4() & X86_CR4_VMXE;
	rdmsrl(MSR_EFER, efer);
	return efer & EFER_SVME;
}

static void set_extension(void *on)
{
	u64 efer;

	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		if (on)
			cr4_set_bits(X86_CR4_VMXE);
		else
			cr4_clear_bits(X86_CR4_VMXE);
		return;
	}
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, on ? efer | EFER_SVME : efer & ~(u64)EFER_SVME);
}

/*
 * Clears the breakpoint addresses that a guest has left, while DR7 is off:
 * nobody watches anything in this host. Sets the limit of the IDT, which VMX's
 * exits leave at 64 KiB.
 */
static void after_kvm(void *unused)
{
	struct desc_ptr idt;

	set_debugreg(0, 7);
	set_debugreg(0, 0);
	set_debugreg(0, 1);
	set_debugreg(0, 2);
	set_debugreg(0, 3);
	store_idt(&idt);
	idt.size = IDT_ENTRIES * sizeof(gate_desc) - 1;
	load_idt(&idt);
}

static u64 *tsc_seen; /* NULL: nothing to do */

static int going_online(unsigned int cpu)
{
	if (on_at_online)
		set_extension((void *)1);
	return 0;
}

/* In a suspend, CPUs go offline behind what the devices' drivers have done. */
static int going_offline(unsigned int cpu)
{
	if (tsc_seen)
		*tsc_seen += TSC_LOST;
	tsc_seen = NULL;
	if (on_at_online)
		set_extension(NULL);
	return 0;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open_size(file, show, NULL, 64 * 1024);
}

static ssize_t command(struct file *file, const char __user *user, size_t len,
		       loff_t *pos)
{
	unsigned long func;
	char buf[32];
	int cpu, on;

	if (len >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, user, len))
		return -EFAULT;
	buf[len] = 0;
	if (!strcmp(buf, "kvm")) {
		on_each_cpu(after_kvm, NULL, 1);
		return len;
	}
	if (sscanf(buf, "emergency %lx", &func) == 1) {
		on_each_cpu((smp_call_func_t)func, NULL, 1);
		return len;
	}
	if (sscanf(buf, "tsc %lx", &func) == 1) {
		tsc_seen = (u64 *)func;
		return len;
	}
	if (sscanf(buf, "online %d", &on) == 1) {
		on_at_online = on;
		return len;
	}
	if (sscanf(buf, "extension %d %d", &cpu, &on) != 2 || cpu < 0 ||
	    cpu >= nr_cpu_ids)
		return -EINVAL;
	return smp_call_function_single(cpu, set_extension, on ? (void *)1 : NULL, 1) ?:
		       len;
}

static const struct proc_ops ops = {
	.proc_open = open,
	.proc_read = seq_read,
	.proc_write = command,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static void tell_extension(void *unused)
{
	pr_emerg("hoststate: going down: CPU %d has the extension %s\n",
		 smp_processor_id(), extension_on() ? "on" : "off");
}

static int going_down(struct notifier_block *nb, unsigned long action,
		      void *data)
{
	on_each_cpu(tell_extension, NULL, 1);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = going_down,
	.priority = INT_MIN,
};

static int __init hoststate_init(void)
{
	int ret;

	ret = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
					"test/hoststate:online", going_online,
					going_offline);
	if (ret < 0)
		return ret;
	cpuhp = ret;
	if (proc_create("hoststate", 0600, NULL, &ops))
		return register_reboot_notifier(&reboot_nb);
	cpuhp_remove_state_nocalls(cpuhp);
	return -ENOMEM;
}

static void __exit hoststate_exit(void)
{
	unregister_reboot_notifier(&reboot_nb);
	remove_proc_entry("hoststate", NULL);
	cpuhp_remove_state_nocalls(cpuhp);
}

module_init(hoststate_init);
module_exit(hoststate_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("test-only: state of the host's CPUs");
