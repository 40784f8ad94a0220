// SPDX-License-Identifier: GPL-2.0
/* `vigil run`: command line, and guests one after the other (--on-reset reboot). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "run.h"
#include "run_auto.h"
#include "vigil.h"

#define MEM_DEFAULT (256ull << 20)
#define MEM_MIN (2ull << 20)
#define MEM_MAX (1ull << 40)
#define FLAT_ADDR 0x7c00

enum {
	OPT_INITRD = 0x100,
	OPT_APPEND,
	OPT_NO_DEFAULT_APPEND,
	OPT_NAME,
	OPT_CPUS,
	OPT_ON_RESET,
	OPT_DEBUG_EXIT,
	OPT_FLAT,
	OPT_LOAD_ADDR,
	OPT_ENTRY,
	OPT_OVERCOMMIT,
	OPT_AUTO,
	OPT_BUSYBOX,
	OPT_XEN,
	OPT_MAX_IOPL,
	OPT_FORCED_EMULATION,
	OPT_INT82,
};

static const struct argp_option options[] = {
	{ "auto", OPT_AUTO, NULL, 0,
	  "Boot the kernel that this host runs, or KERNEL, to a shell: with a root file "
	  "system that is made of the host's busybox",
	  0 },
	{ "busybox", OPT_BUSYBOX, "FILE", 0, "The busybox that --auto takes",
	  0 },
	{ "initrd", OPT_INITRD, "FILE", 0,
	  "Initial RAM disk (multiboot: module 0)", 0 },
	{ "append", OPT_APPEND, "TEXT", 0, "Add to the kernel's command line",
	  0 },
	{ "no-default-append", OPT_NO_DEFAULT_APPEND, NULL, 0,
	  "Linux: the command line is TEXT alone, without our defaults", 0 },
	{ "mem", 'm', "SIZE", 0,
	  "Memory in MiB, or with a suffix K, M, G (default 256)", 0 },
	{ "overcommit", OPT_OVERCOMMIT, NULL, 0,
	  "Let --mem exceed the memory that the host has left", 0 },
	{ "name", OPT_NAME, "NAME", 0,
	  "Name of the VM for `vigil list' and monitors; no other VM has it",
	  0 },
	{ "cpus", OPT_CPUS, "N", 0, "vCPUs; only 1 for now", 0 },
	{ "on-reset", OPT_ON_RESET, "exit|reboot", 0,
	  "When the guest asks for a reset: end (default), or start it again",
	  0 },
	{ "debug-exit", OPT_DEBUG_EXIT, NULL, 0,
	  "A byte that the guest writes to port 0xf4 ends it with that exit status",
	  0 },
	{ "xen", OPT_XEN, NULL, 0,
	  "The guest finds Xen: hypercalls, event channels, the console's ring",
	  0 },
	{ "max-iopl", OPT_MAX_IOPL, "LEVEL", 0,
	  "With --xen: the guest may open its hypercalls to privilege levels up to LEVEL "
	  "(default 0)",
	  0 },
	{ "int82", OPT_INT82, NULL, 0,
	  "With --xen: INT 0x82 makes hypercalls too, and the guest's page makes them so while "
	  "they are open to user mode",
	  0 },
	{ "forced-emulation", OPT_FORCED_EMULATION, NULL, 0,
	  "With --xen: instructions with Xen's forced-emulation prefix are emulated",
	  0 },
	{ "flat", OPT_FLAT, NULL, 0,
	  "KERNEL is a flat binary, whatever it looks like; it starts in real mode, or in "
	  "32-bit protected mode when its entry is at 1 MiB or above",
	  0 },
	{ "load-addr", OPT_LOAD_ADDR, "ADDR", 0,
	  "Where a flat binary is loaded (default 0x7c00); implies --flat", 0 },
	{ "entry", OPT_ENTRY, "ADDR", 0,
	  "Where a flat binary starts (default: its load address); implies --flat",
	  0 },
	{ 0 }
};

struct parse {
	struct run_options opt;
	bool entry_given;
};

static uint64_t parse_number(struct argp_state *state, const char *what,
			     const char *arg, uint64_t max, const char **end)
{
	char *e;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &e, 0);
	if (e == arg || *arg == '-' || errno || v > max || (!end && *e))
		argp_error(state, "%s: `%s' is not a number from 0 to %#llx",
			   what, arg, (unsigned long long)max);
	if (end)
		*end = e;
	return v;
}

static uint64_t parse_mem(struct argp_state *state, const char *arg)
{
	const char *suffix;
	uint64_t v = parse_number(state, "--mem", arg, MEM_MAX, &suffix);
	unsigned int shift = 20;

	switch (*suffix) {
	case 'k':
	case 'K':
		shift = 10;
		suffix++;
		break;
	case 'g':
	case 'G':
		shift = 30;
		suffix++;
		break;
	case 'm':
	case 'M':
		suffix++;
		break;
	}
	if (*suffix || v > MEM_MAX >> shift || v << shift < MEM_MIN)
		argp_error(state, "--mem: `%s' is not a size from 2M to 1024G",
			   arg);
	return v << shift & ~0xfffull;
}

/*
 * Accepts a name that the module accepts and that no command takes for a
 * number.
 */
