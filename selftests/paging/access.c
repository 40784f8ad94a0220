// SPDX-License-Identifier: GPL-2.0
/*
 * The permission matrix of every paging mode.
 *
 * The guest writes page-table entries and control registers, accesses an
 * address, and reports what happened; model() below computes what had to
 * happen. There are single-level cases, with all bits of one entry under each
 * access and each relevant setting of WP, NXE, SMEP and SMAP, and random cases
 * with every level mixed. VIGIL_FULL=n in the environment multiplies the number
 * of random cases.
 */
#include <stdlib.h>

#include "../guest/access.h"
#include "guest.h"

DECLARE_PAYLOAD(access32);
DECLARE_PAYLOAD(access64);
DECLARE_PAYLOAD(access_user32);
DECLARE_PAYLOAD(access_user64);
DECLARE_LABEL(access32, pf);
DECLARE_LABEL(access64, pf);
DECLARE_LABEL(access32, int81);
DECLARE_LABEL(access64, int81);

#define TARGET 0x40000000ull /* aligned for a page of any size */
#define TARGET_SIZE (4ull << 20)
#define RANDOM_CASES 3000
#define MAX_LEVELS 5

/* One case: entries by level (1 is the lowest), state, and the access. */
struct spec {
	uint64_t e[MAX_LEVELS + 1];
	bool wp, nxe, smep, smap, ac;
	bool user;
	int access; /* ACC_READ, ACC_WRITE, ACC_FETCH */
};

struct outcome {
	bool fault;
	uint32_t error;
	unsigned int leaf; /* level where the walk ended */
	bool reached_leaf;
};

struct matrix {
	struct vcpu *v;
	struct pt pt;
	uint64_t va;
	uint64_t table[MAX_LEVELS + 1]; /* pages of the tables for @va */
	uint64_t gpa[MAX_LEVELS + 1]; /* of the entries for @va */
	uint64_t last[MAX_LEVELS + 1]; /* as last written there */
	struct kvm_sregs sregs;
	struct acc_cmd *cmd;
	struct spec spec[ACC_MAX];
	unsigned int n;
	unsigned long run, faults;
	bool smep, smap, gb_pages, nx;
	unsigned int maxphyaddr;
};

static bool has_nx_bit(const struct matrix *m)
{
	return m->pt.entry_size == 8;
}

/* Bits of the entry at @level that must be zero. */
static uint64_t reserved_bits(const struct matrix *m, unsigned int level,
			      uint64_t e, bool nxe)
{
	enum mode mode = m->pt.mode;
	bool large = level > 1 && (e & PTE_PS);
	uint64_t r = 0;

	if (m->pt.entry_size == 4) {
		if (mode == M_PSE && level == 2 && large)
			r |= 1u << 21;
		return r;
	}
	r = (1ull << 52) - (1ull << m->maxphyaddr);
	if (!nxe)
		r |= PTE_NX;
	if (mode == M_PAE)
		r |= 0x7ff0000000000000ull;
	if (level == 2 && large)
		r |= 0xffull << 13;
	if (level == 3 && large && mode != M_PAE)
		r |= 0x1ffffull << 13;
	if (level >= 4)
		r |= PTE_PS;
	return r;
}

static bool is_leaf(const struct matrix *m, unsigned int level, uint64_t e)
{
	if (level == 1)
		return true;
	if (!(e & PTE_PS) || m->pt.mode == M_PG32)
		return false;
	return level == 2 || (level == 3 && m->pt.mode != M_PAE);
}

/*
 * The result by the rules of the architecture, written from the manual and not
 * from a walker.
 */
static struct outcome model(const struct matrix *m, const struct spec *s)
{
	bool fetch = s->access == ACC_FETCH, write = s->access == ACC_WRITE;
	bool may_write = true, is_user = true, nx = false, bad;
	struct outcome o = { 0 };
	unsigned int level;

