// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's memory is the VMM's memory: what the host does to it (unmap,
 * protect, discard, fork, merge, move, swap out) holds for running vCPUs at
 * once, and nothing is pinned.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(touch);
DECLARE_PAYLOAD(sum);
DECLARE_PAYLOAD(pound);

#define GPA 0x40000000ull
#define PAGES 512u /* one host huge page */
#define SIZE (PAGES * 0x1000ul)
#define LOAD_MS 1200
#define PATIENCE_MS 10000 /* for a host that is slow to move or swap pages */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static uint8_t *mem; /* slot 1 */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* Nothing of this process may be pinned or locked. */
static void check_no_pin(void)
{
	char line[200];
	unsigned long kb;
	FILE *f = fopen("/proc/self/status", "r");
	unsigned int seen = 0;

	if (!f)
		ERROR("/proc/self/status: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmPin: %lu", &kb) == 1 ||
		    sscanf(line, "VmLck: %lu", &kb) == 1) {
			seen++;
			CHECK_EQ(kb, 0);
		}
	}
	fclose(f);
	CHECK_EQ(seen, 2);
}

/* A 64-bit guest with RBX, RCX, RBP as the payloads of guest/mem.S want. */
static struct vcpu *start(const char *start, const char *end,
			  unsigned int pages, uint64_t rbp, int map_flags,
			  int fd)
{
	struct vcpu *v = guest_start(M_LONG, start, end);
	struct pt pt = {
		.vm = v->vm, .mode = M_LONG, .levels = 4, .entry_size = 8
	};
	uintptr_t at;
	struct kvm_sregs s;
	struct kvm_regs r;
	unsigned int i;

	/* The memory is aligned, so that the host may use a huge page. */
	at = (uintptr_t)ram_alloc(SIZE * 2);
	at = (at + SIZE - 1) & ~(SIZE - 1);
	mem = mmap((void *)at, SIZE, PROT_READ | PROT_WRITE,
		   map_flags | MAP_FIXED, fd, 0);
	if (mem == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	vm_slot(v->vm, 1, GPA, SIZE, mem, 0);
	get_sregs(v, &s);
	pt.root = s.cr3;
	for (i = 0; i < PAGES; i++)
		pt_map(&pt, GPA + i * 0x1000, GPA + i * 0x1000, 1,
		       PTE_W | PTE_A | PTE_D);
	get_regs(v, &r);
	r.rbx = GPA;
	r.rcx = pages;
	r.rbp = rbp;
	set_regs(v, &r);
	return v;
}

#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static uint64_t page_val(unsigned int page)
{
	return *(volatile uint64_t *)(mem + page * 0x1000ul);
}

static void set_page(unsigned int page, uint64_t val)
{
	*(volatile uint64_t *)(mem + page * 0x1000ul) = val;
}

/* Discarded pages read as zeroes in the guest, and writes go to new ones. */
static void discard(long unused)
{
	struct vcpu *r = start(pl_sum, pl_sum_end, 4, 0, PRIVATE, -1), *w;
	unsigned int i;

	for (i = 0; i < 4; i++)
		set_page(i, 10 + i);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[0], 46);
	madvise(mem, 0x2000, MADV_DONTNEED);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[1], 25);
	/* Another page is mapped at the same address. */
	if (mmap(mem + 0x2000, 0x1000, PROT_READ | PROT_WRITE,
		 PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	set_page(2, 100);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[2], 113);
	/* The guest sees the VMM's stores, too. */
	set_page(3, 1);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[3], 101);
	check_no_pin();

	w = start(pl_touch, pl_touch_end, 4, 7, PRIVATE, -1);
	for (i = 0; i < 20; i++) {
		madvise(mem, 0x4000, MADV_DONTNEED);
		CHECK_MEM_EQ(page_val(2), 0);
		EXPECT(w, STOP_SYNC);
		CHECK_MEM_EQ(page_val(0), 7);
		CHECK_MEM_EQ(page_val(3), 7);
	}
	/* A page that is only read must stay the zero page. */
	check_no_pin();
}

