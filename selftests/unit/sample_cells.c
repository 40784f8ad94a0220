// SPDX-License-Identifier: GPL-2.0
/*
 * Decides which cells make sense for a row, and which flags and results the
 * architecture leaves undefined.
 */
#include "sample.h"

bool row_is_string(const struct gen_row *g)
{
	return g->row->flags & INSN_STRING;
}

/* Is the row's memory at rSP? */
bool row_is_stack(const struct gen_row *g)
{
	switch (g->row->op) {
	case INSN_OP_PUSH:
	case INSN_OP_POP:
	case INSN_OP_PUSHA:
	case INSN_OP_POPA:
	case INSN_OP_PUSHF:
	case INSN_OP_POPF:
	case INSN_OP_PUSH_SEG:
	case INSN_OP_ENTER:
	case INSN_OP_LEAVE:
	case INSN_OP_CALL:
	case INSN_OP_RET:
		return true;
	}
	return false;
}

static bool has_moffs(const struct gen_row *g)
{
	return gen_has_spec(g, SPEC_Ob, SPEC_Ov);
}

/* Does an operand read or write memory, other than the stack? */
static bool touches_memory(const struct gen_row *g, bool mem_form)
{
	switch (g->row->op) {
	case INSN_OP_LEA:
	case INSN_OP_NOP:
	case INSN_OP_PREFETCH:
	case INSN_OP_CLFLUSH:
	case INSN_OP_UD:
		return false;
	case INSN_OP_XLAT:
	case INSN_OP_MASKMOV:
		return true;
	}
	if (g->row->flags & INSN_PRIVILEGED)
		return false;
	return mem_form || row_is_string(g) || has_moffs(g);
}

static bool uses_adsize(const struct gen_row *g, bool mem_form)
{
	return mem_form || row_is_string(g) || has_moffs(g) ||
	       g->row->op == INSN_OP_XLAT || g->row->op == INSN_OP_MASKMOV ||
	       g->row->op == INSN_OP_JCXZ || g->row->op == INSN_OP_LOOP;
}

static bool cell_makes_sense(const struct gen_row *g, const struct cell *cell)
{
	const struct gen_cell *c = &cell->g;
	bool touches = touches_memory(g, c->mem);
	struct gen_insn gi;

	if (!gen_encode(g, c, &gi))
		return false;
	/* Vendors differ here. */
	if (g->row->op == INSN_OP_LDS && c->opsize == 8)
		return false;
	if (gen_has_spec(g, SPEC_Ed, SPEC_Ed) && g->row->op == INSN_OP_MOVSX &&
	    c->opsize == 2)
		return false;
	/* BSWAP of a word is undefined. */
	if (g->row->op == INSN_OP_BSWAP && c->opsize == 2)
		return false;
	/* A far branch with 16-bit operand size would leave for the first 64K. */
	if (g->row->flags & INSN_BRANCH && !(g->row->flags & INSN_F64) &&
	    c->mode == INSN_MODE_32 && c->opsize == 2)
		return false;
	/* 16 bits of address do not reach the data. */
	if (c->mode == INSN_MODE_64 && c->adsize == 2)
		return false;
	if (!uses_adsize(g, c->mem) &&
	    c->adsize != (c->mode == INSN_MODE_64 ? 8 :
			  c->mode == INSN_MODE_32 ? 4 :
						    2))
		return false;
	switch (cell->place) {
	case PLACE_NONE:
		return !touches && !row_is_stack(g);
	case PLACE_INSIDE:
		return touches || row_is_stack(g);
	case PLACE_CROSSING:
		/* One byte cannot cross a page, but a string of bytes can. */
		if (!touches && !row_is_stack(g))
			return false;
		if (g->row->op == INSN_OP_XLAT)
			return false;
		if (!row_is_stack(g) &&
		    (g->row->spec[0] == SPEC_Eb || g->row->spec[1] == SPEC_Eb ||
		     g->row->spec[0] == SPEC_EdMb ||
		     gen_has_spec(g, SPEC_Ob, SPEC_Ob)))
			return false;
		if (row_is_string(g) && gen_has_spec(g, SPEC_Xb, SPEC_Yb) &&
		    g->row->spec[0] != SPEC_Yv && g->row->spec[1] != SPEC_Yv &&
		    g->row->spec[0] != SPEC_Xv && g->row->spec[1] != SPEC_Xv)
			return false;
		/* A PUSH of an odd size crosses by its memory operand. */
		return true;
	case PLACE_FAULT:
		/*
		 * Masked elements may or may not fault, so they are left out
		 * here.
		 */
		return touches && !row_is_stack(g) &&
		       g->row->op != INSN_OP_MASKMOV &&
		       g->row->op != INSN_OP_VMASKMOV &&
		       !(c->prefix & (INSN_PFX_REP | INSN_PFX_REPNE));
	}
	return false;
}

