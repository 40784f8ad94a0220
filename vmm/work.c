// SPDX-License-Identifier: GPL-2.0
/* The kernel's work for a thread, by the function that the kernel has for KVM. */
#include "work.h"

#ifdef COMPAT_WORK_TAKES_VCPU

#include <linux/entry-kvm.h>
#include <linux/kvm_host.h>

int thread_work(void)
{
	/* KVM's notes about signals go to a vCPU that nobody ever reads. */
	static struct kvm_run run;
	static struct kvm_vcpu vcpu = { .run = &run };

	return xfer_to_guest_mode_handle_work(&vcpu);
}

#else

#include <linux/entry-virt.h>

int thread_work(void)
{
	return xfer_to_guest_mode_handle_work();
}

#endif
