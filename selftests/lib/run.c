// SPDX-License-Identifier: GPL-2.0
/* The run loop: ports of the payloads, injection, and a watchdog. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vigil.h>

#include "guest.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define MAX_INTERNAL_EXITS 1000000

const char *const stop_name[] = {
	[STOP_END] = "end",
	[STOP_SYNC] = "sync",
	[STOP_EXC] = "exception",
	[STOP_HLT] = "hlt",
	[STOP_IO] = "io",
	[STOP_MMIO] = "mmio",
	[STOP_SHUTDOWN] = "shutdown",
	[STOP_SIGNAL] = "signal",
	[STOP_TIMEOUT] = "timeout",
	[STOP_OTHER] = "other exit",
	[STOP_ERRNO] = "errno",
};

static void on_watchdog(int sig, siginfo_t *si, void *ctx)
{
	struct vcpu *v = si->si_value.sival_ptr;

	(void)sig;
	(void)ctx;
	if (si->si_code != SI_TIMER || !v)
		return; /* a late kick only interrupts KVM_RUN */
	v->timed_out = true;
	v->run->immediate_exit = 1;
}

static void watchdog(struct vcpu *v, int seconds)
{
	struct itimerspec its = { .it_value.tv_sec = seconds };
	int tid = syscall(SYS_gettid);

	if (v->timer_tid != tid) {
		struct sigaction sa = {
			.sa_sigaction = on_watchdog,
			.sa_flags = SA_SIGINFO,
		};
		struct sigevent ev = {
			.sigev_notify = SIGEV_THREAD_ID,
			.sigev_signo = SIGUSR2,
			.sigev_value.sival_ptr = v,
			.sigev_notify_thread_id = tid,
		};

		if (v->timer_tid)
			timer_delete(v->timer);
		sigaction(SIGUSR2, &sa, NULL);
		if (timer_create(CLOCK_MONOTONIC, &ev, &v->timer))
			ERROR("timer_create: %s", strerror(errno));
		v->timer_tid = tid;
	}
	if (seconds)
		v->timed_out = false;
	if (timer_settime(v->timer, 0, &its, NULL))
		ERROR("timer_settime: %s", strerror(errno));
}

/* Reads the frame at the guest's stack pointer. False: no RAM is there. */
static bool read_frame(struct vcpu *v, uint64_t sp, void *frame, size_t len)
{
	if (!vm_has_ram(v->vm, sp, len))
		return false;
	memcpy(frame, vm_ram(v->vm, sp, len), len);
	return true;
}

/*
 * Reads the frame that the vector stub has pushed. The stacks of all guests are
 * mapped at their own address. If a guest has lost its stack, the vector is
 * EXC_NO_FRAME.
 */
static void read_exc(struct vcpu *v)
{
	struct exc *e = &v->exc;
	struct kvm_sregs s;
	struct kvm_regs r;
	uint64_t sp;

	get_regs(v, &r);
	get_sregs(v, &s);
	memset(e, 0, sizeof(*e));
	e->vector = EXC_NO_FRAME;
	e->cr2 = s.cr2;
	if (!(s.cr0 & CR0_PE)) {
		uint16_t f[4];

		sp = s.ss.base + (r.rsp & 0xffff);
		if (!read_frame(v, sp, f, sizeof(f)))
			return;
		e->vector = f[0] & 0xff;
		e->rip = f[1];
		e->cs = f[2];
		e->rflags = f[3];
	} else if (s.cs.l) {
		uint64_t f[7];

		if (!read_frame(v, r.rsp, f, sizeof(f)))
			return;
		e->vector = f[0] & 0xff;
		e->error = f[1];
		e->rip = f[2];
		e->cs = f[3];
		e->rflags = f[4];
		e->rsp = f[5];
		e->ss = f[6];
	} else {
		uint32_t f[7];

		sp = s.ss.base +
		     (s.ss.db ? r.rsp & 0xffffffff : r.rsp & 0xffff);
		if (!read_frame(v, sp, f, sizeof(f)))
			return;
		e->vector = f[0] & 0xff;
		e->error = f[1];
		e->rip = f[2];
		e->cs = f[3] & 0xffff;
		e->rflags = f[4];
		if ((f[3] & 3) > (s.cs.selector & 3u) || (f[4] & RFLAGS_VM)) {
			e->rsp = f[5];
			e->ss = f[6] & 0xffff;
		}
	}
}

/* Word @n of the frame, counted from the vector. */
static void exc_set_word(struct vcpu *v, unsigned int n, uint64_t val)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	uint16_t val16 = val;

	get_regs(v, &r);
	get_sregs(v, &s);
	if (!(s.cr0 & CR0_PE))
		memcpy(vm_ram(v->vm, s.ss.base + (r.rsp & 0xffff) + (n - 1) * 2,
			      2),
		       &val16, 2);
	else if (s.cs.l)
		wr64(v->vm, r.rsp + n * 8, val);
	else
		wr32(v->vm,
		     s.ss.base +
			     (s.ss.db ? r.rsp & 0xffffffff : r.rsp & 0xffff) +
			     n * 4,
		     val);
}

