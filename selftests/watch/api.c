// SPDX-License-Identifier: GPL-2.0
/* Finding VMs, what a monitor may ask, and bad arguments. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "mon.h"

DECLARE_PAYLOAD(wloop);
DECLARE_PAYLOAD(wforever);

static struct vcpu *start(int *mon)
{
	struct vcpu *v = START(M_LONG, wloop);

	*mon = mon_open(v->vm);
	return v;
}

static void list(long arg)
{
	struct vigil_vm_info info;
	struct vcpu *v;
	int mon;

	v = start(&mon);
	set_name(v->vm, "watch-api-list");
	CHECK_EQ(ioctl(v->vm->dev, VIGIL_GET_VERSION, 0), VIGIL_API_VERSION);
	REQUIRE_EQ(find_vm(v->vm->dev, "watch-api-list", &info), true);
	CHECK_EQ(info.pid, getpid());
	CHECK_EQ(info.uid, geteuid());
	CHECK_EQ(info.nr_vcpus, 1);
	CHECK_EQ(info.nr_monitors, 1);
	CHECK_EQ(info.mem_bytes, v->vm->ram_size);
	CHECK_EQ(info.flags, 0);
	CHECK(info.id && info.start_ns);
	close(mon);
	REQUIRE_EQ(find_vm(v->vm->dev, "watch-api-list", &info), true);
	CHECK_EQ(info.nr_monitors, 0);
	vm_destroy(v->vm);
}

static void names(long arg)
{
	static const char *const bad[] = { "",	  "a/b",  "a b",
					   "a\n", "\x7f", "\xe4" };
	struct vcpu *v;
	struct vigil_name n;
	int mon;

	v = start(&mon);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&n, 0, sizeof(n));
		strcpy(n.name, bad[i]);
		CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_SET_NAME, &n), EINVAL);
	}
	memset(&n, 'x', sizeof(n)); /* no terminating NUL */
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_SET_NAME, &n), EINVAL);
	CHECK_ERRNO(ioctl(v->vm->fd, VIGIL_SET_NAME, NULL), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

static unsigned int nr_watches(int mon)
{
	struct vigil_watch_list l = { .entry_size =
					      sizeof(struct vigil_watch) };

	if (ioctl(mon, VIGIL_WATCH_LIST, &l))
		ERROR("VIGIL_WATCH_LIST: errno %d", errno);
	return l.count;
}

static void bad_watches(long arg)
{
	const struct vigil_watch good = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	struct vigil_watch w;
	struct vcpu *v;
	uint32_t id;
	int mon;

#define BAD(err, ...)                                              \
	do {                                                       \
		w = good;                                          \
		__VA_ARGS__;                                       \
		CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), err); \
	} while (0)

	v = start(&mon);
	BAD(EINVAL, w.len = 0);
	BAD(EINVAL, w.len = (16 << 20) + 1);
	BAD(EINVAL, w.len = ~0ull);
	BAD(EINVAL, w.start = ~0ull; w.len = 2);
	BAD(EINVAL, w.start = 1ull << 52);
	BAD(EINVAL, w.start = (1ull << 52) - 1; w.len = 2);
	BAD(EINVAL, w.kind = 2); /* no such control */
	BAD(EINVAL, w.kind = 3);
	BAD(EINVAL, w.action = 3);
	BAD(EINVAL, w.on_death = 2);
	BAD(EINVAL, w.cr3 = 0x1000); /* a physical range has no CR3 */
	BAD(EINVAL, w.kind = VIGIL_WATCH_GVA; w.start = 1ull << 60);
	BAD(EINVAL, w.kind = VIGIL_WATCH_GVA; w.start = 1ull << 56);
	BAD(EINVAL, w.kind = VIGIL_WATCH_GVA; w.start = (1ull << 56) - 1;
	    w.len = 2);
	BAD(EINVAL, w.kind = VIGIL_WATCH_GVA; w.cr3 = 1ull << 52);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, NULL), EFAULT);
	CHECK_EQ(nr_watches(mon), 0);

	id = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_DEL, &id), ENOENT);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_DEL, NULL), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

