/* SPDX-License-Identifier: GPL-2.0 */
/* CPU state and mode transitions, for exit/state.c, exit/run.c, exit/boot.c. */
#include "payload.h"

#define MSR_EFER	0xc0000080

	/* Spins until the run is interrupted. */
	.code64
PAYLOAD(spin)
1:	jmp 1b
END(spin)

	/* Does the same, and counts, which shows that it runs. */
PAYLOAD(count)
1:	incq GUEST_DATA
	jmp 1b
END(count)

	/*
	 * Ends in a triple fault in every mode, because the test has taken the
	 * IDT away.
	 */
PAYLOAD(triple)
	ud2
END(triple)

	.code64
PAYLOAD(vmmcall)
	mov $0x7777, %eax
	vmmcall
	OUT_VALUE
	OUT_END
END(vmmcall)

	/* Makes the call by Intel's instruction. */
PAYLOAD(vmcall)
	mov $0x7777, %eax
	vmcall
	OUT_VALUE
	OUT_END
END(vmcall)

PAYLOAD(cr8)
	mov $5, %eax
	mov %rax, %cr8
	OUT_SYNC
	mov $3, %eax
	mov %rax, %cr8
	mov %cr8, %rax
	OUT_VALUE
	OUT_END
END(cr8)

.macro cpuid_loop
1:	in $0x71, %eax
	cmp $-1, %eax
	je 2f
	mov %eax, %esi
	in $0x72, %eax
	mov %eax, %ecx
	mov %esi, %eax
	cpuid
	OUT_VALUE
	mov %ebx, %eax
	OUT_VALUE
	mov %ecx, %eax
	OUT_VALUE
	mov %edx, %eax
	OUT_VALUE
	jmp 1b
2:	OUT_END
.endm

	/* Loads XCR0 from port 0x73, then runs CPUID as `cpuid' does. */
PAYLOAD(cpuid_xcr0)
	in $0x73, %eax
	xor %ecx, %ecx
	xor %edx, %edx
	xsetbv
	cpuid_loop
END(cpuid_xcr0)

	/* Runs CPUID of the leaf that the port gives, until that is ~0. */
PAYLOAD(cpuid)
	cpuid_loop
END(cpuid)

	/*
	 * Runs RDMSR; or WRMSR of EDX:EAX from ports 0x73 and 0x74, when port
	 * 0x72 gives 1.
	 */
PAYLOAD(msr)
1:	in $0x71, %eax
	cmp $-1, %eax
	je 3f
	mov %eax, %ecx
	in $0x72, %al
	test %al, %al
	jz 2f
	in $0x74, %eax
	mov %eax, %edx
	in $0x73, %eax
	wrmsr
	jmp 1b
2:	rdmsr
	OUT_VALUE
	mov %edx, %eax
	OUT_VALUE
	jmp 1b
3:	OUT_END
END(msr)

	/*
	 * Fills the x87, MMX and SSE state with values made from EBP. It
	 * compares them after each stop.
	 */
PAYLOAD(fpu)
	mov %cr4, %rax
	or $0x600, %eax
	mov %rax, %cr4
	fninit
	mov %ebp, GUEST_DATA(,%ebp,8)
	fildl GUEST_DATA(,%ebp,8)
	fldpi
	movd %ebp, %xmm0
	pshufd $0, %xmm0, %xmm0
	movdqa %xmm0, %xmm7
	paddd %xmm0, %xmm7
	movdqa %xmm7, %xmm15
	paddd %xmm0, %xmm15
	mov %ebp, %eax
	and $3, %eax
	shl $13, %eax
	or $0x1f80, %eax
	mov %eax, GUEST_DATA + 0x800(,%ebp,8)
	ldmxcsr GUEST_DATA + 0x800(,%ebp,8)
	mov $200, %esi
1:	OUT_SYNC
	movd %xmm0, %eax
	cmp %ebp, %eax
	jne 9f
	movd %xmm15, %eax
	lea (%ebp, %ebp, 2), %ecx
	cmp %ecx, %eax
	jne 9f
	pextrw $6, %xmm7, %eax
	lea (%ebp, %ebp), %ecx
	cmp %ecx, %eax
	jne 9f
	stmxcsr GUEST_DATA + 0x900(,%ebp,8)
	mov GUEST_DATA + 0x800(,%ebp,8), %eax
	cmp GUEST_DATA + 0x900(,%ebp,8), %eax
	jne 9f
	fxch
	fistl GUEST_DATA + 0xa00(,%ebp,8)
	fxch
	cmp %ebp, GUEST_DATA + 0xa00(,%ebp,8)
	jne 9f
	dec %esi
	jnz 1b
	OUT_END
9:	OUT_VALUE
	OUT_END
END(fpu)

	/*
	 * Loads selectors of its own, works a little, and looks at its bases.
	 */
PAYLOAD(hoststate)
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
1:	OUT_SYNC
	mov $20000, %ecx
2:	dec %ecx
	jnz 2b
	mov $0xc0000100, %ecx
	rdmsr
	cmp $0x56789000, %eax
	jne 9f
	cmp $0x1234, %edx
	jne 9f
	mov $0xc0000101, %ecx
	rdmsr
	cmp $0x12345000, %eax
	jne 9f
	mov %ds, %eax
	cmp $SEL_DATA, %eax
	je 1b
