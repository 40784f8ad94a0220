// SPDX-License-Identifier: GPL-2.0
/*
 * What the emulator does for kernels in ring 1: the hypercall iret, SYSCALL as INT n, and
 * privileged instructions.
 */
#include "machine.h"

#define PF ENV_PF
#define CODE1 0x11
#define DATA1 0x19
#define CODE3 0x23
#define DATA3 0x2b
#define WIDE1 0x31
#define WIDE3 0x3b
#define GONE 0x43
#define SP (AT + 0x80)
#define USER (AT + 0x40)
#define IDT_AT (ENV_MEM + 0x900)
#define TSS_AT (ENV_MEM + 0x800)
#define INNER (ENV_MEM + 0x600)
#define VECTOR 0x10
#define SAFE 0x5000

static const u64 gdt[] = {
	0,
	0,
	0x00cfbb000000ffffull, /* CODE1 */
	0x00cfb3000000ffffull, /* DATA1 */
	0x00cffb000000ffffull, /* CODE3 */
	0x00cff3000000ffffull, /* DATA3 */
	0x00afbb000000ffffull, /* WIDE1 */
	0x00affb000000ffffull, /* WIDE3 */
	0x00cf7b000000ffffull, /* GONE: CODE3, not present */
};

static void begin(enum insn_mode mode, u8 cpl)
{
	unsigned int i;

	kernel(mode);
	e.c.cpl = cpl;
	e.c.kernel_ring = 1;
	for (i = 0; i < ARRAY_SIZE(gdt); i++)
		word(ENV_MEM + 8 * i, gdt[i], 8);
	e.gdt.base = ENV_MEM;
	e.gdt.limit = sizeof(gdt) - 1;
	e.c.rflags = X86_EFLAGS_FIXED | 1 << 12;
	e.c.regs[INSN_RAX] = 23;
	e.c.regs[INSN_RCX] = 0x22;
	e.c.regs[11] = 0x11;
	e.seg[INSN_SEG_DS].sel = 0xd0;
	e.seg[INSN_SEG_ES].sel = 0xe0;
	e.seg[INSN_SEG_FS].sel = 0xf0;
	e.seg[INSN_SEG_GS].sel = 0x90;
}

/* The context of a return, in the order of the stack. */
static void context32(u64 cs, u64 flags, u64 ss)
{
	const u64 v[] = { 0x1234, 0x2000, cs, flags, USER, ss };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		word(SP + 4 * i, v[i], 4);
}

static void context64(u64 how, u64 cs, u64 flags, u64 ss)
{
	const u64 v[] = { 0x1234, 0x5678, 0x9abc, how, 0x2000,
			  cs,	  flags,  USER,	  ss };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		word(SP + 8 * i, v[i], 8);
}

static int iret(unsigned int bytes, u16 cs, bool masks)
{
	vigil_emul_pv_iret(&e.c, bytes, cs, SAFE, masks);
	return vigil_emulate(&e.c, &env_ops);
}

