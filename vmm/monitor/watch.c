// SPDX-License-Identifier: GPL-2.0
/*
 * The watches. Each monitor has its own, by id [w]. Each watch has a set of ranges of
 * guest-physical or of linear addresses. The ranges of all sets form two interval trees,
 * one of each kind, which vCPUs search while they change. A set that has left its tree is
 * freed when no vCPU can have anything of it in its hands (vm_settle()). No guest is
 * stopped for any of this, and nothing but an addition needs memory.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "control.h"
#include "monitor.h"
#include "watch.h"
#include "shadow/shadow.h"
#include "vmm/mem/alias.h"
#include "vmm/mem/watched.h"

/* ---- the ranges of a watch ---- */

/**
 * struct watch_plan - a set in the making
 * @slots:	what memory is where
 * @w:		whose ranges
 * @set:	NULL: the ranges are only counted
 * @count:	of the ranges
 */
struct watch_plan {
	const struct vigil_slots *slots;
	const struct mon_watch *w;
	struct watch_set *set;
	size_t count;
};

/* @shift: as in struct watch_range */
static void plan_range(struct watch_plan *p, u64 start, u64 last, u64 shift)
{
	const struct vigil_watch *u = &p->w->uapi;
	size_t i = p->count++;
	struct watch_range *r;

	if (!p->set)
		return;
	r = &p->set->range[i];
	r->where.start = start;
	r->where.last = last;
	r->mon = p->set->mon;
	r->filter = p->w->filter;
	r->shift = shift;
	r->linear = u->kind == VIGIL_WATCH_GVA;
	r->cr3 = u->cr3;
	r->cookie = u->cookie;
	r->id = u->id;
	r->action = u->action;
	r->on_death = u->on_death;
	r->timeout_ms = u->timeout_ms;
	r->on_timeout = u->on_timeout;
}

/* The ranges at which the guest has the memory of the watch once more. */
static void plan_aliases(struct watch_plan *p)
{
	u64 first = p->w->start, end = p->w->last, start, last, from, to;
	const struct vigil_slots *slots = p->slots;
	struct vigil_slot *const *slot = slots->slot;
	unsigned int i, j;

	for (i = 0; i < slots->count; i++) {
		if (end >> PAGE_SHIFT < slot[i]->base ||
		    first >> PAGE_SHIFT >= slot[i]->base + slot[i]->npages ||
		    !READ_ONCE(slot[i]->shares))
			continue;
		for (j = 0; j < slots->count; j++) {
			if (!alias_span(slot[i], slot[j], first, end, &start,
					&last) ||
			    !alias_span(slot[j], slot[i], start, last, &from,
					&to))
				continue;
			plan_range(p, start, last, start - from);
		}
	}
}

static void plan_ranges(struct watch_plan *p)
{
	plan_range(p, p->w->start, p->w->last, 0);
	if (p->slots->shared && p->w->uapi.kind == VIGIL_WATCH_GPA)
		plan_aliases(p);
	cond_resched();
}

/*
 * Makes the set of a watch for memory as it is in @slots. @room: of how many ranges
 * there is room; it gets less. -ENOSPC, -ENOMEM: nothing has changed.
 */
static int set_make(struct monitor *mon, const struct mon_watch *w,
		    const struct vigil_slots *slots, size_t *room,
		    struct watch_set **out)
{
	struct watch_plan p = { .slots = slots, .w = w };

	plan_ranges(&p);
	if (p.count > *room)
		return -ENOSPC;
	p.set = kvzalloc(struct_size(p.set, range, p.count),
			 GFP_KERNEL_ACCOUNT);
	if (!p.set)
		return -ENOMEM;
	p.set->count = p.count;
	p.set->mon = mon;
	p.set->filter = filter_get(w->filter);
	kref_get(&mon->ref);
	p.count = 0;
	plan_ranges(&p);
	*room -= p.count;
	*out = p.set;
	return 0;
}

static void set_free(struct watch_set *set)
{
	if (!set)
		return;
	filter_put(set->filter);
	monitor_put(set->mon);
	kvfree(set);
}

