// SPDX-License-Identifier: GPL-2.0
/* An initramfs: entries, and the files of the host that are put into it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cpio.h"
#include "libvm.h"

#define MAX_FILE (64 << 20)

static void pad4(FILE *out, size_t n)
{
	while (n++ & 3)
		fputc(0, out);
}

static void entry(struct cpio *c, const char *name, unsigned int mode,
		  const void *data, size_t len)
{
	size_t name_len = strlen(name) + 1;

	fprintf(c->out,
		"070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
		++c->ino, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, name_len, 0);
	fwrite(name, 1, name_len, c->out);
	pad4(c->out, 110 + name_len);
	fwrite(data, 1, len, c->out);
	pad4(c->out, len);
}

void cpio_dir(struct cpio *c, const char *name)
{
	entry(c, name, S_IFDIR | 0755, "", 0);
}

void cpio_link(struct cpio *c, const char *name, const char *target)
{
	entry(c, name, S_IFLNK | 0777, target, strlen(target));
}

void cpio_data(struct cpio *c, const char *name, unsigned int mode,
	       const void *data, size_t len)
{
	entry(c, name, S_IFREG | mode, data, len);
}

int cpio_file(struct cpio *c, const char *name, unsigned int mode,
	      const char *path)
{
	struct stat st;
	char *data;
	FILE *f;
	size_t n;

	f = fopen(path, "re");
	if (!f)
		return lv_fail(errno, "cannot open %s: %s", path,
			       strerror(errno));
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) ||
	    st.st_size > MAX_FILE) {
		fclose(f);
		return lv_fail(EINVAL,
			       "%s is not a regular file of at most %d MiB",
			       path, MAX_FILE >> 20);
	}
	data = malloc(st.st_size + 1);
	n = data ? fread(data, 1, st.st_size, f) : 0;
	fclose(f);
	if (!data || n != (size_t)st.st_size) {
		free(data);
		return lv_fail(EIO, "cannot read %s", path);
	}
	cpio_data(c, name, mode, data, n);
	free(data);
	return 0;
}

int cpio_end(struct cpio *c)
{
	entry(c, "TRAILER!!!", 0, "", 0);
	if (fflush(c->out) || ferror(c->out))
		return lv_fail(EIO,
			       "cannot write the guest's root file system");
	return 0;
}
