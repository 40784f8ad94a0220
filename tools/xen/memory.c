// SPDX-License-Identifier: GPL-2.0
/*
 * memory_op: where shared_info is, and pages that the guest gives back and takes again.
 * A page that was given back reads as zeros, since the module has no slot of less than
 * all RAM.
 */
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define EXTENT_SHIFT 6 /* of the first extent to be done, in the command */

/**
 * struct reservation - struct xen_memory_reservation of either width
 * @list: linear address of the list of page numbers
 * @nr: how many
 * @order: each stands for 1 << @order pages
 * @domid: whose
 */
struct reservation {
	uint64_t list, nr;
	uint32_t order;
	uint16_t domid;
};

static int get_reservation(struct xen_domain *d, const struct xen_call *c,
			   struct reservation *r)
{
	struct {
		uint64_t list, nr;
		uint32_t order, flags;
		uint16_t domid;
	} wide;
	struct {
		uint32_t list, nr, order, flags;
		uint16_t domid;
	} narrow;
	int ret;

	_Static_assert(sizeof(wide) == sizeof(struct xen_memory_reservation),
		       "xen_memory_reservation");
	if (c->wide) {
		ret = xen_copy_in(d, c, &wide, c->arg[1], sizeof(wide));
		*r = (struct reservation){ wide.list, wide.nr, wide.order,
					   wide.domid };
	} else {
		ret = xen_copy_in(d, c, &narrow, c->arg[1], sizeof(narrow));
		*r = (struct reservation){ narrow.list, narrow.nr, narrow.order,
					   narrow.domid };
	}
	return ret;
}

/*
 * Guests may have some pages beyond their RAM, at addresses of their own choice: a slot
 * each, which stays.
 */
static bool add_page(struct xen_domain *d, uint64_t gfn)
{
	if (d->nr_extra == XEN_EXTRA_PAGES || gfn > UINT32_MAX ||
	    xen_page(d, gfn) || d->ops->add_page(d->ctx, gfn << PAGE_SHIFT))
		return false;
	d->nr_extra++;
	if (gfn > d->max_gfn)
		d->max_gfn = gfn;
	return true;
}

/* Gives a page back, or takes it again. False: it is not there, or is already. */
static bool set_hole(struct xen_domain *d, uint64_t gfn, bool hole)
{
	uint64_t i, bit;
	uint8_t *page;

	if (!xen_ram_index(d, gfn, &i))
		return !hole && add_page(d, gfn);
	bit = 1ull << (i % 64);
	if (!!(d->holes[i / 64] & bit) == hole)
		return false;
	if (hole) {
		page = xen_page(d, gfn);
		/* The gap below 1 MiB is no memory. */
		if (!page)
			return false;
		madvise(page, PAGE_SIZE, MADV_DONTNEED);
	}
	d->holes[i / 64] ^= bit;
	d->nr_holes += hole ? 1 : -1;
	return true;
}

/* Return: how many extents were done, with those before the first. */
static int64_t change_reservation(struct xen_domain *d,
				  const struct xen_call *c, bool hole)
{
	uint64_t i, page, gfn, first = c->arg[0] >> EXTENT_SHIFT;
	struct reservation r;

	if (get_reservation(d, c, &r))
		return -XEN_EFAULT;
	if (!xen_is_self(r.domid))
		return -XEN_EPERM;
	if (r.nr > INT32_MAX || first > r.nr)
		return -XEN_EINVAL;
	if (r.order > 18) /* 1 GiB */
		return first;
	for (i = first; i < r.nr && !d->ops->stopping(d->ctx); i++) {
		if (xen_copy_long(d, c, r.list, i, &gfn))
			break;
		for (page = 0; page < 1ull << r.order; page++)
			if (!set_hole(d, gfn + page, hole))
				return i;
	}
	return i;
}

/* ---- the grant table: no other domain reads it ---- */

/*
 * A page for what Xen puts into the guest's memory. Guests take the place of one that they
 * have given back, or one where no memory was.
 */
static uint8_t *populate(struct xen_domain *d, uint64_t gfn)
{
	uint8_t *page = xen_page(d, gfn);

	if (page)
		return page;
	return set_hole(d, gfn, false) ? xen_page(d, gfn) : NULL;
}

static int map_grants(struct xen_domain *d, uint64_t idx, uint64_t gfn)
{
	uint8_t *page;

	if (idx >= XEN_GRANT_PAGES)
		return -XEN_EINVAL;
	page = populate(d, gfn);
	if (!page)
		return -XEN_EINVAL;
	if (page == d->grants[idx])
		return 0;
	if (d->grants[idx])
		memcpy(page, d->grants[idx], PAGE_SIZE);
	else
		memset(page, 0, PAGE_SIZE);
	/* A page of the table is in one place at a time. */
	if (d->grants[idx])
		memset(d->grants[idx], 0, PAGE_SIZE);
	d->grants[idx] = page;
	return 0;
}

