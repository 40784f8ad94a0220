// SPDX-License-Identifier: GPL-2.0
/*
 * Goes to userspace and back in the middle of an instruction, and refuses
 * stores as a monitor does. For every row that touches memory, a transaction
 * that pends must not change the outcome, and no store may happen twice. A
 * denied store must leave registers and flags as if it had been done.
 */
#include "rng.h"
#include "sample.h"
#include "unit.h"

#define MAX_ROWS 2048
#define SAMPLES 6 /* per cell */
#define MAX_STEPS 400 /* transactions of one instruction, REP included */

struct outcome {
	struct emul_state st;
	u8 mem[ENV_BYTES];
	u8 vec[16][32];
	u64 mmx[8];
	int ret;
	struct emul_exception exception;
	unsigned int reads, writes, exchanges, probes;
};

static struct env env, before;
static unsigned long pended, denied, differing, cells, samples;
static unsigned int reports;

static void fail(const char *what)
{
	const struct insn *insn = &env.c.insn;
	unsigned int i;

	differing++;
	if (reports++ >= 20)
		return;
	printf("# %s: %s; %u-bit, bytes", what, vigil_insn_op_name(insn->op),
	       insn->mode);
	for (i = 0; i < insn->len; i++)
		printf(" %02x", insn->bytes[i]);
	printf("\n");
}

static void take(struct outcome *o, int ret)
{
	o->st = env.c.st;
	memcpy(o->mem, env.mem, sizeof(o->mem));
	memcpy(o->vec, env.vec, sizeof(o->vec));
	memcpy(o->mmx, env.mmx, sizeof(o->mmx));
	o->ret = ret;
	o->exception = env.c.exception;
	o->reads = env.reads;
	o->writes = env.writes;
	o->exchanges = env.exchanges;
	o->probes = env.probes;
}

static void start(void)
{
	memcpy(&env, &before, sizeof(env));
	env_begin(&env);
	env.c.rep_budget = 16;
}

/* Does what the core does with a pending transaction, in userspace's stead. */
static bool answer(void)
{
	const struct emul_pending *p = &env.c.pending;
	u8 *m = env_mem(&env, p->la, p->bytes), data[EMUL_MAX_ACCESS];

	if (!m)
		return false;
	memcpy(data, m, p->bytes);
	switch (p->type) {
	case EMUL_XACT_READ:
		env.reads++;
		break;
	case EMUL_XACT_WRITE:
		env.writes++;
		memcpy(m, p->data, p->bytes);
		break;
	case EMUL_XACT_CMPXCHG:
		env.exchanges++;
		if (!memcmp(m, p->old, p->bytes))
			memcpy(m, p->data, p->bytes);
		break;
	case EMUL_XACT_PROBE:
		env.probes++;
		break;
	default:
		return false;
	}
	return !vigil_emul_complete(&env.c, data);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->ret == b->ret && !memcmp(&a->st, &b->st, sizeof(a->st)) &&
	       !memcmp(a->mem, b->mem, sizeof(a->mem)) &&
	       !memcmp(a->vec, b->vec, sizeof(a->vec)) &&
	       !memcmp(a->mmx, b->mmx, sizeof(a->mmx)) &&
	       a->exception.vector == b->exception.vector &&
	       a->exception.cr2 == b->exception.cr2 && a->reads == b->reads &&
	       a->writes == b->writes && a->exchanges == b->exchanges &&
	       a->probes == b->probes;
}

/* Pends at transaction @first; with @again, also at every one after that. */
static unsigned int run_pending(int first, bool again, struct outcome *o)
{
	unsigned int n = 0;
	struct emul_state committed;
	int ret;

	start();
	env.pend_at = first;
	for (;;) {
		committed = env.c.st;
		ret = vigil_emulate(&env.c, &env_ops);
		if (ret != EMUL_PENDING)
			break;
		/*
		 * A REP may have committed whole iterations. Nothing else is
		 * committed while it pends.
		 */
		if (!(env.c.insn.flags & INSN_STRING) &&
		    memcmp(&committed, &env.c.st, sizeof(committed)))
			fail("state committed while pending");
		if (env.c.rip != before.c.rip)
			fail("rip moved while pending");
		if (++n > MAX_STEPS || !answer()) {
			fail("no end of pending");
			break;
		}
		env.pend_at = again ? 0 : -1;
	}
	take(o, ret);
	return n;
}

static void check_pending(const struct outcome *base)
{
	unsigned int total =
		base->reads + base->writes + base->exchanges + base->probes;
	static struct outcome o;
	unsigned int i;

	for (i = 0; i < total; i++) {
		if (run_pending(i, false, &o) != 1 || !same(base, &o))
			fail("one pending transaction");
		pended++;
	}
	if (run_pending(0, true, &o) != total || !same(base, &o))
		fail("all transactions pending");
	pended += total;
}

