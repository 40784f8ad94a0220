/* SPDX-License-Identifier: GPL-2.0 */
/* A look at the host's page tables. */
#ifndef VIGIL_HOSTPTE_H
#define VIGIL_HOSTPTE_H

#include "vmm/types.h"

struct mm_struct;

/**
 * host_pte_writable() - the page frame that the VMM has mapped at @hva
 * @mm:		of the VMM; the caller sees to it that it stays
 * @hva:	user address in it
 * @pfn:	result
 *
 * Finds only what is mapped writable and is dirty already: nothing has to be
 * told to the host's memory management then, neither now nor when the guest
 * writes, until the MMU notifier takes the page away. Takes no reference and
 * does not sleep: for users of the notifier protocol.
 *
 * Tables are freed after an interrupt has reached every CPU that may look at
 * them, or by RCU: neither happens with interrupts off.
 */
bool host_pte_writable(struct mm_struct *mm, hva_t hva, unsigned long *pfn);

#endif
