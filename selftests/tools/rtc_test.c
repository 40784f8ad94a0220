// SPDX-License-Identifier: GPL-2.0
/* The real-time clock, on a clock that the test moves. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "dev_rtc.h"
#include "tap.h"

/* 2024-02-29 23:59:58.5 UTC, a Thursday. */
#define WALL (1709251198ull * NSEC_PER_SEC + NSEC_PER_SEC / 2)

static struct rtc rtc;

static void out(uint8_t reg, uint8_t val)
{
	rtc.dev.write(&rtc.dev, 0x70, 1, reg);
	rtc.dev.write(&rtc.dev, 0x71, 1, val);
}

static uint8_t in(uint8_t reg)
{
	rtc.dev.write(&rtc.dev, 0x70, 1, reg);
	return rtc.dev.read(&rtc.dev, 0x71, 1);
}

/* The periodic flag is up nearly always: the divider runs from the start. */
static uint8_t flags(void)
{
	return in(0x0c) & ~0x40;
}

static void setup(void)
{
	clock_setup(5000);
	rtc_init(&rtc, &timers, (struct irq_line){ clock_set_irq, NULL, 8 },
		 WALL, 3ull << 30, 5ull << 30);
	/* The alarm is at midnight after a reset, which these tests pass. */
	out(0x05, 0x12);
}

static void advance(uint64_t ns)
{
	clock_to(now + ns);
}

static void test_time(long arg)
{
	setup();
	CHECK_EQ(in(0x00), 0x58);
	CHECK_EQ(in(0x02), 0x59);
	CHECK_EQ(in(0x04), 0x23);
	CHECK_EQ(in(0x06), 5);
	CHECK_EQ(in(0x07), 0x29);
	CHECK_EQ(in(0x08), 0x02);
	CHECK_EQ(in(0x09), 0x24);
	CHECK_EQ(in(0x32), 0x20);
	CHECK_EQ(in(0x0d), 0x80);
	advance(1500000000);
	CHECK_EQ(in(0x00), 0x00);
	CHECK_EQ(in(0x07), 0x01);
	CHECK_EQ(in(0x08), 0x03);
}

static void test_formats(long arg)
{
	setup();
	out(0x0b, 0x06);
	CHECK_EQ(in(0x00), 58);
	CHECK_EQ(in(0x04), 23);
	out(0x0b, 0x04);
	CHECK_EQ(in(0x04), 0x80 | 11);
	out(0x0b, 0x00);
	CHECK_EQ(in(0x04), 0x80 | 0x11);
	out(0x04, 0x12);
	CHECK_EQ(in(0x04), 0x12);
	out(0x0b, 0x02);
	CHECK_EQ(in(0x04), 0x00);
}

static void test_uip(long arg)
{
	setup();
	CHECK_EQ(in(0x0a) & 0x80, 0);
	advance(499900000);
	CHECK_EQ(in(0x0a) & 0x80, 0x80);
	advance(200000);
	CHECK_EQ(in(0x0a) & 0x80, 0);
}

static void test_set(long arg)
{
	setup();
	out(0x0b, 0x82);
	out(0x00, 0x10);
	out(0x02, 0x20);
	out(0x04, 0x03);
	out(0x07, 0x15);
	out(0x08, 0x06);
	out(0x09, 0x31);
	/* Stopped while SET is up. */
	advance(10 * NSEC_PER_SEC);
	CHECK_EQ(in(0x00), 0x10);
	CHECK_EQ(in(0x0a) & 0x80, 0);
	out(0x0b, 0x02);
	advance(2 * NSEC_PER_SEC);
	CHECK_EQ(in(0x00), 0x12);
	CHECK_EQ(in(0x02), 0x20);
	CHECK_EQ(in(0x04), 0x03);
	CHECK_EQ(in(0x07), 0x15);
	CHECK_EQ(in(0x08), 0x06);
	CHECK_EQ(in(0x09), 0x31);
}

