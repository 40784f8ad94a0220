// SPDX-License-Identifier: GPL-2.0
/* Guest memory: every access to it. */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "gmem.h"
#include "hostpte.h"
#include "shadow/shadow.h"
#include "vmm/vm.h"

/*
 * Finds the slot and the user address of @gpa, and how many bytes of @len its
 * page holds.
 */
static struct vigil_slot *locate(struct vigil_vm *vm, gpa_t gpa,
				 unsigned int len, hva_t *hva,
				 unsigned int *chunk)
{
	struct vigil_slot *slot = vigil_gfn_slot(vm, gpa >> PAGE_SHIFT);

	*chunk = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
	if (slot)
		*hva = vigil_slot_hva(slot, gpa >> PAGE_SHIFT) +
		       offset_in_page(gpa);
	return slot;
}

/*
 * Sizes that most instructions access are copied without the general copy
 * loops.
 */
static __always_inline int copy_in(void *buf, hva_t hva, unsigned int len)
{
	switch (len) {
	case 1:
		return __get_user(*(u8 *)buf, (u8 __user *)hva);
	case 4:
		return __get_user(*(u32 *)buf, (u32 __user *)hva);
	case 8:
		return __get_user(*(u64 *)buf, (u64 __user *)hva);
	default:
		return __copy_from_user(buf, (void __user *)hva, len);
	}
}

static __always_inline int copy_out(hva_t hva, const void *buf,
				    unsigned int len)
{
	switch (len) {
	case 1:
		return __put_user(*(const u8 *)buf, (u8 __user *)hva);
	case 4:
		return __put_user(*(const u32 *)buf, (u32 __user *)hva);
	case 8:
		return __put_user(*(const u64 *)buf, (u64 __user *)hva);
	default:
		return __copy_to_user((void __user *)hva, buf, len);
	}
}

int gmem_read_slot(const struct vigil_slot *slot, gpa_t gpa, void *buf,
		   unsigned int len)
{
	hva_t hva = vigil_slot_hva(slot, gpa >> PAGE_SHIFT);

	return copy_in(buf, hva + offset_in_page(gpa), len) ? -EFAULT : 0;
}

int gmem_read(struct vigil_vm *vm, gpa_t gpa, void *buf, unsigned int len)
{
	unsigned int chunk;
	hva_t hva;

	for (; len; len -= chunk, gpa += chunk, buf += chunk) {
		if (!locate(vm, gpa, len, &hva, &chunk))
			return -EFAULT;
		if (copy_in(buf, hva, chunk))
			return -EFAULT;
	}
	return 0;
}

/*
 * Tells the dirty log and the shadow tables of a store that has just been made.
 * selftests/models/dirty.pml explores this.
 */
static void stored(struct vigil_vm *vm, struct vigil_slot *slot, gpa_t gpa,
		   unsigned int len)
{
	/*
	 * Both look first whether there is anything to do. The store must be in
	 * memory before that look: a harvest that clears the page's bit just
	 * after it lets the VMM read the page, and nothing tells of a store that
	 * comes to memory only then.
	 */
	smp_mb();
	dirty_mark(slot, gpa >> PAGE_SHIFT);
	shadow_written(vm, slot, gpa, len);
}

int gmem_write_slot(struct vigil_slot *slot, gpa_t gpa, const void *buf,
		    unsigned int len)
{
	hva_t hva = vigil_slot_hva(slot, gpa >> PAGE_SHIFT);

	if (copy_out(hva + offset_in_page(gpa), buf, len))
		return -EFAULT;
	stored(slot->vm, slot, gpa, len);
	return 0;
}

/* selftests/models/dirty.pml explores this */
int gmem_write(struct vigil_vm *vm, gpa_t gpa, const void *buf,
	       unsigned int len)
{
	struct vigil_slot *slot;
	unsigned int chunk;
	hva_t hva;

	for (; len; len -= chunk, gpa += chunk, buf += chunk) {
		slot = locate(vm, gpa, len, &hva, &chunk);
		if (!slot)
			return -EFAULT;
		if (slot->flags & KVM_MEM_READONLY)
			return -EROFS;
		if (copy_out(hva, buf, chunk))
			return -EFAULT;
		stored(vm, slot, gpa, chunk);
	}
	return 0;
}

