/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of kernels in ring 1 share. Each case puts a vCPU straight into ring 1 or
 * ring 3, with tables of the VMM in force.
 */
#ifndef SELFTESTS_RING1_H
#define SELFTESTS_RING1_H

#include "pv_calls.h"
#include "../watch/mon.h"

#define NR_SET_TRAP_TABLE 0
#define NR_SET_GDT 2
#define NR_SET_CALLBACKS 4
#define NR_UPDATE_DESCRIPTOR 10
#define NR_IRET 23
#define NR_CALLBACK_OP 30

enum { REGISTER, UNREGISTER };
enum { EVENT, FAILSAFE, SYSCALL, NMI_TYPE = 4, SYSENTER, SYSCALL32 = 7 };
#define MASK_EVENTS 1

#define RING1_CS32 0xe019
#define RING1_DS32 0xe021
#define IOPL1 (1u << 12)
#define SP1 GUEST_STACK
#define IN_SYSCALL 0x100
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_SYSENTER_EIP 0x176
#define CANONICAL_END 0x800000000000

DECLARE_PAYLOAD(ring132);
DECLARE_PAYLOAD(ring164);
#define AT(v, l)                                                              \
	({                                                                    \
		extern const char pl_ring132_##l[], pl_ring164_##l[];         \
		GUEST_CODE + (uint64_t)(is_wide(v) ?                          \
						pl_ring164_##l - pl_ring164 : \
						pl_ring132_##l - pl_ring132); \
	})

static const struct vigil_hypercalls policy = {
	.flags = VIGIL_HC_PAGE | VIGIL_HC_TRAPS,
	.msr = MSR_PAGE,
	.kernel = 1ull << NR_SET_TRAP_TABLE | 1ull << NR_SET_GDT |
		  1ull << NR_SET_CALLBACKS | 1ull << NR_UPDATE_DESCRIPTOR |
		  1ull << NR_IRET | 1ull << NR_CALLBACK_OP |
		  1ull << NR_MULTICALL,
};

static inline uint16_t ring1_cs(const struct vcpu *v)
{
	return is_wide(v) ? VIGIL_RING1_CS64 : RING1_CS32;
}

static inline uint16_t ring1_ds(const struct vcpu *v)
{
	return is_wide(v) ? VIGIL_RING1_DS64 : RING1_DS32;
}

static inline uint16_t ring3_cs(const struct vcpu *v)
{
	return is_wide(v) ? SEL_UCODE64 : SEL_UCODE32;
}

/* ---- state ---- */

static struct vigil_pv_trap traps[PV_TRAPS], callbacks[PV_CALLBACKS];
static uint64_t gdt[PV_GDT];

static inline struct vigil_pv room(void)
{
	return pv_room(traps, callbacks, gdt);
}

static inline void get_pv(struct vcpu *v, struct vigil_pv *pv)
{
	*pv = room();
	REQUIRE_EQ(ioctl(v->fd, VIGIL_GET_PV, pv), 0);
}

static inline void put_trap(const struct vcpu *v, unsigned int n,
			    unsigned int vector, uint64_t ip)
{
	traps[n] = (struct vigil_pv_trap){
		.vector = vector,
		.flags = 4,
		.cs = ring1_cs(v),
		.ip = ip,
	};
}

/* The guest's GDT lies in its memory: what ring 1 and ring 3 may have of it. */
static inline unsigned int copy_gdt(struct vcpu *v)
{
	static const uint16_t open[] = { SEL_UCODE32, SEL_UDATA, SEL_UCODE64 };
	unsigned int i;

	memset(gdt, 0, sizeof(gdt));
	for (i = 0; i < ARRAY_SIZE(open); i++)
		if (is_wide(v) || open[i] != SEL_UCODE64)
			gdt[open[i] / 8] =
				rd64(v->vm, GUEST_GDT + (open[i] & ~7));
	return SEL_FREE / 8;
}

/* A vCPU that has called set_trap_table, with the handlers of the payload. */
static inline struct vcpu *begin(enum mode mode)
{
	struct vcpu *v = pv_start(mode, &policy);
	struct vigil_pv pv = room();

	vm_load_at(v->vm, GUEST_CODE, is_wide(v) ? pl_ring164 : pl_ring132,
		   is_wide(v) ? pl_ring164_end : pl_ring132_end);
	put_trap(v, 0, NMI, AT(v, on_nmi_trap));
	put_trap(v, 1, DB, AT(v, on_db));
	put_trap(v, 2, UD, AT(v, on_ud));
	put_trap(v, 3, GP, AT(v, on_gp));
	put_trap(v, 4, PF, AT(v, on_pf));
	pv.flags = VIGIL_PV_TABLES | (is_wide(v) ? VIGIL_PV_LONG : 0);
	pv.kernel_ss = is_wide(v) ? 0 : RING1_DS32;
	pv.kernel_sp = GUEST_STACK0;
	pv.nr_traps = 5;
	pv.nr_gdt = copy_gdt(v);
	pv.nr_callbacks = 0;
	REQUIRE_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
	return v;
}

/* Puts the vCPU at @rip in @ring. Registers that it does not name keep their value. */
static inline void go_to(struct vcpu *v, unsigned int ring, uint64_t rip)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = rip;
	r.rsp = ring == 3 ? GUEST_USTACK : SP1;
	r.rflags = RFLAGS_1 | RFLAGS_IF | RFLAGS_IOPL;
	set_regs(v, &r);
	vcpu_ring_sregs(v, &s);
	s.cs.selector = ring == 3 ? ring3_cs(v) : ring1_cs(v);
	s.ss.selector = ring == 3 ? SEL_UDATA : ring1_ds(v);
	s.cs.dpl = s.ss.dpl = ring;
	s.ds.selector = s.es.selector = SEL_UDATA;
	s.ds.dpl = s.es.dpl = 3;
	set_sregs(v, &s);
}

