// SPDX-License-Identifier: GPL-2.0
/*
 * A window in the linear space of a guest that no frame of the guest backs: the tables
 * of the VMM which a CPU uses while a paravirtual guest runs. One table of level 1
 * serves 16 vCPUs. The two tables above it are for guests in long mode; the roots of
 * others lead to level 1.
 *
 * The window lies where Xen's interface reserves addresses for the hypervisor, so
 * kernels that know Xen keep out. Its entries are in no reverse map and in no bitmap
 * of present entries, so nothing that follows the guest's tables or the host's comes
 * across them.
 */
#include <linux/slab.h>

#include "internal.h"

#define BASE32 0xfc000000ul
#define BASE64 0xffff87ffff800000ul
#define NR_LEAVES (VIGIL_MAX_VCPUS * SHADOW_WINDOW_PAGES / SPT_ENTRIES)
/* Of a root in long mode: the one entry that is the window's. */
#define ROOT_ENTRY 271u
#define LEVEL3_ENTRY 511u
/* Of level 2, in both formats: the last four, and those of 0xfc000000. */
#define LEVEL2_ENTRY64 508u
#define LEVEL2_ENTRY32 480u

struct shadow_window {
	u64 *leaf[NR_LEAVES];
	u64 *level2, *level3;
};

static u64 entry_of(const void *table)
{
	return spte_table(__sme_pa(table)) | SPTE_FOREIGN;
}

static void window_destroy(struct shadow_window *w)
{
	unsigned int i;

	if (!w)
		return;
	for (i = 0; i < NR_LEAVES; i++)
		free_page((unsigned long)w->leaf[i]);
	free_page((unsigned long)w->level2);
	free_page((unsigned long)w->level3);
	kfree(w);
}

static u64 *new_table(void)
{
	return (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

static struct shadow_window *window_create(void)
{
	struct shadow_window *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!w)
		return NULL;
	w->level2 = new_table();
	w->level3 = new_table();
	if (!w->level2 || !w->level3)
		goto fail;
	for (i = 0; i < NR_LEAVES; i++) {
		w->leaf[i] = new_table();
		if (!w->leaf[i])
			goto fail;
		w->level2[LEVEL2_ENTRY64 + i] = entry_of(w->leaf[i]);
	}
	w->level3[LEVEL3_ENTRY] = entry_of(w->level2);
	return w;
fail:
	window_destroy(w);
	return NULL;
}

void shadow_window_free(struct vigil_vm *vm)
{
	window_destroy(vm->shadow.window);
	vm->shadow.window = NULL;
}

void shadow_window_link(struct vigil_vm *vm, struct shadow_page *root)
{
	const struct shadow_window *w = vm->shadow.window;
	unsigned int i;

	if (root->role.level > 2) {
		WRITE_ONCE(root->spt[ROOT_ENTRY], entry_of(w->level3));
		return;
	}
	for (i = 0; i < NR_LEAVES; i++)
		WRITE_ONCE(root->spt[LEVEL2_ENTRY32 + i], entry_of(w->leaf[i]));
}

bool shadow_window_entry(const struct shadow_page *root, unsigned int index)
{
	return root->role.level > 2 ? index == ROOT_ENTRY :
				      index - LEVEL2_ENTRY32 < NR_LEAVES;
}

gva_t shadow_window_base(const struct vigil_vcpu *vcpu)
{
	return (vcpu->shadow.mode.paging == WALK_4LEVEL ? BASE64 : BASE32) +
	       (gva_t)vcpu->index * SHADOW_WINDOW_PAGES * PAGE_SIZE;
}

bool shadow_in_window(const struct vigil_vcpu *vcpu, gva_t gva)
{
	if (vcpu->shadow.mode.paging == WALK_4LEVEL)
		return spt_index(gva, 4) == ROOT_ENTRY;
	return gva - BASE32 < NR_LEAVES * SPT_ENTRIES * PAGE_SIZE;
}

int shadow_window_open(struct vigil_vcpu *vcpu, void *const pages[],
		       unsigned int n)
{
	unsigned int first = vcpu->index * SHADOW_WINDOW_PAGES, i;
	struct shadow_vm *s = &vcpu->vm->shadow;
	struct shadow_window *w = NULL;
	u64 *leaf;

	if (!READ_ONCE(s->window)) {
		w = window_create();
		if (!w)
			return -ENOMEM;
	}
	spin_lock(&s->lock);
	if (!s->window) {
		WRITE_ONCE(s->window, w);
		w = NULL;
	}
	leaf = s->window->leaf[first / SPT_ENTRIES] + first % SPT_ENTRIES;
	for (i = 0; i < n; i++)
		WRITE_ONCE(leaf[i], __sme_pa(pages[i]) | SPTE_P | SPTE_A |
					    SPTE_NX | SPTE_FOREIGN);
	spin_unlock(&s->lock);
	window_destroy(w);
	return 0;
}

void shadow_window_use(struct vigil_vcpu *vcpu, bool on)
{
	vcpu->shadow.window = on;
	shadow_mode_changed(vcpu);
}
