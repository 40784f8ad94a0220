// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a segment register: the checks, the descriptor, its accessed bit; and
 * far jumps, which load CS.
 */
#include "emul.h"

#define SEL_TI BIT(2)
#define SEL_RPL 3
#define DESC_BYTES 8

/* Unpacks a descriptor of 8 bytes as it is in memory. */
static void unpack(u64 d, u16 sel, struct emul_seg *s)
{
	memset(s, 0, sizeof(*s));
	s->sel = sel;
	s->base = ((d >> 16) & 0xffffff) | ((d >> 32) & 0xff000000);
	s->limit = (d & 0xffff) | ((d >> 32) & 0xf0000);
	s->attr = ((d >> 40) & 0xff) | ((d >> 44) & 0xf00);
	if (s->attr & EMUL_SEG_G)
		s->limit = s->limit << 12 | 0xfff;
}

/* Finds the linear address of the descriptor; #GP(selector) beyond the table. */
static int find_descriptor(struct emul_ctxt *c, u16 sel, u64 *la)
{
	struct emul_dtable gdt;
	struct emul_seg ldt;
	u32 limit, error_code = sel & ~SEL_RPL;
	int ret;

	if (sel & SEL_TI) {
		ret = c->ops->get_sys_seg(c, false, &ldt);
		if (ret)
			return ret;
		if (ldt.attr & EMUL_SEG_UNUSABLE || !(ldt.attr & EMUL_SEG_P))
			return emul_gp(c, error_code);
		*la = ldt.base;
		limit = ldt.limit;
	} else {
		ret = c->ops->get_dtable(c, false, &gdt);
		if (ret)
			return ret;
		*la = gdt.base;
		limit = gdt.limit;
	}
	sel &= ~(SEL_RPL | SEL_TI);
	*la += sel;
	if (!c->long_mode)
		*la = (u32)*la;
	if ((u32)sel + DESC_BYTES - 1 > limit)
		return emul_gp(c, error_code);
	return EMUL_OK;
}

static int read_descriptor(struct emul_ctxt *c, u16 sel, u64 *la, u64 *desc,
			   struct emul_seg *s)
{
	int ret = find_descriptor(c, sel, la);

	if (!ret)
		ret = emul_read_linear(c, *la, desc, DESC_BYTES, EMUL_F_SYSTEM);
	if (!ret)
		unpack(*desc, sel, s);
	return ret;
}

/*
 * Sets the accessed bit in the table and in @s. If another CPU has changed the
 * descriptor since it was read, the guest runs the instruction again.
 */
static int mark_accessed(struct emul_ctxt *c, u64 la, u64 desc,
			 struct emul_seg *s)
{
	u64 found = desc, new = desc | BIT_ULL(40);
	int ret;

	if (s->attr & 1)
		return EMUL_OK;
	ret = emul_cmpxchg_linear(c, la, &found, &new, DESC_BYTES,
				  EMUL_F_SYSTEM | EMUL_F_LOCKED);
	if (ret)
		return ret;
	if (found != desc)
		return EMUL_RESTART;
	s->attr |= 1;
	return EMUL_OK;
}

static int check_stack_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = (s->attr >> EMUL_SEG_DPL_SHIFT) & 3;
	u32 ec = s->sel & ~SEL_RPL;

	if ((s->sel & SEL_RPL) != c->cpl || dpl != c->cpl ||
	    !(s->attr & EMUL_SEG_S) || s->attr & 8 || !(s->attr & 2))
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_SS, ec);
}

static int check_data_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = (s->attr >> EMUL_SEG_DPL_SHIFT) & 3;
	bool code = s->attr & 8, conforming = code && s->attr & 4;
	u32 ec = s->sel & ~SEL_RPL;

	if (!(s->attr & EMUL_SEG_S) || (code && !(s->attr & 2)))
		return emul_gp(c, ec);
	if (!conforming && (dpl < c->cpl || dpl < (s->sel & SEL_RPL)))
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_NP, ec);
}

static int load_null(struct emul_ctxt *c, enum insn_seg seg, u16 sel)
{
	struct emul_seg s = { .sel = sel, .attr = EMUL_SEG_UNUSABLE };

	if (seg == INSN_SEG_SS) {
		if (!emul_long(c) || c->cpl == 3 || sel != c->cpl)
			return emul_gp(c, 0);
		s.attr |= c->cpl << EMUL_SEG_DPL_SHIFT;
	}
	return c->ops->set_seg(c, seg, &s);
}

