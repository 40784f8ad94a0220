// SPDX-License-Identifier: GPL-2.0
/* Standard output of a command that goes on for long. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "output.h"

/*
 * A pipe or terminal that poll() reports as writable takes this many bytes
 * without blocking.
 */
#define PIECE 512

int output_write(struct output *out, const char *text, size_t len)
{
	ssize_t n;

	if (out->err) {
		out->unseen++;
		return 0;
	}
	while (len) {
		struct pollfd fds[2] = {
			{ .fd = out->fd, .events = POLLOUT },
			{ .fd = out->sigfd, .events = POLLIN },
		};

		if (poll(fds, 2, -1) < 0)
			continue;
		if (!fds[0].revents)
			return -ECANCELED;
		n = write(out->fd, text, len < PIECE ? len : PIECE);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			out->err = errno;
			out->unseen++;
			return -out->err;
		}
		text += n;
		len -= n;
	}
	return 0;
}
