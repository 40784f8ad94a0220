// SPDX-License-Identifier: GPL-2.0
/*
 * Several monitors on one VM: each sees its own ranges, the strictest verdict counts, and none
 * suffers from another one that ends, is slow or does not read.
 */
#include <signal.h>
#include <sys/wait.h>

#include "runner.h"

DECLARE_PAYLOAD(exact_inc);
DECLARE_PAYLOAD(exact_mov);

#define OTHER 0x3333333333333333ull
#define ALL VIGIL_MAX_MONITORS

#define END 0xe6, PORT_END /* out */

static const char mov_cr4[] = { 0x0f, 0x22, 0xe0, END };

static void open_all(struct vm *vm, int *mon, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		mon[i] = mon_open(vm);
}

static void close_all(const int *mon, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		close(mon[i]);
}

/* An event of a store that happens, or with VIGIL_EVENT_DENIED does not. */
static struct vigil_event told(int mon, uint64_t new_, uint32_t flags)
{
	struct vigil_event ev = mon_event(mon);

	CHECK_EQ(bytes64(ev.new_), new_);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED), flags);
	return ev;
}

/* ---- places ---- */

static void places(long arg)
{
	struct vigil_vm_info info;
	struct vigil_attach a = { 0 };
	struct vcpu *v = start(1);
	int mon[ALL], reader;

	open_all(v->vm, mon, ALL);
	REQUIRE_EQ(ioctl(mon[ALL - 1], VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_monitors, ALL);
	a.vm_id = info.id;
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 0), EBUSY);
	CHECK_ERRNO(ioctl(v->vm->dev, VIGIL_ATTACH, &a), EBUSY);
	/* One that looks does not take a place. */
	reader = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	CHECK(reader >= 0);
	close(mon[3]);
	mon[3] = ioctl(v->vm->dev, VIGIL_ATTACH, &a);
	CHECK(mon[3] >= 0);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 0), EBUSY);
	close(reader);
	close_all(mon, ALL);
	vm_destroy(v->vm);
}

