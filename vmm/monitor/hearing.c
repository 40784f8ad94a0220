// SPDX-License-Identifier: GPL-2.0
/*
 * What is done about a write: each monitor's watches decide for that monitor, and the
 * strictest of them counts.
 *
 * A hearing goes in rounds. First the monitors that ask are asked, all at once, and the vCPU
 * leaves vm->srcu until all have answered. Then the watches as they are now decide again, so
 * that one which came meanwhile misses nothing. When nobody is left to be asked, it is known
 * what becomes of the write, and the monitors that log or deny it are told.
 */
#include <linux/slab.h>

#include "control.h"
#include "hearing.h"
#include "monitor.h"
#include "vmm/mem/gmem.h"
#include "vmm/mem/watched.h"
#include "vmm/trace.h"

/**
 * struct hearing_round - one round
 * @s:		where the hearing stands; the vCPU is in vm->srcu, so @s has no references
 * @by:		what the monitor of each seat has decided
 */
struct hearing_round {
	struct hearing_state s;
	struct watch_decision by[VIGIL_MAX_MONITORS];
};

/* ---- one monitor ---- */

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
 * Is the vCPU in the address space of the range? Address bits of CR3 tell it from others.
 * Without paging there is no address space.
 */
static bool in_space(const struct vigil_vcpu *vcpu, const struct watch_range *r)
{
	u64 differ = vcpu->cr3 ^ r->cr3;

	if (!r->cr3)
		return true;
	switch (walk_paging_of(vcpu->cr0, vcpu->cr4, vcpu->efer)) {
	case WALK_NONE:
		return false;
	case WALK_PAE:
		return !(differ & GENMASK_ULL(31, 5));
	default:
		return !(differ & PTE_ADDR);
	}
}

/*
 * Of the ranges of one monitor that have a byte of the write, the strongest counts. False:
 * there is no seat left, since monitors have come and gone during the search.
 */
static bool seat(struct hearing_round *r, const struct watch_decision *d)
{
	unsigned int i;

	for (i = 0; i < r->s.n; i++) {
		if (r->by[i].range->mon != d->range->mon)
			continue;
		if (stronger(d, &r->by[i]))
			r->by[i] = *d;
		return true;
	}
	if (i == VIGIL_MAX_MONITORS)
		return false;
	r->by[r->s.n++] = *d;
	return true;
}

/*
 * Seats who has a range in a tree. What has been found stays when the search begins again:
 * a range that has gone since was there when the write came.
 */
static bool search(struct vigil_vcpu *vcpu, struct watched_tree *tree,
		   u64 start, u64 last, const struct watch_store *st,
		   struct hearing_round *r)
{
	struct watched_range *found;
	struct watch_decision d;
	struct watched_iter it;
	bool room = true;

	watched_begin(&it, tree, start, last);
	do {
		while ((found = watched_next(&it))) {
			if (!in_space(vcpu, watch_of(found)))
				continue;
			d = decision(vcpu, watch_of(found), st,
				     watched_may_sleep(&it));
			room &= seat(r, &d);
		}
	} while (watched_changed(&it));
	return room;
}

/*
 * Monitors that come and go during each of so many searches have no seat in the last one:
 * none of those that stay is missed but by that.
 */
#define GATHER_TRIES 8

/* Begins a round: finds out who has a say. False: nobody. */
static bool gather(struct vigil_vcpu *vcpu, const struct watch_store *st,
		   struct hearing_round *r)
{
	struct vigil_vm *vm = vcpu->vm;
	u64 start = st->gpa, last = start + st->len - 1;
	unsigned int i, tries = GATHER_TRIES;
	bool room;

