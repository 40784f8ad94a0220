// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of the ioctls: random calls on every kind of file, valid, nearly valid
 * and garbage, from two processes of four threads each, which fork, share the
 * files, attach to each other's VMs and withhold memory from the kernel. Whatever
 * they do, they are killed now and then, and must then end; afterwards no VM is
 * left, and the module has the users that it had before.
 *
 * VIGIL_SEED=n in the environment chooses other calls, VIGIL_CALLS=n how many.
 * The calls are made in rounds, each with a seed of its own: VIGIL_ROUND=n begins
 * at that round, VIGIL_ROUNDS=n makes so many.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vigil.h>

#include "calls.h"
#include "guest.h"

#define PROCESSES 2
#define ROUND_CALLS 3200 /* of both processes */
/*
 * Only a kernel that does not let a process end takes so long: the slowest host
 * needs a second.
 */
#define END_S 300
/*
 * A round that stands still is ended: soon when memory is withheld for ever, for
 * then all threads wait for it in the end.
 */
#define STALL_MS 30000
#define STALL_WITHHELD_MS 1500

static struct calls_shared *shared;
static uint64_t seed;
static unsigned long worked, ran, stalls; /* in all rounds */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void pause_ms(unsigned int ms)
{
	poll(NULL, 0, ms);
}

static unsigned long wanted_calls(void)
{
	const char *full = getenv("VIGIL_FULL"), *k = getenv("TESTBED_KERNEL");
	unsigned long n = 10000;

	if (full)
		n = (test_on_bochs() ? 20000 : 1000000) * atol(full);
	else if (test_on_bochs())
		n = 3200;
	else if (k && !strcmp(k, "debug"))
		n = 3200;
	return test_env_number("VIGIL_CALLS", n);
}

/* ---- one of the processes that make the calls ---- */

struct task {
	pthread_t thread;
	struct calls_thread *tell;
	uint64_t stream;
	unsigned int calls;
};

static void *make_calls(void *arg)
{
	static __thread struct caller caller;
	struct task *t = arg;

	calls_caller(&caller, shared, t->tell, seed, t->stream);
	while (t->tell->made < t->calls)
		calls_make(&caller);
	return NULL;
}

static void __attribute__((noreturn))
process(unsigned int which, unsigned long round, bool serve)
{
	struct task task[CALLS_THREADS];
	uint64_t stream = (round * PROCESSES + which) * (CALLS_THREADS + 1);
	struct rng rng;
	unsigned int i;

	rng_seed(&rng, seed, stream);
	calls_prepare(&rng, serve);
	for (i = 0; i < CALLS_THREADS; i++) {
		task[i] = (struct task){
			.tell = &shared->thread[which * CALLS_THREADS + i],
			.stream = stream + 1 + i,
			.calls = ROUND_CALLS / PROCESSES / CALLS_THREADS,
		};
		if (pthread_create(&task[i].thread, NULL, make_calls, &task[i]))
			ERROR("no thread");
	}
	for (i = 0; i < CALLS_THREADS; i++)
		pthread_join(task[i].thread, NULL);
	_exit(0);
}

/* ---- who watches over them ---- */

static unsigned int made(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PROCESSES * CALLS_THREADS; i++)
		n += shared->thread[i].made;
	return n;
}

static void show_file(const char *dir, const char *name)
{
	char path[300], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		test_note("  %s: %s", name, line);
	if (f)
		fclose(f);
}

static void show_calls(void)
{
	unsigned int i;

	for (i = 0; i < PROCESSES * CALLS_THREADS; i++) {
		const struct calls_thread *t = &shared->thread[i];

		test_note(
			"process %u thread %u: call %u: %s cmd %#x fd %d arg %#llx",
			i / CALLS_THREADS, i % CALLS_THREADS, t->made,
			t->op ?: "none", t->cmd, t->fd,
			(unsigned long long)t->arg);
	}
}

static void __attribute__((noreturn)) immortal(pid_t pid, unsigned long round)
{
	char dir[64];

	FAIL_HANG("round %lu: a killed process did not end in %d s", round,
		  END_S);
	show_calls();
	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	show_file(dir, "status");
	show_file(dir, "stack");
	show_file(dir, "wchan");
	test_abort();
}

/* Kills a process and all that it has forked, and waits for their end. */
static void end(pid_t group, unsigned long round)
{
	uint64_t limit = now_ms() + END_S * 1000ull;
	pid_t pid;

	for (;;) {
		kill(-group, SIGKILL);
		pid = waitpid(-group, NULL, WNOHANG);
		if (pid < 0 && errno == ECHILD)
			return;
		if (now_ms() > limit)
			immortal(group, round);
		if (!pid)
			pause_ms(1);
	}
}

struct before {
	unsigned int vms;
	long users;
};

