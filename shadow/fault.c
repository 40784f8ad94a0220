// SPDX-License-Identifier: GPL-2.0
/* Page faults: the lock-free dirty fault, then guest walk and mapping. */
#include <asm/processor-flags.h>

#include "internal.h"
#include "walk_inline.h"
#include "vmm/mem/hostpte.h"
#include "vmm/mem/notifier.h"

/* ---- the guest walk over gmem ---- */

static __always_inline int walk_read(void *priv, u64 gpa, u64 *pte,
				     unsigned int bytes)
{
	struct vigil_slot *slot = cached_slot(priv, gpa >> PAGE_SHIFT);

	return likely(slot) ? gmem_get_entry(slot, gpa, pte, bytes) : -EFAULT;
}

/*
 * A and D in a table that is watched: told and decided as a store of the guest.
 * vm->store_lock makes the look at the entry, the event and the store one step.
 * A refused bit counts as written, as in a table of a read-only slot: the walk
 * goes on.
 */
static noinline int watched_set(struct vigil_vcpu *vcpu,
				struct vigil_slot *slot, u64 gpa, u64 old,
				u64 new_, unsigned int bytes)
{
	u64 now;
	int ret;

	/* The process is being killed: the guest does not run again. */
	if (mutex_lock_killable(&vcpu->vm->store_lock))
		return 1;
	ret = gmem_get_entry(slot, gpa, &now, bytes);
	if (!ret && now != old)
		ret = 1;
	if (!ret && shadow_ask_bits(vcpu, gpa, &old, &new_, bytes)) {
		ret = gmem_set_entry(slot, gpa, old, new_, bytes);
	} else if (!ret) {
		WRITE_ONCE(vcpu->vm->shadow.bits_refused, true);
		ret = -EPERM;
	}
	mutex_unlock(&vcpu->vm->store_lock);
	return ret;
}

/*
 * Sets A or D in a guest's entry. Shadow pages are not told: the bits take no
 * right from an SPTE, and the fault that sets them goes on to the SPTEs of
 * these very entries.
 */
static int walk_set(void *priv, u64 gpa, u64 old, u64 new_, unsigned int bytes)
{
	struct vigil_vcpu *vcpu = priv;
	struct vigil_slot *slot = cached_slot(vcpu, gpa >> PAGE_SHIFT);

	if (unlikely(!slot))
		return -EFAULT;
	/* Nothing is stored to ROM, so there is nothing to tell a monitor. */
	if (unlikely(watch_gfn(vcpu->vm, gpa >> PAGE_SHIFT)) &&
	    !(slot->flags & KVM_MEM_READONLY))
		return watched_set(vcpu, slot, gpa, old, new_, bytes);
	return gmem_set_entry(slot, gpa, old, new_, bytes);
}

static const struct walk_mem shadow_walk_mem = {
	.read = walk_read,
	.set = walk_set,
};

static bool smap_applies(struct vigil_vcpu *vcpu, u32 ec)
{
	if (!vcpu->shadow.mode.smap || (ec & (PFERR_U | PFERR_I)))
		return false;
	/*
	 * RFLAGS.AC does not lift SMAP for implicit supervisor accesses, which
	 * is what a supervisor access at CPL 3 is.
	 */
	return !(vcpu->rflags & X86_EFLAGS_AC) || vmm_call(get_cpl)(vcpu) == 3;
}

static int walk(struct vigil_vcpu *vcpu, gva_t gva, u32 ec, bool set_ad,
		struct guest_walk *w)
{
	const struct walk_access a = {
		.ec = ec & (PFERR_W | PFERR_U | PFERR_I),
		.smap_on = smap_applies(vcpu, ec),
		.set_ad = set_ad,
	};

	return walk_guest_inline(&vcpu->shadow.mode, &shadow_walk_mem, vcpu,
				 vcpu->cr3, vcpu->shadow.pdpte, gva, &a, w);
}

/*
 * Nothing of the guest's is in the window, whatever its tables say: its own accesses
 * fault as on a page of the kernel's that is read-only.
 */
