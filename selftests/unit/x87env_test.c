// SPDX-License-Identifier: GPL-2.0
/*
 * FNSTENV, FNSAVE, FLDENV and FRSTOR. In the formats of protected mode the emulator and
 * the CPU must store the same and leave the same state, pointers included. The formats
 * of real mode, which no process can have, are compared with the manual's figures.
 */
#include "machine.h"
#include "rng.h"

#define RUNS 20000
#define TRIES 100
#define MF 16
#define AC 17

struct fx {
	u16 fcw, fsw;
	u8 ftw, pad;
	u16 fop;
	u32 fip;
	u16 fcs, pad2;
	u32 fdp;
	u16 fds, pad3;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];
	u8 rest[352];
} __attribute__((aligned(16)));

/* What is in memory, and the state behind the instruction. */
struct result {
	u8 mem[128];
	u8 env[28];
	struct fx fx;
};

/* clang-format off */
#define INSNS(X) \
	X(fnstenv, "\xd9\x37", 28) X(fnstenv_16, "\x66\xd9\x37", 14) \
	X(fnstenv_w, "\x48\xd9\x37", 28) X(fnstenv_16_w, "\x66\x48\xd9\x37", 28) \
	X(fnsave, "\xdd\x37", 108) X(fnsave_16, "\x66\xdd\x37", 94) \
	X(fldenv, "\xd9\x27", 28) X(fldenv_16, "\x66\xd9\x27", 14) \
	X(frstor, "\xdd\x27", 108) X(frstor_16, "\x66\xdd\x27", 94)
/* clang-format on */

/*
 * The instruction has its operand at RDI. FNSTENV shows the pointers, which FXSAVE
 * leaves out on AMD's CPUs while no exception is pending; FLDCW takes back what it
 * does to the control word.
 */
#define BYTES_fnstenv ".byte 0xd9, 0x37"
#define BYTES_fnstenv_16 ".byte 0x66, 0xd9, 0x37"
#define BYTES_fnstenv_w ".byte 0x48, 0xd9, 0x37"
#define BYTES_fnstenv_16_w ".byte 0x66, 0x48, 0xd9, 0x37"
#define BYTES_fnsave ".byte 0xdd, 0x37"
#define BYTES_fnsave_16 ".byte 0x66, 0xdd, 0x37"
#define BYTES_fldenv ".byte 0xd9, 0x27"
#define BYTES_fldenv_16 ".byte 0x66, 0xd9, 0x27"
#define BYTES_frstor ".byte 0xdd, 0x27"
#define BYTES_frstor_16 ".byte 0x66, 0xdd, 0x27"

#define X(name, code, bytes)                                                \
	static void cpu_##name(struct result *r)                            \
	{                                                                   \
		static u8 host[512] __attribute__((aligned(16)));           \
                                                                            \
		asm volatile("fxsave %1; fninit; fxrstor %0; " BYTES_##name \
			     "; fnstenv (%3); fldcw (%3); fxsave %0;"       \
			     "fxrstor %1"                                   \
			     : "+m"(r->fx), "=m"(host)                      \
			     : "D"(r->mem), "r"(r->env)                     \
			     : "memory");                                   \
	}
INSNS(X)
#undef X

