// SPDX-License-Identifier: GPL-2.0
/* Xen's side of a guest: each hypercall, what it refuses, both widths of structs. */
#include <string.h>

#include "clock.h"
#include "domain.h"
#include "internal.h"
#include "tap.h"

#define MIB (1u << 20)
#define RAM (4 * MIB)
#define HIGH (1ull << 32)
#define ARG 0x10000 /* where arguments lie */
#define LIST 0x11000
#define SHARED 0x20000
#define TOP 0x60000 /* here lies the page at the end of the address space */
#define KERNEL 0x100000 /* from here on user mode has no rights */
#define READ_ONLY 0x200000 /* translate() refuses writes to this page */

static uint8_t ram[RAM] __attribute__((aligned(4096)));
static uint8_t special[XEN_SPECIAL_SIZE] __attribute__((aligned(4096)));
static uint8_t high[MIB] __attribute__((aligned(4096)));
static uint8_t extra[XEN_EXTRA_PAGES][4096] __attribute__((aligned(4096)));
static struct mem_map mem;
static struct lv_vm vm;
static struct xen_domain d;
static char text[4096], hv_text[4096];
static int reason, added, waits;
static bool line, irq, irqs_on, stop, ring_used;
static unsigned int line_nr;
static void (*on_wait)(void);

static int translate(void *ctx, uint64_t la, unsigned int cpl, bool write,
		     uint64_t *gpa)
{
	/* As page tables do, which know no more of an address. */
	la &= (1ull << 48) - 1;
	if (la >> 12 == (1ull << 36) - 1)
		la = TOP + la % 4096;
	if (la >= RAM || (cpl == 3 && la >= KERNEL) ||
	    (write && la >> 12 == READ_ONLY >> 12))
		return -1;
	*gpa = la;
	return 0;
}

static uint64_t guest_tsc(void *ctx)
{
	return now * 2;
}

static void output(void *ctx, const uint8_t *data, size_t len)
{
	strncat(text, (const char *)data, len);
}

static void hypervisor_output(void *ctx, const uint8_t *data, size_t len)
{
	strncat(hv_text, (const char *)data, len);
}

static void shutdown_guest(void *ctx, unsigned int why)
{
	reason = why;
}

static int add_page(void *ctx, uint64_t gpa)
{
	vm.slots[3 + added] =
		(struct lv_slot){ gpa, sizeof(extra[0]), extra[added], 0 };
	added++;
	return 0;
}

static void set_irq(void *ctx, unsigned int nr, bool up)
{
	line_nr = nr;
	line = up;
}

static bool irq_pending(void *ctx)
{
	return irq;
}

static bool takes_irqs(void *ctx)
{
	return irqs_on;
}

static bool wait_for(void *ctx)
{
	waits++;
	if (on_wait)
		on_wait();
	else
		clock_to_deadline();
	return !stop;
}

static bool stopping(void *ctx)
{
	return stop;
}

static void use_console(void *ctx)
{
	ring_used = true;
}

static const struct xen_ops ops = {
	.translate = translate,
	.guest_tsc = guest_tsc,
	.output = output,
	.hypervisor_output = hypervisor_output,
	.shutdown = shutdown_guest,
	.add_page = add_page,
	.set_irq = set_irq,
	.irq_pending = irq_pending,
	.takes_irqs = takes_irqs,
	.wait = wait_for,
	.stopping = stopping,
	.use_console = use_console,
};

static void setup(void)
{
	memset(&vm, 0, sizeof(vm));
	memset(ram, 0, sizeof(ram));
	memset(special, 0, sizeof(special));
	memset(extra, 0, sizeof(extra));
	vm.slots[0] = (struct lv_slot){ 0, RAM, ram, 0 };
	vm.slots[1] = (struct lv_slot){ XEN_SPECIAL_GPA, XEN_SPECIAL_SIZE,
					special, 0 };
	mem = (struct mem_map){ .ranges = { { 0, RAM, E820_RAM } },
				.n = 1,
				.low_end = RAM };
	clock_setup(1000000);
	text[0] = hv_text[0] = 0;
	reason = -1;
	added = waits = 0;
	line = irq = irqs_on = stop = ring_used = false;
	on_wait = NULL;
	if (xen_create(&d, &ops, NULL, &vm, &timers, 2000000, &mem))
		ERROR("no domain");
}

static void teardown(void)
{
	xen_destroy(&d);
}

static void *at(uint64_t gpa)
{
	return ram + gpa;
}

