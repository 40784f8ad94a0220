// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of x87, SSE and extended state: FNSTCW, FNSTSW, STMXCSR, FXSAVE, XSAVE,
 * XSAVEOPT, XSAVEC, XSAVES.
 *
 * The host's CPU makes an image of the guest's state with the same instruction.
 * The parts of it that the guest's instruction writes are stored piece by piece;
 * a monitor may deny each piece. SDM volume 1, "Managing State Using the
 * XSAVE Feature Set".
 */
#include "emul.h"

/* More offsets in the image, the same in both formats. */
#define AT_MXCSR 24
#define AT_XSTATE_BV 512
#define AT_EXTENDED 576

#define X87_BYTES (AT_MXCSR - AT_FCW)
#define MXCSR_BYTES 8 /* MXCSR and MXCSR_MASK */
#define ST_BYTES (AT_XMM - AT_ST)
#define FXSAVE_BYTES 512

#define NR_COMPONENTS 63

#define XCOMP_COMPACT BIT_ULL(63)

/* The most areas that an image has; contiguous components make one area. */
#define MAX_AREAS 16

/*
 * The parts of an image that the instruction writes, at @la and behind. @header
 * is written where the image has its XSAVE header.
 */
struct save {
	u64 la;
	const u8 *image;
	u64 header[2];
	unsigned int n;
	struct {
		u16 at, bytes;
	} area[MAX_AREAS];
};

static int add_area(struct save *s, unsigned int at, unsigned int bytes)
{
	unsigned int last = s->n - 1;

	if (at + bytes > EMUL_SAVE_BYTES)
		return EMUL_UNHANDLED;
	if (s->n && s->area[last].at + s->area[last].bytes == at) {
		s->area[last].bytes += bytes;
		return EMUL_OK;
	}
	if (s->n == MAX_AREAS)
		return EMUL_UNHANDLED;
	s->area[s->n].at = at;
	s->area[s->n++].bytes = bytes;
	return EMUL_OK;
}

static u64 address(const struct emul_ctxt *c, const struct save *s,
		   unsigned int at)
{
	return emul_wrap(c, s->la + at);
}

int emul_probe_block(struct emul_ctxt *c, u64 la, unsigned int bytes)
{
	u64 page = emul_wrap(c, la + bytes - 1) & ~(u64)(EMUL_PAGE_SIZE - 1);
	int ret;

	ret = emul_probe_linear(c, la, 1, 0);
	if (ret || (la & ~(u64)(EMUL_PAGE_SIZE - 1)) == page)
		return ret;
	return emul_probe_linear(c, page, 1, 0);
}

int emul_write_block(struct emul_ctxt *c, u64 la, const u8 *data,
		     unsigned int bytes)
{
	unsigned int n;
	int ret;

	for (; bytes; bytes -= n, la = emul_wrap(c, la + n), data += n) {
		n = bytes < EMUL_MAX_ACCESS ? bytes : EMUL_MAX_ACCESS;
		ret = emul_write_linear(c, la, data, n, 0);
		if (ret)
			return ret;
	}
	return EMUL_OK;
}

static int probe_areas(struct emul_ctxt *c, const struct save *s)
{
	unsigned int first = s->area[0].at, last = s->n - 1;

	return emul_probe_block(c, address(c, s, first),
				s->area[last].at + s->area[last].bytes - first);
}

static int store_areas(struct emul_ctxt *c, const struct save *s)
{
	unsigned int i, at;
	const u8 *data;
	int ret = EMUL_OK;

	for (i = 0; !ret && i < s->n; i++) {
		at = s->area[i].at;
		data = at == AT_XSTATE_BV ? (const u8 *)s->header :
					    s->image + at;
		ret = emul_write_block(c, address(c, s, at), data,
				       s->area[i].bytes);
	}
	return ret;
}

/* Raises #NM if any of @bits is set in CR0. */
static int check_cr0(struct emul_ctxt *c, u64 bits)
{
	u64 cr0;
	int ret = c->ops->get_cr(c, 0, &cr0);

	if (ret)
		return ret;
	return cr0 & bits ? emul_raise(c, X86_TRAP_NM, 0) : EMUL_OK;
}

