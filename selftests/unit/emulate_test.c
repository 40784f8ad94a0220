// SPDX-License-Identifier: GPL-2.0
/*
 * What no process can do natively: real mode, VM86, CPL 0, control and
 * descriptor-table registers, segment loads, and how the emulator refuses.
 */
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

/* env_step() of a string of bytes */
#define STEP(s) env_step(&e, (const u8 *)(s), sizeof(s) - 1)

static bool fault(int ret, u8 vector, int error_code)
{
	const struct emul_exception *x = &e.c.exception;

	return ret == EMUL_FAULT && x->vector == vector &&
	       (error_code < 0 ? !x->has_ec :
				 x->has_ec && x->error_code == (u32)error_code);
}

/* rip did not move, and the answer was #vector */
static void refuses(const char *what, int ret, u8 vector, int error_code)
{
	bool ok = fault(ret, vector, error_code) && e.c.rip == 0x1000;

	if (!unit_result(ok, "%s", what))
		printf("# status %d vector %u error %x has %d rip %llx\n", ret,
		       e.c.exception.vector, e.c.exception.error_code,
		       e.c.exception.has_ec, (unsigned long long)e.c.rip);
}

static void word(u64 la, u64 v, unsigned int bytes)
{
	memcpy(env_mem(&e, la, bytes), &v, bytes);
}

static u64 at(u64 la, unsigned int bytes)
{
	u64 v = 0;

	memcpy(&v, env_mem(&e, la, bytes), bytes);
	return v;
}

/* CPL 0 in the given mode, rip 0x1000, rSP in memory */
static void kernel(enum insn_mode mode)
{
	env_init(&e, mode);
	e.c.cpl = 0;
	e.c.rip = 0x1000;
	e.c.regs[INSN_RSP] = AT + 0x80;
	e.c.regs[INSN_RDI] = AT;
}

/* All segments of 64K, at memory. */
static void real_mode(void)
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

static void test_real_mode(void)
{
	real_mode();
	e.c.regs[INSN_RAX] = 0x1234;
	unit_result(STEP("\x89\x05") == EMUL_OK && at(AT, 2) == 0x1234 &&
			    e.c.rip == 0x1002,
		    "real mode: MOV [DI],AX");

	real_mode();
	e.c.regs[INSN_RDI] = 0xffff;
	refuses("real mode: a word at FFFF is #GP without error code",
		STEP("\x8b\x05"), GP, -1);
	real_mode();
	e.c.regs[INSN_RBP] = 0xffff;
	refuses("real mode: a word at SS:FFFF is #SS without error code",
		STEP("\x8b\x46\x00"), SS, -1);

	/* 16-bit addresses wrap around within the segment */
	real_mode();
	e.c.regs[INSN_RBX] = 0xfff0;
	e.c.regs[INSN_RSI] = 0x0110;
	word(ENV_MEM + 0x100, 0x77, 1);
	unit_result(STEP("\x8a\x00") == EMUL_OK &&
			    (u8)e.c.regs[INSN_RAX] == 0x77,
		    "real mode: [BX+SI] wraps around at 64K");

	/* a 32-bit address beyond the limit, and big real mode */
	real_mode();
	e.c.regs[INSN_RDI] = 0x10000;
	refuses("real mode: a 32-bit offset beyond 64K is #GP",
		STEP("\x67\x8a\x07"), GP, -1);
	real_mode();
	e.c.regs[INSN_RDI] = 0x10000;
	e.seg[INSN_SEG_DS].limit = 0xffffffff;
	e.seg[INSN_SEG_DS].base = ENV_MEM - 0x10000;
	word(ENV_MEM, 0x55, 1);
	unit_result(STEP("\x67\x8a\x07") == EMUL_OK &&
			    (u8)e.c.regs[INSN_RAX] == 0x55,
		    "big real mode: limits of 4G are honoured");

	/* writes through a code segment are fine here */
	real_mode();
	e.seg[INSN_SEG_CS].attr = 0x9b;
	e.c.regs[INSN_RAX] = 0x42;
	unit_result(STEP("\x2e\x88\x05") == EMUL_OK && at(AT, 1) == 0x42,
		    "real mode: a store through CS");

	real_mode();
	e.c.regs[INSN_RAX] = 0x3456;
	unit_result(STEP("\x8e\xd8") == EMUL_OK &&
			    e.seg[INSN_SEG_DS].sel == 0x3456 &&
			    e.seg[INSN_SEG_DS].base == 0x34560 &&
			    e.seg[INSN_SEG_DS].limit == 0xffff,
		    "real mode: MOV DS");
	real_mode();
	word(ENV_MEM + 0x1000, 0x2000, 2);
	unit_result(STEP("\x17") == EMUL_OK &&
			    e.seg[INSN_SEG_SS].base == 0x20000 &&
			    e.c.regs[INSN_RSP] == 0x1002 &&
			    e.c.shadow == EMUL_SHADOW_MOV_SS,
		    "real mode: POP SS, with its shadow");

	real_mode();
	e.c.regs[INSN_RSP] = 2;
	e.c.regs[INSN_RAX] = 0xabcd;
	unit_result(STEP("\x50") == EMUL_OK && e.c.regs[INSN_RSP] == 0 &&
			    at(ENV_MEM, 2) == 0xabcd,
		    "real mode: PUSH down to offset 0");
	real_mode();
	e.c.regs[INSN_RSP] = 0xabcd0001;
	refuses("real mode: PUSH with SP=1 is #SS", STEP("\x50"), SS, -1);

	real_mode();
	refuses("real mode: VEX is #UD", STEP("\xc5\xf8\x10\xc1"), UD, -1);
	real_mode();
	refuses("real mode: SLDT is #UD", STEP("\x0f\x00\xc0"), UD, -1);
	real_mode();
	refuses("real mode: DIV by 0 is #DE", STEP("\xf7\xf1"), DE, -1);
	real_mode();
	e.c.rflags &= ~X86_EFLAGS_IF;
	unit_result(STEP("\xfb") == EMUL_OK && e.c.rflags & X86_EFLAGS_IF &&
			    e.c.shadow == EMUL_SHADOW_STI,
		    "real mode: STI, with its shadow");
	real_mode();
	unit_result(STEP("\xfb") == EMUL_OK && !e.c.shadow,
		    "STI with IF set starts no shadow");
}