int64_t xen_grant_table_op(struct xen_domain *d, const struct xen_call *c)
{
	struct gnttab_query_size q;

	if (c->arg[0] != GNTTABOP_query_size)
		return -XEN_ENOSYS;
	if (c->arg[2] != 1)
		return c->arg[2] ? -XEN_EINVAL : 0;
	if (xen_copy_in(d, c, &q, c->arg[1], sizeof(q)))
		return -XEN_EFAULT;
	q.status = xen_is_self(q.dom) ? GNTST_okay : GNTST_bad_domain;
	q.nr_frames = 1;
	q.max_nr_frames = XEN_GRANT_PAGES;
	return xen_copy_out(d, c, c->arg[1], &q, sizeof(q));
}

/* ---- memory_op ---- */

static int64_t add_to_physmap(struct xen_domain *d, const struct xen_call *c)
{
	struct {
		uint16_t domid, size;
		uint32_t space, idx, gpfn;
	} narrow;
	struct xen_add_to_physmap x = { 0 };
	int ret;

	if (c->wide) {
		ret = xen_copy_in(d, c, &x, c->arg[1], sizeof(x));
	} else {
		ret = xen_copy_in(d, c, &narrow, c->arg[1], sizeof(narrow));
		x = (struct xen_add_to_physmap){ .domid = narrow.domid,
						 .space = narrow.space,
						 .idx = narrow.idx,
						 .gpfn = narrow.gpfn };
	}
	if (ret)
		return ret;
	if (!xen_is_self(x.domid))
		return -XEN_ESRCH;
	switch (x.space) {
	case XENMAPSPACE_shared_info:
		if (x.idx || !populate(d, x.gpfn))
			return -XEN_EINVAL;
		d->wide = c->wide;
		return xen_map_shared(d, x.gpfn);
	case XENMAPSPACE_grant_table:
		return map_grants(d, x.idx, x.gpfn);
	}
	return -XEN_ENOSYS;
}

/* The map that PVH's start information has too. */
static int64_t memory_map(struct xen_domain *d, const struct xen_call *c)
{
	const struct mem_map *mem = d->mem;
	struct {
		uint32_t nr, pad;
		uint64_t list;
	} wide;
	struct {
		uint32_t nr, list;
	} narrow;
	struct {
		uint64_t addr, size;
		uint32_t type;
	} __attribute__((packed)) e820[MEM_MAX_RANGES];
	unsigned int i;
	int ret;

	_Static_assert(sizeof(wide) == sizeof(struct xen_memory_map),
		       "xen_memory_map");
	if (c->wide) {
		ret = xen_copy_in(d, c, &wide, c->arg[1], sizeof(wide));
	} else {
		ret = xen_copy_in(d, c, &narrow, c->arg[1], sizeof(narrow));
		wide.nr = narrow.nr;
		wide.list = narrow.list;
	}
	if (ret)
		return ret;
	if (wide.nr < mem->n)
		return -XEN_EINVAL;
	for (i = 0; i < mem->n; i++) {
		e820[i].addr = mem->ranges[i].addr;
		e820[i].size = mem->ranges[i].size;
		e820[i].type = mem->ranges[i].type;
	}
	wide.nr = mem->n;
	ret = xen_copy_out(d, c, wide.list, e820, mem->n * sizeof(e820[0]));
	/* Both structs begin with it. */
	return ret ? ret :
		     xen_copy_out(d, c, c->arg[1], &wide.nr, sizeof(wide.nr));
}

/* The domain whose memory is asked for. */
static int check_domain(struct xen_domain *d, const struct xen_call *c)
{
	domid_t domid;

	if (xen_copy_in(d, c, &domid, c->arg[1], sizeof(domid)))
		return -XEN_EFAULT;
	return xen_is_self(domid) ? 0 : -XEN_ESRCH;
}

int64_t xen_memory_op(struct xen_domain *d, const struct xen_call *c)
{
	uint64_t pages = xen_ram_pages(d);
	int ret;

	switch (c->arg[0] & ((1u << EXTENT_SHIFT) - 1)) {
	case XENMEM_increase_reservation:
		/* A guest of this kind has no use for pages without an address. */
		return 0;
	case XENMEM_decrease_reservation:
		return change_reservation(d, c, true);
	case XENMEM_populate_physmap:
		return change_reservation(d, c, false);
	case XENMEM_add_to_physmap:
		return add_to_physmap(d, c);
	case XENMEM_memory_map:
		return memory_map(d, c);
	case XENMEM_maximum_ram_page:
		return xen_max_ram(d);
	case XENMEM_current_reservation:
		ret = check_domain(d, c);
		return ret ? ret : (int64_t)(pages - d->nr_holes);
	case XENMEM_maximum_reservation:
		ret = check_domain(d, c);
		return ret ? ret : (int64_t)pages;
	case XENMEM_maximum_gpfn:
		ret = check_domain(d, c);
		return ret ? ret : (int64_t)d->max_gfn;
	}
	return -XEN_ENOSYS;
}
