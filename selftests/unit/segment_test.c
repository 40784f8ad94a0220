// SPDX-License-Identifier: GPL-2.0
/*
 * Compares segmentation on the CPU and in the emulator: limits of all kinds,
 * types, offsets that wrap around, stacks at the edge, and branches beyond CS.
 *
 * The segments are in the LDT. They are random, and their edges lie within or
 * near the two pages of memory.
 */
#include "rng.h"
#include "sample.h"
#include "unit.h"

#define CONFIGS 1500
#define PER_CONFIG 24

static struct env env, before;
static unsigned long runs, faults, differing;
static unsigned int reports;
static u64 more_flags; /* set in every run */

static const char *const what_differs[] = {
	"",    "fault",	 "vector",   "page fault", "error code",
	"rip", "rflags", "register", "memory",	   "vector register"
};

/*
 * The manuals leave open whether a move that may be unaligned raises #AC: some of
 * Intel's CPUs never do so for a vector register.
 */
static bool may_be_unaligned(void)
{
	return env.c.exception.vector == 17 && !native_fault.happened &&
	       env.c.insn.flags & INSN_VECTOR;
}

/*
 * Some CPUs store the return address of CALL before they look whether its target is
 * within the limit of CS. Says whether that is all.
 */
static bool stored_early(unsigned int len)
{
	u16 next = before.c.rip + len;
	u64 la = env.seg[INSN_SEG_SS].base +
		 (u16)(before.c.regs[INSN_RSP] - sizeof(next));
	u8 *slot = env_mem(&env, la, sizeof(next));

	if (env.c.insn.op != INSN_OP_CALL || !native_fault.happened || !slot)
		return false;
	memcpy(slot, &next, sizeof(next));
	return !memcmp(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));
}

static unsigned int compare(enum insn_mode mode, int ret, unsigned int len)
{
	u64 mask = mode == INSN_MODE_64 ? ~0ull : 0xffffffffull;
	u64 end = native_rip(mode);
	const struct emul_exception *x = &env.c.exception;
	unsigned int i;

	if ((ret == EMUL_FAULT) != native_fault.happened)
		return may_be_unaligned() ? 0 : 1;
	if (ret == EMUL_FAULT) {
		if (x->vector != native_fault.vector)
			return 2;
		if (x->vector == NATIVE_PF &&
		    (x->cr2 != native_fault.cr2 ||
		     (x->error_code ^ native_fault.error_code) & 6))
			return 3; /* P is not known for the rest of memory */
		if (x->vector != NATIVE_PF && x->has_ec &&
		    x->error_code != native_fault.error_code)
			return 4;
		if (native_fault.rip != env.c.rip)
			return 5;
	} else {
		end += native.taken ? NATIVE_TAKEN : len;
		if (env.c.rip != end || ret != EMUL_OK)
			return 5;
	}
	if (env.c.rflags != native.rflags)
		return 6;
	for (i = 0; i < 16; i++)
		if ((env.c.regs[i] ^ native.regs[i]) & mask)
			return 7;
	if (memcmp(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem)) &&
	    !stored_early(len))
		return 8;
	if (memcmp(env.vec, native.vec, sizeof(env.vec)))
		return 9;
	return 0;
}

/*
 * Runs the instruction at the registers of env on the CPU and in the emulator.
 */
