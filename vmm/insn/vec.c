// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and stores of MMX, SSE and AVX registers.
 */
#include "emul.h"

int emul_check_vex(struct emul_ctxt *c, u64 components)
{
	u64 cr0, cr4, xcr0;
	int ret;

	if (!c->ops->get_xcr0)
		return EMUL_UNHANDLED;
	ret = c->ops->get_cr(c, 0, &cr0);
	if (!ret)
		ret = c->ops->get_cr(c, 4, &cr4);
	if (!ret)
		ret = c->ops->get_xcr0(c, &xcr0);
	if (ret)
		return ret;
	if (!(cr4 & X86_CR4_OSXSAVE) || ~xcr0 & components)
		return emul_ud(c);
	return cr0 & X86_CR0_TS ? emul_raise(c, X86_TRAP_NM, 0) : EMUL_OK;
}

/* Raises #UD or #NM unless the guest has the unit switched on. */
static int check_vector(struct emul_ctxt *c)
{
	bool mmx = c->insn.op == INSN_OP_MOVD_MMX ||
		   c->insn.op == INSN_OP_MOVQ_MMX;
	u64 cr0, cr4;
	int ret;

	if (mmx ? !c->ops->get_mmx || !c->ops->set_mmx :
		  !c->ops->get_vec || !c->ops->set_vec)
		return EMUL_UNHANDLED;
	if (c->insn.prefix & INSN_PFX_VEX)
		return emul_check_vex(c, COMP_SSE | COMP_AVX);
	ret = c->ops->get_cr(c, 0, &cr0);
	if (!ret)
		ret = c->ops->get_cr(c, 4, &cr4);
	if (ret)
		return ret;
	if (cr0 & X86_CR0_EM || (!mmx && !(cr4 & X86_CR4_OSFXSR)))
		return emul_ud(c);
	return cr0 & X86_CR0_TS ? emul_raise(c, X86_TRAP_NM, 0) : EMUL_OK;
}

static bool is_mem(const struct emul_ctxt *c, unsigned int i)
{
	return c->insn.opd[i].kind == INSN_OPD_MEM;
}

static bool is_vex(const struct emul_ctxt *c)
{
	return c->insn.prefix & INSN_PFX_VEX;
}

static int load(struct emul_ctxt *c, void *buf, unsigned int bytes)
{
	return emul_read(c, c->insn.seg, emul_ea(c), buf, bytes, 0);
}

static int store(struct emul_ctxt *c, const void *buf, unsigned int bytes)
{
	return emul_write(c, c->insn.seg, emul_ea(c), buf, bytes, 0);
}

static int get_vec(struct emul_ctxt *c, unsigned int i, void *buf,
		   unsigned int bytes)
{
	return c->ops->get_vec(c, c->insn.opd[i].reg, buf, bytes);
}

static int set_vec(struct emul_ctxt *c, const void *buf, unsigned int bytes)
{
	return c->ops->set_vec(c, c->insn.opd[0].reg, buf, bytes, is_vex(c));
}

/* MOVAPS, MOVUPS, MOVDQA, MOVDQU, MOVNTPS, MOVNTDQ, LDDQU ...: all of it */
int emul_op_vmov(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	u8 buf[EMUL_MAX_ACCESS];
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	ret = is_mem(c, 1) ? load(c, buf, bytes) : get_vec(c, 1, buf, bytes);
	if (ret)
		return ret;
	return is_mem(c, 0) ? store(c, buf, bytes) : set_vec(c, buf, bytes);
}

/* Reads the 16 bytes into which a narrower value is merged. */
static int merge_base(struct emul_ctxt *c, u8 *buf)
{
	unsigned int reg = is_vex(c) ? c->insn.vex_v : c->insn.opd[0].reg;

	return c->ops->get_vec(c, reg, buf, 16);
}

