// SPDX-License-Identifier: GPL-2.0
/*
 * One step of `vigil hwreport`: a program in a process group of its own, with a limit
 * of time. What it prints goes to the report as it comes. Before a step changes the
 * host, it appends a shell command to the file $HWREPORT_UNDO that takes the change
 * back; these commands run, the last one first, however the step ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hwreport.h"

#define STEP_SKIPPED 77 /* exit status, as Automake's tests have it */
#define UNDO_LIMIT_S 120
#define KILL_LIMIT_S 10
#define OUTPUT_MAX (4u << 20) /* of one step, in the report */
#define REASON "reason: "

/* How a program ended. */
struct outcome {
	int status; /* of waitpid() */
	bool timed_out;
	bool immortal; /* a process of it is there after SIGKILL */
	int signal; /* that came for this command, or 0 */
};

/* What a program prints, on its way to the report. */
struct output {
	struct hwreport *r;
	char buf[8192];
	size_t len, total;
	char *reason; /* HWREPORT_REASON_MAX bytes, or NULL */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* The last line "reason: ..." says why a step failed or was skipped. */
static void note_reason(struct output *o, size_t len)
{
	const char *line = o->buf, *end = o->buf + len;

	while (o->reason && line < end) {
		const char *nl = memchr(line, '\n', end - line);
		size_t n = (nl ?: end) - line, skip = strlen(REASON);

		if (n > skip && !memcmp(line, REASON, skip))
			snprintf(o->reason, HWREPORT_REASON_MAX, "%.*s",
				 (int)(n - skip), line + skip);
		line += n + 1;
	}
}

/* Passes on whole lines, and @all of the rest when nothing follows. */
static void output_flush(struct output *o, bool all)
{
	const char *nl = memrchr(o->buf, '\n', o->len);
	size_t len = all || (!nl && o->len == sizeof(o->buf)) ? o->len :
		     nl ? (size_t)(nl - o->buf) + 1 :
			  0;

	if (!len)
		return;
	note_reason(o, len);
	if (o->total < OUTPUT_MAX && o->total + len >= OUTPUT_MAX)
		hwreport_output(o->r, "(the rest of the output is left out)\n",
				37);
	if (o->total + len < OUTPUT_MAX)
		hwreport_output(o->r, o->buf, len);
	o->total += len;
	o->len -= len;
	memmove(o->buf, o->buf + len, o->len);
}

/* Reads what is there. False: end of file. */
static bool output_read(struct output *o, int fd)
{
	ssize_t n = read(fd, o->buf + o->len, sizeof(o->buf) - o->len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	o->len += n;
	output_flush(o, !n);
	return n;
}

/* Starts a program; with a @command it is a shell that executes it. */
static pid_t start(const char *path, const char *command, int *out)
{
	int fds[2], null;
	sigset_t none;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		null = open("/dev/null", O_RDONLY);
		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		signal(SIGPIPE, SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (command)
			execl(path, path, "-c", command, NULL);
		else
			execl(path, path, NULL);
		dprintf(2, REASON "%s: %s\n", path, strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -1;
	}
	/* The child does it too: the group exists, whichever of the two runs first. */
	setpgid(pid, pid);
	*out = fds[0];
	return pid;
}

/* Kills each child of this process; those that lost their parents are among them. */
static void kill_children(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid;

	if (!f)
		return;
	while (fscanf(f, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(f);
}

/* Ends what a program has left. False: a process outlives SIGKILL. */
static bool end_all(pid_t group)
{
	struct timespec tick = { .tv_nsec = 10000000 };
	int64_t end = now_ms() + KILL_LIMIT_S * 1000;
	pid_t pid;

	do {
		kill(-group, SIGKILL);
		kill_children();
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return true; /* there is no child left */
		nanosleep(&tick, NULL);
	} while (now_ms() < end);
	return false;
}

/*
 * Takes what comes: output, a signal, the end of time, the end of the program, which
 * stays a zombie, so that the number of its group is kept.
 */
static void attend(int ended, struct output *o, int out, int signals,
		   unsigned int limit_s, struct outcome *how)
{
	struct pollfd fds[] = { { .fd = out, .events = POLLIN },
				{ .fd = signals, .events = POLLIN },
				{ .fd = ended, .events = POLLIN } };
	int64_t end = now_ms() + limit_s * 1000ll;

	while (!fds[2].revents) {
		struct signalfd_siginfo si;
		int64_t left = end - now_ms();

		if (left <= 0) {
			how->timed_out = true;
			return;
		}
		if (poll(fds, 3, left < INT_MAX ? left : INT_MAX) <= 0)
			continue;
		if (fds[0].revents && !output_read(o, out))
			fds[0].fd = -1;
		if (fds[1].revents &&
		    read(signals, &si, sizeof(si)) == sizeof(si)) {
			how->signal = si.ssi_signo;
			return;
		}
	}
}

static struct outcome run(struct output *o, const char *path,
			  const char *command, int signals,
			  unsigned int limit_s)
{
	struct outcome how = { .status = 127 << 8 };
	int out, ended;
	pid_t pid = start(path, command, &out);

	if (pid < 0) {
		if (o->reason)
			snprintf(o->reason, HWREPORT_REASON_MAX,
				 "it cannot be started: %s", strerror(errno));
		return how;
	}
	ended = syscall(SYS_pidfd_open, pid, 0);
	if (ended < 0) {
		if (o->reason)
			snprintf(o->reason, HWREPORT_REASON_MAX,
				 "pidfd_open: %s", strerror(errno));
	} else {
		attend(ended, o, out, signals, limit_s, &how);
		close(ended);
		if (how.timed_out || how.signal)
			how.status = SIGKILL;
		else
			waitpid(pid, &how.status, WNOHANG);
	}
	how.immortal = !end_all(pid);
	while (output_read(o, out) && o->len < sizeof(o->buf)) {
		struct pollfd more = { .fd = out, .events = POLLIN };

		if (poll(&more, 1, 0) <= 0)
			break;
	}
	output_flush(o, true);
	close(out);
	return how;
}

/* Runs the commands of the file, the last line first. False: one of them failed. */
static bool undo(struct hwreport *r, const char *path)
{
	char *line[256], *text = NULL;
	FILE *f = fopen(path, "re");
	size_t n = 0, size = 0;
	bool good = true;

	if (!f)
		return true;
	while (n < 256 && getline(&text, &size, f) > 0) {
		line[n] = strndup(text, strcspn(text, "\n"));
		if (!line[n])
			break;
		n++;
	}
	/* A command that is not known would be a change that stays. */
	good = feof(f);
	free(text);
	fclose(f);
	while (n--) {
		struct output o = { .r = r };
		struct outcome how;

		hwreport_line(r, "| undo: %s", line[n]);
		how = run(&o, "/bin/sh", line[n], -1, UNDO_LIMIT_S);
		if (how.timed_out || how.status) {
			hwreport_line(r, "| undo: failed, status %#x",
				      how.status);
			good = false;
		}
		free(line[n]);
	}
	unlink(path);
	return good;
}

static void judge(struct hwreport_step *step, const struct outcome *how)
{
	bool told = *step->reason;

	step->end = HWREPORT_FAILED;
	if (how->timed_out) {
		snprintf(step->reason, sizeof(step->reason),
			 "not done after %u s", step->limit_s);
	} else if (how->signal) {
		snprintf(step->reason, sizeof(step->reason),
			 "interrupted by signal %d", how->signal);
	} else if (WIFSIGNALED(how->status)) {
		snprintf(step->reason, sizeof(step->reason),
			 "ended by signal %d", WTERMSIG(how->status));
	} else if (!WEXITSTATUS(how->status)) {
		step->end = HWREPORT_OK;
	} else if (WEXITSTATUS(how->status) == STEP_SKIPPED && told) {
		step->end = HWREPORT_SKIPPED;
	} else if (!told) {
		snprintf(step->reason, sizeof(step->reason), "status %d",
			 WEXITSTATUS(how->status));
	}
	if (how->immortal) {
		step->end = HWREPORT_FAILED;
		snprintf(step->reason, sizeof(step->reason),
			 "a process of it cannot be killed");
	}
}

int hwreport_run_step(struct hwreport *r, struct hwreport_step *step,
		      const char *work, int signals)
{
	char *undo_path;
	struct output o = { .r = r, .reason = step->reason };
	struct outcome how;

	*step->reason = 0;
	if (asprintf(&undo_path, "%s/undo", work) < 0) {
		step->end = HWREPORT_FAILED;
		snprintf(step->reason, sizeof(step->reason), "out of memory");
		return 0;
	}
	unlink(undo_path);
	setenv("HWREPORT_UNDO", undo_path, 1);
	/* Who loses its parent becomes a child of this process, and is found. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	how = run(&o, step->path, NULL, signals, step->limit_s);
	judge(step, &how);
	if (!undo(r, undo_path)) {
		step->end = HWREPORT_FAILED;
		snprintf(step->reason, sizeof(step->reason),
			 "what it changed could not be undone");
	}
	free(undo_path);
	return how.signal;
}
