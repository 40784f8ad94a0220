// SPDX-License-Identifier: GPL-2.0
/*
 * Each store causes one event, in order, with what memory held before it; and
 * what an emulated instruction raises is what the CPU would raise.
 */
#include <pthread.h>

#include "mon.h"
#include "vcpu_thread.h"

DECLARE_PAYLOAD3(exact_far);
DECLARE_LABEL(exact_far16, first);
DECLARE_LABEL(exact_far32, first);
DECLARE_LABEL(exact_far64, first);
DECLARE_LABEL(exact_far16, sel);
DECLARE_LABEL(exact_far32, sel);
DECLARE_LABEL(exact_far64, sel);
DECLARE_PAYLOAD(exact_inc);
DECLARE_PAYLOAD(exact_mov);
DECLARE_PAYLOAD(exact_wide);
DECLARE_LABEL(exact_wide, inc);
DECLARE_PAYLOAD(exact_gdt);
DECLARE_LABEL(exact_gdt, called);
DECLARE_PAYLOAD(exact_gate);
DECLARE_LABEL(exact_gate, behind);
DECLARE_LABEL(exact_gate, inner);
DECLARE_PAYLOAD(exact_stos);
DECLARE_PAYLOAD(exact_movs);
DECLARE_PAYLOAD(exact_movss);
DECLARE_LABEL(exact_movss, due);
DECLARE_PAYLOAD(exact_ins);
DECLARE_LABEL(exact_ins, here);
DECLARE_LABEL(exact_ins, behind);
DECLARE_PAYLOAD(exact_outs);
DECLARE_LABEL(exact_outs, here);
DECLARE_LABEL(exact_outs, behind);
DECLARE_PAYLOAD(exact_bp);
DECLARE_LABEL(exact_bp, stored);
DECLARE_LABEL(exact_bp, loaded);
DECLARE_PAYLOAD(exact_code_bp);
DECLARE_LABEL(exact_code_bp, here);
DECLARE_PAYLOAD(exact_push);
DECLARE_PAYLOAD(exact_near);
DECLARE_LABEL(exact_near, second);
DECLARE_LABEL(exact_near, called);
DECLARE_PAYLOAD3(exact_fsave);
DECLARE_PAYLOAD(exact_frstor);
DECLARE_PAYLOAD(exact_maskmovq);
DECLARE_LABEL(exact_maskmovq, behind);
DECLARE_PAYLOAD(exact_paddb);
DECLARE_LABEL(exact_paddb, behind);

/* ---- two vCPUs store to one dword ---- */

static void *to_end(void *arg)
{
	return (void *)(long)vcpu_go(arg);
}

/* Both store @n times to TARGET. */
static void run_both(struct vcpu *const v[2], unsigned int n)
{
	pthread_t thread[2];
	unsigned int i;
	void *ret;

	for (i = 0; i < 2; i++) {
		struct kvm_regs r;

		vcpu_settle(v[i]);
		get_regs(v[i], &r);
		r.rip = GUEST_CODE;
		r.rdi = TARGET;
		r.rcx = n;
		r.rax = (i + 1) << 24;
		set_regs(v[i], &r);
	}
	for (i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, to_end, v[i]))
			ERROR("no thread");
	for (i = 0; i < 2; i++) {
		pthread_join(thread[i], &ret);
		REQUIRE_EQ((long)ret, STOP_END);
	}
}

static void chain(const char *start, const char *end)
{
	const unsigned int n = VIGIL_MAX_EVENTS / 2; /* none is dropped */
	struct vcpu *v[2] = { guest_start(M_LONG, start, end) };
	unsigned int rounds = test_rounds(10), i;
	int mon = mon_open(v[0]->vm);
	uint32_t last = 0;

	v[1] = vcpu_second(v[0]);
	wr64(v[0]->vm, TARGET, 0);
	mon_watch(mon, TARGET, 4, VIGIL_ACTION_LOG);
	while (rounds--) {
		run_both(v, n);
		for (i = 0; i < 2 * n; i++) {
			struct vigil_event ev = mon_event(mon);

			if ((uint32_t)bytes64(ev.old) != last)
				FAIL("event %u: %#x before it, the last store's is %#x",
				     i, (uint32_t)bytes64(ev.old), last);
			last = bytes64(ev.new_);
		}
		CHECK_NO_EVENT(mon);
		REQUIRE_EQ(rd32(v[0]->vm, TARGET), last);
	}
	close(mon);
	vm_destroy(v[0]->vm);
}

