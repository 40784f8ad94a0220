// SPDX-License-Identifier: GPL-2.0
/* `vigil run --xen': connects the domain (tools/xen) with the machine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <vigil.h>

#include "command.h"
#include "run.h"

#define MSR_TSC 0x10
#define MAX_LEAVES 8

/* Hypercalls that are never open to user mode, whoever asks. */
#define BIT_OF(nr) (1ull << (nr))
#define KERNEL_ONLY                                                           \
	(BIT_OF(__HYPERVISOR_set_trap_table) | BIT_OF(__HYPERVISOR_set_gdt) | \
	 BIT_OF(__HYPERVISOR_stack_switch) |                                  \
	 BIT_OF(__HYPERVISOR_set_callbacks) |                                 \
	 BIT_OF(__HYPERVISOR_update_descriptor) | BIT_OF(__HYPERVISOR_iret) | \
	 BIT_OF(__HYPERVISOR_callback_op) |                                   \
	 BIT_OF(VIGIL_HYPERVISOR_set_fast_trap) |                             \
	 BIT_OF(VIGIL_HYPERVISOR_set_hypercall_iopl))

static int on_translate(void *ctx, uint64_t la, unsigned int cpl, bool write,
			uint64_t *gpa)
{
	struct kvm_translation tr = { .linear_address = la };
	struct machine *m = ctx;

	if (ioctl(m->vcpu.fd, KVM_TRANSLATE, &tr) || !tr.valid ||
	    (cpl == 3 && !tr.usermode) || (write && !tr.writeable))
		return -1;
	*gpa = tr.physical_address;
	return 0;
}

static uint64_t on_guest_tsc(void *ctx)
{
	struct machine *m = ctx;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = MSR_TSC } };

	ioctl(m->vcpu.fd, KVM_GET_MSRS, &msrs);
	return msrs.entry.data;
}

/* console_io and the ring are two consoles: see vigil-run(1). */
static void on_output(void *ctx, const uint8_t *data, size_t len)
{
	struct machine *m = ctx;

	while (len--)
		console_put(m->console, *data++);
}

static void on_hypervisor_output(void *ctx, const uint8_t *data, size_t len)
{
	struct machine *m = ctx;

	if (!m->xen_ring)
		on_output(ctx, data, len);
	else if (vigil_options.verbose)
		fwrite(data, 1, len, stderr);
}

static void on_shutdown(void *ctx, unsigned int reason)
{
	struct machine *m = ctx;

	switch (reason) {
	case SHUTDOWN_poweroff:
		machine_stop(m, OUTCOME_HALT, VIGIL_EX_OK);
		return;
	case SHUTDOWN_reboot:
	case SHUTDOWN_soft_reset:
		machine_stop(m, OUTCOME_RESET, VIGIL_EX_OK);
		return;
	case SHUTDOWN_crash:
		report_crash(m, "the guest says that it has crashed");
		return;
	case SHUTDOWN_watchdog:
		report_crash(m, "the guest's watchdog has expired");
		return;
	}
	report_crash(m,
		     "the guest has ended for a reason that Xen does not know");
}

static int on_add_page(void *ctx, uint64_t gpa)
{
	struct machine *m = ctx;

	return lv_vm_add_ram(&m->vm, gpa, 0x1000, 0) < 0 ? -1 : 0;
}

static void on_set_irq(void *ctx, unsigned int line, bool level)
{
	struct machine *m = ctx;

	pic_set_irq(&m->pic, line, level);
}

static bool on_irq_pending(void *ctx)
{
	struct machine *m = ctx;

	return pic_pending(&m->pic);
}

static bool on_takes_irqs(void *ctx)
{
	struct machine *m = ctx;

	return m->vcpu.run->if_flag;
}

static bool on_wait(void *ctx)
{
	struct machine *m = ctx;

	kick_wait();
	handle_kick(m);
	return m->outcome == OUTCOME_RUNNING;
}

static bool on_stopping(void *ctx)
{
	struct machine *m = ctx;

	handle_kick(m);
	return m->outcome != OUTCOME_RUNNING;
}

static unsigned int ring_room(void *ctx)
{
	return xen_console_room(ctx);
}

static void ring_put(void *ctx, uint8_t byte)
{
	xen_console_input(ctx, byte);
}

