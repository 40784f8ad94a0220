/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest for tests of tools/xen/: arrays are its memory, the test makes its hypercalls
 * and sees what its VMM is asked for.
 */
#ifndef SELFTESTS_TOOLS_FAKE_DOMAIN_H
#define SELFTESTS_TOOLS_FAKE_DOMAIN_H

#include "domain.h"
#include "internal.h"

#define MIB (1u << 20)
#define RAM (4 * MIB)
#define ARG 0x10000 /* arguments of hypercalls */
#define LIST 0x11000
#define SHARED 0x20000
#define TOP 0x60000 /* the last page of the address space is here */
#define KERNEL 0x100000 /* from here on user mode has no rights */
#define READ_ONLY 0x200000 /* translate() refuses writes to this page */

extern uint8_t ram[RAM];
extern uint8_t special[XEN_SPECIAL_SIZE];
extern uint8_t extra[XEN_EXTRA_PAGES][4096];
extern struct mem_map mem;
extern struct lv_vm vm;
extern struct xen_domain d;
extern const struct xen_ops ops;
/* What the guest has printed: to its console, and by console_io. */
extern char text[4096], hv_text[4096];
/* Why the guest has ended, or -1; pages that were added; how often it has waited. */
extern int reason, added, waits;
/* The interrupt line, and its number. */
extern bool line;
extern unsigned int line_nr;
/* What the VMM answers: an interrupt is pending, the guest takes some, it is to end. */
extern bool irq, irqs_on, stop;
extern bool ring_used; /* of the console */
/* Called when the guest waits; NULL: its time comes to the next deadline. */
extern void (*on_wait)(void);

/* A new guest, at one millisecond. */
void setup(void);
void teardown(void);
void *at(uint64_t gpa);
/* Makes a hypercall by 64-bit code (@wide) or other code. */
int64_t call_as(unsigned int cpl, bool wide, uint64_t nr, uint64_t a,
		uint64_t b, uint64_t c);
int64_t call(bool wide, uint64_t nr, uint64_t a, uint64_t b, uint64_t c);
/* Makes the page at @gpa shared_info. */
int64_t map_shared(bool wide, uint64_t gpa);
/* memory_op with struct xen_memory_reservation. */
int64_t reserve(bool wide, unsigned int cmd, const uint64_t *gfns,
		unsigned int nr, unsigned int order);
/* Events of the guest whose shared_info is at SHARED. */
bool pending(bool wide, unsigned int port);
void clear_events(bool wide);
/* event_channel_op with @n bytes at @op, which come back to ARG. */
int64_t event_op(bool wide, unsigned int cmd, const void *op, size_t n);

/* Lines of a case table: one function for both widths. */
#define WIDTHS(name, f)                   \
	{ name ", 32 bits", f, false },   \
	{                                 \
		name ", 64 bits", f, true \
	}

#endif
