// SPDX-License-Identifier: GPL-2.0
/* Memory slots: KVM_SET_USER_MEMORY_REGION's semantics over an SRCU-replaced array. */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "alias.h"
#include "dirty.h"
#include "notifier.h"
#include "slot.h"
#include "shadow/shadow.h"
#include "vmm/monitor/watch.h"
#include "vmm/vm.h"

#define SLOT_MAX_PAGES ((1ul << 31) - 1)
#define SLOT_MAX_GPA (1ull << 52) /* widest physical address there is */

struct vigil_slot *vigil_slot_of(struct vigil_slots *slots, gfn_t gfn)
{
	unsigned int lo = 0, hi = slots->count;

	/* Find the last slot that starts at or below gfn. */
	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (slots->slot[mid]->base <= gfn)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo ||
	    gfn - slots->slot[lo - 1]->base >= slots->slot[lo - 1]->npages)
		return NULL;
	return slots->slot[lo - 1];
}

bool vigil_slot_affordable(unsigned long pages)
{
	return (long)pages <= si_mem_available() / 2;
}

static struct vigil_slots *slots_alloc(unsigned int count)
{
	struct vigil_slots *s;

	s = kvzalloc(struct_size(s, slot, count), GFP_KERNEL_ACCOUNT);
	if (s)
		s->count = count;
	return s;
}

struct vigil_slots *vigil_empty_slots(void)
{
	return slots_alloc(0);
}

/*
 * Copies the array @old, leaves @gone out and puts @added where it belongs;
 * either may be NULL.
 */
static struct vigil_slots *slots_replace(struct vigil_slots *old,
					 struct vigil_slot *gone,
					 struct vigil_slot *added)
{
	struct vigil_slots *s = slots_alloc(old->count - !!gone + !!added);
	unsigned int i, n = 0;

	if (!s)
		return NULL;
	s->generation = old->generation + 1;
	for (i = 0; i < old->count; i++) {
		if (old->slot[i] == gone)
			continue;
		if (added && added->base < old->slot[i]->base) {
			s->slot[n++] = added;
			added = NULL;
		}
		s->slot[n++] = old->slot[i];
	}
	if (added)
		s->slot[n] = added;
	return s;
}

static bool any_shares(const struct vigil_slots *slots)
{
	unsigned int i;

	for (i = 0; i < slots->count; i++)
		if (slots->slot[i]->shares)
			return true;
	return false;
}

/*
 * Publishes @new, the array without @gone and with @added, and waits until nobody
 * uses the array before. -ENOMEM, -ENOSPC: what is watched has no room for the
 * memory that slots share; @new is freed.
 */
static int slots_publish(struct vigil_vm *vm, struct vigil_slots *new,
			 const struct vigil_slot *gone,
			 struct vigil_slot *added)
{
	struct vigil_slots *old = vigil_slots(vm);
	LIST_HEAD(watches);
	int ret = 0;

	/* Before anybody sees the array: a page of it may be written at once. */
	if (added)
		alias_add(new, added);
	new->shared = any_shares(new);
	/*
	 * A watch goes with the memory: it holds for a page at each gfn that the
	 * page has in the new array.
	 */
	mutex_lock(&vm->monitor_lock);
	if (old->shared || new->shared)
		ret = watch_slots(vm, new, &watches);
	if (!ret)
		rcu_assign_pointer(vm->slots, new);
	mutex_unlock(&vm->monitor_lock);
	if (ret) {
		if (added)
			alias_del(new, added);
		kvfree(new);
		return ret;
	}
	/*
	 * When the VMM is killed, vm_synchronize() returns early. Then this
	 * waits for its vCPUs only, which end as well: what they use must not
	 * be freed before.
	 */
	if (vm_synchronize(vm))
		synchronize_srcu_expedited(&vm->srcu);
	watch_slots_done(&watches);
	if (gone)
		alias_del(new, gone);
	kvfree(old);
	return 0;
}

/* A slot like @want, which holds its file; or NULL. */
static struct vigil_slot *slot_copy(const struct vigil_slot *want)
{
	struct vigil_slot *new =
		kmemdup(want, sizeof(*want), GFP_KERNEL_ACCOUNT);