static const char *parse_name(struct argp_state *state, const char *arg)
{
	size_t len = strlen(arg);
	size_t i;

	if (!len || len >= VIGIL_NAME_LEN)
		argp_error(state, "--name: 1 to %d characters",
			   VIGIL_NAME_LEN - 1);
	for (i = 0; i < len; i++)
		if (arg[i] <= ' ' || arg[i] > '~' || arg[i] == '/')
			argp_error(state, "--name: no spaces, no `/', ASCII");
	if (*arg == '-')
		argp_error(state, "--name: `%s' looks like an option", arg);
	if (strspn(arg, "0123456789") == len)
		argp_error(state, "--name: `%s' is a number, as the VM has one",
			   arg);
	return arg;
}

static void check_together(struct argp_state *state,
			   const struct run_options *opt)
{
	if (!opt->kernel && !opt->auto_root)
		argp_error(
			state,
			"which KERNEL? --auto takes the one that this host runs");
	if (opt->auto_root && opt->initrd)
		argp_error(state,
			   "--auto makes an initial RAM disk of its own: leave "
			   "--initrd out, or --auto");
	if (opt->auto_root && opt->flat)
		argp_error(state, "--auto boots Linux, not a flat binary");
	if (opt->busybox && !opt->auto_root)
		argp_error(state, "--busybox is for --auto");
	if (opt->max_iopl && !opt->xen)
		argp_error(state, "--max-iopl is for --xen");
	if (opt->int82 && !opt->xen)
		argp_error(state, "--int82 is for --xen");
	if (opt->forced_emulation && !opt->xen)
		argp_error(state, "--forced-emulation is for --xen");
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = NULL;
		return 0;
	case OPT_INITRD:
		p->opt.initrd = arg;
		return 0;
	case OPT_APPEND:
		p->opt.append = arg;
		return 0;
	case OPT_NO_DEFAULT_APPEND:
		p->opt.default_append = false;
		return 0;
	case 'm':
		p->opt.mem = parse_mem(state, arg);
		return 0;
	case OPT_NAME:
		p->opt.name = parse_name(state, arg);
		return 0;
	case OPT_CPUS:
		if (parse_number(state, "--cpus", arg, 4096, NULL) != 1)
			argp_error(
				state,
				"--cpus: only 1 works: more need an APIC, which the "
				"hypervisor does not have yet");
		return 0;
	case OPT_ON_RESET:
		if (strcmp(arg, "exit") && strcmp(arg, "reboot"))
			argp_error(state,
				   "--on-reset: `exit' or `reboot', not `%s'",
				   arg);
		p->opt.reboot = !strcmp(arg, "reboot");
		return 0;
	case OPT_DEBUG_EXIT:
		p->opt.debug_exit = true;
		return 0;
	case OPT_OVERCOMMIT:
		p->opt.overcommit = true;
		return 0;
	case OPT_AUTO:
		p->opt.auto_root = true;
		return 0;
	case OPT_BUSYBOX:
		p->opt.busybox = arg;
		return 0;
	case OPT_XEN:
		p->opt.xen = true;
		return 0;
	case OPT_MAX_IOPL:
		p->opt.max_iopl =
			parse_number(state, "--max-iopl", arg, 3, NULL);
		return 0;
	case OPT_INT82:
		p->opt.int82 = true;
		return 0;
	case OPT_FORCED_EMULATION:
		p->opt.forced_emulation = true;
		return 0;
	case OPT_FLAT:
		p->opt.flat = true;
		return 0;
	case OPT_LOAD_ADDR:
		p->opt.load_addr = parse_number(state, "--load-addr", arg,
						UINT32_MAX, NULL);
		p->opt.flat = true;
		return 0;
	case OPT_ENTRY:
		p->opt.entry =
			parse_number(state, "--entry", arg, UINT32_MAX, NULL);
		p->entry_given = true;
		p->opt.flat = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			argp_error(state,
				   "one KERNEL, not also `%s' (quote --append)",
				   arg);
		p->opt.kernel = arg;
		return 0;
	case ARGP_KEY_END:
		check_together(state, &p->opt);
		if (!p->entry_given)
			p->opt.entry = p->opt.load_addr;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const char *outcome_text(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_RESET:
		return "reset";
	case OUTCOME_HALT:
		return "halt";
	case OUTCOME_CRASH:
		return "crash";
	case OUTCOME_DEBUG_EXIT:
		return "debug-exit";
	case OUTCOME_QUIT:
		return "quit";
	case OUTCOME_SIGNAL:
		return "signal";
	default:
		return "error";
	}
}

