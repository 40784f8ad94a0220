// SPDX-License-Identifier: GPL-2.0
/*
 * The rows of the table. Each sets the guest up, measures, and returns ticks
 * for each operation.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../uapi/vigil.h"
#include "bench.h"

#define N bench_ops
#define AD (PTE_A | PTE_D)
#define RW PTE_RW

uint64_t bench_ops = 2000;

void charge(struct result *r, const struct counts *before,
	    const struct counts *after)
{
#define D(f) r->n.f = before->f < 0 ? -1 : after->f - before->f
	D(exits);
	D(flushes);
	D(ipis);
	D(msr_writes);
	D(vmload);
#undef D
}

/*
 * Runs the guest to its end and divides the cost, less that of entering, by
 * @ops operations.
 */
static void measure(struct bench *b, struct result *r, uint64_t ops)
{
	struct counts before, after;
	uint64_t t0, t1;

	count(b, &before);
	t0 = now();
	go_to_end(b);
	t1 = now();
	count(b, &after);
	r->ticks = (double)(t1 - t0) / ops;
	r->ops = ops;
	charge(r, &before, &after);
}

void run_op(struct bench *b, struct result *r, const char *op, struct regs regs,
	    uint64_t ops)
{
	start(b, op, &regs);
	measure(b, r, ops);
}

/* ---- the host's side of a call ---- */

static void null_ioctl(struct bench *b, struct result *r)
{
	uint64_t t0 = now();
	uint64_t i;

	for (i = 0; i < N; i++)
		ioctl(b->dev, KVM_GET_API_VERSION, 0);
	r->ticks = (double)(now() - t0) / N;
	r->ops = N;
}

static void immediate(struct bench *b, struct result *r)
{
	uint64_t t0;
	uint64_t i;

	b->run->immediate_exit = 1;
	t0 = now();
	for (i = 0; i < N; i++)
		ioctl(b->vcpu, KVM_RUN, 0);
	r->ticks = (double)(now() - t0) / N;
	r->ops = N;
	b->run->immediate_exit = 0;
}

/* Measures exits to userspace: N round trips. */
static void user_exits(struct bench *b, struct result *r, const char *op,
		       int want)
{
	struct counts before, after;
	uint64_t t0, t1;
	uint64_t i;

	start(b, op, &(struct regs){ .rcx = N + 1, .rsi = MMIO });
	if (go(b) != want)
		die("exit %u instead of %d", b->run->exit_reason, want);
	count(b, &before);
	t0 = now();
	b->runs += N;
	for (i = 0; i < N; i++)
		if (ioctl(b->vcpu, KVM_RUN, 0) ||
		    b->run->exit_reason != (unsigned int)want)
			die("exit %u instead of %d", b->run->exit_reason, want);
	t1 = now();
	count(b, &after);
	r->ticks = (double)(t1 - t0) / N;
	r->ops = N;
	charge(r, &before, &after);
}

static void pio(struct bench *b, struct result *r)
{
	user_exits(b, r, op_out, KVM_EXIT_IO);
}

void mmio_write(struct bench *b, struct result *r)
{
	user_exits(b, r, op_mmio_write, KVM_EXIT_MMIO);
}

static void mmio_read(struct bench *b, struct result *r)
{
	user_exits(b, r, op_mmio_read, KVM_EXIT_MMIO);
}

static void cpuid(struct bench *b, struct result *r)
{
	run_op(b, r, op_cpuid, (struct regs){ .rcx = N }, N);
}

static void rdmsr(struct bench *b, struct result *r)
{
	run_op(b, r, op_rdmsr, (struct regs){ .rcx = N }, N);
}

static void hypercall(struct bench *b, struct result *r)
{
	run_op(b, r, b->svm ? op_vmmcall : op_vmcall, (struct regs){ .rcx = N },
	       N);
}

/* A paravirtual guest's. The peer does not know it, and answers with an error. */
static void call_pv(struct bench *b, struct result *r)
{
	run_op(b, r, b->svm ? op_pv_vmmcall : op_pv_vmcall,
	       (struct regs){ .rcx = N, .r11 = PV_CALL }, N);
}

static void pv_call(struct bench *b, struct result *r)
{
	bench_open_pv(b);
	call_pv(b, r);
}

static void pv_refused(struct bench *b, struct result *r)
{
	bench_open_pv(b);
	user_mode(b);
	call_pv(b, r);
}

static void pv_user(struct bench *b, struct result *r)
{
	struct vigil_hypercalls h;

	bench_open_pv(b);
	if (b->vigil) {
		if (ioctl(b->vm, VIGIL_GET_HYPERCALLS, &h))
			die("VIGIL_GET_HYPERCALLS: %s", strerror(errno));
		h.iopl = 3;
		h.user = h.user_max;
		if (ioctl(b->vm, VIGIL_SET_HYPERCALLS, &h))
			die("VIGIL_SET_HYPERCALLS: %s", strerror(errno));
	}
	user_mode(b);
	call_pv(b, r);
}

