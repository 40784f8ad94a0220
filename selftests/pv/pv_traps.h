/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of trap tables share: a guest whose kernel presents its tables and goes
 * to ring 1 or 3, which is in guest/traps.inc, and how such a VM ends.
 */
#ifndef SELFTESTS_PV_TRAPS_H
#define SELFTESTS_PV_TRAPS_H

#include <stdio.h>
#include <unistd.h>

#include "pv_calls.h"
#include "../guest/traps.h"
#include "../watch/mon.h"

#define NR_SET_TRAP_TABLE 0
#define NR_SET_GDT 2
#define NR_STACK_SWITCH 3
#define NR_SET_FAST_TRAP VIGIL_HYPERVISOR_set_fast_trap

#define RING1_CS32 0xe019
#define RING1_DS32 0xe021
#define FREE_RING1 (SEL_FREE | 1)
#define MASKS 4

DECLARE_PAYLOAD(traps32);
DECLARE_PAYLOAD(traps64);
/* A label that both widths have, and its address. */
#define DECLARE(l) extern const char pl_traps32_##l[], pl_traps64_##l[];
#define AT(v, l)                                                              \
	(GUEST_CODE + (is_wide(v) ? (uint64_t)(pl_traps64_##l - pl_traps64) : \
				    (uint64_t)(pl_traps32_##l - pl_traps32)))
DECLARE(fast)
DECLARE(many)
DECLARE(slow)
DECLARE(ud)
DECLARE(int3)
DECLARE(closed)
DECLARE(again)
DECLARE(lidt)
DECLARE(touch)
DECLARE(look)
DECLARE(store)
DECLARE(call)
DECLARE(system)
DECLARE(quiet)
DECLARE(any)
DECLARE(stop)
DECLARE(lgdt)
DECLARE(lldt)
DECLARE(ltr)
DECLARE(paging)
DECLARE(pae)
DECLARE(load)
DECLARE(wait)
DECLARE(on_fast)
DECLARE(on_slow)
DECLARE(on_again)
DECLARE(on_skip)
DECLARE(on_skip_error)
DECLARE(on_page)

static const struct vigil_hypercalls policy = {
	.flags = VIGIL_HC_PAGE | VIGIL_HC_TRAPS,
	.msr = MSR_PAGE,
	.kernel = 1ull << NR_SET_TRAP_TABLE | 1ull << NR_SET_GDT |
		  1ull << NR_STACK_SWITCH | 1ull << NR_SET_FAST_TRAP |
		  1ull << NR_MULTICALL,
};

static inline uint16_t ring1_cs(const struct vcpu *v)
{
	return is_wide(v) ? VIGIL_RING1_CS64 : RING1_CS32;
}

static inline unsigned int ring1_code(const struct vcpu *v)
{
	return D_P | D_S | D_TYPE(0xb) | D_DPL(1) | D_G |
	       (is_wide(v) ? D_L : D_DB);
}

/* Writes entry @n of the table at @table, and ends the table behind it. */
static inline void entry(struct vcpu *v, uint64_t table, unsigned int n,
			 unsigned int vector, unsigned int flags, uint16_t cs,
			 uint64_t ip)
{
	uint64_t first = vector | flags << 8 | (uint64_t)cs << 16;

	if (is_wide(v)) {
		wr64(v->vm, table + n * 16, first);
		wr64(v->vm, table + n * 16 + 8, ip);
		wr64(v->vm, table + n * 16 + 24, 0);
	} else {
		wr64(v->vm, table + n * 8, first | ip << 32);
		wr64(v->vm, table + n * 8 + 8, 0);
	}
}

/* The usual table, and room for @n more entries behind it. */
static inline unsigned int usual_table(struct vcpu *v)
{
	uint16_t cs = ring1_cs(v);
	unsigned int n = 0;

	entry(v, T_TABLE, n++, 0x80, 3, cs, AT(v, on_fast));
	entry(v, T_TABLE, n++, 0x81, 3, cs, AT(v, on_slow));
	entry(v, T_TABLE, n++, 0x83, 3, cs, AT(v, on_again));
	/* not for ring 3 */
	entry(v, T_TABLE, n++, 0x84, 1, cs, AT(v, on_slow));
	entry(v, T_TABLE, n++, UD, 0, cs, AT(v, on_skip));
	entry(v, T_TABLE, n++, BP, 3, cs, AT(v, on_skip));
	entry(v, T_TABLE, n++, GP, MASKS, cs, AT(v, on_skip_error));
	entry(v, T_TABLE, n++, PF, MASKS, cs, AT(v, on_page));
	return n;
}

static inline struct vcpu *begin_with(enum mode mode,
				      const struct vigil_hypercalls *h)
{
	struct vcpu *v = pv_start(mode, h);

	vm_load_at(v->vm, GUEST_CODE, is_wide(v) ? pl_traps64 : pl_traps32,
		   is_wide(v) ? pl_traps64_end : pl_traps32_end);
	/* The pool above is not the guest's data: it begins with 0. */
	memset(vm_ram(v->vm, GUEST_DATA, 0x4000), 0, 0x4000);
	usual_table(v);
	wr64(v->vm, T_STACK, is_wide(v) ? VIGIL_RING1_DS64 : RING1_DS32);
	wr64(v->vm, T_STACK + 8, GUEST_STACK0);
	wr64(v->vm, T_VECTOR, 0x80);
	wr64(v->vm, T_SKIPPED, 2);
	return v;
}

static inline struct vcpu *begin(enum mode mode)
{
	return begin_with(mode, &policy);
}

/* Has the guest present its tables. It stands in ring 0 before its IRET then. */
static inline void present(struct vcpu *v)
{
	EXPECT(v, STOP_SYNC);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT), 0);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 8), 0);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 16), 0);
}

