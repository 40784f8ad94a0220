/* SPDX-License-Identifier: GPL-2.0 */
/* What the emulator asks of a vCPU. */
#ifndef VIGIL_EMUL_OPS_H
#define VIGIL_EMUL_OPS_H

#include "vmm/insn/emulate.h"
#include "vmm/types.h"

struct vigil_vcpu;

extern const struct emul_ops emulctl_ops;
/*
 * Stores to a page that the guest may write to, or queues the store to a device; the
 * watches are asked. Returns enum emul_status: EMUL_PENDING with vcpu->held set, or
 * when the queue is full; EMUL_UNHANDLED with vcpu->emul_errno.
 */
int emulctl_store(struct vigil_vcpu *vcpu, gva_t la, gpa_t gpa, const void *buf,
		  unsigned int bytes);
/* Is there no memory behind a linear address that probe() has accepted? */
bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la);

#endif
