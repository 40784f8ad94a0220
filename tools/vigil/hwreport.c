// SPDX-License-Identifier: GPL-2.0
/*
 * vigil hwreport: what a real host says. Runs the steps of a directory one after the
 * other and writes one text file. Nothing is sent anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "hwreport.h"

#define REPORT "vigil-hwreport.txt"
#define MAX_STEPS 32
#define LIMIT_S 600 /* of a step that names none */

static struct args {
	const char *output, *kit, *debug_module, *kernel;
	const char *only[MAX_STEPS], *without[MAX_STEPS];
	unsigned int n_only, n_without, patience;
	bool quick, no_kvm, list;
} args;

enum {
	OPT_KIT = 256,
	OPT_SKIP,
	OPT_NO_KVM,
	OPT_DEBUG,
	OPT_KERNEL,
	OPT_PATIENCE
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "The report (default: " REPORT
	  "); one that is there becomes FILE.old",
	  0 },
	{ "quick", 'q', NULL, 0, "Fewer programs and rounds", 0 },
	{ "step", 's', "NAME", 0, "Only this step; may be repeated", 0 },
	{ "skip", OPT_SKIP, "NAME", 0, "Not this step; may be repeated", 0 },
	{ "list", 'l', NULL, 0, "List the steps and their limits of time", 0 },
	{ "no-kvm", OPT_NO_KVM, NULL, 0,
	  "Leave stock KVM alone: nothing to compare with", 0 },
	{ "debug-module", OPT_DEBUG, "FILE", 0,
	  "Repeat the selftests with this debug build of the module", 0 },
	{ "kernel", OPT_KERNEL, "FILE", 0,
	  "Kernel for the Linux guest (default: the host's own)", 0 },
	{ "kit", OPT_KIT, "DIR", 0,
	  "Steps and test programs, as `make hwreport' builds them", 0 },
	{ "patience", OPT_PATIENCE, "N", 0,
	  "Multiply the limits of time by N, for a slow host", 0 },
	{ 0 }
};

static void add(const char **list, unsigned int *n, const char *name,
		struct argp_state *state)
{
	if (*n == MAX_STEPS)
		argp_error(state, "more than %d steps", MAX_STEPS);
	list[(*n)++] = name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end;
	unsigned long n;

