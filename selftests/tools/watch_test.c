// SPDX-License-Identifier: GPL-2.0
/*
 * `vigil watch' and the other commands without a module: the command is
 * vigil-fake, and this test is its monitor (fake_mon.h).
 */
#include <json-c/json.h>
#include <linux/sockios.h>
#include <pty.h>
#include <sys/ioctl.h>

#include "fake_run.h"

/* ---- standard output that fails ---- */

static void full_command(const char *cmd, bool closed)
{
	int status;

	memset(&err, 0, sizeof(err));
	start((struct where){ .out = closed ? NULL : "/dev/full",
			      .out_closed = closed,
			      .in = -1 },
	      cmd);
	status = end();
	if (status != EX_OUTPUT)
		FAIL("vigil %s: status %d", cmd, status);
	if (times(&err, "cannot write standard output") != 1)
		FAIL("vigil %s says: %s", cmd, err.buf);
	start_plain(cmd);
	status = end();
	if (status)
		FAIL("vigil %s, into a pipe: status %d", cmd, status);
}

static void full_commands(long closed)
{
	static const char *const cmds[] = {
		"--help",
		"--usage",
		"--version",
		"list",
		"list --json",
		"regs 7",
		"regs 7 --json",
		"stat --all 7",
		"stat 7 --json",
		"list --help",
		"regs --help",
		"stat --help",
		"symbols --help",
		"watch --help",
		"watch --usage",
		"hypercalls 7",
		"hypercalls 7 --json",
		"hypercalls 7 --iopl=2",
		"hypercalls --help",
		NULL,
	};

	for (int i = 0; cmds[i]; i++)
		full_command(cmds[i], closed);
	/* no output, no error */
	start((struct where){ .out_closed = true, .in = -1 }, "regs");
	CHECK_EQ(end(), EX_USAGE);
}

/* The command refuses three writes though it can show none of them. */
static void full_stay(long json)
{
	start((struct where){ .out = "/dev/full", .in = -1 },
	      json ? "watch 7 --gpa 9000 --action deny --count 3 --json" :
		     "watch 7 --gpa 9000 --action deny --count 3");
	message(FAKE_WATCH);
	for (int i = 1; i <= 3; i++)
		send_event(event(i, VIGIL_EVENT_DENIED));
	CHECK_EQ(end(), EX_OUTPUT);
	CHECK_EQ(times(&err, "the watches stay"), 1);
	CHECK_EQ(times(&err, "No space left"), 2);
	CHECK_EQ(times(&err, json ? "5 events or notices could not be shown" :
				    "3 events or notices could not be shown"),
		 1);
	CHECK_EQ(times(&err, "nothing is protected any more"), 1);
}

/* A listing that is longer than stdio's buffer, so that writes fail within it. */
static void full_symbols(long closed)
{
	static const char *const form[] = { "symbols 7 --symbols %s",
					    "symbols 7 --symbols %s --json",
					    "symbols 7 --symbols %s one_1*" };
	char path[] = "/tmp/watch-test-XXXXXX", cmd[256];
	int fd = mkstemp(path);

	if (fd < 0)
		ERROR("cannot write the symbols");
	/* Less than 100 symbols without a mark are taken as they stand. */
	for (int i = 0; i < 99; i++)
		dprintf(fd, "%08x D one_%d_%0*d\n", 0xc1000000 + i * 64, i, 60,
			0);
	close(fd);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(cmd, sizeof(cmd), form[i], path);
		full_command(cmd, closed);
	}
	unlink(path);
}

static void reader_gone(long arg)
{
	start_plain("watch 7 --gpa 9000 --action deny --count 3");
	close(out.fd);
	message(FAKE_WATCH);
	send_event(event(1, VIGIL_EVENT_DENIED));
	expect(&err, "the watches stay");
	send_event(event(2, VIGIL_EVENT_DENIED));
	send_event(event(3, VIGIL_EVENT_DENIED));
	CHECK_EQ(end(), EX_OUTPUT);
	CHECK_EQ(times(&err, "Broken pipe"), 2);
}

