// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols out of a file: what is one, and by how much KASLR has moved the kernel
 * that runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_guest.h"
#include "libvigil.h"
#include "symtab.h"
#include "tap.h"

static struct vigil_monitor *mon;
static char path[] = "/tmp/symbols-test-XXXXXX";

static FILE *new_file(void)
{
	FILE *f;
	int fd;

	strcpy(path, "/tmp/symbols-test-XXXXXX");
	fd = mkstemp(path);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		ERROR("no temporary file");
	return f;
}

static void write_file(const char *text)
{
	FILE *f = new_file();

	fputs(text, f);
	fclose(f);
}

/* A file of @text is refused, and the message has @hint in it. */
static void refused(const char *text, const char *hint)
{
	struct symtab t = { 0 };

	write_file(text);
	CHECK_EQ(symtab_load_file(&t, path), -ENOEXEC);
	CHECK(strstr(vigil_error(), hint) != NULL);
	symtab_free(&t);
	unlink(path);
}

static void stubs(long arg)
{
	static char zeros[500 * sizeof("0000000000000000 T func_000")];
	struct symtab t = { 0 };
	size_t n = 0;

	refused("ffffffffffffffff B The real System.map is in the linux-image-"
		"dbg package\n",
		"Leave --symbols out");

	/* A user who may not see addresses has dumped /proc/kallsyms: all are 0. */
	for (int i = 0; i < 500; i++)
		n += sprintf(zeros + n, "0000000000000000 T func_%d\n", i);
	refused(zeros, "kptr_restrict");

	refused("hello\nworld\n", "line 2: not");
	CHECK_EQ(symtab_load_file(&t, "/nonexistent"), -ENOENT);
	CHECK_EQ(symtab_load_file(&t, "/tmp"), -EISDIR);
}

static int load_lines(struct symtab *t, const char *text)
{
	int ret;

	memset(t, 0, sizeof(*t));
	write_file(text);
	ret = symtab_load(t, mon, path);
	unlink(path);
	return ret;
}

/* A System.map has addresses as the kernel was linked; the IDT tells the slide. */
#define LINKED 0xffffffff81000000ull

static void write_map(FILE *f)
{
	fprintf(f, "0000000000000000 A __per_cpu_start\n");
	for (int i = 0; i < 300; i++)
		fprintf(f, "%016llx T func_%d\n", LINKED + i * 64, i);
	fprintf(f, "%016llx T asm_exc_divide_error\n", LINKED + 0x10000);
	fprintf(f, "%016llx T asm_exc_page_fault\n", LINKED + 0x10040);
	fclose(f);
}

static void slide(long arg)
{
	struct symtab t = { 0 };

	write_map(new_file());
	memset(mem, 0, sizeof(mem));
	/* The kernel is not up yet; then another kernel's handlers are in the IDT. */
	CHECK_EQ(symtab_load(&t, mon, path), -ENOENT);
	CHECK(strstr(vigil_error(), "KASLR") != NULL);
	put_gate(0, KERNEL_VA + 0x10000);
	put_gate(14, KERNEL_VA + 0x10080);
	CHECK_EQ(symtab_load(&t, mon, path), -ENOENT);

	put_gate(14, KERNEL_VA + 0x10040);
	REQUIRE_EQ(symtab_load(&t, mon, path), 0);
	CHECK_EQ(t.slide, KERNEL_VA - LINKED);
	REQUIRE_EQ(symtab_find(&t, "func_7") != NULL, 1);
	CHECK_EQ(symtab_find(&t, "func_7")->addr, KERNEL_VA + 7 * 64);
	CHECK_EQ(symtab_find(&t, "__per_cpu_start")->addr, 0);
	symtab_free(&t);
	unlink(path);
}

/* The entry of SYSCALL confirms the slide, or tells it where no handler does. */
static void slide_by_syscall(long arg)
{
	struct symtab t = { 0 };
	FILE *f = new_file();

	fprintf(f, "%016llx T entry_SYSCALL_64\n", LINKED + 0x20000);
	write_map(f);
	memset(mem, 0, sizeof(mem));
	put_gate(0, KERNEL_VA + 0x10000);
	put_gate(14, KERNEL_VA + 0x10040);
	lstar = KERNEL_VA + 0x20000;
	REQUIRE_EQ(symtab_load(&t, mon, path), 0);
	CHECK_EQ(t.slide, KERNEL_VA - LINKED);
	symtab_free(&t);
	lstar += 0x40;
	CHECK_EQ(symtab_load(&t, mon, path), -ENOENT);
	CHECK(strstr(vigil_error(), "LSTAR") != NULL);
	unlink(path);

	memset(mem, 0, sizeof(mem));
	REQUIRE_EQ(load_lines(&t, "ffffffff81020000 T entry_SYSCALL_64\n"
				  "ffffffff81234560 D my_table\n"),
		   0);
	CHECK(!t.unmoved);
	CHECK_EQ(t.slide, lstar - LINKED - 0x20000);
	symtab_free(&t);
}

