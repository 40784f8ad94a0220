// SPDX-License-Identifier: GPL-2.0
/*
 * Three vCPUs change, switch and use shared page tables at random, while the
 * VMM harvests the dirty log, forks, discards memory, moves a slot and bounds the
 * shadow memory. Nothing is asserted about the guest's memory: the host has to
 * survive (KASAN, lockdep, the auditors), and every vCPU has to go on.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/storm.h"
#include "guest.h"

DECLARE_PAYLOAD(storm);
DECLARE_LABEL(storm, pf);

#define VCPUS 3
#define DATA_SIZE (4ul << 20)
#define SECONDS 3

static uint8_t *data;
static volatile bool stopped; /* a vCPU has stopped too early */

static void *run(void *arg)
{
	struct vcpu *v = arg;
	enum stop stop;
	int error;

	do {
		stop = vcpu_go(v);
		error = errno;
		if (stop == STOP_MMIO)
			memset(v->run->mmio.data, 0, 8);
	} while (stop == STOP_SYNC || stop == STOP_MMIO ||
		 (stop == STOP_ERRNO && error == EFAULT));
	if (stop != STOP_END) {
		FAIL("vCPU %u stopped by %s", v->id, stop_name[stop]);
		if (stop == STOP_EXC)
			describe_exc(v);
		if (stop == STOP_ERRNO)
			test_note("KVM_RUN: %s", strerror(error));
		vcpu_describe(v);
		stopped = true;
	}
	return NULL;
}

/* Has each vCPU made enough progress? On a loaded machine that takes longer. */
static bool went_on(struct vm *vm)
{
	unsigned int k;

	for (k = 0; k < VCPUS; k++)
		if (rd64(vm, STORM_TURNS + k * 8) <= 100 ||
		    rd64(vm, STORM_FAULTS + k * 8) <= 10)
			return false;
	return true;
}

enum { DISTURB_NOT, DISTURB_LOG, DISTURB_COPY, DISTURB_SLOT, DISTURB_ALL };

static void disturb(struct vm *vm, long how, unsigned int n)
{
	static uint64_t bitmap[DATA_SIZE / 0x1000 / 64];
	struct kvm_dirty_log log = { .slot = n & 1, .dirty_bitmap = bitmap };
	bool all = how == DISTURB_ALL;

	if (how == DISTURB_LOG || all) {
		bool on = n % 32 < 24;

		vm_slot(vm, 0, 0, vm->ram_size, vm->ram,
			on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
		if (!all || n % 7)
			vm_slot(vm, 1, STORM_DATA, DATA_SIZE, data,
				on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
		if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) && errno != ENOENT)
			FAIL("KVM_GET_DIRTY_LOG: errno %d", errno);
	}
	if (how == DISTURB_COPY || all) {
		pid_t pid = n % 8 ? -1 : fork();

		/* After fork() all memory is copy-on-write, the tables too. */
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		madvise(data, 0x8000, MADV_DONTNEED);
	}
	if (how == DISTURB_SLOT || all) {
		if (n % 3 == 0)
			vm_slot(vm, 1, 0, 0, NULL, 0);
		vm_slot(vm, 1, STORM_DATA, DATA_SIZE, data, 0);
		if (n % 16 == 0 &&
		    ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, 64 + n % 5 * 40))
			FAIL("KVM_SET_NR_MMU_PAGES: errno %d", errno);
	}
	usleep(how == DISTURB_NOT ? 20000 : 2000);
}

static void storm(long how)
{
	struct vcpu *first = START(M_LONG, storm);
	struct vm *vm = first->vm;
	struct timespec now, end;
	pthread_t t[VCPUS];
	unsigned int i, k, n = 0;
	struct kvm_sregs s;
	struct pt pt;

	data = ram_alloc(DATA_SIZE);
	vm_slot(vm, 1, STORM_DATA, DATA_SIZE, data, 0);
	idt_gate(vm, M_LONG, PF, LABEL_AT(storm, pf), SEL_CODE64, 0xe, 0);
	vm->pt_next = GUEST_PT;
	pt_init(&pt, vm, M_LONG);
	pt_identity(&pt, 0, vm->ram_size, PTE_W | PTE_A | PTE_D);
	for (i = 0; i < 4; i++) {
		uint64_t root = pt_page(vm);

		memcpy(vm_ram(vm, root, 0x1000), vm_ram(vm, pt.root, 0x1000),
		       0x1000);
		wr64(vm, root + 256 * 8,
		     (STORM_POOL + i * 0x1000) | PTE_P | PTE_W | PTE_U);
		wr64(vm, STORM_ROOTS + i * 8, root);
	}
	if (vm->pt_next > STORM_POOL)
		ERROR("the tables reach into the pool");
	get_sregs(first, &s);
	s.cr3 = rd64(vm, STORM_ROOTS);
	set_sregs(first, &s);
	for (i = 0; i < VCPUS; i++) {
		struct vcpu *v = i ? vcpu_create(vm) : first;
		struct kvm_regs r;

		get_regs(first, &r);
		r.rsp = GUEST_STACK - i * 0x800;
		r.rbp = i;
		r.r12 = 0x9e3779b97f4a7c15 * (i + 1 + how * VCPUS);
		set_sregs(v, &s);
		set_regs(v, &r);
		v->mode = M_LONG;
	}
	for (i = 0; i < VCPUS; i++)
		pthread_create(&t[i], NULL, run, vm->vcpu[i]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS;
	do {
		disturb(vm, how, n++);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || !(stopped || went_on(vm)));
	wr32(vm, STORM_STOP, 1);
	for (i = 0; i < VCPUS; i++)
		pthread_join(t[i], NULL);
	CHECK(went_on(vm));
	for (k = 0; k < VCPUS; k++) {
		uint64_t turns = rd64(vm, STORM_TURNS + k * 8);
		uint64_t faults = rd64(vm, STORM_FAULTS + k * 8);

		test_note("vCPU %u: %llu turns, %llu faults", k,
			  (unsigned long long)turns,
			  (unsigned long long)faults);
		CHECK(faults < turns);
	}
	vm_destroy(vm);
}

static const struct test_case cases[] = {
	{ "storm", storm, DISTURB_NOT },
	{ "storm, log-dirty", storm, DISTURB_LOG },
	{ "storm, memory copied and discarded", storm, DISTURB_COPY },
	{ "storm, slot moves, few shadow pages", storm, DISTURB_SLOT },
	{ "storm, all at once", storm, DISTURB_ALL },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
