// SPDX-License-Identifier: GPL-2.0
/*
 * The life of `vigil watch' once its command line is understood.
 *
 * Watches live as long as the monitor's file descriptor, so every way out of
 * here ends the protection. A standard output that fails is therefore no way
 * out, unless the user wanted it so (--output-error=stop).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "event.h"
#include "judge.h"
#include "output.h"
#include "record.h"
#include "verdict.h"
#include "watch_run.h"
#include "when.h"

#define PAGE 4096u /* of the guest */

/**
 * struct watcher - one run
 * @opts: the command line
 * @mon: the monitor
 * @t: symbols; may be empty
 * @sigfd: a signalfd, which ends the run
 * @out: where events go
 * @by_lines: verdicts are lines of JSON on standard input
 * @armed: a watch is in force
 * @dropped: lost events that were told
 * @seen: events
 * @held: events that wait for a line (@by_lines)
 * @n_held: how many there are in @held
 * @held_room: how many @held has room for
 * @all: the whole of the change that the last event is about
 * @prompt: answers on the terminal
 * @answers: answers on standard input (@by_lines)
 * @end: why the run ends ("signal", ...); NULL: it goes on
 * @err: negative errno of a failed call, which ends the run as well
 */
struct watcher {
	const struct watch_opts *opts;
	struct mon *mon;
	const struct vigil_symbols *t;
	int sigfd;
	struct output out;
	bool by_lines, armed;
	uint64_t dropped;
	unsigned long seen;
	uint64_t *held;
	size_t n_held, held_room;
	struct control_all all;
	struct prompt prompt;
	struct answers answers;
	const char *end;
	int err;
	bool told; /* of err, when it is no error of libvigil */
};

static void refuse_held(struct watcher *w);

static void output_failed(struct watcher *w)
{
	bool asking = w->by_lines && !w->answers.eof;

	vigil_output_failed(w->out.err);
	if (!w->mon->m) /* the last record: finish() tells */
		return;
	vigil_msg(
		"cannot write standard output: %s%s%s", strerror(w->out.err),
		w->opts->stop ?
			"" :
			"; the watches stay, what happens is not shown any more",
		!w->opts->stop && asking ? ", held writes are refused" : "");
	if (w->opts->stop) {
		w->end = "error";
	} else if (asking) {
		/*
		 * Nobody sees the questions any more, so held writes are
		 * refused.
		 */
		w->answers.eof = true;
		refuse_held(w);
	}
}

/* Writes @text and frees it. NULL stands for a lack of memory. */
static void tell(struct watcher *w, char *text)
{
	int ret = text ? output_write(&w->out, text, strlen(text)) : -ENOMEM;

	free(text);
	if (ret == -ECANCELED)
		w->end = "signal";
	else if (ret == -ENOMEM)
		vigil_msg("out of memory: an event is not shown");
	else if (ret)
		output_failed(w);
}

static char *event_text(const struct watcher *w, const struct vigil_event *ev)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	event_print(f, ev, w->t, &w->all);
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}

static char *event_line(const struct watcher *w, const struct vigil_event *ev,
			enum event_verdict verdict)
{
	char *json = event_json(ev, w->t, &w->all, verdict), *line = NULL;

	if (json && asprintf(&line, "%s\n", json) < 0)
		line = NULL;
	free(json);
	return line;
}

/* ---- verdicts by lines ---- */

/*
 * A verdict ends the pause that --on-timeout has begun, or the verdict "pause". If it cannot, the
 * end of this command does.
 */
static void go_on(struct watcher *w)
{
	if (vigil_unpause(w->mon->m, VIGIL_ALL_VCPUS))
		vigil_msg("%s", vigil_error());
}

/* Return: -errno; when it is -EOPNOTSUPP or -EINVAL the event still waits. */
static int decide(struct watcher *w, const struct answer *a)
{
	int ret = a->verdict == VIGIL_VERDICT_REPLACE ?
			  vigil_replace(w->mon->m, a->seq, a->data, a->len) :
			  vigil_decide(w->mon->m, a->seq, a->verdict);

	if (ret == -EINTR)
		vigil_msg("a signal came before the guest was paused");
	else if (ret)
		vigil_msg("%s", vigil_error());
	else
		tell(w, record_verdict(w->mon, a->seq, a->verdict));
	if (!ret && a->verdict != VIGIL_PAUSE)
		go_on(w);
	return ret;
}

