// SPDX-License-Identifier: GPL-2.0
/*
 * Segment registers that are loaded from descriptors, and transfers to other
 * code segments.
 */
#include "machine.h"

/* The GDT is at the start of memory, with these at selectors 8, 16, ... */
static const struct {
	const char *what;
	u64 desc;
} descriptors[] = {
	{ "data, DPL 0", 0x00cf92000000ffffull },
	{ "data, DPL 3, accessed", 0x00cff3000000ffffull },
	{ "data, read-only, DPL 0", 0x00cf90000000ffffull },
	{ "code, readable, DPL 0", 0x00cf9a000000ffffull },
	{ "code, not readable", 0x00cf98000000ffffull },
	{ "data, not present", 0x00cf12000000ffffull },
	{ "LDT", 0x00008200000000ffull },
	{ "code, conforming, DPL 0", 0x00cf9e000000ffffull },
	{ "data with a base, bytes", 0x1240923456780fffull },
	{ "code, 64-bit", 0x00af9a000000ffffull },
	{ "code, 4096 bytes", 0x00409a0000000fffull },
	{ "code, DPL 3", 0x00cffa000000ffffull },
	{ "code, not present", 0x00cf1a000000ffffull },
	{ "code, both L and D", 0x00ef9a000000ffffull },
};

static void load(enum insn_mode mode, u8 cpl, u16 sel)
{
	unsigned int i;

	kernel(mode);
	e.c.cpl = cpl;
	for (i = 0; i < ARRAY_SIZE(descriptors); i++)
		word(ENV_MEM + 8 * (i + 1), descriptors[i].desc, 8);
	e.gdt.base = ENV_MEM;
	e.gdt.limit = 8 * ARRAY_SIZE(descriptors) + 7;
	e.c.features |= EMUL_FEAT_FAR64;
	e.c.regs[INSN_RAX] = sel;
}

#define MOV_DS "\x8e\xd8"
#define MOV_SS "\x8e\xd0"

static void test_segment_loads(void)
{
	const struct emul_seg *ds = &e.seg[INSN_SEG_DS];
	int ret;

	load(INSN_MODE_32, 0, 8);
	unit_result(STEP(MOV_DS) == EMUL_OK && ds->sel == 8 && !ds->base &&
			    ds->limit == 0xffffffff && ds->attr == 0xc93 &&
			    at(ENV_MEM + 8, 8) ==
				    (descriptors[0].desc | 1ull << 40),
		    "MOV DS: limit in pages, accessed bit set in the table");
	load(INSN_MODE_32, 0, 72);
	unit_result(STEP(MOV_DS) == EMUL_OK && ds->base == 0x12345678 &&
			    ds->limit == 0xfff && ds->attr == 0x493,
		    "MOV DS: base in three pieces, limit in bytes");
	load(INSN_MODE_32, 0, 0);
	unit_result(STEP(MOV_DS) == EMUL_OK && ds->attr & EMUL_SEG_UNUSABLE,
		    "MOV DS: null is allowed");
	e.c.rip = 0x1000;
	refuses("and using it is #GP(0)", STEP("\x8b\x07"), GP, 0);
	load(INSN_MODE_64, 0, 0);
	unit_result(STEP(MOV_DS) == EMUL_OK && (e.c.rip = 0x1000) &&
			    STEP("\x8b\x07") == EMUL_OK,
		    "but not in 64-bit mode");
	load(INSN_MODE_32, 0, 0);
	refuses("MOV SS: null is #GP(0)", STEP(MOV_SS), GP, 0);
	load(INSN_MODE_64, 0, 0);
	unit_result(STEP(MOV_SS) == EMUL_OK, "except in 64-bit mode at CPL 0");
	load(INSN_MODE_64, 0, 3);
	refuses("with RPL 0", STEP(MOV_SS), GP, 0);
	load(INSN_MODE_32, 3, 8);
	refuses("MOV DS: DPL 0 at CPL 3 is #GP(sel)", STEP(MOV_DS), GP, 8);
	load(INSN_MODE_32, 3, 19);
	unit_result(STEP(MOV_DS) == EMUL_OK, "MOV DS: DPL 3 at CPL 3");
	load(INSN_MODE_32, 0, 11);
	refuses("MOV DS: RPL 3 of DPL 0 is #GP(sel)", STEP(MOV_DS), GP, 8);
	load(INSN_MODE_32, 0, 40);
	refuses("MOV DS: code that is not readable", STEP(MOV_DS), GP, 40);
	load(INSN_MODE_32, 3, 67);
	unit_result(STEP(MOV_DS) == EMUL_OK, "MOV DS: conforming code");
	load(INSN_MODE_32, 0, 56);
	refuses("MOV DS: a system descriptor", STEP(MOV_DS), GP, 56);
	load(INSN_MODE_32, 0, 48);
	refuses("MOV DS: not present is #NP(sel)", STEP(MOV_DS), NP, 48);
	load(INSN_MODE_32, 0, 48);
	refuses("MOV SS: not present is #SS(sel)", STEP(MOV_SS), SS, 48);
	load(INSN_MODE_32, 0, 24);
	refuses("MOV SS: read-only is #GP(sel)", STEP(MOV_SS), GP, 24);
	load(INSN_MODE_32, 0, 32);
	refuses("MOV SS: code is #GP(sel)", STEP(MOV_SS), GP, 32);
	load(INSN_MODE_32, 0, 19);
	refuses("MOV SS: DPL and RPL 3 at CPL 0", STEP(MOV_SS), GP, 16);
	load(INSN_MODE_32, 0, 120);
	refuses("MOV DS: beyond the limit is #GP(sel)", STEP(MOV_DS), GP, 120);
	load(INSN_MODE_32, 0, 12);
	e.ldt.attr = EMUL_SEG_UNUSABLE;
	refuses("MOV DS: no LDT", STEP(MOV_DS), GP, 12);
	load(INSN_MODE_32, 0, 12);
	e.ldt.attr = 0x82;
	e.ldt.base = ENV_MEM;
	e.ldt.limit = 0xff;
	unit_result(STEP(MOV_DS) == EMUL_OK && ds->sel == 12,
		    "MOV DS: from the LDT");
	load(INSN_MODE_32, 0, 8);
	e.gdt.base = 0x1000;
	ret = STEP(MOV_DS);
	unit_result(fault(ret, ENV_PF, 0) && e.c.exception.cr2 == 0x1008,
		    "MOV DS: a page fault in the table");
	load(INSN_MODE_32, 0, 8);
	e.race = 1;
	unit_result(STEP(MOV_DS) == EMUL_RESTART && ds->sel == 0x2b,
		    "MOV DS: the descriptor changed under it");
	load(INSN_MODE_32, 0, 8);
	unit_result(STEP("\x8e\xc8") == EMUL_FAULT, "MOV CS is #UD");
	load(INSN_MODE_64, 0, 8);
	word(AT + 0x80, 8, 8);
	unit_result(STEP("\x0f\xa1") == EMUL_OK &&
			    e.seg[INSN_SEG_FS].sel == 8 &&
			    e.c.regs[INSN_RSP] == AT + 0x88,
		    "POP FS");
}

