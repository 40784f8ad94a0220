// SPDX-License-Identifier: GPL-2.0
/* INT n, INT3, INTO and INT1: vectors of real mode, gates, stacks, and refusals. */
#include "machine.h"

#define TS 10
#define VECTOR 0x10
#define INT_N "\xcd\x10"
#define IDT_AT (ENV_MEM + 0x900)
#define TSS_AT (ENV_MEM + 0x800)
#define INNER (ENV_MEM + 0x600)
#define IST3 (ENV_MEM + 0x708)
#define EC(vector) ((vector)*8 + 2)

#define CODE0 8
#define DATA0 16
#define CODE3 24
#define CODE64 32
#define GONE 40
#define CONFORMING 48
#define SMALL 56

static const u64 gdt[] = {
	0,
	0x00cf9a000000ffffull,
	0x00cf92000000ffffull,
	0x00cffa000000ffffull,
	0x00af9a000000ffffull,
	0x00cf1a000000ffffull,
	0x00cf9e000000ffffull,
	0x00409a0000000fffull,
};

/* What an INT n pushes for the flags of begin(). */
static u64 pushed_flags;

static void gate(enum insn_mode mode, u8 vector, u16 sel, unsigned int type,
		 unsigned int dpl, unsigned int ist, u64 rip)
{
	unsigned int bytes = mode == INSN_MODE_64 ? 16 : 8;

	word(IDT_AT + vector * bytes,
	     (rip & 0xffff) | (u64)sel << 16 | (u64)ist << 32 |
		     (u64)(0x80 | dpl << 5 | type) << 40 |
		     (rip & 0xffff0000) << 32,
	     8);
	if (bytes == 16)
		word(IDT_AT + vector * bytes + 8, rip >> 32, 8);
}

/* A machine at @cpl with one gate, whose TSS has a stack for ring 0 at INNER. */
static void begin(enum insn_mode mode, u8 cpl, u16 sel, unsigned int type,
		  unsigned int dpl, u64 rip)
{
	unsigned int i;

	kernel(mode);
	e.c.cpl = cpl;
	for (i = 0; i < ARRAY_SIZE(gdt); i++)
		word(ENV_MEM + 8 * i, gdt[i], 8);
	e.gdt.base = ENV_MEM;
	e.gdt.limit = sizeof(gdt) - 1;
	e.idt.base = IDT_AT;
	e.idt.limit = (VECTOR + 1) * (mode == INSN_MODE_64 ? 16 : 8) - 1;
	e.tr = (struct emul_seg){
		.base = TSS_AT, .limit = 0x67, .sel = 0x40, .attr = 0x8b
	};
	word(TSS_AT + 4, INNER, 8);
	if (mode == INSN_MODE_32)
		word(TSS_AT + 8, DATA0, 2);
	word(TSS_AT + 36 + 8 * 2, IST3, 8);
	gate(mode, VECTOR, sel, type, dpl, 0, rip);
	e.c.rflags |= X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_NT |
		      X86_EFLAGS_RF;
	pushed_flags = e.c.rflags & ~(u64)X86_EFLAGS_RF;
}

static bool flags_are(u64 bits)
{
	const u64 mask = X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_NT |
			 X86_EFLAGS_RF | X86_EFLAGS_VM;

	return (e.c.rflags & mask) == bits;
}

