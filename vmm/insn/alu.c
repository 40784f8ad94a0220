// SPDX-License-Identifier: GPL-2.0
/*
 * Integer arithmetic and its flags.
 *
 * Flags that the architecture leaves undefined get the values that AMD's
 * processors give them, as far as those are simple.
 */
#include "emul.h"

/* ---- flags ---- */

void emul_set_flags(struct emul_ctxt *c, u64 mask, u64 val)
{
	c->w.rflags = (c->w.rflags & ~mask) | (val & mask);
}

static bool parity_even(u8 v)
{
	v ^= v >> 4;
	v ^= v >> 2;
	v ^= v >> 1;
	return !(v & 1);
}

u64 emul_flags_szp(u64 res, unsigned int bytes)
{
	u64 fl = 0;

	res &= emul_mask(bytes);
	if (res & emul_sign(bytes))
		fl |= X86_EFLAGS_SF;
	if (!res)
		fl |= X86_EFLAGS_ZF;
	if (parity_even(res))
		fl |= X86_EFLAGS_PF;
	return fl;
}

u64 emul_add(struct emul_ctxt *c, u64 a, u64 b, u64 carry, unsigned int bytes)
{
	u64 mask = emul_mask(bytes), res, fl;

	a &= mask;
	b &= mask;
	res = (a + b + carry) & mask;
	fl = emul_flags_szp(res, bytes);
	if (res < a || (carry && res == a))
		fl |= X86_EFLAGS_CF;
	if ((a ^ b ^ res) & 0x10)
		fl |= X86_EFLAGS_AF;
	if ((a ^ res) & (b ^ res) & emul_sign(bytes))
		fl |= X86_EFLAGS_OF;
	emul_set_flags(c, ARITH_FLAGS, fl);
	return res;
}

u64 emul_sub(struct emul_ctxt *c, u64 a, u64 b, u64 borrow, unsigned int bytes)
{
	u64 mask = emul_mask(bytes), res, fl;

	a &= mask;
	b &= mask;
	res = (a - b - borrow) & mask;
	fl = emul_flags_szp(res, bytes);
	if (a < b || (borrow && a == b))
		fl |= X86_EFLAGS_CF;
	if ((a ^ b ^ res) & 0x10)
		fl |= X86_EFLAGS_AF;
	if ((a ^ b) & (a ^ res) & emul_sign(bytes))
		fl |= X86_EFLAGS_OF;
	emul_set_flags(c, ARITH_FLAGS, fl);
	return res;
}

static u64 logic(struct emul_ctxt *c, u64 res)
{
	unsigned int bytes = emul_size0(c);

	res &= emul_mask(bytes);
	emul_set_flags(c, ARITH_FLAGS, emul_flags_szp(res, bytes));
	return res;
}

bool emul_condition(const struct emul_ctxt *c, unsigned int cc)
{
	u64 fl = c->w.rflags;
	bool less = !(fl & X86_EFLAGS_SF) != !(fl & X86_EFLAGS_OF);
	bool res = false;

	switch ((cc >> 1) & 7) {
	case 0:
		res = fl & X86_EFLAGS_OF;
		break;
	case 1:
		res = fl & X86_EFLAGS_CF;
		break;
	case 2:
		res = fl & X86_EFLAGS_ZF;
		break;
	case 3:
		res = fl & (X86_EFLAGS_CF | X86_EFLAGS_ZF);
		break;
	case 4:
		res = fl & X86_EFLAGS_SF;
		break;
	case 5:
		res = fl & X86_EFLAGS_PF;
		break;
	case 6:
		res = less;
		break;
	case 7:
		res = less || fl & X86_EFLAGS_ZF;
		break;
	}
	return res != (cc & 1);
}

/* ---- two-operand ALU ---- */

static u64 carry(const struct emul_ctxt *c)
{
	return !!(c->w.rflags & X86_EFLAGS_CF);
}

