/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core asks of a vendor, svm/ or vmx/. exit/exit.h has what it gives one.
 *
 * A vendor decodes an exit; the core decides. All vCPU callbacks run in the
 * vCPU's thread with vcpu->mutex held; "loaded" means between vcpu_load() and
 * vcpu_put() with preemption notifiers active.
 */
#ifndef VIGIL_OPS_H
#define VIGIL_OPS_H

#include <linux/static_call.h>

#include "reader.h"
#include "vcpu.h"

struct vmm_ops {
	const char *name; /* "svm", "vmx" */

	/* --- host (process context unless said) --- */
	/*
	 * Is this CPU vendor's extension there, enabled by firmware, and
	 * complete? 0; -EOPNOTSUPP: a CPU feature is missing, which *why names;
	 * -EPERM: firmware has disabled it. Reads the CPU only through @rd.
	 */
	int (*check)(const struct host_reader *rd, const char **why);
	int (*hw_setup)(void); /* once at load: allocate, read caps */
	void (*hw_unsetup)(void);
	/*
	 * Switches the extension on, on this CPU, IRQs off. -EBUSY: somebody
	 * else owns the extension.
	 */
	int (*hw_enable)(void);
	void (*hw_disable)(void); /* undoes hw_enable() on this CPU, exactly */
	/*
	 * During a crash, in NMI context; nothing of vigil runs afterwards:
	 * leaves the extension off, whatever this CPU was doing. May be NULL.
	 */
	void (*hw_emergency)(void);
	/*
	 * Why hw_enable() returned -EBUSY, in words ("EFER.SVME is already
	 * set"), and the module of KVM that may have set it ("kvm_amd").
	 */
	const char *owned_what;
	const char *kvm_module;

	/* --- VM and vCPU life --- */
	int (*vm_init)(struct vigil_vm *vm);
	void (*vm_destroy)(struct vigil_vm *vm);
	int (*vcpu_create)(struct vigil_vcpu *vcpu);
	void (*vcpu_destroy)(struct vigil_vcpu *vcpu);
	void (*vcpu_reset)(
		struct vigil_vcpu *vcpu); /* segments, tables, DR at RESET */
	void (*vcpu_load)(struct vigil_vcpu *vcpu,
			  int cpu); /* preemption off */
	void (*vcpu_put)(struct vigil_vcpu *vcpu); /* preemption off */

