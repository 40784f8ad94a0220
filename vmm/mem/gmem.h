/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory: the accesses that are too hot for a call. The slot is known, so
 * is that its user addresses are such (vigil_set_slot() has checked them).
 */
#ifndef VIGIL_GMEM_H
#define VIGIL_GMEM_H

#include <linux/uaccess.h>

#include "vmm/vmm.h"

/**
 * gmem_get_entry() - an entry of a guest's page table
 * @slot:	that has the table
 * @gpa:	of the entry, aligned
 * @pte:	result
 * @bytes:	4 or 8
 *
 * Sleeps, unless page faults are disabled. -EFAULT when nothing is there.
 */
static __always_inline int gmem_get_entry(const struct vigil_slot *slot,
					  gpa_t gpa, u64 *pte,
					  unsigned int bytes)
{
	hva_t hva =
		vigil_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
	u32 low;
	int ret;

	if (likely(bytes == 8))
		return __get_user(*pte, (u64 __user *)hva);
	ret = __get_user(low, (u32 __user *)hva);
	*pte = low;
	return ret;
}

/* the same under a spinlock */
static __always_inline int gmem_get_entry_atomic(const struct vigil_slot *slot,
						 gpa_t gpa, u64 *pte,
						 unsigned int bytes)
{
	int ret;

	pagefault_disable();
	ret = gmem_get_entry(slot, gpa, pte, bytes);
	pagefault_enable();
	return ret;
}

/**
 * gmem_set_entry() - change an entry of a guest's page table from @old to @new_
 * @slot:	that has the entry
 * @gpa:	of the entry, aligned to its size
 * @old:	what the walker has read there
 * @new_:	@old with bits A or D
 * @bytes:	4 or 8
 *
 * Marks dirty. Shadow tables are not told: for the walker's A and D bits, which
 * take no right away.
 * Return: 0 changed; 1 it was not @old; -EROFS; -EFAULT.
 */
static inline int gmem_set_entry(struct vigil_slot *slot, gpa_t gpa, u64 old,
				 u64 new_, unsigned int bytes)
{
	hva_t hva =
		vigil_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
	u32 old32 = old, new32 = new_;
	int ret;

	if (slot->flags & KVM_MEM_READONLY)
		return -EROFS;
	if (bytes == 8)
		ret = __try_cmpxchg_user((u64 __user *)hva, &old, new_, fault8);
	else
		ret = __try_cmpxchg_user((u32 __user *)hva, &old32, new32,
					 fault);
	if (!ret)
		dirty_mark(slot, gpa >> PAGE_SHIFT);
	return ret;
}

/* hostpte.c: see there */
bool host_pte_writable(struct mm_struct *mm, hva_t hva, unsigned long *pfn);

#endif
