// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of AVX-512. EVEX encodes 32 registers of up to 64 bytes, of which an opmask
 * register selects elements; the opmask registers are stored too. SDM volume 1,
 * "Programming with Intel AVX-512". VCVTPS2PH is missing: it changes MXCSR.
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

/* Takes the register that is stored, and the mask: all ones without one. */
static int get_source(struct emul_ctxt *c, u8 *zmm, u64 *select)
{
	int ret = begin_avx512(c);

	*select = ~0ULL;
	if (!ret)
		ret = get_zmm(c, c->insn.opd[1].reg, zmm);
	if (!ret && c->insn.evex_k)
		ret = from_component(c, NR_OPMASK, c->insn.evex_k, select, 8);
	return ret;
}

int emul_op_vstore(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, each = element(&c->insn);
	u64 ea = emul_ea(c), select, la;
	u8 zmm[ZMM_BYTES];
	int ret = get_source(c, zmm, &select);

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

/* ---- narrower elements ---- */

static u64 get_element(const u8 *from, unsigned int bytes)
{
	u64 v = 0;

	memcpy(&v, from, bytes);
	return v;
}

/* Cuts a value off, or holds it at the limits of @bytes, as the opcode says. */
static u64 narrow(unsigned int opcode, u64 v, unsigned int from,
		  unsigned int bytes)
{
	s64 most = emul_sign(bytes) - 1, s = emul_sext(v, from);

	switch (opcode & 0xf0) {
	case 0x10:
		return v > emul_mask(bytes) ? emul_mask(bytes) : v;
	case 0x20:
		return s > most ? most : s < -most - 1 ? -most - 1 : s;
	}
	return v;
}

/* VPMOVQB, VPMOVSQB, VPMOVUSQB and the other five pairs of sizes */
int emul_op_vnarrow(struct emul_ctxt *c)
{
	static const struct {
		u8 from, to;
	} sizes[] = {
		{ 2, 1 }, { 4, 1 }, { 8, 1 }, { 4, 2 }, { 8, 2 }, { 8, 4 }
	};
	unsigned int from = sizes[c->insn.opcode & 7].from;
	unsigned int to = sizes[c->insn.opcode & 7].to;
	unsigned int i, count = (16u << c->insn.vex_l) / from;
	u8 zmm[ZMM_BYTES], out[ZMM_BYTES / 2];
	u64 select, v;
	int ret = get_source(c, zmm, &select);

	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		v = narrow(c->insn.opcode, get_element(zmm + i * from, from),
			   from, to);
		memcpy(out + i * to, &v, to);
	}
	return emul_store_selected(c, emul_ea(c), out,
				   select & (BIT_ULL(count) - 1), count, to);
}

/* VPCOMPRESSB, W, D and Q, VCOMPRESSPS, VCOMPRESSPD: the selected ones, without gaps */
int emul_op_vcompress(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opd[0].size, n = 0, i;
	unsigned int count = (16u << c->insn.vex_l) / bytes;
	u8 zmm[ZMM_BYTES], out[ZMM_BYTES];
	u64 select;
	int ret = get_source(c, zmm, &select);

	if (ret)
		return ret;
	for (i = 0; i < count; i++)
		if (select >> i & 1)
			memcpy(out + n++ * bytes, zmm + i * bytes, bytes);
	return emul_store_selected(c, emul_ea(c), out,
				   n < 64 ? BIT_ULL(n) - 1 : ~0ULL, n, bytes);
}

/* ---- scattered elements ---- */

static unsigned int index_register(const struct insn *insn)
{
	return (insn->sib >> 3 & 7) | (insn->rex & 2 ? 8 : 0) |
	       (insn->evex_v ? 16 : 0);
}

/**
 * struct scatter - the elements of one instruction
 * @data:	the register that is stored
 * @index:	the register of indexes
 * @bytes:	of an element
 * @index_bytes: of an index
 * @count:	of elements
 */
struct scatter {
	u8 data[ZMM_BYTES], index[ZMM_BYTES];
	unsigned int bytes, index_bytes, count;
};

static u64 scatter_ea(struct emul_ctxt *c, const struct scatter *s,
		      unsigned int i)
{
	u64 index = emul_sext(get_element(s->index + i * s->index_bytes,
					  s->index_bytes),
			      s->index_bytes);

	return (emul_ea(c) + (index << c->insn.scale)) &
	       emul_mask(c->insn.adsize);
}

/*
 * VPSCATTERDD, VSCATTERQPD and the like. The CPU clears the bits of the mask one by one,
 * so that a fault leaves what is not stored yet. Here all places are probed first.
 */
int emul_op_vscatter(struct emul_ctxt *c)
{
	struct scatter s = {
		.bytes = c->insn.opd[0].size,
		.index_bytes = c->insn.opcode & 1 ? 8 : 4,
	};
	unsigned int i;
	u64 select;
	int ret;

	if (!c->ops->clear_opmask)
		return EMUL_UNHANDLED;
	ret = get_source(c, s.data, &select);
	if (!ret)
		ret = get_zmm(c, index_register(&c->insn), s.index);
	s.count = (16u << c->insn.vex_l) /
		  (s.bytes > s.index_bytes ? s.bytes : s.index_bytes);
	for (i = 0; !ret && i < s.count; i++)
		if (select >> i & 1)
			ret = emul_probe(c, c->insn.seg, scatter_ea(c, &s, i),
					 s.bytes, 0);
	for (i = 0; !ret && i < s.count; i++)
		if (select >> i & 1)
			ret = emul_write(c, c->insn.seg, scatter_ea(c, &s, i),
					 s.data + i * s.bytes, s.bytes,
					 EMUL_F_WRITE_INTENT);
	return ret ? ret : c->ops->clear_opmask(c, c->insn.evex_k);
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
