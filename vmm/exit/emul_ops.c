// SPDX-License-Identifier: GPL-2.0
/*
 * What the pure emulator asks for while it runs an instruction: a vCPU's memory,
 * behind its page tables, its MMIO and its watches, and its registers.
 */
#include <uapi/asm/debugreg.h>

#include <asm/processor-flags.h>

#include "control.h"
#include "emul_ops.h"
#include "mmio.h"
#include "shadow/shadow.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/fpu.h"
#include "vmm/cpu/inject.h"
#include "vmm/cpu/segment.h"
#include "vmm/mem/gmem.h"
#include "vmm/mem/watched.h"
#include "vmm/monitor/watch.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"

static inline struct vigil_vcpu *emul_vcpu(struct emul_ctxt *c)
{
	return container_of(c, struct vigil_vcpu, emul);
}

static int fault(struct emul_ctxt *c, u8 vector, bool has_ec)
{
	c->exception.vector = vector;
	/* Real mode pushes no error code. */
	c->exception.has_ec = has_ec && c->protected_mode;
	c->exception.error_code = 0;
	return EMUL_FAULT;
}

static int page_fault(struct emul_ctxt *c, u64 la, u32 error_code)
{
	c->exception.vector = X86_TRAP_PF;
	c->exception.has_ec = true;
	c->exception.error_code = error_code;
	c->exception.cr2 = la;
	return EMUL_FAULT;
}

/* ---- memory ---- */

/* PFERR_W and PFERR_U of an access */
static u32 access_of(const struct emul_ctxt *c, bool write, unsigned int flags)
{
	u32 access = write ? PFERR_W : 0;

	if (c->cpl == 3 && !(flags & EMUL_F_SYSTEM))
		access |= PFERR_U;
	return access;
}

static noinline int walk_tables(struct vigil_vcpu *vcpu, u64 la, u32 access,
				gpa_t *gpa)
{
	u32 error_code;
	int ret;

	ret = shadow_gva_to_gpa(vcpu, la, access, true, gpa, &error_code);
	if (!ret)
		return EMUL_OK;
	if (ret != -EFAULT)
		return EMUL_RESTART;
	return page_fault(&vcpu->emul, la, error_code);
}

static __always_inline int emul_translate(struct vigil_vcpu *vcpu, u64 la,
					  bool write, unsigned int flags,
					  gpa_t *gpa)
{
	u32 access = access_of(&vcpu->emul, write, flags);

	/* The walk for the page fault has just translated this. */
	if (vcpu->xlat.valid && vcpu->xlat.page == (la & PAGE_MASK) &&
	    (access | PFERR_W) == (vcpu->xlat.access | PFERR_W) &&
	    !(access & ~vcpu->xlat.access)) {
		*gpa = vcpu->xlat.gpa | offset_in_page(la);
		return EMUL_OK;
	}
	return walk_tables(vcpu, la, access, gpa);
}

bool emulctl_is_mmio(struct vigil_vcpu *vcpu, u64 la)
{
	gpa_t gpa;

	return emul_translate(vcpu, la, true, 0, &gpa) ||
	       is_mmio(vcpu, gpa, true);
}

/*
 * The VMM has no such memory at the moment: KVM_RUN returns the error, and the
 * guest can try again.
 */
static int no_memory(struct vigil_vcpu *vcpu)
{
	vcpu->emul_errno = -EFAULT;
	return EMUL_UNHANDLED;
}

/* Notes which of the guest's data breakpoints an access hits: DR6.B0 to B3. */
static noinline void hit_breakpoints(struct vigil_vcpu *vcpu, u64 la,
				     unsigned int bytes, bool write)
{
	/* Bytes for each value of LENn in DR7. */
	static const u8 size[] = { 1, 2, 8, 4 };
	unsigned int i, rw;
	u64 start, len;

	for (i = 0; i < ARRAY_SIZE(vcpu->dr); i++) {
		rw = vcpu->dr7 >> (16 + 4 * i) & 3;
		if (!(vcpu->dr7 >> 2 * i & 3) ||
		    !(rw == DR_RW_READ || (rw == DR_RW_WRITE && write)))
			continue;
		len = size[vcpu->dr7 >> (18 + 4 * i) & 3];
		start = vcpu->dr[i] & ~(len - 1);
		if (la < start + len && start < la + bytes)
			vcpu->emul_dr6 |= DR_TRAP0 << i;
	}
}

static inline void check_breakpoints(struct vigil_vcpu *vcpu, u64 la,
				     unsigned int bytes, bool write,
				     unsigned int flags)
{
	if (unlikely(vcpu->dr7 & DR7_ENABLES) && !(flags & EMUL_F_SYSTEM))
		hit_breakpoints(vcpu, la, bytes, write);
}

