// SPDX-License-Identifier: GPL-2.0
/* `vigil watch --control' without a module. */
#include "fake_run.h"

static struct vigil_event change(uint64_t seq, unsigned int count)
{
	const struct vigil_pv_trap now = {
		.vector = 0x80,
		.flags = 3 | VIGIL_TRAP_FAST,
		.cs = 0xe039,
		.ip = 0x4000,
	};
	struct vigil_pv_trap trap[4];
	struct vigil_event ev = event(seq, HELD);

	ev.flags = HELD;
	ev.kind = VIGIL_EVENT_CONTROL;
	ev.control = VIGIL_CONTROL_TRAP_TABLE;
	ev.gva = ev.gpa = 0;
	ev.first = 0x80;
	ev.count = count;
	ev.len = (count < 4 ? count : 4) * sizeof(now);
	memcpy(ev.old, &now, sizeof(now));
	for (unsigned int i = 0; i < 4; i++)
		trap[i] = (struct vigil_pv_trap){
			.vector = 0x80 + i,
			.flags = 3,
			.cs = 0xe039,
			.ip = 0x1000 + i,
		};
	memcpy(ev.new_, trap, ev.len);
	return ev;
}

/* A change that is held, with more vectors than an event has; then one of another kind. */
static void controls(long arg)
{
	struct vigil_event ev;
	struct fake_msg msg;

	start_plain("watch 7 --control trap-table --action ask --control "
		    "table-load --count 3");
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_CONTROL);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_TRAP_TABLE);
	CHECK_EQ(msg.watch.len, 1);
	CHECK_EQ(msg.watch.action, VIGIL_ACTION_ASK);
	CHECK_EQ(msg.watch.on_death, VIGIL_ON_DEATH_DENY);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_TABLE_LOAD);
	CHECK_EQ(msg.watch.action, VIGIL_ACTION_LOG);
	expect(&err, "watching control trap-table, action ask");
	send_event(change(1, 6));
	expect(&out, "#1 set_trap_table changes 6 vectors: held");
	expect(&out, "vector 0x80  e039:0x4000 dpl 3 fast -> "
		     "e039:0x1000 dpl 3\n");
	expect(&out, "vector 0x81  none -> e039:0x1001 dpl 3\n");
	expect(&out, "vector 0x85  -> e039:0x1005 dpl 3\n");
	expect(&err, "allow this change?");
	say("n\n");
	check_verdict(1, VIGIL_VERDICT_DENY);
	send_event(change(2, 1));
	/* The same instruction again is another question. */
	expect(&out, "#2 set_trap_table changes 1 vector: held");
	expect(&err, "allow this change?");
	say("y\n");
	check_verdict(2, VIGIL_VERDICT_ALLOW);
	ev = event(3, VIGIL_EVENT_DENIED);
	ev.flags &= ~VIGIL_EVENT_GVA_VALID;
	ev.kind = VIGIL_EVENT_CONTROL;
	ev.control = VIGIL_CONTROL_TABLE_LOAD;
	ev.first = VIGIL_TABLE_LDT;
	ev.len = 0;
	send_event(ev);
	expect(&out, "#3 LLDT while trap tables are in force: denied");
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&out, "gpa"), 0);
}

static void controls_json(long arg)
{
	start_plain(
		"watch 7 --json --control trap-table --action ask --count 1 "
		"--exec test~$VIGIL_CONTROL.$VIGIL_COUNT~=~trap-table.6");
	message(FAKE_WATCH);
	expect(&out,
	       "\"kind\":\"control\",\"control\":\"trap-table\",\"action\"");
	send_event(change(1, 6));
	check_verdict(1, VIGIL_VERDICT_ALLOW);
	expect(&out, "\"result\":\"allowed\",\"control\":\"trap-table\","
		     "\"call\":0,\"count\":6,\"changes\":[{\"vector\":128,"
		     "\"old\":{\"cs\":\"0xe039\",\"ip\":\"0x4000\",\"dpl\":3,"
		     "\"masked\":false,\"fast\":true},\"new\":{");
	expect(&out, "{\"vector\":133,\"new\":{");
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&out, "\"gpa\""), 0);
}

/* Changes of the CPU's registers, and what cannot be watched. */
static struct vigil_event written(uint64_t seq, unsigned int control,
				  uint64_t old, uint64_t new_)
{
	struct vigil_event ev = event(seq, VIGIL_EVENT_DENIED);

	ev.flags &= ~VIGIL_EVENT_GVA_VALID;
	ev.kind = VIGIL_EVENT_CONTROL;
	ev.control = control;
	ev.gva = ev.gpa = 0;
	ev.count = 1;
	ev.len = sizeof(old);
	memcpy(ev.old, &old, sizeof(old));
	memcpy(ev.new_, &new_, sizeof(new_));
	return ev;
}

