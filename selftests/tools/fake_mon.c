// SPDX-License-Identifier: GPL-2.0
/* libvigil for tests without a module, but for symbols: see fake_mon.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "fake_mon.h"
#include "lib.h"
#include "libvigil.h"

static const struct vigil_vm_desc vm = {
	.id = 7,
	.pid = 1,
	.nr_vcpus = 2,
	.mem_bytes = 4 << 20,
	.name = "fake",
};

/*
 * Somebody sets the host's clock back by an hour while the command runs: after
 * the 50th look at it. The linker puts this in the place of clock_gettime().
 */
int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	static unsigned int looks;
	int ret = __real_clock_gettime(id, ts);

	if (id == CLOCK_REALTIME && ++looks > 50)
		ts->tv_sec -= 3600;
	return ret;
}

struct vigil_monitor {
	int fd;
	struct vigil_event ev;
};

int vigil_list(const char *device, struct vigil_vm_desc **list, size_t size)
{
	*list = malloc(sizeof(**list));
	if (!*list)
		return vigil_lib_fail(ENOMEM, "out of memory");
	**list = vm;
	return 1;
}

int vigil_attach(struct vigil_monitor **mon, const char *device,
		 const char *name, unsigned int flags)
{
	const char *fd = getenv(FAKE_ENV);

	*mon = aligned_alloc(_Alignof(struct vigil_monitor), sizeof(**mon));
	if (!*mon)
		return vigil_lib_fail(ENOMEM, "out of memory");
	(*mon)->fd = fd ? atoi(fd) : -1;
	return 0;
}

void vigil_detach(struct vigil_monitor *mon)
{
	if (mon && mon->fd >= 0)
		close(mon->fd);
	free(mon);
}

int vigil_fd(const struct vigil_monitor *mon)
{
	return mon->fd;
}

int vigil_get_vm(struct vigil_monitor *mon, struct vigil_vm_desc *desc,
		 size_t size)
{
	*desc = vm;
	return 0;
}

int vigil_read_virt(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    void *buf, size_t len)
{
	return vigil_lib_fail(EFAULT, "there is no memory");
}

/* The guest has pages from 0xe0000000 on, from 0x1000 on. */
int vigil_translate(struct vigil_monitor *mon, uint64_t cr3, uint64_t gva,
		    uint64_t *gpa, uint64_t *left)
{
	if (gva >> 16 != 0xe000)
		return vigil_lib_fail(EFAULT, "not mapped");
	*gpa = gva - 0xe0000000 + 0x1000;
	*left = 4096 - gva % 4096;
	return 0;
}

int vigil_get_registers(struct vigil_monitor *mon, unsigned int vcpu,
			struct vigil_registers *r, size_t size)
{
	memset(r, 0, size);
	return 0;
}

static int tell(struct vigil_monitor *mon, const struct fake_msg *msg)
{
	if (send(mon->fd, msg, sizeof(*msg), MSG_NOSIGNAL) == sizeof(*msg))
		return 0;
	return vigil_lib_fail(errno, "the test does not listen");
}

int vigil_watch_add(struct vigil_monitor *mon, struct vigil_range *r,
		    size_t size)
{
	const struct vigil_condition *c = (void *)(uintptr_t)r->conditions;
	struct fake_msg msg = { .what = FAKE_WATCH };
	static uint32_t id;

	r->id = ++id;
	msg.watch = *r;
	for (uint32_t i = 0; i < r->nr_conditions && i < 2; i++)
		msg.condition[i] = c[i];
	return tell(mon, &msg);
}

/* Six handlers, behind those four that an event shows. */
long vigil_read_change(struct vigil_monitor *mon, uint64_t seq, void *buf,
		       size_t len)
{
	struct vigil_pv_trap *trap = buf;
	unsigned int i;

	for (i = 0; i < 6 && (i + 1) * sizeof(*trap) <= len; i++)
		trap[i] = (struct vigil_pv_trap){
			.vector = 0x80 + i,
			.flags = 3,
			.cs = 0xe039,
			.ip = 0x1000 + i,
		};
	return i * sizeof(*trap);
}

