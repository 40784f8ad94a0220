/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A new watch against faults and stores: watch_add(), watch_arm()
 * (vmm/monitor/watch.c), watch_gfn(), watch_linear() (vmm/mem/watched.c), vm_settle(),
 * vcpu_enter(), vcpu_leave() (vmm/vm.c), vcpu_requests() (vmm/vcpu.c), enter_guest()
 * (vmm/run.c), shadow_protect_gfns() (shadow/slots.c), shadow_protect_linear()
 * (shadow/linear.c), may_write(), map() and dirty_fault()
 * (shadow/fault.c), watch_store() with the store behind it (vmm/exit/emulctl.c).
 *
 * One page that two vCPUs store to: in the guest, through their TLBs; by the emulator,
 * which asks the watches first; after a wait for a monitor's verdict, for which a vCPU
 * leaves. Faults map the page by the lock-free and by the slow path. The page's slot
 * logs, so an SPTE may lack W for the log alone. A watch of a linear address takes W, or
 * the way to the SPTE, which here is the same: nobody reaches what a lock-free fault sets
 * behind a link that has been dropped. A watch of the page is added, or one
 * of a control, which no SPTE has to do with: there the emulator changes the control.
 *
 * Shown: when watch_add() has returned, no store is made without an event; and it
 * does return, although nobody makes a guest exit (spin calls it an invalid end state
 * when it does not).
 *
 * A store of vcpu->mode, of vcpu->inside and to the tree stays in a buffer of its CPU,
 * in order, as on x86; others see it when they look, or later. An instruction with LOCK
 * waits for the buffer. The flush is that of flush.pml, and how a search of the tree
 * finds that it has changed is Linux's seqlock.
 */

#define VCPUS 2

#define OUTSIDE 0
#define IN_GUEST 1

/* what a buffered store changes */
#define ST_MODE 0
#define ST_INSIDE 1

chan buffer[VCPUS] = [3] of { byte, byte };
byte mode[VCPUS] = OUTSIDE; /* in memory */
bool inside[VCPUS]; /* in memory */
bool asked[VCPUS]; /* REQ_SETTLE */
bool woken; /* who waits in vm_settle() */

bool entered; /* the tree has the watch; its CPU may still have that in its buffer */
bool watched; /* in memory */

bool lock;
bool w, mmu_w = true; /* the SPTE */
bool tlb[VCPUS]; /* the page, writable */
bool control; /* the watch is one of a control */
bool added; /* watch_add() has returned */
byte stores = 2, waits = 1, exits = 1; /* a bound */

#define spin_lock() atomic { !lock -> lock = true; watched = entered }
#define spin_unlock() lock = false
#define store(what, value) buffer[v]!what, value

inline drain_one(n)
{
	d_step {
		buffer[n]?what, value;
		if
		:: what == ST_MODE -> mode[n] = value
		:: what == ST_INSIDE -> inside[n] = value
		fi;
		what = 0;
		value = 0
	}
}

/* of a vCPU */
inline smp_mb()
{
	atomic {
		do
		:: nempty(buffer[v]) -> drain_one(v)
		:: empty(buffer[v]) -> break
		od
	}
}

/* A vCPU looks whether the page is watched. */
inline look()
{
	atomic {
		if
		:: watched = entered
		:: true
		fi;
		unwatched = !watched
	}
}

inline vcpu_requests()
{
	if
	:: asked[v] -> d_step { asked[v] = false; woken = true }
	:: !asked[v]
	fi
}

inline vcpu_enter()
{
	store(ST_INSIDE, true);
#ifndef MUT_NO_BARRIER_AT_VCPU_ENTER
	smp_mb()
#endif
}

inline vcpu_leave()
{
	store(ST_INSIDE, false);
#ifndef MUT_NO_BARRIER_AT_VCPU_LEAVE
	smp_mb();
#endif
#ifndef MUT_NO_WAKE_AT_VCPU_LEAVE
	vcpu_requests()
#else
	skip
#endif
}

/* All of map() is under the lock, which waits for the buffer of who had it before. */
inline slow_fault()
{
	atomic {
		!lock ->
		if
		:: watched = entered
		:: true
		fi;
		w = !watched;
		mmu_w = !watched
	}
}

