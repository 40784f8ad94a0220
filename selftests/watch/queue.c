// SPDX-License-Identifier: GPL-2.0
/*
 * Where events wait: queues of any size, rings that the monitor maps, what happens when
 * they are full, and readers that lie.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "runner.h"

#define RING VIGIL_QUEUE_RING
#define WAIT VIGIL_QUEUE_WAIT

static int set_queue(int mon, uint32_t events, uint32_t flags)
{
	const struct vigil_queue q = { .events = events, .flags = flags };

	return ioctl(mon, VIGIL_SET_QUEUE, &q);
}

static size_t ring_bytes(uint32_t events)
{
	size_t n = VIGIL_RING_HEAD + events * sizeof(struct vigil_event);

	return (n + 4095) & ~4095ul;
}

/* A monitor's ring. */
struct ring {
	struct vigil_ring *head;
	const struct vigil_event *events;
	size_t bytes;
	int mon;
};

static struct ring ring_open(int mon, uint32_t events, uint32_t flags)
{
	struct ring r = { .mon = mon, .bytes = ring_bytes(events) };

	REQUIRE_EQ(set_queue(mon, events, RING | flags), 0);
	r.head =
		mmap(NULL, r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, mon, 0);
	if (r.head == MAP_FAILED)
		ERROR("mmap of a ring: errno %d", errno);
	CHECK_EQ(r.head->events, events);
	CHECK_EQ(r.head->event_size, sizeof(struct vigil_event));
	r.events = (void *)((char *)r.head + VIGIL_RING_HEAD);
	return r;
}

/* The mapping holds the monitor as well as the file does. */
static void ring_close(struct ring *r)
{
	munmap(r->head, r->bytes);
	close(r->mon);
}

static uint32_t ring_head(const struct ring *r)
{
	return __atomic_load_n(&r->head->head, __ATOMIC_ACQUIRE);
}

static void ring_set_tail(struct ring *r, uint32_t tail)
{
	__atomic_store_n(&r->head->tail, tail, __ATOMIC_RELEASE);
}

static bool ring_empty(const struct ring *r)
{
	return ring_head(r) == r->head->tail;
}

/* Takes the oldest event, and waits for it. */
static struct vigil_event ring_take(struct ring *r)
{
	uint32_t tail = r->head->tail;
	struct vigil_event ev;

	if (ring_empty(r) && (!mon_ready(r->mon, 50000) || ring_empty(r))) {
		FAIL("no event in 50 seconds");
		test_abort();
	}
	ev = r->events[tail % r->head->events];
	ring_set_tail(r, tail + 1);
	return ev;
}

/* Runs the guest of start() again, from the beginning. */
static void again(struct vcpu *v, unsigned int n)
{
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = GUEST_CODE;
	r.rax = NEW;
	r.rcx = n;
	set_regs(v, &r);
}

/* ---- a queue of another size ---- */

static void sizes(long arg)
{
	const unsigned int events = arg;
	const unsigned int lost = 3;
	struct vcpu *v = start(events + lost);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	REQUIRE_EQ(set_queue(mon, events, 0), 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	for (unsigned int i = 0; i < events; i++) {
		ev = mon_event(mon);
		if (ev.seq != i + 1 || bytes64(ev.new_) != NEW + i) {
			FAIL("event %u has seq %llu", i + 1, ev.seq);
			break;
		}
	}
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "events_dropped"), lost);
	again(v, 1);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.dropped, lost);
	CHECK_EQ(ev.seq, events + lost + 1);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- what is refused ---- */

