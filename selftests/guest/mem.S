/* SPDX-License-Identifier: GPL-2.0 */
/* Guests that use memory, for ioctl/, dirty/ and mem/. */
#include "payload.h"

	.code64
/*
 * Writes RBP to one qword of each of RCX pages from RBX, again and again, with
 * an OUT_SYNC after each pass.
 */
PAYLOAD(touch)
1:	mov %rbx, %rdi
	mov %rcx, %rsi
2:	test %rsi, %rsi
	jz 3f
	mov %rbp, (%rdi)
	add $0x1000, %rdi
	dec %rsi
	jmp 2b
3:	OUT_SYNC
	jmp 1b
END(touch)

/* Reads the same qwords instead, and reports their sum. */
PAYLOAD(sum)
1:	mov %rbx, %rdi
	mov %rcx, %rsi
	xor %eax, %eax
2:	add (%rdi), %rax
	add $0x1000, %rdi
	dec %rsi
	jnz 2b
	OUT_VALUE
	OUT_SYNC
	jmp 1b
END(sum)

/*
 * Increments the first qword of each page, and checks that it had the value of
 * the last pass, which the guest counts in R8. The guest does nothing else; the
 * test stops it through the qword at GUEST_DATA. It reports a difference by
 * OUT_VALUE.
 */
PAYLOAD(pound)
	xor %r8d, %r8d
1:	mov %rbx, %rdi
	mov %rcx, %rsi
2:	mov (%rdi), %rax
	cmp %r8, %rax
	jne 9f
	incq (%rdi)
	add $0x1000, %rdi
	dec %rsi
	jnz 2b
	inc %r8
	mov %r8, GUEST_DATA + 8(,%rbp,8)
	cmpq $0, GUEST_DATA
	je 1b
	OUT_END
9:	OUT_VALUE
	mov %rdi, %rax
	OUT_VALUE
	mov %r8, %rax
	OUT_VALUE
	OUT_END
END(pound)
