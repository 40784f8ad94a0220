/* SPDX-License-Identifier: GPL-2.0 */
/* A guest kernel's symbols, wherever they come from. */
#ifndef VIGIL_SYMTAB_H
#define VIGIL_SYMTAB_H

#include <stddef.h>
#include <stdint.h>

#include "mon.h"

struct symbol {
	uint64_t addr;
	const char *name;
	char type;
};

/**
 * struct symtab - symbols
 * @sym: @n of them, sorted by address once symtab_sort() was called
 * @by_name: the same, sorted by name
 * @origin: where they come from, for people
 * @slide: what was added to the addresses of a file
 *
 * The rest is private.
 */
struct symtab {
	struct symbol *sym;
	struct symbol **by_name;
	size_t n;
	size_t room;
	char origin[256];
	uint64_t slide;
	struct chunk *chunks;
};

int symtab_add(struct symtab *t, uint64_t addr, char type, const char *name);
int symtab_sort(struct symtab *t);
void symtab_free(struct symtab *t);

/* NULL when there is none; the first by address where there are several. */
const struct symbol *symtab_find(const struct symtab *t, const char *name);
/* How many have this name. */
unsigned int symtab_count(const struct symtab *t, const char *name);
/* The symbol at or closest before @addr, among text and data of the kernel. */
const struct symbol *symtab_at(const struct symtab *t, uint64_t addr,
			       uint64_t *off);
/* "name+0x10", or "" where no symbol is near. */
const char *symtab_text(const struct symtab *t, uint64_t addr, char *buf,
			size_t len);

/**
 * symtab_parse() - NAME or NAME+OFFSET to an address
 *
 * Return: 0, -ENOENT, or -EINVAL for a bad offset or a name that several
 * symbols have; vigil_error() says which.
 */
int symtab_parse(const struct symtab *t, const char *expr, uint64_t *addr);

/* symfile.c: System.map, a dump of /proc/kallsyms, or an ELF file. */
int symtab_load_file(struct symtab *t, const char *path);

/* symguest.c: from the guest's memory; or a file, moved to where it runs. */
int symtab_load_guest(struct symtab *t, struct mon *mon);
int symtab_load(struct symtab *t, struct mon *mon, const char *file);

#endif
