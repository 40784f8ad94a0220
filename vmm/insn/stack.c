// SPDX-License-Identifier: GPL-2.0
/*
 * The stack, near control transfers, and the single flags.
 */
#include "emul.h"

/* ---- stack ---- */

/* The stack pointer has 8 bytes in 64-bit mode; else SS.D/B tells 2 or 4. */
static int stack_size(struct emul_ctxt *c, unsigned int *bytes)
{
	struct emul_seg ss;
	int ret;

	*bytes = 8;
	if (emul_long(c))
		return EMUL_OK;
	ret = c->ops->get_seg(c, INSN_SEG_SS, &ss);
	*bytes = ss.attr & EMUL_SEG_DB ? 4 : 2;
	return ret;
}

/* Where the stack's top is once rSP has moved by @move. */
static int stack_top(struct emul_ctxt *c, int move, u64 *sp,
		     unsigned int *width)
{
	int ret = stack_size(c, width);

	*sp = (c->w.regs[INSN_RSP] + move) & emul_mask(*width);
	return ret;
}

/* Moves rSP by @bytes, of which the lowest @stored are written. */
static int push_bytes(struct emul_ctxt *c, u64 val, unsigned int bytes,
		      unsigned int stored)
{
	unsigned int width;
	u64 sp;
	int ret;

	ret = stack_top(c, -(int)bytes, &sp, &width);
	if (ret)
		return ret;
	ret = emul_write(c, INSN_SEG_SS, sp, &val, stored, EMUL_F_STACK);
	if (!ret)
		emul_set_reg(c, INSN_RSP, width, sp);
	return ret;
}

int emul_push(struct emul_ctxt *c, u64 val, unsigned int bytes)
{
	return push_bytes(c, val, bytes, bytes);
}

int emul_pop(struct emul_ctxt *c, u64 *val, unsigned int bytes)
{
	unsigned int width;
	u64 sp;
	int ret;

	ret = stack_top(c, 0, &sp, &width);
	if (ret)
		return ret;
	*val = 0;
	ret = emul_read(c, INSN_SEG_SS, sp, val, bytes, EMUL_F_STACK);
	if (!ret)
		emul_set_reg(c, INSN_RSP, width, sp + bytes);
	return ret;
}

/*
 * Checks that @count pushes of @bytes each will not fault, so that the first is not
 * stored when the last one faults. All of them lie in two pages at most, so the
 * first and the last byte are probed; where the stack wraps around, each push is.
 * ENTER with many levels on a stack that wraps around is not checked.
 */
int emul_probe_push(struct emul_ctxt *c, unsigned int count, unsigned int bytes)
{
	unsigned int width;
	u64 sp;
	int ret;

	ret = stack_top(c, 0, &sp, &width);
	if (ret)
		return ret;
	if (sp >= count * bytes) {
		ret = emul_probe(c, INSN_SEG_SS, sp - 1, 1, EMUL_F_STACK);
		return ret ? ret :
			     emul_probe(c, INSN_SEG_SS, sp - count * bytes, 1,
					EMUL_F_STACK);
	}
	if (count > 8)
		return EMUL_OK;
	for (; !ret && count; count--) {
		sp = (sp - bytes) & emul_mask(width);
		ret = emul_probe(c, INSN_SEG_SS, sp, bytes, EMUL_F_STACK);
	}
	return ret;
}

/* RET and RETF with an immediate release so many bytes of arguments. */
int emul_release(struct emul_ctxt *c, unsigned int bytes)
{
	unsigned int width;
	u64 sp;
	int ret;

	ret = stack_top(c, bytes, &sp, &width);
	if (!ret)
		emul_set_reg(c, INSN_RSP, width, sp);
	return ret;
}

int emul_op_push(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = emul_get(c, 0, &v);
	return ret ? ret : emul_push(c, v, c->insn.opsize);
}

int emul_op_pop(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	/* the address of a memory operand is formed with the new rSP */
	ret = emul_pop(c, &v, c->insn.opsize);
	return ret ? ret : emul_put(c, 0, v);
}

int emul_op_push_seg(struct emul_ctxt *c)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, c->insn.opd[0].reg, &s);
	if (ret)
		return ret;
	if (c->insn.opsize == 4 && c->features & EMUL_FEAT_PUSH_SEG16)
		return push_bytes(c, s.sel, 4, 2);
	return emul_push(c, s.sel, c->insn.opsize);
}

