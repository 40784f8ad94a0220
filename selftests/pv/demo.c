// SPDX-License-Identifier: GPL-2.0
/* `vigil demo --pv': what it shows on this host, and how it refuses. */
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include "sh.h"

#define ACTS 6
#define CHECKS 38 /* in all of them */

static char out[1 << 16];

/* Runs a command, all of whose output goes to @out. */
static void run(const char *cmd, int want)
{
	char line[256];
	int status;

	setenv("VIGIL_DEVICE", opts.dev, 1);
	snprintf(line, sizeof(line), "{ %s; } 2>&1", cmd);
	status = sh_run(line, out, sizeof(out));
	if (status != want)
		FAIL("%s: exit status %d, not %d: %s", cmd, status, want, out);
}

static void says(const char *text)
{
	if (!strstr(out, text))
		FAIL("no `%s' in: %s", text, out);
}

static unsigned int count(const char *text)
{
	unsigned int n = 0;
	const char *p;

	for (p = out; (p = strstr(p, text)); p++)
		n++;
	return n;
}

static void seen(long unused)
{
	static const char last[] = "vigil pv demo: all six seen\n";
	size_t len;

	if (test_on_kvm()) {
		run("vigil demo --pv", 69);
		says("this is not vigil");
		return;
	}
	run("vigil demo --pv", 0);
	len = strlen(out);
	CHECK(len > strlen(last) && !strcmp(out + len - strlen(last), last));
	CHECK_EQ(count(": DIFFERENT\n"), 0);
	/* Each check, and the sum of each act. */
	CHECK_EQ(count(": PASS\n"), CHECKS + ACTS);
	says("level 3 prints: Hello from user mode, without an IDT.\n");
	says("trap 0x81 to 0039:");
}

static void json(long unused)
{
	run("vigil demo --pv --json 2>/dev/null", test_on_kvm() ? 69 : 0);
	if (test_on_kvm())
		return;
	CHECK_EQ(count("\n"), 1);
	CHECK_EQ(count("\"title\":"), ACTS);
	CHECK_EQ(count("\"ok\":false"), 0);
	CHECK_EQ(count("\"ok\":true"), CHECKS + ACTS + 1);
}

static void refused(long unused)
{
	run("vigil demo --pv --kernel /boot/vmlinuz", 64);
	says("--kernel is not for --pv");
	run("vigil demo -m 128 --pv", 64);
	says("--mem is not for --pv");
	run("vigil demo --pv --timeout 0", 64);
	run("vigil demo --pv act", 64);
	says("one argument too many");
	run("vigil demo --pv --device /dev/nowhere", 69);
	says("cannot open /dev/nowhere");
	run("vigil demo --pv --device /dev/null", 69);
	says("not a hypervisor");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = { { "all six acts", seen },
						  { "--json", json },
						  { "what it refuses",
						    refused },
						  {} };

	return test_main(argc, argv, cases);
}
