/* SPDX-License-Identifier: GPL-2.0 */
/* The conditions of a watch, and what they say of a write: filter.c. */
#ifndef VIGIL_FILTER_H
#define VIGIL_FILTER_H

#include <linux/atomic.h>
#include <linux/refcount.h>

#include "condition.h"
#include "watch.h"

struct watch_range;

/**
 * struct watch_filter - the conditions of a watch
 * @users:	the watch, each of its ranges in a tree, and who copies the list
 * @passed:	writes that were let through
 * @at:		address of the watch's first byte, guest-physical or linear
 * @mask:	all bits that a condition looks at there
 * @tests:	all tests of the conditions
 * @count:	of @condition
 * @condition:	in order
 *
 * But for @users and @passed it never changes once vCPUs can see it.
 */
struct watch_filter {
	refcount_t users;
	atomic64_t passed;
	u64 at;
	u64 mask;
	u32 tests;
	u32 count;
	struct vigil_condition condition[];
};

/*
 * Copies and checks the conditions of a watch that is to be. NULL: it has none. Called
 * without a lock, since it reads the monitor's memory.
 */
struct watch_filter *filter_copy(const struct vigil_watch *w);
/* NULL is fine for both. */
struct watch_filter *filter_get(struct watch_filter *f);
void filter_put(struct watch_filter *f);

/**
 * filter_first() - the first condition of a range's watch that a write fulfils
 * @vcpu:	in its thread, under vm->srcu
 * @r:		a range with a filter, of which the store has a byte
 * @st:		the store, or a change of a control
 * @may_sleep:	false: bytes that the store leaves alone count as unknown
 *
 * Return: counted from 1; 0: none, the watch's own action counts.
 */
unsigned int filter_first(struct vigil_vcpu *vcpu, const struct watch_range *r,
			  const struct watch_store *st, bool may_sleep);

#endif
