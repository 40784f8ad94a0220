/* SPDX-License-Identifier: GPL-2.0 */
/* `vigil run --auto': the host's own kernel, and a root file system made for it. */
#ifndef VIGIL_RUN_AUTO_H
#define VIGIL_RUN_AUTO_H

#include <stddef.h>

/* Added to the guest's command line: an init that fails ends the guest. */
#define AUTO_APPEND "quiet panic=1"

/**
 * auto_kernel() - find the image of the kernel that the host runs
 * @root: "", or where a test has a host's files
 * @path: out
 * @len: bytes at @path
 *
 * Return: 0; -ENOENT; -EACCES: it is there, and not for this user; lv_error() says
 * what to do.
 */
int auto_kernel(const char *root, char *path, size_t len);

/**
 * auto_busybox() - find busybox, which is the guest's shell and its commands
 * @root: as for auto_kernel()
 * @path: out
 * @len: bytes at @path
 *
 * Return: 0 or -ENOENT; lv_error() says which package has it.
 */
int auto_busybox(const char *root, char *path, size_t len);

/**
 * auto_initramfs() - make the guest's root file system, in memory
 * @busybox: a program, static or not
 *
 * Return: a file descriptor or -errno with lv_error().
 */
int auto_initramfs(const char *busybox);

#endif