/*
 * mremap() moves the pages away: the guest sees what is at the slot's address
 * now.
 */
static void moved_away(long unused)
{
	struct vcpu *r = start(pl_sum, pl_sum_end, 1, 0, PRIVATE, -1);
	uint8_t *other = ram_alloc(0x1000);

	set_page(0, 5);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[0], 5);
	*(uint64_t *)other = 77;
	if (mremap(other, 0x1000, 0x1000, MREMAP_MAYMOVE | MREMAP_FIXED, mem) ==
	    MAP_FAILED)
		ERROR("mremap: %s", strerror(errno));
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[1], 77);
	munmap(mem, 0x1000);
	EXPECT(r, STOP_ERRNO);
	CHECK_EQ(errno, EFAULT);
}

/*
 * With mprotect() a page becomes read-only: the guest can read it, and a write
 * goes to the VMM as an error.
 */
static void protect(long unused)
{
	struct vcpu *w = start(pl_touch, pl_touch_end, 2, 9, PRIVATE, -1);

	set_page(0, 1);
	EXPECT(w, STOP_SYNC);
	CHECK_MEM_EQ(page_val(0), 9);
	set_page(0, 1);
	mprotect(mem, 0x1000, PROT_READ);
	EXPECT(w, STOP_ERRNO);
	CHECK_EQ(errno, EFAULT);
	CHECK_MEM_EQ(page_val(0), 1);
	mprotect(mem, 0x1000, PROT_READ | PROT_WRITE);
	EXPECT(w, STOP_SYNC);
	CHECK_MEM_EQ(page_val(0), 9);
	mprotect(mem, 0x1000, PROT_NONE);
	EXPECT(w, STOP_ERRNO);
	mprotect(mem, 0x1000, PROT_READ | PROT_WRITE);
	EXPECT(w, STOP_SYNC);
}

/*
 * The slot's memory is a file, in which holes are punched and whose end is cut
 * off.
 */
static void file_backed(long unused)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	struct vcpu *r;

	if (fd < 0 || ftruncate(fd, SIZE))
		ERROR("memfd: %s", strerror(errno));
	r = start(pl_sum, pl_sum_end, 3, 0, MAP_SHARED, fd);
	set_page(0, 1);
	set_page(1, 20);
	set_page(2, 300);
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[0], 321);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0x1000,
		      0x1000))
		ERROR("fallocate: %s", strerror(errno));
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[1], 301);
	if (ftruncate(fd, 0x2000))
		ERROR("ftruncate: %s", strerror(errno));
	EXPECT(r, STOP_ERRNO);
	CHECK(errno == EFAULT || errno == EHWPOISON);
	if (ftruncate(fd, SIZE))
		ERROR("ftruncate: %s", strerror(errno));
	EXPECT(r, STOP_SYNC);
	CHECK_MEM_EQ(r->val[2], 1);
	check_no_pin();
}

/* --- under load: the payload "pound" checks that each value is its own --- */

static void *pound_thread(void *arg)
{
	struct vcpu *v = arg;
	enum stop stop;

	/*
	 * Memory that the VMM has taken away for a moment is back at the next
	 * try.
	 */
	while ((stop = vcpu_go(v)) == STOP_ERRNO && errno == EFAULT)
		sched_yield();
	return (void *)(intptr_t)stop;
}

struct load {
	struct vcpu *v;
	pthread_t t;
	unsigned int pages;
};

static void load_start(struct load *l, unsigned int pages)
{
	l->pages = pages;
	l->v = start(pl_pound, pl_pound_end, pages, 0, PRIVATE, -1);
	pthread_create(&l->t, NULL, pound_thread, l->v);
	/* Waits until the guest is at work. */
	while (rd64(l->v->vm, GUEST_DATA + 8) < 3)
		usleep(1000);
}

