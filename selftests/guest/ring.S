/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes of ring by SYSCALL and SYSENTER, and of stack by IST, for
 * exit/ring.c.
 */
#include "payload.h"

#define MSR_EFER	0xc0000080
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_SFMASK	0xc0000084
#define MSR_GS_BASE	0xc0000101
#define MSR_KERNEL_GS	0xc0000102

.macro set_msr msr, hi, lo
	mov $\msr, %ecx
	mov $\hi, %edx
	mov $\lo, %eax
	wrmsr
.endm

	.code64
/* Ring 3 has IOPL 3, so it can report by itself. */
PAYLOAD(syscall)
	mov $SEL_TSS, %eax
	ltr %ax
	/* SYSRET takes SS from 0x30 + 8, and CS for 64 bits from 0x30 + 16. */
	set_msr MSR_STAR, 0x00300008, 0
	set_msr MSR_LSTAR, 0, AT(syscall, handler)
	set_msr MSR_SFMASK, 0, 0x200
	set_msr MSR_GS_BASE, 0x11, 0x22223333
	set_msr MSR_KERNEL_GS, 0x44, 0x55556666
	push $SEL_UDATA
	push $GUEST_USTACK
	push $0x3202
	push $SEL_UCODE64
	push $AT(syscall, 1f)
	iretq
1:	mov $50, %r15d
2:	mov $0x1234, %eax
	syscall
LABEL(syscall, behind)
	cmp $0x4321, %eax
	jne 9f
	mov %cs, %eax
	cmp $SEL_UCODE64, %eax
	jne 9f
	dec %r15d
	jnz 2b
	OUT_END
handler:
	swapgs
	cmp $0x1234, %eax
	jne 9f
	cmp $AT(syscall, pl_syscall_behind), %rcx
	jne 9f
	mov %r11, %rbx
	and $~0x8d5, %ebx		/* without the flags that CMP changes */
	cmp $0x3202, %ebx
	jne 9f
	mov %cs, %eax
	cmp $SEL_CODE64, %eax
	jne 9f
	mov %ss, %eax
	cmp $SEL_DATA, %eax
	jne 9f
	pushfq				/* on the user's stack */
	pop %rax
	test $0x200, %eax
	jnz 9f
	OUT_SYNC			/* the test looks at GS */
	mov %rcx, %r14
	mov $MSR_GS_BASE, %ecx
	rdmsr
	cmp $0x55556666, %eax
	jne 9f
	mov %r14, %rcx
	swapgs
	mov $0x4321, %eax
	sysretq
9:	OUT_VALUE
	OUT_END
END(syscall)

	/* The stack is not mapped: #DF takes the stack of IST 1. */
PAYLOAD(ist)
	mov $SEL_TSS, %eax
	ltr %ax
	mov $0x7ffff000, %rsp
LABEL(ist, fault)
	ud2
	OUT_END
END(ist)

	.code32
PAYLOAD(sysenter)
	mov $SEL_TSS, %eax
	ltr %ax
	set_msr 0x174, 0, SEL_CODE32
	set_msr 0x175, 0, GUEST_STACK0
	set_msr 0x176, 0, AT(sysenter, handler32)
	push $SEL_UDATA
	push $GUEST_USTACK
	push $0x3002
	push $SEL_UCODE32
	push $AT(sysenter, 1f)
	iret
1:	mov $50, %ebx
2:	mov $AT(sysenter, 3f), %edx
	mov %esp, %ecx
	sysenter
3:	cmp $0x777, %eax
	jne 9f
	mov %cs, %eax
	and $3, %eax
	cmp $3, %eax
	jne 9f
	dec %ebx
	jnz 2b
	OUT_END
handler32:
	cmp $GUEST_STACK0, %esp
	jne 9f
	mov %cs, %eax
	cmp $SEL_CODE32, %eax
	jne 9f
	OUT_SYNC
	mov $0x777, %eax
	sysexit
9:	OUT_VALUE
	OUT_END
END(sysenter)
