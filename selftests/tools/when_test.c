// SPDX-License-Identifier: GPL-2.0
/* The language of `vigil watch --when': what it means, and what it says of a mistake. */
#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "when.h"

#define ANY 0xffffffffffffffffull

static char why[WHEN_ROOM];

static int symbol(void *ctx, const char *expr, uint64_t *start, uint64_t *last,
		  char *no)
{
	CHECK(ctx == (void *)why);
	if (!strcmp(expr, "do_work")) {
		*start = 0xc1000000;
		*last = 0xc10000ff;
	} else if (!strcmp(expr, "do_work+0x10")) {
		*start = 0xc1000010;
		*last = 0xc10000ff;
	} else if (!strcmp(expr, "_etext.cold")) {
		*start = *last = 0xc2000000;
	} else {
		snprintf(no, WHEN_ROOM, "no symbol %s", expr);
		return -1;
	}
	return 0;
}

static bool parse(const char *text, struct vigil_condition *c)
{
	*why = 0;
	return !when_parse(text, symbol, why, c, why);
}

static void means(const char *text, struct vigil_condition want)
{
	struct vigil_condition c, again;
	char canonical[WHEN_ROOM];

	if (!parse(text, &c)) {
		FAIL("`%s' is refused: %s", text, why);
		return;
	}
	if (memcmp(&c, &want, sizeof(c)))
		FAIL("`%s' means another thing: %s", text,
		     when_text(&c, canonical));
	when_text(&c, canonical);
	if (!parse(canonical, &again))
		FAIL("`%s', of `%s', is refused: %s", canonical, text, why);
	else if (memcmp(&c, &again, sizeof(c)))
		FAIL("`%s' is not `%s'", canonical, text);
}

#define C(...) ((struct vigil_condition){ __VA_ARGS__ })
#define T(test) .tests = VIGIL_COND_##test
#define NOT(test) T(test), .inverse = VIGIL_COND_##test
#define PASS .action = VIGIL_ACTION_PASS

static void meanings(long arg)
{
	means("any pass", C(PASS));
	means("any log", C(.action = VIGIL_ACTION_LOG));
	means(" any , ask ", C(.action = VIGIL_ACTION_ASK));
	means("any\tdeny\n", C(.action = VIGIL_ACTION_DENY));

	means("rip in c1000000-c10000ff pass",
	      C(T(RIP), .rip = 0xc1000000, .rip_last = 0xc10000ff, PASS));
	means("rip=0xc1000000,pass",
	      C(T(RIP), .rip = 0xc1000000, .rip_last = 0xc1000000, PASS));
	means("rip not in 0 - ffffffffffffffff pass",
	      C(NOT(RIP), .rip_last = ANY, PASS));
	means("rip=sym:do_work pass",
	      C(T(RIP), .rip = 0xc1000000, .rip_last = 0xc10000ff, PASS));
	means("rip!=sym:do_work+0x10,deny",
	      C(NOT(RIP), .rip = 0xc1000010, .rip_last = 0xc10000ff,
		.action = VIGIL_ACTION_DENY));
	/* At the end of a range, a symbol is where it begins. */
	means("rip in c0000000-sym:do_work pass",
	      C(T(RIP), .rip = 0xc0000000, .rip_last = 0xc1000000, PASS));
	means("rip in sym:do_work-sym:_etext.cold pass",
	      C(T(RIP), .rip = 0xc1000000, .rip_last = 0xc2000000, PASS));

	means("cpl=3 pass", C(T(CPL), .cpl = 8, PASS));
	means("cpl != 0 pass", C(NOT(CPL), .cpl = 1, PASS));
	means("cpl in 1-3 pass", C(T(CPL), .cpl = 14, PASS));
	means("cpl in 0-3 pass", C(T(CPL), .cpl = 15, PASS));
	means("cr3=2a3e000 pass",
	      C(T(CR3), .cr3 = 0x2a3e000, .cr3_mask = ANY, PASS));
	means("cr3 & fffffffffffe000 != 2a3e000 pass",
	      C(NOT(CR3), .cr3 = 0x2a3e000, .cr3_mask = 0xfffffffffffe000,
		PASS));
	means("vcpu=0 log", C(T(VCPU)));
	means("vcpu not in 17 pass", C(NOT(VCPU), .vcpu = 17, PASS));
	means("value=0 pass", C(T(VALUE), .mask = ANY, PASS));
	means("value&f0=10 pass",
	      C(T(VALUE), .value = 0x10, .mask = 0xf0, PASS));
	means("value & 0x1 != 0x1 ask",
	      C(NOT(VALUE), .value = 1, .mask = 1, .action = VIGIL_ACTION_ASK));
	means("changed log", C(T(CHANGED)));
	means("unchanged pass", C(NOT(CHANGED), PASS));

	means("cpl=0 rip in 10-20, vcpu=1 cr3=5 value=6 unchanged pass",
	      C(.tests = 63, .inverse = VIGIL_COND_CHANGED, .cpl = 1,
		.rip = 0x10, .rip_last = 0x20, .vcpu = 1, .cr3 = 5,
		.cr3_mask = ANY, .value = 6, .mask = ANY, PASS));
}