static void full_stop(long arg)
{
	start((struct where){ .out = "/dev/full", .in = -1 },
	      "watch 7 --gpa 9000 --action deny --output-error=stop");
	message(FAKE_WATCH);
	send_event(event(1, VIGIL_EVENT_DENIED));
	CHECK_EQ(end(), EX_OUTPUT);
	CHECK_EQ(times(&err, "the watches stay"), 0);
	expect(&err, "cannot write standard output: No space left");
	expect(&err, "nothing is protected any more");
}

/* The question cannot be shown where the person who would answer could see it. */
static void full_asking(long json)
{
	start((struct where){ .out = "/dev/full", .in = -1 },
	      json ? "watch 7 --gpa 9000 --action ask --count 2 --json" :
		     "watch 7 --gpa 9000 --action ask --count 2");
	message(FAKE_WATCH);
	send_event(event(1, HELD));
	if (!json) {
		expect(&err, "#1 write of 2 bytes");
		expect(&err, "allow this write?");
		say("y\n");
	}
	check_verdict(1, json ? VIGIL_VERDICT_DENY : VIGIL_VERDICT_ALLOW);
	send_event(event(2, HELD));
	if (!json)
		say("n\n");
	check_verdict(2, VIGIL_VERDICT_DENY);
	CHECK_EQ(end(), EX_OUTPUT);
	CHECK_EQ(times(&err, "held writes are refused"), json);
}

/* The command ends though nobody reads what it has written to a pipe. */
static void reader_stuck(long arg)
{
	int64_t limit = now_ms() + LIMIT_MS;
	int left = 1;

	start((struct where){ .out_stuck = true, .in = -1 },
	      "watch 7 --gpa 9000");
	message(FAKE_WATCH);
	send_event(event(1, 0));
	while (left) {
		if (ioctl(mon, SIOCOUTQ, &left) || now_ms() > limit)
			ERROR("nobody reads the event");
		poll(NULL, 0, 2);
	}
	kill(pid, SIGTERM);
	CHECK_EQ(end(), 0);
}

/* ---- questions ---- */

static void stale_answer(long arg)
{
	int pty, tty;

	if (openpty(&pty, &tty, NULL, NULL, NULL))
		ERROR("no terminal");
	start((struct where){ .in = tty }, "watch 7 --gpa 9000 --action ask "
					   "--count 1");
	in = pty;
	message(FAKE_WATCH);
	say("y\ny");
	send_event(event(1, HELD));
	expect(&err, "allow this write?");
	say("n\n");
	check_verdict(1, VIGIL_VERDICT_DENY);
	CHECK_EQ(end(), 0);
}

static void answers(long arg)
{
	start_plain("watch 7 --gpa 9000 --action ask");
	message(FAKE_WATCH);
	say("y\nyesterday\nn\n\nYES\nall\n");
	for (int i = 1; i <= 8; i++)
		send_event(event(i, HELD));
	check_verdict(1, VIGIL_VERDICT_ALLOW);
	check_verdict(2, VIGIL_VERDICT_DENY);
	check_verdict(3, VIGIL_VERDICT_DENY);
	for (int i = 4; i <= 8; i++)
		check_verdict(i, VIGIL_VERDICT_ALLOW);
	kill(pid, SIGINT);
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&err, "allow this write?"), 6);
}

static void quitting(long arg)
{
	struct pollfd p;
	char c;

	start_plain("watch 7 --gpa 9000 --action ask");
	message(FAKE_WATCH);
	say("quit\n");
	send_event(event(1, HELD));
	CHECK_EQ(end(), 0);
	/* The command gives no verdict, so --on-death decides. */
	p = (struct pollfd){ .fd = mon, .events = POLLIN };
	CHECK_EQ(poll(&p, 1, LIMIT_MS), 1);
	CHECK_EQ(recv(mon, &c, 1, 0), 0);
}

