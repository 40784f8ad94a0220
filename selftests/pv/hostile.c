// SPDX-License-Identifier: GPL-2.0
/*
 * Random hypercalls of a guest that means harm: each that the module answers, and others,
 * with wild, page-crossing, unmapped, read-only and MMIO arguments, from each kind of code
 * and level, with trap tables in force too. A second vCPU changes page tables and
 * arguments meanwhile. A call has to end in a result that Xen could have given, in a fault
 * of the guest, or in the end of its VM for a reason; and the VM works afterwards.
 *
 * VIGIL_SEED=n in the environment chooses other calls, VIGIL_CALLS=n how many in all. The
 * calls are made in rounds, each with a VM and a seed of its own: VIGIL_ROUND=n begins at
 * that round of each case, VIGIL_ROUNDS=n makes so many.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "hostile.h"

/* Of all cases; 1 in 100 without VIGIL_FULL, and on Bochs. */
#define CALLS 1000000
#define ROUND_BATCHES 12
#define TICK_US 4000
#define MAX_SIGNALS 2 /* a call that takes longer is given up */
#define MAX_EXITS 200 /* of calls that go to the VMM, in a batch */
#define MAX_STARTS 100 /* of the second vCPU, in a round */

static struct {
	unsigned long made, worked, eperm, efault, other, faults, lost, exits,
		given_up, ended, rounds;
} count;

/* ---- the second vCPU ---- */

/* Stores the words of a list of addresses and words, again and again. */
static const uint8_t changer[] = {
	0xbe, 0x00, 0x10, 0x04, 0x00, /* 1: mov $LIST, %esi */
	0xf3, 0x90, /* 2: pause: QEMU has one thread for all CPUs */
	0xad, /* lodsl */
	0x85, 0xc0, /* test %eax, %eax */
	0x74, 0xf4, /* jz 1b */
	0x97, /* xchg %eax, %edi */
	0xad, /* lodsl */
	0x89, 0x07, /* mov %eax, (%edi) */
	0xeb, 0xf3, /* jmp 2b */
};

static atomic_bool over;

static void on_kick(int sig)
{
}

/* False: the VM has ended. */
static bool restart(struct vcpu *v)
{
	struct kvm_regs r = {
		.rip = CHANGER,
		.rsp = GUEST_STACK_AP,
		.rflags = RFLAGS_1,
	};

	return !ioctl(v->fd, KVM_SET_REGS, &r);
}

/* What the calls have stored may lead it anywhere. */
static void *change(void *arg)
{
	struct vcpu *v = arg;
	unsigned int starts;

	for (starts = 0; !atomic_load(&over) && starts < MAX_STARTS; starts++) {
		if (!restart(v))
			break;
		while (ioctl(v->fd, KVM_RUN, 0) < 0 && !atomic_load(&over))
			if (errno != EINTR && errno != EAGAIN)
				return NULL;
	}
	return NULL;
}

static enum mode changer_mode(enum mode mode)
{
	if (!mode_paged(mode))
		return M_PROT32;
	return mode == M_COMPAT ? M_LONG : mode;
}

