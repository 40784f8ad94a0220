// SPDX-License-Identifier: GPL-2.0
/* The cache of shadow pages: keyed by gfn and role, bounded, freed by RCU. */
#include <linux/hash.h>
#include <linux/sched.h>

#include "internal.h"
#include "vmm/trace.h"

struct kmem_cache *shadow_header_cache;
struct kmem_cache *shadow_link_cache;

/*
 * A fault makes at most one shadow page for each level, and needs one link for
 * each level and one for the leaf.
 */
#define NEED_PAGES WALK_MAX_LEVEL
#define NEED_TABLES (2 * NEED_PAGES)
#define NEED_LINKS 24

/* ---- objects, allocated before the lock is taken ---- */

static int fill(struct shadow_cache *c, unsigned int want,
		struct kmem_cache *slab)
{
	void *p;

	while (c->n < want) {
		p = slab ? kmem_cache_alloc(slab, GFP_KERNEL_ACCOUNT) :
			   (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!p)
			return -ENOMEM;
		c->obj[c->n++] = p;
	}
	return 0;
}

static bool shadow_over_limit(struct vigil_vm *vm)
{
	return READ_ONCE(vm->shadow.nr_pages) + WALK_MAX_LEVEL >
	       shadow_get_limit(vm);
}

static noinline void make_room(struct vigil_vm *vm)
{
	LIST_HEAD(freed);

	spin_lock(&vm->shadow.lock);
	if (shadow_over_limit(vm) && !page_shrink(vm, 32, false, &freed))
		page_shrink(vm, 32, true, &freed);
	if (table_shared_over(vm))
		table_shrink_shared(vm, &freed);
	spin_unlock(&vm->shadow.lock);
	page_free_list(vm, &freed);
}

static noinline int refill(struct shadow_vcpu *s)
{
	if (fill(&s->headers, 2 * NEED_PAGES, shadow_header_cache) ||
	    fill(&s->tables, 2 * NEED_TABLES, NULL) ||
	    fill(&s->links, SHADOW_CACHE_MAX, shadow_link_cache))
		return -ENOMEM;
	return 0;
}

int shadow_topup(struct vigil_vcpu *vcpu)
{
	struct shadow_vcpu *s = &vcpu->shadow;

	if (unlikely(shadow_over_limit(vcpu->vm) ||
		     table_shared_over(vcpu->vm)))
		make_room(vcpu->vm);
	if (likely(s->headers.n >= NEED_PAGES && s->tables.n >= NEED_TABLES &&
		   s->links.n >= NEED_LINKS))
		return 0;
	return refill(s);
}

static struct shadow_page *page_alloc(struct vigil_vcpu *vcpu, bool direct)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct shadow_page *sp = s->headers.obj[--s->headers.n];

	memset(sp, 0, sizeof(*sp));
	sp->spt = s->tables.obj[--s->tables.n];
	if (!direct)
		sp->snap = s->tables.obj[--s->tables.n];
	set_page_private(virt_to_page(sp->spt), (unsigned long)sp);
	return sp;
}

static void page_free_rcu(struct rcu_head *rcu)
{
	struct shadow_page *sp = container_of(rcu, struct shadow_page, rcu);

	set_page_private(virt_to_page(sp->spt), 0);
	free_page((unsigned long)sp->spt);
	free_page((unsigned long)sp->snap);
	kmem_cache_free(shadow_header_cache, sp);
}

void page_free_now(struct list_head *freed)
{
	struct shadow_page *sp, *next;

	list_for_each_entry_safe(sp, next, freed, link)
		call_rcu(&sp->rcu, page_free_rcu);
	INIT_LIST_HEAD(freed);
}

/* selftests/models/root.pml explores this */
void page_free_list(struct vigil_vm *vm, struct list_head *freed)
{
	lockdep_assert_not_held(&vm->shadow.lock);
	if (list_empty(freed))
		return;
	/*
	 * The paging-structure caches of the vCPUs' CPUs may still lead to
	 * these pages.
	 */
	shadow_flush_stale(vm);
	page_free_now(freed);
}