int emul_op_pop_seg(struct emul_ctxt *c)
{
	u64 sel;
	int ret;

	ret = emul_pop(c, &sel, c->insn.opsize);
	if (!ret)
		ret = emul_load_seg(c, c->insn.opd[0].reg, sel);
	if (!ret && c->insn.opd[0].reg == INSN_SEG_SS)
		c->shadow |= EMUL_SHADOW_MOV_SS;
	return ret;
}

int emul_op_pusha(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize, i;
	u64 sp = c->w.regs[INSN_RSP];
	int ret;

	ret = emul_probe_push(c, 8, bytes);
	for (i = INSN_RAX; !ret && i <= INSN_RDI; i++)
		ret = emul_push(c, i == INSN_RSP ? sp : c->w.regs[i], bytes);
	return ret;
}

int emul_op_popa(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize, i;
	u64 v;
	int ret;

	for (i = INSN_RDI + 1; i-- > INSN_RAX;) {
		ret = emul_pop(c, &v, bytes);
		if (ret)
			return ret;
		if (i != INSN_RSP)
			emul_set_reg(c, i, bytes, v);
	}
	return EMUL_OK;
}

#define POPF_ALWAYS                                                    \
	(ARITH_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT | \
	 X86_EFLAGS_AC | X86_EFLAGS_ID)

/* In VM86 with IOPL below 3, PUSHF and POPF raise #GP, or VME virtualizes them. */
static int check_vm86_flags(struct emul_ctxt *c)
{
	u64 cr4;
	int ret;

	if (!emul_vm86(c) || emul_iopl(c) == 3)
		return EMUL_OK;
	ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	return cr4 & X86_CR4_VME ? EMUL_UNHANDLED : emul_gp(c, 0);
}

int emul_op_pushf(struct emul_ctxt *c)
{
	int ret = check_vm86_flags(c);

	if (ret)
		return ret;
	return emul_push(c, c->w.rflags & ~(X86_EFLAGS_RF | X86_EFLAGS_VM),
			 c->insn.opsize);
}

int emul_op_popf(struct emul_ctxt *c)
{
	u64 mask = POPF_ALWAYS, v;
	int ret;

	ret = check_vm86_flags(c);
	if (!ret)
		ret = emul_pop(c, &v, c->insn.opsize);
	if (ret)
		return ret;
	if (!c->cpl && !emul_vm86(c))
		mask |= X86_EFLAGS_IOPL;
	if (c->cpl <= emul_iopl(c))
		mask |= X86_EFLAGS_IF;
	emul_set_flags(c, mask & emul_mask(c->insn.opsize), v);
	return EMUL_OK;
}

/* ENTER pushes the frame pointers of the level - 1 outer procedures. */
static int enter_frames(struct emul_ctxt *c, unsigned int level,
			unsigned int width)
{
	unsigned int bytes = c->insn.opsize;
	u64 bp = c->w.regs[INSN_RBP], v;
	int ret;

	for (; level > 1; level--) {
		bp = (bp - bytes) & emul_mask(width);
		v = 0;
		ret = emul_read(c, INSN_SEG_SS, bp, &v, bytes, EMUL_F_STACK);
		if (!ret)
			ret = emul_push(c, v, bytes);
		if (ret)
			return ret;
	}
	return EMUL_OK;
}

int emul_op_enter(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize, level = c->insn.imm2 & 31, width;
	u64 frame, sp;
	int ret;

	ret = stack_size(c, &width);
	if (!ret)
		ret = emul_probe_push(c, 1 + level, bytes);
	if (!ret)
		ret = emul_push(c, c->w.regs[INSN_RBP], bytes);
	if (ret)
		return ret;
	frame = c->w.regs[INSN_RSP];
	if (level) {
		ret = enter_frames(c, level, width);
		if (!ret)
			ret = emul_push(c, frame, bytes);
		if (ret)
			return ret;
	}
	sp = (c->w.regs[INSN_RSP] - c->insn.imm) & emul_mask(width);
	emul_set_reg(c, INSN_RBP, bytes, frame);
	emul_set_reg(c, INSN_RSP, width, sp);
	return EMUL_OK;
}