static u32 window_error(const struct vigil_vcpu *vcpu, u32 ec)
{
	const struct walk_mode *m = &vcpu->shadow.mode;

	if (!m->nx && !m->smep)
		ec &= ~(u32)PFERR_I;
	return ec & (PFERR_P | PFERR_W | PFERR_U | PFERR_I);
}

int shadow_gva_to_gpa(struct vigil_vcpu *vcpu, gva_t gva, u32 access,
		      bool set_ad, gpa_t *gpa, u32 *error_code)
{
	struct guest_walk w;

	if (in_window(vcpu, gva)) {
		*error_code = window_error(vcpu, access | PFERR_P);
		return -EFAULT;
	}
	switch (walk(vcpu, gva, access, set_ad, &w)) {
	case WALK_OK:
		*gpa = w.gfn << PAGE_SHIFT | offset_in_page(gva);
		return 0;
	case WALK_FAULT:
		*error_code = w.error_code;
		return -EFAULT;
	}
	return -EAGAIN;
}

/* ---- the lock-free dirty fault ---- */

/*
 * The leaf SPTE of @gva, or NULL when a level is missing. The caller is in an
 * RCU read-side section, which keeps the tables from being freed.
 */
static u64 *find_leaf(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	unsigned int level = s->root_level;
	struct shadow_page *root = s->root[0];
	u64 *table, spte;

	if (level == 3) {
		root = s->root[gva >> 30 & 3];
		level = 2;
	}
	if (!root)
		return NULL;
	for (table = root->spt; level > 1; level--) {
		spte = READ_ONCE(table[spt_index(gva, level)]);
		if (!(spte & SPTE_P))
			return NULL;
		table = __va(spte & SPTE_ADDR & ~sme_me_mask);
	}
	return &table[spt_index(gva, 1)];
}

/*
 * From here to dirty_fault_end() a harvest waits for this vCPU. Nothing in between
 * sleeps or is preempted, which keeps the tables from being freed as well.
 */
static void dirty_fault_begin(struct vigil_vcpu *vcpu)
{
	preempt_disable();
	WRITE_ONCE(vcpu->shadow.in_dirty_fault, true);
	/* Whoever sees W, which is set below, sees this as well. */
	smp_wmb();
}

static void dirty_fault_end(struct vigil_vcpu *vcpu)
{
	/* pairs with the acquire in shadow_wait_dirty_faults() */
	smp_store_release(&vcpu->shadow.in_dirty_fault, false);
	preempt_enable();
}

/* selftests/models/dirty.pml explores this */
void shadow_wait_dirty_faults(struct vigil_vm *vm)
{
	struct vigil_vcpu *vcpu;
	unsigned int i;

	vigil_for_each_vcpu(i, vcpu, vm)
		smp_cond_load_acquire(&vcpu->shadow.in_dirty_fault, !VAL);
}

/*
 * A write to a page that only the dirty log keeps read-only. The bit is set
 * before W, so that no page is writable and clean; and again after it, because a
 * harvest in between may have taken the bit before it took W.
 * selftests/models/dirty.pml and watch.pml explore this.
 */
static bool dirty_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 ec)
{
	struct vigil_slot *slot;
	struct shadow_page *sp;
	u64 *sptep, spte;
	bool done = false;
	gfn_t gfn;

	dirty_fault_begin(vcpu);
	sptep = find_leaf(vcpu, gva);
	if (!sptep)
		goto out;
	spte = READ_ONCE(*sptep);
	if (!spte_log_only(spte))
		goto out;
	if (ec & PFERR_U ? !(spte & SPTE_U) :
			   (spte & SPTE_U) && smap_applies(vcpu, ec))
		goto out;
	sp = page_of(sptep);
	gfn = leaf_gfn(sp, spte_index(sptep));
	slot = cached_slot(vcpu, gfn);
	if (!slot || (slot->flags & KVM_MEM_READONLY))
		goto out;
	dirty_mark(slot, gfn);
	if (!try_cmpxchg64(sptep, &spte, spte | SPTE_W | SPTE_D))
		goto out;
	/*
	 * The SPTE may also have been made anew for another gfn, with the same
	 * value, before the cmpxchg: mark the gfn that it maps now.
	 */
	gfn = leaf_gfn(sp, spte_index(sptep));
	slot = cached_slot(vcpu, gfn);
	if (slot)
		dirty_mark(slot, gfn);
	done = true;
out:
	dirty_fault_end(vcpu);
	return done;
}

