/* SPDX-License-Identifier: GPL-2.0 */
/* The MMU notifier: which host pages may be mapped for a guest. */
#ifndef VIGIL_NOTIFIER_H
#define VIGIL_NOTIFIER_H

#include "vmm/vm.h"

extern const struct mmu_notifier_ops gmem_notifier_ops;

/*
 * From the first call to the second, no page of [start, end) is mapped for the
 * guest.
 */
void gmem_block_range(struct vigil_vm *vm, hva_t start, hva_t end);
void gmem_unblock_range(struct vigil_vm *vm);

/*
 * [s] Must the fault be retried? selftests/models/notifier.pml explores this.
 */
static inline bool vm_notify_retry(struct vigil_vm *vm, unsigned long seq,
				   hva_t hva)
{
	if (vm->notify_count && hva >= vm->notify_start && hva < vm->notify_end)
		return true;
	/* Pairs with smp_wmb() in unblock_range(). */
	smp_rmb();
	return vm->notify_seq != seq;
}

#endif
