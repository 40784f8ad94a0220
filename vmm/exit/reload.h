/* SPDX-License-Identifier: GPL-2.0 */
/* The test-only fault of reload.c. */
#ifndef VIGIL_RELOAD_H
#define VIGIL_RELOAD_H

#include <linux/types.h>

struct vigil_vcpu;

extern bool reload_segments; /* __ro_after_init */
void reload_hidden(struct vigil_vcpu *vcpu);

#endif
