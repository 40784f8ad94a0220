// SPDX-License-Identifier: GPL-2.0
/* A vCPU: its registers, its CPUID, and running it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvigil.h"

/* More CPUID entries than this no hypervisor has (KVM's limit is 256). */
#define CPUID_MAX_ENTRIES 1024

int vigil_vcpu_create(struct vigil_vm *vm, struct vigil_vcpu *vcpu,
		      unsigned int id)
{
	int err;

	*vcpu = (struct vigil_vcpu){ .vm = vm, .id = id };
	vcpu->fd = vigil_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)id);
	if (vcpu->fd < 0) {
		err = errno;
		return vigil_fail(err, "cannot create vCPU %u: %s", id,
				  strerror(err));
	}
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		err = errno;
		close(vcpu->fd);
		vcpu->fd = -1;
		vcpu->run = NULL;
		return vigil_fail(err, "cannot map vCPU %u: %s", id,
				  strerror(err));
	}
	return 0;
}

void vigil_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->vm->run_size);
	vcpu->run = NULL;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

int vigil_vcpu_run(struct vigil_vcpu *vcpu)
{
	int err;

	if (!ioctl(vcpu->fd, KVM_RUN, 0))
		return 0;
	err = errno;
	if (err == EINTR)
		return -EINTR;
	return vigil_fail(err, "vCPU %u does not run: %s; dmesg may say more",
			  vcpu->id, strerror(err));
}

static int vcpu_ioctl(struct vigil_vcpu *vcpu, unsigned long request, void *arg,
		      const char *what)
{
	int err;

	if (vigil_ioctl(vcpu->fd, request, arg) >= 0)
		return 0;
	err = errno;
	return vigil_fail(err, "vCPU %u: cannot %s: %s", vcpu->id, what,
			  strerror(err));
}

int vigil_vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs)
{
	return vcpu_ioctl(vcpu, KVM_GET_REGS, regs,
			  "get the general registers");
}

int vigil_vcpu_set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs)
{
	return vcpu_ioctl(vcpu, KVM_SET_REGS, (void *)regs,
			  "set the general registers");
}

int vigil_vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs)
{
	return vcpu_ioctl(vcpu, KVM_GET_SREGS, sregs,
			  "get the system registers");
}

int vigil_vcpu_set_sregs(struct vigil_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return vcpu_ioctl(vcpu, KVM_SET_SREGS, (void *)sregs,
			  "set the system registers");
}

int vigil_vcpu_interrupt(struct vigil_vcpu *vcpu, uint8_t vector)
{
	struct kvm_interrupt arg = { .irq = vector };

	return vcpu_ioctl(vcpu, KVM_INTERRUPT, &arg, "inject an interrupt");
}

int vigil_vcpu_set_cpuid(struct vigil_vcpu *vcpu,
			 const struct kvm_cpuid2 *cpuid)
{
	return vcpu_ioctl(vcpu, KVM_SET_CPUID2, (void *)cpuid, "set CPUID");
}

int vigil_vcpu_tsc_khz(struct vigil_vcpu *vcpu)
{
	int khz = vigil_ioctl(vcpu->fd, KVM_GET_TSC_KHZ, NULL);
	int err = errno;

	if (khz < 0)
		return vigil_fail(err, "vCPU %u: no TSC frequency: %s",
				  vcpu->id, strerror(err));
	return khz;
}

struct kvm_cpuid2 *vigil_cpuid_supported(struct vigil_vm *vm)
{
	unsigned int n = 64;
	int err;

	for (;;) {
		struct kvm_cpuid2 *cpuid;

		cpuid = calloc(1,
			       sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
		if (!cpuid) {
			vigil_fail(ENOMEM, "out of memory");
			return NULL;
		}
		cpuid->nent = n;
		if (!vigil_ioctl(vm->dev_fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
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
	vigil_fail(err, "cannot get the supported CPUID: %s", strerror(err));
	return NULL;
}
