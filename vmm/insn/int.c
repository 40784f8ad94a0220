// SPDX-License-Identifier: GPL-2.0
/*
 * INT n, INT3, INTO and INT1, and events that the CPU could not deliver: through the
 * vector table of real mode, or through an interrupt or trap gate. SDM volume 2,
 * "INT n/INTO/INT3/INT1"; volume 3, "Exception and Interrupt Handling in 64-bit Mode".
 *
 * A handler of the guest's finds the frame that its CPU would have pushed. A task gate
 * leads to task.c. INT n of VM86 that CR4.VME redirects is EMUL_UNHANDLED.
 *
 * SYSCALL and SYSENTER are emulated where they are to be delivered as INT n:
 * emul_ctxt.bounce names the vector.
 */
#include "gate.h"

#define TYPE_TASK 5
#define TYPE_INT16 6
#define TYPE_TRAP16 7
#define TYPE_INT32 0xe
#define TYPE_TRAP32 0xf

/* In a TSS of 32 bits: where the permission map for I/O begins, behind that for INT n. */
#define TSS_IO_MAP 0x66
#define TSS_INT_MAP_BYTES 32

/**
 * struct soft - a software interrupt, or an event
 * @vector:	its number
 * @int1:	INT1, which the checks take for an event from outside
 * @call:	SYSCALL or SYSENTER, which goes where INT of @vector would go
 * @event:	no instruction
 * @masks:	the gate clears IF
 * @task:	it is a task gate
 */
struct soft {
	u8 vector;
	bool int1;
	bool call;
	bool event;
	bool masks;
	bool task;
};

/* ---- real mode ---- */

static int push_real(struct emul_ctxt *c)
{
	struct emul_seg cs;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
	if (!ret)
		ret = emul_push(c, c->w.rflags, 2);
	if (!ret)
		ret = emul_push(c, cs.sel, 2);
	return ret ? ret : emul_push(c, emul_next_rip(c), 2);
}

static int int_real(struct emul_ctxt *c, const struct soft *s)
{
	unsigned int at = s->vector * 4;
	struct emul_dtable idt;
	struct emul_seg cs;
	u16 vec[2];
	int ret;

	ret = c->ops->get_dtable(c, true, &idt);
	if (ret)
		return ret;
	if (at + 3 > idt.limit)
		return emul_gp(c, 0);
	ret = emul_read_linear(c, (u32)(idt.base + at), vec, sizeof(vec),
			       EMUL_F_SYSTEM);
	if (!ret)
		ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
	if (!ret)
		ret = emul_probe_push(c, 3, 2);
	if (!ret)
		ret = push_real(c);
	if (!ret)
		ret = emul_far_target(c, &cs, vec[0]);
	if (ret)
		return ret;
	c->w.rflags &= ~(u64)(X86_EFLAGS_IF | X86_EFLAGS_TF | X86_EFLAGS_AC |
			      X86_EFLAGS_RF);
	cs.sel = vec[1];
	cs.base = (u32)vec[1] << 4;
	return c->ops->set_seg(c, INSN_SEG_CS, &cs);
}

/* ---- through a gate ---- */

static int read_gate(struct emul_ctxt *c, struct soft *s, struct emul_gate *g)
{
	unsigned int bytes = c->long_mode ? 16 : 8, type, dpl;
	u32 ec = s->vector * 8 + EC_IDT;
	u32 at = s->vector * bytes;
	struct emul_dtable idt;
	u64 d[2] = { 0 };
	bool bounced;
	int ret;

	ret = c->ops->get_dtable(c, true, &idt);
	if (ret)
		return ret;
	if (at + bytes - 1 > idt.limit)
		return emul_gp(c, ec);
	ret = emul_read_linear(
		c, c->long_mode ? idt.base + at : (u32)(idt.base + at), d,
		bytes, EMUL_F_SYSTEM);
	if (ret)
		return ret;
	type = d[0] >> 40 & 0x1f;
	dpl = d[0] >> 45 & 3;
	if (type != TYPE_INT32 && type != TYPE_TRAP32 &&
	    (c->long_mode ||
	     (type != TYPE_INT16 && type != TYPE_TRAP16 && type != TYPE_TASK)))
		return emul_gp(c, ec);
	bounced = !s->int1 && !s->event && c->bounce == s->vector + 1;
	if (!s->int1 && !s->event && !bounced && dpl < c->cpl)
		return emul_gp(c, ec);
	if (!(d[0] >> 47 & 1))
		return emul_raise(c, X86_TRAP_NP, ec);
	s->task = type == TYPE_TASK;
	c->framing = bounced;
	s->masks = type == TYPE_INT32 || type == TYPE_INT16;
	g->width = c->long_mode ? 8 : type >= TYPE_INT32 ? 4 : 2;
	g->sel = d[0] >> 16;
	g->rip = d[0] & 0xffff;
	if (type >= TYPE_INT32)
		g->rip |= d[0] >> 32 & 0xffff0000;
	if (c->long_mode) {
		g->rip |= d[1] << 32;
		g->ist = d[0] >> 32 & 7;
	}
	return EMUL_OK;
}

