// SPDX-License-Identifier: GPL-2.0
/*
 * A monitor is told of what a guest's kernel changes about its CPU, and refuses it: IDTR,
 * GDTR, LDTR, TR, CR0, CR3, CR4 and MSRs.
 */
#include <signal.h>
#include <sys/wait.h>

#include "../pv/ctl_mon.h"
#include "../segments/tasks.h"

#define GP 13
#define PF 14
#define MSR_SYSENTER_EIP 0x176
#define MSR_EFER 0xc0000080
#define MSR_LSTAR 0xc0000082
#define MSR_FS_BASE 0xc0000100
#define OPERAND (GUEST_LOW + 0x10) /* of LIDT and LGDT */
#define COUNT (GUEST_DATA + 0x100) /* what the loops count */
#define NEW_LDT SEL_FREE
#define NEW_TSS (SEL_FREE + 0x10)

/* One way to change a control. The bytes mean the same in code of any width. */
static const struct way {
	uint64_t control;
	uint8_t insn[3];
	uint8_t len;
	bool protected_mode; /* real mode does not have it */
} ways[] = {
	{ VIGIL_CONTROL_IDTR, { 0x0f, 0x01, 0x1f }, 3, false }, /* LIDT */
	{ VIGIL_CONTROL_GDTR, { 0x0f, 0x01, 0x17 }, 3, false }, /* LGDT */
	{ VIGIL_CONTROL_LDTR, { 0x0f, 0x00, 0xd0 }, 3, true }, /* LLDT AX */
	{ VIGIL_CONTROL_TR, { 0x0f, 0x00, 0xd8 }, 3, true }, /* LTR AX */
	{ VIGIL_CONTROL_CR0, { 0x0f, 0x22, 0xc0 }, 3, false }, /* MOV CR0 */
	{ VIGIL_CONTROL_CR0, { 0x0f, 0x01, 0xf0 }, 3, false }, /* LMSW AX */
	{ VIGIL_CONTROL_CR3, { 0x0f, 0x22, 0xd8 }, 3, false },
	{ VIGIL_CONTROL_CR4, { 0x0f, 0x22, 0xe0 }, 3, false },
	{ VIGIL_CONTROL_OF_MSR(MSR_LSTAR), { 0x0f, 0x30 }, 2, false },
	{ VIGIL_CONTROL_OF_MSR(MSR_SYSENTER_EIP), { 0x0f, 0x30 }, 2, false },
	{ VIGIL_CONTROL_OF_MSR(MSR_EFER), { 0x0f, 0x30 }, 2, false },
};

enum { LIDT, LGDT, LLDT, LTR, CR0, LMSW, CR3, CR4, LSTAR, SYSENTER_EIP };

static unsigned int control_of(const struct way *w)
{
	return w->control & 0xff;
}

static uint32_t msr_of(const struct way *w)
{
	return w->control >> 8;
}

/* ---- what a control holds ---- */

union value {
	uint64_t word;
	struct vigil_table table;
};

static struct vigil_table dtable(const struct kvm_dtable *dt)
{
	return (struct vigil_table){ .base = dt->base, .limit = dt->limit };
}

static struct vigil_table segment(const struct kvm_segment *s)
{
	return (struct vigil_table){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
	};
}

static uint64_t get_msr(struct vcpu *v, uint32_t msr)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head.nmsrs = 1, .entry.index = msr };

	REQUIRE_EQ(ioctl(v->fd, KVM_GET_MSRS, &m), 1);
	return m.entry.data;
}

static union value value_of(struct vcpu *v, const struct way *w)
{
	union value r = { 0 };
	struct kvm_sregs s;

	get_sregs(v, &s);
	switch (control_of(w)) {
	case VIGIL_CONTROL_IDTR:
		r.table = dtable(&s.idt);
		break;
	case VIGIL_CONTROL_GDTR:
		r.table = dtable(&s.gdt);
		break;
	case VIGIL_CONTROL_LDTR:
		r.table = segment(&s.ldt);
		break;
	case VIGIL_CONTROL_TR:
		r.table = segment(&s.tr);
		break;
	case VIGIL_CONTROL_CR0:
		r.word = s.cr0;
		break;
	case VIGIL_CONTROL_CR3:
		r.word = s.cr3;
		break;
	case VIGIL_CONTROL_CR4:
		r.word = s.cr4;
		break;
	default:
		r.word = get_msr(v, msr_of(w));
	}
	return r;
}

static unsigned int len_of(const struct way *w)
{
	return control_of(w) <= VIGIL_CONTROL_TR ? sizeof(struct vigil_table) :
						   sizeof(uint64_t);
}

#define CHECK_VALUE(v, w, want)                         \
	do {                                            \
		const union value is_ = value_of(v, w); \
		CHECK(!memcmp(&is_, want, len_of(w)));  \
	} while (0)

/* ---- instructions that change it ---- */

