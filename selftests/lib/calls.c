// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls on the files of /dev/vigil.
 *
 * Nothing here takes a lock of the C library after calls_prepare(): a process
 * that is forked while another thread holds one would wait for ever.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vigil.h>

#include "calls.h"
#include "guest.h"

enum kind { K_DEV, K_VM, K_VCPU, K_MON, NR_KINDS };

#define FILES 10 /* of each kind that are open at a time */
#define PAGE_BYTES 0x1000ul
#define TICK_NS 3000000

/*
 * One piece of address space, from which every memory slot and every odd pointer
 * comes, so that a guest or the kernel never writes to the program itself. What
 * lies between the parts does not exist.
 */
#define ARENA_SIZE (64ul << 20)
#define RAM_SIZE (4ul << 20) /* the guests' RAM, which always exists */
#define ODD_OFF (16ul << 20) /* mapped, protected and unmapped at random */
#define ODD_SIZE (2ul << 20)
#define HELD_OFF (24ul << 20) /* withheld by userfaultfd */
#define HELD_SIZE (16 * PAGE_BYTES)
#define OUT_OFF (32ul << 20) /* results that arguments point to */
#define OUT_SIZE (2ul << 20)
#define SCRATCH_SIZE (16 * PAGE_BYTES)

static uint8_t *arena;
static uint8_t *runs; /* the vCPUs' pages, RUN_BYTES for each of FILES */
static size_t run_bytes;
static int fds[NR_KINDS][FILES];
static struct kvm_sregs mode_state[NR_MODES];
static bool has_mode[NR_MODES];
static enum mode main_mode;
static struct kvm_cpuid2 *cpuid;
static size_t cpuid_bytes;
static bool has_int80;
static int uffd = -1;
/* The last events and watches, of any monitor. */
static uint64_t held_seq[8];
static uint32_t watch_id[8];

/* ---- files ---- */

/* Where a file of this kind is open, or where none is. */
static unsigned int slot_of(struct caller *c, enum kind kind)
{
	unsigned int i, slot = rng_below(&c->rng, FILES);

	for (i = 0; i < FILES; i++, slot = (slot + 1) % FILES)
		if (__atomic_load_n(&fds[kind][slot], __ATOMIC_RELAXED) >= 0)
			break;
	return slot;
}

static int file_of(struct caller *c, enum kind kind)
{
	/* Sometimes a file of another kind, or none. */
	if (rng_once_in(&c->rng, 40))
		kind = rng_below(&c->rng, NR_KINDS);
	if (rng_once_in(&c->rng, 200))
		return -1;
	return __atomic_load_n(&fds[kind][slot_of(c, kind)], __ATOMIC_RELAXED);
}

