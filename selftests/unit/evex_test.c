// SPDX-License-Identifier: GPL-2.0
/* Stores that EVEX encodes: the registers, lengths and masks of AVX-512. */
#include "machine.h"

static void begin_evex(enum insn_mode mode, u8 filled)
{
	unsigned int i;

	kernel(mode);
	e.xcr0 = 0xe7;
	for (i = 0; i < 32; i++)
		e.vec[1][i] = i + 1;
	memset(e.mem, filled, sizeof(e.mem));
}

/*
 * Returns byte @i of ZMM1 or ZMM17. env_save_state() makes up their upper
 * parts.
 */
static u8 zmm_byte(bool high, unsigned int i)
{
	if (high)
		return ENV_COMPONENT(7);
	return i < 32 ? i + 1 : ENV_COMPONENT(6);
}

/* Returns the bit for element @i, which is the same in each opmask register. */
static bool opmask_bit(unsigned int i)
{
	return ENV_COMPONENT(5) >> i % 8 & 1;
}

struct evex {
	const char *name, *code;
	u8 n;
	bool high; /* ZMM17 */
	u8 from, bytes; /* of the register */
	u8 each; /* bytes of a masked element, 0 without a mask */
	enum insn_mode mode;
	u8 at; /* from where rDI points to */
};

static const struct evex evexes[] = {
	{ "VMOVDQU64 ZMM", "\x62\xf1\xfe\x48\x7f\x0f", 6, 0, 0, 64, 0, 64, 0 },
	{ "VMOVDQU64 [rdi+64], ZMM17", "\x62\xe1\xfe\x48\x7f\x4f\x01", 7, 1, 0,
	  64, 0, 64, 64 },
	{ "VMOVUPS XMM {k}", "\x62\xf1\x7c\x09\x11\x0f", 6, 0, 0, 16, 4, 64,
	  0 },
	{ "VMOVUPD YMM {k}", "\x62\xf1\xfd\x29\x11\x0f", 6, 0, 0, 32, 8, 64,
	  0 },
	{ "VMOVDQU8 ZMM {k}", "\x62\xf1\x7f\x49\x7f\x0f", 6, 0, 0, 64, 1, 64,
	  0 },
	{ "VMOVDQU16 YMM {k}", "\x62\xf1\xff\x2a\x7f\x0f", 6, 0, 0, 32, 2, 64,
	  0 },
	{ "VMOVDQU16 YMM {k}, 32-bit", "\x62\xf1\xff\x2a\x7f\x0f", 6, 0, 0, 32,
	  2, 32, 0 },
	{ "VMOVDQA32 ZMM", "\x62\xf1\x7d\x48\x7f\x0f", 6, 0, 0, 64, 0, 64, 0 },
	{ "VMOVNTDQ ZMM17", "\x62\xe1\x7d\x48\xe7\x0f", 6, 1, 0, 64, 0, 64, 0 },
	{ "VMOVHPS", "\x62\xf1\x7c\x08\x17\x0f", 6, 0, 8, 8, 0, 64, 0 },
	{ "VMOVLPD", "\x62\xf1\xfd\x08\x13\x0f", 6, 0, 0, 8, 0, 64, 0 },
	{ "VMOVQ", "\x62\xf1\xfd\x08\x7e\x0f", 6, 0, 0, 8, 0, 64, 0 },
	{ "VMOVQ, the other", "\x62\xf1\xfd\x08\xd6\x0f", 6, 0, 0, 8, 0, 64,
	  0 },
	{ "VMOVD", "\x62\xf1\x7d\x08\x7e\x0f", 6, 0, 0, 4, 0, 64, 0 },
	{ "VMOVSS XMM17 {k}", "\x62\xe1\x7e\x09\x11\x0f", 6, 1, 0, 4, 4, 64,
	  0 },
	{ "VMOVSD {k}", "\x62\xf1\xff\x09\x11\x0f", 6, 0, 0, 8, 8, 64, 0 },
	{ "VEXTRACTI32X4 2", "\x62\xf3\x7d\x48\x39\x0f\x02", 7, 0, 32, 16, 0,
	  64, 0 },
	{ "VEXTRACTI32X4 1 {k}", "\x62\xf3\x7d\x49\x39\x0f\x01", 7, 0, 16, 16,
	  4, 64, 0 },
	{ "VEXTRACTI64X4 1", "\x62\xf3\xfd\x48\x3b\x0f\x01", 7, 0, 32, 32, 0,
	  64, 0 },
	{ "VEXTRACTF64X2 1 of YMM", "\x62\xf3\xfd\x28\x19\x0f\x01", 7, 0, 16,
	  16, 0, 64, 0 },
	{ "VPEXTRW 3", "\x62\xf3\x7d\x08\x15\x0f\x03", 7, 0, 6, 2, 0, 64, 0 },
	{ "VPEXTRB 13", "\x62\xf3\x7d\x08\x14\x0f\x0d", 7, 0, 13, 1, 0, 64, 0 },
	{ "VPEXTRQ 1 of XMM17", "\x62\xe3\xfd\x08\x16\x0f\x01", 7, 1, 8, 8, 0,
	  64, 0 },
};