/* The window is a supervisor's, and read-only. */
static bool may_see_tables(const struct emul_ctxt *c, unsigned int flags)
{
	return flags & EMUL_F_SYSTEM ||
	       (c->cpl < 3 && !(flags & EMUL_F_WRITE_INTENT));
}

static int op_read(struct emul_ctxt *c, u64 la, void *buf, unsigned int bytes,
		   unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	gpa_t *gpa = &vcpu->io.gpa;
	int ret;

	if (pv_in_force(vcpu) && may_see_tables(c, flags) &&
	    pv_read_tables(vcpu, la, buf, bytes))
		return EMUL_OK;
	ret = emul_translate(vcpu, la, flags & EMUL_F_WRITE_INTENT, flags, gpa);
	if (ret)
		return ret;
	check_breakpoints(vcpu, la, bytes, flags & EMUL_F_WRITE_INTENT, flags);
	if (is_mmio(vcpu, *gpa, false))
		return EMUL_PENDING;
	return gmem_read(vcpu->vm, *gpa, buf, bytes) ? no_memory(vcpu) :
						       EMUL_OK;
}

static int store(struct vigil_vcpu *vcpu, struct vigil_slot *slot, gpa_t gpa,
		 const void *buf, unsigned int bytes)
{
	return unlikely(gmem_write_slot(slot, gpa, buf, bytes)) ?
		       no_memory(vcpu) :
		       EMUL_OK;
}

static int exchange(struct vigil_vcpu *vcpu, gpa_t gpa, void *old,
		    const void *new, unsigned int bytes)
{
	return gmem_cmpxchg(vcpu->vm, gpa, old, new, bytes) < 0 ?
		       no_memory(vcpu) :
		       EMUL_OK;
}

static noinline void find_ranges(struct vigil_vcpu *vcpu, gfn_t gfn)
{
	struct watched_tree *tree = &vcpu->vm->watched;
	u64 start = gfn << PAGE_SHIFT;

	/* Before the search: a change during it makes the next store search again. */
	vcpu->ranges.generation = watched_generation(tree);
	vcpu->ranges.gfn = gfn;
	vcpu->ranges.count = watched_count(tree, start, start + PAGE_SIZE - 1,
					   &vcpu->ranges.one);
}

/*
 * watched_count() of a store. Most watched pages have one range, which is kept until the
 * tree changes. While it is in the tree, nobody frees it before this vCPU enters the guest
 * or leaves KVM_RUN. Ranges of linear addresses count as several, which watch_store()
 * finds.
 */
static __always_inline unsigned int
count_ranges(struct vigil_vcpu *vcpu, gva_t la, gpa_t gpa, unsigned int bytes,
	     const struct watched_range **only)
{
	struct watched_tree *tree = &vcpu->vm->watched;
	gpa_t last = gpa + bytes - 1;

	if (unlikely(!watched_empty(&vcpu->vm->watched_gva)) &&
	    watch_linear(vcpu->vm, la, bytes))
		return 2;
	if (unlikely(vcpu->ranges.gfn != gpa >> PAGE_SHIFT ||
		     vcpu->ranges.generation != watched_generation(tree)))
		find_ranges(vcpu, gpa >> PAGE_SHIFT);
	if (unlikely(vcpu->ranges.count > 1))
		return watched_count(tree, gpa, last, only);
	*only = vcpu->ranges.one;
	return vcpu->ranges.count && last >= (*only)->start &&
	       gpa <= (*only)->last;
}

/*
 * A store to a page with watches. vm->store_lock makes what is in memory, what the
 * monitor is told, and the store one step for all vCPUs: events come in the order
 * of the stores, and the old bytes of one are the new bytes of the last one. With
 * @expect it is a compare and exchange, which gets there what memory held.
 */
