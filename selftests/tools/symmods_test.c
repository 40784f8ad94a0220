// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols of a guest's modules: of the list that its kernel keeps, with and without a symbol
 * for it, whole, damaged and hostile.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_guest.h"
#include "libvigil.h"
#include "symtab.h"
#include "tap.h"

#define WORD4 0x100 /* of a 32-bit kernel */
#define SCAN 0x200 /* without a symbol for the list */

/* Where a module is, in mem, and its tables behind it. */
#define MODULE(i) (0x600000u + (i)*0x8000u)
#define SYMTAB 0x2000u
#define STRTAB 0x3000u
#define TYPETAB 0x4000u
#define CODE 0x5000u
/* Where its pointer to the tables is: another place in each module. */
#define TABLES(i) (0x200u + (i)*0x48u)
#define N_NAMES 5

static struct vigil_monitor *mon;

static const char *const module_names[] = { "ext4", "rootkit", "kvm_amd" };
static const char *const names[N_NAMES] = { "", "init_it", "shared_name",
					    "gone", "linux_banner" };

#define N_MODULES 3

static uint64_t va(uint32_t at)
{
	return KERNEL_VA + at - KERNEL_GPA;
}

static void put(uint32_t at, uint64_t v)
{
	memcpy(mem + at, &v, word);
}

static uint32_t head(bool scan)
{
	return sym_addr(scan ? 2000 : MODULES_SYM, false) - KERNEL_VA +
	       KERNEL_GPA;
}

static void put_symbols(uint32_t at)
{
	uint32_t str = 0;

	for (unsigned int i = 0; i < N_NAMES; i++) {
		/* The fourth is defined elsewhere. */
		Elf64_Sym s = { .st_name = str,
				.st_value = va(at + CODE + i * 64),
				.st_shndx = i == 3 ? SHN_UNDEF : 1 };
		Elf32_Sym s32 = { .st_name = str,
				  .st_value = s.st_value,
				  .st_shndx = s.st_shndx };

		if (word == 8)
			memcpy(mem + at + SYMTAB + i * sizeof(s), &s,
			       sizeof(s));
		else
			memcpy(mem + at + SYMTAB + i * sizeof(s32), &s32,
			       sizeof(s32));
		strcpy((char *)mem + at + STRTAB + str, names[i]);
		str += strlen(names[i]) + 1;
		mem[at + TYPETAB + i] = "?tTUd"[i];
	}
}

static void put_module(unsigned int i)
{
	uint32_t at = MODULE(i), tables = at + TABLES(i);

	strcpy((char *)mem + at + 3 * word, module_names[i]);
	/* An empty list, whose head points to itself, and one to the word behind it. */
	put(at + 0x100, va(at + 0x100));
	put(at + 0x100 + word, va(at + 0x100));
	put(at + 0x140, va(at + 0x140 + word));
	put(tables, va(tables + word));
	put(tables + word, va(at + SYMTAB));
	put(tables + 2 * word, N_NAMES);
	put(tables + 3 * word, va(at + STRTAB));
	put(tables + 4 * word, va(at + TYPETAB));
	put_symbols(at);
}

/* Links the modules behind the head, in a circle. */
static void link_all(uint32_t list)
{
	uint32_t node[N_MODULES + 1] = { list };

	for (unsigned int i = 0; i < N_MODULES; i++)
		node[i + 1] = MODULE(i) + word;
	for (unsigned int i = 0; i <= N_MODULES; i++) {
		uint32_t next = node[(i + 1) % (N_MODULES + 1)];

		put(node[i], va(next));
		put(next + word, va(node[i]));
	}
}

static void make_modules(long arg)
{
	word = arg & WORD4 ? 4 : 8;
	modules_symbol = !(arg & SCAN);
	make_guest(L_64, false);
	for (unsigned int i = 0; i < N_MODULES; i++)
		put_module(i);
	link_all(head(arg & SCAN));
}

static size_t of_modules(const struct symtab *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->sym[i].module != NULL;
	return n;
}

