// SPDX-License-Identifier: GPL-2.0
/* Makes instructions and states for a cell. */
#include "rng.h"
#include "sample.h"

static_assert(ENV_MEM == NATIVE_MEM, "one memory");

static bool upper_page; /* where PLACE_INSIDE is, for one encoding */

static u64 data_base(const struct cell *cell)
{
	return cell->small ? NATIVE_DATA16 : 0;
}

static u64 mask_of(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

/* Returns a linear address for an operand of @bytes. */
static u64 pick_address(enum place place, unsigned int bytes)
{
	if (!bytes)
		bytes = 1;
	if (bytes > 0x80 && place == PLACE_INSIDE)
		return upper_page ? NATIVE_MIDDLE +
					    unit_below(WINDOW + WINDOW_BYTES -
						       NATIVE_MIDDLE - bytes) :
				    NATIVE_MIDDLE - bytes -
					    unit_below(NATIVE_MIDDLE - WINDOW -
						       bytes);
	switch (place) {
	case PLACE_CROSSING:
		return NATIVE_MIDDLE - 1 -
		       unit_below(bytes > 1 ? bytes - 1 : 1);
	case PLACE_FAULT:
		/*
		 * The operand crosses the upper end, or lies beyond the lower
		 * one.
		 */
		if (unit_below(2))
			return NATIVE_MEM + NATIVE_MEM_BYTES -
			       unit_below(bytes);
		return NATIVE_MEM - 0x800 + unit_below(0x700);
	default:
		return NATIVE_MIDDLE + unit_below(0x80) +
		       (upper_page ? 0xc0 : -0x140);
	}
}

static void random_state(struct env *e)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		e->c.regs[i] = unit_random();
		/* Small numbers and edges find more faults than noise does. */
		switch (unit_below(8)) {
		case 0:
			e->c.regs[i] = unit_below(256);
			break;
		case 1:
			e->c.regs[i] = -(u64)unit_below(256);
			break;
		case 2:
			e->c.regs[i] &= 0x8000000080008080ull;
			break;
		}
	}
	e->c.rflags = USER_FLAGS |
		      (unit_random() &
		       (ARITH_FLAGS | (unit_below(2) ? X86_EFLAGS_DF : 0)));
}

void sample_memory(struct env *e)
{
	unsigned int i;
	u64 v;

	for (i = 0; i < WINDOW_BYTES; i += 8) {
		v = unit_random();
		memcpy(e->mem + WINDOW_AT + i, &v, 8);
	}
}

void sample_vectors(struct env *e)
{
	unsigned int i;
	u64 v;

	for (i = 0; i < sizeof(e->vec); i += 8) {
		v = unit_random();
		memcpy((u8 *)e->vec + i, &v, 8);
	}
	for (i = 0; i < 8; i++)
		e->mmx[i] = unit_random();
}

static u64 seg_base(const struct insn *insn, const struct cell *cell)
{
	return insn->seg == INSN_SEG_GS ? NATIVE_GS_BASE : data_base(cell);
}

/* Changes base or index, so that the operand comes to lie at the offset. */
static bool aim(const struct insn *insn, u64 *regs, u64 rip, u64 off)
{
	u64 mask = mask_of(insn->adsize), delta;
	unsigned int f = 0;

	off &= mask;
	delta = (off - vigil_insn_ea(insn, regs, rip)) & mask;
	if (!delta)
		return true;
	/*
	 * Take the difference as signed, so that it can be divided by the scale
	 * more often.
	 */
	if (insn->adsize == 4)
		delta = (u64)(s64)(s32)delta;
	else if (insn->adsize == 2)
		delta = (u64)(s64)(s16)delta;
	if (insn->index != INSN_REG_NONE && insn->index == insn->base)
		f = 1 + (1u << insn->scale);
	else if (insn->base != INSN_REG_NONE)
		f = 1;
	else if (insn->index != INSN_REG_NONE)
		f = 1u << insn->scale;
	if (!f)
		return false;
	regs[insn->base != INSN_REG_NONE ? insn->base : insn->index] +=
		(u64)((s64)delta / f);
	return vigil_insn_ea(insn, regs, rip) == off;
}

