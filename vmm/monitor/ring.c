// SPDX-License-Identifier: GPL-2.0
/*
 * A ring of events in memory that the monitor has mapped. The kernel only writes to it,
 * except for the reader's tail, of which it believes nothing: head, size and addresses are
 * the kernel's own.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "ring.h"

static_assert(sizeof(struct vigil_ring) == 64);
static_assert(VIGIL_RING_HEAD == PAGE_SIZE);

/**
 * struct mon_ring - the kernel's side of a ring
 * @shared:	what the monitor sees, mapped for the kernel
 * @pages:	the same, page by page
 * @nr_pages:	how many they are
 * @events:	how many have room
 * @head:	events stored so far; the owner's lock makes writers exclude each other
 */
struct mon_ring {
	struct vigil_ring *shared;
	struct page **pages;
	unsigned int nr_pages;
	u32 events;
	u32 head;
};

struct mon_ring *ring_create(u32 events)
{
	struct mon_ring *ring;
	struct page *page;
	unsigned int n;

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return NULL;
	n = 1 + DIV_ROUND_UP(events * sizeof(struct vigil_event), PAGE_SIZE);
	ring->events = events;
	ring->pages = kvcalloc(n, sizeof(*ring->pages), GFP_KERNEL_ACCOUNT);
	if (!ring->pages)
		goto fail;
	while (ring->nr_pages < n) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!page)
			goto fail;
		ring->pages[ring->nr_pages++] = page;
	}
	ring->shared = vmap(ring->pages, n, VM_MAP, PAGE_KERNEL);
	if (!ring->shared)
		goto fail;
	ring->shared->events = events;
	ring->shared->event_size = sizeof(struct vigil_event);
	return ring;

fail:
	ring_free(ring);
	return NULL;
}

/* A page that somebody still has mapped, or pinned, stays until that ends. */
void ring_free(struct mon_ring *ring)
{
	if (!ring)
		return;
	vunmap(ring->shared);
	while (ring->nr_pages)
		__free_page(ring->pages[--ring->nr_pages]);
	kvfree(ring->pages);
	kfree(ring);
}

/* The mapping holds the monitor's file, and the file holds the ring. */
static vm_fault_t ring_fault(struct vm_fault *vmf)
{
	const struct mon_ring *ring = vmf->vma->vm_private_data;

	if (vmf->pgoff >= ring->nr_pages)
		return VM_FAULT_SIGBUS;
	vmf->page = ring->pages[vmf->pgoff];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct ring_vm_ops = {
	.fault = ring_fault,
};

int ring_mmap(struct mon_ring *ring, struct vm_area_struct *vma)
{
	/* The tail in a private copy would never reach the kernel. */
	if (!(vma->vm_flags & VM_SHARED) ||
	    vma->vm_pgoff + vma_pages(vma) > ring->nr_pages)
		return -EINVAL;
	vma->vm_private_data = ring;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}

/* Events that the reader has not taken; more than ring->events if its tail is a lie. */
static u32 waiting(const struct mon_ring *ring)
{
	/* Pairs with the reader's release: it has read what it frees before. */
	return ring->head - smp_load_acquire(&ring->shared->tail);
}

bool ring_room(const struct mon_ring *ring)
{
	return waiting(ring) < ring->events;
}

bool ring_put(struct mon_ring *ring, const struct vigil_event *ev, bool *wake)
{
	struct vigil_event *slots = (void *)ring->shared + VIGIL_RING_HEAD;

	if (!ring_room(ring))
		return false;
	slots[ring->head & (ring->events - 1)] = *ev;
	/* pairs with the reader's acquire: the event is there before its number */
	smp_store_release(&ring->shared->head, ++ring->head);
	/*
	 * Either this sees the tail that a reader stored before it looked at head, or that
	 * reader sees the new head: ring_ready() has the other barrier.
	 */
	smp_mb(); /* pairs with the one in ring_ready() */
	*wake = waiting(ring) == 1;
	return true;
}

bool ring_ready(const struct mon_ring *ring)
{
	smp_mb(); /* pairs with the one in ring_put() */
	return READ_ONCE(ring->head) != READ_ONCE(ring->shared->tail);
}
