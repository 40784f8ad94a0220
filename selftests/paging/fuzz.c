// SPDX-License-Identifier: GPL-2.0
/*
 * Random page tables against a walker of our own.
 *
 * A pool of pages serves as tables of any level and as data at the same time;
 * entries are random, tables contain themselves, large pages lie over small
 * ones. The guest reads, writes, changes entries through whatever mapping it
 * finds, and switches CR3 and CR0.WP. After each access the test computes from
 * the guest's memory what had to happen: value or fault, error code, CR2, A and
 * D bits. Seeds are fixed; VIGIL_SEED=n in the environment chooses another, and
 * VIGIL_FULL=n multiplies the number of steps.
 */
#include <stdlib.h>

#include "../guest/script.h"
#include "guest.h"

DECLARE_PAYLOAD(script32);
DECLARE_PAYLOAD(script64);
DECLARE_LABEL(script32, pf);
DECLARE_LABEL(script64, pf);

#define STEPS 2500
#define POOL 20 /* pages that are tables and data */
#define DATA 0x40000000ull /* slot 1: pages that are data only */
#define DATA_SIZE (4ull << 20)
#define DATA_FRAMES 16 /* of these, frames that entries map */
#define ROOTS 2
#define SLOTS 3 /* fuzzed entries of each root */
#define NO_FAULT 0xffffffff

static struct vcpu *v;
static struct pt root[ROOTS]; /* identity below, fuzz above */
static uint64_t pool[POOL];
static uint8_t *data;
static unsigned int now; /* root in use */
static bool wp;
static unsigned int maxphyaddr;
static bool gb_pages;
static unsigned int nr_ok, nr_faults, nr_mmio, nr_levels[6];

static unsigned int rnd(unsigned int n)
{
	return (unsigned int)random() % n;
}

static bool chance(unsigned int percent)
{
	return rnd(100) < percent;
}

static bool is_pae(void)
{
	return root[0].mode == M_PAE;
}

static uint8_t *mem(uint64_t gpa, unsigned int len)
{
	if (gpa >= DATA && gpa + len <= DATA + DATA_SIZE)
		return data + (gpa - DATA);
	if (gpa + len <= v->vm->ram_size)
		return v->vm->ram + gpa;
	return NULL;
}

static uint64_t get_entry(uint64_t gpa)
{
	uint64_t e = 0;

	memcpy(&e, mem(gpa, root[0].entry_size), root[0].entry_size);
	return e;
}

/* --- the expected result --- */

struct walk {
	bool fault;
	uint32_t error;
	uint64_t gpa;
	unsigned int n; /* entries passed, without PDPTEs of PAE */
	uint64_t entry[5]; /* where they are; the last is the leaf */
};

/* The PDPTEs as they were when CR3 was loaded. */
static uint64_t pdpte[4];

static void latch(void)
{
	unsigned int i;

	for (i = 0; is_pae() && i < 4; i++)
		pdpte[i] = get_entry(root[now].root + i * 8);
}

static uint64_t reserved(unsigned int level, bool large)
{
	uint64_t r;

	if (root[0].entry_size == 4)
		return large ? 1u << 21 : 0;
	r = (1ull << 52) - (1ull << maxphyaddr);
	if (is_pae())
		r |= 0x7ff0000000000000ull;
	if (large && level == 2)
		r |= 0xffull << 13;
	if (large && level == 3)
		r |= 0x1ffffull << 13;
	if (level >= 4 || (level == 3 && !gb_pages))
		r |= PTE_PS;
	return r;
}

static struct walk walk(uint64_t va, bool write)
{
	const struct pt *pt = &root[now];
	unsigned int bits = pt->entry_size == 4 ? 10 : 9, level;
	struct walk w = { .error = write ? PF_W : 0 };
	uint64_t table = pt->root, e = 0;
	bool writable = true, large = false;

