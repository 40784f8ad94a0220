// SPDX-License-Identifier: GPL-2.0
/*
 * The hidden part of the segment registers outlives its descriptor.
 *
 * Two examples of the thread "Questioning the Xen Design of the VMM" (2006):
 * FS with a 4 GiB limit in real mode, and GDT[5] rewritten after the load.
 * Host timer ticks, exits and injected interrupts hit the guest meanwhile.
 * Emulators may not check limits, so SREGS are compared at every stop as well.
 *
 * The same program must fail where the module parameter reload_segments is
 * set: see reload-must-fail.
 */
#include "../guest/seg.h"
#include "guest.h"

DECLARE_PAYLOAD(seg_bigreal);
DECLARE_PAYLOAD(seg_ds);
DECLARE_PAYLOAD(seg_es);
DECLARE_PAYLOAD(seg_fs);
DECLARE_PAYLOAD(seg_gs);
DECLARE_PAYLOAD(seg_ss);
DECLARE_PAYLOAD(seg_cs);
DECLARE_PAYLOAD(seg_ldt);
DECLARE_PAYLOAD(seg_tr);
DECLARE_LABEL(seg_tr, int81);
DECLARE_LABEL(seg_tr, int82);

#define VECTOR 0x20
#define TICK_US 400
#define BIG_INTERRUPTS 150 /* stops in example one, each compared */
#define ASKS 2000 /* exits in example two, the save is halfway */

enum seg { SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS, SEG_CS, SEG_LDT, SEG_TR };

#define IF_ON 0x100 /* in a case's argument */

static const struct {
	const char *name;
	const char *start, *end;
	size_t offset; /* in struct kvm_sregs */
	unsigned int attr; /* of GDT[5] */
} seg[] = {
#define DATA(r)                                        \
	{                                              \
#r, pl_seg_##r, pl_seg_##r##_end,      \
			offsetof(struct kvm_sregs, r), \
			D_P | D_S | D_DB | D_TYPE(3)   \
	}
	[SEG_DS] = DATA(ds),
	[SEG_ES] = DATA(es),
	[SEG_FS] = DATA(fs),
	[SEG_GS] = DATA(gs),
	[SEG_SS] = DATA(ss),
	[SEG_CS] = { "cs", pl_seg_cs, pl_seg_cs_end,
		     offsetof(struct kvm_sregs, cs),
		     D_P | D_S | D_DB | D_TYPE(0xb) },
	[SEG_LDT] = { "ldt", pl_seg_ldt, pl_seg_ldt_end,
		      offsetof(struct kvm_sregs, ldt), D_P | D_TYPE(2) },
	[SEG_TR] = { "tr", pl_seg_tr, pl_seg_tr_end,
		     offsetof(struct kvm_sregs, tr), D_P | D_TYPE(9) },
};

static struct kvm_segment get_seg(struct vcpu *v, size_t offset)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	return *(struct kvm_segment *)((char *)&s + offset);
}

static void compare_seg(struct vcpu *v, size_t offset,
			const struct kvm_segment *want, const char *when)
{
	struct kvm_segment got = get_seg(v, offset);

	if (got.base != want->base || got.limit != want->limit ||
	    got.selector != want->selector || got.type != want->type ||
	    got.present != want->present || got.dpl != want->dpl ||
	    got.db != want->db || got.s != want->s || got.l != want->l ||
	    got.g != want->g || got.unusable != want->unusable)
		FAIL("%s: base %#llx limit %#x type %u db %u g %u, not base %#llx limit %#x type %u db %u g %u",
		     when, got.base, got.limit, got.type, got.db, got.g,
		     want->base, want->limit, want->type, want->db, want->g);
}

static void set_rbp(struct vcpu *v, bool if_on)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rbp = if_on;
	r.rbx = 1;
	set_regs(v, &r);
}

/* Checks each dword that the pass has stored, and that no other one changed. */
static void check_stores(const uint32_t *mem, uint32_t pass)
{
	unsigned int i;

	for (i = 0; i < BIG_STORES; i++) {
		if (mem[i] != pass) {
			FAIL("store %u of pass %u: %#x", i, pass, mem[i]);
			break;
		}
	}
	CHECK_EQ(mem[BIG_STORES], 0xffffffff);
}

