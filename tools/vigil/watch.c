// SPDX-License-Identifier: GPL-2.0
/* vigil watch VM: report, ask about or refuse writes to a guest's memory. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "number.h"
#include "verdict.h"
#include "watch_run.h"
#include "when.h"

#define MAX_LEN (16u << 20)
#define MAX_CR3 ((1ull << 52) - 1)
#define DEFAULT_LEN 8
#define MAX_TIMEOUT (24u * 60 * 60)

struct args {
	const char *vm, *file;
	struct watch_opts opts;
	uint32_t action; /* of ranges that have none of their own */
	uint64_t len;
	uint64_t cr3; /* of guest-virtual ranges; 0: all address spaces */
	uint32_t on_death;
	uint32_t timeout_ms, on_timeout;
	unsigned int queue,
		queue_flags; /* 0: the queue that every monitor has */
	bool len_set, on_death_set, on_timeout_set, refuse_set;
	bool no_symbols, evict;
	struct when_list *lists; /* all of them */
	struct when_list *when; /* to which a further --when belongs; or NULL */
	struct when_list *rest; /* of ranges that have none of their own */
	bool when_symbols; /* a condition names a symbol */
};

enum {
	OPT_GVA = 0x100,
	OPT_GPA,
	OPT_CONTROL,
	OPT_ON_DEATH,
	OPT_NO_SYMBOLS,
	OPT_EXEC_TIMEOUT,
	OPT_OUTPUT_ERROR,
	OPT_EVICT,
	OPT_WHEN,
	OPT_REFUSE,
	OPT_TIMEOUT,
	OPT_ON_TIMEOUT,
	OPT_RESUME,
	OPT_CR3,
	OPT_QUEUE,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to watch (may be repeated):", 1 },
	{ "symbol", 'S', "NAME[+OFF]", 0,
	  "From a symbol of the guest's kernel; NAME=ADDR defines one, in hexadecimal",
	  1 },
	{ "gva", OPT_GVA, "ADDR", 0,
	  "From a guest-virtual address (hexadecimal, with or without 0x)", 1 },
	{ "gpa", OPT_GPA, "ADDR", 0,
	  "From a guest-physical address (hexadecimal, with or without 0x)",
	  1 },
	{ "control", OPT_CONTROL, "NAME", 0,
	  "What the guest's kernel changes: idtr, gdtr, ldtr, tr, cr0, cr3, cr4, or an MSR, "
	  "msr:LSTAR for one; a paravirtual guest's by hypercalls: trap-table, fast-trap, gdt, "
	  "stack, callback or iopl; table-load: LIDT and its like, which are refused by themselves; "
	  "call:NUMBER: any guest's hypercall",
	  1 },
	{ NULL, 0, NULL, 0,
	  "Of all ranges before that have none yet, else of all:", 2 },
	{ "len", 'l', "BYTES", 0,
	  "How many bytes, K or M behind it or not (default: a symbol up to the next one, "
	  "otherwise 8; at most 16M)",
	  2 },
	{ "action", 'a', "ACTION", 0,
	  "log: tell (default); ask: hold the vCPU until it is decided; deny: refuse and tell",
	  2 },
	{ "when", OPT_WHEN, "CONDITION", 0,
	  "Another action where a condition holds, as in 'cpl=3 pass': tests (rip, cpl, cr3, vcpu, "
	  "value, changed, unchanged), and pass, log, ask or deny. May be repeated: the first that "
	  "holds decides, in the module, and pass tells nobody. Documentation/watch.rst has the "
	  "language",
	  2 },
	{ NULL, 0, NULL, 0, "How:", 3 },
	{ "cr3", OPT_CR3, "CR3", 0,
	  "Of guest-virtual addresses: in this address space alone (hexadecimal; default: in all)",
	  3 },
	{ "exec", 'e', "CMD", 0,
	  "With --action ask: let CMD decide about a held write: the event is JSON on its stdin and in VIGIL_* of "
	  "its environment; exit status 0 allows, 1 refuses",
	  3 },
	{ "exec-timeout", OPT_EXEC_TIMEOUT, "SECONDS", 0,
	  "End CMD and refuse the write when it takes longer (default: never)",
	  3 },
	{ "refuse", OPT_REFUSE, "deny|gp|pf|kill", 0,
	  "With --action ask: what a refusal on the terminal or by CMD is. deny: the guest goes on "
	  "as if it had written (default); gp, pf: the instruction raises #GP or #PF; kill: the VM "
	  "ends",
	  3 },
	{ "on-death", OPT_ON_DEATH, "allow|deny|pause", 0,
	  "With --action ask: what becomes of a held write when this command ends first (default "
	  "deny); pause: its vCPU waits for --resume of the next one",
	  3 },
	{ "resume", OPT_RESUME, NULL, 0,
	  "Go on with the vCPUs that --on-death pause or `vigil pause' has left waiting, once these "
	  "watches are in force",
	  3 },
	{ "timeout", OPT_TIMEOUT, "MS", 0,
	  "With --action ask: how long a held write waits for its verdict, in milliseconds (default: "
	  "without end); the module counts, whatever this command does",
	  3 },
	{ "on-timeout", OPT_ON_TIMEOUT, "allow|deny|pause", 0,
	  "What becomes of it then (default deny); pause: the whole guest stands still until its "
	  "verdict comes",
	  3 },
	{ "queue", OPT_QUEUE, "N[,wait][,ring]", 0,
	  "How many events may wait for this command, 1 to 65536 (default 1024); further ones are "
	  "lost and counted, or with wait a vCPU waits for room; ring: in memory, taken without "
	  "system calls (N is a power of two)",
	  3 },
	{ "count", 'c', "N", 0, "End after N events", 3 },
	{ "evict", OPT_EVICT, NULL, 0,
	  "As root: take the places of all monitors that watch the VM already; their watches end",
	  3 },
	{ "output-error", OPT_OUTPUT_ERROR, "stay|stop", 0,
	  "When standard output cannot be written: stay and protect unheard (default), or stop; "
	  "exit status 74 either way",
	  3 },
	{ "symbols", 's', "FILE", 0,
	  "Symbols from a System.map, a dump of /proc/kallsyms or an ELF vmlinux; without it "
	  "they are found in the guest's memory",
	  3 },
	{ "no-symbols", OPT_NO_SYMBOLS, NULL, 0, "Do not look for symbols", 3 },
	{ 0 }
};

