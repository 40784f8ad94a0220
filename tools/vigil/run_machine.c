// SPDX-License-Identifier: GPL-2.0
/* Builds the machine: memory, devices, vCPU, kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "libvm.h"
#include "mon.h"
#include "run.h"
#include "run_check.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
/* RAM stops here below 4 GiB: firmware and PCI have the rest of a PC. */
#define LOW_END_MAX (3 * GIB)

#define IRQ_PIT 0
#define IRQ_KBD 1
#define IRQ_COM1 4
#define IRQ_RTC 8

static uint64_t clock_ns(void *ctx)
{
	return mono_ns();
}

static void deadline_changed(void *ctx, uint64_t ns)
{
	kick_at(ns);
}

void machine_stop(struct machine *m, enum outcome outcome, int status)
{
	if (m->outcome != OUTCOME_RUNNING)
		return;
	m->outcome = outcome;
	m->status = status;
}

static void on_reset(void *ctx)
{
	machine_stop(ctx, OUTCOME_RESET, VIGIL_EX_OK);
}

static void on_debug_exit(void *ctx, uint8_t status)
{
	machine_stop(ctx, OUTCOME_DEBUG_EXIT, status);
}

static void on_output(void *ctx, uint8_t byte)
{
	struct machine *m = ctx;

	console_put(m->console, byte);
}

static unsigned int com1_room(void *ctx)
{
	return uart_room(ctx);
}

static void com1_put(void *ctx, uint8_t byte)
{
	uart_receive(ctx, byte);
}

static void on_drained(void *ctx)
{
	struct machine *m = ctx;

	console_pull(m->console);
}

static void add_range(struct mem_map *mem, uint64_t addr, uint64_t end,
		      uint32_t type)
{
	mem->ranges[mem->n++] = (struct mem_range){ addr, end - addr, type };
}

static int add_memory(struct machine *m)
{
	uint64_t size = m->opt->mem,
		 low = size < LOW_END_MAX ? size : LOW_END_MAX;
	int ret;

	m->mem.low_end = low;
	m->mem.high_bytes = size - low;
	/* 640 KiB, and from the BIOS area (with nothing in it) on the rest. */
	ret = lv_vm_add_ram(&m->vm, 0, 0xa0000, 0);
	if (ret >= 0)
		ret = lv_vm_add_ram(&m->vm, 0xc0000, low - 0xc0000, 0);
	if (ret >= 0 && m->mem.high_bytes)
		ret = lv_vm_add_ram(&m->vm, 4 * GIB, m->mem.high_bytes, 0);
	if (ret >= 0 && m->opt->xen)
		ret = lv_vm_add_ram(&m->vm, XEN_SPECIAL_GPA, XEN_SPECIAL_SIZE,
				    0);
	if (ret < 0)
		return ret;
	add_range(&m->mem, 0, CONVENTIONAL_END, E820_RAM);
	add_range(&m->mem, CONVENTIONAL_END, 0xa0000, E820_RESERVED);
	add_range(&m->mem, 0xc0000, MIB, E820_RESERVED);
	add_range(&m->mem, MIB, low, E820_RAM);
	if (m->opt->xen)
		add_range(&m->mem, XEN_SPECIAL_GPA,
			  XEN_SPECIAL_GPA + XEN_SPECIAL_SIZE, E820_RESERVED);
	if (m->mem.high_bytes)
		add_range(&m->mem, 4 * GIB, 4 * GIB + m->mem.high_bytes,
			  E820_RAM);
	return 0;
}

static int add_devices(struct machine *m)
{
	static const struct misc_ops misc_ops = {
		.output = on_output,
		.reset = on_reset,
		.debug_exit = on_debug_exit,
	};
	struct timespec now;

#define LINE(n) ((struct irq_line){ pic_set_irq, &m->pic, n })
	clock_gettime(CLOCK_REALTIME, &now);
	io_bus_init(&m->bus);
	pic_init(&m->pic);
	pit_init(&m->pit, &m->timers, LINE(IRQ_PIT));
	rtc_init(&m->rtc, &m->timers, LINE(IRQ_RTC),
		 now.tv_sec * NSEC_PER_SEC + now.tv_nsec, m->mem.low_end,
		 m->mem.high_bytes);
	uart_init(&m->com1, 0x3f8, LINE(IRQ_COM1), on_output, on_drained, m);
	i8042_init(&m->kbc, LINE(IRQ_KBD), on_reset, m);
#undef LINE
	if (io_bus_attach(&m->bus, &m->pic.dev) ||
	    io_bus_attach(&m->bus, &m->pit.dev) ||
	    io_bus_attach(&m->bus, &m->rtc.dev) ||
	    io_bus_attach(&m->bus, &m->com1.dev) ||
	    io_bus_attach(&m->bus, &m->kbc.dev) ||
	    misc_init(&m->misc, &m->bus, &misc_ops, m, m->opt->debug_exit))
		return lv_fail(EEXIST, "two devices want the same port");
	return 0;
}

