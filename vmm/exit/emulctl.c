// SPDX-License-Identifier: GPL-2.0
/*
 * One instruction in the emulator, from its fetch to its end: through MMIO exits to
 * userspace and stores that a monitor holds.
 */
#include <linux/hash.h>
#include <asm/processor-flags.h>

#include "control.h"
#include "emul_ops.h"
#include "emulctl.h"
#include "exit.h"
#include "fetch.h"
#include "mmio.h"
#include "store.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/inject.h"
#include "vmm/mem/gmem.h"
#include "vmm/monitor/queue.h"
#include "vmm/monitor/watch.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"
#include "vmm/trace.h"
#include "vmm/turn.h"

/* REP iterations after which interrupts are looked at again. */
#define REP_BUDGET 64
/* How often a task's segments are loaded while other vCPUs change their descriptors. */
#define LOAD_TRIES 10000

static int emul_step(struct vigil_vcpu *vcpu);

int emulctl_failed(struct vigil_vcpu *vcpu, int ret)
{
	if (ret || vmm_call(get_cpl)(vcpu) != 3)
		return ret;
	vcpu->stat.emul_user_ud++;
	event_ud(vcpu);
	return mmio_drain(vcpu);
}

/* Runs what emulctl_begin() has begun, or again with the answer that it has waited for. */
static int emul_resume(struct vigil_vcpu *vcpu)
{
	u64 failed = vcpu->stat.emul_failed;
	int ret = emul_step(vcpu);

	return likely(vcpu->stat.emul_failed == failed) ?
		       ret :
		       emulctl_failed(vcpu, ret);
}

/*
 * Features of the CPU that guests run on: the emulator does what that CPU would
 * do.
 */
static u8 emul_features __ro_after_init;

void __init emulctl_init(void)
{
	emul_features =
		(boot_cpu_data.x86_vendor == X86_VENDOR_INTEL ?
			 EMUL_FEAT_PUSH_SEG16 | EMUL_FEAT_FAR64 |
				 EMUL_FEAT_MOVSXD16 :
			 0) |
		(boot_cpu_has_bug(X86_BUG_NULL_SEG) ?
			 EMUL_FEAT_NULL_KEEPS_BASE :
			 0) |
		(static_cpu_has(X86_FEATURE_BMI1) ? EMUL_FEAT_BMI1 : 0) |
		(static_cpu_has(X86_FEATURE_ABM) ? EMUL_FEAT_LZCNT : 0) |
		(static_cpu_has(X86_FEATURE_BMI2) ? EMUL_FEAT_BMI2 : 0);
	vigil_insn_near16 = boot_cpu_data.x86_vendor == X86_VENDOR_AMD ||
			    boot_cpu_data.x86_vendor == X86_VENDOR_HYGON;
}

static __always_inline void begin(struct vigil_vcpu *vcpu, enum insn_mode mode)
{
	struct emul_ctxt *c = &vcpu->emul;

	BUILD_BUG_ON(sizeof(c->regs) != sizeof(vcpu->regs));
	vigil_emul_begin(c);
	vcpu->emul_errno = 0;
	vcpu->emul_dr6 = 0;
	vcpu->change = CHANGE_NONE;
	vcpu->refused = WATCH_GO;
	memcpy(c->regs, vcpu->regs, sizeof(c->regs));
	c->rip = vcpu->rip;
	c->rflags = vcpu->rflags;
	c->mode = mode;
	c->cpl = vmm_call(get_cpl)(vcpu);
	c->kernel_ring = pv_kernel_ring(vcpu);
	c->protected_mode = is_protmode(vcpu);
	c->long_mode = is_long_mode(vcpu);
	c->nmi_masked = vcpu->events.nmi_masked;
	c->va_bits = vcpu->cr4 & X86_CR4_LA57 ? 57 : 48;
	/* With TF each iteration must end in a trap of its own. */
	c->rep_budget = unlikely(vcpu->rflags & X86_EFLAGS_TF ||
				 vcpu->dr7 & DR7_ENABLES) ?
				1 :
				REP_BUDGET;
	c->bounce = vcpu->pv.bounce;
	c->framing = false;
	c->features = emul_features |
		      (vcpu->efer & EFER_FFXSR ? EMUL_FEAT_FFXSR : 0);
}