static int64_t call_as(unsigned int cpl, bool wide, uint64_t nr, uint64_t a,
		       uint64_t b, uint64_t c)
{
	const struct xen_call call = {
		.nr = nr, .arg = { a, b, c }, .wide = wide, .cpl = cpl
	};

	return xen_hypercall(&d, &call);
}

static int64_t call(bool wide, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	return call_as(0, wide, nr, a, b, c);
}

/* ---- memory ---- */

static int64_t map_shared(bool wide, uint64_t gpa)
{
	struct xen_add_to_physmap *w = at(ARG);
	uint32_t *n = at(ARG);

	memset(at(ARG), 0, 64);
	if (wide) {
		w->domid = DOMID_SELF;
		w->gpfn = gpa >> 12;
	} else {
		n[0] = DOMID_SELF;
		n[3] = gpa >> 12;
	}
	return call(wide, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG,
		    0);
}

static int64_t reserve(bool wide, unsigned int cmd, const uint64_t *gfns,
		       unsigned int nr, unsigned int order)
{
	struct xen_memory_reservation *w = at(ARG);
	uint32_t *n = at(ARG), *list32 = at(LIST);
	uint64_t *list64 = at(LIST);
	unsigned int i;

	memset(at(ARG), 0, 64);
	for (i = 0; i < nr; i++) {
		if (wide)
			list64[i] = gfns[i];
		else
			list32[i] = gfns[i];
	}
	if (wide) {
		memcpy(w, &(uint64_t){ LIST }, 8);
		w->nr_extents = nr;
		w->extent_order = order;
		w->domid = DOMID_SELF;
	} else {
		n[0] = LIST;
		n[1] = nr;
		n[2] = order;
		n[4] = DOMID_SELF;
	}
	return call(wide, __HYPERVISOR_memory_op, cmd, ARG, 0);
}

static void memory(long wide)
{
	const uint64_t gfns[] = { 0x300, 0x301, 0x300 };
	const uint64_t far[] = { 0xfffff };
	int64_t all = RAM >> 12;

	setup();
	memset(at(0x300000), 0x5a, 4096);
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, gfns, 3, 0), 2);
	CHECK_EQ(*(uint8_t *)at(0x300000), 0);
	*(uint16_t *)at(ARG) = DOMID_SELF;
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_current_reservation,
		      ARG, 0),
		 all - 2);
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_maximum_reservation,
		      ARG, 0),
		 all);
	CHECK_EQ(reserve(wide, XENMEM_populate_physmap, gfns, 3, 0), 2);
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, gfns, 1, 1), 1);
	CHECK_EQ(reserve(wide, XENMEM_populate_physmap, gfns, 2, 0), 2);
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, gfns, 1, 63), 0);
	/* The second extent is done already. */
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation | 1 << 6, gfns, 2,
			 0),
		 2);
	CHECK_EQ(reserve(wide, XENMEM_populate_physmap, far, 1, 0), 1);
	CHECK_EQ(added, 1);
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, far, 1, 0), 0);
	CHECK_EQ(reserve(wide, XENMEM_increase_reservation, gfns, 1, 0), 0);
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_exchange, ARG, 0),
		 -XEN_ENOSYS);
	*(uint16_t *)at(ARG) = 7;
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_maximum_gpfn, ARG,
		      0),
		 -XEN_ESRCH);
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_add_to_physmap,
		      RAM - 4, 0),
		 -XEN_EFAULT);
	teardown();
}

static int64_t memory_op(bool wide, unsigned int cmd)
{
	*(uint16_t *)at(ARG) = DOMID_SELF;
	return call(wide, __HYPERVISOR_memory_op, cmd, ARG, 0);
}

/* A page that the guest has given back, or never had, becomes shared_info. */
static void map_into_hole(long wide)
{
	const uint64_t gfns[] = { 0x300, 0x301 };
	uint64_t gfn;

	setup();
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, gfns, 2, 0), 2);
	CHECK_EQ(map_shared(wide, 0x300000), 0);
	CHECK(d.shared == at(0x300000));
	CHECK_EQ(memory_op(wide, XENMEM_current_reservation), (RAM >> 12) - 1);
	CHECK_EQ(reserve(wide, XENMEM_populate_physmap, gfns, 1, 0), 0);
	CHECK_EQ(map_shared(wide, 0x2000000), 0);
	CHECK(d.shared == extra[0]);
	CHECK_EQ(added, 1);
	/* Where no page can be, nothing has changed. */
	for (gfn = 0xff000; added < XEN_EXTRA_PAGES; gfn++)
		CHECK_EQ(reserve(wide, XENMEM_populate_physmap, &gfn, 1, 0), 1);
	CHECK_EQ(map_shared(!wide, 0x3000000), -XEN_EINVAL);
	CHECK(d.shared == extra[0]);
	CHECK_EQ(d.wide, wide);
	teardown();
}

