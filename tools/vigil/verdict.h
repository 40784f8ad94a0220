/* SPDX-License-Identifier: GPL-2.0 */
/* Who decides about a held write: a person here, a program in judge.h. */
#ifndef VIGIL_VERDICT_H
#define VIGIL_VERDICT_H

#include <stdbool.h>

#include "libvigil.h"
#include "vigil.h"

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_QUIT };

#define PROMPT_VCPUS 64

/**
 * struct prompt - what a person answered so far
 * @all: all further writes are allowed
 * @last: of each vCPU (its number modulo PROMPT_VCPUS): its newest event
 * @answer: of each vCPU: what was decided about the instruction of @last
 * @answered: of each vCPU: @answer is set
 */
struct prompt {
	bool all;
	struct vigil_event last[PROMPT_VCPUS];
	enum verdict answer[PROMPT_VCPUS];
	bool answered[PROMPT_VCPUS];
};

/* Must be called for every event, held or not, before it is decided. */
void prompt_see(struct prompt *p, const struct vigil_event *ev);

/**
 * verdict_ask() - ask on the terminal
 * @p: earlier answers
 * @ev: the held write
 * @sigfd: a signalfd: VERDICT_QUIT when it has something
 *
 * One answer serves all stores of one instruction. What was typed before the
 * question is no answer to it. End of file is a refusal.
 */
enum verdict verdict_ask(struct prompt *p, const struct vigil_event *ev,
			 int sigfd);

/* allow, deny, gp, pf, replace, kill, pause. False: it is none of these. */
bool verdict_parse(const char *word, uint32_t *verdict);

/**
 * struct answer - a verdict that a line has given
 * @seq: of the event
 * @verdict: VIGIL_VERDICT_*
 * @len: of @data, with VIGIL_VERDICT_REPLACE
 * @data: the bytes
 */
struct answer {
	uint64_t seq;
	uint32_t verdict;
	uint32_t len;
	uint8_t data[VIGIL_EVENT_DATA];
};

/**
 * struct answers - verdicts as lines of JSON on standard input
 * @line: what was read of a line that has not ended
 * @used: bytes in @line
 * @skip: the rest of a line that is too long is left out
 * @eof: there will be none any more
 */
struct answers {
	char line[1024];
	size_t used;
	bool skip, eof;
};

/**
 * answers_read() - read what is there, without waiting when poll() says so
 * @a: what was read before
 * @each: is told each verdict
 * @ctx: first argument of @each
 *
 * What is no verdict is mentioned on stderr, and decides nothing.
 */
void answers_read(struct answers *a,
		  void (*each)(void *ctx, const struct answer *a), void *ctx);

#endif
