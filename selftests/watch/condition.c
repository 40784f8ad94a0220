// SPDX-License-Identifier: GPL-2.0
/*
 * Conditions of watches: which writes they let through, in every mode, where watches
 * overlap, while one is held, and on several vCPUs; and conditions that make no sense.
 */
#include <pthread.h>

#include "mon.h"

DECLARE_PAYLOAD3(wmode);
DECLARE_PAYLOAD(wloop);
DECLARE_PAYLOAD(exact_mov);

#define RANGE 16
#define OLD 0x1111111122222222ull
#define ALIAS GUEST_MMIO /* paged guests have it mapped; the slot comes later */

/* ---- a watch with conditions ---- */

#define COND(...) ((struct vigil_condition){ __VA_ARGS__ })
#define PASS(...) COND(.action = VIGIL_ACTION_PASS, __VA_ARGS__)
#define RIP(first, last) \
	.tests = VIGIL_COND_RIP, .rip = (first), .rip_last = (last)
#define VALUE(v, m) .tests = VIGIL_COND_VALUE, .value = (v), .mask = (m)

static uint32_t add(int mon, struct vigil_watch w,
		    const struct vigil_condition *c, unsigned int n)
{
	w.conditions = (uintptr_t)c;
	w.nr_conditions = n;
	return mon_add(mon, w);
}

/* How often a condition of the watch has let a write through. */
static uint64_t passed(int mon, uint32_t id)
{
	struct vigil_watch all[8];
	struct vigil_watch_list l = {
		.count = 8,
		.entry_size = sizeof(all[0]),
		.entries = (uintptr_t)all,
	};

	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	for (unsigned int i = 0; i < l.count && i < 8; i++)
		if (all[i].id == id)
			return all[i].passed;
	ERROR("there is no watch %u", id);
}

/* ---- the six stores of wmode ---- */

#define ALL 0x3fu
#define MOV 0x01u /* dword a1a2a3a4 */
#define XCHG 0x02u /* dword b1b2b3b4 */
#define PUSH 0x04u /* word a3a4 to byte 6 */
#define STOS(i) (0x08u << (i)) /* byte a4, three times */

static uint64_t target(enum mode m)
{
	return (mode_16bit(m) ? GUEST_LOW : PAGE) + 0x100;
}

static void again(struct vcpu *v, uint64_t old)
{
	uint64_t at = target(v->mode);
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rax = 0xa1a2a3a4;
	r.rbx = 0xb1b2b3b4;
	r.rdi = at;
	r.rsp = at + 8;
	r.rbp = at + 0x40;
	set_regs(v, &r);
	wr64(v->vm, at, old);
	wr64(v->vm, at + 8, OLD);
}

static unsigned int store_of(const struct vigil_event *ev, uint64_t at)
{
	if (ev->len == 4)
		return (uint32_t)bytes64(ev->new_) == 0xa1a2a3a4 ? MOV : XCHG;
	if (ev->len == 2)
		return PUSH;
	return STOS(ev->gpa - at);
}

/*
 * Runs the stores under a watch with conditions, of which the first @n apply. Those in
 * @told must be events, and all others must be counted as let through.
 */
static void stores(struct vcpu *v, int mon, uint64_t old, unsigned int told,
		   const struct vigil_condition *c, unsigned int n)
{
	uint64_t at = target(v->mode), before, let = 6;
	unsigned int seen = 0, store;
	uint32_t id;

	again(v, old);
	before = mon_stat(mon, "watch_conditioned");
	id = add(mon, watch_gpa(at, RANGE, VIGIL_ACTION_LOG), c, n);
	for (int i = 0; i < 4; i++)
		EXPECT(v, STOP_SYNC);
	EXPECT(v, STOP_END);
	while (mon_ready(mon, 0)) {
		struct vigil_event ev = mon_event(mon);

		store = store_of(&ev, at);
		CHECK_EQ(seen & store, 0);
		seen |= store;
		let--;
		CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, 0);
		CHECK_EQ(ev.watch_id, id);
	}
	CHECK_EQ(seen, told);
	CHECK_EQ(mon_stat(mon, "watch_conditioned") - before, let);
	CHECK_EQ(passed(mon, id), let);
	CHECK_MEM_EQ(rd64(v->vm, at),
		     (old & 0x0000ffff00000000) | 0xa3a40000b1a4a4a4);
	mon_del(mon, id);
}