static void limits(long arg)
{
	static struct vigil_watch all[VIGIL_MAX_WATCHES];
	struct vigil_watch w;
	struct vigil_watch_list l = {
		.count = VIGIL_MAX_WATCHES,
		.entry_size = sizeof(w),
		.entries = (uintptr_t)all,
	};
	struct vcpu *v;
	int mon;

	v = start(&mon);
	for (unsigned int i = 0; i < VIGIL_MAX_WATCHES; i++)
		mon_watch(mon, PAGE + i * 8, 8, VIGIL_ACTION_LOG);
	w = watch_gpa(PAGE, 8, VIGIL_ACTION_LOG);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_ADD, &w), ENOSPC);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
	REQUIRE_EQ(l.count, VIGIL_MAX_WATCHES);
	for (unsigned int i = 0; i < VIGIL_MAX_WATCHES; i++) {
		CHECK_EQ(all[i].start, PAGE + i * 8);
		CHECK_EQ(all[i].cookie, all[i].start ^ 0x5555);
		CHECK(all[i].id != 0);
	}
	for (unsigned int i = 0; i < VIGIL_MAX_WATCHES; i++)
		mon_del(mon, all[i].id);
	CHECK_EQ(nr_watches(mon), 0);
	l.entry_size = 8;
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_LIST, &l), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_WATCH_LIST, NULL), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

static void reading(long arg)
{
	void *volatile nowhere = NULL;
	struct vigil_event ev;
	struct kvm_regs r;
	struct vcpu *v;
	int mon;

	v = start(&mon);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev) - 1), EINVAL);
	fcntl(mon, F_SETFL, O_RDWR | O_NONBLOCK);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev)), EAGAIN);
	CHECK_ERRNO(mon_verdict(mon, 1, VIGIL_VERDICT_ALLOW), ENOENT);
	CHECK_ERRNO(mon_verdict(mon, 1, VIGIL_VERDICT_KILL), ENOENT);
	CHECK_ERRNO(mon_verdict(mon, 1, VIGIL_VERDICT_PAUSE + 1), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_VERDICT,
			  &(struct vigil_verdict){ .len = 1 }),
		    EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_VERDICT,
			  &(struct vigil_verdict){ .data[0] = 1 }),
		    EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_VERDICT,
			  &(struct vigil_verdict){ .reserved[1] = 1 }),
		    EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_VERDICT, NULL), EFAULT);
	CHECK_ERRNO(ioctl(mon, _IO(VIGIL_IOC, 0x7f), 0), ENOTTY);
	CHECK_ERRNO(ioctl(mon, KVM_RUN, 0), ENOTTY);
	CHECK_ERRNO(ioctl(v->vm->dev, VIGIL_WATCH_ADD, 0), ENOTTY);
	/* A read() into a bad buffer does not lose the event. */
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	get_regs(v, &r);
	r.rdi = TARGET;
	r.rax = r.rcx = 1;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_ERRNO(read(mon, nowhere, sizeof(ev)), EFAULT);
	CHECK_EQ(mon_event(mon).seq, 1);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * While one process waits in read(), another's read() without blocking returns at
 * once; the event goes to the one that waits.
 */
static void two_readers(long arg)
{
	struct vigil_event ev;
	struct kvm_regs r;
	struct vcpu *v;
	int mon, status;
	pid_t pid;

	v = start(&mon);
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	pid = fork();
	if (!pid)
		_exit(read(mon, &ev, sizeof(ev)) != sizeof(ev));
	if (pid < 0)
		ERROR("fork: errno %d", errno);
	while (!process_sleeps(pid))
		usleep(1000);
	/* Both have the same open file, so this is for the next read(). */
	fcntl(mon, F_SETFL, O_RDWR | O_NONBLOCK);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev)), EAGAIN);
	get_regs(v, &r);
	r.rdi = TARGET;
	r.rax = r.rcx = 1;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	if (waitpid(pid, &status, 0) != pid)
		ERROR("waitpid: errno %d", errno);
	CHECK_EQ(status, 0);
	CHECK_ERRNO(read(mon, &ev, sizeof(ev)), EAGAIN);
	close(mon);
	vm_destroy(v->vm);
}

