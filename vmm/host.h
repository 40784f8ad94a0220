/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's CPUs: which vendor, when its extension is on, and everything that
 * may happen to a CPU meanwhile (hotplug, suspend, reboot, panic).
 */
#ifndef VIGIL_HOST_H
#define VIGIL_HOST_H

#include <linux/percpu.h>

#include "reader.h"

struct device;

/**
 * struct host_info - facts about the host that never change after load
 * @efer:	EFER bits that the kernel runs with (NX, SCE, LME)
 * @xcr0:	the host's XCR0, 0 without XSAVE
 * @xss:	the host's IA32_XSS, 0 where guests have no XSAVES
 * @maxphyaddr:	physical address bits, after memory encryption took its share
 * @la57:	the host runs 5-level paging
 * @gbpages:	CPU has 1 GiB pages
 * @amd:	AMD or Hygon
 */
struct host_info {
	u64 efer;
	u64 xcr0;
	u64 xss;
	u8 maxphyaddr;
	bool la57;
	bool gbpages;
	bool amd;
};

extern struct host_info host_info; /* __ro_after_init */
/* Reads CPUID and MSRs of the current CPU. */
extern const struct host_reader host_reader_native;

DECLARE_PER_CPU(bool, host_cpu_on);
DECLARE_PER_CPU(bool, host_cpu_loaded);
DECLARE_PER_CPU(bool, host_cpu_leaving);
extern bool host_down;

/**
 * host_init() - choose the vendor and watch the CPUs; at module load
 *
 * Sets vmm_ops and host_info, calls the vendor's hw_setup(). The extension
 * stays off. Prints one message when it fails.
 *
 * Return: 0; -ENODEV: neither vendor's CPU; -EOPNOTSUPP: a CPU feature is
 * missing (named); -EPERM: firmware disabled it; -ENOMEM.
 */
int host_init(void);
/* Turns the extension off and on again with suspend and resume of @dev. */
void host_watch_sleep(struct device *dev);
/* Undoes host_init(). No VM may exist. */
void host_exit(void);

/**
 * host_hw_get() - a VM is created: every online CPU has the extension on
 *
 * Process context, may sleep. All or nothing.
 *
 * Return: 0; -EBUSY: somebody else uses the extension (one rate-limited
 * message says who).
 */
int host_hw_get(void);
/* Called when a VM is gone. The last one turns the extension off. May sleep. */
void host_hw_put(void);

bool host_load_off(void);
void host_put_off(void);

/* Hands an intercepted #MC over to the host, which did not get it. IRQs off. */
void host_machine_check(void);

/**
 * host_vcpu_load() - a vCPU is about to be loaded on this CPU
 *
 * Preemption off. False after a resume that failed, and while the machine goes
 * down: then instructions of the extension raise #UD, so the vendor's
 * vcpu_load() and vcpu_put() are not called, the vCPU cannot enter, and its VM
 * is lost. On a CPU that goes offline and still runs tasks for a moment, the
 * extension is on while a vCPU is loaded.
 * While it is loaded nobody turns this CPU's extension off.
 *
 * selftests/models/vmcs.pml explores this.
 */
static inline bool host_vcpu_load(void)
{
	__this_cpu_write(host_cpu_loaded, true);
	/*
	 * Set before the look at host_cpu_on, which an interrupt on this CPU
	 * may clear.
	 */
	barrier();
	return likely(__this_cpu_read(host_cpu_on)) || host_load_off();
}

/*
 * Called after the vendor's vcpu_put(); preemption off.
 * selftests/models/vmcs.pml explores this.
 */
static inline void host_vcpu_put(void)
{
	__this_cpu_write(host_cpu_loaded, false);
	barrier();
	if (unlikely(READ_ONCE(host_down) || __this_cpu_read(host_cpu_leaving)))
		host_put_off();
}

/**
 * host_cpu_lost() - what to do when host_vcpu_load() said no
 *
 * vCPU not loaded, preemption on. May schedule.
 *
 * Return: NULL: load it and try again (on another CPU, most likely); else the
 * reason why no VM can run on this host any more.
 */
const char *host_cpu_lost(void);

#endif
