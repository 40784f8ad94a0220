// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols out of a guest: tables made here in the layouts of the kernels that
 * are known, whole and damaged; files; the slide of a file. The monitor is a
 * fake over an array of guest memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kallsyms.h"
#include "libvigil.h"
#include "mon.h"
#include "symtab.h"
#include "tap.h"

/* ---- guest memory, and a monitor over it ---- */

#define MEM_SIZE (8u << 20)
#define KERNEL_GPA 0x100000ull
#define KERNEL_VA (word == 8 ? 0xffffffff87000000ull : 0xc7000000ull)
#define IDT_VA (word == 8 ? 0xfffffe0000000000ull : 0xffc00000ull)
#define IDT_GPA 0x3000ull

static uint8_t mem[MEM_SIZE];
static unsigned int word = 8; /* bytes of an address of the guest's kernel */
/* the image ends here, and what is behind is memory of others */
static uint64_t image_end = MEM_SIZE;

int mon_info(struct mon *mon)
{
	mon->info.mem_bytes = MEM_SIZE;
	return 0;
}

long mon_read(struct mon *mon, uint64_t gpa, void *buf, size_t len)
{
	if (gpa >= MEM_SIZE)
		return 0;
	if (len > MEM_SIZE - gpa)
		len = MEM_SIZE - gpa;
	memcpy(buf, mem + gpa, len);
	return len;
}

int mon_read_virt(struct mon *mon, uint64_t cr3, uint64_t gva, void *buf,
		  size_t len)
{
	uint64_t gpa;

	/* Address space 0 maps the kernel, even while vCPU 0 runs a process. */
	if (cr3)
		return -EFAULT;
	if (gva >= IDT_VA && gva < IDT_VA + 0x1000)
		gpa = IDT_GPA + gva - IDT_VA;
	else if (gva >= KERNEL_VA &&
		 gva + len <= KERNEL_VA + image_end - KERNEL_GPA)
		gpa = KERNEL_GPA + gva - KERNEL_VA;
	else
		return -EFAULT;
	memcpy(buf, mem + gpa, len);
	return 0;
}

int mon_state(struct mon *mon, unsigned int vcpu, struct vigil_vcpu_state *st)
{
	memset(st, 0, sizeof(*st));
	st->sregs.efer = word == 8 ? 0xd01 : 0;
	st->sregs.idt.base = IDT_VA;
	return 0;
}

/* ---- tables ---- */

#define N_SYMS 3000
#define HANDLER_SYM 70
#define LONG_SYM 1234 /* has a name that needs two bytes for its length */

enum { L_61, L_62, L_64, N_LAYOUTS };
#define WORD4 0x100 /* of a 32-bit kernel */

static bool functions_only; /* CONFIG_KALLSYMS_ALL is off */

static uint64_t sym_addr(unsigned int i, bool percpu)
{
	/* the first symbols of such kernels are per-CPU offsets */
	if (percpu && word == 8 && i < 50)
		return i * 64;
	return KERNEL_VA + 0x1000 + (uint64_t)i * 48;
}

static char sym_type(unsigned int i)
{
	return i % 3 ? 'T' : 'd';
}

static void sym_name(unsigned int i, char *buf)
{
	if (i == 100 && !functions_only)
		strcpy(buf, "linux_banner");
	else if (i == 60)
		strcpy(buf, "_stext");
	else if (i == HANDLER_SYM)
		strcpy(buf, "asm_exc_divide_error");
	else if (i == HANDLER_SYM + 1)
		strcpy(buf, "asm_exc_page_fault");
	else if (i == LONG_SYM)
		memset(buf, 'z', 200), buf[200] = 0;
	else
		sprintf(buf, "sys_func_%u.part.0", i);
}

/* tokens: every byte stands for itself, but for a few that stand for more */
static const char *token(unsigned int i, char *buf)
{
	if (i == 1)
		return "sys_func_";
	if (i == 2)
		return ".part.0";
	if (i == 3)
		return "Tsys";
	buf[0] = i ? i : 'q';
	buf[1] = 0;
	return buf;
}

