// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of AVX-512 that rearrange elements, compared with the CPU that the test runs on:
 * narrower elements, compressed and scattered ones, with random registers and masks.
 */
#include <cpuid.h>
#include <sys/mman.h>

#include "machine.h"
#include "rng.h"

#define ROUNDS 200
#define ZMM 64
/* Where the registers lie in the image: as XSAVE has them in its standard format. */
#define AT_XMM 160
#define AT_YMM 576
#define AT_K 1088
#define AT_ZMM_HI 1152
#define AT_ZMM16 1664
/* The middle of the memory, so that indexes may be negative. */
#define MIDDLE 0x1000

struct registers {
	u8 zmm[32][ZMM];
	u64 k[8];
};

static struct registers regs;
static u8 image[EMUL_SAVE_BYTES];
static int cleared; /* the opmask register that was, or -1 */

static const u8 *save_state(struct emul_ctxt *c, enum emul_save how, bool wide,
			    u64 mask)
{
	unsigned int i;

	(void)c;
	(void)how;
	(void)wide;
	(void)mask;
	for (i = 0; i < 16; i++) {
		memcpy(image + AT_XMM + 16 * i, regs.zmm[i], 16);
		memcpy(image + AT_YMM + 16 * i, regs.zmm[i] + 16, 16);
		memcpy(image + AT_ZMM_HI + 32 * i, regs.zmm[i] + 32, 32);
		memcpy(image + AT_ZMM16 + 64 * i, regs.zmm[16 + i], 64);
	}
	memcpy(image + AT_K, regs.k, sizeof(regs.k));
	return image;
}

static int get_component(struct emul_ctxt *c, unsigned int nr,
			 struct emul_component *comp)
{
	static const struct emul_component components[] = {
		[2] = { AT_YMM, 256, false },
		[5] = { AT_K, 64, false },
		[6] = { AT_ZMM_HI, 512, false },
		[7] = { AT_ZMM16, 1024, false },
	};

	(void)c;
	*comp = components[nr];
	return EMUL_OK;
}

static int clear_opmask(struct emul_ctxt *c, unsigned int reg)
{
	(void)c;
	cleared = reg;
	return EMUL_OK;
}

/* clang-format off */
#define EACH32(OP) \
	OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) \
	OP(11) OP(12) OP(13) OP(14) OP(15) OP(16) OP(17) OP(18) OP(19) OP(20) \
	OP(21) OP(22) OP(23) OP(24) OP(25) OP(26) OP(27) OP(28) OP(29) OP(30) \
	OP(31)
#define EACH7(OP) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7)
#define LOAD_ZMM(n) "vmovdqu64 64*" #n "(%1), %%zmm" #n "\n"
#define LOAD_K(n) "kmovq 2048+8*" #n "(%1), %%k" #n "\n"
#define STORE_K(n) "kmovq %%k" #n ", 2048+8*" #n "(%1)\n"
/* clang-format on */

/* Runs @code, which ends in a RET, with these registers and rDI. The masks come back. */
static void run(const u8 *code, struct registers *r, void *rdi)
{
	asm volatile(EACH32(LOAD_ZMM) EACH7(LOAD_K) "call *%0\n" EACH7(
			     STORE_K) "vzeroupper\n"
		     :
		     : "r"(code), "r"(r), "D"(rdi)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
		       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
		       "xmm12", "xmm13", "xmm14", "xmm15");
}