/* A dump of /proc/kallsyms of a 32-bit guest has addresses of 8 digits. */
static void kallsyms32(long arg)
{
	struct symtab t = { 0 };

	for (int moved = 0; moved < 2; moved++) {
		FILE *f = new_file();
		uint32_t by = moved ? 0x1800000 : 0;

		word = 4;
		memset(mem, 0, sizeof(mem));
		fprintf(f, "00000000 A VDSO32_PRELINK\n");
		for (int i = 0; i < 300; i++)
			fprintf(f, "%08x T func_%d\n",
				(uint32_t)KERNEL_VA + i * 64, i);
		fprintf(f, "%08x T asm_exc_divide_error\n",
			(uint32_t)KERNEL_VA + 0x10000);
		fprintf(f, "%08x T asm_exc_page_fault\n",
			(uint32_t)KERNEL_VA + 0x10040);
		fclose(f);
		put_gate32(0, KERNEL_VA + by + 0x10000);
		put_gate32(14, KERNEL_VA + by + 0x10040);
		REQUIRE_EQ(symtab_load(&t, mon, path), 0);
		REQUIRE_EQ(symtab_find(&t, "func_7") != NULL, 1);
		CHECK_EQ(symtab_find(&t, "func_7")->addr,
			 KERNEL_VA + by + 7 * 64);
		CHECK_EQ(symtab_find(&t, "VDSO32_PRELINK")->addr, 0);
		symtab_free(&t);
		unlink(path);
	}
}

static void modules(long arg)
{
	struct symtab t = { 0 };
	const struct symbol *s;

	for (int moved = 0; moved < 2; moved++) {
		FILE *f = new_file();

		fprintf(f, "ffffffffc0201000 t cleanup\t[ext4]\n");
		fprintf(f, "ffffffffc0200000 t init_module\t[nf\033tables]\n");
		fprintf(f, "ffffffffc0200040 t nft_init [nf\033tables]\n");
		write_map(f);
		memset(mem, 0, sizeof(mem));
		put_gate(0, LINKED + 0x10000 + moved * 0x200000);
		put_gate(14, LINKED + 0x10040 + moved * 0x200000);
		REQUIRE_EQ(symtab_load(&t, mon, path), 0);
		s = symtab_find(&t, "cleanup");
		/* of another boot, they are not where the file says */
		CHECK_EQ(s == NULL, moved);
		CHECK_EQ(symtab_find(&t, "nft_init") == NULL, moved);
		if (s) {
			CHECK_EQ(s->addr, 0xffffffffc0201000);
			CHECK_EQ(strcmp(s->module, "ext4"), 0);
			s = symtab_find(&t, "nft_init");
			CHECK_EQ(strcmp(s->module, "nf\\x1btables"), 0);
			CHECK(symtab_find(&t, "func_7")->module == NULL);
		}
		symtab_free(&t);
		unlink(path);
	}
}

static void few(long arg)
{
	struct symtab t;

	memset(mem, 0, sizeof(mem));
	/* Without handlers nothing tells the slide: the addresses count as they are. */
	REQUIRE_EQ(load_lines(&t, "ffffffff81234560 D my_table\n"), 0);
	CHECK_EQ(t.n, 1);
	CHECK(t.unmoved);
	CHECK_EQ(symtab_find(&t, "my_table")->addr, 0xffffffff81234560);
	symtab_free(&t);
	/* One handler of the IDT is enough to tell the slide. */
	put_gate(14, LINKED + 0x200040);
	REQUIRE_EQ(load_lines(&t, "ffffffff81000040 T asm_exc_page_fault\n"
				  "ffffffff81234560 D my_table\n"),
		   0);
	CHECK(!t.unmoved);
	CHECK_EQ(t.slide, 0x200000);
	CHECK_EQ(symtab_find(&t, "my_table")->addr, 0xffffffff81434560);
	symtab_free(&t);
	/* Two handlers that tell different slides are of another kernel. */
	put_gate(0, LINKED);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T asm_exc_page_fault\n"
				"ffffffff81001000 T asm_exc_divide_error\n"),
		 -ENOENT);
	/* Lines that are no symbols are refused, with their number. */
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"ffffffff81000040 T b c\n"),
		 -ENOEXEC);
	CHECK(strstr(vigil_error(), "line 2") != NULL);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"ffffffff81000040 T b []\n"),
		 -ENOEXEC);
	CHECK_EQ(load_lines(&t, "ffffffff81000040 T a\n"
				"-1 T b\n"),
		 -ENOEXEC);
	CHECK_EQ(load_lines(&t, ""), -ENOEXEC);
}

/* This very program serves as an ELF file with symbols. */
static void elf(long arg)
{
	struct symtab t = { 0 };

	REQUIRE_EQ(symtab_load_file(&t, "/proc/self/exe"), 0);
	CHECK(symtab_find(&t, "main") != NULL);
	CHECK(symtab_find(&t, "symtab_load_file") != NULL);
	symtab_free(&t);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "files that are none", stubs },
		{ "slide of a System.map", slide },
		{ "slide by the entry of SYSCALL", slide_by_syscall },
		{ "kallsyms of a 32-bit guest", kallsyms32 },
		{ "symbols of modules", modules },
		{ "files of a few symbols", few },
		{ "ELF", elf },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
