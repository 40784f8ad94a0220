// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the kernel's symbol tables in a copy of its memory.
 *
 * Names are compressed: a symbol is a length and that many token numbers, the
 * first character of the expansion being the symbol's type. Characters that
 * occur in names stand for themselves, so the tokens of '0' to '9' follow each
 * other in token_table; from there everything else is found and checked.
 */
#include <string.h>

#include "kallsyms.h"

#define N_TOKENS 256
#define MIN_SYMS 1000
/* Longest token, without its NUL. */
#define MAX_TOKEN 128
/* A symbol is no further than this from the offsets: no image is larger. */
#define MAX_REACH (256 << 20)

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static size_t align_to(size_t n, unsigned int word)
{
	return (n + word - 1) & ~(size_t)(word - 1);
}

static uint64_t get_bytes(const struct kallsyms *ks, size_t at,
			  unsigned int bytes)
{
	return bytes == 8 ? get64(ks->buf + at) : get32(ks->buf + at);
}

static uint64_t get_word(const struct kallsyms *ks, size_t at)
{
	return get_bytes(ks, at, ks->word);
}

/* Uses up one of the caller's steps. Return: was one left? */
static bool step(struct kallsyms *ks)
{
	if (!*ks->steps)
		return false;
	--*ks->steps;
	return true;
}

/* Return: the offset behind the NUL of the token at @pos, or 0 where none is. */
static size_t skip_token(struct kallsyms *ks, size_t pos, size_t limit)
{
	size_t room = limit > pos ? limit - pos : 0;
	const uint8_t *end;

	if (!step(ks))
		return 0;
	if (room > MAX_TOKEN + 1)
		room = MAX_TOKEN + 1;
	end = memchr(ks->buf + pos, 0, room);
	return end ? end - ks->buf + 1 : 0;
}

/* Finds token_table and token_index. */
static const char *locate_tokens(struct kallsyms *ks, size_t pattern)
{
	size_t pos = pattern, index, start;
	unsigned int i;

	/* Go on to the end of token 255, where token_index follows. */
	for (i = '0'; i < N_TOKENS; i++) {
		size_t next = skip_token(ks, pos, ks->len);

		if (next <= pos + 1)
			return "tokens are not what they should be";
		pos = next;
	}
	index = align_to(pos, ks->align);
	if (index + 2 * N_TOKENS > ks->len)
		return "the token index is cut off";
	if (get16(ks->buf + index + 2 * '0') > pattern)
		return "the token index does not fit";
	start = pattern - get16(ks->buf + index + 2 * '0');
	pos = start;
	for (i = 0; i < N_TOKENS; i++) {
		if (get16(ks->buf + index + 2 * i) != pos - start)
			return "the token index does not fit the tokens";
		pos = skip_token(ks, pos, index);
		if (!pos)
			return "the token index does not fit the tokens";
	}
	if (align_to(pos, ks->align) != index)
		return "the token index is not behind the tokens";
	ks->tokens = start;
	ks->token_index = index;
	return NULL;
}

/* Return: the length of a compressed name, 0 when broken. Moves *pos behind it. */
static unsigned int name_len(const uint8_t *buf, size_t *pos, size_t end)
{
	unsigned int len;

	if (*pos >= end)
		return 0;
	len = buf[(*pos)++];
	if (len & 0x80) {
		if (*pos >= end)
			return 0;
		len = (len & 0x7f) | buf[(*pos)++] << 7;
	}
	return len > end - *pos ? 0 : len;
}

/* Return: are there @n names at @names, with markers behind that agree? */
static bool names_fit(struct kallsyms *ks, size_t names, uint32_t n)
{
	size_t pos = names, end = ks->tokens, markers;
	unsigned int len;
	uint32_t i;

	/* A name has at least a byte of length and a token for its type. */
	if (n > (end - names) / 2)
		return false;
	for (i = 0; i < n; i++) {
		len = step(ks) ? name_len(ks->buf, &pos, end) : 0;
		if (!len)
			return false;
		pos += len;
	}
	markers = align_to(pos, ks->align);
	if (markers + (n + 255) / 256 * 4 > end)
		return false;
	pos = names;
	for (i = 0; i < n; i++) {
		if (i % 256 == 0 &&
		    get32(ks->buf + markers + i / 256 * 4) != pos - names)
			return false;
		if (!step(ks))
			return false;
		len = name_len(ks->buf, &pos, end);
		pos += len;
	}
	ks->names = names;
	ks->markers = markers;
	ks->num_syms = n;
	return true;
}

