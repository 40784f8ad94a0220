// SPDX-License-Identifier: GPL-2.0
/*
 * Guests of two vCPUs that run random code on random tables and segments, in every
 * mode, under a timer signal each, while monitors watch random ranges and
 * answer at random. Each run must end soon, with an exit that KVM has too; the
 * VM must live to the end, and its shadow tables must be right. VIGIL_SEED=n in
 * the environment chooses other guests, VIGIL_FULL=n multiplies their number.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "mon.h"
#include "random.h"

#define ROUNDS 8
#define TICK_NS 4000000
#define CODE_SIZE 0x800
#define RUNS 2 /* of a vCPU in a round, each from other registers */
#define VCPUS 2
#define MONITORS 3

static struct vcpu *vcpus[VCPUS];
static uint64_t seed;
static volatile bool over;

static uint64_t stream(enum mode mode, unsigned long round, unsigned int part)
{
	return (mode * 100000ull + round) * 8 + part;
}

struct job {
	struct rng rng;
	struct vcpu *v;
	unsigned long round;
};

static void random_regs(struct rng *r, struct vcpu *v)
{
	struct kvm_regs g;

	get_regs(v, &g);
	g.rax = rng_number(r);
	g.rbx = GUEST_FREE + rng_below(r, 0x1000);
	g.rcx = rng_once_in(r, 2) ? rng_number(r) : rng_below(r, 4096);
	g.rdx = rng_number(r);
	g.rsi = GUEST_DATA + rng_below(r, 0x1000);
	g.rdi = rng_once_in(r, 4) ? rng_number(r) :
		rng_once_in(r, 3) ? GUEST_PT + rng_below(r, 0x8000) :
				    GUEST_FREE + rng_below(r, 0x1000);
	g.rbp = rng_number(r);
	g.r8 = rng_number(r);
	g.rip = mode_entry(v->mode) + rng_below(r, CODE_SIZE);
	set_regs(v, &g);
}

/* A segment that SET_SREGS refuses is left as it was. */
static void random_segments(struct rng *r, struct vcpu *v)
{
	unsigned int n = rng_below(r, 3);
	struct kvm_sregs s;

	get_sregs(v, &s);
	while (n--) {
		struct kvm_segment *all[] = { &s.ds, &s.es, &s.fs,
					      &s.gs, &s.ss, &s.cs };

		rng_segment(r, all[rng_below(r, ARRAY_SIZE(all))]);
	}
	sregs_defuse(&s);
	if (ioctl(v->fd, KVM_SET_SREGS, &s) && errno != EINVAL)
		FAIL("KVM_SET_SREGS: errno %d", errno);
}

/* Most entries stay as they are, or the guest would not come far. */
static void random_entries(struct rng *r, struct vm *vm)
{
	unsigned int n = rng_below(r, 24);
	uint64_t size = vm->pt_next - GUEST_PT;

	while (size && n--) {
		uint64_t at = GUEST_PT + (rng_next(r) % size & ~7ull);
		uint64_t e = rd64(vm, at);

		switch (rng_below(r, 4)) {
		case 0:
			e ^= 1ull << rng_below(r, 12);
			break;
		case 1:
			e ^= 1ull << rng_below(r, 64);
			break;
		case 2: /* a table or page of the pool, or data */
			e = (rng_once_in(r, 2) ? GUEST_PT : GUEST_FREE) +
			    (rng_next(r) & 0xf000) + (rng_next(r) & 0xfff);
			break;
		case 3:
			e = rng_number(r);
			break;
		}
		wr64(vm, at, e);
	}
}

static timer_t tick(void)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
	};
	struct itimerspec t = { { 0, TICK_NS }, { 0, TICK_NS } };
	timer_t timer;

	ev._sigev_un._tid = syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &t, NULL))
		ERROR("timer: errno %d", errno);
	return timer;
}

static void *run_vcpu(void *arg)
{
	struct job *j = arg;
	timer_t timer = tick();
	unsigned int i;

	for (i = 0; i < RUNS && !test_failures(); i++) {
		random_segments(&j->rng, j->v);
		random_regs(&j->rng, j->v);
		run_random(j->v, &j->rng, j->round);
	}
	timer_delete(timer);
	return NULL;
}

static void random_watch(struct rng *r, int mon)
{
	static const uint64_t starts[] = { GUEST_FREE,	      GUEST_CODE,
					   GUEST_DATA,	      GUEST_STACK - 64,
					   GUEST_STACK0 - 64, GUEST_PT,
					   GUEST_GDT };
	struct vigil_condition conditions[VIGIL_MAX_CONDITIONS];
	struct vigil_watch w = watch_gpa(
		starts[rng_below(r, ARRAY_SIZE(starts))] + rng_below(r, 64),
		1 + rng_below(r, rng_once_in(r, 2) ? 16 : 0x2000),
		rng_below(r, 3));

	w.on_death = rng_once_in(r, 4) ? VIGIL_ON_DEATH_PAUSE : rng_below(r, 2);
	if (rng_once_in(r, 2)) {
		w.timeout_ms = 1 + rng_below(r, 10);
		w.on_timeout = rng_below(r, 2);
	}
	if (rng_once_in(r, 2)) {
		w.nr_conditions = 1 + rng_below(r, ARRAY_SIZE(conditions));
		w.conditions = (uintptr_t)conditions;
		rng_conditions(r, &w, conditions, w.nr_conditions);
	}
	if (!ioctl(mon, VIGIL_WATCH_ADD, &w)) {
		if (rng_once_in(r, 3))
			mon_del(mon, w.id);
	} else if (errno != ENOSPC) { /* too many, or too scattered */
		FAIL("VIGIL_WATCH_ADD: errno %d", errno);
	}
}

