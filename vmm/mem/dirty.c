// SPDX-License-Identifier: GPL-2.0
/* The dirty log of a slot: KVM_GET_DIRTY_LOG. */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "alias.h"
#include "dirty.h"
#include "shadow/shadow.h"
#include "vmm/trace.h"
#include "vmm/vm.h"

int dirty_bitmap_alloc(struct vigil_slot *slot)
{
	/*
	 * The API counts in multiples of 8 bytes, whatever the caller's word
	 * size.
	 */
	slot->bitmap_bytes = ALIGN(slot->npages, 64) / 8;
	if (!vigil_slot_affordable(2 * slot->bitmap_bytes >> PAGE_SHIFT))
		return -ENOMEM;
	slot->dirty = kvzalloc(2 * slot->bitmap_bytes, GFP_SLOT);
	return slot->dirty ? 0 : -ENOMEM;
}

void dirty_mark_aliases(struct vigil_slot *slot, gfn_t gfn)
{
	struct alias_iter it;
	struct vigil_slot *other;

	for_each_alias(other, vigil_slots(slot->vm), slot, gfn, &it)
		dirty_mark_own(other, it.gfn);
}

/* Number of words after which the scheduler is asked. */
#define HARVEST_WORDS 1024ul

/*
 * Copying to the VMM failed: put the harvested bits back. The pages stay
 * write-protected, so nothing is lost.
 */
static void put_back(struct vigil_slot *slot, const unsigned long *copy,
		     size_t words)
{
	size_t i, bit;

	for (i = 0; i < words; i++)
		for_each_set_bit(bit, &copy[i], 64)
			set_bit(i * 64 + bit, slot->dirty);
}

/*
 * Fetches and clears the words [i, end). Returns whether an SPTE has lost W.
 * selftests/models/dirty.pml explores this.
 */
static bool harvest(struct vigil_vm *vm, struct vigil_slot *slot,
		    unsigned long *copy, size_t i, size_t end)
{
	bool flush = false;

	for (; i < end; i++) {
		unsigned long mask;

		/* Most words are clean: these get no locked instruction. */
		if (likely(!READ_ONCE(slot->dirty[i]))) {
			copy[i] = 0;
			continue;
		}
		mask = xchg(&slot->dirty[i], 0);
		flush |= shadow_protect_mask(vm, slot, slot->base + i * 64,
					     mask);
		copy[i] = mask;
	}
	return flush;
}

/* selftests/models/dirty.pml explores this */
int vigil_get_dirty_log(struct vigil_vm *vm, const struct kvm_dirty_log *log)
{
	struct vigil_slot *slot;
	unsigned long *copy;
	bool flush = false;
	size_t i, words;
	int ret;

	if (log->slot >> 16 || (log->slot & 0xffff) >= VIGIL_MAX_SLOTS)
		return -EINVAL;
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	ret = -ENOENT;
	slot = vigil_slot_by_id(vigil_slots(vm), log->slot);
	if (!slot || !slot->dirty)
		goto out;

	words = slot->bitmap_bytes / sizeof(long);
	copy = slot->dirty + words;
	/*
	 * A vCPU that has set W marks the page once more. Until it has, another
	 * one may have stored to the page while its bit is clear.
	 */
	shadow_wait_dirty_faults(vm);
	for (i = 0; i < words; i += HARVEST_WORDS) {
		flush |= harvest(vm, slot, copy, i,
				 min(words, i + HARVEST_WORDS));
		cond_resched();
	}
	/*
	 * A write that was let through before it lost W is in the bitmap copy;
	 * one after the flush faults and is logged for the next harvest.
	 */
	if (flush)
		shadow_flush_vm(vm);
	if (trace_vigil_dirty_harvest_enabled())
		trace_vigil_dirty_harvest(
			vm, slot->id, bitmap_weight(copy, slot->npages), flush);
	ret = 0;
	/*
	 * The bitmap may be withheld. Only the VMM's own threads wait for
	 * vm->lock, and they can be killed.
	 */
	if (copy_to_user(log->dirty_bitmap, copy, slot->bitmap_bytes)) {
		put_back(slot, copy, words);
		ret = -EFAULT;
	}
out:
	mutex_unlock(&vm->lock);
	return ret;
}
