// SPDX-License-Identifier: GPL-2.0
/* Events of a monitor as text and as JSON. */
#include <capstone/capstone.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"

typedef unsigned long long ull;

const char *event_disassemble(const struct vigil_event *ev, char *buf,
			      size_t len)
{
	cs_mode mode = ev->mode == 64 ? CS_MODE_64 :
		       ev->mode == 32 ? CS_MODE_32 :
					CS_MODE_16;
	cs_insn *insn;
	csh handle;
	size_t n;

	buf[0] = 0;
	if (!(ev->flags & VIGIL_EVENT_INSN_VALID) ||
	    ev->insn_len > sizeof(ev->insn))
		return buf;
	if (cs_open(CS_ARCH_X86, mode, &handle) != CS_ERR_OK)
		return buf;
	n = cs_disasm(handle, ev->insn, ev->insn_len, ev->rip, 1, &insn);
	if (n) {
		snprintf(buf, len, "%s %s", insn->mnemonic, insn->op_str);
		cs_free(insn, n);
	}
	cs_close(&handle);
	return buf;
}

static const char *hex(const uint8_t *bytes, size_t n, const char *between,
		       char *buf)
{
	size_t i, at = 0;

	for (i = 0; i < n && i < VIGIL_EVENT_DATA; i++)
		at += sprintf(buf + at, "%s%02x", i ? between : "", bytes[i]);
	buf[at] = 0;
	return buf;
}

/*
 * CLOCK_REALTIME minus CLOCK_MONOTONIC, sampled once. If both clocks were read
 * for each event, the time between the two reads would differ, and times could
 * run backwards.
 */
static int64_t wall_offset(void)
{
	static int64_t offset;
	static bool known;
	int64_t best = INT64_MAX;
	struct timespec before, real, after;
	unsigned int i;

	/* An interrupt between the reads spoils a try: take the shortest of eight. */
	for (i = 0; !known && i < 8; i++) {
		int64_t m0, m1;

		clock_gettime(CLOCK_MONOTONIC, &before);
		clock_gettime(CLOCK_REALTIME, &real);
		clock_gettime(CLOCK_MONOTONIC, &after);
		m0 = before.tv_sec * 1000000000ll + before.tv_nsec;
		m1 = after.tv_sec * 1000000000ll + after.tv_nsec;
		if (m1 - m0 >= best)
			continue;
		best = m1 - m0;
		offset = real.tv_sec * 1000000000ll + real.tv_nsec -
			 (m0 + best / 2);
	}
	known = true;
	return offset;
}

uint64_t event_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

const char *event_time(uint64_t mono_ns, char *buf, size_t len)
{
	int64_t ns = wall_offset() + mono_ns;
	time_t s = ns / 1000000000;
	char day[40], zone[8];
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(day, sizeof(day), "%FT%T", &tm);
	/*
	 * strftime() gives "+0100", but in ISO 8601 a date like this has
	 * "+01:00".
	 */
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(buf, len, "%s.%06lld%.3s:%s", day,
		 (long long)(ns % 1000000000 / 1000), zone, zone + 3);
	return buf;
}

static const char *fate(const struct vigil_event *ev, enum event_verdict v)
{
	if (ev->flags & VIGIL_EVENT_DENIED || v == EVENT_REFUSED)
		return "denied";
	if (ev->flags & VIGIL_EVENT_HELD)
		return v == EVENT_ALLOWED ? "allowed" : "held";
	return "logged";
}

/*
 * Names the symbol that a value points to. Values that are no pointers into the kernel
 * of such code get none.
 */
static const char *pointee(const struct vigil_symbols *t,
			   const struct vigil_event *ev, const uint8_t *bytes,
			   char *buf, size_t room)
{
	uint64_t p = 0, kernel = ev->mode == 64 ? 1ull << 63 : 1u << 30;

	buf[0] = 0;
	if (ev->len != (ev->mode == 64 ? 8 : 4))
		return buf;
	memcpy(&p, bytes, ev->len);
	return p >= kernel ? vigil_symbols_text(t, p, buf, room) : buf;
}

static void print_bytes(FILE *out, const char *what,
			const struct vigil_event *ev, const uint8_t *bytes,
			const struct vigil_symbols *t)
{
	char text[3 * VIGIL_EVENT_DATA + 1], sym[300];

	pointee(t, ev, bytes, sym, sizeof(sym));
	fprintf(out, "    %s  %s%s%s\n", what, hex(bytes, ev->len, " ", text),
		*sym ? "  " : "", sym);
}

static void print_store(FILE *out, const struct vigil_event *ev,
			const struct vigil_symbols *t)
{
	char sym[300];

	fprintf(out, "write of %u byte%s ", ev->len, ev->len == 1 ? "" : "s");
	if (ev->flags & VIGIL_EVENT_GVA_VALID) {
		vigil_symbols_text(t, ev->gva, sym, sizeof(sym));
		fprintf(out, "to %s%s%#llx%s ", sym, *sym ? " (" : "",
			(ull)ev->gva, *sym ? ")" : "");
	}
	fprintf(out, "at gpa %#llx", (ull)ev->gpa);
}

