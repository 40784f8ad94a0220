// SPDX-License-Identifier: GPL-2.0
/*
 * CPU state: CPUID and MSRs as set by the VMM, FPU and debug registers of two
 * vCPUs and of the host kept apart, single steps.
 */
#include <stdlib.h>

#include "guest.h"

DECLARE_PAYLOAD(cpuid);
DECLARE_PAYLOAD(cpuid_xcr0);
DECLARE_PAYLOAD(msr);
DECLARE_PAYLOAD(fpu);
DECLARE_PAYLOAD(debugreg);
DECLARE_PAYLOAD(step);

static void put32(struct vcpu *v, uint32_t val)
{
	memcpy((uint8_t *)v->run + v->run->io.data_offset, &val,
	       v->run->io.size);
}

/* Has the guest execute CPUID. It waits for a leaf before and after this. */
static void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t index,
			uint32_t out[4])
{
	unsigned int i;

	v->nr_vals = 0;
	put32(v, leaf);
	EXPECT(v, STOP_IO);
	put32(v, index);
	EXPECT(v, STOP_IO);
	REQUIRE_EQ(v->nr_vals, 4);
	for (i = 0; i < 4; i++)
		out[i] = v->val[i];
}

/* Every leaf that the VMM sets, as the guest sees it. */
static void cpuid_leaves(long unused)
{
	struct vcpu *v = START(M_LONG, cpuid);
	struct kvm_cpuid2 *c = supported_cpuid(v->vm->dev);
	unsigned int i, compared = 0;

	EXPECT(v, STOP_IO);
	for (i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];
		uint32_t r[4];

		guest_cpuid(v, e->function, e->index, r);
		/* These follow CR4 and XCR0, or name the APIC or the hypervisor. */
		if (e->function == 1 || e->function == 7 ||
		    e->function == 0xb || e->function == 0xd ||
		    e->function == 0x1f || e->function >> 16 == 0x4000)
			continue;
		compared++;
		if (r[0] != e->eax || r[1] != e->ebx || r[2] != e->ecx ||
		    r[3] != e->edx)
			FAIL("leaf %#x.%u: %#x %#x %#x %#x, not %#x %#x %#x %#x",
			     e->function, e->index, r[0], r[1], r[2], r[3],
			     e->eax, e->ebx, e->ecx, e->edx);
	}
	CHECK(compared > 5);
	put32(v, ~0u);
	EXPECT(v, STOP_END);
}

/* CPUID must never offer these features. */
static void cpuid_filter(long unused)
{
	int dev = dev_open();

	CHECK(cpuid_has(dev, 1, 0, 3, 5)); /* MSR */
	CHECK(cpuid_has(dev, 1, 0, 3, 6)); /* PAE */
	CHECK(cpuid_has(dev, 0x80000001, 0, 3, 29)); /* LM */
	CHECK(cpuid_has(dev, 0x80000001, 0, 3, 20)); /* NX */
	CHECK(!cpuid_has(dev, 1, 0, 2, 5)); /* VMX */
	CHECK(!cpuid_has(dev, 1, 0, 2, 3)); /* MONITOR */
}

/* OSXSAVE follows CR4. */
static void cpuid_osxsave(long unused)
{
	struct vcpu *v = START(M_LONG, cpuid);
	struct kvm_sregs s;
	uint32_t r[4];

	if (!cpuid_has(v->vm->dev, 1, 0, 2, 26))
		SKIP("no XSAVE for guests on this CPU");
	EXPECT(v, STOP_IO);
	guest_cpuid(v, 1, 0, r);
	CHECK_EQ(r[2] >> 27 & 1, 0);
	get_sregs(v, &s);
	s.cr4 |= CR4_OSXSAVE;
	set_sregs(v, &s);
	guest_cpuid(v, 1, 0, r);
	CHECK_EQ(r[2] >> 27 & 1, 1);
}

