/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every access to guest memory. Those to page table entries are inline, as each
 * shadow page fault makes some: their slot is known, and vigil_set_slot() has checked
 * that its user addresses are such.
 */
#ifndef VIGIL_GMEM_H
#define VIGIL_GMEM_H

#include <linux/uaccess.h>

#include "dirty.h"
#include "vmm/vm.h"

/*
 * Copies from guest memory. May sleep; in the VMM's address space, under
 * vm->srcu. -EFAULT where no memory is.
 */
int gmem_read(struct vigil_vm *vm, gpa_t gpa, void *buf, unsigned int len);
/*
 * Copies to guest memory, marks it dirty and tells shadow/. Watches are not
 * asked.
 */
int gmem_write(struct vigil_vm *vm, gpa_t gpa, const void *buf,
	       unsigned int len);
/*
 * The same within one page, whose slot the caller has found under the same vm->srcu. It is
 * not read-only when it is written to.
 */
int gmem_read_slot(const struct vigil_slot *slot, gpa_t gpa, void *buf,
		   unsigned int len);
int gmem_write_slot(struct vigil_slot *slot, gpa_t gpa, const void *buf,
		    unsigned int len);
/**
 * gmem_cmpxchg() - compare and exchange of 1, 2, 4, 8 or 16 aligned bytes
 * @vm:		the VM
 * @gpa:	of the first byte, aligned to @len
 * @old:	in: what should be there; out: what is there
 * @new:	what to store
 * @len:	1, 2, 4, 8 or 16
 *
 * Return: 0 stored, 1 not equal (@old then holds what is there), -EFAULT.
 */
int gmem_cmpxchg(struct vigil_vm *vm, gpa_t gpa, void *old, const void *new,
		 unsigned int len);
/*
 * Reads guest memory from any process: vm->mm need not be current->mm. Sleeps,
 * and ends when the caller is killed. Not under vm->srcu, since the VMM may
 * withhold the page. Returns the number of bytes read.
 */
long gmem_read_remote(struct vigil_vm *vm, gpa_t gpa, void *buf, size_t len);
/*
 * The same for writing, which marks dirty and drops what shadow/ has made from a table
 * there. Watches are not asked. -EROFS: the first byte cannot be written.
 */
long gmem_write_remote(struct vigil_vm *vm, gpa_t gpa, const void *buf,
		       size_t len);
/**
 * gmem_pfn() - the host page frame behind a gfn
 * @vm:		the VM
 * @slot:	that has @gfn, or NULL
 * @gfn:	guest page frame number
 * @write:	the guest is about to write
 * @writable:	out: the page may be mapped writable
 * @pfn:	out: host page frame number
 *
 * Sleeps. No reference is kept: the caller uses the notifier protocol.
 * Return: 0; -ENOENT no slot (MMIO); -EROFS write to a read-only slot;
 * -EFAULT the VMM has no such memory; -EINTR a fatal signal; -EHWPOISON.
 */
int gmem_pfn(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t gfn,
	     bool write, bool *writable, unsigned long *pfn);

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

/* Reads an entry like gmem_get_entry(), under a spinlock. */
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
 * Marks dirty; does not look at watches. Shadow tables are not told: for the
 * walker's A and D bits, which take no right away.
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

#endif