	if (new)
		alias_hold_file(new);
	return new;
}

/* Frees a slot that shadow/ keeps nothing for. */
static void slot_drop(struct vigil_slot *slot)
{
	alias_put_file(slot);
	kvfree(slot->dirty);
	kfree(slot);
}

static void slot_free(struct vigil_vm *vm, struct vigil_slot *slot)
{
	shadow_slot_free(vm, slot);
	slot_drop(slot);
}

void vigil_free_slots(struct vigil_vm *vm)
{
	struct vigil_slots *slots = rcu_dereference_protected(vm->slots, true);
	unsigned int i;

	for (i = 0; i < slots->count; i++)
		slot_free(vm, slots->slot[i]);
	kvfree(slots);
}

void vigil_slots_closed(struct vigil_vm *vm)
{
	struct vigil_slots *slots = rcu_dereference_protected(vm->slots, true);
	unsigned int i;

	for (i = 0; i < slots->count; i++)
		alias_put_file(slots->slot[i]);
}

struct vigil_slot *vigil_slot_by_id(struct vigil_slots *slots, u16 id)
{
	unsigned int i;

	for (i = 0; i < slots->count; i++)
		if (slots->slot[i]->id == id)
			return slots->slot[i];
	return NULL;
}

static bool slot_overlaps(struct vigil_slots *slots, struct vigil_slot *except,
			  gfn_t base, unsigned long npages)
{
	unsigned int i;

	for (i = 0; i < slots->count; i++) {
		struct vigil_slot *s = slots->slot[i];

		if (s != except && base < s->base + s->npages &&
		    s->base < base + npages)
			return true;
	}
	return false;
}

/* Takes @slot out of the published array. Nothing of it is mapped on return. */
static int slot_remove(struct vigil_vm *vm, struct vigil_slot *slot)
{
	struct vigil_slots *without =
		slots_replace(vigil_slots(vm), slot, NULL);
	int ret;

	if (!without)
		return -ENOMEM;
	/* Faults map nothing of the range while its old mappings are dropped */
	gmem_block_range(vm, slot->uaddr,
			 slot->uaddr + slot->npages * PAGE_SIZE);
	shadow_zap_all(vm);
	ret = slots_publish(vm, without, slot, NULL);
	gmem_unblock_range(vm);
	/* Guest tables may have been shadowed between the two: drop those too. */
	shadow_zap_all(vm);
	return ret;
}

static int slot_insert(struct vigil_vm *vm, struct vigil_slot *new)
{
	struct vigil_slots *with = slots_replace(vigil_slots(vm), NULL, new);
	int ret;

	if (!with)
		return -ENOMEM;
	ret = slots_publish(vm, with, NULL, new);
	/*
	 * Pages that were writable so far may be logged or watched by now, and a
	 * protected table may be written through the other slot.
	 */
	if (!ret && new->shares)
		shadow_zap_all(vm);
	return ret;
}

static int slot_create(struct vigil_vm *vm, const struct vigil_slot *want)
{
	struct vigil_slot *new = slot_copy(want);
	int ret = -ENOMEM;

	if (!new)
		return ret;
	if (slot_logs_dirty(new) && dirty_bitmap_alloc(new))
		goto drop;
	ret = shadow_slot_init(vm, new);
	if (ret)
		goto drop;
	ret = slot_insert(vm, new);
	if (!ret)
		return 0;
	shadow_slot_free(vm, new);
drop:
	slot_drop(new);
	return ret;
}

static int slot_delete(struct vigil_vm *vm, struct vigil_slot *old)
{
	int ret = slot_remove(vm, old);

	if (!ret)
		slot_free(vm, old);
	return ret;
}

