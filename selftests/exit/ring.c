// SPDX-License-Identifier: GPL-2.0
/* Ring transitions which hardware makes by MSRs and by the TSS. */
#include "guest.h"

DECLARE_PAYLOAD(syscall);
DECLARE_PAYLOAD(sysenter);
DECLARE_PAYLOAD(ist);
DECLARE_LABEL(ist, fault);

static void syscall64(long mode)
{
	struct vcpu *v = START(mode, syscall);
	struct kvm_sregs s;
	unsigned int n = 0;
	enum stop stop;

	while ((stop = vcpu_go(v)) == STOP_SYNC) {
		n++;
		get_sregs(v, &s);
		CHECK_EQ(s.cs.dpl, 0);
		CHECK_EQ(s.ss.selector, SEL_DATA);
		CHECK_EQ(s.gs.base, 0x4455556666);
	}
	CHECK_EQ(stop, STOP_END);
	if (stop == STOP_EXC)
		describe_exc(v);
	CHECK_EQ(v->nr_vals, 0);
	CHECK_EQ(n, 50);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector, SEL_UCODE64);
	CHECK_EQ(s.ss.selector, SEL_UDATA);
	CHECK_EQ(s.cs.dpl, 3);
	CHECK_EQ(s.gs.base, 0x1122223333);
}

static void sysenter32(long mode)
{
	struct vcpu *v = START(mode, sysenter);
	struct kvm_sregs s;
	unsigned int n = 0;
	enum stop stop;

	while ((stop = vcpu_go(v)) == STOP_SYNC) {
		n++;
		get_sregs(v, &s);
		CHECK_EQ(s.cs.selector, SEL_CODE32);
		CHECK_EQ(s.cs.base, 0);
		CHECK_EQ(s.cs.limit, ~0u);
		CHECK_EQ(s.ss.selector, SEL_CODE32 + 8);
		CHECK_EQ(s.ss.dpl, 0);
	}
	CHECK_EQ(stop, STOP_END);
	if (stop == STOP_EXC)
		describe_exc(v);
	CHECK_EQ(v->nr_vals, 0);
	CHECK_EQ(n, 50);
}

static void double_fault(long mode)
{
	struct vcpu *v = START(mode, ist);

	wr64(v->vm, GUEST_TSS + 0x24, GUEST_USTACK); /* IST1 */
	wr64(v->vm, GUEST_IDT + DF * 16,
	     rd64(v->vm, GUEST_IDT + DF * 16) | 1ull << 32);
	EXPECT_EXC(v, DF, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(ist, fault));
	CHECK_EQ(v->exc.rsp, 0x7ffff000);
}

static const struct test_case cases[] = {
	{ "SYSCALL and SYSRET (long)", syscall64, M_LONG },
	{ "SYSCALL and SYSRET (la57)", syscall64, M_LA57 },
	{ "SYSENTER and SYSEXIT (prot32)", sysenter32, M_PROT32 },
	{ "SYSENTER and SYSEXIT (pae)", sysenter32, M_PAE },
	{ "double fault by IST (long)", double_fault, M_LONG },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
