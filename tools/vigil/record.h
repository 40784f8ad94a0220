/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `vigil watch --json' tells beside events (event.h), as
 * Documentation/json.rst describes it. Each returns one object and a newline, to
 * be freed, or NULL when memory is out.
 */
#ifndef VIGIL_RECORD_H
#define VIGIL_RECORD_H

#include "mon.h"

/* From now on @w is in force. @expr: the symbol that was asked for, or NULL. */
char *record_armed(const struct mon *mon, const struct vigil_watch *w,
		   const char *expr);

/* @lost more events were dropped, @total so far. */
char *record_lost(const struct mon *mon, uint64_t lost, uint64_t total);

/* A held write was decided. */
char *record_verdict(const struct mon *mon, uint64_t seq, bool allow);

/* Nothing is watched any more, and why: "vm", "signal", "count", "quit", "error". */
char *record_ended(const struct mon *mon, const char *reason);

/* "log", "ask" or "deny". */
const char *record_action(uint32_t action);

#endif
