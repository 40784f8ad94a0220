// SPDX-License-Identifier: GPL-2.0
/*
 * A monitor is told of hypercalls by their number, and refuses them: Xen's and KVM's,
 * those of a multicall, those that the VMM answers.
 */
#include "ctl_mon.h"
#include "pv_calls.h"

#define KVM_EPERM 1
#define KVM_ENOSYS 1000
#define KVM_MAP_GPA_RANGE 12

static uint64_t of_call(uint64_t nr)
{
	return VIGIL_CONTROL_OF_CALL(nr);
}

/* The event of a call that load_call() has set up. */
static void check_call(const struct vcpu *v, const struct vigil_event *ev,
		       uint64_t nr, uint64_t a, uint64_t b)
{
	const uint64_t want[6] = { a, b, 0x33, 0x44, 0x55, 0x66 };
	static const uint64_t none[6];

	CHECK_EQ(ev->kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(ev->control, VIGIL_CONTROL_HYPERCALL);
	CHECK_EQ(ev->call, nr);
	CHECK_EQ(ev->first, 0);
	CHECK_EQ(ev->count, 1);
	CHECK_EQ(ev->cookie, of_call(nr) ^ 0x5555);
	CHECK_EQ(ev->gva, 0);
	CHECK_EQ(ev->gpa, 0);
	CHECK_EQ(ev->rip, mode_entry(v->mode));
	CHECK_EQ(ev->len, sizeof(want));
	CHECK_EQ(memcmp(ev->old, none, sizeof(none)), 0);
	CHECK_EQ(memcmp(ev->new_, want, sizeof(want)), 0);
}

/* Each action, and each verdict, of a call that the module answers. */
static void answered_here(long mode)
{
	struct vcpu *v = start(mode, &usual);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct judge j;
	uint32_t id;

	id = watch(mon, of_call(NR_SCHED_OP), VIGIL_ACTION_LOG);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0x22), 0);
	ev = mon_event(mon);
	check_call(v, &ev, NR_SCHED_OP, 0, 0x22);
	CHECK_EQ(ev.flags, 0);
	/* Another number is no event. */
	CHECK_EQ(call(v, NR_CONSOLE_IO, 0, 0), -XEN_ENOSYS);
	CHECK_NO_EVENT(mon);
	mon_del(mon, id);

	id = watch(mon, of_call(NR_SCHED_OP), VIGIL_ACTION_DENY);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0x22), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	mon_del(mon, id);

	id = watch(mon, of_call(NR_SCHED_OP), VIGIL_ACTION_ASK);
	for (int i = 0; i < 2; i++) {
		judge_start(&j, mon, 1,
			    i ? VIGIL_VERDICT_ALLOW : VIGIL_VERDICT_DENY);
		CHECK_EQ(call(v, NR_SCHED_OP, 0, 0x22), i ? 0 : -XEN_EPERM);
		judge_join(&j);
		check_call(v, &j.ev[0], NR_SCHED_OP, 0, 0x22);
		CHECK_EQ(j.ev[0].verdicts, 1 << VIGIL_VERDICT_ALLOW |
						   1 << VIGIL_VERDICT_DENY |
						   1 << VIGIL_VERDICT_KILL |
						   1 << VIGIL_VERDICT_PAUSE);
		CHECK_EQ(j.all_len, 6 * sizeof(uint64_t));
	}
	mon_del(mon, id);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* Nobody knows the call: it is an event, and then it fails. */
static void unknown(long mode)
{
	struct vcpu *v = start(mode, &usual);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	watch(mon, of_call(0xfffffff0), VIGIL_ACTION_LOG);
	CHECK_EQ(call(v, 0xfffffff0, 1, 2), -XEN_ENOSYS);
	ev = mon_event(mon);
	check_call(v, &ev, 0xfffffff0, 1, 2);
	/* Of a 64-bit number nothing is cut off. */
	if (is_wide(v))
		CHECK_EQ(call(v, 0x1fffffff0, 1, 2), -XEN_ENOSYS);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* User code whose call is refused anyway makes no event. */
static void by_user(long mode)
{
	struct vigil_hypercalls h = usual;
	struct vigil_event ev;
	struct vcpu *v;
	int mon;

	h.iopl = 3;
	h.user = 1ull << NR_SCHED_OP;
	v = start(mode, &h);
	mon = mon_open(v->vm);
	vcpu_enter_user(v);
	watch(mon, of_call(NR_SCHED_OP), VIGIL_ACTION_DENY);
	watch(mon, of_call(NR_CONSOLE_IO), VIGIL_ACTION_DENY);
	CHECK_EQ(call(v, NR_CONSOLE_IO, 0, 0), -XEN_EPERM);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.cpl, 3);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	close(mon);
	vm_destroy(v->vm);
}

