/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/vigil. */
#ifndef VIGIL_MAIN_H
#define VIGIL_MAIN_H

/* Answers KVM_CHECK_EXTENSION, for the device and for a VM. */
long vigil_check_extension(unsigned long cap);

#endif
