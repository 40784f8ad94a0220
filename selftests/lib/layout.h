/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses and ports of a test guest. C and assembly share this.
 *
 * Guests with paging have all of this mapped at its own address.
 */
#ifndef SELFTESTS_LAYOUT_H
#define SELFTESTS_LAYOUT_H

/* clang-format must leave tables and assembly as they are. */
/* clang-format off */

#define GUEST_IVT	0x00000	/* real mode's vectors */
#define GUEST_GDT	0x01000
#define GUEST_IDT	0x02000
#define GUEST_TSS	0x03000
#define GUEST_STUB16	0x04000	/* vector stubs, 8 bytes each */
#define GUEST_STUB32	0x05000	/* 16 bytes each */
#define GUEST_STUB64	0x06000	/* 16 bytes each */
#define GUEST_LDT	0x07000
#define GUEST_STACK0	0x0b000	/* top of the stack that the TSS names */
#define GUEST_USTACK	0x0d000	/* top of the stack for ring 3 */
#define GUEST_STACK	0x0f000	/* top of the stack that vCPUs start with */
#define GUEST_STACK_AP	0x09000	/* the same, of the second vCPU */
#define GUEST_LOW	0x0f000	/* data that 16-bit code reaches, 4 KiB */
#define GUEST_CODE	0x10000	/* the payload, at most 64 KiB */
#define GUEST_DATA	0x20000	/* shared by payload and test, 64 KiB */
#define GUEST_FREE	0x30000	/* up to GUEST_PT: for the tests */
#define GUEST_PT	0x100000	/* page tables, up to GUEST_HIGH */
#define GUEST_HIGH	0x200000	/* the rest of RAM: for the tests */

/* Identity mapped but without a memory slot. */
#define GUEST_MMIO	0xd0000000

/* Selectors. */
#define SEL_CODE64	0x08
#define SEL_DATA	0x10	/* base 0, 4 GiB */
#define SEL_CODE32	0x18	/* base 0, 4 GiB */
#define SEL_CODE16	0x20	/* base GUEST_CODE, 64 KiB */
#define SEL_DATA16	0x28	/* base 0, 64 KiB */
#define SEL_UCODE32	0x33
#define SEL_UDATA	0x3b
#define SEL_UCODE64	0x43
#define SEL_TSS		0x48	/* takes two entries */
#define SEL_LDT		0x58	/* takes two entries */
#define SEL_FREE	0x68	/* the first that a test may use */

/* Ports below 0x800 are open to ring 3 and VM86 (the TSS's permission map). */
#define PORT_TEST	0x321	/* for I/O that a test looks at */
#define PORT_CLOSED	0x1234
#define PORT_VALUE	0xf1	/* out: a value for the test */
#define PORT_EXC	0xf2	/* out: a vector stub was entered */
#define PORT_SYNC	0xf3	/* out: the test shall look, then go on */
#define PORT_END	0xf4	/* out: the payload is done */

#endif