static __always_inline int watched_store(struct vigil_vcpu *vcpu,
					 struct vigil_slot *slot, u64 la,
					 gpa_t gpa, void *expect,
					 const void *new, unsigned int bytes)
{
	const struct watched_range *only = NULL;
	struct watch_store st;
	u8 old[EMUL_MAX_ACCESS];
	unsigned int n;
	int ret;

	/* The process is being killed: the guest does not run again. */
	if (mutex_lock_killable(&vcpu->vm->store_lock))
		return EMUL_RESTART;
	n = count_ranges(vcpu, la, gpa, bytes, &only);
	/* Beside all ranges nobody is told, so nobody wants the old bytes. */
	if (likely(!n) && !expect) {
		vcpu->stat.watch_misses++;
		ret = store(vcpu, slot, gpa, new, bytes);
		goto out;
	}
	if (gmem_read_slot(slot, gpa, old, bytes)) {
		ret = no_memory(vcpu);
		goto out;
	}
	if (expect && memcmp(old, expect, bytes)) {
		memcpy(expect, old, bytes);
		ret = EMUL_OK;
		goto out;
	}
	st = (struct watch_store){
		.gva = la,
		.gva_valid = true,
		.gpa = gpa,
		.len = bytes,
		.exchange = expect,
		.old = old,
		.new_ = new,
		.only = n == 1 ? only : NULL,
	};
	switch (watch_store(vcpu, &st)) {
	case WATCH_SKIP:
		ret = EMUL_OK;
		break;
	case WATCH_HELD:
		ret = EMUL_PENDING;
		break;
	default:
		ret = expect ? exchange(vcpu, gpa, expect, new, bytes) :
			       store(vcpu, slot, gpa, new, bytes);
	}
out:
	mutex_unlock(&vcpu->vm->store_lock);
	return ret;
}

/* What the fault has found is still so, or watched_store() finds nothing. */
static bool on_watched_page(struct vigil_vcpu *vcpu, gva_t la, gpa_t gpa)
{
	return vcpu->xlat.watched ||
	       watch_page(vcpu->vm, la, gpa >> PAGE_SHIFT);
}

int emulctl_store(struct vigil_vcpu *vcpu, gva_t la, gpa_t gpa, const void *buf,
		  unsigned int bytes)
{
	struct vigil_slot *slot = cached_slot(vcpu, gpa >> PAGE_SHIFT);

	vcpu->io.gpa = gpa;
	if (unlikely(!slot || slot->flags & KVM_MEM_READONLY))
		return mmio_queue(vcpu, gpa, buf, bytes) ? EMUL_OK :
							   EMUL_PENDING;
	if (on_watched_page(vcpu, la, gpa))
		return watched_store(vcpu, slot, la, gpa, NULL, buf, bytes);
	return store(vcpu, slot, gpa, buf, bytes);
}

/* The store comes again, since a monitor has refused it by a fault. */
static noinline int refused(struct emul_ctxt *c, u64 la, unsigned int flags)
{
	enum watch_answer how = emul_vcpu(c)->refused;

	emul_vcpu(c)->refused = WATCH_GO;
	if (how == WATCH_GP)
		return fault(c, X86_TRAP_GP, true);
	return page_fault(c, la, PFERR_P | access_of(c, true, flags));
}

static int op_write(struct emul_ctxt *c, u64 la, const void *buf,
		    unsigned int bytes, unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	gpa_t gpa;
	int ret;

	if (unlikely(vcpu->refused))
		return refused(c, la, flags);
	/*
	 * INS and hypercalls call this again for a verdict that they still wait for. The
	 * store has its address, whatever has become of the translation since.
	 */
	if (unlikely(vcpu->held))
		return EMUL_PENDING;
	ret = emul_translate(vcpu, la, true, flags, &gpa);
	if (ret)
		return ret;
	check_breakpoints(vcpu, la, bytes, true, flags);
	return emulctl_store(vcpu, la, gpa, buf, bytes);
}

static int op_cmpxchg(struct emul_ctxt *c, u64 la, void *old, const void *new,
		      unsigned int bytes, unsigned int flags)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	struct vigil_slot *slot;
	gpa_t gpa;
	int ret;

	if (unlikely(vcpu->refused))
		return refused(c, la, flags);
	ret = emul_translate(vcpu, la, true, flags, &gpa);
	if (ret)
		return ret;
	vcpu->io.gpa = gpa;
	check_breakpoints(vcpu, la, bytes, true, flags);
	slot = cached_slot(vcpu, gpa >> PAGE_SHIFT);
	/* A device has no compare and exchange: the value was read before. */
	if (unlikely(!slot || slot->flags & KVM_MEM_READONLY))
		return mmio_queue(vcpu, gpa, new, bytes) ? EMUL_OK :
							   EMUL_PENDING;
	if (on_watched_page(vcpu, la, gpa))
		return watched_store(vcpu, slot, la, gpa, old, new, bytes);
	return exchange(vcpu, gpa, old, new, bytes);
}

static int op_probe(struct emul_ctxt *c, u64 la, unsigned int bytes,
		    unsigned int flags)
{
	gpa_t gpa;

	return emul_translate(emul_vcpu(c), la, true, flags, &gpa);
}

/* ---- registers ---- */

