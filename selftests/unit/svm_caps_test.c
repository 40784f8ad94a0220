// SPDX-License-Identifier: GPL-2.0
/* svm/caps.c on CPUs that no emulator offers. */
#include <errno.h>
#include <string.h>

/* The checks are pure, so nothing else is linked. */
#include "../../svm/caps.c"
#include "unit.h"

/* A CPU with everything. Each case takes something away. */
static struct cpu {
	u32 ext_max, ecx1, edx1, nasid, svm_edx, ebx7, ebx8, basic_max;
	const char *hypervisor; /* 12 characters, NULL: the bare machine */
	u64 vm_cr;
	int vm_cr_err;
} cpu;

static const struct cpu complete = {
	.ext_max = 0x80000020,
	.ecx1 = 1 << 2,
	.edx1 = 1 << 29 | 1 << 20,
	.nasid = 16,
	.svm_edx = 0xf8,
	.ebx7 = 1 << 10,
	.ebx8 = 1 << 4,
	.basic_max = 13,
};

static unsigned int bad_reads;

static void fake_cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(*r));
	switch (leaf) {
	case 0:
		r[EAX] = cpu.basic_max;
		break;
	case 1:
		r[ECX] = cpu.hypervisor ? 1u << 31 : 0;
		break;
	case 0x40000000:
		if (!cpu.hypervisor) {
			bad_reads++;
			break;
		}
		memcpy(&r[EBX], cpu.hypervisor, 12);
		break;
	case 7:
		if (cpu.basic_max < 7 || subleaf)
			bad_reads++;
		r[EBX] = cpu.ebx7;
		break;
	case 0x80000000:
		r[EAX] = cpu.ext_max;
		break;
	case 0x80000001:
		r[ECX] = cpu.ecx1;
		r[EDX] = cpu.edx1;
		break;
	case 0x80000008:
		r[EBX] = cpu.ebx8;
		break;
	case 0x8000000a:
		r[EAX] = 1;
		r[EBX] = cpu.nasid;
		r[EDX] = cpu.svm_edx;
		break;
	default:
		bad_reads++;
	}
}

static int fake_rdmsr(u32 msr, u64 *value)
{
	/* The MSR only exists where CPUID reports SVM. */
	if (msr != 0xc0010114 || !(cpu.ecx1 & 4)) {
		bad_reads++;
		return -EIO;
	}
	if (cpu.vm_cr_err)
		return cpu.vm_cr_err;
	*value = cpu.vm_cr;
	return 0;
}

static const struct host_reader reader = { fake_cpuid, fake_rdmsr };

/* Checks the answer, and that the reason has the word. */
static void check(const char *what, int want, const char *word)
{
	const char *why = NULL;
	int ret = svm_caps_check(&reader, &why);

	unit_result(ret == want && (!want ? !why : why && strstr(why, word)),
		    "svm caps: %s: %d, %s", what, ret, why ? why : "no reason");
	cpu = complete;
}

static void check_refusals(void)
{
	check("complete CPU", 0, NULL);
	cpu.ext_max = 0;
	check("no extended leaves", -EOPNOTSUPP, "80000001");
	cpu.ext_max = 0x00000d00;
	check("basic leaf echoed for an extended one", -EOPNOTSUPP, "80000001");
	cpu.ext_max = 0xffffffff;
	check("absurd number of leaves", -EOPNOTSUPP, "80000001");
	cpu.ecx1 = 0;
	check("no SVM", -EOPNOTSUPP, "ECX bit 2");
	cpu.edx1 &= ~(1u << 29);
	check("no long mode", -EOPNOTSUPP, "long mode");
	cpu.edx1 &= ~(1u << 20);
	check("no NX", -EOPNOTSUPP, "NX");
	cpu.ext_max = 0x80000008;
	check("no SVM leaf", -EOPNOTSUPP, "8000000A");
	cpu.vm_cr_err = -EIO;
	check("no VM_CR, as in Bochs", 0, NULL);
	cpu.vm_cr = 1 << 4;
	check("SVMDIS", -EPERM, "SVMDIS");
	cpu.vm_cr = 1 << 4 | 1 << 3;
	check("SVMDIS and locked", -EPERM, "SVMDIS");
	cpu.vm_cr = 1 << 3;
	check("locked, but on", 0, NULL);
	cpu.nasid = 1;
	check("one ASID", -EOPNOTSUPP, "ASID");
	cpu.nasid = 0;
	check("no ASID", -EOPNOTSUPP, "ASID");
	cpu.nasid = 2;
	check("two ASIDs", 0, NULL);
	cpu.svm_edx = 0;
	check("no optional feature", 0, NULL);
}