static void sets_free(struct list_head *sets)
{
	struct watch_set *set, *next;

	list_for_each_entry_safe(set, next, sets, link) {
		set_free(set);
		cond_resched();
	}
}

static struct watched_tree *tree_of(struct vigil_vm *vm,
				    const struct watch_range *r)
{
	return r->linear ? &vm->watched_gva : &vm->watched;
}

/* [w] vCPUs begin to see the ranges. */
static void set_enter(struct vigil_vm *vm, struct watch_set *set)
{
	unsigned int i;

	for (i = 0; i < set->count; i++) {
		watched_insert(tree_of(vm, &set->range[i]),
			       &set->range[i].where);
		cond_resched();
	}
	vm->nr_ranges += set->count;
}

/*
 * [w] vCPUs begin not to see the ranges any more. One that has found a range before may
 * still send an event of it, so the set is freed later.
 */
static void set_leave(struct vigil_vm *vm, struct watch_set *set,
		      struct list_head *gone)
{
	unsigned int i;

	for (i = 0; i < set->count; i++) {
		watched_remove(tree_of(vm, &set->range[i]),
			       &set->range[i].where);
		cond_resched();
	}
	vm->nr_ranges -= set->count;
	list_add(&set->link, gone);
}

/* [w] One watch more or less: is its control watched now? */
static void count_control(struct vigil_vm *vm, const struct mon_watch *w,
			  int by)
{
	unsigned int nr = control_nr(w->uapi.start);
	u32 others;

	if (w->uapi.kind != VIGIL_WATCH_CONTROL)
		return;
	others = vm->controls & ~BIT(nr);
	vm->control_watches[nr] += by;
	control_set(vm, vm->control_watches[nr] ? others | BIT(nr) : others);
}

/* [w] The watch leaves the tree, for which no memory is needed. */
static void watch_leave(struct vigil_vm *vm, struct mon_watch *w)
{
	if (!w->set)
		return;
	set_leave(vm, w->set, &vm->watches_gone);
	w->set = NULL;
	count_control(vm, w, -1);
}

/*
 * Waits until vCPUs act on the watches only as they are now, and frees what has left
 * the tree before. @wait and result are those of vm_settle().
 */
static int watches_settle(struct vigil_vm *vm, bool wait)
{
	LIST_HEAD(gone);
	int ret;

	mutex_lock(&vm->monitor_lock);
	list_splice_init(&vm->watches_gone, &gone);
	mutex_unlock(&vm->monitor_lock);
	ret = vm_settle(vm, wait);
	if (!ret) {
		sets_free(&gone);
		return 0;
	}
	mutex_lock(&vm->monitor_lock);
	list_splice(&gone, &vm->watches_gone);
	mutex_unlock(&vm->monitor_lock);
	return ret;
}

void watch_reap(struct vigil_vm *vm)
{
	watches_settle(vm, false);
}

/* ---- slots ---- */

#define for_each_watch(w, id, mon, vm)                  \
	list_for_each_entry(mon, &(vm)->monitors, link) \
		xa_for_each(&(mon)->watches, id, w)

/* [w] Makes the sets of guest-physical ranges for memory as it is in @slots. */
static int plan_slots(struct vigil_vm *vm, const struct vigil_slots *slots)
{
	size_t room = WATCH_MAX_RANGES;
	struct mon_watch *w;
	struct monitor *mon;
	unsigned long id;
	int ret;

	for_each_watch(w, id, mon, vm)
		if (w->uapi.kind != VIGIL_WATCH_GPA)
			room -= w->set->count;
	for_each_watch(w, id, mon, vm) {
		if (w->uapi.kind != VIGIL_WATCH_GPA)
			continue;
		ret = set_make(mon, w, slots, &room, &w->next);
		if (ret)
			return ret;
	}
	return 0;
}

int watch_slots(struct vigil_vm *vm, const struct vigil_slots *slots,
		struct list_head *gone)
{
	struct mon_watch *w;
	struct monitor *mon;
	unsigned long id;
	int ret;

