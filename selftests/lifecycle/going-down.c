// SPDX-License-Identifier: GPL-2.0
/*
 * Reboots the host, or makes its kernel panic, while guests run on every CPU.
 * Nothing of this comes back: ./run-down looks at the host's log.
 */
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

static void go_down(long panic)
{
	struct spinner *a, *b, *c;
	int fd;

	load_hoststate();
	a = spin_start(0);
	b = spin_start(1);
	c = spin_start(1);
	spin_moves(a);
	spin_moves(b);
	spin_moves(c);
	host_extension_is(true);
	if (test_failures())
		return;
	if (!panic)
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_RESTART, NULL);
	fd = open("/proc/sysrq-trigger", O_WRONLY);
	if (fd < 0 || write(fd, "c", 1) != 1)
		ERROR("no panic: %s", strerror(errno));
}

static const struct test_case reboot_cases[] = {
	{ "reboot while guests run", go_down, 0 },
	{ 0 },
};

static const struct test_case panic_cases[] = {
	{ "panic while guests run", go_down, 1 },
	{ 0 },
};

int main(int argc, char **argv)
{
	/* the testbed's command line: the last word says which */
	bool panic = argc > 1 && !strcmp(argv[argc - 1], "panic");

	return test_main(1, argv, panic ? panic_cases : reboot_cases);
}