	o.error = (write ? PF_W : 0) | (s->user ? PF_U : 0);
	if (fetch && (s->smep || (s->nxe && has_nx_bit(m))))
		o.error |= PF_I;
	for (level = m->pt.levels;; level--) {
		uint64_t e = s->e[level];

		o.leaf = level;
		if (!(e & PTE_P)) {
			o.fault = true;
			return o;
		}
		if (e & reserved_bits(m, level, e, s->nxe)) {
			o.fault = true;
			o.error |= PF_P | PF_RSVD;
			return o;
		}
		/* A PDPTE of PAE paging grants everything. */
		if (!(m->pt.mode == M_PAE && level == 3)) {
			may_write &= !!(e & PTE_W);
			is_user &= !!(e & PTE_U);
			nx |= has_nx_bit(m) && (e & PTE_NX);
		}
		if (is_leaf(m, level, e))
			break;
	}
	o.reached_leaf = true;
	if (s->user)
		bad = !is_user || (write && !may_write) || (fetch && nx);
	else if (fetch)
		bad = nx || (s->smep && is_user);
	else
		bad = (write && !may_write && s->wp) ||
		      (s->smap && is_user && !s->ac);
	o.fault = bad;
	if (bad)
		o.error |= PF_P;
	return o;
}

static void describe(const struct matrix *m, const struct spec *s)
{
	static const char *const what[] = { "read", "write", "fetch" };
	unsigned int level;

	if (test_failures() > 6)
		return;
	for (level = m->pt.levels; level; level--)
		test_note("  level %u entry %#llx", level,
			  (unsigned long long)s->e[level]);
	test_note("  %s by %s wp %d nxe %d smep %d smap %d ac %d",
		  what[s->access], s->user ? "user" : "kernel", s->wp, s->nxe,
		  s->smep, s->smap, s->ac);
}

/* Accessed and dirty bits that the entry at @level must have afterwards. */
static void check_entry(struct matrix *m, const struct spec *s,
			const struct outcome *o, unsigned int level,
			uint64_t after)
{
	uint64_t want = s->e[level], care = ~0ull;
	bool pdpte = m->pt.mode == M_PAE && level == 3;

	if (m->pt.entry_size == 4) {
		after &= 0xffffffff;
		want &= 0xffffffff;
	}
	if (level < o->leaf || pdpte) {
		/* The entry was not walked, or has no such bits. */
	} else if (!o->fault) {
		want |= PTE_A;
		if (level == o->leaf && s->access == ACC_WRITE)
			want |= PTE_D;
	} else if (level > o->leaf) {
		/*
		 * A CPU may set A in entries that it has walked before the
		 * fault.
		 */
		care &= ~PTE_A;
	}
	if ((after & care) != (want & care)) {
		FAIL_MEM("entry of level %u is %#llx afterwards, not %#llx",
			 level, (unsigned long long)after,
			 (unsigned long long)want);
		describe(m, s);
	}
}

static void check(struct matrix *m, const struct acc_cmd *c,
		  const struct spec *s)
{
	struct outcome o = model(m, s);
	unsigned int level, i;
	uint32_t care = ~0u;

	/*
	 * Manuals differ on whether NXE without PAE makes a fetch visible in
	 * the error code, and so do CPUs.
	 */
	if (!has_nx_bit(m) && s->nxe && !s->smep)
		care = ~(uint32_t)PF_I;

	m->run++;
	m->faults += o.fault;
	if (c->vector != (o.fault ? 14 : NO_VECTOR)) {
		FAIL("%s, but vector %u error %#x",
		     o.fault ? "must fault" : "must not fault", c->vector,
		     c->error);
		describe(m, s);
		return;
	}
	if (o.fault && ((c->error ^ o.error) & care || c->cr2 != c->va)) {
		FAIL("error %#x cr2 %#llx, not %#x %#llx", c->error,
		     (unsigned long long)c->cr2, o.error,
		     (unsigned long long)c->va);
		describe(m, s);
	}
	for (level = m->pt.levels, i = 0; level; level--, i++)
		check_entry(m, s, &o, level, c->after[i]);
}

static void flush_batch(struct matrix *m)
{
	struct vm *vm = m->v->vm;
	unsigned int i;

	if (!m->n)
		return;
	wr32(vm, ACC_COUNT, m->n);
	EXPECT(m->v, STOP_SYNC);
	for (i = 0; i < m->n; i++)
		check(m, &m->cmd[i], &m->spec[i]);
	m->n = 0;
	if (test_failures() > 8)
		test_abort();
}

