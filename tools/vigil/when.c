// SPDX-License-Identifier: GPL-2.0
/*
 * The conditions of `vigil watch --when': tests, and then an action.
 *
 *	condition = { test } action | "any" action
 *	test	  = "rip" is place | "cpl" is cpls | "vcpu" is number
 *		  | ( "cr3" | "value" ) [ "&" hex ] is hex
 *		  | "changed" | "unchanged"
 *	is	  = "=" | "!=" | "in" | "not in"
 *	place	  = address [ "-" address ]
 *	address	  = hex | "sym:" name [ "+" offset ]
 *	cpls	  = digit [ "-" digit ]
 *	action	  = "pass" | "log" | "ask" | "deny"
 *
 * Blanks and commas separate.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "number.h"
#include "when.h"

#define MAX_WORD 256
#define PAGE 4096u
/* Of value, when no mask was given: when_fit() makes it one of whole bytes. */
#define ALL_BITS (~0ull)

/* What is being read. The word is the one that comes next; "" at the end. */
struct reader {
	const char *at;
	char word[MAX_WORD];
	when_symbol *symbol;
	void *ctx;
	char *why;
};

static const char *const actions[] = {
	[VIGIL_ACTION_LOG] = "log",
	[VIGIL_ACTION_ASK] = "ask",
	[VIGIL_ACTION_DENY] = "deny",
	[VIGIL_ACTION_PASS] = "pass",
};

/* Says what is wrong with the word that comes next. */
static int wrong(struct reader *r, const char *what)
{
	char shown[VIGIL_QUOTE_ROOM(64)];

	snprintf(r->why, WHEN_ROOM, "`%s' %s",
		 vigil_quote(r->word, shown, sizeof(shown)), what);
	return -1;
}

/* Something else comes next than what is expected there. */
static int unexpected(struct reader *r, const char *what)
{
	char text[WHEN_ROOM / 2];

	if (!*r->word) {
		snprintf(r->why, WHEN_ROOM, "ends where %s is expected", what);
		return -1;
	}
	snprintf(text, sizeof(text), "stands where %s is expected", what);
	return wrong(r, text);
}

static bool is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

static bool is_operator(char c)
{
	return c && strchr("=!&-", c);
}

/* Reads the next word. */
static int next(struct reader *r)
{
	size_t n = 0;

	while (is_separator(*r->at))
		r->at++;
	if (is_operator(*r->at)) {
		n = r->at[0] == '!' && r->at[1] == '=' ? 2 : 1;
	} else {
		while (r->at[n] && !is_separator(r->at[n]) &&
		       !is_operator(r->at[n]))
			n++;
	}
	if (n >= sizeof(r->word)) {
		snprintf(r->why, WHEN_ROOM, "has a word of %zu letters", n);
		return -1;
	}
	memcpy(r->word, r->at, n);
	r->word[n] = 0;
	r->at += n;
	return 0;
}

static bool is(const struct reader *r, const char *word)
{
	return !strcmp(r->word, word);
}

/* "=", "!=", "in" or "not in". */
static int read_is(struct reader *r, struct vigil_condition *c, uint32_t test)
{
	bool not = is(r, "not");

	if (not &&next(r))
		return -1;
	if (not &&!is(r, "in"))
		return unexpected(r, "`in', behind `not',");
	if (is(r, "!="))
		not = true;
	else if (!is(r, "=") && !is(r, "in"))
		return unexpected(r, "=, !=, `in' or `not in'");
	if (not )
		c->inverse |= test;
	return next(r);
}

static int read_hex(struct reader *r, uint64_t *v)
{
	const char *why;

	if (!*r->word)
		return unexpected(r, "a hexadecimal number");
	why = number_address(r->word, v);
	return why ? wrong(r, why) : next(r);
}

static int read_number(struct reader *r, uint64_t *v)
{
	const char *why;

	if (!*r->word)
		return unexpected(r, "a number");
	why = number_count(r->word, v);
	return why ? wrong(r, why) : next(r);
}

/* An address, or the first and the last one of a symbol. */
static int read_address(struct reader *r, uint64_t *first, uint64_t *last,
			bool *symbol)
{
	*symbol = !strncmp(r->word, "sym:", 4);
	if (!*symbol) {
		if (read_hex(r, first))
			return -1;
		*last = *first;
		return 0;
	}
	if (!r->word[4])
		return wrong(r, "needs the name of a symbol behind it");
	*first = *last = 0;
	if (r->symbol && r->symbol(r->ctx, r->word + 4, first, last, r->why))
		return -1;
	return next(r);
}

/* A symbol alone stands for all of it, but for where it begins as an end of a range. */
static int read_place(struct reader *r, struct vigil_condition *c)
{
	uint64_t first, last, end;
	bool from_symbol, to_symbol;

	if (read_address(r, &first, &last, &from_symbol))
		return -1;
	c->rip = first;
	c->rip_last = last;
	if (!is(r, "-"))
		return 0;
	if (next(r) || read_address(r, &end, &last, &to_symbol))
		return -1;
	c->rip_last = end;
	if (end >= first || (!r->symbol && (from_symbol || to_symbol)))
		return 0;
	snprintf(r->why, WHEN_ROOM,
		 "has a range that ends at %#llx, before it begins at %#llx",
		 (unsigned long long)end, (unsigned long long)first);
	return -1;
}

