// SPDX-License-Identifier: GPL-2.0
/* The vCPU loop: interrupts in, exits out. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "run.h"

/* The error for an unknown hypercall in KVM guests (linux/kvm_para.h). */
#define HYPERCALL_ENOSYS 1000ull

void handle_kick(struct machine *m)
{
	int sig;

	if (!kick_taken())
		return;
	sig = kick_signal();
	if (sig) {
		machine_stop(m, OUTCOME_SIGNAL, 128 + sig);
		return;
	}
	timers_run(&m->timers);
	console_pull(m->console);
	if (m->console->quit)
		machine_stop(m, OUTCOME_QUIT, VIGIL_EX_OK);
}

/*
 * Injects an interrupt: without an interrupt controller in the hypervisor, this
 * program drives the CPU's INTR pin.
 */
static int inject(struct machine *m)
{
	struct kvm_run *run = m->vcpu.run;
	int vector = -1;

	run->request_interrupt_window = 0;
	if (m->opt->xen) {
		xen_before_entry(&m->xen);
		vector = xen_vector(&m->xen);
	}
	if (vector < 0 && !pic_pending(&m->pic))
		return 0;
	if (!run->ready_for_interrupt_injection) {
		run->request_interrupt_window = 1;
		return 0;
	}
	m->irqs++;
	run->ready_for_interrupt_injection = 0;
	if (vector < 0)
		vector = pic_ack(&m->pic);
	/* A second interrupt waits until the CPU can take it. */
	if (lv_vcpu_interrupt(&m->vcpu, vector))
		return -1;
	run->request_interrupt_window = pic_pending(&m->pic);
	return 0;
}

static void handle_io(struct machine *m)
{
	struct kvm_run *run = m->vcpu.run;
	unsigned int size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.data_offset > m->vm.run_size ||
	    (uint64_t)size * run->io.count >
		    m->vm.run_size - run->io.data_offset ||
	    (size != 1 && size != 2 && size != 4)) {
		report_unknown_exit(m);
		return;
	}
	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint32_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, size);
			io_bus_write(&m->bus, run->io.port, size, val);
		} else {
			val = io_bus_read(&m->bus, run->io.port, size);
			memcpy(data, &val, size);
		}
	}
}

static void handle_mmio(struct machine *m)
{
	struct kvm_run *run = m->vcpu.run;

	/* No device is there: reads give ones, writes are ignored. */
	if (run->mmio.is_write) {
		m->mmio_writes++;
		return;
	}
	m->mmio_reads++;
	memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
}

static void handle_hlt(struct machine *m)
{
	if (!m->vcpu.run->if_flag) {
		machine_stop(m, OUTCOME_HALT, VIGIL_EX_OK);
		return;
	}
	while (m->outcome == OUTCOME_RUNNING) {
		if (m->opt->xen)
			xen_before_entry(&m->xen);
		if (pic_pending(&m->pic) ||
		    (m->opt->xen && xen_vector(&m->xen) >= 0))
			break;
		kick_wait();
		handle_kick(m);
	}
}

static void handle_exit(struct machine *m)
{
	struct kvm_run *run = m->vcpu.run;

	if (run->exit_reason < sizeof(m->exits) / sizeof(m->exits[0]))
		m->exits[run->exit_reason]++;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(m);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(m);
		break;
	case KVM_EXIT_HLT:
		handle_hlt(m);
		break;
	case KVM_EXIT_XEN:
		run_xen_exit(m);
		break;
	case KVM_EXIT_HYPERCALL:
		/* This program has no hypercalls. */
		run->hypercall.ret = -HYPERCALL_ENOSYS;
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
	case KVM_EXIT_SET_TPR: /* there is no APIC to care */
		break;
	case KVM_EXIT_SHUTDOWN:
		report_shutdown(m);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		report_fail_entry(m);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		report_internal_error(m);
		break;
	default:
		report_unknown_exit(m);
		break;
	}
}

void run_vcpu(struct machine *m)
{
	while (m->outcome == OUTCOME_RUNNING) {
		int err;

		handle_kick(m);
		if (m->outcome != OUTCOME_RUNNING)
			break;
		if (inject(m)) {
			report_run_error(m);
			break;
		}
		err = lv_vcpu_run(&m->vcpu);
		/*
		 * The guest may have taken its events: the line falls, and rises again
		 * for those of this exit.
		 */
		if (m->opt->xen)
			xen_before_entry(&m->xen);
		if (!err)
			handle_exit(m);
		else if (err != -EINTR && err != -EAGAIN)
			report_run_error(m);
	}
	console_flush(m->console);
}
