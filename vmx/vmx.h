/* SPDX-License-Identifier: GPL-2.0 */
/* The VMX vendor's own structures, and what its files offer each other. */
#ifndef VIGIL_VMX_VMX_H
#define VIGIL_VMX_VMX_H

#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <uapi/asm/debugreg.h>

#include "vmm/cpu/switch.h"
#include "vmm/ops.h"
#include "caps.h"
#include "insn.h"
#include "vmcs.h"

/* MSRs that hold the guest's values while its vCPU is loaded and has entered */
enum vmx_msr { VMX_STAR, VMX_LSTAR, VMX_CSTAR, VMX_SFMASK, NR_VMX_MSRS };

/* A segment register in the VMCS's format. */
struct vmx_seg {
	u16 selector;
	u32 limit;
	u32 ar; /* SEG_AR_* */
	unsigned long base;
};

/* bits of vmx_vcpu.cached: a whole segment by its number, its access rights alone */
#define CACHED_SEG(seg) BIT(seg)
#define CACHED_AR(seg) BIT(NR_SEGS + (seg))
#define CACHED_INTERRUPTIBILITY BIT(2 * NR_SEGS)

/**
 * struct vmx_vcpu - vcpu->vendor. All [v] but @vmcs_cpu and @link
 * @vmcs:	the VMCS, one page
 * @vmcs_pa:	its physical address
 * @vmcs_cpu:	CPU on which the VMCS is active, -1: none. Changes on that CPU,
 *		IRQs off, or nowhere
 * @link:	vmx_cpu.active of @vmcs_cpu
 * @cpu:	CPU that the host state in the VMCS is of
 * @launched:	an entry succeeded since the last VMCLEAR: VMRESUME, not VMLAUNCH
 * @vpid:	0: translations are not tagged
 * @flush:	the guest's translations go before the next entry
 * @host_loaded: @host is filled in, the guest's KERNEL_GS_BASE is in the CPU
 * @msrs_loaded: so is @msr, as far as the guest's mode uses it
 * @has_tsc_aux: the guest has RDTSCP, so TSC_AUX is switched
 * @on_ept:	the guest is unpaged and runs on EPT
 * @tables:	the guest runs with tables of the VMM
 * @host_rsp:	HOST_RSP that the VMCS has
 * @cr3:	GUEST_CR3 that the VMCS has
 * @eptp:	EPT_POINTER for the guest, also while EPT is not in use
 * @pin_ctl:	pin-based controls that the VMCS has
 * @cpu_ctl:	primary processor-based controls that the VMCS has
 * @cpu2_ctl:	secondary ones
 * @entry_ctl:	VM-entry controls that the VMCS has
 * @rip:	GUEST_RIP that the VMCS has
 * @rsp:	GUEST_RSP that the VMCS has
 * @rflags:	GUEST_RFLAGS that the VMCS has
 * @exit_reason: EXIT_REASON of the last exit
 * @cached:	CACHED_*: read from the VMCS since the last exit
 * @interruptibility: GUEST_INTERRUPTIBILITY_INFO, where @cached says that it was read
 * @seg:	segment registers, where @cached says that they were read
 * @injected:	ENTRY_INTERRUPTION_INFO of the last entry
 * @split_locks: the guest does some: their detection is off while it runs
 * @failed:	the last entry's instruction failed
 * @msr:	the guest's
 * @kernel_gs_base: the guest's
 * @host:	the host's, of the thread and CPU that the vCPU is loaded on
 */
struct vmx_vcpu {
	struct vmcs *vmcs;
	u64 vmcs_pa;
	int vmcs_cpu;
	struct list_head link;
	int cpu;
	bool launched;
	bool flush;
	bool host_loaded;
	bool msrs_loaded;
	bool has_tsc_aux;
	bool on_ept;
	bool tables;
	bool failed;
	bool split_locks;
	u16 vpid;
	unsigned long host_rsp;
	unsigned long cr3;
	u64 eptp;
	u32 pin_ctl, cpu_ctl, cpu2_ctl, entry_ctl;
	unsigned long rip, rsp, rflags;

