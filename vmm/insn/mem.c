// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for the emulator: segmentation, the transaction log, page crossing,
 * operands.
 */
#include "emul.h"

/* ---- segmentation ---- */

bool emul_canonical(const struct emul_ctxt *c, u64 la)
{
	return gva_canonical(la, c->va_bits == 57 ? 57 : 48);
}

static int seg_fault(struct emul_ctxt *c, enum insn_seg seg)
{
	return emul_raise(c, seg == INSN_SEG_SS ? X86_TRAP_SS : X86_TRAP_GP, 0);
}

bool emul_within_limit(const struct emul_seg *s, u64 ea, unsigned int bytes)
{
	u64 last = ea + bytes - 1;

	/* An expand-down data segment reaches from limit + 1 to 64K or 4G. */
	if ((s->attr & 0xc) == 4)
		return ea > s->limit &&
		       last <= (s->attr & EMUL_SEG_DB ? 0xffffffffu : 0xffffu);
	/* No access wraps around 4G, not even in a segment of 4G. */
	return last <= s->limit;
}

static bool type_allows(const struct emul_seg *s, bool write)
{
	bool code = s->attr & 8, rw = s->attr & 2;

	/* Type bit 1 means writable for data and readable for code. */
	return code ? rw && !write : rw || !write;
}

/* Linear address for segments whose base, limit or rights count. */
static noinline int segment_linear(struct emul_ctxt *c, enum insn_seg seg,
				   u64 ea, unsigned int bytes, bool write,
				   u64 *la)
{
	struct emul_seg s;
	int ret;

	ret = c->ops->get_seg(c, seg, &s);
	if (ret)
		return ret;
	if (emul_long(c)) {
		*la = s.base + ea;
		return EMUL_OK;
	}
	if (emul_protected(c)) {
		if (s.attr & EMUL_SEG_UNUSABLE || !(s.attr & EMUL_SEG_P) ||
		    !type_allows(&s, write))
			return seg_fault(c, seg);
	}
	if (!emul_within_limit(&s, ea, bytes))
		return seg_fault(c, seg);
	*la = (u32)(s.base + ea);
	return EMUL_OK;
}

static inline int linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
			 unsigned int bytes, bool write, u64 *la)
{
	int ret;

	if (!bytes)
		bytes = 1;
	*la = ea;
	if (!emul_long(c))
		return segment_linear(c, seg, ea, bytes, write, la);
	if (seg == INSN_SEG_FS || seg == INSN_SEG_GS) {
		ret = segment_linear(c, seg, ea, bytes, write, la);
		if (ret)
			return ret;
	}
	if (!emul_canonical(c, *la) ||
	    (unlikely((*la ^ (*la + bytes - 1)) & ~(u64)(EMUL_PAGE_SIZE - 1)) &&
	     !emul_canonical(c, *la + bytes - 1)))
		return seg_fault(c, seg);
	return EMUL_OK;
}

int vigil_emul_linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		      unsigned int bytes, bool write, u64 *la)
{
	return linear(c, seg, ea, bytes, write, la);
}

/* Raises #AC where CR0.AM, RFLAGS.AC and CPL 3 ask for it. */
static noinline int check_alignment(struct emul_ctxt *c, u64 la,
				    unsigned int bytes)
{
	u64 cr0;
	int ret;

	if (bytes & (bytes - 1) || !(la & (bytes - 1) & 15))
		return EMUL_OK;
	ret = c->ops->get_cr(c, 0, &cr0);
	if (ret)
		return ret;
	return cr0 & X86_CR0_AM ? emul_raise(c, X86_TRAP_AC, 0) : EMUL_OK;
}

/* Linear address of a data access, after the checks of segmentation and alignment. */
static inline int data_linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
			      unsigned int bytes, bool write, u64 *la)
{
	int ret = linear(c, seg, ea, bytes, write, la);

	if (ret)
		return ret;
	if (c->insn.flags & INSN_ALIGNED && *la & (bytes - 1))
		return emul_gp(c, 0);
	if (unlikely(c->cpl == 3 && (c->w.rflags & X86_EFLAGS_AC)))
		return check_alignment(c, *la, bytes);
	return EMUL_OK;
}

int emul_linear(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		unsigned int bytes, bool write, u64 *la)
{
	return data_linear(c, seg, ea, bytes, write, la);
}

u64 emul_ea(const struct emul_ctxt *c)
{
	return vigil_insn_ea(&c->insn, c->w.regs, c->st.rip);
}

/* ---- the transaction log ---- */

