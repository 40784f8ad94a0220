// SPDX-License-Identifier: GPL-2.0
/* Task switches that fail, in the old task or in the new one. */
#include "tasks.h"

/* ---- refusals of the old task ---- */

/* The fault is at @rip, and neither task nor the GDT has changed. */
static void old_refuses(struct machine *m, const char *what, uint64_t rip,
			unsigned int vector, uint32_t error)
{
	uint8_t gdt[0x100];
	struct kvm_sregs s;
	unsigned int failures = test_failures();

	memcpy(gdt, vm_ram(m->vm, GUEST_GDT, sizeof(gdt)), sizeof(gdt));
	EXPECT_EXC(m->v, vector, error);
	get_sregs(m->v, &s);
	CHECK_EQ(m->v->exc.rip, rip);
	CHECK_EQ(s.tr.selector, SEL_TSS);
	CHECK(!(s.cr0 & CR0_TS));
	if (mode_paged(m->mode))
		CHECK_EQ(s.cr3, m->old_cr3);
	CHECK_MEM(!memcmp(vm_ram(m->vm, OLD_AT, 0x68), m->old_tss, 0x68));
	CHECK_MEM(!memcmp(vm_ram(m->vm, NEW_AT, 0x68), m->new_tss, 0x68));
	CHECK_MEM(!memcmp(vm_ram(m->vm, GUEST_GDT, sizeof(gdt)), gdt,
			  sizeof(gdt)));
	if (test_failures() != failures)
		test_note("that was: %s", what);
	vcpu_settle(m->v);
}

static void gate_to(struct machine *m, unsigned int sel, unsigned int attr)
{
	wr64(m->vm, GUEST_GDT + SEL_GATE,
	     (uint64_t)sel << 16 | (uint64_t)attr << 40);
}

static void refused_far(struct machine *m, const char *what, uint64_t rip,
			unsigned int cpl, unsigned int vector, uint32_t error)
{
	begin_at(m, rip, cpl);
	old_refuses(m, what, rip, vector, error);
	tables(m);
}

static void refused_int(struct machine *m, const char *what, unsigned int sel,
			unsigned int vector, uint32_t error)
{
	task_gate(m, VEC_TASK, sel, 3);
	begin_at(m, L(int), 3);
	old_refuses(m, what, L(int), vector, error);
	tables(m);
}

static void refused_iret(struct machine *m, const char *what, unsigned int sel,
			 unsigned int vector, uint32_t error)
{
	set_seg(m->vm, OLD_AT, T_LINK, sel);
	begin_at(m, L(iret), 0);
	m->regs.rflags |= RFLAGS_NT;
	set_regs(m->v, &m->regs);
	old_refuses(m, what, L(iret), vector, error);
	set_seg(m->vm, OLD_AT, T_LINK, 0);
	tables(m);
}

