// SPDX-License-Identifier: GPL-2.0
/*
 * Keeping shadow pages in step with the guest's tables: write protection,
 * tables that the guest may write freely until its next flush (unsync), and
 * emulated writes.
 */
#include <linux/delay.h>

#include "internal.h"

/* How many tables that stay unsync are zapped at once. */
#define SHARED_SHRINK 32
/*
 * After so many emulated writes without a use in between, the page is no table
 * any more.
 */
#define FLOOD_WRITES 8

/* ---- flushes ---- */

/*
 * Flushes each vCPU's TLB, and records that no TLB knows the rights that the
 * first @narrowed SPTEs have lost. The caller has read that count before, so
 * each vCPU flushes after these SPTEs changed. selftests/models/flush.pml
 * explores this.
 */
static void flush_all(struct vigil_vm *vm, long narrowed)
{
	struct shadow_vm *s = &vm->shadow;
	long flushed = atomic_long_read(&s->flushed);

	if (!shadow_injected(INJECT_NO_FLUSH))
		vigil_request_all(vm, REQ_FLUSH_TLB, true);
	/*
	 * The injected fault: SPTEs that lose a right while this waits count as
	 * flushed. A longer wait makes sure that there are some.
	 */
	if (shadow_injected(INJECT_LOST_FLUSH)) {
		udelay(500);
		narrowed = atomic_long_read(&s->narrowed);
	}
	while (flushed < narrowed &&
	       !atomic_long_try_cmpxchg(&s->flushed, &flushed, narrowed))
		;
}

void shadow_flush_stale(struct vigil_vm *vm)
{
	long narrowed = atomic_long_read(&vm->shadow.narrowed);

	if (shadow_stale(vm, narrowed))
		flush_all(vm, narrowed);
	shadow_claim_flushed(vm, narrowed);
}

/* selftests/models/flush.pml explores this */
void shadow_flush_vm(struct vigil_vm *vm)
{
	long narrowed = atomic_long_read(&vm->shadow.narrowed);

	flush_all(vm, narrowed);
	shadow_claim_flushed(vm, narrowed);
}

/* ---- reading guest tables under the lock ---- */

int table_read(struct vigil_vm *vm, const struct shadow_page *sp,
	       unsigned int index, u64 *pte)
{
	struct vigil_slot *slot = vigil_gfn_slot(vm, sp->gfn);

	return slot ? slot_table_read(slot, sp, index, pte) : -EFAULT;
}

/*
 * Finds the present entries of a leaf table whose guest entry has changed.
 * -EFAULT: the host has swapped the table out.
 */
static int find_changed(struct vigil_vm *vm, const struct shadow_page *sp,
			unsigned long *changed)
{
	struct vigil_slot *slot = vigil_gfn_slot(vm, sp->gfn);
	bool narrow = sp->role.paging == WALK_32;
	/*
	 * A pointer and no array: UBSAN must not be called while user memory is
	 * open.
	 */
	const unsigned long *present = sp->present;
	const void __user *table;
	unsigned int w;

	if (!slot)
		return -EFAULT;
	table = (const void __user *)vigil_slot_hva(slot, sp->gfn) +
		(narrow ? sp->role.quadrant * SPT_ENTRIES * 4 : 0);
	pagefault_disable();
	if (!user_read_access_begin(table, SPT_ENTRIES * (narrow ? 4 : 8)))
		goto out;
	for (w = 0; w < BITS_TO_LONGS(SPT_ENTRIES); w++) {
		unsigned long bits = present[w], diff = 0;

		for (; bits; bits &= bits - 1) {
			unsigned int bit = __ffs(bits),
				     i = w * BITS_PER_LONG + bit;
			u64 pte;

			if (narrow) {
				u32 pte32;

				unsafe_get_user(pte32,
						(const u32 __user *)table + i,
						fault);
				pte = pte32;
			} else {
				unsafe_get_user(pte,
						(const u64 __user *)table + i,
						fault);
			}
			if (pte != sp->snap[i])
				diff |= 1ul << bit;
		}
		changed[w] = diff;
	}
	user_read_access_end();
	pagefault_enable();
	return 0;
fault:
	user_read_access_end();
out:
	pagefault_enable();
	return -EFAULT;
}

/* ---- entries ---- */

