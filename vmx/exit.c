// SPDX-License-Identifier: GPL-2.0
/*
 * Exits: what happened, from EXIT_REASON and the fields that go with it. What is
 * to be done about it, the core decides.
 */
#include <linux/jump_label.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <asm/processor-flags.h>

#include "vmx.h"
#include "vmm/cpu/inject.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/io.h"
#include "vmm/exit/task.h"
#include "vmm/host.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"

#define DR6_REASONS 0x600ful /* B0-B3, BD, BS: as in the qualification */

static unsigned int insn_len(void)
{
	return vmcs_read32(EXIT_INSTRUCTION_LEN);
}

/* ---- instructions ---- */

static int on_cpuid(struct vigil_vcpu *vcpu)
{
	return exit_cpuid(vcpu, insn_len());
}

static int on_rdmsr(struct vigil_vcpu *vcpu)
{
	return exit_rdmsr(vcpu, insn_len());
}

static int on_wrmsr(struct vigil_vcpu *vcpu)
{
	return exit_wrmsr(vcpu, insn_len());
}

static int on_io(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_readl(EXIT_QUALIFICATION);
	struct exit_io io = {
		.port = info >> IO_PORT_SHIFT,
		.size = (info & IO_SIZE) + 1,
		.in = info & IO_IN,
		.string = info & IO_STRING,
		.next_rip = vcpu->rip + insn_len(),
	};

	if (vmx_code_bits(vcpu) != 64)
		io.next_rip = (u32)io.next_rip;
	return exit_io(vcpu, &io);
}

static int on_hlt(struct vigil_vcpu *vcpu)
{
	return exit_hlt(vcpu, insn_len());
}

static int on_vmcall(struct vigil_vcpu *vcpu)
{
	return exit_hypercall(vcpu, insn_len());
}

static int on_xsetbv(struct vigil_vcpu *vcpu)
{
	return exit_xsetbv(vcpu, insn_len());
}

/*
 * INVD and WBINVD are skipped: guest memory is coherent, whatever the guest
 * does with its caches.
 */
static int on_cache(struct vigil_vcpu *vcpu)
{
	exit_skip(vcpu, insn_len());
	return 1;
}

/* The guest has no performance counter, so RDPMC raises #GP. */
static int on_rdpmc(struct vigil_vcpu *vcpu)
{
	event_gp(vcpu);
	return 1;
}

static int on_cr(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_readl(EXIT_QUALIFICATION);
	int cr = info & CR_NUMBER, reg = (info >> CR_GPR_SHIFT) & CR_GPR;

	switch (info & CR_ACCESS) {
	case CR_ACCESS_TO:
		return exit_mov_to_cr(vcpu, cr, reg, insn_len());
	case CR_ACCESS_FROM:
		return exit_mov_from_cr(vcpu, cr, reg, insn_len());
	default: /* CLTS, LMSW */
		return exit_machine_word(vcpu);
	}
}

static int on_dr(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_readl(EXIT_QUALIFICATION);

	/* The CPU exits for MOV DR before it checks the CPL: do that here. */
	if (vmx_get_cpl(vcpu) > pv_kernel_ring(vcpu)) {
		event_gp(vcpu);
		return 1;
	}
	return exit_mov_dr(vcpu, info & DR_NUMBER,
			   (info >> CR_GPR_SHIFT) & CR_GPR, !(info & DR_FROM),
			   insn_len());
}

static int on_invlpg(struct vigil_vcpu *vcpu)
{
	return exit_invlpg(vcpu, vmcs_readl(EXIT_QUALIFICATION), insn_len());
}

/* ---- exceptions and events ---- */

static int on_page_fault(struct vigil_vcpu *vcpu)
{
	gva_t gva = vmcs_readl(EXIT_QUALIFICATION);
	u32 error_code = vmcs_read32(EXIT_INTERRUPTION_ERROR_CODE);

	/*
	 * ENCLU cannot be intercepted. An access by it to what is no enclave's
	 * page is refused whatever the page tables say: the guest is told, since
	 * it would fault for ever if it executed the instruction again.
	 */
	if (static_branch_unlikely(&vmx_sgx) && (error_code & PFERR_SGX)) {
		vcpu->stat.exits_page_fault++;
		event_page_fault(vcpu, gva, error_code);
		return 1;
	}
	return exit_page_fault(vcpu, gva, error_code);
}

/*
 * The exit comes before the delivery: a #DB that its own delivery raises again
 * exits each time instead of looping in the CPU. The emulator delivers the #DB of
 * ICEBP: a fault of that delivery has the instruction's own RIP, its handler's frame
 * that of the next one.
 */
static int on_debug(struct vigil_vcpu *vcpu, u32 info)
{
	vcpu->stat.exits_exception++;
	if ((info & INFO_TYPE) == INFO_TYPE_PRIV_EXCEPTION)
		return exit_int1(vcpu);
	event_db(vcpu, vmcs_readl(EXIT_QUALIFICATION) & DR6_REASONS);
	return 1;
}

