/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The architecture's own names, as the kernel spells them: X86_EFLAGS_*, X86_CR0_*,
 * X86_CR4_* and X86_TRAP_*. Userspace has the same ones, so that the pure sources use
 * one vocabulary wherever they are built.
 */
#ifndef VIGIL_VMM_ARCH_H
#define VIGIL_VMM_ARCH_H

#include <asm/processor-flags.h>

#ifdef __KERNEL__

#include <asm/trapnr.h>

#else /* userspace */

#define X86_TRAP_DE 0
#define X86_TRAP_DB 1
#define X86_TRAP_BP 3
#define X86_TRAP_OF 4
#define X86_TRAP_UD 6
#define X86_TRAP_NM 7
#define X86_TRAP_DF 8
#define X86_TRAP_TS 10
#define X86_TRAP_NP 11
#define X86_TRAP_SS 12
#define X86_TRAP_GP 13
#define X86_TRAP_PF 14
#define X86_TRAP_MF 16
#define X86_TRAP_AC 17
#define X86_TRAP_MC 18

#endif /* __KERNEL__ */

#endif
