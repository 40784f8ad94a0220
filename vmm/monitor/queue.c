// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way from a vCPU to a monitor, and verdicts on their way back.
 *
 * A monitor has a fixed pool of events. Those that hold no vCPU take at most monitor->room
 * of it, or none when they go into a ring, and are dropped when so many wait to be read. A
 * vCPU has at most one event of a monitor that holds it, and fills another one at a time, so
 * for these there is always room.
 */
#include <linux/log2.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "hearing.h"
#include "monitor.h"
#include "pause.h"
#include "queue.h"
#include "ring.h"
#include "view.h"
#include "vmm/ops.h"
#include "vmm/trace.h"

static struct mon_event *pool_create(unsigned int room, unsigned int *count)
{
	*count = room + 2 * VIGIL_MAX_VCPUS;
	return kvcalloc(*count, sizeof(struct mon_event), GFP_KERNEL_ACCOUNT);
}

/* [q] No event of an earlier pool is in use. */
static void pool_set(struct monitor *mon, struct mon_event *pool,
		     unsigned int count)
{
	unsigned int i;

	INIT_HLIST_HEAD(&mon->free);
	mon->pool = pool;
	for (i = 0; i < count; i++) {
		pool[i].mon = mon;
		hlist_add_head(&pool[i].free_link, &mon->free);
	}
}

int mevent_init(struct monitor *mon)
{
	struct mon_event *pool;
	unsigned int count;

	spin_lock_init(&mon->qlock);
	INIT_LIST_HEAD(&mon->queue);
	INIT_HLIST_HEAD(&mon->free);
	INIT_LIST_HEAD(&mon->held);
	if (mon->read_only)
		return 0;
	pool = pool_create(VIGIL_MAX_EVENTS, &count);
	if (!pool)
		return -ENOMEM;
	mon->room = VIGIL_MAX_EVENTS;
	pool_set(mon, pool, count);
	return 0;
}

void mevent_begin(struct monitor *mon)
{
	spin_lock(&mon->qlock);
	mon->begun = true;
	spin_unlock(&mon->qlock);
}

int mevent_set_queue(struct monitor *mon, const struct vigil_queue *q)
{
	bool in_ring = q->flags & VIGIL_QUEUE_RING, busy;
	struct mon_ring *ring = NULL;
	struct mon_event *pool;
	unsigned int count;

	if (q->flags & ~(VIGIL_QUEUE_RING | VIGIL_QUEUE_WAIT) || !q->events ||
	    q->events > VIGIL_MAX_QUEUE ||
	    (in_ring && !is_power_of_2(q->events)))
		return -EINVAL;
	pool = pool_create(in_ring ? 0 : q->events, &count);
	if (in_ring)
		ring = ring_create(q->events);
	if (!pool || (in_ring && !ring)) {
		ring_free(ring);
		kvfree(pool);
		return -ENOMEM;
	}
	spin_lock(&mon->qlock);
	busy = mon->begun;
	if (!busy) {
		mon->begun = true;
		mon->room = in_ring ? 0 : q->events;
		mon->wait_room = q->flags & VIGIL_QUEUE_WAIT;
		swap(pool, mon->pool);
		pool_set(mon, mon->pool, count);
		/* monitor_mmap() and read() look at it without the lock. */
		smp_store_release(&mon->ring, ring);
		ring = NULL;
	}
	spin_unlock(&mon->qlock);
	/* Nobody has an event of the old pool: none is made before the first watch. */
	ring_free(ring);
	kvfree(pool);
	return busy ? -EBUSY : 0;
}

void mevent_release(struct monitor *mon)
{
	ring_free(mon->ring);
	mon->ring = NULL;
}

void mevent_free(struct monitor *mon)
{
	kvfree(mon->pool);
}

/*
 * Copies the bytes of a store, of which @before were there until now. Behind them there
 * are zeroes.
 */
static __always_inline void fill_data(u8 data[VIGIL_EVENT_DATA],
				      const void *from, unsigned int len,
				      unsigned int before)
{
	if (unlikely(len < before))
		memset(data + len, 0, before - len);
	copy_operand(data, from, len);
}

