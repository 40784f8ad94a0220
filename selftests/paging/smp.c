// SPDX-License-Identifier: GPL-2.0
/* Several vCPUs use one set of page tables: shootdowns, and plain writes. */
#include <pthread.h>

#include "guest.h"

DECLARE_PAYLOAD(shoot);
DECLARE_PAYLOAD(pound);

#define FLAGS (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define VA 0xa0000000ull
#define ROUNDS 400

/* A vCPU of the same VM in the same state as @first. */
static struct vcpu *add_vcpu(struct vcpu *first)
{
	struct vcpu *v = vcpu_create(first->vm);
	struct kvm_sregs s;
	struct kvm_regs r;

	get_sregs(first, &s);
	get_regs(first, &r);
	r.rsp = GUEST_STACK_AP;
	set_sregs(v, &s);
	set_regs(v, &r);
	v->mode = first->mode;
	return v;
}

static void *run_to_end(void *arg)
{
	EXPECT((struct vcpu *)arg, STOP_END);
	return NULL;
}

static void shootdown(long mode)
{
	struct vcpu *v = START(mode, shoot), *w;
	struct vm *vm = v->vm;
	pthread_t t[2];
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt;

	pt_init(&pt, vm, mode);
	pt_identity(&pt, 0, vm->ram_size, PTE_W | PTE_U | PTE_A | PTE_D);
	pt_map(&pt, VA, GUEST_HIGH, 1, PTE_W | PTE_U | PTE_A | PTE_D);
	wr64(vm, GUEST_HIGH, 0x1111);
	wr64(vm, GUEST_HIGH + 0x1000, 0x2222);
	get_sregs(v, &s);
	s.cr3 = pt.root;
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rbx = VA;
	r.rsi = pt_entry(&pt, VA, 1);
	r.r8 = GUEST_HIGH | FLAGS;
	r.r9 = (GUEST_HIGH + 0x1000) | FLAGS;
	r.r10 = 0x1111;
	r.r11 = 0x2222;
	r.rcx = ROUNDS;
	r.rbp = 0;
	set_regs(v, &r);
	w = add_vcpu(v);
	get_regs(w, &r);
	r.rbp = 1;
	set_regs(w, &r);
	pthread_create(&t[0], NULL, run_to_end, v);
	pthread_create(&t[1], NULL, run_to_end, w);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	CHECK_MEM_EQ(v->nr_vals, 0);
	CHECK_MEM_EQ(w->nr_vals, 0);
	CHECK_MEM_EQ(rd64(vm, GUEST_DATA + 128), 0);
	CHECK_MEM_EQ(rd64(vm, GUEST_DATA + 64), 1);
}

/*
 * Four vCPUs fault on disjoint pages at the same time, with no shadow page yet.
 */
static void parallel_faults(long mode)
{
	struct vcpu *first = START(mode, pound);
	struct vm *vm = first->vm;
	struct timespec end = { .tv_sec = 1 };
	pthread_t t[4];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct vcpu *v = i ? add_vcpu(first) : first;
		struct kvm_regs r;

		get_regs(v, &r);
		r.rbx = GUEST_HIGH + i * 0x1000;
		r.rcx = 100;
		r.rbp = i;
		set_regs(v, &r);
	}
	for (i = 0; i < 4; i++) {
		struct kvm_regs r;

		get_regs(vm->vcpu[i], &r);
		r.rbx = GUEST_HIGH + i * 100 * 0x1000;
		set_regs(vm->vcpu[i], &r);
		pthread_create(&t[i], NULL, run_to_end, vm->vcpu[i]);
	}
	nanosleep(&end, NULL);
	wr64(vm, GUEST_DATA, 1);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 4; i++) {
		uint64_t passes = rd64(vm, GUEST_DATA + 8 + i * 8);
		unsigned int p;

		CHECK(passes > 0);
		CHECK_MEM_EQ(vm->vcpu[i]->nr_vals, 0);
		for (p = 0; p < 100; p++)
			CHECK_MEM_EQ(rd64(vm,
					  GUEST_HIGH + (i * 100 + p) * 0x1000),
				     passes);
	}
}

static const struct test_case cases[] = {
	{ "TLB shootdown (long)", shootdown, M_LONG },
	{ "TLB shootdown (la57)", shootdown, M_LA57 },
	{ "four vCPUs fault at once (long)", parallel_faults, M_LONG },
	{ "four vCPUs fault at once (la57)", parallel_faults, M_LA57 },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
