/* SPDX-License-Identifier: GPL-2.0 */
/* A monitor in a test: calls that end the case when they fail. */
#ifndef SELFTESTS_WATCH_MON_H
#define SELFTESTS_WATCH_MON_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "guest.h"
#include "vigil.h"

/* The guests store to this page, which nothing else uses. */
#define PAGE GUEST_FREE
#define TARGET (PAGE + 0x100)

static inline int mon_open(struct vm *vm)
{
	int fd = ioctl(vm->fd, VIGIL_CREATE_MONITOR, 0);

	if (fd < 0 && errno == ENOTTY)
		SKIP("/dev/kvm has no monitors");
	if (fd < 0)
		ERROR("VIGIL_CREATE_MONITOR: errno %d", errno);
	return fd;
}

static inline void set_name(struct vm *vm, const char *name)
{
	struct vigil_name n = { 0 };

	strncpy(n.name, name, sizeof(n.name) - 1);
	if (ioctl(vm->fd, VIGIL_SET_NAME, &n))
		ERROR("VIGIL_SET_NAME: errno %d", errno);
}

/* Finds our VM in the list. False: it is not there. */
static inline bool find_vm(int dev, const char *name,
			   struct vigil_vm_info *info)
{
	struct vigil_vm_info all[64];
	struct vigil_vm_list list = {
		.count = 64,
		.entry_size = sizeof(all[0]),
		.entries = (uintptr_t)all,
	};

	if (ioctl(dev, VIGIL_LIST_VMS, &list))
		ERROR("VIGIL_LIST_VMS: errno %d", errno);
	for (unsigned int i = 0; i < list.count && i < 64; i++) {
		if (strcmp(all[i].name, name))
			continue;
		*info = all[i];
		return true;
	}
	return false;
}

static inline struct vigil_watch watch_gpa(uint64_t start, uint64_t len,
					   uint32_t action)
{
	return (struct vigil_watch){
		.start = start,
		.len = len,
		.kind = VIGIL_WATCH_GPA,
		.action = action,
		.cookie = start ^ 0x5555,
	};
}

static inline uint32_t mon_add(int mon, struct vigil_watch w)
{
	if (ioctl(mon, VIGIL_WATCH_ADD, &w))
		ERROR("VIGIL_WATCH_ADD: errno %d", errno);
	return w.id;
}

static inline uint32_t mon_watch(int mon, uint64_t start, uint64_t len,
				 uint32_t action)
{
	return mon_add(mon, watch_gpa(start, len, action));
}

static inline void mon_del(int mon, uint32_t id)
{
	if (ioctl(mon, VIGIL_WATCH_DEL, &id))
		ERROR("VIGIL_WATCH_DEL: errno %d", errno);
}

/* Is there an event within @ms? */
static inline bool mon_ready(int mon, int ms)
{
	struct pollfd p = { .fd = mon, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

static inline struct vigil_event mon_event(int mon)
{
	struct vigil_event ev;

	/* The case has a limit of its own: this one says what was missing. */
	if (!mon_ready(mon, 50000)) {
		FAIL("no event in 50 seconds");
		test_abort();
	}
	if (read(mon, &ev, sizeof(ev)) != sizeof(ev))
		ERROR("an event cannot be read: errno %d", errno);
	CHECK_EQ(ev.size, sizeof(ev));
	return ev;
}

#define CHECK_NO_EVENT(mon) CHECK(!mon_ready(mon, 0))

/* Runs the vCPU until it is held, and a signal has ended KVM_RUN. */
static inline struct vigil_event hold_outside(struct vcpu *v, int mon)
{
	ticks(1000);
	v->stop_on_signal = true;
	do
		EXPECT(v, STOP_SIGNAL);
	while (!mon_ready(mon, 0));
	ticks(0);
	v->stop_on_signal = false;
	return mon_event(mon);
}

static inline int mon_verdict(int mon, uint64_t seq, uint32_t verdict)
{
	struct vigil_verdict v = { .seq = seq, .verdict = verdict };

	return ioctl(mon, VIGIL_VERDICT, &v);
}

static inline int mon_replace(int mon, uint64_t seq, const void *data,
			      uint32_t len)
{
	struct vigil_verdict v = {
		.seq = seq,
		.verdict = VIGIL_VERDICT_REPLACE,
		.len = len,
	};

	memcpy(v.data, data, len);
	return ioctl(mon, VIGIL_VERDICT, &v);
}

static inline uint64_t bytes64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* Does the process sleep? A running one has state R. */
static inline bool process_sleeps(pid_t pid)
{
	char path[32], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		ERROR("%s: errno %d", path, errno);
	fclose(f);
	return state == 'S' || state == 'D';
}

/* Returns one of the VM's counters. */
static inline uint64_t mon_stat(int fd, const char *name)
{
	static char names[128][VIGIL_NAME_LEN];
	uint64_t values[128];
	struct vigil_stats s = {
		.count = 128,
		.values = (uintptr_t)values,
		.names = (uintptr_t)names,
	};

	if (ioctl(fd, VIGIL_GET_STATS, &s))
		ERROR("VIGIL_GET_STATS: errno %d", errno);
	for (unsigned int i = 0; i < s.count && i < 128; i++)
		if (!strcmp(names[i], name))
			return values[i];
	ERROR("there is no counter %s", name);
}

#endif