	lockdep_assert(srcu_read_lock_held(&vm->srcu));
	r->s.n = 0;
	r->s.verdict = VIGIL_VERDICT_ALLOW;
	r->s.refused = false;
	if (st->control)
		start = last = CONTROL_BASE + control_start(st->control);
	else if (!st->len)
		return false;
	/* Each monitor that has a range in a tree has a place at the VM. */
	do {
		r->s.n = 0;
		room = search(vcpu, &vm->watched, start, last, st, r);
		if (unlikely(!watched_empty(&vm->watched_gva)) &&
		    st->gva_valid && !st->control)
			room &= search(vcpu, &vm->watched_gva, st->gva,
				       st->gva + st->len - 1, st, r);
	} while (unlikely(!room) && --tries);
	for (i = 0; i < r->s.n; i++)
		r->s.seat[i] = (struct hearing_seat){
			.mon = r->by[i].range->mon,
			.id = r->by[i].range->id,
		};
	return r->s.n;
}

/* ---- all of them ---- */

/* The stricter of two verdicts, VIGIL_VERDICT_*. */
static u32 stricter(u32 a, u32 b)
{
	static const u8 rank[] = {
		[VIGIL_VERDICT_ALLOW] = 0, [VIGIL_VERDICT_REPLACE] = 1,
		[VIGIL_VERDICT_DENY] = 2,  [VIGIL_VERDICT_PF] = 3,
		[VIGIL_VERDICT_GP] = 4,	   [VIGIL_VERDICT_KILL] = 5,
	};

	return rank[b] > rank[a] ? b : a;
}

static bool refused_by(u32 verdict)
{
	return verdict != VIGIL_VERDICT_ALLOW &&
	       verdict != VIGIL_VERDICT_REPLACE;
}

/* Does the decision refuse the write, without a verdict? */
static __always_inline bool refuses(const struct watch_decision *d,
				    const struct watch_store *st)
{
	if (st->control && st->control->forced)
		return false;
	/* Nobody can be asked about some: those are decided as without a monitor. */
	if (d->action == VIGIL_ACTION_ASK)
		return !watch_can_hold(st) &&
		       d->range->on_death != VIGIL_ON_DEATH_ALLOW;
	return d->action == VIGIL_ACTION_DENY;
}

/* A condition lets the write through for its monitor: that is only counted. */
static void let_pass(struct vigil_vcpu *vcpu, const struct watch_decision *d)
{
	vcpu->stat.watch_conditioned++;
	atomic64_inc(&d->range->filter->passed);
}

/* What monitors were told is not so any more: they are told again. */
static void unsay(struct hearing_state *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (s->seat[i].told)
			s->seat[i].told = s->seat[i].heard = false;
}

/* Asks who has not been asked by the same watch. True: the vCPU has to wait. */
static bool ask_all(struct vigil_vcpu *vcpu, struct hearing_round *r,
		    const struct watch_store *st)
{
	struct hearing_seat *seat;
	bool held = false;
	unsigned int i;

	for (i = 0; i < r->s.n; i++) {
		seat = &r->s.seat[i];
		if (r->by[i].action != VIGIL_ACTION_ASK || seat->asked)
			continue;
		seat->asked = true;
		seat->heard = true;
		seat->event = mevent_ask(vcpu, &r->by[i], st);
		if (seat->event)
			held = true;
		else if (r->by[i].range->on_death != VIGIL_ON_DEATH_ALLOW)
			/* The monitor has closed its file since it was found. */
			r->s.verdict =
				stricter(r->s.verdict, VIGIL_VERDICT_DENY);
	}
	return held;
}