/*
 * num_syms stands right before names, with zeros up to the alignment, in every
 * layout.
 *
 * Each place is tried. A hostile guest can make the walk over names from each
 * place go on up to the tokens, so the caller's steps bound the total work.
 */
static const char *locate_names(struct kallsyms *ks)
{
	unsigned int align = ks->align;
	size_t pos, last = ks->tokens & ~(size_t)(align - 1);
	size_t first = last > KALLSYMS_BEFORE ? last - KALLSYMS_BEFORE : 0;

	if (last < first + 2 * align)
		return "there is nothing before the tokens";
	for (pos = last - 2 * align; step(ks); pos -= align) {
		uint32_t n = get32(ks->buf + pos);

		if (n >= MIN_SYMS && n <= KALLSYMS_MAX_SYMS &&
		    get_bytes(ks, pos, align) == n &&
		    names_fit(ks, pos + align, n))
			return NULL;
		if (pos < first + align)
			return "there are no names before the tokens";
	}
	return "it took too many steps";
}

/* Can this be an address of the kernel? */
static bool in_kernel(const struct kallsyms *ks, uint64_t addr)
{
	return ks->word == 8 ? addr >> 40 == 0xffffff : addr >= 0x40000000;
}

/* The base must be an address of the kernel, aligned to 4 KiB. */
static bool base_plausible(const struct kallsyms *ks, uint64_t base)
{
	return !(base & 0xfff) && in_kernel(ks, base);
}

/* Uses up a step for each symbol. Return: were there enough? */
static bool step_symbols(struct kallsyms *ks)
{
	if (*ks->steps < ks->num_syms)
		return false;
	*ks->steps -= ks->num_syms;
	return true;
}

/* May this many of the symbols, and no more, be out of order? */
static bool few(const struct kallsyms *ks, uint32_t n)
{
	return n < ks->num_syms / 100;
}

/* The kernel searches the offsets, so they are sorted, with per-CPU symbols first. */
static bool offsets_fit(struct kallsyms *ks, size_t offsets)
{
	uint32_t i, negative = 0, down = 0;

	if (!step_symbols(ks))
		return false;
	for (i = 0; i < ks->num_syms; i++)
		negative += get32(ks->buf + offsets + i * 4) >> 31;
	ks->absolute_percpu = ks->word == 8 && negative > ks->num_syms / 2;
	ks->offsets = offsets;
	/* Offsets from the lowest symbol are no larger than an image. */
	if (!ks->absolute_percpu && !few(ks, negative))
		return false;
	for (i = 1; i < ks->num_syms; i++) {
		int32_t a = get32(ks->buf + offsets + (i - 1) * 4);
		int32_t b = get32(ks->buf + offsets + i * 4);

		down += ks->absolute_percpu ? a < 0 && (b >= 0 || b > a) :
					      (uint32_t)b < (uint32_t)a;
	}
	return few(ks, down);
}

static uint64_t address(const struct kallsyms *ks, uint32_t i)
{
	size_t at = ks->offsets + (size_t)i * 4;
	int32_t off = get32(ks->buf + at);
	uint64_t addr;

	switch (ks->layout) {
	case KALLSYMS_PLACES:
		addr = ks->start + at + off;
		break;
	case KALLSYMS_ADDRESSES:
		addr = (uint32_t)off;
		break;
	default:
		if (ks->absolute_percpu)
			return off >= 0 ? (uint64_t)off :
					  ks->relative_base - 1 - off;
		addr = ks->relative_base + (uint32_t)off;
	}
	return ks->word == 4 ? (uint32_t)addr : addr;
}

/* Is this symbol's address one of the kernel's, and not too far from the tables? */
static bool address_plausible(const struct kallsyms *ks, uint32_t i,
			      uint64_t addr)
{
	int32_t off = get32(ks->buf + ks->offsets + (size_t)i * 4);

	return in_kernel(ks, addr) && (ks->layout != KALLSYMS_PLACES ||
				       (off > -MAX_REACH && off < MAX_REACH));
}