/* One instruction stores 7 bytes in turn; then it is executed once more. */
static void one_question(long arg)
{
	struct vigil_event ev;

	start_plain("watch 7 --gpa 9000 --len 16 --action ask --count 14");
	message(FAKE_WATCH);
	say("n\ny\n");
	for (int i = 0; i < 14; i++) {
		ev = event(i + 1, HELD);
		ev.len = 1;
		ev.gva += i % 7;
		ev.gpa += i % 7;
		ev.insn_len = 2;
		memcpy(ev.insn, "\xf3\xa4", 2);
		ev.regs[1] = 7; /* rCX; taken up once */
		ev.regs[7] = 0x9000;
		send_event(ev);
	}
	for (int i = 0; i < 14; i++)
		check_verdict(i + 1,
			      i < 7 ? VIGIL_VERDICT_DENY : VIGIL_VERDICT_ALLOW);
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&err, "allow this write?"), 2);
}

/* ---- programs that decide ---- */

static void judging(long arg)
{
	start_plain(
		"watch 7 --gpa 9000 --action ask --count 4 --exec "
		"case~$VIGIL_SEQ~in~1)~grep~-q~held;;~2)~exit~1;;~3)~exit~7;;"
		"~4)~kill~-9~$$;;~esac");
	message(FAKE_WATCH);
	for (int i = 1; i <= 4; i++)
		send_event(event(i, HELD));
	check_verdict(1, VIGIL_VERDICT_ALLOW);
	check_verdict(2, VIGIL_VERDICT_DENY);
	check_verdict(3, VIGIL_VERDICT_DENY);
	check_verdict(4, VIGIL_VERDICT_DENY);
	CHECK_EQ(end(), 0);
	expect(&err, "failed with status 7: refused");
	expect(&err, "ended by signal 9: refused");
}

/* end() waits for the end of stderr, which all that the judge started has open */
static void judge_ends_with(long sig)
{
	start_plain("watch 7 --gpa 9000 --action ask --exec "
		    "echo~deciding;~sleep~1000;~true");
	message(FAKE_WATCH);
	send_event(event(1, HELD));
	expect(&err, "deciding");
	kill(pid, sig);
	CHECK_EQ(end(), sig == SIGKILL ? 128 + SIGKILL : 0);
}

static void judge_timeout(long arg)
{
	start_plain("watch 7 --gpa 9000 --action ask --exec-timeout 1 "
		    "--count 1 --exec sleep~1000;~true");
	message(FAKE_WATCH);
	send_event(event(1, HELD));
	check_verdict(1, VIGIL_VERDICT_DENY);
	CHECK_EQ(end(), 0);
	expect(&err, "took longer than 1 second: refused");
}

/* ---- the command line ---- */