	for (level = pt->levels; level && !large; level--) {
		unsigned int shift = pt_shift(pt, level);
		unsigned int index = va >> shift & ((1u << bits) - 1);
		uint64_t at = table + index * pt->entry_size;

		if (is_pae() && level == 3) {
			e = pdpte[va >> 30 & 3];
			if (!(e & PTE_P)) {
				w.fault = true;
				return w;
			}
			table = e & PTE_ADDR;
			continue;
		}
		e = get_entry(at);
		w.entry[w.n++] = at;
		if (!(e & PTE_P)) {
			w.fault = true;
			return w;
		}
		large = level > 1 && (e & PTE_PS) && pt->mode != M_PG32;
		if (e & reserved(level, large)) {
			w.fault = true;
			w.error |= PF_P | PF_RSVD;
			return w;
		}
		writable &= !!(e & PTE_W);
		table = e & PTE_ADDR;
		if (large || level == 1) {
			uint64_t mask = (1ull << shift) - 1;

			w.gpa = (e & PTE_ADDR & ~mask) | (va & mask);
			if (large && pt->mode == M_PSE) /* PSE-36 */
				w.gpa = (e & 0xffc00000) | (va & mask) |
					(e >> 13 & 0xf) << 32;
		}
	}
	if (write && wp && !writable) {
		w.fault = true;
		w.error |= PF_P;
	}
	return w;
}

/* --- the result --- */

struct outcome {
	bool mmio;
	uint64_t mmio_gpa;
	uint32_t fault;
	uint32_t value;
};

static struct outcome op(unsigned int what, uint64_t a, uint64_t b)
{
	struct vm *vm = v->vm;
	struct outcome o = { 0 };
	enum stop stop;

	wr64(vm, S_OP, what);
	wr64(vm, S_A, a);
	wr64(vm, S_B, b);
	wr64(vm, S_RESULT, 0);
	while ((stop = vcpu_go(v)) == STOP_MMIO) {
		if (!o.mmio)
			o.mmio_gpa = v->run->mmio.phys_addr;
		o.mmio = true;
		memset(v->run->mmio.data, 0xee, sizeof(v->run->mmio.data));
	}
	if (stop != STOP_SYNC) {
		FAIL("op %u at %#llx: stopped by %s", what,
		     (unsigned long long)a, stop_name[stop]);
		if (stop == STOP_EXC)
			describe_exc(v);
		vcpu_describe(v);
		test_abort();
	}
	o.fault = rd32(vm, S_FAULT);
	o.value = rd32(vm, S_RESULT);
	return o;
}

static void flush(void)
{
	op(OP_CR3, root[now].root, 0);
	latch();
}

/*
 * Five random entries in a row are rarely all valid: make valid ones more
 * likely.
 */
static bool is_deep(void)
{
	return root[0].levels >= 4;
}

static uint64_t random_frame(void)
{
	return chance(is_deep() ? 88 : 65) ? pool[rnd(POOL)] :
					     DATA + rnd(DATA_FRAMES) * 0x1000;
}

static uint64_t random_entry(void)
{
	uint64_t e = random_frame();

	if (chance(is_deep() ? 6 : 15)) {
		/*
		 * The entry maps a large page, if its level allows, with a base
		 * that fits most levels.
		 */
		e = PTE_PS | (chance(50) ? DATA : DATA + 0x200000);
		/* PSE-36 has address bits there; CPUs differ on 17 to 20. */
		if (chance(10) && root[0].mode == M_PSE)
			e |= 1ull << (chance(30) ? 21 : 13 + rnd(4));
		else if (chance(10) && root[0].mode != M_PSE)
			e |= 1ull << (13 + rnd(8));
	}
	if (!chance(is_deep() ? 5 : 14))
		e |= PTE_P;
	if (!chance(is_deep() ? 8 : 25))
		e |= PTE_W;
	if (!chance(25))
		e |= PTE_U;
	e |= random() & (PTE_A | PTE_D | PTE_PWT | PTE_PCD | PTE_AVL);
	/* AMD reserves that bit in the upper tables of long mode. */
	if (root[0].levels < 4)
		e |= random() & PTE_G;
	if (root[0].entry_size == 8) {
		if (chance(10))
			e |= PTE_NX;
		if (chance(3) && maxphyaddr < 52)
			e |= 1ull << (maxphyaddr + rnd(52 - maxphyaddr));
	}
	return e;
}

static unsigned int random_index(void)
{
	unsigned int last = root[0].entry_size == 4 ? 1023 : 511;
	static const unsigned int small[] = { 0, 1, 2 };

	return chance(80) ? small[rnd(3)] : last;
}

static unsigned int slot_index(unsigned int slot)
{
	switch (root[0].mode) {
	case M_PG32:
	case M_PSE:
		return 512 + slot;
	case M_PAE:
		return 1 + slot % 2;
	default:
		return 256 + slot;
	}
}

/* All bits but the offset in the page come from the few indices in use. */
static uint64_t random_va(unsigned int offset)
{
	const struct pt *pt = &root[0];
	uint64_t va = (uint64_t)slot_index(rnd(SLOTS))
		      << pt_shift(pt, pt->levels);
	unsigned int level;

	for (level = pt->levels - 1; level; level--)
		va |= (uint64_t)random_index() << pt_shift(pt, level);
	if (pt->levels == 4)
		va |= 0xffffull << 48;
	if (pt->levels == 5)
		va |= 0x7full << 57;
	return va | offset;
}

