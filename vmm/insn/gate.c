// SPDX-License-Identifier: GPL-2.0
/*
 * JMP and CALL through call gates: of 16 and 32 bits in legacy mode, of 64 bits in
 * long mode. A call to an inner ring takes the stack from the TSS. SDM volume 3,
 * "Privilege Level Checking".
 *
 * All is checked and probed first, then stored, and CS is loaded last. What goes to a
 * TSS, through a task gate too, is a task switch.
 */
#include "gate.h"

#define TYPE_TSS16 1
#define TYPE_GATE16 4
#define TYPE_TASK_GATE 5
#define TYPE_TSS 9
#define TYPE_GATE32 0xc

/* Checks the gate's or the TSS's own DPL, and that it is there. */
static int check_gate(struct emul_ctxt *c, u16 sel, const struct emul_seg *s)
{
	if (emul_dpl(s) < c->cpl || (sel & SEL_RPL) > emul_dpl(s))
		return emul_gp(c, emul_without_rpl(sel));
	return s->attr & EMUL_SEG_P ?
		       EMUL_OK :
		       emul_raise(c, X86_TRAP_NP, emul_without_rpl(sel));
}

/* Takes the fields of the gate, whose descriptor is @desc, at @la. */
static int read_gate(struct emul_ctxt *c, u16 sel, u64 la, u64 desc,
		     const struct emul_seg *s, struct emul_gate *g)
{
	unsigned int type = s->attr & EMUL_SEG_TYPE;
	u64 upper = 0;
	int ret;

	if (c->long_mode) {
		if (type != TYPE_GATE32)
			return emul_gp(c, emul_without_rpl(sel));
		ret = emul_read_upper(c, sel, la, &upper);
		if (ret)
			return ret;
	} else if (type != TYPE_GATE16 && type != TYPE_GATE32) {
		return emul_gp(c, emul_without_rpl(sel));
	}
	ret = check_gate(c, sel, s);
	if (ret)
		return ret;
	g->width = c->long_mode ? 8 : type == TYPE_GATE32 ? 4 : 2;
	g->parameters = c->long_mode ? 0 : desc >> 32 & 31;
	g->sel = desc >> 16;
	g->rip = (desc & 0xffff) | upper << 32;
	if (type == TYPE_GATE32)
		g->rip |= desc >> 32 & 0xffff0000;
	return EMUL_OK;
}

int emul_gate_code(struct emul_ctxt *c, struct emul_gate *g, bool call)
{
	struct emul_seg *s = &g->cs;
	u32 ec = emul_without_rpl(g->sel);
	bool conforming;
	int ret;

	if (!ec)
		return emul_gp(c, 0);
	ret = emul_read_descriptor(c, g->sel, &g->cs_la, &g->cs_desc, s);
	if (ret)
		return ret;
	conforming = s->attr & 4;
	if (!(s->attr & EMUL_SEG_S) || !(s->attr & 8) || emul_dpl(s) > c->cpl ||
	    (!call && !conforming && emul_dpl(s) != c->cpl))
		return emul_gp(c, ec);
	if (c->long_mode && (!(s->attr & EMUL_SEG_L) || s->attr & EMUL_SEG_DB))
		return emul_gp(c, ec);
	if (!(s->attr & EMUL_SEG_P))
		return emul_raise(c, X86_TRAP_NP, ec);
	g->inner = call && !conforming && emul_dpl(s) < c->cpl;
	return EMUL_OK;
}

/*
 * Reads SS and rSP of ring @cpl from the TSS, or rSP of g->ist. In long mode SS becomes
 * null.
 */
