// SPDX-License-Identifier: GPL-2.0
/* Task switches: what is stored and loaded, refusals of either task, and waiting. */
#include "machine.h"

#define TS 10
#define VECTOR 0x10
#define OLD_AT (ENV_MEM + 0x400)
#define NEW_AT (ENV_MEM + 0x600)
#define LDT_AT (ENV_MEM + 0x700)
#define IDT_AT (ENV_MEM + 0x900)
#define STACK (ENV_MEM + 0x1800)
#define HOLE 0x1000ull /* a linear address with no memory */

/* selectors */
#define CODE0 8
#define DATA0 16
#define CODE3 (24 | 3)
#define DATA3 (32 | 3)
#define CODE_GONE 40
#define DATA_GONE 48
#define SMALL 56
#define OLD 64
#define NEW 72
#define LDT 80
#define GATE 88
#define LDT_GONE 96
#define READ_ONLY 104
#define STACK16 112
#define BEYOND 0x200

#define CALL_NEW "\x9a\x00\x00\x00\x00\x48\x00"
#define JMP_NEW "\xea\x00\x00\x00\x00\x48\x00"
#define CALL_NEW3 "\x9a\x00\x00\x00\x00\x4b\x00" /* with RPL 3 */
#define CALL_GATE3 "\x9a\x00\x00\x00\x00\x5b\x00"
#define IRET "\xcf"
#define INT_N "\xcd\x10"

#define BUSY(sel) (at(ENV_MEM + (sel) + 5, 1) >> 1 & 1)
#define FLAGS_OLD (X86_EFLAGS_FIXED | X86_EFLAGS_CF | X86_EFLAGS_RF)
#define FLAGS_NEW (X86_EFLAGS_FIXED | X86_EFLAGS_ZF)
#define EIP_NEW 0x2345u

static u64 tss_desc(u64 la, u32 limit, unsigned int type, unsigned int dpl)
{
	return (limit & 0xffff) | (la & 0xffffff) << 16 |
	       (u64)(0x80 | dpl << 5 | type) << 40 | (la >> 24 & 0xff) << 56;
}

static void field32(unsigned int offset, u32 v)
{
	word(NEW_AT + offset, v, 4);
}

static void field16(unsigned int offset, u16 v)
{
	word(NEW_AT + offset, v, 2);
}

/* The new task, whose registers are 0x1100, 0x1101...; in ring 0. */
static void new_tss(bool wide)
{
	unsigned int i;

	if (wide) {
		field32(0x1c, 0x00345000);
		field32(0x20, EIP_NEW);
		field32(0x24, FLAGS_NEW);
		for (i = 0; i < 8; i++)
			field32(0x28 + 4 * i, 0x7700 + i);
		field32(0x38, STACK);
		for (i = 0; i < 6; i++)
			field32(0x48 + 4 * i, i == INSN_SEG_CS ? CODE0 : DATA0);
		field32(0x60, LDT);
		return;
	}
	field16(0x0e, EIP_NEW);
	field16(0x10, FLAGS_NEW);
	for (i = 0; i < 8; i++)
		field16(0x12 + 2 * i, 0x7700 + i);
	field16(0x1a, 0x1800);
	for (i = 0; i < 4; i++)
		field16(0x22 + 2 * i, i == INSN_SEG_CS ? CODE0 : STACK16);
	field16(0x2a, LDT);
}

/* An old task in ring @cpl, whose registers are 0x110000, 0x110001... */
static void begin(bool old_wide, bool new_wide, u8 cpl)
{
	static const u64 gdt[] = {
		0,
		0x00cf9a000000ffffull,
		0x00cf92000000ffffull,
		0x00cffa000000ffffull,
		0x00cff2000000ffffull,
		0x00cf1a000000ffffull,
		0x00cf12000000ffffull,
		0x00409a0000000fffull,
	};
	unsigned int i;

	kernel(INSN_MODE_32);
	e.c.cpl = cpl;
	memset(e.mem, 0xcc, sizeof(e.mem));
	for (i = 0; i < ARRAY_SIZE(gdt); i++)
		word(ENV_MEM + 8 * i, gdt[i], 8);
	word(ENV_MEM + OLD, tss_desc(OLD_AT, 0x67, old_wide ? 0xb : 3, 0), 8);
	word(ENV_MEM + NEW,
	     tss_desc(NEW_AT, new_wide ? 0x67 : 0x2b, new_wide ? 9 : 1, 0), 8);
	word(ENV_MEM + LDT, tss_desc(LDT_AT, 0x17, 2, 0), 8);
	word(ENV_MEM + GATE, (u64)NEW << 16 | 0xe5ull << 40, 8);
	word(ENV_MEM + LDT_GONE, 0x020000000017ull, 8);
	word(ENV_MEM + READ_ONLY, 0x00cf90000000ffffull, 8);
	word(ENV_MEM + STACK16, 0x300092004000ffffull, 8);
	/* In the LDT: 4 is data. */
	word(LDT_AT, 0x00cf92000000ffffull, 8);
	e.gdt.base = ENV_MEM;
	e.gdt.limit = STACK16 + 7;
	e.idt.base = IDT_AT;
	e.idt.limit = 8 * VECTOR + 7;
	word(IDT_AT + 8 * VECTOR, (u64)NEW << 16 | 0x85ull << 40, 8);
	e.tr = (struct emul_seg){ .base = OLD_AT,
				  .limit = 0x67,
				  .sel = OLD,
				  .attr = old_wide ? 0x8b : 0x83 };
	for (i = 0; i < 8; i++)
		e.c.regs[i] = 0x110000 + i;
	e.c.regs[INSN_RSP] = STACK;
	e.c.rflags = FLAGS_OLD;
	e.dr[7] = 0x7ff;
	e.cr[3] = 0x1000;
	new_tss(new_wide);
}

