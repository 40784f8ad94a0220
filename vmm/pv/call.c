// SPDX-License-Identifier: GPL-2.0
/*
 * Hypercalls in Xen's ABI: whether a call is accepted, what the module answers
 * itself, multicalls, and KVM_EXIT_XEN for the rest.
 *
 * A call that stores to guest memory keeps what it stores in vcpu->pv.out, since a
 * monitor may hold any of these stores. A multicall keeps nothing else: each entry
 * that is done moves the guest's registers on, and the guest executes the
 * instruction again for the rest.
 */
#include <linux/sched/signal.h>
#include <xen/interface/sched.h>
#include <xen/interface/xen.h>

#include "internal.h"
#include "vmm/cpu/inject.h"
#include "vmm/exit/control.h"
#include "vmm/exit/emul_ops.h"
#include "vmm/exit/emulctl.h"
#include "vmm/exit/exit.h"
#include "vmm/ops.h"
#include "vmm/turn.h"

/* struct multicall_entry of a 64-bit caller; a 32-bit one has 4 bytes each. */
#define ENTRY_WORDS 8
#define ENTRY_RESULT 1
#define ENTRY_ARGS 2

/* ---- guest memory, with the rights of the caller ---- */

/* 0; -EFAULT; CALL_AGAIN: the guest executes the instruction again. */
static int mem_result(int emul)
{
	switch (emul) {
	case EMUL_OK:
		return 0;
	case EMUL_RESTART:
		return CALL_AGAIN;
	default: /* a fault, a device, memory that the VMM has taken away */
		return -EFAULT;
	}
}

static unsigned int in_page(u64 la, unsigned int len)
{
	return min_t(u64, len, PAGE_SIZE - offset_in_page(la));
}

static bool bad_address(struct vigil_vcpu *vcpu, u64 la, unsigned int len)
{
	u64 last = la + len - 1;

	if (vmm_call(code_bits)(vcpu) != 64)
		return last > U32_MAX;
	return last < la || !gva_canonical(la, vcpu->emul.va_bits) ||
	       !gva_canonical(last, vcpu->emul.va_bits);
}

void pv_mem_begin(struct vigil_vcpu *vcpu)
{
	emulctl_begin(vcpu);
	vcpu->xlat.valid = false;
}

int pv_copy_in(struct vigil_vcpu *vcpu, u64 la, void *buf, unsigned int len)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int n;
	int ret;

	if (bad_address(vcpu, la, len))
		return -EFAULT;
	for (; len; la += n, buf += n, len -= n) {
		n = in_page(la, len);
		ret = mem_result(emulctl_ops.read(c, la, buf, n, 0));
		if (ret)
			return ret;
	}
	return 0;
}

/* May the caller store there? Nothing is stored. */
static int probe_out(struct vigil_vcpu *vcpu, u64 la, unsigned int len)
{
	struct emul_ctxt *c = &vcpu->emul;
	unsigned int n;
	int ret;

	if (bad_address(vcpu, la, len))
		return -EFAULT;
	for (; len; la += n, len -= n) {
		n = in_page(la, len);
		ret = mem_result(emulctl_ops.probe(c, la, n, 0));
		if (!ret && emulctl_is_mmio(vcpu, la))
			ret = -EFAULT;
		if (ret)
			return ret;
	}
	return 0;
}

/* What a call stores when it is done. */
static void add_out(struct vigil_vcpu *vcpu, u64 la, const void *data,
		    unsigned int len)
{
	struct pv_out *o = &vcpu->pv.out[vcpu->pv.nr_out++];

	o->la = la;
	o->len = len;
	o->done = 0;
	memcpy(o->data, data, len);
}

/* ---- the end of a call ---- */

static void set_result(struct vigil_vcpu *vcpu, s64 result)
{
	vcpu->regs[REG_RAX] = vcpu->pv.wide ? (u64)result : (u32)result;
}