/* Who has the places loses them to root, with a vCPU that it holds. */
static void evicted(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vigil_vm_info info;
	struct vcpu *v = start(1);
	int mon[ALL], last;
	struct runner r;

	open_all(v->vm, mon, ALL);
	mon_add(mon[1], w);
	w.on_death = VIGIL_ON_DEATH_DENY;
	mon_add(mon[5], w);
	runner_ask(&r, v, mon[1]);
	mon_event(mon[5]);
	last = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_EVICT);
	REQUIRE_EQ(last >= 0, true);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	for (unsigned int i = 0; i < ALL; i++)
		CHECK_ERRNO(ioctl(mon[i], VIGIL_GET_INFO, &info), EPIPE);
	REQUIRE_EQ(ioctl(last, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_monitors, 1);
	close_all(mon, ALL);
	REQUIRE_EQ(ioctl(last, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.nr_monitors, 1);
	close(last);
	vm_destroy(v->vm);
}

/* ---- ranges ---- */

static void store_at(struct vcpu *v, uint64_t gpa)
{
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = GUEST_CODE;
	r.rdi = gpa;
	r.rax = NEW;
	r.rcx = 1;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
}

/* Each has a word of its own on the page, and one that all have. */
static void own_ranges(long arg)
{
	struct vigil_condition c = { .action = VIGIL_ACTION_PASS };
	struct vigil_watch pass = watch_gpa(PAGE + 0x900, 8, 0), w[4];
	const uint64_t common = PAGE + 0x800;
	struct vcpu *v = start(1);
	struct vigil_watch_list l;
	struct vigil_event ev;
	unsigned int i;
	uint32_t id;
	int mon[ALL];

	open_all(v->vm, mon, ALL);
	for (i = 0; i < ALL; i++) {
		mon_watch(mon[i], TARGET + 8 * i, 8, VIGIL_ACTION_LOG);
		mon_watch(mon[i], common, 1 + i, VIGIL_ACTION_LOG);
	}
	for (i = 0; i < ALL; i++)
		store_at(v, TARGET + 8 * i);
	store_at(v, common);
	for (i = 0; i < ALL; i++) {
		l = (struct vigil_watch_list){
			.count = 4,
			.entry_size = sizeof(w[0]),
			.entries = (uintptr_t)w,
		};
		REQUIRE_EQ(ioctl(mon[i], VIGIL_WATCH_LIST, &l), 0);
		REQUIRE_EQ(l.count, 2);
		ev = told(mon[i], NEW, 0);
		CHECK_EQ(ev.seq, 1);
		CHECK_EQ(ev.gpa, TARGET + 8 * i);
		CHECK_EQ(ev.watch_id, w[0].id);
		ev = told(mon[i], NEW, 0);
		CHECK_EQ(ev.seq, 2);
		CHECK_EQ(ev.gpa, common);
		CHECK_EQ(ev.watch_id, w[1].id);
		CHECK_NO_EVENT(mon[i]);
	}
	/* One goes, and takes its own ranges along. */
	close(mon[2]);
	id = w[0].id + 2;
	CHECK_ERRNO(ioctl(mon[0], VIGIL_WATCH_DEL, &id), ENOENT);
	store_at(v, TARGET + 16);
	store_at(v, common);
	for (i = 0; i < ALL; i++) {
		if (i == 2)
			continue;
		CHECK_EQ(told(mon[i], NEW, 0).gpa, common);
		CHECK_NO_EVENT(mon[i]);
	}
	/* What a condition lets through is counted for its own monitor. */
	mon_watch(mon[4], PAGE + 0x900, 8, VIGIL_ACTION_LOG);
	pass.conditions = (uintptr_t)&c;
	pass.nr_conditions = 1;
	mon_add(mon[3], pass);
	store_at(v, PAGE + 0x900);
	CHECK_NO_EVENT(mon[3]);
	told(mon[4], NEW, 0);
	CHECK_EQ(mon_stat(mon[0], "watch_conditioned"), 1);
	l = (struct vigil_watch_list){
		.count = 4,
		.entry_size = sizeof(w[0]),
		.entries = (uintptr_t)w,
	};
	REQUIRE_EQ(ioctl(mon[3], VIGIL_WATCH_LIST, &l), 0);
	CHECK_EQ(w[2].passed, 1);
	mon[2] = mon_open(v->vm);
	close_all(mon, ALL);
	vm_destroy(v->vm);
}

/* ---- verdicts ---- */

/* The later, the stricter. */
static const uint32_t order[] = {
	VIGIL_VERDICT_ALLOW, VIGIL_VERDICT_REPLACE, VIGIL_VERDICT_DENY,
	VIGIL_VERDICT_PF,    VIGIL_VERDICT_GP,	    VIGIL_VERDICT_KILL,
};

static uint32_t strictest(uint32_t a, uint32_t b)
{
	for (unsigned int i = ARRAY_SIZE(order); i--;)
		if (order[i] == a || order[i] == b)
			return order[i];
	return a;
}

static int answer(int mon, uint64_t seq, uint32_t verdict, uint64_t data)
{
	return verdict == VIGIL_VERDICT_REPLACE ?
		       mon_replace(mon, seq, &data, 8) :
		       mon_verdict(mon, seq, verdict);
}

/* The guest ends as @verdict says. */
static void ends_by(struct runner *r, uint32_t verdict, uint64_t data)
{
	struct vcpu *v = r->v;

	switch (verdict) {
	case VIGIL_VERDICT_GP:
	case VIGIL_VERDICT_PF:
		runner_join(r, STOP_EXC);
		CHECK_EQ(v->exc.vector, verdict == VIGIL_VERDICT_GP ? GP : PF);
		break;
	case VIGIL_VERDICT_KILL:
		runner_join(r, STOP_ERRNO);
		CHECK_EQ(v->run->internal.suberror,
			 VIGIL_INTERNAL_ERROR_KILLED);
		break;
	default:
		runner_join(r, STOP_END);
	}
	CHECK_EQ(rd64(v->vm, TARGET), verdict == VIGIL_VERDICT_ALLOW   ? NEW :
				      verdict == VIGIL_VERDICT_REPLACE ? data :
									 OLD);
}

/*
 * Two monitors are asked about one store. @first: which answers first. A third one logs, and
 * learns once what becomes of it.
 */
static void pair(uint32_t a, uint32_t b, unsigned int first)
{
	const uint32_t verdict[] = { a, b }, want = strictest(a, b);
	unsigned int i, who, winner = a == want ? 0 : 1;
	struct vcpu *v = start(1);
	struct vigil_event ev[2];
	struct runner r;
	int mon[3];

	DEBUGF("verdicts %u and %u", a, b);
	open_all(v->vm, mon, 3);
	mon_watch(mon[2], TARGET + 4, 1, VIGIL_ACTION_LOG);
	mon_watch(mon[1], TARGET, 1, VIGIL_ACTION_ASK);
	mon_watch(mon[0], TARGET + 7, 1, VIGIL_ACTION_ASK);
	ev[0] = runner_ask(&r, v, mon[0]);
	ev[1] = told(mon[1], NEW, VIGIL_EVENT_HELD);
	for (i = 0; i < 2; i++) {
		who = i ^ first;
		if (i && verdict[!who] == VIGIL_VERDICT_KILL)
			break; /* it ends at once */
		CHECK_NO_EVENT(mon[2]);
		CHECK_EQ(rd64(v->vm, TARGET), OLD);
		CHECK_EQ(answer(mon[who], ev[who].seq, verdict[who],
				OTHER + who),
			 0);
	}
	if (want == VIGIL_VERDICT_REPLACE) {
		/* The other one decides about these bytes. */
		ev[0] = told(mon[!winner], OTHER + winner, VIGIL_EVENT_HELD);
		CHECK(!(ev[0].verdicts & 1 << VIGIL_VERDICT_REPLACE));
		CHECK_ERRNO(answer(mon[!winner], ev[0].seq,
				   VIGIL_VERDICT_REPLACE, OTHER),
			    EOPNOTSUPP);
		CHECK_NO_EVENT(mon[2]);
		CHECK_EQ(mon_verdict(mon[!winner], ev[0].seq,
				     VIGIL_VERDICT_ALLOW),
			 0);
	}
	ends_by(&r, want, OTHER + winner);
	if (want != VIGIL_VERDICT_KILL) {
		told(mon[2],
		     want == VIGIL_VERDICT_REPLACE ? OTHER + winner : NEW,
		     want == VIGIL_VERDICT_ALLOW ||
				     want == VIGIL_VERDICT_REPLACE ?
			     0 :
			     VIGIL_EVENT_DENIED);
		CHECK_EQ(mon_stat(mon[0], "watch_denied"),
			 want != VIGIL_VERDICT_ALLOW &&
				 want != VIGIL_VERDICT_REPLACE);
	}
	for (i = 0; i < 3; i++)
		CHECK_NO_EVENT(mon[i]);
	close_all(mon, 3);
	vm_destroy(v->vm);
}

static void pairs(long verdict)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		for (unsigned int first = 0; first < 2; first++)
			pair(verdict, order[i], first);
}

