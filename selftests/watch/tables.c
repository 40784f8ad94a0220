// SPDX-License-Identifier: GPL-2.0
/*
 * A watched range that the guest uses as a page table: the A and D bits of its
 * page walks are stores of the guest.
 */
#include "mon.h"

DECLARE_PAYLOAD(exact_mov);

#define TABLE (PAGE + 0x1000)
#define DATA (PAGE + 0x2000)
#define VA 0xc00000ul /* the first one of its table in all modes */

static uint64_t entry(struct vcpu *v, uint64_t gpa, unsigned int len)
{
	return len == 4 ? rd32(v->vm, gpa) : rd64(v->vm, gpa);
}

/*
 * A guest whose VA leads to DATA through TABLE; A and D are clear in the last two
 * levels. Returns where the upper one of these entries is.
 */
static struct vcpu *start(long m, unsigned int *len, uint64_t *upper)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	struct vcpu *v;
	struct pt pt;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START(m, exact_mov);
	get_sregs(v, &s);
	pt_init(&pt, v->vm, m);
	pt.root = s.cr3;
	*len = pt.entry_size;
	*upper = pt_entry(&pt, VA, 2);
	pt_set(&pt, VA, 2, TABLE | PTE_P | PTE_W | PTE_U);
	memset(vm_ram(v->vm, TABLE, 0x1000), 0, 0x1000);
	pt_map(&pt, VA, DATA, 1, PTE_W | PTE_U);
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rdi = VA + 0x10;
	r.rcx = 1;
	r.rax = 0x1234;
	set_regs(v, &r);
	return v;
}

static void expect_bits(struct vcpu *v, int mon, uint64_t gpa, unsigned int len,
			uint64_t bits, uint32_t flags)
{
	struct vigil_event ev = mon_event(mon);
	uint64_t mask = len == 4 ? ~0u : ~0ull;
	uint64_t old = bytes64(ev.old) & mask, new_ = bytes64(ev.new_) & mask;

	CHECK_EQ(ev.gpa, gpa);
	CHECK_EQ(ev.len, len);
	CHECK_EQ(ev.flags, flags);
	CHECK_EQ(ev.insn_len, 0);
	CHECK_EQ(ev.rip, GUEST_CODE);
	CHECK_EQ(old & (PTE_A | PTE_D), 0);
	CHECK_EQ(new_, old | bits);
	CHECK_EQ(entry(v, gpa, len), flags & VIGIL_EVENT_DENIED ? old : new_);
}

/*
 * The store that causes the walk happens, whatever is decided about the bits.
 */
static void run(struct vcpu *v)
{
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, DATA + 0x10), 0x1234);
}

static void watched_bits(long m, uint32_t action, uint32_t on_death,
			 uint32_t flags)
{
	struct vigil_watch w = watch_gpa(TABLE, 0x1000, action);
	unsigned int len;
	uint64_t upper;
	struct vcpu *v = start(m, &len, &upper);
	int mon = mon_open(v->vm);
	struct kvm_regs r;

	get_regs(v, &r);
	w.on_death = on_death;
	mon_add(mon, w);
	w = watch_gpa(upper, len, action);
	w.on_death = on_death;
	mon_add(mon, w);
	run(v);
	expect_bits(v, mon, upper, len, PTE_A, flags);
	expect_bits(v, mon, TABLE, len, PTE_A | PTE_D, flags);
	if (!flags)
		CHECK_NO_EVENT(mon);
	/* A fault that starts anew tries again to set refused bits. */
	while (mon_ready(mon, 0))
		CHECK_EQ(mon_event(mon).flags, VIGIL_EVENT_DENIED);
	close(mon);
	/* The watch is gone: the next access sets the bits. */
	set_regs(v, &r);
	run(v);
	CHECK_EQ(entry(v, upper, len) & PTE_A, PTE_A);
	CHECK_EQ(entry(v, TABLE, len) & (PTE_A | PTE_D), PTE_A | PTE_D);
	vm_destroy(v->vm);
}

static void logged(long m)
{
	watched_bits(m, VIGIL_ACTION_LOG, 0, 0);
}

static void denied(long m)
{
	watched_bits(m, VIGIL_ACTION_DENY, 0, VIGIL_EVENT_DENIED);
}

static void asked_deny(long m)
{
	watched_bits(m, VIGIL_ACTION_ASK, VIGIL_ON_DEATH_DENY,
		     VIGIL_EVENT_DENIED);
}

static void asked_allow(long m)
{
	watched_bits(m, VIGIL_ACTION_ASK, VIGIL_ON_DEATH_ALLOW, 0);
}

/* Another entry of the table is watched: the bits are set without an event. */
static void beside(long m)
{
	unsigned int len;
	uint64_t upper;
	struct vcpu *v = start(m, &len, &upper);
	int mon = mon_open(v->vm);

	mon_watch(mon, TABLE + 8, 8, VIGIL_ACTION_DENY);
	run(v);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(entry(v, upper, len) & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(entry(v, TABLE, len) & (PTE_A | PTE_D), PTE_A | PTE_D);
	close(mon);
	vm_destroy(v->vm);
}

/* Conditions let the bits through that the watches deny. */
static void conditioned(long m)
{
	const struct vigil_condition bits = {
		.tests = VIGIL_COND_VALUE | VIGIL_COND_CHANGED,
		.action = VIGIL_ACTION_PASS,
		.value = PTE_A,
		.mask = PTE_A | PTE_D,
	};
	const struct vigil_condition here = {
		.tests = VIGIL_COND_RIP | VIGIL_COND_CPL,
		.action = VIGIL_ACTION_PASS,
		.rip = GUEST_CODE,
		.rip_last = GUEST_CODE,
		.cpl = 1,
	};
	unsigned int len;
	uint64_t upper;
	struct vcpu *v = start(m, &len, &upper);
	struct vigil_watch w = watch_gpa(upper, len, VIGIL_ACTION_DENY);
	int mon = mon_open(v->vm);

	w.conditions = (uintptr_t)&bits;
	w.nr_conditions = 1;
	mon_add(mon, w);
	w = watch_gpa(TABLE, 0x1000, VIGIL_ACTION_DENY);
	w.conditions = (uintptr_t)&here;
	w.nr_conditions = 1;
	mon_add(mon, w);
	run(v);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 2);
	CHECK_EQ(entry(v, upper, len) & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(entry(v, TABLE, len) & (PTE_A | PTE_D), PTE_A | PTE_D);
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_PAGED("A and D, log", logged),
		CASE_PAGED("A and D, deny", denied),
		CASE_PAGED("A and D, ask, else deny", asked_deny),
		CASE_PAGED("A and D, ask, else allow", asked_allow),
		CASE_PAGED("A and D beside a watch", beside),
		CASE_PAGED("A and D, let through", conditioned),
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