	u32 exit_reason;
	u32 injected;
	unsigned long cached;
	u32 interruptibility;
	struct vmx_seg seg[NR_SEGS];

	u64 msr[NR_VMX_MSRS];
	u64 kernel_gs_base;

	struct {
		unsigned long cr0, cr3, cr4; /* as the VMCS has them */
		unsigned long fs_base;
		u16 fs, gs, ds, es; /* as they were */
		u16 vmcs_fs, vmcs_gs; /* as the VMCS has them */
		unsigned long vmcs_fs_base;
		u64 kernel_gs_base;
	} host;
};

/**
 * struct vmx_cpu - per host CPU
 * @active:	struct vmx_vcpu whose VMCS this CPU may have in its own memory
 * @current_vmcs: of VMPTRLD
 * @sw:		what is switched by hand
 * @host_msr:	the host's values of the MSRs that are switched
 * @msr:	what those MSRs hold now
 * @idt:	IDTR before an exit has widened its limit
 * @gdt:	GDTR before an exit has widened its limit
 * @vmxon:	region of VMXON
 * @test_ctrl:	TEST_CTRL of before the entry, of a guest that does split locks
 * @pebs_stopped: the host's PEBS is off until the exit
 * @pebs_enable: PEBS_ENABLE of before the entry
 * @perf_global_ctrl: PERF_GLOBAL_CTRL of before the entry, where @pebs_stopped
 */
struct vmx_cpu {
	struct list_head active;
	struct vmx_vcpu *current_vmcs;
	struct cpu_switch sw;
	u64 host_msr[NR_VMX_MSRS];
	u64 msr[NR_VMX_MSRS];
	struct desc_ptr idt, gdt;
	struct vmcs *vmxon;
	u64 test_ctrl;
	bool pebs_stopped;
	u64 pebs_enable;
	u64 perf_global_ctrl;
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpu);
extern struct vmx_caps vmx_caps; /* __ro_after_init */
/* Is true where the CPUs have SGX. */
DECLARE_STATIC_KEY_FALSE(vmx_sgx);
/* Is true where the CPUs can raise #AC for split locks. */
DECLARE_STATIC_KEY_FALSE(vmx_split_lock);
/* Is true where the CPUs have PEBS, and PERF_GLOBAL_CTRL that stops its counters. */
DECLARE_STATIC_KEY_FALSE(vmx_pebs);
/* The CPU writes no PEBS record on the other side of an entry or exit. */
extern bool vmx_pebs_isolated;
extern u32 vmx_if0_timer; /* __ro_after_init; 0: not wanted */
/* numbers of the MSRs of enum vmx_msr */
extern const u32 vmx_msr_number[NR_VMX_MSRS];

static inline struct vmx_vcpu *to_vmx(const struct vigil_vcpu *vcpu)
{
	return vcpu->vendor;
}

/* hw.c */
int vmx_check(const struct host_reader *rd, const char **why);
int vmx_hw_setup(void);
void vmx_hw_unsetup(void);
int vmx_hw_enable(void);
void vmx_hw_disable(void);
void vmx_hw_emergency(void);

/* vmcs.c */
int vmx_maps_alloc(void);
void vmx_maps_free(void);
int vmx_vm_init(struct vigil_vm *vm);
void vmx_vm_destroy(struct vigil_vm *vm);
int vmx_vcpu_create(struct vigil_vcpu *vcpu);
void vmx_vcpu_destroy(struct vigil_vcpu *vcpu);
void vmx_vcpu_reset(struct vigil_vcpu *vcpu);
void vmx_set_cpu_ctl(struct vmx_vcpu *vmx, u32 bits, bool on);
void vmx_update_msr_map(struct vigil_vcpu *vcpu);
void vmx_update_controls(struct vigil_vcpu *vcpu);
void vmx_set_tsc_offset(struct vigil_vcpu *vcpu);
const char *vmx_entry_problem(struct vigil_vcpu *vcpu);
/*
 * Will the guest leave the state that VM entry refuses by its own instructions?
 */
