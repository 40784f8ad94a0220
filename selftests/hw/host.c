// SPDX-License-Identifier: GPL-2.0
/*
 * What else a host does while guests run: it samples by performance counters, splits
 * locks over cache lines, and has values in its vector registers.
 */
#include <cpuid.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(locked);
DECLARE_PAYLOAD(vectors);

#define LOCKS 20000
#define LOCKS_A_STOP 2000
#define SPLIT (GUEST_FREE + 64 - 2) /* a dword there is in two cache lines */

/* --- sampling --- */

static int sample(uint32_t type, uint64_t config, uint64_t period,
		  unsigned int precise)
{
	struct perf_event_attr a = {
		.type = type,
		.size = sizeof(a),
		.config = config,
		.sample_period = period,
		.sample_type = PERF_SAMPLE_IP,
		.precise_ip = precise,
	};

	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static struct vcpu *start_locked(uint64_t at)
{
	struct vcpu *v = START(M_LONG, locked);
	struct kvm_regs r;

	get_regs(v, &r);
	r.rbx = at;
	r.rcx = LOCKS;
	r.rdx = LOCKS_A_STOP;
	set_regs(v, &r);
	return v;
}

static void finish_locked(struct vcpu *v, uint64_t at)
{
	enum stop why;

	while ((why = vcpu_go(v)) == STOP_SYNC)
		;
	CHECK_EQ(why, STOP_END);
	CHECK_MEM_EQ(rd32(v->vm, at), LOCKS);
}

/* Samples each way that this host has, from the most precise one (PEBS, IBS). */
static void sampled(long unused)
{
	int fd = -1, i, ways = 0;

	for (i = 4; i >= 0; i--) {
		struct vcpu *v;
		uint64_t count = 0;

		if (i)
			fd = sample(PERF_TYPE_HARDWARE,
				    PERF_COUNT_HW_CPU_CYCLES, 20011, i - 1);
		else
			fd = sample(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK,
				    100003, 0);
		if (fd < 0)
			continue;
		v = start_locked(GUEST_FREE);
		finish_locked(v, GUEST_FREE);
		if (read(fd, &count, 8) != 8)
			ERROR("read: %s", strerror(errno));
		CHECK(count > 0);
		if (i)
			test_note("cycles, precise %d: %llu counted", i - 1,
				  (unsigned long long)count);
		close(fd);
		vm_destroy(v->vm);
		ways++;
	}
	if (!ways)
		SKIP("no perf events in this kernel");
}

/* --- split locks --- */

/* The guest's own: the host's rule slows it down, or leaves it alone. */
static void split_by_guest(long unused)
{
	finish_locked(start_locked(SPLIT), SPLIT);
}

static void split_in_host(volatile uint32_t *at)
{
	asm volatile("lock incl %0" : "+m"(*at));
}

/* Another process splits locks all the time; the host may end it for that. */
static void split_by_host(long unused)
{
	struct vcpu *v = start_locked(GUEST_FREE);
	uint8_t *mem = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile uint32_t *at = (void *)(mem + 62);
	int status;
	pid_t pid;

	if (mem == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		ERROR("fork: %s", strerror(errno));
	if (!pid)
		for (;;)
			split_in_host(at);
	/* Until it has begun, or is ended for the first one. */
	while (!*at && !waitpid(pid, &status, WNOHANG))
		sched_yield();
	finish_locked(v, GUEST_FREE);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGBUS)
		test_note("this host ends processes that split locks");
}

/* --- vector registers --- */

static bool host_has(unsigned int ebx7, uint64_t xcr0)
{
	uint32_t a, b, c, d, lo, hi;

	__cpuid(1, a, b, c, d);
	if (!(c >> 27 & 1)) /* OSXSAVE */
		return false;
	asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	if ((lo & xcr0) != xcr0)
		return false;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return false;
	return (b & ebx7) == ebx7;
}

/*
 * around_KIND(fd, request, in, out): loads every register of a kind from IN, calls
 * ioctl(fd, request, 0), and stores them to OUT, with nothing else in between that
 * could use them. Return: what the system call returns.
 */
#define ALL16 "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define ALL32 ALL16 ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define AROUND(kind, load, store)                                         \
	asm(".text\n"                                                     \
	    "around_" #kind ":\n"                                         \
	    "push %rbx\n"                                                 \
	    "mov %rcx, %rbx\n" load "xor %edx, %edx\n"                    \
	    "mov $16, %eax\n" /* ioctl */                                 \
	    "syscall\n" store "pop %rbx\n"                                \
	    "ret\n");                                                     \
	long around_##kind(int fd, unsigned long request, const void *in, \
			   void *out)

