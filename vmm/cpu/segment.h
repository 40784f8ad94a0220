/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segments. struct kvm_segment has the attributes of a descriptor one by one; the
 * VMCB, the VMCS, the emulator and a descriptor itself have them packed: type, S, DPL
 * and P in bits 0 to 7, then AVL, L, D/B and G, from bit 8 on (VMCB, emulator) or from
 * bit 12 on (VMCS, and a descriptor from its bit 40).
 */
#ifndef VIGIL_SEGMENT_H
#define VIGIL_SEGMENT_H

#include "vmm/vcpu.h"

enum { SEG_AVL_BIT8 = 8, SEG_AVL_BIT12 = 12 };

/* @avl: where the packed form has AVL. What is said of "unusable" is the caller's. */
static __always_inline u32 segment_pack(const struct kvm_segment *s,
					unsigned int avl)
{
	return (s->type & 0xf) | (s->s & 1) << 4 | (s->dpl & 3) << 5 |
	       !!s->present << 7 | (s->avl & 1) << avl |
	       (s->l & 1) << (avl + 1) | (s->db & 1) << (avl + 2) |
	       (s->g & 1) << (avl + 3);
}

static __always_inline void segment_unpack(struct kvm_segment *s, u32 attr,
					   unsigned int avl)
{
	s->type = attr & 0xf;
	s->s = attr >> 4 & 1;
	s->dpl = attr >> 5 & 3;
	s->present = attr >> 7 & 1;
	s->avl = attr >> avl & 1;
	s->l = attr >> (avl + 1) & 1;
	s->db = attr >> (avl + 2) & 1;
	s->g = attr >> (avl + 3) & 1;
}

/* In either packed form: a data segment that is present, writable and expands up. */
static inline bool segment_stores(u32 attr)
{
	return (attr & 0x9e) == 0x92;
}

/* Segments and descriptor tables of KVM_GET_SREGS and KVM_SET_SREGS; loaded. */
void segments_get(struct vigil_vcpu *vcpu, struct kvm_sregs *sregs);
void segments_set(struct vigil_vcpu *vcpu, const struct kvm_sregs *sregs);

#endif
