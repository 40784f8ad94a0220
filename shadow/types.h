/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What shadow paging keeps per slot, per VM and per vCPU. Included by
 * vmm/vm.h and vmm/mem/slot.h, which embed these structs. Private to shadow/, except
 * vm->shadow.lock.
 *
 * [s] under vm->shadow.lock, [v] vcpu->mutex, [m] vm->lock, [a] atomic.
 */
#ifndef VIGIL_SHADOW_TYPES_H
#define VIGIL_SHADOW_TYPES_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "vmm/types.h"
#include "walk.h"

/**
 * union shadow_role - all that the meaning of a shadow page depends on,
 * besides the gfn
 * @word:	all of it, to be compared and hashed
 * @level:	1: its entries map 4 KiB pages
 * @direct:	no guest table behind it: gpa -> hpa from @gfn on
 * @ept:	in EPT format (direct, of an unpaged guest)
 * @paging:	enum walk_paging of the guest
 * @access:	WALK_W, WALK_U, WALK_X that all the levels above allow
 * @wp:		CR0.WP
 * @smep_nwp:	CR4.SMEP with CR0.WP clear
 * @smap_nwp:	CR4.SMAP with CR0.WP clear
 * @nx:		EFER.NXE
 * @pse:	CR4.PSE (32-bit paging)
 * @quadrant:	which part of a 1,024-entry guest table
 * @window:	a root that has the entries of window.c besides those of the guest
 * @placed:	for one linear address alone, which is part of the key as well
 * @unused:	0, since @word is compared
 */
union shadow_role {
	u32 word;
	struct {
		u32 level : 3;
		u32 direct : 1;
		u32 ept : 1;
		u32 paging : 3;
		u32 access : 3;
		u32 wp : 1;
		u32 smep_nwp : 1;
		u32 smap_nwp : 1;
		u32 nx : 1;
		u32 pse : 1;
		u32 quadrant : 2;
		u32 window : 1;
		u32 placed : 1;
		u32 unused : 12;
	};
};

/*
 * A slot's view of the VM's per-gfn words (see struct shadow_vm): one page of
 * 512 words for each aligned run of 512 gfns that the slot touches.
 */
struct shadow_slot {
	unsigned long **chunk; /* [I] */
	unsigned long nr_chunks; /* [I] */
};

#define SHADOW_HASH_BITS 11

struct shadow_window;

struct shadow_vm {
	spinlock_t lock;
	struct hlist_head *hash; /* [s] 1 << SHADOW_HASH_BITS */
	struct hlist_head *places; /* [s] as many; linear.c */
	struct list_head pages; /* [s] newest first */
	struct list_head unsync; /* [s] tables that the guest writes freely */
	struct list_head shared; /* [s] tables that stay so, oldest first */
	unsigned int nr_unsync; /* [s] of both */
	unsigned int nr_shared; /* [s] writes, [a] reads */
	unsigned long generation; /* [s] raised when all pages are to go */
	unsigned long nr_pages; /* [s] writes, [a] reads */
	unsigned long limit; /* [m] writes, [a] reads; 0: by memory size */
	unsigned long mem_pages; /* [m] in all slots */
	/*
	 * gfn >> 9 -> page of 512 words, one a gfn: rmap and table mark.
	 * Keyed by gfn alone, so an SPTE finds its word whatever happens to
	 * the slots meanwhile. Loads under [s].
	 */
	struct xarray gfns;
	unsigned long last_idx; /* [s] the last chunk looked up */
	unsigned long *last_chunk; /* [s] */
	/*
	 * narrowed counts the SPTEs that have lost a right, each after it was
	 * changed. flushed says how many of them no TLB knows any more. Neither
	 * ever goes back: a flush of all vCPUs raises flushed to what narrowed
	 * was before the flush began, so nothing that is narrowed meanwhile is
	 * taken for flushed. While flushed is the smaller one, some TLB may
	 * allow more than the SPTEs do.
	 */
	atomic_long_t narrowed, flushed;
	/*
	 * Counts the large pages of guests that were taken out of the shadow
	 * tables. TLBs may still have 4 KiB pieces of them: see
	 * shadow_invlpg().
	 */
	unsigned long large_dropped; /* [s] */
	/* A watch has refused A or D: SPTEs may give what the entry's bits do not. */
	bool bits_refused; /* [a] */
	struct shadow_window *window; /* [s] writes; window.c */
	struct list_head link; /* shadow_vms */
#ifdef VIGIL_DEBUG
	/* audit.c */
	long hard; /* [s] of narrowed: flushed before the lock is free */
	atomic_long_t claimed; /* of narrowed: relied on to be flushed */
	atomic_long_t owed; /* of narrowed: a harvest has to flush them */
#endif
};

#define SHADOW_CACHE_MAX 48

struct shadow_cache {
	unsigned int n;
	void *obj[SHADOW_CACHE_MAX];
};

struct shadow_page;
struct vigil_slots;

#define SHADOW_MAX_ROOTS 4
#define SHADOW_KEPT 16

/**
 * struct shadow_kept - what a store to a watched page was walked to
 * @page:	linear
 * @gfn:	of the watched page
 * @pte:	the guest's entry that maps it; 0 if no guest table does
 * @watched:	what was watched as the page was found to be so: watch_generation()
 * @role:	word of the role of the shadow page that has its SPTE
 * @user:	user code may access the page
 *
 * The guest may store to the page, and the bits that the store sets in the guest's
 * tables are set, as long as the SPTE of @page has all this.
 */
struct shadow_kept {
	unsigned long page;
	u64 gfn;
	u64 pte;
	u64 watched;
	u32 role;
	bool user;
};

struct shadow_vcpu {
	struct walk_mode mode; /* [v] of the guest's paging */
	union shadow_role role; /* [v] that pages made now have */
	u8 root_level; /* [v] of the shadow tables: 3, 4 or 5 */
	bool initialised; /* [v] */
	bool window; /* [v] its root has the entries of window.c */
	bool root_ok; /* [a] the root may be used; set under [s] */
	unsigned long root_cr3; /* [v] that the root was made for */
	struct shadow_page
		*root[SHADOW_MAX_ROOTS]; /* [v] with a root count each */
	u64 *pae_root; /* [v] below 4 GiB */
	u64 pdpte[4]; /* [v] latched */
	struct vigil_slot *slot; /* [v] the last one looked up */
	u64 slot_generation; /* [v] it is of */
	struct { /* [v] the last page found to be a device's; a TLB entry */
		unsigned long page; /* linear; ~0: none */
		u64 gfn;
		u32 ec; /* access that was walked for */
		u64 generation; /* of the slots that have no such gfn */
	} mmio;
	struct { /* [v] the last watched page that was stored to; a TLB entry */
		unsigned long page; /* linear; ~0: none */
		u64 gfn;
		u32 ec; /* access that was walked for */
		u64 watched; /* as in struct shadow_kept */
		u64 generation; /* of the slots */
	} store;
	struct shadow_kept kept[SHADOW_KEPT]; /* [v] by linear page */
	unsigned long large_dropped; /* [v] of the VM, at the last INVLPG */
	bool in_dirty_fault; /* [v] written; a harvest waits for it */
	struct shadow_cache headers; /* [v] struct shadow_page */
	struct shadow_cache tables; /* [v] zeroed pages */
	struct shadow_cache links; /* [v] struct rmap_block */
#ifdef VIGIL_DEBUG
	/* audit.c */
	long flushed; /* [v] narrowed at the last flush */
	long must_flush; /* [v] hard at the last entry */
	struct audit_tlb *tlb; /* [v] what this vCPU's TLB may have */
#endif
};

#endif