static void show(const struct walk *w, uint64_t va)
{
	unsigned int i;

	if (test_failures() > 4)
		return;
	test_note("va %#llx cr3 %#llx wp %d", (unsigned long long)va,
		  (unsigned long long)root[now].root, wp);
	for (i = 0; i < w->n; i++)
		test_note("  %#llx: %#llx", (unsigned long long)w->entry[i],
			  (unsigned long long)get_entry(w->entry[i]));
}

static void check_ad(const struct walk *w, uint64_t va, bool write,
		     uint64_t written)
{
	unsigned int i;

	for (i = 0; i < w->n; i++) {
		uint64_t e = get_entry(w->entry[i]), want = PTE_A;

		/* The write itself may have changed the entry. */
		if (written / 8 == w->entry[i] / 8)
			continue;
		if (i == w->n - 1 && write)
			want |= PTE_D;
		if ((e & want) != want) {
			FAIL_MEM("entry at %#llx is %#llx, without A or D",
				 (unsigned long long)w->entry[i],
				 (unsigned long long)e);
			show(w, va);
		}
	}
}

/* One read or write, compared. Return: whether guest memory was written. */
static bool access_memory(uint64_t va, bool write, uint64_t val,
			  unsigned int size)
{
	struct walk w = walk(va, write);
	uint8_t *at = w.fault ? NULL : mem(w.gpa, size);
	uint32_t old = 0, len = size < 4 ? size : 4;
	struct outcome o;

	if (at)
		memcpy(&old, at, len);
	nr_faults += w.fault;
	nr_mmio += !w.fault && !at;
	nr_ok += !!at;
	nr_levels[w.n]++;
	o = op(!write ? OP_READ : size == 8 ? OP_W64 : OP_W32, va, val);
	if (w.fault) {
		if (o.fault != w.error || rd64(v->vm, S_CR2) != va) {
			FAIL("fault %#x cr2 %#llx, not %#x", o.fault,
			     (unsigned long long)rd64(v->vm, S_CR2), w.error);
			show(&w, va);
		}
		return false;
	}
	if (o.fault != NO_FAULT) {
		FAIL("fault %#x where none is due", o.fault);
		show(&w, va);
		return false;
	}
	if (!at != o.mmio || (o.mmio && o.mmio_gpa != w.gpa)) {
		FAIL("mmio %d at %#llx, but the address is %#llx", o.mmio,
		     (unsigned long long)o.mmio_gpa, (unsigned long long)w.gpa);
		show(&w, va);
		return false;
	}
	check_ad(&w, va, write, write ? w.gpa : ~0ull);
	if (!at)
		return false;
	if (write) {
		if (memcmp(at, &val, size)) {
			FAIL_MEM("the write to %#llx did not arrive",
				 (unsigned long long)w.gpa);
			show(&w, va);
		}
		return true;
	}
	/* The guest may have read entries in which this walk has set A. */
	if (o.value != old && (o.value ^ old) & ~(uint32_t)(PTE_A | PTE_D)) {
		FAIL_MEM("read %#x at %#llx, which holds %#x", o.value,
			 (unsigned long long)w.gpa, old);
		show(&w, va);
	}
	return false;
}

static void write_entry(uint64_t gpa, uint64_t e)
{
	bool was_present = get_entry(gpa) & PTE_P;

	op(root[0].entry_size == 4 ? OP_W32 : OP_W64, gpa, e);
	if (get_entry(gpa) != (root[0].entry_size == 4 ? (uint32_t)e : e))
		FAIL_MEM("the entry at %#llx did not arrive",
			 (unsigned long long)gpa);
	/* No TLB has a translation that was not present. */
	if (was_present || chance(50))
		flush();
}

