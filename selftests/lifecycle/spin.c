// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that never ends, and whose registers differ from the host's wherever
 * they can.
 */
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

DECLARE_PAYLOAD(spin);

/*
 * Debug registers, XCR0, then a count and the TSC, with CPUID and port exits in
 * between.
 * DR7 stays off: QEMU crashes when a nested guest arms a breakpoint.
 */
asm(".section .rodata\n"
    ".globl pl_spin\n"
    "pl_spin:\n"
    "	mov $0x123456789000, %rax\n"
    "	mov %rax, %dr0\n"
    "	mov %rax, %dr1\n"
    "	mov %rax, %dr2\n"
    "	mov %rax, %dr3\n"
    "	mov $1, %eax\n"
    "	cpuid\n"
    "	bt $26, %ecx\n"
    "	jnc 1f\n"
    "	mov %cr4, %rax\n"
    "	bts $18, %rax\n"
    "	mov %rax, %cr4\n"
    "	xor %ecx, %ecx\n"
    "	xor %edx, %edx\n"
    "	mov $1, %eax\n"
    "	xsetbv\n"
    "1:	incq 0x20000\n"
    "	rdtsc\n"
    "	shl $32, %rdx\n"
    "	or %rdx, %rax\n"
    "	mov %rax, 0x20008\n"
    "	xor %eax, %eax\n"
    "	cpuid\n"
    "	incl %esi\n"
    "	test $0xff, %sil\n"
    "	jnz 1b\n"
    "	out %al, $0x80\n"
    "	jmp 1b\n"
    ".globl pl_spin_end\n"
    "pl_spin_end: .byte 0\n"
    ".text\n");

_Static_assert(GUEST_DATA == 0x20000, "the payload knows it");

static void set_msrs(struct vcpu *v)
{
	static const struct {
		uint32_t index;
		uint64_t data;
	} values[] = {
		{ 0xc0000081, 0x0023001000000000 }, /* STAR */
		{ 0xc0000082, 0xffff800012345678 }, /* LSTAR */
		{ 0xc0000083, 0xffff800012340000 }, /* CSTAR */
		{ 0xc0000084, 0x47700 }, /* SFMASK */
		{ 0x174, 0x1230 }, /* SYSENTER_CS */
		{ 0x175, 0xffff800011110000 },
		{ 0x176, 0xffff800022220000 },
		{ 0xc0000100, 0x7f1234560000 }, /* FS_BASE */
		{ 0xc0000101, 0xffff800033330000 }, /* GS_BASE */
		{ 0xc0000102, 0x7f9999990000 }, /* KERNEL_GS_BASE */
		{ 0xc0000103, 0x5a5a }, /* TSC_AUX */
		{ 0x277, 0x0606060606060606 }, /* PAT */
	};
	struct kvm_msrs *m;
	unsigned int i, n = ARRAY_SIZE(values);

	m = calloc(1, sizeof(*m) + n * sizeof(m->entries[0]));
	if (!m)
		ERROR("out of memory");
	m->nmsrs = n;
	for (i = 0; i < n; i++) {
		m->entries[i].index = values[i].index;
		m->entries[i].data = values[i].data;
	}
	REQUIRE_EQ(ioctl(v->fd, KVM_SET_MSRS, m), n);
	free(m);
}

static void on_kick(int sig)
{
}

static void *spin(void *arg)
{
	struct spinner *s = arg;
	struct kvm_run *run = s->v->run;

	s->tid = syscall(SYS_gettid);
	while (!s->stop) {
		if (ioctl(s->v->fd, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			s->failed = true;
			return NULL;
		}
		if (run->exit_reason != KVM_EXIT_IO) {
			s->failed = true;
			return NULL;
		}
	}
	return NULL;
}

struct spinner *spin_start(int cpu)
{
	struct spinner *s = calloc(1, sizeof(*s));
	struct sigaction sa = { .sa_handler = on_kick };
	pthread_attr_t attr;
	cpu_set_t set;

	if (!s)
		ERROR("out of memory");
	sigaction(SIGUSR1, &sa, NULL);
	s->v = guest_start(M_LONG, pl_spin, pl_spin_end);
	s->vm = s->v->vm;
	set_msrs(s->v);
	pthread_attr_init(&attr);
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (pthread_create(&s->thread, &attr, spin, s))
		ERROR("cannot start a thread on CPU %d", cpu);
	pthread_attr_destroy(&attr);
	return s;
}

uint64_t spin_count(const struct spinner *s)
{
	return rd64(s->vm, GUEST_DATA);
}

uint64_t spin_tsc(const struct spinner *s)
{
	return rd64(s->vm, GUEST_DATA + 8);
}

void spin_moves(struct spinner *s)
{
	struct timespec now, end, tick = { .tv_nsec = 1000000 };
	uint64_t before = spin_count(s);

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	do {
		if (s->failed) {
			FAIL("the guest stopped: exit reason %u",
			     s->v->run->exit_reason);
			vcpu_describe(s->v);
			test_abort();
		}
		if (spin_count(s) > before + 1000)
			return;
		nanosleep(&tick, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	FAIL("the guest does not move: %llu",
	     (unsigned long long)spin_count(s) - before);
}

void spin_stop(struct spinner *s)
{
	s->stop = true;
	s->v->run->immediate_exit = 1;
	pthread_kill(s->thread, SIGUSR1);
	pthread_join(s->thread, NULL);
	CHECK(!s->failed);
	vm_destroy(s->vm);
	free(s);
}
