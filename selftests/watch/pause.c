// SPDX-License-Identifier: GPL-2.0
/*
 * vCPUs that a monitor pauses: whatever they do, they stand still when the call returns, and
 * go on where they were, or where the monitor has sent them. Registers and memory that a
 * monitor writes.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "runner.h"

DECLARE_PAYLOAD(wcount);
DECLARE_LABEL(wcount, done);
DECLARE_PAYLOAD(wcopy);
DECLARE_LABEL(wcopy, done);

#define VCPUS 4

static int pause_vcpus(int mon, uint32_t vcpu, uint32_t flags)
{
	struct vigil_pause p = { .vcpu = vcpu, .flags = flags };

	return ioctl(mon, VIGIL_PAUSE_VCPUS, &p);
}

static int resume_vcpus(int mon, uint32_t vcpu)
{
	struct vigil_pause p = { .vcpu = vcpu };

	return ioctl(mon, VIGIL_RESUME_VCPUS, &p);
}

static struct vigil_vcpu_state get_state(int mon, uint32_t vcpu)
{
	struct vigil_vcpu_state s = { .vcpu = vcpu };

	if (ioctl(mon, VIGIL_GET_VCPU, &s))
		ERROR("VIGIL_GET_VCPU: errno %d", errno);
	return s;
}

static int set_state(int mon, struct vigil_vcpu_state *s, uint32_t flags)
{
	s->flags = flags;
	return ioctl(mon, VIGIL_SET_VCPU, s);
}

/* Sends the vCPU, which is paused, to @rip. */
static void send_to(int mon, uint32_t vcpu, uint64_t rip)
{
	struct vigil_vcpu_state s = get_state(mon, vcpu);

	s.regs.rip = rip;
	REQUIRE_EQ(set_state(mon, &s, VIGIL_VCPU_REGS), 0);
	CHECK_EQ(get_state(mon, vcpu).regs.rip, rip);
}

static int mem_write(int mon, uint64_t addr, const void *buf, uint64_t len,
		     struct vigil_mem *mem)
{
	mem->addr = addr;
	mem->buf = (uintptr_t)buf;
	mem->len = len;
	mem->done = 0;
	return ioctl(mon, VIGIL_WRITE_MEM, mem);
}

/* Where vCPU @i counts. */
static uint64_t place(unsigned int i)
{
	return TARGET + 8 * i;
}

/* A further vCPU like @first, which does not run yet, and which counts at a place of its own. */
static struct vcpu *add_vcpu(struct vcpu *first)
{
	struct vcpu *v = vcpu_create(first->vm);
	struct kvm_sregs s;
	struct kvm_regs r;

	get_sregs(first, &s);
	get_regs(first, &r);
	v->mode = first->mode;
	set_sregs(v, &s);
	r.rdi = place(v->id);
	set_regs(v, &r);
	wr64(v->vm, place(v->id), 0);
	return v;
}

static struct vcpu *start_counting(int *mon)
{
	struct vcpu *v = START(M_LONG, wcount);
	struct kvm_regs r;

	*mon = mon_open(v->vm);
	get_regs(v, &r);
	r.rdi = place(0);
	r.rax = 1;
	set_regs(v, &r);
	wr64(v->vm, place(0), 0);
	return v;
}

/* Waits until the vCPU has counted on. The case has a limit. */
static uint64_t moves_on(struct vcpu *v, uint64_t from)
{
	while (rd64(v->vm, place(v->id)) == from)
		usleep(100);
	return rd64(v->vm, place(v->id));
}

/*
 * The vCPU is paused: what it has counted and its registers belong together, and stay.
 * Returns what it has counted.
 */
static uint64_t check_stands(int mon, struct vcpu *v)
{
	uint64_t at = rd64(v->vm, place(v->id));
	struct vigil_vcpu_state s = get_state(mon, v->id);

	CHECK(s.regs.rax == at || s.regs.rax == at + 1);
	CHECK_EQ(get_state(mon, v->id).regs.rax, s.regs.rax);
	CHECK_EQ(get_state(mon, v->id).regs.rip, s.regs.rip);
	CHECK_MEM_EQ(rd64(v->vm, place(v->id)), at);
	return at;
}

/* The runner's vCPU is paused: it ends. */
static void finish(int mon, struct runner *r)
{
	send_to(mon, r->v->id, LABEL_AT(wcount, done));
	REQUIRE_EQ(resume_vcpus(mon, r->v->id), 0);
	runner_join(r, STOP_END);
}

