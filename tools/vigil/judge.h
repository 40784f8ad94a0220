/* SPDX-License-Identifier: GPL-2.0 */
/* A program that decides about held writes. */
#ifndef VIGIL_JUDGE_H
#define VIGIL_JUDGE_H

#include "control.h"
#include "verdict.h"

/**
 * judge_exec() - let a shell command decide
 * @cmd: gets the event as JSON on stdin, and in VIGIL_* of its environment
 * @timeout_s: it is ended and the write is refused after so long; 0: never
 * @ev: the held write
 * @t: symbols, for the text of the event
 * @all: the whole of a change, for the text as well; or NULL
 * @sigfd: a signalfd: VERDICT_QUIT when it has something
 *
 * Exit status 0 allows; everything else refuses, and a status other than 1 is
 * mentioned. The command and what it started end with this process, however
 * this process ends.
 */
enum verdict judge_exec(const char *cmd, unsigned int timeout_s,
			const struct vigil_event *ev,
			const struct vigil_symbols *t,
			const struct control_all *all, int sigfd);

#endif
