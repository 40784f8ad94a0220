// SPDX-License-Identifier: GPL-2.0
/*
 * A monitor is told of what a guest's kernel changes about its traps, and refuses it:
 * set_trap_table, set_fast_trap, set_gdt, stack_switch, set_hypercall_iopl, and tables
 * that cannot be loaded.
 */
#include "pv_control.h"

/* ---- log ---- */

static void logged(long mode)
{
	struct vcpu *v = begin(mode);
	uint16_t cs = ring1_cs(v);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	uint64_t words[2];

	for (unsigned int nr = 0; nr <= VIGIL_CONTROL_TABLE_LOAD; nr++)
		watch(mon, nr, VIGIL_ACTION_LOG);
	present(v);

	/* Eight vectors, of which the event has the first four. */
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_TRAP_TABLE, NR_SET_TRAP_TABLE, BP, 8);
	CHECK_EQ(ev.flags, 0);
	CHECK_EQ(ev.cpl, 0);
	CHECK_EQ(ev.len, 4 * sizeof(struct vigil_pv_trap));
	CHECK_EQ(ev.regs[0], NR_SET_TRAP_TABLE);
	CHECK_EQ(ev.regs[is_wide(v) ? 7 : 3], T_TABLE);
	CHECK_TRAP(trap_of(ev.old, 0), BP, 0, 0, 0);
	CHECK_TRAP(trap_of(ev.new_, 0), BP, 3, cs, AT(v, on_skip));
	CHECK_TRAP(trap_of(ev.new_, 1), UD, 0, cs, AT(v, on_skip));
	CHECK_TRAP(trap_of(ev.new_, 2), GP, MASKS, cs, AT(v, on_skip_error));
	CHECK_TRAP(trap_of(ev.new_, 3), PF, MASKS, cs, AT(v, on_page));
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_STACK, NR_STACK_SWITCH, 0, 1);
	CHECK_EQ(ev.len, 16);
	memcpy(words, ev.old, 16);
	CHECK_EQ(words[1], 0);
	memcpy(words, ev.new_, 16);
	CHECK_EQ(words[0], rd64(v->vm, T_STACK));
	CHECK_EQ(words[1], GUEST_STACK0);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x80, 1);
	CHECK_EQ(ev.len, sizeof(struct vigil_pv_trap));
	CHECK_TRAP(trap_of(ev.old, 0), 0x80, 3, cs, AT(v, on_fast));
	CHECK_TRAP(trap_of(ev.new_, 0), 0x80, 3 | VIGIL_TRAP_FAST, cs,
		   AT(v, on_fast));
	CHECK_NO_EVENT(mon);

	/* From ring 1. Of a table again, what differs is told; a bad one is no event. */
	leave_to(v, 1, AT(v, stop));
	EXPECT(v, STOP_END);
	CHECK_EQ(present_second(v), 0);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_TRAP_TABLE, NR_SET_TRAP_TABLE, 0x80, 1);
	CHECK_EQ(ev.cpl, 1);
	CHECK_EQ(ev.rip, AT(v, any));
	CHECK_TRAP(trap_of(ev.old, 0), 0x80, 3 | VIGIL_TRAP_FAST, cs,
		   AT(v, on_fast));
	CHECK_TRAP(trap_of(ev.new_, 0), 0x80, 3 | VIGIL_TRAP_FAST, cs,
		   AT(v, on_slow));
	entry(v, T_TABLE2, 1, 0x81, 3, SEL_CODE32, AT(v, on_slow));
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, T_TABLE2, 0),
		 -XEN_EPERM);
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, PF, 0), -XEN_EINVAL);
	CHECK_EQ(call_from_ring1(v, NR_STACK_SWITCH, SEL_DATA, 0), -XEN_EPERM);
	CHECK_NO_EVENT(mon);
	expect_handler(v, false);

	/* No trap is fast, and there is no handler any more. */
	vcpu_settle(v);
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0, 0), 0);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x80, 1);
	CHECK_EQ(trap_of(ev.new_, 0).flags, 3);
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, 0, 0), 0);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_TRAP_TABLE, NR_SET_TRAP_TABLE, BP, 8);
	CHECK_TRAP(trap_of(ev.old, 0), BP, 3, cs, AT(v, on_skip));
	CHECK_TRAP(trap_of(ev.new_, 0), BP, 0, 0, 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* Descriptors that the guest may have stay in its first pages. */
static void clean_gdt(struct vcpu *v)
{
	unsigned int i;

	for (i = SEL_CODE64; i < SEL_UCODE32; i += 8)
		gdt_set(v->vm, i, 0, 0, 0);
	for (i = SEL_TSS; i < SEL_FREE; i += 8)
		gdt_set(v->vm, i, 0, 0, 0);
	if (!is_wide(v))
		gdt_set(v->vm, SEL_UCODE64, 0, 0, 0);
	wr64(v->vm, T_TABLE2, GUEST_GDT >> 12);
}

static void gdt(long mode)
{
	const unsigned int at = SEL_FREE / 8;
	struct vcpu *v = in_ring1(mode);
	int mon = mon_open(v->vm);
	uint64_t want, seen[8], all[32];
	struct judge j;

	clean_gdt(v);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32), 0);
	watch(mon, VIGIL_CONTROL_GDT, VIGIL_ACTION_ASK);
	gdt_set(v->vm, SEL_FREE, 0x1000, 0xffff,
		D_P | D_S | D_TYPE(3) | D_DPL(3) | D_DB);
	want = rd64(v->vm, GUEST_GDT + SEL_FREE);
	for (int i = 0; i < 2; i++) {
		judge_start(&j, mon, 1,
			    i ? VIGIL_VERDICT_ALLOW : VIGIL_VERDICT_DENY);
		CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32),
			 i ? 0 : -XEN_EPERM);
		judge_join(&j);
		check_event(&j.ev[0], VIGIL_CONTROL_GDT, NR_SET_GDT, at, 1);
		CHECK_EQ(j.ev[0].len, sizeof(seen));
		memcpy(seen, j.ev[0].old, sizeof(seen));
		CHECK_EQ(seen[0], 0);
		memcpy(seen, j.ev[0].new_, sizeof(seen));
		CHECK_EQ(seen[0], want);
		CHECK_EQ(j.all_len, sizeof(all));
		memcpy(all, j.all, sizeof(all));
		CHECK_EQ(all[at], want);
	}
	/* It is there now: nothing changes, and that is an event as well. */
	judge_start(&j, mon, 1, VIGIL_VERDICT_ALLOW);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32), 0);
	judge_join(&j);
	check_event(&j.ev[0], VIGIL_CONTROL_GDT, NR_SET_GDT, 0, 0);
	close(mon);
	vm_destroy(v->vm);
}

