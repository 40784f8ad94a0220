// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the VMM that two slots have: what the guest writes at one address, it
 * reads at the other. A watch and the dirty log know of it at both.
 */
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "mon.h"

DECLARE_PAYLOAD(exact_mov);
DECLARE_PAYLOAD(exact_remap);
DECLARE_PAYLOAD(exact_tables);

#define ALIAS GUEST_MMIO /* paged guests have it mapped; the slot comes later */
#define ALIAS_PAGES 2u
#define OFFSET 0x100u
#define SLOT 1
#define OLD 0x1111

/* The argument of a case: a mode, and whether the other slot is another mapping. */
#define BY_FILE 0x100

/* The guest's memory once more in this process, or NULL. */
static uint8_t *second;

/* Puts the guest's memory into a file, and maps that twice. */
static void map_twice(struct vm *vm)
{
	int fd = memfd_create("ram", 0);

	if (fd < 0 || ftruncate(fd, vm->ram_size))
		ERROR("memfd: %s", strerror(errno));
	second = mmap(NULL, vm->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (second == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	memcpy(second, vm->ram, vm->ram_size);
	vm_slot(vm, 0, 0, 0, NULL, 0);
	if (mmap(vm->ram, vm->ram_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) != vm->ram)
		ERROR("mmap: %s", strerror(errno));
	vm_slot(vm, 0, 0, vm->ram_size, vm->ram, 0);
	close(fd);
}

/* The memory of the other slot. */
static void *memory(struct vcpu *v, uint64_t gpa, size_t bytes)
{
	void *ram = vm_ram(v->vm, gpa, bytes);

	return second ? second + gpa : ram;
}

/* The guest has the pages from PAGE on also at ALIAS. */
static void share(struct vcpu *v, uint32_t flags)
{
	vm_slot(v->vm, SLOT, ALIAS, ALIAS_PAGES * 0x1000,
		memory(v, PAGE, ALIAS_PAGES * 0x1000), flags);
}

static void unshare(struct vcpu *v)
{
	vm_slot(v->vm, SLOT, 0, 0, NULL, 0);
}

static struct vcpu *start(long arg)
{
	enum mode m = arg & ~BY_FILE;
	struct vcpu *v;

	second = NULL;
	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START(m, exact_mov);
	if (arg & BY_FILE)
		map_twice(v->vm);
	wr64(v->vm, PAGE + OFFSET, OLD);
	return v;
}

/* The guest stores @val at @gpa. */
static void store(struct vcpu *v, uint64_t gpa, uint32_t val)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rip = mode_entry(v->mode);
	r.rdi = gpa;
	r.rcx = 1;
	r.rax = val;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
}

static void expect_denied(struct vcpu *v, int mon, uint64_t gpa)
{
	struct vigil_event ev = mon_event(mon);

	CHECK_EQ(ev.gpa, gpa);
	CHECK_EQ(ev.flags & VIGIL_EVENT_DENIED, VIGIL_EVENT_DENIED);
	CHECK_EQ(bytes64(ev.old) & ~0u, OLD);
	CHECK_EQ(rd32(v->vm, PAGE + OFFSET), OLD);
	CHECK_NO_EVENT(mon);
}

/* Both slots are there when the watch comes, and their pages are writable. */
static void watched(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);
	uint32_t id;

	share(v, 0);
	store(v, PAGE + OFFSET, OLD);
	store(v, ALIAS + OFFSET, OLD);
	id = mon_watch(mon, PAGE + OFFSET, 4, VIGIL_ACTION_DENY);
	store(v, ALIAS + OFFSET, 0x2222);
	expect_denied(v, mon, ALIAS + OFFSET);
	store(v, PAGE + OFFSET, 0x2222);
	expect_denied(v, mon, PAGE + OFFSET);
	/* Bytes beside the watched ones are stored through both. */
	store(v, ALIAS + OFFSET + 4, 0x3333);
	CHECK_EQ(rd32(v->vm, PAGE + OFFSET + 4), 0x3333);
	CHECK_NO_EVENT(mon);
	mon_del(mon, id);
	mon_watch(mon, ALIAS + OFFSET, 4, VIGIL_ACTION_DENY);
	store(v, PAGE + OFFSET, 0x2222);
	expect_denied(v, mon, PAGE + OFFSET);
	close(mon);
	store(v, PAGE + OFFSET, 0x2222);
	CHECK_EQ(rd32(v->vm, PAGE + OFFSET), 0x2222);
	vm_destroy(v->vm);
}

