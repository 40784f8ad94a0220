/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A new watch against faults and stores: watch_add(), watch_publish(), watch_gfn(),
 * watch_arm() (vmm/monitor/watch.c), vm_synchronize(), vcpu_enter(), vcpu_leave()
 * (vmm/vm.c), vcpu_requests() (vmm/vcpu.c),
 * shadow_protect_gfn() (shadow/slots.c), may_write(), map() and dirty_fault()
 * (shadow/fault.c), watch_store() with the store behind it (vmm/exit/emulctl.c).
 *
 * One page that two vCPUs store to: through their TLBs; by the emulator, which asks
 * the watches first; after a wait for a monitor's verdict, for which a vCPU leaves the
 * SRCU section. Faults map the page by the lock-free and by the slow path. The page's
 * slot logs, so an SPTE may lack W for the log alone. A watch of the page is added.
 *
 * Shown: when watch_add() has returned, no store is made without an event; and it
 * does return, although vCPUs hold vm->srcu while they run.
 *
 * The counters behind SRCU are Linux's own: here synchronize_srcu() waits until each
 * reader that it met has left once. The flush is that of flush.pml.
 */

#define VCPUS 2

bool lock;
bool watched; /* vm->watches has the page */
bool w, mmu_w = true; /* the SPTE */
bool tlb[VCPUS]; /* the page, writable */
bool asked[VCPUS]; /* REQ_SRCU */
byte syncs, users; /* vm->srcu_syncs, vm->srcu_users */
bool reading[VCPUS]; /* vm->srcu is held */
bool gone[VCPUS]; /* it was let go since synchronize_srcu() began */
bool added; /* watch_add() has returned */
byte stores = 3, waits = 1; /* a bound */

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false

inline vcpu_enter()
{
	do
	:: users++;
#ifndef MUT_ENTER_AT_ONCE
		if
		:: syncs == 0 -> break
		:: syncs != 0 ->
			users--;
			syncs == 0
		fi
#else
		break
#endif
	od;
	reading[v] = true
}

inline vcpu_leave()
{
	d_step { reading[v] = false; gone[v] = true };
	users--
}

/* All of map() is under the lock. */
inline slow_fault()
{
	d_step {
		!lock ->
		unwatched = !watched;
		w = unwatched;
		mmu_w = unwatched
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
	unwatched = !watched;
	if
	:: d_step { unwatched && waits > 0 -> waits-- };
		/*
		 * Another watch holds the store in monitor_wait(). Then it is
		 * decided anew.
		 */
		vcpu_leave();
		vcpu_enter();
#ifndef MUT_NOT_DECIDED_AGAIN
		unwatched = !watched
#else
		skip
#endif
	:: true
	fi;
	if
	:: unwatched -> assert(!added)
	:: else
	fi;
	unwatched = false
}

proctype vcpu(byte v)
{
	bool unwatched;

	vcpu_enter();
	do
	:: asked[v] ->
		asked[v] = false;
		vcpu_leave();
		vcpu_enter()
	:: d_step { w && !tlb[v] -> tlb[v] = true }
	:: d_step { tlb[v] && stores > 0 -> stores--; assert(!added) }
	:: d_step { !tlb[v] && !w && stores > 0 -> stores-- };
		if
		:: dirty_fault()
		:: slow_fault()
		:: emulate()
		fi;
		unwatched = false
	:: added && !asked[v] -> break
	od;
	vcpu_leave()
}

inline vm_synchronize()
{
	syncs++;
#ifndef MUT_NO_REQUEST
	asked[0] = true;
	asked[1] = true;
#endif
	users == 0;
	/* synchronize_srcu() */
	d_step { gone[0] = !reading[0]; gone[1] = !reading[1] };
	gone[0] && gone[1];
	syncs--
}

inline shadow_protect_gfn()
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
#ifdef MUT_PROTECT_BEFORE_PUBLISH
	shadow_protect_gfn();
#endif
	watched = true;
#ifndef MUT_NO_SYNCHRONIZE
	vm_synchronize();
#endif
#ifndef MUT_PROTECT_BEFORE_PUBLISH
	shadow_protect_gfn();
#endif
	d_step { added = true; assert(!tlb[0] && !tlb[1] && !w) }
}

init {
	atomic {
		run vcpu(0);
		run vcpu(1);
		run watch_add()
	}
}
