/* SPDX-License-Identifier: GPL-2.0 */
/* Controls that a monitor watches, and the events of them as text and as JSON. */
#ifndef VIGIL_CONTROL_H
#define VIGIL_CONTROL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "libvigil.h"
#include "vigil.h"

#define CONTROL_MAX_TRAPS 256

/**
 * struct control_all - what a held change would change, all of it
 * @n: vectors; 0: the event has them all
 * @trap: as they would be
 */
struct control_all {
	unsigned int n;
	struct vigil_pv_trap trap[CONTROL_MAX_TRAPS];
};

/*
 * "trap-table", "msr:LSTAR", "call:17"...: of the start of a watch. NULL: it has no name.
 * The text holds until the next call.
 */
const char *control_name(uint64_t start);
/* The same of an event. */
const char *control_of_event(const struct vigil_event *ev);
/* Is it a register of the CPU, and not about hypercalls? Of a start, or an event's control. */
bool control_is_register(uint64_t start);
/* False: there is no such control. */
bool control_parse(const char *name, uint64_t *nr);

/* Does the event have fewer vectors than would change? */
bool control_is_cut(const struct vigil_event *ev);

/* Prints what the guest does, as in "set_trap_table changes 2 vectors". */
void control_title(FILE *out, const struct vigil_event *ev);
/* Prints a line for each change. @all may be NULL. */
void control_print(FILE *out, const struct vigil_event *ev,
		   const struct control_all *all,
		   const struct vigil_symbols *t);
/* Adds the fields that only such events have. @all may be NULL. */
void control_json(struct json_object *o, const struct vigil_event *ev,
		  const struct control_all *all, const struct vigil_symbols *t);

#endif
