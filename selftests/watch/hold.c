// SPDX-License-Identifier: GPL-2.0
/*
 * Holding a vCPU, monitors that die, queues that fill up, watches that come and
 * go while the guest runs, and which bytes a watch covers.
 */
#include <signal.h>
#include <sys/wait.h>

#include "runner.h"

DECLARE_PAYLOAD(wrep);
DECLARE_PAYLOAD(wforever);
DECLARE_PAYLOAD(wthree);
DECLARE_PAYLOAD(wins);

static void held(long verdict)
{
	struct runner r;
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED),
		 VIGIL_EVENT_HELD);
	/* The vCPU waits, and the monitor can read its registers meanwhile. */
	struct vigil_vcpu_state st = { 0 };

	CHECK_EQ(ioctl(mon, VIGIL_GET_VCPU, &st), 0);
	CHECK_EQ(st.regs.rip, ev.rip);
	CHECK_EQ(st.regs.rax, NEW);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_ERRNO(mon_verdict(mon, ev.seq + 1, verdict), ENOENT);
	CHECK_EQ(mon_verdict(mon, ev.seq, verdict), 0);
	runner_join(&r, STOP_END);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, verdict), ENOENT);
	CHECK_EQ(rd64(v->vm, TARGET),
		 verdict == VIGIL_VERDICT_ALLOW ? NEW : OLD);
	CHECK_EQ(mon_stat(mon, "watch_held"), 1);
	CHECK_EQ(mon_stat(mon, "watch_denied"), verdict == VIGIL_VERDICT_DENY);
	close(mon);
	vm_destroy(v->vm);
}

/* One instruction is held as often as the guest chooses. */
static void held_often(long n)
{
	struct vcpu *v = START(M_LONG, wrep);
	struct runner r;
	int mon = mon_open(v->vm);
	long i;

	set_up(v, n);
	mon_watch(mon, TARGET, n, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	for (i = 0; i < n; i++) {
		struct vigil_event ev = mon_event(mon);

		REQUIRE_EQ(ev.gpa, TARGET + i);
		REQUIRE_EQ(mon_verdict(mon, ev.seq,
				       i & 1 ? VIGIL_VERDICT_DENY :
					       VIGIL_VERDICT_ALLOW),
			   0);
	}
	runner_join(&r, STOP_END);
	for (i = 8; i < n; i++)
		REQUIRE_EQ(*(uint8_t *)vm_ram(v->vm, TARGET + i, 1),
			   i & 1 ? 0 : NEW & 0xff);
	close(mon);
	vm_destroy(v->vm);
}

/* The monitor closes while a vCPU waits for it. */
static void closed(long on_death)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct runner r;
	struct vcpu *v = start(2);
	int mon = mon_open(v->vm);

	w.on_death = on_death;
	mon_add(mon, w);
	runner_start(&r, v);
	mon_event(mon);
	close(mon);
	runner_join(&r, STOP_END);
	/* the second store finds no watch */
	CHECK_EQ(rd64(v->vm, TARGET), NEW + 1);
	/* A new monitor starts without a trace of the old one. */
	mon = mon_open(v->vm);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* Another process watches, and is killed while a vCPU waits. */
static void killed(long on_death)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct runner r;
	struct vcpu *v = start(1);
	struct vigil_event ev;
	int mon, to_us[2];
	pid_t pid;
	char c;

	w.on_death = on_death;
	mon = mon_open(v->vm);
	if (pipe(to_us))
		ERROR("no pipe");
	pid = fork();
	if (!pid) {
		/* This process must not hold the vCPU's and the VM's files. */
		ioctl(mon, VIGIL_WATCH_ADD, &w);
		if (write(to_us[1], "w", 1) != 1 ||
		    read(mon, &ev, sizeof(ev)) != sizeof(ev))
			_exit(1);
		c = ev.flags & VIGIL_EVENT_HELD ? 'h' : '?';
		if (write(to_us[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(mon);
	if (pid < 0 || read(to_us[0], &c, 1) != 1)
		ERROR("the monitor did not start");
	runner_start(&r, v);
	REQUIRE_EQ(read(to_us[0], &c, 1), 1);
	CHECK_EQ(c, 'h');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET),
		 on_death == VIGIL_ON_DEATH_ALLOW ? NEW : OLD);
	vm_destroy(v->vm);
}

static void no_answer(int sig)
{
}

/* KVM_RUN is interrupted, and waits again when it is called again. */
static void interrupted(long arg)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ticks(1000);
	v->stop_on_signal = true;
	for (int i = 0; i < 20; i++)
		EXPECT(v, STOP_SIGNAL);
	ticks(0);
	v->stop_on_signal = false;
	/* With immediate_exit, KVM_RUN does not wait for the monitor. */
	v->run->immediate_exit = 1;
	for (int i = 0; i < 5; i++)
		CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	ev = mon_event(mon);
	CHECK_NO_EVENT(mon); /* There is one event, not twenty. */
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	runner_start(&r, v);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW);
	close(mon);
	vm_destroy(v->vm);
}

