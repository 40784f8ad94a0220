// SPDX-License-Identifier: GPL-2.0
/* SVM on the host's CPUs: switched on, switched off, as found. Module parameters. */
#include <linux/io.h>
#include <linux/mem_encrypt.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <asm/msr.h>

#include "insn.h"
#include "svm.h"
#include "vmm/compat.h"
#include "vmm/cpu/switch.h"
#include "vmm/host.h"

#define TSC_RATIO_ONE (1ull << 32)
#define MSR_BP_CFG 0xc001102eu
#define BP_SPEC_REDUCE BIT_ULL(4)

DEFINE_PER_CPU(struct svm_cpu, svm_cpu);
struct svm_caps svm_caps __ro_after_init;
/* The features of the CPU on which vigil was loaded; none of them is hidden. */
static struct svm_caps found_caps __ro_after_init;
u32 svm_clean_all __ro_after_init;
u64 svm_host_mce __ro_after_init;

static char *svm_hide = "";
module_param(svm_hide, charp, 0444);
MODULE_PARM_DESC(
	svm_hide,
	"test: optional SVM features to do without: nrips,decode,flushbyasid,vmcbclean,all");

#ifdef VIGIL_DEBUG
static unsigned int svm_asids;
module_param(svm_asids, uint, 0444);
MODULE_PARM_DESC(
	svm_asids,
	"debug: ASIDs to use at most, the host's 0 included (2 or more)");
#endif

int svm_check(const struct host_reader *rd, const char **why)
{
	return svm_caps_check(rd, why);
}

static void free_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);

		if (sc->save_page)
			__free_page(sc->save_page);
		if (sc->hsave_page)
			__free_page(sc->hsave_page);
		sc->save_page = NULL;
		sc->hsave_page = NULL;
	}
}

struct page *svm_alloc_page(int node, gfp_t gfp)
{
	struct page *page = alloc_pages_node(node, gfp | __GFP_ZERO, 0);

	if (!page || !IS_ALIGNED(page_to_pfn(page), PTRS_PER_PMD))
		return page;
	__free_page(page);
	page = alloc_pages_node(node, gfp | __GFP_ZERO, 1);
	if (!page)
		return NULL;
	split_page(page, 1);
	__free_page(page);
	return page + 1;
}

int svm_hw_setup(void)
{
	int cpu, ret;

	/*
	 * The PAE root of a guest outside long mode is at a 32-bit CR3, which
	 * has no room for the encryption bit.
	 */
	if (sme_me_mask) {
		pr_err("cannot run on this kernel: svm: it encrypts its memory (SME); boot it with mem_encrypt=off\n");
		return -EOPNOTSUPP;
	}

	svm_caps_read(&host_reader_native, &found_caps);
	svm_caps = found_caps;
	ret = svm_caps_hide(&svm_caps, svm_hide);
	if (ret) {
		pr_err("svm_hide=%s: unknown name; nrips, decode, flushbyasid, vmcbclean or all\n",
		       svm_hide);
		return ret;
	}
#ifdef VIGIL_DEBUG
	if (svm_asids > 1)
		svm_caps.nasid = min(svm_caps.nasid, svm_asids);
#endif
	svm_host_mce = __read_cr4() & X86_CR4_MCE;
	svm_clean_all = svm_caps.vmcb_clean ? CLEAN_ALL : 0;

	for_each_possible_cpu(cpu) {
		struct svm_cpu *sc = per_cpu_ptr(&svm_cpu, cpu);
		int node = cpu_to_node(cpu);

		sc->save_page = svm_alloc_page(node, GFP_KERNEL);
		sc->hsave_page = svm_alloc_page(node, GFP_KERNEL);
		if (!sc->save_page || !sc->hsave_page)
			goto nomem;
		sc->save_pa = __sme_set(page_to_phys(sc->save_page));
		sc->hsave_pa = __sme_set(page_to_phys(sc->hsave_page));
	}
	ret = svm_maps_alloc();
	if (!ret)
		return 0;
nomem:
	free_cpus();
	return -ENOMEM;
}

void svm_hw_unsetup(void)
{
	svm_maps_free();
	free_cpus();
}

/* BP_SPEC_REDUCE is set while the extension is on, and as it was found after that */
static void srso_enable(struct svm_cpu *sc)
{
	if (!compat_srso_bp_spec_reduce())
		return;
	rdmsrl(MSR_BP_CFG, sc->old_bp_cfg);
	wrmsrl(MSR_BP_CFG, sc->old_bp_cfg | BP_SPEC_REDUCE);
}

static void srso_disable(struct svm_cpu *sc)
{
	u64 cfg;

	if (!compat_srso_bp_spec_reduce() || (sc->old_bp_cfg & BP_SPEC_REDUCE))
		return;
	rdmsrl(MSR_BP_CFG, cfg);
	wrmsrl(MSR_BP_CFG, cfg & ~BP_SPEC_REDUCE);
}

void svm_drop_asids(struct svm_cpu *sc)
{
	sc->generation++;
	sc->next_asid = svm_caps.nasid;
}

int svm_hw_enable(void)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;
	if (!svm_caps_same(&host_reader_native, &found_caps))
		return -EOPNOTSUPP;
	/* A #GP means that SVM is disabled in a way that no register shows. */
	if (wrmsrl_safe(MSR_EFER, efer | EFER_SVME))
		return -EIO;
	rdmsrl(MSR_VM_HSAVE_PA, sc->old_hsave_pa);
	wrmsrl(MSR_VM_HSAVE_PA, sc->hsave_pa);
	if (svm_caps.tsc_rate) {
		rdmsrl(MSR_AMD64_TSC_RATIO, sc->old_tsc_ratio);
		if (sc->old_tsc_ratio != TSC_RATIO_ONE)
			wrmsrl(MSR_AMD64_TSC_RATIO, TSC_RATIO_ONE);
	}
	srso_enable(sc);
	switch_init(&sc->sw);
	/*
	 * No vCPU may go on with an ASID of before: entries of the TLB may
	 * still be tagged with it.
	 */
	svm_drop_asids(sc);
	return 0;
}

void svm_hw_disable(void)
{
	struct svm_cpu *sc = this_cpu_ptr(&svm_cpu);
	u64 efer;

	if (svm_caps.tsc_rate && sc->old_tsc_ratio != TSC_RATIO_ONE)
		wrmsrl(MSR_AMD64_TSC_RATIO, sc->old_tsc_ratio);
	switch_exit(&sc->sw);
	srso_disable(sc);
	wrmsrl(MSR_VM_HSAVE_PA, sc->old_hsave_pa);
	rdmsrl(MSR_EFER, efer);
	wrmsrl(MSR_EFER, efer & ~(u64)EFER_SVME);
}

void svm_hw_emergency(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	/*
	 * With GIF set, the host takes an NMI that ended a guest run. It does
	 * not take an #MC that did.
	 */
	svm_stgi();
	wrmsrl(MSR_EFER, efer & ~(u64)EFER_SVME);
}

void svm_new_asid(struct svm_vcpu *svm, struct svm_cpu *sc)
{
	struct vmcb *vmcb = svm->vmcb;

	if (sc->next_asid >= svm_caps.nasid) {
		sc->generation++;
		sc->next_asid = 1;
		vmcb->control.tlb_control = TLB_CTL_FLUSH_ALL;
	}
	svm->asid = sc->next_asid++;
	svm->asid_generation = sc->generation;
	vmcb->control.asid = svm->asid;
	vmcb_dirty(vmcb, CLEAN_ASID);
}
