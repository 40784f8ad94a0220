// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder's tables of two-byte opcodes, and of the populated parts of 0F38,
 * 0F3A and VEX.
 */
#include "rows.h"

/* clang-format off */

/* ---- groups of 0F ---- */

static const struct insn_row grp_0f00[8] = {
	R1(SLDT, EwMw, WO | SYS),	R1(STR, EwMw, WO | SYS),
	R1(LLDT, Ew, RO | SYS),	R1(LTR, Ew, RO | SYS),
	R1(VERR, Ew, RO | LEN),		R1(VERW, Ew, RO | LEN),
};

static const struct insn_row rm_0f01_0[8] = {
	R0(NONE, LEN | SYS),	R0(VMCALL, LEN | SYS),
	R0(VMLAUNCH, LEN | SYS), R0(VMRESUME, LEN | SYS),
	R0(VMXOFF, LEN | SYS),	R0(NONE, LEN | SYS),
};
static const struct insn_row rm_0f01_1[8] = {
	R0(MONITOR, LEN | SYS),	R0(MWAIT, LEN | SYS),
	R0(CLAC, LEN | SYS),	R0(STAC, LEN | SYS),
	{}, {}, {},		R0(NONE, LEN | SYS),
};
static const struct insn_row rm_0f01_2[8] = {
	R0(XGETBV, LEN | SYS),	R0(XSETBV, LEN | SYS),
	{}, {},			R0(VMFUNC, LEN | SYS),
	R0(NONE, LEN),		R0(NONE, LEN), R0(NONE, LEN),
};
static const struct insn_row rm_0f01_3[8] = {
	R0(VMRUN, LEN | SYS),	R0(VMMCALL, LEN | SYS),
	R0(VMLOAD, LEN | SYS),	R0(VMSAVE, LEN | SYS),
	R0(STGI, LEN | SYS),	R0(CLGI, LEN | SYS),
	R0(SKINIT, LEN | SYS),	R0(INVLPGA, LEN | SYS),
};
static const struct insn_row rm_0f01_5[8] = {
	R0(NONE, LEN), {}, {}, {}, {}, {}, R0(NONE, LEN), R0(NONE, LEN),
};
static const struct insn_row rm_0f01_7[8] = {
	R0(SWAPGS, LEN | SYS),	R0(RDTSCP, LEN | SYS),
	R0(MONITOR, LEN | SYS),	R0(MWAIT, LEN | SYS),
	R0(NONE, LEN),		R0(NONE, LEN), R0(NONE, LEN), R0(NONE, LEN),
};
static const struct insn_row mod_0f01[8][2] = {
	{ R1(SGDT, Mt, WO | SYS),	GRP(RM, rm_0f01_0) },
	{ R1(SIDT, Mt, WO | SYS),	GRP(RM, rm_0f01_1) },
	{ R1(LGDT, Mt, RO | PRV),	GRP(RM, rm_0f01_2) },
	{ R1(LIDT, Mt, RO | PRV),	GRP(RM, rm_0f01_3) },
	{ R1(SMSW, EwMw, WO | SYS),	R1(SMSW, EwMw, WO | SYS) },
	{ R1(NONE, Mq, LEN),		GRP(RM, rm_0f01_5) },
	{ R1(LMSW, Ew, RO | PRV),	R1(LMSW, Ew, RO | PRV) },
	{ R1(INVLPG, M_, RO | PRV),	GRP(RM, rm_0f01_7) },
};
static const struct insn_row grp_0f01[8] = {
	GRP(MOD, mod_0f01[0]), GRP(MOD, mod_0f01[1]),
	GRP(MOD, mod_0f01[2]), GRP(MOD, mod_0f01[3]),
	GRP(MOD, mod_0f01[4]), GRP(MOD, mod_0f01[5]),
	GRP(MOD, mod_0f01[6]), GRP(MOD, mod_0f01[7]),
};