int emul_op_leave(struct emul_ctxt *c)
{
	unsigned int width;
	u64 v;
	int ret;

	ret = stack_size(c, &width);
	if (ret)
		return ret;
	emul_set_reg(c, INSN_RSP, width, c->w.regs[INSN_RBP]);
	ret = emul_pop(c, &v, c->insn.opsize);
	if (!ret)
		emul_set_reg(c, INSN_RBP, c->insn.opsize, v);
	return ret;
}

/* ---- near control transfers ---- */

static int target(struct emul_ctxt *c, u64 *rip)
{
	int ret = emul_get(c, 0, rip);

	if (!ret && c->insn.opd[0].kind == INSN_OPD_REL)
		*rip += emul_next_rip(c);
	return ret;
}

int emul_op_jmp(struct emul_ctxt *c)
{
	u64 rip;
	int ret = target(c, &rip);

	return ret ? ret : emul_branch(c, rip);
}

int emul_op_call(struct emul_ctxt *c)
{
	u64 rip;
	int ret;

	ret = target(c, &rip);
	if (!ret)
		ret = emul_branch(c, rip);
	return ret ? ret : emul_push(c, emul_next_rip(c), c->insn.opsize);
}

int emul_op_ret(struct emul_ctxt *c)
{
	u64 rip;
	int ret;

	ret = emul_pop(c, &rip, c->insn.opsize);
	if (!ret)
		ret = emul_branch(c, rip);
	return ret ? ret : emul_release(c, c->insn.imm);
}

int emul_op_jcc(struct emul_ctxt *c)
{
	return emul_condition(c, c->insn.opcode) ? emul_op_jmp(c) : EMUL_OK;
}

int emul_op_jcxz(struct emul_ctxt *c)
{
	return emul_get_reg(c, INSN_RCX, c->insn.adsize) ? EMUL_OK :
							   emul_op_jmp(c);
}

/* LOOPNE, LOOPE, LOOP */
int emul_op_loop(struct emul_ctxt *c)
{
	unsigned int adsize = c->insn.adsize;
	u64 count = emul_get_reg(c, INSN_RCX, adsize) - 1;
	bool zf = c->w.rflags & X86_EFLAGS_ZF, take;

	emul_set_reg(c, INSN_RCX, adsize, count);
	take = count & emul_mask(adsize);
	if (c->insn.opcode == 0xe0)
		take = take && !zf;
	else if (c->insn.opcode == 0xe1)
		take = take && zf;
	return take ? emul_op_jmp(c) : EMUL_OK;
}

/* ---- single flags ---- */

int emul_op_flag_op(struct emul_ctxt *c)
{
	switch (c->insn.op) {
	case INSN_OP_CLC:
		c->w.rflags &= ~X86_EFLAGS_CF;
		break;
	case INSN_OP_STC:
		c->w.rflags |= X86_EFLAGS_CF;
		break;
	case INSN_OP_CMC:
		c->w.rflags ^= X86_EFLAGS_CF;
		break;
	case INSN_OP_CLD:
		c->w.rflags &= ~X86_EFLAGS_DF;
		break;
	case INSN_OP_STD:
		c->w.rflags |= X86_EFLAGS_DF;
		break;
	}
	return EMUL_OK;
}

/* CLI and STI need CPL <= IOPL; with VME or PVI they change RFLAGS.VIF instead. */
static int check_iopl(struct emul_ctxt *c)
{
	u64 cr4;
	int ret;

	if (!c->protected_mode || c->cpl <= emul_iopl(c))
		return EMUL_OK;
	ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	if (cr4 & (emul_vm86(c) ? X86_CR4_VME : X86_CR4_PVI) && c->cpl == 3)
		return EMUL_UNHANDLED;
	return emul_gp(c, 0);
}

int emul_op_cli(struct emul_ctxt *c)
{
	int ret = check_iopl(c);

	if (!ret)
		c->w.rflags &= ~X86_EFLAGS_IF;
	return ret;
}

int emul_op_sti(struct emul_ctxt *c)
{
	int ret = check_iopl(c);

	if (ret)
		return ret;
	if (!(c->w.rflags & X86_EFLAGS_IF))
		c->shadow |= EMUL_SHADOW_STI;
	c->w.rflags |= X86_EFLAGS_IF;
	return EMUL_OK;
}