/* Runs JMP sel:00002000. */
static int far_jump(enum insn_mode mode, u8 cpl, u8 sel)
{
	u8 insn[7] = { 0xea, 0x00, 0x20, 0x00, 0x00, sel, 0x00 };

	load(mode, cpl, 0);
	return env_step(&e, insn, sizeof(insn));
}

static void test_far_jumps(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	int ret;

	ret = far_jump(INSN_MODE_32, 0, 32);
	unit_result(ret == EMUL_OK && e.c.rip == 0x2000 && cs->sel == 32 &&
			    cs->attr == 0xc9b && cs->limit == 0xffffffff &&
			    at(ENV_MEM + 32, 8) ==
				    (descriptors[3].desc | 1ull << 40),
		    "JMP far: CS, its hidden part, accessed bit in the table");
	ret = far_jump(INSN_MODE_32, 3, 64);
	unit_result(ret == EMUL_OK && cs->sel == 67,
		    "JMP far: conforming code, RPL becomes the CPL");
	refuses("JMP far: null is #GP(0)", far_jump(INSN_MODE_32, 0, 0), GP, 0);
	refuses("JMP far: data is #GP(sel)", far_jump(INSN_MODE_32, 0, 8), GP,
		8);
	refuses("JMP far: RPL above CPL is #GP(sel)",
		far_jump(INSN_MODE_32, 0, 35), GP, 32);
	refuses("JMP far: another DPL is #GP(sel)",
		far_jump(INSN_MODE_32, 0, 96), GP, 96);
	refuses("JMP far: not present is #NP(sel)",
		far_jump(INSN_MODE_32, 0, 104), NP, 104);
	refuses("JMP far: beyond the new limit is #GP(0)",
		far_jump(INSN_MODE_32, 0, 88), GP, 0);
	refuses("JMP far: beyond the table is #GP(sel)",
		far_jump(INSN_MODE_32, 0, 120), GP, 120);
	refuses("JMP far: an LDT is #GP(sel)", far_jump(INSN_MODE_32, 0, 56),
		GP, 56);
	load(INSN_MODE_32, 0, 0);
	e.c.long_mode = true;
	unit_result(STEP("\xea\x00\x20\x00\x00\x50\x00") == EMUL_OK &&
			    cs->attr == 0xa9b && e.c.rip == 0x2000,
		    "JMP far: from compatibility mode to 64-bit mode");
	load(INSN_MODE_32, 0, 0);
	e.c.long_mode = true;
	refuses("JMP far: L and D in long mode",
		STEP("\xea\x00\x20\x00\x00\x70\x00"), GP, 112);
	load(INSN_MODE_64, 0, 0);
	word(AT, 0x1000000000000000ull, 8);
	word(AT + 8, 80, 2);
	refuses("JMP far m16:64: the target is not canonical",
		STEP("\x48\xff\x2f"), GP, 0);
	load(INSN_MODE_64, 0, 0);
	word(AT, 0x123456789aull, 8);
	word(AT + 8, 80, 2);
	unit_result(STEP("\x48\xff\x2f") == EMUL_OK &&
			    e.c.rip == 0x123456789aull && cs->sel == 80,
		    "JMP far m16:64");
	load(INSN_MODE_64, 0, 0);
	refuses("JMP far ptr16:32 in 64-bit mode is #UD",
		STEP("\xea\x00\x20\x00\x00\x50\x00"), UD, -1);
	real_mode();
	unit_result(STEP("\xea\x10\x00\x34\x12") == EMUL_OK &&
			    e.c.rip == 0x10 && cs->sel == 0x1234 &&
			    cs->base == 0x12340 && cs->limit == 0xffff,
		    "JMP far: real mode");
}

/* Fills the stack of load(), at AT + 0x80, with what a return pops. */
static void frame(unsigned int bytes, u64 rip, u64 cs, u64 a, u64 b, u64 d)
{
	const u64 v[] = { rip, cs, a, b, d };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		word(AT + 0x80 + i * bytes, v[i], bytes);
}

/* Is the accessed bit set in the table? */
static bool marked(u16 sel)
{
	return at(ENV_MEM + sel + 5, 1) & 1;
}

