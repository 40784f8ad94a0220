// SPDX-License-Identifier: GPL-2.0
/* vigil symbols VM: the running guest kernel's symbols. */
#include <errno.h>
#include <fnmatch.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "libvm.h"
#include "symtab.h"

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
static int digits(const struct symtab *t)
{
	return t->n && t->sym[t->n - 1].addr > UINT32_MAX ? 16 : 8;
}

static void show(const struct symtab *t, const struct symbol *s,
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
	json_object_object_add(o, "length",
			       json_object_new_int64(symtab_len(t, s->addr)));
	if (s->module)
		json_object_object_add(o, "module",
				       json_object_new_string(s->module));
	json_object_array_add(all, o);
}

/* Shows the symbols that match, or all. Return: did each NAME match one? */
static bool show_matching(const struct symtab *t, const struct args *args)
{
	struct json_object *all = vigil_options.json ? json_object_new_array() :
						       NULL;
	bool *hit = calloc(args->n + 1, sizeof(*hit)), ok = true;
	size_t i;

	for (i = 0; hit && i < t->n; i++) {
		bool match = !args->n;

		for (unsigned int k = 0; k < args->n; k++) {
			if (!fnmatch(args->names[k], t->sym[i].name, 0)) {
				hit[k] = true;
				match = true;
			}
		}
		if (match)
			show(t, &t->sym[i], all);
	}
	for (unsigned int k = 0; hit && k < args->n; k++) {
		if (!hit[k]) {
			vigil_msg("no symbol `%s' in %s", args->names[k],
				  t->origin);
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
	struct symtab t = { 0 };
	struct args args = { 0 };
	struct mon mon;
	bool ok;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach_read(&mon, args.vm);
	if (ret)
		return mon_exit_code(ret);
	ret = symtab_load(&t, &mon, args.file);
	mon_detach(&mon);
	for (unsigned int i = 0; !ret && i < args.n_define; i++) {
		ret = symtab_define(&t, args.define[i]);
		if (ret == -EINVAL) {
			vigil_msg("%s", lv_error());
			return VIGIL_EX_USAGE;
		}
	}
	free(args.define);
	if (ret) {
		mon_exit_code(ret);
		return args.file ? VIGIL_EX_INPUT : VIGIL_EX_FAIL;
	}
	if (vigil_options.verbose && t.slide)
		vigil_msg("moved by %#llx (KASLR)",
			  (unsigned long long)t.slide);
	if (t.unmoved)
		vigil_msg("%s does not tell where KASLR put the kernel: its "
			  "addresses are taken as they stand",
			  args.file);
	if (vigil_options.verbose)
		vigil_msg("%zu symbols from %s", t.n, t.origin);
	ok = show_matching(&t, &args);
	symtab_free(&t);
	return ok ? VIGIL_EX_OK : VIGIL_EX_FAIL;
}
