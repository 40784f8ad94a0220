// SPDX-License-Identifier: GPL-2.0
/* Memory slots: arguments, and what a guest sees of adding, moving, deleting. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "vigil.h"

DECLARE_PAYLOAD(touch);
DECLARE_PAYLOAD(sum);

#define GPA 0x40000000ull
#define SIZE 0x10000

static void *hva;

static int slot(struct vm *vm, unsigned int id, uint64_t gpa, uint64_t size,
		const void *mem, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static struct vm *setup(void)
{
	hva = ram_alloc(SIZE * 4);
	return vm_create_bare();
}

static void arguments(long unused)
{
	struct vm *vm = setup();
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);

	CHECK_ERRNO(slot(vm, 0, GPA + 1, SIZE, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, SIZE + 1, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, 0xfff, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, SIZE, (char *)hva + 1, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, SIZE, (void *)0xffff888000000000, 0),
		    EINVAL);
	/* The range wraps around, at its end or behind it. */
	CHECK_ERRNO(slot(vm, 0, ~0xfffull, 0x2000, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, 0 - (GPA + 0x1000), hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, ~0xfffull, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, SIZE, hva, 1u << 31), EINVAL);
	CHECK_ERRNO(slot(vm, 0, GPA, SIZE, hva, 1u << 5), EINVAL);
	CHECK_ERRNO(slot(vm, max, GPA, SIZE, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 7 << 16, GPA, SIZE, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, ~0u, GPA, SIZE, hva, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 0, 0, 0, NULL, 0), EINVAL); /* absent */
	CHECK_OK(slot(vm, max - 1, GPA, SIZE, hva, 0));
}

static void semantics(long unused)
{
	struct vm *vm = setup();
	char *mem = hva;

	CHECK_OK(slot(vm, 1, GPA, SIZE, mem, 0));
	CHECK_OK(slot(vm, 1, GPA, SIZE, mem, 0)); /* identical */
	CHECK_ERRNO(slot(vm, 1, GPA, SIZE * 2, mem, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 1, GPA, SIZE / 2, mem, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 1, GPA, SIZE, mem + 0x1000, 0), EINVAL);
	CHECK_ERRNO(slot(vm, 2, GPA, SIZE, mem, 0), EEXIST);
	CHECK_ERRNO(slot(vm, 2, GPA + SIZE - 0x1000, SIZE, mem, 0), EEXIST);
	CHECK_ERRNO(slot(vm, 2, GPA - 0x1000, 0x2000, mem, 0), EEXIST);
	CHECK_ERRNO(slot(vm, 2, GPA + 0x1000, 0x1000, mem, 0), EEXIST);
	CHECK_OK(slot(vm, 2, GPA + SIZE, SIZE, mem, 0)); /* touching */
	/* Two views of the same memory are fine. */
	CHECK_OK(slot(vm, 3, GPA + SIZE * 4, SIZE, mem, 0));
	/* Moving: onto another one, and into a gap, which may overlap itself. */
	CHECK_ERRNO(slot(vm, 1, GPA + SIZE, SIZE, mem, 0), EEXIST);
	CHECK_OK(slot(vm, 1, GPA - 0x1000, SIZE, mem, 0));
	CHECK_OK(slot(vm, 1, GPA, SIZE, mem, 0));
	/* Flags: the log may be switched at any time, READONLY may not. */
	CHECK_OK(slot(vm, 1, GPA, SIZE, mem, KVM_MEM_LOG_DIRTY_PAGES));
	CHECK_OK(slot(vm, 1, GPA, SIZE, mem, 0));
	CHECK_ERRNO(slot(vm, 1, GPA, SIZE, mem, KVM_MEM_READONLY), EINVAL);
	/* Deleting, once. The other fields do not matter then. */
	CHECK_OK(slot(vm, 1, GPA, 0, mem, 0));
	CHECK_ERRNO(slot(vm, 1, GPA, 0, mem, 0), EINVAL);
	CHECK_OK(slot(vm, 2, 0, 0, NULL, 0));
	CHECK_OK(slot(vm, 3, 0, 0, NULL, 0));
	/* The slot can be made again. */
	CHECK_OK(slot(vm, 1, GPA, SIZE * 4, mem, 0));
}

static void as_many_as_promised(long unused)
{
	struct vm *vm = setup();
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	int n = max > 600 ? 600 : max, i;

	for (i = 0; i < n; i++)
		if (slot(vm, i, GPA + (uint64_t)i * 0x2000, 0x1000, hva, 0)) {
			FAIL("slot %d: errno %d", i, errno);
			break;
		}
	CHECK_ERRNO(slot(vm, max, 0, 0x1000, hva, 0), EINVAL);
	for (i = 0; i < n; i++)
		CHECK_OK(slot(vm, i, 0, 0, NULL, 0));
}