void entry_drop_w(struct vigil_vm *vm, u64 *spte)
{
	u64 old = READ_ONCE(*spte);

	while (!try_cmpxchg64(spte, &old, old & ~(SPTE_W | SPTE_MMU_W)))
		;
	if (old & SPTE_W)
		shadow_narrowed(vm);
}

void sync_entry(struct vigil_vm *vm, struct shadow_page *sp, unsigned int index,
		u64 pte)
{
	u64 old = sp->snap[index];

	if (pte == old || !test_bit(index, sp->present) ||
	    shadow_injected(INJECT_STALE_SPTE))
		return;
	switch (spte_change(sp->role.level == 1, sp->role.wp, old, pte)) {
	case SPTE_DROP:
		spte_drop(vm, &sp->spt[index]);
		return;
	case SPTE_DROP_W:
		entry_drop_w(vm, &sp->spt[index]);
		break;
	case SPTE_KEEP:
		break;
	}
	WRITE_ONCE(sp->snap[index], pte);
}

/*
 * Makes one SPTE follow the guest's entry, or drops it if that cannot be read.
 */
static void reread_entry(struct vigil_vm *vm, struct shadow_page *sp,
			 unsigned int index)
{
	u64 pte;

	if (table_read(vm, sp, index, &pte))
		spte_drop(vm, &sp->spt[index]);
	else
		sync_entry(vm, sp, index, pte);
}

static void sync_table(struct vigil_vm *vm, struct shadow_page *sp)
{
	DECLARE_BITMAP(changed, SPT_ENTRIES);
	bool lost = find_changed(vm, sp, changed);
	unsigned int i;

	if (lost)
		bitmap_copy(changed, sp->present, SPT_ENTRIES);
	for_each_set_bit(i, changed, SPT_ENTRIES) {
		if (lost)
			spte_drop(vm, &sp->spt[i]);
		else
			reread_entry(vm, sp, i);
	}
}

static void reread_table(struct vigil_vm *vm, struct shadow_page *sp)
{
	unsigned int i;

	/* Two SPTEs stand for one entry of a 32-bit page directory. */
	if (sp->role.paging != WALK_32 || sp->role.level == 1) {
		sync_table(vm, sp);
		return;
	}
	for_each_set_bit(i, sp->present, SPT_ENTRIES)
		reread_entry(vm, sp, i);
}

static void count_unsync(struct vigil_vm *vm, const struct shadow_page *sp,
			 int by)
{
	struct shadow_vm *s = &vm->shadow;

	WRITE_ONCE(s->nr_unsync, s->nr_unsync + by);
	if (unlikely(sp->shared))
		WRITE_ONCE(s->nr_shared, s->nr_shared + by);
}

static void unsync_add(struct vigil_vm *vm, struct shadow_page *sp, bool shared)
{
	struct shadow_vm *s = &vm->shadow;

	sp->unsync = true;
	sp->shared = shared;
	list_add_tail(&sp->unsync_link, shared ? &s->shared : &s->unsync);
	count_unsync(vm, sp, 1);
}

void unsync_del(struct vigil_vm *vm, struct shadow_page *sp)
{
	count_unsync(vm, sp, -1);
	list_del(&sp->unsync_link);
	sp->unsync = false;
	sp->shared = false;
}

/* ---- tables ---- */

static void mark_table(struct vigil_vm *vm, unsigned long *word)
{
	if (*word & RMAP_TABLE)
		return;
	WRITE_ONCE(*word, *word | RMAP_TABLE);
	/*
	 * Pairs with the barrier between the emulator's store and its look at
	 * this mark (gmem_write(), gmem_cmpxchg()): either it sees the mark and
	 * brings the table in step, or its store is seen when the entries are
	 * read. Explored by selftests/models/dirty.pml.
	 */
	smp_mb();
	rmap_write_protect(vm, word, false);
	shadow_must_flush(vm);
}

void table_protect(struct vigil_vm *vm, gfn_t gfn, unsigned long *word)
{
	struct shadow_page *sp;

	if (!word || (*word & RMAP_TABLE))
		return;
	mark_table(vm, word);
	/*
	 * After this flush no TLB lets the guest write to the table, so what is
	 * read from it below stays true.
	 */
	shadow_flush_stale(vm);
	for_each_table(sp, vm, gfn) {
		if (!sp->unsync)
			continue;
		unsync_del(vm, sp);
		reread_table(vm, sp);
	}
}

