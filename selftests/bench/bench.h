/* SPDX-License-Identifier: GPL-2.0 */
/* The VM and the rows of the bench. */
#ifndef BENCH_H
#define BENCH_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Guest-physical addresses. */
#define CODE 0x10000ull
#define STACK 0x20000ull
#define GDT 0x30000ull
#define IDT 0x31000ull
#define TRAPS 0x3f000ull /* the trap table that a guest presents */
#define ROOTS 0x32000ull /* array of CR3 values */
#define POOL 0x1000000ull /* page tables, 16 MiB */
#define LOW 0x2000000ull /* RAM of slot 0 */
#define DATA 0x10000000ull /* slot 1: what is touched and logged */
#define DATA_PAGES 65536ull
#define MMIO 0xd0000000ull

#define PTE_RW 0x3ull
#define PTE_A 0x20ull
#define PTE_D 0x40ull
#define PTE_USER 0x4ull

#define PV_CALL 13 /* multicall, with no entries */

/* Counters of the device under test. */
struct counts {
	int64_t exits, flushes, ipis, msr_writes, vmload; /* -1: not known */
};

struct bench {
	const char *path; /* of the device */
	int dev, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *low, *data;
	uint64_t pool; /* next free table */
	uint64_t cr3;
	int64_t runs; /* KVM_RUN calls */
	bool vigil;
	bool svm; /* the host's CPU is AMD's */
	bool user; /* user_mode() */
};

/* The cost of a row, for one operation. */
struct result {
	double ticks;
	struct counts n; /* totals */
	uint64_t ops;
	bool failed;
	char why[120];
};

struct row {
	const char *id, *what;
	double must, aim; /* host instructions; 0: none */
	void (*fn)(struct bench *b, struct result *r);
};

/*
 * Number of operations of a row, unless the row has its own number; at most
 * DATA_PAGES.
 */
extern uint64_t bench_ops;
extern const struct row rows[];
extern const unsigned int nr_rows;

/* vm.c */
void bench_open(struct bench *b, const char *dev);
/*
 * A kernel in ring 1 with handlers of INT 0x80, which is fast, and of INT 0x81. What
 * start() begins from here on runs in ring 3.
 */
void bench_open_traps(struct bench *b);
/* Again, with a VM that has Xen's hypercalls where the device knows them. */
void bench_open_pv(struct bench *b);
void bench_close(struct bench *b);
uint64_t table_page(struct bench *b);
uint64_t new_root(struct bench *b);
/*
 * Returns the address of the entry for @va at @level (1: 4 KiB) of the tree at
 * @root.
 */
uint64_t *entry(struct bench *b, uint64_t root, uint64_t va, int level);
void map_data(struct bench *b, uint64_t root, uint64_t va, uint64_t gpa,
	      uint64_t pages, uint64_t flags);
void data_slot(struct bench *b, bool log);
void handler(struct bench *b, unsigned int vector, const char *op);
/* What start() begins from here on is 32-bit code; @paged: with DATA's first page. */
void legacy_mode(struct bench *b, bool paged);
/* What start() begins from here on runs at CPL 3, and may use ports. */
void user_mode(struct bench *b);
struct regs {
	uint64_t rcx, rsi, rdi, rdx, r10, r11;
};
void start(struct bench *b, const char *op, const struct regs *r);
/* Calls KVM_RUN until there is an exit that no signal has caused. */
int go(struct bench *b);
void go_to_end(struct bench *b);
void count(struct bench *b, struct counts *c);
/*
 * Counts WRMSRs from here on. Tracing costs time, so it has a run of its own.
 */
bool trace_msrs(bool on);
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...);

/* rows.c */
void charge(struct result *r, const struct counts *before,
	    const struct counts *after);
/* Makes the host's memory of the first @pages present and private. */
void populate(struct bench *b, uint64_t pages);
/* Runs @op to its end, and divides the cost by @ops operations. */
void run_op(struct bench *b, struct result *r, const char *op, struct regs regs,
	    uint64_t ops);
void mmio_write(struct bench *b, struct result *r);

/* watches.c */
#define WATCHED(name)                                      \
	void name(struct bench *b, struct result *r);      \
	void name##_32(struct bench *b, struct result *r); \
	void name##_unpaged(struct bench *b, struct result *r)
WATCHED(watch_beside);
WATCHED(watch_log);
WATCHED(watch_deny);
#undef WATCHED
void watch_pass(struct bench *b, struct result *r);
void watch_pass_16(struct bench *b, struct result *r);
void watch_ask(struct bench *b, struct result *r);
void watch_add_200(struct bench *b, struct result *r);
void watch_add_10k(struct bench *b, struct result *r);

static inline uint64_t now(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

extern const char bench_guest[], bench_guest_end[];
/* clang-format off */
#define OPS(X) \
	X(end) X(out) X(mmio_write) X(mmio_read) X(cpuid) X(rdmsr) X(vmmcall) \
	X(vmcall) X(store) X(store32) X(write) X(read) X(cr3) X(switch) X(invlpg) X(remap) X(fill) X(wp) \
	X(fault) X(copy) X(pf_skip) X(pf_map) X(pf_copy) X(pv_vmmcall) X(pv_vmcall) \
	X(pv_tables) X(int80) X(int81) X(iret)
/* clang-format on */
#define X(n) extern const char op_##n[];
OPS(X)
#undef X

#endif
