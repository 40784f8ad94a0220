/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers that a run can have again, and what random tests make of them.
 * Each thread has a generator of its own, so that no lock of the C library is
 * taken, which a fork might find locked.
 */
#ifndef SELFTESTS_RANDOM_H
#define SELFTESTS_RANDOM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* What VIGIL_SEED in the environment says, or 1. */
uint64_t rng_wanted_seed(void);
/* The numbers depend on @seed and @stream alone. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
/* 0 to n - 1 */
unsigned int rng_below(struct rng *r, unsigned int n);
/* True once in @n times. */
static inline bool rng_once_in(struct rng *r, unsigned int n)
{
	return !rng_below(r, n);
}
void rng_fill(struct rng *r, void *to, size_t len);
void rng_flip(struct rng *r, void *in, size_t len, unsigned int bits);
/* Returns numbers that have a meaning more often than random ones do. */
uint64_t rng_number(struct rng *r);
/* Changes one field of a segment, or all. */
void rng_segment(struct rng *r, struct kvm_segment *s);
/* Makes @n conditions that the watch may have. */
struct vigil_condition;
struct vigil_watch;
void rng_conditions(struct rng *r, const struct vigil_watch *w,
		    struct vigil_condition *c, unsigned int n);
/*
 * Code of meaningful instructions in a random order, each of which is one in
 * 16-, 32- and 64-bit code.
 */
void rng_code(struct rng *r, uint8_t *to, size_t len);
/*
 * Keep the emulator of the emulated host alive: it aborts when a 32-bit ring
 * switch meets a TSS that it does not like, and when a breakpoint is armed.
 */
void code_defuse(uint8_t *code, size_t len);
void sregs_defuse(struct kvm_sregs *s);

struct vcpu;
/*
 * Runs a guest until it has died, or has stopped or was interrupted often enough.
 * Each stop must be one that KVM has too.
 */
void run_random(struct vcpu *v, struct rng *r, unsigned long round);

#endif