static void refused(long arg)
{
	static const char *const cmds[][2] = {
		{ "--gpa 9000 --exec true", "needs --action ask" },
		{ "--gpa 9000 --exec true --action deny",
		  "needs --action ask" },
		{ "--gpa 9000 --on-death allow", "needs --action ask" },
		{ "--gpa 9000 --action ask --exec-timeout 5", "needs --exec" },
		{ "--gpa 9000 --action ask --exec true --exec-timeout 0",
		  "1 to 86400 seconds" },
		{ "--gpa 9000 --output-error=fall", "stay or stop" },
		{ "--gpa nine", "`nine' is not an address: hexadecimal" },
		{ "--gva 1ffffffffffffffff", "more than 64 bits" },
		{ "--gva -1", "is not an address" },
		{ "--gpa 9000 --len 0", "--len is 1 byte to 16M" },
		{ "--gpa 9000 --len 17M", "--len is 1 byte to 16M" },
		{ "--gpa 9000 --len 0x1000001", "--len is 1 byte to 16M" },
		{ "--gpa 9000 --len lots", "`lots' is not a length" },
		{ "--gpa 9000 --len 1.5K", "is not a length" },
		{ "--gpa 9000 --len -8", "is not a length" },
		{ "--gpa 9000 --count 0", "--count is 1 or more" },
		{ "--gpa 9000 --count -1", "is not a decimal number" },
		{ "--control nmi", "--control is idtr, gdtr" },
		{ "--control msr:NONE", "--control is idtr, gdtr" },
		{ "--control msr:100000000", "--control is idtr, gdtr" },
		{ "--control call:", "--control is idtr, gdtr" },
		{ "--control call:-1", "--control is idtr, gdtr" },
		{ "--control call:4294967296", "--control is idtr, gdtr" },
		{ "--control call:1x", "--control is idtr, gdtr" },
		{ "--control gdt --len 8", "--len is about memory" },
		{ "--control table-load --action ask", "its action is log" },
		{ "--gpa 9000 --cr3 1000", "none is watched" },
		{ "--gva 9000 --cr3 0", "address of a page table" },
		{ "--gva 9000 --cr3 10000000000000",
		  "address of a page table" },
		{ "--gpa 9000 --when cpl=3", "--when 'cpl=3': ends where" },
		{ "--gpa 9000 --when cpl=3~allow", "`allow' stands where" },
		{ "--when any~pass", "what is to be watched?" },
		{ "--gpa 1 --no-symbols --when rip=sym:x~pass",
		  "define it by --symbol NAME=ADDR" },
		{ "--gpa 9000 --when cpl=3~pass --action deny --exec true",
		  "needs --action ask" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cmds) / sizeof(*cmds); i++) {
		int status;

		memset(&err, 0, sizeof(err));
		snprintf(text, sizeof(text), "watch 7 %s", cmds[i][0]);
		start_plain(text);
		status = end();
		if (status != EX_USAGE || !strstr(err.buf, cmds[i][1]))
			FAIL("%s: status %d, says: %s", text, status, err.buf);
	}
}

static void taken(long arg)
{
	struct fake_msg msg;

	start_plain("watch 7 --gva ffffffff96c5c6a0 --len 16M --gpa 1000 "
		    "--len 4k --gpa 0x2000 --action deny");
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, 0xffffffff96c5c6a0);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_GVA);
	CHECK_EQ(msg.watch.cr3, 0); /* in all address spaces */
	CHECK_EQ(msg.watch.len, 16 << 20);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, 0x1000);
	CHECK_EQ(msg.watch.len, 4096);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.start, 0x2000);
	CHECK_EQ(msg.watch.len, 8);
	CHECK_EQ(msg.watch.action, VIGIL_ACTION_DENY);
	close(mon); /* the VM ends */
	CHECK_EQ(end(), 0);
	expect(&err, "the VM is gone");
}

static void one_space(long arg)
{
	struct fake_msg msg;

	start_plain("watch 7 --gva 1000 --gpa 2000 --cr3 1c3f000");
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_GVA);
	CHECK_EQ(msg.watch.cr3, 0x1c3f000);
	msg = message(FAKE_WATCH);
	CHECK_EQ(msg.watch.kind, VIGIL_WATCH_GPA);
	CHECK_EQ(msg.watch.cr3, 0);
	close(mon); /* the VM ends */
	CHECK_EQ(end(), 0);
}

static void check_when(unsigned int n, uint32_t tests0, uint32_t action0,
		       uint32_t tests1)
{
	struct fake_msg msg = message(FAKE_WATCH);

	CHECK_EQ(msg.watch.nr_conditions, n);
	CHECK_EQ(msg.condition[0].tests, tests0);
	CHECK_EQ(msg.condition[0].action, action0);
	CHECK_EQ(msg.condition[1].tests, tests1);
}

