/* SPDX-License-Identifier: GPL-2.0 */
/* The parts of `vigil xtf': which tests a checkout has, and how one is run. */
#ifndef VIGIL_XTF_H
#define VIGIL_XTF_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * enum xtf_result - how a test ended
 * @XTF_SUCCESS: and so on: what it has said itself
 * @XTF_CRASH: it ended without saying so
 * @XTF_TIMEOUT: it did not end
 */
enum xtf_result {
	XTF_SUCCESS,
	XTF_SKIP,
	XTF_ERROR,
	XTF_FAILURE,
	XTF_CRASH,
	XTF_TIMEOUT,
	XTF_RESULTS,
};

/**
 * struct xtf_test - one image
 * @name: of the test
 * @env: the environment that the image is built for
 * @category: of the test
 * @image: its path
 * @result: how it has ended
 * @seconds: how long it took
 * @output: all that it has printed; what no terminal should see is a question mark
 * @len: bytes of that
 * @reason: the line of @output that says why; or what else there is to say
 */
struct xtf_test {
	char *name, *env, *category, *image;
	enum xtf_result result;
	double seconds;
	char *output;
	size_t len;
	char reason[160];
};

/**
 * struct xtf_list - the tests of a checkout that are to be run
 * @tests: in the order of their names
 * @n: how many
 * @pv: images that are left out, since they are for Xen's PV guests
 * @missing: images that a test names and nobody has built
 */
struct xtf_list {
	struct xtf_test *tests;
	size_t n, pv, missing;
};

/**
 * xtf_scan() - read the info.json of each test
 * @list: filled in
 * @dir: the checkout
 * @wanted: names: of a test (invlpg), of an image (hvm64-invlpg) or of its file
 *	(test-hvm64-invlpg); NULL: all
 * @n_wanted: how many
 *
 * Return: 0 or -errno with lv_error().
 */
int xtf_scan(struct xtf_list *list, const char *dir, const char *const *wanted,
	     size_t n_wanted);
void xtf_free(struct xtf_list *list);

/* Finds result and reason in a test's output. @status: of its `vigil run'. */
void xtf_judge(struct xtf_test *t, int status);

/**
 * struct xtf_signals - signals that ask this program to end, for the whole run
 * @fd: where they come
 * @old: the signal mask of the guests' programs
 */
struct xtf_signals {
	int fd;
	sigset_t old;
};

/* Takes these signals. Return: 0 or -errno with lv_error(). */
int xtf_signals(struct xtf_signals *s);

/**
 * xtf_run() - run one image in a VM of its own
 * @t: the image; takes result, time and output
 * @limit: seconds
 * @s: signals
 *
 * Return: 0; or the exit code of `vigil run' when it could not even begin, with
 * @t->output what it said; or 128 plus a signal that asks this program to end.
 */
int xtf_run(struct xtf_test *t, unsigned int limit,
	    const struct xtf_signals *s);

#endif
