// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of AVX-512. EVEX encodes 32 registers of up to 64 bytes, of which an opmask
 * register selects elements; the opmask registers are stored too. SDM volume 1, "Programming with Intel AVX-512".
 *
 * The registers are taken from an image of the guest's state, so the emulator
 * itself needs no AVX-512.
 */
#include "emul.h"

#define ZMM_BYTES 64
#define COMP_AVX512                                                         \
	(COMP_SSE | COMP_AVX | BIT_ULL(NR_OPMASK) | BIT_ULL(NR_ZMM_HI256) | \
	 BIT_ULL(NR_HI16_ZMM))

/* @bytes of the component's register @reg; each of them has @bytes */
static int from_component(struct emul_ctxt *c, unsigned int nr,
			  unsigned int reg, void *buf, unsigned int bytes)
{
	struct emul_component comp;
	int ret = c->ops->get_component(c, nr, &comp);

	if (ret)
		return ret;
	if ((reg + 1) * bytes > comp.bytes)
		return EMUL_UNHANDLED;
	memcpy(buf, c->image + comp.offset + reg * bytes, bytes);
	return EMUL_OK;
}

static int get_zmm(struct emul_ctxt *c, unsigned int reg, u8 *zmm)
{
	int ret;

	if (reg >= 16)
		return from_component(c, NR_HI16_ZMM, reg - 16, zmm, ZMM_BYTES);
	memcpy(zmm, c->image + AT_XMM + 16 * reg, 16);
	ret = from_component(c, NR_AVX, reg, zmm + 16, 16);
	return ret ? ret : from_component(c, NR_ZMM_HI256, reg, zmm + 32, 32);
}

/* The bytes of an element; each element has its own bit in the opmask. */
static unsigned int element(const struct insn *insn)
{
	bool w = insn->rex & 8;
	unsigned int bytes = w ? 8 : 4;

	/* VMOVDQU8, VMOVDQU16 */
	if (insn->map == INSN_MAP_0F && insn->opcode == 0x7f &&
	    insn->vex_pp == 3)
		bytes = w ? 2 : 1;
	return bytes < insn->opd[0].size ? bytes : insn->opd[0].size;
}

/* VMOVAPS, VMOVNTPS, VMOVDQA32, VMOVNTDQ ... */
static bool is_aligned(const struct insn *insn)
{
	return insn->map == INSN_MAP_0F &&
	       (insn->opcode == 0x29 || insn->opcode == 0x2b ||
		insn->opcode == 0xe7 ||
		(insn->opcode == 0x7f && insn->vex_pp == 1));
}

/* The byte of the register at which the stored part begins. */
static unsigned int first_byte(const struct insn *insn)
{
	unsigned int bytes = insn->opd[0].size;

	if (insn->map == INSN_MAP_0F3A)
		return insn->imm % ((16u << insn->vex_l) / bytes) * bytes;
	/* VMOVHPS, VMOVHPD */
	return insn->opcode == 0x17 ? 8 : 0;
}

/* Checks that the guest may use AVX-512, and takes its image. */
static int begin_avx512(struct emul_ctxt *c)
{
	int ret;

	if (!c->ops->get_component)
		return EMUL_UNHANDLED;
	ret = emul_check_vex(c, COMP_AVX512);
	return ret ? ret : emul_get_image(c, EMUL_SAVE_XSAVE, COMP_AVX512);
}

int emul_op_vstore(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, each = element(&c->insn);
	u64 ea = emul_ea(c), select = ~0ULL, la;
	u8 zmm[ZMM_BYTES];
	int ret = begin_avx512(c);

	if (!ret)
		ret = get_zmm(c, c->insn.opd[1].reg, zmm);
	if (!ret && c->insn.evex_k)
		ret = from_component(c, NR_OPMASK, c->insn.evex_k, &select, 8);
	if (!ret && is_aligned(&c->insn)) {
		ret = emul_linear(c, c->insn.seg, ea, 1, true, &la);
		if (!ret && la & (bytes - 1))
			ret = emul_gp(c, 0);
	}
	if (ret)
		return ret;
	if (bytes / each < 64)
		select &= BIT_ULL(bytes / each) - 1;
	return emul_store_selected(c, ea, zmm + first_byte(&c->insn), select,
				   bytes / each, each);
}

/* KMOVB, KMOVW, KMOVD, KMOVQ, which are encoded by VEX */
int emul_op_kstore(struct emul_ctxt *c)
{
	u64 mask;
	int ret = begin_avx512(c);

	if (!ret)
		ret = from_component(c, NR_OPMASK, c->insn.modrm >> 3 & 7,
				     &mask, 8);
	return ret ? ret :
		     emul_write(c, c->insn.seg, emul_ea(c), &mask,
				c->insn.opd[0].size, 0);
}