static bool log_room(const struct emul_ctxt *c, unsigned int bytes)
{
	return c->log_used < EMUL_LOG_ENTRIES &&
	       c->log_bytes + bytes <= EMUL_LOG_BYTES;
}

static void log_append(struct emul_ctxt *c, u8 type, u64 la, unsigned int bytes,
		       const void *data)
{
	struct emul_log_entry *e = &c->log[c->log_used++];

	e->type = type;
	e->bytes = bytes;
	e->la = la;
	e->data = c->log_bytes;
	if (data) {
		copy_operand(c->log_data + c->log_bytes, data, bytes);
		c->log_bytes += bytes;
	}
}

static int call_op(struct emul_ctxt *c, u8 type, u64 la, void *data,
		   const void *new, unsigned int bytes, unsigned int flags)
{
	switch (type) {
	case EMUL_XACT_READ:
		return c->ops->read(c, la, data, bytes, flags);
	case EMUL_XACT_WRITE:
		return c->ops->write(c, la, new, bytes, flags);
	case EMUL_XACT_CMPXCHG:
		return c->ops->cmpxchg(c, la, data, new, bytes, flags);
	}
	return c->ops->probe(c, la, bytes, flags);
}

/*
 * Does one transaction, or takes its result from the log if an earlier call did
 * it. @data receives what is read; for CMPXCHG it also holds what is expected.
 */
static int transact(struct emul_ctxt *c, u8 type, u64 la, void *data,
		    const void *new, unsigned int bytes, unsigned int flags)
{
	int ret;

	if (!bytes || bytes > EMUL_MAX_ACCESS)
		return EMUL_UNHANDLED;
	if (c->insn.prefix & (INSN_PFX_REP | INSN_PFX_REPNE) &&
	    c->insn.flags & INSN_STRING)
		flags |= EMUL_F_REP;
	if (c->log_pos < c->log_used) {
		const struct emul_log_entry *e = &c->log[c->log_pos];

		/* The caller has resumed another instruction than it began. */
		if (e->type != type || e->la != la || e->bytes != bytes)
			return EMUL_UNHANDLED;
		c->log_pos++;
		if (data)
			copy_operand(data, c->log_data + e->data, bytes);
		return EMUL_OK;
	}
	if (!log_room(c, data ? bytes : 0))
		return EMUL_UNHANDLED;

	/* The op overwrites data, so the expected value is saved for pending. */
	if (type == EMUL_XACT_CMPXCHG)
		memcpy(c->pending.old, data, bytes);
	ret = call_op(c, type, la, data, new, bytes, flags);
	if (ret == EMUL_OK) {
		log_append(c, type, la, bytes, data);
		c->log_pos++;
	} else if (ret == EMUL_PENDING) {
		c->pending.type = type;
		c->pending.bytes = bytes;
		c->pending.flags = flags;
		c->pending.la = la;
		if (new)
			memcpy(c->pending.data, new, bytes);
	}
	return ret;
}

int vigil_emul_complete(struct emul_ctxt *c, const void *data)
{
	struct emul_pending *p = &c->pending;
	bool logs_data = p->type == EMUL_XACT_READ ||
			 p->type == EMUL_XACT_CMPXCHG;

	if (likely(p->type == EMUL_XACT_READ && data &&
		   log_room(c, p->bytes))) {
		log_append(c, EMUL_XACT_READ, p->la, p->bytes, data);
		p->type = EMUL_XACT_NONE;
		return EMUL_OK;
	}
	if (p->type == EMUL_XACT_NONE || !log_room(c, logs_data ? p->bytes : 0))
		return EMUL_UNHANDLED;
	if (p->type == EMUL_XACT_CMPXCHG && !data)
		data = p->old;
	if (logs_data && !data)
		return EMUL_UNHANDLED;
	log_append(c, p->type, p->la, p->bytes, logs_data ? data : NULL);
	p->type = EMUL_XACT_NONE;
	return EMUL_OK;
}

/* ---- linear accesses, split at pages ---- */

/* The bytes of an access that lie in its first page. */
static unsigned int first_part(u64 la, unsigned int bytes)
{
	unsigned int room = EMUL_PAGE_SIZE - (la & (EMUL_PAGE_SIZE - 1));

	return bytes < room ? bytes : room;
}

/* In long mode, compatibility mode too, descriptor tables lie anywhere in 64 bits. */
static u64 second_page(const struct emul_ctxt *c, u64 la, unsigned int n,
		       unsigned int flags)
{
	bool wide = emul_long(c) ||
		    (c->long_mode && flags & (EMUL_F_SYSTEM | EMUL_F_WIDE));

	return wide ? la + n : (u32)(la + n);
}

