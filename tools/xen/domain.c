// SPDX-License-Identifier: GPL-2.0
/* The domain: how it is made, its CPUID leaves, its hypercalls, its memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/* The version whose public headers this is built with. */
#define VERSION_MAJOR 4
#define VERSION_MINOR 17

#define SHARED_OFFSET(d, field)                                   \
	((d)->wide ? offsetof(struct shared_info_x86_64, field) : \
		     offsetof(struct shared_info_x86_32, field))

int xen_create(struct xen_domain *d, const struct xen_ops *ops, void *ctx,
	       struct lv_vm *vm, struct timers *timers, unsigned int tsc_khz,
	       const struct mem_map *mem)
{
	uint64_t pages;

	memset(d, 0, sizeof(*d));
	d->mem = mem;
	d->max_gfn = ((XEN_SPECIAL_GPA + XEN_SPECIAL_SIZE) >> PAGE_SHIFT) - 1;
	if (mem->high_bytes)
		d->max_gfn = xen_max_ram(d) - 1;
	pages = xen_ram_pages(d);
	d->ops = ops;
	d->ctx = ctx;
	d->vm = vm;
	d->timers = timers;
	d->start = timers_now(timers);
	d->tsc_khz = tsc_khz;
	d->holes = calloc((pages + 63) / 64, sizeof(*d->holes));
	if (!d->holes)
		return lv_fail(ENOMEM, "no memory for the guest's Xen");
	d->shared = d->early;
	d->vcpu_info = d->early;
	d->params[HVM_PARAM_CONSOLE_PFN] = XEN_CONSOLE_GPA >> PAGE_SHIFT;
	d->params[HVM_PARAM_CONSOLE_EVTCHN] = XEN_CONSOLE_PORT;
	xen_events_init(d);
	xen_sched_init(d);
	return 0;
}

void xen_destroy(struct xen_domain *d)
{
	if (!d->holes)
		return;
	xen_sched_destroy(d);
	free(d->holes);
	d->holes = NULL;
}

bool xen_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	memset(regs, 0, 4 * sizeof(*regs));
	switch (leaf - XEN_CPUID_FIRST_LEAF) {
	case 0:
		regs[0] = XEN_CPUID_FIRST_LEAF + 4;
		regs[1] = XEN_CPUID_SIGNATURE_EBX;
		regs[2] = XEN_CPUID_SIGNATURE_ECX;
		regs[3] = XEN_CPUID_SIGNATURE_EDX;
		return true;
	case 1:
		regs[0] = VERSION_MAJOR << 16 | VERSION_MINOR;
		return true;
	case 2:
		regs[0] = 1; /* pages of hypercalls */
		regs[1] = XEN_MSR;
		return true;
	case 3: /* time: nothing that a guest must know */
		return true;
	case 4:
		regs[0] = XEN_HVM_CPUID_VCPU_ID_PRESENT |
			  XEN_HVM_CPUID_DOMID_PRESENT |
			  XEN_HVM_CPUID_UPCALL_VECTOR;
		regs[2] = XEN_DOMID;
		return true;
	}
	return false;
}

/* ---- guest memory ---- */

bool xen_is_self(uint16_t domid)
{
	return domid == DOMID_SELF || domid == XEN_DOMID;
}

#define HIGH_GFN (1ull << (32 - PAGE_SHIFT))

uint64_t xen_ram_pages(const struct xen_domain *d)
{
	return (d->mem->low_end + d->mem->high_bytes) >> PAGE_SHIFT;
}

uint64_t xen_max_ram(const struct xen_domain *d)
{
	return d->mem->high_bytes ?
		       HIGH_GFN + (d->mem->high_bytes >> PAGE_SHIFT) :
		       d->mem->low_end >> PAGE_SHIFT;
}

bool xen_ram_index(const struct xen_domain *d, uint64_t gfn, uint64_t *index)
{
	uint64_t low = d->mem->low_end >> PAGE_SHIFT;

	*index = gfn < HIGH_GFN ? gfn : low + (gfn - HIGH_GFN);
	return gfn < low || (gfn >= HIGH_GFN && gfn < xen_max_ram(d));
}

static bool is_hole(const struct xen_domain *d, uint64_t gfn)
{
	uint64_t i;

	return xen_ram_index(d, gfn, &i) && d->holes[i / 64] >> (i % 64) & 1;
}

uint8_t *xen_page(struct xen_domain *d, uint64_t gfn)
{
	if (gfn > UINT64_MAX >> PAGE_SHIFT || is_hole(d, gfn))
		return NULL;
	return lv_vm_ptr(d->vm, gfn << PAGE_SHIFT, PAGE_SIZE);
}