/* [q] Every field is written, but @reserved, which is zero from the beginning. */
static void fill_event(struct vigil_event *ev, struct vigil_vcpu *vcpu,
		       const struct watch_decision *d,
		       const struct watch_store *st)
{
	const struct watch_control *control = st->control;
	const struct insn *insn = control ? control->insn : &vcpu->emul.insn;
	unsigned int before = ev->len;

	ev->size = sizeof(*ev);
	ev->flags = st->gva_valid ? VIGIL_EVENT_GVA_VALID : 0;
	ev->time_ns = ktime_get_ns();
	ev->cookie = d->range->cookie;
	ev->gva = st->gva_valid ? st->gva : 0;
	ev->gpa = st->gpa;
	ev->rip = vcpu->rip;
	ev->cr3 = vcpu->cr3;
	ev->rflags = vcpu->rflags;
	/* Both are in the order of the instruction encoding. */
	BUILD_BUG_ON(sizeof(ev->regs) != sizeof(vcpu->regs));
	memcpy(ev->regs, vcpu->regs, sizeof(ev->regs));
	ev->watch_id = d->range->id;
	ev->condition = d->condition;
	ev->vm_id = vcpu->vm->id;
	ev->vcpu = vcpu->index;
	ev->len = min_t(unsigned int, st->len, VIGIL_EVENT_DATA);
	ev->cpl = vmm_call(get_cpl)(vcpu);
	ev->mode = vmm_call(code_bits)(vcpu);
	fill_data(ev->old, st->old, ev->len, before);
	fill_data(ev->new_, st->new_, ev->len, before);
	if (unlikely(control)) {
		ev->kind = VIGIL_EVENT_CONTROL;
		ev->control = control->nr;
		ev->call = control->call;
		ev->first = control->first;
		ev->count = control->count;
		if (control->refused)
			ev->flags |= VIGIL_EVENT_DENIED;
	} else {
		ev->kind = VIGIL_EVENT_STORE;
		ev->control = 0;
		ev->call = 0;
		ev->first = 0;
		ev->count = 0;
	}
	/*
	 * A page walk is not the work of the instruction that was emulated last, and
	 * neither is what a hypercall stores.
	 */
	if (!st->by_walk && (control || vcpu->io.kind != IO_HYPERCALL) &&
	    insn && insn->len && insn->len <= sizeof(insn->bytes)) {
		ev->insn_len = insn->len;
		/* Behind the instruction there are zeroes. */
		memcpy(ev->insn, insn->bytes, sizeof(insn->bytes));
		ev->flags |= VIGIL_EVENT_INSN_VALID;
	} else {
		ev->insn_len = 0;
		memset(ev->insn, 0, sizeof(ev->insn));
	}
}

static void give_back(struct monitor *mon, struct mon_event *e)
{
	lockdep_assert_held(&mon->qlock);
	hlist_add_head(&e->free_link, &mon->free);
}

/* [q] The event has no answer yet. */
static void answer(struct mon_event *e, int verdict)
{
	/* pairs with answered() */
	smp_store_release(&e->answer, verdict);
	wake_up_all(&e->vcpu->wq);
}

/*
 * May the vCPU act on the answer? On VIGIL_VERDICT_KILL it never does: it waits until the
 * VM has ended.
 */
static bool answered(const struct mon_event *e)
{
	/* What REPLACE has put into e->ev is visible as well. */
	int verdict = smp_load_acquire(&e->answer);

	return verdict != ANSWER_NONE && verdict != VIGIL_VERDICT_KILL;
}

/* [q] There is no monitor any more that would answer. */
static void orphan(struct mon_event *e)
{
	if (e->on_death != ANSWER_NONE) {
		answer(e, e->on_death);
		return;
	}
	/* pairs with resumed() */
	smp_store_release(&e->paused, true);
}

/*
 * Has VIGIL_RESUME been called since the monitor has ended? An event that comes only then
 * is resumed with the others.
 */
static bool resumed(const struct mon_event *e)
{
	/* pairs with orphan() */
	return smp_load_acquire(&e->paused) &&
	       atomic_read(&e->mon->vm->resumes) != e->mon->resumes;
}

