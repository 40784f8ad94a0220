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
#include "libvigil.h"
#include "symtab.h"

#define CHUNK (1u << 20)
/* where no guest has memory any more */
#define SCAN_END (1ull << 46)
/* chunks without memory in a row: the hole below 4 GiB is not as large */
#define MAX_HOLE 4096u

static int add_symbol(void *priv, uint64_t addr, char type, const char *name)
{
	return symtab_add(priv, addr, type, name);
}

/* does the kernel's own banner stand where these symbols say? */
static bool banner_there(struct mon *mon, const struct symtab *t, uint64_t cr3)
{
	const struct symbol *s = symtab_find(t, "linux_banner");
	char text[64];

	if (!s || mon_read_virt(mon, cr3, s->addr, text, sizeof(text)))
		return false;
	return !memcmp(text, "Linux version ", 14);
}

/* most hits are none, which a look at their surroundings tells */
static const char *glance(struct mon *mon, uint64_t hit)
{
	uint64_t start = hit > 4096 ? (hit - 4096) & ~7ull : 0;
	struct kallsyms ks;
	uint8_t buf[12288];
	long n = mon_read(mon, start, buf, sizeof(buf));

	return kallsyms_tokens(&ks, buf, n > 0 ? n : 0, hit - start);
}

/* the tables around @hit; 1: these are not the running kernel's */
static int try_hit(struct symtab *t, struct mon *mon, uint64_t cr3,
		   uint64_t hit, char *why, size_t why_len)
{
	uint64_t start =
		hit > KALLSYMS_BEFORE ? (hit - KALLSYMS_BEFORE) & ~0xfffull : 0;
	uint64_t lead = hit - start;
	const char *problem;
	struct kallsyms ks;
	uint8_t *buf;
	long n = 0;
	int ret;

	problem = glance(mon, hit);
	if (problem) {
		snprintf(why, why_len, "at %#llx: %s", (unsigned long long)hit,
			 problem);
		return 1;
	}
	buf = malloc(lead + KALLSYMS_BEHIND);
	if (!buf)
		return vigil_fail(ENOMEM, "out of memory");
	/* a hole in memory before the tables: begin behind it */
	while (lead) {
		n = mon_read(mon, start, buf, lead + KALLSYMS_BEHIND);
		if (n < 0 || (uint64_t)n >= lead + KALLSYMS_PATTERN_LEN)
			break;
		start = (start + n + CHUNK) & ~(CHUNK - 1ull);
		lead = start < hit ? hit - start : 0;
	}
	ret = n < 0 ? n : 1;
	if (n < 0 || !lead)
		goto out;
	problem = kallsyms_locate(&ks, buf, n, lead);
	if (problem) {
		snprintf(why, why_len, "at %#llx: %s", (unsigned long long)hit,
			 problem);
		goto out;
	}
	ret = kallsyms_each(&ks, add_symbol, t);
	if (!ret)
		ret = symtab_sort(t);
	if (ret >= 0 && (ret || !banner_there(mon, t, cr3))) {
		snprintf(why, why_len,
			 "at %#llx: tables of a kernel that does not run",
			 (unsigned long long)hit);
		ret = 1;
	}
out:
	if (ret)
		symtab_free(t);
	else
		snprintf(t->origin, sizeof(t->origin), "guest memory at %#llx",
			 (unsigned long long)hit);
	free(buf);
	return ret;
}

int symtab_load_guest(struct symtab *t, struct mon *mon)
{
	const size_t tail = KALLSYMS_PATTERN_LEN - 1;
	uint64_t gpa, cr3, seen = 0;
	char why[160] = "no such table";
	unsigned int hole = 0;
	size_t keep = 0;
	uint8_t *buf;
	long n;
	int ret;

	ret = mon_kernel_cr3(mon, &cr3);
	if (!ret)
		ret = mon_info(mon);
	if (ret)
		return ret;
	buf = malloc(tail + CHUNK);
	if (!buf)
		return vigil_fail(ENOMEM, "out of memory");
	/* the kernel lies in physical memory as it does in virtual: in one piece */
	for (gpa = 0;
	     gpa < SCAN_END && seen < mon->info.mem_bytes && hole < MAX_HOLE;
	     gpa += CHUNK) {
		uint8_t *p = buf, *hit;

		n = mon_read(mon, gpa, buf + keep, CHUNK);
		if (n < 0) {
			ret = n;
			goto out;
		}
		seen += n;
		hole = n ? 0 : hole + 1;
		while ((hit = memmem(p, buf + keep + n - p, KALLSYMS_PATTERN,
				     KALLSYMS_PATTERN_LEN))) {
			ret = try_hit(t, mon, cr3, gpa - keep + (hit - buf),
				      why, sizeof(why));
			if (ret <= 0)
				goto out;
			p = hit + 1;
		}
		/* a pattern may lie across two chunks */
		if (n == CHUNK) {
			memmove(buf, buf + keep + n - tail, tail);
			keep = tail;
		} else {
			keep = 0;
		}
	}
	ret = vigil_fail(
		ENOENT,
		"no kernel's symbol tables in guest memory (%s). Is Linux up "
		"yet, 64-bit and with CONFIG_KALLSYMS? --symbols FILE takes a "
		"System.map or a vmlinux",
		why);
out:
	free(buf);
	return ret;
}

