// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder: lengths against libcapstone, truncation, forms that are refused,
 * and what it tells of the intercepted instructions.
 */
#include <capstone/capstone.h>
#include <stdlib.h>

#include "rng.h"
#include "rowgen.h"
#include "unit.h"

#define MAX_ROWS 2048
#define FUZZ_ROUNDS 400000

static const enum insn_mode modes[] = { INSN_MODE_16, INSN_MODE_32,
					INSN_MODE_64 };
static csh capstone[3];
static struct gen_row rows[MAX_ROWS];
static unsigned int n_rows;

/* ---- against capstone ---- */

struct verdict {
	unsigned long both, ours_only, theirs_only, differ;
};

/*
 * libcapstone 4.0.2 is wrong about these, or follows another vendor. An AMD CPU
 * confirmed the length that our decoder gives in each case but EVEX, where
 * binutils agree with it.
 */
static bool capstone_errs(const struct insn *insn)
{
	/* 66 counts beside F2 or F3, too: 66 F3 68 iw is a PUSH of a word. */
	if (insn->prefix & INSN_PFX_OPSIZE &&
	    insn->prefix & (INSN_PFX_REP | INSN_PFX_REPNE) &&
	    insn->map == INSN_MAP_1B)
		return true;
	/*
	 * Of a branch in 64-bit mode, REX.W overrides 66, and 67 does not act
	 * as 66.
	 */
	if (insn->mode == INSN_MODE_64 && insn->flags & INSN_F64 &&
	    insn->prefix & (INSN_PFX_OPSIZE | INSN_PFX_ADSIZE))
		return true;
	/*
	 * With EVEX and 67, capstone misses that EVEX.B turns the register that
	 * means SIB into another.
	 */
	if (insn->evex && insn->prefix & INSN_PFX_ADSIZE)
		return true;
	/* UD1 has a ModRM byte; EXTRQ and INSERTQ have two immediates. */
	return insn->map == INSN_MAP_0F &&
	       (insn->opcode == 0xb9 || insn->opcode == 0x78);
}

static void compare(unsigned int m, const u8 *bytes, struct verdict *v)
{
	struct insn insn;
	cs_insn *ci = NULL;
	int ret = vigil_decode(&insn, bytes, 15, modes[m]);
	size_t n = cs_disasm(capstone[m], bytes, 15, 0, 1, &ci);
	unsigned int i;

	if (!n || ret) {
		v->ours_only += !ret;
		v->theirs_only += n > 0;
		if (n && getenv("UNIT_SHOW_UNKNOWN")) {
			printf("# unknown %u: %s %s:", modes[m], ci->mnemonic,
			       ci->op_str);
			for (i = 0; i < ci->size; i++)
				printf(" %02x", bytes[i]);
			printf("\n");
		}
	} else {
		v->both++;
		if (insn.len != ci->size && !capstone_errs(&insn)) {
			if (v->differ++ < 20) {
				printf("# %u-bit: ours %s %u, theirs %s %s %u:",
				       modes[m], vigil_insn_op_name(insn.op),
				       insn.len, ci->mnemonic, ci->op_str,
				       ci->size);
				for (i = 0; i < 15; i++)
					printf(" %02x", bytes[i]);
				printf("\n");
			}
		}
	}
	if (n)
		cs_free(ci, n);
}

/*
 * Makes random bytes. Two-byte maps and prefixes come more often than by
 * chance.
 */
static void random_bytes(u8 *b)
{
	static const u8 often[] = { 0x0f, 0x0f, 0x66, 0x67, 0xf0, 0xf2,
				    0xf3, 0x48, 0x2e, 0x65, 0xc4, 0xc5 };
	unsigned int i, n = unit_below(4);

	for (i = 0; i < 15; i++)
		b[i] = unit_random();
	for (i = 0; i < n; i++)
		b[i] = often[unit_below(sizeof(often))];
	if (i && b[i - 1] == 0x0f && !unit_below(4))
		b[i] = unit_below(2) ? 0x38 : 0x3a;
}