/* The slot comes, moves and goes while its memory is watched. */
static void slot_later(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);

	store(v, PAGE + OFFSET, OLD);
	mon_watch(mon, ALIAS + OFFSET, 4, VIGIL_ACTION_DENY);
	store(v, PAGE + OFFSET, OLD);
	CHECK_NO_EVENT(mon);
	share(v, 0);
	store(v, PAGE + OFFSET, 0x2222);
	expect_denied(v, mon, PAGE + OFFSET);
	/* Its first page is now PAGE's, and its second the watched one. */
	vm_slot(v->vm, SLOT, ALIAS - 0x1000, ALIAS_PAGES * 0x1000,
		memory(v, PAGE, ALIAS_PAGES * 0x1000), 0);
	store(v, PAGE + OFFSET, OLD);
	CHECK_NO_EVENT(mon);
	wr32(v->vm, PAGE + 0x1000 + OFFSET, OLD);
	store(v, PAGE + 0x1000 + OFFSET, 0x2222);
	expect_denied(v, mon, PAGE + 0x1000 + OFFSET);
	unshare(v);
	store(v, PAGE + 0x1000 + OFFSET, 0x2222);
	CHECK_EQ(rd32(v->vm, PAGE + 0x1000 + OFFSET), 0x2222);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* Returns the first word of the slot's dirty log, and clears the log. */
static uint64_t harvest(struct vcpu *v, unsigned int slot)
{
	uint64_t bits[16] = { 0 };
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bits };

	CHECK(v->vm->ram_size / 0x1000 <= sizeof(bits) * 8);
	if (ioctl(v->vm->fd, KVM_GET_DIRTY_LOG, &log))
		ERROR("KVM_GET_DIRTY_LOG: errno %d", errno);
	return bits[slot == SLOT ? 0 : PAGE / 0x1000 / 64] >>
	       (slot == SLOT ? 0 : PAGE / 0x1000 % 64);
}

/* A store is in the log of the other slot, and again after each harvest. */
static void logged(long m)
{
	struct vcpu *v = start(m);
	size_t size = v->vm->ram_size;

	/* Nothing but vigil tells a log of stores through another slot. */
	close(mon_open(v->vm));
	share(v, 0);
	store(v, PAGE + OFFSET, 1);
	store(v, ALIAS + OFFSET, 1);
	share(v, KVM_MEM_LOG_DIRTY_PAGES);
	CHECK_EQ(harvest(v, SLOT), 0);
	for (unsigned int i = 0; i < 2; i++) {
		store(v, PAGE + OFFSET, i);
		CHECK_EQ(harvest(v, SLOT), 1);
		store(v, PAGE + 0x1000 + OFFSET, i);
		CHECK_EQ(harvest(v, SLOT), 2);
		store(v, ALIAS + OFFSET, i);
		CHECK_EQ(harvest(v, SLOT), 1);
	}
	/* Both log: each has its own bit. */
	vm_slot(v->vm, 0, 0, size, v->vm->ram, KVM_MEM_LOG_DIRTY_PAGES);
	for (unsigned int i = 0; i < 2; i++) {
		store(v, ALIAS + OFFSET, i);
		CHECK_EQ(harvest(v, SLOT), 1);
		store(v, ALIAS + OFFSET, i);
		CHECK_EQ(harvest(v, 0) & 3, 1);
		CHECK_EQ(harvest(v, SLOT), 1);
		CHECK_EQ(harvest(v, 0) & 3, 0);
	}
	/* Without the other slot there is nothing to tell. */
	unshare(v);
	store(v, PAGE + OFFSET, 1);
	CHECK_EQ(harvest(v, 0) & 3, 1);
	vm_destroy(v->vm);
}