/* Delivers an event. */
static int deliver(const struct emul_event *ev)
{
	int ret;

	vigil_emul_begin(&e.c);
	vigil_emul_event(&e.c, NEW, ev);
	do
		ret = vigil_emulate(&e.c, &env_ops);
	while (ret == EMUL_OK && e.c.more);
	return ret;
}

static struct emul_event outside(bool rf, bool has_ec, u32 error_code)
{
	return (struct emul_event){ .external = true,
				    .rf = rf,
				    .has_ec = has_ec,
				    .error_code = error_code };
}

static int event(bool rf, bool has_ec, u32 error_code)
{
	struct emul_event ev = outside(rf, has_ec, error_code);

	return deliver(&ev);
}

/* The same, where nobody has looked yet whether the vector is a task's. */
static int event_by_idt(void)
{
	struct emul_event ev = outside(true, true, 0x1234);
	int ret;

	ev.vector = VECTOR;
	vigil_emul_begin(&e.c);
	vigil_emul_deliver(&e.c, &ev);
	do
		ret = vigil_emulate(&e.c, &env_ops);
	while (ret == EMUL_OK && e.c.more);
	return ret;
}

/* INT3 or INTO, which the CPU has made an event of */
static int soft_event(void)
{
	return deliver(&(struct emul_event){ 0 });
}

/* Checks a field of the old TSS. */
static bool saved(unsigned int offset, u32 v, unsigned int bytes)
{
	u32 found = at(OLD_AT + offset, bytes);

	if (found != v)
		printf("# the old TSS has %x at %x, not %x\n", found, offset,
		       v);
	return found == v;
}

/* Are all other bytes of the old TSS, which has @bytes, as before? */
static bool rest_is_old(unsigned int from, unsigned int to, bool wide)
{
	unsigned int i;

	for (i = 0; i < 0x68; i++) {
		bool upper = wide && i >= 0x48 && i < to && i & 2;

		if ((i < from || i >= to || upper) &&
		    at(OLD_AT + i, 1) != 0xcc) {
			printf("# byte %x of the old TSS was stored\n", i);
			return false;
		}
	}
	return true;
}

static bool saved32(u32 eip, u64 flags)
{
	bool ok = saved(0x20, eip, 4) && saved(0x24, flags, 4);
	unsigned int i;

	for (i = 0; i < 8; i++)
		ok = ok && saved(0x28 + 4 * i,
				 i == INSN_RSP ? STACK : 0x110000 + i, 4);
	for (i = 0; i < 6; i++)
		ok = ok && saved(0x48 + 4 * i, 0x2b, 2);
	return ok && rest_is_old(0x20, 0x60, true);
}

static bool loaded32(u64 extra_flags)
{
	bool ok = e.c.rip == EIP_NEW && e.c.cpl == 0 &&
		  e.c.rflags == (FLAGS_NEW | extra_flags);
	unsigned int i;

	for (i = 0; i < 8; i++)
		ok = ok && e.c.regs[i] == (i == INSN_RSP ? STACK : 0x7700 + i);
	for (i = 0; i < 6; i++)
		ok = ok && e.seg[i].sel == (i == INSN_SEG_CS ? CODE0 : DATA0) &&
		     e.seg[i].attr == (i == INSN_SEG_CS ? 0xc9b : 0xc93);
	return ok && e.tr.sel == NEW && e.tr.base == NEW_AT &&
	       e.tr.attr == 0x8b && e.ldt.sel == LDT && e.ldt.base == LDT_AT &&
	       e.cr[3] == 0x00345000 && e.cr[0] & X86_CR0_TS &&
	       e.dr[7] == 0x6aa;
}

