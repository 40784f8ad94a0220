// SPDX-License-Identifier: GPL-2.0
/*
 * `vigil run --auto': boots the kernel that the host runs, with busybox as its root
 * file system. Nothing is fetched, and nothing is written to a disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cpio.h"
#include "libvm.h"
#include "run_auto.h"

/*
 * The guest's first process. Its shell has the serial port as controlling
 * terminal, which /dev/console cannot be: so Ctrl-C and job control work. The
 * guest ends with the shell.
 */
static const char init_script[] =
	"#!/bin/busybox sh\n"
	"/bin/busybox mount -t proc proc /proc\n"
	"/bin/busybox --install -s /bin\n"
	"export PATH=/bin HOME=/root TERM=%s\n"
	"mount -t sysfs sysfs /sys\n"
	"mount -t devtmpfs devtmpfs /dev\n"
	"hostname guest\n"
	"stty rows %u cols %u </dev/ttyS0\n"
	"echo \"A guest of vigil: Linux $(uname -r) with busybox.\"\n"
	"echo \"exit ends it, and so does Ctrl-a x.\"\n"
	"cd\n"
	"setsid -c sh </dev/ttyS0 >/dev/ttyS0 2>&1\n"
	"poweroff -f\n";

static const char *const dirs[] = { "bin",  "dev",  "etc", "proc",
				    "root", "sbin", "sys", "tmp" };

int auto_kernel(const char *root, char *path, size_t len)
{
	static const char *const forms[] = {
		"%s/boot/vmlinuz-%s",
		"%s/lib/modules/%s/vmlinuz",
		"%s/vmlinuz",
		"%s/boot/vmlinuz",
	};
	struct utsname host;
	unsigned int i;

	if (uname(&host))
		return lv_fail(errno, "cannot tell which kernel runs here: %s",
			       strerror(errno));
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(path, len, forms[i], root, host.release);
		if (!access(path, R_OK))
			return 0;
		if (errno == EACCES)
			return lv_fail(
				EACCES,
				"%s may not be read by this user: run this as root, or "
				"name a copy: vigil run --auto KERNEL",
				path);
	}
	return lv_fail(
		ENOENT,
		"the image of this host's kernel is not there (looked for "
		"/boot/vmlinuz-%s, /lib/modules/%s/vmlinuz, /vmlinuz and "
		"/boot/vmlinuz): name one, vigil run --auto KERNEL",
		host.release, host.release);
}

int auto_busybox(const char *root, char *path, size_t len)
{
	static const char *const places[] = {
		"/bin/busybox",
		"/usr/bin/busybox",
		"/sbin/busybox",
		"/usr/sbin/busybox",
		"/usr/lib/initramfs-tools/bin/busybox",
	};
	unsigned int i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, len, "%s%s", root, places[i]);
		if (!access(path, R_OK))
			return 0;
	}
	return lv_fail(
		ENOENT,
		"busybox is not installed, and the guest's shell would be it: "
		"apt install busybox-static (elsewhere the package is busybox), "
		"or --busybox FILE");
}

/*
 * Returns the terminal's type, which goes into a script that the guest runs as
 * root: only characters that such names consist of are accepted.
 */
static const char *terminal(void)
{
	const char *term = getenv("TERM");

	if (!term || !*term || strlen(term) > 40 ||
	    strspn(term, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789-+._") != strlen(term))
		return "vt100";
	return term;
}

static int write_root(struct cpio *c, const char *busybox)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	char script[sizeof(init_script) + 80];
	unsigned int i;
	int ret;

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		cpio_dir(c, dirs[i]);
	ret = cpio_program(c, "bin/busybox", busybox);
	if (ret)
		return ret;
	ret = snprintf(script, sizeof(script), init_script, terminal(),
		       size.ws_row ?: 24, size.ws_col ?: 80);
	cpio_data(c, "init", 0755, script, ret);
	return cpio_end(c);
}

int auto_initramfs(const char *busybox)
{
	int fd = memfd_create("initramfs", MFD_CLOEXEC), copy, ret;
	struct cpio c = { 0 };

	if (fd < 0)
		return lv_fail(errno, "no memory for a root file system: %s",
			       strerror(errno));
	/* The stream gets a copy, since closing it must leave @fd open. */
	copy = dup(fd);
	c.out = copy < 0 ? NULL : fdopen(copy, "w");
	if (!c.out) {
		ret = lv_fail(errno, "no memory for a root file system: %s",
			      strerror(errno));
		if (copy >= 0)
			close(copy);
		close(fd);
		return ret;
	}
	ret = write_root(&c, busybox);
	fclose(c.out);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}
