// SPDX-License-Identifier: GPL-2.0
/*
 * The 8254 interval timer and port 0x61, which gates its channel 2 and shows
 * its output. Counts are computed from the clock when they are looked at; only
 * channel 0's interrupts need a timer. Written from the 8254 data sheet.
 *
 * One simplification: in modes 2 and 3 a new count takes effect at once, not at
 * the end of the current period.
 */
#include <string.h>

#include "dev_pit.h"

/*
 * The shortest period at which the host is interrupted, even if the guest asks
 * for 1 us.
 */
#define MIN_PERIOD_NS 50000ull

static const struct io_range pit_ranges[] = { { 0x40, 0x43 }, { 0x61, 0x61 } };

static uint64_t pit_tick(const struct pit *pit)
{
	unsigned __int128 ns = timers_now(pit->timers) - pit->epoch;

	return ns * PIT_HZ / NSEC_PER_SEC;
}

/* The first ns at which pit_tick() is @tick or more. */
static uint64_t tick_to_ns(const struct pit *pit, uint64_t tick)
{
	unsigned __int128 t = tick;

	return pit->epoch +
	       (uint64_t)((t * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ);
}

static bool gate_holds(const struct pit_channel *c)
{
	return !c->gate && c->mode != 1 && c->mode != 5;
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t tick)
{
	if (!c->counting)
		return 0;
	return gate_holds(c) ? c->held : tick - c->start;
}

static bool channel_out(const struct pit_channel *c, uint64_t tick)
{
	uint64_t d = elapsed(c, tick);

	switch (c->mode) {
	case 0:
		return c->counting && d >= c->active;
	case 1:
		return !c->counting || d >= c->active;
	case 2:
		return !c->counting || !c->gate ||
		       d % c->active != c->active - 1;
	case 3:
		return !c->counting || !c->gate ||
		       d % c->active < (c->active + 1) / 2;
	default:
		return !c->counting || d != c->active;
	}
}

static uint16_t to_bcd(unsigned int n)
{
	return n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 |
	       n / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t v)
{
	return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 +
	       (v >> 12 & 15) * 1000;
}

static uint16_t channel_count(const struct pit_channel *c, uint64_t tick)
{
	uint32_t modulus = c->bcd ? 10000 : 65536;
	uint64_t d = elapsed(c, tick);
	uint32_t n;

	switch (c->mode) {
	case 2:
		n = c->active - d % c->active;
		break;
	case 3:
		/* Counts down by twos, twice per period. */
		n = c->active - 2 * d % c->active;
		n &= ~1u;
		break;
	default:
		n = (c->active + modulus - d % modulus) % modulus;
		break;
	}
	n %= modulus;
	return c->bcd ? to_bcd(n) : n;
}

static uint8_t channel_status(const struct pit_channel *c, uint64_t tick)
{
	return channel_out(c, tick) << 7 | !c->loaded << 6 | c->rw << 4 |
	       c->mode << 1 | c->bcd;
}

/*
 * Arms channel 0's timer for its next rising edge, no earlier than @floor ns.
 * In modes 0 and 4 there is one per load: only call this when one is due.
 */
static void schedule(struct pit *pit, uint64_t floor)
{
	struct pit_channel *c = &pit->ch[0];
	uint64_t tick = pit_tick(pit), next, ns;

	if (!c->counting)
		goto none;
	switch (c->mode) {
	case 2:
	case 3:
		next = c->start +
		       ((tick - c->start) / c->active + 1) * c->active;
		break;
	case 0:
	case 4:
		/*
		 * If the host was slow, the edge is due already, and still has
		 * to come.
		 */
		next = c->start + c->active;
		break;
	default:
		goto none;
	}
	ns = tick_to_ns(pit, next);
	timer_arm(pit->timers, &pit->timer, ns > floor ? ns : floor);
	return;
none:
	timer_cancel(pit->timers, &pit->timer);
}

static void pit_expired(void *arg)
{
	struct pit *pit = arg;

	/* Periods that were missed are one edge, as a busy CPU would see them. */
	irq_set(&pit->irq, false);
	irq_set(&pit->irq, true);
	if (pit->ch[0].mode == 2 || pit->ch[0].mode == 3)
		schedule(pit, timers_now(pit->timers) + MIN_PERIOD_NS);
}

static void start_run(struct pit_channel *c, uint64_t tick)
{
	c->active = c->reload;
	c->start = tick;
	c->held = 0;
	c->counting = true;
}

static void load(struct pit *pit, struct pit_channel *c, uint16_t val)
{
	uint64_t tick = pit_tick(pit);

	c->reload = c->bcd ? from_bcd(val) : val;
	if (!c->reload)
		c->reload = c->bcd ? 10000 : 65536;
	/* 8254: a count of 1 is illegal in modes 2 and 3. */
	if (c->reload == 1 && (c->mode == 2 || c->mode == 3))
		c->reload = 2;
	c->loaded = true;
	if (c->mode != 1 && c->mode != 5)
		start_run(c, tick);
	if (c == &pit->ch[0]) {
		irq_set(&pit->irq, channel_out(c, tick));
		schedule(pit, 0);
	}
}

static void set_gate(struct pit *pit, struct pit_channel *c, bool gate)
{
	uint64_t tick = pit_tick(pit);

	if (gate == c->gate)
		return;
	if (!gate) {
		c->held = elapsed(c, tick);
		c->gate = false;
		return;
	}
	c->gate = true;
	if (!c->loaded)
		return;
	if (c->mode == 0 || c->mode == 4)
		c->start = tick - c->held;
	else
		start_run(c, tick);
}

static void latch_count(const struct pit *pit, struct pit_channel *c)
{
	if (c->count_latched)
		return;
	c->latch = channel_count(c, pit_tick(pit));
	c->count_latched = c->rw == 3 ? 2 : 1;
}

static void write_control(struct pit *pit, uint8_t val)
{
	unsigned int n = val >> 6, mode = val >> 1 & 7;
	struct pit_channel *c;

	if (n == 3) {
		for (n = 0; n < 3; n++) {
			c = &pit->ch[n];
			if (!(val & 2 << n))
				continue;
			if (!(val & 0x20))
				latch_count(pit, c);
			if (!(val & 0x10) && !c->status_latched) {
				c->status = channel_status(c, pit_tick(pit));
				c->status_latched = true;
			}
		}
		return;
	}
	c = &pit->ch[n];
	if (!(val & 0x30)) {
		latch_count(pit, c);
		return;
	}
	c->rw = val >> 4 & 3;
	c->mode = mode > 5 ? mode - 4 : mode;
	c->bcd = val & 1;
	c->loaded = false;
	c->counting = false;
	c->write_high = false;
	c->read_high = false;
	c->count_latched = 0;
	c->status_latched = false;
	if (n == 0) {
		irq_set(&pit->irq, channel_out(c, pit_tick(pit)));
		schedule(pit, 0);
	}
}

static void write_count(struct pit *pit, struct pit_channel *c, uint8_t val)
{
	switch (c->rw) {
	case 1:
		load(pit, c, val);
		break;
	case 2:
		load(pit, c, val << 8);
		break;
	case 3:
		if (c->write_high) {
			load(pit, c, val << 8 | c->write_low);
		} else {
			c->write_low = val;
			/* The first byte stops a mode 0 count. */
			if (c->mode == 0) {
				c->counting = false;
				if (c == &pit->ch[0]) {
					irq_set(&pit->irq, false);
					schedule(pit, 0);
				}
			}
		}
		c->write_high = !c->write_high;
		break;
	}
}

static uint8_t read_count(struct pit *pit, struct pit_channel *c)
{
	uint16_t val;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->count_latched) {
		high = c->rw == 2 || (c->rw == 3 && c->count_latched == 1);
		val = c->latch;
		c->count_latched--;
	} else {
		high = c->rw == 2 || (c->rw == 3 && c->read_high);
		val = channel_count(c, pit_tick(pit));
		if (c->rw == 3)
			c->read_high = !c->read_high;
	}
	return high ? val >> 8 : val & 0xff;
}