/* A watch that is added while a store is held also decides about that store. */
static void added_while_held(long deny)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	mon_watch(mon, TARGET, 4, deny ? VIGIL_ACTION_DENY : VIGIL_ACTION_LOG);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	/* Where watches overlap, deny beats ask beats log. */
	CHECK_MEM_EQ(rd64(v->vm, TARGET), deny ? OLD : NEW);
	if (deny) {
		ev = mon_event(mon);
		CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, VIGIL_EVENT_DENIED);
		CHECK_EQ(bytes64(ev.old), OLD);
		CHECK_EQ(bytes64(ev.new_), NEW);
	}
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* The VMM sets other registers: the store is forgotten. */
static void forgotten(long arg)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = hold_outside(v, mon);
	get_regs(v, &r);
	CHECK_EQ(r.rip, ev.rip);
	r.rdi = PAGE + 0x800;
	set_regs(v, &r);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_EQ(rd64(v->vm, PAGE + 0x800), NEW);
	close(mon);
	vm_destroy(v->vm);
}

enum { BY_VMM, BY_MONITOR, BY_NOBODY };

/* The monitor ends, and the vCPU waits until somebody lets it go on. */
static void paused(long by)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;
	int i;

	w.on_death = VIGIL_ON_DEATH_PAUSE;
	/* A pause has no end by itself. */
	w.timeout_ms = VIGIL_MAX_TIMEOUT;
	mon_add(mon, w);
	ev = hold_outside(v, mon);
	/* A call before the pause is not about it. */
	CHECK_EQ(ioctl(mon, VIGIL_RESUME, 0), 0);
	CHECK_EQ(ioctl(v->vm->fd, VIGIL_RESUME, 0), 0);
	CHECK_ERRNO(ioctl(mon, VIGIL_RESUME, 1), EINVAL);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_RESUME, 1), EINVAL);
	close(mon);
	ticks(1000);
	v->stop_on_signal = true;
	for (i = 0; i < 5; i++)
		EXPECT(v, STOP_SIGNAL);
	ticks(0);
	v->stop_on_signal = false;
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	if (by == BY_NOBODY) {
		vm_destroy(v->vm);
		return;
	}
	mon = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	CHECK_ERRNO(ioctl(mon, VIGIL_RESUME, 0), EPERM);
	close(mon);
	mon = mon_open(v->vm);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	/* The new monitor's watch decides anew. */
	if (by == BY_MONITOR)
		mon_add(mon, w);
	runner_start(&r, v);
	CHECK_EQ(ioctl(by == BY_VMM ? v->vm->fd : mon, VIGIL_RESUME, 0), 0);
	if (by == BY_MONITOR) {
		ev = mon_event(mon);
		CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
		CHECK_EQ(bytes64(ev.old), OLD);
		CHECK_EQ(bytes64(ev.new_), NEW);
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	}
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), by == BY_VMM ? NEW : OLD);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* A vCPU that sleeps in KVM_RUN is paused and goes on, in place. */
static void paused_inside(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(2);
	int mon = mon_open(v->vm);
	struct runner r;
	int i;

	w.on_death = VIGIL_ON_DEATH_PAUSE;
	mon_add(mon, w);
	runner_start(&r, v);
	for (i = 0; i < 20; i++) {
		mon_event(mon);
		close(mon);
		CHECK_EQ(rd64(v->vm, TARGET), OLD);
		mon = mon_open(v->vm);
		mon_add(mon, w);
		CHECK_EQ(ioctl(mon, VIGIL_RESUME, 0), 0);
	}
	mon_event(mon);
	close(mon);
	CHECK_EQ(ioctl(v->vm->fd, VIGIL_RESUME, 0), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW + 1);
	vm_destroy(v->vm);
}

