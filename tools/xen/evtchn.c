// SPDX-License-Identifier: GPL-2.0
/*
 * Event channels: bits in shared_info, and the line or the vector that makes the guest
 * look at them.
 */
#include <string.h>

#include "internal.h"

static unsigned int nr_ports(const struct xen_domain *d)
{
	return d->wide ? 64 * 64 : 32 * 32;
}

/* ---- bits ---- */

/* Bitmaps of little-endian words are bitmaps of bytes. */
static bool test_bit(const uint8_t *map, uint32_t n)
{
	return map[n / 8] >> (n % 8) & 1;
}

static bool test_and_set(uint8_t *map, uint32_t n)
{
	bool was = test_bit(map, n);

	map[n / 8] |= 1u << (n % 8);
	return was;
}

static uint8_t *pending_bits(const struct xen_domain *d)
{
	return d->shared +
	       (d->wide ? offsetof(struct shared_info_x86_64, evtchn_pending) :
			  offsetof(struct shared_info_x86_32, evtchn_pending));
}

static uint8_t *mask_bits(const struct xen_domain *d)
{
	return d->shared +
	       (d->wide ? offsetof(struct shared_info_x86_64, evtchn_mask) :
			  offsetof(struct shared_info_x86_32, evtchn_mask));
}

/* Which words of the pending bits are worth a look. */
static uint8_t *selector(const struct xen_domain *d)
{
	return d->vcpu_info +
	       (d->wide ?
			offsetof(struct vcpu_info_x86_64, evtchn_pending_sel) :
			offsetof(struct vcpu_info_x86_32, evtchn_pending_sel));
}

/* Tells of a port whose bit is set and not masked. */
static void tell(struct xen_domain *d, uint32_t port)
{
	if (!test_and_set(selector(d), port / (d->wide ? 64 : 32)))
		d->vcpu_info[offsetof(struct vcpu_info_x86_64,
				      evtchn_upcall_pending)] = 1;
}

bool xen_upcall_pending(const struct xen_domain *d)
{
	return d->vcpu_info[offsetof(struct vcpu_info_x86_64,
				     evtchn_upcall_pending)];
}

bool xen_port_pending(const struct xen_domain *d, uint32_t port)
{
	return port < nr_ports(d) && test_bit(pending_bits(d), port);
}

void xen_event(struct xen_domain *d, uint32_t port)
{
	if (port >= nr_ports(d) || test_and_set(pending_bits(d), port))
		return;
	if (!test_bit(mask_bits(d), port))
		tell(d, port);
}

void xen_events_moved(struct xen_domain *d)
{
	uint32_t port;

	for (port = 1; port < nr_ports(d); port++)
		if (test_bit(pending_bits(d), port) &&
		    !test_bit(mask_bits(d), port))
			tell(d, port);
}

void xen_raise_virq(struct xen_domain *d, unsigned int virq)
{
	uint32_t port;

	for (port = 1; port < nr_ports(d); port++)
		if (d->ports[port].state == XEN_PORT_VIRQ &&
		    d->ports[port].peer == virq)
			xen_event(d, port);
}

void xen_before_entry(struct xen_domain *d)
{
	if (d->callback == XEN_CALLBACK_LINE)
		d->ops->set_irq(d->ctx, d->callback_nr, xen_upcall_pending(d));
}

int xen_vector(const struct xen_domain *d)
{
	return d->callback == XEN_CALLBACK_VECTOR && xen_upcall_pending(d) ?
		       (int)d->callback_nr :
		       -1;
}

/* ---- ports ---- */

void xen_events_init(struct xen_domain *d)
{
	d->ports[XEN_CONSOLE_PORT].state = XEN_PORT_CONSOLE;
}

static struct xen_port *find_port(struct xen_domain *d, uint32_t port)
{
	return port && port < nr_ports(d) &&
			       d->ports[port].state != XEN_PORT_FREE ?
		       &d->ports[port] :
		       NULL;
}

/* Return: a free port, or -XEN_ENOSPC. */
static int64_t free_port(struct xen_domain *d)
{
	uint32_t port;

	for (port = XEN_CONSOLE_PORT + 1; port < nr_ports(d); port++)
		if (d->ports[port].state == XEN_PORT_FREE)
			return port;
	return -XEN_ENOSPC;
}

static int64_t open_port(struct xen_domain *d, struct xen_port as,
			 evtchn_port_t *port)
{
	int64_t n = free_port(d);

	if (n < 0)
		return n;
	d->ports[n] = as;
	*port = n;
	return 0;
}