static size_t align_word(size_t n)
{
	return (n + word - 1) & ~(size_t)(word - 1);
}

static size_t put_offsets(size_t at, bool percpu)
{
	uint64_t base = KERNEL_VA;

	for (unsigned int i = 0; i < N_SYMS; i++) {
		uint64_t addr = sym_addr(i, percpu);
		int32_t off = addr - base;

		if (percpu)
			off = addr < base ? (int32_t)addr :
					    (int32_t)(base - 1 - addr);
		memcpy(mem + at + i * 4, &off, 4);
	}
	at = align_word(at + N_SYMS * 4);
	memcpy(mem + at, &base, word);
	return at + word;
}

/* a symbol's name with its type, in tokens */
static size_t put_name(size_t at, unsigned int i)
{
	char text[256], *p = text;
	uint8_t out[256];
	unsigned int n = 0;

	text[0] = sym_type(i);
	sym_name(i, text + 1);
	while (*p) {
		if (!strncmp(p, "sys_func_", 9))
			out[n++] = 1, p += 9;
		else if (!strcmp(p, ".part.0"))
			out[n++] = 2, p += 7;
		else
			out[n++] = *p++;
	}
	if (n >= 0x80) {
		mem[at++] = 0x80 | (n & 0x7f);
		mem[at++] = n >> 7;
	} else {
		mem[at++] = n;
	}
	memcpy(mem + at, out, n);
	return at + n;
}

static size_t put_names(size_t at)
{
	uint32_t n = N_SYMS, markers[N_SYMS / 256 + 1];
	size_t names;

	memcpy(mem + at, &n, 4);
	names = at += word;
	for (unsigned int i = 0; i < N_SYMS; i++) {
		if (i % 256 == 0)
			markers[i / 256] = at - names;
		at = put_name(at, i);
	}
	at = align_word(at);
	memcpy(mem + at, markers, sizeof(markers));
	return align_word(at + sizeof(markers));
}

static size_t put_tokens(size_t at)
{
	uint16_t index[256];
	size_t start = at;
	char buf[2];

	for (unsigned int i = 0; i < 256; i++) {
		const char *t = token(i, buf);

		index[i] = at - start;
		strcpy((char *)mem + at, t);
		at += strlen(t) + 1;
	}
	at = align_word(at);
	memcpy(mem + at, index, sizeof(index));
	return at + sizeof(index);
}

static void put_gate32(unsigned int vector, uint64_t handler)
{
	uint64_t gate = (handler & 0xffff) | 0x60 << 16 | 0x8e00ull << 32 |
			(handler >> 16 & 0xffff) << 48;

	memcpy(mem + IDT_GPA + vector * 8, &gate, sizeof(gate));
}

static void put_gate(unsigned int vector, uint64_t handler)
{
	uint64_t gate[2];

	gate[0] = (handler & 0xffff) | 0x10 << 16 | 0x8e00ull << 32 |
		  (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
	memcpy(mem + IDT_GPA + vector * 16, gate, sizeof(gate));
}

/* where the tables begin and end */
static size_t tables_start, tables_end;

static void put_tables(size_t at, int layout, bool percpu)
{
	tables_start = at;
	if (layout != L_64)
		at = put_offsets(at, percpu);
	at = put_names(at);
	if (layout == L_62) {
		memset(mem + at, 0x5a, N_SYMS * 3);
		at = align_word(at + N_SYMS * 3);
	}
	at = put_tokens(at);
	if (layout == L_64)
		at = put_offsets(at, percpu);
	tables_end = at;
}

static void put_banner(bool percpu)
{
	uint64_t gpa = sym_addr(100, percpu) - KERNEL_VA + KERNEL_GPA;

	strcpy((char *)mem + gpa, "Linux version 6.1.0 (test)");
}

static void make_guest(int layout, bool percpu)
{
	memset(mem, 0, sizeof(mem));
	put_banner(percpu);
	/* These symbols tell where a 32-bit kernel is. */
	if (word == 4)
		put_gate32(0, sym_addr(HANDLER_SYM, percpu));
	put_tables(0x300000, layout, percpu);
}

static size_t find_pattern(void)
{
	uint8_t *p =
		memmem(mem, MEM_SIZE, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);

	if (!p)
		ERROR("the tables have no pattern");
	return p - mem;
}

/* ---- cases ---- */

static struct mon mon;

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
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	check_all(&t, percpu);
	symtab_free(&t);
}