#define STORES(v, mon, old, told, ...)                               \
	do {                                                         \
		const struct vigil_condition c_[] = { __VA_ARGS__ }; \
		stores(v, mon, old, told, c_, ARRAY_SIZE(c_));       \
	} while (0)

static struct vcpu *start(long m, int *mon)
{
	struct vcpu *v;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START3(m, wmode);
	*mon = mon_open(v->vm);
	return v;
}

static void end(struct vcpu *v, int mon)
{
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

static void where(long m)
{
	uint64_t entry = mode_entry(m);
	int mon;
	struct vcpu *v = start(m, &mon);

	STORES(v, mon, OLD, ALL & ~MOV, PASS(RIP(entry, entry)));
	STORES(v, mon, OLD, MOV,
	       PASS(RIP(entry, entry), .inverse = VIGIL_COND_RIP));
	STORES(v, mon, OLD, MOV, PASS(RIP(entry + 1, ~0ull)));
	STORES(v, mon, OLD, 0, PASS(RIP(0, ~0ull)));
	STORES(v, mon, OLD, ALL,
	       PASS(RIP(0, ~0ull), .inverse = VIGIL_COND_RIP));
	end(v, mon);
}

static void who(long m)
{
	unsigned int cpl = 1u << (m == M_VM86 ? 3 : 0);
	struct kvm_sregs s;
	int mon;
	struct vcpu *v = start(m, &mon);

	STORES(v, mon, OLD, 0, PASS(.tests = VIGIL_COND_CPL, .cpl = cpl));
	STORES(v, mon, OLD, ALL,
	       PASS(.tests = VIGIL_COND_CPL, .cpl = 0xf & ~cpl));
	STORES(v, mon, OLD, ALL,
	       PASS(.tests = VIGIL_COND_CPL, .inverse = VIGIL_COND_CPL,
		    .cpl = cpl));
	STORES(v, mon, OLD, 0, PASS(.tests = VIGIL_COND_VCPU));
	STORES(v, mon, OLD, ALL, PASS(.tests = VIGIL_COND_VCPU, .vcpu = 1));
	STORES(v, mon, OLD, 0,
	       PASS(.tests = VIGIL_COND_VCPU, .inverse = VIGIL_COND_VCPU,
		    .vcpu = 63));

	get_sregs(v, &s);
	STORES(v, mon, OLD, 0,
	       PASS(.tests = VIGIL_COND_CR3, .cr3 = s.cr3, .cr3_mask = ~0ull));
	STORES(v, mon, OLD, ALL,
	       PASS(.tests = VIGIL_COND_CR3, .cr3 = s.cr3 ^ 0x1000,
		    .cr3_mask = ~0ull));
	/* Both halves of a pair of page tables. */
	STORES(v, mon, OLD, 0,
	       PASS(.tests = VIGIL_COND_CR3, .cr3 = s.cr3 & ~0x1fffull,
		    .cr3_mask = ~0x1fffull));
	end(v, mon);
}

static void what(long m)
{
	const uint64_t high = 0xffffull << 48;
	int mon;
	struct vcpu *v = start(m, &mon);

	/* The store has the bytes, all or a part of them. */
	STORES(v, mon, OLD, ALL & ~MOV, PASS(VALUE(0xa1a2a3a4, ~0u)));
	STORES(v, mon, OLD, ALL & ~STOS(2), PASS(VALUE(0xa4a4a4, 0xffffff)));
	STORES(v, mon, OLD, XCHG | PUSH, PASS(VALUE(0xa4, 0xff)));
	/* Memory has them, until PUSH stores them. */
	STORES(v, mon, OLD, MOV | XCHG, PASS(VALUE(0xa3a4ull << 48, high)));
	STORES(v, mon, OLD, ALL & ~(MOV | XCHG),
	       PASS(VALUE(0xa3a4ull << 48, high), .inverse = VIGIL_COND_VALUE));
	/* Some from here, some from there. */
	STORES(v, mon, OLD, ALL & ~XCHG,
	       PASS(VALUE(0x11111111b1b2b3b4, ~0ull)));
	STORES(v, mon, OLD, ALL & ~PUSH,
	       PASS(VALUE(0xa3a41111b1b2b3b4, ~0ull)));

	/* The first store, and then PUSH, store what is there. */
	STORES(v, mon, 0x11111111a1a2a3a4, ALL & ~MOV,
	       PASS(.tests = VIGIL_COND_CHANGED,
		    .inverse = VIGIL_COND_CHANGED));
	STORES(v, mon, 0xa3a41111a1a2a3a4, MOV | PUSH,
	       PASS(.tests = VIGIL_COND_CHANGED));
	end(v, mon);
}

static void several(long m)
{
	const uint64_t entry = mode_entry(m);
	int mon;
	struct vcpu *v = start(m, &mon);

	/* All tests of a condition must hold. */
	STORES(v, mon, OLD, ALL & ~MOV,
	       PASS(.tests = VIGIL_COND_RIP | VIGIL_COND_VCPU |
			     VIGIL_COND_VALUE | VIGIL_COND_CHANGED,
		    .rip = entry, .rip_last = entry, .value = 0xa4,
		    .mask = 0xff));
	STORES(v, mon, OLD, ALL,
	       PASS(.tests = VIGIL_COND_RIP | VIGIL_COND_VALUE, .rip = entry,
		    .rip_last = entry, .value = 0xb4, .mask = 0xff));
	/* The first one that does decides, and the last of as many as may be. */
	STORES(v, mon, OLD, MOV, COND(RIP(entry, entry)), PASS(.tests = 0));
	STORES(v, mon, OLD, 0, PASS(.tests = 0), COND(RIP(entry, entry)));
	STORES(v, mon, OLD, ALL & ~MOV,
	       [VIGIL_MAX_CONDITIONS - 1] = PASS(RIP(entry, entry)),
	       [0 ... VIGIL_MAX_CONDITIONS - 2] =
		       COND(.tests = VIGIL_COND_VCPU, .vcpu = 9));
	/* A list of none. */
	stores(v, mon, OLD, ALL, NULL, 0);
	end(v, mon);
}

/* ---- one store in a paged guest ---- */

static void store(struct vcpu *v, uint64_t gva, uint32_t val)
{
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rdi = gva;
	r.rcx = 1;
	r.rax = val;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
}

static struct vcpu *paged(long m, int *mon)
{
	struct vcpu *v;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START(m, exact_mov);
	*mon = mon_open(v->vm);
	return v;
}

static void expect_by(int mon, uint32_t watch, unsigned int condition,
		      uint32_t flags)
{
	struct vigil_event ev = mon_event(mon);

	CHECK_EQ(ev.watch_id, watch);
	CHECK_EQ(ev.condition, condition);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_DENIED | VIGIL_EVENT_HELD), flags);
}