static void both(const u8 *bytes, unsigned int len, bool small,
		 const struct native_segment *s)
{
	enum insn_mode mode = env.c.mode;
	unsigned int diff, i;
	int ret;

	env.c.rip = native_rip(mode);
	env.c.rflags = USER_FLAGS | more_flags |
		       (unit_random() &
			(X86_EFLAGS_CF | X86_EFLAGS_ZF | X86_EFLAGS_SF));
	memcpy(env.mem, (u8 *)NATIVE_MEM, sizeof(env.mem));
	memcpy(&before, &env, sizeof(env));
	memcpy(native.regs, env.c.regs, sizeof(native.regs));
	memcpy(native.vec, env.vec, sizeof(native.vec));
	native.rflags = env.c.rflags;
	memcpy(native_code(), bytes, len);
	ret = env_step(&env, bytes, len);
	native_run(mode, small, len);
	runs++;
	faults += native_fault.happened;
	diff = compare(mode, ret, len);
	if (!diff)
		return;
	memcpy((u8 *)NATIVE_MEM, env.mem, sizeof(env.mem));
	differing++;
	if (reports++ >= 30)
		return;
	printf("# %u-bit %s: %s differs; base %x limit %x %s%s%s%s%s, emulator %d vector %u error %x cr2 %llx rip %llx, CPU %d error %x cr2 %llx rip %llx;",
	       mode, vigil_insn_op_name(env.c.insn.op), what_differs[diff],
	       s->base, s->limit, s->pages ? "pages " : "",
	       s->big ? "big " : "", s->code ? "code " : "",
	       s->expand_down ? "down " : "", s->read_only ? "ro" : "", ret,
	       env.c.exception.vector, env.c.exception.error_code,
	       (unsigned long long)env.c.exception.cr2,
	       (unsigned long long)env.c.rip,
	       native_fault.happened ? native_fault.vector : -1,
	       native_fault.error_code, (unsigned long long)native_fault.cr2,
	       (unsigned long long)native_fault.rip);
	for (i = 0; i < len; i++)
		printf(" %02x", bytes[i]);
	printf("\n#   rcx %llx rsp %llx rbp %llx -> emulator rsp %llx, CPU rsp %llx\n",
	       (unsigned long long)before.c.regs[1],
	       (unsigned long long)before.c.regs[4],
	       (unsigned long long)before.c.regs[5],
	       (unsigned long long)env.c.regs[4],
	       (unsigned long long)native.regs[4]);
}

/* Makes the hidden part that loading such a descriptor gives. */
static void mirror(struct emul_seg *to, const struct native_segment *s)
{
	unsigned int type = s->code ? (s->read_only ? 9 : 0xb) :
				      (s->expand_down ? 4 : 0) |
					      (s->read_only ? 1 : 3);

	to->base = s->base;
	to->limit = s->pages ? s->limit << 12 | 0xfff : s->limit;
	to->attr = type | EMUL_SEG_S | 3 << EMUL_SEG_DPL_SHIFT | EMUL_SEG_P |
		   (s->big ? EMUL_SEG_DB : 0) | (s->pages ? EMUL_SEG_G : 0);
}

static u32 last_valid(const struct native_segment *s)
{
	u32 limit = s->pages ? s->limit << 12 | 0xfff : s->limit;

	if (!s->expand_down)
		return limit;
	return s->big ? 0xffffffff : 0xffff;
}

/*
 * Makes a segment with an edge in the middle of memory; @edge is that edge's
 * offset.
 */
static void random_segment(struct native_segment *s, u32 *edge)
{
	memset(s, 0, sizeof(*s));
	s->pages = unit_below(2);
	s->big = unit_below(2);
	s->code = !unit_below(6);
	s->expand_down = !s->code && unit_below(2);
	s->read_only = !s->code && !unit_below(4); /* else GS refuses it */
	s->limit = s->pages ? unit_below(12) : 0x20 + unit_below(0x8000);
	if (s->pages && !s->expand_down && !unit_below(4))
		s->limit = 0xfffff;
	*edge = last_valid(s);
	/* Where an expand-down segment starts is an edge, too. */
	if (s->expand_down && unit_below(2))
		*edge = s->pages ? s->limit << 12 | 0xfff : s->limit;
	s->base = NATIVE_MIDDLE - *edge + unit_below(16);
}

/* ---- GS: loads, stores and read-modify-writes of all widths ---- */

struct access {
	const char *bytes; /* without segment and address-size prefix */
	u8 len;
};

/* All have an address of (E)CX, as ModRM of 32-bit addressing encodes it. */
static const struct access accesses[] = {
	{ "\x8a\x01", 2 }, /* MOV AL,[ECX] */
	{ "\x88\x01", 2 },
	{ "\x8b\x01", 2 },
	{ "\x89\x01", 2 },
	{ "\x66\x8b\x01", 3 },
	{ "\x66\x89\x01", 3 },
	{ "\x01\x01", 2 }, /* ADD [ECX],EAX */
	{ "\xf0\x01\x01", 3 },
	{ "\x39\x01", 2 }, /* CMP [ECX],EAX */
	{ "\x87\x01", 2 }, /* XCHG */
	{ "\x0f\xc7\x09", 3 }, /* CMPXCHG8B */
	{ "\x0f\x10\x01", 3 }, /* MOVUPS */
	{ "\x0f\x11\x01", 3 },
	{ "\xc5\xfe\x6f\x01", 4 }, /* VMOVDQU YMM */
	{ "\xc5\xfe\x7f\x01", 4 },
	{ "\xac", 1 }, /* LODS */
	{ "\xad", 1 },
	{ "\xd7", 1 }, /* XLAT */
	{ "\x8c\x19", 2 }, /* MOV [ECX],DS */
	{ "\x0f\x94\x01", 3 }, /* SETZ */
};