/* RAM above 4 GiB counts, can be given back, and is told of. */
static void high_memory(long wide)
{
	const uint64_t gfns[] = { (HIGH >> 12) + 0xfe, (HIGH >> 12) + 0xff,
				  (HIGH >> 12) + 0x100 };
	const int64_t all = (RAM + MIB) >> 12;
	struct {
		uint64_t addr, size;
		uint32_t type;
	} __attribute__((packed)) *map = at(LIST);
	uint64_t *w = at(ARG);
	uint32_t *n = at(ARG);

	setup();
	xen_destroy(&d);
	mem.ranges[1] = (struct mem_range){ HIGH, MIB, E820_RAM };
	mem.n = 2;
	mem.high_bytes = MIB;
	vm.slots[2] = (struct lv_slot){ HIGH, MIB, high, 0 };
	REQUIRE_EQ(xen_create(&d, &ops, NULL, &vm, &timers, 2000000, &mem), 0);
	memset(high, 0x5a, sizeof(high));
	CHECK_EQ(memory_op(wide, XENMEM_current_reservation), all);
	CHECK_EQ(memory_op(wide, XENMEM_maximum_reservation), all);
	CHECK_EQ(memory_op(wide, XENMEM_maximum_ram_page), gfns[2]);
	CHECK_EQ(memory_op(wide, XENMEM_maximum_gpfn), gfns[1]);
	CHECK_EQ(reserve(wide, XENMEM_decrease_reservation, gfns, 3, 0), 2);
	CHECK_EQ(high[0xff000], 0);
	CHECK_EQ(high[0xfdfff], 0x5a);
	CHECK(!xen_page(&d, gfns[0]) && xen_page(&d, gfns[0] - 1));
	CHECK_EQ(memory_op(wide, XENMEM_current_reservation), all - 2);
	/* The RAM below is as it was. */
	CHECK(xen_page(&d, 0xfe) && xen_page(&d, (RAM >> 12) - 1));
	CHECK_EQ(reserve(wide, XENMEM_populate_physmap, gfns, 3, 0), 3);
	CHECK_EQ(added, 1);
	CHECK_EQ(memory_op(wide, XENMEM_current_reservation), all);
	CHECK_EQ(memory_op(wide, XENMEM_maximum_gpfn), gfns[2]);

	n[0] = 2;
	if (wide)
		w[1] = LIST;
	else
		n[1] = LIST;
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_memory_map, ARG, 0),
		 0);
	CHECK_EQ(n[0], 2);
	CHECK_EQ(map[0].size, RAM);
	CHECK_EQ(map[1].addr, HIGH);
	CHECK_EQ(map[1].size, MIB);
	CHECK_EQ(map[1].type, E820_RAM);
	n[0] = 1;
	CHECK_EQ(call(wide, __HYPERVISOR_memory_op, XENMEM_memory_map, ARG, 0),
		 -XEN_EINVAL);
	teardown();
}

/* As often as there are slots for it, a guest has pages beyond its RAM. */
static void extra_pages(long unused)
{
	uint64_t gfn;

	setup();
	for (gfn = 0xff000; gfn < 0xff000 + XEN_EXTRA_PAGES + 2; gfn++)
		CHECK_EQ(reserve(true, XENMEM_populate_physmap, &gfn, 1, 0),
			 gfn < 0xff000 + XEN_EXTRA_PAGES);
	CHECK_EQ(added, XEN_EXTRA_PAGES);
	teardown();
}

/* ---- events ---- */

static uint64_t port_word(bool wide, unsigned int port)
{
	return SHARED + 0x800 + port / 8;
}

static bool pending(bool wide, unsigned int port)
{
	return *(uint8_t *)at(port_word(wide, port)) >> (port % 8) & 1;
}

static void clear_events(bool wide)
{
	memset(at(SHARED), 0, 64);
	memset(at(SHARED + 0x800), 0, wide ? 512 : 128);
}

static int64_t event_op(bool wide, unsigned int cmd, const void *op, size_t n)
{
	memcpy(at(ARG), op, n);
	return call(wide, __HYPERVISOR_event_channel_op, cmd, ARG, 0);
}