static void test_wide(void)
{
	const u64 flags = FLAGS_OLD & ~(u64)X86_EFLAGS_RF;

	begin(true, true, 0);
	unit_result(STEP(CALL_NEW) == EMUL_OK && saved32(0x1007, flags) &&
			    loaded32(X86_EFLAGS_NT) && BUSY(OLD) && BUSY(NEW) &&
			    at(NEW_AT, 2) == OLD && at(NEW_AT + 2, 2) == 0xcccc,
		    "CALL: 32 bits, nested, the link is stored");
	begin(true, true, 0);
	unit_result(STEP(JMP_NEW) == EMUL_OK && saved32(0x1007, flags) &&
			    loaded32(0) && !BUSY(OLD) && BUSY(NEW) &&
			    at(NEW_AT, 4) == 0xcccccccc,
		    "JMP: 32 bits, the old TSS is available, no link");
	begin(true, true, 0);
	e.c.rflags |= X86_EFLAGS_NT;
	word(OLD_AT, NEW, 2);
	e.mem[NEW + 5] |= 2;
	unit_result(STEP(IRET) == EMUL_OK && at(OLD_AT, 2) == NEW &&
			    (word(OLD_AT, 0xcccc, 2), saved32(0x1001, flags)) &&
			    loaded32(0) && !BUSY(OLD) && BUSY(NEW),
		    "IRET: 32 bits, NT is clear in the old TSS");
	begin(true, true, 0);
	unit_result(STEP(INT_N) == EMUL_OK && saved32(0x1002, flags) &&
			    loaded32(X86_EFLAGS_NT) && at(NEW_AT, 2) == OLD,
		    "INT n: 32 bits, behind the instruction");
	begin(true, true, 0);
	e.c.rflags &= ~(u64)X86_EFLAGS_RF;
	unit_result(event(true, true, 0x1234) == EMUL_OK &&
			    saved32(0x1000, FLAGS_OLD) &&
			    at(STACK - 4, 4) == 0x1234 &&
			    e.c.regs[INSN_RSP] == STACK - 4 && BUSY(OLD) &&
			    at(NEW_AT, 2) == OLD,
		    "a fault: RIP at the instruction, RF, the error code");
	begin(true, true, 3);
	e.c.rflags &= ~(u64)X86_EFLAGS_RF;
	unit_result(event_by_idt() == EMUL_OK && saved32(0x1000, FLAGS_OLD) &&
			    at(STACK - 4, 4) == 0x1234 && BUSY(OLD) &&
			    at(NEW_AT, 2) == OLD,
		    "a fault whose vector turns out to be a task gate");
	begin(true, true, 0);
	e.c.rflags &= ~(u64)X86_EFLAGS_RF;
	unit_result(event(false, false, 0) == EMUL_OK &&
			    saved32(0x1000, flags) && loaded32(X86_EFLAGS_NT),
		    "an interrupt: no RF, no error code");
	begin(true, true, 0);
	field32(0x24, FLAGS_NEW | X86_EFLAGS_RF | 1u << 3 | 1u << 31);
	unit_result(STEP(JMP_NEW) == EMUL_OK && loaded32(X86_EFLAGS_RF),
		    "the new flags: RF counts, reserved bits do not");
	begin(true, true, 0);
	e.cr[0] &= ~(u64)X86_CR0_PG;
	unit_result(STEP(JMP_NEW) == EMUL_OK && e.cr[3] == 0x1000,
		    "CR3 stays without paging");
	begin(true, true, 3);
	unit_result(STEP(CALL_GATE3) == EMUL_OK && loaded32(X86_EFLAGS_NT),
		    "CALL through a task gate: only the gate's DPL counts");
	begin(true, true, 0);
	e.tr.sel = BEYOND;
	unit_result(STEP(JMP_NEW) == EMUL_OK && BUSY(OLD) && loaded32(0),
		    "JMP: TR's selector is beyond the GDT");
	begin(true, true, 0);
	e.tr.base = ENV_MEM + ENV_BYTES - 0x60;
	e.tr.limit = 0x5f;
	unit_result(STEP(JMP_NEW) == EMUL_OK && loaded32(0) &&
			    at(ENV_MEM + ENV_BYTES - 0x40, 4) == 0x1007,
		    "JMP: no page behind the old TSS, which ends there");
	begin(true, true, 0);
	e.tr.base = ENV_MEM - 0x20;
	/* It lies over the GDT, which the new task needs behind the switch. */
	unit_result(STEP(JMP_NEW) == EMUL_FAULT && e.tr.sel == NEW &&
			    at(ENV_MEM, 4) == 0x1007,
		    "JMP: no page for what the old TSS keeps");
}

static void test_narrow(void)
{
	unsigned int i;
	bool ok;

	begin(false, true, 0);
	ok = STEP(CALL_NEW) == EMUL_OK && saved(0x0e, 0x1007, 2) &&
	     saved(0x10, FLAGS_OLD & 0xffff, 2) && loaded32(X86_EFLAGS_NT);
	for (i = 0; i < 8; i++)
		ok = ok &&
		     saved(0x12 + 2 * i, i == INSN_RSP ? (u16)STACK : i, 2);
	for (i = 0; i < 4; i++)
		ok = ok && saved(0x22 + 2 * i, 0x2b, 2);
	unit_result(ok && rest_is_old(0x0e, 0x2a, false),
		    "from 16 to 32 bits: what is stored");
	begin(true, false, 0);
	ok = event(true, true, 0x123456) == EMUL_OK && e.c.rip == EIP_NEW &&
	     saved32(0x1000, FLAGS_OLD) && e.tr.attr == 0x83 &&
	     e.cr[3] == 0x1000 && e.ldt.sel == LDT &&
	     (e.c.rflags & 0xffff) == (FLAGS_NEW | X86_EFLAGS_NT);
	for (i = 0; i < 8; i++)
		ok = ok && (e.c.regs[i] & 0xffff) ==
				   (i == INSN_RSP ? 0x17fe : 0x7700 + i);
	unit_result(ok && at(ENV_MEM + 0x17fe, 2) == 0x3456 &&
			    at(ENV_MEM + 0x17fc, 2) == 0xcccc,
		    "to 16 bits: CR3 stays, the error code has 16 bits");
	unit_result(e.seg[INSN_SEG_FS].attr == EMUL_SEG_UNUSABLE &&
			    e.seg[INSN_SEG_GS].attr == EMUL_SEG_UNUSABLE &&
			    !e.seg[INSN_SEG_FS].sel,
		    "to 16 bits: FS and GS are null");
	/* The width is that of the TSS, not of the code or the stack. */
	begin(true, false, 0);
	field16(0x26, DATA0);
	field16(0x1a, 0x1800);
	word(ENV_MEM + DATA0, 0x30cf92004000ffffull, 8);
	unit_result(event(true, true, 0x123456) == EMUL_OK &&
			    e.c.regs[INSN_RSP] == 0x17fe &&
			    at(ENV_MEM + 0x17fe, 2) == 0x3456,
		    "to 16 bits: an error code on a stack of 32");
}