static void test_gs(enum insn_mode mode)
{
	unsigned int i, k, n;

	env_init(&env, mode);
	for (i = 0; i < 6; i++)
		env.seg[i].sel = native_selector(mode, false, i);
	if (mode == INSN_MODE_16) {
		mirror(&env.seg[INSN_SEG_SS], &native_data16);
		mirror(&env.seg[INSN_SEG_DS], &native_data16);
		mirror(&env.seg[INSN_SEG_ES], &native_data16);
		mirror(&env.seg[INSN_SEG_CS], &native_code16);
	}
	for (i = 0; i < CONFIGS; i++) {
		struct native_segment s;
		u32 edge;

		random_segment(&s, &edge);
		if (!native_set_segment(NATIVE_LDT_GS, &s)) {
			differing++;
			return;
		}
		mirror(&env.seg[INSN_SEG_GS], &s);
		for (k = 0; k < PER_CONFIG; k++) {
			const struct access *a =
				&accesses[unit_below(ARRAY_SIZE(accesses))];
			bool narrow = mode != INSN_MODE_64 && edge < 0xffe0 &&
				      unit_below(2);
			u8 b[16];
			u64 off;

			n = 0;
			b[n++] = 0x65;
			if (narrow != (mode == INSN_MODE_16))
				b[n++] = 0x67;
			memcpy(b + n, a->bytes, a->len);
			/* In 16-bit addressing, ModRM 1 means [BX+DI]. */
			off = edge - 40 + unit_below(48);
			if (mode == INSN_MODE_64 && s.base + off > 0xffffffff)
				off -= 1ull << 32;
			for (unsigned int r = 0; r < 16; r++)
				env.c.regs[r] = unit_random();
			env.c.regs[INSN_RCX] = off;
			env.c.regs[INSN_RSI] = off;
			env.c.regs[INSN_RBX] = off;
			env.c.regs[INSN_RAX] &= ~0xffull;
			env.c.regs[INSN_RDI] = 0;
			both(b, n + a->len, false, &s);
		}
	}
	native_set_segment(NATIVE_LDT_GS, &native_gs);
}

/* ---- SS: the stack at its edges ---- */

static const struct access stack_accesses[] = {
	{ "\x50", 1 }, /* PUSH */
	{ "\x66\x50", 2 },
	{ "\x58", 1 }, /* POP */
	{ "\x66\x58", 2 },
	{ "\x9c", 1 }, /* PUSHF */
	{ "\x6a\x80", 2 },
	{ "\x1e", 1 }, /* PUSH DS */
	{ "\xe8\x10\x00", 3 }, /* CALL, in 16-bit code */
	{ "\xc9", 1 }, /* LEAVE */
	{ "\x67\x8b\x45\x00", 4 }, /* MOV AX,[EBP] */
	{ "\x67\x89\x45\x00", 4 },
	{ "\x36\x8b\x07", 3 }, /* MOV AX,SS:[BX] */
};