static void events(long wide)
{
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF,
					   .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain in = { .remote_dom = DOMID_SELF };
	struct evtchn_bind_ipi ipi = { 0 };
	struct evtchn_status st = { .dom = DOMID_SELF };
	struct evtchn_send s;
	uint8_t *upcall = at(SHARED), *mask;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	mask = at(SHARED + 0x800 + (wide ? 512 : 128));
	CHECK_EQ(event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)), 0);
	memcpy(&un, at(ARG), sizeof(un));
	CHECK(un.port > XEN_CONSOLE_PORT);
	in.remote_port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_interdomain, &in, sizeof(in)), 0);
	memcpy(&in, at(ARG), sizeof(in));
	CHECK(pending(wide, in.local_port));
	CHECK_EQ(*upcall, 1);
	clear_events(wide);

	s.port = in.local_port;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(pending(wide, un.port) && !pending(wide, in.local_port));
	CHECK_EQ(*(uint32_t *)(upcall + (wide ? 8 : 4)), 1);
	clear_events(wide);

	/* A masked port tells when it is unmasked. */
	mask[un.port / 8] |= 1 << un.port % 8;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(pending(wide, un.port) && !*upcall);
	s.port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_unmask, &s, sizeof(s)), 0);
	CHECK_EQ(*upcall, 1);

	st.port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_status, &st, sizeof(st)), 0);
	memcpy(&st, at(ARG), sizeof(st));
	CHECK_EQ(st.status, EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.port, in.local_port);
	s.port = in.local_port;
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(event_op(wide, EVTCHNOP_status, &st, sizeof(st)), 0);
	memcpy(&st, at(ARG), sizeof(st));
	CHECK_EQ(st.status, EVTCHNSTAT_unbound);

	ipi.vcpu = 1;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)),
		 -XEN_ENOENT);
	s.port = XEN_CONSOLE_PORT;
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), -XEN_EINVAL);
	s.port = 0;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), -XEN_EINVAL);
	s.port = ~0u;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(event_op(wide, EVTCHNOP_unmask, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op, 99, ARG, 0),
		 -XEN_ENOSYS);
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op,
		      EVTCHNOP_expand_array, ARG, 0),
		 -XEN_EOPNOTSUPP);
	teardown();
}

/* All ports in use; a result that cannot be stored leaves none behind. */
static void port_limits(long wide)
{
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF };
	unsigned int max = wide ? 4096 : 1024, n = 0;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	memcpy(at(READ_ONLY), &un, sizeof(un));
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op,
		      EVTCHNOP_alloc_unbound, READ_ONLY, 0),
		 -XEN_EFAULT);
	while (!event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)))
		n++;
	CHECK_EQ(n, max - 2);
	CHECK_EQ(event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)),
		 -XEN_ENOSPC);
	teardown();
}

static int64_t hvm_param_as(bool wide, unsigned int cmd, uint32_t index,
			    uint64_t value)
{
	struct xen_hvm_param p = { DOMID_SELF, 0, index, value };

	memcpy(at(ARG), &p, sizeof(p));
	return call(wide, __HYPERVISOR_hvm_op, cmd, ARG, 0);
}

static int64_t hvm_param(unsigned int cmd, uint32_t index, uint64_t value)
{
	return hvm_param_as(true, cmd, index, value);
}

static void callbacks(long unused)
{
	setup();
	CHECK_EQ(map_shared(true, SHARED), 0);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 5), 0);
	xen_before_entry(&d);
	CHECK(!line);
	*(uint8_t *)at(SHARED) = 1;
	xen_before_entry(&d);
	CHECK(line && line_nr == 5);
	CHECK_EQ(xen_vector(&d), -1);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			   2ull << 56 | 0x40),
		 0);
	CHECK(!line);
	CHECK_EQ(xen_vector(&d), 0x40);
	*(uint8_t *)at(SHARED) = 0;
	CHECK_EQ(xen_vector(&d), -1);

	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			   2ull << 56 | 8),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 16),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 1ull << 56),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_STORE_PFN, 1),
		 -XEN_EPERM);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_IOREQ_PFN, 0),
		 -XEN_EPERM);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_NR_PARAMS, 0), -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_STORE_PFN, 0), 0);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_CONSOLE_PFN, 0), 0);
	CHECK_EQ(((struct xen_hvm_param *)at(ARG))->value,
		 XEN_CONSOLE_GPA >> 12);
	teardown();
}

/* ---- time, waiting ---- */

static void raise_irq(void)
{
	irq = true;
}

