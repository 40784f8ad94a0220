// SPDX-License-Identifier: GPL-2.0
/*
 * Every store instruction on a watched page: logged, the result must be what
 * the CPU does with it unwatched; denied, the same except for memory.
 */
#include <stdlib.h>

#include "mon.h"

DECLARE_PAYLOAD(wst);
DECLARE_LABEL(wst, xsetbv);
DECLARE_LABEL(wst, xgetbv);
DECLARE_LABEL(wst, ymm);

/* see guest/watch.S */
struct row {
	const char *at;
	int64_t events, needs, xcr0, zeroes;
	char name[24];
};

enum { NEEDS_XSAVE = 1, NEEDS_XSAVEOPT, NEEDS_XSAVEC, NEEDS_AVX512, NEEDS_X87 };

#define CPUID7_EBX_AVX512 (3u << 30 | 3u << 16) /* VL, BW, DQ, F */

extern const struct row wst_rows[], wst_rows_end[];

#define RANGE 0x100 /* of TARGET in the page */
#define WATCHED 64
#define SOURCE (PAGE + 0x800)

struct result {
	struct kvm_regs regs;
	uint8_t page[4096];
};

static void fill_page(const struct row *row, uint8_t *page)
{
	for (unsigned int i = 0; i < 4096; i++)
		page[i] = row->zeroes ? 0 : i * 7 + (i >> 8) + 3;
}

static void run_row(struct vcpu *v, const struct row *row, struct result *res)
{
	struct kvm_regs r = {
		.rax = 0x1122334455667788,
		.rbx = 0x99aabbccddeeff01,
		.rcx = 5,
		.rdx = 0x0123456789abcdef,
		.rdi = TARGET,
		.rsi = SOURCE,
		.rsp = TARGET + 8,
		.rbp = 0xfedcba9876543210,
		.r8 = 8,
		.rflags = RFLAGS_1,
		.rip = GUEST_CODE + (row->at - pl_wst),
	};

	fill_page(row, vm_ram(v->vm, PAGE, 4096));
	vcpu_settle(v);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &res->regs);
	memcpy(res->page, vm_ram(v->vm, PAGE, 4096), 4096);
}

static void same_regs(const struct kvm_regs *got, const struct kvm_regs *want)
{
	CHECK_EQ(got->rax, want->rax);
	CHECK_EQ(got->rbx, want->rbx);
	CHECK_EQ(got->rcx, want->rcx);
	CHECK_EQ(got->rdx, want->rdx);
	CHECK_EQ(got->rsi, want->rsi);
	CHECK_EQ(got->rdi, want->rdi);
	CHECK_EQ(got->rsp, want->rsp);
	CHECK_EQ(got->rbp, want->rbp);
	CHECK_EQ(got->r8, want->r8);
	CHECK_EQ(got->rip, want->rip);
	CHECK_EQ(got->rflags, want->rflags);
}

/*
 * Checks the events of a row: each one's old bytes are what the page had, and
 * together they are what the CPU wrote.
 */
static void check_events(int mon, const struct row *row,
			 const struct result *plain, bool denied)
{
	uint8_t page[4096], before[4096];
	int64_t n = 0;

	fill_page(row, before);
	memcpy(page, before, sizeof(page));
	/* A row may prepare its source, and store beyond the watched bytes. */
	memcpy(page, plain->page, RANGE);
	memcpy(page + RANGE + WATCHED, plain->page + RANGE + WATCHED,
	       4096 - RANGE - WATCHED);
	while (mon_ready(mon, 0)) {
		struct vigil_event ev = mon_event(mon);
		uint64_t off = ev.gpa - PAGE;

		n++;
		if (off > 4096 || ev.len > 64 || off + ev.len > 4096) {
			FAIL("%s: %u bytes at gpa %#llx", row->name, ev.len,
			     ev.gpa);
			return;
		}
		CHECK_EQ(ev.gva, ev.gpa); /* identity mapped */
		CHECK_EQ(ev.flags, VIGIL_EVENT_GVA_VALID |
					   VIGIL_EVENT_INSN_VALID |
					   (denied ? VIGIL_EVENT_DENIED : 0));
		CHECK_EQ(ev.mode, 64);
		CHECK_EQ(ev.cpl, 0);
		/*
		 * RIP points into the row's code, and the event has its bytes.
		 */
		CHECK(ev.rip >= GUEST_CODE && ev.insn_len >= 1 &&
		      ev.insn_len <= 15);
		CHECK(!memcmp(ev.insn, pl_wst + (ev.rip - GUEST_CODE),
			      ev.insn_len));
		if (memcmp(ev.old, denied ? before + off : page + off, ev.len))
			FAIL_MEM("%s: wrong old bytes", row->name);
		memcpy(page + off, ev.new_, ev.len);
	}
	if (row->events >= 0)
		CHECK_EQ(n, row->events);
	else
		CHECK(n > 0);
	if (memcmp(page, plain->page, 4096))
		FAIL_MEM(
			"%s: the events' new bytes are not what the CPU writes",
			row->name);
}