static void deny(struct watcher *w, uint64_t seq)
{
	decide(w,
	       &(struct answer){ .seq = seq, .verdict = VIGIL_VERDICT_DENY });
}

static void take_answer(void *ctx, const struct answer *a)
{
	struct watcher *w = ctx;
	size_t i;
	int ret;

	for (i = 0; i < w->n_held; i++)
		if (w->held[i] == a->seq)
			break;
	if (i == w->n_held) {
		vigil_msg(
			"a verdict on event %llu, which does not wait for one",
			(unsigned long long)a->seq);
		return;
	}
	ret = decide(w, a);
	if (ret != -EOPNOTSUPP && ret != -EINVAL && ret != -EINTR &&
	    !(a->verdict == VIGIL_PAUSE && !ret))
		w->held[i] = w->held[--w->n_held];
}

static void refuse_held(struct watcher *w)
{
	while (w->n_held)
		deny(w, w->held[--w->n_held]);
}

static void hold(struct watcher *w, uint64_t seq)
{
	uint64_t *held;

	if (!w->answers.eof && w->n_held == w->held_room) {
		held = reallocarray(w->held, w->held_room + 16, sizeof(*held));
		if (held) {
			w->held = held;
			w->held_room += 16;
		}
	}
	if (w->answers.eof || w->n_held == w->held_room)
		deny(w, seq);
	else
		w->held[w->n_held++] = seq;
}

static void read_answers(struct watcher *w)
{
	answers_read(&w->answers, take_answer, w);
	if (!w->answers.eof)
		return;
	vigil_msg("standard input has ended: held writes are refused");
	refuse_held(w);
}

/* ---- events ---- */

/* How the event is refused: a fault that it cannot have is a plain refusal. */
static uint32_t refusal(const struct watcher *w, const struct vigil_event *ev)
{
	if (vigil_event_takes(ev, w->opts->refuse))
		return w->opts->refuse;
	vigil_msg("event %llu cannot have the fault of --refuse: denied",
		  (unsigned long long)ev->seq);
	return VIGIL_DENY;
}

static void judge(struct watcher *w, const struct vigil_event *ev)
{
	enum event_verdict told;
	enum verdict v;

	if (w->opts->exec) {
		v = judge_exec(w->opts->exec, w->opts->exec_timeout, ev, w->t,
			       &w->all, w->sigfd);
	} else {
		/* Standard output has failed: show the event where the question is. */
		if (w->out.err)
			event_print(stderr, ev, w->t, &w->all);
		v = verdict_ask(&w->prompt, ev, w->sigfd);
	}
	if (v == VERDICT_QUIT) {
		/*
		 * A person may answer "quit"; with --exec, only a signal leads
		 * here.
		 */
		w->end = w->opts->exec ? "signal" : "quit";
		return;
	}
	told = v == VERDICT_ALLOW ? EVENT_ALLOWED : EVENT_REFUSED;
	if (vigil_decide(w->mon->m, ev->seq,
			 v == VERDICT_ALLOW ? VIGIL_ALLOW : refusal(w, ev))) {
		vigil_msg("%s", vigil_error());
		/* Its time was up, or the guest has other registers. */
		if (vigil_options.json)
			tell(w, event_line(w, ev, EVENT_NO_VERDICT));
		return;
	}
	go_on(w);
	if (vigil_options.json)
		tell(w, event_line(w, ev, told));
	else
		tell(w, strdup(v == VERDICT_ALLOW ? "    allowed\n" :
						    "    refused\n"));
}

/* An event has the first vectors only. What it would change more is read while it waits. */
static void read_all(struct watcher *w, const struct vigil_event *ev)
{
	long n;

	w->all.n = 0;
	if (!(ev->flags & VIGIL_EVENT_HELD) || !control_is_cut(ev))
		return;
	n = vigil_read_change(w->mon->m, ev->seq, w->all.trap,
			      sizeof(w->all.trap));
	if (n > 0)
		w->all.n = n / sizeof(w->all.trap[0]);
	else if (n < 0)
		vigil_msg("%s", vigil_error());
}

