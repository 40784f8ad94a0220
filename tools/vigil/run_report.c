// SPDX-License-Identifier: GPL-2.0
/* Why a guest cannot go on, in words, with its registers. */
#include <inttypes.h>
#include <sys/ioctl.h>

#include <vigil.h>

#include "command.h"
#include "run.h"

/* Prints the bytes at CS:RIP, as far as the guest's page tables lead to RAM. */
static void print_code(struct machine *m, const struct kvm_regs *regs,
		       const struct kvm_sregs *sregs)
{
	bool long_mode = sregs->efer & 0x400 && sregs->cs.l;
	uint64_t gva = long_mode ? regs->rip :
				   (uint32_t)(sregs->cs.base + regs->rip);

	fprintf(stderr, "code at %#" PRIx64 ":", gva);
	for (unsigned int i = 0; i < 16; i++) {
		struct kvm_translation tr = { .linear_address = gva + i };
		const uint8_t *p = NULL;

		if (!ioctl(m->vcpu.fd, KVM_TRANSLATE, &tr) && tr.valid)
			p = lv_vm_ptr(&m->vm, tr.physical_address, 1);
		if (!p) {
			fputs(i ? " ..." : " (not mapped)", stderr);
			break;
		}
		fprintf(stderr, " %02x", *p);
	}
	fputc('\n', stderr);
}

/*
 * Hardware may not keep the state of a CPU that shut down, and KVM resets it.
 */
static bool is_reset_state(const struct kvm_regs *regs,
			   const struct kvm_sregs *sregs)
{
	return regs->rip == 0xfff0 && sregs->cs.selector == 0xf000 &&
	       !(sregs->cr0 & 1);
}

void report_state(struct machine *m)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (lv_vcpu_get_regs(&m->vcpu, &regs) ||
	    lv_vcpu_get_sregs(&m->vcpu, &sregs)) {
		vigil_msg("%s", lv_error());
		return;
	}
	lv_print_regs(stderr, &regs, &sregs);
	if (is_reset_state(&regs, &sregs)) {
		fputs("(that is the CPU after its reset: the hypervisor keeps no older state)\n",
		      stderr);
		return;
	}
	print_code(m, &regs, &sregs);
}

/*
 * Prints pending output before the explanation, with the terminal in its own
 * mode.
 */
static void begin(struct machine *m)
{
	console_close(m->console);
	fflush(stdout);
}

void report_shutdown(struct machine *m)
{
	begin(m);
	vigil_msg("the guest's CPU shut down (triple fault):");
	report_state(m);
	vigil_msg(
		"a fault could not be delivered: look at cr2, the IDT and the stack; some "
		"kernels also reset a machine this way (Linux: reboot=t)");
	machine_stop(m, OUTCOME_ERROR, VIGIL_EX_SHUTDOWN);
}

void report_fail_entry(struct machine *m)
{
	const struct vigil_fail_entry *f = (void *)&m->vcpu.run->fail_entry;

	begin(m);
	vigil_msg(
		"the CPU refused to enter the guest, hardware reason %#llx: %s",
		(unsigned long long)f->hardware_entry_failure_reason,
		f->why[0] ? f->why : "of what vigil checks, all is right");
	report_state(m);
	vigil_msg("the state above is one that the hardware does not accept");
	machine_stop(m, OUTCOME_ERROR, VIGIL_EX_ENTRY);
}

void report_crash(struct machine *m, const char *why)
{
	begin(m);
	vigil_msg("%s:", why);
	report_state(m);
	machine_stop(m, OUTCOME_CRASH, VIGIL_EX_CRASH);
}

