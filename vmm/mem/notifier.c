// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier, which keeps the shadow page tables coherent with the page tables
 * of the VMM's process.
 */
#include <linux/mmu_notifier.h>

#include "notifier.h"
#include "shadow/shadow.h"
#include "vmm/vm.h"

static inline struct vigil_vm *notifier_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct vigil_vm, notifier);
}

/* [s] selftests/models/notifier.pml explores this */
static void block_range(struct vigil_vm *vm, hva_t start, hva_t end)
{
	if (vm->notify_count++) {
		/*
		 * Of several invalidations at once, the range that covers all
		 * is kept until the last is done.
		 */
		vm->notify_start = min(vm->notify_start, start);
		vm->notify_end = max(vm->notify_end, end);
	} else {
		vm->notify_start = start;
		vm->notify_end = end;
	}
}

/* [s] selftests/models/notifier.pml explores this */
static void unblock_range(struct vigil_vm *vm)
{
	vm->notify_seq++;
	/*
	 * The sequence is raised before the count drops: see vm_notify_retry().
	 */
	smp_wmb();
	vm->notify_count--;
}

void gmem_block_range(struct vigil_vm *vm, hva_t start, hva_t end)
{
	spin_lock(&vm->shadow.lock);
	block_range(vm, start, end);
	spin_unlock(&vm->shadow.lock);
}

void gmem_unblock_range(struct vigil_vm *vm)
{
	spin_lock(&vm->shadow.lock);
	unblock_range(vm);
	spin_unlock(&vm->shadow.lock);
}

/* Finds the gfns of @slot that [start, end) backs. False: none. */
static bool slot_gfns(const struct vigil_slot *slot, hva_t start, hva_t end,
		      gfn_t *first, gfn_t *last)
{
	hva_t lo = max(start, slot->uaddr);
	hva_t hi = min(end, slot->uaddr + slot->npages * PAGE_SIZE);

	if (lo >= hi)
		return false;
	*first = slot->base + ((lo - slot->uaddr) >> PAGE_SHIFT);
	*last = slot->base + ((hi - slot->uaddr + PAGE_SIZE - 1) >> PAGE_SHIFT);
	return true;
}

/* selftests/models/notifier.pml and flush.pml explore this */
static int notify_start(struct mmu_notifier *mn,
			const struct mmu_notifier_range *range)
{
	struct vigil_vm *vm = notifier_vm(mn);
	struct vigil_slots *slots;
	bool flush = false;
	unsigned int i;
	gfn_t first, last;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	slots = vigil_slots(vm);
	spin_lock(&vm->shadow.lock);
	block_range(vm, range->start, range->end);
	for (i = 0; i < slots->count; i++)
		if (slot_gfns(slots->slot[i], range->start, range->end, &first,
			      &last))
			flush |= shadow_unmap_gfns(vm, slots->slot[i], first,
						   last);
	spin_unlock(&vm->shadow.lock);
	if (flush)
		shadow_flush_vm(vm);
	srcu_read_unlock(&vm->srcu, idx);
	return 0;
}

/* selftests/models/notifier.pml explores this */
static void notify_end(struct mmu_notifier *mn,
		       const struct mmu_notifier_range *range)
{
	gmem_unblock_range(notifier_vm(mn));
}

static bool notify_age(struct mmu_notifier *mn, hva_t start, hva_t end,
		       bool clear)
{
	struct vigil_vm *vm = notifier_vm(mn);
	struct vigil_slots *slots;
	bool young = false;
	unsigned int i;
	gfn_t first, last;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	slots = vigil_slots(vm);
	spin_lock(&vm->shadow.lock);
	for (i = 0; i < slots->count; i++)
		if (slot_gfns(slots->slot[i], start, end, &first, &last))
			young |= shadow_age_gfns(vm, slots->slot[i], first,
						 last, clear);
	spin_unlock(&vm->shadow.lock);
	srcu_read_unlock(&vm->srcu, idx);
	return young;
}

static int notify_clear_flush_young(struct mmu_notifier *mn,
				    struct mm_struct *mm, unsigned long start,
				    unsigned long end)
{
	bool young = notify_age(mn, start, end, true);

	if (young)
		shadow_flush_vm(notifier_vm(mn));
	return young;
}

static int notify_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
			      unsigned long start, unsigned long end)
{
	/* Ageing is a hint: the guest's TLB may keep the page for a while. */
	return notify_age(mn, start, end, true);
}

static int notify_test_young(struct mmu_notifier *mn, struct mm_struct *mm,
			     unsigned long address)
{
	return notify_age(mn, address, address + PAGE_SIZE, false);
}

static void notify_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct vigil_vm *vm = notifier_vm(mn);
	int idx;

	vigil_vm_kill(vm, "its VMM process is gone");
	idx = srcu_read_lock(&vm->srcu);
	shadow_release(vm);
	srcu_read_unlock(&vm->srcu, idx);
}

const struct mmu_notifier_ops gmem_notifier_ops = {
	.invalidate_range_start = notify_start,
	.invalidate_range_end = notify_end,
	.clear_flush_young = notify_clear_flush_young,
	.clear_young = notify_clear_young,
	.test_young = notify_test_young,
	.release = notify_release,
};
