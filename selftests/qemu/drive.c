// SPDX-License-Identifier: GPL-2.0
/*
 * drive [OPTION OF QEMU...]: runs Debian's QEMU on /dev/kvm with the guest of
 * guest.c, and controls it by QMP. It saves the guest to an image and loads it
 * there again, into the same process. Then it moves the guest to a new process
 * through a file. After each load, the guest has to print the lines again that
 * it printed before. TAP. QEMU_WAIT_S in the environment limits the time for
 * any one answer.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG "/tmp/qemu.log" /* QEMU's own output */
#define CONSOLE "/tmp/console" /* the guest's kernel */
#define STATE "/tmp/state" /* a guest that moves */
#define ROUNDS 20000
#define LOADS 2
#define AFTER 6 /* rounds that the guest makes before and behind a load */
#define MORE_ARGS 32

/* A stream from QEMU, which is taken apart into lines. */
struct stream {
	int fd;
	bool eof;
	size_t len;
	char buf[1 << 16];
};

/* After a load, the next whole line is of one of these rounds. */
struct save {
	char name[8];
	int first, last;
};

static struct stream qmp, port;
static pid_t qemu;
static char **more;
static int more_count;
static time_t wait_s = 300;
static unsigned long long sum_of[ROUNDS];
static bool known[ROUNDS];
static int round_now; /* the last whole line was of this round; 0: none yet */
static int landed; /* the first whole line after a load was of this one */
static int compared; /* rounds that were printed a second time */
static bool partial; /* The line that comes in began before a load. */
static int number, failed;
static double started;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void show(const char *title, const char *path)
{
	char line[400];
	FILE *f = fopen(path, "r");

	printf("# --- %s\n", title);
	/* Show the last 6,000 bytes: what matters stands at the end. */
	if (f && !fseek(f, -6000, SEEK_END))
		fgets(line, sizeof(line), f);
	while (f && fgets(line, sizeof(line), f))
		printf("# %s%s", line, strchr(line, '\n') ? "" : "\n");
	if (f)
		fclose(f);
}

static void kill_qemu(void)
{
	if (qemu > 0) {
		kill(qemu, SIGKILL);
		waitpid(qemu, NULL, 0);
	}
	qemu = 0;
}

static void result(bool ok, const char *name)
{
	failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", ++number, name);
	fflush(stdout);
}

static const char *doing = "QEMU starts and the guest comes to its init";

/* Ends the run: after one failure the guest shows nothing any more. */
static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *fmt, ...)
{
	va_list ap;

	kill_qemu();
	printf("# FAIL ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n# the last round was %d; on the guest's port: %.*s\n",
	       round_now, (int)port.len, port.buf);
	show("QEMU", LOG);
	show("the guest's console", CONSOLE);
	result(false, doing);
	printf("1..%d\n%d passed, %d failed, 0 skipped\n", number,
	       number - failed, failed);
	exit(1);
}

static void spawn(const char *incoming)
{
	const char *args[32 + MORE_ARGS] = {
		"qemu-system-x86_64",
		"-no-user-config",
		"-nodefaults",
		"-machine",
		"pc",
		"-accel",
		"kvm,kernel-irqchip=off",
		"-display",
		"none",
		"-no-reboot",
		"-chardev",
		"socket,id=qmp,fd=3",
		"-mon",
		"chardev=qmp,mode=control",
		"-serial",
		"file:" CONSOLE,
		"-chardev",
		"socket,id=port,fd=4",
		"-serial",
		"chardev:port",
	};
	int a[2], b[2], n = 20;

	for (int i = 0; i < more_count; i++)
		args[n++] = more[i];
	if (incoming) {
		args[n++] = "-incoming";
		args[n++] = incoming;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b))
		fail("socketpair: %s", strerror(errno));
	fflush(stdout);
	qemu = fork();
	if (qemu < 0)
		fail("fork: %s", strerror(errno));
	if (!qemu) {
		int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND, 0600);
		/* Take a number above those that QEMU's own descriptors get. */
		int one = fcntl(a[1], F_DUPFD, 10);
		int two = fcntl(b[1], F_DUPFD, 10);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, 1);
		dup2(log, 2);
		dup2(one, 3);
		dup2(two, 4);
		closefrom(5);
		execvp(args[0], (char **)args);
		fprintf(stderr, "%s: %s\n", args[0], strerror(errno));
		_exit(127);
	}
	close(a[1]);
	close(b[1]);
	qmp = (struct stream){ .fd = a[0] };
	port = (struct stream){ .fd = b[0] };
	fcntl(qmp.fd, F_SETFL, O_NONBLOCK);
	fcntl(port.fd, F_SETFL, O_NONBLOCK);
	partial = true;
}