/* 0F 10 to 0F 17, 28, 29, 2B: by mandatory prefix none, 66, F3, F2 */
static const struct insn_row pfx_0f10[4] = {
	R2(VMOV, Vx, Wx, VEC | WO),	R2(VMOV, Vx, Wx, VEC | WO),
	R2(VMOVS, Vd, Wd, VEC),		R2(VMOVS, Vq, Wq, VEC),
};
static const struct insn_row pfx_0f11[4] = {
	R2(VMOV, Wx, Vx, VEC | WO),	R2(VMOV, Wx, Vx, VEC | WO),
	R2(VMOVS, Wd, Vd, VEC),		R2(VMOVS, Wq, Vq, VEC),
};
static const struct insn_row pfx_0f12[4] = {
	R2(VMOVLOW, Vq, Wq, VEC),	R2(VMOVLOW, Vq, Mq, VEC),
	R2(VECTOR, Vx, Wx, VLEN),	R2(VECTOR, Vx, Wx, VLEN),
};
static const struct insn_row pfx_0f13[4] = {
	R2(VMOVLOW, Mq, Vq, VEC | WO),	R2(VMOVLOW, Mq, Vq, VEC | WO),
};
static const struct insn_row pfx_0f16[4] = {
	R2(VMOVHIGH, Vq, Wq, VEC),	R2(VMOVHIGH, Vq, Mq, VEC),
	R2(VECTOR, Vx, Wx, VLEN),
};
static const struct insn_row pfx_0f17[4] = {
	R2(VMOVHIGH, Mq, Vq, VEC | WO),	R2(VMOVHIGH, Mq, Vq, VEC | WO),
};
static const struct insn_row pfx_0f28[4] = {
	R2(VMOV, Vx, Wx, ALN | WO),	R2(VMOV, Vx, Wx, ALN | WO),
};
static const struct insn_row pfx_0f29[4] = {
	R2(VMOV, Wx, Vx, ALN | WO),	R2(VMOV, Wx, Vx, ALN | WO),
};
static const struct insn_row pfx_0f2b[4] = {
	R2(VMOV, Mx, Vx, ALN | WO),	R2(VMOV, Mx, Vx, ALN | WO),
	R2(VECTOR, Md, Vd, VLEN),	R2(VECTOR, Mq, Vq, VLEN),
};
static const struct insn_row pfx_0f6e[4] = {
	R2(MOVD_MMX, Pq, Ey, VEC | WO),	R2(VMOVD, Vdq, Ey, VEC | WO),
};
static const struct insn_row pfx_0f6f[4] = {
	R2(MOVQ_MMX, Pq, Qq, VEC | WO),	R2(VMOV, Vx, Wx, ALN | WO),
	R2(VMOV, Vx, Wx, VEC | WO),
};
static const struct insn_row pfx_0f7e[4] = {
	R2(MOVD_MMX, Ey, Pq, VEC | WO),	R2(VMOVD, Ey, Vdq, VEC | WO),
	R2(VMOVQ, Vdq, Wq, VEC | WO),
};
static const struct insn_row pfx_0f7f[4] = {
	R2(MOVQ_MMX, Qq, Pq, VEC | WO),	R2(VMOV, Wx, Vx, ALN | WO),
	R2(VMOV, Wx, Vx, VEC | WO),
};
static const struct insn_row pfx_0fd6[4] = {
	{},				R2(VMOVQ, Wq, Vdq, VEC | WO),
	R2(VECTOR, Vx, Wx, VLEN),	R2(VECTOR, Vx, Wx, VLEN),
};
static const struct insn_row pfx_0fe7[4] = {
	R2(MOVQ_MMX, Mq, Pq, VEC | WO),	R2(VMOV, Mx, Vx, ALN | WO),
};
static const struct insn_row pfx_0ff0[4] = {
	{}, {}, {},			R2(VMOV, Vx, Mx, VEC | WO),
};
static const struct insn_row pfx_0ff7[4] = {
	VL, R2(MASKMOV, Vdq, Rdq, VEC),
};
static const struct insn_row pfx_0f78[4] = {
	R2(VMREAD, E_, Gv, LEN | SYS),	R3(VECTOR, Wx, Ib, I2b, VLEN), {},
	ROW(VECTOR, Wx, Ib, I2b, VLEN),
};
static const struct insn_row pfx_0f79[4] = {
	R2(VMWRITE, Gv, E_, LEN | SYS),	R2(VECTOR, Vx, Wx, VLEN), {},
	R2(VECTOR, Vx, Wx, VLEN),
};

