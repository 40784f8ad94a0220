// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches that succeed: by CALL, JMP, INT n and IRET, by exceptions and
 * interrupts.
 */
#include <pthread.h>

#include "../watch/mon.h"
#include "tasks.h"

static void call_iret(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	NO_QEMU();
	start(&m, mode);
	old_has_cr3(&m);
	for (i = 0; i < 2; i++) {
		begin_at(&m, i ? L(call_gate) : L(call), 0);
		stopped_at(&m, i ? L(other_again) : L(other), &r, &s);
		CHECK_EQ(tss(m.vm, NEW_AT, T_LINK), FILL2 << 16 | SEL_TSS);
		CHECK(is_busy(&m, SEL_TSS) && is_busy(&m, SEL_NEW));
		check_saved(&m, i ? L(call_gate_end) : L(call_end),
			    RFLAGS_1 | RFLAGS_CF);
		check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);
		if (i)
			break;
		back_in_old(&m, L(call_end), RFLAGS_1 | RFLAGS_CF);
		CHECK(is_busy(&m, SEL_TSS) && !is_busy(&m, SEL_NEW));
		CHECK_EQ(tss(m.vm, NEW_AT, T_EIP), L(other_again));
		CHECK_EQ(tss(m.vm, NEW_AT, T_FLAGS), RFLAGS_1 | RFLAGS_ZF);
	}
}

static void jmp_back(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	NO_QEMU();
	start(&m, mode);
	old_has_cr3(&m);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_again));
	begin_at(&m, L(jmp), 0);
	stopped_at(&m, L(other_again), &r, &s);
	CHECK(!is_busy(&m, SEL_TSS) && is_busy(&m, SEL_NEW));
	CHECK_EQ(tss(m.vm, NEW_AT, T_LINK), FILL * 0x01010101u);
	check_saved(&m, L(jmp_end), RFLAGS_1 | RFLAGS_CF);
	check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF);
	back_in_old(&m, L(jmp_end), RFLAGS_1 | RFLAGS_CF);
	CHECK(is_busy(&m, SEL_TSS) && !is_busy(&m, SEL_NEW));
	CHECK_EQ(tss(m.vm, NEW_AT, T_EIP), L(other_jmp_end));
}

/* The emulator executes a JMP whose target is in MMIO, so QEMU has it too. */
static void emulated(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	start(&m, mode);
	jump_by_device(&m);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	get_sregs(m.v, &s);
	CHECK_EQ(r.rip, L(other) + 2);
	check_saved(&m, L(jmp_mem_end), RFLAGS_1 | RFLAGS_CF);
	check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF);
}

/* ---- TSSs of 16 bits ---- */

static uint16_t word_at(struct machine *m, uint64_t at)
{
	return rd32(m->vm, at);
}