/* tables of a kernel that does not run come first */
static void decoy(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	memset(mem + tables_start, 0, tables_end - tables_start);
	/* an older copy, damaged where only its content tells */
	put_tables(0x200000, L_61, true);
	for (size_t i = tables_start; i < tables_start + N_SYMS * 4; i += 4)
		mem[i] ^= 4;
	put_tables(0x500000, L_61, true);
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	check_all(&t, true);
	CHECK(strstr(t.origin, "0xffffffff874") != NULL);
	symtab_free(&t);
}

/* the pattern lies across two of the chunks that are read at once */
static void straddle(long arg)
{
	struct symtab t = { 0 };
	size_t shift;

	make_guest(L_64, true);
	shift = (0x500000 - 10) - find_pattern();
	shift &= ~(size_t)7;
	memset(mem + tables_start, 0, tables_end - tables_start);
	put_tables(0x300000 + shift, L_64, true);
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	check_all(&t, true);
	symtab_free(&t);
}

static void no_tables(long arg)
{
	struct symtab t = { 0 };

	memset(mem, 0, sizeof(mem));
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
	CHECK(strstr(lv_error(), "no kernel's symbol tables") != NULL);
	memcpy(mem + 0x10000, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
	/* at the very ends of memory */
	memcpy(mem, KALLSYMS_PATTERN, KALLSYMS_PATTERN_LEN);
	memcpy(mem + MEM_SIZE - KALLSYMS_PATTERN_LEN, KALLSYMS_PATTERN,
	       KALLSYMS_PATTERN_LEN);
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
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
	return kallsyms_locate(ks, buf, len, pattern, word, &steps);
}

/* a single wrong value in what the tables say of each other is noticed */
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

/* anybody may have these in memory; they are not where the kernel's image is */
static void forged(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	image_end = 0x500000;
	put_tables(0x10000, L_61, true);
	put_tables(0x600000, L_61, true);
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	CHECK(strstr(t.origin, "guest memory at 0xffffffff872") != NULL);
	symtab_free(&t);
	memset(mem + 0x300000, 0, 0x200000);
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
}

static void two_tables(long arg)
{
	struct symtab t = { 0 };

	word = arg;
	make_guest(L_61, word == 8);
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	symtab_free(&t);
	put_tables(0x500000, L_64, word == 8);
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOEXEC);
	CHECK(strstr(lv_error(), "--symbols FILE") != NULL);
	CHECK_EQ(t.n, 0);
}

/* whatever the tables say, the CPU goes where its interrupt table leads */
static void wrong_handlers(long arg)
{
	struct symtab t = { 0 };

	make_guest(L_61, true);
	put_gate(0, sym_addr(HANDLER_SYM, true));
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
	symtab_free(&t);
	put_gate(0, sym_addr(HANDLER_SYM, true) + 16);
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
}

