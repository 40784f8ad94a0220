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
#include "vmm/ops.h"
#include "vmm/vcpu.h"

/**
 * struct shadow_page - one shadow table
 * @hash:	by gfn, vm->shadow.hash
 * @link:	vm->shadow.pages, or a list of pages to be freed
 * @unsync_link: vm->shadow.unsync, while @unsync
 * @gfn:	of the guest's table; of the first page mapped when direct
 * @role:	see union shadow_role
 * @unsync:	the guest may write its table; entries may be stale until the
 *		next flush that the guest asks for
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
	bool unsync, invalid;
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
/* one page mapped that often is unmapped instead: bounds every walk of an rmap */
#define RMAP_MAX 1024

/* all blocks but the first are full */
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

/* [s]: NULL when no slot has the gfn */
static inline unsigned long *gfn_word(struct vigil_vm *vm, gfn_t gfn)
{
	if (likely(vm->shadow.last_chunk && vm->shadow.last_idx == gfn >> 9))
		return vm->shadow.last_chunk + (gfn & 511);
	return gfn_word_slow(vm, gfn);
}

/* [a] the same through a slot, no lock needed */
static inline unsigned long *slot_word(const struct vigil_slot *slot, gfn_t gfn)
{
	return slot->arch.chunk[(gfn >> 9) - (slot->base >> 9)] + (gfn & 511);
}

/* [s]: take W (and with it the lock-free path) from every SPTE of the gfn */
bool rmap_write_protect(struct vigil_vm *vm, unsigned long *word,
			bool keep_log);
/* [s]: drop every SPTE of a gfn, or that points to a shadow page */
void rmap_drop_all(struct vigil_vm *vm, unsigned long *head);

/* ---- page.c ---- */
extern struct kmem_cache *shadow_header_cache;
extern struct kmem_cache *shadow_link_cache;

/* before the lock: objects for one fault, and room for its pages */
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
 * [s]: the shadow page of a guest table (or direct), made from vcpu's caches
 * when there is none, in sync and its table write-protected. NULL: no memory
 * there. May flush.
 */
struct shadow_page *page_get(struct vigil_vcpu *vcpu, gfn_t gfn,
			     union shadow_role role);
void page_link(struct vigil_vcpu *vcpu, struct shadow_page *parent, u64 *spte,
	       struct shadow_page *child, u64 pte);
/* take one SPTE out, whatever it maps */
void spte_drop(struct vigil_vm *vm, u64 *spte);
/* out of every structure; to be freed by page_free_list() */
void page_zap(struct vigil_vm *vm, struct shadow_page *sp,
	      struct list_head *freed);
/* [s] flush what may lead to them first */
void page_free_list(struct vigil_vm *vm, struct list_head *freed);
/* no vCPU is there any more that would have to be flushed */
void page_free_now(struct list_head *freed);
void page_put_root(struct shadow_page *sp, struct list_head *freed);
/* zap up to @want pages, oldest first; roots only when @roots */
unsigned long page_shrink(struct vigil_vm *vm, unsigned long want, bool roots,
			  struct list_head *freed);
/* [s] lock break in long work, after a flush of what is done so far */
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
 * [s] An SPTE has lost a right. By itself this only says that some TLB may
 * know too much: that is fine where the guest has to flush for itself. Who
 * cannot leave it at that calls shadow_flush_stale() before the lock is free.
 * selftests/models/flush.pml explores this.
 */
static inline void shadow_narrowed(struct vigil_vm *vm)
{
	atomic_long_inc(&vm->shadow.narrowed);
}

/* [s] for the auditor: what was narrowed up to now is flushed with the lock held */
static inline void shadow_must_flush(struct vigil_vm *vm)
{
#ifdef VIGIL_DEBUG
	vm->shadow.hard = atomic_long_read(&vm->shadow.narrowed);
#endif
}

/* for the auditor: the caller flushes after it has let go of the lock */
static inline void shadow_flush_owed(struct vigil_vm *vm)
{
#ifdef VIGIL_DEBUG
	audit_raise(&vm->shadow.owed, atomic_long_read(&vm->shadow.narrowed));
#endif
}

/* for the auditor: the caller relies on it that no TLB knows the first @narrowed */
static inline void shadow_claim_flushed(struct vigil_vm *vm, long narrowed)
{
#ifdef VIGIL_DEBUG
	audit_raise(&vm->shadow.claimed, narrowed);
#endif
}

/* ---- sync.c ---- */
/* [s] all shadow pages of the gfn are in step and write-protected afterwards */
void table_protect(struct vigil_vm *vm, gfn_t gfn, unsigned long *word);
/* [s] bring entry @index in step with @pte, the guest's entry now */
void sync_entry(struct vigil_vm *vm, struct shadow_page *sp, unsigned int index,
		u64 pte);
void sync_all(struct vigil_vm *vm);
/* [s] read a guest entry as the shadow page @sp, of a table in @slot, has it */
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

/* [s] the same, the slot is looked up */
int table_read(struct vigil_vm *vm, const struct shadow_page *sp,
	       unsigned int index, u64 *pte);

enum table_write { TABLE_OPEN, TABLE_CLOSED };

/* [s] a write fault on a shadowed table: may the guest write it from now on? */
enum table_write table_unsync(struct vigil_vm *vm, gfn_t gfn,
			      unsigned long *word);

/* ---- the last slot looked up by this vCPU ---- */
static __always_inline struct vigil_slot *cached_slot(struct vigil_vcpu *vcpu,
						      gfn_t gfn)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct vigil_slots *slots = vigil_slots(vcpu->vm);
	struct vigil_slot *slot = s->slot;

	/* the generation says that the slot still is in the array */
	if (likely(slot && s->slot_generation == slots->generation &&
		   gfn - slot->base < slot->npages))
		return slot;
	slot = vigil_slot_of(slots, gfn);
	/* a device's page does not put the tables' slot out */
	if (slot) {
		s->slot = slot;
		s->slot_generation = slots->generation;
	}
	return slot;
}

/* ---- fault.c ---- */
/* at whatever flushes a TLB of the guest's */
static inline void mmio_forget(struct shadow_vcpu *s)
{
	s->mmio.page = ~0ul;
}

/* [s] fill an empty leaf entry from the guest's entry, if that is cheap */
void prefetch_pte(struct vigil_vcpu *vcpu, struct shadow_page *sp,
		  unsigned int index, u64 pte);

/* ---- audit.c ---- */
#ifdef VIGIL_DEBUG
/* module parameter shadow_inject: faults that the auditors must find */
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
/* the vCPU's TLB may load a 4 KiB translation of a guest page of this level */
void audit_tlb_load(struct vigil_vcpu *vcpu, gva_t gva, unsigned int level);
void audit_tlb_flush(struct vigil_vcpu *vcpu);
void audit_tlb_flush_gva(struct vigil_vcpu *vcpu, gva_t gva);
/* an INVLPG is over: nothing of the guest page that has @gva may be left */
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
	/* before the flush, so what is dropped after this line is flushed again */
	vcpu->shadow.large_dropped = READ_ONCE(vcpu->vm->shadow.large_dropped);
	vmm_ops->flush_tlb(vcpu);
}

/* One 4 KiB translation leaves the TLB of this vCPU before it next enters. */
static inline void shadow_flush_page(struct vigil_vcpu *vcpu, gva_t gva)
{
	audit_tlb_flush_gva(vcpu, gva);
	vmm_ops->flush_gva(vcpu, gva);
}

#endif
