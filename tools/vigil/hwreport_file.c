// SPDX-License-Identifier: GPL-2.0
/*
 * The report of `vigil hwreport`. A line is on the disk before the next step runs, so
 * that a host that is reset leaves a report that ends in the step that did it.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "hwreport.h"

#define BEGINS ": begins"
#define LINE_MAX_LEN 1024

/* This boot of the host: another value means that it was started anew. */
static void boot_id(char id[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, 63);

	if (fd >= 0)
		close(fd);
	id[n > 0 ? n : 0] = 0;
	id[strcspn(id, "\n")] = 0;
}

/* A new file is safe when its directory is. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, err = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	/* Some file systems have nothing to sync here. */
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

static int keep_old(const char *path)
{
	struct stat st;
	char *old;
	int err = 0;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode)) /* a pipe, a terminal */
		return 0;
	if (asprintf(&old, "%s.old", path) < 0)
		return -ENOMEM;
	if (rename(path, old))
		err = -errno;
	free(old);
	return err;
}

int hwreport_open(struct hwreport *r, const char *path)
{
	char id[64];
	int err = keep_old(path);

	if (err)
		return err;
	*r = (struct hwreport){ .path = path };
	r->fd = open(path,
		     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		     0644);
	if (r->fd < 0)
		return -errno;
	err = sync_directory(path);
	if (err) {
		close(r->fd);
		return err;
	}
	boot_id(id);
	hwreport_line(r, "vigil hwreport, boot %s", id);
	return 0;
}

void hwreport_close(struct hwreport *r)
{
	if (close(r->fd) && !r->err)
		r->err = errno;
}

/* Writes it whole and syncs it; after a failure the report is left as it is. */
static void put(struct hwreport *r, const char *text, size_t len)
{
	while (len && !r->err) {
		ssize_t n = write(r->fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r->err = errno;
			break;
		}
		text += n;
		len -= n;
	}
	/* A pipe or a terminal cannot be synced. */
	if (!r->err && fsync(r->fd) && errno != EINVAL)
		r->err = errno;
}

void hwreport_line(struct hwreport *r, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = ' ';
	line[n++] = '\n';
	fwrite(line, 1, n, stderr);
	put(r, line, n);
}

void hwreport_output(struct hwreport *r, const char *text, size_t len)
{
	/* Each byte is one byte, but for the mark at the start of a line. */
	char *out = malloc(len * 3 + 3);
	size_t n = 0;

	if (!out) {
		r->err = r->err ?: ENOMEM;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (!i || text[i - 1] == '\n') {
			out[n++] = '|';
			out[n++] = ' ';
		}
		out[n++] = c == '\n' || c == '\t' || (c >= ' ' && c < 127) ?
				   c :
				   '?';
	}
	if (len && text[len - 1] != '\n')
		out[n++] = '\n';
	if (vigil_options.verbose)
		fwrite(out, 1, n, stderr);
	put(r, out, n);
	free(out);
}

/* Takes NAME out of "step NAME: begins". */
static bool begins(const char *line, char name[HWREPORT_NAME_MAX])
{
	size_t len = strcspn(line, "\n"), tail = strlen(BEGINS);
	int n;

	if (strncmp(line, "step ", 5) || len < 6 + tail ||
	    strncmp(line + len - tail, BEGINS, tail))
		return false;
	n = len - tail - 5;
	if (n >= HWREPORT_NAME_MAX)
		n = HWREPORT_NAME_MAX - 1;
	snprintf(name, HWREPORT_NAME_MAX, "%.*s", n, line + 5);
	for (char *c = name; *c; c++) /* the file may be anything */
		if (*c < ' ' || *c > '~')
			*c = '?';
	return true;
}

bool hwreport_culprit(const char *path, char name[HWREPORT_NAME_MAX],
		      bool *reset)
{
	char line[LINE_MAX_LEN], was[64] = "", is[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool running = false, whole = true;
	struct stat st;
	FILE *f;

	if (fd < 0)
		return false;
	f = fstat(fd, &st) || !S_ISREG(st.st_mode) ? NULL : fdopen(fd, "r");
	if (!f) {
		close(fd);
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		bool first = whole; /* of the pieces of a long line */

		whole = strchr(line, '\n');
		if (!first)
			continue;
		if (sscanf(line, "vigil hwreport, boot %63s", was) == 1)
			running = false;
		else if (begins(line, name))
			running = true;
		else if (!strncmp(line, "step ", 5) ||
			 !strncmp(line, "end: ", 5))
			running = false;
	}
	fclose(f);
	boot_id(is);
	*reset = strcmp(was, is);
	return running && *was;
}
