// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols of the modules that a guest's kernel has loaded: of the list that the kernel
 * keeps of them. What is read of a module stands in each version of Linux where the
 * module itself says:
 *
 *	state, list, name	the first members, in every version
 *	kallsyms		a pointer to what follows right behind it, once
 *				the module is loaded: symtab, num_symtab, strtab and
 *				typetab, a word each (from 5.2)
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib.h"
#include "symtab.h"

/* Bounds of what a guest can make of its list, far above any real one. */
#define MAX_MODULES 2048
#define MAX_SYMS 100000u
#define MAX_ALL_SYMS 1000000u
#define MAX_STRINGS (8u << 20)
/* A search of the image reads so many heads of lists beyond the image, at most. */
#define MAX_PEEKS 100000u

#define PAGE 4096u
/* The kernel's struct module is no larger. */
#define MODULE_BYTES 4096u
#define NAME_ROOM 64

struct reader {
	struct vigil_monitor *mon;
	const struct symimage *im;
	unsigned int peeks;
};

/* @addr: of struct module */
struct module {
	uint64_t addr, next;
	char name[NAME_ROOM];
	/* 0: they are not there, as while it is being loaded */
	uint64_t symtab, strtab, typetab;
	uint32_t num;
};

static uint64_t get_word(const struct reader *r, const uint8_t *p)
{
	uint64_t v = 0;

	memcpy(&v, p, r->im->word);
	return v;
}

/* Can this be an address of the kernel's? A 32-bit one has memory from its 1 GiB on. */
static bool in_kernel(const struct reader *r, uint64_t addr)
{
	return !(addr % r->im->word) &&
	       (r->im->word == 8 ? addr >> 47 == 0x1ffff :
				   addr >= (r->im->start & ~0x3fffffffull));
}

/* Reads what is mapped, and zeros where nothing is. Return: is the first page there? */
static bool read_pages(const struct reader *r, uint64_t addr, uint8_t *buf,
		       size_t len)
{
	bool first = true, there = false;
	size_t n;

	for (; len; addr += n, buf += n, len -= n) {
		n = PAGE - (addr & (PAGE - 1));
		if (n > len)
			n = len;
		if (vigil_read_virt(r->mon, 0, addr, buf, n))
			memset(buf, 0, n);
		else if (first)
			there = true;
		first = false;
	}
	return there;
}

/* Reads two words, of the copy where it has them. */
static bool read_pair(struct reader *r, uint64_t addr, uint64_t pair[2])
{
	unsigned int word = r->im->word;
	uint8_t bytes[16];

	if (addr >= r->im->start && addr - r->im->start < r->im->len &&
	    r->im->len - (addr - r->im->start) >= 2 * word) {
		memcpy(bytes, r->im->buf + (addr - r->im->start), 2 * word);
	} else {
		if (!r->peeks)
			return false;
		r->peeks--;
		if (vigil_read_virt(r->mon, 0, addr, bytes, 2 * word))
			return false;
	}
	pair[0] = get_word(r, bytes);
	pair[1] = get_word(r, bytes + word);
	return true;
}

static bool take_name(struct module *m, const uint8_t *name, size_t room)
{
	size_t n = strnlen((const char *)name, room);

	if (!n || n == room)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || strchr(":/+=", name[i]))
			return false;
	memcpy(m->name, name, n + 1);
	return true;
}

/* Finds the pointer to what is behind it, and the tables there. */
static void find_tables(const struct reader *r, struct module *m,
			const uint8_t *buf)
{
	unsigned int word = r->im->word;

	for (size_t at = 3 * word + NAME_ROOM - word;
	     at + 5 * word <= MODULE_BYTES; at += word) {
		uint64_t symtab = get_word(r, buf + at + word);
		uint64_t num = get_word(r, buf + at + 2 * word);
		uint64_t strtab = get_word(r, buf + at + 3 * word);
		uint64_t typetab = get_word(r, buf + at + 4 * word);

		if (get_word(r, buf + at) != m->addr + at + word ||
		    !in_kernel(r, symtab) || !in_kernel(r, strtab & ~7ull) ||
		    !in_kernel(r, typetab & ~7ull) || (uint32_t)num < 1 ||
		    (uint32_t)num > MAX_SYMS)
			continue;
		m->symtab = symtab;
		m->num = num;
		m->strtab = strtab;
		m->typetab = typetab;
		return;
	}
}

/* Reads the module whose list member is at @node. Return: is it one? */
static bool read_module(const struct reader *r, uint64_t node, struct module *m)
{
	unsigned int word = r->im->word;
	uint8_t buf[MODULE_BYTES];
	uint32_t state;

	memset(m, 0, sizeof(*m));
	m->addr = node - word;
	if (!in_kernel(r, node) || !read_pages(r, m->addr, buf, sizeof(buf)))
		return false;
	memcpy(&state, buf, sizeof(state));
	m->next = get_word(r, buf + word);
	if (state > 3 || !take_name(m, buf + 3 * word, NAME_ROOM - word))
		return false;
	find_tables(r, m, buf);
	return true;
}

/*
 * Are all members of the list at @head modules? With @whole each has tables, which
 * tells the head from a member. Return: how many; 0: this is no list of modules.
 */
static unsigned int count_modules(struct reader *r, uint64_t head, bool whole)
{
	unsigned int n = 0;
	struct module m;
	uint64_t pair[2], node;

	if (!read_pair(r, head, pair))
		return 0;
	for (node = pair[0]; node != head; node = m.next) {
		if (n++ == MAX_MODULES || !read_module(r, node, &m) ||
		    (whole && !m.symtab))
			return 0;
	}
	return n;
}