/* every leaf as the guest reads it, and as KVM_GET_CPUID2 tells it now */
static void compare_cpuid(struct vcpu *v, struct kvm_cpuid2 *c)
{
	unsigned int i;

	c->nent = 200;
	REQUIRE_EQ(ioctl(v->fd, KVM_GET_CPUID2, c), 0);
	for (i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];
		uint32_t r[4];

		guest_cpuid(v, e->function, e->index, r);
		if (r[0] != e->eax || r[1] != e->ebx || r[2] != e->ecx ||
		    r[3] != e->edx)
			FAIL("leaf %#x.%u: the guest reads %#x %#x %#x %#x, told %#x %#x %#x %#x",
			     e->function, e->index, r[0], r[1], r[2], r[3],
			     e->eax, e->ebx, e->ecx, e->edx);
	}
}

/* of leaf @leaf, subleaf @index */
static const struct kvm_cpuid_entry2 *entry_of(const struct kvm_cpuid2 *c,
					       uint32_t leaf, uint32_t index)
{
	unsigned int i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf &&
		    c->entries[i].index == index)
			return &c->entries[i];
	ERROR("there is no leaf %#x.%u", leaf, index);
}

static struct kvm_cpuid2 *cpuid_room(void)
{
	return calloc(1, sizeof(struct kvm_cpuid2) +
				 200 * sizeof(struct kvm_cpuid_entry2));
}

static void set_osxsave(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.cr4 |= CR4_OSXSAVE;
	set_sregs(v, &s);
}

static void cpuid_get(long unused)
{
	struct vcpu *v = START(M_LONG, cpuid);
	struct kvm_cpuid2 *before, *after;

	if (!cpuid_has(v->vm->dev, 1, 0, 2, 26))
		SKIP("no XSAVE for guests on this CPU");
	before = cpuid_room();
	after = cpuid_room();
	EXPECT(v, STOP_IO);
	compare_cpuid(v, before);
	CHECK_EQ(entry_of(before, 1, 0)->ecx >> 27 & 1, 0);
	set_osxsave(v);
	compare_cpuid(v, after);
	CHECK_EQ(entry_of(after, 1, 0)->ecx >> 27 & 1, 1);

	/* both are the CPUID that the vCPU has: what follows its state is none */
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, after));
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, before));
	before->entries[0].ebx ^= 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_CPUID2, before), EINVAL);
	compare_cpuid(v, after);
	put32(v, ~0u);
	EXPECT(v, STOP_END);
	free(before);
	free(after);
	vm_destroy(v->vm);
}

/* the sizes in leaf 0xD are those of the components that XCR0 has */
static void cpuid_get_xcr0(long unused)
{
	struct vcpu *v = START(M_LONG, cpuid_xcr0);
	struct kvm_cpuid2 *c = cpuid_room();

	SKIP_ON_TCG("QEMU TCG does not intercept XSETBV");
	if (!cpuid_has(v->vm->dev, 1, 0, 2, 28))
		SKIP("no AVX for guests on this CPU");
	set_osxsave(v);
	EXPECT(v, STOP_IO);
	c->nent = 200;
	CHECK_OK(ioctl(v->fd, KVM_GET_CPUID2, c));
	CHECK_EQ(entry_of(c, 0xd, 0)->ebx, 576); /* x87 and SSE, always */
	put32(v, 7);
	EXPECT(v, STOP_IO);
	compare_cpuid(v, c);
	CHECK_EQ(entry_of(c, 0xd, 0)->ebx, 832);
	put32(v, ~0u);
	EXPECT(v, STOP_END);
	free(c);
	vm_destroy(v->vm);
}

static uint64_t guest_rdmsr(struct vcpu *v, uint32_t msr)
{
	v->nr_vals = 0;
	put32(v, msr);
	EXPECT(v, STOP_IO);
	put32(v, 0);
	EXPECT(v, STOP_IO);
	REQUIRE_EQ(v->nr_vals, 2);
	return v->val[0] | v->val[1] << 32;
}

