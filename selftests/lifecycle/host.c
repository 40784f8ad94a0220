// SPDX-License-Identifier: GPL-2.0
/* State, modules and log of the host under test. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#define STATE_FILE "/proc/hoststate"
#define STATE_MAX (256 * 1024)

static char *slurp(const char *path)
{
	char *buf = calloc(1, STATE_MAX);
	size_t done = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !buf)
		ERROR("cannot read %s: %s", path, strerror(errno));
	while ((n = read(fd, buf + done, STATE_MAX - 1 - done)) > 0)
		done += n;
	if (n < 0)
		ERROR("read of %s: %s", path, strerror(errno));
	close(fd);
	return buf;
}

void load_hoststate(void)
{
	int fd;

	if (mod_loaded("hoststate"))
		return;
	fd = open("/hoststate.ko", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		ERROR("cannot load /hoststate.ko: %s", strerror(errno));
	close(fd);
}

char *host_state(void)
{
	return slurp(STATE_FILE);
}

/*
 * Returns the line that begins with @key, which ends in a space; NULL: there is
 * none.
 */
static const char *find_line(const char *state, const char *key)
{
	const char *p = state;
	size_t len = strlen(key);

	while (*p) {
		if (!strncmp(p, key, len))
			return p;
		p = strchr(p, '\n');
		if (!p)
			return NULL;
		p++;
	}
	return NULL;
}

uint64_t host_value(const char *state, int cpu, const char *name)
{
	char key[64];
	const char *line;

	snprintf(key, sizeof(key), "cpu%d %s ", cpu, name);
	line = find_line(state, key);
	if (!line)
		ERROR("no %s of CPU %d in " STATE_FILE, name, cpu);
	return strtoull(line + strlen(key), NULL, 0);
}

bool host_has_cpu(const char *state, int cpu)
{
	char key[64];

	snprintf(key, sizeof(key), "cpu%d EFER ", cpu);
	return find_line(state, key);
}

/* Each line of @a must be in @b. */
static void lines_in(const char *a, const char *b, const char *what)
{
	char line[128], key[128];
	const char *other, *space;
	size_t len;

	for (; *a; a += len + 1) {
		len = strcspn(a, "\n");
		if (len >= sizeof(line))
			ERROR("line of %zu bytes in " STATE_FILE, len);
		memcpy(line, a, len);
		line[len] = 0;
		space = strrchr(line, ' ');
		snprintf(key, sizeof(key), "%.*s ", (int)(space - line), line);
		other = find_line(b, key);
		if (!other)
			FAIL("%s is missing %s", line, what);
		else if (strncmp(other, a, len + 1))
			FAIL("%s %s is %.*s", line, what,
			     (int)strcspn(other, "\n"), other);
		if (!a[len])
			break;
	}
}

void host_same(const char *before, const char *after)
{
	if (!strchr(before, '\n'))
		ERROR(STATE_FILE " is empty");
	lines_in(before, after, "afterwards");
	CHECK_EQ(strlen(after), strlen(before));
}

const struct extension *host_extension(void)
{
	static const struct extension svm = { "EFER.SVME", "EFER", 1 << 12,
					      "kvm-amd", "kvm_amd" };
	static const struct extension vmx = { "CR4.VMXE", "CR4", 1 << 13,
					      "kvm-intel", "kvm_intel" };

	return test_on_svm() ? &svm : &vmx;
}

void host_extension_is(bool on)
{
	const struct extension *ext = host_extension();
	char *state = host_state();
	int cpu, seen = 0;

	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!host_has_cpu(state, cpu))
			continue;
		seen++;
		if (!!(host_value(state, cpu, ext->reg) & ext->mask) != on)
			FAIL("%s of CPU %d is %s", ext->bit, cpu,
			     on ? "off" : "on");
	}
	if (!seen)
		ERROR("no CPU in " STATE_FILE);
	free(state);
}

