// SPDX-License-Identifier: GPL-2.0
/*
 * Guest page tables that change while they are used: remaps, splits, recursive
 * and shared tables, latched PDPTEs, many address spaces, one page in two roles.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../guest/script.h"
#include "../watch/mon.h"

DECLARE_PAYLOAD(script32);
DECLARE_PAYLOAD(script64);
DECLARE_LABEL(script32, pf);
DECLARE_LABEL(script64, pf);

#define FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
/* Data frames: page n of the RAM above the tables holds MARK(n) at its start. */
#define FRAME(n) (GUEST_HIGH + (uint64_t)(n)*0x1000)
#define MARK(n) (0x5a000000u + (n))
#define NO_FAULT 0xffffffff

static struct pt pt;
/* The tests map pages at this address. Nothing else uses its tables. */
static uint64_t test_va;

static struct vcpu *start(enum mode mode)
{
	bool is64 = mode == M_LONG || mode == M_LA57;
	struct vcpu *v;
	struct kvm_sregs s;
	unsigned int i, level;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	v = guest_start(mode, is64 ? pl_script64 : pl_script32,
			is64 ? pl_script64_end : pl_script32_end);
	idt_gate(v->vm, mode, PF,
		 is64 ? LABEL_AT(script64, pf) : LABEL_AT(script32, pf),
		 mode_long(mode) && is64 ? SEL_CODE64 : SEL_CODE32, 0xe, 0);
	test_va = mode == M_LA57 ? 0x100a0a0000000 :
		  mode == M_LONG ? 0xa0a0000000 :
				   0xa0000000;
	v->vm->pt_next = GUEST_PT;
	pt_init(&pt, v->vm, mode);
	pt_identity(&pt, 0, v->vm->ram_size, PTE_W | PTE_U | PTE_A | PTE_D);
	/* Makes the tables on the way to test_va, with nothing below. */
	pt_entry(&pt, test_va, 1);
	for (level = pt.levels; level > 1; level--)
		if (!(mode == M_PAE && level == 3))
			pt_set(&pt, test_va, level,
			       pt_get(&pt, test_va, level) | PTE_A);
	for (i = 0; i < 512; i++)
		wr32(v->vm, FRAME(i), MARK(i));
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	EXPECT(v, STOP_SYNC);
	return v;
}

static uint64_t op(struct vcpu *v, unsigned int what, uint64_t a, uint64_t b,
		   uint64_t c)
{
	struct vm *vm = v->vm;

	wr64(vm, S_OP, what);
	wr64(vm, S_A, a);
	wr64(vm, S_B, b);
	wr64(vm, S_C, c);
	wr64(vm, S_RESULT, 0);
	EXPECT(v, STOP_SYNC);
	return rd64(vm, S_RESULT);
}

static uint32_t fault(struct vcpu *v)
{
	return rd32(v->vm, S_FAULT);
}

static uint32_t rd(struct vcpu *v, uint64_t va)
{
	uint32_t x = op(v, OP_READ, va, 0, 0);

	return fault(v) == NO_FAULT ? x : 0xfa000000 | fault(v);
}

static void wr(struct vcpu *v, uint64_t va, uint32_t x)
{
	op(v, OP_W32, va, x, 0);
}

static void invlpg(struct vcpu *v, uint64_t va)
{
	op(v, OP_INVLPG, va, 0, 0);
}

/* The guest writes an entry of its tables, through the identity mapping. */
static void set_entry(struct vcpu *v, uint64_t gpa, uint64_t e)
{
	op(v, pt.entry_size == 4 ? OP_W32 : OP_W64, gpa, e, 0);
	CHECK_EQ(fault(v), NO_FAULT);
}

static void remap(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t e = pt_entry(&pt, test_va, 1);
	unsigned int i;

	for (i = 0; i < 40; i++) {
		set_entry(v, e, FRAME(i) | FLAGS);
		invlpg(v, test_va);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
		wr(v, test_va + 4, i * 3);
		CHECK_MEM_EQ(rd32(v->vm, FRAME(i) + 4), i * 3);
	}
	/* The entry is cleared: the fault's error code and CR2 must show it. */
	set_entry(v, e, 0);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va + 8), 0xfa000000);
	CHECK_MEM_EQ(rd64(v->vm, S_CR2), test_va + 8);
	/* The shadow follows writes to the entry of every size and kind. */
	if (pt.entry_size == 8)
		op(v, OP_CMPXCHG8B, e, FRAME(50) | FLAGS, 0);
	else
		op(v, OP_XCHG, e, FRAME(50) | FLAGS, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(50));
	op(v, OP_W8, e + 1, FRAME(51) >> 8 & 0xff, 0);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(51));
	op(v, OP_W16, e + 1, FRAME(52) >> 8 & 0xffff, 0);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(52));
	wr64(v->vm, FRAME(60), FRAME(53) | FLAGS);
	op(v, OP_COPY, e, FRAME(60), pt.entry_size);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(53));
	/* One write covers two entries. */
	set_entry(v, e + pt.entry_size, FRAME(55) | FLAGS);
	CHECK_MEM_EQ(rd(v, test_va + 0x1000), MARK(55));
	if (pt.entry_size == 4) {
		op(v, OP_CMPXCHG8B, e,
		   (FRAME(56) | FLAGS) | (FRAME(57) | FLAGS) << 32, 0);
		invlpg(v, test_va);
		invlpg(v, test_va + 0x1000);
		CHECK_MEM_EQ(rd(v, test_va), MARK(56));
		CHECK_MEM_EQ(rd(v, test_va + 0x1000), MARK(57));
	}
}

