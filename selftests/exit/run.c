// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN: signals, immediate_exit, KVM_EXIT_SHUTDOWN, several vCPUs, a closed
 * VM.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(spin);
DECLARE_PAYLOAD(count);
DECLARE_PAYLOAD(triple);
DECLARE_PAYLOAD(vmmcall);
DECLARE_PAYLOAD(vmcall);
DECLARE_PAYLOAD(cr8);

static void triple(long mode)
{
	struct vcpu *v = START(mode, triple);
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.idt.limit = 0;
	set_sregs(v, &s);
	EXPECT(v, STOP_SHUTDOWN);
}

static void immediate_exit(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct kvm_regs before, after;
	unsigned int i;

	get_regs(v, &before);
	v->run->immediate_exit = 1;
	for (i = 0; i < 10; i++)
		CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	get_regs(v, &after);
	CHECK(!memcmp(&before, &after, sizeof(before)));
	v->run->immediate_exit = 0;
}

/*
 * KVM_RUN takes values that the VMM has put into kvm_run, even if it does not
 * enter the guest.
 */
static void immediate_cr8(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct kvm_sregs s;

	v->run->cr8 = 15;
	v->run->immediate_exit = 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	CHECK_EQ(v->run->cr8, 15);
	get_sregs(v, &s);
	CHECK_EQ(s.cr8, 15);
	v->run->immediate_exit = 0;
}

/*
 * A limit of CPU time ends a VMM whose guest never exits: the kernel's work for a
 * thread does not wait until the guest lets it go.
 */
static void cpu_limit(long unused)
{
	const struct rlimit one = { 1, 10 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct vcpu *v = START(M_LONG, spin);

		signal(SIGXCPU, SIG_DFL);
		setrlimit(RLIMIT_CPU, &one);
		for (;;)
			ioctl(v->fd, KVM_RUN, 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		ERROR("the child was lost");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
}

#define RUN_INJECT "/sys/module/vigil/parameters/run_inject"

static void inject(int on)
{
	FILE *f = fopen(RUN_INJECT, "w");

	if (!f || fprintf(f, "%d\n", on) < 0 || fclose(f))
		ERROR("%s: errno %d", RUN_INJECT, errno);
}

/*
 * A debug module counts what KVM_RUN does between two looks at signals. With the
 * injected fault it never looks, and no signal would end it.
 */
static void loop_auditor(long unused)
{
	static const uint8_t code[] = { 0x0f, 0xa2, 0xeb, 0xfc }; /* cpuid */
	struct vcpu *v = START(M_LONG, spin);
	struct kvm_regs r;
	int ret, err;

	if (access(RUN_INJECT, W_OK))
		SKIP("the module was built without auditors");
	memcpy(vm_ram(v->vm, GUEST_FREE, sizeof(code)), code, sizeof(code));
	get_regs(v, &r);
	r.rip = GUEST_FREE;
	set_regs(v, &r);
	v->stop_on_signal = true;
	ticks(20000);
	EXPECT(v, STOP_SIGNAL);
	inject(1);
	do {
		ret = ioctl(v->fd, KVM_RUN, 0);
		err = errno;
	} while (ret && err == EINTR); /* before the first turn */
	inject(0);
	CHECK_EQ(ret, -1);
	CHECK_EQ(err, EIO);
}

/*
 * A push that cannot be made, nor the frame of its #SS, shuts the CPU down. The
 * VMM gives it another state then: nothing of before may reach that.
 */
static void after_shutdown(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct kvm_sregs good_s;
	struct kvm_regs good, bad;
	unsigned int i;

	get_regs(v, &good);
	get_sregs(v, &good_s);
	*(uint8_t *)vm_ram(v->vm, GUEST_FREE, 1) = 0x50; /* push rax */
	for (i = 0; i < 3; i++) {
		bad = good;
		bad.rip = GUEST_FREE;
		bad.rsp = 1ull << 63;
		set_regs(v, &bad);
		EXPECT(v, STOP_SHUTDOWN);
		set_sregs(v, &good_s);
		set_regs(v, &good);
		v->stop_on_signal = true;
		ticks(20000);
		EXPECT(v, STOP_SIGNAL);
		EXPECT(v, STOP_SIGNAL);
		ticks(0);
		v->stop_on_signal = false;
	}
}

/* An exception whose delivery failed does not meet the state that is set next. */
static void after_delivery(long mode)
{
	const struct kvm_vcpu_events none = { 0 };
	struct vcpu *v = START(mode, spin);
	struct kvm_regs good, bad;
	unsigned int i;

	get_regs(v, &good);
	memcpy(vm_ram(v->vm, GUEST_FREE, 2), "\x0f\x0b", 2); /* ud2 */
	bad = good;
	bad.rip = GUEST_FREE;
	bad.rsp = GUEST_MMIO + 0x800;
	for (i = 0; i < 3; i++) {
		set_regs(v, &bad);
		EXPECT(v, STOP_OTHER);
		CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
		CHECK_EQ(v->run->internal.suberror,
			 KVM_INTERNAL_ERROR_DELIVERY_EV);
		set_regs(v, &good);
		/* KVM leaves it to this call, which vigil does not have. */
		if (ioctl(v->fd, KVM_SET_VCPU_EVENTS, &none))
			CHECK_EQ(errno, ENOTTY);
		v->stop_on_signal = true;
		ticks(20000);
		EXPECT(v, STOP_SIGNAL);
		EXPECT(v, STOP_SIGNAL);
		ticks(0);
		v->stop_on_signal = false;
	}
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void signal_interrupts(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct sigaction sa = { .sa_handler = on_alarm };
	unsigned int i;

	sigaction(SIGALRM, &sa, NULL);
	/* The timer repeats, since the first signal may come before KVM_RUN. */
	ualarm(2000, 2000);
	for (i = 0; i < 20; i++) {
		CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
		CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTR);
	}
	ualarm(0, 0);
}

/* A signal that only KVM_RUN unblocks ends the run and stays pending. */
static void signal_mask(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct {
		struct kvm_signal_mask head;
		uint8_t set[8];
	} __attribute__((packed)) m = { .head.len = 8 };
	struct sigaction sa = { .sa_handler = on_alarm };
	sigset_t alarm, pending;

	sigaction(SIGALRM, &sa, NULL);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	CHECK_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, &m));
	raise(SIGALRM);
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_INTR);
	sigpending(&pending);
	CHECK(sigismember(&pending, SIGALRM));
	m.head.len = 4;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SIGNAL_MASK, &m), EINVAL);
	CHECK_OK(ioctl(v->fd, KVM_SET_SIGNAL_MASK, NULL));
}

