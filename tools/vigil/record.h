/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The records of `vigil watch --json' beside events (event.h), as
 * Documentation/json.rst describes them. Each function returns one object and a
 * newline, to be freed, or NULL without memory.
 */
#ifndef VIGIL_RECORD_H
#define VIGIL_RECORD_H

#include "mon.h"

/* @w is in force from now on. @expr: the symbol that was asked for, or NULL. */
char *record_armed(const struct mon *mon, const struct vigil_range *w,
		   const char *expr);

/* @lost more events were dropped, @total so far. */
char *record_lost(const struct mon *mon, uint64_t lost, uint64_t total);

/* A held write was decided. */
char *record_verdict(const struct mon *mon, uint64_t seq, uint32_t verdict);

/* Nothing is watched any more, and why: "vm", "signal", "count", "error". */
char *record_ended(const struct mon *mon, const char *reason);

/* "log", "ask" or "deny". */
const char *record_action(uint32_t action);

#endif
