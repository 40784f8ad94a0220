// SPDX-License-Identifier: GPL-2.0
/*
 * Traps through the VMM's tables whose frame goes to a watched page: vigil delivers
 * them, and a monitor is told of each word.
 */
#include "pv_traps.h"

static int watch_stack(struct vcpu *v, unsigned int action)
{
	int mon = mon_open(v->vm);

	mon_watch(mon, GUEST_STACK0 - 0x100, 0x100, action);
	return mon;
}

/* From ring 3 to ring 1: SS, SP, flags, CS, IP, and maybe an error code. */
static void check_frame(int mon, unsigned int words, uint64_t last)
{
	struct vigil_event ev = { 0 };
	unsigned int i;

	for (i = 0; i < words; i++) {
		ev = mon_event(mon);
		CHECK_EQ(ev.gpa, GUEST_STACK0 - (i + 1) * ev.len);
	}
	CHECK_EQ(bytes64(ev.new_) & (ev.len == 8 ? ~0ull : 0xffffffff), last);
}

static void exception(long mode)
{
	struct vcpu *v = START_AT(mode, 3, ud);
	int mon = watch_stack(v, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, ud));
	check_frame(mon, 5, AT(v, ud));
	close(mon);
	vm_destroy(v->vm);
}

static void error_code(long mode)
{
	struct vcpu *v = START_AT(mode, 3, closed);
	int mon = watch_stack(v, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, closed));
	check_frame(mon, 6, rd32(v->vm, T_ERROR));
	close(mon);
	vm_destroy(v->vm);
}

static void bounced(long mode)
{
	struct vcpu *v = START_AT(mode, 3, slow);
	int mon = watch_stack(v, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	check_frame(mon, 5, AT(v, slow) + 2);
	close(mon);
	/* And then without vigil. */
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), T_BOUNCES + 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static void fast(long mode)
{
	struct vcpu *v = START_AT(mode, 3, fast);
	int mon = watch_stack(v, VIGIL_ACTION_LOG);

	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), 1);
	check_frame(mon, 5, AT(v, fast) + 2);
	close(mon);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

/* The words of the frame that are denied are not there; the handler runs. */
static void denied(long mode)
{
	struct vcpu *v = START_AT(mode, 3, ud);
	uint64_t word = is_wide(v) ? 8 : 4;
	int mon;

	memset(vm_ram(v->vm, GUEST_STACK0 - 0x100, 0x100), 0, 0x100);
	mon = mon_open(v->vm);
	/* SS and SP: the handler's IRET cannot go back to ring 3. */
	mon_watch(mon, GUEST_STACK0 - 2 * word, 2 * word, VIGIL_ACTION_DENY);
	vcpu_go(v);
	CHECK(rd32(v->vm, T_SKIP) >= 1);
	CHECK_MEM_EQ(rd32(v->vm, GUEST_STACK0 - word), 0);
	CHECK_MEM_EQ(rd32(v->vm, GUEST_STACK0 - 2 * word), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* Half of the frame would go to a watched page, and half to one that is not mapped. */
static void broken(long mode)
{
	static const char *const words[] = { "pv: #UD to ",
					     "pv: vector 0x81 to ",
					     "pv: vector 0x80 to " };
	static const unsigned int vector[] = { UD, 0x81, 0x80 };
	const uint64_t page = GUEST_STACK0 - 0x1000;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct vcpu *v = begin(mode);
		struct pt pt = tables_of(v);
		int mon;

		wr64(v->vm, T_STACK + 8, page + 8);
		present(v);
		leave_to(v, 3,
			 i == 0 ? AT(v, ud) :
			 i == 1 ? AT(v, slow) :
				  AT(v, fast));
		pt_set(&pt, page - 0x1000, 1, 0);
		wr64(v->vm, page, 0);
		mon = mon_open(v->vm);
		mon_watch(mon, page, 8, VIGIL_ACTION_LOG);
		expect_end(v, VIGIL_END_FRAME, vector[i], PF, words[i]);
		/* Nothing is stored of a frame that cannot be built. */
		CHECK_NO_EVENT(mon);
		close(mon);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_TRAPS("exception", exception),
		CASE_TRAPS("error code", error_code),
		CASE_TRAPS("bounced INT n", bounced),
		CASE_TRAPS("fast INT n", fast),
		CASE_TRAPS("denied", denied),
		CASE_TRAPS("half of the stack is not mapped", broken),
		{}
	};

	return test_main(argc, argv, cases);
}
