/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Monitors, between their files: watch.c (what is watched), monitor.c (the
 * monitor fd), queue.c (event queue and verdicts), view.c (what a monitor
 * sees of memory and registers), stat.c (counters).
 *
 * Letters, besides those of vmm.h:
 *   [n] vcpu->snapshot_lock (mutex); a vCPU's mutex is only tried under it
 *   [q] monitor->qlock (spinlock), innermost
 */
#ifndef VIGIL_MONITOR_H
#define VIGIL_MONITOR_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "vmm/vmm.h"
#include "watch.h"

/* ranges of guest-physical memory that the watches of one VM come to */
#define WATCH_MAX_RANGES 65536
#define WATCH_MAX_LEN (16ull << 20)
#define MONITOR_MAX_READ (1ul << 20)

/* guest-physical, both ends included */
struct watch_span {
	u64 start, last;
};

/**
 * struct mon_watch - a watch as its monitor asked for it
 * @link: [m] in monitor->watches
 * @uapi: [I] as VIGIL_WATCH_LIST tells it
 * @nr_spans: [I] how many @spans there are
 * @spans: [I] guest-physical, sorted, apart from each other
 */
struct mon_watch {
	struct list_head link;
	struct vigil_watch uapi;
	unsigned int nr_spans;
	struct watch_span spans[];
};

/* one span in the set that vCPUs look at; immutable */
struct watch_range {
	struct rb_node rb;
	u64 start, last, subtree_last;
	struct monitor *mon;
	u64 cookie;
	u32 id, action, on_death;
};

enum { ANSWER_NONE, ANSWER_ALLOW, ANSWER_DENY };

struct mon_event {
	struct list_head link; /* [q] free or queue */
	struct list_head held_link; /* [q] monitor->held */
	struct monitor *mon; /* [I] */
	struct vigil_vcpu *vcpu; /* [q] who waits */
	bool queued; /* [q] not read yet */
	int on_death; /* [q] */
	int answer; /* [q] writes, [a] reads */
	struct vigil_event ev;
};

struct monitor {
	struct kref ref; /* its file, and every held event */
	struct vigil_vm *vm; /* [I] */
	bool read_only; /* [I] has no events and is not in vm->monitors */
	struct list_head link; /* [m] vm->monitors */
	struct list_head watches; /* [m] */
	unsigned int nr_watches; /* [m] */
	u32 last_id; /* [m] */
	struct mutex read_lock; /* one read() at a time; before qlock */

	spinlock_t qlock;
	struct list_head queue; /* [q] oldest first */
	struct list_head free; /* [q] */
	struct list_head held; /* [q] without an answer, or not picked up */
	unsigned int plain; /* [q] events in use that hold no vCPU */
	bool closed; /* [q] */
	u64 seq, dropped; /* [q] */
	struct mon_event *pool; /* [I] NULL when read_only */
};

/* ---- watch.c ---- */
int watch_add(struct monitor *mon, struct vigil_watch *w);
int watch_del(struct monitor *mon, u32 id);
/* the monitor goes: its watches too. vm->lock held */
void watch_drop(struct monitor *mon);

/* ---- queue.c ---- */
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

/* ---- monitor.c ---- */
void monitor_put(struct monitor *mon);

/* ---- view.c ---- */
/* how a vCPU translates */
struct gva_space {
	u64 cr0, cr3, cr4, efer;
};

/**
 * mview_state() - registers of a vCPU, whatever it does at the moment
 * @vm: the VM
 * @index: of the vCPU
 * @state: out
 *
 * Process context, sleeps until the vCPU could be looked at.
 * Return: 0, -ENOENT no such vCPU, -EINTR a fatal signal, -ENOMEM.
 */
int mview_state(struct vigil_vm *vm, u32 index, struct vigil_vcpu_state *state);
/* vCPU 0's mode, with the page table that uapi/vigil.h says @cr3 stands for */
int mview_space(struct vigil_vm *vm, u64 cr3, struct gva_space *space);
/* is this an address at all in the guest's mode? */
bool mview_address(const struct gva_space *space, u64 gva);
/**
 * mview_translate() - guest-virtual to guest-physical, rights aside
 * @vm: the VM
 * @space: how its vCPU translates, from mview_space()
 * @gva: the address
 * @gpa: out: what it is translated to
 * @left: out: bytes up to the end of the guest's page
 *
 * Return: 0, -EFAULT not mapped, -EINVAL not an address in this mode.
 */
int mview_translate(struct vigil_vm *vm, const struct gva_space *space, u64 gva,
		    u64 *gpa, u64 *left);
long mview_read(struct vigil_vm *vm, struct vigil_mem *mem);

/* ---- stat.c ---- */
int stat_init(void); /* at load */
void stat_exit(void);
void stat_vm_add(struct vigil_vm *vm);
void stat_vm_del(struct vigil_vm *vm);
long stat_get(struct vigil_vm *vm, struct vigil_stats __user *user);
u64 vigil_vm_mem_bytes(struct vigil_vm *vm);

#endif