/* Tells who does not know what becomes of the write. True: the vCPU has to wait for room. */
static bool tell_all(struct vigil_vcpu *vcpu, struct hearing_round *r,
		     const struct watch_store *st)
{
	const struct watch_decision *d;
	struct hearing_seat *seat;
	bool held = false, known;
	unsigned int i;

	for (i = 0; i < r->s.n; i++) {
		d = &r->by[i];
		seat = &r->s.seat[i];
		if (d->action == VIGIL_ACTION_PASS) {
			if (!seat->heard)
				let_pass(vcpu, d);
			seat->heard = true;
			continue;
		}
		/*
		 * Behind a verdict that refuses, those learn of it who have not been
		 * asked. Of what is not refused so, a monitor that was asked has given its
		 * answer. But memory may have changed since, so that another condition of
		 * the same watch decides: deny holds.
		 */
		known = refused_by(r->s.verdict) ?
				seat->heard :
				seat->asked && d->action != VIGIL_ACTION_DENY;
		if (seat->told || known)
			continue;
		seat->told = true;
		seat->heard = true;
		seat->event = mevent_tell(vcpu, d, st, r->s.refused);
		if (seat->event)
			held = true;
	}
	return held;
}

static void put_seats(struct hearing_state *s)
{
	while (s->n)
		monitor_put(s->seat[--s->n].mon);
}

/* The vCPU is about to wait: the hearing is kept until it goes on. */
static enum watch_answer keep(struct vigil_vcpu *vcpu,
			      const struct hearing_round *r,
			      const struct watch_store *st)
{
	struct hearing *h = vcpu->hearing;
	struct hearing_state before = h->s;
	unsigned int i;

	if (st != &h->st) {
		h->st = *st;
		h->st.only = NULL;
		memcpy(h->old, st->old, st->len);
		memcpy(h->new_, st->new_, st->len);
		h->st.old = h->old;
		h->st.new_ = h->new_;
		if (st->control) {
			h->control = *st->control;
			h->st.control = &h->control;
		}
	}
	h->s = r->s;
	for (i = 0; i < h->s.n; i++) {
		/* So its address is not that of another one later. */
		kref_get(&h->s.seat[i].mon->ref);
		vcpu->held += !!h->s.seat[i].event;
	}
	put_seats(&before);
	return WATCH_HELD;
}

static enum watch_answer hold_round(struct vigil_vcpu *vcpu,
				    struct hearing_round *r,
				    const struct watch_store *st)
{
	bool refused;
	unsigned int i;

	/* What is refused already is not asked about. */
	if (watch_can_hold(st) && !refused_by(r->s.verdict) &&
	    ask_all(vcpu, r, st))
		return keep(vcpu, r, st);
	refused = refused_by(r->s.verdict);
	for (i = 0; i < r->s.n; i++)
		refused |= refuses(&r->by[i], st);
	if (refused != r->s.refused)
		unsay(&r->s);
	r->s.refused = refused;
	if (tell_all(vcpu, r, st))
		return keep(vcpu, r, st);
	if (!refused)
		return WATCH_GO;
	vcpu->stat.watch_denied++;
	return r->s.verdict == VIGIL_VERDICT_GP ? WATCH_GP :
	       r->s.verdict == VIGIL_VERDICT_PF ? WATCH_PF :
						  WATCH_SKIP;
}

/* A vCPU waits with one write at a time. */
static void forget_other(struct vigil_vcpu *vcpu, const struct watch_store *st)
{
	if (unlikely(vcpu->held) && watch_can_hold(st))
		monitor_forget(vcpu);
}

/* One monitor decides, and asks; or has no room for what it is told: then @e waits. */
static noinline enum watch_answer hold_one(struct vigil_vcpu *vcpu,
					   const struct watch_decision *d,
					   const struct watch_store *st,
					   struct mon_event *e, bool refused)
{
	struct hearing_round r = {
		.s.n = 1,
		.s.refused = refused,
		.s.seat[0] = {
			.mon = d->range->mon,
			.id = d->range->id,
			.event = e,
			.heard = e,
			.told = e,
		},
		.by[0] = *d,
	};

	return e ? keep(vcpu, &r, st) : hold_round(vcpu, &r, st);
}

