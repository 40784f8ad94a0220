// SPDX-License-Identifier: GPL-2.0
/* console_io, and the console's ring in a page of the guest. */
#include "internal.h"

static struct xencons_interface *ring(struct xen_domain *d)
{
	return (void *)xen_page(d, XEN_CONSOLE_GPA >> PAGE_SHIFT);
}

void xen_console_drain(struct xen_domain *d)
{
	struct xencons_interface *r = ring(d);
	uint32_t at, end;
	uint8_t byte;

	if (!r)
		return;
	d->ops->use_console(d->ctx);
	at = __atomic_load_n(&r->out_cons, __ATOMIC_RELAXED);
	end = __atomic_load_n(&r->out_prod, __ATOMIC_ACQUIRE);
	/* Indices that cannot be: take what the ring can hold. */
	if (end - at > sizeof(r->out))
		at = end - sizeof(r->out);
	for (; at != end; at++) {
		byte = r->out[MASK_XENCONS_IDX(at, r->out)];
		d->ops->output(d->ctx, &byte, 1);
	}
	__atomic_store_n(&r->out_cons, end, __ATOMIC_RELEASE);
	/* The guest may wait for room. */
	xen_event(d, XEN_CONSOLE_PORT);
}

unsigned int xen_console_room(struct xen_domain *d)
{
	struct xencons_interface *r = ring(d);
	uint32_t used;

	if (!r)
		return 0;
	used = __atomic_load_n(&r->in_prod, __ATOMIC_RELAXED) -
	       __atomic_load_n(&r->in_cons, __ATOMIC_ACQUIRE);
	return used < sizeof(r->in) ? sizeof(r->in) - used : 0;
}

void xen_console_input(struct xen_domain *d, uint8_t byte)
{
	struct xencons_interface *r = ring(d);
	uint32_t at;

	if (!r)
		return;
	at = __atomic_load_n(&r->in_prod, __ATOMIC_RELAXED);
	r->in[MASK_XENCONS_IDX(at, r->in)] = byte;
	__atomic_store_n(&r->in_prod, at + 1, __ATOMIC_RELEASE);
	xen_event(d, XEN_CONSOLE_PORT);
}

static int64_t console_write(struct xen_domain *d, const struct xen_call *c)
{
	uint64_t la = c->arg[2], left = c->arg[1], n;
	uint8_t buf[256];

	if (left > INT32_MAX)
		return -XEN_EINVAL;
	for (; left && !d->ops->stopping(d->ctx); left -= n, la += n) {
		n = left < sizeof(buf) ? left : sizeof(buf);
		if (xen_copy_in(d, c, buf, la, n))
			return -XEN_EFAULT;
		d->ops->hypervisor_output(d->ctx, buf, n);
	}
	return 0;
}

int64_t xen_console_io(struct xen_domain *d, const struct xen_call *c)
{
	switch (c->arg[0]) {
	case CONSOLEIO_write:
		return console_write(d, c);
	case CONSOLEIO_read:
		return 0; /* input goes to the ring, or to the serial port */
	}
	return -XEN_ENOSYS;
}
