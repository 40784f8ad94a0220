// SPDX-License-Identifier: GPL-2.0
/* A vCPU on a CPU: load, put, enter; TLB flushes; the table of operations. */
#include <linux/jump_label.h>
#include <linux/smp.h>
#include <asm/debugreg.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "vmx.h"
#include "shadow/shadow.h"
#include "vmm/cpu/inject.h"
#include "vmm/cpu/regs.h"
#include "vmm/cpu/switch.h"

/*
 * Writes the host state that differs from CPU to CPU: the VMCS has that of the
 * CPU where it was last loaded, or none.
 */
static noinline void set_host_cpu(struct vmx_vcpu *vmx, int cpu)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	u64 v;

	vmx->host.cr0 = read_cr0();
	vmcs_writel(HOST_CR0, vmx->host.cr0);
	vmcs_writel(HOST_TR_BASE,
		    (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_writel(HOST_GDTR_BASE, vc->gdt.address);
	vmcs_writel(HOST_IDTR_BASE, vc->idt.address);
	rdmsrl(MSR_GS_BASE, v);
	vmcs_writel(HOST_GS_BASE, v);
	rdmsrl(MSR_IA32_SYSENTER_CS, v);
	vmcs_write32(HOST_SYSENTER_CS, v);
	rdmsrl(MSR_IA32_SYSENTER_ESP, v);
	vmcs_writel(HOST_SYSENTER_ESP, v);
	rdmsrl(MSR_IA32_SYSENTER_EIP, v);
	vmcs_writel(HOST_SYSENTER_EIP, v);
	vmx->cpu = cpu;
	/*
	 * Stale entries of an earlier visit may be tagged with this VPID: flush
	 * before the entry.
	 */
	vmx->flush = true;
}

/* selftests/models/vmcs.pml explores this */
static noinline void activate(struct vmx_vcpu *vmx, int cpu)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	unsigned long flags;

	vmx_deactivate(vmx);
	local_irq_save(flags);
	/* VMCLEAR also initialises a page that has never been a VMCS. */
	vmx_vmclear(vmx->vmcs_pa);
	vmx->vmcs_cpu = cpu;
	list_add(&vmx->link, &vc->active);
	local_irq_restore(flags);
}

/* selftests/models/vmcs.pml explores this */
static void vmx_vcpu_load(struct vigil_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);

	if (unlikely(READ_ONCE(vmx->vmcs_cpu) != cpu))
		activate(vmx, cpu);
	if (unlikely(vc->current_vmcs != vmx)) {
		vmx_vmptrld(vmx->vmcs_pa);
		vc->current_vmcs = vmx;
	}
	if (unlikely(vmx->cpu != cpu))
		set_host_cpu(vmx, cpu);
	switch_load(vcpu, &vc->sw);
}

static void put_segments(struct vmx_vcpu *vmx)
{
	/*
	 * HOST_*_SELECTOR cannot hold a selector with RPL 3 or of the LDT, so
	 * the host's user selectors are loaded here.
	 */
	if (unlikely(vmx->host.vmcs_fs != vmx->host.fs)) {
		loadsegment(fs, vmx->host.fs);
		wrmsrl(MSR_FS_BASE, vmx->host.fs_base);
	}
	if (unlikely(vmx->host.vmcs_gs != vmx->host.gs))
		load_gs_index(vmx->host.gs);
	if (unlikely(vmx->host.ds | vmx->host.es)) {
		loadsegment(ds, vmx->host.ds);
		loadsegment(es, vmx->host.es);
	}
}

static void put_msrs(struct vigil_vcpu *vcpu, struct vmx_cpu *vc)
{
	int i;

	for (i = 0; i < NR_VMX_MSRS; i++) {
		if (vc->msr[i] == vc->host_msr[i])
			continue;
		wrmsrl(vmx_msr_number[i], vc->host_msr[i]);
		vc->msr[i] = vc->host_msr[i];
		vcpu->stat.msr_writes++;
	}
	switch_put_tsc_aux(vcpu, &vc->sw);
}

