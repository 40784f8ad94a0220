// SPDX-License-Identifier: GPL-2.0
/*
 * Trap tables of the VMM: faults in the middle of a delivery, which end the VM or which
 * the guest mends, events of the VMM, two VMs, and tables that are saved and put back.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "pv_traps.h"

/* ---- faults in the middle of a delivery ---- */

static void frame_faults(long mode)
{
	struct vcpu *v;
	unsigned int n;

	/* A code segment that is not there: a bounced trap, and a fast one. */
	v = begin(mode);
	n = usual_table(v);
	gdt_set(v->vm, SEL_FREE, 0, ~0u, ring1_code(v) & ~D_P);
	entry(v, T_TABLE, n, 0x81, 3, FREE_RING1, AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, slow));
	expect_end(v, VIGIL_END_FRAME, 0x81, NP, "pv: vector 0x81 to 0069:");

	v = begin(mode);
	n = usual_table(v);
	gdt_set(v->vm, SEL_FREE, 0, ~0u, ring1_code(v) & ~D_P);
	entry(v, T_TABLE, n, 0x80, 3, FREE_RING1, AT(v, on_fast));
	present(v);
	leave_to(v, 3, AT(v, fast));
	expect_end(v, VIGIL_END_FRAME, 0x80, NP, "pv: vector 0x80 to 0069:");

	/* The stack is not mapped. */
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, slow));
	expect_end(v, VIGIL_END_FRAME, 0x81, PF, "pv: vector 0x81 to ");
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, fast));
	expect_end(v, VIGIL_END_FRAME, 0x80, PF, "pv: vector 0x80 to ");
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, ud));
	expect_end(v, VIGIL_END_FRAME, UD, PF, "pv: #UD to ");

	/* The frame that the emulator builds. */
	v = begin(mode);
	wr64(v->vm, T_STACK + 8, 0x7ffff000);
	present(v);
	leave_to(v, 3, AT(v, quiet));
	expect_end(v, VIGIL_END_FRAME, 0x81, PF, "pv: vector 0x81 to ");
}

static void no_handler(long mode)
{
	struct vcpu *v = begin(mode);

	entry(v, T_TABLE, 1, 0x81, 3, ring1_cs(v), AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, ud));
	expect_end(v, VIGIL_END_NO_HANDLER, UD, 0, "pv: #UD at ");

	/* Ring 0 has its tables exchanged, and stays there. */
	v = begin(mode);
	present(v);
	leave_to(v, 3, 0);
	wr64(v->vm, T_CS0, 0x7ff0);
	expect_end(v, VIGIL_END_RING0, GP, 0, "pv: #GP at ");
}

/* A page of the guest that is out: its own handler brings it in. */
static void paged_out(long mode)
{
	struct vcpu *v = begin(mode);
	uint64_t at = GUEST_FREE + 0x1000, pte;
	struct pt pt = tables_of(v);
	unsigned int n;

	memcpy(vm_ram(v->vm, at, 64), vm_ram(v->vm, AT(v, on_slow), 64), 64);
	pte = pt_get(&pt, at, 1);
	n = usual_table(v);
	entry(v, T_TABLE, n, 0x81, 3, ring1_cs(v), at);
	present(v);
	leave_to(v, 3, AT(v, slow));
	pt_set(&pt, at, 1, 0);
	set_sregs_here(v);
	/* The handler of #PF. */
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_PF), 1);
	CHECK_EQ(rd32(v->vm, T_SLOW), 0);
	pt_set(&pt, at, 1, pte);
	set_sregs_here(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_SLOW), T_BOUNCES + 1);
	CHECK_EQ(rd32(v->vm, T_PF), 1);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