/* @beside: each store is emulated, because the page is watched. */
static void runs(long beside)
{
	unsigned int i, rounds = test_rounds(50);
	uint64_t at = 0;
	struct runner r;
	struct vcpu *v;
	int mon;

	v = start_counting(&mon);
	if (beside)
		mon_watch(mon, PAGE, 8, VIGIL_ACTION_DENY);
	runner_start(&r, v);
	for (i = 0; i < rounds; i++) {
		at = moves_on(v, at);
		REQUIRE_EQ(pause_vcpus(mon, i & 1 ? 0 : VIGIL_PAUSE_ALL, 0), 0);
		at = check_stands(mon, v);
		/* A second pause is none, and one call takes back both. */
		CHECK_EQ(pause_vcpus(mon, 0, 0), 0);
		CHECK_MEM_EQ(rd64(v->vm, place(0)), at);
		REQUIRE_EQ(resume_vcpus(mon, VIGIL_PAUSE_ALL), 0);
	}
	moves_on(v, at);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	finish(mon, &r);
	CHECK_EQ(resume_vcpus(mon, 0), 0);
	close(mon);
	vm_destroy(v->vm);
}

static void four(long arg)
{
	unsigned int i, round, rounds = test_rounds(20);
	struct runner r[VCPUS];
	uint64_t at[VCPUS];
	struct vcpu *v;
	int mon;

	v = start_counting(&mon);
	for (i = 0; i < VCPUS; i++)
		r[i].v = i ? add_vcpu(v) : v;
	for (i = 0; i < VCPUS; i++)
		runner_start(&r[i], r[i].v);
	for (i = 0; i < VCPUS; i++)
		at[i] = moves_on(r[i].v, 0);
	for (round = 0; round < rounds; round++) {
		REQUIRE_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, 0), 0);
		for (i = 0; i < VCPUS; i++)
			at[i] = check_stands(mon, r[i].v);
		/* All but one go on. */
		for (i = 0; i < VCPUS; i++)
			if (i != round % VCPUS)
				CHECK_EQ(resume_vcpus(mon, i), 0);
		for (i = 0; i < VCPUS; i++)
			if (i != round % VCPUS)
				moves_on(r[i].v, at[i]);
		CHECK_MEM_EQ(check_stands(mon, r[round % VCPUS].v),
			     at[round % VCPUS]);
		REQUIRE_EQ(resume_vcpus(mon, VIGIL_PAUSE_ALL), 0);
		moves_on(r[round % VCPUS].v, at[round % VCPUS]);
	}
	REQUIRE_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, 0), 0);
	for (i = 0; i < VCPUS; i++)
		finish(mon, &r[i]);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* A thread that pauses and resumes as fast as it can, until the vCPU has ended. */
static volatile bool storm_over;

static void *storm(void *arg)
{
	int mon = *(int *)arg;

	while (!storm_over) {
		if (pause_vcpus(mon, VIGIL_PAUSE_ALL, 0) ||
		    resume_vcpus(mon, VIGIL_PAUSE_ALL)) {
			FAIL("errno %d", errno);
			break;
		}
	}
	return NULL;
}

/* Every store is made once, and told once, however often its vCPU stands in between. */
static void storms(long arg)
{
	unsigned int n = test_rounds(300), i;
	struct vcpu *v = start(n);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	pthread_t thread;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	if (pthread_create(&thread, NULL, storm, &mon))
		ERROR("no thread");
	runner_start(&r, v);
	for (i = 0; i < n; i++) {
		ev = mon_event(mon);
		REQUIRE_EQ(bytes64(ev.new_), NEW + i);
		REQUIRE_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	}
	runner_join(&r, STOP_END);
	storm_over = true;
	pthread_join(thread, NULL);
	CHECK_NO_EVENT(mon);
	CHECK_MEM_EQ(rd64(v->vm, TARGET), NEW + n - 1);
	close(mon);
	vm_destroy(v->vm);
}

/* A held vCPU is paused, and answered meanwhile: it acts on that when it goes on. */
static void held(long verdict)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = runner_ask(&r, v, mon);
	CHECK(ev.verdicts & 1 << VIGIL_VERDICT_PAUSE);
	if (verdict == VIGIL_VERDICT_PAUSE)
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PAUSE), 0);
	CHECK_EQ(pause_vcpus(mon, 0, 0), 0);
	CHECK_EQ(get_state(mon, 0).regs.rip, ev.rip);
	CHECK_EQ(mon_verdict(mon, ev.seq,
			     verdict == VIGIL_VERDICT_DENY ?
				     VIGIL_VERDICT_DENY :
				     VIGIL_VERDICT_ALLOW),
		 0);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PAUSE), ENOENT);
	CHECK_EQ(get_state(mon, 0).regs.rip, ev.rip);
	CHECK_MEM_EQ(rd64(v->vm, TARGET), OLD);
	REQUIRE_EQ(resume_vcpus(mon, VIGIL_PAUSE_ALL), 0);
	runner_join(&r, STOP_END);
	CHECK_MEM_EQ(rd64(v->vm, TARGET),
		     verdict == VIGIL_VERDICT_DENY ? OLD : NEW);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PAUSE), ENOENT);
	close(mon);
	vm_destroy(v->vm);
}

