// SPDX-License-Identifier: GPL-2.0
/*
 * Callbacks: entry points of a guest's kernel that no trap table names. Each but the
 * failsafe one has a gate, whose vector is the VMM's, or that of NMIs.
 */
#include <linux/types.h>
#include <xen/interface/xen.h>
#include <xen/interface/callback.h>

#include "internal.h"
#include "vmm/insn/decode.h"
#include "vmm/ops.h"

/* The entries of struct pv_tables that are in use. */
#define TYPES                                                   \
	(BIT(CALLBACKTYPE_event) | BIT(CALLBACKTYPE_failsafe) | \
	 BIT(CALLBACKTYPE_syscall) | BIT(CALLBACKTYPE_nmi) |    \
	 BIT(CALLBACKTYPE_sysenter) | BIT(CALLBACKTYPE_syscall32))
/* Those in which RFLAGS.IF is clear, whatever the guest says. */
#define MASKED (BIT(CALLBACKTYPE_event) | BIT(CALLBACKTYPE_nmi))

bool pv_vector_is_ours(unsigned int vector)
{
	return vector == PV_INT82 ||
	       (vector >= PV_VECTOR_FIRST && vector <= PV_VECTOR_LAST);
}

/* The type of callback that the vector leads to, or -1. */
static int type_of(unsigned int vector)
{
	switch (vector) {
	case X86_TRAP_NMI:
		return CALLBACKTYPE_nmi;
	case PV_VECTOR_EVENT:
		return CALLBACKTYPE_event;
	case PV_VECTOR_SYSCALL32:
		return CALLBACKTYPE_syscall32;
	case PV_VECTOR_SYSCALL:
		return CALLBACKTYPE_syscall;
	case PV_VECTOR_SYSENTER:
		return CALLBACKTYPE_sysenter;
	}
	return -1;
}

const struct pv_trap *pv_handler(const struct pv_tables *t, unsigned int vector)
{
	int type = type_of(vector);

	if (type >= 0 && t->callback[type].cs)
		return &t->callback[type];
	return test_bit(vector, t->traps.there) ? &t->traps.trap[vector] : NULL;
}

int pv_check_callback(struct pv_trap *to, unsigned int type, unsigned int flags,
		      u16 cs, u64 ip, bool wide)
{
	int ret;

	if (type >= PV_CALLBACKS || !(TYPES & BIT(type)))
		return -ENOSYS;
	if (flags & ~CALLBACKF_mask_events)
		return -EINVAL;
	memset(to, 0, sizeof(*to));
	if (!ip)
		return 0;
	ret = pv_check_code(cs, ip, wide);
	if (ret)
		return ret;
	to->cs = cs;
	to->ip = ip;
	to->masks = MASKED & BIT(type) || flags & CALLBACKF_mask_events;
	return 0;
}

static void write_gates(struct vigil_vcpu *vcpu)
{
	unsigned int vector;

	pv_write_gate(vcpu, X86_TRAP_NMI);
	for (vector = PV_VECTOR_FIRST; vector <= PV_VECTOR_LAST; vector++)
		pv_write_gate(vcpu, vector);
}

void pv_set_callbacks(struct vigil_vcpu *vcpu, const struct pv_trap *callback)
{
	struct pv_tables *t = vcpu->pv.tables;

	memcpy(t->callback, callback, sizeof(t->callback));
	write_gates(vcpu);
}

static struct vigil_pv_trap told_callback(unsigned int type,
					  const struct pv_trap *to)
{
	return (struct vigil_pv_trap){
		.vector = type,
		.flags = to->masks << 2,
		.cs = to->cs,
		.ip = to->ip,
	};
}

static int tell(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	const struct pv_trap *now = vcpu->pv.tables->callback;
	struct vigil_pv_trap old, new_;
	unsigned int i, type;

	for (i = 0; i < vcpu->pv.arg.callback.n; i++) {
		type = vcpu->pv.arg.callback.type[i];
		old = told_callback(type, &now[type]);
		new_ = told_callback(type, &vcpu->pv.arg.callback.to[i]);
		pv_tell_trap(told, &old, &new_);
	}
	return 0;
}

static int commit(struct vigil_vcpu *vcpu)
{
	struct pv_trap *now = vcpu->pv.tables->callback;
	unsigned int i;

	for (i = 0; i < vcpu->pv.arg.callback.n; i++)
		now[vcpu->pv.arg.callback.type[i]] =
			vcpu->pv.arg.callback.to[i];
	write_gates(vcpu);
	return 0;
}

static const struct pv_change change = {
	.control = VIGIL_CONTROL_CALLBACK,
	.commit = commit,
	.tell = tell,
};

