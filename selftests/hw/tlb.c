// SPDX-License-Identifier: GPL-2.0
/*
 * Translations that are wrong only in a real TLB. Emulated CPUs flush theirs at each
 * entry, so that a missing flush does not show there; these cases run there all the
 * same, and `vigil hwreport` runs them on real hosts with more rounds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../guest/script.h"
#include "guest.h"

DECLARE_PAYLOAD(large);
DECLARE_PAYLOAD(pound);
DECLARE_PAYLOAD(script64);
DECLARE_LABEL(script64, pf);
DECLARE_PAYLOAD(touch);

#define RIGHTS (PTE_W | PTE_U | PTE_A | PTE_D)
#define VA 0xa0000000ull
#define GPA 0x40000000ull /* slot 1 */
#define PAGES 512u
#define SIZE (PAGES * 0x1000ul) /* a large page */
#define MANY 40 /* VMs: more than QEMU's CPU has ASIDs, which are 16 */
#define GUEST_VALUE 0x6e57ull
#define CANARY 0xca7a4e5ca7a4e5c0ull
#define PATIENCE_MS 40000 /* for ksmd */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Memory that a host huge page fits in. */
static uint8_t *aligned(size_t size)
{
	uintptr_t at = (uintptr_t)ram_alloc(size + SIZE);

	return (uint8_t *)((at + SIZE - 1) & ~(SIZE - 1));
}

static void set_word(uint8_t *mem, unsigned int page, uint64_t val)
{
	*(volatile uint64_t *)(mem + page * 0x1000ul) = val;
}

static uint64_t get_word(const uint8_t *mem, unsigned int page)
{
	return *(const volatile uint64_t *)(mem + page * 0x1000ul);
}

/* --- one large page replaced by another one --- */

static void large_replaced(long mode)
{
	struct vcpu *v = START(mode, large);
	struct pt pt = tables_of(v);
	uint8_t *mem = aligned(2 * SIZE);
	struct kvm_regs r;
	unsigned int i;

	vm_slot(v->vm, 1, GPA, 2 * SIZE, mem, 0);
	for (i = 0; i < 2 * PAGES; i++)
		set_word(mem, i, i < PAGES ? 0x1111 : 0x2222);
	pt_map(&pt, VA, GPA, 2, RIGHTS);
	get_regs(v, &r);
	r.rbx = VA;
	r.rbp = 0;
	r.rsi = pt_entry(&pt, VA, 2);
	r.r8 = (GPA + SIZE) | RIGHTS | PTE_P | PTE_PS;
	r.r9 = GPA | RIGHTS | PTE_P | PTE_PS;
	r.r10 = 0x2222;
	r.r11 = 0x1111;
	r.rcx = test_rounds(60);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	if (v->nr_vals)
		FAIL_MEM("%#llx at %#llx is of the large page before",
			 (unsigned long long)v->val[0],
			 (unsigned long long)v->val[1]);
}

/* --- guests that do one thing at a time --- */

static struct vcpu *script(void)
{
	struct vcpu *v = START(M_LONG, script64);

	idt_gate(v->vm, M_LONG, PF, LABEL_AT(script64, pf), SEL_CODE64, 0xe, 0);
	EXPECT(v, STOP_SYNC);
	return v;
}

static uint64_t op(struct vcpu *v, unsigned int what, uint64_t a, uint64_t b)
{
	wr64(v->vm, S_OP, what);
	wr64(v->vm, S_A, a);
	wr64(v->vm, S_B, b);
	wr64(v->vm, S_RESULT, 0);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, S_FAULT), 0xffffffff);
	return rd64(v->vm, S_RESULT);
}

/* The guest maps another page at VA, and says so to its CPU. */
static void remap(struct vcpu *v, uint64_t entry, uint64_t gpa)
{
	op(v, OP_W64, entry, gpa | RIGHTS | PTE_P);
	op(v, OP_INVLPG, VA, 0);
}

static void go_to_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		ERROR("sched_setaffinity: %s", strerror(errno));
}

