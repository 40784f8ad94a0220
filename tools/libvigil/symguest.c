// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols of the kernel that runs in a guest: its own tables, found in its
 * memory; or those of a file, moved to where KASLR has put this kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kallsyms.h"
#include "lib.h"
#include "symtab.h"

#define PAGE 4096u
/* x86 maps a kernel's image in pieces of this size, aligned to it. */
#define BLOCK (2u << 20)
/* A file with fewer symbols was made by hand or by a filter. */
#define FEW_SYMBOLS 100

/*
 * The part of the guest's virtual memory that only the kernel's image can be in.
 * Guest-physical memory is never searched: a process of the guest may have put
 * forged tables there, but it cannot map them here.
 */
#define IMAGE_START64 0xffffffff80000000ull
#define IMAGE_END64 0xffffffffc0000000ull
#define MAX_IMAGE (256u << 20)
/* The hole that freed __init memory leaves in an image is smaller than this. */
#define MAX_HOLE (16u << 20)
/*
 * A 32-bit kernel's image lies in its direct map of memory, among other pages:
 * it is looked for this far before and behind the handlers of exceptions.
 */
#define IMAGE_REACH32 (64u << 20)

/* Handlers of exceptions: their names in 5.8 and later, and in earlier kernels. */
static const struct {
	unsigned int vector;
	const char *name[2];
} gates[] = {
	{ 0, { "asm_exc_divide_error", "divide_error" } },
	{ 6, { "asm_exc_invalid_op", "invalid_op" } },
	{ 13, { "asm_exc_general_protection", "general_protection" } },
	{ 14, { "asm_exc_page_fault", "page_fault" } },
};

/* SYSCALL leads here: a 64-bit kernel puts its address into MSR_LSTAR. */
#define SYSCALL_ENTRY "entry_SYSCALL_64"
/*
 * Up to 4.19, a kernel with page-table isolation has the address of a trampoline
 * there, in the area that each CPU's entry has.
 */
#define ENTRY_AREA_START 0xfffffe0000000000ull
#define ENTRY_AREA_END 0xfffffe8000000000ull

#define N_GATES (sizeof(gates) / sizeof(gates[0]))

/**
 * struct guest - what is known of the guest's kernel
 * @mon: the monitor through which it is read; address space 0 maps the kernel
 * @word: bytes of an address
 * @handler: where the interrupt table leads for gates[]; 0: cannot be told
 * @syscall: where SYSCALL leads; 0: cannot be told
 */
struct guest {
	struct vigil_monitor *mon;
	unsigned int word;
	uint64_t handler[N_GATES];
	uint64_t syscall;
};

/* Address space 0 is vCPU 0's, with the kernel mapped whatever mode it is in. */
static int read_kernel(const struct guest *g, uint64_t gva, void *buf,
		       size_t len)
{
	return vigil_read_virt(g->mon, 0, gva, buf, len);
}

/* Return: where gate @vector of the guest's IDT leads, 0 where it cannot be told. */
static uint64_t idt_handler(const struct guest *g, uint64_t idt,
			    unsigned int vector)
{
	unsigned int size = 2 * g->word;
	uint64_t gate[2] = { 0 }, low;

	if (read_kernel(g, idt + vector * size, gate, size) ||
	    !(gate[0] >> 47 & 1))
		return 0;
	low = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000);
	return g->word == 8 ? low | gate[1] << 32 : low;
}

static int get_guest(struct guest *g, struct vigil_monitor *mon)
{
	struct vigil_registers state;
	unsigned int i;
	int ret;

	memset(g, 0, sizeof(*g));
	g->mon = mon;
	ret = vigil_get_registers(mon, 0, &state, sizeof(state));
	if (ret)
		return ret;
	g->word = state.sregs.efer & 1 << 10 ? 8 : 4;
	if (g->word == 8 &&
	    (state.lstar < ENTRY_AREA_START || state.lstar >= ENTRY_AREA_END))
		g->syscall = state.lstar;
	for (i = 0; i < N_GATES; i++)
		g->handler[i] =
			idt_handler(g, state.sregs.idt.base, gates[i].vector);
	return 0;
}

static const struct symbol *gate_symbol(const struct symtab *t, unsigned int i)
{
	const struct symbol *s = symtab_find(t, gates[i].name[0]);

	return s ? s : symtab_find(t, gates[i].name[1]);
}

