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

#include "reader.h"
#include "vcpu.h"

struct vmm_ops {
	const char *name; /* "svm", "vmx" */
	/* number of host bytes of the vendor's VM and vCPU parts is its own */

	/* --- host (process context unless said) --- */
	/*
	 * Is this CPU vendor's extension there, switched on by firmware and
	 * complete? 0, -EOPNOTSUPP (no such CPU feature; *why names it), or
	 * -EPERM (firmware disabled it). Reads only through @rd.
	 */
	int (*check)(const struct host_reader *rd, const char **why);
	int (*hw_setup)(void); /* once at load: allocate, read caps */
	void (*hw_unsetup)(void);
	/* on this CPU, IRQs off. -EBUSY: somebody else owns the extension */
	int (*hw_enable)(void);
	void (*hw_disable)(void); /* undoes hw_enable() on this CPU, exactly */
	/*
	 * During a crash, NMI context, after which nothing of vigil runs: leave
	 * the extension off whatever this CPU was doing. May be NULL.
	 */
	void (*hw_emergency)(void);
	/*
	 * What hw_enable()'s -EBUSY saw, "EFER.SVME is already set", and KVM's
	 * module that would have done it, "kvm_amd"
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
	u64 (*get_seg_base)(struct vigil_vcpu *vcpu, enum vigil_seg seg);
	int (*get_cpl)(struct vigil_vcpu *vcpu);
	int (*code_bits)(struct vigil_vcpu *vcpu); /* 16, 32 or 64 */
	void (*get_idt)(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
	void (*set_idt)(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
	void (*get_gdt)(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
	void (*set_gdt)(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
	/*
	 * The core has changed vcpu->cr0 / cr4 / efer / dr7, vcpu->cpuid or the
	 * MSR policy: recompute what the hardware runs with, and intercepts.
	 * Sets EFER.LMA-dependent fields too; never fails, state was checked.
	 */
	void (*update_cr0)(struct vigil_vcpu *vcpu);
	void (*update_cr4)(struct vigil_vcpu *vcpu);
	void (*update_efer)(struct vigil_vcpu *vcpu);
	void (*update_dr7)(struct vigil_vcpu *vcpu);
	void (*update_cpuid)(struct vigil_vcpu *vcpu);
	/*
	 * MSRs that live in the VMCB/VMCS: STAR LSTAR CSTAR SFMASK, SYSENTER_*,
	 * FS/GS/KERNEL_GS_BASE, PAT, DEBUGCTL, vendor's own. 0, or -ENOENT: not
	 * the vendor's, the core looks on; -EINVAL: #GP.
	 */
	int (*get_msr)(struct vigil_vcpu *vcpu, u32 msr, u64 *value);
	int (*set_msr)(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host);
	void (*set_tsc_offset)(
		struct vigil_vcpu *vcpu); /* from vcpu->tsc_offset */

	/* --- entry and exit --- */
	/*
	 * Enter the guest once. IRQs off, preemption off. Loads regs, rip,
	 * rflags, cr2 from @vcpu and stores them back; flushes first when
	 * flush_tlb() asked for it. Host state is whole again on return.
	 */
	void (*run)(struct vigil_vcpu *vcpu);
	/*
	 * Decode the exit and call the core's exit_*(); 1 go on, 0 return to
	 * userspace (vcpu->run is filled in), negative errno. IRQs on.
	 */
	int (*handle_exit)(struct vigil_vcpu *vcpu);
	/* IRQs off, before IRQs are switched on again: NMI, #MC hand-over */
	void (*handle_exit_irqoff)(struct vigil_vcpu *vcpu);
	/* the state that entry would refuse, in words, or NULL */
	const char *(*entry_problem)(struct vigil_vcpu *vcpu);

	/* --- events; the core calls them just before run() --- */
	void (*inject_exception)(struct vigil_vcpu *vcpu,
				 const struct vigil_exception *e);
	void (*inject_irq)(struct vigil_vcpu *vcpu, u8 vector);
	void (*inject_nmi)(struct vigil_vcpu *vcpu);
	void (*cancel_injection)(
		struct vigil_vcpu *vcpu); /* entry was called off */
	/* RFLAGS.IF aside: does a STI or MOV SS shadow block? */
	bool (*irq_shadow)(struct vigil_vcpu *vcpu);
	void (*set_irq_shadow)(struct vigil_vcpu *vcpu, bool on);
	void (*irq_window)(struct vigil_vcpu *vcpu,
			   bool on); /* exit when IRQs can be taken */
	void (*nmi_window)(
		struct vigil_vcpu *vcpu); /* exit when an NMI can be taken */

	/* --- shadow/ --- */
	void (*set_root)(struct vigil_vcpu *vcpu,
			 hpa_t root); /* CR3 for the guest run */
	void (*flush_tlb)(struct vigil_vcpu *vcpu); /* this vCPU, before entry */
	void (*flush_gva)(struct vigil_vcpu *vcpu,
			  gva_t gva); /* one page, now or at entry */
};

/* the vendor in use; set at load, never changed after */
extern const struct vmm_ops *vmm_ops;

extern const struct vmm_ops svm_ops, vmx_ops;

#endif