/* Checks a callback, and adds it to vcpu->pv.arg. 0, or a negative errno of Xen's. */
static int add(struct vigil_vcpu *vcpu, unsigned int type, unsigned int flags,
	       u16 cs, u64 ip, bool wide)
{
	unsigned int n = vcpu->pv.arg.callback.n;
	int ret = pv_check_callback(&vcpu->pv.arg.callback.to[n], type, flags,
				    cs, ip, wide);

	if (ret)
		return ret;
	vcpu->pv.arg.callback.type[n] = type;
	vcpu->pv.arg.callback.n++;
	return 0;
}

/*
 * set_callbacks(event CS, event IP, failsafe CS, failsafe IP), or of 64-bit code (event,
 * failsafe, syscall)
 */
int pv_set_callbacks_call(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	const u64 *arg = call->arg;
	u16 flat = pv_flat_code(true);
	int ret;

	if (!pv_in_force(vcpu))
		return -EINVAL;
	if (call->wide != is_long_mode(vcpu))
		return -EOPNOTSUPP;
	if (!call->wide && (arg[0] > U16_MAX || arg[2] > U16_MAX))
		return -EPERM;
	vcpu->pv.arg.callback.n = 0;
	if (call->wide) {
		ret = add(vcpu, CALLBACKTYPE_event, 0, flat, arg[0], true);
		if (!ret)
			ret = add(vcpu, CALLBACKTYPE_failsafe, 0, flat, arg[1],
				  true);
		if (!ret)
			ret = add(vcpu, CALLBACKTYPE_syscall, 0, flat, arg[2],
				  true);
	} else {
		ret = add(vcpu, CALLBACKTYPE_event, 0, arg[0], arg[1], false);
		if (!ret)
			ret = add(vcpu, CALLBACKTYPE_failsafe, 0, arg[2],
				  arg[3], false);
	}
	return ret ? ret : pv_change(vcpu, call, &change);
}

/* struct callback_register, of both widths */
struct request {
	u16 type, flags;
	u16 cs;
	u64 ip;
};

static int read_register(struct vigil_vcpu *vcpu, const struct pv_call *call,
			 struct request *r)
{
	struct {
		u16 type, flags;
		u32 cs, ip;
	} narrow;
	struct {
		u16 type, flags;
		u32 pad;
		u64 ip;
	} wide;
	int ret;

	if (call->wide) {
		ret = pv_copy_in(vcpu, call->arg[1], &wide, sizeof(wide));
		*r = (struct request){ wide.type, wide.flags,
				       pv_flat_code(true), wide.ip };
		return ret;
	}
	ret = pv_copy_in(vcpu, call->arg[1], &narrow, sizeof(narrow));
	*r = (struct request){ narrow.type, narrow.flags, narrow.cs,
			       narrow.ip };
	return !ret && narrow.cs > U16_MAX ? -EPERM : ret;
}

/* callback_op(command, argument) */
int pv_callback_op(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	struct request r = { 0 };
	int ret;

	if (!pv_in_force(vcpu))
		return -EINVAL;
	/* The width of the gates is that of the guest's kernel. */
	if (call->wide != is_long_mode(vcpu))
		return -EOPNOTSUPP;
	pv_mem_begin(vcpu);
	switch (call->arg[0]) {
	case CALLBACKOP_register:
		ret = read_register(vcpu, call, &r);
		break;
	case CALLBACKOP_unregister:
		ret = pv_copy_in(vcpu, call->arg[1], &r.type, sizeof(r.type));
		break;
	default:
		return -ENOSYS;
	}
	vcpu->pv.arg.callback.n = 0;
	if (!ret)
		ret = add(vcpu, r.type, r.flags, r.cs, r.ip, call->wide);
	return ret ? ret : pv_change(vcpu, call, &change);
}

/* ---- SYSCALL and SYSENTER ---- */

bool pv_system_call(struct vigil_vcpu *vcpu, const struct insn *insn, int *ret)
{
	int vector;

	if (insn->prefix & INSN_PFX_LOCK)
		return false;
	switch (insn->op) {
	case INSN_OP_SYSCALL:
		vector = vmm_call(code_bits)(vcpu) == 64 ? PV_VECTOR_SYSCALL :
							   PV_VECTOR_SYSCALL32;
		break;
	case INSN_OP_SYSENTER:
		vector = PV_VECTOR_SYSENTER;
		break;
	default:
		return false;
	}
	if (!vmm_call(get_cpl)(vcpu) || vcpu->rflags & X86_EFLAGS_VM ||
	    !vcpu->pv.tables->callback[type_of(vector)].cs)
		return false;
	/*
	 * A shadow in which the instruction was ends with it. VMX refuses to inject an
	 * interrupt into one.
	 */
	vmm_call(set_irq_shadow)(vcpu, false);
	*ret = pv_bounce(vcpu, vector, insn->len);
	return true;
}