/* The VMM learns of each lower task priority, for its interrupt controller. */
static void task_priority(long unused)
{
	struct vcpu *v = START(M_LONG, cr8);

	EXPECT(v, STOP_SYNC);
	CHECK_EQ(v->run->cr8, 5);
	EXPECT(v, STOP_OTHER);
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_SET_TPR);
	CHECK_EQ(v->run->cr8, 3);
	/* The guest reads the value that the VMM sets. */
	v->run->cr8 = 9;
	EXPECT(v, STOP_END);
	CHECK_EQ(v->run->cr8, 9);
	REQUIRE_EQ(v->nr_vals, 1);
	CHECK_EQ(v->val[0], 9);
}

static void hypercall(long unused)
{
	struct vcpu *v = test_on_svm() ? START(M_LONG, vmmcall) :
					 START(M_LONG, vmcall);
	enum stop stop = vcpu_go(v);

	if (stop == STOP_OTHER && v->run->exit_reason == KVM_EXIT_HYPERCALL) {
		v->run->hypercall.ret = -1000;
		stop = vcpu_go(v);
	}
	CHECK_EQ(stop, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	CHECK_EQ((int32_t)v->val[0], -1000); /* KVM_ENOSYS */
}

/* Returns one mode after the other, of those that every host has. */
static int some_mode(unsigned int i)
{
	int mode = i % NR_MODES;

	if (mode == M_VM86 && test_without_vm86())
		return M_LONG;
	return dev_has_mode(mode) ? mode : M_LONG;
}

/* Many VMs at once, each with its own memory and its own end. */
static void many_vms(long unused)
{
	struct vcpu *v[12];
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = START(some_mode(i), spin);
	ticks(1000);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(v); i++) {
			struct kvm_regs r;

			/* EB FE spins in every mode. */
			v[i]->stop_on_signal = true;
			EXPECT(v[i], STOP_SIGNAL);
			get_regs(v[i], &r);
			CHECK_EQ(r.rip, mode_entry(v[i]->mode));
		}
	}
	ticks(0);
	for (i = 0; i < ARRAY_SIZE(v); i++)
		vm_destroy(v[i]->vm);
}

