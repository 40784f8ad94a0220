// SPDX-License-Identifier: GPL-2.0
/*
 * A hypercall that changes the guest's traps waits for a monitor: what is shown takes
 * effect, whatever the guest, the VMM and the monitor do meanwhile.
 */
#include <signal.h>
#include <sys/wait.h>

#include "pv_control.h"

#define LIST (GUEST_DATA + 0x3800)

/* ---- held ---- */

/* What waits for the verdict can be read whole, and registers too. */
static void held(long mode)
{
	struct vcpu *v = begin(mode);
	struct vigil_pv_trap all[MAX_TRAPS];
	struct vigil_vcpu_state st = { 0 };
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct vigil_change c;
	struct runner r;

	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags, VIGIL_EVENT_HELD);
	CHECK_EQ(ioctl(mon, VIGIL_GET_VCPU, &st), 0);
	CHECK_EQ(st.regs.rip, ev.rip);
	CHECK_EQ(st.regs.rax, NR_SET_TRAP_TABLE);
	CHECK_EQ(read_change(mon, ev.seq, all, sizeof(all)),
		 8 * sizeof(all[0]));
	CHECK_TRAP(all[0], BP, 3, ring1_cs(v), AT(v, on_skip));
	CHECK_TRAP(all[4], 0x80, 3, ring1_cs(v), AT(v, on_fast));
	CHECK_TRAP(all[7], 0x84, 1, ring1_cs(v), AT(v, on_slow));
	/* In pieces, and beyond the end. */
	c = (struct vigil_change){
		.seq = ev.seq,
		.buf = (uintptr_t)all,
		.offset = 7 * sizeof(all[0]) + 8,
		.len = 1000,
	};
	CHECK_EQ(ioctl(mon, VIGIL_READ_CHANGE, &c), 0);
	CHECK_EQ(c.done, 8);
	CHECK_EQ(*(uint64_t *)all, AT(v, on_slow));
	c.offset = 8 * sizeof(all[0]);
	CHECK_EQ(ioctl(mon, VIGIL_READ_CHANGE, &c), 0);
	CHECK_EQ(c.done, 0);
	c.offset = ~0u;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, &c), EINVAL);
	c.offset = 0;
	c.pad = 1;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, &c), EINVAL);
	c.pad = 0;
	c.buf = 8;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, &c), EFAULT);
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, NULL), EFAULT);
	c.buf = (uintptr_t)all;
	c.seq++;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, &c), ENOENT);
	CHECK_ERRNO(mon_verdict(mon, c.seq, VIGIL_VERDICT_DENY), ENOENT);

	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_SYNC);
	c.seq--;
	CHECK_ERRNO(ioctl(mon, VIGIL_READ_CHANGE, &c), ENOENT);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_DENY), ENOENT);
	CHECK_EQ(rd32(v->vm, T_RESULT), 0);
	CHECK_EQ(mon_stat(mon, "watch_held"), 1);
	leave_to(v, 3, AT(v, fast));
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), 1);
	close(mon);
	vm_destroy(v->vm);
}

/* A vCPU of flat 32-bit code, which stores @value at @gpa and ends. */
static struct vcpu *second_vcpu(struct vcpu *v, uint64_t gpa, uint32_t value)
{
	const uint64_t code = GUEST_FREE + 0x1000;
	struct vcpu *other = vcpu_create(v->vm);
	uint32_t at = gpa;
	uint8_t insn[12] = { 0xc7, 0x05 };
	struct kvm_regs r;

	memcpy(insn + 2, &at, 4);
	memcpy(insn + 6, &value, 4);
	insn[10] = 0xe6;
	insn[11] = PORT_END;
	memcpy(vm_ram(v->vm, code, sizeof(insn)), insn, sizeof(insn));
	vcpu_set_mode(other, M_PROT32);
	get_regs(other, &r);
	r.rip = code;
	set_regs(other, &r);
	/* The guest's tables in memory are for the first one. */
	vcpu_set_mode(v, v->mode);
	return other;
}

/* Another vCPU rewrites the table, and a descriptor of the first GDT, under the hold. */
static void changed(long mode)
{
	struct vcpu *v = begin(mode), *other;
	uint64_t ip = T_TABLE + (is_wide(v) ? 8 : 4);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct runner r;

	other = second_vcpu(v, ip, AT(v, on_slow));
	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	runner_start(&r, v);
	ev = mon_event(mon);
	EXPECT(other, STOP_END);
	CHECK_EQ(rd32(v->vm, ip), AT(v, on_slow));
	gdt_set(v->vm, is_wide(v) ? SEL_UCODE64 : SEL_UCODE32, 0, 0, 0);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_RESULT), 0);
	leave_to(v, 3, AT(v, fast));
	EXPECT(v, STOP_SYNC);
	CHECK_EQ(rd32(v->vm, T_FAST), 1);
	CHECK_EQ(rd32(v->vm, T_SLOW), 0);
	close(mon);
	vm_destroy(v->vm);
}

