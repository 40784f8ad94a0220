// SPDX-License-Identifier: GPL-2.0
/*
 * The short way of a plain store that has faulted. It does no check that the fault has
 * not made superfluous, and sends what it does not know to the emulator, before it has
 * changed anything.
 */
#include <asm/processor-flags.h>

#include "emul_ops.h"
#include "store.h"
#include "vmm/cpu/cr.h"
#include "vmm/ops.h"
#include "vmm/trace.h"

/*
 * Finds the linear address. False: the emulator has to look at the segment. Data
 * segments but FS and GS have neither base nor limit in 64-bit mode.
 */
static bool store_address(struct vigil_vcpu *vcpu, const struct insn *insn,
			  gva_t *la)
{
	*la = vigil_insn_ea(insn, (const u64 *)vcpu->regs, vcpu->rip);
	if (insn->mode == INSN_MODE_64) {
		if (insn->seg == INSN_SEG_FS || insn->seg == INSN_SEG_GS)
			*la += vmm_call(
				get_seg_base)(vcpu, (enum vigil_seg)insn->seg);
		return true;
	}
	return is_protmode(vcpu) && !(vcpu->rflags & X86_EFLAGS_VM) &&
	       vmm_call(flat_segment)(vcpu, (enum vigil_seg)insn->seg);
}

/*
 * Is it the store that was walked for? The bytes at RIP may be others than those that
 * have faulted, because another vCPU writes them. Then @la is elsewhere, or the access
 * of another kind: that of a CPU at CPL 3 to a descriptor is a supervisor's.
 */
static bool store_walked(struct vigil_vcpu *vcpu, gva_t la, unsigned int bytes)
{
	u32 access = vmm_call(get_cpl)(vcpu) == 3 ? PFERR_W | PFERR_U : PFERR_W;
	/* Without paging there are no levels, and EPT tells of none. */
	u32 levels = is_paging(vcpu) ? 0 : PFERR_U;

	return vcpu->xlat.page == (la & PAGE_MASK) &&
	       (vcpu->xlat.access | levels) == (access | levels) &&
	       offset_in_page(la) + bytes <= PAGE_SIZE;
}

/*
 * A trap behind the instruction, RF that it clears, and #AC that it may raise are for
 * the emulator; so is an instruction whose store is held already.
 */
static bool store_simple(const struct vigil_vcpu *vcpu)
{
	return !(vcpu->rflags &
		 (X86_EFLAGS_TF | X86_EFLAGS_RF | X86_EFLAGS_AC)) &&
	       !(vcpu->dr7 & DR7_ENABLES) && !vcpu->held;
}

int store_short(struct vigil_vcpu *vcpu)
{
	const struct insn *insn = &vcpu->emul.insn;
	const struct insn_opd *src = &insn->opd[1];
	unsigned int bytes = insn->opd[0].size;
	const void *data = &insn->imm;
	unsigned long rip;
	gva_t la;
	int ret;

	if (unlikely(!store_simple(vcpu)) ||
	    unlikely(!store_address(vcpu, insn, &la)) ||
	    unlikely(!store_walked(vcpu, la, bytes)))
		return EMUL_PENDING;
	/* x86 is little-endian: the low bytes come first. */
	if (src->kind == INSN_OPD_REG)
		data = &vcpu->regs[src->reg & 15];
	vcpu->emul_errno = 0;
	ret = emulctl_store(vcpu, la, vcpu->xlat.gpa | offset_in_page(la), data,
			    bytes);
	if (unlikely(ret == EMUL_PENDING))
		return ret;
	trace_vigil_emulate(vcpu, ret);
	if (unlikely(ret))
		return ret;
	rip = vcpu->rip + insn->len;
	vcpu->rip = insn->mode == INSN_MODE_64 ? rip : (u32)rip;
	vmm_call(set_irq_shadow)(vcpu, false);
	vcpu->stat.emulated++;
	vcpu->stat.emul_short++;
	return EMUL_OK;
}
