/* SPDX-License-Identifier: GPL-2.0 */
/* The host under test: its CPUs' state, its modules, its log, guests that keep
 * running. Helpers end the case when something fails that the case did not ask
 * for. */
#ifndef SELFTESTS_LIFECYCLE_HOST_H
#define SELFTESTS_LIFECYCLE_HOST_H

#include <pthread.h>

#include "guest.h"

#define MAX_CPUS 64

/* The CPU vendor's extension. */
struct extension {
	const char *bit; /* that says it is on, "EFER.SVME" */
	const char *reg; /* where /proc/hoststate shows the bit */
	uint64_t mask;
	const char *kvm; /* the module of stock KVM, "kvm-amd" */
	const char *kvm_sys; /* the same as the kernel names it */
};

const struct extension *host_extension(void);

/* /hoststate.ko; nothing to do when it is there */
void load_hoststate(void);
/* /proc/hoststate as it is now; free() it */
char *host_state(void);
/* fails, and says which, when a value of a CPU differs */
void host_same(const char *before, const char *after);
/* one value of @state; ends the case when it is not there */
uint64_t host_value(const char *state, int cpu, const char *name);
/* is the CPU in @state, so online? */
bool host_has_cpu(const char *state, int cpu);
/* fails unless the extension's bit is @on on every online CPU */
void host_extension_is(bool on);
/* to /proc/hoststate */
void host_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* what a panic does to virtualization on every CPU, and nothing else of it */
void host_emergency(void);
/* 0, or the errno of the write to the CPU's "online" */
int host_set_online(int cpu, bool on);

/* by the names that are in /vigil-modules: "vigil", "kvm", ... */
bool mod_loaded(const char *name);
bool mod_exists(const char *name); /* in this host's image */
void mod_load(const char *name);
/* the same; 0, or errno. @params: NULL, or others than those in the list */
int mod_try_load(const char *name, const char *params);
/* 0, or errno */
int mod_unload(const char *name);
/*
 * The same of one that nothing should hold: khugepaged or ksmd may have a dead
 * process's memory for a moment, and with it what was mapped there. 10 s.
 */
int mod_unload_idle(const char *name);

/* the kernel's log from here on */
int log_open(void);
bool log_has(int fd, const char *text);

/* a guest that changes what it can, and counts, until it is stopped */
struct spinner {
	struct vm *vm;
	struct vcpu *v;
	pthread_t thread;
	volatile bool stop, failed;
	volatile int tid;
};

struct spinner *spin_start(int cpu); /* on that CPU at first; -1: anywhere */
uint64_t spin_count(const struct spinner *s);
/* fails when the guest does not count on within ten seconds */
void spin_moves(struct spinner *s);
void spin_stop(struct spinner *s);

#endif