/* Is this the head of a list that is not empty, as far as its neighbours tell? */
static bool is_list(struct reader *r, uint64_t head, const uint8_t *at)
{
	uint64_t next = get_word(r, at), prev = get_word(r, at + r->im->word);
	uint64_t pair[2];

	return next != head && in_kernel(r, next) && in_kernel(r, prev) &&
	       read_pair(r, next, pair) && pair[1] == head &&
	       read_pair(r, prev, pair) && pair[0] == head;
}

/*
 * The only list of modules whose head is in the image; 0: none, or several. Its data is
 * behind its functions, but for those of its start, which are the last. Elsewhere in the
 * copy is code, which looks like anything, and around a 32-bit kernel other memory.
 */
static uint64_t search_head(struct reader *r, const struct symtab *t)
{
	unsigned int word = r->im->word;
	uint64_t found = 0, last = t->sym[t->n - 1].addr;
	const struct symbol *text_end = symtab_find(t, "_etext");
	size_t at;

	if (!text_end || text_end->addr < r->im->start)
		return 0;
	at = (text_end->addr - r->im->start) & ~(word - 1ul);
	for (; at + 2 * word <= r->im->len && r->im->start + at <= last;
	     at += word) {
		uint64_t head = r->im->start + at;

		if (!is_list(r, head, r->im->buf + at) ||
		    !count_modules(r, head, true))
			continue;
		if (found)
			return 0;
		found = head;
	}
	return found;
}

static uint64_t find_head(struct reader *r, const struct symtab *t)
{
	const struct symbol *s = symtab_find(t, "modules");

	if (!s)
		return search_head(r, t);
	if (symtab_count(t, "modules") == 1 && count_modules(r, s->addr, false))
		return s->addr;
	return 0;
}

/**
 * struct tables - a module's tables
 * @sym: struct Elf64_Sym or Elf32_Sym
 * @str: names, with a NUL behind the last
 * @str_len: bytes of it, without that
 * @type: a letter for each
 */
struct tables {
	uint8_t *sym, *str, *type;
	size_t str_len;
};

static Elf64_Sym symbol_at(const struct reader *r, const struct tables *tb,
			   uint32_t i)
{
	Elf64_Sym sym;
	Elf32_Sym s32;

	if (r->im->word == 8) {
		memcpy(&sym, tb->sym + i * sizeof(sym), sizeof(sym));
		return sym;
	}
	memcpy(&s32, tb->sym + i * sizeof(s32), sizeof(s32));
	return (Elf64_Sym){ .st_name = s32.st_name,
			    .st_value = s32.st_value,
			    .st_shndx = s32.st_shndx };
}

static int read_tables(const struct reader *r, const struct module *m,
		       struct tables *tb)
{
	size_t size = r->im->word == 8 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	uint32_t last = 0;

	tb->sym = malloc(m->num * size);
	tb->type = malloc(m->num);
	if (!tb->sym || !tb->type)
		return vigil_lib_fail(ENOMEM, "out of memory");
	read_pages(r, m->symtab, tb->sym, m->num * size);
	read_pages(r, m->typetab, tb->type, m->num);
	for (uint32_t i = 0; i < m->num; i++) {
		Elf64_Sym sym = symbol_at(r, tb, i);

		if (sym.st_name > last && sym.st_name < MAX_STRINGS)
			last = sym.st_name;
	}
	tb->str_len = last + SYMTAB_NAME_MAX;
	tb->str = malloc(tb->str_len + 1);
	if (!tb->str)
		return vigil_lib_fail(ENOMEM, "out of memory");
	read_pages(r, m->strtab, tb->str, tb->str_len);
	tb->str[tb->str_len] = 0;
	return 0;
}

static int add_symbols(struct symtab *t, const struct reader *r,
		       const struct module *m, const struct tables *tb)
{
	int ret = 0;

	for (uint32_t i = 1; !ret && i < m->num; i++) {
		Elf64_Sym sym = symbol_at(r, tb, i);
		const char *name;

		if (sym.st_shndx == SHN_UNDEF || sym.st_name >= tb->str_len ||
		    !in_kernel(r, sym.st_value & ~7ull))
			continue;
		name = (const char *)tb->str + sym.st_name;
		if (*name && strnlen(name, SYMTAB_NAME_MAX) < SYMTAB_NAME_MAX)
			ret = symtab_add(t, sym.st_value, tb->type[i], name,
					 m->name);
	}
	return ret;
}

static int add_module(struct symtab *t, const struct reader *r,
		      const struct module *m)
{
	struct tables tb = { 0 };
	int ret = read_tables(r, m, &tb);

	if (!ret)
		ret = add_symbols(t, r, m, &tb);
	free(tb.sym);
	free(tb.str);
	free(tb.type);
	return ret;
}

int symmods_add(struct symtab *t, struct vigil_monitor *mon,
		const struct symimage *im)
{
	struct reader r = { .mon = mon, .im = im, .peeks = MAX_PEEKS };
	uint64_t head = find_head(&r, t), node, pair[2];
	unsigned int n = 0, all = 0;
	struct module m;
	int ret = 0;

	if (!head || !read_pair(&r, head, pair))
		return 0;
	/* The guest runs on: its list may change, so it is checked again. */
	for (node = pair[0]; !ret && node != head; node = m.next) {
		if (n++ == MAX_MODULES || !read_module(&r, node, &m))
			break;
		all += m.num;
		if (all > MAX_ALL_SYMS)
			break;
		if (m.symtab)
			ret = add_module(t, &r, &m);
	}
	return ret ? ret : symtab_sort(t);
}