static void iopl(long mode)
{
	struct vcpu *v = start(mode, &usual);
	int mon = mon_open(v->vm);
	struct vigil_hypercalls h;
	struct vigil_iopl old, new_;
	struct vigil_event ev;
	uint32_t id;

	id = watch(mon, VIGIL_CONTROL_IOPL, VIGIL_ACTION_DENY);
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, VIGIL_REFUSE_FAULT,
			  1ull << NR_SCHED_OP),
		 -XEN_EPERM);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_IOPL, NR_IOPL, 0, 1);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	CHECK_EQ(ev.len, sizeof(old));
	memcpy(&old, ev.old, sizeof(old));
	memcpy(&new_, ev.new_, sizeof(new_));
	CHECK_EQ(old.iopl, 0);
	CHECK_EQ(old.scope, VIGIL_IOPL_VM);
	CHECK_EQ(new_.iopl, 3);
	CHECK_EQ(new_.refuse, VIGIL_REFUSE_FAULT);
	CHECK_EQ(new_.user, 1ull << NR_SCHED_OP);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.iopl, 0);
	CHECK_EQ(h.user, 0);
	/* To look is no change. */
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_GET, GUEST_LOW), 0);
	CHECK_NO_EVENT(mon);
	mon_del(mon, id);
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, VIGIL_REFUSE_FAULT,
			  1ull << NR_SCHED_OP),
		 0);
	CHECK_NO_EVENT(mon);
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.iopl, 3);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- refused ---- */