/* A change from not present to present needs no flush, at any level. */
static void becomes_present(long mode)
{
	struct vcpu *v = start(mode);
	unsigned int level, i = 1;

	for (level = 1; level <= pt.levels; level++) {
		uint64_t at = pt_entry(&pt, test_va, level);
		uint64_t good = level == 1 ? FRAME(i) | FLAGS :
					     pt_get(&pt, test_va, level);

		if (mode == M_PAE && level == 3)
			break; /* PDPTEs are latched, see below */
		set_entry(v, at, 0);
		invlpg(v, test_va);
		CHECK_MEM_EQ(rd(v, test_va), 0xfa000000);
		CHECK_MEM_EQ(rd(v, test_va), 0xfa000000);
		set_entry(v, at, good);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
	}
	/*
	 * More rights need no flush: a stale translation causes one fault at
	 * most.
	 */
	set_entry(v, pt_entry(&pt, test_va, 1),
		  FRAME(2) | PTE_P | PTE_A | PTE_U);
	invlpg(v, test_va);
	op(v, OP_CR0, CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(2));
	wr(v, test_va + 4, 7);
	CHECK_EQ(fault(v), PF_P | PF_W);
	set_entry(v, pt_entry(&pt, test_va, 1), FRAME(2) | FLAGS);
	wr(v, test_va + 4, 8);
	if (fault(v) != NO_FAULT)
		wr(v, test_va + 4, 8);
	CHECK_EQ(fault(v), NO_FAULT);
	CHECK_MEM_EQ(rd32(v->vm, FRAME(2) + 4), 8);
}

/* A large page in use is split into small ones, and joined again. */
static void split(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t at = pt_entry(&pt, test_va, 2), table = pt_page(v->vm);
	uint64_t base = mode == M_PSE ? 0 : GUEST_HIGH;
	uint64_t off = GUEST_HIGH - base;
	unsigned int i, round;

	op(v, OP_CR4,
	   (mode == M_PSE ? CR4_PSE : CR4_PAE) |
		   (mode == M_LA57 ? CR4_LA57 : 0),
	   0, 0);
	for (round = 0; round < 3; round++) {
		set_entry(v, at, base | FLAGS | PTE_PS);
		/*
		 * One INVLPG would be enough for a large page that was there
		 * before, but not for these small ones.
		 */
		for (i = 0; i < 40; i++)
			invlpg(v, test_va + off + i * 0x1000);
		for (i = 0; i < 40; i += 3)
			CHECK_MEM_EQ(rd(v, test_va + off + i * 0x1000),
				     MARK(i));
		/* Another order tells the pages apart. */
		for (i = 0; i < 40; i++)
			set_entry(v, table + ((off >> 12) + i) * pt.entry_size,
				  FRAME(100 + round - i) | FLAGS);
		set_entry(v, at, table | FLAGS);
		for (i = 0; i < 40; i++)
			invlpg(v, test_va + off + i * 0x1000);
		for (i = 0; i < 40; i++)
			CHECK_MEM_EQ(rd(v, test_va + off + i * 0x1000),
				     MARK(100 + round - i));
	}
}

/*
 * A large page in use is replaced by another one: a single INVLPG of any
 * address in it drops it whole. Emulated CPUs drop everything at each entry, so
 * only the TLB auditor can find a fault here.
 */
static void large_changed(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t at = pt_entry(&pt, test_va, 2), table = pt_page(v->vm);
	uint64_t base = mode == M_PSE ? 0 : GUEST_HIGH;
	uint64_t off = GUEST_HIGH - base, va = test_va + off;
	unsigned int i, round;

	op(v, OP_CR4,
	   (mode == M_PSE ? CR4_PSE : CR4_PAE) |
		   (mode == M_LA57 ? CR4_LA57 : 0),
	   0, 0);
	for (round = 0; round < 4; round++) {
		/* Replaces a large page at @base by the same one, read-only. */
		set_entry(v, at, base | FLAGS | PTE_PS);
		invlpg(v, va + round * 0x3000);
		for (i = 0; i < 8; i++)
			wr(v, va + i * 0x1000, MARK(i + round));
		set_entry(v, at, (base | FLAGS | PTE_PS) & ~(uint64_t)PTE_W);
		invlpg(v, va + round * 0x5000);
		for (i = 0; i < 8; i++)
			CHECK_MEM_EQ(rd(v, va + i * 0x1000), MARK(i + round));
	}
	/* A table takes its place, with one page changed: INVLPG of that one. */
	for (i = 0; i < 40; i++)
		set_entry(v, table + ((off >> 12) + i) * pt.entry_size,
			  FRAME(i == 5 ? 30 : i) | FLAGS);
	set_entry(v, at, table | FLAGS);
	CHECK_MEM_EQ(rd(v, va), MARK(round - 1));
	invlpg(v, va + 0x5000);
	CHECK_MEM_EQ(rd(v, va + 0x5000), MARK(30));
}

