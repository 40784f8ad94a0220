// SPDX-License-Identifier: GPL-2.0
/*
 * Watches of linear addresses: they hold for whatever the guest maps there, and for
 * nothing that it maps elsewhere, the same page tables included.
 */
#include <pthread.h>

#include "random.h"
#include "scripted.h"

DECLARE_PAYLOAD(wremap);

#define OFFSET 0x100u

static struct vcpu *start(enum mode m)
{
	return start_script(m, 0xffff90a0a0000000, 0);
}

static void end(struct vcpu *v, int mon)
{
	CHECK_NO_EVENT(mon);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* The guest has @frame at @at from now on; 0: nothing. */
static void remap(struct vcpu *v, uint64_t at, uint64_t frame)
{
	set_entry(v, pt_entry(&pt, at, 1), frame ? frame | FLAGS : 0);
	op(v, OP_INVLPG, at, 0);
}

static void store(struct vcpu *v, uint64_t at, uint32_t val)
{
	CHECK_EQ(op(v, OP_W32, at, val), NO_FAULT);
}

/* A store at @at, which the guest has @gpa behind, is told once; and happens. */
static void told(struct vcpu *v, int mon, uint64_t at, uint64_t gpa)
{
	static uint32_t val = 0x1000;
	uint32_t old = rd32(v->vm, gpa);
	struct vigil_event ev;

	store(v, at, ++val);
	/* The event was there before the guest went on. */
	REQUIRE_EQ(mon_ready(mon, 0), 1);
	ev = mon_event(mon);
	CHECK_EQ(ev.gva, at);
	CHECK_EQ(ev.gpa, gpa);
	CHECK_EQ((uint32_t)bytes64(ev.old), old);
	CHECK_EQ((uint32_t)bytes64(ev.new_), val);
	CHECK_EQ(rd32(v->vm, gpa), val);
	CHECK_NO_EVENT(mon);
}

static void not_told(struct vcpu *v, int mon, uint64_t at, uint64_t gpa)
{
	static uint32_t val = 0x80001000;

	store(v, at, ++val);
	CHECK_EQ(rd32(v->vm, gpa), val);
	CHECK_NO_EVENT(mon);
}

static uint32_t watch(int mon, uint64_t start, uint64_t len, uint64_t cr3)
{
	struct vigil_watch w = watch_gpa(start, len, VIGIL_ACTION_LOG);

	w.kind = VIGIL_WATCH_GVA;
	w.cr3 = cr3;
	return mon_add(mon, w);
}

/* Not mapped when it is added, then mapped here and there, and not at all. */
static void follows(long m)
{
	struct vcpu *v = start(m);
	uint64_t other = va + 0x10000;
	int mon = mon_open(v->vm);
	uint32_t by_gpa;

	watch(mon, va + OFFSET, 4, 0);
	CHECK_EQ(op(v, OP_W32, va + OFFSET, 1), PF_W);
	CHECK_NO_EVENT(mon);
	remap(v, va, FRAME(1));
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	not_told(v, mon, va + OFFSET + 4, FRAME(1) + OFFSET + 4);
	remap(v, va, FRAME(2));
	told(v, mon, va + OFFSET, FRAME(2) + OFFSET);
	not_told(v, mon, FRAME(1) + OFFSET, FRAME(1) + OFFSET);

	/* The page at another address, which only a physical watch sees. */
	remap(v, other, FRAME(2));
	not_told(v, mon, other + OFFSET, FRAME(2) + OFFSET);
	not_told(v, mon, FRAME(2) + OFFSET, FRAME(2) + OFFSET);
	told(v, mon, va + OFFSET, FRAME(2) + OFFSET);
	by_gpa = mon_watch(mon, FRAME(2) + OFFSET, 4, VIGIL_ACTION_LOG);
	told(v, mon, other + OFFSET, FRAME(2) + OFFSET);
	told(v, mon, va + OFFSET, FRAME(2) + OFFSET);
	mon_del(mon, by_gpa);

	remap(v, va, 0);
	CHECK_EQ(op(v, OP_W32, va + OFFSET, 1), PF_W);
	not_told(v, mon, other + OFFSET, FRAME(2) + OFFSET);
	remap(v, va, FRAME(3));
	told(v, mon, va + OFFSET, FRAME(3) + OFFSET);
	end(v, mon);
}

/* The page is in use, with its neighbours, when the watch comes; and when it has gone. */
static void comes_late(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);
	unsigned int i, round;
	uint32_t id;

	for (i = 0; i < 16; i++)
		remap(v, va + i * 0x1000, FRAME(i));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 16; i++)
			not_told(v, mon, va + i * 0x1000, FRAME(i));
		id = watch(mon, va + 0x5000, 4, 0);
		for (i = 0; i < 16; i++)
			if (i == 5)
				told(v, mon, va + i * 0x1000, FRAME(i));
			else
				not_told(v, mon, va + i * 0x1000, FRAME(i));
		mon_del(mon, id);
	}
	end(v, mon);
}

