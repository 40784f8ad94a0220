// SPDX-License-Identifier: GPL-2.0
/*
 * libvigil without a module: what it makes of the kernel's answers, of a queue of events, and of
 * programs that were built with an older or a newer header. The linker puts the ioctl() below in
 * the place of the C library's, and a socket is the monitor.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvigil.h"
#include "tap.h"
#include "vigil.h"

#define N_VMS 40 /* more than the library has room for at first */

static int version = VIGIL_API_VERSION;
static int attach_errno;
static uint32_t attached_to, attach_flags;
static struct vigil_watch watched;
static struct vigil_pause paused;
static struct vigil_vcpu_state set_state;
static int change_errno; /* of what changes the VM */
static uint8_t written[(2 << 20) + 100];
static struct vigil_queue queue_set;
static int queue_errno, ring_fd = -1;
static uint32_t vm_flags;
static int device[2] = { -1, -1 }, queue[2] = { -1, -1 };

int __wrap_ioctl(int fd, unsigned long request, ...);

static struct vigil_vm_info info_of(unsigned int i)
{
	struct vigil_vm_info vm = { .id = i + 1, .nr_vcpus = 2 };

	/* The last two have one name. */
	sprintf(vm.name, "vm%u", i < N_VMS - 1 ? i : N_VMS - 2);
	return vm;
}

static int list_vms(struct vigil_vm_list *list)
{
	struct vigil_vm_info *out = (void *)(uintptr_t)list->entries;

	for (unsigned int i = 0; i < list->count && i < N_VMS; i++)
		out[i] = info_of(i);
	list->count = N_VMS;
	return 0;
}

static int fail_with(int err)
{
	errno = err;
	return -1;
}

/* Guest memory ends where @written does. */
static int write_mem(struct vigil_mem *mem)
{
	if (mem->len > 1 << 20)
		return fail_with(EINVAL);
	if (change_errno || mem->addr >= sizeof(written))
		return fail_with(change_errno ?: EFAULT);
	mem->done = mem->len;
	if (mem->done > sizeof(written) - mem->addr)
		mem->done = sizeof(written) - mem->addr;
	memcpy(written + mem->addr, (void *)(uintptr_t)mem->buf, mem->done);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case VIGIL_GET_VERSION:
		return version < 0 ? fail_with(ENOTTY) : version;
	case VIGIL_LIST_VMS:
		return list_vms(arg);
	case VIGIL_ATTACH:
		attached_to = ((struct vigil_attach *)arg)->vm_id;
		attach_flags = ((struct vigil_attach *)arg)->flags;
		return attach_errno ? fail_with(attach_errno) :
				      fcntl(queue[0], F_DUPFD_CLOEXEC, 3);
	case VIGIL_GET_INFO:
		if (fd == device[0])
			return fail_with(ENOTTY);
		*(struct vigil_vm_info *)arg = info_of(attached_to - 1);
		((struct vigil_vm_info *)arg)->flags = vm_flags;
		return 0;
	case VIGIL_SET_QUEUE:
		queue_set = *(struct vigil_queue *)arg;
		if (queue_errno)
			return fail_with(queue_errno);
		/* A socket cannot be mapped: its number becomes that of the ring's file. */
		if (ring_fd >= 0)
			dup2(ring_fd, fd);
		return 0;
	case VIGIL_WATCH_ADD:
		watched = *(struct vigil_watch *)arg;
		((struct vigil_watch *)arg)->id = 77;
		return 0;
	case VIGIL_VERDICT:
		return fail_with(change_errno ?: ENOENT);
	case VIGIL_PAUSE_VCPUS:
	case VIGIL_RESUME_VCPUS:
		paused = *(struct vigil_pause *)arg;
		return change_errno ? fail_with(change_errno) : 0;
	case VIGIL_SET_VCPU:
		set_state = *(struct vigil_vcpu_state *)arg;
		return change_errno ? fail_with(change_errno) : 0;
	case VIGIL_WRITE_MEM:
		return write_mem(arg);
	}
	return fail_with(ENOTTY);
}

static void setup(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, queue) || pipe(device))
		ERROR("no socket");
}

/* Attaches, by a device that exists: ioctl() is not the kernel's. */
static struct vigil_monitor *attach(void)
{
	struct vigil_monitor *mon;

	setup();
	REQUIRE_EQ(vigil_attach(&mon, "/dev/null", "vm3", 0), 0);
	return mon;
}

