// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow paging's side of memory slots, of the MMU notifier and of the dirty
 * log; life of the VM's part, and the shrinker.
 */
#include <linux/sched/signal.h>
#include <linux/shrinker.h>

#include "internal.h"
#include "vmm/mem/alias.h"

/* ---- the words of a slot's gfns ---- */

static unsigned long *chunk_get(struct vigil_vm *vm, unsigned long idx)
{
	unsigned long *chunk = xa_load(&vm->shadow.gfns, idx);

	if (!chunk) {
		chunk = (unsigned long *)get_zeroed_page(GFP_SLOT);
		if (!chunk)
			return NULL;
		set_page_private(virt_to_page(chunk), 0);
		if (xa_err(xa_store(&vm->shadow.gfns, idx, chunk, GFP_SLOT))) {
			free_page((unsigned long)chunk);
			return NULL;
		}
	}
	/*
	 * The page's private field counts the slots that share the chunk;
	 * vm->lock protects it.
	 */
	set_page_private(virt_to_page(chunk),
			 page_private(virt_to_page(chunk)) + 1);
	return chunk;
}

static void chunk_put(struct vigil_vm *vm, unsigned long idx,
		      unsigned long *chunk)
{
	struct page *page = virt_to_page(chunk);

	set_page_private(page, page_private(page) - 1);
	if (page_private(page))
		return;
	spin_lock(&vm->shadow.lock);
	xa_erase(&vm->shadow.gfns, idx);
	if (vm->shadow.last_chunk == chunk)
		vm->shadow.last_chunk = NULL;
	spin_unlock(&vm->shadow.lock);
	free_page((unsigned long)chunk);
}

/* Number of chunks after which the host's free memory is looked at again. */
#define CHUNKS_AT_ONCE 1024

/*
 * Returns -ENOMEM before the host runs out of memory; -EINTR when the caller is
 * killed.
 */
static int fill_chunks(struct vigil_vm *vm, struct vigil_slot *slot,
		       unsigned long first, unsigned long n)
{
	unsigned long *chunk, i;

	for (i = 0; i < n; i++) {
		/* Other processes may allocate at the same time. */
		if (!(i % CHUNKS_AT_ONCE) && !vigil_slot_affordable(n - i))
			return -ENOMEM;
		if (fatal_signal_pending(current))
			return -EINTR;
		chunk = chunk_get(vm, first + i);
		if (!chunk)
			return -ENOMEM;
		slot->arch.chunk[i] = chunk;
		slot->arch.nr_chunks++;
		cond_resched();
	}
	return 0;
}

int shadow_slot_init(struct vigil_vm *vm, struct vigil_slot *slot)
{
	unsigned long first = slot->base >> 9;
	unsigned long n = ((slot->base + slot->npages - 1) >> 9) - first + 1;
	int ret;

	slot->arch.nr_chunks = 0;
	slot->arch.chunk = NULL;
	if (!vigil_slot_affordable(n))
		return -ENOMEM;
	slot->arch.chunk = kvcalloc(n, sizeof(*slot->arch.chunk), GFP_SLOT);
	if (!slot->arch.chunk)
		return -ENOMEM;
	WRITE_ONCE(vm->shadow.mem_pages, vm->shadow.mem_pages + slot->npages);
	ret = fill_chunks(vm, slot, first, n);
	if (ret)
		shadow_slot_free(vm, slot);
	return ret;
}

void shadow_slot_free(struct vigil_vm *vm, struct vigil_slot *slot)
{
	unsigned long i;

	if (!slot->arch.chunk)
		return;
	for (i = 0; i < slot->arch.nr_chunks; i++) {
		chunk_put(vm, (slot->base >> 9) + i, slot->arch.chunk[i]);
		cond_resched();
	}
	kvfree(slot->arch.chunk);
	slot->arch.chunk = NULL;
	slot->arch.nr_chunks = 0;
	WRITE_ONCE(vm->shadow.mem_pages, vm->shadow.mem_pages - slot->npages);
}

/* ---- write protection for the log and for watches ---- */

/* The other gfns of the page, in slots that share its memory. */
static noinline void protect_aliases(struct vigil_vm *vm,
				     struct vigil_slot *slot, gfn_t gfn,
				     bool keep_log)
{
	struct vigil_slot *other;
	struct alias_iter it;

	for_each_alias(other, vigil_slots(vm), slot, gfn, &it)
		rmap_write_protect(vm, slot_word(other, it.gfn), keep_log);
}

