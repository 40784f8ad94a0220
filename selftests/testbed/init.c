// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the emulated host: prepares it, runs one command, and tells the
 * testbed how it ended.
 *
 * There are three serial ports. ttyS0 carries the kernel log, and only the
 * kernel writes to it. ttyS1 carries the command's output, byte for byte. ttyS2
 * carries the status. A status line holds a number that was made up for this
 * run. Only this program knows it, because the file is gone before the command
 * starts. So neither a dead host nor a command that prints the right words can
 * pass.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define KMEMLEAK "/sys/kernel/debug/kmemleak"
/* kmemleak does not report an object younger than this. */
#define KMEMLEAK_AGE_S 5
#define UNLOAD_S 10

static int status_fd = -1;
static char nonce[64];

/* Sends a status line. If even that is impossible, the host must not pass. */
static void report(const char *fmt, ...)
{
	va_list ap;

	if (status_fd < 0)
		return;
	dprintf(status_fd, "vigil-status %s ", nonce);
	va_start(ap, fmt);
	vdprintf(status_fd, fmt, ap);
	va_end(ap);
	dprintf(status_fd, "\n");
	tcdrain(status_fd);
}

/* The device takes one write() for each record. dprintf() would seek. */
static void __attribute__((format(printf, 1, 2))) kmsg(const char *fmt, ...)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[512];
	va_list ap;
	int n;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	/* The message is lost then, but the run fails nevertheless. */
	if (n > 0 && write(fd, line, n) != n)
		report("broken /dev/kmsg: %s", strerror(errno));
	close(fd);
}

static void __attribute__((noreturn)) end(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) broken(const char *what)
{
	int err = errno;

	kmsg("testbed: %s: %s\n", what, strerror(err));
	report("broken %s: %s", what, strerror(err));
	end();
}

/* Reads a whole small file; the result is NUL-terminated. */
static char *slurp(const char *path, size_t *len)
{
	size_t size = 0, room = 0;
	char *buf = NULL;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	do {
		if (room - size < 4096) {
			room += 65536;
			buf = realloc(buf, room + 1);
			if (!buf)
				broken(path);
		}
		n = read(fd, buf + size, room - size);
		if (n > 0)
			size += n;
	} while (n > 0);
	close(fd);
	buf[size] = 0;
	if (len)
		*len = size;
	return buf;
}

static bool spew(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static int open_port(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	if (fd < 0 || tcgetattr(fd, &t))
		return -1;
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cflag &= ~(HUPCL | CRTSCTS);
	tcsetattr(fd, TCSANOW, &t);
	return fd;
}

static void mounts(void)
{
	static const struct {
		const char *type, *dir, *opts;
	} table[] = {
		{ "proc", "/proc", "" },
		{ "sysfs", "/sys", "" },
		{ "devtmpfs", "/dev", "" },
		{ "tmpfs", "/tmp", "mode=1777" },
		{ "tmpfs", "/run", "mode=755" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
		{ "devpts", "/dev/pts", "mode=620" },
		{ "debugfs", "/sys/kernel/debug", "" },
		{ "tracefs", "/sys/kernel/tracing", "" },
		{ "cgroup2", "/sys/fs/cgroup", "" },
	};

	/*
	 * A small kernel may lack a file system. Then it is just not mounted.
	 */
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		mkdir(table[i].dir, 0755);
		mount(table[i].type, table[i].dir, table[i].type, 0,
		      table[i].opts);
	}
	symlink("/proc/self/fd", "/dev/fd");
}

/*
 * Each line of the file has the path of a module, a blank, and its parameters.
 */
static void load_modules(void)
{
	char *list = slurp("/vigil-modules", NULL), *save = NULL;

	if (!list)
		return;
	for (char *l = strtok_r(list, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save)) {
		char *args = strchr(l, ' ');
		int fd;

		if (args)
			*args++ = 0;
		fd = open(l, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, args ?: "", 0)) {
			const char *name = strrchr(l, '/');

			broken(name ? name + 1 : l);
		}
		close(fd);
	}
	free(list);
}

/* Each line of the file is NAME=VALUE. */
static void environment(void)
{
	char *list = slurp("/vigil-env", NULL), *save = NULL;

	clearenv();
	/* putenv() keeps the strings, so the buffer stays. */
	for (char *l = list ? strtok_r(list, "\n", &save) : NULL; l;
	     l = strtok_r(NULL, "\n", &save))
		putenv(l);
}

static void on_child(int sig)
{
	(void)sig;
}

/*
 * Makes the port of the command's output its terminal. The file from the
 * testbed has the size, "ROWS COLUMNS". Without that file the command gets no
 * terminal, and the port stays as it is, so output passes unchanged.
 */