/* Where @la lies, for an access of the caller's, and how much of its page follows. */
static uint8_t *find(struct xen_domain *d, const struct xen_call *c,
		     uint64_t la, bool write, size_t *room)
{
	uint64_t gpa;
	uint8_t *page;

	if (d->ops->translate(d->ctx, la, c->cpl, write, &gpa))
		return NULL;
	*room = PAGE_SIZE - PAGE_OFFSET(la);
	page = xen_page(d, gpa >> PAGE_SHIFT);
	return page ? page + PAGE_OFFSET(gpa) : NULL;
}

/* Is it canonical with five levels? With four, translate() refuses the rest. */
static bool canonical(uint64_t la)
{
	return (uint64_t)((int64_t)(la << 7) >> 7) == la;
}

static bool bad_range(const struct xen_call *c, uint64_t la, size_t len)
{
	uint64_t last = la + len - 1;

	if (!len)
		return false;
	return last < la || (c->wide ? !canonical(la) || !canonical(last) :
				       last > UINT32_MAX);
}

static int copy(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		void *buf, size_t len, bool write)
{
	uint8_t *at, *p = buf;
	size_t n;

	if (bad_range(c, la, len))
		return -XEN_EFAULT;
	for (; len; len -= n, la += n, p += n) {
		at = find(d, c, la, write, &n);
		if (!at)
			return -XEN_EFAULT;
		if (n > len)
			n = len;
		if (write)
			memcpy(at, p, n);
		else
			memcpy(p, at, n);
	}
	return 0;
}

int xen_copy_in(struct xen_domain *d, const struct xen_call *c, void *to,
		uint64_t la, size_t len)
{
	return copy(d, c, la, to, len, false);
}

int xen_copy_out(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		 const void *from, size_t len)
{
	return copy(d, c, la, (void *)from, len, true);
}

int xen_copy_long(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		  uint64_t i, uint64_t *value)
{
	unsigned int bytes = c->wide ? 8 : 4;

	*value = 0;
	if (__builtin_add_overflow(la, i * bytes, &la))
		return -XEN_EFAULT;
	return xen_copy_in(d, c, value, la, bytes);
}

int xen_find_area(struct xen_domain *d, const struct xen_call *c, uint64_t la,
		  size_t len, struct xen_area *a)
{
	size_t room;

	if (bad_range(c, la, len) ||
	    d->ops->translate(d->ctx, la, c->cpl, true, &a->gpa[0]))
		return -XEN_EFAULT;
	room = PAGE_SIZE - PAGE_OFFSET(la);
	if (len > room &&
	    d->ops->translate(d->ctx, la + room, c->cpl, true, &a->gpa[1]))
		return -XEN_EFAULT;
	if (!xen_page(d, a->gpa[0] >> PAGE_SHIFT) ||
	    (len > room && !xen_page(d, a->gpa[1] >> PAGE_SHIFT)))
		return -XEN_EFAULT;
	return 0;
}

void xen_store_area(struct xen_domain *d, const struct xen_area *a,
		    const void *from, size_t len)
{
	size_t off = PAGE_OFFSET(a->gpa[0]), n = PAGE_SIZE - off;
	uint8_t *page = xen_page(d, a->gpa[0] >> PAGE_SHIFT);

	if (n > len)
		n = len;
	if (page)
		memcpy(page + off, from, n);
	page = n < len ? xen_page(d, a->gpa[1] >> PAGE_SHIFT) : NULL;
	if (page)
		memcpy(page, (const uint8_t *)from + n, len - n);
}

/* ---- shared_info ---- */

uint64_t xen_system_time(const struct xen_domain *d)
{
	return timers_now(d->timers) - d->start;
}

/* By how much to shift and multiply TSC ticks to get ns. */
static void tsc_scale(unsigned int khz, uint32_t *mul, int8_t *shift)
{
	uint64_t hz = khz * 1000ull;

	*shift = 0;
	while (hz > 2 * NSEC_PER_SEC) {
		hz >>= 1;
		--*shift;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		++*shift;
	}
	*mul = ((__uint128_t)NSEC_PER_SEC << 32) / hz;
}

void xen_update_time(struct xen_domain *d)
{
	/* both layouts have the same fields at the same places */
	struct vcpu_time_info_x86_64 *t =
		(void *)(d->vcpu_info +
			 (d->wide ? offsetof(struct vcpu_info_x86_64, time) :
				    offsetof(struct vcpu_info_x86_32, time)));
	uint32_t *wc_version =
		(void *)(d->shared + SHARED_OFFSET(d, wc_version));
	struct timespec now;

	_Static_assert(sizeof(struct vcpu_time_info_x86_64) ==
			       sizeof(struct vcpu_time_info_x86_32),
		       "time in vcpu_info");
	if (!d->tsc_khz)
		return;
	t->version++;
	t->tsc_timestamp = d->ops->guest_tsc(d->ctx);
	t->system_time = xen_system_time(d);
	tsc_scale(d->tsc_khz, &t->tsc_to_system_mul, &t->tsc_shift);
	t->version++;
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec -= t->system_time / NSEC_PER_SEC;
	now.tv_nsec -= t->system_time % NSEC_PER_SEC;
	if (now.tv_nsec < 0) {
		now.tv_sec--;
		now.tv_nsec += NSEC_PER_SEC;
	}
	++*wc_version;
	wc_version[1] = now.tv_sec;
	wc_version[2] = now.tv_nsec;
	++*wc_version;
}