static u64 get_mem(const struct env *e, u64 la)
{
	u64 v = 0;

	if (la >= NATIVE_MEM && la + 8 <= NATIVE_MEM + NATIVE_MEM_BYTES)
		memcpy(&v, e->mem + (la - NATIVE_MEM), 8);
	return v;
}

static void set_mem(struct env *e, u64 la, u64 v, unsigned int bytes)
{
	if (la >= WINDOW && la + bytes <= WINDOW + WINDOW_BYTES)
		memcpy(e->mem + (la - NATIVE_MEM), &v, bytes);
}

static unsigned int mem_operand_bytes(const struct insn *insn)
{
	unsigned int i;

	if (insn->op == INSN_OP_CMPXCHG8B)
		return insn->opsize == 8 ? 16 : 8;
	if (insn->op == INSN_OP_XLAT)
		return 1;
	if (insn->op == INSN_OP_FXSAVE)
		return 512;
	if (insn->op == INSN_OP_XSAVE)
		return 832; /* up to the YMM registers */
	if (insn->op == INSN_OP_FNSTENV || insn->op == INSN_OP_FLDENV)
		return insn->opsize == 2 ? 14 : 28;
	if (insn->op == INSN_OP_FNSAVE || insn->op == INSN_OP_FRSTOR)
		return insn->opsize == 2 ? 94 : 108;
	for (i = 0; i < 3; i++)
		if (insn->opd[i].kind == INSN_OPD_MEM)
			return insn->opd[i].size;
	return 1;
}

bool sample_in_operand(const struct env *e, const struct cell *cell, u64 la)
{
	const struct insn *insn = &e->c.insn;
	u64 at =
		vigil_insn_ea(insn, e->c.regs, e->c.rip) + seg_base(insn, cell);

	return la - at < mem_operand_bytes(insn);
}

/* Returns the alignment that the operand needs. Without it, #GP(0) comes. */
static unsigned int alignment(const struct insn *insn)
{
	switch (insn->op) {
	case INSN_OP_FXSAVE:
		return 16;
	case INSN_OP_XSAVE:
		return 64;
	case INSN_OP_CMPXCHG8B:
		return mem_operand_bytes(insn);
	}
	return insn->flags & INSN_ALIGNED ? mem_operand_bytes(insn) : 1;
}

/*
 * Sets registers to values that make the operation interesting. aim() comes
 * later.
 */
static void prepare(struct env *e)
{
	const struct insn *insn = &e->c.insn;
	u64 *regs = e->c.regs;
	unsigned int bytes = insn->opsize, r;

	switch (insn->op) {
	case INSN_OP_DIV:
	case INSN_OP_IDIV:
		/*
		 * Most quotients of random numbers would overflow, and a fault
		 * takes long.
		 */
		regs[INSN_RDX] = unit_below(8) ? 0 : unit_random();
		if (bytes == 1)
			regs[INSN_RAX] &= unit_below(8) ? 0x7f : 0x7fff;
		else if (insn->op == INSN_OP_IDIV && unit_below(8)) {
			regs[INSN_RAX] &= mask_of(bytes) >> 1;
			if (unit_below(2)) {
				regs[INSN_RAX] = -regs[INSN_RAX];
				regs[INSN_RDX] = ~0ull;
			}
		}
		break;
	case INSN_OP_BT:
	case INSN_OP_BTS:
	case INSN_OP_BTR:
	case INSN_OP_BTC:
		r = insn->opd[1].reg;
		if (insn->opd[1].kind == INSN_OPD_REG && insn->has_mem)
			regs[r] = (regs[r] & ~mask_of(bytes)) |
				  ((u64)(s64)((int)unit_below(512) - 256) &
				   mask_of(bytes));
		break;
	case INSN_OP_MOVS:
	case INSN_OP_STOS:
	case INSN_OP_LODS:
	case INSN_OP_CMPS:
	case INSN_OP_SCAS:
		regs[INSN_RCX] = (regs[INSN_RCX] & ~mask_of(insn->adsize)) |
				 unit_below(5);
		break;
	case INSN_OP_XSAVE:
		/* The mask takes components that XCR0 has on this machine. */
		regs[INSN_RAX] = (regs[INSN_RAX] & ~0xffffffffull) |
				 unit_below(8);
		regs[INSN_RDX] &= ~0xffffffffull;
		break;
	case INSN_OP_LOOP:
	case INSN_OP_JCXZ:
		if (unit_below(2))
			regs[INSN_RCX] =
				(regs[INSN_RCX] & ~mask_of(insn->adsize)) |
				unit_below(2);
		break;
	}
}

