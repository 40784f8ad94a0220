// SPDX-License-Identifier: GPL-2.0
/* Hypercalls by INT 0x82, whose gate raises a fault; and the page in that flavour. */
#include <pthread.h>
#include <unistd.h>

#include "pv_calls.h"

#define VECTOR 0x82
#define RFLAGS_TF (1u << 8)

static const uint8_t int82[] = { 0xcd, 0x82 };

static struct vcpu *begin(enum mode mode)
{
	struct vigil_hypercalls h = usual;
	struct vcpu *v;

	h.flags |= VIGIL_HC_INT82;
	v = start(mode, &h);
	put_code(v, int82, sizeof(int82));
	return v;
}

static void set_idt_limit(struct vcpu *v, uint16_t limit)
{
	struct kvm_sregs s;

	vcpu_ring_sregs(v, &s);
	s.idt.limit = limit;
	set_sregs(v, &s);
}

/* The guest's gate, which is there and open to @dpl; or not there. */
static void set_gate(struct vcpu *v, unsigned int dpl, bool present)
{
	enum mode mode = mode_long(v->mode) ? M_LONG : M_PROT32;
	uint64_t at = GUEST_IDT + VECTOR * (mode == M_LONG ? 16 : 8);

	idt_gate(v->vm, mode, VECTOR, idt_stub(mode, VECTOR),
		 mode == M_LONG ? SEL_CODE64 : SEL_CODE32, 0xe, dpl);
	if (!present)
		wr64(v->vm, at, rd64(v->vm, at) & ~(1ull << 47));
}

/* An empty IDT, one that ends before the gate, and one whose gate is not there. */
static void kernel(long mode)
{
	static const uint8_t prefixed[] = { 0x67, 0xcd, 0x82 };
	struct vcpu *v = begin(mode);

	set_gate(v, 0, false);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	CHECK_EQ(call(v, NR_SCHED_OP, 2, 0), -XEN_ENOSYS);
	put_code(v, prefixed, sizeof(prefixed));
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	put_code(v, int82, sizeof(int82));
	set_gate(v, 3, true);
	set_idt_limit(v, VECTOR * 8 - 1);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	set_idt_limit(v, 0);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	vm_destroy(v->vm);
}

/* A gate of the guest's own, which is there and open: its handler runs. */
static void own_gate(long mode)
{
	struct vcpu *v = begin(mode);

	load_call(v, NR_SCHED_OP, 0, 0);
	EXPECT_EXC(v, VECTOR, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + sizeof(int82));
	if (!mode_paged(mode) && mode != M_PROT32)
		goto out;
	vcpu_set_mode(v, mode);
	put_code(v, int82, sizeof(int82));
	set_gate(v, 3, true);
	vcpu_enter_user(v);
	load_call(v, NR_SCHED_OP, 0, 0);
	EXPECT_EXC(v, VECTOR, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + sizeof(int82));
out:
	vm_destroy(v->vm);
}

/* QEMU's TCG doubles the index of 64-bit gates in an error code. */
static void check_fault(struct vcpu *v, unsigned int exception,
			unsigned int vector)
{
	uint32_t ec = vector * 8 + 2;

	EXPECT(v, STOP_EXC);
	CHECK_EQ(v->exc.vector, exception);
	if (mode_long(v->mode) && test_on_tcg())
		ec = vector * 16 + 2;
	CHECK_EQ(v->exc.error, ec);
	CHECK_EQ(v->exc.rip, mode_entry(v->mode));
}

static void user(long mode)
{
	struct vcpu *v = begin(mode);
	uint64_t open = 1ull << NR_SCHED_OP;
	struct kvm_sregs in_kernel, in_user;

	set_gate(v, 0, true);
	vcpu_ring_sregs(v, &in_kernel);
	vcpu_enter_user(v);
	vcpu_ring_sregs(v, &in_user);
	/* By default user mode is refused, and is told so. */
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), -XEN_EPERM);

	/* The kernel's own calls are by the CPU's instruction: its gate is there. */
	set_sregs(v, &in_kernel);
	put_code(v, test_on_svm() ? vmmcall : vmcall, 3);
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, VIGIL_REFUSE_FAULT, open), 0);
	put_code(v, int82, sizeof(int82));
	set_sregs(v, &in_user);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	set_gate(v, 3, false);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	/* Refused with a fault: that of the gate. */
	load_call(v, NR_CONSOLE_IO, 0, 0);
	check_fault(v, NP, VECTOR);
	vm_destroy(v->vm);
}