/* From a TSS of @old_bits to one of @new_bits, and back by IRET. */
static void narrow(long old_and_new)
{
	bool old16 = old_and_new & 1, new16 = old_and_new & 2;
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	NO_QEMU();
	start(&m, M_PG32);
	old_has_cr3(&m);
	if (new16) {
		gdt_set(m.vm, SEL_NEW, NEW_AT, 0x2b, D_P | D_TYPE(1));
		memset(vm_ram(m.vm, NEW_AT, 0x68), FILL, 0x68);
		set_seg(m.vm, NEW_AT, 0x0e, L(other) - GUEST_CODE);
		set_seg(m.vm, NEW_AT, 0x10, RFLAGS_1 | RFLAGS_ZF);
		for (i = 0; i < 8; i++)
			set_seg(m.vm, NEW_AT, 0x12 + 2 * i, 0x2200 + i);
		set_seg(m.vm, NEW_AT, 0x1a, NEW_STACK);
		for (i = 0x22; i < 0x2a; i += 2)
			set_seg(m.vm, NEW_AT, i,
				i == 0x24 ? SEL_BASED : SEL_DATA);
		set_seg(m.vm, NEW_AT, 0x2a, 0);
	}
	if (old16)
		gdt_set(m.vm, SEL_TSS, OLD_AT, 0x168, D_P | D_TYPE(3));
	begin_at(&m, L(call), 0);
	get_sregs(m.v, &s);
	if (old16) {
		/* What a TSS of 16 bits can say of where to go on. */
		set_seg(m.vm, OLD_AT, 0x2a, 0);
		s.tr.type = test_on_svm() ? 1 : 3;
		s.cs.selector = SEL_BASED;
		s.cs.base = GUEST_CODE;
		s.cs.limit = 0xffff;
		s.cs.g = 0;
		set_sregs(m.v, &s);
		m.regs.rip -= GUEST_CODE;
		set_regs(m.v, &m.regs);
	}
	EXPECT(m.v, STOP_SYNC);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	get_sregs(m.v, &s);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	CHECK_EQ(s.tr.type, new16 ? 3 : 0xb);
	CHECK_EQ(word_at(&m, NEW_AT), SEL_TSS);
	if (new16) {
		CHECK_EQ(r.rip, L(other) - GUEST_CODE + 2);
		CHECK_EQ(r.rflags, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);
		CHECK_EQ(r.rax & 0xffff, 0x2200);
		CHECK_EQ(r.rdi & 0xffff, 0x2207);
		CHECK_EQ(r.rsp & 0xffff, NEW_STACK);
		CHECK_EQ(s.cs.selector, SEL_BASED);
		CHECK_EQ(s.cs.base, GUEST_CODE);
		CHECK_EQ(s.es.selector, SEL_DATA);
		CHECK(s.fs.selector == 0 && s.fs.unusable);
		CHECK(s.gs.selector == 0 && s.gs.unusable);
		CHECK_EQ(s.cr3, m.old_cr3);
	} else {
		CHECK_EQ(r.rip, L(other) + 2);
		check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);
	}
	if (!old16) {
		check_saved(&m, L(call_end), RFLAGS_1 | RFLAGS_CF);
	} else {
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x0e),
			     L(call_end) - GUEST_CODE);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x10), RFLAGS_1 | RFLAGS_CF);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x14), 1);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x20), 7);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x22), SEL_DATA);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x24), SEL_BASED);
		CHECK_MEM_EQ(word_at(&m, OLD_AT + 0x28), SEL_DATA);
		CHECK_MEM_EQ(rd32(m.vm, OLD_AT + 0x2c), FILL * 0x01010101u);
	}
	EXPECT(m.v, STOP_SYNC);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	get_sregs(m.v, &s);
	CHECK_EQ(r.rip, L(call_end) + 2 - (old16 ? GUEST_CODE : 0));
	CHECK_EQ(s.tr.selector, SEL_TSS);
	CHECK_EQ(r.rdi & 0xffff, 7);
	CHECK_EQ(r.rflags, RFLAGS_1 | RFLAGS_CF);
}

/* ---- through the IDT ---- */

static void check_event(struct machine *m, uint64_t rip, uint64_t rflags,
			bool has_ec, uint32_t ec)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	stopped_at(m, has_ec ? L(other_ec) : L(other), &r, &s);
	check_saved(m, rip, rflags);
	CHECK(is_busy(m, SEL_TSS) && is_busy(m, SEL_NEW));
	CHECK_EQ(r.rflags, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);
	CHECK_EQ(s.cs.selector, SEL_CODE32);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	CHECK_EQ(r.rsp, has_ec ? NEW_STACK - 4 : NEW_STACK);
	CHECK_MEM_EQ(rd32(m->vm, NEW_STACK - 4), has_ec ? ec : 0xeeeeeeee);
	CHECK_MEM_EQ(rd32(m->vm, NEW_STACK - 8), 0xeeeeeeee);
}