static void start_changer(struct world *w)
{
	struct vm *vm = w->v->vm;
	sigset_t ticks_only, old;

	memcpy(vm_ram(vm, CHANGER, sizeof(changer)), changer, sizeof(changer));
	list_changes(w);
	atomic_store(&over, false);
	sigemptyset(&ticks_only);
	sigaddset(&ticks_only, SIGALRM);
	/* These are for the thread that makes the calls. */
	pthread_sigmask(SIG_BLOCK, &ticks_only, &old);
	if (pthread_create(&w->thread, NULL, change, w->other))
		ERROR("no thread");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stop_changer(struct world *w)
{
	atomic_store(&over, true);
	w->other->run->immediate_exit = 1;
	pthread_kill(w->thread, SIGUSR1);
	pthread_join(w->thread, NULL);
}

/* ---- the guest's world ---- */

/*
 * QEMU makes task switches itself, past the shadow page tables. So no guest of 32-bit
 * protected mode may have a gate there, into which a hypercall could make a task gate.
 */
static bool without_idt(enum mode mode)
{
	return test_on_tcg() && !mode_long(mode) && mode != M_REAL &&
	       mode != M_BIGREAL;
}

/* State and memory in which the next call is made: as new. */
static void make_world(struct world *w)
{
	struct vcpu *v = w->v;
	struct kvm_sregs s;
	unsigned int cpl;

	v->vm->pt_next = GUEST_PT;
	vcpu_set_mode(v, w->mode);
	if (w->tables)
		load_handlers(v);
	make_pages(w);
	vcpu_ring_sregs(v, &s);
	if (without_idt(w->mode))
		s.idt.limit = 0;
	for (cpl = 0; cpl < ARRAY_SIZE(w->sregs); cpl++) {
		w->sregs[cpl] = s;
		if (w->mode != M_REAL && w->mode != M_BIGREAL &&
		    w->mode != M_VM86)
			set_cpl(&w->sregs[cpl], cpl);
	}
	w->stale = true;
}

static void begin_world(struct world *w, enum mode mode, bool tables,
			unsigned long round)
{
	struct vcpu *v;
	struct kvm_sregs s, s2;

	w->mode = mode;
	w->tables = tables;
	w->cpl = tables;
	rng_seed(&w->rng, rng_wanted_seed(),
		 (round * 2 + tables) * NR_MODES + mode);
	random_policy(w);
	if (tables) {
		v = begin_with(mode, &w->policy);
		present(v);
		vcpu_settle(v);
	} else {
		v = pv_start(mode, &w->policy);
	}
	w->v = v;
	v->stop_on_signal = true;
	vm_slot(v->vm, 1, READ_ONLY, 0x1000, ram_alloc(0x1000),
		KVM_MEM_READONLY);
	w->other = vcpu_create(v->vm);
	vcpu_set_mode(w->other, changer_mode(mode));
	make_world(w);
	/* Both vCPUs have the same page tables. */
	get_sregs(v, &s);
	get_sregs(w->other, &s2);
	s2.cr3 = s.cr3;
	set_sregs(w->other, &s2);
	start_changer(w);
}

/* ---- one batch of calls ---- */

static bool result_known(int64_t result)
{
	switch (-result) {
	case 0:
		count.worked++;
		return true;
	case XEN_EPERM:
		count.eperm++;
		return true;
	case XEN_EFAULT:
		count.efault++;
		return true;
	case XEN_ENOMEM:
	case XEN_EINVAL:
	case XEN_ENOSYS:
	case XEN_EOPNOTSUPP:
	case -VMM_RESULT:
		count.other++;
		return true;
	}
	return false;
}

static bool has_result(struct world *w, unsigned int n)
{
	return rd64(w->v->vm, RESULTS(w) + n * 8) != NO_RESULT ||
	       rd64(w->v->vm, RESULTS_NOT(w) + n * 8) != NO_RESULT;
}

static void check_result(struct world *w, unsigned int n)
{
	uint64_t got = rd64(w->v->vm, RESULTS(w) + n * 8);
	uint64_t not = ~rd64(w->v->vm, RESULTS_NOT(w) + n * 8);
	uint64_t nr = w->call[n].nr;
	int64_t result = got;

	if (!is_wide(w->v)) {
		result = (int32_t)got;
		got = (uint32_t)got;
		not = (uint32_t) not ;
		nr = (uint32_t)nr;
	}
	if (got != not )
		/* One of the calls has stored something there. */
		count.lost++;
	else if (!w->call[n].checked)
		count.other++;
	else if (got == nr && w->tables && rd32(w->v->vm, T_SKIP))
		/* A handler has led from the fault to here. */
		count.faults++;
	else if (!result_known(result))
		FAIL("hypercall %llu has the result %lld",
		     (unsigned long long)w->call[n].nr, (long long)result);
}

/* KVM_RUN has failed: the VM has to have a reason. False: it has none. */
static bool ended(struct world *w)
{
	const struct kvm_run *run = w->v->run;

	w->dead = true;
	count.ended++;
	return errno == EIO && run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV &&
	       run->internal.ndata == 9 && !strncmp(end_words(w->v), "pv: ", 4);
}

/* What a call does that goes to the VMM, or has lead the guest elsewhere. */
static bool goes_on(struct world *w, unsigned int *exits)
{
	struct kvm_run *run = w->v->run;

	if (run->exit_reason == KVM_EXIT_XEN && ++*exits < MAX_EXITS) {
		CHECK_EQ(run->xen.u.hcall.result, (uint64_t)-XEN_ENOSYS);
		run->xen.u.hcall.result = VMM_RESULT;
		count.exits++;
		return true;
	}
	count.given_up++;
	if (run->exit_reason != KVM_EXIT_XEN &&
	    run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
		FAIL("exit reason %u", run->exit_reason);
	return false;
}

/* The first call at or behind @from without a result. */
static unsigned int without_result(struct world *w, unsigned int from)
{
	while (from < BATCH && has_result(w, from))
		from++;
	return from;
}

/* Runs the guest, which stands before call @from. True: it is through. */
static bool run_calls(struct world *w, unsigned int from)
{
	unsigned int signals = 0, exits = 0, last = from, now;

	for (;;) {
		enum stop stop = vcpu_go(w->v);

		switch (stop) {
		case STOP_END:
			return true;
		case STOP_EXC:
		case STOP_SYNC: /* the handler of #PF */
		case STOP_SHUTDOWN:
			count.faults++;
			/* One may be the fault of the call. */
			w->broken = stop == STOP_SHUTDOWN && w->shut;
			w->shut = stop == STOP_SHUTDOWN;
			return false;
		case STOP_SIGNAL:
			now = without_result(w, last);
			signals = now == last ? signals + 1 : 0;
			last = now;
			if (signals < MAX_SIGNALS)
				break;
			count.given_up++;
			return false;
		case STOP_OTHER:
			if (goes_on(w, &exits))
				break;
			return false;
		case STOP_ERRNO:
			if (!ended(w))
				FAIL("KVM_RUN: errno %d, reason %u: %s", errno,
				     w->v->run->exit_reason, end_words(w->v));
			return false;
		case STOP_TIMEOUT:
			test_abort();
		default: /* HLT, I/O or MMIO: the guest is somewhere else */
			count.given_up++;
			return false;
		}
	}
}

/* Drops what the last run has left over. */
static void drop_last(struct world *w)
{
	w->v->run->immediate_exit = 1;
	if (!ioctl(w->v->fd, KVM_RUN, 0))
		w->broken = true;
	else if (errno != EINTR && !ended(w))
		FAIL("KVM_RUN with immediate_exit: errno %d", errno);
	w->v->run->immediate_exit = 0;
}

/* The state before call @n. */
static void enter(struct world *w, unsigned int n)
{
	unsigned int cpl = w->cpl;
	struct kvm_regs r;

	if (w->broken) {
		make_world(w);
		w->broken = false;
	}
	if (rng_once_in(&w->rng, 2))
		cpl = random_cpl(w);
	if (cpl != w->cpl || w->stale) {
		set_sregs(w->v, &w->sregs[cpl]);
		w->cpl = cpl;
		w->stale = false;
	}
	random_regs(w, n, &r);
	set_regs(w->v, &r);
}

/* All calls of a batch; behind one that ends in a fault it goes on with the next. */
static void one_batch(struct world *w)
{
	unsigned int n, from = 0, end;
	bool through = false;

	make_batch(w);
	while (from < BATCH && !through && !w->dead && !test_failures()) {
		if (w->stale)
			drop_last(w);
		if (w->dead)
			break;
		enter(w, from);
		through = run_calls(w, from);
		end = through ? BATCH : without_result(w, from);
		for (n = from; n < end; n++)
			check_result(w, n);
		w->shut &= end == from;
		count.made += end - from + !through;
		w->stale |= !through;
		from = end + 1;
	}
	if (w->stale && !w->dead)
		drop_last(w);
	if (w->tables && !w->dead)
		check_saved(w->v);
}

/* What has become of the VM does not keep it from working once it is set up anew. */
static void works(struct world *w)
{
	int64_t result;

	if (w->stale)
		drop_last(w);
	if (w->dead)
		return;
	if (w->mode == M_VM86) /* where it may not make calls */
		w->mode = M_PROT32;
	make_world(w);
	w->v->stop_on_signal = false;
	put_code(w->v, test_on_svm() ? vmmcall : vmcall, 3);
	result = call(w->v, NR_MULTICALL, 0, 0);
	if (result)
		FAIL("a multicall of no entries has the result %lld",
		     (long long)result);
	if (w->tables)
		check_saved(w->v);
}

static void one_round(enum mode mode, bool tables, unsigned long round)
{
	struct world w = { 0 };
	unsigned int n;

	begin_world(&w, mode, tables, round);
	ticks(TICK_US);
	for (n = 0; n < ROUND_BATCHES && !w.dead && !test_failures(); n++)
		one_batch(&w);
	ticks(0);
	stop_changer(&w);
	if (!w.dead && !test_failures())
		works(&w);
	if (test_failures())
		test_note("VIGIL_SEED=%llu VIGIL_ROUND=%lu, batch %u",
			  (unsigned long long)rng_wanted_seed(), round, n);
	vm_destroy(w.v->vm);
	count.rounds++;
}

static unsigned int nr_cases(void);

static void rounds(enum mode mode, bool tables)
{
	bool all = getenv("VIGIL_FULL") && !test_on_bochs();
	unsigned long calls = test_env_number(
		"VIGIL_CALLS", test_rounds(all ? CALLS : CALLS / 100));
	unsigned long round = test_env_number("VIGIL_ROUND", 0);
	unsigned long last = round + test_env_number("VIGIL_ROUNDS", ~0u);

	calls = (calls + nr_cases() - 1) / nr_cases();
	signal(SIGUSR1, on_kick);
	for (; count.made < calls && round < last && !test_failures(); round++)
		one_round(mode, tables, round);
	test_note(
		"%lu calls in %lu rounds: %lu worked, %lu EPERM, %lu EFAULT, %lu other; %lu faults, %lu given up, %lu overwritten; %lu exits to the VMM; %lu VMs ended",
		count.made, count.rounds, count.worked, count.eperm,
		count.efault, count.other, count.faults, count.given_up,
		count.lost, count.exits, count.ended);
	/* Random calls that all fail would show little. */
	if (count.made >= 1000 && !test_failures())
		CHECK(count.worked && count.efault && count.other);
}

static void own_tables(long mode)
{
	rounds(mode, false);
}

static void trap_tables(long mode)
{
	rounds(mode, true);
}

static const struct test_case cases[] = {
#define CASE(n, f, m)         \
	{                     \
		n, f, m, 2400 \
	}
	CASE("hypercalls (real)", own_tables, M_REAL),
	CASE("hypercalls (big real)", own_tables, M_BIGREAL),
	CASE("hypercalls (vm86)", own_tables, M_VM86),
	CASE("hypercalls (prot16)", own_tables, M_PROT16),
	CASE("hypercalls (prot32)", own_tables, M_PROT32),
	CASE("hypercalls (32-bit paging)", own_tables, M_PG32),
	CASE("hypercalls (pse)", own_tables, M_PSE),
	CASE("hypercalls (pae)", own_tables, M_PAE),
	CASE("hypercalls (long)", own_tables, M_LONG),
	CASE("hypercalls (la57)", own_tables, M_LA57),
	CASE("hypercalls (compat)", own_tables, M_COMPAT),
	CASE("with trap tables (32-bit paging)", trap_tables, M_PG32),
	CASE("with trap tables (pae)", trap_tables, M_PAE),
	CASE("with trap tables (long)", trap_tables, M_LONG),
	{}
};

static unsigned int nr_cases(void)
{
	return ARRAY_SIZE(cases) - 1;
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
