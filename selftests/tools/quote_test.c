// SPDX-License-Identifier: GPL-2.0
/* Text of a guest or of another user, on its way to a terminal or into JSON. */
#include <string.h>

#include "libvigil.h"
#include "tap.h"

static void quoted_as(const char *text, const char *expect)
{
	char buf[256];

	CHECK_EQ(vigil_quote(text, buf, sizeof(buf)) == buf, 1);
	if (strcmp(buf, expect))
		FAIL("quoted as %s instead of %s", buf, expect);
}

static void texts(long arg)
{
	quoted_as("", "");
	quoted_as("sys_call_table", "sys_call_table");
	quoted_as("a b~", "a b~");
	/* Raw, these would clear the screen, set its title, and forge a line. */
	quoted_as("\033[2J", "\\x1b[2J");
	quoted_as("\033]0;x\007", "\\x1b]0;x\\x07");
	quoted_as("x\r\nffffffff81000000 T y",
		  "x\\x0d\\x0affffffff81000000 T y");
	quoted_as("\x7f\b", "\\x7f\\x08");
	/* C1 controls as Latin-1 and as UTF-8, and bytes that are no UTF-8 */
	quoted_as("\x9b"
		  "31m",
		  "\\x9b31m");
	quoted_as("\xc2\x9b"
		  "31m",
		  "\\xc2\\x9b31m");
	quoted_as("\xff\xc3", "\\xff\\xc3");
	/* A text that looks like an escape differs from an escape. */
	quoted_as("\\x1b", "\\\\x1b");
}

static void every_byte(long arg)
{
	for (int c = 1; c < 256; c++) {
		char text[2] = { c }, buf[8];

		vigil_quote(text, buf, sizeof(buf));
		for (char *p = buf; *p; p++)
			CHECK(*p >= 0x20 && *p <= 0x7e);
		CHECK_EQ(strlen(buf), c == '\\'		     ? 2 :
				      c >= 0x20 && c <= 0x7e ? 1 :
							       4);
	}
}

/* A short buffer takes no half escape, and nothing is written past its end. */
static void cut(long arg)
{
	char buf[16];

	for (size_t room = 1; room <= 10; room++) {
		memset(buf, '#', sizeof(buf));
		vigil_quote("a\033\\b", buf, room);
		CHECK_EQ(strlen(buf), room < 2 ? 0 :
				      room < 6 ? 1 :
				      room < 8 ? 5 :
				      room < 9 ? 7 :
						 8);
		CHECK_EQ(buf[room], '#');
	}
	CHECK_EQ(strlen(vigil_quote("\377\377\377", buf, VIGIL_QUOTE_ROOM(3))),
		 12);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "escape sequences, lines, UTF-8, backslashes", texts },
		{ "every byte becomes printable", every_byte },
		{ "room that is short", cut },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