/* Each struct is used again as the call before has left it. */
static void twice(long arg)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	struct vigil_vcpu_state st = { 0 };
	uint64_t word, values[4];
	struct vigil_mem m = { .addr = TARGET,
			       .len = sizeof(word),
			       .buf = (uintptr_t)&word };
	struct vigil_watch all[2];
	struct vigil_watch_list l = { .count = 2,
				      .entry_size = sizeof(w),
				      .entries = (uintptr_t)all };
	struct vigil_stats s = { .count = 4, .values = (uintptr_t)values };
	struct vigil_vm_info info[64];
	struct vigil_vm_list vms = { .count = 64,
				     .entry_size = sizeof(info[0]),
				     .entries = (uintptr_t)info };
	struct vcpu *v;
	uint32_t id;
	int mon;

	v = start(&mon);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &w), 0);
	id = w.id;
	CHECK(id != 0);
	w.start += 8;
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &w), 0);
	CHECK(w.id != 0 && w.id != id);
	/* The list reports the same values. */
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_LIST, &l), 0);
		REQUIRE_EQ(l.count, 2);
	}
	CHECK_EQ(all[0].id, id);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &all[0]), 0);
	CHECK(all[0].id != id && all[0].id != w.id);
	CHECK_EQ(nr_watches(mon), 3);

	for (int i = 0; i < 2; i++) {
		word = 0;
		wr64(v->vm, TARGET, 0x1234567 + i);
		REQUIRE_EQ(ioctl(mon, VIGIL_READ_MEM, &m), 0);
		CHECK_EQ(m.done, sizeof(word));
		CHECK_EQ(word, 0x1234567 + i);
		REQUIRE_EQ(ioctl(mon, VIGIL_GET_VCPU, &st), 0);
		/*
		 * Counts are in and out. The output is what there is, never
		 * more than the room.
		 */
		REQUIRE_EQ(ioctl(mon, VIGIL_GET_STATS, &s), 0);
		CHECK(s.count > 4);
		s.count = 4;
		REQUIRE_EQ(ioctl(v->vm->dev, VIGIL_LIST_VMS, &vms), 0);
		CHECK(vms.count >= 1 && vms.count <= 64);
		REQUIRE_EQ(ioctl(mon, VIGIL_GET_INFO, &info[0]), 0);
	}
	/* The same works after a failed call. */
	m.addr = v->vm->ram_size;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &m), EFAULT);
	CHECK_EQ(m.done, sizeof(word));
	m.addr = TARGET;
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &m), 0);
	close(mon);
	vm_destroy(v->vm);
}

static int read_mem(int mon, uint64_t addr, void *buf, uint64_t len,
		    uint32_t flags, uint32_t *done)
{
	struct vigil_mem m = {
		.addr = addr, .len = len, .buf = (uintptr_t)buf, .flags = flags
	};
	int ret = ioctl(mon, VIGIL_READ_MEM, &m);

	*done = m.done;
	return ret;
}