static const struct insn_row pfx_0fae_6[4] = {
	R1(XSAVE, M_, VEC | WO),	R1(NOP, M_, 0),
	R1(NONE, Mq, LEN),
};
static const struct insn_row pfx_0fae_7[4] = {
	R1(CLFLUSH, M_, 0),		R1(CLFLUSH, M_, 0),
};
static const struct insn_row pfx_0fae_r0[4] = { {}, {}, R1(RDFSBASE, Ry, LEN | SYS) };
static const struct insn_row pfx_0fae_r1[4] = { {}, {}, R1(RDGSBASE, Ry, LEN | SYS) };
static const struct insn_row pfx_0fae_r2[4] = { {}, {}, R1(WRFSBASE, Ry, LEN | SYS) };
static const struct insn_row pfx_0fae_r3[4] = { {}, {}, R1(WRGSBASE, Ry, LEN | SYS) };
static const struct insn_row pfx_0fae_r5[4] = {
	R0(FENCE, 0), {}, R1(NONE, Ry, LEN),
};
static const struct insn_row pfx_0fae_r6[4] = {
	R0(FENCE, 0), R1(NONE, Ry, LEN), R1(NONE, Ry, LEN), R1(NONE, Ry, LEN),
};
static const struct insn_row pfx_0fae_r7[4] = { R0(FENCE, 0) };
static const struct insn_row mod_0fae[8][2] = {
	{ R1(FXSAVE, M_, VEC | WO),	GRP(PFX, pfx_0fae_r0) },
	{ R1(FXRSTOR, M_, LEN | VEC),	GRP(PFX, pfx_0fae_r1) },
	{ R1(LDMXCSR, Md, LEN | VEC),	GRP(PFX, pfx_0fae_r2) },
	{ R1(STMXCSR, Md, VEC | WO),	GRP(PFX, pfx_0fae_r3) },
	{ R1(XSAVE, M_, VEC | WO),	R1(NONE, Ry, LEN) },
	{ R1(XRSTOR, M_, LEN | VEC),	GRP(PFX, pfx_0fae_r5) },
	{ GRP(PFX, pfx_0fae_6),		GRP(PFX, pfx_0fae_r6) },
	{ GRP(PFX, pfx_0fae_7),		GRP(PFX, pfx_0fae_r7) },
};
static const struct insn_row grp_0fae[8] = {
	GRP(MOD, mod_0fae[0]), GRP(MOD, mod_0fae[1]),
	GRP(MOD, mod_0fae[2]), GRP(MOD, mod_0fae[3]),
	GRP(MOD, mod_0fae[4]), GRP(MOD, mod_0fae[5]),
	GRP(MOD, mod_0fae[6]), GRP(MOD, mod_0fae[7]),
};

static const struct insn_row pfx_0fb8[4] = { {}, {}, R2(POPCNT, Gv, Ev, WO) };
static const struct insn_row grp_0fba[8] = {
	{}, {}, {}, {},
	R2(BT, Ev, Ib, RO),	R2(BTS, Ev, Ib, LCK),
	R2(BTR, Ev, Ib, LCK),	R2(BTC, Ev, Ib, LCK),
};
static const struct insn_row pfx_0fbc[4] = {
	R2(BSF, Gv, Ev, 0), R2(BSF, Gv, Ev, 0), R2(TZCNT, Gv, Ev, WO),
	R2(BSF, Gv, Ev, 0),
};
static const struct insn_row pfx_0fbd[4] = {
	R2(BSR, Gv, Ev, 0), R2(BSR, Gv, Ev, 0), R2(LZCNT, Gv, Ev, WO),
	R2(BSR, Gv, Ev, 0),
};
static const struct insn_row pfx_0fc3[4] = { R2(MOVNTI, My, Gy, WO) };

