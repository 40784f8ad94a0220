// SPDX-License-Identifier: GPL-2.0
/* Kernels in ring 1: their privileged instructions, and their callbacks. */
#include "ring1.h"

/* ---- privileged instructions ---- */

static void control_registers(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct kvm_sregs s;

	get_sregs(v, &s);
	CHECK_EQ(run1(v, AT(v, from_cr0), 0), s.cr0);
	CHECK_EQ(run1(v, AT(v, from_cr3), 0), s.cr3);
	CHECK_EQ(run1(v, AT(v, from_cr4), 0), s.cr4);
	run1(v, AT(v, to_cr2), 0x12345678);
	CHECK_EQ(run1(v, AT(v, from_cr2), 0), 0x12345678);
	run1(v, AT(v, to_cr0), s.cr0 | CR0_TS);
	CHECK_EQ(run1(v, AT(v, from_cr0), 0), s.cr0 | CR0_TS);
	run1(v, AT(v, clts), 0);
	CHECK_EQ(run1(v, AT(v, from_cr0), 0), s.cr0 & ~CR0_TS);
	run1(v, AT(v, lmsw), (s.cr0 & 0xf) | CR0_TS);
	CHECK_EQ(run1(v, AT(v, from_cr0), 0), s.cr0 | CR0_TS);
	run1(v, AT(v, clts), 0);
	run1(v, AT(v, to_cr4), s.cr4 ^ CR4_PGE);
	CHECK_EQ(run1(v, AT(v, from_cr4), 0), s.cr4 ^ CR4_PGE);
	run1(v, AT(v, to_cr3), s.cr3);
	run1(v, AT(v, to_dr), 0x5678);
	CHECK_EQ(run1(v, AT(v, from_dr), 0), 0x5678);
	vm_destroy(v->vm);
}

static void other_privileged(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct kvm_regs r;

	run1(v, AT(v, invlpg), 0);
	run1(v, AT(v, wbinvd), 0);
	run1(v, AT(v, invd), 0);
	get_regs(v, &r);
	r.rip = AT(v, hlt);
	set_regs(v, &r);
	EXPECT(v, STOP_HLT);
	get_regs(v, &r);
	CHECK_EQ(r.rip, AT(v, hlt) + 1);

	r.rip = AT(v, wrmsr);
	r.rcx = MSR_SYSENTER_EIP;
	r.rax = 0x4321;
	r.rdx = 0;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ(msr(v, MSR_SYSENTER_EIP, NULL), 0x4321);
	get_regs(v, &r);
	r.rip = AT(v, rdmsr);
	r.rax = 0;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	CHECK_EQ(r.rax, 0x4321);
	vm_destroy(v->vm);
}

/* #GP(0) at @rip, which comes with @si in RSI. */
static void refused_at(struct vcpu *v, unsigned int ring, uint64_t rip,
		       uint64_t si)
{
	struct kvm_regs r;
	struct frame f;

	go_to(v, ring, rip);
	get_regs(v, &r);
	r.rsi = si;
	set_regs(v, &r);
	ENTERED(v, on_gp, &f);
	CHECK_EQ(f.w[0], 0);
	CHECK_EQ(f.w[1], rip);
	CHECK_EQ(f.w[2], ring == 3 ? ring3_cs(v) : ring1_cs(v));
}

/* What CR4 closes to user mode is open to the kernel in ring 1, too. */
static void closed_to_users(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct kvm_sregs s;
	struct kvm_regs r;

	get_sregs(v, &s);
	run1(v, AT(v, to_cr4), s.cr4 | CR4_TSD);
	get_regs(v, &r);
	r.rip = AT(v, rdtsc);
	r.rax = r.rdx = 0;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	CHECK(r.rax | r.rdx);
	refused_at(v, 3, AT(v, rdtsc), 0);
	if (!cpuid_has(v->vm->dev, 7, 0, 2, 2))
		goto out;
	go_to(v, 1, 0);
	run1(v, AT(v, to_cr4), s.cr4 | CR4_UMIP);
	CHECK_EQ(run1(v, AT(v, smsw), 0) & 0xffff, s.cr0 & 0xffff);
	CHECK_EQ(run1(v, AT(v, sldt), ~0ull) & 0xffff, s.ldt.selector);
	refused_at(v, 3, AT(v, smsw), 0);
out:
	vm_destroy(v->vm);
}

