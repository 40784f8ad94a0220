// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercalls by which a guest's kernel names the handlers of its traps, and what
 * they need: set_trap_table, set_gdt, update_descriptor, stack_switch, set_fast_trap. Each
 * argument is copied whole, checked whole, and then takes effect as a whole.
 */
#include <linux/types.h>
#include <xen/interface/xen.h>

#include "internal.h"
#include "vmm/ops.h"

#define TI_DPL 3
#define TI_MASKS 4 /* events are masked in the handler */
#define TI_FLAGS 7

#define SEL_RPL 3
#define SEL_TI 4
/* Selectors from here on are the VMM's. */
#define SEL_RESERVED 0xe000

/*
 * What a handler may be is decided here, once. Whether its segment is there is found
 * when a trap comes.
 */
int pv_check_code(u16 cs, u64 ip, bool wide)
{
	u16 flat = pv_flat_code(wide);

	if ((cs & (SEL_TI | SEL_RPL)) != 1 ||
	    (cs >= SEL_RESERVED && cs != flat))
		return -EPERM;
	/* Guests with such tables have four levels. */
	if (wide && !gva_canonical(ip, 48))
		return -EINVAL;
	return 0;
}

int pv_add_trap(struct pv_traps *to, const struct vigil_pv_trap *info,
		bool wide)
{
	int ret;

	if (info->flags & ~TI_FLAGS || pv_vector_is_ours(info->vector))
		return -EINVAL;
	ret = pv_check_code(info->cs, info->ip, wide);
	if (ret)
		return ret;
	to->trap[info->vector] = (struct pv_trap){
		.ip = info->ip,
		.cs = info->cs,
		.dpl = info->flags & TI_DPL,
		.masks = info->flags & TI_MASKS,
	};
	__set_bit(info->vector, to->there);
	return 0;
}

bool pv_may_be_fast(const struct pv_traps *traps, u64 vector)
{
	/*
	 * The exceptions of the CPU are not: their handlers would find CR2 only in
	 * ring 0, and INT n pushes no error code.
	 */
	return vector < PV_VECTORS && !pv_vector_is_ours(vector) &&
	       (vector >= 32 || vector == X86_TRAP_BP ||
		vector == X86_TRAP_OF) &&
	       test_bit(vector, traps->there);
}

int pv_check_stack(u64 ss, u64 sp, bool wide)
{
	if (ss > U16_MAX || (ss & (SEL_TI | SEL_RPL)) != 1)
		return -EPERM;
	return wide && !gva_canonical(sp, 48) ? -EINVAL : 0;
}

/* Reads entry @n of the caller's table. Returns as pv_copy_in(). */
static int read_entry(struct vigil_vcpu *vcpu, const struct pv_call *call,
		      unsigned int n, struct vigil_pv_trap *info)
{
	struct {
		u8 vector;
		u8 flags;
		u16 cs;
		u32 address;
	} narrow;
	int ret;

	if (call->wide)
		return pv_copy_in(vcpu, call->arg[0] + n * sizeof(*info), info,
				  sizeof(*info));
	ret = pv_copy_in(vcpu, call->arg[0] + n * sizeof(narrow), &narrow,
			 sizeof(narrow));
	*info = (struct vigil_pv_trap){
		.vector = narrow.vector,
		.flags = narrow.flags,
		.cs = narrow.cs,
		.ip = narrow.address,
	};
	return ret;
}

/* Copies the table, and checks it. An entry with address 0 ends it. */
static int read_table(struct vigil_vcpu *vcpu, const struct pv_call *call,
		      struct pv_traps *to)
{
	struct vigil_pv_trap info;
	unsigned int n;
	int ret;

	bitmap_zero(to->there, PV_VECTORS);
	for (n = 0; n <= PV_VECTORS; n++) {
		ret = read_entry(vcpu, call, n, &info);
		if (ret)
			return ret;
		if (!info.ip)
			return 0;
		ret = pv_add_trap(to, &info, call->wide);
		if (ret)
			return ret;
	}
	return -EINVAL;
}

void pv_clear_traps(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;
	unsigned int vector;

	for_each_set_bit(vector, t->traps.there, PV_VECTORS) {
		__clear_bit(vector, t->traps.there);
		__clear_bit(vector, t->fast);
		pv_write_gate(vcpu, vector);
	}
}