static void put_descriptor(struct vm *vm, unsigned int sel, uint32_t base,
			   uint32_t limit, unsigned int type)
{
	gdt_set(vm, sel, base, limit, D_P | D_TYPE(type));
	wr64(vm, GUEST_GDT + sel + 8, 0);
}

static void put_table(struct vm *vm, uint64_t base, uint16_t limit)
{
	memcpy(vm_ram(vm, OPERAND, 2), &limit, 2);
	memcpy(vm_ram(vm, OPERAND + 2, 8), &base, 8);
}

/*
 * Puts a way's operand where the instruction finds it: in memory, or *@rax. Returns what
 * the control has then.
 */
static union value prepare(struct vcpu *v, const struct way *w, uint64_t *rax)
{
	union value r = value_of(v, w);

	switch (w - ways) {
	case LIDT:
	case LGDT:
		r.table.limit ^= 0x800;
		put_table(v->vm, r.table.base, r.table.limit);
		return r;
	case LLDT:
		r.table = (struct vigil_table){ GUEST_LDT, 0x77, NEW_LDT, 0 };
		put_descriptor(v->vm, NEW_LDT, GUEST_LDT, 0x77, 2);
		*rax = NEW_LDT;
		return r;
	case LTR:
		r.table = (struct vigil_table){ GUEST_TSS, 0x67, NEW_TSS, 0 };
		put_descriptor(v->vm, NEW_TSS, GUEST_TSS, 0x67, 9);
		*rax = NEW_TSS;
		return r;
	case CR0:
		r.word ^= CR0_AM | CR0_TS;
		break;
	case LMSW:
		r.word |= CR0_MP;
		break;
	case CR3:
		r.word ^= PTE_PWT;
		break;
	case CR4:
		r.word ^= CR4_DE;
		break;
	case LSTAR:
		r.word = 0xffff800012345678;
		break;
	case SYSENTER_EIP:
		r.word = 0x12345678;
		break;
	default: /* EFER.SCE */
		r.word ^= 1;
	}
	*rax = r.word;
	return r;
}

/* The next KVM_RUN executes the instruction, and ends behind it. */
static void at_insn(struct vcpu *v, const struct way *w, uint64_t rax)
{
	const uint8_t end[] = { 0xe6, PORT_END };
	struct kvm_regs r;

	vcpu_settle(v);
	memcpy(vm_ram(v->vm, GUEST_CODE, w->len), w->insn, w->len);
	memcpy(vm_ram(v->vm, GUEST_CODE + w->len, sizeof(end)), end,
	       sizeof(end));
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rsp = v->id ? GUEST_STACK_AP : GUEST_STACK;
	r.rax = rax;
	r.rdx = rax >> 32;
	r.rcx = msr_of(w);
	r.rdi = OPERAND;
	r.rbx = OPERAND;
	set_regs(v, &r);
}

static struct vcpu *begin(long mode)
{
	static const char nothing[] = "\xe6\xf4";

	if (!dev_has_mode(mode))
		SKIP("the device has no such mode");
	return guest_start(mode, nothing, nothing + 2);
}

static bool has(long mode, const struct way *w)
{
	return !w->protected_mode || (mode != M_REAL && mode != M_BIGREAL);
}

