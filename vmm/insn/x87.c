// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of x87 registers: FST, FSTP, FIST, FISTP, FISTTP, FBSTP. SDM volume 1,
 * "Programming with the x87 FPU"; the exceptions are those of its section "x87 FPU
 * Floating-Point Exception Conditions".
 *
 * The conversion is made here and not by the CPU's own instruction, which would
 * leave an address of the host's in the guest's FPU instruction pointer.
 */
#include "emul.h"

/* FSW */
#define SW_IE BIT(0)
#define SW_OE BIT(3)
#define SW_UE BIT(4)
#define SW_PE BIT(5)
#define SW_SF BIT(6)
#define SW_ES BIT(7)
#define SW_C1 BIT(9)
#define SW_TOP_SHIFT 11
#define SW_B BIT(15)
#define SW_EXCEPTIONS 0x3f

/* While one of these exceptions is unmasked and found, nothing is stored. */
#define SW_BEFORE_STORE (SW_IE | SW_OE | SW_UE)

#define CW_RC_SHIFT 10

enum rounding { RC_NEAREST, RC_DOWN, RC_UP, RC_CHOP };

#define EXP_SPECIAL 0x7fff /* infinities and NaNs */
#define EXP_BIAS 16383
#define INTEGER_BIT BIT_ULL(63)
#define QUIET_BIT BIT_ULL(62)

#define BCD_LIMIT 1000000000000000000ULL /* 18 digits */
#define BCD_BYTES 10

/* ST(0), and how it is stored. */
struct fst {
	bool sign;
	u16 exp;
	u64 mant;
	u16 fcw;
	enum rounding rc;
	/* results */
	u16 flags;
	u8 buf[16];
};

static bool is_masked(const struct fst *x, u16 flag)
{
	return x->fcw & flag;
}

/* The FPU does not support pseudo-infinities, pseudo-NaNs and unnormals. */
static bool is_unsupported(const struct fst *x)
{
	return x->exp && !(x->mant & INTEGER_BIT);
}

/* A denormal has the exponent of the smallest normal number. */
static int exponent(const struct fst *x)
{
	return (x->exp ? x->exp : 1) - EXP_BIAS;
}

/* Notes that the stored value is not exact; @up: its magnitude was rounded up. */
static void set_inexact(struct fst *x, bool up)
{
	x->flags |= SW_PE | (up ? SW_C1 : 0);
}

static void put_le(struct fst *x, u64 v)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		x->buf[i] = v >> 8 * i;
}

/*
 * Is the magnitude rounded up? @keep is what remains; the lost bits are @rem, and
 * @half stands for one half of the last place.
 */
static bool rounds_up(const struct fst *x, u64 keep, u64 rem, u64 half)
{
	switch (x->rc) {
	case RC_NEAREST:
		return rem > half || (rem == half && keep & 1);
	case RC_DOWN:
		return rem && x->sign;
	case RC_UP:
		return rem && !x->sign;
	case RC_CHOP:
		break;
	}
	return false;
}

/*
 * Drops the lowest @shift bits of @v and rounds. Bits lost beyond 64 still count:
 * they set the lowest bit of the remainder.
 */
static u64 shift_round(const struct fst *x, u64 v, unsigned int shift,
		       bool *inexact, bool *up)
{
	u64 keep, rem, half;

	if (!shift) {
		*inexact = *up = false;
		return v;
	}
	if (shift > 64) {
		/* The lost bits are less than a half of the last place. */
		keep = 0;
		rem = !!v;
		half = 2;
	} else {
		keep = shift == 64 ? 0 : v >> shift;
		rem = v << (64 - shift);
		half = BIT_ULL(63);
	}
	*inexact = rem;
	*up = rounds_up(x, keep, rem, half);
	return keep + *up;
}

/* ---- real numbers ---- */

struct format {
	unsigned int bytes, precision, bias;
};

static const struct format single_format = { 4, 24, 127 };
static const struct format double_format = { 8, 53, 1023 };

static void put_real(struct fst *x, const struct format *f, u64 exp, u64 frac)
{
	unsigned int width = 8 * f->bytes;

	put_le(x,
	       (u64)x->sign << (width - 1) | exp << (f->precision - 1) | frac);
}

static void put_special(struct fst *x, const struct format *f)
{
	u64 frac = x->mant << 1 >> (65 - f->precision);

	if (is_unsupported(x)) {
		x->flags |= SW_IE;
		x->sign = true;
		frac = BIT_ULL(f->precision - 2);
	} else if (x->mant << 1) {
		if (!(x->mant & QUIET_BIT))
			x->flags |= SW_IE;
		frac |= BIT_ULL(f->precision - 2);
	}
	put_real(x, f, 2 * f->bias + 1, frac);
}

