// SPDX-License-Identifier: GPL-2.0
/* Random numbers, state and code. */
#include <stdlib.h>

#include "guest.h"
#include "random.h"
#include "vigil.h"

#define MAX_STOPS 60
#define MAX_SIGNALS 3

uint64_t rng_wanted_seed(void)
{
	const char *seed = getenv("VIGIL_SEED");

	return seed ? strtoull(seed, NULL, 0) : 1;
}

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
	unsigned int i;

	r->state = (seed + 1) * 0x9e3779b97f4a7c15ull + stream;
	r->state += !r->state;
	/* Neighbours must not begin alike. */
	for (i = 0; i < 16; i++)
		rng_next(r);
}

uint64_t rng_next(struct rng *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state * 0x2545f4914f6cdd1dull;
}

unsigned int rng_below(struct rng *r, unsigned int n)
{
	return (rng_next(r) >> 32) % n;
}

void rng_fill(struct rng *r, void *to, size_t len)
{
	uint8_t *p = to;

	while (len--)
		*p++ = rng_next(r) >> 56;
}

void rng_flip(struct rng *r, void *in, size_t len, unsigned int bits)
{
	uint8_t *p = in;

	while (bits--)
		p[rng_below(r, len)] ^= 1 << rng_below(r, 8);
}

uint64_t rng_number(struct rng *r)
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

	return rng_once_in(r, 4) ? rng_next(r) :
				   list[rng_below(r, ARRAY_SIZE(list))];
}

void rng_segment(struct rng *r, struct kvm_segment *s)
{
	switch (rng_below(r, 8)) {
	case 0:
		s->base = rng_number(r);
		break;
	case 1:
		s->limit = rng_number(r);
		break;
	case 2:
		s->type = rng_next(r);
		break;
	case 3:
		s->dpl = rng_next(r);
		break;
	case 4:
		s->present = rng_next(r);
		s->unusable = rng_next(r);
		break;
	case 5:
		s->l = rng_next(r);
		s->db = rng_next(r);
		s->g = rng_next(r);
		break;
	case 6:
		s->s = rng_next(r);
		s->avl = rng_next(r);
		break;
	case 7:
		rng_fill(r, s, sizeof(*s));
		break;
	}
}

/*
 * IRET is left out: with NT set it switches tasks, which QEMU's TCG does without
 * asking the hypervisor.
 */
static const struct {
	uint8_t len;
	uint8_t bytes[5];
} insns[] = {
	{ 2, { 0x89, 0x07 } }, /* mov %eax, (%rdi) */
	{ 2, { 0x88, 0x03 } }, /* mov %al, (%rbx) */
	{ 2, { 0x8b, 0x03 } }, /* mov (%rbx), %eax */
	{ 2, { 0x01, 0x07 } }, /* add %eax, (%rdi) */
	{ 2, { 0x87, 0x07 } }, /* xchg %eax, (%rdi) */
	{ 4, { 0xf0, 0x0f, 0xc1, 0x07 } }, /* lock xadd %eax, (%rdi) */
	{ 4, { 0xf0, 0x0f, 0xc7, 0x0f } }, /* lock cmpxchg8b (%rdi) */
	{ 1, { 0xaa } }, /* stosb */
	{ 1, { 0xab } }, /* stosl */
	{ 2, { 0xf3, 0xaa } }, /* rep stosb */
	{ 2, { 0xf3, 0xa4 } }, /* rep movsb */
	{ 1, { 0xa5 } }, /* movsl */
	{ 1, { 0xee } }, /* out %al, (%dx) */
	{ 1, { 0xed } }, /* in (%dx), %eax */
	{ 1, { 0x6c } }, /* insb */
	{ 2, { 0xf3, 0x6e } }, /* rep outsb */
	{ 2, { 0x0f, 0xa2 } }, /* cpuid */
	{ 2, { 0x0f, 0x31 } }, /* rdtsc */
	{ 2, { 0x0f, 0x32 } }, /* rdmsr */
	{ 2, { 0x0f, 0x30 } }, /* wrmsr */
	{ 3, { 0x0f, 0x20, 0xc0 } }, /* mov %cr0, %rax */
	{ 3, { 0x0f, 0x22, 0xc0 } }, /* mov %rax, %cr0 */
	{ 3, { 0x0f, 0x20, 0xdb } }, /* mov %cr3, %rbx */
	{ 3, { 0x0f, 0x22, 0xdb } }, /* mov %rbx, %cr3 */
	{ 3, { 0x0f, 0x20, 0xe0 } }, /* mov %cr4, %rax */
	{ 3, { 0x0f, 0x22, 0xe0 } }, /* mov %rax, %cr4 */
	{ 3, { 0x0f, 0x01, 0x3b } }, /* invlpg (%rbx) */
	{ 3, { 0x0f, 0x01, 0xd1 } }, /* xsetbv */
	{ 3, { 0x0f, 0x01, 0xc1 } }, /* vmcall */
	{ 3, { 0x0f, 0x01, 0xd9 } }, /* vmmcall */
	{ 3, { 0x0f, 0xae, 0x07 } }, /* fxsave (%rdi) */
	{ 2, { 0x0f, 0x06 } }, /* clts */
	{ 2, { 0xd9, 0x17 } }, /* fsts (%rdi) */
	{ 2, { 0x0f, 0x0b } }, /* ud2 */
	{ 2, { 0x0f, 0x05 } }, /* syscall */
	{ 2, { 0xcd, 0x80 } }, /* int $0x80 */
	{ 1, { 0xcc } }, /* int3 */
	{ 1, { 0xfa } }, /* cli */
	{ 1, { 0xfb } }, /* sti */
	{ 1, { 0xf4 } }, /* hlt */
	{ 1, { 0x9c } }, /* pushf */
	{ 1, { 0x9d } }, /* popf */
	{ 1, { 0x50 } }, /* push %rax */
	{ 1, { 0x58 } }, /* pop %rax */
	{ 2, { 0x8e, 0xc0 } }, /* mov %eax, %es */
	{ 2, { 0xf3, 0x90 } }, /* pause */
	{ 2, { 0xff, 0xc0 } }, /* inc %eax */
	{ 2, { 0x01, 0xc7 } }, /* add %eax, %edi */
	{ 2, { 0x31, 0xc0 } }, /* xor %eax, %eax */
	{ 2, { 0xb4, 0x10 } }, /* mov $0x10, %ah */
	{ 2, { 0xeb, 0x02 } }, /* jmp over two bytes */
	{ 2, { 0xeb, 0xf0 } }, /* jmp 14 bytes back */
};

