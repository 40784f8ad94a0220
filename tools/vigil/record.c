// SPDX-License-Identifier: GPL-2.0
/* The records of `vigil watch --json' beside events. */
#include <json-c/json.h>
#include <stdio.h>

#include "control.h"
#include "event.h"
#include "record.h"
#include "when.h"

static void add_num(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static struct json_object *begin(const struct mon *mon, const char *record)
{
	struct json_object *o = json_object_new_object();
	uint64_t now = event_now();
	char when[64];

	add_num(o, "version", EVENT_JSON_VERSION);
	add_text(o, "record", record);
	add_text(o, "time", event_time(now, when, sizeof(when)));
	add_num(o, "time_ns", now);
	add_num(o, "vm", mon->info.id);
	return o;
}

static char *end(struct json_object *o)
{
	char *line;

	if (asprintf(&line, "%s\n",
		     json_object_to_json_string_ext(
			     o, JSON_C_TO_STRING_PLAIN)) < 0)
		line = NULL;
	json_object_put(o);
	return line;
}

const char *record_action(uint32_t action)
{
	return action == VIGIL_ACTION_LOG ? "log" :
	       action == VIGIL_ACTION_ASK ? "ask" :
					    "deny";
}

static void add_conditions(struct json_object *o, const struct vigil_range *w,
			   bool *asks)
{
	const struct vigil_condition *c = (void *)(uintptr_t)w->conditions;
	struct json_object *all;
	char text[WHEN_ROOM];

	if (!w->nr_conditions)
		return;
	all = json_object_new_array();
	for (uint32_t i = 0; i < w->nr_conditions; i++) {
		json_object_array_add(
			all, json_object_new_string(when_text(&c[i], text)));
		*asks |= c[i].action == VIGIL_ACTION_ASK;
	}
	json_object_object_add(o, "conditions", all);
}

/* VIGIL_ON_DEATH_* */
static const char *policy(uint32_t p)
{
	return p == VIGIL_ON_DEATH_ALLOW ? "allow" :
	       p == VIGIL_ON_DEATH_PAUSE ? "pause" :
					   "deny";
}

char *record_armed(const struct mon *mon, const struct vigil_range *w,
		   const char *expr)
{
	struct json_object *o = begin(mon, "armed");
	bool asks = w->action == VIGIL_ACTION_ASK;
	char text[32];

	if (*mon->info.name)
		add_text(o, "vm_name", mon->info.name);
	add_num(o, "watch", w->id);
	if (w->kind == VIGIL_WATCH_CONTROL) {
		add_text(o, "kind", "control");
		add_text(o, "control", control_name(w->start));
	} else {
		add_text(o, "kind", w->kind == VIGIL_WATCH_GPA ? "gpa" : "gva");
		if (w->cr3) {
			snprintf(text, sizeof(text), "0x%llx",
				 (unsigned long long)w->cr3);
			add_text(o, "cr3", text);
		}
		snprintf(text, sizeof(text), "0x%llx",
			 (unsigned long long)w->start);
		add_text(o, "start", text);
		if (expr)
			add_text(o, "symbol", expr);
		add_num(o, "len", w->len);
	}
	add_text(o, "action", record_action(w->action));
	add_conditions(o, w, &asks);
	if (asks)
		add_text(o, "on_death", policy(w->on_death));
	if (asks && w->timeout_ms) {
		add_num(o, "timeout_ms", w->timeout_ms);
		add_text(o, "on_timeout", policy(w->on_timeout));
	}
	return end(o);
}

char *record_lost(const struct mon *mon, uint64_t lost, uint64_t total)
{
	struct json_object *o = begin(mon, "lost");

	add_num(o, "lost", lost);
	add_num(o, "dropped", total);
	return end(o);
}

char *record_verdict(const struct mon *mon, uint64_t seq, uint32_t verdict)
{
	static const char *const results[] = {
		[VIGIL_VERDICT_ALLOW] = "allowed",
		[VIGIL_VERDICT_DENY] = "denied",
		[VIGIL_VERDICT_GP] = "faulted",
		[VIGIL_VERDICT_PF] = "faulted",
		[VIGIL_VERDICT_REPLACE] = "replaced",
		[VIGIL_VERDICT_KILL] = "killed",
		[VIGIL_VERDICT_PAUSE] = "paused",
	};
	struct json_object *o = begin(mon, "verdict");

	add_num(o, "seq", seq);
	add_text(o, "result", results[verdict]);
	return end(o);
}

char *record_ended(const struct mon *mon, const char *reason)
{
	struct json_object *o = begin(mon, "ended");

	add_text(o, "reason", reason);
	return end(o);
}
