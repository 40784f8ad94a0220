// SPDX-License-Identifier: GPL-2.0
#include "rng.h"
#include "rowgen.h"

/* ---- listing ---- */

struct list {
	struct gen_row *out;
	unsigned int n, max;
};

static void leaves(struct list *l, struct gen_row g, const struct insn_row *row)
{
	unsigned int i;

	g.row = row;
	switch (row->kind) {
	case ROW_LEAF:
		if (l->n < l->max)
			l->out[l->n++] = g;
		break;
	case ROW_REG:
		for (i = 0; i < 8; i++) {
			g.reg = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	case ROW_RM:
		for (i = 0; i < 8; i++) {
			g.rm = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	case ROW_MOD:
		for (i = 0; i < 2; i++) {
			g.mod3 = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	case ROW_W:
		for (i = 0; i < 2; i++) {
			g.w = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	case ROW_MODE:
		for (i = 0; i < 2; i++) {
			g.mode64 = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	case ROW_PFX:
		for (i = 0; i < 4; i++) {
			g.pp = i;
			leaves(l, g, &row->sub[i]);
		}
		break;
	}
}

/* Adds the VEX forms of the legacy table's vector moves. */
static void vex_moves(struct list *l, struct gen_row g,
		      const struct insn_row *row)
{
	unsigned int i;

	if (row->kind != ROW_PFX)
		return;
	g.vex = true;
	for (i = 0; i < 4; i++) {
		const struct insn_row *r = &row->sub[i];

		if (r->kind != ROW_LEAF || !(r->flags & INSN_VECTOR) ||
		    r->op == INSN_OP_MOVD_MMX || r->op == INSN_OP_MOVQ_MMX)
			continue;
		g.pp = i;
		leaves(l, g, r);
	}
}

unsigned int gen_rows(struct gen_row *out, unsigned int max)
{
	struct list l = { .out = out, .max = max };
	struct gen_row any = {
		.pp = -1, .reg = -1, .rm = -1, .mod3 = -1, .mode64 = -1, .w = -1
	};
	unsigned int i;

	for (i = 0; i < 256; i++) {
		struct gen_row g = any;

		g.opcode = i;
		g.map = INSN_MAP_1B;
		leaves(&l, g, &vigil_insn_map_1b[i]);
		g.map = INSN_MAP_0F;
		leaves(&l, g, &vigil_insn_map_0f[i]);
		vex_moves(&l, g, &vigil_insn_map_0f[i]);
	}
	for (i = 0; i < vigil_insn_sparse_count; i++) {
		struct gen_row g = any;

		g.opcode = vigil_insn_sparse[i].opcode;
		g.map = vigil_insn_sparse[i].map;
		leaves(&l, g, &vigil_insn_sparse[i].row);
	}
	for (i = 0; i < vigil_insn_vex_count; i++) {
		struct gen_row g = any;

		g.vex = true;
		g.opcode = vigil_insn_vex[i].opcode;
		g.map = vigil_insn_vex[i].map;
		leaves(&l, g, &vigil_insn_vex[i].row);
	}
	for (i = 0; i < vigil_insn_evex_count; i++) {
		struct gen_row g = any;

		g.evex = true;
		g.mod3 = 0;
		g.opcode = vigil_insn_evex[i].opcode;
		g.map = vigil_insn_evex[i].map;
		leaves(&l, g, &vigil_insn_evex[i].row);
	}
	return l.n;
}

bool gen_has_spec(const struct gen_row *g, enum insn_spec first,
		  enum insn_spec last)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (g->row->spec[i] >= first && g->row->spec[i] <= last)
			return true;
	return false;
}

bool gen_has_modrm(const struct gen_row *g)
{
	return g->reg >= 0 || g->mod3 >= 0 ||
	       gen_has_spec(g, SPEC_Eb, SPEC_Gz) ||
	       gen_has_spec(g, SPEC_Cn, SPEC_Qq);
}

bool gen_can_mem(const struct gen_row *g)
{
	if (!gen_has_modrm(g) || g->mod3 == 1 ||
	    g->row->flags & INSN_FORCE_MOD3)
		return false;
	return gen_has_spec(g, SPEC_Eb, SPEC_M_) ||
	       gen_has_spec(g, SPEC_EwMw, SPEC_EdMw) ||
	       gen_has_spec(g, SPEC_Wx, SPEC_Wd) ||
	       gen_has_spec(g, SPEC_Qq, SPEC_Qq);
}

bool gen_can_reg(const struct gen_row *g)
{
	return gen_has_modrm(g) && g->mod3 != 0 &&
	       !gen_has_spec(g, SPEC_Mb, SPEC_M_);
}

/* ---- encoding ---- */

static void put(struct gen_insn *o, u8 b)
{
	o->bytes[o->len++] = b;
}

static void put_random(struct gen_insn *o, unsigned int n)
{
	while (n--)
		put(o, unit_random());
}

/*
 * Decides whether 66 and REX.W are needed for the operand size. False: there is
 * no such form.
 */
static bool size_prefixes(const struct gen_row *g, const struct gen_cell *c,
			  bool *p66, bool *w)
{
	u32 fl = g->row->flags;
	unsigned int def = c->mode == INSN_MODE_16 ? 2 : 4;

	*w = false;
	*p66 = false;
	if (c->mode == INSN_MODE_64 && fl & INSN_F64) {
		*p66 = c->opsize == 2 || unit_below(2);
		*w = c->opsize == 8 && *p66 && vigil_insn_near16;
		return c->opsize == 8 || (c->opsize == 2 && vigil_insn_near16);
	}
	if (c->mode == INSN_MODE_64 && fl & INSN_D64) {
		*p66 = c->opsize == 2;
		return c->opsize != 4;
	}
	if (c->opsize == 8) {
		if (c->mode != INSN_MODE_64)
			return false;
		*w = true;
		*p66 = g->pp == 1 && !g->vex && !g->evex;
		return true;
	}
	*p66 = c->opsize != def;
	if (g->vex || g->evex) {
		*p66 = false;
		return c->opsize == def;
	}
	/*
	 * Where 66 selects the row, only the operand size that goes with it is
	 * left.
	 */
	if (g->row->flags & INSN_VECTOR) {
		*p66 = g->pp == 1;
		return c->opsize == def;
	}
	if (g->pp == 0 || g->pp == 1)
		return *p66 == (g->pp == 1);
	return true;
}

static void put_prefixes(const struct gen_row *g, const struct gen_cell *c,
			 bool p66, struct gen_insn *o)
{
	static const u8 other[] = { 0x26, 0x36, 0x3e, 0x2e };
	bool long_mode = c->mode == INSN_MODE_64;
	u8 list[6];
	unsigned int n = 0, i;

	/*
	 * Add one of the other overrides now and then. Here DS, ES and SS are
	 * the same. 64-bit mode must ignore them, CS too, even behind a GS.
	 */
	if (!unit_below(8) && (long_mode || !(c->prefix & INSN_PFX_SEG)))
		list[n++] = other[unit_below(long_mode ? 4 : 3)];

	if (c->adsize != (c->mode == INSN_MODE_64 ? 8 :
			  c->mode == INSN_MODE_32 ? 4 :
						    2))
		list[n++] = 0x67;
	if (p66)
		list[n++] = 0x66;
	if (c->prefix & INSN_PFX_SEG)
		list[n++] = 0x65;
	if (c->prefix & INSN_PFX_LOCK)
		list[n++] = 0xf0;
	if (c->prefix & INSN_PFX_REP || (!g->vex && !g->evex && g->pp == 2))
		list[n++] = 0xf3;
	else if (c->prefix & INSN_PFX_REPNE ||
		 (!g->vex && !g->evex && g->pp == 3))
		list[n++] = 0xf2;
	while (n) {
		i = unit_below(n);
		put(o, list[i]);
		list[i] = list[--n];
	}
}

/* Does VEX.vvvv name a register in this row? */
static bool uses_vvvv(const struct gen_row *g, bool mem)
{
	switch (g->row->op) {
	case INSN_OP_VMOVS:
		return !mem;
	case INSN_OP_VMOVLOW:
	case INSN_OP_VMOVHIGH:
		return g->row->spec[0] != SPEC_Mq;
	}
	return g->row->op == INSN_OP_VMASKMOV ||
	       gen_has_spec(g, SPEC_By, SPEC_By);
}

/* Returns VEX.L of the row: 128 or 256 bits. */
static u8 vex_l(const struct gen_row *g)
{
	switch (g->row->op) {
	case INSN_OP_VMOV:
	case INSN_OP_VMOVS:
	case INSN_OP_VMASKMOV:
		return unit_below(2);
	case INSN_OP_VEXTRACT:
		return g->row->spec[0] == SPEC_Wdq;
	}
	return 0;
}

static void put_vex(const struct gen_row *g, const struct gen_cell *c, u8 rex,
		    struct gen_insn *o)
{
	u8 l = vex_l(g);
	u8 vvvv = 0, b2;

	if (uses_vvvv(g, c->mem))
		vvvv = unit_below(c->mode == INSN_MODE_64 ? 16 : 8);
	b2 = (~vvvv & 0xf) << 3 | l << 2 | g->pp;
	if (g->map == INSN_MAP_0F && !(rex & 0xb) && unit_below(2)) {
		put(o, 0xc5);
		put(o, (rex & 4 ? 0 : 0x80) | b2);
		return;
	}
	put(o, 0xc4);
	put(o, (~rex & 7) << 5 | g->map);
	put(o, (rex & 8 ? 0x80 : 0) | b2);
}

/*
 * Writes EVEX with the length and the mask that go with the row; the rest is
 * random.
 */
static void put_evex(const struct gen_row *g, const struct gen_cell *c, u8 rex,
		     struct gen_insn *o)
{
	bool scalar = g->map == INSN_MAP_0F && g->opcode == 0x11 && g->pp > 1;
	u8 least = 0, most = 0, k = unit_below(8), w;

	switch (g->row->spec[0]) {
	case SPEC_Mx:
		most = 2;
		if (g->opcode == 0x2b || g->opcode == 0xe7)
			k = 0;
		break;
	case SPEC_Mdq:
		least = 1;
		most = 2;
		break;
	case SPEC_Mqq:
		least = most = 2;
		break;
	default:
		most = scalar ? 2 : 0;
		k = scalar ? k : 0;
		break;
	}
	w = g->w >= 0 ? (u8)g->w : rex >> 3;
	put(o, 0x62);
	/* Outside of 64-bit mode the byte means BOUND, unless R and X are 1. */
	put(o, (~rex & 7) << 5 |
		       (c->mode == INSN_MODE_64 ? unit_below(2) << 4 : 0x10) |
		       g->map);
	put(o, w << 7 | 0x7c | g->pp);
	put(o, (least + unit_below(most - least + 1)) << 5 | 0x08 | k);
}

static void put_modrm(const struct gen_row *g, const struct gen_cell *c,
		      struct gen_insn *o)
{
	u8 reg = g->reg >= 0 ? (u8)g->reg : unit_below(8);
	u8 mod = unit_below(3), sib;
	u8 rm = g->rm >= 0 ? (u8)g->rm : unit_below(8);

	if (!c->mem) {
		put(o, 0xc0 | reg << 3 | rm);
		return;
	}
	put(o, mod << 6 | reg << 3 | rm);
	o->disp_len = mod == 1 ? 1 : 0;
	if (c->adsize == 2) {
		if (mod == 2 || (mod == 0 && rm == 6))
			o->disp_len = 2;
	} else {
		if (mod == 2 || (mod == 0 && rm == 5))
			o->disp_len = 4;
		if (rm == 4) {
			sib = unit_random();
			if (mod == 0 && (sib & 7) == 5)
				o->disp_len = 4;
			put(o, sib);
		}
	}
	o->disp_at = o->len;
	put_random(o, o->disp_len);
}

static unsigned int imm_bytes(u8 spec, u8 opsize, u8 adsize)
{
	switch (spec) {
	case SPEC_Ib:
	case SPEC_Ibs:
	case SPEC_I2b:
	case SPEC_Jb:
		return 1;
	case SPEC_Iw:
		return 2;
	case SPEC_Iz:
	case SPEC_Jz:
		return opsize == 2 ? 2 : 4;
	case SPEC_Iv:
		return opsize;
	case SPEC_Ap:
		return opsize == 2 ? 4 : 6;
	case SPEC_Ob:
	case SPEC_Ov:
		return adsize;
	}
	return 0;
}

bool gen_encode(const struct gen_row *g, const struct gen_cell *c,
		struct gen_insn *o)
{
	bool p66, w, long_mode = c->mode == INSN_MODE_64;
	u8 rex = 0;
	unsigned int i, n;

	memset(o, 0, sizeof(*o));
	if ((g->mode64 >= 0 && g->mode64 != long_mode) ||
	    (g->row->flags & INSN_NO64 && long_mode) ||
	    !size_prefixes(g, c, &p66, &w))
		return false;

	put_prefixes(g, c, p66, o);
	if (long_mode) {
		rex = unit_below(2) ? unit_below(8) : 0;
		if (g->row->op == INSN_OP_PAUSE)
			rex = 0;
		rex |= w ? 8 : 0;
	}
	if (g->vex) {
		put_vex(g, c, rex, o);
	} else if (g->evex) {
		put_evex(g, c, rex, o);
	} else {
		if (rex || (long_mode && !unit_below(4)))
			put(o, 0x40 | rex);
		if (g->map != INSN_MAP_1B)
			put(o, 0x0f);
		if (g->map == INSN_MAP_0F38)
			put(o, 0x38);
		else if (g->map == INSN_MAP_0F3A)
			put(o, 0x3a);
	}
	put(o, g->opcode);
	if (gen_has_modrm(g))
		put_modrm(g, c, o);
	for (i = 0; i < 3; i++) {
		u8 spec = g->row->spec[i];

		n = imm_bytes(spec, c->opsize, c->adsize);
		if (!n)
			continue;
		if (spec == SPEC_Ob || spec == SPEC_Ov) {
			o->disp_at = o->len;
			o->disp_len = n;
		} else if (!o->imm_len) {
			o->imm_at = o->len;
			o->imm_len = n;
		}
		put_random(o, n);
	}
	return true;
}