static void big_real(long if_on)
{
	struct vcpu *v = START(M_REAL, seg_bigreal);
	size_t size = BIG_STORES * 4 + 0x1000;
	uint32_t *mem = ram_alloc(size);
	struct kvm_segment want = {
		.selector = SEL_DATA,
		.limit = ~0u,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	unsigned int hits = 0, passes = 0, irqs = 0;
	bool done = false;

	memset(mem, 0xff, size);
	vm_slot(v->vm, 1, BIG_START, size, mem, 0);
	set_rbp(v, if_on);
	v->stop_on_signal = true;
	ticks(TICK_US);
	while (!done) {
		enum stop stop = vcpu_go(v);

		switch (stop) {
		case STOP_SIGNAL:
			/* The first ticks may come before the load. */
			if (get_seg(v, offsetof(struct kvm_sregs, fs))
				    .selector != SEL_DATA)
				break;
			hits++;
			compare_seg(v, offsetof(struct kvm_sregs, fs), &want,
				    "after a tick");
			if (if_on)
				v->pending_irq = VECTOR;
			break;
		case STOP_EXC:
			if (v->exc.vector != VECTOR)
				describe_exc(v);
			REQUIRE_EQ(v->exc.vector, VECTOR);
			compare_seg(v, offsetof(struct kvm_sregs, fs), &want,
				    "in the interrupt's handler");
			irqs++;
			break;
		case STOP_IO:
			passes++;
			check_stores(mem, passes);
			*((uint8_t *)v->run + v->run->io.data_offset) =
				hits >= BIG_INTERRUPTS;
			break;
		case STOP_END:
			done = true;
			break;
		default:
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
		if (test_failures() > 20)
			test_abort();
	}
	ticks(0);
	CHECK(hits >= BIG_INTERRUPTS);
	if (if_on)
		/* On a slow host several ticks come for each interrupt. */
		CHECK(irqs >= hits / 8);
	else
		CHECK_EQ(irqs, 0);
	test_note("%u passes, %u ticks, %u interrupts", passes, hits, irqs);
}

/* Puts the payload (for CS), an LDT, a TSS and a mark at both bases. */
static void build_bases(struct vm *vm, int which)
{
	const uint32_t base[] = { OLD_BASE, NEW_BASE };
	const uint32_t mark[] = { OLD_MARK, NEW_MARK };
	const uint32_t esp0[] = { ESP0_OLD, ESP0_NEW };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (which == SEG_CS)
			vm_load_at(vm, base[i], seg[which].start,
				   seg[which].end);
		if (which == SEG_LDT)
			/*
			 * LDT[0] has the contents that the GDT's entry would
			 * have.
			 */
			wr64(vm, base[i],
			     0x0040930000000fffull | (uint64_t)base[i] << 16);
		if (which == SEG_TR) {
			wr64(vm, base[i] + 4, esp0[i]);
			wr32(vm, base[i] + 0x64, 0x680000);
		}
		wr32(vm, base[i] + MARK_OFF, mark[i]);
	}
	gdt_set(vm, SEL_5, OLD_BASE, 0xfff, seg[which].attr);
	if (which == SEG_TR) {
		wr64(vm, GUEST_GDT + SEL_5 + 8, 0); /* its upper half */
		idt_gate(vm, M_LONG, 0x81, LABEL_AT(seg_tr, int81), SEL_CODE64,
			 0xe, 3);
		idt_gate(vm, M_LONG, 0x82, LABEL_AT(seg_tr, int82), SEL_CODE64,
			 0xe, 3);
	}
}

/* Moves the vCPU's state to a second VM with the same memory. */
static struct vcpu *move_to_new_vm(struct vcpu *old)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	struct vm *vm;
	enum mode old_mode = old->mode;
	struct vcpu *v;

	vcpu_settle(old);
	get_regs(old, &r);
	get_sregs(old, &s);
	vm = vm_create_bare();
	vm->ram = old->vm->ram;
	vm->ram_size = old->vm->ram_size;
	vm_slot(vm, 0, 0, vm->ram_size, vm->ram, 0);
	old->vm->ram = NULL;
	vm_destroy(old->vm);
	v = vcpu_create(vm);
	set_sregs(v, &s);
	set_regs(v, &r);
	v->mode = old_mode;
	v->stop_on_signal = true;
	return v;
}