static int slot_move(struct vigil_vm *vm, struct vigil_slot *old,
		     const struct vigil_slot *want)
{
	int ret;

	/*
	 * The new place is made first, so a failure leaves the old one as it
	 * was.
	 */
	struct vigil_slot *new = slot_copy(want);

	if (!new)
		return -ENOMEM;
	ret = -ENOMEM;
	if (slot_logs_dirty(new) && !old->dirty && dirty_bitmap_alloc(new))
		goto drop;
	ret = shadow_slot_init(vm, new);
	if (ret)
		goto drop;
	ret = slot_remove(vm, old);
	if (ret)
		goto arch;
	/*
	 * The new slot takes the log over: pages written at the old place are
	 * still to be reported.
	 */
	if (slot_logs_dirty(new) && old->dirty) {
		new->bitmap_bytes = old->bitmap_bytes;
		swap(new->dirty, old->dirty);
		/* Nobody told this log of stores through other slots meanwhile. */
		if (old->shares)
			bitmap_set(new->dirty, 0, new->npages);
	}
	ret = slot_insert(vm, new);
	/*
	 * Inserting may fail for lack of memory: then the slot is gone, as
	 * after a delete.
	 */
	slot_free(vm, old);
	if (ret)
		goto arch;
	return 0;
arch:
	shadow_slot_free(vm, new);
drop:
	slot_drop(new);
	return ret;
}

/* Switches KVM_MEM_LOG_DIRTY_PAGES. Nothing else of the slot changes. */
static int slot_set_flags(struct vigil_vm *vm, struct vigil_slot *old,
			  u32 flags)
{
	struct vigil_slot *new = kmemdup(old, sizeof(*old), GFP_KERNEL_ACCOUNT);
	struct vigil_slots *slots;
	int ret;

	if (!new)
		return -ENOMEM;
	new->flags = flags;
	new->dirty = NULL;
	new->bitmap_bytes = 0;
	ret = -ENOMEM;
	if (slot_logs_dirty(new) && dirty_bitmap_alloc(new))
		goto free;
	slots = slots_replace(vigil_slots(vm), old, new);
	if (!slots)
		goto free;
	ret = slots_publish(vm, slots, old, new);
	if (ret)
		goto free;
	if (slot_logs_dirty(new))
		shadow_slot_protect(vm, new);
	/* The new slot has taken shadow/'s part over, and the file. */
	kvfree(old->dirty);
	kfree(old);
	return 0;
free:
	kvfree(new->dirty);
	kfree(new);
	return ret;
}

static int set_slot_locked(struct vigil_vm *vm, const struct vigil_slot *want)
{
	struct vigil_slots *slots = vigil_slots(vm);
	struct vigil_slot *old = vigil_slot_by_id(slots, want->id);

	if (!want->npages)
		return old ? slot_delete(vm, old) : -EINVAL;
	if (old && (old->npages != want->npages || old->uaddr != want->uaddr ||
		    ((old->flags ^ want->flags) & KVM_MEM_READONLY)))
		return -EINVAL;
	if (old && old->base == want->base)
		return old->flags == want->flags ?
			       0 :
			       slot_set_flags(vm, old, want->flags);
	if (slot_overlaps(slots, old, want->base, want->npages))
		return -EEXIST;
	return old ? slot_move(vm, old, want) : slot_create(vm, want);
}

int vigil_set_slot(struct vigil_vm *vm,
		   const struct kvm_userspace_memory_region2 *r)
{
	struct vigil_slot want = {
		.base = r->guest_phys_addr >> PAGE_SHIFT,
		.npages = r->memory_size >> PAGE_SHIFT,
		.uaddr = r->userspace_addr,
		.flags = r->flags,
		.id = r->slot & 0xffff,
		.vm = vm,
	};
	int ret;

	if (r->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if (r->slot >> 16 || want.id >= VIGIL_MAX_SLOTS)
		return -EINVAL;
	if ((r->guest_phys_addr | r->memory_size | r->userspace_addr) &
	    ~PAGE_MASK)
		return -EINVAL;
	if (r->memory_size &&
	    !access_ok((void __user *)want.uaddr, r->memory_size))
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr ||
	    r->guest_phys_addr + r->memory_size > SLOT_MAX_GPA)
		return -EINVAL;
	if (want.npages > SLOT_MAX_PAGES)
		return -EINVAL;

	if (want.npages) {
		ret = alias_find_file(&want);
		if (ret)
			return ret;
	}

	/* A killed caller does not wait: making a large slot takes a while. */
	ret = mutex_lock_killable(&vm->lock);
	if (!ret) {
		ret = set_slot_locked(vm, &want);
		mutex_unlock(&vm->lock);
	}
	alias_put_file(&want);
	return ret;
}
