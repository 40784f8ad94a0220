// SPDX-License-Identifier: GPL-2.0
/* Where the events of a monitor wait: a queue of another size, or a ring in memory. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib.h"
#include "monitor.h"

_Static_assert(VIGIL_EVENTS_RING == VIGIL_QUEUE_RING &&
		       VIGIL_EVENTS_WAIT == VIGIL_QUEUE_WAIT,
	       "flags of a queue");

static int set_failed(int err, unsigned int events, unsigned int flags)
{
	switch (err) {
	case EBUSY:
		return vigil_lib_fail(
			err,
			"the queue of events is chosen once, before the first watch");
	case EPERM:
		return vigil_lib_fail(
			err, "a monitor that only looks has no events");
	case EINVAL:
		return vigil_lib_fail(
			err,
			"a queue of %u events cannot be: it holds 1 to %u%s",
			events, VIGIL_MAX_QUEUE,
			flags & VIGIL_EVENTS_RING ?
				", and a ring a power of two" :
				"");
	}
	return vigil_lib_fail(err, "cannot set up a queue of %u events: %s",
			      events, strerror(err));
}

static int map_ring(struct vigil_monitor *mon, unsigned int events)
{
	size_t bytes = VIGIL_RING_HEAD + events * sizeof(struct vigil_event);
	struct vigil_ring *ring;

	ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, mon->fd,
		    0);
	if (ring == MAP_FAILED)
		return vigil_lib_fail(errno, "cannot map a ring of events: %s",
				      strerror(errno));
	/* A child that had the mapping would hold the monitor. */
	madvise(ring, bytes, MADV_DONTFORK);
	mon->ring = ring;
	mon->ring_bytes = bytes;
	mon->ring_events = events;
	return 0;
}

int vigil_set_queue(struct vigil_monitor *mon, unsigned int events,
		    unsigned int flags)
{
	const struct vigil_queue q = { .events = events, .flags = flags };

	if (ioctl(mon->fd, VIGIL_SET_QUEUE, &q))
		return set_failed(errno, events, flags);
	return flags & VIGIL_EVENTS_RING ? map_ring(mon, events) : 0;
}

void queue_free(struct vigil_monitor *mon)
{
	if (mon->ring)
		munmap(mon->ring, mon->ring_bytes);
}

/* Takes what is in the ring, as much as @mon has room for. Return: events. */
static unsigned int take_events(struct vigil_monitor *mon)
{
	const struct vigil_event *events =
		(const void *)((const char *)mon->ring + VIGIL_RING_HEAD);
	struct vigil_ring *ring = mon->ring;
	uint32_t head, tail = ring->tail;
	unsigned int n = 0;

	/* Pairs with the kernel's release: the events are there before head. */
	head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	while (tail != head && n < BATCH)
		mon->batch[n++] = events[tail++ & (mon->ring_events - 1)];
	/* Pairs with the kernel's acquire: the events are copied before their room is free. */
	__atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
	return n;
}

/* The VM or the monitor has ended. */
static int hung_up(struct vigil_monitor *mon)
{
	struct vigil_vm_info info;

	if (ioctl(mon->fd, VIGIL_GET_INFO, &info))
		return vigil_lib_fail(errno, "cannot ask about the VM: %s",
				      strerror(errno));
	return info.flags & VIGIL_VM_DEAD ? 0 : -EPIPE;
}

int queue_take(struct vigil_monitor *mon)
{
	struct pollfd p = { .fd = mon->fd, .events = POLLIN };
	unsigned int n = take_events(mon);

	if (n)
		return n;
	/* poll() brings the events that have found no room, and tells of the end. */
	if (poll(&p, 1, 0) < 0)
		return -errno;
	n = take_events(mon);
	if (n)
		return n;
	return p.revents & POLLHUP ? hung_up(mon) : -EAGAIN;
}
