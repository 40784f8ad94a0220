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

#define EC_INDEX(ec) ((ec) >> 3)

/* Is the fault that of a gate, which an instruction has named? */
static bool is_gate(u32 ec)
{
	return (ec & (EC_EXT | EC_IDT)) == EC_IDT;
}

/* The vector of INT n, INT3 or INTO; -1: it is another instruction. */
static int vector_of(const struct insn *insn)
{
	switch (insn->op) {
	case INSN_OP_INT:
		return (u8)insn->imm;
	case INSN_OP_INT3:
		return X86_TRAP_BP;
	case INSN_OP_INTO:
		return X86_TRAP_OF;
	}
	return -1;
}

/* The same for an instruction that is not plain INT n; 0: it is another fault. */
static noinline unsigned int other_len(struct vigil_vcpu *vcpu, u32 index,
				       const u8 *bytes, unsigned int n,
				       u8 *vector)
{
	struct insn insn;
	int found;

	if (vigil_decode(&insn, bytes, n, vmm_call(code_bits)(vcpu)))
		return 0;
	*vector = found = vector_of(&insn);
	return found >= 0 && (index == found || index == 2 * found) ? insn.len :
								      0;
}

/*
 * Is the fault that of the gate of INT n, and how long is the instruction? The error
 * code alone does not tell: QEMU doubles the index of 64-bit gates. With the guest's own
 * tables only INT 0x82 matters.
 *
 * Return: 1: @len is its length, or 0 for another fault. 0: enter the guest again, since
 * another vCPU has unmapped the instruction and a #PF is queued. -errno.
 */
static __always_inline int soft_len(struct vigil_vcpu *vcpu, u32 ec,
				    unsigned int *len, u8 *vector)
{
	u32 index = EC_INDEX(ec);
	u8 bytes[INSN_MAX_LEN];
	int n;

	*len = 0;
	if (!is_gate(ec) ||
	    (!pv_in_force(vcpu) && index != PV_INT82 && index != 2 * PV_INT82))
		return 1;
	n = exit_fetch(vcpu, bytes);
	if (n <= 0)
		return n;
	/* INT n without a prefix, which is what programs have. */
	if (likely(bytes[0] == 0xcd && n > 1)) {
		*vector = bytes[1];
		if (index == bytes[1] || index == 2u * bytes[1])
			*len = 2;
		return 1;
	}
	*len = other_len(vcpu, index, bytes, n, vector);
	return 1;
}

int pv_gate_fault(struct vigil_vcpu *vcpu, u8 vector, bool has_ec, u32 ec)
{
	unsigned int len = 0;
	u8 n = 0;
	int ret = 1;

	/*
	 * In real mode, which has no error codes, and in VM86 the instruction is the
	 * guest's.
	 */
	if (has_ec && !(vcpu->rflags & X86_EFLAGS_VM)) {
		/*
		 * A gate has refused, so no frame was being built, whatever another
		 * vCPU makes of the instruction meanwhile.
		 */
		if (is_gate(ec))
			vcpu->pv.cut_exit = 0;
		ret = soft_len(vcpu, ec, &len, &n);
	}
	if (ret != 1) {
		vcpu->stat.exits_exception++;
		return ret ? ret : 1;
	}
	/*
	 * The delivery ends a shadow in which the instruction was. event_complete() has
	 * begun one for an INT n that is executed again; a multicall does that for each
	 * entry, and interrupts come in between.
	 */
	vmm_call(set_irq_shadow)(vcpu, false);
	if (len && n != PV_INT82 && pv_in_force(vcpu) &&
	    pv_bounce_int(vcpu, n, len, &ret))
		return ret;
	if (unlikely(pv_in_force(vcpu)) && vector == X86_TRAP_GP && has_ec &&
	    !ec && !pv_in_delivery(vcpu) && pv_general_protection(vcpu, &ret))
		return ret;
	if (!len || n != PV_INT82 || !pv_int82_accepted(vcpu))
		return exit_reflect(vcpu, vector, has_ec, ec);
	vcpu->stat.exits_exception++;
	return pv_hypercall(vcpu, len);
}
