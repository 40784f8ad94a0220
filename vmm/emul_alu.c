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
		fl |= FL_SF;
	if (!res)
		fl |= FL_ZF;
	if (parity_even(res))
		fl |= FL_PF;
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
		fl |= FL_CF;
	if ((a ^ b ^ res) & 0x10)
		fl |= FL_AF;
	if ((a ^ res) & (b ^ res) & emul_sign(bytes))
		fl |= FL_OF;
	emul_set_flags(c, FL_ARITH, fl);
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
		fl |= FL_CF;
	if ((a ^ b ^ res) & 0x10)
		fl |= FL_AF;
	if ((a ^ b) & (a ^ res) & emul_sign(bytes))
		fl |= FL_OF;
	emul_set_flags(c, FL_ARITH, fl);
	return res;
}

static u64 logic(struct emul_ctxt *c, u64 res)
{
	unsigned int bytes = c->insn.opd[0].size;

	res &= emul_mask(bytes);
	emul_set_flags(c, FL_ARITH, emul_flags_szp(res, bytes));
	return res;
}

bool emul_condition(const struct emul_ctxt *c, unsigned int cc)
{
	u64 fl = c->w.rflags;
	bool less = !(fl & FL_SF) != !(fl & FL_OF);
	bool res = false;

	switch ((cc >> 1) & 7) {
	case 0:
		res = fl & FL_OF;
		break;
	case 1:
		res = fl & FL_CF;
		break;
	case 2:
		res = fl & FL_ZF;
		break;
	case 3:
		res = fl & (FL_CF | FL_ZF);
		break;
	case 4:
		res = fl & FL_SF;
		break;
	case 5:
		res = fl & FL_PF;
		break;
	case 6:
		res = less;
		break;
	case 7:
		res = less || fl & FL_ZF;
		break;
	}
	return res != (cc & 1);
}

/* ---- two-operand ALU ---- */

static u64 size0(const struct emul_ctxt *c)
{
	return c->insn.opd[0].size;
}

static u64 carry(const struct emul_ctxt *c)
{
	return !!(c->w.rflags & FL_CF);
}

static u64 do_add(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_add(c, old, src, 0, size0(c));
}

static u64 do_adc(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_add(c, old, src, carry(c), size0(c));
}

static u64 do_sub(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_sub(c, old, src, 0, size0(c));
}

static u64 do_sbb(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_sub(c, old, src, carry(c), size0(c));
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
	return emul_sub(c, src, old, 0, size0(c));
}

static u64 do_not(struct emul_ctxt *c, u64 old, u64 src)
{
	return ~old;
}

/* INC and DEC leave CF alone */
static u64 do_inc(struct emul_ctxt *c, u64 old, u64 src)
{
	u64 cf = c->w.rflags & FL_CF;
	u64 res = emul_add(c, old, src, 0, size0(c));

	emul_set_flags(c, FL_CF, cf);
	return res;
}

static u64 do_dec(struct emul_ctxt *c, u64 old, u64 src)
{
	u64 cf = c->w.rflags & FL_CF;
	u64 res = emul_sub(c, old, src, 0, size0(c));

	emul_set_flags(c, FL_CF, cf);
	return res;
}

static int alu(struct emul_ctxt *c, emul_rmw_fn fn)
{
	u64 src;
	int ret;

	ret = emul_get(c, 1, &src);
	if (ret)
		return ret;
	return emul_rmw(c, fn, src, NULL);
}

int emul_op_add(struct emul_ctxt *c)
{
	return alu(c, do_add);
}

int emul_op_or(struct emul_ctxt *c)
{
	return alu(c, do_or);
}

int emul_op_adc(struct emul_ctxt *c)
{
	return alu(c, do_adc);
}

int emul_op_sbb(struct emul_ctxt *c)
{
	return alu(c, do_sbb);
}

int emul_op_and(struct emul_ctxt *c)
{
	return alu(c, do_and);
}

int emul_op_sub(struct emul_ctxt *c)
{
	return alu(c, do_sub);
}

int emul_op_xor(struct emul_ctxt *c)
{
	return alu(c, do_xor);
}

static int compare(struct emul_ctxt *c, emul_rmw_fn fn)
{
	u64 a, b;
	int ret;

	ret = emul_get(c, 0, &a);
	if (!ret)
		ret = emul_get(c, 1, &b);
	if (!ret)
		fn(c, a, b);
	return ret;
}

int emul_op_cmp(struct emul_ctxt *c)
{
	return compare(c, do_sub);
}

int emul_op_test(struct emul_ctxt *c)
{
	return compare(c, do_and);
}

int emul_op_not(struct emul_ctxt *c)
{
	return emul_rmw(c, do_not, 0, NULL);
}

int emul_op_neg(struct emul_ctxt *c)
{
	return emul_rmw(c, do_neg, 0, NULL);
}

int emul_op_inc(struct emul_ctxt *c)
{
	return emul_rmw(c, do_inc, 1, NULL);
}

int emul_op_dec(struct emul_ctxt *c)
{
	return emul_rmw(c, do_dec, 1, NULL);
}

