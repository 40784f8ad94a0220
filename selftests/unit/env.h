/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A little machine around the emulator: two pages of memory, registers in
 * arrays, and ops that a test can tell to pend, to deny or to interfere.
 */
#ifndef UNIT_ENV_H
#define UNIT_ENV_H

#include "vmm/arch.h"
#include "vmm/insn/emulate.h"

#define ENV_MEM 0x30004000ull
#define ENV_BYTES 0x2000u
#define ENV_PF 14
#define ENV_COMPONENT(nr) (0xa0 + (nr)) /* all bytes of 5 and above */

struct env {
	struct emul_ctxt c;
	struct emul_seg seg[6];
	struct emul_seg ldt, tr;
	struct emul_dtable gdt, idt;
	u64 cr[9], dr[8], xcr0, xinuse;
	u8 vec[16][32];
	u64 mmx[8];
	u8 fx[160]; /* an FXSAVE image without XMM registers */
	bool has_fx; /* fx is the x87 state, mmx is not */
	u8 x87_env[28]; /* FNSTENV of it, behind an instruction that changes it */
	u64 invlpg;
	bool nmi_unblocked;
	int opmask_cleared; /* which one, or -1 */
	u8 mem[ENV_BYTES];

	/* The ops count what the emulator did. */
	unsigned int reads, writes, exchanges, probes;
	u64 lowest, highest; /* addresses that were touched */
	bool locked; /* some access said so */
	bool split;

	/* The test says what the ops shall do. */
	u64 above; /* linear addresses are higher by this than those of env_mem() */
	int pend_at; /* transactions until one pends; -1: never */
	bool deny; /* stores are swallowed */
	unsigned int race; /* cmpxchg: as often, memory changes first */
};

extern const struct emul_ops env_ops;

/*
 * Makes flat segments and CPL 3 (CPL 0 outside of protected mode), all features
 * on.
 */
void env_init(struct env *e, enum insn_mode mode);
/* Forgets what the last instruction did. */
void env_begin(struct env *e);
/* Returns memory by its linear address; NULL where there is none. */
void *env_mem(struct env *e, u64 la, unsigned int bytes);
/* Decodes and runs at the current registers. An INSN_ error becomes -1. */
int env_step(struct env *e, const u8 *bytes, unsigned int n);

#endif /* UNIT_ENV_H */
