// SPDX-License-Identifier: GPL-2.0
/* Events of a guest's kernel that changes a control, as text and as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "number.h"

#define TRAPS_SHOWN (VIGIL_EVENT_DATA / sizeof(struct vigil_pv_trap))
#define WORDS_SHOWN (VIGIL_EVENT_DATA / sizeof(uint64_t))
#define TRAP_DPL 3
#define TRAP_MASKED 4

typedef unsigned long long ull;

/* How each control is called on the command line. */
static const char *const controls[] = {
	[VIGIL_CONTROL_TRAP_TABLE] = "trap-table",
	[VIGIL_CONTROL_FAST_TRAP] = "fast-trap",
	[VIGIL_CONTROL_GDT] = "gdt",
	[VIGIL_CONTROL_STACK] = "stack",
	[VIGIL_CONTROL_IOPL] = "iopl",
	[VIGIL_CONTROL_CALLBACK] = "callback",
	[VIGIL_CONTROL_TABLE_LOAD] = "table-load",
	[VIGIL_CONTROL_IDTR] = "idtr",
	[VIGIL_CONTROL_GDTR] = "gdtr",
	[VIGIL_CONTROL_LDTR] = "ldtr",
	[VIGIL_CONTROL_TR] = "tr",
	[VIGIL_CONTROL_CR0] = "cr0",
	[VIGIL_CONTROL_CR3] = "cr3",
	[VIGIL_CONTROL_CR4] = "cr4",
};

/* MSRs whose writes can be watched. */
static const struct {
	uint32_t msr;
	const char *name;
} msrs[] = {
	{ 0xc0000080, "msr:EFER" },    { 0xc0000081, "msr:STAR" },
	{ 0xc0000082, "msr:LSTAR" },   { 0xc0000083, "msr:CSTAR" },
	{ 0xc0000084, "msr:SFMASK" },  { 0x174, "msr:SYSENTER_CS" },
	{ 0x175, "msr:SYSENTER_ESP" }, { 0x176, "msr:SYSENTER_EIP" },
};

/* The hypercalls that change them, in Xen's numbers. They are watched by number. */
static const char *const calls[] = {
	[0] = "set_trap_table",
	[2] = "set_gdt",
	[3] = "stack_switch",
	[4] = "set_callbacks",
	[10] = "update_descriptor",
	[30] = "callback_op",
	[VIGIL_HYPERVISOR_set_fast_trap] = "set_fast_trap",
	[VIGIL_HYPERVISOR_set_hypercall_iopl] = "set_hypercall_iopl",
};

/* Xen's CALLBACKTYPE_*. */
static const char *const callbacks[] = {
	"event", "failsafe", "syscall", NULL,
	"nmi",	 "sysenter", NULL,	"syscall32",
};

#define N_CONTROLS (sizeof(controls) / sizeof(controls[0]))
#define N_MSRS (sizeof(msrs) / sizeof(msrs[0]))
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))
#define N_CALLBACKS (sizeof(callbacks) / sizeof(callbacks[0]))

static bool is_call(uint64_t start)
{
	return (start & 0xff) == VIGIL_CONTROL_HYPERCALL;
}

const char *control_name(uint64_t start)
{
	static char call[24];

	if (is_call(start)) {
		snprintf(call, sizeof(call), "call:%llu", (ull)start >> 8);
		return call;
	}
	for (unsigned int i = 0; i < N_MSRS; i++)
		if (start == VIGIL_CONTROL_OF_MSR(msrs[i].msr))
			return msrs[i].name;
	return start < N_CONTROLS ? controls[start] : NULL;
}

const char *control_of_event(const struct vigil_event *ev)
{
	switch (ev->control) {
	case VIGIL_CONTROL_MSR:
		return control_name(VIGIL_CONTROL_OF_MSR(ev->first));
	case VIGIL_CONTROL_HYPERCALL:
		return control_name(VIGIL_CONTROL_OF_CALL(ev->call));
	}
	return control_name(ev->control);
}

bool control_is_register(uint64_t start)
{
	return (start & 0xff) >= VIGIL_CONTROL_IDTR && !is_call(start);
}

