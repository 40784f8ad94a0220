// SPDX-License-Identifier: GPL-2.0
/* vmx/caps.c on CPUs that no emulator offers. */
#include <errno.h>
#include <string.h>

/* The checks are pure, so nothing else is linked. */
#include "../../vmx/caps.c"
#include "unit.h"

#define ALL 0xffffffffull

/* A CPU with everything. Each case takes something away. */
static struct cpu {
	u32 ecx1, edx81;
	u64 feature_control, basic;
	int feature_control_err;
	/* Bits that may be 1, and bits that must be. */
	u32 may[NR_GROUPS], must[NR_GROUPS];
	u32 may2;
	u64 ept_vpid;
} cpu;

static const struct cpu complete = {
	.ecx1 = 1 << 5,
	.edx81 = 1 << 29 | 1 << 20,
	.feature_control = 5,
	.basic = 0x12 | 1024ull << 32 | 6ull << 50 | BASIC_TRUE,
	.may = { ALL, ALL, ALL, ALL },
	.must = { 0x16, 0x0401e172, 0x00036dff, 0x000011ff },
	.may2 = ALL,
	.ept_vpid = ~0ull,
};

static unsigned int bad_reads;

static void fake_cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(*r));
	if (leaf == 1)
		r[ECX] = cpu.ecx1;
	else if (leaf == CPUID_EXT_FEATURES)
		r[EDX] = cpu.edx81;
	else
		bad_reads++;
}

static int fake_rdmsr(u32 msr, u64 *value)
{
	unsigned int g;

	/* The MSRs only exist where CPUID reports VMX. */
	if (!(cpu.ecx1 & 1 << 5)) {
		bad_reads++;
		return -EIO;
	}
	switch (msr) {
	case FEATURE_CONTROL:
		*value = cpu.feature_control;
		return cpu.feature_control_err;
	case VMX_BASIC:
		*value = cpu.basic;
		return 0;
	case VMX_CPU2:
		if (!(cpu.may[G_CPU] & CPU_SECONDARY))
			bad_reads++;
		*value = (u64)cpu.may2 << 32;
		return 0;
	case VMX_EPT_VPID_CAP:
		if (!(cpu.may2 & (CPU2_EPT | CPU2_VPID)))
			bad_reads++;
		*value = cpu.ept_vpid;
		return 0;
	case VMX_MISC:
		*value = 0x20000065;
		return 0;
	case VMX_CR0_FIXED0:
		*value = 0x80000021;
		return 0;
	case VMX_CR0_FIXED1:
		*value = ALL;
		return 0;
	case VMX_CR4_FIXED0:
		*value = 0x2000;
		return 0;
	case VMX_CR4_FIXED1:
		*value = 0x7727ff;
		return 0;
	}
	for (g = 0; g < NR_GROUPS; g++) {
		if (msr != groups[g].msr && msr != groups[g].true_msr)
			continue;
		if (msr == groups[g].true_msr && !(cpu.basic & BASIC_TRUE))
			bad_reads++;
		*value = (u64)cpu.may[g] << 32 | cpu.must[g];
		return 0;
	}
	bad_reads++;
	return -EIO;
}

static const struct host_reader reader = { fake_cpuid, fake_rdmsr };

/* Checks the answer, and that the reason has the word. */
static void check(const char *what, int want, const char *word)
{
	const char *why = NULL;
	int ret = vmx_caps_check(&reader, &why);

	unit_result(ret == want && (!want ? !why : why && strstr(why, word)),
		    "vmx caps: %s: %d, %s", what, ret, why ? why : "no reason");
	cpu = complete;
}

