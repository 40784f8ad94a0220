// SPDX-License-Identifier: GPL-2.0
/*
 * Reverse maps: which SPTEs map a gfn, which SPTEs point to a shadow page.
 * A word: 0, one SPTE, or a chain of blocks; see RMAP_*.
 */
#include "internal.h"

static struct rmap_block *block_of(unsigned long head)
{
	return (struct rmap_block *)(head & ~RMAP_FLAGS);
}

static void set_head(unsigned long *head, const void *p, unsigned long many)
{
	/*
	 * Readers without the lock look only at RMAP_TABLE, which stays as it
	 * is.
	 */
	WRITE_ONCE(*head, (unsigned long)p | many | (*head & RMAP_TABLE));
}

static struct rmap_block *new_block(struct shadow_cache *links,
				    struct rmap_block *next)
{
	struct rmap_block *b = links->obj[--links->n];

	b->next = next;
	b->n = 0;
	b->total = next ? next->total : 0;
	return b;
}

static void block_add(struct rmap_block *b, u64 *spte)
{
	b->spte[b->n++] = spte;
	b->total++;
}

void rmap_add(struct shadow_cache *links, unsigned long *head, u64 *spte)
{
	struct rmap_block *b;

	if (!(*head & ~RMAP_FLAGS)) {
		set_head(head, spte, 0);
		return;
	}
	if (!(*head & RMAP_MANY)) {
		b = new_block(links, NULL);
		block_add(b, (u64 *)(*head & ~RMAP_FLAGS));
	} else {
		b = block_of(*head);
		if (b->n == RMAP_BLOCK)
			b = new_block(links, b);
	}
	block_add(b, spte);
	set_head(head, b, RMAP_MANY);
}

bool rmap_remove(unsigned long *head, u64 *spte)
{
	struct rmap_block *first, *b;
	unsigned int i;

	if (!(*head & RMAP_MANY)) {
		if ((u64 *)(*head & ~RMAP_FLAGS) != spte)
			return false;
		set_head(head, NULL, 0);
		return true;
	}
	first = block_of(*head);
	for (b = first; b; b = b->next)
		for (i = 0; i < b->n; i++)
			if (b->spte[i] == spte)
				goto found;
	return false;
found:
	/*
	 * An entry of the first block fills the hole, so the other blocks stay
	 * full.
	 */
	b->spte[i] = first->spte[--first->n];
	first->total--;
	if (!first->n) {
		set_head(head, first->next, first->next ? RMAP_MANY : 0);
		kmem_cache_free(shadow_link_cache, first);
	}
	return true;
}

unsigned int rmap_count(unsigned long head)
{
	if (head & RMAP_MANY)
		return block_of(head)->total;
	return !!(head & ~RMAP_FLAGS);
}

u64 *rmap_first(unsigned long head, struct rmap_iter *it)
{
	it->block = NULL;
	it->i = 0;
	if (!(head & RMAP_MANY))
		return (u64 *)(head & ~RMAP_FLAGS);
	it->block = block_of(head);
	return it->block->spte[0];
}

u64 *rmap_next(struct rmap_iter *it)
{
	if (!it->block)
		return NULL;
	if (++it->i == it->block->n) {
		it->block = it->block->next;
		it->i = 0;
		if (!it->block)
			return NULL;
	}
	return it->block->spte[it->i];
}

unsigned long *gfn_word_slow(struct vigil_vm *vm, gfn_t gfn)
{
	unsigned long *chunk = xa_load(&vm->shadow.gfns, gfn >> 9);

	if (!chunk)
		return NULL;
	vm->shadow.last_chunk = chunk;
	vm->shadow.last_idx = gfn >> 9;
	return chunk + (gfn & 511);
}

/*
 * Clears bits by cmpxchg, since the CPU (A and D) and the lock-free dirty fault
 * (W) change SPTEs at the same time.
 */
static bool spte_clear(u64 *spte, u64 bits)
{
	u64 old = READ_ONCE(*spte);

	do {
		if (!(old & bits))
			return false;
	} while (!try_cmpxchg64(spte, &old, old & ~bits));
	return old & SPTE_W;
}

bool rmap_write_protect(struct vigil_vm *vm, unsigned long *word, bool keep_log)
{
	u64 bits = keep_log ? SPTE_W : SPTE_W | SPTE_MMU_W;
	struct rmap_iter it;
	bool lost = false;
	u64 *spte;

	if (shadow_injected(INJECT_NO_PROTECT))
		return false;
	for_each_rmap(spte, *word, &it)
		lost |= spte_clear(spte, bits);
	if (lost)
		shadow_narrowed(vm);
	return lost;
}

void rmap_drop_all(struct vigil_vm *vm, unsigned long *head)
{
	struct rmap_iter it;
	unsigned int count;
	u64 *spte;

	while ((spte = rmap_first(*head, &it))) {
		count = rmap_count(*head);
		spte_drop(vm, spte);
		if (likely(rmap_count(*head) < count))
			continue;
		/*
		 * The SPTE was in the wrong rmap, so dropping it did not
		 * shorten this one: take the entry out by hand, or this would
		 * loop for ever.
		 */
		rmap_remove(head, spte);
		vigil_vm_kill(vm, "shadow: a reverse map is wrong");
	}
}
