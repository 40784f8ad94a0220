// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls of paravirtual guests: the page, who may call, what the module answers,
 * multicalls, KVM_EXIT_XEN.
 */
#include <unistd.h>

#include "../watch/mon.h"
#include "pv_calls.h"

/* ---- ioctls ---- */

static void policy(long unused)
{
	static const struct {
		struct vigil_hypercalls h;
		const char *what;
	} bad[] = {
		{ { .flags = 1 << 31 }, "unknown flag" },
		{ { .flags = VIGIL_HC_EXIT_XEN }, "exits without hypercalls" },
		{ { .max_iopl = 1 }, "no hypercalls, but a level" },
		{ { .flags = VIGIL_HC_PAGE, .msr = 0x10 }, "another MSR" },
		{ { .flags = VIGIL_HC_PAGE, .max_iopl = 4 }, "level 4" },
		{ { .flags = VIGIL_HC_PAGE, .iopl = 1 }, "above max_iopl" },
		{ { .flags = VIGIL_HC_PAGE, .refuse = 2 }, "refuse" },
		{ { .flags = VIGIL_HC_PAGE, .pad[4] = 1 }, "padding" },
		{ { .flags = VIGIL_HC_PAGE, .reserved[2] = 1 }, "reserved" },
		{ { .flags = VIGIL_HC_PAGE, .page[0] = 0x1001 },
		  "a page without MSR" },
		{ { .flags = VIGIL_HC_PAGE,
		    .msr = MSR_PAGE,
		    .page[3] = 1,
		    .page[0] = 0x1000 },
		  "a page not asked for" },
		{ { .flags = VIGIL_HC_PAGE, .msr = MSR_PAGE, .page[3] = 0x1003 },
		  "INT 0x82 without VIGIL_HC_INT82" },
		{ { .flags = VIGIL_HC_PAGE | VIGIL_HC_INT82,
		    .msr = MSR_PAGE,
		    .page[1] = 0x1005 },
		  "an address that is not a page's" },
		{ { .flags = VIGIL_HC_PAGE,
		    .msr = MSR_PAGE,
		    .page[2] = 1ull << 52 | 1 },
		  "a page beyond all memory" },
		{ { .flags = VIGIL_HC_PAGE, .kernel = 1 }, "unknown number" },
		{ { .flags = VIGIL_HC_PAGE, .user = 1 }, "beyond user_max" },
		{ { .flags = VIGIL_HC_PAGE, .user_max = 1ull << NR_IOPL },
		  "set_hypercall_iopl for user mode" },
	};
	struct vigil_hypercalls h, was;
	unsigned int i;
	struct vm *vm;
	int mon;

	if (test_on_kvm())
		SKIP("the hypercalls of paravirtual guests are vigil's");
	vm = vm_create(4 << 20);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		set_hypercalls(vm->fd, &bad[i].h);
		if (errno != EINVAL)
			FAIL("%s: errno %d", bad[i].what, errno);
	}
	errno = 0;
	CHECK_EQ(set_hypercalls(vm->fd, NULL), -1);
	CHECK_EQ(errno, EFAULT);
	REQUIRE_EQ(ioctl(vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.flags, 0);
	REQUIRE_EQ(set_hypercalls(vm->fd, &usual), 0);
	mon = mon_open(vm);
	REQUIRE_EQ(ioctl(mon, VIGIL_GET_HYPERCALLS, &was), 0);
	CHECK(!memcmp(&was, &usual, sizeof(was)));

	/* A monitor changes what the guest could change, and nothing else. */
	h = was;
	h.max_iopl = 2;
	errno = 0;
	CHECK_EQ(set_hypercalls(mon, &h), -1);
	CHECK_EQ(errno, EPERM);
	h = was;
	h.iopl = 3;
	h.user = 1 << NR_CONSOLE_IO;
	CHECK_EQ(set_hypercalls(mon, &h), 0);

	/* With a vCPU, nobody changes the rest. */
	vcpu_create(vm);
	h.flags |= VIGIL_HC_EXIT_XEN;
	errno = 0;
	CHECK_EQ(set_hypercalls(vm->fd, &h), -1);
	CHECK_EQ(errno, EBUSY);
	REQUIRE_EQ(ioctl(vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.flags, VIGIL_HC_PAGE);
	CHECK_EQ(h.iopl, 3);
	h.iopl = 0;
	CHECK_EQ(set_hypercalls(vm->fd, &h), 0);
	close(mon);
	vm_destroy(vm);
}

/* ---- the page ---- */

static void check_page(const uint8_t *page)
{
	const uint8_t *insn = test_on_svm() ? vmmcall : vmcall;
	unsigned int nr;

	for (nr = 0; nr < 128; nr++, page += 32) {
		uint8_t want[] = { 0xb8,    nr,	     0,	      0,   0,
				   insn[0], insn[1], insn[2], 0xc3 };
		static const uint8_t ud2[] = { 0x0f, 0x0b };

		if (nr == 23 ? memcmp(page, ud2, sizeof(ud2)) :
			       memcmp(page, want, sizeof(want)))
			FAIL("entry %u is wrong", nr);
	}
}

static void page(long mode)
{
	struct vcpu *v = start(mode, &usual);
	uint8_t *at = vm_ram(v->vm, GUEST_FREE, 4096);
	uint8_t *rom = ram_alloc(4096);
	struct kvm_regs r;
	unsigned int i;

	memset(at, 0x5a, 4096);
	if (mode == M_VM86) {
		CHECK_EQ(write_msr(v, GUEST_FREE), STOP_EXC);
		CHECK_EQ(v->exc.vector, GP);
		CHECK_EQ(at[0], 0x5a);
		goto out;
	}
	memset(rom, 0x5a, 4096);
	vm_slot(v->vm, 1, 0x40000000, 4096, rom, KVM_MEM_READONLY);
	for (i = 0; i < 4; i++) {
		static const uint64_t bad[] = {
			GUEST_FREE + 1, GUEST_FREE + 0xfff, /* another page */
			GUEST_MMIO, /* no memory */
			0x40000000, /* read only */
		};

		CHECK_EQ(write_msr(v, bad[i]), STOP_EXC);
		CHECK_EQ(v->exc.vector, GP);
		vcpu_set_mode(v, mode);
	}
	CHECK_EQ(at[0], 0x5a);
	CHECK_EQ(rom[0], 0x5a);
	REQUIRE_EQ(write_msr(v, GUEST_FREE), STOP_END);
	check_page(at);

	CHECK_EQ(vcpu_access_msr(v, false, MSR_PAGE, ~0ull), STOP_END);
	get_regs(v, &r);
	CHECK_EQ(r.rax, 0);
	CHECK_EQ(r.rdx, 0);
out:
	vm_destroy(v->vm);
}

/* A monitor is told of the page, in pieces, and what it denies is not written. */
static void page_watched(long unused)
{
	struct vcpu *v = start(M_LONG, &usual);
	struct vigil_watch w = {
		.start = GUEST_FREE + 0x100,
		.len = 8,
		.action = VIGIL_ACTION_DENY,
	};
	uint8_t *at = vm_ram(v->vm, GUEST_FREE, 4096);
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	memset(at, 0x5a, 4096);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &w), 0);
	REQUIRE_EQ(write_msr(v, GUEST_FREE), STOP_END);
	CHECK_EQ(at[0], 0xb8);
	CHECK_EQ(at[0x100], 0x5a);
	CHECK_EQ(at[0x140], 0xb8);
	REQUIRE_EQ(read(mon, &ev, sizeof(ev)), (long)sizeof(ev));
	CHECK_EQ(ev.gpa, GUEST_FREE + 0x100);
	CHECK(ev.flags & VIGIL_EVENT_DENIED);
	CHECK_EQ(ev.new_[0], 0xb8);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- who may call ---- */

