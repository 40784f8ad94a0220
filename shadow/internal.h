/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of shadow/ share. Documentation/shadow.rst has the rules. */
#ifndef VIGIL_SHADOW_INTERNAL_H
#define VIGIL_SHADOW_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/mem_encrypt.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "shadow.h"
#include "spte.h"
#include "vmm/mem/gmem.h"
#include "vmm/mem/watched.h"
#include "vmm/ops.h"
#include "vmm/vcpu.h"

/**
 * struct shadow_page - one shadow table
 * @hash:	by gfn, vm->shadow.hash
 * @link:	vm->shadow.pages, or a list of pages to be freed
 * @unsync_link: vm->shadow.unsync or vm->shadow.shared, while @unsync
 * @gfn:	of the guest's table; of the first page mapped when direct
 * @role:	see union shadow_role
 * @linear:	address of the first byte that it translates, if @role.placed; a root in
 *		long mode has 0, since its upper half is sign-extended
 * @place:	by linear address, vm->shadow.places, if @role.placed
 * @unsync:	the guest may write its table; entries may be stale until the
 *		next flush that the guest asks for
 * @shared:	and stays so: another slot has the memory of its table
 * @invalid:	out of the hash, lives only as long as it is a root
 * @writes:	emulated writes since an entry was last made
 * @generation:	the VM's when the page was made: older pages are on their way out,
 *		so nobody finds them any more
 * @roots:	vCPUs that use it as a root
 * @parents:	rmap of the SPTEs that point here
 * @spt:	the table that the hardware walks; its page's private field
 *		leads back here
 * @snap:	guest's entry that each SPTE was made from; NULL when direct
 * @present:	SPTEs that are not 0
 * @rcu:	frees the page when nobody can walk it any more
 *
 * All [s]; @spt's entries are also changed by the CPU (A, D) and by the
 * lock-free dirty fault (W). Freed by RCU after a flush of all vCPUs.
 */
struct shadow_page {
	struct hlist_node hash;
	struct list_head link;
	struct list_head unsync_link;
	gfn_t gfn;
	union shadow_role role;
	gva_t linear;
	struct hlist_node place;
	bool unsync, shared, invalid;
	u8 writes;
	unsigned long generation;
	unsigned int roots;
	unsigned long parents;
	u64 *spt;
	u64 *snap;
	DECLARE_BITMAP(present, SPT_ENTRIES);
	struct rcu_head rcu;
};

/* ---- a gfn's word: rmap, with a mark in bit 1 ---- */

#define RMAP_MANY 1ul /* pointer to a struct rmap_block, not to an SPTE */
#define RMAP_TABLE 2ul /* shadowed table that the guest may not write */
#define RMAP_FLAGS 3ul

#define RMAP_BLOCK 13
/*
 * A page with this many SPTEs is unmapped, which bounds each walk of a reverse
 * map.
 */
#define RMAP_MAX 1024

/*
 * A reverse map with more than one SPTE is a chain of blocks. All but the first
 * are full.
 */
struct rmap_block {
	struct rmap_block *next;
	unsigned int n;
	unsigned int total; /* SPTEs in this block and those behind */
	u64 *spte[RMAP_BLOCK];
};

struct rmap_iter {
	struct rmap_block *block;
	unsigned int i;
};

void rmap_add(struct shadow_cache *links, unsigned long *head, u64 *spte);
bool rmap_remove(unsigned long *head, u64 *spte);
unsigned int rmap_count(unsigned long head);
u64 *rmap_first(unsigned long head, struct rmap_iter *it);
u64 *rmap_next(struct rmap_iter *it);

#define for_each_rmap(spte, head, it) \
	for (spte = rmap_first(head, it); spte; spte = rmap_next(it))

unsigned long *gfn_word_slow(struct vigil_vm *vm, gfn_t gfn);

/* [s] Returns NULL when no slot has the gfn. */
static inline unsigned long *gfn_word(struct vigil_vm *vm, gfn_t gfn)
{
	if (likely(vm->shadow.last_chunk && vm->shadow.last_idx == gfn >> 9))
		return vm->shadow.last_chunk + (gfn & 511);
	return gfn_word_slow(vm, gfn);
}

/* [a] Finds the same word through a slot; no lock needed. */
static inline unsigned long *slot_word(const struct vigil_slot *slot, gfn_t gfn)
{
	return slot->arch.chunk[(gfn >> 9) - (slot->base >> 9)] + (gfn & 511);
}

/* [s] Takes W (and so the lock-free dirty fault) from each SPTE of the gfn. */
bool rmap_write_protect(struct vigil_vm *vm, unsigned long *word,
			bool keep_log);
/* [s] Drops each SPTE of a gfn, or each SPTE that points to a shadow page. */
void rmap_drop_all(struct vigil_vm *vm, unsigned long *head);

