// SPDX-License-Identifier: GPL-2.0
/* vigil list: the VMs that this user may attach to. */
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "mon.h"

static double age(const struct vigil_vm_desc *vm)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec + now.tv_nsec / 1e9 - vm->start_ns / 1e9;
}

static void print_table(const struct vigil_vm_desc *vm, int n)
{
	int i;

	printf("%4s  %-16s %7s %-8s %5s %8s %8s  %s\n", "ID", "NAME", "PID",
	       "OWNER", "VCPUS", "MEMORY", "AGE", "STATE");
	for (i = 0; i < n; i++) {
		struct passwd *pw = getpwuid(vm[i].uid);
		char owner[32], mem[32], since[32];
		char name[VIGIL_QUOTE_ROOM(VIGIL_NAME_ROOM)], watched[32] = "";

		if (pw)
			snprintf(owner, sizeof(owner), "%s", pw->pw_name);
		else
			snprintf(owner, sizeof(owner), "%u", vm[i].uid);
		snprintf(mem, sizeof(mem), "%lluM",
			 (unsigned long long)vm[i].mem_bytes >> 20);
		snprintf(since, sizeof(since), "%.0fs", age(&vm[i]));
		if (vm[i].nr_monitors > 1)
			snprintf(watched, sizeof(watched), ", watched by %u",
				 vm[i].nr_monitors);
		printf("%4u  %-16s %7u %-8s %5u %8s %8s  %s%s\n", vm[i].id,
		       *vm[i].name ?
			       vigil_quote(vm[i].name, name, sizeof(name)) :
			       "-",
		       vm[i].pid, owner, vm[i].nr_vcpus, mem, since,
		       vm[i].flags & VIGIL_DESC_DEAD ? "dead" : "alive",
		       vm[i].nr_monitors == 1 ? ", watched" : watched);
	}
}

static void print_json(const struct vigil_vm_desc *vm, int n)
{
	struct json_object *all = json_object_new_array();
	int i;

	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();
		char name[VIGIL_QUOTE_ROOM(VIGIL_NAME_ROOM)];

		json_object_object_add(o, "id",
				       json_object_new_int64(vm[i].id));
		json_object_object_add(
			o, "name",
			json_object_new_string(
				vigil_quote(vm[i].name, name, sizeof(name))));
		json_object_object_add(o, "pid",
				       json_object_new_int64(vm[i].pid));
		json_object_object_add(o, "uid",
				       json_object_new_int64(vm[i].uid));
		json_object_object_add(o, "vcpus",
				       json_object_new_int64(vm[i].nr_vcpus));
		json_object_object_add(o, "mem_bytes",
				       json_object_new_int64(vm[i].mem_bytes));
		json_object_object_add(o, "age_s",
				       json_object_new_double(age(&vm[i])));
		json_object_object_add(
			o, "monitors",
			json_object_new_int64(vm[i].nr_monitors));
		json_object_object_add(
			o, "dead",
			json_object_new_boolean(vm[i].flags & VIGIL_DESC_DEAD));
		json_object_array_add(all, o);
	}
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "`%s' is one argument too many", arg);
	return 0;
}

int vigil_cmd_list(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.doc = "List the VMs that you may attach to: your own, or all for root.",
		.children = vigil_common_children,
	};
	struct vigil_vm_desc *list;
	int n;

	if (argp_parse(&argp, argc, argv, 0, NULL, NULL))
		return VIGIL_EX_USAGE;
	n = mon_list(&list);
	if (n < 0)
		return mon_exit_code(n);
	if (vigil_options.json)
		print_json(list, n);
	else
		print_table(list, n);
	free(list);
	return VIGIL_EX_OK;
}
