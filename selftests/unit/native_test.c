// SPDX-License-Identifier: GPL-2.0
/*
 * Every row of the decoder's tables, in every mode, operand size, address size
 * and with every prefix that it takes, with and without a page crossing: the
 * same instruction on the CPU and in the emulator, from the same random state.
 * Registers, flags, memory, vector registers and faults must be the same.
 */
#include <stdlib.h>
#include <time.h>

#include "env.h"
#include "native.h"
#include "rowgen.h"
#include "unit.h"

#define SAMPLES 1000
#define FAULT_SAMPLES 24
#define STATES 8 /* register states for one encoding */
#define MAX_ROWS 2048

#define FL_CF 0x001
#define FL_PF 0x004
#define FL_AF 0x010
#define FL_ZF 0x040
#define FL_SF 0x080
#define FL_DF 0x400
#define FL_OF 0x800
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)
#define FL_FIXED 0x202 /* reserved, and IF, which user code cannot change */

/* what of the memory samples may change; compared every time */
#define WINDOW_AT 0xe00
#define WINDOW_BYTES 0x400
#define WINDOW (NATIVE_MEM + WINDOW_AT)

static_assert(ENV_MEM == NATIVE_MEM, "one memory");

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

struct op_stats {
	unsigned int rows, cells, short_cells;
	unsigned long runs, faults, crossings, differing;
	unsigned int reports;
};

static struct env env;
static struct env before; /* the state that the sample began with */
static struct op_stats stats[INSN_OP_COUNT];
static bool upper_page; /* where PLACE_INSIDE is, for one encoding */
static unsigned int samples_per_cell = SAMPLES;

/* ---- which rows and cells there are ---- */

/*
 * What cannot run here natively: it would change a segment register or needs
 * privileges that no process has, or the kernel emulates it for UMIP.  The
 * other tests have those.
 */
static bool runs_natively(const struct gen_row *g)
{
	const struct native_features *f = &native_features;

	if (g->row->flags & (INSN_LENGTH_ONLY | INSN_IO))
		return false;
	switch (g->row->op) {
	case INSN_OP_MOV_TO_SEG:
	case INSN_OP_POP_SEG:
	case INSN_OP_SGDT:
	case INSN_OP_SIDT:
	case INSN_OP_SLDT:
	case INSN_OP_STR:
	case INSN_OP_SMSW:
		return false;
	case INSN_OP_MOVDIRI:
		return f->movdiri;
	case INSN_OP_MOVBE:
		return f->movbe;
	case INSN_OP_ADCX:
	case INSN_OP_ADOX:
		return f->adx;
	case INSN_OP_POPCNT:
		return f->popcnt;
	case INSN_OP_LZCNT:
		return f->lzcnt;
	case INSN_OP_TZCNT:
	case INSN_OP_ANDN:
	case INSN_OP_BLSR:
	case INSN_OP_BLSMSK:
	case INSN_OP_BLSI:
	case INSN_OP_BEXTR:
		return f->bmi1;
	case INSN_OP_BZHI:
	case INSN_OP_SHLX:
	case INSN_OP_SHRX:
	case INSN_OP_SARX:
	case INSN_OP_RORX:
	case INSN_OP_MULX:
	case INSN_OP_PDEP:
	case INSN_OP_PEXT:
		return f->bmi2;
	}
	return true;
}

static bool emulated(const struct gen_row *g)
{
	/* a row without a handler is one for the decoder only */
	return !(g->row->flags & (INSN_LENGTH_ONLY | INSN_IO)) &&
	       g->row->op != INSN_OP_CRC32;
}

static bool is_string(const struct gen_row *g)
{
	return g->row->flags & INSN_STRING;
}

/* rSP is where the memory is */
static bool is_stack(const struct gen_row *g)
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

/* an operand that reads or writes memory, other than the stack */
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
		return true;
	}
	if (g->row->flags & INSN_PRIVILEGED)
		return false;
	return mem_form || is_string(g) || has_moffs(g);
}

static bool uses_adsize(const struct gen_row *g, bool mem_form)
{
	return mem_form || is_string(g) || has_moffs(g) ||
	       g->row->op == INSN_OP_XLAT || g->row->op == INSN_OP_JCXZ ||
	       g->row->op == INSN_OP_LOOP;
}

/* ---- undefined flags, from the architecture ---- */