static noinline int read_split(struct emul_ctxt *c, u64 la, void *buf,
			       unsigned int bytes, unsigned int flags)
{
	unsigned int n = first_part(la, bytes);
	int ret;

	flags |= EMUL_F_SPLIT;
	ret = transact(c, EMUL_XACT_READ, la, buf, NULL, n, flags);
	if (ret)
		return ret;
	return transact(c, EMUL_XACT_READ, second_page(c, la, n, flags),
			(u8 *)buf + n, NULL, bytes - n, flags);
}

static inline int read_linear(struct emul_ctxt *c, u64 la, void *buf,
			      unsigned int bytes, unsigned int flags)
{
	if (likely(first_part(la, bytes) == bytes))
		return transact(c, EMUL_XACT_READ, la, buf, NULL, bytes, flags);
	return read_split(c, la, buf, bytes, flags);
}

int emul_read_linear(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		     unsigned int flags)
{
	return read_linear(c, la, buf, bytes, flags);
}

static int probe_linear(struct emul_ctxt *c, u64 la, unsigned int bytes,
			unsigned int flags)
{
	unsigned int n = first_part(la, bytes);
	int ret;

	ret = transact(c, EMUL_XACT_PROBE, la, NULL, NULL, n, flags);
	if (ret || n == bytes)
		return ret;
	return transact(c, EMUL_XACT_PROBE, second_page(c, la, n, flags), NULL,
			NULL, bytes - n, flags);
}

int emul_probe_linear(struct emul_ctxt *c, u64 la, unsigned int bytes,
		      unsigned int flags)
{
	return probe_linear(c, la, bytes, flags);
}

/* Writes both halves of an access that crosses a page; both pages were probed. */
static int write_parts(struct emul_ctxt *c, u64 la, const void *buf,
		       unsigned int bytes, unsigned int flags)
{
	unsigned int n = first_part(la, bytes);
	int ret;

	ret = transact(c, EMUL_XACT_WRITE, la, NULL, buf, n, flags);
	if (ret)
		return ret;
	return transact(c, EMUL_XACT_WRITE, second_page(c, la, n, flags), NULL,
			(const u8 *)buf + n, bytes - n, flags);
}

static noinline int write_split(struct emul_ctxt *c, u64 la, const void *buf,
				unsigned int bytes, unsigned int flags,
				bool checked)
{
	int ret;

	flags |= EMUL_F_SPLIT;
	/* The read of a read-modify-write has checked both pages already. */
	if (!checked) {
		ret = probe_linear(c, la, bytes, flags);
		if (ret)
			return ret;
	}
	return write_parts(c, la, buf, bytes, flags);
}

static inline int write_linear(struct emul_ctxt *c, u64 la, const void *buf,
			       unsigned int bytes, unsigned int flags)
{
	bool checked = flags & EMUL_F_WRITE_INTENT;

	flags &= ~EMUL_F_WRITE_INTENT;
	if (likely(first_part(la, bytes) == bytes))
		return transact(c, EMUL_XACT_WRITE, la, NULL, buf, bytes,
				flags);
	return write_split(c, la, buf, bytes, flags, checked);
}

int emul_write_linear(struct emul_ctxt *c, u64 la, const void *buf,
		      unsigned int bytes, unsigned int flags)
{
	return write_linear(c, la, buf, bytes, flags);
}

int emul_cmpxchg_linear(struct emul_ctxt *c, u64 la, void *old, const void *new,
			unsigned int bytes, unsigned int flags)
{
	if (first_part(la, bytes) == bytes)
		return transact(c, EMUL_XACT_CMPXCHG, la, old, new, bytes,
				flags);
	/* A split lock is not atomic here. *old stays, so it counts as exchanged. */
	return write_parts(c, la, new, bytes, flags | EMUL_F_SPLIT);
}

/* ---- accesses by segment and offset ---- */

static inline int read_mem(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
			   void *buf, unsigned int bytes, unsigned int flags)
{
	u64 la;
	int ret;

	ret = data_linear(c, seg, ea, bytes, flags & EMUL_F_WRITE_INTENT, &la);
	if (ret)
		return ret;
	return read_linear(c, la, buf, bytes, flags);
}

static inline int write_mem(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
			    const void *buf, unsigned int bytes,
			    unsigned int flags)
{
	u64 la;
	int ret;

	ret = data_linear(c, seg, ea, bytes, true, &la);
	if (ret)
		return ret;
	return write_linear(c, la, buf, bytes, flags);
}

