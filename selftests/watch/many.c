// SPDX-License-Identifier: GPL-2.0
/*
 * As many watches as a monitor may have: which of them an event names, watches that
 * come and go while four vCPUs store, and memory that slots share.
 */
#include <pthread.h>
#include <signal.h>

#include "mon.h"
#include "random.h"

DECLARE_PAYLOAD(wloop);
DECLARE_PAYLOAD(wforever);

#define PAGES 32u /* from PAGE on: where the watches are */
#define BYTES (PAGES * 0x1000)
#define VCPUS 4
/* Sorted by ids, since each new watch has a higher one. */
static struct vigil_watch all[VIGIL_MAX_WATCHES];
static unsigned int n;

/* 16,384 watches take a minute on Bochs, and with a debug kernel. */
static bool slow(void)
{
	return test_rounds(100) < 100;
}

static struct vcpu *start(int *mon)
{
	struct vcpu *v = START(M_LONG, wloop);

	*mon = mon_open(v->vm);
	n = 0;
	return v;
}

/* A watch of any kind, with a range of any length and alignment. */
static struct vigil_watch random_watch(struct rng *r)
{
	struct vigil_watch w = { .cookie = rng_next(r) };
	unsigned int at = rng_below(r, BYTES);

	if (rng_once_in(r, 64)) {
		w.kind = VIGIL_WATCH_CONTROL;
		w.start = rng_below(r, VIGIL_CONTROL_TABLE_LOAD);
		w.len = 1;
		return w;
	}
	w.kind = rng_below(r, 2) ? VIGIL_WATCH_GPA : VIGIL_WATCH_GVA;
	w.start = PAGE + at;
	w.len = 1 + rng_below(r, rng_once_in(r, 16) ? 0x2800 : 16);
	if (w.len > BYTES - at)
		w.len = BYTES - at;
	/* Most stores are to go through. */
	w.action = rng_once_in(r, 8) ? VIGIL_ACTION_DENY : VIGIL_ACTION_LOG;
	return w;
}

static void add(int mon, struct vigil_watch w)
{
	w.id = mon_add(mon, w);
	all[n++] = w;
}

static void del(int mon, unsigned int i)
{
	mon_del(mon, all[i].id);
	n--;
	memmove(&all[i], &all[i + 1], (n - i) * sizeof(all[0]));
}

/* The watch that decides about a store of 8 bytes, found the simple way. NULL: none. */
static const struct vigil_watch *strongest(uint64_t gpa)
{
	const struct vigil_watch *best = NULL, *w;

	for (w = all; w < all + n; w++)
		if (w->kind != VIGIL_WATCH_CONTROL && w->start < gpa + 8 &&
		    gpa < w->start + w->len &&
		    (!best || w->action > best->action))
			best = w;
	return best;
}

/* The guest stores @val at @gpa, once. */
static void store(struct vcpu *v, uint64_t gpa, uint64_t val)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = GUEST_CODE;
	r.rdi = gpa;
	r.rcx = 1;
	r.rax = val;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	vcpu_settle(v);
}

static void store_and_check(struct vcpu *v, int mon, struct rng *r)
{
	uint64_t gpa = PAGE + (rng_below(r, BYTES) & ~7u), val = rng_next(r);
	const struct vigil_watch *want = strongest(gpa);
	uint64_t old = rd64(v->vm, gpa);
	struct vigil_event ev;

	store(v, gpa, val);
	CHECK_EQ(rd64(v->vm, gpa),
		 want && want->action == VIGIL_ACTION_DENY ? old : val);
	if (want) {
		ev = mon_event(mon);
		CHECK_EQ(ev.gpa, gpa);
		CHECK_EQ(ev.watch_id, want->id);
		CHECK_EQ(ev.cookie, want->cookie);
		CHECK_EQ(bytes64(ev.old), old);
		CHECK_EQ(bytes64(ev.new_), val);
	}
	CHECK_NO_EVENT(mon);
}