static void overflow(struct fst *x, const struct format *f)
{
	bool to_infinity = x->rc == RC_NEAREST ||
			   x->rc == (x->sign ? RC_DOWN : RC_UP);

	x->flags |= SW_OE;
	if (!is_masked(x, SW_OE))
		return;
	set_inexact(x, to_infinity);
	if (to_infinity)
		put_real(x, f, 2 * f->bias + 1, 0);
	else
		put_real(x, f, 2 * f->bias, BIT_ULL(f->precision - 1) - 1);
}

static void store_real(struct fst *x, const struct format *f)
{
	unsigned int shift = 64 - f->precision;
	bool inexact, up;
	int exp;
	u64 v;

	if (x->exp == EXP_SPECIAL || is_unsupported(x)) {
		put_special(x, f);
		return;
	}
	if (!x->mant) {
		put_real(x, f, 0, 0);
		return;
	}
	exp = exponent(x) + (int)f->bias;
	/* Round as if the exponent had no limits: tininess is detected after rounding. */
	v = shift_round(x, x->mant, shift, &inexact, &up);
	if (v >> f->precision) {
		v >>= 1;
		exp++;
	}
	if (exp > 2 * (int)f->bias) {
		overflow(x, f);
		return;
	}
	if (exp < 1) {
		exp = exponent(x) + (int)f->bias;
		v = shift_round(x, x->mant, shift + 1 - exp, &inexact, &up);
		if (inexact || !is_masked(x, SW_UE))
			x->flags |= SW_UE;
		if (!is_masked(x, SW_UE))
			return;
		/* A fraction of all ones that is rounded up becomes the smallest normal number. */
		exp = v >> (f->precision - 1);
	}
	if (inexact)
		set_inexact(x, up);
	put_real(x, f, exp, v & (BIT_ULL(f->precision - 1) - 1));
}

/* ---- integers ---- */

/* False if ST(0) is no number, or needs more than 64 bits. */
static bool to_integer(const struct fst *x, u64 *v, bool *inexact, bool *up)
{
	int exp = exponent(x);

	if (x->exp == EXP_SPECIAL || is_unsupported(x) || exp > 63)
		return false;
	/* A shift by 65 stands for all greater ones: what is lost is below a half. */
	*v = shift_round(x, x->mant, exp < -2 ? 65 : 63 - exp, inexact, up);
	return true;
}

static void store_integer(struct fst *x, unsigned int bytes)
{
	u64 limit = BIT_ULL(8 * bytes - 1), v;
	bool inexact, up;

	if (!to_integer(x, &v, &inexact, &up) || v > limit - !x->sign) {
		x->flags |= SW_IE;
		put_le(x, limit);
		return;
	}
	if (inexact)
		set_inexact(x, up);
	put_le(x, x->sign ? -v : v);
}

static void put_bcd_indefinite(struct fst *x)
{
	memset(x->buf, 0, 7);
	x->buf[7] = 0xc0;
	x->buf[8] = x->buf[9] = 0xff;
}

static void store_bcd(struct fst *x)
{
	bool inexact, up;
	unsigned int i;
	u64 v;

	if (!to_integer(x, &v, &inexact, &up) || v >= BCD_LIMIT) {
		x->flags |= SW_IE;
		put_bcd_indefinite(x);
		return;
	}
	if (inexact)
		set_inexact(x, up);
	for (i = 0; i < BCD_BYTES - 1; i++, v /= 100)
		x->buf[i] = v % 10 | v / 10 % 10 << 4;
	x->buf[BCD_BYTES - 1] = x->sign ? 0x80 : 0;
}

/* ---- the instruction ---- */

#define FORM(opcode, reg) (((opcode)&7) << 3 | (reg))
#define FISTTP_16 FORM(0xdf, 1)
#define FISTTP_32 FORM(0xdb, 1)
#define FISTTP_64 FORM(0xdd, 1)
#define FSTP_80 FORM(0xdb, 7)
#define FBSTP FORM(0xdf, 6)

static unsigned int form_of(const struct insn *insn)
{
	return FORM(insn->opcode, insn->modrm >> 3 & 7);
}

/* Every form pops but FST and FIST, whose ModRM.reg is 2. */
static bool pops(const struct insn *insn)
{
	return (insn->modrm >> 3 & 7) != 2;
}

