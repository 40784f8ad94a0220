// SPDX-License-Identifier: GPL-2.0
/* The I/O port bus and the timer queue. */
#include <string.h>

#include "dev.h"

#define TIMERS_PER_ROUND 64

void io_bus_init(struct io_bus *bus)
{
	memset(bus, 0, sizeof(*bus));
	bus->n_devices = 1;
}

int io_bus_attach(struct io_bus *bus, struct device *dev)
{
	if (bus->n_devices == IO_MAX_DEVICES)
		return -1;
	for (unsigned int i = 0; i < dev->n_ranges; i++)
		for (unsigned int p = dev->ranges[i].first;
		     p <= dev->ranges[i].last; p++)
			if (bus->map[p])
				return -1;
	for (unsigned int i = 0; i < dev->n_ranges; i++)
		for (unsigned int p = dev->ranges[i].first;
		     p <= dev->ranges[i].last; p++)
			bus->map[p] = bus->n_devices;
	bus->devices[bus->n_devices++] = dev;
	return 0;
}

uint32_t io_bus_read(struct io_bus *bus, uint16_t port, unsigned int size)
{
	struct device *dev = bus->devices[bus->map[port]];
	uint32_t val = 0;

	bus->accesses[bus->map[port]]++;
	if (dev && (dev->wide || size == 1))
		return dev->read(dev, port, size);
	for (unsigned int i = 0; i < size; i++) {
		uint16_t p = port + i;
		uint32_t byte = 0xff;

		dev = bus->devices[bus->map[p]];
		if (dev)
			byte = dev->read(dev, p, 1) & 0xff;
		val |= byte << (8 * i);
	}
	return val;
}

void io_bus_write(struct io_bus *bus, uint16_t port, unsigned int size,
		  uint32_t val)
{
	struct device *dev = bus->devices[bus->map[port]];

	bus->accesses[bus->map[port]]++;
	if (dev && (dev->wide || size == 1)) {
		dev->write(dev, port, size,
			   size < 4 ? val & ((1u << (8 * size)) - 1) : val);
		return;
	}
	for (unsigned int i = 0; i < size; i++) {
		uint16_t p = port + i;

		dev = bus->devices[bus->map[p]];
		if (dev)
			dev->write(dev, p, 1, (val >> (8 * i)) & 0xff);
	}
}

static void unlink_timer(struct timers *ts, struct dev_timer *t)
{
	struct dev_timer **p = &ts->head;

	if (!t->armed)
		return;
	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	t->armed = false;
}

static void tell_deadline(struct timers *ts)
{
	ts->deadline_changed(ts->ctx,
			     ts->head ? ts->head->expires : UINT64_MAX);
}

void timer_arm(struct timers *ts, struct dev_timer *t, uint64_t expires)
{
	struct dev_timer **p = &ts->head;
	bool was_head = ts->head == t;

	if (t->armed && t->expires == expires)
		return;
	unlink_timer(ts, t);
	t->expires = expires;
	while (*p && (*p)->expires <= expires)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	t->armed = true;
	if (was_head || ts->head == t)
		tell_deadline(ts);
}

void timer_cancel(struct timers *ts, struct dev_timer *t)
{
	bool was_head = ts->head == t;

	unlink_timer(ts, t);
	if (was_head)
		tell_deadline(ts);
}

void timers_run(struct timers *ts)
{
	uint64_t now = timers_now(ts);

	/* Bounded: a guest can program a period that is shorter than a round. */
	for (unsigned int i = 0; i < TIMERS_PER_ROUND; i++) {
		struct dev_timer *t = ts->head;

		if (!t || t->expires > now)
			break;
		ts->head = t->next;
		t->armed = false;
		t->fn(t->arg);
	}
	tell_deadline(ts);
}
