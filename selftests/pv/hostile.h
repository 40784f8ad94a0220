/* SPDX-License-Identifier: GPL-2.0 */
/* What the random hypercalls of pv/hostile.c are made of. */
#ifndef SELFTESTS_PV_HOSTILE_H
#define SELFTESTS_PV_HOSTILE_H

#include <stdlib.h>

#include "pv_traps.h"
#include "random.h"

#define XEN_ENOMEM 12
#define XEN_EOPNOTSUPP 95
#define VMM_RESULT 0x7654 /* the VMM gives this result */

/* Numbers that tell Xen's guests from vigil's policy: also those not answered yet. */
#define NR_SET_CALLBACKS 4
#define NR_UPDATE_DESCRIPTOR 10
#define NR_FAST_TRAP_2003 11
#define NR_IRET 23
#define NR_CALLBACK_OP 30

/* Pages for arguments, each of which follows one of another kind. */
#define ARGS GUEST_FREE
#define ARG_PAGES 16
enum {
	PAGE_ABSENT = 1,
	PAGE_RO = 3,
	PAGE_MMIO = 5,
	PAGE_KERNEL = 7,
	PAGE_CHANGES = 9,
	PAGE_ROM = 11,
	PAGE_CHANGES2 = 12
};
#define ARGS_END (ARGS + ARG_PAGES * 0x1000)
#define FRAMES (ARGS + 13 * 0x1000) /* pages that set_gdt may copy */
#define READ_ONLY 0x10000000 /* memory that the guest cannot write */
#define CALL_AT 0x8000 /* the calls, in the code segment */
#define BATCH 32 /* calls that the guest makes one after the other */
/*
 * Results, and their complements: two places, since calls store anywhere. No stack comes
 * there when faults nest, except that of 16-bit code, whose handlers stop at the first.
 */
#define RESULTS(w) (mode_16bit((w)->mode) ? 0xd000 : 0x44000)
#define RESULTS_NOT(w) (RESULTS(w) + 0x800)
#define NO_RESULT 0x5a5a5a5a5a5a5a5a
/* The second vCPU: its code, which names the list of what it stores. */
#define CHANGER 0x40000
#define LIST 0x41000
#define LIST_ENTRIES 64

/**
 * struct world - a VM and its guest
 * @v:		the vCPU that makes the calls
 * @other:	the one that changes page tables and arguments
 * @thread:	runs @other
 * @rng:	of this round
 * @policy:	of the VM
 * @mode:	of @v
 * @tables:	trap tables are in force
 * @sregs:	of @v, by its level
 * @cpl:	the level
 * @stale:	registers may be other than @sregs, or something is under way
 * @shut:	the guest has shut down, and made no call since
 * @broken:	the guest cannot go on without being made anew
 * @dead:	the VM has ended
 * @call:	of this batch: where it begins, its number, and whether its result counts
 */
struct world {
	struct vcpu *v, *other;
	pthread_t thread;
	struct rng rng;
	struct vigil_hypercalls policy;
	enum mode mode;
	bool tables;
	struct kvm_sregs sregs[4];
	unsigned int cpl;
	bool stale, shut, broken, dead;
	struct {
		uint64_t rip, nr;
		bool checked;
	} call[BATCH];
};

/* ---- the VM ---- */

/* Hypercalls that this module can answer, asked for once. */
static uint64_t answered(uint32_t flags)
{
	const uint64_t traps = 1ull << NR_SET_TRAP_TABLE | 1ull << NR_SET_GDT |
			       1ull << NR_STACK_SWITCH |
			       1ull << NR_SET_FAST_TRAP;
	static const unsigned int may[] = {
		NR_SET_CALLBACKS, NR_UPDATE_DESCRIPTOR, NR_FAST_TRAP_2003,
		NR_IRET,	  NR_CALLBACK_OP,
	};
	struct vigil_hypercalls h = usual;
	static uint64_t more;
	static bool asked;
	unsigned int i;

	h.flags |= VIGIL_HC_TRAPS;
	for (i = 0; i < ARRAY_SIZE(may) && !asked; i++) {
		struct vm *vm = vm_create_bare();

		h.kernel = 1ull << may[i];
		if (!set_hypercalls(vm->fd, &h))
			more |= h.kernel;
		vm_destroy(vm);
	}
	asked = true;
	return usual.kernel | (flags & VIGIL_HC_TRAPS ? traps | more : 0);
}

