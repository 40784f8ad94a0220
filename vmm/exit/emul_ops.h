/* SPDX-License-Identifier: GPL-2.0 */
/* What the emulator asks of a vCPU. */
#ifndef VIGIL_EMUL_OPS_H
#define VIGIL_EMUL_OPS_H

#include "vmm/insn/emulate.h"

struct vigil_vcpu;

extern const struct emul_ops emulctl_ops;
/* is there no memory behind a linear address that probe() found good? */
bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la);

#endif