int vigil_decide(struct vigil_monitor *mon, uint64_t seq, unsigned int verdict)
{
	struct fake_msg msg = {
		.what = FAKE_VERDICT,
		.verdict.seq = seq,
		.verdict.verdict = verdict,
	};

	return tell(mon, &msg);
}

int vigil_replace(struct vigil_monitor *mon, uint64_t seq, const void *data,
		  size_t len)
{
	struct fake_msg msg = {
		.what = FAKE_VERDICT,
		.verdict.seq = seq,
		.verdict.verdict = VIGIL_VERDICT_REPLACE,
		.verdict.len = len,
	};

	memcpy(msg.verdict.data, data, len);
	return tell(mon, &msg);
}

int vigil_set_queue(struct vigil_monitor *mon, unsigned int events,
		    unsigned int flags)
{
	return 0;
}

/* Nothing runs that could be paused. */
int vigil_resume(struct vigil_monitor *mon)
{
	return 0;
}

int vigil_pause(struct vigil_monitor *mon, unsigned int vcpu,
		unsigned int flags)
{
	return 0;
}

int vigil_unpause(struct vigil_monitor *mon, unsigned int vcpu)
{
	return 0;
}

int vigil_set_registers(struct vigil_monitor *mon, unsigned int vcpu,
			const struct vigil_registers *r, size_t size,
			unsigned int which)
{
	return 0;
}

unsigned int vigil_events_ready(const struct vigil_monitor *mon)
{
	return 0;
}

int vigil_next_event(struct vigil_monitor *mon, const struct vigil_event **ev,
		     int timeout_ms)
{
	ssize_t n = recv(mon->fd, &mon->ev, sizeof(mon->ev), MSG_DONTWAIT);

	*ev = &mon->ev;
	if (n >= 0)
		return n / sizeof(mon->ev);
	if (errno == EAGAIN)
		return -EAGAIN;
	/* A test that ended with something unread counts as a VM that is gone. */
	if (errno == ECONNRESET)
		return 0;
	return vigil_lib_fail(errno, "cannot read events: %s", strerror(errno));
}

int vigil_get_counters(struct vigil_monitor *mon, struct vigil_counter **stats,
		       size_t size)
{
	*stats = calloc(2, size);
	if (!*stats)
		return vigil_lib_fail(ENOMEM, "out of memory");
	strcpy((*stats)[0].name, "exits");
	strcpy((*stats)[1].name, "watch_hits");
	return 2;
}

int vigil_get_hypercalls(struct vigil_monitor *mon, struct vigil_hypercalls *h,
			 size_t size)
{
	*h = (struct vigil_hypercalls){
		.flags = VIGIL_HC_PAGE | VIGIL_HC_FEP_XEN,
		.max_iopl = 3,
		.iopl = 1,
		.user_max = 1ull << 18,
	};
	return 0;
}

int vigil_set_hypercalls(struct vigil_monitor *mon,
			 const struct vigil_hypercalls *h, size_t size)
{
	return 0;
}

/*
 * The image is a text: what the guest prints, but for a first line with the exit status
 * of `vigil run', where "hang" stands for a guest that goes on.
 */
int vigil_cmd_run(int argc, char **argv)
{
	FILE *f = fopen(argv[argc - 1], "r");
	char line[256];
	int status = VIGIL_EX_OS;

	if (!f)
		return VIGIL_EX_INPUT;
	if (fgets(line, sizeof(line), f))
		status = atoi(line);
	if (!strcmp(line, "hang\n"))
		for (;;)
			pause();
	while (fgets(line, sizeof(line), f))
		fputs(line, stdout);
	fclose(f);
	return status;
}

int vigil_cmd_demo(int argc, char **argv)
{
	return VIGIL_EX_OS;
}
