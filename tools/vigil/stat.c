// SPDX-License-Identifier: GPL-2.0
/* vigil stat VM: what the hypervisor counted. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "mon.h"

struct args {
	const char *vm;
	bool all;
};

static const struct argp_option options[] = {
	{ "all", 'a', NULL, 0, "Counters that are zero, too", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key != 'a')
		return vigil_parse_vm(key, arg, state, &args->vm);
	args->all = true;
	return 0;
}

static void print_json(const struct vigil_counter *stats, int n)
{
	struct json_object *o = json_object_new_object();

	for (int i = 0; i < n; i++)
		json_object_object_add(o, stats[i].name,
				       json_object_new_int64(stats[i].value));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
	json_object_put(o);
}

int vigil_cmd_stat(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "VM",
		.doc = "Show the counters of a VM, all vCPUs added up: exits by reason, shadow "
		       "faults, flushes, watch hits. VM is a number or a name.",
		.children = vigil_common_children,
	};
	struct args args = { 0 };
	struct vigil_counter *stats;
	struct mon mon;
	int n;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	n = mon_attach(&mon, args.vm, VIGIL_MONITOR_READ);
	if (n)
		return mon_exit_code(n);
	n = vigil_get_counters(mon.m, &stats, sizeof(*stats));
	mon_detach(&mon);
	if (n < 0)
		return mon_exit_code(n);
	if (vigil_options.json)
		print_json(stats, n);
	for (int i = 0; !vigil_options.json && i < n; i++)
		if (stats[i].value || args.all)
			printf("%-20s %14llu\n", stats[i].name,
			       (unsigned long long)stats[i].value);
	free(stats);
	return VIGIL_EX_OK;
}