static void set_xcr0(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct kvm_sregs s;
	struct kvm_regs r;

	if (!cpuid_has(v->vm->dev, 1, 0, 2, 26))
		SKIP("no XSAVE on this CPU");
	get_sregs(v, &s);
	run1(v, AT(v, to_cr4), s.cr4 | CR4_OSXSAVE);
	get_regs(v, &r);
	r.rip = AT(v, xsetbv);
	r.rcx = 0;
	r.rax = 3;
	r.rdx = 0;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static void swap_gs(long mode)
{
	const uint64_t kernel = 0xffff800000001000;
	struct vcpu *v = begin_at(mode, 1);
	extern const char pl_ring164_swapgs[];
	struct kvm_sregs s;
	struct frame f;
	uint64_t at = GUEST_CODE + (pl_ring164_swapgs - pl_ring164);

	vcpu_ring_sregs(v, &s);
	s.gs.base = 0x5000;
	set_sregs(v, &s);
	msr(v, MSR_KERNEL_GS_BASE, &kernel);
	run1(v, at, 0);
	get_sregs(v, &s);
	CHECK_EQ(s.gs.base, kernel);
	CHECK_EQ(msr(v, MSR_KERNEL_GS_BASE, NULL), 0x5000);
	go_to(v, 3, at);
	ENTERED(v, on_gp, &f);
	CHECK_EQ(f.w[1], at);
	vm_destroy(v->vm);
}

/* Ring 3 has none of them, and ring 1 not those that would replace the tables. */
static void not_privileged(long mode)
{
	struct vcpu *v = begin(mode);
	struct kvm_sregs s;

	get_sregs(v, &s);
	refused_at(v, 3, AT(v, from_cr0), 0);
	refused_at(v, 3, AT(v, to_cr0), s.cr0);
	refused_at(v, 3, AT(v, from_cr2), 0);
	refused_at(v, 3, AT(v, clts), 0);
	refused_at(v, 3, AT(v, from_dr), 0);
	refused_at(v, 3, AT(v, invlpg), 0);
	refused_at(v, 3, AT(v, hlt), 0);
	refused_at(v, 3, AT(v, rdmsr), 0);
	refused_at(v, 3, AT(v, wbinvd), 0);
	refused_at(v, 1, AT(v, lidt), 0);
	refused_at(v, 1, AT(v, ltr), SEL_TSS);
	refused_at(v, 1, AT(v, to_cr0), s.cr0 & ~CR0_PG);
	refused_at(v, 1, AT(v, to_cr4), s.cr4 ^ CR4_PAE);
	vm_destroy(v->vm);
}

/* ---- callbacks ---- */

/* A system call of ring 3 at @insn, @len bytes long: one exit, and the CPU's frame. */
static void expect_system_call(struct vcpu *v, uint64_t insn, unsigned int len,
			       uint64_t handler, bool masked)
{
	struct kvm_regs r;
	uint64_t before;
	struct frame f;

	go_to(v, 3, insn);
	get_regs(v, &r);
	r.rcx = 0x1111;
	set_regs(v, &r);
	/* The first one also maps pages. */
	entered(v, handler, &f, __FILE__, __LINE__);
	go_to(v, 3, insn);
	before = exits(v);
	entered(v, handler, &f, __FILE__, __LINE__);
	/* and that of the port */
	CHECK_EQ(exits(v) - before, 2);
	CHECK_EQ(f.w[0], insn + len);
	CHECK_EQ(f.w[1], ring3_cs(v));
	CHECK_EQ(f.w[2] & RFLAGS_IF, RFLAGS_IF);
	CHECK_EQ(f.w[3], GUEST_USTACK);
	CHECK_EQ(f.w[4], SEL_UDATA);
	CHECK_EQ(if_set(v), !masked);
	get_regs(v, &r);
	CHECK_EQ(r.rcx, 0x1111);

	/* Without IF the emulator builds the frame. */
	go_to(v, 3, insn);
	get_regs(v, &r);
	r.rflags &= ~RFLAGS_IF;
	set_regs(v, &r);
	entered(v, handler, &f, __FILE__, __LINE__);
	CHECK_EQ(f.w[0], insn + len);
	CHECK_EQ(f.w[1], ring3_cs(v));
	CHECK_EQ(f.w[2] & RFLAGS_IF, 0);
	CHECK_EQ(f.w[3], GUEST_USTACK);
}

static void system_calls(long mode)
{
	struct vcpu *v = begin(mode);
	unsigned int type = is_wide(v) ? SYSCALL : SYSCALL32;
	struct frame f;

	go_to(v, 3, AT(v, syscall));
	ENTERED(v, on_ud, &f);
	set_callback(v, type, 0, AT(v, on_syscall));
	expect_system_call(v, AT(v, syscall), 2, AT(v, on_syscall), false);
	expect_system_call(v, AT(v, prefix), 3, AT(v, on_syscall), false);
	set_callback(v, type, MASK_EVENTS, AT(v, on_syscall));
	expect_system_call(v, AT(v, syscall), 2, AT(v, on_syscall), true);
	go_to(v, 1, 0);
	CHECK_EQ(callback(v, UNREGISTER, type, 0, 0, 0), 0);
	go_to(v, 3, AT(v, syscall));
	ENTERED(v, on_ud, &f);
	CHECK_EQ(f.w[0], AT(v, syscall));
	/* The other width's is not this one's. */
	set_callback(v, is_wide(v) ? SYSCALL32 : SYSCALL, 0,
		     AT(v, on_syscall32));
	go_to(v, 3, AT(v, syscall));
	ENTERED(v, on_ud, &f);
	set_callback(v, SYSENTER, MASK_EVENTS, AT(v, on_sysenter));
	expect_system_call(v, AT(v, sysenter), 2, AT(v, on_sysenter), true);
	vm_destroy(v->vm);
}

/* MOV SS holds interrupts off, but not the call that comes behind it. */
static void behind_mov_ss(long mode)
{
	struct vcpu *v = begin(mode);
	struct kvm_regs r;
	struct frame f;
	unsigned int i;

	set_callback(v, SYSCALL, 0, AT(v, on_syscall));
	set_callback(v, SYSCALL32, 0, AT(v, on_syscall));
	for (i = 0; i < 3; i++) {
		go_to(v, 3, AT(v, mov_ss));
		get_regs(v, &r);
		r.rsi = SEL_UDATA;
		set_regs(v, &r);
		ENTERED(v, on_syscall, &f);
		CHECK_EQ(f.w[1], ring3_cs(v));
	}
	vm_destroy(v->vm);
}

/* 32-bit code in ring 3, and a 64-bit kernel. */
static void compat_syscall(long mode)
{
	struct vcpu *v = begin(mode);
	struct kvm_sregs s;
	struct frame f;

	set_callback(v, SYSCALL, 0, AT(v, on_syscall));
	set_callback(v, SYSCALL32, 0, AT(v, on_syscall32));
	go_to(v, 3, AT(v, syscall));
	vcpu_ring_sregs(v, &s);
	s.cs.selector = SEL_UCODE32;
	s.cs.l = 0;
	s.cs.db = 1;
	set_sregs(v, &s);
	ENTERED(v, on_syscall32, &f);
	CHECK_EQ(f.w[0], AT(v, syscall) + 2);
	CHECK_EQ(f.w[1], SEL_UCODE32);
	vm_destroy(v->vm);
}

/* An event of the VMM comes to its callback, as the interrupt 0xf3. */
static void events(long mode)
{
	struct vcpu *v = begin(mode);
	struct frame f;

	set_callback(v, EVENT, 0, AT(v, on_event));
	go_to(v, 3, AT(v, spin));
	v->pending_irq = 0xf3;
	ENTERED(v, on_event, &f);
	CHECK(f.w[0] == AT(v, spin) || f.w[0] == AT(v, spin) + 2);
	CHECK(!if_set(v));
	/* INT n of that vector is not for it. */
	go_to(v, 3, AT(v, int_ours));
	ENTERED(v, on_gp, &f);
	CHECK_EQ(f.w[1], AT(v, int_ours));
	go_to(v, 1, AT(v, int_ours));
	ENTERED(v, on_gp, &f);
	vm_destroy(v->vm);
}

static void nmis(long mode)
{
	struct vcpu *v = START_AT(mode, 3, spin);
	struct frame f;

	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	ENTERED(v, on_nmi_trap, &f);
	vm_destroy(v->vm);

	v = begin(mode);
	set_callback(v, NMI_TYPE, 0, AT(v, on_nmi));
	go_to(v, 3, AT(v, spin));
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	ENTERED(v, on_nmi, &f);
	CHECK(!if_set(v));
	vm_destroy(v->vm);
}

/* The gate of NMIs leads to the callback, so INT 2 is closed then. */
static void int_2(long mode)
{
	struct vcpu *v = begin(mode);
	struct vigil_pv pv;
	struct frame f;

	get_pv(v, &pv);
	/* They come in the order of vectors. */
	REQUIRE_EQ(traps[1].vector, NMI);
	traps[1].flags = 3;
	REQUIRE_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
	go_to(v, 3, AT(v, int_2));
	ENTERED(v, on_nmi_trap, &f);
	set_callback(v, NMI_TYPE, 0, AT(v, on_nmi));
	go_to(v, 3, AT(v, int_2));
	ENTERED(v, on_gp, &f);
	CHECK_EQ(f.w[1], AT(v, int_2));
	vm_destroy(v->vm);
}

/* Code of another width than the kernel's registers nothing. */
static void other_width(long mode)
{
	struct vcpu *v = begin(mode);
	struct vigil_pv pv;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	get_pv(v, &pv);
	gdt[SEL_FREE / 8] = 0x00cfbb000000ffff; /* ring 1, 32-bit code */
	pv.nr_gdt = SEL_FREE / 8 + 1;
	REQUIRE_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
	for (i = 0; i < 2; i++) {
		go_to(v, 1, AT(v, call));
		vcpu_ring_sregs(v, &s);
		s.cs.selector = SEL_FREE | 1;
		s.cs.l = 0;
		s.cs.db = 1;
		set_sregs(v, &s);
		get_regs(v, &r);
		r.rax = i ? NR_SET_CALLBACKS : NR_CALLBACK_OP;
		r.rbx = i ? RING1_CS32 : REGISTER;
		r.rcx = GUEST_DATA;
		r.rdx = RING1_CS32;
		r.rsi = 1;
		set_regs(v, &r);
		EXPECT(v, STOP_END);
		get_regs(v, &r);
		CHECK_EQ((int32_t)r.rax, -95);
	}
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_callbacks, 0);
	vm_destroy(v->vm);
}

