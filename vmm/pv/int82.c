// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls by INT 0x82. VMX cannot intercept INT n, and SVM could intercept all of
 * them only, so the fault that the gate raises tells of it: #NP, or #GP where the gate
 * is not open to the caller or lies beyond the IDT's limit. That costs other INT n
 * nothing, and works with an empty IDT. Where the guest has a gate of its own that is
 * present and open, its handler runs.
 */
#include <linux/types.h>
#include <asm/processor-flags.h>

#include "pv.h"
#include "vmm/exit/exit.h"
#include "vmm/exit/fetch.h"
#include "vmm/insn/decode.h"
#include "vmm/ops.h"

#define VECTOR 0x82

#define EC_INDEX(ec) ((ec) >> 3)

/*
 * Is the fault that of the gate of INT 0x82, and how long is the instruction? The error
 * code alone does not tell: QEMU doubles the index of 64-bit gates.
 *
 * Return: 1: @len is its length, or 0 for another fault. 0: enter the guest again, since
 * another vCPU has unmapped the instruction and a #PF is queued. -errno.
 */
static int int82_len(struct vigil_vcpu *vcpu, u32 ec, unsigned int *len)
{
	u8 bytes[INSN_MAX_LEN];
	struct insn insn;
	int n;

	*len = 0;
	if ((ec & (EC_EXT | EC_IDT)) != EC_IDT ||
	    (EC_INDEX(ec) != VECTOR && EC_INDEX(ec) != 2 * VECTOR))
		return 1;
	n = exit_fetch(vcpu, bytes);
	if (n <= 0)
		return n;
	if (!vigil_decode(&insn, bytes, n, vmm_ops->code_bits(vcpu)) &&
	    insn.op == INSN_OP_INT && (u8)insn.imm == VECTOR)
		*len = insn.len;
	return 1;
}

int pv_gate_fault(struct vigil_vcpu *vcpu, u8 vector, bool has_ec, u32 ec)
{
	unsigned int len = 0;
	int ret = 1;

	/*
	 * In real mode, which has no error codes, and in VM86 the instruction is the
	 * guest's.
	 */
	if (has_ec && !(vcpu->rflags & X86_EFLAGS_VM))
		ret = int82_len(vcpu, ec, &len);
	if (ret != 1) {
		vcpu->stat.exits_exception++;
		return ret ? ret : 1;
	}
	/*
	 * The delivery ends a shadow in which the instruction was. event_complete() has
	 * begun one for an INT n that is executed again; a multicall does that for each
	 * entry, and interrupts come in between.
	 */
	vmm_ops->set_irq_shadow(vcpu, false);
	if (!len || !pv_int82_accepted(vcpu))
		return exit_reflect(vcpu, vector, has_ec, ec);
	vcpu->stat.exits_exception++;
	return pv_hypercall(vcpu, len);
}
