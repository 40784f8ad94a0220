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
 */
struct vigil_monitor {
	int fd;
	unsigned int at, n;
	struct vigil_event batch[BATCH];
};

#endif
