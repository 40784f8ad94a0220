// SPDX-License-Identifier: GPL-2.0
/*
 * Verdicts beside allow and deny: a held store or change that faults in the guest, a store
 * whose bytes a monitor replaces, and the end of the VM.
 */
#include "runner.h"

DECLARE_PAYLOAD(wrep);
DECLARE_PAYLOAD(wins);
DECLARE_PAYLOAD(wforever);

#define OTHER 0x3333333333333333ull
#define ZF 0x40

#define END 0xe6, PORT_END /* out */

/* Stores eax, in 32 and in 64 bits. */
static const char mov32[] = { 0x89, 0x07, END };
static const char mov64[] = { 0x48, 0x89, 0x07, END };
static const char xadd[] = { 0xf0, 0x48, 0x0f, 0xc1, 0x07, END };
static const char xchg[] = { 0x48, 0x87, 0x07, END };
static const char cmpxchg[] = { 0xf0, 0x48, 0x0f, 0xb1, 0x0f, END };
static const char ud2[] = { 0x0f, 0x0b, END };
static const char outs_mov[] = { 0x6e, 0x48, 0x89, 0x07, END };
static const char mov_cr4[] = { 0x0f, 0x22, 0xe0, END };
static const char wrmsr[] = { 0x0f, 0x30, END };

#define GUEST(mode, code) guest_start(mode, code, code + sizeof(code))

static void set_store(struct vcpu *v, uint64_t rdi, uint64_t rax, uint64_t rcx)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rdi = rdi;
	r.rax = rax;
	r.rcx = rcx;
	set_regs(v, &r);
}

static bool takes(const struct vigil_event *ev, unsigned int verdict)
{
	return ev->verdicts & 1 << verdict;
}

static void check_refused(int mon, const struct vigil_event *ev,
			  unsigned int verdict)
{
	CHECK(!takes(ev, verdict));
	CHECK_ERRNO(mon_verdict(mon, ev->seq, verdict), EOPNOTSUPP);
}

/* The low bits of a case's argument are the mode. */
#define WITH_GP 0x100
#define AT_USER 0x200

/* The store faults, with nothing done; when the guest tries it again it is asked again. */
static void fault(long arg)
{
	enum mode mode = arg & 0xff;
	bool pf = !(arg & WITH_GP), user = arg & AT_USER;
	struct vcpu *v = GUEST(mode, mov32);
	int mon = mon_open(v->vm);
	struct kvm_regs before, after;
	struct vigil_event ev;
	struct runner r;

	if (user)
		vcpu_enter_user(v);
	set_store(v, TARGET, (uint32_t)NEW, 7);
	wr32(v->vm, TARGET, (uint32_t)OLD);
	mon_watch(mon, TARGET, 1, VIGIL_ACTION_ASK);
	get_regs(v, &before);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK(takes(&ev, VIGIL_VERDICT_GP));
	CHECK_EQ(takes(&ev, VIGIL_VERDICT_PF), mode_paged(mode));
	if (!mode_paged(mode))
		check_refused(mon, &ev, VIGIL_VERDICT_PF);
	CHECK_EQ(mon_verdict(mon, ev.seq,
			     pf ? VIGIL_VERDICT_PF : VIGIL_VERDICT_GP),
		 0);
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, pf ? PF : GP);
	CHECK_EQ(v->exc.error, pf ? (user ? 7 : 3) : 0);
	CHECK_EQ(v->exc.rip, before.rip);
	if (pf)
		CHECK_EQ(v->exc.cr2, TARGET);
	get_regs(v, &after);
	CHECK_EQ(after.rdi, before.rdi);
	CHECK_EQ(after.rcx, before.rcx);
	CHECK_EQ(rd32(v->vm, TARGET), (uint32_t)OLD);
	CHECK_EQ(mon_stat(mon, "watch_denied"), 1);
	/* The handler returns to the same instruction. */
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.rip, before.rip);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd32(v->vm, TARGET), (uint32_t)NEW);
	close(mon);
	vm_destroy(v->vm);
}

