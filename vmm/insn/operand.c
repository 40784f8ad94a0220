// SPDX-License-Identifier: GPL-2.0
/*
 * The x86 instruction decoder: operands, and encodings that are refused.
 */
#include "table.h"

static void reg_operand(struct insn *insn, struct insn_opd *o, u8 reg, u8 size)
{
	o->kind = INSN_OPD_REG;
	o->reg = reg;
	o->size = size;
	/* Without REX, byte registers 4 to 7 are AH, CH, DH and BH. */
	if (size == 1 && reg >= 4 && reg < 8 &&
	    !(insn->prefix & (INSN_PFX_REX | INSN_PFX_VEX))) {
		o->kind = INSN_OPD_REG_HIGH;
		o->reg = reg - 4;
	}
}

static u8 reg_field(const struct insn *insn)
{
	return ((insn->modrm >> 3) & 7) | (insn->rex & REX_R ? 8 : 0);
}

static u8 rm_field(const struct insn *insn)
{
	return (insn->modrm & 7) | (insn->rex & REX_B ? 8 : 0);
}

/* The size letter of a specifier. */
u8 insn_spec_size(const struct insn *insn, u8 spec)
{
	switch (spec) {
	case SPEC_Eb:
	case SPEC_Mb:
	case SPEC_Gb:
	case SPEC_Zb:
	case SPEC_Ob:
	case SPEC_Xb:
	case SPEC_Yb:
	case SPEC_Ab:
		return 1;
	case SPEC_Ew:
	case SPEC_Mw:
	case SPEC_Gw:
	case SPEC_Sw:
	case SPEC_DX:
		return 2;
	case SPEC_Ed:
	case SPEC_EdMb:
	case SPEC_EdMw:
	case SPEC_Md:
	case SPEC_Gd:
	case SPEC_Vd:
	case SPEC_Wd:
		return 4;
	case SPEC_Eq:
	case SPEC_Mq:
	case SPEC_Vq:
	case SPEC_Wq:
	case SPEC_Pq:
	case SPEC_Qq:
		return 8;
	case SPEC_Ey:
	case SPEC_My:
	case SPEC_Gy:
	case SPEC_Ry:
	case SPEC_By:
		return insn->rex & REX_W ? 8 : 4;
	case SPEC_Az:
	case SPEC_Xz:
	case SPEC_Yz:
	case SPEC_Gz:
		return insn->opsize == 2 ? 2 : 4;
	case SPEC_Rn:
	case SPEC_Cn:
	case SPEC_Dn:
		return insn->mode == INSN_MODE_64 ? 8 : 4;
	case SPEC_Mt:
		return insn->mode == INSN_MODE_64 ? 10 : 6;
	case SPEC_M80:
		return 10;
	case SPEC_Mp:
		return insn->opsize + 2;
	case SPEC_Vx:
	case SPEC_Wx:
	case SPEC_Mx:
	case SPEC_Rx:
		return 16 << insn->vex_l;
	case SPEC_Mx2:
		return 8 << insn->vex_l;
	case SPEC_Mx4:
		return 4 << insn->vex_l;
	case SPEC_Mx8:
		return 2 << insn->vex_l;
	case SPEC_Vdq:
	case SPEC_Wdq:
	case SPEC_Mdq:
	case SPEC_Rdq:
		return 16;
	case SPEC_Mqq:
		return 32;
	case SPEC_E_:
	case SPEC_M_:
		return 0;
	}
	return insn->opsize;
}

static bool valid_cr(unsigned int nr)
{
	return nr == 0 || nr == 2 || nr == 3 || nr == 4 || nr == 8;
}

