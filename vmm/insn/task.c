// SPDX-License-Identifier: GPL-2.0
/*
 * Task switches: by JMP, CALL and IRET, and through the task gate of an interrupt. SDM
 * volume 3, "Task Switching"; APM volume 2, "Hardware Task Management".
 *
 * A switch has two halves, each of which is begun again by itself where it has to
 * wait. The first one belongs to the old task. It checks, probes all that it stores,
 * stores the old registers, reads the new TSS, and moves to the new task without its
 * segments. A fault leaves the old task at the instruction, with nothing changed. The
 * second half loads LDTR and the segments with the privilege of the new task, which
 * the faults belong to.
 */
#include "emul.h"

#define TYPE_TSS16 1
#define TYPE_TSS 9
#define TYPE_LDT 2
#define TYPE_BUSY 2

#define DESC_BUSY BIT_ULL(41)
#define DESC_TYPE(desc) ((desc) >> 40 & 0x1f)

#define TASK_FLAGS                                                         \
	(ARITH_FLAGS | X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF |     \
	 X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF | X86_EFLAGS_VM | \
	 X86_EFLAGS_AC | X86_EFLAGS_VIF | X86_EFLAGS_VIP | X86_EFLAGS_ID)

/* What is in DR6 for a single step, and for the T bit of a TSS. */
#define DR6_BS BIT(14)
#define DR6_BT BIT(15)
/* L0 to L3 and LE of DR7 */
#define DR7_LOCAL 0x155u

#define TSS_BYTES 0x68u
#define TSS16_BYTES 0x2cu
#define TSS_CR3 0x1c
#define TSS_TRAP 0x64

/*
 * Where a TSS of 32 or of 16 bits has what both have. The words from @words on are
 * EIP, EFLAGS and the general registers, those from @segs on the segment registers, in
 * the encoding's order.
 */
struct layout {
	u8 width;
	u8 words;
	u8 segs;
	u8 nr_segs;
	u8 ldt;
	u8 bytes;
};

#define NR_WORDS 10

static const struct layout tss32 = { 4, 0x20, 0x48, 6, 0x60, TSS_BYTES };
static const struct layout tss16 = { 2, 0x0e, 0x22, 4, 0x2a, TSS16_BYTES };

/* A TSS, with its descriptor in the GDT. */
struct tss {
	struct emul_seg seg;
	const struct layout *at;
	bool has_desc;
	u64 la;
	u64 desc;
};

static const struct layout *layout_of(const struct emul_seg *s)
{
	return s->attr & 8 ? &tss32 : &tss16;
}

static u64 in_tss(const struct tss *t, unsigned int offset)
{
	return (u32)(t->seg.base + offset);
}

/* ---- the first half ---- */

/* A bad target is #GP for all but IRET, for which it is a fault of the TSS. */
static int refuse(struct emul_ctxt *c, u16 sel, bool iret)
{
	return emul_raise(c, iret ? X86_TRAP_TS : X86_TRAP_GP,
			  emul_without_rpl(sel));
}

static int find_new(struct emul_ctxt *c, u16 sel, bool iret, struct tss *t)
{
	unsigned int type;
	int ret;

	if (sel & SEL_TI || !emul_without_rpl(sel))
		return refuse(c, sel, iret);
	ret = emul_read_descriptor(c, sel, &t->la, &t->desc, &t->seg);
	if (ret == EMUL_FAULT && c->exception.vector == X86_TRAP_GP)
		return refuse(c, sel, iret);
	if (ret)
		return ret;
	type = t->seg.attr & (EMUL_SEG_S | EMUL_SEG_TYPE);
	if (iret)
		type ^= TYPE_BUSY;
	if (type != TYPE_TSS && type != TYPE_TSS16)
		return refuse(c, sel, iret);
	if (!(t->seg.attr & EMUL_SEG_P))
		return emul_raise(c, X86_TRAP_NP, emul_without_rpl(sel));
	t->at = layout_of(&t->seg);
	if (t->seg.limit < t->at->bytes - 1)
		return emul_raise(c, X86_TRAP_TS, emul_without_rpl(sel));
	t->has_desc = true;
	return EMUL_OK;
}

