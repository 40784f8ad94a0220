// SPDX-License-Identifier: GPL-2.0
/*
 * Shifts, rotates, bit tests and bit counts, BMI1 and BMI2.
 */
#include "emul.h"

/* ---- shifts and rotates ---- */

static unsigned int shift_count(u64 count, unsigned int bytes)
{
	return count & (bytes == 8 ? 63 : 31);
}

static bool bit(u64 v, unsigned int n)
{
	return n < 64 && (v >> n) & 1;
}

static u64 cf_of(bool cf, bool of)
{
	return (cf ? X86_EFLAGS_CF : 0) | (of ? X86_EFLAGS_OF : 0);
}

static u64 rotate(struct emul_ctxt *c, u64 v, unsigned int count,
		  unsigned int bytes, bool left)
{
	unsigned int bits = 8 * bytes, n = count % bits;
	u64 res = v;
	bool top;

	if (!left)
		n = (bits - n) % bits;
	if (n)
		res = (v << n | v >> (bits - n)) & emul_mask(bytes);
	if (!count)
		return res;
	top = bit(res, bits - 1);
	if (left)
		emul_set_flags(c, X86_EFLAGS_CF | X86_EFLAGS_OF,
			       cf_of(res & 1, top != (res & 1)));
	else
		emul_set_flags(c, X86_EFLAGS_CF | X86_EFLAGS_OF,
			       cf_of(top, top != bit(res, bits - 2)));
	return res;
}

/* RCL and RCR rotate through CF, as if the operand had one bit more. */
static u64 rotate_carry(struct emul_ctxt *c, u64 v, unsigned int count,
			unsigned int bytes, bool left)
{
	unsigned int bits = 8 * bytes, n = count % (bits + 1);
	bool cf = c->w.rflags & X86_EFLAGS_CF, out, of;

	if (!n)
		return v;
	for (; n; n--) {
		if (left) {
			out = bit(v, bits - 1);
			v = (v << 1 | cf) & emul_mask(bytes);
		} else {
			out = v & 1;
			v = v >> 1 | (u64)cf << (bits - 1);
		}
		cf = out;
	}
	if (left)
		of = bit(v, bits - 1) != cf;
	else
		of = bit(v, bits - 1) != bit(v, bits - 2);
	emul_set_flags(c, X86_EFLAGS_CF | X86_EFLAGS_OF, cf_of(cf, of));
	return v;
}

static u64 shift_left(struct emul_ctxt *c, u64 v, unsigned int count,
		      unsigned int bytes)
{
	unsigned int bits = 8 * bytes;
	u64 res;
	bool cf;

	if (!count)
		return v;
	res = (v << count) & emul_mask(bytes);
	cf = count <= bits && bit(v, bits - count);
	emul_set_flags(c, ARITH_FLAGS,
		       emul_flags_szp(res, bytes) |
			       cf_of(cf, bit(res, bits - 1) != cf));
	return res;
}

static u64 shift_right(struct emul_ctxt *c, u64 v, unsigned int count,
		       unsigned int bytes, bool arithmetic)
{
	u64 wide = arithmetic ? emul_sext(v, bytes) : v, res;
	bool cf, of;

	if (!count)
		return v;
	if (arithmetic)
		res = (u64)((s64)wide >> count) & emul_mask(bytes);
	else
		res = wide >> count;
	cf = bit(wide, count - 1);
	of = !arithmetic && bit(v, 8 * bytes - 1);
	emul_set_flags(c, ARITH_FLAGS,
		       emul_flags_szp(res, bytes) | cf_of(cf, of));
	return res;
}

static u64 do_shift(struct emul_ctxt *c, u64 v, u64 count)
{
	unsigned int bytes = c->insn.opd[0].size;
	unsigned int n = shift_count(count, bytes);

	switch (c->insn.op) {
	case INSN_OP_ROL:
		return rotate(c, v, n, bytes, true);
	case INSN_OP_ROR:
		return rotate(c, v, n, bytes, false);
	case INSN_OP_RCL:
		return rotate_carry(c, v, n, bytes, true);
	case INSN_OP_RCR:
		return rotate_carry(c, v, n, bytes, false);
	case INSN_OP_SHR:
		return shift_right(c, v, n, bytes, false);
	case INSN_OP_SAR:
		return shift_right(c, v, n, bytes, true);
	}
	return shift_left(c, v, n, bytes);
}