static void aim_register(u64 *r, u64 off, unsigned int bytes)
{
	*r = (*r & ~mask_of(bytes)) | (off & mask_of(bytes));
}

/* Makes equal strings, so that REPE gets somewhere. */
static void prepare_strings(struct env *e, u64 src, u64 dst)
{
	unsigned int i;
	u64 v = e->c.regs[INSN_RAX];

	for (i = 0; i < 8 * 5; i++) {
		u64 a = src - 16 + i, b = dst - 16 + i;

		set_mem(e, b,
			e->c.insn.op == INSN_OP_SCAS ? v >> (8 * (i & 7)) :
						       get_mem(e, a),
			1);
	}
}

/* Does it store below rSP, rather than load above it? */
static bool pushes(unsigned int op)
{
	return op == INSN_OP_PUSH || op == INSN_OP_PUSHF ||
	       op == INSN_OP_PUSH_SEG || op == INSN_OP_CALL;
}

static void place_stack(struct env *e, const struct cell *cell,
			unsigned int width)
{
	const struct insn *insn = &e->c.insn;
	unsigned int bytes = insn->opsize > 1 ? insn->opsize : 4;
	u64 la = pick_address(cell->place, 0);

	if (cell->place == PLACE_CROSSING) {
		la = 1 + unit_below(bytes - 1);
		if (insn->op == INSN_OP_PUSHA)
			la = 1 + unit_below(8 * bytes - 1);
		else if (insn->op == INSN_OP_POPA)
			la = -1 - (u64)unit_below(8 * bytes - 1);
		else if (!pushes(insn->op) && insn->op != INSN_OP_ENTER)
			la = -la;
		la += NATIVE_MIDDLE;
	}
	aim_register(
		&e->c.regs[insn->op == INSN_OP_LEAVE ? INSN_RBP : INSN_RSP],
		la - data_base(cell), width);
	if (insn->op == INSN_OP_ENTER)
		aim_register(&e->c.regs[INSN_RBP],
			     pick_address(PLACE_INSIDE, 0) - data_base(cell),
			     width);
}

/* Returns how far beyond the operand a bit number in a register reaches. */
static u64 bit_distance(const struct env *e)
{
	const struct insn *insn = &e->c.insn;
	unsigned int bytes = insn->opsize;
	s64 nr;

	if (insn->op != INSN_OP_BT && insn->op != INSN_OP_BTS &&
	    insn->op != INSN_OP_BTR && insn->op != INSN_OP_BTC)
		return 0;
	if (insn->opd[1].kind != INSN_OPD_REG)
		return 0;
	nr = (s64)(e->c.regs[insn->opd[1].reg] << (64 - 8 * bytes)) >>
	     (64 - 8 * bytes);
	return (nr >> (bytes == 8 ? 6 : bytes == 4 ? 5 : 4)) * bytes;
}

/*
 * Puts all memory operands in place. Returns false if these registers cannot do
 * that.
 */
