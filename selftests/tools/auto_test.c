// SPDX-License-Identifier: GPL-2.0
/*
 * What `vigil run --auto' boots: which kernel, which busybox, and the root file
 * system, as the archive that a kernel would unpack.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libvm.h>

#include "cpio.h"
#include "run_auto.h"
#include "tap.h"

static char top[] = "/tmp/auto-test-XXXXXX";

static void make_top(void)
{
	if (!mkdtemp(top) || chmod(top, 0755))
		ERROR("no directory: %s", strerror(errno));
}

static void drop_top(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	if (system(cmd))
		ERROR("cannot remove %s", top);
}

/* A file of the host that @top stands for, with the folders above it. */
static void put(const char *name, const void *data, size_t len)
{
	char path[256], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", top, name);
	for (slash = path + sizeof(top); (slash = strchr(slash, '/'));
	     slash++) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		ERROR("cannot write %s", path);
}

/* ---- what is found ---- */

static void expect_path(int ret, const char *path, const char *want)
{
	char full[300];

	snprintf(full, sizeof(full), "%s%s", top, want);
	if (ret || strcmp(path, full))
		FAIL("found %s (%d), not %s", path, ret, full);
}

static void kernels(long arg)
{
	char path[512], name[128];
	struct utsname host;

	make_top();
	uname(&host);
	CHECK_EQ(auto_kernel(top, path, sizeof(path)), -ENOENT);
	CHECK(strstr(lv_error(), host.release) != NULL);
	CHECK(strstr(lv_error(), "vigil run --auto KERNEL") != NULL);
	/* Each file that is added is preferred to those of before. */
	put("/boot/vmlinuz", "k", 1);
	expect_path(auto_kernel(top, path, sizeof(path)), path,
		    "/boot/vmlinuz");
	put("/vmlinuz", "k", 1);
	expect_path(auto_kernel(top, path, sizeof(path)), path, "/vmlinuz");
	snprintf(name, sizeof(name), "/lib/modules/%s/vmlinuz", host.release);
	put(name, "k", 1);
	expect_path(auto_kernel(top, path, sizeof(path)), path, name);
	snprintf(name, sizeof(name), "/boot/vmlinuz-%s", host.release);
	put(name, "k", 1);
	expect_path(auto_kernel(top, path, sizeof(path)), path, name);
	drop_top();
}

/* Ubuntu lets only root read its kernels: vigil says so, and takes no older one. */
static void unreadable(long arg)
{
	char path[512], name[128], file[256];
	struct utsname host;

	make_top();
	uname(&host);
	put("/vmlinuz", "k", 1);
	snprintf(name, sizeof(name), "/boot/vmlinuz-%s", host.release);
	put(name, "k", 1);
	snprintf(file, sizeof(file), "%s%s", top, name);
	chmod(file, 0);
	if (!getuid()) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(setuid(65534) ? 1 :
			      auto_kernel(top, path, sizeof(path)) != -EACCES ?
					      2 :
			      !strstr(lv_error(), "as root") ? 3 :
							       0);
		waitpid(pid, &status, 0);
		CHECK_EQ(status, 0);
	} else {
		CHECK_EQ(auto_kernel(top, path, sizeof(path)), -EACCES);
	}
	drop_top();
}

static void busyboxes(long arg)
{
	char path[512];

	make_top();
	CHECK_EQ(auto_busybox(top, path, sizeof(path)), -ENOENT);
	CHECK(strstr(lv_error(), "apt install busybox-static") != NULL);
	put("/usr/bin/busybox", "b", 1);
	expect_path(auto_busybox(top, path, sizeof(path)), path,
		    "/usr/bin/busybox");
	put("/bin/busybox", "b", 1);
	expect_path(auto_busybox(top, path, sizeof(path)), path,
		    "/bin/busybox");
	drop_top();
}

/* ---- the archive, as the kernel reads it ---- */

struct file {
	char name[256];
	unsigned int ino, mode, nlink;
	const uint8_t *data;
	size_t len;
};

static struct file files[256];
static unsigned int n_files;
static uint8_t archive[64 << 20];
static size_t archive_len;

static void get_archive(int fd)
{
	ssize_t n;

	archive_len = 0;
	while ((n = pread(fd, archive + archive_len,
			  sizeof(archive) - archive_len, archive_len)) > 0)
		archive_len += n;
	if (n < 0)
		ERROR("cannot read the archive: %s", strerror(errno));
}