static struct vigil_event lstar(uint64_t seq)
{
	struct vigil_event ev = written(seq, VIGIL_CONTROL_MSR, 0x1000, 0x2000);

	ev.first = 0xc0000082;
	return ev;
}

static struct vigil_event loaded(uint64_t seq, unsigned int control)
{
	const struct vigil_table old = { 0x3000, 0x67, 0x40, 0 },
				 new_ = { 0x4000, 0xfff, 0x48, 0 };
	struct vigil_event ev = written(seq, control, 0, 0);

	ev.len = sizeof(old);
	memcpy(ev.old, &old, sizeof(old));
	memcpy(ev.new_, &new_, sizeof(new_));
	return ev;
}

static void registers(long arg)
{
	struct fake_msg msg;

	start_plain("watch 7 --control msr:lstar --action deny --control "
		    "cr4 --control msr:0x176 --count 4");
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_CONTROL);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_OF_MSR(0xc0000082));
	CHECK_EQ(msg.watch.len, 1);
	CHECK_EQ(msg.watch.action, VIGIL_ACTION_DENY);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_CR4);
	CHECK_EQ(msg.watch.action, VIGIL_ACTION_LOG);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_OF_MSR(0x176));
	expect(&err, "watching control msr:LSTAR, action deny");
	expect(&err, "watching control msr:SYSENTER_EIP, action log");
	send_event(lstar(1));
	expect(&out, "#1 change of msr:LSTAR: denied");
	expect(&out, "    0x1000 -> 0x2000\n");
	send_event(written(2, VIGIL_CONTROL_CR4, 0x20, 0x28));
	expect(&out, "#2 change of cr4: denied");
	expect(&out, "    0x20 -> 0x28\n");
	send_event(loaded(3, VIGIL_CONTROL_IDTR));
	expect(&out, "#3 change of idtr: denied");
	expect(&out, "    base 0x3000 limit 0x67 -> base 0x4000 limit 0xfff\n");
	send_event(loaded(4, VIGIL_CONTROL_TR));
	expect(&out, "    selector 0040 base 0x3000 limit 0x67 -> "
		     "selector 0048 base 0x4000 limit 0xfff\n");
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&out, "gpa"), 0);
}

static void registers_json(long arg)
{
	start_plain("watch 7 --json --control msr:LSTAR --count 2");
	message(FAKE_WATCH);
	expect(&out, "\"kind\":\"control\",\"control\":\"msr:LSTAR\"");
	send_event(lstar(1));
	expect(&out, "\"control\":\"msr:LSTAR\",\"changes\":[{\"old\":"
		     "\"0x1000\",\"new\":\"0x2000\"}]");
	send_event(loaded(2, VIGIL_CONTROL_LDTR));
	expect(&out, "\"control\":\"ldtr\",\"changes\":[{\"old\":"
		     "{\"selector\":\"0x40\",\"base\":\"0x3000\","
		     "\"limit\":103},\"new\":{");
	CHECK_EQ(end(), 0);
}

static struct vigil_event hypercall(unsigned int seq)
{
	struct vigil_event ev = written(seq, VIGIL_CONTROL_HYPERCALL, 0, 7);

	ev.call = 29;
	ev.len = 6 * sizeof(uint64_t);
	return ev;
}

static void calls(long arg)
{
	struct fake_msg msg;

	start_plain("watch 7 --control call:29 --control call:0x12 --count 1");
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_CONTROL);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_OF_CALL(29));
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, VIGIL_CONTROL_OF_CALL(18));
	expect(&err, "watching control call:29, action log");
	expect(&err, "watching control call:18, action log");
	send_event(hypercall(1));
	expect(&out, "#1 hypercall 29: ");
	expect(&out, "    arguments 0x7 0 0 0 0 0\n");
	CHECK_EQ(end(), 0);
	start_plain("watch 7 --json --control call:29 --count 1");
	message(FAKE_WATCH);
	expect(&out, "\"kind\":\"control\",\"control\":\"call:29\"");
	send_event(hypercall(1));
	expect(&out, "\"control\":\"call:29\",\"call\":29,\"arguments\":"
		     "[\"0x7\",\"0x0\",\"0x0\",\"0x0\",\"0x0\",\"0x0\"]");
	CHECK_EQ(end(), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "controls", controls, 0 },
		{ "controls, JSON", controls_json, 0 },
		{ "registers", registers, 0 },
		{ "registers, JSON", registers_json, 0 },
		{ "hypercalls", calls, 0 },
		{ 0 },
	};

	find_fake(argv[0]);
	return test_main(argc, argv, cases);
}
