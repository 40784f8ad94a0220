// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of vector and extended state that native_test cannot make in user
 * mode.
 */
#include "machine.h"

static void test_vector_state(void)
{
	kernel(INSN_MODE_64);
	e.cr[0] |= 8;
	refuses("MOVUPS with TS is #NM", STEP("\x0f\x11\x07"), NM, -1);
	kernel(INSN_MODE_64);
	e.cr[0] |= 4;
	refuses("MOVUPS with EM is #UD", STEP("\x0f\x11\x07"), UD, -1);
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 9);
	refuses("MOVUPS without OSFXSR is #UD", STEP("\x0f\x11\x07"), UD, -1);
	kernel(INSN_MODE_64);
	e.xcr0 = 3;
	refuses("VMOVUPS without AVX in XCR0 is #UD", STEP("\xc5\xf8\x11\x07"),
		UD, -1);
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 18);
	refuses("VMOVUPS without OSXSAVE is #UD", STEP("\xc5\xf8\x11\x07"), UD,
		-1);
}

/* Tests forms of FXSAVE that native_test cannot make in user mode. */
static void test_state_stores(void)
{
	const u8 filled = 0xcc, *image = e.mem + (AT - ENV_MEM);

	kernel(INSN_MODE_64);
	e.cr[0] |= 8;
	refuses("FXSAVE with TS is #NM", STEP("\x0f\xae\x07"), NM, -1);
	refuses("XSAVE with TS is #NM", STEP("\x0f\xae\x27"), NM, -1);
	refuses("FNSTCW with TS is #NM", STEP("\xd9\x3f"), NM, -1);
	kernel(INSN_MODE_64);
	e.cr[0] |= 4;
	refuses("FXSAVE with EM is #NM", STEP("\x0f\xae\x07"), NM, -1);
	refuses("STMXCSR with EM is #UD", STEP("\x0f\xae\x1f"), UD, -1);
	kernel(INSN_MODE_64);
	refuses("VSTMXCSR with L is #UD", STEP("\xc5\xfc\xae\x1f"), UD, -1);
	refuses("VSTMXCSR with vvvv is #UD", STEP("\xc5\xf0\xae\x1f"), UD, -1);
	unit_result(STEP("\xc5\xf8\xae\x1f") == EMUL_OK && image[0] == 0x80 &&
			    image[1] == 0x1f,
		    "VSTMXCSR");
	kernel(INSN_MODE_64);
	e.xcr0 = 3;
	refuses("VSTMXCSR without AVX in XCR0 is #UD", STEP("\xc5\xf8\xae\x1f"),
		UD, -1);
	unit_result(STEP("\x0f\xae\x27") == EMUL_OK, "XSAVE with EM");
	kernel(INSN_MODE_64);
	e.cr[4] &= ~(1ull << 18);
	refuses("XSAVE without OSXSAVE is #UD", STEP("\x0f\xae\x27"), UD, -1);
	kernel(INSN_MODE_64);
	e.c.regs[INSN_RDI] += 8;
	refuses("FXSAVE to 8 bytes is #GP", STEP("\x0f\xae\x07"), GP, 0);
	e.c.regs[INSN_RDI] += 8;
	refuses("XSAVE to 16 bytes is #GP", STEP("\x0f\xae\x27"), GP, 0);
	kernel(INSN_MODE_64);
	e.c.cpl = 3;
	refuses("XSAVES in ring 3 is #GP", STEP("\x0f\xc7\x2f"), GP, 0);

	kernel(INSN_MODE_32);
	e.cr[4] &= ~(1ull << 9);
	memset(e.mem, filled, sizeof(e.mem));
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[0] == 0x7f &&
			    image[24] == filled && image[159] != filled &&
			    image[160] == filled,
		    "FXSAVE without OSFXSR: the x87 registers");
	kernel(INSN_MODE_64);
	memset(e.mem, filled, sizeof(e.mem));
	e.c.features |= EMUL_FEAT_FFXSR;
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[24] == 0x80 &&
			    image[160] == filled,
		    "FXSAVE with FFXSR in ring 0: no XMM registers");
	e.c.cpl = 3;
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && image[160] != filled,
		    "FXSAVE with FFXSR in ring 3: all");
	e.deny = true;
	memset(e.mem, filled, sizeof(e.mem));
	unit_result(STEP("\x0f\xae\x07") == EMUL_OK && e.writes > 8 &&
			    image[0] == filled && image[415] == filled,
		    "FXSAVE, denied");

	/* When part of the operand is in no page, nothing is stored. */
	kernel(INSN_MODE_64);
	memset(e.mem, filled, sizeof(e.mem));
	e.c.regs[INSN_RDI] = ENV_MEM + ENV_BYTES - 256;
	refuses("FXSAVE over the end of memory is #PF", STEP("\x0f\xae\x07"),
		ENV_PF, 2);
	unit_result(e.mem[ENV_BYTES - 256] == filled, "and stores nothing");
}

