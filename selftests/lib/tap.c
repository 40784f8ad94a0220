// SPDX-License-Identifier: GPL-2.0
/* Runs the cases of a test program and prints their results (TAP 13). */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define DEFAULT_TIMEOUT_S 60
/* A case prints only its first failures. */
#define MAX_FAIL_LINES 12
/* On Bochs and on the debug kernel one of this many rounds is made. */
#define SLOW_SHARE 10

enum { /* exit status of a case's process */
       CASE_PASS = 0,
       CASE_FAIL = 1,
       CASE_ERROR = 2,
       CASE_SKIP = 3,
};

struct test_opts opts = { .dev = "/dev/vigil" };

static unsigned int failures; /* of the running case */
static int skip_pipe = -1; /* where the reason of a skip goes */

static void vnote(const char *prefix, const char *fmt, va_list ap)
{
	char buf[1024];
	char *p = buf, *nl;

	vsnprintf(buf, sizeof(buf), fmt, ap);
	while (p && *p) { /* no line may look like a result */
		nl = strchr(p, '\n');
		if (nl)
			*nl++ = 0;
		printf("# %s%s\n", prefix, p);
		p = nl;
	}
	fflush(stdout);
}

void test_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vnote("", fmt, ap);
	va_end(ap);
}

static void vfail(const char *file, int line, const char *fmt, va_list ap)
{
	char where[128];
	unsigned int n = __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);

	if (n > MAX_FAIL_LINES)
		return;
	snprintf(where, sizeof(where), "FAIL %s:%d: ", file, line);
	vnote(where, fmt, ap);
	if (n == MAX_FAIL_LINES)
		test_note(
			"FAIL (further failures of this case are counted only)");
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfail(file, line, fmt, ap);
	va_end(ap);
}

/* The line with the reason comes first, however many failures were before. */
void test_fail_finally(const char *why, const char *file, int line,
		       const char *fmt, ...)
{
	static bool said; /* by this case, whose process it is */
	va_list ap;

	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		test_note("never again: %s", why);
	va_start(ap, fmt);
	vfail(file, line, fmt, ap);
	va_end(ap);
}

void test_error(const char *file, int line, const char *fmt, ...)
{
	char where[128];
	va_list ap;

	snprintf(where, sizeof(where), "ERROR %s:%d: ", file, line);
	va_start(ap, fmt);
	vnote(where, fmt, ap);
	va_end(ap);
	_exit(CASE_ERROR);
}

void test_skip(const char *fmt, ...)
{
	char buf[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	/* A skip must not hide a failure. */
	if (failures)
		_exit(CASE_FAIL);
	if (write(skip_pipe, buf, strlen(buf)) < 0)
		_exit(CASE_ERROR);
	_exit(CASE_SKIP);
}

void test_abort(void)
{
	fflush(stdout);
	_exit(failures ? CASE_FAIL : CASE_ERROR);
}

unsigned int test_failures(void)
{
	return failures;
}

bool test_on_kvm(void)
{
	const char *slash = strrchr(opts.dev, '/');

	return !strcmp(slash ? slash + 1 : opts.dev, "kvm");
}

bool test_on_bochs(void)
{
	const char *cpu = getenv("TESTBED_CPU");

	return cpu && (strstr(cpu, "bochs") || !strcmp(cpu, "vmx"));
}

static bool on_debug_kernel(void)
{
	const char *kernel = getenv("TESTBED_KERNEL");

	return kernel && !strcmp(kernel, "debug");
}

/*
 * Returns how much longer than usual a case may take. With VIGIL_FULL its loops are
 * as much longer than usual on that host.
 */
static int slowness(void)
{
	const char *full = getenv("VIGIL_FULL");
	int n = on_debug_kernel() ? 4 : 1;

	if (full)
		n *= atol(full);
	if (full && (test_on_bochs() || on_debug_kernel()))
		n *= SLOW_SHARE;
	return n;
}

bool test_without_vm86(void)
{
	return test_on_bochs() && test_on_svm();
}

bool test_without_real_mode(void)
{
	char hidden[128] = "";
	FILE *f;

	if (test_on_kvm())
		return false;
	f = fopen("/sys/module/vigil/parameters/vmx_hide", "re");
	if (!f)
		return false;
	if (!fgets(hidden, sizeof(hidden), f))
		hidden[0] = '\0';
	fclose(f);
	return strstr(hidden, "unrestricted") || strstr(hidden, "all");
}

unsigned long test_env_number(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : otherwise;
}

unsigned long test_rounds(unsigned long n)
{
	const char *full = getenv("VIGIL_FULL");

	if (full)
		return n * atol(full);
	if (test_on_bochs() || on_debug_kernel())
		return (n + SLOW_SHARE - 1) / SLOW_SHARE;
	return n;
}

bool test_on_svm(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1 << 2);
}

bool test_on_tcg(void)
{
	unsigned int a, b, c, d;
	char who[13] = "";

	__cpuid(1, a, b, c, d);
	if (!(c >> 31))
		return false;
	__cpuid(0x40000000, a, b, c, d);
	memcpy(who, &b, 4);
	memcpy(who + 4, &c, 4);
	memcpy(who + 8, &d, 4);
	return !strcmp(who, "TCGTCGTCGTCG");
}