static void whole(long arg)
{
	struct symtab t = { 0 };
	char text[100];
	uint64_t addr;

	make_modules(arg);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), N_MODULES * 3);
	for (unsigned int i = 0; i < N_MODULES; i++) {
		snprintf(text, sizeof(text), "%s:shared_name+1",
			 module_names[i]);
		REQUIRE_EQ(symtab_parse(&t, text, &addr), 0);
		CHECK_EQ(addr, va(MODULE(i) + CODE + 2 * 64) + 1);
		symtab_text(&t, addr, text, sizeof(text));
		CHECK(strstr(text, module_names[i]) == text);
		CHECK(strstr(text, ":shared_name+0x1") != NULL);
	}
	CHECK_EQ(symtab_parse(&t, "shared_name", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "rootkit:gone", &addr), -ENOENT);
	CHECK_EQ(symtab_parse(&t, "root:init_it", &addr), -ENOENT);
	/* A module takes no name from the kernel. */
	REQUIRE_EQ(symtab_parse(&t, "linux_banner", &addr), 0);
	CHECK_EQ(addr, sym_addr(100, false));
	REQUIRE_EQ(symtab_parse(&t, "ext4:linux_banner", &addr), 0);
	CHECK_EQ(addr, va(MODULE(0) + CODE + 4 * 64));
	/* What is far behind a module is not its own. */
	CHECK_EQ(*symtab_text(&t, va(MODULE(2) + CODE + 0x20000), text,
			      sizeof(text)),
		 0);
	symtab_free(&t);
}

/* A module that is being loaded has no tables yet; the others have. */
static void loading(long arg)
{
	struct symtab t = { 0 };

	make_modules(arg);
	mem[MODULE(1)] = 1;
	put(MODULE(1) + TABLES(1), va(MODULE(1) + 0x4800));
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), (N_MODULES - 1) * 3);
	symtab_free(&t);
}

/* With two lists that fit, none is taken. */
static void two_lists(long arg)
{
	struct symtab t = { 0 };
	uint32_t other;

	make_modules(SCAN | arg);
	other = sym_addr(2500, false) - KERNEL_VA + KERNEL_GPA;
	memcpy(mem + 0x700000, mem + MODULE(0), 0x8000);
	put(0x700000 + TABLES(0), va(0x700000 + TABLES(0) + word));
	put(0x700000 + word, va(other));
	put(0x700000 + 2 * word, va(other));
	put(other, va(0x700000 + word));
	put(other + word, va(0x700000 + word));
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), 0);
	symtab_free(&t);
	memset(mem + other, 0, 16);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), N_MODULES * 3);
	symtab_free(&t);
}

/* A list that never comes back to its head, and numbers that no module has. */
static void endless(long arg)
{
	struct symtab t = { 0 };

	make_modules(arg);
	put(MODULE(2) + word, va(MODULE(0) + word));
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), 0);
	symtab_free(&t);
	make_modules(arg);
	put(MODULE(0) + TABLES(0) + 2 * word, 0xffffffff);
	put(MODULE(1) + TABLES(1) + 3 * word, 0x1000);
	REQUIRE_EQ(symtab_load_guest(&t, mon), 0);
	CHECK_EQ(of_modules(&t), 3);
	symtab_free(&t);
}

/* Random damage neither crashes the reader nor keeps it for ever. */
static void hostile(long arg)
{
	struct symtab t = { 0 };
	struct symimage im = { .buf = mem + KERNEL_GPA,
			       .len = sizeof(mem) - KERNEL_GPA };

	srand(arg);
	for (int round = 0; round < 40; round++) {
		bool scan = rand() & 1;

		make_modules((rand() & 1 ? WORD4 : 0) | (scan ? SCAN : 0));
		im.start = KERNEL_VA;
		im.word = word;
		for (int n = rand() % 20; n >= 0; n--) {
			uint32_t at = MODULE(rand() % N_MODULES) +
				      rand() % (rand() & 1 ? 0x300 : 0x5000);

			mem[at] = rand();
		}
		symtab_add(&t, KERNEL_VA, 'T', "_etext", NULL);
		symtab_add(&t, sym_addr(N_SYMS, false), 't', "last", NULL);
		if (!scan)
			symtab_add(&t, va(head(false)), 'd', "modules", NULL);
		REQUIRE_EQ(symtab_sort(&t), 0);
		CHECK_EQ(symmods_add(&t, mon, &im), 0);
		CHECK(t.n <= 1000000);
		symtab_free(&t);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "modules, by the list's symbol", whole },
		{ "modules, by the list's symbol, 32-bit", whole, WORD4 },
		{ "modules, without a symbol", whole, SCAN },
		{ "modules, without a symbol, 32-bit", whole, WORD4 | SCAN },
		{ "a module that is being loaded", loading },
		{ "a module that is being loaded, 32-bit", loading, WORD4 },
		{ "two lists", two_lists },
		{ "two lists, 32-bit", two_lists, WORD4 },
		{ "lists without end, numbers that cannot be", endless },
		{ "the same, 32-bit", endless, WORD4 },
		{ "hostile lists 1", hostile, 1 },
		{ "hostile lists 2", hostile, 2 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
