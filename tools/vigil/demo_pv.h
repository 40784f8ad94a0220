/* SPDX-License-Identifier: GPL-2.0 */
/* What the paravirtual demo and its guest (demo_pv_guest.S) share: places and numbers. */
#ifndef VIGIL_DEMO_PV_H
#define VIGIL_DEMO_PV_H

/* clang-format must leave tables and assembly as they are. */
/* clang-format off */

/* Guest-physical; all but PV_OUT and PV_SWAP is mapped at its own address. */
#define PV_RAM		0x80000		/* bytes */
#define PV_GDT		0x1000
#define PV_TSS		0x2000
#define PV_PML4		0x3000
#define PV_PDPT		0x4000
#define PV_PD		0x5000
#define PV_PT		0x6000
#define PV_DATA		0x8000		/* what the kernel notes */
#define PV_STACK0	0xa000		/* top of the kernel's stack in ring 0 */
#define PV_STACK1	0xc000		/* the same in ring 1 */
#define PV_KERNEL	0x10000
#define PV_SWAP		0x20000		/* a page of the kernel that is out */
#define PV_OUT		0x30000		/* where the kernel wants to have it */
#define PV_USER		0x40000		/* the program; level 3 sees it, and its stack */
#define PV_USTACK	0x42000		/* top of its stack */

/* Selectors. */
#define PV_CS0		0x08
#define PV_DS0		0x10
#define PV_CS3		0x1b
#define PV_DS3		0x23
#define PV_TR		0x28		/* takes two entries */
#define PV_CS1		0x39		/* code of ring 1; in act 6 it is not present */

#define PV_PORT		0xf1		/* EAX written to it is told to the demo */
#define PV_CALLS	10000		/* system calls in a loop */

/* What the kernel notes, 8 bytes each. */
#define PV_FAST		(PV_DATA + 0x00)	/* how often each handler ran */
#define PV_SLOW		(PV_DATA + 0x08)
#define PV_UD		(PV_DATA + 0x10)
#define PV_PF		(PV_DATA + 0x18)
#define PV_PAGED	(PV_DATA + 0x20)
#define PV_UD_CS	(PV_DATA + 0x28)	/* the CS of the handler of #UD */
#define PV_PF_ERROR	(PV_DATA + 0x30)
#define PV_FRAME	(PV_DATA + 0x38)	/* of #UD: RIP, CS, RFLAGS, RSP, SS */
#define PV_BAD		(PV_DATA + 0x60)	/* results of the three bad tables */

#endif