static void test_stack(void)
{
	unsigned int i, k;

	env_init(&env, INSN_MODE_16);
	for (i = 0; i < 6; i++)
		env.seg[i].sel = native_selector(INSN_MODE_16, true, i);
	mirror(&env.seg[INSN_SEG_CS], &native_code16);
	mirror(&env.seg[INSN_SEG_GS], &native_gs);
	for (i = 0; i < CONFIGS; i++) {
		struct native_segment s;
		u32 edge;

		do {
			random_segment(&s, &edge);
		} while (s.code || s.read_only); /* not for a stack */
		/* Now and then, take a 16-bit stack whose top wraps around. */
		if (!unit_below(4)) {
			s = native_data16;
			edge = 0;
			s.base = NATIVE_MIDDLE;
		}
		if (!native_set_segment(NATIVE_LDT_DATA16, &s)) {
			differing++;
			return;
		}
		mirror(&env.seg[INSN_SEG_SS], &s);
		mirror(&env.seg[INSN_SEG_DS], &s);
		mirror(&env.seg[INSN_SEG_ES], &s);
		for (k = 0; k < PER_CONFIG; k++) {
			const struct access *a = &stack_accesses[unit_below(
				ARRAY_SIZE(stack_accesses))];
			u64 off = edge - 12 + unit_below(20);

			for (unsigned int r = 0; r < 16; r++)
				env.c.regs[r] = unit_random();
			env.c.regs[INSN_RSP] = (u32)off;
			env.c.regs[INSN_RBP] = (u32)off;
			env.c.regs[INSN_RBX] = (u32)off;
			/* CALL shall land on the exit. */
			u8 b[8];

			memcpy(b, a->bytes, a->len);
			if (b[0] == 0xe8) {
				b[1] = NATIVE_TAKEN - 3;
				b[2] = 0;
			}
			both(b, a->len, true, &s);
		}
	}
	native_set_segment(NATIVE_LDT_DATA16, &native_data16);
}

/* ---- CS: branches beyond its limit ---- */

static void test_branches(void)
{
	static const u32 limits[] = { 0x1fff, 0x1200, NATIVE_INSN + 0x5f,
				      NATIVE_INSN + NATIVE_TAKEN };
	unsigned int i, k;

	env_init(&env, INSN_MODE_16);
	for (i = 0; i < 6; i++) {
		env.seg[i].sel = native_selector(INSN_MODE_16, false, i);
		mirror(&env.seg[i], &native_data16);
	}
	mirror(&env.seg[INSN_SEG_GS], &native_gs);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct native_segment s = native_code16;

		s.limit = limits[i];
		if (!native_set_segment(NATIVE_LDT_CODE16, &s)) {
			differing++;
			return;
		}
		mirror(&env.seg[INSN_SEG_CS], &s);
		for (k = 0; k < 200; k++) {
			u16 target = limits[i] + 1 + unit_below(0x1000);
			u8 b[8];
			unsigned int n = 3;

			if (unit_below(4) == 0 &&
			    limits[i] > NATIVE_INSN + NATIVE_TAKEN)
				target = NATIVE_INSN + NATIVE_TAKEN;
			for (unsigned int r = 0; r < 16; r++)
				env.c.regs[r] = unit_random();
			env.c.regs[INSN_RSP] = NATIVE_MIDDLE - NATIVE_DATA16;
			env.c.regs[INSN_RAX] = target;
			memcpy((u8 *)NATIVE_MIDDLE, &target, 2);
			switch (unit_below(6)) {
			case 0:
			case 1: /* JMP, CALL */
				b[0] = unit_below(2) ? 0xe8 : 0xe9;
				target -= NATIVE_INSN + 3;
				memcpy(b + 1, &target, 2);
				break;
			case 2: /* JNO, and OF is 0 */
				n = 4;
				b[0] = 0x0f;
				b[1] = 0x81;
				target -= NATIVE_INSN + 4;
				memcpy(b + 2, &target, 2);
				break;
			case 3: /* RET */
				n = 1;
				b[0] = 0xc3;
				break;
			default: /* JMP AX, CALL AX */
				n = 2;
				b[0] = 0xff;
				b[1] = unit_below(2) ? 0xe0 : 0xd0;
				break;
			}
			both(b, n, false, &s);
		}
	}
	native_set_segment(NATIVE_LDT_CODE16, &native_code16);
}

/* ---- 64-bit mode: canonical addresses ---- */