static void take_terminal(void)
{
	char *size = slurp("/vigil-terminal", NULL);
	struct winsize ws = { 0 };
	struct termios t;
	int fd;

	if (!size)
		return;
	fd = open("/dev/ttyS1", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) || tcgetattr(fd, &t))
		broken("terminal");
	t.c_iflag |= ICRNL | IXON;
	t.c_oflag |= OPOST | ONLCR;
	t.c_lflag |= ISIG | ICANON | IEXTEN | ECHO | ECHOE | ECHOK | ECHOCTL |
		     ECHOKE;
	tcsetattr(fd, TCSANOW, &t);
	if (sscanf(size, "%hu %hu", &ws.ws_row, &ws.ws_col) == 2)
		ioctl(fd, TIOCSWINSZ, &ws);
	free(size);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
}

static pid_t start(void)
{
	size_t len, n = 0, max = 0;
	char *args = slurp("/vigil-argv", &len), **argv;
	sigset_t none;
	pid_t pid;

	for (size_t i = 0; args && i < len; i++)
		max += !args[i];
	if (!max) {
		errno = ENOENT;
		broken("no command");
	}
	argv = calloc(max + 1, sizeof(*argv));
	if (!argv)
		broken("command");
	for (char *p = args; n < max; p += strlen(p) + 1)
		argv[n++] = p;

	pid = fork();
	if (pid < 0)
		broken("fork");
	if (pid)
		return pid;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	take_terminal();
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * Waits for the command and collects orphans. When the command's time is up,
 * the testbed sends a line. The answer tells it that the host is alive and that
 * only the command hangs.
 */
static bool wait_for(pid_t pid, int *status)
{
	struct pollfd pfd = { .fd = status_fd, .events = POLLIN };
	sigset_t none;
	char buf[64];

	sigemptyset(&none);
	for (;;) {
		pid_t done;

		while ((done = waitpid(-1, status, WNOHANG)) > 0) {
			if (done == pid)
				return true;
		}
		if (ppoll(&pfd, 1, NULL, &none) <= 0)
			continue;
		if (read(status_fd, buf, sizeof(buf)) > 0) {
			spew("/proc/sysrq-trigger", "w");
			spew("/proc/sysrq-trigger", "l");
			return false;
		}
	}
}

static void kill_rest(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/*
 * Every process is dead, so nothing may hold the module for long. A kernel
 * thread (khugepaged, ksmd) may be at work on a dead process's memory for a
 * moment.
 */
static void unload(void)
{
	int tries = UNLOAD_S * 100;

	if (access("/sys/module/vigil", F_OK))
		return;
	while (syscall(SYS_delete_module, "vigil", O_NONBLOCK)) {
		if (errno == EWOULDBLOCK && tries--) {
			usleep(10000);
			continue;
		}
		kmsg("<4>WARNING: testbed: vigil cannot be unloaded after every process ended: %s\n",
		     strerror(errno));
		return;
	}
}

static void kmemleak_start(void)
{
	if (!access(KMEMLEAK, W_OK))
		spew(KMEMLEAK, "scan=off");
}

static void kmemleak_end(void)
{
	char *text, *save = NULL;

	if (access(KMEMLEAK, W_OK))
		return;
	sleep(KMEMLEAK_AGE_S);
	/*
	 * kmemleak notes checksums in the first scan, and reports in the second
	 * what did not change.
	 */
	spew(KMEMLEAK, "scan");
	spew(KMEMLEAK, "scan");
	text = slurp(KMEMLEAK, NULL);
	if (!text)
		return;
	for (char *l = strtok_r(text, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save))
		kmsg("<4>kmemleak: %s\n", l);
	free(text);
}

static unsigned long taint(void)
{
	char *text = slurp("/proc/sys/kernel/tainted", NULL);
	unsigned long t = text ? strtoul(text, NULL, 10) : ~0UL;

	free(text);
	return t;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_child };
	int out, null, status = 0;
	sigset_t child;
	bool done;
	char *text;
	pid_t pid;

	mounts();
	status_fd = open_port("/dev/ttyS2");
	text = slurp("/vigil-nonce", NULL);
	if (text)
		snprintf(nonce, sizeof(nonce), "%s", text);
	unlink("/vigil-nonce");
	free(text);

	out = open_port("/dev/ttyS1");
	null = open("/dev/null", O_RDONLY);
	if (out < 0 || null < 0 || status_fd < 0)
		broken("serial ports");
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	environment();
	chdir("/root");

	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);

	report("booted");
	kmemleak_start();
	load_modules();
	report("started");
	pid = start();
	done = wait_for(pid, &status);
	tcdrain(out);
	kill_rest();
	unload();
	kmemleak_end();
	tcdrain(out);
	if (!done)
		report("timeout taint %#lx", taint());
	else if (WIFSIGNALED(status))
		report("signal %d taint %#lx", WTERMSIG(status), taint());
	else
		report("exit %d taint %#lx", WEXITSTATUS(status), taint());
	end();
}