	lockdep_assert_held(&vm->monitor_lock);
	ret = plan_slots(vm, slots);
	for_each_watch(w, id, mon, vm) {
		if (!w->next)
			continue;
		if (ret) {
			set_free(w->next);
		} else {
			/* In this order a watched page is watched all the time. */
			set_enter(vm, w->next);
			set_leave(vm, w->set, gone);
			w->set = w->next;
		}
		w->next = NULL;
	}
	return ret;
}

void watch_slots_done(struct list_head *gone)
{
	sets_free(gone);
}

/* ---- adding and removing ---- */

static int check_watch(const struct vigil_watch *w)
{
	u64 last = w->start + w->len - 1;

	if (w->kind > VIGIL_WATCH_CONTROL || w->action > VIGIL_ACTION_DENY ||
	    (w->on_death > VIGIL_ON_DEATH_DENY &&
	     w->on_death != VIGIL_ON_DEATH_PAUSE) ||
	    (w->on_timeout > VIGIL_ON_DEATH_DENY &&
	     w->on_timeout != VIGIL_ON_DEATH_PAUSE) ||
	    w->timeout_ms > VIGIL_MAX_TIMEOUT ||
	    (w->on_timeout && !w->timeout_ms))
		return -EINVAL;
	if (w->kind == VIGIL_WATCH_CONTROL)
		return control_check(w);
	if (!w->len || w->len > WATCH_MAX_LEN || last < w->start)
		return -EINVAL;
	if (w->kind == VIGIL_WATCH_GPA)
		return w->cr3 || last >> 52 ? -EINVAL : 0;
	/* The guest's mode may change, so the widest address counts. */
	if (!gva_canonical(w->start, 57) || !gva_canonical(last, 57) ||
	    w->cr3 >> 52)
		return -EINVAL;
	return 0;
}

static void mon_watch_free(struct mon_watch *w)
{
	if (w)
		filter_put(w->filter);
	kfree(w);
}

static void protect_span(struct vigil_vm *vm, u64 start, u64 last)
{
	int idx = srcu_read_lock(&vm->srcu);

	shadow_protect_gfns(vm, start >> PAGE_SHIFT, last >> PAGE_SHIFT);
	srcu_read_unlock(&vm->srcu, idx);
}

