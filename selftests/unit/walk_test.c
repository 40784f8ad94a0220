// SPDX-License-Identifier: GPL-2.0
/*
 * Compares shadow/walk.c with a model written from the manual; and its corner
 * cases one by one: A and D under races, tables in ROM or nowhere, PSE-36,
 * PDPTEs.
 */
#include <errno.h>

#include "rng.h"
#include "unit.h"
#include "shadow/walk_inline.h"

#define MEM_SIZE (64u << 12)
#define RANDOM_WALKS 150000

/* Guest memory, and how it misbehaves. */
static struct mem {
	uint8_t byte[MEM_SIZE];
	bool rom; /* stores fail */
	unsigned int races; /* that many cmpxchg find another value */
	bool again; /* reads would have to sleep */
	unsigned int reads, stores;
} mem;

static int mem_read(void *priv, u64 gpa, u64 *pte, unsigned int bytes)
{
	mem.reads++;
	if (mem.again)
		return -EAGAIN;
	if (gpa + bytes > MEM_SIZE)
		return -EFAULT;
	*pte = 0;
	memcpy(pte, mem.byte + gpa, bytes);
	return 0;
}

static int mem_cmpxchg(void *priv, u64 gpa, u64 old, u64 new_,
		       unsigned int bytes)
{
	if (mem.rom)
		return -EROFS;
	if (gpa + bytes > MEM_SIZE)
		return -EFAULT;
	if (mem.races) {
		mem.races--;
		return 1;
	}
	if (memcmp(mem.byte + gpa, &old, bytes))
		return 1;
	memcpy(mem.byte + gpa, &new_, bytes);
	mem.stores++;
	return 0;
}

static const struct walk_mem ops = { mem_read, mem_cmpxchg };

static void put(u64 gpa, u64 pte, unsigned int bytes)
{
	memcpy(mem.byte + gpa, &pte, bytes);
}

static u64 get(u64 gpa, unsigned int bytes)
{
	u64 pte = 0;

	memcpy(&pte, mem.byte + gpa, bytes);
	return pte;
}

static const char *const mode_name[] = { "none", "32-bit", "PAE", "4-level",
					 "5-level" };

static unsigned int levels(const struct walk_mode *m)
{
	static const unsigned int n[] = { 0, 2, 2, 4, 5 };

	return n[m->paging];
}

/* ---- the model ---- */

struct verdict {
	bool fault;
	u32 ec;
	u64 gpa;
	unsigned int level;
};

static unsigned int shift_of(const struct walk_mode *m, unsigned int level)
{
	return m->paging == WALK_32 ? (level == 1 ? 12 : 22) :
				      12 + 9 * (level - 1);
}

static bool large(const struct walk_mode *m, unsigned int level, u64 e)
{
	if (!(e >> 7 & 1) || level == 1)
		return false;
	switch (m->paging) {
	case WALK_32:
		return m->pse;
	case WALK_PAE:
		return true;
	}
	return level == 2 || (level == 3 && m->gbpages);
}

static bool reserved(const struct walk_mode *m, unsigned int level, u64 e)
{
	unsigned int bit, lo, shift = shift_of(m, level);

	if (m->paging == WALK_32) {
		if (!large(m, level, e))
			return false;
		/*
		 * Bits 20:13 are address bits 39:32, bit 21 is always reserved.
		 */
		for (bit = 13; bit <= 21; bit++)
			if ((e >> bit & 1) && (bit == 21 || !m->pse36 ||
					       bit + 19 >= m->maxphyaddr))
				return true;
		return false;
	}
	for (bit = 0; bit < 64; bit++) {
		bool bad = false;

		if (!(e >> bit & 1))
			continue;
		if (bit == 63)
			bad = !m->nx;
		else if (bit >= 52)
			bad = m->paging == WALK_PAE;
		else if (bit >= m->maxphyaddr)
			bad = true;
		else if (bit == 7)
			bad = level >= 4 || (level == 3 && !m->gbpages);
		lo = large(m, level, e) ? shift : 0;
		if (bit >= 13 && bit < lo)
			bad = true;
		if (bad)
			return true;
	}
	return false;
}

