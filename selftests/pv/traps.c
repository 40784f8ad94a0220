// SPDX-License-Identifier: GPL-2.0
/*
 * Trap tables of the VMM: kernels in ring 1 with users in ring 3. What is refused when
 * it is presented, traps that exit once and traps that do not exit, and what the guest
 * cannot replace.
 */
#include "pv_traps.h"

#define MSR_SYSENTER_CS 0x174

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

static const struct test_case cases[] = {
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
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