static void splits(long m)
{
	struct vcpu *v = start(m);
	uint64_t at = pt_entry(&pt, va, 2), table = pt_page(v->vm);
	uint64_t base = m == M_PSE ? 0 : GUEST_HIGH, off = GUEST_HIGH - base;
	uint64_t page = va + off + 0x3000;
	int mon = mon_open(v->vm);
	unsigned int i, round;

	for (i = 0; i < 16; i++)
		set_entry(v, table + ((off >> 12) + i) * pt.entry_size,
			  FRAME(100 - i) | FLAGS);
	for (round = 0; round < 6; round++) {
		/* The first two rounds come before the watch. */
		if (round == 2)
			watch(mon, page + OFFSET, 8, 0);
		for (i = 0; i < 16; i++) {
			bool tell = round >= 2 && i == 3;
			uint64_t gpa = round & 1 ? FRAME(100 - i) : FRAME(i);

			if (!i) {
				set_entry(v, at,
					  round & 1 ? table | FLAGS :
						      base | FLAGS | PTE_PS);
				op(v, OP_CR3, pt.root, 0);
			}
			(tell ? told : not_told)(v, mon,
						 va + off + i * 0x1000 + OFFSET,
						 gpa + OFFSET);
		}
	}
	end(v, mon);
}

/* A second root with the same tables. Returns what goes into CR3. */
static uint64_t second_root(struct vcpu *v)
{
	uint64_t root = pt_page(v->vm);

	memcpy(vm_ram(v->vm, root, 0x1000), vm_ram(v->vm, pt.root, 0x1000),
	       0x1000);
	return root;
}

static void one_space(long m)
{
	struct vcpu *v = start(m);
	uint64_t second = second_root(v);
	int mon = mon_open(v->vm);
	uint32_t id;

	remap(v, va, FRAME(1));
	not_told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	/* The bits that are no part of the address do not count. */
	id = watch(mon, va + OFFSET, 4, pt.root | 0x18);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	op(v, OP_CR3, second, 0);
	not_told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	op(v, OP_CR3, pt.root | 0x8, 0);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	mon_del(mon, id);
	not_told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	id = watch(mon, va + OFFSET, 4, second);
	not_told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	op(v, OP_CR3, second, 0);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	watch(mon, va + OFFSET, 4, 0);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	mon_del(mon, id);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	op(v, OP_CR3, pt.root, 0);
	told(v, mon, va + OFFSET, FRAME(1) + OFFSET);
	end(v, mon);
}

/* Without paging, linear addresses are physical ones, and there is no address space. */
static void unpaged(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);
	unsigned int i;

	for (i = 0; i < 16; i++)
		not_told(v, mon, FRAME(i), FRAME(i));
	watch(mon, FRAME(3) + OFFSET, 4, 0);
	watch(mon, FRAME(4) + OFFSET, 4, 0x1000);
	told(v, mon, FRAME(3) + OFFSET, FRAME(3) + OFFSET);
	not_told(v, mon, FRAME(3), FRAME(3));
	not_told(v, mon, FRAME(4) + OFFSET, FRAME(4) + OFFSET);
	not_told(v, mon, FRAME(2) + OFFSET, FRAME(2) + OFFSET);
	end(v, mon);
}