/* A store that vigil makes for the guest, beside a watched byte. */
static void emulated(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);

	share(v, KVM_MEM_LOG_DIRTY_PAGES);
	mon_watch(mon, ALIAS + 0xfff, 1, VIGIL_ACTION_DENY);
	for (unsigned int i = 0; i < 2; i++) {
		store(v, PAGE + OFFSET, i);
		CHECK_EQ(harvest(v, SLOT), 1);
		CHECK_EQ(rd32(v->vm, PAGE + OFFSET), i);
	}
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* While a slot moves, its log hears nothing: all pages count as written. */
static void moved(long m)
{
	struct vcpu *v = start(m);

	close(mon_open(v->vm));
	share(v, KVM_MEM_LOG_DIRTY_PAGES);
	CHECK_EQ(harvest(v, SLOT), 0);
	vm_slot(v->vm, SLOT, ALIAS + 0x1000, ALIAS_PAGES * 0x1000,
		memory(v, PAGE, ALIAS_PAGES * 0x1000), KVM_MEM_LOG_DIRTY_PAGES);
	CHECK_EQ(harvest(v, SLOT), 3);
	store(v, PAGE + OFFSET, 1);
	CHECK_EQ(harvest(v, SLOT), 1);
	vm_destroy(v->vm);
}

#define SIZE (ALIAS_PAGES * 0x1000)
#define BEHIND (ALIAS + SIZE)
#define FILES 64u

/* Maps the pages of a new file. */
static uint8_t *map_new(int fd)
{
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, SIZE))
		ERROR("a file: %s", strerror(errno));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		ERROR("mmap: %s", strerror(errno));
	close(fd);
	return p;
}

/* Takes the mapping away. Nothing else is mapped at its addresses. */
static void unmap_new(uint8_t *p)
{
	if (mmap(p, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != p)
		ERROR("mmap: %s", strerror(errno));
}

/*
 * The VMM unmaps the only mapping of a slot's file, and makes other files. None of them
 * is taken for the first, as it was when the kernel's memory for the first became theirs.
 */
static void file_replaced(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm);
	uint8_t *p = map_new(memfd_create("first", 0));

	vm_slot(v->vm, SLOT, ALIAS, SIZE, p, 0);
	mon_watch(mon, ALIAS + OFFSET, 4, VIGIL_ACTION_DENY);
	unmap_new(p);
	/* The kernel frees what is left of a file behind a grace period of RCU. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		ERROR("membarrier: %s", strerror(errno));
	for (unsigned int i = 0; i < FILES; i++) {
		/* It stays mapped, so that the next one is in other memory. */
		p = map_new(memfd_create("next", 0));
		vm_slot(v->vm, SLOT + 1, BEHIND, SIZE, p, 0);
		store(v, BEHIND + OFFSET, 0x2222);
		CHECK_EQ(bytes64(p + OFFSET), 0x2222);
		CHECK_NO_EVENT(mon);
		vm_slot(v->vm, SLOT + 1, 0, 0, NULL, 0);
	}
	close(mon);
	vm_destroy(v->vm);
}

/* A file system whose only file is a slot's memory, and is mapped no more. */
static char *one_file(struct vcpu *v, uint8_t **addr)
{
	static char dir[] = "/tmp/aliasesXXXXXX";
	char path[64];
	uint8_t *p;

	if (!mkdtemp(dir) || mount("none", dir, "tmpfs", 0, NULL))
		ERROR("%s: %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/file", dir);
	p = map_new(open(path, O_RDWR | O_CREAT, 0600));
	vm_slot(v->vm, SLOT, ALIAS, SIZE, p, 0);
	unmap_new(p);
	CHECK_ERRNO(umount(dir), EBUSY);
	*addr = p;
	return dir;
}