static void on_use_console(void *ctx)
{
	struct machine *m = ctx;

	if (!m->xen_ring)
		m->console->sink =
			(struct console_sink){ ring_room, ring_put, &m->xen };
	m->xen_ring = true;
	/* For what has come in already: the guest may have made room for it. */
	console_pull(m->console);
}

static const struct xen_ops xen_ops = {
	.translate = on_translate,
	.guest_tsc = on_guest_tsc,
	.output = on_output,
	.hypervisor_output = on_hypervisor_output,
	.shutdown = on_shutdown,
	.add_page = on_add_page,
	.set_irq = on_set_irq,
	.irq_pending = on_irq_pending,
	.takes_irqs = on_takes_irqs,
	.wait = on_wait,
	.stopping = on_stopping,
	.use_console = on_use_console,
};

int run_xen_policy(struct machine *m)
{
	const struct run_options *opt = m->opt;
	struct vigil_hypercalls h = {
		.flags = VIGIL_HC_PAGE | VIGIL_HC_EXIT_XEN | VIGIL_HC_TRAPS |
			 (opt->forced_emulation ? VIGIL_HC_FEP_XEN : 0) |
			 (opt->int82 ? VIGIL_HC_INT82 : 0),
		.msr = XEN_MSR,
		.max_iopl = opt->max_iopl,
		.kernel = BIT_OF(__HYPERVISOR_multicall) |
			  BIT_OF(__HYPERVISOR_sched_op) |
			  BIT_OF(__HYPERVISOR_set_trap_table) |
			  BIT_OF(__HYPERVISOR_set_gdt) |
			  BIT_OF(__HYPERVISOR_stack_switch) |
			  BIT_OF(__HYPERVISOR_set_callbacks) |
			  BIT_OF(__HYPERVISOR_update_descriptor) |
			  BIT_OF(__HYPERVISOR_iret) |
			  BIT_OF(__HYPERVISOR_callback_op) |
			  BIT_OF(VIGIL_HYPERVISOR_set_fast_trap) |
			  BIT_OF(VIGIL_HYPERVISOR_set_hypercall_iopl),
		.user_max = opt->max_iopl ? ~KERNEL_ONLY : 0,
	};
	int err;

	if (!opt->xen)
		return 0;
	if (!lv_ioctl(m->vm.fd, VIGIL_SET_HYPERCALLS, &h))
		return 0;
	err = errno;
	return lv_fail(err,
		       "the hypervisor refuses to be Xen for a guest: %s; "
		       "--xen needs /dev/vigil of this version",
		       strerror(err));
}

int run_xen_create(struct machine *m)
{
	int khz;

	if (!m->opt->xen)
		return 0;
	khz = lv_vcpu_tsc_khz(&m->vcpu);
	return xen_create(&m->xen, &xen_ops, m, &m->vm, &m->timers,
			  khz > 0 ? khz : 0, &m->mem);
}

void run_xen_destroy(struct machine *m)
{
	xen_destroy(&m->xen);
}

struct kvm_cpuid2 *run_xen_cpuid(struct machine *m, struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *e;
	struct kvm_cpuid2 *more;
	uint32_t i, regs[4];

	if (!m->opt->xen)
		return cpuid;
	more = realloc(cpuid, sizeof(*cpuid) +
				      (cpuid->nent + MAX_LEAVES) * sizeof(*e));
	if (!more) {
		free(cpuid);
		lv_fail(ENOMEM, "no memory for the guest's CPUID");
		return NULL;
	}
	for (i = 0; i < MAX_LEAVES; i++) {
		if (!xen_cpuid(XEN_CPUID_FIRST_LEAF + i, 0, regs))
			break;
		more->entries[more->nent++] = (struct kvm_cpuid_entry2){
			.function = XEN_CPUID_FIRST_LEAF + i,
			.eax = regs[0],
			.ebx = regs[1],
			.ecx = regs[2],
			.edx = regs[3],
		};
	}
	return more;
}

void run_xen_exit(struct machine *m)
{
	struct kvm_xen_exit *x = &m->vcpu.run->xen;
	struct xen_call call = { 0 };

	if (x->type != KVM_EXIT_XEN_HCALL) {
		report_unknown_exit(m);
		return;
	}
	call.nr = x->u.hcall.input;
	memcpy(call.arg, x->u.hcall.params, sizeof(call.arg));
	call.wide = x->u.hcall.longmode;
	call.cpl = x->u.hcall.cpl;
	x->u.hcall.result = xen_hypercall(&m->xen, &call);
}
