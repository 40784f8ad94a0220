// SPDX-License-Identifier: GPL-2.0
/*
 * VIGIL_GET_PV and VIGIL_SET_PV: what a paravirtual guest has asked for, saved and put
 * back. The tables of the VMM are made anew from it. What comes in passes the same checks
 * as the guest's hypercalls, before anything is changed.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "vmm/exit/emulctl.h"
#include "vmm/exit/io.h"
#include "vmm/ops.h"

#define FLAGS (VIGIL_PV_TABLES | VIGIL_PV_LONG | VIGIL_PV_OWN_IOPL)

/* What the three arrays hold, in the kernel's memory. */
struct arrays {
	struct vigil_pv_trap trap[PV_VECTORS];
	u64 gdt[PV_GDT_ENTRIES];
	struct vigil_pv_trap callback[PV_CALLBACKS];
	/* of VIGIL_SET_PV, after its checks */
	struct pv_traps traps;
	DECLARE_BITMAP(fast, PV_VECTORS);
	struct pv_trap callbacks[PV_CALLBACKS];
};

/* ---- get ---- */

static void get_policy(struct vigil_vcpu *vcpu, struct vigil_pv *s)
{
	struct pv_policy p;

	if (!pv_iopl_own(vcpu, &p))
		return;
	s->flags |= VIGIL_PV_OWN_IOPL;
	s->iopl = p.iopl;
	s->refuse = p.refuse;
	s->user = p.user;
}

static struct vigil_pv_trap to_user(unsigned int vector,
				    const struct pv_trap *trap)
{
	return (struct vigil_pv_trap){
		.vector = vector,
		.flags = trap->dpl | trap->masks << 2,
		.cs = trap->cs,
		.ip = trap->ip,
	};
}

static void get_tables(struct vigil_vcpu *vcpu, struct vigil_pv *s,
		       struct arrays *a)
{
	const struct pv_tables *t = vcpu->pv.tables;
	unsigned int i;

	s->flags |= VIGIL_PV_TABLES;
	if (is_long_mode(vcpu))
		s->flags |= VIGIL_PV_LONG;
	pv_get_stack(vcpu, &s->kernel_ss, &s->kernel_sp);
	for_each_set_bit(i, t->traps.there, PV_VECTORS) {
		a->trap[s->nr_traps++] = to_user(i, &t->traps.trap[i]);
		if (test_bit(i, t->fast))
			s->fast[i / 64] |= BIT_ULL(i % 64);
	}
	for (i = 0; i < PV_GDT_GUEST_PAGES; i++)
		memcpy(a->gdt + i * PAGE_SIZE / sizeof(u64), t->page[i],
		       PAGE_SIZE);
	for (i = 0; i < PV_GDT_ENTRIES; i++)
		if (a->gdt[i])
			s->nr_gdt = i + 1;
	for (i = 0; i < PV_CALLBACKS; i++)
		if (t->callback[i].cs)
			a->callback[s->nr_callbacks++] =
				to_user(i, &t->callback[i]);
	memcpy(s->gdt_frame, t->gdt_frame, sizeof(s->gdt_frame));
}

/* -EFAULT */
static int copy_arrays(const struct vigil_pv *in, const struct vigil_pv *s,
		       const struct arrays *a)
{
	if (copy_to_user(u64_to_user_ptr(in->traps), a->trap,
			 s->nr_traps * sizeof(a->trap[0])) ||
	    copy_to_user(u64_to_user_ptr(in->gdt), a->gdt,
			 s->nr_gdt * sizeof(a->gdt[0])) ||
	    copy_to_user(u64_to_user_ptr(in->callbacks), a->callback,
			 s->nr_callbacks * sizeof(a->callback[0])))
		return -EFAULT;
	return 0;
}

static long get(struct vigil_vcpu *vcpu, struct vigil_pv *in,
		struct vigil_pv __user *user, struct arrays *a)
{
	struct vigil_pv s = {
		.size = sizeof(s),
		.traps = in->traps,
		.gdt = in->gdt,
		.callbacks = in->callbacks,
	};
	bool room;

