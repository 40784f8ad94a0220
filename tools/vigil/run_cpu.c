// SPDX-License-Identifier: GPL-2.0
/* What CPU the guest finds: CPUID, and the registers that it starts with. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "run.h"

#define BIT(n) (1u << (n))
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLE_WB 0xc06ull

static bool keep_entry(const struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	/* Topology by APIC ids: there is no APIC. */
	case 0x0b:
	case 0x1f:
	case 0x8000001e:
	/* There is no PMU and no paravirtual clock. */
	case 0x0a:
		return false;
	}
	return e->function < 0x40000000 || e->function > 0x400000ff;
}

static void edit_entry(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0x01:
		/* One thread, APIC id 0. */
		e->ebx = (e->ebx & 0xff00) | 1u << 16;
		/* x2APIC, TSC deadline timer. */
		e->ecx &= ~(BIT(21) | BIT(24));
		/* APIC, hyper-threading. */
		e->edx &= ~(BIT(9) | BIT(28));
		break;
	case 0x04:
		/* The caches belong to the only core. */
		e->eax &= 0x3fff;
		break;
	case 0x80000001:
		/* CmpLegacy, extended APIC space, topology extensions. */
		e->ecx &= ~(BIT(1) | BIT(3) | BIT(22));
		e->edx &= ~BIT(9);
		break;
	case 0x80000008:
		e->ecx = 0;
		break;
	}
}

int setup_cpuid(struct machine *m)
{
	struct kvm_cpuid2 *cpuid = lv_cpuid_supported(&m->vm);
	unsigned int n = 0;
	int err;

	if (!cpuid)
		return -EIO;
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		if (!keep_entry(&cpuid->entries[i]))
			continue;
		cpuid->entries[n] = cpuid->entries[i];
		edit_entry(&cpuid->entries[n]);
		n++;
	}
	cpuid->nent = n;
	cpuid = run_xen_cpuid(m, cpuid);
	if (!cpuid)
		return -ENOMEM;
	err = lv_vcpu_set_cpuid(&m->vcpu, cpuid);
	free(cpuid);
	return err;
}

/* Switches the MTRRs on with all memory write-back, as firmware would do. */
static void setup_mtrr(struct machine *m)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 },
		   { .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WB } };

	/*
	 * A hypervisor without MTRRs does not offer them in CPUID either, so
	 * the error is ignored.
	 */
	ioctl(m->vcpu.fd, KVM_SET_MSRS, &msrs);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
}

int setup_cpu(struct machine *m, const struct boot_state *boot)
{
	struct kvm_regs regs = {
		.rflags = 2,
		.rip = boot->eip,
		.rax = boot->eax,
		.rbx = boot->ebx,
		.rdx = boot->edx,
		.rsi = boot->esi,
		.rsp = boot->esp,
	};
	struct kvm_sregs sregs;
	int err;

	err = lv_vcpu_get_sregs(&m->vcpu, &sregs);
	if (err)
		return err;
	if (boot->pvh) {
		sregs.cr0 = 0x10;
		sregs.tr.limit = 0x67;
	}
	if (boot->protected_mode) {
		sregs.cr0 |= 1;
		sregs.cs = flat_segment(boot->cs, 0xb);
		sregs.ds = flat_segment(boot->ds, 0x3);
		sregs.es = sregs.ds;
		sregs.fs = sregs.ds;
		sregs.gs = sregs.ds;
		sregs.ss = sregs.ds;
		sregs.gdt.base = LOAD_GDT;
		sregs.gdt.limit = 4 * 8 - 1;
	} else {
		struct kvm_segment *data[] = { &sregs.ds, &sregs.es, &sregs.fs,
					       &sregs.gs, &sregs.ss };

		sregs.cs.selector = boot->cs;
		sregs.cs.base = (uint32_t)boot->cs << 4;
		for (unsigned int i = 0; i < sizeof(data) / sizeof(data[0]);
		     i++) {
			data[i]->selector = boot->ds;
			data[i]->base = (uint32_t)boot->ds << 4;
		}
	}
	err = lv_vcpu_set_sregs(&m->vcpu, &sregs);
	if (!err)
		err = lv_vcpu_set_regs(&m->vcpu, &regs);
	if (!err)
		setup_mtrr(m);
	return err;
}