static void chain_inc(long arg)
{
	chain(pl_exact_inc, pl_exact_inc_end);
}

static void chain_mov(long arg)
{
	chain(pl_exact_mov, pl_exact_mov_end);
}

/*
 * One vCPU's stores of 8 bytes are held, the other one increments the lower 4 of them. A
 * held store must not come between that one's event and its store: the increment would be
 * told once more.
 */
static void beside_held(long arg)
{
	const unsigned int incs = VIGIL_MAX_EVENTS / 2, stores = incs / 4;
	struct vcpu *v[2] = { START(M_LONG, exact_wide) };
	unsigned int rounds = test_rounds(4), i;
	int mon = mon_open(v[0]->vm);
	struct vigil_event ev;
	struct kvm_regs r;

	v[1] = vcpu_second(v[0]);
	wr64(v[0]->vm, TARGET, 0);
	mon_watch(mon, TARGET, 4, VIGIL_ACTION_LOG);
	mon_watch(mon, TARGET + 4, 4, VIGIL_ACTION_ASK);
	while (rounds--) {
		unsigned int told = 0, held = 0;
		struct runner runner[2];

		for (i = 0; i < 2; i++) {
			vcpu_settle(v[i]);
			get_regs(v[i], &r);
			r.rip = i ? LABEL_AT(exact_wide, inc) : GUEST_CODE;
			r.rdi = TARGET;
			r.rcx = i ? incs : stores;
			r.rax = (uint64_t)(rounds + 1) << 32;
			set_regs(v[i], &r);
		}
		for (i = 0; i < 2; i++)
			runner_start(&runner[i], v[i]);
		while (held < stores) {
			ev = mon_event(mon);
			told += ev.len == 4;
			if (!(ev.flags & VIGIL_EVENT_HELD))
				continue;
			held++;
			REQUIRE_EQ(mon_verdict(mon, ev.seq,
					       VIGIL_VERDICT_ALLOW),
				   0);
		}
		for (i = 0; i < 2; i++)
			runner_join(&runner[i], STOP_END);
		while (mon_ready(mon, 0))
			told += mon_event(mon).len == 4;
		CHECK_EQ(told, incs);
	}
	close(mon);
	vm_destroy(v[0]->vm);
}

/* ---- far calls ---- */

static void expect_push(int mon, uint64_t gpa, unsigned int len, uint64_t value)
{
	struct vigil_event ev = mon_event(mon);
	uint64_t mask = len == 8 ? ~0ull : (1ull << 8 * len) - 1;

	CHECK_EQ(ev.gpa, gpa);
	CHECK_EQ(ev.len, len);
	CHECK_EQ(bytes64(ev.new_) & mask, value);
}

static void far_call(long m)
{
	unsigned int w = PICK(m, 2, 4, 4);
	bool has_9a = PICK(m, true, true, false);
	uint64_t stack = (mode_16bit(m) ? GUEST_LOW : PAGE) + 0x100;
	uint64_t ptr = stack + 0x80, first, second;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct vcpu *v;
	int mon;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START3(m, exact_far);
	mon = mon_open(v->vm);
	get_sregs(v, &s);
	get_regs(v, &r);
	r.rsp = stack;
	r.rbx = ptr;
	set_regs(v, &r);
	first = mode_entry(m) + PICK(m, LABEL_OFF(exact_far16, first),
				     LABEL_OFF(exact_far32, first),
				     LABEL_OFF(exact_far64, first));
	second = mode_entry(m) + 2 +
		 PICK(m, LABEL_OFF(exact_far16, sel),
		      LABEL_OFF(exact_far32, sel), LABEL_OFF(exact_far64, sel));
	memcpy(vm_ram(v->vm, ptr, w), &first, w);
	memcpy(vm_ram(v->vm, ptr + w, 2), &s.cs.selector, 2);
	if (has_9a)
		memcpy(vm_ram(v->vm,
			      GUEST_CODE + PICK(m, LABEL_OFF(exact_far16, sel),
						LABEL_OFF(exact_far32, sel), 0),
			      2),
		       &s.cs.selector, 2);
	mon_watch(mon, stack - 0x40, 0x40, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_SYNC);
	expect_push(mon, stack - w, w, s.cs.selector);
	expect_push(mon, stack - 2 * w, w, first);
	if (has_9a) {
		EXPECT(v, STOP_SYNC);
		expect_push(mon, stack - 3 * w, w, s.cs.selector);
		expect_push(mon, stack - 4 * w, w, second);
	}
	EXPECT(v, STOP_END);
	CHECK_NO_EVENT(mon);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, stack - (has_9a ? 4 : 2) * w);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- a watched GDT ---- */

