/* SPDX-License-Identifier: GPL-2.0 */
/* Events in memory that the monitor has mapped: ring.c. */
#ifndef VIGIL_RING_H
#define VIGIL_RING_H

#include <linux/types.h>

#include "uapi/vigil.h"

struct mon_ring;
struct vm_area_struct;

/* @events is a power of two. NULL: there is no memory. */
struct mon_ring *ring_create(u32 events);
void ring_free(struct mon_ring *ring);
int ring_mmap(struct mon_ring *ring, struct vm_area_struct *vma);
/* Is there room for an event? Writers exclude each other. */
bool ring_room(const struct mon_ring *ring);
/*
 * Stores an event. Writers exclude each other. False: there is no room. *@wake: the
 * reader had taken all events before this one, so it may sleep.
 */
bool ring_put(struct mon_ring *ring, const struct vigil_event *ev, bool *wake);
/* Are there events that the reader has not taken? Any context. */
bool ring_ready(const struct mon_ring *ring);

#endif