static inline struct vcpu *begin_at(enum mode mode, unsigned int ring)
{
	struct vcpu *v = begin(mode);

	go_to(v, ring, 0);
	return v;
}

#define START_AT(mode, ring, label)             \
	({                                      \
		struct vcpu *v_ = begin(mode);  \
		go_to(v_, ring, AT(v_, label)); \
		v_;                             \
	})

/* Runs the program at @rip to its end, in ring 1, with @si in RSI. */
static inline uint64_t run1(struct vcpu *v, uint64_t rip, uint64_t si)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = rip;
	r.rsi = si;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	return r.rsi;
}

/* A hypercall of ring 1. */
static inline int64_t call1(struct vcpu *v, uint64_t nr, uint64_t a, uint64_t b,
			    uint64_t c, uint64_t d)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = AT(v, call);
	r.rax = nr;
	if (is_wide(v)) {
		r.rdi = a;
		r.rsi = b;
		r.rdx = c;
	} else {
		r.rbx = a;
		r.rcx = b;
		r.rdx = c;
		r.rsi = d;
	}
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	return result(v);
}

/* The words on the stack of a handler, the top first. */
struct frame {
	uint64_t w[10];
};

/* The kernel is entered at @rip. What is on its stack goes to @f. */
static inline void entered(struct vcpu *v, uint64_t rip, struct frame *f,
			   const char *file, int line)
{
	unsigned int i;
	struct kvm_sregs s;
	struct kvm_regs r;

	vcpu_expect(v, STOP_SYNC, file, line);
	vcpu_settle(v);
	get_regs(v, &r);
	get_sregs(v, &s);
	if (r.rip != rip + 2)
		FAIL("%s:%d: at %#llx, not %#llx", file, line,
		     (unsigned long long)r.rip - 2, (unsigned long long)rip);
	CHECK_EQ(s.cs.selector, ring1_cs(v));
	for (i = 0; i < ARRAY_SIZE(f->w); i++)
		f->w[i] = is_wide(v) ? rd64(v->vm, r.rsp + 8 * i) :
				       rd32(v->vm, r.rsp + 4 * i);
}
#define ENTERED(v, label, f) entered(v, AT(v, label), f, __FILE__, __LINE__)

static inline bool if_set(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	return r.rflags & RFLAGS_IF;
}

static inline uint64_t exits(struct vcpu *v)
{
	return mon_stat(v->vm->fd, "exits") - mon_stat(v->vm->fd, "exits_irq") -
	       mon_stat(v->vm->fd, "exits_nmi");
}

/* ---- callbacks ---- */

/* callback_op from ring 1. */
static inline int64_t callback(struct vcpu *v, unsigned int op,
			       unsigned int type, unsigned int flags,
			       uint16_t cs, uint64_t ip)
{
	uint64_t first = type | flags << 16;

	if (!is_wide(v))
		first |= (uint64_t)cs << 32;
	wr64(v->vm, GUEST_DATA, first);
	wr64(v->vm, GUEST_DATA + 8, ip);
	return call1(v, NR_CALLBACK_OP, op, GUEST_DATA, 0, 0);
}

static inline void set_callback(struct vcpu *v, unsigned int type,
				unsigned int flags, uint64_t ip)
{
	go_to(v, 1, 0);
	CHECK_EQ(callback(v, REGISTER, type, flags, ring1_cs(v), ip), 0);
}

#define CASE_RING1(n, f)                                               \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
	{                                                              \
		n " (long)", f, M_LONG                                 \
	}

#endif