static void handle(struct watcher *w, const struct vigil_event *ev)
{
	bool held = ev->flags & VIGIL_EVENT_HELD;

	read_all(w, ev);
	prompt_see(&w->prompt, ev);
	if (ev->dropped != w->dropped && vigil_options.json)
		tell(w, record_lost(w->mon, ev->dropped - w->dropped,
				    ev->dropped));
	w->dropped = ev->dropped;
	if (!vigil_options.json)
		tell(w, event_text(w, ev));
	if (vigil_options.json && (!held || w->by_lines))
		tell(w, event_line(w, ev, EVENT_NO_VERDICT));
	if (w->end)
		return;
	if (held && w->by_lines)
		hold(w, ev->seq);
	else if (held)
		judge(w, ev);
}

static bool all_seen(const struct watcher *w)
{
	return w->opts->count && w->seen == w->opts->count;
}

static void read_events(struct watcher *w)
{
	const struct vigil_event *ev;
	int ret;

	do {
		ret = vigil_next_event(w->mon->m, &ev, 0);
		if (ret == -EAGAIN || ret == -EINTR)
			return;
		if (ret < 0)
			w->err = ret;
		if (!ret) {
			vigil_msg("the VM is gone");
			w->end = "vm";
		}
		if (ret <= 0)
			return;
		w->seen++;
		handle(w, ev);
	} while (vigil_events_ready(w->mon->m) && !w->end && !all_seen(w));
}

static void loop(struct watcher *w)
{
	while (!w->end && !w->err) {
		struct pollfd fds[3] = {
			{ .fd = w->sigfd, .events = POLLIN },
			{ .fd = all_seen(w) ? -1 : vigil_fd(w->mon->m),
			  .events = POLLIN },
			{ .fd = w->by_lines && !w->answers.eof ? STDIN_FILENO :
								 -1,
			  .events = POLLIN },
		};

		if (all_seen(w) && !w->n_held) {
			w->end = "count";
			return;
		}
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents) {
			w->end = "signal";
			return;
		}
		if (fds[2].revents)
			read_answers(w);
		if (fds[1].revents && !w->end)
			read_events(w);
	}
}

static int find_symbol(void *ctx, const char *expr, uint64_t *start,
		       uint64_t *last, char *why)
{
	const struct vigil_symbols *t = ctx;

	if (vigil_symbols_parse(t, expr, start)) {
		snprintf(why, WHEN_ROOM, "%s", vigil_error());
		return -1;
	}
	*last = *start + vigil_symbols_len(t, *start) - 1;
	return 0;
}

/* Turns the texts of a range's conditions into what the kernel takes, or says why not. */
static int add_conditions(struct watcher *w, struct watch_range *r,
			  struct vigil_condition *c)
{
	const struct when_list *when = r->when;
	char why[WHEN_ROOM];
	unsigned int i;

	w->told = true;
	for (i = 0; i < when->n; i++)
		if (when_parse(when->text[i], find_symbol, (void *)w->t, &c[i],
			       why)) {
			vigil_msg("--when '%s': %s", when->text[i], why);
			return -EINVAL;
		}
	if (when_fit(c, when->n, &r->w, why)) {
		vigil_msg("--when: %s", why);
		return -EINVAL;
	}
	w->told = false;
	r->w.conditions = (uintptr_t)c;
	r->w.nr_conditions = when->n;
	return 0;
}

static const char *unless(const struct watch_range *r)
{
	return r->when ? " where no --when decides" : "";
}

static void tell_armed(struct watcher *w, const struct watch_range *r,
		       const struct vigil_range *range)
{
	w->armed = true;
	if (vigil_options.json)
		tell(w, record_armed(w->mon, range, r->symbol));
	else if (range->kind == VIGIL_WATCH_CONTROL)
		fprintf(stderr, "watching control %s, action %s%s\n",
			control_name(range->start),
			record_action(range->action), unless(r));
	else
		fprintf(stderr,
			"watching %llu byte%s at %s%s%s%#llx, action %s%s\n",
			(unsigned long long)range->len,
			range->len == 1 ? "" : "s", r->symbol ? r->symbol : "",
			r->symbol ? " = " : "",
			r->symbol && range->kind == VIGIL_WATCH_GPA ? "gpa " :
								      "",
			(unsigned long long)range->start,
			record_action(range->action), unless(r));
}

