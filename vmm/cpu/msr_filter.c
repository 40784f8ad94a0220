// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's filter of MSRs. A VM without one costs its guest nothing. With one, every
 * MSR of the guest exits: the vendor looks at vm->msr_filter when it chooses its map.
 */
#include <linux/compat.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "msr_filter.h"
#include "vmm/vcpu.h"

#define RANGE_FLAGS (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)

struct msr_range {
	u32 flags; /* KVM_MSR_FILTER_READ, _WRITE: what the range decides about */
	u32 base, n;
	unsigned long *allowed; /* a bit for each MSR */
};

struct msr_filter {
	struct rcu_head rcu;
	bool deny; /* the filter denies what no range decides about */
	unsigned int n;
	struct msr_range range[KVM_MSR_FILTER_MAX_RANGES];
};

static void filter_free(struct msr_filter *f)
{
	unsigned int i;

	if (!f)
		return;
	for (i = 0; i < f->n; i++)
		kfree(f->range[i].allowed);
	kfree(f);
}

static void filter_free_rcu(struct rcu_head *rcu)
{
	filter_free(container_of(rcu, struct msr_filter, rcu));
}

void msr_filter_free(struct vigil_vm *vm)
{
	filter_free(rcu_dereference_protected(vm->msr_filter, true));
}

bool msr_filter_denies(struct vigil_vm *vm, u32 msr, bool write)
{
	u32 what = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ;
	const struct msr_filter *f;
	unsigned int i;

	/* The registers of an x2APIC are never filtered, as in KVM. */
	if (msr >> 8 == 8)
		return false;
	f = srcu_dereference(vm->msr_filter, &vm->srcu);
	if (!f)
		return false;
	/* The first range decides that has the MSR and is about this access. */
	for (i = 0; i < f->n; i++) {
		const struct msr_range *r = &f->range[i];

		if (msr - r->base < r->n && (r->flags & what))
			return !test_bit(array_index_nospec(msr - r->base,
							    r->n),
					 r->allowed);
	}
	return f->deny;
}

static int filter_add(struct msr_filter *f,
		      const struct kvm_msr_filter_range *u)
{
	size_t bytes = BITS_TO_LONGS(u->nmsrs) * sizeof(long);
	struct msr_range *r = &f->range[f->n];
	unsigned long *bits;

	if (!u->nmsrs)
		return 0;
	if (u->flags & ~RANGE_FLAGS || !u->flags ||
	    bytes > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
		return -EINVAL;
	bits = memdup_user((const void __user *)u->bitmap, bytes);
	if (IS_ERR(bits))
		return PTR_ERR(bits);
	*r = (struct msr_range){
		.flags = u->flags,
		.base = u->base,
		.n = u->nmsrs,
		.allowed = bits,
	};
	f->n++;
	return 0;
}

static int copy_filter(struct kvm_msr_filter *u, const void __user *user,
		       bool compat)
{
	struct compat_msr_filter c;
	unsigned int i;

	if (!compat)
		return copy_from_user(u, user, sizeof(*u)) ? -EFAULT : 0;
	if (copy_from_user(&c, user, sizeof(c)))
		return -EFAULT;
	u->flags = c.flags;
	for (i = 0; i < ARRAY_SIZE(c.ranges); i++)
		u->ranges[i] = (struct kvm_msr_filter_range){
			.flags = c.ranges[i].flags,
			.nmsrs = c.ranges[i].nmsrs,
			.base = c.ranges[i].base,
			.bitmap =
				(__u8 __force *)compat_ptr(c.ranges[i].bitmap),
		};
	return 0;
}

/* NULL: everything is allowed. */
static struct msr_filter *make_filter(const struct kvm_msr_filter *u)
{
	struct msr_filter *f;
	unsigned int i;
	int ret = 0;

	if (u->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return ERR_PTR(-EINVAL);
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->deny = u->flags & KVM_MSR_FILTER_DEFAULT_DENY;
	for (i = 0; i < ARRAY_SIZE(u->ranges) && !ret; i++)
		ret = filter_add(f, &u->ranges[i]);
	/* A guest without any MSR would be a mistake. */
	if (!ret && f->deny && !f->n)
		ret = -EINVAL;
	if (ret || !f->n) {
		filter_free(f);
		return ERR_PTR(ret);
	}
	return f;
}

long msr_filter_set(struct vigil_vm *vm, void __user *user, bool compat)
{
	struct kvm_msr_filter *u;
	struct msr_filter *f;
	int ret;

	u = kzalloc(sizeof(*u), GFP_KERNEL);
	if (!u)
		return -ENOMEM;
	ret = copy_filter(u, user, compat);
	f = ret ? ERR_PTR(ret) : make_filter(u);
	kfree(u);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (mutex_lock_killable(&vm->lock)) {
		filter_free(f);
		return -EINTR;
	}
	f = rcu_replace_pointer(vm->msr_filter, f, lockdep_is_held(&vm->lock));
	/* The vCPUs choose their maps anew before they next enter. */
	vigil_request_all(vm, REQ_MSR_MAP, true);
	mutex_unlock(&vm->lock);
	if (f)
		call_srcu(&vm->srcu, &f->rcu, filter_free_rcu);
	return 0;
}