static void test_canonical(void)
{
	static const u64 edges[] = { 0x0000800000000000ull,
				     0xffff800000000000ull };
	static const struct native_segment none;
	unsigned int i;

	env_init(&env, INSN_MODE_64);
	for (i = 0; i < 6; i++)
		env.seg[i].sel = native_selector(INSN_MODE_64, false, i);
	mirror(&env.seg[INSN_SEG_GS], &native_gs);
	for (i = 0; i < 3000; i++) {
		u64 at = edges[unit_below(2)] - 20 + unit_below(40);
		u8 b[8];
		unsigned int n;

		/*
		 * Stay below the kernel's half, where a page may or may not be
		 * present.
		 */
		if (at >= edges[1])
			at = edges[1] - 1 - unit_below(20);
		for (unsigned int r = 0; r < 16; r++)
			env.c.regs[r] = unit_random();
		env.c.regs[INSN_RSP] = at;
		env.c.regs[INSN_RBP] = at;
		env.c.regs[INSN_RCX] = at;
		switch (unit_below(7)) {
		case 6: /* MOV [RSP],RAX, too */
			n = 4;
			memcpy(b, "\x48\x89\x04\x24", n);
			break;
		case 0: /* MOV RAX,[RCX] */
			n = 3;
			memcpy(b, "\x48\x8b\x01", n);
			break;
		case 1: /* MOV [RBP],RAX is of the stack */
			n = 4;
			memcpy(b, "\x48\x89\x45\x00", n);
			break;
		case 2:
			n = 1;
			b[0] = 0x50;
			break;
		case 3:
			n = 1;
			b[0] = 0x58;
			break;
		case 4: /* MOVUPS [RCX],XMM0 */
			n = 3;
			memcpy(b, "\x0f\x11\x01", n);
			break;
		default: /* JMP RCX */
			if (at < edges[0]) {
				n = 1;
				b[0] = 0x90;
				break;
			}
			n = 2;
			memcpy(b, "\xff\xe1", n);
			break;
		}
		both(b, n, false, &none);
	}
}

/* ---- loading segment registers ---- */

/*
 * What Linux has in the GDT. CPL 3 can load the entries of DPL 3, the others
 * have DPL 0.
 */
static const u64 linux_gdt[16] = {
	[1] = 0x00cf9b000000ffffull,  [2] = 0x00af9b000000ffffull,
	[3] = 0x00cf93000000ffffull,  [4] = 0x00cffb000000ffffull,
	[5] = 0x00cff3000000ffffull,  [6] = 0x00affb000000ffffull,
	[8] = 0x00008b0000004087ull,  [10] = 0x0000820000000017ull,
	[15] = 0x0040f50000000000ull,
};

#define LOAD_LDT 0x1400 /* where memory mirrors the LDT, and the GDT */
#define LOAD_GDT 0x1600
#define LOAD_ENTRIES 20

/* Makes the descriptor in memory from the hidden part. */
static u64 pack(const struct native_segment *s)
{
	struct emul_seg h;
	u64 d;

	mirror(&h, s);
	d = (s->limit & 0xffff) | (u64)(s->base & 0xffffff) << 16 |
	    (u64)(h.attr & 0xff) << 40 | (u64)(s->limit & 0xf0000) << 32 |
	    (u64)(h.attr & 0xf00) << 44 | (u64)(s->base & 0xff000000) << 32;
	return s->absent ? d & ~(1ull << 47) : d;
}

static bool make_tables(void)
{
	u64 ldt[LOAD_ENTRIES] = { [NATIVE_LDT_CODE16] = pack(&native_code16),
				  [NATIVE_LDT_DATA16] = pack(&native_data16),
				  [NATIVE_LDT_GS] = pack(&native_gs) };
	unsigned int i;

	for (i = NATIVE_LDT_FREE; i < LOAD_ENTRIES; i++) {
		struct native_segment s = {
			.base = unit_random(),
			.limit = unit_random() & 0xfffff,
			.pages = i & 1,
			.big = i & 2,
			.code = i & 4,
			.expand_down = !(i & 4) && i & 8,
			.read_only = unit_below(2),
			.absent = !unit_below(4),
		};

		if (!native_set_segment(i, &s))
			return false;
		ldt[i] = pack(&s);
	}
	memcpy((u8 *)NATIVE_MEM + LOAD_LDT, ldt, sizeof(ldt));
	memcpy((u8 *)NATIVE_MEM + LOAD_GDT, linux_gdt, sizeof(linux_gdt));
	return true;
}

