// SPDX-License-Identifier: GPL-2.0
/* Registers and exit reasons as text. */
#include <string.h>

#include <vigil.h>

#include "libvm.h"

const char *lv_exit_name(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_UNKNOWN:
		return "UNKNOWN";
	case KVM_EXIT_EXCEPTION:
		return "EXCEPTION";
	case KVM_EXIT_IO:
		return "IO";
	case KVM_EXIT_HYPERCALL:
		return "HYPERCALL";
	case KVM_EXIT_DEBUG:
		return "DEBUG";
	case KVM_EXIT_HLT:
		return "HLT";
	case KVM_EXIT_MMIO:
		return "MMIO";
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return "IRQ_WINDOW_OPEN";
	case KVM_EXIT_SHUTDOWN:
		return "SHUTDOWN";
	case KVM_EXIT_FAIL_ENTRY:
		return "FAIL_ENTRY";
	case KVM_EXIT_INTR:
		return "INTR";
	case KVM_EXIT_SET_TPR:
		return "SET_TPR";
	case KVM_EXIT_TPR_ACCESS:
		return "TPR_ACCESS";
	case KVM_EXIT_INTERNAL_ERROR:
		return "INTERNAL_ERROR";
	case KVM_EXIT_SYSTEM_EVENT:
		return "SYSTEM_EVENT";
	case KVM_EXIT_DIRTY_RING_FULL:
		return "DIRTY_RING_FULL";
	case KVM_EXIT_XEN:
		return "XEN";
	case KVM_EXIT_X86_RDMSR:
		return "X86_RDMSR";
	case KVM_EXIT_X86_WRMSR:
		return "X86_WRMSR";
	}
	return "(not known to libvm)";
}

static void print_segment(FILE *out, const char *name,
			  const struct kvm_segment *s)
{
	fprintf(out,
		"%-4s%04x base=%016llx limit=%08x type=%x s=%u dpl=%u p=%u avl=%u "
		"l=%u db=%u g=%u%s\n",
		name, s->selector, (unsigned long long)s->base, s->limit,
		s->type, s->s, s->dpl, s->present, s->avl, s->l, s->db, s->g,
		s->unusable ? " unusable" : "");
}

void lv_print_regs(FILE *out, const struct kvm_regs *r,
		   const struct kvm_sregs *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} gprs[] = {
		{ "rax", r->rax }, { "rbx", r->rbx }, { "rcx", r->rcx },
		{ "rdx", r->rdx }, { "rsi", r->rsi }, { "rdi", r->rdi },
		{ "rbp", r->rbp }, { "rsp", r->rsp }, { "r8 ", r->r8 },
		{ "r9 ", r->r9 },  { "r10", r->r10 }, { "r11", r->r11 },
		{ "r12", r->r12 }, { "r13", r->r13 }, { "r14", r->r14 },
		{ "r15", r->r15 },
	};

	for (unsigned int i = 0; i < sizeof(gprs) / sizeof(gprs[0]); i++)
		fprintf(out, "%s %016llx%s", gprs[i].name,
			(unsigned long long)gprs[i].value,
			i % 4 == 3 ? "\n" : "  ");
	fprintf(out, "rip %016llx  rflags %08llx\n", (unsigned long long)r->rip,
		(unsigned long long)r->rflags);
	if (!s)
		return;
	print_segment(out, "cs", &s->cs);
	print_segment(out, "ss", &s->ss);
	print_segment(out, "ds", &s->ds);
	print_segment(out, "es", &s->es);
	print_segment(out, "fs", &s->fs);
	print_segment(out, "gs", &s->gs);
	print_segment(out, "tr", &s->tr);
	print_segment(out, "ldt", &s->ldt);
	fprintf(out,
		"gdt base=%016llx limit=%04x  idt base=%016llx limit=%04x\n",
		(unsigned long long)s->gdt.base, s->gdt.limit,
		(unsigned long long)s->idt.base, s->idt.limit);
	fprintf(out,
		"cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  cr8 %llx  efer %llx\n",
		(unsigned long long)s->cr0, (unsigned long long)s->cr2,
		(unsigned long long)s->cr3, (unsigned long long)s->cr4,
		(unsigned long long)s->cr8, (unsigned long long)s->efer);
}

bool lv_killed(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == VIGIL_INTERNAL_ERROR_KILLED;
}

bool lv_trap_end(const struct kvm_run *run, struct vigil_trap_end *copy,
		 char *text, size_t len)
{
	struct vigil_trap_end end;

	if (run->exit_reason != KVM_EXIT_INTERNAL_ERROR ||
	    run->internal.suberror != KVM_INTERNAL_ERROR_DELIVERY_EV ||
	    run->internal.ndata != sizeof(end) / sizeof(run->internal.data[0]))
		return false;
	memcpy(&end, run->internal.data, sizeof(end));
	switch (end.why) {
	case VIGIL_END_FRAME:
		snprintf(
			text, len,
			"the guest's trap %#llx to %04llx:%#llx failed: exception %u, error code "
			"%#llx, address %#llx, while its frame was built",
			end.vector, end.cs, end.ip, (unsigned int)end.fault,
			end.fault >> 32, end.address);
		break;
	case VIGIL_END_NO_HANDLER:
		snprintf(
			text, len,
			"the guest's trap %#llx at %#llx has no handler in its trap table",
			end.vector, end.rip);
		break;
	case VIGIL_END_RING0:
		snprintf(
			text, len,
			"the guest's trap %#llx at %#llx came in ring 0, which no handler of "
			"ring 1 can take",
			end.vector, end.rip);
		break;
	default:
		return false;
	}
	if (copy)
		*copy = end;
	return true;
}
