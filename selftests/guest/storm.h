/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses that guest/storm.S and paging/storm.c share. */
#ifndef SELFTESTS_STORM_H
#define SELFTESTS_STORM_H

/* Tables, and what is made for assembly. */
/* clang-format off */

#define STORM_STOP	(GUEST_DATA + 0)	/* not zero: end */
#define STORM_ROOTS	(GUEST_DATA + 64)	/* four values of CR3 */
#define STORM_FAULTS	(GUEST_DATA + 128)	/* of each vCPU */
#define STORM_TURNS	(GUEST_DATA + 192)	/* of each vCPU */
#define STORM_POOL	0x140000		/* 16 pages */
#define STORM_DATA	0x40000000		/* slot 1 */

#endif