int emul_op_shift(struct emul_ctxt *c)
{
	u64 count;
	int ret;

	ret = emul_get(c, 1, &count);
	if (ret)
		return ret;
	return emul_rmw(c, do_shift, count, NULL);
}

/*
 * SHLD and SHRD.  A 16-bit one by more than 16 is undefined; here the bits that
 * come in after the source's are the destination's own again.
 */
static u64 double_shift(struct emul_ctxt *c, u64 v, u64 src, unsigned int n,
			unsigned int bytes)
{
	unsigned int bits = 8 * bytes;
	u64 mask = emul_mask(bytes), res;
	bool cf, of;

	if (c->insn.op == INSN_OP_SHLD) {
		if (n > bits) {
			res = (src << (n - bits) | v >> (2 * bits - n)) & mask;
			cf = bit(src, 2 * bits - n);
		} else {
			res = (v << n | src >> (bits - n)) & mask;
			cf = bit(v, bits - n);
		}
	} else {
		if (n > bits) {
			res = (src >> (n - bits) | v << (2 * bits - n)) & mask;
			cf = bit(src, n - bits - 1);
		} else {
			res = (v >> n | src << (bits - n)) & mask;
			cf = bit(v, n - 1);
		}
	}
	of = bit(res ^ v, bits - 1);
	emul_set_flags(c, ARITH_FLAGS,
		       emul_flags_szp(res, bytes) | cf_of(cf, of));
	return res;
}

static u64 do_shld(struct emul_ctxt *c, u64 v, u64 count)
{
	unsigned int bytes = c->insn.opd[0].size;
	unsigned int n = shift_count(count, bytes);
	u64 src;

	/* Operand 1 is always a register, so reading it cannot fail. */
	emul_get(c, 1, &src);
	return n ? double_shift(c, v, src, n, bytes) : v;
}

int emul_op_shld(struct emul_ctxt *c)
{
	u64 count;
	int ret;

	ret = emul_get(c, 2, &count);
	if (ret)
		return ret;
	return emul_rmw(c, do_shld, count, NULL);
}

/* ---- bit tests ---- */

static u64 do_bt(struct emul_ctxt *c, u64 v, u64 nr)
{
	u64 m = 1ULL << (nr & (8 * c->insn.opd[0].size - 1));

	emul_set_flags(c, X86_EFLAGS_CF, v & m ? X86_EFLAGS_CF : 0);
	switch (c->insn.op) {
	case INSN_OP_BTS:
		return v | m;
	case INSN_OP_BTR:
		return v & ~m;
	case INSN_OP_BTC:
		return v ^ m;
	}
	return v;
}

int emul_op_bt(struct emul_ctxt *c)
{
	const struct insn_opd *o = &c->insn.opd[0];
	unsigned int bytes = o->size;
	u64 nr, ea, v = 0;
	int ret;

	ret = emul_get(c, 1, &nr);
	if (ret)
		return ret;
	if (o->kind != INSN_OPD_MEM) {
		if (c->insn.op != INSN_OP_BT)
			return emul_rmw(c, do_bt, nr, NULL);
		ret = emul_get(c, 0, &v);
		if (!ret)
			do_bt(c, v, nr);
		return ret;
	}
	/* A bit number in a register is signed and may select a byte outside of the operand. */
	ea = emul_ea(c);
	if (c->insn.opd[1].kind == INSN_OPD_REG) {
		s64 off = emul_sext(nr, bytes);

		ea += (u64)(off >> (bytes == 8 ? 6 :
				    bytes == 4 ? 5 :
						 4)) *
		      bytes;
		ea &= emul_mask(c->insn.adsize);
	}
	if (c->insn.op != INSN_OP_BT)
		return emul_rmw_at(c, c->insn.seg, ea, bytes, do_bt, nr, NULL);
	ret = emul_read(c, c->insn.seg, ea, &v, bytes, 0);
	if (!ret)
		do_bt(c, v, nr);
	return ret;
}