/* Finds up to @max CPUs that this process may use. */
static unsigned int usable_cpus(unsigned int *cpu, unsigned int max)
{
	unsigned int i, n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		ERROR("sched_getaffinity: %s", strerror(errno));
	for (i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n;
}

/*
 * A vCPU leaves translations in the TLBs of two CPUs, changes its table on one of
 * them, and comes back to the other. A second VM does the same one step behind, with
 * other memory at the same addresses.
 */
static void hop(long unused)
{
	struct vcpu *v[2] = { script(), script() };
	unsigned int i, k, n, cpu[8];
	uint64_t entry[2], round;

	n = usable_cpus(cpu, ARRAY_SIZE(cpu));
	if (n < 2)
		SKIP("needs two CPUs");
	for (k = 0; k < 2; k++) {
		struct pt pt = tables_of(v[k]);

		pt_map(&pt, VA, GUEST_HIGH, 1, RIGHTS);
		entry[k] = pt_entry(&pt, VA, 1);
		wr64(v[k]->vm, GUEST_HIGH, 0x100 + k);
		wr64(v[k]->vm, GUEST_HIGH + 0x1000, 0x200 + k);
	}
	for (round = 0; round < test_rounds(60); round++) {
		uint64_t old = round % 2 ? 0x200 : 0x100, new = 0x300 - old;

		for (i = 0; i < n; i++) {
			go_to_cpu(cpu[i]);
			for (k = 0; k < 2; k++)
				CHECK_MEM_EQ(op(v[k], OP_READ, VA, 0), old + k);
		}
		go_to_cpu(cpu[round % n]);
		for (k = 0; k < 2; k++)
			remap(v[k], entry[k],
			      GUEST_HIGH + (round % 2 ? 0 : 0x1000));
		for (i = 0; i < n; i++) {
			go_to_cpu(cpu[(round + 1 + i) % n]);
			for (k = 0; k < 2; k++)
				CHECK_MEM_EQ(op(v[k], OP_READ, VA, 0), new + k);
		}
	}
}

/*
 * So many vCPUs take turns on one CPU that its tags (ASIDs) are used up again and
 * again; each has other memory at the same address. A CPU with more tags than that
 * needs a debug build with svm_asids=4.
 */
static void rollover(long unused)
{
	struct vcpu *v[MANY];
	uint64_t entry, round;
	unsigned int i, cpu;

	usable_cpus(&cpu, 1);
	go_to_cpu(cpu);
	for (i = 0; i < MANY; i++) {
		struct pt pt;

		v[i] = script();
		pt = tables_of(v[i]);
		pt_map(&pt, VA, GUEST_HIGH, 1, RIGHTS);
		/* The VMs are alike, so that this is one address for all. */
		entry = pt_entry(&pt, VA, 1);
		wr64(v[i]->vm, GUEST_HIGH, i);
		wr64(v[i]->vm, GUEST_HIGH + 0x1000, MANY + i);
	}
	for (round = 1; round <= test_rounds(10); round++) {
		for (i = 0; i < MANY; i++)
			CHECK_MEM_EQ(op(v[i], OP_READ, VA, 0),
				     round % 2 ? i : MANY + i);
		for (i = 0; i < MANY; i++) {
			remap(v[i], entry,
			      GUEST_HIGH + (round % 2 ? 0x1000 : 0));
			CHECK_MEM_EQ(op(v[i], OP_READ, VA, 0),
				     round % 2 ? MANY + i : i);
		}
	}
}

/* --- memory that the host takes back --- */

/* A guest of RCX pages in slot 1, at one address of guest and host. */
static struct vcpu *start_on(uint8_t *mem, const char *code, const char *end,
			     uint64_t rbp)
{
	struct vcpu *v = guest_start(M_LONG, code, end);
	struct pt pt = tables_of(v);
	struct kvm_regs r;
	unsigned int i;

	vm_slot(v->vm, 1, GPA, SIZE, mem, 0);
	for (i = 0; i < PAGES; i++)
		pt_map(&pt, GPA + i * 0x1000, GPA + i * 0x1000, 1, RIGHTS);
	get_regs(v, &r);
	r.rbx = GPA;
	r.rcx = PAGES;
	r.rbp = rbp;
	set_regs(v, &r);
	return v;
}

/* Takes frames that were freed a moment ago, and fills them. */
static uint64_t *canaries(void)
{
	uint64_t *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t i;

	if (at == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	for (i = 0; i < SIZE / 8; i++)
		at[i] = CANARY + i;
	return at;
}

/* Nobody else may have written to them. */
static void canaries_live(uint64_t *at)
{
	size_t i;

	for (i = 0; i < SIZE / 8; i++)
		if (at[i] != CANARY + i)
			FAIL_MEM(
				"%#llx in freed memory, at page %zu offset %#zx",
				(unsigned long long)at[i], i / 512,
				i % 512 * 8);
	munmap(at, SIZE);
}

static volatile bool stop;
static volatile uint64_t passes; /* of the guest */

static void *write_on(void *arg)
{
	while (!stop) {
		EXPECT((struct vcpu *)arg, STOP_SYNC);
		passes++;
	}
	return NULL;
}

/* Waits until the guest has made a whole pass that began after this call. */
static void wait_passes(uint64_t (*count)(struct vcpu *v), struct vcpu *v)
{
	uint64_t end = now_ms() + RUN_TIMEOUT_S * 1000, from = count(v);

	while (count(v) < from + 2) {
		if (now_ms() > end) {
			FAIL_HANG("the guest makes no pass");
			test_abort();
		}
		sched_yield();
	}
}

static uint64_t counted_here(struct vcpu *v)
{
	return passes;
}

static uint64_t counted_there(struct vcpu *v)
{
	return rd64(v->vm, GUEST_DATA + 8);
}

/* The guest writes to pages that are discarded; others get their frames. */
static void discarded(long unused)
{
	uint8_t *mem = aligned(SIZE);
	struct vcpu *v = start_on(mem, pl_touch, pl_touch_end, GUEST_VALUE);
	uint64_t round;
	pthread_t t;

	pthread_create(&t, NULL, write_on, v);
	for (round = 0; round < test_rounds(20); round++) {
		size_t from = round % 4 * 0x1000, len = SIZE >> round % 3;
		uint64_t *at;

		wait_passes(counted_here, v);
		madvise(mem + from, len - from, MADV_DONTNEED);
		at = canaries();
		wait_passes(counted_here, v);
		canaries_live(at);
	}
	stop = true;
	pthread_join(t, NULL);
	CHECK_MEM_EQ(get_word(mem, 0), GUEST_VALUE);
	CHECK_MEM_EQ(get_word(mem, PAGES - 1), GUEST_VALUE);
}

static void write_file(const char *path, const char *val)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, val, strlen(val)) < 0)
		DEBUGF("%s: %s", path, strerror(errno));
	close(fd);
}