static u64 undefined_flags(const struct insn *insn, const struct env *b)
{
	unsigned int bits = 8 * insn->opd[0].size, n;

	switch (insn->op) {
	case INSN_OP_AND:
	case INSN_OP_OR:
	case INSN_OP_XOR:
	case INSN_OP_TEST:
		return FL_AF;
	case INSN_OP_MUL:
	case INSN_OP_IMUL1:
	case INSN_OP_IMUL:
		return FL_SF | FL_ZF | FL_AF | FL_PF;
	case INSN_OP_DIV:
	case INSN_OP_IDIV:
		return FL_ARITH;
	case INSN_OP_DAA:
	case INSN_OP_DAS:
		return FL_OF;
	case INSN_OP_AAA:
	case INSN_OP_AAS:
		return FL_OF | FL_SF | FL_ZF | FL_PF;
	case INSN_OP_AAM:
	case INSN_OP_AAD:
		return FL_OF | FL_AF | FL_CF;
	case INSN_OP_BT:
	case INSN_OP_BTS:
	case INSN_OP_BTR:
	case INSN_OP_BTC:
		return FL_OF | FL_SF | FL_AF | FL_PF;
	case INSN_OP_BSF:
	case INSN_OP_BSR:
		return FL_ARITH & ~FL_ZF;
	case INSN_OP_TZCNT:
	case INSN_OP_LZCNT:
		return FL_OF | FL_SF | FL_AF | FL_PF;
	case INSN_OP_ANDN:
	case INSN_OP_BLSR:
	case INSN_OP_BLSMSK:
	case INSN_OP_BLSI:
	case INSN_OP_BZHI:
		return FL_AF | FL_PF;
	case INSN_OP_BEXTR:
		return FL_AF | FL_PF | FL_SF;
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

	/* shifts and rotates: it depends on the count */
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
		return n == 1 ? 0 : FL_OF;
	case INSN_OP_SHLD:
	case INSN_OP_SHRD:
		if (n > bits)
			return FL_ARITH;
		return FL_AF | (n == 1 ? 0 : FL_OF);
	}
	return FL_AF | (n == 1 ? 0 : FL_OF) |
	       (n > bits || (n == bits && insn->op != INSN_OP_SAR) ? FL_CF : 0);
}

/* Is the result itself undefined? */
static bool undefined_result(const struct insn *insn, const struct env *b)
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

/* ---- one sample ---- */

static u64 data_base(const struct cell *cell)
{
	return cell->small ? NATIVE_DATA16 : 0;
}