/* Other faults of gates, segments and instructions stay as they are. */
static void others(long mode)
{
	static const uint8_t int81[] = { 0xcd, 0x81 };
	static const uint8_t load_fs[] = { 0x8e, 0xe0 }; /* mov fs, ax */
	struct vcpu *v = begin(mode);
	enum mode gates = mode_long(mode) ? M_LONG : M_PROT32;
	uint64_t at = GUEST_IDT + 0x81 * (gates == M_LONG ? 16 : 8);

	wr64(v->vm, at, rd64(v->vm, at) & ~(1ull << 47));
	put_code(v, int81, sizeof(int81));
	load_call(v, NR_SCHED_OP, 0, 0);
	check_fault(v, NP, 0x81);
	vcpu_set_mode(v, mode);
	/* A selector whose error code looks as that of the gate, but for IDT. */
	put_code(v, load_fs, sizeof(load_fs));
	load_call(v, VECTOR * 8, 0, 0);
	EXPECT_EXC(v, GP, VECTOR * 8);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	vcpu_set_mode(v, mode);
	CHECK_EQ(vcpu_access_msr(v, true, 0xdead, 0), STOP_EXC);
	CHECK_EQ(v->exc.vector, GP);
	CHECK_EQ(v->exc.error, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	vm_destroy(v->vm);
}

/* In real mode and VM86, and without the flag, the instruction is the guest's. */
static void not_ours(long mode)
{
	struct vcpu *v;

	if (mode == M_REAL || mode == M_BIGREAL || mode == M_VM86) {
		v = begin(mode);
		if (mode == M_VM86)
			idt_gate(v->vm, M_PROT32, VECTOR,
				 idt_stub(M_PROT32, VECTOR), SEL_CODE32, 0xe,
				 3);
		load_call(v, NR_SCHED_OP, 0, 0);
		EXPECT_EXC(v, VECTOR, 0);
	} else {
		v = start(mode, &usual);
		put_code(v, int82, sizeof(int82));
		set_gate(v, 0, false);
		load_call(v, NR_SCHED_OP, 0, 0);
		check_fault(v, NP, VECTOR);
	}
	vm_destroy(v->vm);
}

static void stepped(long mode)
{
	struct vcpu *v = begin(mode);
	struct kvm_regs r;

	set_gate(v, 0, false);
	load_call(v, NR_SCHED_OP, 0, 0);
	get_regs(v, &r);
	r.rflags |= RFLAGS_TF;
	set_regs(v, &r);
	EXPECT_EXC(v, DB, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode) + sizeof(int82));
	vm_destroy(v->vm);
}

/* ---- the page ---- */

static bool by_int82(struct vcpu *v, uint64_t gpa)
{
	const uint8_t *entry = vm_ram(v->vm, gpa + NR_SCHED_OP * 32, 10);
	static const uint8_t want[] = { 0xb8, NR_SCHED_OP, 0,	 0,    0,
					0x3e, 0xcd,	   0x82, 0xc3, 0xcc };

	return !memcmp(entry, want, sizeof(want));
}

static int64_t set_level(struct vcpu *v, unsigned int iopl, unsigned int scope)
{
	put_code(v, test_on_svm() ? vmmcall : vmcall, 3);
	return set_iopl(v, iopl, scope, 0, 1ull << NR_SCHED_OP);
}

/* Makes a call by the page, as kernel or as user mode. */
static int64_t call_page(struct vcpu *v, uint64_t gpa, uint64_t nr, uint64_t a,
			 uint64_t b)
{
	uint8_t code[7] = { 0xb8, 0, 0, 0, 0, 0xff, 0xd0 }; /* call eax */
	uint32_t entry = gpa + nr * 32;
	struct kvm_regs r;

	memcpy(code + 1, &entry, sizeof(entry));
	put_code(v, code, sizeof(code));
	load_call(v, 0, a, b);
	get_regs(v, &r);
	r.rsp = GUEST_STACK - 64;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	return result(v);
}