static void test_far_calls(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];

	real_mode();
	e.seg[INSN_SEG_CS].sel = 0x77;
	unit_result(STEP("\x9a\x10\x00\x34\x12") == EMUL_OK &&
			    e.c.rip == 0x10 && cs->base == 0x12340 &&
			    e.c.regs[INSN_RSP] == 0xffc && e.writes == 2 &&
			    at(ENV_MEM + 0xffe, 2) == 0x77 &&
			    at(ENV_MEM + 0xffc, 2) == 0x1005,
		    "CALL far: real mode");
	real_mode();
	word(ENV_MEM + 0x100, 0x00000010, 4);
	word(ENV_MEM + 0x104, 0x1234, 2);
	unit_result(STEP("\x66\xff\x1d") == EMUL_OK && e.c.rip == 0x10 &&
			    e.c.regs[INSN_RSP] == 0xff8 &&
			    at(ENV_MEM + 0xff8, 4) == 0x1003,
		    "CALL far m16:32: real mode");
	real_mode();
	e.c.regs[INSN_RSP] = 3;
	refuses("CALL far: SP=3 is #SS", STEP("\x9a\x10\x00\x34\x12"), SS, -1);
	unit_result(!e.writes, "CALL far: and nothing is stored");
	real_mode();
	e.seg[INSN_SEG_CS].limit = 0xf;
	refuses("CALL far: beyond the limit is #GP",
		STEP("\x9a\x10\x00\x34\x12"), GP, -1);

	load(INSN_MODE_32, 0, 0);
	unit_result(STEP("\x9a\x00\x20\x00\x00\x20\x00") == EMUL_OK &&
			    e.c.rip == 0x2000 && cs->sel == 32 && marked(32) &&
			    e.writes == 2 && e.c.regs[INSN_RSP] == AT + 0x78 &&
			    at(AT + 0x7c, 4) == 0x2b &&
			    at(AT + 0x78, 4) == 0x1007,
		    "CALL far ptr16:32: CS and EIP pushed, accessed bit set");
	load(INSN_MODE_32, 0, 0);
	e.deny = true;
	unit_result(STEP("\x9a\x00\x20\x00\x00\x20\x00") == EMUL_OK &&
			    e.c.rip == 0x2000 &&
			    e.c.regs[INSN_RSP] == AT + 0x78 && !marked(32),
		    "CALL far: denied, control goes to the target");
	load(INSN_MODE_32, 0, 0);
	e.pend_at = 0;
	unit_result(STEP("\x9a\x00\x20\x00\x00\x20\x00") == EMUL_PENDING,
		    "CALL far: waits");
	refuses("CALL far: another DPL is #GP(sel)",
		STEP("\x9a\x00\x20\x00\x00\x60\x00"), GP, 96);
	refuses("CALL far: an LDT is #GP(sel)",
		STEP("\x9a\x00\x20\x00\x00\x38\x00"), GP, 56);
	load(INSN_MODE_64, 0, 0);
	word(AT, 0x123456789aull, 8);
	word(AT + 8, 80, 2);
	unit_result(
		STEP("\x48\xff\x1f") == EMUL_OK && e.c.rip == 0x123456789aull &&
			cs->sel == 80 && e.c.regs[INSN_RSP] == AT + 0x70 &&
			at(AT + 0x78, 8) == 0x2b && at(AT + 0x70, 8) == 0x1003,
		"CALL far m16:64");
	load(INSN_MODE_64, 0, 0);
	refuses("CALL far ptr16:32 in 64-bit mode is #UD",
		STEP("\x9a\x00\x20\x00\x00\x50\x00"), UD, -1);
}

static void test_far_returns(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *ss = &e.seg[INSN_SEG_SS];

	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 32, 0, 0, 0);
	unit_result(STEP("\xca\x08\x00") == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == 32 && marked(32) && !e.writes &&
			    e.exchanges == 1 && e.c.regs[INSN_RSP] == AT + 0x90,
		    "RETF 8: same ring, accessed bit set, arguments released");
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 99, AT + 0x40, 19, 0);
	e.seg[INSN_SEG_DS].attr = 0xc93;
	unit_result(STEP("\xcb") == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == 99 && ss->sel == 19 &&
			    e.c.regs[INSN_RSP] == AT + 0x40 &&
			    e.seg[INSN_SEG_DS].attr & EMUL_SEG_UNUSABLE &&
			    !(e.seg[INSN_SEG_ES].attr & EMUL_SEG_UNUSABLE),
		    "RETF: to ring 3, whose stack is popped, and DS dropped");
	load(INSN_MODE_32, 3, 0);
	frame(4, 0x2000, 32, 0, 0, 0);
	refuses("RETF: to an inner ring is #GP(sel)", STEP("\xcb"), GP, 32);
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 0, 0, 0, 0);
	refuses("RETF: null is #GP(0)", STEP("\xcb"), GP, 0);
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 99, AT + 0x40, 8, 0);
	refuses("RETF: SS of another ring is #GP(sel)", STEP("\xcb"), GP, 8);
	real_mode();
	word(ENV_MEM + 0x1000, 0x12340010, 4);
	unit_result(STEP("\xcb") == EMUL_OK && e.c.rip == 0x10 &&
			    cs->base == 0x12340 && e.c.regs[INSN_RSP] == 0x1004,
		    "RETF: real mode");

	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 32, 0x10046, 0, 0);
	unit_result(STEP("\xcf") == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == 32 && marked(32) &&
			    e.c.rflags == 0x10046 &&
			    e.c.regs[INSN_RSP] == AT + 0x8c,
		    "IRET: same ring, with the flags, RF too");
	load(INSN_MODE_32, 3, 0);
	frame(4, 0x2000, 99, 0x3002, 0, 0);
	unit_result(STEP("\xcf") == EMUL_OK && e.c.rflags == 0x202,
		    "IRET: ring 3 changes neither IF nor IOPL");
	load(INSN_MODE_64, 0, 0);
	frame(8, 0x123456789aull, 80, 0x246, AT + 0x48, 0);
	unit_result(STEP("\x48\xcf") == EMUL_OK && e.c.rip == 0x123456789aull &&
			    cs->sel == 80 && ss->sel == 0 &&
			    ss->attr & EMUL_SEG_UNUSABLE &&
			    e.c.regs[INSN_RSP] == AT + 0x48,
		    "IRETQ: same ring, a null SS");
	load(INSN_MODE_32, 0, 0);
	e.c.rflags |= X86_EFLAGS_NT;
	e.tr = (struct emul_seg){ .base = ENV_MEM,
				  .limit = 0x67,
				  .attr = 0x8b };
	refuses("IRET: a return to no task is #TS(0)", STEP("\xcf"), 10, 0);
}

