// SPDX-License-Identifier: GPL-2.0
/* vigil regs VM: registers of a running guest, the hidden parts too. */
#include <json-c/json.h>
#include <stdio.h>

#include "command.h"
#include "libvm.h"
#include "mon.h"

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

static struct json_object *state_json(unsigned int vcpu,
				      const struct vigil_registers *st)
{
	const struct kvm_sregs *s = &st->sregs;
	const struct kvm_regs *r = &st->regs;
	const struct {
		const char *name;
		uint64_t value;
	} plain[] = {
		{ "rax", r->rax },
		{ "rbx", r->rbx },
		{ "rcx", r->rcx },
		{ "rdx", r->rdx },
		{ "rsi", r->rsi },
		{ "rdi", r->rdi },
		{ "rsp", r->rsp },
		{ "rbp", r->rbp },
		{ "r8", r->r8 },
		{ "r9", r->r9 },
		{ "r10", r->r10 },
		{ "r11", r->r11 },
		{ "r12", r->r12 },
		{ "r13", r->r13 },
		{ "r14", r->r14 },
		{ "r15", r->r15 },
		{ "rip", r->rip },
		{ "rflags", r->rflags },
		{ "cr0", s->cr0 },
		{ "cr2", s->cr2 },
		{ "cr3", s->cr3 },
		{ "cr4", s->cr4 },
		{ "cr8", s->cr8 },
		{ "efer", s->efer },
		{ "apic_base", s->apic_base },
	};
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
	for (unsigned int i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		add_hex(o, plain[i].name, plain[i].value);
	for (unsigned int i = 0; i < sizeof(segs) / sizeof(segs[0]); i++)
		add_segment(o, segs[i].name, segs[i].seg);
	add_table(o, "gdt", &s->gdt);
	add_table(o, "idt", &s->idt);
	return o;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return vigil_parse_vm(key, arg, state, state->input);
}

int vigil_cmd_regs(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "VM",
		.doc = "Show the registers of a VM's vCPUs: general, control, and segment "
		       "registers with their hidden part. VM is a number or a name. The guest "
		       "goes on at once.",
		.children = vigil_common_children,
	};
	struct json_object *all;
	struct vigil_registers st;
	const char *vm = NULL;
	struct mon mon;
	unsigned int i;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &vm))
		return VIGIL_EX_USAGE;
	ret = mon_attach(&mon, vm, VIGIL_MONITOR_READ);
	if (ret)
		return mon_exit_code(ret);
	all = json_object_new_array();
	for (i = 0; !ret && i < mon.info.nr_vcpus; i++) {
		ret = vigil_get_registers(mon.m, i, &st, sizeof(st));
		if (ret)
			break;
		json_object_array_add(all, state_json(i, &st));
		if (vigil_options.json)
			continue;
		printf("%svcpu %u\n", i ? "\n" : "", i);
		lv_print_regs(stdout, &st.regs, &st.sregs);
	}
	if (!ret && vigil_options.json)
		puts(json_object_to_json_string_ext(all,
						    JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
	mon_detach(&mon);
	return ret ? mon_exit_code(ret) : VIGIL_EX_OK;
}
