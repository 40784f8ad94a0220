// SPDX-License-Identifier: GPL-2.0
/* What `vigil run` asks before it starts a guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvm.h>

#include "run_check.h"
#include "tap.h"

#define MIB (1ull << 20)

static char proc[] = "/tmp/run-check-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		ERROR("cannot write %s", path);
}

/* A procfs of 1000 MiB and 24 MiB of swap; of those 500 MiB may be promised yet. */
static void make_proc(const char *overcommit)
{
	char path[128];

	if (!mkdtemp(proc))
		ERROR("no directory: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/sys", proc);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/sys/vm", proc);
	mkdir(path, 0755);
	put("meminfo", "MemTotal:        2097152 kB\n"
		       "MemFree:          524288 kB\n"
		       "MemAvailable:    1024000 kB\n"
		       "SwapTotal:         49152 kB\n"
		       "SwapFree:          24576 kB\n"
		       "CommitLimit:     1572864 kB\n"
		       "Committed_AS:    1060864 kB\n");
	put("sys/vm/overcommit_memory", overcommit);
}

static void drop_proc(void)
{
	static const char *const names[] = { "sys/vm/overcommit_memory",
					     "meminfo", "sys/vm", "sys", "." };
	char path[128];

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, names[i]);
		remove(path);
	}
	rmdir(proc);
}

static void test_memory(long arg)
{
	make_proc("0\n");
	CHECK_EQ(check_memory(2 * MIB, proc), 0);
	CHECK_EQ(check_memory(1024 * MIB, proc), 0);
	CHECK_EQ(check_memory(1025 * MIB, proc), -ENOMEM);
	CHECK(strstr(lv_error(), "1025 MiB are more than the 1024 MiB"));
	CHECK(strstr(lv_error(), "--overcommit"));
	CHECK_EQ(check_memory(512 * 1024 * MIB, proc), -ENOMEM);
	drop_proc();
}

static void test_overcommit_always(long arg)
{
	make_proc("1\n");
	CHECK_EQ(check_memory(512 * 1024 * MIB, proc), 0);
	drop_proc();
}

static void test_overcommit_never(long arg)
{
	make_proc("2\n");
	CHECK_EQ(check_memory(500 * MIB, proc), 0);
	CHECK_EQ(check_memory(501 * MIB, proc), -ENOMEM);
	CHECK(strstr(lv_error(), "may still promise"));
	/* Processes may have been promised more than the commit limit. */
	put("meminfo", "MemAvailable: 1024000 kB\nCommitLimit: 1000 kB\n"
		       "Committed_AS: 2000 kB\n");
	CHECK_EQ(check_memory(2 * MIB, proc), -ENOMEM);
	drop_proc();
}

static void test_memory_unknown(long arg)
{
	CHECK_EQ(check_memory(512 * 1024 * MIB, "/nonexistent"), 0);
	make_proc("0\n");
	put("meminfo", "MemTotal: 1 kB\n");
	CHECK_EQ(check_memory(512 * 1024 * MIB, proc), 0);
	drop_proc();
}

static void test_memory_here(long arg)
{
	CHECK_EQ(check_memory(1 * MIB, "/proc"), 0);
}

static struct vigil_vm_desc vm(uint32_t id, uint32_t pid, const char *name,
			       uint32_t flags)
{
	struct vigil_vm_desc v = { .id = id, .pid = pid, .flags = flags };

	strncpy(v.name, name, sizeof(v.name));
	return v;
}

static void test_name(long arg)
{
	struct vigil_vm_desc list[] = {
		vm(3, 1, "web", 0),
		vm(4, 1, "web2", 0),
		vm(5, 1, "", 0),
		vm(6, getpid(), "we", 0),
	};

	CHECK_EQ(check_name(list, 4, "web"), 0);
	CHECK_EQ(check_name(list, 4, "we"), 0);
	CHECK_EQ(check_name(list, 0, "we"), 0);
	list[3] = vm(6, getpid(), "web", 0);
	CHECK_EQ(check_name(list, 4, "web"), -EEXIST);
	CHECK(strstr(lv_error(), "VM 3 of process 1 is called web already"));
	/* The order in the list does not matter. */
	list[0] = vm(3, getpid(), "web", 0);
	list[3] = vm(6, 1, "web", 0);
	CHECK_EQ(check_name(list, 4, "web"), -EEXIST);
	CHECK(strstr(lv_error(), "VM 6 of process 1 "));
}

/* A monitor holds what a guest was before it started again: its name is free. */
static void test_name_of_the_dead(long arg)
{
	struct vigil_vm_desc list[] = {
		vm(3, 1, "web", VIGIL_DESC_DEAD),
		vm(4, getpid(), "web", 0),
	};

	CHECK_EQ(check_name(list, 2, "web"), 0);
}

static void test_long_name(long arg)
{
	struct vigil_vm_desc list[2];
	char name[VIGIL_NAME_ROOM];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	list[0] = vm(3, 1, name, 0);
	list[1] = vm(4, getpid(), name, 0);
	CHECK_EQ(check_name(list, 2, name), -EEXIST);
	list[0].name[VIGIL_NAME_ROOM - 2] = 'o';
	CHECK_EQ(check_name(list, 2, name), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "memory: more than is left", test_memory },
		{ "memory: a host that always overcommits",
		  test_overcommit_always },
		{ "memory: a host that never overcommits",
		  test_overcommit_never },
		{ "memory: a host that does not say", test_memory_unknown },
		{ "memory: this host", test_memory_here },
		{ "name: taken, free, alike", test_name },
		{ "name: of a dead VM", test_name_of_the_dead },
		{ "name: the longest", test_long_name },
		{}
	};

	return test_main(argc, argv, cases);
}