	switch (key) {
	case 'o':
		args.output = arg;
		return 0;
	case 'q':
		args.quick = true;
		return 0;
	case 's':
		add(args.only, &args.n_only, arg, state);
		return 0;
	case OPT_SKIP:
		add(args.without, &args.n_without, arg, state);
		return 0;
	case 'l':
		args.list = true;
		return 0;
	case OPT_NO_KVM:
		args.no_kvm = true;
		return 0;
	case OPT_DEBUG:
		args.debug_module = arg;
		return 0;
	case OPT_KERNEL:
		args.kernel = arg;
		return 0;
	case OPT_KIT:
		args.kit = arg;
		return 0;
	case OPT_PATIENCE:
		n = strtoul(arg, &end, 10);
		if (*end || !n || n > 1000)
			argp_error(state, "--patience: 1 to 1000");
		args.patience = n;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* Reads "# limit: SECONDS" in the first lines of a step. */
static unsigned int limit_of(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned int limit = LIMIT_S, n;
	char line[200];

	for (int i = 0; f && i < 8 && fgets(line, sizeof(line), f); i++)
		if (sscanf(line, "# limit: %u", &n) == 1 && n && n <= 86400)
			limit = n;
	if (f)
		fclose(f);
	return limit * (args.patience ?: 1);
}

/* NN-NAME */
static int is_step(const struct dirent *d)
{
	const char *name = d->d_name;

	return name[0] >= '0' && name[0] <= '9' && name[1] >= '0' &&
	       name[1] <= '9' && name[2] == '-' && name[3] &&
	       strlen(name + 3) < HWREPORT_NAME_MAX &&
	       strspn(name + 3, "abcdefghijklmnopqrstuvwxyz-") ==
		       strlen(name + 3);
}

/* Finds the steps. Return: how many, or a negative errno. */
static int find_steps(const char *kit, struct hwreport_step *steps)
{
	struct dirent **found = NULL;
	char *dir;
	int n, i, count;

	if (asprintf(&dir, "%s/steps", kit) < 0)
		return -ENOMEM;
	n = scandir(dir, &found, is_step, alphasort);
	count = n;
	if (n < 0)
		n = -errno;
	for (i = 0; i < n; i++) {
		struct hwreport_step *s = &steps[i];

		if (i == MAX_STEPS ||
		    asprintf(&s->path, "%s/%s", dir, found[i]->d_name) < 0) {
			n = -E2BIG;
			break;
		}
		snprintf(s->name, sizeof(s->name), "%s", found[i]->d_name + 3);
		s->limit_s = limit_of(s->path);
	}
	while (count > 0)
		free(found[--count]);
	free(found);
	free(dir);
	return n;
}

static bool in_list(const char *name, const char *const *list, unsigned int n)
{
	while (n--)
		if (!strcmp(list[n], name))
			return true;
	return false;
}

/* Drops the steps that the command line does not want. */
static int choose(struct hwreport_step *steps, int n)
{
	const char *names[MAX_STEPS];
	int i, kept = 0;

	for (i = 0; i < n; i++)
		names[i] = steps[i].name;
	for (i = 0; i < (int)(args.n_only + args.n_without); i++) {
		const char *name = i < (int)args.n_only ?
					   args.only[i] :
					   args.without[i - args.n_only];

		if (!in_list(name, names, n)) {
			vigil_msg(
				"there is no step `%s' (vigil hwreport --list)",
				name);
			while (n)
				free(steps[--n].path);
			return -1;
		}
	}
	for (i = 0; i < n; i++)
		if ((!args.n_only ||
		     in_list(steps[i].name, args.only, args.n_only)) &&
		    !in_list(steps[i].name, args.without, args.n_without))
			steps[kept++] = steps[i];
		else
			free(steps[i].path);
	return kept;
}

/* The kit beside an installed vigil, or in the tree that it was built in. */
static char *find_kit(char *self)
{
	static const char *const places[] = { "../lib/vigil/hwreport",
					      "../../build/hwreport" };
	char *copy = strdup(self), *kit = NULL, *whole = NULL;

	for (size_t i = 0; copy && i < 2 && !whole; i++) {
		if (asprintf(&kit, "%s/%s", dirname(copy), places[i]) < 0)
			break;
		whole = realpath(kit, NULL);
		free(kit);
		strcpy(copy, self);
	}
	free(copy);
	return whole;
}

/* The steps are programs: what they need to know is in their environment. */
static void tell_steps(const char *self, const char *kit, const char *work)
{
	const char *device = vigil_options.device ?: getenv("VIGIL_DEVICE");

	setenv("HWREPORT_VIGIL", self, 1);
	setenv("HWREPORT_KIT", kit, 1);
	setenv("HWREPORT_WORK", work, 1);
	setenv("HWREPORT_DEVICE", device ?: "/dev/vigil", 1);
	setenv("HWREPORT_QUICK", args.quick ? "1" : "", 1);
	setenv("HWREPORT_KVM", args.no_kvm ? "" : "/dev/kvm", 1);
	setenv("HWREPORT_DEBUG_MODULE", args.debug_module ?: "", 1);
	setenv("HWREPORT_KERNEL", args.kernel ?: "", 1);
}

static void tell_end(struct hwreport *r, const struct hwreport_step *step,
		     time_t began)
{
	static const char *const ends[] = { "ok", "failed", "skipped" };

	hwreport_line(r, "step %s: %s, %ld s%s%s", step->name, ends[step->end],
		      (long)(time(NULL) - began), *step->reason ? ": " : "",
		      step->reason);
}

/* The host's state is compared after each step, so that one step is to blame. */
static void compare_state(struct hwreport *r, struct hwreport_state *before,
			  struct hwreport_step *step)
{
	struct hwreport_state after;
	unsigned int n;

	if (!before->n)
		return;
	hwreport_state_take(&after);
	n = hwreport_state_compare(r, before, &after);
	hwreport_state_free(before);
	*before = after;
	if (!n)
		return;
	step->end = HWREPORT_FAILED;
	snprintf(step->reason, sizeof(step->reason),
		 "%u values of the host's state differ", n);
}

static void state_step(struct hwreport *r, struct hwreport_state *state,
		       struct hwreport_step *step, const char *name)
{
	snprintf(step->name, sizeof(step->name), "%s", name);
	hwreport_line(r, "step %s: begins", name);
	hwreport_state_take(state);
	step->end = state->n ? HWREPORT_OK : HWREPORT_SKIPPED;
	if (state->n)
		snprintf(step->reason, sizeof(step->reason),
			 "%zu values of %u CPUs", state->n, state->cpus);
	else
		snprintf(step->reason, sizeof(step->reason), "%s", state->why);
}

static int summary(struct hwreport *r, const struct hwreport_step *steps, int n)
{
	unsigned int count[3] = { 0 };
	int i;

	for (i = 0; i < n; i++)
		count[steps[i].end]++;
	hwreport_line(r, "summary: %u ok, %u failed, %u skipped",
		      count[HWREPORT_OK], count[HWREPORT_FAILED],
		      count[HWREPORT_SKIPPED]);
	for (i = 0; i < n; i++)
		if (steps[i].end != HWREPORT_OK)
			hwreport_line(r, "summary: %s %s: %s", steps[i].name,
				      steps[i].end == HWREPORT_FAILED ?
					      "failed" :
					      "skipped",
				      steps[i].reason);
	return count[HWREPORT_FAILED]  ? VIGIL_EX_FAIL :
	       count[HWREPORT_SKIPPED] ? VIGIL_EX_SKIPPED :
					 VIGIL_EX_OK;
}

/* Runs all @n steps. Return: the exit code. */
static int run_steps(struct hwreport *r, struct hwreport_step *steps, int n,
		     const char *work, int signals)
{
	struct hwreport_step done[MAX_STEPS + 2] = { 0 };
	struct hwreport_state first, last;
	int i, code, sig = 0;

	state_step(r, &first, &done[0], "state-before");
	hwreport_state_print(r, &first);
	tell_end(r, &done[0], time(NULL));
	last = first;
	last.value = NULL;
	hwreport_state_take(&last);
	for (i = 0; i < n && !sig && !r->err; i++) {
		time_t began = time(NULL);

		hwreport_line(r, "step %s: begins", steps[i].name);
		if (r->err)
			break;
		sig = hwreport_run_step(r, &steps[i], work, signals);
		compare_state(r, &last, &steps[i]);
		tell_end(r, &steps[i], began);
		done[i + 1] = steps[i];
	}
	hwreport_state_free(&last);
	state_step(r, &last, &done[i + 1], "state-after");
	if (hwreport_state_compare(r, &first, &last)) {
		done[i + 1].end = HWREPORT_FAILED;
		snprintf(done[i + 1].reason, sizeof(done[i + 1].reason),
			 "not the state of before");
	}
	tell_end(r, &done[i + 1], time(NULL));
	hwreport_state_free(&first);
	hwreport_state_free(&last);
	code = summary(r, done, i + 2);
	if (r->err)
		hwreport_line(r, "end: the report cannot be written");
	else if (sig)
		hwreport_line(r,
			      "end: interrupted by signal %d, %d steps not run",
			      sig, n - i);
	else
		hwreport_line(r, "end: complete");
	return sig ? 128 + sig : code;
}

/* Signals are read from a file, so that none of them ends the command half-way. */
static int take_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	return remove(path);
}

/* Loads the msr driver, by which the state of CPUs is read. Return: was it absent? */
static bool load_msr(void)
{
	if (!access("/dev/cpu/0/msr", F_OK))
		return false;
	return !system("modprobe -q msr 2>/dev/null");
}

static int report(const char *self, const char *kit,
		  struct hwreport_step *steps, int n)
{
	char culprit[HWREPORT_NAME_MAX], work[] = "/tmp/vigil-hwreport.XXXXXX";
	bool reset, loaded,
		fault = hwreport_culprit(args.output, culprit, &reset);
	int signals = take_signals(), err, code;
	struct hwreport r;