static __always_inline void seg_to_emul(const struct kvm_segment *k,
					struct emul_seg *s)
{
	s->base = k->base;
	s->limit = k->limit;
	s->sel = k->selector;
	s->attr = segment_pack(k, SEG_AVL_BIT8);
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

/* SGDT, SIDT, SLDT and STR store what the guest has loaded, whatever is in force. */
static bool stores_table(const struct emul_ctxt *c)
{
	switch (c->insn.op) {
	case INSN_OP_SGDT:
	case INSN_OP_SIDT:
	case INSN_OP_SLDT:
	case INSN_OP_STR:
		return true;
	}
	return false;
}

static int op_get_sys_seg(struct emul_ctxt *c, bool tr, struct emul_seg *s)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	struct kvm_segment k;

	if (pv_in_force(vcpu) && stores_table(c))
		k = tr ? vcpu->pv.tables->own.tr : vcpu->pv.tables->own.ldt;
	else
		vmm_ops->get_segment(vcpu, tr ? SEG_TR : SEG_LDTR, &k);
	seg_to_emul(&k, s);
	return EMUL_OK;
}

static void seg_from_emul(const struct emul_seg *s, struct kvm_segment *k)
{
	*k = (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.unusable = !!(s->attr & EMUL_SEG_UNUSABLE),
	};
	segment_unpack(k, s->attr, SEG_AVL_BIT8);
}

static int op_set_seg(struct emul_ctxt *c, enum insn_seg seg,
		      const struct emul_seg *s)
{
	struct kvm_segment k;

	seg_from_emul(s, &k);
	vmm_ops->set_segment(emul_vcpu(c), (enum vigil_seg)seg, &k);
	return EMUL_OK;
}

/* Is the watched change to be made? False: the op returns *@ret. */
static bool allowed(struct emul_ctxt *c, enum watch_answer answer, int *ret)
{
	*ret = answer == WATCH_HELD ? EMUL_PENDING :
	       answer == WATCH_GP   ? fault(c, X86_TRAP_GP, true) :
				      EMUL_OK;
	return answer == WATCH_GO;
}

static int op_may_load_tr(struct emul_ctxt *c, const struct emul_seg *s,
			  bool *may)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	struct kvm_segment k;
	int ret = EMUL_OK;

	*may = true;
	if (pv_in_force(vcpu) || !control_asks(vcpu, VIGIL_CONTROL_TR))
		return EMUL_OK;
	seg_from_emul(s, &k);
	*may = allowed(c, control_sys_seg(vcpu, true, &k), &ret);
	return ret;
}

static int op_set_sys_seg(struct emul_ctxt *c, bool tr,
			  const struct emul_seg *s)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	struct kvm_segment k;
	int ret;

	/* The guest does not replace the tables of the VMM. */
	if (pv_in_force(vcpu))
		return fault(c, X86_TRAP_GP, true);
	seg_from_emul(s, &k);
	/*
	 * LTR has asked in op_may_load_tr(). The descriptor is busy by now: a watch that
	 * came since then is too late to refuse the load.
	 */
	if (!(tr && c->insn.op == INSN_OP_LTR) &&
	    control_asks(vcpu, tr ? VIGIL_CONTROL_TR : VIGIL_CONTROL_LDTR) &&
	    !allowed(c, control_sys_seg(vcpu, tr, &k), &ret))
		return ret;
	vmm_ops->set_segment(vcpu, tr ? SEG_TR : SEG_LDTR, &k);
	return EMUL_OK;
}

/*
 * Decides how the instruction goes on after a write to a control or debug
 * register.
 */
static int reg_written(struct emul_ctxt *c, int ret)
{
	return ret == -ENODEV ? fault(c, X86_TRAP_UD, false) :
	       ret	      ? fault(c, X86_TRAP_GP, true) :
				EMUL_OK;
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
	unsigned long new_ = val;
	int ret;

	if (control_has_cr(vcpu, nr) || unlikely(vcpu->change)) {
		ret = cr_check(vcpu, nr, &new_);
		if (ret)
			return reg_written(c, ret);
		if (!allowed(c, control_cr(vcpu, nr, new_), &ret))
			return ret;
	}
	/* A task switch writes them too, and is no access of the guest's. */
	if (likely(c->insn.flags & INSN_PRIVILEGED))
		vcpu->stat.exits_cr++;
	vcpu->xlat.valid = false;
	return reg_written(c, cr_set(vcpu, nr, val));
}

/* General detect is about MOV DR alone: a task switch changes DR7 too. */
static bool is_detected(struct emul_ctxt *c)
{
	return unlikely(emul_vcpu(c)->dr7 & DR7_GD) &&
	       (c->insn.op == INSN_OP_MOV_TO_DR ||
		c->insn.op == INSN_OP_MOV_FROM_DR);
}