static void *run_thread(void *arg)
{
	struct vcpu *v = arg;
	long r = ioctl(v->fd, KVM_RUN, 0);

	return (void *)(intptr_t)(r < 0 ? -errno : r);
}

/*
 * Waits until the guest, which another thread or process has started, is at
 * work.
 */
static void wait_at_work(struct vm *vm)
{
	while (!rd64(vm, GUEST_DATA))
		usleep(1000);
}

static int regs_done;
static volatile sig_atomic_t kicked;

static void on_kick(int sig)
{
	(void)sig;
	kicked = 1;
}

/* Another thread closes the fds of a running VM: the VM goes on. */
static void close_while_running(long unused)
{
	struct vcpu *v = START(M_LONG, count);
	struct sigaction sa = { .sa_handler = on_kick };
	pthread_t t;
	void *ret;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, run_thread, v);
	wait_at_work(v->vm);
	close(v->vm->fd);
	close(v->vm->dev);
	close(v->fd);
	munmap(v->run, v->vm->run_size);
	do {
		pthread_kill(t, SIGUSR1);
		usleep(1000);
	} while (pthread_tryjoin_np(t, &ret));
	CHECK_EQ((intptr_t)ret, -EINTR);
}

static void *regs_thread(void *arg)
{
	struct vcpu *v = arg;
	struct kvm_regs r;

	get_regs(v, &r);
	__atomic_store_n(&regs_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* One thread runs the vCPU, and another one that wants its registers waits. */
static void two_threads(long unused)
{
	struct vcpu *v = START(M_LONG, count);
	struct sigaction sa = { .sa_handler = on_kick };
	pthread_t runner, reader;
	void *ret;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&runner, NULL, run_thread, v);
	wait_at_work(v->vm);
	pthread_create(&reader, NULL, regs_thread, v);
	usleep(50000);
	CHECK(!__atomic_load_n(&regs_done, __ATOMIC_ACQUIRE));
	do {
		pthread_kill(runner, SIGUSR1);
		usleep(1000);
	} while (pthread_tryjoin_np(runner, &ret));
	CHECK_EQ((intptr_t)ret, -EINTR);
	pthread_join(reader, NULL);
	CHECK(regs_done);
}

/* kill -9 in the middle of a run must leave nothing behind that hangs. */
static void killed(long unused)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		uint64_t *shown = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid_t pid;
		int status;

		if (shown == MAP_FAILED)
			ERROR("mmap: %s", strerror(errno));
		pid = fork();
		if (!pid) {
			struct vcpu *v = START(M_LONG, count);

			if (mremap(shown, 0x1000, 0x1000,
				   MREMAP_MAYMOVE | MREMAP_FIXED,
				   vm_ram(v->vm, GUEST_DATA, 0x1000)) ==
			    MAP_FAILED)
				_exit(1);
			ioctl(v->fd, KVM_RUN, 0);
			_exit(0);
		}
		while (!*(volatile uint64_t *)shown &&
		       !waitpid(pid, &status, WNOHANG))
			usleep(1000);
		kill(pid, SIGKILL);
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status));
		munmap(shown, 0x1000);
	}
}

static const struct test_case cases[] = {
	CASE_ALL("triple fault", triple),
	{ "another state after a shutdown", after_shutdown },
	{ "another state after a failed delivery (prot32)", after_delivery,
	  M_PROT32 },
	{ "another state after a failed delivery (32-bit paging)",
	  after_delivery, M_PG32 },
	{ "another state after a failed delivery (pae)", after_delivery,
	  M_PAE },
	{ "another state after a failed delivery (long)", after_delivery,
	  M_LONG },
	{ "immediate_exit", immediate_exit },
	{ "immediate_exit and CR8", immediate_cr8 },
	{ "a limit of CPU time", cpu_limit, 0, 300 },
	{ "a loop without a look at signals", loop_auditor },
	{ "signal", signal_interrupts },
	{ "KVM_SET_SIGNAL_MASK", signal_mask },
	{ "CR8", task_priority },
	{ "unknown hypercall", hypercall },
	{ "many VMs at once", many_vms },
	{ "closed while it runs", close_while_running },
	{ "two threads want one vCPU", two_threads },
	{ "killed while it runs", killed },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