static int read_cpls(struct reader *r, struct vigil_condition *c)
{
	uint64_t first, last;

	if (read_number(r, &first))
		return -1;
	last = first;
	if (is(r, "-") && (next(r) || read_number(r, &last)))
		return -1;
	if (first > last || last > 3) {
		snprintf(r->why, WHEN_ROOM,
			 "has no such levels: cpl is 0 to 3, as in cpl=3 or "
			 "cpl=1-3");
		return -1;
	}
	for (; first <= last; first++)
		c->cpl |= 1u << first;
	return 0;
}

static int read_vcpu(struct reader *r, struct vigil_condition *c)
{
	uint64_t v;

	if (read_number(r, &v))
		return -1;
	c->vcpu = v;
	if (c->vcpu == v)
		return 0;
	snprintf(r->why, WHEN_ROOM, "has no such vCPU");
	return -1;
}

/* [ & MASK ] is VALUE */
static int read_masked(struct reader *r, struct vigil_condition *c,
		       uint32_t test, uint64_t *value, uint64_t *mask)
{
	*mask = ALL_BITS;
	if (is(r, "&") && (next(r) || read_hex(r, mask)))
		return -1;
	if (read_is(r, c, test) || read_hex(r, value))
		return -1;
	if (*mask && !(*value & ~*mask))
		return 0;
	snprintf(r->why, WHEN_ROOM,
		 "can never hold: %#llx has bits that the mask %#llx has not",
		 (unsigned long long)*value, (unsigned long long)*mask);
	if (!*mask)
		snprintf(r->why, WHEN_ROOM,
			 "says nothing: its mask is 0, so leave the test out");
	return -1;
}

