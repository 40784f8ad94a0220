// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <sys/wait.h>

#include "sh.h"
#include "tap.h"

int sh_run(const char *cmd, char *out, size_t size)
{
	size_t n = 0, got;
	int status;
	FILE *p;

	fflush(NULL);
	p = popen(cmd, "r");
	if (!p)
		ERROR("cannot start a command");
	while ((got = fread(out + n, 1, size - 1 - n, p)))
		n += got;
	out[n] = 0;
	status = pclose(p);
	if (!WIFEXITED(status))
		ERROR("%s: ended by a signal", cmd);
	return WEXITSTATUS(status);
}
