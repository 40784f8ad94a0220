/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Samples for the emulator. A cell is a mode, sizes, a prefix and a place of
 * the memory operand; a row of the tables has many. A sample is a random
 * instruction with a state in which its memory operand lies where the cell
 * says.
 */
#ifndef UNIT_SAMPLE_H
#define UNIT_SAMPLE_H

#include "env.h"
#include "native.h"
#include "rowgen.h"

#define ARITH_FLAGS                                                      \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
	 X86_EFLAGS_SF | X86_EFLAGS_OF)
/* User code always has the reserved bit set, and IF, which it cannot change. */
#define USER_FLAGS (X86_EFLAGS_FIXED | X86_EFLAGS_IF)

/* The part of memory that samples may change. */
#define WINDOW_AT 0xc00
#define WINDOW_BYTES 0x800
#define WINDOW (NATIVE_MEM + WINDOW_AT)

/* Where the memory operand shall be. */
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
/* Makes a machine with the segments of the cell. */
void sample_env(struct env *e, const struct cell *cell);
/* Fills the window and the vector registers anew. */
void sample_memory(struct env *e);
void sample_vectors(struct env *e);
/*
 * Makes an instruction of the cell, decoded into e->c.insn. Returns false if
 * there is none.
 */
bool sample_insn(struct env *e, const struct gen_row *g,
		 const struct cell *cell, struct gen_insn *gi);
/*
 * Makes registers and memory for it. Returns false if these did not work out:
 * try again.
 */
bool sample_state(struct env *e, const struct gen_row *g,
		  const struct cell *cell);
/* Does the memory operand cover that address, with the registers of @e? */
bool sample_in_operand(const struct env *e, const struct cell *cell, u64 la);
/* After the emulator ran: did it access memory where the cell says? */
bool sample_in_place(const struct env *e, const struct cell *cell, int ret);
/*
 * Return the flags that the architecture leaves undefined, and whether the
 * result is.
 */
u64 sample_undefined_flags(const struct insn *insn, const struct env *before);
bool sample_undefined_result(const struct insn *insn, const struct env *before);
/* Does the row belong to a string instruction; is its memory at rSP? */
bool row_is_string(const struct gen_row *g);
bool row_is_stack(const struct gen_row *g);
/* Does the emulator have a handler for the row? */
bool sample_emulated(const struct gen_row *g);

#endif /* UNIT_SAMPLE_H */