/* Takes what there is. Returns false if there was nothing. */
static bool take(struct stream *s)
{
	ssize_t n;

	if (s->len == sizeof(s->buf))
		fail("a line of %zu bytes", s->len);
	n = read(s->fd, s->buf + s->len, sizeof(s->buf) - s->len);
	if (n > 0)
		s->len += n;
	else if (!n || errno != EAGAIN)
		s->eof = true;
	return n > 0;
}

/* Returns the next line, without its end. */
static bool line_of(struct stream *s, char *line, size_t size)
{
	char *end = memchr(s->buf, '\n', s->len);
	size_t n = end ? end - s->buf : 0;

	if (!end)
		return false;
	snprintf(line, size, "%.*s", (int)n, s->buf);
	line[strcspn(line, "\r")] = 0;
	s->len -= n + 1;
	memmove(s->buf, end + 1, s->len);
	return true;
}

static void one_round(const char *line)
{
	unsigned long long sum;
	int round, end = -1;

	if (sscanf(line, "round %d sum %16llx%n", &round, &sum, &end) != 2 ||
	    line[end] || round <= 0 || round >= ROUNDS)
		fail("the guest says: %s", line);
	if (round_now && round != round_now + 1)
		fail("round %d comes behind round %d", round, round_now);
	if (known[round] && sum_of[round] != sum)
		fail("round %d had the sum %016llx, and has %016llx after the load",
		     round, sum_of[round], sum);
	if (!round_now)
		landed = round;
	compared += known[round];
	known[round] = true;
	sum_of[round] = sum;
	round_now = round;
}

static void read_port(void)
{
	char line[400];

	while (take(&port))
		;
	while (line_of(&port, line, sizeof(line))) {
		if (!partial)
			one_round(line);
		partial = false;
	}
}

/* Waits until one of the streams has something, and takes the guest's lines. */
static void pump(double until, const char *what)
{
	struct pollfd p[2] = { { .fd = qmp.fd, .events = POLLIN },
			       { .fd = port.fd, .events = POLLIN } };
	int status;

	read_port();
	if (qmp.eof || port.eof) {
		if (waitpid(qemu, &status, 0) == qemu)
			qemu = 0;
		fail("QEMU ended, status %#x, while waiting for %s", status,
		     what);
	}
	if (now() > until)
		fail("nothing in %ld s, while waiting for %s", (long)wait_s,
		     what);
	poll(p, 2, 1000);
}

/* Waits for a message of QMP that begins with @start. Events are skipped. */
static void message(const char *start, const char *what, char *line,
		    size_t size)
{
	double until = now() + wait_s;

	for (;;) {
		take(&qmp);
		while (line_of(&qmp, line, size)) {
			if (!strncmp(line, "{\"error\"", 8))
				fail("QEMU answers %s to %s", line, what);
			if (!strncmp(line, start, strlen(start)))
				return;
		}
		pump(until, what);
	}
}

static void ask(const char *text, char *reply, size_t size)
{
	if (send(qmp.fd, text, strlen(text), MSG_NOSIGNAL) !=
	    (ssize_t)strlen(text))
		fail("QEMU does not take a command: %s", strerror(errno));
	message("{\"return\"", text, reply, size);
}

#define EXECUTE(name) "{\"execute\":\"" name "\"}"
#define WITH(name, args) "{\"execute\":\"" name "\",\"arguments\":{" args "}}"

static void execute(const char *text)
{
	char reply[4096];

	ask(text, reply, sizeof(reply));
}

/* Waits until the guest is in the file and QEMU would take "cont" again. */
static void wait_migrated(void)
{
	double until = now() + wait_s;
	char reply[4096];

	for (;;) {
		ask(EXECUTE("query-migrate"), reply, sizeof(reply));
		if (strstr(reply, "\"failed\""))
			fail("QEMU cannot save to a file: %s", reply);
		ask(EXECUTE("query-status"), reply, sizeof(reply));
		if (strstr(reply, "\"postmigrate\""))
			return;
		pump(until, "the end of the migration");
	}
}

/*
 * Gives a command to the human monitor, which prints nothing when it has
 * worked.
 */
static void monitor(const char *command, const char *arg)
{
	char text[200], reply[4096];

	snprintf(text, sizeof(text),
		 WITH("human-monitor-command", "\"command-line\":\"%s %s\""),
		 command, arg);
	ask(text, reply, sizeof(reply));
	if (strcmp(reply, "{\"return\": \"\"}"))
		fail("%s %s: %s", command, arg, reply);
}

static void connect_qmp(void)
{
	char line[4096];

	message("{\"QMP\"", "QMP's greeting", line, sizeof(line));
	execute(EXECUTE("qmp_capabilities"));
}