void shadow_caches_free(struct vigil_vcpu *vcpu)
{
	struct shadow_vcpu *s = &vcpu->shadow;

	while (s->headers.n)
		kmem_cache_free(shadow_header_cache,
				s->headers.obj[--s->headers.n]);
	while (s->tables.n)
		free_page((unsigned long)s->tables.obj[--s->tables.n]);
	while (s->links.n)
		kmem_cache_free(shadow_link_cache, s->links.obj[--s->links.n]);
}

/* ---- the hash ---- */

struct hlist_head *page_bucket(struct vigil_vm *vm, gfn_t gfn)
{
	return &vm->shadow.hash[hash_64(gfn, SHADOW_HASH_BITS)];
}

/*
 * A guest may use one table in many roles, and at as many linear addresses as are watched.
 * So many shadow pages of one gfn may be.
 */
#define PAGES_OF_GFN 64

/* @others: how many other pages of the gfn there are, but for roots; if NULL is returned. */
static struct shadow_page *page_find(struct vigil_vm *vm, gfn_t gfn,
				     union shadow_role role, gva_t linear,
				     unsigned int *others)
{
	struct shadow_page *sp;

	hlist_for_each_entry(sp, page_bucket(vm, gfn), hash) {
		if (sp->gfn != gfn)
			continue;
		if (sp->role.word == role.word && sp->linear == linear &&
		    sp->generation == vm->shadow.generation)
			return sp;
		*others += !sp->roots;
	}
	return NULL;
}

static void zap_all_but_roots(struct vigil_vm *vm, gfn_t gfn,
			      struct list_head *freed)
{
	struct hlist_node *next;
	struct shadow_page *sp;

	hlist_for_each_entry_safe(sp, next, page_bucket(vm, gfn), hash)
		if (sp->gfn == gfn && !sp->roots)
			page_zap(vm, sp, freed);
}

struct shadow_page *page_get(struct vigil_vcpu *vcpu, gfn_t gfn,
			     union shadow_role role, gva_t linear,
			     struct list_head *freed)
{
	struct vigil_vm *vm = vcpu->vm;
	unsigned int others = 0;
	struct shadow_page *sp = page_find(vm, gfn, role, linear, &others);
	unsigned long *word;

	if (sp) {
		/*
		 * The guest may have changed an unsync table while nothing
		 * pointed to its shadow page: sync it before it is linked.
		 */
		if (sp->unsync) {
			word = gfn_word(vm, gfn);
			table_protect(vm, gfn, word);
			table_open_shared(vm, gfn, word);
		}
		list_move(&sp->link, &vm->shadow.pages);
		return sp;
	}
	if (unlikely(others >= PAGES_OF_GFN) && freed) {
		zap_all_but_roots(vm, gfn, freed);
		return NULL;
	}
	if (!role.direct) {
		word = gfn_word(vm, gfn);
		if (!word)
			return NULL;
		table_protect(vm, gfn, word);
	}
	sp = page_alloc(vcpu, role.direct);
	sp->gfn = gfn;
	sp->role = role;
	sp->linear = linear;
	sp->generation = vm->shadow.generation;
	hlist_add_head(&sp->hash, page_bucket(vm, gfn));
	if (role.placed)
		place_add(vm, sp);
	list_add(&sp->link, &vm->shadow.pages);
	WRITE_ONCE(vm->shadow.nr_pages, vm->shadow.nr_pages + 1);
	vcpu->stat.pages_shadowed++;
	trace_vigil_shadow_new(vm, gfn, role);
	if (!role.direct)
		table_open_shared(vm, gfn, word);
	return sp;
}

/* ---- links ---- */

void page_link(struct vigil_vcpu *vcpu, struct shadow_page *parent, u64 *spte,
	       struct shadow_page *child, u64 pte)
{
	unsigned int index = spte_index(spte);