static int64_t alloc_unbound(struct xen_domain *d,
			     struct evtchn_alloc_unbound *op)
{
	if (!xen_is_self(op->dom))
		return op->dom ? -XEN_ESRCH : -XEN_EPERM;
	return open_port(d,
			 (struct xen_port){ .state = XEN_PORT_UNBOUND,
					    .remote = op->remote_dom },
			 &op->port);
}

static int64_t bind_interdomain(struct xen_domain *d,
				struct evtchn_bind_interdomain *op)
{
	struct xen_port *remote;
	int64_t ret;

	/* There is no other guest, and nobody in domain 0 offers a port. */
	if (!xen_is_self(op->remote_dom))
		return op->remote_dom ? -XEN_ESRCH : -XEN_EINVAL;
	remote = find_port(d, op->remote_port);
	if (!remote || remote->state != XEN_PORT_UNBOUND ||
	    !xen_is_self(remote->remote))
		return -XEN_EINVAL;
	ret = open_port(d,
			(struct xen_port){ .state = XEN_PORT_LOOPBACK,
					   .peer = op->remote_port },
			&op->local_port);
	if (ret)
		return ret;
	*remote = (struct xen_port){ .state = XEN_PORT_LOOPBACK,
				     .peer = op->local_port };
	/* Xen raises the new port, lest an event before now is lost. */
	xen_event(d, op->local_port);
	return 0;
}

static int64_t bind_virq(struct xen_domain *d, struct evtchn_bind_virq *op)
{
	uint32_t port;

	if (op->vcpu)
		return -XEN_ENOENT;
	if (op->virq >= NR_VIRQS)
		return -XEN_EINVAL;
	if (op->virq != VIRQ_TIMER && op->virq != VIRQ_DEBUG)
		return -XEN_EPERM;
	for (port = 1; port < nr_ports(d); port++)
		if (d->ports[port].state == XEN_PORT_VIRQ &&
		    d->ports[port].peer == op->virq)
			return -XEN_EEXIST;
	return open_port(d,
			 (struct xen_port){ .state = XEN_PORT_VIRQ,
					    .peer = op->virq },
			 &op->port);
}

static int64_t bind_ipi(struct xen_domain *d, struct evtchn_bind_ipi *op)
{
	if (op->vcpu)
		return -XEN_ENOENT;
	return open_port(d, (struct xen_port){ .state = XEN_PORT_IPI },
			 &op->port);
}

static int64_t close_port(struct xen_domain *d, uint32_t n)
{
	struct xen_port *port = find_port(d, n);

	if (!port || port->state == XEN_PORT_CONSOLE)
		return -XEN_EINVAL;
	if (port->state == XEN_PORT_LOOPBACK && port->peer != n)
		d->ports[port->peer] =
			(struct xen_port){ .state = XEN_PORT_UNBOUND,
					   .remote = XEN_DOMID };
	port->state = XEN_PORT_FREE;
	pending_bits(d)[n / 8] &= ~(1u << (n % 8));
	return 0;
}

static int64_t send(struct xen_domain *d, uint32_t n)
{
	struct xen_port *port = find_port(d, n);

	if (!port)
		return -XEN_EINVAL;
	switch (port->state) {
	case XEN_PORT_CONSOLE:
		xen_console_drain(d);
		return 0;
	case XEN_PORT_LOOPBACK:
		xen_event(d, port->peer);
		return 0;
	case XEN_PORT_IPI:
		xen_event(d, n);
		return 0;
	case XEN_PORT_UNBOUND: /* the event is lost: no port hears it */
		return 0;
	}
	return -XEN_EINVAL;
}

static int64_t status(struct xen_domain *d, struct evtchn_status *op)
{
	struct xen_port *port;

	if (!xen_is_self(op->dom))
		return op->dom ? -XEN_ESRCH : -XEN_EPERM;
	if (op->port >= nr_ports(d))
		return -XEN_EINVAL;
	port = &d->ports[op->port];
	op->vcpu = 0;
	switch (port->state) {
	case XEN_PORT_UNBOUND:
		op->status = EVTCHNSTAT_unbound;
		op->u.unbound.dom = port->remote;
		break;
	case XEN_PORT_LOOPBACK:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = XEN_DOMID;
		op->u.interdomain.port = port->peer;
		break;
	case XEN_PORT_CONSOLE:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = 0;
		op->u.interdomain.port = op->port;
		break;
	case XEN_PORT_VIRQ:
		op->status = EVTCHNSTAT_virq;
		op->u.virq = port->peer;
		break;
	case XEN_PORT_IPI:
		op->status = EVTCHNSTAT_ipi;
		break;
	default:
		op->status = EVTCHNSTAT_closed;
		break;
	}
	return 0;
}

