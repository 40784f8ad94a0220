// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow pages on the way to a linear address that is watched. Such a page is *placed*:
 * it translates the addresses from sp->linear on, and no others. A guest that has one
 * table at two linear addresses gets two shadow pages then, and only that on the way to
 * the watch refuses writes. Roots are always placed.
 */
#include <linux/hash.h>

#include "internal.h"

/* The addresses that a shadow page of @level translates differ in these bits alone. */
static gva_t region_mask(unsigned int level)
{
	return (1ull << (PAGE_SHIFT + 9 * level)) - 1;
}

static struct hlist_head *place_bucket(struct vigil_vm *vm, unsigned int level,
				       gva_t linear)
{
	return &vm->shadow.places[hash_64(linear | level, SHADOW_HASH_BITS)];
}

void place_add(struct vigil_vm *vm, struct shadow_page *sp)
{
	hlist_add_head(&sp->place,
		       place_bucket(vm, sp->role.level, sp->linear));
}

void place_del(struct shadow_page *sp)
{
	hlist_del_init(&sp->place);
}

bool place_of(struct vigil_vm *vm, gva_t gva, unsigned int level, gva_t *linear)
{
	gva_t mask = region_mask(level), first = gva & ~mask;

	if (!watch_linear(vm, first, mask + 1))
		return false;
	*linear = first;
	return true;
}

/*
 * [s] Takes from a placed page what leads to addresses from @first to @last with W: the
 * right itself, or the way to a page that is not placed. The next fault there makes one
 * that is.
 */
static void protect_place(struct vigil_vm *vm, struct shadow_page *sp,
			  gva_t first, gva_t last)
{
	unsigned int level = sp->role.level, end = spt_index(last, level), i;

	for (i = spt_index(first, level); i <= end; i++) {
		if (!test_bit(i, sp->present))
			continue;
		if (level == 1)
			entry_drop_w(vm, &sp->spt[i]);
		else if (!page_child(sp->spt[i])->role.placed)
			spte_drop(vm, &sp->spt[i]);
	}
}

/*
 * [s] Does that to all pages of a level and a place. The lock may be free in between:
 * pages that are made meanwhile are right already, and nobody else moves pages, since
 * the caller has vm->monitor_lock.
 */
static void protect_places(struct vigil_vm *vm, unsigned int level,
			   gva_t linear, gva_t first, gva_t last)
{
	struct hlist_head *bucket = place_bucket(vm, level, linear);
	struct shadow_page *sp;
	HLIST_HEAD(todo);

	hlist_move_list(bucket, &todo);
	while (!hlist_empty(&todo)) {
		sp = hlist_entry(todo.first, struct shadow_page, place);
		hlist_del(&sp->place);
		hlist_add_head(&sp->place, bucket);
		if (sp->role.level == level && sp->linear == linear)
			protect_place(vm, sp, first, last);
		shadow_break(vm, true);
	}
}

/* selftests/models/watch.pml explores this */
void shadow_protect_linear(struct vigil_vm *vm, gva_t start, gva_t last)
{
	gva_t first, end, mask;
	unsigned int level;

	lockdep_assert_held(&vm->monitor_lock);
	spin_lock(&vm->shadow.lock);
	for (level = 1; level <= WALK_MAX_LEVEL; level++) {
		mask = region_mask(level);
		for (first = start;; first = end + 1) {
			end = min(last, first | mask);
			protect_places(vm, level, first & ~mask, first, end);
			/* The root of long mode has both halves of its space. */
			if (level >= 4 && first & ~mask)
				protect_places(vm, level, 0, first, end);
			if (end == last)
				break;
		}
	}
	spin_unlock(&vm->shadow.lock);
	shadow_flush_stale(vm);
}
