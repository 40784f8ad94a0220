// SPDX-License-Identifier: GPL-2.0
/* What changes of guest entries and control bits mean for SPTEs: pure. */
#include "spte.h"

/* No SPTE depends on these bits of a guest's entry: PWT, PCD, G, available. */
#define PTE_IRRELEVANT (BIT_ULL(3) | BIT_ULL(4) | GENMASK_ULL(11, 8))

enum spte_change spte_change(bool leaf, bool wp, u64 old, u64 new_)
{
	u64 diff = (old ^ new_) & ~PTE_IRRELEVANT;

	/* A was cleared: the next access must fault and set it. */
	if (!(new_ & PTE_P) || !(new_ & PTE_A))
		return SPTE_DROP;
	diff &= ~PTE_A;
	if (!leaf) {
		/*
		 * After a large page has lost D, the next write must fault and
		 * set it. After it has gained D, its SPTEs have fewer rights
		 * than they could have until a write faults.
		 */
		if (!(new_ & PTE_PS) || (new_ & PTE_D))
			diff &= ~PTE_D;
		return diff ? SPTE_DROP : SPTE_KEEP;
	}
	if (diff & ~(PTE_W | PTE_D))
		return SPTE_DROP;
	/*
	 * With CR0.WP=0, an SPTE may have W although the guest's entry does
	 * not.
	 */
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
