// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts and NMIs: when they may come, in which order, with which frame,
 * and that none is lost or doubled when its delivery is cut short.
 */
#include <sys/mman.h>

#include "../watch/mon.h"
#include "guest.h"

DECLARE_PAYLOAD3(ev_sti);
DECLARE_LABEL3(ev_sti, shadow);
DECLARE_LABEL3(ev_sti, due);
DECLARE_PAYLOAD3(ev_softint);
DECLARE_LABEL3(ev_softint, due);
DECLARE_PAYLOAD3(ev_movss);
DECLARE_LABEL3(ev_movss, first);
DECLARE_LABEL3(ev_movss, last);
DECLARE_PAYLOAD3(ev_step);
DECLARE_LABEL3(ev_step, s0);
DECLARE_LABEL3(ev_step, s1);
DECLARE_LABEL3(ev_step, s2);
DECLARE_LABEL3(ev_step, s3);
DECLARE_LABEL3(ev_step, s4);
DECLARE_LABEL3(ev_step, s5);
DECLARE_PAYLOAD3(ev_hlt);
DECLARE_LABEL3(ev_hlt, due);
DECLARE_PAYLOAD3(ev_spin);
DECLARE_PAYLOAD3(ev_nmi);
DECLARE_PAYLOAD3(ev_cold);
DECLARE_PAYLOAD(ev_idt_pf);
DECLARE_LABEL(ev_idt_pf, int);
DECLARE_LABEL(ev_idt_pf, behind);
DECLARE_PAYLOAD(ev_nmi_block);
DECLARE_LABEL(ev_nmi_block, handler);
DECLARE_PAYLOAD(ev_nmi_mmio);
DECLARE_LABEL(ev_nmi_mmio, handler);
DECLARE_LABEL(ev_nmi_mmio, iret);
DECLARE_LABEL(ev_nmi_mmio, behind);

#define VECTOR 0x31

static void send_nmi(struct vcpu *v)
{
	if (ioctl(v->fd, KVM_NMI))
		ERROR("KVM_NMI: %s", strerror(errno));
}

static void answer(struct vcpu *v, uint8_t al)
{
	*((uint8_t *)v->run + v->run->io.data_offset) = al;
}

/*
 * QEMU TCG drops the interrupt shadow at VMRUN: a host interrupt that ends the guest
 * run behind STI takes the shadow away. Returns false where that has happened.
 */
