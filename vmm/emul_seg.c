// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a segment register: the checks, the descriptor, its accessed bit.
 */
#include "emul.h"

#define SEL_TI BIT(2)
#define SEL_RPL 3
#define DESC_BYTES 8

/* The legacy descriptor, as it is in memory. */
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

/* Linear address of the descriptor; #GP(selector) beyond the table. */
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

static int check_stack_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = (s->attr >> EMUL_SEG_DPL_SHIFT) & 3;
	u32 ec = s->sel & ~SEL_RPL;

	if ((s->sel & SEL_RPL) != c->cpl || dpl != c->cpl ||
	    !(s->attr & EMUL_SEG_S) || s->attr & 8 || !(s->attr & 2))
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, EXC_SS, ec);
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
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, EXC_NP, ec);
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
	/* limit and attributes stay, which is what big real mode lives on */
	s.sel = sel;
	s.base = (u32)sel << 4;
	return c->ops->set_seg(c, seg, &s);
}

int emul_load_seg(struct emul_ctxt *c, enum insn_seg seg, u16 sel)
{
	struct emul_seg s;
	u64 la = 0, desc, new;
	int ret;

	if (!c->ops->set_seg)
		return EMUL_UNHANDLED;
	if (!emul_protected(c))
		return load_real(c, seg, sel);
	if (!(sel & ~SEL_RPL))
		return load_null(c, seg, sel);
	if (!c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;

	ret = find_descriptor(c, sel, &la);
	if (!ret)
		ret = emul_read_linear(c, la, &desc, DESC_BYTES, EMUL_F_SYSTEM);
	if (ret)
		return ret;
	unpack(desc, sel, &s);
	ret = seg == INSN_SEG_SS ? check_stack_segment(c, &s) :
				   check_data_segment(c, &s);
	if (ret)
		return ret;
	if (!(s.attr & 1)) {
		u64 found = desc;

		new = desc | BIT_ULL(40);
		ret = emul_cmpxchg_linear(c, la, &found, &new, DESC_BYTES,
					  EMUL_F_SYSTEM | EMUL_F_LOCKED);
		if (ret)
			return ret;
		if (found != desc)
			return EMUL_RESTART;
		s.attr |= 1;
	}
	return c->ops->set_seg(c, seg, &s);
}
