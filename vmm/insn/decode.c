// SPDX-License-Identifier: GPL-2.0
/*
 * The x86 instruction decoder: prefixes, table look-up, layout.
 */
#include "table.h"

static_assert(INSN_OP_COUNT < 0x10000, "insn.op is 16 bits");

bool vigil_insn_near16 __ro_after_init;

/* The instruction stream and the position of the decoder in it. */
struct stream {
	const u8 *bytes;
	unsigned int avail;
	unsigned int pos;
};

#define PREFIX_LAST_REP (INSN_PFX_REP | INSN_PFX_REPNE)

/* Takes little-endian bytes off the stream, zero-extended. */
static int fetch(struct stream *s, unsigned int n, u64 *val)
{
	unsigned int i;
	u64 v = 0;

	if (s->pos + n > INSN_MAX_LEN)
		return INSN_TOO_LONG;
	if (s->pos + n > s->avail)
		return INSN_NEED_MORE;
	for (i = 0; i < n; i++)
		v |= (u64)s->bytes[s->pos + i] << (8 * i);
	s->pos += n;
	*val = v;
	return INSN_OK;
}

static int fetch_u8(struct stream *s, u8 *val)
{
	u64 v;
	int ret = fetch(s, 1, &v);

	if (!ret)
		*val = v;
	return ret;
}

static u64 sign_extend(u64 v, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (u64)((s64)(v << shift) >> shift);
}

static void set_segment(struct insn *insn, u8 seg)
{
	/* In 64-bit mode only FS and GS override; other prefixes do not even cancel them. */
	if (insn->mode == INSN_MODE_64 && seg < INSN_SEG_FS)
		return;
	insn->seg_override = seg;
	insn->prefix |= INSN_PFX_SEG;
}

/* Records a legacy prefix; false if @b is none. */
static bool legacy_prefix(struct insn *insn, u8 b)
{
	switch (b) {
	case 0x26:
		set_segment(insn, INSN_SEG_ES);
		return true;
	case 0x2e:
		set_segment(insn, INSN_SEG_CS);
		return true;
	case 0x36:
		set_segment(insn, INSN_SEG_SS);
		return true;
	case 0x3e:
		set_segment(insn, INSN_SEG_DS);
		return true;
	case 0x64:
		set_segment(insn, INSN_SEG_FS);
		return true;
	case 0x65:
		set_segment(insn, INSN_SEG_GS);
		return true;
	case 0x66:
		insn->prefix |= INSN_PFX_OPSIZE;
		return true;
	case 0x67:
		insn->prefix |= INSN_PFX_ADSIZE;
		return true;
	case 0xf0:
		insn->prefix |= INSN_PFX_LOCK;
		return true;
	case 0xf2:
		insn->prefix &= ~PREFIX_LAST_REP;
		insn->prefix |= INSN_PFX_REPNE;
		return true;
	case 0xf3:
		insn->prefix &= ~PREFIX_LAST_REP;
		insn->prefix |= INSN_PFX_REP;
		return true;
	}
	return false;
}

/* Consumes the prefixes but VEX and EVEX; *b becomes the first opcode byte. */
static int prefixes(struct insn *insn, struct stream *s, u8 *b)
{
	int ret;

	for (;;) {
		ret = fetch_u8(s, b);
		if (ret)
			return ret;
		if (legacy_prefix(insn, *b)) {
			/* REX counts only directly before the opcode */
			insn->prefix &= ~INSN_PFX_REX;
			insn->rex = 0;
		} else if (insn->mode == INSN_MODE_64 && (*b & 0xf0) == 0x40) {
			insn->prefix |= INSN_PFX_REX;
			insn->rex = *b & 0xf;
		} else {
			break;
		}
	}
	if (insn->prefix & INSN_PFX_REPNE)
		insn->vex_pp = 3;
	else if (insn->prefix & INSN_PFX_REP)
		insn->vex_pp = 2;
	else if (insn->prefix & INSN_PFX_OPSIZE)
		insn->vex_pp = 1;
	return INSN_OK;
}

