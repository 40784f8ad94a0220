/* SPDX-License-Identifier: GPL-2.0 */
/* Stores of x87 and SSE state in code of three widths. */
#include "payload.h"
#include "fpu.h"

#define BITS 16
#include "fpu.inc"
#undef BITS
#define BITS 32
#include "fpu.inc"
#undef BITS
#define BITS 64
#include "fpu.inc"
#undef BITS