static void map_run(unsigned int slot, int fd)
{
	uint8_t *at = runs + slot * run_bytes;

	if (fd < 0 || mmap(at, run_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		mmap(at, run_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void put_in(enum kind kind, unsigned int slot, int fd)
{
	int old = __atomic_exchange_n(&fds[kind][slot], fd, __ATOMIC_RELAXED);

	if (kind == K_VCPU)
		map_run(slot, fd);
	if (old >= 0)
		close(old);
}

static void keep(struct caller *c, enum kind kind, long fd)
{
	if (fd >= 0)
		put_in(kind, rng_below(&c->rng, FILES), fd);
}

/* ---- arguments ---- */

/* Where the kernel reads or writes @len bytes, not always with success. */
static uint64_t pointer(struct caller *c, size_t len)
{
	switch (rng_below(&c->rng, 40)) {
	case 0:
		return 0;
	case 1:
		return 0xffff888000000000 + (rng_next(&c->rng) & 0xfffffff);
	case 2:
		return 0x8000000000000000 | rng_next(&c->rng);
	case 3: /* over the end of what exists */
		return (uintptr_t)c->scratch + SCRATCH_SIZE -
		       rng_below(&c->rng, len + 1);
	case 4:
		return (uintptr_t)arena + HELD_OFF +
		       rng_below(&c->rng, HELD_SIZE);
	case 5:
		return (uintptr_t)arena + ODD_OFF +
		       rng_below(&c->rng, ODD_SIZE);
	case 6:
		return (uintptr_t)c->scratch + rng_below(&c->rng, 16);
	default:
		return (uintptr_t)c->scratch;
	}
}

/* A place for large results, which nothing else is kept in. */
static uint64_t out(struct caller *c, size_t len)
{
	return rng_once_in(&c->rng, 4) ? pointer(c, len) :
					 (uintptr_t)arena + OUT_OFF;
}

static long compat_ioctl(int fd, unsigned int cmd, unsigned long arg)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54), "b"((long)fd), "c"((long)cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	ret = (int)ret;
	if (ret < 0) {
		errno = -ret;
		ret = -1;
	}
	return ret;
}

/* The errors of Documentation/api.rst, and those of any call. */
static bool may_fail_with(int err)
{
	switch (err) {
	case EPERM:
	case ENOENT:
	case EINTR:
	case EIO:
	case E2BIG:
	case EBADF:
	case EAGAIN:
	case ENOMEM:
	case EFAULT:
	case EBUSY:
	case EEXIST:
	case EINVAL:
	case EMFILE:
	case ENOTTY:
	case ENOSPC:
	case EPIPE:
	/* The auditor finds tables that the VMM itself has changed. */
	case EUCLEAN:
		return true;
	default:
		return false;
	}
}

static void wrong(struct caller *c, uint32_t cmd, int err)
{
	if (!__atomic_fetch_add(&c->shared->wrong, 1, __ATOMIC_RELAXED)) {
		c->shared->wrong_cmd = cmd;
		c->shared->wrong_errno = err;
	}
}

static void about_to(struct caller *c, const char *op, int fd, uint32_t cmd,
		     uint64_t arg)
{
	c->tell->op = op;
	c->tell->fd = fd;
	c->tell->cmd = cmd;
	c->tell->arg = arg;
	if (!c->forked)
		c->tell->made++;
}

static long call(struct caller *c, int fd, unsigned int cmd, unsigned long arg)
{
	long ret;

	about_to(c, "ioctl", fd, cmd, arg);
	if (has_int80 && arg <= UINT32_MAX && rng_once_in(&c->rng, 10))
		ret = compat_ioctl(fd, cmd, arg);
	else
		ret = ioctl(fd, cmd, arg);
	if (ret < 0 && !may_fail_with(errno))
		wrong(c, cmd, errno);
	if (!c->forked) {
		c->tell->worked += ret >= 0;
		c->tell->ran += ret >= 0 && cmd == KVM_RUN;
	}
	return ret;
}

/* Some arguments are garbage, or nearly right. */
static void rough(struct caller *c, size_t len)
{
	if (rng_once_in(&c->rng, 12))
		rng_fill(&c->rng, c->args, len);
	else if (rng_once_in(&c->rng, 8))
		rng_flip(&c->rng, c->args, len, 1 + rng_below(&c->rng, 3));
}

/* The same with what @c->args holds, as the argument that is pointed to. */
static long call_as_is(struct caller *c, int fd, unsigned int cmd, size_t len)
{
	uint64_t at = pointer(c, len), base = (uintptr_t)c->scratch;
	long ret;

	if (at >= base && at < base + SCRATCH_SIZE) {
		size_t room = base + SCRATCH_SIZE - at;

		memcpy((void *)at, c->args, len < room ? len : room);
	}
	ret = call(c, fd, cmd, at);
	if (ret >= 0 && at == base)
		memcpy(c->args, c->scratch, len);
	return ret;
}

/*
 * Not for an argument with a pointer in it, which a few wrong bits could turn
 * into an address of the program's own.
 */
static long call_with(struct caller *c, int fd, unsigned int cmd, size_t len)
{
	rough(c, len);
	return call_as_is(c, fd, cmd, len);
}

static void *zeroed(struct caller *c, size_t len)
{
	return memset(c->args, 0, len);
}

/* ---- the device ---- */

static void list_vms(struct caller *c, int fd)
{
	struct vigil_vm_list *l = zeroed(c, sizeof(*l));
	struct vigil_vm_info *info = (void *)(arena + OUT_OFF);

	l->count = rng_below(&c->rng, 20);
	l->entry_size = sizeof(struct vigil_vm_info);
	rough(c, sizeof(*l));
	l->entries = out(c, 20 * sizeof(*info));
	if (!call_as_is(c, fd, VIGIL_LIST_VMS, sizeof(*l)))
		c->shared->vm_id[rng_below(&c->rng, CALLS_VMS)] =
			info[rng_below(&c->rng, 4)].id;
}

static void attach(struct caller *c, int fd)
{
	struct vigil_attach *a = zeroed(c, sizeof(*a));

	a->vm_id = c->shared->vm_id[rng_below(&c->rng, CALLS_VMS)];
	a->flags = rng_below(&c->rng, 3);
	keep(c, K_MON, call_with(c, fd, VIGIL_ATTACH, sizeof(*a)));
}

static void dev_call(struct caller *c)
{
	int fd = file_of(c, K_DEV);
	uint32_t *n = zeroed(c, CALLS_ARGS);

	switch (rng_below(&c->rng, 12)) {
	case 0:
		call(c, fd, KVM_GET_API_VERSION, rng_once_in(&c->rng, 4));
		break;
	case 1:
		call(c, fd, KVM_CHECK_EXTENSION, rng_below(&c->rng, 260));
		break;
	case 2:
		call(c, fd, KVM_GET_VCPU_MMAP_SIZE, rng_once_in(&c->rng, 4));
		break;
	case 3:
		*n = rng_below(&c->rng, 160);
		call_with(c, fd, KVM_GET_SUPPORTED_CPUID, 8 + 40 * 160);
		break;
	case 4:
		*n = rng_below(&c->rng, 400);
		call_with(c, fd, KVM_GET_MSR_INDEX_LIST, 4 + 4 * 400);
		break;
	case 5:
		call_with(c, fd, KVM_X86_GET_MCE_CAP_SUPPORTED, 8);
		break;
	case 6:
		call(c, fd, VIGIL_GET_VERSION, rng_once_in(&c->rng, 4));
		break;
	case 7:
		about_to(c, "open", -1, 0, 0);
		keep(c, K_DEV, open(opts.dev, O_RDWR | O_CLOEXEC));
		break;
	case 8:
		keep(c, K_VM,
		     call(c, fd, KVM_CREATE_VM,
			  rng_once_in(&c->rng, 6) ? rng_number(&c->rng) : 0));
		break;
	case 9:
	case 10:
		attach(c, fd);
		break;
	default:
		list_vms(c, fd);
		break;
	}
}

/* ---- VMs ---- */

/* KVM_SET_USER_MEMORY_REGION2, which the headers of Linux 6.1 lack. */
struct region2 {
	struct kvm_userspace_memory_region r;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};

#define SET_REGION2 _IOW(KVMIO, 0x49, struct region2)

static void memory_region(struct caller *c, int fd)
{
	static const uint64_t gpas[] = { 0, 0x200000, 0x40000000, GUEST_MMIO,
					 0xfffffffff000 };
	static const uint64_t sizes[] = { 0,	     PAGE_BYTES, 0x10000,
					  HELD_SIZE, 0x200000,	 RAM_SIZE };
	struct region2 *newer = zeroed(c, sizeof(*newer));
	struct kvm_userspace_memory_region *m = &newer->r;
	struct rng *r = &c->rng;

	m->slot = rng_once_in(r, 8) ? rng_below(r, 600) : rng_below(r, 4);
	if (m->slot == 0 && !rng_once_in(r, 4)) {
		/* RAM, as it was */
		m->memory_size = RAM_SIZE;
		m->userspace_addr = (uintptr_t)arena;
		m->flags = rng_below(r, 2);
	} else {
		static const uint64_t offs[] = { 0, 0x100000, ODD_OFF,
						 HELD_OFF };

		m->guest_phys_addr = gpas[rng_below(r, ARRAY_SIZE(gpas))];
		m->memory_size = sizes[rng_below(r, ARRAY_SIZE(sizes))];
		m->userspace_addr =
			(uintptr_t)arena + offs[rng_below(r, ARRAY_SIZE(offs))];
		if (rng_once_in(r, 8))
			m->memory_size = rng_number(r) & 0xffffff;
		if (rng_once_in(r, 8))
			m->guest_phys_addr = rng_number(r);
		m->flags = rng_below(r, 4);
		if (rng_once_in(r, 16))
			m->flags = rng_next(r);
	}
	/*
	 * Never call_with(): an address that random bits have changed may be
	 * one of the program's own.
	 */
	memcpy(c->scratch, newer, sizeof(*newer));
	call(c, fd,
	     rng_once_in(r, 4) ? SET_REGION2 : KVM_SET_USER_MEMORY_REGION,
	     (uintptr_t)c->scratch);
}

static void dirty_log(struct caller *c, int fd)
{
	struct kvm_dirty_log *d = zeroed(c, sizeof(*d));

	d->slot = rng_below(&c->rng, 5);
	rough(c, sizeof(*d));
	d->dirty_bitmap = (void *)out(c, 1024);
	call_as_is(c, fd, KVM_GET_DIRTY_LOG, sizeof(*d));
}

static void get_stats(struct caller *c, int fd)
{
	struct vigil_stats *s = zeroed(c, sizeof(*s));

	s->count = rng_below(&c->rng, 128);
	rough(c, sizeof(*s));
	s->values = out(c, 1024);
	s->names = rng_once_in(&c->rng, 3) ? 0 : out(c, 8192);
	call_as_is(c, fd, VIGIL_GET_STATS, sizeof(*s));
}

static void vm_call(struct caller *c)
{
	int fd = file_of(c, K_VM);
	struct kvm_enable_cap *cap;
	struct vigil_name *name;

	switch (rng_below(&c->rng, 16)) {
	case 0:
	case 1:
		keep(c, K_VCPU,
		     call(c, fd, KVM_CREATE_VCPU,
			  rng_once_in(&c->rng, 8) ? rng_number(&c->rng) :
						    rng_below(&c->rng, 6)));
		break;
	case 2:
	case 3:
		memory_region(c, fd);
		break;
	case 4:
	case 5:
		dirty_log(c, fd);
		break;
	case 6:
		call(c, fd, KVM_SET_NR_MMU_PAGES,
		     rng_once_in(&c->rng, 3) ? rng_number(&c->rng) :
					       64 + rng_below(&c->rng, 64));
		break;
	case 7:
		call(c, fd, KVM_GET_NR_MMU_PAGES, 0);
		break;
	case 8:
		call(c, fd, KVM_SET_TSS_ADDR, rng_number(&c->rng));
		call_with(c, fd, KVM_SET_GSI_ROUTING, 64);
		break;
	case 9:
		cap = zeroed(c, sizeof(*cap));
		cap->cap = rng_once_in(&c->rng, 4) ? rng_below(&c->rng, 250) :
						     KVM_CAP_EXIT_HYPERCALL;
		cap->args[0] = rng_number(&c->rng);
		call_with(c, fd, KVM_ENABLE_CAP, sizeof(*cap));
		break;
	case 10:
		call(c, fd, VIGIL_AUDIT, 0);
		break;
	case 11:
		call(c, fd, KVM_CHECK_EXTENSION, rng_below(&c->rng, 260));
		break;
	case 12:
		name = zeroed(c, sizeof(*name));
		memset(name->name, 'a' + rng_below(&c->rng, 26),
		       rng_below(&c->rng, VIGIL_NAME_LEN + 1));
		call_with(c, fd, VIGIL_SET_NAME, sizeof(*name));
		break;
	case 13:
		call(c, fd, VIGIL_SET_ATTACH, rng_below(&c->rng, 4));
		break;
	case 14:
		get_stats(c, fd);
		break;
	default:
		keep(c, K_MON,
		     call(c, fd, VIGIL_CREATE_MONITOR,
			  rng_once_in(&c->rng, 8) ? rng_number(&c->rng) :
						    rng_below(&c->rng, 4)));
		break;
	}
}

/* ---- vCPUs ---- */

static enum mode any_mode(struct caller *c)
{
	enum mode m = rng_below(&c->rng, NR_MODES);

	return has_mode[m] && !rng_once_in(&c->rng, 2) ? m : main_mode;
}

static void change_sregs(struct rng *r, struct kvm_sregs *s)
{
	struct kvm_segment *segs[] = { &s->cs, &s->ss, &s->ds,
				       &s->es, &s->fs, &s->gs };

	switch (rng_below(r, 9)) {
	case 0:
		s->cr0 ^= 1ull << rng_below(r, 64);
		break;
	case 1:
		s->cr4 ^= 1ull << rng_below(r, 64);
		break;
	case 2:
		s->efer ^= 1ull << rng_below(r, 64);
		break;
	case 3:
		s->cr3 = rng_number(r);
		break;
	case 4:
		s->cr8 = rng_number(r);
		break;
	case 5:
		s->gdt.base = rng_number(r);
		break;
	case 6:
		s->idt.base = rng_number(r);
		s->idt.limit = rng_next(r);
		break;
	case 7:
		rng_fill(r, s->interrupt_bitmap, sizeof(s->interrupt_bitmap));
		break;
	default:
		rng_segment(r, segs[rng_below(r, ARRAY_SIZE(segs))]);
		break;
	}
}

/* TR is the mode's own: see sregs_defuse(). */
static void set_sregs_call(struct caller *c, int fd)
{
	struct kvm_sregs *s = zeroed(c, sizeof(*s));
	unsigned int changes = rng_below(&c->rng, 3);
	enum mode m = any_mode(c);
	struct kvm_segment tr;

	*s = mode_state[m];
	tr = s->tr;
	while (changes--)
		change_sregs(&c->rng, s);
	s->tr = tr;
	sregs_defuse(s);
	memcpy(c->scratch, s, sizeof(*s));
	call(c, fd, KVM_SET_SREGS,
	     rng_once_in(&c->rng, 10) ? 1 : (uintptr_t)c->scratch);
}

static void set_regs_call(struct caller *c, int fd)
{
	struct kvm_regs *g = zeroed(c, sizeof(*g));
	struct rng *r = &c->rng;

	g->rax = rng_number(r);
	g->rbx = GUEST_FREE + rng_below(r, 0x10000);
	g->rcx = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, 4096);
	g->rdx = rng_number(r);
	g->rsi = GUEST_DATA + rng_below(r, 0x10000);
	g->rdi = rng_once_in(r, 3) ? rng_number(r) :
				     GUEST_FREE + rng_below(r, 0x10000);
	g->rsp = rng_once_in(r, 4) ? rng_number(r) : GUEST_STACK;
	g->rip = mode_entry(any_mode(c)) + rng_below(r, 0x200);
	if (rng_once_in(r, 8))
		g->rip = rng_number(r);
	g->rflags = RFLAGS_1;
	if (rng_once_in(r, 4))
		g->rflags |= rng_next(r);
	call_with(c, fd, KVM_SET_REGS, sizeof(*g));
}

static void msrs_call(struct caller *c, int fd)
{
	size_t len = sizeof(struct kvm_msrs) + 8 * sizeof(struct kvm_msr_entry);
	struct kvm_msrs *m = zeroed(c, len);
	struct rng *r = &c->rng;
	unsigned int i;

	m->nmsrs = rng_once_in(r, 8) ? rng_number(r) : rng_below(r, 9);
	for (i = 0; i < 8; i++) {
		static const uint32_t bases[] = { 0xc0000080, 0x170, 0x10,
						  0x200,      0x400, 0xc0010000,
						  0xc0000100, 0x2f0 };

		m->entries[i].index =
			rng_once_in(r, 8) ?
				rng_next(r) :
				bases[rng_below(r, ARRAY_SIZE(bases))] +
					rng_below(r, 32);
		m->entries[i].data = rng_number(r);
	}
	call_with(c, fd, rng_once_in(r, 2) ? KVM_GET_MSRS : KVM_SET_MSRS, len);
}

static void cpuid_call(struct caller *c, int fd)
{
	struct kvm_cpuid2 *id = (void *)c->args;

	if (rng_once_in(&c->rng, 2)) {
		zeroed(c, CALLS_ARGS);
		id->nent = rng_below(&c->rng, 200);
		call_with(c, fd, KVM_GET_CPUID2, 8 + 40 * 200);
		return;
	}
	memcpy(id, cpuid, cpuid_bytes);
	if (rng_once_in(&c->rng, 2))
		rng_flip(&c->rng, id, cpuid_bytes, 4);
	if (rng_once_in(&c->rng, 8))
		id->nent = rng_number(&c->rng);
	call_with(c, fd, KVM_SET_CPUID2, cpuid_bytes);
}

static void signal_mask(struct caller *c, int fd)
{
	struct kvm_signal_mask *m = zeroed(c, 12);
	uint64_t set = rng_next(&c->rng);

	if (rng_once_in(&c->rng, 4)) {
		call(c, fd, KVM_SET_SIGNAL_MASK, 0);
		return;
	}
	/* Without a tick a guest that spins runs until it is killed. */
	if (!rng_once_in(&c->rng, 16))
		set &= ~(1ull << (SIGALRM - 1));
	m->len = rng_once_in(&c->rng, 6) ? rng_below(&c->rng, 200) : 8;
	memcpy(m->sigset, &set, 8);
	call_with(c, fd, KVM_SET_SIGNAL_MASK, 12);
}

static void run_call(struct caller *c)
{
	unsigned int slot = slot_of(c, K_VCPU), times;
	struct kvm_run *run = (void *)(runs + slot * run_bytes);
	struct rng *r = &c->rng;
	int fd = fds[K_VCPU][slot];

	run->immediate_exit = rng_once_in(r, 8);
	run->request_interrupt_window = rng_once_in(r, 4);
	run->cr8 = rng_once_in(r, 16) ? rng_number(r) : rng_below(r, 16);
	run->kvm_valid_regs = rng_once_in(r, 32) ? rng_next(r) : 0;
	run->kvm_dirty_regs = rng_once_in(r, 32) ? rng_next(r) : 0;
	if (rng_once_in(r, 64))
		rng_fill(r, run, run_bytes);
	for (times = 1 + rng_below(r, 6); times; times--) {
		if (call(c, fd, KVM_RUN, rng_once_in(r, 64)) < 0) {
			/* Its files are open, so something ended the VM. */
			if (errno == EIO && !c->forked &&
			    fds[K_VCPU][slot] == fd)
				wrong(c, KVM_RUN, EIO);
			break;
		}
		/* Data for what was read, and for what comes. */
		rng_fill(r, run->mmio.data, sizeof(run->mmio.data));
		rng_fill(r, (uint8_t *)run + PAGE_BYTES, 64);
	}
}

static void vcpu_call(struct caller *c)
{
	int fd = file_of(c, K_VCPU);
	uint32_t *n = zeroed(c, sizeof(struct kvm_fpu));

	switch (rng_below(&c->rng, 18)) {
	case 0:
		call_with(c, fd, KVM_GET_REGS, sizeof(struct kvm_regs));
		break;
	case 1:
		set_regs_call(c, fd);
		break;
	case 2:
		call_with(c, fd, KVM_GET_SREGS, sizeof(struct kvm_sregs));
		break;
	case 3:
	case 4:
		set_sregs_call(c, fd);
		set_regs_call(c, fd);
		break;
	case 5:
		call_with(c, fd, KVM_GET_FPU, sizeof(struct kvm_fpu));
		break;
	case 6:
		rng_fill(&c->rng, n, sizeof(struct kvm_fpu));
		call_with(c, fd, KVM_SET_FPU, sizeof(struct kvm_fpu));
		break;
	case 7:
		msrs_call(c, fd);
		break;
	case 8:
		cpuid_call(c, fd);
		break;
	case 9:
		*n = rng_below(&c->rng, 3);
		call_with(c, fd,
			  rng_once_in(&c->rng, 2) ? KVM_GET_MP_STATE :
						    KVM_SET_MP_STATE,
			  4);
		break;
	case 10:
		signal_mask(c, fd);
		break;
	case 11:
		call(c, fd, KVM_GET_TSC_KHZ, 0);
		call(c, fd, KVM_NMI, 0);
		break;
	case 12:
		*(uint64_t *)n = rng_number(&c->rng);
		call_with(c, fd, KVM_TRANSLATE, sizeof(struct kvm_translation));
		break;
	case 13:
		*n = rng_below(&c->rng, 300);
		call_with(c, fd, KVM_INTERRUPT, 4);
		break;
	case 14:
		*(uint64_t *)n = rng_next(&c->rng);
		call_with(c, fd, KVM_X86_SETUP_MCE, 8);
		*(uint64_t *)n = rng_next(&c->rng);
		call_with(c, fd, KVM_X86_SET_MCE, sizeof(struct kvm_x86_mce));
		break;
	default:
		run_call(c);
		break;
	}
}

/* ---- monitors ---- */

static void watch_add(struct caller *c, int fd)
{
	static const uint64_t starts[] = { GUEST_FREE, GUEST_CODE,
					   GUEST_DATA, GUEST_STACK - 64,
					   GUEST_PT,   GUEST_GDT,
					   GUEST_HIGH, GUEST_MMIO };
	struct vigil_watch *w = zeroed(c, sizeof(*w));
	struct rng *r = &c->rng;

	w->start = rng_once_in(r, 8) ?
			   rng_number(r) :
			   starts[rng_below(r, ARRAY_SIZE(starts))] +
				   rng_below(r, 0x1000);
	w->len = rng_once_in(r, 8) ? rng_number(r) : 1 + rng_below(r, 0x3000);
	w->kind = rng_once_in(r, 4);
	w->cr3 = w->kind && rng_once_in(r, 2) ? mode_state[any_mode(c)].cr3 : 0;
	w->action = rng_below(r, 3);
	w->on_death = rng_below(r, 2);
	w->cookie = rng_next(r);
	if (!call_with(c, fd, VIGIL_WATCH_ADD, sizeof(*w)))
		watch_id[rng_below(r, ARRAY_SIZE(watch_id))] = w->id;
}

static void verdict(struct caller *c, int fd, uint64_t seq)
{
	struct vigil_verdict *v = zeroed(c, sizeof(*v));

	v->seq = seq;
	v->verdict = rng_below(&c->rng, 2);
	call_with(c, fd, VIGIL_VERDICT, sizeof(*v));
}

static void read_events(struct caller *c, int fd)
{
	struct vigil_event ev[4];
	ssize_t n, i;

	fcntl(fd, F_SETFL, rng_once_in(&c->rng, 4) ? 0 : O_NONBLOCK);
	about_to(c, "read", fd, 0, 0);
	if (rng_once_in(&c->rng, 6)) {
		void *at = (void *)pointer(c, sizeof(ev));

		n = read(fd, at, rng_below(&c->rng, 2000));
		return;
	}
	n = read(fd, ev, sizeof(ev));
	for (i = 0; i < n / (ssize_t)sizeof(ev[0]); i++) {
		if (!(ev[i].flags & VIGIL_EVENT_HELD))
			continue;
		if (rng_once_in(&c->rng, 4))
			held_seq[rng_below(&c->rng, ARRAY_SIZE(held_seq))] =
				ev[i].seq;
		else
			verdict(c, fd, ev[i].seq);
	}
}

static void read_mem(struct caller *c, int fd)
{
	struct vigil_mem *m = zeroed(c, sizeof(*m));
	struct rng *r = &c->rng;

	m->addr = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, RAM_SIZE);
	m->len = rng_once_in(r, 3) ? 1 + rng_below(r, 1 << 20) :
				     1 + rng_below(r, 4096);
	m->flags = rng_once_in(r, 4);
	m->cr3 = m->flags && rng_once_in(r, 2) ? mode_state[any_mode(c)].cr3 :
						 0;
	rough(c, sizeof(*m));
	m->buf = out(c, 4096);
	call_as_is(c, fd, VIGIL_READ_MEM, sizeof(*m));
}

static void mon_call(struct caller *c)
{
	int fd = file_of(c, K_MON);
	struct vigil_watch_list *l;
	struct pollfd p;
	uint32_t *n;

	switch (rng_below(&c->rng, 14)) {
	case 0:
	case 1:
	case 2:
		watch_add(c, fd);
		break;
	case 3:
		n = zeroed(c, 4);
		*n = watch_id[rng_below(&c->rng, ARRAY_SIZE(watch_id))];
		call_with(c, fd, VIGIL_WATCH_DEL, 4);
		break;
	case 4:
		l = zeroed(c, sizeof(*l));
		l->count = rng_below(&c->rng, VIGIL_MAX_WATCHES + 1);
		l->entry_size = sizeof(struct vigil_watch);
		l->entries = out(c, 16384);
		call_with(c, fd, VIGIL_WATCH_LIST, sizeof(*l));
		break;
	case 5:
		verdict(c, fd,
			held_seq[rng_below(&c->rng, ARRAY_SIZE(held_seq))]);
		break;
	case 6:
		read_mem(c, fd);
		break;
	case 7:
		n = zeroed(c, 8);
		n[0] = rng_below(&c->rng, 4);
		call_with(c, fd, VIGIL_GET_VCPU, 8);
		break;
	case 8:
		get_stats(c, fd);
		break;
	case 9:
		zeroed(c, sizeof(struct vigil_vm_info));
		call_with(c, fd, VIGIL_GET_INFO, sizeof(struct vigil_vm_info));
		break;
	case 10:
		p = (struct pollfd){ .fd = fd, .events = rng_next(&c->rng) };
		about_to(c, "poll", fd, 0, 0);
		poll(&p, 1, rng_below(&c->rng, 3));
		break;
	default:
		read_events(c, fd);
		break;
	}
}

/* ---- anything on any file; memory; processes ---- */

static uint32_t any_cmd(struct rng *r)
{
	static const uint32_t cmds[] = {
		KVM_GET_API_VERSION,
		KVM_CHECK_EXTENSION,
		KVM_GET_VCPU_MMAP_SIZE,
		KVM_GET_SUPPORTED_CPUID,
		KVM_GET_MSR_INDEX_LIST,
		KVM_X86_GET_MCE_CAP_SUPPORTED,
		KVM_CREATE_VCPU,
		KVM_GET_DIRTY_LOG,
		KVM_SET_NR_MMU_PAGES,
		KVM_SET_TSS_ADDR,
		KVM_SET_GSI_ROUTING,
		KVM_ENABLE_CAP,
		KVM_RUN,
		KVM_GET_REGS,
		KVM_SET_REGS,
		KVM_GET_SREGS,
		KVM_GET_FPU,
		KVM_SET_FPU,
		KVM_GET_MSRS,
		KVM_SET_MSRS,
		KVM_GET_CPUID2,
		KVM_SET_CPUID2,
		KVM_GET_MP_STATE,
		KVM_SET_MP_STATE,
		KVM_SET_SIGNAL_MASK,
		KVM_TRANSLATE,
		KVM_INTERRUPT,
		KVM_X86_SETUP_MCE,
		KVM_X86_SET_MCE,
		KVM_NMI,
		VIGIL_LIST_VMS,
		VIGIL_ATTACH,
		VIGIL_SET_NAME,
		VIGIL_SET_ATTACH,
		VIGIL_AUDIT,
		VIGIL_WATCH_ADD,
		VIGIL_WATCH_DEL,
		VIGIL_WATCH_LIST,
		VIGIL_VERDICT,
		VIGIL_READ_MEM,
		VIGIL_GET_VCPU,
		VIGIL_GET_STATS,
		VIGIL_GET_INFO,
	};

	if (rng_once_in(r, 4))
		return _IOC(rng_below(r, 4),
			    rng_once_in(r, 2) ? KVMIO : VIGIL_IOC,
			    rng_below(r, 0x100), rng_below(r, 64) * 8);
	return cmds[rng_below(r, ARRAY_SIZE(cmds))];
}

static void any_call(struct caller *c)
{
	enum kind kind = rng_below(&c->rng, NR_KINDS);
	unsigned int slot = rng_below(&c->rng, FILES);
	int fd = file_of(c, kind);
	void *p;

	switch (rng_below(&c->rng, 12)) {
	case 0:
		put_in(kind, slot, -1);
		break;
	case 1:
		about_to(c, "dup", fd, 0, 0);
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0)
			put_in(kind, slot, fd);
		break;
	case 2:
		about_to(c, "read", fd, 0, 1);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (read(fd, (void *)pointer(c, 500), 500) < 0)
			break;
		break;
	case 3:
		about_to(c, "write", fd, 0, 0);
		if (write(fd, c->scratch, rng_below(&c->rng, 500)) < 0)
			lseek(fd, rng_next(&c->rng), SEEK_SET);
		break;
	case 4:
		about_to(c, "mmap", fd, 0, 0);
		p = mmap(NULL, rng_below(&c->rng, 5) * PAGE_BYTES,
			 rng_below(&c->rng, 8), 1 + rng_below(&c->rng, 2), fd,
			 rng_below(&c->rng, 4) * PAGE_BYTES);
		if (p != MAP_FAILED)
			munmap(p, 4 * PAGE_BYTES);
		break;
	default:
		rng_fill(&c->rng, c->args, 512);
		call_with(c, fd, any_cmd(&c->rng), 512);
		break;
	}
}

