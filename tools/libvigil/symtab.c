// SPDX-License-Identifier: GPL-2.0
/* Symbols by address and by name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib.h"
#include "symtab.h"

/* An address that is further behind the last symbol belongs to no symbol. */
#define MAX_OFFSET (16u << 20)
/* The same of a module's symbol: behind a module is memory of others. */
#define MAX_MODULE_OFFSET (64u << 10)
/*
 * The bytes of all names together are bounded, because a hostile guest may have
 * any number of names.
 */
#define MAX_TEXT (64u << 20)

struct chunk {
	struct chunk *next;
	size_t used;
	char text[1 << 16];
};

/* Keeps a quoted copy, so whoever prints a name prints no raw bytes of a guest. */
static const char *keep_name(struct symtab *t, const char *name)
{
	char quoted[VIGIL_QUOTE_ROOM(SYMTAB_NAME_MAX)];
	struct chunk *c = t->chunks;
	size_t len;
	char *at;

	len = strlen(vigil_quote(name, quoted, sizeof(quoted))) + 1;
	if (t->text + len > MAX_TEXT) {
		vigil_lib_fail(ENOEXEC,
			       "the names of the symbols are longer than "
			       "those of any kernel");
		return NULL;
	}
	if (!c || sizeof(c->text) - c->used < len) {
		c = malloc(sizeof(*c));
		if (!c) {
			vigil_lib_fail(ENOMEM, "out of memory");
			return NULL;
		}
		c->used = 0;
		c->next = t->chunks;
		t->chunks = c;
	}
	at = c->text + c->used;
	memcpy(at, quoted, len);
	c->used += len;
	t->text += len;
	return at;
}

int symtab_add(struct symtab *t, uint64_t addr, char type, const char *name,
	       const char *module)
{
	struct symbol *s;

	if (t->n == t->room) {
		size_t room = t->room ? t->room * 2 : 4096;

		s = reallocarray(t->sym, room, sizeof(*s));
		if (!s)
			return vigil_lib_fail(ENOMEM, "out of memory");
		t->sym = s;
		t->room = room;
	}
	s = &t->sym[t->n];
	s->addr = addr;
	s->type = (type >= 'A' && type <= 'Z') || (type >= 'a' && type <= 'z') ?
			  type :
			  '?';
	s->name = keep_name(t, name);
	/* Symbols of a module follow each other and share one copy of its name. */
	if (module && t->n && s[-1].module && !strcmp(s[-1].module, module))
		s->module = s[-1].module;
	else
		s->module = module ? keep_name(t, module) : NULL;
	if (!s->name || (module && !s->module))
		return -ENOEXEC;
	t->n++;
	return 0;
}