int emul_check_fpu(struct emul_ctxt *c)
{
	return check_cr0(c, X86_CR0_EM | X86_CR0_TS);
}

int emul_get_image(struct emul_ctxt *c, enum emul_save how, u64 mask)
{
	if (!c->image && c->ops->save_state)
		c->image = c->ops->save_state(c, how, c->insn.rex & 8, mask);
	return c->image ? EMUL_OK : EMUL_UNHANDLED;
}

static int store_word(struct emul_ctxt *c, unsigned int at)
{
	int ret = emul_get_image(c, EMUL_SAVE_FXSAVE, 0);

	if (ret)
		return ret;
	return emul_write(c, c->insn.seg, emul_ea(c), c->image + at,
			  c->insn.opd[0].size, 0);
}

int emul_op_fnstcw(struct emul_ctxt *c)
{
	int ret = emul_check_fpu(c);

	return ret ? ret :
		     store_word(c,
				c->insn.op == INSN_OP_FNSTCW ? AT_FCW : AT_FSW);
}

int emul_op_stmxcsr(struct emul_ctxt *c)
{
	u64 cr0, cr4;
	int ret;

	if (c->insn.vex_pp)
		return EMUL_UNHANDLED;
	if (c->insn.prefix & INSN_PFX_VEX) {
		ret = emul_check_vex(c, COMP_SSE | COMP_AVX);
		return ret ? ret : store_word(c, AT_MXCSR);
	}
	ret = c->ops->get_cr(c, 0, &cr0);
	if (!ret)
		ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	if (cr0 & X86_CR0_EM || !(cr4 & X86_CR4_OSFXSR))
		return emul_ud(c);
	return cr0 & X86_CR0_TS ? emul_raise(c, X86_TRAP_NM, 0) :
				  store_word(c, AT_MXCSR);
}

/* Finds the operand; #GP unless it is aligned and @bytes lie within its segment. */
static int locate(struct emul_ctxt *c, struct save *s, unsigned int align,
		  unsigned int bytes)
{
	int ret = emul_linear(c, c->insn.seg, emul_ea(c), bytes, true, &s->la);

	if (ret)
		return ret;
	return s->la & (align - 1) ? emul_gp(c, 0) : EMUL_OK;
}

/* XMM8 to XMM15 and their upper halves are stored in 64-bit mode only. */
static unsigned int in_mode(const struct emul_ctxt *c, unsigned int bytes)
{
	return emul_long(c) ? bytes : bytes / 2;
}

static int add_legacy(struct emul_ctxt *c, struct save *s, bool x87, bool mxcsr,
		      bool xmm)
{
	int ret = EMUL_OK;

	if (x87)
		ret = add_area(s, AT_FCW, X87_BYTES);
	if (!ret && mxcsr)
		ret = add_area(s, AT_MXCSR, MXCSR_BYTES);
	if (!ret && x87)
		ret = add_area(s, AT_ST, ST_BYTES);
	if (!ret && xmm)
		ret = add_area(s, AT_XMM, in_mode(c, 256));
	return ret;
}

int emul_op_fxsave(struct emul_ctxt *c)
{
	bool fast = c->features & EMUL_FEAT_FFXSR && emul_long(c) && !c->cpl;
	struct save s = { 0 };
	bool sse;
	u64 cr4;
	int ret;

	if (c->insn.vex_pp)
		return EMUL_UNHANDLED;
	ret = emul_check_fpu(c);
	if (!ret)
		ret = c->ops->get_cr(c, 4, &cr4);
	if (!ret)
		ret = locate(c, &s, 16, FXSAVE_BYTES);
	if (!ret)
		ret = emul_get_image(c, EMUL_SAVE_FXSAVE, 0);
	if (ret)
		return ret;
	s.image = c->image;
	sse = emul_long(c) || cr4 & X86_CR4_OSFXSR;
	ret = add_legacy(c, &s, true, sse, sse && !fast);
	if (!ret)
		ret = probe_areas(c, &s);
	return ret ? ret : store_areas(c, &s);
}

/* ---- XSAVE and its like ---- */

static bool is_compact(const struct emul_ctxt *c)
{
	return c->insn.opcode == 0xc7;
}

