// SPDX-License-Identifier: GPL-2.0
/*
 * Debug builds: the structure auditor (every SPTE and every link is right) and
 * the flush auditor (no vCPU enters with a TLB that knows too much). Emulated
 * CPUs flush at every entry, so nothing else would show a missing flush.
 */
#include <linux/moduleparam.h>

#include "internal.h"
#include "walk_inline.h"
#include "vmm/mem/alias.h"
#include "vmm/mem/watched.h"

#ifdef VIGIL_DEBUG

int shadow_inject;
module_param(shadow_inject, int, 0600);
MODULE_PARM_DESC(
	shadow_inject,
	"test: a fault the auditors must find; 1 no flush, 2 no write protection, 3 lost rmap entry, 4 stale SPTE, 5 flushed counter set too far, 6 INVLPG of one address only");

/* ---- flushes ---- */

void shadow_audit_flushed(struct vigil_vcpu *vcpu)
{
	vcpu->shadow.flushed = atomic_long_read(&vcpu->vm->shadow.narrowed);
}

/*
 * The vendor flushes after this and before the guest runs. So this checks the
 * entry before this one.
 */
void shadow_audit_entry(struct vigil_vcpu *vcpu)
{
	struct shadow_vm *vs = &vcpu->vm->shadow;
	struct shadow_vcpu *s = &vcpu->shadow;

	if (s->must_flush > s->flushed)
		vigil_vm_kill(vcpu->vm,
			      "flush auditor: a vCPU entered with a stale TLB");
	s->must_flush = 0;
	/*
	 * The request's interrupt is on its way and ends this guest run at
	 * once.
	 */
	if (test_bit(REQ_FLUSH_TLB, &vcpu->requests))
		return;
	/*
	 * hard is read after the request. Whoever raises it has asked for a
	 * flush before, so this vCPU has taken that request, and flushes now at
	 * the latest.
	 */
	smp_rmb();
	s->must_flush = atomic_long_read(&vs->claimed);
	/*
	 * The holder of the lock may be between taking a right and the flush
	 * for it, so hard counts only while the lock is free.
	 */
	if (!spin_trylock(&vs->lock))
		return;
	if (!test_bit(REQ_FLUSH_TLB, &vcpu->requests))
		s->must_flush = max(s->must_flush, vs->hard);
	spin_unlock(&vs->lock);
}

/* ---- a model of the TLB ---- */

/*
 * The 4 KiB translations that a vCPU's TLB may have, as far as they fit, with
 * the level of the guest's entry that each came from. What a CPU need not drop
 * is dropped here only by what makes every CPU drop it.
 */
#define AUDIT_TLB 256u

struct audit_tlb {
	struct {
		unsigned long page;
		unsigned int level; /* 0: empty */
	} entry[AUDIT_TLB];
};

int audit_vcpu_init(struct vigil_vcpu *vcpu)
{
	vcpu->shadow.tlb =
		kzalloc(sizeof(*vcpu->shadow.tlb), GFP_KERNEL_ACCOUNT);
	if (vcpu->shadow.tlb)
		return 0;
	free_page((unsigned long)vcpu->shadow.pae_root);
	vcpu->shadow.pae_root = NULL;
	return -ENOMEM;
}

void audit_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	kfree(vcpu->shadow.tlb);
	vcpu->shadow.tlb = NULL;
}

void audit_tlb_load(struct vigil_vcpu *vcpu, gva_t gva, unsigned int level)
{
	unsigned long page = gva >> PAGE_SHIFT;

	if (vcpu->shadow.mode.paging == WALK_NONE)
		return;
	vcpu->shadow.tlb->entry[page % AUDIT_TLB].page = page;
	vcpu->shadow.tlb->entry[page % AUDIT_TLB].level = level;
}

void audit_tlb_flush(struct vigil_vcpu *vcpu)
{
	memset(vcpu->shadow.tlb, 0, sizeof(*vcpu->shadow.tlb));
}

void audit_tlb_flush_gva(struct vigil_vcpu *vcpu, gva_t gva)
{
	unsigned long page = gva >> PAGE_SHIFT;

	if (vcpu->shadow.tlb->entry[page % AUDIT_TLB].page == page)
		vcpu->shadow.tlb->entry[page % AUDIT_TLB].level = 0;
}

