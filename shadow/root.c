// SPDX-License-Identifier: GPL-2.0
/* A vCPU's paging mode and roots, and the flushes that its guest asks for. */
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "internal.h"
#include "walk_inline.h"
#include "vmm/cpu/cpuid.h"

bool shadow_direct_ept __ro_after_init;

/* ---- mode ---- */

/* CPUID.1:EDX.PSE-36. Leaf 1 is near the front of the array. */
static bool has_pse36(const struct vigil_vcpu *vcpu)
{
	int i;

	for (i = 0; i < vcpu->nr_cpuid; i++)
		if (vcpu->cpuid[i].function == 1)
			return vcpu->cpuid[i].edx & BIT(17);
	return false;
}

static struct walk_mode mode_of(struct vigil_vcpu *vcpu)
{
	u8 paging = walk_paging_of(vcpu->cr0, vcpu->cr4, vcpu->efer);

	return (struct walk_mode){
		.paging = paging,
		.pse = vcpu->cr4 & X86_CR4_PSE,
		.pse36 = has_pse36(vcpu),
		.nx = (vcpu->efer & EFER_NX) && paging >= WALK_PAE,
		.wp = vcpu->cr0 & X86_CR0_WP,
		.smep = vcpu->cr4 & X86_CR4_SMEP,
		.smap = vcpu->cr4 & X86_CR4_SMAP,
		.gbpages = guest_has(vcpu, GUEST_HAS_GBPAGES),
		.maxphyaddr = clamp_t(u8, vcpu->maxphyaddr ?: 36, 32, 52),
	};
}

static union shadow_role role_of(const struct walk_mode *m)
{
	union shadow_role role = { .word = 0 };

	if (m->paging == WALK_NONE) {
		role.ept = shadow_direct_ept;
		return role;
	}
	role.paging = m->paging;
	role.wp = m->wp;
	role.smep_nwp = m->smep && !m->wp;
	role.smap_nwp = m->smap && !m->wp;
	role.nx = m->nx;
	role.pse = m->pse && m->paging == WALK_32;
	return role;
}

/*
 * Compares the three fields that decide which bits of a guest's entry are
 * reserved, but that are not part of the role.
 */
static bool same_cpu(const struct walk_mode *a, const struct walk_mode *b)
{
	return a->pse36 == b->pse36 && a->gbpages == b->gbpages &&
	       a->maxphyaddr == b->maxphyaddr;
}

void shadow_mode_changed(struct vigil_vcpu *vcpu)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct walk_mode mode = mode_of(vcpu);
	union shadow_role role = role_of(&mode);

	role.window = s->window;
	if (s->initialised && !same_cpu(&mode, &s->mode))
		shadow_zap_all(vcpu->vm);
	if (!s->initialised || role.word != s->role.word ||
	    mode.paging == WALK_PAE || vcpu->cr3 != s->root_cr3)
		WRITE_ONCE(s->root_ok, false);
	last_forget(s);
	s->mode = mode;
	s->role = role;
	s->root_level = mode.paging == WALK_5LEVEL	       ? 5 :
			mode.paging == WALK_4LEVEL || role.ept ? 4 :
								 3;
	s->initialised = true;
	sync_all(vcpu->vm);
}

static int read_pdptes(struct vigil_vcpu *vcpu, unsigned long cr3, u64 pdpte[4])
{
	struct walk_mode mode = mode_of(vcpu);
	unsigned int i;

	/* Bits 4 to 0 of CR3 are not part of the PDPT's address. */
	if (gmem_read(vcpu->vm, cr3 & 0xffffffe0, pdpte, 4 * sizeof(*pdpte)))
		return -EFAULT;
	for (i = 0; i < 4; i++)
		if (walk_bad_pdpte(&mode, pdpte[i]))
			return -EINVAL;
	return 0;
}

int shadow_check_pdptes(struct vigil_vcpu *vcpu, unsigned long cr3)
{
	u64 pdpte[4];

	return read_pdptes(vcpu, cr3, pdpte);
}

int shadow_load_pdptes(struct vigil_vcpu *vcpu)
{
	u64 pdpte[4];
	int ret;

	ret = read_pdptes(vcpu, vcpu->cr3, pdpte);
	if (ret)
		return ret;
	if (memcmp(pdpte, vcpu->shadow.pdpte, sizeof(pdpte))) {
		memcpy(vcpu->shadow.pdpte, pdpte, sizeof(pdpte));
		last_forget(&vcpu->shadow);
		WRITE_ONCE(vcpu->shadow.root_ok, false);
	}
	return 0;
}

/* ---- roots ---- */

/*
 * [s] Returns the shadow page of root @i. NULL: there is none, or no memory is
 * there.
 */