/* ---- bit counts ---- */

/* The number of the lowest, or highest, set bit of v; v must not be 0. */
static unsigned int find_bit(u64 v, bool high)
{
	unsigned int i;

	if (high) {
		for (i = 63; !bit(v, i); i--)
			;
		return i;
	}
	for (i = 0; !bit(v, i); i++)
		;
	return i;
}

int emul_op_bsf(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	emul_set_flags(c, X86_EFLAGS_ZF, v ? 0 : X86_EFLAGS_ZF);
	/* With no bit set, the destination keeps its value. */
	if (!v)
		return EMUL_OK;
	return emul_put(c, 0, find_bit(v, c->insn.op == INSN_OP_BSR));
}

static bool has(const struct emul_ctxt *c, u8 feature)
{
	return c->features & feature;
}

static int count_zeros(struct emul_ctxt *c, bool leading)
{
	unsigned int bytes = c->insn.opd[0].size, n = 8 * bytes;
	u64 v;
	int ret;

	ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	if (v)
		n = leading ? n - 1 - find_bit(v, true) : find_bit(v, false);
	emul_set_flags(c, X86_EFLAGS_CF | X86_EFLAGS_ZF,
		       (v ? 0 : X86_EFLAGS_CF) | (n ? 0 : X86_EFLAGS_ZF));
	return emul_put(c, 0, n);
}

int emul_op_tzcnt(struct emul_ctxt *c)
{
	return has(c, EMUL_FEAT_BMI1) ? count_zeros(c, false) : EMUL_UNHANDLED;
}

int emul_op_lzcnt(struct emul_ctxt *c)
{
	return has(c, EMUL_FEAT_LZCNT) ? count_zeros(c, true) : EMUL_UNHANDLED;
}

int emul_op_popcnt(struct emul_ctxt *c)
{
	unsigned int n = 0;
	u64 v;
	int ret;

	ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	for (; v; v &= v - 1)
		n++;
	emul_set_flags(c, ARITH_FLAGS, n ? 0 : X86_EFLAGS_ZF);
	return emul_put(c, 0, n);
}

int emul_op_bswap(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, i;
	u64 v, res = 0;
	int ret;

	/* With 16 bits the result is undefined; known CPUs write 0. */
	if (bytes == 2)
		return emul_put(c, 0, 0);
	ret = emul_get(c, 0, &v);
	if (ret)
		return ret;
	for (i = 0; i < bytes; i++)
		res |= ((v >> (8 * i)) & 0xff) << (8 * (bytes - 1 - i));
	return emul_put(c, 0, res);
}

/* CRC-32C of the lowest @bytes of the operand, computed bit by bit. */
int emul_op_crc32(struct emul_ctxt *c)
{
	u32 crc = emul_get_reg(c, c->insn.opd[0].reg, 4);
	unsigned int i;
	u64 v;
	int ret;

	ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	for (i = 0; i < 8u * c->insn.opd[1].size; i++) {
		bool odd = (crc ^ (v >> i)) & 1;

		crc = crc >> 1 ^ (odd ? 0x82f63b78u : 0);
	}
	return emul_put(c, 0, crc);
}

/* ---- BMI1 and BMI2 ---- */

/* Operand 1 and, where @b is not NULL, operand 2, if the CPU has the feature. */
static int bmi_get(struct emul_ctxt *c, u8 feature, u64 *a, u64 *b)
{
	int ret;

	if (!has(c, feature))
		return EMUL_UNHANDLED;
	ret = emul_get(c, 1, a);
	if (!ret && b)
		ret = emul_get(c, 2, b);
	return ret;
}

int emul_op_andn(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	u64 a, b, res;
	int ret = bmi_get(c, EMUL_FEAT_BMI1, &a, &b);

	if (ret)
		return ret;
	res = ~a & b;
	emul_set_flags(c,
		       X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_CF |
			       X86_EFLAGS_OF,
		       emul_flags_szp(res, bytes));
	return emul_put(c, 0, res);
}

