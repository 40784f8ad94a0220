// SPDX-License-Identifier: GPL-2.0
/* Xen's side of a guest: events, time, waiting and vCPUs, both widths of structs. */
#include <string.h>

#include "clock.h"
#include "fake_domain.h"
#include "tap.h"

/* ---- events ---- */

static void events(long wide)
{
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF,
					   .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain in = { .remote_dom = DOMID_SELF };
	struct evtchn_bind_ipi ipi = { 0 };
	struct evtchn_status st = { .dom = DOMID_SELF };
	struct evtchn_send s;
	uint8_t *upcall = at(SHARED), *mask;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	mask = at(SHARED + 0x800 + (wide ? 512 : 128));
	CHECK_EQ(event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)), 0);
	memcpy(&un, at(ARG), sizeof(un));
	CHECK(un.port > XEN_CONSOLE_PORT);
	in.remote_port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_interdomain, &in, sizeof(in)), 0);
	memcpy(&in, at(ARG), sizeof(in));
	CHECK(pending(wide, in.local_port));
	CHECK_EQ(*upcall, 1);
	clear_events(wide);

	s.port = in.local_port;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(pending(wide, un.port) && !pending(wide, in.local_port));
	CHECK_EQ(*(uint32_t *)(upcall + (wide ? 8 : 4)), 1);
	clear_events(wide);

	/* A masked port tells when it is unmasked. */
	mask[un.port / 8] |= 1 << un.port % 8;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), 0);
	CHECK(pending(wide, un.port) && !*upcall);
	s.port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_unmask, &s, sizeof(s)), 0);
	CHECK_EQ(*upcall, 1);

	st.port = un.port;
	CHECK_EQ(event_op(wide, EVTCHNOP_status, &st, sizeof(st)), 0);
	memcpy(&st, at(ARG), sizeof(st));
	CHECK_EQ(st.status, EVTCHNSTAT_interdomain);
	CHECK_EQ(st.u.interdomain.port, in.local_port);
	s.port = in.local_port;
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(event_op(wide, EVTCHNOP_status, &st, sizeof(st)), 0);
	memcpy(&st, at(ARG), sizeof(st));
	CHECK_EQ(st.status, EVTCHNSTAT_unbound);

	ipi.vcpu = 1;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_ipi, &ipi, sizeof(ipi)),
		 -XEN_ENOENT);
	s.port = XEN_CONSOLE_PORT;
	CHECK_EQ(event_op(wide, EVTCHNOP_close, &s, sizeof(s)), -XEN_EINVAL);
	s.port = 0;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), -XEN_EINVAL);
	s.port = ~0u;
	CHECK_EQ(event_op(wide, EVTCHNOP_send, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(event_op(wide, EVTCHNOP_unmask, &s, sizeof(s)), -XEN_EINVAL);
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op, 99, ARG, 0),
		 -XEN_ENOSYS);
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op,
		      EVTCHNOP_expand_array, ARG, 0),
		 -XEN_EOPNOTSUPP);
	teardown();
}

/* All ports in use; a result that cannot be stored leaves none behind. */
static void port_limits(long wide)
{
	struct evtchn_alloc_unbound un = { .dom = DOMID_SELF };
	unsigned int max = wide ? 4096 : 1024, n = 0;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	memcpy(at(READ_ONLY), &un, sizeof(un));
	CHECK_EQ(call(wide, __HYPERVISOR_event_channel_op,
		      EVTCHNOP_alloc_unbound, READ_ONLY, 0),
		 -XEN_EFAULT);
	while (!event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)))
		n++;
	CHECK_EQ(n, max - 2);
	CHECK_EQ(event_op(wide, EVTCHNOP_alloc_unbound, &un, sizeof(un)),
		 -XEN_ENOSPC);
	teardown();
}