/* D9 and DD store real numbers, except FISTTP; DB and DF store integers. */
static const struct format *format_of(const struct insn *insn)
{
	if (form_of(insn) == FISTTP_64)
		return NULL;
	return insn->opcode == 0xd9 ? &single_format :
	       insn->opcode == 0xdd ? &double_format :
				      NULL;
}

static void convert(struct fst *x, const struct insn *insn)
{
	const struct format *f = format_of(insn);

	switch (form_of(insn)) {
	case FSTP_80:
		put_le(x, x->mant);
		x->buf[8] = x->exp;
		x->buf[9] = x->exp >> 8 | (x->sign ? 0x80 : 0);
		return;
	case FBSTP:
		store_bcd(x);
		return;
	case FISTTP_16:
	case FISTTP_32:
	case FISTTP_64:
		x->rc = RC_CHOP;
		break;
	}
	if (f)
		store_real(x, f);
	else
		store_integer(x, insn->opd[0].size);
}

/* ST(0) is empty: the indefinite value of the format is stored. */
static void underflow(struct fst *x, const struct insn *insn)
{
	const struct format *f = format_of(insn);

	x->flags = SW_IE | SW_SF;
	x->sign = true;
	switch (form_of(insn)) {
	case FSTP_80:
		put_le(x, INTEGER_BIT | QUIET_BIT);
		x->buf[8] = x->buf[9] = 0xff;
		return;
	case FBSTP:
		put_bcd_indefinite(x);
		return;
	}
	if (f)
		put_real(x, f, 2 * f->bias + 1, BIT_ULL(f->precision - 2));
	else
		put_le(x, BIT_ULL(8 * insn->opd[0].size - 1));
}

static u64 image_le(const struct emul_ctxt *c, unsigned int at,
		    unsigned int bytes)
{
	u64 v = 0;

	memcpy(&v, c->image + at, bytes);
	return v;
}

static int check_mf(struct emul_ctxt *c)
{
	u64 cr0;
	int ret;

	if (!(image_le(c, AT_FSW, 2) & SW_ES))
		return EMUL_OK;
	ret = c->ops->get_cr(c, 0, &cr0);
	if (ret)
		return ret;
	/* Without CR0.NE the exception goes out by the FERR# pin. */
	return cr0 & X86_CR0_NE ? emul_raise(c, X86_TRAP_MF, 0) :
				  EMUL_UNHANDLED;
}

int emul_x87_image(struct emul_ctxt *c)
{
	int ret = emul_check_fpu(c);

	if (!ret)
		ret = emul_get_image(c, EMUL_SAVE_FXSAVE, 0);
	return ret ? ret : check_mf(c);
}

int emul_op_fst(struct emul_ctxt *c)
{
	struct emul_x87 s = { .wide = emul_long(c),
			      .fip = c->st.rip,
			      .fdp = emul_ea(c) };
	unsigned int top, unmasked;
	struct fst x = { 0 };
	int ret;

	if (!c->ops->set_x87)
		return EMUL_UNHANDLED;
	ret = emul_x87_image(c);
	if (ret)
		return ret;
	s.fsw = image_le(c, AT_FSW, 2);
	s.ftw = image_le(c, AT_FTW, 1);

	top = s.fsw >> SW_TOP_SHIFT & 7;
	x.fcw = image_le(c, AT_FCW, 2);
	x.rc = x.fcw >> CW_RC_SHIFT & 3;
	x.mant = image_le(c, AT_ST, 8);
	x.exp = image_le(c, AT_ST + 8, 2);
	x.sign = x.exp & 0x8000;
	x.exp &= EXP_SPECIAL;
	if (s.ftw & 1 << top)
		convert(&x, &c->insn);
	else
		underflow(&x, &c->insn);

	unmasked = x.flags & ~x.fcw & SW_EXCEPTIONS;
	if (!(unmasked & SW_BEFORE_STORE)) {
		ret = emul_write(c, c->insn.seg, emul_ea(c), x.buf,
				 c->insn.opd[0].size, 0);
		if (ret)
			return ret;
		if (pops(&c->insn)) {
			s.ftw &= ~(1 << top);
			s.fsw &= ~(7 << SW_TOP_SHIFT);
			s.fsw |= ((top + 1) & 7) << SW_TOP_SHIFT;
		}
	}
	s.fsw &= ~SW_C1;
	s.fsw |= x.flags | (unmasked ? SW_ES | SW_B : 0);
	s.fop = (c->insn.opcode & 7) << 8 | c->insn.modrm;
	return c->ops->set_x87(c, &s);
}
