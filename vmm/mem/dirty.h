/* SPDX-License-Identifier: GPL-2.0 */
/* The dirty log of a slot: KVM_GET_DIRTY_LOG. */
#ifndef VIGIL_DIRTY_H
#define VIGIL_DIRTY_H

#include <linux/bitops.h>

#include "slot.h"

struct vigil_vm;

/*
 * [a] Marks a page dirty, before it is made writable. Any context.
 * selftests/models/dirty.pml explores this.
 */
static inline void dirty_mark(struct vigil_slot *slot, gfn_t gfn)
{
	unsigned long rel = gfn - slot->base;

	/*
	 * Only a harvest clears the bit. The test comes first, so that the
	 * cache line stays shared between CPUs when it is set already.
	 */
	if (slot->dirty && !test_bit_le(rel, slot->dirty))
		set_bit_le(rel, slot->dirty);
}

/* Allocates the two bitmaps of a new slot: 0, -ENOMEM. */
int dirty_bitmap_alloc(struct vigil_slot *slot);
int vigil_get_dirty_log(struct vigil_vm *vm, const struct kvm_dirty_log *log);

#endif