/* Of a repeated instruction, the iterations before the fault are done. */
static void fault_in_rep(long arg)
{
	struct vcpu *v = START(M_LONG, wrep);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;
	int i;

	wr64(v->vm, TARGET, OLD);
	set_store(v, TARGET, NEW, 8);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	for (i = 0; i < 3; i++) {
		ev = mon_event(mon);
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	}
	ev = mon_event(mon);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PF), 0);
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, PF);
	CHECK_EQ(v->exc.cr2, TARGET + 3);
	CHECK_EQ(v->exc.rip, GUEST_CODE);
	get_regs(v, &regs);
	CHECK_EQ(regs.rcx, 5);
	CHECK_EQ(regs.rdi, TARGET + 3);
	CHECK_EQ(rd64(v->vm, TARGET), (OLD & ~0xffffffull) | (NEW & 0xffffff));
	close(mon);
	vm_destroy(v->vm);
}

/* A store over the end of a page: CR2 is the page that was refused. */
static void fault_in_second_page(long arg)
{
	struct vcpu *v = GUEST(M_LONG, mov64);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	set_store(v, PAGE + 0xffd, NEW, 0);
	mon_watch(mon, PAGE + 0x1000, 8, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_PF), 0);
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, PF);
	CHECK_EQ(v->exc.cr2, PAGE + 0x1000);
	CHECK_EQ(v->exc.rip, GUEST_CODE);
	CHECK_EQ(rd64(v->vm, PAGE + 0xffd), NEW & 0xffffff);
	close(mon);
	vm_destroy(v->vm);
}

static const struct exchange {
	const char *code, *end;
	uint64_t rax, zf; /* behind it */
} exchanges[] = {
	{ mov64, mov64 + sizeof(mov64), NEW, 0 },
	{ xadd, xadd + sizeof(xadd), OLD, 0 },
	{ xchg, xchg + sizeof(xchg), OLD, 0 },
	{ cmpxchg, cmpxchg + sizeof(cmpxchg), OLD, ZF },
};

