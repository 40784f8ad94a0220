// SPDX-License-Identifier: GPL-2.0
/* Which events one answer serves: stores of one execution of an instruction. */
#include <string.h>

#include "insn_same.h"
#include "tap.h"

enum { RCX = 1, RSP = 4, RSI = 6, RDI = 7 };

static struct vigil_event store(uint64_t gva, uint32_t len, const char *insn)
{
	struct vigil_event ev = {
		.flags = VIGIL_EVENT_GVA_VALID | VIGIL_EVENT_INSN_VALID |
			 VIGIL_EVENT_HELD,
		.gva = gva,
		.len = len,
		.rip = 0x1000,
		.cr3 = 0x2000,
		.rflags = 2,
		.vcpu = 1,
		.mode = 64,
		.insn_len = strlen(insn),
	};

	memcpy(ev.insn, insn, ev.insn_len);
	return ev;
}

/* A string instruction, taken up with @left elements to go, next at @gva. */
static struct vigil_event string(uint64_t gva, uint32_t len, uint64_t left,
				 const char *insn)
{
	struct vigil_event ev = store(gva, len, insn);

	ev.regs[RCX] = left;
	ev.regs[RSI] = 0x50000 + gva;
	ev.regs[RDI] = gva;
	return ev;
}

static void pieces(long arg)
{
	struct vigil_event a = store(0xfc0, 32, "\x0f\xae\x27"), b = a;

	b.gva += 32;
	CHECK(insn_same(&a, &b)); /* two pieces of XSAVE */
	b.gva += 64;
	CHECK(insn_same(&a, &b)); /* A store between was not watched. */
	/* A loop executes the instruction again from the first address. */
	CHECK(!insn_same(&b, &a));
	CHECK(!insn_same(&a, &a));
}

static void other_instructions(long arg)
{
	struct vigil_event a = store(0x100, 8, "\x0f\xae\x27"), b, first = a;
	int i;

	for (i = 0; i < 12; i++) {
		b = first;
		b.gva += 8;
		switch (i) {
		case 0:
			b.vcpu++;
			break;
		case 1:
			b.rip++;
			break;
		case 2:
			b.cr3++;
			break;
		case 3:
			b.regs[RSP] -= 8; /* a recursion */
			break;
		case 4:
			b.insn[2] ^= 1;
			break;
		case 5:
			b.insn_len--;
			break;
		case 6:
			b.cpl = 3;
			break;
		case 7:
			b.rflags |= 1;
			break;
		case 8:
			b.flags &= ~VIGIL_EVENT_GVA_VALID;
			break;
		case 9:
			b.flags &= ~VIGIL_EVENT_INSN_VALID;
			break;
		case 10:
			b.vm_id++;
			break;
		case 11:
			b.mode = 32;
			break;
		}
		if (insn_same(&a, &b))
			FAIL("difference %d is not seen", i);
	}
	/* mov %al, (%rdi); inc %rdi; loop */
	a = store(0x100, 1, "\x88\x07");
	b = store(0x101, 1, "\x88\x07");
	a.regs[RDI] = 0x100;
	b.regs[RDI] = 0x101;
	CHECK(!insn_same(&a, &b));
	memset(&a, 0, sizeof(a)); /* there was none before */
	CHECK(!insn_same(&a, &first));
}

static void strings(long arg)
{
	struct vigil_event a = string(0x100, 1, 7, "\xf3\xa4"), b = a;

	b.gva = 0x101;
	CHECK(insn_same(&a, &b)); /* the registers of when it was taken up */
	b = string(0x103, 1, 4, "\xf3\xa4");
	CHECK(insn_same(&a, &b)); /* and taken up again, after an interrupt */
	b.rflags |= 1 << 16;
	CHECK(insn_same(&a, &b));
	/* The next call of memcpy() goes on right behind the first. */
	b = string(0x107, 1, 7, "\xf3\xa4");
	CHECK(!insn_same(&a, &b));
	b = string(0x107, 1, 3, "\xf3\xa4");
	CHECK(!insn_same(&a, &b));
	/* The same copy is made once more. */
	b = string(0x106, 1, 1, "\xf3\xa4");
	CHECK(insn_same(&a, &b));
	CHECK(!insn_same(&b, &a));
	/* The copy has another source. */
	b = string(0x103, 1, 4, "\xf3\xa4");
	b.regs[RSI] += 8;
	CHECK(!insn_same(&a, &b));

	/* REP STOSQ, whose second element lies over the end of a page */
	a = string(0xff4, 8, 3, "\xf3\x48\xab");
	a.regs[RSI] = 5;
	b = string(0xffc, 4, 2, "\xf3\x48\xab");
	b.regs[RSI] = 5;
	CHECK(insn_same(&a, &b));
	a = b;
	b.gva = 0x1000;
	CHECK(insn_same(&a, &b));
	/* With elements of 4 bytes the string would end at another address. */
	a = string(0x100, 4, 3, "\xf3\xab");
	b = string(0x108, 4, 2, "\xf3\xab");
	a.regs[RSI] = b.regs[RSI] = 5;
	CHECK(!insn_same(&a, &b));
	/* Without REP each element is an instruction of its own. */
	a = string(0x100, 1, 3, "\xaa");
	b = string(0x101, 1, 2, "\xaa");
	CHECK(!insn_same(&a, &b));
}

static void strings_down(long arg)
{
	struct vigil_event a = string(0x110, 2, 5, "\xf3\x66\xa5"), b;

	a.rflags |= 1 << 10;
	b = a;
	b.gva = 0x10e;
	CHECK(insn_same(&a, &b));
	CHECK(!insn_same(&b, &a));
	b = string(0x10c, 2, 3, "\xf3\x66\xa5");
	b.rflags |= 1 << 10;
	CHECK(insn_same(&a, &b));
	b.regs[RCX] = 4;
	CHECK(!insn_same(&a, &b));
}

/* In 16-bit code the count and the addresses wrap within 16 bits. */
static void strings_wrap(long arg)
{
	struct vigil_event a = string(0xfffe, 2, 3, "\xf3\xab"), b = a;

	a.mode = b.mode = 16;
	a.regs[RSI] = b.regs[RSI] = 0;
	b.regs[RCX] = 2;
	b.regs[RDI] = 0x0000;
	b.gva = 0x10000;
	CHECK(insn_same(&a, &b));
	a.mode = b.mode = 32;
	CHECK(!insn_same(&a, &b));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "pieces of one store", pieces },
		{ "what makes it another instruction", other_instructions },
		{ "string instructions", strings },
		{ "string instructions, downwards", strings_down },
		{ "string instructions, 16 bits", strings_wrap },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