/* The old TSS is that of TR's hidden part, whatever the GDT says of it now. */
static int find_old(struct emul_ctxt *c, struct tss *t)
{
	struct emul_dtable gdt;
	u16 offset;
	int ret;

	ret = c->ops->get_sys_seg(c, true, &t->seg);
	if (ret)
		return ret;
	t->at = layout_of(&t->seg);
	if (t->seg.attr & EMUL_SEG_UNUSABLE ||
	    t->seg.limit < t->at->segs + t->at->nr_segs * t->at->width - 1)
		return emul_raise(c, X86_TRAP_TS, emul_without_rpl(t->seg.sel));
	ret = c->ops->get_dtable(c, false, &gdt);
	offset = t->seg.sel & ~(SEL_RPL | SEL_TI);
	if (ret || offset + 7u > gdt.limit)
		return ret;
	t->la = (u32)(gdt.base + offset);
	ret = emul_read_linear(c, t->la, &t->desc, 8, EMUL_F_SYSTEM);
	/* A descriptor of another kind is left alone. */
	t->has_desc = (DESC_TYPE(t->desc) & ~8u) == (TYPE_TSS16 | TYPE_BUSY);
	return ret;
}

/* No such range touches more than two pages. */
static int probe(struct emul_ctxt *c, u64 la, unsigned int bytes)
{
	u64 page = (u32)(la + bytes - 1) & ~(u64)(EMUL_PAGE_SIZE - 1);
	int ret = emul_probe_linear(c, la, 1, EMUL_F_SYSTEM);

	if (ret || (la & ~(u64)(EMUL_PAGE_SIZE - 1)) == page)
		return ret;
	return emul_probe_linear(c, page, 1, EMUL_F_SYSTEM);
}

/* What is stored must not fault behind the first store. */
static int probe_all(struct emul_ctxt *c, const struct tss *old,
		     const struct tss *new, bool mark_old, bool mark_new)
{
	const struct layout *at = old->at;
	/* The limit of the old TSS may end behind its last segment register. */
	int ret = probe(c, in_tss(old, at->words),
			at->segs + at->nr_segs * at->width - at->words);

	if (!ret)
		ret = probe(c, in_tss(new, 0), new->at->bytes);
	if (!ret && mark_old)
		ret = probe(c, old->la, 8);
	if (!ret && mark_new)
		ret = probe(c, new->la, 8);
	return ret;
}

/*
 * Stores the registers, and nothing in between: the rest of a TSS is its owner's, and
 * a segment register has 16 bits in either format.
 */
static int save_old(struct emul_ctxt *c, const struct tss *t, u64 rip,
		    u64 rflags)
{
	const struct layout *at = t->at;
	struct emul_seg s;
	unsigned int i;
	int ret = EMUL_OK;
	u64 v;

	for (i = 0; !ret && i < NR_WORDS; i++) {
		v = i == 0 ? rip : i == 1 ? rflags : c->w.regs[i - 2];
		ret = emul_write_linear(c, in_tss(t, at->words + i * at->width),
					&v, at->width, EMUL_F_SYSTEM);
	}
	for (i = 0; !ret && i < at->nr_segs; i++) {
		ret = c->ops->get_seg(c, i, &s);
		if (!ret)
			ret = emul_write_linear(
				c, in_tss(t, at->segs + i * at->width), &s.sel,
				2, EMUL_F_SYSTEM);
	}
	return ret;
}

static u32 field(const u8 *image, unsigned int offset, unsigned int width)
{
	u32 v = 0;

	memcpy(&v, image + offset, width);
	return v;
}

/* A TSS of 16 bits has neither CR3, FS and GS, nor the upper halves of registers. */
static int read_new(struct emul_ctxt *c, const struct tss *t,
		    struct emul_task *task)
{
	const struct layout *at = t->at;
	unsigned int i, n;
	u8 image[TSS_BYTES] = { 0 };
	int ret;

	for (i = 0; i < at->bytes; i += n) {
		n = at->bytes - i;
		if (n > EMUL_MAX_ACCESS)
			n = EMUL_MAX_ACCESS;
		ret = emul_read_linear(c, in_tss(t, i), image + i, n,
				       EMUL_F_SYSTEM);
		if (ret)
			return ret;
	}
	task->wide = at == &tss32;
	c->w.rip = field(image, at->words, at->width);
	c->w.rflags =
		(field(image, at->words + at->width, at->width) & TASK_FLAGS) |
		X86_EFLAGS_FIXED;
	for (i = 0; i < NR_WORDS - 2; i++)
		c->w.regs[i] = field(image, at->words + (i + 2) * at->width,
				     at->width);
	memset(task->seg, 0, sizeof(task->seg));
	for (i = 0; i < at->nr_segs; i++)
		task->seg[i] = field(image, at->segs + i * at->width, 2);
	task->ldt = field(image, at->ldt, 2);
	if (task->wide) {
		task->cr3 = field(image, TSS_CR3, 4);
		task->trap = image[TSS_TRAP] & 1;
	}
	return EMUL_OK;
}

/* Changes the busy bit of a TSS. If its descriptor has changed, it is begun again. */
static int set_busy(struct emul_ctxt *c, const struct tss *t, u64 desc)
{
	u64 found = t->desc;
	int ret;

	ret = emul_cmpxchg_linear(c, t->la, &found, &desc, 8,
				  EMUL_F_SYSTEM | EMUL_F_LOCKED);
	return ret ? ret : found == t->desc ? EMUL_OK : EMUL_RESTART;
}

