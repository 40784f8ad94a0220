// SPDX-License-Identifier: GPL-2.0
/* A vCPU: its registers, its CPUID, and running it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvm.h"

/* No hypervisor has more CPUID entries than this (KVM's limit is 256). */
#define CPUID_MAX_ENTRIES 1024

int lv_vcpu_create(struct lv_vm *vm, struct lv_vcpu *vcpu, unsigned int id)
{
	int err;

	*vcpu = (struct lv_vcpu){ .vm = vm, .id = id };
	vcpu->fd = lv_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
	if (vcpu->fd < 0) {
		err = errno;
		return lv_fail(err, "cannot create vCPU %u: %s", id,
			       strerror(err));
	}
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		err = errno;
		close(vcpu->fd);
		vcpu->fd = -1;
		vcpu->run = NULL;
		return lv_fail(err, "cannot map vCPU %u: %s", id,
			       strerror(err));
	}
	return 0;
}

void lv_vcpu_destroy(struct lv_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	vcpu->run = NULL;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

int lv_vcpu_run(struct lv_vcpu *vcpu)
{
	int err;

	if (!ioctl(vcpu->fd, KVM_RUN, 0))
		return 0;
	err = errno;
	if (err == EINTR)
		return -EINTR;
	return lv_fail(err, "vCPU %u does not run: %s; dmesg may say more",
		       vcpu->id, strerror(err));
}

static int vcpu_ioctl(struct lv_vcpu *vcpu, unsigned long request, void *arg,
		      const char *what)
{
	int err;

	if (lv_ioctl(vcpu->fd, request, arg) >= 0)
		return 0;
	err = errno;
	return lv_fail(err, "vCPU %u: cannot %s: %s", vcpu->id, what,
		       strerror(err));
}

int lv_vcpu_get_regs(struct lv_vcpu *vcpu, struct kvm_regs *regs)
{
	return vcpu_ioctl(vcpu, KVM_GET_REGS, regs,
			  "get the general registers");
}

int lv_vcpu_set_regs(struct lv_vcpu *vcpu, const struct kvm_regs *regs)
{
	return vcpu_ioctl(vcpu, KVM_SET_REGS, (void *)regs,
			  "set the general registers");
}

int lv_vcpu_get_sregs(struct lv_vcpu *vcpu, struct kvm_sregs *sregs)
{
	return vcpu_ioctl(vcpu, KVM_GET_SREGS, sregs,
			  "get the system registers");
}

int lv_vcpu_set_sregs(struct lv_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return vcpu_ioctl(vcpu, KVM_SET_SREGS, (void *)sregs,
			  "set the system registers");
}

int lv_vcpu_interrupt(struct lv_vcpu *vcpu, uint8_t vector)
{
	struct kvm_interrupt arg = { .irq = vector };

	return vcpu_ioctl(vcpu, KVM_INTERRUPT, &arg, "inject an interrupt");
}

int lv_vcpu_set_cpuid(struct lv_vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	return vcpu_ioctl(vcpu, KVM_SET_CPUID2, (void *)cpuid, "set CPUID");
}

int lv_vcpu_tsc_khz(struct lv_vcpu *vcpu)
{
	int khz = lv_ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);
	int err = errno;

	if (khz < 0)
		return lv_fail(err, "vCPU %u: no TSC frequency: %s", vcpu->id,
			       strerror(err));
	return khz;
}

struct kvm_cpuid2 *lv_cpuid_supported(struct lv_vm *vm)
{
	unsigned int n = 64;
	int err;

	for (;;) {
		struct kvm_cpuid2 *cpuid;

		cpuid = calloc(1,
			       sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
		if (!cpuid) {
			lv_fail(ENOMEM, "out of memory");
			return NULL;
		}
		cpuid->nent = n;
		if (!lv_ioctl(vm->dev_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
			if (cpuid->nent > n)
				cpuid->nent = n;
			return cpuid;
		}
		err = errno;
		free(cpuid);
		if (err != E2BIG || n >= CPUID_MAX_ENTRIES)
			break;
		n *= 2;
	}
	lv_fail(err, "cannot get the supported CPUID: %s", strerror(err));
	return NULL;
}