void pv_commit_traps(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;
	unsigned int vector;

	for_each_set_bit(vector, t->presented.there, PV_VECTORS) {
		t->traps.trap[vector] = t->presented.trap[vector];
		__set_bit(vector, t->traps.there);
		pv_write_gate(vcpu, vector);
	}
}

/* ---- set_trap_table ---- */

static int commit_table(struct vigil_vcpu *vcpu)
{
	if (!pv_in_force(vcpu))
		pv_tables_enter(vcpu);
	pv_commit_traps(vcpu);
	return 0;
}

static int tell_table(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	const struct pv_tables *t = vcpu->pv.tables;
	DECLARE_BITMAP(fast, PV_VECTORS) = { 0 };

	if (pv_in_force(vcpu))
		bitmap_copy(fast, t->fast, PV_VECTORS);
	return pv_tell_traps(vcpu, told, t->presented.there, &t->presented,
			     fast);
}

static const struct pv_change change_table = {
	.control = VIGIL_CONTROL_TRAP_TABLE,
	.commit = commit_table,
	.tell = tell_table,
};

static int commit_clear(struct vigil_vcpu *vcpu)
{
	pv_clear_traps(vcpu);
	return 0;
}

static int tell_clear(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	const struct pv_tables *t = vcpu->pv.tables;

	return pv_tell_traps(vcpu, told, t->traps.there, NULL, t->fast);
}

static const struct pv_change change_clear = {
	.control = VIGIL_CONTROL_TRAP_TABLE,
	.commit = commit_clear,
	.tell = tell_clear,
};

static int set_trap_table(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	struct pv_vcpu *pv = &vcpu->pv;
	int ret;

	if (!call->arg[0])
		return pv_in_force(vcpu) ?
			       pv_change(vcpu, call, &change_clear) :
			       0;
	/* The width of the gates is that of the guest's kernel. */
	if (call->wide != is_long_mode(vcpu))
		return -EOPNOTSUPP;
	ret = pv_tables_alloc(vcpu);
	if (ret)
		return ret;
	pv_mem_begin(vcpu);
	ret = read_table(vcpu, call, &pv->tables->presented);
	if (!ret && !pv_in_force(vcpu))
		ret = pv_copy_own_gdt(vcpu);
	return ret ? ret : pv_change(vcpu, call, &change_table);
}

/* ---- set_fast_trap ---- */

static int commit_fast(struct vigil_vcpu *vcpu)
{
	struct pv_tables *t = vcpu->pv.tables;
	u64 vector = vcpu->pv.arg.vector;

	if (vector) {
		__set_bit(vector, t->fast);
		pv_write_gate(vcpu, vector);
		return 0;
	}
	for_each_set_bit(vector, t->fast, PV_VECTORS) {
		__clear_bit(vector, t->fast);
		pv_write_gate(vcpu, vector);
	}
	return 0;
}

static int tell_fast(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	const struct pv_tables *t = vcpu->pv.tables;
	DECLARE_BITMAP(fast, PV_VECTORS) = { 0 };

	if (vcpu->pv.arg.vector) {
		bitmap_copy(fast, t->fast, PV_VECTORS);
		__set_bit(vcpu->pv.arg.vector, fast);
	}
	return pv_tell_traps(vcpu, told, t->traps.there, &t->traps, fast);
}

static const struct pv_change change_fast = {
	.control = VIGIL_CONTROL_FAST_TRAP,
	.commit = commit_fast,
	.tell = tell_fast,
};

/* set_fast_trap(vector); 0: no trap is fast any more. */
static int set_fast_trap(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	u64 vector = call->arg[0];

	if (!pv_in_force(vcpu) ||
	    (vector && !pv_may_be_fast(&vcpu->pv.tables->traps, vector)))
		return -EINVAL;
	vcpu->pv.arg.vector = vector;
	return pv_change(vcpu, call, &change_fast);
}

/* ---- stack_switch ---- */

static int commit_stack(struct vigil_vcpu *vcpu)
{
	pv_set_stack(vcpu, vcpu->pv.arg.stack.ss, vcpu->pv.arg.stack.sp);
	return 0;
}

