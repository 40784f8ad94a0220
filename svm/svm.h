/* SPDX-License-Identifier: GPL-2.0 */
/* The SVM vendor's own structures, and what its files offer each other. */
#ifndef VIGIL_SVM_SVM_H
#define VIGIL_SVM_SVM_H

#include <linux/gfp.h>
#include <linux/percpu.h>
#include <uapi/asm/debugreg.h>

#include "vmm/cpu/switch.h"
#include "vmm/ops.h"
#include "caps.h"
#include "vmcb.h"

/**
 * struct svm_vcpu - vcpu->vendor. All [v]
 * @vmcb:	the guest's VMCB, one page
 * @vmcb_pa:	as VMRUN wants it, with the encryption bit
 * @asid:	tag of this vCPU's translations in @cpu's TLB
 * @asid_generation: svm_cpu.generation that @asid is of, 0: none
 * @cpu:	host CPU that @asid was given out for
 * @flush:	the guest's translations go before the next entry
 * @host_loaded: the host's own state is in this CPU's VMSAVE area
 * @has_tsc_aux: the guest has RDTSCP, so TSC_AUX is switched
 * @injected:	event_inj of the last entry, 0 when there was none
 * @own_event:	EXITINTINFO's event is an exception that the CPU raised itself
 * @virq:	V_IRQ is an interrupt to be delivered (svm_caps.inject_by_virq)
 * @stepping:	RFLAGS.TF is ours: an NMI waits for the next boundary
 * @step_tf:	the guest's own TF meanwhile
 * @stepped:	the last exit is the #DB of our step, not the guest's
 * @await_iret:	the IRET at @iret_rip ends the NMI handler
 * @iret_rip:	where that IRET stands
 */
struct svm_vcpu {
	struct vmcb *vmcb;
	u64 vmcb_pa;
	u32 asid;
	u64 asid_generation;
	int cpu;
	bool flush;
	bool host_loaded;
	bool has_tsc_aux;
	u32 injected;
	bool own_event;
	bool virq;
	bool stepping;
	bool step_tf;
	bool stepped;
	bool await_iret;
	unsigned long iret_rip;
};

/**
 * struct svm_cpu - per host CPU
 * @save_pa:	VMSAVE area for what VMRUN itself does not switch
 * @hsave_pa:	where VMRUN keeps the host's state: MSR VM_HSAVE_PA
 * @sw:		what is switched by hand
 * @generation:	grows when the ASIDs are used up
 * @next_asid:	the next that nobody has had in this generation
 * @ldt:	LDTR in the VMSAVE area
 * @old_hsave_pa: VM_HSAVE_PA as svm_hw_disable() puts it back
 * @old_tsc_ratio: TSC_RATIO as svm_hw_disable() puts it back
 * @old_bp_cfg:	BP_CFG as svm_hw_enable() found it
 * @save_page:	holds @save_pa
 * @hsave_page:	holds @hsave_pa
 */
struct svm_cpu {
	u64 save_pa;
	u64 hsave_pa;
	struct cpu_switch sw;
	u64 generation;
	u32 next_asid;
	u16 ldt;
	u64 old_hsave_pa;
	u64 old_tsc_ratio;
	u64 old_bp_cfg;
	struct page *save_page;
	struct page *hsave_page;
};

DECLARE_PER_CPU(struct svm_cpu, svm_cpu);
extern struct svm_caps svm_caps; /* __ro_after_init */
extern u32 svm_clean_all; /* CLEAN_ALL, or 0 without clean bits */
extern u64 svm_host_mce; /* X86_CR4_MCE, if the host has it on */

static inline struct svm_vcpu *to_svm(const struct vigil_vcpu *vcpu)
{
	return vcpu->vendor;
}

static inline void vmcb_dirty(struct vmcb *vmcb, int group)
{
	vmcb->control.clean &= ~BIT(group);
}