static void load_stop(struct load *l)
{
	struct vcpu *v = l->v;
	uint64_t passes;
	unsigned int i;
	void *stop;

	wr64(v->vm, GUEST_DATA, 1);
	pthread_join(l->t, &stop);
	if ((intptr_t)stop != STOP_END) {
		FAIL("stopped by %s", stop_name[(intptr_t)stop]);
		vcpu_describe(v);
		return;
	}
	if (v->nr_vals)
		FAIL_MEM("the guest found %#llx at %#llx in pass %llu",
			 (unsigned long long)v->val[0],
			 (unsigned long long)v->val[1],
			 (unsigned long long)v->val[2]);
	passes = rd64(v->vm, GUEST_DATA + 8);
	for (i = 0; i < l->pages && !v->nr_vals; i++)
		if (page_val(i) != passes)
			FAIL_MEM("page %u holds %llu, not %llu", i,
				 (unsigned long long)page_val(i),
				 (unsigned long long)passes);
	test_note("%llu passes", (unsigned long long)passes);
	check_no_pin();
}

static void protect_under_load(long unused)
{
	unsigned int n = 0;
	struct load l;
	uint64_t end;

	load_start(&l, 64);
	end = now_ms() + LOAD_MS;
	while (now_ms() < end || n < 20) {
		mprotect(mem + n % 64 * 0x1000, 0x4000, PROT_READ);
		mprotect(mem + n % 64 * 0x1000, 0x4000, PROT_READ | PROT_WRITE);
		if (n % 16 == 0) {
			/*
			 * This takes all of the slot, and the guest's code,
			 * stack and tables.
			 */
			mprotect(mem, SIZE, PROT_NONE);
			mprotect(mem, SIZE, PROT_READ | PROT_WRITE);
			mprotect(l.v->vm->ram, l.v->vm->ram_size, PROT_READ);
			mprotect(l.v->vm->ram, l.v->vm->ram_size,
				 PROT_READ | PROT_WRITE);
		}
		n++;
	}
	load_stop(&l);
}

/*
 * fork() makes all pages copy-on-write while the guest runs: it goes on with
 * its own, and the child's snapshot stays as it was.
 */
static void fork_under_load(long unused)
{
	unsigned int n = 0;
	struct load l;
	uint64_t end;

	load_start(&l, 64);
	end = now_ms() + LOAD_MS;
	while (now_ms() < end || n < 3) {
		int status;
		pid_t pid = fork();

		if (pid < 0)
			ERROR("fork: %s", strerror(errno));
		if (!pid) {
			uint64_t snap[64], lo, hi;
			unsigned int i;

			for (i = 0; i < 64; i++)
				snap[i] = page_val(i);
			lo = hi = snap[0];
			for (i = 0; i < 64; i++) {
				lo = snap[i] < lo ? snap[i] : lo;
				hi = snap[i] > hi ? snap[i] : hi;
			}
			usleep(20000);
			for (i = 0; i < 64; i++)
				if (page_val(i) != snap[i])
					_exit(1);
			/*
			 * The snapshot is of one moment, so it has parts of at
			 * most two passes.
			 */
			_exit(hi - lo > 1 ? 2 : 0);
		}
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			FAIL_MEM(
				"child %u: status %#x (1: its memory changed, 2: torn)",
				n, status);
		n++;
	}
	load_stop(&l);
}

/* Reads frame numbers, which show that pages have moved. Needs root. */
static unsigned int read_frames(uint64_t *pfn, unsigned int n)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned int i, present = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, pfn, n * 8, (uintptr_t)mem / 0x1000 * 8) !=
	    (ssize_t)n * 8)
		memset(pfn, 0, n * 8);
	close(fd);
	for (i = 0; i < n; i++) {
		/*
		 * The frame number is 0 for a page that is not in memory: bit
		 * 63 says "present".
		 */
		pfn[i] = pfn[i] >> 63 ? pfn[i] & ((1ull << 55) - 1) : 0;
		present += !!pfn[i];
	}
	return present;
}

static unsigned int count_moved(uint64_t *old, uint64_t *new, unsigned int n)
{
	unsigned int i, moved = 0;

	for (i = 0; i < n; i++) {
		moved += old[i] && new[i] && old[i] != new[i];
		old[i] = new[i];
	}
	return moved;
}

