// SPDX-License-Identifier: GPL-2.0
/*
 * MC146818 real-time clock with periodic, alarm and update-ended interrupts,
 * and the CMOS bytes that tell a PC how much memory it has. Time is computed
 * when it is read; a timer runs only while an interrupt is enabled.
 */
#include <string.h>
#include <time.h>

#include "dev_rtc.h"

#define REG_SEC 0x00
#define REG_SEC_ALARM 0x01
#define REG_MIN 0x02
#define REG_MIN_ALARM 0x03
#define REG_HOUR 0x04
#define REG_HOUR_ALARM 0x05
#define REG_WDAY 0x06
#define REG_MDAY 0x07
#define REG_MONTH 0x08
#define REG_YEAR 0x09
#define REG_A 0x0a
#define REG_B 0x0b
#define REG_C 0x0c
#define REG_D 0x0d
#define REG_CENTURY 0x32

#define A_UIP 0x80
#define B_SET 0x80
#define B_BINARY 0x04
#define B_24H 0x02
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define FLAGS (C_PF | C_AF | C_UF)

/* The update-in-progress bit is set for this long before the second turns. */
#define UIP_NS 244000ull
#define RTC_HZ 32768ull

static const struct io_range rtc_ranges[] = { { 0x70, 0x71 } };

static uint64_t wall(const struct rtc *rtc)
{
	if (rtc->cmos[REG_B] & B_SET)
		return rtc->frozen;
	return timers_now(rtc->timers) + rtc->offset;
}

static uint8_t encode(const struct rtc *rtc, unsigned int n)
{
	return rtc->cmos[REG_B] & B_BINARY ? n : n / 10 % 10 << 4 | n % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t v)
{
	return rtc->cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned int hour)
{
	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) |
	       (hour >= 12 ? 0x80 : 0);
}

