/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM and a vCPU keep for paravirtual guests. */
#ifndef VIGIL_PV_TYPES_H
#define VIGIL_PV_TYPES_H

#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/seqlock.h>
#include <linux/types.h>

#include "uapi/vigil.h"

/* Who may make hypercalls: fields as in struct vigil_hypercalls. */
struct pv_policy {
	u64 user;
	u8 iopl;
	u8 refuse;
};

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
	u64 page[VIGIL_HC_PAGES]; /* as in struct vigil_hypercalls */
	/* why a delivery has ended the VM: bounce.c */
	unsigned long ended; /* [a] bit 0: words are being written, or there */
	char words[160];
};

/* ---- tables of the VMM ---- */

#define PV_VECTORS 256
/* Pages of the GDT: 14 that the guest fills, and one of the VMM's. */
#define PV_GDT_PAGES 15
#define PV_GDT_GUEST_PAGES 14
#define PV_GDT_ENTRIES (PV_GDT_GUEST_PAGES * 512)
/* Pages of a vCPU's part of the window, behind those of the GDT. */
enum { PV_IDT_PAGE = PV_GDT_PAGES, PV_TSS_PAGE, PV_TABLE_PAGES };

/* A handler as set_trap_table presents it. */
struct pv_trap {
	u64 ip;
	u16 cs;
	u8 dpl;
	bool masks; /* events are masked in the handler: RFLAGS.IF is clear */
};

struct pv_traps {
	struct pv_trap trap[PV_VECTORS];
	DECLARE_BITMAP(there, PV_VECTORS);
};

/* Vectors of the VMM's, whose gates lead to callbacks. */
enum {
	PV_VECTOR_FIRST = 0xf3,
	PV_VECTOR_EVENT = PV_VECTOR_FIRST,
	PV_VECTOR_SYSCALL32,
	PV_VECTOR_SYSCALL,
	PV_VECTOR_SYSENTER,
	PV_VECTOR_LAST = PV_VECTOR_SYSENTER,
};

/* Kinds of callbacks: Xen's CALLBACKTYPE_* are below. */
#define PV_CALLBACKS 8

/**
 * struct pv_tables - the tables that a vCPU's CPU uses instead of the guest's own [v]
 * @page:	GDT, IDT and TSS, in the order of the window
 * @traps:	handlers that the gates lead to
 * @presented:	a table that is being checked
 * @fast:	vectors whose gates let INT n through without an exit
 * @callback:	by CALLBACKTYPE_*; without a code segment there is none
 * @gdt_frame:	where set_gdt has copied the GDT's pages from: the guest-physical
 *		address, and bit 0; 0: from nowhere
 * @own:	what the guest has loaded itself
 */
struct pv_tables {
	void *page[PV_TABLE_PAGES];
	struct pv_traps traps;
	struct pv_traps presented;
	DECLARE_BITMAP(fast, PV_VECTORS);
	struct pv_trap callback[PV_CALLBACKS];
	u64 gdt_frame[PV_GDT_GUEST_PAGES];
	struct {
		struct kvm_dtable idt, gdt;
		struct kvm_segment tr, ldt;
		u64 sysenter_cs;
	} own;
};

/* Bytes of guest memory that a hypercall stores. */
struct pv_out {
	u64 la;
	u8 data[16];
	u8 len, done;
};

struct pv_change;

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
	/* what it changes, checked and copied: control.c */
	union {
		struct vigil_iopl iopl;
		struct {
			u64 ss, sp;
		} stack;
		u64 vector;
		struct {
			unsigned int entries; /* of @gdt below */
			u64 frame[PV_GDT_GUEST_PAGES];
		} gdt;
		struct {
			u64 gpa, value;
		} desc;
		struct {
			unsigned int n;
			u8 type[3];
			struct pv_trap to[3];
		} callback;
	} arg;
	u64 *gdt; /* of set_gdt, or NULL */
	/* only while a monitor is asked */
	const struct pv_change *change; /* NULL: about the call itself */
	struct pv_call asked; /* that call */
	struct vigil_pv_trap *told; /* vectors that change, or NULL */
	/* tables.c */
	bool in_force; /* the CPU uses @tables */
	struct pv_tables *tables; /* NULL before the first set_trap_table */
	/* bounce.c */
	u16 bounce; /* the emulator delivers INT n of this vector + 1, whatever its DPL */
	u8 cut_vector; /* of an INT n whose delivery the last exit cut short */
	u64 cut_exit; /* vcpu->stat.exits of that exit */
	struct vigil_trap_end
		end; /* why 0: no trap of this vCPU has ended the VM */
};

#endif
