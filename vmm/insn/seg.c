// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors: finding them, their accessed and busy bits; and what loads a data
 * segment, LDTR or TR from them. far.c loads CS.
 */
#include "emul.h"

#define DESC_BYTES 8
#define DESC_ACCESSED BIT_ULL(40)
#define DESC_BUSY BIT_ULL(41)

/* types of system descriptors */
#define TYPE_TSS16 1
#define TYPE_LDT 2
#define TYPE_TSS 9

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

/* Finds the linear address of @bytes of descriptor; #GP(selector) beyond the table. */
static int find_descriptor(struct emul_ctxt *c, u16 sel, unsigned int bytes,
			   u64 *la)
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
	if ((u32)sel + bytes - 1 > limit)
		return emul_gp(c, error_code);
	return EMUL_OK;
}

int emul_read_descriptor(struct emul_ctxt *c, u16 sel, u64 *la, u64 *desc,
			 struct emul_seg *s)
{
	int ret;

	if (!c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	ret = find_descriptor(c, sel, DESC_BYTES, la);

	if (!ret)
		ret = emul_read_linear(c, *la, desc, DESC_BYTES, EMUL_F_SYSTEM);
	if (!ret)
		unpack(*desc, sel, s);
	return ret;
}

/*
 * Sets a bit of a descriptor in its table. If another CPU has changed the
 * descriptor since it was read, the guest runs the instruction again.
 */
static int set_bit_in_table(struct emul_ctxt *c, u64 la, u64 desc, u64 bit)
{
	u64 found = desc, new = desc | bit;
	int ret;

	ret = emul_cmpxchg_linear(c, la, &found, &new, DESC_BYTES,
				  EMUL_F_SYSTEM | EMUL_F_LOCKED);
	if (ret)
		return ret;
	return found == desc ? EMUL_OK : EMUL_RESTART;
}

int emul_mark_accessed(struct emul_ctxt *c, u64 la, u64 desc,
		       struct emul_seg *s)
{
	int ret;

	if (s->attr & 1)
		return EMUL_OK;
	ret = set_bit_in_table(c, la, desc, DESC_ACCESSED);
	if (!ret)
		s->attr |= 1;
	return ret;
}

int emul_check_stack_segment(struct emul_ctxt *c, const struct emul_seg *s,
			     unsigned int cpl)
{
	unsigned int dpl = emul_dpl(s);
	u32 ec = s->sel & ~SEL_RPL;

	if ((s->sel & SEL_RPL) != cpl || dpl != cpl ||
	    !(s->attr & EMUL_SEG_S) || s->attr & 8 || !(s->attr & 2))
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_SS, ec);
}

int emul_check_data_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = emul_dpl(s);
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
	struct emul_seg s = { 0 };
	int ret;

	if (c->features & EMUL_FEAT_NULL_KEEPS_BASE) {
		ret = c->ops->get_seg(c, seg, &s);
		if (ret)
			return ret;
	}
	s.sel = sel;
	s.attr = EMUL_SEG_UNUSABLE;
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
	ret = emul_read_descriptor(c, sel, &la, &desc, &s);
	if (ret)
		return ret;
	ret = seg == INSN_SEG_SS ? emul_check_stack_segment(c, &s, c->cpl) :
				   emul_check_data_segment(c, &s);
	if (ret)
		return ret;
	ret = emul_mark_accessed(c, la, desc, &s);
	if (ret)
		return ret;
	return c->ops->set_seg(c, seg, &s);
}

/* ---- LDTR and TR ---- */

int emul_read_upper(struct emul_ctxt *c, u16 sel, u64 la, u64 *upper)
{
	int ret;

	ret = find_descriptor(c, sel, 2 * DESC_BYTES, &la);
	if (!ret)
		ret = emul_read_linear(c, la + DESC_BYTES, upper, DESC_BYTES,
				       EMUL_F_SYSTEM);
	if (ret)
		return ret;
	/* The type field of the upper half must be 0. */
	return *upper >> 40 & 0x1f ? emul_gp(c, sel & ~SEL_RPL) : EMUL_OK;
}

static int read_upper_base(struct emul_ctxt *c, u16 sel, u64 la,
			   struct emul_seg *s)
{
	u64 upper = 0;
	int ret = emul_read_upper(c, sel, la, &upper);

	if (ret)
		return ret;
	s->base |= upper << 32;
	return emul_canonical(c, s->base) ? EMUL_OK :
					    emul_gp(c, sel & ~SEL_RPL);
}

static bool is_available_tss(const struct emul_ctxt *c,
			     const struct emul_seg *s)
{
	unsigned int type = s->attr & (EMUL_SEG_S | EMUL_SEG_TYPE);

	return type == TYPE_TSS || (type == TYPE_TSS16 && !c->long_mode);
}

/* LLDT, LTR */
int emul_op_lldt(struct emul_ctxt *c)
{
	bool tr = c->insn.op == INSN_OP_LTR, may = true;
	struct emul_seg s = { 0 };
	u64 sel64, la = 0, desc;
	u16 sel, ec;
	int ret;

	if (!c->ops->set_sys_seg)
		return EMUL_UNHANDLED;
	if (!emul_protected(c))
		return emul_ud(c);
	if (c->cpl)
		return emul_gp(c, 0);
	ret = emul_get(c, 0, &sel64);
	if (ret)
		return ret;
	sel = sel64;
	ec = sel & ~SEL_RPL;
	if (!ec) {
		if (tr)
			return emul_gp(c, 0);
		s.sel = sel;
		s.attr = EMUL_SEG_UNUSABLE;
		return c->ops->set_sys_seg(c, false, &s);
	}
	if (sel & SEL_TI)
		return emul_gp(c, ec);
	ret = emul_read_descriptor(c, sel, &la, &desc, &s);
	if (ret)
		return ret;
	if (tr ? !is_available_tss(c, &s) :
		 (s.attr & (EMUL_SEG_S | EMUL_SEG_TYPE)) != TYPE_LDT)
		return emul_gp(c, ec);
	if (!(s.attr & EMUL_SEG_P))
		return emul_raise(c, X86_TRAP_NP, ec);
	if (c->long_mode)
		ret = read_upper_base(c, sel, la, &s);
	if (!ret && tr)
		ret = emul_probe_linear(c, la, DESC_BYTES, EMUL_F_SYSTEM);
	if (!ret && tr && c->ops->may_load_tr)
		ret = c->ops->may_load_tr(c, &s, &may);
	/* A load that is refused does not make the descriptor busy either. */
	if (ret || !may)
		return ret;
	if (tr)
		ret = set_bit_in_table(c, la, desc, DESC_BUSY);
	if (ret)
		return ret;
	if (tr)
		s.attr |= 2;
	return c->ops->set_sys_seg(c, tr, &s);
}