/* One monitor's watch denies by itself: only a fault and the end are stricter. */
static void denied_beside(long arg)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		const uint32_t want = strictest(order[i], VIGIL_VERDICT_DENY);
		struct vcpu *v = start(1);
		struct vigil_event ev;
		struct runner r;
		int mon[3];

		DEBUGF("verdict %u", order[i]);
		open_all(v->vm, mon, 3);
		mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_DENY);
		mon_watch(mon[1], TARGET, 8, VIGIL_ACTION_ASK);
		mon_watch(mon[2], TARGET, 8, VIGIL_ACTION_LOG);
		ev = runner_ask(&r, v, mon[1]);
		CHECK_NO_EVENT(mon[0]);
		CHECK_EQ(answer(mon[1], ev.seq, order[i], OTHER), 0);
		ends_by(&r, want, 0);
		for (unsigned int k = 0; k < 3; k++) {
			uint64_t seen =
				order[i] == VIGIL_VERDICT_REPLACE ? OTHER : NEW;

			if (k != 1 && want != VIGIL_VERDICT_KILL)
				told(mon[k], seen, VIGIL_EVENT_DENIED);
			CHECK_NO_EVENT(mon[k]);
		}
		close_all(mon, 3);
		vm_destroy(v->vm);
	}
}

/* All ask, and each answer is needed. */
static void eight_ask(long deny)
{
	struct vcpu *v = start(1);
	struct vigil_event ev[ALL];
	unsigned int i;
	struct runner r;
	int mon[ALL];

	open_all(v->vm, mon, ALL);
	for (i = 0; i < ALL; i++)
		mon_watch(mon[i], TARGET, 1 + i, VIGIL_ACTION_ASK);
	ev[0] = runner_ask(&r, v, mon[0]);
	for (i = 1; i < ALL; i++)
		ev[i] = told(mon[i], NEW, VIGIL_EVENT_HELD);
	for (i = ALL; i--;) {
		CHECK_EQ(rd64(v->vm, TARGET), OLD);
		CHECK_EQ(mon_verdict(mon[i], ev[i].seq,
				     deny && i == 4 ? VIGIL_VERDICT_DENY :
						      VIGIL_VERDICT_ALLOW),
			 0);
	}
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), deny ? OLD : NEW);
	CHECK_EQ(mon_stat(mon[0], "watch_held"), ALL);
	for (i = 0; i < ALL; i++)
		CHECK_NO_EVENT(mon[i]);
	close_all(mon, ALL);
	vm_destroy(v->vm);
}