/*
 * The segments as the faults of the new task find them: the selectors are there, and
 * nothing can be reached through them. The ring is the new one already, as far as an
 * entry looks for it: in SS, whose RPL is that of CS then, and in CS.
 */
static int forget_segments(struct emul_ctxt *c, const struct emul_task *task)
{
	struct emul_seg s;
	unsigned int i;
	int ret = EMUL_OK;

	for (i = 0; !ret && i < ARRAY_SIZE(task->seg); i++) {
		s = (struct emul_seg){ .sel = task->seg[i],
				       .attr = EMUL_SEG_UNUSABLE };
		if (i == INSN_SEG_CS)
			s.attr = EMUL_SEG_DB | EMUL_SEG_P | EMUL_SEG_S | 0xb;
		if (i == INSN_SEG_SS)
			s.sel = emul_without_rpl(s.sel) | c->cpl;
		if (i == INSN_SEG_CS || i == INSN_SEG_SS)
			s.attr |= c->cpl << EMUL_SEG_DPL_SHIFT;
		ret = c->ops->set_seg(c, i, &s);
	}
	return ret;
}

static int enter_new(struct emul_ctxt *c, const struct tss *new,
		     struct emul_task *task)
{
	struct emul_seg tr = new->seg,
			ldt = { .sel = task->ldt, .attr = EMUL_SEG_UNUSABLE };
	u64 cr0, dr7;
	unsigned int i;
	int ret;

	tr.attr |= TYPE_BUSY;
	ret = c->ops->get_cr(c, 0, &cr0);
	if (!ret)
		ret = c->ops->get_dr(c, 7, &dr7);
	if (!ret)
		ret = c->ops->set_sys_seg(c, true, &tr);
	if (!ret)
		ret = c->ops->set_cr(c, 0, cr0 | X86_CR0_TS);
	if (!ret)
		ret = c->ops->set_dr(c, 7, dr7 & ~(u64)DR7_LOCAL);
	if (!ret && task->wide && cr0 & X86_CR0_PG) {
		ret = c->ops->set_cr(c, 3, task->cr3);
		task->bad_cr3 = ret == EMUL_FAULT;
		if (task->bad_cr3)
			ret = EMUL_OK;
	}
	if (!ret)
		ret = c->ops->set_sys_seg(c, false, &ldt);
	if (ret)
		return ret;
	c->cpl = emul_vm86(c) ? 3 : task->seg[INSN_SEG_CS] & SEL_RPL;
	if (!emul_vm86(c))
		return forget_segments(c, task);
	for (i = 0; !ret && i < ARRAY_SIZE(task->seg); i++)
		ret = emul_load_vm86_seg(c, i, task->seg[i]);
	return ret;
}

int emul_switch_task(struct emul_ctxt *c, u16 sel, enum emul_task_from from)
{
	bool iret = from == EMUL_TASK_IRET, nest, leave;
	struct tss old = { 0 }, new = { 0 };
	struct emul_task *task = &c->task;
	u64 flags = c->w.rflags & ~(u64)X86_EFLAGS_RF, rip;
	int ret;

	if (!c->ops->set_seg || !c->ops->set_sys_seg || !c->ops->set_cr ||
	    !c->ops->get_dr || !c->ops->set_dr || !c->ops->get_dtable ||
	    !c->ops->get_sys_seg)
		return EMUL_UNHANDLED;
	task->trap = false;
	task->bad_cr3 = false;
	nest = from == EMUL_TASK_CALL || from == EMUL_TASK_GATE;
	ret = find_new(c, sel, iret, &new);
	if (!ret)
		ret = find_old(c, &old);
	leave = !nest && old.has_desc;
	if (!ret)
		ret = probe_all(c, &old, &new, leave, !iret);
	if (ret)
		return ret;

	rip = task->event ? c->st.rip : emul_next_rip(c);
	if (task->event)
		flags = c->w.rflags | (task->rf ? X86_EFLAGS_RF : 0);
	if (iret)
		flags &= ~(u64)X86_EFLAGS_NT;
	/* INT n and events have no trap of a single step behind them. */
	task->dr6 = from != EMUL_TASK_GATE && flags & X86_EFLAGS_TF ? DR6_BS :
								      0;
	ret = save_old(c, &old, rip, flags);
	if (!ret)
		ret = read_new(c, &new, task);
	if (!ret && nest)
		ret = emul_write_linear(c, in_tss(&new, 0), &old.seg.sel, 2,
					EMUL_F_SYSTEM);
	/*
	 * Where one of these begins again, the old TSS may already be available. Nobody
	 * asks then, as TR's hidden part is what counts.
	 */
	if (!ret && leave)
		ret = set_busy(c, &old, old.desc & ~DESC_BUSY);
	if (!ret && !iret)
		ret = set_busy(c, &new, new.desc | DESC_BUSY);
	if (ret)
		return ret;
	if (nest)
		c->w.rflags |= X86_EFLAGS_NT;
	ret = enter_new(c, &new, task);
	if (ret)
		return ret;
	task->stage = EMUL_TASK_LOAD;
	/* What follows is not the work of the instruction of the old task. */
	c->insn.len = 0;
	c->branched = true;
	c->more = true;
	c->set_rf = true;
	return EMUL_OK;
}