/* Does SYSCALL lead elsewhere than these symbols say? */
static bool syscall_differs(const struct guest *g, const struct symtab *t)
{
	const struct symbol *s = symtab_find(t, SYSCALL_ENTRY);

	return s && g->syscall && s->addr != g->syscall;
}

/* Does the kernel's own banner stand where these symbols say? */
static bool banner_there(const struct guest *g, const struct symtab *t)
{
	const struct symbol *s = symtab_find(t, "linux_banner");
	char text[64];

	if (!s || read_kernel(g, s->addr, text, sizeof(text)))
		return false;
	return !memcmp(text, "Linux version ", 14);
}

/*
 * The kernel that runs has its banner, and handlers where the interrupt table says.
 * Without CONFIG_KALLSYMS_ALL, as in Debian's 32-bit kernels, the table has functions
 * only and no banner: then two handlers must tell. SYSCALL of 64-bit code leads where
 * the table has its entry.
 * Return: NULL, or why the table is not of the kernel that runs.
 */
static const char *runs_not(const struct guest *g, const struct symtab *t)
{
	static const char another[] =
		"the tables of a kernel that does not run";
	unsigned int i, known = 0, agree = 0;

	for (i = 0; i < N_GATES; i++) {
		const struct symbol *s = gate_symbol(t, i);

		if (!s || !g->handler[i])
			continue;
		known++;
		agree += s->addr == g->handler[i];
	}
	if (known && !agree)
		return another;
	if (symtab_find(t, "linux_banner") ? !banner_there(g, t) : agree < 2)
		return another;
	if (syscall_differs(g, t))
		return "tables that fit, were it not for MSR LSTAR, which does not point "
		       "to their entry_SYSCALL_64: they are forged, or somebody has put "
		       "another entry for system calls into the guest";
	return NULL;
}

/**
 * struct image - a copy of the memory that the kernel's image lies in
 * @start: guest-virtual address
 * @buf: the copy; what is not mapped is zero
 * @len: bytes of it
 */
struct image {
	uint64_t start;
	uint8_t *buf;
	size_t len;
};

/* Reads a block, zeros where nothing is mapped. Return: is any of it mapped? */
static bool read_block(const struct guest *g, uint64_t gva, uint8_t *buf)
{
	bool any = false;
	size_t at;

	if (!read_kernel(g, gva, buf, BLOCK))
		return true;
	for (at = 0; at < BLOCK; at += PAGE) {
		if (read_kernel(g, gva + at, buf + at, PAGE))
			memset(buf + at, 0, PAGE);
		else
			any = true;
	}
	return any;
}

/* Tells the range in which the image is looked for. Return: is there one? */
static bool image_range(const struct guest *g, uint64_t *from, uint64_t *to)
{
	uint64_t mid = 0;
	unsigned int i;

	*from = IMAGE_START64;
	*to = IMAGE_END64;
	if (g->word == 8)
		return true;
	for (i = 0; i < N_GATES && !mid; i++)
		mid = g->handler[i];
	if (mid < IMAGE_REACH32)
		return false;
	*from = (mid - IMAGE_REACH32) & ~(BLOCK - 1ull);
	*to = mid + IMAGE_REACH32;
	if (*to > 1ull << 32)
		*to = 1ull << 32;
	return true;
}

static int read_image(const struct guest *g, struct image *im)
{
	size_t room = 0, hole = 0;
	uint64_t gva, to;

	memset(im, 0, sizeof(*im));
	if (!image_range(g, &gva, &to))
		return 0;
	for (; gva < to && room < MAX_IMAGE; gva += BLOCK) {
		uint8_t first, *buf;

		/* An image starts with a page that is mapped. */
		if (!room && read_kernel(g, gva, &first, 1))
			continue;
		if (!room)
			im->start = gva;
		buf = realloc(im->buf, room + BLOCK);
		if (!buf)
			return vigil_lib_fail(ENOMEM, "out of memory");
		im->buf = buf;
		hole = read_block(g, gva, buf + room) ? 0 : hole + BLOCK;
		room += BLOCK;
		im->len = room - hole;
		if (hole >= MAX_HOLE && g->word == 8)
			break;
	}
	return 0;
}