static void test_protected(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *ss = &e.seg[INSN_SEG_SS];

	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x12345678);
	unit_result(STEP(INT_N) == EMUL_OK && e.c.rip == 0x12345678 &&
			    cs->sel == CODE0 && e.writes == 3 &&
			    e.c.regs[INSN_RSP] == AT + 0x74 &&
			    at(AT + 0x7c, 4) == pushed_flags &&
			    at(AT + 0x78, 4) == 0x2b &&
			    at(AT + 0x74, 4) == 0x1002 && flags_are(0) &&
			    e.c.no_step,
		    "INT n: interrupt gate, the same ring");
	begin(INSN_MODE_32, 0, CODE0, 0xf, 0, 0x2000);
	unit_result(STEP(INT_N) == EMUL_OK && flags_are(X86_EFLAGS_IF),
		    "INT n: a trap gate leaves IF");
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	unit_result(STEP(INT_N) == EMUL_OK && cs->sel == CODE0 &&
			    ss->sel == DATA0 && e.writes == 5 &&
			    e.c.regs[INSN_RSP] == INNER - 20 &&
			    at(INNER - 4, 4) == 0x2b &&
			    at(INNER - 8, 4) == AT + 0x80 &&
			    at(INNER - 12, 4) == pushed_flags &&
			    at(INNER - 16, 4) == 0x2b &&
			    at(INNER - 20, 4) == 0x1002,
		    "INT n: from ring 3 to ring 0");
	begin(INSN_MODE_32, 3, CONFORMING, 0xe, 3, 0x2000);
	unit_result(STEP(INT_N) == EMUL_OK && cs->sel == (CONFORMING | 3) &&
			    ss->sel == 0x2b && e.writes == 3,
		    "INT n: conforming code keeps ring and stack");
	begin(INSN_MODE_32, 0, CODE0, 6, 0, 0x5678);
	unit_result(STEP(INT_N) == EMUL_OK && e.c.rip == 0x5678 &&
			    e.c.regs[INSN_RSP] == AT + 0x7a &&
			    at(AT + 0x7a, 2) == 0x1002 && flags_are(0),
		    "INT n: gate of 16 bits");
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	e.deny = true;
	unit_result(STEP(INT_N) == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == CODE0 && !at(INNER - 20, 4),
		    "INT n: denied, control goes to the handler");
}

static void test_long(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *ss = &e.seg[INSN_SEG_SS];

	begin(INSN_MODE_64, 0, CODE64, 0xe, 0, 0x7fff12345678ull);
	e.c.regs[INSN_RSP] = AT + 0x7b;
	unit_result(
		STEP(INT_N) == EMUL_OK && e.c.rip == 0x7fff12345678ull &&
			cs->sel == CODE64 && ss->sel == 0x2b && e.writes == 5 &&
			e.c.regs[INSN_RSP] == AT + 0x70 - 40 &&
			at(AT + 0x68, 8) == 0x2b &&
			at(AT + 0x60, 8) == AT + 0x7b &&
			at(AT + 0x58, 8) == pushed_flags &&
			at(AT + 0x50, 8) == 0x2b && at(AT + 0x48, 8) == 0x1002,
		"INT n, 64-bit: the stack is aligned, five pushes");
	begin(INSN_MODE_64, 3, CODE64, 0xf, 3, 0x2000);
	unit_result(STEP(INT_N) == EMUL_OK && cs->sel == CODE64 && !ss->sel &&
			    ss->attr == EMUL_SEG_UNUSABLE &&
			    e.c.regs[INSN_RSP] == INNER - 40 &&
			    flags_are(X86_EFLAGS_IF),
		    "INT n, 64-bit: from ring 3, a null SS");
	begin(INSN_MODE_64, 0, CODE64, 0xe, 0, 0x2000);
	gate(INSN_MODE_64, VECTOR, CODE64, 0xe, 0, 3, 0x2000);
	unit_result(STEP(INT_N) == EMUL_OK && ss->sel == 0x2b &&
			    e.c.regs[INSN_RSP] == (IST3 & ~15ull) - 40,
		    "INT n, 64-bit: interrupt stack table");
	begin(INSN_MODE_64, 3, CODE64, 0xe, 3, 0x2000);
	e.c.mode = INSN_MODE_32;
	e.above = 1ull << 32;
	e.gdt.base += e.above;
	e.tr.base += e.above;
	word(TSS_AT + 4, e.above + INNER, 8);
	memcpy(&e.mem[0xff8], &e.mem[IDT_AT - ENV_MEM + 16 * VECTOR], 16);
	e.idt.base = e.above + ENV_MEM + 0xff8 - 16 * VECTOR;
	unit_result(STEP(INT_N) == EMUL_OK && cs->sel == CODE64 && e.split &&
			    e.c.regs[INSN_RSP] == e.above + INNER - 40,
		    "INT n, compatibility: a gate across pages above 4G");
	begin(INSN_MODE_64, 0, CODE64, 6, 0, 0x2000);
	refuses("INT n, 64-bit: no gates of 16 bits", STEP(INT_N), GP,
		EC(VECTOR));
	begin(INSN_MODE_64, 0, CODE0, 0xe, 0, 0x2000);
	refuses("INT n, 64-bit: to 32-bit code is #GP(sel)", STEP(INT_N), GP,
		CODE0);
	begin(INSN_MODE_64, 0, CODE64, 0xe, 0, 0x800000000000ull);
	refuses("INT n, 64-bit: not canonical is #GP(0)", STEP(INT_N), GP, 0);
	begin(INSN_MODE_64, 3, CODE64, 0xe, 3, 0x2000);
	word(TSS_AT + 4, 0x800000001000ull, 8);
	refuses("INT n, 64-bit: a stack that is not canonical is #SS(0)",
		STEP(INT_N), SS, 0);
	begin(INSN_MODE_64, 0, CODE64, 5, 0, 0x2000);
	refuses("INT n, 64-bit: no task gates", STEP(INT_N), GP, EC(VECTOR));
}

