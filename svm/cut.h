/* SPDX-License-Identifier: GPL-2.0 */
/* Which event was being delivered. Pure: also compiled in userspace, for its test. */
#ifndef VIGIL_SVM_CUT_H
#define VIGIL_SVM_CUT_H

#include "vmm/cpu/cut.h"
#include "vmcb.h"

/**
 * svm_cut() - the event whose delivery the exit cut short
 * @c:		the VMCB after the exit
 * @injected:	EVENTINJ of the entry, 0: none
 * @virq:	V_IRQ carried an interrupt
 * @vector:	result: the event's vector
 */
enum cut_short svm_cut(const struct vmcb_control *c, u32 injected, bool virq,
		       u8 *vector);

#endif