static void refused(long arg)
{
	static const struct vigil_queue bad[] = {
		{ 0, 0 },
		{ 0, RING },
		{ 3, RING },
		{ VIGIL_MAX_QUEUE + 1, 0 },
		{ 2 * VIGIL_MAX_QUEUE, RING },
		{ 1u << 31, RING },
		{ ~0u, WAIT },
		{ 4, 4 },
		{ 4, 1u << 31 },
	};
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm), reader;
	struct vigil_event ev;
	char *p;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_ERRNO(set_queue(mon, bad[i].events, bad[i].flags),
			    EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_SET_QUEUE, NULL), EFAULT);
	CHECK_ERRNO((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, mon, 0),
		    ENODEV);
	CHECK_EQ(set_queue(mon, 4, RING), 0);
	CHECK_ERRNO(set_queue(mon, 4, RING), EBUSY);
	CHECK_ERRNO(set_queue(mon, 4, 0), EBUSY);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev)), EBUSY);
	CHECK_ERRNO((long)mmap(NULL, ring_bytes(4), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE, mon, 0),
		    EINVAL);
	CHECK_ERRNO((long)mmap(NULL, ring_bytes(4) + 4096, PROT_READ,
			       MAP_SHARED, mon, 0),
		    EINVAL);
	CHECK_ERRNO((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, mon,
			       ring_bytes(4)),
		    EINVAL);
	/* A part of it, to be read only, is mapped as any. */
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, mon, 4096);
	CHECK(p != MAP_FAILED);
	munmap(p, 4096);
	close(mon);

	mon = mon_open(v->vm);
	mon_del(mon, mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG));
	CHECK_ERRNO(set_queue(mon, 4, 0), EBUSY);
	reader = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	REQUIRE_EQ(reader >= 0, true);
	CHECK_ERRNO(set_queue(reader, 4, 0), EPERM);
	CHECK_ERRNO((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0),
		    EPERM);
	close(reader);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- rings ---- */

