/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the domain share. */
#ifndef VIGIL_XEN_INTERNAL_H
#define VIGIL_XEN_INTERNAL_H

#include "domain.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_OFFSET(addr) ((addr) & (PAGE_SIZE - 1))

/*
 * Guest memory by the caller's linear address and with the caller's rights. 0 or
 * -XEN_EFAULT; what lies before the fault is copied.
 */
int xen_copy_in(struct xen_domain *d, const struct xen_call *c, void *to,
		uint64_t la, size_t len);
int xen_copy_out(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		 const void *from, size_t len);
/* Number @i of a list of unsigned longs at @la. */
int xen_copy_long(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		  uint64_t i, uint64_t *value);

/* Pages of RAM, and the number behind that of the last one. */
uint64_t xen_ram_pages(const struct xen_domain *d);
uint64_t xen_max_ram(const struct xen_domain *d);
/* Is this page RAM, given back or not, and which of all pages of RAM? */
bool xen_ram_index(const struct xen_domain *d, uint64_t gfn, uint64_t *index);

/* Finds an area that the caller has registered. 0 or -XEN_EFAULT. */
int xen_find_area(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		  size_t len, struct xen_area *a);
/* Stores there, but to no page that the guest has given back since. */
void xen_store_area(struct xen_domain *d, const struct xen_area *a,
		    const void *from, size_t len);

/* Is this domain id the guest's own? */
bool xen_is_self(uint16_t domid);
/* A page of the guest that is there, or NULL. */
uint8_t *xen_page(struct xen_domain *d, uint64_t gfn);
/* ns since the guest was made: what Xen calls the system time. */
uint64_t xen_system_time(const struct xen_domain *d);
/* Writes time and wall clock into shared_info. */
void xen_update_time(struct xen_domain *d);
/* Makes page @gfn of the guest shared_info. 0 or a negative errno. */
int xen_map_shared(struct xen_domain *d, uint64_t gfn);

int64_t xen_memory_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_event_channel_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_sched_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_vcpu_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_set_timer_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_hvm_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_console_io(struct xen_domain *d, const struct xen_call *c);
int64_t xen_grant_table_op(struct xen_domain *d, const struct xen_call *c);
int64_t xen_version(struct xen_domain *d, const struct xen_call *c);

/* ---- events ---- */
void xen_events_init(struct xen_domain *d);
/* Is there an event that the guest has not heard of? */
bool xen_upcall_pending(const struct xen_domain *d);
/* Is this port's bit set? False for a number that is no port. */
bool xen_port_pending(const struct xen_domain *d, uint32_t port);
/* An event on a port. */
void xen_event(struct xen_domain *d, uint32_t port);
void xen_raise_virq(struct xen_domain *d, unsigned int virq);
/* vcpu_info has moved, maybe while events were pending. */
void xen_events_moved(struct xen_domain *d);

/* ---- the scheduler's ---- */
void xen_sched_init(struct xen_domain *d);
void xen_sched_destroy(struct xen_domain *d);

/* ---- console ---- */
/* Prints what the ring has. */
void xen_console_drain(struct xen_domain *d);

#endif
