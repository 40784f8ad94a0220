// SPDX-License-Identifier: GPL-2.0
/* Signals, the timer that sends one, and sleeping without losing a wakeup. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define KICK_SIGNAL SIGRTMIN

static const int end_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static struct kvm_run *kick_run;
static volatile sig_atomic_t kicked, ended_by;
static pthread_t vcpu_thread;
static timer_t timer;
static uint64_t armed_at = UINT64_MAX;

static void on_signal(int sig)
{
	if (sig != KICK_SIGNAL && !ended_by)
		ended_by = sig;
	kicked = 1;
	if (kick_run)
		__atomic_store_n(&kick_run->immediate_exit, 1,
				 __ATOMIC_SEQ_CST);
}

void kick_sigset(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, KICK_SIGNAL);
	for (unsigned int i = 0;
	     i < sizeof(end_signals) / sizeof(end_signals[0]); i++)
		sigaddset(set, end_signals[i]);
}

int kick_init(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct sigevent ev = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = KICK_SIGNAL,
	};

	sigset_t set;

	vcpu_thread = pthread_self();
	kick_sigset(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ev.sigev_notify_thread_id = syscall(SYS_gettid);
	sigaction(KICK_SIGNAL, &sa, NULL);
	for (unsigned int i = 0;
	     i < sizeof(end_signals) / sizeof(end_signals[0]); i++) {
		struct sigaction old;

		/*
		 * Under nohup or in the background some of these signals are
		 * ignored: they stay ignored.
		 */
		sigaction(end_signals[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaction(end_signals[i], &sa, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	if (timer_create(CLOCK_MONOTONIC, &ev, &timer))
		return lv_fail(errno, "cannot create a timer: %s",
			       strerror(errno));
	return 0;
}

void kick_fini(void)
{
	timer_delete(timer);
}

void kick_attach(struct kvm_run *run)
{
	kick_run = run;
}

bool kick_taken(void)
{
	bool taken;

	/*
	 * This order matters: after a signal in between, both are set, and the
	 * loop comes back.
	 */
	if (kick_run)
		__atomic_store_n(&kick_run->immediate_exit, 0,
				 __ATOMIC_SEQ_CST);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	taken = kicked;
	kicked = 0;
	if (taken)
		armed_at = UINT64_MAX - 1;
	return taken;
}

void kick_wait(void)
{
	sigset_t block, old;

	kick_sigset(&block);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	while (!kicked)
		sigsuspend(&old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void kick_at(uint64_t ns)
{
	struct itimerspec its = { 0 };

	if (ns == armed_at)
		return;
	armed_at = ns;
	if (ns != UINT64_MAX) {
		/* A time of zero would disarm the timer. */
		if (!ns)
			ns = 1;
		its.it_value.tv_sec = ns / NSEC_PER_SEC;
		its.it_value.tv_nsec = ns % NSEC_PER_SEC;
	}
	timer_settime(timer, TIMER_ABSTIME, &its, NULL);
}

void kick_now(void)
{
	pthread_kill(vcpu_thread, KICK_SIGNAL);
}

int kick_signal(void)
{
	return ended_by;
}

uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}
