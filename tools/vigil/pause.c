// SPDX-License-Identifier: GPL-2.0
/* vigil pause VM, vigil resume VM: a guest that stands still. */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>

#include "command.h"
#include "mon.h"
#include "number.h"

struct args {
	const char *vm;
	unsigned int vcpu;
};

static const struct argp_option options[] = {
	{ "vcpu", 'n', "N", 0, "Only this vCPU (default: all)", 0 },
	{ 0 }
};

static error_t parse_pause(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	uint64_t n;

	if (key != 'n')
		return vigil_parse_vm(key, arg, state, &args->vm);
	if (number_count(arg, &n) || n >= UINT_MAX)
		argp_error(state, "--vcpu is the number of a vCPU");
	args->vcpu = n;
	return 0;
}

static error_t parse_resume(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	return vigil_parse_vm(key, arg, state, &args->vm);
}

static void say(const struct mon *mon, const struct args *args, bool paused)
{
	struct json_object *o;

	if (!vigil_options.json)
		return;
	o = json_object_new_object();
	json_object_object_add(o, "vm", json_object_new_int64(mon->info.id));
	if (args->vcpu != VIGIL_ALL_VCPUS)
		json_object_object_add(o, "vcpu",
				       json_object_new_int64(args->vcpu));
	json_object_object_add(o, "paused", json_object_new_boolean(paused));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

static int pause_or_resume(const struct argp *argp, int argc, char **argv,
			   bool pause)
{
	struct args args = { .vcpu = VIGIL_ALL_VCPUS };
	struct mon mon;
	int ret;

	if (argp_parse(argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, args.vm, 0);
	if (ret)
		return mon_exit_code(ret);
	ret = pause ? vigil_pause(mon.m, args.vcpu, VIGIL_KEEP_PAUSED) :
		      vigil_resume(mon.m);
	if (!ret)
		say(&mon, &args, pause);
	mon_detach(&mon);
	return ret ? mon_exit_code(ret) : VIGIL_EX_OK;
}

int vigil_cmd_pause(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_pause,
		.args_doc = "VM",
		.doc = "Have a guest stand still until `vigil resume'. When the command ends, "
		       "the guest executes nothing any more.",
		.children = vigil_common_children,
	};

	return pause_or_resume(&argp, argc, argv, true);
}

int vigil_cmd_resume(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_resume,
		.args_doc = "VM",
		.doc = "Go on with all vCPUs of a guest that `vigil pause' or `vigil watch "
		       "--on-death pause' has left waiting.",
		.children = vigil_common_children,
	};

	return pause_or_resume(&argp, argc, argv, false);
}
