/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which memory is watched: the trees of ranges that vCPUs search, one of guest-physical
 * addresses and one of linear ones. What a watch does, and who is told, is
 * vmm/monitor/'s; this only says where.
 */
#ifndef VIGIL_WATCHED_H
#define VIGIL_WATCHED_H

#include <linux/rbtree.h>
#include <linux/seqlock.h>

#include "vmm/types.h"

struct vigil_vm;

/**
 * struct watched_range - a watched range of addresses
 * @rb:		in the tree
 * @start:	first byte; it never changes in a tree
 * @last:	last byte; the same
 * @subtree_last: the tree's own
 */
struct watched_range {
	struct rb_node rb;
	u64 start, last, subtree_last;
};

/**
 * struct watched_tree - all watched ranges of a VM, of one kind
 * @root:	of the interval tree
 * @changes:	how many there have been
 * @lock:	one change at a time. A search takes no lock: it begins again when the
 *		tree has changed meanwhile, and then it takes this one
 *
 * A range that has left the tree may still be in the hands of a search, so it is
 * freed after vm_settle().
 */
struct watched_tree {
	struct rb_root_cached root;
	u64 changes;
	seqlock_t lock;
};

/* A search has this many subtrees before it, or fewer: the height of the tree and one. */
#define WATCHED_DEPTH 40
#define WATCHED_TRIES 16
/* Ranges in a tree: its height is at most 2 * log2 of that. */
#define WATCHED_MAX (1u << (WATCHED_DEPTH / 2 - 1))

/**
 * struct watched_iter - a search for the ranges that have a byte of an interval
 * @tree:	where
 * @start:	first byte
 * @last:	last byte
 * @seq:	of the tree's lock; odd: the lock is held
 * @tries:	how often it has begun
 * @n:		how many of @todo there are
 * @todo:	subtrees that are still to be searched
 *
 * The search begins with watched_begin(). Then watched_next() gives the ranges in no
 * order until NULL, and after that watched_changed() says whether all of it was for
 * nothing. So::
 *
 *	watched_begin(&it, tree, start, last);
 *	do {
 *		forget what was found;
 *		while ((r = watched_next(&it)))
 *			look at r;
 *	} while (watched_changed(&it));
 *
 * The last of WATCHED_TRIES times the tree's lock is held, so that the search comes to an
 * end: nobody may sleep then, which watched_may_sleep() tells. It is a vCPU's thread
 * inside vcpu_enter(), or holds vm->monitor_lock.
 */
struct watched_iter {
	struct watched_tree *tree;
	u64 start, last;
	int seq;
	unsigned int tries;
	unsigned int n;
	struct watched_range *todo[WATCHED_DEPTH];
};

void watched_init(struct watched_tree *tree);
/* O(log n). The tree has room: the caller counts up to WATCHED_MAX ranges. */
void watched_insert(struct watched_tree *tree, struct watched_range *r);
void watched_remove(struct watched_tree *tree, struct watched_range *r);

void watched_begin(struct watched_iter *it, struct watched_tree *tree,
		   u64 start, u64 last);
struct watched_range *watched_next(struct watched_iter *it);
bool watched_changed(struct watched_iter *it);

static inline bool watched_may_sleep(const struct watched_iter *it)
{
	return !(it->seq & 1);
}

static inline bool watched_empty(const struct watched_tree *tree)
{
	return !READ_ONCE(tree->root.rb_root.rb_node);
}

/* Has any range a byte from @start to @last? The same callers as of a search. */
bool watched_any(struct watched_tree *tree, u64 start, u64 last);
/*
 * How many ranges have a byte from @start to @last: 0; 1, it is *@one; 2, or more. The
 * same callers.
 */
unsigned int watched_count(struct watched_tree *tree, u64 start, u64 last,
			   const struct watched_range **one);

/*
 * A number that each change of the tree makes another one. While it stays, what a search
 * begun since has found is what one would find now.
 */
static inline u64 watched_generation(const struct watched_tree *tree)
{
	u64 changes = READ_ONCE(tree->changes);

	/* a search comes behind this; pairs with the barrier of write_seqlock() */
	smp_rmb();
	return changes;
}

/* Is any byte of this guest page watched by its physical address? The same callers. */
bool watch_gfn(struct vigil_vm *vm, gfn_t gfn);
/* Is any of @size bytes from @start on watched by its linear address, in any space? */
bool watch_linear(struct vigil_vm *vm, gva_t start, u64 size);
/* Is any byte of the page watched, which the guest has at linear address @gva? */
bool watch_page(struct vigil_vm *vm, gva_t gva, gfn_t gfn);
/* Is any memory watched? Without order: for what need not be known exactly. */
bool watch_ranges(const struct vigil_vm *vm);

#endif