static const struct insn_row pfx_0fc7_6[4] = {
	R1(VMPTRLD, Mq, LEN | SYS), R1(VMCLEAR, Mq, LEN | SYS),
	R1(VMXON, Mq, LEN | SYS),
};
static const struct insn_row pfx_0fc7_r7[4] = {
	R1(RDSEED, Rv, LEN | SYS), R1(RDSEED, Rv, LEN | SYS),
	R1(RDPID, Rn, LEN | SYS),
};
static const struct insn_row mod_0fc7[8][2] = {
	{ {}, {} },
	{ R1(CMPXCHG8B, M_, LCK), {} },
	{ {}, {} },
	{ R1(XRSTOR, M_, LEN | VEC | SYS), {} },
	{ R1(XSAVE, M_, VEC | WO), {} },
	{ R1(XSAVE, M_, VEC | WO | PRV), {} },
	{ GRP(PFX, pfx_0fc7_6), R1(RDRAND, Rv, LEN | SYS) },
	{ R1(VMPTRST, Mq, LEN | SYS), GRP(PFX, pfx_0fc7_r7) },
};
static const struct insn_row grp_0fc7[8] = {
	GRP(MOD, mod_0fc7[0]), GRP(MOD, mod_0fc7[1]),
	GRP(MOD, mod_0fc7[2]), GRP(MOD, mod_0fc7[3]),
	GRP(MOD, mod_0fc7[4]), GRP(MOD, mod_0fc7[5]),
	GRP(MOD, mod_0fc7[6]), GRP(MOD, mod_0fc7[7]),
};
static const struct insn_row mod_0f18[2] = {
	R1(PREFETCH, M_, 0), R1(NOP, E_, 0),
};
/* with a register: NOP on Intel, #UD on AMD */
static const struct insn_row mod_0f0d[2] = {
	R1(PREFETCH, M_, 0), R1(NOP, E_, LEN),
};

/* ---- 0F ---- */