static const struct insn_case {
	const char *name;
	const u8 *code;
	unsigned int len, bytes;
	void (*run)(struct result *r);
} insns[] = {
#define X(name, code, bytes) \
	{ #name, (const u8 *)code, sizeof(code) - 1, bytes, cpu_##name },
	INSNS(X)
#undef X
};

static bool loads(const struct insn_case *in)
{
	return in->name[1] != 'n';
}

static void random_fx(struct fx *fx, bool pending)
{
	unsigned int i, k;

	memset(fx, 0, sizeof(*fx));
	fx->fcw = 0x40 | (unit_random() & 0xf3f);
	fx->fsw = unit_random() & 0x7f7f;
	if (!pending)
		fx->fsw &= ~(0x3f & ~fx->fcw);
	fx->ftw = unit_random();
	fx->fop = unit_random() & 0x7ff;
	fx->fip = unit_random();
	fx->fcs = unit_random();
	fx->fdp = unit_random();
	fx->fds = unit_random();
	fx->mxcsr = 0x1f80;
	for (i = 0; i < 8; i++) {
		/* Zeroes, and special exponents: each has a tag of its own. */
		for (k = 0; k < 10; k++)
			fx->st[i][k] = unit_below(2) ? unit_random() : 0;
		if (!unit_below(3))
			memset(fx->st[i], unit_below(2) ? 0xff : 0, 10);
	}
}

static void show(const char *who, const u8 *p, unsigned int n)
{
	printf("#   %-9s", who);
	while (n--)
		printf(" %02x", *p++);
	printf("\n");
}

/*
 * 66 selects the other format: of 32-bit code the same one as of 64-bit code, of 16-bit
 * code the opposite. REX exists in 64-bit mode only.
 */
static unsigned int encode(const struct insn_case *in, enum insn_mode mode,
			   u8 *code)
{
	bool wide = in->bytes == 28 || in->bytes == 108;
	unsigned int n = 0;

	if (mode == INSN_MODE_64) {
		memcpy(code, in->code, in->len);
		return in->len;
	}
	if (wide != (mode == INSN_MODE_32))
		code[n++] = 0x66;
	if (mode == INSN_MODE_16)
		code[n++] = 0x67;
	code[n++] = in->code[in->len - 2];
	code[n++] = in->code[in->len - 1];
	return n;
}

/* Runs the instruction on the CPU and in the emulator. */
static int run_both(const struct insn_case *in, enum insn_mode mode,
		    const struct result *before, struct result *cpu)
{
	u8 code[8];
	unsigned int len = encode(in, mode, code), i;

	*cpu = *before;
	in->run(cpu);
	env_init(&e, mode);
	for (i = 0; mode == INSN_MODE_16 && i < 6; i++)
		e.seg[i].limit = ~0u;
	e.c.regs[INSN_RDI] = AT;
	e.has_fx = true;
	memcpy(e.fx, &before->fx, sizeof(e.fx));
	memcpy(e.mem + (AT - ENV_MEM), before->mem, sizeof(before->mem));
	return env_step(&e, code, len);
}

/*
 * Are both the same? A context switch in the middle loses FCS and FDS, and on AMD's CPUs
 * the other pointers, so a difference counts when it comes again and again.
 */
static bool same(const struct insn_case *in, enum insn_mode mode)
{
	static struct result cpu, before;
	const u8 *mem = e.mem + (AT - ENV_MEM);
	unsigned int i;
	int ret;

	random_fx(&before.fx, !loads(in));
	for (i = 0; i < sizeof(before.mem); i++)
		before.mem[i] = unit_random();
	memset(before.env, 0, sizeof(before.env));
	for (i = 0; i < TRIES; i++) {
		ret = run_both(in, mode, &before, &cpu);
		if (ret == EMUL_OK && !memcmp(mem, cpu.mem, sizeof(cpu.mem)) &&
		    !memcmp(e.x87_env, cpu.env, sizeof(cpu.env)) &&
		    !memcmp(e.fx, &cpu.fx, sizeof(e.fx)))
			return true;
	}
	printf("# %s in %u-bit mode: status %d\n", in->name, mode, ret);
	show("CPU", cpu.mem, in->bytes);
	show("emulator", mem, in->bytes);
	show("CPU", cpu.env, 28);
	show("emulator", e.x87_env, 28);
	return false;
}

static void test_native(const struct insn_case *in)
{
	static const enum insn_mode modes[] = { INSN_MODE_64, INSN_MODE_32,
						INSN_MODE_16 };
	unsigned int i, m, differ = 0;

	for (i = 0; i < RUNS && differ < 4; i++)
		for (m = 0; m < ARRAY_SIZE(modes); m++)
			differ += !same(in, modes[m]);
	unit_result(!differ, "x87env: %s, %u states in three modes", in->name,
		    RUNS);
}

/* The state that the figures are made of. */
static void begin(void)
{
	struct fx fx = { .fcw = 0x37e,
			 .fsw = 0x3981,
			 .ftw = 0xff,
			 .fop = 0x5a5,
			 .fip = 0x9678,
			 .fcs = 0x1234,
			 .fdp = 0xabcd,
			 .fds = 0xfedc,
			 .mxcsr = 0x1f80 };

	real_mode();
	memcpy(e.fx, &fx, sizeof(e.fx));
	e.has_fx = true;
	memset(e.mem, 0xcc, sizeof(e.mem));
}

/* Does this CPU have FCS and FDS? Those that do not store 0. */
static bool has_fcs(void)
{
	const struct fx fx = { .fcw = 0x37f, .fcs = 0x1234, .mxcsr = 0x1f80 };
	struct result r;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		r.fx = fx;
		cpu_fnstenv(&r);
		if (r.mem[16] == 0x34)
			return true;
	}
	return false;
}