/* [q] The reader has the event now. */
static void taken(struct mon_event *e)
{
	if (!e->vcpu)
		give_back(e->mon, e);
	else if (e->waits && e->answer == ANSWER_NONE)
		answer(e, e->on_death);
}

/* [q] The event leaves the queue. */
static void unqueue(struct mon_event *e)
{
	list_del(&e->link);
	e->queued = false;
	if (!e->vcpu)
		e->mon->plain--;
}

/* [q] Moves events that wait behind a full ring into it. True: a reader may sleep. */
static bool refill(struct monitor *mon)
{
	struct mon_event *e, *next;
	bool wake = false, first;

	list_for_each_entry_safe(e, next, &mon->queue, link) {
		if (!ring_put(mon->ring, &e->ev, &first))
			break;
		wake |= first;
		unqueue(e);
		taken(e);
	}
	return wake;
}

/*
 * [q] Is there no room for an event that holds no vCPU? Those that wait already come
 * before it.
 */
static bool full(struct monitor *mon, bool *wake)
{
	if (!mon->ring)
		return mon->plain >= mon->room;
	*wake |= refill(mon);
	return !list_empty(&mon->queue) || !ring_room(mon->ring);
}

/* A reader that has not emptied the queue does not sleep. */
static void wake_reader(struct monitor *mon, bool wake)
{
	if (wake)
		wake_up_interruptible_poll(&mon->vm->monitor_wq,
					   EPOLLIN | EPOLLRDNORM);
}

/* [q] Hands the event to the reader, or queues it. True: a reader may sleep. */
static bool hand_over(struct monitor *mon, struct mon_event *e)
{
	bool wake = mon->ring ? refill(mon) : list_empty(&mon->queue);
	bool first;

	if (mon->ring && list_empty(&mon->queue) &&
	    ring_put(mon->ring, &e->ev, &first)) {
		taken(e);
		return wake || first;
	}
	list_add_tail(&e->link, &mon->queue);
	e->queued = true;
	if (!e->vcpu)
		mon->plain++;
	return wake;
}

enum put { PUT_DONE, PUT_HELD, PUT_DROPPED, PUT_CLOSED };

/**
 * struct message - an event that is about to be sent
 * @d:		by what
 * @st:		about what
 * @hold:	its vCPU waits for the verdict
 * @may_wait:	else its vCPU may wait for room, if the monitor wants that
 * @deny:	what is done about the store without a verdict
 * @pause:	its vCPU waits on when the monitor ends
 */
struct message {
	const struct watch_decision *d;
	const struct watch_store *st;
	bool hold, may_wait, deny, pause;
};

/* Can what the vCPU is doing still end in a fault, with nothing else done? */
static bool may_fault(const struct vigil_vcpu *vcpu)
{
	const struct insn *insn = &vcpu->emul.insn;

	/* A hypercall has done its work. */
	if (vcpu->io.kind == IO_HYPERCALL)
		return false;
	switch (insn->op) {
	/* It has read its device. */
	case INSN_OP_INS:
	/* They may be in the middle of a frame, or of a task switch. */
	case INSN_OP_CALL_FAR:
	case INSN_OP_JMP_FAR:
	case INSN_OP_IRET:
	case INSN_OP_PV_IRET:
	case INSN_OP_INT:
	case INSN_OP_INT3:
	case INSN_OP_INTO:
	case INSN_OP_INT1:
	case INSN_OP_SYSCALL:
	case INSN_OP_SYSENTER:
		return false;
	}
	/* An exception or interrupt that is delivered has no instruction. */
	return insn->len;
}

/* Does the guest ask by a hypercall, which has a result and does not fault? */
static bool by_hypercall(u32 control)
{
	return control < VIGIL_CONTROL_IDTR ||
	       control == VIGIL_CONTROL_HYPERCALL;
}

