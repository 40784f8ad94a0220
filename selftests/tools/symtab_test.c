// SPDX-License-Identifier: GPL-2.0
/* A table of symbols: names and addresses to look up, lengths, definitions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kallsyms.h"
#include "libvigil.h"
#include "symtab.h"
#include "tap.h"

static void lookups(long arg)
{
	struct symtab t = { 0 };
	char text[128];
	uint64_t addr;

	symtab_add(&t, 0xffffffff81000000, 'T', "_text", NULL);
	symtab_add(&t, 0xffffffff81000000, 'T', "startup_64", NULL);
	symtab_add(&t, 0xffffffff81000100, 't', "twice", NULL);
	symtab_add(&t, 0xffffffff81000200, 't', "twice", NULL);
	REQUIRE_EQ(symtab_sort(&t), 0);
	CHECK_EQ(symtab_parse(&t, "startup_64", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000000);
	CHECK_EQ(symtab_parse(&t, "startup_64+0x18", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000018);
	CHECK_EQ(symtab_parse(&t, "startup_64+24", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000018);
	CHECK_EQ(symtab_parse(&t, "startup_64+", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "startup_64+0x", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "startup_64+-1", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "+8", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "nothing", &addr), -ENOENT);
	CHECK_EQ(symtab_parse(&t, "twice", &addr), -EINVAL);
	CHECK_EQ(strcmp(symtab_text(&t, 0xffffffff81000108, text, sizeof(text)),
			"twice+0x8"),
		 0);
	CHECK_EQ(strcmp(symtab_text(&t, 0xffffffff81000000, text, sizeof(text)),
			"startup_64"),
		 0);
	CHECK_EQ(*symtab_text(&t, 0x1000, text, sizeof(text)), 0);
	CHECK_EQ(*symtab_text(&t, ~0ull, text, sizeof(text)), 0);
	symtab_free(&t);
}

static void lengths(long arg)
{
	struct symtab t = { 0 };

	CHECK_EQ(symtab_len(NULL, 0x1000), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0x1000), SYMTAB_LEN_DEFAULT);
	symtab_add(&t, 0xffffffff81000000, 'D', "table", NULL);
	symtab_add(&t, 0xffffffff81000000, 'D', "alias", NULL);
	symtab_add(&t, 0xffffffff81000e20, 'D', "next", NULL);
	symtab_add(&t, 0xffffffff83000000, 'D', "last", NULL);
	REQUIRE_EQ(symtab_sort(&t), 0);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000000), 3616);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000010), 3600);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000e1f), 1);
	/* An address too far from any symbol, one in the last, and one behind it. */
	CHECK_EQ(symtab_len(&t, 0xffffffff81000e20), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0xffffffff83000000), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, ~0ull), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0xffffffff82000000), SYMTAB_LEN_MAX);
	symtab_free(&t);
}

static void definitions(long arg)
{
	static const char *const bad[] = {
		"x",	"x=",	"=1", "x=-1", "x= 1", "x=0x1g",
		"x=+1", "x=0x", "",   "x=1 ", "x=zz", "x=11112222333344445"
	};
	struct symtab t = { 0 };
	uint64_t addr;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(symtab_define(&t, bad[i]), -EINVAL);
		CHECK(strstr(vigil_error(), "NAME=ADDR") != NULL);
	}
	CHECK_EQ(t.n, 0);
	/* A definition becomes the first symbol, a new one, or replaces two. */
	REQUIRE_EQ(symtab_define(&t, "mine=ffffffff96c5c6a0"), 0);
	CHECK_EQ(symtab_parse(&t, "mine", &addr), 0);
	CHECK_EQ(addr, 0xffffffff96c5c6a0);
	symtab_add(&t, 0xffffffff81000100, 't', "twice", NULL);
	symtab_add(&t, 0xffffffff81000200, 't', "twice", NULL);
	REQUIRE_EQ(symtab_define(&t, "other=0xC1000000"), 0);
	CHECK_EQ(symtab_parse(&t, "other+4", &addr), 0);
	CHECK_EQ(addr, 0xc1000004);
	REQUIRE_EQ(symtab_define(&t, "twice=1000"), 0);
	CHECK_EQ(symtab_count(&t, "twice"), 1);
	CHECK_EQ(symtab_parse(&t, "twice", &addr), 0);
	CHECK_EQ(addr, 0x1000);
	CHECK_EQ(t.n, 3);
	/* `vigil watch` resolves these names. */
	CHECK_EQ(symtab_parse(&t, "new=ffffffff81000000", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000000);
	CHECK_EQ(symtab_parse(&t, "new=", &addr), -EINVAL);
	symtab_free(&t);
}

static void bound_text(long arg)
{
	struct symtab t = { 0 };
	char name[SYMTAB_NAME_MAX + 1];
	unsigned int i;
	int ret = 0;

	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (i = 0; !ret && i < KALLSYMS_MAX_SYMS; i++)
		ret = symtab_add(&t, i, 'T', name, NULL);
	CHECK_EQ(ret, -ENOEXEC);
	CHECK(i < (64u << 20) / (4 * SYMTAB_NAME_MAX) + 2);
	symtab_free(&t);
}

