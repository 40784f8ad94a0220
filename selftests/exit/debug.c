// SPDX-License-Identifier: GPL-2.0
/*
 * #DB and #AC that their own delivery raises again, for ever (XSA-156): the CPU itself
 * would never leave such a guest. Each round has to be an exit, so that the host has
 * its turns, and signals end the run. And #DB behind STI and MOV SS (XSA-308), where a
 * wrong pending trap makes the CPU refuse the guest.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../watch/mon.h"
#include "guest.h"

DECLARE_PAYLOAD(dbg_align);
DECLARE_LABEL(dbg_align, handler);
DECLARE_PAYLOAD(dbg_again);
DECLARE_LABEL(dbg_again, handler);
DECLARE_PAYLOAD(dbg_other);
DECLARE_PAYLOAD3(dbg_sti);
DECLARE_LABEL3(dbg_sti, s0);
DECLARE_LABEL3(dbg_sti, s1);
DECLARE_LABEL3(dbg_sti, s2);
DECLARE_LABEL3(dbg_sti, s3);
DECLARE_LABEL3(dbg_sti, s4);
DECLARE_LABEL3(dbg_sti, s5);
DECLARE_PAYLOAD3(dbg_operand);
DECLARE_LABEL3(dbg_operand, w0);
DECLARE_LABEL3(dbg_operand, w1);
DECLARE_LABEL3(dbg_operand, w2);
DECLARE_PAYLOAD3(dbg_movss);
DECLARE_LABEL3(dbg_movss, w0);
DECLARE_LABEL3(dbg_movss, w1);
DECLARE_PAYLOAD3(dbg_exits);
DECLARE_LABEL3(dbg_exits, w0);
DECLARE_LABEL3(dbg_exits, w1);
DECLARE_PAYLOAD3(dbg_device);
DECLARE_LABEL3(dbg_device, s0);
DECLARE_PAYLOAD3(dbg_left);
DECLARE_LABEL3(dbg_left, back);

#define DR6_B0 1u
#define DR6_BS (1u << 14)
#define DR6_CAUSES 0xe00fu

/* DR7: breakpoint 0 is on. */
#define DR7_CODE 0x401u
#define DR7_STORE8 (DR7_CODE | 9u << 16)

#define STACK16 0x40000 /* base of a stack of 64 KiB, in GUEST_FREE */
#define GROWTH 500 /* rounds of the loop that show that it goes on */

/* ---- guests that hold a CPU ---- */

/* Where a guest's loop stays. */
struct place {
	uint64_t rip, rsp;
};

/* Ring 3 with a stack at @rsp, which the handler of #AC, of ring 3 too, uses as well. */
static struct vcpu *start_align(long mode, uint64_t rsp)
{
	struct vcpu *v = START(mode, dbg_align);
	struct kvm_sregs s;
	struct kvm_regs r;

	vcpu_enter_user(v);
	get_sregs(v, &s);
	s.cr0 |= CR0_AM;
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rsp = rsp;
	r.rflags |= RFLAGS_AC;
	set_regs(v, &r);
	idt_gate(v->vm, mode, AC, LABEL_AT(dbg_align, handler), SEL_UCODE32,
		 0xe, 3);
	return v;
}

static struct vcpu *align_loop(long mode, struct place *at)
{
	at->rip = GUEST_CODE;
	at->rsp = GUEST_USTACK - 7;
	return start_align(mode, at->rsp);
}

static struct vcpu *start_again(long mode, uint64_t at, uint32_t dr7,
				uint64_t store)
{
	struct vcpu *v = START(mode, dbg_again);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rsi = at;
	r.rdx = dr7;
	r.rdi = store;
	set_regs(v, &r);
	idt_gate(v->vm, mode, DB, LABEL_AT(dbg_again, handler),
		 mode_long(mode) ? SEL_CODE64 : SEL_CODE32, 0xe, 0);
	return v;
}

/* The stack that each #DB begins anew: the first of the TSS's interrupt stacks. */
static void db_on_ist(struct vm *vm)
{
	uint64_t gate = GUEST_IDT + DB * 16;

	wr32(vm, GUEST_TSS + 36, GUEST_STACK0);
	wr32(vm, GUEST_TSS + 40, 0);
	wr64(vm, gate, rd64(vm, gate) | 1ull << 32);
}

/* A breakpoint on the place of SS in the frame of #DB: each frame hits it. */
static struct vcpu *store_loop(long mode, struct place *at)
{
	const uint64_t slot = GUEST_STACK0 - 8;
	struct vcpu *v = start_again(mode, slot, DR7_STORE8, slot);

	db_on_ist(v->vm);
	at->rip = LABEL_AT(dbg_again, handler);
	at->rsp = GUEST_STACK0 - 40;
	return v;
}

