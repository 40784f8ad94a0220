// SPDX-License-Identifier: GPL-2.0
/* vigil symbols VM: the running guest kernel's symbols. */
#include <errno.h>
#include <fnmatch.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "mon.h"

struct args {
	const char *vm, *file;
	char **names, **define;
	unsigned int n, n_define;
};

static const struct argp_option options[] = {
	{ "symbols", 's', "FILE", 0,
	  "Take them from a System.map, a dump of /proc/kallsyms or an ELF vmlinux, moved to "
	  "where KASLR put the running kernel",
	  0 },
	{ "define", 'd', "NAME=ADDR", 0,
	  "Add a symbol, or replace one, at a hexadecimal address; may be repeated",
	  0 },
	{ 0 }
};

static void add_definition(struct args *args, char *arg,
			   struct argp_state *state)
{
	args->define = reallocarray(args->define, args->n_define + 1,
				    sizeof(*args->define));
	if (!args->define)
		argp_failure(state, VIGIL_EX_OS, 0, "out of memory");
	args->define[args->n_define++] = arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 's':
		args->file = arg;
		return 0;
	case 'd':
		add_definition(args, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		if (!args->vm)
			break;
		/* The NAMEs are the rest of the line. */
		args->names = state->argv + state->next - 1;
		args->n = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	}
	return vigil_parse_vm(key, arg, state, &args->vm);
}

/* Addresses of a 32-bit kernel have 8 digits, as in its own /proc/kallsyms. */
static int digits(const struct vigil_symbols *t)
{
	size_t n = vigil_symbols_count(t);
	struct vigil_symbol last;

	return n && !vigil_symbols_get(t, n - 1, &last, sizeof(last)) &&
			       last.addr > UINT32_MAX ?
		       16 :
		       8;
}

static void show(const struct vigil_symbols *t, const struct vigil_symbol *s,
		 struct json_object *all)
{
	struct json_object *o;
	char text[32];

	if (!all) {
		printf("%0*llx %c %s%s%s%s\n", digits(t),
		       (unsigned long long)s->addr, s->type, s->name,
		       s->module ? "\t[" : "", s->module ? s->module : "",
		       s->module ? "]" : "");
		return;
	}
	o = json_object_new_object();
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)s->addr);
	json_object_object_add(o, "address", json_object_new_string(text));
	snprintf(text, sizeof(text), "%c", s->type);
	json_object_object_add(o, "type", json_object_new_string(text));
	json_object_object_add(o, "name", json_object_new_string(s->name));
	json_object_object_add(
		o, "length",
		json_object_new_int64(vigil_symbols_len(t, s->addr)));
	if (s->module)
		json_object_object_add(o, "module",
				       json_object_new_string(s->module));
	json_object_array_add(all, o);
}

/* Shows the symbols that match, or all. Return: did each NAME match one? */
static bool show_matching(const struct vigil_symbols *t,
			  const struct args *args)
{
	struct json_object *all = vigil_options.json ? json_object_new_array() :
						       NULL;
	bool *hit = calloc(args->n + 1, sizeof(*hit)), ok = true;
	struct vigil_symbol s;
	size_t i;

	for (i = 0; hit && !vigil_symbols_get(t, i, &s, sizeof(s)); i++) {
		bool match = !args->n;

		for (unsigned int k = 0; k < args->n; k++) {
			if (!fnmatch(args->names[k], s.name, 0)) {
				hit[k] = true;
				match = true;
			}
		}
		if (match)
			show(t, &s, all);
	}
	for (unsigned int k = 0; hit && k < args->n; k++) {
		if (!hit[k]) {
			vigil_msg("no symbol `%s' in %s", args->names[k],
				  vigil_symbols_origin(t));
			ok = false;
		}
	}
	if (all) {
		puts(json_object_to_json_string_ext(all,
						    JSON_C_TO_STRING_PRETTY));
		json_object_put(all);
	}
	free(hit);
	return ok;
}

int vigil_cmd_symbols(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "VM [NAME...]",
		.doc = "Show the symbols of the Linux kernel that runs in a VM, at the addresses "
		       "where they are now. They are found in the guest's memory, so no file is "
		       "needed. NAMEs may be shell patterns. What a guest controls is printed in "
		       "ASCII: other bytes as \\xNN, a backslash as two.",
		.children = vigil_common_children,
	};
	struct vigil_symbols *t;
	struct args args = { 0 };
	struct mon mon;
	bool ok;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, args.vm, VIGIL_MONITOR_READ);
	if (ret)
		return mon_exit_code(ret);
	ret = vigil_symbols_load(&t, mon.m, args.file);
	mon_detach(&mon);
	for (unsigned int i = 0; !ret && i < args.n_define; i++) {
		ret = vigil_symbols_define(t, args.define[i]);
		if (ret == -EINVAL) {
			vigil_msg("%s", vigil_error());
			return VIGIL_EX_USAGE;
		}
	}
	free(args.define);
	if (ret) {
		mon_exit_code(ret);
		return args.file ? VIGIL_EX_INPUT : VIGIL_EX_FAIL;
	}
	if (vigil_options.verbose && vigil_symbols_slide(t))
		vigil_msg("moved by %#llx (KASLR)",
			  (unsigned long long)vigil_symbols_slide(t));
	if (vigil_symbols_unmoved(t))
		vigil_msg("%s does not tell where KASLR put the kernel: its "
			  "addresses are taken as they stand",
			  args.file);
	if (vigil_options.verbose)
		vigil_msg("%zu symbols from %s", vigil_symbols_count(t),
			  vigil_symbols_origin(t));
	ok = show_matching(t, &args);
	vigil_symbols_free(t);
	return ok ? VIGIL_EX_OK : VIGIL_EX_FAIL;
}