static void say_outcome(const struct machine *m)
{
	if (vigil_options.json)
		fprintf(stderr, "{\"outcome\":\"%s\",\"status\":%d}\n",
			outcome_text(m->outcome), m->status);
	else if (vigil_options.verbose)
		vigil_msg("end of the guest: %s, status %d",
			  outcome_text(m->outcome), m->status);
	if (vigil_options.verbose)
		report_stats(m);
}

static int run_guests(const struct run_options *opt)
{
	static struct machine m;
	struct console con;
	bool again;
	int status;

	if (console_open(&con)) {
		vigil_msg("%s", lv_error());
		return VIGIL_EX_OS;
	}
	do {
		status = machine_create(&m, opt, &con);
		if (status)
			break;
		run_vcpu(&m);
		if (vigil_options.verbose > 1)
			report_state(&m);
		machine_destroy(&m);
		status = m.status;
		again = m.outcome == OUTCOME_RESET && opt->reboot;
		if (!again) {
			console_close(&con);
			say_outcome(&m);
		}
	} while (again);
	console_close(&con);
	return status;
}

/*
 * --auto: finds the kernel, makes the root file system, and extends the command
 * line.
 */
static int prepare_auto(struct run_options *opt)
{
	static char kernel[512], busybox[64], initrd[64], append[4096];
	int ret = 0;

	if (!opt->kernel) {
		ret = auto_kernel("", kernel, sizeof(kernel));
		opt->kernel = kernel;
	}
	if (!ret && !opt->busybox) {
		ret = auto_busybox("", busybox, sizeof(busybox));
		opt->busybox = busybox;
	}
	if (!ret)
		ret = auto_initramfs(opt->busybox);
	if (ret < 0)
		return ret;
	/* The file stays open, since the guest may be started again. */
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", ret);
	opt->initrd = initrd;
	if (opt->default_append) {
		ret = snprintf(append, sizeof(append), AUTO_APPEND "%s%s",
			       *opt->append ? " " : "", opt->append);
		if (ret >= (int)sizeof(append))
			return lv_fail(E2BIG, "--append is too long");
		opt->append = append;
	}
	if (vigil_options.verbose)
		vigil_msg("booting %s, with %s as root file system",
			  opt->kernel, opt->busybox);
	return 0;
}

int vigil_cmd_run(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_run,
		.args_doc = "KERNEL\n--auto [KERNEL]",
		.doc = "Boots KERNEL as a guest: a Linux bzImage, a multiboot kernel, a "
		       "kernel for Xen (PVH) or a flat binary. Its first serial port is this terminal; Ctrl-a x ends it.\v"
		       "Linux gets the command line `console=ttyS0 noapic nolapic acpi=off "
		       "pci=off no_timer_check reboot=k io_delay=none tsc=reliable "
		       "tsc_early_khz=N' and then what --append says.",
		.children = vigil_common_children,
	};
	struct parse p = {
		.opt = {
			.append = "",
			.mem = MEM_DEFAULT,
			.default_append = true,
			.load_addr = FLAT_ADDR,
		},
	};
	int ret, status;

	if (argp_parse(&argp, argc, argv, 0, NULL, &p))
		return VIGIL_EX_USAGE;
	ret = p.opt.auto_root ? prepare_auto(&p.opt) : 0;
	if (ret) {
		vigil_msg("%s", lv_error());
		return ret == -ENOMEM ? VIGIL_EX_OS : VIGIL_EX_INPUT;
	}
	if (kick_init()) {
		vigil_msg("%s", lv_error());
		return VIGIL_EX_OS;
	}
	status = run_guests(&p.opt);
	kick_fini();
	return status;
}
