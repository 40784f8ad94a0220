// SPDX-License-Identifier: GPL-2.0
/* Exceptions: vector, error code and saved RIP, in all modes and rings. */
#include "guest.h"

DECLARE_PAYLOAD3(exc_basic);
DECLARE_PAYLOAD3(exc_soft);
DECLARE_PAYLOAD3(exc_icebp);
DECLARE_PAYLOAD3(exc_fpu);
DECLARE_PAYLOAD(exc_desc32);
DECLARE_PAYLOAD(exc_desc64);
DECLARE_PAYLOAD(exc_priv32);
DECLARE_PAYLOAD(exc_priv64);
DECLARE_PAYLOAD(exc_user32);
DECLARE_PAYLOAD(exc_user64);
DECLARE_PAYLOAD(exc_gate32);
DECLARE_PAYLOAD(exc_upper64);
DECLARE_PAYLOAD(exc_intercepted);
DECLARE_PAYLOAD(exc_root);
DECLARE_PAYLOAD(exc_entry);
DECLARE_LABEL(exc_entry, behind);
DECLARE_LABEL(exc_entry, gone);
DECLARE_PAYLOAD(exc_vm86);
DECLARE_PAYLOAD(exc_vm86_iopl0);

#define START2(m, n)                                          \
	guest_start(m, PICK(m, NULL, pl_##n##32, pl_##n##64), \
		    PICK(m, NULL, pl_##n##32_end, pl_##n##64_end))

static void basic(long mode)
{
	run_tries(START3(mode, exc_basic));
}

static void soft(long mode)
{
	struct vcpu *v = START3(mode, exc_soft);
	unsigned int i;

	/* From ring 3, INT n needs a gate that is open to it. */
	for (i = 0; mode == M_VM86 && i < 256; i++)
		idt_gate(v->vm, M_PROT32, i, idt_stub(M_PROT32, i), SEL_CODE32,
			 0xe, 3);
	run_tries(v);
}

/* In real mode no error code is pushed: the frame's RIP tells. */
static void intercepted(long mode)
{
	run_tries(START(mode, exc_intercepted));
}

static struct vcpu *start_on(long mode, const char *start, const char *end,
			     unsigned int level, uint64_t *table)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	struct vcpu *v;

	if (!dev_has_mode(mode))
		SKIP("the CPU has no 5-level paging");
	v = guest_start(mode, start, end);
	get_sregs(v, &s);
	*table = s.cr3;
	while (level--)
		*table = rd64(v->vm, *table) & PTE_ADDR;
	get_regs(v, &r);
	r.rsp = *table + 0xff0;
	set_regs(v, &r);
	return v;
}

/*
 * The CPU pushes the frame onto the table that it translates by. @level: below
 * CR3's.
 */
static void frame_on(long mode, unsigned int level)
{
	uint64_t table;
	struct vcpu *v =
		start_on(mode, pl_exc_root, pl_exc_root_end, level, &table);

	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.rip, GUEST_CODE);
	exc_set_rip(v, GUEST_CODE + 2);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static void frame_on_root(long mode)
{
	/* a PAE guest's CPU has read the PDPTEs: a directory is what it uses */
	frame_on(mode, mode == M_PAE);
}

static void frame_on_directory(long mode)
{
	frame_on(mode, mode == M_LA57 ? 3 : 2);
}

/* The frame overwrites an entry: it counts from the guest's next flush on. */
static void frame_on_entry(long mode)
{
	const uint64_t va = ~0ull << 39 & ~(2ull << 39);
	struct kvm_regs r;
	uint64_t root;
	struct vcpu *v =
		start_on(mode, pl_exc_entry, pl_exc_entry_end, 0, &root);

	/* SS comes to lie there, which looks like an entry that is not present */
	wr64(v->vm, root + 0xfe8, rd64(v->vm, root));
	get_regs(v, &r);
	r.rdi = va;
	set_regs(v, &r);
	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.ss, SEL_DATA);
	exc_set_rip(v, LABEL_AT(exc_entry, behind));
	EXPECT_EXC(v, PF, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(exc_entry, gone));
	CHECK_EQ(v->exc.cr2, va);
	vm_destroy(v->vm);
}

static void icebp(long mode)
{
	struct vcpu *v = START3(mode, exc_icebp);

	SKIP_ON_TCG("QEMU TCG has no ICEBP");
	run_tries(v);
}

static void fpu(long mode)
{
	run_tries(START3(mode, exc_fpu));
}

static void descriptors(long mode)
{
	struct vcpu *v = START2(mode, exc_desc);
	unsigned int data = D_S | D_DB | D_G | D_TYPE(3);

	gdt_set(v->vm, SEL_FREE, 0, ~0u, data | D_P);
	gdt_set(v->vm, SEL_FREE + 8, 0, ~0u, data);
	gdt_set(v->vm, SEL_FREE + 16, GUEST_TSS, 0x67, D_P | D_TYPE(9));
	/*
	 * An execute-only segment may not be loaded into a data segment
	 * register.
	 */
	gdt_set(v->vm, SEL_FREE + 24, 0, ~0u,
		D_P | D_S | D_DB | D_G | D_TYPE(9));
	run_tries(v);
}

static void privileged(long mode)
{
	run_tries(START2(mode, exc_priv));
}

static void user(long mode)
{
	run_tries(START2(mode, exc_user));
}

static void gates(long mode)
{
	struct vcpu *v = START(mode, exc_gate32);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rbp = 1;
	set_regs(v, &r);
	run_tries(v);
}

/*
 * A shadow fault on the IDT's page interrupts the delivery of the first INT n.
 */
static void gates_cold(long mode)
{
	SKIP_ON_KVM("stock KVM injects a software interrupt behind itself");
	run_tries(START(mode, exc_gate32));
}

static void upper_half(long mode)
{
	SKIP_ON_KVM("stock KVM drops the upper half of a MOV to CR");
	run_tries(START(mode, exc_upper64));
}

static void vm86(long mode)
{
	run_tries(START(mode, exc_vm86));
}

static void vm86_iopl0(long mode)
{
	struct vcpu *v = START(mode, exc_vm86_iopl0);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rflags &= ~(uint64_t)RFLAGS_IOPL;
	set_regs(v, &r);
	run_tries(v);
}

static const struct test_case cases[] = {
	CASE_ALL("without error code", basic),
	CASE_ALL("software interrupts", soft),
	CASE_ALL("ICEBP", icebp),
	CASE_REAL16("error codes", intercepted),
	CASE_PAGED("frame on a root in use", frame_on_root),
	{ "frame on a directory in use (long)", frame_on_directory, M_LONG },
	{ "frame on a directory in use (compat)", frame_on_directory,
	  M_COMPAT },
	{ "frame on an entry in use (long)", frame_on_entry, M_LONG },
	CASE_REAL16("x87 and sse", fpu),
	CASE_PROT("x87 and sse", fpu),
	CASE_PROT("descriptors", descriptors),
	CASE_PROT("privileged registers", privileged),
	{ "ring 3 (prot32)", user, M_PROT32 },
	CASE_PAGED("ring 3", user),
	{ "gates of ring 0 (prot32)", gates, M_PROT32 },
	{ "gates of ring 0 (32-bit paging)", gates, M_PG32 },
	{ "gates of ring 0 (pae)", gates, M_PAE },
	{ "gates of ring 0, cold IDT (prot32)", gates_cold, M_PROT32 },
	{ "gates of ring 0, cold IDT (pae)", gates_cold, M_PAE },
	{ "upper half of CR0 and CR4 (long)", upper_half, M_LONG },
	CASE_VM86("sensitive instructions", vm86),
	CASE_VM86("sensitive instructions, IOPL 0", vm86_iopl0),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