static void check_change(struct vcpu *v, const struct way *w,
			 const struct vigil_event *ev, unsigned int flags,
			 const union value *old, const union value *new_)
{
	bool msr = control_of(w) == VIGIL_CONTROL_MSR;

	CHECK_EQ(ev->kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(ev->control, control_of(w));
	CHECK_EQ(ev->cookie, w->control ^ 0x5555);
	CHECK_EQ(ev->call, 0);
	CHECK_EQ(ev->first, msr_of(w));
	CHECK_EQ(ev->count, 1);
	CHECK_EQ(ev->gva, 0);
	CHECK_EQ(ev->gpa, 0);
	CHECK_EQ(ev->flags, flags | (msr ? 0 : VIGIL_EVENT_INSN_VALID));
	CHECK_EQ(ev->len, len_of(w));
	CHECK(!memcmp(ev->old, old, len_of(w)));
	CHECK(!memcmp(ev->new_, new_, len_of(w)));
	CHECK_EQ(ev->rip, mode_entry(v->mode));
	CHECK_EQ(ev->cpl, 0);
	CHECK_EQ(ev->insn_len, msr ? 0 : w->len);
	CHECK(!memcmp(ev->insn, w->insn, ev->insn_len));
}

#define for_each_way(w) for (w = ways; w < ways + ARRAY_SIZE(ways); w++)

/* ---- log and deny ---- */

static void logged(long mode)
{
	const struct way *w;

	for_each_way(w)
	{
		struct vcpu *v;
		union value old, new_;
		struct vigil_event ev;
		uint64_t rax = 0;
		uint32_t id;
		int mon;

		if (!has(mode, w))
			continue;
		v = begin(mode);
		mon = mon_open(v->vm);
		old = value_of(v, w);
		new_ = prepare(v, w, &rax);
		id = watch(mon, w->control, VIGIL_ACTION_LOG);
		at_insn(v, w, rax);
		EXPECT(v, STOP_END);
		ev = mon_event(mon);
		check_change(v, w, &ev, 0, &old, &new_);
		CHECK_VALUE(v, w, &new_);
		/* The same again changes nothing. */
		if (w - ways == LTR)
			prepare(v, w, &rax);
		at_insn(v, w, rax);
		EXPECT(v, STOP_END);
		CHECK_NO_EVENT(mon);
		/* Nobody watches any more. */
		mon_del(mon, id);
		new_ = prepare(v, w, &rax);
		at_insn(v, w, rax);
		EXPECT(v, STOP_END);
		CHECK_NO_EVENT(mon);
		CHECK_VALUE(v, w, &new_);
		close(mon);
		vm_destroy(v->vm);
	}
}

static void denied(long mode)
{
	const struct way *w;

	for_each_way(w)
	{
		struct vcpu *v;
		union value old, new_;
		struct vigil_event ev;
		struct kvm_regs before, after;
		uint64_t rax = 0;
		int mon;

		if (!has(mode, w))
			continue;
		v = begin(mode);
		mon = mon_open(v->vm);
		old = value_of(v, w);
		new_ = prepare(v, w, &rax);
		watch(mon, w->control, VIGIL_ACTION_DENY);
		at_insn(v, w, rax);
		get_regs(v, &before);
		EXPECT(v, STOP_END);
		ev = mon_event(mon);
		check_change(v, w, &ev, VIGIL_EVENT_DENIED, &old, &new_);
		CHECK_VALUE(v, w, &old);
		vcpu_settle(v);
		get_regs(v, &after);
		CHECK_EQ(after.rip, before.rip + w->len + 2);
		before.rip = after.rip;
		CHECK(!memcmp(&before, &after, sizeof(before)));
		CHECK_NO_EVENT(mon);
		close(mon);
		vm_destroy(v->vm);
	}
}

/* ---- ask ---- */

/* What the monitor is shown takes effect, whatever becomes of the operand. */
static void asked(long mode)
{
	const struct way *w;

	for_each_way(w)
	{
		struct vcpu *v;
		int mon;

		if (!has(mode, w))
			continue;
		v = begin(mode);
		mon = mon_open(v->vm);
		watch(mon, w->control, VIGIL_ACTION_ASK);
		for (int verdict = VIGIL_VERDICT_DENY;
		     verdict >= VIGIL_VERDICT_ALLOW; verdict--) {
			union value old = value_of(v, w), all, new_;
			struct vigil_event ev;
			uint64_t rax = 0;
			struct runner r;

			new_ = prepare(v, w, &rax);
			at_insn(v, w, rax);
			runner_start(&r, v);
			ev = mon_event(mon);
			check_change(v, w, &ev, VIGIL_EVENT_HELD, &old, &new_);
			CHECK_EQ(read_change(mon, ev.seq, &all, sizeof(all)),
				 len_of(w));
			CHECK(!memcmp(&all, &new_, len_of(w)));
			put_table(v->vm, 0x1234, 0x5678);
			put_descriptor(v->vm, NEW_LDT, 0x1234, 0x56, 2);
			CHECK_EQ(mon_verdict(mon, ev.seq, verdict), 0);
			runner_join(&r, STOP_END);
			CHECK_VALUE(v, w,
				    verdict == VIGIL_VERDICT_ALLOW ? &new_ :
								     &old);
			CHECK_NO_EVENT(mon);
		}
		close(mon);
		vm_destroy(v->vm);
	}
}

/*
 * The VMM leaves while a change is held, and comes back; or gives the vCPU other
 * registers, and the event is withdrawn: the guest executes the instruction again.
 */
static void withdrawn(long way)
{
	const struct way *w = &ways[way];

	for (int replace = 0; replace < 2; replace++) {
		struct vcpu *v = begin(M_LONG);
		int mon = mon_open(v->vm);
		struct vigil_event ev;
		union value old, new_;
		uint64_t rax = 0;
		struct kvm_regs r;
		struct judge j;

		old = value_of(v, w);
		new_ = prepare(v, w, &rax);
		watch(mon, w->control, VIGIL_ACTION_ASK);
		at_insn(v, w, rax);
		ev = hold_outside(v, mon);
		get_regs(v, &r);
		CHECK_EQ(r.rip, ev.rip);
		CHECK_VALUE(v, w, &old);
		if (replace) {
			set_regs(v, &r);
			CHECK_ERRNO(mon_verdict(mon, ev.seq,
						VIGIL_VERDICT_DENY),
				    ENOENT);
			judge_start(&j, mon, 1, VIGIL_VERDICT_ALLOW);
			EXPECT(v, STOP_END);
			judge_join(&j);
			CHECK_EQ(j.ev[0].seq, ev.seq + 1);
		} else {
			CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW),
				 0);
			EXPECT(v, STOP_END);
			CHECK_NO_EVENT(mon);
		}
		CHECK_VALUE(v, w, &new_);
		close(mon);
		vm_destroy(v->vm);
	}
}