/* How a held event can be answered: struct vigil_event says which by what. */
static u8 verdicts(const struct vigil_vcpu *vcpu, const struct watch_store *st)
{
	u8 can = BIT(VIGIL_VERDICT_ALLOW) | BIT(VIGIL_VERDICT_DENY) |
		 BIT(VIGIL_VERDICT_KILL) | BIT(VIGIL_VERDICT_PAUSE);

	if (st->control)
		return by_hypercall(st->control->nr) ?
			       can :
			       can | BIT(VIGIL_VERDICT_GP);
	/* What replaces is not replaced again, so that it comes to an end. */
	if (!st->replaced)
		can |= BIT(VIGIL_VERDICT_REPLACE);
	if (!may_fault(vcpu))
		return can;
	can |= BIT(VIGIL_VERDICT_GP);
	return is_paging(vcpu) ? can | BIT(VIGIL_VERDICT_PF) : can;
}

static int verdict_of(bool deny)
{
	return deny ? VIGIL_VERDICT_DENY : VIGIL_VERDICT_ALLOW;
}

/* Fills in what only an event has that waits for its verdict. */
static void fill_held(struct mon_event *e, const struct vigil_vcpu *vcpu,
		      const struct watch_range *r, const struct watch_store *st)
{
	e->ev.flags |= VIGIL_EVENT_HELD;
	e->ev.verdicts = verdicts(vcpu, st);
	if (!e->timed)
		return;
	e->on_timeout =
		r->on_timeout == VIGIL_ON_DEATH_PAUSE ?
			ANSWER_NONE :
			verdict_of(r->on_timeout == VIGIL_ON_DEATH_DENY);
	/* The current jiffy has begun already. */
	e->deadline = jiffies + msecs_to_jiffies(r->timeout_ms) + 1;
}

/* [q] Fills in an event of the pool, which is not in the list of free ones any more. */
static __always_inline void write_message(struct vigil_vcpu *vcpu,
					  struct mon_event *e,
					  const struct message *m)
{
	fill_event(&e->ev, vcpu, m->d, m->st);
	e->ev.verdicts = 0;
	if (m->deny && !m->hold)
		e->ev.flags |= VIGIL_EVENT_DENIED;
	e->ev.seq = ++e->mon->seq;
	e->ev.dropped = e->mon->dropped;
}

/* [q] The event holds its vCPU, until it is answered or finds room. */
static void hold(struct vigil_vcpu *vcpu, struct mon_event *e,
		 const struct message *m)
{
	const struct watch_control *control = m->st->control;

	e->vcpu = vcpu;
	e->waits = !m->hold;
	e->on_death = m->pause ? ANSWER_NONE : verdict_of(m->deny);
	e->timed = m->hold && m->d->range->timeout_ms;
	e->all = control ? control->all : NULL;
	e->all_len = e->all ? control->all_len : 0;
	e->answer = ANSWER_NONE;
	e->paused = false;
	if (m->hold)
		fill_held(e, vcpu, m->d->range, m->st);
	kref_get(&e->mon->ref);
	list_add_tail(&e->held_link, &e->mon->held);
}

/* PUT_HELD: the vCPU has to wait, and *@held is the event. */
static enum put send(struct vigil_vcpu *vcpu, struct monitor *mon,
		     const struct message *m, struct mon_event **held)
{
	enum put ret = PUT_DONE;
	bool wake = false, waits;
	struct mon_event *e;

	spin_lock(&mon->qlock);
	if (unlikely(mon->closed) && !m->pause) {
		ret = PUT_CLOSED;
		goto unlock;
	}
	waits = !m->hold && full(mon, &wake);
	e = hlist_entry_safe(mon->free.first, struct mon_event, free_link);
	if (unlikely(!e || (waits && !(m->may_wait && mon->wait_room)))) {
		mon->seq++;
		mon->dropped++;
		trace_vigil_watch_drop(vcpu, m->d->range->id, mon->seq);
		ret = PUT_DROPPED;
		goto unlock;
	}
	hlist_del(&e->free_link);
	write_message(vcpu, e, m);
	e->vcpu = NULL;
	if (unlikely(m->hold || waits)) {
		hold(vcpu, e, m);
		*held = e;
		ret = PUT_HELD;
	}
	if (unlikely(mon->closed))
		orphan(e);
	else
		wake |= hand_over(mon, e);
unlock:
	spin_unlock(&mon->qlock);
	wake_reader(mon, wake);
	return ret;
}