/* One test, whose first word comes next. 1: that word begins none. */
static int read_test(struct reader *r, struct vigil_condition *c)
{
	static const struct {
		const char *word;
		uint32_t test;
	} tests[] = {
		{ "rip", VIGIL_COND_RIP },
		{ "cpl", VIGIL_COND_CPL },
		{ "cr3", VIGIL_COND_CR3 },
		{ "vcpu", VIGIL_COND_VCPU },
		{ "value", VIGIL_COND_VALUE },
		{ "changed", VIGIL_COND_CHANGED },
		{ "unchanged", VIGIL_COND_CHANGED },
	};
	uint64_t value, mask;
	unsigned int i;
	uint32_t test;

	for (i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		if (is(r, tests[i].word))
			break;
	if (i == sizeof(tests) / sizeof(*tests))
		return 1;
	test = tests[i].test;
	if (c->tests & test)
		return wrong(r, "is tested twice: a condition tests each thing "
				"once, but several conditions can");
	c->tests |= test;
	if (is(r, "unchanged"))
		c->inverse |= test;
	if (next(r))
		return -1;
	switch (test) {
	case VIGIL_COND_CHANGED:
		return 0;
	case VIGIL_COND_CR3:
		if (read_masked(r, c, test, &value, &mask))
			return -1;
		c->cr3 = value;
		c->cr3_mask = mask;
		return 0;
	case VIGIL_COND_VALUE:
		if (read_masked(r, c, test, &value, &mask))
			return -1;
		c->value = value;
		c->mask = mask;
		return 0;
	}
	if (read_is(r, c, test))
		return -1;
	return test == VIGIL_COND_RIP ? read_place(r, c) :
	       test == VIGIL_COND_CPL ? read_cpls(r, c) :
					read_vcpu(r, c);
}

static bool is_action(const struct reader *r, uint32_t *action)
{
	uint32_t i;

	for (i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (!is(r, actions[i]))
			continue;
		*action = i;
		return true;
	}
	return false;
}

/* Reads tests, or "any". */
static int read_tests(struct reader *r, struct vigil_condition *c)
{
	int ret;

	if (is(r, "any"))
		return next(r);
	do
		ret = read_test(r, c);
	while (!ret);
	if (ret < 0 || c->tests)
		return ret < 0 ? -1 : 0;
	if (is_action(r, &c->action))
		return wrong(
			r, "stands alone: say `any' before it for each write");
	return unexpected(r, "a test (rip, cpl, cr3, vcpu, value, changed, "
			     "unchanged) or `any'");
}

int when_parse(const char *text, when_symbol *symbol, void *ctx,
	       struct vigil_condition *c, char *why)
{
	struct reader r = {
		.at = text,
		.symbol = symbol,
		.ctx = ctx,
		.why = why,
	};

	memset(c, 0, sizeof(*c));
	if (next(&r) || read_tests(&r, c))
		return -1;
	if (!is_action(&r, &c->action))
		return unexpected(
			&r, c->tests ? "a further test or an action (pass, "
				       "log, ask, deny)" :
				       "an action (pass, log, ask, deny)");
	if (next(&r))
		return -1;
	if (*r.word)
		return wrong(
			&r, "stands behind the action, which is the last word: "
			    "a further condition has a --when of its own");
	return 0;
}

/* How many bytes at the start of the watch value may look at. */
static unsigned int value_bytes(const struct vigil_range *w)
{
	uint64_t bytes = w->len < 8 ? w->len : 8;

	if (w->kind == VIGIL_WATCH_GVA && bytes > PAGE - w->start % PAGE)
		bytes = PAGE - w->start % PAGE;
	return bytes;
}

static int fit_value(struct vigil_condition *c, const struct vigil_range *w,
		     char *why)
{
	unsigned int bytes = value_bytes(w);
	uint64_t all = bytes == 8 ? ALL_BITS : (1ull << 8 * bytes) - 1;

	if (c->mask == ALL_BITS)
		c->mask = all;
	if (!(c->mask & ~all) && !(c->value & ~c->mask))
		return 0;
	snprintf(why, WHEN_ROOM,
		 "value is about the first %u byte%s of this watch%s, of which "
		 "%#llx has more",
		 bytes, bytes == 1 ? "" : "s",
		 bytes < 8 && bytes < w->len ? ", up to the end of their page" :
					       "",
		 (unsigned long long)(c->mask & ~all ? c->mask : c->value));
	return -1;
}

static int fit_control(const struct vigil_condition *c,
		       const struct vigil_range *w, char *why)
{
	if (c->tests & (VIGIL_COND_VALUE | VIGIL_COND_CHANGED)) {
		snprintf(why, WHEN_ROOM,
			 "a control has no bytes: test rip, cpl, cr3 or vcpu");
		return -1;
	}
	if (w->start == VIGIL_CONTROL_TABLE_LOAD &&
	    (c->action == VIGIL_ACTION_ASK || c->action == VIGIL_ACTION_DENY)) {
		snprintf(
			why, WHEN_ROOM,
			"table-load is about what is refused anyway: log or pass");
		return -1;
	}
	return 0;
}

int when_fit(struct vigil_condition *c, unsigned int n,
	     const struct vigil_range *w, char *why)
{
	unsigned int i;

	if (n > VIGIL_MAX_CONDITIONS) {
		snprintf(why, WHEN_ROOM, "a watch has at most %u conditions",
			 VIGIL_MAX_CONDITIONS);
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (i && !c[i - 1].tests) {
			snprintf(why, WHEN_ROOM,
				 "no write comes to a condition behind `any': "
				 "make that the last one");
			return -1;
		}
		if (w->kind == VIGIL_WATCH_CONTROL &&
		    fit_control(&c[i], w, why))
			return -1;
		if (c[i].tests & VIGIL_COND_VALUE && fit_value(&c[i], w, why))
			return -1;
	}
	return 0;
}

static void put(char *buf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void put(char *buf, const char *fmt, ...)
{
	size_t n = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + n, WHEN_ROOM - n, fmt, ap);
	va_end(ap);
}

static void put_masked(char *buf, const char *name, const char *op,
		       uint64_t value, uint64_t mask)
{
	put(buf, "%s", name);
	if (mask != ALL_BITS)
		put(buf, " & %#llx", (unsigned long long)mask);
	put(buf, " %s %#llx ", op, (unsigned long long)value);
}

static void put_cpls(char *buf, const char *op, uint32_t cpl)
{
	unsigned int first = 0, last = 3;

	while (first < 3 && !(cpl >> first & 1))
		first++;
	while (last > first && !(cpl >> last & 1))
		last--;
	put(buf, "cpl %s %u", op, first);
	put(buf, last > first ? "-%u " : " ", last);
}

const char *when_text(const struct vigil_condition *c, char *buf)
{
#define OP(test) (c->inverse & VIGIL_COND_##test ? "!=" : "=")
	*buf = 0;
	if (!c->tests)
		put(buf, "any ");
	if (c->tests & VIGIL_COND_RIP)
		put(buf, "rip %s %#llx-%#llx ", OP(RIP),
		    (unsigned long long)c->rip,
		    (unsigned long long)c->rip_last);
	if (c->tests & VIGIL_COND_CPL)
		put_cpls(buf, OP(CPL), c->cpl);
	if (c->tests & VIGIL_COND_CR3)
		put_masked(buf, "cr3", OP(CR3), c->cr3, c->cr3_mask);
	if (c->tests & VIGIL_COND_VCPU)
		put(buf, "vcpu %s %u ", OP(VCPU), c->vcpu);
	if (c->tests & VIGIL_COND_VALUE)
		put_masked(buf, "value", OP(VALUE), c->value, c->mask);
	if (c->tests & VIGIL_COND_CHANGED)
		put(buf, c->inverse & VIGIL_COND_CHANGED ? "unchanged " :
							   "changed ");
	put(buf, "%s", actions[c->action & 3]);
	return buf;
#undef OP
}
