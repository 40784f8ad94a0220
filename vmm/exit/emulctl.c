// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator's glue: gives the pure emulator a vCPU's registers and memory,
 * and takes it through MMIO exits and held writes.
 */
#include <asm/processor-flags.h>

#include "vmm/cpu/inject.h"
#include "vmm/cpu/fpu.h"
#include "vmm/ioctl.h"
#include "vmm/ops.h"
#include "vmm/monitor/watch.h"

static inline struct vigil_vcpu *emul_vcpu(struct emul_ctxt *c)
{
	return container_of(c, struct vigil_vcpu, emul);
}

/* ---- memory ---- */

static int emul_translate(struct vigil_vcpu *vcpu, u64 la, bool write,
			  unsigned int flags, gpa_t *gpa)
{
	struct emul_ctxt *c = &vcpu->emul;
	u32 access = write ? PFERR_W : 0, error_code;
	int ret;

	if (c->cpl == 3 && !(flags & EMUL_F_SYSTEM))
		access |= PFERR_U;
	/* the page fault's own walk has just answered this */
	if (vcpu->xlat.valid && vcpu->xlat.page == (la & PAGE_MASK) &&
	    (access | PFERR_W) == (vcpu->xlat.access | PFERR_W) &&
	    !(access & ~vcpu->xlat.access)) {
		*gpa = vcpu->xlat.gpa | offset_in_page(la);
		return EMUL_OK;
	}
	ret = shadow_gva_to_gpa(vcpu, la, access, true, gpa, &error_code);
	if (!ret)
		return EMUL_OK;
	if (ret != -EFAULT)
		return EMUL_RESTART;
	c->exception.vector = 14;
	c->exception.has_ec = true;
	c->exception.error_code = error_code;
	c->exception.cr2 = la;
	return EMUL_FAULT;
}

static bool is_mmio(struct vigil_vcpu *vcpu, gpa_t gpa, bool write)
{
	struct vigil_slot *slot = vigil_gfn_slot(vcpu->vm, gpa >> PAGE_SHIFT);

	return !slot || (write && (slot->flags & KVM_MEM_READONLY));
}

bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la)
{
	gpa_t gpa;

	return emul_translate(vcpu, la, true, 0, &gpa) ||
	       is_mmio(vcpu, gpa, true);
}

/*
 * MMIO stores are queued and leave after the instruction: nothing of it depends
 * on what the device does.
 */
static bool mmio_queue(struct vigil_vcpu *vcpu, gpa_t gpa, const void *buf,
		       unsigned int bytes)
{
	struct vigil_mmio_queue *q = &vcpu->mmio;
	unsigned int len;

	if (q->count + DIV_ROUND_UP(bytes, 8) > ARRAY_SIZE(q->frag))
		return false;
	for (; bytes; bytes -= len, gpa += len, buf += len) {
		len = min(bytes, 8u);
		q->frag[q->count].gpa = gpa;
		q->frag[q->count].len = len;
		memcpy(q->frag[q->count].data, buf, len);
		q->count++;
	}
	return true;
}

/* the VMM has no such memory at the moment: KVM_RUN's answer, the guest may retry */
static int no_memory(struct vigil_vcpu *vcpu)
{
	vcpu->emul_errno = -EFAULT;
	return EMUL_UNHANDLED;
}

static int op_read(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		   unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	gpa_t gpa;
	int ret;

	ret = emul_translate(vcpu, la, flags & EMUL_F_WRITE_INTENT, flags,
			     &gpa);
	if (ret)
		return ret;
	if (is_mmio(vcpu, gpa, false)) {
		vcpu->io.gpa = gpa;
		return EMUL_PENDING;
	}
	return gmem_read(vcpu->vm, gpa, buf, bytes) ? no_memory(vcpu) : EMUL_OK;
}