/* A call of the kernel's: either vendor's instruction does. */
static void kernel_calls(long mode)
{
	struct vcpu *v = start(mode, &usual);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		put_code(v, i ? vmcall : vmmcall, 3);
		if (mode == M_VM86) {
			/* Counts as ring 3. */
			CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), -XEN_EPERM);
			continue;
		}
		CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
		CHECK_EQ(call(v, NR_SCHED_OP, 2, 0), -XEN_ENOSYS);
		CHECK_EQ(call(v, NR_CONSOLE_IO, 0, 0), -XEN_ENOSYS);
		CHECK_EQ(call(v, 1u << 31, 0, 0), -XEN_ENOSYS);
	}
	vm_destroy(v->vm);
}

/* #UD of other instructions stays the guest's. */
static void other_ud(long mode)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	static const uint8_t vmlaunch[] = { 0x0f, 0x01, 0xc2 };
	struct vcpu *v = start(mode, &usual);

	put_code(v, ud2, sizeof(ud2));
	EXPECT_EXC(v, UD, 0);
	vcpu_set_mode(v, mode);
	put_code(v, vmlaunch, sizeof(vmlaunch));
	EXPECT_EXC(v, UD, 0);
	vm_destroy(v->vm);
}

static void user_calls(long mode)
{
	struct vcpu *v = start(mode, &usual);
	struct kvm_sregs kernel, user;
	uint64_t open = 1ull << NR_SCHED_OP;
	struct kvm_regs r;

	vcpu_ring_sregs(v, &kernel);
	if (mode != M_VM86)
		vcpu_enter_user(v);
	vcpu_ring_sregs(v, &user);
	/* The default: nobody but the kernel. */
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), -XEN_EPERM);
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, 0, open), -XEN_EPERM);
	if (mode == M_VM86) {
		struct vigil_hypercalls h = usual;

		h.iopl = 3;
		h.user = open;
		REQUIRE_EQ(set_hypercalls(v->vm->fd, &h), 0);
		CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
		goto out;
	}
	set_sregs(v, &kernel);
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, VIGIL_REFUSE_EPERM, open), 0);
	set_sregs(v, &user);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), 0);
	CHECK_EQ(call(v, NR_CONSOLE_IO, 0, 0), -XEN_EPERM);
	CHECK_EQ(call(v, 64 + NR_SCHED_OP, 0, 0), -XEN_EPERM);
	/* Level 2 is not level 3. */
	set_sregs(v, &kernel);
	CHECK_EQ(set_iopl(v, 2, VIGIL_IOPL_VM, VIGIL_REFUSE_EPERM, open), 0);
	set_sregs(v, &user);
	CHECK_EQ(call(v, NR_SCHED_OP, 0, 0), -XEN_EPERM);

	/* A refused call can fault instead. */
	set_sregs(v, &kernel);
	CHECK_EQ(set_iopl(v, 0, VIGIL_IOPL_VM, VIGIL_REFUSE_FAULT, 0), 0);
	set_sregs(v, &user);
	load_call(v, NR_SCHED_OP, 0, 0);
	EXPECT_EXC(v, GP, 0);
	CHECK_EQ(v->exc.rip, mode_entry(mode));
	get_regs(v, &r);
	CHECK_EQ(r.rax, NR_SCHED_OP);