static void test_iret(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];
	const struct emul_seg *ss = &e.seg[INSN_SEG_SS];

	begin(INSN_MODE_32, 1);
	context32(CODE3, 0x202, DATA3);
	unit_result(iret(4, 0, false) == EMUL_OK && e.c.rip == 0x2000 &&
			    cs->sel == CODE3 && ss->sel == DATA3 &&
			    e.c.regs[INSN_RSP] == USER &&
			    e.c.regs[INSN_RAX] == 0x1234 &&
			    e.c.regs[INSN_RCX] == 0x22 &&
			    e.c.rflags == (0x202 | 1 << 12),
		    "iret: 32 bits, to ring 3; IF changes, IOPL does not");
	begin(INSN_MODE_64, 1);
	context64(0, WIDE3, 0x202, DATA3);
	unit_result(iret(8, 0, false) == EMUL_OK && cs->sel == WIDE3 &&
			    e.c.regs[INSN_RAX] == 0x1234 &&
			    e.c.regs[11] == 0x5678 &&
			    e.c.regs[INSN_RCX] == 0x9abc,
		    "iret: 64 bits, with R11 and RCX");
	begin(INSN_MODE_64, 1);
	context64(0x100, WIDE3, 0x202, DATA3);
	unit_result(iret(8, 0, false) == EMUL_OK && e.c.regs[11] == 0x11 &&
			    e.c.regs[INSN_RCX] == 0x22,
		    "iret: out of a system call R11 and RCX stay");
	begin(INSN_MODE_64, 1);
	context64(0, WIDE1 & ~3, 0x202, DATA1 & ~3);
	unit_result(iret(8, 0, false) == EMUL_OK && cs->sel == WIDE1 &&
			    ss->sel == DATA1,
		    "iret: RPL 0 becomes 1");
	begin(INSN_MODE_64, 1);
	context64(0, WIDE1, 0x202, 0);
	unit_result(iret(8, 0, false) == EMUL_OK && ss->sel == 1 &&
			    ss->attr & EMUL_SEG_UNUSABLE,
		    "iret: a null SS of ring 1");
	begin(INSN_MODE_32, 0);
	context32(CODE1, 0x1002, DATA1);
	e.c.rflags = X86_EFLAGS_FIXED;
	unit_result(iret(4, 0, false) == EMUL_OK && cs->sel == CODE1 &&
			    e.c.rflags == 0x1002,
		    "iret: ring 0 sets IOPL");
	begin(INSN_MODE_32, 1);
	context32(CODE3, 0x202, DATA3);
	e.c.rflags |= X86_EFLAGS_NT;
	unit_result(iret(4, 0, false) == EMUL_OK,
		    "iret: NT makes no task switch of it");
	begin(INSN_MODE_32, 1);
	context32(CODE3, 0x202, DATA3);
	e.c.nmi_masked = true;
	unit_result(iret(4, 0, false) == EMUL_OK && e.nmi_unblocked,
		    "iret: ends blocking of NMIs");
}

static void test_refused(void)
{
	begin(INSN_MODE_32, 1);
	context32(GONE, 0x202, DATA3);
	refuses("iret: a segment that is not present", iret(4, 0, false), NP,
		GONE & ~3);
	unit_result(e.c.regs[INSN_RAX] == 23 && e.c.regs[INSN_RSP] == SP,
		    "and the registers stay");
	begin(INSN_MODE_32, 1);
	context32(CODE3, 0x20202, DATA3);
	refuses("iret: to VM86", iret(4, 0, false), GP, 0);
	begin(INSN_MODE_64, 1);
	context64(0, WIDE3, 0x202, 0);
	refuses("iret: a null SS of ring 3", iret(8, 0, false), GP, 0);
	begin(INSN_MODE_32, 1);
	e.c.regs[INSN_RSP] = 0x5000;
	unit_result(fault(iret(4, CODE1, false), PF, 0) &&
			    e.c.exception.cr2 == 0x5000,
		    "iret: no page of the stack");
}

static void test_failsafe(void)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS];

	begin(INSN_MODE_32, 1);
	e.seg[INSN_SEG_CS].sel = CODE1;
	context32(GONE, 0x202, DATA3);
	e.c.rflags |= X86_EFLAGS_IF;
	unit_result(iret(4, CODE1, false) == EMUL_OK && e.c.rip == SAFE &&
			    cs->sel == CODE1 &&
			    e.c.regs[INSN_RSP] == SP + 4 - 16 &&
			    at(SP - 12, 4) == 0xd0 && at(SP - 8, 4) == 0xe0 &&
			    at(SP - 4, 4) == 0xf0 && at(SP, 4) == 0x90 &&
			    at(SP + 4, 4) == 0x2000 && at(SP + 8, 4) == GONE &&
			    e.c.regs[INSN_RAX] == 0x1234 &&
			    e.c.rflags & X86_EFLAGS_IF,
		    "failsafe: DS, ES, FS, GS on top of the frame");
	begin(INSN_MODE_64, 1);
	context64(0, WIDE3, 0x202, 0);
	e.c.rflags |= X86_EFLAGS_IF;
	unit_result(iret(8, WIDE1, true) == EMUL_OK && e.c.rip == SAFE &&
			    cs->sel == WIDE1 && e.c.regs[INSN_RSP] == SP &&
			    at(SP, 8) == 0xd0 && at(SP + 32, 8) == 0x2000 &&
			    e.c.regs[11] == 0x5678 &&
			    !(e.c.rflags & X86_EFLAGS_IF),
		    "failsafe: 64 bits, with IF clear");
	begin(INSN_MODE_32, 1);
	context32(GONE, 0x202, DATA3);
	refuses("failsafe: the callback's segment is not present",
		iret(4, GONE, false), GP, GONE & ~3);
	begin(INSN_MODE_32, 1);
	context32(GONE, 0x202, DATA3);
	e.pend_at = 4;
	unit_result(iret(4, CODE1, false) == EMUL_PENDING,
		    "failsafe: may wait");
	vigil_emul_complete(&e.c, NULL);
}