static void expect_bit(struct vcpu *v, int mon, unsigned int sel, uint64_t bit)
{
	struct vigil_event ev = mon_event(mon);

	CHECK_EQ(ev.gpa, GUEST_GDT + sel);
	CHECK_EQ(ev.len, 8);
	CHECK_EQ(bytes64(ev.old) ^ bytes64(ev.new_), bit);
	CHECK_EQ(rd64(v->vm, GUEST_GDT + sel), bytes64(ev.new_));
	CHECK_NO_EVENT(mon);
}

static void answer_mmio(struct vcpu *v, uint64_t value)
{
	EXPECT(v, STOP_MMIO);
	CHECK_EQ(v->run->mmio.is_write, 0);
	CHECK_EQ(v->run->mmio.len, 2);
	memcpy(v->run->mmio.data, &value, 8);
}

static void watched_gdt(long arg)
{
	const unsigned int code = D_S | D_P | D_L | D_G | D_TYPE(0xa);
	const uint64_t accessed = 1ull << 40, busy = 1ull << 41;
	struct vcpu *v = START(M_LONG, exact_gdt);
	int mon = mon_open(v->vm);
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	gdt_set(v->vm, SEL_FREE, 0, ~0u, D_S | D_P | D_DB | D_G | D_TYPE(2));
	for (i = 1; i < 4; i++)
		gdt_set(v->vm, SEL_FREE + 8 * i, 0, ~0u, code);
	get_sregs(v, &s);
	s.gdt.limit = 0xfff;
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rbx = PAGE;
	r.rdi = GUEST_MMIO;
	set_regs(v, &r);
	wr64(v->vm, PAGE,
	     LABEL_AT(exact_gdt, called) | (uint64_t)(SEL_FREE + 24) << 32);
	mon_watch(mon, GUEST_GDT, 0x1000, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_SYNC);
	expect_bit(v, mon, SEL_TSS, busy);
	for (i = 0; i < 4; i++) {
		EXPECT(v, STOP_SYNC);
		/*
		 * QEMU's TCG does not set the accessed bit of a code segment
		 * that a far transfer loads.
		 */
		if (i && test_on_tcg() &&
		    !(rd64(v->vm, GUEST_GDT + SEL_FREE + 8 * i) & accessed))
			CHECK_NO_EVENT(mon);
		else
			expect_bit(v, mon, SEL_FREE + 8 * i, accessed);
	}
	vcpu_settle(v);
	get_sregs(v, &s);
	CHECK_EQ(s.tr.selector, SEL_TSS);
	CHECK_EQ(s.tr.base, GUEST_TSS);
	CHECK_EQ(s.tr.type, 0xb);
	CHECK_EQ(s.ds.selector, SEL_FREE);
	CHECK_EQ(s.cs.selector, SEL_FREE + 24);

	/* The operand is a device's. The TSS is made available again. */
	wr64(v->vm, GUEST_GDT + SEL_TSS,
	     rd64(v->vm, GUEST_GDT + SEL_TSS) & ~busy);
	answer_mmio(v, SEL_TSS);
	EXPECT(v, STOP_SYNC);
	expect_bit(v, mon, SEL_TSS, busy);
	answer_mmio(v, SEL_LDT);
	EXPECT(v, STOP_END);
	CHECK_NO_EVENT(mon);
	vcpu_settle(v);
	get_sregs(v, &s);
	CHECK_EQ(s.ldt.selector, SEL_LDT);
	CHECK_EQ(s.ldt.base, GUEST_LDT);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- a call gate ---- */

/* Puts the vCPU into ring 3, with the TSS for the way back. */
static void enter_ring3(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.cs.selector = SEL_UCODE64;
	s.cs.dpl = 3;
	s.ss.selector = SEL_UDATA;
	s.ss.dpl = 3;
	s.tr = (struct kvm_segment){
		.base = GUEST_TSS,
		.limit = 0x168,
		.selector = SEL_TSS,
		.type = 0xb,
		.present = 1,
	};
	set_sregs(v, &s);
}

static void call_gate(long arg)
{
	const uint64_t stack = PAGE + 0x440, to = LABEL_AT(exact_gate, inner);
	struct vcpu *v = START(M_LONG, exact_gate);
	int mon = mon_open(v->vm);
	struct kvm_sregs s;
	struct kvm_regs r;
	uint64_t rsp;

	enter_ring3(v);
	get_sregs(v, &s);
	s.gdt.limit = 0xfff;
	set_sregs(v, &s);
	get_regs(v, &r);
	rsp = r.rsp;
	r.rflags |= RFLAGS_IOPL;
	r.rbx = TARGET;
	set_regs(v, &r);
	wr64(v->vm, TARGET, (uint64_t)SEL_FREE << 32);
	/* present, DPL 3, a call gate of 64 bits */
	wr64(v->vm, GUEST_GDT + SEL_FREE,
	     (to & 0xffff) | SEL_CODE64 << 16 | 0xecull << 40 |
		     (to & 0xffff0000) << 32);
	wr64(v->vm, GUEST_GDT + SEL_FREE + 8, to >> 32);
	wr64(v->vm, GUEST_TSS + 4, stack);
	mon_watch(mon, stack - 0x40, 0x40, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_SYNC);
	expect_push(mon, stack - 8, 8, s.ss.selector);
	expect_push(mon, stack - 16, 8, rsp);
	expect_push(mon, stack - 24, 8, s.cs.selector);
	expect_push(mon, stack - 32, 8, LABEL_AT(exact_gate, behind));
	CHECK_NO_EVENT(mon);
	vcpu_settle(v);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector, SEL_CODE64);
	CHECK_EQ(s.ss.selector, 0);
	CHECK_EQ(s.cs.dpl, 0);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, stack - 32);
	EXPECT(v, STOP_END);
	vcpu_settle(v);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector & 3, 3);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, rsp);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- traps ---- */