/* One monitor has a say. */
static __always_inline enum watch_answer
decide_one(struct vigil_vcpu *vcpu, const struct watch_decision *d,
	   const struct watch_store *st)
{
	struct mon_event *e;
	bool refused;

	if (d->action == VIGIL_ACTION_PASS) {
		let_pass(vcpu, d);
		return WATCH_GO;
	}
	forget_other(vcpu, st);
	if (unlikely(d->action == VIGIL_ACTION_ASK))
		return hold_one(vcpu, d, st, NULL, false);
	refused = refuses(d, st);
	e = mevent_tell(vcpu, d, st, refused);
	if (unlikely(e))
		return hold_one(vcpu, d, st, e, refused);
	if (!refused)
		return WATCH_GO;
	vcpu->stat.watch_denied++;
	return WATCH_SKIP;
}

/* Who has a say is not known yet. */
static noinline enum watch_answer decide_all(struct vigil_vcpu *vcpu,
					     const struct watch_store *st)
{
	const struct watch_control *c = st->control;
	struct hearing_round r;
	unsigned int i;

	if (!gather(vcpu, st, &r)) {
		if (!c && watch_ranges(vcpu->vm))
			vcpu->stat.watch_misses++;
		return WATCH_GO;
	}
	for (i = 0; i < r.s.n; i++) {
		if (c)
			trace_vigil_watch_control(vcpu, r.by[i].range->id,
						  r.by[i].action, c->nr,
						  c->call);
		else
			trace_vigil_watch_hit(vcpu, r.by[i].range->id,
					      r.by[i].action, st->gpa, st->len);
	}
	if (r.s.n == 1)
		return decide_one(vcpu, &r.by[0], st);
	forget_other(vcpu, st);
	return hold_round(vcpu, &r, st);
}

/* selftests/models/watch.pml explores this */
enum watch_answer watch_store(struct vigil_vcpu *vcpu,
			      const struct watch_store *st)
{
	struct watch_decision d;

	lockdep_assert(srcu_read_lock_held(&vcpu->vm->srcu));
	if (!st->only)
		return decide_all(vcpu, st);
	d = decision(vcpu, watch_of(st->only), st, true);
	trace_vigil_watch_hit(vcpu, d.range->id, d.action, st->gpa, st->len);
	return decide_one(vcpu, &d, st);
}