/*
 * Returns the size of a guest page mapped at this level, as a shift of 4 KiB.
 */
static unsigned int guest_page_order(const struct vigil_vcpu *vcpu,
				     unsigned int level)
{
	return (vcpu->shadow.mode.paging == WALK_32 ? 10 : 9) * (level - 1);
}

void audit_tlb_invlpg(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct audit_tlb *tlb = vcpu->shadow.tlb;
	unsigned long page = gva >> PAGE_SHIFT;
	unsigned int i, order;

	for (i = 0; i < AUDIT_TLB; i++) {
		if (!tlb->entry[i].level)
			continue;
		order = guest_page_order(vcpu, tlb->entry[i].level);
		if ((tlb->entry[i].page ^ page) >> order)
			continue;
		vigil_vm_kill(vcpu->vm,
			      "TLB auditor: INVLPG left a piece of its page");
		return;
	}
}

/* ---- structure ---- */

struct audit {
	struct vigil_vm *vm;
	unsigned int errors;
};

static void complain(struct audit *a, const struct shadow_page *sp, int index,
		     const char *what)
{
	if (a->errors++ >= 8)
		return;
	if (sp)
		pr_err("audit of VM %u: %s: table gfn %llx role %x entry %d spte %llx made from %llx\n",
		       a->vm->id, what, sp->gfn, sp->role.word, index,
		       index >= 0 ? sp->spt[index] : 0,
		       index >= 0 && sp->snap ? sp->snap[index] : 0);
	else
		pr_err("audit of VM %u: %s\n", a->vm->id, what);
}

static bool rmap_has(unsigned long head, const u64 *spte)
{
	struct rmap_iter it;
	u64 *s;

	for_each_rmap(s, head, &it)
		if (s == spte)
			return true;
	return false;
}

static void audit_target(struct audit *a, struct shadow_page *sp,
			 unsigned int i, struct vigil_slot *slot, gfn_t gfn)
{
	struct page *page;

	if (current->mm != a->vm->mm ||
	    !get_user_page_fast_only(vigil_slot_hva(slot, gfn), 0, &page))
		return;
	if (page_to_pfn(page) != spte_pfn(sp->spt[i]))
		complain(a, sp, i, "maps another page than the VMM has there");
	put_page(page);
}

/*
 * The rights that entry @i may give: those of the guest's entry that it was made
 * from, as far as the levels above allow them. Where that entry maps a page, W
 * needs its D, unless it is in ROM, where D cannot be kept, or a watch may have
 * refused the bit; with CR0.WP clear, W does not need the entry's W.
 */
static unsigned int entry_access(struct audit *a, struct shadow_page *sp,
				 unsigned int i, bool maps)
{
	unsigned int may = sp->role.access;
	struct vigil_slot *slot;

	if (!sp->snap)
		return may;
	may &= walk_pte_access(sp->snap[i]);
	if (!maps)
		return may;
	if (!sp->role.wp)
		may |= WALK_W;
	slot = vigil_gfn_slot(a->vm, sp->gfn);
	if (!(sp->snap[i] & PTE_D) && slot &&
	    !(slot->flags & KVM_MEM_READONLY) &&
	    !READ_ONCE(a->vm->shadow.bits_refused))
		may &= ~WALK_W;
	return may;
}

/* Returns the gfn of the page that entry @i points to. */
static gfn_t entry_gfn(struct shadow_page *sp, unsigned int i, bool maps)
{
	/*
	 * Without PSE-36 the bits of it are reserved, and an entry that has
	 * them set maps nothing.
	 */
	const struct walk_mode m = { .paging = sp->role.paging, .pse36 = true };
	unsigned int shift = 9 * (sp->role.level - 1);

	if (!sp->snap)
		return sp->gfn + ((gfn_t)i << shift);
	if (!maps)
		return (sp->snap[i] & PTE_ADDR) >> PAGE_SHIFT;
	return walk_leaf_gfn(&m, sp->role.level, sp->snap[i],
			     (u64)i << (shift + PAGE_SHIFT));
}

static unsigned int leaf_access(u64 spte)
{
	return (spte & SPTE_MMU_W ? WALK_W : 0) | (spte & SPTE_U ? WALK_U : 0) |
	       (spte & SPTE_NX ? 0 : WALK_X);
}