static void vmx_vcpu_put(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);

	switch_put_dr(vcpu);
	if (!vmx->host_loaded)
		return;
	vmx->host_loaded = false;
	vmx->msrs_loaded = false;
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	put_segments(vmx);
	/*
	 * KERNEL_GS_BASE is written last: loading the GS selector changes it.
	 */
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->host.kernel_gs_base);
	vcpu->stat.msr_writes++;
	put_msrs(vcpu, vc);
	/*
	 * A VM exit sets the GDT's limit to 64 KiB and the TSS's to 0x67, which
	 * cuts off the I/O bitmap: restore the one, and have the other restored
	 * when a task needs it.
	 */
	native_load_gdt(&vc->gdt);
	invalidate_tss_limit();
}

/*
 * The host selectors of a VMCS must have RPL 0 and be of the GDT: all others
 * become null.
 */
static u16 host_selector(u16 sel)
{
	return sel & 7 ? 0 : sel;
}

static void save_segments(struct vmx_vcpu *vmx)
{
	u16 sel;

	savesegment(fs, vmx->host.fs);
	savesegment(gs, vmx->host.gs);
	savesegment(ds, vmx->host.ds);
	savesegment(es, vmx->host.es);
	rdmsrl(MSR_FS_BASE, vmx->host.fs_base);

	sel = host_selector(vmx->host.fs);
	if (sel != vmx->host.vmcs_fs)
		vmcs_write16(HOST_FS_SELECTOR, sel);
	vmx->host.vmcs_fs = sel;
	sel = host_selector(vmx->host.gs);
	if (sel != vmx->host.vmcs_gs)
		vmcs_write16(HOST_GS_SELECTOR, sel);
	vmx->host.vmcs_gs = sel;
	if (vmx->host.fs_base != vmx->host.vmcs_fs_base)
		vmcs_writel(HOST_FS_BASE, vmx->host.fs_base);
	vmx->host.vmcs_fs_base = vmx->host.fs_base;
}

static noinline void load_msrs(struct vigil_vcpu *vcpu, struct vmx_cpu *vc)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	int i;

	vmx->msrs_loaded = true;
	/*
	 * Outside long mode, or without EFER.SCE, the guest cannot use SYSCALL:
	 * its MSRs are not needed.
	 */
	if (!is_long_mode(vcpu) || !(vcpu->efer & EFER_SCE))
		return;
	for (i = 0; i < NR_VMX_MSRS; i++) {
		if (vc->msr[i] == vmx->msr[i])
			continue;
		wrmsrl(vmx_msr_number[i], vmx->msr[i]);
		vc->msr[i] = vmx->msr[i];
		vcpu->stat.msr_writes++;
	}
}

/*
 * At the first entry since vcpu_load(), saves the host state that entries and
 * exits do not switch. It stays the same until this thread leaves the kernel or
 * the CPU.
 */
static noinline void save_host(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	save_segments(vmx);
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->host.kernel_gs_base);
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	vcpu->stat.msr_writes++;
	vmx->host_loaded = true;
}

/* Makes the next entry use no translation that was cached before it. */
static noinline void flush(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	/*
	 * Without a VPID, each entry and exit flushes the linear translations
	 * by itself.
	 */
	if (vmx->vpid)
		vmx_invvpid(vmx_caps.invvpid_single ? INVVPID_SINGLE :
						      INVVPID_ALL,
			    vmx->vpid, 0);
	if (vmx->on_ept)
		vmx_invept(vmx_caps.invept_single ? INVEPT_SINGLE : INVEPT_ALL,
			   vmx->eptp);
	vmx->flush = false;
	vcpu->stat.tlb_flushes++;
#ifdef VIGIL_DEBUG
	shadow_audit_flushed(vcpu);
#endif
}