static void random_policy(struct world *w)
{
	struct rng *r = &w->rng;
	struct vigil_hypercalls *h = &w->policy;

	*h = usual;
	if (w->tables || rng_once_in(r, 2))
		h->flags |= VIGIL_HC_TRAPS;
	if (rng_once_in(r, 4))
		h->flags |= VIGIL_HC_EXIT_XEN;
	if (!rng_once_in(r, 3))
		h->flags |= VIGIL_HC_INT82;
	if (rng_once_in(r, 3))
		h->flags |= VIGIL_HC_FEP_XEN;
	h->kernel = answered(h->flags);
	/* All calls of virtual-8086 mode are those of level 3. */
	h->iopl = w->mode == M_VM86 ? 3 : rng_below(r, 4);
	h->refuse = rng_once_in(r, 4);
	h->user_max &= rng_once_in(r, 2) ? ~0ull : rng_next(r);
	h->user = h->user_max & (rng_once_in(r, 2) ? ~0ull : rng_next(r));
}

static void load_handlers(struct vcpu *v)
{
	vm_load_at(v->vm, GUEST_CODE, is_wide(v) ? pl_traps64 : pl_traps32,
		   is_wide(v) ? pl_traps64_end : pl_traps32_end);
}

/* The rights of the pages for arguments, and where they lead. */
static void make_pages(struct world *w)
{
	struct pt pt;
	uint64_t all = PTE_W | PTE_U | PTE_A | PTE_D;
	static const struct {
		unsigned int page;
		uint64_t to, off;
	} pages[] = {
		{ PAGE_ABSENT, 0, PTE_P },    { PAGE_RO, 0, PTE_W },
		{ PAGE_MMIO, GUEST_MMIO, 0 }, { PAGE_KERNEL, 0, PTE_U },
		{ PAGE_ROM, READ_ONLY, 0 },
	};
	unsigned int i;
	uint64_t at;

	if (!mode_paged(w->mode))
		return;
	pt = tables_of(w->v);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		at = ARGS + pages[i].page * 0x1000;
		pt_set(&pt, at, 1,
		       ((pages[i].to ? pages[i].to : at) | all | PTE_P) &
			       ~pages[i].off);
	}
}

static void add_change(struct vm *vm, unsigned int i, uint32_t at, uint32_t to)
{
	wr32(vm, LIST + i * 8, at);
	wr32(vm, LIST + i * 8 + 4, to);
}

/* What the second vCPU stores: page tables of two pages, and bytes of all. */
static void list_changes(struct world *w)
{
	static const uint32_t frames[] = { 0, GUEST_MMIO, READ_ONLY, ARGS,
					   FRAMES };
	struct rng *r = &w->rng;
	struct vm *vm = w->v->vm;
	uint32_t page, entry, at;
	struct pt pt;
	unsigned int i;

	if (mode_paged(w->mode))
		pt = tables_of(w->v);
	for (i = 0; i < LIST_ENTRIES; i++) {
		page = rng_once_in(r, 2) ? PAGE_CHANGES : PAGE_CHANGES2;
		page = ARGS + page * 0x1000;
		if (mode_paged(w->mode) && i % 2) {
			entry = frames[rng_below(r, ARRAY_SIZE(frames))];
			entry = (entry ? entry : page) | PTE_A | PTE_D |
				(rng_next(r) & (PTE_W | PTE_U)) |
				(rng_once_in(r, 3) ? 0 : PTE_P);
			at = pt_entry(&pt, page, 1);
			add_change(vm, i, at, entry);
		} else {
			at = ARGS + rng_below(r, ARG_PAGES * 0x1000 / 4) * 4;
			add_change(vm, i, at, rng_number(r));
		}
	}
	add_change(vm, i, 0, 0);
}

static void set_cpl(struct kvm_sregs *s, unsigned int cpl)
{
	struct kvm_segment *all[] = { &s->cs, &s->ss, &s->ds, &s->es };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		all[i]->selector = (all[i]->selector & ~3u) | cpl;
		all[i]->dpl = cpl;
	}
}

