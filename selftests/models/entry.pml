/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A request against a guest entry: vigil_request(), vigil_test_request(),
 * vigil_kick(), vigil_request_all() and vcpu_requests() (vmm/vcpu.h, vmm/vcpu.c),
 * enter_guest() (vmm/run.c).
 *
 * A vCPU moves between two CPUs. "waiter" makes a request by
 * vigil_request_all(wait), "kicker" one by vigil_request() and vigil_kick(). What a
 * requester has written before its request is data[]; a vCPU that serves the request
 * has seen that. Several vCPUs are asked one by one and share nothing, so one is
 * enough.
 *
 * Shown: when vigil_request_all(wait) has returned, the guest never runs without
 * having seen the request; no kick is lost, which would leave a guest that never
 * exits by itself with the request pending (spin calls that an invalid end state).
 *
 * A store stays in a buffer of its CPU, in order, until "drain" brings it to memory, as
 * on x86. set_bit() and clear_bit() are taken as the kernel promises them, without any
 * order of their own; an instruction with LOCK waits for the buffer.
 */

#define CPUS 2
#define ROUNDS 1

#define OUTSIDE 0
#define IN_GUEST 1
#define EXITING 2

/* who stores */
#define VCPU 0
#define WAITER 1
#define KICKER 2

/* what a buffered store changes */
#define ST_SET 0 /* set_bit() in vcpu->requests */
#define ST_CLEAR 1
#define ST_MODE 2
#define ST_CPU 3
#define ST_DATA 4

chan buffer[3] = [3] of { byte, byte };

/* memory */
bool request;
byte mode = OUTSIDE;
byte vcpu_cpu = CPUS; /* loaded nowhere yet */
byte data[3];

/* CPUs: preemption is off, interrupts are off, an IPI is pending */
bool busy[CPUS], irqs_off[CPUS], ipi[CPUS];

/* what is to be shown */
bool in_guest;
byte seen[3]; /* by the vCPU */
byte returned; /* requests of "waiter" that have returned */
byte finished; /* requesters */

#define store(who, what, value) buffer[who]!what, value
#define smp_mb(who) empty(buffer[who])
#define get_cpu(c) atomic { !busy[c] -> busy[c] = true }
/* The vCPU runs on whichever CPU is free. */
#define get_any_cpu(c) \
	if \
	:: atomic { !busy[0] -> busy[0] = true; c = 0 } \
	:: atomic { !busy[1] -> busy[1] = true; c = 1 } \
	fi
#define put_cpu(c) busy[c] = false

proctype drain(byte who)
{
	byte what, value;

end:
	do
	:: d_step {
		buffer[who]?what, value ->
		if
		:: what == ST_SET -> request = true
		:: what == ST_CLEAR -> request = false
		:: what == ST_MODE -> mode = value
		:: what == ST_CPU -> vcpu_cpu = value
		:: what == ST_DATA -> data[who] = value
		fi;
		what = 0;
		value = 0
	}
	od
}

/* A CPU takes an interrupt when it may. */
proctype cpu(byte c)
{
end:
	do
	:: d_step { ipi[c] && !irqs_off[c] -> ipi[c] = false }
	od
}

inline vcpu_requests()
{
	if
	:: request ->
#ifdef MUT_CLEAR_AFTER_SERVING
		d_step {
			seen[WAITER] = data[WAITER];
			seen[KICKER] = data[KICKER]
		}
#endif
		store(VCPU, ST_CLEAR, 0);
#ifndef MUT_NO_BARRIER_AFTER_CLEAR
		smp_mb(VCPU);
#endif
#ifndef MUT_CLEAR_AFTER_SERVING
		d_step {
			seen[WAITER] = data[WAITER];
			seen[KICKER] = data[KICKER]
		}
#endif
	:: else
	fi
}

inline enter_guest()
{
	get_cpu(c);
#ifndef MUT_INTERRUPTS_ON
	irqs_off[c] = true;
#endif
#ifdef MUT_LOOK_BEFORE_MODE
	called_off = request;
	store(VCPU, ST_MODE, IN_GUEST);
	smp_mb(VCPU);
#else
	store(VCPU, ST_MODE, IN_GUEST);
#ifndef MUT_NO_BARRIER_AT_ENTRY
	smp_mb(VCPU);
#endif
	called_off = request;
#endif
	if
	:: called_off
	:: else ->
		irqs_off[c] = true;
		d_step {
			in_guest = true;
			assert(seen[WAITER] >= returned)
		}
		if
		:: ipi[c]
		:: exits > 0 -> exits--
		:: finished == 2 && seen[WAITER] == ROUNDS && seen[KICKER] == 1 ->
			over = true
		fi;
		in_guest = false
	fi;
	store(VCPU, ST_MODE, OUTSIDE);
	irqs_off[c] = false;
	put_cpu(c)
}

proctype vcpu()
{
	byte c, exits = 1;
	bool called_off, over;

	do
	:: over -> break
	:: !over ->
		/*
		 * This is vcpu_load(), on this CPU or another. A switch of
		 * tasks is a full barrier.
		 */
		get_any_cpu(c);
		smp_mb(VCPU);
		store(VCPU, ST_CPU, c);
		put_cpu(c);
		do
		:: vcpu_requests();
			enter_guest()
		:: break
		:: over -> break
		od
	od
}

proctype waiter()
{
	byte n, me, target;

	do
	:: n < ROUNDS ->
		n++;
		store(WAITER, ST_DATA, n);
		store(WAITER, ST_SET, 0);
#ifndef MUT_NO_BARRIER_AT_REQUEST
		smp_mb(WAITER);
#endif
		get_any_cpu(me);
		target = vcpu_cpu;
		if
		:: target != CPUS && target != me && mode != OUTSIDE ->
			/* smp_call_function_single() */
			ipi[target] = true;
#ifndef MUT_NO_WAIT
			!ipi[target]
#endif
		:: else
		fi;
		put_cpu(me);
		d_step {
			returned = n;
			assert(!in_guest || seen[WAITER] >= n)
		}
	:: n == ROUNDS -> break
	od;
	finished++
}

proctype kicker()
{
	byte me, target;

	store(KICKER, ST_DATA, 1);
	store(KICKER, ST_SET, 0);
	/*
	 * wake_up() takes the lock of the wait queue, by an instruction with
	 * LOCK.
	 */
#ifndef MUT_NO_BARRIER_AT_KICK
	smp_mb(KICKER);
#endif
	get_any_cpu(me);
	target = vcpu_cpu;
	if
	:: target != CPUS && target != me ->
		/* cmpxchg() */
		atomic {
			smp_mb(KICKER);
			if
			:: mode == IN_GUEST -> mode = EXITING
			:: else -> target = CPUS
			fi
		}
		if
		:: target != CPUS ->
#ifndef MUT_NO_KICK
			ipi[target] = true
#else
			skip
#endif
		:: else
		fi
	:: else
	fi;
	put_cpu(me);
	finished++
}

init {
	atomic {
		run drain(VCPU);
		run drain(WAITER);
		run drain(KICKER);
		run cpu(0);
		run cpu(1);
		run vcpu();
		run waiter();
		run kicker()
	}
}
