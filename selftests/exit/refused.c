// SPDX-License-Identifier: GPL-2.0
/*
 * Guest state that a VM entry refuses: KVM_EXIT_FAIL_ENTRY says why in words,
 * and the vCPU runs again once its state is put right. SVM enters most of it.
 */
#include <vigil.h>

#include "guest.h"

DECLARE_PAYLOAD(spin);

#define INVALID_GUEST_STATE 0x80000021u /* VMX, exit reason 33 with bit 31 */

static const char *refusal(const struct vcpu *v)
{
	const struct vigil_fail_entry *f = (const void *)&v->run->fail_entry;

	return f->why;
}

static void expect_refused(struct vcpu *v, const char *why)
{
	EXPECT(v, STOP_OTHER);
	REQUIRE_EQ(v->run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	CHECK_EQ(v->run->fail_entry.hardware_entry_failure_reason,
		 INVALID_GUEST_STATE);
	if (!strstr(refusal(v), why))
		FAIL("the reason is \"%s\", not \"%s\"", refusal(v), why);
}

static void expect_runs(struct vcpu *v)
{
	v->stop_on_signal = true;
	ticks(2000);
	EXPECT(v, STOP_SIGNAL);
	ticks(0);
}

/* clang-format off */
static void tr_unusable(struct kvm_sregs *s)	{ s->tr.unusable = 1; }
static void tr_gate(struct kvm_sregs *s)		{ s->tr.type = 0xe; }
static void tr_in_ldt(struct kvm_sregs *s)	{ s->tr.selector |= 4; }
static void tr_limit(struct kvm_sregs *s)	{ s->tr.g = 1; }
static void ldt_type(struct kvm_sregs *s)	{ s->ldt = s->tr; }
static void cs_unusable(struct kvm_sregs *s)	{ s->cs.unusable = 1; }
static void cs_read_only(struct kvm_sregs *s)	{ s->cs.type = 1; }
static void ss_read_only(struct kvm_sregs *s)	{ s->ss.type = 1; }
static void es_execute_only(struct kvm_sregs *s) { s->es.type = 9; }
static void fs_system(struct kvm_sregs *s)	{ s->fs.s = 0; }
static void ds_limit(struct kvm_sregs *s)	{ s->ds.limit = 0xfffff123; s->ds.g = 1; }
static void ds_base(struct kvm_sregs *s)	{ s->ds.base = 1ull << 32; }
static void ds_vm86_base(struct kvm_sregs *s)	{ s->ds.base += 16; }
static void es_vm86_limit(struct kvm_sregs *s)	{ s->es.limit = 0xffffe; }
static void fs_vm86_rights(struct kvm_sregs *s)	{ s->fs.dpl = 0; }
/* clang-format on */

struct bad_state {
	void (*make)(struct kvm_sregs *s);
	const char *why;
};

static const struct bad_state any_mode[] = {
	{ tr_unusable, "TR is unusable" },
	{ tr_gate, "TR is no busy TSS" },
	{ tr_in_ldt, "TR is in the LDT" },
	{ tr_limit, "TR's limit does not fit its G bit" },
	{ ldt_type, "LDTR is no LDT" },
};

static const struct bad_state protected_mode[] = {
	{ cs_unusable, "CS is unusable" },
	{ cs_read_only, "CS is no accessed code segment" },
	{ ss_read_only, "SS is no accessed, writable data segment" },
	{ es_execute_only, "a data segment is unreadable code" },
	{ fs_system, "a segment register holds a system descriptor" },
	{ ds_limit, "a segment's limit does not fit its G bit" },
	{ ds_base, "the base of CS, SS, DS or ES has more than 32 bits" },
};

static const struct bad_state vm86[] = {
	{ ds_vm86_base, "a segment's base is not 16 times its selector" },
	{ es_vm86_limit, "a segment's limit is not FFFF" },
	{ fs_vm86_rights, "a segment's access rights are not F3" },
};

static void each(struct vcpu *v, const struct bad_state *t, size_t n)
{
	struct kvm_sregs good, s;

	get_sregs(v, &good);
	for (; n--; t++) {
		s = good;
		t->make(&s);
		set_sregs(v, &s);
		if (test_on_svm()) {
			expect_runs(v);
		} else {
			expect_refused(v, t->why);
			/* A second try fails in the same way. */
			expect_refused(v, t->why);
		}
		set_sregs(v, &good);
		expect_runs(v);
	}
}

static void bad_state(long mode)
{
	struct vcpu *v = START(mode, spin);

	if (test_on_kvm() && !test_on_svm())
		SKIP("KVM emulates such guests on VMX");
	each(v, any_mode, ARRAY_SIZE(any_mode));
	if (test_on_svm())
		return; /* The other states make guests that fault at once. */
	if (mode == M_VM86)
		each(v, vm86, ARRAY_SIZE(vm86));
	else if (mode != M_REAL && mode != M_BIGREAL)
		each(v, protected_mode, ARRAY_SIZE(protected_mode));
}

/* A host without "unrestricted guest" has no real mode for its guests. */
static void real_mode(long mode)
{
	bool without = test_without_real_mode();
	struct vm *vm = vm_create(4 << 20);
	struct vcpu *v = vcpu_create(vm);

	vm_load(vm, spin);
	vcpu_set_mode(v, mode);
	if (without)
		expect_refused(v, "real mode needs \"unrestricted guest\"");
	else
		expect_runs(v);
	vcpu_set_mode(v, M_PROT32);
	expect_runs(v);
}

static const struct test_case cases[] = {
	CASE_ALL("bad segments", bad_state),
	{ "entered or explained (real)", real_mode, M_REAL },
	{ "entered or explained (big real)", real_mode, M_BIGREAL },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
