// SPDX-License-Identifier: GPL-2.0
/* Instruction fetch for the emulator and for CPUs without decode assists. */
#include <linux/uaccess.h>

#include "fetch.h"
#include "shadow/shadow.h"
#include "vmm/cpu/inject.h"
#include "vmm/ops.h"

/*
 * Copies a whole instruction by two overlapping loads, without sleeping. Each
 * exit that needs the bytes comes here, on a CPU that reports neither bytes nor
 * length.
 */
static __always_inline bool copy_whole(u8 *buf, hva_t hva)
{
	const u64 __user *from = (const u64 __user *)hva;
	const u64 __user *tail =
		(const u64 __user *)(hva + INSN_MAX_LEN - sizeof(u64));
	u64 a, b;

	pagefault_disable();
	if (!user_read_access_begin(from, INSN_MAX_LEN))
		goto out;
	unsafe_get_user(a, from, fault);
	unsafe_get_user(b, tail, fault);
	user_read_access_end();
	pagefault_enable();
	put_unaligned(a, (u64 *)buf);
	put_unaligned(b, (u64 *)(buf + INSN_MAX_LEN - sizeof(u64)));
	return true;
fault:
	user_read_access_end();
out:
	pagefault_enable();
	return false;
}

static noinline int translate_page(struct vigil_vcpu *vcpu,
				   struct vigil_slots *slots, gva_t la,
				   u32 *error_code)
{
	bool user = vmm_call(get_cpl)(vcpu) == 3;
	struct vigil_slot *slot;
	gpa_t gpa;
	gfn_t gfn;
	int ret;

	if (!shadow_fetched_gfn(vcpu, la, user, &gfn)) {
		ret = shadow_gva_to_gpa(vcpu, la,
					PFERR_I | (user ? PFERR_U : 0), true,
					&gpa, error_code);
		if (ret)
			return ret;
		gfn = gpa >> PAGE_SHIFT;
	}
	slot = vigil_slot_of(slots, gfn);
	if (!slot)
		return -ENOENT;
	vcpu->fetch.page = la & PAGE_MASK;
	vcpu->fetch.hva = vigil_slot_hva(slot, gfn);
	vcpu->fetch.generation = slots->generation;
	return 0;
}

/*
 * Finds the user address of @la. The translation of the last page is kept until
 * this vCPU's next TLB flush: until then the guest itself could not see another
 * one.
 */
static __always_inline int fetch_hva(struct vigil_vcpu *vcpu, gva_t la,
				     hva_t *hva, u32 *error_code)
{
	struct vigil_slots *slots = vigil_slots(vcpu->vm);
	int ret;

	if (unlikely(vcpu->fetch.page != (la & PAGE_MASK) ||
		     vcpu->fetch.generation != slots->generation)) {
		ret = translate_page(vcpu, slots, la, error_code);
		if (ret)
			return ret;
	}
	*hva = vcpu->fetch.hva + offset_in_page(la);
	return 0;
}

/* Fetches the bytes in one page. */
static int fetch_part(struct vigil_vcpu *vcpu, gva_t la, u8 *buf,
		      unsigned int len, u32 *error_code)
{
	hva_t hva;
	int ret = fetch_hva(vcpu, la, &hva, error_code);

	if (ret)
		return ret;
	return copy_from_user(buf, (void __user *)hva, len) ? -ENOENT : 0;
}

static gva_t fetch_address(struct vigil_vcpu *vcpu)
{
	gva_t la = vcpu->rip + vmm_call(get_seg_base)(vcpu, SEG_CS);

	return is_long_mode(vcpu) ? la : (u32)la;
}

/*
 * Fetches an instruction that may cross into the next page, or whose page has
 * to be brought in first.
 */
static noinline int fetch_slow(struct vigil_vcpu *vcpu, gva_t la, hva_t hva,
			       u8 *buf)
{
	unsigned int first = min_t(unsigned int, INSN_MAX_LEN,
				   PAGE_SIZE - offset_in_page(la));
	u32 error_code;

	if (copy_from_user(buf, (void __user *)hva, first))
		return -ENOENT;
	/*
	 * The second page matters only if the instruction reaches it: its fault
	 * is no error here.
	 */
	if (first < INSN_MAX_LEN &&
	    !fetch_part(vcpu, la + first, buf + first, INSN_MAX_LEN - first,
			&error_code))
		return INSN_MAX_LEN;
	return first;
}

int exit_fetch(struct vigil_vcpu *vcpu, u8 buf[15])
{
	gva_t la = fetch_address(vcpu);
	u32 error_code = 0;
	hva_t hva;
	int ret;

	ret = fetch_hva(vcpu, la, &hva, &error_code);
	if (unlikely(ret)) {
		if (ret != -EFAULT)
			return ret;
		event_page_fault(vcpu, la, error_code);
		return 0;
	}
	if (likely(offset_in_page(la) <= PAGE_SIZE - INSN_MAX_LEN &&
		   copy_whole(buf, hva)))
		return INSN_MAX_LEN;
	return fetch_slow(vcpu, la, hva, buf);
}

/* Raises the fault of an instruction's second page, as the CPU would. */
int fetch_fault_next(struct vigil_vcpu *vcpu)
{
	gva_t la = (fetch_address(vcpu) & PAGE_MASK) + PAGE_SIZE;
	u32 error_code = 0;
	u8 byte;
	int ret;

	ret = fetch_part(vcpu, la, &byte, 1, &error_code);
	if (ret == -EFAULT)
		event_page_fault(vcpu, la, error_code);
	return ret == -EFAULT ? 1 : ret;
}
