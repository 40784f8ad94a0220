// SPDX-License-Identifier: GPL-2.0
/*
 * A VMM that withholds memory, by userfaultfd here as a FUSE server could: its
 * threads wait inside vigil for pages that never come. Processes that list VMs,
 * attach and watch must not wait with them, or must at least die when killed.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../guest/script.h"
#include "mon.h"

DECLARE_PAYLOAD(script32);

#define WITHHELD_GPA 0x40000000ull
#define PAGE_BYTES 0x1000ul

static int uffd;
static uint8_t *page; /* missing until serve() gives it */
static struct vcpu *vcpu;
static uint32_t vm_id;

static void withhold(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		SKIP("no userfaultfd: %s", strerror(errno));
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		ERROR("mmap: errno %d", errno);
	reg = (struct uffdio_register){
		.range = { (uintptr_t)page, PAGE_BYTES },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		ERROR("userfaultfd: errno %d", errno);
}

static void serve(void)
{
	struct uffdio_range r = { (uintptr_t)page, PAGE_BYTES };

	/* Threads that wait go on with a page of zeros. */
	if (ioctl(uffd, UFFDIO_UNREGISTER, &r))
		ERROR("UFFDIO_UNREGISTER: errno %d", errno);
	close(uffd);
}

/* Waits until a thread of ours, or of the kernel for it, needs the page. */
static void wait_for_fault(void)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&p, 1, 60000) != 1 ||
	    read(uffd, &msg, sizeof(msg)) != sizeof(msg)) {
		FAIL_HANG("nobody asked for the withheld page");
		test_abort();
	}
}

static void start(void)
{
	struct vigil_name n = { .name = "watch-withheld" };
	struct vigil_vm_info info;
	int mon;

	vcpu = START(M_PROT32, script32);
	mon = mon_open(vcpu->vm);
	if (ioctl(mon, VIGIL_GET_INFO, &info) ||
	    ioctl(vcpu->vm->fd, VIGIL_SET_NAME, &n))
		ERROR("naming the VM: errno %d", errno);
	vm_id = info.id;
	close(mon);
	EXPECT(vcpu, STOP_SYNC);
	withhold();
}

/* ---- the other process ---- */

static int attach(void)
{
	struct vigil_attach a = { .vm_id = vm_id };

	return ioctl(vcpu->vm->dev, VIGIL_ATTACH, &a);
}

static int count_vms(void)
{
	struct vigil_vm_info all[16];
	struct vigil_vm_list list = {
		.count = 16,
		.entry_size = sizeof(all[0]),
		.entries = (uintptr_t)all,
	};

	return ioctl(vcpu->vm->dev, VIGIL_LIST_VMS, &list) ? -1 :
							     (int)list.count;
}

static int read_mem(int mon, uint64_t gpa)
{
	uint64_t word;
	struct vigil_mem m = {
		.addr = gpa,
		.len = sizeof(word),
		.buf = (uintptr_t)&word,
	};

	return ioctl(mon, VIGIL_READ_MEM, &m);
}

static int add_watch(int mon)
{
	struct vigil_watch w = watch_gpa(TARGET, 8, VIGIL_ACTION_LOG);

	return ioctl(mon, VIGIL_WATCH_ADD, &w);
}

/*
 * Does all that must not wait for the VMM. Returns the number of the step that
 * failed, or 0.
 */
static int bystander(void)
{
	int mon;

	if (count_vms() < 1)
		return 1;
	mon = attach();
	if (mon < 0)
		return 2;
	if (read_mem(mon, TARGET))
		return 3;
	/* Closing the monitor does not wait either. */
	if (close(mon))
		return 4;
	return 0;
}

static int watcher(void)
{
	int mon = attach();

	if (mon < 0)
		return 1;
	if (add_watch(mon))
		return 2;
	return close(mon) ? 3 : 0;
}

static pid_t spawn(int (*fn)(void))
{
	pid_t pid = fork();

	if (!pid)
		_exit(fn());
	if (pid < 0)
		ERROR("fork: errno %d", errno);
	return pid;
}