/* Interrupts of the VMM and NMIs need a handler, and come while ring 3 runs. */
static void interrupts(long mode)
{
	struct vcpu *v = START_AT(mode, 3, wait);
	unsigned int n;

	v->pending_irq = 0x81;
	EXPECT(v, STOP_END);
	CHECK_EQ(rd32(v->vm, T_SLOW), 1);
	vm_destroy(v->vm);

	v = START_AT(mode, 3, wait);
	v->pending_irq = 0x90;
	expect_end(v, VIGIL_END_NO_HANDLER, 0x90, 0, "pv: vector 0x90 at ");

	v = begin(mode);
	n = usual_table(v);
	entry(v, T_TABLE, n, NMI, 0, ring1_cs(v), AT(v, on_slow));
	present(v);
	leave_to(v, 3, AT(v, wait));
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	/* It waits for no ring: in ring 0 nobody takes it. */
	expect_end(v, VIGIL_END_RING0, NMI, 0, "pv: ");
}

/* All handlers gone, and no trap fast any more. */
static void cleared(long mode)
{
	struct vcpu *v = START_AT(mode, 1, stop);
	uint64_t before;
	struct kvm_regs r;

	EXPECT(v, STOP_END);
	CHECK_EQ(call_from_ring1(v, NR_SET_FAST_TRAP, 0, 0), 0);
	get_regs(v, &r);
	r.rip = AT(v, fast);
	set_regs(v, &r);
	EXPECT(v, STOP_SYNC);
	before = exits(v);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(exits(v) - before, T_LOOPS + 1);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);
	vcpu_settle(v);
	CHECK_EQ(call_from_ring1(v, NR_SET_TRAP_TABLE, 0, 0), 0);
	get_regs(v, &r);
	r.rip = AT(v, fast);
	set_regs(v, &r);
	/* Its gate is closed to ring 1, and #GP has no handler either. */
	expect_end(v, VIGIL_END_NO_HANDLER, GP, 0, "pv: #GP at ");
}

/* ---- a process that changes its own instructions ---- */

struct flip {
	struct vm *vm;
	uint64_t at;
	atomic_bool stop;
};

static void *flip(void *arg)
{
	struct flip *f = arg;
	volatile uint16_t *insn = vm_ram(f->vm, f->at, 2);

	while (!atomic_load(&f->stop)) {
		*insn = 0x9090;
		*insn = 0x84cd;
	}
	*insn = 0x9090;
	return NULL;
}

