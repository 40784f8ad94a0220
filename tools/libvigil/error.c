// SPDX-License-Identifier: GPL-2.0
/* Texts of errors, and structures of a program that may be older or newer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib.h"
#include "libvigil.h"

static __thread char text[512];

const char *vigil_error(void)
{
	return text;
}

int vigil_lib_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err > 0 ? -err : err;
}

int take(void *dst, size_t known, const void *src, size_t size, size_t least)
{
	const uint8_t *bytes = src;

	if (size < least)
		return vigil_lib_fail(
			EINVAL, "a structure of %zu bytes, where there are %zu",
			size, least);
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return vigil_lib_fail(
				E2BIG,
				"the program was built with a newer libvigil, and uses what "
				"this one does not have");
	memset(dst, 0, known);
	memcpy(dst, src, size < known ? size : known);
	return 0;
}