static struct verdict model(const struct walk_mode *m, u64 cr3,
			    const u64 *pdpte, u64 gva,
			    const struct walk_access *a)
{
	unsigned int level, bytes = m->paging == WALK_32 ? 4 : 8;
	bool w = true, u = true, x = true, bad;
	bool fetch = a->ec & PFERR_I, write = a->ec & PFERR_W;
	bool user = a->ec & PFERR_U;
	struct verdict v = { 0 };
	u64 table, e = 0;

	v.fault = true;
	v.ec = a->ec;
	if (!m->nx && !m->smep)
		v.ec &= ~PFERR_I;
	if (m->paging == WALK_32) {
		table = cr3 & ~0xfffull & 0xffffffff;
	} else if (m->paging == WALK_PAE) {
		e = pdpte[(gva >> 30) % 4];
		if (!(e & 1))
			return v;
		table = e & 0xffffffffff000ull;
	} else {
		table = cr3 & 0xffffffffff000ull;
	}
	for (level = levels(m);; level--) {
		unsigned int per = m->paging == WALK_32 ? 1024 : 512;
		u64 at = table + (gva >> shift_of(m, level)) % per * bytes;

		v.level = level;
		if (at + bytes > MEM_SIZE)
			return v;
		e = get(at, bytes);
		if (!(e & 1))
			return v;
		if (reserved(m, level, e)) {
			v.ec |= PFERR_P | PFERR_RSVD;
			return v;
		}
		w &= e >> 1 & 1;
		u &= e >> 2 & 1;
		if (m->nx)
			x &= !(e >> 63);
		if (level == 1 || large(m, level, e))
			break;
		table = e & 0xffffffffff000ull;
	}
	if (user)
		bad = !u || (write && !w) || (fetch && !x);
	else
		bad = (write && !w && m->wp) || (fetch && !x) ||
		      (fetch && u && m->smep) || (!fetch && u && a->smap_on);
	if (bad) {
		v.ec |= PFERR_P;
		return v;
	}
	v.fault = false;
	v.gpa = e & 0xffffffffff000ull & ~((1ull << shift_of(m, level)) - 1);
	if (m->paging == WALK_32) {
		v.gpa = e & 0xfffff000 & ~((1ull << shift_of(m, level)) - 1);
		if (level == 2 && m->pse36)
			v.gpa |= (e >> 13 & 0xff) << 32;
	}
	v.gpa |= gva & ((1ull << shift_of(m, level)) - 1) & ~0xfffull;
	return v;
}

/* ---- random walks ---- */

static bool coin(void)
{
	return unit_random() >> 40 & 1;
}

/* Is true once in @n times. */
static bool seldom(unsigned int n)
{
	return !unit_below(n);
}

static struct walk_mode random_mode(u8 paging)
{
	static const u8 widths[] = { 32, 36, 39, 40, 46, 48, 52 };

	return (struct walk_mode){
		.paging = paging,
		.pse = coin(),
		.pse36 = coin(),
		.nx = paging != WALK_32 && coin(),
		.wp = coin(),
		.smep = coin(),
		.smap = coin(),
		.gbpages = coin(),
		.maxphyaddr = widths[unit_below(ARRAY_SIZE(widths))],
	};
}

/* Makes an entry that mostly lets the walk go on. */
static u64 random_entry(const struct walk_mode *m)
{
	u64 e = (u64)unit_below(MEM_SIZE >> 12) << 12;

	e |= !seldom(12);
	e |= (u64)!seldom(4) << 1;
	e |= (u64)!seldom(4) << 2;
	e |= (u64)coin() << 5 | (u64)coin() << 6;
	if (seldom(6)) {
		e |= 1 << 7;
		if (coin())
			e &= ~0x3fffff000ull;
	}
	if (seldom(6))
		e |= 1ull << 63;
	if (seldom(8))
		e |= 1ull << unit_below(64);
	if (m->paging == WALK_32)
		e = (u32)e;
	return e;
}