static void test_update_irq(long arg)
{
	setup();
	out(0x0b, 0x12);
	advance(400000000);
	CHECK_EQ(edges, 0);
	advance(200000000);
	CHECK_EQ(edges, 1);
	/* No more until register C is read. */
	advance(NSEC_PER_SEC);
	CHECK_EQ(edges, 1);
	CHECK_EQ(flags(), 0x90);
	CHECK_EQ(level, false);
	CHECK_EQ(flags(), 0);
	advance(NSEC_PER_SEC);
	CHECK_EQ(edges, 2);
}

static void test_polled_update(long arg)
{
	setup();
	in(0x0c);
	advance(NSEC_PER_SEC);
	CHECK_EQ(flags(), 0x10);
	CHECK_EQ(edges, 0);
	CHECK_EQ(deadline, UINT64_MAX);
}

static void test_periodic(long arg)
{
	unsigned int n = 0;

	/* Rate 6: 1024 Hz. */
	setup();
	out(0x0a, 0x26);
	out(0x0b, 0x42);
	for (unsigned int i = 0; i < 1000; i++) {
		advance(1000000);
		if (level) {
			n++;
			CHECK_EQ(in(0x0c) & 0xc0, 0xc0);
		}
	}
	CHECK(n >= 990 && n <= 1000);
	CHECK_EQ(edges, n);
	/* Rate 0: none. */
	out(0x0a, 0x20);
	advance(NSEC_PER_SEC);
	CHECK_EQ(edges, n);
	CHECK_EQ(deadline, UINT64_MAX);
}

static void test_alarm(long arg)
{
	setup();
	out(0x01, 0x05);
	out(0x03, 0xc0);
	out(0x05, 0xff);
	out(0x0b, 0x22);
	advance(6 * NSEC_PER_SEC);
	CHECK_EQ(edges, 0);
	advance(NSEC_PER_SEC);
	CHECK_EQ(edges, 1);
	CHECK_EQ(flags(), 0xb0);
	advance(59 * NSEC_PER_SEC);
	CHECK_EQ(edges, 1);
	advance(2 * NSEC_PER_SEC);
	CHECK_EQ(edges, 2);
}

static void test_memory_size(long arg)
{
	setup();
	CHECK_EQ(in(0x15) | in(0x16) << 8, 640);
	CHECK_EQ(in(0x17) | in(0x18) << 8, 0xffff);
	CHECK_EQ(in(0x34) | in(0x35) << 8, ((3ull << 30) - (16 << 20)) >> 16);
	CHECK_EQ(in(0x5b) | in(0x5c) << 8 | in(0x5d) << 16, 5ull << 14);
}

static void test_nvram(long arg)
{
	setup();
	out(0x40, 0xa5);
	CHECK_EQ(in(0x40), 0xa5);
	/* The NMI bit is not part of the index. */
	CHECK_EQ(in(0x80 | 0x40), 0xa5);
	CHECK_EQ(rtc.dev.read(&rtc.dev, 0x70, 1), 0xff);
}

static void test_any_writes(long arg)
{
	uint32_t seed = 99;

	setup();
	for (unsigned int i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 31)
			out(seed >> 8 & 0x7f, seed >> 16);
		else
			in(seed >> 8 & 0x7f);
		now += seed >> 3 & 0xfffffff;
		if (deadline <= now)
			timers_run(&timers);
		CHECK(deadline > now);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "time and date", test_time },
		{ "binary, BCD, 12 and 24 hours", test_formats },
		{ "update in progress", test_uip },
		{ "setting the time", test_set },
		{ "update-ended interrupt", test_update_irq },
		{ "update flag without interrupts", test_polled_update },
		{ "periodic interrupt", test_periodic },
		{ "alarm", test_alarm },
		{ "memory size bytes", test_memory_size },
		{ "other bytes are memory", test_nvram },
		{ "arbitrary writes", test_any_writes },
		{}
	};

	return test_main(argc, argv, cases);
}
