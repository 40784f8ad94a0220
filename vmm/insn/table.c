// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder's table of one-byte opcodes.
 */
#include "rows.h"

/* clang-format off */

/* ---- groups of the one-byte map ---- */

#define ALU_GROUP(dst, src) {			\
	R2(ADD, dst, src, LCK),			\
	R2(OR,  dst, src, LCK),			\
	R2(ADC, dst, src, LCK),			\
	R2(SBB, dst, src, LCK),			\
	R2(AND, dst, src, LCK),			\
	R2(SUB, dst, src, LCK),			\
	R2(XOR, dst, src, LCK),			\
	R2(CMP, dst, src, RO),			\
}
static const struct insn_row grp_80[8] = ALU_GROUP(Eb, Ib);
static const struct insn_row grp_81[8] = ALU_GROUP(Ev, Iz);
static const struct insn_row grp_83[8] = ALU_GROUP(Ev, Ibs);

static const struct insn_row grp_82[8] = {
	R2(ADD, Eb, Ib, LCK | N64), R2(OR,  Eb, Ib, LCK | N64),
	R2(ADC, Eb, Ib, LCK | N64), R2(SBB, Eb, Ib, LCK | N64),
	R2(AND, Eb, Ib, LCK | N64), R2(SUB, Eb, Ib, LCK | N64),
	R2(XOR, Eb, Ib, LCK | N64), R2(CMP, Eb, Ib, RO | N64),
};

#define SHIFT_GROUP(dst, src) {			\
	R2(ROL, dst, src, 0),			\
	R2(ROR, dst, src, 0),			\
	R2(RCL, dst, src, 0),			\
	R2(RCR, dst, src, 0),			\
	R2(SHL, dst, src, 0),			\
	R2(SHR, dst, src, 0),			\
	R2(SAL, dst, src, 0),			\
	R2(SAR, dst, src, 0),			\
}
static const struct insn_row grp_c0[8] = SHIFT_GROUP(Eb, Ib);
static const struct insn_row grp_c1[8] = SHIFT_GROUP(Ev, Ib);
static const struct insn_row grp_d0[8] = SHIFT_GROUP(Eb, One);
static const struct insn_row grp_d1[8] = SHIFT_GROUP(Ev, One);
static const struct insn_row grp_d2[8] = SHIFT_GROUP(Eb, CL);
static const struct insn_row grp_d3[8] = SHIFT_GROUP(Ev, CL);

static const struct insn_row grp_f6[8] = {
	R2(TEST, Eb, Ib, RO),	R2(TEST, Eb, Ib, RO),
	R1(NOT, Eb, LCK),	R1(NEG, Eb, LCK),
	R1(MUL, Eb, RO),	R1(IMUL1, Eb, RO),
	R1(DIV, Eb, RO),	R1(IDIV, Eb, RO),
};
static const struct insn_row grp_f7[8] = {
	R2(TEST, Ev, Iz, RO),	R2(TEST, Ev, Iz, RO),
	R1(NOT, Ev, LCK),	R1(NEG, Ev, LCK),
	R1(MUL, Ev, RO),	R1(IMUL1, Ev, RO),
	R1(DIV, Ev, RO),	R1(IDIV, Ev, RO),
};
static const struct insn_row grp_fe[8] = {
	R1(INC, Eb, LCK),	R1(DEC, Eb, LCK),
};
static const struct insn_row grp_ff[8] = {
	R1(INC, Ev, LCK),	R1(DEC, Ev, LCK),
	R1(CALL, Ev, RO | F64 | BR),
	R1(CALL_FAR, Mp, RO | BR),
	R1(JMP, Ev, RO | F64 | BR),
	R1(JMP_FAR, Mp, RO | BR),
	R1(PUSH, Ev, RO | D64),
};
static const struct insn_row grp_8f[8] = { R1(POP, Ev, WO | D64) };
/* XABORT and XBEGIN share C6 and C7 with MOV */
static const struct insn_row mod_c6[2] = { {}, R1(NONE, Ib, LEN) };
static const struct insn_row mod_c7[2] = { {}, R1(NONE, Jz, LEN) };
static const struct insn_row grp_c6[8] = {
	R2(MOV, Eb, Ib, WO), {}, {}, {}, {}, {}, {}, GRP(MOD, mod_c6),
};
static const struct insn_row grp_c7[8] = {
	R2(MOV, Ev, Iz, WO), {}, {}, {}, {}, {}, {}, GRP(MOD, mod_c7),
};
static const struct insn_row mode_63[2] = {
	R2(ARPL, Ew, Gw, LEN), R2(MOVSX, Gv, Ed, WO),
};
/* without REX.B, 90 is NOP rather than XCHG rAX,rAX; F3 makes it PAUSE */
static const struct insn_row pfx_90[4] = {
	R2(XCHG, Zv, Av, 0), R2(XCHG, Zv, Av, 0), R0(PAUSE, 0),
	R2(XCHG, Zv, Av, 0),
};

