/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that several slots share: the same addresses of the VMM's process, or other ones
 * at which it has the same pages of a file. The guest has such a page at several gfns: a
 * store through one of them changes what the others show.
 */
#ifndef VIGIL_ALIAS_H
#define VIGIL_ALIAS_H

#include "slot.h"

/**
 * struct alias_iter - a walk over the other gfns of a page
 * @i:		index of the next slot to look at
 * @gfn:	the gfn that alias_next() has found
 */
struct alias_iter {
	unsigned int i;
	gfn_t gfn;
};

/* The next slot but @slot that has the memory of @gfn, which is @slot's; or NULL. */
struct vigil_slot *alias_next(struct vigil_slots *slots,
			      const struct vigil_slot *slot, gfn_t gfn,
			      struct alias_iter *it);

#define for_each_alias(other, slots, slot, gfn, it) \
	for ((it)->i = 0; ((other) = alias_next((slots), (slot), (gfn), (it)));)

/**
 * alias_add() - a slot is about to be published
 * @slots:	all slots, with @slot or without
 * @slot:	counted in every slot that shares memory with it, and these in it
 *
 * vm->lock is held.
 */
void alias_add(struct vigil_slots *slots, struct vigil_slot *slot);
/* The opposite, for when no vCPU uses an array with @slot any more. */
void alias_del(struct vigil_slots *slots, const struct vigil_slot *slot);
/**
 * alias_span() - a range of bytes as it is seen through another slot
 * @a:		slot
 * @b:		slot
 * @start:	first byte, in guest-physical memory
 * @last:	last byte
 * @to_start:	out: first byte through @b
 * @to_last:	out: last byte through @b
 *
 * Return: false, no byte of the range is in memory of @a that @b has as well.
 */
bool alias_span(const struct vigil_slot *a, const struct vigil_slot *b,
		gpa_t start, gpa_t last, gpa_t *to_start, gpa_t *to_last);
/**
 * alias_find_file() - notes of which file a new slot has the pages
 * @slot:	nobody else sees it yet
 *
 * Only shared mappings count, and only if the slot has one piece of one file. The VMM
 * may have the same piece at other addresses. What it maps later is not noticed.
 *
 * The slot holds the file, whatever the VMM does with its mappings: otherwise another
 * file's pages could come to the address by which files are compared. The caller lets
 * go of it by alias_put_file().
 *
 * Return: 0, or -EINTR: the caller is being killed.
 */
int alias_find_file(struct vigil_slot *slot);
/* A copy of a slot holds its file as well. */
void alias_hold_file(struct vigil_slot *slot);
/*
 * Lets go of the slot's file. The slot may only be compared with others of its VM that
 * have noted their file before.
 */
void alias_put_file(struct vigil_slot *slot);

#endif