/* Other registers withdraw the event: the store does not happen. @answered: even so. */
static void held_set(long answered)
{
	struct vcpu *v = start(1000);
	int mon = mon_open(v->vm);
	struct vigil_vcpu_state s;
	struct vigil_event ev;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = runner_ask(&r, v, mon);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	if (answered)
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	s = get_state(mon, 0);
	s.regs.rdi = PAGE + 0x1000;
	s.regs.rcx = 1;
	REQUIRE_EQ(set_state(mon, &s, VIGIL_VCPU_REGS | VIGIL_VCPU_SREGS), 0);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	runner_join(&r, STOP_END);
	CHECK_MEM_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_MEM_EQ(rd64(v->vm, PAGE + 0x1000), NEW);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * The VM is paused for an event, by a verdict or because the time is up: another vCPU
 * stands as well, and the event waits on.
 */
static void for_event(long timeout)
{
	struct vigil_watch w = watch_gpa(PAGE + 0x1000, 8, VIGIL_ACTION_ASK);
	struct runner r[2];
	struct vigil_event ev;
	struct kvm_regs regs;
	struct vcpu *v;
	uint64_t at;
	int mon;

	v = start_counting(&mon);
	r[1].v = add_vcpu(v);
	get_regs(r[1].v, &regs);
	regs.rdi = PAGE + 0x1000;
	set_regs(r[1].v, &regs);
	wr64(v->vm, PAGE + 0x1000, OLD);
	if (timeout) {
		w.timeout_ms = 1;
		w.on_timeout = VIGIL_ON_DEATH_PAUSE;
	}
	mon_add(mon, w);
	runner_start(&r[0], v);
	runner_start(&r[1], r[1].v);
	ev = mon_event(mon);
	moves_on(v, 0);
	if (timeout)
		while (!mon_stat(mon, "watch_timeouts"))
			usleep(100);
	else
		REQUIRE_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PAUSE), 0);
	/* This waits until the vCPU stands, and is refused if it is not paused. */
	send_to(mon, 0, LABEL_AT(wcount, done));
	at = rd64(v->vm, place(0));
	CHECK_MEM_EQ(rd64(v->vm, PAGE + 0x1000), OLD);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	CHECK_MEM_EQ(rd64(v->vm, place(0)), at);
	finish(mon, &r[0]);
	CHECK_MEM_EQ(rd64(v->vm, place(0)), at);
	finish(mon, &r[1]);
	CHECK_MEM_EQ(rd64(v->vm, PAGE + 0x1000), OLD);
	close(mon);
	vm_destroy(v->vm);
}

/* Nobody is in KVM_RUN when the vCPU is paused, and KVM_RUN waits then. */
static void outside(long arg)
{
	struct vigil_vcpu_state s;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct runner r;
	struct vcpu *v;
	int mon, i;

	v = start_counting(&mon);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	s = get_state(mon, 0);
	s.regs.rax = 77;
	s.sregs.cr2 = 0x1234;
	s.sregs.cr8 = 5;
	REQUIRE_EQ(set_state(mon, &s, VIGIL_VCPU_REGS | VIGIL_VCPU_SREGS), 0);
	get_regs(v, &regs);
	CHECK_EQ(regs.rax, 77);
	get_sregs(v, &sregs);
	CHECK_EQ(sregs.cr2, 0x1234);
	CHECK_EQ(v->run->cr8, 5);
	/* One half leaves the other alone. */
	s.regs.rax = 88;
	s.sregs.cr2 = 0x5678;
	REQUIRE_EQ(set_state(mon, &s, VIGIL_VCPU_SREGS), 0);
	CHECK_EQ(get_state(mon, 0).regs.rax, 77);
	s.sregs.cr2 = 0x9abc;
	REQUIRE_EQ(set_state(mon, &s, VIGIL_VCPU_REGS), 0);
	CHECK_EQ(get_state(mon, 0).regs.rax, 88);
	CHECK_EQ(get_state(mon, 0).sregs.cr2, 0x5678);
	/* Signals and immediate_exit end KVM_RUN, and the VMM's own calls work. */
	ticks(1000);
	v->stop_on_signal = true;
	for (i = 0; i < 5; i++) {
		EXPECT(v, STOP_SIGNAL);
		CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTR);
		get_regs(v, &regs);
		CHECK_EQ(regs.rax, 88);
	}
	ticks(0);
	v->stop_on_signal = false;
	v->run->immediate_exit = 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	CHECK_MEM_EQ(rd64(v->vm, place(0)), 0);
	/* The VMM may move what is paused. */
	regs.rax = 99;
	set_regs(v, &regs);
	CHECK_EQ(get_state(mon, 0).regs.rax, 99);
	runner_start(&r, v);
	CHECK_MEM_EQ(rd64(v->vm, place(0)), 0);
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	CHECK(moves_on(v, 0) >= 99);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	finish(mon, &r);
	close(mon);
	vm_destroy(v->vm);
}