static void full_queue(long arg)
{
	const unsigned int lost = 100, n = VIGIL_MAX_EVENTS + lost;
	struct vcpu *v = start(n);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW + n - 1);
	for (unsigned int i = 0; i < VIGIL_MAX_EVENTS; i++) {
		ev = mon_event(mon);
		if (ev.seq != i + 1 || bytes64(ev.new_) != NEW + i ||
		    ev.dropped) {
			FAIL("event %u has seq %llu", i + 1, ev.seq);
			break;
		}
	}
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "events_dropped"), lost);
	/* The next event reports the loss. */
	get_regs(v, &r);
	r.rip = GUEST_CODE;
	r.rcx = 1;
	vcpu_settle(v);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.dropped, lost);
	CHECK_EQ(ev.seq, n + 1);
	close(mon);
	vm_destroy(v->vm);
}

/* A denied write stays denied when the queue is full. */
static void full_queue_denies(long arg)
{
	struct vcpu *v = start(VIGIL_MAX_EVENTS + 10);
	int mon = mon_open(v->vm);

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_EQ(mon_stat(mon, "watch_denied"), VIGIL_MAX_EVENTS + 10);
	close(mon);
	vm_destroy(v->vm);
}

/* The queue always has room for the event of a vCPU that waits. */
static void full_queue_asks(long arg)
{
	struct vcpu *v = start(VIGIL_MAX_EVENTS + 10);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	mon_watch(mon, PAGE + 0x800, 8, VIGIL_ACTION_ASK);
	vcpu_settle(v);
	get_regs(v, &regs);
	regs.rip = GUEST_CODE;
	regs.rdi = PAGE + 0x800;
	regs.rcx = 1;
	set_regs(v, &regs);
	runner_start(&r, v);
	do
		ev = mon_event(mon);
	while (!(ev.flags & VIGIL_EVENT_HELD));
	CHECK_EQ(ev.gpa, PAGE + 0x800);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, PAGE + 0x800), 0);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * A watch that is set while the guest writes there catches the very next write.
 */
static void while_running(long arg)
{
	struct vcpu *v = START(M_LONG, wforever);
	struct sigaction sa = { .sa_handler = no_answer };
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;
	uint64_t seen;

	sigaction(SIGUSR1, &sa, NULL);
	get_regs(v, &regs);
	regs.rdi = TARGET;
	regs.rax = 1;
	set_regs(v, &regs);
	v->stop_on_signal = true;
	runner_start(&r, v);
	for (int i = 0; i < 20; i++) {
		uint32_t id;

		seen = rd64(v->vm, TARGET);
		while (rd64(v->vm, TARGET) == seen)
			;
		id = mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
		/* No write has been made since the call returned. */
		seen = rd64(v->vm, TARGET);
		if (!mon_ready(mon, 5000)) {
			for (int k = 0; k < 2; k++) {
				test_note(
					"round %d: memory %#llx, exits %llu, faults %llu, emulated %llu, hits %llu, flushes %llu, irq %llu",
					i,
					(unsigned long long)rd64(v->vm, TARGET),
					(unsigned long long)mon_stat(mon,
								     "exits"),
					(unsigned long long)mon_stat(
						mon, "exits_page_fault"),
					(unsigned long long)mon_stat(
						mon, "emulated"),
					(unsigned long long)mon_stat(
						mon, "watch_hits"),
					(unsigned long long)mon_stat(
						mon, "tlb_flushes"),
					(unsigned long long)mon_stat(
						mon, "exits_irq"));
				usleep(300000);
			}
		}
		ev = mon_event(mon);
		CHECK_EQ(bytes64(ev.old), seen);
		CHECK_EQ(bytes64(ev.new_), seen + 1);
		CHECK_EQ(rd64(v->vm, TARGET), seen);
		mon_del(mon, id);
		while (rd64(v->vm, TARGET) == seen)
			;
		while (mon_ready(mon, 0))
			mon_event(mon);
	}
	pthread_kill(r.thread, SIGUSR1);
	runner_join(&r, STOP_SIGNAL);
	close(mon);
	vm_destroy(v->vm);
}

/* The guest maps the page a second time: this watch is on memory, not on addresses. */
static void alias(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_DENY);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt;

	pt_init(&pt, v->vm, M_LONG);
	pt_identity(&pt, 0, 0x200000, PTE_P | PTE_W);
	pt_map(&pt, 0x40000000, PAGE, 1, PTE_P | PTE_W);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	mon_add(mon, w);
	get_regs(v, &r);
	r.rdi = 0x40000000 + (TARGET - PAGE);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.gva, 0x40000000 + (TARGET - PAGE));
	CHECK_EQ(ev.gpa, TARGET);
	CHECK_EQ(ev.cr3, pt.root);
	CHECK_EQ(ev.cookie, w.cookie);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	close(mon);
	vm_destroy(v->vm);
}