/* INT n from ring 3: the gate's DPL counts, and not that of the TSS. */
static void int_n(long mode)
{
	uint64_t flags = RFLAGS_1 | RFLAGS_CF | RFLAGS_IOPL;
	struct machine m;

	start_gate(&m, mode, VEC_TASK);
	begin_at(&m, L(int), 3);
	EXPECT_EXC(m.v, GP, VEC_TASK * 8 + 2);
	CHECK_EQ(m.v->exc.rip, L(int));
	CHECK_EQ(m.v->exc.cs, SEL_UCODE32);
	CHECK(!is_busy(&m, SEL_NEW));
	vcpu_settle(m.v);

	task_gate(&m, VEC_TASK, SEL_NEW, 3);
	begin_at(&m, L(int), 3);
	check_event(&m, L(int_end), flags, false, 0);
	back_in_old(&m, L(int_end), flags);

	tables(&m);
	old_has_cr3(&m);
	task_gate(&m, BP, SEL_NEW, 3);
	begin_at(&m, L(int3), 3);
	check_event(&m, L(int3_end), flags, false, 0);
	back_in_old(&m, L(int3_end), flags);
}

/* An INT n whose gate leads to the task that an exception before it had led to. */
static void int_after_exception(long mode)
{
	struct machine m;

	start_gate(&m, mode, VEC_TASK);
	begin_at(&m, L(load_fs), 0);
	m.regs.rax = SEL_GONE;
	set_regs(m.v, &m.regs);
	EXPECT_EXC(m.v, NP, SEL_GONE);
	vcpu_settle(m.v);
	begin_at(&m, L(int), 0);
	check_event(&m, L(int_end), RFLAGS_1 | RFLAGS_CF, false, 0);
	back_in_old(&m, L(int_end), RFLAGS_1 | RFLAGS_CF);
}

static void exceptions(long mode)
{
	const struct {
		uint64_t rip, rax, rcx, rdi;
		unsigned int vector, ec;
		bool has_ec;
	} row[] = {
		{ L(ud), .vector = UD },
		{ L(load_fs), SEL_GONE, .vector = NP, .ec = SEL_GONE,
		  .has_ec = true },
		{ L(load_fs), SEL_BEYOND, .vector = GP, .ec = SEL_BEYOND,
		  .has_ec = true },
		{ L(rdmsr), .rcx = 0xc0000fff, .vector = GP, .has_ec = true },
		{ L(iret), .vector = TS, .ec = SEL_NEW, .has_ec = true },
		/* The last one, with paging only. */
		{ L(read), .rdi = 0x30000000, .vector = PF, .has_ec = true },
	};
	struct machine m;
	unsigned int i;

	NO_QEMU();
	start(&m, mode);
	for (i = 0; i < ARRAY_SIZE(row) - !mode_paged(mode); i++) {
		bool nested = row[i].vector == TS;

		tables(&m);
		old_has_cr3(&m);
		task_gate(&m, row[i].vector, SEL_NEW, 0);
		if (row[i].has_ec)
			set_tss(m.vm, NEW_AT, T_EIP, L(other_ec));
		if (nested)
			set_tss(m.vm, OLD_AT, T_LINK, SEL_NEW);
		begin_at(&m, row[i].rip, 0);
		m.regs.rax = row[i].rax;
		m.regs.rcx = row[i].rcx;
		m.regs.rdi = row[i].rdi;
		m.regs.rflags |= nested ? RFLAGS_NT : 0;
		set_regs(m.v, &m.regs);
		check_event(&m, row[i].rip, m.regs.rflags | RFLAGS_RF,
			    row[i].has_ec, row[i].ec);
		if (row[i].vector == PF) {
			struct kvm_sregs s;

			get_sregs(m.v, &s);
			check_cr2(s.cr2, row[i].rdi);
		}
	}
}