const struct insn_row vigil_insn_map_0f[256] = {
	[0x00] = GRP(REG, grp_0f00),
	[0x01] = GRP(REG, grp_0f01),
	[0x02] = R2(LAR, Gv, Ew, LEN),
	[0x03] = R2(LSL, Gv, Ew, LEN),
	[0x05] = R0(SYSCALL, BR | SYS),
	[0x06] = R0(CLTS, PRV),
	[0x07] = R0(SYSRET, LEN | BR | SYS),
	[0x08] = R0(INVD, LEN | PRV),
	[0x09] = R0(WBINVD, LEN | PRV),
	[0x0b] = R0(UD, 0),
	[0x0d] = GRP(MOD, mod_0f0d),
	[0x0e] = R0(X87, VLEN),
	[0x0f] = VL_IMM,
	[0x10] = GRP(PFX, pfx_0f10),
	[0x11] = GRP(PFX, pfx_0f11),
	[0x12] = GRP(PFX, pfx_0f12),
	[0x13] = GRP(PFX, pfx_0f13),
	[0x14 ... 0x15] = VL,
	[0x16] = GRP(PFX, pfx_0f16),
	[0x17] = GRP(PFX, pfx_0f17),
	[0x18] = GRP(MOD, mod_0f18),
	[0x19 ... 0x1f] = R1(NOP, E_, 0),
	[0x20] = R2(MOV_FROM_CR, Rn, Cn, PRV | INSN_FORCE_MOD3 | WO),
	[0x21] = R2(MOV_FROM_DR, Rn, Dn, PRV | INSN_FORCE_MOD3 | WO),
	[0x22] = R2(MOV_TO_CR, Cn, Rn, PRV | INSN_FORCE_MOD3 | WO),
	[0x23] = R2(MOV_TO_DR, Dn, Rn, PRV | INSN_FORCE_MOD3 | WO),
	[0x28] = GRP(PFX, pfx_0f28),
	[0x29] = GRP(PFX, pfx_0f29),
	[0x2a] = VL,
	[0x2b] = GRP(PFX, pfx_0f2b),
	[0x2c ... 0x2f] = VL,
	[0x30] = R0(WRMSR, LEN | PRV),
	[0x31] = R0(RDTSC, LEN | SYS),
	[0x32] = R0(RDMSR, LEN | PRV),
	[0x33] = R0(RDPMC, LEN | SYS),
	[0x34] = R0(SYSENTER, BR | SYS),
	[0x35] = R0(SYSEXIT, LEN | BR | SYS),
	[0x37] = R0(NONE, LEN | SYS),
	[0x40 ... 0x4f] = R2(CMOVCC, Gv, Ev, 0),
	[0x50 ... 0x6d] = VL,
	[0x6e] = GRP(PFX, pfx_0f6e),
	[0x6f] = GRP(PFX, pfx_0f6f),
	[0x70 ... 0x73] = VL_IMM,
	[0x74 ... 0x76] = VL,
	[0x77] = R0(X87, VLEN),
	[0x78] = GRP(PFX, pfx_0f78),
	[0x79] = GRP(PFX, pfx_0f79),
	[0x7c ... 0x7d] = VL,
	[0x7e] = GRP(PFX, pfx_0f7e),
	[0x7f] = GRP(PFX, pfx_0f7f),
	[0x80 ... 0x8f] = R1(JCC, Jz, F64 | BR),
	[0x90 ... 0x9f] = R1(SETCC, Eb, WO),
	[0xa0] = R1(PUSH_SEG, Sw, D64),
	[0xa1] = R1(POP_SEG, Sw, D64),
	[0xa2] = R0(CPUID, LEN | SYS),
	[0xa3] = R2(BT, Ev, Gv, RO),
	[0xa4] = R3(SHLD, Ev, Gv, Ib, 0),
	[0xa5] = R3(SHLD, Ev, Gv, CL, 0),
	[0xa8] = R1(PUSH_SEG, Sw, D64),
	[0xa9] = R1(POP_SEG, Sw, D64),
	[0xaa] = R0(RSM, LEN | SYS),
	[0xab] = R2(BTS, Ev, Gv, LCK),
	[0xac] = R3(SHRD, Ev, Gv, Ib, 0),
	[0xad] = R3(SHRD, Ev, Gv, CL, 0),
	[0xae] = GRP(REG, grp_0fae),
	[0xaf] = R2(IMUL, Gv, Ev, 0),
	[0xb0] = R2(CMPXCHG, Eb, Gb, LCK),
	[0xb1] = R2(CMPXCHG, Ev, Gv, LCK),
	[0xb2] = R2(LDS, Gv, Mp, WO),
	[0xb3] = R2(BTR, Ev, Gv, LCK),
	[0xb4] = R2(LDS, Gv, Mp, WO),
	[0xb5] = R2(LDS, Gv, Mp, WO),
	[0xb6] = R2(MOVZX, Gv, Eb, WO),
	[0xb7] = R2(MOVZX, Gv, Ew, WO),
	[0xb8] = GRP(PFX, pfx_0fb8),
	[0xb9] = R2(UD, Gv, E_, 0),
	[0xba] = GRP(REG, grp_0fba),
	[0xbb] = R2(BTC, Ev, Gv, LCK),
	[0xbc] = GRP(PFX, pfx_0fbc),
	[0xbd] = GRP(PFX, pfx_0fbd),
	[0xbe] = R2(MOVSX, Gv, Eb, WO),
	[0xbf] = R2(MOVSX, Gv, Ew, WO),
	[0xc0] = R2(XADD, Eb, Gb, LCK),
	[0xc1] = R2(XADD, Ev, Gv, LCK),
	[0xc2] = VL_IMM,
	[0xc3] = GRP(PFX, pfx_0fc3),
	[0xc4 ... 0xc6] = VL_IMM,
	[0xc7] = GRP(REG, grp_0fc7),
	[0xc8 ... 0xcf] = R1(BSWAP, Zv, 0),
	[0xd0 ... 0xd5] = VL,
	[0xd6] = GRP(PFX, pfx_0fd6),
	[0xd7 ... 0xe6] = VL,
	[0xe7] = GRP(PFX, pfx_0fe7),
	[0xe8 ... 0xef] = VL,
	[0xf0] = GRP(PFX, pfx_0ff0),
	[0xf1 ... 0xf6] = VL,
	[0xf7] = GRP(PFX, pfx_0ff7),
	[0xf8 ... 0xfe] = VL,
};

/* ---- 0F38 and 0F3A ---- */