static void vm86(unsigned int iopl)
{
	unsigned int i;

	real_mode();
	e.c.protected_mode = true;
	e.cr[0] |= 1;
	e.c.cpl = 3;
	e.c.rflags |= X86_EFLAGS_VM | iopl << 12;
	for (i = 0; i < 6; i++)
		e.seg[i].attr = 0xf3;
}

static void test_vm86(void)
{
	vm86(0);
	e.c.regs[INSN_RDI] = 0xffff;
	refuses("VM86: a word at FFFF is #GP(0)", STEP("\x8b\x05"), GP, 0);
	vm86(0);
	refuses("VM86: CLI without IOPL 3 is #GP(0)", STEP("\xfa"), GP, 0);
	vm86(0);
	refuses("VM86: PUSHF without IOPL 3 is #GP(0)", STEP("\x9c"), GP, 0);
	vm86(0);
	refuses("VM86: POPF without IOPL 3 is #GP(0)", STEP("\x9d"), GP, 0);
	vm86(2);
	refuses("VM86: IOPL 2 is not enough for POPF", STEP("\x9d"), GP, 0);
	vm86(0);
	e.cr[4] |= 1;
	unit_result(STEP("\x9c") == EMUL_UNHANDLED,
		    "VM86: PUSHF under VME is left to the CPU");
	vm86(3);
	unit_result(STEP("\x9c") == EMUL_OK &&
			    !(at(ENV_MEM + 0xffe, 2) & ~0x7fffull),
		    "VM86: PUSHF with IOPL 3");
	vm86(3);
	word(ENV_MEM + 0x1000, 0x0002, 2);
	unit_result(STEP("\x9d") == EMUL_OK &&
			    e.c.rflags == (X86_EFLAGS_VM | X86_EFLAGS_IOPL | 2),
		    "VM86: POPF changes IF, but neither IOPL nor VM");
	vm86(3);
	e.c.regs[INSN_RAX] = 0x1234;
	unit_result(STEP("\x8e\xc0") == EMUL_OK &&
			    e.seg[INSN_SEG_ES].base == 0x12340,
		    "VM86: MOV ES");
	vm86(3);
	refuses("VM86: VEX is #UD", STEP("\xc5\xf8\x10\xc1"), UD, -1);
	vm86(3);
	refuses("VM86: MOV CR0 is #GP(0)", STEP("\x0f\x20\xc0"), GP, 0);
}

static void test_flags(void)
{
	kernel(INSN_MODE_64);
	word(AT + 0x80, 0x3202 | 1 << 16 | 1 << 17 | 1 << 20, 8);
	unit_result(STEP("\x9d") == EMUL_OK && e.c.rflags == 0x3202,
		    "POPF at CPL 0: IOPL and IF, but not RF, VM, VIP");
	kernel(INSN_MODE_64);
	e.c.cpl = 3;
	word(AT + 0x80, 0x3002 | X86_EFLAGS_ZF, 8);
	unit_result(STEP("\x9d") == EMUL_OK &&
			    e.c.rflags == (0x202 | X86_EFLAGS_ZF),
		    "POPF at CPL 3: neither IOPL nor IF");
	kernel(INSN_MODE_64);
	e.c.rflags |= 1 << 16;
	unit_result(STEP("\x9c") == EMUL_OK && at(AT + 0x78, 8) == 0x202 &&
			    !(e.c.rflags & 1 << 16),
		    "PUSHF stores RF as 0, and every instruction clears it");
	kernel(INSN_MODE_64);
	e.c.rflags |= 1 << 16;
	e.c.rep_budget = 2;
	e.c.regs[INSN_RCX] = 3;
	unit_result(STEP("\xf3\xaa") == EMUL_OK && e.c.more &&
			    e.c.rflags & 1 << 16 &&
			    vigil_emulate(&e.c, &env_ops) == EMUL_OK &&
			    !e.c.more && !(e.c.rflags & 1 << 16),
		    "a REP keeps RF until it is finished");
	kernel(INSN_MODE_32);
	e.c.cpl = 3;
	refuses("CLI at CPL 3 is #GP(0)", STEP("\xfa"), GP, 0);
	kernel(INSN_MODE_32);
	e.c.cpl = 3;
	e.cr[4] |= 2;
	unit_result(STEP("\xfa") == EMUL_UNHANDLED,
		    "CLI under PVI is left to the CPU");
	kernel(INSN_MODE_32);
	unit_result(STEP("\xfa") == EMUL_OK && !(e.c.rflags & X86_EFLAGS_IF),
		    "CLI at CPL 0");
}

