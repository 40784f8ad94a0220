// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder's table of EVEX opcodes: those that store a vector register, or
 * part of one, to memory. decode.c refuses the register forms, which write
 * nothing that a monitor could watch.
 */
#include "rows.h"

/* clang-format off */

#define ST (INSN_VECTOR | INSN_WRITE_ONLY)

static const struct insn_row w0_x[2] = { R2(VSTORE, Mx, Vx, ST) };
static const struct insn_row w1_x[2] = { {}, R2(VSTORE, Mx, Vx, ST) };
static const struct insn_row w0_d[2] = { R2(VSTORE, Md, Vd, ST) };
static const struct insn_row w0_q[2] = { R2(VSTORE, Mq, Vq, ST) };
static const struct insn_row w1_q[2] = { {}, R2(VSTORE, Mq, Vq, ST) };

/* VMOVUPS, VMOVUPD, VMOVSS, VMOVSD */
static const struct insn_row pfx_11[4] = {
	GRP(W, w0_x), GRP(W, w1_x), GRP(W, w0_d), GRP(W, w1_q),
};
/* VMOVLPS, VMOVLPD, VMOVHPS, VMOVHPD */
static const struct insn_row pfx_half[4] = { GRP(W, w0_q), GRP(W, w1_q) };
/* VMOVAPS, VMOVAPD, VMOVNTPS, VMOVNTPD */
static const struct insn_row pfx_packed[4] = { GRP(W, w0_x), GRP(W, w1_x) };
/* VMOVD, VMOVQ */
static const struct insn_row pfx_7e[4] = { {}, R2(VSTORE, My, Vdq, ST) };
/* VMOVDQA32, VMOVDQA64; VMOVDQU32, VMOVDQU64; VMOVDQU8, VMOVDQU16 */
static const struct insn_row pfx_7f[4] = {
	{}, R2(VSTORE, Mx, Vx, ST), R2(VSTORE, Mx, Vx, ST),
	R2(VSTORE, Mx, Vx, ST),
};
/* VMOVQ */
static const struct insn_row pfx_d6[4] = { {}, GRP(W, w1_q) };
/* VMOVNTDQ */
static const struct insn_row pfx_e7[4] = { {}, GRP(W, w0_x) };
/* VPEXTRB, VPEXTRW, VPEXTRD and VPEXTRQ, VEXTRACTPS */
static const struct insn_row pfx_14[4] = { {}, R3(VSTORE, Mb, Vdq, Ib, ST) };
static const struct insn_row pfx_15[4] = { {}, R3(VSTORE, Mw, Vdq, Ib, ST) };
static const struct insn_row pfx_16[4] = { {}, R3(VSTORE, My, Vdq, Ib, ST) };
static const struct insn_row pfx_17[4] = { {}, R3(VSTORE, Md, Vdq, Ib, ST) };
/* VEXTRACTF32X4, F64X2, I32X4, I64X2; VEXTRACTF32X8, F64X4, I32X8, I64X4 */
static const struct insn_row pfx_128[4] = { {}, R3(VSTORE, Mdq, Vx, Ib, ST) };
static const struct insn_row pfx_256[4] = { {}, R3(VSTORE, Mqq, Vx, Ib, ST) };

