/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest that does what the test asks, in 32 and 64 bits; and two vCPUs that
 * flush each other's TLBs.
 */
#include "payload.h"
#include "script.h"

#define next		NAME(next)
#define result		NAME(result)
#define op_read		NAME(op_read)
#define op_w8		NAME(op_w8)
#define op_w16		NAME(op_w16)
#define op_w32		NAME(op_w32)
#define op_w64		NAME(op_w64)
#define op_xchg		NAME(op_xchg)
#define op_cmpxchg8b	NAME(op_cmpxchg8b)
#define op_copy		NAME(op_copy)
#define op_invlpg	NAME(op_invlpg)
#define op_cr3		NAME(op_cr3)
#define op_cr4		NAME(op_cr4)
#define op_cr0		NAME(op_cr0)
#define op_call		NAME(op_call)
#define op_inc		NAME(op_inc)

#define BITS 32
#include "script.inc"
#undef BITS
#define BITS 64
#include "script.inc"

	.code64
/*
 * RBX has the address, RSI the address of its PTE, R8 and R9 the two values of
 * that PTE, R10 and R11 what is read with each of them, and RCX the number of
 * rounds. GUEST_DATA holds the request, + 64 the acknowledgement, + 128 a mark:
 * the other vCPU has read something impossible.
 */
PAYLOAD(shoot)
	test %ebp, %ebp
	jnz 5f
	/* This vCPU changes the PTE. */
1:	mov %rcx, %rax
	and $1, %eax
	mov %r8, %rdx
	cmovnz %r9, %rdx
	mov %rdx, (%rsi)
	invlpg (%rbx)
	mov %rcx, GUEST_DATA
2:	pause
	cmp %rcx, GUEST_DATA + 64
	jne 2b
	/* It must see its own change as well. */
	mov %rcx, %rax
	and $1, %eax
	mov %r10, %rdx
	cmovnz %r11, %rdx
	mov (%rbx), %rax
	cmp %rdx, %rax
	jne 9f
	dec %rcx
	jnz 1b
	movq $-1, GUEST_DATA
	OUT_END
9:	OUT_VALUE
	movq $-1, GUEST_DATA
	OUT_END

	/* The other vCPU reads until it is asked, then flushes and checks. */
5:	xor %edi, %edi
6:	mov (%rbx), %rax
	cmp %r10, %rax
	je 7f
	cmp %r11, %rax
	jne 8f
7:	mov GUEST_DATA, %rax
	cmp $-1, %rax
	je 3f
	cmp %rdi, %rax
	je 6b
	mov %rax, %rdi
	invlpg (%rbx)
	and $1, %eax
	mov %r10, %rdx
	cmovnz %r11, %rdx
	mov (%rbx), %rax
	cmp %rdx, %rax
	jne 8f
	mov %rdi, GUEST_DATA + 64
	jmp 6b
8:	OUT_VALUE
	mov %rdi, GUEST_DATA + 64
	incq GUEST_DATA + 128
	jmp 7b
3:	OUT_END
END(shoot)
