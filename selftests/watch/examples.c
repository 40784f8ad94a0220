// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the examples of libvigil (tools/examples), which were built against what `make install'
 * puts there, on a guest in long mode whose memory has the symbol tables of a kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "mon.h"

#define NAME "watch-examples"

DECLARE_PAYLOAD(wst);
DECLARE_LABEL(wst, mov64); /* mov %rax, (%rdi) */

/* The kernel's image: its first page is the payload's, the others are at GUEST_FREE. */
#define KERNEL 0xffffffff81000000ull
#define PAGES 32
#define WRITER (KERNEL + LABEL_OFF(wst, mov64))
#define FUNCTION(i) (KERNEL + 0x1000 + 8 * (i))
#define RODATA (KERNEL + 0x3000)
#define BANNER (KERNEL + 0x3010)
#define SYSCALLS (KERNEL + 0x3100)
#define RODATA_END (KERNEL + 0x4000)
#define COUNTER (KERNEL + 0x4010)
#define TABLES (KERNEL + 0x5000)

/* A search for tables takes no fewer than 1,000 symbols for those of a kernel. */
#define N_FUNCTIONS 1024
#define N_SYMS (N_FUNCTIONS + 8)

struct sym {
	uint64_t addr;
	char name[24]; /* its type comes first */
};

/* ---- the guest ---- */

static uint8_t *image(struct vm *vm, uint64_t va)
{
	return vm_ram(vm, GUEST_FREE + va - KERNEL - 0x1000, 1);
}

static void make_symbols(struct sym *s)
{
	*s++ = (struct sym){ WRITER, "Twriter" };
	for (int i = 0; i < N_FUNCTIONS; i++, s++) {
		s->addr = FUNCTION(i);
		sprintf(s->name, "tfunction_%d", i);
	}
	*s++ = (struct sym){ RODATA, "R__start_rodata" };
	*s++ = (struct sym){ BANNER, "Rlinux_banner" };
	*s++ = (struct sym){ SYSCALLS, "Rsys_call_table" };
	*s++ = (struct sym){ SYSCALLS + 128, "Rbehind_table" };
	*s++ = (struct sym){ RODATA_END, "R__end_rodata" };
	*s++ = (struct sym){ COUNTER, "Dcounter" };
	*s++ = (struct sym){ COUNTER + 8, "Dbehind_counter" };
}

static uint8_t *align8(uint8_t *p)
{
	return (uint8_t *)(((uintptr_t)p + 7) & ~7ul);
}

/* Puts tables where and as Linux 6.4 and later have them. Each character is a token. */
static void put_tables(struct vm *vm)
{
	static struct sym sym[N_SYMS];
	uint32_t n = N_SYMS, markers[N_SYMS / 256 + 1], off;
	uint8_t *p = image(vm, TABLES), *names;
	uint64_t base = KERNEL;

	make_symbols(sym);
	memcpy(p, &n, sizeof(n));
	names = p += 8;
	for (unsigned int i = 0; i < N_SYMS; i++) {
		if (i % 256 == 0)
			markers[i / 256] = p - names;
		*p++ = strlen(sym[i].name);
		p = (uint8_t *)stpcpy((char *)p, sym[i].name);
	}
	p = align8(p);
	memcpy(p, markers, sizeof(markers));
	p = align8(p + sizeof(markers));
	for (unsigned int i = 0; i < 256; i++, p += 2) {
		p[0] = i ? i : 'q';
		p[1] = 0;
	}
	for (unsigned int i = 0; i < 256; i++, p += 2)
		memcpy(p, &(uint16_t){ 2 * i }, 2);
	for (unsigned int i = 0; i < N_SYMS; i++, p += 4) {
		off = sym[i].addr - base;
		memcpy(p, &off, sizeof(off));
	}
	memcpy(align8(p), &base, sizeof(base));
}

static struct vcpu *start_guest(void)
{
	struct kvm_sregs s;
	struct vcpu *v;
	struct pt pt;

	SKIP_ON_KVM("/dev/kvm has no monitors");
	v = START(M_LONG, wst);
	pt_init(&pt, v->vm, M_LONG);
	pt_identity(&pt, 0, 0x200000, PTE_P | PTE_W);
	pt_map(&pt, KERNEL, GUEST_CODE, 1, PTE_P | PTE_W);
	for (unsigned int i = 1; i < PAGES; i++)
		pt_map(&pt, KERNEL + i * 0x1000, GUEST_FREE + (i - 1) * 0x1000,
		       1, PTE_P | PTE_W);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	strcpy((char *)image(v->vm, BANNER), "Linux version 6.6 (test)");
	put_tables(v->vm);
	set_name(v->vm, NAME);
	return v;
}

/* The guest stores a word; returns what is there then. */
static uint64_t store(struct vcpu *v, uint64_t va, uint64_t value)
{
	struct kvm_regs r;

	vcpu_settle(v);
	get_regs(v, &r);
	r.rip = WRITER;
	r.rdi = va;
	r.rax = value;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	memcpy(&value, image(v->vm, va), sizeof(value));
	return value;
}

/* ---- an example ---- */

struct example {
	pid_t pid;
	FILE *out;
};

static struct example start_example(const char *name, bool linked_static,
				    const char *arg)
{
	char self[256] = "", path[512];
	struct example e;
	int out[2];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	    !strrchr(self, '/') || pipe(out))
		ERROR("cannot start an example");
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/../examples/%s%s", self, name,
		 linked_static ? "-static" : "");
	fflush(NULL);
	e.pid = fork();
	if (!e.pid) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		setenv("VIGIL_DEVICE", opts.dev, 1);
		execl(path, name, NAME, arg, NULL);
		printf("cannot run %s: errno %d\n", path, errno);
		exit(127);
	}
	close(out[1]);
	e.out = fdopen(out[0], "r");
	return e;
}