/* User mode cannot end the VM by it: its gate has refused, or the NOPs run. */
static void flipped(long mode)
{
	struct vcpu *v = START_AT(mode, 3, closed);
	struct flip f = { .vm = v->vm, .at = AT(v, closed) };
	struct kvm_regs r;
	pthread_t thread;
	unsigned int i;

	REQUIRE_EQ(pthread_create(&thread, NULL, flip, &f), 0);
	for (i = 0; i < 2000; i++) {
		if (vcpu_go(v) != STOP_END)
			break;
		get_regs(v, &r);
		r.rip = AT(v, closed);
		set_regs(v, &r);
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(i, 2000);
	if (i < 2000)
		FAIL("%s", end_words(v));
	vm_destroy(v->vm);
}

/* ---- two VMs ---- */

/* The same vector and two handlers on one CPU: each VM counts in its own memory. */
static void two_vms(long mode)
{
	struct vcpu *a = START_AT(mode, 3, fast), *b = begin(mode);
	unsigned int i;

	entry(b, T_TABLE, 0, 0x80, 3, ring1_cs(b), AT(b, on_slow));
	entry(b, T_TABLE, 1, 0x81, 3, ring1_cs(b), AT(b, on_fast));
	present(b);
	leave_to(b, 3, AT(b, fast));
	EXPECT(a, STOP_SYNC);
	EXPECT(b, STOP_SYNC);
	/* One comes in while the other is in the middle of its traps. */
	a->stop_on_signal = b->stop_on_signal = true;
	ticks(200);
	for (i = 0;
	     rd32(a->vm, T_FAST) <= T_LOOPS || rd32(b->vm, T_SLOW) <= T_LOOPS;
	     i++) {
		if (rd32(a->vm, T_FAST) <= T_LOOPS && vcpu_go(a) == STOP_OTHER)
			break;
		if (rd32(b->vm, T_SLOW) <= T_LOOPS && vcpu_go(b) == STOP_OTHER)
			break;
	}
	ticks(0);
	CHECK_EQ(rd32(a->vm, T_FAST), T_LOOPS + 1);
	CHECK_EQ(rd32(a->vm, T_SLOW), 0);
	CHECK_EQ(rd32(b->vm, T_SLOW), T_LOOPS + 1);
	CHECK_EQ(rd32(b->vm, T_FAST), 0);
	CHECK(i > 1);
	vm_destroy(a->vm);
	vm_destroy(b->vm);
}

/* ---- saved and put back ---- */

static struct vigil_pv_trap saved_traps[PV_TRAPS];
static uint64_t saved_gdt[PV_GDT];

static struct vigil_pv room(void)
{
	return pv_room(saved_traps, NULL, saved_gdt);
}

/* In the middle of bounced traps the guest moves to another VM. */
static void moved(long mode)
{
	struct vcpu *a = START_AT(mode, 3, slow), *b;
	struct vigil_pv pv = room();
	struct kvm_sregs s;
	struct kvm_regs r;
	uint32_t before;

	EXPECT(a, STOP_SYNC);
	a->stop_on_signal = true;
	ticks(500);
	while (rd32(a->vm, T_SLOW) < 100)
		if (vcpu_go(a) != STOP_SIGNAL)
			break;
	ticks(0);
	a->stop_on_signal = false;
	before = rd32(a->vm, T_SLOW);
	CHECK(before < T_BOUNCES);
	vcpu_settle(a);
	REQUIRE_EQ(ioctl(a->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, VIGIL_PV_TABLES | (is_wide(a) ? VIGIL_PV_LONG : 0));
	CHECK_EQ(pv.nr_traps, 8);
	CHECK_EQ(pv.fast[2], 1);
	CHECK_EQ(pv.kernel_sp, GUEST_STACK0);
	vcpu_ring_sregs(a, &s);
	get_regs(a, &r);

	b = pv_start(mode, &policy);
	memcpy(b->vm->ram, a->vm->ram, a->vm->ram_size);
	set_sregs(b, &s);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	set_regs(b, &r);
	EXPECT(b, STOP_SYNC);
	CHECK_EQ(rd32(b->vm, T_SLOW), T_BOUNCES + 1);
	CHECK_EQ(rd32(a->vm, T_SLOW), before);
	EXPECT(b, STOP_END);

	/* Put back a second time, it is what it was; then the guest's own again. */
	pv = room();
	REQUIRE_EQ(ioctl(b->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.nr_traps, 8);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	pv = (struct vigil_pv){ .size = sizeof(pv) };
	REQUIRE_EQ(ioctl(b->fd, VIGIL_SET_PV, &pv), 0);
	REQUIRE_EQ(ioctl(b->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, 0);
	CHECK_EQ(pv.nr_traps, 0);
	vm_destroy(a->vm);
	vm_destroy(b->vm);
}

static void own_iopl(long mode)
{
	struct vigil_hypercalls h = policy;
	struct vigil_pv pv = room();
	struct vcpu *v;

	h.max_iopl = 2;
	h.user_max = 1ull << NR_CONSOLE_IO;
	v = pv_start(mode, &h);
	pv.nr_traps = 0;
	pv.nr_gdt = 0;
	pv.flags = VIGIL_PV_OWN_IOPL;
	pv.iopl = 2;
	pv.refuse = VIGIL_REFUSE_FAULT;
	pv.user = 1ull << NR_CONSOLE_IO;
	CHECK_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
	memset(&pv, 0, sizeof(pv));
	pv.size = sizeof(pv);
	CHECK_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.flags, VIGIL_PV_OWN_IOPL);
	CHECK_EQ(pv.iopl, 2);
	CHECK_EQ(pv.refuse, VIGIL_REFUSE_FAULT);
	CHECK_EQ(pv.user, 1ull << NR_CONSOLE_IO);
	pv.iopl = 3;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), EINVAL);
	pv.iopl = 2;
	pv.user |= 1;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), EINVAL);
	CHECK_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	CHECK_EQ(pv.iopl, 2);
	vm_destroy(v->vm);
}