/* Memory gets other bytes; registers and flags are those of the guest's own store. */
static void replaced(long nr)
{
	const struct exchange *x = &exchanges[nr];
	struct vcpu *v = guest_start(M_LONG, x->code, x->end);
	int mon = mon_open(v->vm);
	uint64_t other = OTHER;
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;

	wr64(v->vm, TARGET, OLD);
	set_store(v, TARGET, x->code == cmpxchg ? OLD : NEW, NEW);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_ERRNO(mon_replace(mon, ev.seq, &other, 4), EINVAL);
	CHECK_ERRNO(mon_replace(mon, ev.seq, &other, 0), EINVAL);
	CHECK_EQ(mon_replace(mon, ev.seq, &other, 8), 0);
	CHECK_ERRNO(mon_replace(mon, ev.seq, &other, 8), ENOENT);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), OTHER);
	get_regs(v, &regs);
	CHECK_EQ(regs.rax, x->rax);
	CHECK_EQ(regs.rflags & ZF, x->zf);
	CHECK_EQ(mon_stat(mon, "watch_replaced"), 1);
	CHECK_EQ(mon_stat(mon, "watch_denied"), 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* Another watch decides about the bytes that are to be stored instead. */
static void replaced_again(long action)
{
	struct vigil_condition c = {
		.tests = VIGIL_COND_VALUE,
		.action = action,
		.value = OTHER & 0xff,
		.mask = 0xff,
	};
	struct vigil_watch w = watch_gpa(TARGET, 1, VIGIL_ACTION_LOG);
	struct vcpu *v = GUEST(M_LONG, mov64);
	bool deny = action == VIGIL_ACTION_DENY;
	int mon = mon_open(v->vm);
	uint64_t other = OTHER;
	struct vigil_event ev;
	struct runner r;
	uint32_t id;

	/* The first event names the older watch, and the next one the other. */
	w.conditions = (uintptr_t)&c;
	w.nr_conditions = 1;
	id = mon_add(mon, w);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	wr64(v->vm, TARGET, OLD);
	set_store(v, TARGET, NEW, 0);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK(ev.watch_id != id);
	CHECK_EQ(bytes64(ev.new_), NEW);
	CHECK_EQ(mon_replace(mon, ev.seq, &other, 8), 0);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, id);
	CHECK_EQ(bytes64(ev.old), OLD);
	CHECK_EQ(bytes64(ev.new_), OTHER);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED),
		 deny ? VIGIL_EVENT_DENIED : VIGIL_EVENT_HELD);
	if (!deny)
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), deny ? OLD : OTHER);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* KVM_RUN is interrupted between the verdict and the store. */
static void interrupted(long verdict)
{
	struct vcpu *v = GUEST(M_LONG, mov64);
	int mon = mon_open(v->vm);
	uint64_t other = OTHER;
	struct vigil_event ev;

	wr64(v->vm, TARGET, OLD);
	set_store(v, TARGET, NEW, 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = hold_outside(v, mon);
	if (verdict == VIGIL_VERDICT_REPLACE)
		CHECK_EQ(mon_replace(mon, ev.seq, &other, 8), 0);
	else
		CHECK_EQ(mon_verdict(mon, ev.seq, verdict), 0);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	/* The verdict stays when its monitor ends. */
	close(mon);
	if (verdict == VIGIL_VERDICT_REPLACE)
		EXPECT(v, STOP_END);
	else
		EXPECT_EXC(v, PF, 3);
	CHECK_EQ(rd64(v->vm, TARGET),
		 verdict == VIGIL_VERDICT_REPLACE ? OTHER : OLD);
	vm_destroy(v->vm);
}

/* What cannot fault any more: each word of a frame. */
static void frame(long arg)
{
	struct vcpu *v = GUEST(M_LONG, ud2);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;
	unsigned int i;

	mon_watch(mon, GUEST_STACK - 0x28, 0x28, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	for (i = 0; i < 5; i++) {
		ev = mon_event(mon);
		check_refused(mon, &ev, VIGIL_VERDICT_GP);
		check_refused(mon, &ev, VIGIL_VERDICT_PF);
		CHECK(takes(&ev, VIGIL_VERDICT_REPLACE));
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	}
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, UD);
	CHECK_EQ(v->exc.rip, GUEST_CODE);
	close(mon);
	vm_destroy(v->vm);
}

/* INS has taken the bytes from the device: they may be replaced, but do not come again. */
static void ins(long arg)
{
	struct vcpu *v = START(M_LONG, wins);
	int mon = mon_open(v->vm);
	uint32_t other = (uint32_t)OTHER;
	struct vigil_event ev;
	struct runner r;

	set_store(v, TARGET, 0, 0);
	mon_watch(mon, TARGET, 4, VIGIL_ACTION_ASK);
	EXPECT(v, STOP_IO);
	runner_start(&r, v);
	ev = mon_event(mon);
	check_refused(mon, &ev, VIGIL_VERDICT_GP);
	check_refused(mon, &ev, VIGIL_VERDICT_PF);
	CHECK_EQ(mon_replace(mon, ev.seq, &other, 4), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd32(v->vm, TARGET), other);
	close(mon);
	vm_destroy(v->vm);
}

/* What the vCPU did before the store does not matter: it has been to its VMM for OUTS. */
static void after_outs(long arg)
{
	struct vcpu *v = GUEST(M_LONG, outs_mov);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;

	set_store(v, TARGET, NEW, 0);
	get_regs(v, &regs);
	regs.rsi = PAGE + 0x800;
	regs.rdx = PORT_TEST;
	set_regs(v, &regs);
	wr64(v->vm, TARGET, OLD);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	EXPECT(v, STOP_IO);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK(takes(&ev, VIGIL_VERDICT_PF));
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_GP), 0);
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, GP);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	close(mon);
	vm_destroy(v->vm);
}

