// SPDX-License-Identifier: GPL-2.0
/* MSRs that the VMM answers, and its filter of MSRs. */
#include <sys/ioctl.h>

#include "guest.h"

#define MSR_NOBODY 0x4000ff00 /* no CPU and no hypervisor has it */
#define MSR_LSTAR 0xc0000082
#define MSR_KERNEL_GS 0xc0000102
#define MSR_PAT 0x277

static int enable_user_msrs(struct vcpu *v, uint64_t reasons)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args[0] = reasons,
	};

	return ioctl(v->vm->fd, KVM_ENABLE_CAP, &cap);
}

static int set_filter(struct vcpu *v, struct kvm_msr_filter *f)
{
	return ioctl(v->vm->fd, KVM_X86_SET_MSR_FILTER, f);
}

static enum stop access_msr(struct vcpu *v, bool write, uint32_t msr,
			    uint64_t value)
{
	vcpu_set_mode(v, v->mode);
	return vcpu_access_msr(v, write, msr, value);
}

static uint64_t value_read(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	CHECK_EQ(r.rax >> 32, 0);
	CHECK_EQ(r.rdx >> 32, 0);
	return r.rdx << 32 | r.rax;
}

static void faults(struct vcpu *v, bool write, uint32_t msr, uint64_t value)
{
	CHECK_EQ(access_msr(v, write, msr, value), STOP_EXC);
	CHECK_EQ(v->exc.vector, GP);
}

/* The access comes to the VMM, which has still to answer. */
static void exits(struct vcpu *v, bool write, uint32_t msr, uint64_t value,
		  unsigned int reason)
{
	struct kvm_regs r;

	REQUIRE_EQ(access_msr(v, write, msr, value), STOP_OTHER);
	REQUIRE_EQ(v->run->exit_reason,
		   write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR);
	CHECK_EQ(v->run->msr.reason, reason);
	CHECK_EQ(v->run->msr.index, msr);
	if (write)
		CHECK_EQ(v->run->msr.data, value);
	get_regs(v, &r);
	CHECK_EQ(r.rip, mode_entry(v->mode));
}

static void answered(long mode)
{
	struct vcpu *v = guest_start(mode, "", "" + 1);
	const uint64_t value = 0x123456789abcdef0;

	errno = 0;
	CHECK_EQ(enable_user_msrs(v, 1 << 31), -1);
	CHECK_EQ(errno, EINVAL);
	faults(v, false, MSR_NOBODY, 0);
	faults(v, true, MSR_NOBODY, 0);

	REQUIRE_EQ(enable_user_msrs(v, KVM_MSR_EXIT_REASON_UNKNOWN), 0);
	exits(v, false, MSR_NOBODY, 0, KVM_MSR_EXIT_REASON_UNKNOWN);
	v->run->msr.data = value;
	EXPECT(v, STOP_END);
	CHECK_EQ(value_read(v), value);
	exits(v, true, MSR_NOBODY, value, KVM_MSR_EXIT_REASON_UNKNOWN);
	EXPECT(v, STOP_END);
	/* The VMM may also let it fault. */
	exits(v, false, MSR_NOBODY, 0, KVM_MSR_EXIT_REASON_UNKNOWN);
	v->run->msr.error = 1;
	EXPECT_EXC(v, GP, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));

	/* A value that the MSR cannot have is another reason. */
	faults(v, true, MSR_PAT, ~0ull);
	REQUIRE_EQ(enable_user_msrs(v, KVM_MSR_EXIT_REASON_INVAL), 0);
	faults(v, false, MSR_NOBODY, 0);
	exits(v, true, MSR_PAT, ~0ull, KVM_MSR_EXIT_REASON_INVAL);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static void filtered(long mode)
{
	struct vcpu *v = guest_start(mode, "", "" + 1);
	uint8_t none[32] = { 0 }, lstar[8] = { 1 << 2 };
	struct kvm_msr_filter f = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = KVM_MSR_FILTER_READ,
			       .base = MSR_KERNEL_GS,
			       .nmsrs = 1,
			       .bitmap = none },
	};
	const struct kvm_msr_filter off = { 0 };
	const uint64_t value = 0x123456789a;

	/* A register that exits no guest: reads are denied, writes are not. */
	REQUIRE_EQ(set_filter(v, &f), 0);
	CHECK_EQ(access_msr(v, true, MSR_KERNEL_GS, value), STOP_END);
	faults(v, false, MSR_KERNEL_GS, 0);
	REQUIRE_EQ(enable_user_msrs(v, KVM_MSR_EXIT_REASON_FILTER), 0);
	exits(v, false, MSR_KERNEL_GS, 0, KVM_MSR_EXIT_REASON_FILTER);
	v->run->msr.data = 7;
	EXPECT(v, STOP_END);
	CHECK_EQ(value_read(v), 7);

	/* The same without a filter. */
	f = off;
	REQUIRE_EQ(set_filter(v, &f), 0);
	CHECK_EQ(access_msr(v, false, MSR_KERNEL_GS, 0), STOP_END);
	CHECK_EQ(value_read(v), value);

	/* Nothing but LSTAR; what is refused changes nothing of that. */
	f = (struct kvm_msr_filter){
		.flags = KVM_MSR_FILTER_DEFAULT_DENY,
		.ranges[3] = { .flags = KVM_MSR_FILTER_READ |
					KVM_MSR_FILTER_WRITE,
			       .base = 0xc0000080,
			       .nmsrs = 5,
			       .bitmap = lstar },
	};
	REQUIRE_EQ(set_filter(v, &f), 0);
	CHECK_EQ(access_msr(v, true, MSR_LSTAR, value), STOP_END);
	CHECK_EQ(access_msr(v, false, MSR_LSTAR, 0), STOP_END);
	CHECK_EQ(value_read(v), value);
	f.flags = 1 << 5;
	CHECK_EQ(set_filter(v, &f), -1);
	f.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	f.ranges[3].flags = 1 << 5;
	CHECK_EQ(set_filter(v, &f), -1);
	f.ranges[3].flags = KVM_MSR_FILTER_READ;
	f.ranges[3].nmsrs = 8 * KVM_MSR_FILTER_MAX_BITMAP_SIZE + 1;
	CHECK_EQ(set_filter(v, &f), -1);
	f.ranges[3].nmsrs = 64;
	f.ranges[3].bitmap = NULL;
	CHECK_EQ(set_filter(v, &f), -1);
	CHECK_EQ(errno, EFAULT);
	f = off;
	f.flags = KVM_MSR_FILTER_DEFAULT_DENY;
	CHECK_EQ(set_filter(v, &f), -1);
	CHECK_EQ(set_filter(v, NULL), -1);
	exits(v, true, MSR_PAT, 0, KVM_MSR_EXIT_REASON_FILTER);
	EXPECT(v, STOP_END);
	exits(v, false, 0xc0000083, 0, KVM_MSR_EXIT_REASON_FILTER);
	EXPECT(v, STOP_END);
	/* The VMM itself is not filtered. */
	vcpu_set_mode(v, mode);
	/* x2APIC registers are never filtered: there is none. */
	faults(v, false, 0x802, 0);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_PROT("answered by the VMM", answered),
		{ "answered by the VMM (real)", answered, M_REAL },
		CASE_PROT("filtered", filtered),
		{ "filtered (real)", filtered, M_REAL },
		{}
	};

	return test_main(argc, argv, cases);
}