/* Conditions go to the ranges before them, or to all that have none of their own. */
static void conditions(long arg)
{
	struct vigil_event ev;

	start_plain("watch 7 --when vcpu=1,pass --gpa 1000 --gpa 2000 --len 2 "
		    "--when rip=10-20,pass --when value=5,deny --gpa 3000");
	check_when(2, VIGIL_COND_RIP, VIGIL_ACTION_PASS, VIGIL_COND_VALUE);
	check_when(2, VIGIL_COND_RIP, VIGIL_ACTION_PASS, VIGIL_COND_VALUE);
	check_when(1, VIGIL_COND_VCPU, VIGIL_ACTION_PASS, 0);
	ev = event(1, 0);
	ev.condition = 2;
	send_event(ev);
	expect(&out, "when condition 2 of the watch holds");
	close(mon);
	CHECK_EQ(end(), 0);
	CHECK_EQ(times(&err, "where no --when decides"), 3);

	/* A condition alone can hold a write; verdicts are asked for as ever. */
	start_plain("watch 7 --json --gpa 1000 --len 1 --when value=5~pass "
		    "--when cpl!=0~ask --on-death allow");
	check_when(2, VIGIL_COND_VALUE, VIGIL_ACTION_PASS, VIGIL_COND_CPL);
	expect(&out, "\"conditions\":[\"value & 0xff = 0x5 pass\","
		     "\"cpl != 0 ask\"],\"on_death\":\"allow\"");
	ev = event(1, HELD);
	ev.condition = 2;
	send_event(ev);
	expect(&out, "\"condition\":2");
	say("{\"seq\": 1, \"verdict\": \"allow\"}\n");
	check_verdict(1, VIGIL_VERDICT_ALLOW);
	close(mon);
	CHECK_EQ(end(), 0);

	/* What only the range or the symbols tell. */
	start_plain("watch 7 --gpa 1000 --len 1 --when value=100~pass");
	CHECK(end() != 0);
	expect(&err, "--when: value is about the first 1 byte");
	start_plain("watch 7 --gpa 1000 --symbol mine=c1000e00 --no-symbols "
		    "--when rip=sym:mine+8~pass --when any~deny");
	for (int i = 0; i < 2; i++) {
		struct fake_msg msg = message(FAKE_WATCH);

		CHECK_EQ(msg.condition[0].rip, 0xc1000e08);
		CHECK_EQ(msg.condition[0].rip_last, 0xc1000e0f);
	}
	close(mon);
	CHECK_EQ(end(), 0);
}

/* A symbol reaches up to the next one, and NAME=ADDR defines one. */
static void symbol_lengths(long arg)
{
	char path[] = "/tmp/watch-test-XXXXXX", cmd[512];
	static const char map[] = "c1000000 D table\nc1000e20 D next\n";
	/* A symbol that is defined ends the one before it. */
	static const uint64_t want[][2] = { { 0xc1000000, 3584 },
					    { 0xc1000010, 3568 },
					    { 0xc1000e20, 8 },
					    { 0xc1000e00, 32 } };
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, map, sizeof(map) - 1) != sizeof(map) - 1)
		ERROR("cannot write the symbols");
	close(fd);
	snprintf(cmd, sizeof(cmd),
		 "watch 7 --symbols %s --symbol table --symbol table+16 "
		 "--symbol next --symbol mine=c1000e00 --action deny",
		 path);
	start_plain(cmd);
	for (int i = 0; i < 4; i++) {
		struct fake_msg msg = message(FAKE_WATCH);

		CHECK_EQ(msg.watch.start, want[i][0]);
		CHECK_EQ(msg.watch.len, want[i][1]);
	}
	close(mon);
	CHECK_EQ(end(), 0);
	snprintf(cmd, sizeof(cmd),
		 "watch 7 --symbols %s --symbol table --len 16", path);
	start_plain(cmd);
	CHECK_EQ(message(FAKE_WATCH).watch.len, 16);
	close(mon);
	CHECK_EQ(end(), 0);
	unlink(path);
	/* A symbol can be defined without any table of symbols. */
	start_plain("watch 7 --no-symbols --symbol mine=c1000e00");
	CHECK_EQ(message(FAKE_WATCH).watch.start, 0xc1000e00);
	close(mon);
	CHECK_EQ(end(), 0);
}