/* One table at two linear addresses, @level: of the entries that lead to it. */
static void shared(long m, unsigned int level)
{
	struct vcpu *v = start(m);
	uint64_t other = va + (1ull << pt_shift(&pt, level)), id;
	int mon = mon_open(v->vm);
	unsigned int i, round;

	for (i = 0; i < 8; i++)
		set_entry(v, pt_entry(&pt, va + i * 0x1000, 1),
			  FRAME(i) | FLAGS);
	set_entry(v, pt_entry(&pt, other, level), pt_get(&pt, va, level));
	/* The PDPTEs too. */
	op(v, OP_CR3, pt.root, 0);
	for (round = 0; round < 4; round++) {
		uint64_t watched = round & 1 ? other : va;
		uint64_t free = round & 1 ? va : other;

		for (i = 0; round < 2 && i < 8; i++) {
			not_told(v, mon, free + i * 0x1000, FRAME(i));
			not_told(v, mon, watched + i * 0x1000, FRAME(i));
		}
		id = watch(mon, watched + 0x3000, 4, 0);
		for (i = 0; i < 8; i++)
			not_told(v, mon, free + i * 0x1000, FRAME(i));
		told(v, mon, watched + 0x3000, FRAME(3));
		not_told(v, mon, free + 0x3000, FRAME(3));
		told(v, mon, watched + 0x3000, FRAME(3));
		/* What the table maps changes for both. */
		set_entry(v, pt_entry(&pt, va + 0x3000, 1), FRAME(50) | FLAGS);
		op(v, OP_INVLPG, watched + 0x3000, 0);
		op(v, OP_INVLPG, free + 0x3000, 0);
		not_told(v, mon, free + 0x3000, FRAME(50));
		told(v, mon, watched + 0x3000, FRAME(50));
		REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
		set_entry(v, pt_entry(&pt, va + 0x3000, 1), FRAME(3) | FLAGS);
		op(v, OP_CR3, pt.root, 0);
		told(v, mon, watched + 0x3000, FRAME(3));
		mon_del(mon, id);
		not_told(v, mon, watched + 0x3000, FRAME(3));
	}
	end(v, mon);
}

static void shared_table(long m)
{
	shared(m, 2);
}

static void shared_directory(long m)
{
	shared(m, 3);
}

/* One table at many linear addresses, each of which is watched: vigil bounds its pages. */
#define CROWD 150u

static void crowd(long m)
{
	struct vcpu *v = start(m);
	uint64_t step = 1ull << pt_shift(&pt, 2), e = pt_get(&pt, va, 2);
	int mon = mon_open(v->vm);
	unsigned int i, round;

	set_entry(v, pt_entry(&pt, va + 0x3000, 1), FRAME(3) | FLAGS);
	for (i = 0; i < CROWD; i++) {
		if (i)
			set_entry(v, pt_entry(&pt, va + i * step, 2), e);
		watch(mon, va + i * step + 0x3000, 4, 0);
	}
	op(v, OP_CR3, pt.root, 0);
	for (round = 0; round < 2; round++)
		for (i = 0; i < CROWD; i++)
			told(v, mon, va + i * step + 0x3000, FRAME(3));
	/* What the table maps changes for all of them. */
	set_entry(v, pt_entry(&pt, va + 0x3000, 1), FRAME(4) | FLAGS);
	op(v, OP_CR3, pt.root, 0);
	for (i = 0; i < CROWD; i++)
		told(v, mon, va + i * step + 0x3000, FRAME(4));
	end(v, mon);
}

/* A frame that the CPU pushes onto the watched page is told as one of a gpa watch. */
static void frame(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);
	unsigned int n = 0;

	watch(mon, GUEST_STACK - 0x100, 0x100, 0);
	/* The page fault that the script's handler takes. */
	CHECK_EQ(op(v, OP_W32, va, 1), PF_W);
	for (; mon_ready(mon, 0); n++)
		CHECK(!(mon_event(mon).flags & VIGIL_EVENT_INSN_VALID));
	CHECK_EQ(n, mode_long(m) ? 6u : 4u);
	end(v, mon);
}

/* ---- at random ---- */

#define PAGES 16u
#define FRAMES 8u

struct model {
	unsigned int frame[PAGES]; /* 0: not mapped */
	uint32_t id[PAGES]; /* of the watch of a page; 0: none */
	uint64_t cr3[PAGES]; /* of the watch */
};

