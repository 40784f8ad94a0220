/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP for the unit tests: each result is printed as it comes, the closing line
 * at the end.
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int unit_passed, unit_failed, unit_skipped;

/* Prints a result. The text names the case. */
__attribute__((format(printf, 2, 3), unused)) static bool
unit_result(bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		unit_passed++;
	else
		unit_failed++;
	printf("%sok %u - ", ok ? "" : "not ",
	       unit_passed + unit_failed + unit_skipped);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	return ok;
}

__attribute__((unused)) static void unit_skip(const char *what, const char *why)
{
	unit_skipped++;
	printf("ok %u - %s # SKIP %s\n",
	       unit_passed + unit_failed + unit_skipped, what, why);
	fflush(stdout);
}

/* Prints the closing line. Returns the exit status of main(). */
__attribute__((unused)) static int unit_end(void)
{
	printf("1..%u\n%u passed, %u failed, %u skipped\n",
	       unit_passed + unit_failed + unit_skipped, unit_passed,
	       unit_failed, unit_skipped);
	return unit_failed ? 1 : 0;
}

#endif /* UNIT_UNIT_H */
