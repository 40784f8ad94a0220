/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's page-table walk. APM vol. 2, "Page Translation and Protection";
 * SDM vol. 3, "Paging". Inline: where the callbacks are known, the compiler
 * makes a walk without indirect calls.
 */
#ifndef VIGIL_SHADOW_WALK_INLINE_H
#define VIGIL_SHADOW_WALK_INLINE_H

#include "walk.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#else
#include <errno.h>
#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif
#endif

/* A walk gives up when entries have changed under it this many times. */
#define WALK_TRIES 8

static __always_inline bool walk_is_leaf(const struct walk_mode *m,
					 unsigned int level, u64 pte)
{
	if (level == 1)
		return true;
	if (!(pte & PTE_PS))
		return false;
	if (level == 2)
		return m->paging != WALK_32 || m->pse;
	return level == 3 && m->gbpages && m->paging >= WALK_4LEVEL;
}

/* Returns the address bits that the CPU does not have. */
static inline u64 walk_beyond_maxphyaddr(const struct walk_mode *m)
{
	return m->maxphyaddr >= 52 ? 0 : GENMASK_ULL(51, m->maxphyaddr);
}

/*
 * Bits 20:13 of a 4 MiB entry are address bits 39:32. Those beyond the CPU's
 * address width are reserved.
 */
static inline u64 walk_reserved_4m(const struct walk_mode *m)
{
	unsigned int width = m->maxphyaddr < 40 ? m->maxphyaddr : 40;

	if (!m->pse36 || width <= 32)
		return GENMASK_ULL(21, 13);
	return GENMASK_ULL(21, width - 19);
}

/* Returns the bits that are reserved in every entry. */
static __always_inline u64 walk_always_reserved(const struct walk_mode *m)
{
	u64 rsvd = walk_beyond_maxphyaddr(m);

	if (m->paging == WALK_32)
		return 0;
	if (!m->nx)
		rsvd |= PTE_NX;
	if (m->paging == WALK_PAE)
		rsvd |= GENMASK_ULL(62, 52);
	return rsvd;
}

/* Returns the bits that level and PS make reserved in addition. */
static __always_inline u64 walk_more_reserved(const struct walk_mode *m,
					      unsigned int level, bool leaf)
{
	if (level == 1)
		return 0;
	if (m->paging == WALK_32)
		return leaf ? walk_reserved_4m(m) : 0;
	if (!leaf)
		return level > 2 ? PTE_PS : 0;
	return level == 2 ? GENMASK_ULL(20, 13) : GENMASK_ULL(29, 13);
}

static inline u64 walk_reserved(const struct walk_mode *m, unsigned int level,
				u64 pte)
{
	return walk_more_reserved(m, level, walk_is_leaf(m, level, pte)) |
	       walk_always_reserved(m);
}

static inline bool walk_bad_pdpte(const struct walk_mode *m, u64 pdpte)
{
	u64 rsvd = GENMASK_ULL(63, 52) | walk_beyond_maxphyaddr(m) |
		   GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);

	return (pdpte & PTE_P) && (pdpte & rsvd);
}

/*
 * Returns the rights that an entry gives: W and U are the entry's own bits,
 * shifted. NX without EFER.NXE is a reserved bit, which has faulted before.
 */
static __always_inline unsigned int walk_pte_access(u64 pte)
{
	return (pte >> 1 & (WALK_W | WALK_U)) | (pte & PTE_NX ? 0 : WALK_X);
}

static inline bool walk_denied(const struct walk_mode *m, unsigned int access,
			       const struct walk_access *a)
{
	if (a->ec & PFERR_U) {
		if (!(access & WALK_U))
			return true;
	} else if (access & WALK_U) {
		if (a->ec & PFERR_I ? m->smep : a->smap_on)
			return true;
	}
	if ((a->ec & PFERR_I) && !(access & WALK_X))
		return true;
	return (a->ec & PFERR_W) && !(access & WALK_W) &&
	       (m->wp || (a->ec & PFERR_U));
}

static inline u64 walk_leaf_gfn(const struct walk_mode *m, unsigned int level,
				u64 pte, u64 gva)
{
	u64 gfn = (pte & PTE_ADDR) >> 12;
	u64 mask = ((u64)1 << (walk_index_bits(m) * (level - 1))) - 1;

	if (m->paging == WALK_32) {
		gfn = (pte & 0xfffff000) >> 12;
		if (level == 2) {
			gfn &= ~mask;
			if (m->pse36)
				gfn |= (pte >> 13 & 0xff) << 20;
		}
	}
	return (gfn & ~mask) | (gva >> 12 & mask);
}

static inline int walk_fault(const struct walk_mode *m,
			     const struct walk_access *a, u32 more,
			     struct guest_walk *w)
{
	u32 ec = a->ec & (PFERR_W | PFERR_U | PFERR_I);

	if (!m->nx && !m->smep)
		ec &= ~PFERR_I;
	w->error_code = ec | more;
	return WALK_FAULT;
}