typedef const char *parse_number(const char *text, uint64_t *v);

static uint64_t number(struct argp_state *state, parse_number *how,
		       const char *arg)
{
	const char *why;
	uint64_t v;

	why = how(arg, &v);
	if (why)
		argp_error(state, "`%s' %s", arg, why);
	return v;
}

static void add_range(struct argp_state *state, struct args *args,
		      const char *symbol, uint32_t kind, const char *arg)
{
	struct watch_opts *o = &args->opts;
	struct watch_range *r;

	o->range = reallocarray(o->range, o->n + 1, sizeof(*o->range));
	if (!o->range)
		argp_failure(state, VIGIL_EX_OS, 0, "out of memory");
	r = &o->range[o->n++];
	memset(r, 0, sizeof(*r));
	r->symbol = symbol;
	r->w.kind = kind;
	args->when = NULL;
	if (arg)
		r->w.start = number(state, number_address, arg);
}

/* A control is a range of one. */
static void add_control(struct argp_state *state, struct args *args,
			const char *name)
{
	struct watch_range *r;
	uint64_t nr;

	if (!control_parse(name, &nr))
		argp_error(
			state,
			"--control is idtr, gdtr, ldtr, tr, cr0, cr3, cr4, msr:NAME, trap-table, "
			"fast-trap, gdt, stack, callback, iopl, table-load or call:NUMBER");
	add_range(state, args, NULL, VIGIL_WATCH_CONTROL, NULL);
	r = &args->opts.range[args->opts.n - 1];
	r->w.start = nr;
	r->w.len = 1;
	r->len_set = true;
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

/* What becomes of a held write without a verdict. */
static uint32_t policy(struct argp_state *state, const char *option,
		       const char *arg)
{
	if (!strcmp(arg, "pause"))
		return VIGIL_ON_DEATH_PAUSE;
	if (strcmp(arg, "allow") && strcmp(arg, "deny"))
		argp_error(state, "%s is allow, deny or pause", option);
	return strcmp(arg, "deny") ? VIGIL_ON_DEATH_ALLOW : VIGIL_ON_DEATH_DENY;
}

static uint32_t refuse(struct argp_state *state, const char *arg)
{
	uint32_t v;

	if (!verdict_parse(arg, &v) || v == VIGIL_VERDICT_ALLOW ||
	    v == VIGIL_VERDICT_REPLACE || v == VIGIL_VERDICT_PAUSE)
		argp_error(state, "--refuse is deny, gp, pf or kill");
	return v;
}

/*
 * --action applies to all ranges before it that have none, so no range is only
 * logged by accident.
 */
static void set_action(struct args *args, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < args->opts.n; i++) {
		if (!args->opts.range[i].action_set)
			args->opts.range[i].w.action = value;
		args->opts.range[i].action_set = true;
	}
	if (!args->opts.n)
		args->action = value;
}

