/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host under test: the state of its CPUs, its modules, its log, and guests
 * that keep running. Helpers end the case when something fails that the case
 * did not ask for.
 */
#ifndef SELFTESTS_LIFECYCLE_HOST_H
#define SELFTESTS_LIFECYCLE_HOST_H

#include <pthread.h>

#include "guest.h"

#define MAX_CPUS 64

/* The CPU vendor's virtualization extension. */
struct extension {
	const char *bit; /* that says it is on, "EFER.SVME" */
	const char *reg; /* where /proc/hoststate shows the bit */
	uint64_t mask;
	const char *kvm; /* the module of stock KVM, "kvm-amd" */
	const char *kvm_sys; /* the same as the kernel names it */
};

const struct extension *host_extension(void);

/* Loads /hoststate.ko, unless it is loaded. */
void load_hoststate(void);
/* Returns the contents of /proc/hoststate; to be freed. */
char *host_state(void);
/* Fails and names the value, if a value of a CPU differs. */
void host_same(const char *before, const char *after);
/* Returns a value of @state; ends the case if it is missing. */
uint64_t host_value(const char *state, int cpu, const char *name);
/* Is the CPU in @state? Then it was online. */
bool host_has_cpu(const char *state, int cpu);
/* Fails unless the extension's bit is @on on each online CPU. */
void host_extension_is(bool on);
/* Writes a command to /proc/hoststate. */
void host_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * Does to virtualization on each CPU what a panic does, and nothing else of a
 * panic.
 */
void host_emergency(void);
#define TSC_LOST (1ull << 44)
/* In the next suspend, vigil sees the TSC go back by so much. */
void host_lose_tsc(void);
/* Returns 0, or the errno of the write to the CPU's "online". */
int host_set_online(int cpu, bool on);

/* Modules go by the names in /vigil-modules: "vigil", "kvm", ... */
bool mod_loaded(const char *name);
bool mod_exists(const char *name); /* in this host's image */
void mod_load(const char *name);
/*
 * Like mod_load(), but returns 0 or errno. @params: NULL, or other parameters
 * than those in the list.
 */
int mod_try_load(const char *name, const char *params);
/* Returns 0 or errno. */
int mod_unload(const char *name);
/*
 * Unloads a module that nothing should hold. khugepaged or ksmd may have the
 * memory of a dead process for a moment, and with it the mapped module memory;
 * so this tries for 10 s.
 */
int mod_unload_idle(const char *name);

/* Opens the kernel's log; it is read from here on. */
int log_open(void);
bool log_has(int fd, const char *text);

/*
 * A guest that changes all state that it can, and counts, until it is stopped.
 */
struct spinner {
	struct vm *vm;
	struct vcpu *v;
	pthread_t thread;
	volatile bool stop, failed;
	volatile int tid;
};

struct spinner *spin_start(int cpu); /* on that CPU at first; -1: anywhere */
uint64_t spin_count(const struct spinner *s);
uint64_t spin_tsc(const struct spinner *s); /* that the guest has read last */
/* Fails if the guest does not count within ten seconds. */
void spin_moves(struct spinner *s);
void spin_stop(struct spinner *s);

#endif
