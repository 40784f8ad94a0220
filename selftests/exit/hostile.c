// SPDX-License-Identifier: GPL-2.0
/*
 * A guest can only hurt itself, with random code, random state, or random bytes
 * as descriptor tables and page tables. Every run must end soon, with an exit
 * that KVM has too, and the host has to survive. VIGIL_SEED=n in the
 * environment chooses other random numbers, VIGIL_FULL=n multiplies the rounds.
 */
#include "guest.h"
#include "random.h"

#define ROUNDS 15
#define CODE_SIZE 0x800

static struct rng rng;

static void random_regs(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rax = rng_number(&rng);
	r.rbx = rng_number(&rng);
	r.rcx = rng_number(&rng);
	r.rdx = rng_number(&rng);
	r.rsi = rng_number(&rng);
	r.rdi = rng_number(&rng);
	r.rbp = rng_number(&rng);
	r.r8 = rng_number(&rng);
	r.r15 = rng_next(&rng);
	set_regs(v, &r);
}

/* Each case begins with the same numbers. */
static unsigned long rounds(void)
{
	rng_seed(&rng, rng_wanted_seed(), 0);
	return test_rounds(ROUNDS);
}

static void random_code(long mode)
{
	unsigned long i, n = rounds();

	for (i = 0; i < n; i++) {
		static const char nop[] = "\x90\x90\x90\x90";
		struct vcpu *v = guest_start(mode, nop, nop + 4);
		uint8_t *code = vm_ram(v->vm, GUEST_CODE, CODE_SIZE);

		rng_fill(&rng, code, CODE_SIZE);
		code_defuse(code, CODE_SIZE);
		random_regs(v);
		ticks(4000);
		run_random(v, &rng, i);
		ticks(0);
		vm_destroy(v->vm);
	}
}

/* Guests use random bytes as GDT, IDT or page tables. */
static void random_tables(long mode)
{
	unsigned long i, n = rounds();

	for (i = 0; i < n; i++) {
		/* int3; int $0x80; a far call; and loops of memory accesses */
		static const char code[] = {
			0xcc, 0xcd, 0x80, 0x0f, 0xa2, 0x8e, 0xd8,
			0x8b, 0x03, 0x89, 0x07, 0xeb, 0xf4,
		};
		struct vcpu *v = guest_start(mode, code, code + sizeof(code));
		struct vm *vm = v->vm;
		unsigned int what = rng_next(&rng) & 7, k;

		if (what & 1)
			rng_fill(&rng, vm_ram(vm, GUEST_IDT, 0x1000), 0x1000);
		if (what & 2)
			rng_fill(&rng, vm_ram(vm, GUEST_GDT + SEL_FREE, 0x400),
				 0x400);
		if (what & 4)
			for (k = 0; k < 300; k++)
				wr64(vm, GUEST_PT + (rng_next(&rng) & 0x3fff8),
				     rng_next(&rng) &
					     (rng_next(&rng) & 1 ? ~0ull :
								   0x3fffff));
		random_regs(v);
		ticks(4000);
		run_random(v, &rng, i);
		ticks(0);
		vm_destroy(vm);
	}
}

/* SET_SREGS takes it or refuses it; what it takes can be run. */
static void random_state(long mode)
{
	unsigned long i, n = rounds() * 4, taken = 0, refused = 0;

	for (i = 0; i < n; i++) {
		static const char code[] = {
			0x0f, 0xa2, 0x8b, 0x03, 0xcd, 0x80, 0xcc, 0xf4,
		};
		struct vcpu *v = guest_start(mode, code, code + sizeof(code));
		struct kvm_sregs s;
		struct kvm_segment tr;
		unsigned int changes = 1 + rng_next(&rng) % 3;

		get_sregs(v, &s);
		tr = s.tr;
		while (changes--) {
			switch (rng_next(&rng) % 14) {
			case 0:
				s.cr0 ^= 1ull << rng_next(&rng) % 64;
				break;
			case 1:
				s.cr4 ^= 1ull << rng_next(&rng) % 64;
				break;
			case 2:
				s.efer ^= 1ull << rng_next(&rng) % 64;
				break;
			case 3:
				s.cr3 = rng_number(&rng);
				break;
			case 4:
				s.cr8 = rng_number(&rng);
				break;
			case 5:
				rng_segment(&rng, &s.cs);
				break;
			case 6:
				rng_segment(&rng, &s.ss);
				break;
			case 7:
				rng_segment(&rng, &s.ds);
				break;
			case 8:
				rng_segment(&rng, &s.fs);
				break;
			case 9:
				rng_segment(&rng, &s.ldt);
				break;
			case 10:
				s.gdt.base = rng_number(&rng);
				break;
			case 11:
				s.idt.base = rng_number(&rng);
				break;
			case 12:
				s.idt.limit = rng_next(&rng);
				break;
			case 13:
				rng_segment(&rng, &s.gs);
				break;
			}
		}
		s.tr = tr;
		memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
		/* Ring 3 of a 32-bit guest would need the emulator's TSS. */
		if (!(s.efer & EFER_LMA))
			s.tr.type = 9;
		random_regs(v);
		if (ioctl(v->fd, KVM_SET_SREGS, &s)) {
			CHECK_EQ(errno, EINVAL);
			refused++;
		} else {
			taken++;
			ticks(4000);
			run_random(v, &rng, i);
			ticks(0);
		}
		vm_destroy(v->vm);
	}
	test_note("%lu states taken, %lu refused", taken, refused);
	CHECK(taken > 0);
}

/* Gives random bytes to the ioctls of a vCPU, then runs it. */
static void random_structs(long unused)
{
	unsigned long i, n = rounds() * 4;

	for (i = 0; i < n; i++) {
		static const char code[] = { 0x90, 0xeb, 0xfd };
		struct vcpu *v = guest_start(M_LONG, code, code + 3);
		struct kvm_fpu f;
		struct kvm_regs r;
		struct {
			struct kvm_msrs h;
			struct kvm_msr_entry e[4];
		} m;
		struct kvm_mp_state mp = { .mp_state = rng_next(&rng) & 15 };
		unsigned int k;

		rng_fill(&rng, &f, sizeof(f));
		ioctl(v->fd, KVM_SET_FPU, &f);
		ioctl(v->fd, KVM_SET_MP_STATE, &mp);
		memset(&m, 0, sizeof(m));
		m.h.nmsrs = 4;
		for (k = 0; k < 4; k++) {
			m.e[k].index = rng_next(&rng) & 1 ?
					       0xc0000080 + rng_next(&rng) % 5 :
				       rng_next(&rng) & 1 ?
					       0x170 + rng_next(&rng) % 16 :
					       (uint32_t)rng_next(&rng);
			m.e[k].data = rng_number(&rng);
		}
		ioctl(v->fd, KVM_SET_MSRS, &m);
		get_regs(v, &r);
		r.rflags = rng_next(&rng);
		r.rsp = rng_number(&rng);
		if (rng_next(&rng) & 1)
			r.rip = rng_number(&rng);
		if (ioctl(v->fd, KVM_SET_REGS, &r) && errno != EINVAL)
			FAIL("KVM_SET_REGS: errno %d", errno);
		ioctl(v->fd, KVM_INTERRUPT,
		      &(struct kvm_interrupt){ .irq = rng_next(&rng) });
		ticks(4000);
		run_random(v, &rng, i);
		ticks(0);
		vm_destroy(v->vm);
	}
}

static const struct test_case cases[] = {
	CASE_ALL("random code", random_code),
	CASE_ALL("random tables", random_tables),
	CASE_ALL("random state", random_state),
	{ "random structs", random_structs },
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
