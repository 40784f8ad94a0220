// SPDX-License-Identifier: GPL-2.0
/*
 * Control and debug registers, descriptor-table registers, INVLPG.
 */
#include "emul.h"

/* CR4.UMIP makes these raise #GP in user code. */
static int check_umip(struct emul_ctxt *c)
{
	u64 cr4;
	int ret;

	if (c->cpl <= c->kernel_ring)
		return EMUL_OK;
	ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	return cr4 & X86_CR4_UMIP ? emul_gp(c, 0) : EMUL_OK;
}

int emul_op_sgdt(struct emul_ctxt *c)
{
	struct emul_dtable t;
	u8 buf[10];
	int ret;

	if (!c->ops->get_dtable)
		return EMUL_UNHANDLED;
	ret = check_umip(c);
	if (!ret)
		ret = c->ops->get_dtable(c, c->insn.op == INSN_OP_SIDT, &t);
	if (ret)
		return ret;
	memcpy(buf, &t.limit, 2);
	memcpy(buf + 2, &t.base, 8);
	return emul_write(c, c->insn.seg, emul_ea(c), buf, c->insn.opd[0].size,
			  0);
}

int emul_op_lgdt(struct emul_ctxt *c)
{
	struct emul_dtable t = { 0 };
	u8 buf[10] = { 0 };
	int ret;

	if (!c->ops->set_dtable)
		return EMUL_UNHANDLED;
	ret = emul_read(c, c->insn.seg, emul_ea(c), buf, c->insn.opd[0].size,
			0);
	if (ret)
		return ret;
	memcpy(&t.limit, buf, 2);
	memcpy(&t.base, buf + 2, 8);
	if (!emul_long(c) && c->insn.opsize == 2)
		t.base &= 0xffffff;
	if (emul_long(c) && !emul_canonical(c, t.base))
		return emul_gp(c, 0);
	return c->ops->set_dtable(c, c->insn.op == INSN_OP_LIDT, &t);
}

/* SLDT, STR */
int emul_op_sldt(struct emul_ctxt *c)
{
	struct emul_seg s;
	int ret;

	if (!c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	if (!emul_protected(c))
		return emul_ud(c);
	ret = check_umip(c);
	if (!ret)
		ret = c->ops->get_sys_seg(c, c->insn.op == INSN_OP_STR, &s);
	return ret ? ret : emul_put(c, 0, s.sel);
}

int emul_op_smsw(struct emul_ctxt *c)
{
	u64 cr0;
	int ret;

	ret = check_umip(c);
	if (!ret)
		ret = c->ops->get_cr(c, 0, &cr0);
	return ret ? ret : emul_put(c, 0, cr0);
}

int emul_op_lmsw(struct emul_ctxt *c)
{
	u64 cr0, v;
	int ret;

	if (!c->ops->set_cr)
		return EMUL_UNHANDLED;
	ret = emul_get(c, 0, &v);
	if (!ret)
		ret = c->ops->get_cr(c, 0, &cr0);
	if (ret)
		return ret;
	/* LMSW writes PE, MP, EM and TS; it can set PE but not clear it. */
	v = (cr0 & ~0xeULL) | (v & 0xf);
	return c->ops->set_cr(c, 0, v);
}

int emul_op_clts(struct emul_ctxt *c)
{
	u64 cr0;
	int ret;

	if (!c->ops->set_cr)
		return EMUL_UNHANDLED;
	ret = c->ops->get_cr(c, 0, &cr0);
	return ret ? ret : c->ops->set_cr(c, 0, cr0 & ~X86_CR0_TS);
}

int emul_op_mov_from_cr(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = c->ops->get_cr(c, c->insn.opd[1].reg, &v);
	return ret ? ret : emul_put(c, 0, v);
}

int emul_op_mov_to_cr(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	if (!c->ops->set_cr)
		return EMUL_UNHANDLED;
	ret = emul_get(c, 1, &v);
	return ret ? ret : c->ops->set_cr(c, c->insn.opd[0].reg, v);
}

int emul_op_mov_from_dr(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	if (!c->ops->get_dr)
		return EMUL_UNHANDLED;
	ret = c->ops->get_dr(c, c->insn.opd[1].reg, &v);
	return ret ? ret : emul_put(c, 0, v);
}

int emul_op_mov_to_dr(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	if (!c->ops->set_dr)
		return EMUL_UNHANDLED;
	ret = emul_get(c, 1, &v);
	return ret ? ret : c->ops->set_dr(c, c->insn.opd[0].reg, v);
}

int emul_op_invlpg(struct emul_ctxt *c)
{
	enum insn_seg seg = c->insn.seg;
	struct emul_seg s;
	u64 la = emul_ea(c);
	int ret;

	if (!c->ops->invlpg)
		return EMUL_UNHANDLED;
	/* INVLPG checks neither limit nor type, and ignores a non-canonical address. */
	if (!emul_long(c) || seg == INSN_SEG_FS || seg == INSN_SEG_GS) {
		ret = c->ops->get_seg(c, seg, &s);
		if (ret)
			return ret;
		la += s.base;
	}
	return c->ops->invlpg(c, emul_long(c) ? la : (u32)la);
}