static void set_step(struct vcpu *v, uint64_t rdi)
{
	struct kvm_regs r;

	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	get_regs(v, &r);
	r.rflags |= RFLAGS_TF;
	r.rdi = rdi;
	r.rsi = PAGE + 0x800;
	r.rcx = 5;
	set_regs(v, &r);
}

static void expect_step(struct vcpu *v, uint64_t rip)
{
	EXPECT(v, STOP_EXC);
	CHECK_EQ(v->exc.vector, DB);
	CHECK_EQ(v->exc.rip, rip);
	CHECK(v->exc.rflags & RFLAGS_TF);
}

static void step_rep(const char *start, const char *end, bool device)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	uint64_t to = device ? GUEST_MMIO : TARGET;
	int mon = mon_open(v->vm);
	struct kvm_regs r;
	int i;

	set_step(v, to);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	for (i = 0; i < 5; i++) {
		if (device) {
			EXPECT(v, STOP_MMIO);
			CHECK_EQ(v->run->mmio.phys_addr, to + i);
		}
		expect_step(v, GUEST_CODE + (i == 4 ? 2 : 0));
		if (!device)
			CHECK_EQ(mon_event(mon).gpa, to + i);
		CHECK_NO_EVENT(mon);
		vcpu_settle(v);
		get_regs(v, &r);
		CHECK_EQ(r.rcx, 4 - i);
		CHECK_EQ(r.rdi, to + i + 1);
	}
	expect_step(v, GUEST_CODE + 3);
	close(mon);
	vm_destroy(v->vm);
}

static void step_stos(long device)
{
	step_rep(pl_exact_stos, pl_exact_stos_end, device);
}

static void step_movs(long device)
{
	step_rep(pl_exact_movs, pl_exact_movs_end, device);
}