/* A guest that stores, and a monitor that takes events meanwhile: none is lost. */
static void ring_waits(long events)
{
	const unsigned int n = 300;
	struct vcpu *v = start(n);
	struct ring ring = ring_open(mon_open(v->vm), events, WAIT);
	struct runner r;

	mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
	runner_start(&r, v);
	for (unsigned int i = 0; i < n; i++) {
		struct vigil_event ev = ring_take(&ring);

		if (ev.seq != i + 1 || bytes64(ev.new_) != NEW + i ||
		    bytes64(ev.old) != (i ? NEW + i - 1 : OLD) || ev.dropped ||
		    ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED)) {
			FAIL("event %u has seq %llu, flags %#x", i + 1, ev.seq,
			     ev.flags);
			break;
		}
	}
	runner_join(&r, STOP_END);
	CHECK(ring_empty(&ring) && !mon_ready(ring.mon, 0));
	CHECK_EQ(rd64(v->vm, TARGET), NEW + n - 1);
	CHECK_EQ(mon_stat(ring.mon, "events_dropped"), 0);
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* Nobody takes events: what finds no room is lost, and the next event says so. */
static void ring_drops(long wraps)
{
	struct vcpu *v = start(4 + 5);
	struct ring ring = ring_open(mon_open(v->vm), 4, 0);
	struct vigil_event ev;
	uint64_t seq = 0;

	mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
	for (long k = 0; k <= wraps; k++) {
		if (k)
			again(v, 4 + 5);
		EXPECT(v, STOP_END);
		for (unsigned int i = 0; i < 4; i++) {
			ev = ring_take(&ring);
			CHECK_EQ(ev.seq, seq + i + 1);
			CHECK_EQ(ev.dropped, 5 * k);
			CHECK_EQ(bytes64(ev.new_), NEW + i);
		}
		seq += 4 + 5;
		CHECK(ring_empty(&ring) && !mon_ready(ring.mon, 0));
	}
	CHECK_EQ(mon_stat(ring.mon, "events_dropped"), 5 * (wraps + 1));
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* poll() wakes a reader only when an event comes into an empty ring. */
static void wakes_once(long arg)
{
	struct epoll_event want = { .events = EPOLLIN | EPOLLET }, got;
	struct vcpu *v = start(1);
	struct ring ring = ring_open(mon_open(v->vm), 8, 0);
	int ep = epoll_create1(0);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ring.mon, &want))
		ERROR("epoll: errno %d", errno);
	mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	EXPECT(v, STOP_END);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	/* An edge is told once; a second event into the ring is none. */
	again(v, 2);
	EXPECT(v, STOP_END);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	ring_take(&ring);
	ring_take(&ring);
	ring_take(&ring);
	CHECK(ring_empty(&ring));
	again(v, 1);
	EXPECT(v, STOP_END);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	close(ep);
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* A question in a ring; one that finds it full comes when there is room. */
static void ring_asks(long full)
{
	struct vcpu *v = start(full ? 2 : 0);
	struct ring ring = ring_open(mon_open(v->vm), 2, 0);
	struct vigil_event ev;
	struct runner r;

	if (full) {
		mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
		EXPECT(v, STOP_END);
		again(v, 1);
	} else {
		set_up(v, 1);
	}
	mon_watch(ring.mon, TARGET, 4, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	if (full) {
		ring_take(&ring);
		ring_take(&ring);
	}
	ev = ring_take(&ring);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	/* What the reader makes of the ring is no verdict on another event. */
	memset((void *)ring.events, 0xff, 2 * sizeof(ev));
	CHECK_ERRNO(mon_verdict(ring.mon, ~0ull, VIGIL_VERDICT_ALLOW), ENOENT);
	CHECK_EQ(mon_verdict(ring.mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), full ? NEW + 1 : OLD);
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* The reader stores tails that cannot be. The guest runs, and events are counted. */
static void lies(long flags)
{
	static const uint32_t tails[] = { 5, 1u << 31, ~0u, 0x7fffffff, 1 };
	struct vcpu *v = start(1);
	struct ring ring = ring_open(mon_open(v->vm), 4, flags);
	unsigned int k;

	mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
	for (k = 0; k < ARRAY_SIZE(tails); k++) {
		ring_set_tail(&ring, ring_head(&ring) + tails[k]);
		ring.head->head = 0x12345678;
		ring.head->events = 1u << 30;
		ring.head->event_size = 1;
		again(v, 3);
		if (flags & WAIT) {
			/* It waits for room that does not come. */
			v->stop_on_signal = true;
			ticks(1000);
			EXPECT(v, STOP_SIGNAL);
			ticks(0);
		} else {
			EXPECT(v, STOP_END);
			CHECK_EQ(rd64(v->vm, TARGET), NEW + 2);
		}
		ring_set_tail(&ring, 0);
	}
	if (flags & WAIT)
		CHECK_EQ(mon_stat(ring.mon, "events_dropped"), 0);
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* ---- waiting for room ---- */

/* @flags: of the queue, and in bits 8 and up the action. */
static void room(long flags)
{
	const unsigned int n = 10;
	struct vcpu *v = start(n);
	int mon = mon_open(v->vm);
	bool deny = flags >> 8 == VIGIL_ACTION_DENY;
	struct vigil_event ev;
	struct runner r;

	REQUIRE_EQ(set_queue(mon, 2, flags & 0xff), 0);
	mon_watch(mon, TARGET, 8, flags >> 8);
	/* Signals end KVM_RUN of a vCPU that waits; it goes on waiting. */
	ticks(1000);
	v->stop_on_signal = true;
	do
		EXPECT(v, STOP_SIGNAL);
	while (!mon_stat(mon, "events_waited"));
	for (int i = 0; i < 5; i++)
		EXPECT(v, STOP_SIGNAL);
	ticks(0);
	v->stop_on_signal = false;
	CHECK_EQ(mon_stat(mon, "events_waited"), 1);
	/* Two events have room, and the third store waits for its own. */
	CHECK_EQ(rd64(v->vm, TARGET), deny ? OLD : NEW + 1);
	v->run->immediate_exit = 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	/* It has no number that a verdict could name. */
	for (uint64_t seq = 0; seq < 5; seq++)
		CHECK_ERRNO(mon_verdict(mon, seq, VIGIL_VERDICT_ALLOW), ENOENT);
	runner_start(&r, v);
	for (unsigned int i = 0; i < n; i++) {
		ev = mon_event(mon);
		CHECK_EQ(ev.seq, i + 1);
		CHECK_EQ(ev.dropped, 0);
		CHECK_EQ(bytes64(ev.new_), NEW + i);
		CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED),
			 deny ? VIGIL_EVENT_DENIED : 0);
	}
	runner_join(&r, STOP_END);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd64(v->vm, TARGET), deny ? OLD : NEW + n - 1);
	CHECK_EQ(mon_stat(mon, "watch_hits"), n);
	if (deny)
		CHECK_EQ(mon_stat(mon, "watch_denied"), n);
	close(mon);
	vm_destroy(v->vm);
}

/* The monitor ends while a vCPU waits for room. */
static void closed(long action)
{
	struct vcpu *v = start(5);
	int mon = mon_open(v->vm);
	struct ring ring = ring_open(mon, 2, WAIT);
	struct runner r;

	mon_watch(mon, TARGET, 8, action);
	runner_start(&r, v);
	while (!mon_stat(mon, "events_waited"))
		usleep(1000);
	ring_close(&ring);
	runner_join(&r, STOP_END);
	/* The waiting store goes as its watch says, and those behind it are unwatched. */
	CHECK_EQ(rd64(v->vm, TARGET), NEW + 4);
	vm_destroy(v->vm);
}

