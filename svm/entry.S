/* SPDX-License-Identifier: GPL-2.0 */
/* The world switch. */
#include <linux/linkage.h>

#include "../vmm/compat.h"
#include "asm-offsets.h"

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
	/* in the order in which they are wanted after the exit, last first */
	push	%rdx
	push	%rsi
	push	%rdi

	clgi
	sti
	mov	%rsi, %rax
	vmload	%rax

	mov	REGS_RCX(%rdi), %rcx
	mov	REGS_RDX(%rdi), %rdx
	mov	REGS_RBX(%rdi), %rbx
	mov	REGS_RBP(%rdi), %rbp
	mov	REGS_RSI(%rdi), %rsi
	mov	REGS_R8(%rdi), %r8
	mov	REGS_R9(%rdi), %r9
	mov	REGS_R10(%rdi), %r10
	mov	REGS_R11(%rdi), %r11
	mov	REGS_R12(%rdi), %r12
	mov	REGS_R13(%rdi), %r13
	mov	REGS_R14(%rdi), %r14
	mov	REGS_R15(%rdi), %r15
	mov	REGS_RDI(%rdi), %rdi

	BEFORE_VMRUN
	vmrun	%rax

	/* only RSP and RAX are the host's */
	pop	%rax
	mov	%rcx, REGS_RCX(%rax)
	mov	%rdx, REGS_RDX(%rax)
	mov	%rbx, REGS_RBX(%rax)
	mov	%rbp, REGS_RBP(%rax)
	mov	%rsi, REGS_RSI(%rax)
	mov	%rdi, REGS_RDI(%rax)
	mov	%r8, REGS_R8(%rax)
	mov	%r9, REGS_R9(%rax)
	mov	%r10, REGS_R10(%rax)
	mov	%r11, REGS_R11(%rax)
	mov	%r12, REGS_R12(%rax)
	mov	%r13, REGS_R13(%rax)
	mov	%r14, REGS_R14(%rax)
	mov	%r15, REGS_R15(%rax)

	pop	%rax
	vmsave	%rax
	pop	%rax
	vmload	%rax

	AFTER_GUEST

	/* nothing speculates with a value of the guest's */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	cli
	/* an NMI or SMI that ended the guest run is taken here */
	stgi

	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(svm_enter)
