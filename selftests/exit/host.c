// SPDX-License-Identifier: GPL-2.0
/*
 * The state of the host's thread is the same after every run: segment selectors
 * and bases, XCR0, TSC_AUX, debug registers. That holds whatever CPU the thread
 * is on by then, and whatever thread ran the vCPU before.
 */
#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(fpu);
DECLARE_PAYLOAD(debugreg);
DECLARE_PAYLOAD(hoststate);

static unsigned int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static void go_to_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % nr_cpus(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ERROR("sched_setaffinity: %s", strerror(errno));
}

struct host_state {
	uint16_t ds, es, fs, gs, ss, cs;
	uint64_t fs_base, gs_base, xcr0;
};

static uint64_t read_xcr0(void)
{
	uint32_t a, b, c, d, lo, hi;

	asm volatile("cpuid"
		     : "=a"(a), "=b"(b), "=c"(c), "=d"(d)
		     : "a"(1), "c"(0));
	if (!(c >> 27 & 1)) /* OSXSAVE */
		return 0;
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static struct host_state host_state(void)
{
	struct host_state h = { 0 };

	asm volatile("mov %%ds, %0" : "=r"(h.ds));
	asm volatile("mov %%es, %0" : "=r"(h.es));
	asm volatile("mov %%fs, %0" : "=r"(h.fs));
	asm volatile("mov %%gs, %0" : "=r"(h.gs));
	asm volatile("mov %%ss, %0" : "=r"(h.ss));
	asm volatile("mov %%cs, %0" : "=r"(h.cs));
	syscall(SYS_arch_prctl, ARCH_GET_FS, &h.fs_base);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &h.gs_base);
	h.xcr0 = read_xcr0();
	return h;
}

static void compare(const struct host_state *want)
{
	struct host_state h = host_state();

	CHECK_EQ(h.ds, want->ds);
	CHECK_EQ(h.es, want->es);
	CHECK_EQ(h.fs, want->fs);
	CHECK_EQ(h.gs, want->gs);
	CHECK_EQ(h.ss, want->ss);
	CHECK_EQ(h.cs, want->cs);
	CHECK_EQ(h.fs_base, want->fs_base);
	CHECK_EQ(h.gs_base, want->gs_base);
	CHECK_EQ(h.xcr0, want->xcr0);
}

/* Checks that TSC_AUX has the CPU's number, as Linux sets it. */
static void check_tsc_aux(unsigned int cpu)
{
	uint32_t lo, hi, aux;

	asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	CHECK_EQ(aux & 0xfff, cpu % nr_cpus());
}

/* Makes a guest with other selectors and bases than the host's everywhere. */
static struct vcpu *start_guest(void)
{
	struct vcpu *v = START(M_LONG, hoststate);
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.fs.base = 0x123456789000;
	s.gs.base = 0xffff800012345000;
	set_sregs(v, &s);
	return v;
}

static void segments(long unused)
{
	struct vcpu *v = start_guest();
	struct host_state want;
	unsigned int i;

	/* These selectors are 0 in most 64-bit processes: use others. */
	asm volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7654321000ul);
	want = host_state();
	CHECK_EQ(want.ds, 0x2b);
	CHECK_EQ(want.gs_base, 0x7654321000);
	for (i = 0; i < 100; i++) {
		go_to_cpu(i);
		compare(&want);
		EXPECT(v, STOP_SYNC);
		compare(&want);
		check_tsc_aux(i);
	}
	/* The guest still has its own values. */
	CHECK_EQ(v->nr_vals, 0);
}

/*
 * GS holds a selector of the process's LDT. Both must be restored after a run.
 */
static void gs_selector(long unused)
{
	struct {
		uint32_t entry, base, limit, flags;
	} d = { 0, 0x12340000, 0xfffff, 0x51 };
	struct vcpu *v = start_guest();
	struct host_state want;
	unsigned int i;

	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)) < 0)
		SKIP("no modify_ldt in this kernel");
	asm volatile("mov %0, %%gs" : : "r"(7));
	want = host_state();
	CHECK_EQ(want.gs, 7);
	CHECK_EQ(want.gs_base, 0x12340000);
	for (i = 0; i < 20; i++) {
		uint16_t again = 7;

		go_to_cpu(i);
		EXPECT(v, STOP_SYNC);
		compare(&want);
		/* Faults where LDTR is not the host's. */
		asm volatile("mov %0, %%gs" : : "r"(again));
		compare(&want);
	}
}

/* The thread is preempted, and moved to another CPU, in the middle of a run. */
static volatile bool stop_moving;

static void *move_around(void *arg)
{
	pid_t tid = (intptr_t)arg;
	unsigned int i;

	for (i = 0; !stop_moving; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i % nr_cpus(), &set);
		sched_setaffinity(tid, sizeof(set), &set);
		usleep(1500);
	}
	return NULL;
}

static void moved_in_run(long unused)
{
	struct vcpu *v = start_guest();
	struct host_state want;
	struct timespec now, end;
	unsigned int n = 0;
	pthread_t t;

	if (nr_cpus() < 2)
		SKIP("needs two CPUs");
	asm volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	want = host_state();
	pthread_create(&t, NULL, move_around,
		       (void *)(intptr_t)syscall(SYS_gettid));
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 2;
	do {
		EXPECT(v, STOP_SYNC);
		compare(&want);
		n++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	stop_moving = true;
	pthread_join(t, NULL);
	CHECK_EQ(v->nr_vals, 0);
	test_note("%u runs", n);
}

static int breakpoint(volatile uint64_t *where)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(a),
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)where,
		.bp_len = HW_BREAKPOINT_LEN_8,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static volatile uint64_t watched;

/*
 * A breakpoint of the host works after a run of a guest with its own debug
 * registers.
 */
static void host_breakpoint(long unused)
{
	struct vcpu *v = START(M_LONG, debugreg);
	int fd = breakpoint(&watched);
	uint64_t count = 0;
	unsigned int i;
	struct kvm_regs r;

	if (fd < 0)
		SKIP("no hardware breakpoints in this kernel");
	get_regs(v, &r);
	r.rbp = 0x1000;
	set_regs(v, &r);
	for (i = 1; i <= 60; i++) {
		go_to_cpu(i / 4);
		EXPECT(v, STOP_SYNC);
		watched = i;
		if (read(fd, &count, 8) != 8)
			ERROR("read: %s", strerror(errno));
		CHECK_EQ(count, i);
	}
	close(fd);
	CHECK_EQ(v->nr_vals, 0);
}

static void *one_step(void *arg)
{
	struct vcpu *v = arg;

	EXPECT(v, STOP_SYNC);
	return NULL;
}

/* A vCPU moves from thread to thread, and takes its FPU state along. */
static void thread_to_thread(long unused)
{
	struct vcpu *v = START(M_LONG, fpu);
	struct kvm_regs r;
	unsigned int i;

	get_regs(v, &r);
	r.rbp = 55;
	set_regs(v, &r);
	for (i = 0; i < 60; i++) {
		pthread_t t;

		pthread_create(&t, NULL, one_step, v);
		pthread_join(t, NULL);
	}
	while (vcpu_go(v) == STOP_SYNC)
		;
	CHECK_EQ(v->nr_vals, 0);
}

static const struct test_case cases[] = {
	{ "segments, XCR0, TSC_AUX", segments },
	{ "GS selector", gs_selector },
	{ "moved to another CPU in a run", moved_in_run },
	{ "hardware breakpoint", host_breakpoint },
	{ "a vCPU goes from thread to thread", thread_to_thread },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