/* ---- call gates, and what IRET ends ---- */

#define GATE 120
#define TSS_AT (ENV_MEM + 0x800)
#define INNER (ENV_MEM + 0x600)
#define CALL_GATE "\x9a\x00\x00\x00\x00\x7b\x00" /* with RPL 3 */
#define CALL_GATE0 "\x9a\x00\x00\x00\x00\x78\x00"
#define JMP_GATE "\xea\x00\x00\x00\x00\x7b\x00"
#define TS 10

/* Makes a gate to @code, and a TSS whose ring 0 has its stack at INNER. */
static void gate(enum insn_mode mode, u8 cpl, unsigned int type,
		 unsigned int dpl, u16 code, u64 rip, unsigned int parameters)
{
	load(mode, cpl, 0);
	e.gdt.limit = GATE + 15;
	word(ENV_MEM + GATE,
	     (rip & 0xffff) | (u64)code << 16 | (u64)parameters << 32 |
		     (u64)(0x80 | dpl << 5 | type) << 40 |
		     (rip & 0xffff0000) << 32,
	     8);
	word(ENV_MEM + GATE + 8, rip >> 32, 8);
	e.tr = (struct emul_seg){
		.base = TSS_AT, .limit = 0x67, .sel = 0x40, .attr = 0x8b
	};
	word(TSS_AT + 4, INNER, 8);
	if (mode == INSN_MODE_32)
		word(TSS_AT + 8, 8, 2);
	word(AT, 0, 4);
	word(AT + 4, GATE | 3, 2);
}

static void test_gate_calls(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *ss = &e.seg[INSN_SEG_SS];

	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x12345678, 2);
	word(AT + 0x80, 0x2222222211111111, 8);
	unit_result(STEP(CALL_GATE) == EMUL_OK && e.c.rip == 0x12345678 &&
			    cs->sel == 32 && ss->sel == 8 && marked(32) &&
			    marked(8) && e.writes == 6 &&
			    e.c.regs[INSN_RSP] == INNER - 24 &&
			    at(INNER - 4, 4) == 0x2b &&
			    at(INNER - 8, 4) == AT + 0x80 &&
			    at(INNER - 16, 8) == 0x2222222211111111 &&
			    at(INNER - 20, 4) == 0x2b &&
			    at(INNER - 24, 4) == 0x1007,
		    "CALL gate of 32 bits: another stack, two parameters");
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x12345678, 31);
	unit_result(STEP(CALL_GATE) == EMUL_OK && e.writes == 35 &&
			    e.c.regs[INSN_RSP] == INNER - 140,
		    "CALL gate: 31 parameters");
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x12345678, 2);
	e.deny = true;
	unit_result(STEP(CALL_GATE) == EMUL_OK && e.c.rip == 0x12345678 &&
			    cs->sel == 32 && !at(INNER - 24, 4),
		    "CALL gate: denied, control goes to the target");
	gate(INSN_MODE_32, 3, 4, 3, 32, 0x12345678, 1);
	word(AT + 0x80, 0x1111, 2);
	e.tr.attr = 0x83;
	word(TSS_AT + 2, 0x00080600, 4);
	/* a stack of 64K at ENV_MEM */
	word(ENV_MEM + 8, 0x300093004000ffffull, 8);
	unit_result(STEP(CALL_GATE) == EMUL_OK && e.c.rip == 0x5678 &&
			    cs->sel == 32 && ss->sel == 8 && e.writes == 5 &&
			    (e.c.regs[INSN_RSP] & 0xffff) == 0x600 - 10 &&
			    at(INNER - 2, 2) == 0x2b &&
			    at(INNER - 4, 2) == ((AT + 0x80) & 0xffff) &&
			    at(INNER - 6, 2) == 0x1111 &&
			    at(INNER - 10, 2) == 0x1007,
		    "CALL gate of 16 bits: a TSS and a stack of 16 bits");
	gate(INSN_MODE_32, 0, 4, 0, 32, 0x5678, 0);
	unit_result(STEP(CALL_GATE0) == EMUL_OK && e.c.rip == 0x5678 &&
			    cs->sel == 32 && e.writes == 2 &&
			    e.c.regs[INSN_RSP] == AT + 0x7c &&
			    at(AT + 0x7c, 4) == 0x002b1007,
		    "CALL gate of 16 bits: same ring, pushes of 2 bytes");
	gate(INSN_MODE_32, 3, 0xc, 3, 67, 0x2000, 0);
	unit_result(STEP(CALL_GATE) == EMUL_OK && cs->sel == 67 &&
			    ss->sel == 0x2b && e.c.regs[INSN_RSP] == AT + 0x78,
		    "CALL gate: conforming code keeps ring and stack");
	gate(INSN_MODE_32, 3, 0xc, 3, 99, 0x2000, 0);
	unit_result(STEP(JMP_GATE) == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == 99 && !e.writes,
		    "JMP gate");
	gate(INSN_MODE_64, 3, 0xc, 3, 80, 0x123456789aull, 0);
	unit_result(STEP("\xff\x1f") == EMUL_OK && e.c.rip == 0x123456789aull &&
			    cs->sel == 80 && ss->sel == 0 &&
			    ss->attr == EMUL_SEG_UNUSABLE && e.writes == 4 &&
			    e.c.regs[INSN_RSP] == INNER - 32 &&
			    at(INNER - 8, 8) == 0x2b &&
			    at(INNER - 16, 8) == AT + 0x80 &&
			    at(INNER - 24, 8) == 0x2b &&
			    at(INNER - 32, 8) == 0x1002,
		    "CALL gate of 64 bits: another stack, a null SS");
}