/* spte_log_only(), then cmpxchg() */
inline dirty_fault()
{
	d_step {
		if
		:: mmu_w && !w -> w = true
		:: else
		fi
	}
}

/* watch_store() has found no watch; gmem_write() follows. */
inline emulate()
{
	look();
	if
	:: d_step { unwatched && waits > 0 -> waits-- };
		/*
		 * Another watch holds the store in monitor_wait(). Then it is
		 * decided anew.
		 */
		vcpu_leave();
		/* The monitor may answer at any time, or when it has added. */
		if
		:: true -> skip
		:: true -> added
		fi;
		vcpu_enter();
#ifndef MUT_NOT_DECIDED_AGAIN
		look()
#else
		skip
#endif
	:: true
	fi;
#ifdef MUT_SERVED_BEFORE_THE_STORE
	vcpu_requests();
#endif
	if
	:: unwatched -> assert(!added)
	:: !unwatched
	fi;
	unwatched = false
}

/* The guest stores by its TLB. A control it changes in the emulator alone. */
inline run_guest()
{
	do
	:: d_step { w && !tlb[v] -> tlb[v] = true }
	:: d_step { tlb[v] && stores > 0 -> stores--; assert(!added || control) }
	:: d_step { !tlb[v] && !w && stores > 0 -> stores-- };
		fault = true;
		break
	:: d_step { exits > 0 -> exits-- };
		break
	:: added -> break
	od
}

proctype vcpu(byte v)
{
	bool unwatched, fault;
	byte what, value;

	vcpu_enter();
	do
	:: vcpu_requests();
		/* enter_guest() */
		store(ST_MODE, IN_GUEST);
#ifndef MUT_NO_BARRIER_AT_ENTRY
		smp_mb();
#endif
		if
		:: !asked[v] -> run_guest()
		:: asked[v]
		fi;
		store(ST_MODE, OUTSIDE);
#ifndef MUT_NO_BARRIER_AT_EXIT
		smp_mb();
#endif
		if
		:: fault -> dirty_fault()
		:: fault -> slow_fault()
		:: emulate()
		fi;
		fault = false
	:: added -> break
	od;
	vcpu_leave()
}

/* What the others have stored may be seen, or later. */
inline observe(n)
{
	do
	:: nempty(buffer[n]) -> drain_one(n)
	:: true -> break
	od
}

inline acts(n)
{
	atomic {
		observe(n);
		seen = inside[n] && mode[n] == OUTSIDE
	}
}

inline settle_one(n)
{
	acts(n);
	if
	:: seen ->
		/* set_bit() has LOCK */
#ifndef MUT_NO_REQUEST
		d_step { watched = entered; asked[n] = true };
#endif
		do
		:: woken = false;
			acts(n);
			if
			:: !asked[n] || !seen -> break
			:: asked[n] && seen -> woken
			fi
		od
	:: !seen
	fi
}

inline vm_settle()
{
#ifndef MUT_NO_BARRIER_AT_SETTLE
	watched = entered;
#endif
	settle_one(0);
	settle_one(1)
}

inline protect_spans()
{
	spin_lock();
#ifdef MUT_PROTECT_FOR_LOG_ONLY
	w = false;
#else
	d_step { w = false; mmu_w = false };
#endif
	/* shadow_flush_stale() comes before the lock is free. */
#ifndef MUT_NO_FLUSH
	tlb[0] = false;
	tlb[1] = false;
#endif
	spin_unlock()
}

proctype watch_add()
{
	bool seen;
	byte what, value;

	if
	:: control = true
	:: true
	fi;
#ifdef MUT_PROTECT_BEFORE_PUBLISH
	protect_spans();
#endif
	entered = true;
#ifndef MUT_PROTECT_BEFORE_PUBLISH
	if
	:: !control -> protect_spans()
	:: control
	fi;
#endif
#ifndef MUT_NO_SETTLE
	vm_settle();
#endif
	atomic {
		added = true;
		assert(control || (!tlb[0] && !tlb[1] && !w))
	}
}

init {
	atomic {
		run vcpu(0);
		run vcpu(1);
		run watch_add()
	}
}
