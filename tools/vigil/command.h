/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of `vigil` share: the options that every one of them
 * takes, the exit codes, and the shape of an entry in the command table.
 */
#ifndef VIGIL_COMMAND_H
#define VIGIL_COMMAND_H

#include <argp.h>
#include <stdbool.h>

/**
 * enum vigil_exit - exit codes of `vigil`, the same for every subcommand
 * @VIGIL_EX_OK: done; for `run`: the guest powered off or asked for a reset
 * @VIGIL_EX_FAIL: the subcommand's answer is "no" (for example: not found)
 * @VIGIL_EX_SKIPPED: `hwreport`: nothing failed, and not all was looked at
 * @VIGIL_EX_USAGE: bad command line
 * @VIGIL_EX_INPUT: a file that was named cannot be used
 * @VIGIL_EX_DEVICE: no hypervisor behind the device, or it refuses us
 * @VIGIL_EX_OS: the host refused something (memory, threads, timers)
 * @VIGIL_EX_OUTPUT: standard output could not be written
 * @VIGIL_EX_SHUTDOWN: `run`: the guest's CPU shut down (triple fault)
 * @VIGIL_EX_ENTRY: `run`: the CPU refused to enter the guest
 * @VIGIL_EX_INTERNAL: `run`: the hypervisor could not go on with this guest
 * @VIGIL_EX_UNKNOWN: `run`: an exit that this program does not know
 * @VIGIL_EX_CRASH: `run --xen`: the guest says that it has crashed
 * @VIGIL_EX_KILLED: `run`: a monitor has ended the VM
 *
 * A command that a signal ended returns 128 plus the signal's number.
 */
enum vigil_exit {
	VIGIL_EX_OK = 0,
	VIGIL_EX_FAIL = 1,
	VIGIL_EX_SKIPPED = 2,
	VIGIL_EX_USAGE = 64,
	VIGIL_EX_INPUT = 66,
	VIGIL_EX_DEVICE = 69,
	VIGIL_EX_OS = 71,
	VIGIL_EX_OUTPUT = 74,
	VIGIL_EX_SHUTDOWN = 80,
	VIGIL_EX_ENTRY = 81,
	VIGIL_EX_INTERNAL = 82,
	VIGIL_EX_UNKNOWN = 83,
	VIGIL_EX_CRASH = 84,
	VIGIL_EX_KILLED = 85,
};

/**
 * struct vigil_options - options that stand before or after the subcommand
 * @device: --device, or NULL: let lv_open() choose (VIGIL_DEVICE, /dev/vigil)
 * @json: --json: machine-readable output, where the subcommand has one
 * @verbose: -v, may be repeated
 */
struct vigil_options {
	const char *device;
	bool json;
	int verbose;
};

extern struct vigil_options vigil_options;

/* A subcommand's argp.children: they parse the common options into vigil_options. */
extern const struct argp_child vigil_common_children[];

/**
 * vigil_parse_vm() - the argument of a subcommand that takes one VM
 * @key: from argp
 * @arg: from argp
 * @state: from argp
 * @vm: where the VM is to be noted; NULL before
 *
 * Return: what the subcommand's parser returns.
 */
error_t vigil_parse_vm(int key, char *arg, struct argp_state *state,
		       const char **vm);

/**
 * struct vigil_command - one row of the command table in main.c
 * @name: what the user types
 * @run: gets argv[0] = "vigil NAME", returns an exit code (enum vigil_exit)
 * @help: one line for `vigil --help`
 */
struct vigil_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

/* Each subcommand's function, in the file that has its name. */
int vigil_cmd_run(int argc, char **argv);
int vigil_cmd_list(int argc, char **argv);
int vigil_cmd_regs(int argc, char **argv);
int vigil_cmd_pause(int argc, char **argv);
int vigil_cmd_resume(int argc, char **argv);
int vigil_cmd_stat(int argc, char **argv);
int vigil_cmd_hypercalls(int argc, char **argv);
int vigil_cmd_xtf(int argc, char **argv);
int vigil_cmd_symbols(int argc, char **argv);
int vigil_cmd_watch(int argc, char **argv);
int vigil_cmd_demo(int argc, char **argv);
int vigil_cmd_hwreport(int argc, char **argv);

/* Says "vigil: ..." on stderr (a newline is added). */
void vigil_msg(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * For code that writes to standard output without stdio: records the errno of a
 * failed write. The caller prints it on stderr, and the command ends with
 * VIGIL_EX_OUTPUT where it would end with VIGIL_EX_OK. Return: is this the
 * first?
 */
bool vigil_output_failed(int err);

#endif
