/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leads from the decoder's tables back to instructions: lists every row, and
 * encodes random instances of it.
 */
#ifndef UNIT_ROWGEN_H
#define UNIT_ROWGEN_H

#include "vmm/insn/table.h"

/*
 * One leaf of the tables, and the encoding that leads to it. -1 stands for any
 * value.
 */
struct gen_row {
	const struct insn_row *row;
	u8 map, opcode;
	bool vex;
	bool evex; /* a form in memory, vex is false */
	s8 pp, reg, rm, mod3, mode64, w;
};

/* A variant of a row that is tested on its own. */
struct gen_cell {
	enum insn_mode mode;
	u8 opsize, adsize; /* 2, 4, 8 */
	u16 prefix; /* INSN_PFX_LOCK, REP, REPNE, SEG (which is GS) */
	bool mem; /* memory form, where the row has both */
};

struct gen_insn {
	u8 bytes[32];
	u8 len;
	u8 disp_at, disp_len; /* the displacement or moffs; 0 without */
	u8 imm_at, imm_len; /* the first immediate */
};

/* Lists all leaves. Returns how many there are, at most @max. */
unsigned int gen_rows(struct gen_row *out, unsigned int max);
bool gen_has_modrm(const struct gen_row *g);
/* Can modrm.rm be memory, or a register? */
bool gen_can_mem(const struct gen_row *g);
bool gen_can_reg(const struct gen_row *g);
bool gen_has_spec(const struct gen_row *g, enum insn_spec first,
		  enum insn_spec last);
/* Encodes the cell. Returns false if that row has no such encoding. */
bool gen_encode(const struct gen_row *g, const struct gen_cell *cell,
		struct gen_insn *out);

#endif /* UNIT_ROWGEN_H */
