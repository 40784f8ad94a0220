// SPDX-License-Identifier: GPL-2.0
/* hvm_op: parameters of the guest, and by what it is told of events. */
#include "internal.h"

#define CALLBACK_TYPE(value) ((value) >> 56)
#define NR_LINES 16 /* of the machine's interrupt controllers */
#define FIRST_VECTOR 16 /* those below are the CPU's */

/* What Xen lets a guest see of its parameters, and what it lets it set. */
static bool may_get(uint32_t index)
{
	switch (index) {
	case HVM_PARAM_CALLBACK_IRQ:
	case HVM_PARAM_STORE_PFN:
	case HVM_PARAM_STORE_EVTCHN:
	case HVM_PARAM_CONSOLE_PFN:
	case HVM_PARAM_CONSOLE_EVTCHN:
	case HVM_PARAM_VM86_TSS:
	case HVM_PARAM_VM86_TSS_SIZED:
	case HVM_PARAM_ACPI_IOPORTS_LOCATION:
	case HVM_PARAM_VM_GENERATION_ID_ADDR:
	case HVM_PARAM_X87_FIP_WIDTH:
		return true;
	}
	return false;
}

static bool may_set(uint32_t index)
{
	switch (index) {
	case HVM_PARAM_CALLBACK_IRQ:
	case HVM_PARAM_VM86_TSS:
	case HVM_PARAM_VM86_TSS_SIZED:
	case HVM_PARAM_ACPI_IOPORTS_LOCATION:
	case HVM_PARAM_VM_GENERATION_ID_ADDR:
		return true;
	}
	return false;
}

static int set_callback(struct xen_domain *d, const struct xen_call *c,
			uint64_t value)
{
	enum xen_callback how = XEN_CALLBACK_NONE;
	unsigned int nr = value & 0xff;

	switch (CALLBACK_TYPE(value)) {
	case HVM_PARAM_CALLBACK_TYPE_GSI:
		if ((uint32_t)value >= NR_LINES)
			return -XEN_EINVAL;
		if (nr)
			how = XEN_CALLBACK_LINE;
		break;
	case HVM_PARAM_CALLBACK_TYPE_VECTOR:
		if (nr < FIRST_VECTOR)
			return -XEN_EINVAL;
		how = XEN_CALLBACK_VECTOR;
		break;
	default: /* there is no PCI */
		return -XEN_EINVAL;
	}
	if (d->callback == XEN_CALLBACK_LINE)
		d->ops->set_irq(d->ctx, d->callback_nr, false);
	d->callback = how;
	d->callback_nr = nr;
	d->wide = c->wide;
	return 0;
}

static int64_t param(struct xen_domain *d, const struct xen_call *c, bool set)
{
	struct xen_hvm_param p;
	int ret = 0;

	if (xen_copy_in(d, c, &p, c->arg[1], sizeof(p)))
		return -XEN_EFAULT;
	if (!xen_is_self(p.domid))
		return -XEN_ESRCH;
	if (p.index >= HVM_NR_PARAMS)
		return -XEN_EINVAL;
	if (!(set ? may_set(p.index) : may_get(p.index)))
		return -XEN_EPERM;
	if (!set) {
		p.value = d->params[p.index];
		return xen_copy_out(d, c, c->arg[1], &p, sizeof(p));
	}
	if (p.index == HVM_PARAM_CALLBACK_IRQ)
		ret = set_callback(d, c, p.value);
	if (!ret)
		d->params[p.index] = p.value;
	return ret;
}

static int64_t set_upcall_vector(struct xen_domain *d, const struct xen_call *c)
{
	struct xen_hvm_evtchn_upcall_vector v;

	if (xen_copy_in(d, c, &v, c->arg[1], sizeof(v)))
		return -XEN_EFAULT;
	if (v.vector < FIRST_VECTOR)
		return -XEN_EINVAL;
	if (v.vcpu)
		return -XEN_ENOENT;
	return set_callback(d, c,
			    (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 |
				    v.vector);
}

int64_t xen_hvm_op(struct xen_domain *d, const struct xen_call *c)
{
	struct xen_hvm_get_time t;

	switch (c->arg[0]) {
	case HVMOP_set_param:
		return param(d, c, true);
	case HVMOP_get_param:
		return param(d, c, false);
	case HVMOP_get_time:
		t.now = xen_system_time(d);
		return xen_copy_out(d, c, c->arg[1], &t, sizeof(t));
	case HVMOP_set_evtchn_upcall_vector:
		return set_upcall_vector(d, c);
	}
	return -XEN_ENOSYS;
}
