// SPDX-License-Identifier: GPL-2.0
/* vigil watch VM: tell, ask about or refuse writes to a guest's memory. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "event.h"
#include "libvigil.h"
#include "symtab.h"
#include "verdict.h"

#define BATCH 32

struct range {
	const char *symbol; /* or NULL: @w.start and @w.kind are set */
	bool len_set, action_set;
	struct vigil_watch w;
};

struct args {
	const char *vm, *file, *exec;
	struct range *range;
	unsigned int n;
	uint32_t action; /* of ranges that have none of their own */
	uint64_t len;
	unsigned long count; /* end after so many events; 0: never */
	uint32_t on_death;
	bool no_symbols;
};

enum { OPT_GVA = 0x100, OPT_GPA, OPT_ON_DEATH, OPT_NO_SYMBOLS };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to watch (may be repeated):", 1 },
	{ "symbol", 'S', "NAME[+OFF]", 0, "From a symbol of the guest's kernel",
	  1 },
	{ "gva", OPT_GVA, "ADDR", 0, "From a guest-virtual address", 1 },
	{ "gpa", OPT_GPA, "ADDR", 0, "From a guest-physical address", 1 },
	{ NULL, 0, NULL, 0,
	  "Of all ranges before that have none yet, else of all:", 2 },
	{ "len", 'l', "BYTES", 0, "How many bytes (default 8)", 2 },
	{ "action", 'a', "ACTION", 0,
	  "log: tell (default); ask: hold the vCPU until it is decided; deny: refuse and tell",
	  2 },
	{ NULL, 0, NULL, 0, "How:", 3 },
	{ "exec", 'e', "CMD", 0,
	  "Let CMD decide about a held write: the event is JSON on its stdin and in VIGIL_* of "
	  "its environment; exit status 0 allows, 1 refuses",
	  3 },
	{ "on-death", OPT_ON_DEATH, "allow|deny", 0,
	  "What becomes of a held write when this command ends first (default deny)",
	  3 },
	{ "count", 'c', "N", 0, "End after N events", 3 },
	{ "symbols", 's', "FILE", 0,
	  "Symbols from a System.map, a dump of /proc/kallsyms or an ELF vmlinux; without it "
	  "they are found in the guest's memory",
	  3 },
	{ "no-symbols", OPT_NO_SYMBOLS, NULL, 0, "Do not look for symbols", 3 },
	{ 0 }
};

static uint64_t number(struct argp_state *state, const char *arg)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(arg, &end, 0);
	if (errno || *end || end == arg || *arg == '-')
		argp_error(state, "`%s' is not a number", arg);
	return v;
}

static void add_range(struct argp_state *state, struct args *args,
		      const char *symbol, uint32_t kind, const char *arg)
{
	struct range *r;

	args->range =
		reallocarray(args->range, args->n + 1, sizeof(*args->range));
	if (!args->range)
		argp_failure(state, VIGIL_EX_OS, 0, "out of memory");
	r = &args->range[args->n++];
	memset(r, 0, sizeof(*r));
	r->symbol = symbol;
	r->w.kind = kind;
	if (!symbol)
		r->w.start = number(state, arg);
}

static uint32_t action(struct argp_state *state, const char *arg)
{
	if (!strcmp(arg, "log"))
		return VIGIL_ACTION_LOG;
	if (!strcmp(arg, "ask"))
		return VIGIL_ACTION_ASK;
	if (!strcmp(arg, "deny"))
		return VIGIL_ACTION_DENY;
	argp_error(state, "--action is log, ask or deny");
	return 0;
}

/* nobody must find a range logged that was meant to be refused */
static void set_action(struct args *args, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < args->n; i++) {
		if (!args->range[i].action_set)
			args->range[i].w.action = value;
		args->range[i].action_set = true;
	}
	if (!args->n)
		args->action = value;
}

static void set_len(struct args *args, uint64_t value, struct argp_state *state)
{
	unsigned int i;

	if (!value || value > 16u << 20)
		argp_error(state, "--len is 1 byte to 16 MiB");
	for (i = 0; i < args->n; i++) {
		if (!args->range[i].len_set)
			args->range[i].w.len = value;
		args->range[i].len_set = true;
	}
	if (!args->n)
		args->len = value;
}

/* what was not said of a range is what was said first of all */
static void set_rest(struct args *args)
{
	unsigned int i;

	for (i = 0; i < args->n; i++) {
		if (!args->range[i].action_set)
			args->range[i].w.action = args->action;
		if (!args->range[i].len_set)
			args->range[i].w.len = args->len;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'S':
		add_range(state, args, arg, VIGIL_WATCH_GVA, NULL);
		return 0;
	case OPT_GVA:
		add_range(state, args, NULL, VIGIL_WATCH_GVA, arg);
		return 0;
	case OPT_GPA:
		add_range(state, args, NULL, VIGIL_WATCH_GPA, arg);
		return 0;
	case 'l':
		set_len(args, number(state, arg), state);
		return 0;
	case 'a':
		set_action(args, action(state, arg));
		return 0;
	case 'e':
		args->exec = arg;
		return 0;
	case OPT_ON_DEATH:
		if (strcmp(arg, "allow") && strcmp(arg, "deny"))
			argp_error(state, "--on-death is allow or deny");
		args->on_death = strcmp(arg, "deny") ? VIGIL_ON_DEATH_ALLOW :
						       VIGIL_ON_DEATH_DENY;
		return 0;
	case 'c':
		args->count = number(state, arg);
		return 0;
	case 's':
		args->file = arg;
		return 0;
	case OPT_NO_SYMBOLS:
		args->no_symbols = true;
		return 0;
	case ARGP_KEY_END:
		if (!args->n)
			argp_error(
				state,
				"what is to be watched? --symbol, --gva or --gpa");
		if (args->no_symbols && args->file)
			argp_error(
				state,
				"--symbols and --no-symbols exclude each other");
		set_rest(args);
		return 0;
	}
	return vigil_parse_vm(key, arg, state, &args->vm);
}