static __always_inline void write_guest(struct vigil_vcpu *vcpu,
					struct vmx_vcpu *vmx)
{
	if (vcpu->rip != vmx->rip)
		vmcs_writel(GUEST_RIP, vcpu->rip);
	if (vcpu->regs[REG_RSP] != vmx->rsp)
		vmcs_writel(GUEST_RSP, vcpu->regs[REG_RSP]);
	if (vcpu->rflags != vmx->rflags)
		vmcs_writel(GUEST_RFLAGS, vcpu->rflags);
	/*
	 * The host's CR3 and CR4 may have changed since the last entry (another
	 * mm, another feature): the VMCS follows.
	 */
	if (unlikely(__read_cr3() != vmx->host.cr3)) {
		vmx->host.cr3 = __read_cr3();
		vmcs_writel(HOST_CR3, vmx->host.cr3);
	}
	if (unlikely(__read_cr4() != vmx->host.cr4)) {
		vmx->host.cr4 = __read_cr4();
		vmcs_writel(HOST_CR4, vmx->host.cr4);
	}
}

static __always_inline void read_guest(struct vigil_vcpu *vcpu,
				       struct vmx_vcpu *vmx)
{
	vmx->rip = vcpu->rip = vmcs_readl(GUEST_RIP);
	vmx->rsp = vcpu->regs[REG_RSP] = vmcs_readl(GUEST_RSP);
	vmx->rflags = vcpu->rflags = vmcs_readl(GUEST_RFLAGS);
}

/*
 * Switches the preemption timer for module parameter vmx_if0_ticks. It starts
 * anew with each entry.
 */
static noinline void set_if0_timer(struct vmx_vcpu *vmx, bool on)
{
	u32 ctl = on ? vmx->pin_ctl | PIN_PREEMPTION_TIMER :
		       vmx->pin_ctl & ~PIN_PREEMPTION_TIMER;

	if (ctl == vmx->pin_ctl)
		return;
	vmx->pin_ctl = ctl;
	vmcs_write32(PIN_BASED_CONTROLS, ctl);
}

/*
 * The host samples by PEBS: the CPU writes its records to a linear address, which
 * would be one of the guest's. So the counters that do it stand still until
 * pebs_start(): one that only lost PEBS_ENABLE would overflow and not be loaded
 * again. CPUs without vmx_pebs_isolated may write a record of before the entry
 * after it, unless PEBS_ENABLE is 0. An NMI of such a counter has come by the
 * second look at PEBS_ENABLE, which its handler may have changed. IRQs off.
 */
static noinline void pebs_stop(struct vmx_cpu *vc)
{
	rdmsrl(MSR_CORE_PERF_GLOBAL_CTRL, vc->perf_global_ctrl);
	wrmsrl(MSR_CORE_PERF_GLOBAL_CTRL,
	       vc->perf_global_ctrl & ~vc->pebs_enable);
	if (vmx_pebs_isolated)
		return;
	rdmsrl(MSR_IA32_PEBS_ENABLE, vc->pebs_enable);
	wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
}

static noinline void pebs_start(struct vmx_cpu *vc)
{
	if (!vmx_pebs_isolated)
		wrmsrl(MSR_IA32_PEBS_ENABLE, vc->pebs_enable);
	wrmsrl(MSR_CORE_PERF_GLOBAL_CTRL, vc->perf_global_ctrl);
}

/* The guest runs between the two: IRQs off. */
static __always_inline void pebs_enter(struct vmx_cpu *vc)
{
	if (!static_branch_unlikely(&vmx_pebs))
		return;
	vc->pebs_enable = __rdmsr(MSR_IA32_PEBS_ENABLE);
	vc->pebs_stopped = vc->pebs_enable;
	if (unlikely(vc->pebs_stopped))
		pebs_stop(vc);
}

static __always_inline void pebs_leave(struct vmx_cpu *vc)
{
	if (static_branch_unlikely(&vmx_pebs) && unlikely(vc->pebs_stopped))
		pebs_start(vc);
}