static void timers_and_waiting(long wide)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	struct {
		uint64_t timeout;
		uint32_t flags;
	} __attribute__((packed)) once = { 5000, 0 };
	uint64_t *w = at(ARG);
	uint32_t *n = at(ARG), port;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	port = ((struct evtchn_bind_virq *)at(ARG))->port;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)),
		 -XEN_EEXIST);

	memcpy(at(ARG), &once, sizeof(once));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer,
		      0, ARG),
		 0);
	*(uint32_t *)at(LIST) = port;
	memset(at(ARG), 0, 64);
	if (wide) {
		w[0] = LIST;
		n[2] = 1;
	} else {
		n[0] = LIST;
		n[1] = 1;
	}
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0), 0);
	CHECK(pending(wide, port));
	CHECK_EQ(now, 1005000);

	/* No event comes, so the time limit ends it. */
	clear_events(wide);
	w[wide ? 2 : 1] = 9000;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0), 0);
	CHECK(!pending(wide, port));
	CHECK_EQ(now, 1009000);
	n[wide ? 2 : 1] = 129;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0),
		 -XEN_EINVAL);
	n[wide ? 2 : 1] = 1;
	*(uint32_t *)at(LIST) = 777;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0),
		 -XEN_EINVAL);

	/* Any interrupt ends a block; a guest that is to end does, too. */
	on_wait = raise_irq;
	waits = 0;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(waits, 1);
	irq = false;
	stop = true;
	on_wait = NULL;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(waits, 2);
	teardown();
}

static void raise_event(void)
{
	clock_to(now + 1000);
	xen_raise_virq(&d, VIRQ_TIMER);
}

static int64_t poll_for(bool wide, uint32_t port, uint64_t timeout)
{
	uint64_t *w = at(ARG);
	uint32_t *n = at(ARG);

	*(uint32_t *)at(LIST) = port;
	memset(at(ARG), 0, 64);
	n[0] = LIST;
	n[wide ? 2 : 1] = 1;
	w[wide ? 2 : 1] = timeout;
	waits = 0;
	return call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0);
}

/* An interrupt that the guest takes ends a poll for something else. */
static void poll_interrupted(long wide)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	irqs_on = true;
	on_wait = raise_irq;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 9000), 0);
	CHECK_EQ(waits, 1);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 9000), 0);
	CHECK_EQ(waits, 0);
	irq = false;

	/* An event, when the guest is told by a vector: by none it would not hear. */
	on_wait = raise_event;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 3000), 0);
	CHECK_EQ(waits, 3);
	CHECK_EQ(hvm_param_as(wide, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			      2ull << 56 | 0x40),
		 0);
	clear_events(wide);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 90000), 0);
	CHECK_EQ(waits, 1);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 90000), 0);
	CHECK_EQ(waits, 0);

	/* Who takes no interrupts waits for its port, or for the time. */
	irqs_on = false;
	irq = true;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, now - 1000000 + 2000), 0);
	CHECK_EQ(waits, 2);
	teardown();
}

static void periodic(long unused)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	uint32_t port;

	setup();
	CHECK_EQ(map_shared(true, SHARED), 0);
	CHECK_EQ(event_op(true, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	port = ((struct evtchn_bind_virq *)at(ARG))->port;
	*(uint64_t *)at(ARG) = 999999;
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0,
		      ARG),
		 -XEN_EINVAL);
	*(uint64_t *)at(ARG) = 2000000;
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0,
		      ARG),
		 0);
	for (int i = 0; i < 3; i++) {
		clear_events(true);
		clock_to_deadline();
		CHECK(pending(true, port));
	}
	CHECK_EQ(now, 7000000);
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0,
		      0),
		 0);
	CHECK_EQ(deadline, UINT64_MAX);
	/* The end of time is no time in the past. */
	CHECK_EQ(call(true, __HYPERVISOR_set_timer_op, UINT64_MAX, 0, 0), 0);
	CHECK(deadline > INT64_MAX);
	CHECK_EQ(call(false, __HYPERVISOR_set_timer_op, 0, 1, 0), 0);
	CHECK_EQ(deadline, 1000000 + (1ull << 32));
	teardown();
}

/* By the formula of Xen's headers the guest gets the time from its TSC. */
static void shared_time(long wide)
{
	struct vcpu_time_info *t = at(SHARED + 32);
	uint64_t tsc;

	setup();
	now = 6000000;
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(t->version % 2, 0);
	CHECK_EQ(t->system_time, 5000000);
	tsc = t->tsc_timestamp + 2000;
	tsc -= t->tsc_timestamp;
	tsc = t->tsc_shift < 0 ? tsc >> -t->tsc_shift : tsc << t->tsc_shift;
	tsc = tsc * t->tsc_to_system_mul >> 32;
	CHECK(tsc >= 999 && tsc <= 1001);
	teardown();
}

static void clock_and_irq(void)
{
	now += 1000;
	irq = true;
}