static void add(struct matrix *m, const struct spec *s)
{
	struct acc_cmd *c = &m->cmd[m->n];
	unsigned int level;

	memset(c, 0, sizeof(*c));
	c->kind = s->access | (s->user ? ACC_IN_USER : 0);
	c->cr0 = (m->sregs.cr0 & ~(uint64_t)CR0_WP) | (s->wp ? CR0_WP : 0);
	c->cr4 = (m->sregs.cr4 & ~(uint64_t)(CR4_SMEP | CR4_SMAP)) |
		 (s->smep ? CR4_SMEP : 0) | (s->smap ? CR4_SMAP : 0);
	c->efer = (m->sregs.efer & ~(uint64_t)EFER_NX) | (s->nxe ? EFER_NX : 0);
	c->va = m->va + (s->access == ACC_FETCH ? 0 : 8);
	c->rflags = RFLAGS_1 | (s->ac ? RFLAGS_AC : 0);
	for (level = m->pt.levels; level; level--) {
		uint64_t e = s->e[level];

		c->read[c->nr_reads++] = m->gpa[level];
		/*
		 * Writes the entry if it changes, or if the last access may
		 * have changed it.
		 */
		if (e == m->last[level] && (e & PTE_A) &&
		    ((e & PTE_D) || level > 3))
			continue;
		c->write[c->nr_writes].gpa = m->gpa[level];
		c->write[c->nr_writes++].val = e;
		m->last[level] = e;
		if (m->pt.mode == M_PAE && level == 3)
			c->cr3 = m->sregs.cr3; /* PDPTEs are latched there */
	}
	if (m->run & 1 || !c->cr3)
		c->invlpg = 1;
	if (!(m->n & 7))
		c->cr3 = m->sregs.cr3;
	m->spec[m->n++] = *s;
	if (m->n == ACC_MAX)
		flush_batch(m);
}

/* An entry that permits everything and does not change when used. */
static uint64_t open_entry(const struct matrix *m, unsigned int level,
			   bool large)
{
	uint64_t e = level == 1 || large ? TARGET : m->table[level - 1];

	e |= PTE_P;
	if (m->pt.mode == M_PAE && level == 3)
		return e;
	e |= PTE_W | PTE_U | PTE_A | PTE_D;
	if (level >= 4)
		e &= ~PTE_D;
	if (large)
		e |= PTE_PS;
	else if (level > 1)
		e &= ~PTE_D;
	return e;
}

static void all_open(const struct matrix *m, struct spec *s, unsigned int leaf)
{
	unsigned int level;

	memset(s, 0, sizeof(*s));
	s->wp = true;
	s->nxe = has_nx_bit(m) && m->nx;
	for (level = m->pt.levels; level; level--)
		s->e[level] = open_entry(m, level, level == leaf && level > 1);
}

static bool size_offered(const struct matrix *m, unsigned int leaf)
{
	if (leaf == 1)
		return true;
	if (leaf == 2)
		return m->pt.mode != M_PG32;
	return leaf == 3 && m->pt.levels >= 4 && m->gb_pages;
}

/* The bits that the cases of one level vary. */
static unsigned int varied_bits(const struct matrix *m, unsigned int level,
				bool is_leaf_level, uint64_t *bits)
{
	unsigned int n = 0;

	bits[n++] = PTE_P;
	if (m->pt.mode == M_PAE && level == 3)
		return n;
	bits[n++] = PTE_W;
	bits[n++] = PTE_U;
	bits[n++] = PTE_A;
	if (is_leaf_level)
		bits[n++] = PTE_D;
	if (has_nx_bit(m)) {
		bits[n++] = PTE_NX;
		if (m->maxphyaddr < 52)
			bits[n++] = 1ull << 51;
	} else if (m->pt.mode == M_PSE && is_leaf_level && level == 2) {
		bits[n++] = 1ull << 21;
	}
	return n;
}

/* Settings of WP, NXE, SMEP, SMAP and AC under which all bits are tried. */
static const struct {
	bool wp, nxe, smep, smap, ac;
} settings[] = {
	{ 1, 1, 0, 0, 0 }, { 0, 1, 0, 0, 0 }, { 1, 0, 0, 0, 0 },
	{ 0, 1, 1, 0, 0 }, { 1, 1, 1, 1, 0 }, { 0, 1, 0, 1, 1 },
	{ 0, 0, 1, 1, 0 },
};

