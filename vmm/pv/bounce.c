// SPDX-License-Identifier: GPL-2.0
/*
 * Traps on their way to a handler of the guest's, through the VMM's tables. INT n of a
 * vector that is not fast faults on its gate, and is bounced: the same event is given
 * to the CPU, which builds the frame. So no code here builds one, and the CPU makes the
 * checks.
 *
 * The CPU's exceptions all exit, so a fault in the middle of a delivery exits as well,
 * with the first event reported. If shadow paging cannot mend it, the frame cannot be
 * built, and the VM ends.
 */
#include <linux/kernel.h>
#include <asm/processor-flags.h>

#include "internal.h"
#include "vmm/cpu/inject.h"
#include "vmm/exit/exit.h"
#include "vmm/ops.h"

#define NO_VECTOR (-1)

static const char *fault_name(u8 vector, char *buf, size_t size)
{
	static const char *const name[] = {
		[X86_TRAP_DE] = "#DE", [X86_TRAP_DB] = "#DB",
		[X86_TRAP_BR] = "#BR", [X86_TRAP_UD] = "#UD",
		[X86_TRAP_NM] = "#NM", [X86_TRAP_DF] = "#DF",
		[X86_TRAP_TS] = "#TS", [X86_TRAP_NP] = "#NP",
		[X86_TRAP_SS] = "#SS", [X86_TRAP_GP] = "#GP",
		[X86_TRAP_PF] = "#PF", [X86_TRAP_MF] = "#MF",
		[X86_TRAP_AC] = "#AC", [X86_TRAP_XF] = "#XF",
	};

	if (vector < ARRAY_SIZE(name) && name[vector])
		return name[vector];
	snprintf(buf, size, "vector %#x", vector);
	return buf;
}

/*
 * Ends the VM because the delivery of @vector is impossible. The first vCPU to come
 * here says why.
 */
static void end_vm(struct vigil_vcpu *vcpu, int why, u8 vector, int fault,
		   u32 ec, u64 address)
{
	const struct pv_trap *trap = pv_handler(vcpu->pv.tables, vector);
	struct pv_vm *pv = &vcpu->vm->pv;
	char a[16], b[16];

	vcpu->pv.end = (struct vigil_trap_end){
		.why = why,
		.vector = vector,
		.cs = trap ? trap->cs : 0,
		.ip = trap ? trap->ip : 0,
		.fault = fault == NO_VECTOR ? 0 : fault | (u64)ec << 32,
		.address = address,
		.rip = vcpu->rip,
		.cpl = vmm_call(get_cpl)(vcpu),
		.sp = vcpu->regs[REG_RSP],
	};
	if (test_and_set_bit(0, &pv->ended))
		return;
	switch (why) {
	case VIGIL_END_FRAME:
		snprintf(
			pv->words, sizeof(pv->words),
			"pv: %s to %04llx:%#llx failed: %s(%#x) at %#llx while its frame was built",
			fault_name(vector, a, sizeof(a)), vcpu->pv.end.cs,
			vcpu->pv.end.ip, fault_name(fault, b, sizeof(b)), ec,
			address);
		break;
	case VIGIL_END_NO_HANDLER:
		snprintf(pv->words, sizeof(pv->words),
			 "pv: %s at %#lx has no handler in the trap table",
			 fault_name(vector, a, sizeof(a)), vcpu->rip);
		break;
	default:
		snprintf(
			pv->words, sizeof(pv->words),
			"pv: %s at %#lx in ring 0, which no handler of ring 1 can take",
			fault_name(vector, a, sizeof(a)), vcpu->rip);
	}
	vigil_vm_kill(vcpu->vm, pv->words);
}

int pv_deliver(struct vigil_vcpu *vcpu, u8 vector)
{
	if (unlikely(!vmm_call(get_cpl)(vcpu)))
		end_vm(vcpu, VIGIL_END_RING0, vector, NO_VECTOR, 0, 0);
	else if (unlikely(!pv_handler(vcpu->pv.tables, vector)))
		end_vm(vcpu, VIGIL_END_NO_HANDLER, vector, NO_VECTOR, 0, 0);
	else
		return 1;
	return vcpu_dead(vcpu);
}