/*
 * Sets A and D where they are clear. WALK_OK: all are set. WALK_RETRY: an entry
 * has changed.
 */
static __always_inline int walk_set_ad(const struct walk_mode *m,
				       const struct walk_mem *mem, void *priv,
				       const struct walk_access *a,
				       unsigned int top, struct guest_walk *w)
{
	unsigned int level;

	for (level = top; level >= w->level; level--) {
		u64 pte = w->pte[level - 1], want = pte | PTE_A;
		int ret;

		if (level == w->level && (a->ec & PFERR_W))
			want |= PTE_D;
		if (want == pte)
			continue;
		ret = mem->set(priv, w->table[level - 1], pte, want,
			       walk_pte_bytes(m));
		if (ret > 0)
			return WALK_RETRY;
		if (!ret)
			w->pte[level - 1] = want;
		else if (want & PTE_D)
			/*
			 * The table is in read-only memory, where D cannot be
			 * kept.
			 */
			w->dirty = true;
	}
	return WALK_OK;
}

static inline u64 walk_first_table(const struct walk_mode *m, u64 cr3,
				   const u64 *pdpte, u64 gva)
{
	switch (m->paging) {
	case WALK_32:
		return cr3 & 0xfffff000;
	case WALK_PAE:
		return pdpte[gva >> 30 & 3];
	}
	return cr3;
}

/* @narrow: 32-bit paging, a constant where this is inlined */
static __always_inline int walk_once(const struct walk_mode *m,
				     const struct walk_mem *mem, void *priv,
				     u64 cr3, const u64 *pdpte, u64 gva,
				     const struct walk_access *a,
				     struct guest_walk *w, const bool narrow)
{
	const unsigned int bits = narrow ? 10 : 9, bytes = narrow ? 4 : 8;
	unsigned int level, top, access = WALK_ALL;
	u64 pte = walk_first_table(m, cr3, pdpte, gva), all = PTE_A;
	const u64 always = walk_always_reserved(m);
	int ret;

	top = m->paging == WALK_5LEVEL ? 5 : m->paging == WALK_4LEVEL ? 4 : 2;
	w->top = top;
	w->dirty = false;
	if (m->paging == WALK_PAE && !(pte & PTE_P))
		return walk_fault(m, a, 0, w);
	for (level = top;; level--) {
		unsigned int shift = 12 + bits * (level - 1);
		u64 index = gva >> shift & ((1u << bits) - 1);
		bool leaf = level == 1;
		u64 rsvd = always;

		w->above[level - 1] = access;
		w->table[level - 1] = (pte & PTE_ADDR) + index * bytes;
		ret = mem->read(priv, w->table[level - 1], &pte, bytes);
		/* A table where no memory is counts as empty. */
		if (unlikely(ret || !(pte & PTE_P))) {
			w->level = level;
			return ret == -EAGAIN ? WALK_RETRY :
						walk_fault(m, a, 0, w);
		}
		w->pte[level - 1] = pte;
		if (level > 1 && unlikely(pte & PTE_PS)) {
			leaf = walk_is_leaf(m, level, pte);
			rsvd |= walk_more_reserved(m, level, leaf);
		}
		if (unlikely(pte & rsvd)) {
			w->level = level;
			return walk_fault(m, a, PFERR_RSVD | PFERR_P, w);
		}
		access &= walk_pte_access(pte);
		all &= pte;
		if (leaf)
			break;
	}
	w->level = level;
	w->access = access;
	w->gfn = walk_leaf_gfn(m, level, pte, gva);
	if (walk_denied(m, access, a))
		return walk_fault(m, a, PFERR_P, w);
	/* Mostly A and D are set already. */
	if (a->set_ad &&
	    unlikely(!all || ((a->ec & PFERR_W) && !(pte & PTE_D))) &&
	    walk_set_ad(m, mem, priv, a, top, w))
		return WALK_RETRY;
	if (w->pte[level - 1] & PTE_D)
		w->dirty = true;
	return WALK_OK;
}

static __always_inline int
walk_guest_inline(const struct walk_mode *m, const struct walk_mem *mem,
		  void *priv, u64 cr3, const u64 *pdpte, u64 gva,
		  const struct walk_access *a, struct guest_walk *w)
{
	unsigned int tries;
	int ret;

	if (m->paging == WALK_NONE) {
		w->top = w->level = 0;
		w->access = WALK_ALL;
		w->dirty = true;
		w->gfn = (u32)gva >> 12;
		return WALK_OK;
	}
	for (tries = 0; tries < WALK_TRIES; tries++) {
		if (m->paging == WALK_32)
			ret = walk_once(m, mem, priv, cr3, pdpte, gva, a, w,
					true);
		else
			ret = walk_once(m, mem, priv, cr3, pdpte, gva, a, w,
					false);
		if (ret != WALK_RETRY)
			return ret;
	}
	return WALK_RETRY;
}

#endif
