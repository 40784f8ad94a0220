// SPDX-License-Identifier: GPL-2.0
/* The hypercall page: 128 entry points of 32 bytes. */
#include <linux/types.h>
#include <xen/interface/xen.h>

#include "pv.h"
#include "vmm/host.h"
#include "vmm/mem/gmem.h"
#include "vmm/mem/watched.h"
#include "vmm/monitor/watch.h"

#define ENTRY_BYTES 32
#define NR_ENTRIES (PAGE_SIZE / ENTRY_BYTES)

static u8 page[PAGE_SIZE] __ro_after_init;

/* Each entry is: mov eax, number; the hypercall; ret. What is between is INT3. */
void __init pv_init(void)
{
	const u8 call = host_info.amd ? 0xd9 : 0xc1;
	unsigned int nr;
	u8 *p = page;

	memset(page, 0xcc, sizeof(page));
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
		p[5] = 0x0f;
		p[6] = 0x01;
		p[7] = call;
		p[8] = 0xc3;
	}
}

/*
 * A page with watches is stored in pieces of an event's size, each told and decided
 * for itself. No instruction stores them, so none is held.
 */
static int write_watched(struct vigil_vcpu *vcpu, gpa_t gpa)
{
	u8 old[VIGIL_EVENT_DATA];
	struct watch_store st = {
		.len = sizeof(old),
		.by_walk = true,
		.old = old,
	};
	unsigned int at;
	int ret = 0;

	if (mutex_lock_killable(&vcpu->vm->store_lock))
		return 0;
	for (at = 0; at < PAGE_SIZE && !ret; at += sizeof(old)) {
		st.gpa = gpa + at;
		st.new_ = page + at;
		ret = gmem_read(vcpu->vm, st.gpa, old, sizeof(old));
		if (!ret && watch_store(vcpu, &st) == WATCH_GO)
			ret = gmem_write(vcpu->vm, st.gpa, page + at,
					 sizeof(old));
	}
	mutex_unlock(&vcpu->vm->store_lock);
	return ret ? -EINVAL : 0;
}

int pv_write_page(struct vigil_vcpu *vcpu, u64 value)
{
	struct vigil_slot *slot;

	/* The low bits say which page; there is one. */
	if (offset_in_page(value))
		return -EINVAL;
	slot = vigil_gfn_slot(vcpu->vm, value >> PAGE_SHIFT);
	if (!slot || (slot->flags & KVM_MEM_READONLY))
		return -EINVAL;
	if (unlikely(watch_gfn(vcpu->vm, value >> PAGE_SHIFT)))
		return write_watched(vcpu, value);
	return gmem_write(vcpu->vm, value, page, sizeof(page)) ? -EINVAL : 0;
}
