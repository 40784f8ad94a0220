/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which guest-physical memory is watched: the tree of ranges that vCPUs search. What
 * a watch does, and who is told, is vmm/monitor/'s; this only says where.
 */
#ifndef VIGIL_WATCHED_H
#define VIGIL_WATCHED_H

#include <linux/rbtree.h>

#include "vmm/vm.h"

/**
 * struct watched_range - a watched range of guest-physical memory
 * @rb:		in the tree
 * @start:	first byte
 * @last:	last byte
 * @subtree_last: the tree's own
 */
struct watched_range {
	struct rb_node rb;
	u64 start, last, subtree_last;
};

/**
 * struct watched_tree - all watched ranges of a VM
 * @root:	of the interval tree
 *
 * Once vCPUs can see a tree it never changes: a new one replaces it in
 * vm->watches. A VM without watches has none.
 */
struct watched_tree {
	struct rb_root_cached root;
};

/* Enters a range into a tree that nobody sees yet. */
void watched_insert(struct watched_tree *tree, struct watched_range *r);
/* The first range of the tree that has a byte from @start to @last, or NULL. */
struct watched_range *watched_first(struct watched_tree *tree, u64 start,
				    u64 last);
/* The next one behind @r, or NULL. */
struct watched_range *watched_next(struct watched_range *r, u64 start,
				   u64 last);
/* Is any byte of this guest page watched? Any context, under vm->srcu. */
bool watch_gfn(struct vigil_vm *vm, gfn_t gfn);

#endif
