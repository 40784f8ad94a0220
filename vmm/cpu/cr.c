// SPDX-License-Identifier: GPL-2.0
/*
 * Control and debug registers: what a guest's write to one does.
 * APM vol. 2, "System-Control Registers", "Enabling Long Mode", "Debug and
 * Performance Resources"; SDM vol. 3, "Control Registers".
 */
#include <linux/bits.h>
#include <linux/smp.h>
#include <asm/debugreg.h>
#include <linux/nospec.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include <uapi/asm/debugreg.h>

#include "cpuid.h"
#include "cr.h"
#include "shadow/shadow.h"
#include "vmm/ops.h"
#include "vmm/pv/pv.h"

#define CR0_RESERVED                                                          \
	(~(unsigned long)(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | \
			  X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | \
			  X86_CR0_NW | X86_CR0_CD | X86_CR0_PG))
/* A change of these bits changes how the page tables are read. */
#define CR0_PAGING (X86_CR0_PG | X86_CR0_WP)
#define CR4_PAGING                                                \
	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP | \
	 X86_CR4_SMAP | X86_CR4_LA57)
/* With PAE paging, a change of these bits loads the PDPTEs. */
#define CR4_PDPTR (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP)

static bool uses_pdptes(unsigned long cr0, unsigned long cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LME);
}

static bool cr0_valid(unsigned long val)
{
	if (val & CR0_RESERVED & 0xffffffff00000000ul)
		return false;
	if ((val & X86_CR0_NW) && !(val & X86_CR0_CD))
		return false;
	return !(val & X86_CR0_PG) || (val & X86_CR0_PE);
}

bool cr_consistent(struct vigil_vcpu *vcpu, unsigned long cr0,
		   unsigned long cr4, u64 efer)
{
	if (!cr0_valid(cr0) || (cr4 & vcpu->cr4_reserved) ||
	    (efer & cpuid_efer_never()))
		return false;
	/* LMA is set when LME and PG are. Long mode needs PAE. */
	if (!!(efer & EFER_LMA) != ((efer & EFER_LME) && (cr0 & X86_CR0_PG)))
		return false;
	return !(efer & EFER_LMA) || (cr4 & X86_CR4_PAE);
}

/*
 * Reads the PDPTEs with the new mode in place. If they are bad, the old mode
 * comes back: the caller raises #GP, and nothing has changed.
 */
static int load_pdptes(struct vigil_vcpu *vcpu)
{
	return shadow_load_pdptes(vcpu) ? -EINVAL : 0;
}

/* Everything but the PDPTEs; *@val becomes what the register would have. */
static int cr0_check(struct vigil_vcpu *vcpu, unsigned long *val)
{
	unsigned long changed;
	struct kvm_segment cs;

	if (!cr0_valid(*val))
		return -EINVAL;
	*val = (*val & ~CR0_RESERVED) | X86_CR0_ET;
	changed = vcpu->cr0 ^ *val;
	/* The tables of the VMM are made for the mode that the guest is in. */
	if (pv_in_force(vcpu) && changed & (X86_CR0_PG | X86_CR0_PE))
		return -EINVAL;
	if (!(changed & X86_CR0_PG) || !(vcpu->efer & EFER_LME))
		return 0;
	vmm_ops->get_segment(vcpu, SEG_CS, &cs);
	return cs.l || ((*val & X86_CR0_PG) && !is_pae(vcpu)) ? -EINVAL : 0;
}

static bool cr0_loads_pdptes(struct vigil_vcpu *vcpu, unsigned long val)
{
	return ((vcpu->cr0 ^ val) & (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)) &&
	       uses_pdptes(val, vcpu->cr4, vcpu->efer);
}

static int cr0_set(struct vigil_vcpu *vcpu, unsigned long val)
{
	unsigned long old = vcpu->cr0, changed;
	u64 old_efer = vcpu->efer;
	bool loads;

	if (cr0_check(vcpu, &val))
		return -EINVAL;
	changed = old ^ val;
	if (!changed)
		return 0;
	if ((changed & X86_CR0_PG) && (vcpu->efer & EFER_LME)) {
		if (val & X86_CR0_PG)
			vcpu->efer |= EFER_LMA;
		else
			vcpu->efer &= ~EFER_LMA;
	}
	loads = cr0_loads_pdptes(vcpu, val);
	vcpu->cr0 = val;
	if (loads && load_pdptes(vcpu)) {
		vcpu->cr0 = old;
		vcpu->efer = old_efer;
		return -EINVAL;
	}
	vmm_ops->update_cr0(vcpu);
	if (vcpu->efer != old_efer)
		vmm_ops->update_efer(vcpu);
	if (changed & (CR0_PAGING | X86_CR0_PE)) {
		shadow_mode_changed(vcpu);
		fetch_flush(vcpu);
	}
	return 0;
}

static int cr3_check(struct vigil_vcpu *vcpu, unsigned long *val)
{
	if (is_long_mode(vcpu))
		return *val & vcpu->cr3_reserved ? -EINVAL : 0;
	*val = (u32)*val;
	return 0;
}

static int cr3_set(struct vigil_vcpu *vcpu, unsigned long val)
{
	unsigned long old = vcpu->cr3;

	if (cr3_check(vcpu, &val))
		return -EINVAL;
	vcpu->cr3 = val;
	if (uses_pdptes(vcpu->cr0, vcpu->cr4, vcpu->efer) &&
	    load_pdptes(vcpu)) {
		vcpu->cr3 = old;
		return -EINVAL;
	}
	fetch_flush(vcpu);
	if (is_paging(vcpu))
		shadow_new_cr3(vcpu);
	return 0;
}