static void test_refused(void)
{
	int ret;

	begin(INSN_MODE_32, 3, CODE0, 0xe, 2, 0x2000);
	refuses("INT n: DPL below CPL is #GP(gate)", STEP(INT_N), GP,
		EC(VECTOR));
	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x2000);
	e.mem[IDT_AT - ENV_MEM + 8 * VECTOR + 5] &= 0x7f;
	refuses("INT n: not present is #NP(gate)", STEP(INT_N), NP, EC(VECTOR));
	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x2000);
	e.idt.limit--;
	refuses("INT n: beyond the IDT is #GP(gate)", STEP(INT_N), GP,
		EC(VECTOR));
	begin(INSN_MODE_32, 0, CODE0, 0xc, 0, 0x2000);
	refuses("INT n: a call gate is #GP(gate)", STEP(INT_N), GP, EC(VECTOR));
	begin(INSN_MODE_32, 0, 0, 0xe, 0, 0x2000);
	refuses("INT n: to null is #GP(0)", STEP(INT_N), GP, 0);
	begin(INSN_MODE_32, 0, DATA0, 0xe, 0, 0x2000);
	refuses("INT n: to data is #GP(sel)", STEP(INT_N), GP, DATA0);
	begin(INSN_MODE_32, 0, CODE3, 0xe, 0, 0x2000);
	refuses("INT n: to an outer ring is #GP(sel)", STEP(INT_N), GP, CODE3);
	begin(INSN_MODE_32, 0, GONE, 0xe, 0, 0x2000);
	refuses("INT n: code not present is #NP(sel)", STEP(INT_N), NP, GONE);
	begin(INSN_MODE_32, 0, SMALL, 0xe, 0, 0x1000);
	refuses("INT n: beyond the limit is #GP(0)", STEP(INT_N), GP, 0);
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	e.tr.limit = 8;
	refuses("INT n: a short TSS is #TS(TSS)", STEP(INT_N), TS, 0x40);
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	word(TSS_AT + 4, ENV_MEM + 8, 4);
	ret = STEP(INT_N);
	unit_result(ret == EMUL_FAULT && e.c.exception.vector == ENV_PF &&
			    !e.writes && e.c.rip == 0x1000 &&
			    e.c.regs[INSN_RSP] == AT + 0x80,
		    "INT n: no page for the last push, nothing is stored");
	begin(INSN_MODE_32, 0, CODE0, 5, 0, 0x2000);
	refuses("INT n: a task gate to code is #GP(sel)", STEP(INT_N), GP,
		CODE0);
}

/* The other three have vectors of their own. */
static void test_others(void)
{
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 3, CODE0, 0xe, 3, 0, 0x3000);
	unit_result(STEP("\xcc") == EMUL_OK && e.c.rip == 0x3000 &&
			    at(INNER - 20, 4) == 0x1001,
		    "INT3");
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 3, CODE0, 0xe, 0, 0, 0x3000);
	refuses("INT3: DPL below CPL is #GP(gate)", STEP("\xcc"), GP, EC(3));
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 4, CODE0, 0xe, 3, 0, 0x4000);
	unit_result(STEP("\xce") == EMUL_OK && e.c.rip == 0x1001 && !e.writes &&
			    !e.c.no_step,
		    "INTO without OF");
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 4, CODE0, 0xe, 3, 0, 0x4000);
	e.c.rflags |= X86_EFLAGS_OF;
	unit_result(STEP("\xce") == EMUL_OK && e.c.rip == 0x4000, "INTO");
	begin(INSN_MODE_64, 0, 0, 0xe, 0, 0);
	refuses("INTO, 64-bit, is #UD", STEP("\xce"), UD, -1);
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 1, CODE0, 0xe, 0, 0, 0x1100);
	unit_result(STEP("\xf1") == EMUL_OK && e.c.rip == 0x1100,
		    "INT1 does not ask for the DPL");
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 1, CODE0, 0xc, 0, 0, 0x1100);
	refuses("INT1: its error codes have EXT", STEP("\xf1"), GP, EC(1) | 1);
	begin(INSN_MODE_32, 3, 0, 0xe, 0, 0);
	gate(INSN_MODE_32, 1, GONE, 0xe, 0, 0, 0x1100);
	refuses("INT1: the code segment's error code has EXT", STEP("\xf1"), NP,
		GONE | 1);
}