static u64 mask_of(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

/* A linear address for an operand of that many bytes. */
static u64 pick_address(enum place place, unsigned int bytes)
{
	if (!bytes)
		bytes = 1;
	switch (place) {
	case PLACE_CROSSING:
		return NATIVE_MIDDLE - 1 -
		       unit_below(bytes > 1 ? bytes - 1 : 1);
	case PLACE_FAULT:
		/* beyond either end, and across the upper one */
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
		/* small numbers and edges find more than noise does */
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
	e->c.rflags = FL_FIXED | (unit_random() &
				  (FL_ARITH | (unit_below(2) ? FL_DF : 0)));
}

static void random_memory(struct env *e)
{
	unsigned int i;
	u64 v;

	for (i = 0; i < WINDOW_BYTES; i += 8) {
		v = unit_random();
		memcpy(e->mem + WINDOW_AT + i, &v, 8);
	}
}

static void random_vectors(struct env *e)
{
	unsigned int i, j;

	for (i = 0; i < 16; i++)
		for (j = 0; j < 32; j++)
			e->vec[i][j] = unit_random();
	for (i = 0; i < 8; i++)
		e->mmx[i] = unit_random();
}

static u64 seg_base(const struct insn *insn, const struct cell *cell)
{
	return insn->seg == INSN_SEG_GS ? NATIVE_GS_BASE : data_base(cell);
}

/* Bend base or index so that the operand comes to lie at the offset. */
static bool aim(const struct insn *insn, u64 *regs, u64 rip, u64 off)
{
	u64 mask = mask_of(insn->adsize), delta;
	unsigned int f = 0;

	off &= mask;
	delta = (off - vigil_insn_ea(insn, regs, rip)) & mask;
	if (!delta)
		return true;
	/* signed, so that divisions by the scale have a chance */
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
	for (i = 0; i < 3; i++)
		if (insn->opd[i].kind == INSN_OPD_MEM)
			return insn->opd[i].size;
	return 1;
}

/* Register values that make the operation interesting, before aiming. */
static void prepare(struct env *e, const struct cell *cell)
{
	const struct insn *insn = &e->c.insn;
	u64 *regs = e->c.regs;
	unsigned int bytes = insn->opsize, r;

	switch (insn->op) {
	case INSN_OP_DIV:
	case INSN_OP_IDIV:
		/* most quotients would overflow, and a fault takes long */
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
	case INSN_OP_LOOP:
	case INSN_OP_JCXZ:
		if (unit_below(2))
			regs[INSN_RCX] =
				(regs[INSN_RCX] & ~mask_of(insn->adsize)) |
				unit_below(2);
		break;
	}
	(void)cell;
}

static void aim_register(u64 *r, u64 off, unsigned int bytes)
{
	*r = (*r & ~mask_of(bytes)) | (off & mask_of(bytes));
}

/* Equal strings, so that REPE gets somewhere. */
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

/* How far beyond the operand a bit number in a register reaches. */
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

/* All memory operands into place; false: not with these registers. */
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

	if (is_stack(g))
		place_stack(e, cell, stack);
	if (insn->op == INSN_OP_XLAT) {
		la = pick_address(cell->place, 1);
		aim_register(&regs[INSN_RBX], la - base - (u8)regs[INSN_RAX],
			     insn->adsize);
		return true;
	}
	if (is_string(g)) {
		u64 dst = pick_address(cell->place, bytes);

		la = pick_address(cell->place, bytes);
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
	if (insn->flags & INSN_ALIGNED && cell->place == PLACE_INSIDE &&
	    unit_below(16))
		la &= -(u64)bytes;
	if (insn->op == INSN_OP_CMPXCHG8B && unit_below(16) &&
	    cell->place == PLACE_INSIDE)
		la &= -(u64)bytes;
	return aim(insn, regs, rip, la - base - bit_distance(e));
}

static bool addresses(const struct insn *insn, unsigned int reg)
{
	return insn->base == reg || insn->index == reg;
}

/* What memory must hold for the operation to come to something. */
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

static void show(const char *what, const struct env *e, u64 rip)
{
	unsigned int i;

	printf("#   %-8s", what);
	for (i = 0; i < 16; i++)
		printf("%s%s%016llx", i && i % 4 == 0 ? "\n#           " : "",
		       i % 4 ? " " : "", (unsigned long long)e->c.regs[i]);
	printf(" fl %llx rip %llx\n", (unsigned long long)e->c.rflags,
	       (unsigned long long)rip);
}

static void report(const struct cell *cell, const char *what, int ret,
		   u64 native_end)
{
	const struct insn *insn = &env.c.insn;
	struct env n = { 0 };
	unsigned int i;

	if (stats[insn->op].reports++ >= 3)
		return;
	printf("# %s %u-bit op %u ad %u place %d: %s differs; bytes",
	       vigil_insn_op_name(insn->op), cell->g.mode, cell->g.opsize,
	       cell->g.adsize, cell->place, what);
	for (i = 0; i < insn->len; i++)
		printf(" %02x", insn->bytes[i]);
	printf("; emulator %d vector %u error %x cr2 %llx, CPU vector %d error %x cr2 %llx\n",
	       ret, env.c.exception.vector, env.c.exception.error_code,
	       (unsigned long long)env.c.exception.cr2,
	       native_fault.happened ? native_fault.vector : -1,
	       native_fault.error_code, (unsigned long long)native_fault.cr2);
	memcpy(n.c.regs, native.regs, sizeof(n.c.regs));
	n.c.rflags = native.rflags;
	show("before", &before, before.c.rip);
	show("emulator", &env, env.c.rip);
	show("CPU", &n, native_end);
	for (i = 0; i < NATIVE_MEM_BYTES; i++) {
		u8 *m = (u8 *)NATIVE_MEM;

		if (m[i] != env.mem[i]) {
			printf("#   memory at +%x: before %02x emulator %02x CPU %02x\n",
			       i, before.mem[i], env.mem[i], m[i]);
			break;
		}
	}
}

/* What differs, or NULL. */
static const char *compare(const struct cell *cell, int ret, u64 *native_end)
{
	const struct insn *insn = &env.c.insn;
	u64 mask = cell->g.mode == INSN_MODE_64 ? ~0ull : 0xffffffffull;
	u64 flags = ~undefined_flags(insn, &before);
	const u8 *mem = (const u8 *)WINDOW;
	unsigned int i;

	*native_end = native_rip(cell->g.mode);
	if ((ret == EMUL_FAULT) != native_fault.happened)
		return "fault";
	if (native_fault.happened) {
		const struct emul_exception *x = &env.c.exception;

		if (x->vector != native_fault.vector)
			return "vector";
		if (x->vector == NATIVE_PF &&
		    (x->cr2 != native_fault.cr2 ||
		     (x->error_code ^ native_fault.error_code) & 7))
			return "page fault";
		if (x->vector != NATIVE_PF && x->has_ec &&
		    x->error_code != native_fault.error_code)
			return "error code";
		flags = ~0ull;
	} else if (ret != EMUL_OK) {
		return "status";
	} else {
		*native_end += native.taken ? NATIVE_TAKEN : insn->len;
		if (env.c.more)
			return "end of repetition";
	}
	if (env.c.rip != *native_end)
		return "rip";
	if ((env.c.rflags ^ native.rflags) & flags)
		return "rflags";
	if (memcmp(mem, env.mem + WINDOW_AT, WINDOW_BYTES))
		return "memory";
	for (i = 0; i < 16; i++)
		if ((env.c.regs[i] ^ native.regs[i]) & mask)
			return "register";
	if (insn->flags & INSN_VECTOR &&
	    (memcmp(env.vec, native.vec, sizeof(env.vec)) ||
	     memcmp(env.mmx, native.mmx, sizeof(env.mmx))))
		return "vector register";
	return NULL;
}

static bool in_place(const struct cell *cell, int ret)
{
	u64 lo = WINDOW, hi = WINDOW + WINDOW_BYTES;

	if (cell->place == PLACE_FAULT)
		return ret == EMUL_FAULT;
	if (ret == EMUL_FAULT && env.c.exception.vector == NATIVE_PF)
		return false;
	if (env.highest && (env.lowest < lo || env.highest > hi))
		return false;
	if (cell->place == PLACE_CROSSING) {
		/* an alignment fault comes before the crossing is seen */
		if (ret == EMUL_FAULT)
			return true;
		return env.highest && env.lowest < NATIVE_MIDDLE &&
		       env.highest > NATIVE_MIDDLE;
	}
	return !env.highest || env.lowest >= NATIVE_MIDDLE ||
	       env.highest <= NATIVE_MIDDLE;
}

/* Emulator first: it tells whether the sample is one of this cell. */
static bool run_sample(const struct gen_row *g, const struct cell *cell,
		       struct op_stats *st)
{
	const char *diff;
	u64 native_end;
	int ret;

	random_state(&env);
	env.c.rip = native_rip(cell->g.mode);
	prepare(&env, cell);
	if (!place_operands(&env, g, cell))
		return false;
	prepare_memory(&env, cell);
	if (undefined_result(&env.c.insn, &env))
		return false;
	memcpy(&before, &env, sizeof(env));

	env_begin(&env);
	env.c.rep_budget = 16;
	ret = vigil_emulate(&env.c, &env_ops);
	if (!in_place(cell, ret)) {
		memcpy(env.mem, before.mem, sizeof(env.mem));
		memcpy(env.vec, before.vec, sizeof(env.vec));
		memcpy(env.mmx, before.mmx, sizeof(env.mmx));
		return false;
	}

	memcpy((u8 *)WINDOW, before.mem + WINDOW_AT, WINDOW_BYTES);
	memcpy(native.regs, before.c.regs, sizeof(native.regs));
	native.rflags = before.c.rflags;
	if (env.c.insn.flags & INSN_VECTOR) {
		memcpy(native.vec, before.vec, sizeof(native.vec));
		memcpy(native.mmx, before.mmx, sizeof(native.mmx));
	}
	native_run(cell->g.mode, cell->small, env.c.insn.len);

	st->runs++;
	st->faults += native_fault.happened;
	st->crossings += cell->place == PLACE_CROSSING;
	diff = compare(cell, ret, &native_end);
	if (diff) {
		st->differing++;
		report(cell, diff, ret, native_end);
		memcpy(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));
	}
	return true;
}

/* ---- one cell ---- */

static void put_le(u8 *p, u64 v, unsigned int n)
{
	memcpy(p, &v, n);
}

/* Branches go to the landing, lone displacements to the memory. */
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

static void run_cell(const struct gen_row *g, const struct cell *cell)
{
	struct op_stats *st = &stats[g->row->op];
	unsigned int want = cell->place == PLACE_FAULT ? FAULT_SAMPLES :
							 samples_per_cell;
	unsigned int done = 0, tries, i;
	struct gen_insn gi;

	env_init(&env, cell->g.mode);
	for (i = 0; i < 6; i++) {
		env.seg[i].sel = native_selector(cell->g.mode, cell->small, i);
		if (cell->small && (i == INSN_SEG_DS || i == INSN_SEG_ES ||
				    i == INSN_SEG_SS)) {
			env.seg[i].base = NATIVE_DATA16;
			env.seg[i].limit = 0xffff;
			env.seg[i].attr &= ~(EMUL_SEG_DB | EMUL_SEG_G);
		}
	}
	if (cell->g.mode == INSN_MODE_16)
		env.seg[INSN_SEG_CS].base = NATIVE_CODE;
	env.seg[INSN_SEG_GS].base = NATIVE_GS_BASE;
	env.seg[INSN_SEG_GS].limit = 0xffffffff;
	random_vectors(&env);
	memcpy(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));

	for (tries = 0; done < want && tries < 4 * want; tries++) {
		if (!gen_encode(g, &cell->g, &gi))
			return;
		upper_page = unit_below(2);
		fix_encoding(g, cell, &gi);
		if (vigil_decode(&env.c.insn, gi.bytes, gi.len, cell->g.mode) ||
		    env.c.insn.op != g->row->op || env.c.insn.len != gi.len) {
			printf("# decoder and generator disagree on %s\n",
			       vigil_insn_op_name(g->row->op));
			st->differing++;
			return;
		}
		memcpy(native_code(), gi.bytes, gi.len);
		random_memory(&env);
		for (i = 0; i < STATES && done < want; i++)
			done += run_sample(g, cell, st);
	}
	st->cells++;
	/* all of memory, once: a stray store would be outside of the window */
	if (memcmp(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem))) {
		st->differing++;
		report(cell, "memory far away", EMUL_OK, 0);
	}
	if (done < want) {
		st->short_cells++;
		printf("# %s %u-bit op %u ad %u place %d prefix %x opcode %x mem %d: only %u samples\n",
		       vigil_insn_op_name(g->row->op), cell->g.mode,
		       cell->g.opsize, cell->g.adsize, cell->place,
		       cell->g.prefix, g->opcode, cell->g.mem, done);
	}
}