static int tell_stack(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	const u64 new_[2] = { vcpu->pv.arg.stack.ss, vcpu->pv.arg.stack.sp };
	u64 old[2];
	u16 ss;

	pv_get_stack(vcpu, &ss, &old[1]);
	old[0] = ss;
	pv_tell(told, old, new_, sizeof(old));
	return 0;
}

static const struct pv_change change_stack = {
	.control = VIGIL_CONTROL_STACK,
	.commit = commit_stack,
	.tell = tell_stack,
};

static int stack_switch(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	u64 ss = call->arg[0], sp = call->arg[1];
	int ret = -EINVAL;

	if (pv_in_force(vcpu))
		ret = pv_check_stack(ss, sp, call->wide);
	if (ret)
		return ret;
	vcpu->pv.arg.stack.ss = ss;
	vcpu->pv.arg.stack.sp = sp;
	return pv_change(vcpu, call, &change_stack);
}

/* ---- set_gdt ---- */

static int tell_gdt(struct vigil_vcpu *vcpu, struct pv_told *told)
{
	pv_tell_gdt(vcpu, vcpu->pv.gdt, vcpu->pv.arg.gdt.entries, told);
	return 0;
}

static const struct pv_change change_gdt = {
	.control = VIGIL_CONTROL_GDT,
	.commit = pv_commit_gdt,
	.tell = tell_gdt,
};

/* set_gdt(frames, entries) */
static int set_gdt(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	u64 frames[PV_GDT_GUEST_PAGES], entries = call->arg[1];
	unsigned int i, n, bytes = call->wide ? 8 : 4;
	int ret;

	if (!pv_in_force(vcpu) || entries > PV_GDT_ENTRIES)
		return -EINVAL;
	memset(frames, 0, sizeof(frames));
	n = DIV_ROUND_UP(entries * sizeof(u64), PAGE_SIZE);
	pv_mem_begin(vcpu);
	for (i = 0; i < n; i++) {
		ret = pv_copy_in(vcpu, call->arg[0] + i * bytes, &frames[i],
				 bytes);
		if (ret)
			return ret;
	}
	ret = pv_copy_gdt(vcpu, frames, entries);
	return ret ? ret : pv_change(vcpu, call, &change_gdt);
}

/* ---- update_descriptor ---- */

static const struct pv_change change_descriptor = {
	.control = VIGIL_CONTROL_GDT,
	.commit = pv_commit_descriptor,
	.tell = pv_tell_descriptor,
};

/* update_descriptor(guest-physical address, descriptor), in two words each for 32 bits */
static int update_descriptor(struct vigil_vcpu *vcpu,
			     const struct pv_call *call)
{
	u64 at = call->arg[0], desc = call->arg[1];
	int ret;

	if (!call->wide) {
		at |= call->arg[1] << 32;
		desc = call->arg[2] | call->arg[3] << 32;
	}
	if (!pv_in_force(vcpu))
		return -EINVAL;
	vcpu->pv.arg.desc.gpa = at;
	vcpu->pv.arg.desc.value = desc;
	ret = pv_check_descriptor(vcpu);
	return ret ? ret : pv_change(vcpu, call, &change_descriptor);
}

int pv_trap_call(struct vigil_vcpu *vcpu, const struct pv_call *call)
{
	switch (call->nr) {
	case __HYPERVISOR_set_trap_table:
		return set_trap_table(vcpu, call);
	case __HYPERVISOR_set_gdt:
		return set_gdt(vcpu, call);
	case __HYPERVISOR_stack_switch:
		return stack_switch(vcpu, call);
	case VIGIL_HYPERVISOR_set_fast_trap:
		return set_fast_trap(vcpu, call);
	case __HYPERVISOR_set_callbacks:
		return pv_set_callbacks_call(vcpu, call);
	case __HYPERVISOR_callback_op:
		return pv_callback_op(vcpu, call);
	case __HYPERVISOR_update_descriptor:
		return update_descriptor(vcpu, call);
	case __HYPERVISOR_iret:
		/* What a multicall has left to do would be lost. */
		return pv_in_force(vcpu) && !vcpu->pv.multi ? CALL_IRET :
							      -EINVAL;
	}
	return CALL_TO_USER;
}