static bool logged_clean(const struct vigil_slot *slot, gfn_t gfn)
{
	return slot_logs_dirty(slot) &&
	       !test_bit_le(gfn - slot->base, slot->dirty);
}

/* A page that may be written is dirty in the logs of all slots that have it. */
static void audit_logged(struct audit *a, struct shadow_page *sp,
			 unsigned int i, struct vigil_slot *slot, gfn_t gfn)
{
	struct vigil_slot *other;
	struct alias_iter it;

	if (logged_clean(slot, gfn))
		complain(a, sp, i, "writable, logged and clean");
	for_each_alias(other, vigil_slots(a->vm), slot, gfn, &it)
		if (logged_clean(other, it.gfn))
			complain(a, sp, i,
				 "writable, logged by another slot and clean");
}

static void audit_leaf(struct audit *a, struct shadow_page *sp, unsigned int i)
{
	gfn_t gfn = leaf_gfn(sp, i);
	unsigned long *word = gfn_word(a->vm, gfn);
	struct vigil_slot *slot = vigil_gfn_slot(a->vm, gfn);
	u64 spte = sp->spt[i];

	if (!word || !slot) {
		complain(a, sp, i, "maps a gfn outside all slots");
		return;
	}
	if (!rmap_has(*word, &sp->spt[i]))
		complain(a, sp, i, "not in the rmap");
	audit_target(a, sp, i, slot, gfn);
	if (sp->snap && (leaf_access(spte) & ~entry_access(a, sp, i, true)))
		complain(a, sp, i, "more rights than the guest's entry has");
	if ((spte & SPTE_MMU_W) && (*word & RMAP_TABLE))
		complain(a, sp, i, "a write-protected table may be written");
	if (!(spte & SPTE_W))
		return;
	if ((spte & SPTE_LOG_ONLY) != SPTE_LOG_ONLY)
		complain(a, sp, i, "writable without the right to be");
	/* A watch that is being added takes W away under the lock, later. */
	if (watch_gfn(a->vm, gfn) && !atomic_read(&a->vm->watches_arming))
		complain(a, sp, i, "a watched page is writable");
	if (place_watched(a->vm, sp, i) && !atomic_read(&a->vm->watches_arming))
		complain(a, sp, i, "a watched linear address is writable");
	audit_logged(a, sp, i, slot, gfn);
}

/*
 * From a placed page, what leads to a watched linear address is placed as well, and all
 * that is placed is where it says. The upper half of a root in long mode is
 * sign-extended.
 */
static void audit_place(struct audit *a, struct shadow_page *sp, unsigned int i,
			struct shadow_page *child)
{
	gva_t at = place_entry(sp, i), size = place_entry(sp, 1) - sp->linear;

	if (!sp->role.placed)
		return;
	if (!sp->linear && sp->role.level >= 4 && !sp->role.direct &&
	    sp->role.level == (sp->role.paging == WALK_5LEVEL ? 5 : 4) &&
	    i >= SPT_ENTRIES / 2)
		at |= -(size * SPT_ENTRIES);
	if (child->role.placed && child->linear != at)
		complain(a, sp, i, "leads to a page of another linear address");
	if (!child->role.placed && watch_linear(a->vm, at, size) &&
	    !atomic_read(&a->vm->watches_arming))
		complain(a, sp, i,
			 "leads to a watched linear address and elsewhere");
}

static void audit_link(struct audit *a, struct shadow_page *sp, unsigned int i)
{
	struct shadow_page *child = page_child(sp->spt[i]);
	bool maps = child->role.direct;

	if (child->invalid || child->role.level != sp->role.level - 1) {
		complain(a, sp, i, "points to no table of the level below");
		return;
	}
	if (!rmap_has(child->parents, &sp->spt[i]))
		complain(a, sp, i, "unknown to the table that it points to");
	audit_place(a, sp, i, child);
	if (child->gfn != entry_gfn(sp, i, maps))
		complain(a, sp, i, "leads elsewhere than the guest's entry");
	if (child->role.access & ~entry_access(a, sp, i, maps))
		complain(a, sp, i,
			 "leads to more rights than the guest's entry");
}