static void test_evex_stores(void)
{
	const u8 filled = 0xcc;
	u8 want[ENV_BYTES];
	unsigned int i, k;
	int ret;

	for (i = 0; i < ARRAY_SIZE(evexes); i++) {
		const struct evex *x = &evexes[i];
		u8 *to = want + (AT - ENV_MEM) + x->at;

		memset(want, filled, sizeof(want));
		for (k = 0; k < x->bytes; k++)
			if (!x->each || opmask_bit(k / x->each))
				to[k] = zmm_byte(x->high, x->from + k);
		begin_evex(x->mode, filled);
		ret = env_step(&e, (const u8 *)x->code, x->n);
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n &&
				    !memcmp(e.mem, want, sizeof(want)),
			    "EVEX: %s", x->name);

		/* Each transaction pends. Then all of them are denied. */
		begin_evex(x->mode, filled);
		e.pend_at = 0;
		ret = env_step(&e, (const u8 *)x->code, x->n);
		while (ret == EMUL_PENDING &&
		       vigil_emul_complete(&e.c, NULL) == EMUL_OK) {
			e.pend_at = 0;
			ret = vigil_emulate(&e.c, &env_ops);
		}
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n,
			    "EVEX: %s, held", x->name);
		begin_evex(x->mode, filled);
		e.deny = true;
		memset(want, filled, sizeof(want));
		ret = env_step(&e, (const u8 *)x->code, x->n);
		unit_result(ret == EMUL_OK && e.c.rip == 0x1000 + x->n &&
				    !memcmp(e.mem, want, sizeof(want)),
			    "EVEX: %s, denied", x->name);
	}
}