/* The first table: the guest's own ones stay in force. */
static void first_denied(long ask)
{
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm);
	struct vigil_pv pv = { .size = sizeof(pv) };
	struct judge j;

	watch(mon, VIGIL_CONTROL_TRAP_TABLE,
	      ask ? VIGIL_ACTION_ASK : VIGIL_ACTION_DENY);
	if (ask)
		judge_start(&j, mon, 1, VIGIL_VERDICT_DENY);
	EXPECT(v, STOP_SYNC);
	if (ask)
		judge_join(&j);
	else
		CHECK_EQ(mon_event(mon).flags, VIGIL_EVENT_DENIED);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT), -XEN_EPERM);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 8), -XEN_EINVAL);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 16), -XEN_EINVAL);
	CHECK_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, 0);
	CHECK_EQ(mon_stat(mon, "watch_denied"), 1);
	close(mon);
	vm_destroy(v->vm);
}

/* Each call again, from ring 1: the old handlers, fast traps and stack still count. */
static void denied(long mode)
{
	struct vcpu *v = in_ring1(mode);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct judge j;

	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	watch(mon, VIGIL_CONTROL_FAST_TRAP, VIGIL_ACTION_DENY);
	watch(mon, VIGIL_CONTROL_STACK, VIGIL_ACTION_DENY);
	judge_start(&j, mon, 1, VIGIL_VERDICT_DENY);
	CHECK_EQ(present_second(v), -XEN_EPERM);
	judge_join(&j);
	check_event(&j.ev[0], VIGIL_CONTROL_TRAP_TABLE, NR_SET_TRAP_TABLE, 0x80,
		    1);
	expect_handler(v, true);
	vcpu_settle(v);

	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0x81, 0), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	check_event(&ev, VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x81, 1);
	CHECK_EQ(fast_bits(v, 2), 1);
	CHECK_EQ(call_from_ring1(v, NR_STACK_SWITCH, rd64(v->vm, T_STACK),
				 GUEST_STACK0 - 0x100),
		 -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	judge_start(&j, mon, 1, VIGIL_VERDICT_DENY);
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, 0, 0), -XEN_EPERM);
	judge_join(&j);
	CHECK_EQ(j.ev[0].count, 8);
	expect_handler(v, true);
	vcpu_settle(v);

	/* And allowed. */
	judge_start(&j, mon, 1, VIGIL_VERDICT_ALLOW);
	CHECK_EQ(present_second(v), 0);
	judge_join(&j);
	expect_handler(v, false);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- tables that cannot be loaded ---- */

static void loads(long mode)
{
	struct vcpu *a = begin(mode);
	const struct {
		uint64_t at;
		unsigned int table, len;
	} tries[] = {
		{ AT(a, lidt), VIGIL_TABLE_IDT, is_wide(a) ? 8 : 7 },
		{ AT(a, lgdt), VIGIL_TABLE_GDT, is_wide(a) ? 8 : 7 },
		{ AT(a, lldt), VIGIL_TABLE_LDT, 3 },
		{ AT(a, ltr), VIGIL_TABLE_TR, 3 },
	};
	struct vigil_event ev;
	struct kvm_regs r;
	int mon;

	vm_destroy(a->vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(tries) * 2; i++) {
		const unsigned int ring = i & 1;

		a = begin_at(mode, 1);
		wr64(a->vm, T_STORED, 0xfff);
		wr64(a->vm, T_SKIPPED, tries[i / 2].len);
		if (ring) {
			wr64(a->vm, T_RIP0, AT(a, stop));
			EXPECT(a, STOP_END);
		}
		vcpu_settle(a);
		mon = mon_open(a->vm);
		watch(mon, VIGIL_CONTROL_TABLE_LOAD, VIGIL_ACTION_LOG);
		get_regs(a, &r);
		r.rip = tries[i / 2].at;
		set_regs(a, &r);
		if (ring)
			EXPECT(a, STOP_END);
		else
			EXPECT(a, STOP_ERRNO);
		ev = mon_event(mon);
		check_event(&ev, VIGIL_CONTROL_TABLE_LOAD, 0,
			    tries[i / 2].table, 1);
		CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED | VIGIL_EVENT_INSN_VALID);
		CHECK_EQ(ev.len, 0);
		CHECK_EQ(ev.cpl, ring);
		CHECK_EQ(memcmp(ev.insn, vm_ram(a->vm, ev.rip, ev.insn_len),
				ev.insn_len),
			 0);
		CHECK_EQ(ev.insn_len, tries[i / 2].len);
		CHECK_NO_EVENT(mon);
		close(mon);
		vm_destroy(a->vm);
	}
}

