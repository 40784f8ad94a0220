// SPDX-License-Identifier: GPL-2.0
/* Tables of symbols, as a program sees them. */
#include <errno.h>
#include <stdlib.h>

#include "lib.h"
#include "libvigil.h"
#include "symtab.h"

struct vigil_symbols {
	struct symtab tab;
};

int vigil_symbols_new(struct vigil_symbols **t)
{
	*t = calloc(1, sizeof(**t));
	return *t ? 0 : vigil_lib_fail(ENOMEM, "out of memory");
}

int vigil_symbols_load(struct vigil_symbols **t, struct vigil_monitor *mon,
		       const char *file)
{
	int ret = vigil_symbols_new(t);

	if (!ret)
		ret = symtab_load(&(*t)->tab, mon, file);
	if (ret) {
		free(*t);
		*t = NULL;
	}
	return ret;
}

void vigil_symbols_free(struct vigil_symbols *t)
{
	if (t)
		symtab_free(&t->tab);
	free(t);
}

int vigil_symbols_define(struct vigil_symbols *t, const char *def)
{
	return symtab_define(&t->tab, def);
}

int vigil_symbols_parse(const struct vigil_symbols *t, const char *expr,
			uint64_t *addr)
{
	return symtab_parse(&t->tab, expr, addr);
}

uint64_t vigil_symbols_len(const struct vigil_symbols *t, uint64_t addr)
{
	return symtab_len(t ? &t->tab : NULL, addr);
}

const char *vigil_symbols_text(const struct vigil_symbols *t, uint64_t addr,
			       char *buf, size_t len)
{
	return symtab_text(t ? &t->tab : NULL, addr, buf, len);
}

size_t vigil_symbols_count(const struct vigil_symbols *t)
{
	return t->tab.n;
}

static void give_symbol(const struct symbol *sym, struct vigil_symbol *s,
			size_t size)
{
	const struct vigil_symbol all = {
		.addr = sym->addr,
		.name = sym->name,
		.module = sym->module,
		.type = sym->type,
	};

	give(s, size, &all, sizeof(all));
}

int vigil_symbols_get(const struct vigil_symbols *t, size_t i,
		      struct vigil_symbol *s, size_t size)
{
	if (i >= t->tab.n)
		return vigil_lib_fail(ENOENT, "there are %zu symbols",
				      t->tab.n);
	give_symbol(&t->tab.sym[i], s, size);
	return 0;
}

int vigil_symbols_at(const struct vigil_symbols *t, uint64_t addr,
		     struct vigil_symbol *s, size_t size, uint64_t *off)
{
	uint64_t by;
	const struct symbol *sym = symtab_at(&t->tab, addr, &by);

	if (!sym)
		return vigil_lib_fail(ENOENT, "no symbol is near %#llx",
				      (unsigned long long)addr);
	give_symbol(sym, s, size);
	if (off)
		*off = by;
	return 0;
}

const char *vigil_symbols_origin(const struct vigil_symbols *t)
{
	return t->tab.origin;
}

uint64_t vigil_symbols_slide(const struct vigil_symbols *t)
{
	return t->tab.slide;
}

int vigil_symbols_unmoved(const struct vigil_symbols *t)
{
	return t->tab.unmoved;
}
