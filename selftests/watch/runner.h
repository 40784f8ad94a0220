/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that stores to a watched page. */
#ifndef SELFTESTS_WATCH_RUNNER_H
#define SELFTESTS_WATCH_RUNNER_H

#include "mon.h"
#include "vcpu_thread.h"

DECLARE_PAYLOAD(wloop);

#define OLD 0x1111111111111111ull
#define NEW 0x2222222222222222ull

/* Sets rax to NEW, rdi to TARGET, rcx to @n. */
static inline void set_up(struct vcpu *v, unsigned int n)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rdi = TARGET;
	r.rax = NEW;
	r.rcx = n;
	set_regs(v, &r);
	wr64(v->vm, TARGET, OLD);
}

/* Starts a guest that is about to store NEW @n times, one more each time. */
static inline struct vcpu *start(unsigned int n)
{
	struct vcpu *v = START(M_LONG, wloop);

	set_up(v, n);
	return v;
}

/* Runs the guest until the monitor is asked. */
static inline struct vigil_event runner_ask(struct runner *r, struct vcpu *v,
					    int mon)
{
	struct vigil_event ev;

	runner_start(r, v);
	ev = mon_event(mon);
	CHECK_EQ(ev.flags & VIGIL_EVENT_HELD, VIGIL_EVENT_HELD);
	return ev;
}

/* Gives the last verdict that the guest waits for. */
static inline void runner_answer(struct runner *r, int mon, uint64_t seq,
				 uint32_t verdict, enum stop want)
{
	CHECK_EQ(mon_verdict(mon, seq, verdict), 0);
	runner_join(r, want);
}

#endif