/* A watch that is added while a change is held also decides about it. */
static void added(long way)
{
	const struct way *w = &ways[way];
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	union value old = value_of(v, w), new_;
	struct vigil_event ev;
	uint64_t rax = 0;
	uint32_t ask, deny;
	struct runner r;

	new_ = prepare(v, w, &rax);
	ask = watch(mon, w->control, VIGIL_ACTION_ASK);
	at_insn(v, w, rax);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, ask);
	deny = watch(mon, w->control, VIGIL_ACTION_DENY);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, deny);
	check_change(v, w, &ev, VIGIL_EVENT_DENIED, &old, &new_);
	CHECK_VALUE(v, w, &old);
	close(mon);
	vm_destroy(v->vm);
}

/* A monitor in another process is killed while it is asked. */
static void killed(long way)
{
	const struct way *w = &ways[way];

	for (unsigned int on_death = VIGIL_ON_DEATH_ALLOW;
	     on_death <= VIGIL_ON_DEATH_DENY; on_death++) {
		struct vigil_watch u = control(w->control, VIGIL_ACTION_ASK);
		struct vcpu *v = begin(M_LONG);
		int mon = mon_open(v->vm), pipe_fd[2];
		union value old, new_;
		uint64_t rax = 0;
		struct runner r;
		pid_t pid;
		char c = 0;

		old = value_of(v, w);
		new_ = prepare(v, w, &rax);
		u.on_death = on_death;
		mon_add(mon, u);
		if (pipe(pipe_fd))
			ERROR("no pipe");
		pid = fork();
		if (pid < 0)
			ERROR("no process");
		if (!pid) {
			c = mon_event(mon).flags & VIGIL_EVENT_HELD ? 'h' : '?';
			if (write(pipe_fd[1], &c, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(mon);
		at_insn(v, w, rax);
		runner_start(&r, v);
		REQUIRE_EQ(read(pipe_fd[0], &c, 1), 1);
		CHECK_EQ(c, 'h');
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		runner_join(&r, STOP_END);
		CHECK_VALUE(v, w,
			    on_death == VIGIL_ON_DEATH_ALLOW ? &new_ : &old);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		vm_destroy(v->vm);
	}
}

/* ---- what is no event ---- */

static void watch_all(int mon)
{
	const struct way *w;

	for_each_way(w) watch(mon, w->control, VIGIL_ACTION_LOG);
}

#define EXPECT_FAULT(v, mon, way, rax, vector, error)             \
	do {                                                      \
		const union value was_ = value_of(v, &ways[way]); \
		at_insn(v, &ways[way], rax);                      \
		EXPECT_EXC(v, vector, error);                     \
		CHECK_NO_EVENT(mon);                              \
		CHECK_VALUE(v, &ways[way], &was_);                \
	} while (0)

static void faults(long unused)
{
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	struct kvm_sregs s;
	uint64_t rax;

	watch_all(mon);
	get_sregs(v, &s);
	put_table(v->vm, 1ull << 62, 0xff);
	EXPECT_FAULT(v, mon, LGDT, 0, GP, 0);
	EXPECT_FAULT(v, mon, LIDT, 0, GP, 0);
	EXPECT_FAULT(v, mon, LLDT, SEL_DATA, GP, SEL_DATA);
	EXPECT_FAULT(v, mon, LTR, 0, GP, 0);
	EXPECT_FAULT(v, mon, CR0, s.cr0 & ~CR0_PE, GP, 0);
	EXPECT_FAULT(v, mon, CR3, s.cr3 | 1ull << 62, GP, 0);
	EXPECT_FAULT(v, mon, CR4, s.cr4 & ~CR4_PAE, GP, 0);
	EXPECT_FAULT(v, mon, CR4, s.cr4 | 1ull << 62, GP, 0);
	EXPECT_FAULT(v, mon, LSTAR, 1ull << 62, GP, 0);
	/* EFER.LME cannot change while the guest is paged. */
	EXPECT_FAULT(v, mon, SYSENTER_EIP + 1, s.efer & ~EFER_LME, GP, 0);
	/* A user may do none of it. */
	vcpu_settle(v);
	vcpu_enter_user(v);
	for (const struct way *w = ways; w < ways + ARRAY_SIZE(ways); w++) {
		rax = 0;
		prepare(v, w, &rax);
		at_insn(v, w, rax);
		EXPECT_EXC(v, GP, 0);
		CHECK_NO_EVENT(mon);
		vcpu_settle(v);
		vcpu_set_mode(v, M_LONG);
		vcpu_enter_user(v);
	}
	close(mon);
	vm_destroy(v->vm);
}

/*
 * Intel's CPUs refuse an address for SYSENTER that is not canonical. AMD's take any, and
 * which of the upper bits they keep is theirs. A watch does not change that.
 */
static void any_address(long unused)
{
	const uint64_t address = 1ull << 62 | 0x1234;
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	watch(mon, VIGIL_CONTROL_OF_MSR(MSR_SYSENTER_EIP), VIGIL_ACTION_LOG);
	if (test_on_svm()) {
		at_insn(v, &ways[SYSENTER_EIP], address);
		EXPECT(v, STOP_END);
		ev = mon_event(mon);
		CHECK_EQ(ev.first, MSR_SYSENTER_EIP);
		CHECK_EQ(bytes64(ev.new_), address);
		CHECK_EQ((uint32_t)get_msr(v, MSR_SYSENTER_EIP), 0x1234);
	} else {
		EXPECT_FAULT(v, mon, SYSENTER_EIP, address, GP, 0);
	}
	close(mon);
	vm_destroy(v->vm);
}

/* CR3 leads to a table with a reserved bit. */
static void bad_pdpte(long unused)
{
	struct vcpu *v = begin(M_PAE);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	watch_all(mon);
	memset(vm_ram(v->vm, GUEST_FREE, 32), 0, 32);
	wr64(v->vm, GUEST_FREE + 8, PTE_P | PTE_U);
	EXPECT_FAULT(v, mon, CR3, GUEST_FREE, GP, 0);
	/* What is valid is told, even where it does not lead to the next instruction. */
	wr64(v->vm, GUEST_FREE + 8, 0);
	at_insn(v, &ways[CR3], GUEST_FREE);
	EXPECT(v, STOP_SHUTDOWN);
	ev = mon_event(mon);
	CHECK_EQ(ev.control, VIGIL_CONTROL_CR3);
	CHECK_EQ(bytes64(ev.new_), GUEST_FREE);
	close(mon);
	vm_destroy(v->vm);
}

/* Kernels switch CR0.TS all the time. */
static void only_ts(long mode)
{
	static const struct way clts = { .insn = { 0x0f, 0x06 }, .len = 2 };
	struct vcpu *v = begin(mode);
	int mon = mon_open(v->vm);
	struct kvm_sregs s;

	watch(mon, VIGIL_CONTROL_CR0, VIGIL_ACTION_DENY);
	get_sregs(v, &s);
	at_insn(v, &ways[CR0], s.cr0 | CR0_TS);
	EXPECT(v, STOP_END);
	CHECK_EQ(value_of(v, &ways[CR0]).word, s.cr0 | CR0_TS);
	at_insn(v, &clts, 0);
	EXPECT(v, STOP_END);
	CHECK_EQ(value_of(v, &ways[CR0]).word, s.cr0);
	at_insn(v, &ways[LMSW], s.cr0 | CR0_TS);
	EXPECT(v, STOP_END);
	CHECK_EQ(value_of(v, &ways[CR0]).word, s.cr0 | CR0_TS);
	CHECK_NO_EVENT(mon);
	/* The VMM's own changes are none either. */
	s.cr0 |= CR0_AM;
	vcpu_settle(v);
	set_sregs(v, &s);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* A watch of one MSR is about no other one. */
static void other_msr(long unused)
{
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	watch(mon, VIGIL_CONTROL_OF_MSR(MSR_LSTAR), VIGIL_ACTION_DENY);
	at_insn(v, &ways[SYSENTER_EIP], 0x1000);
	EXPECT(v, STOP_END);
	CHECK_EQ(get_msr(v, MSR_SYSENTER_EIP), 0x1000);
	CHECK_NO_EVENT(mon);
	watch(mon, VIGIL_CONTROL_OF_MSR(MSR_SYSENTER_EIP), VIGIL_ACTION_LOG);
	at_insn(v, &ways[LSTAR], 0x1000);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.first, MSR_LSTAR);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	at_insn(v, &ways[SYSENTER_EIP], 0x2000);
	EXPECT(v, STOP_END);
	ev = mon_event(mon);
	CHECK_EQ(ev.first, MSR_SYSENTER_EIP);
	CHECK_EQ(ev.flags, 0);
	CHECK_EQ(get_msr(v, MSR_SYSENTER_EIP), 0x2000);
	close(mon);
	vm_destroy(v->vm);
}

/* What a task switch changes is told, and neither held nor refused. */
static void task_switch(long unused)
{
	const struct way *tr = &ways[LTR], *ldtr = &ways[LLDT];
	struct vigil_event ev;
	struct machine m;
	union value v;
	int mon;

	start(&m, M_PG32);
	mon = mon_open(m.vm);
	watch(mon, VIGIL_CONTROL_TR, VIGIL_ACTION_DENY);
	watch(mon, VIGIL_CONTROL_CR3, VIGIL_ACTION_ASK);
	watch(mon, VIGIL_CONTROL_LDTR, VIGIL_ACTION_ASK);
	watch(mon, VIGIL_CONTROL_CR0, VIGIL_ACTION_DENY);
	jump_by_device(&m);
	vcpu_settle(m.v);
	ev = mon_event(mon);
	CHECK_EQ(ev.control, VIGIL_CONTROL_TR);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED), 0);
	v = value_of(m.v, tr);
	CHECK_EQ(v.table.selector, SEL_NEW);
	CHECK(!memcmp(ev.new_, &v, sizeof(v)));
	ev = mon_event(mon);
	CHECK_EQ(ev.control, VIGIL_CONTROL_CR3);
	CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED), 0);
	CHECK_EQ(bytes64(ev.old), m.old_cr3);
	CHECK_EQ(bytes64(ev.new_), m.pt.root);
	CHECK_EQ(value_of(m.v, &ways[CR3]).word, m.pt.root);
	for (int i = 0; i < 2; i++) {
		ev = mon_event(mon);
		CHECK_EQ(ev.control, VIGIL_CONTROL_LDTR);
		CHECK_EQ(ev.flags & (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED), 0);
	}
	v = value_of(m.v, ldtr);
	CHECK_EQ(v.table.selector, SEL_LDT);
	CHECK(!memcmp(ev.new_, &v, sizeof(v)));
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(m.vm);
}