/* ---- monitors and watches that come and go meanwhile ---- */

/* Another monitor's watch is added while the store is held. */
static void came(long action)
{
	struct vcpu *v = start(1);
	struct vigil_event ev;
	struct runner r;
	int mon[2];

	mon[0] = mon_open(v->vm);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_ASK);
	ev = runner_ask(&r, v, mon[0]);
	mon[1] = mon_open(v->vm);
	mon_watch(mon[1], TARGET, 8, action);
	CHECK_NO_EVENT(mon[1]);
	CHECK_EQ(mon_verdict(mon[0], ev.seq, VIGIL_VERDICT_ALLOW), 0);
	if (action == VIGIL_ACTION_ASK) {
		ev = told(mon[1], NEW, VIGIL_EVENT_HELD);
		CHECK_EQ(mon_verdict(mon[1], ev.seq, VIGIL_VERDICT_ALLOW), 0);
	}
	runner_join(&r, STOP_END);
	if (action != VIGIL_ACTION_ASK)
		told(mon[1], NEW,
		     action == VIGIL_ACTION_DENY ? VIGIL_EVENT_DENIED : 0);
	CHECK_EQ(rd64(v->vm, TARGET), action == VIGIL_ACTION_DENY ? OLD : NEW);
	CHECK_NO_EVENT(mon[0]);
	CHECK_NO_EVENT(mon[1]);
	close_all(mon, 2);
	vm_destroy(v->vm);
}

#define AFTER 0x100 /* the other one has answered by then */

/* One of two monitors that are asked closes its file: on_death counts for it alone. */
static void closed(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	struct vigil_event ev;
	struct runner r;
	int mon[2];

	open_all(v->vm, mon, 2);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_ASK);
	w.on_death = arg & 0xff;
	mon_add(mon[1], w);
	ev = runner_ask(&r, v, mon[0]);
	told(mon[1], NEW, VIGIL_EVENT_HELD);
	if (arg & AFTER)
		CHECK_EQ(mon_verdict(mon[0], ev.seq, VIGIL_VERDICT_ALLOW), 0);
	close(mon[1]);
	CHECK_EQ(ioctl(mon[0], VIGIL_RESUME, 0), 0);
	if (!(arg & AFTER)) {
		CHECK_EQ(rd64(v->vm, TARGET), OLD);
		CHECK_EQ(mon_verdict(mon[0], ev.seq, VIGIL_VERDICT_ALLOW), 0);
	}
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET),
		 w.on_death == VIGIL_ON_DEATH_DENY ? OLD : NEW);
	CHECK_NO_EVENT(mon[0]);
	close(mon[0]);
	vm_destroy(v->vm);
}

/*
 * Another process watches, and answers each question only when it has replaced its watch by a
 * new one, which asks again.
 */
static pid_t restless(struct vm *vm)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	int mon = mon_open(vm), to_us[2];
	struct vigil_event ev;
	pid_t pid;
	char c;

	if (pipe(to_us))
		ERROR("no pipe");
	pid = fork();
	if (!pid) {
		uint32_t id = mon_add(mon, w);

		if (write(to_us[1], "w", 1) != 1)
			_exit(1);
		while (read(mon, &ev, sizeof(ev)) == sizeof(ev)) {
			mon_del(mon, id);
			id = mon_add(mon, w);
			if (mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW))
				_exit(2);
		}
		_exit(3);
	}
	close(mon);
	if (pid < 0 || read(to_us[0], &c, 1) != 1)
		ERROR("the monitor did not start");
	close(to_us[0]);
	close(to_us[1]);
	return pid;
}

/* Monitors ask about one store for ever. When they are killed, the guest goes on. */
static void asked_for_ever(long arg)
{
	struct vcpu *v = start(1);
	pid_t pid[2];
	struct runner r;
	unsigned int i;

	for (i = 0; i < 2; i++)
		pid[i] = restless(v->vm);
	runner_start(&r, v);
	while (mon_stat(v->vm->fd, "watch_held") < 50)
		;
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		CHECK_EQ(waitpid(pid[i], NULL, 0), pid[i]);
	}
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW);
	vm_destroy(v->vm);
}

