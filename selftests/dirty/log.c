// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_GET_DIRTY_LOG reports exactly the pages that were written since the last
 * harvest, whoever wrote them for the guest, in every paging mode and with many
 * vCPUs.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(dirty32);
DECLARE_PAYLOAD(dirty64);
DECLARE_PAYLOAD(touch);

#define LOG_PAGES 1024 /* the whole RAM of guest_start() */
#define TEST_PAGE (GUEST_HIGH >> 12)

static uint64_t bitmap[LOG_PAGES / 64 + 1];

static void harvest(struct vm *vm, unsigned int slot)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	memset(bitmap, 0xaa, sizeof(bitmap));
	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log))
		ERROR("KVM_GET_DIRTY_LOG: %s", strerror(errno));
	/* ALIGN(npages, 64) / 8 bytes and not one more. */
	CHECK_MEM_EQ(bitmap[LOG_PAGES / 64], 0xaaaaaaaaaaaaaaaaull);
}

static bool is_dirty(unsigned int page)
{
	return bitmap[page / 64] >> (page % 64) & 1;
}

static void set_log(struct vm *vm, bool on)
{
	vm_slot(vm, 0, 0, vm->ram_size, vm->ram,
		on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

/*
 * Checks that the dirty pages from @first on are those of the list. Pages below
 * @first do not matter.
 */
static void expect_pages(unsigned int first, const unsigned int *pages,
			 unsigned int n, const char *when)
{
	unsigned int p, i;

	for (p = first; p < LOG_PAGES; p++) {
		bool want = false;

		for (i = 0; i < n; i++)
			want |= pages[i] == p;
		if (is_dirty(p) != want)
			FAIL_MEM("%s: page %#x is %sdirty", when, p,
				 want ? "not " : "");
	}
}

/*
 * The guest does what EBP says and stops. In its stack and its tables all A and
 * D bits are set, so only the test's pages become dirty.
 */
enum {
	DO_NOTHING,
	DO_READ,
	DO_WRITE,
	DO_STRADDLE,
	DO_RMW,
	DO_STRING,
	DO_PUSH,
	DO_CMPXCHG,
	DO_INS,
	NR_DO
};

static struct vcpu *start(enum mode mode)
{
	bool is64 = mode == M_LONG || mode == M_LA57;
	struct vcpu *v = guest_start(mode, is64 ? pl_dirty64 : pl_dirty32,
				     is64 ? pl_dirty64_end : pl_dirty32_end);

	EXPECT(v, STOP_SYNC);
	return v;
}

static void order(struct vcpu *v, unsigned int what, uint32_t addr)
{
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rbp = what;
	r.rdi = addr;
	set_regs(v, &r);
	if (what == DO_INS) {
		EXPECT(v, STOP_IO);
		memset((uint8_t *)v->run + v->run->io.data_offset, 0x5a,
		       v->run->io.size * v->run->io.count);
	}
	EXPECT(v, STOP_SYNC);
}

static void exact(long mode)
{
	struct vcpu *v = start(mode);
	struct vm *vm = v->vm;
	unsigned int pages[4], i, round;

	set_log(vm, true);
	order(v, DO_NOTHING, 0);
	harvest(vm, 0);
	for (round = 0; round < 3; round++) {
		harvest(vm, 0);
		expect_pages(0, NULL, 0, "nothing written");
		order(v, DO_READ, GUEST_HIGH + 0x3000);
		harvest(vm, 0);
		if (!test_on_kvm()) /* KVM logs pages that are only read */
			expect_pages(0, NULL, 0, "read");
		for (i = DO_WRITE; i < NR_DO; i++) {
			uint32_t at = GUEST_HIGH + i * 0x4000 + 0x100;

			if (i == DO_STRADDLE)
				at += 0xefe; /* the last two bytes */
			order(v, i, at);
			harvest(vm, 0);
			pages[0] = at >> 12;
			pages[1] = (at >> 12) + 1;
			expect_pages(0, pages, i == DO_STRADDLE ? 2 : 1,
				     "written");
			if (test_failures())
				test_note("by way %u in round %u", i, round);
			/* Each page is reported once, and not again. */
			harvest(vm, 0);
			expect_pages(0, NULL, 0, "already harvested");
		}
	}
	/* Many pages are reported in one harvest. */
	for (i = 0; i < 3; i++)
		order(v, DO_WRITE, GUEST_HIGH + (pages[i] = i * 70) * 0x1000);
	for (i = 0; i < 3; i++)
		pages[i] += TEST_PAGE;
	harvest(vm, 0);
	expect_pages(0, pages, 3, "three pages");
	/*
	 * The log is off while pages are written, then on: it does not report
	 * those pages.
	 */
	set_log(vm, false);
	order(v, DO_WRITE, GUEST_HIGH + 0x5000);
	set_log(vm, true);
	harvest(vm, 0);
	expect_pages(TEST_PAGE, NULL, 0, "written while off");
	order(v, DO_WRITE, GUEST_HIGH + 0x5000);
	harvest(vm, 0);
	pages[0] = TEST_PAGE + 5;
	expect_pages(TEST_PAGE, pages, 1, "on again");
}

/* The CPU's own writes: accessed and dirty bits in the guest's tables. */
static void ad_bits(long mode)
{
	struct vcpu *v = start(mode);
	struct vm *vm = v->vm;
	struct kvm_sregs s;
	struct pt pt;
	unsigned int table, level, pages[2];
	uint64_t e;

	vcpu_settle(v);
	pt_init(&pt, vm, mode);
	pt_identity(&pt, 0, GUEST_HIGH, PTE_W | PTE_A | PTE_D);
	/* The page that the guest accesses has a table of its own. */
	pt_map(&pt, GUEST_MMIO, GUEST_HIGH + 0x7000, 1, PTE_W);
	for (level = pt.levels; level > 1; level--)
		if (!(mode == M_PAE && level == 3))
			pt_set(&pt, GUEST_MMIO, level,
			       pt_get(&pt, GUEST_MMIO, level) | PTE_A);
	for (level = pt.levels; level > 1; level--)
		if (!(mode == M_PAE && level == 3))
			pt_set(&pt, 0, level, pt_get(&pt, 0, level) | PTE_A);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	table = pt_entry(&pt, GUEST_MMIO, 1) >> 12;
	order(v, DO_NOTHING, 0);

	set_log(vm, true);
	harvest(vm, 0);
	order(v, DO_READ, GUEST_MMIO);
	harvest(vm, 0);
	e = pt_get(&pt, GUEST_MMIO, 1);
	CHECK_MEM_EQ(e & (PTE_A | PTE_D), PTE_A);
	pages[0] = table;
	if (!test_on_kvm())
		expect_pages(0, pages, 1, "read");
	CHECK_MEM(is_dirty(table));
	harvest(vm, 0);
	order(v, DO_WRITE, GUEST_MMIO);
	harvest(vm, 0);
	e = pt_get(&pt, GUEST_MMIO, 1);
	CHECK_MEM_EQ(e & (PTE_A | PTE_D), PTE_A | PTE_D);
	pages[1] = TEST_PAGE + 7;
	expect_pages(0, pages, 2, "written");
	/* Both bits are set by now, so only the page itself becomes dirty. */
	order(v, DO_WRITE, GUEST_MMIO);
	harvest(vm, 0);
	expect_pages(0, pages + 1, 1, "written again");
}

/* A guest's large page: its 4 KiB parts are logged one by one. */
static void large_page(long mode)
{
	struct vcpu *v = start(mode);
	struct vm *vm = v->vm;
	unsigned int pages[3], i;
	struct kvm_sregs s;
	struct pt pt;

	vcpu_settle(v);
	pt_init(&pt, vm, mode);
	pt_identity(&pt, 0, GUEST_HIGH, PTE_W | PTE_A | PTE_D);
	if (mode == M_PSE) /* 4 MiB: all of RAM */
		pt_map(&pt, 0xc0000000, 0, 2, PTE_W | PTE_A | PTE_D);
	else
		pt_map(&pt, 0xc0000000, GUEST_HIGH, 2, PTE_W | PTE_A | PTE_D);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	if (mode == M_PSE)
		s.cr4 |= CR4_PSE;
	set_sregs(v, &s);
	/*
	 * The guest writes before the log is on, so the page may be mapped
	 * large.
	 */
	for (i = 0; i < 0x200; i += 16)
		order(v, DO_WRITE,
		      0xc0000000 + i * 0x1000 +
			      (mode == M_PSE ? GUEST_HIGH : 0));
	set_log(vm, true);
	harvest(vm, 0);
	for (i = 0; i < 3; i++) {
		pages[i] = TEST_PAGE + 0x33 * (i + 1);
		order(v, DO_WRITE,
		      0xc0000000 + pages[i] * 0x1000 -
			      (mode == M_PSE ? 0 : GUEST_HIGH));
	}
	harvest(vm, 0);
	expect_pages(TEST_PAGE, pages, 3, "large page");
	order(v, DO_WRITE,
	      0xc0000000 + pages[1] * 0x1000 -
		      (mode == M_PSE ? 0 : GUEST_HIGH));
	harvest(vm, 0);
	expect_pages(TEST_PAGE, pages + 1, 1, "large page, again");
}

static void arguments(long unused)
{
	struct vm *vm = vm_create(4 << 20);
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bitmap };

	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	set_log(vm, true);
	CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	log.slot = 5;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	log.slot = 30000;
	CHECK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) == -1);
	CHECK(errno == EINVAL || errno == ENOENT);
	log.slot = 7 << 16;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EINVAL);
	log.slot = 0;
	log.dirty_bitmap = (void *)0xffff888000000000;
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EFAULT);
	log.dirty_bitmap = bitmap;
	set_log(vm, false);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENOENT);
	/* A slot of 65 pages needs two words. */
	vm_slot(vm, 3, 1 << 30, 65 * 0x1000, ram_alloc(65 * 0x1000),
		KVM_MEM_LOG_DIRTY_PAGES);
	memset(bitmap, 0xaa, sizeof(bitmap));
	log.slot = 3;
	CHECK_OK(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	CHECK_MEM_EQ(bitmap[0], 0);
	CHECK_MEM_EQ(bitmap[1], 0);
	CHECK_MEM_EQ(bitmap[2], 0xaaaaaaaaaaaaaaaaull);
}

