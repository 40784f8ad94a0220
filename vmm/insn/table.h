/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decoder's tables, for decode.c and the tests.
 */
#ifndef VIGIL_VMM_DECODE_TABLE_H
#define VIGIL_VMM_DECODE_TABLE_H

#include "decode.h"

/*
 * Operand specifiers, after the manuals' notation: a letter for the place and
 * one for the size.
 *
 * E modrm.rm, register or memory; M the same, memory only; R the same, register
 * only; G modrm.reg; Z the low three opcode bits; B VEX.vvvv; I immediate;
 * J branch distance; O moffs; X DS:rSI; Y ES:rDI; A rAX; S segment register;
 * C and D control and debug register; V vector register in modrm.reg, W vector
 * register or memory in modrm.rm; P and Q the same for MMX.
 *
 * b 1, w 2, d 4, q 8, v the operand size, y 4 or 8, z 2 or 4, x 16, 32 or 64 by
 * VEX.L, x2, x4 and x8 a half, a fourth and an eighth of that, dq 16, qq 32, 80 10, n the
 * native size (4, or 8 in 64-bit mode), _ none.
 */
/* clang-format off */
#define INSN_SPECS(X)                                                       \
	X(__)                                                               \
	X(Eb) X(Ew) X(Ed) X(Eq) X(Ev) X(Ey) X(E_)                           \
	X(Mb) X(Mw) X(Md) X(Mq) X(Mv) X(My) X(Mx) X(Mx2) X(Mx4) X(Mx8) X(Mdq) X(Mqq) X(Mt) X(M80) X(Mp) X(M_)  \
	X(Rv) X(Ry) X(Rn)                                                   \
	/* a full register, but 16 or 8 bits in memory: SLDT, PEXTR ... */   \
	X(EwMw) X(EdMb) X(EdMw)                                              \
	X(Gb) X(Gw) X(Gd) X(Gv) X(Gy) X(Gz)                                 \
	X(Zb) X(Zv) X(By)                                                   \
	X(Ib) X(Ibs) X(Iw) X(Iz) X(Iv) X(I2b) X(Ap)                         \
	X(Jb) X(Jz) X(Ob) X(Ov)                                             \
	X(Xb) X(Xv) X(Xz) X(Yb) X(Yv) X(Yz)                                 \
	X(Ab) X(Av) X(Az) X(CL) X(DX) X(One)                                \
	X(Sw) X(Cn) X(Dn)                                                   \
	X(Vx) X(Vdq) X(Vq) X(Vd) X(Wx) X(Wdq) X(Wq) X(Wd) X(Rx) X(Rdq)      \
	X(Pq) X(Qq)
/* clang-format on */

enum insn_spec {
#define X(name) SPEC_##name,
	INSN_SPECS(X)
#undef X
		SPEC_COUNT
};

enum insn_row_kind {
	ROW_NONE, /* not in the tables */
	ROW_LEAF,
	ROW_REG, /* sub[modrm.reg] */
	ROW_RM, /* sub[modrm.rm] */
	ROW_MOD, /* sub[0] for memory, sub[1] for a register */
	ROW_PFX, /* sub[mandatory prefix] */
	ROW_W, /* sub[W of the prefix] */
	ROW_MODE, /* sub[0] outside of, sub[1] in 64-bit mode */
};

struct insn_row {
	u8 kind; /* enum insn_row_kind */
	u8 spec[3]; /* enum insn_spec */
	u16 op; /* enum insn_op */
	u32 flags; /* INSN_* */
	const struct insn_row *sub;
};

/* A row of a sparsely populated map. */
struct insn_sparse_row {
	u8 map; /* enum insn_map */
	u8 opcode;
	struct insn_row row;
};

/* insn.rex */
#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

/* Bytes that an operand has in a register, or in memory if it can only be there. */
u8 insn_spec_size(const struct insn *insn, u8 spec);
/* The second half of vigil_decode(): operands, and forms that are refused. */
void insn_operands(struct insn *insn, const struct insn_row *row);

extern const struct insn_row vigil_insn_map_1b[256];
extern const struct insn_row vigil_insn_map_0f[256];
extern const struct insn_sparse_row vigil_insn_sparse[];
extern const unsigned int vigil_insn_sparse_count;
extern const struct insn_sparse_row vigil_insn_vex[];
extern const unsigned int vigil_insn_vex_count;
extern const struct insn_sparse_row vigil_insn_evex[];
extern const unsigned int vigil_insn_evex_count;

/* what the opcodes that no sparse row names have: a length */
extern const struct insn_row vigil_insn_vector;
extern const struct insn_row vigil_insn_vector_imm8;
extern const struct insn_row vigil_insn_vzero;

#endif /* VIGIL_VMM_DECODE_TABLE_H */
