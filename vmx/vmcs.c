// SPDX-License-Identifier: GPL-2.0
/* VMCS life: allocation, activation, controls, state at RESET, what entries refuse. */
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>

#include "vmx.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cr.h"
#include "vmm/exit/exit.h"
#include "vmm/monitor/watch.h"
#include "vmm/pv/pv.h"

/*
 * Bitmaps for reads and writes of the low and the high MSRs. All guests share
 * them; msr_all is for those with a filter, msr_watched for those of which a monitor
 * watches MSRs.
 */
static u8 *msr_map, *msr_all, *msr_watched;
/* Numbers of vCPUs for the TLB; VPID 0 belongs to the host. */
static DEFINE_IDA(vpids);
#define MAX_VPID 0xffff

int vmx_maps_alloc(void)
{
	msr_map = (u8 *)__get_free_page(GFP_KERNEL);
	msr_all = (u8 *)__get_free_page(GFP_KERNEL);
	msr_watched = (u8 *)__get_free_page(GFP_KERNEL);
	if (!msr_map || !msr_all || !msr_watched) {
		vmx_maps_free();
		return -ENOMEM;
	}
	memset(msr_map, 0xff, PAGE_SIZE);
	memset(msr_all, 0xff, PAGE_SIZE);
	memset(msr_watched, 0xff, PAGE_SIZE);
	vmx_msr_map_init(msr_map, false);
	vmx_msr_map_init(msr_watched, true);
	return 0;
}

void vmx_maps_free(void)
{
	free_page((unsigned long)msr_map);
	free_page((unsigned long)msr_all);
	free_page((unsigned long)msr_watched);
	msr_map = NULL;
	msr_all = NULL;
	msr_watched = NULL;
	ida_destroy(&vpids);
}

int vmx_vm_init(struct vigil_vm *vm)
{
	return 0;
}

void vmx_vm_destroy(struct vigil_vm *vm)
{
}

int vmx_vcpu_create(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = kzalloc(sizeof(*vmx), GFP_KERNEL_ACCOUNT);
	int vpid;

	if (!vmx)
		return -ENOMEM;
	vmx->vmcs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs) {
		kfree(vmx);
		return -ENOMEM;
	}
	vmx->vmcs->revision = vmx_caps.revision;
	vmx->vmcs_pa = __pa(vmx->vmcs);
	vmx->vmcs_cpu = -1;
	vmx->cpu = -1;
	INIT_LIST_HEAD(&vmx->link);
	/* Without a free VPID the vCPU's translations are not tagged. */
	vpid = vmx_caps.vpid ?
		       ida_alloc_range(&vpids, 1, MAX_VPID, GFP_KERNEL) :
		       0;
	vmx->vpid = vpid > 0 ? vpid : 0;
	vcpu->vendor = vmx;
	return 0;
}

void vmx_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx_deactivate(vmx);
	if (vmx->vpid)
		ida_free(&vpids, vmx->vpid);
	free_page((unsigned long)vmx->vmcs);
	kfree(vmx);
	vcpu->vendor = NULL;
}

/* ---- the CPU that has it ---- */

/* selftests/models/vmcs.pml explores this */
void vmx_deactivate_here(struct vmx_vcpu *vmx)
{
	struct vmx_cpu *vc = this_cpu_ptr(&vmx_cpu);

	vmx_vmclear(vmx->vmcs_pa);
	if (vc->current_vmcs == vmx)
		vc->current_vmcs = NULL;
	list_del_init(&vmx->link);
	vmx->launched = false;
	/*
	 * A CPU that reads -1 here may activate the VMCS: the VMCLEAR must be
	 * visible to it first.
	 */
	smp_store_release(&vmx->vmcs_cpu, -1);
}

/* selftests/models/vmcs.pml explores this */
static void deactivate_ipi(void *data)
{
	struct vmx_vcpu *vmx = data;

	if (vmx->vmcs_cpu == smp_processor_id())
		vmx_deactivate_here(vmx);
}