/* [s] Protects the page at all gfns that the guest has it at. */
static __always_inline void protect_page(struct vigil_vm *vm,
					 struct vigil_slot *slot, gfn_t gfn,
					 bool keep_log)
{
	rmap_write_protect(vm, slot_word(slot, gfn), keep_log);
	if (unlikely(READ_ONCE(slot->shares)))
		protect_aliases(vm, slot, gfn, keep_log);
}

void shadow_slot_protect(struct vigil_vm *vm, struct vigil_slot *slot)
{
	gfn_t gfn;

	spin_lock(&vm->shadow.lock);
	for (gfn = slot->base; gfn < slot->base + slot->npages; gfn++) {
		/* Most pages of a slot of their own are mapped nowhere. */
		if (slot->shares || *slot_word(slot, gfn) & ~RMAP_FLAGS)
			protect_page(vm, slot, gfn, true);
		if (!(gfn & 511))
			shadow_break(vm, true);
	}
	spin_unlock(&vm->shadow.lock);
	shadow_flush_stale(vm);
}

/*
 * True: the caller has to flush. False: no TLB allows what SPTEs have lost up
 * to now.
 */
static bool needs_flush(struct vigil_vm *vm)
{
	long narrowed = atomic_long_read(&vm->shadow.narrowed);

	if (shadow_stale(vm, narrowed))
		return true;
	shadow_claim_flushed(vm, narrowed);
	return false;
}

/* selftests/models/dirty.pml explores this */
bool shadow_protect_mask(struct vigil_vm *vm, struct vigil_slot *slot,
			 gfn_t base, unsigned long mask)
{
	spin_lock(&vm->shadow.lock);
	for (; mask; mask &= mask - 1)
		protect_page(vm, slot, base + __ffs(mask), true);
	spin_unlock(&vm->shadow.lock);
	/*
	 * An SPTE that was writable may have been dropped before, while a TLB
	 * still has it: narrowed counts it, so the caller flushes then as well.
	 */
	if (!needs_flush(vm))
		return false;
	shadow_flush_owed(vm);
	return true;
}

/* selftests/models/watch.pml explores this */
void shadow_protect_gfns(struct vigil_vm *vm, gfn_t gfn, gfn_t last)
{
	struct vigil_slot *slot;

	spin_lock(&vm->shadow.lock);
	for (; gfn <= last; gfn++) {
		slot = vigil_gfn_slot(vm, gfn);
		if (slot)
			protect_page(vm, slot, gfn, false);
		if (!(gfn & 511))
			shadow_break(vm, true);
	}
	spin_unlock(&vm->shadow.lock);
	shadow_flush_stale(vm);
}

/* ---- MMU notifier ---- */

/* selftests/models/flush.pml explores this */
bool shadow_unmap_gfns(struct vigil_vm *vm, struct vigil_slot *slot,
		       gfn_t start, gfn_t end)
{
	unsigned long *word;

	for (; start < end; start++) {
		word = slot_word(slot, start);
		if (*word & ~RMAP_FLAGS)
			rmap_drop_all(vm, word);
		/*
		 * notify_count is raised while the lock is free, so no fault
		 * maps pages of the range again.
		 */
		if (!(start & 511))
			shadow_break(vm, false);
	}
	return needs_flush(vm);
}

static bool spte_age(u64 *spte, bool clear)
{
	u64 old = READ_ONCE(*spte);

	if (!(old & SPTE_A))
		return false;
	while (clear && !try_cmpxchg64(spte, &old, old & ~SPTE_A))
		;
	return true;
}

static u64 *ept_spte(unsigned long word)
{
	struct rmap_iter it;
	u64 *spte;

	for_each_rmap(spte, word, &it)
		if (page_of(spte)->role.ept)
			return spte;
	return NULL;
}

/*
 * EPT entries have no A bit here. One that is asked about counts as accessed,
 * and is dropped, so that the next access maps it again. A gfn has at most two: one of
 * a placed page and one that was made when the page was not placed.
 */
static bool gfn_age(struct vigil_vm *vm, unsigned long *word, bool clear)
{
	struct rmap_iter it;
	bool young = false;
	unsigned int n;
	u64 *spte;

	for_each_rmap(spte, *word, &it)
		young |= page_of(spte)->role.ept || spte_age(spte, clear);
	for (n = rmap_count(*word); clear && n && (spte = ept_spte(*word)); n--)
		spte_drop(vm, spte);
	return young;
}

bool shadow_age_gfns(struct vigil_vm *vm, struct vigil_slot *slot, gfn_t start,
		     gfn_t end, bool clear)
{
	bool young = false;

	for (; start < end; start++)
		young |= gfn_age(vm, slot_word(slot, start), clear);
	return young;
}

