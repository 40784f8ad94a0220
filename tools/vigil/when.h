/* SPDX-License-Identifier: GPL-2.0 */
/* The conditions of `vigil watch --when', as Documentation/watch.rst describes them. */
#ifndef VIGIL_WHEN_H
#define VIGIL_WHEN_H

#include <stddef.h>
#include <stdint.h>

#include "libvigil.h"
#include "vigil.h"

/* Room for why a text is refused, and for what when_text() writes. */
#define WHEN_ROOM 512

/**
 * typedef when_symbol - where a symbol is
 * @ctx: of when_parse()
 * @expr: NAME or NAME+OFFSET
 * @start: out
 * @last: out: the last byte of the symbol
 * @why: out, WHEN_ROOM bytes: why not
 *
 * Return: 0, or -1.
 */
typedef int when_symbol(void *ctx, const char *expr, uint64_t *start,
			uint64_t *last, char *why);

/**
 * when_parse() - one condition
 * @text: what a person wrote
 * @symbol: asked for each sym:NAME; NULL: nothing is known yet but the text, and of @c
 *	only the action means anything
 * @ctx: for @symbol
 * @c: out; without a mask, value is about all bits until when_fit()
 * @why: out, WHEN_ROOM bytes: what is wrong with the text
 *
 * Return: 0, or -1.
 */
int when_parse(const char *text, when_symbol *symbol, void *ctx,
	       struct vigil_condition *c, char *why);

/**
 * when_fit() - conditions that a watch is to have
 * @c: @n of them, each from when_parse()
 * @n: how many
 * @w: the watch, with its length
 * @why: out, WHEN_ROOM bytes: why it cannot have them
 *
 * Limits the mask of a value that was given without one to the bytes of the watch.
 * Return: 0, or -1.
 */
int when_fit(struct vigil_condition *c, unsigned int n,
	     const struct vigil_range *w, char *why);

/* Writes a condition as when_parse() reads it, WHEN_ROOM bytes. Return: @buf. */
const char *when_text(const struct vigil_condition *c, char *buf);

#endif