static void attaching(long arg)
{
	struct vigil_monitor *mon;
	struct vigil_vm_desc vm;

	setup();
	REQUIRE_EQ(vigil_attach(&mon, "/dev/null", "vm3", VIGIL_MONITOR_READ),
		   0);
	CHECK_EQ(attached_to, 4);
	CHECK_EQ(attach_flags, VIGIL_ATTACH_READ);
	CHECK(fcntl(vigil_fd(mon), F_GETFL) & O_NONBLOCK);
	REQUIRE_EQ(vigil_get_vm(mon, &vm, sizeof(vm)), 0);
	CHECK_EQ(strcmp(vm.name, "vm3"), 0);
	CHECK_EQ(vm.nr_vcpus, 2);
	vigil_detach(mon);
	/* By number, whatever the names are. */
	REQUIRE_EQ(vigil_attach(&mon, "/dev/null", "7", VIGIL_MONITOR_EVICT),
		   0);
	CHECK_EQ(attached_to, 7);
	CHECK_EQ(attach_flags, VIGIL_ATTACH_EVICT);
	vigil_detach(mon);
	vigil_detach(NULL);
}

static void refused(long arg)
{
	struct vigil_monitor *mon = (void *)1;

	setup();
	CHECK_EQ(vigil_attach(&mon, "/nonexistent", "vm3", 0), -ENODEV);
	CHECK(!mon && strstr(vigil_error(), "/nonexistent"));
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "vm", 0), -ENOENT);
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "", 0), -ENOENT);
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "4294967296", 0), -ENOENT);
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "vm38", 0), -EINVAL);
	CHECK(strstr(vigil_error(), "2 VMs are called vm38") != NULL);
	attach_errno = EBUSY;
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "vm3", 0), -EBUSY);
	version = VIGIL_API_VERSION + 1;
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "vm3", 0), -EPROTO);
	version = -1;
	CHECK_EQ(vigil_attach(&mon, "/dev/null", "vm3", 0), -ENODEV);
	CHECK_EQ(vigil_attach_fd(&mon, device[0]), -EINVAL);
	CHECK(!mon);
}

/* An older program has a smaller structure, and a newer one a greater. */
static void sizes(long arg)
{
	size_t less = offsetof(struct vigil_vm_desc, mem_bytes),
	       more = sizeof(struct vigil_vm_desc) + 64;
	struct vigil_vm_desc *list;
	char *bytes;
	int n;

	setup();
	n = vigil_list("/dev/null", &list, less);
	REQUIRE_EQ(n, N_VMS);
	bytes = (char *)list;
	for (int i = 0; i < n; i++)
		CHECK_EQ(((struct vigil_vm_desc *)(bytes + i * less))->id,
			 i + 1);
	free(list);
	n = vigil_list("/dev/null", &list, more);
	REQUIRE_EQ(n, N_VMS);
	bytes = (char *)list;
	for (int i = 0; i < n; i++) {
		CHECK_EQ(((struct vigil_vm_desc *)(bytes + i * more))->id,
			 i + 1);
		for (size_t k = sizeof(*list); k < more; k++)
			CHECK_EQ(bytes[i * more + k], 0);
	}
	free(list);
}

/* What the range of version 1.0 of the library had. */
#define OLDEST_RANGE offsetof(struct vigil_range, on_timeout)

static void ranges(long arg)
{
	struct {
		struct vigil_range r;
		uint64_t later[2];
	} newer = { .r = { .start = 0x1000,
			   .len = 8,
			   .kind = VIGIL_AT_GVA,
			   .action = VIGIL_DO_ASK,
			   .on_death = VIGIL_DENY,
			   .cookie = 5 } };
	struct vigil_monitor *mon = attach();

	REQUIRE_EQ(vigil_watch_add(mon, &newer.r, sizeof(newer.r)), 0);
	CHECK_EQ(newer.r.id, 77);
	CHECK_EQ(watched.start, 0x1000);
	CHECK_EQ(watched.len, 8);
	CHECK_EQ(watched.kind, VIGIL_WATCH_GVA);
	CHECK_EQ(watched.action, VIGIL_ACTION_ASK);
	CHECK_EQ(watched.on_death, VIGIL_ON_DEATH_DENY);
	CHECK_EQ(watched.cookie, 5);
	/* What is unknown counts only when it is set. */
	CHECK_EQ(vigil_watch_add(mon, &newer.r, sizeof(newer)), 0);
	newer.later[1] = 1ull << 63;
	memset(&watched, 0, sizeof(watched));
	CHECK_EQ(vigil_watch_add(mon, &newer.r, sizeof(newer)), -E2BIG);
	CHECK_EQ(vigil_watch_add(mon, &newer.r, OLDEST_RANGE - 1), -EINVAL);
	CHECK_EQ(vigil_watch_add(mon, &newer.r, 0), -EINVAL);
	CHECK_EQ(watched.len, 0);
	/* An older program has no timeout, whatever lies behind its range. */
	newer.r.on_timeout = VIGIL_DENY;
	newer.r.reserved = 1;
	CHECK_EQ(vigil_watch_add(mon, &newer.r, OLDEST_RANGE), 0);
	CHECK_EQ(watched.len, 8);
	CHECK_EQ(watched.on_timeout, 0);
	CHECK_EQ(watched.pad, 0);
	vigil_detach(mon);
}

