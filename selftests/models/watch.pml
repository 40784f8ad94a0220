/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A new watch against faults and stores: watch_add(), watch_publish(), watch_gfn()
 * (vmm/monitor/watch.c), vm_synchronize() (vmm/vm.c), vcpu_requests() (vmm/vcpu.c),
 * shadow_protect_gfn() (shadow/slots.c), may_write(), map() and dirty_fault()
 * (shadow/fault.c), watch_store() with the store behind it (vmm/exit/emulctl.c).
 *
 * One page that two vCPUs store to: through their TLBs; by the emulator, which asks
 * the watches first; after a wait for a monitor's verdict, for which a vCPU leaves the
 * SRCU section. Faults map the page by the lock-free and by the slow path. The page's
 * slot logs, so an SPTE may lack W for the log alone. A watch of the page is added.
 *
 * emulctl_held() (vmm/exit/emulctl.c) does not yet ask again behind that wait, as the
 * model does: MUT_NOT_DECIDED_AGAIN is what it does.
 *
 * Shown: when watch_add() has returned, no store is made without an event; and it
 * does return, although vCPUs hold vm->srcu while they run.
 *
 * The counters behind SRCU are Linux's own: here synchronize_srcu() waits until each
 * reader that it met has left once. vm_synchronize()'s request lets it return; the
 * flush is that of flush.pml.
 */

#define VCPUS 2

bool lock;
bool watched; /* vm->watches has the page */
bool w, mmu_w = true; /* the SPTE */
bool tlb[VCPUS]; /* the page, writable */
bool asked[VCPUS]; /* REQ_SRCU */
byte syncs; /* vm->srcu_syncs */
bool reading[VCPUS]; /* vm->srcu is held */
bool gone[VCPUS]; /* it was let go since synchronize_srcu() began */
bool added; /* watch_add() has returned */
byte stores = 3, waits = 1; /* a bound */

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false
#define srcu_read_lock() reading[v] = true
#define srcu_read_unlock() atomic { reading[v] = false; gone[v] = true }

/* map(), all of it under the lock */
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

/* watch_store() has answered: no watch; then gmem_write() */
inline emulate()
{
	unwatched = !watched;
	if
	:: d_step { unwatched && waits > 0 -> waits-- };
		/* held by another watch: monitor_wait(); then it is decided anew */
		srcu_read_unlock();
		srcu_read_lock();
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

	srcu_read_lock();
	do
	:: asked[v] ->
		asked[v] = false;
		srcu_read_unlock();
		syncs == 0;
		srcu_read_lock()
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
	srcu_read_unlock()
}

inline vm_synchronize()
{
	syncs++;
#ifndef MUT_NO_REQUEST
	asked[0] = true;
	asked[1] = true;
#endif
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
	/* shadow_flush_stale(), before the lock is free */
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