/* Makes an instance of a row, with random bytes behind it. */
static bool row_bytes(u8 *b, unsigned int m)
{
	static const u8 sizes[] = { 2, 4, 8 };
	const struct gen_row *g = &rows[unit_below(n_rows)];
	struct gen_cell c = { .mode = modes[m] };
	struct gen_insn gi;
	unsigned int i;

	c.opsize = sizes[unit_below(m == 2 ? 3 : 2)];
	c.adsize = sizes[m == 2 ? 1 + unit_below(2) : unit_below(2)];
	c.mem = gen_can_mem(g) && (!gen_can_reg(g) || unit_below(2));
	if (!gen_encode(g, &c, &gi) || gi.len > 15)
		return false;
	for (i = 0; i < 15; i++)
		b[i] = i < gi.len ? gi.bytes[i] : (u8)unit_random();
	return true;
}

static void test_capstone(void)
{
	unsigned int m, i;
	u8 b[15];

	for (m = 0; m < 3; m++) {
		struct verdict v = { 0 }, w = { 0 };

		for (i = 0; i < FUZZ_ROUNDS; i++) {
			random_bytes(b);
			compare(m, b, &v);
			if (row_bytes(b, m))
				compare(m, b, &w);
		}
		printf("# %u-bit: random bytes: %lu compared, %lu ours only, %lu theirs only; rows: %lu, %lu, %lu\n",
		       modes[m], v.both, v.ours_only, v.theirs_only, w.both,
		       w.ours_only, w.theirs_only);
		unit_result(
			!v.differ && v.both > FUZZ_ROUNDS / 4,
			"decode: %u-bit lengths of random bytes as libcapstone's",
			modes[m]);
		unit_result(
			!w.differ && w.both > FUZZ_ROUNDS / 4,
			"decode: %u-bit lengths of table rows as libcapstone's",
			modes[m]);
	}
}

/* ---- promises of the interface ---- */

/*
 * Each part of an instruction wants more bytes, and one byte more changes
 * nothing.
 */
static void test_truncation(void)
{
	unsigned int m, i, k, bad = 0, seen = 0;
	u8 b[16];

	for (m = 0; m < 3; m++) {
		for (i = 0; i < 60000; i++) {
			struct insn full, part;

			random_bytes(b);
			b[15] = 0;
			if (vigil_decode(&full, b, 15, modes[m]))
				continue;
			seen++;
			for (k = 0; k < full.len; k++)
				bad += vigil_decode(&part, b, k, modes[m]) !=
				       INSN_NEED_MORE;
			bad += vigil_insn_len(b, full.len, modes[m]) !=
			       full.len;
			bad += vigil_insn_len(b, 16, modes[m]) != full.len;
			bad += vigil_decode_layout(&part, b, 15, modes[m]) ||
			       part.op != full.op || part.len != full.len;
		}
	}
	unit_result(!bad && seen > 50000,
		    "decode: cut short, every instruction wants more bytes");
}

/*
 * Decodes one instruction after the other into the same struct. Often it is the
 * same one again, with other bytes behind it or with one of its own bytes
 * changed.
 */
static void test_again(void)
{
	unsigned int i, m, n, bad = 0, seen = 0, same = 0;
	struct insn again = { 0 };
	u8 b[15] = { 0 };

	for (i = 0; i < 1000000; i++) {
		struct insn fresh, before = again;
		int ret;

		m = unit_below(3);
		n = unit_below(8) ? 15 : unit_below(16);
		switch (unit_below(again.len ? 4 : 1)) {
		case 0:
			random_bytes(b);
			break;
		case 1:
			m = again.mode == 64 ? 2 : again.mode == 32;
			b[unit_below(again.len)] ^= 1 << unit_below(8);
			break;
		case 2:
			m = again.mode == 64 ? 2 : again.mode == 32;
			fallthrough;
		case 3:
			memset(b + again.len, unit_random(), 15 - again.len);
			break;
		}
		memset(&fresh, 0, sizeof(fresh));
		ret = vigil_decode(&fresh, b, n, modes[m]);
		if (vigil_decode_again(&again, b, n, modes[m]) != ret)
			bad++;
		if (ret) {
			bad += again.len != 0;
			continue;
		}
		bad += memcmp(&again, &fresh, sizeof(fresh)) != 0;
		same += !memcmp(&again, &before, sizeof(before));
		seen++;
	}
	unit_result(!bad && seen > 500000 && same > 200000,
		    "decode: again into the same struct is as afresh");
}

