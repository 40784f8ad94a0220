/* SPDX-License-Identifier: GPL-2.0 */
/* For tests of devices: a clock that the test moves, and one interrupt line. */
#ifndef SELFTESTS_TOOLS_CLOCK_H
#define SELFTESTS_TOOLS_CLOCK_H

#include "dev.h"

extern struct timers timers; /* for the device */
extern uint64_t now, deadline; /* deadline: of the first timer */
extern uint64_t slowness; /* the clock goes on by that with each reading */
extern unsigned int edges; /* of the line, upwards */
extern bool level;

/* No timers, the line is low. */
void clock_setup(uint64_t start);
/* For the device's line. */
void clock_set_irq(void *ctx, unsigned int n, bool up);
/* Moves the clock, and takes every deadline on the way. */
void clock_to(uint64_t target);
/* The clock comes to the next deadline, if it is not there yet. */
void clock_to_deadline(void);

#endif
