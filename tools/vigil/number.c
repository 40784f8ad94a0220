// SPDX-License-Identifier: GPL-2.0
/* Numbers as a person types them on the command line. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "number.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool has_0x(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/*
 * Parses digits. strtoull() also accepts signs, blanks and octal numbers, which
 * are refused here. Return: behind the last digit; NULL: there is no digit, or
 * more than 64 bits, and @errno says which.
 */
static const char *digits(const char *text, int base, uint64_t *v)
{
	const char *at;

	*v = 0;
	for (at = text; digit(*at) < base; at++) {
		if (__builtin_mul_overflow(*v, (uint64_t)base, v) ||
		    __builtin_add_overflow(*v, (uint64_t)digit(*at), v)) {
			errno = ERANGE;
			return NULL;
		}
	}
	errno = EINVAL;
	return at == text ? NULL : at;
}

static const char too_big[] = "is more than 64 bits hold";

const char *number_address(const char *text, uint64_t *v)
{
	const char *end = digits(has_0x(text) ? text + 2 : text, 16, v);

	if (!end && errno == ERANGE)
		return too_big;
	if (!end || *end)
		return "is not an address: hexadecimal digits, with or without 0x";
	return NULL;
}

const char *number_size(const char *text, uint64_t *v)
{
	static const char units[] = "kmg";
	const char *end, *unit = NULL;

	end = has_0x(text) ? digits(text + 2, 16, v) : digits(text, 10, v);
	if (!end && errno == ERANGE)
		return too_big;
	if (end && *end && !end[1])
		unit = strchr(units, *end | 0x20);
	if (!end || (*end && !unit))
		return "is not a length: a number of bytes, K, M or G behind it or not";
	if (unit && __builtin_mul_overflow(
			    *v, (uint64_t)1 << 10 * (unit - units + 1), v))
		return too_big;
	return NULL;
}

const char *number_count(const char *text, uint64_t *v)
{
	const char *end = digits(text, 10, v);

	if (!end && errno == ERANGE)
		return too_big;
	if (!end || *end)
		return "is not a decimal number";
	return NULL;
}