/*
 * A core has one TEST_CTRL for all its threads: another one may set it again
 * meanwhile, and the guest's next split lock comes here once more. IRQs off.
 */
static noinline void split_lock_allow(struct vmx_cpu *vc)
{
	rdmsrl(MSR_TEST_CTRL, vc->test_ctrl);
	if (vc->test_ctrl & MSR_TEST_CTRL_SPLIT_LOCK_DETECT)
		wrmsrl(MSR_TEST_CTRL,
		       vc->test_ctrl & ~MSR_TEST_CTRL_SPLIT_LOCK_DETECT);
}

static noinline void split_lock_detect(struct vmx_cpu *vc)
{
	if (vc->test_ctrl & MSR_TEST_CTRL_SPLIT_LOCK_DETECT)
		wrmsrl(MSR_TEST_CTRL, vc->test_ctrl);
}

/* selftests/models/vmcs.pml explores this */
static noinstr void vmx_run(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);
	unsigned long debugctl;
	u16 ldt;

	instrumentation_begin();
	/*
	 * Real mode needs EPT. Without it an entry would run the guest in
	 * another mode, so it is refused here as the CPU would.
	 */
	if (unlikely(!is_protmode(vcpu) && !vmx->on_ept)) {
		vmx->failed = false;
		vmx->exit_reason = EXIT_ENTRY_FAILED | EXIT_INVALID_GUEST;
		goto out;
	}
	if (unlikely(!vmx->host_loaded))
		save_host(vcpu);
	if (unlikely(!vmx->msrs_loaded))
		load_msrs(vcpu, vc);
	if (unlikely(vmx->flush))
		flush(vcpu);
	if (vmx->has_tsc_aux)
		switch_enter_tsc_aux(vcpu, &vc->sw);
	write_guest(vcpu, vmx);
	vmx_event_enter(vcpu);
	if (unlikely(vmx_if0_timer))
		set_if0_timer(vmx, !(vcpu->rflags & X86_EFLAGS_IF));
	switch_enter_dr(vcpu);
	/*
	 * The host's LDT is read with interrupts off: modify_ldt() of another
	 * thread changes it by an interrupt to this CPU.
	 */
	store_ldt(ldt);
	/*
	 * An exit clears DEBUGCTL. It is read with interrupts off too: perf
	 * changes it by an interrupt to this CPU.
	 */
	debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	if (native_read_cr2() != vcpu->cr2)
		native_write_cr2(vcpu->cr2);
	pebs_enter(vc);
	if (static_branch_unlikely(&vmx_split_lock) && vmx->split_locks)
		split_lock_allow(vc);

	switch_to_guest();
	vmx->failed = vmx_enter(vcpu->regs, &vmx->host_rsp, vmx->launched);
	vcpu->cr2 = native_read_cr2();
	switch_to_host();

	if (static_branch_unlikely(&vmx_split_lock) && vmx->split_locks)
		split_lock_detect(vc);
	pebs_leave(vc);
	if (unlikely(ldt))
		asm volatile("lldt %0" : : "rm"(ldt));
	if (unlikely(debugctl))
		update_debugctlmsr(debugctl);
	switch_leave_dr(vcpu);
	if (unlikely(vmx->failed)) {
		event_cancel(vcpu);
		goto out;
	}
	vmx->cached = 0;
	vmx->exit_reason = vmcs_read32(EXIT_REASON);
	read_guest(vcpu, vmx);
	if (unlikely(vmx->exit_reason & EXIT_ENTRY_FAILED)) {
		event_cancel(vcpu);
		goto out;
	}
	vmx->launched = true;
	if (unlikely(vmx->tables))
		vmx_repair_ss(vmx);
	vmx_event_exit(vcpu);
out:
	instrumentation_end();
}

