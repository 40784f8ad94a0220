// SPDX-License-Identifier: GPL-2.0
/*
 * vigil demo --pv: small paravirtual guests (demo_pv_guest.S) make hypercalls and take
 * traps, in six acts. Each says what it expects and what it saw.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "demo.h"
#include "demo_pv.h"
#include "libvm.h"
#include "mon.h"
#include "vigil.h"

#define XEN_EPERM 1
#define XEN_EFAULT 14
#define XEN_EINVAL 22
#define NR_CONSOLE_IO 18

#define CR0_PE_ET_NE_PG 0x80000031
#define CR4_PAE 0x20
#define EFER_LME_LMA 0x500
#define PTE_KERNEL 3
#define PTE_USER 7
#define VECTOR_NP 11
#define TSS_LIMIT 0x67

#define HELLO "Hello from user mode, without an IDT."

/* In demo_pv_guest.S. */
extern const char pv_kernel[], pv_kernel_end[], pv_page[], pv_page_end[],
	pv_user[], pv_user_end[];
extern const char pv_enter_hello[], pv_open[], pv_boot[], pv_at_ud[];

/* What the VMs of the acts may do: hypercalls of the user, and trap tables. */
static const struct vigil_hypercalls with_user_calls = {
	.flags = VIGIL_HC_PAGE | VIGIL_HC_EXIT_XEN,
	.max_iopl = 3,
	.kernel = 1ull << VIGIL_HYPERVISOR_set_hypercall_iopl,
	.user_max = 1ull << NR_CONSOLE_IO,
};

static const struct vigil_hypercalls with_traps = {
	.flags = VIGIL_HC_PAGE | VIGIL_HC_TRAPS,
	/* set_trap_table, stack_switch */
	.kernel = 1ull << 0 | 1ull << 3 |
		  1ull << VIGIL_HYPERVISOR_set_fast_trap,
};

/**
 * struct guest - a VM
 * @vm: its memory
 * @vcpu: one or two
 * @n: how many
 * @told: EAX at the last write to PV_PORT
 * @printed: what it has printed since this was emptied
 */
struct guest {
	struct lv_vm vm;
	struct lv_vcpu vcpu[2];
	unsigned int n;
	uint32_t told;
	char printed[128];
};

/**
 * struct show - the demo
 * @timeout: seconds
 * @pv: the VM of the acts 2 to 6
 * @failed: checks that did not find what they expect
 * @checks: those of this act, for --json
 */
struct show {
	unsigned int timeout, failed;
	struct guest pv;
	struct json_object *checks;
};

/* ---- what is expected, and what was seen ---- */

static void check_text(struct show *s, const char *what, const char *want,
		       const char *got)
{
	bool ok = !strcmp(want, got);
	struct json_object *o = json_object_new_object();

	demo_say("  %s: expected %s, saw %s: %s", what, want, got,
		 ok ? "PASS" : "DIFFERENT");
	s->failed += !ok;
	json_object_object_add(o, "what", json_object_new_string(what));
	json_object_object_add(o, "expected", json_object_new_string(want));
	json_object_object_add(o, "saw", json_object_new_string(got));
	json_object_object_add(o, "ok", json_object_new_boolean(ok));
	json_object_array_add(s->checks, o);
}

static void check(struct show *s, const char *what, int64_t want, int64_t got)
{
	char a[24], b[24];

	snprintf(a, sizeof(a), "%" PRId64, want);
	snprintf(b, sizeof(b), "%" PRId64, got);
	check_text(s, what, a, b);
}

static void check_hex(struct show *s, const char *what, uint64_t want,
		      uint64_t got)
{
	char a[24], b[24];

	snprintf(a, sizeof(a), "%#" PRIx64, want);
	snprintf(b, sizeof(b), "%#" PRIx64, got);
	check_text(s, what, a, b);
}

/* ---- a guest ---- */

static uint64_t *word(struct guest *g, uint64_t gpa)
{
	return lv_vm_ptr(&g->vm, gpa, sizeof(uint64_t));
}

static uint64_t noted(struct guest *g, uint64_t gpa)
{
	return *(volatile uint64_t *)word(g, gpa);
}