static bool one_random(const struct walk_mode *m)
{
	unsigned int bytes = m->paging == WALK_32 ? 4 : 8, i;
	u64 gva = unit_random(), cr3 = unit_random() & (MEM_SIZE - 1), pdpte[4];
	struct walk_access a = {
		.ec = (coin() ? PFERR_U : 0) | (coin() ? PFERR_W :
						coin() ? PFERR_I :
							 0),
		.smap_on = m->smap && coin(),
		.set_ad = coin(),
	};
	struct guest_walk w;
	struct verdict v;
	u64 before[WALK_MAX_LEVEL], table;
	unsigned int level;
	int ret;

	for (i = 0; i < 4; i++)
		pdpte[i] = (unit_random() & (MEM_SIZE - 4096)) | !seldom(8);
	if (m->paging == WALK_PAE || m->paging == WALK_32)
		gva = (u32)gva;
	/*
	 * Puts random entries along the way. Where tables overlap, the last one
	 * stays.
	 */
	table = m->paging == WALK_PAE ? pdpte[gva >> 30] : cr3;
	for (level = levels(m); level; level--) {
		unsigned int per = m->paging == WALK_32 ? 1024 : 512;
		u64 at = (table & 0xffffffffff000ull) +
			 (gva >> shift_of(m, level)) % per * bytes;

		if (at + bytes > MEM_SIZE)
			break;
		table = random_entry(m);
		put(at, table, bytes);
	}
	v = model(m, cr3, pdpte, gva, &a);
	mem.stores = 0;
	ret = walk_guest(m, &ops, NULL, cr3, pdpte, gva, &a, &w);
	if (v.fault) {
		if (ret == WALK_FAULT && w.error_code == v.ec && !mem.stores)
			return true;
		printf("# %s gva %#llx: %d, ec %#x, not %#x\n",
		       mode_name[m->paging], (unsigned long long)gva, ret,
		       w.error_code, v.ec);
		return false;
	}
	if (ret != WALK_OK || w.level != v.level || w.gfn << 12 != v.gpa) {
		printf("# %s gva %#llx: %d, level %u gfn %#llx, not %u %#llx\n",
		       mode_name[m->paging], (unsigned long long)gva, ret,
		       w.level, (unsigned long long)w.gfn, v.level,
		       (unsigned long long)v.gpa >> 12);
		return false;
	}
	/*
	 * The walk reports the entries that are in memory, with A and D where
	 * due.
	 */
	for (level = w.top; level >= w.level; level--) {
		before[level - 1] = get(w.table[level - 1], bytes);
		if (before[level - 1] != w.pte[level - 1])
			return false;
		if (a.set_ad && !(w.pte[level - 1] & PTE_A))
			return false;
	}
	if (a.set_ad && (a.ec & PFERR_W) && !(w.pte[w.level - 1] & PTE_D))
		return false;
	return a.set_ad || !mem.stores;
}

static void random_walks(u8 paging)
{
	unsigned int i, bad = 0;

	for (i = 0; i < RANDOM_WALKS && bad < 5; i++) {
		struct walk_mode m = random_mode(paging);

		bad += !one_random(&m);
	}
	unit_result(!bad, "%u random walks (%s)", RANDOM_WALKS,
		    mode_name[paging]);
}

/* ---- one by one ---- */

static const struct walk_mode long_mode = {
	.paging = WALK_4LEVEL,
	.nx = true,
	.wp = true,
	.gbpages = true,
	.maxphyaddr = 40,
};

/* Makes tables at 0x1000 to 0x4000 that map gva 0 to 0x5000. */
static void simple_long(u64 leaf)
{
	memset(&mem, 0, sizeof(mem));
	put(0x1000, 0x2007, 8);
	put(0x2000, 0x3007, 8);
	put(0x3000, 0x4007, 8);
	put(0x4000, leaf, 8);
}

static int simple_walk(u32 ec, bool set_ad, struct guest_walk *w)
{
	struct walk_access a = { .ec = ec, .set_ad = set_ad };

	return walk_guest(&long_mode, &ops, NULL, 0x1000, NULL, 0, &a, w);
}

static void accessed_dirty(void)
{
	struct guest_walk w;

	simple_long(0x5007);
	unit_result(simple_walk(0, true, &w) == WALK_OK && !w.dirty &&
			    get(0x4000, 8) == 0x5027 &&
			    get(0x1000, 8) == 0x2027,
		    "a read sets A on all levels and no D");
	unit_result(simple_walk(PFERR_W, true, &w) == WALK_OK && w.dirty &&
			    get(0x4000, 8) == 0x5067 &&
			    get(0x3000, 8) == 0x4027,
		    "a write sets D in the last entry alone");
	mem.stores = 0;
	unit_result(simple_walk(PFERR_W, true, &w) == WALK_OK && !mem.stores,
		    "what is set is not stored again");
	simple_long(0x5005);
	unit_result(simple_walk(PFERR_W, true, &w) == WALK_FAULT &&
			    get(0x4000, 8) == 0x5005 &&
			    get(0x1000, 8) == 0x2007,
		    "a refused write leaves A and D alone");
	simple_long(0x5007);
	unit_result(simple_walk(PFERR_W, false, &w) == WALK_OK && !mem.stores &&
			    !w.dirty,
		    "nothing is stored without set_ad");
}

