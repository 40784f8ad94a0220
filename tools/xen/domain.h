/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Xen's side of a guest of `vigil run --xen': the hypercalls that the module hands to
 * its VMM. Documentation/hypercalls.rst lists them.
 *
 * Everything here runs in the thread of the only vCPU, as the devices do; nothing
 * needs a lock. Guest memory is reached through the slots of struct lv_vm; clock,
 * console, interrupts and waiting are callbacks, so that unit tests need no hypervisor.
 */
#ifndef VIGIL_XEN_DOMAIN_H
#define VIGIL_XEN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libvm.h>

#include "dev.h"
#include "load.h"
#include "public.h"

#define XEN_MSR 0x40000000u /* writes the hypercall page */
#define XEN_DOMID 1 /* of the guest; 0 is who runs it */

/* One page for the console's ring, below the addresses of a PC's firmware. */
#define XEN_SPECIAL_GPA 0xfeffc000ull
#define XEN_CONSOLE_GPA XEN_SPECIAL_GPA
#define XEN_SPECIAL_SIZE 0x1000ull
#define XEN_CONSOLE_PORT 1

#define XEN_GRANT_PAGES 4
#define XEN_EXTRA_PAGES 16 /* besides its RAM */

/* As many as fit the bitmaps of a 64-bit guest; a 32-bit one has a quarter. */
#define XEN_PORTS 4096

/**
 * struct xen_call - one hypercall
 * @nr: its number
 * @arg: its arguments
 * @wide: 64-bit code has made it, so its structs are those of 64 bits
 * @cpl: the caller's privilege level
 */
struct xen_call {
	uint64_t nr, arg[6];
	bool wide;
	unsigned int cpl;
};

/**
 * struct xen_ops - what the machine around the domain does for it
 * @translate: a linear address to a guest-physical one, with the rights of the caller;
 *	0, or -1 where he has none, or where no address is: one that is not canonical
 * @guest_tsc: what the guest's RDTSC gives now
 * @output: bytes that the guest has put into its console's ring
 * @hypervisor_output: bytes for console_io, which is Xen's own console
 * @shutdown: the guest ends, for reason SHUTDOWN_*
 * @add_page: gives the guest a page of zeros at @gpa; 0 or negative
 * @set_irq: drives an interrupt line of the machine
 * @irq_pending: an interrupt waits for the guest in the machine's controllers
 * @takes_irqs: the guest takes interrupts: RFLAGS.IF is set
 * @wait: sleeps until a timer, input or a signal may have changed something; false: the
 *	guest is to end
 * @stopping: the guest is to end; asked by what takes long
 * @use_console: the guest uses the console's ring, so input is for xen_console_input()
 */
struct xen_ops {
	int (*translate)(void *ctx, uint64_t la, unsigned int cpl, bool write,
			 uint64_t *gpa);
	uint64_t (*guest_tsc)(void *ctx);
	void (*output)(void *ctx, const uint8_t *data, size_t len);
	void (*hypervisor_output)(void *ctx, const uint8_t *data, size_t len);
	void (*shutdown)(void *ctx, unsigned int reason);
	int (*add_page)(void *ctx, uint64_t gpa);
	void (*set_irq)(void *ctx, unsigned int line, bool level);
	bool (*irq_pending)(void *ctx);
	bool (*takes_irqs)(void *ctx);
	bool (*wait)(void *ctx);
	bool (*stopping)(void *ctx);
	void (*use_console)(void *ctx);
};

enum xen_port_state {
	XEN_PORT_FREE,
	XEN_PORT_UNBOUND,
	XEN_PORT_LOOPBACK, /* to another port of the guest */
	XEN_PORT_VIRQ,
	XEN_PORT_IPI,
	XEN_PORT_CONSOLE,
};

/**
 * struct xen_port - an event channel
 * @state: enum xen_port_state
 * @remote: XEN_PORT_UNBOUND: the domain that may bind to it
 * @peer: XEN_PORT_LOOPBACK: the other end; XEN_PORT_VIRQ: which
 */
struct xen_port {
	uint8_t state;
	uint16_t remote;
	uint32_t peer;
};

/* By what the guest is told that events are pending. */
enum xen_callback { XEN_CALLBACK_NONE, XEN_CALLBACK_LINE, XEN_CALLBACK_VECTOR };