static void overlap(long m)
{
	const struct vigil_condition any = PASS(.tests = 0);
	const struct vigil_condition deny[] = {
		COND(VALUE(5, 0xff), .action = VIGIL_ACTION_LOG),
		COND(VALUE(6, 0xff), .action = VIGIL_ACTION_DENY),
	};
	int mon;
	struct vcpu *v = paged(m, &mon);
	const struct vigil_watch log = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	const struct vigil_watch no = watch_gpa(TARGET, 8, VIGIL_ACTION_DENY);
	uint32_t first, second, third;

	wr64(v->vm, TARGET, OLD);
	/* Both let it through: it is counted once, for the older. */
	first = add(mon, no, &any, 1);
	second = add(mon, no, &any, 1);
	store(v, TARGET, 1);
	CHECK_MEM_EQ(rd32(v->vm, TARGET), 1);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 1);
	CHECK_EQ(passed(mon, first), 1);
	CHECK_EQ(passed(mon, second), 0);
	mon_del(mon, first);
	store(v, TARGET, 2);
	CHECK_EQ(passed(mon, second), 1);

	/* Log beats pass, deny beats log. */
	third = add(mon, log, deny, 2);
	store(v, TARGET, 4);
	expect_by(mon, third, 0, 0);
	store(v, TARGET, 5);
	expect_by(mon, third, 1, 0);
	store(v, TARGET, 6);
	expect_by(mon, third, 2, VIGIL_EVENT_DENIED);
	CHECK_MEM_EQ(rd32(v->vm, TARGET), 5);
	CHECK_EQ(passed(mon, second), 1);
	CHECK_EQ(passed(mon, third), 0);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 2);
	CHECK_EQ(mon_stat(mon, "watch_hits"), 3);
	/* A store beside the second is the third's alone. */
	mon_del(mon, third);
	store(v, TARGET + 8, 7);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 2);
	end(v, mon);
}

