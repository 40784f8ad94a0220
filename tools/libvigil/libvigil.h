/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvigil - a thin C library over /dev/vigil (and, where the calls are the
 * same, /dev/kvm): open the device, build a VM, give it memory and a vCPU, run.
 *
 * Calls return 0 (or a file descriptor) or a negative errno value, and then
 * vigil_error() explains what happened and what to do about it. The library
 * keeps no global state but that text, which is per thread.
 */
#ifndef LIBVIGIL_H
#define LIBVIGIL_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define VIGIL_DEFAULT_DEVICE "/dev/vigil"
#define VIGIL_MAX_SLOTS 32

/**
 * struct vigil_slot - one memory slot, backed by memory of this process
 * @gpa: guest-physical start, page aligned
 * @size: bytes, page aligned; 0 marks an unused slot
 * @host: where this process sees it
 * @flags: KVM_MEM_*
 */
struct vigil_slot {
	uint64_t gpa;
	uint64_t size;
	uint8_t *host;
	uint32_t flags;
};

/**
 * struct vigil_vm - one VM
 * @dev_fd: the device
 * @fd: the VM
 * @run_size: bytes to map of a vCPU
 * @slots: its memory
 */
struct vigil_vm {
	int dev_fd;
	int fd;
	size_t run_size;
	struct vigil_slot slots[VIGIL_MAX_SLOTS];
};

/**
 * struct vigil_vcpu - one vCPU
 * @vm: its VM
 * @fd: the vCPU
 * @id: its number
 * @run: the shared page that KVM_RUN answers in
 */
struct vigil_vcpu {
	struct vigil_vm *vm;
	int fd;
	unsigned int id;
	struct kvm_run *run;
};

/* The text that belongs to the last failure in this thread ("" if none). */
const char *vigil_error(void);

/* Records a text (printf style) for vigil_error() and returns @err, negative. */
int vigil_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ioctl() that goes on after a signal. Not for KVM_RUN. */
int vigil_ioctl(int fd, unsigned long request, void *arg);

/**
 * vigil_device_path() - which device a command should open
 * @path: what the user said, or NULL
 *
 * Return: @path, else $VIGIL_DEVICE, else /dev/vigil.
 */
const char *vigil_device_path(const char *path);

/**
 * vigil_open() - open the device and check that it speaks the KVM API
 * @path: device, or NULL for vigil_device_path()'s choice
 *
 * Return: a file descriptor, or -errno (vigil_error() says what to load or fix).
 */
int vigil_open(const char *path);

/**
 * vigil_vm_create() - open the device and create a VM
 * @vm: filled in
 * @path: as for vigil_open()
 */
int vigil_vm_create(struct vigil_vm *vm, const char *path);

/* Unmaps the memory and closes the VM and the device. vCPUs go first. */
void vigil_vm_destroy(struct vigil_vm *vm);

/**
 * vigil_vm_set_name() - name the VM, for `vigil list` and monitors
 * @vm: the VM
 * @name: shorter than VIGIL_NAME_LEN
 *
 * Return: 0; -ENOTTY where the hypervisor has no names (KVM); -EINVAL if the
 * name is empty or too long; or another -errno.
 */
int vigil_vm_set_name(struct vigil_vm *vm, const char *name);

/**
 * vigil_vm_add_ram() - allocate zeroed memory and make it a slot
 * @vm: the VM
 * @gpa: where, page aligned
 * @size: bytes, page aligned, not 0
 * @flags: KVM_MEM_LOG_DIRTY_PAGES or 0
 *
 * Return: the slot's number or -errno.
 */
int vigil_vm_add_ram(struct vigil_vm *vm, uint64_t gpa, uint64_t size,
		     uint32_t flags);

/* Changes KVM_MEM_LOG_DIRTY_PAGES of a slot. */
int vigil_vm_set_slot_flags(struct vigil_vm *vm, unsigned int slot,
			    uint32_t flags);

/**
 * vigil_vm_dirty_log() - fetch and clear a slot's dirty bitmap
 * @vm: the VM
 * @slot: as vigil_vm_add_ram() returned it
 * @bitmap: ALIGN(pages, 64) / 8 bytes
 */
int vigil_vm_dirty_log(struct vigil_vm *vm, unsigned int slot, void *bitmap);

/**
 * vigil_vm_ptr() - guest-physical to a pointer
 * @vm: the VM
 * @gpa: guest-physical address of the first byte
 * @len: bytes
 *
 * Return: where this process sees @len bytes at @gpa, or NULL unless all of
 * them lie in one slot.
 */
void *vigil_vm_ptr(const struct vigil_vm *vm, uint64_t gpa, uint64_t len);

int vigil_vcpu_create(struct vigil_vm *vm, struct vigil_vcpu *vcpu,
		      unsigned int id);
void vigil_vcpu_destroy(struct vigil_vcpu *vcpu);

/**
 * vigil_vcpu_run() - one KVM_RUN
 * @vcpu: the vCPU, whose thread calls
 *
 * Return: 0 with the exit in @vcpu->run, -EINTR when a signal or
 * immediate_exit ended it, or another -errno.
 */
int vigil_vcpu_run(struct vigil_vcpu *vcpu);

int vigil_vcpu_get_regs(struct vigil_vcpu *vcpu, struct kvm_regs *regs);
int vigil_vcpu_set_regs(struct vigil_vcpu *vcpu, const struct kvm_regs *regs);
int vigil_vcpu_get_sregs(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs);
int vigil_vcpu_set_sregs(struct vigil_vcpu *vcpu,
			 const struct kvm_sregs *sregs);

/* Makes vector @vector pending; only when run->ready_for_interrupt_injection. */
int vigil_vcpu_interrupt(struct vigil_vcpu *vcpu, uint8_t vector);

/**
 * vigil_cpuid_supported() - what the hypervisor can offer
 * @vm: a VM on the hypervisor that is asked
 *
 * Return: to be freed by the caller; NULL on failure, see vigil_error().
 */
struct kvm_cpuid2 *vigil_cpuid_supported(struct vigil_vm *vm);
int vigil_vcpu_set_cpuid(struct vigil_vcpu *vcpu,
			 const struct kvm_cpuid2 *cpuid);

/* The guest's TSC frequency in kHz, or -errno. */
int vigil_vcpu_tsc_khz(struct vigil_vcpu *vcpu);

/* The name of a KVM_EXIT_* value, never NULL. */
const char *vigil_exit_name(uint32_t reason);

/* Prints general, segment (hidden parts too) and control registers. */
void vigil_print_regs(FILE *out, const struct kvm_regs *regs,
		      const struct kvm_sregs *sregs);

#endif
