/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The CPU that has a VMCS: activate(), vmx_vcpu_load(), vmx_run() (vmx/run.c),
 * vmx_deactivate(), vmx_deactivate_here(), deactivate_ipi() (vmx/vmcs.c),
 * vmx_hw_enable(), vmx_hw_disable() (vmx/hw.c), host_vcpu_load(), host_vcpu_put()
 * (vmm/host.h), cpu_online_cb(), cpu_offline_cb() and host_load_off() (vmm/host.c).
 *
 * Two vCPUs, each with a VMCS, are loaded on two CPUs in turn. CPU 1 goes offline and
 * comes back; a vCPU may still be loaded there for a moment after the callback.
 *
 * Shown, of what the manual leaves undefined or fails: a VMCS is active on one CPU at
 * a time; VMREAD, VMWRITE and entries use the VMCS of the vCPU that is loaded; VMLAUNCH
 * needs a cleared VMCS and VMRESUME a launched one; VMXOFF and an offline CPU leave no
 * VMCS active; no instruction of the extension outside VMX operation. And nobody waits
 * for ever for a CPU that cannot be called.
 */

#define CPUS 2
#define VCPUS 2
#define LOADS 3
#define NONE 2 /* no CPU, no VMCS */

/* The CPUs' state in the hardware. */
bool vmx_on[CPUS] = true;
byte current[CPUS] = NONE; /* VMCS */
byte owner[VCPUS] = NONE; /* CPU on which the VMCS is active */
bool is_launched[VCPUS]; /* in the VMCS */

/* The CPUs as the kernel sees them. */
bool online[CPUS] = true; /* can be called */
bool busy[CPUS]; /* preemption is off: one thread */
bool irqs_off[CPUS];
bool in_ipi[CPUS]; /* it has interrupted the thread */
byte call[CPUS] = NONE; /* VMCS that an IPI asks to deactivate */
bool answered[CPUS];

#define local_irq_disable(c) atomic { !in_ipi[c] -> irqs_off[c] = true }

/* vigil's own state. */
bool leaving[CPUS]; /* host_cpu_leaving */
byte current_vmcs[CPUS] = NONE;
byte vmcs_cpu[VCPUS] = NONE;
bool launched[VCPUS];
byte finished;

#define vmclear(vmcs, c) \
	assert(vmx_on[c] && (owner[vmcs] == c || owner[vmcs] == NONE)); \
	owner[vmcs] = NONE; \
	is_launched[vmcs] = false; \
	if \
	:: current[c] == vmcs -> current[c] = NONE \
	:: else \
	fi

inline deactivate_here(vmcs, c)
{
#ifdef MUT_RELEASE_FIRST
	vmcs_cpu[vmcs] = NONE;
#endif
	d_step {
#ifndef MUT_NO_VMCLEAR
		vmclear(vmcs, c);
#endif
#ifndef MUT_CURRENT_STAYS
		if
		:: current_vmcs[c] == vmcs -> current_vmcs[c] = NONE
		:: else
		fi;
#endif
#ifndef MUT_LAUNCHED_STAYS
		launched[vmcs] = false
#endif
	}
	/* smp_store_release() */
	vmcs_cpu[vmcs] = NONE
}

/*
 * deactivate_ipi() runs between any two steps of that CPU's thread, if it has
 * interrupts on.
 */
proctype cpu(byte c)
{
end:
	do
	:: atomic { call[c] != NONE && online[c] && !irqs_off[c] -> in_ipi[c] = true };
		if
		:: vmcs_cpu[call[c]] == c -> deactivate_here(call[c], c)
		:: else
		fi;
		d_step { call[c] = NONE; answered[c] = true; in_ipi[c] = false }
	od
}

/*
 * vmx_deactivate(): smp_call_function_single() fails for a CPU that is offline.
 */