/* The VMM sets other registers while the vCPU waits for room. */
static void forgotten(long arg)
{
	struct vcpu *v = start(3);
	int mon = mon_open(v->vm);
	struct kvm_regs r;

	REQUIRE_EQ(set_queue(mon, 2, WAIT), 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	ticks(1000);
	v->stop_on_signal = true;
	do
		EXPECT(v, STOP_SIGNAL);
	while (!mon_stat(mon, "events_waited"));
	ticks(0);
	v->stop_on_signal = false;
	get_regs(v, &r);
	r.rdi = PAGE + 0x800;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW + 1);
	CHECK_EQ(rd64(v->vm, PAGE + 0x800), NEW + 2);
	CHECK_EQ(mon_event(mon).seq, 1);
	CHECK_EQ(mon_event(mon).seq, 2);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- another decision meanwhile ---- */

/*
 * What memory has beside the store decides. It changes while a logged store waits for
 * room, so that the store is one to be asked about: the event that it had is no answer.
 */
static void asks_later(long arg)
{
	static const char code[] = "\x89\x07" /* mov %eax, (%rdi) */
				   "\x89\x07"
				   "\xe6\xf4"; /* out to PORT_END */
	const struct vigil_condition log = {
		.tests = VIGIL_COND_VALUE,
		.action = VIGIL_ACTION_LOG,
		.mask = 0xffffffff00000000,
	};
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = guest_start(M_LONG, code, code + sizeof(code) - 1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	REQUIRE_EQ(set_queue(mon, 1, WAIT), 0);
	w.conditions = (uintptr_t)&log;
	w.nr_conditions = 1;
	mon_add(mon, w);
	set_up(v, 0);
	wr64(v->vm, TARGET, 1);
	runner_start(&r, v);
	while (!mon_stat(mon, "events_waited"))
		usleep(1000);
	CHECK_EQ(rd64(v->vm, TARGET), (uint32_t)NEW);
	wr32(v->vm, TARGET + 4, 1);
	CHECK_EQ(mon_event(mon).flags & VIGIL_EVENT_HELD, 0);
	CHECK_EQ(mon_event(mon).flags & VIGIL_EVENT_HELD, 0);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd32(v->vm, TARGET + 4), 1);
	close(mon);
	vm_destroy(v->vm);
}

/* A store of what memory has is allowed; meanwhile memory has something else. */
static void changes_later(long arg)
{
	const struct vigil_condition deny = {
		.tests = VIGIL_COND_CHANGED,
		.action = VIGIL_ACTION_DENY,
	};
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	w.conditions = (uintptr_t)&deny;
	w.nr_conditions = 1;
	mon_add(mon, w);
	wr64(v->vm, TARGET, NEW);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	wr64(v->vm, TARGET, OLD);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, VIGIL_EVENT_DENIED);
	CHECK_EQ(bytes64(ev.old), OLD);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	close(mon);
	vm_destroy(v->vm);
}

