// SPDX-License-Identifier: GPL-2.0
/* `vigil xtf': runs the images of the Xen Test Framework. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "libvm.h"
#include "xtf.h"

#define LIMIT_DEFAULT 60
#define MAX_WANTED 256

static const char *const names[] = {
	[XTF_SUCCESS] = "success", [XTF_SKIP] = "skip",
	[XTF_ERROR] = "error",	   [XTF_FAILURE] = "failure",
	[XTF_CRASH] = "crash",	   [XTF_TIMEOUT] = "timeout",
};

enum { OPT_PAGING = 0x100, OPT_LIST };

static const struct argp_option options[] = {
	{ "test", 't', "NAME", 0,
	  "Only this test (invlpg) or image (hvm64-invlpg); may be repeated",
	  0 },
	{ "paging", OPT_PAGING, "shadow", 0,
	  "How the guest's memory is virtualised; vigil has shadow paging only",
	  0 },
	{ "time-limit", 'T', "SECONDS", 0,
	  "When a test counts as hung, and is ended (default 60)", 0 },
	{ "list", OPT_LIST, NULL, 0, "Only name the images", 0 },
	{ 0 }
};

struct args {
	const char *dir, *wanted[MAX_WANTED];
	size_t n_wanted;
	unsigned int limit;
	bool list;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;
	unsigned long n;
	char *end;

	switch (key) {
	case 't':
		if (a->n_wanted == MAX_WANTED)
			argp_error(state, "--test: at most %d", MAX_WANTED);
		a->wanted[a->n_wanted++] = arg;
		return 0;
	case 'T':
		n = strtoul(arg, &end, 10);
		if (*arg < '0' || *arg > '9' || *end || !n || n > 86400)
			argp_error(
				state,
				"--time-limit: `%s' is not 1 to 86400 seconds",
				arg);
		a->limit = n;
		return 0;
	case OPT_PAGING:
		if (strcmp(arg, "shadow"))
			argp_error(state,
				   "--paging: vigil has `shadow', not `%s'",
				   arg);
		return 0;
	case OPT_LIST:
		a->list = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->dir)
			argp_error(state, "`%s' is one argument too many", arg);
		a->dir = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(
			state,
			"which DIR? It is a built checkout of the Xen Test Framework");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static bool good(enum xtf_result r)
{
	return r == XTF_SUCCESS || r == XTF_SKIP;
}

/* ---- text: TAP ---- */

static void print_output(const struct xtf_test *t)
{
	const char *c;
	bool start = true;

	for (c = t->output; *c; c++) {
		if (start)
			fputs("# ", stdout);
		start = *c == '\n';
		if (*c != '\r')
			putchar(*c);
	}
	if (!start)
		putchar('\n');
}

static void print_text(const struct xtf_test *t, size_t nr)
{
	if (!good(t->result) || vigil_options.verbose)
		print_output(t);
	printf("%sok %zu - %s-%s", good(t->result) ? "" : "not ", nr, t->env,
	       t->name);
	if (t->result == XTF_SKIP)
		printf(" # SKIP %s", t->reason);
	else if (!good(t->result))
		printf(" # %s%s%s", names[t->result], t->reason[0] ? ": " : "",
		       t->reason);
	putchar('\n');
	fflush(stdout);
}

/* ---- JSON: a line for each image, and one for all ---- */

static void put_line(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(o);
}

static void print_json(const struct xtf_test *t)
{
	struct json_object *o = json_object_new_object();
	const char *const text[][2] = {
		{ "test", t->name },	     { "environment", t->env },
		{ "category", t->category }, { "result", names[t->result] },
		{ "reason", t->reason },
	};
	size_t i;

	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		json_object_object_add(o, text[i][0],
				       json_object_new_string(text[i][1]));
	json_object_object_add(o, "seconds",
			       json_object_new_double(t->seconds));
	json_object_object_add(o, "output", json_object_new_string(t->output));
	put_line(o);
}

/* ---- all of them ---- */

struct sums {
	size_t by[XTF_RESULTS];
};