static const struct insn_row pfx_0f382a[4] = {
	{}, R2(VMOV, Vx, Mx, ALN | WO),
};
static const struct insn_row pfx_0f3880[4] = { {}, R2(INVEPT, Gv, Mdq, LEN | SYS) };
static const struct insn_row pfx_0f3881[4] = { {}, R2(INVVPID, Gv, Mdq, LEN | SYS) };
static const struct insn_row pfx_0f3882[4] = { {}, R2(INVPCID, Gv, Mdq, LEN | PRV) };
static const struct insn_row pfx_0f38f0[4] = {
	R2(MOVBE, Gv, Mv, WO), R2(MOVBE, Gv, Mv, WO), {},
	R2(CRC32, Gy, Eb, 0),
};
static const struct insn_row pfx_0f38f1[4] = {
	R2(MOVBE, Mv, Gv, WO), R2(MOVBE, Mv, Gv, WO), {},
	R2(CRC32, Gy, Ev, 0),
};
static const struct insn_row pfx_0f38f6[4] = {
	R2(NONE, My, Gy, LEN), R2(ADCX, Gy, Ey, 0), R2(ADOX, Gy, Ey, 0),
};
static const struct insn_row pfx_0f38f9[4] = { R2(MOVDIRI, My, Gy, WO) };
static const struct insn_row pfx_0f3a14[4] = {
	{}, R3(VEXTRACT, EdMb, Vdq, Ib, VEC | WO),
};
static const struct insn_row pfx_0f3a15[4] = {
	{}, R3(VEXTRACT, EdMw, Vdq, Ib, VEC | WO),
};
static const struct insn_row pfx_0f3a16[4] = {
	{}, R3(VEXTRACT, Ey, Vdq, Ib, VEC | WO),
};
static const struct insn_row pfx_0f3a17[4] = {
	{}, R3(VEXTRACT, Ed, Vdq, Ib, VEC | WO),
};

#define EXTRACTS						\
	{ INSN_MAP_0F3A, 0x14, GRP(PFX, pfx_0f3a14) },		\
	{ INSN_MAP_0F3A, 0x15, GRP(PFX, pfx_0f3a15) },		\
	{ INSN_MAP_0F3A, 0x16, GRP(PFX, pfx_0f3a16) },		\
	{ INSN_MAP_0F3A, 0x17, GRP(PFX, pfx_0f3a17) }

const struct insn_sparse_row vigil_insn_sparse[] = {
	{ INSN_MAP_0F38, 0x2a, GRP(PFX, pfx_0f382a) },
	{ INSN_MAP_0F38, 0x80, GRP(PFX, pfx_0f3880) },
	{ INSN_MAP_0F38, 0x81, GRP(PFX, pfx_0f3881) },
	{ INSN_MAP_0F38, 0x82, GRP(PFX, pfx_0f3882) },
	{ INSN_MAP_0F38, 0xf0, GRP(PFX, pfx_0f38f0) },
	{ INSN_MAP_0F38, 0xf1, GRP(PFX, pfx_0f38f1) },
	{ INSN_MAP_0F38, 0xf6, GRP(PFX, pfx_0f38f6) },
	{ INSN_MAP_0F38, 0xf9, GRP(PFX, pfx_0f38f9) },
	EXTRACTS,
};
const unsigned int vigil_insn_sparse_count = ARRAY_SIZE(vigil_insn_sparse);

/*
 * VEX.  Map 0F has the moves of the legacy table, which decode.c finds there;
 * this is what only VEX encodes, and VLDMXCSR and VSTMXCSR, which are in a group.
 */
