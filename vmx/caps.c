// SPDX-License-Identifier: GPL-2.0
/* Which VMX features the CPU has, and the controls made of them. Pure. */
#ifdef __KERNEL__
#include <linux/errno.h>
#else
#include <errno.h>
#endif

#include "caps.h"
#include "vmcs.h"

#define CPUID_EXT_FEATURES 0x80000001u

/* SDM volume 3, appendix A "VMX Capability Reporting Facility" */
#define FEATURE_CONTROL 0x3au
#define VMX_BASIC 0x480u
#define VMX_PIN 0x481u
#define VMX_CPU 0x482u
#define VMX_EXIT 0x483u
#define VMX_ENTRY 0x484u
#define VMX_MISC 0x485u
#define VMX_CR0_FIXED0 0x486u
#define VMX_CR0_FIXED1 0x487u
#define VMX_CR4_FIXED0 0x488u
#define VMX_CR4_FIXED1 0x489u
#define VMX_CPU2 0x48bu
#define VMX_EPT_VPID_CAP 0x48cu
/* The TRUE_ MSRs also tell which default1 controls may be 0. */
#define VMX_TRUE_PIN 0x48du
#define VMX_TRUE_CPU 0x48eu
#define VMX_TRUE_EXIT 0x48fu
#define VMX_TRUE_ENTRY 0x490u

#define FEATURE_CONTROL_LOCKED BIT_ULL(0)
#define FEATURE_CONTROL_VMXON BIT_ULL(2) /* outside SMX */

#define BASIC_REVISION 0x7fffffffu
#define BASIC_SIZE(v) ((u32)((v) >> 32) & 0x1fff)
#define BASIC_32BIT BIT_ULL(48) /* addresses below 4 GiB only */
#define BASIC_MEMTYPE(v) ((u32)((v) >> 50) & 15)
#define BASIC_TRUE BIT_ULL(55)
#define MEMTYPE_WB 6

enum { EAX, EBX, ECX, EDX };

/* A control bit that vigil requires, and its name for the message. */
struct need {
	u32 bit;
	const char *name;
};

#define NEED(bit, name)                        \
	{                                      \
		bit, "VMX has no \"" name "\"" \
	}

static const struct need pin_needs[] = {
	NEED(PIN_EXTERNAL_INTERRUPT, "external-interrupt exiting"),
	NEED(PIN_NMI, "NMI exiting"),
	NEED(PIN_VIRTUAL_NMIS, "virtual NMIs"),
};

static const struct need cpu_needs[] = {
	NEED(CPU_INTERRUPT_WINDOW, "interrupt-window exiting"),
	NEED(CPU_NMI_WINDOW, "NMI-window exiting"),
	NEED(CPU_TSC_OFFSETTING, "use TSC offsetting"),
	NEED(CPU_HLT, "HLT exiting"),
	NEED(CPU_INVLPG, "INVLPG exiting"),
	NEED(CPU_MWAIT, "MWAIT exiting"),
	NEED(CPU_MONITOR, "MONITOR exiting"),
	NEED(CPU_RDPMC, "RDPMC exiting"),
	NEED(CPU_CR3_LOAD, "CR3-load exiting"),
	NEED(CPU_CR3_STORE, "CR3-store exiting"),
	NEED(CPU_CR8_LOAD, "CR8-load exiting"),
	NEED(CPU_CR8_STORE, "CR8-store exiting"),
	NEED(CPU_MOV_DR, "MOV-DR exiting"),
	NEED(CPU_UNCONDITIONAL_IO, "unconditional I/O exiting"),
	NEED(CPU_MSR_BITMAPS, "use MSR bitmaps"),
};

static const struct need exit_needs[] = {
	NEED(EXIT_HOST_64, "host address-space size"),
	NEED(EXIT_LOAD_EFER, "load IA32_EFER on exit"),
};

static const struct need entry_needs[] = {
	NEED(ENTRY_LOAD_DEBUG, "load debug controls"),
	NEED(ENTRY_IA32E, "IA-32e mode guest"),
	NEED(ENTRY_LOAD_EFER, "load IA32_EFER on entry"),
};

/*
 * These bits are set only at times: windows while one is wanted, IA-32e mode
 * while the guest is in long mode.
 */
