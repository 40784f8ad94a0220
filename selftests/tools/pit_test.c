// SPDX-License-Identifier: GPL-2.0
/* The 8254 and port 0x61, on a clock that the test moves. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "dev_pit.h"
#include "tap.h"

static struct pit pit;

static void out(uint16_t port, uint8_t val)
{
	pit.dev.write(&pit.dev, port, 1, val);
}

static uint8_t in(uint16_t port)
{
	return pit.dev.read(&pit.dev, port, 1);
}

/* Moves the clock to the first ns of tick @t (since the start of the test). */
static void to_tick(uint64_t t)
{
	clock_to(1000 + (t * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ);
}

static void setup(void)
{
	clock_setup(1000);
	pit_init(&pit, &timers, (struct irq_line){ clock_set_irq, NULL, 0 });
}

static void program(unsigned int ch, uint8_t control, uint16_t count)
{
	out(0x43, ch << 6 | 0x30 | control);
	out(0x40 + ch, count & 0xff);
	out(0x40 + ch, count >> 8);
}

static uint16_t latched(unsigned int ch)
{
	uint16_t v;

	out(0x43, ch << 6);
	v = in(0x40 + ch);
	return v | in(0x40 + ch) << 8;
}

static bool out2(void)
{
	return in(0x61) & 0x20;
}

static void test_quiet(long arg)
{
	setup();
	CHECK_EQ(deadline, UINT64_MAX);
	CHECK_EQ(edges, 0);
}

static void test_rate(long arg)
{
	setup();
	program(0, 0x04, 1000);
	/* The edge of the mode change itself is not a tick. */
	edges = 0;
	to_tick(999);
	CHECK_EQ(edges, 0);
	to_tick(1000);
	CHECK_EQ(edges, 1);
	to_tick(10500);
	CHECK_EQ(edges, 10);
	CHECK_EQ(latched(0), 500);
}

static void test_square(long arg)
{
	setup();
	program(0, 0x06, 1000);
	edges = 0;
	to_tick(5000);
	CHECK_EQ(edges, 5);
	to_tick(5100);
	CHECK_EQ(latched(0), 800);
	/* The second half counts down once more. */
	to_tick(5600);
	CHECK_EQ(latched(0), 800);
}

static void test_reload_zero(long arg)
{
	setup();
	program(0, 0x04, 0);
	edges = 0;
	to_tick(65535);
	CHECK_EQ(edges, 0);
	to_tick(65536);
	CHECK_EQ(edges, 1);
	/* Far away: no multiplication overflows. */
	now += 400ull * 86400 * NSEC_PER_SEC;
	timers_run(&timers);
	CHECK_EQ(edges, 2);
	CHECK(deadline > now && deadline <= now + 55 * NSEC_PER_SEC / 1000);
}

static void test_terminal_count(long arg)
{
	setup();
	program(0, 0x00, 500);
	CHECK_EQ(level, false);
	to_tick(499);
	CHECK_EQ(edges, 0);
	to_tick(500);
	CHECK_EQ(edges, 1);
	to_tick(100000);
	CHECK_EQ(edges, 1);
	CHECK_EQ(level, true);
	CHECK_EQ(deadline, UINT64_MAX);
	/* A new count: low again, and one more interrupt. */
	out(0x40, 200);
	CHECK_EQ(level, false);
	out(0x40, 0);
	to_tick(100200);
	CHECK_EQ(edges, 2);
}

static void test_one_shot(long arg)
{
	/* Linux's one-shot clock event: mode 4, counted down again and again. */
	setup();
	program(0, 0x08, 3000);
	edges = 0;
	to_tick(1500);
	CHECK_EQ(latched(0), 1500);
	out(0x40, 100);
	out(0x40, 0);
	to_tick(1599);
	CHECK_EQ(edges, 0);
	to_tick(1600);
	CHECK_EQ(edges, 1);
	to_tick(10000);
	CHECK_EQ(edges, 1);
}

static void test_slow_host(long arg)
{
	/* Preempted between two looks at the clock: no one-shot may be lost. */
	setup();
	program(0, arg, 3000);
	edges = 0;
	slowness = 20000;
	for (unsigned int i = 1; i <= 20; i++) {
		out(0x40, 5);
		out(0x40, 0);
		CHECK(deadline != UINT64_MAX);
		clock_to_deadline();
		CHECK_EQ(edges, i);
	}
}

static void test_off(long arg)
{
	setup();
	program(0, 0x04, 1000);
	out(0x43, 0x30);
	edges = 0;
	to_tick(100000);
	CHECK_EQ(edges, 0);
	CHECK_EQ(deadline, UINT64_MAX);
}

static void test_latch(long arg)
{
	setup();
	program(0, 0x04, 0x1234);
	to_tick(0x34);
	out(0x43, 0x00);
	to_tick(0x100);
	/* A second latch before the first was read changes nothing. */
	out(0x43, 0x00);
	CHECK_EQ(in(0x40), 0x00);
	CHECK_EQ(in(0x40), 0x12);
	CHECK_EQ(in(0x40), 0x34);
	CHECK_EQ(in(0x40), 0x11);
}

static void test_access_modes(long arg)
{
	setup();
	out(0x43, 0x14);
	out(0x40, 0x80);
	to_tick(0x10);
	CHECK_EQ(in(0x40), 0x70);
	CHECK_EQ(in(0x40), 0x70);
	out(0x43, 0x24);
	out(0x40, 0x80);
	CHECK_EQ(in(0x40), 0x80);
	to_tick(0x11);
	CHECK_EQ(in(0x40), 0x7f);
}

static void test_bcd(long arg)
{
	setup();
	program(0, 0x05, 0x1000);
	to_tick(1);
	CHECK_EQ(latched(0), 0x0999);
	to_tick(500);
	CHECK_EQ(latched(0), 0x0500);
	program(0, 0x05, 0);
	to_tick(501);
	CHECK_EQ(latched(0), 0x9999);
}

static void test_readback(long arg)
{
	setup();
	/* Programmed, no count yet: null count. */
	out(0x43, 0x34);
	out(0x43, 0xe2);
	CHECK_EQ(in(0x40), 0xc0 | 0x34);
	program(0, 0x04, 1000);
	to_tick(10);
	/* Status and count of channel 0: status comes first. */
	out(0x43, 0xc2);
	to_tick(20);
	CHECK_EQ(in(0x40), 0x80 | 0x34);
	CHECK_EQ(in(0x40), 990 & 0xff);
	CHECK_EQ(in(0x40), 990 >> 8);
	CHECK_EQ(in(0x43), 0xff);
}

static void test_gate_mode0(long arg)
{
	/* Linux calibrates its TSC this way: mode 0, and polls port 0x61. */
	setup();
	out(0x61, (in(0x61) & ~2) | 1);
	program(2, 0x00, 11931);
	CHECK(!out2());
	to_tick(11930);
	CHECK(!out2());
	to_tick(11931);
	CHECK(out2());
	CHECK_EQ(edges, 0);

	/* Gate low holds the count. */
	program(2, 0x00, 1000);
	to_tick(11931 + 400);
	out(0x61, 0);
	CHECK_EQ(latched(2), 600);
	to_tick(11931 + 5000);
	CHECK_EQ(latched(2), 600);
	CHECK(!out2());
	out(0x61, 1);
	to_tick(11931 + 5599);
	CHECK(!out2());
	to_tick(11931 + 5600);
	CHECK(out2());
}

static void test_gate_held_load(long arg)
{
	setup();
	out(0x61, 0);
	program(2, 0x00, 100);
	to_tick(5000);
	CHECK(!out2());
	CHECK_EQ(latched(2), 100);
	out(0x61, 1);
	to_tick(5100);
	CHECK(out2());
}

static void test_gate_mode1(long arg)
{
	setup();
	out(0x61, 0);
	program(2, 0x02, 100);
	CHECK(out2());
	to_tick(1000);
	CHECK(out2());
	out(0x61, 1);
	CHECK(!out2());
	to_tick(1050);
	/* Retriggered; the gate's fall does nothing. */
	out(0x61, 0);
	out(0x61, 1);
	to_tick(1149);
	CHECK(!out2());
	to_tick(1150);
	CHECK(out2());
}

static void test_gate_mode3(long arg)
{
	setup();
	out(0x61, 1);
	program(2, 0x06, 100);
	CHECK(out2());
	to_tick(49);
	CHECK(out2());
	to_tick(50);
	CHECK(!out2());
	out(0x61, 0);
	CHECK(out2());
	to_tick(220);
	out(0x61, 1);
	to_tick(269);
	CHECK(out2());
	to_tick(270);
	CHECK(!out2());
}

static void test_mode5(long arg)
{
	setup();
	program(2, 0x0a, 100);
	to_tick(500);
	CHECK(out2());
	out(0x61, 1);
	to_tick(599);
	CHECK(out2());
	to_tick(600);
	CHECK(!out2());
	to_tick(601);
	CHECK(out2());
}

static void test_refresh(long arg)
{
	bool a, b;

	setup();
	a = in(0x61) & 0x10;
	to_tick(18);
	b = in(0x61) & 0x10;
	CHECK(a != b);
	out(0x61, 0xff);
	CHECK_EQ(in(0x61) & 0x03, 3);
}

static void test_storm(long arg)
{
	unsigned int rounds = 0;

	/* The shortest period there is costs the host a bounded pace. */
	setup();
	program(0, 0x04, 1);
	edges = 0;
	while (now < NSEC_PER_SEC / 100) {
		CHECK(deadline != UINT64_MAX);
		clock_to_deadline();
		if (++rounds > 1000)
			break;
	}
	CHECK(rounds >= 190 && rounds <= 210);
}

static void test_any_writes(long arg)
{
	static const uint16_t ports[] = { 0x40, 0x41, 0x42, 0x43, 0x43, 0x61 };
	uint32_t seed = 4711;

	setup();
	for (unsigned int i = 0; i < 300000; i++) {
		uint16_t port;

		seed = seed * 1664525 + 1013904223;
		port = ports[(seed >> 16) % 6];
		if (seed >> 31)
			out(port, seed >> 8);
		else
			in(port);
		now += seed >> 4 & 0xffff;
		if (deadline <= now)
			timers_run(&timers);
		CHECK(deadline > now);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "no interrupts before it is programmed", test_quiet },
		{ "mode 2, rate generator", test_rate },
		{ "mode 3, square wave", test_square },
		{ "count 0 is 65536", test_reload_zero },
		{ "mode 0, interrupt on terminal count", test_terminal_count },
		{ "mode 4, one-shot", test_one_shot },
		{ "mode 0 on a slow host", test_slow_host, 0x00 },
		{ "mode 4 on a slow host", test_slow_host, 0x08 },
		{ "a control word stops it", test_off },
		{ "latch", test_latch },
		{ "low byte or high byte only", test_access_modes },
		{ "BCD", test_bcd },
		{ "read-back", test_readback },
		{ "gate in mode 0", test_gate_mode0 },
		{ "load while the gate is low", test_gate_held_load },
		{ "gate in mode 1", test_gate_mode1 },
		{ "gate in mode 3", test_gate_mode3 },
		{ "trigger in mode 5", test_mode5 },
		{ "refresh bit", test_refresh },
		{ "shortest period", test_storm },
		{ "arbitrary writes", test_any_writes },
		{}
	};

	return test_main(argc, argv, cases);
}
