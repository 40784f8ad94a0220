// SPDX-License-Identifier: GPL-2.0
/* What the demos tell while they run. */
#include <stdarg.h>
#include <time.h>

#include "demo.h"

FILE *demo_progress;

void demo_say(const char *fmt, ...)
{
	static struct timespec start;
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!start.tv_sec)
		start = now;
	fprintf(demo_progress, "[%5.1fs] ",
		now.tv_sec - start.tv_sec +
			(now.tv_nsec - start.tv_nsec) / 1e9);
	va_start(ap, fmt);
	vfprintf(demo_progress, fmt, ap);
	va_end(ap);
	fputc('\n', demo_progress);
	fflush(demo_progress);
}
