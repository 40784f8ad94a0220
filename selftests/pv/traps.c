// SPDX-License-Identifier: GPL-2.0
/*
 * Trap tables of the VMM: kernels in ring 1 with users in ring 3. What is refused when
 * it is presented, traps that exit once and traps that do not exit, what the guest
 * cannot replace, and faults in the middle of a delivery.
 */
#include <pthread.h>
#include <stdatomic.h>

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
#define MSR_SYSENTER_CS 0x174

DECLARE_PAYLOAD(traps32);
DECLARE_PAYLOAD(traps64);
/* A label that both widths have, and its address. */
#define DECLARE(l) extern const char pl_traps32_##l[], pl_traps64_##l[];
#define AT(v, l)                                                              \
	(GUEST_CODE + (is_wide(v) ? (uint64_t)(pl_traps64_##l - pl_traps64) : \
				    (uint64_t)(pl_traps32_##l - pl_traps32)))
DECLARE(fast)
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

static uint16_t ring1_cs(const struct vcpu *v)
{
	return is_wide(v) ? VIGIL_RING1_CS64 : RING1_CS32;
}

static unsigned int ring1_code(const struct vcpu *v)
{
	return D_P | D_S | D_TYPE(0xb) | D_DPL(1) | D_G |
	       (is_wide(v) ? D_L : D_DB);
}

/* Writes entry @n of the table at @table, and ends the table behind it. */
static void entry(struct vcpu *v, uint64_t table, unsigned int n,
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
static unsigned int usual_table(struct vcpu *v)
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

static struct vcpu *begin(enum mode mode)
{
	struct vcpu *v = pv_start(mode, &policy);

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

/* Has the guest present its tables. It stands in ring 0 before its IRET then. */
static void present(struct vcpu *v)
{
	EXPECT(v, STOP_SYNC);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT), 0);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 8), 0);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 16), 0);
}

/* The frame that leads from ring 0 to @rip in @ring. */
static void leave_to(struct vcpu *v, unsigned int ring, uint64_t rip)
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

static struct vcpu *begin_at(enum mode mode, unsigned int ring)
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

static uint64_t exits(struct vcpu *v)
{
	/* Interrupts of the host are not the guest's doing. */
	return mon_stat(v->vm->fd, "exits") - mon_stat(v->vm->fd, "exits_irq") -
	       mon_stat(v->vm->fd, "exits_nmi");
}

static struct pt tables_of(struct vcpu *v)
{
	bool wide = is_wide(v);
	struct kvm_sregs s;

	get_sregs(v, &s);
	return (struct pt){
		.vm = v->vm,
		.mode = v->mode,
		.root = s.cr3,
		.levels = wide		   ? 4 :
			  v->mode == M_PAE ? 3 :
					     2,
		.entry_size = wide || v->mode == M_PAE ? 8 : 4,
	};
}

/* What the VMM has changed in the guest's tables counts from here on. */
static void set_sregs_here(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	set_sregs(v, &s);
}

/* Why the VM has ended, in words. */
static const char *end_words(const struct vcpu *v)
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
static void expect_end(struct vcpu *v, unsigned int why, unsigned int vector,
		       uint32_t fault, const char *words)
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

static int64_t call_from_ring1(struct vcpu *v, uint64_t nr, uint64_t a,
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
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	return (int32_t)v->val[0];
}

/* ---- traps ---- */

static void fast(long mode)
{
	struct vcpu *v = START_AT(mode, 3, fast);
	uint64_t before;

	EXPECT(v, STOP_SYNC);
	before = exits(v);
	EXPECT(v, STOP_SYNC);
	/* That of the port. */
	CHECK_EQ(exits(v) - before, 1);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static void bounced(long mode)
{
	struct vcpu *v = START_AT(mode, 3, slow);
	uint64_t before;

	EXPECT(v, STOP_SYNC);
	before = exits(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(exits(v) - before, T_BOUNCES + 1);
	CHECK_EQ(rd32(v->vm, T_SLOW), T_BOUNCES + 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

/* Frames as the CPU makes them, of an exception and of INT3. */
static void frames(long mode)
{
	struct vcpu *v = START_AT(mode, 3, ud);
	uint16_t user = is_wide(v) ? SEL_UCODE64 : SEL_UCODE32;

	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, ud));
	CHECK_EQ(rd32(v->vm, T_CS), user);
	vm_destroy(v->vm);

	v = START_AT(mode, 3, int3);
	wr64(v->vm, T_SKIPPED, 1);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, int3) + 1);
	vm_destroy(v->vm);
}

