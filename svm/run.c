// SPDX-License-Identifier: GPL-2.0
/* A vCPU on a CPU: load, put, enter; TLB flushes; the table of operations. */
#include <linux/mem_encrypt.h>
#include <linux/smp.h>
#include <trace/events/ipi.h> /* smp_send_reschedule() */
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>

#include "insn.h"
#include "svm.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/regs.h"
#include "vmm/cpu/switch.h"

static void svm_vcpu_load(struct vigil_vcpu *vcpu, int cpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);

	if (unlikely(svm->cpu != cpu)) {
		svm->cpu = cpu;
		/*
		 * The ASID tags entries of the former CPU's TLB, and only that
		 * CPU has cached fields of the VMCB: take a new ASID here and
		 * have all fields loaded.
		 */
		svm->asid_generation = 0;
		svm->vmcb->control.clean = 0;
	}
	switch_load(vcpu, &sc->sw);
}

static void svm_vcpu_put(struct vigil_vcpu *vcpu)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);

	to_svm(vcpu)->host_loaded = false;
	switch_put_tsc_aux(vcpu, &sc->sw);
	switch_put_dr(vcpu);
}

/*
 * At the first entry since vcpu_load(), saves the host state that VMRUN does
 * not switch. It stays the same until this thread leaves the kernel or the CPU.
 */
static noinline void save_host(struct vigil_vcpu *vcpu, struct svm_cpu *sc)
{
	svm_vmsave(sc->save_pa);
	vcpu->stat.vmload++;
	store_ldt(sc->ldt);
	to_svm(vcpu)->host_loaded = true;
}

/* Makes the next VMRUN use no translation that was cached before it. */
static noinline void flush(struct vigil_vcpu *vcpu, struct svm_cpu *sc)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (svm->asid_generation != sc->generation) {
		/*
		 * svm_hw_enable() begins a new generation too, after hotplug or
		 * suspend. Nothing says that the CPU still has the VMCB fields
		 * that it cached before that: have all of them loaded.
		 */
		svm->vmcb->control.clean = 0;
		svm_new_asid(svm, sc);
	} else if (svm_caps.flush_by_asid) {
		svm->vmcb->control.tlb_control = TLB_CTL_FLUSH_ASID;
	} else {
		svm_new_asid(svm, sc);
	}
	svm->flush = false;
	vcpu->stat.tlb_flushes++;
#ifdef VIGIL_DEBUG
	shadow_audit_flushed(vcpu);
#endif
}

/*
 * Sets TF for one instruction. An injected event would push TF with its frame:
 * in that case a self-sent interrupt ends the entry right behind the delivery.
 */
static noinline void begin_step(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	/*
	 * The CPU delivers the virtual interrupt (V_IRQ) before the next
	 * instruction, and would push TF with its frame. Give the step up:
	 * after the next exit, whatever it is for, svm_event_exit() has the
	 * pending NMI looked at again.
	 */
	if (unlikely(svm->virq)) {
		svm->stepping = false;
		return;
	}
	svm->step_tf = vcpu->rflags & X86_EFLAGS_TF;
	if (svm->injected)
		smp_send_reschedule(smp_processor_id());
	else
		svm->vmcb->save.rflags |= X86_EFLAGS_TF;
}

static noinstr void svm_run(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	struct vmcb *vmcb = svm->vmcb;
	struct vmcb_control *ctl = &vmcb->control;
	struct vmcb_save *save = &vmcb->save;
	u16 ldt;

	instrumentation_begin();
	if (unlikely(!svm->host_loaded))
		save_host(vcpu, sc);
	if (unlikely(svm->flush || svm->asid_generation != sc->generation))
		flush(vcpu, sc);
	if (svm->has_tsc_aux)
		switch_enter_tsc_aux(vcpu, &sc->sw);
	if (unlikely((ctl->int_control & V_TPR) != vcpu->cr8)) {
		ctl->int_control = (ctl->int_control & ~V_TPR) |
				   (vcpu->cr8 & V_TPR);
		vmcb_dirty(vmcb, CLEAN_TPR);
	}
	if (save->cr2 != vcpu->cr2) {
		save->cr2 = vcpu->cr2;
		vmcb_dirty(vmcb, CLEAN_CR2);
	}
	save->rax = vcpu->regs[REG_RAX];
	save->rsp = vcpu->regs[REG_RSP];
	save->rip = vcpu->rip;
	save->rflags = vcpu->rflags;

	svm->injected = ctl->event_inj;
	if (unlikely(svm->stepping))
		begin_step(vcpu);
	switch_enter_dr(vcpu);
	/*
	 * The host's LDT is read with interrupts off: modify_ldt() of another
	 * thread changes it by an interrupt to this CPU.
	 */
	store_ldt(ldt);
	amd_clear_divider();

	switch_to_guest();
	svm_enter(vcpu->regs, svm->vmcb_pa, sc->save_pa);
	switch_to_host();

	if (unlikely(ldt | sc->ldt))
		asm volatile("lldt %0" : : "rm"(ldt));
	switch_leave_dr(vcpu);
	if (unlikely(save->dr6 != DR6_NONE))
		set_debugreg(DR6_NONE, 6);

	vcpu->regs[REG_RAX] = save->rax;
	vcpu->regs[REG_RSP] = save->rsp;
	vcpu->rip = save->rip;
	vcpu->rflags = save->rflags;
	vcpu->cr2 = save->cr2;
	vcpu->stat.vmload += 3;

	ctl->tlb_control = TLB_CTL_NOTHING;
	ctl->event_inj = 0;
	ctl->clean = svm_clean_all;
	if (((svm->injected | ctl->exit_int_info) & EVT_VALID) || svm->virq)
		svm_event_exit(vcpu);
	if (unlikely(svm->stepping || svm->await_iret))
		svm_nmi_progress(vcpu);
	instrumentation_end();
}

