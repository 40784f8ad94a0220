/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs one instruction on the host's own CPU, in 64-, 32- or 16-bit mode. All
 * registers are set before and read back.
 */
#ifndef UNIT_NATIVE_H
#define UNIT_NATIVE_H

#include "vmm/insn/decode.h"

/*
 * All of this lies below 4G, so that every mode and address size reaches it. In
 * 16-bit mode CS starts at NATIVE_CODE and the data segments start at
 * NATIVE_DATA16.
 */
#define NATIVE_CODE 0x20000000ul /* code segment of 64K */
#define NATIVE_INSN 0x1000 /* offset of the instruction in it */
#define NATIVE_TAKEN 0x60 /* where branches go to, after the instruction */
#define NATIVE_DATA16 0x30000000ul
#define NATIVE_MEM 0x30004000ul /* two pages, nothing mapped around them */
#define NATIVE_MEM_BYTES 0x2000u
#define NATIVE_MIDDLE (NATIVE_MEM + 0x1000)
#define NATIVE_GS_BASE 0x30001230ul /* GS starts here, in all modes */
#define NATIVE_DE 0
#define NATIVE_UD 6
#define NATIVE_SS 12
#define NATIVE_GP 13
#define NATIVE_PF 14

/* native.c's assembly uses the offsets in the comments. */
struct native_state {
	u64 regs[16]; /* 0 */
	u64 rflags; /* 128 */
	u8 vec[16][32]; /* 136: YMM */
	u64 mmx[8]; /* 648 */
	u16 ds, es, ss, pad; /* 712 */
	u32 entry_off; /* 720: a far pointer */
	u16 entry_cs, pad2;
	u8 taken; /* 728: the branch was taken */
	u8 pad3[7];
	u64 host_rsp; /* 736 */
};

/* What the last faulting instruction has left. */
struct native_fault {
	bool happened;
	u8 vector;
	u32 error_code;
	u64 cr2;
	u64 rip; /* as the segment has it */
};

struct native_features {
	bool avx, bmi1, bmi2, lzcnt, popcnt, adx, movbe, movdiri, sse3, sse41,
		sse42, cx16, lahf64, xsaveopt, xsavec, xsaves;
	u8 emulator; /* EMUL_FEAT_* in which the vendors differ */
};

extern struct native_state native;
extern struct native_fault native_fault;
extern struct native_features native_features;

/*
 * Returns the selector in use for a segment register. With @small, DS, ES and
 * SS start at NATIVE_DATA16 and have 64K in 32-bit mode as well; in 16-bit mode
 * they always do.
 */
u16 native_selector(enum insn_mode mode, bool small, enum insn_seg seg);

/* Returns NULL, or why nothing can run natively. */
const char *native_init(void);
bool native_mode_available(enum insn_mode mode);

/* Entries of the LDT, which modify_ldt() sets. */
enum native_ldt {
	NATIVE_LDT_CODE16 = 1,
	NATIVE_LDT_DATA16,
	NATIVE_LDT_GS,
	NATIVE_LDT_FREE,
};

struct native_segment {
	u32 base;
	u32 limit; /* as in the descriptor: in bytes, or with pages in pages */
	bool pages, big, code, expand_down, read_only; /* code: not readable */
	bool absent;
};

/* The segments that are there before any native_set_segment(). */
extern const struct native_segment native_code16, native_data16, native_gs;

/*
 * Replaces the descriptor, and loads GS again. Returns false if the kernel
 * refuses.
 */
bool native_set_segment(enum native_ldt n, const struct native_segment *s);

/*
 * Return where the instruction's bytes go, and what rip the emulator has there.
 */
u8 *native_code(void);
static inline u64 native_rip(enum insn_mode mode)
{
	return mode == INSN_MODE_16 ? NATIVE_INSN : NATIVE_CODE + NATIVE_INSN;
}

/*
 * Runs the instruction of @len bytes that native_code() holds. native.regs,
 * rflags, vec and mmx go in and come out; native.taken and native_fault come
 * out.
 */
void native_run(enum insn_mode mode, bool small, unsigned int len);

#endif /* UNIT_NATIVE_H */