static void refused(long mode)
{
	struct machine m;

	NO_QEMU();
	start(&m, mode);
	refused_far(&m, "TSS of DPL 0 at CPL 3", L(call), 3, GP, SEL_NEW);
	refused_far(&m, "RPL 3 of DPL 0", L(call3), 0, GP, SEL_NEW);
	gate_to(&m, SEL_NEW, 0x85);
	refused_far(&m, "gate of DPL 0", L(call_gate), 3, GP, SEL_GATE);
	gate_to(&m, SEL_NEW, 0x65);
	refused_far(&m, "gate not there", L(call_gate), 3, NP, SEL_GATE);
	gate_to(&m, SEL_NEW | 4, 0xe5);
	refused_far(&m, "gate to the LDT", L(call_gate), 3, GP, SEL_NEW | 4);
	gate_to(&m, SEL_BEYOND, 0xe5);
	refused_far(&m, "gate beyond", L(call_gate), 3, GP, SEL_BEYOND);
	gate_to(&m, SEL_CODE32, 0xe5);
	refused_far(&m, "gate to code", L(call_gate), 3, GP, SEL_CODE32);
	gate_to(&m, SEL_TSS, 0xe5);
	refused_far(&m, "gate to a busy TSS", L(call_gate), 3, GP, SEL_TSS);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_P | D_TYPE(0xb));
	refused_far(&m, "JMP to a busy TSS", L(jmp), 0, GP, SEL_NEW);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_TYPE(9));
	refused_far(&m, "JMP to a TSS not there", L(jmp), 0, NP, SEL_NEW);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x66, D_P | D_TYPE(9));
	refused_far(&m, "a limit of 0x66", L(jmp), 0, TS, SEL_NEW);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x2a, D_P | D_TYPE(1));
	refused_far(&m, "a limit of 0x2a", L(jmp), 0, TS, SEL_NEW);

	refused_int(&m, "INT n to the LDT", SEL_NEW | 4, GP, SEL_NEW | 4);
	refused_int(&m, "INT n beyond", SEL_BEYOND, GP, SEL_BEYOND);
	refused_int(&m, "INT n to a busy TSS", SEL_TSS, GP, SEL_TSS);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_TYPE(9));
	refused_int(&m, "INT n to a TSS not there", SEL_NEW, NP, SEL_NEW);

	refused_iret(&m, "IRET to null", 0, TS, 0);
	refused_iret(&m, "IRET to the LDT", SEL_NEW | 4, TS, SEL_NEW | 4);
	refused_iret(&m, "IRET beyond", SEL_BEYOND, TS, SEL_BEYOND);
	refused_iret(&m, "IRET to one that is not busy", SEL_NEW, TS, SEL_NEW);
	refused_iret(&m, "IRET to code", SEL_CODE32, TS, SEL_CODE32);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_TYPE(0xb));
	refused_iret(&m, "IRET to one not there", SEL_NEW, NP, SEL_NEW);

	/* An event's: EXT */
	task_gate(&m, UD, SEL_TSS, 0);
	refused_far(&m, "#UD to a busy TSS", L(ud), 0, GP, SEL_TSS | 1);
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x66, D_P | D_TYPE(9));
	task_gate(&m, UD, SEL_NEW, 0);
	refused_far(&m, "#UD to a small TSS", L(ud), 0, TS, SEL_NEW | 1);
}

static void old_pf(struct machine *m, const char *what, uint64_t cr2,
		   uint32_t error)
{
	begin_at(m, L(call), 0);
	old_refuses(m, what, L(call), PF, error);
	check_cr2(m->v->exc.cr2, cr2);
}

/* A page is not there: the #PF is the old task's. Then it is, and all goes well. */
static void absent(long mode)
{
	uint64_t page = NEW_AT & ~0xfffull, next = (AT_END | 0xfff) + 1, pte;
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt old;

	NO_QEMU();
	start(&m, mode);
	old = m.pt;
	old.root = m.old_cr3;

	pte = pt_get(&old, page, 1);
	pt_set(&old, page, 1, pte & ~PTE_P);
	/* A not-present entry is in no TLB, and this one was never used. */
	old_pf(&m, "no new TSS", page, PF_W);
	pt_set(&old, page, 1, pte);
	gdt_set(m.vm, SEL_NEW, AT_END, 0x67, D_P | D_TYPE(9));
	make_tss(&m, AT_END, L(other), NEW_STACK, 0x22000000);
	pte = pt_get(&old, next, 1);
	pt_set(&old, next, 1, pte & ~PTE_P);
	old_pf(&m, "half of the new TSS", next, PF_W);
	pt_set(&old, next, 1, pte);
	begin_at(&m, L(call), 0);
	stopped_at(&m, L(other), &r, &s);
	check_saved(&m, L(call_end), RFLAGS_1 | RFLAGS_CF);
	check_loaded(&m, &r, &s, RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT);

	/* With CR0.WP the busy bit cannot be stored to a GDT that is read-only. */
	gdt_set(m.vm, SEL_NEW, NEW_AT, 0x67, D_P | D_TYPE(9));
	make_tss(&m, NEW_AT, L(other), NEW_STACK, 0x22000000);
	pte = pt_get(&old, GUEST_GDT, 1);
	pt_set(&old, GUEST_GDT, 1, pte & ~PTE_W);
	begin_at(&m, L(call), 0);
	get_sregs(m.v, &s);
	s.cr0 |= CR0_WP;
	set_sregs(m.v, &s);
	old_refuses(&m, "a GDT that is read-only", L(call), PF, PF_W | PF_P);
	check_cr2(m.v->exc.cr2, GUEST_GDT + SEL_NEW);
	pt_set(&old, GUEST_GDT, 1, pte);

	/* Nor the registers to an old TSS that is. */
	pte = pt_get(&old, OLD_AT, 1);
	pt_set(&old, OLD_AT, 1, pte & ~PTE_W);
	begin_at(&m, L(call), 0);
	get_sregs(m.v, &s);
	s.cr0 |= CR0_WP;
	set_sregs(m.v, &s);
	old_refuses(&m, "an old TSS that is read-only", L(call), PF,
		    PF_W | PF_P);
	/* EIP is the first that is stored. */
	check_cr2(m.v->exc.cr2, OLD_AT + 0x20);
}