/* ---- a table of system calls that has no symbol ---- */

#define CALLS 200
#define TABLE 0x1000

struct calls {
	struct symtab t;
	unsigned int word;
	uint64_t start;
	uint8_t buf[4 * TABLE];
};

static uint64_t call_addr(const struct calls *c, unsigned int i)
{
	return c->start + 0x10000 + i * 64;
}

static void put_calls(struct calls *c, size_t at, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t addr = call_addr(c, i);

		memcpy(c->buf + at + i * c->word, &addr, c->word);
	}
}

static void make_calls(struct calls *c, unsigned int word)
{
	static const char *const known[] = { "getppid", "getpgrp", "setsid" };
	unsigned int number = word == 8 ? 110 : 64;
	const char *prefix = word == 8 ? "__x64_" : "__ia32_";
	char name[64];

	memset(c, 0, sizeof(*c));
	c->word = word;
	c->start = word == 8 ? 0xffffffff81000000 : 0xc1000000;
	for (unsigned int i = 0; i < CALLS; i++) {
		snprintf(name, sizeof(name), "%ssys_call%u", prefix, i);
		if (i >= number && i < number + 3)
			snprintf(name, sizeof(name), "%ssys_%s", prefix,
				 known[i - number]);
		symtab_add(&c->t, call_addr(c, i), 'T', name, NULL);
	}
	symtab_add(&c->t, call_addr(c, CALLS), 'T', "_etext", NULL);
	REQUIRE_EQ(symtab_sort(&c->t), 0);
}

static uint64_t found_calls(struct calls *c)
{
	uint64_t addr = 0;

	REQUIRE_EQ(symdata_add_syscalls(&c->t, c->buf, sizeof(c->buf), c->start,
					c->word),
		   0);
	if (symtab_find(&c->t, "sys_call_table"))
		CHECK_EQ(symtab_parse(&c->t, "sys_call_table", &addr), 0);
	return addr;
}

static void syscalls(long word)
{
	static struct calls c;

	/* The pattern ends with the memory, and without a table behind it. */
	make_calls(&c, word);
	put_calls(&c, sizeof(c.buf) - 113 * word, 113);
	memset(c.buf + sizeof(c.buf) - 113 * word, 0, 60 * word);
	put_calls(&c, 0, 50);
	put_calls(&c, TABLE, CALLS);
	CHECK_EQ(found_calls(&c), c.start + TABLE);
	CHECK_EQ(symtab_len(&c.t, c.start + TABLE), CALLS * word);
	/* Now it has a symbol. */
	CHECK_EQ(found_calls(&c), c.start + TABLE);
	CHECK_EQ(symtab_count(&c.t, "sys_call_table"), 1);
	symtab_free(&c.t);
	/* of two that fit, none is taken */
	make_calls(&c, word);
	put_calls(&c, TABLE, CALLS);
	put_calls(&c, 2 * TABLE + 64, CALLS);
	CHECK_EQ(found_calls(&c), 0);
	symtab_free(&c.t);
	/* A place that no word can be at, and one that is too short. */
	make_calls(&c, word);
	put_calls(&c, TABLE + 1, CALLS);
	put_calls(&c, 3 * TABLE, 99);
	CHECK_EQ(found_calls(&c), 0);
	symtab_free(&c.t);
	/* Entries that are hooked, also the first, do not end the table or hide it. */
	make_calls(&c, word);
	put_calls(&c, TABLE, CALLS);
	memset(c.buf + TABLE, 0xee, 8 * word);
	memset(c.buf + TABLE + 150 * word, 0xee, 8 * word);
	CHECK_EQ(found_calls(&c), c.start + TABLE);
	CHECK_EQ(symtab_len(&c.t, c.start + TABLE), CALLS * word);
	symtab_free(&c.t);
	/* It ends where nine in a row lead elsewhere. */
	make_calls(&c, word);
	put_calls(&c, TABLE, CALLS);
	memset(c.buf + TABLE + 150 * word, 0xee, 9 * word);
	CHECK_EQ(found_calls(&c), c.start + TABLE);
	CHECK_EQ(symtab_len(&c.t, c.start + TABLE), 150 * word);
	symtab_free(&c.t);
	/* Two functions have the name of one. */
	make_calls(&c, word);
	put_calls(&c, TABLE, CALLS);
	symtab_add(&c.t, c.start, 't',
		   word == 8 ? "__x64_sys_setsid" : "__ia32_sys_setsid", NULL);
	REQUIRE_EQ(symtab_sort(&c.t), 0);
	CHECK_EQ(found_calls(&c), 0);
	symtab_free(&c.t);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "text without end", bound_text },
		{ "names, offsets, addresses", lookups },
		{ "lengths", lengths },
		{ "definitions", definitions },
		{ "a table of system calls without a symbol", syscalls, 8 },
		{ "a table of system calls without a symbol, 32-bit", syscalls,
		  4 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
