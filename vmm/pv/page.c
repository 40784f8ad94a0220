// SPDX-License-Identifier: GPL-2.0
/* The hypercall page: 128 entry points of 32 bytes. */
#include <linux/types.h>
#include <xen/interface/xen.h>

#include "internal.h"
#include "vmm/host.h"
#include "vmm/mem/gmem.h"
#include "vmm/mem/watched.h"
#include "vmm/monitor/watch.h"

#define ENTRY_BYTES 32
#define CALL_BYTES 3
#define NR_ENTRIES (PAGE_SIZE / ENTRY_BYTES)

/* By the CPU's own instruction, and by INT 0x82. */
static u8 page_hvm[PAGE_SIZE] __ro_after_init;
static u8 page_int82[PAGE_SIZE] __ro_after_init;

/* Each entry is: mov eax, number; the hypercall; ret. What is between is INT3. */
static void __init fill(u8 *p, const u8 call[CALL_BYTES])
{
	unsigned int nr;

	memset(p, 0xcc, PAGE_SIZE);
	for (nr = 0; nr < NR_ENTRIES; nr++, p += ENTRY_BYTES) {
		/* iret has no caller to return to: #UD. */
		if (nr == __HYPERVISOR_iret) {
			p[0] = 0x0f;
			p[1] = 0x0b;
			continue;
		}
		p[0] = 0xb8;
		p[1] = nr;
		memset(p + 2, 0, 3);
		memcpy(p + 5, call, CALL_BYTES);
		p[5 + CALL_BYTES] = 0xc3;
	}
}

void __init pv_init(void)
{
	const u8 hvm[CALL_BYTES] = { 0x0f, 0x01, host_info.amd ? 0xd9 : 0xc1 };
	/*
	 * The prefix does nothing but make the instruction as long as the other: the
	 * flavour may change while a thread stands before it or behind it.
	 */
	const u8 int82[CALL_BYTES] = { 0x3e, 0xcd, 0x82 };

	fill(page_hvm, hvm);
	fill(page_int82, int82);
}

/* A piece, of an event's size at most, of a page with watches. */
static int store_piece(struct vigil_vcpu *vcpu, gpa_t gpa, const u8 *data,
		       unsigned int len)
{
	u8 old[VIGIL_EVENT_DATA];
	const struct watch_store st = {
		.gpa = gpa,
		.len = len,
		.by_walk = true,
		.old = old,
		.new_ = data,
	};
	int ret;

	if (mutex_lock_killable(&vcpu->vm->store_lock))
		return -EINTR;
	ret = gmem_read(vcpu->vm, gpa, old, len) ? -EINVAL : 0;
	if (!ret && watch_store(vcpu, &st) != WATCH_GO)
		ret = -EPERM;
	if (!ret && gmem_write(vcpu->vm, gpa, data, len))
		ret = -EINVAL;
	mutex_unlock(&vcpu->vm->store_lock);
	return ret;
}

static bool is_writable(struct vigil_vm *vm, gpa_t gpa)
{
	struct vigil_slot *slot = vigil_gfn_slot(vm, gpa >> PAGE_SHIFT);

	return slot && !(slot->flags & KVM_MEM_READONLY);
}

int pv_store(struct vigil_vcpu *vcpu, gpa_t gpa, const void *data,
	     unsigned int len)
{
	bool denied = false;
	unsigned int at, n;
	int ret;

	if (!is_writable(vcpu->vm, gpa))
		return -EINVAL;
	if (likely(!watch_gfn(vcpu->vm, gpa >> PAGE_SHIFT)))
		return gmem_write(vcpu->vm, gpa, data, len) ? -EINVAL : 0;
	for (at = 0; at < len; at += n) {
		n = min_t(unsigned int, len - at, VIGIL_EVENT_DATA);
		ret = store_piece(vcpu, gpa + at, data + at, n);
		if (ret == -EPERM)
			denied = true;
		else if (ret)
			return ret;
	}
	return denied ? -EPERM : 0;
}

/* What a monitor denies stays as it was. */
static int write_page(struct vigil_vcpu *vcpu, gpa_t gpa, bool int82)
{
	int ret = pv_store(vcpu, gpa, int82 ? page_int82 : page_hvm, PAGE_SIZE);

	return ret == -EINVAL ? ret : 0;
}

/* ---- flavours ---- */

/* Bits of an entry of pv->page[], besides those of struct vigil_hypercalls. */
#define AGAIN BIT_ULL(3) /* another vCPU has written the page meanwhile */
#define BUSY BIT_ULL(2) /* a vCPU rewrites the page */

/*
 * How often a vCPU rewrites a page at once. Each time more needs another vCPU that has
 * changed the policy in the middle.
 */
#define REWRITES 64

static bool wants_int82(const struct pv_vm *pv)
{
	return pv->flags & VIGIL_HC_INT82 && (pv->policy.iopl || pv->nr_open);
}