static void guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t val)
{
	put32(v, msr);
	EXPECT(v, STOP_IO);
	put32(v, 1);
	EXPECT(v, STOP_IO);
	put32(v, val >> 32);
	EXPECT(v, STOP_IO);
	put32(v, val);
	EXPECT(v, STOP_IO);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry e;
};

static int msr_ioctl(struct vcpu *v, unsigned long what, uint32_t index,
		     uint64_t *val)
{
	struct one_msr m = { .head.nmsrs = 1,
			     .e.index = index,
			     .e.data = *val };
	int r = ioctl(v->fd, what, &m);

	*val = m.e.data;
	return r;
}

/* The VMM writes MSRs that the guest reads, and the other way round. */
static void msrs(long unused)
{
	static const struct {
		uint32_t msr;
		uint64_t val, other;
	} list[] = {
		/* STAR, LSTAR, CSTAR, SFMASK */
		{ 0xc0000081, 0x0023001000000000, 0x0033000800000000 },
		{ 0xc0000082, 0xffffffff81000000, 0xffffffff81002000 },
		{ 0xc0000083, 0xffffffff82000000, 0xffff888000002000 },
		{ 0xc0000084, 0x47700, 0x200 },
		/* FS_BASE, GS_BASE, KERNEL_GS_BASE */
		{ 0xc0000100, 0x7f0012345678, 0xffff800000000000 },
		{ 0xc0000101, 0xffff888012345678, 0x1000 },
		{ 0xc0000102, 0xffff888087654321, 0x2000 },
		/* SYSENTER_CS, ESP, EIP: AMD has 32 bits of them */
		{ 0x174, 0x10, 0x20 },
		{ 0x175, 0x80123456, 0x1000 },
		{ 0x176, 0x80654321, 0x2000 },
		/* PAT */
		{ 0x277, 0x0007040600070406, 0x0606060606060606 },
	};
	struct vcpu *v = START(M_LONG, msr);
	unsigned int i;
	uint64_t val;

	EXPECT(v, STOP_IO);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		val = list[i].val;
		if (msr_ioctl(v, KVM_SET_MSRS, list[i].msr, &val) != 1)
			FAIL("KVM_SET_MSRS of %#x", list[i].msr);
		if (guest_rdmsr(v, list[i].msr) != list[i].val)
			FAIL("the guest does not read %#x as it was set",
			     list[i].msr);
		guest_wrmsr(v, list[i].msr, list[i].other);
		val = 0;
		if (msr_ioctl(v, KVM_GET_MSRS, list[i].msr, &val) != 1)
			FAIL("KVM_GET_MSRS of %#x", list[i].msr);
		if (val != list[i].other)
			FAIL("MSR %#x is %#llx", list[i].msr,
			     (unsigned long long)val);
	}
	/* An MSR that does not exist ends the list, and is no error. */
	val = 0;
	CHECK_EQ(msr_ioctl(v, KVM_GET_MSRS, 0xdead, &val), 0);
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0xdead, &val), 0);
	guest_rdmsr(v, 0xc0000082);
	put32(v, ~0u);
	EXPECT(v, STOP_END);
}

/* Has the guest execute CPUID. True: it raised #GP, at the instruction. */
static bool cpuid_faults(struct vcpu *v, bool user)
{
	static const uint8_t code[] = { 0x0f, 0xa2, 0xe6, PORT_END };
	struct kvm_regs r;

	vcpu_set_mode(v, v->mode);
	memcpy(vm_ram(v->vm, GUEST_CODE, sizeof(code)), code, sizeof(code));
	if (user)
		vcpu_enter_user(v);
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rax = 0;
	set_regs(v, &r);
	if (vcpu_go(v) == STOP_END)
		return false;
	CHECK_EQ(v->exc.vector, GP);
	CHECK_EQ(v->exc.rip, mode_entry(v->mode));
	return true;
}

