// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols out of a guest's own memory: its kernel's tables in the layouts that are
 * known, whole, damaged and forged, and what a search for them may cost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_guest.h"
#include "kallsyms.h"
#include "libvigil.h"
#include "symtab.h"
#include "tap.h"

#define WORD4 0x100 /* of a 32-bit kernel */

static struct vigil_monitor *mon;

static void check_all(const struct symtab *t, bool percpu)
{
	unsigned int bad = 0;
	char name[256];

	REQUIRE_EQ(t->n, N_SYMS);
	for (unsigned int i = 0; i < N_SYMS; i++) {
		const struct symbol *s;

		sym_name(i, name);
		s = symtab_find(t, name);
		bad += !s || s->addr != sym_addr(i, percpu) ||
		       s->type != sym_type(i);
	}
	CHECK_EQ(bad, 0);
}

static void layouts(long arg)
{
	bool percpu = arg & 1;
	struct symtab t = { 0 };

	word = arg & WORD4 ? 4 : 8;
	make_guest((arg & ~WORD4) >> 1, percpu);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	check_all(&t, percpu);
	symtab_free(&t);
}

/*
 * The tables of 7.x begin at each of the places that 4 bytes allow, so tables behind them
 * are aligned to 8 bytes as well or are not.
 */
static void places_shifted(long arg)
{
	struct symtab t = { 0 };

	word = arg;
	for (size_t shift = 0; shift < 16; shift += 4) {
		make_guest(L_7X, false);
		memset(mem + tables_start, 0, tables_end - tables_start);
		put_tables(0x300000 + shift, L_7X, false);
		REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
		check_all(&t, false);
		symtab_free(&t);
	}
}

/* The search passes over the tables of a kernel that does not run. */
static void decoy(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	memset(mem + tables_start, 0, tables_end - tables_start);
	/* An older copy of the tables is damaged where only its content shows it. */
	put_tables(0x200000, L_61, true);
	for (size_t i = tables_start; i < tables_start + N_SYMS * 4; i += 4)
		mem[i] ^= 4;
	put_tables(0x500000, L_61, true);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	check_all(&t, true);
	CHECK(strstr(t.origin, "0xffffffff874") != NULL);
	symtab_free(&t);
}

/* The pattern is found where it lies across two of the chunks that are read. */
static void straddle(long arg)
{
	struct symtab t = { 0 };
	size_t shift;

	make_guest(L_64, true);
	shift = (0x500000 - 10) - find_pattern();
	shift &= ~(size_t)7;
	memset(mem + tables_start, 0, tables_end - tables_start);
	put_tables(0x300000 + shift, L_64, true);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	check_all(&t, true);
	symtab_free(&t);
}

static void no_tables(long arg)
{
	struct symtab t = { 0 };

	memset(mem, 0, sizeof(mem));
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	CHECK(strstr(vigil_error(), "no kernel's symbol tables") != NULL);
	memcpy(mem + 0x10000, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	/* The tables lie at the very ends of memory. */
	memcpy(mem, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);
	memcpy(mem + MEM_SIZE - KALLSYMS_PATTERN_LEN, KALLSYMS_PATTERN,
	       KALLSYMS_PATTERN_LEN);
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	CHECK_EQ(t.n, 0);
}

static int count_symbol(void *priv, uint64_t addr, char type, const char *name)
{
	(*(unsigned int *)priv)++;
	return 0;
}

static uint64_t steps;

static const char *locate(struct kallsyms *ks, const uint8_t *buf, size_t len,
			  size_t pattern)
{
	steps = KALLSYMS_STEPS;
	return kallsyms_locate(ks, buf, len, KERNEL_VA - KERNEL_GPA, pattern,
			       word, &steps);
}

/* The tables say where the others are; one wrong value of these is noticed. */
static void inconsistent(long arg)
{
	struct kallsyms good, ks;
	size_t pattern, at[4];

	make_guest(L_61, true);
	pattern = find_pattern();
	REQUIRE_EQ(locate(&good, mem, MEM_SIZE, pattern) == NULL, 1);
	at[0] = good.markers + 4;
	at[1] = good.token_index + 40;
	at[2] = good.names - 8; /* num_syms */
	at[3] = good.names - 16; /* relative_base */
	for (int i = 0; i < 4; i++) {
		make_guest(L_61, true);
		mem[at[i]]++;
		CHECK(locate(&ks, mem, MEM_SIZE, pattern) != NULL);
	}
}

/* A process of the guest may have tables like these; none lie in the kernel's image. */
static void forged(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	image_end = 0x500000;
	put_tables(0x10000, L_61, true);
	put_tables(0x600000, L_61, true);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK(strstr(t.origin, "guest memory at 0xffffffff872") != NULL);
	symtab_free(&t);
	memset(mem + 0x300000, 0, 0x200000);
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
}

static void two_tables(long arg)
{
	struct symtab t = { 0 };

	word = arg;
	make_guest(L_61, word == 8);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	symtab_free(&t);
	put_tables(0x500000, L_64, word == 8);
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOEXEC);
	CHECK(strstr(vigil_error(), "--symbols FILE") != NULL);
	CHECK_EQ(t.n, 0);
}