/* Ring 3 does not reach the monitor by it. */
static void user_loads(long mode)
{
	struct vcpu *v = START_AT(mode, 3, lidt);
	int mon = mon_open(v->vm);

	watch(mon, VIGIL_CONTROL_TABLE_LOAD, VIGIL_ACTION_LOG);
	wr64(v->vm, T_SKIPPED, is_wide(v) ? 8 : 7);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- calls of a monitor ---- */

static void arguments(long unused)
{
	struct vigil_watch good = control(VIGIL_CONTROL_GDT, VIGIL_ACTION_ASK);
	struct vcpu *v = begin(M_LONG);
	int mon = mon_open(v->vm), reader;
	struct vigil_watch w, all[4];
	struct vigil_watch_list list = {
		.count = 4,
		.entry_size = sizeof(w),
		.entries = (uintptr_t)all,
	};

#define BAD(...)                                                      \
	do {                                                          \
		w = good;                                             \
		__VA_ARGS__;                                          \
		CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), EINVAL); \
	} while (0)
	BAD(w.start = VIGIL_CONTROL_HYPERCALL + 1);
	BAD(w.start = 1ull << 63);
	BAD(w.start = ~0ull);
	BAD(w.len = 0);
	BAD(w.len = 2);
	BAD(w.cr3 = 0x1000);
	BAD(w.action = 3);
	BAD(w.on_death = 2);
	BAD(w.kind = 3);
	BAD(w.start = VIGIL_CONTROL_TABLE_LOAD);
	BAD(w.start = VIGIL_CONTROL_TABLE_LOAD; w.action = VIGIL_ACTION_DENY);
	/* What stands for a control in the module is no address of a monitor's. */
	BAD(w.kind = VIGIL_WATCH_GPA; w.start = 1ull << 63);

	good.on_death = VIGIL_ON_DEATH_DENY;
	good.id = mon_add(mon, good);
	CHECK_EQ(ioctl(mon, VIGIL_WATCH_LIST, &list), 0);
	CHECK_EQ(list.count, 1);
	CHECK_EQ(memcmp(&all[0], &good, sizeof(good)), 0);

	reader = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	REQUIRE_EQ(reader >= 0, true);
	w = good;
	CHECK_ERRNO(ioctl(reader, VIGIL_WATCH_ADD, &w), EPERM);
	CHECK_EQ(read_change(reader, 1, all, sizeof(all)), -EPERM);
	close(reader);
	/* Other controls than the watched one are no events. */
	present(v);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_hits"), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* Deny beats ask beats log; stores are decided as ever beside it. */
static void overlapping(long unused)
{
	struct vcpu *v = in_ring1(M_LONG);
	int mon = mon_open(v->vm);
	uint32_t log, ask, deny;
	struct vigil_event ev;
	struct judge j;

	log = watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_LOG);
	ask = watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	deny = watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_DENY);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_DENY);
	CHECK_EQ(present_second(v), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, deny);
	CHECK_NO_EVENT(mon);
	mon_del(mon, deny);
	judge_start(&j, mon, 1, VIGIL_VERDICT_DENY);
	CHECK_EQ(present_second(v), -XEN_EPERM);
	judge_join(&j);
	CHECK_EQ(j.ev[0].watch_id, ask);
	mon_del(mon, ask);
	CHECK_EQ(present_second(v), 0);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, log);
	CHECK_EQ(ev.flags, 0);
	mon_del(mon, log);
	CHECK_EQ(present_second(v), 0);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- vigil watch ---- */

