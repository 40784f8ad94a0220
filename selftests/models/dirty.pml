/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log's bit and W of an SPTE: dirty_fault(), map() (shadow/fault.c),
 * dirty_mark() (vmm/mem/dirty.h), gmem_write() with stored() (vmm/mem/gmem.c), harvest() and
 * vigil_get_dirty_log() (vmm/mem/dirty.c), shadow_protect_mask() (shadow/slots.c).
 *
 * One page. Two vCPUs store to it through their TLBs, after a lock-free or a slow fault
 * where it is not writable; the first stores once through the emulator. The log is
 * harvested twice while they run and once after they stand. An MMU notifier drops the
 * SPTE once and leaves the flush to whoever needs it.
 *
 * Shown: a store to the page is in the log of the harvest that is under way or of the
 * next one; what was stored before the vCPUs stand is in the last harvest. Two stores
 * may be one harvest late: the emulator's, when a harvest comes between the store and its
 * mark, before the instruction is done; and one of another vCPU through the W that a
 * lock-free fault has set, when a harvest has taken the bit of that fault before it set W
 * and another comes before it marks again (MUT_OTHER_VCPU_IN_BETWEEN shows that one).
 *
 * A plain store of the emulator stays in its CPU's buffer until memory takes it, as on
 * x86; an instruction with LOCK and smp_mb() wait for that.
 */

#define VCPUS 2
#define STORES 2
#define HARVESTS 2

bool lock;
bool logged; /* the page's bit */
bool present = true, w; /* the SPTE; what else it allows does not change */
bool stale; /* narrowed and not flushed: flush.pml */
bool tlb[VCPUS]; /* has the page, writable */
bool buffered[VCPUS]; /* a store that only its own CPU knows of */

bool stored; /* the page has changed since it was last told of */
bool harvesting;
bool emulating; /* the store may be made, its mark is not yet */
byte faults; /* lock-free ones under way */
bool raced; /* a harvest took the bit since one of them began */
byte finished;

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false
#define smp_mb() !buffered[v]

/* No harvest is under way. The next one reports all that was stored before. */
#define told (!stored || logged || harvesting || emulating)
#ifdef MUT_OTHER_VCPU_IN_BETWEEN
#define INVARIANT told
#else
#define INVARIANT (told || raced)
#endif

inline dirty_mark()
{
	if
	:: logged
	:: !logged -> logged = true
	fi
}

inline dirty_fault()
{
#ifndef MUT_NO_MARK_BEFORE
	dirty_mark();
#endif
	/* cmpxchg() */
	d_step {
		if
		:: present && !w -> w = true; done = true
		:: else
		fi
	}
#ifndef MUT_NO_MARK_AFTER
	if
	:: done -> dirty_mark()
	:: else
	fi;
#endif
	d_step {
		done = false;
		faults--;
		if
		:: faults == 0 -> raced = false
		:: else
		fi
	}
}

inline slow_fault()
{
	spin_lock();
#ifdef MUT_MAP_BEFORE_MARK
	d_step { present = true; w = true };
	dirty_mark();
#else
	dirty_mark();
	d_step { present = true; w = true };
#endif
	spin_unlock()
}

inline gmem_write()
{
	d_step { buffered[v] = true; emulating = true };
#ifndef MUT_NO_BARRIER_AFTER_STORE
	smp_mb();
#endif
	dirty_mark();
	emulating = false
}

proctype vcpu(byte v)
{
	byte n;
	bool done, emulated;

	do
	:: d_step {
		n < STORES && tlb[v] ->
		n++;
		stored = true;
		assert(INVARIANT)
	}
	:: d_step { present && w && !tlb[v] -> tlb[v] = true }
	:: d_step { n < STORES && !tlb[v] && present && !w -> faults++ };
		dirty_fault()
	:: n < STORES && !tlb[v] && !w -> slow_fault()
	:: v == 0 && !emulated -> emulated = true; gmem_write()
	:: n == STORES && !buffered[v] && (v == 1 || emulated) -> break
	od;
	finished++
}

proctype drain(byte v)
{
end:
	do
	:: d_step { buffered[v] -> buffered[v] = false; stored = true }
	od
}

inline flush_vm()
{
	tlb[0] = false;
	tlb[1] = false
}

/* The VMM reads the page when the call has returned. */
inline vigil_get_dirty_log()
{
	harvesting = true;
	if
	:: logged ->
#ifdef MUT_PROTECT_BEFORE_FETCH
		spin_lock();
		d_step { if :: w -> w = false; stale = true :: else fi };
		spin_unlock();
		if
		:: stale -> stale = false; flush_vm()
		:: else
		fi;
		logged = false;
#else
		/* xchg() */
		d_step { logged = false; raced = faults > 0 };
		spin_lock();
#ifdef MUT_ONLY_OWN_RIGHTS
		d_step { if :: w -> w = false; flush = true :: else fi };
#else
		d_step { if :: w -> w = false; stale = true :: else fi };
#endif
		spin_unlock();
#ifdef MUT_NO_FLUSH
		stale = false;
#endif
#ifndef MUT_ONLY_OWN_RIGHTS
		d_step { flush = stale; stale = false };
#endif
		if
		:: flush -> flush_vm()
		:: else
		fi;
#endif
		d_step { flush = false; stored = false; harvesting = false; assert(INVARIANT) }
	:: !logged ->
		d_step { harvesting = false; assert(INVARIANT) }
	fi
}

proctype harvester()
{
	byte n;
	bool flush;

	do
	:: n < HARVESTS && finished < VCPUS ->
		n++;
		vigil_get_dirty_log()
	:: finished == VCPUS -> break
	od;
	/* The vCPUs stand now. */
	assert(!stored || logged);
	vigil_get_dirty_log();
	assert(!stored)
}

proctype dropper()
{
	atomic { !lock -> lock = true };
	d_step { if :: present -> present = false; w = false; stale = true :: else fi };
	spin_unlock()
}

init {
	atomic {
		run drain(0);
		run vcpu(0);
		run vcpu(1);
		run harvester();
		run dropper()
	}
}
