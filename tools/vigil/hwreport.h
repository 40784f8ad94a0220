/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of `vigil hwreport`: the report, a file of which every line is on the
 * disk before the next thing happens; one step, which is a program; and the state of
 * the host's CPUs.
 */
#ifndef VIGIL_HWREPORT_H
#define VIGIL_HWREPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HWREPORT_NAME_MAX 32
#define HWREPORT_REASON_MAX 200

/**
 * struct hwreport - the report, while it is written
 * @path: where it is
 * @fd: the file
 * @err: errno of the first write that failed; nothing is written after it
 */
struct hwreport {
	const char *path;
	int fd;
	int err;
};

/**
 * enum hwreport_end - how a step ended
 * @HWREPORT_OK: all that it looked at is right
 * @HWREPORT_FAILED: something is wrong, or the step could not do its work
 * @HWREPORT_SKIPPED: nothing was looked at
 */
enum hwreport_end {
	HWREPORT_OK,
	HWREPORT_FAILED,
	HWREPORT_SKIPPED,
};

/**
 * struct hwreport_step - one program of the directory with the steps
 * @name: of the file, without the number that it begins with
 * @path: of the file
 * @limit_s: seconds that it may take
 * @end: how it ended
 * @reason: why it failed or was skipped
 */
struct hwreport_step {
	char name[HWREPORT_NAME_MAX];
	char *path;
	unsigned int limit_s;
	enum hwreport_end end;
	char reason[HWREPORT_REASON_MAX];
};

/* Opens the report; a file of this name becomes FILE.old. 0 or a negative errno. */
int hwreport_open(struct hwreport *r, const char *path);
void hwreport_close(struct hwreport *r);
/* Writes one line to the report and to standard error, and syncs the report. */
void hwreport_line(struct hwreport *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what a step has printed: the report alone, each line behind "| ". */
void hwreport_output(struct hwreport *r, const char *text, size_t len);

/**
 * hwreport_culprit() - the step in which the last report ends
 * @path: of the report, which need not exist
 * @name: where the step's name is put
 * @reset: has the host been started anew since?
 *
 * Return: is there a report whose last step has no result?
 */
bool hwreport_culprit(const char *path, char name[HWREPORT_NAME_MAX],
		      bool *reset);

/**
 * hwreport_run_step() - run one step and what it wants undone
 * @r: the report
 * @step: the step; @end and @reason are set
 * @work: directory for what steps leave to each other
 * @signals: signalfd of the signals that end the command
 *
 * Return: the signal that came, or 0.
 */
int hwreport_run_step(struct hwreport *r, struct hwreport_step *step,
		      const char *work, int signals);

/**
 * struct hwreport_value - one MSR of one CPU
 * @cpu: number of the CPU
 * @name: of the MSR
 * @value: what it held
 */
struct hwreport_value {
	unsigned int cpu;
	const char *name;
	uint64_t value;
};

/**
 * struct hwreport_state - MSRs of all CPUs, as the msr driver reads them
 * @n: how many values
 * @value: them
 * @cpus: of how many CPUs
 * @why: why there are none
 */
struct hwreport_state {
	size_t n;
	struct hwreport_value *value;
	unsigned int cpus;
	char why[HWREPORT_REASON_MAX];
};

void hwreport_state_take(struct hwreport_state *s);
void hwreport_state_free(struct hwreport_state *s);
void hwreport_state_print(struct hwreport *r, const struct hwreport_state *s);
/* Writes what differs to the report. Return: how many values. */
unsigned int hwreport_state_compare(struct hwreport *r,
				    const struct hwreport_state *before,
				    const struct hwreport_state *after);

#endif
