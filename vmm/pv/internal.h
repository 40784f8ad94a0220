/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of vmm/pv/ share. */
#ifndef VIGIL_PV_INTERNAL_H
#define VIGIL_PV_INTERNAL_H

#include "pv.h"

/**
 * struct pv_call - one hypercall
 * @nr:		its number
 * @arg:	its arguments; a 32-bit caller has five
 * @wide:	the caller runs 64-bit code
 * @cpl:	of the caller
 */
struct pv_call {
	u64 nr;
	u64 arg[6];
	bool wide;
	u8 cpl;
};

/* What a call's function answers, besides a result of 0 or a negative errno. */
enum { CALL_TO_USER = 1, CALL_AGAIN, CALL_LEAVE };

/* ---- call.c ---- */
/* Called before guest memory is looked at. */
void pv_mem_begin(struct vigil_vcpu *vcpu);
/*
 * Copies from the caller's memory, with its rights. 0; -EFAULT; CALL_AGAIN: the guest
 * executes the instruction again.
 */
int pv_copy_in(struct vigil_vcpu *vcpu, u64 la, void *buf, unsigned int len);

/* ---- trap.c ---- */
/* The calls of VIGIL_HC_TRAPS. 0 and below: the result. Else CALL_*. */
int pv_trap_call(struct vigil_vcpu *vcpu, const struct pv_call *call);

#endif