static void one_level(struct matrix *m, unsigned int leaf, unsigned int level)
{
	uint64_t bits[8];
	unsigned int n = varied_bits(m, level, level == leaf, bits);
	unsigned int set, combo, acc, i;

	for (set = 0; set < ARRAY_SIZE(settings); set++) {
		if ((settings[set].nxe && !m->nx) ||
		    (settings[set].smep && !m->smep) ||
		    (settings[set].smap && !m->smap))
			continue;
		if (!has_nx_bit(m) && !settings[set].nxe)
			continue; /* the same as with NXE */
		for (combo = 0; combo < 1u << n; combo++) {
			struct spec s;

			all_open(m, &s, leaf);
			s.wp = settings[set].wp;
			s.nxe = settings[set].nxe;
			s.smep = settings[set].smep;
			s.smap = settings[set].smap;
			for (i = 0; i < n; i++) {
				s.e[level] &= ~bits[i];
				if (combo >> i & 1)
					s.e[level] |= bits[i];
			}
			/* Sometimes sets a bit that must not matter. */
			if (combo & 4)
				s.e[level] |= PTE_AVL;
			for (acc = 0; acc < 6; acc++) {
				s.access = acc % 3;
				s.user = acc / 3;
				s.ac = settings[set].ac && !s.user;
				add(m, &s);
			}
		}
	}
}

static bool chance(unsigned int percent)
{
	return (unsigned int)(random() % 100) < percent;
}

static void random_case(struct matrix *m)
{
	unsigned int leaf, level;
	struct spec s;

	do {
		leaf = 1 + random() % 3;
	} while (!size_offered(m, leaf));
	all_open(m, &s, leaf);
	for (level = m->pt.levels; level; level--) {
		uint64_t *e = &s.e[level];

		if (chance(4))
			*e &= ~PTE_P;
		if (m->pt.mode == M_PAE && level == 3)
			continue;
		if (chance(25))
			*e &= ~PTE_W;
		if (chance(25))
			*e &= ~PTE_U;
		if (chance(40))
			*e &= ~PTE_A;
		if (chance(60))
			*e &= ~PTE_D;
		if (chance(30))
			*e |= PTE_AVL;
		if (has_nx_bit(m) && chance(12))
			*e |= PTE_NX;
		if (has_nx_bit(m) && m->maxphyaddr < 52 && chance(3))
			*e |= 1ull << (m->maxphyaddr +
				       random() % (52 - m->maxphyaddr));
		if (level >= 4 && chance(2))
			*e |= PTE_PS;
		if (level == leaf && level > 1 && level < 4 && chance(5))
			*e |= 1ull
			      << (m->pt.entry_size == 4 ? 21 :
							  13 + random() % 8);
		if (level == leaf && chance(20))
			*e |= PTE_G;
	}
	s.wp = chance(50);
	s.nxe = !m->nx ? false : !has_nx_bit(m) || chance(75);
	s.smep = m->smep && chance(30);
	s.smap = m->smap && chance(30);
	s.access = random() % 3;
	s.user = chance(50);
	s.ac = !s.user && chance(40);
	add(m, &s);
}

