/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two tasks, and a third one for faults, of a guest that is in guest/task.S.
 *
 * QEMU ignores SVM's intercept of task switches and makes them itself, past the shadow
 * page tables. There only a switch that the emulator makes is possible.
 */
#ifndef SELFTESTS_SEGMENTS_TASKS_H
#define SELFTESTS_SEGMENTS_TASKS_H

#include "../guest/task.h"
#include "guest.h"

DECLARE_PAYLOAD(task);
#define X(l) DECLARE_LABEL(task, l)
X(call);
X(call_end);
X(call3);
X(dr_call);
X(other_dr);
X(call_gate);
X(call_gate_end);
X(jmp);
X(jmp_end);
X(jmp_mem);
X(jmp_mem_end);
X(int);
X(int_end);
X(int3);
X(int3_end);
X(ud);
X(ud_end);
X(load_fs);
X(load_fs_end);
X(rdmsr);
X(rdmsr_end);
X(read);
X(iret);
X(spin);
X(other);
X(other_iret);
X(other_again);
X(other_jmp);
X(other_jmp_end);
X(other_ec);
X(other_pop);
X(handler);
X(handler_iret);
X(vm86);
X(vm86_int);
X(vm86_end);
#undef X
#define L(l) LABEL_AT(task, l)

#define OLD_AT GUEST_TSS
#define NEW_AT (GUEST_DATA + 0x1000)
#define HANDLER_AT (GUEST_DATA + 0x2000)
#define AT_END (GUEST_DATA + 0x4000 - 0x32) /* over the end of a page */
#define NEW_STACK 0x9000
#define HANDLER_STACK 0xa000
#define FILL 0xa5u
#define FILL2 0xa5a5u
#define RFLAGS_CF 1u
#define RFLAGS_ZF (1u << 6)
#define RFLAGS_NT (1u << 14)
#define DR6_BS (1u << 14)
#define DR6_BT (1u << 15)

/* offsets in a TSS of 32 bits */
enum {
	T_LINK = 0,
	T_ESP0 = 4,
	T_SS0 = 8,
	T_CR3 = 0x1c,
	T_EIP = 0x20,
	T_FLAGS = 0x24,
	T_EAX = 0x28,
	T_ESP = 0x38,
	T_ES = 0x48,
	T_CS = 0x4c,
	T_SS = 0x50,
	T_DS = 0x54,
	T_FS = 0x58,
	T_GS = 0x5c,
	T_LDT = 0x60,
	T_TRAP = 0x64
};

struct machine {
	struct vm *vm;
	struct vcpu *v;
	enum mode mode;
	struct pt pt; /* that of the new task, with paging */
	uint64_t old_cr3;
	uint8_t old_tss[0x68], new_tss[0x68];
	struct kvm_regs regs; /* of the old task */
};

static inline uint32_t tss(struct vm *vm, uint64_t at, unsigned int offset)
{
	return rd32(vm, at + offset);
}

static inline void set_tss(struct vm *vm, uint64_t at, unsigned int offset,
			   uint32_t v)
{
	wr32(vm, at + offset, v);
}

static inline void set_seg(struct vm *vm, uint64_t at, unsigned int offset,
			   uint16_t v)
{
	memcpy(vm_ram(vm, at + offset, 2), &v, 2);
}

/* A task of 32 bits. Its registers are @reg, @reg + 1... */
static inline void make_tss(struct machine *m, uint64_t at, uint64_t eip,
			    uint64_t stack, uint32_t reg)
{
	struct vm *vm = m->vm;
	unsigned int i;

	memset(vm_ram(vm, at, 0x68), FILL, 0x68);
	set_tss(vm, at, T_ESP0, GUEST_STACK0);
	set_tss(vm, at, T_SS0, SEL_DATA);
	set_tss(vm, at, T_CR3, mode_paged(m->mode) ? m->pt.root : 0x5000);
	set_tss(vm, at, T_EIP, eip);
	set_tss(vm, at, T_FLAGS, RFLAGS_1 | RFLAGS_ZF);
	for (i = 0; i < 8; i++)
		set_tss(vm, at, T_EAX + 4 * i, reg + i);
	set_tss(vm, at, T_ESP, stack);
	for (i = T_ES; i <= T_GS; i += 4)
		set_seg(vm, at, i, i == T_CS ? SEL_CODE32 : SEL_DATA);
	set_seg(vm, at, T_LDT, SEL_LDT);
	set_tss(vm, at, T_TRAP, 0x680000);
}

