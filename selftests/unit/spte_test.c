// SPDX-License-Identifier: GPL-2.0
/*
 * shadow/spte.h: what an SPTE may allow, and when TLB entries of it have to go.
 */
#include "shadow/spte.h"
#include "unit.h"

#define PA 0x123456000ull

static void leaves(void)
{
	unsigned int access, bad = 0, n = 0, host_w, now;

	for (access = 0; access <= WALK_ALL; access++)
		for (host_w = 0; host_w < 2; host_w++)
			for (now = 0; now < 2; now++, n++) {
				u64 s = spte_leaf(PA, access, host_w, now);
				bool w = (access & WALK_W) && host_w;

				bad += (s & SPTE_ADDR) != PA;
				bad += !(s & SPTE_P) || !(s & SPTE_A);
				bad += !(s & SPTE_U) != !(access & WALK_U);
				bad += !(s & SPTE_NX) != !!(access & WALK_X);
				bad += !(s & SPTE_W) != !(w && now);
				bad += !(s & SPTE_D) != !(w && now);
				bad += !(s & SPTE_MMU_W) != !w;
				bad += spte_log_only(s) != (w && !now);
			}
	unit_result(!bad, "leaf entries, %u combinations", n);
	unit_result(spte_table(PA) == (PA | SPTE_P | SPTE_W | SPTE_U | SPTE_A),
		    "an entry for a table leaves rights to the leaves");
}

/* Would a TLB entry of @old allow an access that @s refuses? */
static bool tlb_knows_more(u64 old, u64 s)
{
	unsigned int user, write, fetch, smep;

	if (!(old & SPTE_P))
		return false;
	for (user = 0; user < 2; user++)
		for (write = 0; write < 2; write++)
			for (fetch = 0; fetch < 2 - write; fetch++)
				for (smep = 0; smep < 2; smep++) {
					u64 e[2] = { old, s };
					bool ok[2];
					int i;

					for (i = 0; i < 2; i++)
						ok[i] = (e[i] & SPTE_P) &&
							(!user ||
							 (e[i] & SPTE_U)) &&
							(!write ||
							 (e[i] & SPTE_W)) &&
							(!fetch ||
							 !(e[i] & SPTE_NX)) &&
							!(smep && !user &&
							  (e[i] & SPTE_U));
					if (ok[0] &&
					    (!ok[1] || ((old ^ s) & SPTE_ADDR)))
						return true;
				}
	return false;
}

static void narrowing(void)
{
	static const u64 bits[] = { SPTE_P, SPTE_W, SPTE_U,	SPTE_NX,
				    SPTE_A, SPTE_D, SPTE_MMU_W, 1ull << 12 };
	unsigned int i, j, b, missed = 0;

	for (i = 0; i < 1u << ARRAY_SIZE(bits); i++)
		for (j = 0; j < 1u << ARRAY_SIZE(bits); j++) {
			u64 old = PA, s = PA;

			for (b = 0; b < ARRAY_SIZE(bits); b++) {
				old |= i >> b & 1 ? bits[b] : 0;
				s |= j >> b & 1 ? bits[b] : 0;
			}
			if (tlb_knows_more(old, s) && !spte_narrows(old, s))
				missed++;
		}
	unit_result(!missed, "no loss of a right goes without a flush");
	unit_result(!spte_narrows(PA | SPTE_P, PA | SPTE_P | SPTE_W | SPTE_D),
		    "a gain needs none");
	unit_result(!spte_narrows(0, PA | SPTE_P), "nor does a new entry");
}

static void changes(void)
{
	const u64 pte = 0x5000 | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	unsigned int bit, bad = 0;

	for (bit = 0; bit < 64; bit++) {
		u64 now = pte ^ 1ull << bit;
		enum spte_change c = spte_change(true, true, pte, now);
		enum spte_change want = SPTE_DROP;

		if (bit == 1 || bit == 6)
			want = SPTE_DROP_W;
		else if (bit == 3 || bit == 4 || (bit >= 8 && bit <= 11))
			want = SPTE_KEEP;
		bad += c != want;
		/* In an entry of a table, D means nothing. */
		c = spte_change(false, true, pte, now);
		want = bit == 3 || bit == 4 || bit == 6 ||
				       (bit >= 8 && bit <= 11) ?
			       SPTE_KEEP :
			       SPTE_DROP;
		bad += c != want;
	}
	unit_result(!bad, "each bit of a guest's entry that changes");
	unit_result(spte_change(true, true, pte & ~PTE_D, pte) == SPTE_KEEP &&
			    spte_change(true, true, pte & ~PTE_W, pte) ==
				    SPTE_KEEP &&
			    spte_change(true, true, pte & ~PTE_A, pte) ==
				    SPTE_KEEP,
		    "rights that come are left to the next fault");
	unit_result(spte_change(true, false, pte & ~PTE_W, pte) == SPTE_DROP &&
			    spte_change(true, false, pte, pte & ~PTE_W) ==
				    SPTE_DROP,
		    "WP=0: a change of W starts anew");
	unit_result(spte_change(false, true, pte | PTE_PS,
				(pte | PTE_PS) & ~PTE_D) == SPTE_DROP &&
			    spte_change(false, true, (pte | PTE_PS) & ~PTE_D,
					pte | PTE_PS) == SPTE_KEEP,
		    "a large page: D counts when it goes, not when it comes");
}

static void without_wp(void)
{
	struct walk_mode m = { .paging = WALK_4LEVEL };
	unsigned int access;

	access = WALK_X;
	unit_result(spte_nowp_access(&m, &access) &&
			    access == (WALK_W | WALK_X),
		    "WP=0: a supervisor's page becomes writable");
	access = WALK_U | WALK_X;
	unit_result(spte_nowp_access(&m, &access) &&
			    access == (WALK_W | WALK_X),
		    "WP=0: a user's page becomes a supervisor's");
	m.smep = true;
	access = WALK_U | WALK_X;
	unit_result(spte_nowp_access(&m, &access) && access == WALK_W,
		    "WP=0, SMEP: and cannot be executed");
	m.smap = true;
	access = WALK_U | WALK_X;
	unit_result(!spte_nowp_access(&m, &access),
		    "WP=0, SMAP: a user's page is emulated");
	access = WALK_X;
	unit_result(spte_nowp_access(&m, &access) &&
			    access == (WALK_W | WALK_X),
		    "WP=0, SMAP: a supervisor's page is not");
}

/* Each guest entry is met by the shadow entries that stand for its range. */
static void offsets(void)
{
	unsigned int bad = 0, paging;
	u64 gva;

	for (gva = 0; gva < 1ull << 32; gva += 0x1000 * 251) {
		unsigned int l1 = spt_index(gva, 1), l2 = spt_index(gva, 2);

		bad += spte_guest_offset(WALK_32, 1, gva >> 21 & 1, l1) !=
		       (gva >> 12 & 1023) * 4;
		bad += spte_guest_offset(WALK_32, 2, gva >> 30, l2) !=
		       (gva >> 22) * 4;
	}
	for (paging = WALK_PAE; paging <= WALK_5LEVEL; paging++)
		bad += spte_guest_offset(paging, 3, 0, 511) != 4088;
	bad += spt_index(0xff8000000000ull, 4) != 511;
	bad += spt_index(0x1ff000ull, 1) != 511;
	unit_result(!bad, "shadow entries and the guest entries behind them");
}

int main(void)
{
	leaves();
	narrowing();
	changes();
	without_wp();
	offsets();
	return unit_end();
}
