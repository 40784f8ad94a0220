// SPDX-License-Identifier: GPL-2.0
/*
 * Far transfers: JMP, CALL and RET between code segments, and IRET. Each checks
 * everything, stores what it has to store, and loads CS last.
 *
 * gate.c has call gates, task.c has task switches. An IRET of VM86 that raises #GP or
 * that CR4.VME virtualizes is EMUL_UNHANDLED.
 *
 * The hypercall iret of a paravirtual kernel is an IRET with more on the stack.
 */
#include "emul.h"

static int check_code_segment(struct emul_ctxt *c, const struct emul_seg *s)
{
	unsigned int dpl = emul_dpl(s);
	u32 ec = s->sel & ~SEL_RPL;

	if (!(s->attr & 8))
		return emul_gp(c, ec);
	if (s->attr & 4 ? dpl > c->cpl :
			  (s->sel & SEL_RPL) > c->cpl || dpl != c->cpl)
		return emul_gp(c, ec);
	if (c->long_mode && s->attr & EMUL_SEG_L && s->attr & EMUL_SEG_DB)
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_NP, ec);
}

int emul_far_target(struct emul_ctxt *c, const struct emul_seg *s, u64 rip)
{
	bool wide = c->long_mode && s->attr & EMUL_SEG_L;

	if (wide ? !emul_canonical(c, rip) : rip > s->limit)
		return emul_gp(c, 0);
	c->w.rip = rip;
	c->branched = true;
	return EMUL_OK;
}

/* CALL pushes CS and the address of the next instruction. */
static int push_return(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize;
	struct emul_seg cs;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
	if (!ret)
		ret = emul_push(c, cs.sel, bytes);
	return ret ? ret : emul_push(c, emul_next_rip(c), bytes);
}

/* In real mode and VM86 the selector is the base, and the limit stays. */
static int load_cs_real(struct emul_ctxt *c, u16 sel, u64 rip, bool call)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_CS, &s);
	if (!ret && call)
		ret = emul_probe_push(c, 2, c->insn.opsize);
	if (!ret)
		ret = emul_far_target(c, &s, rip);
	if (!ret && call)
		ret = push_return(c);
	if (ret)
		return ret;
	s.sel = sel;
	s.base = (u32)sel << 4;
	return c->ops->set_seg(c, INSN_SEG_CS, &s);
}

static int load_cs_protected(struct emul_ctxt *c, u16 sel, u64 rip, bool call)
{
	struct emul_seg s;
	u64 la = 0, desc;
	int ret;

	if (!(sel & ~SEL_RPL))
		return emul_gp(c, 0);
	ret = emul_read_descriptor(c, sel, &la, &desc, &s);
	if (!ret && !(s.attr & EMUL_SEG_S))
		return emul_far_gate(c, sel, la, desc, &s, call);
	if (!ret)
		ret = check_code_segment(c, &s);
	if (!ret && call)
		ret = emul_probe_push(c, 2, c->insn.opsize);
	if (!ret)
		ret = emul_far_target(c, &s, rip);
	if (!ret)
		ret = emul_mark_accessed(c, la, desc, &s);
	if (!ret && call)
		ret = push_return(c);
	if (ret)
		return ret;
	s.sel = (sel & ~SEL_RPL) | c->cpl;
	return c->ops->set_seg(c, INSN_SEG_CS, &s);
}

/*
 * JMP and CALL to ptr16:16, ptr16:32, m16:16, m16:32, m16:64.
 */
int emul_op_far(struct emul_ctxt *c)
{
	bool call = c->insn.op == INSN_OP_CALL_FAR;
	unsigned int bytes = emul_far_offset(c);
	u64 rip = c->insn.imm;
	u16 sel = c->insn.imm2;
	u8 buf[10];
	int ret;

	if (!c->ops->set_seg)
		return EMUL_UNHANDLED;
	if (c->insn.has_mem) {
		ret = emul_read(c, c->insn.seg, emul_ea(c), buf, bytes + 2, 0);
		if (ret)
			return ret;
		rip = 0;
		memcpy(&rip, buf, bytes);
		memcpy(&sel, buf + bytes, 2);
	}
	rip &= emul_mask(bytes);
	return emul_protected(c) ? load_cs_protected(c, sel, rip, call) :
				   load_cs_real(c, sel, rip, call);
}