/* The IRET of a handler with RF set in its TSS goes on behind the fault. */
static void exception_returns(long mode)
{
	struct machine m;
	struct kvm_regs r;

	start_gate(&m, mode, GP);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_ec));
	begin_at(&m, L(rdmsr), 0);
	m.regs.rcx = 0xc0000fff;
	set_regs(m.v, &m.regs);
	check_event(&m, L(rdmsr), RFLAGS_1 | RFLAGS_CF | RFLAGS_RF, true, 0);
	set_tss(m.vm, OLD_AT, T_EIP, L(rdmsr_end));
	back_in_old(&m, L(rdmsr_end), RFLAGS_1 | RFLAGS_CF);
	get_regs(m.v, &r);
	CHECK(!(r.rflags & RFLAGS_RF));
}

/* #GP whose own gate is bad */
static void double_fault(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	NO_QEMU();
	start(&m, mode);
	idt_gate(m.vm, M_PROT32, GP, 0, 0, 0xe, 0);
	task_gate(&m, DF, SEL_NEW, 0);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_ec));
	begin_at(&m, L(load_fs), 0);
	m.regs.rax = SEL_BEYOND;
	set_regs(m.v, &m.regs);
	stopped_at(&m, L(other_ec), &r, &s);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	CHECK_EQ(tss(m.vm, OLD_AT, T_EIP), L(load_fs));
	CHECK_MEM_EQ(rd32(m.vm, NEW_STACK - 4), 0);
	CHECK_EQ(r.rsp, NEW_STACK - 4);

	/* And one that the delivery of #GP to a bad task raises. */
	tables(&m);
	task_gate(&m, GP, SEL_TSS, 0); /* busy */
	task_gate(&m, DF, SEL_NEW, 0);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_ec));
	begin_at(&m, L(load_fs), 0);
	m.regs.rax = SEL_BEYOND;
	set_regs(m.v, &m.regs);
	stopped_at(&m, L(other_ec), &r, &s);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	CHECK_EQ(tss(m.vm, OLD_AT, T_EIP), L(load_fs));
	CHECK_MEM_EQ(rd32(m.vm, NEW_STACK - 4), 0);
}

/* An error code that goes to a TSS of 16 bits has 16. */
static void error_code_16(long mode)
{
	struct machine m;
	struct kvm_regs r;
	unsigned int i;

	NO_QEMU();
	start(&m, mode);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x2b, D_P | D_TYPE(1));
	set_seg(m.vm, NEW_AT, 0x0e, L(other) - GUEST_CODE);
	set_seg(m.vm, NEW_AT, 0x10, RFLAGS_1);
	set_seg(m.vm, NEW_AT, 0x1a, NEW_STACK);
	for (i = 0x22; i < 0x2a; i += 2)
		set_seg(m.vm, NEW_AT, i, i == 0x24 ? SEL_BASED : SEL_DATA);
	set_seg(m.vm, NEW_AT, 0x2a, 0);
	task_gate(&m, NP, SEL_NEW, 0);
	begin_at(&m, L(load_fs), 0);
	m.regs.rax = SEL_GONE;
	set_regs(m.v, &m.regs);
	EXPECT(m.v, STOP_SYNC);
	get_regs(m.v, &r);
	CHECK_EQ(r.rsp & 0xffff, NEW_STACK - 2);
	CHECK_MEM_EQ(rd32(m.vm, NEW_STACK - 4),
		     SEL_GONE << 16 | (0xeeeeeeee & 0xffff));
}

static void interrupt(long mode)
{
	uint64_t flags = RFLAGS_1 | RFLAGS_CF | RFLAGS_IF;
	struct machine m;
	struct kvm_regs r;

	start_gate(&m, mode, VEC_TASK);
	begin_at(&m, L(spin), 0);
	m.regs.rflags |= RFLAGS_IF;
	set_regs(m.v, &m.regs);
	m.v->pending_irq = VEC_TASK;
	check_event(&m, L(spin), flags, false, 0);
	CHECK_EQ(m.v->irqs_injected, 1);
	/* Back, the old task spins: another one shows where. */
	m.v->pending_irq = VEC_TASK;
	EXPECT(m.v, STOP_SYNC);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	CHECK_EQ(r.rip, L(other_again) + 2);
	CHECK_EQ(tss(m.vm, OLD_AT, T_EIP), L(spin));
	CHECK_EQ(tss(m.vm, OLD_AT, T_FLAGS), flags);
	CHECK_EQ(m.v->irqs_injected, 2);
}