static int cr4_check(struct vigil_vcpu *vcpu, unsigned long val)
{
	unsigned long changed = vcpu->cr4 ^ val;

	if (val & vcpu->cr4_reserved)
		return -EINVAL;
	if (pv_in_force(vcpu) && changed & (X86_CR4_PAE | X86_CR4_LA57))
		return -EINVAL;
	return is_long_mode(vcpu) && (!(val & X86_CR4_PAE) ||
				      (changed & X86_CR4_LA57)) ?
		       -EINVAL :
		       0;
}

static bool cr4_loads_pdptes(struct vigil_vcpu *vcpu, unsigned long val)
{
	return ((vcpu->cr4 ^ val) & CR4_PDPTR) &&
	       uses_pdptes(vcpu->cr0, val, vcpu->efer);
}

static int cr4_set(struct vigil_vcpu *vcpu, unsigned long val)
{
	unsigned long old = vcpu->cr4, changed = old ^ val;
	bool loads = cr4_loads_pdptes(vcpu, val);

	if (cr4_check(vcpu, val))
		return -EINVAL;
	vcpu->cr4 = val;
	if (loads && load_pdptes(vcpu)) {
		vcpu->cr4 = old;
		return -EINVAL;
	}
	vmm_ops->update_cr4(vcpu);
	if (changed & (CR4_PAGING & ~X86_CR4_PGE))
		shadow_mode_changed(vcpu);
	/* SDM, "Operations that Invalidate TLBs" */
	if ((changed & (X86_CR4_PGE | X86_CR4_PAE)) ||
	    (changed & val & X86_CR4_SMEP))
		shadow_flush_guest(vcpu);
	if (changed & CR4_PAGING)
		fetch_flush(vcpu);
	if (changed & X86_CR4_OSXSAVE)
		cpuid_xcr0_changed(vcpu);
	return 0;
}

int cr8_set(struct vigil_vcpu *vcpu, unsigned long val)
{
	if (val & ~0xful)
		return -EINVAL;
	vcpu->cr8 = val;
	return 0;
}

int cr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val)
{
	switch (nr) {
	case 0:
		*val = vcpu->cr0;
		return 0;
	case 2:
		*val = vcpu->cr2;
		return 0;
	case 3:
		*val = vcpu->cr3;
		return 0;
	case 4:
		*val = vcpu->cr4;
		return 0;
	case 8:
		*val = vcpu->cr8;
		return 0;
	default:
		return -ENODEV;
	}
}

int cr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val)
{
	switch (nr) {
	case 0:
		return cr0_set(vcpu, val);
	case 2:
		vcpu->cr2 = val;
		return 0;
	case 3:
		return cr3_set(vcpu, val);
	case 4:
		return cr4_set(vcpu, val);
	case 8:
		return cr8_set(vcpu, val);
	default:
		return -ENODEV;
	}
}

int cr_check(struct vigil_vcpu *vcpu, int nr, unsigned long *val)
{
	unsigned long cr3 = vcpu->cr3;
	bool loads;
	int ret;

	switch (nr) {
	case 0:
		ret = cr0_check(vcpu, val);
		loads = cr0_loads_pdptes(vcpu, *val);
		break;
	case 3:
		ret = cr3_check(vcpu, val);
		loads = uses_pdptes(vcpu->cr0, vcpu->cr4, vcpu->efer);
		cr3 = *val;
		break;
	default:
		ret = cr4_check(vcpu, *val);
		loads = cr4_loads_pdptes(vcpu, *val);
	}
	if (!ret && loads && shadow_check_pdptes(vcpu, cr3))
		ret = -EINVAL;
	return ret;
}

void dr_load(struct vigil_vcpu *vcpu)
{
	set_debugreg(0, 7);
	if (!(vcpu->dr7 & DR7_ENABLES))
		return;
	set_debugreg(vcpu->dr[0], 0);
	set_debugreg(vcpu->dr[1], 1);
	set_debugreg(vcpu->dr[2], 2);
	set_debugreg(vcpu->dr[3], 3);
	vcpu->dr_loaded = true;
}

int dr_get(struct vigil_vcpu *vcpu, int nr, unsigned long *val)
{
	if (nr == 4 || nr == 5) {
		if (vcpu->cr4 & X86_CR4_DE)
			return -ENODEV;
		nr += 2;
	}
	if (nr > 7)
		return -ENODEV;
	*val = nr < 4  ? vcpu->dr[array_index_nospec(nr, 4)] :
	       nr == 6 ? vcpu->dr6 :
			 vcpu->dr7;
	return 0;
}

int dr_set(struct vigil_vcpu *vcpu, int nr, unsigned long val)
{
	if (nr == 4 || nr == 5) {
		if (vcpu->cr4 & X86_CR4_DE)
			return -ENODEV;
		nr += 2;
	}
	if (nr > 7)
		return -ENODEV;
	if (nr >= 6 && val >> 32)
		return -EINVAL;
	if (nr < 4) {
		vcpu->dr[array_index_nospec(nr, 4)] = val;
	} else if (nr == 6) {
		/*
		 * The bits for RTM and bus locks read as 1, since neither is
		 * offered.
		 */
		vcpu->dr6 =
			(val & (DR_TRAP_BITS | DR_STEP | DR_SWITCH | DR6_BD)) |
			DR6_RESERVED;
	} else {
		vcpu->dr7 = (val & 0xffff2bfful) | 0x400;
	}
	vmm_ops->update_dr7(vcpu);
	return 0;
}
