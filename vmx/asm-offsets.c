// SPDX-License-Identifier: GPL-2.0
/*
 * Constants that entry.S takes from C. The build turns this file into
 * asm-offsets.h.
 */
#include "vmm/asm-regs.h"
#include "vmcs.h"

int main(void)
{
	define_regs();
	DEFINE(VMCS_HOST_RSP, HOST_RSP);
	return 0;
}