/* KVM_RUN is interrupted, and waits again when it is called again. */
static void interrupted(long mode)
{
	struct vcpu *v = in_ring1(mode);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_regs regs;
	struct runner r;

	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	ticks(1000);
	v->stop_on_signal = true;
	do
		EXPECT(v, STOP_SIGNAL);
	while (!mon_ready(mon, 0));
	for (int i = 0; i < 5; i++)
		EXPECT(v, STOP_SIGNAL);
	ticks(0);
	v->stop_on_signal = false;
	v->run->immediate_exit = 1;
	for (int i = 0; i < 5; i++)
		CHECK_ERRNO(ioctl(v->fd, KVM_RUN, 0), EINTR);
	v->run->immediate_exit = 0;
	ev = mon_event(mon);
	CHECK_NO_EVENT(mon);
	get_regs(v, &regs);
	CHECK_EQ(regs.rip, ev.rip);
	CHECK_EQ(regs.rax, NR_SET_TRAP_TABLE);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_start(&r, v);
	runner_join(&r, STOP_END);
	REQUIRE_EQ(v->nr_vals, 1);
	CHECK_EQ(v->val[0], 0);
	expect_handler(v, false);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * The VMM sets registers, or what trap tables are, while a call is held: the event is
 * withdrawn. Where RIP is the same, the guest makes the call again, and is asked again.
 */
enum { SAME_REGS, OTHER_REGS, OTHER_RIP, SREGS, PV };

static void replaced(long what)
{
	static struct vigil_pv_trap traps[PV_TRAPS];
	static uint64_t descriptors[PV_GDT];
	struct vcpu *v = in_ring1(M_LONG);
	struct vigil_pv pv = pv_room(traps, NULL, descriptors);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	struct kvm_sregs s;
	struct kvm_regs regs;
	struct judge j;

	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	entry(v, T_TABLE2 + 0x100, 0, 0x80, 3, ring1_cs(v), AT(v, on_again));
	vcpu_settle(v);
	REQUIRE_EQ(ioctl(v->fd, VIGIL_GET_PV, &pv), 0);
	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	ev = hold_outside(v, mon);
	get_regs(v, &regs);
	switch (what) {
	case OTHER_REGS:
		regs.rdi = T_TABLE2 + 0x100;
		break;
	case OTHER_RIP:
		regs.rip = AT(v, fast);
		break;
	case SREGS:
		get_sregs(v, &s);
		set_sregs(v, &s);
		break;
	case PV:
		CHECK_EQ(ioctl(v->fd, VIGIL_SET_PV, &pv), 0);
		break;
	}
	if (what <= OTHER_RIP)
		set_regs(v, &regs);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), ENOENT);
	if (what == OTHER_RIP) {
		EXPECT(v, STOP_SYNC);
		CHECK_EQ(rd32(v->vm, T_FAST), 1);
		CHECK_NO_EVENT(mon);
	} else {
		judge_start(&j, mon, 1, VIGIL_VERDICT_DENY);
		EXPECT(v, STOP_END);
		judge_join(&j);
		CHECK_EQ(j.ev[0].seq, ev.seq + 1);
		CHECK_EQ(trap_of(j.ev[0].new_, 0).ip,
			 what == OTHER_REGS ? AT(v, on_again) : AT(v, on_slow));
		REQUIRE_EQ(v->nr_vals, 1);
		CHECK_EQ((int32_t)v->val[0], -XEN_EPERM);
		expect_handler(v, true);
	}
	close(mon);
	vm_destroy(v->vm);
}

/* A watch that is added while a call is held also decides about it. */
static void added(long unused)
{
	struct vcpu *v = in_ring1(M_LONG);
	int mon = mon_open(v->vm);
	struct vigil_event ev;
	uint32_t ask, deny;
	struct runner r;

	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	ask = watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	runner_start(&r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, ask);
	deny = watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_DENY);
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	runner_join(&r, STOP_END);
	CHECK_EQ((int32_t)v->val[0], -XEN_EPERM);
	ev = mon_event(mon);
	CHECK_EQ(ev.watch_id, deny);
	CHECK_EQ(ev.flags, VIGIL_EVENT_DENIED);
	check_event(&ev, VIGIL_CONTROL_TRAP_TABLE, NR_SET_TRAP_TABLE, 0x80, 1);
	CHECK_EQ(trap_of(ev.new_, 0).ip, AT(v, on_slow));
	expect_handler(v, true);
	close(mon);
	vm_destroy(v->vm);
}

