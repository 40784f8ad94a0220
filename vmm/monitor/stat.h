/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of a vCPU. This one list makes the struct, and the names in debugfs
 * and in VIGIL_GET_STATS.
 */
#ifndef VIGIL_STAT_H
#define VIGIL_STAT_H

#include <linux/compiler.h>
#include <linux/types.h>

struct vigil_stats;
struct vigil_vm;

/* clang-format off */
#define VIGIL_VCPU_STATS(X)						\
	X(exits)		/* times the guest was left */		\
	X(exits_io)							\
	X(exits_mmio)							\
	X(exits_cpuid)							\
	X(exits_msr)							\
	X(exits_cr)							\
	X(exits_dr)							\
	X(exits_invlpg)							\
	X(exits_hlt)							\
	X(exits_hypercall)						\
	X(exits_irq)		/* a host interrupt */			\
	X(exits_nmi)							\
	X(exits_irq_window)						\
	X(exits_exception)						\
	X(exits_page_fault)						\
	X(exits_user)		/* returns to the VMM */		\
	X(pf_mapped)		/* shadow filled in */			\
	X(pf_dirty)		/* first write while logging */		\
	X(pf_guest)		/* reflected into the guest */		\
	X(pf_emulated)		/* write to a table, MMIO, watch */	\
	X(pf_retried)							\
	X(tlb_flushes)							\
	X(tlb_flushes_remote)	/* kicks for a flush */			\
	X(root_switches)						\
	X(pages_synced)							\
	X(pages_shadowed)						\
	X(emulated)		/* instructions */			\
	X(emul_short)		/* of these: plain stores */		\
	X(emul_failed)							\
	X(emul_user_ud)		/* of these: #UD for user code */	\
	X(irqs_injected)						\
	X(nmis_injected)						\
	X(exceptions_injected)						\
	X(reinjected)		/* delivery was cut short */		\
	X(msr_writes)		/* host WRMSRs for this vCPU */		\
	X(vmload)		/* VMLOAD and VMSAVE, or their like */	\
	X(watch_hits)							\
	X(watch_misses)		/* same page, other bytes */		\
	X(watch_conditioned)	/* a condition let them through */	\
	X(watch_denied)							\
	X(watch_replaced)	/* a monitor gave other bytes */	\
	X(watch_held)							\
	X(watch_timeouts)	/* no verdict came in time */		\
	X(events_waited)	/* for room in a queue */		\
	X(events_dropped)
/* clang-format on */

struct vigil_vcpu_stat {
#define X(name) u64 name;
	VIGIL_VCPU_STATS(X)
#undef X
};

int stat_init(void); /* at load */
void stat_exit(void);
void stat_vm_add(struct vigil_vm *vm);
void stat_vm_del(struct vigil_vm *vm);
long stat_get(struct vigil_vm *vm, struct vigil_stats __user *user);
u64 vigil_vm_mem_bytes(struct vigil_vm *vm);

#endif