static void test_vm86(void)
{
	unsigned int i;
	bool ok;

	begin(true, true, 0);
	field32(0x24, FLAGS_NEW | X86_EFLAGS_VM);
	for (i = 0; i < 6; i++)
		field32(0x48 + 4 * i, 0x3000 + i);
	ok = STEP(CALL_NEW) == EMUL_OK && e.c.cpl == 3 &&
	     e.c.rflags == (FLAGS_NEW | X86_EFLAGS_VM | X86_EFLAGS_NT);
	for (i = 0; i < 6; i++)
		ok = ok && e.seg[i].sel == 0x3000 + i &&
		     e.seg[i].base == (0x3000 + i) * 16 &&
		     e.seg[i].limit == 0xffff && e.seg[i].attr == 0xf3;
	unit_result(ok && e.ldt.sel == LDT && e.ldt.attr == 0x82,
		    "to VM86: segments by their selectors, LDTR by the GDT");
	begin(true, true, 0);
	field32(0x24, FLAGS_NEW | X86_EFLAGS_VM);
	field32(0x20, 0x10000);
	unit_result(fault(STEP(CALL_NEW), GP, 0) && e.c.rip == 0x10000 &&
			    e.c.rflags & X86_EFLAGS_VM,
		    "to VM86: EIP beyond 64K is #GP of the new task");
	begin(true, true, 0);
	field32(0x24, FLAGS_NEW | X86_EFLAGS_VM);
	field32(0x60, CODE0);
	unit_result(fault(STEP(CALL_NEW), TS, CODE0) &&
			    e.seg[INSN_SEG_CS].attr == 0xf3 &&
			    e.ldt.attr == EMUL_SEG_UNUSABLE,
		    "to VM86: a bad LDT is #TS, with the segments of VM86");
	begin(true, true, 3);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	word(IDT_AT + 8 * VECTOR, (u64)NEW << 16 | 0xe5ull << 40, 8);
	unit_result(STEP(INT_N) == EMUL_OK && loaded32(X86_EFLAGS_NT) &&
			    at(OLD_AT + 0x24, 4) & X86_EFLAGS_VM,
		    "from VM86: INT n through a task gate");
	begin(true, true, 3);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM;
	e.cr[4] |= X86_CR4_VME;
	word(IDT_AT + 8 * VECTOR, (u64)NEW << 16 | 0xe5ull << 40, 8);
	word(OLD_AT + 0x66, 0x68, 2);
	word(OLD_AT + 0x48 + VECTOR / 8, 1, 1);
	refuses("from VM86 with VME: INT n that is not redirected needs IOPL",
		STEP(INT_N), GP, 0);
	e.c.rflags |= X86_EFLAGS_IOPL;
	unit_result(STEP(INT_N) == EMUL_OK && loaded32(X86_EFLAGS_NT),
		    "from VM86 with VME: and goes through the task gate");
	begin(true, true, 3);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM | X86_EFLAGS_IOPL;
	e.cr[4] |= X86_CR4_VME;
	word(OLD_AT + 0x66, 0x68, 2);
	word(OLD_AT + 0x48 + VECTOR / 8, 0, 1);
	unit_result(STEP(INT_N) == EMUL_UNHANDLED,
		    "from VM86 with VME: a redirected one is left to others");
}

/* ---- refusals of the old task: nothing has changed ---- */

static struct env before;

static void old_refuses(const char *what, int ret, u8 vector, int error_code)
{
	bool same = !memcmp(e.mem, before.mem, sizeof(e.mem)) &&
		    !memcmp(e.seg, before.seg, sizeof(e.seg)) &&
		    !memcmp(&e.tr, &before.tr, sizeof(e.tr)) &&
		    !memcmp(&e.c.st, &before.c.st, sizeof(e.c.st)) &&
		    !memcmp(e.cr, before.cr, sizeof(e.cr)) &&
		    e.dr[7] == before.dr[7] && e.c.cpl == before.c.cpl;

	if (vector == ENV_PF)
		error_code = e.c.exception.error_code;
	if (!unit_result(same && fault(ret, vector, error_code), "%s", what))
		printf("# status %d vector %u error %x same %d\n", ret,
		       e.c.exception.vector, e.c.exception.error_code, same);
}

#define OLD_REFUSES(what, insn, vector, error_code)                \
	do {                                                       \
		before = e;                                        \
		old_refuses(what, STEP(insn), vector, error_code); \
	} while (0)

static void bad_desc(u16 sel, u64 desc)
{
	begin(true, true, 0);
	word(ENV_MEM + sel, desc, 8);
}