/* The VMM is killed while two monitors are asked: they learn of it, and nothing waits. */
static void vmm_killed(long arg)
{
	struct vigil_attach a = { 0 };
	int to_us[2], to_it[2], mon[2], dev = dev_open();
	struct vigil_vm_info info;
	struct vigil_event ev[2];
	unsigned int i;
	pid_t pid;
	char c;

	if (pipe(to_us) || pipe(to_it))
		ERROR("no pipe");
	pid = fork();
	if (!pid) {
		struct vcpu *v = start(1);

		set_name(v->vm, "watch-monitors-vmm");
		if (write(to_us[1], "v", 1) != 1 || read(to_it[0], &c, 1) != 1)
			_exit(1);
		vcpu_go(v);
		_exit(2);
	}
	close(to_us[1]);
	if (pid < 0 || read(to_us[0], &c, 1) != 1)
		ERROR("the VMM did not start");
	REQUIRE_EQ(find_vm(dev, "watch-monitors-vmm", &info), true);
	a.vm_id = info.id;
	for (i = 0; i < 2; i++) {
		mon[i] = ioctl(dev, VIGIL_ATTACH, &a);
		REQUIRE_EQ(mon[i] >= 0, true);
		mon_watch(mon[i], TARGET, 8, VIGIL_ACTION_ASK);
	}
	CHECK_EQ(write(to_it[1], "g", 1), 1);
	for (i = 0; i < 2; i++)
		ev[i] = told(mon[i], NEW, VIGIL_EVENT_HELD);
	CHECK_EQ(mon_verdict(mon[0], ev[0].seq, VIGIL_VERDICT_ALLOW), 0);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	for (i = 0; i < 2; i++) {
		struct pollfd p = { .fd = mon[i] };

		CHECK_EQ(poll(&p, 1, -1), 1);
		CHECK_EQ(p.revents, POLLHUP);
		CHECK_EQ(read(mon[i], &ev[i], sizeof(ev[i])), 0);
		close(mon[i]);
	}
	CHECK(!find_vm(dev, "watch-monitors-vmm", &info));
	close(dev);
}

/* KVM_RUN returns meanwhile, and other registers withdraw all events. */
static void forgotten(long arg)
{
	struct vcpu *v = start(1);
	struct vigil_event ev[2];
	struct kvm_regs regs;
	struct runner r;
	int mon[2];

	open_all(v->vm, mon, 2);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_ASK);
	mon_watch(mon[1], TARGET, 8, VIGIL_ACTION_ASK);
	ev[0] = hold_outside(v, mon[0]);
	ev[1] = told(mon[1], NEW, VIGIL_EVENT_HELD);
	CHECK_EQ(mon_verdict(mon[0], ev[0].seq, VIGIL_VERDICT_ALLOW), 0);
	get_regs(v, &regs);
	set_regs(v, &regs);
	CHECK_ERRNO(mon_verdict(mon[1], ev[1].seq, VIGIL_VERDICT_ALLOW),
		    ENOENT);
	/* The guest stores again, and both are asked again. */
	ev[0] = runner_ask(&r, v, mon[0]);
	ev[1] = told(mon[1], NEW, VIGIL_EVENT_HELD);
	CHECK_EQ(mon_verdict(mon[0], ev[0].seq, VIGIL_VERDICT_ALLOW), 0);
	/* A monitor can read the registers meanwhile. */
	struct vigil_vcpu_state st = { 0 };

	CHECK_EQ(ioctl(mon[0], VIGIL_GET_VCPU, &st), 0);
	CHECK_EQ(st.regs.rip, ev[1].rip);
	runner_answer(&r, mon[1], ev[1].seq, VIGIL_VERDICT_DENY, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	close_all(mon, 2);
	vm_destroy(v->vm);
}

/* ---- times ---- */

/* Each has its own time: one is up, and the other monitor decides. */
static void timeout(long on_timeout)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	struct vigil_event ev[2];
	struct runner r;
	int mon[2];

	open_all(v->vm, mon, 2);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_ASK);
	w.timeout_ms = 30;
	w.on_timeout = on_timeout;
	mon_add(mon[1], w);
	ev[0] = runner_ask(&r, v, mon[0]);
	ev[1] = told(mon[1], NEW, VIGIL_EVENT_HELD);
	while (!mon_stat(mon[0], "watch_timeouts"))
		;
	CHECK_ERRNO(mon_verdict(mon[1], ev[1].seq, VIGIL_VERDICT_DENY), ENOENT);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	runner_answer(&r, mon[0], ev[0].seq, VIGIL_VERDICT_ALLOW, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET),
		 on_timeout == VIGIL_ON_DEATH_ALLOW ? NEW : OLD);
	CHECK_EQ(mon_stat(mon[0], "watch_timeouts"), 1);
	close_all(mon, 2);
	vm_destroy(v->vm);
}

