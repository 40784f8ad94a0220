/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that a run can have again.
 */
#ifndef UNIT_RNG_H
#define UNIT_RNG_H

#include <stdint.h>

/* Begins with what UNIT_SEED in the environment says, and prints it. */
void unit_seed(void);
/* From here on the numbers depend on the seed and on @n alone. */
void unit_restart(uint64_t n);
uint64_t unit_random(void);
/* Returns a number from 0 to @n - 1. */
unsigned int unit_below(unsigned int n);

#endif /* UNIT_RNG_H */
