/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of paravirtual guests share. */
#ifndef SELFTESTS_PV_H
#define SELFTESTS_PV_H

#include <sys/ioctl.h>

#include <vigil.h>

#include "guest.h"

/* Makes a VM with this policy and one vCPU in @mode; skips where that cannot be. */
static inline struct vcpu *pv_start(enum mode mode,
				    const struct vigil_hypercalls *h)
{
	struct vm *vm;
	struct vcpu *v;

	if (test_on_kvm())
		SKIP("the hypercalls of paravirtual guests are vigil's");
	if (!dev_has_mode(mode))
		SKIP("no %s mode on this CPU", mode_name[mode]);
	if (mode == M_VM86 && test_without_vm86())
		SKIP("Bochs 2.7 dies of an exit from VM86 to long mode");
	vm = vm_create(4 << 20);
	REQUIRE_EQ(ioctl(vm->fd, VIGIL_SET_HYPERCALLS, h), 0);
	v = vcpu_create(vm);
	vcpu_set_mode(v, mode);
	return v;
}

#endif
