// SPDX-License-Identifier: GPL-2.0
/* Random calls on vCPUs. */
#include <signal.h>

#include <vigil.h>

#include "calls_priv.h"

enum mode calls_any_mode(struct caller *c)
{
	enum mode m = rng_below(&c->rng, NR_MODES);

	return calls_world.has_mode[m] && !rng_once_in(&c->rng, 2) ?
		       m :
		       calls_world.main_mode;
}

static void change_sregs(struct rng *r, struct kvm_sregs *s)
{
	struct kvm_segment *segs[] = { &s->cs, &s->ss, &s->ds,
				       &s->es, &s->fs, &s->gs };

	switch (rng_below(r, 9)) {
	case 0:
		s->cr0 ^= 1ull << rng_below(r, 64);
		break;
	case 1:
		s->cr4 ^= 1ull << rng_below(r, 64);
		break;
	case 2:
		s->efer ^= 1ull << rng_below(r, 64);
		break;
	case 3:
		s->cr3 = rng_number(r);
		break;
	case 4:
		s->cr8 = rng_number(r);
		break;
	case 5:
		s->gdt.base = rng_number(r);
		break;
	case 6:
		s->idt.base = rng_number(r);
		s->idt.limit = rng_next(r);
		break;
	case 7:
		rng_fill(r, s->interrupt_bitmap, sizeof(s->interrupt_bitmap));
		break;
	default:
		rng_segment(r, segs[rng_below(r, ARRAY_SIZE(segs))]);
		break;
	}
}

/* TR is the mode's own: see sregs_defuse(). */
static void set_sregs_call(struct caller *c, int fd)
{
	struct kvm_sregs *s = calls_zeroed(c, sizeof(*s));
	unsigned int changes = rng_below(&c->rng, 3);
	enum mode m = calls_any_mode(c);
	struct kvm_segment tr;

	*s = calls_world.mode_state[m];
	tr = s->tr;
	while (changes--)
		change_sregs(&c->rng, s);
	s->tr = tr;
	sregs_defuse(s);
	memcpy(c->scratch, s, sizeof(*s));
	calls_ioctl(c, fd, KVM_SET_SREGS,
		    rng_once_in(&c->rng, 10) ? 1 : (uintptr_t)c->scratch);
}

static void set_regs_call(struct caller *c, int fd)
{
	struct kvm_regs *g = calls_zeroed(c, sizeof(*g));
	struct rng *r = &c->rng;

	g->rax = rng_number(r);
	g->rbx = GUEST_FREE + rng_below(r, 0x10000);
	g->rcx = rng_once_in(r, 3) ? rng_number(r) : rng_below(r, 4096);
	g->rdx = rng_number(r);
	g->rsi = GUEST_DATA + rng_below(r, 0x10000);
	g->rdi = rng_once_in(r, 3) ? rng_number(r) :
				     GUEST_FREE + rng_below(r, 0x10000);
	g->rsp = rng_once_in(r, 4) ? rng_number(r) : GUEST_STACK;
	g->rip = mode_entry(calls_any_mode(c)) + rng_below(r, 0x200);
	if (rng_once_in(r, 8))
		g->rip = rng_number(r);
	g->rflags = RFLAGS_1;
	if (rng_once_in(r, 4))
		g->rflags |= rng_next(r);
	calls_ioctl_with(c, fd, KVM_SET_REGS, sizeof(*g));
}

static void msrs_call(struct caller *c, int fd)
{
	size_t len = sizeof(struct kvm_msrs) + 8 * sizeof(struct kvm_msr_entry);
	struct kvm_msrs *m = calls_zeroed(c, len);
	struct rng *r = &c->rng;
	unsigned int i;

	m->nmsrs = rng_once_in(r, 8) ? rng_number(r) : rng_below(r, 9);
	for (i = 0; i < 8; i++) {
		static const uint32_t bases[] = { 0xc0000080, 0x170, 0x10,
						  0x200,      0x400, 0xc0010000,
						  0xc0000100, 0x2f0 };

		m->entries[i].index =
			rng_once_in(r, 8) ?
				rng_next(r) :
				bases[rng_below(r, ARRAY_SIZE(bases))] +
					rng_below(r, 32);
		m->entries[i].data = rng_number(r);
	}
	calls_ioctl_with(c, fd, rng_once_in(r, 2) ? KVM_GET_MSRS : KVM_SET_MSRS,
			 len);
}

static void cpuid_call(struct caller *c, int fd)
{
	struct kvm_cpuid2 *id = (void *)c->args;

	if (rng_once_in(&c->rng, 2)) {
		calls_zeroed(c, CALLS_ARGS);
		id->nent = rng_below(&c->rng, 200);
		calls_ioctl_with(c, fd, KVM_GET_CPUID2, 8 + 40 * 200);
		return;
	}
	memcpy(id, calls_world.cpuid, calls_world.cpuid_bytes);
	if (rng_once_in(&c->rng, 2))
		rng_flip(&c->rng, id, calls_world.cpuid_bytes, 4);
	if (rng_once_in(&c->rng, 8))
		id->nent = rng_number(&c->rng);
	calls_ioctl_with(c, fd, KVM_SET_CPUID2, calls_world.cpuid_bytes);
}

