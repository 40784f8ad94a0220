// SPDX-License-Identifier: GPL-2.0
/* The kernel's work for a thread, by the function that the kernel has for KVM. */
#include <linux/kvm_host.h>

#include "work.h"
#include COMPAT_ENTRY_HEADER

int thread_work(void)
{
	/* KVM's notes about signals go to a vCPU that nobody ever reads. */
	static struct kvm_run run;
	static struct kvm_vcpu vcpu = { .run = &run };

	return compat_thread_work(&vcpu);
}