/* All times are up. */
static void timeouts(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	int mon[ALL];

	open_all(v->vm, mon, ALL);
	for (unsigned int i = 0; i < ALL; i++) {
		w.timeout_ms = 40 - 5 * i;
		w.on_timeout = i == 3 ? VIGIL_ON_DEATH_DENY :
					VIGIL_ON_DEATH_ALLOW;
		mon_add(mon[i], w);
	}
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_EQ(mon_stat(mon[0], "watch_timeouts"), ALL);
	/* Nobody has read the events: they are withdrawn. */
	for (unsigned int i = 0; i < ALL; i++)
		CHECK_NO_EVENT(mon[i]);
	close_all(mon, ALL);
	vm_destroy(v->vm);
}

/* ---- queues ---- */

static void set_queue(int mon, uint32_t flags)
{
	const struct vigil_queue q = { .events = 1, .flags = flags };

	REQUIRE_EQ(ioctl(mon, VIGIL_SET_QUEUE, &q), 0);
}

/* One does not read: the other loses nothing by that. */
static void full_queue(long arg)
{
	const unsigned int n = 100;
	struct vcpu *v = start(n);
	struct vigil_event ev;
	int mon[2];

	open_all(v->vm, mon, 2);
	set_queue(mon[0], 0);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_LOG);
	mon_watch(mon[1], TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	for (unsigned int i = 0; i < n; i++) {
		ev = told(mon[1], NEW + i, 0);
		REQUIRE_EQ(ev.seq, i + 1);
		CHECK_EQ(ev.dropped, 0);
	}
	told(mon[0], NEW, 0);
	CHECK_NO_EVENT(mon[0]);
	CHECK_NO_EVENT(mon[1]);
	CHECK_EQ(mon_stat(mon[0], "events_dropped"), n - 1);
	close_all(mon, 2);
	vm_destroy(v->vm);
}

/*
 * One wants to lose nothing, so the vCPU waits for it: the other has each event once all the
 * same, with what becomes of the store.
 */
static void waits(long deny)
{
	const unsigned int n = 50;
	uint32_t flags = deny ? VIGIL_EVENT_DENIED : 0;
	struct vcpu *v = start(n);
	struct vigil_event ev;
	struct runner r;
	int mon[3];

	open_all(v->vm, mon, 3);
	set_queue(mon[0], VIGIL_QUEUE_WAIT);
	set_queue(mon[1], VIGIL_QUEUE_WAIT);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_LOG);
	mon_watch(mon[1], TARGET, 4, VIGIL_ACTION_LOG);
	mon_watch(mon[2], TARGET, 8,
		  deny ? VIGIL_ACTION_DENY : VIGIL_ACTION_LOG);
	runner_start(&r, v);
	for (unsigned int i = 0; i < n; i++) {
		told(mon[0], NEW + i, flags);
		told(mon[1], NEW + i, flags);
		ev = told(mon[2], NEW + i, flags);
		REQUIRE_EQ(ev.seq, i + 1);
		if (!deny)
			CHECK_EQ(bytes64(ev.old), i ? NEW + i - 1 : OLD);
	}
	runner_join(&r, STOP_END);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_NO_EVENT(mon[i]);
	CHECK_EQ(rd64(v->vm, TARGET), deny ? OLD : NEW + n - 1);
	CHECK_EQ(mon_stat(mon[0], "events_dropped"), 0);
	close_all(mon, 3);
	vm_destroy(v->vm);
}

/*
 * While the vCPU waits for room at one monitor, a third one's watch comes that denies: whoever
 * was told that the store happens is told that it does not.
 */
static void waits_then_denied(long arg)
{
	struct vcpu *v = start(2);
	struct vigil_event ev;
	struct runner r;
	int mon[3];

	open_all(v->vm, mon, 3);
	set_queue(mon[0], VIGIL_QUEUE_WAIT);
	mon_watch(mon[0], TARGET, 8, VIGIL_ACTION_LOG);
	mon_watch(mon[1], TARGET, 8, VIGIL_ACTION_LOG);
	runner_start(&r, v);
	told(mon[1], NEW, 0);
	ev = told(mon[1], NEW + 1, 0);
	mon_watch(mon[2], TARGET, 8, VIGIL_ACTION_DENY);
	told(mon[0], NEW, 0);
	told(mon[0], NEW + 1, 0);
	told(mon[2], NEW + 1, VIGIL_EVENT_DENIED);
	CHECK_EQ(told(mon[1], NEW + 1, VIGIL_EVENT_DENIED).rip, ev.rip);
	told(mon[0], NEW + 1, VIGIL_EVENT_DENIED);
	runner_join(&r, STOP_END);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_NO_EVENT(mon[i]);
	CHECK_EQ(rd64(v->vm, TARGET), NEW);
	close_all(mon, 3);
	vm_destroy(v->vm);
}

