/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest of traps.inc and its tests in pv/ share: places at GUEST_DATA. */
#ifndef SELFTESTS_TRAPS_H
#define SELFTESTS_TRAPS_H

/* Tables, and what is made for assembly. */
/* clang-format off */

#define T_RESULT	(GUEST_DATA + 0x00)	/* results of three calls, 8 bytes each */
#define T_FAST		(GUEST_DATA + 0x20)	/* counters, one for each handler */
#define T_SLOW		(GUEST_DATA + 0x28)
#define T_SKIP		(GUEST_DATA + 0x30)
#define T_PF		(GUEST_DATA + 0x38)
#define T_ERROR		(GUEST_DATA + 0x40)	/* error code of the last fault that has one */
#define T_RIP		(GUEST_DATA + 0x48)	/* frame of the last fault: RIP, CS */
#define T_CS		(GUEST_DATA + 0x50)
#define T_STORED	(GUEST_DATA + 0x60)	/* results of SIDT and SGDT, 16 bytes each */
#define T_STACK		(GUEST_DATA + 0x80)	/* SS and SP that stack_switch names */
#define T_VECTOR	(GUEST_DATA + 0x90)	/* argument of set_fast_trap */
#define T_RIP0		(GUEST_DATA + 0xa0)	/* the frame with which ring 0 is left */
#define T_CS0		(GUEST_DATA + 0xa8)
#define T_FLAGS0	(GUEST_DATA + 0xb0)
#define T_SP0		(GUEST_DATA + 0xb8)
#define T_SS0		(GUEST_DATA + 0xc0)
#define T_AT		(GUEST_DATA + 0xc8)	/* an address to be touched */
#define T_SKIPPED	(GUEST_DATA + 0xd0)	/* bytes behind which a handler returns */
#define T_MADE		(GUEST_DATA + 0xd8)	/* traps that ring 3 has made */
#define T_TURN		(GUEST_DATA + 0xe0)	/* ring 3 makes INT 0x83 behind so many traps */
#define T_STOP		(GUEST_DATA + 0xe8)	/* the test wants ring 3 to end */
#define T_TABLE		(GUEST_DATA + 0x200)	/* the trap table */
#define T_TABLE2	(GUEST_DATA + 0x2000)	/* another trap table */

/* Traps that do not exit, in a loop of the guest. */
#define T_LOOPS		10000
/* Traps that exit. Each is a virtual interrupt where QEMU is the host, and slow. */
#define T_BOUNCES	1000

#endif