static void load(struct guest *g, uint64_t gpa, const char *start,
		 const char *end)
{
	memcpy(lv_vm_ptr(&g->vm, gpa, end - start), start, end - start);
}

/* Pages of the kernel, but for two of the program. The kernel's page PV_OUT is out. */
static void make_page_tables(struct guest *g)
{
	uint64_t *pt = word(g, PV_PT), at;

	*word(g, PV_PML4) = PV_PDPT | PTE_USER;
	*word(g, PV_PDPT) = PV_PD | PTE_USER;
	*word(g, PV_PD) = PV_PT | PTE_USER;
	for (at = 0x1000; at < PV_RAM; at += 0x1000)
		pt[at / 0x1000] = at | PTE_KERNEL;
	for (at = PV_USER; at < PV_USTACK; at += 0x1000)
		pt[at / 0x1000] = at | PTE_USER;
	pt[PV_SWAP / 0x1000] = 0;
	pt[PV_OUT / 0x1000] = 0;
}

static void make_gdt(struct guest *g, bool cs1_present)
{
	const uint64_t code = 0xaf9b000000ffff, data = 0xcf93000000ffff;
	const uint64_t present = 1ull << 47, ring1 = 1ull << 45,
		       ring3 = 3ull << 45;
	uint64_t *gdt = word(g, PV_GDT);

	gdt[PV_CS0 / 8] = code;
	gdt[PV_DS0 / 8] = data;
	gdt[PV_CS3 / 8] = code | ring3;
	gdt[PV_DS3 / 8] = data | ring3;
	gdt[PV_TR / 8] = TSS_LIMIT | PV_TSS << 16 | 0x8bull << 40;
	gdt[PV_CS1 / 8] = code | ring1;
	if (!cs1_present)
		gdt[PV_CS1 / 8] &= ~present;
}

static struct kvm_segment segment(uint16_t selector, unsigned int type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = type == 0xb,
		.db = type != 0xb,
	};
}

/* Ring 0, 64-bit, and the IDT is empty. */
static int set_cpu(struct lv_vcpu *vcpu, const char *entry)
{
	struct kvm_regs regs = {
		.rip = PV_KERNEL + (entry - pv_kernel),
		.rsp = PV_STACK0,
		.rflags = 2,
	};
	struct kvm_sregs s;
	int ret;

	ret = lv_vcpu_get_sregs(vcpu, &s);
	if (ret)
		return ret;
	s.cs = segment(PV_CS0, 0xb);
	s.ds = s.es = s.ss = s.fs = s.gs = segment(PV_DS0, 3);
	s.tr = (struct kvm_segment){
		.base = PV_TSS,
		.limit = TSS_LIMIT,
		.selector = PV_TR,
		.type = 0xb,
		.present = 1,
	};
	s.ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	s.gdt.base = PV_GDT;
	s.gdt.limit = PV_CS1 + 6;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr0 = CR0_PE_ET_NE_PG;
	s.cr3 = PV_PML4;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME_LMA;
	ret = lv_vcpu_set_sregs(vcpu, &s);
	return ret ? ret : lv_vcpu_set_regs(vcpu, &regs);
}

static int add_vcpu(struct guest *g, const char *entry)
{
	struct lv_vcpu *vcpu = &g->vcpu[g->n];
	struct kvm_cpuid2 *cpuid;
	int ret;

	ret = lv_vcpu_create(&g->vm, vcpu, g->n);
	if (ret)
		return ret;
	g->n++;
	cpuid = lv_cpuid_supported(&g->vm);
	if (!cpuid)
		return -errno;
	ret = lv_vcpu_set_cpuid(vcpu, cpuid);
	free(cpuid);
	return ret ? ret : set_cpu(vcpu, entry);
}

