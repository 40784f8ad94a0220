// SPDX-License-Identifier: GPL-2.0
/*
 * The watches. Each monitor has a list of its own [w]. The ranges of all lists
 * together form one interval tree. Once vCPUs can see a tree it never changes:
 * a new one replaces it under [w]. vCPUs search it under vm->srcu, so the old
 * tree is freed after they have left SRCU, and nobody waits for that. A VM
 * without watches has no tree.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "monitor.h"
#include "view.h"
#include "watch.h"
#include "shadow/shadow.h"
#include "vmm/mem/alias.h"
#include "vmm/mem/watched.h"
#include "vmm/trace.h"

/* What vm->watches points into. */
struct watch_set {
	struct watched_tree tree;
	struct rcu_head rcu;
	unsigned int count;
	struct watch_range range[];
};

/*
 * Controls are ranges of one byte behind all guest-physical addresses, so that one tree
 * and one rule for what is stronger serve both.
 */
#define CONTROL_BASE (1ull << 63)
#define NR_CONTROLS (VIGIL_CONTROL_TABLE_LOAD + 1)

static struct watch_range *watch_of(struct watched_range *r)
{
	return container_of(r, struct watch_range, where);
}

/*
 * Deny beats ask, and ask beats log. Among equals the oldest watch is named in
 * the event.
 */
static bool stronger(const struct watch_range *a, const struct watch_range *b)
{
	if (a->action != b->action)
		return a->action > b->action;
	return a->id < b->id;
}

/*
 * Returns the range whose action applies to the store. NULL: no range has a
 * byte of it.
 */
static struct watch_range *strongest(struct vigil_vm *vm,
				     const struct watch_store *st)
{
	struct watched_tree *tree = srcu_dereference(vm->watches, &vm->srcu);
	struct watch_range *best = NULL;
	struct watched_range *r;
	u64 start = st->gpa, last = start + st->len - 1;

	if (st->control)
		start = last = CONTROL_BASE + st->control->nr;
	else if (!st->len)
		return NULL;
	if (!tree)
		return NULL;
	/* The spans of one watch do not overlap, so this loop is short. */
	for (r = watched_first(tree, start, last); r;
	     r = watched_next(r, start, last))
		if (!best || stronger(watch_of(r), best))
			best = watch_of(r);
	return best;
}

/* selftests/models/watch.pml explores this */
enum watch_answer watch_store(struct vigil_vcpu *vcpu,
			      const struct watch_store *st)
{
	struct watch_range *best = strongest(vcpu->vm, st);

	if (!best) {
		if (rcu_access_pointer(vcpu->vm->watches))
			vcpu->stat.watch_misses++;
		return WATCH_GO;
	}
	vcpu->stat.watch_hits++;
	trace_vigil_watch_hit(vcpu, best->id, best->action, st->gpa, st->len);
	return mevent_store(vcpu, best, st);
}

enum watch_answer watch_change(struct vigil_vcpu *vcpu,
			       const struct watch_store *st)
{
	struct watch_range *best = strongest(vcpu->vm, st);

	if (!best)
		return WATCH_GO;
	vcpu->stat.watch_hits++;
	trace_vigil_watch_control(vcpu, best->id, best->action, st->control->nr,
				  st->control->call);
	return mevent_store(vcpu, best, st);
}

bool watch_bits(struct vigil_vcpu *vcpu, gpa_t gpa, const u64 *old,
		const u64 *new_, unsigned int bytes)
{
	const struct watch_store st = {
		.gpa = gpa,
		.len = bytes,
		.by_walk = true,
		.old = old,
		.new_ = new_,
	};

	return watch_store(vcpu, &st) == WATCH_GO;
}

enum watch_answer watch_again(struct vigil_vcpu *vcpu,
			      const struct watch_store *st,
			      const struct monitor *mon, u32 id)
{
	struct watch_range *best = strongest(vcpu->vm, st);

	if (!best || (best->mon == mon && best->id == id))
		return WATCH_GO;
	vcpu->stat.watch_hits++;
	return mevent_store(vcpu, best, st);
}

/*
 * Each range has a reference to its monitor, to which a vCPU may still send an
 * event.
 */
static void watches_free(struct rcu_head *rcu)
{
	struct watch_set *set = container_of(rcu, struct watch_set, rcu);
	unsigned int i;

	for (i = 0; i < set->count; i++)
		monitor_put(set->range[i].mon);
	kvfree(set);
}