static void each_prefix(const struct gen_row *g, struct cell *cell,
			void (*fn)(const struct gen_row *g,
				   const struct cell *cell))
{
	static const u16 prefixes[] = { 0, INSN_PFX_SEG, INSN_PFX_LOCK,
					INSN_PFX_REP, INSN_PFX_REPNE };
	unsigned int i, place;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		u16 p = prefixes[i];

		if (p == INSN_PFX_SEG && !touches_memory(g, cell->g.mem))
			continue;
		if (p == INSN_PFX_LOCK &&
		    !(g->row->flags & INSN_LOCKABLE && cell->g.mem))
			continue;
		if (p & (INSN_PFX_REP | INSN_PFX_REPNE) && !row_is_string(g))
			continue;
		cell->g.prefix = p;
		for (place = PLACE_INSIDE; place <= PLACE_NONE; place++) {
			cell->place = place;
			if (cell_makes_sense(g, cell))
				fn(g, cell);
		}
	}
}

void sample_cells(const struct gen_row *g, enum insn_mode mode,
		  void (*fn)(const struct gen_row *g, const struct cell *cell))
{
	static const u8 sizes[] = { 2, 4, 8 };
	unsigned int n = mode == INSN_MODE_64 ? 3 : 2, i;
	struct cell cell = { .g.mode = mode };

	for (i = 0; i < n * n * 2; i++) {
		cell.g.opsize = sizes[i % n];
		cell.g.adsize = sizes[i / n % n];
		cell.g.mem = i / (n * n);
		if (cell.g.mem ? !gen_can_mem(g) :
				 gen_has_modrm(g) && !gen_can_reg(g))
			continue;
		cell.small = mode == INSN_MODE_16 ||
			     (mode == INSN_MODE_32 && cell.g.adsize == 2);
		each_prefix(g, &cell, fn);
	}
}

bool sample_emulated(const struct gen_row *g)
{
	/* A row without a handler is for the decoder only. */
	return !(g->row->flags & (INSN_LENGTH_ONLY | INSN_IO));
}

bool sample_in_place(const struct env *e, const struct cell *cell, int ret)
{
	u64 lo = WINDOW, hi = WINDOW + WINDOW_BYTES;

	if (cell->place == PLACE_FAULT)
		return ret == EMUL_FAULT &&
		       (e->c.exception.vector != NATIVE_PF ||
			e->c.exception.cr2 - (NATIVE_MEM - 0x1000) < 0x4000);
	if (ret == EMUL_FAULT && e->c.exception.vector == NATIVE_PF)
		return false;
	if (e->highest && (e->lowest < lo || e->highest > hi))
		return false;
	if (cell->place == PLACE_CROSSING) {
		/* An alignment fault comes before the crossing is seen. */
		if (ret == EMUL_FAULT)
			return true;
		return e->highest && e->lowest < NATIVE_MIDDLE &&
		       e->highest > NATIVE_MIDDLE;
	}
	return !e->highest || e->lowest >= NATIVE_MIDDLE ||
	       e->highest <= NATIVE_MIDDLE;
}