static void send_nmi(struct vcpu *v)
{
	if (ioctl(v->fd, KVM_NMI))
		ERROR("KVM_NMI: %s", strerror(errno));
}

/*
 * The task is the NMI's handler: its IRET lets the next one in. Before that it would
 * find its own TSS busy.
 */
static void nmi(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	start_gate(&m, mode, NMI);
	set_tss(m.vm, NEW_AT, T_EIP, L(other));
	begin_at(&m, L(spin), 0);
	send_nmi(m.v);
	check_event(&m, L(spin), RFLAGS_1 | RFLAGS_CF, false, 0);
	send_nmi(m.v);
	/* IRET, the old task, and the second NMI, behind whose OUT is a JMP. */
	stopped_at(&m, L(other_again), &r, &s);
	CHECK_EQ(tss(m.vm, OLD_AT, T_EIP), L(spin));
	CHECK_EQ(s.tr.selector, SEL_NEW);
}

/* ---- VM86 ---- */

static void vm86(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	NO_QEMU();
	start(&m, mode);
	/* The code uses ports, by the map of its TSS. */
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x168, D_P | D_TYPE(9));
	task_gate(&m, VEC_TASK + 1, SEL_HANDLER, 3);
	set_tss(m.vm, NEW_AT, T_EIP, L(vm86) - GUEST_CODE);
	set_tss(m.vm, NEW_AT, T_FLAGS, RFLAGS_1 | RFLAGS_VM | RFLAGS_IOPL);
	for (i = T_ES; i <= T_GS; i += 4)
		set_seg(m.vm, NEW_AT, i, i == T_CS ? GUEST_CODE >> 4 : i);
	begin_at(&m, L(call), 0);
	EXPECT(m.v, STOP_SYNC);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	get_sregs(m.v, &s);
	CHECK_EQ(r.rip, L(vm86) - GUEST_CODE + 2);
	CHECK_EQ(r.rflags, RFLAGS_1 | RFLAGS_VM | RFLAGS_IOPL | RFLAGS_NT);
	CHECK_EQ(s.cs.base, GUEST_CODE);
	CHECK_EQ(s.gs.base, T_GS << 4);
	CHECK_EQ(s.gs.limit, 0xffff);
	CHECK_EQ(s.gs.dpl, 3);
	CHECK_EQ(s.ss.dpl, 3);
	CHECK_EQ(s.ldt.selector, SEL_LDT);
	CHECK_EQ(s.ldt.base, GUEST_LDT);
	CHECK_EQ(s.ldt.limit, 0xfff);
	CHECK_EQ(s.ldt.type, 2);
	/* INT n leads to another task, and that one's IRET back. */
	stopped_at(&m, L(handler), &r, &s);
	CHECK_EQ(s.tr.selector, SEL_HANDLER);
	CHECK_EQ(tss(m.vm, NEW_AT, T_EIP), L(vm86_end) - GUEST_CODE);
	CHECK_EQ(tss(m.vm, NEW_AT, T_FLAGS),
		 RFLAGS_1 | RFLAGS_VM | RFLAGS_IOPL | RFLAGS_NT);
	CHECK_EQ(tss(m.vm, NEW_AT, T_GS) & 0xffff, T_GS);
	EXPECT(m.v, STOP_SYNC);
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	CHECK_EQ(r.rip, L(vm86_end) - GUEST_CODE + 2);
	CHECK(r.rflags & RFLAGS_VM);
	/* A bad LDT is the fault of the VM86 task, which goes to ring 0. */
	set_seg(m.vm, NEW_AT, T_LDT, SEL_CODE32);
	set_tss(m.vm, NEW_AT, T_EIP, L(vm86) - GUEST_CODE);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_P | D_TYPE(9));
	begin_at(&m, L(call), 0);
	EXPECT_EXC(m.v, TS, SEL_CODE32);
	CHECK_EQ(m.v->exc.rip, L(vm86) - GUEST_CODE);
	CHECK(m.v->exc.rflags & RFLAGS_VM);
	CHECK_EQ(m.v->exc.cs, GUEST_CODE >> 4);
}

