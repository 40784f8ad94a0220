// SPDX-License-Identifier: GPL-2.0
/*
 * Compares stores of x87 registers in the emulator and on the CPU: random and
 * remarkable values, control words and stacks. What is stored and the state
 * behind it must be the same; the pointers to instruction and operand are not
 * compared.
 */
#include "env.h"
#include "rng.h"
#include "unit.h"

#define AT (ENV_MEM + 0x100)
#define RUNS 200000

struct fx {
	u16 fcw, fsw;
	u8 ftw, pad;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];
	u8 rest[352];
} __attribute__((aligned(16)));

static struct env env;

/* clang-format off */
#define INSNS(X) \
	X(fsts, "\xd9\x17", 4) X(fstps, "\xd9\x1f", 4) \
	X(fstl, "\xdd\x17", 8) X(fstpl, "\xdd\x1f", 8) \
	X(fstpt, "\xdb\x3f", 10) X(fists, "\xdf\x17", 2) \
	X(fistps, "\xdf\x1f", 2) X(fistl, "\xdb\x17", 4) \
	X(fistpl, "\xdb\x1f", 4) X(fistpll, "\xdf\x3f", 8) \
	X(fisttps, "\xdf\x0f", 2) X(fisttpl, "\xdb\x0f", 4) \
	X(fisttpll, "\xdd\x0f", 8) X(fbstp, "\xdf\x37", 10)
/* clang-format on */

/*
 * Each runs FXRSTOR, the instruction, FXSAVE. None of them reports an exception
 * that becomes pending.
 */
#define X(name, code, bytes)                                                 \
	static void cpu_##name(struct fx *fx, u8 *to)                        \
	{                                                                    \
		asm volatile("fxrstor %0; " #name " (%1); fxsave %0; fninit" \
			     : "+m"(*fx)                                     \
			     : "r"(to)                                       \
			     : "memory");                                    \
	}
INSNS(X)
#undef X

static const struct insn_case {
	const char *name, *code;
	unsigned int bytes;
	void (*run)(struct fx *fx, u8 *to);
} insns[] = {
#define X(name, code, bytes) { #name, code, bytes, cpu_##name },
	INSNS(X)
#undef X
};

/* Returns an exponent: any, or one where a format begins or ends. */
static u16 random_exponent(void)
{
	static const u16 edges[] = { 0,
				     16383,
				     16383 + 15,
				     16383 + 31,
				     16383 + 59,
				     16383 + 63,
				     16383 - 1022,
				     16383 - 1074,
				     16383 + 1023,
				     16383 - 126,
				     16383 - 149,
				     16383 + 127,
				     0x7fff };

	if (!unit_below(8))
		return unit_random() & 0x7fff;
	return (edges[unit_below(ARRAY_SIZE(edges))] + unit_below(7) - 3) &
	       0x7fff;
}

static u64 random_mantissa(void)
{
	u64 m = (u64)unit_random() << 32 ^ unit_random();

	switch (unit_below(8)) {
	case 0:
		m = 0;
		break;
	case 1:
		m = ~0ull;
		break;
	case 2: /* ends in zeroes: halves, and what is exact */
		m <<= unit_below(64);
		break;
	case 3: /* ones, for carries */
		m |= ~0ull << unit_below(64);
		break;
	case 4:
		m = 1ull << unit_below(64);
		break;
	}
	return unit_below(8) ? m | 1ull << 63 : m;
}

static void random_state(struct fx *fx)
{
	unsigned int i;
	u64 mant;
	u16 exp;

	memset(fx, 0, sizeof(*fx));
	/*
	 * Mostly all exceptions are masked, or all but one. Precision and
	 * rounding are random.
	 */
	fx->fcw = unit_below(2) ? 0x3f : unit_random() & 0x3f;
	fx->fcw |= 0x40 | (unit_random() & 0xf00);
	fx->fsw = unit_random() & 0x7f00;
	/* Only flags of masked exceptions are set: others would be pending. */
	fx->fsw |= unit_random() & 0x3f & fx->fcw;
	fx->ftw = unit_below(16) ? 0xff : (u8)unit_random();
	fx->mxcsr = 0x1f80;
	for (i = 0; i < 8; i++) {
		mant = random_mantissa();
		exp = random_exponent() | (unit_random() & 1) << 15;
		memcpy(fx->st[i], &mant, 8);
		memcpy(fx->st[i] + 8, &exp, 2);
	}
}