/* A VM that stands still, and is changed. */
static void changing(long arg)
{
	static uint8_t bytes[sizeof(written)];
	struct vigil_registers r = { .regs.rip = 5, .sregs.cr2 = 6 };
	struct vigil_monitor *mon = attach();
	size_t len = sizeof(written);

	CHECK_EQ(vigil_pause(mon, VIGIL_ALL_VCPUS, VIGIL_KEEP_PAUSED), 0);
	CHECK_EQ(paused.vcpu, VIGIL_PAUSE_ALL);
	CHECK_EQ(paused.flags, VIGIL_PAUSE_KEEP);
	CHECK_EQ(vigil_unpause(mon, 2), 0);
	CHECK_EQ(paused.vcpu, 2);
	CHECK_EQ(paused.flags, 0);
	CHECK_EQ(vigil_set_registers(mon, 3, &r, sizeof(r), VIGIL_SET_SREGS),
		 0);
	CHECK_EQ(set_state.vcpu, 3);
	CHECK_EQ(set_state.flags, VIGIL_VCPU_SREGS);
	CHECK_EQ(set_state.regs.rip, 5);
	CHECK_EQ(set_state.sregs.cr2, 6);
	CHECK_EQ(vigil_set_registers(mon, 3, &r, sizeof(r) - 1, 1), -EINVAL);
	change_errno = EBUSY;
	CHECK_EQ(vigil_set_registers(mon, 3, &r, sizeof(r), 1), -EBUSY);
	CHECK(strstr(vigil_error(), "has not paused it"));
	/* A signal is no failure. */
	change_errno = EINTR;
	CHECK_EQ(vigil_pause(mon, 1, 0), -EINTR);
	CHECK_EQ(vigil_decide(mon, 1, VIGIL_PAUSE), -EINTR);
	CHECK(strstr(vigil_error(), "has not paused it"));
	change_errno = 0;
	memset(bytes, 0x5a, sizeof(bytes));
	CHECK_EQ(vigil_write_phys(mon, 50, bytes, len), (long)len - 50);
	CHECK(!written[49] && !memcmp(written + 50, bytes, len - 50));
	CHECK_EQ(vigil_write_phys(mon, len, bytes, 1), 0);
	memset(bytes, 0xa5, sizeof(bytes));
	CHECK_EQ(vigil_write_virt(mon, 0, 0, bytes, len), 0);
	CHECK(!memcmp(written, bytes, len));
	CHECK_EQ(vigil_write_virt(mon, 0, 1, bytes, len), -EFAULT);
	CHECK(strstr(vigil_error(), "not mapped"));
	change_errno = EROFS;
	CHECK_EQ(vigil_write_phys(mon, 0, bytes, 1), -EROFS);
	change_errno = 0;
	vigil_detach(mon);
}

static void send_events(uint64_t seq, unsigned int n)
{
	struct vigil_event ev[8] = { 0 };

	for (unsigned int i = 0; i < n; i++) {
		ev[i].size = sizeof(ev[i]);
		ev[i].seq = seq + i;
	}
	if (send(queue[1], ev, n * sizeof(ev[0]), 0) < 0)
		ERROR("cannot send events");
}