/* A control that an instruction changes: it raises #GP, and the register stays. */
static void control(long msr)
{
	struct vcpu *v = msr ? GUEST(M_LONG, wrmsr) : GUEST(M_LONG, mov_cr4);
	struct vigil_watch w = {
		.start = msr ? VIGIL_CONTROL_OF_MSR(0xc0000082) :
			       VIGIL_CONTROL_CR4,
		.len = 1,
		.kind = VIGIL_WATCH_CONTROL,
		.action = VIGIL_ACTION_ASK,
	};
	int mon = mon_open(v->vm);
	struct kvm_sregs before, after;
	struct vigil_event ev;
	uint64_t other = OTHER;
	struct runner r;

	mon_add(mon, w);
	get_sregs(v, &before);
	set_store(v, 0, msr ? 0x1234 : before.cr4 ^ 8, 0xc0000082);
	runner_start(&r, v);
	ev = mon_event(mon);
	check_refused(mon, &ev, VIGIL_VERDICT_PF);
	check_refused(mon, &ev, VIGIL_VERDICT_REPLACE);
	CHECK_ERRNO(mon_replace(mon, ev.seq, &other, 8), EOPNOTSUPP);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_GP), 0);
	runner_join(&r, STOP_EXC);
	CHECK_EQ(v->exc.vector, GP);
	CHECK_EQ(v->exc.error, 0);
	CHECK_EQ(v->exc.rip, GUEST_CODE);
	get_sregs(v, &after);
	CHECK_EQ(after.cr4, before.cr4);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(bytes64(ev.old), msr ? 0 : before.cr4);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), 0);
	runner_join(&r, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

static void check_killed(struct vcpu *v)
{
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	CHECK_EQ(v->run->internal.suberror, VIGIL_INTERNAL_ERROR_KILLED);
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EIO);
}

/* One vCPU is held, and another one runs: both end. */
static void killed(long arg)
{
	struct vcpu *held = GUEST(M_LONG, mov64), *other;
	struct pollfd p = { .events = 0 };
	struct runner r, r2;
	struct vigil_event ev;
	struct vigil_vm_info info;
	struct kvm_regs regs;
	uint64_t seen;
	int mon = mon_open(held->vm);

	other = vcpu_create(held->vm);
	vm_load_at(held->vm, GUEST_HIGH, pl_wforever, pl_wforever_end);
	vcpu_set_mode(other, M_LONG);
	get_regs(other, &regs);
	regs.rip = GUEST_HIGH;
	regs.rdi = PAGE + 0x1000;
	set_regs(other, &regs);
	wr64(held->vm, TARGET, OLD);
	set_store(held, TARGET, NEW, 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	runner_start(&r2, other);
	runner_start(&r, held);
	ev = mon_event(mon);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_KILL), 0);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	runner_join(&r, STOP_ERRNO);
	runner_join(&r2, STOP_ERRNO);
	check_killed(held);
	check_killed(other);
	seen = rd64(held->vm, PAGE + 0x1000);
	CHECK_EQ(rd64(held->vm, TARGET), OLD);
	CHECK_EQ(ioctl(mon, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.flags & VIGIL_VM_DEAD, VIGIL_VM_DEAD);
	p.fd = mon;
	CHECK_EQ(poll(&p, 1, -1), 1);
	CHECK(p.revents & POLLHUP);
	close(mon);
	CHECK_EQ(rd64(held->vm, PAGE + 0x1000), seen);
	CHECK_EQ(rd64(held->vm, TARGET), OLD);
	vm_destroy(held->vm);
}

/* The VMM's thread is not in KVM_RUN when the verdict comes. */
static void killed_outside(long arg)
{
	struct vcpu *v = GUEST(M_LONG, mov64);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	wr64(v->vm, TARGET, OLD);
	set_store(v, TARGET, NEW, 0);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_ASK);
	ev = hold_outside(v, mon);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_KILL), 0);
	close(mon);
	EXPECT(v, STOP_ERRNO);
	check_killed(v);
	CHECK_EQ(rd64(v->vm, TARGET), OLD);
	vm_destroy(v->vm);
}

