// SPDX-License-Identifier: GPL-2.0
/* Injection, interrupt and NMI windows, and events whose delivery was cut short. */
#include <asm/processor-flags.h>

#include "vmx.h"
#include "vmm/cpu/inject.h"

/* SDM volume 3, "VM-Entry Controls for Event Injection": #DF #TS #NP #SS #GP #PF #AC */
#define PUSH_ERROR_CODE                                           \
	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) | BIT(X86_TRAP_NP) | \
	 BIT(X86_TRAP_SS) | BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | \
	 BIT(X86_TRAP_AC))

static void inject(struct vmx_vcpu *vmx, u32 info)
{
	vmx->injected = info | INFO_VALID;
	vmcs_write32(ENTRY_INTERRUPTION_INFO, vmx->injected);
}

/*
 * INT3 and INTO are injected as hardware exceptions too, since RIP is already
 * behind the emulated instruction.
 */
void vmx_inject_exception(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e)
{
	u32 info = e->vector | INFO_TYPE_HW_EXCEPTION;

	if (unlikely(e->soft)) {
		vmx_inject_irq(vcpu, e->vector);
		return;
	}
	/* Real mode pushes no error code, and an entry refuses one there. */
	if (is_protmode(vcpu) && e->vector < 32 &&
	    (PUSH_ERROR_CODE & BIT(e->vector))) {
		info |= INFO_ERROR_CODE;
		vmcs_write32(ENTRY_EXCEPTION_ERROR_CODE,
			     e->has_error_code ? e->error_code : 0);
	}
	inject(to_vmx(vcpu), info);
}

void vmx_inject_irq(struct vigil_vcpu *vcpu, u8 vector)
{
	inject(to_vmx(vcpu), vector | INFO_TYPE_IRQ);
}

static u32 vmx_interruptibility(struct vmx_vcpu *vmx)
{
	if (!(vmx->cached & CACHED_INTERRUPTIBILITY)) {
		vmx->interruptibility = vmcs_read32(GUEST_INTERRUPTIBILITY);
		vmx->cached |= CACHED_INTERRUPTIBILITY;
	}
	return vmx->interruptibility;
}

void vmx_inject_nmi(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	/*
	 * The delivery starts blocking by NMI; an entry that injects an NMI
	 * refuses a guest that is blocked already.
	 */
	vmx_set_interruptibility(vmx, vmx_interruptibility(vmx) &
					      ~(u32)BLOCKED_BY_NMI);
	inject(vmx, 2 | INFO_TYPE_NMI);
}

void vmx_cancel_injection(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->injected = 0;
	vmcs_write32(ENTRY_INTERRUPTION_INFO, 0);
}

/* ---- interruptibility ---- */

void vmx_set_interruptibility(struct vmx_vcpu *vmx, u32 state)
{
	if ((vmx->cached & CACHED_INTERRUPTIBILITY) &&
	    vmx->interruptibility == state)
		return;
	vmx->interruptibility = state;
	vmx->cached |= CACHED_INTERRUPTIBILITY;
	vmcs_write32(GUEST_INTERRUPTIBILITY, state);
}

bool vmx_irq_shadow(struct vigil_vcpu *vcpu)
{
	return vmx_interruptibility(to_vmx(vcpu)) &
	       (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
}

/* An entry accepts blocking by STI only while IF is set. */
void vmx_set_irq_shadow(struct vigil_vcpu *vcpu, bool on)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx) &
		    ~(u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);

	/* Only blocking by MOV SS holds back the trap of TF as well. */
	if (on)
		state |= (vcpu->rflags & (X86_EFLAGS_IF | X86_EFLAGS_TF)) ==
					 X86_EFLAGS_IF ?
				 BLOCKED_BY_STI :
				 BLOCKED_BY_MOV_SS;
	vmx_set_interruptibility(vmx, state);
}

void vmx_irq_window(struct vigil_vcpu *vcpu, bool on)
{
	vmx_set_cpu_ctl(to_vmx(vcpu), CPU_INTERRUPT_WINDOW, on);
}

void vmx_nmi_window(struct vigil_vcpu *vcpu)
{
	vmx_set_cpu_ctl(to_vmx(vcpu), CPU_NMI_WINDOW, true);
}

/* The CPU does not know of an IRET of the emulator's, and opens no window then. */
void vmx_mask_nmi(struct vigil_vcpu *vcpu, bool masked)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx) & ~(u32)BLOCKED_BY_NMI;

	vmx_set_interruptibility(vmx, state | (masked ? BLOCKED_BY_NMI : 0));
}

/* Blocking by STI, which vmx_set_irq_shadow() may have chosen, holds back no #DB. */
void vmx_hold_db(struct vigil_vcpu *vcpu, unsigned long dr6)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx) & ~(u32)BLOCKED_BY_STI;

	vmx_set_interruptibility(vmx, state | BLOCKED_BY_MOV_SS);
	vmcs_writel(GUEST_PENDING_DEBUG,
		    vmcs_readl(GUEST_PENDING_DEBUG) | dr6 | PENDING_ENABLED);
}

