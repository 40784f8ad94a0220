/* SPDX-License-Identifier: GPL-2.0 */
/* Memory slots: which memory of the VMM's process a guest-physical page is. */
#ifndef VIGIL_SLOT_H
#define VIGIL_SLOT_H

#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/nospec.h>

#include "shadow/types.h"
#include "vmm/types.h"

struct kvm_userspace_memory_region2;
struct vigil_vm;

#define VIGIL_MAX_SLOTS 512

/**
 * struct vigil_slot - guest-physical range backed by memory of the VMM process
 * @base:	first page
 * @npages:	pages, not 0
 * @uaddr:	where the VMM's process has the memory
 * @file:	[c] held, so that @pages stays that of this file; may be NULL
 * @pages:	of which file these are pages, to be compared only; NULL: of none that
 *		another slot may have as well
 * @pgoff:	the first one's index in @pages
 * @flags:	KVM_MEM_*
 * @id:		KVM_SET_USER_MEMORY_REGION's number of the slot
 * @dirty:	NULL, or two bitmaps of @bitmap_bytes each: the live one, and behind
 *		it the copy that a harvest hands out
 * @bitmap_bytes: a bit for each page, rounded up to 64
 * @arch:	what shadow/ keeps for the slot
 * @vm:		whose slot
 * @shares:	[a] how many other slots have memory of this one: alias.c
 * @shares_log:	[a] how many of those log dirty pages
 *
 * Immutable once published, except the bitmap's bits, what shadow/ keeps in
 * @arch, and what is marked [a]. A change replaces the slot by a new one. [c] is NULL
 * from when the last descriptor of the VM and its vCPUs is closed.
 */
struct vigil_slot {
	gfn_t base;
	unsigned long npages;
	hva_t uaddr;
	struct file *file;
	const struct address_space *pages;
	unsigned long pgoff;
	u32 flags;
	u16 id;
	unsigned long *dirty;
	size_t bitmap_bytes;
	struct shadow_slot arch;
	struct vigil_vm *vm;
	unsigned int shares;
	unsigned int shares_log;
};

/* [r] the slots of a VM, sorted by base, never overlapping */
struct vigil_slots {
	struct rcu_head rcu;
	u64 generation;
	unsigned int count;
	bool shared; /* some slots have the same memory */
	struct vigil_slot *slot[];
};

/*
 * The VMM chooses how much memory a slot needs. So the allocation may fail
 * instead of invoking the OOM killer, and does not warn in the kernel log.
 */
#define GFP_SLOT (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
/**
 * vigil_slot_affordable() - may a slot take so much of the host's memory?
 * @pages: that are going to be allocated for it
 *
 * Half of what is available now at most: the rest of the host goes on.
 */
bool vigil_slot_affordable(unsigned long pages);
struct vigil_slot *vigil_slot_of(struct vigil_slots *slots, gfn_t gfn);

static inline hva_t vigil_slot_hva(const struct vigil_slot *slot, gfn_t gfn)
{
	/* A CPU that speculates past the look-up must not address other memory. */
	return slot->uaddr + (array_index_nospec(gfn - slot->base, slot->npages)
			      << PAGE_SHIFT);
}

static inline bool slot_logs_dirty(const struct vigil_slot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* Has a write to the slot to be logged, for itself or for one that shares its memory? */
static inline bool slot_logged(const struct vigil_slot *slot)
{
	return slot_logs_dirty(slot) || unlikely(READ_ONCE(slot->shares_log));
}

/* KVM_SET_USER_MEMORY_REGION. */
int vigil_set_slot(struct vigil_vm *vm,
		   const struct kvm_userspace_memory_region2 *r);
struct vigil_slot *vigil_slot_by_id(struct vigil_slots *slots, u16 id);
void vigil_free_slots(struct vigil_vm *vm);
/*
 * No descriptor of the VM nor of its vCPUs is left, so no slot is made any more: the
 * slots let go of their files, which monitors do not keep.
 */
void vigil_slots_closed(struct vigil_vm *vm);
struct vigil_slots *vigil_empty_slots(void);

#endif
