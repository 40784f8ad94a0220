/* SPDX-License-Identifier: GPL-2.0 */
/* Text that somebody else chose, made safe to print. */
#ifndef VIGIL_QUOTE_H
#define VIGIL_QUOTE_H

#include <stddef.h>

/* Room that quote() needs for @len bytes of text. */
#define QUOTE_ROOM(len) (4 * (len) + 1)

/**
 * quote() - text of a guest or of another user, as printable ASCII
 * @text: any bytes up to a NUL
 * @buf: where the result goes, which is cut before an escape that does not fit
 * @room: size of @buf, at least 1
 *
 * Each byte outside 0x20 to 0x7e becomes \xNN and a backslash becomes two, so a
 * terminal gets no escape sequence, a line stays one line, JSON stays UTF-8, and
 * the original bytes can still be told.
 * Return: @buf.
 */
const char *quote(const char *text, char *buf, size_t room);

#endif