/* where gate @vector of the guest's IDT leads, 0 where that cannot be told */
static uint64_t idt_handler(struct mon *mon, uint64_t cr3, uint64_t idt,
			    unsigned int vector)
{
	uint64_t gate[2];

	if (mon_read_virt(mon, cr3, idt + vector * 16, gate, sizeof(gate)) ||
	    !(gate[0] >> 47 & 1))
		return 0;
	return (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) |
	       gate[1] << 32;
}

/* handlers of exceptions: by 5.8 and later, by earlier kernels */
static const struct {
	unsigned int vector;
	const char *name[2];
} gates[] = {
	{ 0, { "asm_exc_divide_error", "divide_error" } },
	{ 6, { "asm_exc_invalid_op", "invalid_op" } },
	{ 13, { "asm_exc_general_protection", "general_protection" } },
	{ 14, { "asm_exc_page_fault", "page_fault" } },
};

#define N_GATES (sizeof(gates) / sizeof(gates[0]))

/* from the interrupt table: all of the gates that are known must agree */
static bool slide_by_idt(const struct symtab *t, struct mon *mon,
			 uint64_t *slide)
{
	struct vigil_vcpu_state state;
	unsigned int i, agree = 0;
	uint64_t cr3;

	if (mon_state(mon, 0, &state) || !(state.sregs.efer & 1 << 10) ||
	    mon_kernel_cr3(mon, &cr3))
		return false;
	for (i = 0; i < N_GATES; i++) {
		uint64_t to = idt_handler(mon, cr3, state.sregs.idt.base,
					  gates[i].vector);
		const struct symbol *s = symtab_find(t, gates[i].name[0]);

		if (!s)
			s = symtab_find(t, gates[i].name[1]);
		if (!to || !s)
			continue;
		if (agree && *slide != to - s->addr)
			return false;
		*slide = to - s->addr;
		agree++;
	}
	return agree >= 2;
}

/* from the guest's own tables: two symbols that are far apart must agree */
static bool slide_by_kallsyms(const struct symtab *t, struct mon *mon,
			      uint64_t *slide)
{
	static const char *const marks[] = { "_stext", "linux_banner" };
	struct symtab own = { 0 };
	unsigned int i, agree = 0;

	if (symtab_load_guest(&own, mon))
		return false;
	for (i = 0; i < 2; i++) {
		const struct symbol *run = symtab_find(&own, marks[i]);
		const struct symbol *file = symtab_find(t, marks[i]);

		if (!run || !file ||
		    (agree && *slide != run->addr - file->addr))
			continue;
		*slide = run->addr - file->addr;
		agree++;
	}
	symtab_free(&own);
	return agree == 2;
}

int symtab_load(struct symtab *t, struct mon *mon, const char *file)
{
	uint64_t cr3;
	size_t i;
	int ret;

	if (!file)
		return symtab_load_guest(t, mon);
	ret = symtab_load_file(t, file);
	if (ret)
		return ret;
	if (!slide_by_idt(t, mon, &t->slide) &&
	    !slide_by_kallsyms(t, mon, &t->slide)) {
		symtab_free(t);
		return vigil_fail(
			ENOENT,
			"%s does not fit the running kernel, or that one is not "
			"up yet: neither its interrupt table nor its own symbols tell by "
			"how much KASLR moved it",
			file);
	}
	for (i = 0; i < t->n; i++)
		if (t->sym[i].addr >> 63) /* per-CPU offsets do not move */
			t->sym[i].addr += t->slide;
	ret = mon_kernel_cr3(mon, &cr3);
	if (!ret && symtab_find(t, "linux_banner") &&
	    !banner_there(mon, t, cr3))
		ret = vigil_fail(
			ENOENT,
			"%s is not of the kernel that runs in the guest", file);
	if (ret)
		symtab_free(t);
	return ret;
}
