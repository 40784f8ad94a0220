// SPDX-License-Identifier: GPL-2.0
/* Who may make hypercalls: set by the VM's creator, a monitor and the guest. */
#include <linux/types.h>
#include <linux/uaccess.h>
#include <xen/interface/xen.h>

#include "internal.h"

/* Numbers that the module can answer with VIGIL_HC_TRAPS. */
#define TRAP_CALLS                                                            \
	(BIT_ULL(__HYPERVISOR_set_trap_table) |                               \
	 BIT_ULL(__HYPERVISOR_set_gdt) | BIT_ULL(__HYPERVISOR_stack_switch) | \
	 BIT_ULL(__HYPERVISOR_set_callbacks) |                                \
	 BIT_ULL(__HYPERVISOR_callback_op) |                                  \
	 BIT_ULL(__HYPERVISOR_update_descriptor) |                            \
	 BIT_ULL(__HYPERVISOR_iret) | BIT_ULL(VIGIL_HYPERVISOR_set_fast_trap))
/* Numbers that the module can answer. */
#define KERNEL_CALLS                                                        \
	(BIT_ULL(__HYPERVISOR_multicall) | BIT_ULL(__HYPERVISOR_sched_op) | \
	 BIT_ULL(VIGIL_HYPERVISOR_set_hypercall_iopl) | TRAP_CALLS)
/* Numbers that no user mode may ever call. */
static u64 never_user(u32 flags)
{
	return BIT_ULL(VIGIL_HYPERVISOR_set_hypercall_iopl) |
	       (flags & VIGIL_HC_TRAPS ? TRAP_CALLS : 0);
}

#define PREFIXES (VIGIL_HC_FEP_XEN | VIGIL_HC_FEP_KVM)

void pv_vm_init(struct vigil_vm *vm)
{
	seqlock_init(&vm->pv.lock);
}

/* Has the vCPU a policy of its own, set since the VM's was? */
static bool has_own(const struct vigil_vcpu *vcpu)
{
	return vcpu->pv.own && vcpu->pv.generation == vcpu->vm->pv.generation;
}

struct pv_policy pv_policy(struct vigil_vcpu *vcpu)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	struct pv_policy p;
	unsigned int seq;

	do {
		seq = read_seqbegin(&pv->lock);
		p = has_own(vcpu) ? vcpu->pv.policy : pv->policy;
	} while (read_seqretry(&pv->lock, seq));
	return p;
}

int pv_iopl_check(const struct vigil_vcpu *vcpu, const struct vigil_iopl *arg)
{
	const struct pv_vm *pv = &vcpu->vm->pv;

	if (arg->iopl > 3 || arg->scope > VIGIL_IOPL_VM ||
	    arg->refuse > VIGIL_REFUSE_FAULT ||
	    memchr_inv(arg->pad, 0, sizeof(arg->pad)))
		return -EINVAL;
	if (arg->iopl > pv->max_iopl || arg->user & ~pv->user_max)
		return -EPERM;
	return 0;
}

void pv_iopl_set(struct vigil_vcpu *vcpu, const struct vigil_iopl *arg)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	const struct pv_policy p = {
		.user = arg->user,
		.iopl = arg->iopl,
		.refuse = arg->refuse,
	};

	write_seqlock(&pv->lock);
	pv->nr_open -= has_own(vcpu) && vcpu->pv.policy.iopl;
	vcpu->pv.own = arg->scope == VIGIL_IOPL_VCPU;
	if (vcpu->pv.own) {
		vcpu->pv.policy = p;
		vcpu->pv.generation = pv->generation;
		pv->nr_open += !!p.iopl;
	} else {
		pv->policy = p;
	}
	write_sequnlock(&pv->lock);
}

bool pv_iopl_own(struct vigil_vcpu *vcpu, struct pv_policy *p)
{
	bool own;

	read_seqlock_excl(&vcpu->vm->pv.lock);
	own = has_own(vcpu);
	*p = vcpu->pv.policy;
	read_sequnlock_excl(&vcpu->vm->pv.lock);
	return own;
}

void pv_iopl_drop(struct vigil_vcpu *vcpu)
{
	struct pv_vm *pv = &vcpu->vm->pv;

	write_seqlock(&pv->lock);
	pv->nr_open -= has_own(vcpu) && vcpu->pv.policy.iopl;
	vcpu->pv.own = false;
	write_sequnlock(&pv->lock);
}

int pv_iopl_get(struct vigil_vcpu *vcpu, struct vigil_iopl *arg)
{
	struct pv_vm *pv = &vcpu->vm->pv;
	struct pv_policy p;

	if (arg->scope > VIGIL_IOPL_VM)
		return -EINVAL;
	if (arg->scope == VIGIL_IOPL_VCPU) {
		p = pv_policy(vcpu);
	} else {
		read_seqlock_excl(&pv->lock);
		p = pv->policy;
		read_sequnlock_excl(&pv->lock);
	}
	*arg = (struct vigil_iopl){
		.iopl = p.iopl,
		.scope = arg->scope,
		.refuse = p.refuse,
		.user = p.user,
	};
	return 0;
}