static void signal_mask(struct caller *c, int fd)
{
	struct kvm_signal_mask *m = calls_zeroed(c, 12);
	uint64_t set = rng_next(&c->rng);

	if (rng_once_in(&c->rng, 4)) {
		calls_ioctl(c, fd, KVM_SET_SIGNAL_MASK, 0);
		return;
	}
	/* Without a tick a guest that spins calls_world.runs until it is killed. */
	if (!rng_once_in(&c->rng, 16))
		set &= ~(1ull << (SIGALRM - 1));
	m->len = rng_once_in(&c->rng, 6) ? rng_below(&c->rng, 200) : 8;
	memcpy(m->sigset, &set, 8);
	calls_ioctl_with(c, fd, KVM_SET_SIGNAL_MASK, 12);
}

static void run_call(struct caller *c)
{
	unsigned int slot = calls_slot(c, K_VCPU), times;
	struct kvm_run *run =
		(void *)(calls_world.runs + slot * calls_world.run_bytes);
	struct rng *r = &c->rng;
	int fd = calls_world.fds[K_VCPU][slot];

	run->immediate_exit = rng_once_in(r, 8);
	run->request_interrupt_window = rng_once_in(r, 4);
	run->cr8 = rng_once_in(r, 16) ? rng_number(r) : rng_below(r, 16);
	run->kvm_valid_regs = rng_once_in(r, 32) ? rng_next(r) : 0;
	run->kvm_dirty_regs = rng_once_in(r, 32) ? rng_next(r) : 0;
	if (rng_once_in(r, 64))
		rng_fill(r, run, calls_world.run_bytes);
	for (times = 1 + rng_below(r, 6); times; times--) {
		if (calls_ioctl(c, fd, KVM_RUN, rng_once_in(r, 64)) < 0) {
			/* Its files are open, so something ended the VM. */
			if (errno == EIO && !c->forked &&
			    calls_world.fds[K_VCPU][slot] == fd)
				calls_wrong(c, KVM_RUN, EIO);
			break;
		}
		/* Data for what was read, and for what comes. */
		rng_fill(r, run->mmio.data, sizeof(run->mmio.data));
		rng_fill(r, (uint8_t *)run + PAGE_BYTES, 64);
	}
}

void calls_vcpu(struct caller *c)
{
	int fd = calls_file(c, K_VCPU);
	uint32_t *n = calls_zeroed(c, sizeof(struct kvm_fpu));

	switch (rng_below(&c->rng, 18)) {
	case 0:
		calls_ioctl_with(c, fd, KVM_GET_REGS, sizeof(struct kvm_regs));
		break;
	case 1:
		set_regs_call(c, fd);
		break;
	case 2:
		calls_ioctl_with(c, fd, KVM_GET_SREGS,
				 sizeof(struct kvm_sregs));
		break;
	case 3:
	case 4:
		set_sregs_call(c, fd);
		set_regs_call(c, fd);
		break;
	case 5:
		calls_ioctl_with(c, fd, KVM_GET_FPU, sizeof(struct kvm_fpu));
		break;
	case 6:
		rng_fill(&c->rng, n, sizeof(struct kvm_fpu));
		calls_ioctl_with(c, fd, KVM_SET_FPU, sizeof(struct kvm_fpu));
		break;
	case 7:
		msrs_call(c, fd);
		break;
	case 8:
		cpuid_call(c, fd);
		break;
	case 9:
		*n = rng_below(&c->rng, 3);
		calls_ioctl_with(c, fd,
				 rng_once_in(&c->rng, 2) ? KVM_GET_MP_STATE :
							   KVM_SET_MP_STATE,
				 4);
		break;
	case 10:
		signal_mask(c, fd);
		break;
	case 11:
		calls_ioctl(c, fd, KVM_GET_TSC_KHZ, 0);
		calls_ioctl(c, fd, KVM_NMI, 0);
		break;
	case 12:
		*(uint64_t *)n = rng_number(&c->rng);
		calls_ioctl_with(c, fd, KVM_TRANSLATE,
				 sizeof(struct kvm_translation));
		break;
	case 13:
		*n = rng_below(&c->rng, 300);
		calls_ioctl_with(c, fd, KVM_INTERRUPT, 4);
		break;
	case 14:
		*(uint64_t *)n = rng_next(&c->rng);
		calls_ioctl_with(c, fd, KVM_X86_SETUP_MCE, 8);
		*(uint64_t *)n = rng_next(&c->rng);
		calls_ioctl_with(c, fd, KVM_X86_SET_MCE,
				 sizeof(struct kvm_x86_mce));
		break;
	default:
		run_call(c);
		break;
	}
}