/* ---- exits ---- */

/*
 * Loads the table at rDI, then the one at rSI, counts in memory, and so on until there is
 * something at rBX.
 */
static const char load_loop[] = "\x0f\x01\x1f" /* lidt (%rdi) */
				"\x0f\x01\x1e" /* lidt (%rsi) */
				"\xff\x02" /* incl (%rdx) */
				"\x83\x3b\x00" /* cmpl $0, (%rbx) */
				"\x74\xf3" /* je */
				"\xe6\xf4";
/* Writes the MSR in ECX, EDI times. */
static const char msr_loop[] = "\x0f\x30\xff\xcf\x75\xfa\xe6\xf4";

static void load(struct vcpu *v, const char *code, size_t len, uint64_t at,
		 const struct kvm_regs *regs)
{
	struct kvm_regs r;

	vcpu_settle(v);
	memcpy(vm_ram(v->vm, at, len), code, len);
	get_regs(v, &r);
	r.rip = at;
	r.rcx = regs->rcx;
	r.rdx = regs->rdx;
	r.rbx = regs->rbx;
	r.rsi = regs->rsi;
	r.rdi = regs->rdi;
	r.rax = regs->rax;
	set_regs(v, &r);
}

#define WRITES 3000

/* How many exits do so many writes of the MSR cost? */
static uint64_t exits_of_writes(struct vcpu *v, int mon, uint32_t msr)
{
	const struct kvm_regs r = { .rcx = msr, .rdi = WRITES, .rax = 0x1000 };
	uint64_t before;

	load(v, msr_loop, sizeof(msr_loop) - 1, GUEST_CODE, &r);
	before = mon_stat(mon, "exits");
	EXPECT(v, STOP_END);
	return mon_stat(mon, "exits") - before;
}