/* A virtual range covers pages that are not neighbours in physical memory. */
static void scattered(long arg)
{
	struct vigil_watch w = watch_gpa(0x40000ffc, 8, VIGIL_ACTION_LOG);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt;

	pt_init(&pt, v->vm, M_LONG);
	pt_identity(&pt, 0, 0x200000, PTE_P | PTE_W);
	pt_map(&pt, 0x40000000, PAGE + 0x2000, 1, PTE_P | PTE_W);
	pt_map(&pt, 0x40001000, PAGE, 1, PTE_P | PTE_W);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	w.kind = VIGIL_WATCH_GVA;
	mon_add(mon, w);
	get_regs(v, &r);
	r.rdi = 0x40000ffc;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	/* A store over the end of a page causes one event for each side. */
	ev = mon_event(mon);
	CHECK_EQ(ev.gpa, PAGE + 0x2ffc);
	CHECK_EQ(ev.gva, 0x40000ffc);
	CHECK_EQ(ev.len, 4);
	ev = mon_event(mon);
	CHECK_EQ(ev.gpa, PAGE);
	CHECK_EQ(ev.gva, 0x40001000);
	CHECK_EQ(ev.len, 4);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd32(v->vm, PAGE + 0x2ffc), (uint32_t)NEW);
	CHECK_EQ(rd32(v->vm, PAGE), NEW >> 32);
	close(mon);
	vm_destroy(v->vm);
}

/* A store crosses the end of a page, and one side is denied. */
static void crossing(long second)
{
	uint64_t at = PAGE + 0xffc;
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs r;

	wr64(v->vm, at, OLD);
	mon_watch(mon, second ? at + 7 : at, 1, VIGIL_ACTION_DENY);
	get_regs(v, &r);
	r.rdi = at;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.gpa, second ? at + 4 : at);
	CHECK_EQ(ev.len, 4);
	CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, VIGIL_EVENT_DENIED);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd32(v->vm, at), (uint32_t)(second ? NEW : OLD));
	CHECK_EQ(rd32(v->vm, at + 4), (uint32_t)(second ? OLD : NEW));
	close(mon);
	vm_destroy(v->vm);
}

/* Stores to the first and the last byte, and to the bytes beside them. */
static void edges(long arg)
{
	static const struct {
		int off;
		bool hit;
	} at[] = { { -8, false }, { -7, true }, { 0, true },
		   { 2, true },	  { 3, false }, { 8, false } };
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs r;

	mon_watch(mon, TARGET, 3, VIGIL_ACTION_DENY);
	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		wr64(v->vm, TARGET + at[i].off, OLD);
		vcpu_settle(v);
		get_regs(v, &r);
		r.rip = GUEST_CODE;
		r.rdi = TARGET + at[i].off;
		r.rax = NEW;
		r.rcx = 1;
		set_regs(v, &r);
		EXPECT(v, STOP_END);
		CHECK_EQ(rd64(v->vm, TARGET + at[i].off),
			 at[i].hit ? OLD : NEW);
		CHECK_EQ(mon_ready(mon, 0), at[i].hit);
		if (at[i].hit) {
			ev = mon_event(mon);
			CHECK_EQ(ev.gpa, TARGET + at[i].off);
			CHECK_EQ(ev.len, 8);
		}
	}
	close(mon);
	vm_destroy(v->vm);
}

/* Where watches overlap, the strongest decides, and the event names it. */
static void overlapping(long arg)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	uint32_t log, deny;
	struct kvm_regs r;

	log = mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	deny = mon_watch(mon, TARGET + 7, 1, VIGIL_ACTION_DENY);
	EXPECT(v, STOP_END);
	CHECK_EQ(mon_event(mon).watch_id, deny);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	mon_del(mon, deny);
	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = GUEST_CODE;
	r.rax = NEW;
	r.rcx = 1;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ(mon_event(mon).watch_id, log);
	CHECK_EQ(rd64(v->vm, TARGET), NEW);
	close(mon);
	vm_destroy(v->vm);
}

/* One store is watched, one is beside the watch, then the watch is removed. */
static void removed(long arg)
{
	struct vcpu *v = START(M_LONG, wthree);
	int mon = mon_open(v->vm);
	struct kvm_regs r;
	uint32_t id;

	get_regs(v, &r);
	r.rax = NEW;
	r.rdi = TARGET;
	r.rsi = TARGET + 8;
	set_regs(v, &r);
	id = mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	EXPECT(v, STOP_SYNC);
	mon_event(mon);
	CHECK_EQ(rd32(v->vm, TARGET), 0);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, TARGET + 8), (uint32_t)NEW);
	mon_del(mon, id);
	EXPECT(v, STOP_END);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd32(v->vm, TARGET), (uint32_t)NEW);
	close(mon);
	vm_destroy(v->vm);
}