/* ADCX and ADOX: add with one flag as carry, and no other flag touched */
static int add_flag(struct emul_ctxt *c, u64 flag)
{
	u64 mask = emul_mask(size0(c)), a, b, in, res;
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

int emul_op_adcx(struct emul_ctxt *c)
{
	return add_flag(c, FL_CF);
}

int emul_op_adox(struct emul_ctxt *c)
{
	return add_flag(c, FL_OF);
}

/* ---- multiplication and division ---- */

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

/* 128 by 64 bits, schoolbook; false if the quotient has more than 64 bits. */
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

/* A result twice as wide as the operand: AX, or rDX:rAX. */
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

/* CF and OF say whether the upper half is significant */
static void mul_flags(struct emul_ctxt *c, u64 lo, unsigned int bytes,
		      bool significant)
{
	emul_set_flags(c, FL_ARITH,
		       emul_flags_szp(lo, bytes) |
			       (significant ? FL_CF | FL_OF : 0));
}

int emul_op_mul(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);
	struct wide r;
	u64 src;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	r = mul_u64(emul_get_reg(c, INSN_RAX, bytes), src);
	mul_flags(c, r.lo, bytes, bytes == 8 ? r.hi : r.lo >> (8 * bytes));
	set_wide(c, r, bytes);
	return EMUL_OK;
}

static bool imul_overflows(struct wide r, unsigned int bytes)
{
	u64 lo = emul_sext(r.lo, bytes);

	return bytes == 8 ? r.hi != ((s64)lo < 0 ? ~0ULL : 0) : r.lo != lo;
}

int emul_op_imul1(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);
	struct wide r;
	u64 src;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	r = mul_s64(emul_sext(emul_get_reg(c, INSN_RAX, bytes), bytes),
		    emul_sext(src, bytes));
	mul_flags(c, r.lo, bytes, imul_overflows(r, bytes));
	set_wide(c, r, bytes);
	return EMUL_OK;
}

int emul_op_imul(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);
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
	unsigned int bytes = size0(c);
	u64 src, quot, rem;
	int ret;

	ret = emul_get(c, 0, &src);
	if (ret)
		return ret;
	if (!src || !div_u128(get_wide(c, bytes, false), src, &quot, &rem) ||
	    quot > emul_mask(bytes))
		return emul_raise(c, EXC_DE, 0);
	set_quotient(c, quot, rem, bytes);
	return EMUL_OK;
}

int emul_op_idiv(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);
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
		return emul_raise(c, EXC_DE, 0);
	set_quotient(c, neg_q ? -quot : quot, neg_n ? -rem : rem, bytes);
	return EMUL_OK;
}

/* CBW, CWDE, CDQE: the lower half of rAX into all of it */
int emul_op_cbw(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);

	emul_set_reg(c, INSN_RAX, bytes,
		     emul_sext(c->w.regs[INSN_RAX], bytes / 2));
	return EMUL_OK;
}

/* CWD, CDQ, CQO: the sign of rAX into rDX */
int emul_op_cwd(struct emul_ctxt *c)
{
	unsigned int bytes = size0(c);
	bool sign = c->w.regs[INSN_RAX] & emul_sign(bytes);

	emul_set_reg(c, INSN_RDX, bytes, sign ? ~0ULL : 0);
	return EMUL_OK;
}

/* ---- decimal arithmetic ---- */

static int decimal_adjust(struct emul_ctxt *c, bool sub)
{
	u8 al = c->w.regs[INSN_RAX], old = al;
	u64 fl = 0;

	if ((al & 0xf) > 9 || c->w.rflags & FL_AF) {
		fl |= FL_AF;
		if (sub ? al < 6 : al > 0xf9)
			fl |= FL_CF;
		al += sub ? -6 : 6;
	}
	if (old > 0x99 || c->w.rflags & FL_CF) {
		al += sub ? -0x60 : 0x60;
		fl |= FL_CF;
	} else if (!sub) {
		fl &= ~FL_CF;
	}
	emul_set_reg(c, INSN_RAX, 1, al);
	emul_set_flags(c, FL_ARITH, fl | emul_flags_szp(al, 1));
	return EMUL_OK;
}

int emul_op_daa(struct emul_ctxt *c)
{
	return decimal_adjust(c, false);
}

int emul_op_das(struct emul_ctxt *c)
{
	return decimal_adjust(c, true);
}

static int ascii_adjust(struct emul_ctxt *c, bool sub)
{
	u16 ax = c->w.regs[INSN_RAX];
	u64 fl = 0;

	if ((ax & 0xf) > 9 || c->w.rflags & FL_AF) {
		ax += sub ? -0x106 : 0x106;
		fl = FL_AF | FL_CF;
	}
	ax &= 0xff0f;
	emul_set_reg(c, INSN_RAX, 2, ax);
	emul_set_flags(c, FL_ARITH, fl | emul_flags_szp(ax, 1));
	return EMUL_OK;
}

int emul_op_aaa(struct emul_ctxt *c)
{
	return ascii_adjust(c, false);
}

int emul_op_aas(struct emul_ctxt *c)
{
	return ascii_adjust(c, true);
}

int emul_op_aam(struct emul_ctxt *c)
{
	u8 al = c->w.regs[INSN_RAX], base = c->insn.imm;

	if (!base)
		return emul_raise(c, EXC_DE, 0);
	emul_set_reg(c, INSN_RAX, 2, (al / base) << 8 | al % base);
	emul_set_flags(c, FL_ARITH, emul_flags_szp(al % base, 1));
	return EMUL_OK;
}

int emul_op_aad(struct emul_ctxt *c)
{
	u16 ax = c->w.regs[INSN_RAX];
	u8 al = ax + (ax >> 8) * (u8)c->insn.imm;

	emul_set_reg(c, INSN_RAX, 2, al);
	emul_set_flags(c, FL_ARITH, emul_flags_szp(al, 1));
	return EMUL_OK;
}
