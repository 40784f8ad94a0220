/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An MMU notifier's invalidation against a fault: block_range(), unblock_range(),
 * notify_start(), notify_end() (vmm/mem/notifier.c), gmem_pfn() (vmm/mem/gmem.c),
 * vm_notify_retry() (vmm/mem/notifier.h), map_fault() and prefetch_entry() (shadow/fault.c).
 *
 * Two pages of the VMM process. For each, the host takes the page away (between the two
 * calls of the notifier it clears its page-table entry and frees the frame) and later
 * gives another; the invalidations may overlap in time. One of two vCPUs faults on each
 * page and prefetches the other.
 *
 * Shown: no SPTE maps a frame after the notifier's first call has returned, and so none
 * that was freed. That no TLB does either is shown by flush.pml.
 */

#define PAGES 2
#define NONE 0
#define OLD 1
#define NEW 2

bool lock;
byte seq, count;
byte start, last; /* pages [start, last] are being invalidated */
byte host[PAGES] = OLD; /* the host's page-table entries */
bool freed[PAGES]; /* the OLD frame */
byte spte[PAGES]; /* what is mapped */
byte finished;

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false
#define being_invalidated(p) (count > 0 && p >= start && p <= last)

inline block_range(p)
{
	if
#ifdef MUT_NO_HULL
	:: false
#else
	:: count > 0 ->
		if
		:: p < start -> start = p
		:: else
		fi;
		if
		:: p > last -> last = p
		:: else
		fi
#endif
	:: else -> start = p; last = p
	fi;
	count++
}

inline unblock_range()
{
#ifndef MUT_SEQ_STAYS
	seq++;
#endif
	count--
}

proctype invalidate(byte p)
{
	/* notify_start() */
#ifdef MUT_DROP_BEFORE_BLOCK
	spin_lock();
	spte[p] = NONE;
	spin_unlock();
#endif
	spin_lock();
	d_step {
		block_range(p);
#ifndef MUT_DROP_BEFORE_BLOCK
		spte[p] = NONE
#endif
	}
	spin_unlock();
	assert(spte[p] != OLD);
#ifdef MUT_END_TOO_EARLY
	spin_lock();
	d_step { unblock_range() };
	spin_unlock();
#endif
	/* the host */
	host[p] = NONE;
	d_step { freed[p] = true; assert(spte[p] != OLD) };
	/* notify_end() */
#ifndef MUT_END_TOO_EARLY
	spin_lock();
	d_step { unblock_range() };
	spin_unlock();
#endif
	host[p] = NEW;
	finished++
}

/*
 * The look at the host's page table is atomic with nothing else. Without a
 * frame, the fault is tried again.
 */
inline gmem_pfn(p)
{
	pfn = host[p]
}

inline map_fault(p)
{
#ifndef MUT_SEQ_AFTER_PFN
	sample = seq;
	gmem_pfn(p);
#else
	gmem_pfn(p);
	sample = seq;
#endif
	spin_lock();
	d_step {
		if
		:: pfn == NONE
		/* vm_notify_retry() */
#ifndef MUT_IGNORE_COUNT
		:: pfn != NONE && being_invalidated(p)
		:: pfn != NONE && !being_invalidated(p) && seq != sample
		:: pfn != NONE && !being_invalidated(p) && seq == sample ->
#else
		:: pfn != NONE && seq != sample
		:: pfn != NONE && seq == sample ->
#endif
			spte[p] = pfn;
			assert(pfn != OLD || !freed[p])
		fi;
		sample = 0;
		pfn = NONE
	}
	spin_unlock()
}

/* The host's page table is read under the lock. */
inline prefetch_entry(p)
{
	spin_lock();
#ifdef MUT_PREFETCH_IGNORES_COUNT
	if
	:: spte[p] == NONE ->
#else
	if
	:: spte[p] == NONE && !being_invalidated(p) ->
#endif
		gmem_pfn(p);
		if
		:: pfn != NONE -> d_step {
			spte[p] = pfn;
			assert(pfn != OLD || !freed[p])
		}
		:: else
		fi
	:: else
	fi;
	pfn = NONE;
	spin_unlock()
}

proctype vcpu(byte v)
{
	byte sample, pfn;

	do
	:: map_fault(v)
	:: prefetch_entry(1 - v)
	:: finished == PAGES -> break
	od
}

init {
	atomic {
		run invalidate(0);
		run invalidate(1);
		run vcpu(0);
		run vcpu(1)
	}
}
