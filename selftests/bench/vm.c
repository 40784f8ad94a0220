// SPDX-License-Identifier: GPL-2.0
/* One 64-bit guest with one vCPU, by the plain KVM API. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../uapi/vigil.h"
#include "bench.h"

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "bench: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

static void *low(struct bench *b, uint64_t gpa)
{
	if (gpa >= LOW)
		die("%#llx is not in the low slot", (unsigned long long)gpa);
	return b->low + gpa;
}

uint64_t table_page(struct bench *b)
{
	uint64_t gpa = b->pool;

	b->pool += 4096;
	memset(low(b, gpa), 0, 4096);
	return gpa;
}

uint64_t *entry(struct bench *b, uint64_t root, uint64_t va, int level)
{
	uint64_t table = root;
	int l;

	for (l = 4;; l--) {
		uint64_t *e = low(b, table + (va >> (9 * l) & 0xff8));

		if (l == level)
			return e;
		if (!*e)
			*e = table_page(b) | PTE_RW | PTE_A;
		table = *e & 0xffffffffff000ull;
	}
}

void map_data(struct bench *b, uint64_t root, uint64_t va, uint64_t gpa,
	      uint64_t pages, uint64_t flags)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		*entry(b, root, va + i * 4096, 1) = (gpa + i * 4096) | flags;
}

uint64_t new_root(struct bench *b)
{
	uint64_t root = table_page(b);

	map_data(b, root, 0, 0, POOL / 4096 / 16, PTE_RW | PTE_A | PTE_D);
	/*
	 * The guest has its tables mapped, because payloads that remap write to
	 * them.
	 */
	map_data(b, root, POOL, POOL, (LOW - POOL) / 4096,
		 PTE_RW | PTE_A | PTE_D);
	map_data(b, root, MMIO, MMIO, 1, PTE_RW | PTE_A | PTE_D);
	return root;
}

