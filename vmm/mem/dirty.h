/* SPDX-License-Identifier: GPL-2.0 */
/* The dirty log of a slot: KVM_GET_DIRTY_LOG. */
#ifndef VIGIL_DIRTY_H
#define VIGIL_DIRTY_H

#include <linux/bitops.h>

#include "slot.h"

struct vigil_vm;

/* The page in the log of its own slot. */
static inline void dirty_mark_own(struct vigil_slot *slot, gfn_t gfn)
{
	unsigned long rel = gfn - slot->base;

	/*
	 * Only a harvest clears the bit. The test comes first, so that the
	 * cache line stays shared between CPUs when it is set already.
	 */
	if (slot->dirty && !test_bit_le(rel, slot->dirty))
		set_bit_le(rel, slot->dirty);
}

/* The page in the logs of the other slots that share its memory. */
void dirty_mark_aliases(struct vigil_slot *slot, gfn_t gfn);

/*
 * [a] Marks a page dirty, before it is made writable. Any context, under vm->srcu
 * or vm->lock. selftests/models/dirty.pml explores this.
 */
static inline void dirty_mark(struct vigil_slot *slot, gfn_t gfn)
{
	dirty_mark_own(slot, gfn);
	if (unlikely(READ_ONCE(slot->shares_log)))
		dirty_mark_aliases(slot, gfn);
}

/* Allocates the two bitmaps of a new slot: 0, -ENOMEM. */
int dirty_bitmap_alloc(struct vigil_slot *slot);
int vigil_get_dirty_log(struct vigil_vm *vm, const struct kvm_dirty_log *log);

#endif