out:
	vm_destroy(v->vm);
}

static void iopl_arguments(long mode)
{
	struct vigil_iopl *arg, good = { .iopl = 3, .scope = VIGIL_IOPL_VM };
	struct vigil_hypercalls h = usual;
	struct vcpu *v;

	h.max_iopl = 2;
	v = start(mode, &h);
	arg = vm_ram(v->vm, GUEST_LOW, sizeof(*arg));
	CHECK_EQ(set_iopl(v, 3, VIGIL_IOPL_VM, 0, 0), -XEN_EPERM);
	CHECK_EQ(set_iopl(v, 2, VIGIL_IOPL_VM, 0, 1), -XEN_EPERM);
	CHECK_EQ(set_iopl(v, 4, VIGIL_IOPL_VM, 0, 0), -XEN_EINVAL);
	CHECK_EQ(set_iopl(v, 2, 2, 0, 0), -XEN_EINVAL);
	CHECK_EQ(set_iopl(v, 2, VIGIL_IOPL_VM, 2, 0), -XEN_EINVAL);
	*arg = good;
	arg->pad[2] = 1;
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_SET, GUEST_LOW), -XEN_EINVAL);
	CHECK_EQ(call(v, NR_IOPL, 2, GUEST_LOW), -XEN_EINVAL);
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_SET, GUEST_MMIO), -XEN_EFAULT);
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_GET, GUEST_MMIO), -XEN_EFAULT);
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_SET, 0xfffffff8), -XEN_EFAULT);
	if (is_wide(v))
		CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_SET, 1ull << 62),
			 -XEN_EFAULT);
	/* Nothing of that has changed anything. */
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.iopl, 0);
	CHECK_EQ(h.user, 0);

	/* A vCPU's own values, and the VM's behind them; over a page's end. */
	CHECK_EQ(set_iopl(v, 1, VIGIL_IOPL_VM, 0, 1ull << NR_MULTICALL), 0);
	CHECK_EQ(set_iopl(v, 2, VIGIL_IOPL_VCPU, 1, 1ull << NR_SCHED_OP), 0);
	arg = vm_ram(v->vm, GUEST_DATA - 5, sizeof(*arg));
	memset(arg, 0, sizeof(*arg));
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_GET, GUEST_DATA - 5), 0);
	CHECK_EQ(arg->iopl, 2);
	CHECK_EQ(arg->refuse, 1);
	CHECK_EQ(arg->user, 1ull << NR_SCHED_OP);
	arg->scope = VIGIL_IOPL_VM;
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_GET, GUEST_DATA - 5), 0);
	CHECK_EQ(arg->iopl, 1);
	CHECK_EQ(arg->scope, VIGIL_IOPL_VM);
	CHECK_EQ(arg->user, 1ull << NR_MULTICALL);
	/* What the VMM sets holds for all. */
	REQUIRE_EQ(ioctl(v->vm->fd, VIGIL_GET_HYPERCALLS, &h), 0);
	CHECK_EQ(h.iopl, 1);
	h.iopl = 0;
	h.user = 0;
	REQUIRE_EQ(set_hypercalls(v->vm->fd, &h), 0);
	arg->scope = VIGIL_IOPL_VCPU;
	CHECK_EQ(call(v, NR_IOPL, VIGIL_IOPL_GET, GUEST_DATA - 5), 0);
	CHECK_EQ(arg->iopl, 0);
	vm_destroy(v->vm);
}

