/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MMIO: an access to a guest-physical address without memory behind it, which
 * userspace makes. Stores are queued and leave after the instruction, as nothing in
 * it depends on what the device does with them; a load leaves at once.
 */
#ifndef VIGIL_MMIO_H
#define VIGIL_MMIO_H

#include "vmm/vcpu.h"

/* A store to a read-only slot is MMIO too. */
static inline bool is_mmio(struct vigil_vcpu *vcpu, gpa_t gpa, bool write)
{
	struct vigil_slot *slot = vigil_gfn_slot(vcpu->vm, gpa >> PAGE_SHIFT);

	return !slot || (write && (slot->flags & KVM_MEM_READONLY));
}

/* Queues a store. false: the queue is full, userspace has to empty it first. */
bool mmio_queue(struct vigil_vcpu *vcpu, gpa_t gpa, const void *buf,
		unsigned int bytes);

/* Fills in KVM_EXIT_MMIO: a store of @data, or a load when that is NULL. */
void mmio_exit(struct vigil_vcpu *vcpu, gpa_t gpa, unsigned int len,
	       const void *data);

/* Fills in KVM_EXIT_MMIO for the oldest queued store; there is one. Returns 0. */
int mmio_drain_next(struct vigil_vcpu *vcpu);

/* The same, or 1 when no store is queued: the vCPU can go on. */
static inline int mmio_drain(struct vigil_vcpu *vcpu)
{
	struct vigil_mmio_queue *q = &vcpu->mmio;

	if (q->next != q->count)
		return mmio_drain_next(vcpu);
	vcpu->io.kind = IO_NONE;
	q->next = 0;
	q->count = 0;
	return 1;
}

#endif
