/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random calls on the files of /dev/vigil: the device, VMs, vCPUs, monitors.
 *
 * A process prepares once, while it has one thread. Then each thread, and each
 * process that it forks, has a struct caller of its own. The files are common to
 * the threads, which open, use and close them under each other's hands.
 */
#ifndef SELFTESTS_CALLS_H
#define SELFTESTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define CALLS_THREADS 4
#define CALLS_VMS 8 /* IDs of VMs that processes tell each other */
#define CALLS_ARGS 16384 /* room for the largest argument */

/* What one thread tells those that watch over it, in shared memory. */
struct calls_thread {
	volatile uint32_t made; /* calls that have begun */
	volatile uint32_t worked; /* ioctls that did not fail */
	volatile uint32_t ran; /* exits of guests */
	volatile uint32_t cmd; /* of the ioctl that was made last, or 0 */
	volatile int32_t fd;
	volatile uint64_t arg;
	const char *volatile op; /* the same in every process that forked */
};

/* In memory that all processes of a run share. */
struct calls_shared {
	volatile uint32_t vm_id[CALLS_VMS];
	volatile uint32_t wrong; /* calls whose result must never be */
	/* the first of those */
	volatile uint32_t wrong_cmd, wrong_errno;
	struct calls_thread thread[];
};

struct caller {
	struct rng rng;
	struct calls_shared *shared;
	struct calls_thread *tell;
	bool forked; /* the VMs belong to another process */
	uint8_t *scratch; /* followed by a page that does not exist */
	uint8_t args[CALLS_ARGS]; /* an argument that is being made */
};

/* Memory is withheld for ever if @serve is false. */
void calls_prepare(struct rng *r, bool serve);
void calls_caller(struct caller *c, struct calls_shared *shared,
		  struct calls_thread *tell, uint64_t seed, uint64_t stream);
/* Makes one call, or a few that belong together. */
void calls_make(struct caller *c);

#endif