/* Does the instruction store @want, and nothing else? */
static void stores_real(const char *what, const char *code, bool vm86,
			const void *want, unsigned int bytes)
{
	bool ok = false;
	unsigned int i;

	for (i = 0; i < TRIES && !ok; i++) {
		begin();
		if (vm86) {
			e.c.protected_mode = true;
			e.c.cpl = 3;
			e.c.rflags |= X86_EFLAGS_VM;
		}
		ok = env_step(&e, (const u8 *)code, strlen(code)) == EMUL_OK &&
		     !memcmp(e.mem + 0x100, want, bytes) &&
		     e.mem[0x100 + bytes] == 0xcc;
	}
	if (unit_result(ok, "x87env: %s", what))
		return;
	show("expected", want, bytes);
	show("stored", e.mem + 0x100, bytes);
}

/* Is the environment @want when the instruction has loaded @image? */
static void loads_real(const char *what, const char *code, const void *image,
		       unsigned int bytes, const u32 *want)
{
	bool ok = false;
	unsigned int i;

	for (i = 0; i < TRIES && !ok; i++) {
		begin();
		e.fx[2] = 0; /* no exception is pending */
		memcpy(e.mem + 0x100, image, bytes);
		ok = env_step(&e, (const u8 *)code, strlen(code)) == EMUL_OK &&
		     !memcmp(e.x87_env, want, sizeof(e.x87_env));
	}
	if (unit_result(ok, "x87env: %s", what))
		return;
	show("expected", (const u8 *)want, sizeof(e.x87_env));
	show("loaded", e.x87_env, sizeof(e.x87_env));
}

/* CS * 16 + IP is 1b9b8h, DS * 16 + DP is 10998dh. */
static const u32 real32[] = { 0xffff037e, 0xffffb981, 0xffff5555, 0xffffb9b8,
			      0x000015a5, 0xffff998d, 0x00010000 };
static const u16 real16[] = { 0x037e, 0xb981, 0x5555, 0xb9b8,
			      0x15a5, 0x998d, 0x0000 };

static void test_real_formats(void)
{
	static const u32 from32[] = { 0xffff037e, 0xffffb981, 0xffff5555,
				      0x0001b9b8, 0x05a50000, 0x0010998d,
				      0xffff0000 };
	static const u32 from16[] = { 0xffff037e, 0xffffb981, 0xffff5555,
				      0x0001b9b8, 0x05a50000, 0x0000998d,
				      0xffff0000 };

	loads_real("FLDENV of the 32-bit format of real mode", "\x66\xd9\x25",
		   real32, sizeof(real32), from32);
	loads_real("FLDENV of the 16-bit format of real mode", "\xd9\x25",
		   real16, sizeof(real16), from16);
	if (!has_fcs()) {
		unit_skip("x87env: stores in the formats of real mode",
			  "this CPU has no FCS and FDS");
		return;
	}
	stores_real("32-bit format of real mode", "\x66\xd9\x35", false, real32,
		    sizeof(real32));
	stores_real("16-bit format of real mode", "\xd9\x35", false, real16,
		    sizeof(real16));
	stores_real("VM86 has the format of real mode", "\xd9\x35", true,
		    real16, sizeof(real16));
}

