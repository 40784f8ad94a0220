/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the bench's guest does, one loop for each row. The code is 64-bit unless it
 * says otherwise, at CPL 0, flat.
 *
 * On entry rcx says how often, rsi is the first address, rdi the second, rdx a
 * stride or the third. Each loop ends with an OUT to port 0xf4.
 */
	.section .rodata
	.balign 16
	.globl bench_guest, bench_guest_end
bench_guest:

#define VIGIL_RING1_DS	0xe041 /* uapi/vigil.h */
#define OP(n)	.globl op_##n; op_##n:
#define END	out %al, $0xf4

OP(end)
	END

OP(out)
1:	out %al, $0xf1
	dec %rcx
	jnz 1b
	END

OP(mmio_write)
1:	mov %eax, (%rsi)
	dec %rcx
	jnz 1b
	END

OP(mmio_read)
1:	mov (%rsi), %eax
	dec %rcx
	jnz 1b
	END

OP(cpuid)
	mov %rcx, %r8
1:	xor %eax, %eax
	xor %ecx, %ecx
	cpuid
	dec %r8
	jnz 1b
	END

OP(rdmsr)
	mov %rcx, %r8
	mov $0x1b, %ecx
1:	rdmsr
	dec %r8
	jnz 1b
	END

OP(vmmcall)
	mov %rcx, %r8
1:	mov $0xffff, %eax
	vmmcall
	dec %r8
	jnz 1b
	END

OP(vmcall)
	mov %rcx, %r8
1:	mov $0xffff, %eax
	vmcall
	dec %r8
	jnz 1b
	END

/* Hypercall number r11, whose arguments are rdi and rsi. */
OP(pv_vmmcall)
1:	mov %r11d, %eax
	vmmcall
	dec %rcx
	jnz 1b
	END

OP(pv_vmcall)
1:	mov %r11d, %eax
	vmcall
	dec %rcx
	jnz 1b
	END

/* Presents the table at rsi, and names the stack rdx; then makes 0x80 fast. */
OP(pv_tables)
	mov %rsi, %rdi
	xor %eax, %eax
	vmmcall
	test %eax, %eax
	jnz 1f
	mov $VIGIL_RING1_DS, %edi
	mov %rdx, %rsi
	mov $3, %eax
	vmmcall
	test %eax, %eax
	jnz 1f
	mov $0x80, %edi
	mov $54, %eax
	vmmcall
	test %eax, %eax
	jnz 1f
	END
1:	ud2

/* System calls of ring 3, and their handler in ring 1. */
OP(int80)
1:	int $0x80
	dec %rcx
	jnz 1b
	END

OP(int81)
1:	int $0x81
	dec %rcx
	jnz 1b
	END

OP(iret)
	iretq

/* Writes to rsi, rcx times; the same by 32-bit code. */
OP(store)
1:	mov %ecx, (%rsi)
	dec %rcx
	jnz 1b
	END

	.code32
OP(store32)
1:	mov %ecx, (%esi)
	dec %ecx
	jnz 1b
	END
	.code64

/* Writes, or reads, one word in each page from rsi on. */
OP(write)
1:	mov %rcx, (%rsi)
	add $4096, %rsi
	dec %rcx
	jnz 1b
	END

OP(read)
1:	mov (%rsi), %rax
	add $4096, %rsi
	dec %rcx
	jnz 1b
	END

/* Writes the page-table base rdi and touches rdx pages at rsi, rcx times. */
OP(cr3)
1:	mov %rdi, %cr3
	mov %rdx, %r8
	mov %rsi, %r9
	test %r8, %r8
	jz 3f
2:	mov (%r9), %rax
	add $4096, %r9
	dec %r8
	jnz 2b
3:	dec %rcx
	jnz 1b
	END

/*
 * Switches to the next of the r10 (a power of two) roots at rdi and touches 64
 * pages at rsi, rcx times.
 */
OP(switch)
	xor %r11, %r11
1:	mov (%rdi,%r11,8), %rax
	mov %rax, %cr3
	inc %r11
	mov %r10, %rax
	dec %rax
	and %rax, %r11
	mov %rdx, %r8
	mov %rsi, %r9
2:	mov (%r9), %rax
	add $4096, %r9
	dec %r8
	jnz 2b
	dec %rcx
	jnz 1b
	END

OP(invlpg)
1:	invlpg (%rsi)
	mov (%rsi), %rax
	dec %rcx
	jnz 1b
	END

/* Writes rdx and r10 in turn to the PTE at rdi. */
OP(remap)
1:	mov %rdx, (%rdi)
	invlpg (%rsi)
	mov (%rsi), %rax
	xchg %rdx, %r10
	dec %rcx
	jnz 1b
	END

/*
 * Builds rcx tables: fills 512 PTEs at rdi with values from rdx on, links the
 * table in the entry at r10 (by the values from r11 on), and touches the pages
 * at rsi.
 */
OP(fill)
1:	mov $512, %r8
2:	mov %rdx, (%rdi)
	add $8, %rdi
	add $4096, %rdx
	dec %r8
	jnz 2b
	mov %r11, (%r10)
	add $8, %r10
	add $4096, %r11
	mov $512, %r8
3:	mov %rcx, (%rsi)
	add $4096, %rsi
	dec %r8
	jnz 3b
	dec %rcx
	jnz 1b
	END

OP(wp)
	mov %cr0, %rax
	mov %rax, %rdx
	and $~0x10000, %rdx
1:	mov %rdx, %cr0
	mov %rax, %cr0
	dec %rcx
	jnz 1b
	END

/* Touches pages at rsi that fault. The handler does the rest. */
OP(fault)
1:	mov %rcx, (%rsi)
	add $4096, %rsi
	dec %rcx
	jnz 1b
	END

OP(copy)
1:	mov (%rsi), %rax
	mov %rcx, (%rsi)
	add $4096, %rsi
	dec %rcx
	jnz 1b
	END

/* These are handlers of #PF. The store that faults is 3 bytes long. */
OP(pf_skip)
	add $8, %rsp
	addq $3, (%rsp)
	iretq

/* Writes r10 to the page's PTE, which rdi points to. */
OP(pf_map)
	add $8, %rsp
	mov %r10, (%rdi)
	add $8, %rdi
	add $4096, %r10
	iretq

/*
 * Does the same, after it has copied the page to the other one, which r11
 * names.
 */
OP(pf_copy)
	add $8, %rsp
	push %rcx
	push %rsi
	push %rdi
	and $~0xfff, %rsi
	mov %r11, %rdi
	mov $512, %ecx
	rep movsq
	pop %rdi
	pop %rsi
	pop %rcx
	mov %r10, (%rdi)
	invlpg (%rsi)
	add $8, %rdi
	add $4096, %r10
	add $4096, %r11
	iretq
bench_guest_end:
