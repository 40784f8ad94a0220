/* SPDX-License-Identifier: GPL-2.0 */
/* Control and debug registers: what a guest's access to one does. */
#ifndef VIGIL_CR_H
#define VIGIL_CR_H

#include <linux/types.h>

struct vigil_vcpu;

/* Writes CR8. 0; -EINVAL: #GP, nothing has changed. */
int cr8_set(struct vigil_vcpu *vcpu, unsigned long val);
/* Writes a control register by its number. -EINVAL: #GP; -ENODEV: #UD. */
int cr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int cr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/*
 * What would cr_set() say of CR0, CR3 or CR4? Nothing is changed; *@val becomes what the
 * register would have.
 */
int cr_check(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* Writes a debug register. -EINVAL: #GP; -ENODEV: #UD. */
int dr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val);
int dr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val);
/* Do CR0, CR4 and EFER fit together, as SET_SREGS gives them? */
bool cr_consistent(struct vigil_vcpu *vcpu, unsigned long cr0,
		   unsigned long cr4, u64 efer);

/* DR6 with no event reported, DR7 with no breakpoint enabled. */
#define DR6_NONE 0xffff0ff0ul
#define DR7_NONE 0x400ul
#define DR7_ENABLES 0xfful
/* General detect: DR7.GD makes MOV DR raise #DB, which sets DR6.BD. */
#define DR6_BD (1ul << 13)
#define DR7_GD (1ul << 13)

/*
 * Right before an entry, IRQs off: loads the guest's breakpoint addresses,
 * which DR7 of the control block enables. The host's breakpoints are disabled
 * while these change.
 */
void dr_load(struct vigil_vcpu *vcpu);

#endif