/* A reader that takes events and never calls poll() makes room all the same. */
static void never_polls(long arg)
{
	struct vcpu *v = start(2);
	struct ring ring = ring_open(mon_open(v->vm), 2, 0);
	struct runner r;
	uint32_t head;

	mon_watch(ring.mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	/* A question waits behind the full ring. */
	mon_watch(ring.mon, TARGET, 4, VIGIL_ACTION_ASK);
	again(v, 1);
	v->stop_on_signal = true;
	ticks(1000);
	do
		EXPECT(v, STOP_SIGNAL);
	while (!mon_stat(ring.mon, "watch_held"));
	ticks(0);
	v->stop_on_signal = false;
	ring_set_tail(&ring, ring_head(&ring));
	/* Another vCPU's event brings it, and comes behind it. */
	struct vcpu *other = vcpu_create(v->vm);
	struct kvm_sregs s;
	struct kvm_regs regs;

	other->mode = M_LONG;
	get_sregs(v, &s);
	set_sregs(other, &s);
	mon_watch(ring.mon, PAGE + 0x800, 8, VIGIL_ACTION_LOG);
	regs = (struct kvm_regs){
		.rip = GUEST_CODE,
		.rdi = PAGE + 0x800,
		.rcx = 1,
		.rsp = GUEST_STACK_AP,
		.rflags = RFLAGS_1,
	};
	set_regs(other, &regs);
	EXPECT(other, STOP_END);
	head = ring_head(&ring);
	CHECK_EQ(head, 4);
	CHECK_EQ(ring.events[2 % 2].flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	CHECK_EQ(ring.events[3 % 2].gpa, PAGE + 0x800);
	CHECK_EQ(mon_verdict(ring.mon, ring.events[0].seq, VIGIL_VERDICT_ALLOW),
		 0);
	runner_start(&r, v);
	runner_join(&r, STOP_END);
	ring_close(&ring);
	vm_destroy(v->vm);
}

/* ---- several vCPUs ---- */

#define NR_VCPUS 4

/* Each store of four vCPUs is one event in a ring that is far too small. */
static void smp(long flags)
{
	const unsigned int n = test_rounds(2000);
	struct vcpu *v[NR_VCPUS] = { start(n) };
	int mon = mon_open(v[0]->vm);
	struct runner r[NR_VCPUS];
	struct ring ring = { 0 };
	uint64_t next[NR_VCPUS];
	struct kvm_sregs s;
	struct kvm_regs regs;
	unsigned int i;

	if (flags & RING)
		ring = ring_open(mon, 4, flags & WAIT);
	else
		REQUIRE_EQ(set_queue(mon, 3, flags), 0);
	get_sregs(v[0], &s);
	get_regs(v[0], &regs);
	for (i = 0; i < NR_VCPUS; i++) {
		if (i) {
			v[i] = vcpu_create(v[0]->vm);
			v[i]->mode = M_LONG;
			set_sregs(v[i], &s);
		}
		regs.rsp = GUEST_STACK_AP + 0x100 * i;
		next[i] = regs.rax = (uint64_t)(i + 1) << 32;
		set_regs(v[i], &regs);
	}
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	for (i = 0; i < NR_VCPUS; i++)
		runner_start(&r[i], v[i]);
	for (i = 0; i < NR_VCPUS * n; i++) {
		struct vigil_event ev = flags & RING ? ring_take(&ring) :
						       mon_event(mon);

		if (ev.seq != i + 1 || ev.vcpu >= NR_VCPUS ||
		    bytes64(ev.new_) != next[ev.vcpu]++) {
			FAIL("event %u: seq %llu, vCPU %u, value %#llx", i + 1,
			     ev.seq, ev.vcpu,
			     (unsigned long long)bytes64(ev.new_));
			break;
		}
	}
	for (i = 0; i < NR_VCPUS; i++)
		runner_join(&r[i], STOP_END);
	CHECK_EQ(mon_ready(mon, 0), false);
	CHECK_EQ(mon_stat(mon, "events_dropped"), 0);
	CHECK_EQ(mon_stat(mon, "watch_hits"), NR_VCPUS * n);
	if (flags & RING)
		ring_close(&ring);
	else
		close(mon);
	vm_destroy(v[0]->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a queue for one event", sizes, 1 },
		{ "a queue for three events", sizes, 3 },
		{ "a queue for 5000 events", sizes, 5000 },
		{ "what is refused", refused },
		{ "a ring of one, the vCPU waits", ring_waits, 1 },
		{ "a ring of two, the vCPU waits", ring_waits, 2 },
		{ "a ring of 64, the vCPU waits", ring_waits, 64 },
		{ "a ring is full: events are counted as lost", ring_drops, 0 },
		{ "a ring that is full ten times", ring_drops, 10 },
		{ "a reader is woken once", wakes_once },
		{ "a question in a ring", ring_asks, false },
		{ "a question behind a full ring", ring_asks, true },
		{ "tails that cannot be", lies, 0 },
		{ "tails that cannot be, the vCPU waits", lies, WAIT },
		{ "a logged store waits for room", room,
		  WAIT | VIGIL_ACTION_LOG << 8 },
		{ "a refused store waits for room", room,
		  WAIT | VIGIL_ACTION_DENY << 8 },
		{ "monitor closed while a logged store waits", closed,
		  VIGIL_ACTION_LOG },
		{ "monitor closed while a refused store waits", closed,
		  VIGIL_ACTION_DENY },
		{ "registers replaced while a store waits", forgotten },
		{ "a condition asks behind a full queue", asks_later },
		{ "a condition denies after the verdict", changes_later },
		{ "a reader that never polls", never_polls },
		{ "four vCPUs, a ring of four", smp, RING | WAIT },
		{ "four vCPUs, a queue of three", smp, WAIT },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
