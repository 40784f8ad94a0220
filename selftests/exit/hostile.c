// SPDX-License-Identifier: GPL-2.0
/*
 * A guest can only hurt itself, with random code, random state, or random bytes
 * as descriptor tables and page tables. Every run must end soon, with an exit
 * that KVM has too, and the host has to survive. VIGIL_SEED=n in the
 * environment chooses other random numbers, VIGIL_FULL=n multiplies the rounds.
 */
#include <stdlib.h>

#include "guest.h"

#define ROUNDS 15
#define MAX_STOPS 60
#define CODE_SIZE 0x800

static void fill(void *to, size_t len)
{
	uint8_t *p = to;

	while (len--)
		*p++ = random() >> 7;
}

static uint64_t rnd64(void)
{
	return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ random();
}

/* Returns numbers that have a meaning more often than random ones do. */
static uint64_t interesting(void)
{
	static const uint64_t list[] = {
		0,
		1,
		2,
		0x7f,
		0x80,
		0xff,
		0xfff,
		0x1000,
		0xffff,
		0x10000,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x100000000,
		0x00007fffffffffff,
		0x0000800000000000,
		0xffff800000000000,
		0xffffffffffffffff,
		GUEST_CODE,
		GUEST_DATA,
		GUEST_IDT,
		GUEST_GDT,
		GUEST_PT,
		GUEST_MMIO,
		GUEST_STACK,
	};

	return random() & 3 ? list[random() % ARRAY_SIZE(list)] : rnd64();
}

static const char *describe_errno(void)
{
	return strerror(errno);
}

/* Runs the guest until it has died or has stopped often enough. */
static void run(struct vcpu *v, unsigned long round)
{
	unsigned int stops, ticks_seen = 0;

	v->stop_on_signal = true;
	v->nr_vals = 0;
	for (stops = 0; stops < MAX_STOPS && ticks_seen < 3; stops++) {
		enum stop stop = vcpu_go(v);

		switch (stop) {
		case STOP_SHUTDOWN:
		case STOP_HLT:
			return;
		case STOP_SIGNAL:
			ticks_seen++;
			break;
		case STOP_MMIO:
			fill(v->run->mmio.data, 8);
			break;
		case STOP_IO:
			if (v->run->io.direction == KVM_EXIT_IO_IN)
				fill((uint8_t *)v->run + v->run->io.data_offset,
				     v->run->io.size * v->run->io.count);
			break;
		case STOP_OTHER:
			if (v->run->exit_reason == KVM_EXIT_SET_TPR)
				break;
			if (v->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ||
			    v->run->exit_reason == KVM_EXIT_FAIL_ENTRY ||
			    v->run->exit_reason == KVM_EXIT_HYPERCALL)
				return;
			FAIL("round %lu: exit reason %u", round,
			     v->run->exit_reason);
			return;
		case STOP_ERRNO:
			/* The guest has accessed an address without memory. */
			if (errno != EFAULT)
				FAIL("round %lu: KVM_RUN: %s", round,
				     describe_errno());
			return;
		case STOP_TIMEOUT:
			FAIL("round %lu does not stop", round);
			test_abort();
		default:
			break;
		}
	}
}

static void random_regs(struct vcpu *v)
{
	struct kvm_regs r;

	get_regs(v, &r);
	r.rax = interesting();
	r.rbx = interesting();
	r.rcx = interesting();
	r.rdx = interesting();
	r.rsi = interesting();
	r.rdi = interesting();
	r.rbp = interesting();
	r.r8 = interesting();
	r.r15 = rnd64();
	set_regs(v, &r);
}

static unsigned long rounds(void)
{
	const char *seed = getenv("VIGIL_SEED");

	srandom(seed ? atol(seed) : 1);
	return test_rounds(ROUNDS);
}

/*
 * Keep the emulator of the emulated host alive: it aborts when a 32-bit ring
 * switch meets a TSS that it does not like, and when a breakpoint is armed.
 */