/* A trap that is not for ring 3: #GP, as its gate would raise. */
static void closed(long mode)
{
	struct vcpu *v = START_AT(mode, 3, closed);
	uint32_t ec = 0x84 * 8 + 2;

	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SLOW), 0);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	if (is_wide(v) && test_on_tcg())
		ec = 0x84 * 16 + 2;
	CHECK_EQ(rd32(v->vm, T_ERROR), ec);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, closed));
	vm_destroy(v->vm);

	v = START_AT(mode, 1, closed);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	CHECK_EQ(rd32(v->vm, T_SKIP), 0);
	vm_destroy(v->vm);
}

/* With IF clear the VMM cannot inject INT n as an interrupt. */
static void quiet(long mode)
{
	struct vcpu *v = START_AT(mode, 3, quiet);

	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	vm_destroy(v->vm);
}

/* Another table, presented by a handler in ring 1: the next trap goes to its own. */
static void again(long mode)
{
	struct vcpu *v = START_AT(mode, 3, again);

	entry(v, T_TABLE2, 0, 0x81, 3, ring1_cs(v), AT(v, on_fast));
	entry(v, T_TABLE2, 1, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	CHECK_EQ(v->val[0], 0);
	CHECK_EQ(rd32(v->vm, T_FAST), 1);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	vm_destroy(v->vm);
}

/* ---- what is refused ---- */

static int64_t present_bad(struct vcpu *v, unsigned int at, unsigned int vector,
			   unsigned int flags, uint16_t cs, uint64_t ip)
{
	unsigned int i;

	for (i = 0; i < 5; i++)
		entry(v, T_TABLE2, i, 0x81, 3, ring1_cs(v), AT(v, on_fast));
	entry(v, T_TABLE2, 5, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	if (is_wide(v)) {
		wr64(v->vm, T_TABLE2 + at * 16,
		     vector | flags << 8 | (uint64_t)cs << 16);
		wr64(v->vm, T_TABLE2 + at * 16 + 8, ip);
	} else {
		wr64(v->vm, T_TABLE2 + at * 8,
		     vector | flags << 8 | (uint64_t)cs << 16 | ip << 32);
	}
	v->nr_vals = 0;
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	return (int32_t)v->val[0];
}

/* In each place of a table, and the table before it still counts. */
static void refused(long mode)
{
	static const unsigned int places[] = { 0, 3, 5 };
	struct vcpu *v = begin_at(mode, 1);
	struct kvm_regs r, start;
	unsigned int i;
	uint16_t cs;
	uint64_t ip;

	wr64(v->vm, T_RIP0, AT(v, call));
	cs = ring1_cs(v);
	ip = AT(v, on_fast);
	get_regs(v, &start);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		const struct {
			unsigned int vector, flags;
			uint16_t cs;
			uint64_t ip;
			int want;
		} bad[] = {
			{ 0x81, 3, SEL_CODE32, ip, -XEN_EPERM },
			{ 0x81, 3, SEL_FREE | 2, ip, -XEN_EPERM },
			{ 0x81, 3, SEL_UCODE32, ip, -XEN_EPERM },
			{ 0x81, 3, FREE_RING1 | 4, ip, -XEN_EPERM },
			{ 0x81, 3, 0xe008 | 1, ip, -XEN_EPERM },
			{ 0x81, 3, 0xfff9, ip, -XEN_EPERM },
			{ 0x81, 8, cs, ip, -XEN_EINVAL },
			{ 0x82, 3, cs, ip, -XEN_EINVAL },
			{ 0xf3, 3, cs, ip, -XEN_EINVAL },
			{ 0xf6, 3, cs, ip, -XEN_EINVAL },
			{ 0x81, 3, cs, 0x800000000000, -XEN_EINVAL },
		};
		unsigned int n, count = ARRAY_SIZE(bad) - !is_wide(v);

		for (n = 0; n < count; n++) {
			struct kvm_sregs s;

			if (n || i) {
				get_regs(v, &r);
				r.rip = AT(v, call);
				set_regs(v, &r);
			}
			CHECK_EQ(present_bad(v, places[i], bad[n].vector,
					     bad[n].flags, bad[n].cs,
					     bad[n].ip),
				 bad[n].want);
			get_sregs(v, &s);
			CHECK_EQ(s.cs.dpl, 1);
		}
	}
	/* More entries than there are vectors. */
	for (i = 0; i < 258; i++)
		entry(v, T_TABLE2, i, 0x81, 3, cs, ip);
	v->nr_vals = 0;
	get_regs(v, &r);
	r.rip = AT(v, call);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ((int32_t)v->val[0], -XEN_EINVAL);
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, 0x7ffff000, 0),
		 -XEN_EFAULT);
	/* The first table is in force. */
	get_regs(v, &r);
	r.rip = AT(v, slow);
	set_regs(v, &r);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	CHECK_EQ(rd32(v->vm, T_FAST), 0);
	vm_destroy(v->vm);
}