bool shadow_fetched_gfn(struct vigil_vcpu *vcpu, gva_t gva, bool user,
			gfn_t *gfn)
{
	u64 *sptep, spte;
	bool ok = false;

	if (in_window(vcpu, gva))
		return false;
	rcu_read_lock();
	sptep = find_leaf(vcpu, gva);
	if (sptep && READ_ONCE(vcpu->shadow.root_ok)) {
		/*
		 * Pairs with the release in spte_add(): who sees the SPTE also
		 * sees the snapshot that has its gfn.
		 */
		spte = smp_load_acquire(sptep);
		*gfn = leaf_gfn(page_of(sptep), spte_index(sptep));
		/*
		 * The SPTE was the same before and after the gfn was read, so
		 * the gfn belongs to it.
		 */
		smp_rmb();
		ok = (spte & (SPTE_P | SPTE_NX)) == SPTE_P &&
		     !(spte & SPTE_U) == !user && READ_ONCE(*sptep) == spte;
	}
	rcu_read_unlock();
	return ok;
}

/* ---- mapping ---- */

/*
 * This many neighbours are mapped together: they share a cache line of the
 * guest's table.
 */
#define PREFETCH 8u

/**
 * struct fault - one fault on its way through the slow path
 * @gva:	linear address
 * @write:	by a store
 * @host_w:	the host's page may be mapped writable
 * @access:	rights to map with
 * @slot:	of the page
 * @pfn:	of the host's page
 * @w:		guest walk
 * @freed:	shadow pages that were zapped for it
 */
struct fault {
	gva_t gva;
	bool write;
	bool host_w;
	unsigned int access;
	struct vigil_slot *slot;
	unsigned long pfn;
	struct guest_walk w;
	struct list_head freed;
};

/* [s] Is the guest's entry at @gpa still what the walk has read? */
static bool entry_current(struct vigil_vcpu *vcpu, u64 gpa, u64 seen)
{
	struct vigil_slot *slot = cached_slot(vcpu, gpa >> PAGE_SHIFT);
	u64 pte;

	if (!slot || gmem_get_entry_atomic(slot, gpa, &pte,
					   walk_pte_bytes(&vcpu->shadow.mode)))
		return false;
	return pte == seen;
}

/*
 * Returns the role of the shadow page below @level on the way to the fault's
 * leaf.
 */
static union shadow_role child_role(struct vigil_vcpu *vcpu,
				    const struct fault *f, unsigned int level,
				    gfn_t *gfn, gva_t *linear)
{
	union shadow_role role = vcpu->shadow.role;

	if (level <= f->w.level || vcpu->shadow.mode.paging == WALK_NONE) {
		role.word = 0;
		role.direct = 1;
		role.ept = vcpu->shadow.role.ept;
		role.access = f->access;
		*gfn = f->w.gfn & ~((1ull << 9 * (level - 1)) - 1);
	} else {
		role.access = f->w.above[level - 2];
		if (role.paging == WALK_32)
			role.quadrant = f->gva >> 21 & 1;
		*gfn = f->w.table[level - 2] >> PAGE_SHIFT;
	}
	role.level = level - 1;
	role.window = 0;
	*linear = 0;
	if (unlikely(!watched_empty(&vcpu->vm->watched_gva)))
		role.placed = place_of(vcpu->vm, f->gva, role.level, linear);
	return role;
}

/*
 * [s] Returns the shadow page that holds the SPTE of the fault's page. NULL:
 * the guest's tables have changed since the walk, or there was no room.
 */
