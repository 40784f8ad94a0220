/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU's root that is zapped: load_root(), shadow_load() (shadow/root.c), root_gone(),
 * page_zap(), page_put_root() and page_free_list() (shadow/page.c), run_loop() and
 * enter_guest() (vmm/run.c).
 *
 * Two zappers (the shrinker, a slot that goes, another vCPU's fault) take a root each
 * time. The vCPU loads another one.
 *
 * Shown: the guest never runs on a root that was freed; and run_loop() comes to the
 * guest again: root_ok with REQ_LOAD_ROOT left over would have it go round for ever,
 * which spin finds as a cycle without progress.
 *
 * That a request is seen at the entry is shown by entry.pml.
 */

#define ZAPPERS 2

bool lock;
bool root_ok;
bool request; /* REQ_LOAD_ROOT */
byte root; /* number of the vCPU's root, 0: none yet */
byte next = 1; /* root that page_get() finds or makes */
bool zapped[4], freed[4]; /* by the root's number */
byte loaded; /* what the CPU walks */
bool inside;
byte finished;

#define spin_lock() atomic { !lock -> lock = true }
#define spin_unlock() lock = false

inline load_root()
{
#ifdef MUT_CLEAR_BEFORE_LOCK
	request = false;
#endif
	spin_lock();
#ifndef MUT_CLEAR_BEFORE_LOCK
#ifndef MUT_CLEAR_AFTER_LOCK
	request = false;
#endif
#endif
	d_step {
		/* page_put_root(): a zapped root lives until now. */
		if
		:: root != 0 && zapped[root] -> freed[root] = true
		:: else
		fi;
		root = next
	}
	root_ok = true;
	spin_unlock();
#ifdef MUT_CLEAR_AFTER_LOCK
	request = false;
#endif
	/* set_root() */
	loaded = root
}

proctype vcpu()
{
	do
	:: /* shadow_load() */
		if
		:: !root_ok -> load_root()
		:: root_ok
		fi;
		if
		:: request
		:: else ->
			d_step {
				/*
				 * enter_guest() looks for requests once more.
				 */
				if
				:: !request -> inside = true
				:: else
				fi
			}
			if
			:: inside ->
progress:
				assert(!freed[loaded]);
				if
				:: inside = false
				:: finished == ZAPPERS && !request -> break
				fi
			:: else
			fi
		fi
	od;
	assert(!freed[loaded] && !zapped[loaded])
}

proctype zapper()
{
	byte old;

	spin_lock();
	if
	:: root != 0 && !zapped[root] ->
		d_step {
			/*
			 * page_zap() takes the root out of the hash, so that
			 * page_get() makes another.
			 */
			old = root;
			zapped[old] = true;
			if
			:: next == old -> next = old + 1
			:: else
			fi
		}
		/* root_gone() */
		root_ok = false;
#ifndef MUT_NO_REQUEST
		request = true;
#endif
		/* The kick and the flush make the vCPU leave the guest. */
		!inside || !request
	:: else
	fi;
	spin_unlock();
	finished++
}

init {
	atomic {
		run vcpu();
		run zapper();
		run zapper()
	}
}