static void page(long mode)
{
	const uint64_t pages[] = { GUEST_FREE, GUEST_FREE + 0x1000,
				   GUEST_FREE + 0x2000, GUEST_FREE + 0x3000,
				   GUEST_FREE + 0x4000 };
	struct vcpu *v = begin(mode);
	struct kvm_sregs in_kernel;
	unsigned int i;

	vcpu_ring_sregs(v, &in_kernel);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		REQUIRE_EQ(write_msr(v, pages[i]), STOP_END);
		CHECK(!by_int82(v, pages[i]));
	}
	/* The last four are remembered. */
	CHECK_EQ(set_level(v, 3, VIGIL_IOPL_VM), 0);
	CHECK(!by_int82(v, pages[0]));
	for (i = 1; i < ARRAY_SIZE(pages); i++)
		CHECK(by_int82(v, pages[i]));
	/* User mode calls by it, with no gate at all. */
	set_idt_limit(v, 0);
	vcpu_enter_user(v);
	CHECK_EQ(call_page(v, pages[4], NR_SCHED_OP, 0, 0), 0);

	set_sregs(v, &in_kernel);
	CHECK_EQ(set_level(v, 0, VIGIL_IOPL_VM), 0);
	for (i = 1; i < ARRAY_SIZE(pages); i++)
		CHECK(!by_int82(v, pages[i]));
	/* One vCPU that has opened them is enough. */
	CHECK_EQ(set_level(v, 1, VIGIL_IOPL_VCPU), 0);
	CHECK(by_int82(v, pages[4]));
	REQUIRE_EQ(write_msr(v, pages[0]), STOP_END);
	CHECK(by_int82(v, pages[0]));
	CHECK_EQ(set_level(v, 0, VIGIL_IOPL_VCPU), 0);
	CHECK(!by_int82(v, pages[0]));
	CHECK(!by_int82(v, pages[4]));
	vm_destroy(v->vm);
}