/* In compatibility mode tables and the handler's stack lie anywhere in 64 bits. */
static void test_compatibility(void)
{
	const u64 high = 1ull << 32, end = ENV_MEM + 0xffc;
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];

	load(INSN_MODE_32, 0, 8);
	e.c.long_mode = true;
	e.above = high;
	word(end, descriptors[0].desc, 8);
	e.gdt.base = high + end - 8;
	unit_result(STEP(MOV_DS) == EMUL_OK && e.split &&
			    e.seg[INSN_SEG_DS].sel == 8 &&
			    at(end, 8) == (descriptors[0].desc | 1ull << 40),
		    "MOV DS, compatibility: a table above 4G, across pages");
	load(INSN_MODE_32, 0, 8);
	/* The end of this page is 4G. */
	e.above = high - ENV_MEM - 0x1000;
	e.c.long_mode = true;
	word(end, descriptors[0].desc, 8);
	e.gdt.base = e.above + end - 8;
	unit_result(STEP(MOV_DS) == EMUL_OK && e.split,
		    "MOV DS, compatibility: a descriptor across 4G");
	load(INSN_MODE_32, 0, 8);
	e.above = high - ENV_MEM - 0x1000;
	e.gdt.base = e.above + end - 8;
	unit_result(fault(STEP(MOV_DS), ENV_PF, 0) && !e.c.exception.cr2,
		    "MOV DS, not in long mode: addresses wrap at 4G");

	gate(INSN_MODE_64, 0, 0xc, 0, 80, 0x2000, 0);
	e.c.mode = INSN_MODE_32;
	e.above = high;
	e.gdt.base += high;
	e.c.regs[INSN_RSP] = high + end + 8;
	unit_result(STEP(CALL_GATE0) == EMUL_OK && cs->sel == 80 && e.split &&
			    e.c.regs[INSN_RSP] == high + end - 8 &&
			    at(end, 8) == 0x2b && at(end - 8, 8) == 0x1007,
		    "CALL gate, compatibility: pushes across pages above 4G");
	gate(INSN_MODE_64, 3, 0xc, 3, 80, 0x2000, 0);
	e.c.mode = INSN_MODE_32;
	e.above = high;
	e.gdt.base += high;
	e.tr.base = high + end - 4;
	word(end, high + INNER, 8);
	unit_result(STEP(CALL_GATE) == EMUL_OK && cs->sel == 80 && e.split &&
			    e.c.regs[INSN_RSP] == high + INNER - 32,
		    "CALL gate, compatibility: a TSS across pages above 4G");
}

static void test_gate_faults(void)
{
	int ret;

	gate(INSN_MODE_32, 3, 0xc, 0, 32, 0x2000, 0);
	refuses("CALL gate: of DPL 0 in ring 3 is #GP(gate)", STEP(CALL_GATE),
		GP, GATE);
	gate(INSN_MODE_32, 0, 0xc, 0, 32, 0x2000, 0);
	refuses("CALL gate: RPL above DPL is #GP(gate)", STEP(CALL_GATE), GP,
		GATE);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	e.mem[GATE + 5] &= 0x7f;
	refuses("CALL gate: not present is #NP(gate)", STEP(CALL_GATE), NP,
		GATE);
	gate(INSN_MODE_32, 3, 0xc, 3, 0, 0x2000, 0);
	refuses("CALL gate: to null is #GP(0)", STEP(CALL_GATE), GP, 0);
	gate(INSN_MODE_32, 3, 0xc, 3, 8, 0x2000, 0);
	refuses("CALL gate: to data is #GP(sel)", STEP(CALL_GATE), GP, 8);
	gate(INSN_MODE_32, 3, 0xc, 3, 104, 0x2000, 0);
	refuses("CALL gate: code not present is #NP(sel)", STEP(CALL_GATE), NP,
		104);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	refuses("JMP gate: to an inner ring is #GP(sel)", STEP(JMP_GATE), GP,
		32);
	gate(INSN_MODE_32, 3, 0xc, 3, 88, 0x2000, 0);
	refuses("CALL gate: beyond the limit is #GP(0)", STEP(CALL_GATE), GP,
		0);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	e.tr.limit = 8;
	refuses("CALL gate: a short TSS is #TS(TSS)", STEP(CALL_GATE), TS,
		0x40);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	word(TSS_AT + 8, 0, 2);
	refuses("CALL gate: a null SS is #TS(0)", STEP(CALL_GATE), TS, 0);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	word(TSS_AT + 8, 19, 2);
	refuses("CALL gate: SS of ring 3 is #TS(sel)", STEP(CALL_GATE), TS, 16);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	word(TSS_AT + 8, 48, 2);
	refuses("CALL gate: SS not present is #SS(sel)", STEP(CALL_GATE), SS,
		48);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	word(TSS_AT + 8, 72, 2);
	refuses("CALL gate: beyond the inner stack is #SS(sel)",
		STEP(CALL_GATE), SS, 72);
	gate(INSN_MODE_32, 3, 0xc, 3, 32, 0x2000, 0);
	word(TSS_AT + 4, ENV_MEM + 8, 4);
	ret = STEP(CALL_GATE);
	unit_result(ret == EMUL_FAULT && e.c.exception.vector == ENV_PF &&
			    !e.writes && !e.exchanges &&
			    e.c.regs[INSN_RSP] == AT + 0x80,
		    "CALL gate: no page for the last push, nothing is stored");
	gate(INSN_MODE_32, 3, 9, 3, 0, 0, 0);
	refuses("CALL far: a TSS of one byte is #TS(sel)", STEP(CALL_GATE), TS,
		GATE);
	gate(INSN_MODE_64, 3, 9, 3, 0, 0, 0);
	refuses("CALL far: no tasks in long mode", STEP("\xff\x1f"), GP, GATE);
	gate(INSN_MODE_64, 3, 0xc, 3, 80, 0x2000, 0);
	e.mem[GATE + 13] = 1;
	refuses("CALL gate: a type in the upper half is #GP(gate)",
		STEP("\xff\x1f"), GP, GATE);
	gate(INSN_MODE_64, 3, 0xc, 3, 32, 0x2000, 0);
	refuses("CALL gate of 64 bits: to 32-bit code is #GP(sel)",
		STEP("\xff\x1f"), GP, 32);
	gate(INSN_MODE_64, 3, 0xc, 3, 80, 0x800000000000ull, 0);
	refuses("CALL gate of 64 bits: not canonical is #GP(0)",
		STEP("\xff\x1f"), GP, 0);
}