static void set_callbacks(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	uint16_t cs = ring1_cs(v);
	struct vigil_pv pv;

	if (is_wide(v))
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, AT(v, on_event),
			       AT(v, on_failsafe), AT(v, on_syscall), 0),
			 0);
	else
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, cs, AT(v, on_event), cs,
			       AT(v, on_failsafe)),
			 0);
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_callbacks, is_wide(v) ? 3 : 2);
	CHECK_EQ(callbacks[0].vector, EVENT);
	CHECK_EQ(callbacks[0].flags, 4);
	CHECK_EQ(callbacks[0].cs, cs);
	CHECK_EQ(callbacks[0].ip, AT(v, on_event));
	CHECK_EQ(callbacks[1].vector, FAILSAFE);
	CHECK_EQ(callbacks[1].ip, AT(v, on_failsafe));
	if (is_wide(v)) {
		CHECK_EQ(callbacks[2].vector, SYSCALL);
		CHECK_EQ(callbacks[2].ip, AT(v, on_syscall));
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, 0, CANONICAL_END, 0, 0),
			 -XEN_EINVAL);
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, 0, 0, CANONICAL_END, 0),
			 -XEN_EINVAL);
	} else {
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, SEL_CODE32, 1, cs, 1),
			 -XEN_EPERM);
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, cs, 1, SEL_CODE32, 1),
			 -XEN_EPERM);
		CHECK_EQ(call1(v, NR_SET_CALLBACKS, cs | 0x10000, 1, cs, 1),
			 -XEN_EPERM);
	}
	/* What was refused has changed nothing. */
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_callbacks, is_wide(v) ? 3 : 2);
	CHECK_EQ(call1(v, NR_SET_CALLBACKS, 0, 0, 0, 0), 0);
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_callbacks, 0);
	vm_destroy(v->vm);
}

