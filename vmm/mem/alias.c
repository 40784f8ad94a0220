// SPDX-License-Identifier: GPL-2.0
/* Memory that several slots share. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>

#include "alias.h"

static hva_t slot_end(const struct vigil_slot *slot)
{
	return slot->uaddr + slot->npages * PAGE_SIZE;
}

static bool same_addresses(const struct vigil_slot *a,
			   const struct vigil_slot *b)
{
	return a->uaddr < slot_end(b) && b->uaddr < slot_end(a);
}

static bool same_file(const struct vigil_slot *a, const struct vigil_slot *b)
{
	return a->pages && a->pages == b->pages &&
	       a->pgoff < b->pgoff + b->npages &&
	       b->pgoff < a->pgoff + a->npages;
}

/* A slot that replaces another one has its number, and is no alias of it. */
static bool alias_of(const struct vigil_slot *a, const struct vigil_slot *b)
{
	return a->id != b->id && (same_addresses(a, b) || same_file(a, b));
}

/*
 * At which page of @b the memory of @a begins; negative: before the first. Of slots that
 * overlap in the process this holds whatever the VMM has mapped there since.
 */
static long alias_begins(const struct vigil_slot *a, const struct vigil_slot *b)
{
	if (same_addresses(a, b))
		return (long)(a->uaddr - b->uaddr) >> PAGE_SHIFT;
	return a->pgoff - b->pgoff;
}

struct vigil_slot *alias_next(struct vigil_slots *slots,
			      const struct vigil_slot *slot, gfn_t gfn,
			      struct alias_iter *it)
{
	struct vigil_slot *other;
	unsigned long page;

	while (it->i < slots->count) {
		other = slots->slot[it->i++];
		if (!alias_of(slot, other))
			continue;
		page = gfn - slot->base + alias_begins(slot, other);
		if (page >= other->npages)
			continue;
		it->gfn = other->base + array_index_nospec(page, other->npages);
		return other;
	}
	return NULL;
}

/* vm->lock makes changes of a count one after the other; vCPUs only read. */
static void count(unsigned int *n, int by)
{
	WRITE_ONCE(*n, *n + by);
}

void alias_add(struct vigil_slots *slots, struct vigil_slot *slot)
{
	struct vigil_slot *s;
	unsigned int i;

	slot->shares = 0;
	slot->shares_log = 0;
	for (i = 0; i < slots->count; i++) {
		s = slots->slot[i];
		if (!alias_of(s, slot))
			continue;
		count(&s->shares, 1);
		count(&s->shares_log, slot_logs_dirty(slot));
		count(&slot->shares, 1);
		count(&slot->shares_log, slot_logs_dirty(s));
	}
}

void alias_del(struct vigil_slots *slots, const struct vigil_slot *slot)
{
	struct vigil_slot *s;
	unsigned int i;

	for (i = 0; i < slots->count; i++) {
		s = slots->slot[i];
		if (!alias_of(s, slot))
			continue;
		count(&s->shares, -1);
		count(&s->shares_log, -(int)slot_logs_dirty(slot));
	}
}

bool alias_span(const struct vigil_slot *a, const struct vigil_slot *b,
		gpa_t start, gpa_t last, gpa_t *to_start, gpa_t *to_last)
{
	gpa_t a_start = a->base << PAGE_SHIFT, b_start = b->base << PAGE_SHIFT;
	s64 begin, lo, hi;

	start = max(start, a_start);
	last = min_t(gpa_t, last, a_start + a->npages * PAGE_SIZE - 1);
	if (start > last || !alias_of(a, b))
		return false;
	begin = (s64)alias_begins(a, b) << PAGE_SHIFT;
	lo = max_t(s64, begin + (s64)(start - a_start), 0);
	hi = min_t(s64, begin + (s64)(last - a_start),
		   b->npages * PAGE_SIZE - 1);
	if (lo > hi)
		return false;
	*to_start = b_start + lo;
	*to_last = b_start + hi;
	return true;
}

/* The file that a shared mapping shows; NULL: @vma is none. */
static struct file *shared_file(const struct vm_area_struct *vma)
{
	if (!vma || !vma->vm_file || !(vma->vm_flags & VM_MAYSHARE) ||
	    !S_ISREG(file_inode(vma->vm_file)->i_mode) ||
	    /* Some kernels call these regular. One may be a vCPU of this VM. */
	    file_inode(vma->vm_file)->i_sb->s_magic == ANON_INODE_FS_MAGIC)
		return NULL;
	return vma->vm_file;
}

void alias_hold_file(struct vigil_slot *slot)
{
	if (slot->file)
		get_file(slot->file);
}

void alias_put_file(struct vigil_slot *slot)
{
	if (slot->file)
		fput(slot->file);
	slot->file = NULL;
}

int alias_find_file(struct vigil_slot *slot)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned long pgoff;
	struct file *file;
	hva_t at;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (at = slot->uaddr; at < slot_end(slot); at = vma->vm_end) {
		vma = vma_lookup(mm, at);
		file = shared_file(vma);
		if (!file)
			goto none;
		/* Where the slot begins, if this mapping goes on as the last one. */
		pgoff = vma->vm_pgoff +
			((long)(slot->uaddr - vma->vm_start) >> PAGE_SHIFT);
		if (at == slot->uaddr) {
			slot->file = get_file(file);
			slot->pages = file->f_mapping;
			slot->pgoff = pgoff;
		} else if (file->f_mapping != slot->pages ||
			   pgoff != slot->pgoff) {
			goto none;
		}
		cond_resched();
	}
	mmap_read_unlock(mm);
	return 0;
none:
	mmap_read_unlock(mm);
	alias_put_file(slot);
	slot->pages = NULL;
	return 0;
}