static void step_movss(long arg)
{
	struct vcpu *v = START(M_LONG, exact_movss);

	set_step(v, GUEST_MMIO);
	answer_mmio(v, SEL_DATA);
	expect_step(v, LABEL_AT(exact_movss, due));
	vm_destroy(v->vm);
}

#define DR7_ON (0x400u | 1)
#define DR7_W4 (DR7_ON | 0xdu << 16)
#define DR7_RW4 (DR7_ON | 0xfu << 16)

/*
 * Starts a guest with breakpoint 0 at @at. It stores to rDI, and loads from
 * rBP.
 */
static struct vcpu *start_bp(uint64_t at, uint64_t dr7, uint64_t rdi,
			     uint64_t rbp)
{
	struct vcpu *v = START(M_LONG, exact_bp);
	struct kvm_regs r;

	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	get_regs(v, &r);
	r.rsi = at;
	r.rdx = dr7;
	r.rdi = rdi;
	r.rbp = rbp;
	set_regs(v, &r);
	return v;
}

static void bp_store(long arg)
{
	struct vcpu *v = start_bp(TARGET, DR7_W4, TARGET + 2, GUEST_DATA);
	int mon = mon_open(v->vm);

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(exact_bp, stored));
	CHECK_EQ(mon_event(mon).gpa, TARGET + 2);
	EXPECT(v, STOP_END);
	CHECK_EQ(v->val[0] & 0xf, 1);
	CHECK_EQ(v->val[1] & 0xf, 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * A store and a load beside the breakpoint do not hit it, nor does a load where
 * only stores count.
 */
static void bp_miss(long arg)
{
	struct vcpu *v = start_bp(TARGET, DR7_W4, TARGET + 4, GUEST_MMIO);
	int mon = mon_open(v->vm);

	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_MMIO);
	EXPECT(v, STOP_END);
	CHECK_EQ(mon_event(mon).gpa, TARGET + 4);
	CHECK_EQ(v->val[0] & 0xf, 0);
	close(mon);
	vm_destroy(v->vm);
}

static void bp_load(long arg)
{
	struct vcpu *v = start_bp(GUEST_MMIO, DR7_RW4, GUEST_DATA, GUEST_MMIO);

	EXPECT(v, STOP_MMIO);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(exact_bp, loaded));
	EXPECT(v, STOP_END);
	CHECK_EQ(v->val[1] & 0xf, 1);
	vm_destroy(v->vm);
}

/*
 * Runs REP INS or OUTS of three bytes at TARGET. @step: with TF; else breakpoint 0
 * is on the second byte. Each trap comes behind its own element.
 */
static void string_io(const char *start, const char *end, uint64_t here,
		      uint64_t behind, bool in, bool step)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	unsigned int ios = 0, traps = 0, i;
	uint8_t *data = (uint8_t *)v->run;
	struct kvm_regs r;
	enum stop stop;

	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	get_regs(v, &r);
	r.rbx = TARGET + 1;
	r.rax = step ? 0x400 : DR7_ON | 3u << 16;
	r.rdx = PORT_TEST;
	r.rcx = 3;
	r.rsi = TARGET;
	r.rdi = TARGET;
	set_regs(v, &r);
	wr32(v->vm, TARGET, in ? 0 : 0x636261);
	if (step) {
		/* The two MOV to debug registers are stepped over. */
		r.rip = here;
		r.rflags |= RFLAGS_TF;
		set_regs(v, &r);
	}
	while ((stop = vcpu_go(v)) == STOP_IO || stop == STOP_EXC) {
		if (stop == STOP_IO) {
			CHECK_EQ(v->run->io.port, PORT_TEST);
			CHECK_EQ(v->run->io.count, 1);
			data = (uint8_t *)v->run + v->run->io.data_offset;
			if (in)
				*data = 'a' + ios;
			else
				CHECK_EQ(*data, 'a' + ios);
			ios++;
			continue;
		}
		CHECK_EQ(v->exc.vector, DB);
		traps++;
		get_regs(v, &r);
		if (!step || traps < 3)
			CHECK_EQ(v->exc.rip, here);
		if (step && traps == 3)
			CHECK_EQ(v->exc.rip, behind);
		if (step && traps >= 3)
			exc_set_flags(v, 2);
		/* The stub has rCX as it was. */
		CHECK_EQ(ios, step ? traps : 2);
	}
	CHECK_EQ(stop, STOP_END);
	CHECK_EQ(ios, 3);
	CHECK_EQ(traps, step ? 3 : 1);
	for (i = 0; in && i < 3; i++)
		CHECK_EQ(rd32(v->vm, TARGET) >> 8 * i & 0xff, 'a' + i);
	vm_destroy(v->vm);
}