/* MOVSS, MOVSD */
int emul_op_vmovs(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size;
	u8 buf[16] = { 0 }, src[16];
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	if (is_mem(c, 1)) {
		/* A load from memory clears the rest of the register. */
		ret = load(c, buf, bytes);
		return ret ? ret : set_vec(c, buf, 16);
	}
	ret = get_vec(c, 1, src, 16);
	if (ret)
		return ret;
	if (is_mem(c, 0))
		return store(c, src, bytes);
	ret = merge_base(c, buf);
	if (ret)
		return ret;
	memcpy(buf, src, bytes);
	return set_vec(c, buf, 16);
}

/*
 * MOVLPS, MOVLPD, MOVHPS, MOVHPD: one half, "to" in the register; between
 * registers (MOVHLPS, MOVLHPS) it comes from the other half.
 */
static int move_half(struct emul_ctxt *c, unsigned int to)
{
	u8 buf[16], src[16];
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	if (is_mem(c, 0)) {
		ret = get_vec(c, 1, src, 16);
		return ret ? ret : store(c, src + to, 8);
	}
	if (is_mem(c, 1)) {
		ret = load(c, src, 8);
	} else {
		ret = get_vec(c, 1, buf, 16);
		memcpy(src, buf + 8 - to, 8);
	}
	if (!ret)
		ret = merge_base(c, buf);
	if (ret)
		return ret;
	memcpy(buf + to, src, 8);
	return set_vec(c, buf, 16);
}

int emul_op_vmovlow(struct emul_ctxt *c)
{
	return move_half(c, 0);
}

int emul_op_vmovhigh(struct emul_ctxt *c)
{
	return move_half(c, 8);
}

/* MOVD, MOVQ between a vector register and a general register or memory */
int emul_op_vmovd(struct emul_ctxt *c)
{
	u8 buf[16] = { 0 };
	u64 v = 0;
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	if (c->insn.opd[0].kind == INSN_OPD_VEC) {
		ret = emul_get(c, 1, &v);
		if (ret)
			return ret;
		memcpy(buf, &v, sizeof(v));
		return set_vec(c, buf, 16);
	}
	ret = get_vec(c, 1, buf, 16);
	if (ret)
		return ret;
	memcpy(&v, buf, sizeof(v));
	return emul_put(c, 0, v);
}

/* MOVQ between vector registers, or memory: 8 bytes, zero-extended */
int emul_op_vmovq(struct emul_ctxt *c)
{
	u8 buf[16];
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	ret = is_mem(c, 1) ? load(c, buf, 8) : get_vec(c, 1, buf, 16);
	if (ret)
		return ret;
	if (is_mem(c, 0))
		return store(c, buf, 8);
	memset(buf + 8, 0, 8);
	return set_vec(c, buf, 16);
}

int emul_op_movd_mmx(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	if (c->insn.opd[0].kind == INSN_OPD_MMX) {
		ret = emul_get(c, 1, &v);
		return ret ? ret : c->ops->set_mmx(c, c->insn.opd[0].reg, v);
	}
	ret = c->ops->get_mmx(c, c->insn.opd[1].reg, &v);
	return ret ? ret : emul_put(c, 0, v);
}

int emul_op_movq_mmx(struct emul_ctxt *c)
{
	u64 v;
	int ret;

	ret = check_vector(c);
	if (ret)
		return ret;
	ret = is_mem(c, 1) ? load(c, &v, 8) :
			     c->ops->get_mmx(c, c->insn.opd[1].reg, &v);
	if (ret)
		return ret;
	return is_mem(c, 0) ? store(c, &v, 8) :
			      c->ops->set_mmx(c, c->insn.opd[0].reg, v);
}

/* PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS, VEXTRACTF128, VEXTRACTI128 */
int emul_op_vextract(struct emul_ctxt *c)
{
	const struct insn_opd *o = &c->insn.opd[0];
	unsigned int bytes = o->size, all, at;
	u8 buf[32];
	u64 v = 0;
	int ret;

	/* A general register gets as many bytes as the opcode extracts. */
	if (c->insn.opcode == 0x14)
		bytes = 1;
	else if (c->insn.opcode == 0x15)
		bytes = 2;
	all = bytes == 16 ? 32 : 16;
	at = c->insn.imm % (all / bytes) * bytes;

	ret = check_vector(c);
	if (!ret)
		ret = get_vec(c, 1, buf, all);
	if (ret)
		return ret;
	if (is_mem(c, 0))
		return store(c, buf + at, bytes);
	if (bytes == 16)
		return set_vec(c, buf + at, 16);
	memcpy(&v, buf + at, bytes);
	return emul_put(c, 0, v);
}

int emul_store_selected(struct emul_ctxt *c, u64 ea, const u8 *data, u64 select,
			unsigned int elements, unsigned int bytes)
{
	unsigned int most = EMUL_MAX_ACCESS / bytes;
	unsigned int first, last, n, i;
	u64 mask = emul_mask(c->insn.adsize);
	int ret = EMUL_OK;

	if (!select)
		return EMUL_OK;
	for (first = 0; !(select >> first & 1); first++)
		;
	for (last = elements - 1; !(select >> last & 1); last--)
		;
	for (i = first; !ret && i <= last; i += n) {
		n = last - i + 1 < most ? last - i + 1 : most;
		ret = emul_probe(c, c->insn.seg, (ea + i * bytes) & mask,
				 n * bytes, 0);
	}
	for (i = first; !ret && i <= last; i += n) {
		for (n = 0; n < most && i + n <= last && select >> (i + n) & 1;
		     n++)
			;
		if (n)
			ret = emul_write(c, c->insn.seg,
					 (ea + i * bytes) & mask,
					 data + i * bytes, n * bytes, 0);
		else
			n = 1;
	}
	return ret;
}

/* A bit mask of the elements whose topmost bit is set. */
static u32 sign_bits(const u8 *mask, unsigned int elements, unsigned int bytes)
{
	u32 select = 0;
	unsigned int i;

	for (i = 0; i < elements; i++)
		if (mask[(i + 1) * bytes - 1] & 0x80)
			select |= 1u << i;
	return select;
}

/* MASKMOVDQU: bytes, to rDI */
int emul_op_maskmov(struct emul_ctxt *c)
{
	u8 data[16], mask[16];
	int ret;

	ret = check_vector(c);
	if (!ret)
		ret = get_vec(c, 0, data, 16);
	if (!ret)
		ret = get_vec(c, 1, mask, 16);
	if (ret)
		return ret;
	return emul_store_selected(c, emul_get_reg(c, INSN_RDI, c->insn.adsize),
				   data, sign_bits(mask, 16, 1), 16, 1);
}

/* VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ */
int emul_op_vmaskmov(struct emul_ctxt *c)
{
	unsigned int all = c->insn.opd[0].size, bytes, i;
	u8 data[32] = { 0 }, mask[32];
	u64 ea = emul_ea(c);
	u32 select;
	int ret;

	if (c->insn.opcode < 0x30)
		bytes = c->insn.opcode & 1 ? 8 : 4;
	else
		bytes = c->insn.rex & 8 ? 8 : 4;
	ret = check_vector(c);
	if (!ret)
		ret = c->ops->get_vec(c, c->insn.vex_v, mask, all);
	if (ret)
		return ret;
	select = sign_bits(mask, all / bytes, bytes);
	if (is_mem(c, 0)) {
		ret = get_vec(c, 1, data, all);
		if (ret)
			return ret;
		return emul_store_selected(c, ea, data, select, all / bytes,
					   bytes);
	}
	for (i = 0; i < all / bytes; i++) {
		if (!(select >> i & 1))
			continue;
		ret = emul_read(c, c->insn.seg,
				(ea + i * bytes) & emul_mask(c->insn.adsize),
				data + i * bytes, bytes, 0);
		if (ret)
			return ret;
	}
	return set_vec(c, data, all);
}