static int cmp_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int cmp_name(const void *a, const void *b)
{
	const struct symbol *x = *(struct symbol *const *)a,
			    *y = *(struct symbol *const *)b;
	int c = strcmp(x->name, y->name);

	if (c)
		return c;
	/* The kernel's own come first: see symtab_find(). */
	if (!x->module != !y->module)
		return x->module ? 1 : -1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int symtab_sort(struct symtab *t)
{
	size_t i;

	free(t->by_name);
	t->by_name = calloc(t->n ? t->n : 1, sizeof(*t->by_name));
	if (!t->by_name)
		return vigil_lib_fail(ENOMEM, "out of memory");
	qsort(t->sym, t->n, sizeof(*t->sym), cmp_addr);
	for (i = 0; i < t->n; i++)
		t->by_name[i] = &t->sym[i];
	qsort(t->by_name, t->n, sizeof(*t->by_name), cmp_name);
	return 0;
}

void symtab_free(struct symtab *t)
{
	struct chunk *c;

	while ((c = t->chunks)) {
		t->chunks = c->next;
		free(c);
	}
	free(t->sym);
	free(t->by_name);
	memset(t, 0, sizeof(*t));
}

static int bad_definition(const char *def)
{
	return vigil_lib_fail(
		EINVAL, "`%s' is not NAME=ADDR with a hexadecimal ADDR", def);
}

/* Takes an address as `vigil symbols' prints it, or with 0x. */
static int parse_definition(const char *def, uint64_t *addr)
{
	const char *eq = strrchr(def, '=');
	char *end;

	if (!eq || eq == def || !strchr("0123456789abcdefABCDEF", eq[1]) ||
	    !eq[1] || eq - def > SYMTAB_NAME_MAX)
		return bad_definition(def);
	errno = 0;
	*addr = strtoull(eq + 1, &end, 16);
	return errno || *end ? bad_definition(def) : 0;
}

int symtab_define(struct symtab *t, const char *def)
{
	uint64_t addr;
	char *name;
	size_t i;
	int ret;

	ret = parse_definition(def, &addr);
	if (ret)
		return ret;
	name = strndup(def, strrchr(def, '=') - def);
	if (!name)
		return vigil_lib_fail(ENOMEM, "out of memory");
	/* Compare with the name that was kept, since that one is quoted too. */
	ret = symtab_add(t, addr, 'D', name, NULL);
	free(name);
	if (ret)
		return ret;
	for (i = 0; i < t->n - 1;) {
		if (strcmp(t->sym[i].name, t->sym[t->n - 1].name)) {
			i++;
			continue;
		}
		memmove(&t->sym[i], &t->sym[i + 1],
			(t->n - i - 1) * sizeof(*t->sym));
		t->n--;
	}
	if (!*t->origin)
		snprintf(t->origin, sizeof(t->origin), "the command line");
	return symtab_sort(t);
}

/* Return: the index in by_name of the first that is not less than @name. */
static size_t lower_bound(const struct symtab *t, const char *name)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(t->by_name[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

unsigned int symtab_count(const struct symtab *t, const char *name)
{
	size_t i = lower_bound(t, name);
	unsigned int n = 0;

	for (; i < t->n && !strcmp(t->by_name[i]->name, name); i++) {
		if (n && t->by_name[i]->module && !t->by_name[i - 1]->module)
			break;
		n++;
	}
	return n;
}

const struct symbol *symtab_find(const struct symtab *t, const char *name)
{
	size_t i = lower_bound(t, name);

	if (i == t->n || strcmp(t->by_name[i]->name, name))
		return NULL;
	return t->by_name[i];
}

const struct symbol *symtab_at(const struct symtab *t, uint64_t addr,
			       uint64_t *off)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo ||
	    addr - t->sym[lo - 1].addr >
		    (t->sym[lo - 1].module ? MAX_MODULE_OFFSET : MAX_OFFSET))
		return NULL;
	lo--;
	/*
	 * Of several symbols at one address, take the first one that does not
	 * mark a section.
	 */
	while (lo && t->sym[lo - 1].addr == t->sym[lo].addr &&
	       t->sym[lo - 1].name[0] != '_')
		lo--;
	*off = addr - t->sym[lo].addr;
	return &t->sym[lo];
}

uint64_t symtab_len(const struct symtab *t, uint64_t addr)
{
	size_t lo = 0, hi = t ? t->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!t || lo == t->n || t->sym[lo].addr - addr > SYMTAB_LEN_MAX)
		return SYMTAB_LEN_DEFAULT;
	return t->sym[lo].addr - addr;
}

const char *symtab_text(const struct symtab *t, uint64_t addr, char *buf,
			size_t len)
{
	const struct symbol *s;
	uint64_t off;

	buf[0] = 0;
	s = t ? symtab_at(t, addr, &off) : NULL;
	if (s)
		snprintf(buf, len, off ? "%s%s%s+0x%llx" : "%s%s%s",
			 s->module ? s->module : "", s->module ? ":" : "",
			 s->name, (unsigned long long)off);
	return buf;
}

/* Finds NAME or MODULE:NAME. @n gets how many there are. */
static const struct symbol *find_any(const struct symtab *t, const char *name,
				     unsigned int *n)
{
	const char *colon = strchr(name, ':');
	const struct symbol *found = NULL;
	size_t i;

	if (!colon) {
		*n = symtab_count(t, name);
		return symtab_find(t, name);
	}
	*n = 0;
	i = lower_bound(t, colon + 1);
	for (; i < t->n && !strcmp(t->by_name[i]->name, colon + 1); i++) {
		const char *module = t->by_name[i]->module;

		if (!module || strlen(module) != (size_t)(colon - name) ||
		    strncmp(module, name, colon - name))
			continue;
		if (!(*n)++)
			found = t->by_name[i];
	}
	return found;
}

int symtab_parse(const struct symtab *t, const char *expr, uint64_t *addr)
{
	const char *plus = strchr(expr, '+');
	const struct symbol *s;
	uint64_t off = 0;
	char *name, *end;
	unsigned int n;

	if (strchr(expr, '='))
		return parse_definition(expr, addr);
	if (plus) {
		errno = 0;
		off = strtoull(plus + 1, &end, 0);
		if (errno || *end || end == plus + 1 || plus[1] == '-' ||
		    plus == expr)
			return vigil_lib_fail(EINVAL,
					      "`%s' is not NAME or NAME+OFFSET",
					      expr);
	}
	name = strndup(expr, plus ? (size_t)(plus - expr) : strlen(expr));
	if (!name)
		return vigil_lib_fail(ENOMEM, "out of memory");
	s = find_any(t, name, &n);
	free(name);
	if (!s)
		return vigil_lib_fail(ENOENT, "no symbol `%.*s' in %s",
				      plus ? (int)(plus - expr) :
					     (int)strlen(expr),
				      expr, t->origin);
	if (n > 1)
		return vigil_lib_fail(
			EINVAL,
			"%u symbols are called `%s': choose one with "
			"`vigil symbols VM %s' and watch its address",
			n, s->name, s->name);
	*addr = s->addr + off;
	return 0;
}