/* The hypercall has ended: the guest goes on behind its instruction. */
static void end_call(struct vigil_vcpu *vcpu, s64 result)
{
	struct pv_vcpu *pv = &vcpu->pv;

	set_result(vcpu, result);
	exit_skip(vcpu, pv->len);
	if (unlikely(pv->rewrite)) {
		pv->rewrite = false;
		pv_rewrite_pages(vcpu);
	}
}

/* The register of an argument, by the caller's ABI. */
static unsigned int arg_reg(unsigned int n, bool wide)
{
	static const u8 regs64[] = { REG_RDI, REG_RSI, REG_RDX,
				     REG_R10, REG_R8,  REG_R9 };
	static const u8 regs32[] = { REG_RBX, REG_RCX, REG_RDX,
				     REG_RSI, REG_RDI, REG_RBP };

	return wide ? regs64[n] : regs32[n];
}

/*
 * An entry of a multicall is done: the guest's registers name the next one. The last
 * one ends the multicall.
 */
static void next_entry(struct vigil_vcpu *vcpu)
{
	bool wide = vcpu->pv.wide;
	unsigned long *list = &vcpu->regs[arg_reg(0, wide)];
	unsigned long *count = &vcpu->regs[arg_reg(1, wide)];

	*list += ENTRY_WORDS * (wide ? 8 : 4);
	if (!wide)
		*list = (u32)*list;
	*count = (u32)*count - 1;
	if (!*count)
		end_call(vcpu, 0);
}

/*
 * Stores a piece of what a call stores. 1: go on, whatever became of it. The place
 * was probed before the call did anything: what the VMM or another vCPU has taken
 * away since gets nothing.
 */
