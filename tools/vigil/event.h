/* SPDX-License-Identifier: GPL-2.0 */
/* Events of a monitor as text and as JSON. */
#ifndef VIGIL_EVENT_H
#define VIGIL_EVENT_H

#include <stdio.h>

#include "control.h"
#include "libvigil.h"
#include "vigil.h"

/* The decision about a held write. */
enum event_verdict { EVENT_NO_VERDICT, EVENT_ALLOWED, EVENT_REFUSED };

/* Version of the records that Documentation/json.rst describes. */
#define EVENT_JSON_VERSION 1

/* Returns CLOCK_MONOTONIC in nanoseconds, the clock of events. */
uint64_t event_now(void);

/*
 * Formats a time as local time in ISO 8601 with microseconds and zone. In one
 * process a later @mono_ns never gives an earlier time, even if the host's
 * clock is set.
 */
const char *event_time(uint64_t mono_ns, char *buf, size_t len);

/*
 * Disassembles the instruction, as in "mov qword ptr [rbx], rax"; "" where that
 * is not possible.
 */
const char *event_disassemble(const struct vigil_event *ev, char *buf,
			      size_t len);

/* Prints a few lines for people. @t and @all may be NULL. */
void event_print(FILE *out, const struct vigil_event *ev,
		 const struct vigil_symbols *t, const struct control_all *all);

/* Returns one JSON object without a newline, to be freed. @t and @all may be NULL. */
char *event_json(const struct vigil_event *ev, const struct vigil_symbols *t,
		 const struct control_all *all, enum event_verdict verdict);

#endif
