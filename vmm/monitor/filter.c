// SPDX-License-Identifier: GPL-2.0
/*
 * The conditions of a watch: copied from its monitor, asked for each write, shared
 * between the watch and its ranges in the trees.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "filter.h"
#include "monitor.h"
#include "view.h"
#include "vmm/mem/gmem.h"
#include "vmm/ops.h"

static_assert(sizeof(struct vigil_condition) == 72);

struct watch_filter *filter_copy(const struct vigil_watch *w)
{
	const void __user *user = (void __user *)(unsigned long)w->conditions;
	struct watch_filter *f;
	unsigned int i;
	int ret = -EFAULT;

	if (w->conditions != (unsigned long)w->conditions || w->pad ||
	    (w->conditions && !w->nr_conditions))
		return ERR_PTR(-EINVAL);
	if (w->nr_conditions > VIGIL_MAX_CONDITIONS)
		return ERR_PTR(-E2BIG);
	if (!w->nr_conditions)
		return NULL;
	f = kzalloc(struct_size(f, condition, w->nr_conditions),
		    GFP_KERNEL_ACCOUNT);
	if (!f)
		return ERR_PTR(-ENOMEM);
	refcount_set(&f->users, 1);
	f->count = w->nr_conditions;
	f->at = w->start;
	if (copy_from_user(f->condition, user,
			   f->count * sizeof(f->condition[0])))
		goto free;
	ret = -EINVAL;
	for (i = 0; i < f->count; i++) {
		if (!condition_valid(&f->condition[i], w))
			goto free;
		f->tests |= f->condition[i].tests;
		f->mask |= f->condition[i].mask;
	}
	return f;
free:
	kfree(f);
	return ERR_PTR(ret);
}

struct watch_filter *filter_get(struct watch_filter *f)
{
	if (f)
		refcount_inc(&f->users);
	return f;
}

void filter_put(struct watch_filter *f)
{
	if (f && refcount_dec_and_test(&f->users))
		kfree(f);
}

/* Where the store begins, in the addresses that the range has. */
static u64 store_start(const struct watch_range *r,
		       const struct watch_store *st)
{
	return r->linear ? st->gva : st->gpa;
}

/* Reads what the guest has at a linear address now, in one page; rights aside. */
static int read_linear(struct vigil_vcpu *vcpu, u64 gva, void *buf,
		       unsigned int len)
{
	const struct gva_space space = {
		.cr0 = vcpu->cr0,
		.cr3 = vcpu->cr3,
		.cr4 = vcpu->cr4,
		.efer = vcpu->efer,
	};
	u64 gpa, left;
	int ret;

	ret = mview_translate(vcpu->vm, &space, gva, &gpa, &left);
	return ret ?: gmem_read(vcpu->vm, gpa, buf, len);
}

/*
 * The first bytes of the watch as they will be. Where the store does not give all
 * bits of f->mask, memory has the rest. False: it has not.
 */
static bool read_value(struct vigil_vcpu *vcpu, const struct watch_range *r,
		       const struct watch_store *st, bool may_sleep, u64 *value)
{
	const struct watch_filter *f = r->filter;
	/* Where the guest sees the same bytes beside those that it stores. */
	u64 at = f->at + r->shift, start = store_start(r, st);
	u64 rest = f->mask & ~condition_stored(at, start, st->len);
	unsigned int first, last;
	u64 memory = 0;
	u8 *to;
	int ret;

	if (rest) {
		if (!may_sleep)
			return false;
		first = __ffs64(rest) / 8;
		last = (fls64(rest) - 1) / 8;
		to = (u8 *)&memory + first;
		ret = r->linear ? read_linear(vcpu, f->at + first, to,
					      last - first + 1) :
				  gmem_read(vcpu->vm, f->at + first, to,
					    last - first + 1);
		if (ret)
			return false;
	}
	*value = condition_value(memory, at, start, st->len, st->new_);
	return true;
}

unsigned int filter_first(struct vigil_vcpu *vcpu, const struct watch_range *r,
			  const struct watch_store *st, bool may_sleep)
{
	const struct watch_filter *f = r->filter;
	struct condition_state s = {
		.rip = vcpu->rip,
		.cr3 = vcpu->cr3,
		.vcpu = vcpu->index,
		.cpl = f->tests & VIGIL_COND_CPL ? vmm_call(get_cpl)(vcpu) : 0,
	};

	if (f->tests & VIGIL_COND_VALUE)
		s.value_known = read_value(vcpu, r, st, may_sleep, &s.value);
	if (f->tests & VIGIL_COND_CHANGED)
		s.changed = condition_changed(r->where.start, r->where.last,
					      store_start(r, st), st->len,
					      st->old, st->new_);
	return condition_first(f->condition, f->count, &s);
}