/* without a banner two handlers tell, and one does not */
static void no_banner(long arg)
{
	void (*gate)(unsigned int, uint64_t) = arg == 8 ? put_gate : put_gate32;
	struct symtab t = { 0 };

	word = arg;
	functions_only = true;
	make_guest(L_61, word == 8);
	gate(0, sym_addr(HANDLER_SYM, true));
	CHECK_EQ(symtab_load_guest(&t, &mon), -ENOENT);
	gate(14, sym_addr(HANDLER_SYM + 1, true));
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
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
	/* the token of 'f' is now ESC, that of the types 'T' BEL */
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
	REQUIRE_EQ(symtab_load_guest(&t, &mon), 0);
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

/* memory in which names seem to begin anywhere and go on up to the tokens */
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
	/* each word is a number of symbols, and a name up to the next word */
	for (at = 0; at < KALLSYMS_BEFORE; at += word) {
		uint64_t n = 0x10000 + word - 1;

		memcpy(buf + at, &n, word);
	}
	memcpy(buf + KALLSYMS_BEFORE, mem + ks.tokens, 1 << 20);
	pattern = pattern - ks.tokens + KALLSYMS_BEFORE;
	CHECK(locate(&ks, buf, len, pattern) != NULL);
	CHECK_EQ(steps, 0);
	/* a second hit costs nothing any more */
	CHECK(kallsyms_locate(&ks, buf, len, pattern, word, &steps) != NULL);
	CHECK_EQ(steps, 0);
	free(buf);
}

/* each pattern may be followed by tokens that go on for long */
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
		CHECK(kallsyms_locate(&ks, buf, len, i * KALLSYMS_PATTERN_LEN,
				      word, &steps) != NULL);
	CHECK_EQ(steps, 0);
	/* no byte of it is looked at more often than the steps say */
	CHECK(i <= KALLSYMS_STEPS / (256 - '0') + 1);
	free(buf);
}

static void bound_ordinary(long arg)
{
	struct kallsyms ks;

	for (int layout = 0; layout < N_LAYOUTS; layout++) {
		make_guest(layout, true);
		REQUIRE_EQ(locate(&ks, mem, MEM_SIZE, find_pattern()) == NULL,
			   1);
		CHECK(KALLSYMS_STEPS - steps < 6 * N_SYMS + 16384);
	}
}

static void bound_text(long arg)
{
	struct symtab t = { 0 };
	char name[SYMTAB_NAME_MAX + 1];
	unsigned int i;
	int ret = 0;

	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	for (i = 0; !ret && i < KALLSYMS_MAX_SYMS; i++)
		ret = symtab_add(&t, i, 'T', name, NULL);
	CHECK_EQ(ret, -ENOEXEC);
	CHECK(i < (64u << 20) / (4 * SYMTAB_NAME_MAX) + 2);
	symtab_free(&t);
}

/* whatever a guest puts there: no crash, no endless loop */
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

static void lookups(long arg)
{
	struct symtab t = { 0 };
	char text[128];
	uint64_t addr;

	symtab_add(&t, 0xffffffff81000000, 'T', "_text", NULL);
	symtab_add(&t, 0xffffffff81000000, 'T', "startup_64", NULL);
	symtab_add(&t, 0xffffffff81000100, 't', "twice", NULL);
	symtab_add(&t, 0xffffffff81000200, 't', "twice", NULL);
	REQUIRE_EQ(symtab_sort(&t), 0);
	CHECK_EQ(symtab_parse(&t, "startup_64", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000000);
	CHECK_EQ(symtab_parse(&t, "startup_64+0x18", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000018);
	CHECK_EQ(symtab_parse(&t, "startup_64+24", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000018);
	CHECK_EQ(symtab_parse(&t, "startup_64+", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "startup_64+0x", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "startup_64+-1", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "+8", &addr), -EINVAL);
	CHECK_EQ(symtab_parse(&t, "nothing", &addr), -ENOENT);
	CHECK_EQ(symtab_parse(&t, "twice", &addr), -EINVAL);
	CHECK_EQ(strcmp(symtab_text(&t, 0xffffffff81000108, text, sizeof(text)),
			"twice+0x8"),
		 0);
	CHECK_EQ(strcmp(symtab_text(&t, 0xffffffff81000000, text, sizeof(text)),
			"startup_64"),
		 0);
	CHECK_EQ(*symtab_text(&t, 0x1000, text, sizeof(text)), 0);
	CHECK_EQ(*symtab_text(&t, ~0ull, text, sizeof(text)), 0);
	symtab_free(&t);
}

static void lengths(long arg)
{
	struct symtab t = { 0 };

	CHECK_EQ(symtab_len(NULL, 0x1000), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0x1000), SYMTAB_LEN_DEFAULT);
	symtab_add(&t, 0xffffffff81000000, 'D', "table", NULL);
	symtab_add(&t, 0xffffffff81000000, 'D', "alias", NULL);
	symtab_add(&t, 0xffffffff81000e20, 'D', "next", NULL);
	symtab_add(&t, 0xffffffff83000000, 'D', "last", NULL);
	REQUIRE_EQ(symtab_sort(&t), 0);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000000), 3616);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000010), 3600);
	CHECK_EQ(symtab_len(&t, 0xffffffff81000e1f), 1);
	/* too far, the last, and behind it */
	CHECK_EQ(symtab_len(&t, 0xffffffff81000e20), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0xffffffff83000000), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, ~0ull), SYMTAB_LEN_DEFAULT);
	CHECK_EQ(symtab_len(&t, 0xffffffff82000000), SYMTAB_LEN_MAX);
	symtab_free(&t);
}

