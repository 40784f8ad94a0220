/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's CPUs: which vendor, when its extension is on, and everything that
 * may happen to a CPU meanwhile (hotplug, suspend, reboot, panic).
 */
#ifndef VIGIL_HOST_H
#define VIGIL_HOST_H

#include "ops.h"

/**
 * struct host_info - facts about the host that never change after load
 * @efer:	EFER bits that the kernel runs with (NX, SCE, LME)
 * @xcr0:	the host's XCR0, 0 without XSAVE
 * @xss:	the host's IA32_XSS, 0 without XSAVES
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

extern struct host_info host_info;	/* __ro_after_init */

DECLARE_PER_CPU(bool, host_cpu_on);

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
/* undoes host_init(); no VM is left */
void host_exit(void);

/**
 * host_hw_get() - a VM is created: the extension is on on every online CPU
 *
 * Process context, may sleep. All or nothing.
 *
 * Return: 0; -EBUSY: somebody else uses the extension (one rate-limited
 * message says who).
 */
int host_hw_get(void);
/* that VM is gone; the last one turns the extension off. May sleep */
void host_hw_put(void);

/**
 * host_cpu_usable() - may this CPU enter a guest now?
 *
 * IRQs off, right before vmm_ops->run(). False for the moment in which a CPU
 * that goes offline still runs tasks, and after a resume that failed: leave
 * the entry path and ask host_cpu_lost().
 *
 * A thread may also be scheduled in on such a CPU: vcpu_load() asks too, and
 * neither calls vmm_ops->vcpu_load() there (instructions of the extension raise
 * #UD) nor vmm_ops->vcpu_put() afterwards; a vCPU that is so not loaded must
 * not enter before it was put and loaded again.
 */
static inline bool host_cpu_usable(void)
{
	return likely(__this_cpu_read(host_cpu_on));
}

/**
 * host_cpu_lost() - what to do when host_cpu_usable() said no
 *
 * IRQs and preemption on. May schedule.
 *
 * Return: 0: try again (on another CPU, most likely); -EIO: the extension
 * could not be enabled again after a resume, this VM cannot run.
 */
int host_cpu_lost(void);

#endif