static void bp_ins(long step)
{
	string_io(pl_exact_ins, pl_exact_ins_end, LABEL_AT(exact_ins, here),
		  LABEL_AT(exact_ins, behind), true, step);
}

static void bp_outs(long step)
{
	string_io(pl_exact_outs, pl_exact_outs_end, LABEL_AT(exact_outs, here),
		  LABEL_AT(exact_outs, behind), false, step);
}

static void bp_code(long arg)
{
	struct vcpu *v = START(M_LONG, exact_code_bp);
	struct kvm_regs r;

	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	SKIP_ON_TCG("QEMU TCG arms no code breakpoint at VMRUN");
	get_regs(v, &r);
	r.rsi = LABEL_AT(exact_code_bp, here);
	r.rdx = DR7_ON;
	set_regs(v, &r);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(exact_code_bp, here));
	/*
	 * The frame of a code breakpoint has RF clear: set it, to resume behind
	 * the breakpoint.
	 */
	exc_set_flags(v, v->exc.rflags | RFLAGS_RF);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

/* ---- the x87 state ---- */

static void get_fpu(struct vcpu *v, struct kvm_fpu *f)
{
	vcpu_settle(v);
	CHECK_OK(ioctl(v->fd, KVM_GET_FPU, f));
}

static void set_fpu(struct vcpu *v, const struct kvm_fpu *f)
{
	CHECK_OK(ioctl(v->fd, KVM_SET_FPU, f));
}

static void same_fpu(const struct kvm_fpu *a, const struct kvm_fpu *b)
{
	CHECK_EQ(a->fcw, b->fcw);
	CHECK_EQ(a->fsw, b->fsw);
	CHECK_EQ(a->ftwx, b->ftwx);
	CHECK_MEM(!memcmp(a->fpr, b->fpr, sizeof(a->fpr)));
}

#define FSAVE_RANGE 0x100
#define FSAVE_ENV 0x80

/*
 * Clears the pointers of an environment: a context switch of the host loses those of
 * them that XSAVE does not store.
 */
static void drop_pointers(uint8_t *env, bool narrow)
{
	if (narrow)
		memset(env + 6, 0, 8);
	else
		memset(env + 12, 0, 16);
}

static void run_fsave(struct vcpu *v, struct kvm_regs *r, uint8_t *image,
		      struct kvm_fpu *f)
{
	uint8_t *mem = vm_ram(v->vm, r->rdi, FSAVE_RANGE);
	bool narrow = mode_16bit(v->mode);

	vcpu_settle(v);
	set_regs(v, r);
	memset(mem, 0xa5, FSAVE_RANGE);
	EXPECT(v, STOP_END);
	memcpy(image, mem, FSAVE_RANGE);
	drop_pointers(image, narrow);
	drop_pointers(image + FSAVE_ENV, narrow);
	get_fpu(v, f);
}