static void definitions(long arg)
{
	static const char *const bad[] = {
		"x",	"x=",	"=1", "x=-1", "x= 1", "x=0x1g",
		"x=+1", "x=0x", "",   "x=1 ", "x=zz", "x=11112222333344445"
	};
	struct symtab t = { 0 };
	uint64_t addr;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(symtab_define(&t, bad[i]), -EINVAL);
		CHECK(strstr(lv_error(), "NAME=ADDR") != NULL);
	}
	CHECK_EQ(t.n, 0);
	/* as the first symbol, as a new one, in place of two */
	REQUIRE_EQ(symtab_define(&t, "mine=ffffffff96c5c6a0"), 0);
	CHECK_EQ(symtab_parse(&t, "mine", &addr), 0);
	CHECK_EQ(addr, 0xffffffff96c5c6a0);
	symtab_add(&t, 0xffffffff81000100, 't', "twice", NULL);
	symtab_add(&t, 0xffffffff81000200, 't', "twice", NULL);
	REQUIRE_EQ(symtab_define(&t, "other=0xC1000000"), 0);
	CHECK_EQ(symtab_parse(&t, "other+4", &addr), 0);
	CHECK_EQ(addr, 0xc1000004);
	REQUIRE_EQ(symtab_define(&t, "twice=1000"), 0);
	CHECK_EQ(symtab_count(&t, "twice"), 1);
	CHECK_EQ(symtab_parse(&t, "twice", &addr), 0);
	CHECK_EQ(addr, 0x1000);
	CHECK_EQ(t.n, 3);
	/* `vigil watch` resolves these names. */
	CHECK_EQ(symtab_parse(&t, "new=ffffffff81000000", &addr), 0);
	CHECK_EQ(addr, 0xffffffff81000000);
	CHECK_EQ(symtab_parse(&t, "new=", &addr), -EINVAL);
	symtab_free(&t);
}

/* ---- files ---- */

static char path[] = "/tmp/symbols-test-XXXXXX";