/* ---- traps, debug registers, monitors ---- */

static void t_bit(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	NO_QEMU();
	start(&m, mode);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_dr));
	set_tss(m.vm, NEW_AT, T_TRAP, 0x680001);
	begin_at(&m, L(dr_call), 0);
	m.regs.rax = 0x755;
	set_regs(m.v, &m.regs);
	EXPECT_EXC(m.v, DB, 0);
	CHECK_EQ(m.v->exc.rip, L(other_dr));
	EXPECT(m.v, STOP_SYNC);
	get_regs(m.v, &r);
	get_sregs(m.v, &s);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	CHECK_EQ(r.rax, 0x600);
	CHECK_EQ(r.rbx, 0xffff0ff0 | DR6_BT);

	/* Without the bit, and with a single step of the old task. */
	tables(&m);
	set_tss(m.vm, NEW_AT, T_EIP, L(other_dr));
	begin_at(&m, L(call), 0);
	m.regs.rflags |= RFLAGS_TF;
	set_regs(m.v, &m.regs);
	EXPECT_EXC(m.v, DB, 0);
	CHECK_EQ(m.v->exc.rip, L(other_dr));
	EXPECT(m.v, STOP_SYNC);
	get_regs(m.v, &r);
	CHECK_EQ(r.rbx & 0xe000, DR6_BS | (r.rbx & DR6_BT));
}

/* General detect is about MOV DR: the switch changes DR7 all the same. */
static void general_detect(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	NO_QEMU();
	start(&m, mode);
	begin_at(&m, L(dr_call), 0);
	m.regs.rax = 0x2755;
	set_regs(m.v, &m.regs);
	stopped_at(&m, L(other), &r, &s);
	CHECK_EQ(s.tr.selector, SEL_NEW);
	/* It is still on, and the local breakpoints are not. */
	set_tss(m.vm, NEW_AT, T_EIP, L(other_dr));
	vcpu_settle(m.v);
	get_regs(m.v, &r);
	r.rip = L(other_dr);
	set_regs(m.v, &r);
	EXPECT_EXC(m.v, DB, 0);
	CHECK_EQ(m.v->exc.rip, L(other_dr));
	EXPECT(m.v, STOP_SYNC);
	get_regs(m.v, &r);
	CHECK_EQ(r.rax, 0x600);
}

/* 16 registers, the link, the busy bit, the accessed bit of the new task's data */
#define STORES 19

enum { LOG, DENY, HOLD };

struct reader {
	int mon;
	struct vigil_event ev[STORES];
};

/* Lets each store happen that the vCPU is held for. */
static void *allow_all(void *arg)
{
	struct reader *r = arg;
	unsigned int i;

	for (i = 0; i < STORES; i++) {
		r->ev[i] = mon_event(r->mon);
		if (mon_verdict(r->mon, r->ev[i].seq, VIGIL_VERDICT_ALLOW))
			FAIL("VIGIL_VERDICT: errno %d", errno);
	}
	return NULL;
}

