/* SPDX-License-Identifier: GPL-2.0 */
/* Selectors and vectors of segments/task.c and its guest. */
#ifndef SELFTESTS_TASK_H
#define SELFTESTS_TASK_H

/* clang-format must leave tables as they are. */
/* clang-format off */

#define SEL_NEW		0x68	/* the TSS of the other task */
#define SEL_GATE	0x70	/* a task gate to it, DPL 3 */
#define SEL_HANDLER	0x78	/* the TSS of a third task */
#define SEL_GONE	0x80	/* data that is not present */
#define SEL_CODE_GONE	0x88
#define SEL_BASED	0x90	/* 32-bit code at GUEST_CODE, which 16 bits reach */
#define SEL_READ	0x98	/* data that is read-only */
#define SEL_SMALL	0xa0	/* code of one page, with base 0 */
#define SEL_BEYOND	0x1000	/* beyond the GDT */

#define VEC_TASK	0x40	/* vector of INT n and of interrupts */

#endif