/* The page changes when the first one opens hypercalls and when the last closes them. */
static void page_vcpus(long mode)
{
	struct vcpu *a = begin(mode), *b = vcpu_create(a->vm);
	struct vigil_hypercalls h;

	vcpu_set_mode(b, mode);
	/* Guest page 0 is a page as any other. */
	REQUIRE_EQ(write_msr(a, 0), STOP_END);
	CHECK(!by_int82(a, 0));
	CHECK_EQ(set_level(a, 1, VIGIL_IOPL_VCPU), 0);
	CHECK(by_int82(a, 0));
	CHECK_EQ(set_level(b, 3, VIGIL_IOPL_VCPU), 0);
	CHECK_EQ(set_level(b, 2, VIGIL_IOPL_VCPU), 0);
	CHECK_EQ(set_level(a, 0, VIGIL_IOPL_VCPU), 0);
	CHECK(by_int82(a, 0));
	/* It gives up what it has of its own, and the VM has nothing open. */
	CHECK_EQ(set_level(b, 0, VIGIL_IOPL_VM), 0);
	CHECK(!by_int82(a, 0));
	CHECK_EQ(set_level(a, 1, VIGIL_IOPL_VCPU), 0);
	CHECK_EQ(set_level(b, 0, VIGIL_IOPL_VM), 0);
	CHECK(by_int82(a, 0));
	/* From outside, the policies of single vCPUs are taken back. */
	REQUIRE_EQ(ioctl(a->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	REQUIRE_EQ(set_hypercalls(a->vm->fd, &h), 0);
	REQUIRE_EQ(write_msr(a, GUEST_FREE), STOP_END);
	CHECK(!by_int82(a, GUEST_FREE));
	CHECK_EQ(set_level(a, 1, VIGIL_IOPL_VCPU), 0);
	CHECK(by_int82(a, GUEST_FREE));
	CHECK_EQ(set_level(a, 0, VIGIL_IOPL_VCPU), 0);
	CHECK(!by_int82(a, GUEST_FREE));
	vm_destroy(a->vm);
}

/* ---- two vCPUs change the flavour at once ---- */

struct flip {
	struct vcpu *v;
	unsigned int iopl;
	pthread_barrier_t *both;
	enum stop stop;
};

static void *flip(void *arg)
{
	struct flip *f = arg;

	pthread_barrier_wait(f->both);
	f->stop = vcpu_go(f->v);
	return NULL;
}

#define RACES 200

/*
 * One opens the VM's hypercalls while the other closes them. Whichever was the last,
 * the page has the flavour of its policy.
 */
static void page_raced(long mode)
{
	struct vcpu *a = begin(mode), *b = vcpu_create(a->vm);
	struct flip f[2] = { { .v = a, .iopl = 3 }, { .v = b } };
	pthread_barrier_t both;
	struct vigil_hypercalls h;
	pthread_t thread[2];
	unsigned int i, j, opened = 0;

	vcpu_set_mode(b, mode);
	REQUIRE_EQ(write_msr(a, GUEST_FREE), STOP_END);
	put_code(a, test_on_svm() ? vmmcall : vmcall, 3);
	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < RACES && !test_failures(); i++) {
		for (j = 0; j < 2; j++) {
			struct vigil_iopl arg = { .iopl = f[j].iopl,
						  .scope = VIGIL_IOPL_VM };
			uint64_t at = GUEST_LOW + 64 * j;

			f[j].both = &both;
			memcpy(vm_ram(a->vm, at, sizeof(arg)), &arg,
			       sizeof(arg));
			load_call(f[j].v, NR_IOPL, VIGIL_IOPL_SET, at);
			if (pthread_create(&thread[j], NULL, flip, &f[j]))
				ERROR("no thread");
		}
		for (j = 0; j < 2; j++) {
			pthread_join(thread[j], NULL);
			REQUIRE_EQ(f[j].stop, STOP_END);
			CHECK_EQ(result(f[j].v), 0);
		}
		REQUIRE_EQ(ioctl(a->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
		CHECK_EQ(by_int82(a, GUEST_FREE), !!h.iopl);
		opened += !!h.iopl;
	}
	test_note("opened last in %u of %u", opened, i);
	vm_destroy(a->vm);
}

static void set_by_monitor(struct vcpu *v, const struct vigil_hypercalls *h)
{
	int mon = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 0);

	if (mon < 0)
		ERROR("VIGIL_CREATE_MONITOR: errno %d", errno);
	CHECK_EQ(set_hypercalls(mon, h), 0);
	close(mon);
}

/* Memory that has been a hypercall page, and is used for something else now. */
static void page_reused(long mode)
{
	struct vcpu *v = begin(mode);
	uint8_t *last = vm_ram(v->vm, GUEST_FREE + 4095, 1);
	uint8_t *other = vm_ram(v->vm, GUEST_FREE + 0x1000, 4096);
	struct vigil_hypercalls h;
	unsigned int i;

	REQUIRE_EQ(write_msr(v, GUEST_FREE), STOP_END);
	REQUIRE_EQ(write_msr(v, GUEST_FREE + 0x1000), STOP_END);
	CHECK_EQ(*last, 0xcc);
	*last = 0;
	memset(other, 0x5a, 4096);
	CHECK_EQ(set_level(v, 3, VIGIL_IOPL_VM), 0);
	CHECK(!by_int82(v, GUEST_FREE));
	CHECK_EQ(*last, 0);
	for (i = 0; i < 4096; i++)
		if (other[i] != 0x5a)
			FAIL_MEM("byte %u of the page is overwritten", i);
	/* It is a hypercall page of the old flavour again. */
	*last = 0xcc;
	CHECK_EQ(set_level(v, 0, VIGIL_IOPL_VM), 0);
	CHECK_EQ(set_level(v, 3, VIGIL_IOPL_VM), 0);
	CHECK(by_int82(v, GUEST_FREE));

	/* The VMM begins anew: no page is remembered, whatever lies there. */
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	memset(h.page, 0, sizeof(h.page));
	REQUIRE_EQ(set_hypercalls(v->vm->fd, &h), 0);
	CHECK_EQ(set_level(v, 0, VIGIL_IOPL_VM), 0);
	CHECK(by_int82(v, GUEST_FREE));
	vm_destroy(v->vm);
}

/* The guest moves to another VM, and opens or closes its hypercalls there. */
static void page_moved(long mode)
{
	struct vcpu *a = begin(mode), *b;
	struct vigil_hypercalls h, was;
	unsigned int open;

	/* Guest page 0 is a page as any other. */
	REQUIRE_EQ(write_msr(a, 0), STOP_END);
	REQUIRE_EQ(write_msr(a, GUEST_FREE), STOP_END);
	for (open = 0; open < 2; open++) {
		uint64_t by = open ? VIGIL_HC_BY_INT82 : 0;

		CHECK_EQ(set_level(a, open, VIGIL_IOPL_VM), 0);
		REQUIRE_EQ(ioctl(a->vm->fd, VIGIL_GET_HYPERCALLS, &was), 0);
		CHECK_EQ(was.page[0], GUEST_FREE | VIGIL_HC_ASKED | by);
		CHECK_EQ(was.page[1], VIGIL_HC_ASKED | by);
		CHECK_EQ(was.page[2], 0);
		b = pv_start(mode, &was);
		REQUIRE_EQ(ioctl(b->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
		CHECK(!memcmp(&h, &was, sizeof(h)));
		/* A monitor that sets the policy leaves the pages alone. */
		memset(h.page, 0, sizeof(h.page));
		set_by_monitor(b, &h);
		memcpy(b->vm->ram, a->vm->ram, a->vm->ram_size);
		CHECK_EQ(by_int82(b, GUEST_FREE), open);
		CHECK_EQ(set_level(b, !open, VIGIL_IOPL_VM), 0);
		CHECK_EQ(by_int82(b, GUEST_FREE), !open);
		CHECK_EQ(by_int82(b, 0), !open);
		vm_destroy(b->vm);
	}
	vm_destroy(a->vm);
}

/* The page changes under the hypercall that asks for it, or in a multicall of it. */
static void page_in_use(long mode)
{
	struct vigil_iopl arg = { .iopl = 3, .scope = VIGIL_IOPL_VM };
	struct vcpu *v = begin(mode);
	unsigned int i, words = is_wide(v) ? 8 : 4;
	uint64_t list = GUEST_DATA;

	set_gate(v, 0, false);
	REQUIRE_EQ(write_msr(v, GUEST_FREE), STOP_END);
	for (i = 0; i < 4; i++) {
		bool multi = i / 2;

		arg.iopl = i % 2 ? 0 : 3;
		memcpy(vm_ram(v->vm, GUEST_LOW, sizeof(arg)), &arg,
		       sizeof(arg));
		if (!multi) {
			CHECK_EQ(call_page(v, GUEST_FREE, NR_IOPL,
					   VIGIL_IOPL_SET, GUEST_LOW),
				 0);
		} else {
			memset(vm_ram(v->vm, list, 256), 0, 256);
			*(uint32_t *)vm_ram(v->vm, list, 4) = NR_IOPL;
			*(uint32_t *)vm_ram(v->vm, list + 3 * words, 4) =
				GUEST_LOW;
			*(uint32_t *)vm_ram(v->vm, list + 8 * words, 4) =
				NR_SCHED_OP;
			CHECK_EQ(call_page(v, GUEST_FREE, NR_MULTICALL, list,
					   2),
				 0);
			CHECK_EQ(rd32(v->vm, list + words), 0);
			CHECK_EQ(rd32(v->vm, list + 9 * words), 0);
		}
		CHECK_EQ(by_int82(v, GUEST_FREE), !!arg.iopl);
	}
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_PROT("calls of the kernel", kernel),
		CASE_PROT("a gate of the guest's own", own_gate),
		CASE_PROT("calls of user mode", user),
		CASE_PROT("other faults", others),
		CASE_ALL("not ours", not_ours),
		CASE_PROT("single step", stepped),
		CASE_PROT("the page", page),
		CASE_PROT("the page, in use", page_in_use),
		CASE_PROT("the page, two vCPUs", page_vcpus),
		{ "the page, at once (prot32)", page_raced, M_PROT32 },
		{ "the page, at once (pae)", page_raced, M_PAE },
		{ "the page, at once (long)", page_raced, M_LONG },
		CASE_PROT("the page, used for something else", page_reused),
		CASE_PROT("the page, in another VM", page_moved),
		{}
	};

	return test_main(argc, argv, cases);
}