static void test_loads(enum insn_mode mode)
{
	static const struct native_segment none;
	static const struct access loads[] = {
		{ "\x8e\xc0", 2 }, /* MOV ES,EAX */
		{ "\x8e\xd8", 2 }, /* MOV DS,EAX */
		{ "\x8e\xd0", 2 }, /* MOV SS,EAX */
		{ "\x8e\x01", 2 }, /* MOV ES,[RCX] */
		{ "\x0f\xa9", 2 }, /* POP GS */
		{ "\x0f\xb5\x11", 3 }, /* LGS EDX,[RCX] */
	};
	unsigned int i;

	if (!make_tables()) {
		differing++;
		return;
	}
	for (i = 0; i < 6000; i++) {
		const struct access *a = &loads[unit_below(ARRAY_SIZE(loads))];
		u32 pop = unit_below(8 * (LOAD_ENTRIES + 2));
		u64 value;

		if (pop >= 0x80 || unit_below(2))
			pop |= 4;
		env_init(&env, mode);
		env.seg[INSN_SEG_SS].attr = 0xcf3;
		env.ldt.base = NATIVE_MEM + LOAD_LDT;
		env.ldt.limit = 8 * LOAD_ENTRIES - 1;
		env.ldt.attr = 0x82;
		env.gdt.base = NATIVE_MEM + LOAD_GDT;
		env.gdt.limit = sizeof(linux_gdt) - 1;
		for (unsigned int r = 0; r < 16; r++)
			env.c.regs[r] = unit_random();
		env.c.regs[INSN_RAX] = (env.c.regs[INSN_RAX] & ~0xffffull) |
				       pop;
		env.c.regs[INSN_RCX] = NATIVE_MIDDLE;
		env.c.regs[INSN_RSP] = NATIVE_MIDDLE;
		/* A far pointer has its selector behind the offset. */
		value = a->len == 3 ? (u64)pop << 32 | (u32)unit_random() : pop;
		memcpy((u8 *)NATIVE_MIDDLE, &value, 8);
		both((const u8 *)a->bytes, a->len, false, &none);
	}
	native_set_segment(NATIVE_LDT_GS, &native_gs);
}

/* ---- #AC, which user code can ask for by RFLAGS.AC ---- */

static void test_alignment(void)
{
	static const struct native_segment none;
	unsigned int i;

	env_init(&env, INSN_MODE_64);
	for (i = 0; i < 6; i++)
		env.seg[i].sel = native_selector(INSN_MODE_64, false, i);
	mirror(&env.seg[INSN_SEG_GS], &native_gs);
	more_flags = 1 << 18;
	for (i = 0; i < 4000; i++) {
		const struct access *a =
			&accesses[unit_below(ARRAY_SIZE(accesses))];
		u64 at = NATIVE_MIDDLE - 64 + unit_below(128);

		for (unsigned int r = 0; r < 16; r++)
			env.c.regs[r] = unit_random();
		env.c.regs[INSN_RCX] = at;
		env.c.regs[INSN_RSI] = at;
		env.c.regs[INSN_RBX] = at;
		env.c.regs[INSN_RAX] &= ~0xffull;
		both((const u8 *)a->bytes, a->len, false, &none);
	}
	more_flags = 0;
}

static void result(const char *what)
{
	unit_result(!differing && runs > 500 && faults > 100,
		    "segments: %s: %lu runs, %lu of them faults", what, runs,
		    faults);
	runs = faults = differing = 0;
}

int main(void)
{
	const char *why = native_init();

	if (why) {
		unit_skip("segments", why);
		return unit_end();
	}
	unit_seed();
	test_gs(INSN_MODE_64);
	/* In 64-bit mode, nothing of GS counts but its base. */
	unit_result(!differing && runs > 1000,
		    "segments: GS in 64-bit mode: %lu runs", runs);
	runs = faults = differing = 0;
	test_gs(INSN_MODE_32);
	result("GS in 32-bit code");
	if (native_mode_available(INSN_MODE_16)) {
		test_gs(INSN_MODE_16);
		result("GS in 16-bit code");
		test_stack();
		result("SS in 16-bit code");
		test_branches();
		result("CS in 16-bit code");
	} else {
		unit_skip("segments: 16-bit code", "modify_ldt() is refused");
	}
	test_canonical();
	result("canonical addresses");
	test_loads(INSN_MODE_64);
	result("segment loads in 64-bit mode");
	test_loads(INSN_MODE_32);
	result("segment loads in 32-bit code");
	test_alignment();
	result("alignment checks");
	return unit_end();
}
