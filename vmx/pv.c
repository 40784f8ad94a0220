// SPDX-License-Identifier: GPL-2.0
/* What a guest may not do by itself while its CPU uses tables of the VMM. */
#include "vmx.h"
#include "vmm/exit/exit.h"
#include "vmm/pv/pv.h"

void vmx_update_pv(struct vigil_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmcs_write32(EXCEPTION_BITMAP, EXIT_EXCEPTIONS | pv_exceptions(vcpu));
	vmx->tables = pv_in_force(vcpu);
	vmx_update_msr_map(vcpu);
	vmx_update_modes(vcpu);
}

/*
 * The CPL is SS.DPL. An emulator leaves 0 there when a gate to ring 1 has loaded a null
 * SS in 64-bit mode, and would refuse to enter again: CS has the CPL as well, unless it
 * is conforming.
 */
void vmx_repair_ss(struct vmx_vcpu *vmx)
{
	u32 cs = vmx_seg_ar(vmx, SEG_CS), ss = vmx_seg_ar(vmx, SEG_SS);
	const u32 dpl = 3u << SEG_AR_DPL_SHIFT;
	struct vmx_seg seg;

	if (likely(!(ss & SEG_AR_UNUSABLE) || !((cs ^ ss) & dpl) ||
		   (cs & SEG_AR_CONFORMING)))
		return;
	seg = *vmx_seg(vmx, SEG_SS);
	seg.ar = (ss & ~dpl) | (cs & dpl);
	vmx_seg_write(vmx, SEG_SS, &seg);
}
