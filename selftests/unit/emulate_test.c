// SPDX-License-Identifier: GPL-2.0
/*
 * Tests what no process can do natively: real mode, VM86, CPL 0, control
 * registers and descriptor-table registers, and how the emulator refuses
 * instructions.
 */
#include "machine.h"

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

	/* A 16-bit address wraps around within its segment. */
	real_mode();
	e.c.regs[INSN_RBX] = 0xfff0;
	e.c.regs[INSN_RSI] = 0x0110;
	word(ENV_MEM + 0x100, 0x77, 1);
	unit_result(STEP("\x8a\x00") == EMUL_OK &&
			    (u8)e.c.regs[INSN_RAX] == 0x77,
		    "real mode: [BX+SI] wraps around at 64K");

	/*
	 * A 32-bit address beyond the limit faults, but not in big real mode.
	 */
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

	/* In real mode, a code segment can be written through. */
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

/* On a CPU that lacks a feature, its encodings are other instructions. */
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

/* The emulator leaves these to the core, or to the CPU. */
static void test_unhandled(void)
{
	static const struct {
		const char *bytes;
		u8 n;
	} list[] = {
		{ "\x0f\x03\x07", 3 }, { "\x0f\xa2", 2 },
		{ "\xf4", 1 },	       { "\xe4\x70", 2 },
		{ "\xee", 1 },	       { "\x6c", 1 },
		{ "\xf3\x6f", 2 },     { "\x0f\x30", 2 },
		{ "\x0f\x01\xd9", 3 }, { "\x0f\x34", 2 },
		{ "\x0f\x05", 2 },     { "\xd9\x07", 2 },
		{ "\x0f\xae\x0f", 3 }, { "\x0f\x58\x07", 3 },
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

/* An access in two parts checks both pages before it writes either. */
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

	/*
	 * VPMASKMOVD [RDI],XMM1,XMM0 has four elements. The last one lies in no
	 * page.
	 */
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

	/* In 32-bit mode, a linear address wraps around at 4G. */
	kernel(INSN_MODE_32);
	e.seg[INSN_SEG_DS].base = ENV_MEM + 0x1000;
	e.seg[INSN_SEG_DS].limit = 0xffffffff;
	e.c.regs[INSN_RDI] = 0xfffff800;
	word(ENV_MEM + 0x800, 0xcafe, 2);
	unit_result(STEP("\x0f\xb7\x07") == EMUL_OK &&
			    e.c.regs[INSN_RAX] == 0xcafe,
		    "base plus offset wraps around at 4G");
}

/*
 * Divides rDX:rAX by rCX, each of the operand's size; expects the quotient, or
 * #DE.
 */
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

	/*
	 * ENTER with 31 frames makes as many transactions as one instruction
	 * can.
	 */
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
	test_features();
	test_unhandled();
	test_splits();
	test_division();
	test_enter();
	return unit_end();
}
