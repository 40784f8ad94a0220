/* SPDX-License-Identifier: GPL-2.0 */
/* Stores of which a monitor must be told exactly, for watch/exact.c. */
#include "payload.h"

	.code16
#define BITS 16
#include "exact.inc"
#undef BITS
	.code32
#define BITS 32
#include "exact.inc"
#undef BITS
	.code64
#define BITS 64
#include "exact.inc"

/* Stores rCX times. Nothing else of the guest stores to what rDI points to. */
PAYLOAD(exact_inc)
1:	lock incl (%rdi)
	dec %ecx
	jnz 1b
	OUT_END
END(exact_inc)

PAYLOAD(exact_mov)
1:	mov %eax, (%rdi)
	inc %eax
	dec %ecx
	jnz 1b
	OUT_END
END(exact_mov)

/* The same with 8 bytes. */
PAYLOAD(exact_wide)
1:	mov %rax, (%rdi)
	inc %eax
	dec %ecx
	jnz 1b
	OUT_END
LABEL(exact_wide, inc)
1:	lock incl (%rdi)
	dec %ecx
	jnz 1b
	OUT_END
END(exact_wide)

/*
 * Reads (%rsi), and again where an entry of a table is rBX, rBP and rBX. Each time it
 * stores the entry to (%rdi) and flushes.
 */
PAYLOAD(exact_remap)
	mov $3, %ecx
1:	mov (%rsi), %eax
	OUT_VALUE
	mov %rbx, (%rdi)
	xchg %rbx, %rbp
	mov %cr3, %rax
	mov %rax, %cr3
	dec %ecx
	jnz 1b
	mov (%rsi), %eax
	OUT_VALUE
	OUT_END
END(exact_remap)

/*
 * Adds up what is at (%rsi) and each 2 MiB behind it, rCX times, and again where the
 * entries of as many tables are rBX and rBP. It stores these to (%rdi) and each 4 KiB
 * behind it, and flushes.
 */
PAYLOAD(exact_tables)
	mov $3, %r12d
1:	xor %eax, %eax
	mov %rsi, %r8
	mov %ecx, %r10d
2:	add (%r8), %eax
	add $0x200000, %r8
	dec %r10d
	jnz 2b
	OUT_VALUE
	mov %rdi, %r9
	mov %ecx, %r10d
3:	mov %rbx, (%r9)
	add $0x1000, %r9
	dec %r10d
	jnz 3b
	xchg %rbx, %rbp
	mov %cr3, %rax
	mov %rax, %cr3
	dec %r12d
	jnz 1b
	OUT_END
END(exact_tables)

/* Each step sets one bit of the GDT. The test has made the descriptors. */
PAYLOAD(exact_gdt)
	mov $SEL_TSS, %eax
	ltr %ax
	OUT_SYNC
	mov $SEL_FREE, %eax
	mov %eax, %ds
	OUT_SYNC
	push $(SEL_FREE + 8)
	lea 1f(%rip), %rax
	push %rax
	lretq
1:	OUT_SYNC
	mov %rsp, %rax
	push $SEL_DATA
	push %rax
	pushfq
	push $(SEL_FREE + 16)
	lea 1f(%rip), %rax
	push %rax
	iretq
1:	OUT_SYNC
	.byte 0xff, 0x1b		/* lcall *(%rbx), m16:32 */
LABEL(exact_gdt, called)
	OUT_SYNC
	ltr (%rdi)			/* the selector comes from a device */
	OUT_SYNC
	lldt (%rdi)
	OUT_END
END(exact_gdt)

/* Ring 3 calls ring 0 through the gate whose selector is behind rBX. */
PAYLOAD(exact_gate)
	.byte 0xff, 0x1b		/* lcall *(%rbx), m16:32 */
LABEL(exact_gate, behind)
	OUT_END
LABEL(exact_gate, inner)
	OUT_SYNC
	lretq
END(exact_gate)

PAYLOAD(exact_stos)
	rep stosb
LABEL(exact_stos, behind)
	nop
	nop
	OUT_END
END(exact_stos)

PAYLOAD(exact_movs)
	rep movsb
LABEL(exact_movs, behind)
	nop
	nop
	OUT_END
END(exact_movs)

PAYLOAD(exact_movss)
	.byte 0x8e, 0x17		/* mov (%rdi), %ss */
	nop
LABEL(exact_movss, due)
	nop
	OUT_END
END(exact_movss)

/* Sets breakpoint 0 at rSI, with the R/W and LEN bits of rDX. */
PAYLOAD(exact_bp)
	mov %rsi, %dr0
	mov %rdx, %dr7
	mov %ebx, (%rdi)
LABEL(exact_bp, stored)
	mov %dr6, %rax
	OUT_VALUE
	xor %eax, %eax
	mov %rax, %dr6
	mov (%rbp), %eax
LABEL(exact_bp, loaded)
	mov %dr6, %rax
	OUT_VALUE
	OUT_END
END(exact_bp)

/* Breakpoint 0 is at rBX with the R/W and LEN of rAX. */
PAYLOAD(exact_ins)
	mov %rbx, %dr0
	mov %rax, %dr7
LABEL(exact_ins, here)
	rep insb
LABEL(exact_ins, behind)
	nop
	nop
	OUT_END
END(exact_ins)

PAYLOAD(exact_outs)
	mov %rbx, %dr0
	mov %rax, %dr7
LABEL(exact_outs, here)
	rep outsb
LABEL(exact_outs, behind)
	nop
	nop
	OUT_END
END(exact_outs)

PAYLOAD(exact_code_bp)
	mov %rsi, %dr0
	mov %rdx, %dr7
	nop
LABEL(exact_code_bp, here)
	nop
	OUT_END
END(exact_code_bp)

/* The state comes from a device. */
PAYLOAD(exact_frstor)
	frstor (%rdi)
	OUT_END
END(exact_frstor)

/* MM0 selects the bytes that are stored, and has them. */
PAYLOAD(exact_maskmovq)
	maskmovq %mm0, %mm0
LABEL(exact_maskmovq, behind)
	OUT_END
END(exact_maskmovq)

PAYLOAD(exact_paddb)
	paddb (%rdi), %mm0
LABEL(exact_paddb, behind)
	OUT_END
END(exact_paddb)

/*
 * Near calls with 66, at GUEST_LOW: the first leads to one of the NOPs, the second to what
 * (%rdi) has.
 */
PAYLOAD(exact_near)
	.byte 0x66, 0xe8, 6, 0, 0, 0
	.fill 10, 1, 0x90
	.byte 0x66, 0xff, 0x17
LABEL(exact_near, second)
	ud2
LABEL(exact_near, called)
	OUT_END
END(exact_near)

	.code32
PAYLOAD(exact_push)
	push %ds
	push %cs
	push %es
	push %fs
	OUT_END
END(exact_push)
