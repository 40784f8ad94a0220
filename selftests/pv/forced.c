// SPDX-License-Identifier: GPL-2.0
/* The forced-emulation prefix: the emulator, tested from inside of a guest. */
#include <sys/ioctl.h>

#include <vigil.h>

#include "../watch/mon.h"
#include "pv.h"

#define PREFIX 5
#define RFLAGS_OF (1u << 11)
#define DR6_BD (1u << 13)
#define DR7_GD (1u << 13)
#define DR7_NONE 0x400

static struct vcpu *start(enum mode mode, uint32_t flags)
{
	const struct vigil_hypercalls h = { .flags = flags };

	return pv_start(mode, &h);
}

/* The guest's code from its entry on: the prefix, if any, an instruction, the end. */
static void load(struct vcpu *v, const char *prefix, const void *insn,
		 unsigned int len)
{
	static const uint8_t end[] = { 0xe6, PORT_END };
	unsigned int n = prefix ? PREFIX : 0;
	uint8_t *at = vm_ram(v->vm, GUEST_CODE, n + len + sizeof(end));
	struct kvm_regs r;

	if (prefix) {
		memcpy(at, "\x0f\x0b", 2);
		memcpy(at + 2, prefix, 3);
	}
	memcpy(at + n, insn, len);
	memcpy(at + n + len, end, sizeof(end));
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rax = 0x41;
	r.rsi = 0;
	set_regs(v, &r);
}

static uint64_t rax(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	return r.rax;
}

static uint64_t emulated(struct vcpu *v)
{
	return mon_stat(v->vm->fd, "emulated");
}

static const uint8_t inc_ax[] = { 0xff, 0xc0 };

static void works(long mode)
{
	struct vcpu *v = start(mode, VIGIL_HC_FEP_XEN | VIGIL_HC_FEP_KVM);
	uint64_t n = emulated(v);

	load(v, NULL, inc_ax, sizeof(inc_ax));
	EXPECT(v, STOP_END);
	CHECK_EQ(rax(v), 0x42);
	CHECK_EQ(emulated(v), n);
	load(v, "xen", inc_ax, sizeof(inc_ax));
	EXPECT(v, STOP_END);
	CHECK_EQ(rax(v), 0x42);
	CHECK_EQ(emulated(v), n + 1);
	load(v, "kvm", inc_ax, sizeof(inc_ax));
	EXPECT(v, STOP_END);
	CHECK_EQ(rax(v), 0x42);
	CHECK_EQ(emulated(v), n + 2);
	vm_destroy(v->vm);
}

/* Each spelling works for those alone who have asked for it. */
static void refused(long mode)
{
	static const struct {
		uint32_t flags;
		const char *prefix;
	} t[] = {
		{ 0, "xen" },
		{ 0, "kvm" },
		{ VIGIL_HC_PAGE, "xen" },
		{ VIGIL_HC_FEP_XEN, "kvm" },
		{ VIGIL_HC_FEP_KVM, "xen" },
		{ VIGIL_HC_FEP_KVM | VIGIL_HC_FEP_XEN, "kvn" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct vcpu *v = start(mode, t[i].flags);
		uint64_t n = emulated(v);

		load(v, t[i].prefix, inc_ax, sizeof(inc_ax));
		EXPECT_EXC(v, UD, 0);
		CHECK_EQ(v->exc.rip, mode_entry(mode));
		CHECK_EQ(emulated(v), n);
		vm_destroy(v->vm);
	}
}

/*
 * An instruction that faults does so itself, behind the prefix; one that the emulator
 * does not know raises #UD there. CPUID exits anyway.
 */
static void faults(long mode)
{
	static const uint8_t cpuid[] = { 0x0f, 0xa2 };
	static const uint8_t locked[] = { 0xf0, 0x0f, 0xa2 };
	static const uint8_t rdtsc[] = { 0x0f, 0x31 };
	static const uint8_t divide[] = { 0xf7, 0xf6 }; /* div esi */
	struct vcpu *v = start(mode, VIGIL_HC_FEP_XEN);
	struct kvm_regs r;

	load(v, "xen", divide, sizeof(divide));
	EXPECT_EXC(v, DE, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + PREFIX);
	vcpu_set_mode(v, mode);
	load(v, "xen", rdtsc, sizeof(rdtsc));
	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + PREFIX);
	vcpu_set_mode(v, mode);
	load(v, "xen", cpuid, sizeof(cpuid));
	get_regs(v, &r);
	r.rax = 0x80000000;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	CHECK(r.rax >= 0x80000008);
	vcpu_set_mode(v, mode);
	load(v, "xen", locked, sizeof(locked));
	EXPECT_EXC(v, UD, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + PREFIX);
	vm_destroy(v->vm);
}

static const uint8_t to_dr7[] = { 0x0f, 0x23, 0xf8 }; /* mov dr7, eax */
static const uint8_t from_dr7[] = { 0x0f, 0x21, 0xf8 }; /* mov eax, dr7 */

static void set_dr7(struct vcpu *v, uint64_t value)
{
	struct kvm_regs r;

	vcpu_set_mode(v, v->mode);
	load(v, NULL, to_dr7, sizeof(to_dr7));
	get_regs(v, &r);
	r.rax = value;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	vcpu_set_mode(v, v->mode);
}