void exc_set_rip(struct vcpu *v, uint64_t rip)
{
	exc_set_word(v, 2, rip);
}

void exc_set_flags(struct vcpu *v, uint64_t rflags)
{
	exc_set_word(v, 4, rflags);
}

int vcpu_inject_now(struct vcpu *v, unsigned int vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return ioctl(v->fd, KVM_INTERRUPT, &irq);
}

static void record_values(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
	uint32_t i;

	for (i = 0; i < run->io.count; i++) {
		uint64_t val = 0;

		memcpy(&val, data + (size_t)i * run->io.size, run->io.size);
		if (v->nr_vals < MAX_VALUES)
			v->val[v->nr_vals] = val;
		v->nr_vals++;
	}
}

/* Returns STOP_*, or -1 to go on. */
static int handle_exit(struct vcpu *v)
{
	const struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			switch (run->io.port) {
			case PORT_VALUE:
				record_values(v);
				return -1;
			case PORT_END:
				v->end = *((const uint8_t *)run +
					   run->io.data_offset);
				return STOP_END;
			case PORT_SYNC:
				return STOP_SYNC;
			case PORT_EXC:
				read_exc(v);
				return STOP_EXC;
			}
		}
		return STOP_IO;
	case KVM_EXIT_MMIO:
		return STOP_MMIO;
	case KVM_EXIT_HLT:
		return STOP_HLT;
	case KVM_EXIT_SHUTDOWN:
		return STOP_SHUTDOWN;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		v->windows++;
		return -1;
	case KVM_EXIT_INTR:
		return -1;
	}
	return STOP_OTHER;
}

static void inject_pending(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	if (v->pending_irq >= 0 && run->ready_for_interrupt_injection) {
		if (vcpu_inject_now(v, v->pending_irq))
			ERROR("KVM_INTERRUPT: %s", strerror(errno));
		v->pending_irq = -1;
		v->irqs_injected++;
	}
	run->request_interrupt_window = v->pending_irq >= 0;
}

static enum stop go(struct vcpu *v)
{
	unsigned int i;

	for (i = 0; i < MAX_INTERNAL_EXITS; i++) {
		int stop;

		inject_pending(v);
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (v->timed_out) {
				v->run->immediate_exit = 0;
				FAIL_HANG("the guest hangs: no stop in %d s",
					  RUN_TIMEOUT_S);
				vcpu_describe(v);
				return STOP_TIMEOUT;
			}
			if (errno != EINTR && errno != EAGAIN)
				return STOP_ERRNO;
			v->signals++;
			if (v->stop_on_signal)
				return STOP_SIGNAL;
			continue;
		}
		stop = handle_exit(v);
		if (stop >= 0)
			return stop;
	}
	FAIL_HANG("the guest only exits");
	return STOP_TIMEOUT;
}

/*
 * A module built with auditors checks its shadow tables when asked. Often at
 * first, then now and then: it looks at every entry of every table.
 */
static void audit(struct vm *vm)
{
	static unsigned int stops;

	if (stops++ >= 8 && stops % 32)
		return;
	if (ioctl(vm->fd, VIGIL_AUDIT) && errno == EUCLEAN)
		FAIL_MEM(
			"VIGIL_AUDIT: shadow tables are wrong, the kernel's log says where");
}

/**
 * vcpu_go - run until something happens that the case must look at
 *
 * Values are collected, pending interrupts injected, and signals and windows
 * passed over.
 */
enum stop vcpu_go(struct vcpu *v)
{
	enum stop stop;
	int err;

	watchdog(v, RUN_TIMEOUT_S);
	stop = go(v);
	err = errno;
	watchdog(v, 0);
	audit(v->vm);
	errno = err;
	return stop;
}

void vcpu_describe(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(v->fd, KVM_GET_REGS, &r) || ioctl(v->fd, KVM_GET_SREGS, &s))
		return;
	test_note(
		"vcpu %u: rip %#llx rsp %#llx rflags %#llx rax %#llx rcx %#llx rdx %#llx",
		v->id, r.rip, r.rsp, r.rflags, r.rax, r.rcx, r.rdx);
	test_note(
		"cs %#x base %#llx ss %#x cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx",
		s.cs.selector, s.cs.base, s.ss.selector, s.cr0, s.cr2, s.cr3,
		s.cr4, s.efer);
	test_note("exit reason %u", run->exit_reason);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		test_note("internal error %u, %u words: %#llx %#llx %#llx",
			  run->internal.suberror, run->internal.ndata,
			  run->internal.data[0], run->internal.data[1],
			  run->internal.data[2]);
	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		test_note("fail entry %#llx: %.111s",
			  run->fail_entry.hardware_entry_failure_reason,
			  run->padding +
				  offsetof(struct vigil_fail_entry, why));
	if (run->exit_reason == KVM_EXIT_MMIO)
		test_note("mmio %#llx, %u bytes, write %u", run->mmio.phys_addr,
			  run->mmio.len, run->mmio.is_write);
	if (run->exit_reason == KVM_EXIT_IO)
		test_note("io port %#x, %u bytes, %u times, direction %u",
			  run->io.port, run->io.size, run->io.count,
			  run->io.direction);
}

