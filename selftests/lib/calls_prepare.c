// SPDX-License-Identifier: GPL-2.0
/* Random calls: what a process and a thread prepare before they make any. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vigil.h>

#include "calls_priv.h"

#define TICK_NS 3000000

struct calls_world calls_world;
static int uffd = -1;

static void on_tick(int sig)
{
}

void calls_caller(struct caller *c, struct calls_shared *shared,
		  struct calls_thread *tell, uint64_t seed, uint64_t stream)
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
	};
	struct itimerspec tick = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct sigaction sa = { .sa_handler = on_tick };
	timer_t timer;

	memset(c, 0, sizeof(*c));
	rng_seed(&c->rng, seed, stream);
	c->shared = shared;
	c->tell = tell;
	/* Below 4 GiB, for calls in the way of 32-bit programs. */
	c->scratch = mmap(NULL, SCRATCH_SIZE + PAGE_BYTES,
			  PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (c->scratch == MAP_FAILED ||
	    mprotect(c->scratch + SCRATCH_SIZE, PAGE_BYTES, PROT_NONE))
		ERROR("scratch memory: errno %d", errno);
	ev._sigev_un._tid = syscall(SYS_gettid);
	sigaction(SIGALRM, &sa, NULL);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer) ||
	    timer_settime(timer, 0, &tick, NULL))
		ERROR("timer: errno %d", errno);
}

/*
 * Gives withheld pages to those who wait for them, some later than others, as
 * long as the process lives.
 */
static void *serve_pages(void *unused)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (;;) {
		struct uffdio_zeropage z = { .range.len = PAGE_BYTES };

		if (poll(&p, 1, -1) != 1 ||
		    read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		z.range.start = msg.arg.pagefault.address & -PAGE_BYTES;
		if (msg.arg.pagefault.address >> 12 & 1)
			usleep(2000);
		ioctl(uffd, UFFDIO_ZEROPAGE, &z);
	}
	return NULL;
}

static void withhold(bool serve)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)calls_world.arena + HELD_OFF, HELD_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t t;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		return; /* ordinary memory then */
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		ERROR("userfaultfd: errno %d", errno);
	if (serve && pthread_create(&t, NULL, serve_pages, NULL))
		ERROR("no thread");
}

static bool probe_int80(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		calls_compat_ioctl(-1, 0, 0);
		_exit(errno == EBADF ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static void prepare_memory(void)
{
	/* 32-bit programs, whose calls are made too, have only such addresses. */
	calls_world.arena = mmap(
		NULL, ARENA_SIZE, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);
	if (calls_world.arena == MAP_FAILED ||
	    mprotect(calls_world.arena, RAM_SIZE, PROT_READ | PROT_WRITE) ||
	    mprotect(calls_world.arena + ODD_OFF, ODD_SIZE,
		     PROT_READ | PROT_WRITE) ||
	    mprotect(calls_world.arena + HELD_OFF, HELD_SIZE,
		     PROT_READ | PROT_WRITE) ||
	    mprotect(calls_world.arena + OUT_OFF, OUT_SIZE,
		     PROT_READ | PROT_WRITE))
		ERROR("memory: errno %d", errno);
}

/* A VM with two vCPUs, whose RAM has tables for every mode. */
void calls_prepare(struct rng *r, bool serve)
{
	struct vm *vm;
	unsigned int i;

	calls_world.has_int80 = probe_int80();
	prepare_memory();
	memset(calls_world.fds, 0xff, sizeof(calls_world.fds));
	vm = vm_create_bare();
	vm->ram = calls_world.arena;
	vm->ram_size = RAM_SIZE;
	vm_slot(vm, 0, 0, RAM_SIZE, calls_world.arena, 0);
	calls_world.run_bytes = vm->run_size;
	calls_world.runs = ram_alloc(FILES * calls_world.run_bytes);
	calls_world.cpuid = supported_cpuid(vm->dev);
	calls_world.cpuid_bytes =
		sizeof(*calls_world.cpuid) +
		calls_world.cpuid->nent * sizeof(calls_world.cpuid->entries[0]);
	for (i = 0; i < 2; i++) {
		struct vcpu *v = vcpu_create(vm);

		calls_put(K_VCPU, i, v->fd);
		get_sregs(v, &calls_world.mode_state[0]);
	}
	for (i = 0; i < NR_MODES; i++) {
		calls_world.mode_state[i] = calls_world.mode_state[0];
		calls_world.has_mode[i] = dev_has_mode(i) &&
					  !(i == M_VM86 && test_without_vm86());
		if (calls_world.has_mode[i])
			mode_sregs(vm, i, &calls_world.mode_state[i]);
	}
	do {
		calls_world.main_mode = rng_below(r, NR_MODES);
	} while (!calls_world.has_mode[calls_world.main_mode]);
	vm_tables(vm, calls_world.main_mode);
	for (i = 0; i < 2; i++) {
		struct kvm_regs regs = {
			.rip = mode_entry(calls_world.main_mode),
			.rsp = i ? GUEST_STACK_AP : GUEST_STACK,
			.rbx = GUEST_FREE,
			.rdi = GUEST_FREE,
			.rsi = GUEST_DATA,
			.rflags = RFLAGS_1,
		};

		if (calls_world.main_mode == M_VM86)
			regs.rflags |= RFLAGS_VM | RFLAGS_IOPL;
		set_sregs(vm->vcpu[i],
			  &calls_world.mode_state[calls_world.main_mode]);
		set_regs(vm->vcpu[i], &regs);
	}
	rng_code(r, calls_world.arena + GUEST_CODE, 0x400);
	calls_put(K_DEV, 0, vm->dev);
	calls_put(K_VM, 0, vm->fd);
	calls_put(K_MON, 0, ioctl(vm->fd, VIGIL_CREATE_MONITOR, 0));
	withhold(serve);
}
