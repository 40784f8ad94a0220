// SPDX-License-Identifier: GPL-2.0
/* A VM and its memory. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vigil.h>

#include "libvm.h"

int lv_vm_create(struct lv_vm *vm, const char *path)
{
	int size, err;

	memset(vm, 0, sizeof(*vm));
	vm->fd = -1;
	vm->dev_fd = lv_open(path);
	if (vm->dev_fd < 0)
		return vm->dev_fd;
	size = lv_ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (size < (int)sizeof(struct kvm_run)) {
		err = lv_fail(size < 0 ? errno : EPROTO,
			      "%s gives no usable vCPU mapping size (%d)",
			      lv_device_path(path), size);
		goto fail;
	}
	vm->run_size = size;
	vm->fd = lv_ioctl(vm->dev_fd, KVM_CREATE_VM, NULL);
	if (vm->fd < 0) {
		err = errno;
		err = lv_fail(
			err, "%s: cannot create a VM: %s%s",
			lv_device_path(path), strerror(err),
			err == EBUSY ?
				"; another hypervisor owns the hardware, dmesg says which" :
				"");
		goto fail;
	}
	return 0;
fail:
	close(vm->dev_fd);
	vm->dev_fd = -1;
	return err;
}

void lv_vm_destroy(struct lv_vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	vm->fd = -1;
	vm->dev_fd = -1;
	for (unsigned int i = 0; i < LV_MAX_SLOTS; i++) {
		if (vm->slots[i].size)
			munmap(vm->slots[i].host, vm->slots[i].size);
		vm->slots[i].size = 0;
	}
}

int lv_vm_set_name(struct lv_vm *vm, const char *name)
{
	struct vigil_name arg = { 0 };
	size_t len = strlen(name);

	if (!len || len >= sizeof(arg.name))
		return lv_fail(EINVAL, "a VM's name has 1 to %zu characters",
			       sizeof(arg.name) - 1);
	memcpy(arg.name, name, len);
	if (lv_ioctl(vm->fd, VIGIL_SET_NAME, &arg)) {
		int err = errno;

		return lv_fail(err, "cannot name the VM \"%s\": %s", name,
			       strerror(err));
	}
	return 0;
}

static int set_region(struct lv_vm *vm, unsigned int slot)
{
	const struct lv_slot *s = &vm->slots[slot];
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = s->flags,
		.guest_phys_addr = s->gpa,
		.memory_size = s->size,
		.userspace_addr = (uintptr_t)s->host,
	};

	return lv_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno :
								       0;
}

int lv_vm_add_ram(struct lv_vm *vm, uint64_t gpa, uint64_t size, uint32_t flags)
{
	struct lv_slot *s;
	unsigned int slot;
	void *host;
	int err;

	for (slot = 0; slot < LV_MAX_SLOTS; slot++)
		if (!vm->slots[slot].size)
			break;
	if (slot == LV_MAX_SLOTS)
		return lv_fail(ENOSPC, "no more than %d memory slots",
			       LV_MAX_SLOTS);
	if (!size || (gpa | size) & 0xfff || gpa + size < gpa)
		return lv_fail(
			EINVAL,
			"memory at %#llx, %#llx bytes, is not page aligned",
			(unsigned long long)gpa, (unsigned long long)size);
	host = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host == MAP_FAILED) {
		err = errno;
		return lv_fail(err, "no %llu MiB of memory for the guest: %s",
			       (unsigned long long)(size >> 20), strerror(err));
	}
	s = &vm->slots[slot];
	*s = (struct lv_slot){
		.gpa = gpa, .size = size, .host = host, .flags = flags
	};
	err = set_region(vm, slot);
	if (err) {
		munmap(host, size);
		s->size = 0;
		if (err == -ENOMEM)
			return lv_fail(
				err,
				"%llu MiB of memory at %#llx are too much for this "
				"host: it has not enough free memory to keep account of them",
				(unsigned long long)(size >> 20),
				(unsigned long long)gpa);
		return lv_fail(
			err,
			"the hypervisor refused %llu MiB of memory at %#llx: %s",
			(unsigned long long)(size >> 20),
			(unsigned long long)gpa, strerror(-err));
	}
	return slot;
}

int lv_vm_set_slot_flags(struct lv_vm *vm, unsigned int slot, uint32_t flags)
{
	uint32_t old;
	int err;

	if (slot >= LV_MAX_SLOTS || !vm->slots[slot].size)
		return lv_fail(EINVAL, "there is no memory slot %u", slot);
	old = vm->slots[slot].flags;
	vm->slots[slot].flags = flags;
	err = set_region(vm, slot);
	if (err) {
		vm->slots[slot].flags = old;
		return lv_fail(err,
			       "cannot change the flags of memory slot %u: %s",
			       slot, strerror(-err));
	}
	return 0;
}

int lv_vm_dirty_log(struct lv_vm *vm, unsigned int slot, void *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	if (lv_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log)) {
		int err = errno;

		return lv_fail(err,
			       "cannot get the dirty log of memory slot %u: %s",
			       slot, strerror(err));
	}
	return 0;
}

void *lv_vm_ptr(const struct lv_vm *vm, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < LV_MAX_SLOTS; i++) {
		const struct lv_slot *s = &vm->slots[i];

		if (gpa >= s->gpa && gpa - s->gpa < s->size &&
		    len <= s->size - (gpa - s->gpa))
			return s->host + (gpa - s->gpa);
	}
	return NULL;
}
