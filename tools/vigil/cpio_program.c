// SPDX-License-Identifier: GPL-2.0
/* A program with its loader and its shared libraries, into an initramfs. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpio.h"
#include "libvm.h"

#define MAX_FILES 64

/* The folders in which a loader without a configuration looks. */
static const char *const folders[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
};

#define N_FOLDERS (sizeof(folders) / sizeof(folders[0]))

/**
 * struct loaded - files that a program needs
 * @program: for messages
 * @path: in the host; the first is the program
 * @n: how many; each is looked at once, so a circle of libraries ends
 */
struct loaded {
	const char *program;
	char *path[MAX_FILES];
	unsigned int n;
};

static int add_path(struct loaded *l, const char *path)
{
	unsigned int i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->path[i], path))
			return 0;
	if (l->n == MAX_FILES)
		return lv_fail(ENOEXEC, "%s needs more than %d files",
			       l->program, MAX_FILES);
	l->path[l->n] = strdup(path);
	if (!l->path[l->n])
		return lv_fail(ENOMEM, "out of memory");
	l->n++;
	return 0;
}

static int add_library(struct loaded *l, const char *name)
{
	char path[512];
	unsigned int i;

	if (*name == '/')
		return add_path(l, name);
	for (i = 0; i < N_FOLDERS; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		if (strlen(name) < 256 && !access(path, R_OK))
			return add_path(l, path);
	}
	return lv_fail(ENOENT,
		       "%s needs the library %s, which is not where libraries "
		       "are; a static program needs none",
		       l->program, name);
}

static int broken(const char *path)
{
	return lv_fail(ENOEXEC, "%s is a program, but a damaged one", path);
}

/* Adds the loader that the program names. */
static int add_interpreter(struct loaded *l, Elf *elf, const char *path)
{
	const char *file;
	size_t n, i, size;
	GElf_Phdr ph;

	file = elf_rawfile(elf, &size);
	if (!file || elf_getphdrnum(elf, &n) || !n)
		return broken(path);
	for (i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, i, &ph))
			return broken(path);
		if (ph.p_type != PT_INTERP)
			continue;
		if (ph.p_offset >= size || ph.p_filesz > size - ph.p_offset ||
		    !memchr(file + ph.p_offset, 0, ph.p_filesz) ||
		    file[ph.p_offset] != '/')
			return broken(path);
		return add_path(l, file + ph.p_offset);
	}
	return 0;
}

static int add_dynamic(struct loaded *l, Elf *elf, Elf_Scn *scn,
		       const GElf_Shdr *sh, const char *path)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Dyn dyn;
	int i, ret = 0;

	for (i = 0; data && !ret && gelf_getdyn(data, i, &dyn); i++) {
		const char *name;

		if (dyn.d_tag != DT_NEEDED)
			continue;
		name = elf_strptr(elf, sh->sh_link, dyn.d_un.d_val);
		ret = name ? add_library(l, name) : broken(path);
	}
	return ret;
}

static int add_needed(struct loaded *l, Elf *elf, const char *path)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	int ret;

	if (elf_kind(elf) != ELF_K_ELF)
		return lv_fail(ENOEXEC, "%s is not a program", path);
	ret = add_interpreter(l, elf, path);
	while (!ret && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_DYNAMIC)
			ret = add_dynamic(l, elf, scn, &sh, path);
	return ret;
}

static int look_into(struct loaded *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	Elf *elf;

	if (fd < 0)
		return lv_fail(errno, "cannot open %s: %s", path,
			       strerror(errno));
	elf = elf_begin(fd, ELF_C_READ, NULL);
	ret = elf ? add_needed(l, elf, path) :
		    lv_fail(ENOEXEC, "%s is not a program", path);
	elf_end(elf);
	close(fd);
	return ret;
}

/* Adds the folders above @name. */
static void add_folders(struct cpio *c, const char *name)
{
	const char *slash = name;
	char dir[512];

	while ((slash = strchr(slash, '/'))) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - name), name);
		cpio_dir(c, dir);
		slash++;
	}
}

int cpio_program(struct cpio *c, const char *name, const char *path)
{
	struct loaded l = { .program = path };
	unsigned int i;
	int ret;

	elf_version(EV_CURRENT);
	ret = add_path(&l, path);
	for (i = 0; !ret && i < l.n; i++)
		ret = look_into(&l, l.path[i]);
	for (i = 0; !ret && i < l.n; i++) {
		const char *as = i ? l.path[i] + 1 : name;

		add_folders(c, as);
		ret = cpio_file(c, as, 0755, l.path[i]);
	}
	for (i = 0; i < l.n; i++)
		free(l.path[i]);
	return ret;
}
