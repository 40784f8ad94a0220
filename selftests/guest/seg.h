/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses and marks that guest/seg.S and segments/hidden.c share. */
#ifndef SELFTESTS_SEG_H
#define SELFTESTS_SEG_H

/* Tables, and what is made for assembly. */
/* clang-format off */

#define SEL_5		0x28		/* GDT[5], of the mailing list's example */
#define OLD_BASE	0x30000
#define NEW_BASE	0x40000
#define MARK_OFF	0xff0		/* where a mark lies in a segment */
#define OLD_MARK	0x01d01d01
#define NEW_MARK	0x4e454e45
#define PORT_ASK	0x71		/* in: shall the guest reload now? */
#define BIG_START	0xf000000	/* of the thread's own snippet */
#define BIG_STORES	0x10000
#define ESP0_OLD	0xa800		/* of the TSS at OLD_BASE */
#define ESP0_NEW	0xb000

#endif