/* ask the watches about a store; the store itself is the caller's */
static enum watch_answer ask_watch(struct vigil_vcpu *vcpu, u64 la, gpa_t gpa,
				   const void *old, const void *new,
				   unsigned int bytes)
{
	struct watch_store st = {
		.gva = la,
		.gva_valid = true,
		.gpa = gpa,
		.len = bytes,
		.old = old,
		.new_ = new,
	};

	return watch_store(vcpu, &st);
}

static int op_write(struct emul_ctxt *c, u64 la, const void *buf,
		    unsigned int bytes, unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	u8 old[EMUL_MAX_ACCESS];
	gpa_t gpa;
	int ret;

	ret = emul_translate(vcpu, la, true, flags, &gpa);
	if (ret)
		return ret;
	/* INS comes back for a verdict that was not there yet */
	if (vcpu->held)
		return EMUL_PENDING;
	vcpu->io.gpa = gpa;
	if (is_mmio(vcpu, gpa, true))
		return mmio_queue(vcpu, gpa, buf, bytes) ? EMUL_OK :
							   EMUL_PENDING;
	if (watch_gfn(vcpu->vm, gpa >> PAGE_SHIFT)) {
		if (gmem_read(vcpu->vm, gpa, old, bytes))
			return no_memory(vcpu);
		switch (ask_watch(vcpu, la, gpa, old, buf, bytes)) {
		case WATCH_GO:
			break;
		case WATCH_SKIP:
			return EMUL_OK;
		case WATCH_HELD:
			return EMUL_PENDING;
		}
	}
	return gmem_write(vcpu->vm, gpa, buf, bytes) ? no_memory(vcpu) :
						       EMUL_OK;
}

static int op_cmpxchg(struct emul_ctxt *c, u64 la, void *old, const void *new,
		      unsigned int bytes, unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	u8 now[EMUL_MAX_ACCESS];
	gpa_t gpa;
	int ret;

	ret = emul_translate(vcpu, la, true, flags, &gpa);
	if (ret)
		return ret;
	vcpu->io.gpa = gpa;
	/* a device has no compare and exchange: the value was read before */
	if (is_mmio(vcpu, gpa, true))
		return mmio_queue(vcpu, gpa, new, bytes) ? EMUL_OK :
							   EMUL_PENDING;
	if (watch_gfn(vcpu->vm, gpa >> PAGE_SHIFT)) {
		if (gmem_read(vcpu->vm, gpa, now, bytes))
			return no_memory(vcpu);
		if (memcmp(now, old, bytes)) {
			memcpy(old, now, bytes);
			return EMUL_OK;
		}
		switch (ask_watch(vcpu, la, gpa, old, new, bytes)) {
		case WATCH_GO:
			break;
		case WATCH_SKIP:
			return EMUL_OK;
		case WATCH_HELD:
			return EMUL_PENDING;
		}
	}
	return gmem_cmpxchg(vcpu->vm, gpa, old, new, bytes) < 0 ?
		       no_memory(vcpu) :
		       EMUL_OK;
}

static int op_probe(struct emul_ctxt *c, u64 la, unsigned int bytes,
		    unsigned int flags)
{
	gpa_t gpa;

	return emul_translate(emul_vcpu(c), la, true, flags, &gpa);
}

/* ---- registers ---- */

static void seg_to_emul(const struct kvm_segment *k, struct emul_seg *s)
{
	s->base = k->base;
	s->limit = k->limit;
	s->sel = k->selector;
	s->attr = k->type | k->s << 4 | k->dpl << EMUL_SEG_DPL_SHIFT |
		  k->present << 7 | k->avl << 8 | k->l << 9 | k->db << 10 |
		  k->g << 11;
	if (k->unusable)
		s->attr |= EMUL_SEG_UNUSABLE;
}

static int op_get_seg(struct emul_ctxt *c, enum insn_seg seg,
		      struct emul_seg *s)
{
	struct kvm_segment k;

	vmm_ops->get_segment(emul_vcpu(c), (enum vigil_seg)seg, &k);
	seg_to_emul(&k, s);
	return EMUL_OK;
}

