// SPDX-License-Identifier: GPL-2.0
/* Rows of what monitors cost. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../uapi/vigil.h"
#include "bench.h"

#define N bench_ops
#define RW (PTE_RW | PTE_A | PTE_D)

enum guest_mode { LONG, PAGED_32, UNPAGED };

/* Reads all events of the monitor. Returns how many there were. */
static uint64_t read_events(int monitor)
{
	struct pollfd p = { .fd = monitor, .events = POLLIN };
	static struct vigil_event ev[64];
	uint64_t sum = 0;
	ssize_t n;

	while (poll(&p, 1, 0) == 1 && p.revents & POLLIN) {
		n = read(monitor, ev, sizeof(ev));
		if (n <= 0)
			die("read of events: %s", strerror(errno));
		sum += n / sizeof(ev[0]);
	}
	return sum;
}

/* A monitor that watches 8 bytes of DATA. */
static int watch_data(struct bench *b, uint32_t action,
		      const struct vigil_condition *c, unsigned int n)
{
	struct vigil_watch w = {
		.start = DATA + 64,
		.len = 8,
		.kind = VIGIL_WATCH_GPA,
		.action = action,
		.conditions = (uintptr_t)c,
		.nr_conditions = n,
	};
	int monitor = ioctl(b->vm, VIGIL_CREATE_MONITOR, 0);

	if (monitor < 0 || ioctl(monitor, VIGIL_WATCH_ADD, &w))
		die("no watch: %s", strerror(errno));
	return monitor;
}

/*
 * Stores to the watched page at @offset, in rounds, since a monitor's queue holds
 * VIGIL_MAX_EVENTS events. The peer has no watches: its guest stores to a device,
 * which is how its VMM sees a store.
 */
static void watched(struct bench *b, struct result *r, enum guest_mode mode,
		    uint32_t action, uint64_t offset)
{
	const char *op = mode == LONG ? op_store : op_store32;
	struct regs regs = { .rcx = 4, .rsi = DATA + offset };
	uint64_t left = N, n, events = 0;
	struct counts before, after;
	int monitor;
	uint64_t t0;

	if (!b->vigil) {
		mmio_write(b, r);
		return;
	}
	monitor = watch_data(b, action, NULL, 0);
	populate(b, 1);
	map_data(b, b->cr3, DATA, DATA, 1, RW);
	if (mode != LONG)
		legacy_mode(b, mode == PAGED_32);
	start(b, op, &regs);
	go_to_end(b);
	read_events(monitor);
	count(b, &before);
	for (; left; left -= n) {
		n = left < VIGIL_MAX_EVENTS ? left : VIGIL_MAX_EVENTS;
		regs.rcx = n;
		start(b, op, &regs);
		t0 = now();
		go_to_end(b);
		r->ticks += now() - t0;
		events += read_events(monitor);
	}
	count(b, &after);
	if (events != (offset == 64 ? N : 0))
		die("%llu events", (unsigned long long)events);
	r->ticks /= N;
	r->ops = N;
	charge(r, &before, &after);
	close(monitor);
}

#define WATCHED(name, action, offset)                          \
	void name(struct bench *b, struct result *r)           \
	{                                                      \
		watched(b, r, LONG, action, offset);           \
	}                                                      \
	void name##_32(struct bench *b, struct result *r)      \
	{                                                      \
		watched(b, r, PAGED_32, action, offset);       \
	}                                                      \
	void name##_unpaged(struct bench *b, struct result *r) \
	{                                                      \
		watched(b, r, UNPAGED, action, offset);        \
	}
WATCHED(watch_beside, VIGIL_ACTION_LOG, 128)
WATCHED(watch_log, VIGIL_ACTION_LOG, 64)
WATCHED(watch_deny, VIGIL_ACTION_DENY, 64)
#undef WATCHED

/*
 * Stores that the last of @n conditions lets through, each of which has a place that
 * writes as expected.
 */
static void let_through(struct bench *b, struct result *r, unsigned int n)
{
	struct vigil_condition c[VIGIL_MAX_CONDITIONS];
	struct regs regs = { .rcx = 4, .rsi = DATA + 64 };
	unsigned int i;
	int monitor;

	if (!b->vigil) {
		mmio_write(b, r);
		return;
	}
	for (i = 0; i < n; i++)
		c[i] = (struct vigil_condition){
			.tests = VIGIL_COND_RIP,
			.action = VIGIL_ACTION_PASS,
			.rip = 0x1000 * i,
			.rip_last = 0x1000 * i + 0xfff,
		};
	c[n - 1].tests |= VIGIL_COND_CPL;
	c[n - 1].cpl = 1;
	c[n - 1].rip = CODE;
	c[n - 1].rip_last = CODE + 0xfff;
	monitor = watch_data(b, VIGIL_ACTION_ASK, c, n);
	populate(b, 1);
	map_data(b, b->cr3, DATA, DATA, 1, RW);
	start(b, op_store, &regs);
	go_to_end(b);
	regs.rcx = N;
	run_op(b, r, op_store, regs, N);
	close(monitor);
}