static void check_refusals(void)
{
	unsigned int g, i;

	check("complete CPU", 0, NULL);
	cpu.ecx1 = 0;
	check("no VMX", -EOPNOTSUPP, "ECX bit 5");
	cpu.edx81 &= ~(1u << 29);
	check("no long mode", -EOPNOTSUPP, "long mode");
	cpu.edx81 &= ~(1u << 20);
	check("no NX", -EOPNOTSUPP, "NX");
	cpu.feature_control_err = -EIO;
	check("no FEATURE_CONTROL", -EOPNOTSUPP, "FEATURE_CONTROL");
	cpu.feature_control = 0;
	check("not set up by firmware", -EPERM, "not locked");
	cpu.feature_control = 4;
	check("on, but not locked", -EPERM, "not locked");
	cpu.feature_control = 1;
	check("locked off", -EPERM, "disabled by the firmware");
	cpu.feature_control = 3;
	check("locked to be inside SMX only", -EPERM,
	      "disabled by the firmware");
	cpu.basic = (cpu.basic & ~(0x1fffull << 32)) | 4097ull << 32;
	check("VMCS above a page", -EOPNOTSUPP, "more than a page");
	cpu.basic |= BASIC_32BIT;
	check("VMCS below 4G only", -EOPNOTSUPP, "below 4 GiB");
	cpu.basic &= ~(15ull << 50);
	check("VMCS uncached", -EOPNOTSUPP, "write-back");
	cpu.basic &= ~BASIC_TRUE;
	check("no TRUE MSRs", 0, NULL);
	cpu.may[G_CPU] &= ~CPU_SECONDARY;
	check("no secondary controls", 0, NULL);
	cpu.may2 = 0;
	check("no optional feature", 0, NULL);
	for (g = 0; g < NR_GROUPS; g++) {
		for (i = 0; i < groups[g].n; i++) {
			cpu.may[g] &= ~groups[g].needs[i].bit;
			check("one control missing", -EOPNOTSUPP,
			      groups[g].needs[i].name);
		}
	}
}

static void check_controls(void)
{
	struct vmx_caps c;

	vmx_caps_read(&reader, &c);
	unit_result(c.revision == 0x12 && c.cr0_fixed0 == 0x80000021 &&
			    c.cr4_fixed1 == 0x7727ff,
		    "vmx caps: revision and fixed bits");
	unit_result(c.pin == (0x16 | PIN_EXTERNAL_INTERRUPT | PIN_NMI |
			      PIN_VIRTUAL_NMIS),
		    "vmx caps: pin-based controls");
	unit_result(!(c.cpu & CPU_WHEN_WANTED) && (c.cpu & CPU_HLT) &&
			    (c.cpu & CPU_SECONDARY) &&
			    (c.cpu & 0x0401e172) == 0x0401e172,
		    "vmx caps: no window is open from the start");
	unit_result(!(c.entry & ENTRY_IA32E) && (c.entry & ENTRY_LOAD_EFER),
		    "vmx caps: IA-32e mode follows the guest");
	unit_result(!(c.cpu2 & (CPU2_EPT | CPU2_UNRESTRICTED | CPU2_VPID)) &&
			    (c.cpu2 & CPU2_WBINVD) && (c.cpu2 & CPU2_ENCLS),
		    "vmx caps: secondary controls");
	unit_result(c.unrestricted && c.vpid && c.invvpid_address &&
			    c.invvpid_single && c.invept_single && c.rdtscp &&
			    c.wbinvd && c.encls && c.preemption_timer &&
			    c.timer_shift == 5,
		    "vmx caps: all read");
}