/* hw.c */
int svm_check(const struct host_reader *rd, const char **why);
int svm_hw_setup(void);
void svm_hw_unsetup(void);
int svm_hw_enable(void);
void svm_hw_disable(void);
void svm_hw_emergency(void);
/*
 * A page for the VMCB or a save area, zeroed. Where the host runs SEV-SNP, a CPU
 * that has such a page in use takes all of its 2 MiB for used when the page is the
 * first of them (an erratum), so it is never that one. NULL without memory.
 */
struct page *svm_alloc_page(int node, gfp_t gfp);
/* No vCPU enters with an ASID of this CPU again before a flush of all; IRQs off. */
void svm_drop_asids(struct svm_cpu *sc);
/*
 * Gives the vCPU an ASID that no entry of this CPU's TLB is tagged with; IRQs
 * off.
 */
void svm_new_asid(struct svm_vcpu *svm, struct svm_cpu *sc);

/* vmcb.c */
int svm_maps_alloc(void);
void svm_maps_free(void);
int svm_vm_init(struct vigil_vm *vm);
void svm_vm_destroy(struct vigil_vm *vm);
int svm_vcpu_create(struct vigil_vcpu *vcpu);
void svm_vcpu_destroy(struct vigil_vcpu *vcpu);
void svm_vcpu_reset(struct vigil_vcpu *vcpu);
void svm_intercept(struct vmcb *vmcb, int word, u32 bits, bool on);
void svm_update_msr_map(struct vigil_vcpu *vcpu);
void svm_set_tsc_offset(struct vigil_vcpu *vcpu);
const char *svm_entry_problem(struct vigil_vcpu *vcpu);

/* exit.c */
int svm_handle_exit(struct vigil_vcpu *vcpu);
void svm_handle_exit_irqoff(struct vigil_vcpu *vcpu);

/* regs.c */
void svm_get_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     struct kvm_segment *s);
void svm_set_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     const struct kvm_segment *s);
bool svm_flat_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg);
u64 svm_get_seg_base(struct vigil_vcpu *vcpu, enum vigil_seg seg);
int svm_get_cpl(struct vigil_vcpu *vcpu);
int svm_code_bits(struct vigil_vcpu *vcpu);
void svm_get_idt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
void svm_set_idt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
void svm_get_gdt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
void svm_set_gdt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
void svm_update_modes(struct vigil_vcpu *vcpu);
void svm_update_dr7(struct vigil_vcpu *vcpu);
void svm_update_cpuid(struct vigil_vcpu *vcpu);

/* msr.c */
int svm_get_msr(struct vigil_vcpu *vcpu, u32 msr, u64 *value);
int svm_set_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host);
/* @watched: writes of the MSRs that a monitor can watch exit. */
void svm_msr_map_init(u8 *map, bool watched);

/* pv.c */
void svm_update_pv(struct vigil_vcpu *vcpu);
void svm_update_controls(struct vigil_vcpu *vcpu);

/* inject.c */
void svm_inject_exception(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e);
void svm_inject_irq(struct vigil_vcpu *vcpu, u8 vector);
void svm_inject_nmi(struct vigil_vcpu *vcpu);
void svm_cancel_injection(struct vigil_vcpu *vcpu);
bool svm_irq_shadow(struct vigil_vcpu *vcpu);
void svm_set_irq_shadow(struct vigil_vcpu *vcpu, bool on);
void svm_irq_window(struct vigil_vcpu *vcpu, bool on);
void svm_nmi_window(struct vigil_vcpu *vcpu);
void svm_mask_nmi(struct vigil_vcpu *vcpu, bool masked);
/*
 * Called after an exit: finds out whether the injected event was delivered, and
 * whether the NMI handler has executed its IRET.
 */
void svm_event_exit(struct vigil_vcpu *vcpu);
void svm_nmi_progress(struct vigil_vcpu *vcpu);
/* The guest is about to execute IRET with NMIs masked. */
void svm_exit_iret(struct vigil_vcpu *vcpu);

#endif
