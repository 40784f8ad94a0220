// SPDX-License-Identifier: GPL-2.0
/*
 * Monitors are told of what a guest's kernel changes about its traps, and may refuse it.
 * A hypercall has been checked, and what it changes is in the kernel's memory, when the
 * monitor is asked: what it was shown takes effect, whatever the guest does meanwhile.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "internal.h"
#include "vmm/insn/decode.h"
#include "vmm/ops.h"

/* ---- what is told ---- */

void pv_tell(struct pv_told *told, const void *old, const void *new_,
	     unsigned int len)
{
	memcpy(told->old, old, len);
	memcpy(told->new_, new_, len);
	told->count = 1;
	told->len = len;
}

/* A vector as VIGIL_GET_PV tells it, and whether it is fast. */
static struct vigil_pv_trap told_trap(const struct pv_traps *traps,
				      const unsigned long *fast,
				      unsigned int vector)
{
	struct vigil_pv_trap t = { .vector = vector };
	const struct pv_trap *trap;

	if (!traps || !test_bit(vector, traps->there))
		return t;
	trap = &traps->trap[vector];
	t.flags = trap->dpl | trap->masks << 2;
	if (test_bit(vector, fast))
		t.flags |= VIGIL_TRAP_FAST;
	t.cs = trap->cs;
	t.ip = trap->ip;
	return t;
}

void pv_tell_trap(struct pv_told *told, const struct vigil_pv_trap *old,
		  const struct vigil_pv_trap *new_)
{
	if (!memcmp(old, new_, sizeof(*old)))
		return;
	if (told->len < sizeof(told->old)) {
		memcpy(told->old + told->len, old, sizeof(*old));
		memcpy(told->new_ + told->len, new_, sizeof(*new_));
		told->len += sizeof(*old);
	}
	if (!told->count)
		told->first = new_->vector;
	told->count++;
}

int pv_tell_traps(struct vigil_vcpu *vcpu, struct pv_told *told,
		  const unsigned long *vectors, const struct pv_traps *traps,
		  const unsigned long *fast)
{
	const struct pv_tables *t = vcpu->pv.tables;
	/* Handlers of an earlier time do not count while the guest's own tables do. */
	const struct pv_traps *now = pv_in_force(vcpu) ? &t->traps : NULL;
	struct vigil_pv_trap old, new_;
	unsigned int vector;

	if (!vcpu->pv.told)
		vcpu->pv.told =
			kvcalloc(PV_VECTORS, sizeof(new_), GFP_KERNEL_ACCOUNT);
	if (!vcpu->pv.told)
		return -ENOMEM;
	for_each_set_bit(vector, vectors, PV_VECTORS) {
		old = told_trap(now, t->fast, vector);
		new_ = told_trap(traps, fast, vector);
		vcpu->pv.told[told->count] = new_;
		pv_tell_trap(told, &old, &new_);
	}
	told->all = vcpu->pv.told;
	told->all_len = told->count * sizeof(new_);
	return 0;
}

void pv_tell_gdt(struct vigil_vcpu *vcpu, const u64 *gdt, unsigned int entries,
		 struct pv_told *told)
{
	const unsigned int per_page = PAGE_SIZE / sizeof(u64);
	unsigned int i, n;
	const u64 *now;

	for (i = 0; i < PV_GDT_ENTRIES; i++) {
		now = vcpu->pv.tables->page[i / per_page];
		if (now[i % per_page] != gdt[i] && !told->count++)
			told->first = i;
	}
	/* Those of the same page as the first one. */
	i = told->first;
	n = min_t(unsigned int, per_page - i % per_page,
		  sizeof(told->old) / sizeof(u64));
	now = vcpu->pv.tables->page[i / per_page];
	told->len = n * sizeof(u64);
	memcpy(told->old, now + i % per_page, told->len);
	memcpy(told->new_, gdt + i, told->len);
	told->all = gdt;
	told->all_len = entries * sizeof(u64);
}

/* ---- the verdict ---- */

void pv_drop_change(struct vigil_vcpu *vcpu)
{
	kvfree(vcpu->pv.gdt);
	vcpu->pv.gdt = NULL;
	kvfree(vcpu->pv.told);
	vcpu->pv.told = NULL;
}

int pv_settle_change(struct vigil_vcpu *vcpu, enum watch_answer answer)
{
	int ret = -EPERM;

	if (answer == WATCH_GO)
		ret = vcpu->pv.change->commit(vcpu);
	pv_drop_change(vcpu);
	return ret;
}

int pv_ask(struct vigil_vcpu *vcpu, const struct pv_call *call,
	   const struct pv_change *change)
{
	struct pv_told told = { 0 };
	struct watch_control control = { .nr = change->control };
	struct watch_store st = {
		.old = told.old,
		.new_ = told.new_,
		.control = &control,
	};
	enum watch_answer answer;
	int ret;

	ret = change->tell(vcpu, &told);
	if (ret) {
		pv_drop_change(vcpu);
		return ret;
	}
	st.len = told.len;
	control.call = call->nr;
	control.first = told.first;
	control.count = told.count;
	control.all = told.all;
	control.all_len = told.all_len;
	vcpu->pv.change = change;
	answer = watch_change(vcpu, &st);
	return answer == WATCH_HELD ? CALL_HELD :
				      pv_settle_change(vcpu, answer);
}

/* ---- instructions that would load tables ---- */

void pv_tell_load(struct vigil_vcpu *vcpu, const struct insn *insn)
{
	struct watch_control control = {
		.nr = VIGIL_CONTROL_TABLE_LOAD,
		.count = 1,
		.refused = true,
		.insn = insn,
	};
	const struct watch_store st = {
		.old = "",
		.new_ = "",
		.control = &control,
	};

	/*
	 * User code has never loaded tables: it is not to fill the monitor's queue, in
	 * which there would be no room for what the kernel does.
	 */
	if (!watch_controls(vcpu->vm, VIGIL_CONTROL_TABLE_LOAD) ||
	    vmm_call(get_cpl)(vcpu) > pv_kernel_ring(vcpu))
		return;
	switch (insn->op) {
	case INSN_OP_LIDT:
		control.first = VIGIL_TABLE_IDT;
		break;
	case INSN_OP_LGDT:
		control.first = VIGIL_TABLE_GDT;
		break;
	case INSN_OP_LLDT:
		control.first = VIGIL_TABLE_LDT;
		break;
	case INSN_OP_LTR:
		control.first = VIGIL_TABLE_TR;
		break;
	default:
		return;
	}
	watch_change(vcpu, &st);
}