/* The kernel's more often; with trap tables a fault in ring 0 ends the VM. */
static unsigned int random_cpl(struct world *w)
{
	static const uint8_t levels[] = { 0, 0, 0, 0, 3, 3, 1, 2 };
	static const uint8_t with_tables[] = { 1, 1, 1, 1, 3, 3, 0, 2 };

	return (w->tables ? with_tables : levels)[rng_below(&w->rng, 8)];
}

/* ---- arguments ---- */

/* An address of @len bytes; many lie across the end of a page or of something else. */
static uint64_t address(struct world *w, unsigned int len)
{
	static const uint64_t ends[] = {
		0,
		GUEST_PT,
		4 << 20, /* of the RAM */
		READ_ONLY,
		READ_ONLY + 0x1000,
		GUEST_MMIO,
		GUEST_MMIO + 0x1000,
		1ull << 32,
		1ull << 47,
		-1ull << 47,
		0xfc000000, /* the VMM's window */
		0xfc800000,
		0xffff878000000000,
		0xffff87ffff800000,
	};
	struct rng *r = &w->rng;
	uint64_t end;

	switch (rng_below(r, 8)) {
	case 0:
		return rng_number(r);
	case 1:
		end = ends[rng_below(r, ARRAY_SIZE(ends))];
		return end - rng_below(r, 2 * len + 1);
	case 2:
	case 3:
	case 4:
		end = ARGS + (1 + rng_below(r, ARG_PAGES)) * 0x1000;
		return end - rng_below(r, 2 * len + 1);
	default:
		return ARGS + rng_below(r, ARG_PAGES) * 0x1000 +
		       rng_below(r, 0x100) * 8;
	}
}

/* Puts an argument there, as far as pages for arguments are there. */
static void put(struct world *w, uint64_t at, const void *data, size_t len)
{
	if (at >= ARGS && at < ARGS_END)
		memcpy(vm_ram(w->v->vm, at, 1), data,
		       len < ARGS_END - at ? len : ARGS_END - at);
}