inline deactivate()
{
	do
	:: vmcs_cpu[v] == NONE -> break
	:: else ->
		target = vmcs_cpu[v];
		if
		:: target != NONE ->
			if
			:: atomic { online[target] && call[target] == NONE ->
				call[target] = v;
				answered[target] = false };
				/*
				 * A CPU answers pending calls before it goes
				 * offline.
				 */
#ifndef MUT_NO_WAIT
				answered[target]
#else
				break
#endif
			:: !online[target]
			fi
		:: target == NONE
		fi;
		target = NONE
	od
}

inline hw_disable(c)
{
#ifndef MUT_NO_LIST
	if
	:: vmcs_cpu[0] == c -> deactivate_here(0, c)
	:: else
	fi;
	if
	:: vmcs_cpu[1] == c -> deactivate_here(1, c)
	:: else
	fi;
#endif
	d_step {
		assert(vmx_on[c]);
		assert(owner[0] != c && owner[1] != c);
		vmx_on[c] = false;
		current[c] = NONE
	}
}

inline hw_enable(c)
{
	d_step {
		assert(!vmx_on[c]);
		vmx_on[c] = true;
		current_vmcs[c] = NONE
	}
}

/* host_vcpu_load(), then vmx_vcpu_load(). Preemption is off. */
inline vcpu_load()
{
	if
	:: vmx_on[c]
	:: else ->
#ifndef MUT_LOAD_WITHOUT_ENABLE
		/* host_load_off() */
		assert(leaving[c]);
		local_irq_disable(c);
		hw_enable(c);
		irqs_off[c] = false
#else
		skip
#endif
	fi;
	if
	:: vmcs_cpu[v] != c ->
		/* activate() */
#ifndef MUT_NO_DEACTIVATE
		deactivate();
#endif
		local_irq_disable(c);
		d_step { vmclear(v, c) };
		vmcs_cpu[v] = c;
		irqs_off[c] = false
	:: else
	fi;
	if
	:: current_vmcs[c] != v ->
		/* VMPTRLD */
		d_step {
			assert(vmx_on[c] && (owner[v] == c || owner[v] == NONE));
			current[c] = v;
			owner[v] = c
		}
		current_vmcs[c] = v
	:: else
	fi
}

/* host_vcpu_put() */
inline vcpu_put()
{
	if
	:: leaving[c] ->
		local_irq_disable(c);
#ifndef MUT_PUT_LEAVES_ON
		hw_disable(c);
#endif
		irqs_off[c] = false
	:: else
	fi
}

inline enter_guest()
{
	local_irq_disable(c);
	d_step {
		assert(vmx_on[c] && current[c] == v && owner[v] == c);
		assert(launched[v] == is_launched[v]);
		is_launched[v] = true;
		launched[v] = true
	}
	irqs_off[c] = false
}

proctype vcpu(byte v)
{
	byte c, n, target = NONE;

	do
	:: n < LOADS ->
		n++;
		if
		:: atomic { !busy[0] -> busy[0] = true; c = 0 }
		:: atomic { !busy[1] && online[1] -> busy[1] = true; c = 1 }
		fi;
		vcpu_load();
		/* VMREAD, VMWRITE */
		assert(current[c] == v && vmx_on[c]);
		if
		:: enter_guest()
		:: true
		fi;
		vcpu_put();
		busy[c] = false
	:: n == LOADS -> break
	od;
	finished++
}

proctype hotplug()
{
	/* The thread that is pinned to the CPU runs cpu_offline_cb(). */
	atomic { !busy[1] -> busy[1] = true };
	local_irq_disable(1);
	leaving[1] = true;
	hw_disable(1);
	irqs_off[1] = false;
	busy[1] = false;
	/* The last tasks run there. The CPU answers IPIs before it is gone. */
	atomic { !busy[1] && call[1] == NONE -> online[1] = false };
	assert(!vmx_on[1] && owner[0] != 1 && owner[1] != 1);
	/* cpu_online_cb() */
	atomic { !busy[1] -> busy[1] = true };
	online[1] = true;
	local_irq_disable(1);
	leaving[1] = false;
	hw_enable(1);
	irqs_off[1] = false;
	busy[1] = false
}

init {
	atomic {
		run cpu(0);
		run cpu(1);
		run hotplug();
		run vcpu(0);
		run vcpu(1)
	}
}
