/* SPDX-License-Identifier: GPL-2.0 */
/* A guest kernel's symbols, wherever they come from. */
#ifndef VIGIL_SYMTAB_H
#define VIGIL_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvigil.h"

/* Longest name, before vigil_quote() and without the NUL. */
#define SYMTAB_NAME_MAX 511

/**
 * struct symbol - a symbol
 * @addr: where it is
 * @name: its name, which went through vigil_quote(): printable in any case
 * @module: the module it belongs to, quoted as well; NULL for the kernel's own
 * @type: a letter as nm(1) prints it, or '?'
 */
struct symbol {
	uint64_t addr;
	const char *name;
	const char *module;
	char type;
};

/**
 * struct symtab - symbols
 * @sym: sorted by address once symtab_sort() was called
 * @by_name: the same, sorted by name
 * @n: how many there are
 * @room: symbols that @sym has room for
 * @origin: where they come from, for people
 * @slide: what was added to the addresses of a file
 * @unmoved: a file says nothing of where KASLR put the kernel, so its addresses
 *	are taken as they stand
 * @text: bytes of all names
 * @chunks: the memory that the names are in
 */
struct symtab {
	struct symbol *sym;
	struct symbol **by_name;
	size_t n;
	size_t room;
	char origin[256];
	uint64_t slide;
	bool unmoved;
	size_t text;
	struct chunk *chunks;
};

/* @name and @module may hold any bytes, and @module may be NULL. */
int symtab_add(struct symtab *t, uint64_t addr, char type, const char *name,
	       const char *module);
int symtab_sort(struct symtab *t);
void symtab_free(struct symtab *t);

/**
 * symtab_define() - add a symbol that a person gave
 * @t: the table
 * @def: NAME=ADDR, the address in hexadecimal with or without 0x
 *
 * The new symbol replaces all others of its name. @t is sorted afterwards.
 * Return: 0, -EINVAL or -ENOMEM.
 */
int symtab_define(struct symtab *t, const char *def);

/*
 * NULL when there is none; the first by address where there are several. Modules'
 * symbols count only where the kernel has none of that name.
 */
const struct symbol *symtab_find(const struct symtab *t, const char *name);
/* How many have this name, as for symtab_find(). */
unsigned int symtab_count(const struct symtab *t, const char *name);
/* The symbol at or closest before @addr, among text and data of the kernel. */
const struct symbol *symtab_at(const struct symtab *t, uint64_t addr,
			       uint64_t *off);
/* Writes "name+0x10", or "" where no symbol is near. */
const char *symtab_text(const struct symtab *t, uint64_t addr, char *buf,
			size_t len);

/* symtab_len() returns this where it finds no next symbol. */
#define SYMTAB_LEN_DEFAULT 8
/* A watch may not be longer. */
#define SYMTAB_LEN_MAX (16u << 20)

/**
 * symtab_len() - bytes from @addr up to the next symbol
 * @t: the table, sorted; or NULL
 * @addr: any address
 *
 * Tables of Linux have no lengths, so padding behind an object counts as part of
 * it.
 * Return: 1 to SYMTAB_LEN_MAX; SYMTAB_LEN_DEFAULT behind the last symbol and
 * where the next one is further away than SYMTAB_LEN_MAX.
 */
uint64_t symtab_len(const struct symtab *t, uint64_t addr);

/**
 * symtab_parse() - NAME, NAME+OFFSET or NAME=ADDR to an address; NAME may be
 *	MODULE:NAME
 * @t: the table, sorted
 * @expr: what a person wrote
 * @addr: out
 *
 * Return: 0, -ENOENT, or -EINVAL for a bad offset or a name that several
 * symbols have; vigil_error() says which.
 */
int symtab_parse(const struct symtab *t, const char *expr, uint64_t *addr);

/* symfile.c: System.map, a dump of /proc/kallsyms, or an ELF file. */
int symtab_load_file(struct symtab *t, const char *path);

/* symguest.c: from the guest's memory; or a file, moved to where it runs. */
int symtab_load_guest(struct symtab *t, struct vigil_monitor *mon);
int symtab_load(struct symtab *t, struct vigil_monitor *mon, const char *file);

/**
 * symdata_add_syscalls() - find the table of system calls where it has no symbol
 * @t: the symbols, sorted; gets sys_call_table and sys_call_table.end
 * @buf: a copy of the kernel's image, aligned as its memory is
 * @len: bytes of it
 * @start: guest-virtual address of that memory
 * @word: bytes of an address: 8 or 4
 *
 * Adds nothing where there is a symbol of that name, and where no place or several
 * look like the table. Return: 0, -ENOMEM or -ENOEXEC.
 */
int symdata_add_syscalls(struct symtab *t, const uint8_t *buf, size_t len,
			 uint64_t start, unsigned int word);

/**
 * struct symimage - a copy of the memory that a kernel's image lies in
 * @start: guest-virtual address
 * @buf: the copy, aligned as the memory is
 * @len: bytes of it
 * @word: bytes of an address: 8 or 4
 */
struct symimage {
	uint64_t start;
	const uint8_t *buf;
	size_t len;
	unsigned int word;
};

/**
 * symmods_add() - add the symbols of the modules that the kernel has loaded
 * @t: the kernel's symbols, sorted
 * @mon: the monitor through which the guest's memory is read
 * @im: the kernel's image
 *
 * Adds nothing where the list of modules is not found. What it reads is bounded,
 * whatever the guest has there. Return: 0, -ENOMEM or -ENOEXEC.
 */
int symmods_add(struct symtab *t, struct vigil_monitor *mon,
		const struct symimage *im);

#endif
