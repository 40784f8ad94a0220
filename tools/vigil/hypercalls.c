// SPDX-License-Identifier: GPL-2.0
/* vigil hypercalls VM: which hypercalls a paravirtual guest has, and who may call. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without it the header gives numbers of interfaces that are long gone. */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

#include "command.h"
#include "mon.h"
#include "vigil.h"

#define NR_NUMBERS 64
#define PREFIXES (VIGIL_HC_FEP_XEN | VIGIL_HC_FEP_KVM)

/* clang-format off */
#define XEN_CALLS(X) \
	X(set_trap_table) X(mmu_update) X(set_gdt) X(stack_switch) X(set_callbacks) \
	X(fpu_taskswitch) X(platform_op) X(set_debugreg) X(get_debugreg) \
	X(update_descriptor) X(memory_op) X(multicall) X(update_va_mapping) \
	X(set_timer_op) X(xen_version) X(console_io) X(grant_table_op) X(vm_assist) \
	X(update_va_mapping_otherdomain) X(iret) X(vcpu_op) X(set_segment_base) \
	X(mmuext_op) X(xsm_op) X(nmi_op) X(sched_op) X(callback_op) X(xenoprof_op) \
	X(event_channel_op) X(physdev_op) X(hvm_op) X(sysctl) X(domctl) X(kexec_op) \
	X(argo_op) X(xenpmu_op) X(dm_op)
/* clang-format on */

static const char *const names[NR_NUMBERS] = {
#define X(name) [__HYPERVISOR_##name] = #name,
	XEN_CALLS(X)
#undef X
		[VIGIL_HYPERVISOR_set_hypercall_iopl] = "set_hypercall_iopl",
};

static const char *const refusals[] = {
	[VIGIL_REFUSE_EPERM] = "eperm",
	[VIGIL_REFUSE_FAULT] = "fault",
};

struct args {
	const char *vm;
	int iopl, refuse; /* -1: as it is */
	bool set_user;
	uint64_t user;
};

static const struct argp_option options[] = {
	{ "iopl", 'i', "LEVEL", 0,
	  "The least privileged level whose hypercalls are accepted: 0 (the kernel's only) "
	  "to 3, as far as the VM's creator allows",
	  0 },
	{ "refuse", 'r', "HOW", 0,
	  "What a hypercall of a less privileged level gets: eperm (the call returns -1) or "
	  "fault (#GP)",
	  0 },
	{ "user", 'u', "LIST", 0,
	  "Which hypercalls levels above 0 may make: names or numbers with commas between, "
	  "or none",
	  0 },
	{ 0 }
};

/* Returns a hypercall's number, or -1. */
static int number_of(const char *text)
{
	unsigned long n;
	char *end;

	for (int i = 0; i < NR_NUMBERS; i++)
		if (names[i] && !strcmp(names[i], text))
			return i;
	n = strtoul(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && n < NR_NUMBERS ?
		       (int)n :
		       -1;
}

static uint64_t parse_list(const char *arg, struct argp_state *state)
{
	char *copy = strdup(arg), *save = NULL, *word;
	uint64_t set = 0;
	int n;

	if (!copy)
		argp_failure(state, VIGIL_EX_OS, 0, "no memory");
	if (!strcmp(arg, "none"))
		*copy = 0;
	for (word = strtok_r(copy, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		n = number_of(word);
		if (n < 0)
			argp_error(
				state,
				"there is no hypercall `%s' (names as in Xen, or 0 to 63)",
				word);
		else
			set |= 1ull << n;
	}
	free(copy);
	return set;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'i':
		if (strlen(arg) != 1 || *arg < '0' || *arg > '3')
			argp_error(state, "--iopl is 0 to 3, not `%s'", arg);
		args->iopl = *arg - '0';
		return 0;
	case 'r':
		for (args->refuse = 1; args->refuse >= 0; args->refuse--)
			if (!strcmp(arg, refusals[args->refuse]))
				return 0;
		argp_error(state, "--refuse is eperm or fault, not `%s'", arg);
		return 0;
	case 'u':
		args->user = parse_list(arg, state);
		args->set_user = true;
		return 0;
	default:
		return vigil_parse_vm(key, arg, state, &args->vm);
	}
}

static void print_set(const char *what, uint64_t set)
{
	printf("%-16s", what);
	if (!set)
		printf(" none");
	for (int i = 0; i < NR_NUMBERS; i++) {
		if (!(set >> i & 1))
			continue;
		if (names[i])
			printf(" %s(%d)", names[i], i);
		else
			printf(" %d", i);
	}
	putchar('\n');
}

static void print_text(const struct vigil_hypercalls *h)
{
	if (h->flags & PREFIXES)
		printf("emulated         what stands behind UD2 and%s%s\n",
		       h->flags & VIGIL_HC_FEP_XEN ? " xen" : "",
		       h->flags & VIGIL_HC_FEP_KVM ? " kvm" : "");
	if (!(h->flags & VIGIL_HC_PAGE)) {
		puts("hypercalls       KVM's: the VM's creator has asked for no others");
		return;
	}
	if (h->msr)
		printf("hypercalls       Xen's; MSR 0x%x writes the page\n",
		       h->msr);
	else
		puts("hypercalls       Xen's; there is no page");
	if (h->flags & VIGIL_HC_INT82)
		puts("besides          by INT 0x82; so by the page, while user mode may call");
	if (h->flags & VIGIL_HC_TRAPS)
		puts("trap tables      the guest's kernel may run in ring 1");
	printf("iopl             %u, and the guest may ask for %u\n", h->iopl,
	       h->max_iopl);
	printf("refused          %s\n", refusals[h->refuse & 1]);
	print_set("user mode", h->user);
	print_set("at most", h->user_max);
	print_set("the module's", h->kernel);
	printf("others           %s\n",
	       h->flags & VIGIL_HC_EXIT_XEN ? "the VMM's" : "-ENOSYS");
}

static void add_set(struct json_object *o, const char *key, uint64_t set)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < NR_NUMBERS; i++)
		if (set >> i & 1)
			json_object_array_add(list, json_object_new_int(i));
	json_object_object_add(o, key, list);
}

