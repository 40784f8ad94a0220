// SPDX-License-Identifier: GPL-2.0
/* Who decides about a held write: a person, or a program. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "event.h"
#include "verdict.h"

enum verdict verdict_ask(int sigfd)
{
	char line[128];
	size_t used = 0;

	fprintf(stderr, "allow this write? [y/N] ");
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = STDIN_FILENO, .events = POLLIN },
		};
		ssize_t n;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return VERDICT_QUIT;
		n = read(STDIN_FILENO, line + used, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fputs("no answer: refused\n", stderr);
			return VERDICT_DENY;
		}
		if (line[used] == '\n')
			break;
		if (used < sizeof(line) - 1)
			used++;
	}
	line[used] = 0;
	return *line == 'y' || *line == 'Y' ? VERDICT_ALLOW : VERDICT_DENY;
}

static void export_num(const char *name, unsigned long long v, const char *fmt)
{
	char text[32];

	snprintf(text, sizeof(text), fmt, v);
	setenv(name, text, 1);
}

/* in the child */
static void export_event(const struct vigil_event *ev, const struct symtab *t)
{
	char sym[300], hex[2 * VIGIL_EVENT_DATA + 1];
	unsigned int i;

	export_num("VIGIL_SEQ", ev->seq, "%llu");
	export_num("VIGIL_VM", ev->vm_id, "%llu");
	export_num("VIGIL_VCPU", ev->vcpu, "%llu");
	export_num("VIGIL_GVA", ev->gva, "0x%llx");
	export_num("VIGIL_GPA", ev->gpa, "0x%llx");
	export_num("VIGIL_LEN", ev->len, "%llu");
	export_num("VIGIL_RIP", ev->rip, "0x%llx");
	export_num("VIGIL_CPL", ev->cpl, "%llu");
	setenv("VIGIL_SYMBOL", symtab_text(t, ev->gva, sym, sizeof(sym)), 1);
	setenv("VIGIL_RIP_SYMBOL", symtab_text(t, ev->rip, sym, sizeof(sym)),
	       1);
	hex[0] = 0;
	for (i = 0; i < ev->len && i < VIGIL_EVENT_DATA; i++)
		sprintf(hex + 2 * i, "%02x", ev->old[i]);
	setenv("VIGIL_OLD", hex, 1);
	for (i = 0; i < ev->len && i < VIGIL_EVENT_DATA; i++)
		sprintf(hex + 2 * i, "%02x", ev->new_[i]);
	setenv("VIGIL_NEW", hex, 1);
}

static void run_child(const char *cmd, const struct vigil_event *ev,
		      const struct symtab *t, int in)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, STDIN_FILENO);
	/* what it says is for people, not part of a stream of events */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	export_event(ev, t);
	execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
	_exit(127);
}

/* all that fits in the pipe at once: an event does */
static void feed(int fd, const struct vigil_event *ev, const struct symtab *t)
{
	char *json = event_json(ev, t, EVENT_NO_VERDICT);

	if (json && write(fd, json, strlen(json)) > 0 &&
	    write(fd, "\n", 1) != 1)
		vigil_msg("the command did not take its event");
	free(json);
}

static enum verdict judge(int status)
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

enum verdict verdict_exec(const char *cmd, const struct vigil_event *ev,
			  const struct symtab *t, int sigfd)
{
	int pipefd[2], status, pidfd;
	pid_t pid;

	if (pipe2(pipefd, 0)) {
		vigil_msg("no pipe for the command: refused");
		return VERDICT_DENY;
	}
	pid = fork();
	if (!pid) {
		close(pipefd[1]);
		run_child(cmd, ev, t, pipefd[0]);
	}
	close(pipefd[0]);
	if (pid < 0) {
		close(pipefd[1]);
		vigil_msg("cannot start the command: refused");
		return VERDICT_DENY;
	}
	feed(pipefd[1], ev, t);
	close(pipefd[1]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN },
		};

		if (pidfd >= 0 && poll(fds, 2, -1) < 0)
			continue;
		if (pidfd >= 0 && fds[0].revents && !fds[1].revents) {
			kill(pid, SIGTERM);
			waitpid(pid, &status, 0);
			close(pidfd);
			return VERDICT_QUIT;
		}
		if (waitpid(pid, &status, 0) == pid)
			break;
	}
	if (pidfd >= 0)
		close(pidfd);
	return judge(status);
}
