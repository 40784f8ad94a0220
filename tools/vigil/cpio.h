/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's root file system, as an initramfs: a cpio archive in the "newc"
 * format, which the kernel unpacks into its first file system.
 */
#ifndef VIGIL_CPIO_H
#define VIGIL_CPIO_H

#include <stddef.h>
#include <stdio.h>

/**
 * struct cpio - an archive that is being written
 * @out: where it goes; errors of writing are found by cpio_end()
 * @ino: number of the last entry: the kernel takes equal numbers for hard links
 */
struct cpio {
	FILE *out;
	unsigned int ino;
};

/*
 * Names have no slash in front. The folders above an entry must be in the
 * archive before it; a folder may be added more than once.
 */
void cpio_dir(struct cpio *c, const char *name);
void cpio_link(struct cpio *c, const char *name, const char *target);
void cpio_data(struct cpio *c, const char *name, unsigned int mode,
	       const void *data, size_t len);

/**
 * cpio_file() - a file of the host
 * @c: the archive
 * @name: its name in the archive
 * @mode: permissions in the archive
 * @path: its name in the host; a regular file of at most 64 MiB
 *
 * Return: 0 or -errno with lv_error().
 */
int cpio_file(struct cpio *c, const char *name, unsigned int mode,
	      const char *path);

/**
 * cpio_program() - a program of the host and the shared libraries that it needs
 * @c: the archive
 * @name: the program's name in the archive
 * @path: an ELF file
 *
 * The loader and the libraries keep their names, so the program finds them in the
 * guest where it finds them in the host.
 * Return: 0; -ENOEXEC for what is no program; -ENOENT for a library that is in none
 * of the usual folders; or another -errno; with lv_error().
 */
int cpio_program(struct cpio *c, const char *name, const char *path);

/* Ends the archive. Return: 0 or -errno with lv_error(). */
int cpio_end(struct cpio *c);

#endif
