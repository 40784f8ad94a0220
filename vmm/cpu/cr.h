/* SPDX-License-Identifier: GPL-2.0 */
/* Control and debug registers: what a guest's access to one does. */
#ifndef VIGIL_CR_H
#define VIGIL_CR_H

#include <linux/types.h>

struct vigil_vcpu;

/* 0, or -EINVAL: #GP, nothing changed. */
int cr8_set(struct vigil_vcpu *vcpu, unsigned long val);
/* any of them by number; -EINVAL: #GP; -ENODEV: #UD */
int cr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int cr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* -EINVAL: #GP; -ENODEV: #UD */
int dr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int dr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* CR0, CR4, EFER as a set, as SET_SREGS presents them */
bool cr_consistent(struct vigil_vcpu *vcpu, unsigned long cr0,
		   unsigned long cr4, u64 efer);

/* DR6 with nothing reported, DR7 with nothing enabled */
#define DR6_NONE 0xffff0ff0ul
#define DR7_NONE 0x400ul
#define DR7_ENABLES 0xfful

/*
 * Right before an entry, IRQs off: the guest's breakpoints, which the control
 * block's DR7 arms, and none of the host's while they are being changed
 */
void dr_load(struct vigil_vcpu *vcpu);

#endif
