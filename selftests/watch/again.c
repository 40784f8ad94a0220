// SPDX-License-Identifier: GPL-2.0
/*
 * vigil remembers the last watched page that a vCPU has stored to, as a TLB would. So the
 * next store finds it without a look at any table, until the guest flushes it, or faults
 * there, or the VMM gives the vCPU other registers.
 */
#include "scripted.h"

static struct vcpu *start(enum mode m)
{
	return start_script(m, 0xa0a0000000, CR0_WP);
}

static void set_va(struct vcpu *v, uint64_t frame, uint64_t flags)
{
	set_entry(v, pt_entry(&pt, va, 1), frame | flags);
}

/* A store at @va is told, with the address and the bytes of this frame. */
static void told(struct vcpu *v, int mon, uint64_t frame)
{
	static uint32_t val;
	uint32_t old = rd32(v->vm, frame);
	struct vigil_event ev;

	CHECK_EQ(op(v, OP_W32, va, ++val), NO_FAULT);
	ev = mon_event(mon);
	CHECK_EQ(ev.gva, va);
	CHECK_EQ(ev.gpa, frame);
	CHECK_EQ((uint32_t)bytes64(ev.old), old);
	CHECK_EQ((uint32_t)bytes64(ev.new_), val);
	CHECK_EQ(rd32(v->vm, frame), val);
	CHECK_NO_EVENT(mon);
}

/* Frame 0 is remembered, and no fault comes before its entry is changed. */
static struct vcpu *remembered(enum mode m, int *mon)
{
	struct vcpu *v = start(m);

	*mon = mon_open(v->vm);
	mon_watch(*mon, FRAME(0), 8, VIGIL_ACTION_LOG);
	mon_watch(*mon, FRAME(1), 8, VIGIL_ACTION_LOG);
	set_va(v, FRAME(0), FLAGS);
	told(v, *mon, FRAME(0));
	/* This one faults, and the next ones do not: the table is out of sync. */
	set_va(v, FRAME(0), FLAGS);
	for (int i = 0; i < 4; i++)
		told(v, *mon, FRAME(0));
	return v;
}

static void end(struct vcpu *v, int mon)
{
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

static void by_invlpg(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);

	set_va(v, FRAME(1), FLAGS);
	op(v, OP_INVLPG, va, 0);
	told(v, mon, FRAME(1));
	told(v, mon, FRAME(1));
	told(v, mon, FRAME(1));
	end(v, mon);
}

static void by_cr3(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);

	set_va(v, FRAME(1), FLAGS);
	op(v, OP_CR3, pt.root, 0);
	told(v, mon, FRAME(1));
	end(v, mon);
}

/* A change of CR4.PGE flushes all. */
static void by_cr4(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);
	struct kvm_sregs s;

	get_sregs(v, &s);
	set_va(v, FRAME(1), FLAGS);
	op(v, OP_CR4, s.cr4 ^ CR4_PGE, 0);
	told(v, mon, FRAME(1));
	end(v, mon);
}

/* The entry forbids writes, which holds from the next flush on. */
static void read_only(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);

	set_va(v, FRAME(0), FLAGS & ~PTE_W);
	op(v, OP_INVLPG, va, 0);
	CHECK_EQ(op(v, OP_W32, va, 0x55), 3);
	CHECK_NO_EVENT(mon);
	/* Allowed again: behind the fault the CPU looks at the entry. */
	set_va(v, FRAME(1), FLAGS);
	told(v, mon, FRAME(1));
	end(v, mon);
}

/* The VMM changes the entry, and sets the registers that say so. */
static void by_vmm(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);
	struct kvm_sregs s;

	pt_set(&pt, va, 1, FRAME(1) | FLAGS);
	get_sregs(v, &s);
	set_sregs(v, &s);
	told(v, mon, FRAME(1));
	end(v, mon);
}

/* Watches come and go on the page, and beside it. */
static void watches(long m)
{
	int mon;
	struct vcpu *v = remembered(m, &mon);
	uint32_t id, other;

	other = mon_watch(mon, FRAME(0) + 0x100, 8, VIGIL_ACTION_DENY);
	told(v, mon, FRAME(0));
	told(v, mon, FRAME(0));
	CHECK_EQ(op(v, OP_W32, va + 0x100, 0x66), NO_FAULT);
	CHECK_EQ(mon_event(mon).watch_id, other);
	CHECK_EQ(rd32(v->vm, FRAME(0) + 0x100), 0);
	mon_del(mon, other);
	told(v, mon, FRAME(0));
	CHECK_EQ(op(v, OP_W32, va + 0x100, 0x66), NO_FAULT);
	CHECK_EQ(rd32(v->vm, FRAME(0) + 0x100), 0x66);
	/* A range from the page before, and one that ends with its last byte. */
	id = mon_watch(mon, FRAME(0) + 0xffe, 4, VIGIL_ACTION_LOG);
	told(v, mon, FRAME(0));
	CHECK_EQ(op(v, OP_W32, va + 0xffa, 1), NO_FAULT);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(op(v, OP_W32, va + 0xffb, 1), NO_FAULT);
	CHECK_EQ(mon_event(mon).watch_id, id);
	end(v, mon);
}

/* clang-format off */
#define CASE_EACH(n, f) \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
	{ n " (long)", f, M_LONG }, { n " (la57)", f, M_LA57 }
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_EACH("INVLPG", by_invlpg),
		CASE_EACH("MOV CR3", by_cr3),
		CASE_EACH("MOV CR4", by_cr4),
		CASE_EACH("an entry that forbids writes", read_only),
		CASE_EACH("the VMM changes the entry", by_vmm),
		CASE_EACH("watches come and go", watches),
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