static void set_len(struct args *args, uint64_t value, struct argp_state *state)
{
	unsigned int i;

	if (!value || value > MAX_LEN)
		argp_error(state, "--len is 1 byte to 16M");
	args->len_set = true;
	for (i = 0; i < args->opts.n; i++) {
		if (!args->opts.range[i].len_set)
			args->opts.range[i].w.len = value;
		args->opts.range[i].len_set = true;
	}
	if (!args->opts.n)
		args->len = value;
}

/* Conditions of all ranges before that have none yet. */
static struct when_list *new_list(struct argp_state *state, struct args *args)
{
	struct when_list *list = calloc(1, sizeof(*list));
	unsigned int i;

	if (!list)
		argp_failure(state, VIGIL_EX_OS, 0, "out of memory");
	list->next = args->lists;
	args->lists = list;
	for (i = 0; i < args->opts.n; i++)
		if (!args->opts.range[i].when)
			args->opts.range[i].when = list;
	if (!args->opts.n)
		args->rest = list;
	return list;
}

/* Consecutive --when make one list. */
static void add_when(struct argp_state *state, struct args *args,
		     const char *text)
{
	struct vigil_condition c;
	char why[WHEN_ROOM];

	if (when_parse(text, NULL, NULL, &c, why))
		argp_error(state, "--when '%s': %s", text, why);
	if (!args->when)
		args->when = new_list(state, args);
	if (args->when->n == VIGIL_MAX_CONDITIONS)
		argp_error(state, "a range has at most %u conditions",
			   VIGIL_MAX_CONDITIONS);
	args->when->text[args->when->n++] = text;
	args->when->asks |= c.action == VIGIL_ACTION_ASK;
	args->when_symbols |= strstr(text, "sym:") != NULL;
}

/* Ranges that have no action of their own get the one that was given first. */
static void set_rest(struct args *args)
{
	unsigned int i;

	for (i = 0; i < args->opts.n; i++) {
		if (!args->opts.range[i].action_set)
			args->opts.range[i].w.action = args->action;
		if (!args->opts.range[i].len_set)
			args->opts.range[i].w.len = args->len;
		if (!args->opts.range[i].when)
			args->opts.range[i].when = args->rest;
		if (args->opts.range[i].w.kind == VIGIL_WATCH_GVA)
			args->opts.range[i].w.cr3 = args->cr3;
		args->opts.range[i].w.on_death = args->on_death;
		args->opts.range[i].w.timeout_ms = args->timeout_ms;
		args->opts.range[i].w.on_timeout =
			args->timeout_ms ? args->on_timeout : 0;
	}
}

static void check_load(const struct vigil_range *w, struct argp_state *state)
{
	if (w->kind == VIGIL_WATCH_CONTROL &&
	    w->start == VIGIL_CONTROL_TABLE_LOAD &&
	    w->action != VIGIL_ACTION_LOG)
		argp_error(
			state,
			"--control table-load is about what is refused anyway: its action is log");
}