/* ---- ioctls ---- */

/* Called under pv->lock. */
static void get(const struct pv_vm *pv, struct vigil_hypercalls *h)
{
	unsigned int i;

	*h = (struct vigil_hypercalls){
		.flags = pv->flags,
		.msr = pv->msr,
		.max_iopl = pv->max_iopl,
		.iopl = pv->policy.iopl,
		.refuse = pv->policy.refuse,
		.kernel = pv->kernel,
		.user = pv->policy.user,
		.user_max = pv->user_max,
	};
	/* Other bits are page.c's own. */
	for (i = 0; i < VIGIL_HC_PAGES; i++)
		h->page[i] = pv->page[i] &
			     (PAGE_MASK | VIGIL_HC_ASKED | VIGIL_HC_BY_INT82);
}

static bool pages_valid(const struct vigil_hypercalls *h)
{
	u64 bits = VIGIL_HC_ASKED |
		   (h->flags & VIGIL_HC_INT82 ? VIGIL_HC_BY_INT82 : 0);
	unsigned int i;

	for (i = 0; i < VIGIL_HC_PAGES; i++) {
		if (!h->page[i])
			continue;
		if (!h->msr || !(h->page[i] & VIGIL_HC_ASKED) ||
		    (h->page[i] & ~PAGE_MASK & ~bits) || h->page[i] >> 52)
			return false;
	}
	return true;
}

static bool valid(const struct vigil_hypercalls *h)
{
	return !(h->flags & ~(VIGIL_HC_PAGE | VIGIL_HC_EXIT_XEN |
			      VIGIL_HC_INT82 | VIGIL_HC_TRAPS | PREFIXES)) &&
	       /* nothing but prefixes without the hypercalls themselves */
	       (h->flags & VIGIL_HC_PAGE ||
		(!(h->flags & ~PREFIXES) && !h->msr && !h->max_iopl &&
		 !h->kernel && !h->user_max)) &&
	       (!h->msr || h->msr >> 16 == 0x4000) && h->max_iopl <= 3 &&
	       h->iopl <= h->max_iopl && h->refuse <= VIGIL_REFUSE_FAULT &&
	       !memchr_inv(h->pad, 0, sizeof(h->pad)) &&
	       !(h->kernel & ~KERNEL_CALLS) &&
	       (h->flags & VIGIL_HC_TRAPS || !(h->kernel & TRAP_CALLS)) &&
	       !(h->user & ~h->user_max) &&
	       !(h->user_max & never_user(h->flags)) && pages_valid(h) &&
	       !memchr_inv(h->reserved, 0, sizeof(h->reserved));
}

/* Do they differ in what is the creator's alone? */
static bool creators_differ(const struct vigil_hypercalls *a,
			    const struct vigil_hypercalls *b)
{
	return a->flags != b->flags || a->msr != b->msr ||
	       a->max_iopl != b->max_iopl || a->kernel != b->kernel ||
	       a->user_max != b->user_max;
}

/* @creator: vm->lock is held, so no vCPU comes meanwhile. */
static int set(struct vigil_vm *vm, const struct vigil_hypercalls *h,
	       bool creator)
{
	struct pv_vm *pv = &vm->pv;
	struct vigil_hypercalls now;
	int ret = 0;

	write_seqlock(&pv->lock);
	get(pv, &now);
	if (creators_differ(h, &now)) {
		if (!creator)
			ret = -EPERM;
		else if (vm->nr_vcpus)
			ret = -EBUSY;
		if (ret)
			goto out;
		pv->flags = h->flags;
		pv->msr = h->msr;
		pv->max_iopl = h->max_iopl;
		pv->kernel = h->kernel;
		pv->user_max = h->user_max;
	}
	pv->policy = (struct pv_policy){
		.user = h->user,
		.iopl = h->iopl,
		.refuse = h->refuse,
	};
	/* No vCPU has a policy of its own any more. */
	pv->generation++;
	pv->nr_open = 0;
	if (creator)
		memcpy(pv->page, h->page, sizeof(pv->page));
out:
	write_sequnlock(&pv->lock);
	return ret;
}

long pv_ioctl(struct vigil_vm *vm, unsigned int cmd,
	      struct vigil_hypercalls __user *user, bool creator)
{
	struct vigil_hypercalls h;
	int ret;

	if (cmd == VIGIL_GET_HYPERCALLS) {
		read_seqlock_excl(&vm->pv.lock);
		get(&vm->pv, &h);
		read_sequnlock_excl(&vm->pv.lock);
		return copy_to_user(user, &h, sizeof(h)) ? -EFAULT : 0;
	}
	if (copy_from_user(&h, user, sizeof(h)))
		return -EFAULT;
	if (!valid(&h))
		return -EINVAL;
	/* A monitor does not wait for what the VMM's process does under vm->lock. */
	if (!creator)
		return set(vm, &h, false);
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	ret = set(vm, &h, true);
	mutex_unlock(&vm->lock);
	return ret;
}