/**
 * struct watch_plan - a tree in the making
 * @slots:	what memory is where
 * @set:	NULL: the ranges are only counted
 * @count:	of the ranges
 * @controls:	bit n: a range is VIGIL_CONTROL_n
 */
struct watch_plan {
	const struct vigil_slots *slots;
	struct watch_set *set;
	size_t count;
	u32 controls;
};

static void plan_range(struct watch_plan *p, struct monitor *mon,
		       const struct mon_watch *w, u64 start, u64 last)
{
	size_t i = p->count++;
	struct watch_range *r;

	if (w->uapi.kind == VIGIL_WATCH_CONTROL)
		p->controls |= BIT(w->uapi.start);
	if (!p->set)
		return;
	r = &p->set->range[i];
	r->where.start = start;
	r->where.last = last;
	r->mon = mon;
	kref_get(&mon->ref);
	r->cookie = w->uapi.cookie;
	r->id = w->uapi.id;
	r->action = w->uapi.action;
	r->on_death = w->uapi.on_death;
	watched_insert(&p->set->tree, &r->where);
}

/* The ranges at which the guest has the memory of a span once more. */
static void plan_aliases(struct watch_plan *p, struct monitor *mon,
			 const struct mon_watch *w,
			 const struct watch_span *span)
{
	const struct vigil_slots *slots = p->slots;
	struct vigil_slot *const *slot = slots->slot;
	u64 start, last;
	unsigned int i, j;

	for (i = 0; i < slots->count; i++) {
		if (span->last >> PAGE_SHIFT < slot[i]->base ||
		    span->start >> PAGE_SHIFT >=
			    slot[i]->base + slot[i]->npages)
			continue;
		for (j = 0; j < slots->count; j++)
			if (alias_span(slot[i], slot[j], span->start,
				       span->last, &start, &last))
				plan_range(p, mon, w, start, last);
	}
}

/* [w] All ranges of all monitors. */
static void plan_ranges(struct watch_plan *p, struct vigil_vm *vm)
{
	struct mon_watch *w;
	struct monitor *mon;
	unsigned int i;

	list_for_each_entry(mon, &vm->monitors, link)
		list_for_each_entry(w, &mon->watches, link)
			for (i = 0; i < w->nr_spans; i++) {
				plan_range(p, mon, w, w->spans[i].start,
					   w->spans[i].last);
				if (p->slots->shared)
					plan_aliases(p, mon, w, &w->spans[i]);
				cond_resched();
			}
}

/*
 * [w] Builds a new tree of all watches, for memory as it is in @slots. Until
 * vm_synchronize() a vCPU may still use the old one, and send an event of a watch
 * that has been removed. selftests/models/watch.pml explores this.
 */
static int watch_publish(struct vigil_vm *vm, const struct vigil_slots *slots)
{
	struct watch_plan p = { .slots = slots };
	struct watched_tree *old;

	lockdep_assert_held(&vm->monitor_lock);
	plan_ranges(&p, vm);
	if (p.count > WATCH_MAX_RANGES)
		return -ENOSPC;
	if (p.count) {
		p.set = kvzalloc(struct_size(p.set, range, p.count),
				 GFP_KERNEL_ACCOUNT);
		if (!p.set)
			return -ENOMEM;
		p.set->tree.root = RB_ROOT_CACHED;
		p.set->count = p.count;
		p.count = 0;
		plan_ranges(&p, vm);
	}
	WRITE_ONCE(vm->controls, p.controls);
	old = rcu_replace_pointer(vm->watches, p.set ? &p.set->tree : NULL,
				  lockdep_is_held(&vm->monitor_lock));
	if (old)
		call_srcu(&vm->srcu,
			  &container_of(old, struct watch_set, tree)->rcu,
			  watches_free);
	return 0;
}

int watch_slots(struct vigil_vm *vm, const struct vigil_slots *slots)
{
	if (!rcu_access_pointer(vm->watches))
		return 0;
	return watch_publish(vm, slots);
}

