// SPDX-License-Identifier: GPL-2.0
/*
 * Exceptions, interrupts and NMIs whose frame goes to a watched page: the monitor is
 * told of each word, and the guest finds what its CPU would have pushed.
 */
#include <pthread.h>

#include "mon.h"

DECLARE_PAYLOAD3(ev_nmi);
DECLARE_PAYLOAD3(ev_hlt);
DECLARE_PAYLOAD(ev_nmi_block);
DECLARE_LABEL(ev_nmi_block, handler);

#define VECTOR 0x31
#define BAD_SEL 0xfff8

static const char ud[] = {
	0x0f, 0x0b, /* ud2 */
	0xe6, PORT_END, /* out */
};

static const char bad_ds[] = {
	0x8e, 0xd8, /* mov %eax, %ds */
	0xe6, PORT_END, /* out */
};

/* The top of the stack that the handler gets. */
static uint64_t stack(enum mode mode)
{
	return mode == M_VM86 ? GUEST_STACK0 : GUEST_STACK;
}

static int watch_stack(struct vcpu *v, unsigned int action)
{
	int mon = mon_open(v->vm);

	mon_watch(mon, stack(v->mode) - 0x100, 0x100, action);
	return mon;
}

/* The last word of the frame is the lowest: RIP, or the error code. */
static void check_frame(struct vcpu *v, int mon, unsigned int words,
			uint64_t last)
{
	struct vigil_event ev;
	uint64_t top = 0;
	unsigned int i;

	for (i = 0; i < words; i++) {
		ev = mon_event(mon);
		/* No instruction stores a frame. */
		CHECK(!(ev.flags & VIGIL_EVENT_INSN_VALID));
		if (i)
			CHECK_EQ(ev.gpa, top - ev.len);
		top = ev.gpa;
	}
	CHECK_EQ(bytes64(ev.new_) & (ev.len == 8 ? ~0ull :
				     ev.len == 4 ? 0xffffffff :
						   0xffff),
		 last);
}

static unsigned int frame_words(enum mode mode)
{
	return mode == M_VM86 ? 9 : mode_long(mode) ? 5 : 3;
}

static void exception(long mode)
{
	struct vcpu *v = guest_start(mode, ud, ud + sizeof(ud));
	int mon = watch_stack(v, VIGIL_ACTION_LOG);

	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	check_frame(v, mon, frame_words(mode), mode_entry(mode));
	if (mode != M_REAL && mode != M_BIGREAL)
		CHECK(v->exc.rflags & RFLAGS_RF || mode == M_PROT16);
	exc_set_rip(v, mode_entry(mode) + 2);
	EXPECT(v, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

static void error_code(long mode)
{
	struct vcpu *v = guest_start(mode, bad_ds, bad_ds + sizeof(bad_ds));
	int mon = watch_stack(v, VIGIL_ACTION_LOG);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rax = BAD_SEL;
	set_regs(v, &r);
	EXPECT_EXC(v, GP, BAD_SEL);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	check_frame(v, mon, frame_words(mode) + 1, BAD_SEL);
	exc_set_rip(v, mode_entry(mode) + 2);
	EXPECT(v, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

static void nmi(long mode)
{
	struct vcpu *v = START3(mode, ev_nmi);
	struct kvm_regs r;
	int mon;

	EXPECT(v, STOP_SYNC);
	vcpu_settle(v);
	get_regs(v, &r);
	mon = watch_stack(v, VIGIL_ACTION_LOG);
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI), 0);
	EXPECT_EXC(v, NMI, 0);
	check_frame(v, mon, frame_words(mode), r.rip);
	EXPECT(v, STOP_SYNC);
	/* The handler's IRET has unmasked the next one. */
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI), 0);
	EXPECT_EXC(v, NMI, 0);
	EXPECT(v, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

/* An NMI that vigil has delivered masks NMIs, until the handler's IRET. */
static void nmi_masks(long mode)
{
	struct vcpu *v = START(mode, ev_nmi_block);
	unsigned int syncs = 0;
	enum stop stop;
	int mon;

	idt_gate(v->vm, mode, NMI, LABEL_AT(ev_nmi_block, handler), SEL_CODE64,
		 0xe, 0);
	EXPECT(v, STOP_SYNC);
	mon = watch_stack(v, VIGIL_ACTION_LOG);
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI), 0);
	while ((stop = vcpu_go(v)) == STOP_SYNC)
		if (!syncs++)
			REQUIRE_EQ(ioctl(v->fd, KVM_NMI), 0);
	CHECK_EQ(stop, STOP_END);
	CHECK_EQ(syncs, 2);
	REQUIRE_EQ(v->nr_vals, 4);
	CHECK_EQ(v->val[1], 0x1111);
	CHECK_EQ(v->val[2], v->val[0]);
	CHECK_EQ(v->val[3], 0x1111);
	close(mon);
	vm_destroy(v->vm);
}

