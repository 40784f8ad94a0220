/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was narrowed and what was flushed: shadow_narrowed() (shadow/internal.h),
 * shadow_flush_vm() (shadow/sync.c), notify_start() (vmm/mem/notifier.c) with
 * shadow_unmap_gfns() (shadow/slots.c), spte_drop() (shadow/page.c).
 *
 * Two MMU notifiers drop the SPTE of a page each, twice; between the two the page is
 * mapped again. Two vCPUs run with TLBs that may know more than the SPTEs. A vCPU may
 * also drop an SPTE whose guest entry has changed: only its own TLB is flushed then, and
 * the other's entry is no longer to be found in any reverse map.
 *
 * Shown: when a notifier returns, no TLB has the page that it dropped, unless its vCPU
 * is outside and flushes before it enters.
 *
 * That vigil_request_all(wait) reaches every vCPU is shown by entry.pml; here a vCPU that
 * was asked flushes before it enters again, and the caller waits for one that is inside.
 */

#define VCPUS 2
#define PAGES 2
#define ROUNDS 2

bool lock;
byte narrowed, flushed;
#ifdef MUT_RESET_BY_CMPXCHG
byte stale_count;
#endif
bool spte[PAGES];
bool blocked[PAGES]; /* notify_count and its range */
bool tlb[4]; /* of vCPU and page: 2 * vCPU + page */
bool asked[VCPUS], inside[VCPUS];
byte finished;
byte maps = 1; /* faults that map again */
byte changes = 1; /* guest entries that change */

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false

#ifdef MUT_RESET_BY_CMPXCHG
#define shadow_narrowed() stale_count++
#else
#define shadow_narrowed() narrowed++
#endif

inline spte_drop(p)
{
	if
	:: spte[p] ->
#ifdef MUT_COUNT_BEFORE_DROP
		shadow_narrowed();
		spte[p] = false
#else
		spte[p] = false;
		shadow_narrowed()
#endif
	:: else
	fi
}

inline flush_vm()
{
#ifdef MUT_RESET_BY_CMPXCHG
	sample = stale_count;
#else
#ifndef MUT_SAMPLE_AFTER
	sample = narrowed;
#endif
#ifdef MUT_RAISE_BEFORE
	d_step {
		if
		:: flushed < sample -> flushed = sample
		:: else
		fi
	}
#endif
#endif
	asked[0] = true;
	asked[1] = true;
#ifndef MUT_NO_WAIT
	!(inside[0] && asked[0]);
	!(inside[1] && asked[1]);
#endif
#ifdef MUT_RESET_BY_CMPXCHG
	d_step {
		if
		:: stale_count == sample -> stale_count = 0
		:: else
		fi
	}
#else
#ifdef MUT_SAMPLE_AFTER
	sample = narrowed;
#endif
	d_step {
		if
		:: flushed < sample -> flushed = sample
		:: else
		fi
	}
#endif
}

proctype notifier(byte p)
{
	byte sample, n;
	bool flush;

	do
	:: n < ROUNDS ->
		n++;
		spin_lock();
		blocked[p] = true;
#ifdef MUT_ONLY_OWN_DROPS
		flush = spte[p];
		spte_drop(p);
#else
		spte_drop(p);
#ifdef MUT_RESET_BY_CMPXCHG
		flush = stale_count != 0;
#else
		sample = narrowed;
		flush = flushed < sample;
#endif
#endif
		spin_unlock();
		if
		:: flush -> flush_vm()
		:: else
		fi;
		flush = false;
		sample = 0;
		/* The host frees the page. */
		d_step {
			assert(!tlb[p] || (asked[0] && !inside[0]));
			assert(!tlb[2 + p] || (asked[1] && !inside[1]));
			blocked[p] = false
		}
	:: n == ROUNDS -> break
	od;
	finished++
}

/* A fault maps the page again. */
#define map(p) \
	d_step { \
		!inside[v] && !lock && maps > 0 && !blocked[p] && !spte[p] -> \
		maps--; \
		spte[p] = true \
	}
/* The CPU fills its TLB. */
#define walk(p) d_step { inside[v] && spte[p] && !tlb[2 * v + p] -> tlb[2 * v + p] = true }

proctype vcpu(byte v)
{
	do
	:: map(0)
	:: map(1)
	:: /* The guest has changed an entry. It flushes its own CPU now, others later. */
		atomic { !inside[v] && !lock && changes > 0 -> changes--; lock = true };
		spte_drop(0);
		d_step { tlb[2 * v] = false; lock = false }
	:: d_step {
		/* vigil_test_request(), then the flush */
		!inside[v] && asked[v] ->
		asked[v] = false;
		tlb[2 * v] = false;
		tlb[2 * v + 1] = false
	}
	:: d_step { !inside[v] && !asked[v] && finished < 2 -> inside[v] = true }
	:: walk(0)
	:: walk(1)
	:: inside[v] -> inside[v] = false
	:: !inside[v] && finished == 2 -> break
	od
}

init {
	atomic {
		spte[0] = true;
		spte[1] = true;
		run notifier(0);
		run notifier(1);
		run vcpu(0);
		run vcpu(1)
	}
}