/*
 * A #AC that CR0.AM and RFLAGS.AC did not ask for: the host traps split locks,
 * which the guest knows nothing of. It executes the instruction again, with the
 * detection off in this vCPU's entries from now on.
 */
static bool is_split_lock(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!static_branch_unlikely(&vmx_split_lock) ||
	    (vmx_get_cpl(vcpu) == 3 && (vcpu->cr0 & X86_CR0_AM) &&
	     (vcpu->rflags & X86_EFLAGS_AC)))
		return false;
	if (!vmx->split_locks)
		pr_warn_ratelimited(
			"%s/%d: vCPU %u does split locks, at %lx: they are let through, and slow down the whole machine\n",
			current->comm, task_pid_nr(current), vcpu->id,
			vcpu->rip);
	vmx->split_locks = true;
	vcpu->stat.exits_exception++;
	return true;
}

static int on_exception(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_read32(EXIT_INTERRUPTION_INFO);

	/* vmx_handle_exit_irqoff() has handled an NMI already. */
	if ((info & INFO_TYPE) == INFO_TYPE_NMI)
		return 1;
	switch (info & INFO_VECTOR) {
	case 14:
		return on_page_fault(vcpu);
	case 1:
		return on_debug(vcpu, info);
	case 6:
		return exit_invalid_opcode(vcpu);
	case 11:
	case 13:
		return pv_gate_fault(vcpu, info & INFO_VECTOR,
				     info & INFO_ERROR_CODE,
				     vmcs_read32(EXIT_INTERRUPTION_ERROR_CODE));
	case 17:
		if (is_split_lock(vcpu))
			return 1;
		return exit_reflect(vcpu, X86_TRAP_AC, info & INFO_ERROR_CODE,
				    vmcs_read32(EXIT_INTERRUPTION_ERROR_CODE));
	case 18:
		return 1;
	default:
		if (!pv_in_force(vcpu))
			return exit_unexpected(vcpu, to_vmx(vcpu)->exit_reason);
		/* Without tables of the VMM the guest takes it by itself. */
		return exit_reflect(vcpu, info & INFO_VECTOR,
				    info & INFO_ERROR_CODE,
				    vmcs_read32(EXIT_INTERRUPTION_ERROR_CODE));
	}
}

/*
 * Only unpaged guests run on EPT: the physical address of the violation is the
 * linear address as well.
 */
static int on_ept_violation(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_readl(EXIT_QUALIFICATION);

	if (unlikely(vcpu->rflags & X86_EFLAGS_TF))
		vmx_event_refetch(vcpu);
	return exit_page_fault(vcpu, vmcs_read64(GUEST_PHYSICAL_ADDRESS),
			       (info & EPT_WRITE ? PFERR_W : 0) |
				       (info & EPT_FETCH ? PFERR_I : 0) |
				       (info & EPT_ALLOWED ? PFERR_P : 0));
}

static int on_ept_misconfig(struct vigil_vcpu *vcpu)
{
	vigil_vm_kill(vcpu->vm, "shadow: an EPT entry that the CPU refuses");
	return 1;
}

/*
 * The event is handled already with IRQs off, or the host takes it once they
 * are on again.
 */
static int on_host_event(struct vigil_vcpu *vcpu)
{
	return 1;
}

static int on_irq_window(struct vigil_vcpu *vcpu)
{
	vmx_irq_window(vcpu, false);
	return exit_irq_window(vcpu);
}

static int on_nmi_window(struct vigil_vcpu *vcpu)
{
	vmx_set_cpu_ctl(to_vmx(vcpu), CPU_NMI_WINDOW, false);
	vigil_request(vcpu, REQ_EVENT);
	return 1;
}

/* RFLAGS has RF as the event sets it. */
static int on_task_switch(struct vigil_vcpu *vcpu)
{
	u32 info = vmcs_readl(EXIT_QUALIFICATION);
	const struct exit_task t = {
		.sel = info,
		.gate = (info & TASK_SOURCE) == TASK_GATE,
	};

	return exit_task_switch(vcpu, &t);
}

