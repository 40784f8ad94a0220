/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers as a person types them on the command line. */
#ifndef VIGIL_NUMBER_H
#define VIGIL_NUMBER_H

#include <stdint.h>

/*
 * Each parses the whole of @text. Returns NULL and sets @v, or returns why the
 * text is refused, to be printed behind "`TEXT' ".
 */

/* An address: hexadecimal, with or without 0x. */
const char *number_address(const char *text, uint64_t *v);

/* A length in bytes: decimal, or hexadecimal with 0x; K, M or G may follow. */
const char *number_size(const char *text, uint64_t *v);

/* How many of something: decimal. */
const char *number_count(const char *text, uint64_t *v);

#endif
