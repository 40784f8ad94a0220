// SPDX-License-Identifier: GPL-2.0
/* What entry.S knows of C: becomes asm-offsets.h. */
#include "vmm/asm-regs.h"
#include "vmcs.h"

int main(void)
{
	define_regs();
	DEFINE(VMCS_HOST_RSP, HOST_RSP);
	return 0;
}