static void test_control(void)
{
	kernel(INSN_MODE_64);
	e.cr[3] = 0x123456789000ull;
	unit_result(STEP("\x0f\x20\xd8") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0x123456789000ull,
		    "MOV RAX,CR3");
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RAX] = 0xfffffff5;
	unit_result(STEP("\x44\x0f\x22\xc0") == EMUL_OK &&
			    e.cr[8] == 0xfffffff5,
		    "MOV CR8,RAX");
	kernel(INSN_MODE_32);
	e.c.regs[INSN_RAX] = 0xffffffff00000011ull;
	unit_result(STEP("\x0f\x22\xc0") == EMUL_OK && e.cr[0] == 0x11,
		    "MOV CR0,EAX is of 32 bits outside of 64-bit mode");
	kernel(INSN_MODE_32);
	e.c.regs[INSN_RAX] = 5;
	unit_result(STEP("\xf0\x0f\x22\xc0") == EMUL_OK && e.cr[8] == 5,
		    "LOCK MOV CR0 is CR8");
	kernel(INSN_MODE_64);
	refuses("MOV CR1 is #UD", STEP("\x0f\x22\xc8"), UD, -1);
	kernel(INSN_MODE_64);
	e.c.cpl = 3;
	refuses("MOV CR3 at CPL 3 is #GP(0)", STEP("\x0f\x22\xd8"), GP, 0);
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RAX] = 0x400;
	unit_result(STEP("\x0f\x23\xf8") == EMUL_OK && e.dr[7] == 0x400,
		    "MOV DR7,RAX");
	kernel(INSN_MODE_64);
	e.cr[0] = 0x80050033 | 8;
	unit_result(STEP("\x0f\x06") == EMUL_OK && e.cr[0] == 0x80050033,
		    "CLTS");
	kernel(INSN_MODE_64);
	e.cr[0] = 0x80050033;
	e.c.regs[INSN_RAX] = 0xfff8;
	unit_result(STEP("\x0f\x01\xf0") == EMUL_OK && e.cr[0] == 0x80050039,
		    "LMSW sets TS, clears MP, and cannot clear PE");
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RAX] = ~0ull;
	unit_result(STEP("\x66\x0f\x01\xe0") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == (~0xffffull | 0x33),
		    "SMSW AX leaves the rest of RAX");
	kernel(INSN_MODE_64);
	e.c.cpl = 3;
	e.cr[4] |= 1 << 11;
	refuses("SMSW at CPL 3 under UMIP is #GP(0)", STEP("\x0f\x01\xe0"), GP,
		0);
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RDI] = 0x123456789abcdefull;
	unit_result(STEP("\x0f\x01\x3f") == EMUL_OK &&
			    e.invlpg == 0x123456789abcdefull,
		    "INVLPG of a non-canonical address");
}

static void test_tables(void)
{
	kernel(INSN_MODE_64);
	word(AT, 0x7f, 2);
	word(AT + 2, 0xffff888000001000ull, 8);
	unit_result(STEP("\x0f\x01\x17") == EMUL_OK && e.gdt.limit == 0x7f &&
			    e.gdt.base == 0xffff888000001000ull,
		    "LGDT in 64-bit mode");
	kernel(INSN_MODE_64);
	word(AT + 2, 0x8000000000000000ull, 8);
	refuses("LIDT of a non-canonical base is #GP(0)", STEP("\x0f\x01\x1f"),
		GP, 0);
	kernel(INSN_MODE_32);
	word(AT, 0xff, 2);
	word(AT + 2, 0xff001000, 4);
	unit_result(STEP("\x66\x0f\x01\x1f") == EMUL_OK &&
			    e.idt.limit == 0xff && e.idt.base == 0x1000,
		    "LIDT with a 16-bit operand takes 24 bits of base");
	kernel(INSN_MODE_32);
	e.gdt.base = 0x12345678;
	e.gdt.limit = 0xabc;
	word(AT + 6, 0x5a5a, 2);
	unit_result(STEP("\x0f\x01\x07") == EMUL_OK && at(AT, 2) == 0xabc &&
			    at(AT + 2, 4) == 0x12345678 &&
			    at(AT + 6, 2) == 0x5a5a,
		    "SGDT outside of 64-bit mode stores 6 bytes");
	kernel(INSN_MODE_64);
	e.idt.base = 0xfffffe0000000000ull;
	e.idt.limit = 0xfff;
	unit_result(STEP("\x0f\x01\x0f") == EMUL_OK &&
			    at(AT + 2, 8) == 0xfffffe0000000000ull,
		    "SIDT in 64-bit mode stores 10 bytes");
	kernel(INSN_MODE_64);
	e.tr.sel = 0x40;
	unit_result(STEP("\x0f\x00\xc8") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0x40,
		    "STR EAX");
}

