// SPDX-License-Identifier: GPL-2.0
#include "clock.h"

struct timers timers;
uint64_t now, deadline, slowness;
unsigned int edges;
bool level;

static uint64_t get_clock(void *ctx)
{
	now += slowness;
	return now;
}

static void set_deadline(void *ctx, uint64_t ns)
{
	deadline = ns;
}

void clock_set_irq(void *ctx, unsigned int n, bool up)
{
	if (up && !level)
		edges++;
	level = up;
}

void clock_setup(uint64_t start)
{
	now = start;
	slowness = 0;
	deadline = UINT64_MAX;
	edges = 0;
	level = false;
	timers = (struct timers){ .clock = get_clock,
				  .deadline_changed = set_deadline };
}

void clock_to_deadline(void)
{
	if (now < deadline)
		now = deadline;
	timers_run(&timers);
}

void clock_to(uint64_t target)
{
	while (deadline <= target)
		clock_to_deadline();
	now = target;
}