static int store_piece(struct vigil_vcpu *vcpu, struct pv_out *o,
		       unsigned int n, int (*again)(struct vigil_vcpu *vcpu))
{
	struct emul_ctxt *c = &vcpu->emul;
	u8 *data = o->data + o->done;
	u64 la = o->la + o->done;
	int ret;

	for (;;) {
		ret = vcpu->held ? EMUL_OK : emulctl_ops.probe(c, la, n, 0);
		if (!ret && !vcpu->held && emulctl_is_mmio(vcpu, la))
			return 1;
		if (!ret)
			ret = emulctl_ops.write(c, la, data, n, 0);
		if (ret == EMUL_PENDING && vcpu->held)
			return emulctl_held(vcpu, data, n, again);
		if (ret != EMUL_RESTART)
			return 1;
		/* Another vCPU changes the page tables under the walk. */
		if (signal_pending(current))
			break;
		cond_resched();
	}
	vcpu->complete = again;
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/*
 * Makes the stores of vcpu->pv.out, then ends the call. A monitor may hold each of
 * them.
 */
static int finish(struct vigil_vcpu *vcpu)
{
	struct pv_vcpu *pv = &vcpu->pv;
	struct pv_out *o;
	unsigned int n;
	int ret;

	while (unlikely(pv->next_out < pv->nr_out)) {
		o = &pv->out[pv->next_out];
		n = in_page(o->la + o->done, o->len - o->done);
		vcpu->io.kind = IO_HYPERCALL;
		ret = store_piece(vcpu, o, n, finish);
		if (ret != 1)
			return ret;
		o->done += n;
		if (o->done == o->len)
			pv->next_out++;
	}
	if (pv->nr_out)
		vcpu->emul_dr6 = 0;
	vcpu->io.kind = IO_NONE;
	if (pv->multi)
		next_entry(vcpu);
	else
		end_call(vcpu, pv->result);
	return 1;
}

/* ---- what the module answers ---- */

static int commit_iopl(struct vigil_vcpu *vcpu)
{
	pv_iopl_set(vcpu, &vcpu->pv.arg.iopl);
	vcpu->pv.rewrite = true;
	return 0;
}

static int tell_iopl(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	struct vigil_iopl old = vcpu->pv.arg.iopl;

	pv_iopl_get(vcpu, &old);
	pv_tell(told, &old, &vcpu->pv.arg.iopl, sizeof(old));
	return 0;
}

static const struct pv_change change_iopl = {
	.control = VIGIL_CONTROL_IOPL,
	.commit = commit_iopl,
	.tell = tell_iopl,
};

static int set_hypercall_iopl(struct vigil_vcpu *vcpu,
			      const struct pv_call *call)
{
	struct vigil_iopl arg;
	int ret;

	if (call->cpl > pv_kernel_ring(vcpu))
		return -EPERM;
	if (call->arg[0] > VIGIL_IOPL_GET)
		return -EINVAL;
	pv_mem_begin(vcpu);
	ret = pv_copy_in(vcpu, call->arg[1], &arg, sizeof(arg));
	if (ret)
		return ret;
	if (call->arg[0] == VIGIL_IOPL_SET) {
		ret = pv_iopl_check(vcpu, &arg);
		if (ret)
			return ret;
		vcpu->pv.arg.iopl = arg;
		return pv_change(vcpu, call, &change_iopl);
	}
	ret = probe_out(vcpu, call->arg[1], sizeof(arg));
	if (!ret)
		ret = pv_iopl_get(vcpu, &arg);
	if (!ret)
		add_out(vcpu, call->arg[1], &arg, sizeof(arg));
	return ret;
}

static int sched_op(const struct pv_call *call)
{
	if (call->arg[0] != SCHEDOP_yield)
		return CALL_TO_USER;
	/* The guest waits for another vCPU: any other thread may run first. */
	yield();
	return 0;
}

/* 0 and below: the result. Else CALL_*. */
static int answer(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	const struct pv_vm *pv = &vcpu->vm->pv;
	int ret = CALL_TO_USER;

	if (call->nr < 64 && (pv->kernel & BIT_ULL(call->nr))) {
		switch (call->nr) {
		case __HYPERVISOR_multicall:
			/* not within another one */
			return -EINVAL;
		case __HYPERVISOR_sched_op:
			ret = sched_op(call);
			break;
		case VIGIL_HYPERVISOR_set_hypercall_iopl:
			ret = set_hypercall_iopl(vcpu, call);
			break;
		default:
			ret = pv_trap_call(vcpu, call);
			break;
		}
	}
	if (ret == CALL_TO_USER && !(pv->flags & VIGIL_HC_EXIT_XEN))
		return -ENOSYS;
	return ret;
}

/* How often a watched call is tried while other vCPUs change the tables under its walks. */
#define CALL_TRIES 1000

/* A monitor has let the call pass. It is told of one call once, so this tries again. */
static int answer_watched(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	unsigned int tries = CALL_TRIES;
	int ret;

	do {
		run_audit_turn(vcpu);
		ret = answer(vcpu, call);
		cond_resched();
	} while (ret == CALL_AGAIN && --tries && !signal_pending(current));
	return ret;
}

static noinline int ask_call(struct vigil_vcpu *vcpu,
			     const struct pv_call *call)
{
	switch (control_call(vcpu, call->nr, call->arg)) {
	case WATCH_GO:
		return answer_watched(vcpu, call);
	case WATCH_HELD:
		vcpu->pv.change = NULL;
		vcpu->pv.asked = *call;
		return CALL_HELD;
	default:
		return -EPERM;
	}
}

/* The same as answer(), of a call that a monitor may watch. */
static __always_inline int answer_or_ask(struct vigil_vcpu *vcpu,
					 const struct pv_call *call)
{
	if (watch_controls(vcpu->vm, VIGIL_CONTROL_HYPERCALL))
		return ask_call(vcpu, call);
	return answer(vcpu, call);
}

/* ---- what userspace or a monitor answers ---- */

static int answered(struct vigil_vcpu *vcpu, s64 result)
{
	struct pv_vcpu *pv = &vcpu->pv;

	pv->result = result;
	if (pv->multi) {
		pv_mem_begin(vcpu);
		add_out(vcpu, pv->entry_la, &result, pv->wide ? 8 : 4);
	}
	return finish(vcpu);
}

static int user_done(struct vigil_vcpu *vcpu)
{
	return answered(vcpu, READ_ONCE(vcpu->run->xen.u.hcall.result));
}

static int to_user(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	struct kvm_xen_exit *x = &vcpu->run->xen;

	vcpu->run->exit_reason = KVM_EXIT_XEN;
	memset(x, 0, sizeof(*x));
	x->type = KVM_EXIT_XEN_HCALL;
	x->u.hcall.longmode = call->wide;
	x->u.hcall.cpl = call->cpl;
	x->u.hcall.input = call->nr;
	memcpy(x->u.hcall.params, call->arg, sizeof(x->u.hcall.params));
	/* for a VMM that does not know the call either */
	x->u.hcall.result = -ENOSYS;
	vcpu->io.kind = IO_HYPERCALL;
	vcpu->complete = user_done;
	return 0;
}

static int verdict_held(struct vigil_vcpu *vcpu);

/* A call, or an entry of a multicall, has this answer. Returns as exit_hypercall(). */
static int conclude(struct vigil_vcpu *vcpu, const struct pv_call *call,
		    int ret)
{
	switch (ret) {
	case CALL_AGAIN:
		return 1;
	case CALL_TO_USER:
		return to_user(vcpu, call);
	case CALL_HELD:
		return verdict_held(vcpu);
	case CALL_IRET:
		return pv_iret(vcpu, call);
	}
	return answered(vcpu, ret);
}

/*
 * Waits for the verdict on a change, which ends the call or the entry, or on the call
 * itself, which is made then.
 */
static int verdict_held(struct vigil_vcpu *vcpu)
{
	enum watch_answer verdict;
	struct pv_call call;
	int ret;

	/*
	 * The VMM has given the vCPU other registers or tables: the event was withdrawn,
	 * and the guest executes the instruction again.
	 */
	if (unlikely(!vcpu->held)) {
		vcpu->io.kind = IO_NONE;
		pv_drop_change(vcpu);
		return 1;
	}
	vcpu->io.kind = IO_HYPERCALL;
	ret = emulctl_verdict(vcpu, verdict_held, NULL, &verdict);
	if (ret != 1)
		return ret;
	if (vcpu->pv.change)
		return answered(vcpu, pv_settle_change(vcpu, verdict));
	vcpu->io.kind = IO_NONE;
	call = vcpu->pv.asked;
	ret = verdict == WATCH_GO ? answer_watched(vcpu, &call) : -EPERM;
	return conclude(vcpu, &call, ret);
}

/* ---- dispatch ---- */

static bool accepted(struct vigil_vcpu *vcpu, int cpl, u64 nr)
{
	struct pv_policy p;

	if (cpl <= pv_kernel_ring(vcpu))
		return true;
	p = pv_policy(vcpu);
	return cpl <= p.iopl && nr < 64 && (p.user & BIT_ULL(nr));
}

bool pv_int82_accepted(struct vigil_vcpu *vcpu)
{
	u64 nr = vcpu->regs[REG_RAX];

	if (vmm_call(code_bits)(vcpu) != 64)
		nr = (u32)nr;
	return accepted(vcpu, vmm_call(get_cpl)(vcpu), nr) ||
	       pv_policy(vcpu).refuse == VIGIL_REFUSE_EPERM;
}

static int refuse(struct vigil_vcpu *vcpu)
{
	if (pv_policy(vcpu).refuse == VIGIL_REFUSE_FAULT) {
		event_gp(vcpu);
		return 1;
	}
	vcpu->pv.result = -EPERM;
	return finish(vcpu);
}

static int read_entry(struct vigil_vcpu *vcpu, u64 la, struct pv_call *call)
{
	u64 words[ENTRY_WORDS];
	u32 narrow[ENTRY_WORDS];
	unsigned int i;
	int ret;

	if (call->wide) {
		ret = pv_copy_in(vcpu, la, words, sizeof(words));
	} else {
		ret = pv_copy_in(vcpu, la, narrow, sizeof(narrow));
		for (i = 0; i < ENTRY_WORDS && !ret; i++)
			words[i] = narrow[i];
	}
	if (ret)
		return ret;
	call->nr = words[0];
	memcpy(call->arg, words + ENTRY_ARGS, sizeof(call->arg));
	return probe_out(vcpu, la + ENTRY_RESULT * (call->wide ? 8 : 4),
			 call->wide ? 8 : 4);
}

/*
 * Does one entry. 1: it is done, and the registers tell of the next; below: KVM_RUN
 * returns that. CALL_LEAVE: the guest executes the instruction again, or is behind it.
 */
static int multicall_entry(struct vigil_vcpu *vcpu, u64 la,
			   const struct pv_call *outer)
{
	struct pv_call call = *outer;
	struct pv_vcpu *pv = &vcpu->pv;
	unsigned int bytes = call.wide ? 8 : 4;
	s64 result;
	int ret;

	pv->nr_out = 0;
	pv->next_out = 0;
	ret = read_entry(vcpu, la, &call);
	if (ret == CALL_AGAIN)
		return CALL_LEAVE;
	if (ret) {
		/* The entries before this one are done and stay so. */
		pv->multi = false;
		pv->result = ret;
		finish(vcpu);
		return CALL_LEAVE;
	}
	pv->entry_la = la + ENTRY_RESULT * bytes;
	ret = accepted(vcpu, call.cpl, call.nr) ? answer_or_ask(vcpu, &call) :
						  -EPERM;
	if (ret == CALL_AGAIN)
		return CALL_LEAVE;
	if (unlikely(ret > 0))
		return conclude(vcpu, &call, ret);
	result = ret;
	add_out(vcpu, pv->entry_la, &result, bytes);
	return finish(vcpu);
}

/* Entries after which signals and interrupts are looked at. */
#define ENTRIES_AT_ONCE 32

static int multicall(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	unsigned long *list = &vcpu->regs[arg_reg(0, call->wide)];
	unsigned long *count = &vcpu->regs[arg_reg(1, call->wide)];
	unsigned int n;
	int ret;

	if (!(u32)*count)
		return finish(vcpu);
	vcpu->pv.multi = true;
	pv_mem_begin(vcpu);
	for (n = 0; n < ENTRIES_AT_ONCE; n++) {
		ret = multicall_entry(vcpu, *list, call);
		if (ret == CALL_LEAVE)
			return 1;
		if (ret != 1 || !(u32)*count)
			return ret;
	}
	return 1;
}

static void load_args(const struct vigil_vcpu *vcpu, struct pv_call *call)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(call->arg); i++) {
		call->arg[i] = vcpu->regs[arg_reg(i, call->wide)];
		if (!call->wide)
			call->arg[i] = (u32)call->arg[i];
	}
}

int pv_hypercall(struct vigil_vcpu *vcpu, unsigned int len)
{
	struct pv_vcpu *pv = &vcpu->pv;
	struct pv_call call;
	int ret;

	vcpu->stat.exits_hypercall++;
	call.wide = vmm_call(code_bits)(vcpu) == 64;
	call.cpl = vmm_call(get_cpl)(vcpu);
	call.nr = vcpu->regs[REG_RAX];
	if (!call.wide)
		call.nr = (u32)call.nr;
	pv->wide = call.wide;
	pv->len = len;
	pv->multi = false;
	pv->nr_out = 0;
	pv->next_out = 0;
	pv->result = 0;
	if (!accepted(vcpu, call.cpl, call.nr))
		return refuse(vcpu);
	if (call.nr == __HYPERVISOR_multicall &&
	    (vcpu->vm->pv.kernel & BIT_ULL(__HYPERVISOR_multicall)))
		return multicall(vcpu, &call);
	load_args(vcpu, &call);
	ret = answer_or_ask(vcpu, &call);
	if (unlikely(ret > 0))
		return conclude(vcpu, &call, ret);
	pv->result = ret;
	return finish(vcpu);
}
