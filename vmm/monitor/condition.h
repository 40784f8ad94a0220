/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which condition of a watch a write fulfils: pure, so that unit tests run it as
 * well. filter.c collects what it looks at.
 */
#ifndef VIGIL_MONITOR_CONDITION_H
#define VIGIL_MONITOR_CONDITION_H

#include "uapi/vigil.h"
#include "vmm/pure.h"

/* VALUE looks at no more bytes than these at the start of a watch. */
#define CONDITION_BYTES 8

/**
 * struct condition_state - what conditions are about: one write, to one watch
 * @rip:	as in the event
 * @cr3:	as in the event
 * @value:	the first bytes of the watch once the write has happened
 * @vcpu:	index
 * @cpl:	as in the event
 * @value_known: @value has all bytes that the conditions ask for
 * @changed:	the write gives a byte of the watch another value
 */
struct condition_state {
	u64 rip, cr3, value;
	u32 vcpu;
	u8 cpl;
	bool value_known, changed;
};

/* Does the condition make sense for that watch? uapi/vigil.h says which do. */
bool condition_valid(const struct vigil_condition *c,
		     const struct vigil_watch *w);

/* The first of @n conditions that the write fulfils, counted from 1. 0: none. */
unsigned int condition_first(const struct vigil_condition *c, unsigned int n,
			     const struct condition_state *s);

/* The bits of the CONDITION_BYTES at @at that a store of @len bytes to @gpa gives. */
u64 condition_stored(u64 at, u64 gpa, unsigned int len);

/**
 * condition_value() - the first bytes of a watch behind a store
 * @memory:	what memory has there now
 * @at:		the address of the first of them
 * @gpa:	where the store begins
 * @len:	how many bytes it has
 * @new_:	what it stores
 */
u64 condition_value(u64 memory, u64 at, u64 gpa, unsigned int len,
		    const void *new_);

/**
 * condition_changed() - does a store give a watched byte another value?
 * @start:	first watched byte
 * @last:	last watched byte
 * @gpa:	where the store begins; it has a watched byte
 * @len:	how many bytes it has
 * @old:	what memory has there
 * @new_:	what it stores
 */
bool condition_changed(u64 start, u64 last, u64 gpa, unsigned int len,
		       const void *old, const void *new_);

#endif