struct mon_event *mevent_ask(struct vigil_vcpu *vcpu,
			     const struct watch_decision *d,
			     const struct watch_store *st)
{
	const struct watch_range *r = d->range;
	const struct message m = {
		.d = d,
		.st = st,
		.hold = true,
		.pause = r->on_death == VIGIL_ON_DEATH_PAUSE,
		.deny = r->on_death != VIGIL_ON_DEATH_ALLOW,
	};
	struct mon_event *held = NULL;

	vcpu->stat.watch_hits++;
	if (send(vcpu, r->mon, &m, &held) == PUT_HELD)
		vcpu->stat.watch_held++;
	return held;
}

struct mon_event *mevent_tell(struct vigil_vcpu *vcpu,
			      const struct watch_decision *d,
			      const struct watch_store *st, bool denied)
{
	const struct message m = {
		.d = d,
		.st = st,
		.may_wait = watch_can_hold(st),
		.deny = denied,
	};
	struct mon_event *held = NULL;

	vcpu->stat.watch_hits++;
	switch (send(vcpu, d->range->mon, &m, &held)) {
	case PUT_HELD:
		vcpu->stat.events_waited++;
		break;
	case PUT_DROPPED:
		vcpu->stat.events_dropped++;
		break;
	case PUT_DONE:
	case PUT_CLOSED:
		break;
	}
	return held;
}

/* vcpu->mutex is held. */
int mevent_finish(struct vigil_vcpu *vcpu, struct mon_event *e, void *data)
{
	struct monitor *mon = e->mon;
	u64 seq = e->ev.seq;
	int answer;

	spin_lock(&mon->qlock);
	answer = e->answer;
	if (answer == VIGIL_VERDICT_REPLACE && data)
		memcpy(data, e->ev.new_, e->ev.len);
	if (e->queued)
		unqueue(e); /* no reader has taken it yet */
	list_del(&e->held_link);
	e->vcpu = NULL;
	give_back(mon, e);
	spin_unlock(&mon->qlock);
	if (data)
		trace_vigil_watch_verdict(vcpu, seq, answer);
	monitor_put(mon);
	return answer;
}

/* The event of a seat that has no answer yet; NULL: there is none. */
static struct mon_event *open_event(const struct vigil_vcpu *vcpu,
				    unsigned int seat)
{
	struct mon_event *e = vcpu->hearing->s.seat[seat].event;

	return e && !answered(e) ? e : NULL;
}

static bool all_answered(const struct vigil_vcpu *vcpu)
{
	unsigned int i;

	for (i = 0; i < vcpu->hearing->s.n; i++)
		if (open_event(vcpu, i))
			return false;
	return true;
}

static bool any_resumed(const struct vigil_vcpu *vcpu)
{
	const struct mon_event *e;
	unsigned int i;

	for (i = 0; i < vcpu->hearing->s.n; i++) {
		e = open_event(vcpu, i);
		if (e && resumed(e))
			return true;
	}
	return false;
}

static bool wait_over(struct vigil_vcpu *vcpu)
{
	return all_answered(vcpu) || any_resumed(vcpu) ||
	       READ_ONCE(vcpu->vm->dead) ||
	       READ_ONCE(vcpu->requests) & (BIT(REQ_SNAPSHOT) | BIT(REQ_PAUSE));
}

/* How many jiffies the vCPU may still wait for the verdict on an event. */
static long time_left(const struct mon_event *e)
{
	long left = e->deadline - jiffies;

	return e->timed ? max(left, 0l) : MAX_SCHEDULE_TIMEOUT;
}

/* How many it may sleep. */
static long shortest_time(const struct vigil_vcpu *vcpu)
{
	long left = MAX_SCHEDULE_TIMEOUT;
	const struct mon_event *e;
	unsigned int i;

	for (i = 0; i < vcpu->hearing->s.n; i++) {
		e = open_event(vcpu, i);
		if (e)
			left = min(left, time_left(e));
	}
	return left;
}

/*
 * The time is up: this is the verdict, unless there is one, or nobody to give one. Or the
 * VM is paused, and the event stays open.
 */
