/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a device of `vigil run` is made of: ports, interrupt lines, timers.
 *
 * Everything here runs in the vCPU's thread; nothing needs a lock. The devices
 * make no system calls (the timer queue and the UART's output go through
 * callbacks), so that unit tests drive them with a clock of their own.
 */
#ifndef VIGIL_DEV_H
#define VIGIL_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NSEC_PER_SEC 1000000000ull

/**
 * struct io_range - a range of I/O ports
 * @first: first port
 * @last: last port, inclusive
 */
struct io_range {
	uint16_t first;
	uint16_t last;
};

/**
 * struct device - one device on the I/O port bus
 * @name: for messages
 * @ranges: its ports
 * @n_ranges: how many ranges
 * @wide: the device takes 1, 2 and 4 byte accesses as they come; otherwise the
 *	bus splits them into bytes for ascending ports, as an ISA bus does
 * @read: port read of @size bytes; bits above @size are ignored
 * @write: port write of @size bytes; bits above @size are zero
 */
struct device {
	const char *name;
	const struct io_range *ranges;
	unsigned int n_ranges;
	bool wide;
	uint32_t (*read)(struct device *dev, uint16_t port, unsigned int size);
	void (*write)(struct device *dev, uint16_t port, unsigned int size,
		      uint32_t val);
};

#define IO_MAX_DEVICES 16

/**
 * struct io_bus - which device answers at which port
 * @devices: attached devices; index 0 is nobody
 * @n_devices: including nobody
 * @accesses: reads and writes that the guest made, per device
 * @map: port to index
 */
struct io_bus {
	struct device *devices[IO_MAX_DEVICES];
	unsigned int n_devices;
	uint64_t accesses[IO_MAX_DEVICES];
	uint8_t map[65536];
};

void io_bus_init(struct io_bus *bus);
/* Return: 0, or -1 when the bus is full or a port is taken. */
int io_bus_attach(struct io_bus *bus, struct device *dev);
/* @size is 1, 2 or 4. Where nobody answers, all bits read as ones. */
uint32_t io_bus_read(struct io_bus *bus, uint16_t port, unsigned int size);
void io_bus_write(struct io_bus *bus, uint16_t port, unsigned int size,
		  uint32_t val);

/**
 * struct irq_line - an output that a device drives
 * @set: called with the new level
 * @ctx: first argument of @set
 * @n: line number at the receiver
 */
struct irq_line {
	void (*set)(void *ctx, unsigned int n, bool level);
	void *ctx;
	unsigned int n;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->ctx, line->n, level);
}

struct timers;

/**
 * struct dev_timer - a one-shot timer
 * @expires: deadline in ns of the queue's clock, meaningful while @armed
 * @armed: in the queue
 * @fn: called with @arg once the deadline has passed; may arm it again
 * @arg: argument of @fn
 * @next: the timer with the next later deadline, or NULL
 */
struct dev_timer {
	uint64_t expires;
	bool armed;
	void (*fn)(void *arg);
	void *arg;
	struct dev_timer *next;
};

/**
 * struct timers - armed timers in the order of their deadlines
 * @clock: monotonic clock, ns
 * @deadline_changed: the earliest deadline is now @ns (UINT64_MAX: none)
 * @ctx: argument of both
 * @head: earliest
 */
struct timers {
	uint64_t (*clock)(void *ctx);
	void (*deadline_changed)(void *ctx, uint64_t ns);
	void *ctx;
	struct dev_timer *head;
};

static inline uint64_t timers_now(const struct timers *ts)
{
	return ts->clock(ts->ctx);
}

void timer_arm(struct timers *ts, struct dev_timer *t, uint64_t expires);
void timer_cancel(struct timers *ts, struct dev_timer *t);
/*
 * Runs timers that are due. If there are too many for one call, the next call
 * runs the rest.
 */
void timers_run(struct timers *ts);

#endif
