/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of paging/access.c, which makes accesses that the test orders; for
 * 32- and 64-bit paging.
 */
#include "payload.h"
#include "access.h"

#define next_batch	NAME(next_batch)
#define the_end		NAME(the_end)
#define command		NAME(command)
#define to_user		NAME(to_user)
#define done		NAME(done)

#define BITS 32
#include "access.inc"
#undef BITS
#define BITS 64
#include "access.inc"