/* ---- other writes ---- */

/* A control: two are asked, one logs. */
static void control(long verdict)
{
	struct vcpu *v =
		guest_start(M_LONG, mov_cr4, mov_cr4 + sizeof(mov_cr4));
	struct vigil_watch w = {
		.start = VIGIL_CONTROL_CR4,
		.len = 1,
		.kind = VIGIL_WATCH_CONTROL,
		.action = VIGIL_ACTION_ASK,
	};
	struct kvm_sregs before, after;
	struct vigil_event ev[2];
	struct kvm_regs regs;
	struct runner r;
	int mon[3];

	open_all(v->vm, mon, 3);
	mon_add(mon[0], w);
	mon_add(mon[1], w);
	w.action = VIGIL_ACTION_LOG;
	mon_add(mon[2], w);
	get_sregs(v, &before);
	get_regs(v, &regs);
	regs.rax = before.cr4 ^ 8;
	set_regs(v, &regs);
	ev[0] = runner_ask(&r, v, mon[0]);
	ev[1] = told(mon[1], regs.rax, VIGIL_EVENT_HELD);
	CHECK_EQ(mon_verdict(mon[0], ev[0].seq, verdict), 0);
	CHECK_NO_EVENT(mon[2]);
	runner_answer(&r, mon[1], ev[1].seq, VIGIL_VERDICT_ALLOW,
		      verdict == VIGIL_VERDICT_GP ? STOP_EXC : STOP_END);
	told(mon[2], regs.rax,
	     verdict == VIGIL_VERDICT_ALLOW ? 0 : VIGIL_EVENT_DENIED);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_NO_EVENT(mon[i]);
	vcpu_settle(v);
	get_sregs(v, &after);
	CHECK_EQ(after.cr4,
		 verdict == VIGIL_VERDICT_ALLOW ? regs.rax : before.cr4);
	close_all(mon, 3);
	vm_destroy(v->vm);
}

/* Accessed and dirty bits cannot be held: it is decided at once, and all are told. */
static void walk(long on_death)
{
	struct vcpu *v = START(M_LONG, exact_mov);
	struct vigil_watch w = { 0 };
	uint32_t flags = on_death == VIGIL_ON_DEATH_ALLOW ? 0 :
							    VIGIL_EVENT_DENIED;
	struct pt pt = tables_of(v);
	uint64_t entry = pt_entry(&pt, TARGET, 1);
	struct vigil_event ev;
	struct kvm_sregs s;
	struct kvm_regs r;
	int mon[2];

	wr64(v->vm, entry, rd64(v->vm, entry) & ~(PTE_A | PTE_D));
	get_sregs(v, &s);
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rdi = TARGET;
	r.rcx = 1;
	r.rax = 0x1234;
	set_regs(v, &r);
	open_all(v->vm, mon, 2);
	mon_watch(mon[0], entry, 8, VIGIL_ACTION_LOG);
	w = watch_gpa(entry, 8, VIGIL_ACTION_ASK);
	w.on_death = on_death;
	mon_add(mon[1], w);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, TARGET), 0x1234);
	for (unsigned int i = 0; i < 2; i++) {
		ev = mon_event(mon[i]);
		CHECK_EQ(ev.gpa, entry);
		CHECK_EQ(ev.flags, flags);
	}
	CHECK_EQ(rd64(v->vm, entry) & PTE_D, flags ? 0 : PTE_D);
	close_all(mon, 2);
	vm_destroy(v->vm);
}

/*
 * Two vCPUs increment one dword, one monitor is asked about each, and another one logs: it
 * sees each increment once, in order, although an exchange that was held starts anew.
 */
