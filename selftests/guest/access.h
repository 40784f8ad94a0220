/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What paging/access.c orders from its guest, at GUEST_DATA: a header, then up
 * to ACC_MAX commands. Assembly uses the offsets, C uses the struct.
 */
#ifndef SELFTESTS_ACCESS_H
#define SELFTESTS_ACCESS_H

/* Tables, and what is made for assembly. */
/* clang-format off */

#define ACC_COUNT	(GUEST_DATA + 0)	/* u32, commands; 0: end */
#define ACC_ENTRY	(GUEST_DATA + 4)	/* u32, bytes of a PTE */
#define ACC_LEFT	(GUEST_DATA + 8)	/* the guest's own, from here */
#define ACC_EFER	(GUEST_DATA + 16)
#define ACC_RSP		(GUEST_DATA + 24)
#define ACC_CMDS	(GUEST_DATA + 256)
#define ACC_MAX		250
#define ACC_USER	GUEST_FREE		/* page of ring 3's code */

#define ACC_READ	0
#define ACC_WRITE	1
#define ACC_FETCH	2
#define ACC_IN_USER	0x10

#define C_KIND		0
#define C_NR_WRITES	4
#define C_NR_READS	6
#define C_CR0		8
#define C_CR4		16
#define C_EFER		24
#define C_CR3		32
#define C_VA		40
#define C_FLAGS		48
#define C_INVLPG	56
#define C_WRITES	64
#define C_READS		144
#define C_VECTOR	184
#define C_ERROR		188
#define C_CR2		192
#define C_AFTER		200
#define C_SIZE		256

#define NO_VECTOR	0xff

#ifndef __ASSEMBLER__
#include <stdint.h>

struct acc_cmd {
	uint32_t kind;
	uint16_t nr_writes, nr_reads;
	uint64_t cr0, cr4, efer;
	uint64_t cr3;			/* 0: leave alone */
	uint64_t va;
	uint64_t rflags;		/* for accesses in ring 0 */
	uint64_t invlpg;		/* of @va, before the access */
	struct { uint64_t gpa, val; } write[5];
	uint64_t read[5];
	uint32_t vector, error;		/* from here on: the result */
	uint64_t cr2;
	uint64_t after[5];
	uint64_t pad[2];
};

_Static_assert(sizeof(struct acc_cmd) == C_SIZE, "");
_Static_assert(__builtin_offsetof(struct acc_cmd, write) == C_WRITES, "");
_Static_assert(__builtin_offsetof(struct acc_cmd, read) == C_READS, "");
_Static_assert(__builtin_offsetof(struct acc_cmd, vector) == C_VECTOR, "");
_Static_assert(__builtin_offsetof(struct acc_cmd, after) == C_AFTER, "");
#endif

#endif