static uint64_t pick(struct world *w, const uint64_t *list, unsigned int n)
{
	return rng_once_in(&w->rng, 8) ? rng_number(&w->rng) :
					 list[rng_below(&w->rng, n)];
}
#define PICK_OF(w, ...)                            \
	pick(w, (const uint64_t[]){ __VA_ARGS__ }, \
	     sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static void bad_trap(struct world *w, struct vigil_pv_trap *t)
{
	t->vector = PICK_OF(w, t->vector, 0x82, 0xf3, 0xf6, 0xff);
	t->flags = PICK_OF(w, t->flags, 8, 0xff);
	t->cs = PICK_OF(w, t->cs, FREE_RING1, SEL_CODE32, SEL_UCODE32,
			SEL_LDT | 5, 0xe008 | 1);
	t->ip = PICK_OF(w, t->ip, 1ull << 47, -1ull << 47);
}

static uint64_t trap_table(struct world *w)
{
	bool wide = is_wide(w->v);
	unsigned int i, bytes = wide ? 16 : 8, n = rng_below(&w->rng, 6);
	struct vigil_pv_trap t;
	uint64_t at;

	if (rng_once_in(&w->rng, 40))
		n = 260;
	at = address(w, (n + 1) * bytes);
	for (i = 0; i < n; i++) {
		t = (struct vigil_pv_trap){
			.vector = PICK_OF(w, 0x80, 0x81, BP, OF, UD, GP, PF),
			.flags = rng_below(&w->rng, 8),
			.cs = ring1_cs(w->v),
			.ip = PICK_OF(w, AT(w->v, on_fast), AT(w->v, on_slow),
				      AT(w->v, on_skip), AT(w->v, on_page)),
		};
		if (rng_once_in(&w->rng, 8))
			bad_trap(w, &t);
		if (wide) {
			put(w, at + i * 16, &t, 16);
		} else {
			uint32_t ip = t.ip;

			put(w, at + i * 8, &t, 4);
			put(w, at + i * 8 + 4, &ip, 4);
		}
	}
	if (!rng_once_in(&w->rng, 8))
		put(w, at + n * bytes, (const char[16]){ 0 }, bytes);
	return rng_once_in(&w->rng, 20) ? 0 : at;
}

static uint64_t descriptor(struct world *w)
{
	struct rng *r = &w->rng;

	if (rng_once_in(r, 3))
		return rng_next(r);
	/* Flat code or data, or something near it. */
	return 0x00cf00000000ffff | (uint64_t)(rng_next(r) & 0x60) << 40 |
	       (0x90ull | rng_below(r, 16)) << 40 |
	       (rng_once_in(r, 4) ? 1ull << 53 : 0);
}

static uint64_t gdt_frames(struct world *w)
{
	unsigned int i, n = 14, bytes = is_wide(w->v) ? 8 : 4;
	uint64_t at = address(w, n * bytes), frame, d;

	for (i = 0; i < n; i++) {
		frame = PICK_OF(w, GUEST_GDT >> 12, FRAMES >> 12,
				(FRAMES >> 12) + 1, READ_ONLY >> 12,
				GUEST_MMIO >> 12, 1ull << 40);
		put(w, at + i * bytes, &frame, bytes);
	}
	for (i = 0; i < 4; i++) {
		d = descriptor(w);
		put(w, FRAMES + rng_below(&w->rng, 1024) * 8, &d, 8);
	}
	if (rng_once_in(&w->rng, 4))
		memset(vm_ram(w->v->vm, FRAMES, 0x2000), 0, 0x2000);
	return at;
}

static uint64_t iopl_arg(struct world *w)
{
	struct rng *r = &w->rng;
	struct vigil_iopl arg = {
		.iopl = rng_below(r, 4),
		.scope = rng_below(r, 2),
		.refuse = rng_below(r, 2),
		.user = rng_next(r) & w->policy.user_max,
	};
	uint64_t at = address(w, sizeof(arg));

	if (rng_once_in(r, 4))
		rng_flip(r, &arg, sizeof(arg), 1);
	put(w, at, &arg, sizeof(arg));
	return at;
}

/* The frame that the hypercall iret takes from the stack. */
static uint64_t iret_frame(struct world *w)
{
	unsigned int i, bytes = is_wide(w->v) ? 8 : 4;
	uint64_t at = address(w, 9 * bytes), word;

	for (i = 0; i < 9; i++) {
		word = PICK_OF(w, AT(w->v, stop), ring1_cs(w->v), RFLAGS_1,
			       SEL_UDATA, SEL_UCODE32, SEL_UCODE64, GUEST_STACK,
			       RFLAGS_IOPL | RFLAGS_1);
		put(w, at + i * bytes, &word, bytes);
	}
	return at;
}

static uint64_t random_nr(struct world *w)
{
	return PICK_OF(w, NR_SET_TRAP_TABLE, NR_SET_TRAP_TABLE, NR_SET_GDT,
		       NR_SET_GDT, NR_STACK_SWITCH, NR_SET_CALLBACKS,
		       NR_UPDATE_DESCRIPTOR, NR_FAST_TRAP_2003, NR_MULTICALL,
		       NR_MULTICALL, NR_CONSOLE_IO, NR_IRET, NR_SCHED_OP,
		       NR_CALLBACK_OP, NR_SET_FAST_TRAP, NR_SET_FAST_TRAP,
		       NR_IOPL, NR_IOPL, 63, 64);
}

static uint64_t multicall(struct world *w);

static void random_args(struct world *w, uint64_t nr, uint64_t arg[6])
{
	struct rng *r = &w->rng;
	unsigned int i;

	for (i = 0; i < 6; i++)
		arg[i] = rng_once_in(r, 2) ? rng_number(r) : address(w, 64);
	if (rng_once_in(r, 8))
		return;
	switch (nr) {
	case NR_SET_TRAP_TABLE:
		arg[0] = trap_table(w);
		break;
	case NR_SET_GDT:
		arg[0] = gdt_frames(w);
		arg[1] = PICK_OF(w, 0, 1, 8, 512, 513, 1024, 7168, 7169);
		break;
	case NR_STACK_SWITCH:
		arg[0] = PICK_OF(w, RING1_DS32, VIGIL_RING1_DS64, SEL_DATA | 1,
				 SEL_DATA, 0, 0x10000 | RING1_DS32);
		arg[1] = PICK_OF(w, GUEST_STACK0, GUEST_STACK0 - 8, 1ull << 47,
				 address(w, 64));
		break;
	case NR_SET_FAST_TRAP:
		arg[0] = PICK_OF(w, 0x80, 0x81, BP, OF, PF, 0, 0x82, 256);
		break;
	case NR_UPDATE_DESCRIPTOR:
		arg[0] = GUEST_GDT + rng_below(r, 64) * 8;
		arg[1] = descriptor(w);
		break;
	case NR_IOPL:
		arg[0] = PICK_OF(w, VIGIL_IOPL_SET, VIGIL_IOPL_GET, 2);
		arg[1] = iopl_arg(w);
		break;
	case NR_SCHED_OP:
		arg[0] = rng_below(r, 4);
		break;
	case NR_MULTICALL:
		arg[0] = multicall(w);
		arg[1] = PICK_OF(w, 0, 1, 2, 3, 4, 5, 6, 40);
		break;
	}
}

/* Up to six calls, behind which there is what was there before. */
static uint64_t multicall(struct world *w)
{
	unsigned int i, k, n = rng_below(&w->rng, 7),
			   bytes = is_wide(w->v) ? 8 : 4;
	uint64_t at = address(w, n * 8 * bytes), nr, arg[6];

	for (i = 0; i < n; i++) {
		nr = random_nr(w);
		/* A multicall within one is refused whatever its arguments. */
		memset(arg, 0, sizeof(arg));
		if (nr != NR_MULTICALL)
			random_args(w, nr, arg);
		put(w, at + i * 8 * bytes, &nr, bytes);
		for (k = 0; k < 6; k++)
			put(w, at + (i * 8 + 2 + k) * bytes, &arg[k], bytes);
	}
	return at;
}

/* ---- code ---- */

static uint8_t *emit(uint8_t *p, const void *bytes, unsigned int n)
{
	memcpy(p, bytes, n);
	return p + n;
}

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10 };