/* The number is in hexadecimal. */
static bool parse_msr(const char *text, uint64_t *start)
{
	uint64_t msr;

	for (unsigned int i = 0; i < N_MSRS; i++) {
		if (strcasecmp(msrs[i].name + strlen("msr:"), text))
			continue;
		*start = VIGIL_CONTROL_OF_MSR(msrs[i].msr);
		return true;
	}
	if (number_address(text, &msr) || msr > UINT32_MAX)
		return false;
	*start = VIGIL_CONTROL_OF_MSR(msr);
	return true;
}

/* The number is as hypercalls are numbered: decimal, or hexadecimal with 0x. */
static bool parse_call(const char *text, uint64_t *start)
{
	char *end;
	unsigned long call;

	errno = 0;
	call = strtoul(text, &end, 0);
	if (*text < '0' || *text > '9' || *end || errno || call > UINT32_MAX)
		return false;
	*start = VIGIL_CONTROL_OF_CALL(call);
	return true;
}

bool control_parse(const char *name, uint64_t *nr)
{
	if (!strncmp(name, "msr:", 4))
		return parse_msr(name + 4, nr);
	if (!strncmp(name, "call:", 5))
		return parse_call(name + 5, nr);
	for (unsigned int i = 0; i < N_CONTROLS; i++) {
		if (strcmp(controls[i], name))
			continue;
		*nr = i;
		return true;
	}
	return false;
}

static bool has_traps(const struct vigil_event *ev)
{
	return ev->control == VIGIL_CONTROL_TRAP_TABLE ||
	       ev->control == VIGIL_CONTROL_FAST_TRAP ||
	       ev->control == VIGIL_CONTROL_CALLBACK;
}

static const char *callback_name(unsigned int type)
{
	return type < N_CALLBACKS && callbacks[type] ? callbacks[type] :
						       "unknown";
}

bool control_is_cut(const struct vigil_event *ev)
{
	return ev->kind == VIGIL_EVENT_CONTROL && has_traps(ev) &&
	       ev->count > TRAPS_SHOWN;
}

static unsigned int shown(const struct vigil_event *ev, size_t size)
{
	return (ev->len < VIGIL_EVENT_DATA ? ev->len : VIGIL_EVENT_DATA) / size;
}

static struct vigil_pv_trap trap_at(const uint8_t *bytes, unsigned int n)
{
	struct vigil_pv_trap t;

	memcpy(&t, bytes + n * sizeof(t), sizeof(t));
	return t;
}

static uint64_t word_at(const uint8_t *bytes, unsigned int n)
{
	uint64_t v;

	memcpy(&v, bytes + n * sizeof(v), sizeof(v));
	return v;
}

static struct vigil_iopl iopl_of(const uint8_t *bytes)
{
	struct vigil_iopl iopl;

	memcpy(&iopl, bytes, sizeof(iopl));
	return iopl;
}

static const char *load_name(const struct vigil_event *ev)
{
	static const char *const names[] = {
		[VIGIL_TABLE_IDT] = "LIDT",
		[VIGIL_TABLE_GDT] = "LGDT",
		[VIGIL_TABLE_LDT] = "LLDT",
		[VIGIL_TABLE_TR] = "LTR",
	};

	return ev->first < sizeof(names) / sizeof(names[0]) ? names[ev->first] :
							      "a table load";
}

static struct vigil_table table_at(const uint8_t *bytes)
{
	struct vigil_table t;

	memcpy(&t, bytes, sizeof(t));
	return t;
}

static bool has_table(const struct vigil_event *ev)
{
	return ev->control >= VIGIL_CONTROL_IDTR &&
	       ev->control <= VIGIL_CONTROL_TR;
}

static const char *refuse_name(unsigned int refuse)
{
	return refuse == VIGIL_REFUSE_FAULT ? "fault" : "eperm";
}

/* ---- text ---- */

void control_title(FILE *out, const struct vigil_event *ev)
{
	const char *unit = ev->control == VIGIL_CONTROL_GDT ? "descriptor" :
			   ev->control == VIGIL_CONTROL_CALLBACK ? "callback" :
			   has_traps(ev)			 ? "vector" :
								   NULL;

	if (ev->control == VIGIL_CONTROL_TABLE_LOAD) {
		fprintf(out, "%s while trap tables are in force",
			load_name(ev));
		return;
	}
	if (control_is_register(ev->control)) {
		fprintf(out, "change of %s", control_of_event(ev) ?: "an MSR");
		return;
	}
	if (ev->control == VIGIL_CONTROL_HYPERCALL) {
		fprintf(out, "hypercall %u", ev->call);
		return;
	}
	if (ev->call < N_CALLS && calls[ev->call])
		fputs(calls[ev->call], out);
	else
		fprintf(out, "hypercall %u", ev->call);
	if (unit)
		fprintf(out, " changes %u %s%s", ev->count, unit,
			ev->count == 1 ? "" : "s");
}

