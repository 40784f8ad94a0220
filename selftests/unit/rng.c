// SPDX-License-Identifier: GPL-2.0
/*
 * The random numbers of the unit tests: the same in each run, unless UNIT_SEED
 * says otherwise.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rng.h"

static uint64_t state = 1;
static uint64_t seed;

void unit_seed(void)
{
	const char *s = getenv("UNIT_SEED");

	seed = s ? strtoull(s, NULL, 0) : 0;
	unit_restart(0);
	printf("# UNIT_SEED=%" PRIu64 "\n", seed);
	fflush(stdout); /* whatever comes of it */
}

void unit_restart(uint64_t n)
{
	unsigned int i;

	state = (seed + 1) * 0x9e3779b97f4a7c15ull + n;
	state += !state;
	/* Mix, so that neighbouring seeds do not begin alike. */
	for (i = 0; i < 16; i++)
		unit_random();
}

uint64_t unit_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

unsigned int unit_below(unsigned int n)
{
	return (unit_random() >> 32) % n;
}
