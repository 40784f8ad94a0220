// SPDX-License-Identifier: GPL-2.0
/* VMs, their memory and their vCPUs, through the KVM API. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define MAX_CPUID 256

const char *const mode_name[NR_MODES] = {
	[M_REAL] = "real",     [M_BIGREAL] = "big real",
	[M_PROT16] = "prot16", [M_PROT32] = "prot32",
	[M_VM86] = "vm86",     [M_PG32] = "32-bit paging",
	[M_PSE] = "pse",       [M_PAE] = "pae",
	[M_LONG] = "long",     [M_LA57] = "la57",
	[M_COMPAT] = "compat",
};

int dev_open(void)
{
	int fd = open(opts.dev, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ERROR("cannot open %s: %s", opts.dev, strerror(errno));
	return fd;
}

void *ram_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ERROR("mmap of %zu bytes: %s", size, strerror(errno));
	return p;
}

struct vm *vm_create_bare(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	long size;

	if (!vm)
		ERROR("out of memory");
	vm->dev = dev_open();
	vm->fd = ioctl(vm->dev, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		ERROR("KVM_CREATE_VM: %s", strerror(errno));
	size = ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (long)sizeof(struct kvm_run))
		ERROR("KVM_GET_VCPU_MMAP_SIZE: %ld", size);
	vm->run_size = size;
	vm->pt_next = GUEST_PT;
	return vm;
}

void vm_slot(struct vm *vm, unsigned int slot, uint64_t gpa, size_t size,
	     void *hva, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r))
		ERROR("slot %u at %#llx, %#zx bytes: %s", slot,
		      (unsigned long long)gpa, size, strerror(errno));
}

/* A VM whose RAM is slot 0, from 0 up. */
struct vm *vm_create(size_t ram_size)
{
	struct vm *vm = vm_create_bare();

	vm->ram_size = ram_size;
	vm->ram = ram_alloc(ram_size);
	vm_slot(vm, 0, 0, ram_size, vm->ram, 0);
	return vm;
}

struct kvm_cpuid2 *supported_cpuid(int dev)
{
	struct kvm_cpuid2 *c;

	c = calloc(1, sizeof(*c) + MAX_CPUID * sizeof(c->entries[0]));
	if (!c)
		ERROR("out of memory");
	c->nent = MAX_CPUID;
	if (ioctl(dev, KVM_GET_SUPPORTED_CPUID, c))
		ERROR("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
	return c;
}

/* @reg: 0 to 3 for EAX, EBX, ECX, EDX. */
bool cpuid_has(int dev, uint32_t leaf, uint32_t index, int reg, int bit)
{
	struct kvm_cpuid2 *c = supported_cpuid(dev);
	bool has = false;
	unsigned int i;

	for (i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];
		const uint32_t r[] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == leaf && e->index == index)
			has = r[reg] >> bit & 1;
	}
	free(c);
	return has;
}

/* Returns whether a guest may use this mode. */
bool dev_has_mode(enum mode mode)
{
	bool has = true;
	int dev;

	if (mode == M_REAL || mode == M_BIGREAL)
		return !test_without_real_mode();
	if (mode == M_LA57) {
		dev = dev_open();
		has = cpuid_has(dev, 7, 0, 2, 16);
		close(dev);
	}
	return has;
}

struct vcpu *vcpu_create(struct vm *vm)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	struct kvm_cpuid2 *c;

	if (!v || vm->nr_vcpus == MAX_VCPUS)
		ERROR("out of memory or vCPUs");
	v->vm = vm;
	v->id = vm->nr_vcpus;
	v->pending_irq = -1;
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, v->id);
	if (v->fd < 0)
		ERROR("KVM_CREATE_VCPU %u: %s", v->id, strerror(errno));
	v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->fd, 0);
	if (v->run == MAP_FAILED)
		ERROR("mmap of vCPU: %s", strerror(errno));
	c = supported_cpuid(vm->dev);
	if (ioctl(v->fd, KVM_SET_CPUID2, c))
		ERROR("KVM_SET_CPUID2: %s", strerror(errno));
	free(c);
	vm->vcpu[vm->nr_vcpus++] = v;
	return v;
}

void vm_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *v = vm->vcpu[i];

		if (v->timer_tid)
			timer_delete(v->timer);
		munmap(v->run, vm->run_size);
		close(v->fd);
		free(v);
	}
	close(vm->fd);
	close(vm->dev);
	if (vm->ram)
		munmap(vm->ram, vm->ram_size);
	free(vm);
}

bool vm_has_ram(const struct vm *vm, uint64_t gpa, size_t len)
{
	return gpa <= vm->ram_size && len <= vm->ram_size - gpa;
}

void *vm_ram(struct vm *vm, uint64_t gpa, size_t len)
{
	if (!vm_has_ram(vm, gpa, len))
		ERROR("%#llx is outside of guest RAM", (unsigned long long)gpa);
	return vm->ram + gpa;
}

void vm_drop_mappings(struct vm *vm)
{
	if (mprotect(vm->ram, 0x10000, PROT_READ) ||
	    mprotect(vm->ram, 0x10000, PROT_READ | PROT_WRITE))
		ERROR("mprotect: %s", strerror(errno));
}

void vm_load_at(struct vm *vm, uint64_t gpa, const char *start, const char *end)
{
	if (end <= start || (gpa == GUEST_CODE && end - start > 0x10000))
		ERROR("payload of %td bytes", end - start);
	memcpy(vm_ram(vm, gpa, end - start), start, end - start);
}

struct vcpu *guest_start(enum mode mode, const char *start, const char *end)
{
	struct vm *vm;
	struct vcpu *v;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	if (mode == M_VM86 && test_without_vm86())
		SKIP("Bochs 2.7 dies of an exit from VM86 to long mode");
	vm = vm_create(4 << 20);
	v = vcpu_create(vm);
	vm_load_at(vm, GUEST_CODE, start, end);
	vcpu_set_mode(v, mode);
	return v;
}