static void vcpus(long wide)
{
	struct vcpu_register_vcpu_info r = { .mfn = 0x40, .offset = 0x80 };
	uint32_t *state = at(0x41000);

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	*(uint8_t *)at(SHARED) = 1;
	r.offset = 4095;
	memcpy(at(ARG), &r, sizeof(r));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 -XEN_EINVAL);
	r.offset = 0x80;
	memcpy(at(ARG), &r, sizeof(r));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 0);
	CHECK_EQ(*(uint8_t *)at(0x40080), 1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 -XEN_EINVAL);
	/* shared_info moves without it. */
	CHECK_EQ(map_shared(wide, SHARED + 0x1000), 0);
	CHECK(xen_upcall_pending(&d));
	*(uint8_t *)at(0x40080) = 0;
	CHECK(!xen_upcall_pending(&d));

	now += 700;
	*(uint64_t *)at(ARG) = 0x41000;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 0);
	CHECK_EQ(state[wide ? 2 : 1], 700);
	*(uint64_t *)at(ARG) = RAM - 8;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0),
		 -XEN_ENOENT);
	CHECK_EQ(reason, -1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0), 0);
	CHECK_EQ(reason, SHUTDOWN_poweroff);
	teardown();
}

static uint64_t word_at(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, at(gpa), sizeof(v));
	return v;
}

/* Where the guest has registered its run state, whoever waits stores it. */
static void run_state(long wide)
{
	const unsigned int size = wide ? 48 : 44,
			   blocked = 8 * RUNSTATE_blocked + (wide ? 16 : 12);
	const uint64_t places[] = { KERNEL + 0x1000, KERNEL + 0x2ff0 };
	uint64_t *arg = at(ARG);
	unsigned int i;

	setup();
	on_wait = clock_and_irq;
	for (i = 0; i < 2; i++) {
		*arg = places[i];
		CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
			      VCPUOP_register_runstate_memory_area, 0, ARG),
			 0);
		memset(at(places[i]), 0, size);
		*(uint8_t *)at(places[i] + size) = 0x5a;
		irq = false;
		/* By user mode, which cannot store there. */
		CHECK_EQ(call_as(3, !wide, __HYPERVISOR_sched_op, SCHEDOP_block,
				 0, 0),
			 0);
		CHECK_EQ(word_at(places[i] + blocked), 1000 * (i + 1));
		CHECK_EQ(*(uint8_t *)at(places[i] + size), 0x5a);
	}
	/* User mode cannot register what it cannot store to. */
	CHECK_EQ(call_as(3, wide, __HYPERVISOR_vcpu_op,
			 VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	*arg = KERNEL - size + 1;
	CHECK_EQ(call_as(3, wide, __HYPERVISOR_vcpu_op,
			 VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	/* No address, no more stores: not to address 0 either. */
	*arg = 0;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 0);
	memset(at(places[1]), 0, size);
	irq = false;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(word_at(places[1] + blocked), 0);
	CHECK_EQ(word_at(blocked), 0);
	teardown();
}

static void endings(long unused)
{
	setup();
	*(uint32_t *)at(ARG) = SHUTDOWN_crash;
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0),
		 0);
	CHECK_EQ(reason, SHUTDOWN_crash);
	reason = -1;
	*(uint32_t *)at(ARG) = SHUTDOWN_suspend;
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0),
		 1);
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, RAM, 0),
		 -XEN_EFAULT);
	CHECK_EQ(reason, -1);
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ARG,
		      0),
		 -XEN_EPERM);
	teardown();
}

/* ---- consoles ---- */

