/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test cases and their results in the Test Anything Protocol.
 *
 * Each case runs in a child process of its own: a crash, a hang or a leaked
 * descriptor of one case does not touch the next. A case ends in one of four
 * ways: passed, failed (the code under test is wrong), error (the test itself
 * is wrong or its environment broke) and skipped (with a reason). An error
 * counts as a failure in the closing line, but is named as what it is.
 */
#ifndef SELFTESTS_TAP_H
#define SELFTESTS_TAP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct test_case - one case of a test program
 * @name:	what is tested, as printed
 * @fn:		the case; gets @arg
 * @arg:	for tables that run one function over many modes
 * @timeout_s:	seconds until the case counts as hung; 0 for the default
 */
struct test_case {
	const char *name;
	void (*fn)(long arg);
	long arg;
	int timeout_s;
};

/* Options of the command line; see test_main(). */
struct test_opts {
	const char *dev; /* device under test */
	bool verbose;
};

extern struct test_opts opts;

int test_main(int argc, char **argv, const struct test_case *cases);

/* Make the running case fail, and go on. */
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Fails the case for a reason with which selftests/repeat must not try again:
 * prints @why in a comment "never again: WHY".
 */
void test_fail_finally(const char *why, const char *file, int line,
		       const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* End the running case. */
void __attribute__((noreturn, format(printf, 3, 4)))
test_error(const char *file, int line, const char *fmt, ...);
void __attribute__((noreturn, format(printf, 1, 2)))
test_skip(const char *fmt, ...);
void __attribute__((noreturn)) test_abort(void);
/* A comment line of the running case; DEBUGF only with --verbose. */
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
unsigned int test_failures(void);
bool test_on_kvm(void);
bool test_on_tcg(void);
bool test_on_svm(void); /* AMD's extension, and not Intel's */
bool test_on_bochs(void); /* as the testbed says */
bool test_without_vm86(void); /* SVM of Bochs, which dies of such guests */
bool test_without_real_mode(void); /* vigil hides "unrestricted guest" */
/*
 * Returns how many rounds a loop makes that would make @n on a host of the
 * usual speed: fewer on Bochs and on the debug kernel, which are slow. With
 * VIGIL_FULL=k in the environment, k times @n everywhere.
 */
unsigned long test_rounds(unsigned long n);
/* A number of the environment. */
unsigned long test_env_number(const char *name, unsigned long otherwise);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)
/*
 * Fails because guest memory, or a value that the guest or the VMM has read
 * from it, is wrong.
 */
#define FAIL_MEM(...) \
	test_fail_finally("wrong memory", __FILE__, __LINE__, __VA_ARGS__)
/* Fails because a guest or a vCPU makes no progress. */
#define FAIL_HANG(...) \
	test_fail_finally("a hang", __FILE__, __LINE__, __VA_ARGS__)
#define ERROR(...) test_error(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) test_skip(__VA_ARGS__)
#define DEBUGF(...)                             \
	do {                                    \
		if (opts.verbose)               \
			test_note(__VA_ARGS__); \
	} while (0)

/*
 * Skips a case that stock KVM is known to fail, when KVM is under test.
 * Otherwise KVM's results show what is right.
 */
#define SKIP_ON_KVM(...)                   \
	do {                               \
		if (test_on_kvm())         \
			SKIP(__VA_ARGS__); \
	} while (0)

/* Skips a case that QEMU's TCG, which emulates the host, cannot run. */
#define SKIP_ON_TCG(...)                   \
	do {                               \
		if (test_on_tcg())         \
			SKIP(__VA_ARGS__); \
	} while (0)

#define CHECK(cond)                        \
	do {                               \
		if (!(cond))               \
			FAIL("%s", #cond); \
	} while (0)

/* Checks a condition on guest memory, see FAIL_MEM. */
#define CHECK_MEM(cond)                        \
	do {                                   \
		if (!(cond))                   \
			FAIL_MEM("%s", #cond); \
	} while (0)

/*
 * The texts are separate parameters, so that they are those of the test and not
 * expanded.
 */
#define CHECK_EQ_OR(fail, got, got_text, want, want_text)                  \
	do {                                                               \
		unsigned long long __g = (unsigned long long)(got);        \
		unsigned long long __w = (unsigned long long)(want);       \
                                                                           \
		if (__g != __w)                                            \
			fail("%s is %#llx, not %#llx (%s)", got_text, __g, \
			     __w, want_text);                              \
	} while (0)

/* Fails when the two differ, and prints both in hexadecimal. */
#define CHECK_EQ(got, want) CHECK_EQ_OR(FAIL, got, #got, want, #want)
/*
 * Like CHECK_EQ, for contents of guest memory, or a value that a guest has read
 * from it.
 */
#define CHECK_MEM_EQ(got, want) CHECK_EQ_OR(FAIL_MEM, got, #got, want, #want)

/*
 * Like CHECK_EQ, but ends the case, because the next steps would make no sense.
 */
#define REQUIRE_EQ(got, want)                                               \
	do {                                                                \
		unsigned long long __g = (unsigned long long)(got);         \
		unsigned long long __w = (unsigned long long)(want);        \
                                                                            \
		if (__g != __w) {                                           \
			FAIL("%s is %#llx, not %#llx (%s)", #got, __g, __w, \
			     #want);                                        \
			test_abort();                                       \
		}                                                           \
	} while (0)

/* The call must fail with this errno. */
#define CHECK_ERRNO(call, err)                                               \
	do {                                                                 \
		long __r;                                                    \
                                                                             \
		errno = 0;                                                   \
		__r = (long)(call);                                          \
		if (__r != -1 || errno != (err))                             \
			FAIL("%s: returned %ld errno %d, not errno %d (%s)", \
			     #call, __r, errno, (err), #err);                \
	} while (0)

/* The call must not fail. */
#define CHECK_OK(call)                                                        \
	do {                                                                  \
		long __r;                                                     \
                                                                              \
		errno = 0;                                                    \
		__r = (long)(call);                                           \
		if (__r < 0)                                                  \
			FAIL("%s: returned %ld errno %d", #call, __r, errno); \
	} while (0)

#endif