/*
 * A write through one translation of a large page's entry sets D; the other
 * translations may stay, and fault at their first write. The guest clears D:
 * the next write through any of them sets it again. All but the end is within
 * those first stops of a case that are audited.
 */
static void large_dirty(long mode)
{
	const uint64_t nowp = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
	const uint64_t base = mode == M_PSE ? 0 : GUEST_HIGH;
	const uint64_t clean = base | (FLAGS & ~(uint64_t)PTE_D) | PTE_PS;
	struct vcpu *v = start(mode);
	uint64_t va = test_va + GUEST_HIGH - base;

	pt_set(&pt, test_va, 2, clean);
	op(v, OP_CR0, nowp | CR0_WP, 0, 0);
	CHECK_MEM_EQ(rd(v, va), MARK(0));
	op(v, OP_CR0, nowp, 0, 0);
	CHECK_MEM_EQ(pt_get(&pt, test_va, 2), clean);
	wr(v, va + 4, 1);
	CHECK_MEM_EQ(pt_get(&pt, test_va, 2), clean | PTE_D);
	op(v, OP_CR0, nowp | CR0_WP, 0, 0);
	CHECK_MEM_EQ(rd(v, va + 4), 1);
	wr(v, va + 4, 2);
	CHECK_MEM_EQ(rd32(v->vm, FRAME(0) + 4), 2);
	set_entry(v, pt_entry(&pt, test_va, 2), clean);
	op(v, OP_CR3, pt.root, 0, 0);
	CHECK_MEM_EQ(rd(v, va + 4), 2);
	CHECK_MEM_EQ(pt_get(&pt, test_va, 2), clean);
	wr(v, va + 4, 3);
	CHECK_MEM_EQ(pt_get(&pt, test_va, 2), clean | PTE_D);
	op(v, OP_CR0, nowp, 0, 0);
	set_entry(v, pt_entry(&pt, test_va, 2), clean);
	op(v, OP_CR3, pt.root, 0, 0);
	wr(v, va + 4, 4);
	CHECK_MEM_EQ(pt_get(&pt, test_va, 2), clean | PTE_D);
	CHECK_MEM_EQ(rd32(v->vm, FRAME(0) + 4), 4);
}

/* The last entry of the root is the root itself. */
static void recursive(long mode)
{
	struct vcpu *v = start(mode);
	unsigned int bits = pt.entry_size == 4 ? 10 : 9;
	unsigned int n = (1u << bits) - 2, level, i;
	uint64_t window = 0, e;

	set_entry(v, pt.root + n * pt.entry_size, pt.root | FLAGS);
	/* The window on the lowest tables begins where all indices are n. */
	window = (uint64_t)n << pt_shift(&pt, pt.levels);
	if (pt.levels == 4)
		window |= 0xffffull << 48;
	if (pt.levels == 5)
		window |= 0x7full << 57;
	e = window;
	/* Index of each level moves one down. */
	for (level = pt.levels; level > 1; level--)
		e |= (test_va >> pt_shift(&pt, level) & ((1u << bits) - 1))
		     << pt_shift(&pt, level - 1);
	e += (test_va >> 12 & ((1u << bits) - 1)) * pt.entry_size;
	for (i = 0; i < 20; i++) {
		set_entry(v, e, FRAME(i) | FLAGS);
		invlpg(v, test_va);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
		CHECK_MEM_EQ(rd32(v->vm, pt_entry(&pt, test_va, 1)),
			     (uint32_t)(FRAME(i) | FLAGS));
		CHECK_MEM_EQ(rd(v, e), (uint32_t)(FRAME(i) | FLAGS));
	}
}

/* One table under two entries, and two addresses for one frame. */
static void shared_table(long mode)
{
	struct vcpu *v = start(mode);
	unsigned int shift = pt_shift(&pt, 2), i;
	uint64_t other = test_va + (1ull << shift);
	uint64_t e = pt_entry(&pt, test_va, 1);

	pt_entry(&pt, other, 2);
	set_entry(v, pt_entry(&pt, other, 2), pt_get(&pt, test_va, 2));
	for (i = 0; i < 20; i++) {
		set_entry(v, e, FRAME(i) | FLAGS);
		invlpg(v, test_va);
		invlpg(v, other);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
		CHECK_MEM_EQ(rd(v, other), MARK(i));
		wr(v, other + 8, i);
		CHECK_MEM_EQ(rd(v, test_va + 8), i);
	}
	/* The second parent gives only read access to the same table. */
	op(v, OP_CR0, CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE, 0, 0);
	if (mode == M_PAE && shift == 30)
		return;
	set_entry(v, pt_entry(&pt, other, 2),
		  pt_get(&pt, test_va, 2) & ~(uint64_t)PTE_W);
	invlpg(v, other);
	op(v, OP_CR3, pt.root, 0, 0);
	wr(v, test_va + 12, 1);
	CHECK_EQ(fault(v), NO_FAULT);
	wr(v, other + 12, 2);
	CHECK_EQ(fault(v), PF_P | PF_W);
	CHECK_MEM_EQ(rd(v, other + 12), 1);
}