/* ---- the cells of a row ---- */

static bool cell_makes_sense(const struct gen_row *g, const struct cell *cell)
{
	const struct gen_cell *c = &cell->g;
	bool touches = touches_memory(g, c->mem);
	struct gen_insn gi;

	if (!gen_encode(g, c, &gi))
		return false;
	/* undefined */
	if (g->row->op == INSN_OP_BSWAP && c->opsize == 2)
		return false;
	/* a branch with 16-bit operand size leaves for the first 64K */
	if (g->row->flags & INSN_BRANCH && c->mode == INSN_MODE_32 &&
	    c->opsize == 2)
		return false;
	/* the data must be within the address size */
	if (c->mode == INSN_MODE_64 && c->adsize == 2)
		return false;
	if (!uses_adsize(g, c->mem) &&
	    c->adsize != (c->mode == INSN_MODE_64 ? 8 :
			  c->mode == INSN_MODE_32 ? 4 :
						    2))
		return false;
	switch (cell->place) {
	case PLACE_NONE:
		return !touches && !is_stack(g);
	case PLACE_INSIDE:
		return touches || is_stack(g);
	case PLACE_CROSSING:
		/* one byte cannot cross, a string of bytes can */
		if (!touches && !is_stack(g))
			return false;
		if (g->row->op == INSN_OP_XLAT)
			return false;
		if (!is_stack(g) &&
		    (g->row->spec[0] == SPEC_Eb || g->row->spec[1] == SPEC_Eb ||
		     gen_has_spec(g, SPEC_Ob, SPEC_Ob)))
			return false;
		if (is_string(g) && gen_has_spec(g, SPEC_Xb, SPEC_Yb) &&
		    g->row->spec[0] != SPEC_Yv && g->row->spec[1] != SPEC_Yv &&
		    g->row->spec[0] != SPEC_Xv && g->row->spec[1] != SPEC_Xv)
			return false;
		/* a PUSH of an odd size is of memory, then that is crossing */
		return true;
	case PLACE_FAULT:
		return touches && !is_stack(g) &&
		       !(c->prefix & (INSN_PFX_REP | INSN_PFX_REPNE));
	}
	return false;
}