	get_policy(vcpu, &s);
	if (pv_in_force(vcpu))
		get_tables(vcpu, &s, a);
	room = s.nr_traps <= in->nr_traps && s.nr_gdt <= in->nr_gdt &&
	       s.nr_callbacks <= in->nr_callbacks;
	if (room && copy_arrays(in, &s, a))
		return -EFAULT;
	if (copy_to_user(user, &s, sizeof(s)))
		return -EFAULT;
	return room ? 0 : -ENOSPC;
}

/* ---- set ---- */

static bool policy_valid(const struct vigil_vcpu *vcpu,
			 const struct vigil_pv *s)
{
	const struct pv_vm *pv = &vcpu->vm->pv;

	if (!(s->flags & VIGIL_PV_OWN_IOPL))
		return !s->iopl && !s->refuse && !s->user;
	return pv->flags & VIGIL_HC_PAGE && s->iopl <= pv->max_iopl &&
	       s->refuse <= VIGIL_REFUSE_FAULT && !(s->user & ~pv->user_max);
}

static bool stack_valid(const struct vigil_pv *s, bool wide)
{
	if (wide)
		return !s->kernel_ss && !pv_check_stack(1, s->kernel_sp, true);
	if (s->kernel_sp > U32_MAX)
		return false;
	/* stack_switch was not called. */
	if (!s->kernel_ss)
		return !s->kernel_sp;
	return !pv_check_stack(s->kernel_ss, s->kernel_sp, false);
}

static bool callbacks_valid(const struct vigil_pv *s, struct arrays *a)
{
	const struct vigil_pv_trap *c;
	unsigned int i;

	for (i = 0; i < s->nr_callbacks; i++) {
		c = &a->callback[i];
		if (c->pad || !c->ip || c->flags & ~4 ||
		    pv_check_callback(&a->callbacks[c->vector % PV_CALLBACKS],
				      c->vector, c->flags >> 2, c->cs, c->ip,
				      s->flags & VIGIL_PV_LONG))
			return false;
	}
	return true;
}

static bool frames_valid(const struct vigil_pv *s)
{
	unsigned int i;

	for (i = 0; i < PV_GDT_GUEST_PAGES; i++)
		if (s->gdt_frame[i] &&
		    ((s->gdt_frame[i] & ~PAGE_MASK) != PV_FRAME ||
		     s->gdt_frame[i] >> 52))
			return false;
	return true;
}

static bool tables_valid(const struct vigil_pv *s, struct arrays *a)
{
	bool wide = s->flags & VIGIL_PV_LONG;
	unsigned int i;

	for (i = 0; i < s->nr_traps; i++)
		if (a->trap[i].pad || !a->trap[i].ip ||
		    pv_add_trap(&a->traps, &a->trap[i], wide))
			return false;
	for (i = 0; i < PV_VECTORS; i++) {
		if (!(s->fast[i / 64] >> (i % 64) & 1))
			continue;
		if (!pv_may_be_fast(&a->traps, i))
			return false;
		__set_bit(i, a->fast);
	}
	return stack_valid(s, wide) && callbacks_valid(s, a) &&
	       frames_valid(s) && !pv_check_gdt(a->gdt, s->nr_gdt, wide);
}

static bool valid(const struct vigil_vcpu *vcpu, const struct vigil_pv *s,
		  struct arrays *a)
{
	if (s->pad || s->pad2 ||
	    memchr_inv(s->reserved, 0, sizeof(s->reserved)) ||
	    s->flags & ~FLAGS || !policy_valid(vcpu, s))
		return false;
	if (s->flags & VIGIL_PV_TABLES)
		return !(s->flags & VIGIL_PV_LONG) == !is_long_mode(vcpu) &&
		       tables_valid(s, a);
	return !(s->flags & VIGIL_PV_LONG) && !s->kernel_ss && !s->kernel_sp &&
	       !memchr_inv(s->fast, 0, sizeof(s->fast)) && !s->nr_traps &&
	       !s->nr_gdt && !s->nr_callbacks &&
	       !memchr_inv(s->gdt_frame, 0, sizeof(s->gdt_frame));
}