static void svm_set_root(struct vigil_vcpu *vcpu, hpa_t root)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	/*
	 * Outside long mode CR3 is a 32-bit address of a PAE root: it has no
	 * room for the encryption bit.
	 */
	u64 cr3 = is_long_mode(vcpu) ? __sme_set(root) : root;

	if (vmcb->save.cr3 == cr3)
		return;
	vmcb->save.cr3 = cr3;
	vmcb_dirty(vmcb, CLEAN_CR);
	vcpu->stat.root_switches++;
}

static void svm_flush_tlb(struct vigil_vcpu *vcpu)
{
	to_svm(vcpu)->flush = true;
}

static void svm_flush_gva(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	preempt_disable();
	/*
	 * If the ASID is another CPU's or of an older generation, the next
	 * entry takes a new one: nothing has to be flushed for it here.
	 */
	if (svm->cpu == smp_processor_id() &&
	    svm->asid_generation == this_cpu_read(svm_cpu.generation))
		svm_invlpga(gva, svm->asid);
	preempt_enable();
}

/* clang-format off */
const struct vmm_ops svm_ops = {
	.name			= "svm",
	.owned_what		= "EFER.SVME is already set",
	.kvm_module		= "kvm_amd",
	.check			= svm_check,
	.hw_setup		= svm_hw_setup,
	.hw_unsetup		= svm_hw_unsetup,
	.hw_enable		= svm_hw_enable,
	.hw_disable		= svm_hw_disable,
	.hw_emergency		= svm_hw_emergency,
	.vm_init		= svm_vm_init,
	.vm_destroy		= svm_vm_destroy,
	.vcpu_create		= svm_vcpu_create,
	.vcpu_destroy		= svm_vcpu_destroy,
	.vcpu_reset		= svm_vcpu_reset,
	.vcpu_load		= svm_vcpu_load,
	.vcpu_put		= svm_vcpu_put,
	.get_segment		= svm_get_segment,
	.set_segment		= svm_set_segment,
	.flat_segment		= svm_flat_segment,
	.get_seg_base		= svm_get_seg_base,
	.get_cpl		= svm_get_cpl,
	.code_bits		= svm_code_bits,
	.get_idt		= svm_get_idt,
	.set_idt		= svm_set_idt,
	.get_gdt		= svm_get_gdt,
	.set_gdt		= svm_set_gdt,
	.update_cr0		= svm_update_modes,
	.update_cr4		= svm_update_modes,
	.update_efer		= svm_update_modes,
	.update_dr7		= svm_update_dr7,
	.update_cpuid		= svm_update_cpuid,
	.get_msr		= svm_get_msr,
	.set_msr		= svm_set_msr,
	.update_pv		= svm_update_pv,
	.update_controls	= svm_update_controls,
	.update_msr_map		= svm_update_msr_map,
	.set_tsc_offset		= svm_set_tsc_offset,
	.run			= svm_run,
	.handle_exit		= svm_handle_exit,
	.handle_exit_irqoff	= svm_handle_exit_irqoff,
	.entry_problem		= svm_entry_problem,
	.inject_exception	= svm_inject_exception,
	.inject_irq		= svm_inject_irq,
	.inject_nmi		= svm_inject_nmi,
	.cancel_injection	= svm_cancel_injection,
	.irq_shadow		= svm_irq_shadow,
	.set_irq_shadow		= svm_set_irq_shadow,
	.irq_window		= svm_irq_window,
	.nmi_window		= svm_nmi_window,
	.mask_nmi		= svm_mask_nmi,
	.set_root		= svm_set_root,
	.flush_tlb		= svm_flush_tlb,
	.flush_gva		= svm_flush_gva,
};
/* clang-format on */
