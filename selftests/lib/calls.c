// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls on the files of /dev/vigil.
 *
 * Nothing here takes a lock of the C library after calls_prepare(): a process
 * that is forked while another thread holds one would wait for ever.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vigil.h>

#include "calls_priv.h"

/* The last events and watches, of any monitor. */
static uint64_t held_seq[8];
static uint32_t watch_id[8];
#define LIST_CONDITIONS 64
#define LIST_WATCHES 256
/* Conditions of a watch, which other threads change meanwhile. */
static struct vigil_condition conditions[VIGIL_MAX_CONDITIONS + 1];

/* ---- files ---- */

/* Where a file of this kind is open, or where none is. */
unsigned int calls_slot(struct caller *c, enum kind kind)
{
	unsigned int i, slot = rng_below(&c->rng, FILES);

	for (i = 0; i < FILES; i++, slot = (slot + 1) % FILES)
		if (__atomic_load_n(&calls_world.fds[kind][slot],
				    __ATOMIC_RELAXED) >= 0)
			break;
	return slot;
}

int calls_file(struct caller *c, enum kind kind)
{
	/* Sometimes a file of another kind, or none. */
	if (rng_once_in(&c->rng, 40))
		kind = rng_below(&c->rng, NR_KINDS);
	if (rng_once_in(&c->rng, 200))
		return -1;
	return __atomic_load_n(&calls_world.fds[kind][calls_slot(c, kind)],
			       __ATOMIC_RELAXED);
}

