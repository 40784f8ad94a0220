// SPDX-License-Identifier: GPL-2.0
/*
 * Monitors are told of what a guest's kernel changes about its CPU, and may refuse it.
 * While a control is watched, the instructions that write it exit and are emulated, all
 * but WRMSR. The emulator logs what it has read: an instruction that was held runs again
 * with the same operands, so what the monitor was shown takes effect.
 */
#include <asm/processor-flags.h>

#include "control.h"
#include "emulctl.h"
#include "vmm/cpu/cr.h"
#include "vmm/cpu/msr.h"
#include "vmm/insn/decode.h"
#include "vmm/ops.h"

/* What a task switch changes is in the middle of it: it cannot be held nor undone. */
static bool by_task_switch(const struct vigil_vcpu *vcpu)
{
	switch (vcpu->emul.insn.op) {
	case INSN_OP_MOV_TO_CR:
	case INSN_OP_LMSW:
	case INSN_OP_CLTS:
	case INSN_OP_LIDT:
	case INSN_OP_LGDT:
	case INSN_OP_LLDT:
	case INSN_OP_LTR:
		return false;
	}
	return true;
}

/* Asks about a change that the emulator is about to make. */
static enum watch_answer ask(struct vigil_vcpu *vcpu, unsigned int nr,
			     const void *old, const void *new_,
			     unsigned int len)
{
	const struct watch_control control = {
		.nr = nr,
		.count = 1,
		.forced = by_task_switch(vcpu),
		.insn = &vcpu->emul.insn,
	};
	const struct watch_store st = {
		.len = len,
		.old = old,
		.new_ = new_,
		.control = &control,
	};
	enum watch_answer answer;

	if (control.forced)
		return watch_change(vcpu, &st);
	/* An instruction has one change, and is asked about once, however often it runs. */
	if (vcpu->change == CHANGE_GO)
		return WATCH_GO;
	if (vcpu->change == CHANGE_SKIP)
		return WATCH_SKIP;
	if (vcpu->change == CHANGE_GP)
		return WATCH_GP;
	answer = watch_change(vcpu, &st);
	vcpu->change = answer == WATCH_HELD ? CHANGE_ASKED :
		       answer == WATCH_GO   ? CHANGE_GO :
					      CHANGE_SKIP;
	return answer;
}

enum watch_answer control_cr(struct vigil_vcpu *vcpu, unsigned int nr,
			     unsigned long val)
{
	const unsigned int control = nr == 0 ? VIGIL_CONTROL_CR0 :
				     nr == 3 ? VIGIL_CONTROL_CR3 :
					       VIGIL_CONTROL_CR4;
	unsigned long now = 0, changed;
	u64 old, new_ = val;

	cr_get(vcpu, nr, &now);
	changed = now ^ val;
	/* Kernels switch the FPU from task to task by TS. */
	if (nr == 0)
		changed &= ~X86_CR0_TS;
	if (!changed)
		return WATCH_GO;
	old = now;
	return ask(vcpu, control, &old, &new_, sizeof(old));
}

enum watch_answer control_dtable(struct vigil_vcpu *vcpu, bool idt,
				 const struct kvm_dtable *dt)
{
	struct vigil_table old = { 0 },
			   new_ = { .base = dt->base, .limit = dt->limit };
	struct kvm_dtable now;

	(idt ? vmm_ops->get_idt : vmm_ops->get_gdt)(vcpu, &now);
	old.base = now.base;
	old.limit = now.limit;
	if (!memcmp(&old, &new_, sizeof(old)))
		return WATCH_GO;
	return ask(vcpu, idt ? VIGIL_CONTROL_IDTR : VIGIL_CONTROL_GDTR, &old,
		   &new_, sizeof(old));
}

static struct vigil_table table_of(const struct kvm_segment *s)
{
	return (struct vigil_table){
		.base = s->base,
		.limit = s->limit,
		.selector = s->selector,
	};
}

enum watch_answer control_sys_seg(struct vigil_vcpu *vcpu, bool tr,
				  const struct kvm_segment *s)
{
	struct vigil_table old, new_ = table_of(s);
	struct kvm_segment now;

	vmm_ops->get_segment(vcpu, tr ? SEG_TR : SEG_LDTR, &now);
	old = table_of(&now);
	if (!memcmp(&old, &new_, sizeof(old)) && now.unusable == s->unusable)
		return WATCH_GO;
	return ask(vcpu, tr ? VIGIL_CONTROL_TR : VIGIL_CONTROL_LDTR, &old,
		   &new_, sizeof(old));
}

enum watch_answer control_msr(struct vigil_vcpu *vcpu, u32 msr, u64 value)
{
	const struct watch_control control = {
		.nr = VIGIL_CONTROL_MSR,
		.first = msr,
		.count = 1,
	};
	u64 old;
	const struct watch_store st = {
		.len = sizeof(value),
		.old = &old,
		.new_ = &value,
		.control = &control,
	};

	/* The caller's write faults then. */
	if (!watch_has(vcpu->vm, &control) || msr_check(vcpu, msr, &value) ||
	    msr_get(vcpu, msr, &old, false))
		return WATCH_GO;
	return old == value ? WATCH_GO : watch_change(vcpu, &st);
}

enum watch_answer control_call(struct vigil_vcpu *vcpu, u64 nr,
			       const u64 arg[6])
{
	const struct watch_control control = {
		.nr = VIGIL_CONTROL_HYPERCALL,
		.call = nr,
		.count = 1,
	};
	static const u64 none[6];
	const struct watch_store st = {
		.len = sizeof(none),
		.old = none,
		.new_ = arg,
		.control = &control,
	};

	if (nr > U32_MAX || !watch_has(vcpu->vm, &control))
		return WATCH_GO;
	return watch_change(vcpu, &st);
}

int control_settle(struct vigil_vcpu *vcpu,
		   int (*again)(struct vigil_vcpu *vcpu))
{
	enum watch_answer answer;
	int ret = emulctl_verdict(vcpu, again, NULL, &answer);

	if (ret == 1)
		vcpu->change = answer == WATCH_GO ? CHANGE_GO :
			       answer == WATCH_GP ? CHANGE_GP :
						    CHANGE_SKIP;
	return ret;
}
