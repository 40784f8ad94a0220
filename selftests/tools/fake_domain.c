// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "clock.h"
#include "fake_domain.h"
#include "tap.h"

uint8_t ram[RAM] __attribute__((aligned(4096)));
uint8_t special[XEN_SPECIAL_SIZE] __attribute__((aligned(4096)));
uint8_t extra[XEN_EXTRA_PAGES][4096] __attribute__((aligned(4096)));
struct mem_map mem;
struct lv_vm vm;
struct xen_domain d;
char text[4096], hv_text[4096];
int reason, added, waits;
bool line, irq, irqs_on, stop, ring_used;
unsigned int line_nr;
void (*on_wait)(void);

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

const struct xen_ops ops = {
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

void setup(void)
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

void teardown(void)
{
	xen_destroy(&d);
}

void *at(uint64_t gpa)
{
	return ram + gpa;
}

int64_t call_as(unsigned int cpl, bool wide, uint64_t nr, uint64_t a,
		uint64_t b, uint64_t c)
{
	const struct xen_call call = {
		.nr = nr, .arg = { a, b, c }, .wide = wide, .cpl = cpl
	};

	return xen_hypercall(&d, &call);
}

int64_t call(bool wide, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	return call_as(0, wide, nr, a, b, c);
}

int64_t map_shared(bool wide, uint64_t gpa)
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

int64_t reserve(bool wide, unsigned int cmd, const uint64_t *gfns,
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

static uint64_t port_word(bool wide, unsigned int port)
{
	return SHARED + 0x800 + port / 8;
}

bool pending(bool wide, unsigned int port)
{
	return *(uint8_t *)at(port_word(wide, port)) >> (port % 8) & 1;
}

void clear_events(bool wide)
{
	memset(at(SHARED), 0, 64);
	memset(at(SHARED + 0x800), 0, wide ? 512 : 128);
}

int64_t event_op(bool wide, unsigned int cmd, const void *op, size_t n)
{
	memcpy(at(ARG), op, n);
	return call(wide, __HYPERVISOR_event_channel_op, cmd, ARG, 0);
}