/* Makes a guest whose tables map @va to GPA, for @pages. */
static struct vcpu *start_at(const char *start, const char *end,
			     unsigned int pages, uint64_t value)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt = {
		.vm = v->vm, .mode = M_LONG, .levels = 4, .entry_size = 8
	};
	unsigned int i;

	get_sregs(v, &s);
	pt.root = s.cr3;
	for (i = 0; i < pages; i++)
		pt_map(&pt, GPA + i * 0x1000, GPA + i * 0x1000, 1,
		       PTE_W | PTE_A | PTE_D);
	get_regs(v, &r);
	r.rbx = GPA;
	r.rcx = pages;
	r.rbp = value;
	set_regs(v, &r);
	return v;
}

static void seen_by_guest(long unused)
{
	struct vcpu *v = start_at(pl_touch, pl_touch_end, 4, 0x1234);
	uint64_t *mem = ram_alloc(SIZE);
	struct kvm_run *run = v->run;
	unsigned int i;

	/* No slot: MMIO. */
	for (i = 0; i < 4; i++) {
		EXPECT(v, STOP_MMIO);
		CHECK_EQ(run->mmio.phys_addr, GPA + i * 0x1000);
		CHECK_EQ(run->mmio.len, 8);
	}
	EXPECT(v, STOP_SYNC);
	/* With a slot it is RAM, and the earlier MMIO is not remembered. */
	vm_slot(v->vm, 1, GPA, 0x4000, mem, 0);
	EXPECT(v, STOP_SYNC);
	for (i = 0; i < 4; i++)
		CHECK_EQ(mem[i * 512], 0x1234);
	/* Moved by a page: the first page is MMIO, the memory one further. */
	memset(mem, 0, SIZE);
	vm_slot(v->vm, 1, GPA + 0x1000, 0x4000, mem, 0);
	EXPECT(v, STOP_MMIO);
	CHECK_EQ(run->mmio.phys_addr, GPA);
	EXPECT(v, STOP_SYNC);
	for (i = 0; i < 4; i++)
		CHECK_EQ(mem[i * 512], i < 3 ? 0x1234 : 0);
	/* Deleted: all MMIO again. */
	vm_slot(v->vm, 1, 0, 0, NULL, 0);
	memset(mem, 0, SIZE);
	for (i = 0; i < 4; i++)
		EXPECT(v, STOP_MMIO);
	EXPECT(v, STOP_SYNC);
	for (i = 0; i < 4; i++)
		CHECK_EQ(mem[i * 512], 0);
}