static void check_list(int mon)
{
	static struct vigil_watch told[VIGIL_MAX_WATCHES];
	struct vigil_watch_list l = {
		.count = VIGIL_MAX_WATCHES,
		.entry_size = sizeof(told[0]),
		.entries = (uintptr_t)told,
	};

	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	REQUIRE_EQ(l.count, n);
	CHECK(!memcmp(told, all, n * sizeof(all[0])));
	/* Room for one only: the count tells how many there are. */
	memset(told, 0xaa, 2 * sizeof(told[0]));
	l.count = 1;
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	CHECK_EQ(l.count, n);
	CHECK(!n || !memcmp(told, all, sizeof(all[0])));
	CHECK_EQ(told[1].id, 0xaaaaaaaa);
}

static void expect_full(int mon)
{
	struct vigil_watch w = watch_gpa(PAGE, 8, VIGIL_ACTION_DENY);

	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), ENOSPC);
}

/* Every kind, at random places, up to the limit and down again in a random order. */
static void named(long arg)
{
	unsigned int max = slow() ? 1000 : VIGIL_MAX_WATCHES;
	unsigned int stores = test_rounds(100), i, left;
	struct vcpu *v;
	struct rng r;
	int mon;

	rng_seed(&r, rng_wanted_seed(), 0);
	v = start(&mon);
	while (n < max)
		add(mon, random_watch(&r));
	if (n == VIGIL_MAX_WATCHES)
		expect_full(mon);
	check_list(mon);
	for (left = max / 2; left; left /= 8) {
		for (i = 0; i < stores; i++)
			store_and_check(v, mon, &r);
		while (n > left)
			del(mon, rng_below(&r, n));
		check_list(mon);
	}
	/* Ids are not used again at once, and there is room again. */
	while (n < max / 16)
		add(mon, random_watch(&r));
	check_list(mon);
	for (i = 0; i < stores; i++)
		store_and_check(v, mon, &r);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	n = 0;
	mon = mon_open(v->vm);
	for (i = 0; i < 10; i++)
		store_and_check(v, mon, &r);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- four vCPUs ---- */

static struct runner {
	struct vcpu *v;
	pthread_t thread;
	enum stop stop;
} runners[VCPUS];
static volatile unsigned int running;

static void *run(void *arg)
{
	struct runner *r = arg;

	r->stop = vcpu_go(r->v);
	__atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static uint64_t own_place(unsigned int i)
{
	return PAGE + i / 2 * 0x1000 + i * 0x40;
}

/* Each stores 1, 2, ... to a place of its own, two of them in one page. */
static void run_all(struct vcpu *first, unsigned int times)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	get_sregs(first, &s);
	get_regs(first, &r);
	running = VCPUS;
	for (i = 0; i < VCPUS; i++) {
		runners[i].v = i ? vcpu_create(first->vm) : first;
		runners[i].v->mode = M_LONG;
		set_sregs(runners[i].v, &s);
		r.rdi = own_place(i);
		r.rax = 1;
		r.rcx = times;
		set_regs(runners[i].v, &r);
		wr64(first->vm, own_place(i), 0);
	}
	for (i = 0; i < VCPUS; i++)
		if (pthread_create(&runners[i].thread, NULL, run, &runners[i]))
			ERROR("no thread");
}

static void join_all(void)
{
	unsigned int i;

	for (i = 0; i < VCPUS; i++) {
		pthread_join(runners[i].thread, NULL);
		CHECK_EQ(runners[i].stop, STOP_END);
	}
}

/*
 * What has been told of each vCPU's stores: each once, and in order. While no event was
 * dropped, the old value of one is the new one of the last.
 */
struct told {
	uint64_t events, seq, dropped, last[VCPUS];
	bool gap[VCPUS];
};

static void read_event(int mon, struct told *t)
{
	struct vigil_event ev = mon_event(mon);
	uint64_t lost = ev.dropped - t->dropped;
	unsigned int i;

	t->events++;
	CHECK_EQ(ev.seq, t->seq + lost + 1);
	t->seq = ev.seq;
	t->dropped = ev.dropped;
	for (i = 0; lost && i < VCPUS; i++)
		t->gap[i] = true;
	for (i = 0; i < VCPUS - 1 && ev.gpa != own_place(i); i++)
		;
	CHECK_EQ(ev.gpa, own_place(i));
	CHECK_EQ(bytes64(ev.new_), bytes64(ev.old) + 1);
	if (t->gap[i])
		CHECK(bytes64(ev.old) >= t->last[i]);
	else
		CHECK_EQ(bytes64(ev.old), t->last[i]);
	t->gap[i] = false;
	t->last[i] = bytes64(ev.new_);
}

/* A watch that is named in no event: those of the places are as strong, and older. */
static struct vigil_watch passing_watch(struct rng *r)
{
	struct vigil_watch w = random_watch(r);

	w.action = VIGIL_ACTION_LOG;
	return w;
}

/*
 * The places are watched all the time. Thousands of others come and go meanwhile, in
 * the same pages too: the tree turns around under the vCPUs that search it.
 */
static void told_once(long arg)
{
	unsigned int times = test_rounds(4000), changes = 0, i;
	struct told told = { 0 };
	struct vcpu *v;
	struct rng r;
	int mon;

	rng_seed(&r, rng_wanted_seed(), 1);
	v = start(&mon);
	for (i = 0; i < VCPUS; i++)
		mon_watch(mon, own_place(i), 8, VIGIL_ACTION_LOG);
	while (n < 10000)
		add(mon, passing_watch(&r));
	run_all(v, times);
	while (running || mon_ready(mon, 0)) {
		del(mon, rng_below(&r, n));
		add(mon, passing_watch(&r));
		changes++;
		for (i = 0; i < 32 && mon_ready(mon, 0); i++)
			read_event(mon, &told);
	}
	join_all();
	test_note("%u watches replaced, %llu events, %llu dropped", changes,
		  (unsigned long long)told.events,
		  (unsigned long long)mon_stat(mon, "events_dropped"));
	CHECK_EQ(told.events + mon_stat(mon, "events_dropped"),
		 (uint64_t)VCPUS * times);
	CHECK_EQ(mon_stat(mon, "watch_hits"), (uint64_t)VCPUS * times);
	for (i = 0; i < VCPUS; i++)
		CHECK_EQ(rd64(v->vm, own_place(i)), times);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	vm_destroy(v->vm);
}

static void no_answer(int sig)
{
}

/*
 * The guest stores without an end to a page that has watches, or has none. From the
 * return of VIGIL_WATCH_ADD on, a denied place keeps what it has. From the return of
 * VIGIL_WATCH_DEL on, the watch has no event.
 */
static void none_missed(long emulated)
{
	struct vcpu *v = START(M_LONG, wforever);
	struct sigaction sa = { .sa_handler = no_answer };
	unsigned int rounds = test_rounds(300);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner *r = &runners[0];
	uint64_t seen;
	uint32_t id;

	sigaction(SIGUSR1, &sa, NULL);
	if (emulated)
		mon_watch(mon, PAGE, 1, VIGIL_ACTION_LOG);
	get_regs(v, &regs);
	regs.rdi = TARGET;
	regs.rax = 1;
	set_regs(v, &regs);
	v->stop_on_signal = true;
	r->v = v;
	running = 1;
	if (pthread_create(&r->thread, NULL, run, r))
		ERROR("no thread");
	while (rounds--) {
		seen = rd64(v->vm, TARGET);
		while (rd64(v->vm, TARGET) == seen)
			;
		id = mon_watch(mon, TARGET + 4, 1, VIGIL_ACTION_DENY);
		seen = rd64(v->vm, TARGET);
		ev = mon_event(mon);
		CHECK_EQ(ev.watch_id, id);
		CHECK_EQ(bytes64(ev.old), seen);
		CHECK_EQ(bytes64(ev.new_), seen + 1);
		CHECK_EQ(rd64(v->vm, TARGET), seen);
		mon_del(mon, id);
		while (mon_ready(mon, 0))
			CHECK_EQ(mon_event(mon).watch_id, id);
	}
	pthread_kill(r->thread, SIGUSR1);
	pthread_join(r->thread, NULL);
	CHECK_EQ(r->stop, STOP_SIGNAL);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- memory that slots share ---- */

#define ALIAS GUEST_MMIO /* the guest has it mapped, and no slot is there */

static int share(struct vcpu *v, unsigned int slot, bool there)
{
	struct kvm_userspace_memory_region s = {
		.slot = slot,
		.guest_phys_addr = ALIAS + slot * 0x1000ull,
		.memory_size = there ? 0x1000 : 0,
		.userspace_addr = (uintptr_t)vm_ram(v->vm, PAGE, 0x1000),
	};

	return ioctl(v->vm->fd, KVM_SET_USER_MEMORY_REGION, &s);
}

static void expect_denied(struct vcpu *v, int mon, uint64_t gpa)
{
	uint64_t old = rd64(v->vm, PAGE + (gpa & 0xff8));

	store(v, gpa, ~old);
	CHECK_EQ(rd64(v->vm, PAGE + (gpa & 0xff8)), old);
	CHECK_EQ(mon_event(mon).gpa, gpa);
	CHECK_NO_EVENT(mon);
}

/*
 * A page that the guest has at more addresses needs as many ranges for each of its
 * watches. When there is no room for them, neither a slot nor a watch comes, and
 * nothing else changes.
 */
static void shared(long arg)
{
	unsigned int ranges = 65536, slot, slots, i, left;
	struct vigil_watch w = watch_gpa(PAGE, 8, VIGIL_ACTION_DENY);
	struct vcpu *v;
	int mon;

	if (slow())
		SKIP("takes a minute here");
	v = start(&mon);
	/* The guest's own page and those of all slots but one fill the tree. */
	slots = ranges / VIGIL_MAX_WATCHES;
	while (n < VIGIL_MAX_WATCHES)
		add(mon, watch_gpa(PAGE + n % 512 * 8, 8, VIGIL_ACTION_DENY));
	for (slot = 1; slot < slots; slot++)
		REQUIRE_EQ(share(v, slot, true), 0);
	for (slot = 1; slot < slots; slot++)
		expect_denied(v, mon, ALIAS + slot * 0x1000ull + slot * 8);
	CHECK_ERRNO(share(v, slots, true), ENOSPC);
	CHECK_ERRNO(share(v, slots, true), ENOSPC);
	expect_denied(v, mon, PAGE + 0x20);
	expect_denied(v, mon, ALIAS + 0x1000 + 0xff8);
	/* One watch less is not enough for one range more of all others. */
	mon_del(mon, all[0].id);
	CHECK_ERRNO(share(v, slots, true), ENOSPC);
	for (i = 1; i <= n / 2; i++)
		mon_del(mon, all[i].id);
	REQUIRE_EQ(share(v, slots, true), 0);
	expect_denied(v, mon, ALIAS + slots * 0x1000ull + 0x40);
	/* Now each watch needs one range more. */
	for (left = n - i; left < ranges / (slots + 1); left++)
		mon_add(mon, w);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), ENOSPC);
	expect_denied(v, mon, ALIAS + 0x1000);
	for (slot = 1; slot <= slots; slot++)
		REQUIRE_EQ(share(v, slot, false), 0);
	expect_denied(v, mon, PAGE + 0x40);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	store(v, PAGE + 0x40, 77);
	CHECK_EQ(rd64(v->vm, PAGE + 0x40), 77);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "which one an event names", named },
		{ "watches come and go, each store is told once", told_once },
		{ "no store is missed (mapped page)", none_missed, false },
		{ "no store is missed (emulated stores)", none_missed, true },
		{ "memory that slots share", shared },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
