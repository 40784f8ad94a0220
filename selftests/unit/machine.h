/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one machine (env.h) on which a test of the emulator runs: puts it into a
 * mode, and judges how an instruction ended.
 */
#ifndef UNIT_MACHINE_H
#define UNIT_MACHINE_H

#include "env.h"
#include "unit.h"

#define AT (ENV_MEM + 0x100)
#define DE 0
#define UD 6
#define NM 7
#define NP 11
#define SS 12
#define GP 13

static struct env e;

/* Runs env_step() on a string of bytes. */
#define STEP(s) env_step(&e, (const u8 *)(s), sizeof(s) - 1)

__attribute__((unused)) static bool fault(int ret, u8 vector, int error_code)
{
	const struct emul_exception *x = &e.c.exception;

	return ret == EMUL_FAULT && x->vector == vector &&
	       (error_code < 0 ? !x->has_ec :
				 x->has_ec && x->error_code == (u32)error_code);
}

/* Checks that rip did not move, and that the answer was #vector. */
__attribute__((unused)) static void refuses(const char *what, int ret,
					    u8 vector, int error_code)
{
	bool ok = fault(ret, vector, error_code) && e.c.rip == 0x1000;

	if (!unit_result(ok, "%s", what))
		printf("# status %d vector %u error %x has %d rip %llx\n", ret,
		       e.c.exception.vector, e.c.exception.error_code,
		       e.c.exception.has_ec, (unsigned long long)e.c.rip);
}

__attribute__((unused)) static void word(u64 la, u64 v, unsigned int bytes)
{
	memcpy(env_mem(&e, la, bytes), &v, bytes);
}

__attribute__((unused)) static u64 at(u64 la, unsigned int bytes)
{
	u64 v = 0;

	memcpy(&v, env_mem(&e, la, bytes), bytes);
	return v;
}

/* Sets CPL 0 in the given mode, rip 0x1000, and rSP in memory. */
__attribute__((unused)) static void kernel(enum insn_mode mode)
{
	env_init(&e, mode);
	e.c.cpl = 0;
	e.c.rip = 0x1000;
	e.c.regs[INSN_RSP] = AT + 0x80;
	e.c.regs[INSN_RDI] = AT;
}

/* Sets real mode: all segments of 64K, at memory. */
__attribute__((unused)) static void real_mode(void)
{
	unsigned int i;

	kernel(INSN_MODE_16);
	e.c.protected_mode = false;
	e.cr[0] &= ~1ull;
	for (i = 0; i < 6; i++) {
		e.seg[i].base = ENV_MEM;
		e.seg[i].sel = (u16)(ENV_MEM >> 4);
		e.seg[i].attr = 0x93;
	}
	e.c.regs[INSN_RSP] = 0x1000;
	e.c.regs[INSN_RDI] = 0x100;
}

#endif /* UNIT_MACHINE_H */
