// SPDX-License-Identifier: GPL-2.0
/* What is done about a write: of the watches that it meets, the strongest counts. */
#include "control.h"
#include "monitor.h"
#include "watch.h"
#include "vmm/mem/watched.h"
#include "vmm/trace.h"

static const struct watch_range *watch_of(const struct watched_range *r)
{
	return container_of(r, struct watch_range, where);
}

static unsigned int strength(u32 action)
{
	return action == VIGIL_ACTION_PASS ? 0 : 1 + action;
}

/*
 * Deny beats ask, ask beats log, and log beats pass. Among equals the oldest watch
 * is named in the event.
 */
static bool stronger(const struct watch_decision *a,
		     const struct watch_decision *b)
{
	if (a->action != b->action)
		return strength(a->action) > strength(b->action);
	return a->range->id < b->range->id;
}

/* What the watch of a range does about the store. @may_sleep: as in filter_first(). */
static struct watch_decision decision(struct vigil_vcpu *vcpu,
				      const struct watch_range *r,
				      const struct watch_store *st,
				      bool may_sleep)
{
	struct watch_decision d = { .range = r, .action = r->action };

	if (r->filter)
		d.condition = filter_first(vcpu, r, st, may_sleep);
	if (d.condition)
		d.action = r->filter->condition[d.condition - 1].action;
	return d;
}

/*
 * Decides about the store: of all watches that it meets, the strongest counts. False:
 * no range has a byte of it.
 */
static bool strongest(struct vigil_vcpu *vcpu, const struct watch_store *st,
		      struct watch_decision *best)
{
	struct vigil_vm *vm = vcpu->vm;
	u64 start = st->gpa, last = start + st->len - 1;
	struct watch_decision d;
	struct watched_range *r;
	struct watched_iter it;

	lockdep_assert(srcu_read_lock_held(&vm->srcu));
	if (st->only) {
		*best = decision(vcpu, watch_of(st->only), st, true);
		return true;
	}
	best->range = NULL;
	if (st->control)
		start = last = CONTROL_BASE + control_start(st->control);
	else if (!st->len)
		return false;
	watched_begin(&it, &vm->watched, start, last);
	do {
		best->range = NULL;
		while ((r = watched_next(&it))) {
			d = decision(vcpu, watch_of(r), st,
				     watched_may_sleep(&it));
			if (!best->range || stronger(&d, best))
				*best = d;
		}
	} while (watched_changed(&it));
	return best->range;
}

/* Tells, unless a condition has let the store through: that is only counted. */
static enum watch_answer act(struct vigil_vcpu *vcpu,
			     const struct watch_decision *d,
			     const struct watch_store *st)
{
	if (d->action == VIGIL_ACTION_PASS) {
		vcpu->stat.watch_conditioned++;
		atomic64_inc(&d->range->filter->passed);
		return WATCH_GO;
	}
	vcpu->stat.watch_hits++;
	return mevent_store(vcpu, d, st);
}

/* selftests/models/watch.pml explores this */
enum watch_answer watch_store(struct vigil_vcpu *vcpu,
			      const struct watch_store *st)
{
	struct watch_decision d;

	if (!strongest(vcpu, st, &d)) {
		if (!watched_empty(&vcpu->vm->watched))
			vcpu->stat.watch_misses++;
		return WATCH_GO;
	}
	trace_vigil_watch_hit(vcpu, d.range->id, d.action, st->gpa, st->len);
	return act(vcpu, &d, st);
}

enum watch_answer watch_change(struct vigil_vcpu *vcpu,
			       const struct watch_store *st)
{
	struct watch_decision d;

	if (!strongest(vcpu, st, &d))
		return WATCH_GO;
	trace_vigil_watch_control(vcpu, d.range->id, d.action, st->control->nr,
				  st->control->call);
	return act(vcpu, &d, st);
}

bool watch_has(struct vigil_vm *vm, const struct watch_control *control)
{
	u64 start = CONTROL_BASE + control_start(control);

	return watched_any(&vm->watched, start, start);
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
			      const struct monitor *mon, u32 id, bool asked)
{
	struct watch_decision d;

	if (!strongest(vcpu, st, &d) || d.action == VIGIL_ACTION_PASS)
		return WATCH_GO;
	/*
	 * Memory may have changed meanwhile, so that another condition of the same watch
	 * decides. What it was told is told, and what it was asked is answered, but deny
	 * holds.
	 */
	if (d.range->mon == mon && d.range->id == id &&
	    (d.action == VIGIL_ACTION_LOG ||
	     (asked && d.action == VIGIL_ACTION_ASK)))
		return WATCH_GO;
	return act(vcpu, &d, st);
}
