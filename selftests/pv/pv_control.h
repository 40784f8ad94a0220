/* SPDX-License-Identifier: GPL-2.0 */
/* The guest of the tests of control events: its kernel presents tables from ring 1. */
#ifndef SELFTESTS_PV_CONTROL_H
#define SELFTESTS_PV_CONTROL_H

#include "ctl_mon.h"
#include "pv_traps.h"

/* ---- what the guest does ---- */

/* A guest whose kernel is in ring 1 and has stopped there. */
static inline struct vcpu *in_ring1(enum mode mode)
{
	struct vcpu *v = START_AT(mode, 1, stop);

	EXPECT(v, STOP_END);
	return v;
}

/* INT 0x80 from ring 1: which handler has run? */
static inline void expect_handler(struct vcpu *v, bool fast)
{
	struct kvm_regs r;

	wr64(v->vm, T_FAST, 0);
	wr64(v->vm, T_SLOW, 0);
	get_regs(v, &r);
	r.rip = AT(v, fast);
	set_regs(v, &r);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), fast);
	CHECK_EQ(rd32(v->vm, T_SLOW), !fast);
}

/* The second table: INT 0x80 leads to the other handler, INT 0x81 stays as it is. */
static inline int64_t present_second(struct vcpu *v)
{
	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	entry(v, T_TABLE2, 1, 0x81, 3, ring1_cs(v), AT(v, on_slow));
	return call_from_ring1(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
}

static inline uint64_t fast_bits(struct vcpu *v, unsigned int word)
{
	static struct vigil_pv_trap traps[PV_TRAPS];
	static uint64_t descriptors[PV_GDT];
	struct vigil_pv pv = pv_room(traps, NULL, descriptors);

	REQUIRE_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	return pv.fast[word];
}

#endif