/* GDT at the start of memory, with these at selectors 8, 16 ... */
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

/* JMP sel:00002000 */
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
	unit_result(far_jump(INSN_MODE_32, 0, 56) == EMUL_UNHANDLED,
		    "JMP far: what is no code segment is left to others");
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

static void test_vector_state(void)
{
	kernel(INSN_MODE_64);
	e.cr[0] |= 8;
	refuses("MOVUPS with TS is #NM", STEP("\x0f\x11\x07"), NM, -1);
	kernel(INSN_MODE_64);
	e.cr[0] |= 4;
	refuses("MOVUPS with EM is #UD", STEP("\x0f\x11\x07"), UD, -1);
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 9);
	refuses("MOVUPS without OSFXSR is #UD", STEP("\x0f\x11\x07"), UD, -1);
	kernel(INSN_MODE_64);
	e.xcr0 = 3;
	refuses("VMOVUPS without AVX in XCR0 is #UD", STEP("\xc5\xf8\x11\x07"),
		UD, -1);
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 18);
	refuses("VMOVUPS without OSXSAVE is #UD", STEP("\xc5\xf8\x11\x07"), UD,
		-1);
}

/* FXSAVE and its like: what native_test cannot be in user mode */
static void test_state_stores(void)
{
	const u8 filled = 0xcc, *image = e.mem + (AT - ENV_MEM);

	kernel(INSN_MODE_64);
	e.cr[0] |= 8;
	refuses("FXSAVE with TS is #NM", STEP("\x0f\xae\x07"), NM, -1);
	refuses("XSAVE with TS is #NM", STEP("\x0f\xae\x27"), NM, -1);
	refuses("FNSTCW with TS is #NM", STEP("\xd9\x3f"), NM, -1);
	kernel(INSN_MODE_64);
	e.cr[0] |= 4;
	refuses("FXSAVE with EM is #NM", STEP("\x0f\xae\x07"), NM, -1);
	refuses("STMXCSR with EM is #UD", STEP("\x0f\xae\x1f"), UD, -1);
	unit_result(STEP("\x0f\xae\x27") == EMUL_OK, "XSAVE with EM");
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 18);
	refuses("XSAVE without OSXSAVE is #UD", STEP("\x0f\xae\x27"), UD, -1);
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RDI] += 8;
	refuses("FXSAVE to 8 bytes is #GP", STEP("\x0f\xae\x07"), GP, 0);
	e.c.regs[INSN_RDI] += 8;
	refuses("XSAVE to 16 bytes is #GP", STEP("\x0f\xae\x27"), GP, 0);
	kernel(INSN_MODE_64);
	e.c.cpl = 3;
	refuses("XSAVES in ring 3 is #GP", STEP("\x0f\xc7\x2f"), GP, 0);

	kernel(INSN_MODE_32);
	e.cr[4] &= ~(1ull << 9);
	memset(e.mem, filled, sizeof(e.mem));
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[0] == 0x7f &&
			    image[24] == filled && image[159] != filled &&
			    image[160] == filled,
		    "FXSAVE without OSFXSR: the x87 registers");
	kernel(INSN_MODE_64);
	memset(e.mem, filled, sizeof(e.mem));
	e.c.features |= EMUL_FEAT_FFXSR;
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[24] == 0x80 &&
			    image[160] == filled,
		    "FXSAVE with FFXSR in ring 0: no XMM registers");
	e.c.cpl = 3;
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[160] != filled,
		    "FXSAVE with FFXSR in ring 3: all");
	e.deny = true;
	memset(e.mem, filled, sizeof(e.mem));
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && e.writes > 8 &&
			    image[0] == filled && image[415] == filled,
		    "FXSAVE, denied");

	/* nothing of it when not all of it is there */
	kernel(INSN_MODE_64);
	memset(e.mem, filled, sizeof(e.mem));
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 256;
	refuses("FXSAVE over the end of memory is #PF", STEP("\x0f\xae\x07"),
		ENV_PF, 2);
	unit_result(e.mem[ENV_BYTES - 256] == filled, "and stores nothing");
}

/* XSAVE with AVX-512; what is in use, and what of it there is in 32-bit mode */
static void begin_xsave(enum insn_mode mode, u64 xinuse, u8 filled)
{
	kernel(mode);
	e.xcr0 = 0xe7;
	e.xinuse = xinuse;
	e.c.regs[INSN_RAX] = 0xffffffff;
	e.c.regs[INSN_RDX] = 0xffffffff;
	memset(e.mem, filled, sizeof(e.mem));
}