static void test_old_refuses(void)
{
	begin(true, true, 3);
	OLD_REFUSES("CALL: TSS of DPL 0 at CPL 3 is #GP(TSS)", CALL_NEW, GP,
		    NEW);
	begin(true, true, 0);
	OLD_REFUSES("CALL: RPL 3 of a TSS of DPL 0 is #GP(TSS)", CALL_NEW3, GP,
		    NEW);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)NEW << 16 | 0x85ull << 40, 8);
	OLD_REFUSES("CALL: a gate of DPL 0 at CPL 3 is #GP(gate)", CALL_GATE3,
		    GP, GATE);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)NEW << 16 | 0x65ull << 40, 8);
	OLD_REFUSES("CALL: a gate that is not there is #NP(gate)", CALL_GATE3,
		    NP, GATE);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)(NEW | 4) << 16 | 0xe5ull << 40, 8);
	OLD_REFUSES("CALL: a gate to the LDT is #GP(TSS)", CALL_GATE3, GP,
		    NEW | 4);
	begin(true, true, 3);
	word(ENV_MEM + GATE, 4ull << 16 | 0xe5ull << 40, 8);
	word(LDT_AT, tss_desc(NEW_AT, 0x67, 9, 0), 8);
	e.ldt = (struct emul_seg){
		.base = LDT_AT, .limit = 0x17, .sel = LDT, .attr = 0x82
	};
	OLD_REFUSES("CALL: a gate to a TSS in the LDT is #GP(TSS)", CALL_GATE3,
		    GP, 4);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)BEYOND << 16 | 0xe5ull << 40, 8);
	OLD_REFUSES("CALL: a gate beyond the GDT is #GP(TSS)", CALL_GATE3, GP,
		    BEYOND);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)CODE0 << 16 | 0xe5ull << 40, 8);
	OLD_REFUSES("CALL: a gate to code is #GP(sel)", CALL_GATE3, GP, CODE0);
	begin(true, true, 3);
	word(ENV_MEM + GATE, (u64)OLD << 16 | 0xe5ull << 40, 8);
	OLD_REFUSES("CALL: a gate to a busy TSS is #GP(TSS)", CALL_GATE3, GP,
		    OLD);
	bad_desc(NEW, tss_desc(NEW_AT, 0x67, 0xb, 0));
	OLD_REFUSES("JMP: a busy TSS is #GP(TSS)", JMP_NEW, GP, NEW);
	bad_desc(NEW, tss_desc(NEW_AT, 0x67, 9, 0) & ~(1ull << 47));
	OLD_REFUSES("JMP: a TSS that is not there is #NP(TSS)", JMP_NEW, NP,
		    NEW);
	bad_desc(NEW, tss_desc(NEW_AT, 0x66, 9, 0));
	OLD_REFUSES("JMP: a limit of 0x66 is #TS(TSS)", JMP_NEW, TS, NEW);
	bad_desc(NEW, tss_desc(NEW_AT, 0x2a, 1, 0));
	OLD_REFUSES("JMP: a limit of 0x2a for 16 bits is #TS(TSS)", JMP_NEW, TS,
		    NEW);
	begin(true, true, 0);
	e.tr.limit = 0x5e;
	OLD_REFUSES("JMP: the old TSS has no room: #TS(old)", JMP_NEW, TS, OLD);
	bad_desc(NEW, tss_desc(HOLE, 0x67, 9, 0));
	OLD_REFUSES("JMP: no page for the new TSS", JMP_NEW, ENV_PF, 0);
	bad_desc(NEW, tss_desc(ENV_MEM + ENV_BYTES - 0x67, 0x67, 9, 0));
	OLD_REFUSES("JMP: no page for its last byte", JMP_NEW, ENV_PF, 0);
	bad_desc(NEW, tss_desc(ENV_MEM - 1, 0x67, 9, 0));
	OLD_REFUSES("JMP: no page for its first byte", JMP_NEW, ENV_PF, 0);
	begin(true, true, 0);
	e.tr.base = HOLE;
	OLD_REFUSES("JMP: no page for the old TSS", JMP_NEW, ENV_PF, 0);
	begin(true, true, 0);
	e.tr.base = ENV_MEM + ENV_BYTES - 0x5f;
	OLD_REFUSES("JMP: no page for its last selector", JMP_NEW, ENV_PF, 0);

	begin(true, true, 3);
	OLD_REFUSES("INT n: a gate of DPL 0 at CPL 3 is #GP(vector)", INT_N, GP,
		    8 * VECTOR + 2);
	begin(true, true, 0);
	word(IDT_AT + 8 * VECTOR, (u64)NEW << 16 | 0x05ull << 40, 8);
	OLD_REFUSES("INT n: a gate that is not there is #NP(vector)", INT_N, NP,
		    8 * VECTOR + 2);
	begin(true, true, 0);
	word(IDT_AT + 8 * VECTOR, (u64)OLD << 16 | 0x85ull << 40, 8);
	OLD_REFUSES("INT n: a busy TSS is #GP(TSS)", INT_N, GP, OLD);
	bad_desc(NEW, tss_desc(NEW_AT, 0x67, 0xb, 0));
	before = e;
	old_refuses("an event: a busy TSS is #GP(TSS + EXT)",
		    event(true, true, 0), GP, NEW | 1);
	bad_desc(NEW, tss_desc(NEW_AT, 0x66, 9, 0));
	before = e;
	old_refuses("an event: a small TSS is #TS(TSS + EXT)",
		    event(true, true, 0), TS, NEW | 1);
	before = e;
	old_refuses("INT3: a small TSS is #TS(TSS), not from outside",
		    soft_event(), TS, NEW);
}

