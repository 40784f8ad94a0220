// SPDX-License-Identifier: GPL-2.0
/* sched_op, vcpu_op and set_timer_op: waiting, ending, timers. */
#include <string.h>

#include "internal.h"

#define MAX_POLL 128 /* ports; Xen's own limit */
#define MIN_PERIOD 1000000ull /* ns */

/* ---- timers ---- */

static void virq_expired(void *arg)
{
	xen_raise_virq(arg, VIRQ_TIMER);
}

static void periodic_expired(void *arg)
{
	struct xen_domain *d = arg;
	uint64_t now = timers_now(d->timers), next;

	xen_raise_virq(d, VIRQ_TIMER);
	next = d->periodic.expires + d->period;
	/* A machine that stood still does not make up for what it missed. */
	timer_arm(d->timers, &d->periodic, next > now ? next : now + d->period);
}

static void poll_expired(void *arg)
{
	struct xen_domain *d = arg;

	d->poll_over = true;
}

void xen_sched_init(struct xen_domain *d)
{
	d->virq_timer = (struct dev_timer){ .fn = virq_expired, .arg = d };
	d->periodic = (struct dev_timer){ .fn = periodic_expired, .arg = d };
	d->poll_timer = (struct dev_timer){ .fn = poll_expired, .arg = d };
}

void xen_sched_destroy(struct xen_domain *d)
{
	timer_cancel(d->timers, &d->virq_timer);
	timer_cancel(d->timers, &d->periodic);
	timer_cancel(d->timers, &d->poll_timer);
}

/* Arms a timer for a system time, which may be too late for a clock of 64 bits. */
static void arm(struct xen_domain *d, struct dev_timer *t, uint64_t when)
{
	uint64_t ns;

	if (__builtin_add_overflow(d->start, when, &ns))
		ns = UINT64_MAX - 1;
	timer_arm(d->timers, t, ns);
}

int64_t xen_set_timer_op(struct xen_domain *d, const struct xen_call *c)
{
	uint64_t when = c->arg[0];

	/* 32-bit code passes the halves. */
	if (!c->wide)
		when |= c->arg[1] << 32;
	if (when)
		arm(d, &d->virq_timer, when);
	else
		timer_cancel(d->timers, &d->virq_timer);
	return 0;
}

/* ---- run state ---- */

/* Fills in the run state. Return: its size. */
static size_t get_runstate(struct xen_domain *d, bool wide,
			   struct vcpu_runstate_info *r)
{
	uint64_t now = xen_system_time(d);
	struct {
		int32_t state;
		uint64_t state_entry_time, time[4];
	} __attribute__((packed))
	narrow = { .state = RUNSTATE_running, .state_entry_time = now };

	_Static_assert(sizeof(narrow.time) == sizeof(r->time), "run state");
	/* The guest gets the padding too. */
	memset(r, 0, sizeof(*r));
	r->state = RUNSTATE_running;
	r->state_entry_time = now;
	r->time[RUNSTATE_blocked] = d->blocked;
	r->time[RUNSTATE_running] = now - d->blocked;
	if (wide)
		return sizeof(*r);
	memcpy(narrow.time, r->time, sizeof(narrow.time));
	memcpy(r, &narrow, sizeof(narrow));
	return sizeof(narrow);
}

static int put_runstate(struct xen_domain *d, const struct xen_call *c)
{
	struct vcpu_runstate_info r;
	size_t size = get_runstate(d, c->wide, &r);

	return xen_copy_out(d, c, c->arg[2], &r, size);
}

static void store_runstate(struct xen_domain *d)
{
	struct vcpu_runstate_info r;
	size_t size;

	if (!d->has_runstate)
		return;
	size = get_runstate(d, d->runstate_wide, &r);
	xen_store_area(d, &d->runstate, &r, size);
}

static int64_t register_runstate(struct xen_domain *d, const struct xen_call *c)
{
	struct vcpu_runstate_info r;
	struct xen_area area;
	uint64_t la;

	if (xen_copy_long(d, c, c->arg[2], 0, &la))
		return -XEN_EFAULT;
	/* No address: the guest wants it no more. */
	if (la && xen_find_area(d, c, la, get_runstate(d, c->wide, &r), &area))
		return -XEN_EFAULT;
	d->has_runstate = la;
	if (la)
		d->runstate = area;
	d->runstate_wide = c->wide;
	store_runstate(d);
	return 0;
}

/* The guest has waited since @began. */
static void has_waited(struct xen_domain *d, uint64_t began)
{
	d->blocked += xen_system_time(d) - began;
	xen_update_time(d);
	store_runstate(d);
}

/* ---- sched_op ---- */

static int64_t block(struct xen_domain *d)
{
	uint64_t began = xen_system_time(d);

	while (!xen_upcall_pending(d) && !d->ops->irq_pending(d->ctx))
		if (!d->ops->wait(d->ctx))
			break;
	has_waited(d, began);
	return 0;
}

/* 1: one of the ports is pending. 0: none. Else a negative errno. */
static int any_pending(struct xen_domain *d, const struct xen_call *c,
		       uint64_t list, uint32_t nr)
{
	evtchn_port_t port;
	uint32_t i;

	for (i = 0; i < nr; i++, list += sizeof(port)) {
		/* A list that goes on from 0 is none. */
		if ((i && list < sizeof(port)) ||
		    xen_copy_in(d, c, &port, list, sizeof(port)))
			return -XEN_EFAULT;
		if (port >= XEN_PORTS || d->ports[port].state == XEN_PORT_FREE)
			return -XEN_EINVAL;
		if (xen_port_pending(d, port))
			return 1;
	}
	return 0;
}