static struct shadow_page *descend(struct vigil_vcpu *vcpu, struct fault *f)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct vigil_vm *vm = vcpu->vm;
	unsigned int level = s->root_level;
	struct shadow_page *sp = s->root[0], *child;
	union shadow_role role;
	gva_t linear;
	gfn_t gfn;

	if (level == 3) {
		sp = s->root[f->gva >> 30 & 3];
		level = 2;
		if (!sp) {
			WRITE_ONCE(s->root_ok, false);
			return NULL;
		}
	}
	for (; level > 1; level--, sp = child) {
		unsigned int index = spt_index(f->gva, level);
		u64 *sptep = &sp->spt[index], spte = *sptep;
		u64 pte = sp->snap ? f->w.pte[level - 1] : 0;
		bool match = false;

		role = child_role(vcpu, f, level, &gfn, &linear);
		child = NULL;
		if (spte & SPTE_P) {
			child = page_child(spte);
			match = child->gfn == gfn &&
				child->role.word == role.word &&
				child->linear == linear;
			if (match && (!sp->snap || sp->snap[index] == pte))
				continue;
		}
		if (sp->snap &&
		    !entry_current(vcpu, f->w.table[level - 1], pte))
			return NULL;
		if (match) {
			WRITE_ONCE(sp->snap[index], pte);
			continue;
		}
		if (child) {
			spte_drop(vm, sptep);
			shadow_flush_page(vcpu, f->gva);
		}
		child = page_get(vcpu, gfn, role, linear, &f->freed);
		if (!child)
			return NULL;
		page_link(vcpu, sp, sptep, child, pte);
		sp->writes = 0;
	}
	return sp;
}

/*
 * [s] May the guest write to the page? A fault for a write to a leaf table lets
 * the guest write that table, which becomes unsync. selftests/models/watch.pml
 * explores this.
 */
static bool may_write(struct vigil_vcpu *vcpu, struct fault *f,
		      unsigned long *word)
{
	if (watch_page(vcpu->vm, f->gva, f->w.gfn))
		return false;
	if (!(*word & RMAP_TABLE))
		return true;
	return f->write &&
	       table_unsync(vcpu->vm, f->w.gfn, word, &f->freed) == TABLE_OPEN;
}

/*
 * [s] Replaces a present SPTE of the same page, and keeps the bits that the CPU
 * has set. True: it was the same already.
 */
static bool spte_update(struct vigil_vcpu *vcpu, u64 *sptep, u64 new_,
			gva_t gva)
{
	u64 old = READ_ONCE(*sptep), val;

	do {
		val = new_ | (old & SPTE_D);
		/*
		 * A read fault must not take W from a page that is dirty
		 * already: its next write would fault for nothing.
		 */
		if ((old & SPTE_W) && (new_ & SPTE_MMU_W))
			val |= SPTE_W;
	} while (!try_cmpxchg64(sptep, &old, val));
	if (spte_narrows(old, val)) {
		shadow_narrowed(vcpu->vm);
		shadow_flush_page(vcpu, gva);
	}
	return old == val;
}

/* [s] Fills an SPTE that was empty, and enters it into the rmap of its gfn. */
static void spte_add(struct vigil_vcpu *vcpu, struct shadow_page *sp,
		     unsigned int index, unsigned long *word, u64 spte, u64 pte)
{
	if (sp->snap)
		WRITE_ONCE(sp->snap[index], pte);
	__set_bit(index, sp->present);
	if (!shadow_injected(INJECT_LOST_RMAP) || (index & 7))
		rmap_add(&vcpu->shadow.links, word, &sp->spt[index]);
	/*
	 * Pairs with shadow_fetched_gfn(): a lock-free walker that sees the
	 * SPTE also sees the snapshot that has its gfn.
	 */
	smp_store_release(&sp->spt[index], spte);
}

/* Is an MMU notifier's invalidation of this page under way? */
static bool being_invalidated(const struct vigil_vm *vm, hva_t hva)
{
	return vm->notify_count && hva >= vm->notify_start &&
	       hva < vm->notify_end;
}

/*
 * [s] Maps a page that the guest has not yet accessed, if that is cheap. It
 * gets the rights that a read fault would give: nothing becomes dirty, and the
 * CPU sets A of the SPTE. The host's table is read under the lock: an
 * invalidation is either seen here, or finds the SPTE.
 * selftests/models/notifier.pml explores this.
 */