static void test_iret_ends(void)
{
	static const u32 vm86[] = { 0x2000,	0x1234,	    0x23202,
				    0xabcd1000, 0x11110002, 3,
				    4,		5,	    6 };
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	unsigned int i;

	load(INSN_MODE_32, 0, 0);
	for (i = 0; i < ARRAY_SIZE(vm86); i++)
		word(AT + 0x80 + 4 * i, vm86[i], 4);
	unit_result(STEP("\xcf") == EMUL_OK && e.c.rip == 0x2000 &&
			    e.c.rflags == 0x23202 &&
			    e.c.regs[INSN_RSP] == 0xabcd1000 &&
			    cs->sel == 0x1234 && cs->base == 0x12340 &&
			    cs->limit == 0xffff && cs->attr == 0xf3 &&
			    e.seg[INSN_SEG_SS].base == 0x20 &&
			    e.seg[INSN_SEG_ES].sel == 3 &&
			    e.seg[INSN_SEG_DS].sel == 4 &&
			    e.seg[INSN_SEG_FS].sel == 5 &&
			    e.seg[INSN_SEG_GS].base == 0x60,
		    "IRET: to VM86, with all segments");
	load(INSN_MODE_32, 0, 0);
	for (i = 0; i < ARRAY_SIZE(vm86); i++)
		word(AT + 0x80 + 4 * i, i ? vm86[i] : 0x10000, 4);
	refuses("IRET: to VM86 beyond 64K is #GP(0)", STEP("\xcf"), GP, 0);
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 32, 0x46, 0, 0);
	e.c.nmi_masked = true;
	unit_result(STEP("\xcf") == EMUL_OK && e.nmi_unblocked,
		    "IRET: ends blocking of NMIs");
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 32, 0x46, 0, 0);
	unit_result(STEP("\xcf") == EMUL_OK && !e.nmi_unblocked,
		    "IRET: where NMIs are not blocked");
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 0, 0x46, 0, 0);
	e.c.nmi_masked = true;
	refuses("IRET: to null is #GP(0)", STEP("\xcf"), GP, 0);
	unit_result(e.nmi_unblocked, "IRET: ends blocking of NMIs, with #GP");
	load(INSN_MODE_32, 0, 0);
	frame(4, 0x2000, 32, 0x46, 0, 0);
	e.c.nmi_masked = true;
	e.pend_at = 1;
	unit_result(STEP("\xcf") == EMUL_PENDING && !e.nmi_unblocked,
		    "IRET: blocks NMIs while it waits");
}

#define LTR_AX "\x0f\x00\xd8"
#define LLDT_AX "\x0f\x00\xd0"

static void test_system_loads(void)
{
	const u64 tss = 0x0000890000002067ull, ldt = 0x000082123456001full;

	load(INSN_MODE_32, 0, 8);
	word(ENV_MEM + 8, tss, 8);
	unit_result(STEP(LTR_AX) == EMUL_OK && e.tr.sel == 8 &&
			    e.tr.limit == 0x2067 && e.tr.attr == 0x8b &&
			    e.exchanges == 1 &&
			    at(ENV_MEM + 8, 8) == (tss | 1ull << 41),
		    "LTR: TR, and busy in the table");
	refuses("LTR: a busy one is #GP(sel)", (e.c.rip = 0x1000, STEP(LTR_AX)),
		GP, 8);
	load(INSN_MODE_32, 0, 0);
	refuses("LTR: null is #GP(0)", STEP(LTR_AX), GP, 0);
	load(INSN_MODE_32, 0, 8);
	word(ENV_MEM + 8, tss & ~(1ull << 47), 8);
	refuses("LTR: not present is #NP(sel)", STEP(LTR_AX), NP, 8);
	load(INSN_MODE_32, 3, 8);
	refuses("LTR: in ring 3 is #GP(0)", STEP(LTR_AX), GP, 0);
	load(INSN_MODE_32, 0, 12);
	refuses("LTR: of the LDT is #GP(sel)", STEP(LTR_AX), GP, 12);
	real_mode();
	refuses("LTR: in real mode is #UD", STEP(LTR_AX), UD, -1);
	load(INSN_MODE_64, 0, 0);
	word(ENV_MEM + 8, tss, 8);
	word(ENV_MEM + 16, 0xffff8000, 8);
	word(AT, 8, 2);
	unit_result(STEP("\x0f\x00\x1f") == EMUL_OK &&
			    e.tr.base == 0xffff800000000000ull,
		    "LTR m16: 16 bytes of descriptor in long mode");
	load(INSN_MODE_64, 0, 8);
	word(ENV_MEM + 8, tss, 8);
	word(ENV_MEM + 16, 0x100000000000ull, 8);
	refuses("LTR: a type in the upper half is #GP(sel)", STEP(LTR_AX), GP,
		8);
	load(INSN_MODE_64, 0, 8);
	word(ENV_MEM + 8, 0x0000810000002067ull, 8);
	refuses("LTR: a 16-bit TSS in long mode is #GP(sel)", STEP(LTR_AX), GP,
		8);
	load(INSN_MODE_32, 0, 8);
	word(ENV_MEM + 8, ldt, 8);
	unit_result(STEP(LLDT_AX) == EMUL_OK && e.ldt.sel == 8 &&
			    e.ldt.base == 0x123456 && e.ldt.limit == 0x1f &&
			    !e.exchanges,
		    "LLDT");
	load(INSN_MODE_32, 0, 3);
	unit_result(STEP(LLDT_AX) == EMUL_OK && e.ldt.attr & EMUL_SEG_UNUSABLE,
		    "LLDT: null");
	load(INSN_MODE_32, 0, 8);
	refuses("LLDT: of a data segment is #GP(sel)", STEP(LLDT_AX), GP, 8);
}

