// SPDX-License-Identifier: GPL-2.0
/* ioctls of the device, the VM and the vCPU: answers, and bad arguments. */
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

DECLARE_PAYLOAD(count);
DECLARE_PAYLOAD(spin);

#define BAD_POINTER ((void *)0xffff888000000000)
/* No fd has these ioctls. */
#define UNKNOWN _IO(KVMIO, 0xfe)

/* KVM returns EINVAL here for devices and vCPUs. */
#define CHECK_UNKNOWN(call)                                                   \
	do {                                                                  \
		errno = 0;                                                    \
		if ((call) != -1 ||                                           \
		    (errno != ENOTTY && !(test_on_kvm() && errno == EINVAL))) \
			FAIL("%s: errno %d, not ENOTTY", #call, errno);       \
	} while (0)

static void device(long unused)
{
	int dev = dev_open();
	int vm;

	CHECK_EQ(ioctl(dev, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
	CHECK_ERRNO(ioctl(dev, KVM_GET_API_VERSION, 1), EINVAL);
	CHECK_ERRNO(ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
	CHECK(ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0) >=
	      (long)sizeof(struct kvm_run));
	CHECK_EQ(ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0) % 0x1000, 0);
	CHECK_ERRNO(ioctl(dev, KVM_CREATE_VM, 77), EINVAL);
	CHECK_UNKNOWN(ioctl(dev, UNKNOWN, 0));
	/* Ioctls of a VM and of a vCPU are not the device's. */
	CHECK_UNKNOWN(ioctl(dev, KVM_RUN, 0));
	CHECK_UNKNOWN(ioctl(dev, KVM_CREATE_VCPU, 0));
	vm = ioctl(dev, KVM_CREATE_VM, 0);
	CHECK(vm >= 0);
	CHECK_UNKNOWN(ioctl(vm, UNKNOWN, 0));
	CHECK_UNKNOWN(ioctl(vm, KVM_RUN, 0));
	CHECK_UNKNOWN(ioctl(vm, KVM_GET_API_VERSION, 0));
	close(vm);
	close(dev);
}

static void extensions(long unused)
{
	static const int must[] = {
		KVM_CAP_USER_MEMORY, KVM_CAP_IMMEDIATE_EXIT,
		KVM_CAP_GET_TSC_KHZ, KVM_CAP_MAX_VCPUS,
		KVM_CAP_NR_MEMSLOTS,
	};
	struct vm *vm = vm_create_bare();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(must); i++) {
		CHECK(ioctl(vm->dev, KVM_CHECK_EXTENSION, must[i]) > 0);
		CHECK(ioctl(vm->fd, KVM_CHECK_EXTENSION, must[i]) ==
			      ioctl(vm->dev, KVM_CHECK_EXTENSION, must[i]) ||
		      test_on_kvm());
	}
	CHECK(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS) >= 32);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, 0x7fffffff), 0);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, -1), 0);
	CHECK_EQ(ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_S390_PSW), 0);
}

static void supported_cpuid_args(long unused)
{
	int dev = dev_open();
	struct kvm_cpuid2 *c = supported_cpuid(dev), *small;
	unsigned int n = c->nent;

	CHECK(n > 4 && n < 256);
	small = calloc(1, sizeof(*small) + n * sizeof(small->entries[0]));
	small->nent = 0;
	CHECK_ERRNO(ioctl(dev, KVM_GET_SUPPORTED_CPUID, small), E2BIG);
	small->nent = n - 1;
	CHECK_ERRNO(ioctl(dev, KVM_GET_SUPPORTED_CPUID, small), E2BIG);
	small->nent = n;
	CHECK_OK(ioctl(dev, KVM_GET_SUPPORTED_CPUID, small));
	CHECK_EQ(small->nent, n);
	CHECK(!memcmp(small->entries, c->entries, n * sizeof(c->entries[0])));
	CHECK_ERRNO(ioctl(dev, KVM_GET_SUPPORTED_CPUID, NULL), EFAULT);
	CHECK_ERRNO(ioctl(dev, KVM_GET_SUPPORTED_CPUID, BAD_POINTER), EFAULT);
	/* A huge count must not cause a huge allocation. */
	c->nent = ~0u;
	CHECK_OK(ioctl(dev, KVM_GET_SUPPORTED_CPUID, c));
	CHECK_EQ(c->nent, n);
}