/* The event that was being delivered when the last exit came, or NO_VECTOR. */
static int in_delivery(const struct vigil_vcpu *vcpu)
{
	const struct vigil_events *ev = &vcpu->events;

	if (ev->exception.injected)
		return ev->exception.vector;
	if (ev->nmi_injected)
		return X86_TRAP_NMI;
	if (ev->irq_injected)
		return ev->irq_vector;
	/* An INT n of the guest's own, through a fast gate. */
	if (vcpu->pv.cut_exit == vcpu->stat.exits)
		return vcpu->pv.cut_vector;
	return NO_VECTOR;
}

bool pv_in_delivery(const struct vigil_vcpu *vcpu)
{
	return in_delivery(vcpu) != NO_VECTOR;
}

bool pv_fault_in_delivery(struct vigil_vcpu *vcpu,
			  const struct vigil_exception *e)
{
	int first = in_delivery(vcpu);

	/* #DB and #MC come behind a delivery, and keep no frame from being built. */
	if (first == NO_VECTOR || e->soft || e->vector == X86_TRAP_DB ||
	    e->vector == X86_TRAP_MC)
		return false;
	pv_frame_fault(vcpu, first, e->vector, e->error_code,
		       e->vector == X86_TRAP_PF ? e->payload : 0);
	return true;
}

void pv_frame_fault(struct vigil_vcpu *vcpu, u8 vector, u8 fault, u32 ec,
		    u64 address)
{
	end_vm(vcpu,
	       vmm_call(get_cpl)(vcpu) ? VIGIL_END_FRAME : VIGIL_END_RING0,
	       vector, fault, ec, address);
}

void pv_emulate_cut(struct vigil_vcpu *vcpu)
{
	if (vcpu->pv.cut_exit != vcpu->stat.exits)
		return;
	vcpu->pv.cut_exit = 0;
	vcpu->pv.bounce = vcpu->pv.cut_vector + 1;
}

/* May INT n of the vCPU's CPL have this vector? */
static bool takes(struct vigil_vcpu *vcpu, u8 vector)
{
	const struct pv_tables *t = vcpu->pv.tables;
	const struct pv_trap *trap = &t->traps.trap[vector];
	int cpl = vmm_call(get_cpl)(vcpu);

	/* The gate of NMIs may lead to a callback, which has no INT n. */
	return cpl && test_bit(vector, t->traps.there) && cpl <= trap->dpl &&
	       (likely(vector != X86_TRAP_NMI) ||
		pv_handler(t, vector) == trap);
}

int pv_bounce(struct vigil_vcpu *vcpu, u8 vector, unsigned int len)
{
	static const u16 ops[] = { INSN_OP_INT,	    INSN_OP_INT3,
				   INSN_OP_INTO,    INSN_OP_INT1,
				   INSN_OP_SYSCALL, INSN_OP_SYSENTER,
				   INSN_OP_NONE };
	unsigned long next = vcpu->rip + len;
	int ret;

	vcpu->stat.exits_exception++;
	/* RIP of 32-bit code wraps around at 4 GiB. */
	if (unlikely((next ^ vcpu->rip) >> 32) &&
	    vmm_call(code_bits)(vcpu) != 64)
		next = (u32)next;
	if (likely(vcpu->rflags & X86_EFLAGS_IF)) {
		event_soft(vcpu, vector, next);
		return 1;
	}
	/* VMX injects no event of that kind while IF is clear. */
	vcpu->pv.bounce = vector + 1;
	ret = exit_emulate_one_of(vcpu, ops);
	vcpu->pv.bounce = 0;
	return ret;
}

bool pv_bounce_int(struct vigil_vcpu *vcpu, u8 vector, unsigned int len,
		   int *ret)
{
	if (!takes(vcpu, vector))
		return false;
	*ret = pv_bounce(vcpu, vector, len);
	return true;
}