static void prepare(struct matrix *m, enum mode mode)
{
	bool is64 = mode == M_LONG || mode == M_LA57;
	struct kvm_cpuid2 *cpuid;
	struct vm *vm;
	unsigned int i, level;
	uint8_t *target;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	vm = vm_create(4 << 20);
	m->v = vcpu_create(vm);
	target = ram_alloc(TARGET_SIZE);
	target[0] = 0xc3; /* ret */
	vm_slot(vm, 1, TARGET, TARGET_SIZE, target, 0);
	if (is64) {
		vm_load(vm, access64);
		vm_load_at(vm, ACC_USER, pl_access_user64,
			   pl_access_user64_end);
	} else {
		vm_load(vm, access32);
		vm_load_at(vm, ACC_USER, pl_access_user32,
			   pl_access_user32_end);
	}
	vcpu_set_mode(m->v, mode);
	idt_gate(vm, mode, PF,
		 is64 ? LABEL_AT(access64, pf) : LABEL_AT(access32, pf),
		 is64 ? SEL_CODE64 : SEL_CODE32, 0xe, 0);
	idt_gate(vm, mode, 0x81,
		 is64 ? LABEL_AT(access64, int81) : LABEL_AT(access32, int81),
		 is64 ? SEL_CODE64 : SEL_CODE32, 0xe, 3);

	cpuid = supported_cpuid(vm->dev);
	m->maxphyaddr = 36;
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000008)
			m->maxphyaddr = cpuid->entries[i].eax & 0xff;
	free(cpuid);
	m->nx = cpuid_has(vm->dev, 0x80000001, 0, 3, 20);
	m->gb_pages = cpuid_has(vm->dev, 0x80000001, 0, 3, 26);
	m->smep = cpuid_has(vm->dev, 7, 0, 1, 7);
	m->smap = cpuid_has(vm->dev, 7, 0, 1, 20);
	CHECK(m->nx);

	/*
	 * All pages are the supervisor's, except the page and the stack of ring
	 * 3.
	 */
	vm->pt_next = GUEST_PT;
	pt_init(&m->pt, vm, mode);
	pt_identity(&m->pt, 0, vm->ram_size, PTE_W | PTE_A | PTE_D);
	pt_identity(&m->pt, ACC_USER, ACC_USER + 0x1000, PTE_U | PTE_A | PTE_D);
	pt_identity(&m->pt, GUEST_USTACK - 0x1000, GUEST_USTACK,
		    PTE_W | PTE_U | PTE_A | PTE_D);
	m->va = mode == M_LA57 ? 0xff11888040000000ull :
		mode == M_LONG ? 0xffff888040000000ull :
				 0x80000000ull;
	for (level = m->pt.levels; level; level--) {
		m->gpa[level] = pt_entry(&m->pt, m->va, level);
		m->table[level] = m->gpa[level] & ~0xfffull;
	}

	get_sregs(m->v, &m->sregs);
	m->sregs.cr3 = m->pt.root;
	m->sregs.efer = is64  ? EFER_LME | EFER_LMA | EFER_SCE | EFER_NX :
			m->nx ? EFER_NX :
				0;
	if (is64)
		m->sregs.efer |= EFER_NX;
	set_sregs(m->v, &m->sregs);
	wr32(vm, ACC_ENTRY, m->pt.entry_size);
	wr64(vm, ACC_EFER, m->sregs.efer);
	m->cmd = vm_ram(vm, ACC_CMDS, ACC_MAX * sizeof(*m->cmd));
	EXPECT(m->v, STOP_SYNC);
}

static struct matrix matrix;

static void systematic(long mode)
{
	struct matrix *m = &matrix;
	unsigned int leaf, level;

	prepare(m, mode);
	for (leaf = 1; leaf <= 3; leaf++)
		for (level = leaf; level <= m->pt.levels; level++)
			if (size_offered(m, leaf) &&
			    /* the upper levels are varied once */
			    (leaf == 1 || level <= leaf + 1))
				one_level(m, leaf, level);
	flush_batch(m);
	test_note("%lu accesses, %lu of them faults", m->run, m->faults);
	CHECK(m->faults > 100 && m->faults < m->run);
}

static void random_mix(long mode)
{
	long n = test_rounds(RANDOM_CASES);
	struct matrix *m = &matrix;

	prepare(m, mode);
	srandom(1);
	while (n-- > 0)
		random_case(m);
	flush_batch(m);
	test_note("%lu accesses, %lu of them faults", m->run, m->faults);
	CHECK(m->faults > 100 && m->faults < m->run);
}

#define CASES(n, f)                                                           \
	{ n " (32-bit paging)", f, M_PG32, 120 },                             \
		{ n " (pse)", f, M_PSE, 120 }, { n " (pae)", f, M_PAE, 120 }, \
		{ n " (long)", f, M_LONG, 200 },                              \
	{                                                                     \
		n " (la57)", f, M_LA57, 200                                   \
	}

static const struct test_case cases[] = {
	CASES("every bit of one level", systematic),
	CASES("random entries on all levels", random_mix),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