static void global(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t e = pt_entry(&pt, test_va, 1), cr4;
	struct kvm_sregs s;

	get_sregs(v, &s);
	cr4 = s.cr4;
	op(v, OP_CR4, cr4 | CR4_PGE, 0, 0);
	set_entry(v, e, FRAME(1) | FLAGS | PTE_G);
	CHECK_MEM_EQ(rd(v, test_va), MARK(1));
	op(v, OP_CR3, pt.root, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(1));
	/* INVLPG drops a global translation. */
	set_entry(v, e, FRAME(2) | FLAGS | PTE_G);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(2));
	/* A change of PGE drops it as well. */
	set_entry(v, e, FRAME(3) | FLAGS | PTE_G);
	op(v, OP_CR4, cr4, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(3));
	/* With PGE clear, MOV CR3 drops all. */
	set_entry(v, e, FRAME(4) | FLAGS | PTE_G);
	op(v, OP_CR3, pt.root, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(4));
}

/* The CPU reads PDPTEs when CR3 is loaded, and at no other time. */
static void pdpte_latch(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t at = pt_entry(&pt, test_va, 3), old = pt_get(&pt, test_va, 3);
	uint64_t dir = pt_page(v->vm), table = pt_page(v->vm);
	struct kvm_sregs s;

	set_entry(v, pt_entry(&pt, test_va, 1), FRAME(1) | FLAGS);
	CHECK_MEM_EQ(rd(v, test_va), MARK(1));
	wr64(v->vm, dir + (test_va >> 21 & 511) * 8, table | FLAGS);
	wr64(v->vm, table + (test_va >> 12 & 511) * 8, FRAME(2) | FLAGS);
	set_entry(v, at, dir | PTE_P);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(1)); /* still the old translation */
	op(v, OP_CR3, pt.root, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(2));
	set_entry(v, at, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(2));
	op(v, OP_CR3, pt.root, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), 0xfa000000);
	/*
	 * CR3's low bits are not part of the address, and setting SREGS loads
	 * the PDPTEs as well.
	 */
	set_entry(v, at, old);
	get_sregs(v, &s);
	s.cr3 = pt.root | 0x18;
	set_sregs(v, &s);
	CHECK_MEM_EQ(rd(v, test_va), MARK(1));
}

/* The table of PDPTEs is 32 bytes long, and need not begin at a page. */
static void pdpte_unaligned(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t page = pt_page(v->vm);
	unsigned int i;

	set_entry(v, pt_entry(&pt, test_va, 1), FRAME(9) | FLAGS);
	for (i = 0; i < 4; i++)
		wr64(v->vm, page + 0x7e0 + i * 8, rd64(v->vm, pt.root + i * 8));
	op(v, OP_CR3, page + 0x7e0, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(9));
	/* The memory before and behind it must not matter. */
	wr64(v->vm, page, ~0ull);
	wr64(v->vm, page + 0x800, ~0ull);
	op(v, OP_CR3, page + 0x7e0, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(9));
}

/*
 * The VMM, or a device, writes a PTE: it takes effect with the guest's INVLPG.
 */
static void host_writes_pte(long mode)
{
	struct vcpu *v;
	unsigned int i, level;
	uint64_t e, dir, old;

	SKIP_ON_KVM("stock KVM keeps a PTE stale that userspace wrote");
	v = start(mode);
	for (i = 0; i < 30; i++) {
		pt_set(&pt, test_va, 1, FRAME(i) | FLAGS);
		invlpg(v, test_va);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
	}
	/* The same with an upper table. */
	dir = pt_page(v->vm);
	e = test_va >> 12 & (pt.entry_size == 4 ? 1023 : 511);
	if (pt.entry_size == 4)
		wr32(v->vm, dir + e * 4, FRAME(77) | FLAGS);
	else
		wr64(v->vm, dir + e * 8, FRAME(77) | FLAGS);
	level = 2;
	old = pt_get(&pt, test_va, level);
	pt_set(&pt, test_va, level, dir | FLAGS);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(77));
	pt_set(&pt, test_va, level, old);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(29));
}

/*
 * The VMM restores a snapshot into a VM whose vCPUs stand. It has written to
 * the guest's tables at every level. The only sign of that is KVM_SET_SREGS, or
 * a slot that is made anew, in the same memory or another.
 */
static void restored(struct vcpu *v, void (*told)(struct vcpu *v))
{
	uint64_t dir = pt_page(v->vm), old = pt_get(&pt, test_va, 2);
	unsigned int i, e = test_va >> 12 & (pt.entry_size == 4 ? 1023 : 511);

	for (i = 0; i < 10; i++) {
		pt_set(&pt, test_va, 1, FRAME(i) | FLAGS);
		pt_set(&pt, test_va + 0x1000, 1,
		       i & 1 ? 0 : FRAME(i + 20) | FLAGS);
		told(v);
		CHECK_MEM_EQ(rd(v, test_va), MARK(i));
		CHECK_MEM_EQ(rd(v, test_va + 0x1000),
			     i & 1 ? 0xfa000000 : MARK(i + 20));
	}
	if (pt.entry_size == 4)
		wr32(v->vm, dir + e * 4, FRAME(77) | FLAGS);
	else
		wr64(v->vm, dir + e * 8, FRAME(77) | FLAGS);
	pt_set(&pt, test_va, 2, dir | FLAGS);
	told(v);
	CHECK_MEM_EQ(rd(v, test_va), MARK(77));
	pt_set(&pt, test_va, 2, old);
	told(v);
	CHECK_MEM_EQ(rd(v, test_va), MARK(9));
}

