/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of `vigil demo --pv': a kernel, one page of it that is out, and a user program,
 * all 64-bit. demo_pv.c copies them to PV_KERNEL, PV_SWAP and PV_USER.
 */
#include "demo_pv.h"

#define NR_set_trap_table	0
#define NR_stack_switch	3
#define NR_console_io	18
#define NR_sched_op	29
#define NR_set_fast_trap	54
#define NR_set_hypercall_iopl	55

/* The VMM's flat segments of ring 1. */
#define RING1_CS	0xe039
#define RING1_DS	0xe041
/* IF, and IOPL 3: the program may use ports, which is how it tells where it is. */
#define USER_FLAGS	0x3202

/* Addresses in the guest. */
#define K(label)	(PV_KERNEL + (label) - pv_kernel)
#define U(label)	(PV_USER + (label) - pv_user)

#define TELL		out %eax, $PV_PORT

#define GLOBAL(label)	.globl label; label:

/* Calls with one and two arguments. */
.macro	call1 nr:req, arg:req
	mov	$\arg, %edi
	mov	$\nr, %eax
	vmmcall
.endm
.macro	call2 nr:req, arg:req, second:req
	mov	$\second, %esi
	call1	\nr, \arg
.endm

/* Leaves for an outer ring. */
.macro	leave_to cs:req, ss:req, sp:req, ip:req
	push	$\ss
	push	$\sp
	push	$USER_FLAGS
	push	$\cs
	push	$\ip
	iretq
.endm

/* An entry of a trap table, and the end of one. */
.macro	trap vector:req, dpl:req, cs:req, ip:req
	.byte	\vector, \dpl
	.short	\cs
	.long	0
	.quad	\ip
.endm
.macro	end_of_traps
	.quad	0, 0
.endm

	.section .rodata
	.code64
	.balign	16
GLOBAL(pv_kernel)

	/* ---- act 1 ---- */

GLOBAL(pv_enter_hello)
	leave_to PV_CS3, PV_DS3, PV_USTACK, U(hello)

GLOBAL(pv_open)
	call2	NR_set_hypercall_iopl, 0, K(iopl)
	TELL

	/* ---- acts 2 to 6, in ring 0 ---- */

GLOBAL(pv_boot)
	call1	NR_set_trap_table, K(traps)
	mov	%eax, %ebx
	call2	NR_stack_switch, RING1_DS, PV_STACK1
	or	%eax, %ebx
	call1	NR_set_fast_trap, 0x80
	or	%ebx, %eax
	TELL
	leave_to RING1_CS, RING1_DS, PV_STACK1, K(ring1)

	/* ---- from here on in ring 1 ---- */

ring1:	mov	%cs, %eax
	TELL
	leave_to PV_CS3, PV_DS3, PV_USTACK, U(program)

on_fast:
	incq	PV_FAST
	iretq

on_slow:
	incq	PV_SLOW
	iretq

	/* Notes where it runs and its frame, and returns behind UD2. */
on_ud:	incq	PV_UD
	push	%rax
	mov	%cs, %eax
	mov	%rax, PV_UD_CS
	mov	8(%rsp), %rax
	mov	%rax, PV_FRAME
	mov	16(%rsp), %rax
	mov	%rax, PV_FRAME + 8
	mov	24(%rsp), %rax
	mov	%rax, PV_FRAME + 16
	mov	32(%rsp), %rax
	mov	%rax, PV_FRAME + 24
	mov	40(%rsp), %rax
	mov	%rax, PV_FRAME + 32
	addq	$2, 8(%rsp)
	pop	%rax
	iretq

	/* Presents tables that the VMM must refuse. */
on_tables:
	call1	NR_set_trap_table, K(with_ring0)
	mov	%eax, PV_BAD
	call1	NR_set_trap_table, K(with_ours)
	mov	%eax, PV_BAD + 8
	call1	NR_set_trap_table, K(not_canonical)
	mov	%eax, PV_BAD + 16
	iretq

	/* Brings in the only page that is ever out. */
on_page:
	incq	PV_PF
	push	%rax
	mov	8(%rsp), %rax
	mov	%rax, PV_PF_ERROR
	movq	$PV_SWAP | 3, PV_PT + PV_OUT / 4096 * 8
	pop	%rax
	add	$8, %rsp
	iretq

	/* ---- data ---- */

	.balign	8
iopl:	.byte	3, 1, 0, 0, 0, 0, 0, 0	/* struct vigil_iopl: level 3, the VM */
	.quad	1 << NR_console_io

traps:	trap	0x80, 3, RING1_CS, K(on_fast)
	trap	0x81, 3, PV_CS1, K(on_slow)
	trap	0x83, 3, RING1_CS, PV_OUT
	trap	0x84, 3, RING1_CS, K(on_tables)
	trap	6, 0, RING1_CS, K(on_ud)
	trap	14, 4, RING1_CS, K(on_page)
	end_of_traps

	/* Each begins with a good entry, which must not take effect either. */
with_ring0:
	trap	0x80, 3, RING1_CS, K(on_slow)
	trap	0x81, 3, PV_CS0, K(on_slow)
	end_of_traps
with_ours:
	trap	0x80, 3, RING1_CS, K(on_slow)
	trap	0x81, 3, (0xe008 | 1), K(on_slow)
	end_of_traps
not_canonical:
	trap	0x80, 3, RING1_CS, K(on_slow)
	trap	0x81, 3, RING1_CS, 0x800000000000
	end_of_traps
GLOBAL(pv_kernel_end)

	/* The page that is out: a handler. */
GLOBAL(pv_page)
	incq	PV_PAGED
	iretq
GLOBAL(pv_page_end)

	/* ---- the program, in ring 3 ---- */

	.balign	16
GLOBAL(pv_user)

	/* Act 1: prints twice, tries another call, and raises an exception. */
hello:	call	print
	TELL
	call	print
	TELL
	call1	NR_sched_op, 0
	TELL
	ud2

print:	mov	$U(text), %edx
	call2	NR_console_io, 0, (text_end - text)
	ret

text:	.ascii	"Hello from user mode, without an IDT."
text_end:

	/* Acts 2 to 5. TELL says where it is. In act 6, the second trap ends the VM. */
program:
	int	$0x80
	int	$0x81
	TELL
	mov	$PV_CALLS, %ecx
1:	int	$0x80
	dec	%ecx
	jnz	1b
	TELL
	mov	$PV_CALLS, %ecx
1:	int	$0x81
	dec	%ecx
	jnz	1b
	TELL
GLOBAL(pv_at_ud)
	ud2
	TELL
	int	$0x84
	int	$0x80
	TELL
	int	$0x83
	TELL

	/* Act 6: what the second VM does. */
2:	mov	$PV_CALLS, %ecx
1:	int	$0x80
	dec	%ecx
	jnz	1b
	TELL
	jmp	2b
GLOBAL(pv_user_end)

	.section .note.GNU-stack, "", @progbits