#define CPU_WHEN_WANTED (CPU_INTERRUPT_WINDOW | CPU_NMI_WINDOW)
#define ENTRY_WHEN_WANTED ENTRY_IA32E

enum group { G_PIN, G_CPU, G_EXIT, G_ENTRY, NR_GROUPS };

static const struct {
	u32 msr, true_msr;
	const struct need *needs;
	unsigned int n;
} groups[NR_GROUPS] = {
	[G_PIN] = { VMX_PIN, VMX_TRUE_PIN, pin_needs, ARRAY_SIZE(pin_needs) },
	[G_CPU] = { VMX_CPU, VMX_TRUE_CPU, cpu_needs, ARRAY_SIZE(cpu_needs) },
	[G_EXIT] = { VMX_EXIT, VMX_TRUE_EXIT, exit_needs,
		     ARRAY_SIZE(exit_needs) },
	[G_ENTRY] = { VMX_ENTRY, VMX_TRUE_ENTRY, entry_needs,
		      ARRAY_SIZE(entry_needs) },
};

/* Reads an MSR; one that does not exist reads as 0. */
static u64 rdmsr(const struct host_reader *rd, u32 msr)
{
	u64 v;

	return rd->rdmsr(msr, &v) ? 0 : v;
}

/*
 * The low half has the bits that must be 1, the high half those that may be 1.
 */
static u64 group_msr(const struct host_reader *rd, enum group g)
{
	return rdmsr(rd, rdmsr(rd, VMX_BASIC) & BASIC_TRUE ?
				 groups[g].true_msr :
				 groups[g].msr);
}

static int check_basic(u64 basic, const char **why)
{
	if (!BASIC_SIZE(basic) || BASIC_SIZE(basic) > 4096) {
		*why = "a VMCS needs more than a page (MSR IA32_VMX_BASIC)";
		return -EOPNOTSUPP;
	}
	if (basic & BASIC_32BIT) {
		*why = "a VMCS must be below 4 GiB (MSR IA32_VMX_BASIC)";
		return -EOPNOTSUPP;
	}
	if (BASIC_MEMTYPE(basic) != MEMTYPE_WB) {
		*why = "a VMCS cannot be in write-back memory (MSR IA32_VMX_BASIC)";
		return -EOPNOTSUPP;
	}
	return 0;
}

static int check_firmware(const struct host_reader *rd, const char **why)
{
	u64 v;

	if (rd->rdmsr(FEATURE_CONTROL, &v)) {
		*why = "VMX cannot be switched on (no MSR FEATURE_CONTROL)";
		return -EOPNOTSUPP;
	}
	if (!(v & FEATURE_CONTROL_LOCKED)) {
		*why = "firmware has not set up VMX (MSR FEATURE_CONTROL is not locked): switch on \"Intel virtualization\" in its setup";
		return -EPERM;
	}
	if (!(v & FEATURE_CONTROL_VMXON)) {
		*why = "VMX is disabled by the firmware (MSR FEATURE_CONTROL): switch on \"Intel virtualization\" in its setup";
		return -EPERM;
	}
	return 0;
}