static int create_vm(struct guest *g, const struct vigil_hypercalls *h)
{
	int ret, err;

	memset(g, 0, sizeof(*g));
	ret = lv_vm_create(&g->vm, vigil_options.device);
	if (ret || !lv_ioctl(g->vm.fd, VIGIL_SET_HYPERCALLS, (void *)h))
		return ret;
	err = errno;
	return lv_fail(
		err, "%s: %s", lv_device_path(vigil_options.device),
		err == ENOTTY ?
			"this is not vigil, or a vigil without hypercalls of paravirtual guests" :
		err == EINVAL ?
			"the module is older than this command: it has no trap tables" :
			strerror(err));
}

static int create_guest(struct guest *g, const struct vigil_hypercalls *h,
			const char *entry, bool cs1_present)
{
	int ret;

	ret = create_vm(g, h);
	if (!ret)
		ret = lv_vm_add_ram(&g->vm, 0, PV_RAM, 0);
	if (ret < 0)
		return ret;
	make_page_tables(g);
	make_gdt(g, cs1_present);
	load(g, PV_KERNEL, pv_kernel, pv_kernel_end);
	load(g, PV_SWAP, pv_page, pv_page_end);
	load(g, PV_USER, pv_user, pv_user_end);
	return add_vcpu(g, entry);
}

static void destroy_guest(struct guest *g)
{
	while (g->n)
		lv_vcpu_destroy(&g->vcpu[--g->n]);
	if (g->vm.run_size)
		lv_vm_destroy(&g->vm);
}

/* Exits that the guest has caused: interrupts of the host are not its doing. */
static int64_t exits(struct guest *g)
{
	int fd = ioctl(g->vm.fd, VIGIL_CREATE_MONITOR, VIGIL_ATTACH_READ);
	struct vigil_counter *stats;
	struct vigil_monitor *mon;
	int64_t sum = 0;
	int i, n;

	if (fd < 0)
		return 0;
	if (vigil_attach_fd(&mon, fd)) {
		close(fd);
		return 0;
	}
	n = vigil_get_counters(mon, &stats, sizeof(*stats));
	vigil_detach(mon);

	for (i = 0; i < n; i++) {
		if (!strcmp(stats[i].name, "exits"))
			sum += stats[i].value;
		if (!strcmp(stats[i].name, "exits_irq") ||
		    !strcmp(stats[i].name, "exits_nmi"))
			sum -= stats[i].value;
	}
	if (n >= 0)
		free(stats);
	return sum;
}

/* ---- running it ---- */

enum stop {
	STOP_TOLD, /* the guest wrote to PV_PORT */
	STOP_SHUTDOWN, /* triple fault */
	STOP_ENDED, /* a trap has ended the VM */
};

static struct kvm_run *volatile running;
static volatile sig_atomic_t timed_out;

static void on_alarm(int sig)
{
	timed_out = 1;
	running->immediate_exit = 1;
}

static void answer_call(struct guest *g, struct kvm_run *run)
{
	const __u64 *arg = run->xen.u.hcall.params;
	uint64_t len = arg[1];
	const char *text = NULL;

	/* The program's memory is the page at PV_USER. */
	if (run->xen.u.hcall.input == NR_CONSOLE_IO && !arg[0] &&
	    arg[2] >= PV_USER && arg[2] < PV_USER + 0x1000 &&
	    len < sizeof(g->printed) && arg[2] + len <= PV_USER + 0x1000)
		text = lv_vm_ptr(&g->vm, arg[2], len);
	run->xen.u.hcall.result = text ? 0 : -XEN_EFAULT;
	if (!text)
		return;
	snprintf(g->printed, sizeof(g->printed), "%.*s", (int)len, text);
	demo_say("  level %u prints: %s", run->xen.u.hcall.cpl, g->printed);
}

/* Returns an enum stop, or a negative errno; -EAGAIN: it is to go on. */
static int look(struct guest *g, struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_XEN:
		answer_call(g, run);
		return -EAGAIN;
	case KVM_EXIT_SHUTDOWN:
		return STOP_SHUTDOWN;
	case KVM_EXIT_IO:
		if (run->io.direction != KVM_EXIT_IO_OUT ||
		    run->io.port != PV_PORT || run->io.size != 4)
			break;
		memcpy(&g->told, (char *)run + run->io.data_offset, 4);
		return STOP_TOLD;
	}
	return lv_fail(EPROTO, "the guest stopped by %s",
		       lv_exit_name(run->exit_reason));
}