void emulctl_begin(struct vigil_vcpu *vcpu)
{
	begin(vcpu, vmm_call(code_bits)(vcpu));
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

/* Queued stores go to userspace before the access that waits. */
static int mmio_drain_then_pend(struct vigil_vcpu *vcpu);

static int mmio_read_done(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int len =
		min_t(unsigned int, 8, c->pending.bytes - vcpu->io.len);

	vcpu->io.kind = IO_NONE;
	if (likely(c->pending.bytes <= 8)) {
		vigil_emul_complete(c, vcpu->run->mmio.data);
		return emul_resume(vcpu);
	}
	copy_operand(vcpu->mmio.in + vcpu->io.len, vcpu->run->mmio.data, len);
	vcpu->io.len += len;
	if (vcpu->io.len < c->pending.bytes)
		return mmio_drain_then_pend(vcpu);
	vigil_emul_complete(c, vcpu->mmio.in);
	return emul_resume(vcpu);
}

static int mmio_drain_then_pend(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	int ret = mmio_drain(vcpu);

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
	/*
	 * The queue was full when the store came: it is empty now, so the store
	 * fits.
	 */
	mmio_queue(vcpu, vcpu->io.gpa, c->pending.data, c->pending.bytes);
	vigil_emul_complete(c, NULL);
	return emul_resume(vcpu);
}

int emulctl_verdict(struct vigil_vcpu *vcpu,
		    int (*again)(struct vigil_vcpu *vcpu), void *data,
		    enum watch_answer *answer)
{
	int ret;

	while ((ret = monitor_wait(vcpu, data)) == -EINTR) {
		run_audit_turn(vcpu);
		vcpu->complete = again;
		if (signal_pending(current) ||
		    READ_ONCE(vcpu->run->immediate_exit__unsafe)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
		/* Its request for that may come later than the end itself. */
		if (unlikely(READ_ONCE(vcpu->vm->dead)))
			return vcpu_dead(vcpu);
		ret = vcpu_requests(vcpu);
		if (ret <= 0)
			return ret;
		vcpu->complete = NULL;
	}
	*answer = ret;
	return 1;
}

/*
 * Makes a store that was held: it replaces @old if that is not NULL. emulctl_verdict() has
 * taken vm->store_lock, so that no other store comes between the decision and this one:
 * that would be told with old bytes that are not, or twice, or make a value with this one
 * that nobody has decided about.
 *
 * An error is not looked at: if the memory has gone meanwhile, the guest's next access
 * to it tells.
 */
static void make_held(struct vigil_vcpu *vcpu, void *old, const void *data,
		      unsigned int len)
{
	gpa_t gpa = vcpu->io.gpa;

	if (old)
		gmem_cmpxchg(vcpu->vm, gpa, old, data, len);
	else
		gmem_write(vcpu->vm, gpa, data, len);
	mutex_unlock(&vcpu->vm->store_lock);
}

/* How does the store fault, if it does? */
static enum watch_answer refused_by(enum watch_answer answer)
{
	return answer == WATCH_GP || answer == WATCH_PF ? answer : WATCH_GO;
}

int emulctl_held(struct vigil_vcpu *vcpu, void *data, unsigned int len,
		 int (*again)(struct vigil_vcpu *vcpu))
{
	enum watch_answer answer;
	int ret = emulctl_verdict(vcpu, again, data, &answer);

	if (ret == 1)
		vcpu->refused = refused_by(answer);
	if (ret == 1 && answer == WATCH_GO)
		make_held(vcpu, NULL, data, len);
	return ret;
}

static int held_resume(struct vigil_vcpu *vcpu);

/* Acts on the verdict on a held store. 1: the instruction goes on. */
static int held_settle(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	enum watch_answer answer;
	u8 *old = NULL;
	int ret;

	if (vcpu->change == CHANGE_ASKED)
		return control_settle(vcpu, held_resume);
	if (c->pending.type == EMUL_XACT_CMPXCHG) {
		ret = emulctl_verdict(vcpu, held_resume, c->pending.data,
				      &answer);
		if (ret == 1)
			vcpu->refused = refused_by(answer);
		if (ret == 1 && answer == WATCH_GO) {
			old = c->pending.old;
			make_held(vcpu, old, c->pending.data, c->pending.bytes);
		}
	} else {
		ret = emulctl_held(vcpu, c->pending.data, c->pending.bytes,
				   held_resume);
	}
	/* Emulated again, a store that is refused by a fault raises it. */
	if (ret == 1 && !vcpu->refused)
		vigil_emul_complete(c, old);
	return ret;
}

static int held_resume(struct vigil_vcpu *vcpu)
{
	int ret = held_settle(vcpu);

	return ret == 1 ? emul_resume(vcpu) : ret;
}

static bool in_new_task(const struct emul_ctxt *c)
{
	return unlikely(c->task.stage == EMUL_TASK_LOAD);
}

static void emul_finish(struct vigil_vcpu *vcpu, unsigned long old_rflags)
{
	struct emul_ctxt *c = &vcpu->emul;

	vmm_call(set_irq_shadow)(vcpu, c->shadow);
	/*
	 * No trap comes between MOV SS and the next instruction: behind that the
	 * CPU itself makes the trap of TF, and that of a data breakpoint where it
	 * can be told to hold one back. Elsewhere the breakpoint is lost.
	 */
	if (unlikely(c->shadow & EMUL_SHADOW_MOV_SS)) {
		if (unlikely(vcpu->emul_dr6) && vmm_ops->hold_db)
			vmm_ops->hold_db(vcpu, vcpu->emul_dr6);
		return;
	}
	if (unlikely(c->no_step)) {
		old_rflags &= ~X86_EFLAGS_TF;
		if (c->insn.op == INSN_OP_INT1)
			event_db_entered(vcpu);
		if (in_new_task(c))
			vcpu->emul_dr6 |= c->task.dr6;
	}
	event_trap(vcpu, old_rflags, vcpu->emul_dr6);
}

static __always_inline int emul_once(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	int ret = vigil_emulate(c, &emulctl_ops);

	trace_vigil_emulate(vcpu, ret);
	vcpu->xlat.valid = false;
	/*
	 * An unfinished instruction has changed nothing, except by completed
	 * iterations of a REP. A task switch writes the new task's registers in between.
	 */
	if (ret == EMUL_OK || (c->insn.flags & INSN_STRING))
		emul_writeback(vcpu);
	vcpu->emul_active = ret == EMUL_PENDING;
	return ret;
}

/*
 * The new task's segments cannot be loaded now: another vCPU is changing what they are
 * loaded from, or the VMM has no memory there. There is no instruction to run again, so
 * the next KVM_RUN goes on with them.
 */
static int load_task_later(struct vigil_vcpu *vcpu)
{
	int err = xchg(&vcpu->emul_errno, 0);

	vcpu->emul_active = true;
	vcpu->complete = emul_resume;
	if (err)
		return err;
	if (!signal_pending(current))
		return -EAGAIN;
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/*
 * The new task's registers are there: an interrupt shadow was the old task's, and an
 * interrupt or NMI that has led here is delivered. An exception is not, as long as one
 * that follows may make it a double fault.
 */
static void task_entered(struct vigil_vcpu *vcpu)
{
	vmm_call(set_irq_shadow)(vcpu, false);
	if (vcpu->emul.task.event && !vcpu->events.exception.injected)
		event_delivered(vcpu);
}

/* Will the instruction go on without a look at anything else? */
static bool goes_on(const struct vigil_vcpu *vcpu, int status)
{
	return unlikely(vcpu->emul.task.stage) ||
	       (status == EMUL_PENDING && vcpu->held);
}

/*
 * Emulates until the instruction has ended, or waits for userspace. One instruction may
 * have any number of held stores, so this is a loop and no recursion. 1: @status is
 * how it ended; else KVM_RUN returns that.
 */
static noinline int emul_until_end(struct vigil_vcpu *vcpu,
				   unsigned long *old_rflags, int *status)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int tries = LOAD_TRIES;
	int ret;

	for (;; *status = emul_once(vcpu)) {
		if (*status == EMUL_PENDING && vcpu->held) {
			run_audit_turn(vcpu);
			ret = held_settle(vcpu);
			if (ret != 1)
				return ret;
			*old_rflags = c->rflags;
		} else if (in_new_task(c) && *status == EMUL_OK && c->more) {
			task_entered(vcpu);
		} else if (in_new_task(c) && *status == EMUL_RESTART &&
			   --tries && !signal_pending(current)) {
			cond_resched();
		} else {
			break;
		}
	}
	if (in_new_task(c) && (*status == EMUL_RESTART || vcpu->emul_errno))
		return load_task_later(vcpu);
	/* A trap behind it is not one of the event's delivery. */
	if (*status == EMUL_OK && c->task.event)
		event_delivered(vcpu);
	return 1;
}

static noinline int emul_given_up(struct vigil_vcpu *vcpu)
{
	const struct insn *insn = &vcpu->emul.insn;

	if (vcpu->emul_errno)
		return xchg(&vcpu->emul_errno, 0);
	vcpu->stat.emul_failed++;
	return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
				   insn->bytes, insn->len);
}

/* An instruction has ended, or is given up. */
static __always_inline int emul_done(struct vigil_vcpu *vcpu, int status)
{
	return likely(status != EMUL_UNHANDLED) ? mmio_drain(vcpu) :
						  emul_given_up(vcpu);
}

static int emul_step(struct vigil_vcpu *vcpu)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned long old_rflags = c->rflags;
	int status = emul_once(vcpu), ret;

	if (goes_on(vcpu, status)) {
		ret = emul_until_end(vcpu, &old_rflags, &status);
		if (ret != 1)
			return ret;
	}
	switch (status) {
	case EMUL_OK:
		vcpu->stat.emulated++;
		emul_finish(vcpu, old_rflags);
		break;
	case EMUL_FAULT:
		if (pv_in_force(vcpu) && c->exception.vector != X86_TRAP_PF)
			pv_tell_load(vcpu, &c->insn);
		if (unlikely(c->framing))
			pv_frame_fault(vcpu, c->bounce - 1, c->exception.vector,
				       c->exception.error_code,
				       c->exception.cr2);
		else if (c->exception.vector == X86_TRAP_PF)
			event_page_fault(vcpu, c->exception.cr2,
					 c->exception.error_code);
		else if (c->exception.vector == X86_TRAP_DB)
			/* MOV DR, of which DR7.GD lets none pass */
			event_db(vcpu, DR6_BD);
		else if (c->exception.has_ec)
			event_exception_ec(vcpu, c->exception.vector,
					   c->exception.error_code);
		else
			event_exception(vcpu, c->exception.vector);
		break;
	case EMUL_PENDING:
		vcpu->io.len = 0;
		return mmio_drain_then_pend(vcpu);
	}
	return emul_done(vcpu, status);
}