static int64_t bind_vcpu(struct xen_domain *d,
			 const struct evtchn_bind_vcpu *op)
{
	if (op->vcpu)
		return -XEN_ENOENT;
	return find_port(d, op->port) ? 0 : -XEN_EINVAL;
}

static int64_t unmask(struct xen_domain *d, uint32_t port)
{
	if (!find_port(d, port))
		return -XEN_EINVAL;
	mask_bits(d)[port / 8] &= ~(1u << (port % 8));
	if (test_bit(pending_bits(d), port))
		tell(d, port);
	return 0;
}

static int64_t reset(struct xen_domain *d, const struct evtchn_reset *op)
{
	uint32_t port;

	if (!xen_is_self(op->dom))
		return op->dom ? -XEN_ESRCH : -XEN_EPERM;
	for (port = 1; port < nr_ports(d); port++)
		close_port(d, port);
	return 0;
}

/* Events have one way to be told, that of bitmaps; a bad argument is told as by Xen. */
static int64_t init_control(struct xen_domain *d,
			    const struct evtchn_init_control *op)
{
	if (op->vcpu)
		return -XEN_ENOENT;
	if (!xen_page(d, op->control_gfn) || op->offset % 8 ||
	    op->offset > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block))
		return -XEN_EINVAL;
	return -XEN_ENOSYS;
}

union operand {
	struct evtchn_alloc_unbound alloc_unbound;
	struct evtchn_bind_interdomain bind_interdomain;
	struct evtchn_bind_virq bind_virq;
	struct evtchn_bind_ipi bind_ipi;
	struct evtchn_close close;
	struct evtchn_send send;
	struct evtchn_status status;
	struct evtchn_bind_vcpu bind_vcpu;
	struct evtchn_unmask unmask;
	struct evtchn_reset reset;
	struct evtchn_init_control init_control;
	struct evtchn_expand_array expand_array;
};

/* Bytes of the operand, and whether the guest gets it back; 0: no such command. */
static const struct {
	uint8_t bytes;
	bool result;
} commands[] = {
#define COMMAND(name, back) \
	[EVTCHNOP_##name] = { sizeof(struct evtchn_##name), back }
	COMMAND(alloc_unbound, true), COMMAND(bind_interdomain, true),
	COMMAND(bind_virq, true),     COMMAND(bind_ipi, true),
	COMMAND(close, false),	      COMMAND(send, false),
	COMMAND(status, true),	      COMMAND(bind_vcpu, false),
	COMMAND(unmask, false),	      COMMAND(reset, false),
	COMMAND(init_control, false), COMMAND(expand_array, false),
#undef COMMAND
};

static int64_t command(struct xen_domain *d, unsigned int cmd,
		       union operand *op)
{
	switch (cmd) {
	case EVTCHNOP_alloc_unbound:
		return alloc_unbound(d, &op->alloc_unbound);
	case EVTCHNOP_bind_interdomain:
		return bind_interdomain(d, &op->bind_interdomain);
	case EVTCHNOP_bind_virq:
		return bind_virq(d, &op->bind_virq);
	case EVTCHNOP_bind_ipi:
		return bind_ipi(d, &op->bind_ipi);
	case EVTCHNOP_close:
		return close_port(d, op->close.port);
	case EVTCHNOP_send:
		return send(d, op->send.port);
	case EVTCHNOP_status:
		return status(d, &op->status);
	case EVTCHNOP_bind_vcpu:
		return bind_vcpu(d, &op->bind_vcpu);
	case EVTCHNOP_unmask:
		return unmask(d, op->unmask.port);
	case EVTCHNOP_reset:
		return reset(d, &op->reset);
	case EVTCHNOP_init_control:
		return init_control(d, &op->init_control);
	case EVTCHNOP_expand_array:
		return -XEN_EOPNOTSUPP;
	}
	return -XEN_ENOSYS;
}

int64_t xen_event_channel_op(struct xen_domain *d, const struct xen_call *c)
{
	uint64_t cmd = c->arg[0];
	union operand op;
	int64_t ret;

	if (cmd >= sizeof(commands) / sizeof(commands[0]) ||
	    !commands[cmd].bytes)
		return -XEN_ENOSYS;
	memset(&op, 0, sizeof(op));
	if (xen_copy_in(d, c, &op, c->arg[1], commands[cmd].bytes))
		return -XEN_EFAULT;
	/* A result that cannot be stored must not leave a port behind. */
	if (commands[cmd].result &&
	    xen_copy_out(d, c, c->arg[1], &op, commands[cmd].bytes))
		return -XEN_EFAULT;
	ret = command(d, cmd, &op);
	if (!ret && commands[cmd].result)
		ret = xen_copy_out(d, c, c->arg[1], &op, commands[cmd].bytes);
	return ret;
}