void report_internal_error(struct machine *m)
{
	const struct kvm_run *run = m->vcpu.run;
	unsigned int n = run->internal.ndata;

	begin(m);
	vigil_msg("the hypervisor cannot go on with this guest, suberror %u%s:",
		  run->internal.suberror,
		  run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ?
			  " (an instruction that it cannot emulate)" :
			  "");
	if (n > sizeof(run->internal.data) / sizeof(run->internal.data[0]))
		n = sizeof(run->internal.data) / sizeof(run->internal.data[0]);
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && n &&
	    run->emulation_failure.flags &
		    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		unsigned int len = run->emulation_failure.insn_size;

		fputs("instruction bytes:", stderr);
		for (unsigned int i = 0; i < len && i < 15; i++)
			fprintf(stderr, " %02x",
				run->emulation_failure.insn_bytes[i]);
		fputc('\n', stderr);
	} else {
		for (unsigned int i = 0; i < n; i++)
			fprintf(stderr, "data[%u] %#llx\n", i,
				(unsigned long long)run->internal.data[i]);
	}
	report_state(m);
	vigil_msg(
		"this is the hypervisor's limit, not the guest's fault: please report it with "
		"the lines above and dmesg");
	machine_stop(m, OUTCOME_ERROR, VIGIL_EX_INTERNAL);
}

void report_unknown_exit(struct machine *m)
{
	begin(m);
	vigil_msg(
		"exit %u (%s) from the hypervisor, which `vigil run' does not handle:",
		m->vcpu.run->exit_reason,
		lv_exit_name(m->vcpu.run->exit_reason));
	report_state(m);
	vigil_msg(
		"is vigil older than the hypervisor behind it? please report it");
	machine_stop(m, OUTCOME_ERROR, VIGIL_EX_UNKNOWN);
}

void report_run_error(struct machine *m)
{
	char text[256];

	begin(m);
	if (lv_trap_end(m->vcpu.run, NULL, text, sizeof(text))) {
		vigil_msg("%s:", text);
		report_state(m);
		machine_stop(m, OUTCOME_CRASH, VIGIL_EX_CRASH);
		return;
	}
	if (lv_killed(m->vcpu.run)) {
		/* A VM that has ended does not tell its registers. */
		vigil_msg("a monitor has ended this VM");
		machine_stop(m, OUTCOME_ERROR, VIGIL_EX_KILLED);
		return;
	}
	vigil_msg("%s", lv_error());
	report_state(m);
	machine_stop(m, OUTCOME_ERROR, VIGIL_EX_INTERNAL);
}

void report_stats(const struct machine *m)
{
	fprintf(stderr,
		"vigil: interrupts %" PRIu64 ", mmio reads %" PRIu64
		" writes %" PRIu64 ", exits:",
		m->irqs, m->mmio_reads, m->mmio_writes);
	for (unsigned int i = 0; i < sizeof(m->exits) / sizeof(m->exits[0]);
	     i++)
		if (m->exits[i])
			fprintf(stderr, " %s %" PRIu64, lv_exit_name(i),
				m->exits[i]);
	fputs("\nvigil: port accesses:", stderr);
	for (unsigned int i = 0; i < m->bus.n_devices; i++)
		if (m->bus.accesses[i])
			fprintf(stderr, " %s %" PRIu64,
				i ? m->bus.devices[i]->name : "nobody",
				m->bus.accesses[i]);
	/*
	 * When a guest hangs, this shows which interrupt is waiting for what.
	 */
	for (unsigned int i = 0; i < 2; i++)
		fprintf(stderr, "%s irr %02x isr %02x imr %02x",
			i ? "; slave" : "\nvigil: pic master",
			m->pic.chip[i].irr, m->pic.chip[i].isr,
			m->pic.chip[i].imr);
	fprintf(stderr, "; pit mode %u count %u, ", m->pit.ch[0].mode,
		m->pit.ch[0].reload);
	if (m->pit.timer.armed)
		fprintf(stderr, "fires in %" PRId64 " us",
			(int64_t)(m->pit.timer.expires - mono_ns()) / 1000);
	else
		fputs("not counting", stderr);
	fputc('\n', stderr);
}
