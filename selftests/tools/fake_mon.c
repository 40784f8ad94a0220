// SPDX-License-Identifier: GPL-2.0
/* tools/vigil/mon.c for tests without a module: see fake_mon.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "fake_mon.h"
#include "libvm.h"
#include "mon.h"

static const struct vigil_vm_info vm = {
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

int mon_list(struct vigil_vm_info **list)
{
	*list = malloc(sizeof(**list));
	if (!*list)
		return lv_fail(ENOMEM, "out of memory");
	**list = vm;
	return 1;
}

int mon_attach(struct mon *mon, const char *name)
{
	const char *fd = getenv(FAKE_ENV);

	mon->info = vm;
	mon->fd = fd ? atoi(fd) : -1;
	return 0;
}

int mon_attach_evict(struct mon *mon, const char *name)
{
	return mon_attach(mon, name);
}

int mon_attach_read(struct mon *mon, const char *name)
{
	return mon_attach(mon, name);
}

void mon_detach(struct mon *mon)
{
	if (mon->fd >= 0)
		close(mon->fd);
	mon->fd = -1;
}

int mon_info(struct mon *mon)
{
	return 0;
}

long mon_read(struct mon *mon, uint64_t gpa, void *buf, size_t len)
{
	return 0;
}

int mon_read_virt(struct mon *mon, uint64_t cr3, uint64_t gva, void *buf,
		  size_t len)
{
	return lv_fail(EFAULT, "there is no memory");
}

int mon_state(struct mon *mon, unsigned int vcpu,
	      struct vigil_vcpu_state *state)
{
	memset(state, 0, sizeof(*state));
	state->vcpu = vcpu;
	return 0;
}

static int tell(struct mon *mon, const struct fake_msg *msg)
{
	if (send(mon->fd, msg, sizeof(*msg), MSG_NOSIGNAL) == sizeof(*msg))
		return 0;
	return lv_fail(errno, "the test does not listen");
}

int mon_watch_add(struct mon *mon, struct vigil_watch *w)
{
	static uint32_t id;

	w->id = ++id;
	return tell(mon, &(struct fake_msg){ .what = FAKE_WATCH, .watch = *w });
}

int mon_watch_del(struct mon *mon, uint32_t id)
{
	return 0;
}

/* Six handlers, behind those four that an event shows. */
long mon_read_change(struct mon *mon, uint64_t seq, void *buf, size_t len)
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

int mon_verdict(struct mon *mon, uint64_t seq, bool allow)
{
	struct fake_msg msg = {
		.what = FAKE_VERDICT,
		.verdict.seq = seq,
		.verdict.verdict = allow ? VIGIL_VERDICT_ALLOW :
					   VIGIL_VERDICT_DENY,
	};

	return tell(mon, &msg);
}

int mon_events(struct mon *mon, struct vigil_event *ev, unsigned int room)
{
	ssize_t n = recv(mon->fd, ev, sizeof(*ev), MSG_DONTWAIT);

	if (n >= 0)
		return n / sizeof(*ev);
	if (errno == EAGAIN)
		return -EAGAIN;
	/* A test that ended with something unread counts as a VM that is gone. */
	if (errno == ECONNRESET)
		return 0;
	return lv_fail(errno, "cannot read events: %s", strerror(errno));
}

int mon_stats(struct mon *mon, struct mon_stat **stats)
{
	*stats = calloc(2, sizeof(**stats));
	if (!*stats)
		return lv_fail(ENOMEM, "out of memory");
	strcpy((*stats)[0].name, "exits");
	strcpy((*stats)[1].name, "watch_hits");
	return 2;
}

int mon_hypercalls(struct mon *mon, struct vigil_hypercalls *h)
{
	*h = (struct vigil_hypercalls){
		.flags = VIGIL_HC_PAGE | VIGIL_HC_FEP_XEN,
		.max_iopl = 3,
		.iopl = 1,
		.user_max = 1ull << 18,
	};
	return 0;
}

int mon_set_hypercalls(struct mon *mon, const struct vigil_hypercalls *h)
{
	return 0;
}

int mon_exit_code(int err)
{
	vigil_msg("%s", lv_error());
	return err == -ENOENT ? VIGIL_EX_FAIL : VIGIL_EX_DEVICE;
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
