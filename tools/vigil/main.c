// SPDX-License-Identifier: GPL-2.0
/*
 * vigil - the command. Parses the common options, finds the subcommand in the
 * table and hands the rest of the command line to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static int cmd_help(int argc, char **argv);

/* The command table: one row per subcommand, in the order of --help. */
static const struct vigil_command commands[] = {
	{ "run", vigil_cmd_run,
	  "boot a kernel as a guest, serial port on this terminal" },
	{ "list", vigil_cmd_list, "the VMs that you may attach to" },
	{ "watch", vigil_cmd_watch,
	  "tell, ask about or refuse writes to a guest's memory" },
	{ "symbols", vigil_cmd_symbols,
	  "symbols of the kernel that runs in a guest" },
	{ "regs", vigil_cmd_regs,
	  "registers of a guest, the hidden parts too; sets them" },
	{ "pause", vigil_cmd_pause, "have a guest stand still" },
	{ "resume", vigil_cmd_resume, "go on with a guest that was paused" },
	{ "stat", vigil_cmd_stat, "what the hypervisor counted for a guest" },
	{ "hypercalls", vigil_cmd_hypercalls,
	  "which hypercalls a guest has, and who may make them" },
	{ "xtf", vigil_cmd_xtf, "run the images of the Xen Test Framework" },
	{ "demo", vigil_cmd_demo,
	  "a rootkit's write, told of and then refused" },
	{ "hwreport", vigil_cmd_hwreport,
	  "test this host, one text file; nothing is sent anywhere" },
	{ "help", cmd_help, "this, or what COMMAND --help says" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct vigil_options vigil_options;

const char *argp_program_version = "vigil " VIGIL_VERSION;

void vigil_msg(const char *fmt, ...)
{
	va_list ap;

	fputs("vigil: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static const struct argp_option common_options[] = {
	{ "device", 'D', "PATH", 0,
	  "Hypervisor to use (default: $VIGIL_DEVICE, else /dev/vigil); "
	  "/dev/kvm works for `run'",
	  0 },
	{ "json", 'j', NULL, 0, "Machine-readable output", 0 },
	{ "verbose", 'v', NULL, 0, "Say more on stderr; may be repeated", 0 },
	{ 0 }
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'D':
		if (!*arg)
			argp_error(state, "--device needs a path");
		vigil_options.device = arg;
		return 0;
	case 'j':
		vigil_options.json = true;
		return 0;
	case 'v':
		vigil_options.verbose++;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp common_argp = { common_options, parse_common };

const struct argp_child vigil_common_children[] = { { &common_argp, 0,
						      "Common options:", 10 },
						    { 0 } };

error_t vigil_parse_vm(int key, char *arg, struct argp_state *state,
		       const char **vm)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (*vm)
			argp_error(state, "`%s' is one argument too many", arg);
		*vm = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which VM? (vigil list)");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct vigil_command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int run_command(const struct vigil_command *cmd, int argc, char **argv)
{
	char *old = argv[0];
	char name[64];
	int ret;

	snprintf(name, sizeof(name), "vigil %s", cmd->name);
	argv[0] = name;
	ret = cmd->run(argc, argv);
	argv[0] = old;
	return ret;
}

/* Makes the text of `vigil --help` from the command table. */
static char *help_filter(int key, const char *text, void *input)
{
	char *buf = NULL;
	size_t len = 0;
	FILE *f;

	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&buf, &len);
	if (!f)
		return (char *)text;
	fputs("Commands:\n", f);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].help);
	fputs("\n`vigil COMMAND --help' explains one command.\n"
	      "\nExit status: 0 done, 1 the answer is no, 2 not all was looked at, 64 bad command line, 66 file\n"
	      "cannot be used, 69 no hypervisor, 71 host error, 74 standard output cannot\n"
	      "be written; `run' adds 80 triple fault, 81 entry refused, 82 hypervisor\n"
	      "error, 83 unknown exit, 84 the guest says that it has crashed, 85 a monitor "
	      "has ended the VM; 128+N ended by signal N.",
	      f);
	if (fclose(f)) {
		free(buf);
		return (char *)text;
	}
	return buf;
}

struct main_args {
	const struct vigil_command *cmd;
	int index;
};

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct main_args *args = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		args->cmd = find_command(arg);
		if (!args->cmd)
			argp_error(state, "there is no command `%s'", arg);
		/* The rest of the line belongs to the command. */
		args->index = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_usage(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int exit_code; /* of the subcommand */
static int output_err; /* of a write that did not go through stdio */

bool vigil_output_failed(int err)
{
	bool first = !output_err;

	if (first)
		output_err = err;
	return first;
}

/*
 * A failed write shows at the latest when stdout is closed. This runs at every
 * exit, also where argp has printed a help text and called exit(). A closed
 * standard output is no error if nothing was written.
 */
static void close_stdout(void)
{
	bool pending = __fpending(stdout), failed = ferror(stdout);
	bool told = output_err; /* and the message is out */

	errno = 0;
	if (fclose(stdout) && (pending || errno != EBADF))
		failed = true;
	if (failed && !told)
		vigil_msg("cannot write standard output: %s",
			  errno ? strerror(errno) : "some of it is lost");
	if (failed || told)
		_exit(exit_code ?: VIGIL_EX_OUTPUT);
}

/*
 * open() returns the lowest closed descriptor: if that were 1 or 2, text for
 * people would go to the hypervisor's device. So closed standard descriptors
 * are opened in a mode in which their use fails.
 */
static void occupy_standard_fds(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd ? O_RDONLY : O_WRONLY);
}

static const struct argp_child main_children[] = { { &common_argp }, { 0 } };
static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND [ARG...]",
	.doc = "Run guests on the vigil hypervisor and watch what they write "
	       "to their memory.\vcommands",
	.children = main_children,
	.help_filter = help_filter,
};

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	const struct vigil_command **cmd = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*cmd)
		argp_error(state, "`%s' is one argument too many", arg);
	*cmd = find_command(arg);
	if (!*cmd)
		argp_error(state, "there is no command `%s'", arg);
	return 0;
}

static int cmd_help(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_help,
		.args_doc = "[COMMAND]",
		.doc = "Explains COMMAND, as `vigil COMMAND --help' does, or lists them all.",
		.children = vigil_common_children,
	};
	const struct vigil_command *cmd = NULL;
	char *ask[] = { NULL, "--help", NULL };

	if (argp_parse(&argp, argc, argv, 0, NULL, &cmd))
		return VIGIL_EX_USAGE;
	if (cmd)
		return run_command(cmd, 2, ask);
	argp_help(&main_argp, stdout, ARGP_HELP_STD_HELP, "vigil");
	return VIGIL_EX_OK;
}

int main(int argc, char **argv)
{
	struct main_args args = { 0 };

	occupy_standard_fds();
	atexit(close_stdout);
	if (argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &args))
		return VIGIL_EX_USAGE;
	exit_code = run_command(args.cmd, argc - args.index, argv + args.index);
	return exit_code;
}