/* mov $value, register */
static uint8_t *emit_mov(struct world *w, uint8_t *p, unsigned int reg,
			 uint64_t value)
{
	if (is_wide(w->v))
		*p++ = 0x48 | reg >> 3;
	else if (mode_16bit(w->mode))
		*p++ = 0x66;
	*p++ = 0xb8 | (reg & 7);
	return emit(p, &value, is_wide(w->v) ? 8 : 4);
}

/* mov %rax, at; not %rax */
static uint8_t *emit_store(struct world *w, uint8_t *p, uint64_t at)
{
	uint8_t prefix = is_wide(w->v) ? 0x48 : 0x66;
	bool has_prefix = is_wide(w->v) || mode_16bit(w->mode);

	if (has_prefix)
		*p++ = prefix;
	*p++ = 0xa3;
	p = emit(p, &at, is_wide(w->v) ? 8 : mode_16bit(w->mode) ? 2 : 4);
	if (has_prefix)
		*p++ = prefix;
	return emit(p, "\xf7\xd0", 2);
}

/* Instructions of three bytes, which the handlers of faults skip. */
static uint8_t *emit_insn(struct world *w, uint8_t *p, unsigned int n)
{
	static const uint8_t insns[][3] = {
		{ 0x0f, 0x01, 0xc1 },
		{ 0x0f, 0x01, 0xd9 },
		/* with a prefix: a hypercall, or the gate's fault */
		{ 0x3e, 0xcd, 0x82 },
	};
	unsigned int kind = rng_below(&w->rng, 16);

	kind = kind < 7 ? 0 : kind < 14 ? 1 : 2;
	w->call[n].checked = kind < 2;
	if (w->policy.flags & VIGIL_HC_FEP_XEN && rng_once_in(&w->rng, 8))
		p = emit(p, "\x0f\x0b\x78\x65\x6e", 5);
	return emit(p, insns[kind], 3);
}