static int add_symbol(void *priv, uint64_t addr, char type, const char *name)
{
	return symtab_add(priv, addr, type, name, NULL);
}

/* Reads the tables around @pattern. Return: 1: not the running kernel's. */
static int try_hit(struct symtab *t, const struct guest *g,
		   const struct image *im, size_t pattern, uint64_t *steps,
		   const char **why)
{
	size_t start = pattern > KALLSYMS_BEFORE ?
			       (pattern - KALLSYMS_BEFORE) & ~(PAGE - 1ul) :
			       0;
	size_t end = im->len - pattern > KALLSYMS_BEHIND ?
			     pattern + KALLSYMS_BEHIND :
			     im->len;
	const char *problem;
	struct kallsyms ks;
	int ret;

	problem = kallsyms_locate(&ks, im->buf + start, end - start,
				  im->start + start, pattern - start, g->word,
				  steps);
	if (problem) {
		*why = problem;
		return 1;
	}
	ret = kallsyms_each(&ks, add_symbol, t);
	if (!ret)
		ret = symtab_sort(t);
	if (!ret) {
		*why = runs_not(g, t);
		if (*why)
			ret = 1;
	}
	if (!ret) {
		snprintf(t->origin, sizeof(t->origin), "guest memory at %#llx",
			 (unsigned long long)(im->start + pattern));
		return 0;
	}
	symtab_free(t);
	return ret == -ENOMEM ? ret : 1;
}

/*
 * Finds the only table of @im that fits. Its steps are bounded, whatever the guest
 * has there.
 */
static int search_image(struct symtab *t, const struct guest *g,
			const struct image *im, const char **why)
{
	uint64_t steps = KALLSYMS_STEPS;
	const uint8_t *p = im->buf, *hit, *end = p + im->len;
	int ret;

	while ((hit = memmem(p, end - p, KALLSYMS_PATTERN,
			     KALLSYMS_PATTERN_LEN))) {
		struct symtab found = { 0 };

		ret = try_hit(&found, g, im, hit - im->buf, &steps, why);
		if (ret < 0)
			return ret;
		if (!steps) {
			symtab_free(&found);
			return vigil_lib_fail(
				ENOEXEC,
				"guest memory holds too much that looks like symbol tables "
				"but is none: give the right ones with --symbols FILE (a "
				"System.map, a dump of /proc/kallsyms or a vmlinux)");
		}
		if (!ret && t->n) {
			symtab_free(&found);
			return vigil_lib_fail(
				ENOEXEC,
				"two symbol tables fit the running kernel, at %#llx and in "
				"%s, and one may be forged: give the right one with "
				"--symbols FILE (a System.map, a dump of /proc/kallsyms or a "
				"vmlinux)",
				(unsigned long long)(im->start +
						     (hit - im->buf)),
				t->origin);
		}
		if (!ret)
			*t = found;
		p = hit + 1;
	}
	return 0;
}

int symtab_load_guest(struct symtab *t, struct vigil_monitor *mon)
{
	const char *why = "none";
	struct image im = { 0 };
	struct guest g;
	int ret;

	ret = get_guest(&g, mon);
	if (!ret)
		ret = read_image(&g, &im);
	if (!ret && im.len)
		ret = search_image(t, &g, &im, &why);
	if (!ret && t->n)
		ret = symdata_add_syscalls(t, im.buf, im.len, im.start, g.word);
	if (!ret && t->n)
		ret = symmods_add(t, mon,
				  &(struct symimage){ .start = im.start,
						      .buf = im.buf,
						      .len = im.len,
						      .word = g.word });
	if (!im.len)
		why = "no kernel is mapped";
	free(im.buf);
	if (ret)
		symtab_free(t);
	else if (!t->n)
		ret = vigil_lib_fail(
			ENOENT,
			"no kernel's symbol tables in guest memory (%s). Is Linux up "
			"yet, and built with CONFIG_KALLSYMS? --symbols FILE takes a "
			"System.map, a dump of /proc/kallsyms or a vmlinux",
			why);
	return ret;
}

/* Returns @run - @file, in the width of the guest's addresses. */
static uint64_t distance(const struct guest *g, uint64_t run, uint64_t file)
{
	return g->word == 8 ? run - file : (uint32_t)(run - file);
}

/*
 * Finds the slide from the interrupt table and from the entry of SYSCALL. All
 * that are known must agree.
 */