struct msr_list {
	struct kvm_msr_list l;
	uint32_t idx[1000];
};

static void msr_list(long unused)
{
	int dev = dev_open();
	struct msr_list m = { 0 };
	uint32_t i, n, star = 0;

	CHECK_ERRNO(ioctl(dev, KVM_GET_MSR_INDEX_LIST, &m), E2BIG);
	n = m.l.nmsrs;
	CHECK(n > 5 && n <= 1000);
	CHECK_OK(ioctl(dev, KVM_GET_MSR_INDEX_LIST, &m));
	CHECK_EQ(m.l.nmsrs, n);
	for (i = 0; i < n; i++)
		star += m.l.indices[i] == 0xc0000081;
	CHECK_EQ(star, 1);
	CHECK_ERRNO(ioctl(dev, KVM_GET_MSR_INDEX_LIST, NULL), EFAULT);
}

/* Each feature MSR on the list can be read from the device. */
static void feature_msrs(long unused)
{
	int dev = dev_open();
	struct msr_list m = { 0 };
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[2];
	} two = { 0 };
	uint32_t i;

	if (ioctl(dev, KVM_GET_MSR_FEATURE_INDEX_LIST, &m)) {
		CHECK_EQ(errno, E2BIG);
		CHECK(m.l.nmsrs > 0 && m.l.nmsrs <= 1000);
		CHECK_OK(ioctl(dev, KVM_GET_MSR_FEATURE_INDEX_LIST, &m));
	}
	/* QEMU aborts when the list is empty all the same. */
	CHECK_EQ(ioctl(dev, KVM_CHECK_EXTENSION, KVM_CAP_GET_MSR_FEATURES),
		 m.l.nmsrs > 0);
	for (i = 0; i < m.l.nmsrs; i++) {
		two.h.nmsrs = 2;
		two.e[0].index = m.l.indices[i];
		two.e[1].index = 0xdead;
		CHECK_EQ(ioctl(dev, KVM_GET_MSRS, &two), 1);
	}
	two.h.nmsrs = 2;
	two.e[0].index = 0xdead;
	CHECK_EQ(ioctl(dev, KVM_GET_MSRS, &two), 0);
	two.h.nmsrs = 256;
	CHECK_ERRNO(ioctl(dev, KVM_GET_MSRS, &two), E2BIG);
	CHECK_ERRNO(ioctl(dev, KVM_GET_MSRS, BAD_POINTER), EFAULT);
	CHECK_ERRNO(ioctl(dev, KVM_GET_MSR_FEATURE_INDEX_LIST, NULL), EFAULT);
}

/* Every MSR on the list can be read, and written with what was read. */
static void msr_list_works(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	struct msr_list m = { 0 };
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[1];
	} one = { 0 };
	uint32_t i;

	m.l.nmsrs = 1000;
	CHECK_OK(ioctl(vm->dev, KVM_GET_MSR_INDEX_LIST, &m));
	for (i = 0; i < m.l.nmsrs; i++) {
		one.h.nmsrs = 1;
		one.e[0].index = m.l.indices[i];
		if (ioctl(v->fd, KVM_GET_MSRS, &one) != 1)
			FAIL("MSR %#x is listed and cannot be read",
			     m.l.indices[i]);
		else if (ioctl(v->fd, KVM_SET_MSRS, &one) != 1 &&
			 !test_on_kvm())
			FAIL("MSR %#x: %#llx was read and cannot be written",
			     m.l.indices[i], one.e[0].data);
	}
	one.h.nmsrs = 0;
	CHECK_EQ(ioctl(v->fd, KVM_GET_MSRS, &one), 0);
	one.h.nmsrs = 100000;
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_MSRS, &one), E2BIG);
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_MSRS, &one), E2BIG);
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_MSRS, NULL), EFAULT);
}