int emul_read(struct emul_ctxt *c, enum insn_seg seg, u64 ea, void *buf,
	      unsigned int bytes, unsigned int flags)
{
	return read_mem(c, seg, ea, buf, bytes, flags);
}

int emul_write(struct emul_ctxt *c, enum insn_seg seg, u64 ea, const void *buf,
	       unsigned int bytes, unsigned int flags)
{
	return write_mem(c, seg, ea, buf, bytes, flags);
}

int emul_probe(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
	       unsigned int bytes, unsigned int flags)
{
	u64 la;
	int ret;

	ret = emul_linear(c, seg, ea, bytes, true, &la);
	if (ret)
		return ret;
	return probe_linear(c, la, bytes, flags);
}

/* ---- operands ---- */

int emul_get(struct emul_ctxt *c, unsigned int i, u64 *val)
{
	const struct insn_opd *o = &c->insn.opd[i];

	*val = 0;
	switch (o->kind) {
	case INSN_OPD_REG:
		*val = emul_get_reg(c, o->reg, o->size);
		return EMUL_OK;
	case INSN_OPD_REG_HIGH:
		*val = (c->w.regs[o->reg & 3] >> 8) & 0xff;
		return EMUL_OK;
	case INSN_OPD_MEM:
		if (o->size > sizeof(*val))
			return EMUL_UNHANDLED;
		return read_mem(c, c->insn.seg, emul_ea(c), val, o->size, 0);
	case INSN_OPD_IMM:
	case INSN_OPD_REL:
		*val = c->insn.imm;
		return EMUL_OK;
	case INSN_OPD_IMM2:
		*val = c->insn.imm2;
		return EMUL_OK;
	case INSN_OPD_ONE:
		*val = 1;
		return EMUL_OK;
	}
	return EMUL_UNHANDLED;
}

int emul_put(struct emul_ctxt *c, unsigned int i, u64 val)
{
	const struct insn_opd *o = &c->insn.opd[i];
	u64 *r;

	switch (o->kind) {
	case INSN_OPD_REG:
		emul_set_reg(c, o->reg, o->size, val);
		return EMUL_OK;
	case INSN_OPD_REG_HIGH:
		r = &c->w.regs[o->reg & 3];
		*r = (*r & ~0xff00ULL) | (val & 0xff) << 8;
		return EMUL_OK;
	case INSN_OPD_MEM:
		if (o->size > sizeof(val))
			return EMUL_UNHANDLED;
		return write_mem(c, c->insn.seg, emul_ea(c), &val, o->size, 0);
	}
	return EMUL_UNHANDLED;
}

int emul_rmw_at(struct emul_ctxt *c, enum insn_seg seg, u64 ea,
		unsigned int bytes, emul_rmw_fn fn, u64 src, u64 *oldp)
{
	bool locked = c->insn.prefix & INSN_PFX_LOCK ||
		      c->insn.op == INSN_OP_XCHG;
	unsigned int flags = locked ? EMUL_F_LOCKED : 0;
	u64 rflags = c->w.rflags, old = 0, found, new, la;
	unsigned int i;
	int ret;

	if (bytes > sizeof(old))
		return EMUL_UNHANDLED;
	ret = emul_linear(c, seg, ea, bytes, true, &la);
	if (ret)
		return ret;
	ret = emul_read_linear(c, la, &old, bytes, flags | EMUL_F_WRITE_INTENT);
	if (ret)
		return ret;
	for (i = 0; i < EMUL_LOCK_RETRIES; i++) {
		c->w.rflags = rflags;
		new = fn(c, old, src);
		if (oldp)
			*oldp = old;
		if (!locked)
			return emul_write_linear(c, la, &new, bytes,
						 EMUL_F_WRITE_INTENT);
		found = old;
		ret = emul_cmpxchg_linear(c, la, &found, &new, bytes, flags);
		if (ret || found == old)
			return ret;
		old = found;
	}
	return EMUL_RESTART;
}

int emul_rmw(struct emul_ctxt *c, emul_rmw_fn fn, u64 src, u64 *oldp)
{
	const struct insn_opd *o = &c->insn.opd[0];
	u64 old;
	int ret;

	if (o->kind == INSN_OPD_MEM)
		return emul_rmw_at(c, c->insn.seg, emul_ea(c), o->size, fn, src,
				   oldp);
	ret = emul_get(c, 0, &old);
	if (ret)
		return ret;
	if (oldp)
		*oldp = old;
	return emul_put(c, 0, fn(c, old, src));
}