/* clang-format off */
static int (*const handlers[NR_EXITS])(struct vigil_vcpu *vcpu) = {
	[EXIT_EXCEPTION]	= on_exception,
	[EXIT_INTERRUPT]	= on_host_event,
	[EXIT_TRIPLE_FAULT]	= exit_triple_fault,
	[EXIT_INTERRUPT_WINDOW]	= on_irq_window,
	[EXIT_NMI_WINDOW]	= on_nmi_window,
	[EXIT_TASK_SWITCH]	= on_task_switch,
	[EXIT_CPUID]		= on_cpuid,
	[EXIT_GETSEC]		= exit_undefined,
	[EXIT_HLT]		= on_hlt,
	[EXIT_INVD]		= on_cache,
	[EXIT_INVLPG]		= on_invlpg,
	[EXIT_RDPMC]		= on_rdpmc,
	[EXIT_RSM]		= exit_undefined,
	[EXIT_VMCALL]		= on_vmcall,
	[EXIT_VMCLEAR ... EXIT_VMXON] = exit_undefined,
	[EXIT_CR]		= on_cr,
	[EXIT_DR]		= on_dr,
	[EXIT_IO]		= on_io,
	[EXIT_RDMSR]		= on_rdmsr,
	[EXIT_WRMSR]		= on_wrmsr,
	[EXIT_MWAIT]		= exit_undefined,
	[EXIT_MONITOR]		= exit_undefined,
	[EXIT_GDTR_IDTR]	= exit_system_table,
	[EXIT_LDTR_TR]		= exit_system_table,
	[EXIT_EPT_VIOLATION]	= on_ept_violation,
	[EXIT_EPT_MISCONFIG]	= on_ept_misconfig,
	[EXIT_INVEPT]		= exit_undefined,
	[EXIT_RDTSCP]		= exit_undefined,
	[EXIT_PREEMPTION_TIMER]	= on_host_event,
	[EXIT_INVVPID]		= exit_undefined,
	[EXIT_WBINVD]		= on_cache,
	[EXIT_XSETBV]		= on_xsetbv,
	[EXIT_INVPCID]		= exit_undefined,
	[EXIT_ENCLS]		= exit_undefined,
	[EXIT_XSAVES]		= exit_undefined,
	[EXIT_XRSTORS]		= exit_undefined,
	[EXIT_SEAMCALL]		= exit_undefined,
	[EXIT_TDCALL]		= exit_undefined,
};
/* clang-format on */

/*
 * The CPU refused the entry. If the guest passes through this state on its way
 * between modes, instructions are emulated until it has left the state; no
 * event can be delivered meanwhile.
 */
static int on_refused(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (vmx->failed)
		return exit_fail_entry(vcpu, vmcs_read32(VM_INSTRUCTION_ERROR));
	switch (vmx->exit_reason & ~(u32)EXIT_ENTRY_FAILED) {
	case EXIT_INVALID_GUEST:
		if (!vmx_in_transition(vcpu))
			break;
		if (event_injected(vcpu))
			return exit_internal_error(
				vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, NULL, 0);
		return exit_emulate(vcpu);
	case EXIT_MACHINE_CHECK:
		return 1;
	}
	return exit_fail_entry(vcpu, vmx->exit_reason);
}

int vmx_handle_exit(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 reason = vmx->exit_reason;

	if (unlikely(vmx->failed || (reason & EXIT_ENTRY_FAILED)))
		return on_refused(vcpu);
	if (trace_vigil_exit_enabled())
		trace_vigil_exit(vcpu, true, reason,
				 vmcs_readl(EXIT_QUALIFICATION),
				 vmcs_read32(IDT_VECTORING_INFO));
	/*
	 * The most frequent exits are called directly: a call through the table
	 * would cost a retpoline.
	 */
	switch (reason) {
	case EXIT_EXCEPTION:
		return on_exception(vcpu);
	case EXIT_IO:
		return on_io(vcpu);
	case EXIT_WRMSR:
		return on_wrmsr(vcpu);
	case EXIT_CR:
		return on_cr(vcpu);
	case EXIT_CPUID:
		return on_cpuid(vcpu);
	case EXIT_INTERRUPT:
		return 1;
	}
	if (unlikely(reason >= NR_EXITS || !handlers[reason]))
		return exit_unexpected(vcpu, reason);
	return handlers[reason](vcpu);
}

void vmx_handle_exit_irqoff(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info;

	if (unlikely(vmx->failed))
		return;
	switch (vmx->exit_reason) {
	case EXIT_INTERRUPT:
		vcpu->stat.exits_irq++;
		/*
		 * Running the guest is no RCU read-side section: tell RCU, or
		 * grace periods would wait for a CPU that does nothing else.
		 */
		rcu_note_context_switch(false);
		break;
	case EXIT_EXCEPTION:
		info = vmcs_read32(EXIT_INTERRUPTION_INFO);
		if ((info & INFO_TYPE) == INFO_TYPE_NMI) {
			vcpu->stat.exits_nmi++;
			/*
			 * The exit has consumed the NMI, and the CPU blocks
			 * further ones until an IRET: call the host's handler,
			 * whose IRET unblocks them.
			 */
			asm volatile("int $2" : : : "memory");
		} else if (unlikely((info & INFO_VECTOR) == 18)) {
			host_machine_check();
		}
		break;
	case EXIT_ENTRY_FAILED | EXIT_MACHINE_CHECK:
		host_machine_check();
		break;
	}
}
