// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer runs any bytes as an instruction, in any state, with transactions
 * that pend or are denied. The sanitizers find wrong accesses; this program
 * checks what the emulator promises.
 */
#include <stdlib.h>

#include "env.h"

struct input {
	u8 mode, cpl, how, pend;
	u8 reg_kind[16];
	u16 reg[16];
	u16 seg_attr[6];
	u32 seg_limit[6];
	u16 cr0, cr4;
	u32 rflags;
};

static struct env env;

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void set_up(const struct input *in)
{
	static const enum insn_mode modes[] = { INSN_MODE_16, INSN_MODE_32,
						INSN_MODE_64 };
	unsigned int i;

	env_init(&env, modes[in->mode % 3]);
	env.c.cpl = in->cpl & 3;
	env.c.protected_mode = in->mode & 0x40 || env.c.mode == INSN_MODE_64;
	env.c.features = in->mode >> 3;
	env.c.rflags = in->rflags | 2;
	if (env.c.mode == INSN_MODE_64)
		env.c.rflags &= ~(1ull << 17);
	env.c.rip = 0x1000;
	env.c.rep_budget = 20;
	env.cr[0] ^= in->cr0;
	env.cr[4] ^= in->cr4;
	for (i = 0; i < 16; i++) {
		u64 v = in->reg[i];

		switch (in->reg_kind[i] & 7) {
		case 0:
			v = ENV_MEM + v % ENV_BYTES;
			break;
		case 1:
			v = ENV_MEM + 0x1000 - v % 64;
			break;
		case 2:
			v = -v;
			break;
		case 3:
			v = 0x0000800000000000ull - v % 64;
			break;
		case 4:
			v <<= 48;
			break;
		case 5:
			v &= 0x1f;
			break;
		}
		env.c.regs[i] = v;
	}
	for (i = 0; i < 6; i++) {
		if (!(in->how & 4))
			break;
		env.seg[i].attr = in->seg_attr[i];
		env.seg[i].limit = in->seg_limit[i];
		env.seg[i].base = in->seg_attr[i] & 0x4000 ? ENV_MEM : 0;
	}
	env.gdt.base = ENV_MEM;
	env.gdt.limit = in->seg_limit[0];
	env.tr.base = ENV_MEM + (in->seg_attr[0] & 0xff);
	env.tr.limit = in->seg_limit[1];
	env.tr.attr = in->seg_attr[1];
	env_begin(&env);
	vigil_insn_near16 = in->how & 32;
	env.deny = in->how & 1;
	env.pend_at = in->how & 2 ? in->pend : -1;
	env.race = in->how & 8 ? in->pend : 0;
	for (i = 0; i < 8; i++)
		env.mem[i] = in->reg[i];
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct emul_state before;
	struct input in;
	struct insn part;
	unsigned int i, n;
	int ret;

	if (size <= sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	set_up(&in);
	n = size > 40 ? 40 : size;
	ret = vigil_decode(&env.c.insn, data, n, env.c.mode);
	require(ret <= 0 && ret >= INSN_TOO_LONG);
	if (ret)
		return 0;
	require(env.c.insn.len && env.c.insn.len <= INSN_MAX_LEN &&
		env.c.insn.len <= n);
	for (i = 0; i < env.c.insn.len; i++)
		require(vigil_decode(&part, data, i, env.c.mode) != INSN_OK);

	before = env.c.st;
	for (i = 0;; i++) {
		u8 answer[EMUL_MAX_ACCESS];

		ret = vigil_emulate(&env.c, &env_ops);
		/* The new task is committed, and has its segments loaded next. */
		if (ret == EMUL_OK && env.c.task.stage && env.c.more) {
			before = env.c.st;
			continue;
		}
		if (ret == EMUL_RESTART && env.c.task.stage && i < 500)
			continue;
		if (ret != EMUL_PENDING)
			break;
		require(env.c.rip == before.rip);
		/* A REP can go on for long, one instruction cannot. */
		if (i >= 500 && env.c.insn.flags & INSN_STRING)
			return 0;
		require(i < 500);
		memset(answer, in.pend, sizeof(answer));
		require(!vigil_emul_complete(&env.c, answer));
		env.pend_at = in.how & 16 ? in.pend & 3 : -1;
	}
	require(ret >= EMUL_OK && ret <= EMUL_RESTART);
	if (ret == EMUL_OK) {
		require(env.c.more == (env.c.rip == before.rip) ||
			env.c.branched);
		require(!(env.c.rflags & 1 << 16) || env.c.more ||
			env.c.task.stage);
	} else {
		require(env.c.rip == before.rip && !env.c.branched &&
			!env.c.shadow && !env.c.more);
		require(env.c.insn.flags & INSN_STRING ||
			!memcmp(&before, &env.c.st, sizeof(before)));
	}
	return 0;
}