/* Whoever enters the handler of a #DB clears DR7.GD; MOV DR raises one for it. */
static void general_detect(long mode)
{
	static const uint8_t int1[] = { 0xf1 };
	static const uint8_t int_1[] = { 0xcd, 0x01 };
	static const uint8_t from_dr6[] = { 0x0f, 0x21, 0xf0 };
	struct vcpu *v = start(mode, VIGIL_HC_FEP_XEN);
	unsigned int i;

	set_dr7(v, DR7_NONE | DR7_GD);
	load(v, "xen", int1, sizeof(int1));
	EXPECT_EXC(v, DB, 0);
	vcpu_set_mode(v, mode);
	load(v, NULL, from_dr7, sizeof(from_dr7));
	EXPECT(v, STOP_END);
	CHECK_EQ(rax(v), DR7_NONE);

	for (i = 0; i < 2; i++) {
		set_dr7(v, DR7_NONE | DR7_GD);
		load(v, "xen", i ? to_dr7 : from_dr7, sizeof(to_dr7));
		EXPECT_EXC(v, DB, 0);
		CHECK_EQ(v->exc.rip, mode_entry(mode) + PREFIX);
		vcpu_set_mode(v, mode);
		load(v, NULL, from_dr6, sizeof(from_dr6));
		EXPECT(v, STOP_END);
		CHECK(rax(v) & DR6_BD);
		load(v, NULL, from_dr7, sizeof(from_dr7));
		EXPECT(v, STOP_END);
		CHECK_EQ(rax(v), DR7_NONE);
	}
	/* INT n with n = 1 is no #DB. */
	set_dr7(v, DR7_NONE | DR7_GD);
	load(v, "xen", int_1, sizeof(int_1));
	EXPECT_EXC(v, DB, 0);
	vcpu_set_mode(v, mode);
	load(v, NULL, from_dr7, sizeof(from_dr7));
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	vm_destroy(v->vm);
}

/* A step over the prefix and its instruction is one step. */
static void stepped(long mode)
{
	struct vcpu *v = start(mode, VIGIL_HC_FEP_XEN);
	struct kvm_regs r;

	load(v, "xen", inc_ax, sizeof(inc_ax));
	get_regs(v, &r);
	r.rflags |= RFLAGS_TF;
	set_regs(v, &r);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + PREFIX + sizeof(inc_ax));
	exc_set_flags(v, v->exc.rflags & ~(uint64_t)RFLAGS_TF);
	EXPECT(v, STOP_END);
	CHECK_EQ(rax(v), 0x42);
	vm_destroy(v->vm);
}

/* Where an instruction's handler finds itself, and what it finds on its stack. */
static struct exc handler_of(struct vcpu *v, const char *prefix,
			     const void *insn, unsigned int len)
{
	struct kvm_regs r;
	unsigned int i;

	vcpu_set_mode(v, v->mode);
	/* From ring 3, INT n needs a gate that is open to it. */
	for (i = 0; v->mode == M_VM86 && i < 256; i++)
		idt_gate(v->vm, M_PROT32, i, idt_stub(M_PROT32, i), SEL_CODE32,
			 0xe, 3);
	load(v, prefix, insn, len);
	get_regs(v, &r);
	r.rflags |= RFLAGS_OF | RFLAGS_IF;
	set_regs(v, &r);
	EXPECT(v, STOP_EXC);
	if (prefix)
		v->exc.rip -= PREFIX;
	return v->exc;
}

/* The handlers of INT n, INT3, INTO and INT1 cannot tell who has called them. */
static void interrupts(long mode)
{
	static const uint8_t insn[][2] = {
		{ 0xcd, 0x30 }, { 0xcc }, { 0xf1 }, { 0xce }
	};
	struct vcpu *v = start(mode, VIGIL_HC_FEP_XEN);
	struct exc cpu, us;
	uint64_t n;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		unsigned int len = i ? 1 : 2;

		if (insn[i][0] == 0xce && (mode == M_LONG || mode == M_LA57))
			break;
		/* QEMU has no ICEBP: it looks as INT3 does, vector aside. */
		if (insn[i][0] == 0xf1)
			cpu.vector = 1;
		else
			cpu = handler_of(v, NULL, insn[i], len);
		n = emulated(v);
		us = handler_of(v, "xen", insn[i], len);
		CHECK_EQ(emulated(v), n + 1);
		CHECK_EQ(us.vector, cpu.vector);
		CHECK_EQ(us.rip, cpu.rip);
		CHECK_EQ(us.cs, cpu.cs);
		CHECK_EQ(us.rflags, cpu.rflags);
		CHECK_EQ(us.rsp, cpu.rsp);
		CHECK_EQ(us.ss, cpu.ss);
	}
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_ALL("an instruction is emulated", works),
		CASE_ALL("nobody has asked for it", refused),
		CASE_PROT("an instruction that faults", faults),
		CASE_PROT("general detect", general_detect),
		CASE_PROT("single step", stepped),
		CASE_ALL("INT n, INT3, INTO, INT1", interrupts),
		{}
	};

	return test_main(argc, argv, cases);
}