static void check_optional(void)
{
	static const struct {
		const char *what;
		u32 no2;
		u64 no_cap;
		bool unrestricted, vpid;
	} t[] = {
		{ "no EPT", CPU2_EPT, 0, false, true },
		{ "no unrestricted guest", CPU2_UNRESTRICTED, 0, false, true },
		{ "no VPID", CPU2_VPID, 0, true, false },
		{ "EPT of other depth", 0, EPT_WALK_4, false, true },
		{ "EPT uncached", 0, EPT_MEMTYPE_WB, false, true },
		{ "no INVEPT", 0, EPT_INVEPT, false, true },
		{ "no INVEPT of all", 0, EPT_INVEPT_ALL, false, true },
		{ "no INVVPID", 0, VPID_INVVPID, true, false },
		{ "no INVVPID of all", 0, VPID_INVVPID_ALL, true, false },
	};
	struct vmx_caps c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		cpu.may2 &= ~t[i].no2;
		cpu.ept_vpid &= ~t[i].no_cap;
		vmx_caps_read(&reader, &c);
		unit_result(c.unrestricted == t[i].unrestricted &&
				    c.vpid == t[i].vpid,
			    "vmx caps: %s", t[i].what);
		cpu = complete;
	}
	cpu.may[G_CPU] &= ~CPU_SECONDARY;
	vmx_caps_read(&reader, &c);
	unit_result(!(c.cpu & CPU_SECONDARY) && !c.unrestricted && !c.vpid &&
			    !c.rdtscp,
		    "vmx caps: nothing secondary is read where it is not");
	cpu = complete;
	cpu.may2 &= ~CPU2_ENCLS;
	vmx_caps_read(&reader, &c);
	unit_result(!c.encls && !(c.cpu2 & CPU2_ENCLS),
		    "vmx caps: ENCLS cannot be intercepted");
	cpu = complete;
	cpu.may2 &= ~(CPU2_EPT | CPU2_VPID);
	vmx_caps_read(&reader, &c);
	unit_result(!c.unrestricted && !c.vpid && c.rdtscp,
		    "vmx caps: neither EPT nor VPID");
	cpu = complete;
}

static void check_hide(void)
{
	static const struct {
		const char *names;
		int ret;
		bool unrestricted, vpid, invvpid, invept;
	} t[] = {
		{ "", 0, true, true, true, true },
		{ "unrestricted", 0, false, true, true, true },
		{ "vpid", 0, true, false, true, true },
		{ "invvpid", 0, true, true, false, true },
		{ "invept", 0, true, true, true, false },
		{ "unrestricted,vpid", 0, false, false, true, true },
		{ "all", 0, false, false, false, false },
		{ "vpid,", 0, true, false, true, true },
		{ "vpi", -EINVAL, true, true, true, true },
		{ "vpidx", -EINVAL, true, true, true, true },
		{ "vpid,what", -EINVAL, true, true, true, true },
		{ ",", -EINVAL, true, true, true, true },
	};
	struct vmx_caps c;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		vmx_caps_read(&reader, &c);
		ret = vmx_caps_hide(&c, t[i].names);
		unit_result(ret == t[i].ret &&
				    c.unrestricted == t[i].unrestricted &&
				    c.vpid == t[i].vpid &&
				    c.invvpid_address == t[i].invvpid &&
				    c.invvpid_single == t[i].invvpid &&
				    c.invept_single == t[i].invept,
			    "vmx caps: vmx_hide=%s: %d", t[i].names, ret);
	}
}

static void differs(const struct vmx_caps *c, const char *what)
{
	unit_result(!vmx_caps_same(&reader, c), "vmx caps: %s", what);
	cpu = complete;
}

/*
 * CPUs of one machine are compared, and everything that is read of them counts.
 */
static void check_same(void)
{
	struct vmx_caps c;

	vmx_caps_read(&reader, &c);
	unit_result(vmx_caps_same(&reader, &c), "vmx caps: the same CPU");
	cpu.may2 &= ~CPU2_WBINVD;
	differs(&c, "a CPU that cannot intercept WBINVD");
	cpu.basic++;
	differs(&c, "a CPU with another revision of the VMCS");
	cpu.feature_control = 1;
	differs(&c, "a CPU where VMX is disabled");
}

int main(void)
{
	cpu = complete;
	check_refusals();
	check_controls();
	check_optional();
	check_hide();
	check_same();
	unit_result(!bad_reads,
		    "vmx caps: nothing is read that may not be there");
	return unit_end();
}