/* Without a base: are these addresses of the kernel, and sorted? */
static bool addresses_fit(struct kallsyms *ks, enum kallsyms_layout layout)
{
	uint32_t i, wrong = 0;
	uint64_t addr, last = 0;

	if (!step_symbols(ks))
		return false;
	ks->layout = layout;
	ks->absolute_percpu = false;
	for (i = 0; i < ks->num_syms; i++) {
		addr = address(ks, i);
		wrong += addr < last || !address_plausible(ks, i, addr);
		last = addr;
	}
	return few(ks, wrong);
}

/* Finds the offsets of kernels whose tables have a base, before 7.x. */
static bool locate_based(struct kallsyms *ks)
{
	unsigned int word = ks->word;
	size_t size = align_to((size_t)ks->num_syms * 4, word), at;

	at = ks->names - word; /* num_syms */
	if (at >= size + word && base_plausible(ks, get_word(ks, at - word)) &&
	    offsets_fit(ks, at - word - size)) {
		ks->layout = KALLSYMS_OFFSETS_FIRST;
		ks->relative_base = get_word(ks, at - word);
		return true;
	}
	at = ks->token_index + 2 * N_TOKENS;
	if (at + size + word <= ks->len &&
	    base_plausible(ks, get_word(ks, at + size)) &&
	    offsets_fit(ks, at)) {
		ks->layout = KALLSYMS_OFFSETS_LAST;
		ks->relative_base = get_word(ks, at + size);
		return true;
	}
	return false;
}

static const char *locate_offsets(struct kallsyms *ks)
{
	size_t at = ks->token_index + 2 * N_TOKENS;

	if (ks->align == ks->word && locate_based(ks))
		return NULL;
	ks->offsets = at;
	if (ks->align == 4 && at + (size_t)ks->num_syms * 4 <= ks->len &&
	    (addresses_fit(ks, KALLSYMS_PLACES) ||
	     (ks->word == 4 && addresses_fit(ks, KALLSYMS_ADDRESSES))))
		return NULL;
	return "there are no offsets where a kernel that is known has them";
}

static const char *locate_aligned(struct kallsyms *ks, size_t pattern,
				  unsigned int align)
{
	const char *why;

	ks->align = align;
	why = locate_tokens(ks, pattern);
	if (!why)
		why = locate_names(ks);
	if (!why)
		why = locate_offsets(ks);
	return why;
}

const char *kallsyms_locate(struct kallsyms *ks, const uint8_t *buf, size_t len,
			    uint64_t start, size_t pattern, unsigned int word,
			    uint64_t *steps)
{
	const char *why;

	memset(ks, 0, sizeof(*ks));
	ks->buf = buf;
	ks->len = len;
	ks->start = start;
	ks->word = word;
	ks->steps = steps;
	if (len < KALLSYMS_PATTERN_LEN || pattern > len - KALLSYMS_PATTERN_LEN)
		return "there is no pattern";
	why = locate_aligned(ks, pattern, word);
	if (why && word == 8)
		why = locate_aligned(ks, pattern, 4);
	return why;
}

/* Return: did the name fit? No symbol of Linux has a longer name. */
static bool expand(const struct kallsyms *ks, size_t pos, unsigned int len,
		   char *out)
{
	size_t used = 0;

	while (len--) {
		const uint8_t *token =
			ks->buf + ks->tokens +
			get16(ks->buf + ks->token_index + 2 * ks->buf[pos++]);
		size_t n = strlen((const char *)token);

		if (used + n >= KALLSYMS_NAME_LEN)
			return false;
		memcpy(out + used, token, n);
		used += n;
	}
	out[used] = 0;
	return used > 1;
}

int kallsyms_each(const struct kallsyms *ks,
		  int (*fn)(void *priv, uint64_t addr, char type,
			    const char *name),
		  void *priv)
{
	char name[KALLSYMS_NAME_LEN];
	size_t pos = ks->names;
	unsigned int len;
	uint32_t i;
	int ret;

	for (i = 0; i < ks->num_syms; i++) {
		len = name_len(ks->buf, &pos, ks->markers);
		if (!len || !expand(ks, pos, len, name))
			return -1;
		ret = fn(priv, address(ks, i), name[0], name + 1);
		if (ret)
			return ret;
		pos += len;
	}
	return 0;
}
