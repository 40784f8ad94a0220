/* SPDX-License-Identifier: GPL-2.0 */
/* The world switch. */
#include <linux/linkage.h>

#include "vmm/compat.h"
#include "asm-offsets.h"
#include "vmm/entry.h"

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

	/* HOST_RSP seldom changes, so it is compared before it is written. */
	cmp	%rsp, (%rsi)
	je	1f
	mov	%rsp, (%rsi)
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
1:
	/*
	 * CF selects VMRESUME or VMLAUNCH below; nothing in between changes it.
	 */
	bt	$0, %edx

	mov	REGS_RAX(%rdi), %rax
	LOAD_GUEST_REGS

	BEFORE_VMLAUNCH
	jc	2f
	vmlaunch
	jmp	3f
2:
	vmresume

SYM_INNER_LABEL(vmx_exit_entry, SYM_L_GLOBAL)
	ENDBR
3:
	push	%rax
	mov	8(%rsp), %rax
	SAVE_GUEST_REGS
	pop	%rcx
	mov	%rcx, REGS_RAX(%rax)
	setbe	%bl

	AFTER_VMEXIT
	AFTER_GUEST

	movzbl	%bl, %eax

	CLEAR_GUEST_REGS

	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(vmx_enter)