static inline void task_gate(struct machine *m, unsigned int vector,
			     unsigned int sel, unsigned int dpl)
{
	idt_gate(m->vm, M_PROT32, vector, 0, sel, 5, dpl);
}

static inline void descriptors(struct vm *vm)
{
	unsigned int flat = D_DB | D_G;

	gdt_set(vm, SEL_TSS, OLD_AT, 0x168, D_P | D_TYPE(0xb));
	gdt_set(vm, SEL_NEW, NEW_AT, 0x67, D_P | D_TYPE(9));
	gdt_set(vm, SEL_HANDLER, HANDLER_AT, 0x67, D_P | D_TYPE(9));
	wr64(vm, GUEST_GDT + SEL_GATE, (uint64_t)SEL_NEW << 16 | 0xe5ull << 40);
	gdt_set(vm, SEL_GONE, 0, ~0u, D_S | D_TYPE(2) | flat);
	gdt_set(vm, SEL_CODE_GONE, 0, ~0u, D_S | D_TYPE(0xa) | flat);
	gdt_set(vm, SEL_BASED, GUEST_CODE, 0xffff,
		D_P | D_S | D_TYPE(0xa) | D_DB);
	gdt_set(vm, SEL_READ, 0, ~0u, D_P | D_S | D_TYPE(0) | flat);
	gdt_set(vm, SEL_SMALL, 0, 0xfff, D_P | D_S | D_TYPE(0xa) | D_DB);
	/* Selector 0xc of the LDT is data. */
	wr64(vm, GUEST_LDT + 8, 0x00cf92000000ffffull);
}

/* Puts the vCPU into the old task, at @rip. */
static inline void begin_at(struct machine *m, uint64_t rip, unsigned int cpl)
{
	struct kvm_regs r = {
		.rax = 0x11000000,
		.rcx = 0x11000001,
		.rdx = 0x11000002,
		.rbx = 0x11000003,
		.rsp = cpl ? GUEST_USTACK : GUEST_STACK,
		.rbp = 0x11000005,
		.rsi = 0x11000006,
		.rdi = 0x11000007,
		.rflags = RFLAGS_1 | RFLAGS_CF | (cpl ? RFLAGS_IOPL : 0),
		.rip = rip,
	};
	struct kvm_sregs s;

	get_sregs(m->v, &s);
	s.cr3 = m->old_cr3;
	s.cr0 &= ~(uint64_t)CR0_TS;
	s.tr = (struct kvm_segment){ .selector = SEL_TSS,
				     .base = OLD_AT,
				     .limit = 0x168,
				     .type = test_on_svm() ? 9 : 0xb,
				     .present = 1 };
	s.ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	s.cs = (struct kvm_segment){ .selector = cpl ? SEL_UCODE32 : SEL_CODE32,
				     .limit = ~0u,
				     .type = 0xb,
				     .s = 1,
				     .present = 1,
				     .dpl = cpl,
				     .g = 1,
				     .db = 1 };
	s.ss = s.cs;
	s.ss.selector = cpl ? SEL_UDATA : SEL_DATA;
	s.ss.type = 3;
	s.ds = s.es = s.fs = s.gs = s.ss;
	set_sregs(m->v, &s);
	set_regs(m->v, &r);
	m->regs = r;
	memcpy(m->old_tss, vm_ram(m->vm, OLD_AT, 0x68), 0x68);
	memcpy(m->new_tss, vm_ram(m->vm, NEW_AT, 0x68), 0x68);
}