/*
 * Pages that are not reported yet stay dirty after a failed call, and when the
 * slot moves.
 */
static void not_lost(long unused)
{
	struct vcpu *v = start(M_PROT32);
	struct vm *vm = v->vm;
	struct kvm_dirty_log log = { .dirty_bitmap = (void *)8 };
	unsigned int pages[2] = { TEST_PAGE + 5, TEST_PAGE + 9 };

	set_log(vm, true);
	harvest(vm, 0);
	order(v, DO_WRITE, GUEST_HIGH + 0x5000);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EFAULT);
	if (!test_on_kvm()) { /* KVM forgets these pages */
		harvest(vm, 0);
		expect_pages(TEST_PAGE, pages, 1, "after a failed call");
	}
	order(v, DO_WRITE, GUEST_HIGH + 0x5000);
	order(v, DO_WRITE, GUEST_HIGH + 0x9000);
	vm_slot(vm, 0, 1 << 30, vm->ram_size, vm->ram, KVM_MEM_LOG_DIRTY_PAGES);
	set_log(vm, true);
	harvest(vm, 0);
	expect_pages(TEST_PAGE, pages, 2, "after a move");
	order(v, DO_WRITE, GUEST_HIGH + 0x5000);
	harvest(vm, 0);
	expect_pages(TEST_PAGE, pages, 1, "after the harvest of that");
}