/* What a symbol names is watched where its memory is, too: page by page. */
static void symbol_aliases(long value)
{
	static const uint64_t want[][3] = {
		{ VIGIL_WATCH_GVA, 0xe0000ff0, 0x1020 },
		{ VIGIL_WATCH_GPA, 0x1ff0, 0x10 },
		{ VIGIL_WATCH_GPA, 0x2000, 0x1000 },
		{ VIGIL_WATCH_GPA, 0x3000, 0x10 },
	};
	char cmd[200];

	snprintf(cmd, sizeof(cmd),
		 "watch 7 --no-symbols --symbol mine=e0000ff0 --len 0x1020 "
		 "--action deny %s",
		 value ? "--when value=0~pass" : "");
	start_plain(cmd);
	for (int i = 0; i < (value ? 2 : 4); i++) {
		struct fake_msg msg = message(FAKE_WATCH);

		CHECK_EQ(msg.watch.kind, want[i][0]);
		CHECK_EQ(msg.watch.start, want[i][1]);
		CHECK_EQ(msg.watch.len, want[i][2]);
		CHECK_EQ(msg.watch.cookie, 0);
		CHECK_EQ(msg.watch.action, VIGIL_ACTION_DENY);
		CHECK_EQ(msg.watch.nr_conditions, value);
	}
	expect(&err, "watching 4128 bytes at mine=e0000ff0 = 0xe0000ff0, ");
	expect(&err, "watching 16 bytes at mine=e0000ff0 = gpa 0x1ff0, ");
	send_event(event(1, VIGIL_EVENT_DENIED));
	expect(&out, "#1 ");
	close(mon);
	CHECK_EQ(end(), 0);
}

/* ---- times and records ---- */

/* "2026-11-29T06:38:07.123456+00:00" */
static void check_time(const char *text)
{
	static const char like[] = "0000-00-00T00:00:00.000000+00:00";
	size_t i;

	for (i = 0; i < sizeof(like) - 1; i++) {
		bool same = like[i] == '0' ? text[i] >= '0' && text[i] <= '9' :
			    like[i] == '+' ? text[i] == '+' || text[i] == '-' :
					     text[i] == like[i];

		if (!same) {
			FAIL("not like %s: %.40s", like, text);
			return;
		}
	}
}

/* Seconds of the wall clock, from a time like the one above. */
static double seconds(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%FT%T", &tm);
	int hours, minutes;
	double fraction;
	char sign;

	if (!end ||
	    sscanf(end, "%lf%c%d:%d", &fraction, &sign, &hours, &minutes) != 4)
		ERROR("not a time: %s", text);
	return timegm(&tm) + fraction -
	       (sign == '-' ? -60 : 60) * (60 * hours + minutes);
}

/* The host's clock is set while the command runs: see fake_mon.c. */
static void one_clock(long arg)
{
	struct timespec mono, real;
	struct vigil_event ev;
	char first[64], *l;
	double want;

	setenv("TZ", "<+0545>-5:45", 1);
	start_plain("watch 7 --gpa 9000 --count 101");
	message(FAKE_WATCH);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	for (int i = 1; i <= 101; i++) {
		ev = event(i, 0);
		ev.time_ns = mono.tv_sec * 1000000000ull + mono.tv_nsec;
		if (i == 101)
			ev.time_ns += 86400ull * 1000000000;
		send_event(ev);
	}
	expect(&out, " #1 ");
	snprintf(first, sizeof(first), "%.32s", out.buf);
	check_time(first);
	CHECK(!strcmp(first + 26, "+05:45"));
	want = real.tv_sec + real.tv_nsec / 1e9;
	CHECK(seconds(first) - want < 0.5 && want - seconds(first) < 0.5);
	for (int i = 2; i <= 101; i++) {
		do
			l = line(&out);
		while (strncmp(l, "20", 2));
		if (i <= 100 && strncmp(l, first, 32))
			FAIL("one time is %s and %.32s", first, l);
	}
	/* A day later by the monotonic clock is a day later by the wall clock. */
	want = seconds(first) + 86400;
	CHECK(seconds(l) - want < 1e-4 && want - seconds(l) < 1e-4);
	CHECK_EQ(end(), 0);
}