static void memory(struct caller *c)
{
	static const int advice[] = { MADV_DONTNEED,   MADV_HUGEPAGE,
				      MADV_NOHUGEPAGE, MADV_MERGEABLE,
				      MADV_COLD,       MADV_PAGEOUT };
	struct rng *r = &c->rng;
	unsigned int page = rng_below(r, ODD_SIZE / PAGE_BYTES);
	unsigned int pages = 1 + rng_below(r, 8);
	uint8_t *at = arena + ODD_OFF + page * PAGE_BYTES;

	if (page + pages > ODD_SIZE / PAGE_BYTES)
		pages = ODD_SIZE / PAGE_BYTES - page;
	about_to(c, "memory", -1, 0, page);
	switch (rng_below(r, 8)) {
	case 0:
		madvise(at, pages * PAGE_BYTES, advice[rng_below(r, 6)]);
		break;
	case 1:
		mprotect(at, pages * PAGE_BYTES, rng_below(r, 4));
		break;
	case 2:
		mmap(at, pages * PAGE_BYTES, rng_below(r, 4),
		     MAP_ANONYMOUS | MAP_FIXED | 1 << rng_below(r, 2), -1, 0);
		break;
	case 3: /* withheld again */
		madvise(arena + HELD_OFF, HELD_SIZE, MADV_DONTNEED);
		break;
	case 4:
		madvise(arena + GUEST_FREE, 0x10000, advice[rng_below(r, 6)]);
		break;
	case 5:
		rng_code(r, arena + GUEST_CODE, 0x400);
		break;
	case 6: /* an entry of a guest's table */
		*(volatile uint64_t *)(arena + GUEST_PT +
				       (rng_next(r) & 0xfff8)) =
			(rng_next(r) & 0x3ff000) | (rng_next(r) & 0xfff);
		break;
	default:
		rng_fill(r, arena + GUEST_FREE + rng_below(r, 0xff00), 64);
		break;
	}
}