static void finishes(int (*fn)(void))
{
	int status;

	if (waitpid(spawn(fn), &status, 0) < 0 || !WIFEXITED(status))
		FAIL("the other process was lost, status %#x", status);
	else
		CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Runs @fn in a process, which can be killed whatever it waits for. */
static void dies(int (*fn)(void))
{
	pid_t pid = spawn(fn);
	int status;

	while (!process_sleeps(pid) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	usleep(20000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) < 0 || !WIFSIGNALED(status))
		FAIL("the waiting process ended by itself, status %#x", status);
}

static int read_withheld(void)
{
	int mon = attach();

	return mon < 0 ? 1 : read_mem(mon, WITHHELD_GPA) ? 2 : 0;
}

static int write_withheld(void)
{
	uint64_t word = 1;
	struct vigil_mem m = {
		.addr = WITHHELD_GPA,
		.len = sizeof(word),
		.buf = (uintptr_t)&word,
	};
	int mon = attach();

	return mon < 0 ? 1 : ioctl(mon, VIGIL_WRITE_MEM, &m) ? 2 : 0;
}

/* A page-table root that PAE paging latches. */
static int set_withheld(void)
{
	struct vigil_vcpu_state s = { .vcpu = 0 };
	struct vigil_pause p = { .vcpu = 0 };
	int mon = attach();

	if (mon < 0 || ioctl(mon, VIGIL_PAUSE_VCPUS, &p) ||
	    ioctl(mon, VIGIL_GET_VCPU, &s))
		return 1;
	s.flags = VIGIL_VCPU_SREGS;
	s.sregs.cr0 |= 1u << 31;
	s.sregs.cr4 |= 1u << 5;
	s.sregs.cr3 = WITHHELD_GPA;
	return ioctl(mon, VIGIL_SET_VCPU, &s) ? 2 : 0;
}

/* The vCPU waits for the page. */
static int pauser(void)
{
	struct vigil_pause p = { .vcpu = VIGIL_PAUSE_ALL };
	int mon = attach();

	return mon < 0 ? 1 : ioctl(mon, VIGIL_PAUSE_VCPUS, &p) ? 2 : 0;
}

/* ---- an argument of an ioctl ---- */

enum { ARG_LOG, ARG_SREGS_GET, ARG_SREGS_SET, ARG_MSRS, ARG_CPUID };

static void *call(void *arg)
{
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = page };
	long ret = -1;

	switch ((long)arg) {
	case ARG_LOG:
		ret = ioctl(vcpu->vm->fd, KVM_GET_DIRTY_LOG, &log);
		break;
	case ARG_SREGS_GET:
		ret = ioctl(vcpu->fd, KVM_GET_SREGS, page);
		break;
	case ARG_SREGS_SET: /* the zeros are refused */
		ret = ioctl(vcpu->fd, KVM_SET_SREGS, page);
		break;
	case ARG_MSRS:
		ret = ioctl(vcpu->fd, KVM_GET_MSRS, page);
		break;
	case ARG_CPUID:
		ret = ioctl(vcpu->fd, KVM_GET_CPUID2, page);
		break;
	}
	return (void *)ret;
}

static void argument(long which)
{
	pthread_t t;
	void *ret;

	start();
	if (which == ARG_LOG)
		vm_slot(vcpu->vm, 0, 0, vcpu->vm->ram_size, vcpu->vm->ram,
			KVM_MEM_LOG_DIRTY_PAGES);
	if (pthread_create(&t, NULL, call, (void *)which))
		ERROR("no thread");
	wait_for_fault();
	finishes(bystander);
	finishes(watcher);
	serve();
	pthread_join(t, &ret);
	/* KVM_SET_SREGS and KVM_GET_CPUID2 refuse the zeros. */
	if (which == ARG_LOG || which == ARG_SREGS_GET || which == ARG_MSRS)
		CHECK_EQ((long)ret, 0);
	vm_destroy(vcpu->vm);
}

/* ---- the guest's memory ---- */

static void *run(void *arg)
{
	struct vm *vm = vcpu->vm;

	wr64(vm, S_OP, OP_READ);
	wr64(vm, S_A, WITHHELD_GPA);
	wr64(vm, S_B, 4);
	EXPECT(vcpu, STOP_SYNC);
	return NULL;
}

static void *new_slot(void *arg)
{
	vm_slot(vcpu->vm, 2, 0x50000000, PAGE_BYTES, vcpu->vm->ram, 0);
	return NULL;
}

static void guest_memory(long arg)
{
	pthread_t runs, changes;

	start();
	vm_slot(vcpu->vm, 1, WITHHELD_GPA, PAGE_BYTES, page, 0);
	dies(set_withheld);
	if (pthread_create(&runs, NULL, run, NULL))
		ERROR("no thread");
	wait_for_fault();
	finishes(bystander);
	/* Protecting a page has to wait for the vCPU, or the vCPU would miss it. */
	dies(watcher);
	dies(read_withheld);
	dies(write_withheld);
	dies(pauser);
	finishes(bystander);
	/*
	 * The VMM waits for its own vCPU; other processes do not wait for the
	 * VMM.
	 */
	if (pthread_create(&changes, NULL, new_slot, NULL))
		ERROR("no thread");
	finishes(bystander);
	dies(watcher);
	serve();
	pthread_join(changes, NULL);
	pthread_join(runs, NULL);
	finishes(watcher);
	vm_destroy(vcpu->vm);
}

/* The VMM itself dies while its threads wait. */
static void vmm_dies(long arg)
{
	pid_t pid;
	int status;

	pid = fork();
	if (!pid) {
		pthread_t t;

		start();
		vm_slot(vcpu->vm, 1, WITHHELD_GPA, PAGE_BYTES, page, 0);
		if (pthread_create(&t, NULL, run, NULL))
			_exit(1);
		wait_for_fault();
		if (pthread_create(&t, NULL, new_slot, NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		ERROR("the child was lost");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "KVM_GET_DIRTY_LOG into withheld memory", argument, ARG_LOG },
		{ "KVM_GET_SREGS into withheld memory", argument,
		  ARG_SREGS_GET },
		{ "KVM_SET_SREGS from withheld memory", argument,
		  ARG_SREGS_SET },
		{ "KVM_GET_MSRS from withheld memory", argument, ARG_MSRS },
		{ "KVM_GET_CPUID2 into withheld memory", argument, ARG_CPUID },
		{ "withheld guest memory", guest_memory },
		{ "a VMM that is killed while it waits", vmm_dies },
		{}
	};

	return test_main(argc, argv, cases);
}
