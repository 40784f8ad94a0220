/* SPDX-License-Identifier: GPL-2.0 */
/* Events on their way to a monitor, and verdicts on their way back: queue.c. */
#ifndef VIGIL_QUEUE_H
#define VIGIL_QUEUE_H

#include "watch.h"

struct monitor;
struct watch_range;

/*
 * Wait for the verdict on vcpu->held. Drops vm->srcu meanwhile; wakes for
 * vigil_kick(), requests and signals. WATCH_GO or WATCH_SKIP with vcpu->held
 * cleared; -EINTR: still held, handle the request or signal and call again.
 */
int monitor_wait(struct vigil_vcpu *vcpu);
/* the vCPU goes away or its registers are replaced: forget a held event */
void monitor_forget(struct vigil_vcpu *vcpu);

int mevent_init(struct monitor *mon);
void mevent_free(struct monitor *mon);
enum watch_answer mevent_store(struct vigil_vcpu *vcpu,
			       const struct watch_range *r,
			       const struct watch_store *st);
int mevent_verdict(struct monitor *mon, u64 seq, u32 verdict);
bool mevent_ready(struct monitor *mon);
ssize_t mevent_read(struct monitor *mon, char __user *buf, size_t len,
		    bool block);
/* no events from here on; who is held goes on as on_death says */
void mevent_close(struct monitor *mon);

#endif
