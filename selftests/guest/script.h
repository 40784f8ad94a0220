/* SPDX-License-Identifier: GPL-2.0 */
/* One operation of the guest in guest/script.inc, which is at GUEST_DATA. */
#ifndef SELFTESTS_SCRIPT_H
#define SELFTESTS_SCRIPT_H

/* Tables, and what is made for assembly. */
/* clang-format off */

#define OP_NONE		0
#define OP_READ		1	/* b bytes at a */
#define OP_W8		2	/* b to a */
#define OP_W16		3
#define OP_W32		4
#define OP_W64		5	/* two halves, upper first, in 32-bit code */
#define OP_XCHG		6	/* 32 bits; the result is the old value */
#define OP_CMPXCHG8B	7	/* b to a, whatever is there */
#define OP_COPY		8	/* c bytes from b to a by REP MOVSB */
#define OP_INVLPG	9	/* a */
#define OP_CR3		10	/* a */
#define OP_CR4		11	/* a */
#define OP_CALL		12	/* a */
#define OP_INC		13	/* the qword (dword) at a, b times */
#define OP_CR0		14
#define NR_OPS		15

#define S_OP		(GUEST_DATA + 0)
#define S_A		(GUEST_DATA + 8)
#define S_B		(GUEST_DATA + 16)
#define S_C		(GUEST_DATA + 24)
#define S_RESULT	(GUEST_DATA + 32)
#define S_FAULT		(GUEST_DATA + 40)	/* ~0, or the error code */
#define S_CR2		(GUEST_DATA + 48)
#define S_RSP		(GUEST_DATA + 56)

#endif
