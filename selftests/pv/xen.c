// SPDX-License-Identifier: GPL-2.0
/*
 * `vigil run --xen' with a guest that uses what Xen offers, and `vigil xtf' with a
 * checkout that has this guest as its only test.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#undef PF_W /* a bit of #PF's error code has this name too */
#include "guest.h"
#include "sh.h"

DECLARE_PAYLOAD(xen_guest);
DECLARE_PAYLOAD(xen_hello);

#define BASE 0x100000
#define DIR "/tmp/pv-xen"
#define IMAGE DIR "/tests/mine/test-hvm32-mine"

static char out[1 << 16];

/* The exit status of a shell command, with all that it prints in @out. */
static int sh(const char *cmd)
{
	char line[512];

	snprintf(line, sizeof(line), "{ %s; } 2>&1", cmd);
	return sh_run(line, out, sizeof(out));
}

static void says(const char *text)
{
	if (!strstr(out, text))
		FAIL("no `%s' in: %s", text, out);
}

static void run(const char *cmd, int want)
{
	int status = sh(cmd);

	if (status != want)
		FAIL("%s: exit status %d, not %d: %s", cmd, status, want, out);
}

struct image {
	Elf32_Ehdr e;
	Elf32_Phdr p[2];
	struct {
		Elf32_Nhdr n;
		char owner[4];
		uint32_t entry;
	} note;
};

/* An ELF file around the guest, with the note that names its entry point. */
static void write_image(const char *path)
{
	size_t size = pl_xen_guest_end - pl_xen_guest;
	struct image i = {
		.e = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32,
				     ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_version = EV_CURRENT,
			.e_entry = BASE,
			.e_phoff = offsetof(struct image, p),
			.e_ehsize = sizeof(Elf32_Ehdr),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 2,
		},
		.p = { {
			.p_type = PT_LOAD,
			.p_offset = sizeof(struct image),
			.p_vaddr = BASE,
			.p_paddr = BASE,
			.p_filesz = size,
			.p_memsz = size,
		}, {
			.p_type = PT_NOTE,
			.p_offset = offsetof(struct image, note),
			.p_filesz = sizeof(i.note),
		} },
		.note = {
			.n = { 4, 4, 18 },
			.owner = "Xen",
			.entry = BASE,
		},
	};
	FILE *f = fopen(path, "w");

	if (!f || fwrite(&i, sizeof(i), 1, f) != 1 ||
	    fwrite(pl_xen_guest, size, 1, f) != 1 || fclose(f))
		ERROR("cannot write the guest");
}

static void begin(void)
{
	FILE *f;

	if (test_on_kvm())
		SKIP("--xen needs vigil's hypercalls");
	setenv("VIGIL_DEVICE", opts.dev, 1);
	sh("rm -rf " DIR "; mkdir -p " DIR "/tests/mine");
	write_image(IMAGE);
	f = fopen(DIR "/tests/mine/info.json", "w");
	if (!f ||
	    fputs("{ \"name\": \"mine\", \"category\": \"special\", "
		  "\"environments\": [ \"hvm32\", \"hvm64\", \"pv64\" ] }",
		  f) < 0 ||
	    fclose(f))
		ERROR("cannot write info.json");
}

/* Memory, events, timers and both consoles; then the guest powers off. */
static void seen(long unused)
{
	begin();
	run("vigil run --xen -m 8 " IMAGE " </dev/null", 0);
	says("console_io: hello\n");
	says("event: told\n");
	says("timer: expired\n");
	says("ring: hello\n");
}

/* The document's guest prints from user mode, if the VM's creator lets it. */
static void hello(long unused)
{
	size_t size = pl_xen_hello_end - pl_xen_hello;
	FILE *f;

	begin();
	f = fopen(DIR "/hello", "w");
	if (!f || fwrite(pl_xen_hello, size, 1, f) != 1 || fclose(f))
		ERROR("cannot write the guest");
	run("vigil run --xen --max-iopl 3 " DIR "/hello </dev/null", 0);
	says("Hello from user mode, without an IDT.\n");
	/* The page that it opens makes calls by INT 0x82 then. */
	run("vigil run --xen --max-iopl 3 --int82 " DIR "/hello </dev/null", 0);
	says("Hello from user mode, without an IDT.\n");
	/* Refused calls return, and behind the last one there is no code. */
	if (!sh("timeout 60 vigil run --xen " DIR "/hello </dev/null") ||
	    strstr(out, "Hello"))
		FAIL("the guest was not refused: %s", out);
}

/*
 * A user program without an interrupt table talks through console_io, through the ring
 * with its event channel, and where IOPL lets it through the port.
 */
static void user_program(long unused)
{
	begin();
	/* Once the ring is in use, what console_io prints is for --verbose. */
	run("vigil --verbose run --xen --max-iopl 3 -m 8 --append user " IMAGE
	    " </dev/null",
	    0);
	says("user: console_io\n");
	says("user: ring\n");
	says("user: port\n");
	/* Its #GP finds no handler, and no #DF either. */
	if (!sh("timeout 60 vigil run --xen --max-iopl 3 -m 8 --append port " IMAGE
		" </dev/null"))
		FAIL("the port was open: %s", out);
	says("user: ring\n");
	if (strstr(out, "user: port\n"))
		FAIL("the port was open: %s", out);
}

static void ends(long unused)
{
	begin();
	run("vigil run --xen -m 8 --append crash " IMAGE " </dev/null", 84);
	says("the guest says that it has crashed");
	says("rip ");
	run("vigil run --xen --json -m 8 --append reset " IMAGE " </dev/null",
	    0);
	says("\"outcome\":\"reset\"");
}

/* Input comes by the ring as soon as the guest uses it. */
static void input(long unused)
{
	begin();
	run("echo x | vigil run --xen -m 8 --append input " IMAGE, 0);
	says("input: x\n");
}

static void without(long unused)
{
	begin();
	run("vigil run -m 8 --max-iopl 1 " IMAGE " </dev/null", 64);
	says("is for --xen");
	run("vigil run -m 8 --forced-emulation " IMAGE " </dev/null", 64);
	run("vigil run -m 8 --int82 " IMAGE " </dev/null", 64);
}

static void framework(long unused)
{
	begin();
	run("vigil xtf --list " DIR, 0);
	says("hvm32-mine\tspecial\n");
	run("vigil xtf " DIR " </dev/null", 0);
	says("1..1\nok 1 - hvm32-mine\n");
	says("left out: 1; not built: 1\n");
	says("\n1 passed, 0 failed, 0 skipped\n");
	run("vigil xtf --test hvm32-mine --json " DIR " </dev/null", 0);
	says("\"result\":\"success\"");
	says("ring: hello\\n");
	run("vigil xtf --test yours " DIR, 66);
	run("vigil xtf --paging nested " DIR, 64);
	run("vigil xtf /nowhere", 66);
	says("checkout of the Xen Test Framework");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "a guest that uses what Xen offers", seen },
		{ "the guest of the document", hello },
		{ "a user program and three consoles", user_program },
		{ "a crash and a reset", ends },
		{ "input", input },
		{ "without --xen", without },
		{ "vigil xtf", framework },
		{}
	};

	return test_main(argc, argv, cases);
}