static int64_t hvm_param_as(bool wide, unsigned int cmd, uint32_t index,
			    uint64_t value)
{
	struct xen_hvm_param p = { DOMID_SELF, 0, index, value };

	memcpy(at(ARG), &p, sizeof(p));
	return call(wide, __HYPERVISOR_hvm_op, cmd, ARG, 0);
}

static int64_t hvm_param(unsigned int cmd, uint32_t index, uint64_t value)
{
	return hvm_param_as(true, cmd, index, value);
}

static void callbacks(long unused)
{
	setup();
	CHECK_EQ(map_shared(true, SHARED), 0);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 5), 0);
	xen_before_entry(&d);
	CHECK(!line);
	*(uint8_t *)at(SHARED) = 1;
	xen_before_entry(&d);
	CHECK(line && line_nr == 5);
	CHECK_EQ(xen_vector(&d), -1);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			   2ull << 56 | 0x40),
		 0);
	CHECK(!line);
	CHECK_EQ(xen_vector(&d), 0x40);
	*(uint8_t *)at(SHARED) = 0;
	CHECK_EQ(xen_vector(&d), -1);

	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			   2ull << 56 | 8),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 16),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ, 1ull << 56),
		 -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_set_param, HVM_PARAM_STORE_PFN, 1),
		 -XEN_EPERM);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_IOREQ_PFN, 0),
		 -XEN_EPERM);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_NR_PARAMS, 0), -XEN_EINVAL);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_STORE_PFN, 0), 0);
	CHECK_EQ(hvm_param(HVMOP_get_param, HVM_PARAM_CONSOLE_PFN, 0), 0);
	CHECK_EQ(((struct xen_hvm_param *)at(ARG))->value,
		 XEN_CONSOLE_GPA >> 12);
	teardown();
}

/* ---- time, waiting ---- */

static void raise_irq(void)
{
	irq = true;
}

static void timers_and_waiting(long wide)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	struct {
		uint64_t timeout;
		uint32_t flags;
	} __attribute__((packed)) once = { 5000, 0 };
	uint64_t *w = at(ARG);
	uint32_t *n = at(ARG), port;

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	port = ((struct evtchn_bind_virq *)at(ARG))->port;
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)),
		 -XEN_EEXIST);

	memcpy(at(ARG), &once, sizeof(once));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer,
		      0, ARG),
		 0);
	*(uint32_t *)at(LIST) = port;
	memset(at(ARG), 0, 64);
	if (wide) {
		w[0] = LIST;
		n[2] = 1;
	} else {
		n[0] = LIST;
		n[1] = 1;
	}
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0), 0);
	CHECK(pending(wide, port));
	CHECK_EQ(now, 1005000);

	/* No event comes, so the time limit ends it. */
	clear_events(wide);
	w[wide ? 2 : 1] = 9000;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0), 0);
	CHECK(!pending(wide, port));
	CHECK_EQ(now, 1009000);
	n[wide ? 2 : 1] = 129;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0),
		 -XEN_EINVAL);
	n[wide ? 2 : 1] = 1;
	*(uint32_t *)at(LIST) = 777;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0),
		 -XEN_EINVAL);

	/* Any interrupt ends a block; a guest that is to end does, too. */
	on_wait = raise_irq;
	waits = 0;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(waits, 1);
	irq = false;
	stop = true;
	on_wait = NULL;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(waits, 2);
	teardown();
}

static void raise_event(void)
{
	clock_to(now + 1000);
	xen_raise_virq(&d, VIRQ_TIMER);
}

static int64_t poll_for(bool wide, uint32_t port, uint64_t timeout)
{
	uint64_t *w = at(ARG);
	uint32_t *n = at(ARG);

	*(uint32_t *)at(LIST) = port;
	memset(at(ARG), 0, 64);
	n[0] = LIST;
	n[wide ? 2 : 1] = 1;
	w[wide ? 2 : 1] = timeout;
	waits = 0;
	return call(wide, __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0);
}