static void report(const struct insn_case *in, const struct fx *before,
		   const struct fx *cpu, const u8 *stored, const u8 *ours)
{
	unsigned int i;

	printf("# %s: fcw %04x fsw %04x ftw %02x st0 ", in->name, before->fcw,
	       before->fsw, before->ftw);
	for (i = 10; i--;)
		printf("%02x", before->st[0][i]);
	printf("; CPU fsw %04x ftw %02x ", cpu->fsw, cpu->ftw);
	for (i = in->bytes; i--;)
		printf("%02x", stored[i]);
	printf("; emulator fsw %02x%02x ftw %02x ", env.fx[3], env.fx[2],
	       env.fx[4]);
	for (i = in->bytes; i--;)
		printf("%02x", ours[i]);
	printf("\n");
}

static void compare(const struct insn_case *in)
{
	unsigned int i, differ = 0, kept = 0;
	u8 *ours = env.mem + (AT - ENV_MEM), stored[16];
	struct fx before, cpu;
	int ret;

	for (i = 0; i < RUNS; i++) {
		random_state(&before);
		cpu = before;
		memset(stored, 0xcc, sizeof(stored));
		in->run(&cpu, stored);

		env_init(&env, INSN_MODE_64);
		env.c.regs[INSN_RDI] = AT;
		env.has_fx = true;
		memcpy(env.fx, &before, sizeof(env.fx));
		memset(ours, 0xcc, 16);
		ret = env_step(&env, (const u8 *)in->code, 2);
		kept += cpu.ftw == before.ftw;
		if (ret == EMUL_OK && !memcmp(ours, stored, 16) &&
		    !memcmp(env.fx, &cpu, 5))
			continue;
		if (differ++ < 8)
			report(in, &before, &cpu, stored, ours);
	}
	unit_result(!differ, "x87: %s, %u states, %u of them did not pop",
		    in->name, RUNS, kept);
	if (differ)
		printf("# %u differ\n", differ);
}

static bool fault(int ret, u8 vector)
{
	return ret == EMUL_FAULT && env.c.exception.vector == vector;
}

static void begin(u16 fsw)
{
	struct fx fx;

	random_state(&fx);
	fx.fsw = fsw;
	fx.ftw = 0xff;
	env_init(&env, INSN_MODE_64);
	env.c.regs[INSN_RDI] = AT;
	env.has_fx = true;
	memcpy(env.fx, &fx, sizeof(env.fx));
	memset(env.mem, 0xcc, sizeof(env.mem));
}

static void test_refused(void)
{
	static const u8 fstpl[] = "\xdd\x1f";
	int ret;

	begin(0);
	env.cr[0] |= 8;
	unit_result(fault(env_step(&env, fstpl, 2), 7), "x87: TS is #NM");
	begin(0);
	env.cr[0] |= 4;
	unit_result(fault(env_step(&env, fstpl, 2), 7), "x87: EM is #NM");
	begin(0x80);
	unit_result(fault(env_step(&env, fstpl, 2), 16) &&
			    env.mem[AT - ENV_MEM] == 0xcc,
		    "x87: a pending exception is #MF");
	begin(0);
	env.fx[0] = 0x7f;
	env.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 4;
	unit_result(fault(env_step(&env, fstpl, 2), ENV_PF) &&
			    env.fx[4] == 0xff,
		    "x87: a fault pops nothing");
	begin(0);
	env.fx[0] = 0x7f;
	env.deny = true;
	ret = env_step(&env, fstpl, 2);
	unit_result(ret == EMUL_OK && env.mem[AT - ENV_MEM] == 0xcc &&
			    env.fx[4] == 0xfe && env.fx[3] >> 3 == 1,
		    "x87: denied, it pops");
}

int main(void)
{
	unsigned int i;

	unit_seed();
	for (i = 0; i < ARRAY_SIZE(insns); i++)
		compare(&insns[i]);
	test_refused();
	return unit_end();
}