static u64 do_add(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_add(c, old, src, 0, emul_size0(c));
}

static u64 do_adc(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_add(c, old, src, carry(c), emul_size0(c));
}

static u64 do_sub(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_sub(c, old, src, 0, emul_size0(c));
}

static u64 do_sbb(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_sub(c, old, src, carry(c), emul_size0(c));
}

static u64 do_or(struct emul_ctxt *c, u64 old, u64 src)
{
	return logic(c, old | src);
}

static u64 do_and(struct emul_ctxt *c, u64 old, u64 src)
{
	return logic(c, old & src);
}

static u64 do_xor(struct emul_ctxt *c, u64 old, u64 src)
{
	return logic(c, old ^ src);
}

static u64 do_neg(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_sub(c, 0, old, 0, emul_size0(c));
}

static u64 do_not(struct emul_ctxt *c, u64 old, u64 src)
{
	return ~old;
}

/* INC and DEC do not change CF. */
static u64 do_inc(struct emul_ctxt *c, u64 old, u64 src)
{
	u64 cf = c->w.rflags & X86_EFLAGS_CF;
	u64 res = emul_add(c, old, 1, 0, emul_size0(c));

	emul_set_flags(c, X86_EFLAGS_CF, cf);
	return res;
}

static u64 do_dec(struct emul_ctxt *c, u64 old, u64 src)
{
	u64 cf = c->w.rflags & X86_EFLAGS_CF;
	u64 res = emul_sub(c, old, 1, 0, emul_size0(c));

	emul_set_flags(c, X86_EFLAGS_CF, cf);
	return res;
}

/* What the operations with one or two operands make of the destination. */
static const emul_rmw_fn alu_fns[INSN_OP_COUNT] = {
	[INSN_OP_ADD] = do_add, [INSN_OP_OR] = do_or,	[INSN_OP_ADC] = do_adc,
	[INSN_OP_SBB] = do_sbb, [INSN_OP_AND] = do_and, [INSN_OP_SUB] = do_sub,
	[INSN_OP_XOR] = do_xor, [INSN_OP_CMP] = do_sub, [INSN_OP_TEST] = do_and,
	[INSN_OP_NOT] = do_not, [INSN_OP_NEG] = do_neg, [INSN_OP_INC] = do_inc,
	[INSN_OP_DEC] = do_dec,
};

/* ADD, OR, ADC, SBB, AND, SUB, XOR */
int emul_op_alu(struct emul_ctxt *c)
{
	u64 src;
	int ret;

	ret = emul_get(c, 1, &src);
	return ret ? ret : emul_rmw(c, alu_fns[c->insn.op], src, NULL);
}

/* CMP, TEST: the flags of SUB and AND, and the destination stays as it is. */
int emul_op_compare(struct emul_ctxt *c)
{
	u64 a, b;
	int ret;

	ret = emul_get(c, 0, &a);
	if (!ret)
		ret = emul_get(c, 1, &b);
	if (!ret)
		alu_fns[c->insn.op](c, a, b);
	return ret;
}

/* NOT, NEG, INC, DEC */
int emul_op_unary(struct emul_ctxt *c)
{
	return emul_rmw(c, alu_fns[c->insn.op], 0, NULL);
}

/* ADCX and ADOX: the carry is one flag, CF or OF, and no other flag changes. */
int emul_op_add_flag(struct emul_ctxt *c)
{
	u64 flag = c->insn.op == INSN_OP_ADCX ? X86_EFLAGS_CF : X86_EFLAGS_OF;
	u64 mask = emul_mask(emul_size0(c)), a, b, in, res;
	int ret;

	ret = emul_get(c, 0, &a);
	if (!ret)
		ret = emul_get(c, 1, &b);
	if (ret)
		return ret;
	in = !!(c->w.rflags & flag);
	res = (a + b + in) & mask;
	emul_set_flags(c, flag, res < a || (in && res == a) ? flag : 0);
	return emul_put(c, 0, res);
}