/* ---- page.c ---- */
extern struct kmem_cache *shadow_header_cache;
extern struct kmem_cache *shadow_link_cache;

/*
 * Before the lock is taken: allocates what one fault may need, and makes room
 * for its shadow pages.
 */
int shadow_topup(struct vigil_vcpu *vcpu);
void shadow_caches_free(struct vigil_vcpu *vcpu);

static inline struct shadow_page *page_of(const u64 *spte)
{
	return (struct shadow_page *)page_private(virt_to_page(spte));
}

static inline struct shadow_page *page_child(u64 spte)
{
	return (struct shadow_page *)page_private(
		pfn_to_page((spte & SPTE_ADDR & ~sme_me_mask) >> PAGE_SHIFT));
}

static inline unsigned long spte_pfn(u64 spte)
{
	return (spte & SPTE_ADDR & ~sme_me_mask) >> PAGE_SHIFT;
}

static inline gfn_t leaf_gfn(const struct shadow_page *sp, unsigned int index)
{
	if (sp->role.direct)
		return sp->gfn + index;
	return (READ_ONCE(sp->snap[index]) & PTE_ADDR) >> PAGE_SHIFT;
}

static inline unsigned int spte_index(const u64 *spte)
{
	return ((unsigned long)spte & ~PAGE_MASK) / sizeof(*spte);
}

struct hlist_head *page_bucket(struct vigil_vm *vm, gfn_t gfn);

#define for_each_table(sp, vm, g)                          \
	hlist_for_each_entry(sp, page_bucket(vm, g), hash) \
		if (sp->gfn == (g) && !sp->role.direct)

/*
 * [s] Returns the shadow page of a guest table (or a direct one), made of the
 * vCPU's caches if there was none. It has what the guest's table says, and the
 * table is write-protected. @linear is 0 without role.placed. NULL: no memory is
 * there, or as many pages of the gfn were there as may be: they have been zapped, all
 * but roots. That of the caller's way may be among them. @freed gets them; NULL: there
 * may be one more. May flush.
 */
struct shadow_page *page_get(struct vigil_vcpu *vcpu, gfn_t gfn,
			     union shadow_role role, gva_t linear,
			     struct list_head *freed);
void page_link(struct vigil_vcpu *vcpu, struct shadow_page *parent, u64 *spte,
	       struct shadow_page *child, u64 pte);
/* [s] Drops an SPTE: of a page or of a lower table. */
void spte_drop(struct vigil_vm *vm, u64 *spte);
/*
 * [s] Takes a page out of all structures. page_free_list() must free it then.
 */
void page_zap(struct vigil_vm *vm, struct shadow_page *sp,
	      struct list_head *freed);
/*
 * Not under [s], which nobody has to wait for because of a flush: flushes what may
 * still lead to the pages, then frees them.
 */
void page_free_list(struct vigil_vm *vm, struct list_head *freed);
/* Frees pages without a flush: no vCPU can use them any more. */
void page_free_now(struct list_head *freed);
void page_put_root(struct shadow_page *sp, struct list_head *freed);
/* Zaps up to @want pages, the oldest first; roots only if @roots. */
unsigned long page_shrink(struct vigil_vm *vm, unsigned long want, bool roots,
			  struct list_head *freed);
/*
 * [s] In long work, lets go of the lock for a moment. What was narrowed so far is
 * flushed when the work is done.
 */
void shadow_break(struct vigil_vm *vm, bool may_sleep);

/* ---- flushes: sync.c ---- */
/*
 * Asks every vCPU to flush, and waits for those in the guest, if a TLB may know
 * what the SPTEs do not allow any more. With or without the lock.
 */
void shadow_flush_stale(struct vigil_vm *vm);
#ifdef VIGIL_DEBUG
static inline void audit_raise(atomic_long_t *count, long to)
{
	long now = atomic_long_read(count);

	while (now < to && !atomic_long_try_cmpxchg(count, &now, to))
		;
}
#endif

/*
 * [s] An SPTE has lost a right, so TLBs may allow more than the SPTEs. Where
 * the guest itself has to flush, that is fine. Whoever relies on it calls
 * shadow_flush_stale(), with the lock only when it must not be free in between.
 * selftests/models/flush.pml explores this.
 */
static inline void shadow_narrowed(struct vigil_vm *vm)
{
	atomic_long_inc(&vm->shadow.narrowed);
}

/*
 * [s] Tells the auditor that all narrowed SPTEs are flushed before the lock is
 * free.
 */
static inline void shadow_must_flush(struct vigil_vm *vm)
{
#ifdef VIGIL_DEBUG
	vm->shadow.hard = atomic_long_read(&vm->shadow.narrowed);
#endif
}