/* C4, C5 and 62 start VEX and EVEX in 64-bit mode, or if mod of the next byte is 3. */
static bool is_vex(const struct insn *insn, const struct stream *s)
{
	if (insn->mode == INSN_MODE_64)
		return true;
	return s->pos < s->avail && s->pos < INSN_MAX_LEN &&
	       (s->bytes[s->pos] & 0xc0) == 0xc0;
}

/* A VEX or EVEX prefix behind one of these raises #UD. */
static void refuse_prefixes(struct insn *insn)
{
	if (insn->prefix &
	    (INSN_PFX_LOCK | INSN_PFX_OPSIZE | INSN_PFX_REX | PREFIX_LAST_REP))
		insn->flags |= INSN_BAD_FORM;
}

static int vex_prefix(struct insn *insn, struct stream *s, u8 first)
{
	u8 b1, b2;
	int ret;

	refuse_prefixes(insn);
	insn->prefix |= INSN_PFX_VEX;

	ret = fetch_u8(s, &b1);
	if (ret)
		return ret;
	if (first == 0xc5) {
		b2 = b1 & 0x7f;
		b1 = (b1 & 0x80) | 0x61;
	} else {
		ret = fetch_u8(s, &b2);
		if (ret)
			return ret;
	}
	insn->rex = (~b1 >> 5) & (REX_R | REX_X | REX_B);
	if (b2 & 0x80)
		insn->rex |= REX_W;
	insn->vex_v = (~b2 >> 3) & 0xf;
	if (insn->mode != INSN_MODE_64) {
		insn->rex = 0;
		insn->vex_v &= 7;
	}
	insn->vex_l = (b2 >> 2) & 1;
	insn->vex_pp = b2 & 3;
	insn->map = b1 & 0x1f;
	if (insn->map < INSN_MAP_0F || insn->map > INSN_MAP_0F3A)
		return INSN_UNKNOWN;
	return fetch_u8(s, &insn->opcode);
}

/*
 * The fourth byte of EVEX: no store has z or b set. V' belongs to the vector register in
 * sib.index, and to vvvv.
 */
#define EVEX_Z 0x80
#define EVEX_B 0x10
#define EVEX_V 0x08

static int evex_prefix(struct insn *insn, struct stream *s)
{
	u8 p[3];
	unsigned int i;
	int ret;

	refuse_prefixes(insn);
	for (i = 0; i < ARRAY_SIZE(p); i++) {
		ret = fetch_u8(s, &p[i]);
		if (ret)
			return ret;
	}
	insn->prefix |= INSN_PFX_VEX;
	insn->evex = true;
	insn->map = p[0] & 7;
	insn->vex_pp = p[1] & 3;
	insn->vex_l = (p[2] >> 5) & 3;
	insn->evex_k = p[2] & 7;
	if (insn->mode == INSN_MODE_64) {
		insn->rex = (~p[0] >> 5) & (REX_R | REX_X | REX_B);
		insn->evex_r = !(p[0] & 0x10);
		insn->evex_v = !(p[2] & EVEX_V);
	} else if (!(p[2] & EVEX_V)) {
		return INSN_UNKNOWN;
	}
	if (p[1] & 0x80)
		insn->rex |= REX_W;
	/* Check the fixed bits, and vvvv, which is 1111b in every store. */
	if (p[0] & 0x08 || (p[1] & 0x7c) != 0x7c || p[2] & (EVEX_Z | EVEX_B) ||
	    insn->vex_l == 3)
		return INSN_UNKNOWN;
	return fetch_u8(s, &insn->opcode);
}

/*
 * Checks that the encoding is one of the stores in the table: a register must be
 * long enough for the part that is stored, and only stores of elements have a mask.
 */
static bool evex_fits(const struct insn *insn, const struct insn_row *row)
{
	bool nontemporal = insn->opcode == 0x2b || insn->opcode == 0xe7;
	bool wide = insn->mode == INSN_MODE_64;
	bool p67 = insn->prefix & INSN_PFX_ADSIZE;

	if (insn->modrm >= 0xc0)
		return false;
	switch (row->op) {
	case INSN_OP_VSCATTER:
		/*
		 * A SIB has the vector of indexes, so addresses have no 16 bits; the
		 * mask takes part.
		 */
		return (insn->modrm & 7) == 4 && insn->evex_k &&
		       (insn->mode == INSN_MODE_16 ? p67 : wide || !p67);
	case INSN_OP_VNARROW:
	case INSN_OP_VCOMPRESS:
		return !insn->evex_v;
	}
	if (insn->evex_v)
		return false;
	switch (row->spec[0]) {
	case SPEC_Mx:
		return !(insn->evex_k && nontemporal);
	case SPEC_Mdq:
		return insn->vex_l >= 1;
	case SPEC_Mqq:
		return insn->vex_l == 2;
	case SPEC_My:
		/* W has a meaning in 64-bit mode only. */
		if (insn->rex & REX_W && !wide)
			return false;
		break;
	}
	/* VMOVSS and VMOVSD have a mask, and ignore the vector length. */
	return (insn->map == INSN_MAP_0F && insn->opcode == 0x11) ||
	       (!insn->evex_k && !insn->vex_l);
}

static const struct insn_row *find_sparse(const struct insn_sparse_row *rows,
					  unsigned int count,
					  const struct insn *insn)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (rows[i].map == insn->map && rows[i].opcode == insn->opcode)
			return &rows[i].row;
	return NULL;
}

static const struct insn_row *vex_0f(const struct insn *insn)
{
	const struct insn_row *row = &vigil_insn_map_0f[insn->opcode];

	if (row->kind == ROW_PFX &&
	    row->sub[insn->vex_pp].flags & INSN_VECTOR &&
	    row->sub[insn->vex_pp].op != INSN_OP_MOVD_MMX &&
	    row->sub[insn->vex_pp].op != INSN_OP_MOVQ_MMX)
		return &row->sub[insn->vex_pp];
	if (row == &vigil_insn_map_0f[0x77])
		return &vigil_insn_vzero;
	switch (insn->opcode) {
	case 0x70 ... 0x73:
	case 0xc2:
	case 0xc4 ... 0xc6:
		return &vigil_insn_vector_imm8;
	}
	return &vigil_insn_vector;
}

static const struct insn_row *sparse(const struct insn_sparse_row *rows,
				     unsigned int count,
				     const struct insn *insn)
{
	const struct insn_row *row = find_sparse(rows, count, insn);

	if (row)
		return row;
	if (insn->map == INSN_MAP_0F) /* with VEX: else it is no sparse map */
		return vex_0f(insn);
	if (insn->map == INSN_MAP_0F3A)
		return &vigil_insn_vector_imm8;
	return &vigil_insn_vector;
}

/* Finds the row of the opcode; its groups are resolved later, with ModRM. */
static int find_row(struct insn *insn, struct stream *s, u8 b,
		    const struct insn_row **row)
{
	int ret;

	if ((b == 0xc4 || b == 0xc5) && is_vex(insn, s)) {
		ret = vex_prefix(insn, s, b);
		if (ret)
			return ret;
		*row = sparse(vigil_insn_vex, vigil_insn_vex_count, insn);
		return INSN_OK;
	}
	/* 62 is EVEX only where is_vex() says so; else it is BOUND. */
	if (b == 0x62 && is_vex(insn, s)) {
		ret = evex_prefix(insn, s);
		if (ret)
			return ret;
		*row = find_sparse(vigil_insn_evex, vigil_insn_evex_count,
				   insn);
		return *row ? INSN_OK : INSN_UNKNOWN;
	}
	insn->opcode = b;
	insn->map = INSN_MAP_1B;
	if (b == 0x0f) {
		ret = fetch_u8(s, &insn->opcode);
		if (ret)
			return ret;
		insn->map = INSN_MAP_0F;
		if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
			insn->map = insn->opcode == 0x38 ? INSN_MAP_0F38 :
							   INSN_MAP_0F3A;
			ret = fetch_u8(s, &insn->opcode);
			if (ret)
				return ret;
			*row = sparse(vigil_insn_sparse,
				      vigil_insn_sparse_count, insn);
			return INSN_OK;
		}
		*row = &vigil_insn_map_0f[insn->opcode];
		return INSN_OK;
	}
	*row = &vigil_insn_map_1b[b];
	return INSN_OK;
}

static bool spec_uses_modrm(u8 spec)
{
	return (spec >= SPEC_Eb && spec <= SPEC_Gz) ||
	       (spec >= SPEC_Cn && spec <= SPEC_Qq);
}

static int fetch_modrm(struct insn *insn, struct stream *s)
{
	if (insn->flags & INSN_MODRM)
		return INSN_OK;
	insn->flags |= INSN_MODRM;
	return fetch_u8(s, &insn->modrm);
}

/* Descends through the groups to the leaf. */
static int resolve(struct insn *insn, struct stream *s,
		   const struct insn_row **rowp)
{
	const struct insn_row *row = *rowp;
	unsigned int i;
	int ret;

	while (row->kind != ROW_LEAF) {
		if (row->kind == ROW_NONE)
			return INSN_UNKNOWN;
		if (row->kind == ROW_REG || row->kind == ROW_RM ||
		    row->kind == ROW_MOD) {
			ret = fetch_modrm(insn, s);
			if (ret)
				return ret;
		}
		switch (row->kind) {
		case ROW_REG:
			row = &row->sub[(insn->modrm >> 3) & 7];
			break;
		case ROW_RM:
			row = &row->sub[insn->modrm & 7];
			break;
		case ROW_MOD:
			row = &row->sub[insn->modrm >= 0xc0];
			break;
		case ROW_PFX:
			/* F3 90 is PAUSE, but F3 41 90 is XCHG R8,RAX */
			if (insn->map == INSN_MAP_1B && insn->rex & REX_B)
				row = &row->sub[0];
			else
				row = &row->sub[insn->vex_pp];
			break;
		case ROW_W:
			row = &row->sub[!!(insn->rex & REX_W)];
			break;
		case ROW_MODE:
			row = &row->sub[insn->mode == INSN_MODE_64];
			break;
		}
	}
	for (i = 0; i < ARRAY_SIZE(row->spec); i++) {
		if (spec_uses_modrm(row->spec[i])) {
			ret = fetch_modrm(insn, s);
			if (ret)
				return ret;
			break;
		}
	}
	*rowp = row;
	return INSN_OK;
}

static bool spec_is_byte(u8 spec)
{
	return spec == SPEC_Eb || spec == SPEC_Gb || spec == SPEC_Zb ||
	       spec == SPEC_Ab || spec == SPEC_Ob || spec == SPEC_Xb ||
	       spec == SPEC_Yb;
}

static void operand_size(struct insn *insn, const struct insn_row *row)
{
	bool w = insn->rex & REX_W;
	bool p66 = insn->prefix & INSN_PFX_OPSIZE;

	if (row->flags & INSN_BYTE || spec_is_byte(row->spec[0])) {
		insn->opsize = 1;
		insn->flags |= INSN_BYTE;
		return;
	}
	switch (insn->mode) {
	case INSN_MODE_16:
		insn->opsize = p66 ? 4 : 2;
		return;
	case INSN_MODE_32:
		insn->opsize = p66 ? 2 : 4;
		return;
	}
	if (row->flags & INSN_F64)
		insn->opsize = p66 && !w && vigil_insn_near16 ? 2 : 8;
	else if (w)
		insn->opsize = 8;
	else if (p66)
		insn->opsize = 2;
	else
		insn->opsize = row->flags & INSN_D64 ? 8 : 4;
}

static void address_size(struct insn *insn)
{
	bool p67 = insn->prefix & INSN_PFX_ADSIZE;

	switch (insn->mode) {
	case INSN_MODE_16:
		insn->adsize = p67 ? 4 : 2;
		break;
	case INSN_MODE_32:
		insn->adsize = p67 ? 2 : 4;
		break;
	default:
		insn->adsize = p67 ? 4 : 8;
		break;
	}
}

/* 16-bit addressing: four forms with two registers, four with one. */
static const u8 base16[8] = { INSN_RBX, INSN_RBX, INSN_RBP, INSN_RBP,
			      INSN_RSI, INSN_RDI, INSN_RBP, INSN_RBX };
static const u8 index16[8] = { INSN_RSI,      INSN_RDI,	     INSN_RSI,
			       INSN_RDI,      INSN_REG_NONE, INSN_REG_NONE,
			       INSN_REG_NONE, INSN_REG_NONE };

static int fetch_disp(struct insn *insn, struct stream *s, unsigned int n)
{
	int ret;

	if (!n)
		return INSN_OK;
	ret = fetch(s, n, &insn->disp);
	insn->disp = sign_extend(insn->disp, n);
	return ret;
}

static int memory16(struct insn *insn, struct stream *s)
{
	u8 mod = insn->modrm >> 6, rm = insn->modrm & 7;

	if (mod == 0 && rm == 6)
		return fetch_disp(insn, s, 2);
	insn->base = base16[rm];
	insn->index = index16[rm];
	if (insn->base == INSN_RBP)
		insn->seg = INSN_SEG_SS;
	return fetch_disp(insn, s, mod == 1 ? 1 : mod == 2 ? 2 : 0);
}

static int memory32(struct insn *insn, struct stream *s)
{
	u8 mod = insn->modrm >> 6, rm = insn->modrm & 7;
	unsigned int disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	int ret;

	if (rm == 4) {
		ret = fetch_u8(s, &insn->sib);
		if (ret)
			return ret;
		insn->scale = insn->sib >> 6;
		insn->index = (insn->sib >> 3) & 7;
		if (insn->rex & REX_X)
			insn->index |= 8;
		if (insn->index == INSN_RSP)
			insn->index = INSN_REG_NONE;
		rm = insn->sib & 7;
		if (rm == 5 && mod == 0)
			return fetch_disp(insn, s, 4);
	} else if (rm == 5 && mod == 0) {
		insn->rip_rel = insn->mode == INSN_MODE_64;
		return fetch_disp(insn, s, 4);
	}
	insn->base = rm | (insn->rex & REX_B ? 8 : 0);
	if (insn->base == INSN_RSP || insn->base == INSN_RBP)
		insn->seg = INSN_SEG_SS;
	return fetch_disp(insn, s, disp);
}

/* Decodes SIB and displacement, and with them the memory operand. */
static int memory(struct insn *insn, struct stream *s,
		  const struct insn_row *row)
{
	insn->seg = INSN_SEG_DS;
	insn->base = INSN_REG_NONE;
	insn->index = INSN_REG_NONE;
	if (!(insn->flags & INSN_MODRM) || row->flags & INSN_FORCE_MOD3 ||
	    insn->modrm >= 0xc0)
		return INSN_OK;
	insn->has_mem = true;
	return insn->adsize == 2 ? memory16(insn, s) : memory32(insn, s);
}