/*
 * Does LOCK CMPXCHG16B on user memory. 0: stored; 1: the memory differs;
 * -EFAULT.
 */
static int cmpxchg16_user(void __user *ptr, u64 old[2], const u64 new[2])
{
	bool success;
	int err = 0;

	if (!user_access_begin(ptr, 16))
		return -EFAULT;
	/* clang-format off */
	asm volatile("1: " LOCK_PREFIX "cmpxchg16b %[ptr]\n"
		     CC_SET(z)
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[err])
		     : CC_OUT(z) (success), [err] "+r" (err),
		       [ptr] "+m" (*(u64 __force (*)[2])ptr),
		       "+a" (old[0]), "+d" (old[1])
		     : "b" (new[0]), "c" (new[1])
		     : "memory");
	/* clang-format on */
	user_access_end();
	if (err)
		return -EFAULT;
	return !success;
}

#define CMPXCHG_USER(type, hva, old, new)                       \
	__try_cmpxchg_user((type __user *)(hva), (type *)(old), \
			   *(const type *)(new), fault_##type)

static int cmpxchg_user(hva_t hva, void *old, const void *new, unsigned int len)
{
	switch (len) {
	case 1:
		return CMPXCHG_USER(u8, hva, old, new);
	case 2:
		return CMPXCHG_USER(u16, hva, old, new);
	case 4:
		return CMPXCHG_USER(u32, hva, old, new);
	case 8:
		return CMPXCHG_USER(u64, hva, old, new);
	case 16:
		return cmpxchg16_user((void __user *)hva, old, new);
	default:
		return -EFAULT;
	}
}

/*
 * An access that spans cache lines is not made atomic: a split lock in the
 * kernel would raise #AC on hosts that detect them.
 */
static int cmpxchg_split(hva_t hva, void *old, const void *new,
			 unsigned int len)
{
	u8 now[16];

	if (copy_from_user(now, (void __user *)hva, len))
		return -EFAULT;
	if (memcmp(now, old, len)) {
		memcpy(old, now, len);
		return 1;
	}
	return copy_to_user((void __user *)hva, new, len) ? -EFAULT : 0;
}

int gmem_cmpxchg(struct vigil_vm *vm, gpa_t gpa, void *old, const void *new,
		 unsigned int len)
{
	struct vigil_slot *slot;
	unsigned int chunk;
	hva_t hva;
	int ret;

	slot = locate(vm, gpa, len, &hva, &chunk);
	if (!slot || chunk != len || len > 16)
		return -EFAULT;
	if (slot->flags & KVM_MEM_READONLY)
		return -EROFS;
	if (!is_power_of_2(len) ||
	    (hva & (cache_line_size() - 1)) + len > cache_line_size() ||
	    (len == 16 && (hva & 15)))
		ret = cmpxchg_split(hva, old, new, len);
	else
		ret = cmpxchg_user(hva, old, new, len);
	if (!ret)
		stored(vm, slot, gpa, len);
	return ret;
}

/*
 * The page at @hva of the VMM, or NULL. The VMM may withhold it for as long as it
 * likes, so nothing is held here that others wait for, and a fatal signal ends it.
 */
static struct page *remote_page(struct mm_struct *mm, hva_t hva,
				unsigned int flags)
{
	struct page *page;
	int locked = 1;
	long n;

	if (mmap_read_lock_killable(mm))
		return NULL;
	n = get_user_pages_remote(mm, hva, 1, flags, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return n == 1 ? page : NULL;
}

/* Copies between @buf and the guest's page. Under vm->srcu. */
static void copy_remote(struct vigil_slot *slot, struct page *page, gpa_t gpa,
			void *buf, unsigned int len, bool write)
{
	void *p = kmap_local_page(page);

	if (write)
		memcpy(p + offset_in_page(gpa), buf, len);
	else
		memcpy(buf, p + offset_in_page(gpa), len);
	kunmap_local(p);
	if (!write)
		return;
	/* As in stored(). */
	smp_mb();
	dirty_mark(slot, gpa >> PAGE_SHIFT);
	/*
	 * A table's entries cannot be read again here, in another address space: what
	 * was made from them goes.
	 */
	shadow_unprotect(slot->vm, gpa >> PAGE_SHIFT);
}

/*
 * Reads or writes bytes at @gpa, up to the end of its page. How many, or -EFAULT no memory
 * is there, or the caller is killed; -EROFS.
 */
static int access_remote(struct vigil_vm *vm, gpa_t gpa, void *buf,
			 unsigned int len, bool write)
{
	struct vigil_slot *slot;
	unsigned int chunk = 0;
	int idx, ret = -EFAULT;
	struct page *page;
	hva_t hva, again;

	idx = srcu_read_lock(&vm->srcu);
	slot = locate(vm, gpa, len, &hva, &chunk);
	if (slot && write && slot->flags & KVM_MEM_READONLY)
		ret = -EROFS;
	srcu_read_unlock(&vm->srcu, idx);
	if (!slot || ret == -EROFS)
		return ret;
	page = remote_page(vm->mm, hva, write ? FOLL_WRITE : 0);
	if (!page)
		return -EFAULT;
	/* Under its lock a page stays that of its file until it is marked dirty. */
	if (write && folio_lock_killable(page_folio(page))) {
		put_page(page);
		return -EFAULT;
	}
	/* The VMM's memory at @hva may have ceased to be the guest's. */
	idx = srcu_read_lock(&vm->srcu);
	slot = locate(vm, gpa, len, &again, &chunk);
	if (slot && again == hva &&
	    !(write && slot->flags & KVM_MEM_READONLY)) {
		copy_remote(slot, page, gpa, buf, chunk, write);
		ret = chunk;
	}
	srcu_read_unlock(&vm->srcu, idx);
	if (write) {
		if (ret > 0)
			folio_mark_dirty(page_folio(page));
		folio_unlock(page_folio(page));
	}
	put_page(page);
	return ret;
}

static long all_remote(struct vigil_vm *vm, gpa_t gpa, void *buf, size_t len,
		       bool write)
{
	size_t done = 0;
	int ret = 0;

	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	for (; done < len; done += ret) {
		ret = access_remote(vm, gpa + done, buf + done,
				    min_t(size_t, len - done, PAGE_SIZE),
				    write);
		if (ret < 0)
			break;
	}
	mmput(vm->mm);
	return done || ret != -EROFS ? done : -EROFS;
}

long gmem_read_remote(struct vigil_vm *vm, gpa_t gpa, void *buf, size_t len)
{
	return all_remote(vm, gpa, buf, len, false);
}

long gmem_write_remote(struct vigil_vm *vm, gpa_t gpa, const void *buf,
		       size_t len)
{
	return all_remote(vm, gpa, (void *)buf, len, true);
}

/*
 * Drops the reference to the page: from here on the MMU notifier says when the
 * page goes away.
 */
static unsigned long page_to_guest(struct page *page, bool writable)
{
	/*
	 * Stores of the guest do not set the D bit of the host's PTE, so the
	 * page is marked dirty now.
	 */
	if (writable && !PageDirty(page))
		set_page_dirty_lock(page);
	mark_page_accessed(page);
	put_page(page);
	return page_to_pfn(page);
}

/* selftests/models/notifier.pml explores this */
int gmem_pfn(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t gfn,
	     bool write, bool *writable, unsigned long *pfn)
{
	bool ro = slot->flags & KVM_MEM_READONLY;
	hva_t hva = vigil_slot_hva(slot, gfn);
	unsigned int flags = FOLL_HWPOISON;
	struct page *page;
	long ret;

	if (ro && write)
		return -EROFS;
	*writable = !ro;
	if (!ro && likely(host_pte_writable(vm->mm, hva, pfn)))
		return 0;
	/*
	 * This succeeds only where the host's PTE is writable already, so it
	 * breaks no copy-on-write.
	 */
	if (!ro && get_user_page_fast_only(hva, FOLL_WRITE, &page)) {
		*pfn = page_to_guest(page, true);
		return 0;
	}
	*writable = write;
	if (write)
		flags |= FOLL_WRITE;
	ret = get_user_pages_unlocked(hva, 1, &page, flags);
	if (ret == 1) {
		*pfn = page_to_guest(page, write);
		return 0;
	}
	if (ret == -EHWPOISON)
		return -EHWPOISON;
	if (fatal_signal_pending(current))
		return -EINTR;
	return -EFAULT;
}
