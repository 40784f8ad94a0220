/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shadow page-table entries: pure helpers, no kernel calls. The hardware runs
 * with CR0.WP, CR0.PG, CR4.PAE and EFER.NXE set whatever the guest does.
 */
#ifndef VIGIL_SHADOW_SPTE_H
#define VIGIL_SHADOW_SPTE_H

#include "walk.h"

#define SPTE_P BIT_ULL(0)
#define SPTE_W BIT_ULL(1)
#define SPTE_U BIT_ULL(2)
#define SPTE_A BIT_ULL(5)
#define SPTE_D BIT_ULL(6)
#define SPTE_NX BIT_ULL(63)
#define SPTE_ADDR GENMASK_ULL(51, 12)
/* For software: the host's page may be written. */
#define SPTE_HOST_W BIT_ULL(9)
/*
 * For software: the guest's rights, its D bit and write protection of tables
 * allow W. If W is clear all the same, it is for the dirty log alone, and the
 * lock-free fault path sets it.
 */
#define SPTE_MMU_W BIT_ULL(10)

/*
 * For software: an entry of the VMM's own (window.c). No guest entry and no slot is
 * behind it; it is in no bitmap of present entries and no reverse map, so what follows
 * the guest's tables or the host's does not come across it.
 */
#define SPTE_FOREIGN BIT_ULL(11)

#define SPTE_LOG_ONLY (SPTE_P | SPTE_HOST_W | SPTE_MMU_W)

#define SPT_ENTRIES 512

/**
 * spte_leaf() - entry that maps a page
 * @pa:		host-physical address, with the host's encryption bit
 * @access:	WALK_W, U, X
 * @host_w:	the host's page may be written
 * @write_now:	let writes through at once; else the first one faults
 *
 * A is set: nobody but the host's ageing looks at it. D goes with W, so that
 * the CPU need not set it.
 */
static inline u64 spte_leaf(u64 pa, unsigned int access, bool host_w,
			    bool write_now)
{
	u64 spte = pa | SPTE_P | SPTE_A;

	if (access & WALK_U)
		spte |= SPTE_U;
	if (!(access & WALK_X))
		spte |= SPTE_NX;
	if (host_w) {
		spte |= SPTE_HOST_W;
		if (access & WALK_W) {
			spte |= SPTE_MMU_W;
			if (write_now)
				spte |= SPTE_W | SPTE_D;
		}
	}
	return spte;
}

/* Makes an entry that points to a table. Rights are only in leaves. */
static inline u64 spte_table(u64 pa)
{
	return pa | SPTE_P | SPTE_W | SPTE_U | SPTE_A;
}

/*
 * The same two in EPT format, without EPT's own A and D. They are for direct
 * pages, which have all rights but perhaps W: EPT's X is where U is, and the
 * bits of A and D become memory type 6 (write-back) and "ignore PAT". So D
 * stays what it is here, while A is always set.
 */
#define EPT_TYPE_WB GENMASK_ULL(5, 4)

static inline u64 spte_ept_leaf(u64 spte)
{
	return spte | EPT_TYPE_WB;
}

static inline u64 spte_ept_table(u64 pa)
{
	return pa | SPTE_P | SPTE_W | SPTE_U;
}

/*
 * Is the dirty log the only thing, if any, that keeps the guest from writing?
 */
static inline bool spte_log_only(u64 spte)
{
	return (spte & (SPTE_LOG_ONLY | SPTE_W)) == SPTE_LOG_ONLY;
}

/*
 * Could a TLB that holds @old allow something that @new does not? A change of
 * U counts either way: with SMEP and SMAP a supervisor loses by a set U.
 */
static inline bool spte_narrows(u64 old, u64 new_)
{
	if (!(old & SPTE_P))
		return false;
	if ((old ^ new_) & (SPTE_P | SPTE_U | SPTE_ADDR))
		return true;
	return (old & ~new_ & SPTE_W) || (~old & new_ & SPTE_NX);
}

/* Returns the index of @gva in a shadow table of @level. */
static inline unsigned int spt_index(u64 gva, unsigned int level)
{
	return gva >> (12 + 9 * (level - 1)) & (SPT_ENTRIES - 1);
}

/*
 * Offset in the guest's table of the entry that shadow entry @index stands for.
 * A 32-bit table has 1,024 entries of 4 bytes: two shadow pages at level 1;
 * four at level 2, where each guest entry has two shadow entries.
 */
static inline unsigned int spte_guest_offset(unsigned int paging,
					     unsigned int level,
					     unsigned int quadrant,
					     unsigned int index)
{
	if (paging != WALK_32)
		return index * 8;
	if (level == 1)
		return (quadrant << 9 | index) * 4;
	return (quadrant << 8 | index >> 1) * 4;
}

/* What has to be done to a present SPTE when its guest entry changes. */
enum spte_change {
	SPTE_KEEP, /* still right, at most narrower than it could be */
	SPTE_DROP_W, /* W has to go */
	SPTE_DROP, /* all of it */
};

enum spte_change spte_change(bool leaf, bool wp, u64 old, u64 new_);

/*
 * With CR0.WP=0, finds the rights that a supervisor's write to a read-only page
 * is mapped with: a user page becomes a supervisor's, and with SMEP it must not
 * be executable by the kernel. With SMAP that cannot be had. False: emulate the
 * write.
 */
bool spte_nowp_access(const struct walk_mode *m, unsigned int *access);

#endif