/* A breakpoint on the first instruction of the handler of #DB. */
static struct vcpu *fetch_loop(long mode, struct place *at)
{
	uint64_t handler = LABEL_AT(dbg_again, handler);
	struct vcpu *v = start_again(mode, handler, DR7_CODE, GUEST_DATA);
	struct kvm_sregs s;
	struct kvm_regs r;

	at->rip = handler;
	if (mode_long(mode)) {
		db_on_ist(v->vm);
		at->rsp = GUEST_STACK0 - 40;
		return v;
	}
	/* The frames go down through 64 KiB of nothing else, and begin at the top again. */
	get_sregs(v, &s);
	s.ss.base = STACK16;
	s.ss.limit = 0xffff;
	s.ss.g = 0;
	s.ss.db = 0;
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rsp = 0;
	set_regs(v, &r);
	at->rsp = 0;
	return v;
}

/* What the process of such a guest tells. */
struct held {
	volatile uint32_t interrupted; /* KVM_RUN has returned EINTR so often */
	volatile uint64_t rip, rsp; /* at the last of these */
	volatile uint32_t reason;
	volatile int32_t wrong; /* errno of KVM_RUN, where it is another one */
};

static void on_signal(int sig)
{
	(void)sig;
}

/* Runs the guest until the process is killed. */
static void __attribute__((noreturn)) hold(struct vcpu *v, struct held *h)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct kvm_regs r;

	sigaction(SIGUSR1, &sa, NULL);
	while (ioctl(v->fd, KVM_RUN, 0) && errno == EINTR) {
		get_regs(v, &r);
		h->rip = r.rip;
		h->rsp = r.rsp;
		h->reason = v->run->exit_reason;
		h->interrupted++;
	}
	h->reason = v->run->exit_reason;
	h->wrong = errno;
	_exit(1);
}

static void must_live(pid_t pid, const struct held *h)
{
	int status;

	if (!waitpid(pid, &status, WNOHANG))
		return;
	FAIL("the guest's process has ended: status %#x, exit reason %u, errno %d",
	     status, h->reason, h->wrong);
	test_abort();
}

/* Waits until the loop has made more rounds. */
static void wait_rounds(int mon, pid_t pid, const struct held *h)
{
	uint64_t from = mon_stat(mon, "exits_exception");

	while (mon_stat(mon, "exits_exception") < from + GROWTH) {
		must_live(pid, h);
		usleep(1000);
	}
}

/* All that follows runs on the CPU on which it begins. */
static void stay_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		ERROR("sched_setaffinity: errno %d", errno);
}

static int attach_reader(const char *name, pid_t pid, const struct held *h)
{
	struct vigil_attach a = { .flags = VIGIL_ATTACH_READ };
	struct vigil_vm_info info;
	int dev = dev_open(), mon;

	while (!find_vm(dev, name, &info)) {
		must_live(pid, h);
		usleep(1000);
	}
	a.vm_id = info.id;
	mon = ioctl(dev, VIGIL_ATTACH, &a);
	if (mon < 0)
		ERROR("VIGIL_ATTACH: errno %d", errno);
	close(dev);
	return mon;
}

static void must_go(const char *name)
{
	struct vigil_vm_info info;
	int dev = dev_open();

	while (find_vm(dev, name, &info))
		usleep(1000);
	close(dev);
}

/*
 * Another process runs the guest. While it loops, this process and a guest of its own
 * go on, on the same CPU; then signals interrupt it, and SIGKILL ends it.
 */
static void endless(long mode,
		    struct vcpu *(*start)(long mode, struct place *at))
{
	struct place *at = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct held *h = (void *)(at + 1);
	unsigned int i, round;
	struct vcpu *other;
	char name[32];
	int mon, status;
	pid_t pid;

	SKIP_ON_KVM("stock KVM has no counters that another process can read");
	if (at == MAP_FAILED)
		ERROR("mmap: errno %d", errno);
	stay_here();
	snprintf(name, sizeof(name), "endless-%d", getpid());
	pid = fork();
	if (!pid) {
		struct vcpu *v;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		v = start(mode, at);
		set_name(v->vm, name);
		hold(v, h);
	}
	if (pid < 0)
		ERROR("fork: errno %d", errno);
	mon = attach_reader(name, pid, h);
	other = START(M_LONG, dbg_other);