static unsigned int count_vms(void)
{
	struct vigil_vm_list l = { .entry_size = sizeof(struct vigil_vm_info) };
	int dev = dev_open();

	if (ioctl(dev, VIGIL_LIST_VMS, &l))
		ERROR("VIGIL_LIST_VMS: errno %d", errno);
	close(dev);
	return l.count;
}

static long module_users(void)
{
	FILE *f = fopen("/sys/module/vigil/refcnt", "r");
	long n;

	if (!f || fscanf(f, "%ld", &n) != 1)
		ERROR("the module's users: errno %d", errno);
	fclose(f);
	return n;
}

/*
 * With every process dead, only a kernel thread that is at work on the memory of
 * one may hold a VM or the module for a moment.
 */
static void nothing_left(const struct before *b, unsigned long round)
{
	uint64_t limit = now_ms() + END_S * 1000ull;

	while (count_vms() != b->vms || module_users() != b->users) {
		if (now_ms() > limit) {
			FAIL("round %lu: %u VMs and %ld users of the module, not %u and %ld",
			     round, count_vms(), module_users(), b->vms,
			     b->users);
			show_calls();
			test_abort();
		}
		pause_ms(1);
	}
}

static void check_end(int status, unsigned long round)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	FAIL("round %lu: a process ended with status %#x", round, status);
	show_calls();
}

/* Have the processes that live begun to make calls? */
static bool all_began(const pid_t *pid)
{
	unsigned int i, n, p;

	for (p = 0; p < PROCESSES; p++) {
		for (i = n = 0; i < CALLS_THREADS; i++)
			n += shared->thread[p * CALLS_THREADS + i].made;
		if (pid[p] && !n)
			return false;
	}
	return true;
}

/* Returns how many calls were made. */
static unsigned int one_round(unsigned long round, const struct before *b)
{
	unsigned int i, last = 0, left = PROCESSES, kill_at[PROCESSES];
	uint64_t moved = now_ms();
	pid_t pid[PROCESSES];
	struct rng rng;
	bool serve;
	int status;

	memset(shared, 0, sizeof(*shared));
	memset(shared->thread, 0,
	       PROCESSES * CALLS_THREADS * sizeof(shared->thread[0]));
	rng_seed(&rng, seed, ~round);
	serve = !rng_once_in(&rng, 8);
	for (i = 0; i < PROCESSES; i++) {
		kill_at[i] = rng_below(&rng, 2 * ROUND_CALLS);
		pid[i] = fork();
		if (pid[i] < 0)
			ERROR("fork: errno %d", errno);
		setpgid(pid[i], pid[i]);
		if (pid[i])
			continue;
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		process(i, round, serve);
	}
	while (left) {
		unsigned int n = made();
		unsigned int limit =
			!serve && all_began(pid) ? STALL_WITHHELD_MS : STALL_MS;

		if (n != last)
			moved = now_ms();
		last = n;
		for (i = 0; i < PROCESSES; i++) {
			if (!pid[i])
				continue;
			if (waitpid(pid[i], &status, WNOHANG) == pid[i])
				check_end(status, round);
			else if (now_ms() >= moved + limit)
				stalls++;
			else if (n < kill_at[i])
				continue;
			DEBUGF("process %u is to end after %u calls, at %llu ms",
			       i, n, (unsigned long long)now_ms());
			end(pid[i], round);
			pid[i] = 0;
			left--;
		}
		pause_ms(1);
	}
	nothing_left(b, round);
	for (i = 0; i < PROCESSES * CALLS_THREADS; i++) {
		worked += shared->thread[i].worked;
		ran += shared->thread[i].ran;
	}
	return made();
}

static void fuzz(long unused)
{
	unsigned long calls = wanted_calls(), done = 0;
	unsigned long round = test_env_number("VIGIL_ROUND", 0);
	unsigned long last =
		round + test_env_number("VIGIL_ROUNDS", UINT32_MAX);
	struct before b;

	if (test_on_kvm())
		SKIP("monitors and VMs that are listed are vigil's");
	seed = rng_wanted_seed();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shared = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ERROR("mmap: errno %d", errno);
	b.vms = count_vms();
	b.users = module_users();
	test_note("VIGIL_SEED=%llu VIGIL_CALLS=%lu", (unsigned long long)seed,
		  calls);
	if (last > round + 8 + calls / 100)
		last = round + 8 + calls / 100;
	for (; done < calls && round < last && !test_failures(); round++) {
		DEBUGF("round %lu, %lu calls so far, %llu ms", round, done,
		       (unsigned long long)now_ms());
		done += one_round(round, &b);
		if (shared->wrong) {
			FAIL("round %lu: ioctl %#x failed with errno %u", round,
			     shared->wrong_cmd, shared->wrong_errno);
			show_calls();
		}
	}
	test_note("%lu calls; %lu ioctls worked, %lu exits of guests", done,
		  worked, ran);
	test_note("%lu rounds, of which %lu stood still", round, stalls);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "random calls of processes that are killed", fuzz, 0, 7200 },
		{}
	};

	return test_main(argc, argv, cases);
}
