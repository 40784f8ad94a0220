// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator's frame: checks, dispatch, commit, and the loop of a REP.
 */
#include "emul.h"

static const emul_fn handlers[INSN_OP_COUNT] = {
#define X(op, fn) [INSN_OP_##op] = emul_op_##fn,
	EMUL_HANDLERS(X)
#undef X
};

int emul_raise(struct emul_ctxt *c, u8 vector, u32 error_code)
{
	memset(&c->exception, 0, sizeof(c->exception));
	c->exception.vector = vector;
	switch (vector) {
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
	case X86_TRAP_AC:
		/* Real mode pushes no error codes. */
		c->exception.has_ec = c->protected_mode;
		if (c->protected_mode)
			c->exception.error_code = error_code;
		break;
	}
	return EMUL_FAULT;
}

int emul_ud(struct emul_ctxt *c)
{
	return emul_raise(c, X86_TRAP_UD, 0);
}

int emul_gp(struct emul_ctxt *c, u32 error_code)
{
	return emul_raise(c, X86_TRAP_GP, error_code);
}

u64 emul_get_reg(const struct emul_ctxt *c, unsigned int reg,
		 unsigned int bytes)
{
	return c->w.regs[reg & 15] & emul_mask(bytes);
}

void emul_set_reg(struct emul_ctxt *c, unsigned int reg, unsigned int bytes,
		  u64 val)
{
	u64 *r = &c->w.regs[reg & 15];

	/* A 32-bit result clears bits 63:32; a narrower one leaves the other bits. */
	if (bytes >= 4)
		*r = val & emul_mask(bytes);
	else
		*r = (*r & ~emul_mask(bytes)) | (val & emul_mask(bytes));
}

u64 emul_next_rip(const struct emul_ctxt *c)
{
	u64 next = c->st.rip + c->insn.len;

	return emul_long(c) ? next : (u32)next;
}

int emul_branch(struct emul_ctxt *c, u64 target)
{
	struct emul_seg cs;
	int ret;

	target &= emul_mask(c->insn.opsize);
	if (emul_long(c)) {
		if (!emul_canonical(c, target))
			return emul_gp(c, 0);
	} else {
		ret = c->ops->get_seg(c, INSN_SEG_CS, &cs);
		if (ret)
			return ret;
		if (target > cs.limit)
			return emul_gp(c, 0);
	}
	c->w.rip = target;
	c->branched = true;
	return EMUL_OK;
}

static int check(struct emul_ctxt *c)
{
	const struct insn *insn = &c->insn;

	if (insn->flags & (INSN_BAD_FORM | INSN_BAD_LOCK))
		return emul_ud(c);
	if (insn->prefix & INSN_PFX_VEX && !emul_protected(c))
		return emul_ud(c);
	if (insn->flags & INSN_LENGTH_ONLY || insn->op >= INSN_OP_COUNT ||
	    !handlers[insn->op])
		return EMUL_UNHANDLED;
	if (insn->flags & INSN_PRIVILEGED && c->cpl > c->kernel_ring)
		return emul_gp(c, 0);
	return EMUL_OK;
}

static void commit(struct emul_ctxt *c)
{
	c->st = c->w;
	emul_log_reset(c);
}

static bool rep_done(const struct emul_ctxt *c)
{
	u64 zf = c->w.rflags & X86_EFLAGS_ZF;

	if (!emul_get_reg(c, INSN_RCX, c->insn.adsize))
		return true;
	if (c->insn.op != INSN_OP_CMPS && c->insn.op != INSN_OP_SCAS)
		return false;
	return c->insn.prefix & INSN_PFX_REP ? !zf : zf;
}

static int repeat(struct emul_ctxt *c)
{
	unsigned int budget = c->rep_budget ? c->rep_budget : 1;
	unsigned int size = c->insn.adsize;
	u64 count = emul_get_reg(c, INSN_RCX, size);
	bool done = !count;
	int ret;

	for (; !done && budget; budget--) {
		ret = handlers[c->insn.op](c);
		if (ret)
			return ret;
		emul_set_reg(c, INSN_RCX, size, --count);
		done = rep_done(c);
		if (!done)
			commit(c);
	}
	if (!done) {
		c->more = true;
		return EMUL_OK;
	}
	c->w.rip = emul_next_rip(c);
	c->w.rflags &= ~X86_EFLAGS_RF;
	commit(c);
	return EMUL_OK;
}

/* Says in the error code that the event was one from outside. */
static void external_fault(struct emul_exception *e)
{
	switch (e->vector) {
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
		e->error_code |= EC_EXT;
	}
}

static void begin_event(struct emul_ctxt *c, enum emul_task_stage stage,
			u16 sel, const struct emul_event *ev)
{
	memset(&c->insn, 0, sizeof(c->insn));
	c->task = (struct emul_task){
		.stage = stage,
		.event = true,
		.external = ev->external,
		.vector = ev->vector,
		.sel = sel,
		.rf = ev->rf,
		.has_ec = ev->has_ec,
		.error_code = ev->error_code,
	};
}

void vigil_emul_deliver(struct emul_ctxt *c, const struct emul_event *ev)
{
	begin_event(c, EMUL_TASK_IDT, 0, ev);
}

void vigil_emul_event(struct emul_ctxt *c, u16 sel, const struct emul_event *ev)
{
	begin_event(c, EMUL_TASK_EVENT, sel, ev);
}

/* Does what is left of a task switch, or delivers an event. */
static int run_task(struct emul_ctxt *c)
{
	int ret;

	if (c->task.stage == EMUL_TASK_IDT)
		return emul_deliver(c);
	if (c->task.stage == EMUL_TASK_EVENT)
		return emul_switch_task(c, c->task.sel, EMUL_TASK_GATE);
	ret = emul_load_task(c);
	/* What was read is read again. */
	if (ret == EMUL_RESTART)
		emul_log_reset(c);
	return ret;
}

int vigil_emulate(struct emul_ctxt *c, const struct emul_ops *ops)
{
	int ret;

	c->ops = ops;
	c->more = false;
	c->branched = false;
	c->shadow = 0;
	c->set_rf = false;
	c->no_step = false;
	c->log_pos = 0;
	c->w = c->st;

	if (!c->task.stage) {
		ret = check(c);
		if (ret)
			return ret;
		if (c->insn.flags & INSN_STRING &&
		    c->insn.prefix & (INSN_PFX_REP | INSN_PFX_REPNE))
			return repeat(c);
	}
	ret = c->task.stage ? run_task(c) : handlers[c->insn.op](c);
	if (ret) {
		c->branched = false;
		c->shadow = 0;
		if (ret == EMUL_FAULT && c->task.external)
			external_fault(&c->exception);
		return ret;
	}
	if (!c->branched)
		c->w.rip = emul_next_rip(c);
	if (!c->set_rf)
		c->w.rflags &= ~X86_EFLAGS_RF;
	commit(c);
	return EMUL_OK;
}