	/* --- register state outside struct vigil_vcpu --- */
	void (*get_segment)(struct vigil_vcpu *vcpu, enum vigil_seg seg,
			    struct kvm_segment *s);
	void (*set_segment)(struct vigil_vcpu *vcpu, enum vigil_seg seg,
			    const struct kvm_segment *s);
	/*
	 * Can every address of 4 GiB be stored to through this data segment, whose
	 * base is 0? In protected mode, outside of VM86.
	 */
	bool (*flat_segment)(struct vigil_vcpu *vcpu, enum vigil_seg seg);
	u64 (*get_seg_base)(struct vigil_vcpu *vcpu, enum vigil_seg seg);
	int (*get_cpl)(struct vigil_vcpu *vcpu);
	int (*code_bits)(struct vigil_vcpu *vcpu); /* 16, 32 or 64 */
	void (*get_idt)(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
	void (*set_idt)(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
	void (*get_gdt)(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
	void (*set_gdt)(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
	/*
	 * The core has changed vcpu->cr0, cr4, efer, dr7, vcpu->cpuid or the
	 * MSR policy: computes anew what the hardware runs with, and what is
	 * intercepted, also fields that depend on EFER.LMA. Never fails: the
	 * core has checked the state.
	 */
	void (*update_cr0)(struct vigil_vcpu *vcpu);
	void (*update_cr4)(struct vigil_vcpu *vcpu);
	void (*update_efer)(struct vigil_vcpu *vcpu);
	void (*update_dr7)(struct vigil_vcpu *vcpu);
	void (*update_cpuid)(struct vigil_vcpu *vcpu);
	/*
	 * MSRs in the VMCB or VMCS: STAR LSTAR CSTAR SFMASK, SYSENTER_*,
	 * FS/GS/KERNEL_GS_BASE, PAT, DEBUGCTL, and the vendor's own. 0;
	 * -ENOENT: the vendor does not have it, the core goes on; -EINVAL: #GP.
	 */
	int (*get_msr)(struct vigil_vcpu *vcpu, u32 msr, u64 *value);
	int (*set_msr)(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host);
	/*
	 * vcpu->pv.in_force has changed: what is intercepted, and what SYSCALL and
	 * SYSENTER may do, follows.
	 */
	void (*update_pv)(struct vigil_vcpu *vcpu);
	/*
	 * vm->controls has changed: which loads of IDTR, GDTR, LDTR and TR exit, and
	 * which MSRs.
	 */
	void (*update_controls)(struct vigil_vcpu *vcpu);
	/*
	 * Which MSRs exit: all of them while vm->msr_filter is there, or the tables
	 * of the VMM are in force; writes of those by which the kernel is entered while
	 * a monitor watches one.
	 */
	void (*update_msr_map)(struct vigil_vcpu *vcpu);
	void (*set_tsc_offset)(
		struct vigil_vcpu *vcpu); /* from vcpu->tsc_offset */

	/* --- entry and exit --- */
	/*
	 * Enters the guest once. IRQs and preemption are off. Loads regs, rip,
	 * rflags, cr2 from @vcpu and stores them back; flushes first if
	 * flush_tlb() has asked for it. The host's state is restored on return.
	 */
	void (*run)(struct vigil_vcpu *vcpu);
	/*
	 * Decodes the exit and calls the core's exit_*(). 1: go on; 0: return
	 * to userspace, vcpu->run is filled in; negative: errno. IRQs are on.
	 */
	int (*handle_exit)(struct vigil_vcpu *vcpu);
	/*
	 * Called before IRQs are switched on again: hands NMI and #MC over to
	 * the host.
	 */
	void (*handle_exit_irqoff)(struct vigil_vcpu *vcpu);
	/* Says in words which state an entry would refuse; NULL: none. */
	const char *(*entry_problem)(struct vigil_vcpu *vcpu);

	/* --- events; the core calls them just before run() --- */
	void (*inject_exception)(struct vigil_vcpu *vcpu,
				 const struct vigil_exception *e);
	void (*inject_irq)(struct vigil_vcpu *vcpu, u8 vector);
	void (*inject_nmi)(struct vigil_vcpu *vcpu);
	void (*cancel_injection)(
		struct vigil_vcpu *vcpu); /* entry was called off */
	/*
	 * Does a STI or MOV SS shadow block interrupts? RFLAGS.IF is not looked
	 * at.
	 */
	bool (*irq_shadow)(struct vigil_vcpu *vcpu);
	void (*set_irq_shadow)(struct vigil_vcpu *vcpu, bool on);
	/*
	 * Begins a shadow of MOV SS that holds back the #DB of the breakpoints @dr6,
	 * DR6.B0 to B3, until behind the next instruction. NULL: the CPU has no place
	 * for them.
	 */
	void (*hold_db)(struct vigil_vcpu *vcpu, unsigned long dr6);
	/*
	 * Returns the breakpoints, as bits of DR6, whose #DB a MOV SS has held
	 * back, and forgets them and a step. NULL: the CPU does not tell.
	 */
	unsigned long (*take_held_db)(struct vigil_vcpu *vcpu);
	void (*irq_window)(struct vigil_vcpu *vcpu,
			   bool on); /* exit when IRQs can be taken */
	void (*nmi_window)(
		struct vigil_vcpu *vcpu); /* exit when an NMI can be taken */
	/*
	 * An NMI handler has begun or ended, maybe by a delivery or an IRET of
	 * the emulator's.
	 */
	void (*mask_nmi)(struct vigil_vcpu *vcpu, bool masked);

	/* --- shadow/ --- */
	void (*set_root)(struct vigil_vcpu *vcpu,
			 hpa_t root); /* CR3 for the guest run */
	void (*flush_tlb)(struct vigil_vcpu *vcpu); /* this vCPU, before entry */
	void (*flush_gva)(struct vigil_vcpu *vcpu,
			  gva_t gva); /* one page, now or at entry */
};

/* The vendor in use. Set at load, never changed afterwards. */
extern const struct vmm_ops *vmm_ops;

extern const struct vmm_ops svm_ops, vmx_ops;

/*
 * What nearly each exit asks is called directly: the kernel writes the vendor's function
 * into the call when vmm_ops is set. An indirect call goes through a retpoline on many
 * hosts.
 */
#define VMM_CALLS(X)           \
	X(flat_segment);       \
	X(get_seg_base);       \
	X(get_cpl);            \
	X(code_bits);          \
	X(run);                \
	X(handle_exit);        \
	X(handle_exit_irqoff); \
	X(irq_shadow);         \
	X(set_irq_shadow)

#define VMM_DECLARE(op) \
	DECLARE_STATIC_CALL(vmm_##op, *((struct vmm_ops *)NULL)->op)
VMM_CALLS(VMM_DECLARE);
#undef VMM_DECLARE

/* vmm_call(get_cpl)(vcpu) is vmm_ops->get_cpl(vcpu). */
#define vmm_call(op) static_call(vmm_##op)

#endif
