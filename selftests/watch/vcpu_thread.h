/* SPDX-License-Identifier: GPL-2.0 */
/* A thread for a vCPU that a monitor holds. */
#ifndef SELFTESTS_WATCH_VCPU_THREAD_H
#define SELFTESTS_WATCH_VCPU_THREAD_H

#include <pthread.h>

#include "guest.h"

/* A thread that runs the vCPU until it stops. */
struct runner {
	struct vcpu *v;
	enum stop stop;
	pthread_t thread;
};

static inline void *runner_run(void *arg)
{
	struct runner *r = arg;

	r->stop = vcpu_go(r->v);
	return NULL;
}

static inline void runner_start(struct runner *r, struct vcpu *v)
{
	r->v = v;
	if (pthread_create(&r->thread, NULL, runner_run, r))
		ERROR("no thread");
}

static inline void runner_join(struct runner *r, enum stop want)
{
	pthread_join(r->thread, NULL);
	CHECK_EQ(r->stop, want);
}

/* A second vCPU, in the same mode. */
static inline struct vcpu *vcpu_second(struct vcpu *first)
{
	struct vcpu *v = vcpu_create(first->vm);
	struct kvm_sregs s;
	struct kvm_regs r;

	v->mode = first->mode;
	get_sregs(first, &s);
	set_sregs(v, &s);
	get_regs(first, &r);
	r.rsp = GUEST_STACK_AP;
	set_regs(v, &r);
	return v;
}

#endif