/* Each field for itself. What was there stays. */
static void bad_state(long mode)
{
	struct vcpu *v = START_AT(mode, 3, fast), *plain;
	struct vigil_hypercalls none = { .flags = VIGIL_HC_PAGE };
	struct vigil_pv good = room(), pv;
	struct vigil_pv_trap trap;

	EXPECT(v, STOP_SYNC);
	REQUIRE_EQ(ioctl(v->fd, VIGIL_GET_PV, &good), 0);
#define BAD(change, errno_)                                           \
	do {                                                          \
		pv = good;                                            \
		change;                                               \
		CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, &pv), errno_); \
	} while (0)
	BAD(pv.size = 0, EINVAL);
	BAD(pv.flags |= 8, EINVAL);
	BAD(pv.flags ^= VIGIL_PV_LONG, EINVAL);
	BAD(pv.flags = 0, EINVAL);
	BAD(pv.pad = 1, EINVAL);
	BAD(pv.reserved[4] = 1, EINVAL);
	BAD(pv.iopl = 1, EINVAL);
	BAD(pv.user = 1, EINVAL);
	BAD(pv.kernel_ss = SEL_DATA, EINVAL);
	BAD(pv.kernel_sp = 0x800000000000, EINVAL);
	BAD(pv.fast[0] = 1ull << PF, EINVAL);
	BAD(pv.fast[3] = 1, EINVAL);
	BAD(pv.nr_traps = 257, EINVAL);
	BAD(pv.nr_gdt = 7169, EINVAL);
	BAD(pv.traps = 0, EFAULT);
	BAD(pv.gdt = 0, EFAULT);
	trap = saved_traps[0];
	saved_traps[0].cs = SEL_CODE32;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_traps[0].pad = 1;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_traps[0].vector = 0x82;
	BAD(, EINVAL);
	saved_traps[0] = trap;
	saved_gdt[1] = 0x00cf9b000000ffff; /* ring 0 */
	BAD(, EINVAL);
	saved_gdt[1] = 0;
	pv = good;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_SET_PV, NULL), EFAULT);
	/* Too little room: how much it takes is told. */
	pv = room();
	pv.nr_traps = 1;
	CHECK_ERRNO(ioctl(v->fd, VIGIL_GET_PV, &pv), ENOSPC);
	CHECK_EQ(pv.nr_traps, good.nr_traps);
	CHECK_EQ(pv.nr_gdt, good.nr_gdt);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), T_LOOPS + 1);

	plain = pv_start(mode, &none);
	CHECK_ERRNO(ioctl(plain->fd, VIGIL_SET_PV, &good), EOPNOTSUPP);
	vm_destroy(plain->vm);
	plain = pv_start(M_PROT32, &policy);
	pv = good;
	pv.flags &= ~VIGIL_PV_LONG;
	if (!is_wide(v))
		CHECK_ERRNO(ioctl(plain->fd, VIGIL_SET_PV, &pv), EOPNOTSUPP);
	vm_destroy(plain->vm);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	CASE_TRAPS("a frame that cannot be built ends the VM", frame_faults),
	CASE_TRAPS("a trap without a handler ends the VM", no_handler),
	CASE_TRAPS("a handler that is paged out", paged_out),
	CASE_TRAPS("interrupts", interrupts),
	CASE_TRAPS("handlers that are taken back", cleared),
	CASE_TRAPS("an INT n that changes under its fault", flipped),
	CASE_TRAPS("two VMs with the same vector", two_vms),
	CASE_TRAPS("a guest moves to another VM", moved),
	{ "a vCPU's own iopl is saved", own_iopl, M_PROT32 },
	CASE_TRAPS("a state that is refused", bad_state),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