static void check_stores(struct machine *m, const struct vigil_event *ev)
{
	unsigned int regs = 0, i;

	for (i = 0; i < STORES; i++, ev++) {
		bool last = i == STORES - 1;

		/* The last one is the new task's, which has executed nothing. */
		CHECK_EQ(ev->rip, last ? L(other) : L(call));
		CHECK_EQ(ev->insn_len, last ? 0 : 7);
		CHECK_EQ(ev->gva, ev->gpa);
		if (ev->gpa >= OLD_AT && ev->gpa < OLD_AT + 0x68) {
			CHECK(!memcmp(ev->old, m->old_tss + (ev->gpa - OLD_AT),
				      ev->len));
			regs++;
		} else if (ev->gpa == NEW_AT) {
			CHECK_EQ(ev->len, 2);
			CHECK_EQ(ev->new_[0] | ev->new_[1] << 8, SEL_TSS);
		} else if (ev->gpa == GUEST_GDT + SEL_NEW) {
			CHECK_EQ(ev->old[5] ^ ev->new_[5], 2);
		} else {
			CHECK_EQ(ev->gpa, GUEST_GDT + SEL_DATA);
			CHECK_EQ(ev->old[5] ^ ev->new_[5], 1);
			CHECK(last);
		}
	}
	CHECK_EQ(regs, STORES - 3);
}

/* The stores are a monitor's to see, to deny and to hold. */
static void watched(long how)
{
	const uint32_t action[] = { VIGIL_ACTION_LOG, VIGIL_ACTION_DENY,
				    VIGIL_ACTION_ASK };
	struct reader reader;
	uint32_t other;
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	pthread_t thread;
	unsigned int i;

	NO_QEMU();
	start(&m, M_PG32);
	gdt_set(m.vm, SEL_DATA, 0, ~0u, D_P | D_S | D_TYPE(2) | D_DB | D_G);
	reader.mon = mon_open(m.vm);
	mon_watch(reader.mon, OLD_AT, 0x68, action[how]);
	other = how == HOLD ? VIGIL_ACTION_ASK : VIGIL_ACTION_LOG;
	mon_watch(reader.mon, NEW_AT, 0x68, other);
	mon_watch(reader.mon, GUEST_GDT + SEL_NEW, 8, other);
	mon_watch(reader.mon, GUEST_GDT + SEL_DATA, 8, other);
	begin_at(&m, L(call), 0);
	if (how == HOLD && pthread_create(&thread, NULL, allow_all, &reader))
		ERROR("pthread_create: errno %d", errno);
	stopped_at(&m, L(other), &r, &s);
	check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);
	if (how == HOLD)
		pthread_join(thread, NULL);
	for (i = 0; how != HOLD && i < STORES; i++)
		reader.ev[i] = mon_event(reader.mon);
	CHECK_NO_EVENT(reader.mon);
	check_stores(&m, reader.ev);
	if (how == DENY)
		CHECK_MEM(!memcmp(vm_ram(m.vm, OLD_AT, 0x68), m.old_tss, 0x68));
	else
		check_saved(&m, L(call_end), RFLAGS_1 | RFLAGS_CF);
	CHECK(is_busy(&m, SEL_NEW));
}

static const struct test_case cases[] = {
	CASE3("CALL and IRET", call_iret),
	CASE3("JMP there and back", jmp_back),
	CASE3("JMP in the emulator", emulated),
	{ "TSS of 16 bits: to one and back", narrow, 2 },
	{ "TSS of 16 bits: from one and back", narrow, 1 },
	{ "TSS of 16 bits: both", narrow, 3 },
	CASE3("INT n, and the gate's DPL", int_n),
	CASE3("INT n behind an exception", int_after_exception),
	CASE3("exceptions", exceptions),
	CASE3("an exception's task returns", exception_returns),
	CASE3("double fault", double_fault),
	CASE3("error code of 16 bits", error_code_16),
	CASE3("interrupt", interrupt),
	CASE3("NMI", nmi),
	{ "VM86 task (vm86)", vm86, M_VM86 },
	CASE3("T bit and DR7", t_bit),
	CASE3("general detect", general_detect),
	{ "stores that are watched", watched, LOG },
	{ "stores that are denied", watched, DENY },
	{ "stores that are held", watched, HOLD },
	{ 0 },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
