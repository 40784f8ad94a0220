// SPDX-License-Identifier: GPL-2.0
/* Memory of the VMM's process that several slots share. */
#include "alias.h"

static hva_t slot_end(const struct vigil_slot *slot)
{
	return slot->uaddr + slot->npages * PAGE_SIZE;
}

/* A slot that replaces another one has its number, and is no alias of it. */
static bool alias_of(const struct vigil_slot *a, const struct vigil_slot *b)
{
	return a->id != b->id && a->uaddr < slot_end(b) &&
	       b->uaddr < slot_end(a);
}

struct vigil_slot *alias_next(struct vigil_slots *slots,
			      const struct vigil_slot *slot, gfn_t gfn,
			      struct alias_iter *it)
{
	hva_t hva = vigil_slot_hva(slot, gfn);
	struct vigil_slot *other;

	while (it->i < slots->count) {
		other = slots->slot[it->i++];
		if (other->id == slot->id || hva < other->uaddr ||
		    hva >= slot_end(other))
			continue;
		it->gfn = other->base + ((hva - other->uaddr) >> PAGE_SHIFT);
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
	gpa_t a_start = a->base << PAGE_SHIFT;
	gpa_t a_last = a_start + a->npages * PAGE_SIZE - 1;
	hva_t lo, hi;

	start = max(start, a_start);
	last = min(last, a_last);
	if (start > last || !alias_of(a, b))
		return false;
	lo = max(a->uaddr + (start - a_start), b->uaddr);
	hi = min(a->uaddr + (last - a_start), slot_end(b) - 1);
	if (lo > hi)
		return false;
	*to_start = (b->base << PAGE_SHIFT) + (lo - b->uaddr);
	*to_last = (b->base << PAGE_SHIFT) + (hi - b->uaddr);
	return true;
}
