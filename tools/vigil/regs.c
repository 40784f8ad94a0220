// SPDX-License-Identifier: GPL-2.0
/* vigil regs VM: registers of a running guest, the hidden parts too. */
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "libvm.h"
#include "mon.h"
#include "number.h"

static void add_hex(struct json_object *o, const char *key, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_segment(struct json_object *all, const char *key,
			const struct kvm_segment *s)
{
	struct json_object *o = json_object_new_object();

	add_hex(o, "selector", s->selector);
	add_hex(o, "base", s->base);
	add_hex(o, "limit", s->limit);
	json_object_object_add(o, "type", json_object_new_int(s->type));
	json_object_object_add(o, "s", json_object_new_int(s->s));
	json_object_object_add(o, "dpl", json_object_new_int(s->dpl));
	json_object_object_add(o, "present", json_object_new_int(s->present));
	json_object_object_add(o, "avl", json_object_new_int(s->avl));
	json_object_object_add(o, "l", json_object_new_int(s->l));
	json_object_object_add(o, "db", json_object_new_int(s->db));
	json_object_object_add(o, "g", json_object_new_int(s->g));
	json_object_object_add(o, "unusable", json_object_new_int(s->unusable));
	json_object_object_add(all, key, o);
}

static void add_table(struct json_object *all, const char *key,
		      const struct kvm_dtable *t)
{
	struct json_object *o = json_object_new_object();

	add_hex(o, "base", t->base);
	add_hex(o, "limit", t->limit);
	json_object_object_add(all, key, o);
}

#define REG(n)                                                               \
	{                                                                    \
#n, offsetof(struct vigil_registers, regs.n), VIGIL_SET_REGS \
	}
#define SREG(n)                                                                \
	{                                                                      \
#n, offsetof(struct vigil_registers, sregs.n), VIGIL_SET_SREGS \
	}

/* What is a number of 64 bits: where it is, and what sets it. */
static const struct plain {
	const char *name;
	size_t at;
	unsigned int which;
} plain[] = {
	REG(rax),  REG(rbx),  REG(rcx),	   REG(rdx),   REG(rsi),
	REG(rdi),  REG(rsp),  REG(rbp),	   REG(r8),    REG(r9),
	REG(r10),  REG(r11),  REG(r12),	   REG(r13),   REG(r14),
	REG(r15),  REG(rip),  REG(rflags), SREG(cr0),  SREG(cr2),
	SREG(cr3), SREG(cr4), SREG(cr8),   SREG(efer), SREG(apic_base),
};

#define N_PLAIN (sizeof(plain) / sizeof(plain[0]))

static uint64_t plain_get(const struct vigil_registers *st, unsigned int i)
{
	uint64_t v;

	memcpy(&v, (const char *)st + plain[i].at, sizeof(v));
	return v;
}

static void plain_set(struct vigil_registers *st, unsigned int i, uint64_t v)
{
	memcpy((char *)st + plain[i].at, &v, sizeof(v));
}

static struct json_object *state_json(unsigned int vcpu,
				      const struct vigil_registers *st)
{
	const struct kvm_sregs *s = &st->sregs;
	const struct {
		const char *name;
		const struct kvm_segment *seg;
	} segs[] = {
		{ "cs", &s->cs }, { "ss", &s->ss },   { "ds", &s->ds },
		{ "es", &s->es }, { "fs", &s->fs },   { "gs", &s->gs },
		{ "tr", &s->tr }, { "ldt", &s->ldt },
	};
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "vcpu", json_object_new_int(vcpu));
	for (unsigned int i = 0; i < N_PLAIN; i++)
		add_hex(o, plain[i].name, plain_get(st, i));
	for (unsigned int i = 0; i < sizeof(segs) / sizeof(segs[0]); i++)
		add_segment(o, segs[i].name, segs[i].seg);
	add_table(o, "gdt", &s->gdt);
	add_table(o, "idt", &s->idt);
	return o;
}

/**
 * struct args - the command line
 * @vm: which VM
 * @vcpu: which vCPU; VIGIL_ALL_VCPUS: all
 * @set: bit i: plain[i] becomes @value[i]
 * @value: see @set
 */