static unsigned int field(size_t at, unsigned int i)
{
	char hex[9] = "";

	memcpy(hex, archive + at + 6 + i * 8, 8);
	if (strspn(hex, "0123456789abcdef") != 8)
		FAIL("field %u at %zu is %s", i, at, hex);
	return strtoul(hex, NULL, 16);
}

static void parse_archive(void)
{
	size_t at = 0;

	for (n_files = 0; n_files < 256; n_files++) {
		struct file *f = &files[n_files];
		unsigned int name_len;

		REQUIRE_EQ(at + 110 <= archive_len &&
				   !memcmp(archive + at, "070701", 6),
			   true);
		f->ino = field(at, 0);
		f->mode = field(at, 1);
		f->nlink = field(at, 4);
		f->len = field(at, 6);
		name_len = field(at, 11);
		REQUIRE_EQ(name_len && name_len < sizeof(f->name), true);
		memcpy(f->name, archive + at + 110, name_len);
		CHECK_EQ(strlen(f->name), name_len - 1);
		at = (at + 110 + name_len + 3) & ~3ul;
		f->data = archive + at;
		at = (at + f->len + 3) & ~3ul;
		REQUIRE_EQ(at <= archive_len, true);
		if (!strcmp(f->name, "TRAILER!!!"))
			break;
	}
	CHECK_EQ(at, archive_len);
}

static const struct file *find(const char *name)
{
	for (unsigned int i = 0; i < n_files; i++)
		if (!strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

/* Each number once, no slash in front, and the folder above comes before. */
static void check_order(void)
{
	for (unsigned int i = 0; i < n_files; i++) {
		const char *slash = strrchr(files[i].name, '/');
		char dir[256];
		unsigned int k;

		for (k = 0; k < i; k++)
			if (files[k].ino == files[i].ino)
				FAIL("%s and %s are hard links", files[k].name,
				     files[i].name);
		if (files[i].name[0] == '/')
			FAIL("%s begins with a slash", files[i].name);
		if (!slash)
			continue;
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - files[i].name),
			 files[i].name);
		for (k = 0; k < i && strcmp(files[k].name, dir); k++)
			;
		if (k == i || !S_ISDIR(files[k].mode))
			FAIL("no folder for %s", files[i].name);
	}
}

static bool same(const struct file *f, const char *path)
{
	FILE *in = fopen(path, "r");
	size_t at = 0;
	int c;

	while (in && (c = getc(in)) != EOF && at < f->len &&
	       f->data[at] == (uint8_t)c)
		at++;
	c = in ? getc(in) : 0;
	if (in)
		fclose(in);
	return at == f->len && c == EOF;
}

static void whole(long arg)
{
	static const char *const dirs[] = { "bin", "dev", "proc", "root",
					    "sys", "tmp", NULL };
	const struct file *init, *busybox;
	char script[2048];
	int fd;

	setenv("TERM", arg ? "x; reboot -f" : "screen.xterm-256color", 1);
	fd = auto_initramfs("/proc/self/exe");
	if (fd < 0)
		FAIL("%s", lv_error());
	REQUIRE_EQ(fd >= 0, true);
	get_archive(fd);
	parse_archive();
	check_order();
	for (int i = 0; dirs[i]; i++)
		CHECK(find(dirs[i]) && S_ISDIR(find(dirs[i])->mode));
	busybox = find("bin/busybox");
	init = find("init");
	REQUIRE_EQ(busybox && init, true);
	CHECK_EQ(busybox->mode, S_IFREG | 0755);
	CHECK(same(busybox, "/proc/self/exe"));
	CHECK_EQ(init->mode, S_IFREG | 0755);
	REQUIRE_EQ(init->len < sizeof(script), true);
	memcpy(script, init->data, init->len);
	script[init->len] = 0;
	CHECK(!strncmp(script, "#!/bin/busybox sh\n", 18));
	/*
	 * TERM becomes a line of a script that root runs in the guest, so one with
	 * other characters than a terminal's name has is replaced.
	 */
	CHECK(strstr(script, arg ? "TERM=vt100\n" :
				   "TERM=screen.xterm-256color\n") != NULL);
	CHECK(strstr(script, "reboot") == NULL);
	CHECK(strstr(script, "stty rows ") != NULL);
}