static void create_vcpu(long unused)
{
	struct vm *vm = vm_create_bare();
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int max_id = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	int a, b;

	if (max_id < max)
		max_id = max;
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, -1), EINVAL);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, max_id), EINVAL);
	a = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	CHECK(a >= 0);
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, 0), EEXIST);
	close(a);
	/* The VM keeps it. */
	CHECK_ERRNO(ioctl(vm->fd, KVM_CREATE_VCPU, 0), EEXIST);
	b = ioctl(vm->fd, KVM_CREATE_VCPU, max - 1);
	CHECK(b >= 0);
	CHECK_UNKNOWN(ioctl(b, UNKNOWN, 0));
	CHECK_UNKNOWN(ioctl(b, KVM_CREATE_VCPU, 5));
}

/* As many vCPUs as MAX_VCPUS says, and not one more. */
static void all_vcpus(long unused)
{
	struct vm *vm = vm_create_bare();
	int max = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int n = max > 64 ? 64 : max, i;

	CHECK(max >= 4);
	for (i = 0; i < n; i++)
		if (ioctl(vm->fd, KVM_CREATE_VCPU, i) < 0)
			FAIL("vCPU %d: errno %d", i, errno);
	if (n == max)
		CHECK(ioctl(vm->fd, KVM_CREATE_VCPU, max) < 0);
}

static void check_cpuid(const struct kvm_cpuid2 *got,
			const struct kvm_cpuid2 *want, unsigned int n)
{
	unsigned int i;

	/* Stock KVM leaves nent alone when there was room. */
	CHECK(got->nent == n || (test_on_kvm() && got->nent > n));
	for (i = 0; i < n; i++)
		if (got->entries[i].function != want->entries[i].function ||
		    got->entries[i].index != want->entries[i].index)
			FAIL("entry %u is leaf %#x.%u", i,
			     got->entries[i].function, got->entries[i].index);
}

static void set_cpuid(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	struct kvm_cpuid2 *c = supported_cpuid(vm->dev), *got;
	unsigned int n = c->nent;

	got = calloc(1, sizeof(*got) + 300 * sizeof(got->entries[0]));
	got->nent = 300;
	CHECK_OK(ioctl(v->fd, KVM_GET_CPUID2, got));
	check_cpuid(got, c, n);
	got->nent = n - 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_CPUID2, got), E2BIG);
	c->nent = 100000;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_CPUID2, c), E2BIG);
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_CPUID2, NULL), EFAULT);
	/* The failed call has changed nothing. */
	got->nent = 300;
	CHECK_OK(ioctl(v->fd, KVM_GET_CPUID2, got));
	check_cpuid(got, c, n);
}

/* After the guest has run, its CPUID cannot change. */
static void set_cpuid_late(long unused)
{
	struct vcpu *v = START(M_LONG, count);
	struct kvm_cpuid2 *c = supported_cpuid(v->vm->dev);
	struct kvm_sregs s;
	unsigned int i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 7)
			c->entries[i].ebx &= ~(1u << 7);
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, c));
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, c));
	/* CR4 cannot have bits of features that CPUID lacks. */
	get_sregs(v, &s);
	s.cr4 |= CR4_SMEP;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	/* On a loaded host a signal may come before the guest has run. */
	v->stop_on_signal = true;
	ticks(50000);
	do
		EXPECT(v, STOP_SIGNAL);
	while (!rd64(v->vm, GUEST_DATA));
	CHECK_OK(ioctl(v->fd, KVM_SET_CPUID2, c));
	c->entries[0].ebx ^= 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_CPUID2, c), EINVAL);
	c->entries[0].ebx ^= 1;
	c->nent--;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_CPUID2, c), EINVAL);
	EXPECT(v, STOP_SIGNAL);
	ticks(0);
}

