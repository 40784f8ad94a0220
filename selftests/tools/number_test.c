// SPDX-License-Identifier: GPL-2.0
/* Numbers on the command line: addresses, lengths, counts. */
#include <stddef.h>

#include "number.h"
#include "tap.h"

typedef const char *parse_number(const char *text, uint64_t *v);

#define GOOD(parse, text, want)                                  \
	do {                                                     \
		uint64_t __v = ~0ull;                            \
		const char *__why = parse(text, &__v);           \
                                                                 \
		if (__why)                                       \
			FAIL("%s(%s): %s", #parse, text, __why); \
		else if (__v != (want))                          \
			FAIL("%s(%s) is %#llx", #parse, text,    \
			     (unsigned long long)__v);           \
	} while (0)

static void bad(const char *name, parse_number *parse, const char *const *texts)
{
	const char *why;
	uint64_t v;

	for (; *texts; texts++) {
		why = parse(*texts, &v);
		if (!why)
			FAIL("%s takes `%s'", name, *texts);
		else if (!*why)
			FAIL("%s refuses `%s' without words", name, *texts);
	}
}

static void addresses(long arg)
{
	static const char *const none[] = {
		"",
		"0x",
		"nine",
		"-1",
		"+1",
		" 1",
		"1 ",
		"0x1g",
		"0x0x1",
		"1K",
		"1.0",
		"x1",
		"0x 1",
		"1\n",
		"%p",
		"10000000000000000",
		"0x1ffffffffffffffff",
		NULL,
	};

	GOOD(number_address, "ffffffff96c5c6a0", 0xffffffff96c5c6a0);
	GOOD(number_address, "0xffffffff96c5c6a0", 0xffffffff96c5c6a0);
	GOOD(number_address, "0XFFFFFFFFFFFFFFFF", 0xffffffffffffffff);
	GOOD(number_address, "1000", 0x1000);
	GOOD(number_address, "0x1000", 0x1000);
	GOOD(number_address, "010", 0x10);
	GOOD(number_address, "0", 0);
	GOOD(number_address, "00000000000000000000001", 1);
	bad("number_address", number_address, none);
}

static void lengths(long arg)
{
	static const char *const none[] = {
		"",
		"K",
		"0x",
		"-8",
		"+8",
		" 8",
		"8 ",
		"8T",
		"8KK",
		"8Kb",
		"1.5K",
		"ten",
		"17179869184G",
		"18446744073709551616",
		NULL,
	};

	GOOD(number_size, "8", 8);
	GOOD(number_size, "010", 10);
	GOOD(number_size, "0x10", 0x10);
	GOOD(number_size, "0x10K", 0x10 << 10);
	GOOD(number_size, "4K", 4096);
	GOOD(number_size, "4k", 4096);
	GOOD(number_size, "16M", 16 << 20);
	GOOD(number_size, "16m", 16 << 20);
	GOOD(number_size, "17179869183G", 17179869183ull << 30);
	GOOD(number_size, "2g", 2ull << 30);
	GOOD(number_size, "0", 0);
	bad("number_size", number_size, none);
}

static void counts(long arg)
{
	static const char *const none[] = {
		"", "-1", "+1", "1K", "0x1", "1 ", "18446744073709551616", NULL,
	};

	GOOD(number_count, "1", 1);
	GOOD(number_count, "010", 10);
	GOOD(number_count, "18446744073709551615", UINT64_MAX);
	bad("number_count", number_count, none);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "addresses are hexadecimal, with or without 0x", addresses },
		{ "lengths take K, M and G", lengths },
		{ "counts are decimal", counts },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