/* The value is of the watched bytes, wherever the guest has them. */
static void addresses(long m)
{
	const struct vigil_condition five = PASS(VALUE(5, 0xff));
	const struct vigil_condition low =
		PASS(VALUE(0x100000005, 0xff000000ff));
	const struct vigil_condition far_ =
		PASS(VALUE(5ull << 24, 0xffull << 24));
	struct vigil_watch w =
		watch_gpa(PAGE + 0x104, 0x2000, VIGIL_ACTION_DENY);
	int mon;
	struct vcpu *v = paged(m, &mon);
	uint32_t id;

	vm_slot(v->vm, 1, ALIAS, 0x3000, vm_ram(v->vm, PAGE, 0x3000), 0);
	wr64(v->vm, PAGE + 0x104, 0x1000000ff);
	id = add(mon, w, &low, 1);
	store(v, ALIAS + 0x104, 5);
	CHECK_NO_EVENT(mon);
	store(v, PAGE + 0x104, 5);
	CHECK_NO_EVENT(mon);
	/* Other bytes of the watch: memory has the value already. */
	store(v, ALIAS + 0x1104, 9);
	CHECK_NO_EVENT(mon);
	store(v, ALIAS + 0x108, 2);
	expect_by(mon, id, 0, VIGIL_EVENT_DENIED);
	store(v, ALIAS + 0x102, 5u << 16 | 3);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(passed(mon, id), 4);
	mon_del(mon, id);

	/* A virtual range over a page's end: the same memory elsewhere is not it. */
	w = watch_gpa(ALIAS + 0xffc, 8, VIGIL_ACTION_DENY);
	w.kind = VIGIL_WATCH_GVA;
	w.len = 16;
	id = add(mon, w, &far_, 1);
	store(v, ALIAS + 0xffc, 5u << 24);
	CHECK_NO_EVENT(mon);
	store(v, ALIAS + 0xffc, 6u << 24);
	expect_by(mon, id, 0, VIGIL_EVENT_DENIED);
	store(v, ALIAS + 0x1000, 1);
	CHECK_NO_EVENT(mon);
	store(v, PAGE + 0xffc, 6u << 24);
	CHECK_NO_EVENT(mon);
	store(v, ALIAS + 0x1000, 1);
	expect_by(mon, id, 0, VIGIL_EVENT_DENIED);
	mon_del(mon, id);

	/* There is no memory for one of the bytes: neither holds. */
	w = watch_gpa(ALIAS + 0x2ffc, 8, VIGIL_ACTION_LOG);
	const struct vigil_condition none[] = {
		PASS(VALUE(0, 0xff000000ff)),
		PASS(VALUE(0, 0xff000000ff), .inverse = VIGIL_COND_VALUE),
	};

	id = add(mon, w, none, 2);
	store(v, ALIAS + 0x2ffc, 0);
	expect_by(mon, id, 0, 0);
	mon_del(mon, id);
	id = add(mon, w, &five, 1);
	store(v, ALIAS + 0x2ffc, 5);
	CHECK_NO_EVENT(mon);
	end(v, mon);
}

/* ---- held ---- */

struct runner {
	struct vcpu *v;
	enum stop stop;
	pthread_t thread;
};

static unsigned int ended; /* runners */