/* A guest may have overwritten the PDPTEs that its CPU still has latched. */
static void stale_pdptes(long unused)
{
	struct vcpu *v = START(M_PAE, spin);
	struct kvm_sregs s;

	get_sregs(v, &s);
	memset(vm_ram(v->vm, s.cr3, 32), 0xff, 32);
	CHECK_OK(ioctl(v->fd, KVM_SET_SREGS, &s));
	v->stop_on_signal = true;
	ticks(2000);
	EXPECT(v, STOP_SIGNAL);
	ticks(0);
}

static void regs(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	struct kvm_regs r, got;
	uint64_t *p = (uint64_t *)&r;
	unsigned int i;

	for (i = 0; i < sizeof(r) / 8; i++)
		p[i] = 0x0101010101010101ull * (i + 1);
	r.rflags = 0x2 | RFLAGS_IF | 0x8d5;
	r.rip = 0x123456789abc;
	CHECK_OK(ioctl(v->fd, KVM_SET_REGS, &r));
	CHECK_OK(ioctl(v->fd, KVM_GET_REGS, &got));
	CHECK(!memcmp(&r, &got, sizeof(r)));
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_REGS, NULL), EFAULT);
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_REGS, BAD_POINTER), EFAULT);
	CHECK_OK(ioctl(v->fd, KVM_GET_REGS, &got));
	CHECK(!memcmp(&r, &got, sizeof(r)));
}

/* Combinations that no CPU has are refused, and change nothing. */
static void bad_sregs(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	struct kvm_sregs good, s, got;

	get_sregs(v, &good);
	s = good;
	s.cr4 &= ~(uint64_t)CR4_PAE;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.efer &= ~(uint64_t)EFER_LMA;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.cr0 &= ~(uint64_t)CR0_PG;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.cr4 |= 1ull << 40;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.cr4 |= 1u << 31;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.cr3 |= 1ull << 60;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.apic_base |= 1 << 10; /* x2APIC, of which KVM's CPUID tells */
	if (!test_on_kvm())
		CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.apic_base |= 1;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, &s), EINVAL);
	s = good;
	s.apic_base = 1 << 11;
	CHECK_OK(ioctl(v->fd, KVM_SET_SREGS, &s));
	CHECK_OK(ioctl(v->fd, KVM_SET_SREGS, &good));
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_SREGS, NULL), EFAULT);
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_SREGS, NULL), EFAULT);
	get_sregs(v, &got);
	CHECK(!memcmp(&good, &got, sizeof(good)));
	/* The guest still runs. */
	v->stop_on_signal = true;
	ticks(2000);
	EXPECT(v, STOP_SIGNAL);
	ticks(0);
}

/* SREGS as they were set: all hidden parts, tables and control registers. */
static void sregs_round_trip(long mode)
{
	struct vcpu *v;
	struct kvm_sregs s, got;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	v = START(mode, spin);
	get_sregs(v, &s);
	s.fs.base = 0x12345000;
	s.fs.limit = 0xabcde;
	s.fs.g = s.gs.g = 0; /* has to fit the limit */
	s.fs.selector = 0x1230;
	s.gs.base = mode_long(mode) ? 0xffff888011223000 : 0x11223000;
	s.gs.limit = 0xfffff;
	s.gs.avl = 1;
	s.es.unusable = mode != M_VM86 && mode != M_REAL && mode != M_BIGREAL;
	s.es.present = !s.es.unusable;
	s.ldt.base = 0x7000;
	s.ldt.limit = 0x1234;
	s.ldt.selector = SEL_LDT;
	s.ldt.type = 2;
	s.ldt.present = 1;
	s.ldt.unusable = 0;
	s.gdt.base = 0x4321000;
	s.gdt.limit = 0x789;
	s.idt.base = 0x5432000;
	s.idt.limit = 0x234;
	s.cr2 = 0xdeadbeef;
	s.cr8 = 5;
	CHECK_OK(ioctl(v->fd, KVM_SET_SREGS, &s));
	CHECK_OK(ioctl(v->fd, KVM_GET_SREGS, &got));
#define SAME(f) CHECK_EQ(got.f, s.f)
#define SEGMENT(r)                \
	do {                      \
		SAME(r.base);     \
		SAME(r.limit);    \
		SAME(r.selector); \
		SAME(r.type);     \
		SAME(r.s);        \
		SAME(r.dpl);      \
		SAME(r.present);  \
		SAME(r.avl);      \
		SAME(r.l);        \
		SAME(r.db);       \
		SAME(r.g);        \
	} while (0)
	SEGMENT(cs);
	SEGMENT(ds);
	SEGMENT(ss);
	SEGMENT(fs);
	SEGMENT(gs);
	SEGMENT(ldt);
	SAME(tr.base);
	SAME(tr.limit);
	SAME(tr.selector);
	SAME(tr.present);
	SAME(es.unusable);
	SAME(ldt.unusable);
	SAME(fs.unusable);
	SAME(gdt.base);
	SAME(gdt.limit);
	SAME(idt.base);
	SAME(idt.limit);
	SAME(cr0);
	SAME(cr2);
	SAME(cr3);
	SAME(cr4);
	SAME(cr8);
	SAME(efer);
}