static void print_json(const struct vigil_hypercalls *h)
{
	struct json_object *o = json_object_new_object(), *list;

	json_object_object_add(o, "abi",
			       json_object_new_string(h->flags & VIGIL_HC_PAGE ?
							      "xen" :
							      "kvm"));
	json_object_object_add(o, "msr", json_object_new_int64(h->msr));
	json_object_object_add(o, "iopl", json_object_new_int(h->iopl));
	json_object_object_add(o, "max_iopl", json_object_new_int(h->max_iopl));
	json_object_object_add(o, "refuse",
			       json_object_new_string(refusals[h->refuse & 1]));
	json_object_object_add(
		o, "int82", json_object_new_boolean(h->flags & VIGIL_HC_INT82));
	json_object_object_add(
		o, "traps", json_object_new_boolean(h->flags & VIGIL_HC_TRAPS));
	add_set(o, "user", h->user);
	add_set(o, "user_max", h->user_max);
	add_set(o, "kernel", h->kernel);
	json_object_object_add(o, "vmm",
			       json_object_new_boolean(h->flags &
						       VIGIL_HC_EXIT_XEN));
	list = json_object_new_array();
	if (h->flags & VIGIL_HC_FEP_XEN)
		json_object_array_add(list, json_object_new_string("xen"));
	if (h->flags & VIGIL_HC_FEP_KVM)
		json_object_array_add(list, json_object_new_string("kvm"));
	json_object_object_add(o, "forced_emulation", list);
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
	json_object_put(o);
}

static int change(struct mon *mon, struct vigil_hypercalls *h,
		  const struct args *args)
{
	if (args->iopl >= 0)
		h->iopl = args->iopl;
	if (args->refuse >= 0)
		h->refuse = args->refuse;
	if (args->set_user)
		h->user = args->user;
	return vigil_set_hypercalls(mon->m, h, sizeof(*h));
}

int vigil_cmd_hypercalls(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "VM",
		.doc = "Show which hypercalls a paravirtual guest has and who may make them, or "
		       "change who may: from the next hypercall on, whatever the guest has asked "
		       "for. VM is a number or a name.",
		.children = vigil_common_children,
	};
	struct args args = { .iopl = -1, .refuse = -1 };
	struct vigil_hypercalls h;
	struct mon mon;
	bool set;
	int ret;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args))
		return VIGIL_EX_USAGE;
	set = args.iopl >= 0 || args.refuse >= 0 || args.set_user;
	ret = mon_attach(&mon, args.vm, set ? 0 : VIGIL_MONITOR_READ);
	if (ret)
		return mon_exit_code(ret);
	ret = vigil_get_hypercalls(mon.m, &h, sizeof(h));
	if (!ret && set)
		ret = change(&mon, &h, &args);
	mon_detach(&mon);
	if (ret)
		return mon_exit_code(ret);
	if (vigil_options.json)
		print_json(&h);
	else
		print_text(&h);
	return VIGIL_EX_OK;
}