static void map_run(unsigned int slot, int fd)
{
	uint8_t *at = calls_world.runs + slot * calls_world.run_bytes;

	if (fd < 0 || mmap(at, calls_world.run_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		mmap(at, calls_world.run_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void calls_put(enum kind kind, unsigned int slot, int fd)
{
	int old = __atomic_exchange_n(&calls_world.fds[kind][slot], fd,
				      __ATOMIC_RELAXED);

	if (kind == K_VCPU)
		map_run(slot, fd);
	if (old >= 0)
		close(old);
}

static void keep(struct caller *c, enum kind kind, long fd)
{
	if (fd >= 0)
		calls_put(kind, rng_below(&c->rng, FILES), fd);
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
		return (uintptr_t)calls_world.arena + HELD_OFF +
		       rng_below(&c->rng, HELD_SIZE);
	case 5:
		return (uintptr_t)calls_world.arena + ODD_OFF +
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
					 (uintptr_t)calls_world.arena + OUT_OFF;
}

long calls_compat_ioctl(int fd, unsigned int cmd, unsigned long arg)
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
	/* A write by a monitor to a slot that is read-only */
	case EROFS:
	/* An MSR that cannot be watched, or a verdict that an event cannot have */
	case EOPNOTSUPP:
	/* The auditor finds tables that the VMM itself has changed. */
	case EUCLEAN:
		return true;
	default:
		return false;
	}
}

void calls_wrong(struct caller *c, uint32_t cmd, int err)
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

long calls_ioctl(struct caller *c, int fd, unsigned int cmd, unsigned long arg)
{
	long ret;

	about_to(c, "ioctl", fd, cmd, arg);
	if (calls_world.has_int80 && arg <= UINT32_MAX &&
	    rng_once_in(&c->rng, 10))
		ret = calls_compat_ioctl(fd, cmd, arg);
	else
		ret = ioctl(fd, cmd, arg);
	if (ret < 0 && !may_fail_with(errno))
		calls_wrong(c, cmd, errno);
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
	ret = calls_ioctl(c, fd, cmd, at);
	if (ret >= 0 && at == base)
		memcpy(c->args, c->scratch, len);
	return ret;
}

/*
 * Not for an argument with a pointer in it, which a few wrong bits could turn
 * into an address of the program's own.
 */
long calls_ioctl_with(struct caller *c, int fd, unsigned int cmd, size_t len)
{
	rough(c, len);
	return call_as_is(c, fd, cmd, len);
}

void *calls_zeroed(struct caller *c, size_t len)
{
	return memset(c->args, 0, len);
}

/* ---- the device ---- */

static void list_vms(struct caller *c, int fd)
{
	struct vigil_vm_list *l = calls_zeroed(c, sizeof(*l));
	struct vigil_vm_info *info = (void *)(calls_world.arena + OUT_OFF);

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
	struct vigil_attach *a = calls_zeroed(c, sizeof(*a));

	a->vm_id = c->shared->vm_id[rng_below(&c->rng, CALLS_VMS)];
	a->flags = rng_below(&c->rng, 3);
	keep(c, K_MON, calls_ioctl_with(c, fd, VIGIL_ATTACH, sizeof(*a)));
}

static void dev_call(struct caller *c)
{
	int fd = calls_file(c, K_DEV);
	uint32_t *n = calls_zeroed(c, CALLS_ARGS);

	switch (rng_below(&c->rng, 12)) {
	case 0:
		calls_ioctl(c, fd, KVM_GET_API_VERSION,
			    rng_once_in(&c->rng, 4));
		break;
	case 1:
		calls_ioctl(c, fd, KVM_CHECK_EXTENSION,
			    rng_below(&c->rng, 260));
		break;
	case 2:
		calls_ioctl(c, fd, KVM_GET_VCPU_MMAP_SIZE,
			    rng_once_in(&c->rng, 4));
		break;
	case 3:
		*n = rng_below(&c->rng, 160);
		calls_ioctl_with(c, fd, KVM_GET_SUPPORTED_CPUID, 8 + 40 * 160);
		break;
	case 4:
		*n = rng_below(&c->rng, 400);
		calls_ioctl_with(c, fd, KVM_GET_MSR_INDEX_LIST, 4 + 4 * 400);
		break;
	case 5:
		calls_ioctl_with(c, fd, KVM_X86_GET_MCE_CAP_SUPPORTED, 8);
		break;
	case 6:
		calls_ioctl(c, fd, VIGIL_GET_VERSION, rng_once_in(&c->rng, 4));
		break;
	case 7:
		about_to(c, "open", -1, 0, 0);
		keep(c, K_DEV, open(opts.dev, O_RDWR | O_CLOEXEC));
		break;
	case 8:
		keep(c, K_VM,
		     calls_ioctl(c, fd, KVM_CREATE_VM,
				 rng_once_in(&c->rng, 6) ? rng_number(&c->rng) :
							   0));
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
	struct region2 *newer = calls_zeroed(c, sizeof(*newer));
	struct kvm_userspace_memory_region *m = &newer->r;
	struct rng *r = &c->rng;

	m->slot = rng_once_in(r, 8) ? rng_below(r, 600) : rng_below(r, 4);
	if (m->slot == 0 && !rng_once_in(r, 4)) {
		/* RAM, as it was */
		m->memory_size = RAM_SIZE;
		m->userspace_addr = (uintptr_t)calls_world.arena;
		m->flags = rng_below(r, 2);
	} else {
		static const uint64_t offs[] = { 0, 0x100000, ODD_OFF,
						 HELD_OFF };

		m->guest_phys_addr = gpas[rng_below(r, ARRAY_SIZE(gpas))];
		m->memory_size = sizes[rng_below(r, ARRAY_SIZE(sizes))];
		m->userspace_addr = (uintptr_t)calls_world.arena +
				    offs[rng_below(r, ARRAY_SIZE(offs))];
		if (rng_once_in(r, 8))
			m->memory_size = rng_number(r) & 0xffffff;
		if (rng_once_in(r, 8))
			m->guest_phys_addr = rng_number(r);
		m->flags = rng_below(r, 4);
		if (rng_once_in(r, 16))
			m->flags = rng_next(r);
	}
	/*
	 * Never calls_ioctl_with(): an address that random bits have changed may be
	 * one of the program's own.
	 */
	memcpy(c->scratch, newer, sizeof(*newer));
	calls_ioctl(c, fd,
		    rng_once_in(r, 4) ? SET_REGION2 :
					KVM_SET_USER_MEMORY_REGION,
		    (uintptr_t)c->scratch);
}

static void dirty_log(struct caller *c, int fd)
{
	struct kvm_dirty_log *d = calls_zeroed(c, sizeof(*d));

	d->slot = rng_below(&c->rng, 5);
	rough(c, sizeof(*d));
	d->dirty_bitmap = (void *)out(c, 1024);
	call_as_is(c, fd, KVM_GET_DIRTY_LOG, sizeof(*d));
}

static void get_stats(struct caller *c, int fd)
{
	struct vigil_stats *s = calls_zeroed(c, sizeof(*s));

	s->count = rng_below(&c->rng, 128);
	rough(c, sizeof(*s));
	s->values = out(c, 1024);
	s->names = rng_once_in(&c->rng, 3) ? 0 : out(c, 8192);
	call_as_is(c, fd, VIGIL_GET_STATS, sizeof(*s));
}

/* Mostly a policy that a guest can do something with. */
static void hypercalls(struct caller *c, int fd)
{
	struct vigil_hypercalls *h = calls_zeroed(c, sizeof(*h));
	struct rng *r = &c->rng;

	if (rng_once_in(r, 4)) {
		calls_ioctl_with(c, fd, VIGIL_GET_HYPERCALLS, sizeof(*h));
		return;
	}
	h->flags = VIGIL_HC_PAGE | rng_below(r, 8) | rng_below(r, 4) << 4;
	h->msr = 0x40000000 + rng_below(r, 2);
	h->max_iopl = rng_below(r, 4);
	h->iopl = rng_below(r, h->max_iopl + 1);
	h->refuse = rng_below(r, 2);
	h->kernel = 1ull << 13 | 1ull << 29 |
		    1ull << VIGIL_HYPERVISOR_set_hypercall_iopl;
	h->user_max = rng_next(r) & 0xffffffff;
	h->user = rng_next(r) & h->user_max;
	calls_ioctl_with(c, fd, VIGIL_SET_HYPERCALLS, sizeof(*h));
}

static void msr_filter(struct caller *c, int fd)
{
	struct kvm_msr_filter *f = calls_zeroed(c, sizeof(*f));
	struct rng *r = &c->rng;
	unsigned int i;

	f->flags = rng_once_in(r, 4);
	rough(c, sizeof(*f));
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		f->ranges[i].flags = rng_below(r, 4);
		f->ranges[i].base = 0xc0000080 + rng_below(r, 0x200);
		f->ranges[i].nmsrs = rng_once_in(r, 3) ? rng_below(r, 300) : 0;
		f->ranges[i].bitmap = (void *)pointer(c, 64);
	}
	call_as_is(c, fd, KVM_X86_SET_MSR_FILTER, sizeof(*f));
}

static void vm_call(struct caller *c)
{
	int fd = calls_file(c, K_VM);
	struct kvm_enable_cap *cap;
	struct vigil_name *name;

	switch (rng_below(&c->rng, 18)) {
	case 0:
	case 1:
		keep(c, K_VCPU,
		     calls_ioctl(c, fd, KVM_CREATE_VCPU,
				 rng_once_in(&c->rng, 8) ?
					 rng_number(&c->rng) :
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
		calls_ioctl(c, fd, KVM_SET_NR_MMU_PAGES,
			    rng_once_in(&c->rng, 3) ?
				    rng_number(&c->rng) :
				    64 + rng_below(&c->rng, 64));
		break;
	case 7:
		calls_ioctl(c, fd, KVM_GET_NR_MMU_PAGES, 0);
		break;
	case 8:
		calls_ioctl(c, fd, KVM_SET_TSS_ADDR, rng_number(&c->rng));
		calls_ioctl_with(c, fd, KVM_SET_GSI_ROUTING, 64);
		break;
	case 9:
		cap = calls_zeroed(c, sizeof(*cap));
		cap->cap =
			rng_once_in(&c->rng, 4) ? rng_below(&c->rng, 250) :
			rng_once_in(&c->rng, 2) ? KVM_CAP_X86_USER_SPACE_MSR :
						  KVM_CAP_EXIT_HYPERCALL;
		cap->args[0] = rng_number(&c->rng);
		calls_ioctl_with(c, fd, KVM_ENABLE_CAP, sizeof(*cap));
		break;
	case 10:
		calls_ioctl(c, fd, VIGIL_AUDIT, 0);
		break;
	case 11:
		calls_ioctl(c, fd, KVM_CHECK_EXTENSION,
			    rng_below(&c->rng, 260));
		break;
	case 12:
		name = calls_zeroed(c, sizeof(*name));
		memset(name->name, 'a' + rng_below(&c->rng, 26),
		       rng_below(&c->rng, VIGIL_NAME_LEN + 1));
		calls_ioctl_with(c, fd, VIGIL_SET_NAME, sizeof(*name));
		break;
	case 13:
		calls_ioctl(c, fd, VIGIL_SET_ATTACH, rng_below(&c->rng, 4));
		break;
	case 14:
		get_stats(c, fd);
		break;
	case 15:
		hypercalls(c, fd);
		break;
	case 16:
		msr_filter(c, fd);
		break;
	default:
		keep(c, K_MON,
		     calls_ioctl(c, fd, VIGIL_CREATE_MONITOR,
				 rng_once_in(&c->rng, 8) ?
					 rng_number(&c->rng) :
					 rng_below(&c->rng, 4)));
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
	static const uint32_t msrs[] = { 0x174, 0x176, 0xc0000080, 0xc0000082,
					 0xc0000102 };
	struct vigil_watch *w = calls_zeroed(c, sizeof(*w));
	struct rng *r = &c->rng;

	w->start = rng_once_in(r, 8) ?
			   rng_number(r) :
			   starts[rng_below(r, ARRAY_SIZE(starts))] +
				   rng_below(r, 0x1000);
	w->len = rng_once_in(r, 8) ? rng_number(r) : 1 + rng_below(r, 0x3000);
	w->kind = rng_once_in(r, 4);
	w->cr3 = w->kind && rng_once_in(r, 2) ?
			 calls_world.mode_state[calls_any_mode(c)].cr3 :
			 0;
	w->action = rng_below(r, 3);
	w->on_death = rng_below(r, 2);
	w->cookie = rng_next(r);
	if (rng_once_in(r, 6)) {
		w->kind = VIGIL_WATCH_CONTROL;
		w->start = rng_below(r, VIGIL_CONTROL_HYPERCALL + 2);
		if (w->start == VIGIL_CONTROL_MSR)
			w->start = VIGIL_CONTROL_OF_MSR(
				msrs[rng_below(r, ARRAY_SIZE(msrs))]);
		if (w->start == VIGIL_CONTROL_HYPERCALL)
			w->start = VIGIL_CONTROL_OF_CALL(rng_below(r, 64));
		w->len = 1;
		w->cr3 = 0;
	}
	if (rng_once_in(r, 3)) {
		w->nr_conditions = rng_below(r, ARRAY_SIZE(conditions) + 1);
		w->conditions = rng_once_in(r, 8) ? pointer(c, 1024) :
						    (uintptr_t)conditions;
		rng_conditions(r, w, conditions, ARRAY_SIZE(conditions));
		if (rng_once_in(r, 4))
			rng_flip(r, conditions, sizeof(conditions), 2);
	}
	if (!calls_ioctl_with(c, fd, VIGIL_WATCH_ADD, sizeof(*w)))
		watch_id[rng_below(r, ARRAY_SIZE(watch_id))] = w->id;
}

static void verdict(struct caller *c, int fd, uint64_t seq)
{
	struct vigil_verdict *v = calls_zeroed(c, sizeof(*v));

	v->seq = seq;
	v->verdict = rng_below(&c->rng, VIGIL_VERDICT_KILL);
	if (v->verdict == VIGIL_VERDICT_REPLACE)
		v->len = rng_below(&c->rng, 10);
	calls_ioctl_with(c, fd, VIGIL_VERDICT, sizeof(*v));
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
	struct vigil_mem *m = calls_zeroed(c, sizeof(*m));
	struct rng *r = &c->rng;

	m->addr = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, RAM_SIZE);
	m->len = rng_once_in(r, 3) ? 1 + rng_below(r, 1 << 20) :
				     1 + rng_below(r, 4096);
	m->flags = rng_once_in(r, 4);
	m->cr3 = m->flags && rng_once_in(r, 2) ?
			 calls_world.mode_state[calls_any_mode(c)].cr3 :
			 0;
	rough(c, sizeof(*m));
	m->buf = out(c, 4096);
	call_as_is(c, fd, VIGIL_READ_MEM, sizeof(*m));
}

static void translate(struct caller *c, int fd)
{
	struct vigil_translation *t = calls_zeroed(c, sizeof(*t));
	struct rng *r = &c->rng;

	t->gva = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, RAM_SIZE);
	t->cr3 = rng_once_in(r, 2) ?
			 calls_world.mode_state[calls_any_mode(c)].cr3 :
			 0;
	rough(c, sizeof(*t));
	call_as_is(c, fd, VIGIL_TRANSLATE, sizeof(*t));
}

static void write_mem(struct caller *c, int fd)
{
	struct vigil_mem *m = calls_zeroed(c, sizeof(*m));
	struct rng *r = &c->rng;

	m->addr = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, RAM_SIZE);
	m->len = 1 + rng_below(r, 64);
	m->flags = rng_once_in(r, 4);
	rough(c, sizeof(*m));
	m->buf = out(c, 4096);
	call_as_is(c, fd, VIGIL_WRITE_MEM, sizeof(*m));
}

/* A vCPU stands still and gets registers of any mode, and perhaps any value somewhere. */
static void pause_and_set(struct caller *c, int fd)
{
	struct vigil_vcpu_state *s;
	struct rng *r = &c->rng;
	struct vigil_pause *p;
	uint32_t vcpu;

	vcpu = rng_once_in(r, 2) ? VIGIL_PAUSE_ALL : rng_below(r, 4);
	p = calls_zeroed(c, sizeof(*p));
	p->vcpu = vcpu;
	calls_ioctl_with(c, fd, VIGIL_PAUSE_VCPUS, sizeof(*p));
	s = calls_zeroed(c, sizeof(*s));
	s->sregs = calls_world.mode_state[calls_any_mode(c)];
	s->flags = rng_below(r, 4);
	rough(c, sizeof(*s));
	s->vcpu = rng_below(r, 4);
	call_as_is(c, fd, VIGIL_SET_VCPU, sizeof(*s));
	/* The others are to find a VM that runs. */
	p = calls_zeroed(c, sizeof(*p));
	p->vcpu = VIGIL_PAUSE_ALL;
	call_as_is(c, fd, VIGIL_RESUME_VCPUS, sizeof(*p));
}

static void read_change(struct caller *c, int fd)
{
	struct vigil_change *m = calls_zeroed(c, sizeof(*m));
	struct rng *r = &c->rng;

	m->seq = held_seq[rng_below(r, ARRAY_SIZE(held_seq))];
	m->offset = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, 4096);
	m->len = rng_below(r, 4096);
	rough(c, sizeof(*m));
	m->buf = out(c, 4096);
	call_as_is(c, fd, VIGIL_READ_CHANGE, sizeof(*m));
}

/* It works once, before the first watch; any_call() maps the ring. */
static void set_queue(struct caller *c, int fd)
{
	struct vigil_queue *q = calls_zeroed(c, sizeof(*q));
	struct rng *r = &c->rng;

	q->events = rng_once_in(r, 4) ? rng_number(r) : 1u << rng_below(r, 12);
	q->flags = rng_below(r, 4);
	calls_ioctl_with(c, fd, VIGIL_SET_QUEUE, sizeof(*q));
}

static void mon_call(struct caller *c)
{
	int fd = calls_file(c, K_MON);
	struct vigil_watch_list *l;
	struct pollfd p;
	uint32_t *n;

	switch (rng_below(&c->rng, 19)) {
	case 18:
		pause_and_set(c, fd);
		break;
	case 17:
		write_mem(c, fd);
		break;
	case 16:
		set_queue(c, fd);
		break;
	case 15:
		read_change(c, fd);
		break;
	case 14:
		hypercalls(c, fd);
		break;
	case 0:
	case 1:
	case 2:
		watch_add(c, fd);
		break;
	case 3:
		n = calls_zeroed(c, 4);
		*n = watch_id[rng_below(&c->rng, ARRAY_SIZE(watch_id))];
		calls_ioctl_with(c, fd, VIGIL_WATCH_DEL, 4);
		break;
	case 4:
		l = calls_zeroed(c, sizeof(*l));
		l->entry_size = sizeof(struct vigil_watch);
		l->nr_conditions = rng_below(&c->rng, LIST_CONDITIONS + 1);
		rough(c, sizeof(*l));
		l->count %= LIST_WATCHES + 1;
		l->nr_conditions %= LIST_CONDITIONS + 1;
		l->entries = out(c, LIST_WATCHES * sizeof(struct vigil_watch));
		l->conditions =
			rng_once_in(&c->rng, 4) ?
				0 :
				out(c, LIST_CONDITIONS * sizeof(conditions[0]));
		call_as_is(c, fd, VIGIL_WATCH_LIST, sizeof(*l));
		break;
	case 5:
		verdict(c, fd,
			held_seq[rng_below(&c->rng, ARRAY_SIZE(held_seq))]);
		break;
	case 6:
		if (rng_once_in(&c->rng, 3))
			translate(c, fd);
		else
			read_mem(c, fd);
		break;
	case 7:
		n = calls_zeroed(c, 8);
		n[0] = rng_below(&c->rng, 4);
		calls_ioctl_with(c, fd, VIGIL_GET_VCPU, 8);
		break;
	case 8:
		get_stats(c, fd);
		break;
	case 9:
		calls_zeroed(c, sizeof(struct vigil_vm_info));
		calls_ioctl_with(c, fd, VIGIL_GET_INFO,
				 sizeof(struct vigil_vm_info));
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
		VIGIL_READ_CHANGE,
		VIGIL_SET_QUEUE,
		VIGIL_RESUME,
		VIGIL_READ_MEM,
		VIGIL_GET_VCPU,
		VIGIL_SET_VCPU,
		VIGIL_WRITE_MEM,
		VIGIL_TRANSLATE,
		VIGIL_RESUME_VCPUS,
		VIGIL_GET_STATS,
		VIGIL_GET_INFO,
		VIGIL_GET_HYPERCALLS,
		VIGIL_SET_HYPERCALLS,
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
	int fd = calls_file(c, kind);
	size_t len;
	void *p;

	switch (rng_below(&c->rng, 12)) {
	case 0:
		calls_put(kind, slot, -1);
		break;
	case 1:
		about_to(c, "dup", fd, 0, 0);
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0)
			calls_put(kind, slot, fd);
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
		len = rng_below(&c->rng, 5) * PAGE_BYTES;
		p = mmap(NULL, len, rng_below(&c->rng, 8),
			 1 + rng_below(&c->rng, 2), fd,
			 rng_below(&c->rng, 4) * PAGE_BYTES);
		/* No more than that: the stack of a thread may lie behind it. */
		if (p != MAP_FAILED)
			munmap(p, len);
		break;
	default:
		rng_fill(&c->rng, c->args, 512);
		calls_ioctl_with(c, fd, any_cmd(&c->rng), 512);
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
	uint8_t *at = calls_world.arena + ODD_OFF + page * PAGE_BYTES;

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
		madvise(calls_world.arena + HELD_OFF, HELD_SIZE, MADV_DONTNEED);
		break;
	case 4:
		madvise(calls_world.arena + GUEST_FREE, 0x10000,
			advice[rng_below(r, 6)]);
		break;
	case 5:
		rng_code(r, calls_world.arena + GUEST_CODE, 0x400);
		break;
	case 6: /* an entry of a guest's table */
		*(volatile uint64_t *)(calls_world.arena + GUEST_PT +
				       (rng_next(r) & 0xfff8)) =
			(rng_next(r) & 0x3ff000) | (rng_next(r) & 0xfff);
		break;
	default:
		rng_fill(r,
			 calls_world.arena + GUEST_FREE + rng_below(r, 0xff00),
			 64);
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
		calls_vcpu(c);
	else if (what < 82)
		mon_call(c);
	else if (what < 90)
		any_call(c);
	else if (what < 98)
		memory(c);
	else
		processes(c);
}