/* What the VMM has answered takes effect when the vCPU goes on. */
static void device(long arg)
{
	struct vcpu *v = START(M_LONG, wcopy);
	int mon = mon_open(v->vm);
	uint32_t answer = 0xabcd;
	struct kvm_regs r;
	uint64_t rip;

	get_regs(v, &r);
	r.rsi = GUEST_MMIO;
	r.rdi = TARGET;
	r.rax = 1;
	set_regs(v, &r);
	EXPECT(v, STOP_MMIO);
	rip = get_state(mon, 0).regs.rip;
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	memcpy(v->run->mmio.data, &answer, sizeof(answer));
	v->run->immediate_exit = 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	CHECK_EQ(get_state(mon, 0).regs.rip, rip);
	CHECK_EQ(get_state(mon, 0).regs.rax, 1);
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	CHECK_EQ(get_state(mon, 0).regs.rax, answer);
	EXPECT(v, STOP_MMIO);
	CHECK_MEM_EQ(rd32(v->vm, TARGET), answer);
	/* Sent elsewhere, it has no access to end any more. */
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	send_to(mon, 0, LABEL_AT(wcopy, done));
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	EXPECT(v, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

/* A vCPU that is created in a VM that is paused. */
static void created(long arg)
{
	struct vcpu *v, *late;
	struct runner r;
	int mon;

	v = start_counting(&mon);
	REQUIRE_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, 0), 0);
	CHECK_ERRNO(pause_vcpus(mon, 1, 0), ENOENT);
	late = add_vcpu(v);
	ticks(1000);
	late->stop_on_signal = true;
	EXPECT(late, STOP_SIGNAL);
	ticks(0);
	late->stop_on_signal = false;
	CHECK_MEM_EQ(rd64(v->vm, place(1)), 0);
	runner_start(&r, late);
	CHECK_EQ(resume_vcpus(mon, 1), 0);
	moves_on(late, 0);
	REQUIRE_EQ(pause_vcpus(mon, 1, 0), 0);
	finish(mon, &r);
	close(mon);
	vm_destroy(v->vm);
}

/* The process that pauses is killed. @flags: VIGIL_PAUSE_KEEP or nothing. */
static void killed(long flags)
{
	struct runner r;
	int mon, ready[2];
	struct vcpu *v;
	uint64_t at;
	pid_t pid;
	char c;

	v = start_counting(&mon);
	if (pipe(ready))
		ERROR("no pipe");
	runner_start(&r, v);
	moves_on(v, 0);
	pid = fork();
	if (!pid) {
		if (pause_vcpus(mon, VIGIL_PAUSE_ALL, flags) ||
		    write(ready[1], "p", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(ready[0], &c, 1) != 1)
		ERROR("the monitor did not start");
	at = check_stands(mon, v);
	close(mon);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	mon = mon_open(v->vm);
	if (flags) {
		CHECK_MEM_EQ(check_stands(mon, v), at);
		/* Not this monitor has paused it, so it cannot resume it so. */
		CHECK_EQ(resume_vcpus(mon, VIGIL_PAUSE_ALL), 0);
		CHECK_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, VIGIL_PAUSE_KEEP),
			 0);
		close(mon);
		mon = mon_open(v->vm);
		CHECK_MEM_EQ(check_stands(mon, v), at);
		CHECK_EQ(ioctl(v->vm->fd, VIGIL_RESUME, 0), 0);
	}
	moves_on(v, at);
	/* KEEP is as the last call has it, and RESUME is not about those that live. */
	REQUIRE_EQ(pause_vcpus(mon, 0, VIGIL_PAUSE_KEEP), 0);
	CHECK_EQ(ioctl(mon, VIGIL_RESUME, 0), 0);
	at = check_stands(mon, v);
	CHECK_EQ(pause_vcpus(mon, 0, 0), 0);
	close(mon);
	mon = mon_open(v->vm);
	moves_on(v, at);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	finish(mon, &r);
	close(mon);
	vm_destroy(v->vm);
}

