// SPDX-License-Identifier: GPL-2.0
/*
 * `vigil xtf' on checkouts made here, whose images are texts: vigil-fake's `vigil run'
 * prints them (fake_mon.c).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sh.h"
#include "tap.h"

static char fake[4096], dir[] = "/tmp/xtf-test-XXXXXX", out[1 << 16];

static void begin(void)
{
	strcpy(dir, "/tmp/xtf-test-XXXXXX");
	if (!mkdtemp(dir) || chdir(dir) || mkdir("tests", 0755))
		ERROR("no directory");
}

static void end(void)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (chdir("/") || system(cmd))
		ERROR("%s", cmd);
}

static void put(const char *name, const char *file, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "tests/%s", name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "tests/%s/%s", name, file);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		ERROR("cannot write %s", path);
}

/* A test for hvm64 alone, whose `vigil run' ends with the first line of @image. */
static void put_test(const char *name, const char *image)
{
	char info[256], file[64];

	snprintf(info, sizeof(info),
		 "{ \"name\": \"%s\", \"category\": \"xsa\", \"environments\": "
		 "[ \"hvm64\" ], \"variations\": [] }",
		 name);
	put(name, "info.json", info);
	snprintf(file, sizeof(file), "test-hvm64-%s", name);
	put(name, file, image);
}

static void run(const char *args, int want)
{
	char cmd[8192];
	int status;

	snprintf(cmd, sizeof(cmd), "%s xtf %s 2>&1", fake, args);
	status = sh_run(cmd, out, sizeof(out));
	if (status != want)
		FAIL("%s: status %d, not %d: %s", args, status, want, out);
}

static void says(const char *text)
{
	if (!strstr(out, text))
		FAIL("no `%s' in: %s", text, out);
}

static void results(long unused)
{
	begin();
	put_test("a", "0\nSuccess: well\nTest result: SUCCESS\n");
	put_test("b", "0\nSkip: no such CPU\nTest result: SKIP\n");
	put_test("c", "0\nError: one\nError: two\nTest result: ERROR\n");
	put_test("d", "0\nFail: wrong\nTest result: FAILURE\n");
	put_test("e", "80\nvigil: triple fault\n");
	/* A word that is longer, and a result that is taken back. */
	put_test("f", "0\nTest result: SUCCESSFUL\n");
	put_test("g", "84\nTest result: SUCCESS\n");
	run(".", 1);
	says("1..7\n");
	says("ok 1 - hvm64-a\n");
	says("ok 2 - hvm64-b # SKIP Skip: no such CPU\n");
	says("# Error: one\n# Error: two\n");
	says("not ok 3 - hvm64-c # error: Error: two\n");
	says("not ok 4 - hvm64-d # failure: Fail: wrong\n");
	says("not ok 5 - hvm64-e # crash: vigil: triple fault\n");
	says("not ok 6 - hvm64-f # crash: it ended without a result, status 0\n");
	says("not ok 7 - hvm64-g # crash: it ended without a result, status 84\n");
	says("# success 1, skip 1, error 1, failure 1, crash 3, timeout 0;");
	says("\n1 passed, 5 failed, 1 skipped\n");
	run("--json .", 1);
	says("{\"test\":\"b\",\"environment\":\"hvm64\",\"category\":\"xsa\","
	     "\"result\":\"skip\",\"reason\":\"Skip: no such CPU\"");
	says("{\"success\":1,\"skip\":1,\"error\":1,\"failure\":1,\"crash\":3,"
	     "\"timeout\":0,\"pv\":0,\"not_built\":0}\n");
	run("--test a --test hvm64-b .", 0);
	says("1..2\n");
	run("--list .", 0);
	says("hvm64-a\txsa\nhvm64-b\txsa\n");
	run("--list --json --test test-hvm64-d .", 0);
	says("{\"test\":\"d\",\"environment\":\"hvm64\",\"category\":\"xsa\"}\n");
	end();
}

static void hung(long unused)
{
	begin();
	put_test("a", "hang\n");
	put_test("b", "0\nTest result: SUCCESS\n");
	run("--time-limit 1 .", 1);
	says("not ok 1 - hvm64-a # timeout: no result after 1 s\n");
	says("ok 2 - hvm64-b\n");
	run("--time-limit 0 .", 64);
	run("--time-limit 1s .", 64);
	end();
}

/* The user ends it: the guest ends as well, and the sums are told. */
static void interrupted(long unused)
{
	int fds[2], status;
	pid_t pid;

	begin();
	put_test("a", "0\nTest result: SUCCESS\n");
	put_test("b", "hang\n");
	REQUIRE_EQ(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		close(fds[0]);
		execl(fake, "vigil", "xtf", "--time-limit", "1000", ".", NULL);
		_exit(127);
	}
	close(fds[1]);
	out[0] = 0;
	for (size_t n = 0; !strstr(out, "ok 1 - hvm64-a\n"); out[n] = 0)
		n += read(fds[0], out + n, 1);
	kill(pid, SIGINT);
	/* The pipe ends when nobody has it any more, the guest neither. */
	out[read(fds[0], out, sizeof(out) - 1)] = 0;
	while (read(fds[0], &status, 1) > 0)
		;
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 130);
	says("1 passed, 0 failed, 0 skipped\n");
	close(fds[0]);
	end();
}

/* What a guest prints goes to a terminal and into JSON. */
static void hostile_output(long unused)
{
	begin();
	put_test("a", "0\n\033[2J\200\377tab\there\nTest result: FAILURE\n");
	run(".", 1);
	says("# ?[2J??tab\there\n");
	run("--json .", 1);
	says("?[2J??tab\\there\\n");
	end();
}

static void checkouts(long unused)
{
	begin();
	run("/nowhere", 66);
	says("checkout of the Xen Test Framework");
	run(".", 66);
	says("run `make' there");
	run("", 64);
	run("one two", 64);
	run("--paging hap .", 64);
	put("a", "info.json", "{ \"name\": \"a\" }");
	run(".", 66);
	says("does not describe a test");
	put("a", "info.json", "no JSON");
	run(".", 66);
	put("a", "info.json",
	    "{ \"name\": \"../a\", \"category\": \"x\", \"environments\": [] }");
	run(".", 66);
	put("a", "info.json",
	    "{ \"name\": \"a\", \"category\": \"x\", \"environments\": "
	    "[ \"hvm64\", \"../hvm32\", \"pv64\", 7, null ] }");
	run(".", 66);
	put_test("b", "0\nTest result: SUCCESS\n");
	run(".", 0);
	says("left out: 1; not built: 2\n");
	/* Without a hypervisor no test has a result. */
	put_test("b", "69\nvigil: no device\n");
	run(".", 69);
	says("no VM could be made");
	says("vigil: no device");
	end();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "results", results },
		{ "a guest that hangs", hung },
		{ "Ctrl-C", interrupted },
		{ "hostile output", hostile_output },
		{ "bad checkouts", checkouts },
		{}
	};
	char *slash;

	/* vigil-fake lies beside this program. */
	if (!realpath(argv[0], fake))
		return 1;
	slash = strrchr(fake, '/');
	strcpy(slash, "/vigil-fake");
	return test_main(argc, argv, cases);
}