static const struct insn_row vex_ldmxcsr[4] = { R1(LDMXCSR, Md, LEN | VEC) };
static const struct insn_row vex_stmxcsr[4] = { R1(STMXCSR, Md, VEC | WO) };
static const struct insn_row grp_vex_ae[8] = {
	{}, {}, GRP(PFX, vex_ldmxcsr), GRP(PFX, vex_stmxcsr),
};
/* KMOVW, KMOVQ; KMOVB, KMOVD */
static const struct insn_row w_vex_91[4][2] = {
	{ R1(KSTORE, Mw, VEC | WO), R1(KSTORE, Mq, VEC | WO) },
	{ R1(KSTORE, Mb, VEC | WO), R1(KSTORE, Md, VEC | WO) },
};
static const struct insn_row pfx_vex_91[4] = {
	GRP(W, w_vex_91[0]), GRP(W, w_vex_91[1]),
};
static const struct insn_row pfx_vex_maskload[4] = {
	{}, R2(VMASKMOV, Vx, Mx, VEC | WO),
};
static const struct insn_row pfx_vex_maskstore[4] = {
	{}, R2(VMASKMOV, Mx, Vx, VEC | WO),
};
static const struct insn_row pfx_vex_extract[4] = {
	{}, R3(VEXTRACT, Wdq, Vx, Ib, VEC | WO),
};
static const struct insn_row pfx_vex_f2[4] = { R3(ANDN, Gy, By, Ey, WO) };
static const struct insn_row grp_vex_f3[8] = {
	{}, R2(BLSR, By, Ey, WO), R2(BLSMSK, By, Ey, WO), R2(BLSI, By, Ey, WO),
};
static const struct insn_row pfx_vex_f3[4] = { GRP(REG, grp_vex_f3) };
static const struct insn_row pfx_vex_f5[4] = {
	R3(BZHI, Gy, Ey, By, WO), {}, R3(PEXT, Gy, By, Ey, WO),
	R3(PDEP, Gy, By, Ey, WO),
};
static const struct insn_row pfx_vex_f6[4] = {
	{}, {}, {}, R3(MULX, Gy, By, Ey, WO),
};
static const struct insn_row pfx_vex_f7[4] = {
	R3(BEXTR, Gy, Ey, By, WO), R3(SHLX, Gy, Ey, By, WO),
	R3(SARX, Gy, Ey, By, WO), R3(SHRX, Gy, Ey, By, WO),
};
static const struct insn_row pfx_vex_3af0[4] = {
	{}, {}, {}, R3(RORX, Gy, Ey, Ib, WO),
};

const struct insn_sparse_row vigil_insn_vex[] = {
	{ INSN_MAP_0F, 0x91, GRP(PFX, pfx_vex_91) },
	{ INSN_MAP_0F, 0xae, GRP(REG, grp_vex_ae) },
	{ INSN_MAP_0F38, 0x2a, GRP(PFX, pfx_0f382a) },
	{ INSN_MAP_0F38, 0x2c, GRP(PFX, pfx_vex_maskload) },
	{ INSN_MAP_0F38, 0x2d, GRP(PFX, pfx_vex_maskload) },
	{ INSN_MAP_0F38, 0x2e, GRP(PFX, pfx_vex_maskstore) },
	{ INSN_MAP_0F38, 0x2f, GRP(PFX, pfx_vex_maskstore) },
	{ INSN_MAP_0F38, 0x8c, GRP(PFX, pfx_vex_maskload) },
	{ INSN_MAP_0F38, 0x8e, GRP(PFX, pfx_vex_maskstore) },
	{ INSN_MAP_0F38, 0xf2, GRP(PFX, pfx_vex_f2) },
	{ INSN_MAP_0F38, 0xf3, GRP(PFX, pfx_vex_f3) },
	{ INSN_MAP_0F38, 0xf5, GRP(PFX, pfx_vex_f5) },
	{ INSN_MAP_0F38, 0xf6, GRP(PFX, pfx_vex_f6) },
	{ INSN_MAP_0F38, 0xf7, GRP(PFX, pfx_vex_f7) },
	EXTRACTS,
	{ INSN_MAP_0F3A, 0x19, GRP(PFX, pfx_vex_extract) },
	{ INSN_MAP_0F3A, 0x39, GRP(PFX, pfx_vex_extract) },
	{ INSN_MAP_0F3A, 0xf0, GRP(PFX, pfx_vex_3af0) },
};
const unsigned int vigil_insn_vex_count = ARRAY_SIZE(vigil_insn_vex);

const struct insn_row vigil_insn_vector = VL;
const struct insn_row vigil_insn_vector_imm8 = VL_IMM;
const struct insn_row vigil_insn_vzero = R0(VECTOR, VLEN);

/* clang-format on */