static void mistakes(long arg)
{
	static const char *const bad[][2] = {
		{ "", "ends where a test (rip, cpl" },
		{ " , ", "ends where a test" },
		{ "pass", "`pass' stands alone: say `any'" },
		{ "deny cpl=3", "`deny' stands alone" },
		{ "user pass", "`user' stands where a test" },
		{ "RIP=1 pass", "`RIP' stands where a test" },
		{ "any", "ends where an action (pass" },
		{ "any cpl=3 pass", "`cpl' stands where an action" },
		{ "cpl=3", "ends where a further test or an action" },
		{ "cpl=3 allow", "`allow' stands where a further test" },
		{ "cpl=3 and vcpu=1 pass", "`and' stands where a further" },
		{ "cpl=3 pass vcpu=1", "`vcpu' stands behind the action" },
		{ "cpl=3 pass pass", "--when of its own" },
		{ "cpl 3 pass", "`3' stands where =, !=, `in'" },
		{ "cpl", "ends where =, !=" },
		{ "cpl==3 pass", "`=' is not a decimal number" },
		{ "cpl!3 pass", "`!' stands where =" },
		{ "cpl=", "ends where a number" },
		{ "cpl=4 pass", "cpl is 0 to 3" },
		{ "cpl in 3-1 pass", "cpl is 0 to 3" },
		{ "cpl=0x3 pass", "`0x3' is not a decimal number" },
		{ "cpl=99999999999999999999 pass", "more than 64 bits" },
		{ "cpl=3 cpl=2 pass", "`cpl' is tested twice" },
		{ "changed unchanged pass", "`unchanged' is tested twice" },
		{ "rip not 5 pass", "`5' stands where `in', behind `not'" },
		{ "rip in pass", "`pass' is not an address" },
		{ "rip=5- pass", "`pass' is not an address" },
		{ "rip=-5 pass", "`-' is not an address" },
		{ "rip=20-10 pass", "ends at 0x10, before it begins at 0x20" },
		{ "rip=1ffffffffffffffff pass", "more than 64 bits" },
		{ "rip=sym: pass", "needs the name of a symbol" },
		{ "rip=sym:nobody pass", "no symbol nobody" },
		{ "rip=do_work pass", "`do_work' is not an address" },
		{ "cr3 & 0 = 0 pass", "leave the test out" },
		{ "cr3 & ff = 100 pass", "can never hold: 0x100" },
		{ "cr3 & = 5 pass", "`=' is not an address" },
		{ "value & f = 10 pass", "can never hold: 0x10" },
		{ "value = ten pass", "`ten' is not an address" },
		{ "value pass", "`pass' stands where =" },
		{ "vcpu=4294967296 pass", "no such vCPU" },
		{ "vcpu=-1 pass", "`-' is not a decimal number" },
		{ "cpl=3\033[2J pass", "`3\\x1b[2J' is not" },
	};
	static char longest[4096];
	struct vigil_condition c;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (parse(bad[i][0], &c))
			FAIL("`%s' is taken", bad[i][0]);
		else if (!strstr(why, bad[i][1]))
			FAIL("`%s': %s", bad[i][0], why);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	CHECK(!parse(longest, &c));
	CHECK(strstr(why, "4095 letters") != NULL);
	memset(longest, '&', sizeof(longest) - 1);
	CHECK(!parse(longest, &c));
}

/* Before symbols are known, only the text and the action can be judged. */
static void without_symbols(long arg)
{
	static const char *const good[] = {
		"rip=sym:nobody ask",
		"rip in c1000000-sym:nobody ask",
		"rip in sym:nobody-sym:me ask",
		"rip in sym:nobody-10 ask",
	};
	struct vigil_condition c;

	for (unsigned int i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (when_parse(good[i], NULL, NULL, &c, why))
			FAIL("`%s' is refused: %s", good[i], why);
		CHECK_EQ(c.action, VIGIL_ACTION_ASK);
	}
	CHECK_EQ(when_parse("rip=20-10 ask", NULL, NULL, &c, why), -1);
	CHECK_EQ(when_parse("rip=sym: ask", NULL, NULL, &c, why), -1);
}