static void memory(long arg)
{
	static uint8_t buf[1 << 20];
	struct vigil_mem m = { 0 };
	struct vcpu *v;
	uint32_t done;
	struct pt pt;
	int mon;

	v = start(&mon);
	for (unsigned int i = 0; i < 3 * 4096; i++)
		((uint8_t *)vm_ram(v->vm, PAGE, 3 * 4096))[i] =
			i * 5 + (i >> 8);
	/* The read crosses pages and is not aligned. */
	CHECK_EQ(read_mem(mon, PAGE + 7, buf, 8200, 0, &done), 0);
	CHECK_EQ(done, 8200);
	CHECK_MEM(!memcmp(buf, vm_ram(v->vm, PAGE + 7, 8200), 8200));
	/* Virtual pages are in another order than the physical ones. */
	pt_init(&pt, v->vm, M_LONG);
	pt_identity(&pt, 0, 0x200000, PTE_P | PTE_W);
	pt_map(&pt, 0x40000000, PAGE + 0x2000, 1, PTE_P | PTE_W);
	pt_map(&pt, 0x40001000, PAGE, 1, PTE_P);
	m.addr = 0x40000ff0;
	m.len = 32;
	m.buf = (uintptr_t)buf;
	m.cr3 = pt.root;
	m.flags = VIGIL_MEM_GVA;
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &m), 0);
	CHECK_EQ(m.done, 32);
	CHECK_MEM(!memcmp(buf, vm_ram(v->vm, PAGE + 0x2ff0, 16), 16));
	CHECK_MEM(!memcmp(buf + 16, vm_ram(v->vm, PAGE, 16), 16));
	/* The read stops where memory ends. */
	CHECK_EQ(read_mem(mon, v->vm->ram_size - 100, buf, 200, 0, &done), 0);
	CHECK_EQ(done, 100);
	CHECK_ERRNO(read_mem(mon, v->vm->ram_size, buf, 1, 0, &done), EFAULT);
	CHECK_ERRNO(read_mem(mon, 1ull << 50, buf, 1, 0, &done), EFAULT);
	CHECK_ERRNO(read_mem(mon, 0x7f0000000000, buf, 1, VIGIL_MEM_GVA, &done),
		    EFAULT);
	CHECK_ERRNO(read_mem(mon, 1ull << 47, buf, 1, VIGIL_MEM_GVA, &done),
		    EINVAL);
	/* bad arguments */
	CHECK_ERRNO(read_mem(mon, 0, buf, 0, 0, &done), EINVAL);
	CHECK_ERRNO(read_mem(mon, 0, buf, (1 << 20) + 1, 0, &done), EINVAL);
	CHECK_ERRNO(read_mem(mon, ~0ull, buf, 2, 0, &done), EINVAL);
	CHECK_ERRNO(read_mem(mon, 0, buf, 8, 2, &done), EINVAL);
	CHECK_ERRNO(read_mem(mon, 0, NULL, 8, 0, &done), EFAULT);
	m.flags = 0; /* a physical address has no CR3 */
	m.done = 0;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &m), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, NULL), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

#define KERNEL_VA 0xffffffff81000000ull

static void set_cr3(struct vcpu *v, uint64_t cr3)
{
	struct kvm_sregs s;

	get_sregs(v, &s);
	s.cr3 = cr3;
	set_sregs(v, &s);
}

/*
 * Two top-level tables in neighbouring pages, as a kernel with page-table
 * isolation has them: the kernel is mapped in the first only. cr3 0 finds it from
 * the second, and only when the two are a pair.
 */
