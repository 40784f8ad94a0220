/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupts and NMIs in code of three widths. */
#include "payload.h"

#define PORT_ASK 0x71

#define BITS 16
#include "event.inc"
#undef BITS
#define BITS 32
#include "event.inc"
#undef BITS
#define BITS 64
#include "event.inc"
#undef BITS

#define BITS 64
	.code64
/*
 * Runs INT n, then a fault, through an IDT whose second half is not mapped: the
 * page fault comes first. The test maps the page and lets the guest try again.
 */
PAYLOAD(ev_idt_pf)
	OUT_SYNC
LABEL(ev_idt_pf, int)
	int $0x90
LABEL(ev_idt_pf, behind)
	nop
	OUT_END
END(ev_idt_pf)

/* The test looks into the NMI handler. NMIs stay blocked until its IRET. */
PAYLOAD(ev_nmi_block)
	OUT_SYNC
	nop
	nop
	OUT_END
LABEL(ev_nmi_block, handler)
	mov %rsp, %rax
	OUT_VALUE
	OUT_SYNC			/* the test sends another NMI here */
	nop
	nop
	mov $0x1111, %eax
	OUT_VALUE			/* still in the first handler */
	iretq
END(ev_nmi_block)
#undef BITS

/*
 * The NMI's handler returns through a frame that the test plays as a device, so vigil
 * makes its IRET. The frame leads to "behind", which another code segment has one byte
 * before the IRET's own offset: its MOV stands where the IRET stood, in a shadow.
 */
#define BITS 32
	.code32
PAYLOAD(ev_nmi_mmio)
	OUT_SYNC
	nop
	OUT_END
LABEL(ev_nmi_mmio, handler)
	mov $GUEST_MMIO, %esp
LABEL(ev_nmi_mmio, iret)
	iret
	.balign 16
LABEL(ev_nmi_mmio, behind)
	sti
	mov GUEST_FREE, %esp
	nop
	OUT_END
END(ev_nmi_mmio)
