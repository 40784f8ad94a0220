// SPDX-License-Identifier: GPL-2.0
/*
 * The x87 environment: FNSTENV and FLDENV, and with the data registers FNSAVE and
 * FRSTOR. SDM volume 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and
 * FSAVE/FNSAVE".
 *
 * The host's CPU stores and loads the environment in the 32-bit format of protected
 * mode. The other three formats hold a part of that one, and are made here.
 */
#include "emul.h"

#define FOP_MASK 0x7ff

/*
 * The 32-bit format of protected mode: upper halves are reserved, but fcs has FOP
 * there.
 */
struct env32 {
	u32 fcw, fsw, ftw, fip, fcs, fdp, fds;
};

static_assert(sizeof(struct env32) == EMUL_ENV_BYTES, "as the CPU has it");

#define FOP_SHIFT 16

#define ENV16_WORDS 7
#define REG_BYTES 10
#define REGS_BYTES (8 * REG_BYTES)

/* The most bytes that any of the instructions stores or loads. */
#define MAX_BYTES (EMUL_ENV_BYTES + REGS_BYTES)

/* 66 selects the 16-bit format; in 64-bit mode REX.W selects the 32-bit one again. */
static bool is_narrow(const struct emul_ctxt *c)
{
	return c->insn.opsize == 2;
}

static unsigned int env_bytes(const struct emul_ctxt *c)
{
	return is_narrow(c) ? 2 * ENV16_WORDS : EMUL_ENV_BYTES;
}

static bool has_regs(const struct emul_ctxt *c)
{
	return c->insn.op == INSN_OP_FNSAVE || c->insn.op == INSN_OP_FRSTOR;
}

static u32 opcode(const struct env32 *e)
{
	return e->fcs >> FOP_SHIFT & FOP_MASK;
}

/* In real mode and VM86 a pointer is stored as a linear address. */
static u32 real_pointer(u16 sel, u32 offset)
{
	return ((u32)sel << 4) + offset;
}

static void to_env16(const struct emul_ctxt *c, const struct env32 *e, u8 *buf)
{
	u16 w[ENV16_WORDS] = { e->fcw, e->fsw, e->ftw, e->fip,
			       e->fcs, e->fdp, e->fds };
	u32 ip, dp;

	if (!emul_protected(c)) {
		ip = real_pointer(e->fcs, e->fip);
		dp = real_pointer(e->fds, e->fdp);
		w[3] = ip;
		w[4] = (ip >> 16 & 0xf) << 12 | opcode(e);
		w[5] = dp;
		w[6] = (dp >> 16 & 0xf) << 12;
	}
	memcpy(buf, w, sizeof(w));
}

static void from_env16(const struct emul_ctxt *c, const u8 *buf,
		       struct env32 *e)
{
	u16 w[ENV16_WORDS];

	memcpy(w, buf, sizeof(w));
	*e = (struct env32){ w[0], w[1], w[2], w[3], w[4], w[5], w[6] };
	if (!emul_protected(c)) {
		e->fip |= (u32)(w[4] >> 12) << 16;
		e->fcs = (u32)(w[4] & FOP_MASK) << FOP_SHIFT;
		e->fdp |= (u32)(w[6] >> 12) << 16;
		e->fds = 0;
	}
}

/* Reserved bits are as the CPU stores them beside FCW. */
static void to_env32(const struct emul_ctxt *c, const struct env32 *e, u8 *buf)
{
	u32 ip, dp, reserved = e->fcw & 0xffff0000;
	struct env32 out = *e;

	if (!emul_protected(c)) {
		ip = real_pointer(e->fcs, e->fip);
		dp = real_pointer(e->fds, e->fdp);
		out.fip = reserved | (u16)ip;
		out.fcs = ip >> 16 << 12 | opcode(e);
		out.fdp = reserved | (u16)dp;
		out.fds = dp >> 16 << 12;
	}
	memcpy(buf, &out, sizeof(out));
}

static void from_env32(const struct emul_ctxt *c, const u8 *buf,
		       struct env32 *e)
{
	struct env32 in;

	memcpy(&in, buf, sizeof(in));
	*e = in;
	if (!emul_protected(c)) {
		e->fip = (u16)in.fip | (in.fcs >> 12 & 0xffff) << 16;
		e->fcs = (in.fcs & FOP_MASK) << FOP_SHIFT;
		e->fdp = (u16)in.fdp | (in.fds >> 12 & 0xffff) << 16;
		e->fds = 0;
	}
}

/*
 * Finds the operand. Its alignment, which counts while RFLAGS.AC is set, is that of
 * its words.
 */
static int locate(struct emul_ctxt *c, bool write, u64 *la, unsigned int *bytes)
{
	unsigned int word = is_narrow(c) ? 2 : 4;
	u64 ea = emul_ea(c);
	int ret;

	*bytes = env_bytes(c) + (has_regs(c) ? REGS_BYTES : 0);
	ret = emul_linear(c, c->insn.seg, ea, *bytes, write, la);
	return ret ? ret : emul_linear(c, c->insn.seg, ea, word, write, la);
}

/* FNSTENV, FNSAVE: neither looks for a pending exception. */
int emul_op_fnsave(struct emul_ctxt *c)
{
	u8 buf[MAX_BYTES], *p = buf;
	unsigned int bytes, i;
	struct env32 e;
	u64 la;
	int ret;

	if (!c->ops->x87_stored)
		return EMUL_UNHANDLED;
	ret = emul_check_fpu(c);
	if (!ret)
		ret = locate(c, true, &la, &bytes);
	if (!ret)
		ret = emul_get_image(c, EMUL_SAVE_FNSTENV, 0);
	if (ret)
		return ret;
	memcpy(&e, c->image + EMUL_AT_ENV, sizeof(e));
	if (is_narrow(c))
		to_env16(c, &e, p);
	else
		to_env32(c, &e, p);
	p += env_bytes(c);
	for (i = 0; i < 8 && has_regs(c); i++, p += REG_BYTES)
		memcpy(p, c->image + AT_ST + 16 * i, REG_BYTES);
	ret = emul_probe_block(c, la, bytes);
	if (!ret)
		ret = emul_write_block(c, la, buf, bytes);
	return ret ? ret : c->ops->x87_stored(c, has_regs(c));
}

/* FLDENV, FRSTOR */
int emul_op_frstor(struct emul_ctxt *c)
{
	u8 buf[MAX_BYTES], image[MAX_BYTES];
	unsigned int bytes, at, n;
	struct env32 e;
	u64 la;
	int ret;

	if (!c->ops->load_x87)
		return EMUL_UNHANDLED;
	ret = emul_x87_image(c);
	if (!ret)
		ret = locate(c, false, &la, &bytes);
	for (at = 0; !ret && at < bytes; at += n) {
		n = bytes - at < EMUL_MAX_ACCESS ? bytes - at : EMUL_MAX_ACCESS;
		ret = emul_read_linear(c, emul_wrap(c, la + at), buf + at, n,
				       0);
	}
	if (ret)
		return ret;
	if (is_narrow(c))
		from_env16(c, buf, &e);
	else
		from_env32(c, buf, &e);
	memcpy(image, &e, sizeof(e));
	if (has_regs(c))
		memcpy(image + sizeof(e), buf + env_bytes(c), REGS_BYTES);
	return c->ops->load_x87(c, image, has_regs(c));
}
