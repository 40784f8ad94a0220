/* SPDX-License-Identifier: GPL-2.0 */
/* What a monitor sees of memory and registers: view.c. */
#ifndef VIGIL_VIEW_H
#define VIGIL_VIEW_H

#include <linux/types.h>

#include "uapi/vigil.h"

struct vigil_vcpu;
struct vigil_vm;

/*
 * Serves REQ_SNAPSHOT: fills in vcpu->snapshot, or sets the registers to it, and wakes the
 * asker. vcpu->mutex is held. @paused: no instruction is under way, so they may be set, and
 * the vCPU is under vm->srcu.
 */
void monitor_snapshot(struct vigil_vcpu *vcpu, bool paused);

/* How a vCPU translates addresses: its mode, and the page table. */
struct gva_space {
	u64 cr0, cr3, cr4, efer;
};

/**
 * mview_state() - registers of a vCPU, whatever it does at the moment
 * @vm: the VM
 * @index: of the vCPU
 * @state: out
 *
 * Process context, sleeps until the vCPU could be looked at.
 * Return: 0, -ENOENT no such vCPU, -EINTR a fatal signal, -ENOMEM.
 */
int mview_state(struct vigil_vm *vm, u32 index, struct vigil_vcpu_state *state);
/**
 * mview_set_state() - other registers for a vCPU that is paused
 * @vm: the VM
 * @state: which vCPU, and what
 *
 * Process context, sleeps as mview_state().
 * Return: 0, or as VIGIL_SET_VCPU; -EBUSY it goes on already.
 */
int mview_set_state(struct vigil_vm *vm, const struct vigil_vcpu_state *state);
/*
 * Fills in vCPU 0's mode and the page table that @cr3 stands for, as
 * uapi/vigil.h says.
 */
int mview_space(struct vigil_vm *vm, u64 cr3, struct gva_space *space);
/**
 * mview_translate() - guest-virtual to guest-physical, rights aside
 * @vm: the VM
 * @space: how its vCPU translates, from mview_space()
 * @gva: the address
 * @gpa: out: what it is translated to
 * @left: out: bytes up to the end of the guest's page
 *
 * Return: 0, -EFAULT not mapped, -EINVAL not an address in this mode.
 */
int mview_translate(struct vigil_vm *vm, const struct gva_space *space, u64 gva,
		    u64 *gpa, u64 *left);
/* VIGIL_READ_MEM; @write: VIGIL_WRITE_MEM. */
long mview_copy(struct vigil_vm *vm, struct vigil_mem *mem, bool write);

#endif