/* A verdict that pauses takes nothing from a pause that is kept. */
static void kept_beside_verdict(long arg)
{
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = runner_ask(&r, v, mon);
	REQUIRE_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, VIGIL_PAUSE_KEEP), 0);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PAUSE), 0);
	close(mon);
	mon = mon_open(v->vm);
	/* Without a monitor the store is allowed, but its vCPU stands. */
	CHECK_EQ(get_state(mon, 0).regs.rip, ev.rip);
	CHECK_MEM_EQ(rd64(v->vm, TARGET), OLD);
	CHECK_EQ(ioctl(mon, VIGIL_RESUME, 0), 0);
	runner_join(&r, STOP_END);
	CHECK_MEM_EQ(rd64(v->vm, TARGET), NEW);
	close(mon);
	vm_destroy(v->vm);
}

/* The VM ends while one vCPU is held and paused, and another one is paused. */
static void vm_ends(long arg)
{
	struct runner r[2];
	struct vigil_event ev;
	struct vcpu *v;
	int mon;

	v = start_counting(&mon);
	runner_start(&r[1], add_vcpu(v));
	runner_start(&r[0], v);
	moves_on(v, 0);
	mon_watch(mon, place(1), 8, VIGIL_ACTION_ASK);
	ev = mon_event(mon);
	REQUIRE_EQ(pause_vcpus(mon, VIGIL_PAUSE_ALL, 0), 0);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_KILL), 0);
	runner_join(&r[0], STOP_ERRNO);
	runner_join(&r[1], STOP_ERRNO);
	CHECK_EQ(v->run->internal.suberror, VIGIL_INTERNAL_ERROR_KILLED);
	CHECK_EQ(pause_vcpus(mon, 0, 0), 0);
	struct vigil_vcpu_state s = get_state(mon, 0);

	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS), EIO);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- what is refused ---- */

static void refused(long arg)
{
	struct vigil_pause p = { 0 };
	struct vigil_vcpu_state s, was;
	struct vigil_mem mem = { 0 };
	struct vcpu *v;
	int mon, reader;

	v = start_counting(&mon);
	CHECK_ERRNO(pause_vcpus(mon, 1, 0), ENOENT);
	CHECK_ERRNO(pause_vcpus(mon, 64, 0), ENOENT);
	CHECK_ERRNO(pause_vcpus(mon, 0, 2), EINVAL);
	CHECK_ERRNO(pause_vcpus(mon, 0, 1u << 31), EINVAL);
	CHECK_ERRNO(resume_vcpus(mon, 1), ENOENT);
	p.flags = VIGIL_PAUSE_KEEP;
	CHECK_ERRNO(ioctl(mon, VIGIL_RESUME_VCPUS, &p), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_PAUSE_VCPUS, NULL), EFAULT);
	CHECK_ERRNO(ioctl(mon, VIGIL_RESUME_VCPUS, NULL), EFAULT);
	CHECK_ERRNO(ioctl(mon, VIGIL_SET_VCPU, NULL), EFAULT);
	CHECK_ERRNO(ioctl(mon, VIGIL_RESUME, 1), EINVAL);
	/* A call that has failed pauses nothing. */
	s = was = get_state(mon, 0);
	s.regs.rax = 123;
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS), EBUSY);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	CHECK_ERRNO(set_state(mon, &s, 0), EINVAL);
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS | 4), EINVAL);
	s.vcpu = 1;
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS), ENOENT);
	s.vcpu = 0;
	/* Paging without protected mode, and a reserved bit of CR3. */
	s.sregs.cr0 &= ~(uint64_t)CR0_PE;
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS | VIGIL_VCPU_SREGS),
		    EINVAL);
	s.sregs.cr0 = was.sregs.cr0;
	s.sregs.cr3 |= 1ull << 60;
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS | VIGIL_VCPU_SREGS),
		    EINVAL);
	s = get_state(mon, 0);
	CHECK(!memcmp(&s, &was, sizeof(s)));
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	CHECK_ERRNO(set_state(mon, &was, VIGIL_VCPU_REGS), EBUSY);

	reader = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	REQUIRE_EQ(reader >= 0, true);
	CHECK_ERRNO(pause_vcpus(reader, 0, 0), EPERM);
	CHECK_ERRNO(resume_vcpus(reader, 0), EPERM);
	CHECK_ERRNO(set_state(reader, &was, VIGIL_VCPU_REGS), EPERM);
	CHECK_ERRNO(mem_write(reader, TARGET, "x", 1, &mem), EPERM);
	close(reader);
	close(mon);
	vm_destroy(v->vm);
}