/* All but KILL, behind which nothing would be left to try. */
static void random_verdict(struct rng *r, int mon, const struct vigil_event *ev)
{
	uint8_t data[VIGIL_EVENT_DATA];
	uint32_t verdict = rng_below(r, VIGIL_VERDICT_KILL);
	int ret;

	if (verdict == VIGIL_VERDICT_REPLACE) {
		for (unsigned int i = 0; i < ev->len; i++)
			data[i] = rng_below(r, 256);
		ret = mon_replace(mon, ev->seq, data, ev->len);
	} else {
		ret = mon_verdict(mon, ev->seq, verdict);
	}
	if (!ret || errno == ENOENT)
		return;
	if (errno != EOPNOTSUPP || ev->verdicts & 1 << verdict)
		FAIL("verdict %u of %#x: errno %d", verdict, ev->verdicts,
		     errno);
}

/* An event that is withdrawn between poll() and read() is not waited for. */
static int random_mon(struct vm *vm)
{
	int mon = mon_open(vm);

	fcntl(mon, F_SETFL, O_NONBLOCK);
	return mon;
}

/* Answers until no vCPU runs any more. What is not answered waits for a signal. */
static void *watch(void *arg)
{
	struct job *j = arg;
	struct vigil_vcpu_state state;
	struct vigil_event ev;
	int mon = random_mon(j->v->vm);

	while (!over) {
		if (rng_once_in(&j->rng, 4))
			random_watch(&j->rng, mon);
		if (rng_once_in(&j->rng, 4)) {
			state.vcpu = rng_below(&j->rng, 2);
			state.flags = 0;
			if (ioctl(mon, VIGIL_GET_VCPU, &state))
				FAIL("VIGIL_GET_VCPU: errno %d", errno);
		}
		while (mon_ready(mon, 2)) {
			if (read(mon, &ev, sizeof(ev)) != sizeof(ev))
				break;
			/* The vCPU may have gone on, to serve a signal. */
			if (ev.flags & VIGIL_EVENT_HELD &&
			    !rng_once_in(&j->rng, 8))
				random_verdict(&j->rng, mon, &ev);
			if (over)
				break;
		}
		/* Many watches leave a guest nothing to do. */
		if (rng_once_in(&j->rng, 8)) {
			close(mon);
			mon = random_mon(j->v->vm);
			if (ioctl(mon, VIGIL_RESUME, 0))
				FAIL("VIGIL_RESUME: errno %d", errno);
		}
	}
	close(mon);
	return NULL;
}

static void check_vm(struct vm *vm, unsigned long round)
{
	struct vigil_vm_info info;
	int mon = mon_open(vm);

	if (ioctl(mon, VIGIL_GET_INFO, &info))
		ERROR("VIGIL_GET_INFO: errno %d", errno);
	if (info.flags & VIGIL_VM_DEAD)
		FAIL_MEM("round %lu: the VM was ended", round);
	if (ioctl(vm->fd, VIGIL_AUDIT, 0) && errno == EUCLEAN)
		FAIL_MEM("round %lu: shadow tables are wrong", round);
	close(mon);
}

static void one_guest(enum mode mode, unsigned long round)
{
	static const char nop[] = "\x90\x90\x90\x90";
	struct job job[VCPUS + MONITORS];
	pthread_t thread[ARRAY_SIZE(job)];
	struct rng rng;
	uint8_t *code;
	unsigned int i;

	rng_seed(&rng, seed, stream(mode, round, 0));
	vcpus[0] = guest_start(mode, nop, nop + 4);
	vcpus[1] = vcpu_create(vcpus[0]->vm);
	vcpu_set_mode(vcpus[1], mode);
	code = vm_ram(vcpus[0]->vm, GUEST_CODE, CODE_SIZE);
	rng_code(&rng, code, CODE_SIZE);
	for (i = 0; i < CODE_SIZE; i += 0x40)
		if (rng_once_in(&rng, 3))
			rng_fill(&rng, code + i, 0x40);
	code_defuse(code, CODE_SIZE);
	random_entries(&rng, vcpus[0]->vm);
	over = false;
	for (i = 0; i < ARRAY_SIZE(job); i++) {
		job[i].round = round;
		job[i].v = vcpus[i % VCPUS];
		rng_seed(&job[i].rng, seed, stream(mode, round, 1 + i));
		if (pthread_create(&thread[i], NULL,
				   i < VCPUS ? run_vcpu : watch, &job[i]))
			ERROR("no thread");
	}
	for (i = 0; i < ARRAY_SIZE(job); i++) {
		over = i >= VCPUS;
		pthread_join(thread[i], NULL);
	}
	check_vm(vcpus[0]->vm, round);
	vm_destroy(vcpus[0]->vm);
}

static void guests(long mode)
{
	unsigned long i, n = test_rounds(ROUNDS);

	seed = rng_wanted_seed();
	/* The handler; each vCPU's thread has a timer of its own. */
	ticks(0);
	for (i = 0; i < n && !test_failures(); i++)
		one_guest(mode, i);
	if (test_failures())
		test_note("VIGIL_SEED=%llu, round %lu",
			  (unsigned long long)seed, i - 1);
}

static const struct test_case cases[] = { CASE_ALL("random guests", guests),
					  {} };

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
