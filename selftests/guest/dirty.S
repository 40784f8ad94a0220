/* SPDX-License-Identifier: GPL-2.0 */
/* The guest of dirty/log.c, which writes. */
#include "payload.h"

#define do_read		NAME(do_read)
#define do_write	NAME(do_write)
#define do_rmw		NAME(do_rmw)
#define do_string	NAME(do_string)
#define do_push		NAME(do_push)
#define do_cmpxchg	NAME(do_cmpxchg)

#define BITS 32
#include "dirty.inc"
#undef BITS
#define BITS 64
#include "dirty.inc"