static void print_sums(const struct xtf_list *list, const struct sums *s)
{
	struct json_object *o;
	size_t failed = 0;
	int i;

	for (i = XTF_ERROR; i < XTF_RESULTS; i++)
		failed += s->by[i];
	if (!vigil_options.json) {
		printf("#");
		for (i = 0; i < XTF_RESULTS; i++)
			printf("%s %s %zu", i ? "," : "", names[i], s->by[i]);
		printf("; for PV guests, left out: %zu; not built: %zu\n"
		       "%zu passed, %zu failed, %zu skipped\n",
		       list->pv, list->missing, s->by[XTF_SUCCESS], failed,
		       s->by[XTF_SKIP]);
		return;
	}
	o = json_object_new_object();
	for (i = 0; i < XTF_RESULTS; i++)
		json_object_object_add(o, names[i],
				       json_object_new_int64(s->by[i]));
	json_object_object_add(o, "pv", json_object_new_int64(list->pv));
	json_object_object_add(o, "not_built",
			       json_object_new_int64(list->missing));
	put_line(o);
}

static int run_all(struct xtf_list *list, const struct args *args)
{
	/* Otherwise the results are the progress. */
	bool tty = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO);
	struct xtf_signals signals;
	struct sums sums = { 0 };
	int ret = 0, failed = 0;
	size_t i;

	if (xtf_signals(&signals)) {
		vigil_msg("%s", lv_error());
		return VIGIL_EX_OS;
	}
	if (!vigil_options.json)
		printf("1..%zu\n", list->n);
	fflush(stdout);
	for (i = 0; i < list->n; i++) {
		struct xtf_test *t = &list->tests[i];

		if (tty)
			fprintf(stderr, "\r%zu of %zu: %s-%s \033[K", i + 1,
				list->n, t->env, t->name);
		ret = xtf_run(t, args->limit, &signals);
		if (tty)
			fputs("\r\033[K", stderr);
		if (ret)
			break;
		sums.by[t->result]++;
		failed |= !good(t->result);
		if (vigil_options.json)
			print_json(t);
		else
			print_text(t, i + 1);
		free(t->output);
		t->output = NULL;
	}
	if (ret && ret < 128)
		vigil_msg("%s: no VM could be made:\n%s", list->tests[i].image,
			  list->tests[i].output ?: "no memory");
	print_sums(list, &sums);
	return ret ?: failed ? VIGIL_EX_FAIL : VIGIL_EX_OK;
}

static int print_list(const struct xtf_list *list)
{
	struct json_object *o;
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct xtf_test *t = &list->tests[i];

		if (!vigil_options.json) {
			printf("%s-%s\t%s\n", t->env, t->name, t->category);
			continue;
		}
		o = json_object_new_object();
		json_object_object_add(o, "test",
				       json_object_new_string(t->name));
		json_object_object_add(o, "environment",
				       json_object_new_string(t->env));
		json_object_object_add(o, "category",
				       json_object_new_string(t->category));
		put_line(o);
	}
	return VIGIL_EX_OK;
}

int vigil_cmd_xtf(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "DIR",
		.doc = "Run the images of DIR, a built checkout of the Xen Test Framework, each in "
		       "a VM of its own, and print their results as TAP. Images for PV guests are "
		       "left out.\v"
		       "Exit status 0: no test failed; some may have been skipped.",
		.children = vigil_common_children,
	};
	struct args args = { .limit = LIMIT_DEFAULT };
	struct xtf_list list;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	if (xtf_scan(&list, args.dir, args.wanted, args.n_wanted)) {
		vigil_msg("%s", lv_error());
		return VIGIL_EX_INPUT;
	}
	if (!list.n) {
		vigil_msg(
			args.n_wanted ?
				"no built image has such a name; see vigil xtf --list %s" :
				"%s has no built tests: run `make' there",
			args.dir);
		ret = VIGIL_EX_INPUT;
	} else if (args.list) {
		ret = print_list(&list);
	} else {
		ret = run_all(&list, &args);
	}
	xtf_free(&list);
	return ret;
}