/* Only what is watched exits, and only while it is. */
static void msr_exits(long unused)
{
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	uint32_t id;

	CHECK(exits_of_writes(v, mon, MSR_SYSENTER_EIP) < WRITES / 2);
	id = watch(mon, VIGIL_CONTROL_OF_MSR(MSR_SYSENTER_EIP),
		   VIGIL_ACTION_LOG);
	CHECK(exits_of_writes(v, mon, MSR_SYSENTER_EIP) >= WRITES);
	CHECK(exits_of_writes(v, mon, MSR_FS_BASE) < WRITES / 2);
	mon_del(mon, id);
	CHECK(exits_of_writes(v, mon, MSR_SYSENTER_EIP) < WRITES / 2);
	watch(mon, VIGIL_CONTROL_IDTR, VIGIL_ACTION_LOG);
	CHECK(exits_of_writes(v, mon, MSR_SYSENTER_EIP) < WRITES / 2);
	close(mon);
	/* A monitor that goes away takes its exits with it. */
	mon = mon_open(v->vm);
	watch(mon, VIGIL_CONTROL_OF_MSR(MSR_SYSENTER_EIP), VIGIL_ACTION_LOG);
	close(mon);
	mon = mon_open(v->vm);
	CHECK(exits_of_writes(v, mon, MSR_SYSENTER_EIP) < WRITES / 2);
	close(mon);
	vm_destroy(v->vm);
}

static void start_loads(struct vcpu *v, struct runner *r, unsigned int n)
{
	const struct kvm_regs regs = {
		.rdi = OPERAND,
		.rsi = OPERAND + 0x10,
		.rdx = COUNT + 8 * n,
		.rbx = COUNT + 0x80,
	};

	wr32(v->vm, COUNT + 8 * n, 0);
	load(v, load_loop, sizeof(load_loop) - 1, GUEST_CODE, &regs);
	runner_start(r, v);
}

static uint64_t loads(struct vm *vm, unsigned int nr)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr; i++)
		sum += rd32(vm, COUNT + 8 * i);
	return sum;
}

