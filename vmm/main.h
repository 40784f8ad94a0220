/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/vigil. */
#ifndef VIGIL_MAIN_H
#define VIGIL_MAIN_H

/* KVM_CHECK_EXTENSION, of the device and of a VM */
long vigil_check_extension(unsigned long cap);

#endif