static bool slide_by_entries(const struct symtab *t, const struct guest *g,
			     uint64_t *slide)
{
	unsigned int i, agree = 0;

	for (i = 0; i <= N_GATES; i++) {
		bool gate = i < N_GATES;
		const struct symbol *s = gate ? gate_symbol(t, i) :
						symtab_find(t, SYSCALL_ENTRY);
		uint64_t run = gate ? g->handler[i] : g->syscall, by;

		if (!run || !s)
			continue;
		by = distance(g, run, s->addr);
		if (agree && *slide != by)
			return false;
		*slide = by;
		agree++;
	}
	return agree >= (t->n < FEW_SYMBOLS ? 1 : 2);
}

static const char *const marks[] = { "_stext", "linux_banner" };

/*
 * Finds the slide from the guest's own tables: two symbols that are far apart
 * must agree.
 */
static bool slide_by_kallsyms(const struct symtab *t, const struct guest *g,
			      uint64_t *slide)
{
	struct symtab own = { 0 };
	unsigned int i, agree = 0;

	if (symtab_load_guest(&own, g->mon))
		return false;
	for (i = 0; i < 2; i++) {
		const struct symbol *run = symtab_find(&own, marks[i]);
		const struct symbol *file = symtab_find(t, marks[i]);
		uint64_t by;

		if (!run || !file)
			continue;
		by = distance(g, run->addr, file->addr);
		if (agree && *slide != by)
			continue;
		*slide = by;
		agree++;
	}
	symtab_free(&own);
	return agree >= (t->n < FEW_SYMBOLS ? 1 : 2);
}

/*
 * Has this file no symbol that shows where the kernel is? A file of a few
 * symbols may have none.
 */
static bool without_marks(const struct symtab *t)
{
	unsigned int i;

	for (i = 0; i < N_GATES; i++)
		if (gate_symbol(t, i))
			return false;
	return t->n < FEW_SYMBOLS && !symtab_find(t, SYSCALL_ENTRY) &&
	       !symtab_find(t, marks[0]) && !symtab_find(t, marks[1]);
}

/* Per-CPU offsets and constants do not move with the kernel. */
static bool moves(const struct guest *g, const struct symbol *s)
{
	if (g->word == 8)
		return s->addr >> 63;
	return s->type != 'A' && s->type != 'a';
}

/*
 * After each boot modules are at other addresses: leaves out their symbols of
 * another boot.
 */
static int move(struct symtab *t, const struct guest *g)
{
	size_t i, n = 0;

	if (!t->slide)
		return 0;
	for (i = 0; i < t->n; i++) {
		struct symbol *s = &t->sym[n];

		*s = t->sym[i];
		if (s->module)
			continue;
		if (moves(g, s))
			s->addr += t->slide;
		if (g->word == 4)
			s->addr = (uint32_t)s->addr;
		n++;
	}
	t->n = n;
	return symtab_sort(t);
}

int symtab_load(struct symtab *t, struct vigil_monitor *mon, const char *file)
{
	struct guest g;
	int ret;

	if (!file)
		return symtab_load_guest(t, mon);
	ret = get_guest(&g, mon);
	if (!ret)
		ret = symtab_load_file(t, file);
	if (ret)
		goto out;
	t->unmoved = without_marks(t);
	if (!t->unmoved && !slide_by_entries(t, &g, &t->slide) &&
	    !slide_by_kallsyms(t, &g, &t->slide)) {
		ret = vigil_lib_fail(
			ENOENT,
			"%s does not fit the running kernel, or that one is not "
			"up yet: neither its interrupt table and MSR LSTAR nor its own "
			"symbols tell by how much KASLR moved it",
			file);
		goto out;
	}
	ret = move(t, &g);
	if (!ret && symtab_find(t, "linux_banner") && !banner_there(&g, t))
		ret = vigil_lib_fail(
			ENOENT,
			"%s is not of the kernel that runs in the guest", file);
	if (!ret && !t->unmoved && syscall_differs(&g, t))
		ret = vigil_lib_fail(
			ENOENT,
			"%s does not fit: MSR LSTAR of the guest does not point to its " SYSCALL_ENTRY
			". It is of another kernel, or somebody has put another entry for "
			"system calls into the guest",
			file);
out:
	if (ret)
		symtab_free(t);
	return ret;
}
