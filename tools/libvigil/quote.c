// SPDX-License-Identifier: GPL-2.0
/* Quoting of text that a guest or another user controls. */
#include <stdio.h>
#include <string.h>

#include "libvigil.h"

const char *vigil_quote(const char *text, char *buf, size_t room)
{
	size_t at = 0;

	for (; *text; text++) {
		unsigned char c = *text;
		char piece[5] = { c, c };
		size_t n = c == '\\' ? 2 : 1;

		if (c < 0x20 || c > 0x7e)
			n = sprintf(piece, "\\x%02x", c);
		if (at + n >= room)
			break;
		memcpy(buf + at, piece, n);
		at += n;
	}
	buf[at] = 0;
	return buf;
}
