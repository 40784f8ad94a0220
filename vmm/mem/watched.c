// SPDX-License-Identifier: GPL-2.0
/* Which guest-physical memory is watched: an interval tree. */
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>

#include "watched.h"

#define RANGE_START(r) ((r)->start)
#define RANGE_LAST(r) ((r)->last)

INTERVAL_TREE_DEFINE(struct watched_range, rb, u64, subtree_last, RANGE_START,
		     RANGE_LAST, static __maybe_unused, ranges)

void watched_insert(struct watched_tree *tree, struct watched_range *r)
{
	ranges_insert(r, &tree->root);
}

struct watched_range *watched_first(struct watched_tree *tree, u64 start,
				    u64 last)
{
	return ranges_iter_first(&tree->root, start, last);
}

struct watched_range *watched_next(struct watched_range *r, u64 start, u64 last)
{
	return ranges_iter_next(r, start, last);
}

/* selftests/models/watch.pml explores this */
bool watch_gfn(struct vigil_vm *vm, gfn_t gfn)
{
	struct watched_tree *tree = srcu_dereference_check(
		vm->watches, &vm->srcu, lockdep_is_held(&vm->monitor_lock));
	u64 start = gfn << PAGE_SHIFT;

	if (likely(!tree))
		return false;
	return ranges_iter_first(&tree->root, start, start + PAGE_SIZE - 1);
}