/* What ring 3 calls, a kernel in ring 0 with its own tables, and other modes. */
static void who(long mode)
{
	struct vcpu *v = START_AT(mode, 3, call);

	entry(v, T_TABLE2, 0, 0x81, 3, ring1_cs(v), AT(v, on_fast));
	EXPECT(v, STOP_END);
	CHECK_EQ((int32_t)v->val[0], -XEN_EPERM);
	vm_destroy(v->vm);

	v = begin(mode);
	wr64(v->vm, T_VECTOR, PF);
	wr64(v->vm, T_STACK, SEL_DATA);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 8), -XEN_EPERM);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 16), -XEN_EINVAL);
	vm_destroy(v->vm);
}

static void no_paging(long mode)
{
	struct vcpu *v = begin(mode);

	EXPECT(v, STOP_SYNC);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT), -95);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 8), -XEN_EINVAL);
	CHECK_EQ((int32_t)rd32(v->vm, T_RESULT + 16), -XEN_EINVAL);
	vm_destroy(v->vm);
}

/* ---- what the guest cannot replace ---- */

static uint64_t window(const struct vcpu *v)
{
	return is_wide(v) ? 0xffff87ffff800000 : 0xfc000000;
}

static void tables(long mode)
{
	struct vcpu *v = START_AT(mode, 3, store);
	struct kvm_sregs s;

	/* SIDT and SGDT tell what the guest has loaded, and so does the VMM. */
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_STORED + 2), GUEST_IDT);
	CHECK_EQ(rd32(v->vm, T_STORED + 18), GUEST_GDT);
	get_sregs(v, &s);
	CHECK_EQ(s.idt.base, GUEST_IDT);
	CHECK_EQ(s.gdt.base, GUEST_GDT);
	CHECK_EQ(s.tr.base, GUEST_TSS);
	vm_destroy(v->vm);

	v = START_AT(mode, 1, lidt);
	wr64(v->vm, T_SKIPPED, is_wide(v) ? 8 : 7);
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 1);
	CHECK_EQ(rd32(v->vm, T_ERROR), 0);
	vm_destroy(v->vm);
}

/* Ring 0 tries it, and faults: no handler can take that. */
static void expect_ring0(long mode, uint64_t (*where)(const struct vcpu *v),
			 unsigned int vector)
{
	struct vcpu *v = begin(mode);
	struct kvm_regs r;

	wr64(v->vm, T_STORED, 0xfff);
	present(v);
	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = where(v);
	set_regs(v, &r);
	expect_end(v, VIGIL_END_RING0, vector, 0, "pv: #");
}

#define RING0(l)                                     \
	static uint64_t at_##l(const struct vcpu *v) \
	{                                            \
		return AT(v, l);                     \
	}
RING0(lidt)
RING0(lgdt)
RING0(lldt)
RING0(ltr)
RING0(paging)
RING0(pae)

static void replace(long mode)
{
	expect_ring0(mode, at_lidt, GP);
	expect_ring0(mode, at_lgdt, GP);
	expect_ring0(mode, at_lldt, GP);
	expect_ring0(mode, at_ltr, NP);
	expect_ring0(mode, at_paging, GP);
	expect_ring0(mode, at_pae, GP);
}

/* The window is the VMM's, whatever the guest maps there. */
static void writes(long mode)
{
	struct vcpu *v = begin(mode);
	struct pt pt = tables_of(v);

	pt_map(&pt, window(v), GUEST_FREE, 1, PTE_W | PTE_U | PTE_A | PTE_D);
	set_sregs_here(v);
	wr64(v->vm, GUEST_FREE, 0x1234);
	present(v);
	leave_to(v, 1, AT(v, touch));
	wr64(v->vm, T_AT, window(v));
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_PF), 1);
	CHECK_EQ(rd32(v->vm, T_ERROR), PF_P | PF_W);
	CHECK_EQ(rd64(v->vm, GUEST_FREE), 0x1234);
	vm_destroy(v->vm);
}