void rng_code(struct rng *r, uint8_t *to, size_t len)
{
	size_t at = 0;

	memset(to, 0x90, len);
	while (at + sizeof(insns[0].bytes) + 2 < len) {
		unsigned int i = rng_below(r, ARRAY_SIZE(insns));

		memcpy(to + at, insns[i].bytes, insns[i].len);
		at += insns[i].len;
	}
	/* jmp to somewhere in the last 128 bytes */
	to[len - 2] = 0xeb;
	to[len - 1] = 0x80 | rng_below(r, 0x70);
}

void code_defuse(uint8_t *code, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i++)
		if (code[i] == 0x0f &&
		    (code[i + 1] == 0x23 || code[i + 1] == 0x00))
			code[i + 1] = 0xa2;
}

/* On SVM a busy TSS is none for QEMU's TCG; VMX wants a busy one. */
void sregs_defuse(struct kvm_sregs *s)
{
	s->tr.type = test_on_svm() && !(s->efer & EFER_LMA) ? 9 : 0xb;
}

void run_random(struct vcpu *v, struct rng *r, unsigned long round)
{
	unsigned int stops, signals = 0;

	v->stop_on_signal = true;
	v->nr_vals = 0;
	for (stops = 0; stops < MAX_STOPS && signals < MAX_SIGNALS; stops++) {
		enum stop stop = vcpu_go(v);

		switch (stop) {
		case STOP_SHUTDOWN:
		case STOP_HLT:
			return;
		case STOP_SIGNAL:
			signals++;
			break;
		case STOP_MMIO:
			rng_fill(r, v->run->mmio.data, 8);
			break;
		case STOP_IO:
			if (v->run->io.direction == KVM_EXIT_IO_IN)
				rng_fill(r,
					 (uint8_t *)v->run +
						 v->run->io.data_offset,
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
				FAIL("round %lu: KVM_RUN: errno %d", round,
				     errno);
			return;
		case STOP_TIMEOUT:
			FAIL("round %lu does not stop", round);
			test_abort();
		default:
			break;
		}
	}
}

void rng_conditions(struct rng *r, const struct vigil_watch *w,
		    struct vigil_condition *c, unsigned int n)
{
	bool load = w->kind == VIGIL_WATCH_CONTROL &&
		    w->start == VIGIL_CONTROL_TABLE_LOAD;
	unsigned int i;

	memset(c, 0, n * sizeof(*c));
	for (i = 0; i < n; i++, c++) {
		c->tests = rng_below(r, VIGIL_COND_CHANGED << 1);
		if (w->kind == VIGIL_WATCH_CONTROL)
			c->tests &= VIGIL_COND_VALUE - 1;
		c->inverse = c->tests & rng_next(r);
		c->action = load ? VIGIL_ACTION_PASS : rng_below(r, 4);
		if (c->tests & VIGIL_COND_RIP)
			c->rip_last = c->rip = rng_below(r, 0x10800);
		if (c->tests & VIGIL_COND_RIP && rng_once_in(r, 2))
			c->rip_last = ~0ull;
		if (c->tests & VIGIL_COND_CPL)
			c->cpl = 1 + rng_below(r, 15);
		if (c->tests & VIGIL_COND_CR3) {
			c->cr3_mask = 1 + rng_below(r, 0xffffff);
			c->cr3 = rng_next(r) & c->cr3_mask;
		}
		if (c->tests & VIGIL_COND_VCPU)
			c->vcpu = rng_below(r, 3);
		/* The watch may have one byte only. */
		if (c->tests & VIGIL_COND_VALUE) {
			c->mask = 1 + rng_below(r, 255);
			c->value = rng_next(r) & c->mask;
		}
	}
}