/* Returns a CPUID leaf of the guest, 0 where it has none. */
static struct kvm_cpuid_entry2 guest_cpuid(struct vcpu *v, uint32_t leaf,
					   uint32_t index)
{
	struct kvm_cpuid2 *c = supported_cpuid(v->vm->dev);
	struct kvm_cpuid_entry2 e = { 0 };

	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == leaf &&
		    c->entries[i].index == index)
			e = c->entries[i];
	free(c);
	return e;
}

/* Runs the code at that label; rAX is in and out. */
static uint64_t run_at(struct vcpu *v, const char *label, uint64_t rax)
{
	struct kvm_regs r = {
		.rax = rax,
		.rsi = GUEST_CODE,
		.rflags = RFLAGS_1,
		.rip = GUEST_CODE + (label - pl_wst),
	};

	vcpu_settle(v);
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	return r.rax;
}

/*
 * Switches XSAVE on with all components. Returns a bit for each that rows may
 * need. QEMU hides XCR0 from vigil, and so takes XSAVE away.
 */
static unsigned int give_xsave(struct vcpu *v, uint64_t *xcr0)
{
	uint32_t more = guest_cpuid(v, 0xd, 1).eax;
	uint32_t all = guest_cpuid(v, 0xd, 0).eax;
	bool avx512 = !(~guest_cpuid(v, 7, 0).ebx & CPUID7_EBX_AVX512);
	struct kvm_sregs sregs;

	*xcr0 = 0;
	if (!all)
		return 1;
	get_sregs(v, &sregs);
	sregs.cr4 |= CR4_OSXSAVE;
	set_sregs(v, &sregs);
	run_at(v, pl_wst_xsetbv, all);
	*xcr0 = (uint32_t)run_at(v, pl_wst_xgetbv, 0);
	if (*xcr0 & 4)
		run_at(v, pl_wst_ymm, 0);
	test_note("XCR0 %#llx", (unsigned long long)*xcr0);
	return 1 | 1 << NEEDS_XSAVE | (more & 1) << NEEDS_XSAVEOPT |
	       (more >> 1 & 1) << NEEDS_XSAVEC | avx512 << NEEDS_AVX512;
}

static void check_rows(long action)
{
	bool deny = action == VIGIL_ACTION_DENY;
	struct vcpu *v = START(M_LONG, wst);
	struct result plain, watched;
	uint8_t before[4096];
	const struct row *row;
	int mon = mon_open(v->vm);
	struct kvm_sregs sregs;
	unsigned int have;
	uint64_t xcr0;
	uint32_t id;

	get_sregs(v, &sregs);
	sregs.cr4 |= CR4_OSFXSR;
	set_sregs(v, &sregs);
	have = give_xsave(v, &xcr0) | !test_on_tcg() << NEEDS_X87;
	for (row = wst_rows; row < wst_rows_end; row++) {
		unsigned int failed = test_failures();

		if (!(have >> row->needs & 1) || row->xcr0 & ~xcr0) {
			test_note("this CPU cannot: %s", row->name);
			continue;
		}
		run_row(v, row, &plain);
		id = mon_watch(mon, TARGET, WATCHED, action);
		run_row(v, row, &watched);
		mon_del(mon, id);
		same_regs(&watched.regs, &plain.regs);
		check_events(mon, row, &plain, deny);
		if (deny) {
			/*
			 * Nothing in the range may change, and all outside of
			 * it must.
			 */
			fill_page(row, before);
			memcpy(plain.page + RANGE, before + RANGE, WATCHED);
		}
		CHECK_MEM(!memcmp(watched.page, plain.page, 4096));
		if (test_failures() != failed)
			test_note("that was %s", row->name);
	}
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "every store, logged", check_rows, VIGIL_ACTION_LOG },
		{ "every store, denied", check_rows, VIGIL_ACTION_DENY },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