#define FNSAVE "\xdd\x37"
#define FRSTOR "\xdd\x27"

static void begin_long(void)
{
	kernel(INSN_MODE_64);
	memset(e.mem, 0xcc, sizeof(e.mem));
	e.has_fx = true;
	e.fx[0] = 0x7f;
	e.fx[1] = 3;
	e.fx[4] = 0xff;
}

static bool untouched(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(e.mem); i++)
		if (e.mem[i] != 0xcc)
			return false;
	return e.fx[1] == 3 && e.fx[4] == 0xff;
}

static void test_refused(void)
{
	int ret;

	begin_long();
	e.cr[0] |= 8;
	refuses("FNSAVE with TS is #NM", STEP(FNSAVE), NM, -1);
	refuses("FRSTOR with TS is #NM", STEP(FRSTOR), NM, -1);
	begin_long();
	e.cr[0] |= 4;
	refuses("FNSTENV with EM is #NM", STEP("\xd9\x37"), NM, -1);
	begin_long();
	e.fx[0] = 0x7e;
	e.fx[2] = 0x81;
	refuses("FRSTOR with a pending exception is #MF", STEP(FRSTOR), MF, -1);
	e.cr[0] &= ~0x20ull;
	unit_result(STEP(FRSTOR) == EMUL_UNHANDLED,
		    "FRSTOR with a pending exception, without CR0.NE");
	begin_long();
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 107;
	refuses("FNSAVE over the end of memory is #PF", STEP(FNSAVE), ENV_PF,
		2);
	unit_result(untouched() && !e.writes, "and stores and changes nothing");
	refuses("FRSTOR over the end of memory is #PF", STEP(FRSTOR), ENV_PF,
		0);
	unit_result(untouched(), "and loads nothing");
	begin_long();
	e.c.regs[INSN_RDI] = ENV_MEM + 0x1000 - 50;
	unit_result(STEP(FNSAVE) == EMUL_OK && e.writes == 5 &&
			    e.lowest == ENV_MEM + 0x1000 - 50 &&
			    e.highest == ENV_MEM + 0x1000 + 58,
		    "FNSAVE to two pages");
	begin_long();
	e.deny = true;
	ret = STEP(FNSAVE);
	unit_result(ret == EMUL_OK && e.mem[AT - ENV_MEM] == 0xcc &&
			    e.writes == 4 && e.fx[4] == 0,
		    "FNSAVE, denied: initializes the FPU");
	begin_long();
	e.c.cpl = 3;
	e.c.rflags |= X86_EFLAGS_AC;
	e.c.regs[INSN_RDI] = AT + 2;
	refuses("FNSAVE to 2 bytes with AC is #AC", STEP(FNSAVE), AC, 0);
	unit_result(STEP("\x66" FNSAVE) == EMUL_OK,
		    "FNSAVE of 16 bits wants no more");
	begin_long();
	e.c.mode = INSN_MODE_32;
	e.c.long_mode = false;
	e.seg[INSN_SEG_DS].limit = AT + 106;
	e.seg[INSN_SEG_DS].attr &= ~EMUL_SEG_G;
	refuses("FNSAVE beyond the limit is #GP(0)", STEP(FNSAVE), GP, 0);
}

int main(void)
{
	unsigned int i;

	unit_seed();
	for (i = 0; i < ARRAY_SIZE(insns); i++)
		test_native(&insns[i]);
	test_real_formats();
	test_refused();
	return unit_end();
}
