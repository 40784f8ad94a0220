// SPDX-License-Identifier: GPL-2.0
/* Kernels in ring 1: the hypercalls iret and update_descriptor. */
#include "ring1.h"

/* ---- iret ---- */

struct iret {
	uint64_t rax, r11, rcx, in_syscall;
	uint64_t ip, cs, flags, sp, ss;
};

/* Puts the context at the top of the stack of ring 1, and the vCPU at the hypercall. */
static void put_iret(struct vcpu *v, const struct iret *i)
{
	const uint64_t wide[] = { i->rax,	 i->r11, i->rcx,
				  i->in_syscall, i->ip,	 i->cs,
				  i->flags,	 i->sp,	 i->ss };
	const uint64_t narrow[] = {
		i->rax, i->ip, i->cs, i->flags, i->sp, i->ss
	};
	const uint64_t *w = is_wide(v) ? wide : narrow;
	unsigned int n, bytes = is_wide(v) ? 8 : 4;
	unsigned int count = is_wide(v) ? ARRAY_SIZE(wide) : ARRAY_SIZE(narrow);
	uint64_t at = SP1 - 0x100;
	struct kvm_regs r;

	for (n = 0; n < count; n++)
		memcpy(vm_ram(v->vm, at + n * bytes, bytes), &w[n], bytes);
	get_regs(v, &r);
	r.rip = AT(v, call);
	r.rsp = at;
	r.rax = NR_IRET;
	r.rcx = 0x22;
	r.r11 = 0x11;
	set_regs(v, &r);
}

static struct iret to_ring3(struct vcpu *v)
{
	return (struct iret){
		.rax = 0x1234,
		.r11 = 0x5678,
		.rcx = 0x9abc,
		.ip = AT(v, done),
		.cs = ring3_cs(v),
		.flags = RFLAGS_1 | RFLAGS_IF | RFLAGS_IOPL | 1,
		.sp = GUEST_USTACK,
		.ss = SEL_UDATA,
	};
}

static void iret_to_ring3(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct iret i = to_ring3(v);
	struct kvm_sregs s;
	struct kvm_regs r;

	put_iret(v, &i);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	get_sregs(v, &s);
	CHECK_EQ(r.rax, 0x1234);
	CHECK_EQ(r.rsp, GUEST_USTACK);
	CHECK_EQ(r.rflags, i.flags);
	CHECK_EQ(s.cs.selector, ring3_cs(v));
	CHECK_EQ(s.ss.selector, SEL_UDATA);
	CHECK_EQ(s.cs.dpl, 3);
	CHECK_EQ(r.rcx, is_wide(v) ? 0x9abc : 0x22);
	if (is_wide(v))
		CHECK_EQ(r.r11, 0x5678);

	/* A system call has used them. */
	go_to(v, 1, 0);
	i.in_syscall = IN_SYSCALL;
	put_iret(v, &i);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	CHECK_EQ(r.rcx, 0x22);
	if (is_wide(v))
		CHECK_EQ(r.r11, 0x11);
	vm_destroy(v->vm);
}

/* To ring 1 itself; a selector of ring 0 is taken for one of ring 1. */
static void iret_to_ring1(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct iret i = to_ring3(v);
	struct kvm_sregs s;
	struct kvm_regs r;

	i.cs = ring1_cs(v) & ~3;
	i.ss = ring1_ds(v) & ~3;
	i.sp = SP1;
	/* Only ring 0 changes IOPL. */
	i.flags = RFLAGS_1;
	put_iret(v, &i);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector, ring1_cs(v));
	CHECK_EQ(s.cs.dpl, 1);
	CHECK_EQ(r.rflags, RFLAGS_1 | RFLAGS_IOPL);
	/* A 32-bit frame without a change of rings has no stack. */
	CHECK_EQ(r.rsp, is_wide(v) ? SP1 : SP1 - 0x100 + 16);
	vm_destroy(v->vm);
}

