/* SPDX-License-Identifier: GPL-2.0 */
/* Events of a monitor as text and as JSON. */
#ifndef VIGIL_EVENT_H
#define VIGIL_EVENT_H

#include <stdio.h>

#include "symtab.h"
#include "vigil.h"

/* What became of a write that was held. */
enum event_verdict { EVENT_NO_VERDICT, EVENT_ALLOWED, EVENT_REFUSED };

/* Of the records that Documentation/json.rst describes. */
#define EVENT_JSON_VERSION 1

/* CLOCK_MONOTONIC, which events tell, in nanoseconds. */
uint64_t event_now(void);

/*
 * Local time of day in ISO 8601, microseconds and zone in it. In one process
 * later @mono_ns are never earlier times, whatever is done to the host's clock.
 */
const char *event_time(uint64_t mono_ns, char *buf, size_t len);

/* "mov qword ptr [rbx], rax", or "" where it cannot be told. */
const char *event_disassemble(const struct vigil_event *ev, char *buf,
			      size_t len);

/* A few lines for people. @t may be NULL. */
void event_print(FILE *out, const struct vigil_event *ev,
		 const struct symtab *t);

/* One object without a newline; to be freed. @t may be NULL. */
char *event_json(const struct vigil_event *ev, const struct symtab *t,
		 enum event_verdict verdict);

#endif