/* Returns 0 or errno. */
static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		ERROR("cannot write %s: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

void host_command(const char *fmt, ...)
{
	char text[32];
	va_list ap;
	int err;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err = write_file(STATE_FILE, text);
	if (err)
		ERROR("\"%s\" to " STATE_FILE ": %s", text, strerror(err));
}

/* The address of a symbol of the kernel or a module; 0: there is none. */
static unsigned long symbol(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long addr, found = 0;
	char line[256], sym[128];

	if (!f)
		ERROR("cannot read /proc/kallsyms: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx %*c %127s", &addr, sym) == 2 &&
		    !strcmp(sym, name))
			found = addr;
	fclose(f);
	return found;
}

void host_emergency(void)
{
	const char *name = "cpu_emergency_disable_virtualization";
	unsigned long addr = symbol(name);

	if (!addr)
		ERROR("this kernel has no %s", name);
	host_command("emergency %lx", addr);
}

void host_lose_tsc(void)
{
	unsigned long addr = symbol("tsc_at_suspend");

	if (!addr)
		ERROR("the module has no tsc_at_suspend");
	host_command("tsc %lx", addr);
}

int host_set_online(int cpu, bool on)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	return write_file(path, on ? "1" : "0");
}

/* --- modules --- */

/* Converts a module's name to the kernel's spelling: '-' is '_'. */
static void kernel_name(char *to, size_t size, const char *name)
{
	snprintf(to, size, "%s", name);
	for (; *to; to++)
		if (*to == '-')
			*to = '_';
}

bool mod_loaded(const char *name)
{
	char sys[64], path[128];

	kernel_name(sys, sizeof(sys), name);
	snprintf(path, sizeof(path), "/sys/module/%s/initstate", sys);
	return !access(path, F_OK);
}

/* Path and parameters of a module, from the testbed's list. */
static bool find_module(const char *name, char *path, char *params, size_t size)
{
	char *list = slurp("/vigil-modules"), *line, *save = NULL, want[64],
	     *base;
	bool found = false;

	snprintf(want, sizeof(want), "%s.ko", name);
	for (line = strtok_r(list, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (space)
			*space++ = 0;
		base = strrchr(line, '/');
		if (strcmp(base ? base + 1 : line, want))
			continue;
		snprintf(path, size, "%s", line);
		snprintf(params, size, "%s", space ? space : "");
		found = true;
	}
	free(list);
	return found;
}

bool mod_exists(const char *name)
{
	char path[256], params[256];

	return find_module(name, path, params, sizeof(path));
}

int mod_try_load(const char *name, const char *params)
{
	char path[256], listed[256];
	int fd, err = 0;

	if (!find_module(name, path, listed, sizeof(path)))
		ERROR("%s is not in /vigil-modules", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ERROR("cannot open %s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, params ?: listed, 0))
		err = errno;
	close(fd);
	return err;
}

void mod_load(const char *name)
{
	int err;

	if (mod_loaded(name))
		return;
	err = mod_try_load(name, NULL);
	if (err)
		ERROR("cannot load %s: %s", name, strerror(err));
}

int mod_unload(const char *name)
{
	char sys[64];

	kernel_name(sys, sizeof(sys), name);
	return syscall(SYS_delete_module, sys, O_NONBLOCK) ? errno : 0;
}

int mod_unload_idle(const char *name)
{
	struct timespec tick = { .tv_nsec = 10000000 };
	int i, err = mod_unload(name);

	for (i = 0; err == EWOULDBLOCK && i < 1000; i++) {
		nanosleep(&tick, NULL);
		err = mod_unload(name);
	}
	return err;
}

/* --- log --- */

int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		ERROR("/dev/kmsg: %s", strerror(errno));
	return fd;
}

bool log_has(int fd, const char *text)
{
	char record[8192];
	bool found = false;
	ssize_t n;

	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			/*
			 * The kernel has overwritten records: go on with those
			 * that remain.
			 */
			continue;
		if (n <= 0)
			return found;
		record[n] = 0;
		found = found || strstr(record, text);
	}
}
