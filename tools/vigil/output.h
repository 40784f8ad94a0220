/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Standard output of a command that runs for long. A reader that is gone, a
 * full disk and a reader that does not read are different errors, and a signal
 * ends the wait for a reader that does not read.
 */
#ifndef VIGIL_OUTPUT_H
#define VIGIL_OUTPUT_H

#include <stddef.h>

/**
 * struct output - where records go
 * @fd: where to
 * @sigfd: a signalfd; when it has something, nobody waits for a slow reader
 * @err: of the first write that failed (errno); from then on nothing is written,
 *	so that no line follows the torso of another
 * @unseen: records that were not written
 */
struct output {
	int fd, sigfd;
	int err;
	unsigned long unseen;
};

/**
 * output_write() - write one record
 * @out: where to
 * @text: the record
 * @len: bytes of it
 *
 * Return: 0; -ECANCELED: a signal came while the reader did not read; else
 * -errno of a failed write, once. Later calls count in @unseen and return 0.
 */
int output_write(struct output *out, const char *text, size_t len);

#endif