static bool has_avx512(void)
{
	unsigned int a, b, c, d, xcr0, high;

	__cpuid(1, a, b, c, d);
	if (!(c & bit_OSXSAVE))
		return false;
	asm volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
	if ((xcr0 & 0xe6) != 0xe6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return false;
	/* F, BW, VL; VBMI2 has VPCOMPRESSB */
	return b & 1u << 16 && b & 1u << 30 && b & 1u << 31 && c & 1u << 6;
}

struct form {
	const char *name;
	u8 pp, opcode, w;
	bool scatter;
	u8 index_bytes;
};

#define NARROW(name, opcode)                 \
	{                                    \
		name, 2, opcode, 0, false, 0 \
	}
#define COMPRESS(name, opcode, w)            \
	{                                    \
		name, 1, opcode, w, false, 0 \
	}
#define SCATTER(name, opcode, w, bytes)         \
	{                                       \
		name, 1, opcode, w, true, bytes \
	}

static const struct form forms[] = {
	NARROW("VPMOVUSWB", 0x10),
	NARROW("VPMOVUSDB", 0x11),
	NARROW("VPMOVUSQB", 0x12),
	NARROW("VPMOVUSDW", 0x13),
	NARROW("VPMOVUSQW", 0x14),
	NARROW("VPMOVUSQD", 0x15),
	NARROW("VPMOVSWB", 0x20),
	NARROW("VPMOVSDB", 0x21),
	NARROW("VPMOVSQB", 0x22),
	NARROW("VPMOVSDW", 0x23),
	NARROW("VPMOVSQW", 0x24),
	NARROW("VPMOVSQD", 0x25),
	NARROW("VPMOVWB", 0x30),
	NARROW("VPMOVDB", 0x31),
	NARROW("VPMOVQB", 0x32),
	NARROW("VPMOVDW", 0x33),
	NARROW("VPMOVQW", 0x34),
	NARROW("VPMOVQD", 0x35),
	COMPRESS("VPCOMPRESSB", 0x63, 0),
	COMPRESS("VPCOMPRESSW", 0x63, 1),
	COMPRESS("VCOMPRESSPS", 0x8a, 0),
	COMPRESS("VCOMPRESSPD", 0x8a, 1),
	COMPRESS("VPCOMPRESSD", 0x8b, 0),
	COMPRESS("VPCOMPRESSQ", 0x8b, 1),
	SCATTER("VPSCATTERDD", 0xa0, 0, 4),
	SCATTER("VPSCATTERDQ", 0xa0, 1, 4),
	SCATTER("VPSCATTERQD", 0xa1, 0, 8),
	SCATTER("VPSCATTERQQ", 0xa1, 1, 8),
	SCATTER("VSCATTERDPS", 0xa2, 0, 4),
	SCATTER("VSCATTERDPD", 0xa2, 1, 4),
	SCATTER("VSCATTERQPS", 0xa3, 0, 8),
	SCATTER("VSCATTERQPD", 0xa3, 1, 8),
};

/* Encodes the form: [rdi + disp8], or [rdi + zmm * scale + disp8]. Returns its length. */
static unsigned int encode(u8 *code, const struct form *f, unsigned int reg,
			   unsigned int index, unsigned int k, unsigned int l)
{
	unsigned int n = 0;
	u8 p0 = 0x02;

	p0 |= reg & 8 ? 0 : 0x80;
	p0 |= reg & 16 ? 0 : 0x10;
	p0 |= index & 8 ? 0 : 0x40;
	p0 |= 0x20; /* B: rDI */
	code[n++] = 0x62;
	code[n++] = p0;
	code[n++] = f->w << 7 | 0x7c | f->pp;
	code[n++] = l << 5 | (index & 16 ? 0 : 8) | k;
	code[n++] = f->opcode;
	if (f->scatter) {
		code[n++] = 0x44 | (reg & 7) << 3;
		code[n++] = (unit_below(4) << 6) | (index & 7) << 3 | 7;
	} else {
		code[n++] = 0x47 | (reg & 7) << 3;
	}
	code[n++] = unit_below(4);
	return n;
}

static void randomize(const struct form *f, unsigned int index)
{
	unsigned int i;
	u64 v;

	for (i = 0; i < sizeof(regs) / 8; i++) {
		v = unit_random();
		/* Values that fit and values that do not. */
		if (unit_below(2))
			v = (s64)v >> unit_below(60);
		memcpy((u8 *)&regs + 8 * i, &v, 8);
	}
	if (!f->scatter)
		return;
	for (i = 0; i < ZMM / f->index_bytes; i++) {
		v = (s64)unit_below(256) - 128;
		memcpy(regs.zmm[index] + i * f->index_bytes, &v,
		       f->index_bytes);
	}
}

static bool compare(struct emul_ops *ops, u8 *code, const struct form *f)
{
	static u8 real[ENV_BYTES];
	unsigned int reg = unit_below(32),
		     index = f->scatter ? unit_below(32) : 0;
	unsigned int k = f->scatter ? 1 + unit_below(7) : unit_below(8);
	unsigned int n = encode(code, f, reg, index, k, unit_below(3)), i;
	struct registers after;
	int ret;

	code[n] = 0xc3;
	randomize(f, index);
	for (i = 0; i < ENV_BYTES; i++)
		real[i] = unit_random();
	kernel(INSN_MODE_64);
	e.xcr0 = 0xe7;
	e.c.regs[INSN_RDI] = ENV_MEM + MIDDLE;
	memcpy(e.mem, real, sizeof(real));
	cleared = -1;
	env_begin(&e);
	if (vigil_decode(&e.c.insn, code, n, INSN_MODE_64) != INSN_OK ||
	    e.c.insn.len != n)
		return false;
	ret = vigil_emulate(&e.c, ops);
	after = regs;
	run(code, &after, real + MIDDLE);
	if (f->scatter && (cleared != (int)k || after.k[k]))
		return false;
	return ret == EMUL_OK && !memcmp(real, e.mem, sizeof(real));
}

/* Sixteen elements at one place, across two pages: the most that one instruction does. */
static void test_crossing(const struct emul_ops *ops, u8 *code)
{
	/* vpscatterdd %zmm1, (%rdi,%zmm2){%k1}; ret */
	static const u8 insn[] = { 0x62, 0xf2, 0x7d, 0x49,
				   0xa0, 0x0c, 0x17, 0xc3 };
	static u8 real[ENV_BYTES];
	struct registers after;
	int ret;

	memcpy(code, insn, sizeof(insn));
	randomize(&forms[0], 0);
	memset(regs.zmm[2], 0, sizeof(regs.zmm[2]));
	regs.k[1] = 0xffff;
	memset(real, 0, sizeof(real));
	kernel(INSN_MODE_64);
	e.xcr0 = 0xe7;
	e.c.regs[INSN_RDI] = ENV_MEM + MIDDLE - 2;
	env_begin(&e);
	if (vigil_decode(&e.c.insn, code, sizeof(insn) - 1, INSN_MODE_64)) {
		unit_result(false, "VPSCATTERDD is known");
		return;
	}
	e.pend_at = 0;
	ret = vigil_emulate(&e.c, ops);
	while (ret == EMUL_PENDING &&
	       vigil_emul_complete(&e.c, NULL) == EMUL_OK) {
		e.pend_at = 0;
		ret = vigil_emulate(&e.c, ops);
	}
	unit_result(ret == EMUL_OK, "VPSCATTERDD across two pages, held");
	after = regs;
	run(code, &after, real + MIDDLE - 2);
	memset(e.mem, 0, sizeof(e.mem));
	e.c.rip = 0x1000;
	env_begin(&e);
	ret = vigil_emulate(&e.c, ops);
	unit_result(ret == EMUL_OK && !memcmp(real, e.mem, sizeof(real)),
		    "VPSCATTERDD across two pages, as the CPU");
}

static void test_forms(void)
{
	u8 *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct emul_ops ops = env_ops;
	unsigned int i, n;

	if (code == MAP_FAILED) {
		unit_result(false, "memory for code");
		return;
	}
	ops.save_state = save_state;
	ops.get_component = get_component;
	ops.clear_opmask = clear_opmask;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (n = 0; n < ROUNDS && compare(&ops, code, &forms[i]); n++)
			;
		if (!unit_result(n == ROUNDS, "%s, as the CPU", forms[i].name))
			printf("# differs in round %u: %02x %02x %02x %02x %02x %02x %02x\n",
			       n, code[0], code[1], code[2], code[3], code[4],
			       code[5], code[6]);
	}
	test_crossing(&ops, code);
	munmap(code, 4096);
}

int main(void)
{
	if (has_avx512()) {
		unit_seed();
		test_forms();
	} else {
		unit_skip("AVX-512 as the CPU", "no AVX-512 on this CPU");
	}
	return unit_end();
}
