// SPDX-License-Identifier: GPL-2.0
/*
 * Xen's side of a guest: memory, consoles, versions and grants, what each refuses, both
 * widths of structs.
 */
#include <string.h>

#include "clock.h"
#include "fake_domain.h"
#include "tap.h"

#define HIGH (1ull << 32)

static uint8_t high[MIB] __attribute__((aligned(4096)));

/* ---- memory ---- */

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

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		WIDTHS("memory_op", memory),
		WIDTHS("add_to_physmap into a hole", map_into_hole),
		WIDTHS("RAM above 4 GiB", high_memory),
		{ "pages beyond the RAM", extra_pages },
		{ "console_io and the ring", consoles },
		WIDTHS("xen_version, CPUID, and what there is not", versions),
		{ "grant table", grants },
		{ "addresses that are not canonical", not_canonical },
		{ "registers of 32-bit code", narrow },
		{}
	};

	return test_main(argc, argv, cases);
}