static void isolated(long m)
{
	struct vigil_translation t = { 0 };
	uint64_t kernel, user, low, first, word;
	struct vigil_mem mem = { .addr = KERNEL_VA,
				 .len = 8,
				 .buf = (uintptr_t)&word,
				 .flags = VIGIL_MEM_GVA };
	uint64_t va = KERNEL_VA;
	struct vcpu *v;
	struct pt pt;
	int mon;

	if (!dev_has_mode(m))
		SKIP("the CPU has no 5-level paging");
	v = START(m, wloop);
	mon = mon_open(v->vm);
	/* In 32-bit Linux, entry 3 of the PDPT is the kernel's. */
	if (m == M_PAE)
		va = 0xc1000000;
	mem.addr = va;
	if (v->vm->pt_next & 0x1000)
		pt_page(v->vm);
	pt_init(&pt, v->vm, m);
	kernel = pt.root;
	user = pt_page(v->vm);
	REQUIRE_EQ(user, kernel | 0x1000);
	pt_map(&pt, va, PAGE, 1, PTE_P | PTE_W);
	pt_map(&pt, GUEST_CODE, GUEST_CODE, 1, PTE_P | PTE_U);
	low = first = rd64(v->vm, kernel);
	CHECK(low & PTE_P);
	if (m != M_PAE)
		/* The CPU sets A in each half separately. */
		first ^= 1ull << 5;
	wr64(v->vm, user, first);
	wr64(v->vm, PAGE, 0xfeedface);

	/*
	 * The kernel's half is used as it is, and the user's half leads to it.
	 */
	set_cr3(v, kernel);
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &mem), 0);
	set_cr3(v, user);
	word = 0;
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &mem), 0);
	CHECK_EQ(word, 0xfeedface);
	/* Both halves map this. */
	mem.addr = GUEST_CODE;
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &mem), 0);
	CHECK_EQ(word, rd64(v->vm, GUEST_CODE));
	mem.addr = va;
	t.gva = va + 0x123;
	CHECK_EQ(ioctl(mon, VIGIL_TRANSLATE, &t), 0);
	CHECK_EQ(t.gva, va + 0x123);
	CHECK_EQ(t.gpa, PAGE + 0x123);
	CHECK_EQ(t.left, 0x1000 - 0x123);
	/* A named table is used as it is. */
	mem.cr3 = user;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &mem), EFAULT);
	t.cr3 = user;
	CHECK_ERRNO(ioctl(mon, VIGIL_TRANSLATE, &t), EFAULT);
	t.cr3 = 1ull << 52;
	CHECK_ERRNO(ioctl(mon, VIGIL_TRANSLATE, &t), EINVAL);
	mem.cr3 = kernel;
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &mem), 0);
	t.cr3 = kernel;
	CHECK_EQ(ioctl(mon, VIGIL_TRANSLATE, &t), 0);
	t.gva = 1ull << 60;
	CHECK_ERRNO(ioctl(mon, VIGIL_TRANSLATE, &t), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_TRANSLATE, NULL), EFAULT);
	mem.cr3 = 0;

	/*
	 * These are no pairs: another table for the same addresses, or one
	 * more, or none.
	 */
	wr64(v->vm, kernel, low ^ 0x2000);
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &mem), EFAULT);
	wr64(v->vm, kernel, low);
	wr64(v->vm, kernel + 8, low);
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &mem), EFAULT);
	wr64(v->vm, kernel + 8, 0);
	CHECK_EQ(ioctl(mon, VIGIL_READ_MEM, &mem), 0);
	wr64(v->vm, kernel, 0);
	wr64(v->vm, user, 0);
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_MEM, &mem), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

static void *spin(void *arg)
{
	/* KVM_RUN ends with the signal to this thread. */
	ioctl(((struct vcpu *)arg)->fd, KVM_RUN, 0);
	return NULL;
}

static void nothing(int sig)
{
}

static void set_lstar(struct vcpu *v, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head.nmsrs = 1,
		.entry = { .index = 0xc0000082, .data = value } };

	REQUIRE_EQ(ioctl(v->fd, KVM_SET_MSRS, &m), 1);
}

static void registers(long arg)
{
	struct vigil_vcpu_state st = { 0 };
	struct sigaction sa = { .sa_handler = nothing };
	struct kvm_sregs sregs;
	struct vcpu *v = START(M_LONG, wforever);
	struct kvm_regs r;
	pthread_t thread;
	uint64_t before;
	int mon = mon_open(v->vm);

	get_regs(v, &r);
	get_sregs(v, &sregs);
	r.rdi = TARGET;
	r.r15 = 0xfeedfacecafebeef;
	set_regs(v, &r);
	set_lstar(v, 0xffffffff81a00080);
	/* Reads a vCPU that stands still. */
	REQUIRE_EQ(ioctl(mon, VIGIL_GET_VCPU, &st), 0);
	CHECK_EQ(st.regs.r15, r.r15);
	CHECK_EQ(st.regs.rip, r.rip);
	CHECK(!memcmp(&st.sregs.cs, &sregs.cs, sizeof(sregs.cs)));
	CHECK_EQ(st.sregs.cr3, sregs.cr3);
	CHECK_EQ(st.lstar, 0xffffffff81a00080);
	/* Reads a vCPU that runs, and that goes on afterwards. */
	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&thread, NULL, spin, v))
		ERROR("no thread");
	before = rd64(v->vm, TARGET);
	while (rd64(v->vm, TARGET) == before)
		;
	for (int i = 0; i < 100; i++) {
		before = rd64(v->vm, TARGET);
		memset(&st, 0, sizeof(st));
		REQUIRE_EQ(ioctl(mon, VIGIL_GET_VCPU, &st), 0);
		CHECK_EQ(st.regs.r15, r.r15);
		CHECK(st.regs.rip >= GUEST_CODE &&
		      st.regs.rip < GUEST_CODE + 16);
		CHECK(st.regs.rax >= before);
		CHECK_EQ(st.lstar, 0xffffffff81a00080);
	}
	before = rd64(v->vm, TARGET);
	while (rd64(v->vm, TARGET) == before)
		;
	v->run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	v->run->immediate_exit = 0;

	st.vcpu = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_VCPU, &st), ENOENT);
	st.vcpu = 0;
	st.flags = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_VCPU, &st), EINVAL);
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_VCPU, NULL), EFAULT);
	close(mon);
	vm_destroy(v->vm);
}