/* A gate for VECTOR with DPL 0, to code of ring 1. */
static void gate(enum insn_mode mode)
{
	unsigned int bytes = mode == INSN_MODE_64 ? 16 : 8;
	u16 sel = mode == INSN_MODE_64 ? WIDE1 : CODE1;

	e.idt.base = IDT_AT;
	e.idt.limit = (VECTOR + 1) * bytes - 1;
	word(IDT_AT + VECTOR * bytes, SAFE | sel << 16 | 0x8eull << 40, 8);
	if (bytes == 16)
		word(IDT_AT + VECTOR * bytes + 8, 0, 8);
	e.tr = (struct emul_seg){
		.base = TSS_AT, .limit = 0x67, .sel = 0x40, .attr = 0x8b
	};
	word(TSS_AT + 12, INNER, 8);
	if (mode == INSN_MODE_32)
		word(TSS_AT + 16, DATA1, 2);
}

static void test_system_calls(void)
{
	begin(INSN_MODE_64, 3);
	gate(INSN_MODE_64);
	e.c.bounce = VECTOR + 1;
	unit_result(STEP("\x0f\x05") == EMUL_OK && e.c.rip == SAFE &&
			    e.seg[INSN_SEG_CS].sel == WIDE1 &&
			    at(INNER - 40, 8) == 0x1002 &&
			    e.c.regs[INSN_RCX] == 0x22 && e.c.framing,
		    "SYSCALL: as INT n, whatever the gate's DPL");
	begin(INSN_MODE_32, 3);
	gate(INSN_MODE_32);
	e.c.bounce = VECTOR + 1;
	unit_result(STEP("\x0f\x34") == EMUL_OK && e.c.rip == SAFE &&
			    e.seg[INSN_SEG_CS].sel == CODE1 &&
			    at(INNER - 20, 4) == 0x1002,
		    "SYSENTER: as INT n");
	begin(INSN_MODE_32, 3);
	gate(INSN_MODE_32);
	unit_result(STEP("\x0f\x34") == EMUL_UNHANDLED &&
			    STEP("\x0f\x05") == EMUL_UNHANDLED,
		    "SYSCALL, SYSENTER: else the emulator has none");
}

static void test_privileged(void)
{
	begin(INSN_MODE_32, 1);
	e.cr[0] |= X86_CR0_TS;
	unit_result(STEP("\x0f\x06") == EMUL_OK && !(e.cr[0] & X86_CR0_TS),
		    "CLTS: in ring 1 of such a kernel");
	begin(INSN_MODE_32, 2);
	refuses("CLTS: in ring 2", STEP("\x0f\x06"), GP, 0);
	begin(INSN_MODE_32, 1);
	e.c.kernel_ring = 0;
	refuses("CLTS: in ring 1 of another kernel", STEP("\x0f\x06"), GP, 0);
}

int main(void)
{
	test_iret();
	test_refused();
	test_failsafe();
	test_system_calls();
	test_privileged();
	return unit_end();
}
