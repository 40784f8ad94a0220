// SPDX-License-Identifier: GPL-2.0
/*
 * Plain stores go a short way, all others through the emulator; nothing else may tell
 * the two apart. Random stores beside and in a watched range are made twice: with
 * RFLAGS.AC clear, and with AC set, which changes nothing for the guest here, but
 * sends them through the emulator. VIGIL_SEED=n in the environment chooses others.
 */
#include "mon.h"
#include "random.h"

#define STORES 300
#define AC (1ull << 18)
#define RANGE 16
#define END_LEN 2 /* OUT to PORT_END */

struct insn {
	uint8_t bytes[15];
	unsigned int len;
};

static void put(struct insn *in, uint64_t v, unsigned int bytes)
{
	memcpy(in->bytes + in->len, &v, bytes);
	in->len += bytes;
}

static __u64 *reg_of(struct kvm_regs *r, unsigned int nr)
{
	__u64 *const all[] = { &r->rax, &r->rcx, &r->rdx, &r->rbx,
			       &r->rsp, &r->rbp, &r->rsi, &r->rdi,
			       &r->r8,	&r->r9,	 &r->r10, &r->r11,
			       &r->r12, &r->r13, &r->r14, &r->r15 };

	return all[nr];
}

static unsigned int random_prefixes(struct rng *r, struct insn *in, enum mode m)
{
	static const uint8_t seg[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned int rex = 0;

	if (rng_once_in(r, 4))
		put(in, seg[rng_below(r, sizeof(seg))], 1);
	if (rng_once_in(r, 4))
		put(in, 0x66, 1);
	if (rng_once_in(r, 16))
		put(in, 0xf2 + rng_below(r, 2), 1);
	/* LOCK raises #UD. */
	if (rng_once_in(r, 32))
		put(in, 0xf0, 1);
	if (m == M_LONG && rng_once_in(r, 8))
		put(in, 0x67, 1);
	if (m == M_LONG && !rng_once_in(r, 3)) {
		rex = 0x40 + rng_below(r, 16);
		put(in, rex, 1);
	}
	return rex;
}

/* Makes ModRM, SIB and a displacement, by which the operand is at @to. */
static void random_operand(struct rng *r, struct insn *in, unsigned int rex,
			   struct kvm_regs *regs, uint64_t to, unsigned int reg,
			   enum mode m, unsigned int imm)
{
	unsigned int rm = rng_below(r, 8), scale = rng_below(r, 4);
	unsigned int base = rm | (rex & 1) << 3, index = rng_below(r, 8);

	if (rng_once_in(r, 8)) { /* no register, or RIP */
		put(in, reg << 3 | 5, 1);
		if (m == M_LONG)
			to -= GUEST_CODE + in->len + 4 + imm;
		put(in, to, 4);
		return;
	}
	put(in, 0x80 | reg << 3 | rm, 1);
	to -= *reg_of(regs, base);
	if (rm == 4) {
		put(in, scale << 6 | index << 3 | 4, 1);
		index |= (rex & 2) << 2;
		if (index != 4)
			to -= *reg_of(regs, index) << scale;
	}
	put(in, to, 4);
}

static struct insn random_store(struct rng *r, struct kvm_regs *regs,
				enum mode m)
{
	struct insn in = { .len = 0 };
	unsigned int rex = random_prefixes(r, &in, m);
	bool p66 = memchr(in.bytes, 0x66, in.len);
	unsigned int imm = p66 && !(rex & 8) ? 2 : 4;
	uint64_t to = rng_once_in(r, 3) ? TARGET - 8 + rng_below(r, RANGE + 8) :
					  PAGE + rng_below(r, 4096);

	switch (rng_below(r, m == M_LONG ? 4 : 5)) {
	case 0:
		put(&in, 0x88, 1);
		random_operand(r, &in, rex, regs, to, rng_below(r, 8), m, 0);
		break;
	case 1:
		put(&in, 0x89, 1);
		random_operand(r, &in, rex, regs, to, rng_below(r, 8), m, 0);
		break;
	case 2:
		put(&in, 0xc6, 1);
		random_operand(r, &in, rex, regs, to, 0, m, 1);
		put(&in, rng_next(r), 1);
		break;
	case 3:
		put(&in, 0xc7, 1);
		random_operand(r, &in, rex, regs, to, 0, m, imm);
		put(&in, rng_next(r), imm);
		break;
	default: /* AL or eAX, by a plain offset */
		put(&in, 0xa2 + rng_below(r, 2), 1);
		put(&in, to, 4);
		break;
	}
	return in;
}

/* What a store begins with. */
struct start {
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint8_t page[4096 + 16];
};

/* All that a guest and its monitor see of a store. */
struct seen {
	enum stop stop;
	struct kvm_regs regs;
	struct exc exc;
	unsigned int events;
	struct vigil_event event[2];
	uint8_t page[4096 + 16];
	uint64_t simple;
};

/* ES has a limit in the page, FS and GS have a base. */
static void segments(struct kvm_sregs *s)
{
	s->es.limit = TARGET + 3;
	s->es.g = 0;
	s->fs.base = 0x40;
	s->gs.base = 0x80;
}

static void make(struct vcpu *v, int mon, const struct insn *in,
		 const struct start *at, bool ac, struct seen *s)
{
	struct kvm_sregs sregs = at->sregs;
	struct kvm_regs regs = at->regs;
	uint64_t before = mon_stat(mon, "emul_short");

	memset(s, 0, sizeof(*s));
	memcpy(vm_ram(v->vm, PAGE, sizeof(at->page)), at->page,
	       sizeof(at->page));
	memcpy(vm_ram(v->vm, GUEST_CODE, in->len), in->bytes, in->len);
	memcpy(vm_ram(v->vm, GUEST_CODE + in->len, END_LEN), "\xe6\xf4",
	       END_LEN);
	vcpu_settle(v);
	if (ac)
		regs.rflags |= AC;
	set_sregs(v, &sregs);
	set_regs(v, &regs);
	s->stop = vcpu_go(v);
	if (s->stop == STOP_EXC)
		s->exc = v->exc;
	get_regs(v, &s->regs);
	s->regs.rflags &= ~AC;
	s->exc.rflags &= ~AC;
	for (; mon_ready(mon, 0) && s->events < 2; s->events++) {
		struct vigil_event *ev = &s->event[s->events];

		*ev = mon_event(mon);
		ev->seq = 0;
		ev->time_ns = 0;
		ev->rflags &= ~AC;
	}
	CHECK_NO_EVENT(mon);
	memcpy(s->page, vm_ram(v->vm, PAGE, sizeof(s->page)), sizeof(s->page));
	s->simple = mon_stat(mon, "emul_short") - before;
}

static bool same(const struct seen *a, const struct seen *b)
{
	return a->stop == b->stop && a->events == b->events &&
	       !memcmp(&a->regs, &b->regs, sizeof(a->regs)) &&
	       !memcmp(&a->exc, &b->exc, sizeof(a->exc)) &&
	       !memcmp(a->event, b->event, sizeof(a->event));
}

static void tell(const struct insn *in)
{
	char text[3 * sizeof(in->bytes) + 1] = "";
	unsigned int i;

	for (i = 0; i < in->len; i++)
		snprintf(text + 3 * i, 4, " %02x", in->bytes[i]);
	test_note("the store:%s", text);
}

static void stores(enum mode m, bool user, uint32_t action)
{
	static const char nop[] = "\x90\xe6\xf4";
	struct vcpu *v = guest_start(m, nop, nop + 3);
	unsigned int n = test_rounds(STORES), i, k;
	uint64_t simple = 0, told = 0;
	static struct seen a, b;
	int mon = mon_open(v->vm);
	struct kvm_regs regs;
	struct start at;
	struct insn in;
	struct rng r;

	rng_seed(&r, rng_wanted_seed(), m * 16 + user * 8 + action);
	if (user)
		vcpu_enter_user(v);
	vcpu_ring_sregs(v, &at.sregs);
	segments(&at.sregs);
	get_regs(v, &regs);
	mon_watch(mon, TARGET, RANGE, action);
	for (i = 0; i < n && !test_failures(); i++) {
		at.regs = regs;
		for (k = 0; k < (m == M_LONG ? 16 : 8); k++)
			if (k != 4)
				*reg_of(&at.regs, k) = rng_next(&r) & 0xfffffff;
		rng_fill(&r, at.page, sizeof(at.page));
		in = random_store(&r, &at.regs, m);
		make(v, mon, &in, &at, false, &a);
		make(v, mon, &in, &at, true, &b);
		CHECK_EQ(b.simple, 0);
		if (!same(&a, &b))
			FAIL("store %u: %s at %#llx with %u events, and %s at %#llx with %u",
			     i, stop_name[a.stop],
			     (unsigned long long)a.regs.rip, a.events,
			     stop_name[b.stop], (unsigned long long)b.regs.rip,
			     b.events);
		if (memcmp(a.page, b.page, sizeof(a.page)))
			FAIL_MEM("store %u: the memory differs", i);
		if (test_failures())
			tell(&in);
		simple += a.simple;
		told += a.events;
	}
	/* Both ways were gone, in the range and beside it. */
	if (n == STORES) {
		CHECK(simple > n / 4);
		CHECK(simple < n);
		CHECK(told > n / 16);
		CHECK(told < n);
	}
	CHECK(simple > 0);
	close(mon);
	vm_destroy(v->vm);
}

/*
 * With CR0.WP=0 the kernel may write to a page that user code may only read. What is kept
 * of the kernel's store is not for user code.
 */
static void no_wp(long m)
{
	static const char code[] = "\x89\x07" /* 0: mov %eax, (%edi) */
				   "\xe6\xf4" /* 2: out to PORT_END */
				   "\x8b\x0f" /* 4: mov (%edi), %ecx */
				   "\xe6\xf4" /* 6: out to PORT_END */
				   "\x89\x07"; /* 8 */
	struct vcpu *v = guest_start(m, code, code + sizeof(code) - 1);
	uint64_t at = TARGET + 0x200;
	int mon = mon_open(v->vm);
	struct kvm_sregs s;
	struct kvm_regs r;
	struct pt pt = tables_of(v);
	unsigned int i;

	pt_set(&pt, PAGE, 1, PAGE | PTE_P | PTE_U | PTE_A | PTE_D);
	get_sregs(v, &s);
	s.cr0 &= ~(uint64_t)CR0_WP;
	set_sregs(v, &s);
	get_regs(v, &r);
	r.rdi = at;
	r.rax = 0x11;
	mon_watch(mon, TARGET, 8, VIGIL_ACTION_LOG);
	for (i = 0; i < 3; i++) {
		r.rip = GUEST_CODE;
		r.rax++;
		set_regs(v, &r);
		EXPECT(v, STOP_END);
		vcpu_settle(v);
		CHECK_EQ(rd32(v->vm, at), r.rax);
	}
	vcpu_enter_user(v);
	get_regs(v, &r);
	r.rip = GUEST_CODE + 4;
	set_regs(v, &r);
	EXPECT(v, STOP_END);
	vcpu_settle(v);
	r.rip = GUEST_CODE + 8;
	r.rax = 0x77;
	set_regs(v, &r);
	EXPECT_EXC(v, PF, 7);
	CHECK_EQ(v->exc.cr2, at);
	CHECK_EQ(rd32(v->vm, at), 0x14);
	close(mon);
	vm_destroy(v->vm);
}

static void logged(long m)
{
	stores(m, false, VIGIL_ACTION_LOG);
}

static void refused(long m)
{
	stores(m, false, VIGIL_ACTION_DENY);
}

static void of_user(long m)
{
	stores(m, true, VIGIL_ACTION_LOG);
}

/* clang-format off */
#define CASE_FLAT(n, f) \
	{ n " (prot32)", f, M_PROT32 }, { n " (32-bit paging)", f, M_PG32 }, \
	{ n " (pae)", f, M_PAE }, { n " (long)", f, M_LONG }, \
	{ n " (compat)", f, M_COMPAT }
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		CASE_FLAT("logged", logged),
		CASE_FLAT("refused", refused),
		CASE_FLAT("ring 3", of_user),
		{ "CR0.WP=0 (32-bit paging)", no_wp, M_PG32 },
		{ "CR0.WP=0 (pae)", no_wp, M_PAE },
		{ "CR0.WP=0 (long)", no_wp, M_LONG },
		{ "CR0.WP=0 (compat)", no_wp, M_COMPAT },
		{ 0 },
	};

	return test_main(argc, argv, cases);
}
