// SPDX-License-Identifier: GPL-2.0
/*
 * Takes every row of the decoder's tables, in every mode, operand size, address
 * size and with every prefix that it takes, with and without a page crossing.
 * The CPU and the emulator run the same instruction from the same random state.
 * Registers, flags, memory, vector registers and faults must be the same.
 */
#include <stdlib.h>
#include <time.h>

#include "rng.h"
#include "sample.h"
#include "unit.h"

#define SAMPLES 1000
#define FAULT_SAMPLES 24
#define SPLIT_LOCKS 1
#define CACHE_LINE 64
#define STATES 8 /* register states for one encoding */
#define MAX_ROWS 2048

struct op_stats {
	unsigned int rows, cells, short_cells;
	unsigned long runs, faults, crossings, differing;
	unsigned long other_first; /* faults of the operand that is read later */
	unsigned int reports;
};

static struct env env;
static struct env before; /* the state that the sample began with */
static struct op_stats stats[INSN_OP_COUNT];
static unsigned int samples_per_cell = SAMPLES;

/* ---- which rows and cells there are ---- */

/*
 * These rows cannot run natively: they would change a segment register, need
 * privileges that no process has, or are emulated by the kernel for UMIP. The
 * other tests have them.
 */
static bool runs_natively(const struct gen_row *g)
{
	const struct native_features *f = &native_features;

	if (g->row->flags & (INSN_LENGTH_ONLY | INSN_IO))
		return false;
	switch (g->row->op) {
	case INSN_OP_MOV_TO_SEG:
	case INSN_OP_LDS:
	case INSN_OP_POP_SEG:
	case INSN_OP_JMP_FAR:
	case INSN_OP_CALL_FAR:
	case INSN_OP_RET_FAR:
	case INSN_OP_IRET:
	case INSN_OP_INT:
	case INSN_OP_INT3:
	case INSN_OP_INTO:
	case INSN_OP_INT1:
	case INSN_OP_SYSCALL:
	case INSN_OP_SYSENTER:
	case INSN_OP_LLDT:
	case INSN_OP_LTR:
	case INSN_OP_SGDT:
	case INSN_OP_SIDT:
	case INSN_OP_SLDT:
	case INSN_OP_STR:
	case INSN_OP_SMSW:
		return false;
	/* The pointers in the environment would be those of another instruction. */
	case INSN_OP_FNSTENV:
	case INSN_OP_FNSAVE:
	case INSN_OP_FLDENV:
	case INSN_OP_FRSTOR:
		return false;
	case INSN_OP_XSAVE:
		if (g->opcode == 0xc7)
			return g->reg == 4 ? f->xsavec : f->xsaves;
		return g->reg == 4 || f->xsaveopt;
	case INSN_OP_VSTORE:
	case INSN_OP_VNARROW:
	case INSN_OP_VCOMPRESS:
	case INSN_OP_VSCATTER:
	case INSN_OP_KSTORE:
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
	case INSN_OP_CRC32:
		return f->sse42;
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

/* ---- one cell ---- */

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

static bool same_error(const struct emul_exception *x)
{
	return x->vector == native_fault.vector &&
	       !((x->error_code ^ native_fault.error_code) & 7);
}

static bool same_page_fault(const struct emul_exception *x)
{
	return same_error(x) && x->cr2 == native_fault.cr2;
}

/*
 * The manuals leave open at which of its bytes FXSAVE or XSAVE faults. AMD's
 * CPUs begin FXSAVE at the last one.
 */
static bool faults_elsewhere_in_operand(const struct cell *cell)
{
	u64 la = native_fault.cr2;

	return (before.c.insn.op == INSN_OP_FXSAVE ||
		before.c.insn.op == INSN_OP_XSAVE) &&
	       same_error(&env.c.exception) && !env_mem(&env, la, 1) &&
	       sample_in_operand(&before, cell, la);
}

/*
 * The manuals leave open which of its two operands CMPS loads first. The
 * emulator and Intel's CPUs begin at rSI, AMD's (family 25) at rDI. So where
 * the emulator has the fault of rSI, the CPU may have that of rDI, if there is
 * one. SCAS makes only that load, and so finds it.
 */
static bool faults_at_destination(void)
{
	static struct env scas;

	if (before.c.insn.op != INSN_OP_CMPS)
		return false;
	memcpy(&scas, &before, sizeof(scas));
	env_begin(&scas);
	scas.c.insn.op = INSN_OP_SCAS;
	return vigil_emulate(&scas.c, &env_ops) == EMUL_FAULT &&
	       same_page_fault(&scas.c.exception);
}

/*
 * In 64-bit mode, with addresses of 32 bits and a count of 0, a repeated instruction does
 * nothing; but Intel's CPUs clear the upper half of RCX, and of the RSI and RDI of some.
 */
static bool halves_differ(const struct cell *cell, unsigned int reg)
{
	const struct insn *insn = &before.c.insn;
	u64 had = before.c.regs[reg];

	return cell->g.mode == INSN_MODE_64 && insn->adsize == 4 &&
	       insn->flags & INSN_STRING &&
	       insn->prefix & (INSN_PFX_REP | INSN_PFX_REPNE) &&
	       !(u32)before.c.regs[INSN_RCX] &&
	       (reg == INSN_RCX || reg == INSN_RSI || reg == INSN_RDI) &&
	       native.regs[reg] == (u32)had;
}

/*
 * The manuals let a store of 80 bits be more than one: some of Intel's CPUs store the part
 * in the first page before they fault at the second. The emulator stores nothing.
 */
static void take_partial_store(const struct cell *cell, int ret)
{
	u64 page = native_fault.cr2 & ~0xfffull, la;
	u8 *byte;

	if (before.c.insn.op != INSN_OP_FST || ret != EMUL_FAULT ||
	    !native_fault.happened || native_fault.vector != NATIVE_PF)
		return;
	for (la = page - 9; la < page; la++) {
		byte = env_mem(&env, la, 1);
		if (byte && sample_in_operand(&before, cell, la))
			*byte = ((u8 *)NATIVE_MEM)[byte - env.mem];
	}
}

/*
 * A near branch with a 16-bit operand leads to the first 64K, where nothing is mapped: the
 * fetch there faults, and the branch is done.
 */
static bool left_code(const struct insn *insn)
{
	return insn->flags & INSN_BRANCH && insn->opsize == 2 &&
	       native_fault.happened && native_fault.vector == NATIVE_PF &&
	       native_fault.cr2 == native_fault.rip;
}

/* Returns what differs, or NULL. */
static const char *compare(const struct cell *cell, int ret,
			   struct op_stats *st, u64 *native_end)
{
	const struct insn *insn = &env.c.insn;
	u64 mask = cell->g.mode == INSN_MODE_64 ? ~0ull : 0xffffffffull;
	u64 flags = ~sample_undefined_flags(insn, &before);
	const u8 *mem = (const u8 *)WINDOW;
	bool left = left_code(insn), faulted = native_fault.happened && !left;
	unsigned int i;

	*native_end = native_rip(cell->g.mode);
	if ((ret == EMUL_FAULT) != faulted)
		return "fault";
	if (faulted) {
		const struct emul_exception *x = &env.c.exception;

		if (x->vector != native_fault.vector)
			return "vector";
		if (x->vector == NATIVE_PF && !same_page_fault(x)) {
			if (faults_at_destination())
				st->other_first++;
			else if (!faults_elsewhere_in_operand(cell))
				return "page fault";
		}
		if (x->vector != NATIVE_PF && x->has_ec &&
		    x->error_code != native_fault.error_code)
			return "error code";
		if (native_fault.rip != *native_end)
			return "rip of the fault";
		flags = ~0ull;
	} else if (ret != EMUL_OK) {
		return "status";
	} else {
		*native_end += native.taken ? NATIVE_TAKEN : insn->len;
		if (left)
			*native_end = native_fault.rip;
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
		if ((env.c.regs[i] ^ native.regs[i]) & mask &&
		    !halves_differ(cell, i))
			return "register";
	if (insn->flags & INSN_VECTOR &&
	    (memcmp(env.vec, native.vec, sizeof(env.vec)) ||
	     memcmp(env.mmx, native.mmx, sizeof(env.mmx))))
		return "vector register";
	return NULL;
}

static bool is_locked(const struct insn *insn)
{
	return insn->prefix & INSN_PFX_LOCK ||
	       (insn->op == INSN_OP_XCHG && insn->has_mem);
}

/*
 * A locked access to two cache lines takes 10 to 100 ms where the host, or a hypervisor
 * below it, limits such accesses. So a cell has no more than SPLIT_LOCKS.
 */
static bool splits_lock(void)
{
	return env.highest && is_locked(&env.c.insn) &&
	       env.lowest / CACHE_LINE != (env.highest - 1) / CACHE_LINE;
}

static unsigned int samples_wanted(const struct cell *cell)
{
	if (cell->place == PLACE_FAULT)
		return FAULT_SAMPLES;
	return cell->place == PLACE_CROSSING && is_locked(&env.c.insn) ?
		       SPLIT_LOCKS :
		       samples_per_cell;
}

/*
 * Runs the emulator first, because it tells whether the sample belongs to this
 * cell.
 */
static bool run_sample(const struct gen_row *g, const struct cell *cell,
		       struct op_stats *st, unsigned int *splits)
{
	const char *diff;
	u64 native_end;
	int ret;

	if (!sample_state(&env, g, cell))
		return false;
	memcpy(&before, &env, sizeof(env));

	env_begin(&env);
	env.c.rep_budget = 16;
	ret = vigil_emulate(&env.c, &env_ops);
	if (!sample_in_place(&env, cell, ret) ||
	    (splits_lock() && (*splits)++ >= SPLIT_LOCKS)) {
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
	take_partial_store(cell, ret);
	st->faults += native_fault.happened;
	st->crossings += cell->place == PLACE_CROSSING;
	diff = compare(cell, ret, st, &native_end);
	if (diff) {
		st->differing++;
		report(cell, diff, ret, native_end);
		memcpy(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));
	}
	return true;
}

static void run_cell(const struct gen_row *g, const struct cell *cell)
{
	struct op_stats *st = &stats[g->row->op];
	unsigned int done = 0, want = samples_per_cell, splits = 0, tries, i;
	struct gen_insn gi;

	sample_env(&env, cell);
	env.c.features |= native_features.emulator;
	for (i = 0; i < 6; i++)
		env.seg[i].sel = native_selector(cell->g.mode, cell->small, i);
	sample_vectors(&env);
	memcpy(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));

	for (tries = 0; done < want && tries < 4 * want; tries++) {
		if (!sample_insn(&env, g, cell, &gi)) {
			printf("# decoder and generator disagree on %s\n",
			       vigil_insn_op_name(g->row->op));
			st->differing++;
			return;
		}
		want = samples_wanted(cell);
		memcpy(native_code(), gi.bytes, gi.len);
		sample_memory(&env);
		if (g->row->flags & INSN_VECTOR)
			sample_vectors(&env);
		for (i = 0; i < STATES && done < want; i++)
			done += run_sample(g, cell, st, &splits);
	}
	st->cells++;
	/*
	 * Compare all of memory once: a stray store would be outside of the
	 * window.
	 */
	if (memcmp(env.mem, (u8 *)NATIVE_MEM, WINDOW_AT) ||
	    memcmp(env.mem + WINDOW_AT + WINDOW_BYTES,
		   (u8 *)WINDOW + WINDOW_BYTES,
		   ENV_BYTES - WINDOW_AT - WINDOW_BYTES)) {
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

static void run_row(const struct gen_row *g)
{
	static const enum insn_mode modes[] = { INSN_MODE_64, INSN_MODE_32,
						INSN_MODE_16 };
	unsigned int m;

	stats[g->row->op].rows++;
	for (m = 0; m < ARRAY_SIZE(modes); m++)
		if (native_mode_available(modes[m]))
			sample_cells(g, modes[m], run_cell);
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
	if (stats[INSN_OP_CMPS].other_first)
		printf("# CMPS begins at rDI on this CPU: %lu faults\n",
		       stats[INSN_OP_CMPS].other_first);
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
	unit_seed();
	if (getenv("UNIT_SAMPLES"))
		samples_per_cell = strtoul(getenv("UNIT_SAMPLES"), NULL, 0);
	if (!native_mode_available(INSN_MODE_16))
		unit_skip("native: 16-bit code", "modify_ldt() is refused");

	clock_gettime(CLOCK_MONOTONIC, &t0);
	n = gen_rows(rows, MAX_ROWS);
	for (i = 0; i < n; i++) {
		/*
		 * `native_test MOV' runs one operation, to find a difference.
		 */
		if (argc > 1 &&
		    strcmp(argv[1], vigil_insn_op_name(rows[i].row->op)))
			continue;
		/*
		 * One operation alone gets the same samples as in a run of all.
		 */
		unit_restart(i);
		if (sample_emulated(&rows[i]) && runs_natively(&rows[i]))
			run_row(&rows[i]);
	}
	for (i = 0; i < n; i++)
		if (sample_emulated(&rows[i]) && !runs_natively(&rows[i]))
			printf("# not here: %s, map %u opcode %02x\n",
			       vigil_insn_op_name(rows[i].row->op), rows[i].map,
			       rows[i].opcode);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	results((t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec));
	return unit_end();
}
