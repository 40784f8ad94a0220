// SPDX-License-Identifier: GPL-2.0
/*
 * Moves, exchanges, and what is as simple as a move.
 */
#include "emul.h"

int emul_op_nop(struct emul_ctxt *c)
{
	return EMUL_OK;
}

int emul_op_clflush(struct emul_ctxt *c)
{
	u64 la;

	return vigil_emul_linear(c, c->insn.seg, emul_ea(c), 1, false, &la);
}

/* MOV, MOVZX, MOVNTI, MOVDIRI */
int emul_op_mov(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = emul_get(c, 1, &v);
	return ret ? ret : emul_put(c, 0, v);
}

int emul_op_movsx(struct emul_ctxt *c)
{
	const struct insn_opd *o = &c->insn.opd[1];
	u64 v = 0;
	int ret;

	if (unlikely(emul_size0(c) < o->size && o->kind == INSN_OPD_MEM))
		ret = emul_read(c, c->insn.seg, emul_ea(c), &v,
				c->features & EMUL_FEAT_MOVSXD16 ? 2 : 4, 0);
	else
		ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	return emul_put(c, 0, emul_sext(v, o->size));
}

int emul_op_movbe(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, i;
	u64 v, res = 0;
	int ret;

	ret = emul_get(c, 1, &v);
	if (ret)
		return ret;
	for (i = 0; i < bytes; i++)
		res |= ((v >> (8 * i)) & 0xff) << (8 * (bytes - 1 - i));
	return emul_put(c, 0, res);
}

int emul_op_lea(struct emul_ctxt *c)
{
	return emul_put(c, 0, emul_ea(c));
}

int emul_op_cmov(struct emul_ctxt *c)
{
	u64 v, old;
	int ret;

	/* The source is read, and bits 63:32 are cleared, whatever the condition is. */
	ret = emul_get(c, 1, &v);
	if (!ret)
		ret = emul_get(c, 0, &old);
	if (ret)
		return ret;
	return emul_put(c, 0, emul_condition(c, c->insn.opcode) ? v : old);
}

int emul_op_setcc(struct emul_ctxt *c)
{
	return emul_put(c, 0, emul_condition(c, c->insn.opcode));
}

#define AH_FLAGS                                                         \
	(X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF | \
	 X86_EFLAGS_CF)

int emul_op_lahf(struct emul_ctxt *c)
{
	u64 ah = (c->w.rflags & AH_FLAGS) | X86_EFLAGS_FIXED;
	u64 *rax = &c->w.regs[INSN_RAX];

	*rax = (*rax & ~0xff00ULL) | ah << 8;
	return EMUL_OK;
}

int emul_op_sahf(struct emul_ctxt *c)
{
	emul_set_flags(c, AH_FLAGS, c->w.regs[INSN_RAX] >> 8);
	return EMUL_OK;
}

int emul_op_salc(struct emul_ctxt *c)
{
	emul_set_reg(c, INSN_RAX, 1, c->w.rflags & X86_EFLAGS_CF ? 0xff : 0);
	return EMUL_OK;
}

int emul_op_xlat(struct emul_ctxt *c)
{
	const struct insn *insn = &c->insn;
	u64 ea = c->w.regs[INSN_RBX] + (u8)c->w.regs[INSN_RAX];
	u8 v;
	int ret;

	ret = emul_read(c, insn->seg, ea & emul_mask(insn->adsize), &v, 1, 0);
	if (!ret)
		emul_set_reg(c, INSN_RAX, 1, v);
	return ret;
}

int emul_op_mov_from_seg(struct emul_ctxt *c)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, c->insn.opd[1].reg, &s);
	return ret ? ret : emul_put(c, 0, s.sel);
}

int emul_op_mov_to_seg(struct emul_ctxt *c)
{
	u64 sel;
	int ret;

	ret = emul_get(c, 1, &sel);
	if (ret)
		return ret;
	ret = emul_load_seg(c, c->insn.opd[0].reg, sel);
	if (!ret && c->insn.opd[0].reg == INSN_SEG_SS)
		c->shadow |= EMUL_SHADOW_MOV_SS;
	return ret;
}

/* LDS, LES, LFS, LGS, LSS: a far pointer */
int emul_op_lds(struct emul_ctxt *c)
{
	unsigned int bytes = emul_far_offset(c);
	enum insn_seg seg;
	u8 ptr[10] = { 0 };
	u64 off = 0;
	u16 sel;
	int ret;

	switch (c->insn.opcode) {
	case 0xc4:
		seg = INSN_SEG_ES;
		break;
	case 0xc5:
		seg = INSN_SEG_DS;
		break;
	case 0xb2:
		seg = INSN_SEG_SS;
		break;
	default:
		seg = c->insn.opcode == 0xb4 ? INSN_SEG_FS : INSN_SEG_GS;
		break;
	}
	ret = emul_read(c, c->insn.seg, emul_ea(c), ptr, bytes + 2, 0);
	if (ret)
		return ret;
	memcpy(&off, ptr, bytes);
	memcpy(&sel, ptr + bytes, 2);
	emul_set_reg(c, c->insn.opd[0].reg, bytes, off);
	return emul_load_seg(c, seg, sel);
}

