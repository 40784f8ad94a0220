/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hidden parts of segment registers, for segments/hidden.c. These are the two
 * examples of the thread "Questioning the Xen Design of the VMM" (2006).
 */
#include "payload.h"
#include "seg.h"

/*
 * Example one: FS gets a 4 GiB limit in protected mode, PE is cleared, and 64
 * Ki stores go far above 64 KiB. The test asks for more passes until it has
 * seen enough interrupts. Where the thread's code stores 0, this stores a value
 * that tells each pass from the last.
 */
	.code16
PAYLOAD(seg_bigreal)
	mov %cr0, %eax
	mov %eax, %ecx
	or $1, %eax
	mov %eax, %cr0
	mov $SEL_DATA, %eax
	mov %ax, %fs
	mov %ecx, %cr0
	test %ebp, %ebp			/* the test chooses IF by EBP */
	jz 1f
	sti
1:	mov $BIG_START, %eax
	mov $BIG_STORES, %ecx
2:	addr32 mov %ebx, %fs:(%eax)
	add $4, %eax
	dec %ecx
	jnz 2b
	inc %ebx
	in $PORT_ASK, %al
	test %al, %al
	jz 1b
	cli
	OUT_END
END(seg_bigreal)

/*
 * Example two: loads from GDT[5], rewrites GDT[5], uses the register until the
 * test says that it is enough, and loads it again.
 */
	.code32
.macro rewrite_gdt5 via
	/* Of base bits 16 to 23, OLD_BASE becomes NEW_BASE. */
	movb $(NEW_BASE >> 16), %\via\():(GUEST_GDT + SEL_5 + 4)
.endm

.macro start_if
	test %ebp, %ebp
	jz 1f
	sti
1:
.endm

.macro check_mark reg, mark
	mov %\reg\():MARK_OFF, %eax
	cmp $\mark, %eax
	jne 9f
.endm

.macro data_body reg, via
	mov $SEL_5, %eax
	mov %eax, %\reg
	.ifc \reg, ss
	mov $0xf00, %esp
	.endif
	rewrite_gdt5 \via
	start_if
2:	mov $200, %ecx
3:	check_mark \reg, OLD_MARK
	dec %ecx
	jnz 3b
	in $PORT_ASK, %al
	test %al, %al
	jz 2b
	cli
	mov $SEL_5, %eax
	mov %eax, %\reg
	check_mark \reg, NEW_MARK
	OUT_END
9:	OUT_VALUE
	OUT_END
.endm

#define DATA_CASE(reg, via) \
	PAYLOAD(seg_##reg) data_body reg, via; END(seg_##reg)

DATA_CASE(ds, es)
DATA_CASE(es, ds)
DATA_CASE(fs, ds)
DATA_CASE(gs, ds)
DATA_CASE(ss, ds)

/*
 * The payload has a copy at OLD_BASE and another at NEW_BASE, and runs in both.
 */
PAYLOAD(seg_cs)
	ljmp $SEL_5, $OFF(seg_cs, 1f)
1:	rewrite_gdt5 ds
2:	mov $200, %ecx
3:	check_mark cs, OLD_MARK
	dec %ecx
	jnz 3b
	in $PORT_ASK, %al
	test %al, %al
	jz 2b
	ljmp $SEL_5, $OFF(seg_cs, 4f)
4:	check_mark cs, NEW_MARK
	OUT_END
9:	OUT_VALUE
	OUT_END
END(seg_cs)

/*
 * With the LDT at OLD_BASE, its entry 0 leads to the old mark; with the LDT at
 * NEW_BASE, to the new mark.
 */
PAYLOAD(seg_ldt)
	mov $SEL_5, %eax
	lldt %ax
	rewrite_gdt5 ds
	start_if
2:	mov $200, %ecx
3:	mov $4, %eax
	mov %eax, %gs
	check_mark gs, OLD_MARK
	dec %ecx
	jnz 3b
	in $PORT_ASK, %al
	test %al, %al
	jz 2b
	cli
	mov $SEL_5, %eax
	lldt %ax
	mov $4, %eax
	mov %eax, %gs
	check_mark gs, NEW_MARK
	OUT_END
9:	OUT_VALUE
	OUT_END
END(seg_ldt)

/*
 * Ring 3 finds out by INT 0x81 which stack the TSS gives to ring 0. It does so
 * in long mode, because QEMU's TCG aborts on a 32-bit TSS that SREGS or VMLOAD
 * made busy.
 */
	.code64
PAYLOAD(seg_tr)
	mov $SEL_5, %eax
	ltr %ax
	movb $(NEW_BASE >> 16), GUEST_GDT + SEL_5 + 4
	movb $0x89, GUEST_GDT + SEL_5 + 5	/* make the new TSS available, not busy */
	push $SEL_UDATA
	push $GUEST_USTACK
	push $0x3002				/* IOPL 3: ring 3 uses PORT_ASK by itself */
	test %ebp, %ebp
	jz 1f
	orl $0x200, (%rsp)
1:	push $SEL_UCODE64
	push $AT(seg_tr, 2f)
	iretq
2:	mov $200, %ecx
3:	int $0x81
	cmp $(ESP0_OLD - 40), %rax
	jne 9f
	dec %ecx
	jnz 3b
	in $PORT_ASK, %al
	test %al, %al
	jz 2b
	int $0x82
	int $0x81
	cmp $(ESP0_NEW - 40), %rax
	jne 9f
	OUT_END
9:	OUT_VALUE
	OUT_END
LABEL(seg_tr, int81)
	mov %rsp, %rax
	iretq
LABEL(seg_tr, int82)
	mov $SEL_5, %eax
	ltr %ax
	iretq
END(seg_tr)