/* Each text with one byte of another is taken or refused, in words. */
static void any_byte(long arg)
{
	static const char *const texts[] = {
		"rip not in sym:do_work-c2000000 cpl=1-3 pass",
		"cr3&fff=5,value != 6 vcpu=1 unchanged ask",
	};
	struct vigil_condition c;
	char text[64];

	for (unsigned int i = 0; i < 2; i++)
		for (size_t at = 0; texts[i][at]; at++)
			for (int byte = 0; byte < 256; byte++) {
				strcpy(text, texts[i]);
				text[at] = byte;
				if (!parse(text, &c) && !*why)
					FAIL("`%s' is refused without words",
					     text);
			}
}

static bool fits(const char *text, struct vigil_range w, uint64_t *mask)
{
	struct vigil_condition c;

	if (!parse(text, &c))
		ERROR("%s: %s", text, why);
	if (when_fit(&c, 1, &w, why))
		return false;
	*mask = c.mask;
	return true;
}

static void fitting(long arg)
{
	const struct vigil_range eight = { .start = 0xffe, .len = 8 };
	struct vigil_range w = eight;
	struct vigil_condition c[VIGIL_MAX_CONDITIONS + 1];
	uint64_t mask;

	CHECK(fits("value=ffffffffffffffff pass", w, &mask));
	CHECK_EQ(mask, ANY);
	w.len = 4096;
	CHECK(fits("value=1 pass", w, &mask));
	CHECK_EQ(mask, ANY);
	w.len = 2;
	CHECK(fits("value=ffff pass", w, &mask));
	CHECK_EQ(mask, 0xffff);
	CHECK(fits("value & ff00 = 100 pass", w, &mask));
	CHECK_EQ(mask, 0xff00);
	CHECK(!fits("value=10000 pass", w, &mask));
	CHECK(strstr(why, "first 2 bytes of this watch, of which 0x10000") !=
	      NULL);
	CHECK(!fits("value & 10000 = 0 pass", w, &mask));
	w.len = 1;
	CHECK(!fits("value=100 pass", w, &mask));
	CHECK(strstr(why, "first 1 byte of this watch") != NULL);
	w = eight;
	w.kind = VIGIL_WATCH_GVA;
	CHECK(fits("value=1 pass", w, &mask));
	CHECK_EQ(mask, 0xffff);
	CHECK(!fits("value=10000 pass", w, &mask));
	CHECK(strstr(why, "up to the end of their page") != NULL);

	w = (struct vigil_range){ .start = VIGIL_CONTROL_GDT,
				  .len = 1,
				  .kind = VIGIL_WATCH_CONTROL };
	CHECK(fits("cpl=1 deny", w, &mask));
	CHECK(!fits("value=1 pass", w, &mask));
	CHECK(strstr(why, "a control has no bytes") != NULL);
	CHECK(!fits("changed pass", w, &mask));
	w.start = VIGIL_CONTROL_TABLE_LOAD;
	CHECK(fits("cpl=1 pass", w, &mask));
	CHECK(!fits("cpl=1 deny", w, &mask));
	CHECK(strstr(why, "log or pass") != NULL);

	memset(c, 0, sizeof(c));
	for (int i = 0; i < VIGIL_MAX_CONDITIONS; i++)
		parse("cpl=3 pass", &c[i]);
	CHECK_EQ(when_fit(c, VIGIL_MAX_CONDITIONS, &eight, why), 0);
	CHECK_EQ(when_fit(c, VIGIL_MAX_CONDITIONS + 1, &eight, why), -1);
	CHECK(strstr(why, "at most 16") != NULL);
	parse("any log", &c[VIGIL_MAX_CONDITIONS - 1]);
	CHECK_EQ(when_fit(c, VIGIL_MAX_CONDITIONS, &eight, why), 0);
	parse("any log", &c[0]);
	CHECK_EQ(when_fit(c, 2, &eight, why), -1);
	CHECK(strstr(why, "behind `any'") != NULL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "what a condition means", meanings },
		{ "mistakes", mistakes },
		{ "symbols that are not known yet", without_symbols },
		{ "any byte", any_byte },
		{ "conditions that a watch can have", fitting },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