static const u8 vm86_segs[] = { INSN_SEG_GS, INSN_SEG_FS, INSN_SEG_DS,
				INSN_SEG_ES };

static int add_segment(struct emul_ctxt *c, struct emul_gate *g,
		       enum insn_seg seg)
{
	struct emul_seg s;
	int ret = c->ops->get_seg(c, seg, &s);

	g->frame[g->n++] = s.sel;
	return ret;
}

/*
 * Collects what is pushed. In long mode SS and RSP are pushed always. An instruction
 * does not save RF.
 */
static int collect(struct emul_ctxt *c, const struct soft *s,
		   struct emul_gate *g)
{
	u64 flags = s->event ? c->w.rflags : c->w.rflags & ~(u64)X86_EFLAGS_RF;
	unsigned int i;
	int ret = EMUL_OK;

	for (i = 0; !ret && emul_vm86(c) && i < ARRAY_SIZE(vm86_segs); i++)
		ret = add_segment(c, g, vm86_segs[i]);
	if (!ret && (g->inner || c->long_mode)) {
		ret = add_segment(c, g, INSN_SEG_SS);
		g->frame[g->n++] = c->w.regs[INSN_RSP];
	}
	g->frame[g->n++] = flags;
	if (!ret)
		ret = add_segment(c, g, INSN_SEG_CS);
	g->frame[g->n++] = emul_next_rip(c);
	if (s->event && c->task.has_ec)
		g->frame[g->n++] = c->task.error_code;
	return ret;
}

/* The data segments of VM86 are not those of the handler. */
static int drop_vm86_segments(struct emul_ctxt *c)
{
	const struct emul_seg null = { .attr = EMUL_SEG_UNUSABLE };
	unsigned int i;
	int ret = EMUL_OK;

	for (i = 0; !ret && i < ARRAY_SIZE(vm86_segs); i++)
		ret = c->ops->set_seg(c, vm86_segs[i], &null);
	return ret;
}

static int int_protected(struct emul_ctxt *c, struct soft *s)
{
	struct emul_gate g = { 0 };
	bool vm86 = emul_vm86(c);
	int ret;

	ret = read_gate(c, s, &g);
	if (!ret && s->task)
		return emul_switch_task(c, g.sel, EMUL_TASK_GATE);
	if (!ret)
		ret = emul_gate_code(c, &g, true);
	if (ret)
		return ret;
	if (vm86 && (!g.inner || emul_dpl(&g.cs)))
		return emul_gp(c, emul_without_rpl(g.sel));
	ret = emul_gate_same_stack(c, &g);
	if (!ret && (g.inner || g.ist))
		ret = emul_gate_stack(c, &g);
	if (c->long_mode)
		g.sp &= ~15ull;
	if (!ret)
		ret = collect(c, s, &g);
	if (!ret)
		ret = emul_gate_push(c, &g, true);
	if (!ret)
		ret = emul_far_target(c, &g.cs, g.rip);
	if (!ret)
		ret = emul_gate_mark(c, &g);
	if (!ret)
		ret = emul_gate_finish(c, &g);
	if (!ret && vm86)
		ret = drop_vm86_segments(c);
	if (ret)
		return ret;
	c->w.rflags &= ~(u64)(X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_RF |
			      X86_EFLAGS_VM);
	if (s->masks)
		c->w.rflags &= ~(u64)X86_EFLAGS_IF;
	return emul_gate_enter(c, &g);
}

/*
 * With CR4.VME a bit of the TSS says whether INT n of VM86 goes through the IDT, or to
 * the vectors of VM86 itself.
 */