static void step(void)
{
	unsigned int what = rnd(100), size = root[0].entry_size;

	if (what < 28) {
		write_entry(pool[rnd(POOL)] + random_index() * size,
			    random_entry());
	} else if (what < 34) {
		uint64_t e = random_entry();

		if (is_pae())
			e = pool[rnd(POOL)] | PTE_P;
		write_entry(root[rnd(ROOTS)].root +
				    slot_index(rnd(SLOTS)) * size,
			    e);
		if (is_pae())
			flush();
	} else if (what < 44) {
		/*
		 * Writes an entry, or its lower half, through any mapping of
		 * it.
		 */
		if (access_memory(random_va(random_index() * size), true,
				  random_entry(), root[0].levels < 4 ? 4 : 8))
			flush();
	} else if (what < 60) {
		/* Writes where no table has an entry in use. */
		access_memory(random_va(0x800 + rnd(0x1f8) * 4), true, random(),
			      4);
	} else if (what < 92) {
		access_memory(random_va(rnd(0x3fe) * 4), false, 0, 4);
	} else if (what < 96) {
		wp = !wp;
		op(OP_CR0,
		   CR0_PE | CR0_PG | CR0_ET | CR0_NE | (wp ? CR0_WP : 0), 0);
		flush();
	} else {
		now = rnd(ROOTS);
		flush();
	}
}

static void prepare(enum mode mode)
{
	bool is64 = mode == M_LONG || mode == M_LA57;
	struct kvm_cpuid2 *cpuid;
	unsigned int i;
	struct kvm_sregs s;

	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	v = guest_start(mode, is64 ? pl_script64 : pl_script32,
			is64 ? pl_script64_end : pl_script32_end);
	idt_gate(v->vm, mode, PF,
		 is64 ? LABEL_AT(script64, pf) : LABEL_AT(script32, pf),
		 is64 ? SEL_CODE64 : SEL_CODE32, 0xe, 0);
	data = ram_alloc(DATA_SIZE);
	vm_slot(v->vm, 1, DATA, DATA_SIZE, data, 0);
	cpuid = supported_cpuid(v->vm->dev);
	maxphyaddr = 36;
	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000008)
			maxphyaddr = cpuid->entries[i].eax & 0xff;
	free(cpuid);
	gb_pages = cpuid_has(v->vm->dev, 0x80000001, 0, 3, 26);
	v->vm->pt_next = GUEST_PT;
	for (i = 0; i < ROOTS; i++) {
		pt_init(&root[i], v->vm, mode);
		pt_identity(&root[i], 0, GUEST_HIGH, PTE_W | PTE_A | PTE_D);
	}
	for (i = 0; i < POOL; i++)
		pool[i] = pt_page(v->vm);
	get_sregs(v, &s);
	s.cr3 = root[0].root;
	s.cr0 &= ~(uint64_t)CR0_WP;
	if (root[0].entry_size == 8)
		s.efer |= EFER_NX;
	set_sregs(v, &s);
	now = 0;
	wp = false;
	latch();
	EXPECT(v, STOP_SYNC);
}

static void fuzz(long arg)
{
	const char *seed = getenv("VIGIL_SEED");
	unsigned long i, steps = test_rounds(STEPS);
	bool few_pages = arg & 0x100;

	prepare(arg & 0xff);
	if (few_pages && ioctl(v->vm->fd, KVM_SET_NR_MMU_PAGES, 64))
		FAIL("KVM_SET_NR_MMU_PAGES: errno %d", errno);
	srandom((seed ? atol(seed) : 1) * 1000 + arg);
	for (i = 0; i < steps && test_failures() < 8; i++)
		step();
	test_note("%u accesses arrived, %u faulted, %u were MMIO", nr_ok,
		  nr_faults, nr_mmio);
	test_note("entries walked: 0 %u, 1 %u, 2 %u, 3 %u, 4 %u, 5 %u",
		  nr_levels[0], nr_levels[1], nr_levels[2], nr_levels[3],
		  nr_levels[4], nr_levels[5]);
	/*
	 * Enough accesses must succeed, or the test would show little; few
	 * rounds vary more.
	 */
	CHECK(nr_ok > (steps < STEPS ? 0 : steps / 20));
	CHECK(nr_faults > (steps < STEPS ? 0 : steps / 20));
	if (test_failures())
		test_note("at step %lu of %lu", i, steps);
}

#define MODES(n, bits)                                      \
	{ n " (32-bit paging)", fuzz, M_PG32 | bits, 200 }, \
		{ n " (pse)", fuzz, M_PSE | bits, 200 },    \
		{ n " (pae)", fuzz, M_PAE | bits, 200 },    \
		{ n " (long)", fuzz, M_LONG | bits, 200 },  \
	{                                                   \
		n " (la57)", fuzz, M_LA57 | bits, 200       \
	}

static const struct test_case cases[] = {
	MODES("random tables", 0),
	MODES("random tables, few shadow pages", 0x100),
	{}
};

int main(int argc, char **argv)
{
	return test_main(argc, argv, cases);
}
