/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Several vCPUs change, switch and use shared page tables at random. What
 * happens to guest memory does not matter, but the host must survive.
 */
#include "payload.h"
#include "storm.h"

	.code64
/* R12 has the random state, RBP the number of this vCPU. */
PAYLOAD(storm)
	mov %rsp, %r15
	OUT_SYNC
turn:	cmpl $0, STORM_STOP
	jne over
	incq STORM_TURNS(,%rbp,8)
	/* R12 goes on by xorshift. */
	mov %r12, %rax
	shl $13, %rax
	xor %rax, %r12
	mov %r12, %rax
	shr $7, %rax
	xor %rax, %r12
	mov %r12, %rax
	shl $17, %rax
	xor %rax, %r12

	/* RDI points to an entry of a table in the pool. */
	mov %r12, %rdi
	shr $8, %rdi
	mov %rdi, %rax
	and $15, %edi
	shl $12, %rdi
	and $0x30, %eax
	shr $1, %eax
	lea STORM_POOL(%rdi, %rax), %rdi
	/* RBX is a value for it, which points into the pool or to the data. */
	mov %r12, %rbx
	shr $16, %rbx
	mov %rbx, %rax
	and $15, %ebx
	shl $12, %rbx
	add $STORM_POOL, %rbx
	test $0x30, %al
	jnz 1f
	sub $STORM_POOL, %rbx
	add $STORM_DATA, %rbx
1:	shr $8, %rax
	mov %rax, %rcx
	and $0x67, %ecx
	or %rcx, %rbx
	test $0x1c00, %eax
	jz 2f
	or $7, %ebx
2:	test $0xe000, %eax
	jnz 3f
	or $0x80, %ebx
3:	/* RDX is an address below slot 256 of the root, made of few indices */
	mov %r12, %rdx
	shr $40, %rdx
	mov %rdx, %rax
	and $3, %eax
	shl $30, %rax
	mov %rdx, %rcx
	and $0xc, %ecx
	shl $(21 - 2), %rcx
	or %rcx, %rax
	mov %rdx, %rcx
	and $0x30, %ecx
	shl $(12 - 4), %rcx
	or %rcx, %rax
	and $0xc0, %edx
	shr $3, %edx
	or %rax, %rdx
	mov $0xffff800000000000, %rax
	or %rax, %rdx

	mov %r12d, %eax
	and $15, %eax
	cmp $5, %eax
	jb write_entry
	je new_cr3
	cmp $8, %eax
	jb read
	cmp $10, %eax
	jb write
	cmp $12, %eax
	jb flush
	je rmw
	cmp $14, %eax
	jb exchange
	/* Write many entries of a table at once. */
	cld
	mov $64, %ecx
	and $~0xfff, %rdi
	mov %rbx, %rax
	rep stosq
	jmp turn
write_entry:
	mov %rbx, (%rdi)
	jmp turn
new_cr3:
	mov %r12, %rax
	shr $50, %rax
	and $3, %eax
	mov STORM_ROOTS(,%rax,8), %rax
	mov %rax, %cr3
	jmp turn
read:	mov (%rdx), %rax
	jmp turn
write:	mov %rbx, (%rdx)
	jmp turn
flush:	invlpg (%rdx)
	jmp turn
rmw:	lock orl $0x67, (%rdx)
	jmp turn
exchange:
	xchg %rbx, (%rdi)
	jmp turn
over:	OUT_END

LABEL(storm, pf)
	incq STORM_FAULTS(,%rbp,8)
	mov %r15, %rsp
	jmp turn
END(storm)