struct args {
	const char *vm;
	unsigned int vcpu;
	uint32_t set;
	uint64_t value[N_PLAIN];
};

_Static_assert(N_PLAIN <= 32, "bits of set");

static const struct argp_option options[] = {
	{ "vcpu", 'n', "N", 0, "Only this vCPU (default: all)", 0 },
	{ "set", 's', "NAME=VALUE", 0,
	  "Set a general or control register, in hexadecimal; needs --vcpu; may be repeated. The "
	  "vCPU stands still for that moment, or goes on standing",
	  0 },
	{ 0 }
};

static void parse_set(struct args *args, const char *arg,
		      struct argp_state *state)
{
	const char *value = strchr(arg, '='), *why;

	for (unsigned int i = 0; value && i < N_PLAIN; i++) {
		size_t len = strlen(plain[i].name);

		if (arg + len != value || strncmp(arg, plain[i].name, len))
			continue;
		why = number_address(value + 1, &args->value[i]);
		if (why)
			argp_error(state, "`%s' %s", value + 1, why);
		args->set |= 1u << i;
		return;
	}
	argp_error(state,
		   "--set %s: no NAME=VALUE of a register, as in rip=7c00",
		   arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	uint64_t n;

	switch (key) {
	case 'n':
		if (number_count(arg, &n) || n >= VIGIL_ALL_VCPUS)
			argp_error(state, "--vcpu is the number of a vCPU");
		args->vcpu = n;
		return 0;
	case 's':
		parse_set(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (args->set && args->vcpu == VIGIL_ALL_VCPUS)
			argp_error(state, "--set needs --vcpu");
		return 0;
	}
	return vigil_parse_vm(key, arg, state, &args->vm);
}

/* The monitor's end lets the vCPU go on, unless `vigil pause' has paused it. */
static int set(const struct mon *mon, const struct args *args)
{
	struct vigil_registers st;
	unsigned int which = 0;
	int ret;

	ret = vigil_pause(mon->m, args->vcpu, 0);
	if (!ret)
		ret = vigil_get_registers(mon->m, args->vcpu, &st, sizeof(st));
	if (ret)
		return ret;
	for (unsigned int i = 0; i < N_PLAIN; i++) {
		if (!(args->set & 1u << i))
			continue;
		plain_set(&st, i, args->value[i]);
		which |= plain[i].which;
	}
	return vigil_set_registers(mon->m, args->vcpu, &st, sizeof(st), which);
}

static int show(const struct mon *mon, const struct args *args)
{
	struct json_object *all = json_object_new_array();
	bool one = args->vcpu != VIGIL_ALL_VCPUS;
	unsigned int i = one ? args->vcpu : 0, first = i;
	unsigned int end = one ? i + 1 : mon->info.nr_vcpus;
	struct vigil_registers st;
	int ret = 0;

	for (; i < end; i++) {
		ret = vigil_get_registers(mon->m, i, &st, sizeof(st));
		if (ret)
			break;
		json_object_array_add(all, state_json(i, &st));
		if (vigil_options.json)
			continue;
		printf("%svcpu %u\n", i > first ? "\n" : "", i);
		lv_print_regs(stdout, &st.regs, &st.sregs);
	}
	if (!ret && vigil_options.json)
		puts(json_object_to_json_string_ext(all,
						    JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
	return ret;
}

int vigil_cmd_regs(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "VM",
		.doc = "Show the registers of a VM's vCPUs: general, control, and segment "
		       "registers with their hidden part. VM is a number or a name. The guest "
		       "goes on at once.",
		.children = vigil_common_children,
	};
	struct args args = { .vcpu = VIGIL_ALL_VCPUS };
	struct mon mon;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, args.vm, args.set ? 0 : VIGIL_MONITOR_READ);
	if (ret)
		return mon_exit_code(ret);
	if (args.set)
		ret = set(&mon, &args);
	if (!ret)
		ret = show(&mon, &args);
	mon_detach(&mon);
	return ret ? mon_exit_code(ret) : VIGIL_EX_OK;
}