/* WRMSR, with a prefix, to the MSR that makes a hypercall page. */
static uint8_t *emit_page(struct world *w, uint8_t *p, unsigned int n)
{
	w->call[n].checked = false;
	p = emit_mov(w, p, RCX, MSR_PAGE);
	p = emit_mov(w, p, RDX, 0);
	p = emit_mov(w, p, RAX,
		     rng_once_in(&w->rng, 2) ? ARGS + 0x2000 :
					       rng_number(&w->rng));
	return emit(p, "\x3e\x0f\x30", 3);
}

static uint8_t *emit_call(struct world *w, uint8_t *p, unsigned int n)
{
	static const uint8_t wide[] = { RDI, RSI, RDX, R10, R8, R9 };
	static const uint8_t narrow[] = { RBX, RCX, RDX, RSI, RDI, RBP };
	const uint8_t *regs = is_wide(w->v) ? wide : narrow;
	uint64_t nr = random_nr(w), arg[6];
	unsigned int i;

	random_args(w, nr, arg);
	for (i = 0; i < 6; i++)
		p = emit_mov(w, p, regs[i], arg[i]);
	p = emit_mov(w, p, RAX, nr);
	p = emit_mov(w, p, RSP,
		     nr == NR_IRET	      ? iret_frame(w) :
		     rng_once_in(&w->rng, 16) ? rng_number(&w->rng) :
						GUEST_STACK);
	w->call[n].nr = nr;
	return emit_insn(w, p, n);
}

/* Writes the code of a batch, and what it takes as arguments. */
static void make_batch(struct world *w)
{
	uint8_t *code = vm_ram(w->v->vm, GUEST_CODE + CALL_AT, 0x1000);
	uint8_t *p = code;
	unsigned int n;

	for (n = 0; n < BATCH; n++) {
		w->call[n].rip = mode_entry(w->mode) + CALL_AT + (p - code);
		p = rng_once_in(&w->rng, 32) ? emit_page(w, p, n) :
					       emit_call(w, p, n);
		p = emit_store(w, p, RESULTS(w) + n * 8);
		p = emit_store(w, p, RESULTS_NOT(w) + n * 8);
		wr64(w->v->vm, RESULTS(w) + n * 8, NO_RESULT);
		wr64(w->v->vm, RESULTS_NOT(w) + n * 8, NO_RESULT);
	}
	*p++ = 0xe6;
	*p++ = PORT_END;
	if (w->tables) {
		wr64(w->v->vm, T_SKIPPED, 3);
		wr64(w->v->vm, T_SKIP, 0);
	}
}

/* General registers before call @n. */
static void random_regs(struct world *w, unsigned int n, struct kvm_regs *r)
{
	struct rng *g = &w->rng;
	uint64_t words[sizeof(*r) / 8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = rng_number(g);
	memcpy(r, words, sizeof(*r));
	r->rip = w->call[n].rip;
	r->rsp = GUEST_STACK;
	r->rflags = RFLAGS_1 | RFLAGS_IOPL |
		    (rng_next(g) & (RFLAGS_IF | RFLAGS_RF | 0xcd5));
	if (rng_once_in(g, 8))
		r->rflags |= RFLAGS_AC;
	/* Bochs resets the host after a #DB that SVM intercepts. */
	if (rng_once_in(g, 32) && !(test_on_svm() && test_on_bochs()))
		r->rflags |= RFLAGS_TF;
	if (w->mode == M_VM86)
		r->rflags |= RFLAGS_VM;
}

/* ---- afterwards ---- */

/* What the guest has reached is what VIGIL_SET_PV takes, and no handler is in ring 0. */
static void check_saved(struct vcpu *v)
{
	static struct vigil_pv_trap traps[PV_TRAPS];
	static struct vigil_pv_trap callbacks[PV_CALLBACKS];
	static uint64_t gdt[PV_GDT];
	struct vigil_pv pv = pv_room(traps, callbacks, gdt);
	unsigned int i;

	CHECK_OK(ioctl(v->fd, VIGIL_GET_PV, &pv));
	CHECK(pv.flags & VIGIL_PV_TABLES);
	for (i = 0; i < pv.nr_traps; i++)
		CHECK_EQ(traps[i].cs & 7, 1);
	for (i = 0; i < pv.nr_callbacks; i++)
		CHECK_EQ(callbacks[i].cs & 7, 1);
	CHECK_OK(ioctl(v->fd, VIGIL_SET_PV, &pv));
}

#endif
