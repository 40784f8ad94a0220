/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of control events share: watches, events, a monitor that answers. */
#ifndef SELFTESTS_PV_CTL_MON_H
#define SELFTESTS_PV_CTL_MON_H

#include <pthread.h>

#include "../watch/mon.h"
#include "../watch/vcpu_thread.h"

#define MAX_TRAPS 256

static inline struct vigil_watch control(uint64_t nr, unsigned int action)
{
	return (struct vigil_watch){
		.start = nr,
		.len = 1,
		.kind = VIGIL_WATCH_CONTROL,
		.action = action,
		.cookie = nr ^ 0x5555,
	};
}

static inline uint32_t watch(int mon, uint64_t nr, unsigned int action)
{
	return mon_add(mon, control(nr, action));
}

static inline long read_change(int mon, uint64_t seq, void *buf, uint32_t len)
{
	struct vigil_change c = {
		.seq = seq,
		.buf = (uintptr_t)buf,
		.len = len,
	};

	return ioctl(mon, VIGIL_READ_CHANGE, &c) ? -errno : (long)c.done;
}

static inline struct vigil_pv_trap trap_of(const uint8_t *bytes, unsigned int n)
{
	struct vigil_pv_trap t;

	memcpy(&t, bytes + n * sizeof(t), sizeof(t));
	return t;
}

#define CHECK_TRAP(trap, vector_, flags_, cs_, ip_)     \
	do {                                            \
		const struct vigil_pv_trap t_ = (trap); \
		CHECK_EQ(t_.vector, vector_);           \
		CHECK_EQ(t_.flags, flags_);             \
		CHECK_EQ(t_.cs, cs_);                   \
		CHECK_EQ(t_.ip, ip_);                   \
		CHECK_EQ(t_.pad, 0);                    \
	} while (0)

static inline void check_event(const struct vigil_event *ev, unsigned int nr,
			       unsigned int call, unsigned int first,
			       unsigned int count)
{
	CHECK_EQ(ev->kind, VIGIL_EVENT_CONTROL);
	CHECK_EQ(ev->control, nr);
	CHECK_EQ(ev->cookie, nr ^ 0x5555);
	CHECK_EQ(ev->call, call);
	CHECK_EQ(ev->first, first);
	CHECK_EQ(ev->count, count);
	CHECK_EQ(ev->gva, 0);
	CHECK_EQ(ev->gpa, 0);
}

/* ---- a monitor that answers, in a thread of its own ---- */

struct judge {
	int mon;
	unsigned int n; /* events */
	uint32_t verdict[4];
	struct vigil_event ev[4];
	/* What the first one would change is told. */
	uint8_t all[MAX_TRAPS * sizeof(struct vigil_pv_trap)];
	long all_len;
	pthread_t thread;
};

static inline void *judge_run(void *arg)
{
	struct judge *j = arg;

	for (unsigned int i = 0; i < j->n; i++) {
		j->ev[i] = mon_event(j->mon);
		CHECK_EQ(j->ev[i].flags &
				 (VIGIL_EVENT_HELD | VIGIL_EVENT_DENIED),
			 VIGIL_EVENT_HELD);
		if (!i)
			j->all_len = read_change(j->mon, j->ev[i].seq, j->all,
						 sizeof(j->all));
		CHECK_EQ(mon_verdict(j->mon, j->ev[i].seq, j->verdict[i]), 0);
	}
	return NULL;
}

static inline void judge_start(struct judge *j, int mon, unsigned int n,
			       uint32_t verdict)
{
	*j = (struct judge){ .mon = mon, .n = n };
	for (unsigned int i = 0; i < n; i++)
		j->verdict[i] = verdict;
	if (pthread_create(&j->thread, NULL, judge_run, j))
		ERROR("no thread");
}

static inline void judge_join(struct judge *j)
{
	pthread_join(j->thread, NULL);
	CHECK_NO_EVENT(j->mon);
}

#endif
