// SPDX-License-Identifier: GPL-2.0
/* Watched stores in every CPU mode, each logged, refused, and asked about. */
#include <pthread.h>

#include "mon.h"

DECLARE_PAYLOAD3(wmode);

/* 16-bit code reaches only the first 64 KiB. */
static uint64_t target(enum mode m)
{
	return (mode_16bit(m) ? GUEST_LOW : PAGE) + 0x100;
}

#define NEIGHBOUR 0x40 /* from the target: same page, not watched */

static struct vcpu *start(enum mode m)
{
	struct vcpu *v = START3(m, wmode);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rax = 0xa1a2a3a4;
	r.rbx = 0xb1b2b3b4;
	r.rdi = target(m);
	r.rsp = target(m) + 8;
	r.rbp = target(m) + NEIGHBOUR;
	set_regs(v, &r);
	wr64(v->vm, target(m), 0x1111111122222222);
	wr64(v->vm, target(m) + 8, 0x3333333344444444);
	wr64(v->vm, target(m) + NEIGHBOUR, 0x5555555566666666);
	return v;
}

/* Checks the next event. @old and @new_ are @len bytes, little-endian. */
static void expect_event(int mon, enum mode m, uint32_t flags, uint64_t gpa,
			 unsigned int len, uint64_t old, uint64_t new_)
{
	struct vigil_event ev = mon_event(mon);
	uint64_t mask = len == 8 ? ~0ull : (1ull << len * 8) - 1;

	CHECK_EQ(ev.flags,
		 flags | VIGIL_EVENT_GVA_VALID | VIGIL_EVENT_INSN_VALID);
	CHECK_EQ(ev.gpa, gpa);
	CHECK_EQ(ev.gva, gpa);
	CHECK_EQ(ev.len, len);
	CHECK_EQ(bytes64(ev.old) & mask, old & mask);
	CHECK_EQ(bytes64(ev.new_) & mask, new_ & mask);
	CHECK_EQ(ev.mode, mode_16bit(m)		     ? 16 :
			  m == M_LONG || m == M_LA57 ? 64 :
						       32);
	CHECK_EQ(ev.cpl, m == M_VM86 ? 3 : 0);
	CHECK_EQ(ev.watch_id != 0, 1);
}

/* Follows the steps of the payload. @flags say whether the stores happen. */
static void steps(struct vcpu *v, int mon, enum mode m, uint32_t flags,
		  bool stored)
{
	uint64_t at = target(m), was = 0x22222222;
	struct kvm_regs r;

	EXPECT(v, STOP_SYNC);
	expect_event(mon, m, flags, at, 4, was, 0xa1a2a3a4);
	if (stored)
		was = 0xa1a2a3a4;
	CHECK_EQ(rd32(v->vm, at), was);

	EXPECT(v, STOP_SYNC);
	expect_event(mon, m, flags, at, 4, was, 0xb1b2b3b4);
	vcpu_settle(v);
	get_regs(v, &r);
	/* XCHG loads the old value even if its store is denied. */
	CHECK_EQ(r.rbx, was);
	if (stored)
		was = 0xb1b2b3b4;
	CHECK_EQ(rd32(v->vm, at), was);

	EXPECT(v, STOP_SYNC);
	expect_event(mon, m, flags, at + 6, 2, 0x1111, r.rbx);
	CHECK_EQ(rd64(v->vm, at) >> 48, stored ? r.rbx & 0xffff : 0x1111);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, at + 6);

	EXPECT(v, STOP_SYNC);
	for (int i = 0; i < 3; i++) {
		expect_event(mon, m, flags, at + i, 1, was, 0xa4);
		was >>= 8;
	}
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rdi, at + 3);
	CHECK_EQ(r.rcx & 0xffff, 0);
	CHECK_EQ(rd32(v->vm, at) & 0xffffff, stored ? 0xa4a4a4 : 0x222222);

	EXPECT(v, STOP_END);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(rd64(v->vm, at + NEIGHBOUR), 0x55555555a1a2a3a4);
	CHECK_EQ(rd64(v->vm, at + 8), 0x3333333344444444);
}

static void mode_supported(enum mode m)
{
	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
}

static void log_mode(long m)
{
	struct vcpu *v;
	int mon;

	mode_supported(m);
	v = start(m);
	mon = mon_open(v->vm);
	mon_watch(mon, target(m), 16, VIGIL_ACTION_LOG);
	steps(v, mon, m, 0, true);
	close(mon);
	vm_destroy(v->vm);
}

static void deny_mode(long m)
{
	struct vcpu *v;
	int mon;

	mode_supported(m);
	v = start(m);
	mon = mon_open(v->vm);
	mon_watch(mon, target(m), 16, VIGIL_ACTION_DENY);
	steps(v, mon, m, VIGIL_EVENT_DENIED, false);
	close(mon);
	vm_destroy(v->vm);
}

/* The watch has a guest-virtual address, once the guest has paging on. */
static void gva_mode(long m)
{
	struct vigil_watch w = watch_gpa(target(m), 16, VIGIL_ACTION_DENY);
	struct vcpu *v;
	int mon;

	mode_supported(m);
	v = start(m);
	mon = mon_open(v->vm);
	w.kind = VIGIL_WATCH_GVA;
	mon_add(mon, w);
	steps(v, mon, m, VIGIL_EVENT_DENIED, false);
	close(mon);
	vm_destroy(v->vm);
}

struct judge {
	int mon;
	uint32_t verdict;
	unsigned int held;
};

static void *judge(void *arg)
{
	struct judge *j = arg;

	while (j->held < 6) {
		struct vigil_event ev;

		if (!mon_ready(j->mon, 10000) ||
		    read(j->mon, &ev, sizeof(ev)) != sizeof(ev))
			return NULL;
		if (ev.flags & VIGIL_EVENT_HELD &&
		    !mon_verdict(j->mon, ev.seq, j->verdict))
			j->held++;
	}
	return NULL;
}

static void ask(enum mode m, uint32_t verdict)
{
	struct judge j = { .verdict = verdict };
	struct vcpu *v;
	pthread_t thread;
	bool stored = verdict == VIGIL_VERDICT_ALLOW;

	mode_supported(m);
	v = start(m);
	j.mon = mon_open(v->vm);
	mon_watch(j.mon, target(m), 16, VIGIL_ACTION_ASK);
	if (pthread_create(&thread, NULL, judge, &j))
		ERROR("no thread");
	for (int i = 0; i < 4; i++)
		EXPECT(v, STOP_SYNC);
	EXPECT(v, STOP_END);
	pthread_join(thread, NULL);
	CHECK_EQ(j.held, 6);
	CHECK_EQ(rd32(v->vm, target(m)), stored ? 0xb1a4a4a4 : 0x22222222);
	CHECK_EQ(rd64(v->vm, target(m) + NEIGHBOUR), 0x55555555a1a2a3a4);
	close(j.mon);
	vm_destroy(v->vm);
}

static void allow_mode(long m)
{
	ask(m, VIGIL_VERDICT_ALLOW);
}

static void refuse_mode(long m)
{
	ask(m, VIGIL_VERDICT_DENY);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_ALL("log", log_mode),
		CASE_ALL("deny", deny_mode),
		CASE_ALL("deny by virtual address", gva_mode),
		CASE_ALL("ask, allowed", allow_mode),
		CASE_ALL("ask, refused", refuse_mode),
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