static void run_prefixes(const struct gen_row *g, struct cell *cell)
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
		if (p & (INSN_PFX_REP | INSN_PFX_REPNE) && !is_string(g))
			continue;
		cell->g.prefix = p;
		for (place = PLACE_INSIDE; place <= PLACE_NONE; place++) {
			cell->place = place;
			if (cell_makes_sense(g, cell))
				run_cell(g, cell);
		}
	}
}

static void run_row(const struct gen_row *g)
{
	static const enum insn_mode modes[] = { INSN_MODE_64, INSN_MODE_32,
						INSN_MODE_16 };
	static const u8 sizes[] = { 2, 4, 8 };
	struct cell cell = { 0 };
	unsigned int m, o, a, mem;

	stats[g->row->op].rows++;
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		if (!native_mode_available(modes[m]))
			continue;
		cell.g.mode = modes[m];
		for (o = 0; o < 3; o++) {
			for (a = 0; a < 3; a++) {
				for (mem = 0; mem < 2; mem++) {
					cell.g.opsize = sizes[o];
					cell.g.adsize = sizes[a];
					if (sizes[a] == 8 && modes[m] != 64)
						continue;
					if (sizes[o] == 8 && modes[m] != 64)
						continue;
					cell.g.mem = mem;
					if (mem ? !gen_can_mem(g) :
						  gen_has_modrm(g) &&
							    !gen_can_reg(g))
						continue;
					cell.small = modes[m] == 16 ||
						     (modes[m] == 32 &&
						      sizes[a] == 2);
					run_prefixes(g, &cell);
				}
			}
		}
	}
}

