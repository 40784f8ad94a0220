// SPDX-License-Identifier: GPL-2.0
/*
 * supervisor VM: guards the table of system calls. It finds the table by its symbol and holds
 * each write to it. A write happens when it puts the address of a function of the kernel itself
 * there. What points elsewhere, as into a rootkit's module, is refused; so is what is held when
 * this program dies.
 *	cc supervisor.c $(pkg-config --cflags --libs libvigil) -o supervisor
 */
#include <inttypes.h>
#include <libvigil.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what)
{
	fprintf(stderr, "supervisor: %s: %s\n", what, vigil_error());
	return 1;
}

static unsigned int judge(const struct vigil_symbols *syms,
			  const struct vigil_event *ev)
{
	uint32_t len = vigil_event_len(ev);
	uint64_t pointer = 0, off;
	struct vigil_symbol s;

	/* An entry has 8 bytes, or 4 of a 32-bit kernel: no other write makes sense. */
	if (len != 8 && len != 4)
		return VIGIL_DENY;
	memcpy(&pointer, vigil_event_new(ev), len);
	/* The first byte of a function of the kernel, and of no module? */
	if (vigil_symbols_at(syms, pointer, &s, sizeof(s), &off) || off ||
	    s.module || !strchr("tTwW", s.type))
		return VIGIL_DENY;
	return VIGIL_ALLOW;
}

int main(int argc, char **argv)
{
	struct vigil_range range = {
		.kind = VIGIL_AT_GVA,
		.action = VIGIL_DO_ASK,
		.on_death = VIGIL_DENY,
	};
	const struct vigil_event *ev;
	struct vigil_monitor *mon;
	struct vigil_symbols *syms;
	uint64_t at = 0;
	char entry[512];
	int ret;

	if (argc != 2 || vigil_attach(&mon, NULL, argv[1], 0))
		return fail(argc == 2 ? argv[1] : "usage: supervisor VM");
	if (vigil_symbols_load(&syms, mon, NULL) ||
	    vigil_symbols_parse(syms, "sys_call_table", &range.start))
		return fail("symbols");
	range.len = vigil_symbols_len(syms, range.start);
	if (vigil_watch_add(mon, &range, sizeof(range)))
		return fail("sys_call_table");
	setlinebuf(stdout);
	printf("sys_call_table is at %#" PRIx64 "\n", range.start);

	while ((ret = vigil_next_event(mon, &ev, -1)) > 0) {
		/* What cannot be held was refused already, as on_death says. */
		unsigned int verdict = vigil_event_held(ev) ? judge(syms, ev) :
							      VIGIL_DENY;

		if (vigil_event_held(ev) &&
		    vigil_decide(mon, vigil_event_seq(ev), verdict))
			fail("verdict");
		vigil_event_gva(ev, &at);
		printf("%s %s\n",
		       verdict == VIGIL_ALLOW ? "allowed" : "refused",
		       vigil_symbols_text(syms, at, entry, sizeof(entry)));
	}
	vigil_symbols_free(syms);
	vigil_detach(mon);
	return ret ? fail("events") : 0;
}