/* The command, beside a guest that presents its table again. */
static void command(long unused)
{
	struct vcpu *v = in_ring1(M_LONG);
	char cmd[256], line[8192];
	FILE *f;

	set_name(v->vm, "pv-control");
	snprintf(
		cmd, sizeof(cmd),
		"exec vigil watch pv-control --device %s --json --control trap-table "
		"--action deny --count 1",
		opts.dev);
	f = popen(cmd, "r");
	if (!f || !fgets(line, sizeof(line), f))
		ERROR("vigil watch does not start");
	CHECK(strstr(line, "\"control\":\"trap-table\",\"action\":\"deny\""));
	CHECK_EQ(present_second(v), -XEN_EPERM);
	REQUIRE_EQ(!!fgets(line, sizeof(line), f), 1);
	if (!strstr(line, "\"result\":\"denied\",\"control\":\"trap-table\"") ||
	    !strstr(line,
		    "\"changes\":[{\"vector\":128,\"old\":{\"cs\":\"0xe039\""))
		FAIL("the event: %s", line);
	REQUIRE_EQ(!!fgets(line, sizeof(line), f), 1);
	CHECK(strstr(line, "\"reason\":\"count\""));
	CHECK_EQ(pclose(f), 0);
	expect_handler(v, true);
	vm_destroy(v->vm);
}

/* Calls of ring 0 pass, those of ring 1 are denied. */
static void conditioned(long mode)
{
	const struct vigil_condition c[] = {
		{ .tests = VIGIL_COND_CPL,
		  .cpl = 1 << 0,
		  .action = VIGIL_ACTION_PASS },
		{ .tests = VIGIL_COND_CPL | VIGIL_COND_RIP | VIGIL_COND_VCPU |
			   VIGIL_COND_CR3,
		  .inverse = VIGIL_COND_CPL | VIGIL_COND_CR3,
		  .cpl = 1 << 3,
		  .rip_last = ~0ull,
		  .cr3 = 0xfff,
		  .cr3_mask = 0xfff,
		  .action = VIGIL_ACTION_DENY },
	};
	struct vcpu *v = begin(mode);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	for (unsigned int nr = 0; nr < VIGIL_CONTROL_TABLE_LOAD; nr++) {
		struct vigil_watch w = control(nr, VIGIL_ACTION_LOG);

		w.conditions = (uintptr_t)c;
		w.nr_conditions = 2;
		mon_add(mon, w);
	}
	/* Table, stack and fast trap. */
	present(v);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 3);
	leave_to(v, 1, AT(v, stop));
	EXPECT(v, STOP_END);
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0, 0), -XEN_EPERM);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x80, 1);
	CHECK_EQ(ev.condition, 2);
	CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, VIGIL_EVENT_DENIED);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_conditioned"), 3);
	close(mon);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	CASE_TRAPS("what is logged", logged),
	CASE_TRAPS("set_gdt, denied and allowed", gdt),
	CASE_PAGED("set_hypercall_iopl, denied", iopl),
	{ "set_hypercall_iopl, denied (prot32)", iopl, M_PROT32 },
	{ "the first table, denied", first_denied, false },
	{ "the first table, asked and denied", first_denied, true },
	CASE_TRAPS("what was there works after a refusal", denied),
	CASE_TRAPS("conditions", conditioned),
	CASE_TRAPS("tables that cannot be loaded", loads),
	CASE_TRAPS("tables that user code cannot load", user_loads),
	{ "what a monitor may ask for", arguments },
	{ "several watches", overlapping },
	{ "vigil watch --control", command },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