/* An interrupt that the guest takes ends a poll for something else. */
static void poll_interrupted(long wide)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(event_op(wide, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	irqs_on = true;
	on_wait = raise_irq;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 9000), 0);
	CHECK_EQ(waits, 1);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 9000), 0);
	CHECK_EQ(waits, 0);
	irq = false;

	/* An event, when the guest is told by a vector: by none it would not hear. */
	on_wait = raise_event;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 3000), 0);
	CHECK_EQ(waits, 3);
	CHECK_EQ(hvm_param_as(wide, HVMOP_set_param, HVM_PARAM_CALLBACK_IRQ,
			      2ull << 56 | 0x40),
		 0);
	clear_events(wide);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 90000), 0);
	CHECK_EQ(waits, 1);
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, 90000), 0);
	CHECK_EQ(waits, 0);

	/* Who takes no interrupts waits for its port, or for the time. */
	irqs_on = false;
	irq = true;
	CHECK_EQ(poll_for(wide, XEN_CONSOLE_PORT, now - 1000000 + 2000), 0);
	CHECK_EQ(waits, 2);
	teardown();
}

static void periodic(long unused)
{
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	uint32_t port;

	setup();
	CHECK_EQ(map_shared(true, SHARED), 0);
	CHECK_EQ(event_op(true, EVTCHNOP_bind_virq, &v, sizeof(v)), 0);
	port = ((struct evtchn_bind_virq *)at(ARG))->port;
	*(uint64_t *)at(ARG) = 999999;
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0,
		      ARG),
		 -XEN_EINVAL);
	*(uint64_t *)at(ARG) = 2000000;
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0,
		      ARG),
		 0);
	for (int i = 0; i < 3; i++) {
		clear_events(true);
		clock_to_deadline();
		CHECK(pending(true, port));
	}
	CHECK_EQ(now, 7000000);
	CHECK_EQ(call(true, __HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0,
		      0),
		 0);
	CHECK_EQ(deadline, UINT64_MAX);
	/* The end of time is no time in the past. */
	CHECK_EQ(call(true, __HYPERVISOR_set_timer_op, UINT64_MAX, 0, 0), 0);
	CHECK(deadline > INT64_MAX);
	CHECK_EQ(call(false, __HYPERVISOR_set_timer_op, 0, 1, 0), 0);
	CHECK_EQ(deadline, 1000000 + (1ull << 32));
	teardown();
}

/* By the formula of Xen's headers the guest gets the time from its TSC. */
static void shared_time(long wide)
{
	struct vcpu_time_info *t = at(SHARED + 32);
	uint64_t tsc;

	setup();
	now = 6000000;
	CHECK_EQ(map_shared(wide, SHARED), 0);
	CHECK_EQ(t->version % 2, 0);
	CHECK_EQ(t->system_time, 5000000);
	tsc = t->tsc_timestamp + 2000;
	tsc -= t->tsc_timestamp;
	tsc = t->tsc_shift < 0 ? tsc >> -t->tsc_shift : tsc << t->tsc_shift;
	tsc = tsc * t->tsc_to_system_mul >> 32;
	CHECK(tsc >= 999 && tsc <= 1001);
	teardown();
}

static void clock_and_irq(void)
{
	now += 1000;
	irq = true;
}

static void vcpus(long wide)
{
	struct vcpu_register_vcpu_info r = { .mfn = 0x40, .offset = 0x80 };
	uint32_t *state = at(0x41000);

	setup();
	CHECK_EQ(map_shared(wide, SHARED), 0);
	*(uint8_t *)at(SHARED) = 1;
	r.offset = 4095;
	memcpy(at(ARG), &r, sizeof(r));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 -XEN_EINVAL);
	r.offset = 0x80;
	memcpy(at(ARG), &r, sizeof(r));
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 0);
	CHECK_EQ(*(uint8_t *)at(0x40080), 1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0,
		      ARG),
		 -XEN_EINVAL);
	/* shared_info moves without it. */
	CHECK_EQ(map_shared(wide, SHARED + 0x1000), 0);
	CHECK(xen_upcall_pending(&d));
	*(uint8_t *)at(0x40080) = 0;
	CHECK(!xen_upcall_pending(&d));

	now += 700;
	*(uint64_t *)at(ARG) = 0x41000;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 0);
	CHECK_EQ(state[wide ? 2 : 1], 700);
	*(uint64_t *)at(ARG) = RAM - 8;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), 1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0),
		 -XEN_ENOENT);
	CHECK_EQ(reason, -1);
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op, VCPUOP_down, 0, 0), 0);
	CHECK_EQ(reason, SHUTDOWN_poweroff);
	teardown();
}