int emulctl_fault(struct vigil_vcpu *vcpu, gva_t gva, gpa_t gpa, u32 ec,
		  bool watched)
{
	int ret;

	vcpu->xlat.page = gva & PAGE_MASK;
	vcpu->xlat.gpa = gpa & PAGE_MASK;
	vcpu->xlat.access = ec & (PFERR_W | PFERR_U);
	vcpu->xlat.valid = true;
	vcpu->xlat.watched = watched;
	ret = emulctl_run(vcpu);
	vcpu->xlat.valid = false;
	vcpu->xlat.watched = false;
	return ret;
}

int emulctl_event(struct vigil_vcpu *vcpu, u16 sel, bool rf)
{
	struct emul_event ev = event_injected_now(vcpu);

	ev.rf |= rf;
	emulctl_begin(vcpu);
	vigil_emul_event(&vcpu->emul, sel, &ev);
	return emul_step(vcpu);
}

int emulctl_pv_iret(struct vigil_vcpu *vcpu, unsigned int bytes, u16 cs, u64 ip,
		    bool masks)
{
	emulctl_begin(vcpu);
	vigil_emul_pv_iret(&vcpu->emul, bytes, cs, ip, masks);
	return emul_resume(vcpu);
}

int emulctl_deliver(struct vigil_vcpu *vcpu)
{
	const struct emul_event ev = event_injected_now(vcpu);

	emulctl_begin(vcpu);
	vigil_emul_deliver(&vcpu->emul, &ev);
	return emul_step(vcpu);
}

