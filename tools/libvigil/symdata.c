// SPDX-License-Identifier: GPL-2.0
/*
 * The table of system calls of a kernel that keeps no name of it. Without
 * CONFIG_KALLSYMS_ALL, as in Debian's 32-bit kernels, the symbol tables have
 * functions only. The table is found by the functions that it leads to.
 */
#include <stdio.h>
#include <string.h>

#include "lib.h"
#include "symtab.h"

/* A table has fewer entries than this, and no fewer than the other. */
#define MAX_ENTRIES 4096
#define MIN_ENTRIES 100
#define N_FIRST 4

/* The functions of four system calls that follow each other, and the first's number. */
struct first_calls {
	unsigned int word, number;
	const char *prefix;
	const char *name[N_FIRST];
};

static const struct first_calls kernels[] = {
	{ 4, 3, "__ia32_", { "read", "write", "open", "close" } },
	{ 4, 3, "", { "read", "write", "open", "close" } },
	{ 8, 0, "__x64_", { "read", "write", "open", "close" } },
	{ 8, 0, "", { "read", "write", "open", "close" } },
};

static uint64_t get_word(const uint8_t *p, unsigned int word)
{
	uint64_t v = 0;

	memcpy(&v, p, word);
	return v;
}

/* Are all functions there, each once? Puts their addresses together as the table does. */
static bool make_pattern(const struct symtab *t, const struct first_calls *c,
			 uint8_t *pattern)
{
	for (unsigned int i = 0; i < N_FIRST; i++) {
		const struct symbol *s;
		char name[64];

		snprintf(name, sizeof(name), "%ssys_%s", c->prefix, c->name[i]);
		s = symtab_find(t, name);
		if (!s || symtab_count(t, name) != 1)
			return false;
		memcpy(pattern + i * c->word, &s->addr, c->word);
	}
	return true;
}

/* Does a function of a system call begin at @addr? */
static bool is_call(const struct symtab *t, uint64_t addr)
{
	const struct symbol *s;
	uint64_t off;

	s = symtab_at(t, addr, &off);
	return s && !off && strchr("tTwW", s->type) && strstr(s->name, "sys_");
}

/* Return: how many entries the table at offset @at has, 0 where it is none. */
static unsigned int count_entries(const struct symtab *t,
				  const struct first_calls *c,
				  const uint8_t *buf, size_t len, size_t at)
{
	unsigned int n = 0;

	while (n < MAX_ENTRIES && at + c->word <= len &&
	       is_call(t, get_word(buf + at, c->word))) {
		at += c->word;
		n++;
	}
	return n < MIN_ENTRIES ? 0 : n;
}

int symdata_add_syscalls(struct symtab *t, const uint8_t *buf, size_t len,
			 uint64_t start, unsigned int word)
{
	const uint8_t *p, *end = buf + len;
	const struct first_calls *c;
	unsigned int found = 0, n = 0;
	uint8_t pattern[N_FIRST * 8];
	uint64_t addr = 0;
	int ret;

	if (symtab_find(t, "sys_call_table"))
		return 0;
	for (c = kernels; c < kernels + sizeof(kernels) / sizeof(*c); c++)
		if (c->word == word && make_pattern(t, c, pattern))
			break;
	if (c == kernels + sizeof(kernels) / sizeof(*c))
		return 0;
	for (p = buf; (p = memmem(p, end - p, pattern, N_FIRST * word)); p++) {
		size_t at = p - buf;
		unsigned int entries;

		if (at % word || at < c->number * word)
			continue;
		at -= c->number * word;
		entries = count_entries(t, c, buf, len, at);
		if (!entries)
			continue;
		addr = start + at;
		n = entries;
		found++;
	}
	/* One of two may be a trap: a watch of the wrong one would see nothing. */
	if (found != 1)
		return 0;
	ret = symtab_add(t, addr, 'R', "sys_call_table", NULL);
	if (!ret)
		ret = symtab_add(t, addr + n * word, 'R', "sys_call_table.end",
				 NULL);
	return ret ? ret : symtab_sort(t);
}