/* Puts an m16:32 to AT, whose selector is also part of an offset of 64 bits. */
static void far_pointer32(u16 sel)
{
	load(INSN_MODE_64, 0, 0);
	e.c.features &= ~EMUL_FEAT_FAR64;
	word(AT, 0x80002000, 4);
	word(AT + 4, sel, 2);
	word(AT + 6, 0xffffffff, 4);
}

static void test_vendors(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *fs = &e.seg[INSN_SEG_FS];

	far_pointer32(80);
	unit_result(STEP("\x48\xff\x2f") == EMUL_OK && e.c.rip == 0x80002000 &&
			    cs->sel == 80,
		    "JMP far with REX.W: m16:32 on AMD");
	far_pointer32(80);
	unit_result(STEP("\x48\xff\x1f") == EMUL_OK && e.c.rip == 0x80002000 &&
			    cs->sel == 80 && e.c.regs[INSN_RSP] == AT + 0x70 &&
			    at(AT + 0x78, 8) == 0x2b &&
			    at(AT + 0x70, 8) == 0x1003,
		    "CALL far with REX.W: m16:32 on AMD, pushes of 8 bytes");
	far_pointer32(8);
	e.c.regs[INSN_RDX] = ~0ull;
	unit_result(STEP("\x48\x0f\xb4\x17") == EMUL_OK && fs->sel == 8 &&
			    e.c.regs[INSN_RDX] == 0x80002000 &&
			    e.highest == AT + 6,
		    "LFS with REX.W: m16:32 on AMD, a register of 32 bits");
	load(INSN_MODE_64, 0, 0);
	word(AT, 0x123456789abcdef0ull, 8);
	word(AT + 8, 8, 2);
	unit_result(STEP("\x48\x0f\xb4\x17") == EMUL_OK && fs->sel == 8 &&
			    e.c.regs[INSN_RDX] == 0x123456789abcdef0ull,
		    "LFS with REX.W: m16:64 on Intel");

	load(INSN_MODE_64, 0, 0);
	word(AT, 0x8000f123, 4);
	e.c.regs[INSN_RAX] = ~0ull;
	unit_result(STEP("\x66\x63\x07") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0xfffffffffffff123ull &&
			    e.highest == AT + 4,
		    "MOVSXD r16: reads 32 bits on AMD");
	e.c.features |= EMUL_FEAT_MOVSXD16;
	env_begin(&e);
	e.c.regs[INSN_RAX] = 0;
	unit_result(STEP("\x66\x63\x07") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0xf123 && e.highest == AT + 2,
		    "MOVSXD r16: reads 16 bits on Intel");

	load(INSN_MODE_64, 0, 0);
	e.seg[INSN_SEG_FS].base = 0x12345;
	unit_result(STEP("\x8e\xe0") == EMUL_OK && fs->sel == 0 && !fs->base &&
			    fs->attr & EMUL_SEG_UNUSABLE,
		    "MOV FS: null clears the base");
	e.seg[INSN_SEG_FS].base = 0x12345;
	e.c.features |= EMUL_FEAT_NULL_KEEPS_BASE;
	unit_result(STEP("\x8e\xe0") == EMUL_OK && fs->sel == 0 &&
			    fs->base == 0x12345 && fs->attr & EMUL_SEG_UNUSABLE,
		    "MOV FS: null keeps the base on older CPUs of AMD");
}

/* PUSH DS and PUSH CS with a 32-bit operand, onto a stack full of ones. */
static void test_push_segment(void)
{
	load(INSN_MODE_32, 0, 0);
	word(AT + 0x7c, 0xffffffff, 4);
	unit_result(STEP("\x1e") == EMUL_OK && at(AT + 0x7c, 4) == 0x2b &&
			    e.c.regs[INSN_RSP] == AT + 0x7c,
		    "PUSH DS: 32 bits on AMD");
	load(INSN_MODE_32, 0, 0);
	e.c.features |= EMUL_FEAT_PUSH_SEG16;
	word(AT + 0x7c, 0xffffffff, 4);
	unit_result(STEP("\x1e") == EMUL_OK && at(AT + 0x7c, 4) == 0xffff002b &&
			    e.c.regs[INSN_RSP] == AT + 0x7c,
		    "PUSH DS: 16 bits on Intel");
	load(INSN_MODE_64, 0, 0);
	e.c.features |= EMUL_FEAT_PUSH_SEG16;
	word(AT + 0x78, ~0ull, 8);
	unit_result(STEP("\x0f\xa0") == EMUL_OK && at(AT + 0x78, 8) == 0x2b,
		    "PUSH FS: 64 bits on both");
}

/* ---- near branches with 66 in 64-bit mode ---- */

#define NEAR_RIP 0x2bcd00012345ull
#define NEAR_TO 0x123456789678ull
#define NEAR_TOP 0x5a5a5a5a5a5a5a5aull /* what the stack has around rSP */