/* A kernel that has booted in ring 0 leaves it so, and sets IOPL for ring 1. */
static void iret_from_ring0(long mode)
{
	struct vcpu *v = begin(mode);
	struct iret i = to_ring3(v);
	struct kvm_sregs s;
	struct kvm_regs r;

	i.cs = ring1_cs(v);
	i.ss = ring1_ds(v);
	i.sp = SP1;
	i.flags = RFLAGS_1 | IOPL1;
	put_iret(v, &i);
	EXPECT(v, STOP_END);
	get_regs(v, &r);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.dpl, 1);
	CHECK_EQ(r.rflags, RFLAGS_1 | IOPL1);
	CHECK_EQ(r.rsp, SP1);
	vm_destroy(v->vm);
}

static void iret_traps(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct iret i = to_ring3(v);
	struct frame f;

	i.flags |= RFLAGS_TF;
	i.ip = AT(v, spin);
	put_iret(v, &i);
	ENTERED(v, on_db, &f);
	CHECK(f.w[0] == AT(v, spin) || f.w[0] == AT(v, spin) + 2);
	CHECK_EQ(f.w[1], ring3_cs(v));

	/* The next NMI waits for it. */
	set_callback(v, NMI_TYPE, 0, AT(v, on_nmi));
	go_to(v, 3, AT(v, spin));
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	ENTERED(v, on_nmi, &f);
	go_to(v, 1, 0);
	REQUIRE_EQ(ioctl(v->fd, KVM_NMI, 0), 0);
	i.flags &= ~RFLAGS_TF;
	put_iret(v, &i);
	ENTERED(v, on_nmi, &f);
	CHECK_EQ(f.w[1], ring3_cs(v));
	vm_destroy(v->vm);
}

/* The exception is the kernel's, at the hypercall. */
static void iret_refused(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct iret good = to_ring3(v), i;
	struct kvm_regs r;
	struct frame f;
	unsigned int n;

	for (n = 0; n < 5; n++) {
		i = good;
		switch (n) {
		case 0: /* beyond the GDT that the guest has */
			i.cs = SEL_FREE | 3;
			break;
		case 1:
			i.cs = SEL_UDATA;
			break;
		case 2:
			i.ss = 0;
			break;
		case 3:
			i.flags |= RFLAGS_VM;
			break;
		case 4:
			if (!is_wide(v))
				continue;
			i.ip = CANONICAL_END;
			break;
		}
		go_to(v, 1, 0);
		put_iret(v, &i);
		ENTERED(v, on_gp, &f);
		CHECK_EQ(f.w[0], n < 2 ? i.cs & ~3 : 0);
		CHECK_EQ(f.w[1], AT(v, call));
		CHECK_EQ(f.w[2], ring1_cs(v));
		get_regs(v, &r);
		CHECK_EQ(r.rax, NR_IRET);
	}
	vm_destroy(v->vm);
}

/* A multicall would lose the entries that are left. */
static void iret_in_multicall(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	unsigned int i, bytes = is_wide(v) ? 8 : 4;

	for (i = 0; i < 8; i++)
		memset(vm_ram(v->vm, GUEST_DATA + i * bytes, bytes), 0, bytes);
	wr32(v->vm, GUEST_DATA, NR_IRET);
	CHECK_EQ(call1(v, NR_MULTICALL, GUEST_DATA, 1, 0, 0), 0);
	CHECK_EQ((int32_t)rd32(v->vm, GUEST_DATA + bytes), -XEN_EINVAL);
	vm_destroy(v->vm);
}

/* ---- failsafe ---- */