/* modrm.rm: memory, or a register of the kind that the specifier wants */
static void rm_operand(struct insn *insn, struct insn_opd *o, u8 spec)
{
	u8 size = insn_spec_size(insn, spec);

	if (insn->has_mem) {
		o->kind = INSN_OPD_MEM;
		o->size = size;
		if (spec == SPEC_EwMw || spec == SPEC_EdMw)
			o->size = 2;
		else if (spec == SPEC_EdMb)
			o->size = 1;
		if (spec >= SPEC_Rv && spec <= SPEC_Rn)
			insn->flags |= INSN_BAD_FORM;
		return;
	}
	if (spec >= SPEC_Mb && spec <= SPEC_M_)
		insn->flags |= INSN_BAD_FORM;
	if (spec >= SPEC_Vx && spec <= SPEC_Rdq) {
		o->kind = INSN_OPD_VEC;
		o->reg = rm_field(insn);
		o->size = size;
	} else if (spec == SPEC_Qq) {
		o->kind = INSN_OPD_MMX;
		o->reg = insn->modrm & 7;
		o->size = 8;
	} else {
		reg_operand(insn, o, rm_field(insn), size);
	}
}

static void segment_operand(struct insn *insn, struct insn_opd *o)
{
	o->kind = INSN_OPD_SEG;
	o->size = 2;
	if (insn->flags & INSN_MODRM)
		o->reg = (insn->modrm >> 3) & 7;
	else
		o->reg = (insn->opcode >> 3) & 7;
	if (o->reg > INSN_SEG_GS ||
	    (insn->op == INSN_OP_MOV_TO_SEG && o->reg == INSN_SEG_CS))
		insn->flags |= INSN_BAD_FORM;
}

static void control_operand(struct insn *insn, struct insn_opd *o, u8 spec)
{
	o->kind = spec == SPEC_Cn ? INSN_OPD_CR : INSN_OPD_DR;
	o->reg = reg_field(insn);
	o->size = insn_spec_size(insn, spec);
	if (spec == SPEC_Cn) {
		/* On AMD, LOCK MOV CR0 accesses CR8 outside of 64-bit mode. */
		if (o->reg == 0 && insn->prefix & INSN_PFX_LOCK) {
			o->reg = 8;
			insn->flags |= INSN_LOCKABLE;
		}
		if (!valid_cr(o->reg))
			insn->flags |= INSN_BAD_FORM;
	} else if (o->reg > 7) {
		insn->flags |= INSN_BAD_FORM;
	}
}

static void string_operand(struct insn *insn, struct insn_opd *o, u8 spec)
{
	bool source = spec >= SPEC_Xb && spec <= SPEC_Xz;

	o->kind = INSN_OPD_MEM;
	o->size = insn_spec_size(insn, spec);
	/* A segment override applies to the source, so insn.seg describes the source. */
	if (source) {
		insn->base = INSN_RSI;
		insn->seg = INSN_SEG_DS;
	} else if (!insn->has_mem) {
		insn->base = INSN_RDI;
		insn->seg = INSN_SEG_ES;
	}
	insn->has_mem = true;
}

static void operand(struct insn *insn, struct insn_opd *o, u8 spec)
{
	u8 size = insn_spec_size(insn, spec);

	switch (spec) {
	case SPEC___:
		break;
	case SPEC_Eb ... SPEC_EdMw:
	case SPEC_Wx ... SPEC_Rdq:
	case SPEC_Qq:
		rm_operand(insn, o, spec);
		break;
	case SPEC_Gb ... SPEC_Gz:
		reg_operand(insn, o, reg_field(insn), size);
		break;
	case SPEC_Zb:
	case SPEC_Zv:
		reg_operand(insn, o,
			    (insn->opcode & 7) | (insn->rex & REX_B ? 8 : 0),
			    size);
		break;
	case SPEC_By:
		reg_operand(insn, o, insn->vex_v, size);
		break;
	case SPEC_Ib ... SPEC_Iv:
	case SPEC_Ap:
		o->kind = INSN_OPD_IMM;
		o->size = size;
		break;
	case SPEC_I2b:
		o->kind = INSN_OPD_IMM2;
		o->size = 1;
		break;
	case SPEC_Jb:
	case SPEC_Jz:
		o->kind = INSN_OPD_REL;
		o->size = size;
		break;
	case SPEC_Ob:
	case SPEC_Ov:
		o->kind = INSN_OPD_MEM;
		o->size = size;
		break;
	case SPEC_Xb ... SPEC_Yz:
		string_operand(insn, o, spec);
		break;
	case SPEC_Ab ... SPEC_Az:
		reg_operand(insn, o, INSN_RAX, size);
		break;
	case SPEC_CL:
		reg_operand(insn, o, INSN_RCX, 1);
		break;
	case SPEC_DX:
		reg_operand(insn, o, INSN_RDX, 2);
		break;
	case SPEC_One:
		o->kind = INSN_OPD_ONE;
		o->size = 1;
		break;
	case SPEC_Sw:
		segment_operand(insn, o);
		break;
	case SPEC_Cn:
	case SPEC_Dn:
		control_operand(insn, o, spec);
		break;
	case SPEC_Vx ... SPEC_Vd:
		o->kind = INSN_OPD_VEC;
		o->reg = reg_field(insn) | (insn->evex_r ? 16 : 0);
		o->size = size;
		break;
	case SPEC_Pq:
		o->kind = INSN_OPD_MMX;
		o->reg = (insn->modrm >> 3) & 7;
		o->size = 8;
		break;
	}
}