/* A slot holds its file until it is deleted, whatever was done to the slot. */
static void file_held(long m)
{
	struct vcpu *v = start(m);
	uint8_t *p;
	char *dir = one_file(v, &p);
	struct kvm_userspace_memory_region taken = {
		.slot = SLOT,
		.memory_size = SIZE,
		.userspace_addr = (uintptr_t)p,
	};

	/* Its flags change. */
	vm_slot(v->vm, SLOT, ALIAS, SIZE, p, KVM_MEM_LOG_DIRTY_PAGES);
	CHECK_ERRNO(umount(dir), EBUSY);
	/* It cannot move to where another slot is. */
	CHECK_ERRNO(ioctl(v->vm->fd, KVM_SET_USER_MEMORY_REGION, &taken),
		    EEXIST);
	CHECK_ERRNO(umount(dir), EBUSY);
	vm_slot(v->vm, SLOT, 0, 0, NULL, 0);
	CHECK_EQ(umount(dir), 0);
	rmdir(dir);
	vm_destroy(v->vm);
}

/* A monitor keeps the VM, but not the files of its slots. */
static void file_let_go(long m)
{
	struct vcpu *v = start(m);
	uint8_t *p;
	char *dir = one_file(v, &p);
	int mon = mon_open(v->vm);

	vm_destroy(v->vm);
	CHECK_EQ(umount(dir), 0);
	rmdir(dir);
	close(mon);
}

#define SPANS 256u
#define VA 0x40000000ul
#define HIGH_SIZE (SPANS * 0x2000ul)

/* Watches every second page from GUEST_HIGH on. */
static void watch_scattered(int mon, unsigned int times)
{
	while (times--)
		for (unsigned int i = 0; i < SPANS; i++)
			mon_watch(mon, GUEST_HIGH + i * 0x2000, 0x1000,
				  VIGIL_ACTION_DENY);
}

/*
 * Each slot that has the memory once more has all ranges once more. One too many
 * is refused, and nothing has changed: the watches hold, the slot's number is free.
 */
