// SPDX-License-Identifier: GPL-2.0
/*
 * A program that decides about held writes.
 *
 * A guard process stands between the watcher and the shell. The shell and all
 * that it starts are one process group, and the guard kills that group when it
 * gets SIGTERM. The watcher sends SIGTERM when time is up or a signal came, and
 * the kernel sends it when the watcher has died. Killing only the shell would
 * leave a `sleep' in it running. The guard reports the shell's status through a
 * pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "event.h"
#include "judge.h"

static void export_num(const char *name, unsigned long long v, const char *fmt)
{
	char text[32];

	snprintf(text, sizeof(text), fmt, v);
	setenv(name, text, 1);
}

static void export_bytes(const char *name, const uint8_t *bytes, uint32_t len)
{
	char hex[2 * VIGIL_EVENT_DATA + 1];
	unsigned int i;

	hex[0] = 0;
	for (i = 0; i < len && i < VIGIL_EVENT_DATA; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	setenv(name, hex, 1);
}

/* Runs in the child: the environment of the watcher stays as it is. */
static void export_event(const struct vigil_event *ev,
			 const struct vigil_symbols *t)
{
	char sym[300];

	export_num("VIGIL_SEQ", ev->seq, "%llu");
	export_num("VIGIL_VM", ev->vm_id, "%llu");
	export_num("VIGIL_VCPU", ev->vcpu, "%llu");
	export_num("VIGIL_RIP", ev->rip, "0x%llx");
	export_num("VIGIL_CPL", ev->cpl, "%llu");
	setenv("VIGIL_RIP_SYMBOL",
	       vigil_symbols_text(t, ev->rip, sym, sizeof(sym)), 1);
	if (ev->kind == VIGIL_EVENT_CONTROL) {
		setenv("VIGIL_CONTROL", control_of_event(ev) ?: "", 1);
		export_num("VIGIL_CALL", ev->call, "%llu");
		export_num("VIGIL_COUNT", ev->count, "%llu");
		return;
	}
	export_num("VIGIL_GVA", ev->gva, "0x%llx");
	export_num("VIGIL_GPA", ev->gpa, "0x%llx");
	export_num("VIGIL_LEN", ev->len, "%llu");
	setenv("VIGIL_SYMBOL", vigil_symbols_text(t, ev->gva, sym, sizeof(sym)),
	       1);
	export_bytes("VIGIL_OLD", ev->old, ev->len);
	export_bytes("VIGIL_NEW", ev->new_, ev->len);
}

/*
 * Makes this process end with @parent, also if @parent has ended before this
 * call.
 */
static void die_with(pid_t parent, int sig)
{
	prctl(PR_SET_PDEATHSIG, sig);
	if (getppid() != parent)
		_exit(127);
}

static void run_shell(const char *cmd, const struct vigil_event *ev,
		      const struct vigil_symbols *t, pid_t guard)
{
	sigset_t none;

	setpgid(0, 0);
	die_with(guard, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	export_event(ev, t);
	execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
	_exit(127);
}

/*
 * The guard is a process between the watcher and the command: it waits for the
 * command, writes its status to @report, and ends it when the watcher has ended.
 */
static void guard(const char *cmd, const struct vigil_event *ev,
		  const struct vigil_symbols *t, pid_t watcher, int in,
		  int report)
{
	sigset_t set;
	int status, sig;
	pid_t shell;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	die_with(watcher, SIGTERM);
	dup2(in, STDIN_FILENO);
	/* The command's output is for people: it must not mix with the events on stdout. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	/*
	 * Close what the watcher had open, the monitor above all: the watches must end
	 * with the watcher.
	 */
	if (report != 3)
		dup2(report, 3);
	close_range(4, ~0u, 0);
	shell = fork();
	if (!shell) {
		close(3);
		run_shell(cmd, ev, t, getppid());
	}
	if (shell < 0)
		_exit(127);
	setpgid(shell, shell);
	for (;;) {
		if (sigwait(&set, &sig))
			continue;
		if (sig == SIGTERM) {
			kill(-shell, SIGKILL);
			waitpid(shell, &status, 0);
			_exit(0);
		}
		if (waitpid(shell, &status, WNOHANG) == shell)
			break;
	}
	if (write(3, &status, sizeof(status)) != sizeof(status))
		_exit(127);
	_exit(0);
}

/* Writes the event to the command. It fits in the pipe, so this does not block. */
static void feed(int fd, const struct vigil_event *ev,
		 const struct vigil_symbols *t, const struct control_all *all)
{
	char *json = event_json(ev, t, all, EVENT_NO_VERDICT);

	if (json && write(fd, json, strlen(json)) > 0 &&
	    write(fd, "\n", 1) != 1)
		vigil_msg("the command did not take its event");
	free(json);
}

static enum verdict judged(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return VERDICT_ALLOW;
	if (!WIFEXITED(status))
		vigil_msg("the command was ended by signal %d: refused",
			  WTERMSIG(status));
	else if (WEXITSTATUS(status) != 1)
		vigil_msg("the command failed with status %d: refused",
			  WEXITSTATUS(status));
	return VERDICT_DENY;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Waits until @report is readable, because the shell or the guard has ended. */
static enum verdict await(int report, unsigned int timeout_s, int sigfd)
{
	int64_t end = now_ms() + timeout_s * 1000ll, left = -1;
	int status;

	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = report, .events = POLLIN },
			{ .fd = sigfd, .events = POLLIN },
		};

		if (timeout_s) {
			left = end - now_ms();
			if (left <= 0) {
				vigil_msg(
					"the command took longer than %u second%s: refused",
					timeout_s, timeout_s == 1 ? "" : "s");
				return VERDICT_DENY;
			}
			/* poll() takes an int: the loop waits for the rest. */
			if (left > 1000000)
				left = 1000000;
		}
		if (poll(fds, 2, left) < 0)
			continue;
		if (fds[0].revents) {
			if (read(report, &status, sizeof(status)) ==
			    sizeof(status))
				return judged(status);
			vigil_msg(
				"the command ended without an answer: refused");
			return VERDICT_DENY;
		}
		if (fds[1].revents)
			return VERDICT_QUIT;
	}
}

enum verdict judge_exec(const char *cmd, unsigned int timeout_s,
			const struct vigil_event *ev,
			const struct vigil_symbols *t,
			const struct control_all *all, int sigfd)
{
	pid_t self = getpid(), pid = -1;
	int in[2], report[2];
	enum verdict v;

	if (pipe2(in, O_CLOEXEC)) {
		vigil_msg("no pipe for the command: refused");
		return VERDICT_DENY;
	}
	if (pipe2(report, O_CLOEXEC)) {
		vigil_msg("no pipe for the command: refused");
		close(in[0]);
		close(in[1]);
		return VERDICT_DENY;
	}
	pid = fork();
	if (!pid)
		guard(cmd, ev, t, self, in[0], report[1]);
	close(in[0]);
	close(report[1]);
	if (pid > 0) {
		feed(in[1], ev, t, all);
		close(in[1]);
		v = await(report[0], timeout_s, sigfd);
		/* SIGTERM makes a guard that still runs end the command. */
		kill(pid, SIGTERM);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	} else {
		close(in[1]);
		vigil_msg("cannot start the command: refused");
		v = VERDICT_DENY;
	}
	close(report[0]);
	return v;
}