static void link_to(u16 sel)
{
	begin(true, true, 0);
	e.c.rflags |= X86_EFLAGS_NT;
	word(OLD_AT, sel, 2);
}

static void test_iret_refuses(void)
{
	link_to(NEW);
	OLD_REFUSES("IRET: to a TSS that is not busy is #TS", IRET, TS, NEW);
	link_to(NEW | 4);
	OLD_REFUSES("IRET: to the LDT is #TS", IRET, TS, NEW | 4);
	link_to(BEYOND);
	OLD_REFUSES("IRET: beyond the GDT is #TS", IRET, TS, BEYOND);
	link_to(0);
	OLD_REFUSES("IRET: to null is #TS(0)", IRET, TS, 0);
	link_to(CODE0);
	OLD_REFUSES("IRET: to code is #TS", IRET, TS, CODE0);
	link_to(NEW);
	word(ENV_MEM + NEW, tss_desc(NEW_AT, 0x67, 0xb, 0) & ~(1ull << 47), 8);
	OLD_REFUSES("IRET: to a TSS that is not there is #NP", IRET, NP, NEW);
	link_to(NEW);
	e.tr.base = HOLE;
	OLD_REFUSES("IRET: no page for the link", IRET, ENV_PF, 0);
	link_to(NEW);
	e.c.nmi_masked = true;
	unit_result(STEP(IRET) == EMUL_FAULT && e.nmi_unblocked,
		    "IRET: unblocks NMIs, though it is refused");
}

/* ---- faults of the new task ---- */

/* What the new task has: registers, TR, the flags; and an entry must accept it. */
static void new_faults(const char *what, int ret, u8 vector, int error_code)
{
	const struct emul_seg *cs = &e.seg[INSN_SEG_CS],
			      *ss = &e.seg[INSN_SEG_SS];
	unsigned int rpl = cs->sel & 3;
	bool ok = fault(ret, vector, error_code) && e.tr.sel == NEW &&
		  BUSY(NEW) && e.c.rip == at(NEW_AT + 0x20, 4) &&
		  e.c.regs[INSN_RSP] == STACK && e.c.cpl == rpl &&
		  (ss->sel & 3) == rpl && (ss->attr >> 5 & 3) == rpl &&
		  (cs->attr >> 5 & 3) == rpl && (cs->attr & 0x99) == 0x99 &&
		  !(cs->attr & EMUL_SEG_UNUSABLE);

	if (!unit_result(ok, "%s", what))
		printf("# status %d vector %u error %x cs %x %x ss %x %x\n",
		       ret, e.c.exception.vector, e.c.exception.error_code,
		       cs->sel, cs->attr, ss->sel, ss->attr);
}