static void same_sregs(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	set_sregs(v, &s);
}

static void restored_sregs(long mode)
{
	SKIP_ON_KVM("stock KVM keeps a PTE stale that userspace wrote");
	restored(start(mode), same_sregs);
}

static void new_slot(struct vcpu *v)
{
	static uint8_t *memory;

	if (!memory)
		memory = ram_alloc(0x1000);
	vm_slot(v->vm, 1, 0x10000000, 0x1000, memory, 0);
	vm_slot(v->vm, 1, 0, 0, NULL, 0);
}

static void restored_slot(long mode)
{
	restored(start(mode), new_slot);
}

/* Each address space has its own frame at test_va, and its own private page. */
#define SPACES 24

static void address_spaces(long mode)
{
	struct vcpu *v = start(mode);
	struct pt space[SPACES];
	unsigned int i, n, now = 0, count[SPACES] = { 0 };

	for (i = 0; i < SPACES; i++) {
		unsigned int level;

		/* All spaces share all tables but those for test_va. */
		space[i] = pt;
		space[i].root = pt_page(v->vm);
		memcpy(vm_ram(v->vm, space[i].root, 0x1000),
		       vm_ram(v->vm, pt.root, 0x1000), 0x1000);
		for (level = pt.levels; level > 1; level--)
			pt_set(&space[i], test_va, level,
			       pt_page(v->vm) |
				       (mode == M_PAE && level == 3 ? PTE_P :
								      FLAGS));
		pt_map(&space[i], test_va, FRAME(200 + i), 1,
		       PTE_W | PTE_U | PTE_A | PTE_D);
	}
	srandom(7);
	for (n = 0; n < 400; n++) {
		now = random() % SPACES;
		op(v, OP_CR3, space[now].root, 0, 0);
		if (rd(v, test_va) != MARK(200 + now))
			FAIL_MEM("space %u reads %#x", now, rd(v, test_va));
		op(v, OP_INC, test_va + 8, 3, 0);
		count[now] += 3;
		/*
		 * The table of another space is written while that space is not
		 * in use.
		 */
		if (n % 7 == 0) {
			i = random() % SPACES;
			set_entry(v, pt_entry(&space[i], test_va, 1),
				  FRAME(200 + i) | FLAGS | PTE_AVL);
		}
	}
	for (i = 0; i < SPACES; i++)
		CHECK_MEM_EQ(rd32(v->vm, FRAME(200 + i) + 8), count[i]);
	/* A root becomes a page of data, and then a root again. */
	op(v, OP_CR3, pt.root, 0, 0);
	for (i = 0; i < 64; i++)
		wr(v, space[3].root + 0x400 + i * 4, 0x1000 + i);
	CHECK_MEM_EQ(rd(v, space[3].root + 0x404), 0x1001);
	op(v, OP_COPY, space[3].root, pt.root, 0x1000);
	set_entry(v, pt_entry(&pt, test_va, 1), FRAME(5) | FLAGS);
	op(v, OP_CR3, space[3].root, 0, 0);
	CHECK_MEM_EQ(rd(v, test_va), MARK(5));
}

/*
 * One page is a table at two levels. As level 1, its entry maps frame F; as
 * level 2, F is a table, whose entry maps frame G.
 */
static void two_levels(long mode)
{
	struct vcpu *v = start(mode);
	unsigned int shift3 = pt_shift(&pt, pt.levels > 3 ? 3 : 2), i;
	uint64_t t = pt_page(v->vm), f = pt_page(v->vm), f2 = pt_page(v->vm);
	uint64_t as1 = test_va, as2;

	wr64(v->vm, f, FRAME(31) | FLAGS);
	wr64(v->vm, f2, FRAME(32) | FLAGS);
	if (pt.levels > 3) {
		as2 = test_va + (1ull << shift3);
	} else if (mode == M_PAE) {
		as2 = test_va + (1ull << 30);
		if (as2 >> 32)
			ERROR("test_va is too high");
	} else {
		/* The page directory itself is the second role. */
		as2 = 0;
	}
	set_entry(v, t, f | FLAGS);
	set_entry(v, pt_entry(&pt, as1, 2), t | FLAGS);
	invlpg(v, as1);
	if (pt.levels > 2) {
		as2 &= ~((1ull << 30) - 1);
		pt_entry(&pt, as2, 3);
		set_entry(v, pt_entry(&pt, as2, 3),
			  t | (mode == M_PAE ? PTE_P : FLAGS));
		op(v, OP_CR3, pt.root, 0, 0);
		for (i = 0; i < 10; i++) {
			uint64_t now = i & 1 ? f2 : f;

			set_entry(v, t, now | FLAGS);
			invlpg(v, as1 & ~0x1fffffull);
			invlpg(v, as2);
			CHECK_MEM_EQ(rd(v, as1 & ~0x1fffffull),
				     (uint32_t)(FRAME(31 + (i & 1)) | FLAGS));
			CHECK_MEM_EQ(rd(v, as2), MARK(31 + (i & 1)));
			/*
			 * Writes the second role's table through the mapping of
			 * the first role.
			 */
			wr(v, as1 & ~0x1fffffull, FRAME(40 + i) | FLAGS);
			invlpg(v, as2);
			CHECK_MEM_EQ(rd(v, as2), MARK(40 + i));
			set_entry(v, now, FRAME(31 + (i & 1)) | FLAGS);
		}
	} else {
		/* 32-bit: the root maps itself as a table of level 1. */
		set_entry(v, pt.root + 0x3fc * 4, pt.root | FLAGS);
		CHECK_MEM_EQ(rd(v, 0xff000000 | (test_va >> 22) << 12),
			     (uint32_t)rd32(v->vm, t));
	}
}