static void time_out(struct vigil_vcpu *vcpu, struct mon_event *e)
{
	spin_lock(&e->mon->qlock);
	e->timed = false;
	if (e->answer == ANSWER_NONE && !e->paused) {
		if (e->on_timeout != ANSWER_NONE)
			answer(e, e->on_timeout);
		else
			pause_by_event(e->mon);
		vcpu->stat.watch_timeouts++;
	}
	spin_unlock(&e->mon->qlock);
}

/* The event goes on as if it had been allowed: the watches of now are asked. */
static void resume(struct mon_event *e)
{
	spin_lock(&e->mon->qlock);
	if (e->answer == ANSWER_NONE)
		answer(e, VIGIL_VERDICT_ALLOW);
	spin_unlock(&e->mon->qlock);
}

/* Answers what need not wait any longer for its monitor. */
static void answer_late(struct vigil_vcpu *vcpu)
{
	struct mon_event *e;
	unsigned int i;

	for (i = 0; i < vcpu->hearing->s.n; i++) {
		e = open_event(vcpu, i);
		if (e && resumed(e))
			resume(e);
		else if (e && !time_left(e))
			time_out(vcpu, e);
	}
}

int mevent_wait(struct vigil_vcpu *vcpu) __must_hold(&vcpu->vm->srcu)
{
	struct vigil_vm *vm = vcpu->vm;
	long ret;

	/*
	 * A monitor may take hours to answer: SRCU is left, so that nobody
	 * waits for this vCPU.
	 */
	vcpu_leave(vcpu);
	while (!all_answered(vcpu)) {
		/*
		 * With immediate_exit the VMM's thread must return, answered or
		 * not.
		 */
		if (READ_ONCE(vcpu->run->immediate_exit__unsafe))
			break;
		ret = wait_event_interruptible_timeout(
			vcpu->wq, wait_over(vcpu), shortest_time(vcpu));
		if (ret < 0 || READ_ONCE(vm->dead))
			break;
		answer_late(vcpu);
		if (test_bit(REQ_PAUSE, &vcpu->requests))
			break;
		if (vigil_test_request(vcpu, REQ_SNAPSHOT))
			monitor_snapshot(vcpu, false);
	}
	/* Whoever has paused the vCPU meanwhile has not waited for it. */
	return vcpu_enter(vcpu, TASK_INTERRUPTIBLE) || !all_answered(vcpu) ||
			       test_bit(REQ_PAUSE, &vcpu->requests) ?
		       -EINTR :
		       0;
}

/* [q] The event has no answer yet. */
static int answer_by(struct mon_event *e, const struct vigil_verdict *v)
{
	if (!(e->ev.verdicts & BIT(v->verdict)))
		return -EOPNOTSUPP;
	if (v->verdict == VIGIL_VERDICT_REPLACE) {
		if (v->len != e->ev.len)
			return -EINVAL;
		memcpy(e->ev.new_, v->data, v->len);
	}
	/* It stays open, and mevent_verdict() pauses the VM. */
	if (v->verdict != VIGIL_VERDICT_PAUSE)
		answer(e, v->verdict);
	return 0;
}

int mevent_verdict(struct monitor *mon, const struct vigil_verdict *v)
{
	struct mon_event *e;
	int ret = -ENOENT;

	spin_lock(&mon->qlock);
	list_for_each_entry(e, &mon->held, held_link) {
		if (e->ev.seq != v->seq || e->queued || e->waits || e->paused ||
		    e->answer != ANSWER_NONE)
			continue;
		ret = answer_by(e, v);
		break;
	}
	spin_unlock(&mon->qlock);
	if (!ret && v->verdict == VIGIL_VERDICT_KILL)
		vigil_vm_kill(mon->vm, vigil_vm_killed);
	if (!ret && v->verdict == VIGIL_VERDICT_PAUSE)
		ret = pause_by_verdict(mon);
	return ret;
}

long mevent_change(struct monitor *mon, u64 seq, u32 offset, void *buf,
		   u32 room)
{
	const struct mon_event *e;
	long ret = -ENOENT;
	const void *from;
	u32 len;

	spin_lock(&mon->qlock);
	list_for_each_entry(e, &mon->held, held_link) {
		if (e->ev.seq != seq || e->waits || e->answer != ANSWER_NONE ||
		    e->ev.kind != VIGIL_EVENT_CONTROL)
			continue;
		from = e->all ? e->all : e->ev.new_;
		len = e->all ? e->all_len : e->ev.len;
		ret = offset < len ? min(len - offset, room) : 0;
		if (ret)
			memcpy(buf, from + offset, ret);
		break;
	}
	spin_unlock(&mon->qlock);
	return ret;
}