/* XSAVEOPT, XSAVEC and XSAVES do not write components in their initial state. */
static bool omits_initial(const struct emul_ctxt *c)
{
	return is_compact(c) || (c->insn.modrm & 0x38) == 0x30;
}

static u64 image_u64(const struct save *s, unsigned int at)
{
	u64 v;

	memcpy(&v, s->image + at, sizeof(v));
	return v;
}

/* Adds the components behind the header: of @rfbm, those in @stored are written. */
static int add_extended(struct emul_ctxt *c, struct save *s, u64 rfbm,
			u64 stored)
{
	unsigned int nr, bytes, end = AT_EXTENDED;
	struct emul_component comp;
	int ret;

	for (nr = NR_AVX; nr < NR_COMPONENTS; nr++) {
		if (!(rfbm >> nr & 1))
			continue;
		ret = c->ops->get_component(c, nr, &comp);
		if (ret)
			return ret;
		if (is_compact(c)) {
			if (comp.align64)
				end = (end + 63) & ~63u;
			comp.offset = end;
			end += comp.bytes;
		}
		bytes = comp.bytes;
		if (nr == NR_AVX || nr == NR_ZMM_HI256)
			bytes = in_mode(c, bytes);
		if (stored >> nr & 1) {
			ret = add_area(s, comp.offset, bytes);
			if (ret)
				return ret;
		}
	}
	return EMUL_OK;
}

/* XSTATE_BV names the stored components; the standard format keeps its bits outside of @rfbm. */
static int add_header(struct emul_ctxt *c, struct save *s, u64 rfbm, u64 inuse)
{
	int ret;

	if (is_compact(c)) {
		s->header[0] = inuse;
		s->header[1] = rfbm | XCOMP_COMPACT;
		return add_area(s, AT_XSTATE_BV, 16);
	}
	ret = emul_read_linear(c, address(c, s, AT_XSTATE_BV), s->header, 8,
			       EMUL_F_WRITE_INTENT);
	if (ret)
		return ret;
	s->header[0] = (s->header[0] & ~rfbm) | inuse;
	return add_area(s, AT_XSTATE_BV, 8);
}

static int xsave_areas(struct emul_ctxt *c, struct save *s, u64 rfbm)
{
	u64 there = emul_long(c) ? rfbm : rfbm & ~BIT_ULL(NR_HI16_ZMM);
	u64 inuse = image_u64(s, AT_XSTATE_BV) & there;
	u64 stored = omits_initial(c) ? inuse : there;
	int ret;

	ret = add_legacy(c, s, stored & COMP_X87,
			 is_compact(c) ? stored & COMP_SSE :
					 rfbm & (COMP_SSE | COMP_AVX),
			 stored & COMP_SSE);
	if (!ret)
		ret = add_header(c, s, rfbm, inuse);
	return ret ? ret : add_extended(c, s, rfbm, stored);
}

int emul_op_xsave(struct emul_ctxt *c)
{
	enum emul_save how = is_compact(c) ? EMUL_SAVE_XSAVEC : EMUL_SAVE_XSAVE;
	struct save s = { 0 };
	u64 cr4, xcr0, rfbm;
	int ret;

	if (c->insn.vex_pp || !c->ops->get_component || !c->ops->get_xcr0)
		return EMUL_UNHANDLED;
	ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	if (!(cr4 & X86_CR4_OSXSAVE))
		return emul_ud(c);
	ret = check_cr0(c, X86_CR0_TS);
	if (!ret)
		ret = c->ops->get_xcr0(c, &xcr0);
	if (!ret)
		ret = locate(c, &s, 64, AT_EXTENDED);
	if (ret)
		return ret;
	rfbm = emul_get_reg(c, INSN_RAX, 4) | emul_get_reg(c, INSN_RDX, 4)
						      << 32;
	rfbm &= xcr0;
	ret = emul_get_image(c, how, rfbm);
	if (ret)
		return ret;
	s.image = c->image;
	ret = xsave_areas(c, &s, rfbm);
	if (!ret)
		ret = locate(c, &s, 64,
			     s.area[s.n - 1].at + s.area[s.n - 1].bytes);
	if (!ret)
		ret = probe_areas(c, &s);
	return ret ? ret : store_areas(c, &s);
}
