/* SPDX-License-Identifier: GPL-2.0 */
/* How capability checks read the CPU: pure, so that tests can show them any CPU. */
#ifndef VIGIL_VMM_READER_H
#define VIGIL_VMM_READER_H

#include "pure.h"

/**
 * struct host_reader - CPUID and MSRs of a CPU, real or made up
 * @cpuid:	CPUID leaf/subleaf into @r (eax, ebx, ecx, edx)
 * @rdmsr:	0, or -EIO when the MSR faults
 */
struct host_reader {
	void (*cpuid)(u32 leaf, u32 subleaf, u32 r[4]);
	int (*rdmsr)(u32 msr, u64 *value);
};

/* the @len bytes at @name, of a list with commas, are the string @known */
static inline bool reader_name_is(const char *name, size_t len,
				  const char *known)
{
	return strlen(known) == len && !memcmp(name, known, len);
}

#endif