/* Each entry of a multicall is a call: the second is refused, the third held. */
static void entries(long mode)
{
	struct vcpu *v = start(mode, &usual);
	const uint64_t list = GUEST_DATA + 0xff4;
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;
	uint64_t args[6];

	for (unsigned int i = 0; i < 4; i++) {
		set_word(v, list, i, 0,
			 i == 1 ? NR_CONSOLE_IO :
			 i == 2 ? NR_IOPL :
				  NR_SCHED_OP);
		set_word(v, list, i, 1, 0x77);
		for (unsigned int n = 0; n < 6; n++)
			set_word(v, list, i, 2 + n, n && i == 2 ? n : 0);
	}
	set_word(v, list, 2, 2, 9); /* no operation of NR_IOPL */
	watch(mon, of_call(NR_CONSOLE_IO), VIGIL_ACTION_DENY);
	watch(mon, of_call(NR_IOPL), VIGIL_ACTION_ASK);
	watch(mon, of_call(NR_MULTICALL), VIGIL_ACTION_DENY);
	load_call(v, NR_MULTICALL, list, 4);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.call, NR_CONSOLE_IO);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	ev = mon_event(mon);
	CHECK_EQ(ev.call, NR_IOPL);
	memcpy(args, ev.new_, sizeof(args));
	CHECK_EQ(args[0], 9);
	CHECK_EQ(args[5], 5);
	/* What was shown takes effect: not another number, nor other arguments. */
	set_word(v, list, 2, 0, NR_SCHED_OP);
	set_word(v, list, 2, 2, 0);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(result(v), 0);
	CHECK_EQ(entry_result(v, list, 0), 0);
	CHECK_EQ(entry_result(v, list, 1), -XEN_EPERM);
	CHECK_EQ(entry_result(v, list, 2), -XEN_EINVAL);
	CHECK_EQ(entry_result(v, list, 3), 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* A call that the VMM answers goes to it behind the verdict, and not without. */
static void to_vmm(long mode)
{
	struct vigil_hypercalls h = usual;
	struct vigil_event ev;
	struct runner r;
	struct vcpu *v;
	int mon;

	h.flags |= VIGIL_HC_EXIT_XEN;
	v = start(mode, &h);
	mon = mon_open(v->vm);
	watch(mon, of_call(NR_CONSOLE_IO), VIGIL_ACTION_ASK);
	for (int i = 0; i < 2; i++) {
		load_call(v, NR_CONSOLE_IO, 7, 8);
		runner_start(&r, v);
		ev = mon_event(mon);
		check_call(v, &ev, NR_CONSOLE_IO, 7, 8);
		CHECK_EQ(mon_verdict(mon, ev.seq,
				     i ? VIGIL_VERDICT_ALLOW :
					 VIGIL_VERDICT_DENY),
			 0);
		runner_join(&r, i ? STOP_OTHER : STOP_END);
		if (!i) {
			CHECK_EQ(result(v), -XEN_EPERM);
			continue;
		}
		REQUIRE_EQ(v->run->exit_reason, KVM_EXIT_XEN);
		CHECK_EQ(v->run->xen.u.hcall.input, NR_CONSOLE_IO);
		CHECK_EQ(v->run->xen.u.hcall.params[1], 8);
		v->run->xen.u.hcall.result = 42;
		EXPECT(v, STOP_END);
		CHECK_EQ(result(v), 42);
	}
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* The call, and what it changes, are two events; the VMM looks at registers in between. */
static void change_too(long mode)
{
	struct vcpu *v = start(mode, &usual);
	const struct vigil_iopl arg = { .iopl = 3, .scope = VIGIL_IOPL_VM };
	int mon = mon_open(v->vm);
	struct vigil_hypercalls h;
	struct vigil_event ev;
	struct runner r;

	memcpy(vm_ram(v->vm, GUEST_LOW, sizeof(arg)), &arg, sizeof(arg));
	watch(mon, of_call(NR_IOPL), VIGIL_ACTION_ASK);
	watch(mon, VIGIL_CONTROL_IOPL, VIGIL_ACTION_ASK);
	load_call(v, NR_IOPL, VIGIL_IOPL_SET, GUEST_LOW);
	ev = hold_outside(v, mon);
	check_call(v, &ev, NR_IOPL, VIGIL_IOPL_SET, GUEST_LOW);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_start(&r, v);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_IOPL, NR_IOPL, 0, 1);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ(result(v), 0);
	CHECK_NO_EVENT(mon);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.iopl, 3);
	close(mon);
	vm_destroy(v->vm);
}

/* The VMM gives the held vCPU other registers: the event is withdrawn. */
static void withdrawn(long kvm)
{
	struct vcpu *v;
	struct vigil_event ev;
	int mon;

	v = start(M_LONG, kvm ? &(const struct vigil_hypercalls){ 0 } : &usual);
	mon = mon_open(v->vm);
	watch(mon, of_call(NR_SCHED_OP), VIGIL_ACTION_ASK);
	load_call(v, NR_SCHED_OP, 0, 0);
	ev = hold_outside(v, mon);
	load_call(v, NR_CONSOLE_IO, 0, 0);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), kvm ? -KVM_ENOSYS : -XEN_ENOSYS);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- KVM's hypercalls ---- */

