/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test that runs vigil-fake and is its monitor (fake_mon.h): it starts the command, sends
 * events, and looks at what comes out.
 */
#ifndef SELFTESTS_TOOLS_FAKE_RUN_H
#define SELFTESTS_TOOLS_FAKE_RUN_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake_mon.h"
#include "tap.h"

#define LIMIT_MS 30000
#define EX_USAGE 64
#define EX_OUTPUT 74
#define HELD VIGIL_EVENT_HELD

static char fake[PATH_MAX];

/* What came out of a descriptor so far, and how far it was looked at. */
struct text {
	int fd;
	size_t len, at;
	char buf[1 << 18];
};

static pid_t pid;
static int mon, in = -1;
static struct text out, err;

static inline int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Reads what there is; false at the end of the stream. */
static inline bool more(struct text *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, LIMIT_MS) != 1)
		ERROR("nothing comes in %d ms, after: %s", LIMIT_MS, t->buf);
	n = read(t->fd, t->buf + t->len, sizeof(t->buf) - 1 - t->len);
	if (n <= 0)
		return false;
	t->len += n;
	t->buf[t->len] = 0;
	return true;
}

/* Waits until @what comes. The next call looks behind it. */
static inline void expect(struct text *t, const char *what)
{
	char *hit;

	while (!(hit = strstr(t->buf + t->at, what))) {
		if (!more(t)) {
			FAIL("no `%s' in: %s", what, t->buf + t->at);
			test_abort();
		}
	}
	t->at = hit - t->buf + strlen(what);
}

static inline char *line(struct text *t)
{
	char *start = t->buf + t->at, *end;

	while (!(end = strchr(t->buf + t->at, '\n'))) {
		if (!more(t)) {
			FAIL("no line after: %s", t->buf);
			test_abort();
		}
	}
	*end = 0;
	t->at = end + 1 - t->buf;
	return start;
}

static inline unsigned int times(const struct text *t, const char *what)
{
	const char *at = t->buf;
	unsigned int n = 0;

	while ((at = strstr(at, what))) {
		at += strlen(what);
		n++;
	}
	return n;
}

/* Where standard output and input of the command lead. */
struct where {
	const char *out; /* a file; NULL: a pipe to @out */
	bool out_closed; /* no descriptor at all */
	bool out_stuck; /* a pipe that is full */
	int in; /* -1: a pipe from @in */
};

static inline void fill(int fd)
{
	static const char full[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, full, sizeof(full)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

/* The command after "vigil-fake", split at blanks, '~' for one in a word. */
static inline void start(struct where where, const char *args)
{
	int socks[2], outs[2], errs[2], ins[2], fd;
	char *argv[32] = { fake }, *copy = strdup(args), *at;
	unsigned int n = 1;
	char num[16];

	for (at = strtok(copy, " "); at && n < 31; at = strtok(NULL, " ")) {
		argv[n++] = at;
		while ((at = strchr(at, '~')))
			*at = ' ';
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks) || pipe(outs) ||
	    pipe(errs) || pipe(ins))
		ERROR("no pipes");
	if (where.out_stuck)
		fill(outs[1]);
	pid = fork();
	if (!pid) {
		dup2(where.in < 0 ? ins[0] : where.in, 0);
		dup2(errs[1], 2);
		dup2(outs[1], 1);
		if (where.out) {
			fd = open(where.out, O_WRONLY);
			dup2(fd, 1);
		}
		dup2(socks[1], 200);
		close_range(3, 199, 0);
		close_range(201, ~0u, 0);
		if (where.out_closed)
			close(1);
		snprintf(num, sizeof(num), "%d", 200);
		setenv(FAKE_ENV, num, 1);
		execv(fake, argv);
		_exit(126);
	}
	free(copy);
	close(socks[1]);
	close(outs[1]);
	close(errs[1]);
	close(ins[0]);
	mon = socks[0];
	in = ins[1];
	out.fd = outs[0];
	err.fd = errs[0];
}

static inline void start_plain(const char *args)
{
	start((struct where){ .in = -1 }, args);
}

static inline int end(void)
{
	int64_t limit = now_ms() + LIMIT_MS;
	int status;

	/* A command that hangs is to be a failure with words, so waitpid() alone is not enough. */
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (now_ms() > limit) {
			kill(pid, SIGKILL);
			FAIL("the command does not end");
			test_abort();
		}
		poll(NULL, 0, 2);
	}
	while (more(&err))
		;
	while (more(&out))
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void say(const char *text)
{
	if (write(in, text, strlen(text)) != (ssize_t)strlen(text))
		ERROR("the command does not take its input");
}

static inline struct vigil_event event(uint64_t seq, uint32_t flags)
{
	return (struct vigil_event){
		.size = sizeof(struct vigil_event),
		.flags = flags | VIGIL_EVENT_GVA_VALID | VIGIL_EVENT_INSN_VALID,
		.seq = seq,
		.time_ns = 1000000000 + seq,
		.gva = 0x9000,
		.gpa = 0x9000,
		.rip = 0x7c00,
		.watch_id = 1,
		.vm_id = 7,
		.len = 2,
		.mode = 16,
		.verdicts = 1 << VIGIL_VERDICT_ALLOW | 1 << VIGIL_VERDICT_DENY,
		.insn_len = 4,
		.insn = { 0xff, 0x06, 0x00, 0x90 },
	};
}

static inline void send_event(struct vigil_event ev)
{
	if (send(mon, &ev, sizeof(ev), MSG_NOSIGNAL) != sizeof(ev)) {
		FAIL("nobody reads event %d", (int)ev.seq);
		test_abort();
	}
}

static inline struct fake_msg message(enum fake_what what)
{
	struct pollfd p = { .fd = mon, .events = POLLIN };
	struct fake_msg msg;

	if (poll(&p, 1, LIMIT_MS) != 1 ||
	    recv(mon, &msg, sizeof(msg), 0) != sizeof(msg) ||
	    msg.what != what) {
		FAIL("the monitor is not asked for what was expected (%d)",
		     what);
		test_abort();
	}
	return msg;
}

static inline void check_verdict(uint64_t seq, uint32_t verdict)
{
	struct fake_msg msg = message(FAKE_VERDICT);

	if (msg.verdict.seq != seq || msg.verdict.verdict != verdict)
		FAIL("verdict on %d: %s; not on %d: %s", (int)msg.verdict.seq,
		     msg.verdict.verdict ? "deny" : "allow", (int)seq,
		     verdict ? "deny" : "allow");
}

/* vigil-fake lies beside the test. */
static inline void find_fake(const char *test)
{
	const char *slash = strrchr(test, '/');

	snprintf(fake, sizeof(fake), "%.*s/vigil-fake",
		 slash ? (int)(slash - test) : 1, slash ? test : ".");
}

#endif