/* Tells the auditor that the caller flushes after it has let go of the lock. */
static inline void shadow_flush_owed(struct vigil_vm *vm)
{
#ifdef VIGIL_DEBUG
	audit_raise(&vm->shadow.owed, atomic_long_read(&vm->shadow.narrowed));
#endif
}

/*
 * Tells the auditor that the caller relies on a flush of the first @narrowed.
 */
static inline void shadow_claim_flushed(struct vigil_vm *vm, long narrowed)
{
#ifdef VIGIL_DEBUG
	audit_raise(&vm->shadow.claimed, narrowed);
#endif
}

/* ---- sync.c ---- */
/*
 * Leaf tables that the guest may write freely at a time. One more is zapped
 * instead.
 */
#define UNSYNC_MAX 128
/*
 * Tables in memory of several slots stay unsync, and each flush of the guest's reads all
 * of them under the lock: there may be as many, or so many for each vCPU. That is more
 * than one instruction needs, so vCPUs do not zap each other's for ever.
 */
#define SHARED_OF_VCPU 32
/* How many of them a fault or a new root makes at most. */
#define SHARED_AT_ONCE WALK_MAX_LEVEL

static inline unsigned int table_shared_max(const struct vigil_vm *vm)
{
	unsigned int of_vcpus = READ_ONCE(vm->nr_vcpus) * SHARED_OF_VCPU;

	return max_t(unsigned int, UNSYNC_MAX, of_vcpus);
}

/* Are there too many for a fault to make more? */
static inline bool table_shared_over(const struct vigil_vm *vm)
{
	unsigned int n = READ_ONCE(vm->shadow.nr_shared) + SHARED_AT_ONCE;

	return unlikely(n > UNSYNC_MAX) && n > table_shared_max(vm);
}

/*
 * [s] On return all shadow pages of the gfn say what the guest's table says,
 * and the table is write-protected.
 */
void table_protect(struct vigil_vm *vm, gfn_t gfn, unsigned long *word);
/*
 * [s] To be called behind table_protect(): a table in memory that another slot has as well
 * cannot be protected, as the guest may write to it through that one. It is unsync, and
 * stays so until it is zapped.
 */
void table_open_shared(struct vigil_vm *vm, gfn_t gfn, unsigned long *word);
/* [s] Zaps the oldest of the tables that stay unsync, but no root. */
void table_shrink_shared(struct vigil_vm *vm, struct list_head *freed);
/* [s] The guest can write to the table no more, or the page goes. */
void unsync_del(struct vigil_vm *vm, struct shadow_page *sp);
/* [s] Makes entry @index follow @pte, which is the guest's entry now. */
void sync_entry(struct vigil_vm *vm, struct shadow_page *sp, unsigned int index,
		u64 pte);
void sync_all(struct vigil_vm *vm);
/*
 * [s] Reads the guest's entry that entry @index of @sp stands for; its table is
 * in @slot.
 */
static inline int slot_table_read(const struct vigil_slot *slot,
				  const struct shadow_page *sp,
				  unsigned int index, u64 *pte)
{
	gpa_t gpa = (sp->gfn << PAGE_SHIFT) +
		    spte_guest_offset(sp->role.paging, sp->role.level,
				      sp->role.quadrant, index);

	return gmem_get_entry_atomic(slot, gpa, pte,
				     sp->role.paging == WALK_32 ? 4 : 8);
}

/* [s] Does the same, and looks up the slot. */
int table_read(struct vigil_vm *vm, const struct shadow_page *sp,
	       unsigned int index, u64 *pte);

enum table_write { TABLE_OPEN, TABLE_CLOSED };

/*
 * [s] The guest faulted on a write to a shadowed table: may it write there from
 * now on? Pages that are zapped for it come into @freed.
 */
enum table_write table_unsync(struct vigil_vm *vm, gfn_t gfn,
			      unsigned long *word, struct list_head *freed);

/* Asks the watches about A and D: shadow_module_init() has set it. */
extern shadow_ask_t *shadow_ask_bits;

/* [s] Takes W from a leaf entry, and the dirty log's right to give it back. */
void entry_drop_w(struct vigil_vm *vm, u64 *spte);

/* ---- linear.c ---- */
/* [s] A placed page is there; and no more. */
void place_add(struct vigil_vm *vm, struct shadow_page *sp);
void place_del(struct shadow_page *sp);
/*
 * [s] Is a byte watched by linear address of the region that a shadow page of @level
 * translates on the way to @gva? Then its page is placed, with *@linear as its key.
 */
bool place_of(struct vigil_vm *vm, gva_t gva, unsigned int level,
	      gva_t *linear);
/* The first byte that entry @index of a placed page translates. */
static inline gva_t place_entry(const struct shadow_page *sp,
				unsigned int index)
{
	unsigned int shift = PAGE_SHIFT + 9 * (sp->role.level - 1);

	return sp->linear + ((gva_t)index << shift);
}