static int check_redirection(struct emul_ctxt *c, u8 vector)
{
	struct emul_seg tr;
	u32 at;
	u16 io_map;
	u8 bits;
	int ret;

	ret = c->ops->get_sys_seg(c, true, &tr);
	if (ret)
		return ret;
	if (!(tr.attr & 8) || tr.limit < TSS_IO_MAP + 1)
		return EMUL_UNHANDLED;
	ret = emul_read_linear(c, (u32)(tr.base + TSS_IO_MAP), &io_map, 2,
			       EMUL_F_SYSTEM);
	if (ret)
		return ret;
	at = io_map - TSS_INT_MAP_BYTES + vector / 8;
	if (at > tr.limit)
		return EMUL_UNHANDLED;
	ret = emul_read_linear(c, (u32)(tr.base + at), &bits, 1, EMUL_F_SYSTEM);
	if (ret)
		return ret;
	return bits >> vector % 8 & 1 ? EMUL_OK : EMUL_UNHANDLED;
}

/* Is an INT n of VM86 allowed? */
static int check_vm86(struct emul_ctxt *c, u8 vector)
{
	u64 cr4;
	int ret = c->ops->get_cr(c, 4, &cr4);

	if (!ret && cr4 & X86_CR4_VME)
		ret = check_redirection(c, vector);
	if (ret)
		return ret;
	return emul_iopl(c) < 3 ? emul_gp(c, 0) : EMUL_OK;
}

static void name_vector(const struct emul_ctxt *c, struct soft *s)
{
	s->vector = c->insn.imm;
	if (c->insn.op == INSN_OP_INTO)
		s->vector = X86_TRAP_OF;
	if (c->insn.op == INSN_OP_INT3)
		s->vector = X86_TRAP_BP;
	s->int1 = c->insn.op == INSN_OP_INT1;
	if (s->int1)
		s->vector = X86_TRAP_DB;
	s->call = c->insn.op == INSN_OP_SYSCALL ||
		  c->insn.op == INSN_OP_SYSENTER;
	if (s->call)
		s->vector = c->bounce - 1;
}

bool vigil_emul_int_enters(struct emul_ctxt *c, const struct emul_ops *ops,
			   u16 sel)
{
	struct emul_gate g = { 0 };
	struct soft s = { 0 };
	bool enters;

	c->ops = ops;
	c->log_pos = 0;
	c->w = c->st;
	name_vector(c, &s);
	switch (c->insn.op) {
	case INSN_OP_INTO:
		enters = c->w.rflags & X86_EFLAGS_OF;
		break;
	case INSN_OP_INT:
		enters = !emul_vm86(c) || !check_vm86(c, s.vector);
		break;
	default:
		enters = c->insn.op == INSN_OP_INT3;
	}
	enters = enters && c->protected_mode && !read_gate(c, &s, &g) &&
		 s.task && g.sel == sel;
	emul_log_reset(c);
	return enters;
}

int emul_op_int(struct emul_ctxt *c)
{
	struct soft s = { 0 };
	int ret;

	if (!c->ops->set_seg || !c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	if (c->insn.op == INSN_OP_INTO && !(c->w.rflags & X86_EFLAGS_OF))
		return EMUL_OK;
	name_vector(c, &s);
	if (c->insn.op == INSN_OP_INT && emul_vm86(c)) {
		ret = check_vm86(c, s.vector);
		if (ret)
			return ret;
	}
	if (s.call && !c->bounce)
		return EMUL_UNHANDLED;
	/* The checks take INT1 for an event from outside. */
	c->task.external = s.int1 && c->protected_mode;
	ret = c->protected_mode ? int_protected(c, &s) : int_real(c, &s);
	/* TF was clear before it could have trapped behind this instruction. */
	c->no_step = ret == EMUL_OK;
	return ret;
}

int emul_deliver(struct emul_ctxt *c)
{
	struct soft s = { .vector = c->task.vector, .event = true };
	int ret;

	if (!c->ops->set_seg || !c->ops->get_dtable || !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	if (c->task.rf)
		c->w.rflags |= X86_EFLAGS_RF;
	ret = c->protected_mode ? int_protected(c, &s) : int_real(c, &s);
	c->no_step = ret == EMUL_OK;
	return ret;
}