static void prefetch_entry(struct vigil_vcpu *vcpu, struct shadow_page *sp,
			   unsigned int index, gfn_t gfn, unsigned int access,
			   u64 pte)
{
	struct vigil_slot *slot = cached_slot(vcpu, gfn);
	struct vigil_vm *vm = vcpu->vm;
	unsigned long *word, pfn;
	hva_t hva;
	u64 spte;

	if (!slot || (slot->flags & KVM_MEM_READONLY) || !vcpu->shadow.links.n)
		return;
	hva = vigil_slot_hva(slot, gfn);
	word = slot_word(slot, gfn);
	if (being_invalidated(vm, hva) || rmap_count(*word) >= RMAP_MAX ||
	    !host_pte_writable(vm->mm, hva, &pfn))
		return;
	if ((*word & RMAP_TABLE) || watch_gfn(vm, gfn) ||
	    place_watched(vm, sp, index))
		access &= ~WALK_W;
	spte = spte_leaf(__sme_set((u64)pfn << PAGE_SHIFT), access, true,
			 !slot_logged(slot));
	spte = sp->role.ept ? spte_ept_leaf(spte) : spte & ~SPTE_A;
	spte_add(vcpu, sp, index, word, spte, pte);
}

void prefetch_pte(struct vigil_vcpu *vcpu, struct shadow_page *sp,
		  unsigned int index, u64 pte)
{
	const struct walk_mode *m = &vcpu->shadow.mode;
	unsigned int access;

	/*
	 * The entry is not present, has reserved bits set, or an access would
	 * have to set A: leave it to the page fault.
	 */
	if ((pte & (PTE_P | PTE_A)) != (PTE_P | PTE_A) ||
	    (pte & walk_reserved(m, 1, pte)))
		return;
	access = sp->role.access & walk_pte_access(pte);
	if (!(pte & PTE_D))
		access &= ~WALK_W;
	prefetch_entry(vcpu, sp, index, walk_leaf_gfn(m, 1, pte, 0), access,
		       pte);
}

/* [s] Maps the neighbours of entry @index, whose guest entry is at @gpa. */
static void prefetch_around(struct vigil_vcpu *vcpu, struct shadow_page *sp,
			    unsigned int index, u64 gpa)
{
	unsigned int bytes = walk_pte_bytes(&vcpu->shadow.mode);
	unsigned int i, first = index & ~(PREFETCH - 1);
	struct vigil_slot *slot;
	u64 pte;

	for (i = first; i < first + PREFETCH; i++) {
		if (test_bit(i, sp->present))
			continue;
		if (!sp->snap) {
			prefetch_entry(vcpu, sp, i, sp->gfn + i,
				       sp->role.access, 0);
			continue;
		}
		slot = cached_slot(vcpu, gpa >> PAGE_SHIFT);
		if (!slot ||
		    gmem_get_entry_atomic(
			    slot, gpa + (s64)((int)i - (int)index) * bytes,
			    &pte, bytes))
			return;
		prefetch_pte(vcpu, sp, i, pte);
	}
}

/* Each change of what is watched makes it another number. */
static __always_inline u64 watch_generation(const struct vigil_vm *vm)
{
	return watched_generation(&vm->watched) +
	       watched_generation(&vm->watched_gva);
}

static struct shadow_kept *kept_of(struct vigil_vcpu *vcpu, gva_t gva)
{
	return &vcpu->shadow.kept[gva >> PAGE_SHIFT & (SHADOW_KEPT - 1)];
}

/*
 * [s] Keeps the walk of a store to a watched page: the next store finds its target
 * by the SPTE. A refused A or D is asked about at each store, so there is nothing to
 * keep. Neither is there where only CR0.WP=0 has allowed the store: the SPTE does not
 * tell such a page from one that user code may write to.
 */
static void keep_walk(struct vigil_vcpu *vcpu, const struct fault *f,
		      const struct shadow_page *sp, u64 watched)
{
	if (READ_ONCE(vcpu->vm->shadow.bits_refused) || !(f->w.access & WALK_W))
		return;
	*kept_of(vcpu, f->gva) = (struct shadow_kept){
		.page = f->gva & PAGE_MASK,
		.gfn = f->w.gfn,
		.pte = sp->snap ? f->w.pte[0] : 0,
		.role = sp->role.word,
		.watched = watched,
		.user = f->w.access & WALK_U,
	};
}

