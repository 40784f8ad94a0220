// SPDX-License-Identifier: GPL-2.0
/* Verdicts about held writes that come from standard input. */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "command.h"
#include "insn_same.h"
#include "verdict.h"

void prompt_see(struct prompt *p, const struct vigil_event *ev)
{
	unsigned int i = ev->vcpu % PROMPT_VCPUS;

	if (!insn_same(&p->last[i], ev))
		p->answered[i] = false;
	p->last[i] = *ev;
}

enum line { LINE_OK, LINE_EOF, LINE_SIGNAL };

/* Reads byte by byte, since bytes behind the line belong to the next reader. */
static enum line read_line(char *line, size_t len, int sigfd)
{
	size_t used = 0;

	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = STDIN_FILENO, .events = POLLIN },
		};
		ssize_t n;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return LINE_SIGNAL;
		n = read(STDIN_FILENO, line + used, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return LINE_EOF;
		if (line[used] == '\n')
			break;
		if (used < len - 1)
			used++;
	}
	line[used] = 0;
	return LINE_OK;
}

static bool is(const char *line, const char *word)
{
	return !strcasecmp(line, word) ||
	       (line[0] && !line[1] && !strncasecmp(line, word, 1));
}

static enum verdict ask(struct prompt *p, bool control, int sigfd)
{
	const char *what = control ? "change" : "write";
	char line[128];

	/* A line that was typed before the question is not an answer to it. */
	if (isatty(STDIN_FILENO))
		tcflush(STDIN_FILENO, TCIFLUSH);
	for (;;) {
		fprintf(stderr, "allow this %s? y, n, all, quit [n] ", what);
		switch (read_line(line, sizeof(line), sigfd)) {
		case LINE_SIGNAL:
			return VERDICT_QUIT;
		case LINE_EOF:
			fputs("no answer: refused\n", stderr);
			return VERDICT_DENY;
		case LINE_OK:
			break;
		}
		if (is(line, "yes"))
			return VERDICT_ALLOW;
		if (is(line, "no") || !*line)
			return VERDICT_DENY;
		if (is(line, "quit"))
			return VERDICT_QUIT;
		if (is(line, "all")) {
			p->all = true;
			return VERDICT_ALLOW;
		}
		fputs("y: let it happen; n: refuse it; all: allow this one and all that come; "
		      "quit: end\n",
		      stderr);
	}
}

enum verdict verdict_ask(struct prompt *p, const struct vigil_event *ev,
			 int sigfd)
{
	unsigned int i = ev->vcpu % PROMPT_VCPUS;

	if (p->all)
		return VERDICT_ALLOW;
	if (!p->answered[i])
		p->answer[i] = ask(p, ev->kind == VIGIL_EVENT_CONTROL, sigfd);
	p->answered[i] = true;
	return p->answer[i];
}

bool verdict_parse(const char *word, uint32_t *verdict)
{
	static const char *const words[] = {
		[VIGIL_VERDICT_ALLOW] = "allow",
		[VIGIL_VERDICT_DENY] = "deny",
		[VIGIL_VERDICT_GP] = "gp",
		[VIGIL_VERDICT_PF] = "pf",
		[VIGIL_VERDICT_REPLACE] = "replace",
		[VIGIL_VERDICT_KILL] = "kill",
		[VIGIL_VERDICT_PAUSE] = "pause",
	};

	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i])) {
			*verdict = i;
			return true;
		}
	return false;
}

static int nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);

	return c && at ? at - digits : -1;
}

/* Bytes as an event shows them: two digits each, with or without blanks between. */
static bool parse_bytes(const char *text, struct answer *a)
{
	for (a->len = 0; *(text += strspn(text, " ")); text += 2) {
		int high = nibble(text[0]), low = nibble(text[1]);

		if (high < 0 || low < 0 || a->len == sizeof(a->data))
			return false;
		a->data[a->len++] = high << 4 | low;
	}
	return a->len;
}

static const char *get_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) &&
			       json_object_is_type(v, json_type_string) ?
		       json_object_get_string(v) :
		       NULL;
}

static bool parse_line(struct json_object *o, struct answer *a)
{
	const char *word, *bytes;
	struct json_object *seq;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, "seq", &seq) ||
	    !json_object_is_type(seq, json_type_int))
		return false;
	word = get_text(o, "verdict");
	bytes = get_text(o, "bytes");
	a->seq = json_object_get_int64(seq);
	if (!word || !verdict_parse(word, &a->verdict))
		return false;
	if (a->verdict != VIGIL_VERDICT_REPLACE)
		return !bytes;
	return bytes && parse_bytes(bytes, a);
}

static void take_line(const char *line,
		      void (*each)(void *ctx, const struct answer *a),
		      void *ctx)
{
	struct json_object *o = json_tokener_parse(line);
	struct answer a = { 0 };

	if (parse_line(o, &a))
		each(ctx, &a);
	else
		vigil_msg(
			"a line on standard input is no verdict; one is "
			"{\"seq\": 1, \"verdict\": \"allow\"}, or with \"deny\", \"gp\", "
			"\"pf\", \"kill\" or \"pause\", or with \"replace\" and \"bytes\"");
	json_object_put(o);
}

void answers_read(struct answers *a,
		  void (*each)(void *ctx, const struct answer *a), void *ctx)
{
	char buf[1024];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		a->eof = true;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '\n') {
			if (a->used == sizeof(a->line) - 1)
				a->skip = true;
			else
				a->line[a->used++] = buf[i];
			continue;
		}
		/* A line that is too long becomes an empty one, which is no JSON. */
		a->line[a->skip ? 0 : a->used] = 0;
		if (a->skip || a->line[strspn(a->line, " \t\r")])
			take_line(a->line, each, ctx);
		a->used = 0;
		a->skip = false;
	}
}