static void results(double seconds)
{
	unsigned long runs = 0;
	unsigned int op;

	printf("# %-12s %5s %6s %10s %10s %9s %6s\n", "operation", "rows",
	       "cells", "runs", "crossing", "faults", "differ");
	for (op = 0; op < INSN_OP_COUNT; op++) {
		const struct op_stats *s = &stats[op];

		if (!s->rows)
			continue;
		printf("# %-12s %5u %6u %10lu %10lu %9lu %6lu\n",
		       vigil_insn_op_name(op), s->rows, s->cells, s->runs,
		       s->crossings, s->faults, s->differing);
		runs += s->runs;
	}
	printf("# %lu runs in %.0f s\n", runs, seconds);
	for (op = 0; op < INSN_OP_COUNT; op++) {
		const struct op_stats *s = &stats[op];

		if (s->rows)
			unit_result(
				!s->differing && !s->short_cells && s->cells,
				"native: %s in %u cells, every one sampled %u times",
				vigil_insn_op_name(op), s->cells,
				samples_per_cell);
	}
}

int main(int argc, char **argv)
{
	static struct gen_row rows[MAX_ROWS];
	const char *why = native_init();
	struct timespec t0, t1;
	unsigned int n, i;

	if (why) {
		unit_skip("native", why);
		return unit_end();
	}
	if (getenv("UNIT_SEED"))
		unit_rng ^= strtoull(getenv("UNIT_SEED"), NULL, 0) | 1;
	if (getenv("UNIT_SAMPLES"))
		samples_per_cell = strtoul(getenv("UNIT_SAMPLES"), NULL, 0);
	if (!native_mode_available(INSN_MODE_16))
		unit_skip("native: 16-bit code", "modify_ldt() is refused");

	clock_gettime(CLOCK_MONOTONIC, &t0);
	n = gen_rows(rows, MAX_ROWS);
	for (i = 0; i < n; i++) {
		/* "native_test MOV" is for hunting a difference */
		if (argc > 1 &&
		    strcmp(argv[1], vigil_insn_op_name(rows[i].row->op)))
			continue;
		if (emulated(&rows[i]) && runs_natively(&rows[i]))
			run_row(&rows[i]);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	results((t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec));
	return unit_end();
}