/* The same pages are tables of 32-bit paging and of PAE paging, in turn. */
static void two_modes(long unused)
{
	struct vcpu *v = start(M_PG32);
	struct vm *vm = v->vm;
	struct kvm_sregs s32, s;
	struct pt pae;
	unsigned int i;
	uint64_t table;

	get_sregs(v, &s32);
	pt_init(&pae, vm, M_PAE);
	pt_identity(&pae, 0, vm->ram_size, PTE_W | PTE_U | PTE_A | PTE_D);
	/* The 32-bit table of test_va becomes a PAE table at 0x60000000. */
	table = pt_entry(&pt, test_va, 1) & ~0xfffull;
	pt_entry(&pae, 0x60000000, 1);
	pt_set(&pae, 0x60000000, 2, table | FLAGS);
	for (i = 0; i < 6; i++) {
		struct kvm_regs r;

		/* both modes read it in the same way */
		wr32(vm, table, FRAME(i) | FLAGS);
		wr32(vm, table + 4, 0);
		vcpu_settle(v);
		get_regs(v, &r);
		s = s32;
		if (i & 1) {
			s.cr3 = pae.root;
			s.cr4 |= CR4_PAE;
		}
		set_sregs(v, &s);
		set_regs(v, &r);
		CHECK_MEM_EQ(rd(v, i & 1 ? 0x60000000 : test_va), MARK(i));
		/* The guest writes the entry while it runs in this mode. */
		wr(v, table, FRAME(100 + i) | FLAGS);
		invlpg(v, i & 1 ? 0x60000000 : test_va);
		CHECK_MEM_EQ(rd(v, i & 1 ? 0x60000000 : test_va),
			     MARK(100 + i));
		/* 1: not present as the second 32-bit entry. */
		if (!(i & 1))
			CHECK_MEM_EQ(rd(v, test_va + 0x1000), 0xfa000000);
	}
}

/* With few shadow pages for many tables the guest is slow, but runs right. */
static void little_memory(long mode)
{
	struct vcpu *v = start(mode);
	unsigned int i, k;
	uint64_t va;

	if (ioctl(v->vm->fd, KVM_SET_NR_MMU_PAGES, 64))
		FAIL("KVM_SET_NR_MMU_PAGES: errno %d", errno);
	for (i = 0; i < 150; i++) {
		va = test_va + ((uint64_t)i << pt_shift(&pt, 2));
		if (pt.levels < 4 && va >= 0xf0000000)
			break;
		pt_map(&pt, va, FRAME(i), 1, PTE_W | PTE_U | PTE_A | PTE_D);
	}
	for (k = 0; k < 3; k++) {
		unsigned int n = i;

		while (n-- > 0) {
			va = test_va + ((uint64_t)n << pt_shift(&pt, 2));
			CHECK_MEM_EQ(rd(v, va), MARK(n));
			wr(v, va + 4, n + k);
		}
	}
	for (k = 0; k < i; k++)
		CHECK_MEM_EQ(rd32(v->vm, FRAME(k) + 4), k + 2);
}

/* The page of the guest's code is remapped: fetches follow as reads do. */
static void remap_code(long mode)
{
	struct vcpu *v = start(mode);
	uint64_t e = pt_entry(&pt, test_va, 1);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		/* movl $i, GUEST_DATA + 0x100; ret */
		uint8_t code[] = { 0xc7, 0x04, 0x25, 0, 1, 2,
				   0,	 i,    0,    0, 0, 0xc3 };
		uint8_t code32[] = { 0xc7, 0x05, 0, 1, 2, 0, i, 0, 0, 0, 0xc3 };
		bool is64 = mode == M_LONG || mode == M_LA57;

		memcpy(vm_ram(v->vm, FRAME(i), 16), is64 ? code : code32,
		       is64 ? sizeof(code) : sizeof(code32));
		set_entry(v, e, FRAME(i) | FLAGS);
		invlpg(v, test_va);
		op(v, OP_CALL, test_va, 0, 0);
		CHECK_EQ(fault(v), NO_FAULT);
		CHECK_MEM_EQ(rd32(v->vm, GUEST_DATA + 0x100), i);
	}
}