/* Stores, remaps and watches at random: what is told is what a model says. */
static void random_changes(long m)
{
	unsigned int rounds = test_rounds(600), i, n;
	struct vcpu *v = start(m);
	uint64_t second = second_root(v), cr3 = pt.root;
	uint64_t other = va + (1ull << pt_shift(&pt, 2));
	int mon = mon_open(v->vm);
	struct model model = { 0 };
	struct rng r;

	rng_seed(&r, rng_wanted_seed(), m);
	set_entry(v, pt_entry(&pt, other, 2), pt_get(&pt, va, 2));
	memcpy(vm_ram(v->vm, second, 0x1000), vm_ram(v->vm, pt.root, 0x1000),
	       0x1000);
	op(v, OP_CR3, pt.root, 0);
	for (i = 0; i < rounds; i++) {
		n = rng_below(&r, PAGES);
		switch (rng_below(&r, 8)) {
		case 0:
			model.frame[n] = rng_below(&r, FRAMES + 1);
			set_entry(v, pt_entry(&pt, va + n * 0x1000, 1),
				  model.frame[n] ?
					  FRAME(model.frame[n]) | FLAGS :
					  0);
			op(v, OP_INVLPG, va + n * 0x1000, 0);
			op(v, OP_INVLPG, other + n * 0x1000, 0);
			continue;
		case 1:
			if (model.id[n])
				mon_del(mon, model.id[n]);
			model.id[n] = 0;
			continue;
		case 2:
			if (model.id[n])
				continue;
			model.cr3[n] = rng_below(&r, 2) ? 0 :
				       rng_below(&r, 2) ? second :
							  pt.root;
			model.id[n] = watch(mon, va + n * 0x1000 + OFFSET, 4,
					    model.cr3[n]);
			continue;
		case 3:
			cr3 = rng_below(&r, 2) ? second : pt.root;
			op(v, OP_CR3, cr3, 0);
			continue;
		}
		if (!model.frame[n])
			continue;
		if (rng_below(&r, 3) && model.id[n] &&
		    (!model.cr3[n] || model.cr3[n] == cr3))
			told(v, mon, va + n * 0x1000 + OFFSET,
			     FRAME(model.frame[n]) + OFFSET);
		else if (model.id[n])
			not_told(v, mon, other + n * 0x1000 + OFFSET,
				 FRAME(model.frame[n]) + OFFSET);
		else
			not_told(v, mon, va + n * 0x1000 + OFFSET,
				 FRAME(model.frame[n]) + OFFSET);
	}
	end(v, mon);
}

/* ---- many vCPUs ---- */

#define VCPUS 4
#define SMP_VA 0xffff90a0a0000000ull

static struct vcpu *vcpus[VCPUS];
static volatile unsigned int running;

