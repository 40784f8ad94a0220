/* SPDX-License-Identifier: GPL-2.0 */
/* Exceptions in code of three widths. */
#include "payload.h"

#define MSR_EFER	0xc0000080
#define MSR_LSTAR	0xc0000082
#define CR0_MP		0x2
#define CR0_EM		0x4
#define CR0_TS		0x8
#define CR0_NE		0x20
#define CR4_OSFXSR	0x200

#define BITS 16
#include "exc.inc"
#undef BITS
#define BITS 32
#include "exc.inc"
#undef BITS
#define BITS 64
#include "exc.inc"
#undef BITS

	/*
	 * The stack lies on a page table. The code is assembled for 64 bits;
	 * the bytes are the same for 32.
	 */
	.code64
PAYLOAD(exc_root)
	ud2
	OUT_END
END(exc_root)
	/*
	 * The page-table entry that maps rDI is overwritten by the frame of
	 * UD2.
	 */
PAYLOAD(exc_entry)
	mov (%rdi), %eax
	ud2
LABEL(exc_entry, behind)
	mov %cr3, %rax
	mov %rax, %cr3
LABEL(exc_entry, gone)
	mov (%rdi), %eax
	OUT_END
END(exc_entry)

	/*
	 * Raises faults that vigil itself injects, of vectors that have an
	 * error code.
	 */
#define BITS 16
	.code16
PAYLOAD(exc_intercepted)
	mov $0xc0000fff, %ecx
	TRY_FAULT(exc_intercepted, 13, 0, rdmsr)
	TRY_FAULT(exc_intercepted, 13, 0, wrmsr)
	mov $0x80000000, %eax
	TRY_FAULT(exc_intercepted, 13, 0, mov %eax, %cr4)
	OUT_END
END(exc_intercepted)
#undef BITS

	/* Runs instructions that IOPL and the ring forbid in VM86. */
#define BITS 16
	.code16
PAYLOAD(exc_vm86)
	TRY_FAULT(exc_vm86, 13, 0, hlt)
	TRY_FAULT(exc_vm86, 13, 0, mov %cr0, %eax)
	TRY_FAULT(exc_vm86, 13, 0, clts)
	TRY_FAULT(exc_vm86, 6, 0, lldt %ax)
	mov $PORT_CLOSED, %edx
	TRY_FAULT(exc_vm86, 13, 0, out %al, %dx)
	TRY_FAULT(exc_vm86, 13, 0, in %dx, %eax)
	TRY_FAULT(exc_vm86, 13, 0, outsb)
	OUT_END
END(exc_vm86)
PAYLOAD(exc_vm86_iopl0)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, cli)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, sti)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, pushf)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, popf)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, int $0x80)
	TRY_FAULT(exc_vm86_iopl0, 13, 0, iret)
	TRY_TRAP(exc_vm86_iopl0, 3, 0, int3)
	OUT_END
END(exc_vm86_iopl0)
#undef BITS

	/* Goes into ring 3, whose code raises faults. */
#define BITS 32
	.code32
PAYLOAD(exc_user32)
	mov $SEL_TSS, %eax
	ltr %ax
	push $SEL_UDATA
	push $GUEST_USTACK
	push $2
	push $SEL_UCODE32
	push $AT(exc_user32, 1f)
	iret
1:	TRY_FAULT(exc_user32, 13, 0, hlt)
	TRY_FAULT(exc_user32, 13, 0, cli)
	TRY_FAULT(exc_user32, 13, 0, mov %cr3, %eax)
	TRY_FAULT(exc_user32, 13, 0, rdmsr)
	TRY_FAULT(exc_user32, 13, 0, invd)
	TRY_FAULT(exc_user32, 13, 0, lgdt GUEST_LOW)
	TRY_TRAP(exc_user32, 0x80, 0, int $0x80)
	TRY_TRAP(exc_user32, 3, 0, int3)
	mov $SEL_DATA, %eax
	TRY_FAULT(exc_user32, 13, SEL_DATA, mov %eax, %ds)
	TRY_FAULT(exc_user32, 13, SEL_DATA, mov %eax, %ss)
	mov $PORT_CLOSED, %edx
	TRY_FAULT(exc_user32, 13, 0, out %al, %dx)
	TRY_FAULT(exc_user32, 13, 0, in %dx, %eax)
	OUT_END
END(exc_user32)
	/*
	 * Runs INT n through a gate of ring 0. There is no such test in long
	 * mode, where QEMU's TCG gives twice the vector in the error code.
	 */
PAYLOAD(exc_gate32)
	mov $SEL_TSS, %eax
	ltr %ax
	push $SEL_UDATA
	push $GUEST_USTACK
	push $2
	push $SEL_UCODE32
	push $AT(exc_gate32, 1f)
	iret
1:	test %ebp, %ebp			/* does the test want the IDT to be used before? */
	jz 2f
	TRY_TRAP(exc_gate32, 0x80, 0, int $0x80)
2:	TRY_FAULT(exc_gate32, 13, 0x21 * 8 + 2, int $0x21)
	TRY_FAULT(exc_gate32, 13, 13 * 8 + 2, int $13)
	TRY_FAULT(exc_gate32, 13, 0xff * 8 + 2, int $0xff)
	OUT_END
END(exc_gate32)
#undef BITS
#define BITS 64
	.code64
	/*
	 * Sets a bit above 31 of CR0 and of CR4. KVM's emulator drops the upper
	 * half.
	 */
PAYLOAD(exc_upper64)
	mov %cr0, %rax
	bts $40, %rax
	TRY_FAULT(exc_upper64, 13, 0, mov %rax, %cr0)
	mov %cr4, %rax
	bts $40, %rax
	TRY_FAULT(exc_upper64, 13, 0, mov %rax, %cr4)
	OUT_END
END(exc_upper64)
PAYLOAD(exc_user64)
	mov $SEL_TSS, %eax
	ltr %ax
	push $SEL_UDATA
	push $GUEST_USTACK
	push $2
	push $SEL_UCODE64
	push $AT(exc_user64, 1f)
	iretq
1:	TRY_FAULT(exc_user64, 13, 0, hlt)
	TRY_FAULT(exc_user64, 13, 0, cli)
	TRY_FAULT(exc_user64, 13, 0, mov %cr3, %rax)
	TRY_FAULT(exc_user64, 13, 0, rdmsr)
	TRY_FAULT(exc_user64, 13, 0, swapgs)
	TRY_FAULT(exc_user64, 13, 0, lidt GUEST_LOW)
	TRY_TRAP(exc_user64, 0x80, 0, int $0x80)
	TRY_TRAP(exc_user64, 3, 0, int3)
	mov $SEL_DATA, %eax
	TRY_FAULT(exc_user64, 13, SEL_DATA, mov %eax, %ds)
	mov $PORT_CLOSED, %edx
	TRY_FAULT(exc_user64, 13, 0, out %al, %dx)
	OUT_END
END(exc_user64)
