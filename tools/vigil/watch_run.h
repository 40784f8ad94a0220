/* SPDX-License-Identifier: GPL-2.0 */
/* The life of `vigil watch' once its command line is understood. */
#ifndef VIGIL_WATCH_RUN_H
#define VIGIL_WATCH_RUN_H

#include <stdbool.h>

#include "mon.h"

/**
 * struct when_list - conditions of one or several ranges
 * @next: the list of other ranges
 * @text: each as it was written
 * @n: how many there are in @text
 * @asks: one of them asks
 */
struct when_list {
	struct when_list *next;
	const char *text[VIGIL_MAX_CONDITIONS];
	unsigned int n;
	bool asks;
};

/**
 * struct watch_range - what is to be watched
 * @symbol: where it starts; or NULL: @w.start and @w.kind are set
 * @w: for libvigil, but for its conditions
 * @when: its conditions, or NULL
 * @len_set: @w.len was said for this range
 * @action_set: @w.action was said for this range
 */
struct watch_range {
	const char *symbol;
	struct vigil_range w;
	const struct when_list *when;
	bool len_set, action_set;
};

/**
 * struct watch_opts - how
 * @range: what is watched
 * @n: how many there are in @range
 * @exec: the command that decides about held writes, or NULL
 * @exec_timeout: seconds that it may take; 0: any time
 * @refuse: VIGIL_VERDICT_*: how a person or @exec refuses
 * @count: end after so many events; 0: never
 * @resume: when the watches are armed, vCPUs that are paused go on
 * @stop: end when standard output fails, instead of watching on unheard
 */
struct watch_opts {
	struct watch_range *range;
	unsigned int n;
	const char *exec;
	unsigned int exec_timeout;
	uint32_t refuse;
	unsigned long count;
	bool stop, resume;
};

/* Can a write to the range be held? */
static inline bool watch_asks(const struct watch_range *r)
{
	return r->w.action == VIGIL_ACTION_ASK || (r->when && r->when->asks);
}

/**
 * watch_run() - set the watches, tell and decide until the end
 * @opts: the command line
 * @mon: an attached monitor
 * @t: symbols; may be empty
 * @sigfd: a signalfd: the end, when it has something
 *
 * Detaches @mon. Return: an exit code; what there is to say was said.
 */
int watch_run(const struct watch_opts *opts, struct mon *mon,
	      const struct vigil_symbols *t, int sigfd);

#endif