/* ---- the second half ---- */

static int bad_segment(struct emul_ctxt *c, u16 sel)
{
	return emul_raise(c, X86_TRAP_TS, emul_without_rpl(sel));
}

/* What is #GP for other loads is a fault of the TSS here. */
static int read_descriptor(struct emul_ctxt *c, u16 sel, u64 *la, u64 *desc,
			   struct emul_seg *s)
{
	int ret = emul_read_descriptor(c, sel, la, desc, s);

	if (ret == EMUL_FAULT && c->exception.vector == X86_TRAP_GP)
		return bad_segment(c, sel);
	return ret;
}

static int load_ldt(struct emul_ctxt *c, u16 sel)
{
	struct emul_seg s;
	u64 la = 0, desc;
	int ret;

	if (!emul_without_rpl(sel))
		return EMUL_OK;
	if (sel & SEL_TI)
		return bad_segment(c, sel);
	ret = read_descriptor(c, sel, &la, &desc, &s);
	if (ret)
		return ret;
	if ((s.attr & (EMUL_SEG_S | EMUL_SEG_TYPE)) != TYPE_LDT ||
	    !(s.attr & EMUL_SEG_P))
		return bad_segment(c, sel);
	return c->ops->set_sys_seg(c, false, &s);
}

static int check_code(struct emul_ctxt *c, const struct emul_seg *s)
{
	if (!(s->attr & EMUL_SEG_S) || !(s->attr & 8) ||
	    (s->attr & 4 ? emul_dpl(s) > c->cpl : emul_dpl(s) != c->cpl))
		return bad_segment(c, s->sel);
	return s->attr & EMUL_SEG_P ?
		       EMUL_OK :
		       emul_raise(c, X86_TRAP_NP, emul_without_rpl(s->sel));
}

static int check_segment(struct emul_ctxt *c, enum insn_seg seg,
			 const struct emul_seg *s)
{
	int ret;

	if (seg == INSN_SEG_CS)
		return check_code(c, s);
	ret = seg == INSN_SEG_SS ? emul_check_stack_segment(c, s, c->cpl) :
				   emul_check_data_segment(c, s);
	if (ret == EMUL_FAULT && c->exception.vector == X86_TRAP_GP)
		return bad_segment(c, s->sel);
	return ret;
}

static int load_segment(struct emul_ctxt *c, enum insn_seg seg)
{
	u16 sel = c->task.seg[seg];
	struct emul_seg s;
	u64 la = 0, desc;
	int ret;

	if (!emul_without_rpl(sel))
		return seg == INSN_SEG_CS || seg == INSN_SEG_SS ?
			       bad_segment(c, sel) :
			       EMUL_OK;
	ret = read_descriptor(c, sel, &la, &desc, &s);
	if (!ret)
		ret = check_segment(c, seg, &s);
	if (!ret)
		ret = emul_mark_accessed(c, la, desc, &s);
	return ret ? ret : c->ops->set_seg(c, seg, &s);
}

int emul_load_task(struct emul_ctxt *c)
{
	static const u8 order[] = { INSN_SEG_CS, INSN_SEG_SS, INSN_SEG_DS,
				    INSN_SEG_ES, INSN_SEG_FS, INSN_SEG_GS };
	const struct emul_task *task = &c->task;
	struct emul_seg cs;
	unsigned int i;
	int ret;

	if (task->bad_cr3)
		return emul_gp(c, 0);
	ret = load_ldt(c, task->ldt);
	for (i = 0; !ret && !emul_vm86(c) && i < ARRAY_SIZE(order); i++)
		ret = load_segment(c, order[i]);
	if (!ret)
		ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
	if (!ret)
		ret = emul_far_target(c, &cs, c->w.rip);
	if (!ret && task->has_ec)
		ret = emul_push(c, task->error_code, task->wide ? 4 : 2);
	if (ret)
		return ret;
	c->task.dr6 |= task->trap ? DR6_BT : 0;
	c->branched = true;
	c->set_rf = true;
	c->no_step = true;
	return EMUL_OK;
}
