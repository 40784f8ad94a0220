// SPDX-License-Identifier: GPL-2.0
/* Taking events from a monitor. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "monitor.h"

unsigned int vigil_events_ready(const struct vigil_monitor *mon)
{
	return mon->n - mon->at;
}

/* Reads what is there. Return: events; 0: the VM is gone; -EAGAIN or another -errno. */
static int fill(struct vigil_monitor *mon)
{
	ssize_t n;
	int err = 0;

	if (mon->ring) {
		n = queue_take(mon);
		err = n < 0 ? -n : 0;
	} else {
		n = read(mon->fd, mon->batch, sizeof(mon->batch));
		err = n < 0 ? errno : 0;
		n /= (ssize_t)sizeof(mon->batch[0]);
	}
	mon->at = 0;
	mon->n = err ? 0 : n;
	if (!err)
		return mon->n;
	if (err == EAGAIN || err == EINTR)
		return -err;
	if (err == EPIPE)
		return vigil_lib_fail(
			EPIPE,
			"evicted: another monitor has taken this one's place, and its watches are "
			"gone");
	return vigil_lib_fail(err, "cannot read events: %s", strerror(err));
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Return: 1: there may be an event; 0: the time is up; -errno. */
static int await(int fd, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = end < 0 ? -1 : end - now_ms();
	int n;

	if (end >= 0 && left <= 0)
		return 0;
	n = poll(&p, 1, left);
	if (n >= 0)
		return n;
	return errno == EINTR ?
		       -EINTR :
		       vigil_lib_fail(errno, "cannot wait for events: %s",
				      strerror(errno));
}

int vigil_next_event(struct vigil_monitor *mon, const struct vigil_event **ev,
		     int timeout_ms)
{
	int64_t end = -1;
	int ret;

	if (timeout_ms > 0)
		end = now_ms() + timeout_ms;
	while (mon->at == mon->n) {
		ret = fill(mon);
		if (ret > 0)
			break;
		if (ret != -EAGAIN || !timeout_ms)
			return ret;
		ret = await(mon->fd, end);
		if (ret <= 0)
			return ret ? ret : -EAGAIN;
	}
	*ev = &mon->batch[mon->at++];
	return 1;
}
