// SPDX-License-Identifier: GPL-2.0
/* What entry.S knows of C: becomes asm-offsets.h. */
#include "vmm/asm-regs.h"

int main(void)
{
	define_regs();
	return 0;
}