static void test_real(void)
{
	real_mode();
	e.c.regs[INSN_RSP] = 0x180;
	e.idt.base = IDT_AT;
	e.idt.limit = 4 * VECTOR + 3;
	word(IDT_AT + 4 * VECTOR, 0x1234beef, 4);
	e.c.rflags |= X86_EFLAGS_IF | X86_EFLAGS_TF;
	unit_result(STEP(INT_N) == EMUL_OK && e.c.rip == 0xbeef &&
			    e.seg[INSN_SEG_CS].sel == 0x1234 &&
			    e.seg[INSN_SEG_CS].base == 0x12340 &&
			    (e.c.regs[INSN_RSP] & 0xffff) == 0x17a &&
			    at(ENV_MEM + 0x17a, 2) == 0x1002 &&
			    (at(ENV_MEM + 0x17e, 2) & 0x300) == 0x300 &&
			    flags_are(0),
		    "INT n, real mode");
	real_mode();
	e.idt.base = IDT_AT;
	e.idt.limit = 4 * VECTOR + 2;
	refuses("INT n, real mode: beyond the table is #GP", STEP(INT_N), GP,
		-1);
}

static void test_vm86(void)
{
	unsigned int i;

	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	for (i = 0; i < 6; i++)
		e.seg[i].sel = 0x100 + i;
	e.seg[INSN_SEG_SS].attr &= ~EMUL_SEG_DB;
	unit_result(STEP(INT_N) == EMUL_OK && e.writes == 9 &&
			    e.c.regs[INSN_RSP] == INNER - 36 &&
			    at(INNER - 4, 4) == 0x100 + INSN_SEG_GS &&
			    at(INNER - 8, 4) == 0x100 + INSN_SEG_FS &&
			    at(INNER - 12, 4) == 0x100 + INSN_SEG_DS &&
			    at(INNER - 16, 4) == 0x100 + INSN_SEG_ES &&
			    at(INNER - 20, 4) == 0x100 + INSN_SEG_SS &&
			    at(INNER - 32, 4) == 0x100 + INSN_SEG_CS &&
			    at(INNER - 28, 4) & X86_EFLAGS_VM && flags_are(0) &&
			    e.seg[INSN_SEG_GS].attr & EMUL_SEG_UNUSABLE,
		    "INT n, VM86: nine pushes, null data segments");
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM;
	refuses("INT n, VM86: IOPL below 3 is #GP(0)", STEP(INT_N), GP, 0);
	begin(INSN_MODE_32, 3, CONFORMING, 0xe, 3, 0x2000);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	refuses("INT n, VM86: a handler in ring 3 is #GP(sel)", STEP(INT_N), GP,
		CONFORMING);
	begin(INSN_MODE_32, 3, CODE0, 0xe, 3, 0x2000);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	e.cr[4] |= X86_CR4_VME;
	unit_result(STEP(INT_N) == EMUL_UNHANDLED,
		    "INT n, VM86: redirection is left to others");
}

/* ---- events that the CPU did not deliver ---- */

static int deliver(const struct emul_event *ev)
{
	vigil_emul_begin(&e.c);
	vigil_emul_deliver(&e.c, ev);
	return vigil_emulate(&e.c, &env_ops);
}

static const struct emul_event fault_ev = { .vector = VECTOR,
					    .external = true,
					    .rf = true,
					    .has_ec = true,
					    .error_code = 0x5678 };
static const struct emul_event irq_ev = { .vector = VECTOR, .external = true };