static void interrupt(long mode)
{
	struct vcpu *v = START3(mode, ev_hlt);
	struct kvm_regs r;
	int mon;

	EXPECT(v, STOP_HLT);
	vcpu_settle(v);
	get_regs(v, &r);
	mon = watch_stack(v, VIGIL_ACTION_LOG);
	v->pending_irq = VECTOR;
	EXPECT_EXC(v, VECTOR, 0);
	CHECK_EQ(v->irqs_injected, 1);
	check_frame(v, mon, frame_words(mode), r.rip);
	EXPECT(v, STOP_END);
	close(mon);
	vm_destroy(v->vm);
}

/* Words that a watch denies are not stored, as those of INT n are not. */
static void denied(long mode)
{
	struct vcpu *v = guest_start(mode, ud, ud + sizeof(ud));
	uint64_t at = stack(mode) - 0x100;
	unsigned int i;
	int mon;

	memset(vm_ram(v->vm, at, 0x100), 0x5a, 0x100);
	mon = watch_stack(v, VIGIL_ACTION_DENY);
	EXPECT(v, STOP_EXC);
	for (i = 0; i < 0x100; i += 8)
		CHECK_MEM_EQ(rd64(v->vm, at + i), 0x5a5a5a5a5a5a5a5aull);
	check_frame(v, mon, frame_words(mode), mode_entry(mode));
	close(mon);
	vm_destroy(v->vm);
}

static void *judge(void *arg)
{
	int mon = *(int *)arg;
	struct vigil_event ev;

	while (read(mon, &ev, sizeof(ev)) == sizeof(ev))
		if (ev.flags & VIGIL_EVENT_HELD)
			mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW);
	return NULL;
}

/* Each word of the frame waits for the monitor, while signals interrupt KVM_RUN. */
static void held(long mode)
{
	struct vcpu *v = guest_start(mode, ud, ud + sizeof(ud));
	int mon = watch_stack(v, VIGIL_ACTION_ASK);
	pthread_t thread;

	if (pthread_create(&thread, NULL, judge, &mon))
		ERROR("no thread");
	ticks(5000);
	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	exc_set_rip(v, mode_entry(mode) + 2);
	EXPECT(v, STOP_END);
	ticks(0);
	vm_destroy(v->vm);
	pthread_join(thread, NULL);
	close(mon);
}

/* The level of a frame's stores is that of the code that was interrupted. */
static void conditioned(long mode)
{
	static const unsigned int levels[] = { 0, 3 };

	for (unsigned int i = 0; i < 2; i++) {
		struct vcpu *v = guest_start(mode, ud, ud + sizeof(ud));
		const struct vigil_condition c = {
			.tests = VIGIL_COND_CPL,
			.cpl = 1 << levels[i],
			.action = VIGIL_ACTION_PASS,
		};
		const unsigned int words = 5; /* SS to RIP */
		const unsigned int len = words * (mode_long(mode) ? 8 : 4);
		struct vigil_watch w =
			watch_gpa(GUEST_STACK0 - len, len, VIGIL_ACTION_LOG);
		int mon = mon_open(v->vm);

		vcpu_enter_user(v);
		w.conditions = (uintptr_t)&c;
		w.nr_conditions = 1;
		mon_add(mon, w);
		EXPECT_EXC(v, UD, 0);
		if (levels[i] == 3)
			CHECK_NO_EVENT(mon);
		for (unsigned int n = 0; n < words && levels[i] != 3; n++)
			CHECK_EQ(mon_event(mon).cpl, 3);
		CHECK_EQ(mon_stat(mon, "watch_conditioned"),
			 levels[i] == 3 ? words : 0);
		close(mon);
		vm_destroy(v->vm);
	}
}

static const struct test_case cases[] = {
	CASE_ALL("exception", exception),
	{ "error code (prot16)", error_code, M_PROT16 },
	CASE_PROT("error code", error_code),
	CASE_ALL("NMI", nmi),
	{ "NMIs are masked (long)", nmi_masks, M_LONG },
	CASE_REAL16("interrupt", interrupt),
	CASE_PROT("interrupt", interrupt),
	CASE_ALL("denied", denied),
	CASE_ALL("held", held),
	{ "a condition lets a user's frame through (prot32)", conditioned,
	  M_PROT32 },
	{ "a condition lets a user's frame through (pae)", conditioned, M_PAE },
	{ "a condition lets a user's frame through (long)", conditioned,
	  M_LONG },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