static int read_tss(struct emul_ctxt *c, struct emul_gate *g, unsigned int cpl,
		    u16 *ss)
{
	bool tss16;
	unsigned int width, at, bytes;
	u8 buf[8] = { 0 };
	struct emul_seg tr;
	int ret;

	ret = c->ops->get_sys_seg(c, true, &tr);
	if (ret)
		return ret;
	/* Types 1 and 3 are a TSS of 16 bits, available or busy. */
	tss16 = !(tr.attr & 8);
	width = c->long_mode ? 8 : tss16 ? 2 : 4;
	at = c->long_mode || !tss16 ? 4 + 8 * cpl : 2 + 4 * cpl;
	if (g->ist)
		at = 36 + 8 * (g->ist - 1);
	bytes = width + (c->long_mode ? 0 : 2);
	if (at + bytes - 1 > tr.limit)
		return emul_raise(c, X86_TRAP_TS, emul_without_rpl(tr.sel));
	ret = emul_read_linear(
		c, c->long_mode ? tr.base + at : (u32)(tr.base + at), buf,
		bytes, EMUL_F_SYSTEM);
	if (ret)
		return ret;
	memcpy(&g->tss_sp, buf, width);
	g->sp = g->tss_sp;
	*ss = cpl;
	if (!c->long_mode)
		memcpy(ss, buf + width, 2);
	return EMUL_OK;
}

int emul_gate_stack(struct emul_ctxt *c, struct emul_gate *g)
{
	unsigned int cpl = emul_dpl(&g->cs);
	struct emul_seg *s = &g->ss;
	u16 sel;
	int ret;

	ret = read_tss(c, g, cpl, &sel);
	if (ret)
		return ret;
	if (c->long_mode) {
		g->sp_width = 8;
		if (!g->inner)
			return EMUL_OK;
		s->sel = sel;
		s->attr = EMUL_SEG_UNUSABLE | cpl << EMUL_SEG_DPL_SHIFT;
		return EMUL_OK;
	}
	if (!emul_without_rpl(sel))
		return emul_raise(c, X86_TRAP_TS, 0);
	ret = emul_read_descriptor(c, sel, &g->ss_la, &g->ss_desc, s);
	if (!ret)
		ret = emul_check_stack_segment(c, s, cpl);
	/* What is #GP for MOV SS is #TS for a stack of the TSS. */
	if (ret == EMUL_FAULT && c->exception.vector == X86_TRAP_GP)
		return emul_raise(c, X86_TRAP_TS, emul_without_rpl(sel));
	g->sp_width = s->attr & EMUL_SEG_DB ? 4 : 2;
	return ret;
}

/* Adds SS, rSP and the parameters, which the outer stack has. */
static int add_outer_stack(struct emul_ctxt *c, struct emul_gate *g)
{
	unsigned int i;
	struct emul_seg ss;
	u64 at, v, wrap;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_SS, &ss);
	if (ret)
		return ret;
	g->frame[g->n++] = ss.sel;
	g->frame[g->n++] = c->w.regs[INSN_RSP];
	wrap = emul_mask(ss.attr & EMUL_SEG_DB ? 4 : 2);
	for (i = g->parameters; i--;) {
		at = (c->w.regs[INSN_RSP] + i * g->width) & wrap;
		v = 0;
		ret = emul_read(c, INSN_SEG_SS, at, &v, g->width, EMUL_F_STACK);
		if (ret)
			return ret;
		g->frame[g->n++] = v;
	}
	return EMUL_OK;
}

/* The linear address of the next push; #SS beyond the stack's limit. */
static int next_push(struct emul_ctxt *c, struct emul_gate *g, u64 *la)
{
	u32 ec = g->inner ? emul_without_rpl(g->ss.sel) : 0;

	g->sp = (g->sp - g->width) & emul_mask(g->sp_width);
	*la = g->sp;
	if (c->long_mode)
		return emul_canonical(c, *la) ? EMUL_OK :
						emul_raise(c, X86_TRAP_SS, ec);
	if (!emul_within_limit(&g->ss, g->sp, g->width))
		return emul_raise(c, X86_TRAP_SS, ec);
	*la = (u32)(g->ss.base + g->sp);
	return EMUL_OK;
}

int emul_gate_push(struct emul_ctxt *c, struct emul_gate *g, bool probe)
{
	unsigned int flags = EMUL_F_STACK | (g->inner ? EMUL_F_SYSTEM : 0) |
			     (c->long_mode ? EMUL_F_WIDE : 0);
	u64 sp = g->sp, la;
	unsigned int i;
	int ret = EMUL_OK;

	for (i = 0; !ret && i < g->n; i++) {
		ret = next_push(c, g, &la);
		if (ret)
			break;
		if (!probe)
			ret = emul_write_linear(c, la, &g->frame[i], g->width,
						flags);
		else if (i == 0 || i == g->n - 1)
			ret = emul_probe_linear(c, la, g->width, flags);
	}
	if (probe)
		g->sp = sp;
	return ret;
}

