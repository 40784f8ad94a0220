// SPDX-License-Identifier: GPL-2.0
/*
 * Ends the host's kernel while guests run on every CPU: by a reboot, a panic, a
 * kexec, or a panic with a crash kernel. The program cannot return, so
 * ./run-down looks at the host's log.
 *
 * As the only process of the next kernel it reboots at once; then hoststate
 * logs the state of the CPUs.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

enum how { REBOOT, PANIC, KEXEC, CRASH };

/*
 * The next kernel's console is where the command's output went: the testbed
 * ends a host whose log shows a second boot.
 */
#define NEXT_CMDLINE                                                  \
	"console=ttyS1,115200 ignore_loglevel panic=-1 rdinit=/init " \
	"tsc=reliable idle=halt no_timer_check nr_cpus="

static int open_ro(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		ERROR("cannot open %s: %s", path, strerror(errno));
	return fd;
}

/*
 * Adds the CPU features that this kernel must not use: the next one must not
 * use them either.
 */
static void append_cleared_features(char *cmdline, size_t size)
{
	char ours[2048] = "", *word, *rest = ours;

	if (read(open_ro("/proc/cmdline"), ours, sizeof(ours) - 1) <= 0)
		ERROR("cannot read /proc/cmdline");
	while ((word = strsep(&rest, " \n"))) {
		size_t used = strlen(cmdline);

		if (!strncmp(word, "clearcpuid=", 11))
			snprintf(cmdline + used, size - used, " %s", word);
	}
}

/* run-down has put /next-kernel and /next-initrd there. */
static void load_next_kernel(bool crash)
{
	char cmdline[512] = NEXT_CMDLINE;

	strcat(cmdline, crash ? "1" : "2");
	append_cleared_features(cmdline, sizeof(cmdline));
	if (syscall(SYS_kexec_file_load, open_ro("/next-kernel"),
		    open_ro("/next-initrd"), strlen(cmdline) + 1, cmdline,
		    crash ? KEXEC_FILE_ON_CRASH : 0))
		ERROR("kexec_file_load: %s", strerror(errno));
}

static void call_reboot(unsigned int how)
{
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, how,
		NULL);
	ERROR("reboot(%#x): %s", how, strerror(errno));
}

static void go_down(long how)
{
	struct spinner *a, *b, *c;
	int fd;

	load_hoststate();
	if (how == KEXEC || how == CRASH)
		load_next_kernel(how == CRASH);
	a = spin_start(0);
	b = spin_start(1);
	c = spin_start(1);
	spin_moves(a);
	spin_moves(b);
	spin_moves(c);
	host_extension_is(true);
	if (test_failures())
		return;
	if (how == REBOOT)
		call_reboot(LINUX_REBOOT_CMD_RESTART);
	if (how == KEXEC)
		call_reboot(LINUX_REBOOT_CMD_KEXEC);
	fd = open("/proc/sysrq-trigger", O_WRONLY);
	if (fd < 0 || write(fd, "c", 1) != 1)
		ERROR("no panic: %s", strerror(errno));
}

/*
 * The order is that of enum how. The testbed's command line has one of the
 * names.
 */
static const struct test_case cases[] = {
	{ "reboot", go_down, REBOOT },
	{ "panic", go_down, PANIC },
	{ "kexec", go_down, KEXEC, 600 },
	{ "crash", go_down, CRASH, 600 },
	{ 0 },
};

int main(int argc, char **argv)
{
	if (getpid() == 1) {
		load_hoststate();
		call_reboot(LINUX_REBOOT_CMD_RESTART);
	}
	return test_main(argc, argv, cases);
}
