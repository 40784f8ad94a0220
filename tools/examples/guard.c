// SPDX-License-Identifier: GPL-2.0
/*
 * guard VM [FROM TO]: keeps memory of the guest's kernel as it is, by default its read-only data.
 * Each write of a CPU is refused and told. Once a second a hash finds what else has changed it,
 * such as a device of the VMM.	cc guard.c $(pkg-config --cflags --libs libvigil) -o guard
 */
#include <errno.h>
#include <inttypes.h>
#include <libvigil.h>
#include <stdio.h>

#define PIECE (16u << 20) /* the longest range of one watch */

static int fail(const char *what)
{
	fprintf(stderr, "guard: %s: %s\n", what, vigil_error());
	return 1;
}

/* Hashes memory by FNV-1a. Return: 0, or -errno. */
static int hash(struct vigil_monitor *mon, uint64_t from, uint64_t to,
		uint64_t *h)
{
	static unsigned char buf[1 << 16];
	int ret = 0;

	*h = 0xcbf29ce484222325;
	for (; !ret && from < to; from += sizeof(buf)) {
		size_t len = to - from < sizeof(buf) ? to - from : sizeof(buf);

		ret = vigil_read_virt(mon, 0, from, buf, len);
		for (size_t i = 0; !ret && i < len; i++)
			*h = (*h ^ buf[i]) * 0x100000001b3;
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct vigil_range range = { .kind = VIGIL_AT_GVA,
				     .action = VIGIL_DO_DENY };
	uint64_t from, to, before, now, at = 0;
	const struct vigil_event *ev;
	struct vigil_monitor *mon;
	struct vigil_symbols *syms;
	char name[512];
	int ret;

	if (argc < 2 || vigil_attach(&mon, NULL, argv[1], 0))
		return fail(argc < 2 ? "usage: guard VM [FROM TO]" : argv[1]);
	if (vigil_symbols_load(&syms, mon, NULL) ||
	    vigil_symbols_parse(syms, argc > 3 ? argv[2] : "__start_rodata",
				&from) ||
	    vigil_symbols_parse(syms, argc > 3 ? argv[3] : "__end_rodata", &to))
		return fail("symbols");
	for (at = from; at < to; at += PIECE) {
		range.start = at;
		range.len = to - at < PIECE ? to - at : PIECE;
		if (vigil_watch_add(mon, &range, sizeof(range)))
			return fail("watch");
	}
	if (hash(mon, from, to, &before))
		return fail("memory");
	setlinebuf(stdout);
	printf("guarding %" PRIu64 " bytes at %#" PRIx64 "\n", to - from, from);

	while ((ret = vigil_next_event(mon, &ev, 1000))) {
		if (ret > 0 && vigil_event_gva(ev, &at))
			printf("refused a write to %s\n",
			       vigil_symbols_text(syms, at, name,
						  sizeof(name)));
		if (ret == -EAGAIN && !hash(mon, from, to, &now) &&
		    now != before)
			return puts("the memory has changed"), 1;
		if (ret < 0 && ret != -EAGAIN && ret != -EINTR)
			return fail("events");
	}
	return 0;
}