void watch_pass(struct bench *b, struct result *r)
{
	let_through(b, r, 1);
}

void watch_pass_16(struct bench *b, struct result *r)
{
	let_through(b, r, VIGIL_MAX_CONDITIONS);
}

/*
 * A monitor that has @n - 1 watches, each in a page of its own, adds one more. The peer
 * has no watches: its VMM changes a slot, which is how it would have a page protected.
 */
static void watch_add(struct bench *b, struct result *r, unsigned int n)
{
	struct vigil_watch w = { .len = 8,
				 .kind = VIGIL_WATCH_GPA,
				 .action = VIGIL_ACTION_LOG };
	const unsigned int times = 100;
	unsigned int i;
	int monitor;
	uint64_t t0;

	r->ops = times;
	if (!b->vigil) {
		t0 = now();
		for (i = 0; i < times; i++)
			data_slot(b, !(i & 1));
		r->ticks = (double)(now() - t0) / times;
		return;
	}
	monitor = ioctl(b->vm, VIGIL_CREATE_MONITOR, 0);
	for (i = 0; i < n - 1 + times; i++) {
		/* The new one is among the others. */
		w.start = DATA + (i < n - 1 ? i : n / 2) * 4096ull + 64;
		t0 = now();
		if (ioctl(monitor, VIGIL_WATCH_ADD, &w))
			die("watch %u: %s", i, strerror(errno));
		if (i < n - 1)
			continue;
		r->ticks += now() - t0;
		if (ioctl(monitor, VIGIL_WATCH_DEL, &w.id))
			die("VIGIL_WATCH_DEL: %s", strerror(errno));
	}
	r->ticks /= times;
	close(monitor);
}

void watch_add_200(struct bench *b, struct result *r)
{
	watch_add(b, r, 200);
}

void watch_add_10k(struct bench *b, struct result *r)
{
	watch_add(b, r, 10000);
}

/* ---- a verdict of another thread ---- */

/* What the other thread of an asking row has: the monitor, or two eventfds. */
struct other {
	int monitor;
	int to, from;
	uint64_t times;
};

static void *allow(void *arg)
{
	const struct other *o = arg;
	struct vigil_verdict v = { .verdict = VIGIL_VERDICT_ALLOW };
	struct vigil_event ev;

	for (uint64_t i = 0; i < o->times; i++) {
		if (read(o->monitor, &ev, sizeof(ev)) != sizeof(ev))
			die("read of an event: %s", strerror(errno));
		v.seq = ev.seq;
		if (ioctl(o->monitor, VIGIL_VERDICT, &v))
			die("VIGIL_VERDICT: %s", strerror(errno));
	}
	return NULL;
}

static void *echo(void *arg)
{
	const struct other *o = arg;
	uint64_t v;

	for (uint64_t i = 0; i < o->times; i++)
		if (read(o->to, &v, sizeof(v)) != sizeof(v) ||
		    write(o->from, &v, sizeof(v)) != sizeof(v))
			die("eventfd: %s", strerror(errno));
	return NULL;
}

static pthread_t begin(void *(*fn)(void *), struct other *o)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, o))
		die("no thread");
	return thread;
}

/* What it costs to wake another thread by an eventfd, and to be woken by it. */
static double two_switches(void)
{
	struct other o = { .to = eventfd(0, 0),
			   .from = eventfd(0, 0),
			   .times = N };
	pthread_t thread = begin(echo, &o);
	uint64_t v = 1, t0 = now(), i;

	for (i = 0; i < N; i++)
		if (write(o.to, &v, sizeof(v)) != sizeof(v) ||
		    read(o.from, &v, sizeof(v)) != sizeof(v))
			die("eventfd: %s", strerror(errno));
	t0 = now() - t0;
	pthread_join(thread, NULL);
	close(o.to);
	close(o.from);
	return (double)t0 / N;
}

/*
 * A thread of the same process allows each store. The row has what that costs above two
 * switches between threads.
 */
void watch_ask(struct bench *b, struct result *r)
{
	struct regs regs = { .rcx = 4, .rsi = DATA + 64 };
	struct other o = { .times = N + 4 };
	pthread_t thread;

	if (!b->vigil) {
		mmio_write(b, r);
		return;
	}
	o.monitor = watch_data(b, VIGIL_ACTION_ASK, NULL, 0);
	thread = begin(allow, &o);
	populate(b, 1);
	map_data(b, b->cr3, DATA, DATA, 1, RW);
	start(b, op_store, &regs);
	go_to_end(b);
	regs.rcx = N;
	run_op(b, r, op_store, regs, N);
	pthread_join(thread, NULL);
	close(o.monitor);
	r->ticks -= two_switches();
}