#define EACH(n, what) ".irp n, " n "\n" what "\n.endr\n"

AROUND(sse, EACH(ALL16, "movdqu \\n*64(%rdx), %xmm\\n"),
       EACH(ALL16, "movdqu %xmm\\n, \\n*64(%rbx)"));
AROUND(avx, EACH(ALL16, "vmovdqu \\n*64(%rdx), %ymm\\n"),
       EACH(ALL16, "vmovdqu %ymm\\n, \\n*64(%rbx)") "vzeroupper\n");
AROUND(avx512,
       EACH(ALL32, "vmovdqu64 \\n*64(%rdx), %zmm\\n")
	       EACH("0,1,2,3,4,5,6,7", "kmovw 2048+\\n*64(%rdx), %k\\n"),
       EACH(ALL32, "vmovdqu64 %zmm\\n, \\n*64(%rbx)")
	       EACH("0,1,2,3,4,5,6,7",
		    "kmovw %k\\n, 2048+\\n*64(%rbx)") "vzeroupper\n");

static const struct kind {
	const char *name;
	long (*around)(int fd, unsigned long request, const void *in,
		       void *out);
	unsigned int regs, bytes; /* of each */
	uint64_t xcr0;
	unsigned int ebx7; /* of CPUID leaf 7 */
} kinds[] = {
	{ "SSE", around_sse, 16, 16, 0, 0 },
	{ "AVX", around_avx, 16, 32, 6, 1 << 5 },
	{ "AVX-512", around_avx512, 32, 64, 0xe6, 1 << 16 },
};

/* What a register holds in round @round: each byte of each register another value. */
static void fill(uint8_t *regs, unsigned int round)
{
	unsigned int i;

	for (i = 0; i < 40 * 64; i++)
		regs[i] = i * 7 + i / 64 + round;
}

/* The host's registers are the same after a run of a guest that fills its own. */
static void vectors(long which)
{
	const struct kind *k = &kinds[which];
	static uint8_t in[40 * 64], out[40 * 64];
	unsigned int round, i;
	struct kvm_sregs s;
	struct kvm_regs r;
	struct vcpu *v;

	if (k->xcr0 && !host_has(k->ebx7, k->xcr0))
		SKIP("no %s in this host", k->name);
	v = START(M_LONG, vectors);
	get_regs(v, &r);
	r.rbp = 0xbadbadbadbadbad;
	set_regs(v, &r);
	get_sregs(v, &s);
	s.cr4 |= CR4_OSFXSR;
	set_sregs(v, &s);
	for (round = 1; round <= test_rounds(200); round++) {
		fill(in, round);
		memset(out, 0, sizeof(out));
		while (k->around(v->fd, KVM_RUN, in, out) == -EINTR)
			;
		REQUIRE_EQ(v->run->exit_reason, KVM_EXIT_IO);
		REQUIRE_EQ(v->run->io.port, PORT_SYNC);
		for (i = 0; i < k->regs; i++)
			if (memcmp(in + i * 64, out + i * 64, k->bytes))
				FAIL("%s register %u differs after a run",
				     k->name, i);
		for (i = 0; k->regs == 32 && i < 8; i++)
			if (memcmp(in + 2048 + i * 64, out + 2048 + i * 64, 2))
				FAIL("mask register %u differs after a run", i);
	}
	CHECK_MEM_EQ(rd64(v->vm, GUEST_DATA), test_rounds(200));
}

static const struct test_case cases[] = {
	{ "sampled by performance counters", sampled },
	{ "split locks of a guest", split_by_guest },
	{ "split locks beside a guest", split_by_host },
	{ "SSE registers of the host", vectors, 0 },
	{ "AVX registers of the host", vectors, 1 },
	{ "AVX-512 registers of the host", vectors, 2 },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