static void *run(void *arg)
{
	EXPECT((struct vcpu *)arg, STOP_END);
	__atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Each has two pages in one table, of which it maps one at a time at its address. */
static struct vcpu *prepare(unsigned int nr, uint64_t times)
{
	struct vcpu *v = START(M_LONG, wremap);
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	v->vm->pt_next = GUEST_PT;
	pt_init(&pt, v->vm, M_LONG);
	pt_identity(&pt, 0, v->vm->ram_size, PTE_W | PTE_U | PTE_A | PTE_D);
	get_sregs(v, &s);
	get_regs(v, &r);
	s.cr3 = pt.root;
	for (i = 0; i < nr; i++) {
		vcpus[i] = i ? vcpu_create(v->vm) : v;
		vcpus[i]->mode = M_LONG;
		r.rdi = SMP_VA + i * 0x1000;
		pt_map(&pt, r.rdi, FRAME(2 * i), 1, FLAGS);
		r.rsi = pt_entry(&pt, r.rdi, 1);
		r.rdx = 0x1000;
		r.rax = 1;
		r.rcx = times;
		set_sregs(vcpus[i], &s);
		set_regs(vcpus[i], &r);
	}
	return v;
}

/* Every store is told, whatever the guest maps meanwhile and whatever watch comes. */
static void four_vcpus(long arg)
{
	unsigned int times = test_rounds(4000), changes = 0, i;
	struct vcpu *v = prepare(VCPUS, times);
	int mon = mon_open(v->vm);
	uint64_t events = 0, id = 0;
	pthread_t thread[VCPUS];

	for (i = 0; i < VCPUS; i++)
		watch(mon, SMP_VA + i * 0x1000, 8, 0);
	running = VCPUS;
	for (i = 0; i < VCPUS; i++)
		if (pthread_create(&thread[i], NULL, run, vcpus[i]))
			ERROR("no thread");
	while (running || mon_ready(mon, 0)) {
		if (id)
			mon_del(mon, id);
		id = watch(mon,
			   SMP_VA +
				   (changes % 3 ? 0x1000 : 1ull << 30) *
					   (changes % 7) +
				   0x800,
			   8, 0);
		changes++;
		for (i = 0; i < 32 && mon_ready(mon, 0); i++) {
			CHECK_EQ(mon_event(mon).gva & ~0x3000ull, SMP_VA);
			events++;
		}
	}
	for (i = 0; i < VCPUS; i++)
		pthread_join(thread[i], NULL);
	test_note("%u watches came and went", changes);
	CHECK_EQ(events + mon_stat(mon, "events_dropped"),
		 (uint64_t)VCPUS * times);
	CHECK_EQ(mon_stat(mon, "watch_hits"), (uint64_t)VCPUS * times);
	end(v, mon);
}

/* The last store of the vCPU, which has one or the other page. */
static uint64_t last_stored(struct vm *vm)
{
	uint64_t a = rd64(vm, FRAME(0)), b = rd64(vm, FRAME(1));

	return a > b ? a : b;
}

/* Reads some events of stores that come one after the other, the first after @last. */
static void check_row(int mon, uint64_t last)
{
	uint64_t dropped = mon_stat(mon, "events_dropped");
	struct vigil_event ev;
	unsigned int i;

	for (i = 0; i < 16 && (running || mon_ready(mon, 0)); i++) {
		if (!mon_ready(mon, 10)) {
			i--;
			continue;
		}
		ev = mon_event(mon);
		if (i)
			CHECK_EQ(bytes64(ev.new_), last + 1);
		else
			CHECK(bytes64(ev.new_) <= last + 1);
		last = bytes64(ev.new_);
		if (ev.dropped != dropped)
			break;
	}
}

/* A watch that comes while the guest stores: from its return on, each store is told. */
static void from_return_on(long arg)
{
	unsigned int times = test_rounds(20000), rounds = 0;
	struct vcpu *v = prepare(1, times);
	int mon = mon_open(v->vm);
	pthread_t thread;
	uint32_t id;

	running = 1;
	if (pthread_create(&thread, NULL, run, v))
		ERROR("no thread");
	for (; running; rounds++) {
		id = watch(mon, SMP_VA, 8, 0);
		check_row(mon, last_stored(v->vm));
		mon_del(mon, id);
		while (mon_ready(mon, 0))
			mon_event(mon);
	}
	pthread_join(thread, NULL);
	test_note("%u watches", rounds);
	end(v, mon);
}

static uint64_t exits_with(uint64_t watched)
{
	struct vcpu *v = prepare(1, test_rounds(20000));
	int mon = mon_open(v->vm);
	uint64_t exits;

	if (watched)
		watch(mon, watched, 8, 0);
	run(v);
	/* What the host does meanwhile depends on how busy it is. */
	exits = mon_stat(mon, "exits") - mon_stat(mon, "exits_irq") -
		mon_stat(mon, "exits_nmi");
	end(v, mon);
	return exits;
}

/* A guest that maps other pages has no more exits than without the watch. */
static void exits(long arg)
{
	uint64_t without = exits_with(0);
	uint64_t beside = exits_with(SMP_VA + 0x5000);
	uint64_t far = exits_with(SMP_VA + (5ull << 30));

	test_note(
		"exits: %llu, with a watch in the same table %llu, elsewhere %llu",
		(unsigned long long)without, (unsigned long long)beside,
		(unsigned long long)far);
	CHECK(beside <= without + without / 100);
	CHECK(far <= without + without / 100);
}

#define CASE_TABLES(n, f)                                              \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pse)", f, M_PSE }, \
		{ n " (pae)", f, M_PAE }, { n " (long)", f, M_LONG },  \
	{                                                              \
		n " (la57)", f, M_LA57                                 \
	}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "unpaged", unpaged, M_PROT32 },
		CASE_TABLES("follows the tables", follows),
		CASE_TABLES("page in use", comes_late),
		{ "large page split and joined (pse)", splits, M_PSE },
		{ "large page split and joined (pae)", splits, M_PAE },
		{ "large page split and joined (long)", splits, M_LONG },
		{ "large page split and joined (la57)", splits, M_LA57 },
		CASE_TABLES("one address space of two", one_space),
		CASE_TABLES("one table at two addresses", shared_table),
		CASE_TABLES("one table at many addresses", crowd),
		{ "one directory at two addresses (pae)", shared_directory,
		  M_PAE },
		{ "one directory at two addresses (long)", shared_directory,
		  M_LONG },
		{ "one directory at two addresses (la57)", shared_directory,
		  M_LA57 },
		CASE_TABLES("frame of an exception", frame),
		CASE_TABLES("at random", random_changes),
		{ "four vCPUs that remap", four_vcpus, 0 },
		{ "from its return on", from_return_on, 0 },
		{ "exits of a guest that maps pages elsewhere", exits, 0 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
