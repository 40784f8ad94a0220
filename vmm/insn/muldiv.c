// SPDX-License-Identifier: GPL-2.0
/*
 * Multiplication, division, sign extension within rAX and rDX, and decimal
 * arithmetic.
 */
#include "emul.h"

struct wide {
	u64 lo, hi;
};

static struct wide mul_u64(u64 a, u64 b)
{
	u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
	u64 ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
	u64 mid = (ll >> 32) + (u32)lh + (u32)hl;

	return (struct wide){ .lo = mid << 32 | (u32)ll,
			      .hi = hh + (lh >> 32) + (hl >> 32) +
				    (mid >> 32) };
}

void emul_mul(u64 a, u64 b, u64 *lo, u64 *hi)
{
	struct wide r = mul_u64(a, b);

	*lo = r.lo;
	*hi = r.hi;
}

static struct wide mul_s64(s64 a, s64 b)
{
	struct wide r = mul_u64(a, b);

	if (a < 0)
		r.hi -= (u64)b;
	if (b < 0)
		r.hi -= (u64)a;
	return r;
}

static struct wide wide_neg(struct wide v)
{
	v.lo = ~v.lo + 1;
	v.hi = ~v.hi + !v.lo;
	return v;
}

/* Divides 128 by 64 bits, bit by bit; false if the quotient has more than 64 bits. */
static bool div_u128(struct wide n, u64 d, u64 *quot, u64 *rem)
{
	u64 r = n.hi, q = n.lo;
	unsigned int i;

	if (n.hi >= d)
		return false;
	for (i = 0; i < 64; i++) {
		bool carry = r >> 63;

		r = r << 1 | q >> 63;
		q <<= 1;
		if (carry || r >= d) {
			r -= d;
			q |= 1;
		}
	}
	*quot = q;
	*rem = r;
	return true;
}

/* Stores a result that is twice as wide as the operand: in AX, or in rDX:rAX. */
static void set_wide(struct emul_ctxt *c, struct wide v, unsigned int bytes)
{
	if (bytes == 1) {
		emul_set_reg(c, INSN_RAX, 2, v.lo);
		return;
	}
	if (bytes < 8)
		v.hi = v.lo >> (8 * bytes);
	emul_set_reg(c, INSN_RAX, bytes, v.lo);
	emul_set_reg(c, INSN_RDX, bytes, v.hi);
}

static struct wide get_wide(struct emul_ctxt *c, unsigned int bytes, bool sign)
{
	struct wide v = { 0 };

	if (bytes == 1) {
		v.lo = emul_get_reg(c, INSN_RAX, 2);
	} else if (bytes < 8) {
		v.lo = emul_get_reg(c, INSN_RAX, bytes) |
		       emul_get_reg(c, INSN_RDX, bytes) << (8 * bytes);
	} else {
		v.lo = c->w.regs[INSN_RAX];
		v.hi = c->w.regs[INSN_RDX];
	}
	if (sign && bytes < 8) {
		v.lo = emul_sext(v.lo, 2 * bytes);
		v.hi = (s64)v.lo < 0 ? ~0ULL : 0;
	}
	return v;
}

/* CF and OF tell that the upper half of the product carries information. */
static void mul_flags(struct emul_ctxt *c, u64 lo, unsigned int bytes,
		      bool significant)
{
	emul_set_flags(c, ARITH_FLAGS,
		       emul_flags_szp(lo, bytes) |
			       (significant ? X86_EFLAGS_CF | X86_EFLAGS_OF :
					      0));
}

static bool mul_overflows(struct wide r, unsigned int bytes)
{
	return bytes == 8 ? r.hi : r.lo >> (8 * bytes);
}

static bool imul_overflows(struct wide r, unsigned int bytes)
{
	u64 lo = emul_sext(r.lo, bytes);

	return bytes == 8 ? r.hi != ((s64)lo < 0 ? ~0ULL : 0) : r.lo != lo;
}

/* MUL, and IMUL with one operand: rAX times the operand, twice as wide. */
int emul_op_mul(struct emul_ctxt *c)
{
	bool sign = c->insn.op == INSN_OP_IMUL1;
	unsigned int bytes = emul_size0(c);
	u64 src, acc = emul_get_reg(c, INSN_RAX, bytes);
	struct wide r;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	r = sign ? mul_s64(emul_sext(acc, bytes), emul_sext(src, bytes)) :
		   mul_u64(acc, src);
	mul_flags(c, r.lo, bytes,
		  sign ? imul_overflows(r, bytes) : mul_overflows(r, bytes));
	set_wide(c, r, bytes);
	return EMUL_OK;
}

int emul_op_imul(struct emul_ctxt *c)
{
	unsigned int bytes = emul_size0(c);
	bool three = c->insn.opd[2].kind != INSN_OPD_NONE;
	struct wide r;
	u64 a, b;
	int ret;

	ret = emul_get(c, three ? 1 : 0, &a);
	if (!ret)
		ret = emul_get(c, three ? 2 : 1, &b);
	if (ret)
		return ret;
	r = mul_s64(emul_sext(a, bytes), emul_sext(b, bytes));
	mul_flags(c, r.lo, bytes, imul_overflows(r, bytes));
	return emul_put(c, 0, r.lo);
}