/* ---- programs with libraries ---- */

static int pack(const char *path)
{
	FILE *f = tmpfile();
	struct cpio c = { .out = f };
	int ret;

	if (!f)
		ERROR("no temporary file");
	ret = cpio_program(&c, "bin/program", path);
	if (!ret)
		ret = cpio_end(&c);
	fflush(f);
	get_archive(fileno(f));
	fclose(f);
	return ret;
}

static void libraries(long arg)
{
	unsigned int libc = 0;

	REQUIRE_EQ(pack("/bin/ls"), 0);
	parse_archive();
	check_order();
	CHECK(find("bin/program") && same(find("bin/program"), "/bin/ls"));
	CHECK(find("lib64/ld-linux-x86-64.so.2") != NULL);
	for (unsigned int i = 0; i < n_files; i++)
		libc += !!strstr(files[i].name, "/libc.so.6");
	CHECK_EQ(libc, 1);
}

/* The archive, unpacked, has all that the program needs. */
static void runs(long arg)
{
	char cmd[256];
	FILE *f;

	if (getuid())
		SKIP("chroot() is for root");
	if (access("/bin/busybox", X_OK))
		SKIP("no busybox to unpack with");
	make_top();
	REQUIRE_EQ(pack("/bin/ls"), 0);
	snprintf(cmd, sizeof(cmd), "cd %s && busybox cpio -i 2>/dev/null", top);
	f = popen(cmd, "w");
	if (!f || fwrite(archive, 1, archive_len, f) != archive_len)
		ERROR("cannot unpack");
	CHECK_EQ(pclose(f), 0);
	snprintf(cmd, sizeof(cmd),
		 "chroot %s /bin/program /bin | grep -qx program", top);
	CHECK_EQ(system(cmd), 0);
	drop_top();
}

/* /bin/ls, in memory to be changed */
static uint8_t *load_ls(size_t *len)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen("/bin/ls", "r");

	*len = f ? fread(buf, 1, sizeof(buf), f) : 0;
	if (!*len || *len == sizeof(buf))
		ERROR("cannot read /bin/ls");
	fclose(f);
	return buf;
}

static void lacking(long arg)
{
	char path[64];
	uint8_t *ls, *name;
	size_t len;

	make_top();
	snprintf(path, sizeof(path), "%s/program", top);
	ls = load_ls(&len);
	name = memmem(ls, len, "libc.so.6", 10);
	REQUIRE_EQ(name != NULL, true);
	memcpy(name, "libx.so.6", 9);
	put("/program", ls, len);
	CHECK_EQ(pack(path), -ENOENT);
	CHECK(strstr(lv_error(), "libx.so.6") != NULL);
	put("/program", "#!/bin/sh\n", 10);
	CHECK_EQ(pack(path), -ENOEXEC);
	put("/program", "", 0);
	CHECK_EQ(pack(path), -ENOEXEC);
	put("/program", ls, 100);
	CHECK_EQ(pack(path) < 0, true);
	CHECK_EQ(pack(top) < 0, true);
	CHECK_EQ(pack("/nonexistent"), -ENOENT);
	drop_top();
}

/* Bytes of the headers and of the section table changed at random. */
static void broken(long seed)
{
	char path[64];
	uint8_t *ls;
	size_t len;

	make_top();
	snprintf(path, sizeof(path), "%s/program", top);
	srandom(seed);
	for (int round = 0; round < 100; round++) {
		ls = load_ls(&len);
		for (int i = 0; i < 8; i++) {
			size_t at = i & 1 ? random() % 1024ul :
					    len - 1 - random() % 2048ul;

			ls[at] = random();
		}
		put("/program", ls, len);
		pack(path);
	}
	drop_top();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "the host's kernel", kernels },
		{ "a kernel that may not be read", unreadable },
		{ "the host's busybox", busyboxes },
		{ "the root file system", whole, 0 },
		{ "a terminal's name that is no name", whole, 1 },
		{ "a program's libraries", libraries },
		{ "a program runs from its archive", runs },
		{ "programs that lack something", lacking },
		{ "broken programs 1", broken, 1 },
		{ "broken programs 2", broken, 2 },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