void event_print(FILE *out, const struct vigil_event *ev,
		 const struct vigil_symbols *t, const struct control_all *all)
{
	bool control = ev->kind == VIGIL_EVENT_CONTROL;
	char when[64], sym[300], text[128];

	event_time(ev->time_ns, when, sizeof(when));
	fprintf(out, "%s #%llu ", when, (ull)ev->seq);
	if (control)
		control_title(out, ev);
	else
		print_store(out, ev, t);
	fprintf(out, ": %s\n", fate(ev, EVENT_NO_VERDICT));

	vigil_symbols_text(t, ev->rip, sym, sizeof(sym));
	fprintf(out, "    by   %#llx%s%s%s, vcpu %u, cpl %u, cr3 %#llx\n",
		(ull)ev->rip, *sym ? " (" : "", sym, *sym ? ")" : "", ev->vcpu,
		ev->cpl, (ull)ev->cr3);
	if (ev->condition)
		fprintf(out, "    when condition %u of the watch holds\n",
			ev->condition);
	if (ev->flags & VIGIL_EVENT_INSN_VALID &&
	    ev->insn_len <= sizeof(ev->insn)) {
		char bytes[3 * VIGIL_EVENT_DATA + 1];

		fprintf(out, "    insn %s  %s\n",
			hex(ev->insn, ev->insn_len, " ", bytes),
			event_disassemble(ev, text, sizeof(text)));
	}
	if (control) {
		control_print(out, ev, all, t);
	} else {
		print_bytes(out, "old ", ev, ev->old, t);
		print_bytes(out, "new ", ev, ev->new_, t);
	}
	if (ev->dropped)
		fprintf(out, "    (%llu events were lost so far)\n",
			(ull)ev->dropped);
	fflush(out);
}

/* Addresses are strings, since many JSON parsers lose bits of 64-bit numbers. */
static void add_hex(struct json_object *o, const char *key, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (ull)v);
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	if (*text)
		json_object_object_add(o, key, json_object_new_string(text));
}

static void add_num(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

static void add_code(struct json_object *o, const struct vigil_event *ev,
		     const struct vigil_symbols *t)
{
	char text[3 * VIGIL_EVENT_DATA + 1], sym[300];

	add_hex(o, "rip", ev->rip);
	add_text(o, "rip_symbol",
		 vigil_symbols_text(t, ev->rip, sym, sizeof(sym)));
	if (ev->flags & VIGIL_EVENT_INSN_VALID &&
	    ev->insn_len <= sizeof(ev->insn)) {
		add_text(o, "insn", hex(ev->insn, ev->insn_len, "", text));
		add_text(o, "disassembly",
			 event_disassemble(ev, text, sizeof(text)));
	}
	add_num(o, "mode", ev->mode);
	add_num(o, "cpl", ev->cpl);
	add_hex(o, "cr3", ev->cr3);
	add_hex(o, "rflags", ev->rflags);
}

static void add_store(struct json_object *o, const struct vigil_event *ev,
		      const struct vigil_symbols *t)
{
	char text[3 * VIGIL_EVENT_DATA + 1], sym[300];

	if (ev->flags & VIGIL_EVENT_GVA_VALID) {
		add_hex(o, "gva", ev->gva);
		add_text(o, "symbol",
			 vigil_symbols_text(t, ev->gva, sym, sizeof(sym)));
	}
	add_hex(o, "gpa", ev->gpa);
	add_num(o, "len", ev->len);
	add_text(o, "old", hex(ev->old, ev->len, "", text));
	add_text(o, "old_symbol", pointee(t, ev, ev->old, sym, sizeof(sym)));
	add_text(o, "new", hex(ev->new_, ev->len, "", text));
	add_text(o, "new_symbol", pointee(t, ev, ev->new_, sym, sizeof(sym)));
}

char *event_json(const struct vigil_event *ev, const struct vigil_symbols *t,
		 const struct control_all *all, enum event_verdict verdict)
{
	static const char *const names[16] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
	};
	struct json_object *o = json_object_new_object(),
			   *regs = json_object_new_object();
	char text[64], *out;
	unsigned int i;

	add_num(o, "version", EVENT_JSON_VERSION);
	add_text(o, "record", "event");
	add_num(o, "seq", ev->seq);
	add_text(o, "time", event_time(ev->time_ns, text, sizeof(text)));
	add_num(o, "time_ns", ev->time_ns);
	add_num(o, "vm", ev->vm_id);
	add_num(o, "vcpu", ev->vcpu);
	add_num(o, "watch", ev->watch_id);
	add_text(o, "result", fate(ev, verdict));
	if (ev->condition)
		add_num(o, "condition", ev->condition);
	if (ev->kind == VIGIL_EVENT_CONTROL)
		control_json(o, ev, all, t);
	else
		add_store(o, ev, t);
	add_code(o, ev, t);
	for (i = 0; i < 16; i++)
		add_hex(regs, names[i], ev->regs[i]);
	json_object_object_add(o, "regs", regs);
	add_num(o, "dropped", ev->dropped);
	out = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return out;
}