/* The name of what leads to a handler. */
static void print_vector(FILE *out, const struct vigil_event *ev,
			 unsigned int vector)
{
	if (ev->control == VIGIL_CONTROL_CALLBACK)
		fprintf(out, "    callback %s  ", callback_name(vector));
	else
		fprintf(out, "    vector %#x  ", vector);
}

static void print_handler(FILE *out, const struct vigil_pv_trap *trap,
			  const struct vigil_symbols *t)
{
	char sym[300];

	if (!trap->cs) {
		fputs("none", out);
		return;
	}
	vigil_symbols_text(t, trap->ip, sym, sizeof(sym));
	fprintf(out, "%04x:%#llx%s%s%s dpl %u%s%s", trap->cs, (ull)trap->ip,
		*sym ? " (" : "", sym, *sym ? ")" : "", trap->flags & TRAP_DPL,
		trap->flags & TRAP_MASKED ? " masked" : "",
		trap->flags & VIGIL_TRAP_FAST ? " fast" : "");
}

static void print_traps(FILE *out, const struct vigil_event *ev,
			const struct control_all *all,
			const struct vigil_symbols *t)
{
	unsigned int i, n = shown(ev, sizeof(struct vigil_pv_trap));
	struct vigil_pv_trap old, new_;

	for (i = 0; i < n; i++) {
		old = trap_at(ev->old, i);
		new_ = trap_at(ev->new_, i);
		print_vector(out, ev, new_.vector);
		print_handler(out, &old, t);
		fputs(" -> ", out);
		print_handler(out, &new_, t);
		fputc('\n', out);
	}
	for (; all && i < all->n; i++) {
		print_vector(out, ev, all->trap[i].vector);
		fputs("-> ", out);
		print_handler(out, &all->trap[i], t);
		fputc('\n', out);
	}
	if (i < ev->count)
		fprintf(out, "    and %u more\n", ev->count - i);
}

static void print_gdt(FILE *out, const struct vigil_event *ev)
{
	unsigned int i, n = shown(ev, sizeof(uint64_t)), told = 0;

	for (i = 0; i < n; i++) {
		if (word_at(ev->old, i) == word_at(ev->new_, i))
			continue;
		fprintf(out, "    selector %04x  %016llx -> %016llx\n",
			(ev->first + i) * 8, (ull)word_at(ev->old, i),
			(ull)word_at(ev->new_, i));
		told++;
	}
	if (told < ev->count)
		fprintf(out, "    and %u more\n", ev->count - told);
}

static void print_iopl(FILE *out, const struct vigil_event *ev)
{
	struct vigil_iopl old = iopl_of(ev->old), new_ = iopl_of(ev->new_);

	fprintf(out,
		"    of %s  iopl %u refuse %s user %#llx -> iopl %u refuse %s user %#llx\n",
		new_.scope == VIGIL_IOPL_VM ? "the VM" : "this vcpu", old.iopl,
		refuse_name(old.refuse), (ull)old.user, new_.iopl,
		refuse_name(new_.refuse), (ull)new_.user);
}

static void print_table(FILE *out, const struct vigil_event *ev,
			const uint8_t *bytes)
{
	struct vigil_table t = table_at(bytes);

	if (ev->control == VIGIL_CONTROL_LDTR ||
	    ev->control == VIGIL_CONTROL_TR)
		fprintf(out, "selector %04x ", t.selector);
	fprintf(out, "base %#llx limit %#x", (ull)t.base, t.limit);
}

static void print_word(FILE *out, uint64_t word, const struct vigil_symbols *t)
{
	char sym[300];

	vigil_symbols_text(t, word, sym, sizeof(sym));
	fprintf(out, "%#llx%s%s%s", (ull)word, *sym ? " (" : "", sym,
		*sym ? ")" : "");
}