/*
 * of x87, what stores: FISTTP, FST, FIST, FSTP, FISTP, FBSTP, FNSTCW, FNSTSW, FNSTENV,
 * FNSAVE; and FLDENV, FRSTOR
 */
#define X87 R1(X87, E_, LEN | VEC)
#define FST(m) R1(FST, m, VEC | WO)
static const struct insn_row grp_d9[8] = {
	X87, X87, FST(Md), FST(Md), R1(FLDENV, M_, VEC | RO), X87,
	R1(FNSTENV, M_, VEC | WO), R1(FNSTCW, Mw, VEC | WO),
};
static const struct insn_row grp_db[8] = {
	X87, FST(Md), FST(Md), FST(Md), X87, X87, X87, FST(M80),
};
static const struct insn_row grp_dd[8] = {
	X87, FST(Mq), FST(Mq), FST(Mq), R1(FRSTOR, M_, VEC | RO), X87,
	R1(FNSAVE, M_, VEC | WO), R1(FNSTSW, Mw, VEC | WO),
};
static const struct insn_row grp_df[8] = {
	X87, FST(Mw), FST(Mw), FST(Mw), X87, X87, FST(M80), FST(Mq),
};
static const struct insn_row mod_d9[2] = { GRP(REG, grp_d9), X87 };
static const struct insn_row mod_db[2] = { GRP(REG, grp_db), X87 };
static const struct insn_row mod_dd[2] = { GRP(REG, grp_dd), X87 };
static const struct insn_row mod_df[2] = { GRP(REG, grp_df), X87 };

/* ---- one-byte opcodes ---- */

#define ALU_BLOCK(base, o, f)				\
	[(base) + 0] = R2(o, Eb, Gb, f),		\
	[(base) + 1] = R2(o, Ev, Gv, f),		\
	[(base) + 2] = R2(o, Gb, Eb, (f) & RO),		\
	[(base) + 3] = R2(o, Gv, Ev, (f) & RO),		\
	[(base) + 4] = R2(o, Ab, Ib, (f) & RO),		\
	[(base) + 5] = R2(o, Av, Iz, (f) & RO)

