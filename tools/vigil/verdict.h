/* SPDX-License-Identifier: GPL-2.0 */
/* Who decides about a held write: a person, or a program. */
#ifndef VIGIL_VERDICT_H
#define VIGIL_VERDICT_H

#include "symtab.h"
#include "vigil.h"

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_QUIT };

/**
 * verdict_ask() - ask on the terminal
 * @sigfd: a signalfd: VERDICT_QUIT when it has something
 *
 * End of file is a refusal.
 */
enum verdict verdict_ask(int sigfd);

/**
 * verdict_exec() - let a shell command decide
 * @cmd: gets the event as JSON on stdin, and in VIGIL_* of its environment
 *
 * Exit status 0 allows; everything else refuses, and a status other than 1 is
 * mentioned.
 */
enum verdict verdict_exec(const char *cmd, const struct vigil_event *ev,
			  const struct symtab *t, int sigfd);

#endif