/*
 * A 32-bit program calls KVM_GET_DIRTY_LOG: it sets only the lower half of the
 * union with the pointer.
 */
static void compat(long unused)
{
	struct vm *vm = vm_create(4 << 20);
	struct kvm_dirty_log *log;
	long ret;

	set_log(vm, true);
	log = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (log == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	log->padding2 = 0xdead00000000 | ((uintptr_t)log + 0x1000);
	/* ioctl() has number 54 in 32-bit kernels. */
	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54l), "b"((long)vm->fd),
		       "c"((unsigned int)KVM_GET_DIRTY_LOG), "d"(log)
		     : "memory", "r8", "r9", "r10", "r11");
	CHECK_EQ(ret, 0);
}

#define SMP_PAGES 64
#define SMP_CPUS 3

static volatile bool stop_smp;

/* Writes 1, 2, 3... into every page; a pass is whole before the next begins. */
static void *smp_vcpu(void *arg)
{
	struct vcpu *v = arg;
	struct kvm_regs r;

	while (!stop_smp) {
		EXPECT(v, STOP_SYNC);
		vcpu_settle(v);
		get_regs(v, &r);
		r.rbp++;
		set_regs(v, &r);
	}
	return NULL;
}

/*
 * A small migration copies the pages that harvests report; in the end the copy
 * must equal the memory. A lost dirty bit shows as a page that is old in the
 * copy.
 */