/* As the hardware of Intel's that has it: the kernel may, user code gets #GP. */
static void cpuid_faulting(long mode)
{
	struct vcpu *v = START(mode, cpuid);
	bool vm86 = mode == M_VM86;
	uint64_t val = 0;

	CHECK_EQ(msr_ioctl(v, KVM_GET_MSRS, 0xce, &val), 1);
	CHECK_EQ(val, 1u << 31);
	CHECK(!cpuid_faults(v, false));
	val = 2;
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x140, &val), 0);
	val = 1;
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x140, &val), 1);
	CHECK_EQ(cpuid_faults(v, false), vm86);
	if (mode_paged(mode) || mode == M_PROT32)
		CHECK(cpuid_faults(v, true));
	/* What is in use cannot be taken away. */
	val = 0;
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0xce, &val), 0);
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x140, &val), 1);
	CHECK(!cpuid_faults(v, false));
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0xce, &val), 1);
	val = 1;
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x140, &val), 0);
}

/*
 * Windows reads these without asking CPUID: the platform's number, and what RAPL
 * counts. A read gives 0, as in KVM, and what was read can be written back.
 */
static void platform_msrs(long unused)
{
	static const uint32_t list[] = {
		0x17, 0x606, 0x611, 0x619, 0x639, 0x641
	};
	struct vcpu *v = START(M_LONG, msr);
	uint64_t val;
	unsigned int i;

	EXPECT(v, STOP_IO);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		CHECK_EQ(guest_rdmsr(v, list[i]), 0);
		val = 1;
		CHECK_EQ(msr_ioctl(v, KVM_GET_MSRS, list[i], &val), 1);
		CHECK_EQ(val, 0);
		guest_wrmsr(v, list[i], 0);
	}
	put32(v, ~0u);
	EXPECT(v, STOP_END);
}

/*
 * IA32_ARCH_CAPABILITIES: what the host offers is what the guest reads; the VMM may
 * change it, and the guest may not. Without the bit of CPUID it does not exist.
 */
static void arch_capabilities(long unused)
{
	struct vcpu *v = START(M_LONG, msr);
	struct one_msr m = { .head.nmsrs = 1, .e.index = 0x10a };
	struct kvm_cpuid2 *c = supported_cpuid(v->vm->dev);
	struct kvm_cpuid_entry2 *e =
		(struct kvm_cpuid_entry2 *)entry_of(c, 7, 0);
	uint64_t val = 0x101;

	if (!e || !(e->edx & 1u << 29)) {
		CHECK_EQ(ioctl(v->vm->dev, KVM_GET_MSRS, &m), 0);
		CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x10a, &val), 0);
		CHECK(test_on_svm());
		return;
	}
	REQUIRE_EQ(ioctl(v->vm->dev, KVM_GET_MSRS, &m), 1);
	/* PSCHANGE_MC_NO: nobody's guests are given large pages to execute. */
	CHECK(m.e.data & 1 << 6);
	EXPECT(v, STOP_IO);
	CHECK_EQ(guest_rdmsr(v, 0x10a), m.e.data);
	CHECK_EQ(msr_ioctl(v, KVM_SET_MSRS, 0x10a, &val), 1);
	CHECK_EQ(guest_rdmsr(v, 0x10a), val);
	put32(v, 0x10a);
	EXPECT(v, STOP_IO);
	put32(v, 1);
	EXPECT(v, STOP_IO);
	put32(v, 0);
	EXPECT(v, STOP_IO);
	put32(v, val);
	EXPECT_EXC(v, GP, 0);
	vm_destroy(v->vm);

	v = START(M_LONG, msr);
	e->edx &= ~(1u << 29);
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, c));
	EXPECT(v, STOP_IO);
	put32(v, 0x10a);
	EXPECT(v, STOP_IO);
	put32(v, 0);
	EXPECT_EXC(v, GP, 0);
	free(c);
}

