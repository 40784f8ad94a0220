// SPDX-License-Identifier: GPL-2.0
/* A monitor is told of callbacks and of single descriptors, and refuses them. */
#include "ctl_mon.h"
#include "ring1.h"

/* Sets event, failsafe and, in 64-bit code, syscall callbacks. */
static int64_t set_callbacks(struct vcpu *v, uint64_t ip)
{
	if (is_wide(v))
		return call1(v, NR_SET_CALLBACKS, ip, ip + 0x10, ip + 0x20, 0);
	return call1(v, NR_SET_CALLBACKS, ring1_cs(v), ip, ring1_cs(v),
		     ip + 0x10);
}

static struct vigil_pv_trap callback_now(struct vcpu *v, unsigned int type)
{
	struct vigil_pv pv;

	get_pv(v, &pv);
	for (unsigned int i = 0; i < pv.nr_callbacks; i++)
		if (callbacks[i].vector == type)
			return callbacks[i];
	return (struct vigil_pv_trap){ .vector = type };
}

static void callback_calls(long mode)
{
	struct vcpu *v = begin_at(mode, 1);
	uint16_t cs = ring1_cs(v);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct judge j;
	uint32_t id;

	CHECK_EQ(set_callbacks(v, 0x1000), 0);
	id = watch(mon, VIGIL_CONTROL_CALLBACK, VIGIL_ACTION_ASK);
	for (int i = 0; i < 2; i++) {
		judge_start(&j, mon, 1,
			    i ? VIGIL_VERDICT_ALLOW : VIGIL_VERDICT_DENY);
		CHECK_EQ(set_callbacks(v, 0x2000), i ? 0 : -XEN_EPERM);
		judge_join(&j);
		check_event(&j.ev[0], VIGIL_CONTROL_CALLBACK, NR_SET_CALLBACKS,
			    EVENT, is_wide(v) ? 3 : 2);
		CHECK_TRAP(trap_of(j.ev[0].old, 0), EVENT, 4, cs, 0x1000);
		CHECK_TRAP(trap_of(j.ev[0].new_, 0), EVENT, 4, cs, 0x2000);
		CHECK_TRAP(trap_of(j.ev[0].new_, 1), FAILSAFE, 0, cs, 0x2010);
		CHECK_EQ(j.all_len, j.ev[0].len);
		CHECK_EQ(memcmp(j.all, j.ev[0].new_, j.all_len), 0);
		CHECK_TRAP(callback_now(v, EVENT), EVENT, 4, cs,
			   i ? 0x2000 : 0x1000);
		CHECK_TRAP(callback_now(v, FAILSAFE), FAILSAFE, 0, cs,
			   i ? 0x2010 : 0x1010);
	}
	mon_del(mon, id);

	watch(mon, VIGIL_CONTROL_CALLBACK, VIGIL_ACTION_DENY);
	CHECK_EQ(callback(v, REGISTER, NMI_TYPE, 0, cs, 0x3000), -XEN_EPERM);
	ev = mon_event(mon);
	check_event(&ev, VIGIL_CONTROL_CALLBACK, NR_CALLBACK_OP, NMI_TYPE, 1);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	CHECK_TRAP(trap_of(ev.old, 0), NMI_TYPE, 0, 0, 0);
	CHECK_TRAP(trap_of(ev.new_, 0), NMI_TYPE, 4, cs, 0x3000);
	CHECK_EQ(callback(v, UNREGISTER, EVENT, 0, 0, 0), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_TRAP(trap_of(ev.new_, 0), EVENT, 0, 0, 0);
	CHECK_TRAP(callback_now(v, EVENT), EVENT, 4, cs, 0x2000);
	/* What vigil refuses is no event. */
	CHECK_EQ(callback(v, REGISTER, 3, 0, cs, 0x3000), -XEN_ENOSYS);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

static int64_t update(struct vcpu *v, uint64_t at, uint64_t desc)
{
	return is_wide(v) ? call1(v, NR_UPDATE_DESCRIPTOR, at, desc, 0, 0) :
			    call1(v, NR_UPDATE_DESCRIPTOR, (uint32_t)at,
				  at >> 32, (uint32_t)desc, desc >> 32);
}

/* Neither the copy nor the guest's memory has what was refused. */
static void descriptor(long mode)
{
	const uint64_t data = 0x00cff3000000ffff;
	struct vcpu *v = begin_at(mode, 1);
	int mon = mon_open(v->vm);
	uint64_t old, new_;
	struct vigil_pv pv;
	struct judge j;

	memset(vm_ram(v->vm, GUEST_FREE, 4096), 0, 4096);
	wr64(v->vm, GUEST_DATA, GUEST_FREE >> 12);
	CHECK_EQ(call1(v, NR_SET_GDT, GUEST_DATA, 32, 0, 0), 0);
	watch(mon, VIGIL_CONTROL_GDT, VIGIL_ACTION_ASK);
	for (int i = 0; i < 2; i++) {
		judge_start(&j, mon, 1,
			    i ? VIGIL_VERDICT_ALLOW : VIGIL_VERDICT_DENY);
		CHECK_EQ(update(v, GUEST_FREE + 40, data), i ? 0 : -XEN_EPERM);
		judge_join(&j);
		check_event(&j.ev[0], VIGIL_CONTROL_GDT, NR_UPDATE_DESCRIPTOR,
			    5, 1);
		CHECK_EQ(j.ev[0].len, 8);
		memcpy(&old, j.ev[0].old, 8);
		memcpy(&new_, j.ev[0].new_, 8);
		CHECK_EQ(old, 0);
		CHECK_EQ(new_, data);
		get_pv(v, &pv);
		CHECK_EQ(gdt[5], i ? data : 0);
		CHECK_EQ(rd64(v->vm, GUEST_FREE + 40), i ? data : 0);
	}
	/* One that is not the GDT's, and one of ring 0: no event. */
	CHECK_EQ(update(v, GUEST_DATA, data), -XEN_EINVAL);
	CHECK_EQ(update(v, GUEST_FREE + 40, 0x00cf93000000ffff), -XEN_EINVAL);
	CHECK_NO_EVENT(mon);
	close(mon);
	vm_destroy(v->vm);
}

/* A watch on the memory of the descriptor denies what the other one has allowed. */
static void descriptor_memory(long mode)
{
	const uint64_t data = 0x00cff3000000ffff;
	struct vcpu *v = begin_at(mode, 1);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct vigil_pv pv;

	memset(vm_ram(v->vm, GUEST_FREE, 4096), 0, 4096);
	wr64(v->vm, GUEST_DATA, GUEST_FREE >> 12);
	CHECK_EQ(call1(v, NR_SET_GDT, GUEST_DATA, 32, 0, 0), 0);
	watch(mon, VIGIL_CONTROL_GDT, VIGIL_ACTION_LOG);
	mon_watch(mon, GUEST_FREE + 40, 8, VIGIL_ACTION_DENY);
	CHECK_EQ(update(v, GUEST_FREE + 40, data), -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(ev.flags, 0);
	ev = mon_event(mon);
	CHECK_EQ(ev.kind, VIGIL_EVENT_STORE);
	CHECK_EQ(ev.gpa, GUEST_FREE + 40);
	CHECK(ev.flags & VIGIL_EVENT_DENIED);
	get_pv(v, &pv);
	CHECK_EQ(gdt[5], 0);
	close(mon);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	CASE_RING1("callbacks, denied and allowed", callback_calls),
	CASE_RING1("a descriptor, denied and allowed", descriptor),
	CASE_RING1("a descriptor in watched memory", descriptor_memory),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