static void *run(void *arg)
{
	struct runner *r = arg;

	r->stop = vcpu_go(r->v);
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * A condition asks. While the store is held, memory beside it changes, and a watch
 * with conditions comes: both have a say in it.
 */
static void held(long m)
{
	const struct vigil_condition ask[] = {
		COND(VALUE(1ull << 32, 0xffull << 32),
		     .action = VIGIL_ACTION_DENY),
		COND(VALUE(2ull << 32, 0xffull << 32)),
		COND(.tests = VIGIL_COND_CHANGED, .action = VIGIL_ACTION_ASK),
	};
	const struct vigil_condition later[] = {
		COND(VALUE(0x30, 0xff), .action = VIGIL_ACTION_DENY),
		PASS(.tests = 0),
	};
	/* What memory beside it becomes, what is to be stored, and whether it is. */
	static const struct {
		uint32_t beside, value;
		bool stored;
	} cases[] = {
		{ 0, 0x20, true }, /* as it was */
		{ 2, 0x20, true }, /* told already */
		{ 1, 0x20, false }, /* the same watch denies now */
		{ 0, 0x30, false }, /* the new one denies */
	};
	int mon;
	struct vcpu *v = paged(m, &mon);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r = { .v = v };
	uint32_t id, more;

	get_regs(v, &regs);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		bool stored = cases[i].stored;
		uint64_t before;

		wr64(v->vm, TARGET, 0x10);
		vcpu_settle(v);
		regs.rdi = TARGET;
		regs.rcx = 1;
		regs.rax = cases[i].value;
		set_regs(v, &regs);
		id = add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), ask, 3);
		before = mon_stat(mon, "watch_conditioned");
		if (pthread_create(&r.thread, NULL, run, &r))
			ERROR("no thread");
		ev = mon_event(mon);
		CHECK_EQ(ev.condition, 3);
		CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
		wr32(v->vm, TARGET + 4, cases[i].beside);
		more = add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), later,
			   2);
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
		pthread_join(r.thread, NULL);
		CHECK_EQ(r.stop, STOP_END);
		if (!stored)
			expect_by(mon, cases[i].beside ? id : more, 1,
				  VIGIL_EVENT_DENIED);
		CHECK_NO_EVENT(mon);
		CHECK_MEM_EQ(rd32(v->vm, TARGET),
			     stored ? cases[i].value : 0x10);
		/* It was an event, so it is not counted as let through. */
		CHECK_EQ(mon_stat(mon, "watch_conditioned"), before);
		mon_del(mon, id);
		mon_del(mon, more);
	}
	end(v, mon);
}

/* ---- several vCPUs ---- */

#define VCPUS 4

static void start_vcpus(struct runner r[VCPUS], unsigned long n)
{
	struct kvm_sregs s;
	struct kvm_regs regs;
	int i;

	get_sregs(r[0].v, &s);
	get_regs(r[0].v, &regs);
	regs.rdi = TARGET;
	regs.rcx = n;
	for (i = 0; i < VCPUS; i++) {
		if (i) {
			r[i].v = vcpu_create(r[0].v->vm);
			r[i].v->mode = M_LONG;
			set_sregs(r[i].v, &s);
		}
		regs.rax = i << 16;
		set_regs(r[i].v, &regs);
	}
	for (i = 0; i < VCPUS; i++)
		if (pthread_create(&r[i].thread, NULL, run, &r[i]))
			ERROR("no thread");
}

static void take_events(int mon, uint64_t *told, uint64_t *denied)
{
	while (mon_ready(mon, 0)) {
		struct vigil_event ev = mon_event(mon);

		++*told;
		*denied += !!(ev.flags & VIGIL_EVENT_DENIED);
	}
}

/* How many stores have met a watch. */
static uint64_t met(int mon)
{
	return mon_stat(mon, "watch_hits") + mon_stat(mon, "watch_conditioned");
}

/* Each store is told, lost with a count, or let through, while watches come and go. */
static void hammered(long arg)
{
	const unsigned long n = test_rounds(2000);
	const struct vigil_condition c[] = {
		COND(VALUE(3, 3), .action = VIGIL_ACTION_DENY),
		COND(VALUE(0, 0xff)),
		PASS(.tests = VIGIL_COND_VCPU, .inverse = VIGIL_COND_VCPU,
		     .vcpu = VCPUS - 1),
		PASS(VALUE(0, 1)),
	};
	const struct vigil_condition extra[] = {
		COND(VALUE(5, 0xff), .action = VIGIL_ACTION_DENY),
		PASS(.tests = 0),
	};
	struct runner r[VCPUS] = { { .v = START(M_LONG, wloop) } };
	int mon = mon_open(r[0].v->vm), i;
	uint64_t told = 0, denied = 0, next = 0, lost, let;
	uint32_t id, other;

	id = add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), c, 4);
	start_vcpus(r, n);
	while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < VCPUS) {
		take_events(mon, &told, &denied);
		/* A change of watches makes the vCPUs wait. */
		if (met(mon) < next)
			continue;
		next += n / 4;
		other = add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), extra,
			    2);
		take_events(mon, &told, &denied);
		mon_del(mon, other);
	}
	for (i = 0; i < VCPUS; i++) {
		pthread_join(r[i].thread, NULL);
		CHECK_EQ(r[i].stop, STOP_END);
	}
	take_events(mon, &told, &denied);
	lost = mon_stat(mon, "events_dropped");
	let = mon_stat(mon, "watch_conditioned");
	CHECK_EQ(told + lost + let, VCPUS * n);
	CHECK_EQ(mon_stat(mon, "watch_hits"), told + lost);
	CHECK_EQ(mon_stat(mon, "watch_misses"), 0);
	/* The older watch is the one that is named. */
	CHECK_EQ(passed(mon, id), let);
	/* One in four is denied at least, and nearly half are let through. */
	CHECK(mon_stat(mon, "watch_denied") >= VCPUS * (n / 4));
	CHECK(denied <= mon_stat(mon, "watch_denied"));
	CHECK(let >= (VCPUS - 1) * (n / 2));
	close(mon);
	vm_destroy(r[0].v->vm);
}

