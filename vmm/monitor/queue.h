/* SPDX-License-Identifier: GPL-2.0 */
/* Events on their way to a monitor, and verdicts on their way back: queue.c. */
#ifndef VIGIL_QUEUE_H
#define VIGIL_QUEUE_H

#include "watch.h"

struct mon_event;
struct monitor;
struct vm_area_struct;
struct watch_decision;

/**
 * monitor_wait() - wait for the verdict on a held write, outside vm->srcu
 * @vcpu:	the vCPU
 * @data:	gets what is to be stored, with WATCH_GO, and then vm->store_lock is held for the
 *		store; NULL: it is a control that changes
 *
 * vigil_kick(), requests and signals wake it.
 * Return: WATCH_GO, WATCH_SKIP, WATCH_GP or WATCH_PF: vcpu->held is 0. -EINTR: the
 * store is still held; handle the request or signal and call again.
 */
int monitor_wait(struct vigil_vcpu *vcpu, void *data);
/*
 * The vCPU goes away or its registers are replaced: its held events are
 * forgotten.
 */
void monitor_forget(struct vigil_vcpu *vcpu);
int monitor_vcpu_init(struct vigil_vcpu *vcpu);
void monitor_vcpu_destroy(struct vigil_vcpu *vcpu);

/* The queue of a new monitor. */
int mevent_init(struct monitor *mon);
/*
 * The queue that the monitor wants instead: VIGIL_SET_QUEUE. -EBUSY: it has been chosen
 * already, or the monitor has begun to watch.
 */
int mevent_set_queue(struct monitor *mon, const struct vigil_queue *q);
/* The monitor begins to watch: its queue stays as it is from now on. */
void mevent_begin(struct monitor *mon);
/* Nobody has the monitor's file any more, and the queue is closed. May sleep. */
void mevent_release(struct monitor *mon);
/* The last reference to the monitor is gone. Any context. */
void mevent_free(struct monitor *mon);
/*
 * Asks the monitor about a write that can be held. The event holds the vCPU; NULL: nobody
 * would answer, so on_death of the watch counts.
 */
struct mon_event *mevent_ask(struct vigil_vcpu *vcpu,
			     const struct watch_decision *d,
			     const struct watch_store *st);
/*
 * Tells the monitor of a write. @denied: it does not happen. NULL; or an event for which
 * the vCPU has to wait until there is room for it.
 */
struct mon_event *mevent_tell(struct vigil_vcpu *vcpu,
			      const struct watch_decision *d,
			      const struct watch_store *st, bool denied);
/*
 * Sleeps outside vm->srcu until all events of vcpu->hearing are answered. -EINTR: they are
 * not yet, as of monitor_wait().
 */
int mevent_wait(struct vigil_vcpu *vcpu);
/*
 * The vCPU is done with an event. Returns the answer, VIGIL_VERDICT_*, if there is one.
 * With VIGIL_VERDICT_REPLACE, @data gets the bytes if it is not NULL.
 */
int mevent_finish(struct vigil_vcpu *vcpu, struct mon_event *e, void *data);
/*
 * Answers an event, or pauses the VM for it. -ENOENT; -EOPNOTSUPP: not by this verdict;
 * -EINVAL: not by so many bytes; -EINTR: as pause_vcpus().
 */
int mevent_verdict(struct monitor *mon, const struct vigil_verdict *v);
/*
 * Copies what is left behind @offset, and at most @room bytes, of a change that waits for
 * a verdict. How many bytes, or -ENOENT.
 */
long mevent_change(struct monitor *mon, u64 seq, u32 offset, void *buf,
		   u32 room);
/* Writes that are paused are decided by the watches as they are now: VIGIL_RESUME. */
void mevent_resume(struct vigil_vm *vm);
/* poll() of the monitor's file: is there an event? */
bool mevent_poll(struct monitor *mon);
int mevent_mmap(struct monitor *mon, struct vm_area_struct *vma);
ssize_t mevent_read(struct monitor *mon, char __user *buf, size_t len,
		    bool block);
/* The monitor gets no more events. Held vCPUs go on as on_death says. */
void mevent_close(struct monitor *mon);

#endif
