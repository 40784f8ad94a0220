/* SPDX-License-Identifier: GPL-2.0 */
/* The world switch. */
#include <linux/linkage.h>

#include "vmm/compat.h"
#include "asm-offsets.h"
#include "vmm/entry.h"

.section .noinstr.text, "ax"

/*
 * void svm_enter(unsigned long *regs, u64 vmcb_pa, u64 host_pa)
 *
 * GIF is clear from before VMLOAD until the host's registers are back: per-CPU
 * data hangs on GS, which is the guest's meanwhile. RFLAGS.IF at VMRUN is what
 * lets physical interrupts end the guest run (V_INTR_MASKING); STI stands well
 * before VMRUN, so that its shadow does not reach the guest.
 */
SYM_FUNC_START(svm_enter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	/*
	 * These are popped after the exit, so the one wanted first is pushed
	 * last.
	 */
	push	%rdx
	push	%rsi
	push	%rdi

	clgi
	sti
	mov	%rsi, %rax
	vmload	%rax

	LOAD_GUEST_REGS

	BEFORE_VMRUN
	vmrun	%rax

	/* The host has only its RSP and RAX back so far. */
	pop	%rax
	SAVE_GUEST_REGS

	pop	%rax
	vmsave	%rax
	pop	%rax
	vmload	%rax

	AFTER_GUEST

	CLEAR_GUEST_REGS

	cli
	/* The CPU takes an NMI or SMI that ended the guest run here. */
	stgi

	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(svm_enter)