static struct json_object *record(const char *kind)
{
	const char *l = line(&out);
	struct json_object *o = json_tokener_parse(l), *v;

	if (!o || !json_object_object_get_ex(o, "record", &v) ||
	    strcmp(json_object_get_string(v), kind)) {
		FAIL("no record `%s': %s", kind, l);
		test_abort();
	}
	CHECK(json_object_object_get_ex(o, "version", &v));
	CHECK_EQ(json_object_get_int(v), 1);
	CHECK(json_object_object_get_ex(o, "time_ns", &v));
	CHECK(json_object_is_type(v, json_type_int));
	CHECK(json_object_object_get_ex(o, "time", &v));
	check_time(json_object_get_string(v));
	CHECK(json_object_object_get_ex(o, "vm", &v));
	CHECK_EQ(json_object_get_int(v), 7);
	return o;
}

static const char *field(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v)) {
		FAIL("no `%s' in %s", key, json_object_to_json_string(o));
		test_abort();
	}
	return json_object_get_string(v);
}

#define CHECK_FIELD(o, key, want)                                     \
	do {                                                          \
		const char *__got = field(o, key);                    \
                                                                      \
		if (strcmp(__got, want))                              \
			FAIL("%s is %s, not %s", key, __got, (want)); \
	} while (0)

static void records(long arg)
{
	struct json_object *o;
	struct vigil_event ev;

	start_plain("watch 7 --gpa 9000 --action ask --gva "
		    "ffffffff96c5c6a0 --action deny --json --exec true");
	o = record("armed");
	CHECK_FIELD(o, "watch", "1");
	CHECK_FIELD(o, "vm_name", "fake");
	CHECK_FIELD(o, "kind", "gpa");
	CHECK_FIELD(o, "start", "0x9000");
	CHECK_FIELD(o, "len", "8");
	CHECK_FIELD(o, "action", "ask");
	CHECK_FIELD(o, "on_death", "deny");
	o = record("armed");
	CHECK_FIELD(o, "kind", "gva");
	CHECK_FIELD(o, "start", "0xffffffff96c5c6a0");
	CHECK_FIELD(o, "action", "deny");
	send_event(event(1, VIGIL_EVENT_DENIED));
	o = record("event");
	CHECK_FIELD(o, "seq", "1");
	CHECK_FIELD(o, "time_ns", "1000000001");
	CHECK_FIELD(o, "result", "denied");
	send_event(event(2, HELD));
	CHECK_FIELD(record("event"), "result", "allowed");
	for (int i = 0; i < 2; i++) {
		ev = event(10 + 5 * i, VIGIL_EVENT_DENIED);
		ev.dropped = i ? 11 : 7;
		send_event(ev);
		o = record("lost");
		CHECK_FIELD(o, "lost", i ? "4" : "7");
		CHECK_FIELD(o, "dropped", i ? "11" : "7");
		record("event");
	}
	send_event(ev);
	record("event");
	close(mon);
	CHECK_FIELD(record("ended"), "reason", "vm");
	CHECK_EQ(end(), 0);
}

static void ended_by(long sig)
{
	start_plain(sig ? "watch 7 --gpa 9000 --json" :
			  "watch 7 --gpa 9000 --json --count 1");
	record("armed");
	if (sig) {
		kill(pid, sig);
	} else {
		send_event(event(1, 0));
		record("event");
	}
	CHECK_FIELD(record("ended"), "reason", sig ? "signal" : "count");
	CHECK_EQ(end(), 0);
}