/* As documented, writes of the VMM's own process cause no events. */
static void vmm_writes(long arg)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	wr64(v->vm, TARGET, 0x77);
	CHECK_NO_EVENT(mon);
	EXPECT(v, STOP_END);
	CHECK_EQ(bytes64(mon_event(mon).old), 0x77);
	CHECK_EQ(rd64(v->vm, TARGET), 0x77);
	close(mon);
	vm_destroy(v->vm);
}

static void put_in(struct vcpu *v, uint32_t val)
{
	memcpy((uint8_t *)v->run + v->run->io.data_offset, &val, 4);
}

/*
 * INS: the VMM's page has other bytes when the verdict comes. Stored is what the
 * monitor was shown, in both parts of an element that crosses a page.
 */
static void ins_changed(long crosses)
{
	uint64_t at = crosses ? PAGE + 0x1000 - 2 : TARGET;
	struct vcpu *v = START(M_LONG, wins);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;

	get_regs(v, &regs);
	regs.rdi = at;
	set_regs(v, &regs);
	mon_watch(mon, at, 1, VIGIL_ACTION_ASK);
	EXPECT(v, STOP_IO);
	CHECK_EQ(v->run->io.port, PORT_TEST);
	put_in(v, 0x44332211);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	CHECK_EQ(ev.len, crosses ? 2 : 4);
	CHECK_EQ(bytes64(ev.new_), crosses ? 0x2211 : 0x44332211);
	put_in(v, 0x88776655);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd32(v->vm, at), 0x44332211);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * INS: its page is gone when the verdict comes. The device has given the bytes, and the
 * monitor has seen them: they are stored where the event says.
 */
static void ins_unmapped(long arg)
{
	struct vcpu *v = START(M_LONG, wins);
	int mon = mon_open(v->vm);
	struct pt pt = tables_of(v);
	struct vigil_event ev;
	struct kvm_regs regs;

	get_regs(v, &regs);
	regs.rdi = TARGET;
	set_regs(v, &regs);
	mon_watch(mon, TARGET, 4, VIGIL_ACTION_ASK);
	EXPECT(v, STOP_IO);
	put_in(v, 0x44332211);
	ev = hold_outside(v, mon);
	pt_set(&pt, TARGET, 1, 0);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, TARGET), 0x44332211);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "held, then allowed", held, VIGIL_VERDICT_ALLOW },
		{ "held, then refused", held, VIGIL_VERDICT_DENY },
		{ "held a thousand times in one instruction", held_often,
		  1000 },
		{ "monitor closed while it holds (allow)", closed,
		  VIGIL_ON_DEATH_ALLOW },
		{ "monitor closed while it holds (deny)", closed,
		  VIGIL_ON_DEATH_DENY },
		{ "monitor killed while it holds (allow)", killed,
		  VIGIL_ON_DEATH_ALLOW },
		{ "monitor killed while it holds (deny)", killed,
		  VIGIL_ON_DEATH_DENY },
		{ "monitor closed, the VMM resumes", paused, BY_VMM },
		{ "monitor closed, another one resumes", paused, BY_MONITOR },
		{ "monitor closed, the VM ends", paused, BY_NOBODY },
		{ "monitors that close and resume", paused_inside },
		{ "KVM_RUN interrupted while held", interrupted },
		{ "a deny watch added while held", added_while_held, true },
		{ "a log watch added while held", added_while_held, false },
		{ "registers replaced while held", forgotten },
		{ "INS, the VMM's bytes change while held", ins_changed,
		  false },
		{ "INS over the end of a page, the same", ins_changed, true },
		{ "INS, its page is unmapped while held", ins_unmapped },
		{ "queue full: events are counted as lost", full_queue },
		{ "queue full: deny denies", full_queue_denies },
		{ "queue full: ask asks", full_queue_asks },
		{ "watch set while the guest writes", while_running },
		{ "another mapping of the page", alias },
		{ "virtual range, scattered pages", scattered },
		{ "store over the end of a page, first part denied", crossing,
		  0 },
		{ "store over the end of a page, second part denied", crossing,
		  1 },
		{ "first and last byte", edges },
		{ "watches that overlap", overlapping },
		{ "neighbours, and a watch that is removed", removed },
		{ "writes of the VMM", vmm_writes },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