/*
 * Does the leaf SPTE of @gva still have what was kept? The caller is in an RCU
 * read-side section, which keeps the tables from being freed.
 */
static bool kept_valid(struct vigil_vcpu *vcpu, const struct shadow_kept *k,
		       gva_t gva, u32 ec)
{
	u64 *sptep = find_leaf(vcpu, gva), spte;
	const struct shadow_page *sp;
	unsigned int index;

	if (!sptep || !READ_ONCE(vcpu->shadow.root_ok))
		return false;
	/* Pairs with the release in spte_add(), as in shadow_fetched_gfn(). */
	spte = smp_load_acquire(sptep);
	if ((spte & (SPTE_P | SPTE_W)) != SPTE_P)
		return false;
	if (ec & PFERR_U ? !(spte & SPTE_U) :
			   (spte & SPTE_U) && smap_applies(vcpu, ec))
		return false;
	sp = page_of(sptep);
	index = spte_index(sptep);
	if (sp->role.word != k->role || leaf_gfn(sp, index) != k->gfn ||
	    (sp->snap && READ_ONCE(sp->snap[index]) != k->pte))
		return false;
	/* The SPTE was the same before and after, so all this belongs to it. */
	smp_rmb();
	return READ_ONCE(*sptep) == spte;
}

/*
 * The next store to the same page does not even look at the SPTE: until the guest's next
 * flush its CPU could have kept the translation as well.
 */
static void store_remember(struct vigil_vcpu *vcpu, const struct shadow_kept *k,
			   u32 ec)
{
	struct shadow_vcpu *s = &vcpu->shadow;

	/* As in mmio_remember() */
	if (s->mode.smap && k->user && !(ec & PFERR_U))
		return;
	s->store.page = k->page;
	s->store.gfn = k->gfn;
	s->store.ec = ec;
	s->store.watched = k->watched;
	s->store.generation = vigil_slots(vcpu->vm)->generation;
}

/* Is it the same page as that of the last store, by the same access? */
static __always_inline bool store_again(struct vigil_vcpu *vcpu, gva_t gva,
					u32 ec, gpa_t *gpa)
{
	const struct shadow_vcpu *s = &vcpu->shadow;

	*gpa = s->store.gfn << PAGE_SHIFT | offset_in_page(gva);
	return s->store.page == (gva & PAGE_MASK) && s->store.ec == ec &&
	       s->store.generation == vigil_slots(vcpu->vm)->generation &&
	       s->store.watched == watch_generation(vcpu->vm);
}

/*
 * A store to a watched page whose walk was kept: nothing has to be mapped, and the
 * guest's tables need not be read. The SPTE says what the CPU's TLB could say.
 */
static bool store_known(struct vigil_vcpu *vcpu, gva_t gva, u32 ec, gpa_t *gpa)
{
	const struct shadow_kept *k = kept_of(vcpu, gva);
	struct vigil_slot *slot;
	bool valid;

	if (likely(k->page != (gva & PAGE_MASK)) ||
	    k->watched != watch_generation(vcpu->vm) ||
	    (ec & (PFERR_P | PFERR_W | PFERR_RSVD | PFERR_I)) !=
		    (PFERR_P | PFERR_W) ||
	    READ_ONCE(vcpu->vm->shadow.bits_refused))
		return false;
	rcu_read_lock();
	valid = kept_valid(vcpu, k, gva, ec);
	rcu_read_unlock();
	if (!valid)
		return false;
	slot = cached_slot(vcpu, k->gfn);
	if (!slot || (slot->flags & KVM_MEM_READONLY))
		return false;
	*gpa = k->gfn << PAGE_SHIFT | offset_in_page(gva);
	store_remember(vcpu, k, ec);
	return true;
}