/* Returns how often the hypervisor has filled in an entry after a fault. */
static uint64_t faults_fixed(struct vm *vm)
{
	char path[96];
	unsigned long n;
	FILE *f;

	if (!test_on_kvm())
		return mon_stat(vm->fd, "pf_mapped");
	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/pf_fixed",
		 getpid(), vm->fd);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &n) != 1)
		ERROR("no number in %s", path);
	fclose(f);
	return n;
}

/*
 * A frame and a table that the guest uses already cost a fault at every further
 * address: each has an entry of its own in the tables that the CPU walks.
 * Nested page tables have entries for frames, not for addresses, and there
 * would be no fault: stock KVM with npt=1 fails here.
 */
static void no_nested_paging(long mode)
{
	const uint64_t aside = 0x80000; /* too far to be mapped in advance */
	struct vcpu *v = start(mode);
	const unsigned int n = 16;
	uint64_t before, va;
	unsigned int i;

	for (i = 0; i < n; i++) {
		va = test_va + ((uint64_t)i << pt_shift(&pt, 2));
		pt_map(&pt, va, FRAME(0), 1, FLAGS);
		pt_map(&pt, va + aside, FRAME(0), 1, FLAGS);
		CHECK_MEM_EQ(rd(v, va), MARK(0));
	}
	before = faults_fixed(v->vm);
	for (i = 0; i < n; i++) {
		va = test_va + ((uint64_t)i << pt_shift(&pt, 2));
		CHECK_MEM_EQ(rd(v, va + aside), MARK(0));
	}
	CHECK(faults_fixed(v->vm) - before >= n);
}

/*
 * A page that was a table becomes ordinary memory: for instructions that the
 * emulator knows (FXSAVE), and for those that it does not (MASKMOVQ).
 */
static void was_a_table(long mode)
{
	struct vcpu *v = start(mode);
	bool is64 = mode == M_LONG || mode == M_LA57;
	uint64_t up = pt_entry(&pt, test_va, is64 ? 3 : 2);
	uint64_t table = pt_entry(&pt, test_va, is64 ? 2 : 1) & ~0xfffull;
	/*
	 * mov $at, %eax; then fxsave (%eax or %rax); ret
	 * or push %rdi; mov %eax, %edi; pcmpeqd %mm0, %mm0; maskmovq %mm0, %mm0;
	 * emms; pop %rdi; ret
	 */
	static const uint8_t save[2][13] = { { 0x0f, 0xae, 0x00, 0xc3 },
					     { 0x57, 0x89, 0xc7, 0x0f, 0x76,
					       0xc0, 0x0f, 0xf7, 0xc0, 0x0f,
					       0x77, 0x5f, 0xc3 } };
	static const uint16_t saved[2] = { 0x37f, 0xffff };
	uint8_t *code = vm_ram(v->vm, FRAME(0), 32);
	uint32_t at = table + 0x200;
	unsigned int i;

	code[0] = 0xb8;
	memcpy(code + 1, &at, 4);
	for (i = 0; i < 20; i++) {
		memcpy(code + 5, save[i & 1], sizeof(save[0]));
		set_entry(v, up, table | FLAGS);
		set_entry(v, pt_entry(&pt, test_va, 1), FRAME(3) | FLAGS);
		CHECK_MEM_EQ(rd(v, test_va), MARK(3));
		/* The table is still in use, which the CPU would not notice. */
		op(v, OP_CALL, FRAME(0), 0, 0);
		CHECK_EQ(fault(v), NO_FAULT);
		CHECK_MEM_EQ(rd32(v->vm, at) & 0xffff, saved[i & 1]);
		CHECK_MEM_EQ(rd(v, test_va), MARK(3));
		set_entry(v, up, 0);
		invlpg(v, test_va);
		wr64(v->vm, at, 0);
		op(v, OP_CALL, FRAME(0), 0, 0);
		CHECK_EQ(fault(v), NO_FAULT);
		CHECK_MEM_EQ(rd32(v->vm, at) & 0xffff, saved[i & 1]);
	}
}

#define DEVICE(n) (GUEST_MMIO + 0x100000 + (uint64_t)(n)*0x1000)

/*
 * The guest reads or writes where no memory is. Returns the address of the
 * exit.
 */
static uint64_t device(struct vcpu *v, unsigned int what, uint64_t va)
{
	uint64_t at;

	wr64(v->vm, S_OP, what);
	wr64(v->vm, S_A, va);
	wr64(v->vm, S_B, 0);
	EXPECT(v, STOP_MMIO);
	at = v->run->mmio.phys_addr;
	CHECK_EQ(v->run->mmio.is_write, what == OP_W32);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(fault(v), NO_FAULT);
	return at;
}