static void bad_callbacks(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	uint16_t cs = ring1_cs(v);
	struct vigil_pv pv;
	struct vcpu *plain;

	CHECK_EQ(callback(v, REGISTER, 3, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, REGISTER, 6, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, REGISTER, 8, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, REGISTER, 0xffff, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, UNREGISTER, 3, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, 2, EVENT, 0, cs, 1), -XEN_ENOSYS);
	CHECK_EQ(callback(v, REGISTER, EVENT, 2, cs, 1), -XEN_EINVAL);
	CHECK_EQ(call1(v, NR_CALLBACK_OP, REGISTER, 0x7ffff000, 0, 0),
		 -XEN_EFAULT);
	CHECK_EQ(call1(v, NR_CALLBACK_OP, UNREGISTER, 0x7fffffff, 0, 0),
		 -XEN_EFAULT);
	if (is_wide(v)) {
		CHECK_EQ(callback(v, REGISTER, EVENT, 0, 0, CANONICAL_END),
			 -XEN_EINVAL);
	} else {
		CHECK_EQ(callback(v, REGISTER, EVENT, 0, SEL_CODE32, 1),
			 -XEN_EPERM);
		CHECK_EQ(callback(v, REGISTER, EVENT, 0, 0xe023, 1),
			 -XEN_EPERM);
	}
	/* Ring 3 may not, and before the tables nobody. */
	go_to(v, 3, 0);
	CHECK_EQ(callback(v, REGISTER, EVENT, 0, cs, 1), -XEN_EPERM);
	CHECK_EQ(call1(v, NR_SET_CALLBACKS, 0, 0, 0, 0), -XEN_EPERM);
	CHECK_EQ(call1(v, NR_UPDATE_DESCRIPTOR, 0, 0, 0, 0), -XEN_EPERM);
	CHECK_EQ(call1(v, NR_IRET, 0, 0, 0, 0), -XEN_EPERM);
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_callbacks, 0);
	vm_destroy(v->vm);

	plain = start(mode, &policy);
	CHECK_EQ(call(plain, NR_CALLBACK_OP, REGISTER, GUEST_DATA),
		 -XEN_EINVAL);
	CHECK_EQ(call(plain, NR_SET_CALLBACKS, 0, 0), -XEN_EINVAL);
	CHECK_EQ(call(plain, NR_UPDATE_DESCRIPTOR, 0, 0), -XEN_EINVAL);
	CHECK_EQ(call(plain, NR_IRET, 0, 0), -XEN_EINVAL);
	vm_destroy(plain->vm);
}

