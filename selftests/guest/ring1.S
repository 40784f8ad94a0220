/* SPDX-License-Identifier: GPL-2.0 */
/* Kernels in ring 1, for pv/ring1.c and pv/iret.c. */
#include "payload.h"

#define BITS 32
#include "ring1.inc"
#undef BITS
#define BITS 64
#include "ring1.inc"