static void events(long arg)
{
	struct vigil_monitor *mon = attach();
	const struct vigil_event *ev;
	struct vigil_event *copy;

	CHECK_EQ(vigil_next_event(mon, &ev, 0), -EAGAIN);
	CHECK_EQ(vigil_next_event(mon, &ev, 1), -EAGAIN);
	send_events(1, 3);
	send_events(4, 1);
	CHECK_EQ(vigil_events_ready(mon), 0);
	REQUIRE_EQ(vigil_next_event(mon, &ev, -1), 1);
	CHECK_EQ(vigil_event_seq(ev), 1);
	CHECK_EQ(vigil_events_ready(mon), 2);
	copy = vigil_event_dup(ev);
	for (unsigned int i = 2; i <= 4; i++) {
		REQUIRE_EQ(vigil_next_event(mon, &ev, 1000), 1);
		CHECK_EQ(vigil_event_seq(ev), i);
	}
	CHECK_EQ(vigil_event_seq(copy), 1);
	vigil_event_free(copy);
	CHECK_EQ(vigil_decide(mon, 4, VIGIL_DENY), -ENOENT);
	/* The queue's end is the VM's, also for who asks again. */
	close(queue[1]);
	CHECK_EQ(vigil_next_event(mon, &ev, -1), 0);
	CHECK_EQ(vigil_next_event(mon, &ev, 0), 0);
	vigil_detach(mon);
}

static void queues(long arg)
{
	struct vigil_monitor *mon = attach();
	const struct vigil_event *ev;

	REQUIRE_EQ(vigil_set_queue(mon, 5, VIGIL_EVENTS_WAIT), 0);
	CHECK_EQ(queue_set.events, 5);
	CHECK_EQ(queue_set.flags, VIGIL_QUEUE_WAIT);
	/* It is read as the other queue is. */
	send_events(1, 1);
	REQUIRE_EQ(vigil_next_event(mon, &ev, -1), 1);
	CHECK_EQ(vigil_event_seq(ev), 1);
	queue_errno = EBUSY;
	CHECK_EQ(vigil_set_queue(mon, 5, 0), -EBUSY);
	CHECK(strstr(vigil_error(), "before the first watch") != NULL);
	queue_errno = EINVAL;
	CHECK_EQ(vigil_set_queue(mon, 65537, 0), -EINVAL);
	CHECK(strstr(vigil_error(), "1 to 65536") != NULL);
	CHECK(!strstr(vigil_error(), "power of two"));
	CHECK_EQ(vigil_set_queue(mon, 3, VIGIL_EVENTS_RING), -EINVAL);
	CHECK(strstr(vigil_error(), "power of two") != NULL);
	queue_errno = 0;
	/* The socket is no ring. */
	CHECK_EQ(vigil_set_queue(mon, 4, VIGIL_EVENTS_RING), -ENODEV);
	vigil_detach(mon);
}

#define RING_EVENTS 64

/* The numbers of events run over the end of the ring, and over 2^32. */
static void ring(long arg)
{
	const size_t bytes =
		VIGIL_RING_HEAD + RING_EVENTS * sizeof(struct vigil_event);
	struct vigil_monitor *mon = attach();
	const struct vigil_event *ev;
	struct vigil_event *slot;
	struct vigil_ring *r;
	uint32_t seq = -100;

	ring_fd = memfd_create("ring", MFD_CLOEXEC);
	if (ring_fd < 0 || ftruncate(ring_fd, bytes))
		ERROR("no memory for a ring");
	r = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	if (r == MAP_FAILED)
		ERROR("no memory for a ring");
	slot = (void *)((char *)r + VIGIL_RING_HEAD);
	r->head = r->tail = seq;
	REQUIRE_EQ(vigil_set_queue(mon, RING_EVENTS, VIGIL_EVENTS_RING), 0);
	CHECK_EQ(queue_set.flags, VIGIL_QUEUE_RING);
	CHECK_EQ(vigil_next_event(mon, &ev, 0), -EAGAIN);
	for (unsigned int n = 1; n < 40; n++) {
		for (unsigned int i = 0; i < n; i++)
			slot[(seq + i) % RING_EVENTS].seq = seq + i;
		__atomic_store_n(&r->head, seq + n, __ATOMIC_RELEASE);
		for (unsigned int i = 0; i < n; i++, seq++) {
			REQUIRE_EQ(vigil_next_event(mon, &ev, 0), 1);
			CHECK_EQ((uint32_t)vigil_event_seq(ev), seq);
		}
		CHECK_EQ(vigil_next_event(mon, &ev, 0), -EAGAIN);
		CHECK_EQ(r->tail, seq);
	}
	munmap(r, bytes);
	vigil_detach(mon);
}