static void gdt5(long arg)
{
	int which = arg & 0xff;
	bool if_on = arg & IF_ON, done = false;
	struct vcpu *v = guest_start(which == SEG_TR ? M_LONG : M_PROT32,
				     seg[which].start, seg[which].end);
	size_t offset = seg[which].offset;
	/* Bochs checks limits, so it makes all rounds. */
	const unsigned int n = test_on_bochs() ? ASKS : test_rounds(ASKS);
	unsigned int asks = 0, irqs = 0, hits = 0;
	struct kvm_segment want = { 0 };

	build_bases(v->vm, which);
	set_rbp(v, if_on);
	v->stop_on_signal = true;
	ticks(TICK_US * 4);
	while (!done) {
		enum stop stop = vcpu_go(v);

		switch (stop) {
		case STOP_SIGNAL:
			/*
			 * The compared stops are after the load and before the
			 * reload.
			 */
			if (asks && asks < n) {
				hits++;
				compare_seg(v, offset, &want, "after a tick");
			}
			break;
		case STOP_EXC:
			if (v->exc.vector != VECTOR)
				describe_exc(v);
			REQUIRE_EQ(v->exc.vector, VECTOR);
			irqs++;
			if (asks)
				compare_seg(v, offset, &want,
					    "in the interrupt's handler");
			break;
		case STOP_IO:
			REQUIRE_EQ(v->run->io.port, PORT_ASK);
			if (!asks++) {
				want = get_seg(v, offset);
				CHECK_EQ(want.selector, SEL_5);
				CHECK_EQ(want.base, OLD_BASE);
				CHECK_EQ(want.limit, 0xfff);
			}
			compare_seg(v, offset, &want, "after an exit");
			*((uint8_t *)v->run + v->run->io.data_offset) = asks ==
									n;
			if (if_on && asks < n)
				v->pending_irq = VECTOR;
			if (asks == n / 2) {
				ticks(0); /* ticks would disturb the ioctls */
				v = move_to_new_vm(v);
				ticks(TICK_US * 4);
				compare_seg(v, offset, &want, "in the new VM");
			}
			break;
		case STOP_END:
			done = true;
			break;
		default:
			FAIL("stopped by %s after %u exits", stop_name[stop],
			     asks);
			vcpu_describe(v);
			test_abort();
		}
		if (test_failures() > 20)
			test_abort();
	}
	ticks(0);
	CHECK_EQ(v->nr_vals, 0);
	if (v->nr_vals)
		test_note("the guest read %#llx through %s",
			  (unsigned long long)v->val[0], seg[which].name);
	CHECK_EQ(asks, n);
	want = get_seg(v, offset);
	CHECK_EQ(want.base, NEW_BASE);
	if (if_on)
		CHECK(irqs >= n * 9 / 10);
	else
		CHECK_EQ(irqs, 0);
	test_note("%u exits, %u ticks, %u interrupts", asks, hits, irqs);
}

static const struct test_case cases[] = {
	{ "(a) big real FS, ticks and interrupts", big_real, 1, 120 },
	{ "(a) big real FS, ticks only", big_real, 0, 120 },
	{ "(b) GDT[5] in DS, IF=1", gdt5, SEG_DS | IF_ON },
	{ "(b) GDT[5] in DS, IF=0", gdt5, SEG_DS },
	{ "(b) GDT[5] in ES, IF=1", gdt5, SEG_ES | IF_ON },
	{ "(b) GDT[5] in ES, IF=0", gdt5, SEG_ES },
	{ "(b) GDT[5] in FS, IF=1", gdt5, SEG_FS | IF_ON },
	{ "(b) GDT[5] in FS, IF=0", gdt5, SEG_FS },
	{ "(b) GDT[5] in GS, IF=1", gdt5, SEG_GS | IF_ON },
	{ "(b) GDT[5] in GS, IF=0", gdt5, SEG_GS },
	{ "(b) GDT[5] in SS, IF=1", gdt5, SEG_SS | IF_ON },
	{ "(b) GDT[5] in SS, IF=0", gdt5, SEG_SS },
	/* With IF=1, the handler's IRET would load CS again, which is right. */
	{ "(b) GDT[5] in CS, IF=0", gdt5, SEG_CS },
	{ "(b) GDT[5] in LDTR, IF=1", gdt5, SEG_LDT | IF_ON },
	{ "(b) GDT[5] in LDTR, IF=0", gdt5, SEG_LDT },
	{ "(b) GDT[5] in TR, IF=1", gdt5, SEG_TR | IF_ON },
	{ "(b) GDT[5] in TR, IF=0", gdt5, SEG_TR },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