static void failsafe(long mode)
{
	struct vcpu *v = begin(mode);
	unsigned int bytes = is_wide(v) ? 8 : 4;
	struct iret i = to_ring3(v);
	struct kvm_regs r;
	struct frame f;

	set_callback(v, FAILSAFE, MASK_EVENTS, AT(v, on_failsafe));
	go_to(v, 1, 0);
	i.cs = SEL_FREE | 3;
	put_iret(v, &i);
	ENTERED(v, on_failsafe, &f);
	CHECK_EQ(f.w[0], SEL_UDATA); /* DS */
	CHECK_EQ(f.w[1], SEL_UDATA);
	CHECK_EQ(f.w[4], i.ip);
	CHECK_EQ(f.w[5], i.cs);
	CHECK_EQ(f.w[6], i.flags);
	CHECK_EQ(f.w[7], i.sp);
	CHECK_EQ(f.w[8], i.ss);
	get_regs(v, &r);
	CHECK_EQ(r.rax, i.rax);
	CHECK_EQ(r.rsp, SP1 - 0x100 + (is_wide(v) ? 0 : bytes - 4 * bytes));
	CHECK(!if_set(v));

	/* A page fault is no matter for it. */
	go_to(v, 1, 0);
	put_iret(v, &i);
	get_regs(v, &r);
	r.rsp = 0x7ffff000;
	set_regs(v, &r);
	EXPECT(v, STOP_ERRNO);
	CHECK_EQ(v->run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
	vm_destroy(v->vm);
}

/* ---- update_descriptor ---- */

static int64_t update(struct vcpu *v, uint64_t at, uint64_t desc)
{
	return is_wide(v) ? call1(v, NR_UPDATE_DESCRIPTOR, at, desc, 0, 0) :
			    call1(v, NR_UPDATE_DESCRIPTOR, (uint32_t)at,
				  at >> 32, (uint32_t)desc, desc >> 32);
}

static void descriptors(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	const uint64_t base = GUEST_FREE, at = base + SEL_FREE;
	const uint64_t data3 = 0x00cff3000000ffff, ring0 = 0x00cf93000000ffff;
	struct vigil_pv pv;
	unsigned int n;

	/* Nothing was copied from there yet. */
	CHECK_EQ(update(v, at, data3), -XEN_EINVAL);
	n = copy_gdt(v);
	memcpy(vm_ram(v->vm, base, 4096), gdt, 4096);
	wr64(v->vm, GUEST_DATA, base >> 12);
	CHECK_EQ(call1(v, NR_SET_GDT, GUEST_DATA, n, 0, 0), 0);
	get_pv(v, &pv);
	CHECK_EQ(pv.gdt_frame[0], base | 1);
	CHECK_EQ(pv.gdt_frame[1], 0);

	CHECK_EQ(update(v, at, data3), 0);
	CHECK_EQ(rd64(v->vm, at), data3);
	get_pv(v, &pv);
	CHECK_EQ(gdt[SEL_FREE / 8], data3);
	CHECK_EQ(update(v, at, ring0), -XEN_EINVAL);
	CHECK_EQ(update(v, at + 4, data3), -XEN_EINVAL);
	CHECK_EQ(update(v, GUEST_DATA, data3), -XEN_EINVAL);
	CHECK_EQ(update(v, at | 1ull << 52, data3), -XEN_EINVAL);
	CHECK_EQ(rd64(v->vm, at), data3);
	/* One that is not present may be anything. */
	CHECK_EQ(update(v, at, ring0 & ~(1ull << 47)), 0);
	get_pv(v, &pv);
	CHECK_EQ(gdt[SEL_FREE / 8], ring0 & ~(1ull << 47));
	vm_destroy(v->vm);
}

/* A page that the GDT has more than once changes everywhere. */
static void repeated_page(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	const uint64_t base = GUEST_FREE, data3 = 0x00cff3000000ffff;
	struct vigil_pv pv;
	unsigned int i;

	memset(vm_ram(v->vm, base, 4096), 0, 4096);
	memcpy(vm_ram(v->vm, GUEST_FREE + 0x1000, 4096), gdt, 4096);
	for (i = 0; i < 3; i++)
		memcpy(vm_ram(v->vm, GUEST_DATA, 64) + i * (is_wide(v) ? 8 : 4),
		       &(uint64_t){ (base >> 12) + (i == 1) },
		       is_wide(v) ? 8 : 4);
	CHECK_EQ(call1(v, NR_SET_GDT, GUEST_DATA, 3 * 512, 0, 0), 0);
	CHECK_EQ(update(v, base + 0x80, data3), 0);
	get_pv(v, &pv);
	CHECK_EQ(gdt[0x10], data3);
	CHECK_EQ(gdt[2 * 512 + 0x10], data3);
	CHECK_EQ(gdt[512 + 0x10], 0);
	vm_destroy(v->vm);
}

/* The stack is on a device, and the VMM takes the tables away meanwhile. */
static void iret_given_up(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	struct iret i = to_ring3(v);
	struct vigil_pv none = { .size = sizeof(none) };
	struct kvm_sregs s;
	struct kvm_regs r;

	put_iret(v, &i);
	get_regs(v, &r);
	r.rsp = GUEST_MMIO;
	set_regs(v, &r);
	EXPECT(v, STOP_MMIO);
	CHECK_EQ(v->run->mmio.phys_addr, GUEST_MMIO);
	REQUIRE_EQ(ioctl(v->fd, VIGIL_SET_PV, &none), 0);
	vcpu_settle(v);
	get_regs(v, &r);
	CHECK_EQ(r.rip, AT(v, call));
	CHECK_EQ(r.rax, NR_IRET);
	get_sregs(v, &s);
	CHECK_EQ(s.cs.selector, ring1_cs(v));
	CHECK_EQ(s.idt.base, GUEST_IDT);
	vm_destroy(v->vm);
}

/* A monitor is told, and may refuse: then the copy stays as well. */
static void watched_descriptor(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	const uint64_t base = GUEST_FREE, at = base + SEL_FREE;
	const uint64_t data3 = 0x00cff3000000ffff;
	struct vigil_watch w = {
		.start = at,
		.len = 8,
		.kind = VIGIL_WATCH_GPA,
		.action = VIGIL_ACTION_DENY,
	};
	struct vigil_event e;
	struct vigil_pv pv;
	int mon;

	memset(vm_ram(v->vm, base, 4096), 0, 4096);
	wr64(v->vm, GUEST_DATA, base >> 12);
	CHECK_EQ(call1(v, NR_SET_GDT, GUEST_DATA, 32, 0, 0), 0);
	mon = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, 0);
	if (mon < 0)
		ERROR("VIGIL_CREATE_MONITOR: errno %d", errno);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_ADD, &w), 0);
	CHECK_EQ(update(v, at, data3), -XEN_EPERM);
	REQUIRE_EQ(read(mon, &e, sizeof(e)), sizeof(e));
	CHECK_EQ(e.gpa, at);
	CHECK_EQ(e.len, 8);
	CHECK(e.flags & VIGIL_EVENT_DENIED);
	CHECK_EQ(rd64(v->vm, at), 0);
	get_pv(v, &pv);
	CHECK_EQ(pv.nr_gdt, 0);
	REQUIRE_EQ(ioctl(mon, VIGIL_WATCH_DEL, &w.id), 0);
	CHECK_EQ(update(v, at, data3), 0);
	close(mon);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	CASE_RING1("iret to ring 3", iret_to_ring3),
	CASE_RING1("iret to ring 1", iret_to_ring1),
	CASE_RING1("iret from ring 0", iret_from_ring0),
	CASE_RING1("iret with TF, and out of an NMI", iret_traps),
	CASE_RING1("an iret that is refused", iret_refused),
	CASE_RING1("iret in a multicall", iret_in_multicall),
	CASE_RING1("the failsafe callback", failsafe),
	CASE_RING1("update_descriptor", descriptors),
	CASE_RING1("update_descriptor, a page more than once", repeated_page),
	CASE_RING1("an iret that the VMM gives up", iret_given_up),
	CASE_RING1("a descriptor that is watched", watched_descriptor),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