/* Lets a vCPU run until it stops. Return: an enum stop, or a negative errno. */
static int go(struct show *s, struct guest *g, unsigned int n)
{
	struct lv_vcpu *vcpu = &g->vcpu[n];
	char text[256];
	int ret;

	running = vcpu->run;
	timed_out = 0;
	alarm(s->timeout);
	do {
		ret = lv_vcpu_run(vcpu);
		if (!ret)
			ret = look(g, vcpu->run);
		else if (ret == -EINTR && timed_out)
			ret = lv_fail(ETIMEDOUT, "the guest hangs");
		else if (ret != -EINTR &&
			 lv_trap_end(vcpu->run, NULL, text, sizeof(text)))
			ret = STOP_ENDED;
	} while (ret == -EAGAIN || ret == -EINTR);
	alarm(0);
	vcpu->run->immediate_exit = 0;
	return ret;
}

/* Lets it run until it tells, and has no use for any other stop. */
static int until_told(struct show *s, struct guest *g, unsigned int n)
{
	char text[256];
	int ret = go(s, g, n);

	if (ret == STOP_SHUTDOWN)
		return lv_fail(EPROTO, "the guest's CPU shut down");
	if (ret != STOP_ENDED)
		return ret;
	lv_trap_end(g->vcpu[n].run, NULL, text, sizeof(text));
	return lv_fail(EPROTO, "%s", text);
}

/* ---- the acts ---- */

/* The kernel is on vCPU 0, its user program on vCPU 1. */
static int print_from_user(struct show *s, struct guest *g)
{
	int ret;

	ret = create_guest(g, &with_user_calls, pv_open, true);
	if (!ret)
		ret = add_vcpu(g, pv_enter_hello);
	if (!ret)
		ret = until_told(s, g, 1);
	if (ret)
		return ret;
	check(s, "console_io of the program, in ring 3", -XEN_EPERM,
	      (int32_t)g->told);
	check_text(s, "its line", "nothing",
		   g->printed[0] ? g->printed : "nothing");
	ret = until_told(s, g, 0);
	if (ret)
		return ret;
	check(s, "set_hypercall_iopl(3, console_io) of the kernel", 0,
	      (int32_t)g->told);
	ret = until_told(s, g, 1);
	if (ret)
		return ret;
	check(s, "console_io of the program now", 0, (int32_t)g->told);
	check_text(s, "its line", HELLO, g->printed);
	ret = until_told(s, g, 1);
	if (ret)
		return ret;
	check(s, "sched_op of the program, which is not open", -XEN_EPERM,
	      (int32_t)g->told);
	ret = go(s, g, 1);
	if (ret < 0)
		return ret;
	check_text(s, "an exception with this IDT", "a triple fault",
		   ret == STOP_SHUTDOWN ? "a triple fault" : "none");
	return 0;
}

static int act_print(struct show *s)
{
	struct guest g;
	int ret = print_from_user(s, &g);

	destroy_guest(&g);
	return ret;
}