static void check_denied(const struct outcome *base)
{
	static struct outcome o;

	if (!base->writes && !base->exchanges)
		return;
	start();
	env.deny = true;
	take(&o, vigil_emulate(&env.c, &env_ops));
	denied++;
	if (o.ret != base->ret || memcmp(&o.st, &base->st, sizeof(o.st)))
		fail("registers after a denied store");
	if (memcmp(o.mem, before.mem, sizeof(o.mem)))
		fail("memory after a denied store");
}

static void run_cell(const struct gen_row *g, const struct cell *cell)
{
	static struct outcome base;
	struct gen_insn gi;
	unsigned int i, done = 0;
	int ret;

	if (cell->place == PLACE_NONE)
		return;
	cells++;
	sample_env(&env, cell);
	for (i = 0; i < 40 * SAMPLES && done < SAMPLES; i++) {
		sample_memory(&env);
		sample_vectors(&env);
		if (!sample_insn(&env, g, cell, &gi) ||
		    !sample_state(&env, g, cell))
			continue;
		memcpy(&before, &env, sizeof(before));
		start();
		ret = vigil_emulate(&env.c, &env_ops);
		take(&base, ret);
		if (!sample_in_place(&env, cell, ret)) {
			memcpy(env.mem, before.mem, sizeof(env.mem));
			continue;
		}
		done++;
		check_pending(&base);
		if (ret == EMUL_OK)
			check_denied(&base);
	}
	samples += done;
	if (!done)
		fail("no sample");
}

static void test_rows(void)
{
	static const enum insn_mode modes[] = { INSN_MODE_64, INSN_MODE_32,
						INSN_MODE_16 };
	static struct gen_row rows[MAX_ROWS];
	unsigned int n = gen_rows(rows, MAX_ROWS), i, m;

	/* This has more forms. */
	vigil_insn_near16 = true;
	/* Skip rows with EVEX: evex_test has those. */
	for (i = 0; i < n && !rows[i].evex; i++)
		for (m = 0; m < 3 && sample_emulated(&rows[i]); m++)
			sample_cells(&rows[i], modes[m], run_cell);
	printf("# %lu cells, %lu samples, %lu pending transactions, %lu denied stores\n",
	       cells, samples, pended, denied);
	unit_result(
		!differing && pended > 100000 && denied > 10000,
		"replay: every memory row, each transaction pending in turn, and denied");
}

/* ---- the cases that the interface spells out ---- */

#define AT (ENV_MEM + 0x100)

static u64 mem64(void)
{
	u64 v;

	memcpy(&v, env.mem + 0x100, 8);
	return v;
}

static void scene(u64 memory)
{
	env_init(&env, INSN_MODE_64);
	memcpy(env.mem + 0x100, &memory, 8);
	env.c.regs[INSN_RDI] = AT;
	env.c.regs[INSN_RSP] = AT + 8;
	env.c.rip = 0x1000;
	env.deny = true;
}

/* Runs env_step() on a string of bytes. */
#define STEP(s) env_step(&env, (const u8 *)(s), sizeof(s) - 1)

static void test_denied(void)
{
	bool ok;

	scene(0x1111);
	env.c.regs[INSN_RAX] = 0x2222;
	ok = STEP("\x48\x87\x07") == EMUL_OK;
	unit_result(ok && mem64() == 0x1111 && env.c.regs[INSN_RAX] == 0x1111,
		    "denied XCHG: the register gets the old memory value");

	scene(5);
	env.c.regs[INSN_RAX] = -5ll;
	ok = STEP("\xf0\x48\x0f\xc1\x07") == EMUL_OK;
	unit_result(ok && mem64() == 5 && env.c.regs[INSN_RAX] == 5 &&
			    env.c.rflags & X86_EFLAGS_ZF,
		    "denied XADD: old value in the register, flags of the sum");

	scene(7);
	env.c.regs[INSN_RAX] = 7;
	env.c.regs[INSN_RCX] = 9;
	ok = STEP("\xf0\x48\x0f\xb1\x0f") == EMUL_OK;
	unit_result(ok && mem64() == 7 && env.c.regs[INSN_RAX] == 7 &&
			    env.c.rflags & X86_EFLAGS_ZF,
		    "denied CMPXCHG: equal, so ZF=1");

	scene(8);
	env.c.regs[INSN_RAX] = 7;
	ok = STEP("\xf0\x48\x0f\xb1\x0f") == EMUL_OK;
	unit_result(ok && env.c.regs[INSN_RAX] == 8 &&
			    !(env.c.rflags & X86_EFLAGS_ZF) && !env.exchanges,
		    "CMPXCHG that does not match stores nothing to deny");

	scene(0x200000001ull);
	env.c.regs[INSN_RAX] = 1;
	env.c.regs[INSN_RDX] = 2;
	env.c.regs[INSN_RBX] = 3;
	ok = STEP("\xf0\x0f\xc7\x0f") == EMUL_OK;
	unit_result(ok && mem64() == 0x200000001ull &&
			    env.c.rflags & X86_EFLAGS_ZF,
		    "denied CMPXCHG8B: equal, so ZF=1");

	scene(1);
	ok = STEP("\x50") == EMUL_OK;
	unit_result(ok && mem64() == 1 && env.c.regs[INSN_RSP] == AT,
		    "denied PUSH: rSP moves");

	scene(1);
	ok = STEP("\xe8\x10\0\0\0") == EMUL_OK;
	unit_result(ok && mem64() == 1 && env.c.regs[INSN_RSP] == AT &&
			    env.c.rip == 0x1015,
		    "denied CALL: rSP moves, control goes on");

	scene(1);
	env.c.regs[INSN_RCX] = 4;
	env.c.rep_budget = 10;
	ok = STEP("\xf3\xaa") == EMUL_OK;
	unit_result(ok && mem64() == 1 && !env.c.regs[INSN_RCX] &&
			    env.c.regs[INSN_RDI] == AT + 4 && env.writes == 4,
		    "denied REP STOSB: rCX and rDI go to the end");
}