static void consoles(long unused)
{
	struct xencons_interface *r = (void *)special;
	struct evtchn_send s = { XEN_CONSOLE_PORT };

	setup();
	CHECK_EQ(map_shared(true, SHARED), 0);
	strcpy(at(0xfffe), "by a call");
	CHECK_EQ(call(true, __HYPERVISOR_console_io, CONSOLEIO_write, 9,
		      0xfffe),
		 0);
	CHECK(!strcmp(hv_text, "by a call"));
	/* The kernel's memory is not for user mode, the whole call is not. */
	CHECK_EQ(call_as(3, true, __HYPERVISOR_console_io, CONSOLEIO_write, 8,
			 KERNEL - 4),
		 -XEN_EFAULT);
	CHECK_EQ(call_as(3, true, __HYPERVISOR_console_io, CONSOLEIO_write, 4,
			 KERNEL - 4),
		 0);
	CHECK_EQ(call(true, __HYPERVISOR_console_io, CONSOLEIO_write,
		      1ull << 31, 0),
		 -XEN_EINVAL);

	strcpy(r->out + 2040, "the ring");
	r->out_cons = r->out_prod = 2040;
	r->out_prod += 8;
	CHECK_EQ(event_op(true, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(ring_used && !strcmp(text, "the ring"));
	CHECK_EQ(r->out_cons, r->out_prod);
	CHECK(pending(true, XEN_CONSOLE_PORT));
	/* An index that cannot be: no more than the ring holds. */
	r->out_prod = r->out_cons + 100000;
	text[0] = 0;
	CHECK_EQ(event_op(true, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(strlen(text) <= sizeof(r->out));

	CHECK_EQ(xen_console_room(&d), sizeof(r->in));
	xen_console_input(&d, 'x');
	CHECK_EQ(r->in[0], 'x');
	CHECK_EQ(xen_console_room(&d), sizeof(r->in) - 1);
	r->in_prod = r->in_cons - 1;
	CHECK_EQ(xen_console_room(&d), 0);
	teardown();
}

/* ---- the rest ---- */

static void versions(long wide)
{
	struct xen_feature_info *f = at(ARG);
	unsigned int i;
	uint32_t r[4];

	setup();
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_version, 0, 0),
		 4 << 16 | 17);
	memset(at(ARG), 0xff, 2048);
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_extraversion, ARG,
		      0),
		 0);
	/* Nothing of the stack, and no byte too much. */
	for (i = strlen(at(ARG)); i < 16; i++)
		CHECK_EQ(*(uint8_t *)at(ARG + i), 0);
	CHECK_EQ(*(uint8_t *)at(ARG + 16), 0xff);
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_capabilities, ARG,
		      0),
		 0);
	CHECK(strstr(at(ARG), "hvm-3.0-x86_64"));
	memset(at(ARG), 0xff, 16);
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version,
		      XENVER_platform_parameters, ARG, 0),
		 0);
	CHECK_EQ(*(uint8_t *)at(ARG + (wide ? 7 : 3)), 0);
	CHECK_EQ(*(uint8_t *)at(ARG + (wide ? 8 : 4)), 0xff);
	f->submap_idx = 0;
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_get_features, ARG,
		      0),
		 0);
	CHECK(f->submap & 1 << XENFEAT_hvm_callback_vector);
	f->submap_idx = 1;
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_get_features, ARG,
		      0),
		 -XEN_EINVAL);
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_compile_info,
		      READ_ONLY, 0),
		 -XEN_EFAULT);
	CHECK_EQ(call(wide, __HYPERVISOR_xen_version, XENVER_commandline, ARG,
		      0),
		 -XEN_EPERM);
	CHECK_EQ(call(wide, __HYPERVISOR_sysctl, ARG, 0, 0), -XEN_EPERM);
	CHECK_EQ(call(wide, __HYPERVISOR_argo_op, 0, 0, 0), -XEN_ENOSYS);
	CHECK_EQ(call(wide, ~0ull, 0, 0, 0), -XEN_ENOSYS);
	CHECK(xen_cpuid(XEN_CPUID_FIRST_LEAF, 0, r));
	CHECK_EQ(r[1], XEN_CPUID_SIGNATURE_EBX);
	CHECK(!xen_cpuid(r[0] + 1, 0, r));
	teardown();
}

static void grants(long unused)
{
	struct xen_add_to_physmap x = { .domid = DOMID_SELF,
					.space = XENMAPSPACE_grant_table,
					.idx = 1,
					.gpfn = 0x50 };
	struct gnttab_query_size q = { .dom = DOMID_SELF };

	setup();
	memset(at(0x50000), 0xff, 4096);
	memcpy(at(ARG), &x, sizeof(x));
	CHECK_EQ(call(true, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG,
		      0),
		 0);
	CHECK_EQ(*(uint8_t *)at(0x50000), 0);
	*(uint8_t *)at(0x50010) = 7;
	x.gpfn = 0x51;
	memcpy(at(ARG), &x, sizeof(x));
	CHECK_EQ(call(true, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG,
		      0),
		 0);
	CHECK_EQ(*(uint8_t *)at(0x51010), 7);
	CHECK_EQ(*(uint8_t *)at(0x50010), 0);
	/* A page that the guest has given back takes it as well. */
	CHECK_EQ(reserve(true, XENMEM_decrease_reservation,
			 (uint64_t[]){ 0x52 }, 1, 0),
		 1);
	x.gpfn = 0x52;
	memcpy(at(ARG), &x, sizeof(x));
	CHECK_EQ(call(true, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG,
		      0),
		 0);
	CHECK_EQ(*(uint8_t *)at(0x52010), 7);
	x.idx = XEN_GRANT_PAGES;
	memcpy(at(ARG), &x, sizeof(x));
	CHECK_EQ(call(true, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARG,
		      0),
		 -XEN_EINVAL);
	memcpy(at(ARG), &q, sizeof(q));
	CHECK_EQ(call(true, __HYPERVISOR_grant_table_op, GNTTABOP_query_size,
		      ARG, 1),
		 0);
	CHECK_EQ(((struct gnttab_query_size *)at(ARG))->max_nr_frames,
		 XEN_GRANT_PAGES);
	CHECK_EQ(call(true, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
		      ARG, 1),
		 -XEN_ENOSYS);
	teardown();
}