int emul_op_bls(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	u64 v, res, fl;
	int ret = bmi_get(c, EMUL_FEAT_BMI1, &v, NULL);

	if (ret)
		return ret;
	if (c->insn.op == INSN_OP_BLSR)
		res = v & (v - 1);
	else if (c->insn.op == INSN_OP_BLSMSK)
		res = v ^ (v - 1);
	else
		res = v & -v;
	fl = emul_flags_szp(res, bytes);
	if (c->insn.op == INSN_OP_BLSI ? v != 0 : v == 0)
		fl |= X86_EFLAGS_CF;
	emul_set_flags(c,
		       X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_CF |
			       X86_EFLAGS_OF,
		       fl);
	return emul_put(c, 0, res);
}

int emul_op_bextr(struct emul_ctxt *c)
{
	unsigned int start, len;
	u64 v, ctl, res;
	int ret = bmi_get(c, EMUL_FEAT_BMI1, &v, &ctl);

	if (ret)
		return ret;
	start = ctl & 0xff;
	len = (ctl >> 8) & 0xff;
	res = start < 64 ? v >> start : 0;
	if (len < 64)
		res &= (1ULL << len) - 1;
	emul_set_flags(c, X86_EFLAGS_ZF | X86_EFLAGS_CF | X86_EFLAGS_OF,
		       res ? 0 : X86_EFLAGS_ZF);
	return emul_put(c, 0, res);
}

int emul_op_bzhi(struct emul_ctxt *c)
{
	unsigned int bits = 8 * c->insn.opd[0].size, n;
	u64 v, ctl, fl;
	int ret = bmi_get(c, EMUL_FEAT_BMI2, &v, &ctl);

	if (ret)
		return ret;
	n = ctl & 0xff;
	if (n < bits)
		v &= (1ULL << n) - 1;
	fl = emul_flags_szp(v, bits / 8) | (n >= bits ? X86_EFLAGS_CF : 0);
	emul_set_flags(c,
		       X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_CF |
			       X86_EFLAGS_OF,
		       fl);
	return emul_put(c, 0, v);
}

int emul_op_shiftx(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, n;
	u64 v, count;
	int ret = bmi_get(c, EMUL_FEAT_BMI2, &v, &count);

	if (ret)
		return ret;
	n = shift_count(count, bytes);
	if (c->insn.op == INSN_OP_SHLX)
		v <<= n;
	else if (c->insn.op == INSN_OP_SHRX)
		v >>= n;
	else
		v = (u64)((s64)emul_sext(v, bytes) >> n);
	return emul_put(c, 0, v);
}

int emul_op_rorx(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, bits = 8 * bytes, n;
	u64 v;
	int ret = bmi_get(c, EMUL_FEAT_BMI2, &v, NULL);

	if (ret)
		return ret;
	n = shift_count(c->insn.imm, bytes);
	if (n)
		v = v >> n | v << (bits - n);
	return emul_put(c, 0, v);
}

int emul_op_mulx(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	u64 a = emul_get_reg(c, INSN_RDX, bytes), b, lo, hi;
	int ret;

	if (!has(c, EMUL_FEAT_BMI2))
		return EMUL_UNHANDLED;
	ret = emul_get(c, 2, &b);
	if (ret)
		return ret;
	emul_mul(a, b, &lo, &hi);
	if (bytes == 4)
		hi = lo >> 32;
	/* If both destinations are one register, it gets the upper half. */
	ret = emul_put(c, 1, lo);
	return ret ? ret : emul_put(c, 0, hi);
}

static int deposit(struct emul_ctxt *c, bool extract)
{
	unsigned int i, k = 0;
	u64 v, mask, res = 0;
	int ret = bmi_get(c, EMUL_FEAT_BMI2, &v, &mask);

	if (ret)
		return ret;
	for (i = 0; i < 64; i++) {
		if (!bit(mask, i))
			continue;
		if (bit(v, extract ? i : k))
			res |= 1ULL << (extract ? k : i);
		k++;
	}
	return emul_put(c, 0, res);
}

int emul_op_pdep(struct emul_ctxt *c)
{
	return deposit(c, false);
}

int emul_op_pext(struct emul_ctxt *c)
{
	return deposit(c, true);
}
