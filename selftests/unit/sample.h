/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Samples for the emulator: which cells (mode, sizes, prefix, place of the
 * memory operand) a table row has, and random instructions with states in which
 * their memory operands lie where the cell says.
 */
#ifndef UNIT_SAMPLE_H
#define UNIT_SAMPLE_H

#include "env.h"
#include "native.h"
#include "rowgen.h"

#define ARITH_FLAGS                                                      \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
	 X86_EFLAGS_SF | X86_EFLAGS_OF)
/* what is always set in user code: the reserved bit, and IF, which it cannot change */
#define USER_FLAGS (X86_EFLAGS_FIXED | X86_EFLAGS_IF)

/* what of the memory samples may change */
#define WINDOW_AT 0xc00
#define WINDOW_BYTES 0x800
#define WINDOW (NATIVE_MEM + WINDOW_AT)

/* where the memory operand is to be */
enum place {
	PLACE_INSIDE, /* all in one page */
	PLACE_CROSSING, /* in both pages */
	PLACE_FAULT, /* not, or not all of it, in memory */
	PLACE_NONE, /* no memory operand */
};

struct cell {
	struct gen_cell g;
	enum place place;
	bool small;
};

/* Calls fn for every cell that makes sense for that row in that mode. */
void sample_cells(const struct gen_row *g, enum insn_mode mode,
		  void (*fn)(const struct gen_row *g, const struct cell *cell));
/* A machine with the segments of the cell. */
void sample_env(struct env *e, const struct cell *cell);
/* New contents of the window, and of the vector registers. */
void sample_memory(struct env *e);
void sample_vectors(struct env *e);
/* An instruction of the cell, decoded into e->c.insn; false: none. */
bool sample_insn(struct env *e, const struct gen_row *g,
		 const struct cell *cell, struct gen_insn *gi);
/* Registers and memory for it; false: these did not work out, try again. */
bool sample_state(struct env *e, const struct gen_row *g,
		  const struct cell *cell);
/* Is that address one of the memory operand's, with the registers of e? */
bool sample_in_operand(const struct env *e, const struct cell *cell, u64 la);
/* After the emulator ran: did it access what the cell is about? */
bool sample_in_place(const struct env *e, const struct cell *cell, int ret);
/* Flags that the architecture leaves undefined, and results. */
u64 sample_undefined_flags(const struct insn *insn, const struct env *before);
bool sample_undefined_result(const struct insn *insn, const struct env *before);
/* String instructions, and those whose memory is at rSP. */
bool row_is_string(const struct gen_row *g);
bool row_is_stack(const struct gen_row *g);
/* Rows that the emulator has a handler for. */
bool sample_emulated(const struct gen_row *g);

#endif /* UNIT_SAMPLE_H */