/* NULL: it is none of the last pages. Called under pv->lock, as the next one. */
static u64 *find(struct pv_vm *pv, gpa_t gpa)
{
	unsigned int i;

	for (i = 0; i < VIGIL_HC_PAGES; i++)
		if (pv->page[i] & VIGIL_HC_ASKED &&
		    (pv->page[i] & PAGE_MASK) == gpa)
			return &pv->page[i];
	return NULL;
}

/* Notes a page that has just been written, and drops the oldest for it. */
static void note(struct pv_vm *pv, gpa_t gpa, bool int82)
{
	u64 *old = find(pv, gpa),
	    entry = gpa | VIGIL_HC_ASKED | (int82 ? VIGIL_HC_BY_INT82 : 0);
	unsigned int i = old ? old - pv->page : VIGIL_HC_PAGES - 1;

	if (old && *old & BUSY)
		entry |= BUSY | AGAIN;
	memmove(pv->page + 1, pv->page, i * sizeof(pv->page[0]));
	pv->page[0] = entry;
}

/*
 * Is that still a hypercall page? A guest that has booted another kernel since uses the
 * memory for something else. A monitor may have denied to write some entries, so they
 * may be of both flavours.
 */
static bool is_call_page(struct vigil_vm *vm, gpa_t gpa)
{
	u8 entry[ENTRY_BYTES];
	unsigned int at;

	for (at = 0; at < PAGE_SIZE; at += ENTRY_BYTES) {
		if (gmem_read(vm, gpa + at, entry, ENTRY_BYTES))
			return false;
		if (memcmp(entry, page_hvm + at, ENTRY_BYTES) &&
		    memcmp(entry, page_int82 + at, ENTRY_BYTES))
			return false;
	}
	return true;
}

/*
 * Looks whether the page has the flavour that the policy wants. true: the caller is the
 * one that writes it as @int82 says. @mine: the caller has just written it.
 */
static bool must_write(struct pv_vm *pv, gpa_t gpa, bool mine, bool *int82)
{
	bool write = false;
	u64 *entry;

	write_seqlock(&pv->lock);
	entry = find(pv, gpa);
	if (!entry)
		goto out;
	*int82 = wants_int82(pv);
	if (!mine && *entry & BUSY) {
		/* The one that is at it looks again. */
		*entry |= AGAIN;
		goto out;
	}
	write = *entry & AGAIN || !!(*entry & VIGIL_HC_BY_INT82) != *int82;
	*entry &= ~(AGAIN | BUSY);
	if (write)
		*entry = (*entry & ~(u64)VIGIL_HC_BY_INT82) | BUSY |
			 (*int82 ? VIGIL_HC_BY_INT82 : 0);
out:
	write_sequnlock(&pv->lock);
	return write;
}

/*
 * Brings a page to the flavour that the policy wants. One vCPU at a time writes it, and
 * looks again behind that whether the policy has changed: two that write at once might
 * leave the older flavour, or parts of both. A page that the VMM has taken away since is
 * no hypercall page any more.
 */
static void settle(struct vigil_vcpu *vcpu, gpa_t gpa)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	unsigned int times;
	bool int82;
	u64 *entry;

	for (times = 0; times < REWRITES; times++) {
		if (!must_write(pv, gpa, times, &int82))
			return;
		if (!is_call_page(vcpu->vm, gpa))
			break;
		write_page(vcpu, gpa, int82);
	}
	write_seqlock(&pv->lock);
	entry = find(pv, gpa);
	if (entry)
		*entry &= ~(AGAIN | BUSY);
	write_sequnlock(&pv->lock);
}

int pv_write_page(struct vigil_vcpu *vcpu, u64 value)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	bool int82;
	int ret;

	/* The low bits say which page; there is one. */
	if (offset_in_page(value))
		return -EINVAL;
	read_seqlock_excl(&pv->lock);
	int82 = wants_int82(pv);
	read_sequnlock_excl(&pv->lock);
	ret = write_page(vcpu, value, int82);
	if (ret)
		return ret;
	write_seqlock(&pv->lock);
	note(pv, value, int82);
	write_sequnlock(&pv->lock);
	/* The policy may have changed before the page was noted. */
	settle(vcpu, value);
	return 0;
}

void pv_rewrite_pages(struct vigil_vcpu *vcpu)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	u64 pages[VIGIL_HC_PAGES];
	unsigned int i;

	if (!(pv->flags & VIGIL_HC_INT82))
		return;
	read_seqlock_excl(&pv->lock);
	memcpy(pages, pv->page, sizeof(pages));
	read_sequnlock_excl(&pv->lock);
	for (i = 0; i < VIGIL_HC_PAGES; i++)
		if (pages[i])
			settle(vcpu, pages[i] & PAGE_MASK);
}