/* Verdicts may come in any order; a line that is none decides nothing. */
static void answers_json(long arg)
{
	struct json_object *o;

	start_plain("watch 7 --gpa 9000 --action ask --json --count 4");
	message(FAKE_WATCH);
	record("armed");
	for (int i = 1; i <= 4; i++) {
		send_event(event(i, HELD));
		o = record("event");
		CHECK_FIELD(o, "result", "held");
	}
	say("{\"seq\": 3, \"verdict\": \"allow\"}\n\n");
	check_verdict(3, VIGIL_VERDICT_ALLOW);
	o = record("verdict");
	CHECK_FIELD(o, "seq", "3");
	CHECK_FIELD(o, "result", "allowed");
	say("y\n");
	expect(&err, "is no verdict");
	say("{\"seq\": 1, \"verdict\": \"maybe\"}\n");
	expect(&err, "is no verdict");
	say("{\"seq\": \"1\", \"verdict\": \"allow\"}\n");
	expect(&err, "is no verdict");
	for (int i = 0; i < 2000; i++)
		say(" ");
	say("{\"seq\": 1, \"verdict\": \"allow\"}\n");
	expect(&err, "is no verdict");
	say("{\"seq\": 3, \"verdict\": \"deny\"}\n");
	expect(&err, "event 3, which does not wait");
	/* A pause decides nothing: the next verdict does. */
	say("{\"seq\": 1, \"verdict\": \"pause\"}\n");
	check_verdict(1, VIGIL_VERDICT_PAUSE);
	CHECK_FIELD(record("verdict"), "result", "paused");
	say("{\"seq\": 1, \"ver");
	say("dict\": \"deny\"}\n");
	check_verdict(1, VIGIL_VERDICT_DENY);
	CHECK_FIELD(record("verdict"), "result", "denied");
	/* The end of standard input refuses the writes that wait. */
	close(in);
	message(FAKE_VERDICT);
	message(FAKE_VERDICT);
	CHECK_FIELD(record("verdict"), "result", "denied");
	CHECK_FIELD(record("verdict"), "result", "denied");
	record("ended");
	CHECK_EQ(end(), 0);
	expect(&err, "standard input has ended");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a full disk under every command", full_commands, 0, 120 },
		{ "no standard output, every command", full_commands, 1, 120 },
		{ "a full disk under a listing of symbols", full_symbols, 0 },
		{ "no standard output, a listing of symbols", full_symbols, 1 },
		{ "a full disk: the watches stay", full_stay, 0 },
		{ "a full disk: the watches stay, JSON", full_stay, 1 },
		{ "the reader is gone: the watches stay", reader_gone, 0 },
		{ "a full disk: stop", full_stop, 0 },
		{ "a full disk: questions", full_asking, 0 },
		{ "a full disk: questions, JSON", full_asking, 1 },
		{ "a reader that does not read", reader_stuck, 0 },
		{ "an answer before the question", stale_answer, 0 },
		{ "y, n, all, and other words", answers, 0 },
		{ "quit", quitting, 0 },
		{ "one question for an instruction", one_question, 0 },
		{ "--exec", judging, 0 },
		{ "--exec, kill -9 of the watcher", judge_ends_with, SIGKILL },
		{ "--exec, Ctrl-C", judge_ends_with, SIGINT },
		{ "--exec-timeout", judge_timeout, 0 },
		{ "command lines that are refused", refused, 0, 120 },
		{ "addresses and lengths", taken, 0 },
		{ "one address space", one_space, 0 },
		{ "conditions", conditions },
		{ "symbols and their lengths", symbol_lengths, 0 },
		{ "a symbol's memory", symbol_aliases, 0 },
		{ "a symbol's memory, a condition on values", symbol_aliases,
		  1 },
		{ "times come from one offset", one_clock, 0 },
		{ "records of JSON", records, 0 },
		{ "the record of the end, count", ended_by, 0 },
		{ "the record of the end, signal", ended_by, SIGTERM },
		{ "verdicts as JSON", answers_json, 0 },
		{ 0 },
	};

	find_fake(argv[0]);
	return test_main(argc, argv, cases);
}