static FILE *new_file(void)
{
	FILE *f;
	int fd;

	strcpy(path, "/tmp/symbols-test-XXXXXX");
	fd = mkstemp(path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		ERROR("no temporary file");
	return f;
}

static void stubs(long arg)
{
	struct symtab t = { 0 };
	FILE *f = new_file();

	fputs("ffffffffffffffff B The real System.map is in the linux-image-"
	      "dbg package\n",
	      f);
	fclose(f);
	CHECK_EQ(symtab_load_file(&t, path), -ENOEXEC);
	CHECK(strstr(lv_error(), "Leave --symbols out") != NULL);
	symtab_free(&t);
	unlink(path);

	/* a kallsyms dump by a user who may not see addresses */
	f = new_file();
	for (int i = 0; i < 500; i++)
		fprintf(f, "0000000000000000 T func_%d\n", i);
	fclose(f);
	CHECK_EQ(symtab_load_file(&t, path), -ENOEXEC);
	CHECK(strstr(lv_error(), "kptr_restrict") != NULL);
	symtab_free(&t);
	unlink(path);

	f = new_file();
	fputs("hello\nworld\n", f);
	fclose(f);
	CHECK_EQ(symtab_load_file(&t, path), -ENOEXEC);
	symtab_free(&t);
	unlink(path);
	CHECK_EQ(symtab_load_file(&t, "/nonexistent"), -ENOENT);
	CHECK_EQ(symtab_load_file(&t, "/tmp"), -EISDIR);
}

/* a System.map as the kernel was linked */
#define LINKED 0xffffffff81000000ull

static void write_map(FILE *f)
{
	fprintf(f, "0000000000000000 A __per_cpu_start\n");
	for (int i = 0; i < 300; i++)
		fprintf(f, "%016llx T func_%d\n", LINKED + i * 64, i);
	fprintf(f, "%016llx T asm_exc_divide_error\n", LINKED + 0x10000);
	fprintf(f, "%016llx T asm_exc_page_fault\n", LINKED + 0x10040);
	fclose(f);
}

static void slide(long arg)
{
	struct symtab t = { 0 };

	write_map(new_file());
	memset(mem, 0, sizeof(mem));
	/* a kernel that is not up yet, and one that is another */
	CHECK_EQ(symtab_load(&t, &mon, path), -ENOENT);
	CHECK(strstr(lv_error(), "KASLR") != NULL);
	put_gate(0, KERNEL_VA + 0x10000);
	put_gate(14, KERNEL_VA + 0x10080);
	CHECK_EQ(symtab_load(&t, &mon, path), -ENOENT);

	put_gate(14, KERNEL_VA + 0x10040);
	REQUIRE_EQ(symtab_load(&t, &mon, path), 0);
	CHECK_EQ(t.slide, KERNEL_VA - LINKED);
	REQUIRE_EQ(symtab_find(&t, "func_7") != NULL, 1);
	CHECK_EQ(symtab_find(&t, "func_7")->addr, KERNEL_VA + 7 * 64);
	CHECK_EQ(symtab_find(&t, "__per_cpu_start")->addr, 0);
	symtab_free(&t);
	unlink(path);
}

/* cat /proc/kallsyms, of a guest with 8 digits */
static void kallsyms32(long arg)
{
	struct symtab t = { 0 };

	for (int moved = 0; moved < 2; moved++) {
		FILE *f = new_file();
		uint32_t by = moved ? 0x1800000 : 0;

		word = 4;
		memset(mem, 0, sizeof(mem));
		fprintf(f, "00000000 A VDSO32_PRELINK\n");
		for (int i = 0; i < 300; i++)
			fprintf(f, "%08x T func_%d\n",
				(uint32_t)KERNEL_VA + i * 64, i);
		fprintf(f, "%08x T asm_exc_divide_error\n",
			(uint32_t)KERNEL_VA + 0x10000);
		fprintf(f, "%08x T asm_exc_page_fault\n",
			(uint32_t)KERNEL_VA + 0x10040);
		fclose(f);
		put_gate32(0, KERNEL_VA + by + 0x10000);
		put_gate32(14, KERNEL_VA + by + 0x10040);
		REQUIRE_EQ(symtab_load(&t, &mon, path), 0);
		REQUIRE_EQ(symtab_find(&t, "func_7") != NULL, 1);
		CHECK_EQ(symtab_find(&t, "func_7")->addr,
			 KERNEL_VA + by + 7 * 64);
		CHECK_EQ(symtab_find(&t, "VDSO32_PRELINK")->addr, 0);
		symtab_free(&t);
		unlink(path);
	}
}

static void modules(long arg)
{
	struct symtab t = { 0 };
	const struct symbol *s;

	for (int moved = 0; moved < 2; moved++) {
		FILE *f = new_file();

		fprintf(f, "ffffffffc0201000 t cleanup\t[ext4]\n");
		fprintf(f, "ffffffffc0200000 t init_module\t[nf\033tables]\n");
		fprintf(f, "ffffffffc0200040 t nft_init [nf\033tables]\n");
		write_map(f);
		memset(mem, 0, sizeof(mem));
		put_gate(0, LINKED + 0x10000 + moved * 0x200000);
		put_gate(14, LINKED + 0x10040 + moved * 0x200000);
		REQUIRE_EQ(symtab_load(&t, &mon, path), 0);
		s = symtab_find(&t, "cleanup");
		/* of another boot, they are not where the file says */
		CHECK_EQ(s == NULL, moved);
		CHECK_EQ(symtab_find(&t, "nft_init") == NULL, moved);
		if (s) {
			CHECK_EQ(s->addr, 0xffffffffc0201000);
			CHECK_EQ(strcmp(s->module, "ext4"), 0);
			s = symtab_find(&t, "nft_init");
			CHECK_EQ(strcmp(s->module, "nf\\x1btables"), 0);
			CHECK(symtab_find(&t, "func_7")->module == NULL);
		}
		symtab_free(&t);
		unlink(path);
	}
}

static int load_lines(struct symtab *t, const char *text)
{
	FILE *f = new_file();
	int ret;

	memset(t, 0, sizeof(*t));
	fputs(text, f);
	fclose(f);
	ret = symtab_load(t, &mon, path);
	unlink(path);
	return ret;
}

static void few(long arg)
{
	struct symtab t;

	memset(mem, 0, sizeof(mem));
	/* nothing tells where the kernel is: as it stands */
	REQUIRE_EQ(load_lines(&t, "ffffffff81234560 D my_table\n"), 0);
	CHECK_EQ(t.n, 1);
	CHECK(t.unmoved);
	CHECK_EQ(symtab_find(&t, "my_table")->addr, 0xffffffff81234560);
	symtab_free(&t);
	/* one handler tells */
	put_gate(14, LINKED + 0x200040);
	REQUIRE_EQ(load_lines(&t, "ffffffff81000040 T asm_exc_page_fault\n"
				  "ffffffff81234560 D my_table\n"),
		   0);
	CHECK(!t.unmoved);
	CHECK_EQ(t.slide, 0x200000);
	CHECK_EQ(symtab_find(&t, "my_table")->addr, 0xffffffff81434560);
	symtab_free(&t);
	/* two handlers that do not agree */
	put_gate(0, LINKED);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T asm_exc_page_fault\n"
				"ffffffff81001000 T asm_exc_divide_error\n"),
		 -ENOENT);
	/* lines that are none */
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"ffffffff81000040 T b c\n"),
		 -ENOEXEC);
	CHECK(strstr(lv_error(), "line 2") != NULL);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"ffffffff81000040 T b []\n"),
		 -ENOEXEC);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"-1 T b\n"),
		 -ENOEXEC);
	CHECK_EQ(load_lines(&t, ""), -ENOEXEC);
}

/* this very program is an ELF file with symbols */
static void elf(long arg)
{
	struct symtab t = { 0 };

	REQUIRE_EQ(symtab_load_file(&t, "/proc/self/exe"), 0);
	CHECK(symtab_find(&t, "main") != NULL);
	CHECK(symtab_find(&t, "symtab_load_file") != NULL);
	symtab_free(&t);
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
		{ "a dead kernel's tables come first", decoy },
		{ "forged tables in a process's memory", forged },
		{ "two tables that fit", two_tables, 8 },
		{ "two tables that fit, 32-bit", two_tables, 4 },
		{ "handlers that are elsewhere", wrong_handlers },
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
		{ "text without end", bound_text },
		{ "names, offsets, addresses", lookups },
		{ "lengths", lengths },
		{ "definitions", definitions },
		{ "files that are none", stubs },
		{ "slide of a System.map", slide },
		{ "kallsyms of a 32-bit guest", kallsyms32 },
		{ "symbols of modules", modules },
		{ "files of a few symbols", few },
		{ "ELF", elf },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