static void processes(struct caller *c)
{
	struct itimerval tick = { { 0, 5000 }, { 0, 5000 } };
	unsigned int n = rng_below(&c->rng, 12);
	pid_t parent = getpid(), pid;
	cpu_set_t cpus;

	if (c->forked || !rng_once_in(&c->rng, 3)) {
		CPU_ZERO(&cpus);
		CPU_SET(rng_below(&c->rng, 2), &cpus);
		if (rng_once_in(&c->rng, 2))
			CPU_SET(0, &cpus), CPU_SET(1, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		return;
	}
	about_to(c, "fork", -1, 0, n);
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		/* A read or a guest that waits goes on with the tick. */
		setitimer(ITIMER_REAL, &tick, NULL);
		c->forked = true;
		while (n--)
			calls_make(c);
		_exit(0);
	}
	if (rng_once_in(&c->rng, 2))
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void calls_make(struct caller *c)
{
	unsigned int what = rng_below(&c->rng, 100);

	if (what < 12)
		dev_call(c);
	else if (what < 30)
		vm_call(c);
	else if (what < 60)
		vcpu_call(c);
	else if (what < 82)
		mon_call(c);
	else if (what < 90)
		any_call(c);
	else if (what < 98)
		memory(c);
	else
		processes(c);
}

/* ---- the beginning ---- */

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
		.range = { (uintptr_t)arena + HELD_OFF, HELD_SIZE },
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
		compat_ioctl(-1, 0, 0);
		_exit(errno == EBADF ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static void prepare_memory(void)
{
	/* 32-bit programs, whose calls are made too, have only such addresses. */
	arena = mmap(NULL, ARENA_SIZE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT,
		     -1, 0);
	if (arena == MAP_FAILED ||
	    mprotect(arena, RAM_SIZE, PROT_READ | PROT_WRITE) ||
	    mprotect(arena + ODD_OFF, ODD_SIZE, PROT_READ | PROT_WRITE) ||
	    mprotect(arena + HELD_OFF, HELD_SIZE, PROT_READ | PROT_WRITE) ||
	    mprotect(arena + OUT_OFF, OUT_SIZE, PROT_READ | PROT_WRITE))
		ERROR("memory: errno %d", errno);
}

/* A VM with two vCPUs, whose RAM has tables for every mode. */
void calls_prepare(struct rng *r, bool serve)
{
	struct vm *vm;
	unsigned int i;

	has_int80 = probe_int80();
	prepare_memory();
	memset(fds, 0xff, sizeof(fds));
	vm = vm_create_bare();
	vm->ram = arena;
	vm->ram_size = RAM_SIZE;
	vm_slot(vm, 0, 0, RAM_SIZE, arena, 0);
	run_bytes = vm->run_size;
	runs = ram_alloc(FILES * run_bytes);
	cpuid = supported_cpuid(vm->dev);
	cpuid_bytes = sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]);
	for (i = 0; i < 2; i++) {
		struct vcpu *v = vcpu_create(vm);

		put_in(K_VCPU, i, v->fd);
		get_sregs(v, &mode_state[0]);
	}
	for (i = 0; i < NR_MODES; i++) {
		mode_state[i] = mode_state[0];
		has_mode[i] = dev_has_mode(i) &&
			      !(i == M_VM86 && test_without_vm86());
		if (has_mode[i])
			mode_sregs(vm, i, &mode_state[i]);
	}
	do {
		main_mode = rng_below(r, NR_MODES);
	} while (!has_mode[main_mode]);
	vm_tables(vm, main_mode);
	for (i = 0; i < 2; i++) {
		struct kvm_regs regs = {
			.rip = mode_entry(main_mode),
			.rsp = i ? GUEST_STACK_AP : GUEST_STACK,
			.rbx = GUEST_FREE,
			.rdi = GUEST_FREE,
			.rsi = GUEST_DATA,
			.rflags = RFLAGS_1,
		};

		if (main_mode == M_VM86)
			regs.rflags |= RFLAGS_VM | RFLAGS_IOPL;
		set_sregs(vm->vcpu[i], &mode_state[main_mode]);
		set_regs(vm->vcpu[i], &regs);
	}
	rng_code(r, arena + GUEST_CODE, 0x400);
	put_in(K_DEV, 0, vm->dev);
	put_in(K_VM, 0, vm->fd);
	put_in(K_MON, 0, ioctl(vm->fd, VIGIL_CREATE_MONITOR, 0));
	withhold(serve);
}