/* KVM has the arguments in these registers in every mode. */
static void load_kvm_call(struct vcpu *v, uint64_t nr, uint64_t a, uint64_t b)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rax = nr;
	r.rbx = a;
	r.rcx = b;
	r.rdx = 0x33;
	r.rsi = 0x44;
	r.rdi = 0x55;
	r.rbp = 0x66;
	set_regs(v, &r);
}

static void of_kvm(long mode)
{
	struct vcpu *v = start(mode, &(const struct vigil_hypercalls){ 0 });
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;
	uint32_t id;

	id = watch(mon, of_call(5), VIGIL_ACTION_LOG);
	load_kvm_call(v, 5, 1, 2);
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), -KVM_ENOSYS);
	ev = mon_event(mon);
	check_call(v, &ev, 5, 1, 2);
	mon_del(mon, id);
	watch(mon, of_call(5), VIGIL_ACTION_ASK);
	for (int i = 0; i < 2; i++) {
		load_kvm_call(v, 5, 1, 2);
		runner_start(&r, v);
		ev = mon_event(mon);
		check_call(v, &ev, 5, 1, 2);
		CHECK_EQ(mon_verdict(mon, ev.seq,
				     i ? VIGIL_VERDICT_ALLOW :
					 VIGIL_VERDICT_DENY),
			 0);
		runner_join(&r, STOP_END);
		CHECK_EQ(result(v), i ? -KVM_ENOSYS : -KVM_EPERM);
	}
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* The VMM has asked for the call: it gets it behind the verdict. */
static void of_kvm_to_vmm(long unused)
{
	struct vcpu *v = start(M_LONG, &(const struct vigil_hypercalls){ 0 });
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_EXIT_HYPERCALL,
		.args[0] = 1 << KVM_MAP_GPA_RANGE,
	};
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	CHECK_OK(ioctl(v->vm->fd, KVM_ENABLE_CAP, &cap));
	watch(mon, of_call(KVM_MAP_GPA_RANGE), VIGIL_ACTION_ASK);
	load_kvm_call(v, KVM_MAP_GPA_RANGE, 0x1000, 1);
	runner_start(&r, v);
	ev = mon_event(mon);
	check_call(v, &ev, KVM_MAP_GPA_RANGE, 0x1000, 1);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_OTHER);
	REQUIRE_EQ(v->run->exit_reason, KVM_EXIT_HYPERCALL);
	CHECK_EQ(v->run->hypercall.nr, KVM_MAP_GPA_RANGE);
	CHECK_EQ(v->run->hypercall.args[0], 0x1000);
	v->run->hypercall.ret = 0;
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), 0);
	close(mon);
	vm_destroy(v->vm);
}

static void arguments(long unused)
{
	struct vcpu *v = start(M_LONG, &usual);
	int mon = mon_open(v->vm);
	struct vigil_condition c = { .tests = VIGIL_COND_CHANGED };
	struct vigil_watch w;

	w = control(of_call(1ull << 32), VIGIL_ACTION_LOG);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), EINVAL);
	w = control(of_call(1), VIGIL_ACTION_LOG);
	w.len = 2;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), EINVAL);
	w = control(of_call(1), VIGIL_ACTION_LOG);
	w.conditions = (uintptr_t)&c;
	w.nr_conditions = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), EINVAL);
	/* A condition lets those of ring 0 pass. */
	c = (struct vigil_condition){ .tests = VIGIL_COND_CPL,
				      .cpl = 1,
				      .action = VIGIL_ACTION_PASS };
	w = control(of_call(NR_SCHED_OP), VIGIL_ACTION_DENY);
	w.conditions = (uintptr_t)&c;
	w.nr_conditions = 1;
	mon_add(mon, w);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 1);
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_PROT("a call that the module answers", answered_here),
		{ "a call that the module answers (real)", answered_here,
		  M_REAL },
		CASE_PAGED("a call that nobody knows", unknown),
		CASE_PAGED("calls of user code", by_user),
		CASE_PROT("entries of a multicall", entries),
		CASE_PAGED("a call that the VMM answers", to_vmm),
		CASE_PROT("a call that changes a control", change_too),
		{ "the event is withdrawn", withdrawn, false },
		{ "the event is withdrawn (KVM's)", withdrawn, true },
		CASE_PROT("KVM's hypercalls", of_kvm),
		{ "KVM's hypercalls (real)", of_kvm, M_REAL },
		{ "KVM's hypercalls, which the VMM answers", of_kvm_to_vmm },
		{ "arguments", arguments },
		{}
	};

	return test_main(argc, argv, cases);
}
