// SPDX-License-Identifier: GPL-2.0
/*
 * The auditors of a debug module find faults. With a fault injected (module
 * parameter shadow_inject), a program of paging/ must not pass, and the auditor
 * must be what stops it. Without a fault the program passes, in its own run.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define PARAMETER "/sys/module/vigil/parameters/shadow_inject"

static void inject(long what)
{
	FILE *f = fopen(PARAMETER, "w");

	if (!f || fprintf(f, "%ld\n", what) < 0 || fclose(f))
		ERROR("%s: %s", PARAMETER, strerror(errno));
}

/*
 * Runs a program beside this one. Its output shows whether the auditor stopped
 * it.
 */
static int run_program(const char *program, bool *by_auditor)
{
	char path[PATH_MAX], command[PATH_MAX + 64], line[1024];
	char failure[sizeof(line)] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	FILE *p;

	if (n < 0)
		ERROR("/proc/self/exe: %s", strerror(errno));
	path[n] = 0;
	snprintf(command, sizeof(command), "%s/%s --dev %s 2>&1", dirname(path),
		 program, opts.dev);
	p = popen(command, "r");
	if (!p)
		ERROR("%s: %s", command, strerror(errno));
	*by_auditor = false;
	while (fgets(line, sizeof(line), p)) {
		if (strstr(line, "VIGIL_AUDIT:") ||
		    strstr(line, "Input/output error"))
			*by_auditor = true;
		else if (strstr(line, "FAIL"))
			memcpy(failure, line, sizeof(line));
	}
	if (!*by_auditor && *failure)
		test_note("%s: %.*s", program, (int)strcspn(failure, "\n"),
			  failure);
	return pclose(p);
}

static void found_by(long what, const char *program, int tries)
{
	bool by_auditor;
	int status;

	if (access(PARAMETER, W_OK))
		SKIP("the module was built without auditors");
	inject(what);
	do
		status = run_program(program, &by_auditor);
	while (!status && --tries);
	inject(0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		ERROR("paging/%s ended with %#x", program, status);
	CHECK_EQ(WEXITSTATUS(status), 1);
	CHECK(by_auditor);
}

static void found(long what)
{
	found_by(what, "coherence", 1);
}

/* Two CPUs must flush at the same time, so a run may miss it. */
static void found_in_storm(long what)
{
	found_by(what, "storm", 5);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a flush that is missing", found, 1, 300 },
		{ "a table without write protection", found, 2, 300 },
		{ "a lost rmap entry", found, 3, 300 },
		{ "an SPTE that is stale", found, 4, 300 },
		{ "a flush taken for another's", found_in_storm, 5, 900 },
		{ "INVLPG of one piece of a large page", found, 6, 300 },
		{}
	};

	return test_main(argc, argv, cases);
}
