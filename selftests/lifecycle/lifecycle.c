// SPDX-License-Identifier: GPL-2.0
/*
 * The module's life and the host's: the extension on and off, hotplug, suspend,
 * KVM beside vigil, and traces that remain. It needs hoststate.ko at
 * /hoststate.ko, more than one CPU, and stock KVM in /vigil-modules for the
 * cases with both.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "vigil.h"

#define VIGIL_DEV "/dev/vigil"
#define KVM_DEV "/dev/kvm"
/* Exists since 6.12, and its default is on. */
#define KVM_AT_LOAD "/sys/module/kvm/parameters/enable_virt_at_load"

static bool file_has(const char *path, const char *word)
{
	char buf[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	return n > 0 && strstr(buf, word);
}

static void reload_kvm(const char *params)
{
	REQUIRE_EQ(mod_unload_idle("kvm"), 0);
	REQUIRE_EQ(mod_try_load("kvm", params), 0);
}

/* Unloads both hypervisors, and whatever an earlier case has left. */
static void bare_host(void)
{
	if (mod_loaded("vigil"))
		REQUIRE_EQ(mod_unload_idle("vigil"), 0);
	if (mod_loaded(host_extension()->kvm))
		REQUIRE_EQ(mod_unload_idle(host_extension()->kvm), 0);
	if (file_has(KVM_AT_LOAD, "Y"))
		reload_kvm(NULL);
	/*
	 * hoststate is loaded last, because its hotplug callback runs before
	 * those of later modules.
	 */
	load_hoststate();
	host_command("online 0");
	host_set_online(1, true);
	host_command("kvm");
	opts.dev = VIGIL_DEV;
}

static void with_vigil(void)
{
	bare_host();
	mod_load("vigil");
}

static void need_peer(void)
{
	if (!mod_exists(host_extension()->kvm))
		ERROR("run this with --peer: KVM is not in this host");
	/* The module that the vendor's module needs stays loaded. */
	CHECK(mod_loaded("kvm"));
}

/* After bare_host(): KVM is to take the hardware when its module is loaded. */
static void kvm_at_load(void)
{
	need_peer();
	if (access(KVM_AT_LOAD, F_OK))
		SKIP("this kernel's KVM takes the hardware with its first VM");
	reload_kvm("enable_virt_at_load=1");
}

/* Does the log say who uses the extension, and what to do about it? */
static bool log_names_kvm(int log)
{
	const char *kvm = host_extension()->kvm_sys;
	char text[128];

	snprintf(text, sizeof(text), "unload %s (rmmod %s) or ", kvm, kvm);
	return log_has(log, text);
}

static int open_dev(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		ERROR("cannot open %s: %s", path, strerror(errno));
	return fd;
}

static int create_vm(int dev)
{
	int vm = ioctl(dev, KVM_CREATE_VM, 0);

	if (vm < 0)
		ERROR("KVM_CREATE_VM: %s", strerror(errno));
	return vm;
}

/* --- on and off --- */

static void first_to_last(long arg)
{
	int dev, a, b;
	char *before, *after;

	with_vigil();
	before = host_state();
	host_extension_is(false);
	dev = open_dev(VIGIL_DEV);
	host_extension_is(false);
	a = create_vm(dev);
	host_extension_is(true);
	b = create_vm(dev);
	close(a);
	host_extension_is(true);
	close(b);
	host_extension_is(false);
	a = create_vm(dev);
	host_extension_is(true);
	close(a);
	close(dev);
	after = host_state();
	host_same(before, after);
}

static void device_node(long arg)
{
	struct stat st;

	with_vigil();
	REQUIRE_EQ(stat(VIGIL_DEV, &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0660);
	CHECK_EQ(mod_unload_idle("vigil"), 0);
	CHECK_ERRNO(access(VIGIL_DEV, F_OK), ENOENT);
}

/* delete_module() says EWOULDBLOCK for a module that is in use. */
static void refused_while_open(long arg)
{
	int dev, vm, vcpu, mon;

	with_vigil();
	dev = open_dev(VIGIL_DEV);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	vm = create_vm(dev);
	close(dev);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	CHECK(vcpu >= 0);
	mon = ioctl(vm, VIGIL_CREATE_MONITOR, 0);
	CHECK(mon >= 0);
	close(vm);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	close(vcpu);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	close(mon);
	host_extension_is(false);
	CHECK_EQ(mod_unload_idle("vigil"), 0);
}

static void mapped_run(long arg)
{
	struct spinner *s;
	struct vcpu *v;
	struct vm *vm;

	with_vigil();
	s = spin_start(-1);
	spin_moves(s);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	spin_stop(s);
	/* The mapping alone holds the vCPU's file. */
	vm = vm_create_bare();
	v = vcpu_create(vm);
	close(v->fd);
	close(vm->fd);
	close(vm->dev);
	CHECK_EQ(mod_unload("vigil"), EWOULDBLOCK);
	v->run->immediate_exit = 1;
	munmap(v->run, vm->run_size);
	CHECK_EQ(mod_unload_idle("vigil"), 0);
	host_extension_is(false);
}

/* --- nothing is left --- */

/* A VMM with two VMs, of which one is on CPU @cpu at first, is killed. */
static void killed_vmm(int cpu, bool hotplug)
{
	struct spinner *a, *b;
	char ready = 1;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		ERROR("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		ERROR("fork: %s", strerror(errno));
	if (!pid) {
		close(fds[0]);
		a = spin_start(cpu);
		b = spin_start(-1);
		spin_moves(a);
		spin_moves(b);
		if (test_failures() || write(fds[1], &ready, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	if (read(fds[0], &ready, 1) != 1)
		FAIL("the VMM's guests did not run");
	close(fds[0]);
	if (hotplug) {
		CHECK_EQ(host_set_online(cpu, false), 0);
		CHECK_EQ(host_set_online(cpu, true), 0);
	}
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		ERROR("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		FAIL("the VMM ended with status %#x", status);
}

static void nothing_left(long arg)
{
	char *before, *after;
	struct spinner *s;
	int i;

	bare_host();
	before = host_state();
	mod_load("vigil");
	for (i = 0; i < 4; i++)
		killed_vmm(i & 1, i == 1);
	s = spin_start(1);
	spin_moves(s);
	spin_stop(s);
	CHECK_EQ(mod_unload_idle("vigil"), 0);
	host_extension_is(false);
	after = host_state();
	host_same(before, after);
}

/* --- hotplug --- */

static void offline_under_vm(long arg)
{
	struct spinner *a, *b;
	char *before, *after, *state;
	int i;

	with_vigil();
	before = host_state();
	a = spin_start(1);
	b = spin_start(-1);
	spin_moves(a);
	for (i = 0; i < 5; i++) {
		CHECK_EQ(host_set_online(1, false), 0);
		state = host_state();
		CHECK(!host_has_cpu(state, 1));
		free(state);
		spin_moves(a);
		spin_moves(b);
		CHECK_EQ(host_set_online(1, true), 0);
		host_extension_is(true);
		spin_moves(a);
		spin_moves(b);
	}
	spin_stop(a);
	spin_stop(b);
	after = host_state();
	host_same(before, after);
}

/*
 * A CPU that comes online while no VM exists has the extension off until there
 * is a VM.
 */
static void online_without_vm(long arg)
{
	struct spinner *s;

	with_vigil();
	CHECK_EQ(host_set_online(1, false), 0);
	s = spin_start(-1);
	spin_moves(s);
	spin_stop(s);
	CHECK_EQ(host_set_online(1, true), 0);
	host_extension_is(false);
	s = spin_start(1);
	host_extension_is(true);
	spin_moves(s);
	spin_stop(s);
	host_extension_is(false);
}

static void taken_cpu_stays_offline(long arg)
{
	struct spinner *s;
	char text[128];
	int log;

	with_vigil();
	s = spin_start(-1);
	CHECK_EQ(host_set_online(1, false), 0);
	host_command("online 1");
	log = log_open();
	CHECK_EQ(host_set_online(1, true), EBUSY);
	snprintf(text, sizeof(text),
		 "vigil: CPU 1 stays offline: %s is already set",
		 host_extension()->bit);
	CHECK(log_has(log, text));
	close(log);
	spin_moves(s);
	host_command("online 0");
	CHECK_EQ(host_set_online(1, true), 0);
	host_extension_is(true);
	spin_moves(s);
	spin_stop(s);
	host_extension_is(false);
}

/* --- somebody else --- */

static void owned_by_another(long cpu)
{
	char *before, *after;
	char text[128];
	int dev, log, vm;

	with_vigil();
	dev = open_dev(VIGIL_DEV);
	host_command("extension %ld 1", cpu);
	before = host_state();
	log = log_open();
	CHECK_ERRNO(ioctl(dev, KVM_CREATE_VM, 0), EBUSY);
	snprintf(text, sizeof(text), "vigil: %s is already set on CPU %ld;",
		 host_extension()->bit, cpu);
	CHECK(log_has(log, text));
	close(log);
	/* No CPU was changed, and the other hypervisor's state is as before. */
	after = host_state();
	host_same(before, after);
	host_command("extension %ld 0", cpu);
	vm = create_vm(dev);
	host_extension_is(true);
	close(vm);
	close(dev);
	host_extension_is(false);
}

/* One guest on @dev, from its VM's creation to its end. */
static void one_guest(const char *dev)
{
	char *before = host_state(), *after;
	struct spinner *s;

	opts.dev = dev;
	s = spin_start(1);
	host_extension_is(true);
	spin_moves(s);
	spin_stop(s);
	host_extension_is(false);
	if (!strcmp(dev, VIGIL_DEV)) {
		after = host_state();
		host_same(before, after);
		free(after);
	}
	free(before);
	opts.dev = VIGIL_DEV;
}

/* Both hypervisors are loaded, in either order, and used in turn. */
static void in_turn(long kvm_first)
{
	char *before, *after;
	int i;

	need_peer();
	bare_host();
	before = host_state();
	mod_load(kvm_first ? host_extension()->kvm : "vigil");
	mod_load(kvm_first ? "vigil" : host_extension()->kvm);
	for (i = 0; i < 3; i++) {
		one_guest(kvm_first ? KVM_DEV : VIGIL_DEV);
		one_guest(kvm_first ? VIGIL_DEV : KVM_DEV);
	}
	CHECK_EQ(mod_unload_idle(kvm_first ? host_extension()->kvm : "vigil"),
		 0);
	one_guest(kvm_first ? VIGIL_DEV : KVM_DEV);
	CHECK_EQ(mod_unload_idle(kvm_first ? "vigil" : host_extension()->kvm),
		 0);
	host_command("kvm");
	after = host_state();
	host_same(before, after);
}

static void kvm_runs(long arg)
{
	struct spinner *s;
	int dev, log;

	need_peer();
	with_vigil();
	mod_load(host_extension()->kvm);
	opts.dev = KVM_DEV;
	s = spin_start(-1);
	spin_moves(s);
	dev = open_dev(VIGIL_DEV);
	log = log_open();
	CHECK_ERRNO(ioctl(dev, KVM_CREATE_VM, 0), EBUSY);
	CHECK(log_names_kvm(log));
	close(log);
	spin_moves(s);
	spin_stop(s);
	one_guest(VIGIL_DEV);
	close(dev);
}

static void vigil_runs(long arg)
{
	struct spinner *s;
	int dev;

	need_peer();
	with_vigil();
	s = spin_start(-1);
	spin_moves(s);
	/* KVM's module can be loaded while our VM runs, but creates no VM. */
	mod_load(host_extension()->kvm);
	dev = open_dev(KVM_DEV);
	/* The error is EBUSY; since 6.12 it is EIO. */
	CHECK(ioctl(dev, KVM_CREATE_VM, 0) < 0);
	CHECK(errno == EBUSY || errno == EIO);
	spin_moves(s);
	host_extension_is(true);
	spin_stop(s);
	one_guest(KVM_DEV);
	close(dev);
	one_guest(VIGIL_DEV);
}

/* KVM has no VM, but took the hardware when it was loaded. */
static void kvm_took_it(long kvm_first)
{
	int dev, log;

	bare_host();
	kvm_at_load();
	mod_load(kvm_first ? host_extension()->kvm : "vigil");
	mod_load(kvm_first ? "vigil" : host_extension()->kvm);
	host_extension_is(true);
	dev = open_dev(VIGIL_DEV);
	log = log_open();
	CHECK_ERRNO(ioctl(dev, KVM_CREATE_VM, 0), EBUSY);
	CHECK(log_names_kvm(log));
	close(log);
	host_extension_is(true);
	CHECK_EQ(mod_unload_idle(host_extension()->kvm), 0);
	host_extension_is(false);
	one_guest(VIGIL_DEV);
	close(dev);
}

/* KVM would take the hardware when it is loaded, but a VM of ours is there. */
static void kvm_is_late(long arg)
{
	struct spinner *s;
	int dev, vm;

	with_vigil();
	kvm_at_load();
	s = spin_start(-1);
	spin_moves(s);
	CHECK(mod_try_load(host_extension()->kvm, NULL));
	spin_moves(s);
	host_extension_is(true);
	spin_stop(s);
	host_extension_is(false);
	/* The emergency callback, which KVM had for a while, is ours again. */
	dev = open_dev(VIGIL_DEV);
	vm = create_vm(dev);
	CHECK(mod_try_load(host_extension()->kvm, NULL));
	host_extension_is(true);
	host_emergency();
	host_extension_is(false);
	close(vm);
	close(dev);
	CHECK_EQ(mod_try_load(host_extension()->kvm, NULL), 0);
	host_extension_is(true);
	CHECK_EQ(mod_unload_idle(host_extension()->kvm), 0);
	one_guest(VIGIL_DEV);
}

/* No guest runs meanwhile, since after a real emergency nothing would go on. */
static void emergency(long kvm_came)
{
	int dev, vm;

	with_vigil();
	if (kvm_came) {
		need_peer();
		mod_load(host_extension()->kvm);
	}
	dev = open_dev(VIGIL_DEV);
	vm = create_vm(dev);
	host_extension_is(true);
	if (kvm_came)
		CHECK_EQ(mod_unload_idle(host_extension()->kvm), 0);
	host_emergency();
	host_extension_is(false);
	close(vm);
	close(dev);
	one_guest(VIGIL_DEV);
}

/* --- suspend --- */

static int to_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* Suspends up to the last step before the machine would sleep, and resumes. */
static void suspend(long arg)
{
	char *before, *after;
	struct spinner *s;
	uint64_t tsc;

	if (!file_has("/sys/power/pm_test", "core") ||
	    !file_has("/sys/power/state", "mem"))
		SKIP("this kernel has no /sys/power/pm_test");
	with_vigil();
	before = host_state();
	to_file("/sys/module/suspend/parameters/pm_test_delay", "1");
	if (file_has("/sys/power/mem_sleep", "deep"))
		CHECK_EQ(to_file("/sys/power/mem_sleep", "deep"), 0);
	s = spin_start(1);
	spin_moves(s);
	REQUIRE_EQ(to_file("/sys/power/pm_test", "core"), 0);
	tsc = spin_tsc(s);
	REQUIRE_EQ(to_file("/sys/power/state", "mem"), 0);
	spin_moves(s);
	CHECK(spin_tsc(s) - tsc < TSC_LOST);
	/* What the host's TSC loses, the guest's does not. */
	host_lose_tsc();
	tsc = spin_tsc(s);
	REQUIRE_EQ(to_file("/sys/power/state", "mem"), 0);
	spin_moves(s);
	CHECK(spin_tsc(s) - tsc >= TSC_LOST - (1ull << 40));
	CHECK(spin_tsc(s) - tsc < 2 * TSC_LOST);
	CHECK_EQ(to_file("/sys/power/pm_test", "none"), 0);
	host_extension_is(true);
	spin_stop(s);
	host_extension_is(false);
	after = host_state();
	host_same(before, after);
}

static const struct test_case cases[] = {
	{ "the extension is on from the first VM to the last", first_to_last },
	{ "/dev/vigil comes and goes with the module", device_node },
	{ "the module stays while a device, VM, vCPU or monitor is open",
	  refused_while_open },
	{ "the module stays while a vCPU is mapped", mapped_run },
	{ "nothing is left after killed VMMs and CPU hotplug", nothing_left, 0,
	  120 },
	{ "a CPU goes offline and comes back under a VM", offline_under_vm, 0,
	  120 },
	{ "a CPU comes while there is no VM", online_without_vm },
	{ "a CPU that another owns stays offline", taken_cpu_stays_offline },
	{ "CPU 0 is owned by another", owned_by_another, 0 },
	{ "CPU 1 is owned by another", owned_by_another, 1 },
	{ "KVM and vigil in turn", in_turn, 1, 120 },
	{ "vigil and KVM in turn", in_turn, 0, 120 },
	{ "EBUSY while KVM has a VM", kvm_runs },
	{ "KVM is refused while vigil has a VM", vigil_runs, 0, 120 },
	{ "KVM took the hardware at load, vigil came", kvm_took_it, 1 },
	{ "vigil is there, KVM takes the hardware at load", kvm_took_it, 0 },
	{ "KVM cannot be loaded under a VM of vigil's", kvm_is_late, 0, 120 },
	{ "an emergency turns the extension off", emergency, 0 },
	{ "an emergency after KVM was there", emergency, 1 },
	{ "suspend and resume under a VM", suspend, 0, 120 },
	{ 0 },
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
