/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that runs script.inc, and has an address of its own to map pages at. */
#ifndef SELFTESTS_WATCH_SCRIPTED_H
#define SELFTESTS_WATCH_SCRIPTED_H

#include "../guest/script.h"
#include "mon.h"

DECLARE_PAYLOAD(script32);
DECLARE_PAYLOAD(script64);
DECLARE_LABEL(script32, pf);
DECLARE_LABEL(script64, pf);

#define FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define FRAME(n) (GUEST_HIGH + (uint64_t)(n)*0x1000)
#define NO_FAULT 0xffffffff
#define SCRIPT_PF 14

static struct pt pt;
/* Nothing else uses the tables of this address. */
static uint64_t va;

static inline bool script_64(enum mode m)
{
	return m == M_LONG || m == M_LA57;
}

/* Has the guest do one thing. Returns NO_FAULT, or the error code of its page fault. */
static inline uint32_t op(struct vcpu *v, unsigned int what, uint64_t a,
			  uint64_t b)
{
	wr64(v->vm, S_OP, what);
	wr64(v->vm, S_A, a);
	wr64(v->vm, S_B, b);
	EXPECT(v, STOP_SYNC);
	return rd32(v->vm, S_FAULT);
}

/* The guest writes an entry of its tables, through the identity mapping. */
static inline void set_entry(struct vcpu *v, uint64_t gpa, uint64_t e)
{
	CHECK_EQ(op(v, pt.entry_size == 4 ? OP_W32 : OP_W64, gpa, e), NO_FAULT);
}

/* @va_long: @va in long mode; @cr0: bits of CR0 that the guest has besides, if it pages. */
static inline struct vcpu *start_script(enum mode m, uint64_t va_long,
					uint64_t cr0)
{
	struct kvm_sregs s;
	struct vcpu *v;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = script_64(m) ? START(m, script64) : START(m, script32);
	va = m == M_LA57 ? 0x100a0a0000000 : m == M_LONG ? va_long : 0xa0000000;
	if (mode_paged(m)) {
		idt_gate(v->vm, m, SCRIPT_PF,
			 script_64(m) ? LABEL_AT(script64, pf) :
					LABEL_AT(script32, pf),
			 script_64(m) ? SEL_CODE64 : SEL_CODE32, 0xe, 0);
		v->vm->pt_next = GUEST_PT;
		pt_init(&pt, v->vm, m);
		pt_identity(&pt, 0, v->vm->ram_size,
			    PTE_W | PTE_U | PTE_A | PTE_D);
		pt_entry(&pt, va, 1);
		get_sregs(v, &s);
		s.cr0 |= cr0;
		s.cr3 = pt.root;
		if (m == M_PSE)
			s.cr4 |= CR4_PSE;
		set_sregs(v, &s);
	}
	EXPECT(v, STOP_SYNC);
	return v;
}

#endif