/* ---- the list, and what is refused ---- */

static void listed(long arg)
{
	const struct vigil_condition c[3] = {
		PASS(VALUE(5, 0xff), .inverse = VIGIL_COND_VALUE),
		COND(.tests = VIGIL_COND_CPL, .cpl = 8,
		     .action = VIGIL_ACTION_DENY),
		PASS(RIP(1, 2)),
	};
	struct vigil_condition got[4];
	struct vigil_watch all[3];
	struct vigil_watch_list l = {
		.count = 3,
		.entry_size = sizeof(all[0]),
		.entries = (uintptr_t)all,
	};
	void *volatile nowhere = NULL;
	int mon;
	struct vcpu *v = paged(M_LONG, &mon);
	uint32_t id;

	id = add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), c, 2);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	add(mon, watch_gpa(TARGET, 8, VIGIL_ACTION_LOG), c + 2, 1);

	/* How many there are is told without them. */
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	REQUIRE_EQ(l.count, 3);
	CHECK_EQ(l.nr_conditions, 3);
	CHECK_EQ(all[0].nr_conditions, 2);
	CHECK_EQ(all[0].conditions, 0);

	/* All of them, and room behind them that stays as it is. */
	memset(got, 0x5a, sizeof(got));
	l.conditions = (uintptr_t)got;
	l.nr_conditions = 4;
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	CHECK_EQ(l.nr_conditions, 3);
	CHECK_EQ(memcmp(got, c, sizeof(c)), 0);
	CHECK_EQ(got[3].tests, 0x5a5a5a5a);
	CHECK_EQ(all[0].conditions, (uintptr_t)got);
	CHECK_EQ(all[1].conditions, 0);
	CHECK_EQ(all[1].nr_conditions, 0);
	CHECK_EQ(all[2].conditions, (uintptr_t)(got + 2));
	CHECK_EQ(all[2].nr_conditions, 1);
	/* An entry can be used to add the watch again. */
	mon_del(mon, id);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &all[0]), 0);
	store(v, TARGET, 6);
	CHECK_EQ(passed(mon, all[0].id), 0); /* the others log */
	expect_by(mon, id + 1, 0, 0);

	/* Those of the first fit, or none. */
	for (unsigned int room = 0; room < 3; room++) {
		memset(got, 0x5a, sizeof(got));
		l.count = 3;
		l.nr_conditions = room;
		REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
		CHECK_EQ(l.nr_conditions, 3);
		CHECK_EQ(all[1].conditions != 0, room > 0);
		CHECK_EQ(all[2].conditions, 0);
		CHECK_EQ(got[0].tests,
			 room ? VIGIL_COND_RIP : (uint32_t)0x5a5a5a5a);
	}
	/* Only of the watches that are listed. */
	l.count = 1;
	l.nr_conditions = 4;
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	CHECK_EQ(l.count, 3);
	CHECK_EQ(l.nr_conditions, 0);

	l.count = 3;
	l.nr_conditions = 4;
	l.pad = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_LIST, &l), EINVAL);
	l.pad = 0;
	l.conditions = (uintptr_t)nowhere + 8;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_LIST, &l), EFAULT);
	end(v, mon);
}

