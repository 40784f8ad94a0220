// SPDX-License-Identifier: GPL-2.0
/* Which SVM features the CPU has. Pure. */
#ifdef __KERNEL__
#include <linux/errno.h>
#else
#include <errno.h>
#endif

#include "caps.h"

#define CPUID_EXT_MAX 0x80000000u
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_HYPERVISOR 0x40000000u
#define CPUID_EXT_SIZES 0x80000008u
#define CPUID_SVM 0x8000000au

#define MSR_VM_CR_ADDR 0xc0010114u
#define VM_CR_SVMDIS BIT(4)

enum { EAX, EBX, ECX, EDX };

int svm_caps_check(const struct host_reader *rd, const char **why)
{
	u32 r[4], max;
	u64 vm_cr;

	rd->cpuid(CPUID_EXT_MAX, 0, r);
	max = r[EAX];
	/* A CPU without extended leaves answers with its last basic leaf. */
	if (max < CPUID_EXT_FEATURES || max > 0x8000ffffu) {
		*why = "the CPU has no AMD SVM (no CPUID leaf 80000001)";
		return -EOPNOTSUPP;
	}
	rd->cpuid(CPUID_EXT_FEATURES, 0, r);
	if (!(r[ECX] & BIT(2))) {
		*why = "the CPU has no AMD SVM (CPUID 80000001 ECX bit 2)";
		return -EOPNOTSUPP;
	}
	if (!(r[EDX] & BIT(29))) {
		*why = "the CPU has no long mode (CPUID 80000001 EDX bit 29)";
		return -EOPNOTSUPP;
	}
	if (!(r[EDX] & BIT(20))) {
		*why = "the CPU has no NX (CPUID 80000001 EDX bit 20): switch it on in the firmware";
		return -EOPNOTSUPP;
	}
	if (max < CPUID_SVM) {
		*why = "the CPU does not describe its SVM (no CPUID leaf 8000000A)";
		return -EOPNOTSUPP;
	}
	/*
	 * A CPU without MSR VM_CR (some emulated ones) has no switch that could
	 * be off.
	 */
	if (rd->rdmsr(MSR_VM_CR_ADDR, &vm_cr))
		vm_cr = 0;
	if (vm_cr & VM_CR_SVMDIS) {
		*why = "SVM is disabled by the firmware (MSR VM_CR bit SVMDIS): switch on \"SVM mode\" in its setup";
		return -EPERM;
	}
	rd->cpuid(CPUID_SVM, 0, r);
	if (r[EBX] < 2) {
		*why = "SVM has no ASID for guests (CPUID 8000000A EBX)";
		return -EOPNOTSUPP;
	}
	return 0;
}

void svm_caps_read(const struct host_reader *rd, struct svm_caps *caps)
{
	u32 r[4];

	rd->cpuid(CPUID_SVM, 0, r);
	/* Holes between members are compared, too: see svm_caps_same(). */
	memset(caps, 0, sizeof(*caps));
	caps->nasid = r[EBX];
	caps->nrips = r[EDX] & BIT(3);
	caps->tsc_rate = r[EDX] & BIT(4);
	caps->vmcb_clean = r[EDX] & BIT(5);
	caps->flush_by_asid = r[EDX] & BIT(6);
	caps->decode_assists = r[EDX] & BIT(7);
	rd->cpuid(CPUID_EXT_SIZES, 0, r);
	caps->rdpru = r[EBX] & BIT(4);
	rd->cpuid(0, 0, r);
	if (r[EAX] >= 7) {
		rd->cpuid(7, 0, r);
		caps->invpcid = r[EBX] & BIT(10);
	}
	rd->cpuid(1, 0, r);
	if (r[ECX] & BIT(31)) {
		/* The signature of QEMU's TCG is "TCGTCGTCGTCG". */
		rd->cpuid(CPUID_HYPERVISOR, 0, r);
		caps->inject_by_virq = r[EBX] == 0x54474354 &&
				       r[ECX] == 0x43544743 &&
				       r[EDX] == 0x47435447;
	}
}

bool svm_caps_same(const struct host_reader *rd, const struct svm_caps *caps)
{
	struct svm_caps here;
	const char *why;

	if (svm_caps_check(rd, &why))
		return false;
	svm_caps_read(rd, &here);
	return !memcmp(&here, caps, sizeof(here));
}

int svm_caps_hide(struct svm_caps *caps, const char *names)
{
	static const struct reader_hide rows[] = {
		{ "nrips", offsetof(struct svm_caps, nrips) },
		{ "decode", offsetof(struct svm_caps, decode_assists) },
		{ "flushbyasid", offsetof(struct svm_caps, flush_by_asid) },
		{ "vmcbclean", offsetof(struct svm_caps, vmcb_clean) },
	};

	return reader_hide(caps, rows, ARRAY_SIZE(rows), names);
}
