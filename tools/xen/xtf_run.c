// SPDX-License-Identifier: GPL-2.0
/* One image of the Xen Test Framework in a `vigil run' of its own, and its verdict. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "libvm.h"
#include "xtf.h"

#define MAX_OUTPUT (1u << 20)
#define GRACE_MS 5000 /* between SIGTERM and SIGKILL */

static const char *const words[] = {
	[XTF_SUCCESS] = "SUCCESS",
	[XTF_SKIP] = "SKIP",
	[XTF_ERROR] = "ERROR",
	[XTF_FAILURE] = "FAILURE",
};

/* ---- the verdict ---- */

/* The last line of the output that begins with @start, without its end. */
static const char *last_line(const struct xtf_test *t, const char *start,
			     size_t *len)
{
	const char *line = t->output, *found = NULL;

	while (line && *line) {
		if (!strncmp(line, start, strlen(start)))
			found = line;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	*len = found ? strcspn(found, "\r\n") : 0;
	return found;
}

static void set_reason(struct xtf_test *t, const char *start)
{
	const char *line;
	size_t len;

	line = last_line(t, start, &len);
	snprintf(t->reason, sizeof(t->reason), "%.*s", (int)len,
		 line ? line : "");
}

static void crashed(struct xtf_test *t, int status)
{
	t->result = XTF_CRASH;
	set_reason(t, "vigil: ");
	if (t->reason[0])
		return;
	if (status >= 128)
		snprintf(t->reason, sizeof(t->reason),
			 "vigil run was ended by signal %d", status - 128);
	else
		snprintf(t->reason, sizeof(t->reason),
			 "it ended without a result, status %d", status);
}

void xtf_judge(struct xtf_test *t, int status)
{
	static const char *const reasons[] = {
		[XTF_SUCCESS] = "Success:",
		[XTF_SKIP] = "Skip:",
		[XTF_ERROR] = "Error:",
		[XTF_FAILURE] = "Fail",
	};
	static const char start[] = "Test result: ";
	const char *line;
	size_t len;
	int i;

	t->reason[0] = 0;
	line = last_line(t, start, &len);
	for (i = XTF_SUCCESS; line && !status && i <= XTF_FAILURE; i++) {
		if (len - strlen(start) != strlen(words[i]) ||
		    strncmp(line + strlen(start), words[i], strlen(words[i])))
			continue;
		t->result = i;
		set_reason(t, reasons[i]);
		return;
	}
	crashed(t, status);
}

/* ---- the run ---- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int xtf_signals(struct xtf_signals *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &s->old);
	s->fd = signalfd(-1, &set, SFD_CLOEXEC);
	return s->fd < 0 ? lv_fail(errno, "signalfd: %s", strerror(errno)) : 0;
}

static void __attribute__((noreturn))
child(const struct xtf_test *t, int out, const sigset_t *old)
{
	const char *argv[16];
	int n = 0, null = open("/dev/null", O_RDONLY);

	argv[n++] = "vigil";
	argv[n++] = "run";
	if (vigil_options.device) {
		argv[n++] = "--device";
		argv[n++] = vigil_options.device;
	}
	argv[n++] = "--xen";
	argv[n++] = "--forced-emulation";
	argv[n++] = "--mem=128";
	argv[n++] = "--";
	argv[n++] = t->image;
	argv[n] = NULL;
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(out, 2) < 0)
		_exit(VIGIL_EX_OS);
	sigprocmask(SIG_SETMASK, old, NULL);
	execv("/proc/self/exe", (char **)argv);
	_exit(VIGIL_EX_OS);
}

/* Reads what there is. Return: false at the end. */
static bool take_output(struct xtf_test *t, int fd)
{
	static char over[4096];
	size_t room = MAX_OUTPUT - t->len;
	ssize_t n;

	n = room ? read(fd, t->output + t->len, room) :
		   read(fd, over, sizeof(over));
	if (n < 0)
		return errno == EINTR;
	if (room)
		t->len += n;
	return n;
}

/* The guest chooses these bytes, and they end in a terminal. */
static void make_printable(struct xtf_test *t)
{
	size_t i;

	for (i = 0; i < t->len; i++)
		if ((t->output[i] < ' ' && !strchr("\n\r\t", t->output[i])) ||
		    !t->output[i] || t->output[i] > '~')
			t->output[i] = '?';
}

/* Waits until the pipe has ended. Return: 0 or a signal that asks us to end. */
static int gather(struct xtf_test *t, pid_t pid, int fd, int sigfd,
		  double deadline)
{
	struct pollfd p[] = { { fd, POLLIN, 0 }, { sigfd, POLLIN, 0 } };
	struct signalfd_siginfo info;
	int sig = 0, left;
	bool asked = false;

	for (;;) {
		left = (deadline - now()) * 1000;
		if (left <= 0) {
			/* A child that does not heed SIGTERM gets SIGKILL. */
			kill(pid, asked ? SIGKILL : SIGTERM);
			if (!sig)
				t->result = XTF_TIMEOUT;
			asked = true;
			deadline = now() + GRACE_MS / 1000.0;
			continue;
		}
		if (poll(p, 2, left) < 0 && errno != EINTR)
			return sig;
		if (p[1].revents &&
		    read(sigfd, &info, sizeof(info)) == sizeof(info)) {
			sig = sig ?: (int)info.ssi_signo;
			deadline = now();
		}
		if (p[0].revents && !take_output(t, fd))
			return sig;
	}
}

int xtf_run(struct xtf_test *t, unsigned int limit, const struct xtf_signals *s)
{
	int pipefd[2], status, sig = 0;
	double begin = now();
	pid_t pid;

	t->output = calloc(1, MAX_OUTPUT + 1);
	if (!t->output || pipe2(pipefd, O_CLOEXEC))
		return VIGIL_EX_OS;
	t->result = XTF_CRASH;
	pid = fork();
	if (!pid)
		child(t, pipefd[1], &s->old);
	close(pipefd[1]);
	if (pid > 0) {
		sig = gather(t, pid, pipefd[0], s->fd, begin + limit);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(pipefd[0]);
	t->seconds = now() - begin;
	make_printable(t);
	if (pid < 0)
		return VIGIL_EX_OS;
	if (sig)
		return 128 + sig;
	if (t->result == XTF_TIMEOUT) {
		snprintf(t->reason, sizeof(t->reason), "no result after %u s",
			 limit);
		return 0;
	}
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				       WEXITSTATUS(status);
	if (status == VIGIL_EX_DEVICE || status == VIGIL_EX_OS ||
	    status == VIGIL_EX_USAGE)
		return status;
	xtf_judge(t, status);
	return 0;
}