enum watch_answer watch_change(struct vigil_vcpu *vcpu,
			       const struct watch_store *st)
{
	return decide_all(vcpu, st);
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

/* ---- the next round ---- */

/* Other bytes are written: the others are asked and told about these. */
static void replace(struct vigil_vcpu *vcpu, const struct hearing_seat *by,
		    const u8 *data)
{
	struct hearing *h = vcpu->hearing;
	unsigned int i;

	memcpy(h->new_, data, h->st.len);
	h->st.replaced = true;
	h->s.verdict = VIGIL_VERDICT_ALLOW;
	vcpu->stat.watch_replaced++;
	for (i = 0; i < h->s.n; i++)
		if (&h->s.seat[i] != by)
			h->s.seat[i].asked = false;
	unsay(&h->s);
}

/* All events have their answers: the strictest counts. */
static void collect(struct vigil_vcpu *vcpu)
{
	struct hearing *h = vcpu->hearing;
	u8 answer[VIGIL_EVENT_DATA], data[VIGIL_EVENT_DATA];
	const struct hearing_seat *by = NULL;
	struct hearing_seat *seat;
	unsigned int i;
	u32 verdict;

	vcpu->held = 0;
	for (i = 0; i < h->s.n; i++) {
		seat = &h->s.seat[i];
		if (!seat->event)
			continue;
		verdict = mevent_finish(vcpu, seat->event, answer);
		seat->event = NULL;
		h->s.verdict = stricter(h->s.verdict, verdict);
		/* Of several that replace, the one that attached first counts. */
		if (verdict != VIGIL_VERDICT_REPLACE ||
		    (by && by->mon->nr < seat->mon->nr))
			continue;
		by = seat;
		memcpy(data, answer, h->st.len);
	}
	if (h->s.verdict == VIGIL_VERDICT_REPLACE)
		replace(vcpu, by, data);
}

/* What a monitor knows stays known, as long as the same watch decides. */
static void carry_on(struct hearing_round *r, const struct hearing_state *s)
{
	struct hearing_seat *to;
	unsigned int i, j;

	r->s.verdict = s->verdict;
	r->s.refused = s->refused;
	for (i = 0; i < r->s.n; i++) {
		to = &r->s.seat[i];
		for (j = 0; j < s->n; j++) {
			if (s->seat[j].mon != to->mon)
				continue;
			to->heard = s->seat[j].heard;
			if (s->seat[j].id != to->id)
				continue;
			to->asked = s->seat[j].asked;
			to->told = s->seat[j].told;
		}
	}
}

/* False: a held exchange finds other bytes, so it is not made, and starts anew. */
static bool look_again(struct vigil_vcpu *vcpu)
{
	struct hearing *h = vcpu->hearing;
	u8 now[VIGIL_EVENT_DATA];

	/* Where it cannot be read, the event's bytes are the best there is. */
	if (h->st.control || gmem_read(vcpu->vm, h->st.gpa, now, h->st.len))
		return true;
	if (h->st.exchange && !refused_by(h->s.verdict) &&
	    memcmp(now, h->old, h->st.len))
		return false;
	memcpy(h->old, now, h->st.len);
	return true;
}

/*
 * All answers are there. Watches may have been added while this vCPU was outside vm->srcu,
 * and their monitor was told that no write is missed from then on. So the watches as they
 * are now decide about the write, or about the bytes that replace it. @data gets what is to
 * be stored: the decision about it and the store are one step, for which vm->store_lock is
 * held from here on.
 */
static enum watch_answer next_round(struct vigil_vcpu *vcpu, void *data)
{
	struct hearing *h = vcpu->hearing;
	enum watch_answer ret = WATCH_GO;
	struct hearing_round r;

	collect(vcpu);
	/* A process that shares the memory must not go on without the store. */
	if (data && mutex_lock_killable(&vcpu->vm->store_lock)) {
		vigil_vm_kill(vcpu->vm, "its VMM was killed");
		put_seats(&h->s);
		return WATCH_SKIP;
	}
	if (look_again(vcpu)) {
		gather(vcpu, &h->st, &r);
		carry_on(&r, &h->s);
		ret = hold_round(vcpu, &r, &h->st);
	}
	if (ret != WATCH_HELD)
		put_seats(&h->s);
	if (ret == WATCH_GO && data)
		memcpy(data, h->new_, h->st.len);
	else if (data)
		mutex_unlock(&vcpu->vm->store_lock);
	return ret;
}

int monitor_wait(struct vigil_vcpu *vcpu, void *data)
	__must_hold(&vcpu->vm->srcu)
{
	enum watch_answer answer = WATCH_SKIP;
	int ret;

	while (vcpu->held) {
		ret = mevent_wait(vcpu);
		if (ret)
			return ret;
		answer = next_round(vcpu, data);
		/* Watches that come and go could make the rounds many. */
		cond_resched();
		if (unlikely(vcpu->held && signal_pending(current)))
			return -EINTR;
	}
	return answer;
}

void monitor_forget(struct vigil_vcpu *vcpu)
{
	struct hearing *h = vcpu->hearing;
	unsigned int i;

	if (!vcpu->held)
		return;
	vcpu->held = 0;
	for (i = 0; i < h->s.n; i++)
		if (h->s.seat[i].event)
			mevent_finish(vcpu, h->s.seat[i].event, NULL);
	put_seats(&h->s);
}

int monitor_vcpu_init(struct vigil_vcpu *vcpu)
{
	vcpu->hearing = kzalloc(sizeof(*vcpu->hearing), GFP_KERNEL_ACCOUNT);
	return vcpu->hearing ? 0 : -ENOMEM;
}

void monitor_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	monitor_forget(vcpu);
	kfree(vcpu->hearing);
}