/* ---- RETF and IRET ---- */

/* Where a return goes to. */
struct ret_frame {
	u64 rip, cs, flags, rsp, ss;
	u64 cs_la, cs_desc, ss_la, ss_desc;
	struct emul_seg cs_seg, ss_seg;
	bool has_stack; /* rSP and SS were popped */
	/* A selector of a level below this one is taken for one of it. */
	unsigned int least_rpl;
};

static u64 raise_rpl(const struct ret_frame *f, u64 sel)
{
	return (sel & SEL_RPL) < f->least_rpl ? sel | f->least_rpl : sel;
}

#define VM86_IRET_FLAGS                                                    \
	(ARITH_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF |     \
	 X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | \
	 X86_EFLAGS_AC | X86_EFLAGS_VIF | X86_EFLAGS_VIP | X86_EFLAGS_ID)

/* The flags that IRET may change at this privilege level. */
static u64 iret_flags(const struct emul_ctxt *c)
{
	u64 mask = ARITH_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT |
		   X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID;

	if (c->cpl <= emul_iopl(c))
		mask |= X86_EFLAGS_IF;
	if (!c->cpl)
		mask |= X86_EFLAGS_IOPL;
	if (!c->cpl && emul_protected(c))
		mask |= X86_EFLAGS_VIF | X86_EFLAGS_VIP;
	return mask & emul_mask(c->insn.opsize);
}

static int return_real(struct emul_ctxt *c, const struct ret_frame *f)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, INSN_SEG_CS, &s);
	if (!ret)
		ret = emul_far_target(c, &s, f->rip);
	if (ret)
		return ret;
	s.sel = f->cs;
	s.base = (u32)s.sel << 4;
	return c->ops->set_seg(c, INSN_SEG_CS, &s);
}

static int check_return_code(struct emul_ctxt *c, struct ret_frame *f)
{
	unsigned int rpl = f->cs & SEL_RPL, dpl;
	u16 ec = f->cs & ~SEL_RPL;
	struct emul_seg *s = &f->cs_seg;
	int ret;

	if (!ec)
		return emul_gp(c, 0);
	ret = emul_read_descriptor(c, f->cs, &f->cs_la, &f->cs_desc, s);
	if (ret)
		return ret;
	dpl = emul_dpl(s);
	if (!(s->attr & EMUL_SEG_S) || !(s->attr & 8) || rpl < c->cpl ||
	    (s->attr & 4 ? dpl > rpl : dpl != rpl))
		return emul_gp(c, ec);
	if (c->long_mode && s->attr & EMUL_SEG_L && s->attr & EMUL_SEG_DB)
		return emul_gp(c, ec);
	return s->attr & EMUL_SEG_P ? EMUL_OK : emul_raise(c, X86_TRAP_NP, ec);
}

/* The new SS: null only for 64-bit code outside of ring 3. */
static int check_return_stack(struct emul_ctxt *c, struct ret_frame *f)
{
	unsigned int rpl = f->cs & SEL_RPL;
	struct emul_seg *s = &f->ss_seg;
	int ret;

	if (!(f->ss & 0xffff & ~SEL_RPL)) {
		if (!c->long_mode || !(f->cs_seg.attr & EMUL_SEG_L) ||
		    rpl == 3 || (f->ss & SEL_RPL) != rpl)
			return emul_gp(c, 0);
		memset(s, 0, sizeof(*s));
		s->sel = f->ss;
		s->attr = EMUL_SEG_UNUSABLE | rpl << EMUL_SEG_DPL_SHIFT;
		return EMUL_OK;
	}
	ret = emul_read_descriptor(c, f->ss, &f->ss_la, &f->ss_desc, s);
	return ret ? ret : emul_check_stack_segment(c, s, rpl);
}