static void wait_round(int round)
{
	double until = now() + wait_s;
	int before;

	while (round_now < round) {
		before = round_now;
		pump(until, "the guest's next round");
		/* The limit is for each round, not for all of them together. */
		if (round_now > before)
			until = now() + wait_s;
	}
}

/* Stops the guest. All that it has printed is here when this returns. */
static int stopped(void)
{
	execute(EXECUTE("stop"));
	read_port();
	return round_now;
}

/*
 * Notes that what comes now begins in the middle of a line of an earlier time.
 */
static void back(void)
{
	port.len = 0;
	partial = true;
	round_now = 0;
}

/*
 * Waits until the guest has repeated all rounds up to @seen, and has made some
 * more. It was saved before it had printed @save->last, and after the round
 * before @save->first.
 */
static void goes_on(const struct save *save, int seen)
{
	int before = compared;

	wait_round(seen + AFTER);
	if (landed < save->first || landed > save->last)
		fail("saved before round %d to %d, the guest was in round %d after the load",
		     save->first, save->last, landed);
	printf("# %3.0f s: saved before round %d to %d, went on to %d, loaded in %d; %d rounds were the same\n",
	       now() - started, save->first, save->last, seen, landed,
	       compared - before);
	fflush(stdout);
}

/*
 * Notes the earliest round that can be the next whole one after a load of this
 * save.
 */
static void begin_save(struct save *save)
{
	read_port();
	save->first = round_now + 1;
}

/*
 * Notes the latest one: a load may begin in the middle of the line of the round
 * before.
 */
static void end_save(struct save *save)
{
	read_port();
	save->last = round_now + 2;
}

static void save_vm(struct save *save, const char *name)
{
	snprintf(save->name, sizeof(save->name), "%s", name);
	begin_save(save);
	monitor("savevm", name);
	end_save(save);
}

/* Lets the guest go on, then loads the save: it must do the same again. */
static void load_vm(const struct save *save)
{
	int seen;

	wait_round(save->last + AFTER);
	seen = stopped();
	monitor("loadvm", save->name);
	back();
	execute(EXECUTE("cont"));
	goes_on(save, seen);
}

static void quit(void)
{
	double until = now() + wait_s;
	struct pollfd p = { .fd = qmp.fd, .events = POLLIN };
	int status;

	execute(EXECUTE("quit"));
	do {
		while (take(&qmp))
			qmp.len = 0;
		if (now() > until)
			fail("QEMU does not end");
	} while (!qmp.eof && poll(&p, 1, 1000) >= 0);
	if (waitpid(qemu, &status, 0) != qemu || status)
		fail("QEMU ended with status %#x", status);
	qemu = 0;
	close(qmp.fd);
	close(port.fd);
}

/*
 * Moves the guest out to a file while it runs, then into a process of its own.
 */
static void move(void)
{
	struct save save;
	int seen;

	/*
	 * Send all of memory once, then stop the guest: more rounds might never
	 * end.
	 */
	execute(WITH("migrate-set-parameters",
		     "\"downtime-limit\":1000000,\"max-bandwidth\":1000000000"));
	begin_save(&save);
	execute(WITH("migrate", "\"uri\":\"exec:cat >" STATE "\""));
	wait_migrated();
	end_save(&save);
	execute(EXECUTE("cont"));
	wait_round(save.last + AFTER);
	seen = stopped();
	quit();
	spawn("exec:cat " STATE);
	back();
	connect_qmp();
	goes_on(&save, seen);
}

int main(int argc, char **argv)
{
	const char *s = getenv("QEMU_WAIT_S");
	struct save saves[LOADS];

	started = now();
	if (s)
		wait_s = atoi(s);
	more = argv + 1;
	more_count = argc - 1;
	if (more_count > MORE_ARGS || wait_s <= 0)
		fail("usage");
	puts("TAP version 13");
	spawn(NULL);
	partial = false;
	connect_qmp();
	wait_round(AFTER);
	printf("# %3.0f s: round %d\n", now() - started, round_now);
	result(true, doing);

	doing = "saved and loaded in one process";
	for (int i = 0; i < LOADS; i++) {
		save_vm(&saves[i], (const char *[]){ "a", "b", "c" }[i]);
		load_vm(&saves[i]);
	}
	result(true, doing);

	doing = "the first save, loaded once more";
	load_vm(&saves[0]);
	result(true, doing);

	doing = "moved into a new process through a file";
	move();
	result(true, doing);

	doing = "QEMU ends when told to";
	quit();
	result(true, doing);
	printf("1..%d\n%d passed, 0 failed, 0 skipped\n", number, number);
	return 0;
}
