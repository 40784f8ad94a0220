// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the guest that QEMU saves and loads, and of the guest of `vigil
 * hwreport`. Each round remaps, writes, forks, executes and unmaps, then reads
 * all of its memory and prints one line on ttyS1, or on the port that
 * $VERIFY_PORT names. It ends after $VERIFY_ROUNDS rounds, or never. The kernel
 * takes both variables from its command line:
 *
 *         round N sum X
 *
 * X is a function of N alone. Every page holds its number and how often it was
 * written. So the guest itself finds a translation that leads to another page.
 * It then prints a line that begins with "bad", and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))
#define PAGES 512 /* of a file in memory, each mapped at one place */
#define PRIVATE 16 /* pages that parent and child share until one writes */
#define SWAPS 64 /* in a round */
#define STORES 64 /* pages written in a round */

static int port = -1, file = -1;
static uint64_t *shared, *private;
static uint16_t page_at[PAGES]; /* the file's page, by its place */
static uint32_t stores[PAGES]; /* by the file's page */
static uint64_t seed = 1;

static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdprintf(port, fmt, ap);
	va_end(ap);
	tcdrain(port);
}

static void __attribute__((noreturn)) end(void)
{
	if (getpid() != 1)
		_exit(1);
	reboot(RB_AUTOBOOT);
	_exit(1);
}

#define BAD(fmt, ...)                                                    \
	do {                                                             \
		say("bad, line %d: " fmt "\n", __LINE__, ##__VA_ARGS__); \
		end();                                                   \
	} while (0)

static uint32_t chance(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % below;
}

/*
 * Returns what a word of a page holds. The top half of the first one names the
 * page.
 */
static uint64_t word(uint32_t page, uint32_t stored, uint32_t i)
{
	return ((uint64_t)page << 48 | (uint64_t)stored << 16) + i;
}

static void fill(uint64_t *at, uint32_t page, uint32_t stored)
{
	for (uint32_t i = 0; i < WORDS; i++)
		at[i] = word(page, stored, i);
}

static uint64_t check(const uint64_t *at, uint32_t page, uint32_t stored)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < WORDS; i++) {
		uint64_t want = word(page, stored, i);

		if (at[i] != want)
			BAD("%p holds %#llx where %#llx belongs",
			    (const void *)&at[i], (unsigned long long)at[i],
			    (unsigned long long)want);
		sum = (sum ^ want) * 0x100000001b3ull;
	}
	return sum;
}

static void map(uint32_t place)
{
	void *at = shared + place * WORDS;

	if (mmap(at, PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_POPULATE, file,
		 (off_t)page_at[place] * PAGE) != at)
		BAD("mmap: %s", strerror(errno));
}

static void *anonymous(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		BAD("mmap: %s", strerror(errno));
	return at;
}

/* Swaps two pages of the file: the guest's page tables change. */
static void swap(void)
{
	for (int i = 0; i < SWAPS; i++) {
		uint32_t a = chance(PAGES), b = chance(PAGES);
		uint16_t page = page_at[a];

		page_at[a] = page_at[b];
		page_at[b] = page;
		map(a);
		map(b);
	}
}

static void store(void)
{
	for (int i = 0; i < STORES; i++) {
		uint32_t place = chance(PAGES), page = page_at[place];

		fill(shared + place * WORDS, page, ++stores[page]);
	}
}

static void reap(pid_t pid)
{
	int status;

	if (pid < 0)
		BAD("fork: %s", strerror(errno));
	if (waitpid(pid, &status, 0) != pid || status)
		BAD("the child ended with status %#x", status);
}

/*
 * A child stores to copies of pages, and is followed by a program of its own.
 */
static void processes(uint32_t round)
{
	char number[16];
	pid_t pid;

	for (int i = 0; i < PRIVATE; i++)
		fill(private + i * WORDS, i, round);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < PRIVATE; i++)
			check(private + i * WORDS, i, round);
		for (int i = 0; i < PRIVATE; i++)
			fill(private + i * WORDS, i, round + 1);
		for (int i = 0; i < PRIVATE; i++)
			check(private + i * WORDS, i, round + 1);
		snprintf(number, sizeof(number), "%u", round);
		execl("/init", "init", number, NULL);
		BAD("exec: %s", strerror(errno));
	}
	reap(pid);
	for (int i = 0; i < PRIVATE; i++)
		check(private + i * WORDS, i, round);
}

/* Maps memory, takes away the right to write to it, and unmaps it. */
static void come_and_go(uint32_t round)
{
	uint64_t *at = anonymous(PRIVATE * PAGE);

	for (int i = 0; i < PRIVATE; i++)
		fill(at + i * WORDS, i, round);
	if (mprotect(at, PRIVATE * PAGE, PROT_READ))
		BAD("mprotect: %s", strerror(errno));
	for (int i = 0; i < PRIVATE; i++)
		check(at + i * WORDS, i, round);
	if (madvise(at, PRIVATE * PAGE, MADV_DONTNEED))
		BAD("madvise: %s", strerror(errno));
	for (size_t i = 0; i < PRIVATE * WORDS; i += WORDS)
		if (at[i])
			BAD("%p holds %#llx, not zero", (void *)&at[i],
			    (unsigned long long)at[i]);
	munmap(at, PRIVATE * PAGE);
}

static void open_port(void)
{
	const char *path = getenv("VERIFY_PORT");

	port = open(path ? path : "/dev/ttyS1", O_RDWR | O_NOCTTY);
}

static void prepare_port(void)
{
	struct termios t;

	open_port();
	if (port < 0 || tcgetattr(port, &t))
		end();
	cfmakeraw(&t);
	tcsetattr(port, TCSANOW, &t);
}

int main(int argc, char **argv)
{
	const char *last = getenv("VERIFY_ROUNDS");
	uint32_t rounds = last ? strtoul(last, NULL, 10) : 0;

	if (argc > 1) {
		open_port();
		come_and_go(atoi(argv[1]));
		return 0;
	}
	mount("devtmpfs", "/dev", "devtmpfs", 0, "");
	prepare_port();
	file = memfd_create("pages", 0);
	if (file < 0 || ftruncate(file, PAGES * PAGE))
		BAD("memfd: %s", strerror(errno));
	shared = anonymous(PAGES * PAGE);
	private = anonymous(PRIVATE * PAGE);
	for (uint32_t i = 0; i < PAGES; i++) {
		page_at[i] = i;
		map(i);
		fill(shared + i * WORDS, i, 0);
	}
	for (uint32_t round = 1; !rounds || round <= rounds; round++) {
		uint64_t sum = round;

		swap();
		store();
		processes(round);
		come_and_go(round);
		for (uint32_t i = 0; i < PAGES; i++)
			sum = (sum << 1 | sum >> 63) ^
			      check(shared + i * WORDS, page_at[i],
				    stores[page_at[i]]);
		say("round %u sum %016llx\n", round, (unsigned long long)sum);
	}
	end();
}