/* Refuses an option that would have no effect: the user relies on it. */
static void check(struct args *args, struct argp_state *state)
{
	bool asks = false, memory = false, virt = false, defines = false;
	unsigned int i;

	if (!args->opts.n)
		argp_error(
			state,
			"what is to be watched? --symbol, --gva, --gpa or --control");
	if (args->no_symbols && args->file)
		argp_error(state,
			   "--symbols and --no-symbols exclude each other");
	set_rest(args);
	for (i = 0; i < args->opts.n; i++) {
		asks |= watch_asks(&args->opts.range[i]);
		defines |= args->opts.range[i].symbol &&
			   strchr(args->opts.range[i].symbol, '=');
		memory |= args->opts.range[i].w.kind != VIGIL_WATCH_CONTROL;
		virt |= args->opts.range[i].w.kind == VIGIL_WATCH_GVA;
		check_load(&args->opts.range[i].w, state);
	}
	if (args->len_set && !memory)
		argp_error(state, "--len is about memory, and none is watched");
	if (args->cr3 && !virt)
		argp_error(
			state,
			"--cr3 is about guest-virtual addresses, and none is watched");
	if (args->when_symbols && args->no_symbols && !defines)
		argp_error(
			state,
			"--when names a symbol, and with --no-symbols there is none: "
			"define it by --symbol NAME=ADDR");
	if (args->opts.exec && !asks)
		argp_error(
			state,
			"--exec decides about held writes, and nothing is held: it needs --action ask");
	if (args->opts.exec_timeout && !args->opts.exec)
		argp_error(state, "--exec-timeout needs --exec");
	if (args->timeout_ms && !asks)
		argp_error(
			state,
			"--timeout is about held writes, and nothing is held: it needs --action ask");
	if (args->on_timeout_set && !args->timeout_ms)
		argp_error(state, "--on-timeout needs --timeout");
	if (args->refuse_set && !asks)
		argp_error(
			state,
			"--refuse is about held writes, and nothing is held: it needs --action ask");
	if (args->on_death_set && !asks)
		argp_error(
			state,
			"--on-death is about held writes, and nothing is held: it needs --action ask");
}

static void set_queue(struct argp_state *state, struct args *args,
		      const char *arg)
{
	char *text = strdup(arg), *rest = text, *word;
	uint64_t n;

	if (!text)
		argp_failure(state, VIGIL_EX_OS, 0, "out of memory");
	word = strsep(&rest, ",");
	n = number(state, number_count, word);
	args->queue_flags = 0;
	while ((word = strsep(&rest, ","))) {
		if (!strcmp(word, "wait"))
			args->queue_flags |= VIGIL_EVENTS_WAIT;
		else if (!strcmp(word, "ring"))
			args->queue_flags |= VIGIL_EVENTS_RING;
		else
			argp_error(
				state,
				"--queue is a number, and `,wait' or `,ring' behind it");
	}
	free(text);
	if (!n || n > VIGIL_MAX_QUEUE)
		argp_error(state, "--queue is 1 to %u events", VIGIL_MAX_QUEUE);
	if (args->queue_flags & VIGIL_EVENTS_RING && n & (n - 1))
		argp_error(state, "a ring holds a power of two of events");
	args->queue = n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	uint64_t n;

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
	case OPT_CONTROL:
		add_control(state, args, arg);
		return 0;
	case 'l':
		set_len(args, number(state, number_size, arg), state);
		return 0;
	case 'a':
		set_action(args, action(state, arg));
		return 0;
	case OPT_WHEN:
		add_when(state, args, arg);
		return 0;
	case 'e':
		if (!*arg)
			argp_error(state, "--exec needs a command");
		args->opts.exec = arg;
		return 0;
	case OPT_EXEC_TIMEOUT:
		n = number(state, number_count, arg);
		if (!n || n > MAX_TIMEOUT)
			argp_error(state, "--exec-timeout is 1 to %u seconds",
				   MAX_TIMEOUT);
		args->opts.exec_timeout = n;
		return 0;
	case OPT_CR3:
		args->cr3 = number(state, number_address, arg);
		if (!args->cr3 || args->cr3 > MAX_CR3)
			argp_error(
				state,
				"--cr3 is the guest-physical address of a page table");
		return 0;
	case OPT_EVICT:
		args->evict = true;
		return 0;
	case OPT_OUTPUT_ERROR:
		if (strcmp(arg, "stay") && strcmp(arg, "stop"))
			argp_error(state, "--output-error is stay or stop");
		args->opts.stop = !strcmp(arg, "stop");
		return 0;
	case OPT_REFUSE:
		args->opts.refuse = refuse(state, arg);
		args->refuse_set = true;
		return 0;
	case OPT_RESUME:
		args->opts.resume = true;
		return 0;
	case OPT_ON_DEATH:
		args->on_death = policy(state, "--on-death", arg);
		args->on_death_set = true;
		return 0;
	case OPT_TIMEOUT:
		n = number(state, number_count, arg);
		if (!n || n > VIGIL_MAX_TIMEOUT)
			argp_error(state, "--timeout is 1 to %u milliseconds",
				   VIGIL_MAX_TIMEOUT);
		args->timeout_ms = n;
		return 0;
	case OPT_ON_TIMEOUT:
		args->on_timeout = policy(state, "--on-timeout", arg);
		args->on_timeout_set = true;
		return 0;
	case OPT_QUEUE:
		set_queue(state, args, arg);
		return 0;
	case 'c':
		args->opts.count = number(state, number_count, arg);
		if (!args->opts.count)
			argp_error(state, "--count is 1 or more");
		return 0;
	case 's':
		args->file = arg;
		return 0;
	case OPT_NO_SYMBOLS:
		args->no_symbols = true;
		return 0;
	case ARGP_KEY_END:
		check(args, state);
		return 0;
	}
	return vigil_parse_vm(key, arg, state, &args->vm);
}