static struct vcpu *start_rbp(const char *start, const char *end, uint64_t rbp)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rbp = rbp;
	set_regs(v, &r);
	return v;
}

/* Two VMs take turns, and the host uses the registers in between. */
static void take_turns(const char *start, const char *end, unsigned int turns,
		       bool host_sse)
{
	struct vcpu *v[2] = { start_rbp(start, end, 11),
			      start_rbp(start, end, 22) };
	unsigned int i, k;

	for (i = 0; i < turns; i++) {
		for (k = 0; k < 2; k++) {
			uint64_t mine[2] = { 0x0123456789abcdef + i, i },
				 out[2];
			uint32_t mxcsr = 0x1fa0, mxcsr_out;

			if (host_sse)
				asm volatile(
					"movdqu %0, %%xmm7; ldmxcsr %1" ::"m"(
						mine),
					"m"(mxcsr)
					: "xmm7");
			EXPECT(v[k], STOP_SYNC);
			if (!host_sse)
				continue;
			/* The guest's MXCSR would show here */
			asm volatile("stmxcsr %0; movdqu %%xmm7, %1"
				     : "=m"(mxcsr_out), "=m"(out)::"memory");
			CHECK_EQ(mxcsr_out & ~0x3f, 0x1f80);
		}
	}
	for (k = 0; k < 2; k++) {
		EXPECT(v[k], STOP_END);
		if (v[k]->nr_vals)
			FAIL("vCPU %u reads %#llx", k,
			     (unsigned long long)v[k]->val[0]);
	}
}

static void fpu(long unused)
{
	take_turns(pl_fpu, pl_fpu_end, 200, true);
}

/*
 * Compares all XMM registers of the host around a raw KVM_RUN of a guest that
 * uses them.
 */
static void fpu_host(long unused)
{
	struct vcpu *v = start_rbp(pl_fpu, pl_fpu_end, 33);
	uint8_t in[16][16], out[16][16];
	uint16_t fcw = 0x027f, fcw_out;
	unsigned int i, k;
	long r;

	for (i = 0; i < 16; i++)
		memset(in[i], 0xa0 + i, 16);
	for (i = 0; i < 50; i++) {
		asm volatile(
			"fldcw %[fcw]\n"
			".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			"movdqu \\n*16(%[in]), %%xmm\\n\n"
			".endr\n"
			"mov %[nr], %%eax\n"
			"mov %[fd], %%edi\n"
			"mov %[cmd], %%esi\n"
			"xor %%edx, %%edx\n"
			"syscall\n"
			".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			"movdqu %%xmm\\n, \\n*16(%[out])\n"
			".endr\n"
			"fnstcw %[fcw_out]\n"
			: "=&a"(r), [fcw_out] "=m"(fcw_out)
			: [in] "r"(in), [out] "r"(out), [fcw] "m"(fcw),
			  [nr] "i"(16), [fd] "m"(v->fd), [cmd] "i"((int)KVM_RUN)
			: "rdi", "rsi", "rdx", "rcx", "r11", "memory", "xmm0",
			  "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			  "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
			  "xmm13", "xmm14", "xmm15");
		if (r < 0 && r != -EINTR)
			ERROR("KVM_RUN: %ld", r);
		for (k = 0; k < 16; k++)
			if (memcmp(in[k], out[k], 16))
				FAIL("xmm%u of the host changed", k);
		CHECK_EQ(fcw_out, fcw);
	}
	while (vcpu_go(v) == STOP_SYNC)
		;
	CHECK_EQ(v->nr_vals, 0);
}