/* selftests/models/vmcs.pml explores this */
void vmx_deactivate(struct vmx_vcpu *vmx)
{
	int cpu;

	/*
	 * A CPU that cannot be called is going offline, and deactivates its
	 * VMCSs itself.
	 */
	while ((cpu = smp_load_acquire(&vmx->vmcs_cpu)) >= 0) {
		if (smp_call_function_single(cpu, deactivate_ipi, vmx, 1))
			cpu_relax();
	}
}

/* ---- controls and RESET ---- */

void vmx_set_cpu_ctl(struct vmx_vcpu *vmx, u32 bits, bool on)
{
	u32 ctl = on ? vmx->cpu_ctl | bits : vmx->cpu_ctl & ~bits;

	if (ctl == vmx->cpu_ctl)
		return;
	vmx->cpu_ctl = ctl;
	vmcs_write32(CPU_BASED_CONTROLS, ctl);
}

/*
 * #PF is intercepted for shadow paging; #DB and #AC, because their own delivery
 * can raise them again, for ever, without ever leaving the guest; #MC, because
 * it is the host's; #UD, for the hypercalls of a paravirtual guest. All other
 * exceptions reach the guest without an exit.
 */
static void reset_controls(struct vigil_vcpu *vcpu, struct vmx_vcpu *vmx)
{
	vmx->pin_ctl = vmx_caps.pin;
	vmx->cpu_ctl = vmx_caps.cpu;
	vmx->cpu2_ctl = vmx_caps.cpu2 | (vmx->vpid ? CPU2_VPID : 0);
	vmx->entry_ctl = vmx_caps.entry;
	vmcs_write32(PIN_BASED_CONTROLS, vmx->pin_ctl);
	vmcs_write32(CPU_BASED_CONTROLS, vmx->cpu_ctl);
	if (vmx->cpu_ctl & CPU_SECONDARY)
		vmcs_write32(SECONDARY_CONTROLS, vmx->cpu2_ctl);
	vmcs_write32(EXIT_CONTROLS, vmx_caps.exit);
	vmcs_write32(ENTRY_CONTROLS, vmx->entry_ctl);
	if (vmx->vpid)
		vmcs_write16(VPID, vmx->vpid);
	/* No guest has SGX, so every leaf of ENCLS exits. */
	if (vmx_caps.encls)
		vmcs_write64(ENCLS_EXITING_BITMAP, ~0ull);

	if (vmx_if0_timer)
		vmcs_write32(PREEMPTION_TIMER, vmx_if0_timer);
	vmcs_write32(EXCEPTION_BITMAP, EXIT_EXCEPTIONS | pv_exceptions(vcpu));
	vmcs_write32(PF_ERROR_CODE_MASK, 0);
	vmcs_write32(PF_ERROR_CODE_MATCH, 0);
	vmx_update_msr_map(vcpu);
	vmcs_writel(CR0_MASK, ~0ul);
	vmcs_writel(CR4_MASK, ~0ul);
	vmcs_write32(CR3_TARGET_COUNT, 0);
	vmcs_write32(EXIT_MSR_STORE_COUNT, 0);
	vmcs_write32(EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write32(ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write32(ENTRY_INTERRUPTION_INFO, 0);
	vmcs_write64(VMCS_LINK_POINTER, ~0ull);
}

/*
 * Host fields that are the same on all CPUs and at all times, and the first
 * values of the others.
 */
static void reset_host(struct vmx_vcpu *vmx)
{
	u64 efer;

	memset(&vmx->host, 0, sizeof(vmx->host));
	vmcs_write16(HOST_DS_SELECTOR, 0);
	vmcs_write16(HOST_ES_SELECTOR, 0);
	vmcs_write16(HOST_FS_SELECTOR, 0);
	vmcs_write16(HOST_GS_SELECTOR, 0);
	vmcs_writel(HOST_FS_BASE, 0);
	rdmsrl(MSR_EFER, efer);
	vmcs_write64(HOST_IA32_EFER, efer);
	vmcs_write16(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write16(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write16(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmcs_writel(HOST_RIP, (unsigned long)vmx_exit_entry);
}

static void reset_seg(struct vmx_vcpu *vmx, enum vigil_seg seg, u32 ar)
{
	struct vmx_seg s = { .limit = 0xffff, .ar = ar };

	if (seg == SEG_CS) {
		s.selector = 0xf000;
		s.base = 0xffff0000;
	}
	vmx_seg_write(vmx, seg, &s);
}

/* SDM volume 3, "Processor State After Reset" */
static void reset_guest(struct vmx_vcpu *vmx)
{
	reset_seg(vmx, SEG_ES, 0x93);
	reset_seg(vmx, SEG_CS, 0x9b);
	reset_seg(vmx, SEG_SS, 0x93);
	reset_seg(vmx, SEG_DS, 0x93);
	reset_seg(vmx, SEG_FS, 0x93);
	reset_seg(vmx, SEG_GS, 0x93);
	reset_seg(vmx, SEG_LDTR, 0x82);
	reset_seg(vmx, SEG_TR, 0x8b);
	vmcs_writel(GUEST_GDTR_BASE, 0);
	vmcs_write32(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_writel(GUEST_IDTR_BASE, 0);
	vmcs_write32(GUEST_IDTR_LIMIT, 0xffff);
	vmcs_write64(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write32(GUEST_SYSENTER_CS, 0);
	vmcs_writel(GUEST_SYSENTER_ESP, 0);
	vmcs_writel(GUEST_SYSENTER_EIP, 0);
	vmcs_write32(GUEST_ACTIVITY_STATE, 0);
	vmcs_writel(GUEST_PENDING_DEBUG, 0);
	vmx_set_interruptibility(vmx, 0);
	vmx->rip = 0xfff0;
	vmx->rsp = 0;
	vmx->rflags = X86_EFLAGS_FIXED;
	vmcs_writel(GUEST_RIP, vmx->rip);
	vmcs_writel(GUEST_RSP, vmx->rsp);
	vmcs_writel(GUEST_RFLAGS, vmx->rflags);
}

void vmx_vcpu_reset(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	reset_controls(vcpu, vmx);
	reset_host(vmx);
	reset_guest(vmx);
	vmx_set_tsc_offset(vcpu);

	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_NONE;
	vcpu->dr7 = DR7_NONE;
	memset(vmx->msr, 0, sizeof(vmx->msr));
	vmx->kernel_gs_base = 0;
	vmx->injected = 0;
	vmx->flush = true;
}

void vmx_update_msr_map(struct vigil_vcpu *vcpu)
{
	u8 *map = msr_map;

	if (rcu_access_pointer(vcpu->vm->msr_filter) || pv_in_force(vcpu))
		map = msr_all;
	else if (READ_ONCE(vcpu->vm->controls) & WATCH_MSRS)
		map = msr_watched;
	vmcs_write64(MSR_BITMAP, __pa(map));
}

void vmx_set_tsc_offset(struct vigil_vcpu *vcpu)
{
	vmcs_write64(TSC_OFFSET, vcpu->tsc_offset);
}

/* ---- what entries refuse ---- */

static bool limit_bad(const struct vmx_seg *s)
{
	return s->ar & SEG_AR_G ? (s->limit & 0xfff) != 0xfff : s->limit >> 20;
}

/* "Checks on Guest Segment Registers": one segment in virtual-8086 mode */
static const char *vm86_problem(const struct vmx_seg *s)
{
	if (s->base != (unsigned long)s->selector << 4)
		return "virtual-8086 mode: a segment's base is not 16 times its selector";
	if (s->limit != 0xffff)
		return "virtual-8086 mode: a segment's limit is not FFFF";
	if (s->ar != 0xf3)
		return "virtual-8086 mode: a segment's access rights are not F3";
	return NULL;
}

static unsigned int seg_dpl(const struct vmx_seg *s)
{
	return (s->ar >> SEG_AR_DPL_SHIFT) & 3;
}

static bool is_conforming(const struct vmx_seg *cs)
{
	return (cs->ar & SEG_AR_TYPE) >= 13;
}

static const char *cs_dpl_problem(const struct vmx_seg *cs,
				  const struct vmx_seg *ss)
{
	if (!is_conforming(cs))
		return seg_dpl(cs) != seg_dpl(ss) ? "CS.DPL is not SS.DPL" :
						    NULL;
	return seg_dpl(cs) > seg_dpl(ss) ?
		       "CS is conforming with DPL above SS.DPL" :
		       NULL;
}

/*
 * Finds violations of "Checks on Guest Segment Registers" that a guest can
 * cause by itself: segment registers still hold what real mode has left in
 * them. The guest's next far jump and loads end that.
 */
static const char *transition_problem(struct vmx_vcpu *vmx)
{
	const struct vmx_seg *cs = vmx_seg(vmx, SEG_CS),
			     *ss = vmx_seg(vmx, SEG_SS), *s;
	const char *why;
	int seg;

	if (vmx->on_ept)
		return NULL;
	if ((cs->ar & SEG_AR_TYPE) == 3)
		return "CS is a data segment, as real mode leaves it";
	why = cs_dpl_problem(cs, ss);
	if (why)
		return why;
	if ((ss->selector ^ cs->selector) & 3)
		return "SS.RPL is not CS.RPL";
	if (seg_dpl(ss) != (ss->selector & 3))
		return "SS.DPL is not SS.RPL";
	for (seg = SEG_ES; seg <= SEG_GS; seg++) {
		if (seg == SEG_CS || seg == SEG_SS ||
		    (vmx_seg_ar(vmx, seg) & SEG_AR_UNUSABLE))
			continue;
		s = vmx_seg(vmx, seg);
		if ((s->ar & SEG_AR_TYPE) <= 11 &&
		    seg_dpl(s) < (s->selector & 3))
			return "a data segment has RPL above DPL";
	}
	return NULL;
}

static const char *cs_problem(struct vmx_vcpu *vmx, bool long_mode)
{
	const struct vmx_seg *cs = vmx_seg(vmx, SEG_CS);

	if (cs->ar & SEG_AR_UNUSABLE)
		return "CS is unusable";
	switch (cs->ar & SEG_AR_TYPE) {
	case 3:
		if (seg_dpl(cs))
			return "CS is a data segment with DPL above 0";
		break;
	case 9:
	case 11:
	case 13:
	case 15:
		/* With paging on, transition_problem() reports this. */
		if (vmx->on_ept)
			return cs_dpl_problem(cs, vmx_seg(vmx, SEG_SS));
		break;
	default:
		return "CS is no accessed code segment";
	}
	if (long_mode && (cs->ar & SEG_AR_L) && (cs->ar & SEG_AR_DB))
		return "CS has both L and D";
	return NULL;
}

static const char *ss_problem(struct vmx_vcpu *vmx, bool protmode)
{
	const struct vmx_seg *ss = vmx_seg(vmx, SEG_SS);
	unsigned int type = ss->ar & SEG_AR_TYPE;

	if ((!protmode || (vmx_seg_ar(vmx, SEG_CS) & SEG_AR_TYPE) == 3) &&
	    seg_dpl(ss))
		return "SS.DPL is not 0 in real mode or with a data segment in CS";
	if (!(ss->ar & SEG_AR_UNUSABLE) && type != 3 && type != 7)
		return "SS is no accessed, writable data segment";
	return NULL;
}

static const char *data_problem(struct vmx_vcpu *vmx, enum vigil_seg seg)
{
	const struct vmx_seg *s = vmx_seg(vmx, seg);

	if (!(s->ar & SEG_AR_ACCESSED))
		return "a data segment was not accessed";
	if ((s->ar & SEG_AR_CODE) && !(s->ar & 2))
		return "a data segment is unreadable code";
	return NULL;
}

static const char *common_problem(const struct vmx_seg *s, enum vigil_seg seg)
{
	if (!(s->ar & SEG_AR_S))
		return "a segment register holds a system descriptor";
	if (!(s->ar & SEG_AR_P))
		return "a segment is not present";
	if (s->ar & SEG_AR_RESERVED)
		return "reserved access rights of a segment are set";
	if (limit_bad(s))
		return "a segment's limit does not fit its G bit";
	if (seg < SEG_FS && s->base >> 32)
		return "the base of CS, SS, DS or ES has more than 32 bits";
	return NULL;
}

static const char *system_problem(struct vmx_vcpu *vmx, bool long_mode)
{
	const struct vmx_seg *tr = vmx_seg(vmx, SEG_TR);
	const struct vmx_seg *ldtr = vmx_seg(vmx, SEG_LDTR);
	unsigned int type = tr->ar & SEG_AR_TYPE;

	if (tr->ar & SEG_AR_UNUSABLE)
		return "TR is unusable";
	if (tr->selector & 4)
		return "TR is in the LDT";
	if ((tr->ar & SEG_AR_S) || !(tr->ar & SEG_AR_P) ||
	    (type != 11 && (type != 3 || long_mode)))
		return "TR is no busy TSS of the mode";
	if (limit_bad(tr))
		return "TR's limit does not fit its G bit";
	if (ldtr->ar & SEG_AR_UNUSABLE)
		return NULL;
	if (ldtr->selector & 4)
		return "LDTR is in the LDT";
	if ((ldtr->ar & SEG_AR_S) || !(ldtr->ar & SEG_AR_P) ||
	    (ldtr->ar & SEG_AR_TYPE) != 2)
		return "LDTR is no LDT";
	return limit_bad(ldtr) ? "LDTR's limit does not fit its G bit" : NULL;
}

/* CS, SS, DS, ES, FS, GS */
static const char *segment_problem(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	const char *why = NULL;
	int seg;

	if (vcpu->rflags & X86_EFLAGS_VM) {
		for (seg = SEG_ES; seg <= SEG_GS && !why; seg++)
			why = vm86_problem(vmx_seg(vmx, seg));
		return why;
	}
	why = cs_problem(vmx, is_long_mode(vcpu));
	if (!why)
		why = ss_problem(vmx, is_protmode(vcpu));
	for (seg = SEG_ES; seg <= SEG_GS && !why; seg++) {
		if (vmx_seg_ar(vmx, seg) & SEG_AR_UNUSABLE)
			continue;
		if (seg != SEG_CS && seg != SEG_SS)
			why = data_problem(vmx, seg);
		if (!why)
			why = common_problem(vmx_seg(vmx, seg), seg);
	}
	return why;
}

bool vmx_in_transition(struct vigil_vcpu *vcpu)
{
	return is_paging(vcpu) && !(vcpu->rflags & X86_EFLAGS_VM) &&
	       transition_problem(to_vmx(vcpu)) && !segment_problem(vcpu);
}

/* SDM volume 3, "Checks on Guest Control Registers", "... RIP and RFLAGS" */
static const char *mode_problem(struct vigil_vcpu *vcpu)
{
	bool code_64 = is_long_mode(vcpu) && vmx_code_bits(vcpu) == 64;

	if (!is_protmode(vcpu) && !shadow_direct_ept)
		return "real mode needs \"unrestricted guest\", which this CPU does not have";
	if (is_long_mode(vcpu) && !is_pae(vcpu))
		return "long mode without CR4.PAE";
	if (vcpu->rflags &
	    ~(u64)(GENMASK(21, 0) & ~(BIT(3) | BIT(5) | BIT(15))))
		return "reserved bits of RFLAGS are set";
	if ((vcpu->rflags & X86_EFLAGS_VM) &&
	    (is_long_mode(vcpu) || !is_protmode(vcpu)))
		return "RFLAGS.VM is set in long mode or real mode";
	if (!code_64 && vcpu->rip >> 32)
		return "RIP has more than 32 bits outside 64-bit mode";
	if (vcpu->dr7 >> 32)
		return "reserved bits of DR7 are set";
	return NULL;
}

static const char *table_problem(void)
{
	if ((vmcs_read32(GUEST_GDTR_LIMIT) | vmcs_read32(GUEST_IDTR_LIMIT)) >>
	    16)
		return "the limit of GDTR or IDTR has more than 16 bits";
	return NULL;
}

const char *vmx_entry_problem(struct vigil_vcpu *vcpu)
{
	const char *why = mode_problem(vcpu);

	if (!why)
		why = segment_problem(vcpu);
	if (!why && !(vcpu->rflags & X86_EFLAGS_VM))
		why = transition_problem(to_vmx(vcpu));
	if (!why)
		why = system_problem(to_vmx(vcpu), is_long_mode(vcpu));
	if (!why)
		why = table_problem();
	return why;
}