/*
 * Is there an interrupt that the guest would take, one for events among them? Then it
 * does not wait on, and may poll again. Without RFLAGS.IF the ports alone count.
 */
static bool interrupted(struct xen_domain *d)
{
	if (!d->ops->takes_irqs(d->ctx))
		return false;
	xen_before_entry(d);
	return xen_vector(d) >= 0 || d->ops->irq_pending(d->ctx);
}

static int64_t poll(struct xen_domain *d, const struct xen_call *c)
{
	uint64_t began = xen_system_time(d), list, timeout;
	struct {
		uint32_t list, nr;
		uint64_t timeout;
	} narrow;
	struct sched_poll wide;
	uint32_t nr;
	int ret;

	if (c->wide) {
		ret = xen_copy_in(d, c, &wide, c->arg[1], sizeof(wide));
		memcpy(&list, &wide, sizeof(list));
		nr = wide.nr_ports;
		timeout = wide.timeout;
	} else {
		ret = xen_copy_in(d, c, &narrow, c->arg[1], sizeof(narrow));
		list = narrow.list;
		nr = narrow.nr;
		timeout = narrow.timeout;
	}
	if (ret)
		return ret;
	if (nr > MAX_POLL)
		return -XEN_EINVAL;
	d->poll_over = false;
	if (timeout)
		arm(d, &d->poll_timer, timeout);
	for (;;) {
		ret = any_pending(d, c, list, nr);
		if (ret || d->poll_over || interrupted(d) ||
		    !d->ops->wait(d->ctx))
			break;
	}
	timer_cancel(d->timers, &d->poll_timer);
	has_waited(d, began);
	return ret < 0 ? ret : 0;
}

int64_t xen_sched_op(struct xen_domain *d, const struct xen_call *c)
{
	struct sched_shutdown down;

	switch (c->arg[0]) {
	case SCHEDOP_yield:
		return 0;
	case SCHEDOP_block:
		return block(d);
	case SCHEDOP_poll:
		return poll(d, c);
	case SCHEDOP_shutdown:
		if (xen_copy_in(d, c, &down, c->arg[1], sizeof(down)))
			return -XEN_EFAULT;
		/* Nobody saves the guest: it goes on, and is told so. */
		if (down.reason == SHUTDOWN_suspend)
			return 1;
		d->ops->shutdown(d->ctx, down.reason);
		return 0;
	case SCHEDOP_remote_shutdown:
		return -XEN_EPERM;
	}
	return -XEN_ENOSYS;
}

/* ---- vcpu_op ---- */

static int64_t set_periodic(struct xen_domain *d, const struct xen_call *c)
{
	struct vcpu_set_periodic_timer t;

	if (xen_copy_in(d, c, &t, c->arg[2], sizeof(t)))
		return -XEN_EFAULT;
	if (t.period_ns < MIN_PERIOD || t.period_ns > INT64_MAX)
		return -XEN_EINVAL;
	d->period = t.period_ns;
	arm(d, &d->periodic, xen_system_time(d) + d->period);
	return 0;
}

static int64_t set_singleshot(struct xen_domain *d, const struct xen_call *c)
{
	/* A 32-bit caller's struct has no padding at its end. */
	struct {
		uint64_t timeout;
		uint32_t flags;
	} __attribute__((packed)) t;

	if (xen_copy_in(d, c, &t, c->arg[2], sizeof(t)))
		return -XEN_EFAULT;
	if (t.flags & VCPU_SSHOTTMR_future && t.timeout < xen_system_time(d))
		return -XEN_ETIME;
	arm(d, &d->virq_timer, t.timeout);
	return 0;
}

static int64_t register_vcpu_info(struct xen_domain *d,
				  const struct xen_call *c)
{
	struct vcpu_register_vcpu_info r;
	uint8_t *page;

	if (xen_copy_in(d, c, &r, c->arg[2], sizeof(r)))
		return -XEN_EFAULT;
	if (r.offset > PAGE_SIZE - sizeof(struct vcpu_info_x86_64) ||
	    r.offset % 8 || d->vcpu_info != d->shared)
		return -XEN_EINVAL;
	page = xen_page(d, r.mfn);
	if (!page)
		return -XEN_EINVAL;
	/* The page may be shared_info itself. */
	memmove(page + r.offset, d->vcpu_info, sizeof(struct vcpu_info_x86_64));
	d->vcpu_info = page + r.offset;
	xen_update_time(d);
	xen_events_moved(d);
	return 0;
}

int64_t xen_vcpu_op(struct xen_domain *d, const struct xen_call *c)
{
	if (c->arg[1])
		return -XEN_ENOENT;
	switch (c->arg[0]) {
	case VCPUOP_up:
		return 0; /* the only vCPU runs already */
	case VCPUOP_initialise:
		return -XEN_EEXIST;
	case VCPUOP_down: /* the last one */
		d->ops->shutdown(d->ctx, SHUTDOWN_poweroff);
		return 0;
	case VCPUOP_is_up:
		return 1;
	case VCPUOP_get_runstate_info:
		return put_runstate(d, c);
	case VCPUOP_register_runstate_memory_area:
		return register_runstate(d, c);
	case VCPUOP_set_periodic_timer:
		return set_periodic(d, c);
	case VCPUOP_stop_periodic_timer:
		timer_cancel(d->timers, &d->periodic);
		return 0;
	case VCPUOP_set_singleshot_timer:
		return set_singleshot(d, c);
	case VCPUOP_stop_singleshot_timer:
		timer_cancel(d->timers, &d->virq_timer);
		return 0;
	case VCPUOP_register_vcpu_info:
		return register_vcpu_info(d, c);
	case VCPUOP_get_physid:
		return -XEN_EINVAL;
	}
	return -XEN_ENOSYS;
}