static bool place_operands(struct env *e, const struct gen_row *g,
			   const struct cell *cell)
{
	const struct insn *insn = &e->c.insn;
	u64 *regs = e->c.regs, base = seg_base(insn, cell), la;
	unsigned int bytes = mem_operand_bytes(insn);
	unsigned int stack = cell->g.mode == INSN_MODE_64 ? 8 :
			     cell->small		  ? 2 :
							    4;
	u64 rip = native_rip(cell->g.mode);

	if (row_is_stack(g))
		place_stack(e, cell, stack);
	if (insn->op == INSN_OP_XLAT) {
		la = pick_address(cell->place, 1);
		aim_register(&regs[INSN_RBX], la - base - (u8)regs[INSN_RAX],
			     insn->adsize);
		return true;
	}
	if (insn->op == INSN_OP_MASKMOV) {
		la = pick_address(cell->place, 16);
		aim_register(&regs[INSN_RDI], la - base, insn->adsize);
		return true;
	}
	if (row_is_string(g)) {
		u64 dst = pick_address(cell->place, bytes);

		la = pick_address(cell->place, bytes);
		/*
		 * Both operands fault, or only the source, or only the
		 * destination.
		 */
		if (cell->place == PLACE_FAULT) {
			unsigned int which = unit_below(3);

			if (which == 1)
				dst = pick_address(PLACE_INSIDE, bytes);
			else if (which == 2)
				la = pick_address(PLACE_INSIDE, bytes);
		}
		aim_register(&regs[INSN_RSI], la - base, insn->adsize);
		aim_register(&regs[INSN_RDI], dst - data_base(cell),
			     insn->adsize);
		if (unit_below(2))
			prepare_strings(e, la, dst);
		return true;
	}
	if (!insn->has_mem || insn->base == INSN_REG_NONE)
		if (!insn->has_mem || insn->index == INSN_REG_NONE)
			return true; /* fixed by the encoding */
	la = pick_address(cell->place, bytes);
	/*
	 * Align what lies in one page, most of the time. An operand that
	 * crosses a page cannot be aligned to its size.
	 */
	if ((cell->place == PLACE_INSIDE || bytes > 0x80) && unit_below(16))
		la &= -(u64)alignment(insn);
	return aim(insn, regs, rip, la - base - bit_distance(e));
}

static bool addresses(const struct insn *insn, unsigned int reg)
{
	return insn->base == reg || insn->index == reg;
}

/* Fills memory with what lets the operation come to something. */
static void prepare_memory(struct env *e, const struct cell *cell)
{
	const struct insn *insn = &e->c.insn;
	u64 *regs = e->c.regs, rip = native_rip(cell->g.mode);
	u64 landing = rip + NATIVE_TAKEN, ea = 0, sp, v;

	if (insn->has_mem)
		ea = vigil_insn_ea(insn, regs, rip) + seg_base(insn, cell);
	sp = regs[INSN_RSP] & mask_of(cell->g.mode == INSN_MODE_64 ? 8 :
				      cell->small		   ? 2 :
								     4);
	sp += data_base(cell);
	switch (insn->op) {
	case INSN_OP_RET:
		set_mem(e, sp, landing, insn->opsize);
		break;
	case INSN_OP_JMP:
	case INSN_OP_CALL:
		if (insn->opd[0].kind == INSN_OPD_MEM)
			set_mem(e, ea, landing, insn->opsize);
		else if (insn->opd[0].kind == INSN_OPD_REG)
			regs[insn->opd[0].reg] = landing;
		break;
	case INSN_OP_POPF:
		v = get_mem(e, sp) & ~0x70000ull;
		set_mem(e, sp, v & ~0x4100ull, insn->opsize); /* TF, NT */
		break;
	case INSN_OP_CMPXCHG:
		if (insn->has_mem && !addresses(insn, INSN_RAX) &&
		    unit_below(2))
			regs[INSN_RAX] = get_mem(e, ea);
		break;
	case INSN_OP_CMPXCHG8B:
		if (addresses(insn, INSN_RAX) || addresses(insn, INSN_RDX) ||
		    unit_below(2))
			break;
		if (insn->opsize == 8) {
			regs[INSN_RAX] = get_mem(e, ea);
			regs[INSN_RDX] = get_mem(e, ea + 8);
		} else {
			regs[INSN_RAX] = (u32)get_mem(e, ea);
			regs[INSN_RDX] = get_mem(e, ea) >> 32;
		}
		break;
	}
}

