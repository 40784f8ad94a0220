// SPDX-License-Identifier: GPL-2.0
/*
 * Which memory is watched: interval trees that vCPUs search while they change.
 */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>

#include "watched.h"
#include "vmm/vm.h"

#define RANGE_START(r) ((r)->start)
#define RANGE_LAST(r) ((r)->last)

INTERVAL_TREE_DEFINE(struct watched_range, rb, u64, subtree_last, RANGE_START,
		     RANGE_LAST, static __maybe_unused, ranges)

void watched_init(struct watched_tree *tree)
{
	tree->root = RB_ROOT_CACHED;
	tree->changes = 0;
	seqlock_init(&tree->lock);
}

void watched_insert(struct watched_tree *tree, struct watched_range *r)
{
	write_seqlock(&tree->lock);
	WRITE_ONCE(tree->changes, tree->changes + 1);
	ranges_insert(r, &tree->root);
	write_sequnlock(&tree->lock);
}

void watched_remove(struct watched_tree *tree, struct watched_range *r)
{
	write_seqlock(&tree->lock);
	WRITE_ONCE(tree->changes, tree->changes + 1);
	ranges_remove(r, &tree->root);
	write_sequnlock(&tree->lock);
}

static __always_inline void todo_push(struct watched_iter *it,
				      const struct rb_node *rb)
{
	if (rb)
		it->todo[it->n++] = rb_entry(rb, struct watched_range, rb);
}

/* An odd it->seq asks for the lock, which watched_changed() gives back. */
static __always_inline void begin_again(struct watched_iter *it)
{
	seqlock_t *lock = &it->tree->lock;

	it->n = 0;
	if (unlikely(it->seq & 1)) {
		read_seqlock_excl(lock);
		__release(lock); /* for sparse, which cannot follow it there */
	} else {
		it->seq = read_seqbegin(lock);
	}
	todo_push(it, READ_ONCE(it->tree->root.rb_root.rb_node));
}

static __always_inline void
begin(struct watched_iter *it, struct watched_tree *tree, u64 start, u64 last)
{
	it->tree = tree;
	it->start = start;
	it->last = last;
	it->seq = 0;
	it->tries = 1;
	begin_again(it);
}

void watched_begin(struct watched_iter *it, struct watched_tree *tree,
		   u64 start, u64 last)
{
	begin(it, tree, start, last);
}

/*
 * A pointer is followed only if the tree was the same from the beginning of the search
 * until after the pointer was read. So all of @todo are nodes of one tree, at most one
 * more than it is high, and the search comes to an end.
 */
static __always_inline struct watched_range *next(struct watched_iter *it)
{
	struct watched_range *r;
	bool before_end;

	while (it->n && !need_seqretry(&it->tree->lock, it->seq)) {
		r = it->todo[--it->n];
		if (READ_ONCE(r->subtree_last) < it->start)
			continue;
		before_end = r->start <= it->last;
		if (before_end)
			todo_push(it, READ_ONCE(r->rb.rb_right));
		todo_push(it, READ_ONCE(r->rb.rb_left));
		if (before_end && r->last >= it->start)
			return r;
	}
	return NULL;
}

struct watched_range *watched_next(struct watched_iter *it)
{
	return next(it);
}

bool watched_changed(struct watched_iter *it)
{
	if (need_seqretry(&it->tree->lock, it->seq)) {
		/* An even number asks for no lock. */
		it->seq = ++it->tries == WATCHED_TRIES;
		begin_again(it);
		return true;
	}
	if (unlikely(it->seq & 1)) {
		__acquire(&it->tree->lock);
		read_sequnlock_excl(&it->tree->lock);
	}
	return false;
}

/* Has nothing changed, as mostly? Then there is no lock to give back either. */
static __always_inline bool same(const struct watched_iter *it)
{
	return !(it->seq & 1) && !read_seqretry(&it->tree->lock, it->seq);
}

bool watched_any(struct watched_tree *tree, u64 start, u64 last)
{
	struct watched_iter it;
	bool any;

	begin(&it, tree, start, last);
	do
		any = next(&it);
	while (unlikely(!same(&it)) && watched_changed(&it));
	return any;
}

unsigned int watched_count(struct watched_tree *tree, u64 start, u64 last,
			   const struct watched_range **one)
{
	const struct watched_range *r;
	struct watched_iter it;
	unsigned int n;

	begin(&it, tree, start, last);
	do {
		for (n = 0; n < 2 && (r = next(&it)); n++)
			*one = r;
	} while (unlikely(!same(&it)) && watched_changed(&it));
	return n;
}

/* selftests/models/watch.pml explores this */
bool watch_gfn(struct vigil_vm *vm, gfn_t gfn)
{
	u64 start = gfn << PAGE_SHIFT;

	if (likely(watched_empty(&vm->watched)))
		return false;
	lockdep_assert(srcu_read_lock_held(&vm->srcu));
	return watched_any(&vm->watched, start, start + PAGE_SIZE - 1);
}

/* selftests/models/watch.pml explores this */
bool watch_linear(struct vigil_vm *vm, gva_t start, u64 size)
{
	if (likely(watched_empty(&vm->watched_gva)))
		return false;
	lockdep_assert(srcu_read_lock_held(&vm->srcu));
	return watched_any(&vm->watched_gva, start, start + size - 1);
}

bool watch_page(struct vigil_vm *vm, gva_t gva, gfn_t gfn)
{
	return watch_gfn(vm, gfn) ||
	       watch_linear(vm, gva & PAGE_MASK, PAGE_SIZE);
}

bool watch_ranges(const struct vigil_vm *vm)
{
	return !watched_empty(&vm->watched) || !watched_empty(&vm->watched_gva);
}