static int op_get_sys_seg(struct emul_ctxt *c, bool tr, struct emul_seg *s)
{
	struct kvm_segment k;

	vmm_ops->get_segment(emul_vcpu(c), tr ? SEG_TR : SEG_LDTR, &k);
	seg_to_emul(&k, s);
	return EMUL_OK;
}

static int op_set_seg(struct emul_ctxt *c, enum insn_seg seg,
		      const struct emul_seg *s)
{
	struct kvm_segment k = {
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & EMUL_SEG_TYPE,
		.s = !!(s->attr & EMUL_SEG_S),
		.dpl = (s->attr >> EMUL_SEG_DPL_SHIFT) & 3,
		.present = !!(s->attr & EMUL_SEG_P),
		.avl = !!(s->attr & EMUL_SEG_AVL),
		.l = !!(s->attr & EMUL_SEG_L),
		.db = !!(s->attr & EMUL_SEG_DB),
		.g = !!(s->attr & EMUL_SEG_G),
		.unusable = !!(s->attr & EMUL_SEG_UNUSABLE),
	};

	vmm_ops->set_segment(emul_vcpu(c), (enum vigil_seg)seg, &k);
	return EMUL_OK;
}

static int fault(struct emul_ctxt *c, u8 vector, bool has_ec)
{
	c->exception.vector = vector;
	/* real mode pushes none */
	c->exception.has_ec = has_ec && c->protected_mode;
	c->exception.error_code = 0;
	return EMUL_FAULT;
}

static int op_get_cr(struct emul_ctxt *c, unsigned int nr, u64 *val)
{
	unsigned long v;

	if (cr_get(emul_vcpu(c), nr, &v))
		return fault(c, X86_TRAP_UD, false);
	*val = v;
	return EMUL_OK;
}

static int op_set_cr(struct emul_ctxt *c, unsigned int nr, u64 val)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	int ret;

	vcpu->stat.exits_cr++;
	ret = cr_set(vcpu, nr, val);
	return ret == -ENODEV ? fault(c, X86_TRAP_UD, false) :
	       ret	      ? fault(c, X86_TRAP_GP, true) :
				EMUL_OK;
}

static int op_get_dr(struct emul_ctxt *c, unsigned int nr, u64 *val)
{
	unsigned long v;

	if (dr_get(emul_vcpu(c), nr, &v))
		return fault(c, X86_TRAP_UD, false);
	*val = v;
	return EMUL_OK;
}

static int op_set_dr(struct emul_ctxt *c, unsigned int nr, u64 val)
{
	int ret = dr_set(emul_vcpu(c), nr, val);

	return ret == -ENODEV ? fault(c, X86_TRAP_UD, false) :
	       ret	      ? fault(c, X86_TRAP_GP, true) :
				EMUL_OK;
}

static int op_get_xcr0(struct emul_ctxt *c, u64 *val)
{
	*val = emul_vcpu(c)->xcr0;
	return EMUL_OK;
}

static int op_get_dtable(struct emul_ctxt *c, bool idt, struct emul_dtable *t)
{
	struct kvm_dtable dt;

	(idt ? vmm_ops->get_idt : vmm_ops->get_gdt)(emul_vcpu(c), &dt);
	t->base = dt.base;
	t->limit = dt.limit;
	return EMUL_OK;
}

static int op_set_dtable(struct emul_ctxt *c, bool idt,
			 const struct emul_dtable *t)
{
	struct kvm_dtable dt = { .base = t->base, .limit = t->limit };

	(idt ? vmm_ops->set_idt : vmm_ops->set_gdt)(emul_vcpu(c), &dt);
	return EMUL_OK;
}

static int op_invlpg(struct emul_ctxt *c, u64 la)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);

	vcpu->stat.exits_invlpg++;
	shadow_invlpg(vcpu, la);
	fetch_flush(vcpu);
	return EMUL_OK;
}

