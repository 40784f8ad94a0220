/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM and a vCPU keep for paravirtual guests. */
#ifndef VIGIL_PV_TYPES_H
#define VIGIL_PV_TYPES_H

#include <linux/seqlock.h>
#include <linux/types.h>

/* Who may make hypercalls: fields as in struct vigil_hypercalls. */
struct pv_policy {
	u64 user;
	u8 iopl;
	u8 refuse;
};

#define PV_PAGES 4

struct pv_vm {
	seqlock_t lock; /* of all of it; its holder waits for nothing */
	/* changed under [m] too, as long as there is no vCPU; then [I] */
	u32 flags; /* VIGIL_HC_*; 0: not paravirtual */
	u32 msr;
	u8 max_iopl;
	u64 kernel;
	u64 user_max;
	struct pv_policy policy; /* changes at any time, as all below */
	u32 generation; /* of policies that vCPUs have of their own */
	/* vCPUs that have opened hypercalls to user mode by a policy of their own */
	u32 nr_open;
	u64 page[PV_PAGES]; /* the last hypercall pages, the newest first; 0: none */
};

/* Bytes of guest memory that a hypercall stores. */
struct pv_out {
	u64 la;
	u8 data[16];
	u8 len, done;
};

/* [v] */
struct pv_vcpu {
	bool own; /* policy counts, if generation is the VM's */
	u32 generation;
	struct pv_policy policy;
	/* the hypercall under way, while a monitor holds one of its stores */
	struct pv_out out[2];
	u8 nr_out, next_out;
	s64 result;
	u64 entry_la; /* where a multicall's entry has its result */
	u8 len; /* of the instruction */
	bool wide; /* the caller runs 64-bit code */
	bool multi; /* an entry of a multicall */
	bool rewrite; /* pages, when the instruction that is under way has ended */
};

#endif