/* ---- saved and put back ---- */

static void saved(long mode)
{
	struct vcpu *v = begin(mode), *b;
	struct vigil_pv good, pv;
	struct vigil_pv_trap was;
	struct frame f;

	set_callback(v, SYSENTER, MASK_EVENTS, AT(v, on_sysenter));
	set_callback(v, EVENT, 0, AT(v, on_event));
	get_pv(v, &good);
	CHECK_EQ(good.nr_callbacks, 2);
	good.gdt_frame[13] = 0x5001;
	b = begin(mode);
	get_pv(v, &pv);
	pv.gdt_frame[13] = 0x5001;
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	go_to(b, 3, AT(b, sysenter));
	ENTERED(b, on_sysenter, &f);
	CHECK(!if_set(b));
	get_pv(b, &pv);
	CHECK_EQ(pv.nr_callbacks, 2);
	CHECK_EQ(pv.gdt_frame[13], 0x5001);
	CHECK_EQ(callbacks[1].vector, SYSENTER);

	was = callbacks[1];
#define BAD(change, errno_)                                           \
	do {                                                          \
		get_pv(b, &pv);                                       \
		change;                                               \
		CHECK_ERRNO(ioctl(b->fd, VIGIL_SET_PV, &pv), errno_); \
	} while (0)
	BAD(callbacks[1].vector = 3, EINVAL);
	BAD(callbacks[1].vector = 8, EINVAL);
	BAD(callbacks[1].flags = 1, EINVAL);
	BAD(callbacks[1].cs = SEL_CODE32, EINVAL);
	BAD(callbacks[1].ip = 0, EINVAL);
	BAD(callbacks[1].pad = 1, EINVAL);
	BAD(pv.nr_callbacks = 9, EINVAL);
	BAD(pv.callbacks = 0, EFAULT);
	BAD(pv.pad2 = 1, EINVAL);
	BAD(pv.gdt_frame[0] = 0x5000, EINVAL);
	BAD(pv.gdt_frame[0] = 0x5003, EINVAL);
	BAD(pv.gdt_frame[0] = 1ull << 52 | 1, EINVAL);
	BAD(pv.flags = 0; pv.nr_traps = 0; pv.nr_gdt = 0; pv.kernel_ss = 0;
	    pv.kernel_sp = 0, EINVAL);
	get_pv(b, &pv);
	CHECK_EQ(memcmp(&callbacks[1], &was, sizeof(was)), 0);
	/* Too little room: how much it takes is told. */
	pv.nr_callbacks = 1;
	CHECK_ERRNO(ioctl(b->fd, VIGIL_GET_PV, &pv), ENOSPC);
	CHECK_EQ(pv.nr_callbacks, 2);
	vm_destroy(v->vm);
	vm_destroy(b->vm);
}

static const struct test_case cases[] = {
	CASE_RING1("control and debug registers", control_registers),
	CASE_RING1("HLT, MSRs, INVLPG, WBINVD, INVD", other_privileged),
	CASE_RING1("RDTSC with TSD, SMSW with UMIP", closed_to_users),
	CASE_RING1("XSETBV", set_xcr0),
	{ "SWAPGS (long)", swap_gs, M_LONG },
	CASE_RING1("what stays refused", not_privileged),
	CASE_RING1("SYSCALL and SYSENTER have callbacks", system_calls),
	{ "SYSCALL of compatibility mode (long)", compat_syscall, M_LONG },
	CASE_RING1("SYSCALL behind MOV SS", behind_mov_ss),
	CASE_RING1("INT 2 beside the callback of NMIs", int_2),
	{ "callbacks from compatibility code (long)", other_width, M_LONG },
	CASE_RING1("events have a callback", events),
	CASE_RING1("NMIs have a callback", nmis),
	CASE_RING1("set_callbacks", set_callbacks),
	CASE_RING1("callbacks that are refused", bad_callbacks),
	CASE_RING1("callbacks are saved", saved),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
