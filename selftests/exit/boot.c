// SPDX-License-Identifier: GPL-2.0
/*
 * The mode transitions of a boot loader; the test looks at the state after
 * each.
 */
#include "guest.h"

DECLARE_PAYLOAD(boot);
DECLARE_PAYLOAD(at_once);

static void check_stage(struct vcpu *v, unsigned int stage)
{
	static const struct {
		bool pe, pg, pae, lme, lma, l, db;
		unsigned int cs, limit;
	} want[] = {
		{ 0, 0, 0, 0, 0, 0, 0, GUEST_CODE >> 4, 0xffff },
		{ 1, 0, 0, 0, 0, 0, 0, GUEST_CODE >> 4, 0xffff },
		{ 1, 0, 0, 0, 0, 0, 1, SEL_CODE32, ~0u },
		{ 1, 1, 1, 0, 0, 0, 1, SEL_CODE32, ~0u },
		{ 1, 0, 1, 1, 0, 0, 1, SEL_CODE32, ~0u },
		{ 1, 1, 1, 1, 1, 0, 1, SEL_CODE32, ~0u },
		{ 1, 1, 1, 1, 1, 1, 0, SEL_CODE64, ~0u },
		{ 1, 1, 1, 1, 1, 0, 1, SEL_CODE32, ~0u },
		{ 1, 0, 0, 0, 0, 0, 1, SEL_CODE32, ~0u },
		{ 1, 0, 0, 0, 0, 0, 0, SEL_CODE16, 0xffff },
		{ 0, 0, 0, 0, 0, 0, 0, GUEST_CODE >> 4, 0xffff },
	};
	struct kvm_sregs s;

	EXPECT(v, STOP_SYNC);
	get_sregs(v, &s);
	test_note("stage %u", stage);
	CHECK_EQ(!!(s.cr0 & CR0_PE), want[stage].pe);
	CHECK_EQ(!!(s.cr0 & CR0_PG), want[stage].pg);
	CHECK_EQ(!!(s.cr4 & CR4_PAE), want[stage].pae);
	CHECK_EQ(!!(s.efer & EFER_LME), want[stage].lme);
	CHECK_EQ(!!(s.efer & EFER_LMA), want[stage].lma);
	CHECK_EQ(s.cs.selector, want[stage].cs);
	CHECK_EQ(s.cs.l, want[stage].l);
	CHECK_EQ(s.cs.db, want[stage].db);
	if (!want[stage].l)
		CHECK_EQ(s.cs.limit, want[stage].limit);
}

/* Makes a guest in real mode, with the tables for the later modes. */
static struct vcpu *boot_start(void)
{
	struct vcpu *v = START(M_REAL, boot);
	struct vm *vm = v->vm;
	struct pt pae, lng;

	vm_tables(vm, M_PROT32);
	pt_init(&pae, vm, M_PAE);
	pt_identity(&pae, 0, 0x200000, PTE_W);
	pt_init(&lng, vm, M_LONG);
	pt_identity(&lng, 0, 0x200000, PTE_W);
	wr64(vm, GUEST_DATA, pae.root);
	wr64(vm, GUEST_DATA + 8, lng.root);
	return v;
}

static void boot(long unused)
{
	struct vcpu *v = boot_start();
	struct vm *vm = v->vm;
	unsigned int i;

	for (i = 0; i <= 10; i++) {
		check_stage(v, i);
		if (i == 6)
			CHECK_EQ(rd64(vm, GUEST_DATA + 16), 0x1122334455667788);
	}
	EXPECT_EXC(v, 0x21, 0);
	EXPECT(v, STOP_END);
}

/* The same, but at every stage the vCPU's state is read out and set again. */
static void boot_moved(long unused)
{
	struct vcpu *v = boot_start();
	unsigned int i;

	for (i = 0; i <= 10; i++) {
		struct kvm_sregs s, again;
		struct kvm_regs r;

		check_stage(v, i);
		vcpu_settle(v);
		get_regs(v, &r);
		get_sregs(v, &s);
		set_sregs(v, &s);
		set_regs(v, &r);
		get_sregs(v, &again);
		CHECK(!memcmp(&s, &again, sizeof(s)));
	}
	EXPECT_EXC(v, 0x21, 0);
	EXPECT(v, STOP_END);
}

/* From real mode into paged protected mode with one MOV to CR0. */
static void at_once(long unused)
{
	struct vcpu *v = START(M_REAL, at_once);
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt;

	vm_tables(v->vm, M_PROT32);
	pt_init(&pt, v->vm, M_PG32);
	pt_identity(&pt, 0, 0x200000, PTE_W);
	get_regs(v, &r);
	r.rbx = pt.root;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	CHECK_EQ(v->val[0] & (CR0_PG | CR0_PE), CR0_PG | CR0_PE);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector, SEL_CODE32);
	CHECK_EQ(s.cs.limit, ~0u);
	CHECK_EQ(s.cs.db, 1);
	CHECK_EQ(s.cr3, pt.root);
}

static const struct test_case cases[] = {
	{ "real, protected, PAE, long, compatibility and back", boot },
	{ "the same, state read and written at each stage", boot_moved },
	{ "PE and PG at once", at_once },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