static void races(void)
{
	struct guest_walk w;

	simple_long(0x5007);
	mem.races = 3;
	unit_result(simple_walk(PFERR_W, true, &w) == WALK_OK &&
			    get(0x4000, 8) == 0x5067,
		    "an entry that changes under the walk: from the start");
	simple_long(0x5007);
	mem.races = ~0u;
	unit_result(simple_walk(0, true, &w) == WALK_RETRY && mem.reads < 100,
		    "entries that change for ever: gives up");
	simple_long(0x5007);
	mem.again = true;
	unit_result(simple_walk(0, true, &w) == WALK_RETRY,
		    "memory that cannot be read without sleeping");
	simple_long(0x5007);
	mem.rom = true;
	unit_result(simple_walk(PFERR_W, true, &w) == WALK_OK && w.dirty &&
			    w.pte[0] == 0x5007,
		    "tables in ROM: the write goes on without D");
	simple_long(0x5007);
	put(0x2000, 0x7fff000007, 8);
	unit_result(simple_walk(0, true, &w) == WALK_FAULT && w.error_code == 0,
		    "a table where no memory is: not present");
}

static void recursive(void)
{
	struct walk_access a = { .set_ad = true };
	struct guest_walk w;
	int ret;

	/* Slot 511 of the top table points to the table itself. */
	simple_long(0x5007);
	put(0x1000 + 511 * 8, 0x1007, 8);
	ret = walk_guest(&long_mode, &ops, NULL, 0x1000, NULL,
			 0xfffffffffffff000ull, &a, &w);
	unit_result(ret == WALK_OK && w.level == 1 && w.gfn == 1 &&
			    get(0x1ff8, 8) == 0x1027,
		    "a table that maps itself on all levels");
}

static void rights(void)
{
	struct guest_walk w;

	simple_long(0x5007);
	put(0x2000, 0x3001, 8);
	simple_walk(0, false, &w);
	unit_result(w.above[3] == WALK_ALL && w.above[2] == WALK_ALL &&
			    w.above[1] == WALK_X && w.above[0] == WALK_X &&
			    w.access == WALK_X,
		    "rights above each level");
	unit_result(w.table[3] == 0x1000 && w.table[2] == 0x2000 &&
			    w.table[1] == 0x3000 && w.table[0] == 0x4000,
		    "addresses of the entries");
}

static void unpaged(void)
{
	static const struct walk_mode none = { .paging = WALK_NONE };
	struct walk_access a = { .ec = PFERR_W, .set_ad = true };
	struct guest_walk w;

	memset(&mem, 0, sizeof(mem));
	unit_result(walk_guest(&none, &ops, NULL, 0, NULL, 0x1234567890ull, &a,
			       &w) == WALK_OK &&
			    w.gfn == 0x34567 && w.access == WALK_ALL &&
			    w.dirty && !mem.reads,
		    "no paging: 32 bits, all rights");
}

static void pdptes(void)
{
	struct walk_mode m = { .paging = WALK_PAE,
			       .nx = true,
			       .maxphyaddr = 36 };
	unsigned int bit, bad = 0;

	for (bit = 1; bit < 64; bit++) {
		bool refused = walk_bad_pdpte(&m, 1 | 1ull << bit);
		bool want = bit >= 36 || (bit >= 5 && bit <= 8) || bit == 1 ||
			    bit == 2;

		bad += refused != want;
		bad += walk_bad_pdpte(&m, 1ull << bit);
	}
	unit_result(!bad, "reserved bits of a PDPTE, and none without P");
}

static void pse36(void)
{
	struct walk_mode m = {
		.paging = WALK_32, .pse = true, .pse36 = true, .maxphyaddr = 40
	};

	unit_result(walk_leaf_gfn(&m, 2, 0x00c00087 | 0xabull << 13,
				  0x3ff000) ==
			    (0xab00c00000ull + 0x3ff000) >> 12,
		    "PSE-36: bits 20:13 are 39:32 of the address");
	m.maxphyaddr = 36;
	unit_result(walk_reserved(&m, 2, 0x87) == 0x3e0000,
		    "PSE-36 with 36 bits: 21:17 reserved");
	m.pse36 = false;
	unit_result(walk_reserved(&m, 2, 0x87) == 0x3fe000,
		    "without PSE-36: 21:13 reserved");
	m.pse = false;
	unit_result(!walk_is_leaf(&m, 2, 0x87) && !walk_reserved(&m, 2, 0x87),
		    "without PSE, PS means nothing");
}

int main(void)
{
	u8 paging;

	unit_seed();
	for (paging = WALK_32; paging <= WALK_5LEVEL; paging++)
		random_walks(paging);
	accessed_dirty();
	races();
	recursive();
	rights();
	unpaged();
	pdptes();
	pse36();
	return unit_end();
}