/* ---- faults of the new task ---- */

/*
 * A task of ring 3 whose segments are bad: the handler's stack is that of the ring 0
 * of the new TSS.
 */
static void new_faults(long mode)
{
	static const struct {
		const char *what;
		unsigned int at;
		uint16_t sel;
		unsigned int vector;
		uint32_t error;
	} row[] = {
		{ "CS: null, RPL 3", T_CS, 3, TS, 0 },
		{ "CS: data", T_CS, SEL_UDATA, TS, SEL_UDATA & ~3 },
		{ "CS: not there", T_CS, SEL_CODE_GONE | 3, TS, SEL_CODE_GONE },
		{ "CS: DPL 0", T_CS, SEL_CODE32 | 3, TS, SEL_CODE32 },
		{ "CS: beyond", T_CS, SEL_BEYOND | 3, TS, SEL_BEYOND },
		{ "SS: null", T_SS, 0, TS, 0 },
		{ "SS: RPL 0", T_SS, SEL_UDATA & ~3, TS, SEL_UDATA & ~3 },
		{ "SS: DPL 0", T_SS, SEL_DATA | 3, TS, SEL_DATA },
		{ "SS: code", T_SS, SEL_UCODE32, TS, SEL_UCODE32 & ~3 },
		{ "SS: beyond", T_SS, SEL_BEYOND | 3, TS, SEL_BEYOND },
		{ "DS: DPL 0", T_DS, SEL_DATA, TS, SEL_DATA },
		{ "ES: a TSS", T_ES, SEL_TSS, TS, SEL_TSS },
		{ "FS: in no LDT", T_FS, 0x1004, TS, 0x1004 },
		{ "GS: code that is not readable", T_GS, SEL_CODE_GONE | 3, TS,
		  SEL_CODE_GONE },
		{ "LDT: code", T_LDT, SEL_CODE32, TS, SEL_CODE32 },
		{ "LDT: in the LDT", T_LDT, 0xc, TS, 0xc },
		{ "LDT: beyond", T_LDT, SEL_BEYOND, TS, SEL_BEYOND },
	};
	struct machine m;
	unsigned int i, j;

	NO_QEMU();
	start(&m, mode);
	for (i = 0; i < 2 * ARRAY_SIZE(row); i++) {
		unsigned int failures = test_failures();
		bool event = i & 1;
		struct kvm_sregs s;

		tables(&m);
		for (j = T_ES; j <= T_GS; j += 4)
			set_seg(m.vm, NEW_AT, j,
				j == T_CS ? SEL_UCODE32 : SEL_UDATA);
		set_seg(m.vm, NEW_AT, row[i / 2].at, row[i / 2].sel);
		task_gate(&m, UD, SEL_NEW, 0);
		begin_at(&m, event ? L(ud) : L(call), 0);
		EXPECT_EXC(m.v, row[i / 2].vector,
			   row[i / 2].error | (event ? 1 : 0));
		get_sregs(m.v, &s);
		CHECK_EQ(s.tr.selector, SEL_NEW);
		CHECK(is_busy(&m, SEL_NEW));
		CHECK_EQ(m.v->exc.rip, L(other));
		CHECK_EQ(m.v->exc.cs, rd32(m.vm, NEW_AT + T_CS) & 0xffff);
		CHECK_EQ(m.v->exc.rsp, NEW_STACK);
		if (row[i / 2].at != T_SS)
			CHECK_EQ(m.v->exc.ss, SEL_UDATA);
		CHECK_EQ(s.ss.selector, SEL_DATA);
		/* What was not loaded can be seen, and not be used. */
		if (row[i / 2].at == T_GS)
			CHECK_EQ(s.gs.unusable, 1);
		check_saved(&m, event ? L(ud) : L(call_end),
			    RFLAGS_1 | RFLAGS_CF | (event ? RFLAGS_RF : 0));
		if (test_failures() != failures)
			test_note("that was: %s%s", row[i / 2].what,
				  event ? ", #UD" : "");
		vcpu_settle(m.v);
	}
}