static void chain(long arg)
{
	const unsigned int n = 100;
	struct vcpu *v[2] = { START(M_LONG, exact_inc) };
	unsigned int rounds = test_rounds(4), i;
	uint32_t last = 0;
	int mon[2];

	open_all(v[0]->vm, mon, 2);
	v[1] = vcpu_second(v[0]);
	wr64(v[0]->vm, TARGET, 0);
	mon_watch(mon[0], TARGET, 4, VIGIL_ACTION_ASK);
	mon_watch(mon[1], TARGET, 4, VIGIL_ACTION_LOG);
	while (rounds--) {
		struct runner runner[2];
		struct vigil_event ev;
		struct kvm_regs r;

		for (i = 0; i < 2; i++) {
			vcpu_settle(v[i]);
			get_regs(v[i], &r);
			r.rip = GUEST_CODE;
			r.rdi = TARGET;
			r.rcx = n;
			set_regs(v[i], &r);
		}
		for (i = 0; i < 2; i++)
			runner_start(&runner[i], v[i]);
		for (i = 0; i < 2 * n;) {
			struct pollfd p[2] = {
				{ .fd = mon[0], .events = POLLIN },
				{ .fd = mon[1], .events = POLLIN },
			};

			if (poll(p, 2, 50000) < 1) {
				FAIL("no event in 50 seconds");
				test_abort();
			}
			if (p[0].revents & POLLIN) {
				ev = mon_event(mon[0]);
				CHECK_EQ(mon_verdict(mon[0], ev.seq,
						     VIGIL_VERDICT_ALLOW),
					 0);
			}
			if (!(p[1].revents & POLLIN))
				continue;
			ev = mon_event(mon[1]);
			if ((uint32_t)bytes64(ev.old) != last)
				FAIL("event %u: %#x before it, the last store's is %#x",
				     i, (uint32_t)bytes64(ev.old), last);
			last = bytes64(ev.new_);
			i++;
		}
		for (i = 0; i < 2; i++)
			runner_join(&runner[i], STOP_END);
		CHECK_NO_EVENT(mon[0]);
		CHECK_NO_EVENT(mon[1]);
		CHECK_EQ(rd32(v[0]->vm, TARGET), last);
	}
	close_all(mon, 2);
	vm_destroy(v[0]->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "eight places", places },
		{ "all are evicted", evicted },
		{ "each has its own ranges", own_ranges },
		{ "allow, and each other verdict", pairs, VIGIL_VERDICT_ALLOW },
		{ "replace, and each other verdict", pairs,
		  VIGIL_VERDICT_REPLACE },
		{ "deny, and each other verdict", pairs, VIGIL_VERDICT_DENY },
		{ "#PF, and each other verdict", pairs, VIGIL_VERDICT_PF },
		{ "#GP, and each other verdict", pairs, VIGIL_VERDICT_GP },
		{ "kill, and each other verdict", pairs, VIGIL_VERDICT_KILL },
		{ "a watch that denies, and each verdict", denied_beside },
		{ "eight are asked, all allow", eight_ask, false },
		{ "eight are asked, one refuses", eight_ask, true },
		{ "another monitor comes and logs", came, VIGIL_ACTION_LOG },
		{ "another monitor comes and asks", came, VIGIL_ACTION_ASK },
		{ "another monitor comes and denies", came, VIGIL_ACTION_DENY },
		{ "one closes, then the other allows (allow)", closed,
		  VIGIL_ON_DEATH_ALLOW },
		{ "one closes, then the other allows (deny)", closed,
		  VIGIL_ON_DEATH_DENY },
		{ "one closes, then the other allows (pause)", closed,
		  VIGIL_ON_DEATH_PAUSE },
		{ "one allows, then the other closes (allow)", closed,
		  VIGIL_ON_DEATH_ALLOW | AFTER },
		{ "one allows, then the other closes (deny)", closed,
		  VIGIL_ON_DEATH_DENY | AFTER },
		{ "one allows, then the other closes (pause)", closed,
		  VIGIL_ON_DEATH_PAUSE | AFTER },
		{ "two ask for ever, and are killed", asked_for_ever },
		{ "the VMM is killed while two are asked", vmm_killed },
		{ "registers replaced while two are asked", forgotten },
		{ "the time of one is up: allowed", timeout,
		  VIGIL_ON_DEATH_ALLOW },
		{ "the time of one is up: refused", timeout,
		  VIGIL_ON_DEATH_DENY },
		{ "the times of eight are up", timeouts },
		{ "one does not read", full_queue },
		{ "two lose nothing, logged", waits, false },
		{ "two lose nothing, denied", waits, true },
		{ "a watch denies while one has no room", waits_then_denied },
		{ "MOV CR4, allowed", control, VIGIL_VERDICT_ALLOW },
		{ "MOV CR4, refused", control, VIGIL_VERDICT_DENY },
		{ "MOV CR4, #GP", control, VIGIL_VERDICT_GP },
		{ "accessed and dirty bits, made", walk, VIGIL_ON_DEATH_ALLOW },
		{ "accessed and dirty bits, refused", walk,
		  VIGIL_ON_DEATH_DENY },
		{ "two vCPUs, LOCK INC, asked and logged", chain },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