static struct shadow_page *root_get(struct vigil_vcpu *vcpu, unsigned int i)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	union shadow_role role = s->role;
	struct shadow_page *sp;
	gva_t linear = 0;
	gfn_t gfn;

	role.level = s->root_level == 3 ? 2 : s->root_level;
	/* A root has one place, so it needs no watch to be told from others. */
	role.placed = 1;
	if (s->root_level == 3)
		linear = (gva_t)i << 30;
	if (s->root_level == 3 && i != SHADOW_WINDOW_QUADRANT)
		role.window = 0;
	role.access = WALK_ALL;
	switch (s->mode.paging) {
	case WALK_NONE:
		role.direct = 1;
		gfn = (gfn_t)i << 18;
		break;
	case WALK_32:
		role.quadrant = i;
		gfn = (vcpu->cr3 & 0xfffff000) >> PAGE_SHIFT;
		break;
	case WALK_PAE:
		gfn = (s->pdpte[i] & PTE_ADDR) >> PAGE_SHIFT;
		if (s->pdpte[i] & PTE_P)
			break;
		if (!role.window)
			return NULL;
		/* Nothing of the guest's is there, but the window. */
		role.direct = 1;
		gfn = 0;
		break;
	default:
		gfn = (vcpu->cr3 & PTE_ADDR) >> PAGE_SHIFT;
	}
	sp = page_get(vcpu, gfn, role, linear, NULL);
	if (!sp)
		return NULL;
	if (unlikely(role.window))
		shadow_window_link(vcpu->vm, sp);
	sp->roots++;
	return sp;
}

static void roots_put(struct shadow_page **root, struct list_head *freed)
{
	unsigned int i;

	for (i = 0; i < SHADOW_MAX_ROOTS; i++) {
		if (root[i])
			page_put_root(root[i], freed);
		root[i] = NULL;
	}
}

static hpa_t pae_root_fill(struct shadow_vcpu *s, struct shadow_page **root)
{
	unsigned int i;

	/* W, U and A are reserved in a PDPTE, so P is the only bit set. */
	for (i = 0; i < 4; i++)
		WRITE_ONCE(s->pae_root[i],
			   root[i] ? __sme_pa(root[i]->spt) | SPTE_P : 0);
	return __sme_pa(s->pae_root);
}

static noinline int load_root(struct vigil_vcpu *vcpu)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	struct shadow_page *root[SHADOW_MAX_ROOTS] = {};
	struct vigil_vm *vm = vcpu->vm;
	unsigned int i, n;
	LIST_HEAD(freed);
	hpa_t hpa;
	int ret;

	if (!s->initialised)
		shadow_mode_changed(vcpu);
	ret = shadow_topup(vcpu);
	if (ret)
		return ret;
	n = s->root_level == 3 ? 4 : 1;
	spin_lock(&vm->shadow.lock);
	/*
	 * root_gone() sets the request and takes root_ok away under this lock.
	 * Cleared before the lock, the request of a zap in between would stay
	 * when root_ok is set below, and nobody would look at it again.
	 * selftests/models/root.pml explores this.
	 */
	clear_bit(REQ_LOAD_ROOT, &vcpu->requests);
	for (i = 0; i < n; i++)
		root[i] = root_get(vcpu, i);
	/*
	 * A PAE guest may have absent PDPTEs or ones that lead nowhere; all
	 * others need memory behind CR3.
	 */
	if (!root[0] && s->mode.paging != WALK_PAE) {
		roots_put(root, &freed);
		spin_unlock(&vm->shadow.lock);
		page_free_list(vm, &freed);
		return -EFAULT;
	}
	swap(s->root[0], root[0]);
	swap(s->root[1], root[1]);
	swap(s->root[2], root[2]);
	swap(s->root[3], root[3]);
	hpa = n == 4 ? pae_root_fill(s, s->root) : __sme_pa(s->root[0]->spt);
	s->root_cr3 = vcpu->cr3;
	WRITE_ONCE(s->root_ok, true);
	roots_put(root, &freed);
	spin_unlock(&vm->shadow.lock);
	page_free_list(vm, &freed);
	vmm_ops->set_root(vcpu, hpa);
	shadow_flush_tag(vcpu);
	return 0;
}

/* selftests/models/root.pml explores this */
int shadow_load(struct vigil_vcpu *vcpu)
{
	if (likely(READ_ONCE(vcpu->shadow.root_ok)))
		return 0;
	return load_root(vcpu);
}

/* ---- what the guest flushes ---- */

void shadow_new_cr3(struct vigil_vcpu *vcpu)
{
	struct shadow_vcpu *s = &vcpu->shadow;

	last_forget(s);
	sync_all(vcpu->vm);
	/*
	 * For another CR3, shadow_load() loads another root, which flushes the
	 * TLB.
	 */
	if (vcpu->cr3 != s->root_cr3)
		WRITE_ONCE(s->root_ok, false);
	else
		shadow_flush_tag(vcpu);
}

void shadow_flush_guest(struct vigil_vcpu *vcpu)
{
	last_forget(&vcpu->shadow);
	sync_all(vcpu->vm);
	shadow_flush_tag(vcpu);
}