static int cmp_span(const void *a, const void *b)
{
	const struct watch_span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts the spans and joins those that touch or overlap. */
static unsigned int merge_spans(struct watch_span *s, unsigned int n)
{
	unsigned int i, out = 0;

	sort(s, n, sizeof(*s), cmp_span, NULL);
	for (i = 1; i < n; i++) {
		if (s[i].start <= s[out].last + 1)
			s[out].last = max(s[out].last, s[i].last);
		else
			s[++out] = s[i];
	}
	return out + 1;
}

static int resolve_gva(struct monitor *mon, struct mon_watch *w,
		       unsigned int room)
{
	u64 gva = w->uapi.start, len = w->uapi.len, gpa, left;
	struct gva_space space;
	int ret;

	ret = mview_space(mon->vm, w->uapi.cr3, &space);
	if (ret)
		return ret;
	if (!mview_address(&space, gva) ||
	    !mview_address(&space, gva + len - 1))
		return -EINVAL;
	while (len) {
		ret = mview_translate(mon->vm, &space, gva, &gpa, &left);
		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		left = min(left, len);
		if (WARN_ON_ONCE(w->nr_spans == room))
			return -EINVAL;
		w->spans[w->nr_spans].start = gpa;
		w->spans[w->nr_spans++].last = gpa + left - 1;
		gva += left;
		len -= left;
		cond_resched();
	}
	w->nr_spans = merge_spans(w->spans, w->nr_spans);
	return 0;
}

static bool control_valid(const struct vigil_watch *w)
{
	return w->start < NR_CONTROLS && w->len == 1 && !w->cr3 &&
	       /* A load that fails anyway can only be told. */
	       (w->start != VIGIL_CONTROL_TABLE_LOAD ||
		w->action == VIGIL_ACTION_LOG);
}

static int check_watch(const struct vigil_watch *w)
{
	u64 last = w->start + w->len - 1;

	if (w->kind > VIGIL_WATCH_CONTROL || w->action > VIGIL_ACTION_DENY ||
	    w->on_death > VIGIL_ON_DEATH_DENY)
		return -EINVAL;
	if (w->kind == VIGIL_WATCH_CONTROL)
		return control_valid(w) ? 0 : -EINVAL;
	if (!w->len || w->len > WATCH_MAX_LEN || last < w->start)
		return -EINVAL;
	if (w->kind == VIGIL_WATCH_GPA)
		return w->cr3 || last >> 52 ? -EINVAL : 0;
	/*
	 * Here the widest address is checked; translation checks it in the
	 * guest's mode.
	 */
	if (!gva_canonical(w->start, 57) || !gva_canonical(last, 57) ||
	    w->cr3 >> 52)
		return -EINVAL;
	return 0;
}

static void protect_spans(struct vigil_vm *vm, const struct mon_watch *w)
{
	unsigned int i;
	gfn_t gfn;
	int idx;

	for (i = 0; i < w->nr_spans; i++) {
		gfn = w->spans[i].start >> PAGE_SHIFT;
		for (; gfn <= w->spans[i].last >> PAGE_SHIFT; gfn++) {
			idx = srcu_read_lock(&vm->srcu);
			shadow_protect_gfn(vm, gfn);
			srcu_read_unlock(&vm->srcu, idx);
			cond_resched();
		}
	}
}

static bool id_taken(struct monitor *mon, u32 id)
{
	struct mon_watch *w;

	list_for_each_entry(w, &mon->watches, link)
		if (w->uapi.id == id)
			return true;
	return !id;
}

/* [w] Adds the watch to the tree; vCPUs begin to see it. */
static int watch_insert(struct monitor *mon, struct mon_watch *w)
{
	int ret;

	if (mon->evicted)
		return -EPIPE;
	if (READ_ONCE(mon->vm->dead))
		return -EIO;
	if (mon->nr_watches == VIGIL_MAX_WATCHES)
		return -ENOSPC;
	do
		mon->last_id++;
	while (id_taken(mon, mon->last_id));
	w->uapi.id = mon->last_id;
	list_add_tail(&w->link, &mon->watches);
	ret = watch_publish(mon->vm, vigil_slots(mon->vm));
	if (ret)
		list_del(&w->link);
	else
		mon->nr_watches++;
	return ret;
}

/*
 * [w] Removes the watch from the tree. 0: vCPUs begin not to see it any more.
 */
static int watch_remove(struct monitor *mon, struct mon_watch *w)
{
	int ret;

	list_del(&w->link);
	ret = watch_publish(mon->vm, vigil_slots(mon->vm));
	if (ret)
		/*
		 * The tree is the old one, so everything is still watched; only
		 * the order of the list differs.
		 */
		list_add(&w->link, &mon->watches);
	else
		mon->nr_watches--;
	return ret;
}

/*
 * Write-protects the watch's pages. On return no vCPU can write to them, unless
 * the caller is killed.
 */
static int watch_arm(struct vigil_vm *vm, const struct mon_watch *w)
{
	/*
	 * A vCPU that still used the old tree has finished with it after this:
	 * a page that it found unwatched is mapped by now, so protect_spans()
	 * misses nothing. selftests/models/watch.pml explores this.
	 */
	int ret = vm_synchronize(vm);

	if (!ret && w->uapi.kind != VIGIL_WATCH_CONTROL)
		protect_spans(vm, w);
	return ret;
}

/**
 * watch_add() - start to watch; no write is missed from when this returns
 * @mon: whose watch
 * @u: checked here; gets its id
 *
 * selftests/models/watch.pml explores this.
 */
int watch_add(struct monitor *mon, struct vigil_watch *u)
{
	struct vigil_vm *vm = mon->vm;
	struct mon_watch *w;
	unsigned int room = 1;
	int ret;

	ret = check_watch(u);
	if (ret)
		return ret;
	if (u->kind == VIGIL_WATCH_GVA)
		room = ((u->start + u->len - 1) >> PAGE_SHIFT) -
		       (u->start >> PAGE_SHIFT) + 1;
	w = kvzalloc(struct_size(w, spans, room), GFP_KERNEL_ACCOUNT);
	if (!w)
		return -ENOMEM;
	w->uapi = *u;
	if (u->kind == VIGIL_WATCH_GVA) {
		ret = resolve_gva(mon, w, room);
		if (ret)
			goto free;
	} else {
		w->nr_spans = 1;
		w->spans[0].start = u->start;
		if (u->kind == VIGIL_WATCH_CONTROL)
			w->spans[0].start += CONTROL_BASE;
		w->spans[0].last = w->spans[0].start + u->len - 1;
	}

	ret = mutex_lock_killable(&mon->watch_lock);
	if (ret)
		goto free;
	atomic_inc(&vm->watches_arming);
	mutex_lock(&vm->monitor_lock);
	ret = watch_insert(mon, w);
	mutex_unlock(&vm->monitor_lock);
	if (ret)
		goto unlock;
	ret = watch_arm(vm, w);
	if (ret) {
		mutex_lock(&vm->monitor_lock);
		/*
		 * Without memory for a tree that lacks the watch, the watch
		 * stays.
		 */
		if (watch_remove(mon, w))
			w = NULL;
		mutex_unlock(&vm->monitor_lock);
		goto unlock;
	}
	u->id = w->uapi.id;
	w = NULL;

unlock:
	atomic_dec(&vm->watches_arming);
	mutex_unlock(&mon->watch_lock);
free:
	kvfree(w);
	return ret;
}

/*
 * Pages that nobody watches any more get W back by their next write fault. No
 * event of the watch is made after this has returned 0.
 */
int watch_del(struct monitor *mon, u32 id)
{
	struct vigil_vm *vm = mon->vm;
	struct mon_watch *w, *found = NULL;
	int ret;

	ret = mutex_lock_killable(&mon->watch_lock);
	if (ret)
		return ret;
	mutex_lock(&vm->monitor_lock);
	list_for_each_entry(w, &mon->watches, link)
		if (w->uapi.id == id)
			found = w;
	ret = found ? watch_remove(mon, found) : -ENOENT;
	mutex_unlock(&vm->monitor_lock);
	if (!ret) {
		kvfree(found);
		ret = vm_synchronize(vm);
		shadow_watches_gone(vm);
	}
	mutex_unlock(&mon->watch_lock);
	return ret;
}

void watch_hide(struct monitor *mon)
{
	lockdep_assert_held(&mon->vm->monitor_lock);
	/*
	 * With one monitor at a time no watch of another one remains, so nothing
	 * is allocated.
	 */
	WARN_ON_ONCE(watch_publish(mon->vm, vigil_slots(mon->vm)));
	shadow_watches_gone(mon->vm);
}

void watch_drop(struct monitor *mon)
{
	struct mon_watch *w, *next;

	lockdep_assert_held(&mon->vm->monitor_lock);
	list_for_each_entry_safe(w, next, &mon->watches, link) {
		list_del(&w->link);
		kvfree(w);
	}
	mon->nr_watches = 0;
}

int watch_vm_init(struct vigil_vm *vm)
{
	RCU_INIT_POINTER(vm->watches, NULL);
	INIT_LIST_HEAD(&vm->monitors);
	init_waitqueue_head(&vm->monitor_wq);
	return 0;
}

/* Called when no monitor, no vCPU and nobody else uses the VM. */
void watch_vm_destroy(struct vigil_vm *vm)
{
	struct watched_tree *tree =
		rcu_dereference_protected(vm->watches, true);

	WARN_ON_ONCE(!list_empty(&vm->monitors));
	if (tree)
		kvfree(container_of(tree, struct watch_set, tree));
	RCU_INIT_POINTER(vm->watches, NULL);
}