static void pit_write(struct device *dev, uint16_t port, unsigned int size,
		      uint32_t val)
{
	struct pit *pit = (struct pit *)dev;

	if (port == 0x61) {
		pit->port61 = val & 3;
		set_gate(pit, &pit->ch[2], val & 1);
	} else if (port == 0x43) {
		write_control(pit, val);
	} else {
		write_count(pit, &pit->ch[port & 3], val);
	}
}

static uint32_t pit_read(struct device *dev, uint16_t port, unsigned int size)
{
	struct pit *pit = (struct pit *)dev;
	uint64_t tick;

	if (port == 0x43)
		return 0xff;
	if (port != 0x61)
		return read_count(pit, &pit->ch[port & 3]);
	/* Bit 4 toggles with the DRAM refresh, every 15 us. */
	tick = pit_tick(pit);
	return pit->port61 | (tick / 18 & 1) << 4 |
	       channel_out(&pit->ch[2], tick) << 5;
}

void pit_init(struct pit *pit, struct timers *timers, struct irq_line irq)
{
	memset(pit, 0, sizeof(*pit));
	pit->dev = (struct device){
		.name = "pit",
		.ranges = pit_ranges,
		.n_ranges = sizeof(pit_ranges) / sizeof(pit_ranges[0]),
		.read = pit_read,
		.write = pit_write,
	};
	pit->timers = timers;
	pit->timer.fn = pit_expired;
	pit->timer.arg = pit;
	pit->irq = irq;
	pit->epoch = timers_now(timers);
	for (unsigned int i = 0; i < 3; i++) {
		struct pit_channel *c = &pit->ch[i];

		c->mode = 3;
		c->rw = 3;
		c->gate = i != 2;
		c->reload = 65536;
		c->active = 65536;
	}
}
