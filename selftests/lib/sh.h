/* SPDX-License-Identifier: GPL-2.0 */
/* Shell commands of tests. */
#ifndef SELFTESTS_SH_H
#define SELFTESTS_SH_H

#include <stddef.h>

/*
 * Runs a shell command, which has @size bytes for its standard output and a NUL at
 * @out. Returns its exit status; a command that a signal ended is an error of the test.
 */
int sh_run(const char *cmd, char *out, size_t size);

#endif