int vmx_caps_check(const struct host_reader *rd, const char **why)
{
	unsigned int g, i;
	u32 r[4];
	int ret;

	rd->cpuid(1, 0, r);
	if (!(r[ECX] & BIT(5))) {
		*why = "the CPU has no Intel VMX (CPUID 1 ECX bit 5)";
		return -EOPNOTSUPP;
	}
	rd->cpuid(CPUID_EXT_FEATURES, 0, r);
	if (!(r[EDX] & BIT(29))) {
		*why = "the CPU has no long mode (CPUID 80000001 EDX bit 29)";
		return -EOPNOTSUPP;
	}
	if (!(r[EDX] & BIT(20))) {
		*why = "the CPU has no NX (CPUID 80000001 EDX bit 20): switch it on in the firmware";
		return -EOPNOTSUPP;
	}
	ret = check_firmware(rd, why);
	if (!ret)
		ret = check_basic(rdmsr(rd, VMX_BASIC), why);
	if (ret)
		return ret;
	for (g = 0; g < NR_GROUPS; g++) {
		u32 may = group_msr(rd, g) >> 32;

		for (i = 0; i < groups[g].n; i++) {
			if (may & groups[g].needs[i].bit)
				continue;
			*why = groups[g].needs[i].name;
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

static u32 controls(const struct host_reader *rd, enum group g, u32 when_wanted)
{
	u32 v = (u32)group_msr(rd, g);
	unsigned int i;

	for (i = 0; i < groups[g].n; i++)
		v |= groups[g].needs[i].bit & ~when_wanted;
	return v;
}

/*
 * EPT is used only where it lets unpaged guests run as they are (unrestricted
 * guest).
 */
static void read_secondary(const struct host_reader *rd, struct vmx_caps *caps)
{
	u64 msr = rdmsr(rd, VMX_CPU2), cap;
	u32 may = msr >> 32;

	caps->cpu2 = (u32)msr;
	caps->rdtscp = may & CPU2_RDTSCP;
	caps->tables = may & CPU2_TABLES;
	caps->wbinvd = may & CPU2_WBINVD;
	if (caps->wbinvd)
		caps->cpu2 |= CPU2_WBINVD;
	caps->encls = may & CPU2_ENCLS;
	if (caps->encls)
		caps->cpu2 |= CPU2_ENCLS;
	/* IA32_VMX_EPT_VPID_CAP exists only on CPUs with EPT or VPID */
	if (!(may & (CPU2_EPT | CPU2_VPID)))
		return;
	cap = rdmsr(rd, VMX_EPT_VPID_CAP);
	caps->unrestricted = (may & CPU2_EPT) && (may & CPU2_UNRESTRICTED) &&
			     (cap & EPT_WALK_4) && (cap & EPT_MEMTYPE_WB) &&
			     (cap & EPT_INVEPT) && (cap & EPT_INVEPT_ALL);
	caps->invept_single = cap & EPT_INVEPT_SINGLE;
	caps->vpid = (may & CPU2_VPID) && (cap & VPID_INVVPID) &&
		     (cap & VPID_INVVPID_ALL);
	caps->invvpid_single = cap & VPID_INVVPID_SINGLE;
	caps->invvpid_address = cap & VPID_INVVPID_ADDRESS;
}

void vmx_caps_read(const struct host_reader *rd, struct vmx_caps *caps)
{
	u32 cpu = group_msr(rd, G_CPU) >> 32;

	/* Holes between members are compared, too: see vmx_caps_same(). */
	memset(caps, 0, sizeof(*caps));
	caps->revision = rdmsr(rd, VMX_BASIC) & BASIC_REVISION;
	caps->pin = controls(rd, G_PIN, 0);
	caps->cpu = controls(rd, G_CPU, CPU_WHEN_WANTED);
	caps->exit = controls(rd, G_EXIT, 0);
	caps->entry = controls(rd, G_ENTRY, ENTRY_WHEN_WANTED);
	caps->cr0_fixed0 = rdmsr(rd, VMX_CR0_FIXED0);
	caps->cr0_fixed1 = rdmsr(rd, VMX_CR0_FIXED1);
	caps->cr4_fixed0 = rdmsr(rd, VMX_CR4_FIXED0);
	caps->cr4_fixed1 = rdmsr(rd, VMX_CR4_FIXED1);
	caps->preemption_timer = group_msr(rd, G_PIN) >> 32 &
				 PIN_PREEMPTION_TIMER;
	caps->timer_shift = rdmsr(rd, VMX_MISC) & 0x1f;
	if (!(cpu & CPU_SECONDARY))
		return;
	caps->cpu |= CPU_SECONDARY;
	read_secondary(rd, caps);
}

bool vmx_caps_same(const struct host_reader *rd, const struct vmx_caps *caps)
{
	struct vmx_caps here;
	const char *why;

	if (vmx_caps_check(rd, &why))
		return false;
	vmx_caps_read(rd, &here);
	return !memcmp(&here, caps, sizeof(here));
}

int vmx_caps_hide(struct vmx_caps *caps, const char *names)
{
	static const struct reader_hide rows[] = {
		{ "unrestricted", offsetof(struct vmx_caps, unrestricted) },
		{ "vpid", offsetof(struct vmx_caps, vpid) },
		{ "invvpid", offsetof(struct vmx_caps, invvpid_address) },
		{ "invvpid", offsetof(struct vmx_caps, invvpid_single) },
		{ "invept", offsetof(struct vmx_caps, invept_single) },
	};

	return reader_hide(caps, rows, ARRAY_SIZE(rows), names);
}
