/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Assembly side of guest payloads.
 *
 * PAYLOAD(x) ... END(x) lie in the test program's read-only data; the test
 * copies them to GUEST_CODE (or elsewhere), so absolute addresses are written
 * as AT(x, label), offsets into the payload as OFF(x, label).
 */
#ifndef SELFTESTS_PAYLOAD_H
#define SELFTESTS_PAYLOAD_H

/* clang-format must leave tables and assembly as they are. */
/* clang-format off */

#include "layout.h"

#define PAYLOAD_(n)	.section .rodata; .balign 16; .globl pl_##n; pl_##n:
#define PAYLOAD(n)	PAYLOAD_(n)
#define END_(n)		.globl pl_##n##_end; pl_##n##_end: .byte 0
#define END(n)		END_(n)
/* A label whose address the test uses. */
#define LABEL_(n, l)	.globl pl_##n##_##l; pl_##n##_##l:
#define LABEL(n, l)	LABEL_(n, l)
#define OFF_(n, l)	((l) - pl_##n)
#define OFF(n, l)	OFF_(n, l)
#define AT_(n, l)	(GUEST_CODE + (l) - pl_##n)
#define AT(n, l)	AT_(n, l)

/*
 * Code that exists in several widths is in a .inc file, included with BITS
 * defined as 16, 32 or 64. NAME(x) is x followed by the width.
 */
#define PASTE_(a, b)	a##b
#define PASTE(a, b)	PASTE_(a, b)
#define NAME(n)		PASTE(n, BITS)

/*
 * The address as it is in RIP: in 16-bit code an offset, since CS starts at the
 * payload.
 */
#define ADDR(n, l)	PASTE(ADDR, BITS)(n, l)
#define ADDR16(n, l)	OFF(n, l)
#define ADDR32(n, l)	AT(n, l)
#define ADDR64(n, l)	AT(n, l)

/*
 * TRY_FAULT(name, vector, error, instruction...): the instruction must raise
 * the exception, with the frame's RIP at the instruction itself (TRY_TRAP:
 * behind it). The test's run_tries() compares and goes on behind the OUT_SYNC,
 * which says that nothing was raised. Uses ebx, esi, edi.
 */
#define TRY_FAULT(n, vec, err, ...) \
	mov $((err) << 8 | (vec)), %edi; mov $ADDR(n, 661f), %esi; \
	mov $ADDR(n, 662f), %ebx; 661: __VA_ARGS__; OUT_SYNC; 662:
#define TRY_TRAP(n, vec, err, ...) \
	mov $((err) << 8 | (vec)), %edi; mov $ADDR(n, 661f), %esi; \
	mov $ADDR(n, 662f), %ebx; __VA_ARGS__; 661: OUT_SYNC; 662:
/*
 * The instruction must not raise anything: an exception is compared with vector
 * 0x99.
 */
#define TRY_NONE(n, ...) \
	mov $0x99, %edi; mov $ADDR(n, 661f), %esi; \
	mov $ADDR(n, 662f), %ebx; 661: __VA_ARGS__; 662:

#define OUT_END		out %al, $PORT_END
#define OUT_SYNC	out %al, $PORT_SYNC
#define OUT_VALUE	out %eax, $PORT_VALUE

#endif