/* ---- exchanges ---- */

static u64 do_xchg(struct emul_ctxt *c, u64 old, u64 src)
{
	return src;
}

int emul_op_xchg(struct emul_ctxt *c)
{
	const struct insn *insn = &c->insn;
	u64 src, old;
	int ret;

	/* 90 is NOP: it does not clear bits 63:32. */
	if (insn->map == INSN_MAP_1B && insn->opcode == 0x90 &&
	    insn->opd[0].reg == INSN_RAX)
		return EMUL_OK;
	ret = emul_get(c, 1, &src);
	if (!ret)
		ret = emul_rmw(c, do_xchg, src, &old);
	return ret ? ret : emul_put(c, 1, old);
}

static u64 do_xadd(struct emul_ctxt *c, u64 old, u64 src)
{
	return emul_add(c, old, src, 0, c->insn.opd[0].size);
}

int emul_op_xadd(struct emul_ctxt *c)
{
	u64 src, old;
	int ret;

	ret = emul_get(c, 1, &src);
	if (ret)
		return ret;
	if (c->insn.opd[0].kind == INSN_OPD_MEM) {
		ret = emul_rmw(c, do_xadd, src, &old);
		return ret ? ret : emul_put(c, 1, old);
	}
	/* The destination is written last: it prevails if both operands are one register. */
	ret = emul_get(c, 0, &old);
	if (!ret)
		ret = emul_put(c, 1, old);
	return ret ? ret : emul_put(c, 0, do_xadd(c, old, src));
}

/*
 * The compare-and-exchange proper, for up to 16 bytes at a linear address.
 * On return *old is what memory held, and *equal whether that was the expected
 * value.
 */
static int compare_exchange(struct emul_ctxt *c, u64 la, const void *expect,
			    const void *new, void *old, unsigned int bytes,
			    bool *equal)
{
	bool locked = c->insn.prefix & INSN_PFX_LOCK;
	unsigned int flags = locked ? EMUL_F_LOCKED : 0;
	int ret;

	/*
	 * An unequal comparison needs write access to memory as well, but what
	 * hardware writes back then is the old value: no store, no event.
	 */
	ret = emul_read_linear(c, la, old, bytes, flags | EMUL_F_WRITE_INTENT);
	if (ret)
		return ret;
	*equal = !memcmp(old, expect, bytes);
	if (!*equal)
		return EMUL_OK;
	if (!locked)
		return emul_write_linear(c, la, new, bytes,
					 EMUL_F_WRITE_INTENT);
	ret = emul_cmpxchg_linear(c, la, old, new, bytes, flags);
	if (!ret)
		*equal = !memcmp(old, expect, bytes);
	return ret;
}

int emul_op_cmpxchg(struct emul_ctxt *c)
{
	const struct insn_opd *o = &c->insn.opd[0];
	u64 acc = emul_get_reg(c, INSN_RAX, o->size);
	u64 src, old = 0, la;
	bool equal;
	int ret;

	ret = emul_get(c, 1, &src);
	if (ret)
		return ret;
	if (o->kind == INSN_OPD_MEM) {
		ret = emul_linear(c, c->insn.seg, emul_ea(c), o->size, true,
				  &la);
		if (!ret)
			ret = compare_exchange(c, la, &acc, &src, &old, o->size,
					       &equal);
	} else {
		/* If the comparison fails, not even bits 63:32 of the destination change. */
		ret = emul_get(c, 0, &old);
		equal = old == acc;
		if (!ret && equal)
			ret = emul_put(c, 0, src);
	}
	if (ret)
		return ret;
	emul_sub(c, acc, old, 0, o->size);
	if (!equal)
		emul_set_reg(c, INSN_RAX, o->size, old);
	return EMUL_OK;
}

int emul_op_cmpxchg8b(struct emul_ctxt *c)
{
	unsigned int half = c->insn.opsize == 8 ? 8 : 4;
	u8 expect[16], new[16], old[16];
	u64 la, lo = 0, hi = 0;
	bool equal;
	int ret;

	if (half == 8)
		c->insn.flags |= INSN_ALIGNED;
	ret = emul_linear(c, c->insn.seg, emul_ea(c), 2 * half, true, &la);
	if (ret)
		return ret;

	memcpy(expect, &c->w.regs[INSN_RAX], half);
	memcpy(expect + half, &c->w.regs[INSN_RDX], half);
	memcpy(new, &c->w.regs[INSN_RBX], half);
	memcpy(new + half, &c->w.regs[INSN_RCX], half);
	ret = compare_exchange(c, la, expect, new, old, 2 * half, &equal);
	if (ret)
		return ret;
	emul_set_flags(c, X86_EFLAGS_ZF, equal ? X86_EFLAGS_ZF : 0);
	if (!equal) {
		memcpy(&lo, old, half);
		memcpy(&hi, old + half, half);
		emul_set_reg(c, INSN_RAX, half, lo);
		emul_set_reg(c, INSN_RDX, half, hi);
	}
	return EMUL_OK;
}