static bool tests_value(const struct vigil_range *range)
{
	const struct vigil_condition *c =
		(const void *)(uintptr_t)range->conditions;

	for (uint32_t i = 0; i < range->nr_conditions; i++)
		if (c[i].tests & VIGIL_COND_VALUE)
			return true;
	return false;
}

/*
 * The kernel has its memory once more elsewhere, so what a symbol names is also watched
 * where it is now, page by page. What is not mapped is nowhere. A condition about the first
 * bytes is not one about those of another page.
 */
static int arm_aliases(struct watcher *w, const struct watch_range *r)
{
	struct vigil_range piece = r->w;
	uint64_t done, left;
	int ret = 0;

	piece.kind = VIGIL_WATCH_GPA;
	piece.cr3 = 0;
	for (done = 0; !ret && !w->end && done < r->w.len; done += piece.len) {
		if (done && tests_value(&r->w))
			break;
		if (vigil_translate(w->mon->m, r->w.cr3, r->w.start + done,
				    &piece.start, &left)) {
			piece.len = PAGE - (r->w.start + done) % PAGE;
			continue;
		}
		piece.len = r->w.len - done < left ? r->w.len - done : left;
		ret = vigil_watch_add(w->mon->m, &piece, sizeof(piece));
		if (!ret)
			tell_armed(w, r, &piece);
	}
	return ret;
}

static int arm(struct watcher *w)
{
	struct vigil_condition c[VIGIL_MAX_CONDITIONS];
	uint64_t start;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && !w->end && i < w->opts->n; i++) {
		struct watch_range *r = &w->opts->range[i];

		r->w.cookie = i;
		start = r->w.start;
		if (r->symbol)
			ret = vigil_symbols_parse(w->t, r->symbol, &start);
		r->w.start = start;
		if (!ret && r->when)
			ret = add_conditions(w, r, c);
		if (!ret)
			ret = vigil_watch_add(w->mon->m, &r->w, sizeof(r->w));
		if (ret)
			break;
		tell_armed(w, r, &r->w);
		if (r->symbol)
			ret = arm_aliases(w, r);
	}
	return ret;
}

/* The monitor is detached, so nothing is protected any more: say so. */
static int finish(struct watcher *w)
{
	int code = VIGIL_EX_OK;

	if (w->err)
		code = w->told ? VIGIL_EX_FAIL : mon_exit_code(w->err);
	if (w->out.unseen)
		vigil_msg("%lu event%s or notice%s could not be shown: %s",
			  w->out.unseen, w->out.unseen == 1 ? "" : "s",
			  w->out.unseen == 1 ? "" : "s", strerror(w->out.err));
	if (w->armed && (w->err || w->out.err) &&
	    strcmp(w->end ?: "error", "vm"))
		vigil_msg(
			"the watches have ended: nothing is protected any more");
	if (w->out.err && !code)
		code = VIGIL_EX_OUTPUT;
	return code;
}

int watch_run(const struct watch_opts *opts, struct mon *mon,
	      const struct vigil_symbols *t, int sigfd)
{
	static struct watcher w;
	unsigned int i;

	w.opts = opts;
	w.mon = mon;
	w.t = t;
	w.sigfd = sigfd;
	w.out.fd = STDOUT_FILENO;
	w.out.sigfd = sigfd;
	for (i = 0; i < opts->n; i++)
		if (watch_asks(&opts->range[i]))
			w.by_lines = vigil_options.json && !opts->exec;
	w.err = arm(&w);
	if (!w.err && opts->resume)
		w.err = vigil_resume(mon->m);
	if (!w.err)
		loop(&w);
	mon_detach(mon);
	if (vigil_options.json && w.armed)
		tell(&w, record_ended(mon, w.end ?: "error"));
	free(w.held);
	return finish(&w);
}
