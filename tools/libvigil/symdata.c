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

/* A table has fewer entries than the one, and no fewer calls than the other. */
#define MAX_ENTRIES 4096
#define MIN_CALLS 100
/* So many entries in a row may lead elsewhere: somebody may have hooked them. */
#define MAX_HOOKS 8

#define N_CALLS 3

/* System calls that follow each other, and that nobody has a reason to hook. */
static const char *const calls[N_CALLS] = { "getppid", "getpgrp", "setsid" };

/* @number: of the first of them; @prefix: of the names of their functions */
struct calls_at {
	unsigned int word, number;
	const char *prefix;
};

static const struct calls_at kernels[] = {
	{ 4, 64, "__ia32_" },
	{ 4, 64, "" },
	{ 8, 110, "__x64_" },
	{ 8, 110, "" },
};

static uint64_t get_word(const uint8_t *p, unsigned int word)
{
	uint64_t v = 0;

	memcpy(&v, p, word);
	return v;
}

/* Are all functions there, each once? Puts their addresses together as the table does. */
static bool make_pattern(const struct symtab *t, const struct calls_at *c,
			 uint8_t *pattern)
{
	for (unsigned int i = 0; i < N_CALLS; i++) {
		const struct symbol *s;
		char name[64];

		snprintf(name, sizeof(name), "%ssys_%s", c->prefix, calls[i]);
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
				  const struct calls_at *c, const uint8_t *buf,
				  size_t len, size_t at)
{
	unsigned int i, n = 0, end = 0;

	for (i = 0; i < MAX_ENTRIES && i < end + MAX_HOOKS + 1; i++) {
		if (at + (i + 1) * c->word > len)
			break;
		if (!is_call(t, get_word(buf + at + i * c->word, c->word)))
			continue;
		end = i + 1;
		n++;
	}
	return n < MIN_CALLS ? 0 : end;
}

int symdata_add_syscalls(struct symtab *t, const uint8_t *buf, size_t len,
			 uint64_t start, unsigned int word)
{
	const uint8_t *p, *end = buf + len;
	const struct calls_at *c;
	unsigned int found = 0, n = 0;
	uint8_t pattern[N_CALLS * 8];
	uint64_t addr = 0;
	int ret;

	if (symtab_find(t, "sys_call_table"))
		return 0;
	for (c = kernels; c < kernels + sizeof(kernels) / sizeof(*c); c++)
		if (c->word == word && make_pattern(t, c, pattern))
			break;
	if (c == kernels + sizeof(kernels) / sizeof(*c))
		return 0;
	for (p = buf; (p = memmem(p, end - p, pattern, N_CALLS * word)); p++) {
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
