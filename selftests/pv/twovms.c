// SPDX-License-Identifier: GPL-2.0
/*
 * Two VMs on one CPU whose fast traps have the same vector, and handlers at the same
 * address, which do different things. They preempt each other while ring 3 makes traps,
 * and each trap must come to the VM's own handler. In the middle one VM names another
 * handler, which the other VM must not notice.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "pv_traps.h"

/* With VIGIL_FULL. */
#define TRAPS 1000000 /* each VM makes at least so many */
#define PREEMPTIONS 10000 /* of both together */
#define TURN_US 150 /* A VM runs so long before the other one preempts it. */

enum { VM_LOW = 1, VM_HIGH, VM_TURNS }; /* real-time priorities */

/* A quarter, unless the environment asks for all. */
static unsigned long wanted(unsigned long n)
{
	return test_rounds(getenv("VIGIL_FULL") ? n : n / 4);
}

static atomic_bool over;

struct side {
	struct vcpu *v;
	pthread_t thread;
	uint64_t exits, exceptions, faults; /* before its traps */
	uint64_t syncs;
	atomic_ulong traps, preempted; /* as of its last stop */
};

static void note_progress(struct side *s)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	atomic_store(&s->preempted, ru.ru_nivcsw);
	atomic_store(&s->traps, rd32(s->v->vm, T_MADE));
}

static void *run_side(void *arg)
{
	struct side *s = arg;
	enum stop stop;

	while ((stop = vcpu_go(s->v)) == STOP_SYNC) {
		s->syncs++;
		note_progress(s);
	}
	note_progress(s);
	if (stop != STOP_END) {
		FAIL("stopped by %s", stop_name[stop]);
		atomic_store(&over, true);
	}
	return NULL;
}

static void real_time(pthread_t thread, int priority)
{
	struct sched_param p = { .sched_priority = priority };
	int err = pthread_setschedparam(thread, SCHED_FIFO, &p);

	if (err)
		ERROR("pthread_setschedparam: %s", strerror(err));
}

static void only_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ERROR("sched_setaffinity: errno %d", errno);
}

/*
 * Both vCPUs want the CPU all the time. This thread wakes up, which preempts one of them,
 * and has the other go on.
 */
static unsigned long take_turns(struct side side[2], unsigned long traps,
				unsigned long preemptions)
{
	struct timespec turn = { .tv_nsec = TURN_US * 1000 };
	unsigned long n;

	for (n = 0; !atomic_load(&over); n++) {
		real_time(side[n % 2].thread, VM_LOW);
		real_time(side[!(n % 2)].thread, VM_HIGH);
		nanosleep(&turn, NULL);
		if (atomic_load(&side[0].traps) >= traps &&
		    atomic_load(&side[1].traps) >= traps &&
		    atomic_load(&side[0].preempted) +
				    atomic_load(&side[1].preempted) >=
			    preemptions)
			atomic_store(&over, true);
	}
	wr32(side[0].v->vm, T_STOP, 1);
	wr32(side[1].v->vm, T_STOP, 1);
	return n;
}

/* A VM whose INT 0x80 and 0x83 do not exit, on the way to ring 3. */
static void prepare(struct side *s, enum mode mode)
{
	struct vcpu *v = s->v = begin(mode);
	struct kvm_regs r;
	uint64_t rip;

	present(v);
	vcpu_settle(v);
	get_regs(v, &r);
	rip = r.rip;
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0x83, 0), 0);
	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = rip;
	set_regs(v, &r);
	leave_to(v, 3, AT(v, many));
	/* Each page that a trap needs is mapped after these. */
	EXPECT(v, STOP_SYNC);
	s->exits = exits(v);
	s->exceptions = mon_stat(v->vm->fd, "exits_exception");
	s->faults = mon_stat(v->vm->fd, "exits_page_fault");
}

/* The handlers at the two addresses change places. */
static void swap_handlers(struct vcpu *v)
{
	size_t len = AT(v, on_slow) - AT(v, on_fast);
	uint8_t *fast = vm_ram(v->vm, AT(v, on_fast), len);
	uint8_t *slow = vm_ram(v->vm, AT(v, on_slow), len);
	uint8_t old[64];

	REQUIRE_EQ(AT(v, on_again) - AT(v, on_slow), len);
	memcpy(old, fast, len);
	memcpy(fast, slow, len);
	memcpy(slow, old, len);
}

/*
 * Exits of one VM since its traps began: each port at which it stopped, and with @call
 * one hypercall and the port that told of its result.
 */
static void check_exits(struct side *s, bool call)
{
	struct vm *vm = s->v->vm;

	/* The guest uses VMMCALL, for which CPUs of Intel's raise #UD. */
	CHECK_EQ(mon_stat(vm->fd, "exits_exception"),
		 s->exceptions + (call && !test_on_svm()));
	CHECK_EQ(mon_stat(vm->fd, "exits_page_fault"), s->faults);
	CHECK_EQ(exits(s->v) - s->exits, s->syncs + 1 + 2 * call);
}

static void twovms(long mode)
{
	unsigned long traps = wanted(TRAPS), preemptions = wanted(PREEMPTIONS),
		      turns;
	struct side side[2] = { 0 };
	struct vcpu *a, *b;
	unsigned int i;

	prepare(&side[0], mode);
	prepare(&side[1], mode);
	a = side[0].v;
	b = side[1].v;
	swap_handlers(b);
	wr64(b->vm, T_FAST, 0);
	wr64(b->vm, T_MADE, 0);
	wr64(a->vm, T_TURN, traps / 2);
	entry(a, T_TABLE2, 0, 0x80, 3, ring1_cs(a), AT(a, on_slow));

	only_cpu(sysconf(_SC_NPROCESSORS_ONLN) - 1);
	real_time(pthread_self(), VM_TURNS);
	for (i = 0; i < 2; i++)
		if (pthread_create(&side[i].thread, NULL, run_side, &side[i]))
			ERROR("no thread");
	turns = take_turns(side, traps, preemptions);
	for (i = 0; i < 2; i++)
		pthread_join(side[i].thread, NULL);

	test_note("traps %u and %u, preempted %lu and %lu times in %lu turns",
		  rd32(a->vm, T_MADE), rd32(b->vm, T_MADE), side[0].preempted,
		  side[1].preempted, turns);
	for (i = 0; i < 2; i++) {
		CHECK(rd32(side[i].v->vm, T_MADE) >= traps);
		/* Neither had the CPU for itself. */
		CHECK(side[i].preempted >= preemptions / 4);
	}
	/* A's second handler has taken over at the next trap; B's never did. */
	CHECK_EQ(rd32(a->vm, T_FAST), traps / 2);
	CHECK_EQ(rd32(a->vm, T_SLOW), rd32(a->vm, T_MADE) - traps / 2);
	CHECK_EQ(rd32(b->vm, T_SLOW), rd32(b->vm, T_MADE));
	CHECK_EQ(rd32(b->vm, T_FAST), 0);
	REQUIRE_EQ(a->nr_vals, 2);
	CHECK_EQ(a->val[1], 0);
	check_exits(&side[0], true);
	check_exits(&side[1], false);
	vm_destroy(a->vm);
	vm_destroy(b->vm);
}

static const struct test_case cases[] = {
	{ "fast traps of two VMs on one CPU (32-bit paging)", twovms, M_PG32,
	  300 },
	{ "fast traps of two VMs on one CPU (pae)", twovms, M_PAE, 300 },
	{ "fast traps of two VMs on one CPU (long)", twovms, M_LONG, 300 },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