/* All was checked. 0; -EOPNOTSUPP, -ENOMEM with nothing changed. */
static int apply_tables(struct vigil_vcpu *vcpu, const struct vigil_pv *s,
			const struct arrays *a)
{
	struct pv_tables *t;
	int ret;

	if (!(s->flags & VIGIL_PV_TABLES)) {
		pv_tables_leave(vcpu);
		return 0;
	}
	if (!(vcpu->vm->pv.flags & VIGIL_HC_TRAPS))
		return -EOPNOTSUPP;
	ret = pv_tables_alloc(vcpu);
	if (ret)
		return ret;
	if (!pv_in_force(vcpu))
		pv_tables_enter(vcpu);
	t = vcpu->pv.tables;
	pv_clear_traps(vcpu);
	t->presented = a->traps;
	bitmap_copy(t->fast, a->fast, PV_VECTORS);
	pv_commit_traps(vcpu);
	pv_load_gdt(vcpu, a->gdt);
	pv_set_callbacks(vcpu, a->callbacks);
	memcpy(t->gdt_frame, s->gdt_frame, sizeof(t->gdt_frame));
	pv_set_stack(vcpu, s->kernel_ss, s->kernel_sp);
	return 0;
}

static int apply(struct vigil_vcpu *vcpu, const struct vigil_pv *s,
		 const struct arrays *a)
{
	const struct vigil_iopl iopl = {
		.iopl = s->iopl,
		.scope = VIGIL_IOPL_VCPU,
		.refuse = s->refuse,
		.user = s->user,
	};
	int ret = apply_tables(vcpu, s, a);

	if (ret)
		return ret;
	if (s->flags & VIGIL_PV_OWN_IOPL)
		pv_iopl_set(vcpu, &iopl);
	else
		pv_iopl_drop(vcpu);
	return 0;
}

static long set(struct vigil_vcpu *vcpu, const struct vigil_pv *s,
		struct arrays *a)
{
	long ret;

	if (s->nr_traps > PV_VECTORS || s->nr_gdt > PV_GDT_ENTRIES ||
	    s->nr_callbacks > PV_CALLBACKS)
		return -EINVAL;
	if (copy_from_user(a->trap, u64_to_user_ptr(s->traps),
			   s->nr_traps * sizeof(a->trap[0])) ||
	    copy_from_user(a->gdt, u64_to_user_ptr(s->gdt),
			   s->nr_gdt * sizeof(a->gdt[0])) ||
	    copy_from_user(a->callback, u64_to_user_ptr(s->callbacks),
			   s->nr_callbacks * sizeof(a->callback[0])))
		return -EFAULT;
	if (!valid(vcpu, s, a))
		return -EINVAL;
	ret = vcpu_enter(vcpu, TASK_KILLABLE);
	if (!ret)
		ret = apply(vcpu, s, a);
	/* What was under way belongs to what is replaced now. */
	if (!ret) {
		emulctl_forget(vcpu);
		io_forget(vcpu);
	}
	vcpu_leave(vcpu);
	return ret;
}

long pv_state_ioctl(struct vigil_vcpu *vcpu, unsigned int cmd,
		    struct vigil_pv __user *user)
{
	struct vigil_pv s;
	struct arrays *a;
	long ret;

	if (copy_from_user(&s, user, sizeof(s)))
		return -EFAULT;
	if (s.size != sizeof(s))
		return -EINVAL;
	a = kvzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	if (!a)
		return -ENOMEM;
	ret = cmd == VIGIL_GET_PV ? get(vcpu, &s, user, a) : set(vcpu, &s, a);
	kvfree(a);
	return ret;
}