/* An address of more bits than there are is no other one's. */
static void not_canonical(long unused)
{
	const uint64_t bad[] = { 1ull << 63, 1ull << 57, 1ull << 56,
				 0xfe0000ull << 40 };
	struct xen_memory_reservation *w = at(ARG);
	struct sched_poll *p = at(ARG);
	unsigned int i;

	setup();
	strcpy(at(LIST), "text");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(call(true, __HYPERVISOR_console_io, CONSOLEIO_write, 4,
			      bad[i] | LIST),
			 -XEN_EFAULT);
		CHECK_EQ(call(true, __HYPERVISOR_xen_version,
			      XENVER_extraversion, bad[i] | LIST, 0),
			 -XEN_EFAULT);
	}
	/* Its last byte alone is not. */
	CHECK_EQ(call(true, __HYPERVISOR_console_io, CONSOLEIO_write, 4,
		      (1ull << 56) - 2),
		 -XEN_EFAULT);
	CHECK(!hv_text[0]);
	CHECK(!strcmp(at(LIST), "text"));
	/* A list does not go on from 0 behind the end of the address space. */
	memset(w, 0, sizeof(*w));
	memcpy(w, &(uint64_t){ -8ull }, 8);
	w->nr_extents = 2;
	w->domid = DOMID_SELF;
	*(uint64_t *)at(TOP + 0xff8) = 0x300;
	*(uint64_t *)at(0) = 0x301;
	CHECK_EQ(call(true, __HYPERVISOR_memory_op, XENMEM_decrease_reservation,
		      ARG, 0),
		 1);
	memcpy(p, &(uint64_t){ -4ull }, 8);
	p->nr_ports = 2;
	p->timeout = 1;
	*(uint32_t *)at(TOP + 0xffc) = XEN_CONSOLE_PORT;
	*(uint32_t *)at(0) = XEN_CONSOLE_PORT;
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0),
		 -XEN_EFAULT);
	teardown();
}

/* 32-bit code passes the low halves of its registers, and cannot reach above 4 GiB. */
static void narrow(long unused)
{
	setup();
	*(uint32_t *)at(ARG) = SHUTDOWN_poweroff;
	CHECK_EQ(call(false, __HYPERVISOR_sched_op,
		      7ull << 32 | SCHEDOP_shutdown, 7ull << 32 | ARG, 0),
		 0);
	CHECK_EQ(reason, SHUTDOWN_poweroff);
	CHECK_EQ(call(false, __HYPERVISOR_console_io, CONSOLEIO_write, 32,
		      0xfffffff0),
		 -XEN_EFAULT);
	teardown();
}

#define WIDTHS(name, f)                   \
	{ name ", 32 bits", f, false },   \
	{                                 \
		name ", 64 bits", f, true \
	}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		WIDTHS("memory_op", memory),
		WIDTHS("add_to_physmap into a hole", map_into_hole),
		WIDTHS("RAM above 4 GiB", high_memory),
		{ "pages beyond the RAM", extra_pages },
		WIDTHS("event_channel_op", events),
		WIDTHS("as many ports as there can be", port_limits),
		{ "hvm_op and callbacks", callbacks },
		WIDTHS("timers, poll and block", timers_and_waiting),
		WIDTHS("poll, interrupted", poll_interrupted),
		{ "periodic timer", periodic },
		WIDTHS("time in shared_info", shared_time),
		WIDTHS("vcpu_op", vcpus),
		WIDTHS("run state", run_state),
		{ "shutdown", endings },
		{ "console_io and the ring", consoles },
		WIDTHS("xen_version, CPUID, and what there is not", versions),
		{ "grant table", grants },
		{ "addresses that are not canonical", not_canonical },
		{ "registers of 32-bit code", narrow },
		{}
	};

	return test_main(argc, argv, cases);
}