/* Each access exits, the second one perhaps without a walk of the tables. */
static void device_page(long mode)
{
	const uint64_t cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
	struct vcpu *v = start(mode);
	uint64_t e = pt_entry(&pt, test_va, 1);
	uint32_t *ram = ram_alloc(0x1000);
	unsigned int i;

	for (i = 0; i < 6; i++) {
		set_entry(v, e, DEVICE(i) | FLAGS);
		if (i & 1)
			op(v, OP_CR3, pt.root, 0, 0);
		else
			invlpg(v, test_va);
		CHECK_EQ(device(v, OP_READ, test_va + 8), DEVICE(i) + 8);
		CHECK_EQ(device(v, OP_READ, test_va + 16), DEVICE(i) + 16);
		CHECK_EQ(device(v, OP_W32, test_va + 4), DEVICE(i) + 4);
		CHECK_EQ(device(v, OP_W32, test_va + 8), DEVICE(i) + 8);
	}
	/* The page is beside another device's page, memory, and nothing. */
	set_entry(v, e + pt.entry_size, DEVICE(8) | FLAGS);
	CHECK_EQ(device(v, OP_W32, test_va + 0x1000), DEVICE(8));
	CHECK_EQ(device(v, OP_W32, test_va), DEVICE(5));
	set_entry(v, e, FRAME(3) | FLAGS);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), MARK(3));
	set_entry(v, e, DEVICE(0) | FLAGS);
	invlpg(v, test_va);
	CHECK_EQ(device(v, OP_READ, test_va), DEVICE(0));
	set_entry(v, e, 0);
	invlpg(v, test_va);
	CHECK_MEM_EQ(rd(v, test_va), 0xfa000000);
	/* A page that may be read may not always be written. */
	op(v, OP_CR0, cr0 | CR0_WP, 0, 0);
	set_entry(v, e, DEVICE(1) | (FLAGS & ~(PTE_W | PTE_D)));
	CHECK_EQ(device(v, OP_READ, test_va), DEVICE(1));
	CHECK_EQ(device(v, OP_READ, test_va), DEVICE(1));
	wr(v, test_va, 1);
	CHECK_EQ(fault(v), PF_P | PF_W);
	op(v, OP_CR0, cr0, 0, 0);
	CHECK_EQ(device(v, OP_W32, test_va), DEVICE(1));
	CHECK_EQ(device(v, OP_W32, test_va), DEVICE(1));
	op(v, OP_CR0, cr0 | CR0_WP, 0, 0);
	wr(v, test_va, 1);
	CHECK_EQ(fault(v), PF_P | PF_W);
	/* A write sets D, and sets it again after the guest has cleared it. */
	for (i = 0; i < 3; i++) {
		set_entry(v, e, DEVICE(2) | (FLAGS & ~PTE_D));
		invlpg(v, test_va);
		CHECK_EQ(device(v, OP_READ, test_va), DEVICE(2));
		CHECK_MEM(!(rd32(v->vm, e) & PTE_D));
		CHECK_EQ(device(v, OP_W32, test_va), DEVICE(2));
		CHECK_MEM(rd32(v->vm, e) & PTE_D);
	}
	/*
	 * A slot with memory comes there and goes again. The guest need not
	 * flush for that.
	 */
	ram[0] = 0x600d;
	for (i = 0; i < 3; i++) {
		CHECK_EQ(device(v, OP_READ, test_va), DEVICE(2));
		vm_slot(v->vm, 5, DEVICE(2), 0x1000, ram, 0);
		CHECK_MEM_EQ(rd(v, test_va), 0x600d);
		vm_slot(v->vm, 5, DEVICE(2), 0, ram, 0);
	}
}

#define PAGING5(n, f)                                                  \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
		{ n " (long)", f, M_LONG },                            \
	{                                                              \
		n " (la57)", f, M_LA57                                 \
	}

static const struct test_case cases[] = {
	PAGING5("remap", remap),
	PAGING5("becomes present", becomes_present),
	{ "large page split and joined (pse)", split, M_PSE },
	{ "large page split and joined (pae)", split, M_PAE },
	{ "large page split and joined (long)", split, M_LONG },
	{ "large page split and joined (la57)", split, M_LA57 },
	{ "large page changed, one INVLPG (pse)", large_changed, M_PSE },
	{ "large page changed, one INVLPG (pae)", large_changed, M_PAE },
	{ "large page changed, one INVLPG (long)", large_changed, M_LONG },
	{ "large page changed, one INVLPG (la57)", large_changed, M_LA57 },
	{ "D of a large page (pse)", large_dirty, M_PSE },
	{ "D of a large page (pae)", large_dirty, M_PAE },
	{ "D of a large page (long)", large_dirty, M_LONG },
	{ "D of a large page (la57)", large_dirty, M_LA57 },
	{ "recursive tables (32-bit paging)", recursive, M_PG32 },
	{ "recursive tables (long)", recursive, M_LONG },
	{ "recursive tables (la57)", recursive, M_LA57 },
	PAGING5("shared table", shared_table),
	PAGING5("global pages", global),
	{ "PDPTEs are latched (pae)", pdpte_latch, M_PAE },
	{ "PDPTEs anywhere on a page (pae)", pdpte_unaligned, M_PAE },
	PAGING5("PTE written by the host", host_writes_pte),
	PAGING5("tables restored by the VMM, KVM_SET_SREGS", restored_sregs),
	PAGING5("tables restored by the VMM, a slot made anew", restored_slot),
	PAGING5("many address spaces", address_spaces),
	PAGING5("one page as table of two levels", two_levels),
	{ "one page as table of two modes", two_modes },
	PAGING5("few shadow pages", little_memory),
	PAGING5("remapped code", remap_code),
	PAGING5("a device's page", device_page),
	PAGING5("nested paging is off", no_nested_paging),
	PAGING5("a table written by FXSAVE, MASKMOVQ", was_a_table),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
