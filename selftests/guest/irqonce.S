/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An interrupt handler that takes long, with interrupts off, and counts its
 * calls.
 */
#include "payload.h"

	.code64
PAYLOAD(irqonce)
1:	sti
	hlt
	jmp 1b
LABEL(irqonce, handler)
	incq GUEST_DATA
	mov $300000, %rcx
2:	dec %rcx
	jnz 2b
	iretq
END(irqonce)
