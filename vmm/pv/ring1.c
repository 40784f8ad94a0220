// SPDX-License-Identifier: GPL-2.0
/*
 * What a kernel in ring 1 cannot do by itself: privileged instructions, which raise #GP
 * there and are done as in ring 0, and the hypercall iret.
 */
#include <linux/types.h>
#include <xen/interface/xen.h>
#include <xen/interface/callback.h>

#include "internal.h"
#include "vmm/cpu/msr.h"
#include "vmm/exit/emulctl.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/fetch.h"
#include "vmm/insn/decode.h"
#include "vmm/ops.h"

/* ---- privileged instructions ---- */

static int swapgs(struct vigil_vcpu *vcpu, unsigned int len)
{
	struct kvm_segment gs;
	u64 kernel;

	vmm_ops->get_segment(vcpu, SEG_GS, &gs);
	vmm_ops->get_msr(vcpu, MSR_KERNEL_GS_BASE, &kernel);
	vmm_ops->set_msr(vcpu, MSR_KERNEL_GS_BASE, gs.base, false);
	gs.base = kernel;
	vmm_ops->set_segment(vcpu, SEG_GS, &gs);
	exit_skip(vcpu, len);
	return 1;
}

static int read_tsc(struct vigil_vcpu *vcpu, unsigned int len, bool aux)
{
	u64 tsc = 0, id = 0;

	msr_get(vcpu, MSR_IA32_TSC, &tsc, false);
	vcpu->regs[REG_RAX] = (u32)tsc;
	vcpu->regs[REG_RDX] = tsc >> 32;
	if (aux) {
		msr_get(vcpu, MSR_TSC_AUX, &id, false);
		vcpu->regs[REG_RCX] = (u32)id;
	}
	exit_skip(vcpu, len);
	return 1;
}

/* True: @insn was done, or has raised its own exception. */
static bool privileged(struct vigil_vcpu *vcpu, const struct insn *insn,
		       int *ret)
{
	const u16 ops[] = { insn->op, INSN_OP_NONE };
	unsigned int len = insn->len;

	switch (insn->op) {
	case INSN_OP_MOV_TO_CR:
		*ret = exit_mov_to_cr(vcpu, insn->opd[0].reg, insn->opd[1].reg,
				      len);
		return true;
	case INSN_OP_MOV_FROM_CR:
		*ret = exit_mov_from_cr(vcpu, insn->opd[1].reg,
					insn->opd[0].reg, len);
		return true;
	case INSN_OP_MOV_TO_DR:
		*ret = exit_mov_dr(vcpu, insn->opd[0].reg, insn->opd[1].reg,
				   true, len);
		return true;
	case INSN_OP_MOV_FROM_DR:
		*ret = exit_mov_dr(vcpu, insn->opd[1].reg, insn->opd[0].reg,
				   false, len);
		return true;
	case INSN_OP_CLTS:
	case INSN_OP_LMSW:
	case INSN_OP_INVLPG:
	/* CR4.UMIP refuses these. */
	case INSN_OP_SMSW:
	case INSN_OP_SGDT:
	case INSN_OP_SIDT:
	case INSN_OP_SLDT:
	case INSN_OP_STR:
		*ret = exit_emulate_one_of(vcpu, ops);
		return true;
	case INSN_OP_LGDT:
	case INSN_OP_LIDT:
	case INSN_OP_LLDT:
	case INSN_OP_LTR:
		pv_tell_load(vcpu, insn);
		return false;
	case INSN_OP_HLT:
		*ret = exit_hlt(vcpu, len);
		return true;
	case INSN_OP_RDMSR:
		*ret = exit_rdmsr(vcpu, len);
		return true;
	case INSN_OP_WRMSR:
		*ret = exit_wrmsr(vcpu, len);
		return true;
	case INSN_OP_XSETBV:
		*ret = exit_xsetbv(vcpu, len);
		return true;
	case INSN_OP_INVD:
	case INSN_OP_WBINVD:
		/* Guest memory is coherent. */
		exit_skip(vcpu, len);
		*ret = 1;
		return true;
	case INSN_OP_SWAPGS:
		*ret = swapgs(vcpu, len);
		return true;
	/* CR4.TSD refuses these. */
	case INSN_OP_RDTSC:
	case INSN_OP_RDTSCP:
		*ret = read_tsc(vcpu, len, insn->op == INSN_OP_RDTSCP);
		return true;
	}
	return false;
}

bool pv_general_protection(struct vigil_vcpu *vcpu, int *ret)
{
	u8 bytes[INSN_MAX_LEN];
	struct insn insn;
	int n;

	n = exit_fetch(vcpu, bytes);
	/* No memory is there any more: the CPU has decided already. */
	if (n < 0)
		return false;
	if (!n) {
		*ret = 1;
		return true;
	}
	if (vigil_decode(&insn, bytes, n, vmm_call(code_bits)(vcpu)))
		return false;
	if (pv_system_call(vcpu, &insn, ret))
		return true;
	if (vmm_call(get_cpl)(vcpu) != 1 ||
	    insn.flags & (INSN_BAD_FORM | INSN_BAD_LOCK))
		return false;
	return privileged(vcpu, &insn, ret);
}

/* ---- the hypercall iret ---- */

int pv_iret(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	const struct pv_trap *safe =
		&vcpu->pv.tables->callback[CALLBACKTYPE_failsafe];
	/* The callback is code of ring 1. */
	u16 cs = call->cpl == 1 ? safe->cs : 0;

	return emulctl_pv_iret(vcpu, call->wide ? 8 : 4, cs, safe->ip,
			       safe->masks);
}