static void write_file(const char *path, const char *val)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, val, strlen(val)) < 0)
		DEBUGF("%s: %s", path, strerror(errno));
	close(fd);
}

/*
 * Pages move while the guest writes to them: collapsed into a huge page, split
 * by protection, compacted, and between NUMA nodes where there are two.
 */
static void move_under_load(long unused)
{
	uint64_t end, a[PAGES], b[PAGES];
	unsigned int n = 0, moved = 0;
	void *pages[PAGES];
	int nodes[PAGES], status[PAGES];
	struct load l;
	unsigned int i;

	load_start(&l, PAGES);
	if (!read_frames(a, PAGES)) {
		wr64(l.v->vm, GUEST_DATA, 1);
		pthread_join(l.t, NULL);
		SKIP("frame numbers are hidden: needs root and pagemap");
	}
	end = now_ms() + LOAD_MS * 2;
	while (now_ms() < end || n < 4 ||
	       (!moved && now_ms() < end + PATIENCE_MS)) {
		for (i = 0; i < PAGES; i++) {
			pages[i] = mem + i * 0x1000ul;
			nodes[i] = n & 1;
		}
		syscall(SYS_move_pages, 0, PAGES, pages, nodes, status,
			1 << 1 /* MPOL_MF_MOVE */);
		madvise(mem, SIZE, MADV_HUGEPAGE);
		madvise(mem, SIZE, MADV_COLLAPSE);
		read_frames(b, PAGES);
		moved += count_moved(a, b, PAGES);
		/* Split it again. */
		mprotect(mem + 0x10000, 0x1000, PROT_READ);
		mprotect(mem + 0x10000, 0x1000, PROT_READ | PROT_WRITE);
		madvise(mem, SIZE, MADV_NOHUGEPAGE);
		if (n % 4 == 0)
			write_file("/proc/sys/vm/compact_memory", "1");
		read_frames(b, PAGES);
		moved += count_moved(a, b, PAGES);
		n++;
	}
	load_stop(&l);
	test_note("%u rounds, %u pages moved", n, moved);
	if (!moved)
		SKIP("nothing moves pages here: no THP, compaction or second node");
}

/* KSM merges equal pages; a guest's write must not reach the other one. */
static void merged(long unused)
{
	struct vcpu *w = start(pl_touch, pl_touch_end, 1, 0x4242, PRIVATE, -1);
	uint64_t a[64], end;
	unsigned int i;

	if (access("/sys/kernel/mm/ksm/run", W_OK))
		SKIP("no KSM in this kernel");
	for (i = 0; i < 64; i++) {
		memset(mem + i * 0x1000ul, 0x5a, 0x1000);
		set_page(i, 0x99);
	}
	/* The guest gets a writable mapping of the first page. */
	EXPECT(w, STOP_SYNC);
	set_page(0, 0x99);
	if (madvise(mem, 64 * 0x1000, MADV_MERGEABLE))
		SKIP("no KSM in this kernel");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "5");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_file("/sys/kernel/mm/ksm/run", "1");
	end = now_ms() + PATIENCE_MS * 4;
	do {
		usleep(20000);
		read_frames(a, 64);
	} while ((a[0] != a[1] || !a[0]) && now_ms() < end);
	if (!a[0] || a[0] != a[1]) {
		write_file("/sys/kernel/mm/ksm/run", "2");
		FAIL("pages 0 and 1 were not merged");
		return;
	}
	EXPECT(w, STOP_SYNC);
	CHECK_MEM_EQ(page_val(0), 0x4242);
	for (i = 1; i < 64; i++)
		CHECK_MEM_EQ(page_val(i), 0x99);
	write_file("/sys/kernel/mm/ksm/run", "2");
	check_no_pin();
}

