// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of `vigil run` before it starts a guest: is there enough memory, and
 * is the name free?
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libvm.h>

#include "run_check.h"

#define OVERCOMMIT_ALWAYS 1
#define OVERCOMMIT_NEVER 2

/* What /proc/meminfo says, in KiB. */
struct meminfo {
	unsigned long long available, swap_free, commit_limit, committed;
};

static FILE *open_proc(const char *proc, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	return fopen(path, "re");
}

/* Return: was MemAvailable there? The rest is 0 where it is missing. */
static bool read_meminfo(const char *proc, struct meminfo *m)
{
	FILE *f = open_proc(proc, "meminfo");
	unsigned long long kib;
	bool found = false;
	char line[128];

	memset(m, 0, sizeof(*m));
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
			m->available = kib;
			found = true;
		} else if (sscanf(line, "SwapFree: %llu kB", &kib) == 1) {
			m->swap_free = kib;
		} else if (sscanf(line, "CommitLimit: %llu kB", &kib) == 1) {
			m->commit_limit = kib;
		} else if (sscanf(line, "Committed_AS: %llu kB", &kib) == 1) {
			m->committed = kib;
		}
	}
	fclose(f);
	return found;
}

static int overcommit(const char *proc)
{
	FILE *f = open_proc(proc, "sys/vm/overcommit_memory");
	int mode = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &mode) != 1)
		mode = 0;
	fclose(f);
	return mode;
}

int check_memory(uint64_t bytes, const char *proc)
{
	int mode = overcommit(proc);
	uint64_t kib = bytes >> 10, left;
	struct meminfo m;

	if (mode == OVERCOMMIT_ALWAYS || !read_meminfo(proc, &m))
		return 0;
	left = m.available + m.swap_free;
	if (kib > left)
		return lv_fail(
			ENOMEM,
			"the guest's %llu MiB are more than the %llu MiB that this "
			"host has left (MemAvailable and SwapFree): a guest that "
			"uses them all would make the host kill processes; take a "
			"smaller --mem, or say --overcommit",
			(unsigned long long)(kib >> 10),
			(unsigned long long)(left >> 10));
	if (mode != OVERCOMMIT_NEVER)
		return 0;
	left = m.committed < m.commit_limit ? m.commit_limit - m.committed : 0;
	if (kib > left)
		return lv_fail(
			ENOMEM,
			"the guest's %llu MiB are more than the %llu MiB that this "
			"host may still promise (vm.overcommit_memory is 2; "
			"CommitLimit less Committed_AS); take a smaller --mem",
			(unsigned long long)(kib >> 10),
			(unsigned long long)(left >> 10));
	return 0;
}

int check_name(const struct vigil_vm_desc *vm, int n, const char *name)
{
	const struct vigil_vm_desc *other = NULL;
	int hits = 0;

	for (int i = 0; i < n; i++) {
		if (vm[i].flags & VIGIL_DESC_DEAD ||
		    strncmp(vm[i].name, name, sizeof(vm[i].name)))
			continue;
		hits++;
		if (!other || vm[i].pid != (uint32_t)getpid())
			other = &vm[i];
	}
	if (hits < 2)
		return 0;
	return lv_fail(
		EEXIST,
		"VM %u of process %u is called %s already: take another --name, "
		"or none",
		other->id, other->pid, name);
}