/* Each element made narrower: VPMOVQB, VPMOVSQB, VPMOVUSQB and the like */
static const struct insn_row w0_x2[2] = { R2(VNARROW, Mx2, Vx, ST) };
static const struct insn_row w0_x4[2] = { R2(VNARROW, Mx4, Vx, ST) };
static const struct insn_row w0_x8[2] = { R2(VNARROW, Mx8, Vx, ST) };
static const struct insn_row pfx_x2[4] = { {}, {}, GRP(W, w0_x2) };
static const struct insn_row pfx_x4[4] = { {}, {}, GRP(W, w0_x4) };
static const struct insn_row pfx_x8[4] = { {}, {}, GRP(W, w0_x8) };
/* VPCOMPRESSB, VPCOMPRESSW */
static const struct insn_row w_bw[2] = {
	R2(VCOMPRESS, Mb, Vx, ST), R2(VCOMPRESS, Mw, Vx, ST),
};
static const struct insn_row pfx_63[4] = { {}, GRP(W, w_bw) };
/* VCOMPRESSPS, VCOMPRESSPD, VPCOMPRESSD, VPCOMPRESSQ */
static const struct insn_row w_dq[2] = {
	R2(VCOMPRESS, Md, Vx, ST), R2(VCOMPRESS, Mq, Vx, ST),
};
static const struct insn_row pfx_compress[4] = { {}, GRP(W, w_dq) };
/* VPSCATTERDD, VSCATTERQPD and the like; an element is what lies at an address */
static const struct insn_row w_scatter[2] = {
	R2(VSCATTER, Md, Vx, ST), R2(VSCATTER, Mq, Vx, ST),
};
static const struct insn_row pfx_scatter[4] = { {}, GRP(W, w_scatter) };

const struct insn_sparse_row vigil_insn_evex[] = {
	{ INSN_MAP_0F, 0x11, GRP(PFX, pfx_11) },
	{ INSN_MAP_0F, 0x13, GRP(PFX, pfx_half) },
	{ INSN_MAP_0F, 0x17, GRP(PFX, pfx_half) },
	{ INSN_MAP_0F, 0x29, GRP(PFX, pfx_packed) },
	{ INSN_MAP_0F, 0x2b, GRP(PFX, pfx_packed) },
	{ INSN_MAP_0F, 0x7e, GRP(PFX, pfx_7e) },
	{ INSN_MAP_0F, 0x7f, GRP(PFX, pfx_7f) },
	{ INSN_MAP_0F, 0xd6, GRP(PFX, pfx_d6) },
	{ INSN_MAP_0F, 0xe7, GRP(PFX, pfx_e7) },
	{ INSN_MAP_0F38, 0x10, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x11, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x12, GRP(PFX, pfx_x8) },
	{ INSN_MAP_0F38, 0x13, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x14, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x15, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x20, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x21, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x22, GRP(PFX, pfx_x8) },
	{ INSN_MAP_0F38, 0x23, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x24, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x25, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x30, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x31, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x32, GRP(PFX, pfx_x8) },
	{ INSN_MAP_0F38, 0x33, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x34, GRP(PFX, pfx_x4) },
	{ INSN_MAP_0F38, 0x35, GRP(PFX, pfx_x2) },
	{ INSN_MAP_0F38, 0x63, GRP(PFX, pfx_63) },
	{ INSN_MAP_0F38, 0x8a, GRP(PFX, pfx_compress) },
	{ INSN_MAP_0F38, 0x8b, GRP(PFX, pfx_compress) },
	{ INSN_MAP_0F38, 0xa0, GRP(PFX, pfx_scatter) },
	{ INSN_MAP_0F38, 0xa1, GRP(PFX, pfx_scatter) },
	{ INSN_MAP_0F38, 0xa2, GRP(PFX, pfx_scatter) },
	{ INSN_MAP_0F38, 0xa3, GRP(PFX, pfx_scatter) },
	{ INSN_MAP_0F3A, 0x14, GRP(PFX, pfx_14) },
	{ INSN_MAP_0F3A, 0x15, GRP(PFX, pfx_15) },
	{ INSN_MAP_0F3A, 0x16, GRP(PFX, pfx_16) },
	{ INSN_MAP_0F3A, 0x17, GRP(PFX, pfx_17) },
	{ INSN_MAP_0F3A, 0x19, GRP(PFX, pfx_128) },
	{ INSN_MAP_0F3A, 0x1b, GRP(PFX, pfx_256) },
	{ INSN_MAP_0F3A, 0x39, GRP(PFX, pfx_128) },
	{ INSN_MAP_0F3A, 0x3b, GRP(PFX, pfx_256) },
};
const unsigned int vigil_insn_evex_count = ARRAY_SIZE(vigil_insn_evex);

/* clang-format on */
