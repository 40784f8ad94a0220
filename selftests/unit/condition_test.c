// SPDX-License-Identifier: GPL-2.0
/*
 * Compares vmm/monitor/condition.c with a model that goes byte by byte and test by
 * test, and tries what must be refused.
 */
#include <stdlib.h>

#include "rng.h"
#include "unit.h"
#include "vmm/monitor/condition.h"

#define ROUNDS 200000
#define MEMORY 64 /* bytes of the model's memory, at BASE */
#define BASE 0x1000ull
#define NR_TESTS 6

/* ---- the model ---- */

static bool model_test(const struct vigil_condition *c, unsigned int test,
		       const struct condition_state *s)
{
	switch (test) {
	case VIGIL_COND_RIP:
		return c->rip <= s->rip && s->rip <= c->rip_last;
	case VIGIL_COND_CPL:
		return (s->cpl == 0 && c->cpl & 1) ||
		       (s->cpl == 1 && c->cpl & 2) ||
		       (s->cpl == 2 && c->cpl & 4) ||
		       (s->cpl == 3 && c->cpl & 8);
	case VIGIL_COND_CR3:
		return (s->cr3 & c->cr3_mask) == (c->cr3 & c->cr3_mask);
	case VIGIL_COND_VCPU:
		return s->vcpu == c->vcpu;
	case VIGIL_COND_VALUE:
		return !((s->value ^ c->value) & c->mask);
	default:
		return s->changed;
	}
}

static unsigned int model_first(const struct vigil_condition *c, unsigned int n,
				const struct condition_state *s)
{
	unsigned int i, t;

	for (i = 0; i < n; i++) {
		bool all = true;

		for (t = 0; t < NR_TESTS; t++) {
			u32 test = 1u << t;

			if (!(c[i].tests & test))
				continue;
			if (test == VIGIL_COND_VALUE && !s->value_known)
				all = false;
			if (model_test(&c[i], test, s) ==
			    !!(c[i].inverse & test))
				all = false;
		}
		if (all)
			return i + 1;
	}
	return 0;
}

/* Few different values, so that conditions hold often. */
static u64 few(void)
{
	return unit_below(4) * 0x100000001ull;
}

static struct vigil_condition random_condition(void)
{
	struct vigil_condition c = { .tests = unit_below(1 << NR_TESTS) };

	c.inverse = c.tests & unit_random();
	c.action = unit_below(4);
	if (c.tests & VIGIL_COND_RIP) {
		c.rip = few();
		c.rip_last = c.rip + few();
	}
	if (c.tests & VIGIL_COND_CPL)
		c.cpl = 1 + unit_below(15);
	if (c.tests & VIGIL_COND_CR3) {
		c.cr3_mask = few() | 1;
		c.cr3 = few() & c.cr3_mask;
	}
	if (c.tests & VIGIL_COND_VCPU)
		c.vcpu = unit_below(3);
	if (c.tests & VIGIL_COND_VALUE) {
		c.mask = few() | 1;
		c.value = few() & c.mask;
	}
	return c;
}

static void first(void)
{
	static const struct vigil_watch w = { .len = 8 };
	struct vigil_condition c[VIGIL_MAX_CONDITIONS];
	unsigned int hits[VIGIL_MAX_CONDITIONS + 1] = { 0 };
	unsigned int i, j, n, got, wrong = 0, refused = 0, unused = 0;

	for (i = 0; i < ROUNDS; i++) {
		struct condition_state s = {
			.rip = few(),
			.cr3 = few(),
			.value = few(),
			.vcpu = unit_below(3),
			.cpl = unit_below(4),
			.value_known = unit_below(4),
			.changed = unit_below(2),
		};

		n = unit_below(VIGIL_MAX_CONDITIONS + 1);
		for (j = 0; j < n; j++) {
			c[j] = random_condition();
			refused += !condition_valid(&c[j], &w);
		}
		got = condition_first(c, n, &s);
		hits[got]++;
		wrong += got != model_first(c, n, &s);
	}
	for (i = 0; i < 8; i++)
		unused += !hits[i];
	unit_result(!wrong, "the first condition, as the model");
	unit_result(!refused, "conditions that make sense are taken");
	unit_result(!unused, "each place of a list decides at times");
}

/* ---- bytes ---- */

static void bytes(void)
{
	unsigned int i, j, values = 0, masks = 0, changes = 0, equal = 0;

	for (i = 0; i < ROUNDS; i++) {
		u8 old[MEMORY + CONDITION_BYTES], now[sizeof(old)], *data;
		unsigned int from = unit_below(MEMORY);
		unsigned int len = 1 + unit_below(MEMORY - from);
		unsigned int at = unit_below(MEMORY);
		unsigned int end = at + 1 + unit_below(MEMORY - at);
		u64 value = 0, memory, mask = 0;
		bool changed = false;

		for (j = 0; j < sizeof(old); j++)
			old[j] = unit_below(2);
		memcpy(now, old, sizeof(old));
		/* Exactly as long as the store: ASan sees what is read beside it. */
		data = malloc(len);
		for (j = 0; j < len; j++)
			now[from + j] = data[j] =
				unit_below(16) ? old[from + j] : unit_below(2);
		for (j = 0; j < CONDITION_BYTES; j++) {
			value |= (u64)now[at + j] << 8 * j;
			if (at + j >= from && at + j < from + len)
				mask |= 0xffull << 8 * j;
		}
		memcpy(&memory, old + at, sizeof(memory));
		/* What the store gives is not looked at in memory. */
		memory ^= mask & unit_random();
		for (j = at; j < end; j++)
			changed |= old[j] != now[j];
		masks += condition_stored(BASE + at, BASE + from, len) != mask;
		values += condition_value(memory, BASE + at, BASE + from, len,
					  data) != value;
		memcpy(now, old + from, len);
		changes += condition_changed(BASE + at, BASE + end - 1,
					     BASE + from, len, now,
					     data) != changed;
		equal += !changed;
		free(data);
	}
	unit_result(!masks, "which bytes a store gives");
	unit_result(!values, "the value behind a store");
	unit_result(!changes, "whether a store changes watched bytes");
	unit_result(equal > ROUNDS / 20 && equal < ROUNDS - ROUNDS / 20,
		    "stores do and do not change");
	unit_result(condition_stored(8, 0, 8) == 0 &&
			    condition_stored(0, 8, 8) == 0 &&
			    condition_stored(0, 0, 64) == ~0ull &&
			    condition_stored(8, 0, 64) == ~0ull,
		    "stores beside and over the value");
	/* An alias that begins at 0 has the bytes from the fifth on. */
	unit_result(condition_stored(-4ull, 0, 8) == ~0ull << 32 &&
			    condition_value(0x11111111, -4ull, 0, 2, "ab") ==
				    0x626111111111,
		    "a value that begins before address 0");
}

