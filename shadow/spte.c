// SPDX-License-Identifier: GPL-2.0
/* What changes of guest entries and control bits mean for SPTEs: pure. */
#include "spte.h"

/* bits of a guest entry that no SPTE is made of: PWT, PCD, G, available */
#define PTE_IRRELEVANT (BIT_ULL(3) | BIT_ULL(4) | GENMASK_ULL(11, 8))

enum spte_change spte_change(bool leaf, bool wp, u64 old, u64 new_)
{
	u64 diff = (old ^ new_) & ~PTE_IRRELEVANT;

	/* A was cleared: the next access has to set it */
	if (!(new_ & PTE_P) || !(new_ & PTE_A))
		return SPTE_DROP;
	diff &= ~PTE_A;
	if (!leaf) {
		/*
		 * A large page that loses D: the next write has to set it. One
		 * that gains it is mapped below with fewer rights than it has
		 * now, until a write faults.
		 */
		if (!(new_ & PTE_PS) || (new_ & PTE_D))
			diff &= ~PTE_D;
		return diff ? SPTE_DROP : SPTE_KEEP;
	}
	if (diff & ~(PTE_W | PTE_D))
		return SPTE_DROP;
	/* with WP=0, W in the SPTE does not follow from W in the entry */
	if (!wp && (diff & PTE_W))
		return SPTE_DROP;
	return old & ~new_ & (PTE_W | PTE_D) ? SPTE_DROP_W : SPTE_KEEP;
}

bool spte_nowp_access(const struct walk_mode *m, unsigned int *access)
{
	if (*access & WALK_U) {
		if (m->smap)
			return false;
		*access &= ~WALK_U;
		if (m->smep)
			*access &= ~WALK_X;
	}
	*access |= WALK_W;
	return true;
}