/* A guest may also map something at the end of its PDPT, where it had nothing. */
static void no_pdpte(long mode)
{
	struct vcpu *v = begin(mode);
	struct kvm_sregs s;
	uint64_t at;

	get_sregs(v, &s);
	at = s.cr3 + 3 * 8;
	wr64(v->vm, at, 0);
	set_sregs(v, &s);
	present(v);
	leave_to(v, 3, AT(v, fast));
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), 1);
	wr64(v->vm, at, rd64(v->vm, s.cr3));
	set_sregs_here(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static uint64_t msr(struct vcpu *v, uint32_t index, const uint64_t *set)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} m = { .head.nmsrs = 1, .e.index = index };

	if (set)
		m.e.data = *set;
	if (ioctl(v->fd, set ? KVM_SET_MSRS : KVM_GET_MSRS, &m) != 1)
		ERROR("MSR %#x: errno %d", index, errno);
	return m.e.data;
}

/* SYSCALL and SYSENTER lead to ring 0, where such a guest has no kernel. */
static void system_calls(long mode)
{
	const uint64_t cs = SEL_CODE32, efer = EFER_SCE;
	struct vcpu *v = begin(mode);
	uint64_t value;

	msr(v, MSR_SYSENTER_CS, &cs);
	if (!is_wide(v))
		msr(v, MSR_EFER, &efer);
	present(v);
	leave_to(v, 3, AT(v, system));
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SKIP), 2);
	CHECK_EQ(rd32(v->vm, T_RIP), AT(v, system) + 2);
	/* What the guest has set is there, and stays settable. */
	CHECK_EQ(msr(v, MSR_SYSENTER_CS, NULL), cs);
	CHECK_EQ(msr(v, MSR_EFER, NULL) & EFER_SCE, EFER_SCE);
	value = SEL_UCODE32;
	msr(v, MSR_SYSENTER_CS, &value);
	CHECK_EQ(msr(v, MSR_SYSENTER_CS, NULL), value);
	vcpu_settle(v);
	vcpu_set_mode(v, M_PROT32);
	CHECK_EQ(msr(v, MSR_SYSENTER_CS, NULL), value);
	vm_destroy(v->vm);
}

/* A reset by the VMM ends what the guest had set up. */
static void reset(long mode)
{
	static const uint8_t end[] = { 0xe6, PORT_END };
	struct vcpu *v = START_AT(mode, 3, fast);
	struct kvm_sregs s;

	EXPECT(v, STOP_SYNC);
	vcpu_settle(v);
	vcpu_set_mode(v, M_PROT32);
	memcpy(vm_ram(v->vm, GUEST_CODE, sizeof(end)), end, sizeof(end));
	EXPECT(v, STOP_END);
	get_sregs(v, &s);
	CHECK_EQ(s.idt.base, GUEST_IDT);
	vcpu_settle(v);
	vcpu_set_mode(v, M_PROT32);
	/* Its own gate of INT 0x80 counts again. */
	memcpy(vm_ram(v->vm, GUEST_CODE, 2), "\xcd\x80", 2);
	EXPECT_EXC(v, 0x80, 0);
	vm_destroy(v->vm);
}

/* ---- the guest's GDT ---- */

