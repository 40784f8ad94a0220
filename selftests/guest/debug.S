/* SPDX-License-Identifier: GPL-2.0 */
/* #DB and #AC that are raised by their own delivery, or behind a shadow. */
#include "payload.h"

#define BITS 16
#include "debug.inc"
#undef BITS
#define BITS 32
#include "debug.inc"
#undef BITS
#define BITS 64
#include "debug.inc"
#undef BITS

	/*
	 * Ring 3, with AC and CR0.AM set. The test makes "handler" the handler of #AC,
	 * in ring 3 too: with a stack that is not aligned, each delivery raises #AC.
	 */
	.code32
PAYLOAD(dbg_align)
	mov GUEST_DATA + 1, %eax	/* raises #AC wherever the stack lies */
	OUT_SYNC
LABEL(dbg_align, handler)
	OUT_END
END(dbg_align)

	/*
	 * Sets breakpoint 0 to rSI by DR7 = rDX, and stores to rDI. The test makes
	 * "handler" the handler of #DB. The bytes are the same for 32 bits.
	 */
	.code64
PAYLOAD(dbg_again)
	mov %rsi, %dr0
	mov %rdx, %dr7
	mov %eax, (%rdi)
LABEL(dbg_again, handler)
	nop
	OUT_END
END(dbg_again)

	/* Another guest, which shows that it gets its turns. */
PAYLOAD(dbg_other)
1:	OUT_SYNC
	jmp 1b
END(dbg_other)