u64 sample_undefined_flags(const struct insn *insn, const struct env *b)
{
	unsigned int bits = 8 * insn->opd[0].size, n;

	switch (insn->op) {
	case INSN_OP_AND:
	case INSN_OP_OR:
	case INSN_OP_XOR:
	case INSN_OP_TEST:
		return X86_EFLAGS_AF;
	case INSN_OP_MUL:
	case INSN_OP_IMUL1:
	case INSN_OP_IMUL:
		return X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF |
		       X86_EFLAGS_PF;
	case INSN_OP_DIV:
	case INSN_OP_IDIV:
		return ARITH_FLAGS;
	case INSN_OP_DAA:
	case INSN_OP_DAS:
		return X86_EFLAGS_OF;
	case INSN_OP_AAA:
	case INSN_OP_AAS:
		return X86_EFLAGS_OF | X86_EFLAGS_SF | X86_EFLAGS_ZF |
		       X86_EFLAGS_PF;
	case INSN_OP_AAM:
	case INSN_OP_AAD:
		return X86_EFLAGS_OF | X86_EFLAGS_AF | X86_EFLAGS_CF;
	case INSN_OP_BT:
	case INSN_OP_BTS:
	case INSN_OP_BTR:
	case INSN_OP_BTC:
		return X86_EFLAGS_OF | X86_EFLAGS_SF | X86_EFLAGS_AF |
		       X86_EFLAGS_PF;
	case INSN_OP_BSF:
	case INSN_OP_BSR:
		return ARITH_FLAGS & ~X86_EFLAGS_ZF;
	case INSN_OP_TZCNT:
	case INSN_OP_LZCNT:
		return X86_EFLAGS_OF | X86_EFLAGS_SF | X86_EFLAGS_AF |
		       X86_EFLAGS_PF;
	case INSN_OP_ANDN:
	case INSN_OP_BLSR:
	case INSN_OP_BLSMSK:
	case INSN_OP_BLSI:
	case INSN_OP_BZHI:
		return X86_EFLAGS_AF | X86_EFLAGS_PF;
	case INSN_OP_BEXTR:
		return X86_EFLAGS_AF | X86_EFLAGS_PF | X86_EFLAGS_SF;
	case INSN_OP_ROL:
	case INSN_OP_ROR:
	case INSN_OP_RCL:
	case INSN_OP_RCR:
	case INSN_OP_SHL:
	case INSN_OP_SAL:
	case INSN_OP_SHR:
	case INSN_OP_SAR:
	case INSN_OP_SHLD:
	case INSN_OP_SHRD:
		break;
	default:
		return 0;
	}

	/* Of shifts and rotates, what is undefined depends on the count. */
	n = insn->op == INSN_OP_SHLD || insn->op == INSN_OP_SHRD ? 2 : 1;
	n = insn->opd[n].kind == INSN_OPD_ONE ? 1 :
	    insn->opd[n].kind == INSN_OPD_IMM ? insn->imm :
						b->c.regs[INSN_RCX];
	n &= bits == 64 ? 63 : 31;
	if (!n)
		return 0;
	switch (insn->op) {
	case INSN_OP_ROL:
	case INSN_OP_ROR:
	case INSN_OP_RCL:
	case INSN_OP_RCR:
		return n == 1 ? 0 : X86_EFLAGS_OF;
	case INSN_OP_SHLD:
	case INSN_OP_SHRD:
		if (n > bits)
			return ARITH_FLAGS;
		return X86_EFLAGS_AF | (n == 1 ? 0 : X86_EFLAGS_OF);
	}
	return X86_EFLAGS_AF | (n == 1 ? 0 : X86_EFLAGS_OF) |
	       (n > bits || (n == bits && insn->op != INSN_OP_SAR) ?
			X86_EFLAGS_CF :
			0);
}

/* Is the result itself undefined? */
bool sample_undefined_result(const struct insn *insn, const struct env *b)
{
	unsigned int n;

	switch (insn->op) {
	case INSN_OP_BSWAP:
		return insn->opsize == 2;
	case INSN_OP_SHLD:
	case INSN_OP_SHRD:
		n = insn->opd[2].kind == INSN_OPD_IMM ? insn->imm :
							b->c.regs[INSN_RCX];
		return insn->opsize == 2 && (n & 31) > 16;
	}
	return false;
}