static bool try_sti_shadow(enum mode mode)
{
	struct vcpu *v = START3(mode, ev_sti);
	bool counted = test_on_tcg() && !test_on_kvm();
	uint64_t irqs = 0;
	bool lost = false;

	EXPECT(v, STOP_SYNC);
	CHECK_EQ(v->run->if_flag, 0);
	CHECK_EQ(v->run->ready_for_interrupt_injection, 0);
	v->pending_irq = VECTOR;
	/* IF is clear: neither a window nor an interrupt before STI. */
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(v->windows, 0);
	CHECK_EQ(v->irqs_injected, 0);
	if (counted)
		irqs = mon_stat(v->vm->fd, "exits_irq");
	EXPECT_EXC(v, VECTOR, 0);
	if (counted && v->exc.rip == LABEL3(mode, ev_sti, shadow))
		lost = mon_stat(v->vm->fd, "exits_irq") != irqs;
	if (!lost)
		CHECK_EQ(v->exc.rip, LABEL3(mode, ev_sti, due));
	CHECK(v->exc.rflags & RFLAGS_IF);
	CHECK_EQ(v->irqs_injected, 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
	return !lost;
}

static void sti_shadow(long mode)
{
	unsigned int tries = 20;

	while (!try_sti_shadow(mode) && --tries)
		;
	CHECK(tries);
}

/* Interrupts wherever the host's ticks stop the guest, but not in a shadow. */
static void movss_shadow(long mode)
{
	struct vcpu *v = START3(mode, ev_movss);
	uint64_t first = LABEL3(mode, ev_movss, first);
	uint64_t last = LABEL3(mode, ev_movss, last);
	unsigned int inside = 0;
	enum stop stop;

	SKIP_ON_TCG("QEMU TCG drops the interrupt shadow at VMRUN");
	v->stop_on_signal = true;
	ticks(500);
	while ((stop = vcpu_go(v)) != STOP_END) {
		if (stop == STOP_IO) {
			answer(v, inside >= 60);
		} else if (stop == STOP_SIGNAL) {
			if (v->pending_irq < 0 && v->run->if_flag)
				v->pending_irq = VECTOR;
		} else if (stop == STOP_EXC) {
			if (v->exc.rip < first || v->exc.rip >= last)
				continue;
			inside++;
			if ((v->exc.rip - first) % 3)
				FAIL("interrupt behind MOV SS, at %#llx",
				     (unsigned long long)v->exc.rip);
		} else {
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
	}
	ticks(0);
}

static void movss_step(long mode)
{
	const uint64_t want[] = {
		LABEL3(mode, ev_step, s0), LABEL3(mode, ev_step, s1),
		LABEL3(mode, ev_step, s2), LABEL3(mode, ev_step, s3),
		LABEL3(mode, ev_step, s4), LABEL3(mode, ev_step, s5),
	};
	struct vcpu *v = START3(mode, ev_step);
	unsigned int n;

	SKIP_ON_TCG("QEMU TCG takes the step behind MOV SS");
	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	for (n = 0; n < ARRAY_SIZE(want); n++) {
		enum stop stop = vcpu_go(v);

		if (stop == STOP_IO) /* in the shadow */
			stop = vcpu_go(v);
		if (stop != STOP_EXC || v->exc.vector != DB) {
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
		CHECK_EQ(v->exc.rip, want[n]);
		CHECK(v->exc.rflags & RFLAGS_TF);
	}
	EXPECT(v, STOP_END);
}

static void hlt_irq(long mode)
{
	struct vcpu *v = START3(mode, ev_hlt);
	struct kvm_regs r;

	EXPECT(v, STOP_HLT);
	get_regs(v, &r);
	CHECK_EQ(r.rip, LABEL3(mode, ev_hlt, due));
	CHECK(v->run->ready_for_interrupt_injection);
	v->pending_irq = VECTOR;
	EXPECT_EXC(v, VECTOR, 0);
	CHECK_EQ(v->exc.rip, LABEL3(mode, ev_hlt, due));
	EXPECT(v, STOP_END);
}

static void hlt_nmi(long mode)
{
	struct vcpu *v = START3(mode, ev_hlt);

	EXPECT(v, STOP_HLT);
	send_nmi(v);
	EXPECT_EXC(v, NMI, 0);
	CHECK_EQ(v->exc.rip, LABEL3(mode, ev_hlt, due));
	EXPECT(v, STOP_END);
}

/* Many interrupts, from exits and from signals: each is delivered once. */
static void storm(long mode)
{
	struct vcpu *v = START3(mode, ev_spin);
	unsigned int got = 0, asks = 0, n = test_rounds(600);
	enum stop stop;

	v->stop_on_signal = true;
	ticks(1500);
	while ((stop = vcpu_go(v)) != STOP_END) {
		if (stop == STOP_IO) {
			answer(v, ++asks == n);
			if (asks % 2 && v->pending_irq < 0 && asks < n - 1)
				v->pending_irq = 0x20 + asks % 200;
		} else if (stop == STOP_SIGNAL) {
			if (v->pending_irq < 0 && asks < n - 1)
				v->pending_irq = VECTOR;
		} else if (stop == STOP_EXC) {
			got++;
			CHECK_EQ(v->exc.error, 0);
			CHECK(v->exc.vector >= 0x20);
			/* An interrupt gate cleared IF. */
			CHECK_EQ(v->run->if_flag, 0);
		} else {
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
	}
	ticks(0);
	CHECK_EQ(got, v->irqs_injected);
	CHECK(got >= n / 2 - 10);
}

static void nmi_if0(long mode)
{
	struct vcpu *v = START3(mode, ev_nmi);

	EXPECT(v, STOP_SYNC);
	send_nmi(v);
	EXPECT_EXC(v, NMI, 0);
	EXPECT(v, STOP_SYNC);
	/* A second end: no interrupt that was never injected may come. */
	EXPECT(v, STOP_END);
}

static void nmi_blocked(long mode)
{
	struct vcpu *v = START(mode, ev_nmi_block);
	unsigned int syncs = 0;
	enum stop stop;

	idt_gate(v->vm, mode, NMI, LABEL_AT(ev_nmi_block, handler), SEL_CODE64,
		 0xe, 0);
	EXPECT(v, STOP_SYNC);
	send_nmi(v);
	while ((stop = vcpu_go(v)) == STOP_SYNC)
		if (!syncs++)
			send_nmi(v);
	CHECK_EQ(stop, STOP_END);
	CHECK_EQ(syncs, 2);
	REQUIRE_EQ(v->nr_vals, 4);
	/*
	 * The order is: handler, its end, the handler again at the same depth,
	 * its end.
	 */
	CHECK_EQ(v->val[1], 0x1111);
	CHECK_EQ(v->val[2], v->val[0]);
	CHECK_EQ(v->val[3], 0x1111);
}

#define NO_SHADOW() \
	SKIP("the emulator drops an interrupt shadow when the guest is entered again")

/*
 * The emulator makes the IRET of an NMI's handler, and the next instruction stands at
 * the same RIP as that IRET, in an interrupt shadow: the next NMI waits for its end, and
 * finds the flags of the guest.
 */
static void nmi_emulated_iret(long mode)
{
	struct vcpu *v = START(mode, ev_nmi_mmio);
	uint32_t at = LABEL_AT(ev_nmi_mmio, iret) - 1;
	const uint32_t frame[] = { at, SEL_FREE, RFLAGS_1 };
	uint8_t *page = vm_ram(v->vm, GUEST_FREE, 0x1000);
	enum stop stop;

	SKIP_ON_TCG("QEMU TCG drops the interrupt shadow at VMRUN");
	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	gdt_set(v->vm, SEL_FREE, LABEL_AT(ev_nmi_mmio, behind) - at, ~0u,
		D_P | D_S | D_TYPE(0xa) | D_DB | D_G);
	idt_gate(v->vm, mode, NMI, LABEL_AT(ev_nmi_mmio, handler), SEL_CODE32,
		 0xe, 0);
	EXPECT(v, STOP_SYNC);
	vcpu_settle(v);
	send_nmi(v);
	wr32(v->vm, GUEST_FREE, GUEST_STACK);
	mprotect(page, 0x1000, PROT_NONE);
	while ((stop = vcpu_go(v)) == STOP_MMIO)
		memcpy(v->run->mmio.data,
		       (const char *)frame + (v->run->mmio.phys_addr & 0xf), 4);
	CHECK_EQ(stop, STOP_ERRNO);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(v->run->if_flag, 1);
	if (v->run->ready_for_interrupt_injection)
		NO_SHADOW();
	mprotect(page, 0x1000, PROT_READ | PROT_WRITE);
	idt_gate(v->vm, mode, NMI, idt_stub(mode, NMI), SEL_CODE32, 0xe, 0);
	send_nmi(v);
	EXPECT_EXC(v, NMI, 0);
	CHECK_EQ(v->exc.cs, SEL_FREE);
	CHECK_EQ(v->exc.rip, at + 1 + 6);
	CHECK_EQ(v->exc.rflags, RFLAGS_1 | RFLAGS_IF);
	EXPECT(v, STOP_END);
}

/* An NMI and an interrupt are pending at once: each is delivered once. */
static void nmi_and_irq(long mode)
{
	struct vcpu *v = START3(mode, ev_hlt);
	unsigned int nmis = 0, irqs = 0;
	enum stop stop;

	EXPECT(v, STOP_HLT);
	send_nmi(v);
	v->pending_irq = VECTOR;
	while ((stop = vcpu_go(v)) == STOP_EXC) {
		nmis += v->exc.vector == NMI;
		irqs += v->exc.vector == VECTOR;
	}
	CHECK_EQ(stop, STOP_END);
	CHECK_EQ(nmis, 1);
	CHECK_EQ(irqs, 1);
}

/* Lets code of VM86 call every vector by INT n. */
static void open_gates(struct vcpu *v)
{
	for (unsigned int i = 0; v->mode == M_VM86 && i < 256; i++)
		idt_gate(v->vm, M_PROT32, i, idt_stub(M_PROT32, i), SEL_CODE32,
			 0xe, 3);
}

static void cold_in_shadow(long mode)
{
	struct vcpu *v = START3(mode, ev_softint);
	uint64_t due = LABEL3(mode, ev_softint, due);

	SKIP_ON_TCG("QEMU TCG drops the interrupt shadow at VMRUN");
	open_gates(v);
	EXPECT(v, STOP_SYNC);
	vm_drop_mappings(v->vm);
	v->pending_irq = VECTOR;
	EXPECT_EXC(v, 0x80, 0);
	CHECK_EQ(v->exc.rip, due);
	CHECK_EQ(v->irqs_injected, 0);
	EXPECT_EXC(v, VECTOR, 0);
	CHECK_EQ(v->exc.rip, due);
	CHECK_EQ(v->irqs_injected, 1);
	EXPECT(v, STOP_END);
}

static void cold_delivery(long mode)
{
	struct vcpu *v = START3(mode, ev_cold);
	unsigned int rounds = 0, irqs = 0, excs = 0, silent = 0;
	struct kvm_regs r;
	enum stop stop;

	open_gates(v);
	while ((stop = vcpu_go(v)) != STOP_END) {
		get_regs(v, &r);
		if (stop == STOP_SYNC) {
			vm_drop_mappings(v->vm);
			v->pending_irq = VECTOR;
			silent++;
		} else if (stop == STOP_IO) {
			answer(v, ++rounds == 20);
		} else if (stop == STOP_EXC && v->exc.vector == VECTOR) {
			irqs++;
		} else if (stop == STOP_EXC) {
			excs++;
			if (v->exc.vector != (r.rdi & 0xff) ||
			    v->exc.error != (uint32_t)r.rdi >> 8 ||
			    v->exc.rip != (uint32_t)r.rsi) {
				FAIL("vector %llu error %#llx at %#llx wanted",
				     r.rdi & 0xff, r.rdi >> 8 & 0xffffff,
				     r.rsi & 0xffffffff);
				describe_exc(v);
			}
			exc_set_rip(v, r.rbx);
			vm_drop_mappings(v->vm);
		} else {
			FAIL("stopped by %s", stop_name[stop]);
			vcpu_describe(v);
			test_abort();
		}
		if (test_failures() > 10)
			test_abort();
	}
	CHECK_EQ(irqs, 20);
	/* Each OUT_SYNC but the last of a round is followed by one try. */
	CHECK_EQ(excs, silent - rounds);
}

/*
 * The IDT's second half is not mapped: INT raises #PF, and works after the page
 * is mapped.
 */
static void idt_page_fault(long mode)
{
	struct vcpu *v = START(mode, ev_idt_pf);
	uint64_t idt = 0xa00000 - 0x800; /* vectors 128 up: next page */
	struct kvm_sregs s;
	struct pt pt = { .vm = v->vm,
			 .mode = mode,
			 .entry_size = 8,
			 .levels = mode == M_LA57 ? 5 : 4 };
	uint64_t page = GUEST_FREE;

	memcpy(vm_ram(v->vm, page + 0x800, 0x800),
	       vm_ram(v->vm, GUEST_IDT, 0x800), 0x800);
	memcpy(vm_ram(v->vm, page + 0x1000, 0x800),
	       vm_ram(v->vm, GUEST_IDT + 0x800, 0x800), 0x800);
	get_sregs(v, &s);
	pt.root = s.cr3;
	pt_map(&pt, idt & ~0xfffull, page, 1, PTE_W | PTE_A | PTE_D);
	s.idt.base = idt;
	set_sregs(v, &s);

	EXPECT(v, STOP_SYNC);
	EXPECT_EXC(v, PF, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(ev_idt_pf, int));
	CHECK_EQ(v->exc.cr2 & ~7ull, idt + 0x90 * 16);
	pt_map(&pt, 0xa00000, page + 0x1000, 1, PTE_W | PTE_A | PTE_D);
	EXPECT_EXC(v, 0x90, 0);
	CHECK_EQ(v->exc.rip, LABEL_AT(ev_idt_pf, behind));
	EXPECT(v, STOP_END);
}

/*
 * An IDT in MMIO cannot work: KVM_RUN returns an error to the VMM, and nothing
 * hangs.
 */
static void idt_mmio(long mode)
{
	struct vcpu *v = START3(mode, ev_cold);
	struct kvm_sregs s;

	unsigned int i;
	enum stop stop;

	get_sregs(v, &s);
	s.idt.base = GUEST_MMIO;
	set_sregs(v, &s);
	EXPECT(v, STOP_SYNC);
	/* vigil emulates INT n: it reads the gate from the device, which has none. */
	for (i = 0; (stop = vcpu_go(v)) == STOP_MMIO && i < 8; i++)
		memset(v->run->mmio.data, 0, sizeof(v->run->mmio.data));
	CHECK_EQ(stop, STOP_OTHER);
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	CHECK(v->run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV ||
	      v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION);
}

/* KVM_INTERRUPT's arguments. */
static void bad_vectors(long mode)
{
	struct vcpu *v = START3(mode, ev_spin);

	CHECK_ERRNO(vcpu_inject_now(v, 256), EINVAL);
	CHECK_ERRNO(vcpu_inject_now(v, ~0u), EINVAL);
	CHECK_ERRNO(ioctl(v->fd, KVM_INTERRUPT, NULL), EFAULT);
	EXPECT(v, STOP_IO);
	answer(v, 1);
	EXPECT(v, STOP_END);
}

/*
 * A step from where nothing is mapped yet: the trap comes behind the instruction,
 * not before it, whether the CPU or vigil has executed it.
 */
static void first_step(long mode)
{
	static const char code[] = {
		0x90, /* nop */
		0x0f, 0xa2, /* cpuid */
		0xe6, PORT_END, /* out */
	};
	static const unsigned int behind[] = { 1, 3 };
	struct vcpu *v = guest_start(mode, code, code + sizeof(code));
	struct kvm_regs r;
	unsigned int i;

	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs resets the host after a #DB that it intercepts");
	get_regs(v, &r);
	r.rflags |= RFLAGS_TF;
	set_regs(v, &r);
	for (i = 0; i < ARRAY_SIZE(behind); i++) {
		EXPECT_EXC(v, DB, 0);
		CHECK_EQ(v->exc.rip, mode_entry(mode) + behind[i]);
		CHECK(v->exc.rflags & RFLAGS_TF);
	}
	EXPECT(v, STOP_END);
}

/* KVM_RUN, which only looks whether it could take an interrupt */
static bool takes_irq(struct vcpu *v)
{
	v->run->immediate_exit = 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	return v->run->ready_for_interrupt_injection;
}

#define SHADOW_TRIES 20

/*
 * A guest that stands behind STI, since the page that it reads there is missing. One exit
 * finds that, unless the host has an interrupt just then or there are tables to be made.
 */
static struct vcpu *in_shadow(long mode)
{
	static const char code[] = {
		0xa0, 0,	 0, 3, 0, /* mov GUEST_FREE, %al */
		0xe6, PORT_SYNC, /* out */
		0xfb, /* sti */
		0xa0, 0,	 0, 3, 0, /* mov GUEST_FREE, %al */
		0x90, /* nop */
		0xe6, PORT_END, /* out */
	};
	struct kvm_regs r;
	struct vcpu *v;
	unsigned int i;

	for (i = 0; i < SHADOW_TRIES; i++) {
		v = guest_start(mode, code, code + sizeof(code));
		EXPECT(v, STOP_SYNC);
		mprotect(vm_ram(v->vm, GUEST_FREE, 0x1000), 0x1000, PROT_NONE);
		EXPECT(v, STOP_ERRNO);
		CHECK_EQ(errno, EFAULT);
		get_regs(v, &r);
		CHECK_EQ(r.rip, mode_entry(mode) + 8);
		if (!takes_irq(v))
			return v;
		vm_destroy(v->vm);
	}
	NO_SHADOW();
}

/* A shadow of STI stays with the place where it was, and ends with IF. */
static void shadow_and_regs(long mode)
{
	struct kvm_regs r, other;
	unsigned int i;

	/* KVM leaves the shadow to KVM_SET_VCPU_EVENTS. */
	for (i = test_on_kvm() ? 2 : 0; i < 3; i++) {
		struct vcpu *v = in_shadow(mode);
		uint8_t *page = vm_ram(v->vm, GUEST_FREE, 0x1000);

		get_regs(v, &r);
		set_regs(v, &r);
		CHECK(!takes_irq(v));
		other = r;
		if (i == 0)
			other.rflags &= ~(uint64_t)RFLAGS_IF;
		if (i == 1)
			other.rip += 5;
		set_regs(v, &other);
		CHECK_EQ(takes_irq(v), i == 1);
		if (i == 0)
			set_regs(v, &r);
		CHECK_EQ(takes_irq(v), i != 2);
		mprotect(page, 0x1000, PROT_READ | PROT_WRITE);
		if (i == 0)
			set_regs(v, &other);
		EXPECT(v, STOP_END);
		vm_destroy(v->vm);
	}
}

static const struct test_case cases[] = {
	CASE_REAL16("STI shadow and window", sti_shadow),
	CASE_PROT("STI shadow and window", sti_shadow),
	CASE_VM86("STI shadow and window", sti_shadow),
	CASE_REAL16("INT n cut short in a shadow", cold_in_shadow),
	CASE_PROT("INT n cut short in a shadow", cold_in_shadow),
	CASE_VM86("INT n cut short in a shadow", cold_in_shadow),
	CASE_REAL16("MOV SS shadow", movss_shadow),
	CASE_PROT("MOV SS shadow", movss_shadow),
	CASE_REAL16("MOV SS shadow, single steps", movss_step),
	CASE_PROT("MOV SS shadow, single steps", movss_step),
	CASE_ALL("single steps from the first instruction", first_step),
	{ "STI shadow and KVM_SET_REGS", shadow_and_regs, M_PROT32 },
	CASE_REAL16("HLT, interrupt", hlt_irq),
	CASE_PROT("HLT, interrupt", hlt_irq),
	CASE_REAL16("HLT, NMI", hlt_nmi),
	CASE_PROT("HLT, NMI", hlt_nmi),
	CASE_ALL("many interrupts", storm),
	CASE_ALL("NMI with IF=0", nmi_if0),
	{ "NMI blocked until IRET (long)", nmi_blocked, M_LONG },
	{ "NMI behind an emulated IRET", nmi_emulated_iret, M_PROT32 },
	CASE_REAL16("NMI and interrupt at once", nmi_and_irq),
	CASE_PROT("NMI and interrupt at once", nmi_and_irq),
	CASE_ALL("delivery with nothing mapped", cold_delivery),
	{ "page fault on the IDT (long)", idt_page_fault, M_LONG },
	{ "IDT in MMIO (prot32)", idt_mmio, M_PROT32 },
	{ "IDT in MMIO (pae)", idt_mmio, M_PAE },
	{ "IDT in MMIO (long)", idt_mmio, M_LONG },
	{ "vectors out of range", bad_vectors, M_LONG },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