	for (round = 0; round < 3; round++) {
		wait_rounds(mon, pid, h);
		for (i = 0; i < 20; i++)
			EXPECT(other, STOP_SYNC);
	}
	for (round = 1; round <= 3; round++) {
		kill(pid, SIGUSR1);
		while (h->interrupted < round) {
			must_live(pid, h);
			usleep(1000);
		}
		CHECK_EQ(h->reason, KVM_EXIT_INTR);
		CHECK_EQ(h->rip, at->rip);
		if (at->rsp)
			CHECK_EQ(h->rsp, at->rsp);
		/* It is in KVM_RUN again when the next signal comes. */
		wait_rounds(mon, pid, h);
	}
	kill(pid, SIGKILL);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(mon);
	must_go(name);
	EXPECT(other, STOP_SYNC);
	vm_destroy(other->vm);
}

static void endless_align(long mode)
{
	SKIP_ON_TCG("QEMU TCG has no #AC");
	endless(mode, align_loop);
}

static void endless_store(long mode)
{
	SKIP_ON_TCG("QEMU TCG crashes of a breakpoint on the frame of #DB");
	endless(mode, store_loop);
}

static void endless_fetch(long mode)
{
	SKIP_ON_TCG("QEMU TCG arms no code breakpoint at VMRUN");
	endless(mode, fetch_loop);
}

/* With a stack that is aligned, the same #AC is delivered, once. */
static void aligned(long mode)
{
	struct vcpu *v;
	struct kvm_regs r;

	SKIP_ON_TCG("QEMU TCG has no #AC");
	v = start_align(mode, GUEST_USTACK - 8);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	CHECK_EQ(r.rsp, GUEST_USTACK - 8 - 16);
	CHECK_EQ(rd32(v->vm, r.rsp), 0);
	CHECK_EQ(rd32(v->vm, r.rsp + 4), GUEST_CODE);
	vm_destroy(v->vm);
}

/* ---- #DB in a shadow ---- */

/* Bochs's SVM forgets what has raised a #DB that is intercepted. */
static void check_dr6(const struct vcpu *v, unsigned int i, uint32_t want)
{
	if (test_on_svm() && test_on_bochs())
		return;
	CHECK_EQ(v->val[i] & DR6_CAUSES, want);
}

static void end_step(struct vcpu *v)
{
	exc_set_flags(v, v->exc.rflags & ~(uint64_t)RFLAGS_TF);
}

/* @cold: every delivery begins with nothing of it mapped, and is cut short. */
static void steps(long mode, bool cold)
{
	const struct {
		uint64_t rip;
		bool irqs;
	} want[] = {
		{ LABEL3(mode, dbg_sti, s0), true },
		{ LABEL3(mode, dbg_sti, s1), true },
		{ LABEL3(mode, dbg_sti, s2), true },
		{ LABEL3(mode, dbg_sti, s3), false },
		{ LABEL3(mode, dbg_sti, s4), true },
		{ LABEL3(mode, dbg_sti, s5), true },
	};
	struct vcpu *v = START3(mode, dbg_sti);
	unsigned int i;

	SKIP_ON_TCG("QEMU TCG takes the step behind MOV SS");
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		if (cold)
			vm_drop_mappings(v->vm);
		EXPECT_EXC(v, DB, 0);
		CHECK_EQ(v->exc.rip, want[i].rip);
		CHECK(v->exc.rflags & RFLAGS_TF);
		CHECK_EQ(!!(v->exc.rflags & RFLAGS_IF), want[i].irqs);
	}
	end_step(v);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	check_dr6(v, 0, DR6_BS);
	vm_destroy(v->vm);
}

static void sti_step(long mode)
{
	steps(mode, false);
}

static void sti_step_cold(long mode)
{
	steps(mode, true);
}

/* A breakpoint, then one together with a step: due at @w0 and @w1. */
static void two_breakpoints(struct vcpu *v, uint64_t w0, uint64_t w1)
{
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, w0);
	CHECK(!(v->exc.rflags & RFLAGS_TF));
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, w1);
	CHECK(v->exc.rflags & RFLAGS_TF);
	end_step(v);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 2);
	check_dr6(v, 0, DR6_B0);
	check_dr6(v, 1, DR6_B0 | DR6_BS);
	vm_destroy(v->vm);
}

static void movss_breakpoint(long mode)
{
	SKIP_ON_TCG("QEMU TCG takes the breakpoint behind MOV SS");
	two_breakpoints(START3(mode, dbg_movss), LABEL3(mode, dbg_movss, w0),
			LABEL3(mode, dbg_movss, w1));
}

static void skip_exit_in_shadow(void)
{
	SKIP_ON_TCG("QEMU TCG takes the step behind MOV SS");
	if (test_on_bochs() && test_on_svm())
		SKIP("Bochs takes a #DB that is held back to the host");
}

static void movss_exit(long mode)
{
	skip_exit_in_shadow();
	two_breakpoints(START3(mode, dbg_exits), LABEL3(mode, dbg_exits, w0),
			LABEL3(mode, dbg_exits, w1));
}