9:	OUT_VALUE
	OUT_END
END(hoststate)

	/*
	 * Puts EBP and the next three numbers into DR0 to DR3. DR7 stays off.
	 */
PAYLOAD(debugreg)
	mov %rbp, %rax
	mov %rax, %dr0
	inc %rax
	mov %rax, %dr1
	inc %rax
	mov %rax, %dr2
	inc %rax
	mov %rax, %dr3
	mov $100, %esi
1:	OUT_SYNC
	mov %dr0, %rax
	sub %rbp, %rax
	jnz 9f
	mov %dr3, %rax
	sub %rbp, %rax
	sub $3, %rax
	jnz 9f
	mov %dr6, %rax
	mov $0xffff0ff0, %ecx
	cmp %rcx, %rax
	jne 9f
	mov %dr7, %rax
	cmp $0x400, %rax
	jne 9f
	dec %esi
	jnz 1b
	OUT_END
9:	OUT_VALUE
	OUT_END
END(debugreg)

	/* Steps over plain, intercepted and I/O instructions. */
PAYLOAD(step)
	mov $GUEST_MMIO, %ebx
	pushfq
	orl $0x100, (%rsp)
	popfq
LABEL(step, s0)
	nop
LABEL(step, s1)
	cpuid
LABEL(step, s2)
	out %al, $0x71
LABEL(step, s3)
	mov $GUEST_MMIO, %ebx
LABEL(step, s4)
	mov %eax, (%rbx)
LABEL(step, s5)
	mov $0x174, %ecx
LABEL(step, s6)
	rdmsr
LABEL(step, s7)
	pushfq
LABEL(step, s8)
	andl $~0x100, (%rsp)
LABEL(step, s9)
	popfq
	/* A POPF that clears TF still traps behind itself. */
LABEL(step, s10)
	nop
	nop
	OUT_END
END(step)

/*
 * Makes the transitions of a boot loader: real mode, protected mode, PAE
 * paging, long mode, 64-bit code, compatibility mode, back to protected mode
 * and to real mode. It stops by OUT_SYNC at each stage.
 */
	.code16
PAYLOAD(boot)
	OUT_SYNC				/* 0: real */
	cli
	lgdtl %cs:OFF(boot, gdt_ptr)
	mov %cr0, %eax
	or $1, %eax
	mov %eax, %cr0
	OUT_SYNC				/* 1: PE set, CS as in real mode */
	ljmpl $SEL_CODE32, $AT(boot, prot)
	.code32
prot:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $GUEST_STACK, %esp
	OUT_SYNC				/* 2: protected */
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov GUEST_DATA, %eax			/* PAE tables */
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	OUT_SYNC				/* 3: PAE */
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	mov $MSR_EFER, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov GUEST_DATA + 8, %eax		/* 4-level tables */
	mov %eax, %cr3
	OUT_SYNC				/* 4: LME, not yet LMA */
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	OUT_SYNC				/* 5: compatibility */
	ljmp $SEL_CODE64, $AT(boot, long)
	.code64
long:	mov $0x1122334455667788, %r15
	mov %r15, GUEST_DATA + 16
	OUT_SYNC				/* 6: 64-bit */
	ljmp *boot_compat_ptr - pl_boot + GUEST_CODE
boot_compat_ptr:
	.long AT(boot, compat)
	.word SEL_CODE32
	.code32
compat:	OUT_SYNC				/* 7: compatibility again */
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	mov $MSR_EFER, %ecx
	rdmsr
	and $~0x100, %eax
	wrmsr
	mov %cr4, %eax
	and $~0x20, %eax
	mov %eax, %cr4
	OUT_SYNC				/* 8: protected again */
	ljmp $SEL_CODE16, $OFF(boot, prot16)
	.code16
prot16:	mov $SEL_DATA16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	OUT_SYNC				/* 9: 16-bit protected */
	mov %cr0, %eax
	and $~1, %al
	mov %eax, %cr0
	ljmp $(GUEST_CODE >> 4), $OFF(boot, real)
real:	xor %eax, %eax
	mov %eax, %ds
	mov %eax, %ss
	OUT_SYNC				/* 10: real again */
	int $0x21				/* its vectors still work */
	OUT_END
gdt_ptr: .word 0xfff
	.long GUEST_GDT
END(boot)

	/*
	 * Sets PE and PG at once. Until the far jump, CS is what real mode has
	 * left, with paging on. EBX points to 32-bit page tables.
	 */
	.code16
PAYLOAD(at_once)
	cli
	lgdtl %cs:OFF(at_once, at_once_gdt)
	mov %ebx, %cr3
	mov %cr0, %eax
	or $0x80000001, %eax
	mov %eax, %cr0
	mov %eax, %edx
	jmp 1f
1:	ljmpl $SEL_CODE32, $AT(at_once, once)
	.code32
once:	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $GUEST_STACK, %esp
	push %edx
	pop %eax
	OUT_VALUE
	OUT_END
at_once_gdt: .word 0xfff
	.long GUEST_GDT
END(at_once)
