/* SPDX-License-Identifier: GPL-2.0 */
/* Events on their way to a monitor, and verdicts on their way back: queue.c. */
#ifndef VIGIL_QUEUE_H
#define VIGIL_QUEUE_H

#include "watch.h"

struct monitor;
struct watch_range;

/*
 * Waits for the verdict on vcpu->held, outside vm->srcu. vigil_kick(), requests
 * and signals wake it. WATCH_GO or WATCH_SKIP: vcpu->held is cleared. -EINTR:
 * the store is still held; handle the request or signal and call again.
 */
int monitor_wait(struct vigil_vcpu *vcpu);
/*
 * The vCPU goes away or its registers are replaced: its held event is
 * forgotten.
 */
void monitor_forget(struct vigil_vcpu *vcpu);

int mevent_init(struct monitor *mon);
void mevent_free(struct monitor *mon);
enum watch_answer mevent_store(struct vigil_vcpu *vcpu,
			       const struct watch_range *r,
			       const struct watch_store *st);
int mevent_verdict(struct monitor *mon, u64 seq, u32 verdict);
/*
 * Copies what is left behind @offset, and at most @room bytes, of a change that waits for
 * a verdict. How many bytes, or -ENOENT.
 */
long mevent_change(struct monitor *mon, u64 seq, u32 offset, void *buf,
		   u32 room);
bool mevent_ready(struct monitor *mon);
ssize_t mevent_read(struct monitor *mon, char __user *buf, size_t len,
		    bool block);
/* The monitor gets no more events. Held vCPUs go on as on_death says. */
void mevent_close(struct monitor *mon);

#endif