void describe_exc(struct vcpu *v)
{
	const struct exc *e = &v->exc;

	test_note(
		"exception %u error %#x at %#llx:%#llx rflags %#llx cr2 %#llx",
		e->vector, e->error, (unsigned long long)e->cs,
		(unsigned long long)e->rip, (unsigned long long)e->rflags,
		(unsigned long long)e->cr2);
}

enum stop vcpu_access_msr(struct vcpu *v, bool write, uint32_t msr,
			  uint64_t value)
{
	const uint8_t code[] = { 0x0f, write ? 0x30 : 0x32, 0xe6, PORT_END };
	struct kvm_regs r;

	memcpy(vm_ram(v->vm, GUEST_CODE, sizeof(code)), code, sizeof(code));
	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rcx = msr;
	r.rax = (uint32_t)value;
	r.rdx = value >> 32;
	set_regs(v, &r);
	return vcpu_go(v);
}

void vcpu_expect(struct vcpu *v, enum stop want, const char *file, int line)
{
	enum stop got = vcpu_go(v);
	int err = errno;

	if (got == want)
		return;
	test_fail(file, line, "stopped by %s, not by %s", stop_name[got],
		  stop_name[want]);
	if (got == STOP_ERRNO)
		test_note("KVM_RUN: %s", strerror(err));
	if (got == STOP_EXC)
		describe_exc(v);
	vcpu_describe(v);
	test_abort();
}

void vcpu_expect_exc(struct vcpu *v, unsigned int vector, uint32_t error,
		     const char *file, int line)
{
	vcpu_expect(v, STOP_EXC, file, line);
	if (v->exc.vector != vector || v->exc.error != error) {
		test_fail(file, line, "exception %u with error %#x wanted",
			  vector, error);
		describe_exc(v);
	}
}

void vcpu_settle(struct vcpu *v)
{
	v->run->immediate_exit = 1;
	if (ioctl(v->fd, KVM_RUN, 0) != -1 || errno != EINTR)
		FAIL("KVM_RUN with immediate_exit: errno %d exit %u", errno,
		     v->run->exit_reason);
	v->run->immediate_exit = 0;
}

static void on_tick(int sig)
{
	(void)sig;
}

void ticks(unsigned int us)
{
	const struct timespec every = { us / 1000000, us % 1000000 * 1000 };
	const struct itimerspec its = { every, every };
	struct sigaction sa = { .sa_handler = on_tick };
	/* Another thread's read() would fail with EINTR. */
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
		.sigev_notify_thread_id = syscall(SYS_gettid),
	};
	static timer_t timer;
	static bool runs;

	if (runs)
		timer_delete(timer);
	runs = us;
	/* With 0 too, for a test that has timers of its own. */
	sigaction(SIGALRM, &sa, NULL);
	if (!runs)
		return;
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &its, NULL))
		ERROR("ticks: %s", strerror(errno));
}

unsigned int run_tries(struct vcpu *v)
{
	unsigned int n = 0, silent = 0;
	struct kvm_regs r;
	enum stop stop;

	while ((stop = vcpu_go(v)) != STOP_END) {
		get_regs(v, &r);
		if (stop == STOP_SYNC) {
			FAIL("nothing raised at %#llx, vector %llu wanted",
			     r.rsi, r.rdi & 0xff);
			silent++;
			continue;
		}
		if (stop != STOP_EXC) {
			FAIL("stopped by %s at the try for vector %llu at %#llx",
			     stop_name[stop], r.rdi & 0xff, r.rsi);
			vcpu_describe(v);
			test_abort();
		}
		n++;
		if (v->exc.vector != (r.rdi & 0xff) ||
		    v->exc.error != (uint32_t)r.rdi >> 8 ||
		    v->exc.rip != (uint32_t)r.rsi) {
			FAIL("vector %u error %#x rip %#llx, not vector %llu error %#llx rip %#llx",
			     v->exc.vector, v->exc.error,
			     (unsigned long long)v->exc.rip, r.rdi & 0xff,
			     r.rdi >> 8 & 0xffffff, r.rsi & 0xffffffff);
		}
		exc_set_rip(v, r.rbx);
	}
	if (!n && !silent)
		ERROR("a payload that tries nothing");
	return n;
}