/* The frame of each page, 0 where there is none. Needs root. */
static void read_frames(void *mem, uint64_t *pfn, unsigned int n)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int i;

	memset(pfn, 0, n * 8);
	if (fd < 0)
		return;
	if (pread(fd, pfn, n * 8, (uintptr_t)mem / 0x1000 * 8) !=
	    (ssize_t)n * 8)
		memset(pfn, 0, n * 8);
	close(fd);
	for (i = 0; i < n; i++)
		pfn[i] = pfn[i] >> 63 ? pfn[i] & ((1ull << 55) - 1) : 0;
}

/* Moves all that it can: to another node, into a huge page and out of it. */
static void move(uint8_t *mem, size_t size, unsigned int round)
{
	void *page[1024];
	int node[1024], status[1024];
	unsigned int i, n = size / 0x1000;

	for (i = 0; i < n; i++) {
		page[i] = mem + i * 0x1000ul;
		node[i] = round & 1;
	}
	syscall(SYS_move_pages, 0, n, page, node, status, 1 << 1);
	madvise(mem, size, MADV_HUGEPAGE);
	madvise(mem, size, MADV_COLLAPSE);
	mprotect(mem + 0x10000, 0x1000, PROT_READ);
	mprotect(mem + 0x10000, 0x1000, PROT_READ | PROT_WRITE);
	madvise(mem, size, MADV_NOHUGEPAGE);
	if (round % 4 == 0)
		write_file("/proc/sys/vm/compact_memory", "1");
}

/* A page that move() has protected for a moment is back at the next try. */
static void *run_to_end(void *arg)
{
	struct vcpu *v = arg;
	enum stop why;

	while ((why = vcpu_go(v)) == STOP_ERRNO && errno == EFAULT)
		sched_yield();
	if (why != STOP_END) {
		FAIL("stopped by %s", stop_name[why]);
		vcpu_describe(v);
	}
	return NULL;
}