static void vmx_set_root(struct vigil_vcpu *vcpu, hpa_t root)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx->on_ept) {
		root |= EPTP_WB | EPTP_WALK_4;
		if (vmx->eptp == root)
			return;
		vmx->eptp = root;
		vmcs_write64(EPT_POINTER, root);
	} else {
		if (vmx->cr3 == root)
			return;
		vmx->cr3 = root;
		vmcs_writel(GUEST_CR3, root);
	}
	vcpu->stat.root_switches++;
}

static void vmx_flush_tlb(struct vigil_vcpu *vcpu)
{
	to_vmx(vcpu)->flush = true;
}

static void vmx_flush_gva(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	preempt_disable();
	if (vmx->on_ept || (vmx->vpid && !vmx_caps.invvpid_address))
		vmx->flush = true;
	/*
	 * Another CPU's TLB needs no flush now: set_host_cpu() flushes when the
	 * vCPU is loaded there.
	 */
	else if (vmx->vpid && vmx->cpu == smp_processor_id())
		vmx_invvpid(INVVPID_ADDRESS, vmx->vpid, gva);
	preempt_enable();
}

/* clang-format off */
const struct vmm_ops vmx_ops = {
	.name			= "vmx",
	.owned_what		= "CR4.VMXE is already set",
	.kvm_module		= "kvm_intel",
	.check			= vmx_check,
	.hw_setup		= vmx_hw_setup,
	.hw_unsetup		= vmx_hw_unsetup,
	.hw_enable		= vmx_hw_enable,
	.hw_disable		= vmx_hw_disable,
	.hw_emergency		= vmx_hw_emergency,
	.vm_init		= vmx_vm_init,
	.vm_destroy		= vmx_vm_destroy,
	.vcpu_create		= vmx_vcpu_create,
	.vcpu_destroy		= vmx_vcpu_destroy,
	.vcpu_reset		= vmx_vcpu_reset,
	.vcpu_load		= vmx_vcpu_load,
	.vcpu_put		= vmx_vcpu_put,
	.get_segment		= vmx_get_segment,
	.set_segment		= vmx_set_segment,
	.flat_segment		= vmx_flat_segment,
	.get_seg_base		= vmx_get_seg_base,
	.get_cpl		= vmx_get_cpl,
	.code_bits		= vmx_code_bits,
	.get_idt		= vmx_get_idt,
	.set_idt		= vmx_set_idt,
	.get_gdt		= vmx_get_gdt,
	.set_gdt		= vmx_set_gdt,
	.update_cr0		= vmx_update_modes,
	.update_cr4		= vmx_update_modes,
	.update_efer		= vmx_update_modes,
	.update_dr7		= vmx_update_dr7,
	.update_cpuid		= vmx_update_cpuid,
	.get_msr		= vmx_get_msr,
	.set_msr		= vmx_set_msr,
	.update_pv		= vmx_update_pv,
	.update_controls	= vmx_update_controls,
	.update_msr_map		= vmx_update_msr_map,
	.set_tsc_offset		= vmx_set_tsc_offset,
	.run			= vmx_run,
	.handle_exit		= vmx_handle_exit,
	.handle_exit_irqoff	= vmx_handle_exit_irqoff,
	.entry_problem		= vmx_entry_problem,
	.inject_exception	= vmx_inject_exception,
	.inject_irq		= vmx_inject_irq,
	.inject_nmi		= vmx_inject_nmi,
	.cancel_injection	= vmx_cancel_injection,
	.irq_shadow		= vmx_irq_shadow,
	.set_irq_shadow		= vmx_set_irq_shadow,
	.hold_db		= vmx_hold_db,
	.take_held_db		= vmx_take_held_db,
	.irq_window		= vmx_irq_window,
	.nmi_window		= vmx_nmi_window,
	.mask_nmi		= vmx_mask_nmi,
	.set_root		= vmx_set_root,
	.flush_tlb		= vmx_flush_tlb,
	.flush_gva		= vmx_flush_gva,
};
/* clang-format on */