/* Waits until each of the vCPUs has come on by so many loads. */
static void await_loads(struct vm *vm, unsigned int nr, unsigned int more)
{
	uint32_t from[2];
	unsigned int i;

	for (i = 0; i < nr; i++)
		from[i] = rd32(vm, COUNT + 8 * i);
	for (i = 0; i < nr; i++)
		while (rd32(vm, COUNT + 8 * i) - from[i] < more)
			sched_yield();
}

/*
 * Two vCPUs load tables while watches come and go: from when a watch is there until it
 * is deleted, each load is told, and no other is. The second vCPU may be made while the
 * watch is there already.
 */
static void two_vcpus(long later)
{
	struct vcpu *v[2] = { begin(M_LONG) };
	struct vm *vm = v[0]->vm;
	unsigned int rounds = test_rounds(20);
	int mon = mon_open(vm);
	struct runner r[2];
	uint32_t id;

	put_table(vm, GUEST_IDT, 0xfff);
	memcpy(vm_ram(vm, OPERAND + 0x10, 10), vm_ram(vm, OPERAND, 10), 10);
	*(uint16_t *)vm_ram(vm, OPERAND + 0x10, 2) = 0x7ff;
	wr32(vm, COUNT + 0x80, 0);
	id = watch(mon, VIGIL_CONTROL_IDTR, VIGIL_ACTION_LOG);
	if (!later)
		mon_del(mon, id);
	v[1] = vcpu_create(vm);
	vcpu_set_mode(v[1], M_LONG);
	if (later)
		mon_del(mon, id);
	start_loads(v[0], &r[0], 0);
	start_loads(v[1], &r[1], 1);
	while (rounds--) {
		uint64_t before, there, end, behind, hits, told, last;

		await_loads(vm, 2, 10);
		hits = mon_stat(mon, "watch_hits");
		before = loads(vm, 2);
		id = watch(mon, VIGIL_CONTROL_IDTR, VIGIL_ACTION_LOG);
		there = loads(vm, 2);
		await_loads(vm, 2, 10);
		end = loads(vm, 2);
		mon_del(mon, id);
		behind = loads(vm, 2);
		told = mon_stat(mon, "watch_hits") - hits;
		/* Each of both may be between its two loads and the count. */
		CHECK(told + 4 >= 2 * (end - there));
		CHECK(told <= 2 * (behind - before) + 4);
		await_loads(vm, 2, 10);
		last = mon_stat(mon, "watch_hits") - hits;
		CHECK_EQ(last, told);
	}
	wr32(vm, COUNT + 0x80, 1);
	runner_join(&r[0], STOP_END);
	runner_join(&r[1], STOP_END);
	close(mon);
	vm_destroy(vm);
}

/* ---- instructions that are replaced ---- */

struct replacer {
	uint32_t *word;
	uint32_t insn[2];
	bool stop;
};

static void *replace(void *arg)
{
	struct replacer *r = arg;

	for (unsigned int i = 0; !__atomic_load_n(&r->stop, __ATOMIC_RELAXED);
	     i++)
		__atomic_store_n(r->word, r->insn[i & 1], __ATOMIC_RELAXED);
	return NULL;
}

/*
 * Somebody else writes another instruction over the one that exits, and back. The
 * emulator does not know the other one: the guest executes it.
 */