static void defuse(uint8_t *code, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i++)
		if (code[i] == 0x0f &&
		    (code[i + 1] == 0x23 || code[i + 1] == 0x00))
			code[i + 1] = 0xa2;
}

static void random_code(long mode)
{
	unsigned long i, n = rounds();

	for (i = 0; i < n; i++) {
		static const char nop[] = "\x90\x90\x90\x90";
		struct vcpu *v = guest_start(mode, nop, nop + 4);
		uint8_t *code = vm_ram(v->vm, GUEST_CODE, CODE_SIZE);

		fill(code, CODE_SIZE);
		defuse(code, CODE_SIZE);
		random_regs(v);
		ticks(4000);
		run(v, i);
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
		unsigned int what = random() & 7, k;

		if (what & 1)
			fill(vm_ram(vm, GUEST_IDT, 0x1000), 0x1000);
		if (what & 2)
			fill(vm_ram(vm, GUEST_GDT + SEL_FREE, 0x400), 0x400);
		if (what & 4)
			for (k = 0; k < 300; k++)
				wr64(vm, GUEST_PT + (random() & 0x3fff8),
				     rnd64() &
					     (random() & 1 ? ~0ull : 0x3fffff));
		random_regs(v);
		ticks(4000);
		run(v, i);
		ticks(0);
		vm_destroy(vm);
	}
}

static void random_segment(struct kvm_segment *s)
{
	switch (random() & 7) {
	case 0:
		s->base = interesting();
		break;
	case 1:
		s->limit = interesting();
		break;
	case 2:
		s->type = random();
		break;
	case 3:
		s->dpl = random();
		break;
	case 4:
		s->present = random();
		s->unusable = random();
		break;
	case 5:
		s->l = random();
		s->db = random();
		s->g = random();
		break;
	case 6:
		s->s = random();
		s->avl = random();
		break;
	case 7:
		fill(s, sizeof(*s));
		break;
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
		unsigned int changes = 1 + random() % 3;

		get_sregs(v, &s);
		tr = s.tr;
		while (changes--) {
			switch (random() % 14) {
			case 0:
				s.cr0 ^= 1ull << random() % 64;
				break;
			case 1:
				s.cr4 ^= 1ull << random() % 64;
				break;
			case 2:
				s.efer ^= 1ull << random() % 64;
				break;
			case 3:
				s.cr3 = interesting();
				break;
			case 4:
				s.cr8 = interesting();
				break;
			case 5:
				random_segment(&s.cs);
				break;
			case 6:
				random_segment(&s.ss);
				break;
			case 7:
				random_segment(&s.ds);
				break;
			case 8:
				random_segment(&s.fs);
				break;
			case 9:
				random_segment(&s.ldt);
				break;
			case 10:
				s.gdt.base = interesting();
				break;
			case 11:
				s.idt.base = interesting();
				break;
			case 12:
				s.idt.limit = random();
				break;
			case 13:
				random_segment(&s.gs);
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
			run(v, i);
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
		struct kvm_mp_state mp = { .mp_state = random() & 15 };
		unsigned int k;

		fill(&f, sizeof(f));
		ioctl(v->fd, KVM_SET_FPU, &f);
		ioctl(v->fd, KVM_SET_MP_STATE, &mp);
		memset(&m, 0, sizeof(m));
		m.h.nmsrs = 4;
		for (k = 0; k < 4; k++) {
			m.e[k].index = random() & 1 ?
					       0xc0000080 + random() % 5 :
				       random() & 1 ? 0x170 + random() % 16 :
						      (uint32_t)random();
			m.e[k].data = interesting();
		}
		ioctl(v->fd, KVM_SET_MSRS, &m);
		get_regs(v, &r);
		r.rflags = rnd64();
		r.rsp = interesting();
		if (random() & 1)
			r.rip = interesting();
		if (ioctl(v->fd, KVM_SET_REGS, &r) && errno != EINVAL)
			FAIL("KVM_SET_REGS: errno %d", errno);
		ioctl(v->fd, KVM_INTERRUPT,
		      &(struct kvm_interrupt){ .irq = random() });
		ticks(4000);
		run(v, i);
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