/* Opmask register 3, in each size. */
static void test_kmov(void)
{
	static const struct {
		const char *name, *code;
		u8 n, bytes;
		enum insn_mode mode;
	} kmovs[] = {
		{ "KMOVB", "\xc5\xf9\x91\x1f", 4, 1, 64 },
		{ "KMOVW", "\xc5\xf8\x91\x1f", 4, 2, 64 },
		{ "KMOVW, 32-bit", "\xc5\xf8\x91\x1f", 4, 2, 32 },
		{ "KMOVD", "\xc4\xe1\xf9\x91\x1f", 5, 4, 64 },
		{ "KMOVQ", "\xc4\xe1\xf8\x91\x1f", 5, 8, 64 },
	};
	const u8 filled = 0xcc;
	u8 want[ENV_BYTES];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kmovs); i++) {
		memset(want, filled, sizeof(want));
		memset(want + (AT - ENV_MEM), ENV_COMPONENT(5), kmovs[i].bytes);
		begin_evex(kmovs[i].mode, filled);
		unit_result(env_step(&e, (const u8 *)kmovs[i].code,
				     kmovs[i].n) == EMUL_OK &&
				    !memcmp(e.mem, want, sizeof(want)),
			    "%s", kmovs[i].name);
	}
	begin_evex(INSN_MODE_64, filled);
	refuses("KMOVW of a ninth register is #UD", STEP("\xc5\x78\x91\x1f"),
		UD, -1);
	begin_evex(INSN_MODE_64, filled);
	refuses("KMOVW with L is #UD", STEP("\xc5\xfc\x91\x1f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.xcr0 = 7;
	refuses("KMOVW without AVX-512 in XCR0 is #UD",
		STEP("\xc5\xf8\x91\x1f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.pend_at = 0;
	unit_result(STEP("\xc5\xf8\x91\x1f") == EMUL_PENDING &&
			    vigil_emul_complete(&e.c, NULL) == EMUL_OK &&
			    vigil_emulate(&e.c, &env_ops) == EMUL_OK &&
			    e.c.rip == 0x1004,
		    "KMOVW, held");
}

static void test_evex_faults(void)
{
	const u8 filled = 0xcc, *end = e.mem + ENV_BYTES;

	/*
	 * The mask takes elements 0 and 2. Neither lies beyond the end, then
	 * one does.
	 */
	begin_evex(INSN_MODE_64, filled);
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 12;
	unit_result(STEP("\x62\xf1\x7c\x09\x11\x0f") == EMUL_OK &&
			    end[-12] == 1 && end[-8] == filled && end[-4] == 9,
		    "EVEX: what the mask leaves out does not fault");
	begin_evex(INSN_MODE_64, filled);
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 8;
	refuses("EVEX: an element beyond memory is #PF",
		STEP("\x62\xf1\x7c\x09\x11\x0f"), ENV_PF, 2);
	unit_result(end[-8] == filled, "EVEX: and nothing is stored");

	begin_evex(INSN_MODE_64, filled);
	refuses("EVEX: VMOVAPS to 16 bytes is #GP",
		STEP("\x62\xf1\x7c\x48\x29\x8f\x10\x00\x00\x00"), GP, 0);
	begin_evex(INSN_MODE_64, filled);
	e.xcr0 = 7;
	refuses("EVEX: without AVX-512 in XCR0 is #UD",
		STEP("\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.cr[4] &= ~(1ull << 18);
	refuses("EVEX: without OSXSAVE is #UD",
		STEP("\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	begin_evex(INSN_MODE_64, filled);
	e.cr[0] |= 8;
	refuses("EVEX: with TS is #NM", STEP("\x62\xf1\xfe\x48\x7f\x0f"), NM,
		-1);
	begin_evex(INSN_MODE_64, filled);
	refuses("EVEX: behind a 66 is #UD",
		STEP("\x66\x62\xf1\xfe\x48\x7f\x0f"), UD, -1);
	real_mode();
	e.xcr0 = 0xe7;
	refuses("EVEX: in real mode is #UD", STEP("\x62\xf1\xfe\x48\x7f\x0f"),
		UD, -1);

	begin_evex(INSN_MODE_64, filled);
	unit_result(
		STEP("\x62\xf1\xfe\x48\x6f\xd1") == -1 &&
			STEP("\x62\xf1\xfe\x48\x7f\xd1") == -1 &&
			STEP("\x62\xf1\xfe\xc9\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xfe\x58\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xf6\x48\x7f\x0f") == -1 &&
			STEP("\x62\xf1\xfe\x68\x7f\x0f") == -1 &&
			STEP("\x62\xf1\x7d\x49\xe7\x0f") == -1 &&
			STEP("\x62\xf3\x7d\x08\x39\x0f\x00") == -1,
		"EVEX: loads, register forms and what no store has are unknown");
}

/*
 * Forms whose elements move: XMM1 has the bytes 1 to 16, and each byte of the masks is
 * 10100101b. evexcpu_test has the others, where the CPU has them.
 */
static void test_moved_elements(void)
{
	const u8 filled = 0xcc;
	unsigned int i;
	int ret;

	begin_evex(INSN_MODE_64, filled);
	unit_result(STEP("\x62\xf2\x7e\x08\x31\x0f") == EMUL_OK &&
			    at(AT, 8) == 0xcccccccc0d090501,
		    "VPMOVDB: the low byte of each");
	begin_evex(INSN_MODE_64, filled);
	unit_result(STEP("\x62\xf2\x7e\x08\x21\x0f") == EMUL_OK &&
			    at(AT, 8) == 0xcccccccc7f7f7f7f,
		    "VPMOVSDB: at the limit");
	begin_evex(INSN_MODE_64, filled);
	memset(e.vec[1], 0xff, 16);
	unit_result(STEP("\x62\xf2\x7e\x08\x21\x0f") == EMUL_OK &&
			    at(AT, 8) == 0xccccccccffffffff,
		    "VPMOVSDB: -1");
	begin_evex(INSN_MODE_64, filled);
	unit_result(STEP("\x62\xf2\xfd\x09\x63\x4f\x01") == EMUL_OK &&
			    at(AT, 2) == 0xcccc &&
			    at(AT + 2, 8) == 0x100f0c0b06050201 &&
			    at(AT + 10, 2) == 0xcccc,
		    "VPCOMPRESSW {k}: without gaps, disp8 counts elements");
	begin_evex(INSN_MODE_64, filled);
	for (i = 0; i < 4; i++)
		memcpy(e.vec[2] + 4 * i, &(s32){ 8 * (int)i - 16 }, 4);
	unit_result(
		STEP("\x62\xf2\x7d\x09\xa0\x0c\x17") == EMUL_OK &&
			e.opmask_cleared == 1 &&
			at(AT + 8, 4) ==
				(opmask_bit(3) ? 0x100f0e0d : 0xcccccccc) &&
			at(AT - 16, 4) ==
				(opmask_bit(0) ? 0x04030201 : 0xcccccccc),
		"VPSCATTERDD: where the mask says, and the mask is cleared");
	begin_evex(INSN_MODE_64, filled);
	memset(e.vec[2], 0x55, 16);
	unit_result(STEP("\x62\xf2\x7d\x09\xa0\x0c\x17") == EMUL_FAULT &&
			    e.opmask_cleared == -1 && !e.writes,
		    "VPSCATTERDD: a fault stores nothing");
	/* All 16 cross a page, and each transaction pends. */
	begin_evex(INSN_MODE_64, filled);
	memset(e.vec[2], 0, sizeof(e.vec[2]));
	e.c.regs[INSN_RDI] = ENV_MEM + 0xffe;
	e.pend_at = 0;
	ret = STEP("\x62\xf2\x7d\x29\xa0\x0c\x17");
	while (ret == EMUL_PENDING &&
	       vigil_emul_complete(&e.c, NULL) == EMUL_OK) {
		e.pend_at = 0;
		ret = vigil_emulate(&e.c, &env_ops);
	}
	unit_result(ret == EMUL_OK && e.opmask_cleared == 1,
		    "VPSCATTERDD: all elements cross a page, held");
	begin_evex(INSN_MODE_64, filled);
	unit_result(STEP("\x62\xf2\x7d\x08\xa0\x0c\x17") == -1 &&
			    STEP("\x62\xf2\x7d\x09\xa0\x0f") == -1 &&
			    STEP("\x62\xf2\x7d\x01\x8b\x0f") == -1 &&
			    STEP("\x62\xf2\xfe\x08\x31\x0f") == -1,
		    "no mask, no SIB, V' and W where there are none");
}

int main(void)
{
	test_evex_stores();
	test_moved_elements();
	test_kmov();
	test_evex_faults();
	return unit_end();
}