/* [s] selftests/models/dirty.pml and watch.pml explore this */
static int map(struct vigil_vcpu *vcpu, struct fault *f)
{
	struct vigil_vm *vm = vcpu->vm;
	gfn_t gfn = f->w.gfn;
	struct shadow_page *sp = descend(vcpu, f);
	unsigned int index = spt_index(f->gva, 1), access = f->access;
	unsigned long *word = slot_word(f->slot, gfn);
	u64 *sptep, spte, watched;
	bool open, same = false;

	if (!sp)
		return SHADOW_FIXED;
	sptep = &sp->spt[index];
	if (sp->snap && !entry_current(vcpu, f->w.table[0], f->w.pte[0]))
		return SHADOW_FIXED;
	/*
	 * may_write() comes after descend(), which may have begun to shadow
	 * this very page as a table.
	 */
	open = may_write(vcpu, f, word);
	/*
	 * The page may be the guest's table that maps it: may_write() then may
	 * have zapped the shadow page @sp.
	 */
	if (unlikely(sp->invalid))
		return SHADOW_FIXED;
	if (!open)
		access &= ~WALK_W;
	spte = spte_leaf(__sme_set((u64)f->pfn << PAGE_SHIFT), access,
			 f->host_w, f->write || !slot_logged(f->slot));
	if (sp->role.ept)
		spte = spte_ept_leaf(spte);
	if (spte & SPTE_W)
		dirty_mark(f->slot, gfn);

	if ((*sptep & SPTE_P) &&
	    (((*sptep ^ spte) & SPTE_ADDR) || leaf_gfn(sp, index) != gfn)) {
		spte_drop(vm, sptep);
		shadow_flush_page(vcpu, f->gva);
	}
	if (*sptep & SPTE_P) {
		if (sp->snap)
			WRITE_ONCE(sp->snap[index], f->w.pte[0]);
		same = spte_update(vcpu, sptep, spte, f->gva);
	} else {
		if (unlikely(rmap_count(*word) >= RMAP_MAX))
			rmap_drop_all(vm, word);
		spte_add(vcpu, sp, index, word, spte, f->w.pte[0]);
		prefetch_around(vcpu, sp, index, f->w.table[0]);
	}
	sp->writes = 0;
	audit_tlb_load(vcpu, f->gva, f->w.level);
	if (f->write && !(spte & SPTE_W)) {
		watched = watch_generation(vm);
		if (!watch_page(vm, f->gva, gfn))
			return SHADOW_EMULATE;
		keep_walk(vcpu, f, sp, watched);
		return SHADOW_WATCHED;
	}
	/*
	 * The tables allow the access, so it has faulted by what the CPU keeps of them: of
	 * an upper level, a fault need not drop that.
	 */
	if (unlikely(same))
		shadow_flush_page(vcpu, f->gva);
	vcpu->stat.pf_mapped++;
	return SHADOW_FIXED;
}

/*
 * Finds the rights to map with. False: no SPTE can allow this access, so it has
 * to be emulated.
 */
static bool fault_access(struct vigil_vcpu *vcpu, struct fault *f)
{
	const struct walk_mode *m = &vcpu->shadow.mode;

	f->access = f->w.access;
	/*
	 * D is still clear in the guest's entry: map without W, so that the
	 * first write faults and sets D.
	 */
	if (!f->w.dirty)
		f->access &= ~WALK_W;
	if (!f->write || (f->w.access & WALK_W))
		return true;
	/*
	 * With CR0.WP=0 the walk has allowed a supervisor's write to a
	 * read-only page.
	 */
	return spte_nowp_access(m, &f->access);
}

/* selftests/models/notifier.pml explores this */
static int map_fault(struct vigil_vcpu *vcpu, struct fault *f)
{
	struct vigil_vm *vm = vcpu->vm;
	struct vigil_slots *slots = vigil_slots(vm);
	unsigned long seq;
	int ret;

	ret = shadow_topup(vcpu);
	if (unlikely(ret))
		return ret;
	if (unlikely(!fault_access(vcpu, f)))
		return SHADOW_EMULATE;

	seq = READ_ONCE(vm->notify_seq);
	/*
	 * notify_seq is sampled before gmem_pfn() looks the page up, so an
	 * invalidation in between is noticed under the lock.
	 */
	smp_rmb();
	ret = gmem_pfn(vm, f->slot, f->w.gfn, f->write, &f->host_w, &f->pfn);
	if (unlikely(ret)) {
		if (ret == -ENOENT || ret == -EROFS)
			return SHADOW_MMIO;
		return ret;
	}

	INIT_LIST_HEAD(&f->freed);
	spin_lock(&vm->shadow.lock);
	if (vm_notify_retry(vm, seq, vigil_slot_hva(f->slot, f->w.gfn)) ||
	    rcu_access_pointer(vm->slots) != slots ||
	    !READ_ONCE(vcpu->shadow.root_ok)) {
		vcpu->stat.pf_retried++;
		ret = SHADOW_FIXED;
	} else {
		ret = map(vcpu, f);
	}
	spin_unlock(&vm->shadow.lock);
	page_free_list(vm, &f->freed);
	return ret;
}

