/* SPDX-License-Identifier: GPL-2.0 */
/* Port I/O in code of three widths, and its permission checks. */
#include "payload.h"

#define BITS 16
#include "io.inc"
#undef BITS
#define BITS 32
.purgem string_io
#include "io.inc"
#undef BITS
#define BITS 64
.purgem string_io
#include "io.inc"