static unsigned int decode_hour(const struct rtc *rtc, uint8_t v)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, v);
	return decode(rtc, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static void to_tm(uint64_t ns, struct tm *tm)
{
	time_t t = ns / NSEC_PER_SEC;

	gmtime_r(&t, tm);
}

static bool is_time(unsigned int reg)
{
	switch (reg) {
	case REG_SEC:
	case REG_MIN:
	case REG_HOUR:
	case REG_WDAY:
	case REG_MDAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		return true;
	}
	return false;
}

static uint8_t read_time(const struct rtc *rtc, unsigned int reg)
{
	struct tm tm;

	to_tm(wall(rtc), &tm);
	switch (reg) {
	case REG_SEC:
		return encode(rtc, tm.tm_sec);
	case REG_MIN:
		return encode(rtc, tm.tm_min);
	case REG_HOUR:
		return encode_hour(rtc, tm.tm_hour);
	case REG_WDAY:
		return encode(rtc, tm.tm_wday + 1);
	case REG_MDAY:
		return encode(rtc, tm.tm_mday);
	case REG_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case REG_YEAR:
		return encode(rtc, tm.tm_year % 100);
	default:
		return encode(rtc, (tm.tm_year + 1900) / 100);
	}
}

static void write_time(struct rtc *rtc, unsigned int reg, uint8_t val)
{
	uint64_t old = wall(rtc), ns;
	struct tm tm;
	time_t t;

	to_tm(old, &tm);
	switch (reg) {
	case REG_SEC:
		tm.tm_sec = decode(rtc, val) % 60;
		break;
	case REG_MIN:
		tm.tm_min = decode(rtc, val) % 60;
		break;
	case REG_HOUR:
		tm.tm_hour = decode_hour(rtc, val) % 24;
		break;
	case REG_WDAY:
		return;
	case REG_MDAY:
		tm.tm_mday = decode(rtc, val);
		break;
	case REG_MONTH:
		tm.tm_mon = decode(rtc, val) - 1;
		break;
	case REG_YEAR:
		tm.tm_year = tm.tm_year / 100 * 100 + decode(rtc, val) % 100;
		break;
	case REG_CENTURY:
		tm.tm_year = tm.tm_year % 100 +
			     (int)(decode(rtc, val) % 100) * 100 - 1900;
		break;
	}
	/* A date before 1970 or after 2100 is ignored. */
	t = timegm(&tm);
	if (t < 0 || t > 4102444800ll)
		return;
	ns = (uint64_t)t * NSEC_PER_SEC + old % NSEC_PER_SEC;
	rtc->frozen = ns;
	rtc->offset += ns - old;
	rtc->updated = ns / NSEC_PER_SEC;
}

/* Length of the periodic interrupt's period in 32768ths of a second, 0: off. */
static unsigned int period_ticks(const struct rtc *rtc)
{
	unsigned int rate = rtc->cmos[REG_A] & 15;

	if (!rate)
		return 0;
	return rate <= 2 ? 1u << (rate + 6) : 1u << (rate - 1);
}

static uint64_t periods(const struct rtc *rtc)
{
	unsigned __int128 ns = timers_now(rtc->timers) - rtc->period_base;
	unsigned int ticks = period_ticks(rtc);

	return ticks ? (uint64_t)(ns * RTC_HZ / NSEC_PER_SEC) / ticks : 0;
}

static bool alarm_matches(const struct rtc *rtc, uint64_t second)
{
	const uint8_t *c = rtc->cmos;
	struct tm tm;

	/* Two top bits set mean "any". */
	to_tm(second * NSEC_PER_SEC, &tm);
	return ((c[REG_SEC_ALARM] & 0xc0) == 0xc0 ||
		decode(rtc, c[REG_SEC_ALARM]) == (unsigned int)tm.tm_sec) &&
	       ((c[REG_MIN_ALARM] & 0xc0) == 0xc0 ||
		decode(rtc, c[REG_MIN_ALARM]) == (unsigned int)tm.tm_min) &&
	       ((c[REG_HOUR_ALARM] & 0xc0) == 0xc0 ||
		decode_hour(rtc, c[REG_HOUR_ALARM]) ==
			(unsigned int)tm.tm_hour);
}

/* Raises the flags of what happened since the last look, and the line. */
static void refresh(struct rtc *rtc)
{
	uint64_t second = wall(rtc) / NSEC_PER_SEC, n = periods(rtc);

	if (second > rtc->updated && !(rtc->cmos[REG_B] & B_SET)) {
		rtc->flags |= C_UF;
		/*
		 * An alarm that a long sleep has skipped is still reported, up
		 * to a day later.
		 */
		if (second - rtc->updated > 86400)
			rtc->updated = second - 86400;
		while (rtc->updated < second && !(rtc->flags & C_AF))
			if (alarm_matches(rtc, ++rtc->updated))
				rtc->flags |= C_AF;
		rtc->updated = second;
	}
	if (n != rtc->period_seen) {
		rtc->flags |= C_PF;
		rtc->period_seen = n;
	}
	irq_set(&rtc->irq, rtc->flags & rtc->cmos[REG_B] & FLAGS);
}

static void schedule(struct rtc *rtc)
{
	uint64_t now = timers_now(rtc->timers), next = UINT64_MAX, ns;
	uint8_t enabled = rtc->cmos[REG_B];
	unsigned int ticks = period_ticks(rtc);

	if (enabled & C_PF && ticks) {
		unsigned __int128 t =
			(unsigned __int128)(periods(rtc) + 1) * ticks;

		next = rtc->period_base +
		       (uint64_t)((t * NSEC_PER_SEC + RTC_HZ - 1) / RTC_HZ);
	}
	if (enabled & (C_UF | C_AF) && !(enabled & B_SET)) {
		ns = now + NSEC_PER_SEC - wall(rtc) % NSEC_PER_SEC;
		if (ns < next)
			next = ns;
	}
	if (next == UINT64_MAX)
		timer_cancel(rtc->timers, &rtc->timer);
	else
		timer_arm(rtc->timers, &rtc->timer, next);
}

static void rtc_expired(void *arg)
{
	struct rtc *rtc = arg;

	refresh(rtc);
	schedule(rtc);
}

static void write_reg_b(struct rtc *rtc, uint8_t val)
{
	uint8_t old = rtc->cmos[REG_B];

	if (val & B_SET && !(old & B_SET)) {
		rtc->frozen = wall(rtc);
		val &= ~C_UF;
	}
	if (!(val & B_SET) && old & B_SET) {
		rtc->offset = rtc->frozen - timers_now(rtc->timers);
		rtc->updated = rtc->frozen / NSEC_PER_SEC;
	}
	rtc->cmos[REG_B] = val;
	refresh(rtc);
	schedule(rtc);
}

static void rtc_write(struct device *dev, uint16_t port, unsigned int size,
		      uint32_t val)
{
	struct rtc *rtc = (struct rtc *)dev;

	if (port == 0x70) {
		/* Bit 7 masks NMI, which nobody raises here. */
		rtc->index = val & 0x7f;
		return;
	}
	if (is_time(rtc->index)) {
		write_time(rtc, rtc->index, val);
		schedule(rtc);
		return;
	}
	switch (rtc->index) {
	case REG_A:
		refresh(rtc);
		rtc->cmos[REG_A] = val & ~A_UIP;
		rtc->period_base = timers_now(rtc->timers);
		rtc->period_seen = 0;
		schedule(rtc);
		break;
	case REG_B:
		refresh(rtc);
		write_reg_b(rtc, val);
		break;
	case REG_C:
	case REG_D:
		break;
	default:
		rtc->cmos[rtc->index] = val;
		break;
	}
}

static uint32_t rtc_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct rtc *rtc = (struct rtc *)dev;
	uint8_t val;

	if (port == 0x70)
		return 0xff;
	if (is_time(rtc->index))
		return read_time(rtc, rtc->index);
	switch (rtc->index) {
	case REG_A:
		val = rtc->cmos[REG_A];
		if (!(rtc->cmos[REG_B] & B_SET) &&
		    wall(rtc) % NSEC_PER_SEC >= NSEC_PER_SEC - UIP_NS)
			val |= A_UIP;
		return val;
	case REG_C:
		refresh(rtc);
		val = rtc->flags;
		if (val & rtc->cmos[REG_B] & FLAGS)
			val |= C_IRQF;
		rtc->flags = 0;
		irq_set(&rtc->irq, false);
		return val;
	default:
		return rtc->cmos[rtc->index];
	}
}