/* [w] Gives the watch its id, and enters it into the tree. */
static int watch_enter(struct monitor *mon, struct mon_watch *w)
{
	struct vigil_vm *vm = mon->vm;
	size_t room;
	int ret;

	if (mon->evicted)
		return -EPIPE;
	if (READ_ONCE(vm->dead))
		return -EIO;
	if (mon->nr_watches == VIGIL_MAX_WATCHES)
		return -ENOSPC;
	ret = xa_alloc_cyclic(&mon->watches, &w->uapi.id, w,
			      XA_LIMIT(1, U32_MAX), &mon->next_id,
			      GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		return ret;
	room = WATCH_MAX_RANGES - vm->nr_ranges;
	ret = set_make(mon, w, vigil_slots(vm), &room, &w->set);
	if (ret) {
		xa_erase(&mon->watches, w->uapi.id);
		return ret;
	}
	set_enter(vm, w->set);
	count_control(vm, w, 1);
	mon->nr_watches++;
	return 0;
}

/* [w] Takes the watch out of the tree and from its monitor. */
static void watch_remove(struct monitor *mon, struct mon_watch *w)
{
	xa_erase(&mon->watches, w->uapi.id);
	mon->nr_watches--;
	watch_leave(mon->vm, w);
}

/*
 * On return no vCPU can write to the watch's pages, and none is about to make a store
 * that it decided on without the watch. -EINTR: the caller is being killed.
 */
static int watch_arm(struct vigil_vm *vm, const struct mon_watch *w)
{
	/*
	 * A fault looks at the tree under the shadow lock, and maps the page
	 * before it lets go of the lock. So a page that it found unwatched is
	 * protected here. selftests/models/watch.pml explores this.
	 */
	if (w->uapi.kind == VIGIL_WATCH_GPA) {
		protect_span(vm, w->start, w->last);
	} else if (w->uapi.kind == VIGIL_WATCH_GVA) {
		mutex_lock(&vm->monitor_lock);
		shadow_protect_linear(vm, w->start, w->last);
		mutex_unlock(&vm->monitor_lock);
	}
	return watches_settle(vm, true);
}

/**
 * watch_add() - start to watch; no write is missed from when this returns
 * @mon: whose watch
 * @u: checked here; gets its id
 *
 * It waits for vCPUs that are emulating, and stops none in the guest.
 * selftests/models/watch.pml explores this.
 */
int watch_add(struct monitor *mon, struct vigil_watch *u)
{
	struct vigil_vm *vm = mon->vm;
	struct watch_filter *filter;
	struct mon_watch *w;
	int ret;

	ret = check_watch(u);
	if (ret)
		return ret;
	filter = filter_copy(u);
	if (IS_ERR(filter))
		return PTR_ERR(filter);
	w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	if (!w) {
		filter_put(filter);
		return -ENOMEM;
	}
	u->passed = 0;
	w->uapi = *u;
	w->uapi.conditions = 0;
	w->filter = filter;
	w->start = u->start;
	if (u->kind == VIGIL_WATCH_CONTROL)
		w->start += CONTROL_BASE;
	w->last = w->start + u->len - 1;

	ret = mutex_lock_killable(&mon->watch_lock);
	if (ret)
		goto free;
	atomic_inc(&vm->watches_arming);
	mutex_lock(&vm->monitor_lock);
	ret = watch_enter(mon, w);
	mutex_unlock(&vm->monitor_lock);
	if (ret)
		goto unlock;
	ret = watch_arm(vm, w);
	if (ret) {
		mutex_lock(&vm->monitor_lock);
		watch_remove(mon, w);
		mutex_unlock(&vm->monitor_lock);
		goto unlock;
	}
	u->id = w->uapi.id;
	w = NULL;

unlock:
	atomic_dec(&vm->watches_arming);
	mutex_unlock(&mon->watch_lock);
free:
	mon_watch_free(w);
	return ret;
}

/*
 * Pages that nobody watches any more get W back by their next write fault. No
 * event of the watch is made after this has returned 0. It stops no guest either.
 */
int watch_del(struct monitor *mon, u32 id)
{
	struct vigil_vm *vm = mon->vm;
	struct mon_watch *w;
	int ret;

	ret = mutex_lock_killable(&mon->watch_lock);
	if (ret)
		return ret;
	mutex_lock(&vm->monitor_lock);
	w = xa_load(&mon->watches, id);
	if (w)
		watch_remove(mon, w);
	mutex_unlock(&vm->monitor_lock);
	if (w) {
		mon_watch_free(w);
		ret = watches_settle(vm, true);
		shadow_watches_gone(vm);
	} else {
		ret = -ENOENT;
	}
	mutex_unlock(&mon->watch_lock);
	return ret;
}

void watch_hide(struct monitor *mon)
{
	struct mon_watch *w;
	unsigned long id;

	lockdep_assert_held(&mon->vm->monitor_lock);
	xa_for_each(&mon->watches, id, w)
		watch_leave(mon->vm, w);
	shadow_watches_gone(mon->vm);
}

void watch_drop(struct monitor *mon)
{
	struct mon_watch *w;
	unsigned long id;

	xa_for_each(&mon->watches, id, w) {
		mon_watch_free(w);
		cond_resched();
	}
	xa_destroy(&mon->watches);
	mon->nr_watches = 0;
}

int watch_vm_init(struct vigil_vm *vm)
{
	watched_init(&vm->watched);
	watched_init(&vm->watched_gva);
	INIT_LIST_HEAD(&vm->watches_gone);
	INIT_LIST_HEAD(&vm->monitors);
	init_waitqueue_head(&vm->monitor_wq);
	return 0;
}

/* Called when no monitor, no vCPU and nobody else uses the VM. */
void watch_vm_destroy(struct vigil_vm *vm)
{
	WARN_ON_ONCE(!list_empty(&vm->monitors) || watch_ranges(vm));
	sets_free(&vm->watches_gone);
}
