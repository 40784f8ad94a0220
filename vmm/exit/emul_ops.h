/* SPDX-License-Identifier: GPL-2.0 */
/* What the emulator asks of a vCPU. */
#ifndef VIGIL_EMUL_OPS_H
#define VIGIL_EMUL_OPS_H

#include "vmm/insn/emulate.h"

struct vigil_vcpu;

extern const struct emul_ops emulctl_ops;
/* Is there no memory behind a linear address that probe() has accepted? */
bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la);

#endif