/*
 * No SPTE stands for a device's page, so each access to it comes here. The last
 * translation is kept as a TLB would.
 */
static bool mmio_known(const struct vigil_vcpu *vcpu, gva_t gva, u32 ec,
		       gpa_t *gpa)
{
	const struct shadow_vcpu *s = &vcpu->shadow;

	if (s->mmio.page != (gva & PAGE_MASK) || s->mmio.ec != ec ||
	    s->mmio.generation != vigil_slots(vcpu->vm)->generation)
		return false;
	*gpa = s->mmio.gfn << PAGE_SHIFT | offset_in_page(gva);
	return true;
}

static void mmio_remember(struct vigil_vcpu *vcpu, const struct fault *f,
			  u32 ec)
{
	struct vigil_slots *slots = vigil_slots(vcpu->vm);
	struct shadow_vcpu *s = &vcpu->shadow;

	/*
	 * With SMAP, a supervisor's access to a user page depends on RFLAGS.AC,
	 * which may differ the next time.
	 */
	if (s->mode.smap && (f->w.access & WALK_U) && !(ec & PFERR_U))
		return;
	/*
	 * The slots may have been replaced since the walk: ask the array whose
	 * generation is kept.
	 */
	if (vigil_slot_of(slots, f->w.gfn))
		return;
	s->mmio.page = f->gva & PAGE_MASK;
	s->mmio.gfn = f->w.gfn;
	s->mmio.ec = ec;
	s->mmio.generation = slots->generation;
}

static noinline int page_fault(struct vigil_vcpu *vcpu, gva_t gva,
			       u32 *error_code, gpa_t *gpa)
{
	u32 ec = *error_code;
	struct fault f;
	int ret;

	/* A fault takes the translation of its page out of a TLB. */
	vcpu->shadow.store.page = ~0ul;
	if ((ec & (PFERR_P | PFERR_W | PFERR_RSVD | PFERR_I)) ==
		    (PFERR_P | PFERR_W) &&
	    dirty_fault(vcpu, gva, ec)) {
		vcpu->stat.pf_dirty++;
		return SHADOW_FIXED;
	}
	ret = walk(vcpu, gva, ec, true, &f.w);
	if (ret == WALK_FAULT) {
		*error_code = f.w.error_code;
		return SHADOW_GUEST;
	}
	if (ret == WALK_RETRY) {
		vcpu->stat.pf_retried++;
		return SHADOW_FIXED;
	}
	*gpa = f.w.gfn << PAGE_SHIFT | offset_in_page(gva);
	f.gva = gva;
	f.write = ec & PFERR_W;
	f.slot = cached_slot(vcpu, f.w.gfn);
	if (likely(f.slot))
		return map_fault(vcpu, &f);
	mmio_remember(vcpu, &f, ec);
	return SHADOW_MMIO;
}

int shadow_page_fault(struct vigil_vcpu *vcpu, gva_t gva, u32 *error_code,
		      gpa_t *gpa)
{
	if (store_again(vcpu, gva, *error_code, gpa))
		return SHADOW_WATCHED;
	if (mmio_known(vcpu, gva, *error_code, gpa))
		return SHADOW_MMIO;
	if (in_window(vcpu, gva)) {
		*error_code = window_error(vcpu, *error_code);
		return SHADOW_GUEST;
	}
	if (unlikely(watch_ranges(vcpu->vm)) &&
	    store_known(vcpu, gva, *error_code, gpa))
		return SHADOW_WATCHED;
	return page_fault(vcpu, gva, error_code, gpa);
}
