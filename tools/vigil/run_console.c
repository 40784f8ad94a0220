// SPDX-License-Identifier: GPL-2.0
/*
 * The serial console. A helper thread only waits for input and kicks the vCPU
 * thread, which does all reading and writing; so nothing here needs a lock.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

#define ESCAPE 0x01 /* Ctrl-a */
#define FLUSH_NS 20000000ull
/*
 * A driver that starts up empties the receiver after enabling it. Input waits
 * for this long.
 */
#define LISTEN_NS 100000000ull

static pthread_t watcher;
static bool watcher_runs;
/*
 * The vCPU thread posts this when it has read the input for which the helper
 * thread has kicked it.
 */
static sem_t consumed;
static volatile bool input_ready;

static void *watch_input(void *arg)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	for (;;) {
		if (poll(&pfd, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			return NULL;
		}
		__atomic_store_n(&input_ready, true, __ATOMIC_RELEASE);
		kick_now();
		while (sem_wait(&consumed) && errno == EINTR)
			;
	}
}

int console_open(struct console *con)
{
	sigset_t block, old;
	struct termios raw;
	int err;

	memset(con, 0, sizeof(*con));
	if (isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &con->saved)) {
		raw = con->saved;
		cfmakeraw(&raw);
		/* A background job is stopped by this until it is in front. */
		if (!tcsetattr(STDIN_FILENO, TCSANOW, &raw))
			con->tty = true;
	}
	sem_init(&consumed, 0, 0);
	kick_sigset(&block);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	err = pthread_create(&watcher, NULL, watch_input, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		console_close(con);
		return lv_fail(err, "cannot start a thread: %s", strerror(err));
	}
	watcher_runs = true;
	return 0;
}

void console_close(struct console *con)
{
	console_flush(con);
	if (watcher_runs) {
		pthread_cancel(watcher);
		pthread_join(watcher, NULL);
		watcher_runs = false;
	}
	if (con->tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &con->saved);
	con->tty = false;
}

static void flush_expired(void *arg)
{
	console_flush(arg);
}

static void listen_expired(void *arg)
{
	struct console *con = arg;

	con->listening = true;
	console_pull(con);
}

void console_attach(struct console *con, struct timers *timers,
		    const struct console_sink *sink)
{
	con->timers = timers;
	con->sink = *sink;
	con->flush_timer =
		(struct dev_timer){ .fn = flush_expired, .arg = con };
	con->listen_timer =
		(struct dev_timer){ .fn = listen_expired, .arg = con };
	con->listening = false;
}

void console_detach(struct console *con)
{
	console_flush(con);
	con->timers = NULL;
	con->sink = (struct console_sink){ 0 };
}

void console_flush(struct console *con)
{
	size_t done = 0;

	while (done < con->out_len) {
		ssize_t n = write(STDOUT_FILENO, con->out + done,
				  con->out_len - done);

		if (n > 0) {
			done += n;
			continue;
		}
		if (n < 0 && errno == EINTR && !kick_signal())
			continue;
		if (n < 0 && errno == EAGAIN && !kick_signal()) {
			struct pollfd pfd = { .fd = STDOUT_FILENO,
					      .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		/* The reader is gone: the guest goes on without its console. */
		if (n < 0 && errno != EINTR && errno != EAGAIN &&
		    vigil_output_failed(errno))
			vigil_msg(
				"cannot write standard output: %s; the guest goes on",
				strerror(errno));
		break;
	}
	con->out_len = 0;
	if (con->timers)
		timer_cancel(con->timers, &con->flush_timer);
}

void console_put(struct console *con, uint8_t byte)
{
	con->out[con->out_len++] = byte;
	if (byte == '\n' || con->out_len == sizeof(con->out))
		console_flush(con);
	else if (con->timers && !con->flush_timer.armed)
		timer_arm(con->timers, &con->flush_timer,
			  timers_now(con->timers) + FLUSH_NS);
}

/* Input that there is no room for is lost, as at any terminal. */
static void queue(struct console *con, uint8_t byte)
{
	if (con->in_len == sizeof(con->in))
		return;
	con->in[(con->in_head + con->in_len) % sizeof(con->in)] = byte;
	con->in_len++;
}

static void take(struct console *con, uint8_t byte)
{
	if (!con->tty || (!con->escape && byte != ESCAPE)) {
		queue(con, byte);
		return;
	}
	if (!con->escape) {
		con->escape = true;
		return;
	}
	con->escape = false;
	switch (byte) {
	case 'x':
	case 'X':
		con->quit = true;
		break;
	case ESCAPE:
	case 'a':
		queue(con, ESCAPE);
		break;
	default:
		fprintf(stderr,
			"\r\nvigil: Ctrl-a x ends the guest, Ctrl-a a sends Ctrl-a\r\n");
		break;
	}
}

/* Return: whether something was read. */
static bool read_input(struct console *con)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	uint8_t buf[sizeof(con->in)];
	size_t room = sizeof(con->in) - con->in_len;
	ssize_t n;

	/* The escape works even while the guest does not listen. */
	if (!room && con->tty)
		room = 1;
	if (!room || con->eof ||
	    !__atomic_load_n(&input_ready, __ATOMIC_ACQUIRE))
		return false;
	/*
	 * Another process that reads from this terminal may have been faster.
	 */
	if (poll(&pfd, 1, 0) <= 0) {
		__atomic_store_n(&input_ready, false, __ATOMIC_RELEASE);
		sem_post(&consumed);
		return false;
	}
	n = read(STDIN_FILENO, buf, room);
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		/* The helper thread then waits for a post that never comes. */
		con->eof = true;
		return false;
	}
	for (ssize_t i = 0; i < n; i++)
		take(con, buf[i]);
	return true;
}

static unsigned int console_room(struct console *con)
{
	unsigned int room = con->sink.room(con->sink.ctx);

	if (!room || con->listening)
		return room;
	if (!con->listen_timer.armed)
		timer_arm(con->timers, &con->listen_timer,
			  timers_now(con->timers) + LISTEN_NS);
	return 0;
}

void console_pull(struct console *con)
{
	bool more;

	if (!con->sink.room)
		return;
	do {
		more = read_input(con);
		while (con->in_len && console_room(con)) {
			uint8_t byte = con->in[con->in_head];

			con->in_head = (con->in_head + 1) % sizeof(con->in);
			con->in_len--;
			con->sink.put(con->sink.ctx, byte);
		}
	} while (more && !con->quit && !kick_signal());
}