/* Tables that do not have the handlers of the guest's IDT are not its kernel's. */
static void wrong_handlers(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	put_gate(0, sym_addr(HANDLER_SYM, true));
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	symtab_free(&t);
	put_gate(0, sym_addr(HANDLER_SYM, true) + 16);
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
}

/* The table must have the kernel's entry for SYSCALL where LSTAR says. */
static void syscall_entry(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	put_gate(0, sym_addr(HANDLER_SYM, true));
	lstar = sym_addr(SYSCALL_SYM, true);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	symtab_free(&t);
	lstar += 16;
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	CHECK(strstr(vigil_error(), "LSTAR") != NULL);
	CHECK_EQ(t.n, 0);
	/* LSTAR leads into the memory of modules, as a rootkit's would. */
	lstar = 0xffffffffc0201000;
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	/* A trampoline of early page-table isolation says nothing about the tables. */
	lstar = 0xfffffe0000006000;
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	symtab_free(&t);
	/* A 32-bit kernel has no such entry, whatever the MSR holds. */
	word = 4;
	lstar = 0x1234;
	make_guest(L_61, false);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	symtab_free(&t);
}

/* Without a banner two handlers of the IDT confirm the tables; one is not enough. */
static void no_banner(long arg)
{
	void (*gate)(unsigned int, uint64_t) = arg == 8 ? put_gate : put_gate32;
	struct symtab t = { 0 };

	word = arg;
	functions_only = true;
	make_guest(L_61, word == 8);
	gate(0, sym_addr(HANDLER_SYM, true));
	CHECK_EQ(symtab_load_guest(&t, mon), -ENOENT);
	gate(14, sym_addr(HANDLER_SYM + 1, true));
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	check_all(&t, word == 8);
	symtab_free(&t);
}

static void escapes(long arg)
{
	char text[128];
	struct symtab t = { 0 };
	unsigned int raw = 0;
	uint8_t *p;

	make_guest(L_61, true);
	/* The token of 'f' becomes ESC, and that of the type 'T' becomes BEL. */
	p = mem + find_pattern();
	p += 2 * ('f' - '0');
	REQUIRE_EQ(p[0], 'f');
	*p = 033;
	p = mem + find_pattern() + 2 * ('T' - '0');
	REQUIRE_EQ(p[0], 'T');
	*p = 7;
	/* "sys_func_" is a token of its own: its text, too */
	p = memmem(mem, MEM_SIZE, "sys_func_", 10);
	REQUIRE_EQ(p != NULL, 1);
	p[3] = 0233;
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	for (size_t i = 0; i < t.n; i++) {
		raw += t.sym[i].type < ' ' || t.sym[i].type > '~';
		for (const char *c = t.sym[i].name; *c; c++)
			raw += *c < ' ' || *c > '~';
	}
	CHECK_EQ(raw, 0);
	symtab_text(&t, sym_addr(2000, true), text, sizeof(text));
	CHECK_EQ(strcmp(text, "sys\\x9bfunc_2000.part.0"), 0);
	symtab_free(&t);
}

/* ---- what a search costs is bounded by its steps ---- */

/* In this memory names seem to begin anywhere, and go on up to the tokens. */
static void bound_names(long arg)
{
	struct kallsyms ks;
	size_t len, at, pattern;
	uint8_t *buf;

	word = arg;
	make_guest(L_61, false);
	pattern = find_pattern();
	REQUIRE_EQ(locate(&ks, mem, MEM_SIZE, pattern) == NULL, 1);
	len = KALLSYMS_BEFORE + (1 << 20);
	buf = malloc(len);
	REQUIRE_EQ(buf != NULL, 1);
	/* Each word can be taken for a number of symbols, followed by a name. */
	for (at = 0; at < KALLSYMS_BEFORE; at += word) {
		uint64_t n = 0x10000 + word - 1;

		memcpy(buf + at, &n, word);
	}
	memcpy(buf + KALLSYMS_BEFORE, mem + ks.tokens, 1 << 20);
	pattern = pattern - ks.tokens + KALLSYMS_BEFORE;
	CHECK(locate(&ks, buf, len, pattern) != NULL);
	CHECK_EQ(steps, 0);
	/* The steps are used up, so a second hit is not looked at. */
	CHECK(kallsyms_locate(&ks, buf, len, KERNEL_VA, pattern, word,
			      &steps) != NULL);
	CHECK_EQ(steps, 0);
	free(buf);
}