static void test_events(void)
{
	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x12345678);
	e.c.rflags &= ~(u64)X86_EFLAGS_RF;
	unit_result(deliver(&fault_ev) == EMUL_OK && e.c.rip == 0x12345678 &&
			    e.writes == 4 && e.c.regs[INSN_RSP] == AT + 0x70 &&
			    at(AT + 0x7c, 4) ==
				    (pushed_flags | X86_EFLAGS_RF) &&
			    at(AT + 0x78, 4) == 0x2b &&
			    at(AT + 0x74, 4) == 0x1000 &&
			    at(AT + 0x70, 4) == 0x5678 && flags_are(0) &&
			    e.c.no_step,
		    "a fault: RIP at the instruction, RF, the error code");
	begin(INSN_MODE_32, 3, CODE0, 0xe, 0, 0x2000);
	unit_result(deliver(&irq_ev) == EMUL_OK && e.writes == 5 &&
			    e.c.regs[INSN_RSP] == INNER - 20 &&
			    at(INNER - 12, 4) ==
				    (pushed_flags | X86_EFLAGS_RF) &&
			    at(INNER - 20, 4) == 0x1000 && flags_are(0),
		    "an interrupt: whatever the gate's DPL, RF as it is");
	begin(INSN_MODE_32, 0, CODE0, 6, 0, 0x2000);
	unit_result(deliver(&fault_ev) == EMUL_OK && e.writes == 4 &&
			    e.c.regs[INSN_RSP] == AT + 0x78 &&
			    at(AT + 0x78, 2) == 0x5678,
		    "a fault: a gate of 16 bits, an error code of 16");
	begin(INSN_MODE_64, 0, CODE64, 0xe, 0, 0x7fff12345678ull);
	e.c.regs[INSN_RSP] += 4;
	unit_result(deliver(&fault_ev) == EMUL_OK && e.writes == 6 &&
			    e.c.regs[INSN_RSP] == AT + 0x80 - 48 &&
			    at(AT + 0x80 - 16, 8) == AT + 0x84 &&
			    at(AT + 0x80 - 40, 8) == 0x1000 &&
			    at(AT + 0x80 - 48, 8) == 0x5678,
		    "a fault: 64 bits, aligned before the frame");
	begin(INSN_MODE_32, 3, CODE0, 0xe, 0, 0x2000);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM;
	unit_result(deliver(&fault_ev) == EMUL_OK && e.writes == 10 &&
			    e.c.regs[INSN_RSP] == INNER - 40 &&
			    at(INNER - 40, 4) == 0x5678 &&
			    at(INNER - 28, 4) & X86_EFLAGS_VM,
		    "a fault: VM86, IOPL 0, ten pushes");
	real_mode();
	e.c.regs[INSN_RSP] = 0x180;
	e.idt.base = IDT_AT;
	e.idt.limit = 4 * VECTOR + 3;
	word(IDT_AT + 4 * VECTOR, 0x1234beef, 4);
	unit_result(deliver(&fault_ev) == EMUL_OK && e.c.rip == 0xbeef &&
			    e.writes == 3 &&
			    (e.c.regs[INSN_RSP] & 0xffff) == 0x17a &&
			    at(ENV_MEM + 0x17a, 2) == 0x1000,
		    "a fault: real mode, no error code");
	begin(INSN_MODE_32, 0, GONE, 0xe, 0, 0x2000);
	refuses("an event: a handler that is not there is #NP(sel + EXT)",
		deliver(&irq_ev), NP, GONE | 1);
	begin(INSN_MODE_32, 0, GONE, 0xe, 0, 0x2000);
	refuses("INT3 as an event: no EXT",
		deliver(&(struct emul_event){ .vector = VECTOR }), NP, GONE);
	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x2000);
	e.idt.limit--;
	refuses("an event: beyond the IDT is #GP(vector + EXT)",
		deliver(&irq_ev), GP, EC(VECTOR) | 1);
	begin(INSN_MODE_32, 0, CODE0, 0xe, 0, 0x2000);
	e.c.regs[INSN_RSP] = 0x1004;
	refuses("an event: no page for the stack", deliver(&irq_ev), ENV_PF, 2);
}

int main(void)
{
	test_protected();
	test_long();
	test_refused();
	test_others();
	test_real();
	test_vm86();
	test_events();
	return unit_end();
}
