/* SPDX-License-Identifier: GPL-2.0 */
/* How capability checks read the CPU: pure, so that tests can show them any CPU. */
#ifndef VIGIL_VMM_READER_H
#define VIGIL_VMM_READER_H

#ifdef __KERNEL__
#include <linux/errno.h>
#else
#include <errno.h>
#endif

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

/**
 * struct reader_hide - a name that svm_hide= or vmx_hide= may have
 * @name:	the name; several rows may have the same one
 * @offset:	of a bool among the capabilities that it switches off
 */
struct reader_hide {
	const char *name;
	size_t offset;
};

/**
 * reader_hide() - switch off the capabilities that a list of names says
 * @caps:	what @rows' offsets are in
 * @rows:	the names there are; "all" is every one of them
 * @nr_rows:	how many
 * @names:	a list with commas
 *
 * Return: 0; -EINVAL: a name is unknown, nothing was changed.
 */
static inline int reader_hide(void *caps, const struct reader_hide *rows,
			      size_t nr_rows, const char *names)
{
	const char *name;
	size_t i, len;
	int write;

	for (write = 0; write < 2; write++) {
		for (name = names; *name; name += len, name += *name == ',') {
			bool all, known = false;

			len = strcspn(name, ",");
			all = len == 3 && !memcmp(name, "all", 3);
			for (i = 0; i < nr_rows; i++) {
				if (!all && (strlen(rows[i].name) != len ||
					     memcmp(name, rows[i].name, len)))
					continue;
				known = true;
				if (write)
					*((bool *)((char *)caps +
						   rows[i].offset)) = false;
			}
			if (!known)
				return -EINVAL;
		}
	}
	return 0;
}

#endif