/* Descriptors of the guest's: ring 0, gates and conforming code are refused. */
static void gdt(long mode)
{
	static const unsigned int bad[] = {
		D_P | D_S | D_TYPE(0xb) | D_DB | D_G, /* ring 0 */
		D_P | D_S | D_TYPE(3) | D_DB | D_G, /* the same, data */
		D_P | D_S | D_TYPE(0xf) | D_DPL(1) | D_DB |
			D_G, /* conforming */
		D_P | D_TYPE(9) | D_DPL(1), /* TSS */
		D_P | D_TYPE(0xc) | D_DPL(3), /* call gate */
		D_P | D_S | D_TYPE(0xb) | D_DPL(1) | D_L | D_DB, /* L and D */
	};
	struct vcpu *v = START_AT(mode, 1, stop);
	bool wide = is_wide(v);
	uint64_t frame = GUEST_GDT >> 12;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	/* What stands in the first places: nothing that the kernel would miss. */
	for (i = SEL_CODE64; i < SEL_UCODE32; i += 8)
		gdt_set(v->vm, i, 0, 0, 0);
	for (i = SEL_TSS; i < SEL_FREE; i += 8)
		gdt_set(v->vm, i, 0, 0, 0);
	if (!wide)
		gdt_set(v->vm, SEL_UCODE64, 0, 0, 0);
	wr64(v->vm, T_TABLE2, frame);
	EXPECT(v, STOP_END);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		gdt_set(v->vm, SEL_FREE, 0, ~0u, bad[i]);
		CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32),
			 -XEN_EINVAL);
		/* behind the end it does not count */
		CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, SEL_FREE / 8),
			 0);
	}
	/* A segment that was not there before; what is refused changes nothing. */
	gdt_set(v->vm, SEL_FREE, 0x1000, 0xffff,
		D_P | D_S | D_TYPE(2) | D_DPL(3) | D_DB);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32), 0);
	gdt_set(v->vm, SEL_FREE, 0, ~0u, bad[0]);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 32), -XEN_EINVAL);
	wr64(v->vm, T_AT, SEL_FREE | 3);
	get_regs(v, &r);
	r.rip = AT(v, load);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_sregs(v, &s);
	CHECK_EQ(s.fs.selector, SEL_FREE | 3);
	CHECK_EQ(s.fs.base, 0x1000);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 14 * 512 + 1),
		 -XEN_EINVAL);
	wr64(v->vm, T_TABLE2, 0xfffff);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, T_TABLE2, 1), -XEN_EINVAL);
	CHECK_EQ(call_from_ring1(v, NR_SET_GDT, 0x7ffff000, 1), -XEN_EFAULT);
	vm_destroy(v->vm);
}

/* ---- faults in the middle of a delivery ---- */

static void frame_faults(long mode)
{
	struct vcpu *v;
	unsigned int n;

	/* A code segment that is not there: a bounced trap, and a fast one. */
	v = begin(mode);
	n = usual_table(v);
	gdt_set(v->vm, SEL_FREE, 0, ~0u, ring1_code(v) & ~D_P);
	entry(v, T_TABLE, n, 0x81, 3, FREE_RING1, AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, slow));
	expect_end(v, VIGIL_END_FRAME, 0x81, NP, "pv: vector 0x81 to 0069:");

	v = begin(mode);
	n = usual_table(v);
	gdt_set(v->vm, SEL_FREE, 0, ~0u, ring1_code(v) & ~D_P);
	entry(v, T_TABLE, n, 0x80, 3, FREE_RING1, AT(v, on_fast));
	present(v);
	leave_to(v, 3, AT(v, fast));
	expect_end(v, VIGIL_END_FRAME, 0x80, NP, "pv: vector 0x80 to 0069:");

	/* The stack is not mapped. */
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, slow));
	expect_end(v, VIGIL_END_FRAME, 0x81, PF, "pv: vector 0x81 to ");
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, fast));
	expect_end(v, VIGIL_END_FRAME, 0x80, PF, "pv: vector 0x80 to ");
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, ud));
	expect_end(v, VIGIL_END_FRAME, UD, PF, "pv: #UD to ");

	/* The frame that the emulator builds. */
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, quiet));
	expect_end(v, VIGIL_END_FRAME, 0x81, PF, "pv: vector 0x81 to ");
}

static void no_handler(long mode)
{
	struct vcpu *v = begin(mode);

	entry(v, T_TABLE, 1, 0x81, 3, ring1_cs(v), AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, ud));
	expect_end(v, VIGIL_END_NO_HANDLER, UD, 0, "pv: #UD at ");

	/* Ring 0 has its tables exchanged, and stays there. */
	v = begin(mode);
	present(v);
	leave_to(v, 3, 0);
	wr64(v->vm, T_CS0, 0x7ff0);
	expect_end(v, VIGIL_END_RING0, GP, 0, "pv: #GP at ");
}