bool emulctl_int_enters(struct vigil_vcpu *vcpu, u16 sel)
{
	const struct vigil_events events = vcpu->events;
	struct emul_ctxt *c = &vcpu->emul;
	u8 bytes[15];
	int n;

	n = exit_fetch(vcpu, bytes);
	if (n <= 0) {
		/* The event that is under way has nothing to do with this #PF. */
		vcpu->events = events;
		return false;
	}
	emulctl_begin(vcpu);
	return vigil_decode_again(&c->insn, bytes, n, c->mode) == INSN_OK &&
	       vigil_emul_int_enters(c, &emulctl_ops, sel);
}

/* Decodes to vcpu->emul.insn what is not there already. */
static noinline int decode(struct vigil_vcpu *vcpu, const u8 *bytes,
			   unsigned int n, enum insn_mode mode)
{
	struct insn *kept;
	int ret = INSN_OK;

	/* The same bytes may have been decoded a short while ago. */
	kept = &vcpu->decoded[hash_long(vcpu->rip, VCPU_DECODED_BITS)];
	if (!vigil_insn_is(kept, bytes, n, mode))
		ret = vigil_decode(kept, bytes, n, mode);
	vcpu->emul.insn = *kept;
	return ret;
}

static bool is_one_of(const struct insn *insn, const u16 *ops)
{
	for (; *ops != INSN_OP_NONE; ops++)
		if (insn->op == *ops)
			return true;
	return false;
}