/* ---- refusals ---- */

static void check(const char *what, bool want, struct vigil_condition c,
		  struct vigil_watch w)
{
	unit_result(condition_valid(&c, &w) == want, "%s: %s", what,
		    want ? "taken" : "refused");
}

static void valid(void)
{
	const struct vigil_watch gpa = { .start = BASE, .len = 8 };
	const struct vigil_watch gva = { .start = BASE - 3,
					 .len = 16,
					 .kind = VIGIL_WATCH_GVA };
	const struct vigil_watch gdt = { .start = VIGIL_CONTROL_GDT,
					 .len = 1,
					 .kind = VIGIL_WATCH_CONTROL };
	const struct vigil_watch load = { .start = VIGIL_CONTROL_TABLE_LOAD,
					  .len = 1,
					  .kind = VIGIL_WATCH_CONTROL };
	struct vigil_watch w = gpa;
	unsigned int i;

#define C(...) ((struct vigil_condition){ __VA_ARGS__ })
	check("no test", true, C(.tests = 0), gpa);
	check("a test that is not known", false, C(.tests = 1 << NR_TESTS),
	      gpa);
	check("inverse of no test", false, C(.inverse = 1), gpa);
	check("the inverse", true, C(.tests = 32, .inverse = 32), gpa);
	check("pad", false, C(.pad = 1), gpa);
	for (i = 0; i < 4; i++)
		check("an action", true, C(.action = i), gpa);
	check("no action", false, C(.action = 4), gpa);

	check("RIP", true, C(.tests = 1, .rip = 5, .rip_last = 5), gpa);
	check("any RIP", true, C(.tests = 1, .rip_last = ~0ull), gpa);
	check("RIP backwards", false, C(.tests = 1, .rip = 5, .rip_last = 4),
	      gpa);
	check("RIP without its test", false, C(.rip = 1), gpa);
	check("RIP without its test", false, C(.rip_last = 1), gpa);

	check("a CPL", true, C(.tests = 2, .cpl = 15), gpa);
	check("no CPL", false, C(.tests = 2), gpa);
	check("CPL 4", false, C(.tests = 2, .cpl = 16), gpa);
	check("CPL without its test", false, C(.cpl = 1), gpa);

	check("CR3", true, C(.tests = 4, .cr3 = 1, .cr3_mask = 3), gpa);
	check("CR3 0", true, C(.tests = 4, .cr3_mask = ~0ull), gpa);
	check("CR3 without a mask", false, C(.tests = 4), gpa);
	check("CR3 beside its mask", false,
	      C(.tests = 4, .cr3 = 4, .cr3_mask = 3), gpa);
	check("CR3 without its test", false, C(.cr3_mask = 1), gpa);

	check("vCPU", true, C(.tests = 8, .vcpu = 3), gpa);
	check("vCPU without its test", false, C(.vcpu = 1), gpa);

	check("a value", true, C(.tests = 16, .mask = ~0ull), gpa);
	check("a value without a mask", false, C(.tests = 16), gpa);
	check("a value beside its mask", false,
	      C(.tests = 16, .value = 2, .mask = 1), gpa);
	check("a value without its test", false, C(.mask = 1), gpa);
	check("a value without its test", false, C(.value = 1), gpa);
	for (i = 1; i <= 8; i++) {
		w.len = i;
		check("the last watched byte", true,
		      C(.tests = 16, .mask = 0x80ull << 8 * (i - 1)), w);
		if (i < 8)
			check("a byte behind the watch", false,
			      C(.tests = 16, .mask = 1ull << 8 * i), w);
	}
	check("the last byte of the first page", true,
	      C(.tests = 16, .mask = 1 << 23), gva);
	check("a byte of the next page", false, C(.tests = 16, .mask = 1 << 24),
	      gva);
	w = gva;
	w.kind = VIGIL_WATCH_GPA;
	check("a byte of the next page, physical", true,
	      C(.tests = 16, .mask = 1 << 24), w);

	check("a control by CPL", true, C(.tests = 2, .cpl = 1), gdt);
	check("a control by value", false, C(.tests = 16, .mask = 1), gdt);
	check("a control that changes", false, C(.tests = 32), gdt);
	for (i = 0; i < 4; i++)
		check("an action of table-load",
		      i == VIGIL_ACTION_LOG || i == VIGIL_ACTION_PASS,
		      C(.action = i), load);
}

int main(void)
{
	printf("TAP version 13\n");
	unit_seed();
	first();
	bytes();
	valid();
	return unit_end();
}