static int op_get_dr(struct emul_ctxt *c, unsigned int nr, u64 *val)
{
	unsigned long v;

	if (is_detected(c))
		return fault(c, X86_TRAP_DB, false);
	if (dr_get(emul_vcpu(c), nr, &v))
		return fault(c, X86_TRAP_UD, false);
	*val = v;
	return EMUL_OK;
}

static int op_set_dr(struct emul_ctxt *c, unsigned int nr, u64 val)
{
	if (is_detected(c))
		return fault(c, X86_TRAP_DB, false);
	return reg_written(c, dr_set(emul_vcpu(c), nr, val));
}

static int op_get_xcr0(struct emul_ctxt *c, u64 *val)
{
	*val = emul_vcpu(c)->xcr0;
	return EMUL_OK;
}

static int op_get_dtable(struct emul_ctxt *c, bool idt, struct emul_dtable *t)
{
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	struct kvm_dtable dt;

	if (pv_in_force(vcpu) && stores_table(c))
		dt = idt ? vcpu->pv.tables->own.idt : vcpu->pv.tables->own.gdt;
	else
		(idt ? vmm_ops->get_idt : vmm_ops->get_gdt)(vcpu, &dt);
	t->base = dt.base;
	t->limit = dt.limit;
	return EMUL_OK;
}

static int op_set_dtable(struct emul_ctxt *c, bool idt,
			 const struct emul_dtable *t)
{
	struct kvm_dtable dt = { .base = t->base, .limit = t->limit };
	struct vigil_vcpu *vcpu = emul_vcpu(c);
	int ret;

	if (pv_in_force(vcpu))
		return fault(c, X86_TRAP_GP, true);
	if (control_asks(vcpu, idt ? VIGIL_CONTROL_IDTR : VIGIL_CONTROL_GDTR) &&
	    !allowed(c, control_dtable(vcpu, idt, &dt), &ret))
		return ret;
	(idt ? vmm_ops->set_idt : vmm_ops->set_gdt)(vcpu, &dt);
	return EMUL_OK;
}

static void op_unblock_nmi(struct emul_ctxt *c)
{
	event_nmi_unmask(emul_vcpu(c));
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
	return fpu_read_vec(reg, buf, bytes) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_set_vec(struct emul_ctxt *c, unsigned int reg, const void *buf,
		      unsigned int bytes, bool zero_upper)
{
	return fpu_write_vec(reg, buf, bytes, zero_upper) ? EMUL_UNHANDLED :
							    EMUL_OK;
}

static int op_get_mmx(struct emul_ctxt *c, unsigned int reg, u64 *val)
{
	return fpu_read_mmx(reg, val) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_set_mmx(struct emul_ctxt *c, unsigned int reg, u64 val)
{
	return fpu_write_mmx(reg, val) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_set_x87(struct emul_ctxt *c, const struct emul_x87 *state)
{
	return fpu_set_x87(emul_vcpu(c), state) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_x87_stored(struct emul_ctxt *c, bool init)
{
	return fpu_x87_stored(emul_vcpu(c), init) ? EMUL_UNHANDLED : EMUL_OK;
}

static int op_load_x87(struct emul_ctxt *c, const u8 *image, bool regs)
{
	fpu_load_x87(image, regs);
	return EMUL_OK;
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

static int op_clear_opmask(struct emul_ctxt *c, unsigned int reg)
{
	return fpu_clear_opmask(reg) ? EMUL_UNHANDLED : EMUL_OK;
}

const struct emul_ops emulctl_ops = {
	.read = op_read,
	.write = op_write,
	.cmpxchg = op_cmpxchg,
	.probe = op_probe,
	.get_seg = op_get_seg,
	.set_seg = op_set_seg,
	.get_sys_seg = op_get_sys_seg,
	.set_sys_seg = op_set_sys_seg,
	.may_load_tr = op_may_load_tr,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.get_xcr0 = op_get_xcr0,
	.get_dtable = op_get_dtable,
	.set_dtable = op_set_dtable,
	.unblock_nmi = op_unblock_nmi,
	.invlpg = op_invlpg,
	.get_vec = op_get_vec,
	.set_vec = op_set_vec,
	.get_mmx = op_get_mmx,
	.set_mmx = op_set_mmx,
	.set_x87 = op_set_x87,
	.x87_stored = op_x87_stored,
	.load_x87 = op_load_x87,
	.save_state = op_save_state,
	.get_component = op_get_component,
	.clear_opmask = op_clear_opmask,
};