const struct insn_row vigil_insn_map_1b[256] = {
	ALU_BLOCK(0x00, ADD, LCK),
	[0x06] = R1(PUSH_SEG, Sw, N64), [0x07] = R1(POP_SEG, Sw, N64),
	ALU_BLOCK(0x08, OR, LCK),
	[0x0e] = R1(PUSH_SEG, Sw, N64),
	ALU_BLOCK(0x10, ADC, LCK),
	[0x16] = R1(PUSH_SEG, Sw, N64), [0x17] = R1(POP_SEG, Sw, N64),
	ALU_BLOCK(0x18, SBB, LCK),
	[0x1e] = R1(PUSH_SEG, Sw, N64), [0x1f] = R1(POP_SEG, Sw, N64),
	ALU_BLOCK(0x20, AND, LCK),
	[0x27] = R0(DAA, N64),
	ALU_BLOCK(0x28, SUB, LCK),
	[0x2f] = R0(DAS, N64),
	ALU_BLOCK(0x30, XOR, LCK),
	[0x37] = R0(AAA, N64),
	ALU_BLOCK(0x38, CMP, RO),
	[0x3f] = R0(AAS, N64),
	[0x40 ... 0x47] = R1(INC, Zv, N64),
	[0x48 ... 0x4f] = R1(DEC, Zv, N64),
	[0x50 ... 0x57] = R1(PUSH, Zv, RO | D64),
	[0x58 ... 0x5f] = R1(POP, Zv, WO | D64),
	[0x60] = R0(PUSHA, N64),
	[0x61] = R0(POPA, N64),
	[0x62] = R2(BOUND, Gv, M_, LEN | N64),
	[0x63] = GRP(MODE, mode_63),
	[0x68] = R1(PUSH, Iz, RO | D64),
	[0x69] = R3(IMUL, Gv, Ev, Iz, WO),
	[0x6a] = R1(PUSH, Ibs, RO | D64),
	[0x6b] = R3(IMUL, Gv, Ev, Ibs, WO),
	[0x6c] = R2(INS, Yb, DX, REPT | IO | SYS),
	[0x6d] = R2(INS, Yz, DX, REPT | IO | SYS),
	[0x6e] = R2(OUTS, DX, Xb, REPT | IO | SYS | INSN_BYTE),
	[0x6f] = R2(OUTS, DX, Xz, REPT | IO | SYS),
	[0x70 ... 0x7f] = R1(JCC, Jb, F64 | BR),
	[0x80] = GRP(REG, grp_80),
	[0x81] = GRP(REG, grp_81),
	[0x82] = GRP(REG, grp_82),
	[0x83] = GRP(REG, grp_83),
	[0x84] = R2(TEST, Eb, Gb, RO),
	[0x85] = R2(TEST, Ev, Gv, RO),
	[0x86] = R2(XCHG, Eb, Gb, LCK),
	[0x87] = R2(XCHG, Ev, Gv, LCK),
	[0x88] = R2(MOV, Eb, Gb, WO),
	[0x89] = R2(MOV, Ev, Gv, WO),
	[0x8a] = R2(MOV, Gb, Eb, WO),
	[0x8b] = R2(MOV, Gv, Ev, WO),
	[0x8c] = R2(MOV_FROM_SEG, EwMw, Sw, WO),
	[0x8d] = R2(LEA, Gv, M_, WO),
	[0x8e] = R2(MOV_TO_SEG, Sw, Ew, WO),
	[0x8f] = GRP(REG, grp_8f),
	[0x90] = GRP(PFX, pfx_90),
	[0x91 ... 0x97] = R2(XCHG, Zv, Av, 0),
	[0x98] = R1(CBW, Av, 0),
	[0x99] = R1(CWD, Av, 0),
	[0x9a] = R1(CALL_FAR, Ap, BR | N64),
	[0x9b] = R0(FWAIT, LEN),
	[0x9c] = R0(PUSHF, D64),
	[0x9d] = R0(POPF, D64),
	[0x9e] = R0(SAHF, 0),
	[0x9f] = R0(LAHF, 0),
	[0xa0] = R2(MOV, Ab, Ob, WO),
	[0xa1] = R2(MOV, Av, Ov, WO),
	[0xa2] = R2(MOV, Ob, Ab, WO),
	[0xa3] = R2(MOV, Ov, Av, WO),
	[0xa4] = R2(MOVS, Yb, Xb, REPT | WO),
	[0xa5] = R2(MOVS, Yv, Xv, REPT | WO),
	[0xa6] = R2(CMPS, Xb, Yb, REPT | RO),
	[0xa7] = R2(CMPS, Xv, Yv, REPT | RO),
	[0xa8] = R2(TEST, Ab, Ib, RO),
	[0xa9] = R2(TEST, Av, Iz, RO),
	[0xaa] = R2(STOS, Yb, Ab, REPT | WO),
	[0xab] = R2(STOS, Yv, Av, REPT | WO),
	[0xac] = R2(LODS, Ab, Xb, REPT | WO),
	[0xad] = R2(LODS, Av, Xv, REPT | WO),
	[0xae] = R2(SCAS, Ab, Yb, REPT | RO),
	[0xaf] = R2(SCAS, Av, Yv, REPT | RO),
	[0xb0 ... 0xb7] = R2(MOV, Zb, Ib, WO),
	[0xb8 ... 0xbf] = R2(MOV, Zv, Iv, WO),
	[0xc0] = GRP(REG, grp_c0),
	[0xc1] = GRP(REG, grp_c1),
	[0xc2] = R1(RET, Iw, F64 | BR),
	[0xc3] = R0(RET, F64 | BR),
	[0xc4] = R2(LDS, Gv, Mp, WO | N64),
	[0xc5] = R2(LDS, Gv, Mp, WO | N64),
	[0xc6] = GRP(REG, grp_c6),
	[0xc7] = GRP(REG, grp_c7),
	[0xc8] = R2(ENTER, Iw, I2b, D64),
	[0xc9] = R0(LEAVE, D64),
	[0xca] = R1(RET_FAR, Iw, BR),
	[0xcb] = R0(RET_FAR, BR),
	[0xcc] = R0(INT3, BR),
	[0xcd] = R1(INT, Ib, BR),
	[0xce] = R0(INTO, BR | N64),
	[0xcf] = R0(IRET, BR | SYS),
	[0xd0] = GRP(REG, grp_d0),
	[0xd1] = GRP(REG, grp_d1),
	[0xd2] = GRP(REG, grp_d2),
	[0xd3] = GRP(REG, grp_d3),
	[0xd4] = R1(AAM, Ib, N64),
	[0xd5] = R1(AAD, Ib, N64),
	[0xd6] = R0(SALC, N64),
	[0xd7] = R0(XLAT, 0),
	[0xd8] = X87,
	[0xd9] = GRP(MOD, mod_d9),
	[0xda] = X87,
	[0xdb] = GRP(MOD, mod_db),
	[0xdc] = X87,
	[0xdd] = GRP(MOD, mod_dd),
	[0xde] = X87,
	[0xdf] = GRP(MOD, mod_df),
	[0xe0 ... 0xe2] = R1(LOOP, Jb, F64 | BR),
	[0xe3] = R1(JCXZ, Jb, F64 | BR),
	[0xe4] = R2(IN, Ab, Ib, IO | SYS),
	[0xe5] = R2(IN, Az, Ib, IO | SYS),
	[0xe6] = R2(OUT, Ib, Ab, IO | SYS | INSN_BYTE),
	[0xe7] = R2(OUT, Ib, Az, IO | SYS),
	[0xe8] = R1(CALL, Jz, F64 | BR),
	[0xe9] = R1(JMP, Jz, F64 | BR),
	[0xea] = R1(JMP_FAR, Ap, BR | N64),
	[0xeb] = R1(JMP, Jb, F64 | BR),
	[0xec] = R2(IN, Ab, DX, IO | SYS),
	[0xed] = R2(IN, Az, DX, IO | SYS),
	[0xee] = R2(OUT, DX, Ab, IO | SYS | INSN_BYTE),
	[0xef] = R2(OUT, DX, Az, IO | SYS),
	[0xf1] = R0(INT1, BR),
	[0xf4] = R0(HLT, LEN | PRV),
	[0xf5] = R0(CMC, 0),
	[0xf6] = GRP(REG, grp_f6),
	[0xf7] = GRP(REG, grp_f7),
	[0xf8] = R0(CLC, 0),
	[0xf9] = R0(STC, 0),
	[0xfa] = R0(CLI, SYS),
	[0xfb] = R0(STI, SYS),
	[0xfc] = R0(CLD, 0),
	[0xfd] = R0(STD, 0),
	[0xfe] = GRP(REG, grp_fe),
	[0xff] = GRP(REG, grp_ff),
};

/* clang-format on */