	if (signals < 0 || !mkdtemp(work)) {
		vigil_msg("%s: %s", work, strerror(errno));
		return VIGIL_EX_OS;
	}
	err = hwreport_open(&r, args.output);
	if (err) {
		vigil_msg("%s: %s", args.output, strerror(-err));
		rmdir(work);
		return VIGIL_EX_INPUT;
	}
	hwreport_line(&r, "%s, kit %s%s%s", argp_program_version, kit,
		      args.quick ? ", quick" : "",
		      args.no_kvm ? ", without KVM" : "");
	if (fault)
		hwreport_line(&r, "last time: %s during step %s, see %s.old",
			      reset ? "the host was reset" :
				      "vigil hwreport was killed",
			      culprit, args.output);
	tell_steps(self, kit, work);
	loaded = load_msr();
	code = run_steps(&r, steps, n, work, signals);
	if (loaded && system("rmmod msr"))
		vigil_msg("the module msr stays loaded");
	hwreport_close(&r);
	nftw(work, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (r.err) {
		vigil_msg("%s cannot be written: %s", args.output,
			  strerror(r.err));
		return VIGIL_EX_OUTPUT;
	}
	vigil_msg("the report is %s", args.output);
	return code;
}

int vigil_cmd_hwreport(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Look at this host, run all tests that need real hardware, and write one "
		       "text file. Takes root and about ten minutes; nothing is sent anywhere.\v"
		       "Exit status: 0 each step is ok, 1 a step failed, 2 none failed and at least "
		       "one was skipped, 74 the report could not be written, 128+N ended by signal "
		       "N.",
		.children = vigil_common_children,
	};
	struct hwreport_step steps[MAX_STEPS] = { 0 };
	char self[PATH_MAX], *kit;
	ssize_t len;
	int n, count;

	args = (struct args){ .output = REPORT };
	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len > 0 ? len : 0] = 0;
	kit = args.kit ? realpath(args.kit, NULL) : find_kit(self);
	if (!kit) {
		vigil_msg(
			"no kit with the steps: `make hwreport' builds one, --kit DIR names it");
		return VIGIL_EX_INPUT;
	}
	n = find_steps(kit, steps);
	if (n <= 0) {
		vigil_msg("%s/steps: %s", kit, n ? strerror(-n) : "no step");
		free(kit);
		return VIGIL_EX_INPUT;
	}
	n = choose(steps, n);
	count = n;
	for (int i = 0; args.list && i < n; i++)
		printf("%-16s at most %u s\n", steps[i].name, steps[i].limit_s);
	n = n < 0     ? VIGIL_EX_USAGE :
	    args.list ? VIGIL_EX_OK :
			report(self, kit, steps, n);
	while (count > 0)
		free(steps[--count].path);
	free(kit);
	return n;
}
