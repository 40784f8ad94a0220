/* SPDX-License-Identifier: GPL-2.0 */
/* What the payload of exit/fpu.c and the test agree on. C and assembly share this. */
#ifndef SELFTESTS_FPU_H
#define SELFTESTS_FPU_H

/* clang-format off */

#define FPU_IMAGE	0x0d800	/* where FXSAVE stores */

/* EBP */
#define FPU_MASKED	1	/* no x87 exception is unmasked */
#define FPU_ALL		2	/* the guest makes FXSAVE to the device too */
#define FPU_DEVICE	4	/* the guest makes the stores that stock KVM cannot make to a device */
#define FPU_XCR0_SHIFT	8	/* above: XCR0 for 64-bit code, or 0 */

#endif