/* A caller's pointer has the caller's rights. */
static void user_pointers(long mode)
{
	struct vigil_hypercalls h = usual;
	const uint64_t list = GUEST_HIGH - 0x1000 - 32;
	struct kvm_sregs s;
	struct vcpu *v;
	struct pt pt;

	h.iopl = 3;
	h.user = 1ull << NR_MULTICALL | 1ull << NR_SCHED_OP;
	v = start(mode, &h);
	vcpu_enter_user(v);
	vcpu_ring_sregs(v, &s);
	pt_init(&pt, v->vm, mode);
	pt.root = s.cr3;
	/* An entry of a multicall on a user's page that a kernel's page follows. */
	memset(vm_ram(v->vm, list, 64), 0, 64);
	if (is_wide(v))
		wr64(v->vm, list, NR_SCHED_OP);
	else
		wr32(v->vm, list, NR_SCHED_OP);
	pt_set(&pt, list, 1, pt_get(&pt, list, 1) | PTE_U);
	pt_set(&pt, list + 32, 1, pt_get(&pt, list + 32, 1) & ~PTE_U);
	if (is_wide(v)) {
		/* 64 bytes, half of them the kernel's */
		CHECK_EQ(call(v, NR_MULTICALL, list, 1), -XEN_EFAULT);
	} else {
		/* 32 bytes are the user's, the next entry is not */
		CHECK_EQ(call(v, NR_MULTICALL, list, 1), 0);
		CHECK_EQ(call(v, NR_MULTICALL, list, 2), -XEN_EFAULT);
	}
	/* What can be read and not written is left alone, too. */
	set_sregs(v, &s);
	pt_set(&pt, list + 32, 1, pt_get(&pt, list + 32, 1) | PTE_U);
	pt_set(&pt, list, 1, pt_get(&pt, list, 1) & ~PTE_W);
	set_sregs(v, &s);
	CHECK_EQ(call(v, NR_MULTICALL, list, 1), -XEN_EFAULT);
	vm_destroy(v->vm);
}

/* ---- multicalls ---- */

static void multicalls(long mode)
{
	/* It crosses pages, and is not aligned. */
	const uint64_t list = GUEST_DATA + 0xff4;
	struct vcpu *v = start(mode, &usual);
	const unsigned int n = 100;
	unsigned int i;

	for (i = 0; i < n; i++) {
		static const uint64_t op[] = { NR_SCHED_OP, NR_CONSOLE_IO,
					       NR_MULTICALL, NR_IOPL };

		set_word(v, list, i, 0, op[i % 4]);
		set_word(v, list, i, 1, 0x77);
		set_word(v, list, i, 2, i % 4 == 3 ? 9 : 0);
	}
	set_word(v, list, n, 1, 0x77);
	CHECK_EQ(call(v, NR_MULTICALL, list, n), 0);
	for (i = 0; i < n; i++) {
		static const int want[] = { 0, -XEN_ENOSYS, -XEN_EINVAL,
					    -XEN_EINVAL };

		if (entry_result(v, list, i) != want[i % 4])
			FAIL("entry %u: %lld", i,
			     (long long)entry_result(v, list, i));
	}
	CHECK_EQ(entry_result(v, list, n), 0x77);
	CHECK_EQ(call(v, NR_MULTICALL, list, 0), 0);

	/* The list ends where memory does: what is before is done. */
	set_word(v, 0x3ffff8 - 8 * word_bytes(v), 0, 0, NR_SCHED_OP);
	set_word(v, 0x3ffff8 - 8 * word_bytes(v), 0, 1, 0x77);
	set_word(v, 0x3ffff8 - 8 * word_bytes(v), 0, 2, 0);
	CHECK_EQ(call(v, NR_MULTICALL, 0x3ffff8 - 8 * word_bytes(v), 2),
		 -XEN_EFAULT);
	CHECK_EQ(entry_result(v, 0x3ffff8 - 8 * word_bytes(v), 0), 0);
	vm_destroy(v->vm);
}