static void mp_state(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	struct kvm_mp_state m = { .mp_state = 77 };

	CHECK_OK(ioctl(v->fd, KVM_GET_MP_STATE, &m));
	CHECK_EQ(m.mp_state, KVM_MP_STATE_RUNNABLE);
	CHECK_OK(ioctl(v->fd, KVM_SET_MP_STATE, &m));
	m.mp_state = 99;
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_MP_STATE, &m), EINVAL);
	m.mp_state = KVM_MP_STATE_SIPI_RECEIVED; /* no APIC here */
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_MP_STATE, &m), EINVAL);
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_MP_STATE, NULL), EFAULT);
}

static void misc(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	struct kvm_fpu f;

	CHECK(ioctl(v->fd, KVM_GET_TSC_KHZ, 0) > 0);
	CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 1), EINVAL);
	CHECK_ERRNO(ioctl(v->fd, KVM_GET_FPU, NULL), EFAULT);
	CHECK_ERRNO(ioctl(v->fd, KVM_SET_FPU, NULL), EFAULT);
	CHECK_OK(ioctl(v->fd, KVM_GET_FPU, &f));
	CHECK_EQ(f.fcw, 0x37f);
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 1), EINVAL);
	CHECK_OK(ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 200));
	CHECK_EQ(ioctl(vm->fd, KVM_GET_NR_MMU_PAGES, 0), 200);
	CHECK_OK(ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 64));
	CHECK_EQ(ioctl(vm->fd, KVM_GET_NR_MMU_PAGES, 0), 64);
	CHECK_ERRNO(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, NULL), EFAULT);
	CHECK_ERRNO(ioctl(vm->fd, KVM_GET_DIRTY_LOG, NULL), EFAULT);
	CHECK_ERRNO(ioctl(v->fd, KVM_TRANSLATE, NULL), EFAULT);
}

static void check_rights(struct vcpu *v, uint64_t la, bool write, bool user)
{
	struct kvm_translation t = { .linear_address = la };

	CHECK_OK(ioctl(v->fd, KVM_TRANSLATE, &t));
	CHECK_EQ(t.valid, 1);
	CHECK_EQ(t.writeable, write);
	CHECK_EQ(t.usermode, user);
}

static void check_invalid(struct vcpu *v, uint64_t la)
{
	struct kvm_translation t = { .linear_address = la };

	CHECK_OK(ioctl(v->fd, KVM_TRANSLATE, &t));
	CHECK(!t.valid && !t.writeable && !t.usermode);
	CHECK_EQ(t.physical_address, ~0ull);
}