/*
 * The memory and the tables of a guest move while it counts in its pages and compares
 * them; the frames that they leave hold canaries.
 */
static void moved(long unused)
{
	uint8_t *mem = aligned(SIZE);
	struct vcpu *v = start_on(mem, pl_pound, pl_pound_end, 0);
	unsigned int i, left = 0;
	uint64_t round, old[PAGES], new[PAGES];
	pthread_t t;

	pthread_create(&t, NULL, run_to_end, v);
	wait_passes(counted_there, v);
	read_frames(mem, old, PAGES);
	for (round = 0; round < test_rounds(20); round++) {
		uint64_t *at;

		move(mem, SIZE, round);
		move(v->vm->ram, v->vm->ram_size, round);
		at = canaries();
		wait_passes(counted_there, v);
		canaries_live(at);
		read_frames(mem, new, PAGES);
		for (i = 0; i < PAGES; i++)
			left += old[i] && new[i] && old[i] != new[i];
		memcpy(old, new, sizeof(old));
	}
	wr64(v->vm, GUEST_DATA, 1);
	pthread_join(t, NULL);
	if (v->nr_vals)
		FAIL_MEM("the guest found %#llx at %#llx in pass %llu",
			 (unsigned long long)v->val[0],
			 (unsigned long long)v->val[1],
			 (unsigned long long)v->val[2]);
	for (i = 0; i < PAGES && !v->nr_vals; i++)
		CHECK_MEM_EQ(get_word(mem, i), counted_there(v));
	if (!left)
		SKIP("nothing moves pages here: no THP, compaction or second node");
}

/*
 * KSM merges the tables of two guests that are alike. One of them changes its own:
 * that must not reach the other one, and must hold for itself.
 */
static void merged_tables(long unused)
{
	struct vcpu *v[2] = { script(), script() };
	uint64_t entry, end, frame[2], i;
	unsigned int k;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		SKIP("no KSM in this kernel");
	for (k = 0; k < 2; k++) {
		struct pt pt = tables_of(v[k]);

		pt_map(&pt, VA, GUEST_HIGH, 1, RIGHTS);
		entry = pt_entry(&pt, VA, 1);
		wr64(v[k]->vm, GUEST_HIGH, 0x100 + k);
		wr64(v[k]->vm, GUEST_HIGH + 0x1000, 0x200 + k);
		CHECK_MEM_EQ(op(v[k], OP_READ, VA, 0), 0x100 + k);
		if (madvise(v[k]->vm->ram, v[k]->vm->ram_size, MADV_MERGEABLE))
			SKIP("no KSM in this kernel");
	}
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "5");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_file("/sys/kernel/mm/ksm/run", "1");
	end = now_ms() + PATIENCE_MS;
	do {
		usleep(20000);
		for (k = 0; k < 2; k++)
			read_frames(v[k]->vm->ram + (entry & ~0xfffull),
				    &frame[k], 1);
	} while ((!frame[0] || frame[0] != frame[1]) && now_ms() < end);
	if (!frame[0] || frame[0] != frame[1])
		FAIL("the two tables were not merged");
	for (i = 0; i < 4; i++) {
		remap(v[0], entry, GUEST_HIGH + (i % 2 ? 0 : 0x1000));
		CHECK_MEM_EQ(op(v[0], OP_READ, VA, 0), i % 2 ? 0x100 : 0x200);
		CHECK_MEM_EQ(op(v[1], OP_READ, VA, 0), 0x101);
	}
	write_file("/sys/kernel/mm/ksm/run", "2");
	for (k = 0; k < 2; k++)
		CHECK_MEM_EQ(op(v[k], OP_READ, VA, 0), 0x100 + k);
}

static const struct test_case cases[] = {
	{ "large page replaced, one INVLPG (long)", large_replaced, M_LONG },
	{ "large page replaced, one INVLPG (la57)", large_replaced, M_LA57 },
	{ "a vCPU hops CPUs", hop },
	{ "more vCPUs than ASIDs", rollover },
	{ "discarded memory is others', canaries", discarded },
	{ "memory and tables move, canaries", moved },
	{ "tables merged by KSM", merged_tables },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
