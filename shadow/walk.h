/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's page-table walk: pure, no kernel calls. Guest memory is reached
 * through two callbacks, so that it runs in unit tests as well.
 */
#ifndef VIGIL_SHADOW_WALK_H
#define VIGIL_SHADOW_WALK_H

#include "vmm/arch.h"
#include "vmm/types.h"

enum walk_paging { WALK_NONE, WALK_32, WALK_PAE, WALK_4LEVEL, WALK_5LEVEL };

/*
 * Returns how a CPU with these registers translates; EFER.LMA means long mode.
 */
static inline enum walk_paging walk_paging_of(u64 cr0, u64 cr4, u64 efer)
{
	const u64 lma = BIT_ULL(10);

	if (!(cr0 & X86_CR0_PG))
		return WALK_NONE;
	if (efer & lma)
		return cr4 & X86_CR4_LA57 ? WALK_5LEVEL : WALK_4LEVEL;
	return cr4 & X86_CR4_PAE ? WALK_PAE : WALK_32;
}

/* bits of a guest's entry, all modes */
#define PTE_P BIT_ULL(0)
#define PTE_W BIT_ULL(1)
#define PTE_U BIT_ULL(2)
#define PTE_A BIT_ULL(5)
#define PTE_D BIT_ULL(6)
#define PTE_PS BIT_ULL(7)
#define PTE_NX BIT_ULL(63)
#define PTE_ADDR GENMASK_ULL(51, 12)

/* rights, as in union shadow_role.access */
#define WALK_W 1u
#define WALK_U 2u
#define WALK_X 4u
#define WALK_ALL 7u

#define WALK_MAX_LEVEL 5

/**
 * struct walk_mode - the control bits that shape a walk
 * @paging:	enum walk_paging
 * @pse:	CR4.PSE, for 32-bit paging
 * @pse36:	CPUID: 4 MiB pages above 4 GiB
 * @nx:		EFER.NXE
 * @wp:		CR0.WP
 * @smep:	CR4.SMEP
 * @smap:	CR4.SMAP
 * @gbpages:	CPUID: 1 GiB pages
 * @maxphyaddr:	width of a guest-physical address, 32 to 52
 */
struct walk_mode {
	u8 paging;
	bool pse, pse36, nx, wp, smep, smap, gbpages;
	u8 maxphyaddr;
};

/**
 * struct walk_access - the access that is to be translated
 * @ec:		PFERR_W, U, I
 * @smap_on:	supervisor data accesses to user pages fault: CR4.SMAP, and
 *		RFLAGS.AC clear or the access implicit
 * @set_ad:	set A, and D for a write
 */
struct walk_access {
	u32 ec;
	bool smap_on;
	bool set_ad;
};

/**
 * struct guest_walk - what a walk found; arrays are indexed by level - 1
 * @top:	level that the walk started at
 * @level:	of the entry that maps the page
 * @access:	WALK_W, U, X of the whole walk
 * @dirty:	D is set in the last entry, or does not matter
 * @error_code:	with WALK_FAULT
 * @gfn:	of the 4 KiB page that was asked for
 * @table:	guest-physical address of each entry read
 * @pte:	its value in memory, after A and D
 * @above:	rights that the levels above this entry allow
 */
struct guest_walk {
	u8 top;
	u8 level;
	u8 access;
	bool dirty;
	u32 error_code;
	u64 gfn;
	u64 table[WALK_MAX_LEVEL];
	u64 pte[WALK_MAX_LEVEL];
	u8 above[WALK_MAX_LEVEL];
};

/**
 * struct walk_mem - how a walk reaches guest memory
 * @read:	0; -EAGAIN: not without sleeping; else no memory is there
 * @set:	set an entry from @old to @new_: 0; 1: it was not @old; negative:
 *		it cannot be written (goes on without)
 */
struct walk_mem {
	int (*read)(void *priv, u64 gpa, u64 *pte, unsigned int bytes);
	int (*set)(void *priv, u64 gpa, u64 old, u64 new_, unsigned int bytes);
};

enum walk_result {
	WALK_OK,
	WALK_FAULT, /* the guest's #PF: error_code */
	WALK_RETRY, /* entries changed all the time, or -EAGAIN */
};

/**
 * walk_guest() - translate a linear address as the guest's CPU would
 * @m:		mode
 * @mem:	callbacks
 * @priv:	theirs
 * @cr3:	CR3
 * @pdpte:	the four latched PDPTEs, for WALK_PAE
 * @gva:	linear address
 * @a:		access
 * @w:		result
 *
 * Return: enum walk_result.
 */
int walk_guest(const struct walk_mode *m, const struct walk_mem *mem,
	       void *priv, u64 cr3, const u64 *pdpte, u64 gva,
	       const struct walk_access *a, struct guest_walk *w);

static inline unsigned int walk_pte_bytes(const struct walk_mode *m)
{
	return m->paging == WALK_32 ? 4 : 8;
}

static inline unsigned int walk_index_bits(const struct walk_mode *m)
{
	return m->paging == WALK_32 ? 10 : 9;
}

#endif