/* A return to an outer ring clears data segments that it may not use. */
static int drop_inner_segments(struct emul_ctxt *c, unsigned int cpl)
{
	static const u8 segs[] = { INSN_SEG_ES, INSN_SEG_DS, INSN_SEG_FS,
				   INSN_SEG_GS };
	struct emul_seg s;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		ret = c->ops->get_seg(c, segs[i], &s);
		if (ret)
			return ret;
		if (s.attr & EMUL_SEG_UNUSABLE || (s.attr & 0xc) == 0xc ||
		    emul_dpl(&s) >= cpl)
			continue;
		/* A null selector keeps its base in the hidden part. */
		s.sel = 0;
		s.attr = EMUL_SEG_UNUSABLE;
		ret = c->ops->set_seg(c, segs[i], &s);
		if (ret)
			return ret;
	}
	return EMUL_OK;
}

static int return_protected(struct emul_ctxt *c, struct ret_frame *f)
{
	unsigned int rpl = f->cs & SEL_RPL;
	int ret;

	ret = emul_far_target(c, &f->cs_seg, f->rip);
	if (!ret)
		ret = emul_mark_accessed(c, f->cs_la, f->cs_desc, &f->cs_seg);
	if (!ret && f->has_stack && !(f->ss_seg.attr & EMUL_SEG_UNUSABLE))
		ret = emul_mark_accessed(c, f->ss_la, f->ss_desc, &f->ss_seg);
	if (!ret)
		ret = c->ops->set_seg(c, INSN_SEG_CS, &f->cs_seg);
	if (!ret && f->has_stack)
		ret = c->ops->set_seg(c, INSN_SEG_SS, &f->ss_seg);
	if (!ret && rpl > c->cpl)
		ret = drop_inner_segments(c, rpl);
	return ret;
}

/* The new stack pointer is as wide as the new mode and SS say. */
static void load_sp(struct emul_ctxt *c, const struct ret_frame *f,
		    unsigned int release)
{
	bool wide = c->long_mode && f->cs_seg.attr & EMUL_SEG_L;
	unsigned int width = wide ? 8 : f->ss_seg.attr & EMUL_SEG_DB ? 4 : 2;

	emul_set_reg(c, INSN_RSP, width, f->rsp + release);
}

/* Pops rSP and SS, if the return changes the stack. */
static int pop_stack(struct emul_ctxt *c, struct ret_frame *f,
		     unsigned int bytes)
{
	int ret;

	f->has_stack = true;
	ret = emul_pop(c, &f->rsp, bytes);
	if (!ret)
		ret = emul_pop(c, &f->ss, bytes);
	f->ss = raise_rpl(f, f->ss);
	return ret ? ret : check_return_stack(c, f);
}

int emul_op_retf(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize, release = c->insn.imm & 0xffff;
	struct ret_frame f = { 0 };
	int ret;

	if (!c->ops->set_seg)
		return EMUL_UNHANDLED;
	ret = emul_pop(c, &f.rip, bytes);
	if (!ret)
		ret = emul_pop(c, &f.cs, bytes);
	if (!ret && emul_protected(c))
		ret = check_return_code(c, &f);
	if (!ret)
		ret = emul_release(c, release);
	if (ret)
		return ret;
	if (!emul_protected(c))
		return return_real(c, &f);
	if ((f.cs & SEL_RPL) > c->cpl) {
		ret = pop_stack(c, &f, bytes);
		if (ret)
			return ret;
		load_sp(c, &f, release);
	}
	return return_protected(c, &f);
}

int emul_load_vm86_seg(struct emul_ctxt *c, enum insn_seg seg, u16 sel)
{
	const struct emul_seg s = {
		.base = (u32)sel << 4, .limit = 0xffff, .sel = sel, .attr = 0xf3
	};

	return c->ops->set_seg(c, seg, &s);
}