/* Behind each pattern the tokens seem to go on for long. */
static void bound_tokens(long arg)
{
	struct kallsyms ks;
	size_t len = 8u << 20, n = len / KALLSYMS_PATTERN_LEN, i;
	uint8_t *buf = malloc(len);

	REQUIRE_EQ(buf != NULL, 1);
	for (i = 0; i < n; i++)
		memcpy(buf + i * KALLSYMS_PATTERN_LEN, KALLSYMS_PATTERN,
		       KALLSYMS_PATTERN_LEN);
	steps = KALLSYMS_STEPS;
	for (i = 0; i < n && steps; i++)
		CHECK(kallsyms_locate(&ks, buf, len, KERNEL_VA,
				      i * KALLSYMS_PATTERN_LEN, word,
				      &steps) != NULL);
	CHECK_EQ(steps, 0);
	/* The steps bound how often the search looks at a byte. */
	CHECK(i <= KALLSYMS_STEPS / (256 - '0') + 1);
	free(buf);
}

static void bound_ordinary(long arg)
{
	struct kallsyms ks;

	for (int layout = 0; layout < L_7X_FIXED; layout++) {
		make_guest(layout, true);
		REQUIRE_EQ(locate(&ks, mem, MEM_SIZE, find_pattern()) == NULL,
			   1);
		/* For names of 7.x, all words before them are tried first. */
		CHECK(KALLSYMS_STEPS - steps <
		      6 * N_SYMS + 16384 + (layout < L_7X ? 0 : MEM_SIZE / 8));
	}
}

/* Random memory of a guest neither crashes the search nor keeps it for ever. */
static void hostile(long arg)
{
	struct kallsyms ks;
	size_t pattern;

	srand(arg);
	make_guest(rand() % N_LAYOUTS, rand() & 1);
	pattern = find_pattern();
	for (int round = 0; round < 300; round++) {
		size_t at = tables_start + rand() % (tables_end - tables_start);
		size_t len = tables_end - tables_start, cut = rand() % len;
		uint8_t keep = mem[at], *copy;
		unsigned int n = 0;

		mem[at] = rand();
		/* a copy of its own, so that reading past its end is caught */
		copy = malloc(len - cut);
		memcpy(copy, mem + tables_start, len - cut);
		if (pattern - tables_start < len - cut &&
		    !locate(&ks, copy, len - cut, pattern - tables_start))
			kallsyms_each(&ks, count_symbol, &n);
		CHECK(n <= KALLSYMS_MAX_SYMS);
		free(copy);
		if (rand() & 1)
			mem[at] = keep;
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "tables of 6.1", layouts, L_61 << 1 },
		{ "tables of 6.1, per-CPU symbols absolute", layouts,
		  L_61 << 1 | 1 },
		{ "tables of 6.2", layouts, L_62 << 1 },
		{ "tables of 6.2, per-CPU symbols absolute", layouts,
		  L_62 << 1 | 1 },
		{ "tables of 6.4", layouts, L_64 << 1 },
		{ "tables of 6.4, per-CPU symbols absolute", layouts,
		  L_64 << 1 | 1 },
		{ "tables of 6.1, 32-bit", layouts, WORD4 | L_61 << 1 },
		{ "tables of 6.2, 32-bit", layouts, WORD4 | L_62 << 1 },
		{ "tables of 6.4, 32-bit", layouts, WORD4 | L_64 << 1 },
		{ "tables of 7.x", layouts, L_7X << 1 },
		{ "tables of 7.x, 32-bit", layouts, WORD4 | L_7X << 1 },
		{ "tables of 7.x, 32-bit, not relocatable", layouts,
		  WORD4 | L_7X_FIXED << 1 },
		{ "tables of 7.x, names end anywhere", places_shifted, 8 },
		{ "tables of 7.x, names end anywhere, 32-bit", places_shifted,
		  4 },
		{ "a dead kernel's tables come first", decoy },
		{ "forged tables in a process's memory", forged },
		{ "two tables that fit", two_tables, 8 },
		{ "two tables that fit, 32-bit", two_tables, 4 },
		{ "handlers that are elsewhere", wrong_handlers },
		{ "an entry of SYSCALL that is elsewhere", syscall_entry },
		{ "functions only", no_banner, 8 },
		{ "functions only, 32-bit", no_banner, 4 },
		{ "escape sequences in names", escapes },
		{ "pattern across two chunks", straddle },
		{ "no tables", no_tables },
		{ "tables that contradict themselves", inconsistent },
		{ "hostile tables 1", hostile, 1 },
		{ "hostile tables 2", hostile, 2 },
		{ "hostile tables 3", hostile, 3 },
		{ "hostile tables 4", hostile, 4 },
		{ "steps: names without end", bound_names, 8 },
		{ "steps: names without end, 32-bit", bound_names, 4 },
		{ "steps: token tables without end", bound_tokens },
		{ "steps: an ordinary table", bound_ordinary },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