/* The time is up before the monitor answers, or even reads. */
static void timeout(long on_timeout)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(2);
	int mon = mon_open(v->vm);

	w.timeout_ms = 30;
	w.on_timeout = on_timeout;
	w.on_death = !on_timeout;
	mon_add(mon, w);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET),
		 on_timeout == VIGIL_ON_DEATH_ALLOW ? NEW + 1 : OLD);
	CHECK_EQ(mon_stat(mon, "watch_timeouts"), 2);
	CHECK_EQ(mon_stat(mon, "watch_denied"),
		 on_timeout == VIGIL_ON_DEATH_ALLOW ? 0 : 2);
	/* Nobody has read the events: they are withdrawn. */
	CHECK_NO_EVENT(mon);
	CHECK_ERRNO(mon_verdict(mon, 2, VIGIL_VERDICT_ALLOW), ENOENT);
	close(mon);
	vm_destroy(v->vm);
}

/* A verdict in time counts, whatever the timeout says. */
static void in_time(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	w.timeout_ms = VIGIL_MAX_TIMEOUT;
	w.on_timeout = VIGIL_ON_DEATH_DENY;
	mon_add(mon, w);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), NEW);
	CHECK_EQ(mon_stat(mon, "watch_timeouts"), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* The time is up outside KVM_RUN: up to the next one there may be a verdict. */
static void timeout_outside(long answered)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_ASK);
	struct vcpu *v = start(1);
	int mon = mon_open(v->vm);
	struct timespec now;
	struct vigil_event ev;

	w.timeout_ms = 2000;
	w.on_timeout = VIGIL_ON_DEATH_DENY;
	mon_add(mon, w);
	ev = hold_outside(v, mon);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec * 1000000000ull + now.tv_nsec <
	       ev.time_ns + 2100000000ull);
	if (answered)
		CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd64(v->vm, TARGET), answered ? NEW : OLD);
	CHECK_EQ(mon_stat(mon, "watch_timeouts"), !answered);
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "#PF, 64-bit", fault, M_LONG },
		{ "#PF, 64-bit, ring 3", fault, M_LONG | AT_USER },
		{ "#PF, PAE", fault, M_PAE },
		{ "#PF, 32-bit", fault, M_PG32 },
		{ "#GP, 64-bit", fault, M_LONG | WITH_GP },
		{ "#GP, paging off", fault, M_PROT32 | WITH_GP },
		{ "#PF in the middle of REP STOS", fault_in_rep },
		{ "#PF in the second page of a store", fault_in_second_page },
		{ "MOV, replaced", replaced, 0 },
		{ "LOCK XADD, replaced", replaced, 1 },
		{ "XCHG, replaced", replaced, 2 },
		{ "LOCK CMPXCHG, replaced", replaced, 3 },
		{ "a watch denies what replaces", replaced_again,
		  VIGIL_ACTION_DENY },
		{ "a watch asks about what replaces", replaced_again,
		  VIGIL_ACTION_ASK },
		{ "#PF outside KVM_RUN", interrupted, VIGIL_VERDICT_PF },
		{ "replaced outside KVM_RUN", interrupted,
		  VIGIL_VERDICT_REPLACE },
		{ "no fault in the frame of an exception", frame },
		{ "no fault of INS", ins },
		{ "a fault behind OUTS", after_outs },
		{ "#GP at MOV CR4", control, false },
		{ "#GP at WRMSR", control, true },
		{ "the VM is killed, two vCPUs", killed },
		{ "the VM is killed outside KVM_RUN", killed_outside },
		{ "no verdict in time: allowed", timeout,
		  VIGIL_ON_DEATH_ALLOW },
		{ "no verdict in time: refused", timeout, VIGIL_ON_DEATH_DENY },
		{ "a verdict in time", in_time },
		{ "the time is up outside KVM_RUN", timeout_outside, false },
		{ "the time is up outside KVM_RUN, then a verdict",
		  timeout_outside, true },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
