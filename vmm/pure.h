/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure parts of vigil need of their surroundings (the instruction
 * decoder and emulator, the guest page-table walker, the SPTE helpers).  They
 * compile in the kernel and, for unit tests, sanitizers and fuzzing, in
 * userspace.
 */
#ifndef VIGIL_VMM_PURE_H
#define VIGIL_VMM_PURE_H

#ifdef __KERNEL__

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>

#else /* userspace */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#ifndef __ro_after_init
#define __ro_after_init
#endif

#ifndef noinline
#define noinline __attribute__((__noinline__))
#endif

#ifndef BIT
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK_ULL(h, l) ((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#endif

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

#ifndef fallthrough
#define fallthrough __attribute__((__fallthrough__))
#endif

#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))
#endif

#ifndef READ_ONCE
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#endif

#endif /* __KERNEL__ */

/* Copies an operand. A call of memcpy() costs more than the usual sizes do. */
static inline void copy_operand(void *to, const void *from, unsigned int bytes)
{
	if (likely(bytes == 8))
		memcpy(to, from, 8);
	else if (bytes == 4)
		memcpy(to, from, 4);
	else if (bytes == 1)
		memcpy(to, from, 1);
	else
		memcpy(to, from, bytes);
}

#endif /* VIGIL_VMM_PURE_H */