/**
 * struct xen_area - guest memory that Xen stores to later on, not longer than a page
 * @gpa: of its first byte, and of the first one in its second page
 *
 * Who registers it must be able to store there. Whoever runs when Xen stores need not,
 * and may have other page tables.
 */
struct xen_area {
	uint64_t gpa[2];
};

/**
 * struct xen_domain - the guest, as Xen sees it
 * @ops: callbacks
 * @ctx: their first argument
 * @vm: its memory
 * @timers: queue and clock
 * @start: when it was made, by that clock
 * @tsc_khz: of its TSC; 0: not known, so it gets no time from shared_info
 * @mem: its memory map
 * @holes: bit n: the guest has given page n of its RAM back; the pages above 4 GiB follow
 *	those below
 * @nr_holes: how many
 * @nr_extra: pages that it has besides
 * @max_gfn: the highest page that it has or had
 * @wide: the layout of shared_info: that of 64 bits
 * @shared: shared_info: @early, or the guest's page
 * @vcpu_info: in @shared, or where the guest wants it
 * @early: shared_info, until the guest has mapped it
 * @grants: where the guest has the pages of its grant table; NULL: nowhere
 * @params: HVM_PARAM_*
 * @ports: event channels
 * @callback: how the guest is told of events
 * @callback_nr: the line or the vector
 * @virq_timer: VIRQ_TIMER, once
 * @periodic: VIRQ_TIMER, each @period ns
 * @period: 0: not set
 * @poll_timer: ends SCHEDOP_poll
 * @poll_over: it has
 * @has_runstate: the guest wants its run state in memory
 * @runstate: there
 * @runstate_wide: in the layout of 64 bits
 * @blocked: ns that the guest has waited in hypercalls
 */
struct xen_domain {
	const struct xen_ops *ops;
	void *ctx;
	struct lv_vm *vm;
	struct timers *timers;
	uint64_t start;
	unsigned int tsc_khz;
	const struct mem_map *mem;
	uint64_t *holes;
	uint64_t nr_holes;
	unsigned int nr_extra;
	uint64_t max_gfn;
	bool wide;
	uint8_t *shared, *vcpu_info;
	uint8_t early[4096];
	uint8_t *grants[XEN_GRANT_PAGES];
	uint64_t params[HVM_NR_PARAMS];
	struct xen_port ports[XEN_PORTS];
	enum xen_callback callback;
	unsigned int callback_nr;
	struct dev_timer virq_timer, periodic, poll_timer;
	uint64_t period;
	bool poll_over;
	bool has_runstate, runstate_wide;
	struct xen_area runstate;
	uint64_t blocked;
};

/**
 * xen_create() - a domain for a VM that has its RAM and its special page
 * @d: filled in
 * @ops: callbacks
 * @ctx: their first argument
 * @vm: the VM
 * @timers: the machine's
 * @tsc_khz: the guest's TSC frequency, 0 if not known
 * @mem: the guest's memory map, which stays
 *
 * Return: 0 or -ENOMEM with lv_error().
 */
int xen_create(struct xen_domain *d, const struct xen_ops *ops, void *ctx,
	       struct lv_vm *vm, struct timers *timers, unsigned int tsc_khz,
	       const struct mem_map *mem);
void xen_destroy(struct xen_domain *d);

/**
 * xen_cpuid() - one of the leaves that say that this is Xen
 * @leaf: XEN_CPUID_FIRST_LEAF + n
 * @subleaf: in ECX
 * @regs: EAX, EBX, ECX, EDX
 *
 * Return: false behind the last one.
 */
bool xen_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* Answers a hypercall. Return: its result, a negative errno of Xen's among them. */
int64_t xen_hypercall(struct xen_domain *d, const struct xen_call *call);

/* To be called before each entry: drives the line that tells of events. */
void xen_before_entry(struct xen_domain *d);
/* The vector to be injected as soon as the guest takes interrupts; -1: none. */
int xen_vector(const struct xen_domain *d);

/* How many bytes of input the console's ring has room for. */
unsigned int xen_console_room(struct xen_domain *d);
void xen_console_input(struct xen_domain *d, uint8_t byte);

#endif
