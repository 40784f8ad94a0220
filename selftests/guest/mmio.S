/* SPDX-License-Identifier: GPL-2.0 */
/* Accesses to MMIO in code of three widths. */
#include "payload.h"

#define BITS 16
#include "mmio.inc"
#undef BITS
#define BITS 32
.purgem report
#include "mmio.inc"
#undef BITS
#define BITS 64
.purgem report
#include "mmio.inc"
#undef BITS

#define BITS 64
	.code64
/* Makes one access of each width. The test looks at the form of the exit. */
PAYLOAD(mmio_exits)
	mov $GUEST_MMIO, %ebx
	mov $0x1122334455667788, %rax
	mov %al, 1(%rbx)
	mov %ax, 2(%rbx)
	mov %eax, 4(%rbx)
	mov %rax, 8(%rbx)
	mov 0x11(%rbx), %al
	mov 0x12(%rbx), %ax
	mov 0x14(%rbx), %eax
	OUT_VALUE
	mov 0x18(%rbx), %rax
	OUT_VALUE
	OUT_END
END(mmio_exits)

/* Stores eight bytes that a mask selects, for which there is no emulation. */
PAYLOAD(mmio_unknown)
	mov $GUEST_MMIO + 0x10, %edi
	pcmpeqd %mm0, %mm0
LABEL(mmio_unknown, insn)
	maskmovq %mm0, %mm0
	OUT_END
END(mmio_unknown)