static void replaced(long unused)
{
	static const uint8_t loop[] = { 0xff, 0xc9, /* 1: dec %ecx */
					0x75, 0xf8, /* jnz 1b - 4 */
					0xe6, PORT_END };
	const struct way *w;

	for_each_way(w)
	{
		struct replacer other = { .insn[1] = 0x9090770f }; /* EMMS */
		struct vcpu *v;
		pthread_t thread;
		struct kvm_regs r;
		uint64_t rax = 0;
		int mon;

		/* LTR refuses a task that is busy. WRMSR is not emulated. */
		if (w - ways == LTR || control_of(w) == VIGIL_CONTROL_MSR)
			continue;
		v = begin(M_LONG);
		mon = mon_open(v->vm);
		prepare(v, w, &rax);
		if (control_of(w) >= VIGIL_CONTROL_CR0)
			rax = value_of(v, w).word;
		watch(mon, w->control, VIGIL_ACTION_LOG);
		at_insn(v, w, rax);
		get_regs(v, &r);
		r.rcx = test_rounds(1000);
		set_regs(v, &r);
		other.word = vm_ram(v->vm, GUEST_CODE, 4);
		memcpy(other.insn, w->insn, 3);
		((uint8_t *)other.insn)[3] = 0x90;
		*other.word = other.insn[0];
		memcpy(vm_ram(v->vm, GUEST_CODE + 4, sizeof(loop)), loop,
		       sizeof(loop));
		if (pthread_create(&thread, NULL, replace, &other))
			ERROR("no thread");
		EXPECT(v, STOP_END);
		__atomic_store_n(&other.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		close(mon);
		vm_destroy(v->vm);
	}
}

/* Exits of the loads are gone with the watch, on both vCPUs. */
static void table_exits(long unused)
{
	struct vcpu *v[2] = { begin(M_LONG) };
	struct vm *vm = v[0]->vm;
	int mon = mon_open(vm);
	uint64_t exits, done;
	struct runner r[2];
	uint32_t id;

	put_table(vm, GUEST_IDT, 0xfff);
	memcpy(vm_ram(vm, OPERAND + 0x10, 10), vm_ram(vm, OPERAND, 10), 10);
	wr32(vm, COUNT + 0x80, 0);
	v[1] = vcpu_create(vm);
	vcpu_set_mode(v[1], M_LONG);
	start_loads(v[0], &r[0], 0);
	start_loads(v[1], &r[1], 1);
	await_loads(vm, 2, 10);
	id = watch(mon, VIGIL_CONTROL_IDTR, VIGIL_ACTION_DENY);
	exits = mon_stat(mon, "exits");
	done = loads(vm, 2);
	await_loads(vm, 2, 100);
	done = loads(vm, 2) - done;
	CHECK(mon_stat(mon, "exits") - exits + 4 >= 2 * done);
	mon_del(mon, id);
	exits = mon_stat(mon, "exits");
	done = loads(vm, 2);
	await_loads(vm, 2, 20000);
	done = loads(vm, 2) - done;
	CHECK(mon_stat(mon, "exits") - exits < done / 2);
	CHECK_NO_EVENT(mon);
	wr32(vm, COUNT + 0x80, 1);
	runner_join(&r[0], STOP_END);
	runner_join(&r[1], STOP_END);
	close(mon);
	vm_destroy(vm);
}

/* ---- hostile arguments ---- */

static void refused(long unused)
{
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	struct vigil_watch good = control(VIGIL_CONTROL_CR3, VIGIL_ACTION_ASK);
	static const uint32_t msrs[] = { 0x10,	      0x1b,	  0x277,
					 MSR_FS_BASE, 0xc0000101, 0xc0000102,
					 0xffffffff };

#define BAD(err, change)                                           \
	do {                                                       \
		struct vigil_watch w = good;                       \
		change;                                            \
		CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), err); \
	} while (0)
	BAD(EINVAL, w.start = VIGIL_CONTROL_HYPERCALL + 1);
	BAD(EINVAL, w.start = 0xff);
	BAD(EINVAL, w.start |= 1 << 8);
	BAD(EINVAL, w.start = VIGIL_CONTROL_IDTR | 1 << 8);
	BAD(EINVAL, w.start = VIGIL_CONTROL_OF_MSR(MSR_LSTAR) | 1ull << 40);
	BAD(EINVAL, w.start = VIGIL_CONTROL_OF_MSR(MSR_LSTAR) | 1ull << 63);
	BAD(EINVAL, w.len = 0);
	BAD(EINVAL, w.len = 2);
	BAD(EINVAL, w.cr3 = 0x1000);
	BAD(EINVAL, w.action = VIGIL_ACTION_DENY + 1);
	BAD(EINVAL, w.on_death = VIGIL_ON_DEATH_DENY + 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++)
		BAD(EOPNOTSUPP, w.start = VIGIL_CONTROL_OF_MSR(msrs[i]));
	BAD(EOPNOTSUPP, w.start = VIGIL_CONTROL_MSR);
#undef BAD
	mon_add(mon, good);
	close(mon);
	vm_destroy(v->vm);
}

/* clang-format off */
#define CASE_WAYS(n, f) \
	{ n " (real)", f, M_REAL }, { n " (prot32)", f, M_PROT32 }, \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
	{ n " (long)", f, M_LONG }, { n " (compat)", f, M_COMPAT }
#define CASE_HELD(n, f) \
	{ n ": LIDT", f, LIDT }, { n ": LTR", f, LTR }, \
	{ n ": MOV CR4", f, CR4 }, { n ": WRMSR", f, LSTAR }
/* clang-format on */

static const struct test_case cases[] = {
	CASE_WAYS("log", logged),
	CASE_WAYS("deny", denied),
	CASE_WAYS("ask", asked),
	CASE_HELD("the VMM comes in while it is held", withdrawn),
	CASE_HELD("watch added while it is held", added),
	CASE_HELD("monitor killed while it is asked", killed),
	{ "faults are no events", faults },
	{ "an address of SYSENTER that is not canonical", any_address },
	{ "a bad PDPTE is no event", bad_pdpte },
	{ "CR0.TS alone is no event (real)", only_ts, M_REAL },
	{ "CR0.TS alone is no event (long)", only_ts, M_LONG },
	{ "other MSRs are no events", other_msr },
	{ "task switch", task_switch },
	{ "exits of WRMSR", msr_exits },
	{ "exits of LIDT", table_exits, 0, 120 },
	{ "two vCPUs, watches come and go", two_vcpus, 0, 120 },
	{ "a vCPU that is made later", two_vcpus, 1, 120 },
	{ "instructions that are replaced", replaced, 0, 120 },
	{ "hostile arguments", refused },
	{ NULL },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
