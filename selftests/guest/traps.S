/* SPDX-License-Identifier: GPL-2.0 */
/* Kernels in ring 1 and their users in ring 3, for tests in pv/. */
#include "payload.h"
#include "traps.h"

#define BITS 32
#include "traps.inc"
#undef BITS
#define BITS 64
#include "traps.inc"