static void slot(struct bench *b, int id, uint64_t gpa, uint64_t size,
		 void *hva, int flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	if (ioctl(b->vm, KVM_SET_USER_MEMORY_REGION, &r))
		die("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
}

void data_slot(struct bench *b, bool log)
{
	slot(b, 1, DATA, DATA_PAGES * 4096, b->data,
	     log ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

static void *memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	/*
	 * Huge pages would make the rows of both devices differ from run to
	 * run.
	 */
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static void set_mode(struct bench *b)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
	}, data = {
		.limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_sregs s;

	if (ioctl(b->vcpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS: %s", strerror(errno));
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = GDT;
	s.gdt.limit = 0xff;
	s.idt.base = IDT;
	s.idt.limit = 0xfff;
	s.cr0 = 0x80010031;
	s.cr3 = b->cr3;
	s.cr4 = 0x20;
	s.efer = 0xd00;
	memcpy(low(b, GDT),
	       (uint64_t[]){ 0, 0x00209b0000000000, 0x00cf93000000ffff }, 24);
	if (ioctl(b->vcpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS: %s", strerror(errno));
}

/* Maps the page of a 32-bit guest to itself. */
static void map_page32(struct bench *b, uint64_t root, uint32_t va)
{
	uint32_t *e = (uint32_t *)low(b, root) + (va >> 22);

	if (!*e)
		*e = table_page(b) | PTE_RW | PTE_A;
	e = (uint32_t *)low(b, *e & ~0xfffu) + (va >> 12 & 0x3ff);
	*e = (va & ~0xfffu) | PTE_RW | PTE_A | PTE_D;
}

void legacy_mode(struct bench *b, bool paged)
{
	struct kvm_sregs s;

	if (ioctl(b->vcpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS: %s", strerror(errno));
	s.cs.l = 0;
	s.cs.db = 1;
	s.efer = 0;
	s.cr4 = 0;
	s.cr0 = 0x10031;
	if (paged) {
		s.cr0 |= 1u << 31;
		s.cr3 = table_page(b);
		map_page32(b, s.cr3, CODE);
		map_page32(b, s.cr3, DATA);
	}
	if (ioctl(b->vcpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS: %s", strerror(errno));
}

void handler(struct bench *b, unsigned int vector, const char *op)
{
	uint64_t rip = CODE + (op - bench_guest);
	uint64_t *gate = low(b, IDT + 16 * vector);

	gate[0] = (rip & 0xffff) | 8ull << 16 | 0x8eull << 40 |
		  (rip >> 16 & 0xffff) << 48;
	gate[1] = rip >> 32;
}

static bool on_svm(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1 << 2);
}

/* Flat segments of ring 3, and a code page that it may use. */
void user_mode(struct bench *b)
{
	struct kvm_sregs s;
	int level;

	for (level = 4; level; level--)
		*entry(b, b->cr3, CODE, level) |= PTE_USER;
	if (ioctl(b->vcpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS: %s", strerror(errno));
	s.cs.dpl = s.ss.dpl = 3;
	s.cs.selector |= 3;
	s.ss.selector |= 3;
	if (ioctl(b->vcpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS: %s", strerror(errno));
	b->user = true;
}

/* The VM has Xen's hypercalls; user mode may call the one that the rows call. */
static void ask_for_hypercalls(struct bench *b)
{
	struct vigil_hypercalls h = {
		.flags = VIGIL_HC_PAGE | VIGIL_HC_TRAPS,
		.max_iopl = 3,
		.kernel = 1ull << PV_CALL | 1ull << 0 | 1ull << 3 |
			  1ull << VIGIL_HYPERVISOR_set_fast_trap,
		.user_max = 1ull << PV_CALL,
	};

	if (ioctl(b->vm, VIGIL_SET_HYPERCALLS, &h))
		die("VIGIL_SET_HYPERCALLS: %s", strerror(errno));
}

static void open_vm(struct bench *b, const char *dev, bool pv)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	memset(b, 0, sizeof(*b));
	b->path = dev;
	b->vigil = !strstr(dev, "kvm");
	b->svm = on_svm();
	b->dev = open(dev, O_RDWR | O_CLOEXEC);
	if (b->dev < 0)
		die("%s: %s", dev, strerror(errno));
	b->vm = ioctl(b->dev, KVM_CREATE_VM, 0);
	if (b->vm < 0)
		die("%s: KVM_CREATE_VM: %s", dev, strerror(errno));
	b->low = memory(LOW);
	b->data = memory(DATA_PAGES * 4096);
	memset(b->low, 0, LOW);
	slot(b, 0, 0, LOW, b->low, 0);
	data_slot(b, false);
	if (pv && b->vigil)
		ask_for_hypercalls(b);
	b->vcpu = ioctl(b->vm, KVM_CREATE_VCPU, 0);
	b->run_size = ioctl(b->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	b->run = mmap(NULL, b->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      b->vcpu, 0);
	if (b->vcpu < 0 || b->run == MAP_FAILED)
		die("%s: no vCPU: %s", dev, strerror(errno));
	c->nent = 256;
	if (ioctl(b->dev, KVM_GET_SUPPORTED_CPUID, c) ||
	    ioctl(b->vcpu, KVM_SET_CPUID2, c))
		die("%s: CPUID: %s", dev, strerror(errno));
	free(c);
	memcpy(b->low + CODE, bench_guest, bench_guest_end - bench_guest);
	b->pool = POOL;
	b->cr3 = new_root(b);
	set_mode(b);
}

void bench_open(struct bench *b, const char *dev)
{
	open_vm(b, dev, false);
}

void bench_open_pv(struct bench *b)
{
	const char *path = b->path;

	bench_close(b);
	open_vm(b, path, true);
}

/* struct trap_info of Xen, and the entry that ends the table */
static void trap_entry(struct bench *b, unsigned int n, unsigned int vector)
{
	uint64_t *e = low(b, TRAPS + 16 * n);

	e[0] = vector | 3 << 8 | (uint64_t)VIGIL_RING1_CS64 << 16;
	e[1] = CODE + (op_iret - bench_guest);
	e[3] = 0;
}

void bench_open_traps(struct bench *b)
{
	struct kvm_sregs s;

	bench_open_pv(b);
	trap_entry(b, 0, 0x80);
	trap_entry(b, 1, 0x81);
	start(b, op_pv_tables, &(struct regs){ .rsi = TRAPS, .rdx = STACK });
	go_to_end(b);
	user_mode(b);
	if (ioctl(b->vcpu, KVM_GET_SREGS, &s))
		die("KVM_GET_SREGS: %s", strerror(errno));
	/* Xen's flat segments of ring 3, since IRET reads their descriptors. */
	s.cs.selector = 0xe033;
	s.ss.selector = 0xe02b;
	if (ioctl(b->vcpu, KVM_SET_SREGS, &s))
		die("KVM_SET_SREGS: %s", strerror(errno));
}

void bench_close(struct bench *b)
{
	munmap(b->run, b->run_size);
	close(b->vcpu);
	close(b->vm);
	close(b->dev);
	munmap(b->low, LOW);
	munmap(b->data, DATA_PAGES * 4096);
}

void start(struct bench *b, const char *op, const struct regs *r)
{
	struct kvm_regs regs = {
		.rip = CODE + (op - bench_guest),
		.rsp = STACK,
		.rflags = b->user ? 0x3202 : 2,
		.rcx = r->rcx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rdx = r->rdx,
		.r10 = r->r10,
		.r11 = r->r11,
	};

	if (ioctl(b->vcpu, KVM_SET_REGS, &regs))
		die("KVM_SET_REGS: %s", strerror(errno));
}

int go(struct bench *b)
{
	b->runs++;
	while (ioctl(b->vcpu, KVM_RUN, 0))
		if (errno != EINTR)
			die("KVM_RUN: %s (exit %u)", strerror(errno),
			    b->run->exit_reason);
	return b->run->exit_reason;
}

void go_to_end(struct bench *b)
{
	int why = go(b);

	if (why != KVM_EXIT_IO || b->run->io.port != 0xf4)
		die("guest stopped with exit %d, rip unknown, detail %#llx %#llx",
		    why, (unsigned long long)b->run->mmio.phys_addr,
		    (unsigned long long)b->run->internal.suberror);
}

/* ---- counters ---- */

static int64_t kvm_stat(int fd, const char *name)
{
	struct kvm_stats_header h;
	int64_t value = -1;
	int s = ioctl(fd, KVM_GET_STATS_FD, NULL);
	size_t size;
	char *d;
	unsigned int i;

	if (s < 0)
		return -1;
	if (pread(s, &h, sizeof(h), 0) != sizeof(h))
		goto out;
	size = sizeof(struct kvm_stats_desc) + h.name_size;
	d = malloc(size);
	for (i = 0; i < h.num_desc; i++) {
		struct kvm_stats_desc *desc = (void *)d;

		if (pread(s, d, size, h.desc_offset + i * size) !=
		    (ssize_t)size)
			break;
		if (!strcmp(desc->name, name) &&
		    pread(s, &value, 8, h.data_offset + desc->offset) != 8)
			value = -1;
	}
	free(d);
out:
	close(s);
	return value;
}

static int64_t vigil_stat(int vm, const char *name)
{
	static char names[128][VIGIL_NAME_LEN];
	uint64_t values[128];
	struct vigil_stats st = {
		.count = 128,
		.values = (uintptr_t)values,
		.names = (uintptr_t)names,
	};
	unsigned int i;

	if (ioctl(vm, VIGIL_GET_STATS, &st))
		return -1;
	for (i = 0; i < st.count && i < 128; i++)
		if (!strcmp(names[i], name))
			return values[i];
	return -1;
}

/* Counts rescheduling, function-call and TLB interrupts of all CPUs. */
static int64_t ipis(void)
{
	FILE *f = fopen("/proc/interrupts", "r");
	char line[4096], *p;
	int64_t sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		for (p = line; *p == ' '; p++)
			;
		if (strncmp(p, "RES:", 4) && strncmp(p, "CAL:", 4) &&
		    strncmp(p, "TLB:", 4))
			continue;
		for (p += 4; *p;) {
			char *e;
			int64_t v = strtoll(p, &e, 10);

			if (e == p)
				break;
			sum += v;
			p = e;
		}
	}
	fclose(f);
	return sum;
}

/* ---- WRMSRs of the host, by the kernel's own tracepoint ---- */

#define TRACING "/sys/kernel/tracing"

static bool tracing;

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool trace_msrs(bool on)
{
	/*
	 * mount() fails if tracefs is mounted already, which does not matter.
	 */
	mount("tracefs", TRACING, "tracefs", 0, NULL);
	tracing = put(TRACING "/events/msr/write_msr/enable", on ? "1" : "0") &&
		  on;
	return tracing;
}

/* Counts the events of CPU 0 so far; the bench's host has one CPU. */
static int64_t msr_writes(void)
{
	FILE *f = tracing ? fopen(TRACING "/per_cpu/cpu0/stats", "r") : NULL;
	char line[128];
	long long n, sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "entries: %lld", &n) == 1 ||
		    sscanf(line, "overrun: %lld", &n) == 1)
			sum += n;
	fclose(f);
	return sum;
}

void count(struct bench *b, struct counts *c)
{
	c->ipis = ipis();
	c->msr_writes = msr_writes();
	if (b->vigil) {
		c->exits = vigil_stat(b->vm, "exits");
		c->flushes = vigil_stat(b->vm, "tlb_flushes");
		c->vmload = vigil_stat(b->vm, "vmload");
	} else {
		c->exits = kvm_stat(b->vcpu, "exits");
		c->flushes = kvm_stat(b->vcpu, "tlb_flush");
		/*
		 * svm_vcpu_run(): VMLOAD, VMSAVE, VMLOAD around each VMRUN; and a
		 * VMSAVE of the host's state when KVM_RUN begins
		 */
		c->vmload = c->exits < 0 || !b->svm ? -1 :
						      3 * c->exits + b->runs;
	}
}