void mevent_close(struct monitor *mon)
{
	struct mon_event *e;

	spin_lock(&mon->qlock);
	mon->closed = true;
	mon->resumes = atomic_read(&mon->vm->resumes);
	list_for_each_entry(e, &mon->held, held_link)
		if (e->answer == ANSWER_NONE)
			orphan(e);
	spin_unlock(&mon->qlock);
}

void mevent_resume(struct vigil_vm *vm)
{
	struct vigil_vcpu *vcpu;
	unsigned int i;

	atomic_inc(&vm->resumes);
	vigil_for_each_vcpu(i, vcpu, vm)
		wake_up_all(&vcpu->wq);
}

static bool queue_ready(struct monitor *mon)
{
	return !list_empty_careful(&mon->queue);
}

bool mevent_poll(struct monitor *mon)
{
	/* pairs with the release in mevent_set_queue() */
	struct mon_ring *ring = smp_load_acquire(&mon->ring);

	if (!ring)
		return queue_ready(mon);
	spin_lock(&mon->qlock);
	refill(mon); /* the caller of poll() does not sleep yet: no wake-up */
	spin_unlock(&mon->qlock);
	return ring_ready(ring);
}

int mevent_mmap(struct monitor *mon, struct vm_area_struct *vma)
{
	/* pairs with the release in mevent_set_queue() */
	struct mon_ring *ring = smp_load_acquire(&mon->ring);

	return ring ? ring_mmap(ring, vma) : -ENODEV;
}

/* Copies the oldest event. False: there is none. */
static bool peek(struct monitor *mon, struct vigil_event *ev)
{
	struct mon_event *e;

	spin_lock(&mon->qlock);
	e = list_first_entry_or_null(&mon->queue, struct mon_event, link);
	if (e)
		*ev = e->ev;
	spin_unlock(&mon->qlock);
	return e;
}

/* Removes the event that was read, unless it was withdrawn meanwhile. */
static void consume(struct monitor *mon, u64 seq)
{
	struct mon_event *e;

	spin_lock(&mon->qlock);
	e = list_first_entry_or_null(&mon->queue, struct mon_event, link);
	if (e && e->ev.seq == seq) {
		unqueue(e);
		taken(e);
	}
	spin_unlock(&mon->qlock);
}

ssize_t mevent_read(struct monitor *mon, char __user *buf, size_t len,
		    bool block)
{
	struct vigil_vm *vm = mon->vm;
	struct vigil_event ev;
	size_t done = 0;
	ssize_t ret;

	if (len < sizeof(ev))
		return -EINVAL;
	if (smp_load_acquire(&mon->ring)) /* as in mevent_poll() */
		return -EBUSY;
	/* A nonblocking read does not wait for another reader either. */
	if (!block)
		ret = mutex_trylock(&mon->read_lock) ? 0 : -EAGAIN;
	else
		ret = mutex_lock_interruptible(&mon->read_lock);
	if (ret)
		return ret;
	while (len - done >= sizeof(ev)) {
		if (peek(mon, &ev)) {
			if (copy_to_user(buf + done, &ev, sizeof(ev))) {
				ret = -EFAULT;
				break;
			}
			consume(mon, ev.seq);
			done += sizeof(ev);
			continue;
		}
		if (done || READ_ONCE(vm->dead))
			break; /* A dead VM has no more events: end of file. */
		ret = -EPIPE;
		if (READ_ONCE(mon->evicted))
			break;
		ret = -EAGAIN;
		if (!block)
			break;
		ret = wait_event_interruptible(vm->monitor_wq,
					       queue_ready(mon) ||
						       READ_ONCE(vm->dead) ||
						       READ_ONCE(mon->evicted));
		if (ret)
			break;
	}
	mutex_unlock(&mon->read_lock);
	return done ? done : ret;
}