/* Begins an XSAVE with AVX-512. @xinuse says which components are in use. */
static void begin_xsave(enum insn_mode mode, u64 xinuse, u8 filled)
{
	kernel(mode);
	e.xcr0 = 0xe7;
	e.xinuse = xinuse;
	e.c.regs[INSN_RAX] = 0xffffffff;
	e.c.regs[INSN_RDX] = 0xffffffff;
	memset(e.mem, filled, sizeof(e.mem));
}

static void test_xsave(void)
{
	const u8 filled = 0xcc, *image = e.mem + (AT - ENV_MEM);
	u64 header[2];
	int ret;

	begin_xsave(INSN_MODE_64, ~0ull, filled);
	ret = STEP("\x0f\xae\x27");
	memcpy(header, image + 512, 16);
	unit_result(ret == EMUL_OK && header[0] == 0xccccccccccccccefull &&
			    header[1] == 0xccccccccccccccccull &&
			    image[416] == filled && image[832] == filled &&
			    image[1088] == ENV_COMPONENT(5) &&
			    image[1151] == ENV_COMPONENT(5) &&
			    image[1663] == ENV_COMPONENT(6) &&
			    image[1664] == ENV_COMPONENT(7) &&
			    image[2687] == ENV_COMPONENT(7) &&
			    image[2688] == filled,
		    "XSAVE of AVX-512 state");
	begin_xsave(INSN_MODE_32, ~0ull, filled);
	ret = STEP("\x0f\xae\x27");
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0xcccccccccccccc6full &&
			    image[287] != filled && image[288] == filled &&
			    image[704] == filled &&
			    image[1151] == ENV_COMPONENT(5) &&
			    image[1407] == ENV_COMPONENT(6) &&
			    image[1408] == filled && image[1664] == filled,
		    "XSAVE of AVX-512 state in 32-bit mode");
	begin_xsave(INSN_MODE_64, 0x25, filled);
	ret = STEP("\x0f\xae\x37");
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0xcccccccccccccc2dull &&
			    image[24] == 0x80 && image[160] == filled &&
			    image[1088] == ENV_COMPONENT(5) &&
			    image[1152] == filled && image[1664] == filled,
		    "XSAVEOPT leaves out what is not in use, but for MXCSR");
	begin_xsave(INSN_MODE_64, 0x21, filled);
	ret = STEP("\x0f\xc7\x27");
	memcpy(header, image + 512, 16);
	unit_result(ret == EMUL_OK && header[0] == 0x21 &&
			    header[1] == 0x80000000000000e7ull &&
			    image[528] == filled && image[24] == filled &&
			    image[576] == filled &&
			    image[832] == ENV_COMPONENT(5) &&
			    image[895] == ENV_COMPONENT(5) &&
			    image[896] == filled,
		    "XSAVEC leaves out what is not in use, and no room");

	/*
	 * The instruction stores the state that it began with, whatever is in
	 * use when it goes on.
	 */
	begin_xsave(INSN_MODE_64, 0x20, filled);
	e.pend_at = 0;
	ret = STEP("\x0f\xc7\x27");
	e.xinuse = ~0ull;
	if (ret == EMUL_PENDING && vigil_emul_complete(&e.c, NULL) == EMUL_OK)
		ret = vigil_emulate(&e.c, &env_ops);
	memcpy(header, image + 512, 8);
	unit_result(ret == EMUL_OK && header[0] == 0x20 && image[0] == filled,
		    "XSAVEC stores the state that it began with");
}

int main(void)
{
	test_vector_state();
	test_state_stores();
	test_xsave();
	return unit_end();
}