/* A monitor that another one has replaced pauses nothing any more. */
static void evicted(long arg)
{
	struct vigil_mem mem = { 0 };
	struct vigil_vcpu_state s;
	struct runner r;
	struct vcpu *v;
	int mon, second;
	uint64_t at;

	v = start_counting(&mon);
	runner_start(&r, v);
	moves_on(v, 0);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	s = get_state(mon, 0);
	at = check_stands(mon, v);
	second = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_EVICT);
	REQUIRE_EQ(second >= 0, true);
	moves_on(v, at);
	CHECK_ERRNO(pause_vcpus(mon, 0, 0), EPIPE);
	CHECK_ERRNO(resume_vcpus(mon, 0), EPIPE);
	CHECK_ERRNO(set_state(mon, &s, VIGIL_VCPU_REGS), EPIPE);
	CHECK_ERRNO(mem_write(mon, TARGET, "x", 1, &mem), EPIPE);
	REQUIRE_EQ(pause_vcpus(second, 0, 0), 0);
	at = check_stands(second, v);
	close(mon);
	CHECK_MEM_EQ(check_stands(second, v), at);
	finish(second, &r);
	close(second);
	vm_destroy(v->vm);
}

/* ---- memory ---- */

#define VA 0x10000000 /* mapped to the first or second page of these */
#define FIRST (GUEST_FREE + 0x10000)
#define SECOND (GUEST_FREE + 0x11000)

/* A guest that copies the dword at VA to TARGET. */
static struct vcpu *start_copying(enum mode m, int *mon)
{
	struct vcpu *v = START(m, wcopy);
	struct pt pt = tables_of(v);
	struct kvm_regs r;

	*mon = mon_open(v->vm);
	pt_map(&pt, VA, FIRST, 1, PTE_P | PTE_W);
	wr32(v->vm, FIRST, 0x1111);
	wr32(v->vm, SECOND, 0x2222);
	wr32(v->vm, TARGET, 0);
	get_regs(v, &r);
	r.rsi = VA;
	r.rdi = TARGET;
	set_regs(v, &r);
	return v;
}

static void wait_for(struct vcpu *v, uint32_t want)
{
	while (rd32(v->vm, TARGET) != want)
		usleep(100);
}

static void end_copying(int mon, struct runner *r)
{
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	send_to(mon, 0, LABEL_AT(wcopy, done));
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	runner_join(r, STOP_END);
	REQUIRE_EQ(ioctl(r->v->vm->fd, VIGIL_AUDIT, 0), 0);
	close(mon);
	vm_destroy(r->v->vm);
}

/* The guest, which never flushes, follows entries of two levels that a monitor writes. */
static void tables(long m)
{
	struct vigil_mem mem = { 0 };
	uint64_t entry, at, other;
	struct runner r;
	struct vcpu *v;
	struct pt pt;
	int mon;

	v = start_copying(m, &mon);
	pt = tables_of(v);
	runner_start(&r, v);
	wait_for(v, 0x1111);
	at = pt_entry(&pt, VA, 1);
	entry = SECOND | PTE_P | PTE_W;
	REQUIRE_EQ(mem_write(mon, at, &entry, pt.entry_size, &mem), 0);
	CHECK_EQ(mem.done, pt.entry_size);
	wait_for(v, 0x2222);
	/* Another table, in which VA is the first page. */
	other = pt_page(v->vm);
	entry = FIRST | PTE_P | PTE_W;
	REQUIRE_EQ(mem_write(mon, other | (at & 0xfff), &entry, pt.entry_size,
			     &mem),
		   0);
	entry = other | PTE_P | PTE_W;
	REQUIRE_EQ(mem_write(mon, pt_entry(&pt, VA, 2), &entry, pt.entry_size,
			     &mem),
		   0);
	wait_for(v, 0x1111);
	/* That has become a shadowed table: of the first one nothing is left. */
	entry = SECOND | PTE_P | PTE_W;
	REQUIRE_EQ(mem_write(mon, other | (at & 0xfff), &entry, pt.entry_size,
			     &mem),
		   0);
	wait_for(v, 0x2222);
	end_copying(mon, &r);
}

/*
 * What a vCPU keeps of its last access as a TLB would, to a device, or to a page that is
 * watched at other bytes: it does not outlast the entry.
 */
