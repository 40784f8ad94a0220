// SPDX-License-Identifier: GPL-2.0
/* VMCB life: allocation, intercepts, permission maps, state at RESET. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mem_encrypt.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "svm.h"
#include "vmm/cpu/cr.h"
#include "vmm/exit/exit.h"
#include "vmm/monitor/watch.h"
#include "vmm/pv/pv.h"

/*
 * The I/O map has one bit for each port, and three more bits for accesses that
 * extend beyond port FFFF; the MSR map has two bits for each MSR. All guests
 * share them. They are physically contiguous and page aligned. msrpm_watched is for
 * guests of which a monitor watches MSRs.
 */
#define IOPM_ORDER 2
#define MSRPM_ORDER 1

static struct page *iopm, *msrpm, *msrpm_watched;

int svm_maps_alloc(void)
{
	iopm = alloc_pages(GFP_KERNEL, IOPM_ORDER);
	msrpm = alloc_pages(GFP_KERNEL, MSRPM_ORDER);
	msrpm_watched = alloc_pages(GFP_KERNEL, MSRPM_ORDER);
	if (!iopm || !msrpm || !msrpm_watched) {
		svm_maps_free();
		return -ENOMEM;
	}
	memset(page_address(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
	memset(page_address(msrpm), 0xff, PAGE_SIZE << MSRPM_ORDER);
	memset(page_address(msrpm_watched), 0xff, PAGE_SIZE << MSRPM_ORDER);
	svm_msr_map_init(page_address(msrpm), false);
	svm_msr_map_init(page_address(msrpm_watched), true);
	return 0;
}

void svm_maps_free(void)
{
	if (iopm)
		__free_pages(iopm, IOPM_ORDER);
	if (msrpm)
		__free_pages(msrpm, MSRPM_ORDER);
	if (msrpm_watched)
		__free_pages(msrpm_watched, MSRPM_ORDER);
	iopm = NULL;
	msrpm = NULL;
	msrpm_watched = NULL;
}

int svm_vm_init(struct vigil_vm *vm)
{
	return 0;
}

void svm_vm_destroy(struct vigil_vm *vm)
{
}

int svm_vcpu_create(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = kzalloc(sizeof(*svm), GFP_KERNEL_ACCOUNT);
	struct page *page;

	if (!svm)
		return -ENOMEM;
	page = svm_alloc_page(NUMA_NO_NODE, GFP_KERNEL_ACCOUNT);
	if (!page) {
		kfree(svm);
		return -ENOMEM;
	}
	svm->vmcb = page_address(page);
	svm->vmcb_pa = __sme_set(__pa(svm->vmcb));
	svm->cpu = -1;
	vcpu->vendor = svm;
	return 0;
}

void svm_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	free_page((unsigned long)svm->vmcb);
	kfree(svm);
	vcpu->vendor = NULL;
}

void svm_intercept(struct vmcb *vmcb, int word, u32 bits, bool on)
{
	u32 old = vmcb->control.intercept[word];
	u32 new = on ? old | bits : old & ~bits;

	if (new == old)
		return;
	vmcb->control.intercept[word] = new;
	vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
}

/*
 * #PF is intercepted for shadow paging; #DB and #AC, because their own delivery
 * can raise them again, for ever, without ever leaving the guest; #MC, because
 * it is the host's; #UD, for the hypercalls of a paravirtual guest. All other
 * exceptions reach the guest without an exit.
 */
static void set_intercepts(struct vigil_vcpu *vcpu, struct vmcb *vmcb)
{
	u32 *icpt = vmcb->control.intercept;

	icpt[ICPT_CR] = ICPT_CR_READ(0) | ICPT_CR_READ(3) | ICPT_CR_READ(4) |
			ICPT_CR_WRITE(0) | ICPT_CR_WRITE(3) | ICPT_CR_WRITE(4) |
			ICPT_CR_WRITE(8);
	icpt[ICPT_DR] = ~0u;
	icpt[ICPT_EXCEPTION] = EXIT_EXCEPTIONS | pv_exceptions(vcpu);
	icpt[ICPT_MISC1] = ICPT_INTR | ICPT_NMI | ICPT_SMI | ICPT_INIT |
			   ICPT_RDPMC | ICPT_CPUID | ICPT_RSM | ICPT_INVD |
			   ICPT_HLT | ICPT_INVLPG | ICPT_INVLPGA | ICPT_IOIO |
			   ICPT_MSR | ICPT_TASK_SWITCH | ICPT_FERR_FREEZE |
			   ICPT_SHUTDOWN;
	icpt[ICPT_MISC2] = ICPT_VMRUN | ICPT_VMMCALL | ICPT_VMLOAD |
			   ICPT_VMSAVE | ICPT_STGI | ICPT_CLGI | ICPT_SKINIT |
			   ICPT_ICEBP | ICPT_WBINVD | ICPT_MONITOR |
			   ICPT_MWAIT | ICPT_XSETBV;
	if (svm_caps.rdpru)
		icpt[ICPT_MISC2] |= ICPT_RDPRU;
	if (svm_caps.invpcid)
		icpt[ICPT_MISC3] = ICPT_INVPCID;
}

static void reset_seg(struct vmcb_seg *s, u16 attr)
{
	*s = (struct vmcb_seg){ .attr = attr, .limit = 0xffff };
}

/* APM vol. 2, "Processor Initialization State" */
static void reset_save(struct vmcb_save *save)
{
	memset(save, 0, sizeof(*save));
	reset_seg(&save->es, 0x93);
	reset_seg(&save->cs, 0x9b);
	reset_seg(&save->ss, 0x93);
	reset_seg(&save->ds, 0x93);
	reset_seg(&save->fs, 0x93);
	reset_seg(&save->gs, 0x93);
	reset_seg(&save->gdtr, 0);
	reset_seg(&save->idtr, 0);
	reset_seg(&save->ldtr, 0x82);
	reset_seg(&save->tr, 0x83);
	save->cs.selector = 0xf000;
	save->cs.base = 0xffff0000;
	save->dr6 = DR6_NONE;
	save->dr7 = DR7_NONE;
	save->rflags = X86_EFLAGS_FIXED;
	save->efer = EFER_SVME | EFER_NX;
	save->cr0 = X86_CR0_PG | X86_CR0_WP | X86_CR0_ET;
	save->cr4 = X86_CR4_PAE;
	/*
	 * The CPU ignores this field without nested paging; it holds the value
	 * at RESET.
	 */
	save->g_pat = 0x0007040600070406ull;
}

/* In the map of ports each bit is set, so it also serves as one for MSRs. */
void svm_update_msr_map(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	struct page *map = msrpm;

	if (rcu_access_pointer(vcpu->vm->msr_filter) || pv_in_force(vcpu))
		map = iopm;
	else if (READ_ONCE(vcpu->vm->controls) & WATCH_MSRS)
		map = msrpm_watched;
	BUILD_BUG_ON(MSRPM_ORDER > IOPM_ORDER);
	vmcb->control.msrpm_pa = __sme_set(page_to_phys(map));
	vmcb_dirty(vmcb, CLEAN_PERM_MAPS);
}

void svm_vcpu_reset(struct vigil_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u64 cr3 = vmcb->save.cr3;

	memset(&vmcb->control, 0, sizeof(vmcb->control));
	set_intercepts(vcpu, vmcb);
	vmcb->control.iopm_pa = __sme_set(page_to_phys(iopm));
	svm_update_controls(vcpu);
	vmcb->control.int_control = V_INTR_MASKING;
	vmcb->control.tsc_offset = vcpu->tsc_offset;
	reset_save(&vmcb->save);
	/* CR3 of the VMCB keeps the shadow root until shadow/ sets another. */
	vmcb->save.cr3 = cr3;

	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_NONE;
	vcpu->dr7 = DR7_NONE;
	svm->injected = 0;
	svm->stepping = false;
	svm->await_iret = false;
	svm->asid_generation = 0;
}

void svm_set_tsc_offset(struct vigil_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.tsc_offset = vcpu->tsc_offset;
	vmcb_dirty(vmcb, CLEAN_INTERCEPTS);
}

/* APM vol. 2, "Canonicalization and Consistency Checks" of VMRUN */
const char *svm_entry_problem(struct vigil_vcpu *vcpu)
{
	const struct vmcb *vmcb = to_svm(vcpu)->vmcb;
	const struct vmcb_save *s = &vmcb->save;
	bool long_mode = (s->efer & EFER_LME) && (s->cr0 & X86_CR0_PG);

	if (vmcb->control.nested_control & NP_ENABLE)
		return "nested paging is on";
	if (!(s->efer & EFER_SVME))
		return "EFER.SVME is clear";
	if (s->efer & ~(u64)(EFER_SVME | EFER_NX | EFER_SCE | EFER_LME |
			     EFER_LMA | EFER_FFXSR | EFER_LMSLE))
		return "reserved bits of EFER are set";
	if ((s->cr0 & X86_CR0_NW) && !(s->cr0 & X86_CR0_CD))
		return "CR0.NW is set without CR0.CD";
	if (s->cr0 >> 32)
		return "reserved bits of CR0 are set";
	if ((s->dr6 | s->dr7) >> 32)
		return "reserved bits of DR6 or DR7 are set";
	if (long_mode && !(s->cr4 & X86_CR4_PAE))
		return "long mode without CR4.PAE";
	if (long_mode && !(s->cr0 & X86_CR0_PE))
		return "long mode without CR0.PE";
	if (long_mode && (s->cs.attr & SEG_ATTR_L) &&
	    (s->cs.attr & SEG_ATTR_DB))
		return "CS has both L and D";
	if (!vmcb->control.asid)
		return "the ASID is 0";
	if ((vmcb->control.event_inj & EVT_VALID) &&
	    (vmcb->control.event_inj & EVT_TYPE) == EVT_TYPE_EXCEPTION &&
	    ((vmcb->control.event_inj & EVT_VECTOR) == 2 ||
	     (vmcb->control.event_inj & EVT_VECTOR) > 31))
		return "the injected exception does not exist";
	return NULL;
}
