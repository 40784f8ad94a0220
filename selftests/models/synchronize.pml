/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The slots, or a filter of MSRs, are replaced: vm_synchronize(), vcpu_enter(),
 * vcpu_leave() (vmm/vm.c), vcpu_requests() (vmm/vcpu.c).
 *
 * Two vCPUs use what they have found, as long as they hold vm->srcu, which is all the
 * time while they run. It is replaced, and after vm_synchronize() freed.
 *
 * Shown: nobody uses what was freed; and vm_synchronize() does return, although vCPUs
 * hold vm->srcu while they run.
 *
 * The counters behind SRCU are Linux's own: here synchronize_srcu() waits until each
 * reader that it met has left once.
 */

#define VCPUS 2

bool replaced, freed;
bool asked[VCPUS]; /* REQ_SRCU */
byte syncs, users; /* vm->srcu_syncs, vm->srcu_users */
bool reading[VCPUS]; /* vm->srcu is held */
bool gone[VCPUS]; /* it was let go since synchronize_srcu() began */
byte looks = 3; /* a bound */

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
	has_old = false;
	d_step { reading[v] = false; gone[v] = true };
	users--
}

proctype vcpu(byte v)
{
	bool has_old;

	vcpu_enter();
	do
	:: asked[v] ->
		asked[v] = false;
		vcpu_leave();
		vcpu_enter()
	:: d_step { looks > 0 -> looks--; has_old = !replaced }
	:: has_old -> assert(!freed)
	:: freed && !asked[v] -> break
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

proctype replace()
{
	replaced = true;
#ifndef MUT_NO_SYNCHRONIZE
	vm_synchronize();
#endif
	freed = true
}

init {
	atomic {
		run vcpu(0);
		run vcpu(1);
		run replace()
	}
}
