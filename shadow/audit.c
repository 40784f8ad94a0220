// SPDX-License-Identifier: GPL-2.0
#include "internal.h"

#ifndef VIGIL_DEBUG
int shadow_audit(struct vigil_vm *vm)
{
	return 0;
}

void shadow_audit_entry(struct vigil_vcpu *vcpu)
{
}

void shadow_audit_flushed(struct vigil_vcpu *vcpu)
{
}
#endif