/* The state of one vCPU moves into another by KVM_GET_FPU and KVM_SET_FPU. */
static void fpu_move(long unused)
{
	struct kvm_fpu f = { 0 };
	struct kvm_sregs s;
	struct vcpu *a, *b;
	struct kvm_regs r;
	uint32_t x;

	SKIP_ON_KVM("stock KVM's GET_FPU and SET_FPU drop MXCSR and XMM state");
	a = start_rbp(pl_fpu, pl_fpu_end, 44);
	b = start_rbp(pl_fpu, pl_fpu_end, 44);
	EXPECT(a, STOP_SYNC);
	vcpu_settle(a);
	CHECK_OK(ioctl(a->fd, KVM_GET_FPU, &f));
	memcpy(&x, f.xmm[0], 4);
	CHECK_EQ(x, 44);
	memcpy(&x, f.xmm[15], 4);
	CHECK_EQ(x, 132);
	get_regs(a, &r);
	memcpy(vm_ram(b->vm, GUEST_DATA, 0x1000),
	       vm_ram(a->vm, GUEST_DATA, 0x1000), 0x1000);
	get_sregs(b, &s);
	s.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	set_sregs(b, &s);
	set_regs(b, &r);
	CHECK_EQ(f.mxcsr, rd32(a->vm, GUEST_DATA + 0x800 + 44 * 8));
	CHECK_OK(ioctl(b->fd, KVM_SET_FPU, &f));
	while (vcpu_go(b) == STOP_SYNC)
		;
	if (b->nr_vals)
		FAIL("the moved state differs: %#llx",
		     (unsigned long long)b->val[0]);
}

static void debug_registers(long unused)
{
	take_turns(pl_debugreg, pl_debugreg_end, 100, false);
}

#define S(n) DECLARE_LABEL(step, s##n)
S(0);
S(1);
S(2);
S(3);
S(4);
S(5);
S(6);
S(7);
S(8);
S(9);
S(10);

static void single_step(long mode)
{
	/* Popf's own trap flag takes effect behind the next instruction. */
	const char *const want[] = {
		pl_step_s1, pl_step_s2, pl_step_s3, pl_step_s4, pl_step_s5,
		pl_step_s6, pl_step_s7, pl_step_s8, pl_step_s9, pl_step_s10,
	};
	struct vcpu *v;
	unsigned int n = 0;
	enum stop stop;

	SKIP_ON_KVM("stock KVM raises #DB late behind MMIO");
	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	v = START(mode, step);
	while ((stop = vcpu_go(v)) != STOP_END) {
		if (stop == STOP_IO || stop == STOP_MMIO)
			continue;
		if (stop != STOP_EXC || v->exc.vector != DB) {
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
		if (n >= ARRAY_SIZE(want)) {
			FAIL("a step too much, at %#llx",
			     (unsigned long long)v->exc.rip);
			break;
		}
		if (v->exc.rip != GUEST_CODE + (uint64_t)(want[n] - pl_step))
			FAIL("step %u at %#llx, not %#llx", n,
			     (unsigned long long)v->exc.rip,
			     (unsigned long long)(GUEST_CODE +
						  (want[n] - pl_step)));
		n++;
	}
	CHECK_EQ(n, ARRAY_SIZE(want));
}

static const struct test_case cases[] = {
	{ "CPUID leaves", cpuid_leaves },
	{ "CPUID filter", cpuid_filter },
	{ "CPUID OSXSAVE", cpuid_osxsave },
	{ "KVM_GET_CPUID2 follows CR4", cpuid_get },
	{ "KVM_GET_CPUID2 follows XCR0", cpuid_get_xcr0 },
	{ "MSRs", msrs },
	{ "MSRs of the platform", platform_msrs },
	CASE_ALL("CPUID faulting", cpuid_faulting),
	{ "ARCH_CAPABILITIES", arch_capabilities },
	{ "FPU of two guests and the host", fpu },
	{ "XMM registers of the host", fpu_host },
	{ "KVM_GET_FPU into KVM_SET_FPU", fpu_move },
	{ "debug registers of two guests", debug_registers },
	{ "single step (long)", single_step, M_LONG },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
