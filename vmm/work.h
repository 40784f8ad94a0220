/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a thread in KVM_RUN owes the kernel before a guest runs: what it would do on
 * its way back to userspace, to which a guest may never come.
 */
#ifndef VIGIL_WORK_H
#define VIGIL_WORK_H

#include <linux/sched.h>
#include <linux/thread_info.h>

#include "compat.h"

/* Tests need_resched(), signal_pending() and TIF_NOTIFY_RESUME by one look at the flags. */
static __always_inline bool thread_work_pending(void)
{
	return unlikely(read_thread_flags() & COMPAT_TIF_WORK);
}

/**
 * thread_work() - do what thread_work_pending() has found
 *
 * Process context, IRQs on, under no lock that another process waits for: it may
 * sleep for long (memory.high), and task work closes files. Gives the CPU away when
 * the scheduler asks for it, and does limits of CPU time and machine checks.
 *
 * Return: 0 nothing is left to do; -EINTR a signal is pending.
 */
int thread_work(void);

#endif