static int load_guest(struct machine *m)
{
	const struct run_options *opt = m->opt;
	struct load_args args = {
		.vm = &m->vm,
		.mem = &m->mem,
		.path = opt->kernel,
		.append = opt->append,
		.default_append = opt->default_append,
		.flat = opt->flat,
		.xen = opt->xen,
		.load_addr = opt->load_addr,
		.entry = opt->entry,
	};
	struct boot_state boot;
	int khz, err;

	khz = lv_vcpu_tsc_khz(&m->vcpu);
	args.tsc_khz = khz > 0 ? khz : 0;
	err = blob_read(&args.kernel, opt->kernel, opt->mem);
	if (!err && opt->initrd)
		err = blob_read(&args.initrd, opt->initrd, opt->mem);
	if (!err)
		err = load_kernel(&args, &boot);
	blob_free(&args.kernel);
	blob_free(&args.initrd);
	if (err)
		return VIGIL_EX_INPUT;
	if (vigil_options.verbose)
		vigil_msg("%s: %s, entry %#x, %llu MiB of memory", opt->kernel,
			  boot.what, boot.eip,
			  (unsigned long long)(opt->mem >> 20));
	return setup_cpu(m, &boot) ? VIGIL_EX_DEVICE : VIGIL_EX_OK;
}

/* Return: 0, or an exit code with lv_error(). */
static int set_name(struct machine *m, const char *name)
{
	struct vigil_vm_desc *list;
	int err, n;

	err = lv_vm_set_name(&m->vm, name);
	/* KVM has no names; that is no reason not to run. */
	if (err == -ENOTTY)
		return 0;
	if (err)
		return VIGIL_EX_DEVICE;
	n = mon_told(mon_list(&list));
	if (n < 0)
		return VIGIL_EX_DEVICE;
	err = check_name(list, n, name);
	free(list);
	return err ? VIGIL_EX_FAIL : 0;
}

int machine_create(struct machine *m, const struct run_options *opt,
		   struct console *con)
{
	const struct console_sink com1 = { com1_room, com1_put, &m->com1 };
	int status = VIGIL_EX_OS;

	memset(m, 0, sizeof(*m));
	m->opt = opt;
	m->console = con;
	m->vcpu.fd = -1;
	m->timers = (struct timers){ .clock = clock_ns,
				     .deadline_changed = deadline_changed };
	if (!opt->overcommit && check_memory(opt->mem, "/proc"))
		goto say;
	status = VIGIL_EX_DEVICE;
	if (lv_vm_create(&m->vm, vigil_options.device))
		goto say;
	if (opt->name) {
		status = set_name(m, opt->name);
		if (status)
			goto fail;
		status = VIGIL_EX_DEVICE;
	}
	if (run_xen_policy(m) || add_memory(m) ||
	    lv_vcpu_create(&m->vm, &m->vcpu, 0) || setup_cpuid(m) ||
	    run_xen_create(m))
		goto fail;
	status = VIGIL_EX_OS;
	if (add_devices(m))
		goto fail;
	status = load_guest(m);
	if (status)
		goto fail;
	kick_attach(m->vcpu.run);
	console_attach(con, &m->timers, &com1);
	return 0;
fail:
	machine_destroy(m);
say:
	vigil_msg("%s", lv_error());
	return status;
}

void machine_destroy(struct machine *m)
{
	kick_attach(NULL);
	kick_at(UINT64_MAX);
	console_detach(m->console);
	run_xen_destroy(m);
	lv_vcpu_destroy(&m->vcpu);
	lv_vm_destroy(&m->vm);
}