/* ---- the monitor goes away ---- */

/* Watches in another process, tells of the held event, and waits to be killed. */
static pid_t spawn_monitor(int mon, unsigned int on_death, int *from)
{
	struct vigil_watch w =
		control(VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	struct vigil_event ev;
	int to_us[2];
	pid_t pid;
	char c = 0;

	w.on_death = on_death;
	if (pipe(to_us))
		ERROR("no pipe");
	pid = fork();
	if (!pid) {
		if (ioctl(mon, VIGIL_WATCH_ADD, &w) ||
		    write(to_us[1], "w", 1) != 1 ||
		    read(mon, &ev, sizeof(ev)) != sizeof(ev))
			_exit(1);
		c = ev.flags & VIGIL_EVENT_HELD ? 'h' : '?';
		if (write(to_us[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(to_us[0], &c, 1) != 1 || c != 'w')
		ERROR("the monitor did not start");
	*from = to_us[0];
	return pid;
}

static void killed(long on_death)
{
	struct vcpu *v = in_ring1(M_LONG);
	bool allow = on_death == VIGIL_ON_DEATH_ALLOW;
	struct runner r;
	int mon, from;
	pid_t pid;
	char c = 0;

	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	mon = mon_open(v->vm);
	pid = spawn_monitor(mon, on_death, &from);
	close(mon);
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	runner_start(&r, v);
	REQUIRE_EQ(read(from, &c, 1), 1);
	CHECK_EQ(c, 'h');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	runner_join(&r, STOP_END);
	CHECK_EQ((int32_t)v->val[0], allow ? 0 : -XEN_EPERM);
	expect_handler(v, !allow);
	/* The watch is gone with its monitor. */
	mon = mon_open(v->vm);
	vcpu_settle(v);
	CHECK_EQ(present_second(v), 0);
	CHECK_NO_EVENT(mon);
	expect_handler(v, false);
	close(mon);
	vm_destroy(v->vm);
}

static void evicted(long on_death)
{
	struct vigil_watch w =
		control(VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	struct vcpu *v = in_ring1(M_LONG);
	bool allow = on_death == VIGIL_ON_DEATH_ALLOW;
	int mon = mon_open(v->vm), second;
	struct vigil_event ev;
	struct runner r;

	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	w.on_death = on_death;
	mon_add(mon, w);
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	runner_start(&r, v);
	ev = mon_event(mon);
	second = ioctl(v->vm->fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_EVICT);
	REQUIRE_EQ(second >= 0, true);
	runner_join(&r, STOP_END);
	CHECK_EQ((int32_t)v->val[0], allow ? 0 : -XEN_EPERM);
	CHECK_ERRNO(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), EPIPE);
	CHECK_EQ(read_change(mon, ev.seq, &ev, sizeof(ev)), -EPIPE);
	expect_handler(v, !allow);
	close(second);
	close(mon);
	vm_destroy(v->vm);
}

/* The VM goes while a call of it is held. */
static void destroyed(long unused)
{
	struct vcpu *v = in_ring1(M_LONG);
	struct vigil_pv_trap traps[2];
	int mon = mon_open(v->vm);
	struct vigil_event ev;

	entry(v, T_TABLE2, 0, 0x80, 3, ring1_cs(v), AT(v, on_slow));
	watch(mon, VIGIL_CONTROL_TRAP_TABLE, VIGIL_ACTION_ASK);
	about_to_call(v, NR_SET_TRAP_TABLE, T_TABLE2, 0);
	ev = hold_outside(v, mon);
	vm_destroy(v->vm);
	/* Nobody waits any more, but the change is there until the monitor goes. */
	CHECK_EQ(read_change(mon, ev.seq, traps, sizeof(traps)),
		 sizeof(traps[0]));
	CHECK_EQ(mon_verdict(mon, ev.seq, VIGIL_VERDICT_ALLOW), 0);
	CHECK_EQ(read(mon, &ev, sizeof(ev)), 0);
	close(mon);
}

/* ---- multicalls ---- */

static void list_entry(struct vcpu *v, unsigned int n, uint64_t nr, uint64_t a)
{
	unsigned int bytes = is_wide(v) ? 8 : 4, i;
	const uint64_t word[8] = { nr, 0x77, a };

	for (i = 0; i < 8; i++)
		memcpy(vm_ram(v->vm, LIST + (n * 8 + i) * bytes, bytes),
		       &word[i], bytes);
}

static int64_t list_result(struct vcpu *v, unsigned int n)
{
	unsigned int bytes = is_wide(v) ? 8 : 4;

	return (int32_t)rd32(v->vm, LIST + (n * 8 + 1) * bytes);
}

/* Each entry is asked for by itself, and has its own result. */
static void multicall(long mode)
{
	struct vcpu *v = in_ring1(mode);
	int mon = mon_open(v->vm);
	struct judge j;

	list_entry(v, 0, NR_SET_FAST_TRAP, 0x81);
	list_entry(v, 1, NR_SET_FAST_TRAP, 0x83);
	list_entry(v, 2, NR_SET_FAST_TRAP, PF);
	list_entry(v, 3, NR_SET_FAST_TRAP, 0x84);
	watch(mon, VIGIL_CONTROL_FAST_TRAP, VIGIL_ACTION_ASK);
	judge_start(&j, mon, 3, VIGIL_VERDICT_ALLOW);
	j.verdict[1] = VIGIL_VERDICT_DENY;
	CHECK_EQ(call_from_ring1(v, NR_MULTICALL, LIST, 4), 0);
	judge_join(&j);
	check_event(&j.ev[0], VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x81,
		    1);
	check_event(&j.ev[1], VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x83,
		    1);
	check_event(&j.ev[2], VIGIL_CONTROL_FAST_TRAP, NR_SET_FAST_TRAP, 0x84,
		    1);
	CHECK_EQ(j.ev[2].rip, AT(v, any));
	CHECK_EQ(list_result(v, 0), 0);
	CHECK_EQ(list_result(v, 1), -XEN_EPERM);
	CHECK_EQ(list_result(v, 2), -XEN_EINVAL);
	CHECK_EQ(list_result(v, 3), 0);
	CHECK_EQ(fast_bits(v, 2), 1 << 0 | 1 << 1 | 1 << 4);
	close(mon);
	vm_destroy(v->vm);
}

/* An entry's result is held as well, by a watch on the list. */
static void multicall_result(long mode)
{
	struct vcpu *v = in_ring1(mode);
	unsigned int bytes = is_wide(v) ? 8 : 4;
	int mon = mon_open(v->vm);
	struct judge j;

	list_entry(v, 0, NR_SET_FAST_TRAP, 0x81);
	list_entry(v, 1, NR_SET_FAST_TRAP, 0x83);
	watch(mon, VIGIL_CONTROL_FAST_TRAP, VIGIL_ACTION_ASK);
	mon_watch(mon, LIST + bytes, bytes, VIGIL_ACTION_ASK);
	judge_start(&j, mon, 3, VIGIL_VERDICT_ALLOW);
	j.verdict[1] = VIGIL_VERDICT_DENY;
	CHECK_EQ(call_from_ring1(v, NR_MULTICALL, LIST, 2), 0);
	judge_join(&j);
	CHECK_EQ(j.ev[0].kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(j.ev[1].kind, VIGIL_EVENT_STORE);
	CHECK_EQ(j.ev[1].gpa, LIST + bytes);
	CHECK_EQ(j.ev[2].kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(list_result(v, 0), 0x77);
	CHECK_EQ(list_result(v, 1), 0);
	CHECK_EQ(fast_bits(v, 2), 1 << 0 | 1 << 1 | 1 << 3);
	close(mon);
	vm_destroy(v->vm);
}

static const struct test_case cases[] = {
	CASE_TRAPS("held, and allowed", held),
	CASE_TRAPS("the table changes while it is held", changed),
	CASE_TRAPS("KVM_RUN interrupted while held", interrupted),
	{ "the same registers set while held", replaced, SAME_REGS },
	{ "other registers set while held", replaced, OTHER_REGS },
	{ "another RIP set while held", replaced, OTHER_RIP },
	{ "segments set while held", replaced, SREGS },
	{ "trap tables set while held", replaced, PV },
	{ "a deny watch added while held", added },
	{ "monitor killed while it holds (allow)", killed,
	  VIGIL_ON_DEATH_ALLOW },
	{ "monitor killed while it holds (deny)", killed, VIGIL_ON_DEATH_DENY },
	{ "monitor evicted while it holds (allow)", evicted,
	  VIGIL_ON_DEATH_ALLOW },
	{ "monitor evicted while it holds (deny)", evicted,
	  VIGIL_ON_DEATH_DENY },
	{ "the VM goes while it is held", destroyed },
	CASE_TRAPS("entries of a multicall", multicall),
	CASE_TRAPS("an entry, and its result", multicall_result),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