static void translate(long mode)
{
	struct vcpu *v = START(mode, spin);
	struct kvm_translation t = { .linear_address = GUEST_CODE + 0x123 };
	struct pt pt = { .vm = v->vm, .mode = mode };
	struct kvm_sregs s;

	get_sregs(v, &s);
	if (mode_paged(mode)) {
		pt_init(&pt, v->vm, mode);
		pt_identity(&pt, 0, 0x20000, PTE_W);
		pt_map(&pt, 0x40000000, 0x12000, 1, 0);
		s.cr3 = pt.root;
		set_sregs(v, &s);
	}
	CHECK_OK(ioctl(v->fd, KVM_TRANSLATE, &t));
	CHECK(t.valid);
	CHECK_EQ(t.physical_address, GUEST_CODE + 0x123);
	/* Where no address of this mode is, no other one answers. */
	if (!test_on_kvm()) {
		check_invalid(v,
			      GUEST_CODE | 1ull << (mode_long(mode) ? 47 : 32));
		check_invalid(v, GUEST_CODE | 1ull << 48);
		check_invalid(v, GUEST_CODE | 1ull << 63);
	}
	if (!mode_paged(mode))
		return;
	t.linear_address = 0x40000345;
	CHECK_OK(ioctl(v->fd, KVM_TRANSLATE, &t));
	CHECK(t.valid);
	CHECK_EQ(t.physical_address, 0x12345);
	t.linear_address = 0x50000000;
	CHECK_OK(ioctl(v->fd, KVM_TRANSLATE, &t));
	CHECK(!t.valid);
	if (test_on_kvm())
		return; /* KVM says of each page: writable, not for user mode */
	CHECK(!t.writeable && !t.usermode);
	pt_map(&pt, 0x40001000, 0x13000, 1, PTE_U | PTE_W);
	pt_map(&pt, 0x40002000, 0x13000, 1, PTE_U);
	s.cr0 |= 1 << 16; /* WP */
	set_sregs(v, &s);
	check_rights(v, 0x40000000, false, false);
	check_rights(v, 0x40001000, true, true);
	check_rights(v, 0x40002000, false, true);
	check_rights(v, GUEST_CODE, true, false);
}

/* A VM belongs to the address space that made it. */
static void other_process(long unused)
{
	struct vcpu *v = START(M_LONG, spin);
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct kvm_userspace_memory_region r = {
			.slot = 5,
			.guest_phys_addr = 1 << 30,
			.memory_size = 0x1000,
			.userspace_addr = (uintptr_t)v->vm->ram,
		};
		struct kvm_regs regs;

		CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EIO);
		CHECK_ERRNO(ioctl(v->fd, KVM_GET_REGS, &regs), EIO);
		CHECK_ERRNO(ioctl(v->vm->fd, KVM_SET_USER_MEMORY_REGION, &r),
			    EIO);
		CHECK_ERRNO(ioctl(v->vm->fd, KVM_CREATE_VCPU, 7), EIO);
		_exit(test_failures() ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	v->stop_on_signal = true;
	ticks(2000);
	EXPECT(v, STOP_SIGNAL);
	ticks(0);
}

/* The mapping has no more pages than exist, and cannot be executed. */
static void run_mapping(long unused)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *v = vcpu_create(vm);
	void *p = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       v->fd, 0);

	CHECK(p != MAP_FAILED);
	/* Both mappings are of the same page. */
	((struct kvm_run *)p)->request_interrupt_window = 1;
	CHECK_EQ(v->run->request_interrupt_window, 1);
	v->run->request_interrupt_window = 0;
	munmap(p, vm->run_size);
}

/* ---- requests of VMMs without an interrupt controller in the kernel ---- */

static uint64_t msr(struct vcpu *v, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} m = { .head.nmsrs = 1, .e.index = index };

	if (ioctl(v->fd, KVM_GET_MSRS, &m) != 1)
		FAIL("MSR %#x cannot be read", index);
	return m.e.data;
}

static int msr_write(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e;
	} m = { .head.nmsrs = 1, .e = { .index = index, .data = value } };

	return ioctl(v->fd, KVM_SET_MSRS, &m);
}