/* Waits for the example's next line, which must be this one. */
static void expect_line(struct example *e, const char *fmt, uint64_t arg)
{
	char line[512] = "nothing", want[512];

	snprintf(want, sizeof(want), fmt, (unsigned long long)arg);
	if (fgets(line, sizeof(line), e->out))
		line[strcspn(line, "\n")] = 0;
	if (!strcmp(line, want))
		return;
	FAIL("it says `%s', not `%s'", line, want);
	kill(e->pid, SIGKILL);
	test_abort();
}

static int end_of(struct example *e)
{
	int status;

	if (waitpid(e->pid, &status, 0) != e->pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* ---- cases ---- */

static void supervisor(long linked_static)
{
	struct vcpu *v = start_guest();
	struct example e = start_example("supervisor", linked_static, NULL);

	expect_line(&e, "sys_call_table is at %#llx", SYSCALLS);
	CHECK_EQ(store(v, SYSCALLS + 8, FUNCTION(3)), FUNCTION(3));
	expect_line(&e, "allowed sys_call_table+0x8", 0);
	/* Inside of a function, and outside of the kernel. */
	CHECK_EQ(store(v, SYSCALLS + 8, FUNCTION(4) + 1), FUNCTION(3));
	expect_line(&e, "refused sys_call_table+0x8", 0);
	CHECK_EQ(store(v, SYSCALLS, 0xffffffffc0001000), 0);
	expect_line(&e, "refused sys_call_table", 0);
	CHECK_EQ(store(v, SYSCALLS + 128, 5), 5);
	CHECK_EQ(store(v, SYSCALLS, WRITER), WRITER);
	expect_line(&e, "allowed sys_call_table", 0);
	vm_destroy(v->vm);
	CHECK_EQ(end_of(&e), 0);
}

static void guard(long linked_static)
{
	struct vcpu *v = start_guest();
	struct example e = start_example("guard", linked_static, NULL);

	expect_line(&e, "guarding 4096 bytes at %#llx", RODATA);
	CHECK_EQ(store(v, SYSCALLS, 1), 0);
	expect_line(&e, "refused a write to sys_call_table", 0);
	CHECK_EQ(store(v, COUNTER, 7), 7);
	CHECK_EQ(store(v, RODATA_END - 8, 1), 0);
	expect_line(&e, "refused a write to behind_table+0x%llx",
		    RODATA_END - 8 - SYSCALLS - 128);
	/* This process is the VMM, whose stores no watch sees. */
	*image(v->vm, BANNER) = 'l';
	expect_line(&e, "the memory has changed", 0);
	CHECK_EQ(end_of(&e), 1);
	/* With the guard its watches have gone. */
	CHECK_EQ(store(v, SYSCALLS, 1), 1);
	vm_destroy(v->vm);
}

static void tracer(long linked_static)
{
	struct vcpu *v = start_guest();
	struct example e = start_example("tracer", linked_static, "counter");

	expect_line(&e, "tracing 8 bytes at %#llx", COUNTER);
	CHECK_EQ(store(v, COUNTER, 0x11), 0x11);
	expect_line(&e,
		    "counter 0000000000000000 -> 0000000000000011 by writer",
		    0);
	CHECK_EQ(store(v, COUNTER + 8, 0x22), 0x22);
	CHECK_EQ(store(v, COUNTER, 0x0102030405060708), 0x0102030405060708);
	expect_line(&e,
		    "counter 0000000000000011 -> 0102030405060708 by writer",
		    0);
	vm_destroy(v->vm);
	CHECK_EQ(end_of(&e), 0);
}

/* The tables are named by the token of '0', for which the search looks. */
static uint64_t digits(struct vm *vm)
{
	const uint8_t *tables = image(vm, TABLES);
	const char pattern[] = "0\0001\0002\0003\0004";
	const uint8_t *hit =
		memmem(tables, (PAGES - 5) * 0x1000, pattern, sizeof(pattern));

	if (!hit)
		ERROR("the tables have no tokens");
	return TABLES + (hit - tables);
}

/* What cannot be is refused with a reason. */
static void refusals(long linked_static)
{
	struct vcpu *v = start_guest();
	struct example e = start_example("tracer", linked_static, "nobody");
	int mon[VIGIL_MAX_MONITORS];
	unsigned int i;

	expect_line(
		&e,
		"tracer: nobody: no symbol `nobody' in guest memory at %#llx",
		digits(v->vm));
	CHECK_EQ(end_of(&e), 1);
	for (i = 0; i < VIGIL_MAX_MONITORS; i++)
		mon[i] = mon_open(v->vm);
	e = start_example("tracer", linked_static, "counter");
	expect_line(
		&e,
		"tracer: " NAME ": VM " NAME
		" has 8 monitors already, and can have no more (root: --evict)",
		0);
	CHECK_EQ(end_of(&e), 1);
	for (i = 0; i < VIGIL_MAX_MONITORS; i++)
		close(mon[i]);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "supervisor, shared", supervisor, false, 60 },
		{ "supervisor, static", supervisor, true, 60 },
		{ "guard, shared", guard, false, 60 },
		{ "guard, static", guard, true, 60 },
		{ "tracer, shared", tracer, false, 60 },
		{ "tracer, static", tracer, true, 60 },
		{ "refusals", refusals, false, 60 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