static uint64_t word_at(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, at(gpa), sizeof(v));
	return v;
}

/* Where the guest has registered its run state, whoever waits stores it. */
static void run_state(long wide)
{
	const unsigned int size = wide ? 48 : 44,
			   blocked = 8 * RUNSTATE_blocked + (wide ? 16 : 12);
	const uint64_t places[] = { KERNEL + 0x1000, KERNEL + 0x2ff0 };
	uint64_t *arg = at(ARG);
	unsigned int i;

	setup();
	on_wait = clock_and_irq;
	for (i = 0; i < 2; i++) {
		*arg = places[i];
		CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
			      VCPUOP_register_runstate_memory_area, 0, ARG),
			 0);
		memset(at(places[i]), 0, size);
		*(uint8_t *)at(places[i] + size) = 0x5a;
		irq = false;
		/* By user mode, which cannot store there. */
		CHECK_EQ(call_as(3, !wide, __HYPERVISOR_sched_op, SCHEDOP_block,
				 0, 0),
			 0);
		CHECK_EQ(word_at(places[i] + blocked), 1000 * (i + 1));
		CHECK_EQ(*(uint8_t *)at(places[i] + size), 0x5a);
	}
	/* User mode cannot register what it cannot store to. */
	CHECK_EQ(call_as(3, wide, __HYPERVISOR_vcpu_op,
			 VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	*arg = KERNEL - size + 1;
	CHECK_EQ(call_as(3, wide, __HYPERVISOR_vcpu_op,
			 VCPUOP_register_runstate_memory_area, 0, ARG),
		 -XEN_EFAULT);
	/* No address, no more stores: not to address 0 either. */
	*arg = 0;
	CHECK_EQ(call(wide, __HYPERVISOR_vcpu_op,
		      VCPUOP_register_runstate_memory_area, 0, ARG),
		 0);
	memset(at(places[1]), 0, size);
	irq = false;
	CHECK_EQ(call(wide, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0), 0);
	CHECK_EQ(word_at(places[1] + blocked), 0);
	CHECK_EQ(word_at(blocked), 0);
	teardown();
}

static void endings(long unused)
{
	setup();
	*(uint32_t *)at(ARG) = SHUTDOWN_crash;
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0),
		 0);
	CHECK_EQ(reason, SHUTDOWN_crash);
	reason = -1;
	*(uint32_t *)at(ARG) = SHUTDOWN_suspend;
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, ARG, 0),
		 1);
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_shutdown, RAM, 0),
		 -XEN_EFAULT);
	CHECK_EQ(reason, -1);
	CHECK_EQ(call(true, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ARG,
		      0),
		 -XEN_EPERM);
	teardown();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		WIDTHS("event_channel_op", events),
		WIDTHS("as many ports as there can be", port_limits),
		{ "hvm_op and callbacks", callbacks },
		WIDTHS("timers, poll and block", timers_and_waiting),
		WIDTHS("poll, interrupted", poll_interrupted),
		{ "periodic timer", periodic },
		WIDTHS("time in shared_info", shared_time),
		WIDTHS("vcpu_op", vcpus),
		WIDTHS("run state", run_state),
		{ "shutdown", endings },
		{}
	};

	return test_main(argc, argv, cases);
}