static void refused(long arg)
{
	const struct vigil_watch good = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	struct vigil_condition c[VIGIL_MAX_CONDITIONS + 1];
	struct vigil_watch w;
	int mon;
	struct vcpu *v = paged(M_LONG, &mon);

#define BAD(err, ...)                                              \
	do {                                                       \
		memset(c, 0, sizeof(c));                           \
		w = good;                                          \
		w.conditions = (uintptr_t)c;                       \
		w.nr_conditions = 2;                               \
		__VA_ARGS__;                                       \
		CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), err); \
	} while (0)
#define CONTROL(nr)                           \
	do {                                  \
		w.kind = VIGIL_WATCH_CONTROL; \
		w.start = (nr);               \
		w.len = 1;                    \
	} while (0)

	BAD(EINVAL, w.pad = 1);
	BAD(EINVAL, w.timeout_ms = VIGIL_MAX_TIMEOUT + 1);
	BAD(EINVAL, w.on_timeout = VIGIL_ON_DEATH_DENY);
	BAD(EINVAL, w.on_death = VIGIL_ON_DEATH_DENY + 1);
	BAD(EINVAL, w.timeout_ms = 1, w.on_timeout = VIGIL_ON_DEATH_DENY + 1);
	BAD(EINVAL, w.nr_conditions = 0);
	BAD(E2BIG, w.nr_conditions = VIGIL_MAX_CONDITIONS + 1);
	BAD(E2BIG, w.nr_conditions = ~0u);
	BAD(EFAULT, w.conditions = 0);
	BAD(EFAULT, w.conditions = ~0xfffull);
	BAD(EINVAL, c[1].tests = VIGIL_COND_CHANGED << 1);
	BAD(EINVAL, c[1].inverse = VIGIL_COND_RIP);
	BAD(EINVAL, c[1].action = VIGIL_ACTION_PASS + 1);
	BAD(EINVAL, c[1].pad = 1);
	BAD(EINVAL, c[1].rip_last = 1);
	BAD(EINVAL, c[1].tests = VIGIL_COND_RIP; c[1].rip = 1);
	BAD(EINVAL, c[1].cpl = 1);
	BAD(EINVAL, c[1].tests = VIGIL_COND_CPL);
	BAD(EINVAL, c[1].tests = VIGIL_COND_CPL; c[1].cpl = 16);
	BAD(EINVAL, c[1].cr3_mask = 1);
	BAD(EINVAL, c[1].tests = VIGIL_COND_CR3);
	BAD(EINVAL, c[1].tests = VIGIL_COND_CR3; c[1].cr3_mask = 1;
	    c[1].cr3 = 2);
	BAD(EINVAL, c[1].vcpu = 1);
	BAD(EINVAL, c[1].mask = 1);
	BAD(EINVAL, c[1].tests = VIGIL_COND_VALUE);
	BAD(EINVAL, c[1].tests = VIGIL_COND_VALUE; c[1].mask = 1;
	    c[1].value = 2);
	BAD(EINVAL, w.len = 2; c[1].tests = VIGIL_COND_VALUE;
	    c[1].mask = 1 << 16);
	BAD(EINVAL, w.kind = VIGIL_WATCH_GVA; w.start = PAGE + 0xfff;
	    c[1].tests = VIGIL_COND_VALUE; c[1].mask = 1 << 8);
	BAD(EINVAL, CONTROL(VIGIL_CONTROL_GDT); c[1].tests = VIGIL_COND_VALUE;
	    c[1].mask = 1);
	BAD(EINVAL, CONTROL(VIGIL_CONTROL_GDT);
	    c[1].tests = VIGIL_COND_CHANGED);
	BAD(EINVAL, CONTROL(VIGIL_CONTROL_TABLE_LOAD);
	    c[1].action = VIGIL_ACTION_DENY);
	/* A watch that has conditions does not pass by itself. */
	BAD(EINVAL, w.action = VIGIL_ACTION_PASS);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 0);
	end(v, mon);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_ALL("where the instruction is", where),
		CASE_ALL("who stores", who),
		CASE_ALL("what is stored", what),
		CASE_ALL("several conditions", several),
		CASE_PAGED("overlapping watches", overlap),
		CASE_PAGED("where the value is", addresses),
		CASE_PAGED("a held store", held),
		{ "four vCPUs, watches come and go", hammered, 0, 300 },
		{ "the list", listed },
		{ "conditions that make no sense", refused },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
