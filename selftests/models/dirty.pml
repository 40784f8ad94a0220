/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log's bit and W of an SPTE: dirty_fault(), shadow_wait_dirty_faults(),
 * map() (shadow/fault.c), dirty_mark() (vmm/mem/dirty.h), gmem_write() with stored()
 * (vmm/mem/gmem.c), harvest() and vigil_get_dirty_log() (vmm/mem/dirty.c),
 * shadow_protect_mask() (shadow/slots.c).
 *
 * One page. Two vCPUs store to it through their TLBs, after a lock-free or a slow fault
 * where it is not writable; the first stores once through the emulator. The log is
 * harvested twice while they run and once after they stand. An MMU notifier drops the
 * SPTE once and leaves the flush to whoever needs it. The SPTE may have been another
 * page's when a lock-free fault read it: then the fault has marked that one.
 *
 * Shown: a harvest tells of each store that was made before it began; what was stored
 * before the vCPUs stand is in the last harvest. A store of the emulator may be one
 * harvest late, when a harvest comes between it and its mark, before the instruction is
 * done.
 *
 * A plain store of the emulator stays in its CPU's buffer until memory takes it, as on
 * x86; so does the flag of a lock-free fault. An instruction with LOCK and smp_mb() wait
 * for that.
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
bool flag_buffered[VCPUS];
bool inside[VCPUS]; /* in_dirty_fault */

bool stored; /* the page has changed since it was last told of */
bool unmarked; /* by a store of the emulator, whose mark is still to come */
bool emulating; /* the store may be made, its mark is not yet */
byte finished;

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false
#define smp_mb() !buffered[v] && !flag_buffered[v]

inline dirty_mark()
{
	if
	:: logged
	:: !logged -> logged = true
	fi
}

inline dirty_fault()
{
	flag_buffered[v] = true;
	/*
	 * The first mark only keeps the auditor from seeing a page that is
	 * writable and clean: the page may not be this one.
	 */
	if
	:: dirty_mark()
	:: skip
	fi;
	/* cmpxchg() */
	smp_mb();
	d_step {
		if
		:: present && !w -> w = true; done = true
		:: else
		fi
	};
#ifndef MUT_NO_MARK_AFTER
	if
	:: done -> dirty_mark()
	:: else
	fi;
#endif
	d_step { done = false; flag_buffered[v] = false; inside[v] = false }
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
	/* from here on the store is one that a harvest has to tell of */
	d_step {
		emulating = false;
		logged = true;
		stored = stored || unmarked;
		unmarked = false
	}
}

proctype vcpu(byte v)
{
	byte n;
	bool done, emulated;

	do
	:: d_step {
		n < STORES && tlb[v] ->
		n++;
		stored = true
	}
	:: d_step { present && w && !tlb[v] -> tlb[v] = true }
	:: d_step { n < STORES && !tlb[v] && present && !w } -> dirty_fault()
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
	:: d_step {
		buffered[v] -> buffered[v] = false;
		if
		:: emulating -> unmarked = true
		:: else -> stored = true
		fi
	}
	:: d_step { flag_buffered[v] -> flag_buffered[v] = false; inside[v] = true }
	od
}

inline flush_vm()
{
	tlb[0] = false;
	tlb[1] = false
}

inline shadow_wait_dirty_faults()
{
	!inside[0];
	!inside[1]
}

/* The VMM reads the page when the call has returned. */
inline vigil_get_dirty_log()
{
	must = stored;
#ifndef MUT_NO_WAIT_FOR_FAULTS
	shadow_wait_dirty_faults();
#endif
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
		logged = false;
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
		d_step { flush = false; stored = false; unmarked = false }
	:: !logged -> assert(!must)
	fi;
	must = false
}

proctype harvester()
{
	byte n;
	bool flush, must;

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
		run drain(1);
		run vcpu(0);
		run vcpu(1);
		run harvester();
		run dropper()
	}
}
