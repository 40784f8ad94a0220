/* SPDX-License-Identifier: GPL-2.0 */
/* The demos. Of the first one's guest: its initramfs, its process, its console. */
#ifndef VIGIL_DEMO_H
#define VIGIL_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* The file in the guest's /demo that the rootkit hides, and one that it leaves. */
#define DEMO_HIDDEN "secret"
#define DEMO_PLAIN "plain"

/**
 * demo_initramfs() - write the guest's initramfs
 * @out: gets a cpio archive
 * @busybox: a static busybox
 * @rootkit: the module
 */
int demo_initramfs(FILE *out, const char *busybox, const char *rootkit);

/**
 * struct demo_guest - `vigil run' as a child, its serial port on pipes
 * @pid: of the child, 0 when it is gone
 * @in: a pipe to its standard input
 * @out: a pipe from its standard output
 * @echo: where the guest's console is shown
 * @buf: what was read and not looked at yet
 * @used: bytes in @buf
 */
struct demo_guest {
	pid_t pid;
	int in, out;
	FILE *echo;
	char buf[8192];
	size_t used;
};

struct demo_boot {
	const char *kernel, *initrd, *append, *name;
	unsigned int mem;
};

int demo_start(struct demo_guest *g, const struct demo_boot *boot);

/**
 * demo_expect() - read the console up to a line that contains @what
 * @g: the guest
 * @what: the text
 * @line: gets the line from @what on; may be NULL
 * @len: bytes at @line
 * @seconds: how long to wait
 *
 * Return: 0; -ETIMEDOUT; -EPIPE: the guest ended first. lv_error() has the
 * text.
 */
int demo_expect(struct demo_guest *g, const char *what, char *line, size_t len,
		unsigned int seconds);
/* Sends a line to the guest's console. */
int demo_send(struct demo_guest *g, const char *line);
/* Waits for the guest's end: the exit status of `vigil run', or -errno. */
int demo_wait(struct demo_guest *g, unsigned int seconds);
void demo_kill(struct demo_guest *g);

/* Where the demos tell what they do: standard output, with --json standard error. */
extern FILE *demo_progress;
/* Says a line there, with the time since the first one. */
void demo_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * demo_pv() - the demo of paravirtual guests
 * @timeout: how many seconds a step of a guest may take
 *
 * Return: an exit code.
 */
int demo_pv(unsigned int timeout);

#endif
