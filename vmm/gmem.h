/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory on hot paths: one aligned entry of a slot that is at hand. */
#ifndef VIGIL_GMEM_H
#define VIGIL_GMEM_H

#include <linux/uaccess.h>

#include "vmm.h"

/**
 * gmem_get_entry() - read 4 or 8 aligned bytes
 * @slot:	that holds @gpa
 * @bytes:	4 or 8
 *
 * Sleeps, unless page faults are disabled. The slot's range was checked with
 * access_ok() when it was made. Return: 0; -EFAULT.
 */
static inline int gmem_get_entry(const struct vigil_slot *slot, gpa_t gpa, u64 *val,
				 unsigned int bytes)
{
	hva_t hva = vigil_slot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
	u32 low;

	if (bytes == 8)
		return __get_user(*val, (u64 __user *)hva);
	if (__get_user(low, (u32 __user *)hva))
		return -EFAULT;
	*val = low;
	return 0;
}

#endif