static void test_new_faults(void)
{
	static const struct {
		const char *what;
		unsigned int at;
		u16 sel;
		u8 vector;
		int ec;
	} row[] = {
		{ "CS: null is #TS(0)", 0x4c, 0, TS, 0 },
		{ "CS: data is #TS", 0x4c, DATA0, TS, DATA0 },
		{ "CS: not there is #NP", 0x4c, CODE_GONE, NP, CODE_GONE },
		{ "CS: RPL 3 of DPL 0 is #TS", 0x4c, CODE0 | 3, TS, CODE0 },
		{ "CS: RPL 0 of DPL 3 is #TS", 0x4c, CODE3 & ~3, TS, 24 },
		{ "CS: beyond the GDT is #TS", 0x4c, BEYOND, TS, BEYOND },
		{ "CS: beyond the LDT is #TS", 0x4c, 0x2c, TS, 0x2c },
		{ "CS: a TSS is #TS", 0x4c, OLD, TS, OLD },
		{ "SS: null is #TS(0)", 0x50, 0, TS, 0 },
		{ "SS: RPL 3 at CPL 0 is #TS", 0x50, DATA3, TS, 32 },
		{ "SS: DPL 3 at CPL 0 is #TS", 0x50, DATA3 & ~3, TS, 32 },
		{ "SS: not there is #SS", 0x50, DATA_GONE, SS, DATA_GONE },
		{ "SS: read-only is #TS", 0x50, READ_ONLY, TS, READ_ONLY },
		{ "SS: code is #TS", 0x50, CODE0, TS, CODE0 },
		{ "DS: not there is #NP", 0x54, DATA_GONE, NP, DATA_GONE },
		{ "ES: a TSS is #TS", 0x48, OLD, TS, OLD },
		{ "FS: RPL 3 of DPL 0 is #TS", 0x58, DATA0 | 3, TS, DATA0 },
		{ "GS: beyond the GDT is #TS", 0x5c, BEYOND, TS, BEYOND },
		{ "LDT: code is #TS", 0x60, CODE0, TS, CODE0 },
		{ "LDT: in the LDT is #TS", 0x60, 4, TS, 4 },
		{ "LDT: not there is #TS", 0x60, LDT_GONE, TS, LDT_GONE },
		{ "LDT: beyond the GDT is #TS", 0x60, BEYOND, TS, BEYOND },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		begin(true, true, i & 1 ? 3 : 0);
		field16(row[i].at, row[i].sel);
		new_faults(row[i].what, STEP(i & 1 ? CALL_GATE3 : CALL_NEW),
			   row[i].vector, row[i].ec);
	}
	begin(true, true, 0);
	field16(0x4c, DATA0);
	new_faults("CS, for an event: EXT", event(true, true, 0), TS,
		   DATA0 | 1);
	begin(true, true, 0);
	field16(0x4c, DATA0);
	new_faults("CS, for INT3: no EXT", soft_event(), TS, DATA0);
	begin(true, true, 0);
	field16(0x4c, SMALL);
	new_faults("EIP: beyond the limit is #GP(0)", STEP(CALL_NEW), GP, 0);
	begin(true, true, 0);
	field16(0x54, 0);
	field16(0x5c, 4);
	unit_result(STEP(CALL_NEW) == EMUL_OK &&
			    e.seg[INSN_SEG_DS].attr == EMUL_SEG_UNUSABLE &&
			    e.seg[INSN_SEG_GS].sel == 4 &&
			    e.seg[INSN_SEG_GS].attr == 0xc93,
		    "DS may be null, GS comes from the new LDT");
	begin(true, true, 0);
	field16(0x60, 0);
	field16(0x5c, 4);
	new_faults("GS: in the LDT, of which there is none", STEP(CALL_NEW), TS,
		   4);
	/* To ring 3 */
	begin(true, true, 0);
	field16(0x4c, CODE3);
	field16(0x50, DATA3);
	new_faults("DS: DPL 0 in a task of ring 3 is #TS", STEP(CALL_NEW), TS,
		   DATA0);
	begin(true, true, 0);
	field32(0x38, HOLE);
	unit_result(event(true, true, 0) == EMUL_FAULT &&
			    e.c.exception.vector == ENV_PF &&
			    e.c.exception.cr2 == HOLE - 4 &&
			    e.c.regs[INSN_RSP] == HOLE && e.c.rip == EIP_NEW &&
			    e.seg[INSN_SEG_GS].sel == DATA0,
		    "the error code: #PF of the new task's stack");
	begin(true, true, 0);
	field16(0x50, STACK16);
	field32(0x38, 1);
	unit_result(fault(event(true, true, 0), SS, 1) && e.tr.sel == NEW,
		    "the error code: beyond the stack's limit is #SS(EXT)");
	begin(true, true, 0);
	field16(0x4c, CODE3);
	field16(0x50, DATA3);
	for (i = 0x48; i < 0x60; i += 4)
		if (i != 0x4c && i != 0x50)
			field16(i, 0);
	unit_result(event(true, true, 0) == EMUL_OK && e.c.cpl == 3 &&
			    e.seg[INSN_SEG_SS].sel == DATA3,
		    "to ring 3");
}

/* ---- traps, and waiting ---- */

static void test_traps(void)
{
	begin(true, true, 0);
	field16(0x64, 1);
	unit_result(STEP(JMP_NEW) == EMUL_OK && e.c.task.dr6 == 1 << 15,
		    "the T bit");
	begin(true, true, 0);
	field16(0x64, 0xfffe);
	unit_result(STEP(JMP_NEW) == EMUL_OK && !e.c.task.dr6,
		    "the other bits beside T");
	begin(true, true, 0);
	field16(0x64, 0);
	e.c.rflags |= X86_EFLAGS_TF;
	unit_result(STEP(JMP_NEW) == EMUL_OK && e.c.task.dr6 == 1 << 14 &&
			    e.c.no_step,
		    "a single step of the old task");
	begin(true, true, 0);
	field16(0x64, 0);
	field32(0x24, FLAGS_NEW | X86_EFLAGS_TF);
	unit_result(STEP(JMP_NEW) == EMUL_OK && !e.c.task.dr6 && e.c.no_step,
		    "a single step begins in the new task");
	begin(true, true, 0);
	field16(0x64, 0);
	e.c.rflags |= X86_EFLAGS_TF;
	unit_result(event(false, false, 0) == EMUL_OK && !e.c.task.dr6,
		    "none behind an event");
	begin(true, true, 0);
	field16(0x64, 1);
	field16(0x54, CODE_GONE);
	unit_result(STEP(JMP_NEW) == EMUL_FAULT && !e.c.task.dr6,
		    "none behind a fault of the new task");
}

/* Which events an INT n at RIP is taken for. */
static bool int_enters(const char *insn, unsigned int n, u16 sel)
{
	vigil_emul_begin(&e.c);
	return !vigil_decode(&e.c.insn, (const u8 *)insn, n, e.c.mode) &&
	       vigil_emul_int_enters(&e.c, &env_ops, sel);
}