/*
 * Is what entry @index of a leaf page maps watched by its linear address? A page that is
 * not placed is on the way to no such address.
 */
static inline bool place_watched(struct vigil_vm *vm,
				 const struct shadow_page *sp,
				 unsigned int index)
{
	return unlikely(sp->role.placed) &&
	       watch_linear(vm, place_entry(sp, index), PAGE_SIZE);
}

/* ---- fault.c ---- */
/*
 * Forgets the last device's page, and the last watched page that was stored to. Called
 * wherever a TLB of the guest is flushed.
 */
static inline void last_forget(struct shadow_vcpu *s)
{
	s->mmio.page = ~0ul;
	s->store.page = ~0ul;
}

/* [s] Fills an empty leaf entry from the guest's entry, if that is cheap. */
void prefetch_pte(struct vigil_vcpu *vcpu, struct shadow_page *sp,
		  unsigned int index, u64 pte);

/* ---- window.c ---- */
/* Of the four roots of a guest without long mode, the one with the window. */
#define SHADOW_WINDOW_QUADRANT 3
/* [s] Has a root lead to the window. Done again, it changes nothing. */
void shadow_window_link(struct vigil_vm *vm, struct shadow_page *root);
/* Is entry @index of a root that leads to the window one of the window's? */
bool shadow_window_entry(const struct shadow_page *root, unsigned int index);
void shadow_window_free(struct vigil_vm *vm);

static inline bool in_window(const struct vigil_vcpu *vcpu, gva_t gva)
{
	return unlikely(vcpu->shadow.window) && shadow_in_window(vcpu, gva);
}

/* ---- audit.c ---- */
#ifdef VIGIL_DEBUG
/*
 * Faults that module parameter shadow_inject makes, for the auditors to find.
 */
enum {
	INJECT_NO_FLUSH = 1,
	INJECT_NO_PROTECT,
	INJECT_LOST_RMAP,
	INJECT_STALE_SPTE,
	INJECT_LOST_FLUSH,
	INJECT_ONE_ADDRESS
};
extern int shadow_inject;
#define shadow_injected(what) unlikely(READ_ONCE(shadow_inject) == (what))
/*
 * The vCPU's TLB may load a 4 KiB translation, from a guest entry of this
 * level.
 */
void audit_tlb_load(struct vigil_vcpu *vcpu, gva_t gva, unsigned int level);
void audit_tlb_flush(struct vigil_vcpu *vcpu);
void audit_tlb_flush_gva(struct vigil_vcpu *vcpu, gva_t gva);
/*
 * INVLPG has been done: the TLB must have nothing left of the guest page at
 * @gva.
 */
void audit_tlb_invlpg(struct vigil_vcpu *vcpu, gva_t gva);
int audit_vcpu_init(struct vigil_vcpu *vcpu);
void audit_vcpu_destroy(struct vigil_vcpu *vcpu);
#else
#define shadow_injected(what) false
static inline void audit_tlb_load(struct vigil_vcpu *vcpu, gva_t gva,
				  unsigned int level)
{
}
static inline void audit_tlb_flush(struct vigil_vcpu *vcpu)
{
}
static inline void audit_tlb_flush_gva(struct vigil_vcpu *vcpu, gva_t gva)
{
}
static inline void audit_tlb_invlpg(struct vigil_vcpu *vcpu, gva_t gva)
{
}
static inline int audit_vcpu_init(struct vigil_vcpu *vcpu)
{
	return 0;
}
static inline void audit_vcpu_destroy(struct vigil_vcpu *vcpu)
{
}
#endif

/* Some vCPU's TLB may allow what its first @narrowed narrowed SPTEs do not. */
static inline bool shadow_stale(struct vigil_vm *vm, long narrowed)
{
	/*
	 * The fault: another's flush that began before these SPTEs were narrowed
	 * may end here, and be taken for theirs.
	 */
	if (shadow_injected(INJECT_LOST_FLUSH))
		udelay(2000);
	return atomic_long_read_acquire(&vm->shadow.flushed) < narrowed;
}

/* Nothing stays in the TLB of this vCPU when it next enters. */
static inline void shadow_flush_tag(struct vigil_vcpu *vcpu)
{
	audit_tlb_flush(vcpu);
	/*
	 * Read before the flush: a large page that is dropped after this line
	 * causes another flush.
	 */
	vcpu->shadow.large_dropped = READ_ONCE(vcpu->vm->shadow.large_dropped);
	vmm_ops->flush_tlb(vcpu);
}

/* One 4 KiB translation leaves the TLB of this vCPU before it next enters. */
static inline void shadow_flush_page(struct vigil_vcpu *vcpu, gva_t gva)
{
	audit_tlb_flush_gva(vcpu, gva);
	vmm_ops->flush_gva(vcpu, gva);
	fetch_flush(vcpu);
}

#endif