/* QEMU with kernel-irqchip=off refuses to start, or fails, without these. */
static void vmm_needs(long unused)
{
	struct kvm_irq_routing none = { 0 };
	struct vcpu *v = START(M_LONG, spin);
	int vm = v->vm->fd;

	CHECK(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0);
	CHECK_OK(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul));
	CHECK_ERRNO(ioctl(vm, KVM_SET_TSS_ADDR, 0xffffe000ul), EINVAL);
	CHECK(ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING) > 0);
	CHECK_ERRNO(ioctl(vm, KVM_SET_GSI_ROUTING, &none), EINVAL);
	/* KVM's clock for guests is off. */
	CHECK_EQ(msr_write(v, 0x11, 0), 1);
	CHECK_EQ(msr_write(v, 0x12, 0), 1);
	CHECK_EQ(msr(v, 0x11), 0);
	CHECK_EQ(msr(v, 0x12), 0);
	/* The VMM may bring an APIC. */
	CHECK(cpuid_has(v->vm->dev, 1, 0, 3, 9));
}

#define MC0_CTL 0x400
#define MCG_CAP 0x179
#define MCG_STATUS 0x17a
#define MCG_CTL 0x17b
#define MCG_CTL_P (1ull << 8)
#define MCI_VAL (1ull << 63)
#define MCI_OVER (1ull << 62)
#define MCI_UC (1ull << 61)
#define MC 18

static void mce_setup(long unused)
{
	struct kvm_x86_mce e = { .status = MCI_VAL | 5, .addr = 0x1234000 };
	struct vcpu *v = START(M_LONG, spin);
	int dev = v->vm->dev;
	uint64_t cap, bad;

	CHECK(ioctl(dev, KVM_CHECK_EXTENSION, KVM_CAP_MCE) >= 10);
	REQUIRE_EQ(ioctl(dev, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap), 0);
	CHECK(cap & MCG_CTL_P);
	CHECK_ERRNO(ioctl(dev, KVM_X86_GET_MCE_CAP_SUPPORTED, BAD_POINTER),
		    EFAULT);
	bad = 0;
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SETUP_MCE, &bad), EINVAL);
	bad = 33;
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SETUP_MCE, &bad), EINVAL);
	bad = 10 | 1ull << 60;
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SETUP_MCE, &bad), EINVAL);
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SETUP_MCE, BAD_POINTER), EFAULT);
	cap = 10 | MCG_CTL_P;
	REQUIRE_EQ(ioctl(v->fd, KVM_X86_SETUP_MCE, &cap), 0);
	CHECK_EQ(msr(v, MCG_CAP), cap);
	CHECK_EQ(msr(v, MCG_CTL), ~0ull);
	CHECK_EQ(msr(v, MC0_CTL + 4 * 9), ~0ull);
	CHECK_EQ(msr_write(v, MC0_CTL + 4 * 10, 0), 0);

	/* A corrected error is logged, and no more. */
	e.bank = 10;
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SET_MCE, &e), EINVAL);
	e.bank = 3;
	e.status = 5;
	CHECK_ERRNO(ioctl(v->fd, KVM_X86_SET_MCE, &e), EINVAL);
	e.status = MCI_VAL | 5;
	CHECK_OK(ioctl(v->fd, KVM_X86_SET_MCE, &e));
	CHECK_EQ(msr(v, MC0_CTL + 13), MCI_VAL | 5);
	CHECK_EQ(msr(v, MC0_CTL + 14), 0x1234000);
	CHECK_OK(ioctl(v->fd, KVM_X86_SET_MCE, &e));
	CHECK_EQ(msr(v, MC0_CTL + 13), MCI_VAL | MCI_OVER | 5);
}