/* A page of the guest that is out: its own handler brings it in. */
static void paged_out(long mode)
{
	struct vcpu *v = begin(mode);
	uint64_t at = GUEST_FREE + 0x1000, pte;
	struct pt pt = tables_of(v);
	unsigned int n;

	memcpy(vm_ram(v->vm, at, 64), vm_ram(v->vm, AT(v, on_slow), 64), 64);
	pte = pt_get(&pt, at, 1);
	n = usual_table(v);
	entry(v, T_TABLE, n, 0x81, 3, ring1_cs(v), at);
	present(v);
	leave_to(v, 3, AT(v, slow));
	pt_set(&pt, at, 1, 0);
	set_sregs_here(v);
	/* The handler of #PF. */
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_PF), 1);
	CHECK_EQ(rd32(v->vm, T_SLOW), 0);
	pt_set(&pt, at, 1, pte);
	set_sregs_here(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), T_BOUNCES + 1);
	CHECK_EQ(rd32(v->vm, T_PF), 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

/* Interrupts of the VMM and NMIs need a handler, and come while ring 3 runs. */
static void interrupts(long mode)
{
	struct vcpu *v = START_AT(mode, 3, wait);
	unsigned int n;

	v->pending_irq = 0x81;
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	vm_destroy(v->vm);

	v = START_AT(mode, 3, wait);
	v->pending_irq = 0x90;
	expect_end(v, VIGIL_END_NO_HANDLER, 0x90, 0, "pv: vector 0x90 at ");

	v = begin(mode);
	n = usual_table(v);
	entry(v, T_TABLE, n, NMI, 0, ring1_cs(v), AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, wait));
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	/* It waits for no ring: in ring 0 nobody takes it. */
	expect_end(v, VIGIL_END_RING0, NMI, 0, "pv: ");
}

/* All handlers gone, and no trap fast any more. */
static void cleared(long mode)
{
	struct vcpu *v = START_AT(mode, 1, stop);
	uint64_t before;
	struct kvm_regs r;

	EXPECT(v, STOP_END);
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0, 0), 0);
	get_regs(v, &r);
	r.rip = AT(v, fast);
	set_regs(v, &r);
	EXPECT(v, STOP_SYNC);
	before = exits(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(exits(v) - before, T_LOOPS + 1);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);
	vcpu_settle(v);
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, 0, 0), 0);
	get_regs(v, &r);
	r.rip = AT(v, fast);
	set_regs(v, &r);
	/* Its gate is closed to ring 1, and #GP has no handler either. */
	expect_end(v, VIGIL_END_NO_HANDLER, GP, 0, "pv: #GP at ");
}

/* ---- a process that changes its own instructions ---- */

struct flip {
	struct vm *vm;
	uint64_t at;
	atomic_bool stop;
};

static void *flip(void *arg)
{
	struct flip *f = arg;
	volatile uint16_t *insn = vm_ram(f->vm, f->at, 2);

	while (!atomic_load(&f->stop)) {
		*insn = 0x9090;
		*insn = 0x84cd;
	}
	*insn = 0x9090;
	return NULL;
}