unsigned long vmx_take_held_db(struct vigil_vcpu *vcpu)
{
	unsigned long pending = vmcs_readl(GUEST_PENDING_DEBUG);

	if (likely(!pending))
		return 0;
	vmcs_writel(GUEST_PENDING_DEBUG, 0);
	return pending & PENDING_ENABLED ? pending & PENDING_BREAKPOINTS : 0;
}

#ifdef VIGIL_DEBUG
/*
 * In a shadow, an entry wants the trap of TF among the pending debug exceptions, and
 * not without TF (SDM volume 3, "Checks on Guest Non-Register State"). The CPUs refuse
 * the guest otherwise (CVE-2019-19583), and Bochs does not look.
 */
static void audit_enter(struct vigil_vcpu *vcpu)
{
	bool tf = vmcs_readl(GUEST_RFLAGS) & X86_EFLAGS_TF;
	bool bs = vmcs_readl(GUEST_PENDING_DEBUG) & PENDING_BS;

	if (vmcs_read32(GUEST_INTERRUPTIBILITY) &
		    (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS) &&
	    tf != bs)
		vigil_vm_kill(vcpu->vm,
			      "entry auditor: TF and the pending step differ");
}
#else
static void audit_enter(struct vigil_vcpu *vcpu)
{
}
#endif

/*
 * An interrupt shadow delays the trap of a single step: the trap must then
 * stand in the pending debug exceptions, or the entry refuses TF in a shadow.
 */
void vmx_event_enter(struct vigil_vcpu *vcpu)
{
	if (unlikely(vcpu->rflags & X86_EFLAGS_TF) && vmx_irq_shadow(vcpu))
		vmcs_writel(GUEST_PENDING_DEBUG,
			    vmcs_readl(GUEST_PENDING_DEBUG) | PENDING_BS);
	audit_enter(vcpu);
}

/* ---- after the entry ---- */

/*
 * The instruction has not been executed, so the trap of its single step is not due:
 * the pending debug exceptions are clear then, except for what MOV SS holds back. An
 * emulator that leaves BS there would have the trap come before the instruction.
 */
void vmx_event_refetch(struct vigil_vcpu *vcpu)
{
	if (!(vmx_interruptibility(to_vmx(vcpu)) & BLOCKED_BY_MOV_SS))
		vmcs_writel(GUEST_PENDING_DEBUG,
			    vmcs_readl(GUEST_PENDING_DEBUG) & ~PENDING_BS);
}

/*
 * A faulting IRET has also ended blocking by NMI. It is executed again, so
 * blocking is restored. Otherwise the end of blocking is the end of the
 * handler.
 */
static noinline void nmi_progress(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 state = vmx_interruptibility(vmx);
	bool again = false;

	if (vmx->exit_reason == EXIT_EXCEPTION)
		again = vmcs_read32(EXIT_INTERRUPTION_INFO) &
			INFO_IRET_UNBLOCKED;
	else if (vmx->exit_reason == EXIT_EPT_VIOLATION)
		again = vmcs_readl(EXIT_QUALIFICATION) & EPT_IRET_UNBLOCKED;
	if (again)
		vmx_set_interruptibility(vmx, state | BLOCKED_BY_NMI);
	else if (!(state & BLOCKED_BY_NMI))
		event_nmi_unmask(vcpu);
}

/*
 * The injected event has been delivered, unless IDT_VECTORING_INFO reports it:
 * then the exit came in the middle of its delivery. RIP still points to INT n,
 * INT3, INTO or ICEBP of the guest, so these are executed again.
 */
void vmx_event_exit(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 info = vmcs_read32(IDT_VECTORING_INFO), ec = 0;
	enum cut_short kind = CUT_NONE;

	if (unlikely(info & INFO_VALID)) {
		switch (info & INFO_TYPE) {
		case INFO_TYPE_IRQ:
			kind = CUT_IRQ;
			break;
		case INFO_TYPE_NMI:
			kind = CUT_NMI;
			break;
		case INFO_TYPE_HW_EXCEPTION:
			kind = CUT_EXCEPTION;
			break;
		default:
			kind = CUT_SOFT;
		}
		if (info & INFO_ERROR_CODE)
			ec = vmcs_read32(IDT_VECTORING_ERROR_CODE);
	}
	if (unlikely((info | vmx->injected) & INFO_VALID)) {
		vmx->injected = 0;
		event_complete(vcpu, kind, info & INFO_VECTOR,
			       info & INFO_ERROR_CODE, ec);
	}
	if (unlikely(vcpu->events.nmi_masked) && kind != CUT_NMI &&
	    !(info & INFO_VALID))
		nmi_progress(vcpu);
}
