/* SPDX-License-Identifier: GPL-2.0 */
/* Offsets in vcpu->regs, for the asm-offsets.c of a vendor. */
#ifndef VIGIL_VMM_ASM_REGS_H
#define VIGIL_VMM_ASM_REGS_H

#include <linux/kbuild.h>

#include "vcpu.h"

static __always_inline void define_regs(void)
{
	DEFINE(REGS_RAX, REG_RAX * sizeof(long));
	DEFINE(REGS_RCX, REG_RCX * sizeof(long));
	DEFINE(REGS_RDX, REG_RDX * sizeof(long));
	DEFINE(REGS_RBX, REG_RBX * sizeof(long));
	DEFINE(REGS_RBP, REG_RBP * sizeof(long));
	DEFINE(REGS_RSI, REG_RSI * sizeof(long));
	DEFINE(REGS_RDI, REG_RDI * sizeof(long));
	DEFINE(REGS_R8, REG_R8 * sizeof(long));
	DEFINE(REGS_R9, REG_R9 * sizeof(long));
	DEFINE(REGS_R10, REG_R10 * sizeof(long));
	DEFINE(REGS_R11, REG_R11 * sizeof(long));
	DEFINE(REGS_R12, REG_R12 * sizeof(long));
	DEFINE(REGS_R13, REG_R13 * sizeof(long));
	DEFINE(REGS_R14, REG_R14 * sizeof(long));
	DEFINE(REGS_R15, REG_R15 * sizeof(long));
}

#endif