/* FNSAVE and FNSTENV do on a watched page what they do elsewhere, piece by piece. */
static void fsave(long m)
{
	uint8_t plain[FSAVE_RANGE], image[FSAVE_RANGE];
	unsigned int bytes = mode_16bit(m) ? 94 : 108, at;
	struct kvm_fpu before, after;
	struct kvm_regs r;
	struct vcpu *v;
	int mon;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START3(m, exact_fsave);
	mon = mon_open(v->vm);
	get_regs(v, &r);
	r.rdi = (mode_16bit(m) ? GUEST_LOW : PAGE) + 0x100;
	run_fsave(v, &r, plain, &before);
	mon_watch(mon, r.rdi, FSAVE_RANGE, VIGIL_ACTION_LOG);
	run_fsave(v, &r, image, &after);
	CHECK_MEM(!memcmp(plain, image, FSAVE_RANGE));
	same_fpu(&before, &after);
	for (at = 0; at < bytes;) {
		struct vigil_event ev = mon_event(mon);

		CHECK_EQ(ev.gpa, r.rdi + at);
		REQUIRE_EQ(ev.len > 0, true);
		at += ev.len;
	}
	CHECK_EQ(at, bytes);
	CHECK_EQ(mon_event(mon).gpa, r.rdi + FSAVE_ENV);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* FRSTOR takes what FNSAVE has stored out of a device. */
static void frstor(long arg)
{
	uint8_t image[FSAVE_RANGE];
	struct kvm_fpu clean, f, loaded;
	struct kvm_regs r;
	unsigned int done = 0;
	struct vcpu *v = START3(M_LONG, exact_fsave);
	enum stop stop;

	get_fpu(v, &clean);
	get_regs(v, &r);
	r.rdi = TARGET;
	run_fsave(v, &r, image, &f);
	vm_destroy(v->vm);

	v = START(M_LONG, exact_frstor);
	set_fpu(v, &clean);
	get_regs(v, &r);
	r.rdi = GUEST_MMIO;
	set_regs(v, &r);
	while ((stop = vcpu_go(v)) == STOP_MMIO) {
		CHECK_EQ(v->run->mmio.is_write, 0);
		REQUIRE_EQ(v->run->mmio.phys_addr, GUEST_MMIO + done);
		memcpy(v->run->mmio.data, image + done, v->run->mmio.len);
		done += v->run->mmio.len;
	}
	CHECK_EQ(stop, STOP_END);
	CHECK_EQ(done, 108);
	get_fpu(v, &loaded);
	CHECK_EQ(loaded.fcw, 0x37f);
	CHECK_EQ(loaded.fsw >> 11 & 7, 6);
	CHECK_EQ(loaded.ftwx, 0xc0);
	CHECK_MEM(!memcmp(loaded.fpr[0], image + 28, 10));
	CHECK_MEM(!memcmp(loaded.fpr[1], image + 38, 10));
	vm_destroy(v->vm);
}

/* ---- what CPUs of one vendor do ---- */

static void push_seg(long m)
{
	struct vcpu *v = START(m, exact_push);
	uint8_t plain[32], *stack = vm_ram(v->vm, TARGET, 32);
	struct kvm_regs first, r;
	int mon = mon_open(v->vm);

	get_regs(v, &first);
	first.rsp = TARGET + 32;
	set_regs(v, &first);
	memset(stack, 0xa5, 32);
	EXPECT(v, STOP_END);
	memcpy(plain, stack, 32);
	vcpu_settle(v);
	set_regs(v, &first);
	memset(stack, 0xa5, 32);
	mon_watch(mon, TARGET, 32, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	CHECK_MEM(!memcmp(plain, stack, 32));
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, TARGET + 16);
	for (int i = 0; i < 4; i++) {
		struct vigil_event ev = mon_event(mon);

		CHECK_EQ(ev.gpa, TARGET + 28 - 4 * i);
		CHECK_EQ(ev.len, stack[30] == 0xa5 ? 2 : 4);
	}
	close(mon);
	vm_destroy(v->vm);
}

/*
 * In 64-bit code a CALL with 66 pushes 16 bits on AMD's CPUs, and behind 4 bytes of code;
 * on Intel's it is as without the prefix. Bochs does the latter whatever CPU it shows, so
 * this is not compared with what it does.
 */
static void near_call(long arg)
{
	struct vcpu *v = START(M_LONG, exact_near);
	unsigned int bytes = test_on_svm() ? 2 : 8, i;
	uint64_t back[] = { GUEST_LOW + (test_on_svm() ? 4 : 6),
			    GUEST_LOW + LABEL_OFF(exact_near, second) };
	int mon = mon_open(v->vm);
	struct kvm_regs r;

	vm_load_at(v->vm, GUEST_LOW, pl_exact_near, pl_exact_near_end);
	/* Only an operand of 16 bits leads to the code. */
	wr64(v->vm, GUEST_DATA,
	     GUEST_LOW + LABEL_OFF(exact_near, called) +
		     (test_on_svm() ? 0xabcd0000 : 0));
	get_regs(v, &r);
	r.rip = GUEST_LOW;
	r.rdi = GUEST_DATA;
	r.rsp = TARGET + 32;
	set_regs(v, &r);
	memset(vm_ram(v->vm, TARGET, 32), 0xa5, 32);
	mon_watch(mon, TARGET, 32, VIGIL_ACTION_LOG);
	EXPECT(v, STOP_END);
	for (i = 0; i < 2; i++) {
		struct vigil_event ev = mon_event(mon);
		uint64_t pushed = 0;

		CHECK_EQ(ev.gpa, TARGET + 32 - (i + 1) * bytes);
		CHECK_EQ(ev.len, bytes);
		memcpy(&pushed, vm_ram(v->vm, ev.gpa, bytes), bytes);
		CHECK_EQ(pushed, back[i]);
	}
	CHECK_NO_EVENT(mon);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, TARGET + 32 - 2 * bytes);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- what the emulator does not know ---- */

static void unknown(const char *start, const char *end, const char *behind,
		    uint64_t to, bool user)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	int mon = mon_open(v->vm);
	struct kvm_regs r;
	struct kvm_fpu f;

	get_regs(v, &r);
	r.rdi = to;
	r.rflags |= RFLAGS_IOPL; /* the payload ends with OUT */
	set_regs(v, &r);
	get_fpu(v, &f);
	memset(f.fpr[0], 0xff, 10);
	set_fpu(v, &f);
	if (user)
		enter_ring3(v);
	wr64(v->vm, TARGET, 0x1111111111111111);
	mon_watch(mon, TARGET + 0x800, 8, VIGIL_ACTION_LOG);
	if (user) {
		EXPECT_EXC(v, UD, 0);
		CHECK_EQ(v->exc.rip, GUEST_CODE);
		CHECK_EQ(mon_stat(mon, "emul_user_ud"), 1);
		exc_set_rip(v, GUEST_CODE + (behind - start));
		EXPECT(v, STOP_END);
	} else {
		EXPECT(v, STOP_OTHER);
		CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
		CHECK_EQ(v->run->internal.suberror,
			 KVM_INTERNAL_ERROR_EMULATION);
	}
	CHECK_EQ(mon_stat(mon, "emul_failed"), 1);
	CHECK_EQ(rd64(v->vm, TARGET), 0x1111111111111111);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

static void unknown_watched(long user)
{
	unknown(pl_exact_maskmovq, pl_exact_maskmovq_end,
		pl_exact_maskmovq_behind, TARGET, user);
}

static void unknown_device(long user)
{
	unknown(pl_exact_paddb, pl_exact_paddb_end, pl_exact_paddb_behind,
		GUEST_MMIO, user);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "two vCPUs, LOCK INC", chain_inc },
		{ "two vCPUs, MOV", chain_mov },
		{ "two vCPUs, one of them held", beside_held },
		CASE_ALL("far calls", far_call),
		{ "a watched GDT", watched_gdt },
		{ "call gate to a watched stack", call_gate },
		{ "single step, REP STOS, watched", step_stos, false },
		{ "single step, REP STOS, device", step_stos, true },
		{ "single step, REP MOVS, watched", step_movs, false },
		{ "single step, REP MOVS, device", step_movs, true },
		{ "single step, MOV SS from a device", step_movss },
		{ "data breakpoint, store", bp_store },
		{ "data breakpoint, not hit", bp_miss },
		{ "data breakpoint, load", bp_load },
		{ "data breakpoint, REP INS", bp_ins, false },
		{ "data breakpoint, REP OUTS", bp_outs, false },
		{ "single step, REP INS", bp_ins, true },
		{ "single step, REP OUTS", bp_outs, true },
		{ "code breakpoint", bp_code },
		{ "PUSH of a segment (prot32)", push_seg, M_PROT32 },
		{ "PUSH of a segment (compat)", push_seg, M_COMPAT },
		{ "near CALL with 66", near_call },
		CASE_ALL("FNSAVE and FNSTENV", fsave),
		{ "FRSTOR from a device", frstor },
		{ "unknown beside a watch, kernel", unknown_watched, false },
		{ "unknown beside a watch, user", unknown_watched, true },
		{ "unknown on a device, kernel", unknown_device, false },
		{ "unknown on a device, user", unknown_device, true },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
