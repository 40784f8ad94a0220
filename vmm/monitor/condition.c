// SPDX-License-Identifier: GPL-2.0
/* Which condition of a watch a write fulfils: pure. */
#include "condition.h"

#define ALL_TESTS                                                             \
	(VIGIL_COND_RIP | VIGIL_COND_CPL | VIGIL_COND_CR3 | VIGIL_COND_VCPU | \
	 VIGIL_COND_VALUE | VIGIL_COND_CHANGED)
/* A control has no bytes. */
#define MEMORY_TESTS (VIGIL_COND_VALUE | VIGIL_COND_CHANGED)

#define GUEST_PAGE 4096u

/* How many bytes at the start of the watch VALUE may look at. */
static unsigned int value_bytes(const struct vigil_watch *w)
{
	u64 bytes = CONDITION_BYTES;

	if (bytes > w->len)
		bytes = w->len;
	/* The next page of a guest-virtual range may be anywhere. */
	if (w->kind == VIGIL_WATCH_GVA &&
	    bytes > GUEST_PAGE - w->start % GUEST_PAGE)
		bytes = GUEST_PAGE - w->start % GUEST_PAGE;
	return bytes;
}

static bool value_valid(const struct vigil_condition *c,
			const struct vigil_watch *w)
{
	unsigned int bytes = value_bytes(w);

	return c->mask && !(c->value & ~c->mask) &&
	       (bytes == CONDITION_BYTES || !(c->mask >> 8 * bytes));
}

/* Is what the tests look at in order, and everything else zero? */
static bool operands_valid(const struct vigil_condition *c,
			   const struct vigil_watch *w)
{
	bool ok;

	ok = c->tests & VIGIL_COND_RIP ? c->rip <= c->rip_last :
					 !c->rip && !c->rip_last;
	ok &= c->tests & VIGIL_COND_CPL ? c->cpl && c->cpl <= 0xf : !c->cpl;
	ok &= c->tests & VIGIL_COND_CR3 ?
		      c->cr3_mask && !(c->cr3 & ~c->cr3_mask) :
		      !c->cr3 && !c->cr3_mask;
	ok &= c->tests & VIGIL_COND_VCPU || !c->vcpu;
	ok &= c->tests & VIGIL_COND_VALUE ? value_valid(c, w) :
					    !c->value && !c->mask;
	return ok;
}

bool condition_valid(const struct vigil_condition *c,
		     const struct vigil_watch *w)
{
	if (c->tests & ~ALL_TESTS || c->inverse & ~c->tests || c->pad ||
	    c->action > VIGIL_ACTION_PASS || !operands_valid(c, w))
		return false;
	if (w->kind != VIGIL_WATCH_CONTROL)
		return true;
	return !(c->tests & MEMORY_TESTS) &&
	       /* A load that fails anyway can only be told, or not. */
	       (w->start != VIGIL_CONTROL_TABLE_LOAD ||
		c->action == VIGIL_ACTION_LOG ||
		c->action == VIGIL_ACTION_PASS);
}

/* Is the test named, and does it come out in the other way than it must? */
static inline bool fails(const struct vigil_condition *c, u32 test, bool holds)
{
	return c->tests & test && holds == !!(c->inverse & test);
}

static bool fulfils(const struct vigil_condition *c,
		    const struct condition_state *s)
{
	if (fails(c, VIGIL_COND_RIP, s->rip >= c->rip && s->rip <= c->rip_last))
		return false;
	if (fails(c, VIGIL_COND_CPL, c->cpl >> s->cpl & 1))
		return false;
	if (fails(c, VIGIL_COND_CR3, (s->cr3 & c->cr3_mask) == c->cr3))
		return false;
	if (fails(c, VIGIL_COND_VCPU, s->vcpu == c->vcpu))
		return false;
	if (fails(c, VIGIL_COND_CHANGED, s->changed))
		return false;
	if (!(c->tests & VIGIL_COND_VALUE))
		return true;
	return s->value_known &&
	       !fails(c, VIGIL_COND_VALUE, (s->value & c->mask) == c->value);
}

unsigned int condition_first(const struct vigil_condition *c, unsigned int n,
			     const struct condition_state *s)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (fulfils(&c[i], s))
			return i + 1;
	return 0;
}

/*
 * Which bytes of a store are among @size from @at on: from offset @from up to @to, which
 * is not included. @at may lie before address 0, where a watch begins in a page that an
 * alias of its memory does not have.
 */
static bool shared(u64 at, s64 size, u64 gpa, unsigned int len, s64 *from,
		   s64 *to)
{
	s64 first = gpa - at, end = first + len;

	*from = first > 0 ? first : 0;
	*to = end < size ? end : size;
	return *from < *to;
}

u64 condition_stored(u64 at, u64 gpa, unsigned int len)
{
	s64 from, to;

	if (!shared(at, CONDITION_BYTES, gpa, len, &from, &to))
		return 0;
	return ~0ull >> 8 * (CONDITION_BYTES - (to - from)) << 8 * from;
}

u64 condition_value(u64 memory, u64 at, u64 gpa, unsigned int len,
		    const void *new_)
{
	s64 from, to;

	if (shared(at, CONDITION_BYTES, gpa, len, &from, &to))
		copy_operand((u8 *)&memory + from,
			     (const u8 *)new_ + (at + from - gpa), to - from);
	return memory;
}

bool condition_changed(u64 start, u64 last, u64 gpa, unsigned int len,
		       const void *old, const void *new_)
{
	s64 from, to;
	u64 skip;

	if (!shared(start, last - start + 1, gpa, len, &from, &to))
		return false;
	skip = start + from - gpa;
	return memcmp((const u8 *)old + skip, (const u8 *)new_ + skip,
		      to - from);
}