static inline void tables(struct machine *m)
{
	unsigned int i;

	vm_tables(m->vm, m->mode == M_VM86 ? M_PROT32 : m->mode);
	descriptors(m->vm);
	make_tss(m, NEW_AT, L(other), NEW_STACK, 0x22000000);
	make_tss(m, HANDLER_AT, L(handler), HANDLER_STACK, 0x33000000);
	memset(vm_ram(m->vm, OLD_AT + 0xc, 0x60 - 0xc), FILL, 0x60 - 0xc);
	for (i = 0; i < 4; i++)
		wr32(m->vm, NEW_STACK - 16 + 4 * i, 0xeeeeeeee);
}

static inline void start(struct machine *m, enum mode mode)
{
	uint64_t flags = PTE_W | PTE_U | PTE_A | PTE_D;
	struct kvm_sregs s;

	if (mode == M_VM86 && test_without_vm86())
		SKIP("Bochs 2.7 dies of an exit from VM86 to long mode");
	m->mode = mode == M_VM86 ? M_PROT32 : mode;
	m->v = START(m->mode, task);
	m->vm = m->v->vm;
	get_sregs(m->v, &s);
	m->old_cr3 = s.cr3;
	if (mode_paged(m->mode)) {
		pt_init(&m->pt, m->vm, m->mode);
		pt_identity(&m->pt, 0, 4 << 20, flags);
	}
	tables(m);
}

/* Bochs leaves the host's CR2 to a guest into which SVM injects a #PF. */
static inline void check_cr2(uint64_t cr2, uint64_t want)
{
	if (!test_on_bochs() || !test_on_svm())
		CHECK_EQ(cr2, want);
}

#define NO_QEMU() \
	SKIP_ON_TCG("QEMU does not intercept task switches, but makes them")

/* What a switch does not store in the old TSS, and needs to come back to it. */
static inline void old_has_cr3(struct machine *m)
{
	set_tss(m->vm, OLD_AT, T_CR3, m->old_cr3);
	set_tss(m->vm, OLD_AT, T_LDT, 0);
}

/* Begins a guest whose IDT leads @vector to the new task, which can go back by IRET. */
static inline void start_gate(struct machine *m, enum mode mode,
			      unsigned int vector)
{
	NO_QEMU();
	start(m, mode);
	old_has_cr3(m);
	task_gate(m, vector, SEL_NEW, 0);
}

/* The guest has stopped at the OUT_SYNC at @rip. */
static inline void stopped_at(struct machine *m, uint64_t rip,
			      struct kvm_regs *r, struct kvm_sregs *s)
{
	EXPECT(m->v, STOP_SYNC);
	vcpu_settle(m->v);
	get_regs(m->v, r);
	get_sregs(m->v, s);
	if (r->rip != rip + 2) {
		FAIL("RIP is %#llx, not behind the OUT at %#llx", r->rip,
		     (unsigned long long)rip);
		vcpu_describe(m->v);
		test_abort();
	}
}

/* Has the old TSS the old task's registers, and nothing else? */
static inline void check_saved(struct machine *m, uint64_t rip, uint64_t rflags)
{
	const uint64_t reg[] = { m->regs.rax, m->regs.rcx, m->regs.rdx,
				 m->regs.rbx, m->regs.rsp, m->regs.rbp,
				 m->regs.rsi, m->regs.rdi };
	bool user = m->regs.rsp == GUEST_USTACK;
	uint8_t want[0x68];
	unsigned int i;

	memcpy(want, m->old_tss, sizeof(want));
	memcpy(want + T_EIP, &rip, 4);
	memcpy(want + T_FLAGS, &rflags, 4);
	for (i = 0; i < 8; i++)
		memcpy(want + T_EAX + 4 * i, &reg[i], 4);
	for (i = T_ES; i <= T_GS; i += 4) {
		uint16_t sel = i == T_CS ? user ? SEL_UCODE32 : SEL_CODE32 :
			       user	 ? SEL_UDATA :
					   SEL_DATA;
		memcpy(want + i, &sel, 2);
	}
	for (i = 0; i < sizeof(want); i++) {
		uint8_t got = *(uint8_t *)vm_ram(m->vm, OLD_AT + i, 1);

		if (got != want[i])
			FAIL_MEM("old TSS: byte %#x is %#x, not %#x", i, got,
				 want[i]);
	}
}