	if (parent->snap)
		WRITE_ONCE(parent->snap[index], pte);
	__set_bit(index, parent->present);
	rmap_add(&vcpu->shadow.links, &child->parents, spte);
	/*
	 * A lock-free walker that sees this entry also sees the child's
	 * contents.
	 */
	smp_store_release(spte, child->role.ept ?
					spte_ept_table(__sme_pa(child->spt)) :
					spte_table(__sme_pa(child->spt)));
}

/*
 * The guest stored through the SPTE, so the host's page-table entry does not
 * have D: mark the page itself dirty.
 */
static void host_dirty(unsigned long pfn)
{
	struct page *page;

	if (!pfn_valid(pfn))
		return;
	page = pfn_to_page(pfn);
	if (!PageReserved(page) && !PageDirty(page))
		SetPageDirty(page);
}

/* selftests/models/flush.pml explores this */
void spte_drop(struct vigil_vm *vm, u64 *spte)
{
	struct shadow_page *sp = page_of(spte);
	unsigned int index = spte_index(spte);
	unsigned long *word;
	u64 old;

	old = xchg(spte, 0);
	__clear_bit(index, sp->present);
	if (!(old & SPTE_P))
		return;
	shadow_narrowed(vm);
	if (sp->role.level > 1) {
		rmap_remove(&page_child(old)->parents, spte);
		if (sp->snap && page_child(old)->role.direct)
			WRITE_ONCE(vm->shadow.large_dropped,
				   vm->shadow.large_dropped + 1);
		return;
	}
	if (old & SPTE_D)
		host_dirty(spte_pfn(old));
	word = gfn_word(vm, leaf_gfn(sp, index));
	if (likely(word))
		rmap_remove(word, spte);
	else
		vigil_vm_kill(vm, "shadow: an SPTE of no slot");
}

/* ---- the end of a page ---- */

/*
 * Makes the vCPUs that use this root load another one before they next enter.
 * selftests/models/root.pml explores this.
 */
static void root_gone(struct vigil_vm *vm, struct shadow_page *sp)
{
	struct vigil_vcpu *vcpu;
	unsigned int i, r;

	vigil_for_each_vcpu(i, vcpu, vm) {
		for (r = 0; r < SHADOW_MAX_ROOTS; r++)
			if (vcpu->shadow.root[r] == sp)
				break;
		if (r == SHADOW_MAX_ROOTS)
			continue;
		WRITE_ONCE(vcpu->shadow.root_ok, false);
		vigil_request(vcpu, REQ_LOAD_ROOT);
		vigil_kick(vcpu);
	}
}

static void table_unmark(struct vigil_vm *vm, gfn_t gfn)
{
	unsigned long *word = gfn_word(vm, gfn);
	struct shadow_page *sp;

	for_each_table(sp, vm, gfn)
		return;
	if (word)
		WRITE_ONCE(*word, *word & ~RMAP_TABLE);
}

/* selftests/models/root.pml explores this */
void page_zap(struct vigil_vm *vm, struct shadow_page *sp,
	      struct list_head *freed)
{
	unsigned int i;

	if (sp->invalid)
		return;
	trace_vigil_shadow_zap(vm, sp->gfn, sp->role);
	for_each_set_bit(i, sp->present, SPT_ENTRIES)
		spte_drop(vm, &sp->spt[i]);
	rmap_drop_all(vm, &sp->parents);
	hlist_del_init(&sp->hash);
	place_del(sp);
	if (sp->unsync)
		unsync_del(vm, sp);
	else if (!sp->role.direct)
		table_unmark(vm, sp->gfn);
	shadow_narrowed(vm);
	WRITE_ONCE(vm->shadow.nr_pages, vm->shadow.nr_pages - 1);
	sp->invalid = true;
	if (sp->roots) {
		list_del_init(&sp->link);
		root_gone(vm, sp);
	} else {
		list_move(&sp->link, freed);
	}
}