/* [s] Does one level of INVLPG. False: no lower table is there. */
static bool invlpg_entry(struct vigil_vcpu *vcpu, struct shadow_page *sp,
			 unsigned int index)
{
	struct vigil_slot *slot = cached_slot(vcpu, sp->gfn);
	struct vigil_vm *vm = vcpu->vm;
	u64 pte;

	if (!(sp->spt[index] & SPTE_P))
		return false;
	if (!slot || slot_table_read(slot, sp, index, &pte)) {
		spte_drop(vm, &sp->spt[index]);
		return false;
	}
	/* The other SPTE of the same entry of a 32-bit page directory. */
	if (unlikely(sp->unsync && sp->role.level > 1) &&
	    sp->role.paging == WALK_32)
		sync_entry(vm, sp, index ^ 1, pte);
	if (likely(pte == sp->snap[index]))
		return true;
	sync_entry(vm, sp, index, pte);
	if (sp->spt[index] & SPTE_P)
		return true;
	/* The guest most likely uses the page next, so map it at once. */
	if (sp->role.level == 1)
		prefetch_pte(vcpu, sp, index, pte);
	return false;
}

/*
 * [s] Reads each guest entry on the way to @gva again. Returns true when the
 * TLB may have more of the guest's page than the 4 KiB at @gva.
 */
static bool invlpg_walk(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct shadow_vcpu *s = &vcpu->shadow;
	unsigned int level = s->root_level;
	struct shadow_page *sp = s->root[0];

	if (s->mode.paging == WALK_NONE)
		return false;
	if (in_window(vcpu, gva))
		return true;
	if (level == 3) {
		sp = s->root[gva >> 30 & 3];
		level = 2;
	}
	if (!s->root_ok)
		return true;
	for (; sp && sp->snap; level--) {
		unsigned int index = spt_index(gva, level);

		if (!invlpg_entry(vcpu, sp, index))
			return level > 1;
		if (level == 1)
			return false;
		sp = page_child(sp->spt[index]);
	}
	/* @gva is in a large page of the guest, or nothing is mapped there. */
	return true;
}

/*
 * INVLPG reads each entry on the way again, whether its table is unsync or not:
 * the VMM or a device may have written it. The guest's other vCPUs flush for
 * themselves, as on hardware.
 *
 * INVLPG drops the whole guest page. The shadow tables map a large page by 4
 * KiB SPTEs, so the TLB has it in many pieces. The vCPU's whole tag is flushed
 * where the walk ends at a large page or above a 4 KiB page's entry, because a
 * large page may have been there; and after a large page has left the shadow
 * tables, because the guest may have put a table of 4 KiB pages in its place.
 */
void shadow_invlpg(struct vigil_vcpu *vcpu, gva_t gva)
{
	struct shadow_vm *vs = &vcpu->vm->shadow;
	struct shadow_vcpu *s = &vcpu->shadow;
	bool whole;

	last_forget(s);
	/*
	 * If shadow_topup() fails, prefetch_pte() maps nothing; INVLPG does not
	 * depend on it.
	 */
	shadow_topup(vcpu);
	spin_lock(&vs->lock);
	whole = invlpg_walk(vcpu, gva) || s->large_dropped != vs->large_dropped;
	spin_unlock(&vs->lock);
	if (whole && !shadow_injected(INJECT_ONE_ADDRESS))
		shadow_flush_tag(vcpu);
	else
		shadow_flush_page(vcpu, gva);
	audit_tlb_invlpg(vcpu, gva);
}

/* ---- life ---- */

int shadow_vcpu_init(struct vigil_vcpu *vcpu)
{
	/*
	 * Outside long mode the hardware's CR3 has 32 bits, so the PAE root
	 * must lie below 4 GiB.
	 */
	struct page *page =
		alloc_page(GFP_KERNEL_ACCOUNT | __GFP_DMA32 | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	vcpu->shadow.pae_root = page_address(page);
	return audit_vcpu_init(vcpu);
}

void shadow_vcpu_destroy(struct vigil_vcpu *vcpu)
{
	struct shadow_page *sp;
	LIST_HEAD(freed);
	unsigned int i;

	spin_lock(&vcpu->vm->shadow.lock);
	for (i = 0; i < SHADOW_MAX_ROOTS; i++) {
		sp = vcpu->shadow.root[i];
		vcpu->shadow.root[i] = NULL;
		if (sp)
			page_put_root(sp, &freed);
	}
	spin_unlock(&vcpu->vm->shadow.lock);
	/*
	 * This vCPU never enters the guest again, so its TLB need not be
	 * flushed.
	 */
	page_free_now(&freed);
	shadow_caches_free(vcpu);
	audit_vcpu_destroy(vcpu);
	free_page((unsigned long)vcpu->shadow.pae_root);
	vcpu->shadow.pae_root = NULL;
}