/* Reads are reads, writes are MMIO, and the memory keeps its content. */
static void readonly(long unused)
{
	struct vcpu *v = start_at(pl_touch, pl_touch_end, 2, 0x99);
	struct vcpu *r;
	uint64_t *mem = ram_alloc(SIZE);

	if (ioctl(v->vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0) {
		/* Not advertised, so the flag must be refused. */
		CHECK_ERRNO(slot(v->vm, 1, GPA, SIZE, mem, KVM_MEM_READONLY),
			    EINVAL);
		return;
	}
	mem[0] = 40;
	mem[512] = 2;
	vm_slot(v->vm, 1, GPA, SIZE, mem, KVM_MEM_READONLY);
	EXPECT(v, STOP_MMIO);
	CHECK_EQ(v->run->mmio.phys_addr, GPA);
	CHECK(v->run->mmio.is_write);
	CHECK_EQ(mem[0], 40);
	EXPECT(v, STOP_MMIO);
	EXPECT(v, STOP_SYNC);
	r = start_at(pl_sum, pl_sum_end, 2, 0);
	vm_slot(r->vm, 1, GPA, SIZE, mem, KVM_MEM_READONLY);
	EXPECT(r, STOP_SYNC);
	CHECK_EQ(r->val[0], 42);
}

/*
 * KVM_RUN reports a hole in the host's memory by errno, and the VMM can fill
 * it.
 */
static void host_hole(long unused)
{
	struct vcpu *v = start_at(pl_touch, pl_touch_end, 2, 0x77);
	uint64_t *mem = ram_alloc(SIZE);

	vm_slot(v->vm, 1, GPA, SIZE, mem, 0);
	EXPECT(v, STOP_SYNC);
	munmap((char *)mem + 0x1000, 0x1000);
	EXPECT(v, STOP_ERRNO);
	CHECK_EQ(errno, EFAULT);
	if (mmap((char *)mem + 0x1000, 0x1000, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	CHECK_EQ(mem[512], 0);
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(mem[512], 0x77);
}

static volatile bool stop_threads;
static volatile unsigned long changes;

static void *flip_slots(void *arg)
{
	struct vm *vm = arg;
	char *mem = ram_alloc(SIZE);

	while (!stop_threads) {
		slot(vm, 1, GPA, SIZE, mem,
		     changes & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0);
		if (changes % 3 == 0)
			slot(vm, 1, GPA + 0x1000, SIZE, mem, 0);
		slot(vm, 1, 0, 0, NULL, 0);
		changes++;
	}
	return NULL;
}

static void *harvest(void *arg)
{
	struct vm *vm = arg;
	uint64_t bitmap[SIZE / 0x1000 / 64 + 1];
	unsigned long n = 0;

	while (!stop_threads) {
		struct kvm_dirty_log log = {
			.slot = 1,
			.dirty_bitmap = bitmap,
		};

		if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) && errno != ENOENT)
			FAIL("KVM_GET_DIRTY_LOG: errno %d", errno);
		n++;
	}
	return (void *)n;
}

/* A slot comes, moves and goes in one thread while a guest writes to it. */
static void under_load(long unused)
{
	struct vcpu *v = start_at(pl_touch, pl_touch_end, 16, 0x55);
	unsigned int passes = 0, mmio = 0;
	struct timespec now, end;
	pthread_t a, b;
	void *harvests;

	pthread_create(&a, NULL, flip_slots, v->vm);
	pthread_create(&b, NULL, harvest, v->vm);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 2;
	do {
		enum stop stop = vcpu_go(v);

		if (stop == STOP_SYNC)
			passes++;
		else if (stop == STOP_MMIO)
			mmio++;
		else if (stop != STOP_ERRNO || errno != EFAULT) {
			FAIL("stopped by %s errno %d", stop_name[stop], errno);
			vcpu_describe(v);
			break;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || !passes || changes < 10);
	stop_threads = true;
	pthread_join(a, NULL);
	pthread_join(b, &harvests);
	test_note("%u passes, %u MMIO, %lu slot changes, %lu harvests", passes,
		  mmio, changes, (unsigned long)harvests);
}

/* Returns the number behind @key in a file of /proc. */
static uint64_t proc_number(const char *file, const char *key)
{
	char line[128], name[64];
	uint64_t n, found = ~0ull;
	FILE *f = fopen(file, "r");

	if (!f)
		ERROR("%s: %s", file, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %" SCNu64, name, &n) == 2 &&
		    !strcmp(name, key))
			found = n;
	fclose(f);
	if (found == ~0ull)
		ERROR("%s has no %s", file, key);
	return found;
}

#define MAX_SLOT (((1ull << 31) - 1) * 0x1000)

/*
 * A slot costs 1/512 of its size. A slot that costs twice the host's memory is
 * refused, and the OOM killer does not run.
 */
static void beyond_the_host(long flags)
{
	uint64_t total = proc_number("/proc/meminfo", "MemTotal:") << 10;
	uint64_t size = total * 1024, killed, before, after;
	struct vm *vm = setup();
	void *huge;

	if (ioctl(vm->dev, VIGIL_GET_VERSION, 0) < 0)
		SKIP("what /dev/kvm spends on a slot is its own affair");
	if (size > MAX_SLOT)
		SKIP("the host can afford the largest slot there is");
	huge = mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (huge == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	killed = proc_number("/proc/vmstat", "oom_kill");
	before = proc_number("/proc/meminfo", "MemAvailable:");
	for (int i = 0; i < 3; i++)
		CHECK_ERRNO(slot(vm, 1, 1ull << 44, size, huge, flags), ENOMEM);
	after = proc_number("/proc/meminfo", "MemAvailable:");
	CHECK_EQ(proc_number("/proc/vmstat", "oom_kill"), killed);
	test_note("%" PRIu64 " kB available before, %" PRIu64 " after", before,
		  after);
	/* No memory of it is kept. */
	CHECK(after + (total >> 13) >= before);
	/*
	 * An ordinary slot can be made in the same place and be changed later.
	 */
	CHECK_OK(slot(vm, 1, 1ull << 44, SIZE, hva, flags));
	CHECK_OK(slot(vm, 1, 1ull << 45, SIZE, hva, flags));
	CHECK_OK(slot(vm, 1, 0, 0, NULL, 0));
	munmap(huge, size);
}

/*
 * A slot whose cost is an eighth of the host's free memory can be made, also
 * twice.
 */
static void large(long unused)
{
	uint64_t avail = proc_number("/proc/meminfo", "MemAvailable:") << 10;
	uint64_t size = (avail / 8 * 512) & ~0x1fffffull;
	struct vm *vm = setup();

	if (ioctl(vm->dev, VIGIL_GET_VERSION, 0) < 0)
		SKIP("what /dev/kvm spends on a slot is its own affair");
	if (size > MAX_SLOT)
		size = MAX_SLOT;
	for (int i = 0; i < 2; i++) {
		CHECK_OK(slot(vm, 1, 1ull << 44, size, (void *)0x100000, 0));
		CHECK_OK(slot(vm, 1, 0, 0, NULL, 0));
	}
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

/* Makes a slot in this process and writes a byte to @tell; never returns. */
static void make_slot(uint64_t size, int tell)
{
	struct vm *vm = vm_create_bare();

	if (slot(vm, 1, 1ull << 44, size, (void *)0x100000, 0) ||
	    write(tell, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * Kills a process when it has allocated an eighth of what its slot costs. Returns
 * the time until it was gone, or 0 when the slot was there before.
 */
static uint64_t kill_within(uint64_t size)
{
	uint64_t first = proc_number("/proc/meminfo", "MemFree:"), start, end;
	struct pollfd p = { .events = POLLIN };
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		ERROR("pipe: errno %d", errno);
	p.fd = fds[0];
	pid = fork();
	if (!pid)
		make_slot(size, fds[1]);
	close(fds[1]);
	while (proc_number("/proc/meminfo", "MemFree:") + (size >> 22) >
		       first &&
	       !poll(&p, 1, 0))
		;
	start = now_us();
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	end = now_us();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/*
	 * The process writes a byte once the slot exists; otherwise read()
	 * returns 0.
	 */
	if (read(fds[0], &status, 1) == 1)
		end = start;
	close(fds[0]);
	return end - start;
}

/*
 * A process that is killed while it makes a large slot ends at once, and its
 * memory is freed.
 */
static void killed(long unused)
{
	uint64_t avail = proc_number("/proc/meminfo", "MemAvailable:");
	uint64_t size = ((avail << 10) / 4 * 512) & ~0x1fffffull;
	uint64_t whole, took, best = ~0ull, after;
	struct vm *vm = setup();

	if (ioctl(vm->dev, VIGIL_GET_VERSION, 0) < 0)
		SKIP("what /dev/kvm spends on a slot is its own affair");
	if (size > MAX_SLOT)
		size = MAX_SLOT;
	whole = now_us();
	CHECK_OK(slot(vm, 1, 1ull << 44, size, (void *)0x100000, 0));
	whole = now_us() - whole;
	CHECK_OK(slot(vm, 1, 0, 0, NULL, 0));
	vm_destroy(vm);
	/*
	 * Seven eighths of the work are left at the kill: less than half the
	 * time shows that they were not done.
	 */
	for (int round = 0; round < 20 && best >= whole / 2; round++) {
		took = kill_within(size);
		if (took && took < best)
			best = took;
	}
	test_note("a slot takes %" PRIu64 " us, the end of its maker %" PRIu64,
		  whole, best);
	CHECK(best < whole / 2);
	for (int round = 0; round < 8; round++)
		kill_within(size);
	after = proc_number("/proc/meminfo", "MemAvailable:");
	test_note("%" PRIu64 " kB available before, %" PRIu64 " after", avail,
		  after);
	/*
	 * Nine rounds with a leak would lose an eighth of a slot's cost each,
	 * or more.
	 */
	CHECK(after + (size >> 20) >= avail);
}

/* Many threads call KVM_CREATE_VCPU with the same id: one of them succeeds. */
static int race_fd;
static unsigned int winners;

static void *create_vcpu_race(void *unused)
{
	int fd = ioctl(race_fd, KVM_CREATE_VCPU, 3);

	if (fd >= 0)
		__atomic_add_fetch(&winners, 1, __ATOMIC_RELAXED);
	else if (errno != EEXIST)
		FAIL("KVM_CREATE_VCPU: errno %d", errno);
	return NULL;
}

static void vcpu_race(long unused)
{
	unsigned int round, i;

	for (round = 0; round < 20; round++) {
		struct vm *vm = vm_create_bare();
		pthread_t t[4];

		race_fd = vm->fd;
		winners = 0;
		for (i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, create_vcpu_race, NULL);
		for (i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		CHECK_EQ(winners, 1);
		vm_destroy(vm);
	}
}

static const struct test_case cases[] = {
	{ "arguments", arguments },
	{ "semantics", semantics },
	{ "as many as NR_MEMSLOTS says", as_many_as_promised },
	{ "seen by a guest", seen_by_guest },
	{ "read-only", readonly },
	{ "hole in the host's memory", host_hole },
	{ "changes under load", under_load },
	{ "larger than the host can afford", beyond_the_host, 0 },
	{ "larger than the host can afford, logged", beyond_the_host,
	  KVM_MEM_LOG_DIRTY_PAGES },
	{ "as large as the host can afford", large },
	{ "killed while a large slot is made", killed },
	{ "one vCPU id, many threads", vcpu_race },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