/* IRET of ring 0 to VM86: the frame has rSP and all segments. */
static int return_vm86(struct emul_ctxt *c, const struct ret_frame *f)
{
	static const u8 order[] = { INSN_SEG_SS, INSN_SEG_ES, INSN_SEG_DS,
				    INSN_SEG_FS, INSN_SEG_GS };
	const struct emul_seg cs = { .limit = 0xffff };
	u64 rsp, sel[ARRAY_SIZE(order)];
	unsigned int i;
	int ret;

	ret = emul_pop(c, &rsp, 4);
	for (i = 0; !ret && i < ARRAY_SIZE(order); i++)
		ret = emul_pop(c, &sel[i], 4);
	if (!ret)
		ret = emul_far_target(c, &cs, f->rip);
	if (ret)
		return ret;
	c->w.regs[INSN_RSP] = rsp;
	c->w.rflags = (f->flags & VM86_IRET_FLAGS) | X86_EFLAGS_FIXED;
	ret = emul_load_vm86_seg(c, INSN_SEG_CS, f->cs);
	for (i = 0; !ret && i < ARRAY_SIZE(order); i++)
		ret = emul_load_vm86_seg(c, order[i], sel[i]);
	c->set_rf = f->flags & X86_EFLAGS_RF;
	return ret;
}