static void print_register(FILE *out, const struct vigil_event *ev,
			   const struct vigil_symbols *t)
{
	fputs("    ", out);
	if (has_table(ev))
		print_table(out, ev, ev->old);
	else
		print_word(out, word_at(ev->old, 0), t);
	fputs(" -> ", out);
	if (has_table(ev))
		print_table(out, ev, ev->new_);
	else
		print_word(out, word_at(ev->new_, 0), t);
	fputc('\n', out);
}

static void print_call(FILE *out, const struct vigil_event *ev,
		       const struct vigil_symbols *t)
{
	unsigned int i, n = shown(ev, sizeof(uint64_t));

	fputs("    arguments", out);
	for (i = 0; i < n; i++) {
		fputc(' ', out);
		print_word(out, word_at(ev->new_, i), t);
	}
	fputc('\n', out);
}

void control_print(FILE *out, const struct vigil_event *ev,
		   const struct control_all *all, const struct vigil_symbols *t)
{
	if (control_is_register(ev->control)) {
		print_register(out, ev, t);
		return;
	}
	switch (ev->control) {
	case VIGIL_CONTROL_TRAP_TABLE:
	case VIGIL_CONTROL_FAST_TRAP:
	case VIGIL_CONTROL_CALLBACK:
		print_traps(out, ev, all, t);
		break;
	case VIGIL_CONTROL_GDT:
		print_gdt(out, ev);
		break;
	case VIGIL_CONTROL_STACK:
		fprintf(out, "    stack  %04llx:%#llx -> %04llx:%#llx\n",
			(ull)word_at(ev->old, 0), (ull)word_at(ev->old, 1),
			(ull)word_at(ev->new_, 0), (ull)word_at(ev->new_, 1));
		break;
	case VIGIL_CONTROL_IOPL:
		print_iopl(out, ev);
		break;
	case VIGIL_CONTROL_HYPERCALL:
		print_call(out, ev, t);
		break;
	}
}

/* ---- JSON ---- */

static void add_num(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_int64(v));
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_hex(struct json_object *o, const char *key, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (ull)v);
	add_text(o, key, text);
}

/* Where there is no handler, there is no field. */
static void add_handler(struct json_object *o, const char *key,
			const struct vigil_pv_trap *trap,
			const struct vigil_symbols *t)
{
	struct json_object *h;
	char sym[300];

	if (!trap->cs)
		return;
	h = json_object_new_object();
	add_hex(h, "cs", trap->cs);
	add_hex(h, "ip", trap->ip);
	if (*vigil_symbols_text(t, trap->ip, sym, sizeof(sym)))
		add_text(h, "symbol", sym);
	add_num(h, "dpl", trap->flags & TRAP_DPL);
	json_object_object_add(h, "masked",
			       json_object_new_boolean(trap->flags &
						       TRAP_MASKED));
	json_object_object_add(h, "fast",
			       json_object_new_boolean(trap->flags &
						       VIGIL_TRAP_FAST));
	json_object_object_add(o, key, h);
}

static void traps_json(struct json_object *list, const struct vigil_event *ev,
		       const struct control_all *all,
		       const struct vigil_symbols *t)
{
	unsigned int i, n = shown(ev, sizeof(struct vigil_pv_trap)),
			end = all && all->n > n ? all->n : n;

	for (i = 0; i < end; i++) {
		struct json_object *o = json_object_new_object();
		struct vigil_pv_trap old = { 0 }, new_;

		if (i < n)
			old = trap_at(ev->old, i);
		new_ = i < n ? trap_at(ev->new_, i) : all->trap[i];
		if (ev->control == VIGIL_CONTROL_CALLBACK)
			add_text(o, "callback", callback_name(new_.vector));
		else
			add_num(o, "vector", new_.vector);
		add_handler(o, "old", &old, t);
		add_handler(o, "new", &new_, t);
		json_object_array_add(list, o);
	}
}

static void gdt_json(struct json_object *list, const struct vigil_event *ev)
{
	unsigned int i, n = shown(ev, sizeof(uint64_t));

	for (i = 0; i < n; i++) {
		struct json_object *o;

		if (word_at(ev->old, i) == word_at(ev->new_, i))
			continue;
		o = json_object_new_object();
		add_hex(o, "selector", (ev->first + i) * 8);
		add_hex(o, "old", word_at(ev->old, i));
		add_hex(o, "new", word_at(ev->new_, i));
		json_object_array_add(list, o);
	}
}

