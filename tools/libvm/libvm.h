/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libvm - what the command and its devices drive VMs with, over /dev/vigil (and,
 * where the calls are the same, /dev/kvm): open the device, build a VM, give it
 * memory and a vCPU, run. It is not installed. Monitors have libvigil.
 *
 * Calls return 0 (or a file descriptor) or a negative errno value, and then
 * lv_error() explains what happened and what to do about it. The library
 * keeps no global state but that text, which is per thread.
 *
 * Its names begin with lv_. Those that begin with vigil_ are the module's and
 * libvigil's.
 */
#ifndef LIBVM_H
#define LIBVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct vigil_trap_end;

#define LV_DEFAULT_DEVICE "/dev/vigil"
#define LV_MAX_SLOTS 32

/**
 * struct lv_slot - one memory slot, backed by memory of this process
 * @gpa: guest-physical start, page aligned
 * @size: bytes, page aligned; 0 marks an unused slot
 * @host: where this process sees it
 * @flags: KVM_MEM_*
 */
struct lv_slot {
	uint64_t gpa;
	uint64_t size;
	uint8_t *host;
	uint32_t flags;
};

/**
 * struct lv_vm - one VM
 * @dev_fd: the device
 * @fd: the VM
 * @run_size: bytes to map of a vCPU
 * @slots: its memory
 */
struct lv_vm {
	int dev_fd;
	int fd;
	size_t run_size;
	struct lv_slot slots[LV_MAX_SLOTS];
};

/**
 * struct lv_vcpu - one vCPU
 * @vm: its VM
 * @fd: the vCPU
 * @id: its number
 * @run: the shared page that KVM_RUN answers in
 */
struct lv_vcpu {
	struct lv_vm *vm;
	int fd;
	unsigned int id;
	struct kvm_run *run;
};

/* The text that belongs to the last failure in this thread ("" if none). */
const char *lv_error(void);

/* Records a text (printf style) for lv_error() and returns @err, negative. */
int lv_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ioctl() that goes on after a signal. Not for KVM_RUN. */
int lv_ioctl(int fd, unsigned long request, void *arg);

/**
 * lv_device_path() - which device a command should open
 * @path: what the user said, or NULL
 *
 * Return: @path, else $VIGIL_DEVICE, else /dev/vigil.
 */
const char *lv_device_path(const char *path);

/**
 * lv_open() - open the device and check that it speaks the KVM API
 * @path: device, or NULL for lv_device_path()'s choice
 *
 * Return: a file descriptor, or -errno (lv_error() says what to load or fix).
 */
int lv_open(const char *path);

/**
 * lv_vm_create() - open the device and create a VM
 * @vm: filled in
 * @path: as for lv_open()
 */
int lv_vm_create(struct lv_vm *vm, const char *path);

/* Unmaps the memory and closes the VM and the device. vCPUs go first. */
void lv_vm_destroy(struct lv_vm *vm);

/**
 * lv_vm_set_name() - name the VM, for `vigil list` and monitors
 * @vm: the VM
 * @name: shorter than VIGIL_NAME_LEN
 *
 * Return: 0; -ENOTTY where the hypervisor has no names (KVM); -EINVAL if the
 * name is empty or too long; or another -errno.
 */
int lv_vm_set_name(struct lv_vm *vm, const char *name);

/**
 * lv_vm_add_ram() - allocate zeroed memory and make it a slot
 * @vm: the VM
 * @gpa: where, page aligned
 * @size: bytes, page aligned, not 0
 * @flags: KVM_MEM_LOG_DIRTY_PAGES or 0
 *
 * Return: the slot's number or -errno.
 */
int lv_vm_add_ram(struct lv_vm *vm, uint64_t gpa, uint64_t size,
		  uint32_t flags);

/* Changes KVM_MEM_LOG_DIRTY_PAGES of a slot. */
int lv_vm_set_slot_flags(struct lv_vm *vm, unsigned int slot, uint32_t flags);

/**
 * lv_vm_dirty_log() - fetch and clear a slot's dirty bitmap
 * @vm: the VM
 * @slot: as lv_vm_add_ram() returned it
 * @bitmap: ALIGN(pages, 64) / 8 bytes
 */
int lv_vm_dirty_log(struct lv_vm *vm, unsigned int slot, void *bitmap);

/**
 * lv_vm_ptr() - guest-physical to a pointer
 * @vm: the VM
 * @gpa: guest-physical address of the first byte
 * @len: bytes
 *
 * Return: where this process sees @len bytes at @gpa, or NULL unless all of
 * them lie in one slot.
 */
void *lv_vm_ptr(const struct lv_vm *vm, uint64_t gpa, uint64_t len);

int lv_vcpu_create(struct lv_vm *vm, struct lv_vcpu *vcpu, unsigned int id);
void lv_vcpu_destroy(struct lv_vcpu *vcpu);

/**
 * lv_vcpu_run() - one KVM_RUN
 * @vcpu: the vCPU, whose thread calls
 *
 * Return: 0 with the exit in @vcpu->run, -EINTR when a signal or
 * immediate_exit ended it, or another -errno.
 */
int lv_vcpu_run(struct lv_vcpu *vcpu);

int lv_vcpu_get_regs(struct lv_vcpu *vcpu, struct kvm_regs *regs);
int lv_vcpu_set_regs(struct lv_vcpu *vcpu, const struct kvm_regs *regs);
int lv_vcpu_get_sregs(struct lv_vcpu *vcpu, struct kvm_sregs *sregs);
int lv_vcpu_set_sregs(struct lv_vcpu *vcpu, const struct kvm_sregs *sregs);

/* Makes vector @vector pending; only when run->ready_for_interrupt_injection. */
int lv_vcpu_interrupt(struct lv_vcpu *vcpu, uint8_t vector);

/**
 * lv_cpuid_supported() - what the hypervisor can offer
 * @vm: a VM on the hypervisor that is asked
 *
 * Return: to be freed by the caller; NULL on failure, see lv_error().
 */
struct kvm_cpuid2 *lv_cpuid_supported(struct lv_vm *vm);
int lv_vcpu_set_cpuid(struct lv_vcpu *vcpu, const struct kvm_cpuid2 *cpuid);

/* The guest's TSC frequency in kHz, or -errno. */
int lv_vcpu_tsc_khz(struct lv_vcpu *vcpu);

/* The name of a KVM_EXIT_* value, never NULL. */
const char *lv_exit_name(uint32_t reason);

/**
 * lv_trap_end() - has a trap ended the VM, and why, in words
 * @run: what the KVM_RUN that failed has left
 * @end: filled in, see uapi/vigil.h; may be NULL
 * @text: gets a sentence without its full stop
 * @len: bytes at @text
 *
 * Return: false when it has ended for another reason.
 */
bool lv_trap_end(const struct kvm_run *run, struct vigil_trap_end *end,
		 char *text, size_t len);

/* Has a monitor ended the VM, which the KVM_RUN that failed has left in @run? */
bool lv_killed(const struct kvm_run *run);

/* Prints general, segment (hidden parts too) and control registers. */
void lv_print_regs(FILE *out, const struct kvm_regs *regs,
		   const struct kvm_sregs *sregs);

#endif