static void put_le16(uint8_t *p, uint64_t v)
{
	if (v > 0xffff)
		v = 0xffff;
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

void rtc_init(struct rtc *rtc, struct timers *timers, struct irq_line irq,
	      uint64_t wall_ns, uint64_t low_bytes, uint64_t high_bytes)
{
	const uint64_t mib = 1 << 20;
	uint8_t *c = rtc->cmos;

	memset(rtc, 0, sizeof(*rtc));
	rtc->dev = (struct device){
		.name = "rtc",
		.ranges = rtc_ranges,
		.n_ranges = 1,
		.read = rtc_read,
		.write = rtc_write,
	};
	rtc->timers = timers;
	rtc->timer.fn = rtc_expired;
	rtc->timer.arg = rtc;
	rtc->irq = irq;
	rtc->offset = wall_ns - timers_now(timers);
	rtc->updated = wall_ns / NSEC_PER_SEC;
	rtc->period_base = timers_now(timers);

	c[REG_A] = 0x26;
	c[REG_B] = B_24H;
	c[REG_D] = 0x80; /* the battery is good */
	/* Equipment: FPU present. */
	c[0x14] = 0x02;
	/* KiB below 640 K; KiB above 1 M, twice; 64 KiB units above 16 M and 4 G. */
	put_le16(c + 0x15, low_bytes >= mib ? 640 : low_bytes >> 10);
	put_le16(c + 0x17, low_bytes > mib ? (low_bytes - mib) >> 10 : 0);
	put_le16(c + 0x30, low_bytes > mib ? (low_bytes - mib) >> 10 : 0);
	put_le16(c + 0x34,
		 low_bytes > 16 * mib ? (low_bytes - 16 * mib) >> 16 : 0);
	high_bytes >>= 16;
	if (high_bytes > 0xffffff)
		high_bytes = 0xffffff;
	put_le16(c + 0x5b, high_bytes & 0xffff);
	c[0x5d] = high_bytes >> 16;
}