/* The events of a ring come before its end does, which is the VM's or the monitor's. */
static void ring_ends(long dead)
{
	const size_t bytes =
		VIGIL_RING_HEAD + RING_EVENTS * sizeof(struct vigil_event);
	struct vigil_monitor *mon = attach();
	const struct vigil_event *ev;
	struct vigil_ring *r;
	int ends[2];

	ring_fd = memfd_create("ring", MFD_CLOEXEC);
	if (ring_fd < 0 || ftruncate(ring_fd, bytes) || pipe(ends))
		ERROR("no memory for a ring");
	r = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	if (r == MAP_FAILED)
		ERROR("no memory for a ring");
	REQUIRE_EQ(vigil_set_queue(mon, RING_EVENTS, VIGIL_EVENTS_RING), 0);
	r->head = 1;
	/* A pipe that nobody writes to hangs up. */
	close(ends[1]);
	dup2(ends[0], vigil_fd(mon));
	vm_flags = dead ? VIGIL_VM_DEAD : 0;
	CHECK_EQ(vigil_next_event(mon, &ev, -1), 1);
	CHECK_EQ(vigil_next_event(mon, &ev, -1), dead ? 0 : -EPIPE);
	CHECK_EQ(vigil_next_event(mon, &ev, 0), dead ? 0 : -EPIPE);
	munmap(r, bytes);
	vigil_detach(mon);
}

static void nothing(int sig)
{
}

static void *poke(void *thread)
{
	/* Until the other thread is in poll(), the signal may come too early: repeat it. */
	while (!pthread_kill(*(pthread_t *)thread, SIGUSR1) && !usleep(1000))
		pthread_testcancel();
	return NULL;
}

static void signals(long arg)
{
	struct vigil_monitor *mon = attach();
	pthread_t self = pthread_self(), other;
	const struct vigil_event *ev;

	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL);
	REQUIRE_EQ(pthread_create(&other, NULL, poke, &self), 0);
	CHECK_EQ(vigil_next_event(mon, &ev, -1), -EINTR);
	pthread_cancel(other);
	pthread_join(other, NULL);
	vigil_detach(mon);
}

static void fields(long arg)
{
	struct vigil_event ev = {
		.flags = VIGIL_EVENT_HELD | VIGIL_EVENT_INSN_VALID,
		.gva = 1,
		.len = 1000,
		.insn_len = 3,
		.regs = { [15] = 15 },
	};
	uint64_t gva = 9;
	size_t len;

	CHECK_EQ(vigil_event_held(&ev), 1);
	CHECK_EQ(vigil_event_denied(&ev), 0);
	CHECK_EQ(vigil_event_is_control(&ev), 0);
	CHECK_EQ(vigil_event_gva(&ev, &gva), 0);
	CHECK_EQ(gva, 9);
	ev.flags = VIGIL_EVENT_DENIED | VIGIL_EVENT_GVA_VALID;
	CHECK_EQ(vigil_event_gva(&ev, &gva), 1);
	CHECK_EQ(gva, 1);
	CHECK_EQ(vigil_event_held(&ev), 0);
	CHECK_EQ(vigil_event_denied(&ev), 1);
	/* A length is never more than what there is to read. */
	CHECK_EQ(vigil_event_len(&ev), VIGIL_EVENT_DATA);
	CHECK_EQ(vigil_event_reg(&ev, 15), 15);
	CHECK_EQ(vigil_event_reg(&ev, 16), 0);
	CHECK(!vigil_event_insn(&ev, &len));
	CHECK_EQ(len, 0);
	ev.flags = VIGIL_EVENT_INSN_VALID;
	CHECK(vigil_event_insn(&ev, &len) == ev.insn);
	CHECK_EQ(len, 3);
}

static void *other_text(void *out)
{
	struct vigil_monitor *mon;

	strcpy(out, vigil_error());
	vigil_attach(&mon, "/nonexistent-2", "1", 0);
	return NULL;
}

static void texts(long arg)
{
	char other[512] = "unset", mine[512];
	struct vigil_monitor *mon;
	pthread_t thread;

	CHECK_EQ(strcmp(vigil_error(), ""), 0);
	vigil_attach(&mon, "/nonexistent-1", "1", 0);
	strcpy(mine, vigil_error());
	REQUIRE_EQ(pthread_create(&thread, NULL, other_text, other), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(strcmp(other, ""), 0);
	CHECK_EQ(strcmp(vigil_error(), mine), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "attaching", attaching },
		{ "refused", refused },
		{ "a list for older and newer programs", sizes },
		{ "a range of older and newer programs", ranges },
		{ "pauses, other registers and memory", changing },
		{ "events", events },
		{ "a queue that the program chose", queues },
		{ "a ring", ring },
		{ "a ring, and the VM ends", ring_ends, 1 },
		{ "a ring, and the monitor is evicted", ring_ends, 0 },
		{ "a signal ends the wait", signals },
		{ "fields of an event", fields },
		{ "texts are per thread", texts },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