static void near_branch(bool near16)
{
	load(INSN_MODE_64, 0, 0);
	vigil_insn_near16 = near16;
	e.c.rip = NEAR_RIP;
	e.c.regs[INSN_RCX] = 2;
	e.c.regs[INSN_RDX] = NEAR_TO;
	word(AT, NEAR_TO, 8);
	word(AT + 0x78, NEAR_TOP, 8);
	word(AT + 0x80, NEAR_TO, 8);
}

/*
 * Of each branch: where it leads and how long it is, with 66 and on either vendor's
 * CPUs; @rsp is how far it moves rSP.
 */
static const struct near_case {
	const char *what, *bytes;
	struct {
		u64 rip;
		u8 len;
		s8 rsp;
	} intel, amd;
} near_cases[] = {
	/* RIP + the distance of 32 bits, or IP + the one of 16 */
	{ "JMP rel",
	  "\x66\xe9\x34\x12\x01\0",
	  { NEAR_RIP + 6 + 0x11234, 6, 0 },
	  { 0x2345 + 4 + 0x1234, 4, 0 } },
	{ "JMP back",
	  "\x66\xe9\0\x80\xff\xff",
	  { NEAR_RIP + 6 - 0x8000, 6, 0 },
	  { 0xa349, 4, 0 } },
	{ "JMP rel8",
	  "\x66\xeb\x10\0\0\0",
	  { NEAR_RIP + 3 + 0x10, 3, 0 },
	  { 0x2358, 3, 0 } },
	{ "JMP rel with REX.W",
	  "\x66\x48\xe9\x34\x12\x01",
	  { NEAR_RIP + 7 + 0x11234, 7, 0 },
	  { NEAR_RIP + 7 + 0x11234, 7, 0 } },
	{ "JMP reg", "\x66\xff\xe2\0\0\0", { NEAR_TO, 3, 0 }, { 0x9678, 3, 0 } },
	{ "JMP mem", "\x66\xff\x27\0\0\0", { NEAR_TO, 3, 0 }, { 0x9678, 3, 0 } },
	{ "JE, not taken",
	  "\x66\x0f\x84\x34\x12\x01",
	  { NEAR_RIP + 7, 7, 0 },
	  { NEAR_RIP + 5, 5, 0 } },
	{ "JNE",
	  "\x66\x0f\x85\x34\x12\x01",
	  { NEAR_RIP + 7 + 0x11234, 7, 0 },
	  { 0x2345 + 5 + 0x1234, 5, 0 } },
	{ "JNE rel8",
	  "\x66\x75\x80\0\0\0",
	  { NEAR_RIP + 3 - 0x80, 3, 0 },
	  { 0x22c8, 3, 0 } },
	{ "LOOP",
	  "\x66\xe2\x10\0\0\0",
	  { NEAR_RIP + 3 + 0x10, 3, 0 },
	  { 0x2358, 3, 0 } },
	{ "JRCXZ, not taken",
	  "\x66\xe3\x10\0\0\0",
	  { NEAR_RIP + 3, 3, 0 },
	  { NEAR_RIP + 3, 3, 0 } },
	{ "CALL rel",
	  "\x66\xe8\x34\x12\x01\0",
	  { NEAR_RIP + 6 + 0x11234, 6, -8 },
	  { 0x2345 + 4 + 0x1234, 4, -2 } },
	{ "CALL reg",
	  "\x66\xff\xd2\0\0\0",
	  { NEAR_TO, 3, -8 },
	  { 0x9678, 3, -2 } },
	{ "CALL mem",
	  "\x66\xff\x17\0\0\0",
	  { NEAR_TO, 3, -8 },
	  { 0x9678, 3, -2 } },
	{ "RET", "\x66\xc3\0\0\0\0", { NEAR_TO, 2, 8 }, { 0x9678, 2, 2 } },
	{ "RET imm",
	  "\x66\xc2\x10\0\0\0",
	  { NEAR_TO, 4, 0x18 },
	  { 0x9678, 4, 0x12 } },
};

static void test_near_branches(void)
{
	unsigned int i, amd;

	for (i = 0; i < 2 * ARRAY_SIZE(near_cases); i++) {
		const struct near_case *n = &near_cases[i / 2];
		/* JMP with REX.W has a byte more. */
		u8 bytes[7] = { 0 };
		u64 rip, pushed;
		int len, rsp;

		amd = i & 1;
		memcpy(bytes, n->bytes, 6);
		rip = amd ? n->amd.rip : n->intel.rip;
		len = amd ? n->amd.len : n->intel.len;
		rsp = amd ? n->amd.rsp : n->intel.rsp;
		near_branch(amd);
		pushed = NEAR_TOP;
		if (rsp == -2)
			pushed = NEAR_TOP >> 16 | (u64)(u16)(NEAR_RIP + len)
							  << 48;
		else if (rsp == -8)
			pushed = NEAR_RIP + len;
		unit_result(env_step(&e, bytes, len) == EMUL_OK &&
				    e.c.insn.len == len && e.c.rip == rip &&
				    e.c.regs[INSN_RSP] == AT + 0x80 + rsp &&
				    at(AT + 0x78, 8) == pushed,
			    "66 %s on %s", n->what, amd ? "AMD" : "Intel");
		near_branch(amd);
		if (len > 3)
			unit_result(env_step(&e, bytes, len - 1) == -1,
				    "66 %s on %s: every byte is needed",
				    n->what, amd ? "AMD" : "Intel");
	}
	vigil_insn_near16 = false;
}

int main(void)
{
	test_segment_loads();
	test_far_jumps();
	test_far_calls();
	test_far_returns();
	test_system_loads();
	test_gate_calls();
	test_compatibility();
	test_gate_faults();
	test_iret_ends();
	test_vendors();
	test_push_segment();
	test_near_branches();
	return unit_end();
}