int xen_map_shared(struct xen_domain *d, uint64_t gfn)
{
	bool inside = d->vcpu_info == d->shared;
	uint8_t *page = xen_page(d, gfn);

	if (!page)
		return -XEN_EINVAL;
	if (page == d->shared)
		return 0;
	memcpy(page, d->shared, PAGE_SIZE);
	/* shared_info is in one place at a time. */
	memset(d->shared, 0, PAGE_SIZE);
	d->shared = page;
	if (inside)
		d->vcpu_info = page;
	xen_update_time(d);
	xen_events_moved(d);
	return 0;
}

/* ---- hypercalls ---- */

int64_t xen_hypercall(struct xen_domain *d, const struct xen_call *call)
{
	struct xen_call c = *call;
	unsigned int i;

	for (i = 0; i < 6 && !c.wide; i++)
		c.arg[i] = (uint32_t)c.arg[i];
	switch (c.nr) {
	case __HYPERVISOR_memory_op:
		return xen_memory_op(d, &c);
	case __HYPERVISOR_set_timer_op:
		return xen_set_timer_op(d, &c);
	case __HYPERVISOR_xen_version:
		return xen_version(d, &c);
	case __HYPERVISOR_console_io:
		return xen_console_io(d, &c);
	case __HYPERVISOR_grant_table_op:
		return xen_grant_table_op(d, &c);
	case __HYPERVISOR_vcpu_op:
		return xen_vcpu_op(d, &c);
	case __HYPERVISOR_sched_op:
		return xen_sched_op(d, &c);
	case __HYPERVISOR_event_channel_op:
		return xen_event_channel_op(d, &c);
	case __HYPERVISOR_hvm_op:
		return xen_hvm_op(d, &c);
	case __HYPERVISOR_platform_op:
	case __HYPERVISOR_sysctl:
	case __HYPERVISOR_domctl:
		return -XEN_EPERM; /* for whoever runs guests */
	}
	return -XEN_ENOSYS;
}

/* ---- xen_version ---- */

static int64_t put_text(struct xen_domain *d, const struct xen_call *c,
			const char *text, size_t size)
{
	char buf[sizeof(xen_capabilities_info_t)] = { 0 };

	strncpy(buf, text, size - 1);
	return xen_copy_out(d, c, c->arg[1], buf, size);
}

static int64_t put_compile_info(struct xen_domain *d, const struct xen_call *c)
{
	struct xen_compile_info info = { 0 };

	strncpy(info.compiler, "gcc", sizeof(info.compiler) - 1);
	strncpy(info.compile_by, "vigil", sizeof(info.compile_by) - 1);
	return xen_copy_out(d, c, c->arg[1], &info, sizeof(info));
}

static int64_t put_features(struct xen_domain *d, const struct xen_call *c)
{
	struct xen_feature_info info;

	if (xen_copy_in(d, c, &info, c->arg[1], sizeof(info)))
		return -XEN_EFAULT;
	if (info.submap_idx)
		return -XEN_EINVAL;
	info.submap = 1u << XENFEAT_hvm_callback_vector |
		      1u << XENFEAT_memory_op_vnode_supported;
	if (d->tsc_khz)
		info.submap |= 1u << XENFEAT_hvm_safe_pvclock;
	return xen_copy_out(d, c, c->arg[1], &info, sizeof(info));
}

int64_t xen_version(struct xen_domain *d, const struct xen_call *c)
{
	static const uint64_t
		no_start; /* of Xen's own addresses: the guest has all */

	switch (c->arg[0]) {
	case XENVER_version:
		return VERSION_MAJOR << 16 | VERSION_MINOR;
	case XENVER_extraversion:
		return put_text(d, c, ".0-vigil", sizeof(xen_extraversion_t));
	case XENVER_compile_info:
		return put_compile_info(d, c);
	case XENVER_capabilities:
		return put_text(
			d, c, "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ",
			sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return put_text(d, c, "unavailable",
				sizeof(xen_changeset_info_t));
	case XENVER_platform_parameters:
		return xen_copy_out(d, c, c->arg[1], &no_start,
				    c->wide ? 8 : 4);
	case XENVER_get_features:
		return put_features(d, c);
	case XENVER_pagesize:
		return PAGE_SIZE;
	case XENVER_guest_handle: {
		xen_domain_handle_t handle = { 0 };

		return xen_copy_out(d, c, c->arg[1], handle, sizeof(handle));
	}
	case XENVER_commandline:
	case XENVER_build_id:
		return -XEN_EPERM; /* the host's business */
	}
	return -XEN_ENOSYS;
}