/* In ring 0 the handler of a bad stack has to be a task of its own. */
static void new_faults_task(long mode)
{
	static const struct {
		const char *what;
		unsigned int at;
		uint16_t sel;
		unsigned int vector;
		uint32_t error;
	} row[] = {
		{ "CS: not there", T_CS, SEL_CODE_GONE, NP, SEL_CODE_GONE },
		{ "CS: null", T_CS, 0, TS, 0 },
		{ "SS: not there", T_SS, SEL_GONE, SS, SEL_GONE },
		{ "SS: read-only", T_SS, SEL_READ, TS, SEL_READ },
		{ "DS: not there", T_DS, SEL_GONE, NP, SEL_GONE },
		{ "EIP: beyond the limit", T_CS, SEL_SMALL, GP, 0 },
	};
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	NO_QEMU();
	start(&m, mode);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		unsigned int failures = test_failures();

		tables(&m);
		set_seg(m.vm, NEW_AT, row[i].at, row[i].sel);
		task_gate(&m, row[i].vector, SEL_HANDLER, 0);
		begin_at(&m, L(call), 0);
		stopped_at(&m, L(handler), &r, &s);
		CHECK_EQ(s.tr.selector, SEL_HANDLER);
		CHECK_EQ(r.rsp, HANDLER_STACK - 4);
		CHECK_MEM_EQ(rd32(m.vm, HANDLER_STACK - 4), row[i].error);
		CHECK_EQ(tss(m.vm, HANDLER_AT, T_LINK) & 0xffff, SEL_NEW);
		CHECK_EQ(tss(m.vm, NEW_AT, T_EIP), L(other));
		CHECK_EQ(tss(m.vm, NEW_AT, row[i].at) & 0xffff, row[i].sel);
		CHECK_EQ(tss(m.vm, NEW_AT, T_ESP), NEW_STACK);
		CHECK_EQ(tss(m.vm, NEW_AT, T_FLAGS),
			 RFLAGS_1 | RFLAGS_ZF | RFLAGS_NT | RFLAGS_RF);
		if (test_failures() != failures)
			test_note("that was: %s", row[i].what);
	}
}

/* A root with bad PDPTEs is #GP(0) of the new task, which has no segments yet. */
static void bad_cr3(long mode)
{
	struct machine m;
	struct kvm_sregs s;
	struct kvm_regs r;

	NO_QEMU();
	start(&m, mode);
	wr64(m.vm, m.pt.root, rd64(m.vm, m.pt.root) | 0x1e6);
	task_gate(&m, GP, SEL_HANDLER, 0);
	set_tss(m.vm, HANDLER_AT, T_CR3, m.old_cr3);
	begin_at(&m, L(call), 0);
	stopped_at(&m, L(handler), &r, &s);
	CHECK_EQ(s.tr.selector, SEL_HANDLER);
	CHECK_MEM_EQ(rd32(m.vm, HANDLER_STACK - 4), 0);
	CHECK_EQ(tss(m.vm, NEW_AT, T_EIP), L(other));
	CHECK_EQ(tss(m.vm, NEW_AT, T_ESP), NEW_STACK);
	CHECK_EQ(tss(m.vm, HANDLER_AT, T_LINK) & 0xffff, SEL_NEW);
}

static const struct test_case cases[] = {
	CASE3("refused in the old task", refused),
	{ "a TSS is not mapped (32-bit paging)", absent, M_PG32 },
	{ "a TSS is not mapped (pae)", absent, M_PAE },
	CASE3("faults of the new task", new_faults),
	CASE3("faults of the new task, by a task", new_faults_task),
	{ "bad PDPTEs (pae)", bad_cr3, M_PAE },
	{ 0 },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
