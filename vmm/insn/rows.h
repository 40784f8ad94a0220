/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the rows of the decoder's tables are written; for decode_table*.c only.
 */
#ifndef VIGIL_VMM_DECODE_ROWS_H
#define VIGIL_VMM_DECODE_ROWS_H

#include "table.h"

#define ROW(o, x, y, z, f)                                              \
	{                                                               \
		.kind = ROW_LEAF, .op = INSN_OP_##o,                    \
		.spec = { SPEC_##x, SPEC_##y, SPEC_##z }, .flags = (f), \
	}
#define R0(o, f) ROW(o, __, __, __, f)
#define R1(o, x, f) ROW(o, x, __, __, f)
#define R2(o, x, y, f) ROW(o, x, y, __, f)
#define R3(o, x, y, z, f) ROW(o, x, y, z, f)
#define GRP(k, s)                           \
	{                                   \
		.kind = ROW_##k, .sub = (s) \
	}

#define LCK INSN_LOCKABLE
#define RO INSN_READ_ONLY
#define WO INSN_WRITE_ONLY
#define D64 INSN_D64
#define F64 INSN_F64
#define N64 INSN_NO64
#define REPT INSN_STRING
#define SYS INSN_SYSTEM
#define PRV (INSN_SYSTEM | INSN_PRIVILEGED)
#define IO INSN_IO
#define BR INSN_BRANCH
#define LEN INSN_LENGTH_ONLY
#define VEC INSN_VECTOR
#define ALN (INSN_VECTOR | INSN_ALIGNED)
#define VLEN (INSN_VECTOR | INSN_LENGTH_ONLY)
#define VL R2(VECTOR, Vx, Wx, VLEN)
#define VL_IMM R3(VECTOR, Vx, Wx, Ib, VLEN)

#endif /* VIGIL_VMM_DECODE_ROWS_H */