static void test_int_enters(void)
{
	begin(true, true, 0);
	unit_result(int_enters(INT_N, 2, NEW), "INT n at RIP: enters the task");
	unit_result(!int_enters(INT_N, 2, OLD), "INT n at RIP: not another");
	unit_result(!int_enters("\xcd\x0f", 2, NEW), "INT n at RIP: no gate");
	unit_result(!int_enters("\x90", 1, NEW), "NOP at RIP");
	unit_result(!int_enters("\xce", 1, NEW), "INTO at RIP, OF clear");
	e.c.cpl = 3;
	unit_result(!int_enters(INT_N, 2, NEW), "INT n at RIP: DPL 0 at CPL 3");
	begin(true, true, 3);
	word(IDT_AT + 8 * VECTOR, (u64)NEW << 16 | 0xe5ull << 40, 8);
	e.c.mode = INSN_MODE_16;
	e.c.rflags |= X86_EFLAGS_VM;
	unit_result(!int_enters(INT_N, 2, NEW), "INT n at RIP: VM86, IOPL 0");
	e.c.rflags |= X86_EFLAGS_IOPL;
	unit_result(int_enters(INT_N, 2, NEW), "INT n at RIP: VM86, IOPL 3");
	e.idt.limit -= 8;
	unit_result(!int_enters(INT_N, 2, NEW), "INT n at RIP: no such vector");
}

/* Does what was waited for. */
static void answer(void)
{
	struct emul_pending *p = &e.c.pending;
	void *mem = env_mem(&e, p->la, p->bytes);
	u8 old[EMUL_MAX_ACCESS] = { 0 };

	if (p->type == EMUL_XACT_PROBE) {
		vigil_emul_complete(&e.c, NULL);
		return;
	}
	memcpy(old, mem, p->bytes);
	if (p->type == EMUL_XACT_WRITE ||
	    (p->type == EMUL_XACT_CMPXCHG && !memcmp(old, p->old, p->bytes)))
		memcpy(mem, p->data, p->bytes);
	vigil_emul_complete(&e.c, old);
}

/* The switch has the same end, whichever access waits. */
static void test_waits(void)
{
	const struct emul_event ud = outside(true, false, 0),
				gp = outside(true, true, 0x5678);
	static struct env whole;
	unsigned int n, waits = 0;
	bool same = true;
	int ret;

	begin(true, true, 0);
	word(ENV_MEM + NEW, tss_desc(ENV_MEM + 0x1000 - 0x32, 0x67, 9, 0), 8);
	memcpy(e.mem + 0x1000 - 0x32, e.mem + 0x600, 0x68);
	ret = deliver(&gp);
	whole = e;
	for (n = 0; ret == EMUL_OK && n < 200; n++) {
		begin(true, true, 0);
		word(ENV_MEM + NEW,
		     tss_desc(ENV_MEM + 0x1000 - 0x32, 0x67, 9, 0), 8);
		memcpy(e.mem + 0x1000 - 0x32, e.mem + 0x600, 0x68);
		vigil_emul_begin(&e.c);
		vigil_emul_event(&e.c, NEW, &gp);
		e.pend_at = n;
		do {
			ret = vigil_emulate(&e.c, &env_ops);
			if (ret == EMUL_PENDING) {
				answer();
				waits++;
			}
		} while (ret == EMUL_PENDING || (ret == EMUL_OK && e.c.more));
		if (e.pend_at >= 0)
			break;
		same = same && !memcmp(e.mem, whole.mem, sizeof(e.mem)) &&
		       !memcmp(&e.c.st, &whole.c.st, sizeof(e.c.st)) &&
		       !memcmp(e.seg, whole.seg, sizeof(e.seg)) &&
		       !memcmp(&e.tr, &whole.tr, sizeof(e.tr)) &&
		       !memcmp(&e.ldt, &whole.ldt, sizeof(e.ldt)) &&
		       e.cr[3] == whole.cr[3] && e.dr[7] == whole.dr[7];
	}
	unit_result(ret == EMUL_OK && same && waits > 35 && waits == n &&
			    whole.writes,
		    "a TSS over a page's end: each of %u accesses waits", n);

	begin(true, true, 0);
	e.race = 1;
	unit_result(STEP(JMP_NEW) == EMUL_RESTART && e.c.rip == 0x1000 &&
			    e.tr.sel == OLD,
		    "a descriptor changes before the switch: begin again");
	begin(true, true, 0);
	vigil_emul_begin(&e.c);
	vigil_emul_event(&e.c, NEW, &ud);
	ret = vigil_emulate(&e.c, &env_ops);
	same = ret == EMUL_OK && e.c.more;
	e.race = 1;
	ret = vigil_emulate(&e.c, &env_ops);
	same = same && ret == EMUL_RESTART && e.c.rip == EIP_NEW;
	unit_result(same && vigil_emulate(&e.c, &env_ops) == EMUL_OK &&
			    e.tr.sel == NEW &&
			    e.seg[INSN_SEG_CS].sel == CODE0 && !e.c.more,
		    "a descriptor changes behind it: the segments again");
	begin(true, true, 0);
	e.deny = true;
	unit_result(STEP(JMP_NEW) == EMUL_OK && e.tr.sel == NEW && BUSY(OLD) &&
			    at(OLD_AT + 0x20, 4) == 0xcccccccc,
		    "denied stores: the switch goes on");
}

int main(void)
{
	test_wide();
	test_narrow();
	test_vm86();
	test_old_refuses();
	test_iret_refuses();
	test_new_faults();
	test_traps();
	test_int_enters();
	test_waits();
	return unit_end();
}