/* User mode cannot end the VM by it: its gate has refused, or the NOPs run. */
static void flipped(long mode)
{
	struct vcpu *v = START_AT(mode, 3, closed);
	struct flip f = { .vm = v->vm, .at = AT(v, closed) };
	struct kvm_regs r;
	pthread_t thread;
	unsigned int i;

	REQUIRE_EQ(pthread_create(&thread, NULL, flip, &f), 0);
	for (i = 0; i < 2000; i++) {
		if (vcpu_go(v) != STOP_END)
			break;
		get_regs(v, &r);
		r.rip = AT(v, closed);
		set_regs(v, &r);
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(i, 2000);
	if (i < 2000)
		FAIL("%s", end_words(v));
	vm_destroy(v->vm);
}

/* ---- two VMs ---- */

/* The same vector and two handlers on one CPU: each VM counts in its own memory. */
static void two_vms(long mode)
{
	struct vcpu *a = START_AT(mode, 3, fast), *b = begin(mode);
	unsigned int i;

	entry(b, T_TABLE, 0, 0x80, 3, ring1_cs(b), AT(b, on_slow));
	entry(b, T_TABLE, 1, 0x81, 3, ring1_cs(b), AT(b, on_fast));
	present(b);
	leave_to(b, 3, AT(b, fast));
	EXPECT(a, STOP_SYNC);
	EXPECT(b, STOP_SYNC);
	/* One comes in while the other is in the middle of its traps. */
	a->stop_on_signal = b->stop_on_signal = true;
	ticks(200);
	for (i = 0;
	     rd32(a->vm, T_FAST) <= T_LOOPS || rd32(b->vm, T_SLOW) <= T_LOOPS;
	     i++) {
		if (rd32(a->vm, T_FAST) <= T_LOOPS && vcpu_go(a) == STOP_OTHER)
			break;
		if (rd32(b->vm, T_SLOW) <= T_LOOPS && vcpu_go(b) == STOP_OTHER)
			break;
	}
	ticks(0);
	CHECK_EQ(rd32(a->vm, T_FAST), T_LOOPS + 1);
	CHECK_EQ(rd32(a->vm, T_SLOW), 0);
	CHECK_EQ(rd32(b->vm, T_SLOW), T_LOOPS + 1);
	CHECK_EQ(rd32(b->vm, T_FAST), 0);
	CHECK(i > 1);
	vm_destroy(a->vm);
	vm_destroy(b->vm);
}

/* ---- saved and put back ---- */

static struct vigil_pv_trap saved_traps[256];
static uint64_t saved_gdt[7168];

static struct vigil_pv room(void)
{
	return (struct vigil_pv){
		.size = sizeof(struct vigil_pv),
		.nr_traps = ARRAY_SIZE(saved_traps),
		.nr_gdt = ARRAY_SIZE(saved_gdt),
		.traps = (uintptr_t)saved_traps,
		.gdt = (uintptr_t)saved_gdt,
	};
}

/* In the middle of bounced traps the guest moves to another VM. */
static void moved(long mode)
{
	struct vcpu *a = START_AT(mode, 3, slow), *b;
	struct vigil_pv pv = room();
	struct kvm_sregs s;
	struct kvm_regs r;
	uint32_t before;

	EXPECT(a, STOP_SYNC);
	a->stop_on_signal = true;
	ticks(500);
	while (rd32(a->vm, T_SLOW) < 100)
		if (vcpu_go(a) != STOP_SIGNAL)
			break;
	ticks(0);
	a->stop_on_signal = false;
	before = rd32(a->vm, T_SLOW);
	CHECK(before < T_BOUNCES);
	vcpu_settle(a);
	REQUIRE_EQ(ioctl(a->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, VIGIL_PV_TABLES | (is_wide(a) ? VIGIL_PV_LONG : 0));
	CHECK_EQ(pv.nr_traps, 8);
	CHECK_EQ(pv.fast[2], 1);
	CHECK_EQ(pv.kernel_sp, GUEST_STACK0);
	vcpu_ring_sregs(a, &s);
	get_regs(a, &r);

	b = pv_start(mode, &policy);
	memcpy(b->vm->ram, a->vm->ram, a->vm->ram_size);
	set_sregs(b, &s);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	set_regs(b, &r);
	EXPECT(b, STOP_SYNC);
	CHECK_EQ(rd32(b->vm, T_SLOW), T_BOUNCES + 1);
	CHECK_EQ(rd32(a->vm, T_SLOW), before);
	EXPECT(b, STOP_END);

	/* Put back a second time, it is what it was; then the guest's own again. */
	pv = room();
	REQUIRE_EQ(ioctl(b->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.nr_traps, 8);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	pv = (struct vigil_pv){ .size = sizeof(pv) };
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, 0);
	CHECK_EQ(pv.nr_traps, 0);
	vm_destroy(a->vm);
	vm_destroy(b->vm);
}

static void own_iopl(long mode)
{
	struct vigil_hypercalls h = policy;
	struct vigil_pv pv = room();
	struct vcpu *v;

	h.max_iopl = 2;
	h.user_max = 1ull << NR_CONSOLE_IO;
	v = pv_start(mode, &h);
	pv.nr_traps = 0;
	pv.nr_gdt = 0;
	pv.flags = VIGIL_PV_OWN_IOPL;
	pv.iopl = 2;
	pv.refuse = VIGIL_REFUSE_FAULT;
	pv.user = 1ull << NR_CONSOLE_IO;
	CHECK_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
	memset(&pv, 0, sizeof(pv));
	pv.size = sizeof(pv);
	CHECK_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, VIGIL_PV_OWN_IOPL);
	CHECK_EQ(pv.iopl, 2);
	CHECK_EQ(pv.refuse, VIGIL_REFUSE_FAULT);
	CHECK_EQ(pv.user, 1ull << NR_CONSOLE_IO);
	pv.iopl = 3;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), EINVAL);
	pv.iopl = 2;
	pv.user |= 1;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), EINVAL);
	CHECK_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.iopl, 2);
	vm_destroy(v->vm);
}