/*
 * --symbol needs symbols. Otherwise they only name addresses, and the command
 * goes on without.
 */
static int load_symbols(struct args *args, struct mon *mon,
			struct vigil_symbols **t)
{
	bool needed = args->file;
	unsigned int i;
	int ret;

	for (i = 0; i < args->opts.n; i++)
		needed |= args->opts.range[i].symbol &&
			  !strchr(args->opts.range[i].symbol, '=');
	if (args->no_symbols && !needed)
		return vigil_symbols_new(t);
	needed |= args->when_symbols;
	ret = vigil_symbols_load(t, mon->m, args->file);
	if (ret && !needed) {
		if (vigil_options.verbose)
			vigil_msg("no symbols: %s", vigil_error());
		return vigil_symbols_new(t);
	}
	if (!ret && vigil_symbols_unmoved(*t))
		vigil_msg("%s does not tell where KASLR put the kernel: its "
			  "addresses are taken as they stand",
			  args->file);
	return ret;
}

/*
 * Turns NAME=ADDR into a symbol. Without --len, the distance to the next symbol
 * is the length.
 */
static int use_symbols(struct args *args, struct vigil_symbols *t)
{
	uint64_t start;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < args->opts.n; i++) {
		const char *symbol = args->opts.range[i].symbol;

		if (symbol && strchr(symbol, '='))
			ret = vigil_symbols_define(t, symbol);
	}
	for (i = 0; !ret && i < args->opts.n; i++) {
		struct watch_range *r = &args->opts.range[i];

		if (r->w.len)
			continue;
		r->w.len = DEFAULT_LEN;
		if (!r->symbol)
			continue;
		ret = vigil_symbols_parse(t, r->symbol, &start);
		if (!ret)
			r->w.len = vigil_symbols_len(t, start);
	}
	return ret;
}

static void free_args(struct args *args)
{
	struct when_list *list;

	while ((list = args->lists)) {
		args->lists = list->next;
		free(list);
	}
	free(args->opts.range);
}

/* Makes a signalfd of the signals that end the command. */
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
		.doc = "Watch what a guest writes to ranges of its memory, byte by byte, and what its "
		       "kernel changes about its traps. VM is a "
		       "number or a name. Ends with the VM, or by Ctrl-C, which leaves nothing "
		       "behind.",
		.children = vigil_common_children,
	};
	struct args args = {
		.on_death = VIGIL_ON_DEATH_DENY,
		.on_timeout = VIGIL_ON_DEATH_DENY,
		.opts.refuse = VIGIL_VERDICT_DENY,
	};
	struct vigil_symbols *t = NULL;
	struct mon mon;
	int ret, sigfd;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, args.vm, args.evict ? VIGIL_MONITOR_EVICT : 0);
	if (ret)
		return mon_exit_code(ret);
	if (args.queue)
		ret = vigil_set_queue(mon.m, args.queue, args.queue_flags);
	if (ret) {
		ret = mon_exit_code(ret);
		mon_detach(&mon);
		return ret;
	}
	ret = load_symbols(&args, &mon, &t);
	if (ret && args.file) {
		vigil_msg("%s", vigil_error());
		mon_detach(&mon);
		return VIGIL_EX_INPUT;
	}
	if (!ret)
		ret = use_symbols(&args, t);
	/*
	 * Up to here a signal just ends the command, since nothing has to be
	 * undone.
	 */
	sigfd = signal_fd();
	if (ret) {
		ret = mon_exit_code(ret);
		mon_detach(&mon);
	} else {
		ret = watch_run(&args.opts, &mon, t, sigfd);
	}
	vigil_symbols_free(t);
	free_args(&args);
	close(sigfd);
	return ret;
}