static void test_budget(void)
{
	bool ok;

	scene(1);
	env.deny = false;
	env.c.regs[INSN_RCX] = 5;
	env.c.regs[INSN_RAX] = 0x5a;
	env.c.rep_budget = 2;
	ok = STEP("\xf3\xaa") == EMUL_OK;
	unit_result(ok && env.c.more && env.c.rip == 0x1000 &&
			    env.c.regs[INSN_RCX] == 3 && env.writes == 2,
		    "REP stops after its budget, and rip stays");
	ok = vigil_emulate(&env.c, &env_ops) == EMUL_OK && env.c.more &&
	     vigil_emulate(&env.c, &env_ops) == EMUL_OK && !env.c.more;
	unit_result(ok && env.c.rip == 0x1002 && !env.c.regs[INSN_RCX] &&
			    mem64() == 0x5a5a5a5a5aull,
		    "and goes on where it was");

	scene(1);
	env.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 2;
	env.c.regs[INSN_RCX] = 5;
	env.c.rep_budget = 100;
	ok = STEP("\xf3\xaa") == EMUL_FAULT;
	unit_result(ok && env.c.exception.vector == ENV_PF &&
			    env.c.rip == 0x1000 && env.c.regs[INSN_RCX] == 3 &&
			    env.c.exception.cr2 == ENV_MEM + ENV_BYTES,
		    "a fault in a REP leaves the finished iterations");
}

static void test_races(void)
{
	u8 want;
	bool ok;

	/* Memory changes under a LOCK ADD. It must add to what is there now. */
	scene(0x10);
	env.deny = false;
	env.race = 3;
	env.c.regs[INSN_RAX] = 1;
	ok = STEP("\xf0\x48\x01\x07") == EMUL_OK;
	want = 0x10 + 3 + 1;
	unit_result(ok && mem64() == want && env.exchanges == 4 && env.locked,
		    "LOCK ADD starts over when memory changed");

	scene(0x10);
	env.race = 1000;
	env.c.regs[INSN_RAX] = 1;
	ok = STEP("\xf0\x48\x01\x07") == EMUL_RESTART;
	unit_result(ok && env.c.rip == 0x1000 && env.exchanges < 20,
		    "and gives up when it changes all the time");

	scene(7);
	env.deny = false;
	env.race = 1;
	env.c.regs[INSN_RAX] = 7;
	env.c.regs[INSN_RCX] = 9;
	ok = STEP("\xf0\x48\x0f\xb1\x0f") == EMUL_OK;
	unit_result(ok && mem64() == 8 && env.c.regs[INSN_RAX] == 8 &&
			    !(env.c.rflags & X86_EFLAGS_ZF),
		    "LOCK CMPXCHG fails when memory changed in between");

	scene(0x10);
	env.deny = false;
	env.c.regs[INSN_RAX] = 1;
	ok = STEP("\x48\x87\x07") == EMUL_OK && env.locked && env.exchanges;
	unit_result(ok, "XCHG with memory is locked without a prefix");
}

static void test_misuse(void)
{
	u8 data[32] = { 0 };
	bool ok;

	scene(1);
	unit_result(vigil_emul_complete(&env.c, data) == EMUL_UNHANDLED,
		    "an answer to nothing is refused");

	/*
	 * The guest changes its registers while an instruction pends: the log
	 * does not fit it.
	 */
	scene(1);
	env.deny = false;
	env.pend_at = 0;
	ok = STEP("\x48\x8b\x07") == EMUL_PENDING &&
	     !vigil_emul_complete(&env.c, data);
	env.c.regs[INSN_RDI] += 8;
	ok = ok && vigil_emulate(&env.c, &env_ops) == EMUL_UNHANDLED;
	unit_result(ok, "registers changed while pending: not replayed");
	vigil_emul_begin(&env.c);
	ok = vigil_emulate(&env.c, &env_ops) == EMUL_OK;
	unit_result(ok, "begin() forgets what was pending");
}

int main(void)
{
	unit_seed();
	test_denied();
	test_budget();
	test_races();
	test_misuse();
	test_rows();
	return unit_end();
}
