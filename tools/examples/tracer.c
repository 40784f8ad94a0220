// SPDX-License-Identifier: GPL-2.0
/*
 * tracer VM SYMBOL[+OFFSET] [BYTES]: prints each write to a variable of the guest's kernel: what
 * was there, what is there now, and which function wrote. Ends with the VM, or by Ctrl-C.
 *
 *	cc tracer.c $(pkg-config --cflags --libs libvigil) -o tracer
 *	./tracer web jiffies_64 8
 */
#include <inttypes.h>
#include <libvigil.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what)
{
	fprintf(stderr, "tracer: %s: %s\n", what, vigil_error());
	return 1;
}

/* Prints bytes as the number that they are in memory, the last one first. */
static void print_number(const void *bytes, uint32_t len)
{
	const unsigned char *b = bytes;

	while (len--)
		printf("%02x", b[len]);
}

int main(int argc, char **argv)
{
	struct vigil_range range = {
		.kind = VIGIL_AT_GVA,
		.action = VIGIL_DO_LOG,
	};
	const struct vigil_event *ev;
	struct vigil_monitor *mon;
	struct vigil_symbols *syms;
	uint64_t lost = 0, at = 0;
	char name[512];
	int ret;

	if (argc < 3) {
		fputs("usage: tracer VM SYMBOL[+OFFSET] [BYTES]\n", stderr);
		return 2;
	}
	if (vigil_attach(&mon, NULL, argv[1], 0))
		return fail(argv[1]);
	if (vigil_symbols_load(&syms, mon, NULL) ||
	    vigil_symbols_parse(syms, argv[2], &range.start))
		return fail(argv[2]);
	/* Without a length: up to the next symbol. */
	range.len = argc > 3 ? strtoull(argv[3], NULL, 0) :
			       vigil_symbols_len(syms, range.start);
	if (vigil_watch_add(mon, &range, sizeof(range)))
		return fail(argv[2]);
	setlinebuf(stdout);
	printf("tracing %" PRIu64 " bytes at %#" PRIx64 "\n", range.len,
	       range.start);

	while ((ret = vigil_next_event(mon, &ev, -1)) > 0) {
		if (vigil_event_dropped(ev) != lost)
			printf("%" PRIu64 " writes were lost\n",
			       vigil_event_dropped(ev) - lost);
		lost = vigil_event_dropped(ev);
		vigil_event_gva(ev, &at);
		printf("%s ", vigil_symbols_text(syms, at, name, sizeof(name)));
		print_number(vigil_event_old(ev), vigil_event_len(ev));
		printf(" -> ");
		print_number(vigil_event_new(ev), vigil_event_len(ev));
		printf(" by %s\n", vigil_symbols_text(syms, vigil_event_rip(ev),
						      name, sizeof(name)));
	}
	vigil_symbols_free(syms);
	vigil_detach(mon);
	return ret ? fail("events") : 0;
}