static void test_xsave(void)
{
	const u8 filled = 0xcc, *image = e.mem + (AT - ENV_MEM);
	u64 header[2];
	int ret;

	begin_xsave(INSN_MODE_64, ~0ull, filled);
	ret = STEP("\x0f\xae\x27");
	memcpy(header, image + 512, 16);
	unit_result(ret == EMUL_OK && header[0] == 0xccccccccccccccefull &&
			    header[1] == 0xccccccccccccccccull &&
			    image[416] == filled && image[832] == filled &&
			    image[1088] == ENV_COMPONENT(5) &&
			    image[1151] == ENV_COMPONENT(5) &&
			    image[1663] == ENV_COMPONENT(6) &&
			    image[1664] == ENV_COMPONENT(7) &&
			    image[2687] == ENV_COMPONENT(7) &&
			    image[2688] == filled,
		    "XSAVE of AVX-512 state");
	begin_xsave(INSN_MODE_32, ~0ull, filled);
	ret = STEP("\x0f\xae\x27");
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0xcccccccccccccc6full &&
			    image[287] != filled && image[288] == filled &&
			    image[704] == filled &&
			    image[1151] == ENV_COMPONENT(5) &&
			    image[1407] == ENV_COMPONENT(6) &&
			    image[1408] == filled && image[1664] == filled,
		    "XSAVE of AVX-512 state in 32-bit mode");
	begin_xsave(INSN_MODE_64, 0x25, filled);
	ret = STEP("\x0f\xae\x37");
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0xcccccccccccccc2dull &&
			    image[24] == 0x80 && image[160] == filled &&
			    image[1088] == ENV_COMPONENT(5) &&
			    image[1152] == filled && image[1664] == filled,
		    "XSAVEOPT leaves out what is not in use, but for MXCSR");
	begin_xsave(INSN_MODE_64, 0x21, filled);
	ret = STEP("\x0f\xc7\x27");
	memcpy(header, image + 512, 16);
	unit_result(ret == EMUL_OK && header[0] == 0x21 &&
			    header[1] == 0x80000000000000e7ull &&
			    image[528] == filled && image[24] == filled &&
			    image[576] == filled &&
			    image[832] == ENV_COMPONENT(5) &&
			    image[895] == ENV_COMPONENT(5) &&
			    image[896] == filled,
		    "XSAVEC leaves out what is not in use, and no room");

	/* what the state becomes while the instruction waits is not its own */
	begin_xsave(INSN_MODE_64, 0x20, filled);
	e.pend_at = 0;
	ret = STEP("\x0f\xc7\x27");
	e.xinuse = ~0ull;
	if (ret == EMUL_PENDING && vigil_emul_complete(&e.c, NULL) == EMUL_OK)
		ret = vigil_emulate(&e.c, &env_ops);
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0x20 && image[0] == filled,
		    "XSAVEC stores the state that it began with");
}

/* ---- EVEX: registers, lengths and masks of AVX-512 ---- */

static void begin_evex(enum insn_mode mode, u8 filled)
{
	unsigned int i;

	kernel(mode);
	e.xcr0 = 0xe7;
	for (i = 0; i < 32; i++)
		e.vec[1][i] = i + 1;
	memset(e.mem, filled, sizeof(e.mem));
}

/* byte @i of ZMM1 or ZMM17: env_save_state() has the upper parts */
static u8 zmm_byte(bool high, unsigned int i)
{
	if (high)
		return ENV_COMPONENT(7);
	return i < 32 ? i + 1 : ENV_COMPONENT(6);
}

/* element @i of any opmask register */
static bool opmask_bit(unsigned int i)
{
	return ENV_COMPONENT(5) >> i % 8 & 1;
}

struct evex {
	const char *name, *code;
	u8 n;
	bool high; /* ZMM17 */
	u8 from, bytes; /* of the register */
	u8 each; /* bytes of a masked element, 0 without a mask */
	enum insn_mode mode;
	u8 at; /* from where rDI points to */
};