/* selftests/models/root.pml explores this */
void page_put_root(struct shadow_page *sp, struct list_head *freed)
{
	if (!--sp->roots && sp->invalid)
		list_add(&sp->link, freed);
}

/* ---- bounds ---- */

/*
 * Shadow pages that a VM may have if it sets no limit: 1/32 of its memory, at
 * least this.
 */
#define DEFAULT_MIN 1024ul

unsigned long shadow_get_limit(struct vigil_vm *vm)
{
	unsigned long limit = READ_ONCE(vm->shadow.limit);

	return limit ?: max(DEFAULT_MIN, READ_ONCE(vm->shadow.mem_pages) / 32);
}

unsigned long page_shrink(struct vigil_vm *vm, unsigned long want, bool roots,
			  struct list_head *freed)
{
	struct shadow_page *sp, *next;
	unsigned long n = 0;

	list_for_each_entry_safe_reverse(sp, next, &vm->shadow.pages, link) {
		if (n >= want)
			break;
		if (sp->roots && !roots)
			continue;
		page_zap(vm, sp, freed);
		n++;
	}
	return n;
}

void shadow_break(struct vigil_vm *vm, bool may_sleep)
{
	if (!spin_needbreak(&vm->shadow.lock) && !need_resched())
		return;
	if (may_sleep) {
		cond_resched_lock(&vm->shadow.lock);
		return;
	}
	spin_unlock(&vm->shadow.lock);
	cpu_relax();
	spin_lock(&vm->shadow.lock);
}

/* Number of shadow pages after which the scheduler is asked. */
#define ZAP_AT_ONCE 64

/*
 * [s] Zaps up to ZAP_AT_ONCE pages older than @generation. False: none are
 * left.
 */
static bool zap_old(struct vigil_vm *vm, unsigned long generation,
		    struct list_head *freed)
{
	struct shadow_page *sp, *next;
	unsigned int n = 0;

	list_for_each_entry_safe_reverse(sp, next, &vm->shadow.pages, link) {
		if ((long)(sp->generation - generation) >= 0)
			return false;
		if (n++ == ZAP_AT_ONCE)
			return true;
		page_zap(vm, sp, freed);
	}
	return false;
}

/*
 * Pages of an older generation are not found any more, so none of them moves to
 * the front of vm->shadow.pages, where the new ones are: the old ones at its end
 * become fewer whatever the vCPUs do meanwhile.
 */
void shadow_zap_all(struct vigil_vm *vm)
{
	unsigned long generation;
	LIST_HEAD(freed);
	bool more;

	spin_lock(&vm->shadow.lock);
	generation = ++vm->shadow.generation;
	spin_unlock(&vm->shadow.lock);
	do {
		spin_lock(&vm->shadow.lock);
		more = zap_old(vm, generation, &freed);
		spin_unlock(&vm->shadow.lock);
		page_free_list(vm, &freed);
		cond_resched();
	} while (more);
	shadow_flush_stale(vm);
}

void shadow_watches_gone(struct vigil_vm *vm)
{
	int srcu;

	if (!xchg(&vm->shadow.bits_refused, false))
		return;
	srcu = srcu_read_lock(&vm->srcu);
	shadow_zap_all(vm);
	srcu_read_unlock(&vm->srcu, srcu);
}

int shadow_set_limit(struct vigil_vm *vm, unsigned long pages)
{
	LIST_HEAD(freed);
	unsigned long over;

	WRITE_ONCE(vm->shadow.limit, pages);
	do {
		spin_lock(&vm->shadow.lock);
		over = vm->shadow.nr_pages > shadow_get_limit(vm) ?
			       min(64ul,
				   vm->shadow.nr_pages - shadow_get_limit(vm)) :
			       0;
		page_shrink(vm, over, true, &freed);
		spin_unlock(&vm->shadow.lock);
		page_free_list(vm, &freed);
		cond_resched();
	} while (over);
	return 0;
}