static void test_too_long(void)
{
	u8 b[32];
	int ret;

	memset(b, 0x66, sizeof(b));
	b[14] = 0x90;
	ret = vigil_insn_len(b, sizeof(b), INSN_MODE_64);
	unit_result(ret == 15, "decode: 14 prefixes and NOP are 15 bytes");
	b[14] = 0x66;
	b[15] = 0x90;
	ret = vigil_insn_len(b, sizeof(b), INSN_MODE_64);
	unit_result(ret == INSN_TOO_LONG, "decode: 16 bytes are too long");
	ret = vigil_insn_len(b, 15, INSN_MODE_64);
	unit_result(ret == INSN_TOO_LONG,
		    "decode: 15 bytes that do not end are too long");
	/* ADD EAX, imm32 after 11 prefixes: its immediate crosses the limit. */
	memset(b, 0x2e, sizeof(b));
	b[11] = 0x05;
	ret = vigil_insn_len(b, sizeof(b), INSN_MODE_32);
	unit_result(ret == INSN_TOO_LONG,
		    "decode: an immediate beyond 15 bytes is too long");
}

/* LOCK is refused wherever the destination is not lockable memory. */
static void test_lock(void)
{
	unsigned int i, bad = 0, seen = 0, lockable = 0;

	for (i = 0; i < n_rows; i++) {
		const struct gen_row *g = &rows[i];
		unsigned int mem;

		for (mem = 0; mem < 2; mem++) {
			struct gen_cell c = { .mode = INSN_MODE_32,
					      .opsize = 4,
					      .adsize = 4,
					      .prefix = INSN_PFX_LOCK,
					      .mem = mem };
			struct gen_insn gi;
			struct insn insn;
			bool want, refused;

			if (mem ? !gen_can_mem(g) :
				  gen_has_modrm(g) && !gen_can_reg(g))
				continue;
			if (g->vex || !gen_encode(g, &c, &gi) ||
			    vigil_decode(&insn, gi.bytes, gi.len, c.mode))
				continue;
			/* On AMD's CPUs, LOCK MOV CR0 is an access to CR8. */
			if (insn.op == INSN_OP_MOV_FROM_CR ||
			    insn.op == INSN_OP_MOV_TO_CR)
				continue;
			want = mem && insn.opd[0].kind == INSN_OPD_MEM &&
			       g->row->flags & INSN_LOCKABLE;
			refused = insn.flags & INSN_BAD_LOCK;
			bad += refused == want;
			lockable += want;
			seen++;
		}
	}
	unit_result(!bad && seen > 300,
		    "decode: LOCK is refused on all but lockable memory");
	/*
	 * These are 7 ALU operations in 2 + 3 forms; NOT, NEG, INC, DEC, XCHG,
	 * XADD, CMPXCHG, BTS, BTR and BTC in 2 forms each; CMPXCHG8B; and
	 * opcode 82.
	 */
	unit_result(lockable == 7 * 6 + 4 * 2 + 3 * 2 + 3 * 2 + 1,
		    "decode: LOCK is taken by %u forms", lockable);
}

struct known {
	const char *bytes;
	u8 n;
	enum insn_mode mode;
	enum insn_op op;
	u8 len;
	u32 flags; /* that must be set */
};