static void too_many(long m)
{
	struct vcpu *v = start(m);
	int mon = mon_open(v->vm), ret = 0;
	struct kvm_userspace_memory_region r = {
		.memory_size = HIGH_SIZE,
		.userspace_addr =
			(uintptr_t)vm_ram(v->vm, GUEST_HIGH, HIGH_SIZE),
	};

	wr64(v->vm, GUEST_HIGH + OFFSET, OLD);
	watch_scattered(mon, 16);
	while (!ret && r.slot < 32) {
		r.slot++;
		r.guest_phys_addr = ALIAS + (r.slot - 1) * HIGH_SIZE;
		ret = ioctl(v->vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
	}
	CHECK_EQ(ret, -1);
	CHECK_EQ(errno, ENOSPC);
	/* 65,536 ranges are 16 times 16 times SPANS. */
	CHECK_EQ(r.slot, 16);
	r.memory_size = 0;
	CHECK_ERRNO(ioctl(v->vm->fd, KVM_SET_USER_MEMORY_REGION, &r), EINVAL);
	store(v, ALIAS + OFFSET, 0x2222);
	CHECK_EQ(mon_event(mon).gpa, ALIAS + OFFSET);
	CHECK_EQ(rd32(v->vm, GUEST_HIGH + OFFSET), OLD);
	store(v, ALIAS + 0x1000 + OFFSET, 0x2222);
	CHECK_EQ(rd32(v->vm, GUEST_HIGH + 0x1000 + OFFSET), 0x2222);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * The guest changes an entry of its tables of @level through the other slot, and flushes
 * its TLB. Twice: what is read again once is read again the next time.
 */
static void table(long arg, unsigned int level)
{
	struct vcpu *v = start(arg);
	struct kvm_sregs s;
	struct kvm_regs r;
	uint64_t entry, other;
	struct pt pt;

	vm_load(v->vm, exact_remap);
	get_sregs(v, &s);
	pt_init(&pt, v->vm, v->mode);
	pt.root = s.cr3;
	pt_map(&pt, VA, PAGE, 1, PTE_P | PTE_W);
	pt_map(&pt, VA + (1ul << pt_shift(&pt, 2)), PAGE + 0x1000, 1,
	       PTE_P | PTE_W);
	entry = pt_entry(&pt, VA, level);
	other = level == 1 ? (PAGE + 0x1000) | PTE_P | PTE_W :
			     pt_get(&pt, VA + (1ul << pt_shift(&pt, 2)), 2);
	wr64(v->vm, PAGE, 1);
	wr64(v->vm, PAGE + 0x1000, 2);
	vm_slot(v->vm, SLOT, ALIAS, 0x1000,
		memory(v, entry & ~0xfffull, 0x1000), 0);
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rsi = VA;
	r.rdi = ALIAS + (entry & 0xfff);
	r.rbx = other;
	r.rbp = pt_get(&pt, VA, level);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 4);
	CHECK_EQ(v->val[0], 1);
	CHECK_EQ(v->val[1], 2);
	CHECK_EQ(v->val[2], 1);
	CHECK_EQ(v->val[3], 2);
	vm_destroy(v->vm);
}

static void leaf_table(long arg)
{
	table(arg, 1);
}

static void upper_table(long arg)
{
	table(arg, 2);
}

#define TABLES 160u

/*
 * All memory is in two slots, and the guest has more tables than may stay unsync: the
 * oldest go, and are right when they are needed again. An auditor counts the others.
 */
static void many_tables(long arg)
{
	struct vcpu *v = start(arg);
	size_t size = v->vm->ram_size;
	struct pt pt = tables_of(v);
	uint64_t first, entry;
	struct kvm_sregs s;
	struct kvm_regs r;

	vm_load(v->vm, exact_tables);
	pt_identity(&pt, ALIAS, ALIAS + size, PTE_P | PTE_W);
	wr64(v->vm, PAGE, 1);
	wr64(v->vm, PAGE + 0x1000, 2);
	for (unsigned int i = 0; i < TABLES; i++) {
		pt_map(&pt, VA + i * 0x200000ul, PAGE, 1, PTE_P | PTE_W);
		entry = pt_entry(&pt, VA + i * 0x200000ul, 1);
		if (!i)
			first = entry;
		REQUIRE_EQ(entry, first + i * 0x1000);
	}
	vm_slot(v->vm, SLOT, ALIAS, size, memory(v, 0, size), 0);
	get_sregs(v, &s);
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rcx = TABLES;
	r.rsi = VA;
	r.rdi = ALIAS + first;
	r.rbp = pt_get(&pt, VA, 1);
	r.rbx = r.rbp + 0x1000;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	REQUIRE_EQ(v->nr_vals, 3);
	CHECK_EQ(v->val[0], TABLES);
	CHECK_EQ(v->val[1], 2 * TABLES);
	CHECK_EQ(v->val[2], TABLES);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_PROT("a watch", watched),
		CASE_PROT("a slot that comes later", slot_later),
		CASE_PROT("the dirty log", logged),
		CASE_PROT("a store that is emulated", emulated),
		CASE_PROT("the log of a slot that moves", moved),
		{ "more ranges than there may be", too_many, M_LONG },
		{ "a watch, one file (pae)", watched, M_PAE | BY_FILE },
		{ "a watch, one file (long)", watched, M_LONG | BY_FILE },
		{ "a slot that comes later, one file (long)", slot_later,
		  M_LONG | BY_FILE },
		{ "the dirty log, one file (pae)", logged, M_PAE | BY_FILE },
		{ "the dirty log, one file (long)", logged, M_LONG | BY_FILE },
		{ "a store that is emulated, one file (long)", emulated,
		  M_LONG | BY_FILE },
		{ "the log of a slot that moves, one file (long)", moved,
		  M_LONG | BY_FILE },
		{ "a file that has gone", file_replaced, M_LONG },
		{ "a file is held by its slot", file_held, M_LONG },
		{ "a file is not held by a monitor", file_let_go, M_LONG },
		{ "a page table (long)", leaf_table, M_LONG },
		{ "a page table (la57)", leaf_table, M_LA57 },
		{ "a page directory (long)", upper_table, M_LONG },
		{ "a page table, one file (long)", leaf_table,
		  M_LONG | BY_FILE },
		{ "more tables than may stay unsync (long)", many_tables,
		  M_LONG },
		{ "more tables than may stay unsync (la57)", many_tables,
		  M_LA57 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