/* Of a multicall by user code each entry is judged for itself. */
static void multicall_by_user(long mode)
{
	struct vigil_hypercalls h = usual;
	const uint64_t list = GUEST_DATA;
	struct vcpu *v;

	h.iopl = 3;
	h.user = 1ull << NR_MULTICALL | 1ull << NR_SCHED_OP;
	h.refuse = VIGIL_REFUSE_FAULT;
	v = start(mode, &h);
	vcpu_enter_user(v);
	set_word(v, list, 0, 0, NR_SCHED_OP);
	set_word(v, list, 0, 2, 0);
	set_word(v, list, 1, 0, NR_IOPL);
	set_word(v, list, 2, 0, NR_CONSOLE_IO);
	CHECK_EQ(call(v, NR_MULTICALL, list, 3), 0);
	CHECK_EQ(entry_result(v, list, 0), 0);
	CHECK_EQ(entry_result(v, list, 1), -XEN_EPERM);
	CHECK_EQ(entry_result(v, list, 2), -XEN_EPERM);
	vm_destroy(v->vm);
}

/* ---- what the VMM answers ---- */

static void expect_xen(struct vcpu *v, uint64_t nr, unsigned int cpl)
{
	struct kvm_xen_exit *x = &v->run->xen;

	REQUIRE_EQ(vcpu_go(v), STOP_OTHER);
	REQUIRE_EQ(v->run->exit_reason, KVM_EXIT_XEN);
	CHECK_EQ(x->type, KVM_EXIT_XEN_HCALL);
	CHECK_EQ(x->u.hcall.longmode, is_wide(v));
	CHECK_EQ(x->u.hcall.cpl, cpl);
	CHECK_EQ(x->u.hcall.input, nr);
	CHECK_EQ((int64_t)x->u.hcall.result, -XEN_ENOSYS);
}

static void exit_xen(long mode)
{
	struct vigil_hypercalls h = usual;
	uint64_t a = 0x123456789abcdef0;
	struct kvm_xen_exit *x;
	struct kvm_regs r;
	struct vcpu *v;

	h.flags |= VIGIL_HC_EXIT_XEN;
	h.iopl = 3;
	h.user = 1ull << NR_CONSOLE_IO;
	v = start(mode, &h);
	x = &v->run->xen;
	load_call(v, NR_CONSOLE_IO, a, 0x22);
	expect_xen(v, NR_CONSOLE_IO, mode == M_VM86 ? 3 : 0);
	CHECK_EQ(x->u.hcall.params[0], is_wide(v) ? a : (uint32_t)a);
	CHECK_EQ(x->u.hcall.params[1], 0x22);
	CHECK_EQ(x->u.hcall.params[2], 0x33);
	CHECK_EQ(x->u.hcall.params[3], 0x44);
	CHECK_EQ(x->u.hcall.params[4], 0x55);
	CHECK_EQ(x->u.hcall.params[5], 0x66);
	/* RIP is still that of the call; the result comes with KVM_RUN. */
	get_regs(v, &r);
	CHECK_EQ(r.rip, mode_entry(mode));
	CHECK_EQ(r.rax, NR_CONSOLE_IO);
	x->u.hcall.result = 0x7fffffff12345678;
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), is_wide(v) ? 0x7fffffff12345678 : 0x12345678);

	/* The VMM puts the vCPU elsewhere: the result is dropped. */
	load_call(v, NR_CONSOLE_IO, 0, 0);
	expect_xen(v, NR_CONSOLE_IO, mode == M_VM86 ? 3 : 0);
	get_regs(v, &r);
	r.rip += 3;
	r.rax = 0x55;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	CHECK_EQ(v->end, 0x55);
	if (mode == M_VM86 || mode_16bit(mode))
		goto out;
	vcpu_enter_user(v);
	load_call(v, NR_CONSOLE_IO, 0, 0);
	expect_xen(v, NR_CONSOLE_IO, 3);
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), -XEN_ENOSYS);
	CHECK_EQ(call(v, NR_SCHED_OP, 2, 0), -XEN_EPERM);