/* MOV SS is at a device, which gives it the selector that SS has. */
static void give_ss(struct vcpu *v)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	EXPECT(v, STOP_MMIO);
	CHECK_EQ(v->run->mmio.len, 2);
	memcpy(v->run->mmio.data, &s.ss.selector, 2);
}

/*
 * vigil emulates MOV SS here, so the shadow is its own. CPUs with VMX refuse TF in one
 * without a pending step. Bochs does not: a debug module looks for it (audit_enter()).
 */
static void movss_device(long mode)
{
	struct vcpu *v = START3(mode, dbg_device);
	struct kvm_regs r;

	SKIP_ON_TCG("QEMU TCG drops the interrupt shadow at VMRUN");
	get_regs(v, &r);
	r.rdi = GUEST_MMIO;
	set_regs(v, &r);
	give_ss(v);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, LABEL3(mode, dbg_device, s0));
	CHECK(v->exc.rflags & RFLAGS_TF);
	end_step(v);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	check_dr6(v, 0, DR6_BS);
	vm_destroy(v->vm);
}

/*
 * The same with a breakpoint on the operand, which the emulator notices. SVM has no place
 * for a #DB that is held back: it is lost there, and comes at no other time.
 */
static void operand_device(long mode)
{
	const uint64_t want[] = {
		LABEL3(mode, dbg_operand, w0),
		LABEL3(mode, dbg_operand, w1),
		LABEL3(mode, dbg_operand, w2),
	};
	struct vcpu *v = START3(mode, dbg_operand);
	bool held = !test_on_svm();
	struct kvm_regs r;
	unsigned int i;

	get_regs(v, &r);
	r.rdi = GUEST_MMIO;
	set_regs(v, &r);
	for (i = 0; i < (held ? 3 : 2); i++) {
		if (i == 2)
			EXPECT(v, STOP_SYNC);
		give_ss(v);
		if (!held)
			continue;
		EXPECT_EXC(v, DB, 0);
		CHECK_EQ(v->exc.rip, want[i]);
		CHECK_EQ(!!(v->exc.rflags & RFLAGS_TF), i == 2);
	}
	if (held)
		end_step(v);
	EXPECT(v, held ? STOP_END : STOP_SYNC);
	REQUIRE_EQ(v->nr_vals, held ? 3 : 2);
	CHECK_EQ(v->val[0] & DR6_CAUSES, held ? DR6_B0 : 0);
	CHECK_EQ(v->val[1] & DR6_CAUSES, held ? DR6_B0 : 0);
	if (held)
		CHECK_EQ(v->val[2] & DR6_CAUSES, DR6_B0 | DR6_BS);
	vm_destroy(v->vm);
}

/* A #DB that is held back belongs to the registers that the VMM replaces. */
static void left_behind(long mode)
{
	struct vcpu *v = START3(mode, dbg_left);
	struct kvm_regs r;

	skip_exit_in_shadow();
	EXPECT(v, STOP_IO);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK(r.rflags & RFLAGS_TF);
	r.rip = LABEL3(mode, dbg_left, back);
	r.rflags &= ~(uint64_t)RFLAGS_TF;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	{ "endless #AC (prot32)", endless_align, M_PROT32 },
	{ "endless #AC (32-bit paging)", endless_align, M_PG32 },
	{ "endless #AC (pae)", endless_align, M_PAE },
	{ "#AC of ring 3 (prot32)", aligned, M_PROT32 },
	{ "#AC of ring 3 (pae)", aligned, M_PAE },
	{ "endless #DB, its frame (long)", endless_store, M_LONG },
	{ "endless #DB, its frame (compat)", endless_store, M_COMPAT },
	{ "endless #DB, its handler (prot32)", endless_fetch, M_PROT32 },
	{ "endless #DB, its handler (pae)", endless_fetch, M_PAE },
	{ "endless #DB, its handler (long)", endless_fetch, M_LONG },
	CASE_REAL16("single steps behind STI", sti_step),
	CASE_PROT("single steps behind STI", sti_step),
	CASE_REAL16("single steps behind STI, nothing mapped", sti_step_cold),
	CASE_PROT("single steps behind STI, nothing mapped", sti_step_cold),
	CASE_REAL16("MOV SS from a breakpoint", movss_breakpoint),
	CASE_PROT("MOV SS from a breakpoint", movss_breakpoint),
	CASE_REAL16("exit behind MOV SS from a breakpoint", movss_exit),
	CASE_PROT("exit behind MOV SS from a breakpoint", movss_exit),
	CASE_PROT("MOV SS from a device, single step", movss_device),
	CASE_PROT("breakpoint on the operand of MOV SS, device",
		  operand_device),
	CASE_REAL16("another state than that of a step", left_behind),
	CASE_PROT("another state than that of a step", left_behind),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