static int load_real(struct emul_ctxt *c, enum insn_seg seg, u16 sel)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, seg, &s);
	if (ret)
		return ret;
	/* Limit and attributes stay; big real mode depends on it. */
	s.sel = sel;
	s.base = (u32)sel << 4;
	return c->ops->set_seg(c, seg, &s);
}

int emul_load_seg(struct emul_ctxt *c, enum insn_seg seg, u16 sel)
{
	struct emul_seg s;
	u64 la = 0, desc;
	int ret;

	if (!c->ops->set_seg)
		return EMUL_UNHANDLED;
	if (!emul_protected(c))
		return load_real(c, seg, sel);
	if (!(sel & ~SEL_RPL))
		return load_null(c, seg, sel);
	if (!c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;

	ret = read_descriptor(c, sel, &la, &desc, &s);
	if (ret)
		return ret;
	ret = seg == INSN_SEG_SS ? check_stack_segment(c, &s) :
				   check_data_segment(c, &s);
	if (ret)
		return ret;
	ret = mark_accessed(c, la, desc, &s);
	if (ret)
		return ret;
	return c->ops->set_seg(c, seg, &s);
}

/* ---- far jumps ---- */

static int check_code_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = (s->attr >> EMUL_SEG_DPL_SHIFT) & 3;
	u32 ec = s->sel & ~SEL_RPL;

	/* The emulator does not go through gates and does not switch tasks. */
	if (!(s->attr & EMUL_SEG_S))
		return EMUL_UNHANDLED;
	if (!(s->attr & 8))
		return emul_gp(c, ec);
	if (s->attr & 4 ? dpl > c->cpl :
			  (s->sel & SEL_RPL) > c->cpl || dpl != c->cpl)
		return emul_gp(c, ec);
	if (c->long_mode && s->attr & EMUL_SEG_L && s->attr & EMUL_SEG_DB)
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_NP, ec);
}

/* Checks the target against the limit of the new code segment, and goes there. */
static int check_target(struct emul_ctxt *c, const struct emul_seg *s, u64 rip)
{
	bool wide = c->long_mode && s->attr & EMUL_SEG_L;

	if (wide ? !emul_canonical(c, rip) : rip > s->limit)
		return emul_gp(c, 0);
	c->w.rip = rip;
	c->branched = true;
	return EMUL_OK;
}

static int jump_real(struct emul_ctxt *c, u16 sel, u64 rip)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_CS, &s);
	if (!ret)
		ret = check_target(c, &s, rip);
	if (ret)
		return ret;
	s.sel = sel;
	s.base = (u32)sel << 4;
	return c->ops->set_seg(c, INSN_SEG_CS, &s);
}

static int jump_protected(struct emul_ctxt *c, u16 sel, u64 rip)
{
	struct emul_seg s;
	u64 la = 0, desc;
	int ret;

	if (!(sel & ~SEL_RPL))
		return emul_gp(c, 0);
	if (!c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	ret = read_descriptor(c, sel, &la, &desc, &s);
	if (!ret)
		ret = check_code_segment(c, &s);
	if (!ret)
		ret = check_target(c, &s, rip);
	if (!ret)
		ret = mark_accessed(c, la, desc, &s);
	if (ret)
		return ret;
	s.sel = (sel & ~SEL_RPL) | c->cpl;
	return c->ops->set_seg(c, INSN_SEG_CS, &s);
}

/* JMP ptr16:16, ptr16:32, m16:16, m16:32, m16:64 within one privilege level */
int emul_op_jmp_far(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize;
	u64 rip = c->insn.imm;
	u16 sel = c->insn.imm2;
	u8 buf[10];
	int ret;

	if (!c->ops->set_seg)
		return EMUL_UNHANDLED;
	if (c->insn.has_mem) {
		ret = emul_read(c, c->insn.seg, emul_ea(c), buf, bytes + 2, 0);
		if (ret)
			return ret;
		rip = 0;
		memcpy(&rip, buf, bytes);
		memcpy(&sel, buf + bytes, 2);
	}
	rip &= emul_mask(bytes);
	return emul_protected(c) ? jump_protected(c, sel, rip) :
				   jump_real(c, sel, rip);
}