out:
	vm_destroy(v->vm);
}

/* The VMM answers one entry after the other. */
static void multicall_exits(long mode)
{
	struct vigil_hypercalls h = usual;
	const uint64_t list = GUEST_DATA + 0xffc;
	struct vcpu *v;
	unsigned int i;

	h.flags |= VIGIL_HC_EXIT_XEN;
	v = start(mode, &h);
	for (i = 0; i < 5; i++) {
		set_word(v, list, i, 0, i == 2 ? NR_SCHED_OP : NR_CONSOLE_IO);
		set_word(v, list, i, 2, i == 2 ? 0 : 100 + i);
	}
	load_call(v, NR_MULTICALL, list, 5);
	for (i = 0; i < 5; i++) {
		if (i == 2)
			continue;
		expect_xen(v, NR_CONSOLE_IO, 0);
		CHECK_EQ(v->run->xen.u.hcall.params[0], 100 + i);
		v->run->xen.u.hcall.result = -7 - (int)i;
	}
	EXPECT(v, STOP_END);
	CHECK_EQ(result(v), 0);
	for (i = 0; i < 5; i++)
		CHECK_EQ(entry_result(v, list, i), i == 2 ? 0 : -7 - (int)i);
	vm_destroy(v->vm);
}

/* ---- a monitor beside it ---- */

/* A monitor decides about the result of an entry, and about what is told. */
static void held(long mode)
{
	struct vcpu *v = start(mode, &usual);
	const uint64_t list = GUEST_DATA;
	struct vigil_watch w = {
		.start = list + word_bytes(v),
		.len = word_bytes(v),
		.action = VIGIL_ACTION_ASK,
	};
	int mon = mon_open(v->vm), i;
	struct pollfd event = { .fd = mon, .events = POLLIN };
	struct vigil_verdict verdict = { 0 };
	struct vigil_event ev;

	for (i = 0; i < 2; i++) {
		set_word(v, list, i, 0, NR_SCHED_OP);
		set_word(v, list, i, 2, 0);
	}
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &w), 0);
	for (i = 0; i < 2; i++) {
		set_word(v, list, 0, 1, 0x77);
		set_word(v, list, 1, 1, 0x77);
		load_call(v, NR_MULTICALL, list, 2);
		v->stop_on_signal = true;
		ticks(20000);
		/* A signal may come before the call. */
		do
			REQUIRE_EQ(vcpu_go(v), STOP_SIGNAL);
		while (!poll(&event, 1, 0));
		ticks(0);
		CHECK_EQ(entry_result(v, list, 0), 0x77);
		REQUIRE_EQ(read(mon, &ev, sizeof(ev)), (long)sizeof(ev));
		CHECK_EQ(ev.gpa, w.start);
		verdict.seq = ev.seq;
		verdict.verdict = i ? VIGIL_VERDICT_DENY : VIGIL_VERDICT_ALLOW;
		REQUIRE_EQ(ioctl(mon, VIGIL_VERDICT, &verdict), 0);
		EXPECT(v, STOP_END);
		CHECK_EQ(result(v), 0);
		CHECK_EQ(entry_result(v, list, 0), i ? 0x77 : 0);
		CHECK_EQ(entry_result(v, list, 1), 0);
	}
	close(mon);
	vm_destroy(v->vm);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "policy", policy },
		CASE_ALL("the page", page),
		{ "the page is watched", page_watched },
		CASE_ALL("calls of the kernel", kernel_calls),
		CASE_PROT("#UD of the guest", other_ud),
		CASE_VM86("calls of user code", user_calls),
		CASE_PROT("calls of user code", user_calls),
		CASE_PROT("set_hypercall_iopl", iopl_arguments),
		{ "set_hypercall_iopl (real)", iopl_arguments, M_REAL },
		CASE_PAGED("a user's pointers", user_pointers),
		CASE_PROT("multicall", multicalls),
		{ "multicall (real)", multicalls, M_REAL },
		CASE_PROT("multicall by user code", multicall_by_user),
		CASE_ALL("KVM_EXIT_XEN", exit_xen),
		CASE_PROT("KVM_EXIT_XEN in a multicall", multicall_exits),
		CASE_PROT("a result is held", held),
		{}
	};

	return test_main(argc, argv, cases);
}