static const struct known known[] = {
	{ "\x0f\xa2", 2, 64, INSN_OP_CPUID, 2, INSN_SYSTEM },
	{ "\x48\x0f\xa2", 3, 64, INSN_OP_CPUID, 3, INSN_SYSTEM },
	{ "\x0f\x32", 2, 16, INSN_OP_RDMSR, 2, INSN_PRIVILEGED },
	{ "\x0f\x30", 2, 64, INSN_OP_WRMSR, 2, INSN_PRIVILEGED },
	{ "\x0f\x01\xd9", 3, 64, INSN_OP_VMMCALL, 3, INSN_SYSTEM },
	{ "\x0f\x01\xc1", 3, 64, INSN_OP_VMCALL, 3, INSN_SYSTEM },
	{ "\x0f\x01\xd8", 3, 32, INSN_OP_VMRUN, 3, INSN_SYSTEM },
	{ "\x0f\x01\xda", 3, 64, INSN_OP_VMLOAD, 3, INSN_SYSTEM },
	{ "\x0f\x01\xdb", 3, 64, INSN_OP_VMSAVE, 3, INSN_SYSTEM },
	{ "\x0f\x01\xdf", 3, 64, INSN_OP_INVLPGA, 3, INSN_SYSTEM },
	{ "\x0f\x01\xd1", 3, 64, INSN_OP_XSETBV, 3, INSN_SYSTEM },
	{ "\x0f\x01\xd0", 3, 64, INSN_OP_XGETBV, 3, INSN_SYSTEM },
	{ "\x0f\x01\xf9", 3, 64, INSN_OP_RDTSCP, 3, INSN_SYSTEM },
	{ "\x0f\x01\xc8", 3, 64, INSN_OP_MONITOR, 3, INSN_SYSTEM },
	{ "\x0f\x01\xc9", 3, 64, INSN_OP_MWAIT, 3, INSN_SYSTEM },
	{ "\x0f\x31", 2, 64, INSN_OP_RDTSC, 2, INSN_SYSTEM },
	{ "\x0f\x33", 2, 64, INSN_OP_RDPMC, 2, INSN_SYSTEM },
	{ "\x0f\x08", 2, 64, INSN_OP_INVD, 2, INSN_PRIVILEGED },
	{ "\x0f\x09", 2, 64, INSN_OP_WBINVD, 2, INSN_PRIVILEGED },
	{ "\xf4", 1, 64, INSN_OP_HLT, 1, INSN_PRIVILEGED },
	{ "\xf3\x90", 2, 64, INSN_OP_PAUSE, 2, 0 },
	{ "\xf3\x41\x90", 3, 64, INSN_OP_XCHG, 3, 0 },
	{ "\xcc", 1, 64, INSN_OP_INT3, 1, 0 },
	{ "\xcd\x80", 2, 32, INSN_OP_INT, 2, 0 },
	{ "\xce", 1, 32, INSN_OP_INTO, 1, 0 },
	{ "\xcf", 1, 16, INSN_OP_IRET, 1, 0 },
	{ "\xf1", 1, 64, INSN_OP_INT1, 1, 0 },
	{ "\x0f\xaa", 2, 64, INSN_OP_RSM, 2, INSN_SYSTEM },
	{ "\x0f\x20\xc0", 3, 64, INSN_OP_MOV_FROM_CR, 3, INSN_PRIVILEGED },
	/* modrm.mod does not count here: no displacement follows. */
	{ "\x0f\x22\x18", 3, 64, INSN_OP_MOV_TO_CR, 3, INSN_PRIVILEGED },
	{ "\x44\x0f\x20\xc0", 4, 64, INSN_OP_MOV_FROM_CR, 4, 0 },
	{ "\x0f\x22\xc8", 3, 64, INSN_OP_MOV_TO_CR, 3, INSN_BAD_FORM },
	{ "\x0f\x23\xf8", 3, 64, INSN_OP_MOV_TO_DR, 3, INSN_PRIVILEGED },
	{ "\x0f\x01\x3b", 3, 64, INSN_OP_INVLPG, 3, INSN_PRIVILEGED },
	{ "\x0f\x06", 2, 64, INSN_OP_CLTS, 2, INSN_PRIVILEGED },
	{ "\x66\x0f\x38\x82\x08", 5, 64, INSN_OP_INVPCID, 5, 0 },
	{ "\x0f\x0b", 2, 64, INSN_OP_UD, 2, INSN_BAD_FORM },
	{ "\x8e\xc8", 2, 32, INSN_OP_MOV_TO_SEG, 2, INSN_BAD_FORM },
	{ "\x8c\xf0", 2, 32, INSN_OP_MOV_FROM_SEG, 2, INSN_BAD_FORM },
	{ "\x06", 1, 64, INSN_OP_PUSH_SEG, 1, INSN_BAD_FORM },
	{ "\x8d\xc0", 2, 64, INSN_OP_LEA, 2, INSN_BAD_FORM },
	{ "\xc5\xf8\x28\xc1", 4, 64, INSN_OP_VMOV, 4, INSN_VECTOR },
	{ "\x66\xc5\xf8\x28\xc1", 5, 64, INSN_OP_VMOV, 5, INSN_BAD_FORM },
	/*
	 * In 32-bit mode, these are LES and LDS; only a register form behind
	 * them makes VEX of them.
	 */
	{ "\xc4\x00", 2, 32, INSN_OP_LDS, 2, 0 },
};

