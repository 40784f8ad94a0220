// SPDX-License-Identifier: GPL-2.0
/* The demo's guest: its initramfs, its process, its console. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "cpio.h"
#include "demo.h"
#include "libvm.h"

/*
 * The guest's first process. It reports to the demo by lines that start with
 * "demo:", and waits for a line from the demo where it must. At the end it does
 * work of all sorts, which a damaged guest would not survive.
 */
static const char init_script[] =
	"#!/bin/sh\n"
	"PATH=/bin\n"
	"mkdir -p /demo\n"
	"echo treasure > /demo/" DEMO_HIDDEN "\n"
	"echo nothing > /demo/" DEMO_PLAIN "\n"
	"echo 'demo: ready'\n"
	"read -r line\n"
	"echo 'demo: before:' $(ls /demo)\n"
	"insmod /rootkit.ko dir=/demo hide=" DEMO_HIDDEN "\n"
	"echo \"demo: insmod: $?\"\n"
	"echo 'demo: after:' $(ls /demo)\n"
	"echo 'demo: content:' $(cat /demo/" DEMO_HIDDEN ")\n"
	"n=0\n"
	"while [ $n -lt 5 ]; do\n"
	"  sh -c \"mkdir /demo/d$n && cp /bin/busybox /demo/d$n/ &&"
	"    cmp /bin/busybox /demo/d$n/busybox && rm -r /demo/d$n\" || break\n"
	"  n=$((n + 1))\n"
	"done\n"
	"echo \"demo: worked: $n\"\n"
	"echo 'demo: done'\n"
	"read -r line\n"
	"reboot -f\n";

static const char *const applets[] = {
	"sh", "mkdir", "ls", "cat", "insmod", "cp", "cmp", "rm", "reboot",
};

/* ---- the archive ---- */

int demo_initramfs(FILE *out, const char *busybox, const char *rootkit)
{
	struct cpio c = { .out = out };
	unsigned int i;
	char name[32];
	int ret;

	ret = cpio_program(&c, "bin/busybox", busybox);
	if (!ret)
		ret = cpio_file(&c, "rootkit.ko", 0644, rootkit);
	if (ret)
		return ret;
	for (i = 0; i < sizeof(applets) / sizeof(applets[0]); i++) {
		snprintf(name, sizeof(name), "bin/%s", applets[i]);
		cpio_link(&c, name, "busybox");
	}
	cpio_data(&c, "init", 0755, init_script, sizeof(init_script) - 1);
	return cpio_end(&c);
}

/* ---- the process ---- */

static void exec_guest(const struct demo_boot *b, int in, int out, pid_t parent)
{
	const char *dev = lv_device_path(vigil_options.device);
	char mem[16], *argv[] = {
		"vigil",	   "run",      "--device",
		(char *)dev,	   "--name",   (char *)b->name,
		"--mem",	   mem,	       "--initrd",
		(char *)b->initrd, "--append", (char *)b->append,
		(char *)b->kernel, NULL,
	};
	sigset_t none;

	snprintf(mem, sizeof(mem), "%u", b->mem);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/*
	 * The guest ends with the demo. In a session of its own it does not get the
	 * terminal's Ctrl-C, which is for the demo.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setsid();
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	execv("/proc/self/exe", argv);
	_exit(127);
}

int demo_start(struct demo_guest *g, const struct demo_boot *boot)
{
	int in[2], out[2];
	pid_t parent = getpid();

	memset(g, 0, sizeof(*g));
	if (pipe2(in, O_CLOEXEC))
		return lv_fail(errno, "no pipe for the guest: %s",
			       strerror(errno));
	if (pipe2(out, O_CLOEXEC)) {
		close(in[0]);
		close(in[1]);
		return lv_fail(errno, "no pipe for the guest: %s",
			       strerror(errno));
	}
	fflush(NULL);
	g->pid = fork();
	if (!g->pid)
		exec_guest(boot, in[0], out[1], parent);
	close(in[0]);
	close(out[1]);
	g->in = in[1];
	g->out = out[0];
	if (g->pid > 0)
		return 0;
	g->pid = 0;
	close(g->in);
	close(g->out);
	return lv_fail(EAGAIN, "cannot start a process for the guest");
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Shows the first line of the buffer, and says whether it contains @what. */
static bool take_line(struct demo_guest *g, size_t n, const char *what,
		      char *line, size_t len)
{
	const char *hit;
	bool match;

	g->buf[n] = 0;
	while (n && (g->buf[n - 1] == '\r' || g->buf[n - 1] == '\n'))
		g->buf[--n] = 0;
	if (g->echo && n)
		fprintf(g->echo, "  guest| %s\n", g->buf);
	hit = what ? strstr(g->buf, what) : NULL;
	match = hit;
	if (hit && line)
		snprintf(line, len, "%s", hit);
	return match;
}

/* Return: 1: @what was seen; 0: more input is needed. */
static int scan_lines(struct demo_guest *g, const char *what, char *line,
		      size_t len)
{
	char *end;
	size_t n;

	while ((end = memchr(g->buf, '\n', g->used))) {
		bool match;

		n = end - g->buf + 1;
		*end = 0;
		match = take_line(g, n - 1, what, line, len);
		memmove(g->buf, g->buf + n, g->used - n);
		g->used -= n;
		if (match)
			return 1;
	}
	/* The buffer is full and no line has ended: drop it, so that there is room. */
	if (g->used == sizeof(g->buf) - 1)
		g->used = 0;
	return 0;
}

int demo_expect(struct demo_guest *g, const char *what, char *line, size_t len,
		unsigned int seconds)
{
	int64_t until = now_ms() + seconds * 1000ll, left;
	struct pollfd fd = { .fd = g->out, .events = POLLIN };
	ssize_t n;

	while (!scan_lines(g, what, line, len)) {
		left = until - now_ms();
		if (left <= 0)
			return lv_fail(ETIMEDOUT,
				       "no `%s' from the guest in %u seconds",
				       what, seconds);
		if (poll(&fd, 1, left) <= 0)
			continue;
		n = read(g->out, g->buf + g->used,
			 sizeof(g->buf) - 1 - g->used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lv_fail(EPIPE,
				       "the guest ended before it said `%s'",
				       what);
		g->used += n;
	}
	return 0;
}

int demo_send(struct demo_guest *g, const char *line)
{
	if (write(g->in, line, strlen(line)) == (ssize_t)strlen(line) &&
	    write(g->in, "\n", 1) == 1)
		return 0;
	return lv_fail(EPIPE, "the guest does not listen any more");
}

int demo_wait(struct demo_guest *g, unsigned int seconds)
{
	int status, ret;

	/* No line contains this byte, so this waits for the end of the console. */
	ret = demo_expect(g, "\001", NULL, 0, seconds);
	if (ret != -EPIPE)
		return ret;
	if (waitpid(g->pid, &status, 0) != g->pid)
		return lv_fail(ECHILD, "the guest's process was lost");
	g->pid = 0;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return 128 + WTERMSIG(status);
}

void demo_kill(struct demo_guest *g)
{
	if (g->pid > 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	g->pid = 0;
	if (g->out > 0)
		close(g->out);
	if (g->in > 0)
		close(g->in);
	g->in = g->out = -1;
}
