/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Monitors, between their files: watch.c (what is watched), filter.c (the conditions
 * of a watch), hearing.c (what is done about a write), monitor.c (the monitor fd),
 * queue.c (event queue and verdicts), ring.c (a queue that the monitor maps), view.c
 * (what a monitor sees of memory and registers, and changes there), pause.c (vCPUs that
 * stand still), stat.c (counters).
 *
 * Letters, besides those of vm.h:
 *   [n] vcpu->snapshot_lock (mutex); a vCPU's mutex is only tried under it
 *   [q] monitor->qlock (spinlock), innermost
 */
#ifndef VIGIL_MONITOR_H
#define VIGIL_MONITOR_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "filter.h"
#include "queue.h"
#include "vmm/mem/watched.h"
#include "vmm/vcpu.h"

/* Maximum number of ranges of all watches of a VM together. */
#define WATCH_MAX_RANGES 65536
/* watch_slots() has the ranges of two arrays of slots in the tree for a moment. */
static_assert(2 * WATCH_MAX_RANGES <= WATCHED_MAX);
#define WATCH_MAX_LEN (16ull << 20)
#define MONITOR_MAX_COPY (1ul << 20)
/*
 * A monitor that has ended lives on while a vCPU that a VMM stops has an event of it, or
 * of another monitor about the same write, or may be looking at a watch of it. So many of
 * a VM may be alive.
 */
#define MONITOR_MAX_ALIVE 64

/**
 * struct mon_watch - a watch as its monitor asked for it
 * @set: [w] its ranges in the tree; NULL: the monitor has left the VM
 * @next: [w] within watch_slots(), those of the slots that come
 * @uapi: [I] as VIGIL_WATCH_LIST tells it, but for the conditions
 * @filter: [I] its conditions; NULL: it has none
 * @start: [I] first address that it has in its tree
 * @last: [I] last address
 */
struct mon_watch {
	struct watch_set *set, *next;
	struct vigil_watch uapi;
	struct watch_filter *filter;
	u64 start, last;
};

/**
 * struct watch_range - one range in a tree that vCPUs search; it never changes
 * @where: what it covers
 * @mon: whose it is
 * @filter: as in struct mon_watch
 * @linear: of linear addresses, in vm->watched_gva
 * @shift: by how much it lies behind the memory that the watch asked for, where it is
 *	the same memory at another address; 0 elsewhere
 * @cr3: of the watch
 * @cookie: of the watch
 * @id: of the watch
 * @action: of the watch, where no condition decides
 * @on_death: of the watch
 * @timeout_ms: of the watch
 * @on_timeout: of the watch
 */
struct watch_range {
	struct watched_range where;
	struct monitor *mon;
	struct watch_filter *filter;
	bool linear;
	u64 shift;
	u64 cr3, cookie;
	u32 id, action, on_death;
	u32 timeout_ms, on_timeout;
};

/**
 * struct watch_set - the ranges of one watch: what vCPUs see of it
 * @link: [w] vm->watches_gone, when they have left the tree
 * @mon: [I] a reference, for vCPUs that may still send it an event
 * @filter: [I] a reference to the conditions of the watch, or NULL
 * @count: [I] of @range
 * @range: [I] its spans, and where the guest has their memory once more
 */
struct watch_set {
	struct list_head link;
	struct monitor *mon;
	struct watch_filter *filter;
	unsigned int count;
	struct watch_range range[];
};

/**
 * struct watch_decision - what a monitor does about a write, and by what
 * @range: the strongest of the monitor's that has a byte of it
 * @action: VIGIL_ACTION_*
 * @condition: which condition of @range has decided, counted from 1; 0: none has
 */
struct watch_decision {
	const struct watch_range *range;
	u32 action, condition;
};

#define ANSWER_NONE (-1)

struct mon_event {
	union {
		struct list_head link; /* [q] queue */
		struct hlist_node free_link; /* [q] free */
	};
	struct list_head held_link; /* [q] monitor->held */
	struct monitor *mon; /* [I] */
	struct vigil_vcpu *vcpu; /* [q] who waits */
	bool queued; /* [q] not read yet */
	bool waits; /* [q] a vCPU waits until it is read, and for no verdict */
	/* [q] VIGIL_VERDICT_*: the answer without a monitor. ANSWER_NONE: it is paused */
	int on_death;
	bool paused; /* [q] writes, [a] reads: by VIGIL_RESUME it goes on */
	/* [v] VIGIL_VERDICT_*: the answer when the time is up. ANSWER_NONE: a pause */
	int on_timeout;
	bool timed; /* [v] the vCPU waits until @deadline, in jiffies */
	unsigned long deadline;
	/* [q] of a held change: as in struct watch_control */
	const void *all;
	u32 all_len;
	/* [q] writes, [a] reads: VIGIL_VERDICT_*. Of KILL, the end of the VM comes next. */
	int answer;
	struct vigil_event ev;
};

struct monitor {
	struct kref ref; /* its file, held events, hearings, sets of ranges */
	struct vigil_vm *vm; /* [I] */
	bool read_only; /* [I] has no events and is not in vm->monitors */
	unsigned int evictions; /* [I] of the VM, as its place was counted */
	bool evicted; /* [w] writes, [a] reads: it is not there any more */
	struct list_head link; /* [w] vm->monitors */
	u64 nr; /* [I] those that attached earlier have lower ones */
	struct mutex watch_lock; /* one change of watches at a time; before [w] */
	struct xarray watches; /* [w] by id */
	unsigned int nr_watches; /* [w] */
	u32 next_id; /* [w] */
	struct mutex read_lock; /* one read() at a time; before qlock */
	u64 paused; /* [p] bit n: it pauses vCPU n: pause.c */
	u64 paused_keep; /* [p] of these, those that stay paused when it ends */
	bool paused_end; /* [p] it pauses nothing any more */

	spinlock_t qlock;
	struct list_head queue; /* [q] oldest first */
	struct hlist_head free; /* [q] */
	struct list_head held; /* [q] without an answer, or not picked up */
	unsigned int plain; /* [q] events of the queue that hold no vCPU */
	unsigned int room; /* [q] so many of these may wait, without a ring */
	bool closed; /* [q] */
	int resumes; /* [q] vm->resumes when it was closed */
	bool begun; /* [q] from the first watch on, the fields below stay as they are */
	bool wait_room; /* [q] VIGIL_QUEUE_WAIT */
	u64 seq, dropped; /* [q] */
	struct mon_event *pool; /* [q] NULL when read_only */
	struct mon_ring *ring; /* [q], once; its readers have the file */
};

void monitor_put(struct monitor *mon);
/*
 * Handle ioctls of /dev/vigil and of a VM fd; -ENOTTY: @cmd is not one of
 * theirs.
 */
long monitor_dev_ioctl(unsigned int cmd, unsigned long arg);
long monitor_vm_ioctl(struct vigil_vm *vm, unsigned int cmd, unsigned long arg);

#endif