static void audit_entry(struct audit *a, struct shadow_page *sp, unsigned int i)
{
	u64 pte;

	if (sp->role.window && shadow_window_entry(sp, i)) {
		if (test_bit(i, sp->present))
			complain(a, sp, i, "of the window, and in the bitmap");
		return;
	}
	if (!!sp->spt[i] != test_bit(i, sp->present)) {
		complain(a, sp, i, "presence is not in the bitmap");
		return;
	}
	if (!sp->spt[i])
		return;
	if (sp->role.level == 1)
		audit_leaf(a, sp, i);
	else
		audit_link(a, sp, i);
	if (!sp->snap || sp->unsync || table_read(a->vm, sp, i, &pte))
		return;
	if (pte != sp->snap[i] && spte_change(sp->role.level == 1, sp->role.wp,
					      sp->snap[i], pte) != SPTE_KEEP)
		complain(a, sp, i, "not in step with the guest's table");
}

static void audit_page(struct audit *a, struct shadow_page *sp)
{
	unsigned long *word;
	unsigned int i;

	if (page_of(sp->spt) != sp)
		complain(a, sp, -1, "page does not lead back to its header");
	if (!sp->role.direct) {
		word = gfn_word(a->vm, sp->gfn);
		if (!word || !!(*word & RMAP_TABLE) == sp->unsync)
			complain(a, sp, -1,
				 "neither write-protected nor unsync");
	}
	if (sp->role.placed == hlist_unhashed(&sp->place))
		complain(a, sp, -1,
			 "not where its linear address is looked up");
	for (i = 0; i < SPT_ENTRIES; i++)
		audit_entry(a, sp, i);
}

static void audit_word(struct audit *a, gfn_t gfn, unsigned long word)
{
	struct shadow_page *sp;
	struct rmap_iter it;
	bool table = false;
	u64 *spte;

	for_each_rmap(spte, word, &it) {
		sp = page_of(spte);
		if (!sp || sp->invalid || sp->role.level != 1 ||
		    !(*spte & SPTE_P) ||
		    leaf_gfn(sp, spte_index(spte)) != gfn) {
			complain(a, NULL, -1,
				 "rmap entry that does not map its gfn");
			break;
		}
	}
	for_each_table(sp, a->vm, gfn)
		table |= !sp->unsync;
	if (table != !!(word & RMAP_TABLE))
		complain(a, NULL, -1,
			 "table mark without a table, or the other way round");
}

int shadow_audit(struct vigil_vm *vm)
{
	struct audit a = { .vm = vm };
	unsigned long pages = 0, unsync = 0, shared = 0, idx;
	struct shadow_page *sp;
	unsigned long *chunk;
	unsigned int i;
	int srcu = srcu_read_lock(&vm->srcu);

	spin_lock(&vm->shadow.lock);
	list_for_each_entry(sp, &vm->shadow.pages, link) {
		audit_page(&a, sp);
		pages++;
		unsync += sp->unsync;
		shared += sp->shared;
	}
	if (pages != vm->shadow.nr_pages || unsync != vm->shadow.nr_unsync ||
	    shared != vm->shadow.nr_shared)
		complain(&a, NULL, -1, "pages are not counted right");
	/* Each vCPU may have made some since it looked at the bound. */
	if (shared > table_shared_max(vm) + SHARED_AT_ONCE * vm->nr_vcpus)
		complain(&a, NULL, -1,
			 "too many tables to be read at each flush");
	xa_for_each(&vm->shadow.gfns, idx, chunk)
		for (i = 0; i < 512; i++)
			if (chunk[i])
				audit_word(&a, (idx << 9) + i, chunk[i]);
	/* No harvest is under way, since vm->lock is held. */
	if (atomic_long_read(&vm->shadow.owed) >
	    atomic_long_read(&vm->shadow.claimed))
		complain(&a, NULL, -1,
			 "pages were protected and nobody flushed");
	spin_unlock(&vm->shadow.lock);
	srcu_read_unlock(&vm->srcu, srcu);
	if (a.errors)
		pr_err("audit of VM %u: %u errors\n", vm->id, a.errors);
	return a.errors ? -EUCLEAN : 0;
}

#else

int shadow_audit(struct vigil_vm *vm)
{
	return 0;
}

void shadow_audit_entry(struct vigil_vcpu *vcpu)
{
}

void shadow_audit_flushed(struct vigil_vcpu *vcpu)
{
}

#endif