/* An uncorrected error reaches a guest that has #MC on; another one shuts down. */
static void mce_raised(long on)
{
	struct kvm_x86_mce e = {
		.status = MCI_VAL | MCI_UC | 7,
		.addr = 0x5678000,
		.mcg_status = 5,
		.bank = 1,
	};
	struct vcpu *v = START(M_LONG, spin);
	uint64_t cap = 10 | MCG_CTL_P;
	struct kvm_sregs s;

	REQUIRE_EQ(ioctl(v->fd, KVM_X86_SETUP_MCE, &cap), 0);
	get_sregs(v, &s);
	s.cr4 = on ? s.cr4 | 1u << 6 : s.cr4 & ~(1ull << 6);
	set_sregs(v, &s);
	CHECK_OK(ioctl(v->fd, KVM_X86_SET_MCE, &e));
	if (!on) {
		EXPECT(v, STOP_SHUTDOWN);
		return;
	}
	CHECK_EQ(msr(v, MC0_CTL + 5), e.status);
	CHECK_EQ(msr(v, MCG_STATUS), 5);
	EXPECT(v, STOP_EXC);
	CHECK_EQ(v->exc.vector, MC);
	/* The second one comes while the first is handled. */
	CHECK_OK(ioctl(v->fd, KVM_X86_SET_MCE, &e));
	EXPECT(v, STOP_SHUTDOWN);
}

static size_t read_whole(const char *path, char *buf, size_t len)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(buf, 1, len - 1, f) : 0;

	if (!n)
		ERROR("cannot read %s", path);
	fclose(f);
	buf[n] = 0;
	return n;
}

/*
 * udev loads a module if one of its aliases matches the CPU's name. This host
 * can run vigil, so one alias must match.
 */
static void alias(long unused)
{
	static char module[4 << 20], cpu[8192];
	unsigned int aliases = 0, match = 0;
	struct utsname host;
	char path[256], *at;
	size_t n;

	if (test_on_kvm())
		SKIP("vigil's module is meant");
	uname(&host);
	snprintf(path, sizeof(path), "/lib/modules/%s/extra/vigil.ko",
		 host.release);
	n = read_whole(path, module, sizeof(module));
	read_whole("/sys/devices/system/cpu/modalias", cpu, sizeof(cpu));
	cpu[strcspn(cpu, "\n")] = 0;
	for (at = module; (at = memmem(at, module + n - at, "alias=", 6));) {
		at += 6;
		if (strncmp(at, "cpu:", 4))
			continue;
		aliases++;
		match += !fnmatch(at, cpu, 0);
	}
	CHECK_EQ(aliases, 2);
	CHECK_EQ(match, 1);
}

static const struct test_case cases[] = {
	{ "device and VM", device },
	{ "KVM_CHECK_EXTENSION", extensions },
	{ "KVM_GET_SUPPORTED_CPUID", supported_cpuid_args },
	{ "KVM_GET_MSR_INDEX_LIST", msr_list },
	{ "feature MSRs", feature_msrs },
	{ "every listed MSR works", msr_list_works },
	{ "KVM_CREATE_VCPU", create_vcpu },
	{ "all vCPUs", all_vcpus },
	{ "KVM_SET_CPUID2", set_cpuid },
	{ "KVM_SET_CPUID2 of a guest that runs", set_cpuid_late },
	{ "KVM_SET_REGS", regs },
	{ "SREGS that cannot be", bad_sregs },
	CASE_ALL("SREGS as set", sregs_round_trip),
	{ "SREGS of a guest whose PDPTEs are latched", stale_pdptes },
	{ "KVM_SET_MP_STATE", mp_state },
	{ "other arguments", misc },
	{ "KVM_TRANSLATE (prot32)", translate, M_PROT32 },
	{ "KVM_TRANSLATE (32-bit paging)", translate, M_PG32 },
	{ "KVM_TRANSLATE (pae)", translate, M_PAE },
	{ "KVM_TRANSLATE (long)", translate, M_LONG },
	{ "another process", other_process },
	{ "mapping of kvm_run", run_mapping },
	{ "what VMMs need besides", vmm_needs },
	{ "KVM_X86_SETUP_MCE, a corrected error", mce_setup },
	{ "KVM_X86_SET_MCE, #MC", mce_raised, true },
	{ "KVM_X86_SET_MCE, no handler", mce_raised, false },
	{ "the module's alias is this CPU's", alias },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
