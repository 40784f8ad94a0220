/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The symbol tables that a Linux kernel carries in its own read-only data
 * (CONFIG_KALLSYMS), found in a copy of its memory. No system calls here.
 *
 * Layouts, each label aligned to a word, which is 8 bytes, or 4 of a 32-bit
 * kernel; relative_base is a word, offsets and num_syms have 32 bits in any case:
 *
 *	up to 6.1	offsets relative_base num_syms names markers
 *			token_table token_index
 *	6.2, 6.3	the same, with seqs_of_names behind markers
 *	from 6.4	num_syms names markers token_table token_index offsets
 *			relative_base seqs_of_names
 *	7.x		num_syms names markers token_table token_index offsets
 *			seqs_of_names, each label aligned to 4 bytes. An offset
 *			counts from the place where it stands. A 32-bit kernel
 *			that cannot be moved has the addresses themselves there.
 */
#ifndef VIGIL_KALLSYMS_H
#define VIGIL_KALLSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The part of token_table with '0' to '9', for which a search looks. */
#define KALLSYMS_PATTERN "0\0001\0002\0003\0004\0005\0006\0007\0008\0009"
#define KALLSYMS_PATTERN_LEN 20

/* The tables begin and end no further than this from the pattern. */
#define KALLSYMS_BEFORE (24u << 20)
#define KALLSYMS_BEHIND (8u << 20)

#define KALLSYMS_MAX_SYMS 1000000u
#define KALLSYMS_NAME_LEN 512

/*
 * The steps that a whole search may take, whatever a guest has in its memory. A
 * step looks at one token, one name, one place where names could begin, or one
 * offset. A real table of Linux needs about four for each of its 100 000 to 300
 * 000 symbols.
 */
#define KALLSYMS_STEPS (64u << 20)

enum kallsyms_layout {
	KALLSYMS_OFFSETS_FIRST, /* up to 6.3 */
	KALLSYMS_OFFSETS_LAST, /* from 6.4 */
	KALLSYMS_PLACES, /* 7.x: relative to the place of the offset */
	KALLSYMS_ADDRESSES, /* 7.x: 32-bit addresses */
};

/**
 * struct kallsyms - where the tables are in a buffer
 * @buf: the copy of memory
 * @len: bytes of it
 * @start: the guest-virtual address of @buf
 * @tokens: offset in @buf of token_table
 * @token_index: of token_index
 * @num_syms: symbols
 * @names: offset of names
 * @markers: of markers
 * @offsets: of offsets
 * @word: bytes of an address: 8 or 4
 * @align: to how many bytes each table is aligned
 * @steps: what is left of the caller's steps
 * @relative_base: the value, an address in the running kernel
 * @absolute_percpu: non-negative offsets are absolute (per-CPU) symbols
 * @layout: where the offsets were
 */
struct kallsyms {
	const uint8_t *buf;
	size_t len;
	uint64_t start;
	size_t tokens, token_index;
	uint32_t num_syms;
	size_t names, markers, offsets;
	unsigned int word, align;
	uint64_t *steps;
	uint64_t relative_base;
	bool absolute_percpu;
	enum kallsyms_layout layout;
};

/**
 * kallsyms_locate() - find all tables around a hit of the pattern
 * @ks: filled in
 * @buf: copy of memory, 8-byte aligned as the memory was
 * @len: bytes of it
 * @start: the guest-virtual address of that memory
 * @pattern: offset of KALLSYMS_PATTERN
 * @word: bytes of an address in this guest: 8 or 4
 * @steps: steps that may be made, at first KALLSYMS_STEPS; those that were are
 *	taken off. At 0 nothing is found any more, and the search is over.
 *
 * Every length, offset and marker is checked against the others.
 * Return: NULL, or why this is not a symbol table.
 */
const char *kallsyms_locate(struct kallsyms *ks, const uint8_t *buf, size_t len,
			    uint64_t start, size_t pattern, unsigned int word,
			    uint64_t *steps);

/**
 * kallsyms_each() - call a function for each symbol, in the table's order
 * @ks: the tables, as kallsyms_locate() found them
 * @fn: gets @priv and the symbol; its name is there as long as the call
 * @priv: for @fn
 *
 * Return: 0, or what @fn returned when that was not 0, or -1 where the table is
 * broken.
 */
int kallsyms_each(const struct kallsyms *ks,
		  int (*fn)(void *priv, uint64_t addr, char type,
			    const char *name),
		  void *priv);

#endif