static const struct evex evexes[] = {
	{ "VMOVDQU64 ZMM", "\x62\xf1\xfe\x48\x7f\x0f", 6, 0, 0, 64, 0, 64, 0 },
	{ "VMOVDQU64 [rdi+64], ZMM17", "\x62\xe1\xfe\x48\x7f\x4f\x01", 7, 1, 0,
	  64, 0, 64, 64 },
	{ "VMOVUPS XMM {k}", "\x62\xf1\x7c\x09\x11\x0f", 6, 0, 0, 16, 4, 64,
	  0 },
	{ "VMOVUPD YMM {k}", "\x62\xf1\xfd\x29\x11\x0f", 6, 0, 0, 32, 8, 64,
	  0 },
	{ "VMOVDQU8 ZMM {k}", "\x62\xf1\x7f\x49\x7f\x0f", 6, 0, 0, 64, 1, 64,
	  0 },
	{ "VMOVDQU16 YMM {k}", "\x62\xf1\xff\x2a\x7f\x0f", 6, 0, 0, 32, 2, 64,
	  0 },
	{ "VMOVDQU16 YMM {k}, 32-bit", "\x62\xf1\xff\x2a\x7f\x0f", 6, 0, 0, 32,
	  2, 32, 0 },
	{ "VMOVDQA32 ZMM", "\x62\xf1\x7d\x48\x7f\x0f", 6, 0, 0, 64, 0, 64, 0 },
	{ "VMOVNTDQ ZMM17", "\x62\xe1\x7d\x48\xe7\x0f", 6, 1, 0, 64, 0, 64, 0 },
	{ "VMOVHPS", "\x62\xf1\x7c\x08\x17\x0f", 6, 0, 8, 8, 0, 64, 0 },
	{ "VMOVLPD", "\x62\xf1\xfd\x08\x13\x0f", 6, 0, 0, 8, 0, 64, 0 },
	{ "VMOVQ", "\x62\xf1\xfd\x08\x7e\x0f", 6, 0, 0, 8, 0, 64, 0 },
	{ "VMOVQ, the other", "\x62\xf1\xfd\x08\xd6\x0f", 6, 0, 0, 8, 0, 64,
	  0 },
	{ "VMOVD", "\x62\xf1\x7d\x08\x7e\x0f", 6, 0, 0, 4, 0, 64, 0 },
	{ "VMOVSS XMM17 {k}", "\x62\xe1\x7e\x09\x11\x0f", 6, 1, 0, 4, 4, 64,
	  0 },
	{ "VMOVSD {k}", "\x62\xf1\xff\x09\x11\x0f", 6, 0, 0, 8, 8, 64, 0 },
	{ "VEXTRACTI32X4 2", "\x62\xf3\x7d\x48\x39\x0f\x02", 7, 0, 32, 16, 0,
	  64, 0 },
	{ "VEXTRACTI32X4 1 {k}", "\x62\xf3\x7d\x49\x39\x0f\x01", 7, 0, 16, 16,
	  4, 64, 0 },
	{ "VEXTRACTI64X4 1", "\x62\xf3\xfd\x48\x3b\x0f\x01", 7, 0, 32, 32, 0,
	  64, 0 },
	{ "VEXTRACTF64X2 1 of YMM", "\x62\xf3\xfd\x28\x19\x0f\x01", 7, 0, 16,
	  16, 0, 64, 0 },
	{ "VPEXTRW 3", "\x62\xf3\x7d\x08\x15\x0f\x03", 7, 0, 6, 2, 0, 64, 0 },
	{ "VPEXTRB 13", "\x62\xf3\x7d\x08\x14\x0f\x0d", 7, 0, 13, 1, 0, 64, 0 },
	{ "VPEXTRQ 1 of XMM17", "\x62\xe3\xfd\x08\x16\x0f\x01", 7, 1, 8, 8, 0,
	  64, 0 },
};

static void test_evex_stores(void)
{
	const u8 filled = 0xcc;
	u8 want[ENV_BYTES];
	unsigned int i, k;
	int ret;

	for (i = 0; i < ARRAY_SIZE(evexes); i++) {
		const struct evex *x = &evexes[i];
		u8 *to = want + (AT - ENV_MEM) + x->at;

		memset(want, filled, sizeof(want));
		for (k = 0; k < x->bytes; k++)
			if (!x->each || opmask_bit(k / x->each))
				to[k] = zmm_byte(x->high, x->from + k);
		begin_evex(x->mode, filled);
		ret = env_step(&e, (const u8 *)x->code, x->n);
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n &&
				    !memcmp(e.mem, want, sizeof(want)),
			    "EVEX: %s", x->name);

		/* every transaction pending; and all of them denied */
		begin_evex(x->mode, filled);
		e.pend_at = 0;
		ret = env_step(&e, (const u8 *)x->code, x->n);
		while (ret == EMUL_PENDING &&
		       vigil_emul_complete(&e.c, NULL) == EMUL_OK) {
			e.pend_at = 0;
			ret = vigil_emulate(&e.c, &env_ops);
		}
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n,
			    "EVEX: %s, held", x->name);
		begin_evex(x->mode, filled);
		e.deny = true;
		memset(want, filled, sizeof(want));
		ret = env_step(&e, (const u8 *)x->code, x->n);
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n &&
				    !memcmp(e.mem, want, sizeof(want)),
			    "EVEX: %s, denied", x->name);
	}
}