/* symbols are needed for --symbol, and nice to have otherwise */
static int load_symbols(struct args *args, struct mon *mon, struct symtab *t)
{
	bool needed = args->file;
	unsigned int i;
	int ret;

	for (i = 0; i < args->n; i++)
		needed |= args->range[i].symbol != NULL;
	if (args->no_symbols && !needed)
		return 0;
	ret = symtab_load(t, mon, args->file);
	if (ret && !needed) {
		if (vigil_options.verbose)
			vigil_msg("no symbols: %s", vigil_error());
		return 0;
	}
	return ret;
}

static int add_watches(struct args *args, struct mon *mon,
		       const struct symtab *t)
{
	uint64_t start, cr3;
	unsigned int i;
	int ret;

	ret = mon_kernel_cr3(mon, &cr3);
	for (i = 0; !ret && i < args->n; i++) {
		struct range *r = &args->range[i];

		r->w.cookie = i;
		r->w.on_death = args->on_death;
		start = r->w.start;
		if (r->symbol)
			ret = symtab_parse(t, r->symbol, &start);
		r->w.start = start;
		if (r->w.kind == VIGIL_WATCH_GVA)
			r->w.cr3 = cr3;
		if (!ret)
			ret = mon_watch_add(mon, &r->w);
		if (!ret && !vigil_options.json)
			fprintf(stderr,
				"watching %llu byte%s at %s%s%#llx, action %s\n",
				(unsigned long long)r->w.len,
				r->w.len == 1 ? "" : "s",
				r->symbol ? r->symbol : "",
				r->symbol ? " = " : "",
				(unsigned long long)r->w.start,
				r->w.action == VIGIL_ACTION_LOG ? "log" :
				r->w.action == VIGIL_ACTION_ASK ? "ask" :
								  "deny");
	}
	return ret;
}

/* false: leave */
static bool handle(const struct args *args, struct mon *mon,
		   const struct symtab *t, const struct vigil_event *ev,
		   int sigfd)
{
	enum event_verdict told = EVENT_NO_VERDICT;
	enum verdict v;
	char *json;

	if (!vigil_options.json)
		event_print(stdout, ev, t);
	if (ev->flags & VIGIL_EVENT_HELD) {
		if (args->exec)
			v = verdict_exec(args->exec, ev, t, sigfd);
		else
			v = verdict_ask(sigfd);
		if (v == VERDICT_QUIT)
			return false;
		if (mon_verdict(mon, ev->seq, v == VERDICT_ALLOW))
			vigil_msg("%s", vigil_error());
		told = v == VERDICT_ALLOW ? EVENT_ALLOWED : EVENT_REFUSED;
		if (!vigil_options.json)
			printf("    %s\n",
			       v == VERDICT_ALLOW ? "allowed" : "refused");
	}
	if (vigil_options.json) {
		json = event_json(ev, t, told);
		if (json)
			puts(json);
		free(json);
	}
	fflush(stdout);
	return !ferror(stdout);
}

static int watch_loop(const struct args *args, struct mon *mon,
		      const struct symtab *t, int sigfd)
{
	static struct vigil_event ev[BATCH];
	unsigned long seen = 0;
	int i, n;

	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = mon->fd, .events = POLLIN },
		};

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return 0;
		n = mon_events(mon, ev, BATCH);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return n;
		if (!n) {
			vigil_msg("the VM is gone");
			return 0;
		}
		for (i = 0; i < n; i++)
			if (!handle(args, mon, t, &ev[i], sigfd) ||
			    (args->count && ++seen == args->count))
				return 0;
	}
}

/* signals that end the command, as something to poll */
static int signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int vigil_cmd_watch(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "VM",
		.doc = "Watch what a guest writes to ranges of its memory, byte by byte. VM is a "
		       "number or a name. Ends with the VM, or by Ctrl-C, which leaves nothing "
		       "behind.",
		.children = vigil_common_children,
	};
	struct args args = { .len = 8, .on_death = VIGIL_ON_DEATH_DENY };
	struct symtab t = { 0 };
	struct mon mon;
	int ret, sigfd;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, args.vm);
	if (ret)
		return mon_exit_code(ret);
	fcntl(mon.fd, F_SETFL, O_RDWR | O_NONBLOCK);
	ret = load_symbols(&args, &mon, &t);
	if (ret && args.file) {
		vigil_msg("%s", vigil_error());
		mon_detach(&mon);
		return VIGIL_EX_INPUT;
	}
	/* before this nothing needs to be undone: a signal just ends the command */
	sigfd = signal_fd();
	if (!ret)
		ret = add_watches(&args, &mon, &t);
	if (!ret)
		ret = watch_loop(&args, &mon, &t, sigfd);
	/* closing the monitor removes its watches and lets go who is held */
	mon_detach(&mon);
	symtab_free(&t);
	free(args.range);
	close(sigfd);
	return ret ? mon_exit_code(ret) : VIGIL_EX_OK;
}