/* IRET with NT goes back to the task that the TSS has a link to. */
static int return_task(struct emul_ctxt *c)
{
	struct emul_seg tr;
	u16 link;
	int ret;

	if (!c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	ret = c->ops->get_sys_seg(c, true, &tr);
	if (!ret)
		ret = emul_read_linear(c, (u32)tr.base, &link, 2,
				       EMUL_F_SYSTEM);
	return ret ? ret : emul_switch_task(c, link, EMUL_TASK_IRET);
}

/* Returns in protected mode, or as the hypercall iret. */
static int iret_protected(struct emul_ctxt *c, struct ret_frame *f)
{
	unsigned int bytes = c->insn.opsize;
	int ret;

	ret = check_return_code(c, f);
	if (!ret && (emul_long(c) || (f->cs & SEL_RPL) > c->cpl)) {
		ret = pop_stack(c, f, bytes);
		if (!ret)
			load_sp(c, f, 0);
	}
	return ret ? ret : return_protected(c, f);
}

static int pop_iret(struct emul_ctxt *c, struct ret_frame *f)
{
	unsigned int bytes = c->insn.opsize;
	int ret;

	ret = emul_pop(c, &f->rip, bytes);
	if (!ret)
		ret = emul_pop(c, &f->cs, bytes);
	return ret ? ret : emul_pop(c, &f->flags, bytes);
}

static void load_flags(struct emul_ctxt *c, const struct ret_frame *f, u64 mask)
{
	emul_set_flags(c, mask, f->flags);
	c->set_rf = f->flags & mask & X86_EFLAGS_RF;
}

static int iret(struct emul_ctxt *c)
{
	struct ret_frame f = { 0 };
	u64 mask = iret_flags(c);
	int ret;

	if (emul_vm86(c) && emul_iopl(c) < 3)
		return EMUL_UNHANDLED;
	if (emul_protected(c) && c->w.rflags & X86_EFLAGS_NT)
		return c->long_mode ? emul_gp(c, 0) : return_task(c);
	ret = pop_iret(c, &f);
	if (ret)
		return ret;
	if (emul_protected(c) && f.flags & X86_EFLAGS_VM && !c->cpl &&
	    c->insn.opsize >= 4 && !c->long_mode)
		return return_vm86(c, &f);
	ret = emul_protected(c) ? iret_protected(c, &f) : return_real(c, &f);
	if (!ret)
		load_flags(c, &f, mask);
	return ret;
}

/* IRET ends blocking of NMIs, even when it raises an exception. */
static int end_nmi(struct emul_ctxt *c, int ret)
{
	if (c->nmi_masked && (ret == EMUL_OK || ret == EMUL_FAULT))
		c->ops->unblock_nmi(c);
	return ret;
}

int emul_op_iret(struct emul_ctxt *c)
{
	if (!c->ops->set_seg || !c->ops->unblock_nmi)
		return EMUL_UNHANDLED;
	return end_nmi(c, iret(c));
}

/* ---- the hypercall iret ---- */

/* struct iret_context: RCX and R11 are not what SYSCALL has left there. */
#define VGCF_IN_SYSCALL BIT(8)
#define NR_DATA_SEGS 4
#define R11 11

void vigil_emul_pv_iret(struct emul_ctxt *c, unsigned int bytes, u16 cs, u64 ip,
			bool masks)
{
	memset(&c->insn, 0, sizeof(c->insn));
	c->insn.op = INSN_OP_PV_IRET;
	c->insn.opsize = bytes;
	c->insn.imm = ip;
	c->insn.imm2 = cs;
	c->insn.flags = masks ? INSN_SYSTEM : 0;
}

/* Above the frame of IRET lie RAX and, of 64-bit code, R11, RCX and flags. */
static int pop_registers(struct emul_ctxt *c)
{
	unsigned int bytes = c->insn.opsize;
	u64 rax, r11, rcx, flags;
	int ret;

	ret = emul_pop(c, &rax, bytes);
	if (ret)
		return ret;
	emul_set_reg(c, INSN_RAX, bytes, rax);
	if (bytes < 8)
		return EMUL_OK;
	ret = emul_pop(c, &r11, bytes);
	if (!ret)
		ret = emul_pop(c, &rcx, bytes);
	if (!ret)
		ret = emul_pop(c, &flags, bytes);
	if (!ret && !(flags & VGCF_IN_SYSCALL)) {
		emul_set_reg(c, R11, bytes, r11);
		emul_set_reg(c, INSN_RCX, bytes, rcx);
	}
	return ret;
}

/*
 * The kernel has asked for a return that the CPU refuses. Its callback finds DS, ES, FS
 * and GS on top of the frame that it wanted to return by.
 */
static int failsafe(struct emul_ctxt *c)
{
	/* GS first, so that DS is on top */
	static const u8 segs[NR_DATA_SEGS] = { INSN_SEG_GS, INSN_SEG_FS,
					       INSN_SEG_ES, INSN_SEG_DS };
	unsigned int i, bytes = c->insn.opsize;
	struct emul_seg s;
	int ret;

	c->w = c->st;
	ret = pop_registers(c);
	if (!ret)
		ret = emul_probe_push(c, NR_DATA_SEGS, bytes);
	for (i = 0; !ret && i < NR_DATA_SEGS; i++) {
		ret = c->ops->get_seg(c, segs[i], &s);
		if (!ret)
			ret = emul_push(c, s.sel, bytes);
	}
	if (ret)
		return ret;
	c->w.rflags &= ~(u64)(X86_EFLAGS_TF | X86_EFLAGS_NT | X86_EFLAGS_RF);
	if (c->insn.flags & INSN_SYSTEM)
		c->w.rflags &= ~(u64)X86_EFLAGS_IF;
	return load_cs_protected(c, c->insn.imm2, c->insn.imm, false);
}

int emul_op_pv_iret(struct emul_ctxt *c)
{
	struct ret_frame f = { .least_rpl = 1 };
	u64 mask = iret_flags(c);
	int ret;

	ret = pop_registers(c);
	if (!ret)
		ret = pop_iret(c, &f);
	f.cs = raise_rpl(&f, f.cs);
	if (!ret && f.flags & X86_EFLAGS_VM)
		ret = emul_gp(c, 0);
	if (!ret)
		ret = iret_protected(c, &f);
	if (!ret)
		load_flags(c, &f, mask);
	ret = end_nmi(c, ret);
	if (ret == EMUL_FAULT && c->insn.imm2 &&
	    c->exception.vector != X86_TRAP_PF)
		return failsafe(c);
	return ret;
}
