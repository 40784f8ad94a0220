// SPDX-License-Identifier: GPL-2.0
/* Symbols from files: System.map, a dump of /proc/kallsyms, ELF. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"
#include "symtab.h"

#define MAX_SYMBOLS 4000000

static int placeholder(const char *path)
{
	return vigil_lib_fail(
		ENOEXEC,
		"%s has no symbols: a placeholder, as Debian's "
		"/boot/System.map is. Leave --symbols out (vigil finds the symbols in "
		"the guest's memory), or take /usr/lib/debug/boot/System.map-* of the "
		"package linux-image-*-dbg",
		path);
}

/* Ends the word at *p with a NUL and moves *p behind the space that followed. */
static char *next_word(char **p)
{
	char *word = *p + strspn(*p, " \t\r\n");
	size_t len = strcspn(word, " \t\r\n");

	*p = word + len;
	if (**p)
		*(*p)++ = 0;
	return word;
}

/* "ADDRESS TYPE NAME" or "ADDRESS TYPE NAME [MODULE]", and nothing behind */
static bool parse_line(char *line, struct symbol *s)
{
	char *addr = next_word(&line), *type = next_word(&line);
	char *name = next_word(&line), *module = next_word(&line), *end;
	size_t len = strlen(module);

	errno = 0;
	s->addr = strtoull(addr, &end, 16);
	if (errno || *end || end == addr || *addr == '-' || *addr == '+')
		return false;
	if (strlen(type) != 1 || !*name || strlen(name) > SYMTAB_NAME_MAX)
		return false;
	s->type = *type;
	s->name = name;
	s->module = NULL;
	if (!len)
		return true;
	if (len < 3 || *module != '[' || module[len - 1] != ']' ||
	    *next_word(&line))
		return false;
	module[len - 1] = 0;
	s->module = module + 1;
	return true;
}

/* Reads lines of symbols: 8 digits of 32-bit kernels, 16 of others. */
static int load_text(struct symtab *t, FILE *f, const char *path)
{
	unsigned int number = 0, zero = 0;
	size_t room = 0;
	char *line = NULL;
	int ret = 0;

	while (!ret && getline(&line, &room, f) > 0) {
		struct symbol s;

		number++;
		if (!parse_line(line, &s)) {
			/* A placeholder has one line, of any text. */
			if (number == 1)
				continue;
			ret = vigil_lib_fail(
				ENOEXEC, "%s, line %u: not `ADDRESS TYPE NAME'",
				path, number);
		} else if (t->n == MAX_SYMBOLS) {
			ret = vigil_lib_fail(ENOEXEC, "%s has too many symbols",
					     path);
		} else {
			zero += !s.addr;
			ret = symtab_add(t, s.addr, s.type, s.name, s.module);
		}
	}
	free(line);
	if (ret)
		return ret;
	if (!t->n)
		return placeholder(path);
	if (zero > t->n / 2)
		return vigil_lib_fail(
			ENOEXEC,
			"%s has no addresses: it was read without the right "
			"to see them. Read /proc/kallsyms as root, with "
			"kernel.kptr_restrict at 1 or 0",
			path);
	return 0;
}

static char elf_type(const GElf_Sym *s)
{
	if (s->st_shndx == SHN_ABS)
		return 'A';
	return GELF_ST_TYPE(s->st_info) == STT_FUNC ? 'T' : 'D';
}

static int load_section(struct symtab *t, Elf *elf, Elf_Scn *scn,
			const GElf_Shdr *head)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t i, n;
	int ret = 0;

	if (!data || !head->sh_entsize)
		return vigil_lib_fail(ENOEXEC,
				      "the ELF symbol table cannot be read");
	n = head->sh_size / head->sh_entsize;
	for (i = 0; !ret && i < n && i < MAX_SYMBOLS; i++) {
		const char *name;
		GElf_Sym s;

		if (!gelf_getsym(data, i, &s))
			break;
		if (s.st_shndx == SHN_UNDEF ||
		    GELF_ST_TYPE(s.st_info) > STT_FUNC || !s.st_value)
			continue;
		name = elf_strptr(elf, head->sh_link, s.st_name);
		if (name && *name && strlen(name) <= SYMTAB_NAME_MAX)
			ret = symtab_add(t, s.st_value, elf_type(&s), name,
					 NULL);
	}
	return ret;
}

static int load_elf(struct symtab *t, int fd, const char *path)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr head;
	int ret = 0;
	Elf *elf;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return vigil_lib_fail(ENOSYS, "libelf is too old");
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return vigil_lib_fail(ENOEXEC, "%s: %s", path, elf_errmsg(-1));
	while (!ret && (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &head) && head.sh_type == SHT_SYMTAB)
			ret = load_section(t, elf, scn, &head);
	elf_end(elf);
	if (!ret && !t->n)
		return vigil_lib_fail(
			ENOEXEC,
			"%s was stripped of its symbols: take a vmlinux with "
			"them, or leave --symbols out",
			path);
	return ret;
}

int symtab_load_file(struct symtab *t, const char *path)
{
	char magic[4] = "";
	struct stat st;
	int fd, ret;
	FILE *f;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return vigil_lib_fail(errno, "cannot open %s: %s", path,
				      strerror(errno));
	if (fstat(fd, &st) || S_ISDIR(st.st_mode)) {
		close(fd);
		return vigil_lib_fail(EISDIR, "%s is not a file", path);
	}
	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	    !memcmp(magic, ELFMAG, SELFMAG)) {
		ret = load_elf(t, fd, path);
		close(fd);
	} else {
		f = fdopen(fd, "r");
		if (!f) {
			close(fd);
			return vigil_lib_fail(ENOMEM, "out of memory");
		}
		ret = load_text(t, f, path);
		fclose(f);
	}
	if (ret)
		return ret;
	snprintf(t->origin, sizeof(t->origin), "%s", path);
	return symtab_sort(t);
}