static struct json_object *stack_json(const uint8_t *bytes)
{
	struct json_object *o = json_object_new_object();

	add_hex(o, "ss", word_at(bytes, 0));
	add_hex(o, "sp", word_at(bytes, 1));
	return o;
}

static struct json_object *iopl_json(const uint8_t *bytes)
{
	struct vigil_iopl iopl = iopl_of(bytes);
	struct json_object *o = json_object_new_object();

	add_num(o, "iopl", iopl.iopl);
	add_text(o, "refuse", refuse_name(iopl.refuse));
	add_hex(o, "user", iopl.user);
	return o;
}

/* A change of one value. */
static void one_json(struct json_object *list, const struct vigil_event *ev,
		     struct json_object *(*value)(const uint8_t *bytes))
{
	struct json_object *o = json_object_new_object();

	if (ev->control == VIGIL_CONTROL_IOPL)
		add_text(o, "scope",
			 iopl_of(ev->new_).scope == VIGIL_IOPL_VM ? "vm" :
								    "vcpu");
	json_object_object_add(o, "old", value(ev->old));
	json_object_object_add(o, "new", value(ev->new_));
	json_object_array_add(list, o);
}

static void add_register(struct json_object *o, const char *key,
			 const char *symbol, const struct vigil_event *ev,
			 const uint8_t *bytes, const struct vigil_symbols *t)
{
	struct vigil_table table = table_at(bytes);
	struct json_object *inner;
	char sym[300];

	if (!has_table(ev)) {
		add_hex(o, key, word_at(bytes, 0));
		if (*vigil_symbols_text(t, word_at(bytes, 0), sym, sizeof(sym)))
			add_text(o, symbol, sym);
		return;
	}
	inner = json_object_new_object();
	if (ev->control == VIGIL_CONTROL_LDTR ||
	    ev->control == VIGIL_CONTROL_TR)
		add_hex(inner, "selector", table.selector);
	add_hex(inner, "base", table.base);
	add_num(inner, "limit", table.limit);
	json_object_object_add(o, key, inner);
}

static void register_json(struct json_object *list,
			  const struct vigil_event *ev,
			  const struct vigil_symbols *t)
{
	struct json_object *o = json_object_new_object();

	add_register(o, "old", "old_symbol", ev, ev->old, t);
	add_register(o, "new", "new_symbol", ev, ev->new_, t);
	json_object_array_add(list, o);
}

static struct json_object *call_json(const struct vigil_event *ev)
{
	struct json_object *list = json_object_new_array();
	unsigned int i, n = shown(ev, sizeof(uint64_t));
	char text[32];

	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "0x%llx",
			 (ull)word_at(ev->new_, i));
		json_object_array_add(list, json_object_new_string(text));
	}
	return list;
}

void control_json(struct json_object *o, const struct vigil_event *ev,
		  const struct control_all *all, const struct vigil_symbols *t)
{
	struct json_object *list;

	add_text(o, "control", control_of_event(ev) ?: "unknown");
	if (ev->control == VIGIL_CONTROL_HYPERCALL) {
		add_num(o, "call", ev->call);
		json_object_object_add(o, "arguments", call_json(ev));
		return;
	}
	list = json_object_new_array();
	if (control_is_register(ev->control)) {
		register_json(list, ev, t);
		json_object_object_add(o, "changes", list);
		return;
	}
	if (ev->control == VIGIL_CONTROL_TABLE_LOAD) {
		add_text(o, "refused", load_name(ev));
	} else {
		add_num(o, "call", ev->call);
		add_num(o, "count", ev->count);
	}
	switch (ev->control) {
	case VIGIL_CONTROL_TRAP_TABLE:
	case VIGIL_CONTROL_FAST_TRAP:
	case VIGIL_CONTROL_CALLBACK:
		traps_json(list, ev, all, t);
		break;
	case VIGIL_CONTROL_GDT:
		gdt_json(list, ev);
		break;
	case VIGIL_CONTROL_STACK:
		one_json(list, ev, stack_json);
		break;
	case VIGIL_CONTROL_IOPL:
		one_json(list, ev, iopl_json);
		break;
	}
	json_object_object_add(o, "changes", list);
}