bool vmx_in_transition(struct vigil_vcpu *vcpu);
/*
 * Makes the VMCS inactive on the CPU where it is active, which may be another
 * one.
 */
void vmx_deactivate(struct vmx_vcpu *vmx);
/* Makes the VMCS inactive; it is active on this CPU. IRQs off. */
void vmx_deactivate_here(struct vmx_vcpu *vmx);

/* exit.c */
int vmx_handle_exit(struct vigil_vcpu *vcpu);
void vmx_handle_exit_irqoff(struct vigil_vcpu *vcpu);

/* regs.c */
/*
 * Returns a segment register, and reads it from the VMCS unless it is cached.
 */
const struct vmx_seg *vmx_seg(struct vmx_vcpu *vmx, enum vigil_seg seg);
u32 vmx_seg_ar(struct vmx_vcpu *vmx, enum vigil_seg seg);
void vmx_seg_write(struct vmx_vcpu *vmx, enum vigil_seg seg,
		   const struct vmx_seg *s);
void vmx_get_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     struct kvm_segment *s);
void vmx_set_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg,
		     const struct kvm_segment *s);
bool vmx_flat_segment(struct vigil_vcpu *vcpu, enum vigil_seg seg);
u64 vmx_get_seg_base(struct vigil_vcpu *vcpu, enum vigil_seg seg);
int vmx_get_cpl(struct vigil_vcpu *vcpu);
int vmx_code_bits(struct vigil_vcpu *vcpu);
void vmx_get_idt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
void vmx_set_idt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
void vmx_get_gdt(struct vigil_vcpu *vcpu, struct kvm_dtable *dt);
void vmx_set_gdt(struct vigil_vcpu *vcpu, const struct kvm_dtable *dt);
void vmx_update_modes(struct vigil_vcpu *vcpu);
void vmx_update_dr7(struct vigil_vcpu *vcpu);
void vmx_update_cpuid(struct vigil_vcpu *vcpu);

/* msr.c */
int vmx_get_msr(struct vigil_vcpu *vcpu, u32 msr, u64 *value);
int vmx_set_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value, bool host);
/* @watched: writes of the MSRs that a monitor can watch exit. */
void vmx_msr_map_init(u8 *map, bool watched);

/* pv.c */
void vmx_update_pv(struct vigil_vcpu *vcpu);
/* After an exit, while tables of the VMM are in force. */
void vmx_repair_ss(struct vmx_vcpu *vmx);

/* inject.c */
void vmx_inject_exception(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e);
void vmx_inject_irq(struct vigil_vcpu *vcpu, u8 vector);
void vmx_inject_nmi(struct vigil_vcpu *vcpu);
void vmx_cancel_injection(struct vigil_vcpu *vcpu);
void vmx_set_interruptibility(struct vmx_vcpu *vmx, u32 state);
bool vmx_irq_shadow(struct vigil_vcpu *vcpu);
void vmx_set_irq_shadow(struct vigil_vcpu *vcpu, bool on);
void vmx_hold_db(struct vigil_vcpu *vcpu, unsigned long dr6);
unsigned long vmx_take_held_db(struct vigil_vcpu *vcpu);
void vmx_irq_window(struct vigil_vcpu *vcpu, bool on);
void vmx_nmi_window(struct vigil_vcpu *vcpu);
void vmx_mask_nmi(struct vigil_vcpu *vcpu, bool masked);
/*
 * Called right before an entry: sets what an entry requires together with the
 * interruptibility state.
 */
void vmx_event_enter(struct vigil_vcpu *vcpu);
/* A fault of EPT: the instruction is executed again, or emulated. */
void vmx_event_refetch(struct vigil_vcpu *vcpu);
/*
 * Called after an exit: finds out whether the injected event was delivered, and
 * whether blocking by NMI has ended.
 */
void vmx_event_exit(struct vigil_vcpu *vcpu);

#endif