static int immediate(struct insn *insn, struct stream *s, u8 spec)
{
	unsigned int size = insn->opsize;
	unsigned int z = size == 2 ? 2 : 4;
	int ret = INSN_OK;

	switch (spec) {
	case SPEC_Ib:
		ret = fetch(s, 1, &insn->imm);
		break;
	case SPEC_Ibs:
	case SPEC_Jb:
		ret = fetch(s, 1, &insn->imm);
		insn->imm = sign_extend(insn->imm, 1);
		break;
	case SPEC_Iw:
		ret = fetch(s, 2, &insn->imm);
		break;
	case SPEC_Iz:
	case SPEC_Jz:
		ret = fetch(s, z, &insn->imm);
		insn->imm = sign_extend(insn->imm, z);
		break;
	case SPEC_Iv:
		ret = fetch(s, size, &insn->imm);
		break;
	case SPEC_I2b:
		ret = fetch(s, 1, &insn->imm2);
		break;
	case SPEC_Ap:
		ret = fetch(s, z, &insn->imm);
		if (!ret)
			ret = fetch(s, 2, &insn->imm2);
		break;
	case SPEC_Ob:
	case SPEC_Ov:
		insn->has_mem = true;
		ret = fetch(s, insn->adsize, &insn->disp);
		break;
	}
	return ret;
}

static int layout(struct insn *insn, const u8 *bytes, unsigned int nbytes,
		  enum insn_mode mode, const struct insn_row **rowp)
{
	struct stream s = { .bytes = bytes, .avail = nbytes };
	const struct insn_row *row;
	unsigned int i;
	u8 b;
	int ret;

	memset(insn, 0, sizeof(*insn));
	insn->mode = mode;
	insn->seg_override = INSN_SEG_NONE;

	ret = prefixes(insn, &s, &b);
	if (!ret)
		ret = find_row(insn, &s, b, &row);
	if (!ret)
		ret = resolve(insn, &s, &row);
	if (!ret && insn->evex && !evex_fits(insn, row))
		ret = INSN_UNKNOWN;
	if (ret)
		return ret;

	insn->op = row->op;
	insn->flags |= row->flags;
	address_size(insn);
	operand_size(insn, row);
	ret = memory(insn, &s, row);
	/* The index is a vector register, which vigil_insn_ea() knows nothing of. */
	if (insn->op == INSN_OP_VSCATTER)
		insn->index = INSN_REG_NONE;
	/* EVEX scales an 8-bit displacement by the size of the operand. */
	if (insn->evex && insn->modrm >> 6 == 1)
		insn->disp *= insn_spec_size(insn, row->spec[0]);
	for (i = 0; !ret && i < ARRAY_SIZE(row->spec); i++)
		ret = immediate(insn, &s, row->spec[i]);
	if (ret)
		return ret;

	insn->len = s.pos;
	memcpy(insn->bytes, bytes, insn->len);
	*rowp = row;
	return INSN_OK;
}

int vigil_decode_layout(struct insn *insn, const u8 *bytes, unsigned int nbytes,
			enum insn_mode mode)
{
	const struct insn_row *row;

	return layout(insn, bytes, nbytes, mode, &row);
}

int vigil_insn_len(const u8 *bytes, unsigned int nbytes, enum insn_mode mode)
{
	const struct insn_row *row;
	struct insn insn;
	int ret = layout(&insn, bytes, nbytes, mode, &row);

	return ret ? ret : insn.len;
}

int vigil_decode(struct insn *insn, const u8 *bytes, unsigned int nbytes,
		 enum insn_mode mode)
{
	const struct insn_row *row;
	int ret;

	ret = layout(insn, bytes, nbytes, mode, &row);
	if (ret)
		return ret;
	insn_operands(insn, row);
	return INSN_OK;
}

int vigil_decode_again(struct insn *insn, const u8 *bytes, unsigned int nbytes,
		       enum insn_mode mode)
{
	if (vigil_insn_is(insn, bytes, nbytes, mode))
		return INSN_OK;
	return vigil_decode(insn, bytes, nbytes, mode);
}

static const char *const op_names[] = {
#define X(name) #name,
	INSN_OPS(X)
#undef X
};

const char *vigil_insn_op_name(unsigned int op)
{
	return op < ARRAY_SIZE(op_names) ? op_names[op] : "?";
}