static void smp_migration(long unused)
{
	struct vcpu *first = guest_start(M_LONG, pl_touch, pl_touch_end);
	struct vm *vm = first->vm;
	uint8_t *copy = ram_alloc(vm->ram_size);
	pthread_t t[SMP_CPUS];
	unsigned int i, p, round, copied = 0;

	for (i = 0; i < SMP_CPUS; i++) {
		struct vcpu *v = i ? vcpu_create(vm) : first;
		struct kvm_sregs s;
		struct kvm_regs r;

		if (i) {
			get_sregs(first, &s);
			set_sregs(v, &s);
			v->mode = M_LONG;
		}
		get_regs(first, &r);
		/* Overlapping ranges: the last two thirds are shared. */
		r.rbx = GUEST_HIGH + i * 0x8000;
		r.rcx = SMP_PAGES;
		r.rbp = 1 + (uint64_t)i * 1000000000;
		set_regs(v, &r);
	}
	set_log(vm, true);
	memcpy(copy, vm->ram, vm->ram_size);
	for (i = 0; i < SMP_CPUS; i++)
		pthread_create(&t[i], NULL, smp_vcpu, vm->vcpu[i]);
	for (round = 0; round < 60 || copied <= SMP_PAGES; round++) {
		harvest(vm, 0);
		for (p = 0; p < LOG_PAGES; p++)
			if (is_dirty(p)) {
				memcpy(copy + p * 0x1000, vm->ram + p * 0x1000,
				       0x1000);
				copied++;
			}
		usleep(5000);
	}
	stop_smp = true;
	for (i = 0; i < SMP_CPUS; i++)
		pthread_join(t[i], NULL);
	harvest(vm, 0);
	for (p = 0; p < LOG_PAGES; p++)
		if (is_dirty(p))
			memcpy(copy + p * 0x1000, vm->ram + p * 0x1000, 0x1000);
	for (p = 0; p < LOG_PAGES; p++)
		if (memcmp(copy + p * 0x1000, vm->ram + p * 0x1000, 0x1000))
			FAIL_MEM("page %#x is old in the copy", p);
	test_note("%u pages copied", copied);
}

static const struct test_case cases[] = {
	{ "arguments", arguments },
	{ "not lost by a failed call or a move", not_lost },
	{ "a 32-bit VMM", compat },
	CASE_PROT("exactly what was written", exact),
	{ "A and D bits (32-bit paging)", ad_bits, M_PG32 },
	{ "A and D bits (pae)", ad_bits, M_PAE },
	{ "A and D bits (long)", ad_bits, M_LONG },
	{ "A and D bits (la57)", ad_bits, M_LA57 },
	{ "large page (pse)", large_page, M_PSE },
	{ "large page (pae)", large_page, M_PAE },
	{ "large page (long)", large_page, M_LONG },
	{ "migration while three vCPUs write", smp_migration },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