void shadow_release(struct vigil_vm *vm)
{
	shadow_zap_all(vm);
}

/* ---- life and shrinker ---- */

static LIST_HEAD(shadow_vms);
static DEFINE_MUTEX(shadow_vms_lock);

int shadow_vm_init(struct vigil_vm *vm)
{
	struct shadow_vm *s = &vm->shadow;

	s->hash = kvcalloc(2 << SHADOW_HASH_BITS, sizeof(*s->hash),
			   GFP_KERNEL_ACCOUNT);
	if (!s->hash)
		return -ENOMEM;
	spin_lock_init(&s->lock);
	s->places = s->hash + (1 << SHADOW_HASH_BITS);
	INIT_LIST_HEAD(&s->pages);
	INIT_LIST_HEAD(&s->unsync);
	INIT_LIST_HEAD(&s->shared);
	xa_init(&s->gfns);
	mutex_lock(&shadow_vms_lock);
	list_add_tail(&s->link, &shadow_vms);
	mutex_unlock(&shadow_vms_lock);
	return 0;
}

void shadow_vm_destroy(struct vigil_vm *vm)
{
	LIST_HEAD(freed);
	unsigned long n;

	mutex_lock(&shadow_vms_lock);
	list_del(&vm->shadow.link);
	mutex_unlock(&shadow_vms_lock);
	do {
		spin_lock(&vm->shadow.lock);
		n = page_shrink(vm, 64, true, &freed);
		spin_unlock(&vm->shadow.lock);
		page_free_now(&freed);
		cond_resched();
	} while (n);
	shadow_window_free(vm);
	kvfree(vm->shadow.hash);
	vm->shadow.hash = NULL;
}

static unsigned long shrink_count(struct shrinker *sh,
				  struct shrink_control *sc)
{
	struct shadow_vm *s;
	unsigned long n = 0;

	if (!mutex_trylock(&shadow_vms_lock))
		return 0;
	list_for_each_entry(s, &shadow_vms, link)
		n += 2 * READ_ONCE(s->nr_pages);
	mutex_unlock(&shadow_vms_lock);
	return n;
}

static unsigned long shrink_vm(struct shadow_vm *s, unsigned long want)
{
	struct vigil_vm *vm = container_of(s, struct vigil_vm, shadow);
	unsigned long n;
	LIST_HEAD(freed);

	/*
	 * The holder of the lock may be the task whose allocation called the
	 * shrinker.
	 */
	if (!spin_trylock(&s->lock))
		return 0;
	n = page_shrink(vm, want, false, &freed);
	spin_unlock(&s->lock);
	page_free_list(vm, &freed);
	return n;
}

static unsigned long shrink_scan(struct shrinker *sh, struct shrink_control *sc)
{
	unsigned long want = sc->nr_to_scan / 2 + 1, n = 0;
	struct shadow_vm *s;

	if (!mutex_trylock(&shadow_vms_lock))
		return SHRINK_STOP;
	list_for_each_entry(s, &shadow_vms, link) {
		if (n >= want)
			break;
		n += shrink_vm(s, want - n);
	}
	/*
	 * Moves the first VM to the end, so that the next call begins with
	 * another.
	 */
	if (!list_empty(&shadow_vms))
		list_rotate_left(&shadow_vms);
	mutex_unlock(&shadow_vms_lock);
	return n ? 2 * n : SHRINK_STOP;
}

shadow_ask_t *shadow_ask_bits __ro_after_init;

static struct shrinker *shadow_shrinker;

int __init shadow_module_init(shadow_ask_t *ask)
{
	shadow_ask_bits = ask;
	shadow_header_cache = KMEM_CACHE(shadow_page, SLAB_ACCOUNT);
	if (!shadow_header_cache)
		return -ENOMEM;
	shadow_link_cache = KMEM_CACHE(rmap_block, SLAB_ACCOUNT);
	if (!shadow_link_cache)
		goto header;
	shadow_shrinker = shrinker_alloc(0, "vigil-shadow");
	if (!shadow_shrinker)
		goto link;
	shadow_shrinker->count_objects = shrink_count;
	shadow_shrinker->scan_objects = shrink_scan;
	shrinker_register(shadow_shrinker);
	return 0;
link:
	kmem_cache_destroy(shadow_link_cache);
header:
	kmem_cache_destroy(shadow_header_cache);
	return -ENOMEM;
}

void shadow_module_exit(void)
{
	shrinker_free(shadow_shrinker);
	/* Waits until RCU has freed the shadow pages. */
	rcu_barrier();
	kmem_cache_destroy(shadow_link_cache);
	kmem_cache_destroy(shadow_header_cache);
}