static void test_known(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];
		struct insn insn;
		int ret = vigil_decode(&insn, (const u8 *)k->bytes, k->n,
				       k->mode);

		unit_result(!ret && insn.op == k->op && insn.len == k->len &&
				    (insn.flags & k->flags) == k->flags,
			    "decode: %s, %u-bit, length %u",
			    vigil_insn_op_name(k->op), k->mode, k->len);
	}
}

/* Checks what the core takes from the decoder for port I/O. */
static void test_io(void)
{
	struct insn i;
	int ret;

	ret = vigil_decode(&i, (const u8 *)"\xe5\x71", 2, INSN_MODE_64);
	unit_result(!ret && i.op == INSN_OP_IN && i.opd[0].size == 4 &&
			    i.opd[1].kind == INSN_OPD_IMM && i.imm == 0x71,
		    "decode: IN EAX,71h");
	ret = vigil_decode(&i, (const u8 *)"\x66\xef", 2, INSN_MODE_32);
	unit_result(!ret && i.op == INSN_OP_OUT && i.opd[1].size == 2 &&
			    i.opd[0].kind == INSN_OPD_REG &&
			    i.opd[0].reg == INSN_RDX,
		    "decode: OUT DX,AX");
	ret = vigil_decode(&i, (const u8 *)"\xf3\x48\x6d", 3, INSN_MODE_64);
	unit_result(!ret && i.op == INSN_OP_INS && i.opd[0].size == 4 &&
			    i.prefix & INSN_PFX_REP && i.adsize == 8 &&
			    i.seg == INSN_SEG_ES && i.base == INSN_RDI,
		    "decode: REP INSD with REX.W is 4 bytes wide");
	ret = vigil_decode(&i, (const u8 *)"\x67\x64\xf3\x6e", 4, INSN_MODE_32);
	unit_result(!ret && i.op == INSN_OP_OUTS && i.opd[1].size == 1 &&
			    i.adsize == 2 && i.seg == INSN_SEG_FS &&
			    i.base == INSN_RSI,
		    "decode: REP OUTSB FS:[SI]");
	ret = vigil_decode(&i, (const u8 *)"\x26\x6c", 2, INSN_MODE_16);
	unit_result(!ret && i.op == INSN_OP_INS && i.seg == INSN_SEG_ES,
		    "decode: INSB cannot be overridden");
}

int main(void)
{
	static const cs_mode cs_modes[] = { CS_MODE_16, CS_MODE_32,
					    CS_MODE_64 };
	unsigned int i;

	unit_seed();
	for (i = 0; i < 3; i++) {
		if (cs_open(CS_ARCH_X86, cs_modes[i], &capstone[i])) {
			fprintf(stderr, "libcapstone does not open\n");
			return 2;
		}
	}
	n_rows = gen_rows(rows, MAX_ROWS);
	test_known();
	test_io();
	test_too_long();
	test_lock();
	test_truncation();
	test_capstone();
	test_again();
	for (i = 0; i < 3; i++)
		cs_close(&capstone[i]);
	return unit_end();
}
