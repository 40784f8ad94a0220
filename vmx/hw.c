// SPDX-License-Identifier: GPL-2.0
/* VMX on the host's CPUs: switched on, switched off, as found. Module parameters. */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <asm/desc.h>
#include <asm/perf_event.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>

#include "vmx.h"
#include "shadow/shadow.h"
#include "vmm/pv/pv.h"
#include "vmm/compat.h"
#include "vmm/cpu/switch.h"
#include "vmm/host.h"

#define CPUID_7_EBX_SGX BIT(2)

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);
struct vmx_caps vmx_caps __ro_after_init;
/* The features of the CPU on which vigil was loaded; none of them is hidden. */
static struct vmx_caps found_caps __ro_after_init;
DEFINE_STATIC_KEY_FALSE(vmx_sgx);
DEFINE_STATIC_KEY_FALSE(vmx_split_lock);
DEFINE_STATIC_KEY_FALSE(vmx_pebs);
bool vmx_pebs_isolated __ro_after_init;

const u32 vmx_msr_number[NR_VMX_MSRS] = {
	[VMX_STAR] = MSR_STAR,
	[VMX_LSTAR] = MSR_LSTAR,
	[VMX_CSTAR] = MSR_CSTAR,
	[VMX_SFMASK] = MSR_SYSCALL_MASK,
};

static char *vmx_hide = "";
module_param(vmx_hide, charp, 0444);
MODULE_PARM_DESC(
	vmx_hide,
	"test: optional VMX features to do without: unrestricted,vpid,invvpid,invept,all");

u32 vmx_if0_timer __ro_after_init;
static unsigned int vmx_if0_ticks;
module_param(vmx_if0_ticks, uint, 0444);
MODULE_PARM_DESC(
	vmx_if0_ticks,
	"for Bochs, which holds interrupts back while a guest that was entered with IF=0 keeps it so: leave such a guest after this many TSC ticks (default 0: never)");

int vmx_check(const struct host_reader *rd, const char **why)
{
	return vmx_caps_check(rd, why);
}

static void free_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *vc = per_cpu_ptr(&vmx_cpu, cpu);

		free_page((unsigned long)vc->vmxon);
		vc->vmxon = NULL;
	}
}

/*
 * Every CPU with a PERF_GLOBAL_CTRL has architectural performance monitoring. PEBS
 * that tells of a baseline (Ice Lake and later) keeps its records on their side of
 * entries and exits.
 */
static void setup_pebs(void)
{
	u64 v, caps = 0;

	if (!boot_cpu_has(X86_FEATURE_PEBS) ||
	    !boot_cpu_has(X86_FEATURE_ARCH_PERFMON) ||
	    rdmsrl_safe(MSR_IA32_PEBS_ENABLE, &v) ||
	    rdmsrl_safe(MSR_CORE_PERF_GLOBAL_CTRL, &v))
		return;
	if (boot_cpu_has(X86_FEATURE_PDCM) &&
	    rdmsrl_safe(MSR_IA32_PERF_CAPABILITIES, &caps))
		caps = 0;
	vmx_pebs_isolated = caps & PERF_CAP_PEBS_BASELINE;
	static_branch_enable(&vmx_pebs);
}

int vmx_hw_setup(void)
{
	struct page *page;
	int cpu, ret;

	/*
	 * vmx_handle_exit_irqoff() hands NMIs over by INT 2, which such a kernel
	 * takes for a fault of its own.
	 */
	if (compat_host_fred()) {
		pr_err("cannot run on this kernel: vmx: it takes events by FRED; boot it with fred=off\n");
		return -EOPNOTSUPP;
	}
	vmx_caps_read(&host_reader_native, &found_caps);
	vmx_caps = found_caps;
	ret = vmx_caps_hide(&vmx_caps, vmx_hide);
	if (ret) {
		pr_err("vmx_hide=%s: unknown name; unrestricted, vpid, invvpid, invept or all\n",
		       vmx_hide);
		return ret;
	}
	if (vmx_if0_ticks && !vmx_caps.preemption_timer) {
		pr_err("vmx_if0_ticks: this CPU has no VMX-preemption timer\n");
		return -EOPNOTSUPP;
	}
	if (vmx_if0_ticks)
		vmx_if0_timer = (vmx_if0_ticks >> vmx_caps.timer_shift) + 1;
	for_each_possible_cpu(cpu) {
		struct vmx_cpu *vc = per_cpu_ptr(&vmx_cpu, cpu);

		INIT_LIST_HEAD(&vc->active);
		page = alloc_pages_node(cpu_to_node(cpu),
					GFP_KERNEL | __GFP_ZERO, 0);
		if (!page)
			goto nomem;
		vc->vmxon = page_address(page);
		vc->vmxon->revision = vmx_caps.revision;
	}
	ret = vmx_maps_alloc();
	if (ret)
		goto nomem;
	shadow_direct_ept = vmx_caps.unrestricted;
	pv_no_tables = !vmx_caps.tables;
	setup_pebs();
	/* The CPU itself is asked, since the kernel may have no use for SGX. */
	if (boot_cpu_data.cpuid_level >= 7 && (cpuid_ebx(7) & CPUID_7_EBX_SGX))
		static_branch_enable(&vmx_sgx);
	if (boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT))
		static_branch_enable(&vmx_split_lock);
	return 0;
nomem:
	free_cpus();
	return -ENOMEM;
}

void vmx_hw_unsetup(void)
{
	vmx_maps_free();
	free_cpus();
}

/* Does somebody else own this CPU's extension? IRQs off. */
static bool vmx_hw_owned(void)
{
	return __read_cr4() & X86_CR4_VMXE;
}

/* SDM volume 3, "Guidelines for Use of the INVVPID Instruction" */
static void forget_translations(void)
{
	if (vmx_caps.vpid)
		vmx_invvpid(INVVPID_ALL, 0, 0);
	if (vmx_caps.unrestricted)
		vmx_invept(INVEPT_ALL, 0);
}

/* selftests/models/vmcs.pml explores this */
int vmx_hw_enable(void)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	int i;

	if (vmx_hw_owned())
		return -EBUSY;
	if (!vmx_caps_same(&host_reader_native, &found_caps))
		return -EOPNOTSUPP;
	/* Some CPUs require Processor Trace to be off in VMX operation. */
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	/* CR4.VMXE was clear, and still somebody is in VMX operation. */
	if (vmx_vmxon(__pa(vc->vmxon))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return -EBUSY;
	}
	forget_translations();
	native_store_gdt(&vc->gdt);
	store_idt(&vc->idt);
	for (i = 0; i < NR_VMX_MSRS; i++) {
		rdmsrl(vmx_msr_number[i], vc->host_msr[i]);
		vc->msr[i] = vc->host_msr[i];
	}
	switch_init(&vc->sw);
	vc->current_vmcs = NULL;
	return 0;
}

/* selftests/models/vmcs.pml explores this */
void vmx_hw_disable(void)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *vmx, *next;

	list_for_each_entry_safe(vmx, next, &vc->active, link)
		vmx_deactivate_here(vmx);
	vmx_vmxoff();
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
	/*
	 * A VM exit sets the limits of GDT and IDT to 64 KiB. Each vcpu_put()
	 * restores the GDT's, so only the IDT's is left.
	 */
	load_idt(&vc->idt);
}

void vmx_hw_emergency(void)
{
	if (!vmx_hw_owned())
		return;
	vmx_vmxoff();
	cr4_clear_bits(X86_CR4_VMXE);
}