/* The frame that leads from ring 0 to @rip in @ring. */
static inline void leave_to(struct vcpu *v, unsigned int ring, uint64_t rip)
{
	bool wide = is_wide(v);

	wr64(v->vm, T_RIP0, rip);
	wr64(v->vm, T_FLAGS0, RFLAGS_1 | RFLAGS_IF | RFLAGS_IOPL);
	if (ring == 3) {
		wr64(v->vm, T_CS0, wide ? SEL_UCODE64 : SEL_UCODE32);
		wr64(v->vm, T_SS0, SEL_UDATA);
		wr64(v->vm, T_SP0, GUEST_USTACK);
	} else {
		wr64(v->vm, T_CS0, ring1_cs(v));
		wr64(v->vm, T_SS0, wide ? VIGIL_RING1_DS64 : RING1_DS32);
		wr64(v->vm, T_SP0, GUEST_STACK0 - 0x800);
	}
}

static inline struct vcpu *begin_at(enum mode mode, unsigned int ring)
{
	struct vcpu *v = begin(mode);

	present(v);
	leave_to(v, ring, 0);
	return v;
}

#define START_AT(mode, ring, label)                     \
	({                                              \
		struct vcpu *v_ = begin_at(mode, ring); \
		wr64(v_->vm, T_RIP0, AT(v_, label));    \
		v_;                                     \
	})

static inline uint64_t exits(struct vcpu *v)
{
	/* Interrupts of the host are not the guest's doing. */
	return mon_stat(v->vm->fd, "exits") - mon_stat(v->vm->fd, "exits_irq") -
	       mon_stat(v->vm->fd, "exits_nmi");
}

/* What the VMM has changed in the guest's tables counts from here on. */
static inline void set_sregs_here(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	set_sregs(v, &s);
}

/* Why the VM has ended, in words. */
static inline const char *end_words(const struct vcpu *v)
{
	static char words[256];
	char path[64], line[256];
	struct vigil_vm_info info;
	int mon = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	FILE *f;

	if (mon < 0)
		ERROR("VIGIL_CREATE_MONITOR: errno %d", errno);
	REQUIRE_EQ(ioctl(mon, VIGIL_GET_INFO, &info), 0);
	close(mon);
	snprintf(path, sizeof(path), "/sys/kernel/debug/vigil/%u/info",
		 info.id);
	f = fopen(path, "r");
	if (!f)
		ERROR("%s: errno %d", path, errno);
	words[0] = 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "dead ", 5))
			snprintf(words, sizeof(words), "%.*s",
				 (int)strcspn(line + 5, "\n"), line + 5);
	fclose(f);
	return words;
}

/* The VM ends, and says why. It stays so. */
static inline void expect_end(struct vcpu *v, unsigned int why,
			      unsigned int vector, uint32_t fault,
			      const char *words)
{
	struct vigil_trap_end end;

	EXPECT(v, STOP_ERRNO);
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	CHECK_EQ(v->run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
	CHECK_EQ(v->run->internal.ndata, 9);
	memcpy(&end, v->run->internal.data, sizeof(end));
	CHECK_EQ(end.why, why);
	CHECK_EQ(end.vector, vector);
	CHECK_EQ((uint32_t)end.fault, fault);
	if (strncmp(end_words(v), words, strlen(words)))
		FAIL("the VM says: %s", end_words(v));
	EXPECT(v, STOP_ERRNO);
	vm_destroy(v->vm);
}

/* Makes the vCPU's next instruction this hypercall. */
static inline void about_to_call(struct vcpu *v, uint64_t nr, uint64_t a,
				 uint64_t b)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = AT(v, any);
	r.rax = nr;
	if (is_wide(v)) {
		r.rdi = a;
		r.rsi = b;
	} else {
		r.rbx = a;
		r.rcx = b;
	}
	set_regs(v, &r);
	v->nr_vals = 0;
}

static inline int64_t call_from_ring1(struct vcpu *v, uint64_t nr, uint64_t a,
				      uint64_t b)
{
	about_to_call(v, nr, a, b);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	return (int32_t)v->val[0];
}

/* clang-format off */
/* Lines of a case table: one function in each paging mode that has trap tables. */
#define CASE_TRAPS(n, f) \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
	{ n " (long)", f, M_LONG }
/* clang-format on */

#endif
