/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of libvigil share. */
#ifndef LIBVIGIL_LIB_H
#define LIBVIGIL_LIB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * vigil_lib_fail() - record a text for vigil_error()
 * @err: errno value, of either sign
 * @fmt: as of printf
 *
 * It is not for programs, and the shared library does not export it. It has the library's prefix
 * for the static one, which has to: its two objects both call it.
 *
 * Return: @err, negative.
 */
__attribute__((format(printf, 2, 3), visibility("default"))) int
vigil_lib_fail(int err, const char *fmt, ...);

/* Gives a program what it knows of @src: the first @size bytes. */
static inline void give(void *dst, size_t size, const void *src, size_t known)
{
	memset(dst, 0, size);
	memcpy(dst, src, size < known ? size : known);
}

/**
 * take() - copy a struct of a program's
 * @dst: out, of @known bytes
 * @known: what the library knows
 * @src: the program's
 * @size: its size there
 * @least: its size in the first version of the library
 *
 * Return: 0; -EINVAL it is smaller than @least; -E2BIG what the library does not know is not zero.
 */
int take(void *dst, size_t known, const void *src, size_t size, size_t least);

#endif