static void put_le(u8 *p, u64 v, unsigned int n)
{
	memcpy(p, &v, n);
}

/*
 * Branches go to the landing place; addresses without a register, to the
 * memory.
 */
static void fix_encoding(const struct gen_row *g, const struct cell *cell,
			 struct gen_insn *gi)
{
	struct insn insn;
	u64 la, off;

	if (gen_has_spec(g, SPEC_Jb, SPEC_Jz))
		put_le(gi->bytes + gi->imm_at, NATIVE_TAKEN - gi->len,
		       gi->imm_len);
	if (g->row->op == INSN_OP_ENTER) {
		put_le(gi->bytes + gi->imm_at, unit_below(64), 2);
		gi->bytes[gi->imm_at + 2] &= 0xe7; /* up to 7 frames, and 32 */
	}
	if (g->row->op == INSN_OP_RET && gi->imm_len)
		put_le(gi->bytes + gi->imm_at, unit_below(64), 2);
	if (!gi->disp_len ||
	    vigil_decode(&insn, gi->bytes, gi->len, cell->g.mode) ||
	    insn.base != INSN_REG_NONE || insn.index != INSN_REG_NONE)
		return;
	la = pick_address(cell->place, mem_operand_bytes(&insn));
	off = la - seg_base(&insn, cell);
	if (insn.rip_rel)
		off -= native_rip(cell->g.mode) + insn.len;
	put_le(gi->bytes + gi->disp_at, off, gi->disp_len);
}

void sample_env(struct env *e, const struct cell *cell)
{
	unsigned int i;

	env_init(e, cell->g.mode);
	for (i = 0; i < 6; i++) {
		if (cell->small && (i == INSN_SEG_DS || i == INSN_SEG_ES ||
				    i == INSN_SEG_SS)) {
			e->seg[i].base = NATIVE_DATA16;
			e->seg[i].limit = 0xffff;
			e->seg[i].attr &= ~(EMUL_SEG_DB | EMUL_SEG_G);
		}
	}
	if (cell->g.mode == INSN_MODE_16)
		e->seg[INSN_SEG_CS].base = NATIVE_CODE;
	e->seg[INSN_SEG_GS].base = NATIVE_GS_BASE;
	e->seg[INSN_SEG_GS].limit = 0xffffffff;
}

bool sample_insn(struct env *e, const struct gen_row *g,
		 const struct cell *cell, struct gen_insn *gi)
{
	if (!gen_encode(g, &cell->g, gi))
		return false;
	upper_page = unit_below(2);
	fix_encoding(g, cell, gi);
	return !vigil_decode(&e->c.insn, gi->bytes, gi->len, cell->g.mode) &&
	       e->c.insn.op == g->row->op && e->c.insn.len == gi->len;
}

bool sample_state(struct env *e, const struct gen_row *g,
		  const struct cell *cell)
{
	random_state(e);
	e->c.rip = native_rip(cell->g.mode);
	prepare(e);
	if (!place_operands(e, g, cell))
		return false;
	prepare_memory(e, cell);
	/* EDX:EAX is the mask, but may be part of the address as well. */
	if (e->c.insn.op == INSN_OP_XSAVE &&
	    ((u32)e->c.regs[INSN_RAX] > 7 || (u32)e->c.regs[INSN_RDX]))
		return false;
	return !sample_undefined_result(&e->c.insn, e);
}