/* The kernel presents its table and goes to ring 1, then to its program in ring 3. */
static int boot(struct show *s, struct guest *g, bool cs1_present)
{
	int ret = create_guest(g, &with_traps, pv_boot, cs1_present);

	if (!ret)
		ret = until_told(s, g, 0);
	if (ret)
		return ret;
	check(s, "set_trap_table, stack_switch and set_fast_trap(0x80)", 0,
	      (int32_t)g->told);
	if (g->told)
		return lv_fail(EPROTO, "there are no trap tables here");
	ret = until_told(s, g, 0);
	if (!ret)
		check(s, "the kernel's ring from now on", 1, g->told & 3);
	return ret;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The program makes its system calls in a loop; @handler counts them. */
static int call_in_loop(struct show *s, const char *how, uint64_t handler,
			int64_t want)
{
	struct guest *g = &s->pv;
	int64_t before, after;
	uint64_t calls;
	double start;
	int ret;

	calls = noted(g, handler);
	before = exits(g);
	start = seconds();
	ret = until_told(s, g, 0);
	if (ret)
		return ret;
	/* The last exit is how the program tells that it is done. */
	after = exits(g) - 1;
	demo_say("  %s: exits before %" PRId64 ", after %" PRId64
		 ", in %.1f ms",
		 how, before, after, (seconds() - start) * 1000);
	check(s, "calls that the handler has taken", PV_CALLS,
	      noted(g, handler) - calls);
	check(s, "exits for them", want, after - before);
	return 0;
}

static int act_fast(struct show *s)
{
	int ret = boot(s, &s->pv, true);

	if (!ret)
		ret = until_told(s, &s->pv, 0);
	if (!ret)
		ret = call_in_loop(s, "INT 0x80, fast", PV_FAST, 0);
	if (!ret)
		ret = call_in_loop(s, "INT 0x81, bounced", PV_SLOW, PV_CALLS);
	return ret;
}

static int act_bounced(struct show *s)
{
	struct guest *g = &s->pv;
	int64_t before = exits(g);
	int ret = until_told(s, g, 0);

	if (ret)
		return ret;
	check(s, "exits for UD2", 1, exits(g) - 1 - before);
	check(s, "runs of the handler", 1, noted(g, PV_UD));
	check(s, "the handler's ring", 1, noted(g, PV_UD_CS) & 3);
	check_hex(s, "its frame: RIP", PV_USER + (pv_at_ud - pv_user),
		  noted(g, PV_FRAME));
	check_hex(s, "its frame: CS", PV_CS3, noted(g, PV_FRAME + 8));
	check_hex(s, "its frame: IF and IOPL of RFLAGS", 0x3200,
		  noted(g, PV_FRAME + 16) & 0x3200);
	check_hex(s, "its frame: RSP", PV_USTACK, noted(g, PV_FRAME + 24));
	check_hex(s, "its frame: SS", PV_DS3, noted(g, PV_FRAME + 32));
	return 0;
}

static int act_refused(struct show *s)
{
	struct guest *g = &s->pv;
	uint64_t fast = noted(g, PV_FAST), slow = noted(g, PV_SLOW);
	int ret = until_told(s, g, 0);

	if (ret)
		return ret;
	check(s, "set_trap_table with a handler in ring 0", -XEN_EPERM,
	      (int32_t)noted(g, PV_BAD));
	check(s, "set_trap_table with a segment of the VMM's, 0xe009",
	      -XEN_EPERM, (int32_t)noted(g, PV_BAD + 8));
	check(s, "set_trap_table with an address that is not canonical",
	      -XEN_EINVAL, (int32_t)noted(g, PV_BAD + 16));
	check(s, "then INT 0x80: runs of the old handler", 1,
	      noted(g, PV_FAST) - fast);
	check(s, "runs of the other one", 0, noted(g, PV_SLOW) - slow);
	return 0;
}

static int act_paged_out(struct show *s)
{
	struct guest *g = &s->pv;
	uint64_t pte = PV_PT + PV_OUT / 0x1000 * 8;
	int ret;

	check_hex(s, "the handler's page in the page table", 0, noted(g, pte));
	ret = until_told(s, g, 0);
	if (ret)
		return ret;
	check(s, "#PF that the guest's kernel took", 1, noted(g, PV_PF));
	check(s, "its error code's bit P", 0, noted(g, PV_PF_ERROR) & 1);
	check_hex(s, "the page that it has brought in", PV_SWAP,
		  noted(g, pte) & ~0xfffull);
	check(s, "runs of the handler that was out", 1, noted(g, PV_PAGED));
	return 0;
}

/* The code segment of the handler of INT 0x81 is not present. */
static int end_one(struct show *s, struct guest *g)
{
	struct vigil_trap_end end;
	char text[256], why[64];
	int ret;

	ret = boot(s, g, false);
	if (!ret)
		ret = go(s, g, 0);
	if (ret < 0)
		return ret;
	check_text(s, "the trap ends the VM", "yes",
		   ret == STOP_ENDED ? "yes" : "no");
	if (ret != STOP_ENDED ||
	    !lv_trap_end(g->vcpu[0].run, &end, text, sizeof(text)))
		return 0;
	demo_say("  the words: %s", text);
	snprintf(why, sizeof(why), "trap %#llx to %04llx, exception %u",
		 end.vector, end.cs, (unsigned int)end.fault);
	check_text(s, "the trap and the fault",
		   "trap 0x81 to 0039, exception 11", why);
	ret = go(s, g, 0);
	if (ret < 0)
		return ret;
	check_text(s, "when it is to run again", "it stays so",
		   ret == STOP_ENDED ? "it stays so" : "it runs");
	return 0;
}

static int act_ends(struct show *s)
{
	uint64_t before = noted(&s->pv, PV_FAST);
	struct guest g;
	int ret;

	ret = until_told(s, &s->pv, 0);
	if (ret)
		return ret;
	check(s, "calls of the other VM before", PV_CALLS,
	      noted(&s->pv, PV_FAST) - before);
	ret = end_one(s, &g);
	destroy_guest(&g);
	if (ret)
		return ret;
	before = noted(&s->pv, PV_FAST);
	ret = until_told(s, &s->pv, 0);
	if (!ret)
		check(s, "calls of the other VM after", PV_CALLS,
		      noted(&s->pv, PV_FAST) - before);
	return ret;
}

static const struct {
	int (*run)(struct show *s);
	const char *title;
} acts[] = {
	{ act_print, "a user program with an empty IDT prints by hypercalls" },
	{ act_fast,
	  "10,000 system calls by a fast trap, and by a bounced one" },
	{ act_bounced, "a bounced trap: UD2 in ring 3" },
	{ act_refused, "bad trap tables are refused" },
	{ act_paged_out, "a handler that is paged out" },
	{ act_ends, "a fault in the delivery of a trap ends only that VM" },
};

#define N_ACTS (sizeof(acts) / sizeof(acts[0]))

/* Return: how many acts were seen, to the end and as expected. */
static unsigned int run_acts(struct show *s, struct json_object *list)
{
	unsigned int i, failed, seen = 0;
	int ret = 0;

	for (i = 0; !ret && i < N_ACTS; i++) {
		struct json_object *act = json_object_new_object();

		s->checks = json_object_new_array();
		failed = s->failed;
		demo_say("act %u: %s", i + 1, acts[i].title);
		ret = acts[i].run(s);
		if (ret)
			demo_say("act %u broke off: %s", i + 1, lv_error());
		failed = s->failed - failed;
		demo_say("act %u: %s", i + 1, ret || failed ? "FAIL" : "PASS");
		seen += !ret && !failed;
		json_object_object_add(act, "title",
				       json_object_new_string(acts[i].title));
		json_object_object_add(
			act, "ok", json_object_new_boolean(!ret && !failed));
		json_object_object_add(act, "checks", s->checks);
		json_object_array_add(list, act);
	}
	return seen;
}

/* Return: 0, or an exit code: the device is missing, or too old. */
static int probe(void)
{
	struct guest g;
	int ret = create_vm(&g, &with_traps);

	destroy_guest(&g);
	if (!ret)
		return VIGIL_EX_OK;
	vigil_msg("%s", lv_error());
	return VIGIL_EX_DEVICE;
}

int demo_pv(unsigned int timeout)
{
	struct json_object *o, *list;
	struct show s = { .timeout = timeout };
	struct sigaction sa = { .sa_handler = on_alarm };
	unsigned int seen;
	int ret;

	ret = probe();
	if (ret)
		return ret;
	sigaction(SIGALRM, &sa, NULL);
	o = json_object_new_object();
	list = json_object_new_array();
	seen = run_acts(&s, list);
	destroy_guest(&s.pv);
	json_object_object_add(o, "acts", list);
	json_object_object_add(o, "ok",
			       json_object_new_boolean(seen == N_ACTS));
	if (vigil_options.json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	if (seen < N_ACTS) {
		fprintf(demo_progress, "vigil pv demo: FAILED, %u of 6 seen\n",
			seen);
		return VIGIL_EX_FAIL;
	}
	fprintf(demo_progress, "vigil pv demo: all six seen\n");
	return VIGIL_EX_OK;
}