static void counters(long arg)
{
	struct vigil_stats s = { .count = 4, .pad = 1 };
	struct kvm_regs r;
	struct vcpu *v;
	int mon;

	v = start(&mon);
	mon_watch(mon, TARGET, 4, VIGIL_ACTION_LOG);
	get_regs(v, &r);
	r.rdi = TARGET + 4; /* same page, other bytes */
	r.rcx = 10;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_NO_EVENT(mon);
	CHECK_EQ(mon_stat(mon, "watch_hits"), 0);
	CHECK_EQ(mon_stat(mon, "watch_misses"), 10);
	/* The VM's fd returns the same value. */
	CHECK_EQ(mon_stat(v->vm->fd, "watch_misses"), 10);
	CHECK(mon_stat(mon, "exits") >= 11);
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_STATS, &s), EINVAL);
	s.pad = 0;
	CHECK_ERRNO(ioctl(mon, VIGIL_GET_STATS, &s), EFAULT);
	s.count = 0;
	CHECK_EQ(ioctl(mon, VIGIL_GET_STATS, &s), 0);
	CHECK(s.count > 30);
	close(mon);
	vm_destroy(v->vm);
}

static void dead_vm(long arg)
{
	struct pollfd p = { .events = POLLIN };
	struct vigil_vm_info info;
	struct vigil_event ev;
	struct vigil_watch w;
	struct kvm_regs r;
	struct vcpu *v;

	v = start(&p.fd);
	mon_watch(p.fd, TARGET, 8, VIGIL_ACTION_LOG);
	get_regs(v, &r);
	r.rdi = TARGET;
	r.rcx = 2;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
	vm_destroy(v->vm);
	/* The earlier event is still delivered, then the end of the VM. */
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLIN | POLLHUP);
	CHECK_EQ(mon_event(p.fd).seq, 1);
	CHECK_EQ(mon_event(p.fd).seq, 2);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLHUP);
	CHECK_EQ(read(p.fd, &ev, sizeof(ev)), 0);
	REQUIRE_EQ(ioctl(p.fd, VIGIL_GET_INFO, &info), 0);
	CHECK_EQ(info.flags, VIGIL_VM_DEAD);
	w = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);
	CHECK_ERRNO(ioctl(p.fd, VIGIL_WATCH_ADD, &w), EIO);
	close(p.fd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a VM in the list", list },
		{ "names", names },
		{ "structs used twice", twice },
		{ "bad watches", bad_watches },
		{ "as many watches as there may be", limits },
		{ "reading events, and verdicts, badly", reading },
		{ "a reader beside one that waits", two_readers },
		{ "guest memory", memory },
		{ "page-table isolation (long)", isolated, M_LONG },
		{ "page-table isolation (la57)", isolated, M_LA57 },
		{ "page-table isolation (pae)", isolated, M_PAE },
		{ "registers", registers },
		{ "counters", counters },
		{ "the VM ends", dead_vm },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
