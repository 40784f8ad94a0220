/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of address, and the bits of error codes. Pure.
 *
 *	gva	guest virtual address, behind segmentation (the manuals' linear address)
 *	gpa	guest physical address; gfn is its page frame number
 *	hva	host virtual address, in the process that runs the VM
 *	hpa	host physical address
 */
#ifndef VIGIL_VMM_TYPES_H
#define VIGIL_VMM_TYPES_H

#include "pure.h"

typedef unsigned long gva_t;
typedef u64 gpa_t;
typedef u64 gfn_t;
typedef unsigned long hva_t;
typedef u64 hpa_t;

/* Do the upper bits repeat bit @bits - 1? @bits: 48, or 57 with CR4.LA57. */
static inline bool gva_canonical(u64 gva, unsigned int bits)
{
	unsigned int unused = 64 - bits;

	return (u64)((s64)(gva << unused) >> unused) == gva;
}

#define INVALID_GPA (~(gpa_t)0)

/*
 * The error code that the CPU gives with #PF. The walker of guest page tables takes
 * W, U and I as the access to check, and gives back all of them as the code to inject.
 */
#define PFERR_P \
	(1u     \
	 << 0) /* a present entry forbids it; clear: an entry is not present */
#define PFERR_W (1u << 1) /* write access */
#define PFERR_U (1u << 2) /* user access: CPL 3 */
#define PFERR_RSVD (1u << 3) /* an entry has a reserved bit set */
#define PFERR_I (1u << 4) /* instruction fetch */
#define PFERR_SGX (1u << 15) /* refused by SGX, not by the page tables */

/* The error code of #TS, #NP, #SS and #GP: a selector's index from bit 3 on, and these. */
#define EC_EXT (1u << 0) /* during the delivery of an event from outside */
#define EC_IDT (1u << 1) /* the index is one of the IDT */

#endif