static void kept(long device)
{
	uint64_t entry = SECOND | PTE_P | PTE_W;
	struct vigil_mem mem = { 0 };
	struct kvm_regs regs;
	struct runner r;
	struct vcpu *v;
	struct pt pt;
	int mon, i;

	if (device) {
		v = start_copying(M_LONG, &mon);
		pt = tables_of(v);
		pt_map(&pt, VA, GUEST_MMIO, 1, PTE_P | PTE_W);
		for (i = 0; i < 3; i++)
			EXPECT(v, STOP_MMIO);
	} else {
		v = start_counting(&mon);
		pt = tables_of(v);
		pt_map(&pt, VA, FIRST, 1, PTE_P | PTE_W);
		mon_watch(mon, FIRST, 8, VIGIL_ACTION_DENY);
		get_regs(v, &regs);
		regs.rdi = VA + 0x100;
		set_regs(v, &regs);
	}
	if (!device) {
		runner_start(&r, v);
		while (!rd64(v->vm, FIRST + 0x100))
			usleep(100);
	}
	REQUIRE_EQ(mem_write(mon, pt_entry(&pt, VA, 1), &entry, 8, &mem), 0);
	if (device) {
		runner_start(&r, v);
		wait_for(v, 0x2222);
	}
	while (!device && !rd64(v->vm, SECOND + 0x100))
		usleep(100);
	REQUIRE_EQ(pause_vcpus(mon, 0, 0), 0);
	send_to(mon, 0,
		device ? LABEL_AT(wcopy, done) : LABEL_AT(wcount, done));
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	runner_join(&r, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

/* A copy of the guest's tables in which VA leads to the second page. */
static uint64_t second_tables(struct vcpu *v)
{
	struct pt pt;

	pt_init(&pt, v->vm, v->mode);
	pt_identity(&pt, 0, GUEST_PT, PTE_P | PTE_W);
	pt_map(&pt, VA, SECOND, 1, PTE_P | PTE_W);
	return pt.root;
}

/* Another process gives the vCPU another page table. It is in KVM_RUN, or @out of it. */
static void address_space(enum mode m, bool out)
{
	struct vigil_vcpu_state s;
	struct runner r;
	struct vcpu *v;
	int mon, status;
	uint64_t root;
	pid_t pid;

	v = start_copying(m, &mon);
	root = second_tables(v);
	if (out) {
		/* Its own tables are shadowed. */
		ticks(1000);
		v->stop_on_signal = true;
		do
			EXPECT(v, STOP_SIGNAL);
		while (rd32(v->vm, TARGET) != 0x1111);
		ticks(0);
		v->stop_on_signal = false;
	} else {
		runner_start(&r, v);
		wait_for(v, 0x1111);
	}
	pid = fork();
	if (!pid) {
		if (pause_vcpus(mon, 0, 0))
			_exit(1);
		s = get_state(mon, 0);
		s.sregs.cr3 = root;
		if (set_state(mon, &s, VIGIL_VCPU_SREGS))
			_exit(2);
		if (get_state(mon, 0).sregs.cr3 != root)
			_exit(3);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		ERROR("no child");
	REQUIRE_EQ(status, 0);
	REQUIRE_EQ(resume_vcpus(mon, 0), 0);
	if (out)
		runner_start(&r, v);
	wait_for(v, 0x2222);
	end_copying(mon, &r);
}

static void other_tables(long m)
{
	address_space(m, false);
	address_space(m, true);
}

static uint64_t harvest(struct vm *vm, uint64_t gpa)
{
	uint64_t bits[64] = { 0 };
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };

	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
		ERROR("KVM_GET_DIRTY_LOG: errno %d", errno);
	return bits[gpa / 0x1000 / 64] >> gpa / 0x1000 % 64;
}

static void memory(long arg)
{
	static uint8_t big[1 << 20];
	uint8_t data[0x1800];
	struct vigil_mem mem = { 0 };
	uint8_t *ram = ram_alloc(0x2000);
	struct vcpu *v;
	struct vm *vm;
	int mon;

	v = start_counting(&mon);
	vm = v->vm;
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + i / 256;
	vm_slot(vm, 0, 0, vm->ram_size, vm->ram, KVM_MEM_LOG_DIRTY_PAGES);
	harvest(vm, PAGE);
	/* It does not begin with a page, and crosses into the third. */
	CHECK_EQ(mem_write(mon, PAGE + 0x900, data, sizeof(data), &mem), 0);
	CHECK_EQ(mem.done, sizeof(data));
	CHECK_MEM(!memcmp(vm_ram(vm, PAGE + 0x900, sizeof(data)), data,
			  sizeof(data)));
	CHECK_EQ(harvest(vm, PAGE) & 0xf, 7);
	CHECK_EQ(harvest(vm, PAGE) & 0xf, 0);
	/* By the guest's address, where nobody may write. */
	struct pt pt = tables_of(v);

	pt_map(&pt, VA, SECOND, 1, PTE_P);
	mem.flags = VIGIL_MEM_GVA;
	CHECK_EQ(mem_write(mon, VA + 4, data, 16, &mem), 0);
	CHECK_MEM(!memcmp(vm_ram(vm, SECOND + 4, 16), data, 16));
	CHECK_ERRNO(mem_write(mon, VA + 0x1000, data, 16, &mem), EFAULT);
	CHECK_EQ(mem_write(mon, VA + 0xffc, data, 16, &mem), 0);
	CHECK_EQ(mem.done, 4);
	mem.flags = 0;
	/* A watch is neither asked nor told. */
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	CHECK_EQ(mem_write(mon, TARGET, data, 8, &mem), 0);
	CHECK_MEM(!memcmp(vm_ram(vm, TARGET, 8), data, 8));
	CHECK_NO_EVENT(mon);

	CHECK_EQ(mem_write(mon, vm->ram_size - 4, data, 16, &mem), 0);
	CHECK_EQ(mem.done, 4);
	CHECK_ERRNO(mem_write(mon, vm->ram_size, data, 1, &mem), EFAULT);
	CHECK_ERRNO(mem_write(mon, PAGE, data, 0, &mem), EINVAL);
	CHECK_EQ(mem_write(mon, GUEST_HIGH - sizeof(big) / 2, big,
			   vm->ram_size > GUEST_HIGH + sizeof(big) / 2 ?
				   sizeof(big) :
				   1,
			   &mem),
		 0);
	CHECK_ERRNO(mem_write(mon, PAGE, big, sizeof(big) + 1, &mem), EINVAL);
	CHECK_ERRNO(mem_write(mon, ~0ull, data, 2, &mem), EINVAL);
	CHECK_ERRNO(mem_write(mon, PAGE, NULL, 8, &mem), EFAULT);
	mem.flags = 2;
	CHECK_ERRNO(mem_write(mon, PAGE, data, 8, &mem), EINVAL);
	mem.flags = 0;
	mem.cr3 = 0x1000;
	CHECK_ERRNO(mem_write(mon, PAGE, data, 8, &mem), EINVAL);
	mem.cr3 = 0;
	/* A read-only slot, and memory that the VMM itself cannot write. */
	memset(ram, 0x5a, 0x2000);
	vm_slot(vm, 5, 0x40000000, 0x1000, ram, KVM_MEM_READONLY);
	CHECK_ERRNO(mem_write(mon, 0x40000000, data, 8, &mem), EROFS);
	CHECK_EQ(ram[0], 0x5a);
	vm_slot(vm, 6, 0x40001000, 0x1000, ram + 0x1000, 0);
	if (mprotect(ram + 0x1000, 0x1000, PROT_READ))
		ERROR("mprotect: errno %d", errno);
	CHECK_ERRNO(mem_write(mon, 0x40001000, data, 8, &mem), EFAULT);
	CHECK_EQ(ram[0x1000], 0x5a);
	close(mon);
	vm_destroy(vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a guest that runs", runs, false },
		{ "a guest whose stores are emulated", runs, true },
		{ "four vCPUs, and one of them", four },
		{ "pauses as fast as it goes", storms },
		{ "held, then allowed", held, VIGIL_VERDICT_ALLOW },
		{ "held, then refused", held, VIGIL_VERDICT_DENY },
		{ "held, and paused by the verdict", held,
		  VIGIL_VERDICT_PAUSE },
		{ "held, and gets other registers", held_set, false },
		{ "held and allowed, and gets other registers", held_set,
		  true },
		{ "a verdict pauses all vCPUs", for_event, false },
		{ "a timeout pauses all vCPUs", for_event, true },
		{ "nobody is in KVM_RUN", outside },
		{ "an access to a device is under way", device },
		{ "a vCPU that comes later", created },
		{ "the monitor is killed", killed, 0 },
		{ "the monitor is killed, the pause is kept", killed,
		  VIGIL_PAUSE_KEEP },
		{ "a pause that is kept, and a verdict that pauses",
		  kept_beside_verdict },
		{ "the VM ends", vm_ends },
		{ "what is refused", refused },
		{ "another monitor takes its place", evicted },
		CASE_PAGED("a page table is written", tables),
		{ "a page table, and a device's page", kept, true },
		{ "a page table, and a page beside a watch", kept, false },
		CASE_PAGED("a process sets CR3", other_tables),
		{ "memory is written", memory },
		{ 0 }
	};

	return test_main(argc, argv, cases);
}