static inline bool is_busy(struct machine *m, unsigned int sel)
{
	return rd64(m->vm, GUEST_GDT + sel) >> 41 & 1;
}

/* The registers of the new task, as make_tss() has made them. */
static inline void check_loaded(struct machine *m, const struct kvm_regs *r,
				const struct kvm_sregs *s, uint64_t rflags)
{
	CHECK_EQ(r->rax, 0x22000000);
	CHECK_EQ(r->rcx, 0x22000001);
	CHECK_EQ(r->rdx, 0x22000002);
	CHECK_EQ(r->rbx, 0x22000003);
	CHECK_EQ(r->rsp, NEW_STACK);
	CHECK_EQ(r->rbp, 0x22000005);
	CHECK_EQ(r->rsi, 0x22000006);
	CHECK_EQ(r->rdi, 0x22000007);
	CHECK_EQ(r->rflags, rflags);
	CHECK_EQ(s->cs.selector, SEL_CODE32);
	CHECK_EQ(s->ss.selector, SEL_DATA);
	CHECK_EQ(s->gs.selector, SEL_DATA);
	CHECK_EQ(s->gs.limit, ~0u);
	CHECK_EQ(s->tr.selector, SEL_NEW);
	CHECK_EQ(s->tr.limit, 0x67);
	CHECK_EQ(s->tr.type, 0xb);
	CHECK_EQ(s->ldt.selector, SEL_LDT);
	CHECK_EQ(s->ldt.base, GUEST_LDT);
	CHECK_EQ(s->ldt.unusable, 0);
	CHECK(s->cr0 & CR0_TS);
	if (mode_paged(m->mode))
		CHECK_EQ(s->cr3, m->pt.root);
}

/* The old task goes on as if nothing had been. */
static inline void back_in_old(struct machine *m, uint64_t rip, uint64_t rflags)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	/* The hardware does not store CR3. */
	stopped_at(m, rip, &r, &s);
	CHECK_EQ(r.rax, m->regs.rax);
	CHECK_EQ(r.rcx, m->regs.rcx);
	CHECK_EQ(r.rdx, m->regs.rdx);
	CHECK_EQ(r.rbx, m->regs.rbx);
	CHECK_EQ(r.rsp, m->regs.rsp);
	CHECK_EQ(r.rbp, m->regs.rbp);
	CHECK_EQ(r.rsi, m->regs.rsi);
	CHECK_EQ(r.rdi, m->regs.rdi);
	CHECK_EQ(r.rflags & ~(uint64_t)RFLAGS_RF, rflags);
	CHECK_EQ(s.tr.selector, SEL_TSS);
	if (mode_paged(m->mode))
		CHECK_EQ(s.cr3, m->old_cr3);
}

/* clang-format off */
#define CASE3(n, f) \
	{ n " (prot32)", f, M_PROT32 }, { n " (32-bit paging)", f, M_PG32 }, \
	{ n " (pae)", f, M_PAE }
/* clang-format on */

/* A JMP whose target comes from a device, so that the emulator switches the task. */
static inline void jump_by_device(struct machine *m)
{
	const uint8_t target[6] = { 0, 0, 0, 0, SEL_NEW, 0 };
	unsigned int n;
	enum stop stop;

	begin_at(m, L(jmp_mem), 0);
	m->regs.rdi = GUEST_MMIO;
	set_regs(m->v, &m->regs);
	for (n = 0; (stop = vcpu_go(m->v)) == STOP_MMIO; n++) {
		uint64_t at = m->v->run->mmio.phys_addr - GUEST_MMIO;

		CHECK(!m->v->run->mmio.is_write);
		if (at + m->v->run->mmio.len > sizeof(target) || n > 6)
			ERROR("%u bytes at %#llx", m->v->run->mmio.len,
			      (unsigned long long)at);
		memcpy(m->v->run->mmio.data, target + at, m->v->run->mmio.len);
	}
	CHECK(n > 0);
	REQUIRE_EQ(stop, STOP_SYNC);
}

#endif