static void check_optional(void)
{
	struct svm_caps c;

	svm_caps_read(&reader, &c);
	unit_result(c.nasid == 16 && c.nrips && c.decode_assists &&
			    c.flush_by_asid && c.vmcb_clean && c.tsc_rate &&
			    c.invpcid && c.rdpru,
		    "svm caps: all read");
	cpu.svm_edx = 1 << 3;
	svm_caps_read(&reader, &c);
	unit_result(c.nrips && !c.decode_assists && !c.flush_by_asid &&
			    !c.vmcb_clean && !c.tsc_rate,
		    "svm caps: next RIP alone");
	cpu.svm_edx = 1 << 5;
	svm_caps_read(&reader, &c);
	unit_result(c.vmcb_clean && !c.nrips && !c.flush_by_asid,
		    "svm caps: clean bits alone");
	cpu.svm_edx = 1 << 6;
	svm_caps_read(&reader, &c);
	unit_result(c.flush_by_asid && !c.vmcb_clean && !c.decode_assists,
		    "svm caps: flush by ASID alone");
	cpu.svm_edx = 1 << 7;
	svm_caps_read(&reader, &c);
	unit_result(c.decode_assists && !c.flush_by_asid,
		    "svm caps: decode assists alone");
	cpu = complete;
	cpu.basic_max = 6;
	svm_caps_read(&reader, &c);
	unit_result(!c.invpcid, "svm caps: leaf 7 is not read where it is not");
	cpu = complete;
	svm_caps_read(&reader, &c);
	unit_result(!c.inject_by_virq, "svm caps: a bare machine is no TCG");
	cpu.hypervisor = "TCGTCGTCGTCG";
	svm_caps_read(&reader, &c);
	unit_result(c.inject_by_virq, "svm caps: TCG is known");
	cpu.hypervisor = "KVMKVMKVM\0\0\0";
	svm_caps_read(&reader, &c);
	unit_result(!c.inject_by_virq, "svm caps: KVM is no TCG");
	cpu = complete;
}

static void check_hide(void)
{
	static const struct {
		const char *names;
		int ret;
		bool nrips, decode, flush, clean;
	} t[] = {
		{ "", 0, true, true, true, true },
		{ "nrips", 0, false, true, true, true },
		{ "decode", 0, true, false, true, true },
		{ "flushbyasid", 0, true, true, false, true },
		{ "vmcbclean", 0, true, true, true, false },
		{ "nrips,vmcbclean", 0, false, true, true, false },
		{ "all", 0, false, false, false, false },
		{ "nrips,", 0, false, true, true, true },
		{ "nrip", -EINVAL, true, true, true, true },
		{ "nripsx", -EINVAL, true, true, true, true },
		{ "decode,what", -EINVAL, true, true, true, true },
		{ ",", -EINVAL, true, true, true, true },
	};
	struct svm_caps c;
	unsigned int i;
	int ret;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		svm_caps_read(&reader, &c);
		ret = svm_caps_hide(&c, t[i].names);
		unit_result(ret == t[i].ret && c.nrips == t[i].nrips &&
				    c.decode_assists == t[i].decode &&
				    c.flush_by_asid == t[i].flush &&
				    c.vmcb_clean == t[i].clean,
			    "svm caps: svm_hide=%s: %d", t[i].names, ret);
	}
}

static void differs(const struct svm_caps *c, const char *what)
{
	unit_result(!svm_caps_same(&reader, c), "svm caps: %s", what);
	cpu = complete;
}

/*
 * CPUs of one machine are compared, and everything that is read of them counts.
 */
static void check_same(void)
{
	struct svm_caps c;

	svm_caps_read(&reader, &c);
	unit_result(svm_caps_same(&reader, &c), "svm caps: the same CPU");
	cpu.svm_edx &= ~(1u << 3);
	differs(&c, "a CPU without next RIP");
	cpu.nasid = 8;
	differs(&c, "a CPU with fewer ASIDs");
	cpu.vm_cr = 1 << 4;
	differs(&c, "a CPU where SVM is disabled");
}

int main(void)
{
	cpu = complete;
	check_refusals();
	check_optional();
	check_hide();
	check_same();
	unit_result(!bad_reads,
		    "svm caps: nothing is read that may not be there");
	return unit_end();
}