static void test_evex_faults(void)
{
	const u8 filled = 0xcc, *end = e.mem + ENV_BYTES;

	/* of the elements 0 and 2, none is beyond the end, then one is */
	begin_evex(INSN_MODE_64, filled);
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 12;
	unit_result(STEP("\x62\xf1\x7c\x09\x11\x0f") == EMUL_OK &&
			    end[-12] == 1 && end[-8] == filled && end[-4] == 9,
		    "EVEX: what the mask leaves out does not fault");
	begin_evex(INSN_MODE_64, filled);
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 8;
	refuses("EVEX: an element beyond memory is #PF",
		STEP("\x62\xf1\x7c\x09\x11\x0f"), ENV_PF, 2);
	unit_result(end[-8] == filled, "EVEX: and nothing is stored");

	begin_evex(INSN_MODE_64, filled);
	refuses("EVEX: VMOVAPS to 16 bytes is #GP",
		STEP("\x62\xf1\x7c\x48\x29\x8f\x10\x00\x00\x00"), GP, 0);
	begin_evex(INSN_MODE_64, filled);
	e.xcr0 = 7;
	refuses("EVEX: without AVX-512 in XCR0 is #UD",
		STEP("\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.cr[4] &= ~(1ull << 18);
	refuses("EVEX: without OSXSAVE is #UD",
		STEP("\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.cr[0] |= 8;
	refuses("EVEX: with TS is #NM", STEP("\x62\xf1\xfe\x48\x7f\x0f"), NM,
		-1);
	begin_evex(INSN_MODE_64, filled);
	refuses("EVEX: behind a 66 is #UD",
		STEP("\x66\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	real_mode();
	e.xcr0 = 0xe7;
	refuses("EVEX: in real mode is #UD", STEP("\x62\xf1\xfe\x48\x7f\x0f"),
		UD, -1);

	begin_evex(INSN_MODE_64, filled);
	unit_result(
		STEP("\x62\xf1\xfe\x48\x6f\xd1") == -1 &&
			STEP("\x62\xf1\xfe\x48\x7f\xd1") == -1 &&
			STEP("\x62\xf1\xfe\xc9\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xfe\x58\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xf6\x48\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xfe\x68\x7f\x0f") == -1 &&
			STEP("\x62\xf1\x7d\x49\xe7\x0f") == -1 &&
			STEP("\x62\xf3\x7d\x08\x39\x0f\x00") == -1,
		"EVEX: loads, register forms and what no store has are unknown");
}

/* Encodings that are something else on a CPU that does not have them. */
static void test_features(void)
{
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RCX] = 0x40;
	unit_result(STEP("\xf3\x0f\xbd\xc1") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 25,
		    "LZCNT");
	kernel(INSN_MODE_64);
	e.c.features = 0;
	unit_result(STEP("\xf3\x0f\xbd\xc1") == EMUL_UNHANDLED,
		    "LZCNT without its feature is left to the CPU");
	unit_result(STEP("\xf3\x0f\xbc\xc1") == EMUL_UNHANDLED,
		    "TZCNT without its feature is left to the CPU");
	unit_result(STEP("\xc4\xe2\x70\xf2\xc1") == EMUL_UNHANDLED,
		    "ANDN without its feature is left to the CPU");
}

/* What the emulator leaves to the core, or to the CPU. */
static void test_unhandled(void)
{
	static const struct {
		const char *bytes;
		u8 n;
	} list[] = {
		{ "\x66\x63\x07", 3 }, { "\x0f\xa2", 2 }, { "\xf4", 1 },
		{ "\xe4\x70", 2 },     { "\xee", 1 },	  { "\x6c", 1 },
		{ "\xf3\x6f", 2 },     { "\x0f\x30", 2 }, { "\x0f\x01\xd9", 3 },
		{ "\xcd\x80", 2 },     { "\xcf", 1 },	  { "\xd9\x07", 2 },
		{ "\x0f\xae\x0f", 3 }, { "\xff\x1f", 2 }, { "\x0f\x05", 2 },
		{ "\x0f\x58\x07", 3 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		int ret;

		kernel(INSN_MODE_64);
		ret = env_step(&e, (const u8 *)list[i].bytes, list[i].n);
		unit_result(ret == EMUL_UNHANDLED && e.c.rip == 0x1000 &&
				    !e.reads && !e.writes,
			    "%s is not the emulator's",
			    vigil_insn_op_name(e.c.insn.op));
	}
}

/* Split accesses: both pages are checked before either is written. */
static void test_splits(void)
{
	const u64 edge = ENV_MEM + ENV_BYTES;
	u8 before[ENV_BYTES];
	unsigned int i, bad = 0;
	int ret;

	for (i = 1; i < 8; i++) {
		kernel(INSN_MODE_64);
		e.c.regs[INSN_RDI] = edge - i;
		memset(e.mem, 0x11, sizeof(e.mem));
		memcpy(before, e.mem, sizeof(before));
		ret = STEP("\x48\x89\x07");
		bad += !fault(ret, ENV_PF, 2) || e.c.exception.cr2 != edge ||
		       memcmp(before, e.mem, sizeof(before));
		e.c.rip = 0x1000;
		ret = STEP("\xf0\x48\x01\x07");
		bad += !fault(ret, ENV_PF, 2) || e.c.exception.cr2 != edge ||
		       memcmp(before, e.mem, sizeof(before));
	}
	unit_result(!bad, "a store into a missing second page changes nothing");

	/* VPMASKMOVD [RDI],XMM1,XMM0: four elements, the last in no page */
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RDI] = edge - 12;
	memset(e.mem, 0x11, sizeof(e.mem));
	memcpy(before, e.mem, sizeof(before));
	memset(e.vec[1], 0xff, 16);
	ret = STEP("\xc4\xe2\x71\x8e\x07");
	unit_result(
		fault(ret, ENV_PF, 2) && e.c.exception.cr2 == edge &&
			!memcmp(before, e.mem, sizeof(before)),
		"a masked store into a missing second page changes nothing");
	e.vec[1][15] = 0;
	unit_result(STEP("\xc4\xe2\x71\x8e\x07") == EMUL_OK &&
			    !at(edge - 12, 8) && !at(edge - 4, 4),
		    "but elements that are not selected do not fault");

	kernel(INSN_MODE_64);
	e.c.regs[INSN_RDI] = ENV_MEM + 0xffd;
	e.c.regs[INSN_RAX] = 0x1122334455667788ull;
	unit_result(STEP("\xf0\x48\x01\x07") == EMUL_OK && e.locked &&
			    e.split && !e.exchanges && e.writes == 2 &&
			    at(ENV_MEM + 0xffd, 8) == 0x1122334455667788ull,
		    "a split lock is done in two parts, and says so");

	/* in 32-bit mode the linear address wraps around at 4G */
	kernel(INSN_MODE_32);
	e.seg[INSN_SEG_DS].base = ENV_MEM + 0x1000;
	e.seg[INSN_SEG_DS].limit = 0xffffffff;
	e.c.regs[INSN_RDI] = 0xfffff800;
	word(ENV_MEM + 0x800, 0xcafe, 2);
	unit_result(STEP("\x0f\xb7\x07") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0xcafe,
		    "base plus offset wraps around at 4G");
}

/* rDX:rAX / rCX in size bytes; the quotient, or #DE */
static void divide(const char *what, const char *bytes, u8 n, u64 hi, u64 lo,
		   u64 by, bool fits, u64 quot)
{
	int ret;

	kernel(INSN_MODE_64);
	e.c.regs[INSN_RAX] = lo;
	e.c.regs[INSN_RDX] = hi;
	e.c.regs[INSN_RCX] = by;
	ret = env_step(&e, (const u8 *)bytes, n);
	unit_result(fits ? ret == EMUL_OK && e.c.regs[INSN_RAX] == quot :
			   fault(ret, DE, -1) && e.c.regs[INSN_RAX] == lo,
		    "%s", what);
}

static void test_division(void)
{
	const u64 min = 1ull << 63;

	divide("IDIV CL: 127", "\xf6\xf9", 2, 0, 127, 1, true, 127);
	divide("IDIV CL: 128", "\xf6\xf9", 2, 0, 128, 1, false, 0);
	divide("IDIV CL: -128", "\xf6\xf9", 2, 0, 0xff80, 1, true, 0x80);
	divide("IDIV CL: -129", "\xf6\xf9", 2, 0, 0xff7f, 1, false, 0);
	divide("IDIV ECX: 2^31", "\xf7\xf9", 2, 0, 1u << 31, 1, false, 0);
	divide("IDIV ECX: -2^31", "\xf7\xf9", 2, 0xffffffff, 1u << 31, 1, true,
	       1u << 31);
	divide("IDIV ECX: -2^31 - 1", "\xf7\xf9", 2, 0xffffffff, 0x7fffffff, 1,
	       false, 0);
	divide("IDIV RCX: 2^63", "\x48\xf7\xf9", 3, 0, min, 1, false, 0);
	divide("IDIV RCX: -2^63", "\x48\xf7\xf9", 3, ~0ull, min, 1, true, min);
	divide("IDIV RCX: -2^127 / -1", "\x48\xf7\xf9", 3, min, 0, ~0ull, false,
	       0);
	divide("IDIV RCX: -2^63 / -1", "\x48\xf7\xf9", 3, ~0ull, min, ~0ull,
	       false, 0);
	divide("DIV CL: 255", "\xf6\xf1", 2, 0, 255, 1, true, 255);
	divide("DIV CL: 256", "\xf6\xf1", 2, 0, 256, 1, false, 0);
	divide("DIV RCX: 2^64 - 1", "\x48\xf7\xf1", 3, ~0ull - 1, ~0ull, ~0ull,
	       true, ~0ull);
	divide("DIV RCX: 2^64", "\x48\xf7\xf1", 3, 1, 0, 1, false, 0);
	divide("DIV RCX by 0", "\x48\xf7\xf1", 3, 0, 0, 0, false, 0);
}

static void test_enter(void)
{
	unsigned int i, bad = 0;

	/* 31 frames: as many transactions as one instruction can have */
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RSP] = ENV_MEM + 0x1080;
	e.c.regs[INSN_RBP] = ENV_MEM + 0x1400;
	for (i = 0; i < 32; i++)
		word(ENV_MEM + 0x1400 - 8 * (i + 1), 0x1000 + i, 8);
	bad = STEP("\xc8\x20\x00\x1f") != EMUL_OK;
	for (i = 0; i < 30; i++)
		bad += at(ENV_MEM + 0x1080 - 8 * (i + 2), 8) != 0x1000 + i;
	unit_result(!bad && e.reads == 30 && e.writes == 32 &&
			    e.c.regs[INSN_RBP] == ENV_MEM + 0x1078 &&
			    e.c.regs[INSN_RSP] ==
				    ENV_MEM + 0x1080 - 8 * 32 - 0x20,
		    "ENTER with 31 frames");
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RSP] = ENV_MEM + 0x40;
	e.c.regs[INSN_RBP] = ENV_MEM + 0x1400;
	unit_result(STEP("\xc8\x20\x00\x1f") == EMUL_FAULT && !e.writes,
		    "ENTER that will run out of its stack stores nothing");
}

int main(void)
{
	test_real_mode();
	test_vm86();
	test_flags();
	test_control();
	test_tables();
	test_segment_loads();
	test_far_jumps();
	test_vector_state();
	test_state_stores();
	test_xsave();
	test_evex_stores();
	test_evex_faults();
	test_features();
	test_unhandled();
	test_splits();
	test_division();
	test_enter();
	return unit_end();
}