/*
 * The bytes are not those that the exit was for: the guest executes what is there. It would
 * exit for ever if they were of a page that it does not execute any more.
 */
static int replaced(struct vigil_vcpu *vcpu)
{
	fetch_flush(vcpu);
	return 1;
}

/* @ops is NULL where the exit has not told what the instruction is. */
static __always_inline int run(struct vigil_vcpu *vcpu, const u16 *ops)
{
	const struct insn *insn = &vcpu->emul.insn;
	enum insn_mode mode;
	u8 bytes[15];
	int n, ret;

	n = exit_fetch(vcpu, bytes);
	if (!n)
		return 1;
	if (n < 0) {
		vcpu->stat.emul_failed++;
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   NULL, 0);
	}
	mode = vmm_call(code_bits)(vcpu);
	ret = INSN_OK;
	if (unlikely(!vigil_insn_is(insn, bytes, n, mode)))
		ret = decode(vcpu, bytes, n, mode);
	switch (ret) {
	case INSN_OK:
		if (ops && unlikely(!is_one_of(insn, ops)))
			return replaced(vcpu);
		if (vcpu->xlat.valid && insn->flags & INSN_PLAIN_STORE) {
			ret = store_short(vcpu);
			if (ret != EMUL_PENDING)
				return emul_done(vcpu, ret);
		}
		begin(vcpu, mode);
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
		/* The decoder knows what the exit was for. */
		if (ops)
			return replaced(vcpu);
		vcpu->stat.emul_failed++;
		return exit_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					   bytes, n);
	}
}

int emulctl_run(struct vigil_vcpu *vcpu)
{
	return run(vcpu, NULL);
}

int emulctl_run_one_of(struct vigil_vcpu *vcpu, const u16 *ops)
{
	return run(vcpu, ops);
}
