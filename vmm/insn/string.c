// SPDX-License-Identifier: GPL-2.0
/*
 * String instructions, one element at a time; emulate.c repeats them.
 */
#include "emul.h"

static void advance(struct emul_ctxt *c, unsigned int reg, unsigned int bytes)
{
	unsigned int adsize = c->insn.adsize;
	u64 p = emul_get_reg(c, reg, adsize);

	p = c->w.rflags & X86_EFLAGS_DF ? p - bytes : p + bytes;
	emul_set_reg(c, reg, adsize, p);
}

static int load(struct emul_ctxt *c, u64 *v, unsigned int bytes)
{
	*v = 0;
	return emul_read(c, c->insn.seg,
			 emul_get_reg(c, INSN_RSI, c->insn.adsize), v, bytes,
			 0);
}

static int load_dest(struct emul_ctxt *c, u64 *v, unsigned int bytes)
{
	*v = 0;
	return emul_read(c, INSN_SEG_ES,
			 emul_get_reg(c, INSN_RDI, c->insn.adsize), v, bytes,
			 0);
}

static int store(struct emul_ctxt *c, u64 v, unsigned int bytes)
{
	return emul_write(c, INSN_SEG_ES,
			  emul_get_reg(c, INSN_RDI, c->insn.adsize), &v, bytes,
			  0);
}

int emul_op_string(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	bool si = false, di = false;
	u64 a, b;
	int ret;

	switch (c->insn.op) {
	case INSN_OP_MOVS:
		si = di = true;
		ret = load(c, &a, bytes);
		if (!ret)
			ret = store(c, a, bytes);
		break;
	case INSN_OP_STOS:
		di = true;
		ret = store(c, emul_get_reg(c, INSN_RAX, bytes), bytes);
		break;
	case INSN_OP_LODS:
		si = true;
		ret = load(c, &a, bytes);
		if (!ret)
			emul_set_reg(c, INSN_RAX, bytes, a);
		break;
	case INSN_OP_CMPS:
		si = di = true;
		ret = load(c, &a, bytes);
		if (!ret)
			ret = load_dest(c, &b, bytes);
		if (!ret)
			emul_sub(c, a, b, 0, bytes);
		break;
	case INSN_OP_SCAS:
		di = true;
		ret = load_dest(c, &b, bytes);
		if (!ret)
			emul_sub(c, emul_get_reg(c, INSN_RAX, bytes), b, 0,
				 bytes);
		break;
	default:
		return EMUL_UNHANDLED;
	}
	if (ret)
		return ret;
	if (si)
		advance(c, INSN_RSI, bytes);
	if (di)
		advance(c, INSN_RDI, bytes);
	return EMUL_OK;
}