static int op_get_vec(struct emul_ctxt *c, unsigned int reg, void *buf,
		      unsigned int bytes)
{
	return fpu_read_vec(emul_vcpu(c), reg, buf, bytes) ? EMUL_UNHANDLED :
							     EMUL_OK;
}

static int op_set_vec(struct emul_ctxt *c, unsigned int reg, const void *buf,
		      unsigned int bytes, bool zero_upper)
{
	return fpu_write_vec(emul_vcpu(c), reg, buf, bytes, zero_upper) ?
		       EMUL_UNHANDLED :
		       EMUL_OK;
}

static int op_get_mmx(struct emul_ctxt *c, unsigned int reg, u64 *val)
{
	return fpu_read_mmx(emul_vcpu(c), reg, val) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_set_mmx(struct emul_ctxt *c, unsigned int reg, u64 val)
{
	return fpu_write_mmx(emul_vcpu(c), reg, val) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_set_x87(struct emul_ctxt *c, const struct emul_x87 *state)
{
	return fpu_set_x87(emul_vcpu(c), state) ? EMUL_UNHANDLED : EMUL_OK;
}

static const u8 *op_save_state(struct emul_ctxt *c, enum emul_save how,
			       bool wide, u64 mask)
{
	return fpu_save_state(emul_vcpu(c), how, wide, mask);
}

static int op_get_component(struct emul_ctxt *c, unsigned int nr,
			    struct emul_component *comp)
{
	return fpu_get_component(nr, comp) ? EMUL_UNHANDLED : EMUL_OK;
}

const struct emul_ops emulctl_ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.probe = op_probe,
	.get_seg = op_get_seg,
	.set_seg = op_set_seg,
	.get_sys_seg = op_get_sys_seg,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_xcr0 = op_get_xcr0,
	.get_dtable = op_get_dtable,
	.set_dtable = op_set_dtable,
	.invlpg = op_invlpg,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
	.get_mmx = op_get_mmx,
	.set_mmx = op_set_mmx,
	.set_x87 = op_set_x87,
	.save_state = op_save_state,
	.get_component = op_get_component,
};

/* ---- one instruction, from begin to end ---- */

/* REP iterations in one go before interrupts are looked at again */
#define REP_BUDGET 64

static int emul_step(struct vigil_vcpu *vcpu);

/* what the host decodes is what the guest would have executed */
static u8 emul_features(void)
{
	return (static_cpu_has(X86_FEATURE_BMI1) ? EMUL_FEAT_BMI1 : 0) |
	       (static_cpu_has(X86_FEATURE_ABM) ? EMUL_FEAT_LZCNT : 0) |
	       (static_cpu_has(X86_FEATURE_BMI2) ? EMUL_FEAT_BMI2 : 0);
}

void emulctl_begin(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;

	BUILD_BUG_ON(sizeof(c->regs) != sizeof(vcpu->regs));
	vigil_emul_begin(c);
	vcpu->emul_errno = 0;
	memcpy(c->regs, vcpu->regs, sizeof(c->regs));
	c->rip = vcpu->rip;
	c->rflags = vcpu->rflags;
	c->mode = vmm_ops->code_bits(vcpu);
	c->cpl = vmm_ops->get_cpl(vcpu);
	c->protected_mode = is_protmode(vcpu);
	c->long_mode = is_long_mode(vcpu);
	c->va_bits = vcpu->cr4 & X86_CR4_LA57 ? 57 : 48;
	c->rep_budget = REP_BUDGET;
	c->features = emul_features() |
		      (vcpu->efer & EFER_FFXSR ? EMUL_FEAT_FFXSR : 0);
}

void emulctl_forget(struct vigil_vcpu *vcpu)
{
	if (vcpu->held)
		monitor_forget(vcpu);
	if (vcpu->emul_active) {
		vcpu->emul_active = false;
		vcpu->complete = NULL;
	}
}

static void emul_writeback(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;

	memcpy(vcpu->regs, c->regs, sizeof(c->regs));
	vcpu->rip = c->rip;
	vcpu->rflags = c->rflags;
}

static void mmio_exit(struct vigil_vcpu *vcpu, gpa_t gpa, unsigned int len,
		      const void *data)
{
	struct kvm_run *run = vcpu->run;

	vcpu->stat.exits_mmio++;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = len;
	run->mmio.is_write = !!data;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (data)
		memcpy(run->mmio.data, data, len);
	vcpu->io.kind = IO_MMIO;
}

/* the next queued store to userspace; 1 when there is none */
int emulctl_drain(struct vigil_vcpu *vcpu)
{
	struct vigil_mmio_queue *q = &vcpu->mmio;

	vcpu->io.kind = IO_NONE;
	if (q->next == q->count) {
		q->next = 0;
		q->count = 0;
		return 1;
	}
	mmio_exit(vcpu, q->frag[q->next].gpa, q->frag[q->next].len,
		  q->frag[q->next].data);
	q->next++;
	if (q->next < q->count) {
		vcpu->complete = emulctl_drain;
	} else {
		q->next = 0;
		q->count = 0;
	}
	return 0;
}

/* everything queued before goes first */
static int mmio_drain_then_pend(struct vigil_vcpu *vcpu);

static int mmio_read_done(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int len =
		min_t(unsigned int, 8, c->pending.bytes - vcpu->io.len);

	vcpu->io.kind = IO_NONE;
	memcpy(vcpu->mmio.in + vcpu->io.len, vcpu->run->mmio.data, len);
	vcpu->io.len += len;
	if (vcpu->io.len < c->pending.bytes)
		return mmio_drain_then_pend(vcpu);
	vigil_emul_complete(c, vcpu->mmio.in);
	return emul_step(vcpu);
}

static int mmio_drain_then_pend(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	int ret = emulctl_drain(vcpu);

	if (!ret) {
		vcpu->complete = mmio_drain_then_pend;
		return 0;
	}
	if (c->pending.type == EMUL_XACT_READ) {
		mmio_exit(vcpu, vcpu->io.gpa + vcpu->io.len,
			  min_t(unsigned int, 8,
				c->pending.bytes - vcpu->io.len),
			  NULL);
		vcpu->complete = mmio_read_done;
		return 0;
	}
	/* the queue was full: now it has room */
	mmio_queue(vcpu, vcpu->io.gpa, c->pending.data, c->pending.bytes);
	vigil_emul_complete(c, NULL);
	return emul_step(vcpu);
}

/* WATCH_GO, WATCH_SKIP; or 0 and below: leave for userspace, @again comes back */
static int held_verdict(struct vigil_vcpu *vcpu,
			int (*again)(struct vigil_vcpu *vcpu),
			enum watch_answer *answer)
{
	int ret;

	while ((ret = monitor_wait(vcpu)) == -EINTR) {
		vcpu->complete = again;
		if (signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
		ret = run_requests(vcpu);
		if (ret <= 0)
			return ret;
		vcpu->complete = NULL;
	}
	*answer = ret;
	return 1;
}

int emulctl_held(struct vigil_vcpu *vcpu, const void *data, unsigned int len,
		 int (*again)(struct vigil_vcpu *vcpu))
{
	enum watch_answer answer;
	int ret = held_verdict(vcpu, again, &answer);

	if (ret != 1 || answer != WATCH_GO)
		return ret;
	/* the memory may have gone meanwhile: the guest finds out by itself */
	gmem_write(vcpu->vm, vcpu->io.gpa, data, len);
	return 1;
}

static int held_resume(struct vigil_vcpu *vcpu);

/* the verdict on a held store; 1: it is settled, on with the instruction */
static int held_settle(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	enum watch_answer answer;
	u8 *old = NULL;
	int ret;

	if (c->pending.type == EMUL_XACT_CMPXCHG) {
		ret = held_verdict(vcpu, held_resume, &answer);
		if (ret == 1 && answer == WATCH_GO) {
			old = c->pending.old;
			gmem_cmpxchg(vcpu->vm, vcpu->io.gpa, old,
				     c->pending.data, c->pending.bytes);
		}
	} else {
		ret = emulctl_held(vcpu, c->pending.data, c->pending.bytes,
				   held_resume);
	}
	if (ret == 1)
		vigil_emul_complete(c, old);
	return ret;
}

static int held_resume(struct vigil_vcpu *vcpu)
{
	int ret = held_settle(vcpu);

	return ret == 1 ? emul_step(vcpu) : ret;
}

static void emul_finish(struct vigil_vcpu *vcpu, unsigned long old_rflags)
{
	struct emul_ctxt *c = &vcpu->emul;

	vmm_ops->set_irq_shadow(vcpu, c->shadow);
	if (unlikely(vcpu->rflags & X86_EFLAGS_RF) && !c->more)
		vcpu->rflags &= ~X86_EFLAGS_RF;
	if (unlikely(old_rflags & X86_EFLAGS_TF))
		event_db(vcpu, 1ul << 14);
}

static int emul_once(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	int ret = vigil_emulate(c, &emulctl_ops);

	vcpu->xlat.valid = false;
	/* else only the iterations of a REP have changed anything */
	if (ret == EMUL_OK || (c->insn.flags & INSN_STRING))
		emul_writeback(vcpu);
	vcpu->emul_active = ret == EMUL_PENDING;
	return ret;
}

static int emul_step(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned long old_rflags = c->rflags;
	int ret;

	/* a loop: an instruction may have any number of held stores */
	while ((ret = emul_once(vcpu)) == EMUL_PENDING && vcpu->held) {
		ret = held_settle(vcpu);
		if (ret != 1)
			return ret;
		old_rflags = c->rflags;
	}
	switch (ret) {
	case EMUL_OK:
		vcpu->stat.emulated++;
		emul_finish(vcpu, old_rflags);
		return emulctl_drain(vcpu);
	case EMUL_FAULT:
		if (c->exception.vector == X86_TRAP_PF)
			event_page_fault(vcpu, c->exception.cr2,
					 c->exception.error_code);
		else if (c->exception.has_ec)
			event_exception_ec(vcpu, c->exception.vector,
					   c->exception.error_code);
		else
			event_exception(vcpu, c->exception.vector);
		return emulctl_drain(vcpu);
	case EMUL_PENDING:
		vcpu->io.len = 0;
		return mmio_drain_then_pend(vcpu);
	case EMUL_RESTART:
		return emulctl_drain(vcpu);
	default:
		if (vcpu->emul_errno)
			return xchg(&vcpu->emul_errno, 0);
		vcpu->stat.emul_failed++;
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   c->insn.bytes, c->insn.len);
	}
}

int emulctl_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec)
{
	int ret;

	vcpu->xlat.page = gva & PAGE_MASK;
	vcpu->xlat.gpa = gpa & PAGE_MASK;
	vcpu->xlat.access = ec & (PFERR_W | PFERR_U);
	vcpu->xlat.valid = true;
	ret = emulctl_run(vcpu);
	vcpu->xlat.valid = false;
	return ret;
}

int emulctl_run(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	u8 bytes[15];
	int n, ret;

	n = exit_fetch(vcpu, bytes);
	if (!n)
		return 1;
	if (n < 0)
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   NULL, 0);
	emulctl_begin(vcpu);
	switch (vigil_decode_again(&c->insn, bytes, n, c->mode)) {
	case INSN_OK:
		return emul_step(vcpu);
	case INSN_TOO_LONG:
		event_gp(vcpu);
		return 1;
	case INSN_NEED_MORE:
		ret = fetch_fault_next(vcpu);
		if (ret == 1)
			return 1;
		fallthrough;
	default:
		vcpu->stat.emul_failed++;
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   bytes, n);
	}
}
