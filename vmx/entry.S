/* SPDX-License-Identifier: GPL-2.0 */
/* The world switch. */
#include <linux/linkage.h>

#include "../vmm/compat.h"
#include "asm-offsets.h"

.section .noinstr.text, "ax"

/*
 * int vmx_enter(unsigned long *regs, unsigned long *host_rsp, bool launched)
 *
 * An exit lands on vmx_exit_entry with RSP from HOST_RSP and all flags clear. So
 * does, by falling through, a VMLAUNCH or VMRESUME that fails, with CF or ZF
 * set and the guest's registers as they were loaded.
 */
SYM_FUNC_START(vmx_enter)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	/* it seldom changes */
	cmp	%rsp, (%rsi)
	je	1f
	mov	%rsp, (%rsi)
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
1:
	/* CF until the instruction: nothing below touches it */
	bt	$0, %edx

	mov	REGS_RAX(%rdi), %rax
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

	BEFORE_VMLAUNCH
	jc	2f
	vmlaunch
	jmp	vmx_exit_entry
2:
	vmresume

SYM_INNER_LABEL(vmx_exit_entry, SYM_L_GLOBAL)
	push	%rax
	mov	8(%rsp), %rax
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
	pop	%rcx
	mov	%rcx, REGS_RAX(%rax)
	setbe	%bl

	AFTER_GUEST

	movzbl	%bl, %eax

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

	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(vmx_enter)
