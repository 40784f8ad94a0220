/* SPDX-License-Identifier: GPL-2.0 */
/* The handle of a monitor. */
#ifndef LIBVIGIL_MONITOR_H
#define LIBVIGIL_MONITOR_H

#include "libvigil.h"
#include "vigil.h"

#define BATCH 32 /* events that are read at once */

/**
 * struct vigil_monitor - a monitor
 * @fd: its file descriptor, non-blocking
 * @at: the next event of @batch that was not handed out; of the thread that takes events
 * @n: events in @batch; of the same thread
 * @batch: what was read
 * @ring: events in memory, mapped; NULL: they are read
 * @ring_bytes: of the mapping
 * @ring_events: events that @ring has room for, a power of two
 */
struct vigil_monitor {
	int fd;
	unsigned int at, n;
	struct vigil_event batch[BATCH];
	struct vigil_ring *ring;
	size_t ring_bytes;
	uint32_t ring_events;
};

/* Unmaps the ring, if there is one. */
void queue_free(struct vigil_monitor *mon);

/**
 * queue_take() - take events from the ring
 * @mon: a monitor with one; its batch is filled from the beginning
 *
 * Return: events; 0: the VM is gone; -EAGAIN; -EINTR; -EPIPE: evicted; or another
 * -errno.
 */
int queue_take(struct vigil_monitor *mon);

#endif