/* The peer has no such traps: its hypercall stands beside them. */
static void trap(struct bench *b, struct result *r, const char *op)
{
	if (!b->vigil) {
		hypercall(b, r);
		return;
	}
	bench_open_traps(b);
	run_op(b, r, op, (struct regs){ .rcx = N }, N);
}

static void pv_fast(struct bench *b, struct result *r)
{
	trap(b, r, op_int80);
}

static void pv_bounced(struct bench *b, struct result *r)
{
	trap(b, r, op_int81);
}

/* ---- faults ---- */

/* Makes the host's memory of the first @pages present and private. */
void populate(struct bench *b, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		*(volatile uint64_t *)(b->data + i * 4096) = 1;
}

static void first_write(struct bench *b, struct result *r)
{
	populate(b, N);
	map_data(b, b->cr3, DATA, DATA, N, RW);
	run_op(b, r, op_write, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static void first_write_absent(struct bench *b, struct result *r)
{
	map_data(b, b->cr3, DATA, DATA, N, RW);
	run_op(b, r, op_write, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static void read_first(struct bench *b, struct result *r)
{
	populate(b, N);
	map_data(b, b->cr3, DATA, DATA, N, RW);
	run_op(b, r, op_read, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static void then_write(struct bench *b, struct result *r)
{
	read_first(b, r);
	run_op(b, r, op_write, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static void again(struct bench *b, struct result *r)
{
	first_write(b, r);
	run_op(b, r, op_write, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

/* ---- page tables ---- */

static void cr3_hot(struct bench *b, struct result *r, uint64_t hot)
{
	populate(b, 64);
	map_data(b, b->cr3, DATA, DATA, 64, RW | AD);
	start(b, op_cr3,
	      &(struct regs){
		      .rcx = 8, .rsi = DATA, .rdi = b->cr3, .rdx = hot });
	go_to_end(b);
	run_op(b, r, op_cr3,
	       (struct regs){
		       .rcx = N, .rsi = DATA, .rdi = b->cr3, .rdx = hot },
	       N);
}

static void cr3_alone(struct bench *b, struct result *r)
{
	cr3_hot(b, r, 0);
}

static void cr3_64(struct bench *b, struct result *r)
{
	cr3_hot(b, r, 64);
}

static void spaces(struct bench *b, struct result *r, unsigned int n)
{
	uint64_t *roots = (uint64_t *)(b->low + ROOTS);
	struct regs regs = {
		.rcx = 64, .rsi = DATA, .rdi = ROOTS, .rdx = 64, .r10 = n
	};
	unsigned int i;

	populate(b, 64);
	for (i = 0; i < n; i++) {
		roots[i] = i ? new_root(b) : b->cr3;
		map_data(b, roots[i], DATA, DATA, 64, RW | AD);
	}
	start(b, op_switch, &regs);
	go_to_end(b);
	regs.rcx = N;
	run_op(b, r, op_switch, regs, N);
}

static void switch_2(struct bench *b, struct result *r)
{
	spaces(b, r, 2);
}

static void switch_16(struct bench *b, struct result *r)
{
	spaces(b, r, 16);
}

static void invlpg(struct bench *b, struct result *r)
{
	populate(b, 1);
	map_data(b, b->cr3, DATA, DATA, 1, RW | AD);
	run_op(b, r, op_invlpg, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static uint64_t entry_gpa(struct bench *b, uint64_t va, int level)
{
	return (uint8_t *)entry(b, b->cr3, va, level) - b->low;
}

static void remap(struct bench *b, struct result *r)
{
	populate(b, 2);
	map_data(b, b->cr3, DATA, DATA, 1, RW | AD);
	run_op(b, r, op_remap,
	       (struct regs){ .rcx = N,
			      .rsi = DATA,
			      .rdi = entry_gpa(b, DATA, 1),
			      .rdx = (DATA + 4096) | RW | AD,
			      .r10 = DATA | RW | AD },
	       N);
}

static void fill(struct bench *b, struct result *r)
{
	uint64_t tables = 8, first = b->pool, i;

	populate(b, tables * 512);
	/* The level above exists, and its entries are empty. */
	entry(b, b->cr3, DATA, 2);
	first = b->pool;
	for (i = 0; i < tables; i++)
		table_page(b);
	run_op(b, r, op_fill,
	       (struct regs){ .rcx = tables,
			      .rsi = DATA,
			      .rdi = first,
			      .rdx = DATA | RW,
			      .r10 = entry_gpa(b, DATA, 2),
			      .r11 = first | RW | PTE_A },
	       tables * 512);
}

static void wp(struct bench *b, struct result *r)
{
	/* Each iteration writes twice. */
	run_op(b, r, op_wp, (struct regs){ .rcx = N }, 2 * N);
	/*
	 * KVM flushes for the other root in kvm_mmu_load() without its own
	 * counter, so the number is unknown.
	 */
	if (!b->vigil)
		r->n.flushes = -1;
}

static void pf_reflected(struct bench *b, struct result *r)
{
	handler(b, 14, op_pf_skip);
	map_data(b, b->cr3, DATA, DATA, N, 0);
	run_op(b, r, op_fault, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

/* Payloads that change PTEs need the leaf tables next to each other. */
static uint64_t contiguous(struct bench *b, uint64_t pages, uint64_t flags)
{
	uint64_t first, i;

	entry(b, b->cr3, DATA, 2);
	first = b->pool;
	for (i = 0; i < pages; i += 512)
		*entry(b, b->cr3, DATA + i * 4096, 2) = table_page(b) | RW |
							PTE_A;
	if (flags)
		map_data(b, b->cr3, DATA, DATA, pages, flags);
	return first;
}

static void pf_mapped(struct bench *b, struct result *r)
{
	handler(b, 14, op_pf_map);
	populate(b, N);
	run_op(b, r, op_fault,
	       (struct regs){ .rcx = N,
			      .rsi = DATA,
			      .rdi = contiguous(b, N, 0),
			      .r10 = DATA | RW | AD },
	       N);
}

static void pf_copied(struct bench *b, struct result *r)
{
	uint64_t n = 1024, first;

	handler(b, 14, op_pf_copy);
	populate(b, 2 * n);
	first = contiguous(b, n, 1 | AD);
	map_data(b, b->cr3, DATA + n * 4096, DATA + n * 4096, n, RW | AD);
	run_op(b, r, op_copy,
	       (struct regs){ .rcx = n,
			      .rsi = DATA,
			      .rdi = first,
			      .r10 = (DATA + n * 4096) | RW | AD,
			      .r11 = DATA + n * 4096 },
	       n);
}

/* ---- the dirty log ---- */

static void harvest(struct bench *b, uint64_t *ticks)
{
	static uint64_t bitmap[DATA_PAGES / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };
	uint64_t t0 = now();

	if (ioctl(b->vm, KVM_GET_DIRTY_LOG, &log))
		die("KVM_GET_DIRTY_LOG: %s", strerror(errno));
	if (ticks)
		*ticks = now() - t0;
}

static void write_all(struct bench *b, uint64_t pages)
{
	start(b, op_write, &(struct regs){ .rcx = pages, .rsi = DATA });
	go_to_end(b);
}

static void logged_write(struct bench *b, struct result *r)
{
	populate(b, N);
	map_data(b, b->cr3, DATA, DATA, N, RW | AD);
	write_all(b, N);
	data_slot(b, true);
	write_all(b, N);
	harvest(b, NULL);
	run_op(b, r, op_write, (struct regs){ .rcx = N, .rsi = DATA }, N);
}

static void harvest_n(struct bench *b, struct result *r, uint64_t pages)
{
	struct counts before, after;
	uint64_t ticks;

	populate(b, pages);
	map_data(b, b->cr3, DATA, DATA, pages, RW | AD);
	data_slot(b, true);
	if (pages)
		write_all(b, pages);
	harvest(b, NULL);
	if (pages)
		write_all(b, pages);
	count(b, &before);
	harvest(b, &ticks);
	count(b, &after);
	r->ticks = ticks;
	r->ops = 1;
	charge(r, &before, &after);
}

static void harvest_0(struct bench *b, struct result *r)
{
	harvest_n(b, r, 0);
}

static void harvest_64(struct bench *b, struct result *r)
{
	harvest_n(b, r, 64);
}

static void harvest_4k(struct bench *b, struct result *r)
{
	harvest_n(b, r, 4096);
}

static void harvest_64k(struct bench *b, struct result *r)
{
	harvest_n(b, r, 65536);
}

static void log_enable(struct bench *b, struct result *r)
{
	uint64_t t0;

	populate(b, DATA_PAGES);
	map_data(b, b->cr3, DATA, DATA, DATA_PAGES, RW | AD);
	write_all(b, DATA_PAGES);
	t0 = now();
	data_slot(b, true);
	r->ticks = now() - t0;
	r->ops = 1;
}

const struct row rows[] = {
	{ "null-ioctl", "null ioctl (floor of any call)", 0, 0, null_ioctl },
	{ "immediate-exit", "KVM_RUN with immediate_exit", 1000, 800,
	  immediate },
	{ "pio", "port write to user and back", 1900, 1300, pio },
	{ "mmio-write", "MMIO write to user and back", 3000, 2200, mmio_write },
	{ "mmio-read", "MMIO read to user and back", 3000, 2200, mmio_read },
	{ "cpuid", "CPUID handled in the kernel", 1000, 600, cpuid },
	{ "rdmsr", "RDMSR handled in the kernel", 1000, 600, rdmsr },
	{ "hypercall", "hypercall handled in the kernel", 1000, 600,
	  hypercall },
	{ "pv-call", "paravirtual hypercall", 1000, 600, pv_call },
	{ "pv-refused", "the same from user mode, refused", 1000, 600,
	  pv_refused },
	{ "pv-user", "the same from user mode, accepted", 1000, 600, pv_user },
	{ "pv-fast", "fast trap to ring 1 and back", 100, 50, pv_fast },
	{ "pv-bounced", "bounced trap to ring 1 and back", 1070, 700,
	  pv_bounced },
	{ "first-write", "first 4K write to a page, A/D clear", 2800, 1800,
	  first_write },
	{ "first-write-absent", "the same, host memory not there yet", 0, 0,
	  first_write_absent },
	{ "read-first", "read first", 2800, 0, read_first },
	{ "then-write", "then write", 2000, 0, then_write },
	{ "again", "touch again", 8, 0, again },
	{ "cr3", "CR3 reload alone", 1300, 800, cr3_alone },
	{ "cr3-64", "CR3 reload with 64 hot pages", 1600, 1100, cr3_64 },
	{ "switch-2", "switch among 2 spaces, 64 hot pages", 1700, 1100,
	  switch_2 },
	{ "switch-16", "switch among 16 spaces, 64 hot pages", 2000, 1100,
	  switch_16 },
	{ "invlpg", "INVLPG and touch", 1500, 900, invlpg },
	{ "remap", "remap a PTE, INVLPG, touch", 3000, 2000, remap },
	{ "fill", "fill 512 PTEs, link the table, touch (a page)", 2800, 1500,
	  fill },
	{ "wp", "CR0.WP off and on", 2500, 1200, wp },
	{ "pf-reflected", "guest #PF reflected", 1300, 0, pf_reflected },
	{ "pf-mapped", "guest #PF mapped", 4000, 0, pf_mapped },
	{ "pf-copied", "guest #PF copied on write", 6000, 0, pf_copied },
	{ "logged-write", "first write after harvest, a page", 1600, 900,
	  logged_write },
	{ "harvest-0", "harvest of 256 MiB, nothing dirty", 20e3, 0,
	  harvest_0 },
	{ "harvest-64", "harvest of 256 MiB, 64 dirty", 30e3, 0, harvest_64 },
	{ "harvest-4096", "harvest of 256 MiB, 4,096 dirty", 400e3, 0,
	  harvest_4k },
	{ "harvest-65536", "harvest of 256 MiB, all dirty", 6e6, 0,
	  harvest_64k },
	{ "watch-beside", "store beside a watched range", 1300, 0,
	  watch_beside },
	{ "watch-beside-32", "the same, 32-bit paging", 1300, 0,
	  watch_beside_32 },
	{ "watch-beside-unpaged", "the same, unpaged", 1300, 0,
	  watch_beside_unpaged },
	{ "watch-log", "store that is logged", 1300, 0, watch_log },
	{ "watch-log-32", "the same, 32-bit paging", 1300, 0, watch_log_32 },
	{ "watch-log-unpaged", "the same, unpaged", 1300, 0,
	  watch_log_unpaged },
	{ "watch-deny", "store that is refused", 1300, 0, watch_deny },
	{ "watch-deny-32", "the same, 32-bit paging", 1300, 0, watch_deny_32 },
	{ "watch-deny-unpaged", "the same, unpaged", 1300, 0,
	  watch_deny_unpaged },
	{ "watch-pass", "store that a condition lets through", 1300, 0,
	  watch_pass },
	{ "watch-pass-16", "the same, the last of 16 conditions", 1300, 0,
	  watch_pass_16 },
	{ "watch-ask", "store that a thread allows, above 2 switches", 6000, 0,
	  watch_ask },
	{ "watch-add-200", "adding one of 200 watches", 6000, 0,
	  watch_add_200 },
	{ "watch-add-10000", "adding one of 10,000 watches", 6000, 0,
	  watch_add_10k },
	{ "log-enable", "enable the log on 256 MiB mapped", 5e6, 0,
	  log_enable },
};

const unsigned int nr_rows = sizeof(rows) / sizeof(rows[0]);
