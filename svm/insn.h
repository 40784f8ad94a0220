/* SPDX-License-Identifier: GPL-2.0 */
/* SVM instructions as C; VMRUN and what surrounds it is in entry.S. */
#ifndef VIGIL_SVM_INSN_H
#define VIGIL_SVM_INSN_H

#include <linux/types.h>

static __always_inline void svm_vmsave(u64 pa)
{
	asm volatile("vmsave %0" : : "a"(pa) : "memory");
}

static __always_inline void svm_stgi(void)
{
	asm volatile("stgi" : : : "memory");
}

/* Drops the translations of one page under one ASID. */
static __always_inline void svm_invlpga(unsigned long addr, u32 asid)
{
	asm volatile("invlpga %0, %1" : : "a"(addr), "c"(asid) : "memory");
}

/**
 * svm_enter() - the world switch: host to guest and back (entry.S)
 * @regs:	the guest's general registers, REG_*; RAX and RSP are the VMCB's
 * @vmcb_pa:	VMCB of the guest
 * @host_pa:	VMSAVE area of the host, for VMLOAD after the exit
 *
 * IRQs off on entry and on return, GIF set.
 */
void svm_enter(unsigned long *regs, u64 vmcb_pa, u64 host_pa);

#endif