static void set_quotient(struct emul_ctxt *c, u64 quot, u64 rem,
			 unsigned int bytes)
{
	if (bytes == 1) {
		emul_set_reg(c, INSN_RAX, 2, (quot & 0xff) | (rem & 0xff) << 8);
		return;
	}
	emul_set_reg(c, INSN_RAX, bytes, quot);
	emul_set_reg(c, INSN_RDX, bytes, rem);
}

int emul_op_div(struct emul_ctxt *c)
{
	unsigned int bytes = emul_size0(c);
	u64 src, quot, rem;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	if (!src || !div_u128(get_wide(c, bytes, false), src, &quot, &rem) ||
	    quot > emul_mask(bytes))
		return emul_raise(c, X86_TRAP_DE, 0);
	set_quotient(c, quot, rem, bytes);
	return EMUL_OK;
}

int emul_op_idiv(struct emul_ctxt *c)
{
	unsigned int bytes = emul_size0(c);
	u64 src, quot, rem, limit;
	struct wide n;
	bool neg_n, neg_q;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	n = get_wide(c, bytes, true);
	src = emul_sext(src, bytes);
	neg_n = (s64)n.hi < 0;
	neg_q = neg_n != ((s64)src < 0);
	if (neg_n)
		n = wide_neg(n);
	if ((s64)src < 0)
		src = -src;
	limit = emul_sign(bytes) - !neg_q;
	if (!src || !div_u128(n, src, &quot, &rem) || quot > limit)
		return emul_raise(c, X86_TRAP_DE, 0);
	set_quotient(c, neg_q ? -quot : quot, neg_n ? -rem : rem, bytes);
	return EMUL_OK;
}

/* CBW, CWDE, CDQE: the lower half of rAX into all of it */
int emul_op_cbw(struct emul_ctxt *c)
{
	unsigned int bytes = emul_size0(c);

	emul_set_reg(c, INSN_RAX, bytes,
		     emul_sext(c->w.regs[INSN_RAX], bytes / 2));
	return EMUL_OK;
}

/* CWD, CDQ, CQO: the sign of rAX into rDX */
int emul_op_cwd(struct emul_ctxt *c)
{
	unsigned int bytes = emul_size0(c);
	bool sign = c->w.regs[INSN_RAX] & emul_sign(bytes);

	emul_set_reg(c, INSN_RDX, bytes, sign ? ~0ULL : 0);
	return EMUL_OK;
}

/* ---- decimal arithmetic ---- */

/* DAA, DAS */
int emul_op_decimal(struct emul_ctxt *c)
{
	bool sub = c->insn.op == INSN_OP_DAS;
	u8 al = c->w.regs[INSN_RAX], old = al;
	u64 fl = 0;

	if ((al & 0xf) > 9 || c->w.rflags & X86_EFLAGS_AF) {
		fl |= X86_EFLAGS_AF;
		if (sub ? al < 6 : al > 0xf9)
			fl |= X86_EFLAGS_CF;
		al += sub ? -6 : 6;
	}
	if (old > 0x99 || c->w.rflags & X86_EFLAGS_CF) {
		al += sub ? -0x60 : 0x60;
		fl |= X86_EFLAGS_CF;
	} else if (!sub) {
		fl &= ~X86_EFLAGS_CF;
	}
	emul_set_reg(c, INSN_RAX, 1, al);
	emul_set_flags(c, ARITH_FLAGS, fl | emul_flags_szp(al, 1));
	return EMUL_OK;
}

/* AAA, AAS */
int emul_op_ascii(struct emul_ctxt *c)
{
	bool sub = c->insn.op == INSN_OP_AAS;
	u16 ax = c->w.regs[INSN_RAX];
	u64 fl = 0;

	if ((ax & 0xf) > 9 || c->w.rflags & X86_EFLAGS_AF) {
		ax += sub ? -0x106 : 0x106;
		fl = X86_EFLAGS_AF | X86_EFLAGS_CF;
	}
	ax &= 0xff0f;
	emul_set_reg(c, INSN_RAX, 2, ax);
	emul_set_flags(c, ARITH_FLAGS, fl | emul_flags_szp(ax, 1));
	return EMUL_OK;
}

int emul_op_aam(struct emul_ctxt *c)
{
	u8 al = c->w.regs[INSN_RAX], base = c->insn.imm;

	if (!base)
		return emul_raise(c, X86_TRAP_DE, 0);
	emul_set_reg(c, INSN_RAX, 2, (al / base) << 8 | al % base);
	emul_set_flags(c, ARITH_FLAGS, emul_flags_szp(al % base, 1));
	return EMUL_OK;
}

int emul_op_aad(struct emul_ctxt *c)
{
	u16 ax = c->w.regs[INSN_RAX];
	u8 al = ax + (ax >> 8) * (u8)c->insn.imm;

	emul_set_reg(c, INSN_RAX, 2, al);
	emul_set_flags(c, ARITH_FLAGS, emul_flags_szp(al, 1));
	return EMUL_OK;
}