/* Each field for itself. What was there stays. */
static void bad_state(long mode)
{
	struct vcpu *v = START_AT(mode, 3, fast), *plain;
	struct vigil_hypercalls none = { .flags = VIGIL_HC_PAGE };
	struct vigil_pv good = room(), pv;
	struct vigil_pv_trap trap;

	EXPECT(v, STOP_SYNC);
	REQUIRE_EQ(ioctl(v->fd, VIGIL_GET_PV, &good), 0);
#define BAD(change, errno_)                                           \
	do {                                                          \
		pv = good;                                            \
		change;                                               \
		CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), errno_); \
	} while (0)
	BAD(pv.size = 0, EINVAL);
	BAD(pv.flags |= 8, EINVAL);
	BAD(pv.flags ^= VIGIL_PV_LONG, EINVAL);
	BAD(pv.flags = 0, EINVAL);
	BAD(pv.pad = 1, EINVAL);
	BAD(pv.reserved[4] = 1, EINVAL);
	BAD(pv.iopl = 1, EINVAL);
	BAD(pv.user = 1, EINVAL);
	BAD(pv.kernel_ss = SEL_DATA, EINVAL);
	BAD(pv.kernel_sp = 0x800000000000, EINVAL);
	BAD(pv.fast[0] = 1ull << PF, EINVAL);
	BAD(pv.fast[3] = 1, EINVAL);
	BAD(pv.nr_traps = 257, EINVAL);
	BAD(pv.nr_gdt = 7169, EINVAL);
	BAD(pv.traps = 0, EFAULT);
	BAD(pv.gdt = 0, EFAULT);
	trap = saved_traps[0];
	saved_traps[0].cs = SEL_CODE32;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_traps[0].pad = 1;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_traps[0].vector = 0x82;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_gdt[1] = 0x00cf9b000000ffff; /* ring 0 */
	BAD(, EINVAL);
	saved_gdt[1] = 0;
	pv = good;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, NULL), EFAULT);
	/* Too little room: how much it takes is told. */
	pv = room();
	pv.nr_traps = 1;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_GET_PV, &pv), ENOSPC);
	CHECK_EQ(pv.nr_traps, good.nr_traps);
	CHECK_EQ(pv.nr_gdt, good.nr_gdt);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);

	plain = pv_start(mode, &none);
	CHECK_ERRNO(ioctl(plain->fd, VIGIL_SET_PV, &good), EOPNOTSUPP);
	vm_destroy(plain->vm);
	plain = pv_start(M_PROT32, &policy);
	pv = good;
	pv.flags &= ~VIGIL_PV_LONG;
	if (!is_wide(v))
		CHECK_ERRNO(ioctl(plain->fd, VIGIL_SET_PV, &pv), EOPNOTSUPP);
	vm_destroy(plain->vm);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
#define CASE_TRAPS(n, f)                                               \
	{ n " (32-bit paging)", f, M_PG32 }, { n " (pae)", f, M_PAE }, \
	{                                                              \
		n " (long)", f, M_LONG                                 \
	}
	CASE_TRAPS("a fast trap does not exit", fast),
	CASE_TRAPS("a bounced trap exits once", bounced),
	CASE_TRAPS("frames are the CPU's", frames),
	CASE_TRAPS("a trap that is closed to ring 3", closed),
	CASE_TRAPS("INT n with IF clear", quiet),
	CASE_TRAPS("another table, from ring 1", again),
	CASE_TRAPS("bad entries are refused", refused),
	CASE_TRAPS("calls that are refused", who),
	{ "trap tables need paging (prot32)", no_paging, M_PROT32 },
	{ "trap tables need paging (la57)", no_paging, M_LA57 },
	CASE_TRAPS("what SIDT and the VMM tell", tables),
	CASE_TRAPS("ring 0 cannot replace the tables", replace),
	CASE_TRAPS("the window cannot be written", writes),
	{ "a PDPT without its last entry (pae)", no_pdpte, M_PAE },
	CASE_TRAPS("SYSCALL and SYSENTER", system_calls),
	CASE_TRAPS("a reset ends it", reset),
	CASE_TRAPS("the guest's own descriptors", gdt),
	CASE_TRAPS("a frame that cannot be built ends the VM", frame_faults),
	CASE_TRAPS("a trap without a handler ends the VM", no_handler),
	CASE_TRAPS("a handler that is paged out", paged_out),
	CASE_TRAPS("interrupts", interrupts),
	CASE_TRAPS("handlers that are taken back", cleared),
	CASE_TRAPS("an INT n that changes under its fault", flipped),
	CASE_TRAPS("two VMs with the same vector", two_vms),
	CASE_TRAPS("a guest moves to another VM", moved),
	{ "a vCPU's own iopl is saved", own_iopl, M_PROT32 },
	CASE_TRAPS("a state that is refused", bad_state),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