static bool swap_on(const char *dev)
{
	uint8_t page[4096] = { 0 };
	uint32_t *info = (uint32_t *)(page + 1024);
	int fd = open(dev, O_RDWR);
	off_t size;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	info[0] = 1; /* version */
	info[1] = size / 4096 - 1; /* last page */
	memcpy(page + 4086, "SWAPSPACE2", 10);
	if (size < 1 << 20 ||
	    pwrite(fd, page, sizeof(page), 0) != sizeof(page) || fsync(fd)) {
		close(fd);
		return false;
	}
	close(fd);
	return !swapon(dev, 0);
}

static const char *find_swap(void)
{
	FILE *f = fopen("/proc/swaps", "r");
	char line[200];
	unsigned int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	if (lines > 1)
		return "there already";
	/*
	 * The test must not write to a disk of the machine, so it swaps to
	 * memory.
	 */
	if (system("modprobe zram 2>/dev/null || insmod zram.ko 2>/dev/null") <
	    0)
		return NULL;
	write_file("/sys/block/zram0/disksize", "64M");
	if (swap_on("/dev/zram0"))
		return "/dev/zram0";
	if (system("modprobe brd rd_size=32768 2>/dev/null") < 0)
		return NULL;
	if (!access("/sys/block/ram0", F_OK) && swap_on("/dev/ram0"))
		return "/dev/ram0";
	return NULL;
}

static unsigned long pages_swapped_out(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	unsigned long n = 0;
	char line[100];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "pswpout %lu", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static void swap_under_load(long unused)
{
	const char *dev = find_swap();
	unsigned long before, out;
	unsigned int n = 0;
	struct load l;
	uint64_t end;

	if (!dev)
		SKIP("no swap: neither a swap area nor zram nor a RAM disk");
	load_start(&l, 64);
	before = pages_swapped_out();
	end = now_ms() + LOAD_MS;
	do {
		madvise(mem, 64 * 0x1000, MADV_PAGEOUT);
		out = pages_swapped_out() - before;
		n++;
	} while (now_ms() < end || n < 10 ||
		 (out < 64 && now_ms() < end + PATIENCE_MS));
	load_stop(&l);
	test_note("%u rounds, %lu pages swapped out", n, out);
	if (dev[0] == '/')
		swapoff(dev);
	if (!out)
		SKIP("MADV_PAGEOUT swaps nothing out in this kernel");
}

static bool any_page_is(uint64_t val, unsigned int n)
{
	while (n--)
		if (page_val(n) == val)
			return true;
	return false;
}

/* The slot goes away under a running guest, and the memory is freed. */
static void discard_under_load(long unused)
{
	struct vcpu *v = start(pl_touch, pl_touch_end, 64, 3, PRIVATE, -1);
	uint64_t end = now_ms() + LOAD_MS;
	unsigned int n = 0;
	pid_t pid;
	int status;

	/*
	 * A second process discards the memory through its own view of a shared
	 * file.
	 */
	int fd = memfd_create("guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, SIZE))
		ERROR("memfd: %s", strerror(errno));
	if (mmap(mem, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	pid = fork();
	/*
	 * The guest stores at least once between two discards. Without that it makes
	 * no progress where a discard takes no longer than a fault, as on Bochs.
	 */
	while (!pid) {
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  SIZE);
		while (!any_page_is(3, 64))
			sched_yield();
	}
	while (now_ms() < end) {
		EXPECT(v, STOP_SYNC);
		n++;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* Nobody discards any more: the guest must see a whole pass. */
	EXPECT(v, STOP_SYNC);
	EXPECT(v, STOP_SYNC);
	CHECK_MEM_EQ(page_val(0), 3);
	CHECK_MEM_EQ(page_val(63), 3);
	test_note("%u passes", n);
	check_no_pin();
}

static const struct test_case cases[] = {
	{ "discarded and mapped anew", discard },
	{ "moved away by mremap", moved_away },
	{ "protected", protect },
	{ "file with holes", file_backed },
	{ "protected under load", protect_under_load },
	{ "fork under load", fork_under_load },
	{ "pages move under load", move_under_load },
	{ "merged by KSM", merged },
	{ "swapped out under load", swap_under_load },
	{ "discarded by another process under load", discard_under_load },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