/* Encodings that every CPU refuses. */
static void check_forms(struct insn *insn)
{
	bool lockable = insn->flags & INSN_LOCKABLE;

	if (insn->op == INSN_OP_UD)
		insn->flags |= INSN_BAD_FORM;
	if (insn->flags & INSN_NO64 && insn->mode == INSN_MODE_64)
		insn->flags |= INSN_BAD_FORM;
	if (insn->prefix & INSN_PFX_LOCK &&
	    !(lockable && (insn->opd[0].kind == INSN_OPD_MEM ||
			   insn->opd[0].kind == INSN_OPD_CR ||
			   insn->opd[1].kind == INSN_OPD_CR)))
		insn->flags |= INSN_BAD_LOCK;
	if (!(insn->prefix & INSN_PFX_VEX))
		return;
	/* Moves of two operands need vvvv = 1111b, and narrow ones L = 0, else #UD. */
	switch (insn->op) {
	case INSN_OP_VMOV:
		if (insn->vex_v)
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_VMOVD:
	case INSN_OP_VMOVQ:
	case INSN_OP_STMXCSR:
		if (insn->vex_v || insn->vex_l)
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_VMOVLOW:
	case INSN_OP_VMOVHIGH:
		if (insn->vex_l ||
		    (insn->opd[0].kind == INSN_OPD_MEM && insn->vex_v))
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_VMOVS:
		if (insn->vex_v && insn->has_mem)
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_VEXTRACT:
		/* VEXTRACTF128 needs 256 bits; VPEXTR needs 128. */
		if (insn->vex_v || (insn->opd[0].size == 16 ?
					    !insn->vex_l || insn->rex & REX_W :
					    insn->vex_l))
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_VMASKMOV:
		if (insn->opcode < 0x30 && insn->rex & REX_W)
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_KSTORE:
		/* There are eight opmask registers. */
		if (insn->vex_v || insn->vex_l || insn->rex & REX_R)
			insn->flags |= INSN_BAD_FORM;
		break;
	case INSN_OP_MASKMOV:
	case INSN_OP_RORX:
		if (insn->vex_v || insn->vex_l)
			insn->flags |= INSN_BAD_FORM;
		break;
	default:
		if (!(insn->flags & INSN_VECTOR) && insn->vex_l)
			insn->flags |= INSN_BAD_FORM;
		break;
	}
}

static bool is_plain_store(const struct insn *insn)
{
	const struct insn_opd *o = insn->opd;

	return insn->op == INSN_OP_MOV && o[0].kind == INSN_OPD_MEM &&
	       (o[1].kind == INSN_OPD_REG || o[1].kind == INSN_OPD_IMM) &&
	       !(insn->flags & (INSN_BAD_LOCK | INSN_BAD_FORM));
}

void insn_operands(struct insn *insn, const struct insn_row *row)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insn->opd); i++)
		operand(insn, &insn->opd[i], row->spec[i]);
	if (insn->prefix & INSN_PFX_SEG &&
	    !(row->flags & INSN_STRING && insn->base == INSN_RDI))
		insn->seg = insn->seg_override;
	check_forms(insn);
	if (is_plain_store(insn))
		insn->flags |= INSN_PLAIN_STORE;
}
