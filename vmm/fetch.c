// SPDX-License-Identifier: GPL-2.0
/* Instruction fetch for the emulator and for CPUs without decode assists. */
#include <linux/uaccess.h>

#include "event.h"
#include "ioctl.h"
#include "ops.h"

/*
 * Without sleeping. A whole instruction is two overlapping loads: this is the
 * way of every exit on a CPU that reports neither bytes nor length.
 */
static bool copy_cached(u8 *buf, hva_t hva, unsigned int len)
{
	const u64 __user *from = (const u64 __user *)hva;
	const u64 __user *tail =
		(const u64 __user *)(hva + INSN_MAX_LEN - sizeof(u64));
	u64 a, b;
	bool ok;

	pagefault_disable();
	if (likely(len == INSN_MAX_LEN)) {
		ok = user_read_access_begin(from, INSN_MAX_LEN);
		if (ok) {
			unsafe_get_user(a, from, fault);
			unsafe_get_user(b, tail, fault);
			user_read_access_end();
			put_unaligned(a, (u64 *)buf);
			put_unaligned(
				b, (u64 *)(buf + INSN_MAX_LEN - sizeof(u64)));
		}
	} else {
		ok = !__copy_from_user_inatomic(buf, from, len);
	}
	pagefault_enable();
	return ok;
fault:
	user_read_access_end();
	pagefault_enable();
	return false;
}

/* the translation of an instruction's page, for as long as its cache */
static int fetch_translate(struct vigil_vcpu *vcpu, struct vigil_slots *slots,
			   gva_t la, u32 *error_code)
{
	bool user = vmm_ops->get_cpl(vcpu) == 3;
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
 * Bytes of one page at @la. The translation of the last page is kept until the
 * next TLB flush of this vCPU: the guest itself could not see another one.
 */
static int fetch_page(struct vigil_vcpu *vcpu, gva_t la, u8 *buf,
		      unsigned int len, u32 *error_code)
{
	struct vigil_slots *slots = vigil_slots(vcpu->vm);
	hva_t hva;
	int ret;

	if (vcpu->fetch.page != (la & PAGE_MASK) ||
	    vcpu->fetch.generation != slots->generation) {
		ret = fetch_translate(vcpu, slots, la, error_code);
		if (ret)
			return ret;
	}
	hva = vcpu->fetch.hva + offset_in_page(la);
	if (likely(copy_cached(buf, hva, len)))
		return 0;
	return copy_from_user(buf, (void __user *)hva, len) ? -ENOENT : 0;
}

int exit_fetch(struct vigil_vcpu *vcpu, u8 buf[15])
{
	gva_t la = vcpu->rip + vmm_ops->get_seg_base(vcpu, SEG_CS);
	unsigned int first;
	u32 error_code = 0;
	int ret;

	if (!is_long_mode(vcpu))
		la = (u32)la;
	first = min_t(unsigned int, 15, PAGE_SIZE - offset_in_page(la));
	ret = fetch_page(vcpu, la, buf, first, &error_code);
	if (ret == -EFAULT) {
		event_page_fault(vcpu, la, error_code);
		return 0;
	}
	if (ret)
		return ret;
	/* the rest only counts if the instruction is that long */
	if (first < 15 &&
	    !fetch_page(vcpu, la + first, buf + first, 15 - first, &error_code))
		return 15;
	return first;
}

/* the second page of an instruction that crosses: fault as the CPU would */
int fetch_fault_next(struct vigil_vcpu *vcpu)
{
	gva_t la = vcpu->rip + vmm_ops->get_seg_base(vcpu, SEG_CS);
	u32 error_code = 0;
	u8 byte;
	int ret;

	if (!is_long_mode(vcpu))
		la = (u32)la;
	la = (la & PAGE_MASK) + PAGE_SIZE;
	ret = fetch_page(vcpu, la, &byte, 1, &error_code);
	if (ret == -EFAULT)
		event_page_fault(vcpu, la, error_code);
	return ret == -EFAULT ? 1 : ret;
}