static bool is_shared(struct vigil_vm *vm, gfn_t gfn)
{
	struct vigil_slot *slot;

	if (likely(!vigil_slots(vm)->shared))
		return false;
	slot = vigil_gfn_slot(vm, gfn);
	return slot && READ_ONCE(slot->shares);
}

/* Nothing leads to the shadow page, or the slot of its table is being removed. */
static bool is_unused(struct vigil_vm *vm, const struct shadow_page *sp)
{
	return !gfn_word(vm, sp->gfn) ||
	       (!rmap_count(sp->parents) && !sp->roots);
}

static noinline void sync_tables(struct vigil_vm *vm)
{
	struct shadow_vm *s = &vm->shadow;
	struct shadow_page *sp, *next;
	LIST_HEAD(freed);

	spin_lock(&s->lock);
	list_for_each_entry_safe(sp, next, &s->shared, unsync_link)
		if (is_unused(vm, sp))
			page_zap(vm, sp, &freed);
	list_for_each_entry_safe(sp, next, &s->unsync, unsync_link) {
		if (is_unused(vm, sp))
			page_zap(vm, sp, &freed);
		else
			mark_table(vm, gfn_word(vm, sp->gfn));
	}
	shadow_flush_stale(vm);
	/* A table that is not protected is read again at the next flush. */
	list_for_each_entry(sp, &s->shared, unsync_link)
		reread_table(vm, sp);
	list_for_each_entry_safe(sp, next, &s->unsync, unsync_link) {
		unsync_del(vm, sp);
		reread_table(vm, sp);
	}
	spin_unlock(&s->lock);
	page_free_list(vm, &freed);
}

void table_shrink_shared(struct vigil_vm *vm, struct list_head *freed)
{
	struct shadow_page *sp, *next;
	unsigned int n = 0;

	list_for_each_entry_safe(sp, next, &vm->shadow.shared, unsync_link) {
		if (n == SHARED_SHRINK)
			break;
		if (sp->roots)
			continue;
		page_zap(vm, sp, freed);
		n++;
	}
}

void shadow_reread_tables(struct vigil_vm *vm)
{
	struct hlist_head *bucket = vm->shadow.hash;
	struct shadow_page *sp;
	unsigned int i;

	/*
	 * A page made after its bucket was read was made from the tables as
	 * they are now.
	 */
	for (i = 0; i < 1u << SHADOW_HASH_BITS; i++, bucket++) {
		if (hlist_empty(bucket))
			continue;
		spin_lock(&vm->shadow.lock);
		hlist_for_each_entry(sp, bucket, hash)
			if (!sp->role.direct)
				reread_table(vm, sp);
		spin_unlock(&vm->shadow.lock);
		cond_resched();
	}
	shadow_flush_stale(vm);
}

void sync_all(struct vigil_vm *vm)
{
	/*
	 * nr_unsync is read without the lock. A vCPU raises it before its guest
	 * can write to the table, and x86 keeps the order of stores and that of
	 * loads. So whoever has seen a write to the table, in whatever way, and
	 * flushes after it, sees the count as well.
	 */
	if (READ_ONCE(vm->shadow.nr_unsync))
		sync_tables(vm);
}

/* Of the last one that goes, RMAP_TABLE goes too. */
static void page_zap_all_of(struct vigil_vm *vm, gfn_t gfn,
			    struct list_head *freed)
{
	struct hlist_node *next;
	struct shadow_page *sp;

	hlist_for_each_entry_safe(sp, next, page_bucket(vm, gfn), hash)
		if (sp->gfn == gfn && !sp->role.direct)
			page_zap(vm, sp, freed);
}

/* The shadow pages of @gfn, none of which is unsync, become so. */
static void unsync_all_of(struct vigil_vm *vm, gfn_t gfn, unsigned long *word,
			  bool shared)
{
	struct shadow_page *sp;

	for_each_table(sp, vm, gfn)
		unsync_add(vm, sp, shared);
	WRITE_ONCE(*word, *word & ~RMAP_TABLE);
}

void table_open_shared(struct vigil_vm *vm, gfn_t gfn, unsigned long *word)
{
	if (unlikely(is_shared(vm, gfn)))
		unsync_all_of(vm, gfn, word, true);
}