static void __attribute__((noreturn))
run_child(const struct test_case *tc, int reason_fd)
{
	skip_pipe = reason_fd;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0); /* so that its own children die with it */
	tc->fn(tc->arg);
	if (failures > MAX_FAIL_LINES)
		test_note("FAIL %u in all", failures);
	fflush(stdout);
	_exit(failures ? CASE_FAIL : CASE_PASS);
}

/* Wait for @pid at most @timeout_s seconds; false when it had to be killed. */
static bool wait_child(pid_t pid, int timeout_s, int *status)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout_s;
	for (;;) {
		struct timespec left;
		sigset_t chld;

		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left.tv_sec = end.tv_sec - now.tv_sec;
		left.tv_nsec = end.tv_nsec - now.tv_nsec;
		if (left.tv_nsec < 0) {
			left.tv_sec--;
			left.tv_nsec += 1000000000;
		}
		if (left.tv_sec < 0)
			break;
		sigemptyset(&chld);
		sigaddset(&chld, SIGCHLD);
		sigtimedwait(&chld, NULL, &left);
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return false;
}

struct totals {
	unsigned int n, passed, failed, skipped, errors;
};

static void run_case(const struct test_case *tc, struct totals *t)
{
	int timeout_s = (tc->timeout_s ? tc->timeout_s : DEFAULT_TIMEOUT_S) *
			slowness();
	char reason[256] = "";
	int fds[2], status = 0;
	bool in_time;
	ssize_t len;
	pid_t pid;

	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC)) {
		perror("pipe");
		exit(CASE_ERROR);
	}
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(CASE_ERROR);
	}
	if (!pid) {
		close(fds[0]);
		run_child(tc, fds[1]);
	}
	close(fds[1]);
	in_time = wait_child(pid, timeout_s, &status);
	/* Processes that the case has started must not outlive it. */
	kill(-pid, SIGKILL);

	t->n++;
	if (!in_time) {
		printf("not ok %u - %s # hung: no end after %d s\n", t->n,
		       tc->name, timeout_s);
		t->failed++;
	} else if (WIFSIGNALED(status)) {
		printf("not ok %u - %s # ERROR: killed by signal %d\n", t->n,
		       tc->name, WTERMSIG(status));
		t->failed++;
		t->errors++;
	} else if (WEXITSTATUS(status) == CASE_PASS) {
		printf("ok %u - %s\n", t->n, tc->name);
		t->passed++;
	} else if (WEXITSTATUS(status) == CASE_SKIP) {
		len = read(fds[0], reason, sizeof(reason) - 1);
		reason[len > 0 ? len : 0] = 0;
		printf("ok %u - %s # SKIP %s\n", t->n, tc->name, reason);
		t->skipped++;
	} else if (WEXITSTATUS(status) == CASE_FAIL) {
		printf("not ok %u - %s\n", t->n, tc->name);
		t->failed++;
	} else {
		printf("not ok %u - %s # ERROR: the test itself went wrong\n",
		       t->n, tc->name);
		t->failed++;
		t->errors++;
	}
	fflush(stdout);
	close(fds[0]);
}

static void usage(FILE *f, const char *prog)
{
	fprintf(f,
		"usage: %s [--dev PATH] [--list] [--verbose] [CASE...]\n"
		"Runs the cases whose names contain one of the words, or all.\n"
		"  --dev PATH  device that speaks the KVM API (default %s)\n",
		prog, opts.dev);
}

static bool wanted(const struct test_case *tc, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (strstr(tc->name, *words))
			return true;
	return false;
}

/**
 * test_main - run the cases that the command line asks for
 * @cases: ends with an entry without a name
 *
 * Return: exit status, 0 when nothing failed.
 */
int test_main(int argc, char **argv, const struct test_case *cases)
{
	static const struct option longopts[] = {
		{ "dev", required_argument, NULL, 'd' },
		{ "list", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const struct test_case *tc;
	struct totals t = { 0 };
	unsigned int planned = 0;
	bool list = false;
	sigset_t chld;
	int c;

	while ((c = getopt_long(argc, argv, "d:lvh", longopts, NULL)) != -1) {
		switch (c) {
		case 'd':
			opts.dev = optarg;
			break;
		case 'l':
			list = true;
			break;
		case 'v':
			opts.verbose = true;
			break;
		case 'h':
			usage(stdout, argv[0]);
			return 0;
		default:
			usage(stderr, argv[0]);
			return 2;
		}
	}
	for (tc = cases; tc->name; tc++) {
		if (!wanted(tc, argv + optind))
			continue;
		if (list)
			printf("%s\n", tc->name);
		planned++;
	}
	if (list)
		return 0;
	if (!planned) {
		fprintf(stderr, "%s: no case of that name\n", argv[0]);
		return 2;
	}
	/*
	 * SIGCHLD is blocked, so that sigtimedwait() gets it whenever it comes.
	 */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);

	printf("TAP version 13\n1..%u\n", planned);
	for (tc = cases; tc->name; tc++)
		if (wanted(tc, argv + optind))
			run_case(tc, &t);
	if (t.errors)
		printf("# %u of the failures are errors of the test itself\n",
		       t.errors);
	printf("%u passed, %u failed, %u skipped\n", t.passed, t.failed,
	       t.skipped);
	return t.failed ? 1 : 0;
}