int emul_gate_same_stack(struct emul_ctxt *c, struct emul_gate *g)
{
	int ret = c->ops->get_seg(c, INSN_SEG_SS, &g->ss);

	g->sp = c->w.regs[INSN_RSP];
	g->sp_width = c->long_mode && g->width == 8 ? 8 :
		      g->ss.attr & EMUL_SEG_DB	    ? 4 :
						      2;
	return ret;
}

static int prepare_call(struct emul_ctxt *c, struct emul_gate *g)
{
	struct emul_seg cs;
	int ret;

	if (g->inner) {
		ret = emul_gate_stack(c, g);
		if (!ret)
			ret = add_outer_stack(c, g);
	} else {
		ret = emul_gate_same_stack(c, g);
	}
	if (!ret)
		ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
	if (ret)
		return ret;
	g->frame[g->n++] = cs.sel;
	g->frame[g->n++] = emul_next_rip(c);
	return emul_gate_push(c, g, true);
}

int emul_gate_finish(struct emul_ctxt *c, struct emul_gate *g)
{
	int ret = emul_gate_push(c, g, false);

	if (ret)
		return ret;
	if (g->inner)
		c->w.regs[INSN_RSP] = g->tss_sp;
	emul_set_reg(c, INSN_RSP, g->sp_width, g->sp);
	return g->inner ? c->ops->set_seg(c, INSN_SEG_SS, &g->ss) : EMUL_OK;
}

int emul_gate_mark(struct emul_ctxt *c, struct emul_gate *g)
{
	int ret = EMUL_OK;

	if (g->inner && !(g->ss.attr & EMUL_SEG_UNUSABLE))
		ret = emul_mark_accessed(c, g->ss_la, g->ss_desc, &g->ss);
	return ret ? ret : emul_mark_accessed(c, g->cs_la, g->cs_desc, &g->cs);
}

int emul_gate_enter(struct emul_ctxt *c, struct emul_gate *g)
{
	g->cs.sel = emul_without_rpl(g->sel) |
		    (g->inner ? emul_dpl(&g->cs) : c->cpl);
	return c->ops->set_seg(c, INSN_SEG_CS, &g->cs);
}

/*
 * A TSS, or a task gate. Through a gate the gate's DPL counts, and the TSS may lie
 * further in.
 */
static int far_task(struct emul_ctxt *c, u16 sel, u64 desc,
		    const struct emul_seg *s, bool call)
{
	int ret = sel & SEL_TI && (s->attr & EMUL_SEG_TYPE) != TYPE_TASK_GATE ?
			  emul_gp(c, emul_without_rpl(sel)) :
			  check_gate(c, sel, s);

	if (ret)
		return ret;
	if ((s->attr & EMUL_SEG_TYPE) == TYPE_TASK_GATE)
		sel = desc >> 16;
	return emul_switch_task(c, sel, call ? EMUL_TASK_CALL : EMUL_TASK_JMP);
}

static bool is_task(const struct emul_seg *s)
{
	unsigned int type = s->attr & EMUL_SEG_TYPE;

	return type == TYPE_TSS || type == TYPE_TSS16 || type == TYPE_TASK_GATE;
}

int emul_far_gate(struct emul_ctxt *c, u16 sel, u64 la, u64 desc,
		  const struct emul_seg *s, bool call)
{
	struct emul_gate g = { 0 };
	int ret;

	if (!c->long_mode && is_task(s))
		return far_task(c, sel, desc, s, call);
	ret = read_gate(c, sel, la, desc, s, &g);
	if (!ret)
		ret = emul_gate_code(c, &g, call);
	if (!ret && call)
		ret = prepare_call(c, &g);
	if (!ret)
		ret = emul_far_target(c, &g.cs, g.rip);
	if (!ret)
		ret = emul_gate_mark(c, &g);
	if (!ret && call)
		ret = emul_gate_finish(c, &g);
	return ret ? ret : emul_gate_enter(c, &g);
}