/* How many tables are unsync until the next flush. Without the lock: about so many. */
static unsigned int nr_ordinary(const struct vigil_vm *vm)
{
	const struct shadow_vm *s = &vm->shadow;

	return READ_ONCE(s->nr_unsync) - READ_ONCE(s->nr_shared);
}

enum table_write table_unsync(struct vigil_vm *vm, gfn_t gfn,
			      unsigned long *word, struct list_head *freed)
{
	enum table_write ret = TABLE_OPEN;
	struct hlist_node *next;
	struct shadow_page *sp;
	unsigned int leaves = 0;

	hlist_for_each_entry_safe(sp, next, page_bucket(vm, gfn), hash) {
		if (sp->gfn != gfn || sp->role.direct)
			continue;
		if (!rmap_count(sp->parents) && !sp->roots)
			page_zap(vm, sp, freed);
		else if (sp->role.level > 1)
			ret = TABLE_CLOSED;
		else
			leaves++;
	}
	if (ret == TABLE_OPEN && leaves &&
	    nr_ordinary(vm) + leaves <= UNSYNC_MAX)
		unsync_all_of(vm, gfn, word, false);
	else if (ret == TABLE_OPEN && leaves)
		page_zap_all_of(vm, gfn, freed);
	return ret;
}

/* ---- emulated writes ---- */

static void written_entry(struct vigil_vm *vm, struct shadow_page *sp,
			  unsigned int offset)
{
	unsigned int first = offset / 8, n = 1, i;

	if (sp->role.paging == WALK_32) {
		unsigned int g = offset / 4, bits = sp->role.level == 1 ? 9 : 8;

		if (g >> bits != sp->role.quadrant)
			return;
		first = g & ((1u << bits) - 1);
		if (sp->role.level > 1) {
			first *= 2;
			n = 2;
		}
	}
	for (i = first; i < first + n; i++)
		if (test_bit(i, sp->present))
			reread_entry(vm, sp, i);
}

static void written_table(struct vigil_vm *vm, struct shadow_page *sp,
			  unsigned int offset, unsigned int len,
			  struct list_head *freed)
{
	unsigned int bytes = sp->role.paging == WALK_32 ? 4 : 8;
	unsigned int end = offset + len;
	bool straddles = (offset & (bytes - 1)) &&
			 len > bytes - (offset & (bytes - 1));

	if (straddles || ++sp->writes > FLOOD_WRITES) {
		page_zap(vm, sp, freed);
		return;
	}
	for (offset &= ~(bytes - 1); offset < end; offset += bytes)
		written_entry(vm, sp, offset);
}

/* The SPTEs of all shadow pages of a table follow what was written to it. */
static noinline void written(struct vigil_vm *vm, gpa_t gpa, unsigned int len)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct hlist_node *next;
	struct shadow_page *sp;
	LIST_HEAD(freed);

	spin_lock(&vm->shadow.lock);
	hlist_for_each_entry_safe(sp, next, page_bucket(vm, gfn), hash)
		if (sp->gfn == gfn && !sp->role.direct)
			written_table(vm, sp, offset_in_page(gpa), len, &freed);
	spin_unlock(&vm->shadow.lock);
	page_free_list(vm, &freed);
}

void shadow_written(struct vigil_vm *vm, const struct vigil_slot *slot,
		    gpa_t gpa, unsigned int len)
{
	if (READ_ONCE(*slot_word(slot, gpa >> PAGE_SHIFT)) & RMAP_TABLE)
		written(vm, gpa, len);
}

bool shadow_unprotect(struct vigil_vm *vm, gfn_t gfn)
{
	LIST_HEAD(freed);
	bool any;

	spin_lock(&vm->shadow.lock);
	page_zap_all_of(vm, gfn, &freed);
	any = !list_empty(&freed);
	spin_unlock(&vm->shadow.lock);
	page_free_list(vm, &freed);
	return any;
}

bool shadow_open_table(struct vigil_vm *vm, gfn_t gfn)
{
	unsigned long *word;
	bool table;

	/* Tables of upper levels do not keep to UNSYNC_MAX by themselves. */
	if (nr_ordinary(vm) >= UNSYNC_MAX)
		sync_all(vm);
	spin_lock(&vm->shadow.lock);
	word = gfn_word(vm, gfn);
	table = word && (*word & RMAP_TABLE);
	if (table)
		unsync_all_of(vm, gfn, word, false);
	spin_unlock(&vm->shadow.lock);
	return table;
}
